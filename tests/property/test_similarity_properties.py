"""Properties of similarities: symmetric, diagonal 1, in [0, 1], order of rows, workers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.similarity.disease import blend, disease_semantic_similarity, functional_similarity
from mirnagraph.similarity.profile import gip_similarity
from mirnagraph.similarity.smith_waterman import AlignmentScores, mature_similarity, smith_waterman

SEQUENCE = st.one_of(st.none(), st.text("ACGUNTacgt", min_size=1, max_size=25))
SCORES = st.builds(
    lambda match, mismatch, extend, more: AlignmentScores(match, -mismatch, extend + more, extend),
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(0, 20),
    st.integers(0, 40),
)
ASSOCIATIONS = hnp.arrays(
    np.float64, st.tuples(st.integers(0, 8), st.just(5)), elements=st.sampled_from([0.0, 0.0, 1.0])
)
NUMBERS = [f"C{a}{b}{c}" for a in (1, 2) for b in ("", ".1", ".2") for c in ("", ".5")]
ONTOLOGY = st.lists(st.sampled_from("ABCDEF"), min_size=len(NUMBERS), max_size=len(NUMBERS)).map(
    lambda names: pd.DataFrame({"tree_number": NUMBERS, "descriptor_id": names})
)


def flaws(array: np.ndarray) -> list[str]:
    """What keeps an array from being a similarity; empty where nothing does."""
    asked = {
        "float64": array.dtype == np.float64,
        "symmetric": (array == array.T).all(),
        "diagonal 1": (array.diagonal() == 1).all(),
        "in [0, 1]": ((array >= 0) & (array <= 1)).all(),
    }
    return [f"not {name}" for name, holds in asked.items() if not holds]


def shuffled(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(n)


@settings(max_examples=60, deadline=None)
@given(st.lists(SEQUENCE, max_size=6), SCORES, st.integers(0, 2**31))
def test_smith_waterman(sequences: list[str | None], scores: AlignmentScores, seed: int) -> None:
    result = smith_waterman(sequences, scores)
    assert not flaws(result)
    order = shuffled(len(sequences), seed)
    assert (
        smith_waterman([sequences[i] for i in order], scores, workers=2).tolist()
        == result[np.ix_(order, order)].tolist()
    )
    assert smith_waterman(sequences, scores, engine="parasail").tolist() == result.tolist()
    as_dna = [text and text.upper().replace("U", "T") for text in sequences]
    assert smith_waterman(as_dna, scores).tolist() == result.tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.text("ACGU", min_size=1, max_size=12), max_size=3), max_size=5),
    st.integers(0, 2**31),
)
def test_matures(groups: list[list[str]], seed: int) -> None:
    result = mature_similarity(groups)
    assert not flaws(result)
    order = shuffled(len(groups), seed)
    assert (
        mature_similarity([groups[i][::-1] for i in order]).tolist()
        == result[np.ix_(order, order)].tolist()
    )


@settings(max_examples=60, deadline=None)
@given(
    ONTOLOGY,
    st.lists(st.lists(st.sampled_from("ABCDEF"), max_size=3), max_size=6),
    st.floats(0.05, 1),
    st.integers(0, 2**31),
    st.data(),
)
def test_disease_semantic(
    tree: pd.DataFrame, groups: list[list[str]], decay: float, seed: int, data: st.DataObject
) -> None:
    known = set(tree["descriptor_id"])
    cells = [";".join(name for name in group if name in known) for group in groups]
    method = data.draw(st.sampled_from(["wang", "gtmaloc"]))
    result = disease_semantic_similarity(
        tree, pd.Series(cells, dtype=object), decay=decay, method=method
    )
    assert not flaws(result)
    order = shuffled(len(cells), seed)
    again = disease_semantic_similarity(
        tree.sample(frac=1, random_state=seed),
        pd.Series([cells[i] for i in order], dtype=object),
        decay=decay,
        method=method,
    )
    np.testing.assert_allclose(again, result[np.ix_(order, order)], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    ASSOCIATIONS,
    hnp.arrays(np.float64, (5, 5), elements=st.floats(0, 1)),
    st.floats(0, 1),
    st.integers(0, 2**31),
)
def test_functional_gip_and_blend(
    associations: np.ndarray, diseases: np.ndarray, lambda_: float, seed: int
) -> None:
    diseases = np.maximum(diseases, diseases.T)
    np.fill_diagonal(diseases, 1.0)
    gip = gip_similarity(associations)
    assert not flaws(gip)
    rows, columns = shuffled(len(associations), seed), shuffled(5, seed + 1)
    for method in ("best_match", "gtmaloc"):
        result = functional_similarity(associations, diseases, method=method)
        assert not flaws(result)
        assert not flaws(blend(result, gip, lambda_=lambda_))
        again = functional_similarity(
            associations[rows][:, columns], diseases[np.ix_(columns, columns)], method=method
        )
        np.testing.assert_allclose(again, result[np.ix_(rows, rows)], atol=1e-12)
        empty = ~associations.any(axis=1)
        assert result[empty].sum() == empty.sum()
    np.testing.assert_allclose(
        gip_similarity(associations[rows][:, columns]), gip[np.ix_(rows, rows)], atol=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32, st.integers(0, 7).map(lambda n: (n, n)), elements=st.floats(0, 1, width=32)
    ),
    st.floats(0, 0.99),
    st.integers(1, 9),
)
def test_sparsified(values: np.ndarray, threshold: float, k: int) -> None:
    similarity = np.maximum(values, values.T)
    for matrix in (cut_off(similarity, threshold), top_k(similarity, k)):
        dense = matrix.toarray()
        assert (dense == dense.T).all()
        assert not dense.diagonal().any()
        assert (matrix.data > 0).all()
        assert matrix.has_sorted_indices
        assert (dense[dense > 0] == similarity[dense > 0]).all()
    above = (similarity > np.float32(threshold)) & ~np.eye(len(similarity), dtype=bool)
    assert (cut_off(similarity, threshold, weighted=False).toarray() == above).all()
    possible = (similarity > 0).sum(axis=1) - (similarity.diagonal() > 0)
    assert (np.diff(top_k(similarity, k).indptr) >= np.minimum(k, possible)).all()
