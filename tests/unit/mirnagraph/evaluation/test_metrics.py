"""Metrics: hand-worked values, undefined cases, averages, bad input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation import scores
from mirnagraph.evaluation.metrics import METRICS, UndefinedMetricWarning, evaluate
from mirnagraph.evaluation.scores import ranking_scores, set_scores

TRUE = np.array([1, 0, 1, 0, 0])
PROB = np.array([0.9, 0.8, 0.8, 0.3, 0.1])
CHOSEN = np.array([1, 1, 0, 0, 1])


def test_scores_of_one_compartment_by_hand():
    # pairs (1, 0): .9 beats three, .8 ties one (a half) and beats two: 5.5 of 6
    assert scores.auc(TRUE, PROB) == pytest.approx(5.5 / 6)
    # thresholds .9 (precision 1, recall 1/2) and .8 (precision 2/3, recall 1)
    assert scores.aupr(TRUE, PROB) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert scores.brier(TRUE, PROB) == pytest.approx((0.01 + 0.64 + 0.04 + 0.09 + 0.01) / 5)
    # TP 1, FP 2, FN 1, TN 1
    assert scores.precision(TRUE, CHOSEN) == pytest.approx(1 / 3)
    assert scores.recall(TRUE, CHOSEN) == pytest.approx(1 / 2)
    assert scores.f1(TRUE, CHOSEN) == pytest.approx(2 / 5)
    assert scores.mcc(TRUE, CHOSEN) == pytest.approx((1 * 1 - 2 * 1) / math.sqrt(3 * 2 * 3 * 2))


def test_scores_without_an_answer_are_nan_and_silence_about_nothing_predicted_is_zero():
    none, every, nothing = np.zeros(3, int), np.ones(3, int), np.zeros(3, int)
    for function in (scores.auc, scores.aupr):
        assert math.isnan(function(none, np.array([0.1, 0.2, 0.3])))
    for function in (scores.precision, scores.recall, scores.f1, scores.mcc):
        assert math.isnan(function(none, np.array([0, 1, 1])))
    assert math.isnan(scores.auc(every, np.array([0.1, 0.2, 0.3])))
    assert math.isnan(scores.mcc(every, every))
    assert math.isnan(scores.aupr(every, np.array([0.1, 0.2, 0.3])))
    some = np.array([1, 0, 0])
    assert [f(some, nothing) for f in (scores.precision, scores.recall, scores.f1, scores.mcc)] == [
        0,
        0,
        0,
        0,
    ]


def test_within_weighs_each_decile_by_its_pairs():
    true = np.array([1, 0, 1, 1, 0, 0, 1])
    prob = np.array([0.9, 0.1, 0.2, 0.6, 0.3, 0.7, 0.5])
    decile = np.array([0, 0, 1, 1, 1, 1, 2])
    # decile 0: 1 of 1 pair; decile 1: .2 beats none, .6 beats .3: 1 of 4 pairs; decile 2 has one
    # class
    assert scores.within_auc(true, prob, decile) == pytest.approx(2 / 5)
    assert math.isnan(scores.within_auc(np.ones(4, int), prob[:4], decile[:4]))


def test_popularity_deciles_by_hand():
    ids = [f"r{i}" for i in range(10)]
    partners = [f"p{i}" for i in range(10)]
    degree = [3, 0, 0, 9, 1, 2, 5, 4, 8, 7]  # degree d: linked with the first d partners
    links = [(r, p) for r, d in zip(ids, degree, strict=True) for p in partners[:d]]
    dataset = Dataset(
        name="tiny",
        rnas=pd.DataFrame({"sequence": "ACGU"}, index=pd.Index(ids, name="rna_id")),
        associations={"drug": pd.DataFrame(links, columns=["rna_id", "partner_id"])},
        partners={"drug": pd.DataFrame(index=pd.Index(partners, name="partner_id"))},
        labels=pd.DataFrame({"c": 0}, index=pd.Index(ids, name="rna_id")),
    )
    # the two without a link share ranks 1 and 2, mean 1.5: (1.5 - 0.5) x 10 / 10 = decile 1
    assert scores.popularity_deciles(dataset).tolist() == [4, 1, 1, 9, 2, 3, 6, 5, 8, 7]


def test_set_scores_by_hand():
    true = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]])
    pred = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    got = set_scores(true, pred)
    assert got["aiming"] == pytest.approx((1 / 2 + 1 + 1 + 0 + 0) / 5)
    assert got["coverage"] == pytest.approx((1 / 2 + 1 + 1 + 0 + 0) / 5)
    assert got["accuracy"] == pytest.approx((1 / 3 + 1 + 1 + 0 + 0) / 5)
    assert got["absolute true"] == pytest.approx(2 / 5)
    assert got["absolute false"] == pytest.approx((2 / 4 + 0 + 0 + 1 / 4 + 2 / 4) / 5)
    assert got["absolute false"] == pytest.approx(sk.hamming_loss(true, pred))
    assert got["absolute true"] == pytest.approx(sk.accuracy_score(true, pred))
    assert got["accuracy"] == pytest.approx(
        sk.jaccard_score(true, pred, average="samples", zero_division=1)
    )
    more = set_scores(np.array([[1, 0, 0]]), np.array([[1, 1, 1]]))
    assert (more["aiming"], more["coverage"]) == (pytest.approx(1 / 3), 1)


def test_ranking_scores_by_hand():
    true = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]])
    prob = np.array([[0.9, 0.5, 0.2], [0.6, 0.7, 0.8], [0.1, 0.2, 0.3]])
    got = ranking_scores(true, prob)  # the third RNA has no compartment and is left out
    # first RNA: true ones at ranks 1 and 3, precisions 1 and 2/3; second: rank 1
    assert got["average precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert got["coverage error"] == pytest.approx((2 + 0) / 2)
    assert got["ranking loss"] == pytest.approx((1 / 2 + 0) / 2)
    assert got["one-error"] == 0
    assert ranking_scores(np.array([[0, 1]]), np.array([[0.8, 0.4]])) == {
        "average precision": 0.5,
        "coverage error": 1,
        "ranking loss": 1,
        "one-error": 1,
    }


def test_ranking_of_a_single_compartment_and_of_nothing():
    assert ranking_scores(np.array([[1], [0]]), np.array([[0.1], [0.9]]))["average precision"] == 1
    assert all(math.isnan(v) for v in ranking_scores(np.zeros((2, 3)), np.ones((2, 3))).values())
    assert all(math.isnan(v) for v in set_scores(np.zeros((0, 3)), np.zeros((0, 3))).values())


FOLD = np.array([0, 0, 0, 1, 1, 1])
LABELS = np.array([[1, 1], [0, 1], [0, 0], [1, 0], [1, 0], [0, 0]])
PROBS = np.array([[0.9, 0.4], [0.5, 0.9], [0.6, 0.5], [0.2, 0.1], [0.8, 0.3], [0.4, 0.2]])


def cell(table, compartment, metric, column):
    found = table[(table["compartment"] == compartment) & (table["metric"] == metric)]
    assert len(found) == 1
    return found[column].iloc[0]


def test_means_leave_out_undefined_folds_and_say_how_many_are_left():
    with pytest.warns(
        UndefinedMetricWarning,
        match=r"left out of the means: Exosome in fold 1 \(no RNA annotated\)$",
    ):
        got = evaluate(LABELS, PROBS, FOLD, np.array([0.5, 0.5]), ["Nucleus", "Exosome"])
    # Nucleus: fold 0 has 2 of 2 pairs, fold 1 has 1 of 2; Exosome: fold 0 has 1 of 2, fold 1 none
    # annotated
    assert cell(got, "Nucleus", "AUC", "mean") == pytest.approx(0.75)
    assert cell(got, "Nucleus", "AUC", "sd") == pytest.approx(math.sqrt(0.125))
    # pooled: .9 beats 3, .2 none, .8 beats 3: 6 of 9
    assert cell(got, "Nucleus", "AUC", "pooled") == pytest.approx(6 / 9)
    assert cell(got, "Nucleus", "AUC", "n_folds") == 2
    assert cell(got, "Exosome", "AUC", "mean") == pytest.approx(0.5)
    assert cell(got, "Exosome", "AUC", "n_folds") == 1
    assert math.isnan(cell(got, "Exosome", "AUC", "sd"))
    assert cell(got, "average", "AUC", "mean") == pytest.approx((0.75 + 0.5) / 2)
    # fold means: fold 0 (1 + .5) / 2, fold 1 .5 alone
    assert cell(got, "average", "AUC", "sd") == pytest.approx(np.std([0.75, 0.5], ddof=1))
    assert cell(got, "average", "AUC", "n_labels") == 2
    # micro, fold 0: positives .9 .4 .9, negatives .5 .6 .5: 2 x 3 of 9; fold 1: positives .2 .8,
    # negatives .1 .3 .4 .2: 1.5 + 4 of 8
    assert cell(got, "micro", "AUC", "mean") == pytest.approx((6 / 9 + 5.5 / 8) / 2)
    assert cell(got, "micro", "F1", "pooled") == pytest.approx(
        sk.f1_score(LABELS.ravel(), (PROBS >= 0.5).ravel())
    )
    assert cell(got, "all compartments", "absolute true", "pooled") == pytest.approx(
        sk.accuracy_score(LABELS, PROBS >= 0.5)
    )
    assert set(got["metric"]) == set(METRICS) - {"within"}
    assert list(dict.fromkeys(got["compartment"])) == [
        "Nucleus",
        "Exosome",
        "average",
        "micro",
        "all compartments",
    ]


def test_the_average_is_over_compartments_first_as_in_the_published_results():
    labels = np.array([[1, 1], [0, 0], [1, 0], [0, 0]])
    probs = np.array([[0.9, 0.9], [0.1, 0.1], [0.1, 0.2], [0.9, 0.3]])
    with pytest.warns(UndefinedMetricWarning, match="1 in fold 1"):
        got = evaluate(labels, probs, np.array([0, 0, 1, 1]), np.array([0.5, 0.5]))
    # compartment 0: folds 1 and 0, mean .5; compartment 1: fold 0 alone, 1. Over folds first it
    # would be (1 + 0) / 2.
    assert cell(got, "average", "AUC", "mean") == pytest.approx(0.75)


def test_a_compartment_nobody_has_is_nan_and_not_counted():
    labels = LABELS.copy()
    labels[:, 1] = 0
    with pytest.warns(UndefinedMetricWarning, match=r"Exosome in fold 0, 1 \(no RNA annotated\)"):
        got = evaluate(labels, PROBS, FOLD, np.array([0.5, 0.5]), ["Nucleus", "Exosome"])
    assert math.isnan(cell(got, "Exosome", "AUC", "pooled"))
    assert cell(got, "average", "AUC", "mean") == pytest.approx(0.75)
    assert cell(got, "average", "AUC", "n_labels") == 1


def test_thresholds_may_differ_by_row_and_are_reached_by_equality():
    thresholds = np.array([[0.9], [0.95], [0.95], [0.2], [0.8], [0.5]])
    got = evaluate(LABELS[:, :1], PROBS[:, :1], FOLD, thresholds)
    assert cell(got, "0", "MCC", "pooled") == 1


def test_rnas_of_fold_minus_one_are_not_scored():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = evaluate(LABELS[:, :1], PROBS[:, :1], FOLD, np.array([0.5]))
        extra = evaluate(
            np.vstack([LABELS, [[0, 1]]])[:, :1],
            np.vstack([PROBS, [[np.nan, 1]]])[:, :1],
            np.append(FOLD, -1),
            np.array([0.5]),
        )
    pd.testing.assert_frame_equal(got, extra)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"probabilities": PROBS[:5]}, r"do not fit each other; found \(6, 2\) and \(5, 2\)"),
        ({"fold": FOLD[:5]}, r"one fold per RNA is needed; found \(5,\), expected \(6,\)"),
        (
            {"thresholds": np.array([0.5])},
            r"thresholds do not fit.*found \(1,\), expected \(2,\) or \(6, 2\)",
        ),
        ({"compartments": ["Nucleus"]}, "found Nucleus, expected 2 different names"),
        ({"compartments": ["Nucleus", "average"]}, "none of them 'average'"),
        ({"true": LABELS + 1}, "labels must be 0 or 1"),
        (
            {"probabilities": PROBS + 0.2},
            r"column 'Nucleus': not a probability \(row 0\); found .*1\.1.*expected a number "
            r"in \[0, 1\]",
        ),
        (
            {"probabilities": np.where(PROBS == 0.3, np.nan, PROBS)},
            r"column 'Exosome': not a probability \(row 4\); found .*nan",
        ),
        ({"fold": np.full(6, -1)}, "no RNA was tested"),
        ({"decile": np.zeros(5)}, "one popularity class per RNA"),
    ],
)
def test_bad_input_is_named(change, match):
    good = {
        "true": LABELS,
        "probabilities": PROBS,
        "fold": FOLD,
        "thresholds": np.array([0.5, 0.5]),
        "compartments": ["Nucleus", "Exosome"],
    }
    with pytest.raises(InputError, match=match):
        evaluate(**{**good, **change})


def test_unknown_labels_take_no_part() -> None:
    """A compartment's metrics are those of the RNAs with a known label."""
    random = np.random.default_rng(3)
    true = (random.random((60, 2)) < 0.5).astype(float)
    said, fold = random.random((60, 2)), np.arange(60) % 3
    hidden = true.copy()
    hidden[::4, 0] = np.nan
    kept = np.flatnonzero(~np.isnan(hidden[:, 0]))
    found = evaluate(hidden, said, fold, np.full(2, 0.5), ["a", "b"]).set_index(
        ["compartment", "metric"]
    )
    alone = evaluate(
        true[kept][:, [0]], said[kept][:, [0]], fold[kept], np.full(1, 0.5), ["a"]
    ).set_index(["compartment", "metric"])
    whole = evaluate(true, said, fold, np.full(2, 0.5), ["a", "b"]).set_index(
        ["compartment", "metric"]
    )
    for metric in ("AUC", "AUPR", "F1", "MCC", "Brier"):
        pd.testing.assert_series_equal(found.loc[("a", metric)], alone.loc[("a", metric)])
        pd.testing.assert_series_equal(found.loc[("b", metric)], whole.loc[("b", metric)])
    sets = evaluate(true[kept], said[kept], fold[kept], np.full(2, 0.5), ["a", "b"]).set_index(
        ["compartment", "metric"]
    )
    assert (
        found.loc[("all compartments", "absolute true"), "mean"]
        == sets.loc[("all compartments", "absolute true"), "mean"]
    )


def test_a_compartment_known_of_no_rna_of_a_fold_is_left_out_of_that_fold() -> None:
    true = np.array([[0, 1], [1, 0], [0, np.nan], [1, np.nan]], dtype=float)
    with pytest.warns(UndefinedMetricWarning, match="in fold 1"):
        found = evaluate(
            true,
            np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.5], [0.7, 0.5]]),
            np.array([0, 0, 1, 1]),
            np.full(2, 0.5),
            ["a", "b"],
        )
    row = found[(found["compartment"] == "b") & (found["metric"] == "AUC")].iloc[0]
    assert (row["mean"], row["n_folds"]) == (1.0, 1)
    assert "all compartments" not in set(found["compartment"])
