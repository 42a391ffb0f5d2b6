"""Evaluation of out-of-fold predictions: by compartment and fold, by group, by label kind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from mirnagraph.config import require
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.inputs import (
    check_fractions,
    check_predictions,
    of_each_group,
    popularity_classes,
)
from mirnagraph.evaluation.scores import (
    FROM_CHOICES,
    FROM_PROBABILITIES,
    NAN,
    ranking_scores,
    set_scores,
    within_auc,
)
from mirnagraph.evaluation.trainable import is_trained
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.arrays import (
    check_same_shape,
    number_array,
    whole_numbers,
    zero_one,
)

AVERAGE = "average"
MICRO = "micro"
SETS = "all compartments"

RESERVED = (AVERAGE, MICRO, SETS)
"""Names of rows, which no compartment may have."""

COLUMNS = ["compartment", "metric", "mean", "sd", "pooled", "n_folds", "n_labels"]

MULTI_LABEL = "multi-label"
CLASS = "class"
FRACTIONS = "fractions"

KINDS = (MULTI_LABEL, CLASS, FRACTIONS)

CORRELATIONS = {"Pearson": pearsonr, "Spearman": spearmanr}

Row = tuple[object, ...]

ScoreFunction = Callable[[np.ndarray, np.ndarray], float]


class UndefinedMetricWarning(UserWarning):
    """A metric is NaN, since a compartment has one label only in a fold or its training RNAs."""


@dataclass(frozen=True)
class Metric:
    """Range of a metric, and whether higher values are better."""

    low: float = 0
    high: float = 1
    higher_is_better: bool = True


LOWER_IS_BETTER = Metric(higher_is_better=False)

METRICS: dict[str, Metric] = {
    "AUC": Metric(),
    "AUPR": Metric(),
    "Brier": LOWER_IS_BETTER,
    "ECE": LOWER_IS_BETTER,
    "F1": Metric(),
    "MCC": Metric(low=-1),
    "precision": Metric(),
    "recall": Metric(),
    "within": Metric(),
    "aiming": Metric(),
    "coverage": Metric(),
    "accuracy": Metric(),
    "absolute true": Metric(),
    "absolute false": LOWER_IS_BETTER,
    "average precision": Metric(),
    "coverage error": Metric(high=float("inf"), higher_is_better=False),
    "ranking loss": LOWER_IS_BETTER,
    "one-error": LOWER_IS_BETTER,
}


@dataclass(frozen=True, eq=False)
class _Tested:
    """Tested RNAs: their values, shape (n, n_labels), and a mask of the RNAs of each fold.

    `true` is NaN also where the compartment was never trained; `labels` is not.
    """

    true: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    in_fold: list[np.ndarray]
    names: list[str]

    @property
    def masks(self) -> list[np.ndarray]:
        """RNAs of each fold, then all."""
        return [*self.in_fold, np.ones(len(self.true), dtype=bool)]


@checked
def score(
    true: np.ndarray,
    predicted: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    compartments: Sequence[str],
    *,
    kind: str = MULTI_LABEL,
    decile: np.ndarray | None = None,
    trained: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score out-of-fold predictions by the kind of the labels.

    Args:
        true: see `evaluate`, or `correlations` for fractions.
        predicted: probabilities or fractions, shape (n, n_labels).
        fold: test fold of each RNA, shape (n,).
        thresholds: see `evaluate`; not read for fractions.
        compartments: names, in column order.
        kind: one of `KINDS`.
        decile: see `evaluate`; not read for fractions.
        trained: see `evaluate`; not read for fractions.

    Returns:
        The table of `evaluate`, or of `correlations` for fractions.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind {kind!r} of labels; expected one of {', '.join(KINDS)}")
    if kind == FRACTIONS:
        return correlations(true, predicted, fold, compartments)
    return evaluate(true, predicted, fold, thresholds, compartments, decile, trained)


@checked
def evaluate(
    true: np.ndarray,
    probabilities: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    compartments: Sequence[str] | None = None,
    decile: np.ndarray | None = None,
    trained: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score out-of-fold predictions.

    ``mean`` and ``sd`` are over folds (sd with n - 1; the convention of the published results),
    leaving out folds in which a metric is undefined; ``pooled`` scores all folds' RNAs together.
    Rows named ``average`` are means over the compartments where the metric is defined (macro; their
    sd is that of the folds' means); rows named ``micro`` take every (RNA, compartment) pair alike;
    rows named ``all compartments`` are the metrics of whole sets and rankings (see `set_scores` and
    `ranking_scores`).

    An RNA whose label is unknown (NaN) does not count in that compartment's metrics, and none of
    the fold counts in which the compartment was never trained; the metrics of whole sets and
    rankings are of the RNAs with every label known.

    Args:
        true: 0/1, or NaN where unknown, shape (n, n_labels).
        probabilities: in [0, 1], shape (n, n_labels).
        fold: test fold of each RNA, whole numbers, shape (n,). RNAs of fold -1 (never tested) are
            not scored.
        thresholds: a compartment is predicted where its probability reaches its threshold; shape
            (n_labels,), or (n, n_labels) where each fold has its own.
        compartments: names, in column order; numbers from 0 when left out.
        decile: popularity of each RNA (see `scores.popularity_deciles`), shape (n,); adds
            ``within``, which is pooled only.
        trained: see `is_trained`, bool, shape (n, n_labels); None where all were.

    Returns:
        DataFrame with the columns ``compartment``, ``metric``, ``mean``, ``sd``, ``pooled``,
        ``n_folds`` (how many folds the mean is over), ``n_labels`` (how many compartments). NaN
        where a metric is undefined.

    Raises:
        InputError: shapes that do not fit, labels other than 0 and 1, probabilities outside [0, 1]
            or missing, no tested RNA.

    Warns:
        UndefinedMetricWarning: once, naming each compartment and fold with one class only.
    """
    true = number_array(true, "true")
    probabilities = number_array(probabilities, "probabilities")
    fold = whole_numbers(fold, "fold")
    thresholds = number_array(thresholds, "thresholds")
    n_labels = true.shape[1] if true.ndim == 2 else 0
    names = [str(name) for name in (range(n_labels) if compartments is None else compartments)]
    check_predictions(true, probabilities, fold, thresholds, names, RESERVED)
    if decile is not None:
        decile = popularity_classes(decile, len(true))
    is_tested = fold >= 0
    numbers = np.unique(fold[is_tested])
    tested = _Tested(
        np.where(_trained(trained, true), true, NAN)[is_tested],
        true[is_tested],
        probabilities[is_tested],
        (probabilities >= thresholds).astype(np.int64)[is_tested],
        [fold[is_tested] == number for number in numbers],
        names,
    )
    _warn_one_class(tested, numbers)
    rows = _rows(tested, None if decile is None else decile[is_tested])
    order = [*names, *RESERVED]
    rows.sort(key=lambda row: order.index(str(row[0])))
    return pd.DataFrame(rows, columns=COLUMNS)


def _trained(trained: np.ndarray | None, true: np.ndarray) -> np.ndarray:
    """Which compartments were trained, of the shape of the labels."""
    if trained is None:
        return np.ones(true.shape, dtype=bool)
    mask = zero_one(trained, "trained", 2)
    check_same_shape(mask, "trained", true, "true")
    return mask


def _row(
    compartment: str, metric: str, by_fold: np.ndarray, pooled: float, n_labels: int = 1
) -> Row:
    return (compartment, metric, *_mean_sd(by_fold), pooled, _n_defined(by_fold), n_labels)


def _rows(tested: _Tested, decile: np.ndarray | None) -> list[Row]:
    """Rows of `evaluate`, in order of the metrics."""
    rows: list[Row] = []
    for metric, function in FROM_PROBABILITIES.items():
        rows += _metric_rows(metric, function, tested, tested.probabilities)
    for metric, function in FROM_CHOICES.items():
        rows += _metric_rows(metric, function, tested, tested.predicted)
    if decile is not None:
        rows += _within_rows(tested, decile)
    return [*rows, *_set_rows(tested)]


def _metric_rows(
    metric: str, function: ScoreFunction, tested: _Tested, scored: np.ndarray
) -> list[Row]:
    """One metric of each compartment, their mean, and of all (RNA, compartment) pairs alike."""
    values = np.array([_scores(function, tested.true[m], scored[m]) for m in tested.masks])
    by_fold = values[:-1]
    pooled = values[-1]
    rows = [
        _row(name, metric, by_fold[:, column], pooled[column])
        for column, name in enumerate(tested.names)
    ]
    # Macro: the mean over compartments of their means over folds, as the published results have it.
    label_means = np.array([_mean(column) for column in by_fold[:, :-1].T])
    fold_means = np.array([_mean(row) for row in by_fold[:, :-1]])
    average = (_mean(label_means), _mean_sd(fold_means)[1], _mean(pooled[:-1]))
    rows.append((AVERAGE, metric, *average, _n_defined(fold_means), _n_defined(label_means)))
    rows.append(_row(MICRO, metric, by_fold[:, -1], pooled[-1], len(tested.names)))
    return rows


def _scores(function: ScoreFunction, true: np.ndarray, scored: np.ndarray) -> list[float]:
    """A metric over the known labels of each compartment, then of all; NaN where none is known."""
    columns = [*zip(true.T, scored.T, strict=True), (true.ravel(), scored.ravel())]
    known = [_known(*column) for column in columns]
    return [function(labels, values) if len(labels) else NAN for labels, values in known]


def _within_rows(tested: _Tested, decile: np.ndarray) -> list[Row]:
    columns = zip(tested.true.T, tested.probabilities.T, strict=True)
    values = np.array([within_auc(*_known(*column, decile)) for column in columns])
    rows = [(name, value, 1) for name, value in zip(tested.names, values, strict=True)]
    rows.append((AVERAGE, _mean(values), _n_defined(values)))
    n_folds = len(tested.in_fold)
    return [(name, "within", NAN, NAN, value, n_folds, n_labels) for name, value, n_labels in rows]


def _set_rows(tested: _Tested) -> list[Row]:
    """Metrics of label sets and rankings over RNAs with every label known, if each fold has any."""
    is_whole = ~np.isnan(tested.labels).any(axis=1)
    masks = [mask & is_whole for mask in tested.masks]
    if not all(mask.any() for mask in masks):
        return []
    labels = np.nan_to_num(tested.labels).astype(np.int64)
    scores = pd.DataFrame(
        set_scores(labels[mask], tested.predicted[mask])
        | ranking_scores(labels[mask], tested.probabilities[mask])
        for mask in masks
    )
    n_labels = len(tested.names)
    columns = scores.items()
    return [_row(SETS, str(m), v.to_numpy()[:-1], v.iloc[-1], n_labels) for m, v in columns]


def _known(true: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Where the label is known: labels as whole numbers, and the others."""
    is_known = ~np.isnan(true)
    return [true[is_known].astype(np.int64), *(other[is_known] for other in others)]


def _n_defined(values: np.ndarray) -> int:
    return int((~np.isnan(values)).sum())


def _mean(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN without any."""
    return float(np.mean(values[~np.isnan(values)])) if _n_defined(values) else NAN


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    if _n_defined(values) < 2:
        return _mean(values), NAN
    return _mean(values), float(np.std(values[~np.isnan(values)], ddof=1))


def _warn_one_class(tested: _Tested, numbers: np.ndarray) -> None:
    cases = []
    for column, name in enumerate(tested.names):
        labels = [_known(tested.labels[mask, column])[0] for mask in tested.in_fold]
        scored = [_known(tested.true[mask, column])[0] for mask in tested.in_fold]
        is_untrained = [len(a) > len(b) for a, b in zip(labels, scored, strict=True)]
        found = {"no training RNA of one label": is_untrained}
        for what, value in (("no RNA annotated", 0), ("every RNA annotated", 1)):
            is_single = [bool((known == value).all()) for known in labels]
            found[what] = [a and not b for a, b in zip(is_single, is_untrained, strict=True)]
        for what, is_case in found.items():
            if any(is_case):
                folds = ", ".join(map(str, numbers[is_case]))
                cases.append(f"{name} in fold {folds} ({what})")
    if cases:
        warnings.warn(
            f"metrics undefined, NaN and left out of the means: {'; '.join(cases)}",
            UndefinedMetricWarning,
            stacklevel=3,
        )


@checked
def undefined_as_zero(metrics: pd.DataFrame, n_folds: int) -> pd.DataFrame:
    """Means over folds in which an undefined metric counts 0, as some publications have it.

    Args:
        metrics: of `evaluate`.
        n_folds: number of folds, not below that of any mean.

    Returns:
        Columns ``compartment``, ``metric``, ``mean``: one row per compartment and metric that has
        means over folds, and their mean over compartments under the name ``average``.
    """
    is_single = ~metrics["compartment"].isin(RESERVED) & (metrics["metric"] != "within")
    table = metrics.loc[is_single, ["compartment", "metric", "mean", "n_folds"]].copy()
    most = int(max(table["n_folds"], default=1))
    require(n_folds >= max(most, 1), "n_folds", n_folds, f"{max(most, 1)} or more")
    table["mean"] = table["mean"].fillna(0.0) * table.pop("n_folds") / n_folds
    averages = table.groupby("metric", sort=False)["mean"].mean().reset_index()
    averages.insert(0, "compartment", AVERAGE)
    return pd.concat([table, averages], ignore_index=True)


@checked
def evaluate_by_group(
    true: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    fold: np.ndarray,
    thresholds: Mapping[str, np.ndarray],
    compartments: Sequence[str],
    groups: Sequence[str],
    decile: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score several models within each group of RNAs.

    A compartment with no label, or one value, in a group is left out there.

    Args:
        true: 0/1, NaN where unknown, shape (n, n_labels).
        predictions: model name -> probabilities, shape (n, n_labels).
        fold: test fold of each RNA, shape (n,); RNAs of negative folds are left out.
        thresholds: model name -> shape (n, n_labels), or (n_labels,); 0.5 for models that are not
            given.
        compartments: names, in column order.
        groups: group of each RNA, length n, e.g. the dataset it comes from.
        decile: popularity class of each RNA, shape (n,), -1 where it has none; ``within`` is given
            for groups in which every RNA has one.

    Returns:
        The columns of `evaluate`, with ``set`` and ``model`` in front.

    Raises:
        InputError: see `evaluate`; another number of groups or thresholds.
    """
    true = number_array(true, "true")
    fold = whole_numbers(fold, "fold")
    models = of_each_group(true, predictions, thresholds, groups)
    names = np.array(groups, dtype=object)
    if decile is not None:
        decile = popularity_classes(decile, len(true))
    trained = is_trained(true, fold)
    tables = []
    for group in dict.fromkeys(groups):
        rows = np.flatnonzero((names == group) & (fold >= 0))
        columns = _columns_with_both(true[rows])
        if not columns:
            continue
        has_decile = decile is not None and bool((decile[rows] >= 0).all())
        for model, (probabilities, cuts) in models.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                table = evaluate(
                    true[rows][:, columns],
                    probabilities[rows][:, columns],
                    fold[rows],
                    cuts[rows][:, columns],
                    [compartments[column] for column in columns],
                    decile[rows] if decile is not None and has_decile else None,
                    trained[rows][:, columns],
                )
            table.insert(0, "model", model)
            table.insert(0, "set", group)
            tables.append(table)
    if not tables:
        return pd.DataFrame(columns=["set", "model", *COLUMNS])
    return pd.concat(tables, ignore_index=True)


def _columns_with_both(true: np.ndarray) -> list[int]:
    """Columns in which both values occur among the known labels."""
    counts = [len(np.unique(column[~np.isnan(column)])) for column in true.T]
    return [number for number, count in enumerate(counts) if count > 1]


@checked
def correlations(
    true: np.ndarray, predicted: np.ndarray, fold: np.ndarray, compartments: Sequence[str]
) -> pd.DataFrame:
    """Correlate predicted with measured fractions, in the columns of `evaluate`.

    RNAs whose fraction is unknown do not count. A fold with fewer than three RNAs, or in which
    either side never varies, is NaN and left out of the mean.

    Args:
        true: measured fractions, shape (n, n_labels), NaN where unknown.
        predicted: same shape.
        fold: shape (n,); RNAs of negative folds (never tested) do not count.
        compartments: names, in column order.

    Raises:
        InputError: shapes that do not fit, an infinite number, a prediction that is missing, or no
            tested RNA.
    """
    true = number_array(true, "true")
    predicted = number_array(predicted, "predicted")
    fold = whole_numbers(fold, "fold")
    check_fractions(true, predicted, fold, compartments)
    true = true[fold >= 0]
    predicted = predicted[fold >= 0]
    fold = fold[fold >= 0]
    masks = [fold == number for number in np.unique(fold)]
    rows: list[Row] = []
    for metric, function in CORRELATIONS.items():
        means = np.full(len(compartments), np.nan)
        pooled = np.full(len(compartments), np.nan)
        for column, name in enumerate(compartments):
            x = true[:, column]
            y = predicted[:, column]
            by_fold = np.array([_correlation(function, x[mask], y[mask]) for mask in masks])
            means[column] = _mean(by_fold)
            pooled[column] = _correlation(function, x, y)
            rows.append(_row(name, metric, by_fold, pooled[column]))
        average = (_mean(means), NAN, _mean(pooled), len(masks), len(compartments))
        rows.append((AVERAGE, metric, *average))
    return pd.DataFrame(rows, columns=COLUMNS)


def _correlation(function: Callable[..., Any], true: np.ndarray, predicted: np.ndarray) -> float:
    known = np.isfinite(true)
    if known.sum() < 3 or np.ptp(true[known]) == 0 or np.ptp(predicted[known]) == 0:
        return NAN
    return float(function(true[known], predicted[known]).statistic)
