"""Matrices and features of associations and of the reports that name them; no label is read.

A dataset may name, per association, the reports it rests on (column ``reports`` or ``pmids``:
``;``-separated numbers that grow with time, such as PMIDs). RNAs named in one report are related:
often one experiment measured them all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.dataset import Dataset
from mirnagraph.similarity.profile import tf_idf

REPORTS = ("reports", "pmids")
"""Columns that name reports; the first that a table has is read."""

TIME_BINS = 8


def report_column(table: pd.DataFrame) -> str | None:
    """Name of the column of an association table that names its reports; None without one."""
    return next((column for column in REPORTS if column in table.columns), None)


def report_matrix(dataset: Dataset, kind: str) -> tuple[sparse.csr_array, np.ndarray]:
    """Which RNA is named in which report of one kind of association.

    Returns:
        Binary, shape (n_rnas, n_reports), columns in ascending order of the report numbers; and
        these numbers, float64. Without a column of reports there are none.
    """
    table = dataset.associations[kind]
    n_rnas = len(dataset.index)
    column_name = report_column(table)
    if column_name is None:
        return sparse.csr_array((n_rnas, 0)), np.zeros(0)
    rows = dataset.index.positions(table["rna_id"])
    cells = table[column_name].astype(str).str.split(";")
    pairs = pd.DataFrame({"rna": rows, "report": cells}).explode("report")
    pairs["report"] = pd.to_numeric(pairs["report"], errors="coerce")
    pairs = pairs.dropna().drop_duplicates()
    reports, columns = np.unique(pairs["report"].to_numpy(dtype=float), return_inverse=True)
    entries = (np.ones(len(pairs)), (pairs["rna"], columns))
    return sparse.csr_array(entries, shape=(n_rnas, len(reports))), reports


def shared_reports(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Tf-idf matrix of the reports that name two RNAs or more, shape (n_rnas, n_shared)."""
    matrix, _ = report_matrix(dataset, kind)
    is_shared = matrix.sum(axis=0) >= 2
    return tf_idf(sparse.csr_array(matrix[:, np.flatnonzero(is_shared)]))


def weighted_matrix(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Associations weighted by log(1 + number of records), shape (n_rnas, n_partners)."""
    table = dataset.associations[kind]
    n_records = np.asarray(table.get("n_records", np.ones(len(table))), dtype=float)
    rows = dataset.index.positions(table["rna_id"])
    columns = dataset.partner_index(kind).positions(table["partner_id"])
    shape = (len(dataset.index), len(dataset.partners[kind]))
    return sparse.csr_array((np.log1p(n_records), (rows, columns)), shape=shape)


def report_times(dataset: Dataset, kind: str) -> np.ndarray:
    """Times, sizes and counts of the reports that name an RNA.

    Returns:
        Shape (n_rnas, 5 + 3 + 1 + 8): smallest, quartiles and largest report as a rank in [0, 1]
        (1 for an RNA never reported); log sizes (RNAs named) of its smallest, median and largest
        report; log number of reports; log counts in 8 bins of equally many reports.
    """
    matrix, _ = report_matrix(dataset, kind)
    n_rnas, n_reports = matrix.shape
    times = np.full((n_rnas, 5), 1.0)
    sizes = np.zeros((n_rnas, 3))
    bins = np.zeros((n_rnas, TIME_BINS))
    size_of = matrix.sum(axis=0)
    for row in range(n_rnas):
        columns = np.sort(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])
        if len(columns):
            times[row] = np.quantile(columns, [0, 0.25, 0.5, 0.75, 1]) / n_reports
            sizes[row] = np.log1p(np.quantile(size_of[columns], [0, 0.5, 1]))
            bins[row] = np.bincount(columns * TIME_BINS // n_reports, minlength=TIME_BINS)
    n_named = np.log1p(np.diff(matrix.indptr))[:, None]
    return np.hstack([times, sizes, n_named, np.log1p(bins)])


def numeric_evidence(dataset: Dataset, kind: str) -> pd.DataFrame:
    """Numeric evidence columns of one kind of association per RNA.

    Returns:
        log(1 + sum) and mean over the RNA's associations, per column; zeros without association.
    """
    table = dataset.associations[kind]
    others = table.columns.difference(["rna_id", "partner_id", *REPORTS], sort=False)
    numeric = [column for column in others if pd.api.types.is_numeric_dtype(table[column])]
    if not numeric:
        return pd.DataFrame(index=dataset.rnas.index)
    grouped = table.groupby("rna_id", sort=False)[numeric]
    total = grouped.sum().clip(lower=0).transform(np.log1p).add_prefix("sum_")
    both = pd.concat([total, grouped.mean().add_prefix("mean_")], axis=1)
    return both.reindex(dataset.rnas.index).fillna(0.0)
