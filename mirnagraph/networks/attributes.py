"""Attributes of nodes and edges for graph programs: family, compartments, evidence, PMIDs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.dataset import PAIR, Dataset

Attributes = dict[str, object]

KNOWN = "known_"
"""Prefix of the attribute that says whether an RNA is annotated in a compartment."""

PROBABILITY = "probability_"
"""Prefix of the attribute with the predicted probability of a compartment."""

CALLED = "called"
"""Column of predictions, and attribute: compartments called, separated by ``;``."""


def rna_attributes(
    dataset: Dataset, predictions: pd.DataFrame | None = None
) -> dict[str, Attributes]:
    """Describe every RNA.

    Args:
        dataset: RNAs, labels, associations and names.
        predictions: index ``rna_id``, a column of probabilities per compartment, NaN where an RNA
            has none, and ``called``; None for no predictions.

    Returns:
        RNA -> ``family`` and ``accession`` (where known), ``compartments`` (known ones, separated
        by ``;``), ``known_COMPARTMENT`` (bool), ``evidence`` (records of all its associations),
        ``n_pmids`` (distinct publications), ``called`` and ``probability_COMPARTMENT`` where there
        are predictions. Values are str, int, float or bool.
    """
    accessions = _accessions(dataset)
    evidence, pmids = _totals(dataset, dataset.associations, "rna_id")
    names = dataset.compartments
    predicted = {} if predictions is None else predictions.to_dict("index")
    found: dict[str, Attributes] = {}
    for row, rna in enumerate(dataset.index):
        is_known = dataset.labels.iloc[row].to_numpy() > 0
        values: Attributes = {
            "family": _text(dataset.rnas, rna, "family"),
            "accession": accessions.get(rna, ""),
            "compartments": ";".join(np.array(names, dtype=object)[is_known]),
        }
        values |= {KNOWN + name: bool(known) for name, known in zip(names, is_known, strict=True)}
        values["evidence"] = evidence.get(rna, 0)
        values["n_pmids"] = len(pmids.get(rna, ()))
        if rna in predicted:
            values |= _predicted(predicted[rna], names)
        found[rna] = {name: value for name, value in values.items() if value != ""}
    return found


def partner_attributes(dataset: Dataset, kind: str) -> dict[str, Attributes]:
    """Describe every partner of a kind: ``evidence`` and ``n_pmids``, as of `rna_attributes`."""
    evidence, pmids = _totals(dataset, [kind], "partner_id")
    return {
        partner: {"evidence": evidence.get(partner, 0), "n_pmids": len(pmids.get(partner, ()))}
        for partner in dataset.partners[kind].index
    }


def edge_attributes(dataset: Dataset, kind: str) -> dict[tuple[str, str], Attributes]:
    """Describe every association of a kind.

    Returns:
        (RNA, partner) -> ``evidence``, the number of records (of PMIDs where records are not
        counted, else 1), and ``pmids``, separated by ``;``, where there are any.
    """
    table = dataset.associations[kind]
    pairs = table[PAIR].itertuples(index=False, name=None)
    rows = zip(pairs, _evidence(table), _pmids(table), strict=True)
    found: dict[tuple[str, str], Attributes] = {}
    for (rna, partner), evidence, pmids in rows:
        values: Attributes = {"evidence": evidence}
        if pmids:
            values["pmids"] = ";".join(pmids)
        found[rna, partner] = values
    return found


def _predicted(row: Mapping[Hashable, Any], names: list[str]) -> Attributes:
    """Probabilities of one RNA as plain numbers, without those it lacks."""
    values: Attributes = {}
    for name in names:
        probability = float(row[name])
        if not np.isnan(probability):
            values[PROBABILITY + name] = probability
    if values:
        values[CALLED] = str(row[CALLED])
    return values


def _accessions(dataset: Dataset) -> dict[str, str]:
    """Accession of every RNA that the names of the dataset know."""
    from mirnagraph.names.reference import ReferenceNames
    from mirnagraph.names.resolver import NameResolver

    if dataset.names is None:
        return {}
    resolver = NameResolver(ReferenceNames(tuple(dataset.index), dataset.names))
    return {rna: resolver.match(rna).accession for rna in dataset.index}


def _totals(
    dataset: Dataset, kinds: Iterable[str], column: str
) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Records, and distinct PMIDs, of every RNA or partner over some kinds of association."""
    evidence: dict[str, int] = {}
    publications: dict[str, set[str]] = {}
    for kind in kinds:
        table = dataset.associations[kind]
        rows = zip(table[column], _evidence(table), _pmids(table), strict=True)
        for name, number, pmids in rows:
            evidence[name] = evidence.get(name, 0) + number
            publications.setdefault(name, set()).update(pmids)
    return evidence, publications


def _evidence(table: pd.DataFrame) -> list[int]:
    """Number of records of each pair."""
    if "n_records" in table.columns:
        return [int(number) for number in table["n_records"].fillna(0)]
    if "pmids" in table.columns:
        return [len(pmids) for pmids in _pmids(table)]
    return [1] * len(table)


def _pmids(table: pd.DataFrame) -> list[list[str]]:
    """PMIDs of each pair."""
    if "pmids" not in table.columns:
        return [[] for _ in range(len(table))]
    cells = table["pmids"].fillna("").astype(str)
    return [[pmid.strip() for pmid in cell.split(";") if pmid.strip()] for cell in cells]


def _text(table: pd.DataFrame, row: str, column: str) -> str:
    """Cell as text, empty where there is none."""
    if column not in table.columns:
        return ""
    cell: Any = table.at[row, column]
    return "" if pd.isna(cell) else str(cell)
