"""Inputs of the baselines and their simplest predictions, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fusion.baselines.models import frequency, nearest
from fusion.data.baseline_inputs import baseline_inputs, flat_tokens, name_features, partner_counts
from mirnagraph.dataset import Dataset
from mirnagraph.networks.network import Network, NetworkSet


def networks() -> NetworkSet:
    """Four RNAs: a has the drugs x and y, b has x, c has y, d none; c alone has an lncRNA."""
    index = pd.Index(["n-mir-1", "n-mir-2", "n-let-3", "n-let-10"], name="rna_id", dtype=object)
    rnas = pd.DataFrame({"sequence": ["ACGU", "ACGU", "GG", None]}, index=index)
    a, b, c, _ = index
    kinds = {
        "drug": pd.DataFrame({"rna_id": [a, a, b, c], "partner_id": ["x", "y", "x", "y"]}),
        "lncRNA": pd.DataFrame({"rna_id": [c], "partner_id": ["l"]}),
    }
    partners = {
        "drug": pd.DataFrame(index=pd.Index(["x", "y"], dtype=object)),
        "lncRNA": pd.DataFrame(index=pd.Index(["l"], dtype=object)),
    }
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=index)
    dataset = Dataset("hand", rnas, kinds, partners, labels, supporting=("lncRNA",))
    drug = Network(
        "drug", dataset.index, dataset.partner_index("drug"), dataset.association_matrix("drug")
    )
    sequence = np.array([[1, 0.5, 0.25, 0], [0.5, 1, 0, 0], [0.25, 0, 1, 0], [0, 0, 0, 1]])
    alike = Network("sequence", dataset.index, None, sparse.csr_array((4, 4)))
    return NetworkSet(dataset, {"sequence": alike, "drug": drug}, {"sequence": sequence})


def test_popularity_is_the_log_of_the_number_of_partners() -> None:
    given = networks()
    assert partner_counts(given.dataset).to_numpy().tolist() == [[2], [1], [1], [0]]
    inputs = baseline_inputs(given, np.arange(4))
    assert inputs.kinds == ("drug",)
    # log 3 = 1.098612, log 2 = 0.693147
    expected = [[1.098612], [0.693147], [0.693147], [0]]
    np.testing.assert_allclose(inputs.counts, expected, atol=1e-6)
    both = partner_counts(replace(given.dataset, supporting=()))
    assert both.to_numpy().tolist() == [[2, 0], [1, 0], [1, 1], [0, 0]]


def test_neighbours_are_looked_for_in_stored_similarities_and_partners() -> None:
    inputs = baseline_inputs(networks(), np.arange(4))
    assert list(inputs.similarities) == ["sequence", "cosine_drug"]
    assert inputs.similarities["sequence"][0].tolist() == [0, 0.5, 0.25, 0]
    # x and y are of two RNAs each, equally rare: cosines 1 / sqrt(2), 1 / sqrt(2), 0
    expected = [0, 0.707107, 0.707107, 0]
    np.testing.assert_allclose(inputs.similarities["cosine_drug"][0], expected, atol=1e-6)


def test_the_tokens_that_a_dataset_has() -> None:
    logistic, trees = flat_tokens(networks())
    assert logistic == (
        "svd:drug",
        "svd_similarity:sequence",
        "evidence:drug",
        "evidence:lncRNA",
        "covariates",
        "kmer",
        "degree",
    )
    assert trees == ("profile:drug", *logistic)


def test_numbers_and_prefixes_of_names() -> None:
    # first numbers 1, 2, 3, 10 and none: log 2, log 3, log 4, log 11 = 2.397895, 0
    found = name_features(["n-MIR-1", "n-mir-2-5", "n-let-3", "n-let-10", "other"])
    np.testing.assert_allclose(found[:, 0], [0.693147, 1.098612, 1.386294, 2.397895, 0], atol=1e-6)
    assert found[:, 1].tolist() == [1, 1, 1, 1, 0]
    # prefixes of two RNAs each, in the order of the alphabet, without case; "other" is alone
    assert found[:, 2:].tolist() == [[0, 1], [0, 1], [1, 0], [1, 0], [0, 0]]


def test_the_most_frequent_prefixes_come_first_and_are_eight_at_most() -> None:
    names = [f"{letter}{number}" for letter in "abcdefghij" for number in (1, 2)]
    found = name_features([*names, "j3"])
    assert found.shape == (21, 10)
    # j of three RNAs first, then a to g; h and i are left out
    assert found[:, 2:].sum(axis=0).tolist() == [3, 2, 2, 2, 2, 2, 2, 2]
    assert found[0, 2:].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert found[14:18, 2:].sum() == 0
    assert found[20, 2:].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_frequency_and_neighbours() -> None:
    inputs = baseline_inputs(networks(), np.arange(4))
    labels = np.array([[1.0], [0], [1], [np.nan]])
    train = np.array([1, 2])
    # of b and c one is annotated
    assert frequency(inputs, labels, train, np.array([0, 3]), 0).tolist() == [[0.5], [0.5]]
    # a by sequence: (0.5 x 0 + 0.25 x 1) / 0.75 = 0.333333; by partners: 0.5, both at 0.707107;
    # mean 0.416667 d has no neighbour: the share of the training rows
    found = nearest(inputs, labels, train, np.array([0, 3]), 0)
    np.testing.assert_allclose(found, [[0.416667], [0.5]], atol=1e-6)
    # three training rows: b sees a at 0.5, c at 0, hence a alone: 1; by partners a at 0.707107: 1
    found = nearest(inputs, labels, np.array([0, 1, 2]), np.array([1]), 0)
    assert found[0, 0] == pytest.approx(1)
