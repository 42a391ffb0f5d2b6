"""Facts an audit states without fitting anything: duplicates, look-alike compartments, how ids were matched, counts against labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import spearmanr

from fusion.baseline_inputs import partner_counts
from fusion.modalities import shared_sequence
from mirnagraph.dataset import Dataset

NO_SEQUENCE = "no sequence"


def duplicates(dataset: Dataset) -> dict[str, sparse.csr_array]:
    """Which RNAs are one molecule under several ids: ``sequence`` (equal whole sequence) and, where there are matures, ``mature``
    (a shared mature sequence): binary, shape (n_rnas, n_rnas), zero diagonal.
    """
    cells = {"sequence": dataset.rnas["sequence"]}
    if "matures" in dataset.rnas.columns:
        cells["mature"] = dataset.rnas["matures"]
    return {name: shared_sequence([cell if isinstance(cell, str) else None for cell in column]) for name, column in cells.items()}


def duplicate_figures(together: sparse.csr_array, labels: np.ndarray, fold: np.ndarray) -> dict[str, float]:
    """How many duplicates there are, how many a split parts, and how alike their labels are.

    Args:
        together: see `duplicates`. labels: 0/1, shape (n_rnas, n_labels). fold: shape (n_rnas,); rows below 0 are not tested.

    Returns:
        ``rnas`` (ids with a duplicate), ``pairs``, ``pairs apart`` (tested in different folds, so that one helps predict the other),
        ``same labels`` (share of the pairs with exactly the same compartments) and ``same labels, any two RNAs``; NaN without pairs.
    """
    together = sparse.csr_array(together != 0)
    upper = sparse.triu(together, k=1).tocoo()
    one, other = upper.row, upper.col
    tested = (fold[one] >= 0) & (fold[other] >= 0)
    same = (labels[one] == labels[other]).all(axis=1)
    sizes = np.unique(labels, axis=0, return_counts=True)[1]
    n = len(labels)
    return {
        "rnas": float((np.diff(together.indptr) > 0).sum()),
        "pairs": float(len(one)),
        "pairs apart": float((tested & (fold[one] != fold[other])).sum()),
        "same labels": float(same.mean()) if len(one) else np.nan,
        "same labels, any two RNAs": float((sizes * (sizes - 1)).sum() / (n * (n - 1))) if n > 1 else np.nan,
    }


def compartment_pairs(labels: pd.DataFrame) -> pd.DataFrame:
    """How alike every two compartments are: columns ``first``, ``second``, ``jaccard`` (both / either) and ``phi`` (correlation of 0/1).

    NaN where no RNA is in either, or where a compartment has one class.
    """
    rows = []
    values, names = labels.to_numpy(dtype=float), [str(c) for c in labels.columns]
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            a, b = values[:, i], values[:, j]
            either = float(np.maximum(a, b).sum())
            varies = a.std() > 0 and b.std() > 0
            rows.append((names[i], names[j], float((a * b).sum() / either) if either else np.nan, float(np.corrcoef(a, b)[0, 1]) if varies else np.nan))
    return pd.DataFrame(rows, columns=["first", "second", "jaccard", "phi"])


def match_kinds(dataset: Dataset) -> pd.Series:
    """How each id came by its sequence: column ``match_kind`` where there is one, else whether there is a sequence at all."""
    known = dataset.rnas["sequence"].map(lambda s: isinstance(s, str) and bool(s)).to_numpy(dtype=bool)
    if "match_kind" in dataset.rnas.columns:
        kinds = dataset.rnas["match_kind"].fillna("").astype(str)
        return kinds.where(kinds != "", NO_SEQUENCE)
    return pd.Series(np.where(known, "sequence known", NO_SEQUENCE), index=dataset.rnas.index, dtype=object)


def match_features(dataset: Dataset) -> np.ndarray:
    """One 0/1 column per kind of match, and one for a missing sequence: float64, shape (n_rnas, n_kinds + 1)."""
    kinds = pd.get_dummies(match_kinds(dataset)).to_numpy(dtype=float)
    missing = dataset.rnas["sequence"].map(lambda s: not (isinstance(s, str) and s)).to_numpy(dtype=float)
    return np.column_stack([kinds, missing])


def match_table(dataset: Dataset) -> pd.DataFrame:
    """Per kind of match: ``n`` RNAs, mean number of ``compartments``, share ``unannotated``; the most frequent first."""
    table = pd.DataFrame({"n": 1, "compartments": dataset.labels.sum(axis=1), "unannotated": ~dataset.located}, index=dataset.rnas.index)
    grouped = table.groupby(match_kinds(dataset).to_numpy()).agg({"n": "sum", "compartments": "mean", "unannotated": "mean"})
    return grouped.sort_index().sort_values("n", ascending=False, kind="stable")


def count_correlations(dataset: Dataset) -> dict[str, float]:
    """Spearman's correlation of the number of partners with the number of compartments, per kind of association and for their sum.

    NaN where one of the two never varies.
    """
    counts, n_labels = partner_counts(dataset), dataset.labels.sum(axis=1).to_numpy()
    columns = {str(kind): counts[kind].to_numpy() for kind in counts.columns}
    if len(columns) > 1:
        columns["all kinds together"] = counts.sum(axis=1).to_numpy()
    found = {}
    for name, column in columns.items():
        varies = len(np.unique(column)) > 1 and len(np.unique(n_labels)) > 1
        found[name] = float(spearmanr(column, n_labels).statistic) if varies else np.nan
    return found


def chance_spread(labels: np.ndarray) -> float:
    """Standard error of an AUC under chance, as a mean over compartments of both classes (Mann-Whitney): sqrt((n + 1) / (12 n1 n0)).

    >>> round(chance_spread(np.array([[1], [1], [0], [0]])), 3)
    0.323
    """
    n, ones = len(labels), labels.sum(axis=0).astype(float)
    both = (ones > 0) & (ones < n)
    return float(np.sqrt((n + 1) / (12 * ones[both] * (n - ones[both]))).mean()) if both.any() else float("nan")
