"""Tokens of networks that store the nearest RNAs of each: equal to those of dense similarities."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import sparse

from fusion.tokens.builders import build_tokens, similar_counts
from fusion.tokens.embeddings import _node_features
from fusion.tokens.nearest import nearest_rows, nearest_tokens
from fusion.tokens.neighbours import (
    neighbour_labels,
    neighbour_profile_tokens,
    neighbour_similarity,
    neighbour_tokens,
)
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import NetworkConfig, build_networks
from mirnagraph.networks.network import NetworkSet
from mirnagraph.synthetic import make_dataset

N_RNAS = 40

NAMES = ("sequence", "functional", "gip", "gip_mRNA", "cosine_drug", "mature")

TRAIN = np.arange(0, N_RNAS, 2)


@pytest.fixture(scope="module")
def dense() -> NetworkSet:
    return build_networks(make_dataset(N_RNAS, seed=2), workers=1)


@pytest.fixture(scope="module")
def stored(dense: NetworkSet) -> NetworkSet:
    """All other RNAs of each are stored: nothing is lost."""
    config = NetworkConfig(dense_below=10, nearest=N_RNAS - 1)
    return build_networks(dense.dataset, config, workers=1)


@pytest.fixture
def labels(dense: NetworkSet) -> np.ndarray:
    return dense.dataset.labels.to_numpy(dtype=float)


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_are_those_of_the_dense_similarity(
    dense: NetworkSet, stored: NetworkSet, labels: np.ndarray, name: str
) -> None:
    expected = neighbour_similarity(dense, name)
    found = neighbour_similarity(stored, name)
    assert isinstance(found, sparse.csr_array)
    assert found.dtype == expected.dtype == np.float32
    assert (found.toarray() == expected).all()
    for k in (3, 100):
        np.testing.assert_allclose(
            neighbour_labels(found, labels, TRAIN, k),
            neighbour_labels(expected, labels, TRAIN, k),
            atol=1e-6,
        )
        rows, weights = nearest_rows(found, TRAIN, k)
        expected_rows, expected_weights = nearest_rows(expected, TRAIN, k)
        assert (rows == expected_rows).all()
        assert (weights == expected_weights).all()
        assert (rows.dtype, weights.dtype) == (np.int64, np.float32)


def test_rows_that_are_not_allowed_have_no_weight(
    dense: NetworkSet, stored: NetworkSet, labels: np.ndarray
) -> None:
    allowed = np.ones((N_RNAS, N_RNAS), dtype=bool)
    allowed[:, TRAIN[::3]] = False
    found = neighbour_labels(stored.similarities["sequence"], labels, TRAIN, 2, allowed)
    similarity = neighbour_similarity(dense, "sequence")
    expected = neighbour_labels(similarity, labels, TRAIN, 2, allowed)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_averages_over_stored_neighbours_by_hand() -> None:
    """Row 0 has the training rows 1 (0.5) and 2 (0.25) of labels 1 and 0; row 3 has none."""
    similarity = sparse.csr_array(
        np.array([[0, 0.5, 0.25, 0.75], [0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 0]])
    )
    values = np.array([[0.0], [1.0], [0.0], [1.0]])
    found = neighbour_labels(similarity, values, np.array([1, 2]), 2)
    np.testing.assert_allclose(found[0], [2 / 3, 0.75, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found[3], [0.5, 0, 0])
    found = neighbour_labels(similarity, values, np.array([1, 2]), 1)
    np.testing.assert_allclose(found[0], [1, 0.5, 0.5])
    rows, weights = nearest_rows(similarity, np.array([1, 2]), 2)
    assert rows.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0]]
    assert weights.tolist() == [[0.5, 0.25], [0, 0], [0, 0], [0, 0]]


def test_tokens_of_a_fold_are_those_of_the_dense_similarity(
    dense: NetworkSet, stored: NetworkSet, labels: np.ndarray
) -> None:
    index = dense.dataset.index
    profiles = {"drug": np.random.default_rng(0).random((N_RNAS, 4)).astype(np.float32)}
    tables = []
    for networks in (dense, stored):
        similarity = neighbour_similarity(networks, "sequence")
        tables.append(
            neighbour_tokens(index, {"sequence": similarity}, labels, TRAIN, 5)
            + nearest_tokens(index, {"sequence": similarity}, TRAIN, 5)
            + neighbour_profile_tokens(index, similarity, profiles, TRAIN, 5)
        )
    for expected, found in zip(*tables, strict=True):
        assert found.name == expected.name
        np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
        assert (found.present == expected.present).all()


def test_label_free_tokens_are_those_of_the_dense_similarity(
    dense: NetworkSet, stored: NetworkSet, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["n_similar", "svd_similarity:sequence", "svd_similarity:gip"]
    with caplog.at_level(logging.WARNING):
        expected, found = (build_tokens(networks, names) for networks in (dense, stored))
    for name in names:
        assert (found[name].present == expected[name].present).all()
        np.testing.assert_allclose(found[name].values, expected[name].values, atol=1e-3)
    assert "token 'svd_similarity:gip': SVD of the nearest RNAs of each" in caplog.text
    vectors = np.zeros((N_RNAS + 3, 2), dtype=np.float32)
    np.testing.assert_allclose(
        _node_features(stored, vectors), _node_features(dense, vectors), atol=1e-3
    )


def test_what_an_svd_leaves_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    """Four pairs of RNAs, (1, 0.5; 0.5, 1) each: singular values four times 1.5 and 0.5.

    With four components 4 * 0.25 of 4 * 2.5 is left.
    """
    from dataclasses import replace

    from fusion.tokens.table import BuildSettings

    data = make_dataset(20, seed=1)
    networks = build_networks(data, NetworkConfig(("sequence",), dense_below=10))
    matrix = np.zeros((20, 20), dtype=np.float32)
    for first in range(0, 8, 2):
        matrix[first, first + 1] = 0.5
    similar = replace(networks, similarities={"sequence": sparse.csr_array(matrix)})
    with caplog.at_level(logging.WARNING):
        token = build_tokens(similar, ["svd_similarity:sequence"], BuildSettings(4))[
            "svd_similarity:sequence"
        ]
    assert "4 components leave 10.0% of the squared similarity" in caplog.text
    assert token.present.tolist() == [row < 8 for row in range(20)]


def test_stored_neighbours_are_counted_alone() -> None:
    similarity = sparse.csr_array(np.array([[0, 0.9, 0.3], [0.9, 0, 0], [0, 0, 0]]))
    found = np.expm1(similar_counts(similarity))
    np.testing.assert_allclose(found, [[2, 1, 1, 1, 1], [1] * 5, [0] * 5], atol=1e-6)


def test_a_similarity_of_nothing_is_refused(stored: NetworkSet) -> None:
    with pytest.raises(ConfigError, match="no similarity 'jaccard_drug'; available: sequence"):
        neighbour_similarity(stored, "jaccard_drug")
