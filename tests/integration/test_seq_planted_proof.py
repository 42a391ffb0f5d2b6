"""Explanations of a trained tower find what was planted:
masking, integrated gradients, and filters compared by Tomtom.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "planted_proof.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The benchmark, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("planted_proof", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up the types of their fields
    spec.loader.exec_module(module)
    return module


def test_overlap_by_hand(script: ModuleType) -> None:
    scores = np.zeros(60)
    scores[20:30] = 1
    assert script.overlap(scores, 20, 30) == 1
    assert script.overlap(scores, 22, 32) == 1  # 2 off, which is the tolerance
    assert script.overlap(scores, 23, 33) == pytest.approx(0.9)
    assert script.overlap(scores, 16, 26) == pytest.approx(0.8)  # not found
    assert script.overlap(scores, 45, 55) == 0


@pytest.mark.slow
def test_planted_words_are_found(script: ModuleType) -> None:
    found = script.prove()
    assert found.masking >= 0.9
    assert found.attribution >= 0.9
    assert set(found.q_values) == {"Nucleus", "Cytoplasm", "Exosome"}
    assert max(found.q_values.values()) < 0.05
