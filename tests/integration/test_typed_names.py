"""Types of the public names: the stub `mirnagraph/__init__.pyi`, and what mypy reads from it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mirnagraph

SCRIPT = """
import mirnagraph

networks = mirnagraph.build_networks(mirnagraph.load_dataset("demo"))
reveal_type(networks)
result = mirnagraph.cross_validate(networks, n_folds=5)
reveal_type(result)
reveal_type(mirnagraph.load("runs/mine"))
reveal_type(mirnagraph.fit(networks, cross_validation=result))
reveal_type(mirnagraph.predict("runs/mine", "hsa-mir-21"))
reveal_type(mirnagraph.explain("runs/mine", "hsa-mir-21").compartments)
reveal_type(mirnagraph.__version__)
mirnagraph.load(path=3)
mirnagraph.bild_networks
"""

TYPES = [
    "mirnagraph.networks.network.NetworkSet",
    "mirnagraph.runs.results.CrossValidationResult",
    "fusion.models.saved.SavedModel | seqtower.saved.SavedTower",
    "fusion.models.saved.SavedModel",
    "fusion.models.predict.Predictions",
    "tuple[fusion.explain.result.Compartment, ...]",
    "str",
]


def test_the_stub_names_what_the_package_offers(project: Path) -> None:
    tree = ast.parse((project / "mirnagraph" / "__init__.pyi").read_text(encoding="utf-8"))
    modules = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name  # the form that re-exports a name
                modules[alias.name] = node.module
    assert modules == mirnagraph._WHERE
    assert sorted([*modules, "__version__"]) == mirnagraph.__all__


@pytest.mark.slow
def test_mypy_sees_types_outside_the_checkout(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--ignore-missing-imports",
        "--follow-imports=silent",
        f"--cache-dir={tmp_path / 'cache'}",
        "script.py",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"MYPYPATH": str(project), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    types = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert types == TYPES, done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, done.stdout
    assert 'Argument "path" to "load" has incompatible type "int"' in errors[0]
    assert 'Module has no attribute "bild_networks"' in errors[1]
