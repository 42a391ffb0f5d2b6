"""The shape of the house: direction of imports, light start, docstrings, sizes, no trace of anyone's machine."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FLOORS = {"mirnagraph": 0, "seqtower": 1, "fusion": 2, "cli": 3}
BLIND_TO_SOURCES = ("similarity", "networks", "embedding", "evaluation")
MODULES = sorted(p for floor in FLOORS for p in (ROOT / floor).rglob("*.py"))
SCRIPTS = sorted(p for folder in ("tests", "benchmarks") for p in (ROOT / folder).rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def tree_of(path):
    """The syntax tree of a file, which several tests walk."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path, text=None):
    """Every module a file imports, anywhere in it, relative imports resolved."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(text) if text is not None else tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module) if part)
            found |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in {"import_module", "__import__"}:
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return found


def wrong_way(path, text=None):
    floor = FLOORS[path.relative_to(ROOT).parts[0]]
    return sorted(name for name in imports_of(path, text) if FLOORS.get(name.split(".")[0], -1) > floor)


def test_there_is_something_to_look_at():
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(FLOORS)
    assert len(MODULES) > 20


def test_the_check_itself_sees_imports_wherever_they_stand():
    inside = ROOT / "mirnagraph" / "networks" / "made_up.py"
    assert wrong_way(inside, "def f():\n    from fusion import tokens\n") == ["fusion", "fusion.tokens"]
    assert wrong_way(inside, "import importlib\nimportlib.import_module('cli.main')\n") == ["cli.main"]
    assert wrong_way(inside, "import mirnagraph.errors, torch") == []
    assert imports_of(inside, "from ..sources import fasta") == {"mirnagraph.sources", "mirnagraph.sources.fasta"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    assert wrong_way(path) == []


@pytest.mark.parametrize("room", BLIND_TO_SOURCES)
def test_rooms_do_not_know_where_data_came_from(room):
    paths = [path for path in MODULES if path.is_relative_to(ROOT / "mirnagraph" / room)]
    assert paths
    known = {name_of(path): sorted(n for n in imports_of(path) if n.startswith(("mirnagraph.sources", "mirnagraph.catalog"))) for path in paths}
    assert {name: found for name, found in known.items() if found} == {}


@pytest.mark.parametrize("path", [*MODULES, *SCRIPTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_the_first_line_says_what_the_file_is(path):
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    assert re.match(r'"""\S.{10,}', first), first


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [f"{f.name}: {f.end_lineno - f.lineno + 1} lines" for f in functions if f.end_lineno - f.lineno >= 70] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_all_names_resolve(path):
    tree = tree_of(path)
    if not any(isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__" for node in tree.body):
        return
    module = importlib.import_module(name_of(path))
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_every_package_is_listed_for_the_wheel():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = sorted(name_of(path) for path in MODULES if path.name == "__init__.py")
    assert sorted(listed) == found
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES}
    assert folders <= set(found), "a folder with modules has no __init__.py"


def project_texts():
    skipped = {"build", "dist", "__pycache__"}
    for folder, inner, files in os.walk(ROOT):
        here = Path(folder)
        skipped_here = skipped | ({"networks", "runs"} if here == ROOT else set())
        inner[:] = sorted(n for n in inner if n not in skipped_here and not n.endswith(".egg-info") and (not n.startswith(".") or n == ".ci"))
        for name in sorted(files):
            if Path(name).suffix not in {".pyc", ".png", ".gz", ".parquet", ".safetensors"}:
                yield here / name, (here / name).read_bytes().decode("utf-8", errors="replace")


MACHINE = re.compile(r"(?<![\w.\-/])/(?:work|root|home|Users|mnt|scratch)/[A-Za-z_]|[A-Z]:\\\\?Users")


def test_the_check_itself_knows_a_machine_path():
    assert MACHINE.search("open('/" + "home/me/x')")
    assert not MACHINE.search("https://example.org/home/me and ../home/x")


def test_no_file_names_a_path_of_someones_machine():
    found = [f"{path.relative_to(ROOT)}: {match.group()}" for path, text in project_texts() for match in MACHINE.finditer(text)]
    assert found == []


def loaded_after(code, *arguments):
    """Names of top-level modules loaded in a new process after some code."""
    report = "\nimport sys as _s\n_s.stderr.write('LOADED ' + ' '.join(sorted({m.split('.')[0] for m in _s.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report, *arguments], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stderr.rsplit("LOADED ", 1)[1].split()), done.stdout


def test_importing_the_library_loads_nothing_heavy():
    loaded, _ = loaded_after("import mirnagraph; mirnagraph.__version__")
    assert "mirnagraph" in loaded
    assert not loaded & {"torch", "pandas", "scipy", "sklearn", "numba", "gensim", "matplotlib", "lightning"}


def test_the_upper_floors_are_offered_by_name_alone():
    """`mirnagraph.load` and its like live above: they are named in one table, and nothing of them is loaded before one is used."""
    import mirnagraph

    upper = {name for name, module in mirnagraph._WHERE.items() if FLOORS[module.split(".")[0]] > 0}
    assert {"load", "fit", "predict", "cross_validate"} <= upper
    assert sorted([*mirnagraph._WHERE, "__version__"]) == mirnagraph.__all__
    assert set(mirnagraph.__all__) <= set(dir(mirnagraph))
    loaded, _ = loaded_after("import mirnagraph; dir(mirnagraph)")
    assert not loaded & {"fusion", "seqtower", "cli"}
    others = [name_of(path) for path in MODULES if path.parent.name != "cli" and name_of(path) != "mirnagraph" and "_WHERE" in path.read_text(encoding="utf-8")]
    assert others == [], "one table is enough"


@pytest.mark.slow
def test_optional_packages_are_loaded_by_those_who_use_them_only():
    # Lightning is left out: its metrics load transformers themselves, wherever it is installed.
    loaded, _ = loaded_after("import seqtower.settings, seqtower.encoding, seqtower.towers.make")
    assert "torch" in loaded
    assert not loaded & {"RNA", "fm", "transformers", "huggingface_hub", "captum", "memelite", "logomaker"}


def test_help_is_quick_and_loads_neither_torch_nor_pandas():
    code = (
        "import sys\n"
        "from cli.main import main\n"
        "sys.argv = ['mirnagraph', '--help']\n"
        "try:\n"
        "    code = main()\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        "assert not code, code"
    )
    loaded, shown = loaded_after(code)
    assert "build-networks" in shown
    assert "train" in shown
    assert not loaded & {"torch", "pandas", "sklearn", "gensim", "numba", "RNA", "transformers"}
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "from cli.main import main; main()", "--help"], capture_output=True, cwd=ROOT, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time, not the clock: tests run side by side on busy machines.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 0.5:
            break
    assert min(seconds) < 1.0, seconds
