"""Labels across an association network and embeddings of partners, worked by hand."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from fusion.config import TowerSettings
from fusion.tokens.neighbours import partner_label_tokens
from fusion.tokens.partners import partner_embedding, partner_means
from mirnagraph.nodes import NodeIndex

INDEX = NodeIndex.of(["a", "b", "m", "n", "o"], "RNA")
# RNA a has the partners x and y, b has x; nobody has z
DRUG = sparse.csr_array(np.array([[1.0, 1, 0], [1, 0, 0]]))
# m is the partner x, n is y, o is none
LINK = np.array([0, 1, -1])
LABELS = np.array([[1.0, np.nan], [np.nan, np.nan], [1, 1], [0, np.nan], [1, 0]])
TRAIN = np.array([0, 2, 3])


def test_log_odds_of_the_labels_on_the_other_side() -> None:
    tokens = partner_label_tokens(INDEX, {"drug": DRUG}, {"drug": LINK}, LABELS, TRAIN)
    found = tokens["partner_labels:drug"]
    # first label, of a, m and n: share (2 + 0.5) / (3 + 1) = 0.625, log(0.625 / 0.375) = 0.510826 a
    # sees m and n: (1 + 0.625) / (2 + 1) = 0.541667, log odds 0.167054, less 0.510826 is -0.343772
    # b sees m: (1 + 0.625) / (1 + 1) = 0.8125, log odds 1.466337, less 0.510826 is 0.955511 m sees
    # a (b is not in the training rows), n sees a: as b
    expected = [-0.343772, 0.955511, 0.955511, 0.955511, 0]
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-5)
    # second label, of m alone: share (1 + 0.5) / (1 + 1) = 0.75, log 3 = 1.098612 a sees m, n is
    # unknown: (1 + 0.75) / 2 = 0.875, log 7 = 1.945910, less 1.098612 is 0.847298; b alike m and n
    # see a, whose label is not known: 0
    np.testing.assert_allclose(found.values[:, 1], [0.847298, 0.847298, 0, 0, 0], atol=1e-5)
    # training RNAs seen, whatever is known of them: 2, 1, 1, 1, 0; log 3 = 1.098612, log 2 =
    # 0.693147
    expected = [1.098612, 0.693147, 0.693147, 0.693147, 0]
    np.testing.assert_allclose(found.values[:, 2], expected, atol=1e-5)
    assert found.present.tolist() == [True, True, True, True, False]


def test_no_training_rna_on_the_other_side_is_an_absent_token() -> None:
    tokens = partner_label_tokens(INDEX, {"drug": DRUG}, {"drug": LINK}, LABELS, np.array([0, 4]))
    found = tokens["partner_labels:drug"]
    # only a and o are trained on: a and b see neither m nor n
    assert found.present.tolist() == [False, False, True, True, False]
    assert found.values[:2].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_weights_of_associations_are_not_read() -> None:
    heavy = DRUG * 5
    one = partner_label_tokens(INDEX, {"drug": DRUG}, {"drug": LINK}, LABELS, TRAIN)
    other = partner_label_tokens(INDEX, {"drug": heavy}, {"drug": LINK}, LABELS, TRAIN)
    np.testing.assert_array_equal(one.flat(), other.flat())


def test_log_odds_are_clipped_at_three() -> None:
    # one RNA with three labelled partners among 61 training RNAs, the others of which have no label
    # 1: share 3.5 / 62 = 0.056452; (3 + 0.056452) / 4 = 0.764113: log odds 1.175437 + 2.816239 =
    # 3.991676
    n = 61
    labels = np.zeros((n + 1, 2))
    labels[1:4, 0] = 1
    labels[1:, 1] = 1
    labels[1:4, 1] = 0
    link = np.full(n, -1)
    link[:3] = [0, 1, 2]
    drug = sparse.csr_array(np.ones((1, 3)))
    index = NodeIndex.of([f"r{number}" for number in range(n + 1)], "RNA")
    tokens = partner_label_tokens(
        index, {"drug": drug}, {"drug": link}, labels, np.arange(1, n + 1)
    )
    # the second label is the first the other way round; log 4 = 1.386294
    expected = [3, -3, 1.386294]
    np.testing.assert_allclose(tokens["partner_labels:drug"].values[0], expected, atol=1e-5)


def test_kmers_of_partners_are_centred_and_scaled() -> None:
    # A, AA, AAA, AAAA and C, CC, CCC, CCCC have 1, 1, 0 or 0, 0, 1: mean 2 / 3, standard deviation
    # 0.471405, hence +-(0.707107, 0.707107, -1.414214) in eight columns; the length does not vary
    # and adds nothing. One component: -0.707107 sqrt(8) = -2 twice, 1.414214 sqrt(8) = 4, the
    # largest made positive
    found = partner_embedding(["AAAA", "AAAA", "CCCC"], TowerSettings(dim=1))
    np.testing.assert_allclose(found, [[-2], [-2], [4]], atol=1e-5)


def test_the_length_of_partners_is_one_more_column_on_a_log_scale() -> None:
    # the frequencies are equal, log lengths log 4, log 4 and log 16 are 1, 1 and 2 in units of log
    # 4; centred and scaled: -0.707107, -0.707107, 1.414214
    found = partner_embedding(["AAAA", "AAAA", "A" * 16], TowerSettings(dim=1))
    np.testing.assert_allclose(found, [[-0.707107], [-0.707107], [1.414214]], atol=1e-5)
    # log 4, log 8 and log 16 are 2, 3 and 4 in units of log 2: centred and scaled -1.224745, 0,
    # 1.224745
    found = partner_embedding(["AAAA", "A" * 8, "A" * 16], TowerSettings(dim=1))
    np.testing.assert_allclose(np.abs(found[:, 0]), [1.224745, 0, 1.224745], atol=1e-5)


def test_means_count_an_association_once_whatever_its_weight() -> None:
    matrix = sparse.csr_array(np.array([[5.0, 0], [1, 0], [0, 2]]))
    mean, n = partner_means(matrix, np.array([[1.0], [4], [7]]), np.array([0, 1]))
    assert mean.tolist() == [[2.5], [0]]
    assert n.tolist() == [2, 0]
