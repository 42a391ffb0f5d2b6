"""Data of the figures of one run: curves over folds, calibration, co-occurrence, intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusion.report.blocks import chart_data
from mirnagraph.evaluation.calibration import reliability_curve
from mirnagraph.evaluation.compare import interval, weighted_pearson, weighted_scores
from mirnagraph.evaluation.metrics import AVERAGE, FRACTIONS
from mirnagraph.runs.results import CrossValidationResult
from mirnagraph.seeds import generator

GRID = np.linspace(0, 1, 101)
"""Places at which the curves of folds are averaged."""

FOLDS = "mean of the folds"
POOLED = "all folds together"
CHANCE = "share annotated"

CHUNK = 100
"""Number of bootstrap resamples held in memory at once."""

Z = 1.959963984540054
"""Quantile .975 of the normal distribution."""


def roc_points(true: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """True positive rate at the false positive rates of `GRID`, linear between thresholds.

    Args:
        true: 0/1, both present, shape (n,).
        probability: shape (n,).
    """
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(true, probability)
    # of several points at one false positive rate, interp takes the last, the highest
    return np.asarray(np.interp(GRID, false_positive, true_positive))


def precision_points(true: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Precision at the recalls of `GRID`: at the highest threshold that reaches the recall.

    Precision is not interpolated, since a straight line between two thresholds is too high.

    Args:
        true: 0/1, at least one 1, shape (n,).
        probability: shape (n,).
    """
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    positives = np.cumsum(true[order])[last]
    precision = positives / (last + 1)
    recall = positives / positives[-1]
    return np.asarray(precision[np.searchsorted(recall, GRID - 1e-12)])


def fold_curves(result: CrossValidationResult, curve: str) -> pd.DataFrame:
    """Data of the ROC or precision-recall curves: per compartment folds' mean ± SD, and pooled.

    Args:
        result: of the run.
        curve: ``"roc"`` or ``"precision_recall"``.

    Returns:
        See `chart_data`; a panel per compartment with both classes. ``low``, ``high``: mean - SD
        and mean + SD over the folds in which the curve is defined, within [0, 1].
    """
    points = roc_points if curve == "roc" else precision_points
    tables = []
    for name, rows, true, probability in result.pooled():
        if not 0 < true.sum() < len(true):
            continue
        of_row = result.of_row[rows]
        each = []
        for fold in np.unique(of_row):
            inside = of_row == fold
            if 0 < true[inside].sum() < inside.sum():
                each.append(points(true[inside], probability[inside]))
        if each:
            mean = np.mean(each, axis=0)
            sd = np.std(each, axis=0, ddof=1) if len(each) > 1 else np.full(len(GRID), np.nan)
            low = np.clip(mean - sd, 0, 1)
            high = np.clip(mean + sd, 0, 1)
            tables.append(_lines(name, FOLDS, GRID, mean, low, high))
        tables.append(_lines(name, POOLED, GRID, points(true, probability)))
        if curve != "roc":
            share = np.full(2, true.mean())
            tables.append(_lines(name, CHANCE, np.array([0.0, 1.0]), share))
    return _stacked(tables)


def calibration_curves(result: CrossValidationResult) -> pd.DataFrame:
    """Data of the reliability curves: observed share by mean probability, Wilson's 95 % interval.

    Returns:
        See `chart_data`; a panel per compartment. ``label``: number of RNAs in the bin.
    """
    tables = []
    for name, _, true, probability in result.pooled():
        curve = reliability_curve(true, probability)
        low, high = wilson(curve["observed"].to_numpy(), curve["n"].to_numpy())
        observed = curve["observed"].to_numpy()
        table = _lines(name, "observed", curve["predicted"].to_numpy(), observed, low, high)
        table["label"] = [f"{n} RNAs" for n in curve["n"]]
        tables.append(table)
    return _stacked(tables)


def wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share (Wilson 1927).

    Args:
        share: observed, in [0, 1].
        n: number of RNAs it was observed in, 1 or more.

    Returns:
        Lower and upper bounds in [0, 1].
    """
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def co_occurrence(result: CrossValidationResult) -> pd.DataFrame:
    """Share of the RNAs of one compartment that are annotated in another one too.

    RNAs with an unknown label in either compartment do not count.

    Returns:
        See `chart_data`: ``y`` the compartment whose RNAs are counted, ``x`` the other one,
        ``low`` the share, ``label`` the counts.
    """
    labels = result.labels.astype(float)
    rows = []
    for row, given in enumerate(result.compartments):
        for column, other in enumerate(result.compartments):
            is_known = np.isfinite(labels[:, row]) & np.isfinite(labels[:, column])
            is_given = is_known & (labels[:, row] == 1)
            n_given = int(is_given.sum())
            n_both = int((labels[is_given, column] == 1).sum())
            share = n_both / n_given if n_given else np.nan
            label = f"{n_both} of {n_given}"
            rows.append({"x": other, "y": given, "low": share, "label": label})
    return chart_data(rows)


def headline_intervals(
    result: CrossValidationResult, seed: int, n_resamples: int = 1000
) -> pd.DataFrame:
    """95 % intervals of the pooled metrics, by resampling RNAs.

    Args:
        result: of the run.
        seed: of the run.
        n_resamples: of the bootstrap.

    Returns:
        ``compartment``, ``metric`` (AUC and AUPR, or Pearson for fractions), ``low``, ``high``;
        with the average over compartments, of which each resample is one set of RNAs.
    """
    rng = generator(seed, "report", "headline")
    labels = result.labels.astype(float)
    names = ("Pearson",) if result.kind == FRACTIONS else ("AUC", "AUPR")
    chunks = []
    n = len(labels)
    for start in range(0, n_resamples, CHUNK):
        size = min(CHUNK, n_resamples - start)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size).astype(float)
        values = []
        for true, probability in zip(labels.T, result.probabilities.T, strict=True):
            if result.kind == FRACTIONS:
                values.append([weighted_pearson(true, probability, weights)])
            else:
                values.append(list(weighted_scores(true, probability, weights)))
        chunks.append(np.array(values))
    draws = np.concatenate(chunks, axis=2)  # (n_labels, n_metrics, n_resamples)
    defined = ~np.isnan(draws).all(axis=(1, 2))
    rows = []
    for number, metric in enumerate(names):
        by_name = dict(zip(result.compartments, draws[:, number], strict=True))
        if defined.any():
            by_name[AVERAGE] = draws[defined, number].mean(axis=0)
        for name, values in by_name.items():
            low, high, _ = interval(values)
            rows.append({"compartment": name, "metric": metric, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["compartment", "metric", "low", "high"])


def predicted_against_observed(result: CrossValidationResult) -> pd.DataFrame:
    """Data of a scatter of predicted and measured fractions, a panel per compartment."""
    tables = []
    for name, rows, true, predicted in result.pooled():
        table = _lines(name, "RNA", true, predicted)
        table["label"] = [result.index.ids[row] for row in rows]
        tables.append(table)
    return _stacked(tables)


def training_curves(result: CrossValidationResult) -> pd.DataFrame:
    """Loss by epoch, where folds store it: a panel per fold.

    Returns:
        See `chart_data`; without rows where nothing is stored.
    """
    tables = []
    for fold in result.results:
        history = np.array(fold.choices.get("history") or [], dtype=float)
        if history.ndim != 2 or history.shape[1] < 3:
            continue
        panel = f"fold {fold.fold}"
        for column, series in ((1, "training"), (2, "validation")):
            if np.isnan(history[:, column]).all():
                continue
            tables.append(_lines(panel, series, history[:, 0], history[:, column]))
    return _stacked(tables)


def _lines(
    panel: str,
    series: str,
    x: np.ndarray,
    y: np.ndarray,
    low: np.ndarray | float = np.nan,
    high: np.ndarray | float = np.nan,
) -> pd.DataFrame:
    points = {"x": x, "y": y, "low": low, "high": high}
    table = pd.DataFrame(points)
    table.insert(0, "panel", panel)
    table.insert(1, "series", series)
    return table


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of one chart, one below the other."""
    return chart_data(pd.concat(tables, ignore_index=True) if tables else [])
