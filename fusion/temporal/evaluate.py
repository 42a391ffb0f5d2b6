"""Evaluation of rankings of unlabelled pairs on the labels of a later release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mirnagraph.evaluation.compare import interval, weighted_scores
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.seeds import generator

AUC = "AUC"

TOP = (10, 50, 100, 200)
"""Numbers k of the precision at k."""

N_RESAMPLES = 1000

CHUNK = 250  # resamples scored at a time

ALL = "all"
"""Pairs of all compartments, ranked together."""

SCORE = "score"
MODEL = "model"
POPULARITY = "popularity"

COLUMNS = [
    "ranking",
    "compartment",
    "metric",
    "n_pairs",
    "n_later",
    "value",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
]
"""Of the temporal table: see `evaluate`."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of RNA and compartment without an earlier label, and which of them were found later.

    Attributes:
        compartments: names, in column order.
        is_open: bool, shape (n_rnas, n_labels): tested, and 0 in the earlier labels.
        later: 0/1, shape (n_rnas, n_labels): the later labels.
    """

    compartments: tuple[str, ...]
    is_open: np.ndarray
    later: np.ndarray

    @property
    def true(self) -> np.ndarray:
        """Later labels, NaN where the pair is not open: float64, shape (n_rnas, n_labels)."""
        return np.where(self.is_open, self.later, np.nan)


def evaluate(
    pairs: Pairs,
    rankings: Mapping[str, np.ndarray],
    *,
    baseline: str = POPULARITY,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> pd.DataFrame:
    """Score rankings of the open pairs by the later labels.

    Args:
        pairs: open pairs, and their later labels.
        rankings: name -> score of every pair, shape (n_rnas, n_labels), or of every RNA, shape
            (n_rnas,); higher is more likely.
        baseline: name of the ranking that the others are compared with.
        seed: of the resamples.
        n_resamples: bootstrap resamples of RNAs.

    Returns:
        Columns of `COLUMNS`, per ranking: ``AUC`` of each compartment and its mean over the
        compartments where it is defined (``average``); ``precision at K``, the share of the K
        highest open pairs that were found later: of each compartment, its mean (``average``), and
        of the pairs of all compartments ranked together (``all``). ``low`` and
        ``high``: 95 % interval over resampled RNAs. ``difference``: value minus that of the
        baseline on the same resamples; empty for the baseline.
    """
    rng = generator(seed, "temporal")
    n = len(pairs.is_open)
    chunks = []
    for start in range(0, n_resamples, CHUNK):
        size = min(CHUNK, n_resamples - start)
        chunks.append(rng.multinomial(n, np.full(n, 1 / n), size=size).astype(float))
    once = np.ones((1, n))
    values = {name: _metrics(pairs, score, once)[:, 0] for name, score in rankings.items()}
    draws = {}
    for name, score in rankings.items():
        draws[name] = np.concatenate([_metrics(pairs, score, part) for part in chunks], axis=1)
    rows = []
    for name in rankings:
        differences = None
        if name != baseline:
            differences = (values[name] - values[baseline], draws[name] - draws[baseline])
        rows += _rows(pairs, name, values[name], draws[name], differences)
    return pd.DataFrame(rows, columns=COLUMNS)


def _metrics(pairs: Pairs, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Metrics in the order of `_headings`: shape (n_metrics, n_sets)."""
    scores = by_pair(score, pairs.is_open.shape)
    aucs = [
        weighted_scores(true, column, weights)[0]
        for true, column in zip(pairs.true.T, scores.T, strict=True)
    ]
    defined = np.array([not np.isnan(values).all() for values in aucs])
    mean = np.full(len(weights), np.nan)
    if defined.any():
        mean = np.array(aucs)[defined].mean(axis=0)
    shares = np.array(
        [
            _precisions(pairs.is_open[:, [i]], pairs.later[:, [i]], scores[:, [i]], weights)
            for i in range(len(pairs.compartments))
        ]
    )
    together = _precisions(pairs.is_open, pairs.later, scores, weights)
    by_k = np.concatenate([shares, np.nanmean(shares, axis=0)[None], together[None]])
    return np.vstack([*aucs, mean, *by_k])


def by_pair(score: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Score of every pair; one of every RNA is repeated for each compartment."""
    values = np.asarray(score, dtype=float)
    return np.broadcast_to(values if values.ndim == 2 else values[:, None], shape)


def _precisions(
    is_open: np.ndarray, later: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Share of later labels among the highest open pairs, shape (len(TOP), n_sets).

    An RNA that a resample holds twice counts twice. Pairs of equal score that only partly fit among
    the highest count with their mean.
    """
    rows, columns = np.nonzero(is_open)
    values = scores[rows, columns]
    order = np.argsort(-values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0]) if len(order) else [0]
    if not len(order):
        return np.full((len(TOP), len(weights)), np.nan)
    of_pair = weights[:, rows[order]]
    found = of_pair * (later[rows, columns][order] != 0)
    sizes = np.add.reduceat(of_pair, starts, axis=1)
    hits = np.add.reduceat(found, starts, axis=1)
    before = np.cumsum(sizes, axis=1) - sizes
    shares = []
    for k in TOP:
        taken = np.clip(k - before, 0, sizes)
        n_hits = (hits * taken / np.maximum(sizes, 1)).sum(axis=1)
        shares.append(n_hits / np.maximum(taken.sum(axis=1), 1))
    return np.array(shares)


def _rows(
    pairs: Pairs,
    name: str,
    values: np.ndarray,
    draws: np.ndarray,
    differences: tuple[np.ndarray, np.ndarray] | None,
) -> list[dict[str, object]]:
    """Rows of one ranking."""
    rows = []
    for number, (compartment, metric, n_pairs, n_later) in enumerate(_headings(pairs)):
        low, high, _ = interval(draws[number])
        row: dict[str, object] = {
            "ranking": name,
            "compartment": compartment,
            "metric": metric,
            "n_pairs": n_pairs,
            "n_later": n_later,
            "value": values[number],
            "low": low,
            "high": high,
        }
        if differences is not None:
            low, high, _ = interval(differences[1][number])
            row["difference"] = differences[0][number]
            row["difference_low"] = low
            row["difference_high"] = high
        rows.append(row)
    return rows


def _headings(pairs: Pairs) -> list[tuple[str, str, int, int]]:
    """Compartment, metric, number of open pairs and of those found later, of each row."""
    n_pairs = pairs.is_open.sum(axis=0).tolist()
    n_later = (pairs.is_open & (pairs.later != 0)).sum(axis=0).tolist()
    names = pairs.compartments
    headings = [(name, AUC, n_pairs[i], n_later[i]) for i, name in enumerate(names)]
    headings.append((AVERAGE, AUC, sum(n_pairs), sum(n_later)))
    counts = [*zip(names, n_pairs, n_later, strict=True)]
    counts += [(name, sum(n_pairs), sum(n_later)) for name in (AVERAGE, ALL)]
    for name, *numbers in counts:
        headings += [(name, precision_name(k), *numbers) for k in TOP]
    return headings


def precision_name(k: int) -> str:
    """Name of the precision among the k highest pairs."""
    return f"precision at {k}"


def cell(table: pd.DataFrame, ranking: str, compartment: str, metric: str, column: str) -> float:
    """One number of the table; NaN where there is no such row."""
    is_row = (
        (table["ranking"] == ranking)
        & (table["compartment"] == compartment)
        & (table["metric"] == metric)
    )
    values = table.loc[is_row, column]
    return float(values.iloc[0]) if len(values) else float("nan")


def rankings_of(table: pd.DataFrame) -> Sequence[str]:
    """Names of the rankings, in file order."""
    return list(dict.fromkeys(table["ranking"].astype(str)))
