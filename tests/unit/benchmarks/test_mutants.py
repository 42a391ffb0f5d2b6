"""Mutants: which changes are made, what is left alone, and that a mutant is what it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = '''
"""Constants and 1 + 1 in texts are none."""
LIMIT = 3

def score(x: float, by: int = 2) -> float:
    if x < 0:
        raise ValueError("negative" + str(1 + 1))
    return log(x.max(axis=0) * by) - 1e-9
'''


@pytest.fixture(scope="module")
def mutants(project: Path) -> ModuleType:
    path = project / "benchmarks" / "mutants.py"
    spec = importlib.util.spec_from_file_location("benchmark_mutants", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_each_change_by_hand(mutants: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "scores.py"
    path.write_text(SOURCE)
    made = mutants.mutants_of("scores", path)
    found = [(mutant.line, mutant.function, mutant.change) for mutant in made]
    assert sorted(found) == sorted(
        [
            (3, "", "LIMIT = 3 -> LIMIT = 4"),
            (5, "score", "by=2 -> by=3"),
            (6, "score", "x < 0 -> x <= 0"),
            (6, "score", "x < 0 -> x < 1"),
            (8, "score", "log(x.max(axis=0) * by) - 1e-09 -> x.max(axis=0) * by - 1e-09"),
            (8, "score", "log(x.max(axis=0) * by) -> log(x.max(axis=0) / by)"),
            (8, "score", "x.max(axis=0) -> x.min(axis=0)"),
            (8, "score", "x.max(axis=0) -> x.max(axis=1)"),
        ]
    )


def test_a_mutant_differs_in_its_change_alone(mutants: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "double.py"
    path.write_text("def double(x):\n    return 2 * x\n")
    results = []
    for mutant in [mutants.unchanged("double", path), *mutants.mutants_of("double", path)]:
        names: dict[str, object] = {}
        exec(mutant.code(), names)
        results.append(names["double"](4))
    assert sorted(results) == [0.5, 8, 12]
    assert path.read_text() == "def double(x):\n    return 2 * x\n"


def test_caches_of_decorators_alone_are_turned_off(mutants: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "cached.py"
    path.write_text("@jit(cache=True)\ndef read(place):\n    return load(place, cache=place)\n")
    said = []
    names = {
        "jit": lambda cache: said.append(cache) or (lambda function: function),
        "load": lambda place, cache: (place, cache),
    }
    exec(mutants.unchanged("cached", path).code(), names)
    assert (said, names["read"]("x")) == ([False], ("x", "x"))
