"""Confirmation of predictions by an evidence table that the model has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from fusion.explain.ranking import FinishedRun, rank_order
from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.scores import popularity

CONFIRMED = "confirmed"
ELSEWHERE = "listed elsewhere"
NOT_LISTED = "not listed"

ALIAS_COLUMNS = ("hairpin_ids", "mature_ids")

PRECISION_COLUMNS = (
    "n_candidates",
    "n_hits",
    "k",
    "hits_at_k",
    "precision_at_k",
    "chance",
    "popularity_at_k",
    "p",
)
"""Four counts, three shares, and the p-value of `precision_at_k`."""


@dataclass(frozen=True, eq=False)
class Confirmations:
    """An evidence table joined to a dataset.

    Attributes:
        confirmed: bool, shape (n_rnas, n_labels): the table has this RNA in this compartment.
        sources, pmids: (row, column) of a confirmed pair -> what the table cites, in file order.
        listed: bool, shape (n_rnas,): the table has this RNA in some compartment.
        unused: records that were not used, with a column ``reason``.
        n_records: records in the table.
    """

    confirmed: np.ndarray
    sources: dict[tuple[int, int], tuple[str, ...]]
    pmids: dict[tuple[int, int], tuple[str, ...]]
    listed: np.ndarray
    unused: pd.DataFrame
    n_records: int


def read_confirmations(
    path: str | Path, dataset: Dataset, *, species: str | None = None
) -> Confirmations:
    """Read an evidence table: one line per RNA and compartment, such as a release of RNALocate.

    An RNA is matched by its id without case; a mature name by the precursor it is cut from
    (``hsa-miR-21-5p``: ``hsa-mir-21``), and by the columns ``hairpin_ids`` and ``mature_ids`` of
    the dataset's RNAs where there are any. Compartments are compared without case.

    Args:
        path: columns ``rna_id`` and ``compartment`` (or as RNALocate calls them); optional
            ``pmid``, ``source``, ``species``.
        dataset: the RNAs and compartments.
        species: only records of this species, compared without case.

    Raises:
        InputError: a missing column, an empty cell, or no record with an RNA and a compartment of
            the dataset.
    """
    from mirnagraph.sources.rnalocate import read_rnalocate

    records = read_rnalocate(path)
    rows = records["rna"].map(_matched_rows(records["rna"].unique(), dataset))
    columns = {name.lower(): column for column, name in enumerate(dataset.compartments)}
    column = records["compartment"].str.lower().map(columns)
    is_other_species = np.zeros(len(records), dtype=bool)
    if species is not None:
        is_other_species = (records["species"].str.lower() != species.lower()).to_numpy()
    reason = np.where(column.isna(), "compartment is not in the dataset", "")
    reason = np.where(rows.map(len) == 0, "RNA is not in the dataset", reason)
    reason = np.where(is_other_species, "another species", reason)
    listed = np.zeros(len(dataset.index), dtype=bool)
    listed[rows[~is_other_species].explode().dropna().astype(int)] = True
    used = records.assign(row=rows, column=column).loc[reason == ""].explode("row")
    used = used.astype({"row": int, "column": int})
    confirmed = np.zeros(dataset.labels.shape, dtype=bool)
    confirmed[used["row"], used["column"]] = True
    unused = records.assign(reason=reason).loc[reason != ""].reset_index(drop=True)
    if not confirmed.any():
        counts = unused["reason"].value_counts()
        raise InputError(
            "no record has an RNA and a compartment of the dataset",
            file=path,
            found=", ".join(f"{reason}: {n}" for reason, n in counts.items()),
            expected=f"e.g. {dataset.index.ids[0]}, {dataset.compartments[0]}",
        )
    sources = _cited(used, "source")
    return Confirmations(confirmed, sources, _cited(used, "pmid"), listed, unused, len(records))


def _cited(records: pd.DataFrame, field: str) -> dict[tuple[int, int], tuple[str, ...]]:
    """(row, column) -> what is cited, each once, in file order."""
    cited: dict[tuple[int, int], tuple[str, ...]] = {}
    for row, column, text in records[["row", "column", field]].itertuples(index=False):
        known = cited.get((row, column), ())
        if text and text not in known:
            cited[row, column] = (*known, text)
    return cited


def _matched_rows(names: Iterable[str], dataset: Dataset) -> dict[str, list[int]]:
    """Rows of the dataset's RNAs per name of the table; an empty list where there is none."""
    from mirnagraph.sources.assemble import match_names

    names = [str(name) for name in names]
    rnas_of = {**_aliases(dataset), **match_names(names, list(dataset.index))}
    rows_of = {}
    for name in names:
        rnas = rnas_of.get(name, rnas_of.get(name.lower(), []))
        rows_of[name] = dataset.index.positions(rnas).tolist()
    return rows_of


def _aliases(dataset: Dataset) -> dict[str, list[str]]:
    """Lower-case names of hairpins and mature forms -> the RNAs they belong to."""
    rnas_of: dict[str, list[str]] = {}
    for column in ALIAS_COLUMNS:
        if column not in dataset.rnas.columns:
            continue
        names = dataset.rnas[column].fillna("").str.lower().str.split(";").explode()
        for rna, name in names[names != ""].items():
            rnas = rnas_of.setdefault(name, [])
            if rna not in rnas:
                rnas.append(str(rna))
    return rnas_of


def mark(table: pd.DataFrame, dataset: Dataset, evidence: Confirmations) -> pd.DataFrame:
    """Add the evidence to the table of `fusion.explain.ranking.rank`.

    Columns ``evidence`` (confirmed, listed elsewhere, not listed), ``evidence_source`` and
    ``evidence_pmids``.
    """
    rows = dataset.index.positions(table["rna_id"])
    columns = np.array([dataset.compartments.index(name) for name in table["compartment"]], int)
    marks = np.where(evidence.listed[rows], ELSEWHERE, NOT_LISTED)
    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    return table.assign(
        evidence=np.where(evidence.confirmed[rows, columns], CONFIRMED, marks).astype(object),
        evidence_source=[";".join(evidence.sources.get(pair, ())) for pair in pairs],
        evidence_pmids=[";".join(evidence.pmids.get(pair, ())) for pair in pairs],
    )


def precision_at_k(
    run: FinishedRun,
    hit: np.ndarray,
    compartments: Sequence[str],
    *,
    top: int,
    known: bool = False,
    novel: bool = True,
) -> pd.DataFrame:
    """Hits among the top k, compared with chance and with ranking by popularity alone.

    Args:
        run: the finished run.
        hit: bool, shape (n_rnas, n_labels): confirmed by a table, or annotated.
        compartments: names.
        top: k, 1 or more.
        known: whether annotated RNAs are candidates.
        novel: whether others are (see `fusion.explain.ranking.rank`).

    Returns:
        Per compartment, and ``all`` for the sums: ``n_candidates``, ``n_hits`` (among all
        candidates), ``k`` (number taken), ``hits_at_k``, ``precision_at_k``, ``chance`` (share of
        hits among all candidates; for ``all`` the mean over the RNAs taken), ``popularity_at_k``
        (precision of the k most studied candidates), ``p`` (hypergeometric: as many hits or more by
        chance; empty for ``all``).
    """
    studied = popularity(run.networks.dataset)
    rows = []
    for name in compartments:
        column = run.networks.dataset.compartments.index(name)
        order = rank_order(run, column, known=known, novel=novel)
        rows.append({"compartment": name, **_precision(order, hit[:, column], studied, top)})
    table = pd.DataFrame(rows)
    total: dict[str, object] = {"compartment": "all"}
    for count in PRECISION_COLUMNS[:4]:
        total[count] = int(table[count].sum())
    n_taken = int(table["k"].sum())
    for share in PRECISION_COLUMNS[4:7]:
        mean = float((table[share] * (table["k"] / max(n_taken, 1))).sum())
        total[share] = mean if n_taken else np.nan
    total["p"] = np.nan
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)


def _precision(
    order: np.ndarray, hit: np.ndarray, studied: np.ndarray, top: int
) -> dict[str, object]:
    """One row of `precision_at_k`.

    Args:
        order: candidates, the strongest prediction first.
        hit: bool, shape (n_rnas,).
        studied: popularity, shape (n_rnas,); ties in row order.
        top: k.
    """
    candidates = np.sort(order)
    popular = candidates[np.argsort(-studied[candidates], kind="stable")][:top]
    n_hits = int(hit[order].sum())
    n_taken = min(top, len(order))
    hits_at_k = int(hit[order[:top]].sum())
    shares = (np.nan, np.nan, np.nan, np.nan)
    if n_taken:
        p = float(hypergeom.sf(hits_at_k - 1, len(order), n_hits, n_taken))
        shares = (hits_at_k / n_taken, n_hits / len(order), float(hit[popular].mean()), p)
    values = (len(order), n_hits, n_taken, hits_at_k, *shares)
    return dict(zip(PRECISION_COLUMNS, values, strict=True))
