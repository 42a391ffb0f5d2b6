"""Facts of an audit that need no model: duplicates, matches, counts, compartments."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import spearmanr

from fusion.data.baseline_inputs import partner_counts
from fusion.tokens.builders import shared_sequence
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.splits import Folds

NO_SEQUENCE = "no sequence"

AuditRow = tuple[str, str, str, str, str, str, float]
"""Section, subject, split, RNAs, compartment, measure, value."""


def fact_rows(dataset: Dataset, folds: Folds) -> Iterator[AuditRow]:
    """Rows of `fusion.experiments.audit.COLUMNS`.

    Args:
        dataset: to audit.
        folds: a random split, which may separate duplicates.
    """
    labels = dataset.labels.to_numpy()
    of_row = folds.of_rows(dataset.index)
    for name, is_duplicate in duplicates(dataset).items():
        for measure, value in duplicate_metrics(is_duplicate, labels, of_row).items():
            yield "duplicates", name, "random", "all", "", measure, value
    for pair in compartment_pairs(dataset.labels).to_dict("records"):
        subject = f"{pair['first']} and {pair['second']}"
        for measure in ("jaccard", "phi"):
            yield "compartments", subject, "", "", "", measure, pair[measure]
    for kind, match in match_table(dataset).iterrows():
        for measure in ("n", "compartments", "unannotated"):
            yield "matching", str(kind), "", "", "", measure, match[measure]
    for kind, value in count_correlations(dataset).items():
        yield "counts", kind, "", "", "", "Spearman with number of compartments", value
    is_unannotated = ~dataset.located
    yield "unannotated", "RNAs", "", "", "", "n", is_unannotated.sum()
    for column, name in enumerate(dataset.compartments):
        negatives = is_unannotated[labels[:, column] == 0]
        share = negatives.mean() if len(negatives) else np.nan
        yield "unannotated", "share of the negatives", "", "", name, "share", share
    error = auc_standard_error(labels)
    yield "permutation", "chance", "", "", "", "standard error of an AUC", error


def duplicates(dataset: Dataset) -> dict[str, sparse.csr_array]:
    """Pairs of ids that are the same molecule.

    Returns:
        ``sequence`` (equal whole sequence) and, where the dataset has mature sequences, ``mature``
        (one in common): binary, shape (n_rnas, n_rnas), zero diagonal.
    """
    columns = {"sequence": dataset.rnas["sequence"]}
    if "matures" in dataset.rnas.columns:
        columns["mature"] = dataset.rnas["matures"]
    is_duplicate = {}
    for name, column in columns.items():
        cells = [cell if isinstance(cell, str) else None for cell in column]
        is_duplicate[name] = shared_sequence(cells)
    return is_duplicate


def duplicate_metrics(
    is_duplicate: sparse.csr_array, labels: np.ndarray, fold: np.ndarray
) -> dict[str, float]:
    """Count duplicates, those in different folds, and those with equal labels.

    Args:
        is_duplicate: see `duplicates`.
        labels: 0/1, shape (n_rnas, n_labels).
        fold: test fold of every RNA, shape (n_rnas,), negative where not tested.

    Returns:
        ``rnas`` (ids with a duplicate), ``pairs``, ``pairs apart`` (tested in different folds, so
        that one helps to predict the other), ``same labels`` (share of the pairs with exactly the
        same compartments) and ``same labels, any two RNAs``; NaN without pairs.
    """
    binary = sparse.csr_array(is_duplicate != 0)
    pairs = sparse.triu(binary, k=1).tocoo()
    first = pairs.row
    second = pairs.col
    n_pairs = len(first)
    is_tested = (fold[first] >= 0) & (fold[second] >= 0)
    is_same = (labels[first] == labels[second]).all(axis=1)
    sizes = np.unique(labels, axis=0, return_counts=True)[1]
    n = len(labels)
    any_two = np.nan
    if n > 1:
        any_two = (sizes * (sizes - 1)).sum() / (n * (n - 1))
    return {
        "rnas": (np.diff(binary.indptr) > 0).sum(),
        "pairs": n_pairs,
        "pairs apart": (is_tested & (fold[first] != fold[second])).sum(),
        "same labels": is_same.mean() if n_pairs else np.nan,
        "same labels, any two RNAs": any_two,
    }


def compartment_pairs(labels: pd.DataFrame) -> pd.DataFrame:
    """Similarity of every two compartments.

    Returns:
        Columns ``first``, ``second``, ``jaccard`` (both / either; NaN where no RNA is in either)
        and ``phi`` (correlation of the 0/1 labels; NaN where a compartment has one value).
    """
    rows = []
    for first, second in combinations(labels.columns, 2):
        a = labels[first].to_numpy(dtype=float)
        b = labels[second].to_numpy(dtype=float)
        n_either = np.maximum(a, b).sum()
        jaccard = np.nan
        phi = np.nan
        if n_either:
            jaccard = (a * b).sum() / n_either
        if a.std() > 0 and b.std() > 0:
            phi = np.corrcoef(a, b)[0, 1]
        rows.append((first, second, jaccard, phi))
    return pd.DataFrame(rows, columns=["first", "second", "jaccard", "phi"])


def has_sequence(dataset: Dataset) -> np.ndarray:
    """Which RNAs have a sequence: bool, shape (n_rnas,)."""
    return np.array([isinstance(s, str) and bool(s) for s in dataset.rnas["sequence"]], dtype=bool)


def match_kinds(dataset: Dataset) -> pd.Series:
    """How each id was matched to its sequence.

    Column ``match_kind`` where the dataset has one, else whether there is a sequence.
    """
    if "match_kind" in dataset.rnas.columns:
        kinds = dataset.rnas["match_kind"].fillna("").astype(str)
        return kinds.where(kinds != "", NO_SEQUENCE)
    names = np.where(has_sequence(dataset), "sequence known", NO_SEQUENCE)
    return pd.Series(names, index=dataset.rnas.index, dtype=object)


def match_features(dataset: Dataset) -> np.ndarray:
    """One 0/1 column per kind of match, and one for a missing sequence.

    Returns:
        float64, shape (n_rnas, n_kinds + 1).
    """
    kinds = pd.get_dummies(match_kinds(dataset)).to_numpy(dtype=float)
    is_missing = (~has_sequence(dataset)).astype(float)
    return np.column_stack([kinds, is_missing])


def match_table(dataset: Dataset) -> pd.DataFrame:
    """Labels by kind of match, the most frequent kind first.

    Returns:
        Columns ``n`` (RNAs), ``compartments`` (mean number), ``unannotated`` (share).
    """
    table = pd.DataFrame(
        {"n": 1, "compartments": dataset.labels.sum(axis=1), "unannotated": ~dataset.located},
        index=dataset.rnas.index,
    )
    grouped = table.groupby(match_kinds(dataset).to_numpy())
    means = grouped.agg({"n": "sum", "compartments": "mean", "unannotated": "mean"})
    return means.sort_index().sort_values("n", ascending=False, kind="stable")


def count_correlations(dataset: Dataset) -> dict[str, float]:
    """Spearman's correlation of the numbers of partners and of compartments.

    Returns:
        Per kind of association and for the sum of all; NaN where one of the two never varies.
    """
    counts = partner_counts(dataset)
    n_labels = dataset.labels.sum(axis=1).to_numpy()
    columns = {str(kind): counts[kind].to_numpy() for kind in counts.columns}
    if len(columns) > 1:
        columns["all kinds together"] = counts.sum(axis=1).to_numpy()
    correlations = {}
    for name, column in columns.items():
        correlations[name] = np.nan
        if len(np.unique(column)) > 1 and len(np.unique(n_labels)) > 1:
            correlations[name] = spearmanr(column, n_labels).statistic
    return correlations


def auc_standard_error(labels: np.ndarray) -> float:
    """Standard error of the AUC of a random score: sqrt((n + 1) / (12 n1 n0)) (Mann-Whitney).

    Args:
        labels: 0/1, shape (n_rnas, n_labels).

    Returns:
        Mean over the compartments with both classes; NaN without one.

    >>> round(auc_standard_error(np.array([[1], [1], [0], [0]])), 3)
    0.323
    """
    n = len(labels)
    n_positive = labels.sum(axis=0).astype(float)
    n_positive = n_positive[(n_positive > 0) & (n_positive < n)]
    if not len(n_positive):
        return np.nan
    return float(np.sqrt((n + 1) / (12 * n_positive * (n - n_positive))).mean())
