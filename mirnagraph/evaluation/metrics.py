"""One evaluator and its table; fractions too; label kinds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from mirnagraph.errors import InputError
from mirnagraph.evaluation.scores import (
    FROM_CHOICES,
    FROM_PROBABILITIES,
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

MEASURES = {"Pearson": pearsonr, "Spearman": spearmanr}


class UndefinedMetricWarning(UserWarning):
    """A metric has no answer for some compartment in some fold (one class only); it is NaN there and left out of the mean."""


@dataclass(frozen=True)
class Metric:
    """What a metric's numbers mean: their range and which way is better."""

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


def evaluate(
    true: np.ndarray,
    probabilities: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    compartments: Sequence[str] | None = None,
    decile: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score out-of-fold predictions.

    ``mean`` and ``sd`` are over folds (sd with n - 1; the convention of the published results), leaving out folds in which a
    metric is undefined; ``pooled`` scores all folds' RNAs together. Rows named ``average`` are means over the compartments
    where there is an answer (macro; their sd is that of the folds' means); rows named ``micro`` take every (RNA, compartment)
    pair alike; rows named ``all compartments`` are the metrics of whole sets and rankings (see `multilabel`).

    An RNA that a compartment's label is not known of (NaN) takes no part in that compartment's figures; the metrics of whole sets and rankings
    are of the RNAs with every label known.

    Args:
        true: 0/1, or NaN where unknown, shape (n, n_labels).
        probabilities: in [0, 1], shape (n, n_labels).
        fold: test fold of each RNA, whole numbers, shape (n,). RNAs of fold -1 (never tested) are not scored.
        thresholds: a compartment is predicted where its probability reaches its threshold; shape (n_labels,), or (n, n_labels) where
            each fold chose its own.
        compartments: names, in column order; numbers from 0 when left out.
        decile: popularity of each RNA (see `scores.popularity_deciles`), shape (n,); adds ``within``, which is pooled only.

    Returns:
        DataFrame with the columns ``compartment``, ``metric``, ``mean``, ``sd``, ``pooled``, ``n_folds`` (how many folds the
        mean is over), ``n_labels`` (how many compartments). NaN means there is no answer.

    Raises:
        InputError: shapes that do not fit, labels other than 0 and 1, probabilities outside [0, 1] or missing, no tested RNA.

    Warns:
        UndefinedMetricWarning: once, naming each compartment and fold with one class only.
    """
    true = np.asarray(true)
    probabilities = np.asarray(probabilities, dtype=float)
    fold = np.asarray(fold)
    thresholds = np.asarray(thresholds, dtype=float)
    names = (
        [str(k) for k in range(true.shape[1] if true.ndim == 2 else 0)]
        if compartments is None
        else [str(c) for c in compartments]
    )
    _check(true, probabilities, fold, thresholds, names, decile)
    tested = fold >= 0
    predicted = (probabilities >= thresholds).astype(np.int64)[tested]
    true = np.asarray(true[tested], dtype=np.float64)
    probabilities = probabilities[tested]
    fold = fold[tested]
    numbers = np.unique(fold)
    parts = [fold == number for number in numbers]
    _warn_one_class(true, parts, numbers, names)

    rows: list[tuple[object, ...]] = []
    averages: list[tuple[object, ...]] = []
    micro: list[tuple[object, ...]] = []
    for metric, function in {**FROM_PROBABILITIES, **FROM_CHOICES}.items():
        scored = probabilities if metric in FROM_PROBABILITIES else predicted
        table = np.array(
            [[_score(function, true[p, k], scored[p, k]) for k in range(len(names))] for p in parts]
        )
        pooled = np.array([_score(function, true[:, k], scored[:, k]) for k in range(len(names))])
        rows += [
            (name, metric, *_mean_sd(table[:, k]), pooled[k], _defined(table[:, k]), 1)
            for k, name in enumerate(names)
        ]
        averages.append(_average(metric, table, pooled))
        flat = np.array([_score(function, true[p].ravel(), scored[p].ravel()) for p in parts])
        micro.append(
            (
                MICRO,
                metric,
                *_mean_sd(flat),
                _score(function, true.ravel(), scored.ravel()),
                _defined(flat),
                len(names),
            )
        )
    if decile is not None:
        classes = np.asarray(decile)[tested]
        within = np.array(
            [
                within_auc(*_known(true[:, k], probabilities[:, k], classes))
                for k in range(len(names))
            ]
        )
        rows += [
            (name, "within", np.nan, np.nan, within[k], len(parts), 1)
            for k, name in enumerate(names)
        ]
        averages.append(
            (AVERAGE, "within", np.nan, np.nan, _mean(within), len(parts), _defined(within))
        )
    result = pd.DataFrame(
        [*rows, *averages, *micro, *_set_rows(true, probabilities, predicted, parts)],
        columns=COLUMNS,
    )
    place = {name: i for i, name in enumerate([*names, AVERAGE, MICRO, SETS])}
    return result.sort_values(
        "compartment", key=lambda c: c.map(place), kind="stable", ignore_index=True
    )


def _known(true: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Where the label is known: labels as whole numbers, and the others."""
    there = ~np.isnan(true)
    return [true[there].astype(np.int64), *(other[there] for other in others)]


def _score(
    function: Callable[[np.ndarray, np.ndarray], float], true: np.ndarray, scored: np.ndarray
) -> float:
    """A metric where the label is known; NaN where it is known of no RNA."""
    known = _known(true, scored)
    return function(*known) if len(known[0]) else float("nan")


def _average(metric: str, table: np.ndarray, pooled: np.ndarray) -> tuple[object, ...]:
    """Macro row: the mean over compartments of their means over folds, as the published results have it."""
    of_label = np.array([_mean(column) for column in table.T])
    of_fold = np.array([_mean(row) for row in table])
    return (
        AVERAGE,
        metric,
        _mean(of_label),
        _mean_sd(of_fold)[1],
        _mean(pooled),
        _defined(of_fold),
        _defined(of_label),
    )


def _set_rows(
    true: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, parts: list[np.ndarray]
) -> list[tuple[object, ...]]:
    whole = ~np.isnan(true).any(axis=1)
    if not all((part & whole).any() for part in parts):
        return []
    labels = np.nan_to_num(true).astype(np.int64)

    def score(part: np.ndarray) -> dict[str, float]:
        there = part & whole
        return {
            **set_scores(labels[there], predicted[there]),
            **ranking_scores(labels[there], probabilities[there]),
        }

    per_fold = pd.DataFrame([score(part) for part in parts])
    pooled = score(np.ones(len(true), dtype=bool))
    rows: list[tuple[object, ...]] = []
    for metric in per_fold:
        values = per_fold[metric].to_numpy()
        rows.append(
            (
                SETS,
                str(metric),
                *_mean_sd(values),
                pooled[str(metric)],
                _defined(values),
                true.shape[1],
            )
        )
    return rows


def _defined(values: np.ndarray) -> int:
    return int((~np.isnan(values)).sum())


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values[~np.isnan(values)])) if _defined(values) else float("nan")


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    sd = float(np.std(values[~np.isnan(values)], ddof=1)) if _defined(values) > 1 else float("nan")
    return _mean(values), sd


def _warn_one_class(
    true: np.ndarray, parts: list[np.ndarray], numbers: np.ndarray, names: list[str]
) -> None:
    cases = []
    for k, name in enumerate(names):
        for what, n_of in (("no RNA annotated", 0), ("every RNA annotated", 1)):
            folds = [
                str(number)
                for part, number in zip(parts, numbers, strict=True)
                if (_known(true[part, k])[0] == n_of).all()
            ]
            if folds:
                cases.append(f"{name} in fold {', '.join(folds)} ({what})")
    if cases:
        warnings.warn(
            f"metrics undefined, NaN and left out of the means: {'; '.join(cases)}",
            UndefinedMetricWarning,
            stacklevel=3,
        )


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
    if (
        len(names) != true.shape[1]
        or len(set(names)) != len(names)
        or {AVERAGE, MICRO, SETS} & set(names)
    ):
        expected = (
            f"{true.shape[1]} different names, none of them {AVERAGE!r}, {MICRO!r} or {SETS!r}"
        )
        raise InputError("compartment names do not fit", found=", ".join(names), expected=expected)
    if decile is not None and np.shape(decile) != (len(true),):
        raise InputError(
            "one popularity class per RNA is needed", found=np.shape(decile), expected=(len(true),)
        )
    if not (np.isin(true, (0, 1)) | np.isnan(true.astype(float))).all():
        raise InputError("labels must be 0 or 1 (NaN where unknown)")
    tested = fold >= 0
    if not tested.any():
        raise InputError(
            "no RNA was tested",
            found=f"{len(true)} RNAs without a test fold",
            expected="folds 0, 1, …",
        )
    bad = ~((probabilities >= 0) & (probabilities <= 1)) & tested[:, None]
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"not a probability (row {row})",
            column=names[column],
            found=probabilities[row, column],
            expected="a number in [0, 1]",
        )


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
        true, predicted, fold, thresholds, compartments, decile: see `evaluate`; thresholds and
            deciles are not read for fractions.
        kind: one of `KINDS`.

    Returns:
        The table of `evaluate`, or of `correlations` for fractions.
    """
    if kind == FRACTIONS:
        return correlations(true, predicted, fold, compartments)
    return evaluate(true, predicted, fold, thresholds, compartments, decile)


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
    true: np.ndarray, said: np.ndarray, fold: np.ndarray, compartments: Sequence[str]
) -> pd.DataFrame:
    """Correlations in the columns of `mirnagraph.evaluation.metrics.evaluate`.

    RNAs whose fraction is unknown are not counted. A fold with fewer than three RNAs, or in which either side never varies, has no
    answer: it is NaN and left out of the mean.

    Args:
        true: fractions, shape (n, n_labels), NaN where unknown. said: predicted, same shape.
        fold: shape (n,), 0 or above.
    """
    rows = []
    for measure, function in MEASURES.items():
        of_label = []
        for column, name in enumerate(compartments):
            each = np.array(
                [
                    _one(function, true[fold == f, column], said[fold == f, column])
                    for f in np.unique(fold)
                ]
            )
            known = each[np.isfinite(each)]
            pooled = _one(function, true[:, column], said[:, column])
            sd = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
            rows.append(
                (
                    name,
                    measure,
                    float(known.mean()) if len(known) else float("nan"),
                    sd,
                    pooled,
                    len(known),
                    1,
                )
            )
            of_label.append((rows[-1][2], pooled))
        mean, pooled = (_mean_correlations(values) for values in zip(*of_label, strict=True))
        rows.append(
            (AVERAGE, measure, mean, float("nan"), pooled, len(np.unique(fold)), len(compartments))
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _one(function: object, true: np.ndarray, said: np.ndarray) -> float:
    known = np.isfinite(true)
    if known.sum() < 3 or np.ptp(true[known]) == 0 or np.ptp(said[known]) == 0:
        return float("nan")
    return float(function(true[known], said[known]).statistic)  # type: ignore[operator]


def _mean_correlations(values: Sequence[float]) -> float:
    known = np.array([value for value in values if np.isfinite(value)])
    return float(known.mean()) if len(known) else float("nan")
