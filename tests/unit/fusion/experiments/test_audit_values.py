"""Facts of an audit that need more than one kind or compartment, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fusion.experiments.audit_facts import (
    auc_standard_error,
    compartment_pairs,
    count_correlations,
    duplicate_metrics,
)
from mirnagraph.dataset import Dataset


def test_every_two_compartments_are_compared() -> None:
    labels = pd.DataFrame({"P": [1, 1, 1, 0, 0], "Q": [1, 0, 0, 1, 0], "R": [0, 0, 0, 1, 1]})
    table = compartment_pairs(labels)
    assert table[["first", "second"]].to_numpy().tolist() == [["P", "Q"], ["P", "R"], ["Q", "R"]]
    # both over either: 1 / 4, 0 / 5, 1 / 3
    assert table["jaccard"].tolist() == pytest.approx([0.25, 0, 0.333333], abs=1e-6)
    # (n both - a b) / sqrt(a (n - a) b (n - b)): (5 - 6) / 6 = -0.166667; (0 - 6) / 6 = -1; (5 - 4)
    # / 6 = 0.166667
    assert table["phi"].tolist() == pytest.approx([-0.166667, -1, 0.166667], abs=1e-6)


def test_duplicates_of_three_rnas_are_three_pairs() -> None:
    together = np.zeros((5, 5))
    together[np.ix_([0, 1, 2], [0, 1, 2])] = 2
    np.fill_diagonal(together, 0)
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    found = duplicate_metrics(sparse.csr_array(together), labels, np.array([0, 1, 1, -1, 0]))
    # pairs (0, 1), (0, 2), (1, 2): in different folds the first two, of equal labels the first
    assert found["rnas"] == 3
    assert found["pairs"] == 3
    assert found["pairs apart"] == 2
    assert found["same labels"] == pytest.approx(0.333333, abs=1e-6)
    # label sets of 2 and 3 RNAs: (2 x 1 + 3 x 2) / (5 x 4) = 0.4
    assert found["same labels, any two RNAs"] == pytest.approx(0.4)


def test_counts_of_partners_against_counts_of_compartments() -> None:
    index = pd.Index(["a", "b", "c", "d"], name="rna_id", dtype=object)
    rnas = pd.DataFrame({"sequence": ["ACGU"] * 4}, index=index)
    names = pd.Index(["x", "y", "z"], dtype=object)
    kinds = {
        "drug": pd.DataFrame({"rna_id": list("aaabbc"), "partner_id": list("xyzxyx")}),
        "mRNA": pd.DataFrame({"rna_id": list("dddc"), "partner_id": list("xyzx")}),
        "gene": pd.DataFrame({"rna_id": list("abcd"), "partner_id": list("xxxx")}),
    }
    partners = {kind: pd.DataFrame(index=names) for kind in kinds}
    labels = pd.DataFrame({"P": [1, 1, 1, 0], "Q": [1, 0, 0, 0], "R": [1, 1, 0, 0]}, index=index)
    found = count_correlations(Dataset("hand", rnas, kinds, partners, labels))
    # compartments 3, 2, 1, 0. drug 3, 2, 1, 0: the same order, 1
    assert found["drug"] == pytest.approx(1)
    # mRNA 0, 0, 1, 3: ranks 1.5, 1.5, 3, 4 against 4, 3, 2, 1: deviations -1, -1, 0.5, 1.5 and 1.5,
    # 0.5, -0.5, -1.5: -4.5 / sqrt(4.5 x 5) = -0.948683
    assert found["mRNA"] == pytest.approx(-0.948683, abs=1e-6)
    # gene never varies
    assert np.isnan(found["gene"])
    # sums 4, 3, 3, 4: ranks 3.5, 1.5, 1.5, 3.5: deviations 1, -1, -1, 1: 1.5 - 0.5 + 0.5 - 1.5 = 0
    assert found["all kinds together"] == pytest.approx(0, abs=1e-12)


def test_the_standard_error_of_chance_is_a_mean_over_compartments() -> None:
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    # sqrt(5 / (12 x 2 x 2)) = 0.322749, sqrt(5 / (12 x 1 x 3)) = 0.372678, mean 0.347713; the third
    # has one class
    assert auc_standard_error(labels) == pytest.approx(0.347713, abs=1e-6)
