"""Properties of metrics: ranges, order of rows and columns, monotone maps, plain definitions."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.evaluation import scores
from mirnagraph.evaluation.metrics import METRICS, UndefinedMetricWarning, evaluate
from mirnagraph.evaluation.scores import ranking_scores


@st.composite
def predictions(draw, n_min=6, n_max=40):
    n, n_labels = draw(st.integers(n_min, n_max)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    true = (rng.random((n, n_labels)) < rng.uniform(0.1, 0.9, n_labels)).astype(int)
    prob = np.round(
        rng.random((n, n_labels)), draw(st.sampled_from([1, 6]))
    )  # one digit makes ties
    return true, prob, rng.permutation(n) % draw(st.integers(1, 3)), rng


def table(true, prob, fold, threshold=0.5, decile=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return evaluate(true, prob, fold, np.full(true.shape[1], threshold), decile=decile)


@given(predictions())
@settings(max_examples=8, deadline=None)
def test_every_number_is_in_its_range(made):
    true, prob, fold, rng = made
    got = table(true, prob, fold, decile=rng.integers(0, 3, len(true)))
    for row in got.itertuples():
        meaning = METRICS[row.metric]
        for value in (row.mean, row.pooled):
            assert np.isnan(value) or meaning.low - 1e-12 <= value <= meaning.high + 1e-12
        assert np.isnan(row.mean) or row.n_folds >= 1


@given(predictions())
@settings(max_examples=8, deadline=None)
def test_order_of_rows_and_compartments_changes_nothing(made):
    true, prob, fold, rng = made
    rows, columns = rng.permutation(len(true)), rng.permutation(true.shape[1])
    names = [f"c{k}" for k in range(true.shape[1])]
    thresholds = rng.random(true.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        one = evaluate(true, prob, fold, thresholds, names)
        other = evaluate(
            true[rows][:, columns],
            prob[rows][:, columns],
            fold[rows],
            thresholds[columns],
            [names[k] for k in columns],
        )
    keys = ["compartment", "metric"]
    # one-error takes the first of equal compartments, so their order matters to it alone
    keep = one["metric"] != "one-error"
    pd.testing.assert_frame_equal(
        one[keep].sort_values(keys, ignore_index=True),
        other[other["metric"] != "one-error"].sort_values(keys, ignore_index=True),
    )


@given(predictions())
@settings(max_examples=8, deadline=None)
def test_rank_metrics_do_not_see_a_monotone_map(made):
    true, prob, fold, _ = made
    one, other = table(true, prob, fold), table(true, prob**3 * 0.9 + 0.05, fold)
    ranks = one["metric"].isin(
        ["AUC", "AUPR", "average precision", "coverage error", "ranking loss", "one-error"]
    )
    pd.testing.assert_frame_equal(one[ranks], other[ranks])


@given(predictions())
@settings(max_examples=30, deadline=None)
def test_auc_and_aupr_equal_their_plain_definitions(made):
    true, prob, _, _ = made
    t, p = true[:, 0], prob[:, 0]
    if 0 < t.sum() < len(t):
        pairs = [0.5 * (a == b) + (a > b) for a, b in itertools.product(p[t == 1], p[t == 0])]
        assert scores.auc(t, p) == pytest.approx(np.mean(pairs))
        assert scores.auc(t, 1 - p) == pytest.approx(1 - np.mean(pairs))
        assert scores.within_auc(t, p, np.zeros(len(t))) == pytest.approx(np.mean(pairs))
    if t.all():
        assert np.isnan(scores.aupr(t, p))  # no negative to be told from
    elif t.any():
        steps = np.unique(p)[::-1]
        recall = [0.0, *((p >= s) @ t / t.sum() for s in steps)]
        precise = [(p >= s) @ t / (p >= s).sum() for s in steps]
        assert scores.aupr(t, p) == pytest.approx(np.diff(recall) @ precise)


@given(predictions())
@settings(max_examples=30, deadline=None)
def test_choices_are_scored_as_scikit_learn_scores_them(made):
    true, prob, _, _ = made
    t, chosen = true[:, 0], (prob[:, 0] >= 0.5).astype(int)
    if 0 < t.sum() < len(t):
        assert scores.mcc(t, chosen) == pytest.approx(sk.matthews_corrcoef(t, chosen))
        assert scores.f1(t, chosen) == pytest.approx(sk.f1_score(t, chosen, zero_division=0))
        assert scores.precision(t, chosen) == pytest.approx(
            sk.precision_score(t, chosen, zero_division=0)
        )
        assert scores.recall(t, chosen) == pytest.approx(sk.recall_score(t, chosen))
        assert scores.brier(t, prob[:, 0]) == pytest.approx(sk.brier_score_loss(t, prob[:, 0]))


@given(predictions())
@settings(max_examples=30, deadline=None)
def test_ranking_scores_equal_the_printed_equation(made):
    true, prob, _, _ = made
    if true.shape[1] == 1 or not true.any():
        return
    precision, steps, loss = [], [], []
    for t, p in zip(true, prob, strict=True):
        if not t.any():
            continue
        rank = np.array([(p >= x).sum() for x in p])
        yes, no = np.flatnonzero(t), np.flatnonzero(t == 0)
        precision.append(np.mean([(rank[yes] <= rank[k]).sum() / rank[k] for k in yes]))
        steps.append(rank[yes].max() - 1)
        loss.append(np.mean([p[a] <= p[b] for a in yes for b in no]) if len(no) else 0)
    got = ranking_scores(true, prob)
    assert [got["average precision"], got["coverage error"], got["ranking loss"]] == pytest.approx(
        [np.mean(precision), np.mean(steps), np.mean(loss)]
    )


def test_perfect_and_reversed_predictions():
    true = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]] * 2)
    fold = np.arange(8) // 4
    best, worst = table(true, true.astype(float), fold), table(true, 1.0 - true, fold)
    for row in best.itertuples():
        assert (
            row.mean
            == pytest.approx(
                METRICS[row.metric].high if METRICS[row.metric].higher_is_better else 0
            )
            or row.metric == "coverage error"
        )
    for row in worst[worst["metric"] != "AUPR"].itertuples():
        meaning = METRICS[row.metric]
        if meaning.higher_is_better and row.metric != "average precision":
            assert row.mean == pytest.approx(meaning.low)
        elif meaning.high == 1 and not meaning.higher_is_better:
            assert row.mean == pytest.approx(1)
