"""Without the packages of the extra `tune`: searches end in one sentence,
every other module loads.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENTENCE = "pip install 'mirnagraph[tune]'"
EVERY_MODULE = """
import importlib, pkgutil, sys
sys.modules["optuna"] = sys.modules["sqlalchemy"] = None
for top in ("mirnagraph", "seqtower", "fusion", "cli"):
    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print("all")
"""


@pytest.mark.parametrize("package", ["optuna", "sqlalchemy"])
def test_tune_names_the_extra_before_anything_is_read_or_written(
    run: Callable[..., Any],
    in_empty_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for words in ([], ["--nested"]):
        ended = run("tune", "--data", "demo", "--out", "found", *words)
        assert ended.returncode == 2
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, ended.stderr
        assert f"(the package '{package}' is not installed)" in lines[0]
        assert SENTENCE in lines[0]
        assert not (in_empty_folder / "found").exists()


def test_a_nested_table_of_train_names_the_extra(
    run: Callable[..., Any], quick: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    path = quick()
    path.write_text(path.read_text() + "\n[nested]\n'trees.n_trees' = [3, 4]\n")
    ended = run("train", "--config", str(path), "--fold", "3", "--out", "found")
    assert ended.returncode == 2
    assert SENTENCE in ended.stderr
    assert not Path("found").exists()


@pytest.mark.slow
def test_every_module_loads_without_the_extra() -> None:
    command = [sys.executable, "-c", EVERY_MODULE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "all", done.stderr[-500:]
