"""The built wheel works in an empty environment, away from the source tree,
and brings neither tests nor data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
KEPT_OUT = {"tests", "data", "docs", "benchmarks", ".ci"}


def run(*command, cwd, **environment):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(project, tmp_path_factory):
    """A wheel built from a copy of the source tree, so that nothing built before gets into it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    hidden = (".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__")
    ignored = shutil.ignore_patterns(*hidden, "build", "dist", "*.egg-info")

    def skip(folder: str, names: list[str]) -> set[str]:
        outputs = {"runs", "networks"} if Path(folder) == project else set()
        return ignored(folder, names) | (outputs & set(names))

    shutil.copytree(project, source, ignore=skip)
    # --no-build-isolation: the build needs setuptools alone, and no network.
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--wheel-dir",
        folder,
        source,
        cwd=folder,
    )
    (built,) = folder.glob("mirnagraph-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel;
    the dependencies are lent by the environment the tests run in.
    """
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    python = folder / "env" / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        wheel,
        cwd=folder,
    )
    # After the install: a path file makes the lender's packages visible.
    # Its own path files (an editable mirnagraph) are not followed.
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python, folder


def test_the_wheel_holds_the_packages_and_their_files_alone(wheel, project):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {"mirnagraph", "seqtower", "fusion", "cli"} == {
        top for top in tops if not top.endswith(".dist-info")
    }
    assert not tops & KEPT_OUT
    modules = {
        p.relative_to(project).as_posix()
        for floor in ("mirnagraph", "seqtower", "fusion", "cli")
        for p in (project / floor).rglob("*.py")
    }
    assert modules <= set(names)
    other = {
        p.relative_to(project).as_posix() for p in (project / "fusion" / "presets").glob("*.toml")
    }
    assert other
    assert other | {"mirnagraph/py.typed"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    page = {
        p.relative_to(project).as_posix()
        for folder in ("templates", "static")
        for p in (project / "fusion" / "serve" / folder).iterdir()
    }
    assert {"fusion/serve/templates/page.html", "fusion/serve/static/page.js"} <= page
    assert page <= set(names)
    weights = {
        p.relative_to(project).as_posix() for p in (project / "seqtower" / "weights").iterdir()
    }
    assert len(weights) == 3
    assert weights <= set(names)
    assert any(name.endswith("licenses/seqtower/weights/LICENSE.tis") for name in names)


def test_it_runs_away_from_the_source_tree(installed, project):
    python, folder = installed
    where = run(
        python,
        "-c",
        "import mirnagraph, cli.main, fusion, seqtower; "
        "print(mirnagraph.__file__, cli.main.__file__)",
        cwd=folder,
    ).split()
    assert len(where) == 2
    for name in where:
        assert Path(name).is_relative_to(folder), name
    version = run(
        python, "-c", "import mirnagraph; print(mirnagraph.__version__)", cwd=folder
    ).strip()
    assert version in run(python.parent / "mirnagraph", "--version", cwd=folder)
    assert "build-networks" in run(python.parent / "mirnagraph", "--help", cwd=folder)


def test_the_weights_that_ship_are_read(installed):
    python, folder = installed
    code = (
        "from seqtower.encoders.tis_weights import frozen_tis, weights_file; "
        "frozen_tis(); print(weights_file(''))"
    )
    assert Path(run(python, "-c", code, cwd=folder).strip()).is_relative_to(folder)


def test_the_demo_is_made_anew_where_the_data_folder_is_not_installed(installed, project):
    python, folder = installed
    code = "from mirnagraph.synthetic import demo_dataset; demo_dataset().save('demo')"
    run(python, "-c", code, cwd=folder)
    for path in (project / "data" / "demo").iterdir():
        assert (folder / "demo" / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_module_can_be_imported_from_the_wheel(installed):
    python, folder = installed
    code = (
        "import importlib, pkgutil\n"
        "for top in ('mirnagraph', 'seqtower', 'fusion', 'cli'):\n"
        "    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, "
        "top + '.'):\n"
        "        if not found.name.endswith('.__main__'):\n"
        "            importlib.import_module(found.name)\n"
        "print('all')"
    )
    assert run(python, "-c", code, cwd=folder, OMP_NUM_THREADS="1").strip().endswith("all")
