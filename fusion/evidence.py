"""Evidence: how, how often, when and with which other RNAs the associations of an RNA were reported; no label is read.

A dataset may name, per association, the reports it rests on (column ``reports`` or ``pmids``: ``;``-separated numbers that grow with
time, such as PMIDs or places in a database). RNAs found in one report are related: often one experiment measured them all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.dataset import Dataset

REPORTS = ("reports", "pmids")
TIME_BINS = 8


def report_matrix(dataset: Dataset, kind: str) -> tuple[sparse.csr_array, np.ndarray]:
    """Which RNA is named in which report of one association kind.

    Returns:
        Binary CSR matrix, shape (n_rnas, n_reports), columns in the order of the report numbers; and those numbers, float64.
        Without a column ``reports`` or ``pmids`` there are no columns.
    """
    table = dataset.associations[kind]
    n_rnas = len(dataset.index)
    named = next((c for c in REPORTS if c in table.columns), None)
    if named is None:
        return sparse.csr_array((n_rnas, 0)), np.zeros(0)
    pairs = pd.DataFrame({"rna": dataset.index.positions(table["rna_id"]), "report": table[named].astype(str).str.split(";")}).explode("report")
    numbers = pd.to_numeric(pairs["report"], errors="coerce")
    pairs = pairs.assign(report=numbers)[numbers.notna()].drop_duplicates()
    reports, column = np.unique(pairs["report"].to_numpy(dtype=float), return_inverse=True)
    matrix = sparse.csr_array((np.ones(len(pairs)), (pairs["rna"].to_numpy(), column)), shape=(n_rnas, len(reports)))
    return matrix, reports


def tf_idf(matrix: sparse.csr_array) -> sparse.csr_array:
    """Columns weighed by log((1 + n) / (1 + RNAs in the column)): what is said of few RNAs says more of each."""
    rarity = np.log((1 + matrix.shape[0]) / (1 + np.asarray((matrix != 0).sum(axis=0)).ravel()))
    return sparse.csr_array(matrix @ sparse.diags_array(rarity)) if matrix.shape[1] else matrix


def shared_reports(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Tf-idf matrix of the reports that name two RNAs or more: shape (n_rnas, n_shared)."""
    matrix, _ = report_matrix(dataset, kind)
    shared = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() >= 2)
    return tf_idf(sparse.csr_array(matrix[:, shared]))


def weighted_matrix(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Associations weighed by log(1 + number of records): shape (n_rnas, n_partners)."""
    table = dataset.associations[kind]
    records = table["n_records"].to_numpy(dtype=float) if "n_records" in table.columns else np.ones(len(table))
    place = (dataset.index.positions(table["rna_id"]), dataset.partner_index(kind).positions(table["partner_id"]))
    return sparse.csr_array((np.log1p(records), place), shape=(len(dataset.index), len(dataset.partners[kind])))


def report_times(dataset: Dataset, kind: str) -> np.ndarray:
    """When and in what company an RNA was reported: quantiles of its report numbers, sizes of its reports, counts over time.

    Returns:
        shape (n_rnas, 5 + 3 + 1 + 8): smallest, quartiles and largest report number as a rank in [0, 1] (1 for an RNA never reported);
        log sizes (RNAs named) of its smallest, median and largest report; log number of reports; log counts in 8 bins of
        equally many reports.
    """
    matrix, _ = report_matrix(dataset, kind)
    n_rnas, n_reports = matrix.shape
    times = np.full((n_rnas, 5), 1.0)
    sizes, bins = np.zeros((n_rnas, 3)), np.zeros((n_rnas, TIME_BINS))
    size_of = np.asarray(matrix.sum(axis=0)).ravel()
    for row in range(n_rnas):
        named = np.sort(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])
        if len(named):
            times[row] = np.quantile(named, [0, 0.25, 0.5, 0.75, 1]) / n_reports
            sizes[row] = np.log1p(np.quantile(size_of[named], [0, 0.5, 1]))
            bins[row] = np.bincount(named * TIME_BINS // n_reports, minlength=TIME_BINS)
    return np.hstack([times, sizes, np.log1p(np.diff(matrix.indptr))[:, None], np.log1p(bins)])


def numeric_evidence(dataset: Dataset, kind: str) -> pd.DataFrame:
    """Numeric evidence columns of one association kind per RNA: log(1 + sum), and the mean over its associations.

    RNAs without an association have zeros.
    """
    table = dataset.associations[kind]
    numeric = [c for c in table.columns if c not in ("rna_id", "partner_id", *REPORTS) and pd.api.types.is_numeric_dtype(table[c])]
    if not numeric:
        return pd.DataFrame(index=dataset.rnas.index)
    grouped = table.groupby("rna_id", sort=False)[numeric]
    total = grouped.sum().clip(lower=0).transform(np.log1p).add_prefix("sum_")
    return pd.concat([total, grouped.mean().add_prefix("mean_")], axis=1).reindex(dataset.rnas.index).fillna(0.0)
