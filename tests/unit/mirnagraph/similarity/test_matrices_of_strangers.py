"""Numbers too large to be squared, short circles, tables of diseases with blanks and gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mirnagraph.embedding.factorization import proximity_embedding, svd_scores
from mirnagraph.errors import ArgumentError, ConfigError, InputError
from mirnagraph.similarity.disease import (
    descriptor_graph,
    disease_semantic_similarity,
    functional_similarity,
)
from mirnagraph.similarity.kmer import KmerConfig, kmer_similarity
from mirnagraph.similarity.profile import correlation_similarity, cosine, gip_similarity
from mirnagraph.walks.graph import walk_graph
from mirnagraph.walks.rounds import walk_rounds

ROWS = np.array([[1.0, 0, 1], [1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("factor", [1e-170, 1.0, 1e200])
def test_a_cosine_and_a_correlation_know_no_unit(factor: float) -> None:
    assert cosine(ROWS * factor)[0] == pytest.approx([1, 0.5, 0])
    # centred 1, -2, 1 and 1, 1, -2: -3 / 6 is below 0; of the second with 2, 2, -4 it is 1
    profiles = np.array([[1.0, 1, -2], [2, 2, -4], [1, -2, 1]])
    if factor >= 1:
        found = correlation_similarity(profiles * factor, method="pearson")
        assert found.tolist() == pytest.approx(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gip_similarity(ROWS * 1e200), InputError, "too large to be squared; found 1e"),
        (lambda: gip_similarity(ROWS, gamma=np.inf), ConfigError, "'gamma' is inf"),
        (lambda: gip_similarity(ROWS, gamma=np.nan), ConfigError, "'gamma' is nan"),
    ],
)
def test_a_kernel_without_a_number_is_refused(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("length", "k"), [(4, 4), (5, 4), (4, 7), (8, 11), (10, 11), (12, 11)])
def test_where_a_circle_is_cut_does_not_matter(length: int, k: int) -> None:
    circle = "ACGGAUUCAGCA"[:length]
    turned = [circle[at:] + circle[:at] for at in range(length)]
    found = kmer_similarity(turned, KmerConfig(k=k), circular=[True] * length)
    # a circle shorter than k has no k-mer, so it is like no other one
    expected = np.ones((length, length)) if length >= k else np.eye(length)
    assert np.allclose(found, expected)


TREE = pd.DataFrame(
    [("C1", "r"), ("C1.1", "a"), ("C1.2", "b")], columns=["tree_number", "descriptor_id"]
)


def test_blanks_and_capitals_of_tree_numbers() -> None:
    written = pd.DataFrame(
        {"tree_number": ["C1 ", "c1.1", " C1.2"], "descriptor_id": [" r", "a ", "b"]}
    )
    for table in (TREE, written, written.astype("string"), written.astype("category")):
        # r counts .5 in both of 1.5
        found = disease_semantic_similarity(table, ["a", "b"])
        assert found.tolist() == pytest.approx(np.array([[1, 1 / 3], [1 / 3, 1]]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((None, "c"), r"an empty cell \(row 3\)"),
        (("C2", float("nan")), r"column 'descriptor_id': an empty cell \(row 3\)"),
        (("C1.1 ", "c"), "one tree number with two descriptors"),
        (("c1.1", "c"), "one tree number with two descriptors"),
    ],
)
def test_tree_numbers_that_say_nothing(row: tuple[object, object], message: str) -> None:
    table = pd.concat([TREE, pd.DataFrame([row], columns=TREE.columns)])
    with pytest.raises(InputError, match=message):
        disease_semantic_similarity(table, ["a"])
    with pytest.raises(ArgumentError, match="descriptor_graph: ontology is None"):
        descriptor_graph(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("semantic", "message"),
    [
        ([[1, 2], [2, 1]], r"a number of semantic is no similarity \(row 0, column 1\)"),
        ([[1, -0.5], [-0.5, 1]], "is no similarity"),
        ([[1, 0.5], [0.4, 1]], r"semantic is not symmetric \(row 0, column 1\); found 0.5 and 0.4"),
        ([[1, 0.5], [0.5, 0]], r"a disease is not similar to itself \(row 1\); found 0.0"),
    ],
)
@pytest.mark.parametrize("method", ["best_match", "gtmaloc"])
def test_diseases_need_a_similarity(semantic: list[list[float]], message: str, method: str) -> None:
    with pytest.raises(InputError, match=message):
        functional_similarity(np.eye(2), np.array(semantic), method=method)


def test_weights_and_settings_of_walks() -> None:
    from scipy import sparse

    one_way = sparse.csr_array(([1.0], ([0], [1])), shape=(2, 2))
    with pytest.raises(InputError, match="weights of a network must be numbers; found complex"):
        walk_graph(one_way * 1j)
    twice = sparse.coo_array(([1e308, 1e308], ([0, 0], [1, 1])), shape=(2, 2))
    with pytest.raises(InputError, match="no finite number of 0 or more; found inf"):
        walk_graph(twice)
    good = {"n_walks": 1, "walk_length": 2, "p": 1.0, "q": 1.0, "seed": 0}
    assert next(walk_rounds(walk_graph(one_way), **good)).shape == (2, 2)
    for name, value in (("p", 0.0), ("q", np.nan), ("p", -1.0), ("walk_length", 0)):
        with pytest.raises(ConfigError, match=f"'{name}' is"):
            next(walk_rounds(walk_graph(one_way), **{**good, name: value}))


def test_components_of_a_table_of_numbers() -> None:
    table = np.array([[2.0, 0, 0], [0, 1, 0], [0, 0, 0.5]])
    assert np.abs(svd_scores(table.tolist(), 2)) == pytest.approx(  # type: ignore[arg-type]
        np.array([[2, 0], [0, 1], [0, 0]]), abs=1e-6
    )
    with pytest.raises(InputError, match="a number of matrix is not finite"):
        svd_scores(table * np.nan, 2)
    with pytest.raises(ConfigError, match="'dim' is 0"):
        svd_scores(table, 0)
    with pytest.raises(ArgumentError, match="proximity_embedding: config is"):
        proximity_embedding(None, {"dim": 2})  # type: ignore[arg-type]
