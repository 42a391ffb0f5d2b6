"""Facts of an audit that need no model, worked by hand; its sentences follow the values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusion.experiments.audit import COLUMNS, SOURCES, Audit
from fusion.experiments.audit_facts import (
    NO_SEQUENCE,
    auc_standard_error,
    compartment_pairs,
    count_correlations,
    duplicate_metrics,
    duplicates,
    match_features,
    match_kinds,
    match_table,
)
from fusion.experiments.audit_report import conclusions, page
from mirnagraph.dataset import Dataset


def dataset_of(**columns: object) -> Dataset:
    ids = pd.Index(["a", "b", "c", "d"], name="rna_id", dtype=object)
    rnas = pd.DataFrame(
        {"sequence": ["ACG", "ACG", None, "UUU"], "matures": ["AC;CG", "CG", "AC", ""], **columns},
        index=ids,
        dtype=object,
    )
    pairs = pd.DataFrame(
        {"rna_id": ["a", "a", "a", "b", "b", "d"], "partner_id": ["x", "y", "z", "x", "y", "x"]}
    )
    partners = pd.DataFrame(index=pd.Index(["x", "y", "z"], name="partner_id", dtype=object))
    labels = pd.DataFrame({"P": [1, 1, 0, 0], "Q": [1, 1, 0, 1]}, index=ids, dtype=np.int8)
    return Dataset("hand", rnas, {"disease": pairs}, {"disease": partners}, labels)


def test_duplicates_by_whole_sequence_and_by_a_shared_mature() -> None:
    dataset = dataset_of()
    found = duplicates(dataset)
    labels = dataset.labels.to_numpy()
    whole = duplicate_metrics(found["sequence"], labels, np.array([0, 1, 0, 1]))
    # a and b are one pair, in two folds, of the same labels; of the six pairs of RNAs only
    # they have the same compartments
    assert whole == {
        "rnas": 2,
        "pairs": 1,
        "pairs apart": 1,
        "same labels": 1.0,
        "same labels, any two RNAs": pytest.approx(1 / 6),
    }
    mature = duplicate_metrics(found["mature"], labels, np.array([0, 0, -1, 1]))
    assert (mature["rnas"], mature["pairs"], mature["pairs apart"], mature["same labels"]) == (
        3,
        2,
        0,
        0.5,
    )
    assert list(duplicates(replace(dataset, rnas=dataset.rnas.drop(columns="matures")))) == [
        "sequence"
    ]
    nothing = duplicate_metrics(found["sequence"] * 0, labels, np.zeros(4, dtype=int))
    assert nothing["pairs"] == 0
    assert np.isnan(nothing["same labels"])


def test_compartments_that_are_nearly_the_same() -> None:
    row = compartment_pairs(dataset_of().labels).iloc[0]
    assert (row["first"], row["second"]) == ("P", "Q")
    assert row["jaccard"] == pytest.approx(2 / 3)
    assert row["phi"] == pytest.approx((2 * 1 - 0 * 1) / np.sqrt(2 * 2 * 3 * 1))
    constant = compartment_pairs(
        pd.DataFrame({"P": [1, 1], "Q": [0, 1], "R": [0, 0], "S": [0, 0]})
    ).set_index(["first", "second"])
    assert np.isnan(constant.loc[("P", "Q"), "phi"])
    assert np.isnan(constant.loc[("R", "S"), "jaccard"])


def test_kinds_of_match_and_what_they_give_away() -> None:
    assert list(match_kinds(dataset_of())) == [
        "sequence known",
        "sequence known",
        NO_SEQUENCE,
        "sequence known",
    ]
    dataset = dataset_of(match_kind=["exact", "retired", "", "exact"])
    assert list(match_kinds(dataset)) == ["exact", "retired", NO_SEQUENCE, "exact"]
    table = match_table(dataset)
    assert list(table.index) == ["exact", NO_SEQUENCE, "retired"]
    assert table.loc["exact"].tolist() == [2, 1.5, 0.0]
    assert table.loc[NO_SEQUENCE].tolist() == [1, 0.0, 1.0]
    np.testing.assert_array_equal(
        match_features(dataset), [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 0]]
    )


def test_counts_against_labels() -> None:
    # partners 3, 2, 0, 1; compartments 2, 2, 0, 1
    assert count_correlations(dataset_of())["disease"] == pytest.approx(
        np.corrcoef([4, 3, 1, 2], [3.5, 3.5, 1, 2])[0, 1]
    )
    assert list(count_correlations(replace(dataset_of(), supporting=("disease",)))) == []


def test_the_standard_error_of_chance() -> None:
    assert auc_standard_error(np.array([[1, 1], [1, 1], [0, 1], [0, 1]])) == pytest.approx(
        np.sqrt(5 / 48)
    )
    assert np.isnan(auc_standard_error(np.ones((3, 1))))


def audit_of(**over: float) -> Audit:
    """An audit of given values; keys are section, subject, measure and split joined by blanks."""
    plain = {
        **{f"sources {name} AUC random": 0.6 for name in SOURCES},
        "sources trees AUC random": 0.9,
        "sources trees AUC family": 0.9,
        "sources names AUC random": 0.5,
        "sources matching AUC random": 0.5,
        "permutation trees AUC permuted": 0.5,
        "permutation sequence AUC permuted": 0.49,
        "permutation popularity AUC permuted": 0.51,
        "compartments P_and_Q jaccard": 0.5,
        "sources trees AUC random located": 0.9,
    }
    rows = [("permutation", "chance", "", "", "", "standard error of an AUC", 0.02)]
    for key, value in {**plain, **{k.replace("__", " "): v for k, v in over.items()}}.items():
        section, subject, measure, *where = key.split(" ")
        split, rnas = (
            where[0] if where else "",
            where[1] if len(where) > 1 else "all" if where else "",
        )
        rows.append((section, subject, split, rnas, "average" if where else "", measure, value))
    return Audit("made", False, 100, 90, pd.DataFrame(rows, columns=COLUMNS), ("A note.",))


def sentences(**over: float) -> str:
    return "\n".join(conclusions(audit_of(**over)))


def test_the_sentences_follow_the_values() -> None:
    plain = sentences()
    assert "every AUC is at chance" in plain
    assert "That is 25% of the full model's AUC above chance" in plain
    assert "Names alone do not predict labels" in plain
    assert "Random and family-grouped folds give the full model nearly the same AUC" in plain
    assert "No two compartments are nearly the same" in plain
    assert "No two ids share a sequence" in plain
    assert "they make little difference" in plain
    assert plain.endswith("A note.")


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"permutation__trees__AUC__permuted": 0.6}, "is not at chance"),
        ({"sources__popularity__AUC__random": 0.86}, "That is 90% of the full model's AUC"),
        ({"sources__trees__AUC__random": 0.5}, "The full model is not above chance."),
        ({"sources__names__AUC__random": 0.7}, "an artefact"),
        ({"sources__trees__AUC__family": 0.8}, "overestimate the AUC of the full model by 0.100"),
        ({"compartments__P_and_Q__jaccard": 0.93}, "P_and_Q (jaccard 0.930)"),
        ({"sources__trees__AUC__random__located": 0.8}, "easy negatives"),
        ({"sources__matching__AUC__random": 0.6}, "That predicts labels"),
        ({"sources__sequence__AUC__family": 0.55}, "50% of its AUC above chance comes from"),
    ],
)
def test_a_notable_value_is_stated(over: dict[str, float], sentence: str) -> None:
    assert sentence not in sentences()
    assert sentence in sentences(**over)


def test_the_page_holds_the_conclusions() -> None:
    text = page(audit_of())
    assert text.startswith("# Audit of made\n")
    assert "Synthetic data" not in text
    assert all(f"- {line}\n" in text for line in conclusions(audit_of()))
