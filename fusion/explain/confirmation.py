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

Citations = dict[tuple[int, int], dict[str, None]]
"""(row, column) -> what is cited, each once, in file order."""


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
        species: only records of this species, compared without case.

    Raises:
        InputError: a missing column, an empty cell, or no record with an RNA and a compartment of
            the dataset.
    """
    from mirnagraph.sources.rnalocate import read_rnalocate

    records = read_rnalocate(path)
    rows_of = _matched_rows(records["rna"].unique(), dataset)
    columns = {name.lower(): column for column, name in enumerate(dataset.compartments)}
    confirmed = np.zeros((len(dataset.index), len(columns)), dtype=bool)
    listed = np.zeros(len(dataset.index), dtype=bool)
    sources: Citations = {}
    pmids: Citations = {}
    reasons = []
    fields = ("rna", "species", "compartment", "pmid", "source")
    cells = (records[field].astype(str) for field in fields)
    for rna, organism, compartment, pmid, source in zip(*cells, strict=True):
        if species is not None and organism.lower() != species.lower():
            reasons.append("another species")
            continue
        rows = rows_of[rna]
        column = columns.get(compartment.lower())
        listed[rows] = True
        if not rows:
            reasons.append("RNA is not in the dataset")
            continue
        if column is None:
            reasons.append("compartment is not in the dataset")
            continue
        reasons.append("")
        for row in rows:
            confirmed[row, column] = True
            _cite(sources, (row, column), source)
            _cite(pmids, (row, column), pmid)
    unused = records.assign(reason=reasons)
    unused = unused[unused["reason"] != ""].reset_index(drop=True)
    if not confirmed.any():
        counts = unused["reason"].value_counts()
        raise InputError(
            "no record has an RNA and a compartment of the dataset",
            file=path,
            found=", ".join(f"{reason}: {n}" for reason, n in counts.items()),
            expected=f"e.g. {dataset.index.ids[0]}, {dataset.compartments[0]}",
        )
    n_records = len(records)
    return Confirmations(confirmed, _tuples(sources), _tuples(pmids), listed, unused, n_records)


def _cite(citations: Citations, pair: tuple[int, int], cited: str) -> None:
    if cited:
        citations.setdefault(pair, {})[cited] = None


def _tuples(citations: Citations) -> dict[tuple[int, int], tuple[str, ...]]:
    return {pair: tuple(cited) for pair, cited in citations.items()}


def _matched_rows(names: Iterable[str], dataset: Dataset) -> dict[str, list[int]]:
    """Rows of the dataset's RNAs per name of the table; an empty list where there is none."""
    from mirnagraph.sources.assemble import match_names

    names = [str(name) for name in names]
    rnas_of = {**_aliases(dataset), **match_names(names, list(dataset.index))}
    rows_of = {}
    for name in names:
        rnas = rnas_of.get(name, rnas_of.get(name.lower(), []))
        rows_of[name] = [dataset.index.position(rna) for rna in rnas]
    return rows_of


def _aliases(dataset: Dataset) -> dict[str, list[str]]:
    """Lower-case names of hairpins and mature forms -> the RNAs they belong to."""
    rnas_of: dict[str, list[str]] = {}
    for column in ALIAS_COLUMNS:
        if column not in dataset.rnas.columns:
            continue
        for rna, cell in dataset.rnas[column].fillna("").items():
            for name in filter(None, str(cell).lower().split(";")):
                rnas = rnas_of.setdefault(name, [])
                if rna not in rnas:
                    rnas.append(str(rna))
    return rnas_of


def mark(table: pd.DataFrame, dataset: Dataset, evidence: Confirmations) -> pd.DataFrame:
    """Add the evidence to the table of `fusion.explain.ranking.rank`.

    Columns ``evidence`` (confirmed, listed elsewhere, not listed), ``evidence_source`` and
    ``evidence_pmids``.
    """
    marks = []
    sources = []
    pmids = []
    for rna, name in table[["rna_id", "compartment"]].itertuples(index=False, name=None):
        pair = (dataset.index.position(rna), dataset.compartments.index(name))
        if evidence.confirmed[pair]:
            marks.append(CONFIRMED)
        elif evidence.listed[pair[0]]:
            marks.append(ELSEWHERE)
        else:
            marks.append(NOT_LISTED)
        sources.append(";".join(evidence.sources.get(pair, ())))
        pmids.append(";".join(evidence.pmids.get(pair, ())))
    return table.assign(evidence=marks, evidence_source=sources, evidence_pmids=pmids)


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
        hit: bool, shape (n_rnas, n_labels): confirmed by a table, or annotated.
        compartments: names.
        top: k, 1 or more.
        known, novel: which RNAs are candidates (see `fusion.explain.ranking.rank`).

    Returns:
        Per compartment, and ``all`` for the sums: ``n_candidates``, ``n_hits`` (among all
        candidates), ``k`` (number taken), ``hits_at_k``, ``precision_at_k``, ``chance`` (share of
        hits among all candidates; for ``all`` the mean over the RNAs taken), ``popularity_at_k``
        (precision of the k most studied candidates), ``p`` (hypergeometric: as many hits or more by
        chance; empty for ``all``).
    """
    studied = popularity(run.networks.dataset)
    rows: list[dict[str, object]] = []
    for name in compartments:
        column = run.networks.dataset.compartments.index(name)
        order = rank_order(run, column, known=known, novel=novel)
        row: dict[str, object] = {"compartment": name}
        rows.append(row | _precision(order, hit[:, column], studied, top))
    table = pd.DataFrame(rows)
    n_taken = int(table["k"].sum())
    total: dict[str, object] = {"compartment": "all"}
    for column_name in ("n_candidates", "n_hits", "k", "hits_at_k"):
        total[column_name] = int(table[column_name].sum())
    weights = table["k"] / max(n_taken, 1)
    for column_name in ("precision_at_k", "chance", "popularity_at_k"):
        mean = float((table[column_name] * weights).sum())
        total[column_name] = mean if n_taken else np.nan
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
    """
    taken = order[:top]
    candidates = np.sort(order)
    popular = candidates[np.argsort(-studied[candidates], kind="stable")][:top]
    n_hits = int(hit[order].sum())
    hits_at_k = int(hit[taken].sum())
    row: dict[str, object] = {
        "n_candidates": len(order),
        "n_hits": n_hits,
        "k": len(taken),
        "hits_at_k": hits_at_k,
    }
    if not len(taken):
        empty = ("precision_at_k", "chance", "popularity_at_k", "p")
        return row | dict.fromkeys(empty, np.nan)
    row["precision_at_k"] = hits_at_k / len(taken)
    row["chance"] = n_hits / len(order)
    row["popularity_at_k"] = float(hit[popular].mean())
    row["p"] = float(hypergeom.sf(hits_at_k - 1, len(order), n_hits, len(taken)))
    return row
