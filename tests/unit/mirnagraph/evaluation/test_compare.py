"""Paired comparison of two models: plain definitions, values by hand, simulated null, bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, norm
from sklearn.metrics import average_precision_score, roc_auc_score

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.compare import compare, delong, holm, weighted_scores
from mirnagraph.evaluation.metrics import UndefinedMetricWarning


def plain_delong(true, first, second):
    """DeLong 1988 as printed: structural components from all pairs."""
    values = []
    for scores in (first, second):
        yes, no = scores[true == 1], scores[true == 0]
        values.append(np.array([[0.5 * (a == b) + (a > b) for b in no] for a in yes]))
    s10, s01 = np.cov([v.mean(axis=1) for v in values]), np.cov([v.mean(axis=0) for v in values])
    m, n = values[0].shape
    total = s10 / m + s01 / n
    sd = math.sqrt(total[0, 0] + total[1, 1] - 2 * total[0, 1])
    difference = values[1].mean() - values[0].mean()
    return (
        values[0].mean(),
        values[1].mean(),
        difference - 1.959964 * sd,
        difference + 1.959964 * sd,
        2 * norm.sf(abs(difference) / sd),
    )


@pytest.mark.parametrize("digits", [1, 8])
def test_delong_equals_the_plain_definition(digits):
    rng = np.random.default_rng(digits)
    true = (rng.random(60) < 0.3).astype(int)
    first, second = (np.round(0.3 * true + rng.random(60), digits) for _ in range(2))
    got = delong(true, first, second)
    assert got == pytest.approx(plain_delong(true, first, second), abs=1e-6)
    assert got[0] == pytest.approx(roc_auc_score(true, first))


def test_delong_of_equal_scores_and_of_too_few():
    true = np.array([1, 0, 1, 0])
    scores = np.array([0.4, 0.3, 0.2, 0.1])
    assert delong(true, scores, scores * 2)[2:] == (0, 0, 1)
    one = delong(np.array([1, 0, 0, 0]), scores, scores)
    assert one[:2] == (1, 1)
    assert all(map(math.isnan, one[2:]))
    assert all(map(math.isnan, delong(np.ones(4), scores, scores)))


def test_holm_by_hand():
    # sorted .01 x 4, .02 x 3, .03 x 2 (raised to the one before), .9 x 1
    assert holm([0.03, 0.01, math.nan, 0.9, 0.02])[:2] == pytest.approx([0.06, 0.04])
    assert holm([0.03, 0.01, math.nan, 0.9, 0.02])[3:] == pytest.approx([0.9, 0.06])
    assert math.isnan(holm([0.03, 0.01, math.nan, 0.9, 0.02])[2])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_weighted_scores_equal_scikit_learn_on_repeated_rows():
    rng = np.random.default_rng(3)
    true, scores = rng.integers(0, 2, 40), np.round(rng.random(40), 1)
    weights = rng.integers(0, 4, (5, 40)).astype(float)
    weights[4] = true
    auc, aupr = weighted_scores(true, scores, weights)
    for row in range(4):
        again = np.repeat(np.arange(40), weights[row].astype(int))
        assert auc[row] == pytest.approx(roc_auc_score(true[again], scores[again]))
        assert aupr[row] == pytest.approx(average_precision_score(true[again], scores[again]))
    assert math.isnan(auc[4])
    assert math.isnan(aupr[4])


def made(n=150, n_labels=3, seed=0, gain=0.0):
    rng = np.random.default_rng(seed)
    ids = [f"r{i}" for i in range(n)]
    names = [f"c{k}" for k in range(n_labels)]
    labels = pd.DataFrame((rng.random((n, n_labels)) < 0.35).astype(int), index=ids, columns=names)
    tables = []
    for extra in (0.0, gain):
        table = pd.DataFrame(
            (0.3 + extra) * labels.to_numpy() + 0.5 * rng.random((n, n_labels)), columns=names
        )
        table.insert(0, "fold", np.arange(n) % 5)
        table.insert(0, "rna_id", ids)
        tables.append(table)
    return tables[0], tables[1], labels


def test_a_planted_gain_is_found_whatever_the_order_of_rows():
    first, second, labels = made(gain=0.15)
    first[["c0"]], second[["c0"]] = second[["c0"]].to_numpy(), second[["c0"]].to_numpy()
    got = compare(first, second, labels, n_resamples=400)
    again = compare(first, second.iloc[::-1], labels.iloc[::-1], n_resamples=400)
    pd.testing.assert_frame_equal(got, again)
    assert len(got) == 8
    cells = got.set_index(["compartment", "metric"])
    for metric in ("AUC", "AUPR"):
        same, better = cells.loc[("c0", metric)], cells.loc[("c1", metric)]
        assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
        assert better["difference"] == pytest.approx(better["second"] - better["first"])
        assert 0 < better["low"] < better["difference"] < better["high"]
        assert better["p"] < 0.01
        assert better["p"] <= better["p_holm"] <= 3 * better["p"] + 1e-12
        average = cells.loc[("average", metric)]
        assert average["difference"] == pytest.approx(
            np.mean([cells.loc[(c, metric)]["difference"] for c in labels])
        )
        assert average["low"] > 0
        assert math.isnan(average["p_holm"])
    assert cells.loc[("c1", "AUC")]["first"] == pytest.approx(
        roc_auc_score(labels["c1"], first["c1"])
    )
    assert cells.loc[("c1", "AUPR")]["first"] == pytest.approx(
        average_precision_score(labels["c1"], first["c1"])
    )
    assert not got.equals(compare(first, second, labels, n_resamples=400, seed=1))


def test_swapping_the_models_turns_the_sign():
    first, second, labels = made(gain=0.1)
    one, other = (
        compare(first, second, labels, n_resamples=200),
        compare(second, first, labels, n_resamples=200),
    )
    assert one["difference"].to_numpy() == pytest.approx(-other["difference"].to_numpy())
    assert one["low"].to_numpy() == pytest.approx(-other["high"].to_numpy())
    assert one["p"].to_numpy() == pytest.approx(other["p"].to_numpy())


def test_bootstrap_and_delong_agree_on_the_width_of_an_interval():
    from mirnagraph.evaluation.compare import _paired, _resampled

    first, second, labels = made(n=300, n_labels=1, gain=0.05)
    pair = _paired(first, second, labels, 1500)
    # Another seed than the labels': the same stream of numbers would tie the resamples to the
    # labels.
    draws = _resampled(pair, weighted_scores, 1500, np.random.default_rng(99))[0, :, 0]
    _, _, low, high, _ = delong(pair.true[:, 0], *pair.predicted[:, :, 0])
    assert np.std(draws) == pytest.approx((high - low) / (2 * 1.96), rel=0.12)
    assert np.mean(draws) == pytest.approx((high + low) / 2, abs=0.003)


def test_bootstrap_interval_and_p_by_hand():
    from mirnagraph.evaluation.compare import interval

    draws = np.r_[
        -np.ones(10), np.ones(189), math.nan
    ]  # 10 of 199 at or below zero: p = 2 x (10 + 1) / (199 + 1)
    assert interval(draws) == pytest.approx((-1, 1, 0.11))
    assert interval(np.zeros(99))[2] == 1
    assert interval(np.ones(99))[2] == pytest.approx(2 / 100)


def test_p_values_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(5)
    p = []
    for _ in range(400):
        true = (rng.random(120) < 0.4).astype(int)
        shared = 0.8 * true + rng.normal(size=120)
        p.append(
            delong(true, shared + 0.7 * rng.normal(size=120), shared + 0.7 * rng.normal(size=120))[
                4
            ]
        )
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


def test_bootstrap_p_values_keep_their_level_where_nothing_differs():
    rejected = [
        compare(*made(n=80, n_labels=1, seed=seed), n_resamples=100)
        .set_index("metric")
        .loc["AUPR", "p"]
        .iloc[0]
        < 0.05
        for seed in range(60)
    ]
    assert np.mean(rejected) < 0.14


def test_a_compartment_of_one_class_is_nan_and_named():
    first, second, labels = made()
    labels["c1"] = 0
    with pytest.warns(UndefinedMetricWarning, match="all RNAs are of one class: c1"):
        got = compare(first, second, labels, n_resamples=100).set_index(["compartment", "metric"])
    assert got.loc[("c1", "AUC"), ["first", "difference", "p", "p_holm"]].isna().all()
    assert got.loc[("average", "AUC"), "first"] == pytest.approx(
        got.loc[[("c0", "AUC"), ("c2", "AUC")], "first"].mean()
    )
    assert got.loc[("average", "AUC"), "n_resamples"] == 100


def test_what_cannot_be_compared_is_refused():
    first, second, labels = made()
    other_fold = second.assign(fold=np.where(second["rna_id"] == "r7", 4, second["fold"]))
    cases = [
        (first, second.iloc[1:], labels, "different RNAs: 1 RNA not in the second; found r0"),
        (first.iloc[:-2], second, labels, "different RNAs: 2 RNAs not in the first"),
        (
            first,
            other_fold,
            labels,
            r"different folds \(1 RNA\); found r7 in fold 2 and in fold 4",
        ),
        (
            first,
            second.drop(columns="c1"),
            labels,
            "column 'c1': the second predictions lack a column",
        ),
        (
            first,
            pd.concat([second, second.iloc[:1]]),
            labels,
            "second predictions hold an RNA twice; found r0",
        ),
        (
            first.assign(c2=np.nan),
            second,
            labels,
            "column 'c2': the first predictions lack a number for r0",
        ),
        (first, second, labels.iloc[1:], "a predicted RNA has no label; found r0"),
    ]
    for one, other, truth, match in cases:
        with pytest.raises(InputError, match=match):
            compare(one, other, truth, n_resamples=100)
    with pytest.raises(ConfigError, match="'n_resamples' is 10"):
        compare(first, second, labels, n_resamples=10)


def test_as_many_resamples_as_asked_for_in_more_than_one_chunk() -> None:
    first, second, labels = made(n=60, n_labels=1, seed=5)
    table = compare(first, second, labels, n_resamples=300).set_index(["compartment", "metric"])
    assert table.loc[("average", "AUPR"), "n_resamples"] == 300
