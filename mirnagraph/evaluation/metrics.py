"""Evaluation of out-of-fold predictions: by compartment and fold, by group, by label kind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from mirnagraph.errors import InputError
from mirnagraph.evaluation.scores import (
    FROM_CHOICES,
    FROM_PROBABILITIES,
    NAN,
    ranking_scores,
    set_scores,
    within_auc,
)

AVERAGE = "average"
MICRO = "micro"
SETS = "all compartments"

COLUMNS = ["compartment", "metric", "mean", "sd", "pooled", "n_folds", "n_labels"]

MULTI_LABEL = "multi-label"
CLASS = "class"
FRACTIONS = "fractions"

KINDS = (MULTI_LABEL, CLASS, FRACTIONS)

CORRELATIONS = {"Pearson": pearsonr, "Spearman": spearmanr}

Row = tuple[object, ...]

ScoreFunction = Callable[[np.ndarray, np.ndarray], float]


class UndefinedMetricWarning(UserWarning):
    """A metric is NaN, since a compartment has one class only in a fold."""


@dataclass(frozen=True)
class Metric:
    """Range of a metric, and whether higher values are better."""

    low: float
    high: float
    higher_is_better: bool


METRICS: dict[str, Metric] = {
    "AUC": Metric(0, 1, True),
    "AUPR": Metric(0, 1, True),
    "Brier": Metric(0, 1, False),
    "ECE": Metric(0, 1, False),
    "F1": Metric(0, 1, True),
    "MCC": Metric(-1, 1, True),
    "precision": Metric(0, 1, True),
    "recall": Metric(0, 1, True),
    "within": Metric(0, 1, True),
    "aiming": Metric(0, 1, True),
    "coverage": Metric(0, 1, True),
    "accuracy": Metric(0, 1, True),
    "absolute true": Metric(0, 1, True),
    "absolute false": Metric(0, 1, False),
    "average precision": Metric(0, 1, True),
    "coverage error": Metric(0, float("inf"), False),
    "ranking loss": Metric(0, 1, False),
    "one-error": Metric(0, 1, False),
}


def score(
    true: np.ndarray,
    predicted: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    compartments: Sequence[str],
    *,
    kind: str = MULTI_LABEL,
    decile: np.ndarray | None = None,
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

    Returns:
        The table of `evaluate`, or of `correlations` for fractions.
    """
    if kind == FRACTIONS:
        return correlations(true, predicted, fold, compartments)
    return evaluate(true, predicted, fold, thresholds, compartments, decile)


def evaluate(
    true: np.ndarray,
    probabilities: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    compartments: Sequence[str] | None = None,
    decile: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score out-of-fold predictions.

    ``mean`` and ``sd`` are over folds (sd with n - 1; the convention of the published results),
    leaving out folds in which a metric is undefined; ``pooled`` scores all folds' RNAs together.
    Rows named ``average`` are means over the compartments where the metric is defined (macro; their
    sd is that of the folds' means); rows named ``micro`` take every (RNA, compartment) pair alike;
    rows named ``all compartments`` are the metrics of whole sets and rankings (see `set_scores` and
    `ranking_scores`).

    An RNA whose label is unknown (NaN) does not count in that compartment's metrics; the metrics of
    whole sets and rankings are of the RNAs with every label known.

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
    true = np.asarray(true)
    probabilities = np.asarray(probabilities, dtype=float)
    fold = np.asarray(fold)
    thresholds = np.asarray(thresholds, dtype=float)
    n_labels = true.shape[1] if true.ndim == 2 else 0
    names = [str(name) for name in (range(n_labels) if compartments is None else compartments)]
    _check(true, probabilities, fold, thresholds, names, decile)
    is_tested = fold >= 0
    predicted = (probabilities >= thresholds).astype(np.int64)[is_tested]
    true = np.asarray(true[is_tested], dtype=np.float64)
    probabilities = probabilities[is_tested]
    numbers = np.unique(fold[is_tested])
    in_fold = [fold[is_tested] == number for number in numbers]
    _warn_one_class(true, in_fold, numbers, names)
    if decile is not None:
        decile = np.asarray(decile)[is_tested]
    rows = _rows(true, probabilities, predicted, in_fold, names, decile)
    place = {name: number for number, name in enumerate([*names, AVERAGE, MICRO, SETS])}
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "compartment",
        key=lambda compartment: compartment.map(place),
        kind="stable",
        ignore_index=True,
    )


def _rows(
    true: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    in_fold: Sequence[np.ndarray],
    names: Sequence[str],
    decile: np.ndarray | None,
) -> list[Row]:
    """Rows of `evaluate`, of tested RNAs, in order of the metrics."""
    rows: list[Row] = []
    for metric, function in FROM_PROBABILITIES.items():
        rows += _metric_rows(metric, function, true, probabilities, in_fold, names)
    for metric, function in FROM_CHOICES.items():
        rows += _metric_rows(metric, function, true, predicted, in_fold, names)
    if decile is not None:
        rows += _within_rows(true, probabilities, decile, len(in_fold), names)
    return [*rows, *_set_rows(true, probabilities, predicted, in_fold)]


def _metric_rows(
    metric: str,
    function: ScoreFunction,
    true: np.ndarray,
    scored: np.ndarray,
    in_fold: Sequence[np.ndarray],
    names: Sequence[str],
) -> list[Row]:
    """One metric of each compartment, their mean, and of all (RNA, compartment) pairs alike."""
    columns = range(len(names))
    by_fold = np.array(
        [
            [_score_known(function, true[mask, column], scored[mask, column]) for column in columns]
            for mask in in_fold
        ]
    )
    pooled = np.array(
        [_score_known(function, true[:, column], scored[:, column]) for column in columns]
    )
    rows: list[Row] = []
    for column, name in enumerate(names):
        values = by_fold[:, column]
        rows.append((name, metric, *_mean_sd(values), pooled[column], _n_defined(values), 1))
    # Macro: the mean over compartments of their means over folds, as the published results have it.
    label_means = np.array([_mean(values) for values in by_fold.T])
    fold_means = np.array([_mean(values) for values in by_fold])
    average = (_mean(label_means), _mean_sd(fold_means)[1], _mean(pooled))
    rows.append((AVERAGE, metric, *average, _n_defined(fold_means), _n_defined(label_means)))
    flat = np.array(
        [_score_known(function, true[mask].ravel(), scored[mask].ravel()) for mask in in_fold]
    )
    flat_pooled = _score_known(function, true.ravel(), scored.ravel())
    rows.append((MICRO, metric, *_mean_sd(flat), flat_pooled, _n_defined(flat), len(names)))
    return rows


def _within_rows(
    true: np.ndarray,
    probabilities: np.ndarray,
    decile: np.ndarray,
    n_folds: int,
    names: Sequence[str],
) -> list[Row]:
    values = np.full(len(names), np.nan)
    for column in range(len(names)):
        values[column] = within_auc(*_known(true[:, column], probabilities[:, column], decile))
    rows: list[Row] = [
        (name, "within", NAN, NAN, value, n_folds, 1)
        for name, value in zip(names, values, strict=True)
    ]
    rows.append((AVERAGE, "within", NAN, NAN, _mean(values), n_folds, _n_defined(values)))
    return rows


def _set_rows(
    true: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    in_fold: Sequence[np.ndarray],
) -> list[Row]:
    """Metrics of label sets and rankings over RNAs with every label known, if each fold has any."""
    is_whole = ~np.isnan(true).any(axis=1)
    if not all((mask & is_whole).any() for mask in in_fold):
        return []
    labels = np.nan_to_num(true).astype(np.int64)

    def scores_of(mask: np.ndarray) -> dict[str, float]:
        rows = mask & is_whole
        of_sets = set_scores(labels[rows], predicted[rows])
        return of_sets | ranking_scores(labels[rows], probabilities[rows])

    by_fold = pd.DataFrame([scores_of(mask) for mask in in_fold])
    pooled = scores_of(np.ones(len(true), dtype=bool))
    rows: list[Row] = []
    for metric, value in pooled.items():
        values = by_fold[metric].to_numpy()
        rows.append((SETS, metric, *_mean_sd(values), value, _n_defined(values), true.shape[1]))
    return rows


def _known(true: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Where the label is known: labels as whole numbers, and the others."""
    is_known = ~np.isnan(true)
    return [true[is_known].astype(np.int64), *(other[is_known] for other in others)]


def _score_known(function: ScoreFunction, true: np.ndarray, scored: np.ndarray) -> float:
    """A metric over the known labels; NaN where none is known."""
    labels, values = _known(true, scored)
    return function(labels, values) if len(labels) else NAN


def _n_defined(values: np.ndarray) -> int:
    return int((~np.isnan(values)).sum())


def _mean(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN without any."""
    return float(np.mean(values[~np.isnan(values)])) if _n_defined(values) else NAN


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    if _n_defined(values) < 2:
        return _mean(values), NAN
    return _mean(values), float(np.std(values[~np.isnan(values)], ddof=1))


def _warn_one_class(
    true: np.ndarray, in_fold: Sequence[np.ndarray], numbers: np.ndarray, names: Sequence[str]
) -> None:
    cases = []
    for column, name in enumerate(names):
        for what, value in (("no RNA annotated", 0), ("every RNA annotated", 1)):
            folds = [
                str(number)
                for mask, number in zip(in_fold, numbers, strict=True)
                if (_known(true[mask, column])[0] == value).all()
            ]
            if folds:
                cases.append(f"{name} in fold {', '.join(folds)} ({what})")
    if cases:
        warnings.warn(
            f"metrics undefined, NaN and left out of the means: {'; '.join(cases)}",
            UndefinedMetricWarning,
            stacklevel=3,
        )


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
        thresholds: model name -> shape (n, n_labels); 0.5 for models that are not given.
        compartments: names, in column order.
        groups: group of each RNA, length n, e.g. the dataset it comes from.
        decile: popularity class of each RNA, shape (n,), -1 where it has none; ``within`` is given
            for groups in which every RNA has one.

    Returns:
        The columns of `evaluate`, with ``set`` and ``model`` in front.
    """
    names = np.array(groups, dtype=object)
    tables = []
    for group in dict.fromkeys(groups):
        rows = np.flatnonzero((names == group) & (fold >= 0))
        columns = _columns_with_both(true[rows])
        if not columns:
            continue
        has_decile = decile is not None and bool((decile[rows] >= 0).all())
        for model, probabilities in predictions.items():
            cuts = thresholds.get(model, np.full(true.shape, 0.5))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                table = evaluate(
                    true[rows][:, columns],
                    probabilities[rows][:, columns],
                    fold[rows],
                    cuts[rows][:, columns],
                    [compartments[column] for column in columns],
                    decile[rows] if decile is not None and has_decile else None,
                )
            table.insert(0, "model", model)
            table.insert(0, "set", group)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _columns_with_both(true: np.ndarray) -> list[int]:
    """Columns in which both values occur among the known labels."""
    counts = [len(np.unique(column[~np.isnan(column)])) for column in true.T]
    return [number for number, count in enumerate(counts) if count > 1]


def correlations(
    true: np.ndarray, predicted: np.ndarray, fold: np.ndarray, compartments: Sequence[str]
) -> pd.DataFrame:
    """Correlate predicted with measured fractions, in the columns of `evaluate`.

    RNAs whose fraction is unknown do not count. A fold with fewer than three RNAs, or in which
    either side never varies, is NaN and left out of the mean.

    Args:
        true: measured fractions, shape (n, n_labels), NaN where unknown.
        predicted: same shape.
        fold: shape (n,), 0 or above.
        compartments: names, in column order.
    """
    numbers = np.unique(fold)
    rows: list[Row] = []
    for metric, function in CORRELATIONS.items():
        means = np.full(len(compartments), np.nan)
        pooled = np.full(len(compartments), np.nan)
        for column, name in enumerate(compartments):
            x = true[:, column]
            y = predicted[:, column]
            by_fold = np.array(
                [_correlation(function, x[fold == number], y[fold == number]) for number in numbers]
            )
            means[column], sd = _mean_sd(by_fold)
            pooled[column] = _correlation(function, x, y)
            row = (name, metric, means[column], sd, pooled[column], _n_defined(by_fold), 1)
            rows.append(row)
        average = (_mean(means), NAN, _mean(pooled), len(numbers), len(compartments))
        rows.append((AVERAGE, metric, *average))
    return pd.DataFrame(rows, columns=COLUMNS)


def _correlation(function: Callable[..., Any], true: np.ndarray, predicted: np.ndarray) -> float:
    known = np.isfinite(true)
    if known.sum() < 3 or np.ptp(true[known]) == 0 or np.ptp(predicted[known]) == 0:
        return NAN
    return float(function(true[known], predicted[known]).statistic)


def _check(
    true: np.ndarray,
    probabilities: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    names: list[str],
    decile: np.ndarray | None,
) -> None:
    if true.ndim != 2 or probabilities.shape != true.shape:
        raise InputError(
            "labels and probabilities do not fit each other",
            found=f"{true.shape} and {probabilities.shape}",
            expected="(n, n_labels) twice",
        )
    if fold.shape != (len(true),):
        raise InputError("one fold per RNA is needed", found=fold.shape, expected=(len(true),))
    if thresholds.shape not in {(true.shape[1],), true.shape}:
        raise InputError(
            "thresholds do not fit the compartments",
            found=thresholds.shape,
            expected=f"{(true.shape[1],)} or {true.shape}",
        )
    is_unique = len(names) == true.shape[1] == len(set(names))
    if not is_unique or {AVERAGE, MICRO, SETS} & set(names):
        reserved = f"none of them {AVERAGE!r}, {MICRO!r} or {SETS!r}"
        expected = f"{true.shape[1]} different names, {reserved}"
        raise InputError("compartment names do not fit", found=", ".join(names), expected=expected)
    if decile is not None and np.shape(decile) != (len(true),):
        raise InputError(
            "one popularity class per RNA is needed", found=np.shape(decile), expected=(len(true),)
        )
    if not (np.isin(true, (0, 1)) | np.isnan(true.astype(float))).all():
        raise InputError("labels must be 0 or 1 (NaN where unknown)")
    is_tested = fold >= 0
    if not is_tested.any():
        raise InputError(
            "no RNA was tested",
            found=f"{len(true)} RNAs without a test fold",
            expected="folds 0, 1, …",
        )
    is_bad = ~((probabilities >= 0) & (probabilities <= 1)) & is_tested[:, None]
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise InputError(
            f"not a probability (row {row})",
            column=names[column],
            found=probabilities[row, column],
            expected="a number in [0, 1]",
        )
