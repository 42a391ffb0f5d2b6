"""On the public benchmark: both engines agree on every pair,
and the networks are what the notes say, in time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.io import read_table
from mirnagraph.similarity.disease import disease_semantic_similarity
from mirnagraph.similarity.smith_waterman import (
    DEFAULT_SCORES,
    AlignmentScores,
    alignment_scores,
    smith_waterman,
)

pytestmark = pytest.mark.real


def _file(name: str) -> Path:
    root = os.environ.get("MIRNAGRAPH_DATA")
    if not root:
        pytest.skip("MIRNAGRAPH_DATA is not set: the public benchmark is not at hand")
    path = Path(root) / name
    if not path.is_file():
        pytest.skip(f"no {name} in MIRNAGRAPH_DATA")
    return path


@pytest.fixture(scope="module")
def hairpins() -> list[str]:
    table = read_table(_file("mirna1041/id_to_mirbase_v22.1.tsv"), ["representative_hairpin_seq"])
    found = [text for text in table["representative_hairpin_seq"] if text]
    assert len(found) == 997
    return found


@pytest.mark.parametrize(
    "scores", [DEFAULT_SCORES, AlignmentScores(1, -3, 1, 1)], ids=["default", "cheap gaps"]
)
def test_both_engines_agree_on_every_pair(hairpins: list[str], scores: AlignmentScores) -> None:
    fast = smith_waterman(hairpins, scores, workers=2)
    assert (
        fast.tobytes() == smith_waterman(hairpins, scores, engine="parasail", workers=2).tobytes()
    )
    assert (fast == fast.T).all()
    assert fast.min() > 0
    assert fast.max() == 1


def test_scores_do_not_depend_on_the_direction_or_on_threads(hairpins: list[str]) -> None:
    whole = alignment_scores(hairpins, hairpins, workers=2)
    assert (whole == whole.T).all()
    assert whole.diagonal().tolist() == [5 * len(text) for text in hairpins]
    scale = np.sqrt(
        np.multiply.outer(whole.diagonal().astype(float), whole.diagonal().astype(float))
    )
    np.testing.assert_allclose(smith_waterman(hairpins, workers=1), whole / scale, rtol=1e-15)


def test_all_pairs_take_seconds(hairpins: list[str]) -> None:
    start = time.perf_counter()
    smith_waterman(hairpins, workers=2)
    assert time.perf_counter() - start < 10


def test_mesh_values() -> None:
    tree = read_table(
        _file("mesh/mesh2017_tree_C_F03.tsv"), ["tree_number", "descriptor_ui", "term"]
    ).rename(columns={"descriptor_ui": "descriptor_id"})
    id_of = dict(zip(tree["term"], tree["descriptor_id"], strict=True))
    names = ["Breast Neoplasms", "Breast Diseases", "Neoplasms", "Schizophrenia"]
    diseases = tree.drop_duplicates("term").set_index("term").loc[names, "descriptor_id"]
    result = disease_semantic_similarity(tree, diseases)
    assert diseases.tolist() == [id_of[name] for name in names]
    # C04.588.180 and C17.800.090.500: Breast Neoplasms 1; Neoplasms by Site .5, Neoplasms .25;
    # Breast Diseases .5, Skin and Connective Tissue Diseases .125, Skin Diseases .25;
    # together 2.625
    assert result[0, 2] == pytest.approx((0.25 + 1) / (2.625 + 1))
    # Breast Diseases 1, Skin Diseases .5, Skin and Connective Tissue Diseases .25; together 1.75
    assert result[0, 1] == pytest.approx((0.5 + 1 + 0.25 + 0.5 + 0.125 + 0.25) / (2.625 + 1.75))
    assert result[3, :3].tolist() == [0, 0, 0]
