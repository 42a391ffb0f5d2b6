"""Similarities between RNAs and tokens of training neighbours, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fusion.tokens.neighbours import (
    neighbour_labels,
    neighbour_profile_tokens,
    neighbour_profiles,
    neighbour_similarity,
    neighbour_tokens,
)
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.nodes import NodeIndex

STORED = np.array(
    [[1, 0.5, 0.25, 0], [0.5, 1, 0, 0], [0.25, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32
)


def networks() -> NetworkSet:
    """RNA a has the partners x and y, b has x, c has y and z, d has none."""
    index = pd.Index(["a", "b", "c", "d"], name="rna_id", dtype=object)
    rnas = pd.DataFrame({"sequence": ["ACGU"] * 4}, index=index)
    drug = pd.DataFrame(
        {
            "rna_id": ["a", "a", "b", "c", "c"],
            "partner_id": ["x", "y", "x", "y", "z"],
            "n_records": [1, 3, 1, 1, 1],
            "reports": ["1", "2", "1;2", "2", "3"],
        }
    )
    partners = pd.DataFrame(index=pd.Index(["x", "y", "z"], name="partner_id", dtype=object))
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=index)
    dataset = Dataset("hand", rnas, {"drug": drug}, {"drug": partners}, labels)
    return NetworkSet(dataset, {}, {"sequence": STORED.copy()})


def pairs_of(similarity: np.ndarray) -> list[float]:
    """The entries (a, b), (a, c) and (b, c), after a look at all others."""
    np.testing.assert_array_equal(similarity, similarity.T)
    np.testing.assert_array_equal(np.diagonal(similarity), 0)
    np.testing.assert_array_equal(similarity[3], 0)
    assert similarity.dtype == np.float32
    return [float(similarity[0, 1]), float(similarity[0, 2]), float(similarity[1, 2])]


def test_a_stored_similarity_loses_its_diagonal_alone() -> None:
    given = networks()
    assert pairs_of(neighbour_similarity(given, "sequence")) == [0.5, 0.25, 0]
    np.testing.assert_array_equal(given.similarities["sequence"], STORED)


def test_the_profile_kernel_of_associations() -> None:
    # squared norms 2, 1, 2, 0, mean 1.25, so exp(-0.8 d); distances 1, 2 and 3:
    # exp(-0.8) = 0.449329, exp(-1.6) = 0.201897, exp(-2.4) = 0.090718
    found = neighbour_similarity(networks(), "gip_drug")
    assert pairs_of(found) == pytest.approx([0.449329, 0.201897, 0.090718], abs=1e-6)


def test_cosine_weights_rare_partners_more() -> None:
    # four RNAs: x and y of two each, log(5 / 3) = 0.510826, z of one, log(5 / 2) = 0.916291
    # a = (0.510826, 0.510826, 0), b = (0.510826, 0, 0), c = (0, 0.510826, 0.916291):
    # 1 / sqrt(2) = 0.707107; 0.510826 / (1.414214 x 1.049069) = 0.344315; 0
    found = neighbour_similarity(networks(), "cosine_drug")
    assert pairs_of(found) == pytest.approx([0.707107, 0.344315, 0], abs=1e-6)


def test_weighted_cosine_reads_the_log_of_the_records() -> None:
    # log(1 + 3) = 2 log(1 + 1), so a is along (1, 2, 0), b (1, 0, 0), c (0, 1, 1):
    # 1 / sqrt(5) = 0.447214; 2 / sqrt(5 x 2) = 0.632456; 0
    found = neighbour_similarity(networks(), "weighted_drug")
    assert pairs_of(found) == pytest.approx([0.447214, 0.632456, 0], abs=1e-6)


def test_cosine_of_reports_leaves_out_those_of_one_rna() -> None:
    # report 1 names a and b, log(5 / 3) = 0.510826; 2 names a, b and c, log(5 / 4) = 0.223144; 3
    # names c alone a and b are equal: 1; with c: 0.223144 / sqrt(0.510826^2 + 0.223144^2) =
    # 0.223144 / 0.557438 = 0.400303
    found = neighbour_similarity(networks(), "co_reported_drug")
    assert pairs_of(found) == pytest.approx([1, 0.400303, 0.400303], abs=1e-6)


@pytest.mark.parametrize("name", ["gip", "gip_mRNA", "jaccard_drug", "functional"])
def test_a_similarity_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        neighbour_similarity(networks(), name)


def test_ties_at_the_last_place_go_to_the_first_row() -> None:
    similarity = np.zeros((5, 5))
    similarity[4, :4] = [0.2, 0.5, 0.5, 0.5]
    labels = np.array([[0.0], [1], [0], [1], [np.nan]])
    train = np.array([0, 1, 2, 3])
    # of the three RNAs at 0.5 the first two are taken: (0.5 x 1 + 0.5 x 0) / 1
    found = neighbour_labels(similarity, labels, train, 2)
    np.testing.assert_allclose(found[4], [0.5, 1, 0.5])
    # rows follow `train`, whatever its order
    found = neighbour_labels(similarity, labels, train[::-1], 2)
    np.testing.assert_allclose(found[4], [0.5, 1, 0.5])
    # three of them: (1 + 0 + 1) / 3; all four: (0.2 x 0 + 0.5 + 0 + 0.5) / 1.7 = 0.588235
    found = neighbour_labels(similarity, labels, train, 3)
    np.testing.assert_allclose(found[4], [0.666667, 1.5, 0.5], atol=1e-6)
    found = neighbour_labels(similarity, labels, train, 4)
    np.testing.assert_allclose(found[4], [0.588235, 1.7, 0.5], atol=1e-6)


def test_the_own_row_counts_for_new_rnas_alone() -> None:
    similarity = np.array([[1, 0.25], [0.25, 1]])
    labels = np.array([[1.0], [0]])
    train = np.array([0, 1])
    # without itself each RNA has the other's label, of weight 0.25
    found = neighbour_labels(similarity, labels, train, 2)
    np.testing.assert_allclose(found, [[0, 0.25, 0.25], [1, 0.25, 0.25]])
    # new RNAs read both: (1 x 1 + 0.25 x 0) / 1.25 = 0.8
    found = neighbour_labels(similarity, labels, train, 2, is_new=True)
    np.testing.assert_allclose(found, [[0.8, 1.25, 1], [0.2, 1.25, 1]])


def similarity_of_seven() -> np.ndarray:
    """Six training RNAs that have no neighbour, and a seventh near four of them."""
    similarity = np.zeros((7, 7))
    similarity[6, [0, 1, 2, 3]] = [0.75, 0.25, 0.5, 0.5]
    return similarity


LABELS = np.array([[1.0, 0], [0, 1], [0, 1], [0, 1], [1, 1], [1, 1], [np.nan, np.nan]])
TRAIN = np.arange(6)
INDEX = NodeIndex.of(["a", "b", "c", "d", "e", "f", "g"], "RNA")


def test_log_odds_are_against_the_training_rows_and_halved() -> None:
    tokens = neighbour_tokens(INDEX, {"sequence": similarity_of_seven()}, LABELS, TRAIN, 4)
    found = tokens["neighbours:sequence"]
    # weights 0.75, 0.25, 0.5, 0.5, sum 2. First label: average 0.75 / 2 = 0.375 against 3 / 6:
    # log(0.385 / 0.635) = -0.500382, log(0.51 / 0.51) = 0, half the difference -0.250191
    # second label: average 1.25 / 2 = 0.625 against 5 / 6: log(0.635 / 0.385) = 0.500382,
    # log(0.843333 / 0.176667) = 1.563098, half the difference -0.531358
    # log(1 + 2) = 1.098612, log(1 + 0.75) = 0.559616
    np.testing.assert_allclose(
        found.values[6], [-0.250191, -0.531358, 1.098612, 0.559616], atol=1e-5
    )
    # without a neighbour the average is that of the training rows: no odds, no weight, absent
    np.testing.assert_allclose(found.values[:6], 0, atol=1e-6)
    assert found.present.tolist() == [False] * 6 + [True]


def test_log_odds_stay_finite_and_are_clipped_at_three() -> None:
    similarity = np.zeros((7, 7))
    similarity[6, 0] = 1
    rare = np.array([[1.0, 0, 1]] + [[0, 1, 0.5]] * 5 + [[np.nan] * 3])
    tokens = neighbour_tokens(INDEX, {"sequence": similarity}, rare, TRAIN, 4)
    # average 1 against 1 / 6: log(1.01 / 0.01) = 4.615121, log(0.176667 / 0.843333) = -1.563098,
    # half the difference 3.089110, above 3; average 0 against 5 / 6 is its negative; average 1
    # against 3.5 / 6: log(0.593333 / 0.426667) = 0.329752, half the difference 2.142684; log 2 =
    # 0.693147
    expected = [3, -3, 2.142684, 0.693147, 0.693147]
    np.testing.assert_allclose(tokens["neighbours:sequence"].values[6], expected, atol=1e-5)


def test_one_token_per_similarity_of_the_rnas_that_are_allowed() -> None:
    one = similarity_of_seven()
    allowed = np.ones((7, 7), dtype=bool)
    allowed[6, [1, 2, 3]] = False
    tokens = neighbour_tokens(INDEX, {"one": one, "two": one / 2}, LABELS, TRAIN, 4, allowed)
    assert [token.name for token in tokens] == ["neighbours:one", "neighbours:two"]
    # RNA a alone: log(1 + 0.75) = 0.559616 and log(1 + 0.375) = 0.318454, total and nearest alike
    np.testing.assert_allclose(tokens["neighbours:one"].values[6, 2:], [0.559616] * 2, atol=1e-6)
    np.testing.assert_allclose(tokens["neighbours:two"].values[6, 2:], [0.318454] * 2, atol=1e-6)


def test_profiles_to_carry_over_are_scores_of_training_rows() -> None:
    drug = sparse.csr_array(np.array([[1.0, 1, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1]]))
    mrna = sparse.csr_array(np.array([[0.0], [1], [1], [1]]))
    found = neighbour_profiles({"drug": drug, "mRNA": mrna}, np.array([0, 2, 3]), 2)
    # rows 0, 2 and 3: singular values 2 and 1 (2 / sqrt(2) = 1.414214); row 1 is not read
    expected = [[1.414214, 0], [0, 0], [1.414214, 0], [0, 1]]
    np.testing.assert_allclose(found["drug"], expected, atol=1e-6)
    # one column is too small for a component
    assert found["mRNA"].tolist() == [[0]] * 4
    assert found["drug"].dtype == np.float32


def test_profiles_are_averaged_over_the_nearest_training_rnas() -> None:
    profiles = {"drug": np.array([[2.0, -1], [4, 3], [9, 9]]), "mRNA": np.array([[1.0], [0], [9]])}
    similarity = np.array([[1, 0.5, 0.75], [0.5, 1, 0.75], [0, 0, 1]])
    index = NodeIndex.of(["a", "b", "c"], "miRNA")
    tokens = neighbour_profile_tokens(index, similarity, profiles, np.array([0, 1]), 2)
    # a and b read each other; c, which is in no training row, has no neighbour: the mean, absent
    assert tokens["neighbour_profile:drug"].values.tolist() == [[4, 3], [2, -1], [3, 1]]
    assert tokens["neighbour_profile:mRNA"].values.tolist() == [[0], [1], [0.5]]
    assert tokens["neighbour_profile:drug"].present.tolist() == [True, True, False]
    # a new RNA at 0.25 and 0.75: (0.25 x 2 + 0.75 x 4) / 1 = 3.5, (-0.25 + 2.25) / 1 = 2
    near = np.array([[0.25, 0.75, 0.5]])
    index = NodeIndex.of(["new"], "miRNA")
    tokens = neighbour_profile_tokens(index, near, profiles, np.array([0, 1]), 2, is_new=True)
    assert tokens["neighbour_profile:drug"].values.tolist() == [[3.5, 2]]
