"""Are new predictions confirmed by a table the model has never seen? Marks each prediction, and scores the top k against chance."""

from __future__ import annotations

from collections.abc import Sequence
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

ALIASES = ("hairpin_ids", "mature_ids")


@dataclass(frozen=True, eq=False)
class Confirmations:
    """An evidence table joined to a dataset.

    Attributes:
        found: bool, shape (n_rnas, n_labels): the table names this RNA in this compartment.
        sources, pmids: (row, column) of a confirmed pair -> what the table cites, in file order.
        listed: bool, shape (n_rnas,): the table names this RNA in some compartment.
        unused: records that were not used, with a column ``reason``.
        n_records: records in the table.
    """

    found: np.ndarray
    sources: dict[tuple[int, int], tuple[str, ...]]
    pmids: dict[tuple[int, int], tuple[str, ...]]
    listed: np.ndarray
    unused: pd.DataFrame
    n_records: int


def read_confirmations(
    path: str | Path, dataset: Dataset, *, species: str | None = None
) -> Confirmations:
    """Read an evidence table: one line per RNA and compartment, such as a release of RNALocate.

    An RNA is matched by its id without case; a mature name by the precursor it is cut from (``hsa-miR-21-5p``: ``hsa-mir-21``), and by
    the columns ``hairpin_ids`` and ``mature_ids`` of the dataset's RNAs where there are any. Compartments are compared without case.

    Args:
        path: columns ``rna_id`` and ``compartment`` (or as RNALocate calls them); optional ``pmid``, ``source``, ``species``.
        species: use only records of this species (as the table writes it, compared without case).

    Raises:
        InputError: a missing column, an empty cell, or no record that names an RNA and a compartment of the dataset.
    """
    from mirnagraph.sources.assemble import match_names
    from mirnagraph.sources.rnalocate import read_rnalocate

    records = read_rnalocate(path)
    ids = list(dataset.index)
    meant = match_names(records["rna"].unique(), ids)
    for name, rnas in _aliases(dataset).items():
        meant.setdefault(name, rnas)
    columns = {name.lower(): k for k, name in enumerate(dataset.compartments)}
    found = np.zeros((len(ids), len(columns)), dtype=bool)
    listed = np.zeros(len(ids), dtype=bool)
    sources: dict[tuple[int, int], dict[str, None]] = {}
    pmids: dict[tuple[int, int], dict[str, None]] = {}
    reasons = []
    fields = ("rna", "species", "compartment", "pmid", "source")
    for rna, organism, compartment, pmid, source in zip(
        *(records[c].astype(str) for c in fields), strict=True
    ):
        rows = [dataset.index.position(name) for name in meant.get(rna, meant.get(rna.lower(), []))]
        column = columns.get(compartment.lower())
        if species is not None and organism.lower() != species.lower():
            reasons.append("another species")
            continue
        listed[rows] = True
        reasons.append(
            "RNA is not in the dataset"
            if not rows
            else "compartment is not in the dataset"
            if column is None
            else ""
        )
        for row in rows if column is not None else ():
            pair = (row, int(column or 0))
            found[pair] = True
            for table, cited in ((sources, source), (pmids, pmid)):
                if cited:
                    table.setdefault(pair, {})[cited] = None
    unused = records.assign(reason=reasons)
    unused = unused[unused["reason"] != ""].reset_index(drop=True)
    if not found.any():
        counts = ", ".join(
            f"{reason}: {n}" for reason, n in unused["reason"].value_counts().items()
        )
        expected = f"e.g. {ids[0]}, {dataset.compartments[0]}"
        raise InputError(
            "no record names an RNA and a compartment of the dataset",
            file=path,
            found=counts,
            expected=expected,
        )
    plain = [{pair: tuple(cited) for pair, cited in cites.items()} for cites in (sources, pmids)]
    return Confirmations(found, plain[0], plain[1], listed, unused, len(records))


def _aliases(dataset: Dataset) -> dict[str, list[str]]:
    """Lower-case names of hairpins and matures -> the RNAs they belong to."""
    known: dict[str, list[str]] = {}
    for column in (c for c in ALIASES if c in dataset.rnas.columns):
        for rna, cell in dataset.rnas[column].fillna("").items():
            for name in filter(None, str(cell).lower().split(";")):
                if rna not in known.setdefault(name, []):
                    known[name].append(str(rna))
    return known


def mark(table: pd.DataFrame, dataset: Dataset, evidence: Confirmations) -> pd.DataFrame:
    """The table of `fusion.explain.ranking.rank` with ``evidence`` (confirmed, listed elsewhere, not listed), ``evidence_source``, ``evidence_pmids``."""
    pairs = [
        (dataset.index.position(rna), dataset.compartments.index(name))
        for rna, name in table[["rna_id", "compartment"]].itertuples(index=False, name=None)
    ]
    return table.assign(
        evidence=[
            CONFIRMED
            if evidence.found[pair]
            else ELSEWHERE
            if evidence.listed[pair[0]]
            else NOT_LISTED
            for pair in pairs
        ],
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
    """How many of the top k are hits, against chance and against ranking by popularity alone.

    Args:
        hit: bool, shape (n_rnas, n_labels): confirmed by a table, or annotated.
        compartments: which, by name.
        top: k.
        known, novel: which RNAs are candidates (see `fusion.explain.ranking.rank`).

    Returns:
        Per compartment, and ``all`` for the sums: ``n_candidates``, ``n_hits`` (among all candidates), ``k`` (how many were
        taken), ``hits_at_k``, ``precision_at_k``, ``chance`` (share of hits among all candidates; for ``all`` the mean over the places
        taken), ``popularity_at_k`` (precision of the k most studied candidates), ``p`` (hypergeometric: as many hits or more by chance;
        empty for ``all``).
    """
    rows: list[dict[str, object]] = []
    studied = popularity(run.networks.dataset)
    for name in compartments:
        column = run.networks.dataset.compartments.index(name)
        order = rank_order(run, column, known=known, novel=novel)
        taken = order[:top]
        n = len(order)
        n_hits = int(hit[order, column].sum())
        # the same candidates by popularity; equals in row order
        candidates = np.sort(order)
        popular = candidates[np.argsort(-studied[candidates], kind="stable")][:top]
        hits = int(hit[taken, column].sum())
        rows.append({
            "compartment": name, "n_candidates": n, "n_hits": n_hits, "k": len(taken), "hits_at_k": hits,
            "precision_at_k": hits / len(taken) if len(taken) else np.nan, "chance": n_hits / n if n else np.nan,
            "popularity_at_k": float(hit[popular, column].mean()) if len(popular) else np.nan,
            "p": float(hypergeom.sf(hits - 1, n, n_hits, len(taken))) if len(taken) else np.nan,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    taken_in_all = int(table["k"].sum())
    weights = table["k"] / max(taken_in_all, 1)
    total = {
        "compartment": "all", **{c: int(table[c].sum()) for c in ("n_candidates", "n_hits", "k", "hits_at_k")},
        **{c: float((table[c] * weights).sum()) if taken_in_all else np.nan for c in ("precision_at_k", "chance", "popularity_at_k")}, "p": np.nan,
    }  # fmt: skip
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)
