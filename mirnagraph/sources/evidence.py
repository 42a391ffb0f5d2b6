"""Association pairs and evidence from database records.

The rules reproduce the published matrices cell for cell. Each function also states which records it
does not use, and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS, PAIR
from mirnagraph.errors import InputError
from mirnagraph.sources.hmdd import EVIDENCE_GROUPS
from mirnagraph.sources.mirtarbase import ASSAYS
from mirnagraph.sources.ncdr import EFFECTS

HUMAN = "Homo sapiens"


def mrna_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Count the evidence of miRNA-mRNA pairs.

    Args:
        associations: pairs.
        used: from `use_mirtarbase`.

    Returns:
        The pairs with ``n_records``, ``n_strong`` (reporter assays and western blots, over all
        records), the assays, and ``pmids``.
    """
    records = used_records(used)
    return _with_evidence(associations, records, _assays(records))


def target_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Count evidence as `mrna_evidence`, and records by arm: ``n_5p``, ``n_3p``."""
    counts = _assays(used)
    counts["n_5p"] = used["mirna"].str.endswith("-5p")
    counts["n_3p"] = used["mirna"].str.endswith("-3p")
    return _with_evidence(associations, used, counts)


def _assays(used: pd.DataFrame) -> dict[str, pd.Series]:
    names = ["n_strong", *(f"n_{assay}" for assay in ASSAYS)]
    return {name: used[name] for name in names if name in used.columns}


def drug_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Count the evidence of miRNA-drug pairs.

    Args:
        associations: pairs.
        used: from `use_ncdr`.

    Returns:
        The pairs with ``n_records``, ``n_resistant``, ``n_sensitive``, ``n_associated``, ``n_up``,
        ``n_down`` (expression) and ``pmids``.
    """
    records = used_records(used)
    counts = {f"n_{effect.lower()}": records["effect"] == effect for effect in EFFECTS}
    for direction in ("up", "down"):
        counts[f"n_{direction}"] = records["expression"].str.lower() == direction
    return _with_evidence(associations, records, counts)


def plain_evidence(
    associations: pd.DataFrame, used: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Evidence of the pairs of a table of one's own.

    Args:
        associations: pairs.
        used: records, with ``pmid`` (several separated by ``;``) and numbers in `columns`.
        columns: numbers of 0 or more.

    Returns:
        The pairs with the largest number of each of `columns`; where a record has a PMID, also
        ``n_records`` and ``pmids``. Without either, pairs alone.
    """
    records = used_records(used)
    result = associations[PAIR]
    if (records["pmid"] != "").any():
        split = records.assign(pmid=records["pmid"].str.split(";")).explode("pmid")
        result = _with_evidence(associations, records, {})
        result["pmids"] = _distinct(result, split.assign(pmid=split["pmid"].str.strip()), "pmid")
    if not columns:
        return result
    largest = records.groupby(PAIR, sort=False)[list(columns)].max().reset_index()
    return result.merge(largest, on=PAIR, how="left")


def disease_evidence(
    associations: pd.DataFrame,
    used: pd.DataFrame,
    typed: pd.DataFrame | None = None,
    column_of: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Count the evidence of miRNA-disease pairs.

    HMDD 3.2 as published has no PMIDs. Its records are in the order in which papers were read, so
    consecutive records of one disease count as one report; ``reports`` holds the numbers of those
    reports (the PMIDs where there are any).

    Args:
        associations: pairs.
        used: from `use_hmdd`.
        typed: pairs with the type of their evidence, for releases whose records have no category;
            each pair and type counts 1.
        column_of: disease as HMDD writes it -> partner, for `typed`.

    Returns:
        The pairs with ``n_records``, ``first_record`` (0-based, -1 where none), ``n_circulation`` …
        (one per evidence group), ``pmids``, ``reports``.
    """
    records = used_records(used)
    counts = {f"n_{group}": records["group"] == group for group in EVIDENCE_GROUPS}
    result = _with_evidence(associations, records, counts)
    first = records.groupby(PAIR)["record"].min()
    pairs = pd.MultiIndex.from_frame(result[PAIR])
    result.insert(3, "first_record", first.reindex(pairs, fill_value=-1).to_numpy())
    reports = used["pmid"]
    if (reports == "").all():
        reports = (used["disease"] != used["disease"].shift()).cumsum().astype(str)
    result["reports"] = _distinct(result, records.assign(report=reports), "report")
    if typed is None:
        return result
    n_typed = _typed_counts(typed, column_of)
    merged = result[PAIR].merge(n_typed, on=PAIR, how="left").fillna(0)
    for group in merged.columns.intersection(list(EVIDENCE_GROUPS)):
        result[f"n_{group}"] += merged[group].astype(int)
    return result


def _typed_counts(typed: pd.DataFrame, column_of: Mapping[str, str] | None) -> pd.DataFrame:
    """Number of lines of each pair by type of evidence, one column per type."""
    partner = typed["disease"] if column_of is None else typed["disease"].map(column_of)
    columns = {"rna_id": typed["mir"], "partner_id": partner, "type": typed["type"], "n": 1}
    table = pd.DataFrame(columns).dropna()
    counts = table.pivot_table(index=PAIR, columns="type", values="n", aggfunc="sum", fill_value=0)
    return counts.reset_index()


def _with_evidence(
    associations: pd.DataFrame, records: pd.DataFrame, counts: Mapping[str, pd.Series]
) -> pd.DataFrame:
    """Pairs with their number of records, the sums of `counts`, and distinct PMIDs."""
    whole = {name: values.astype(int) for name, values in counts.items()}
    table = records[PAIR].assign(n_records=1, **whole)
    sums = table.groupby(PAIR, sort=False).sum().reset_index()
    result = associations[PAIR].merge(sums, on=PAIR, how="left")
    numbers = ["n_records", *counts]
    result[numbers] = result[numbers].fillna(0).astype(int)
    result["pmids"] = _distinct(result, records, "pmid")
    return result


def _distinct(associations: pd.DataFrame, records: pd.DataFrame, column: str) -> pd.Series:
    """Distinct texts of a column of the records of each pair, in file order, ``;``-separated."""
    texts: dict[tuple[str, str], dict[str, None]] = {}
    filled = records.loc[records[column] != "", [*PAIR, column]]
    for rna, partner, text in filled.itertuples(index=False):
        texts.setdefault((rna, partner), {})[text] = None
    pairs = associations[PAIR].itertuples(index=False, name=None)
    cells = [";".join(texts.get(pair, ())) for pair in pairs]
    return pd.Series(cells, index=associations.index, dtype=object)


def is_weak(records: pd.DataFrame) -> pd.Series:
    """Whether the support of each miRTarBase record is weak."""
    return records["support"].str.contains("(Weak)", regex=False)


def is_non_functional(records: pd.DataFrame) -> pd.Series:
    """Whether each miRTarBase record says that the gene was tested and is no target."""
    return records["support"].str.lower().str.startswith("non-functional")


def use_mirtarbase(records: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Mark the miRTarBase records that count as associations.

    Used: human miRNA, human target, support type without "(Weak)", and a miRNA whose name in lower
    case without a final -3p or -5p is exactly one of `ids`.

    Args:
        records: from `sources.mirtarbase.read_mirtarbase`.
        ids: ids of the RNAs.

    Returns:
        `records` with ``rna_id``, ``partner_id`` (the gene symbol) and ``reason``: why a record is
        not used, empty where it is.
    """
    name = records["mirna"].str.lower().str.replace(r"-[35]p$", "", regex=True)
    reasons = [
        (records["mirna_species"] != HUMAN, "miRNA is not human"),
        (records["gene_species"] != HUMAN, "target is not human"),
        (is_weak(records), "support is weak"),
        (~name.isin(set(ids)), "miRNA is not among the ids"),
    ]
    return mark_used(records, name, records["gene"], reasons)


def use_ncdr(records: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Mark the ncDR records that count: those whose miRNA is exactly one of `ids`.

    Columns are added as in `use_mirtarbase`.
    """
    reasons = [
        (records["mirna"] == "", "record without a miRNA"),
        (~records["mirna"].isin(set(ids)), "miRNA is not among the ids"),
    ]
    return mark_used(records, records["mirna"], records["drug"], reasons)


def use_hmdd(
    records: pd.DataFrame, ids: Sequence[str], column_of: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Mark the HMDD records that count: those whose miRNA is exactly one of `ids`.

    Columns are added as in `use_mirtarbase`.

    Args:
        records: from `sources.hmdd.read_records`.
        ids: ids of the RNAs.
        column_of: disease as HMDD writes it -> name of its column (the benchmark merges some); None
            leaves the names as they are.
    """
    disease = records["disease"] if column_of is None else records["disease"].map(column_of)
    reasons = [
        (~records["mir"].isin(set(ids)), "miRNA is not among the ids"),
        (disease.isna(), "disease is in no column"),
    ]
    return mark_used(records, records["mir"], disease.fillna(""), reasons)


def mark_used(
    records: pd.DataFrame, rna: pd.Series, partner: pd.Series, reasons: list[tuple[pd.Series, str]]
) -> pd.DataFrame:
    """Add the pair of each record and the first of the reasons that apply."""
    masks, names = zip(*reasons, strict=True)
    reason = np.select(masks, names, default="").astype(object)
    return records.assign(
        rna_id=rna.astype(object), partner_id=partner.astype(object), reason=reason
    )


def used_records(used: pd.DataFrame) -> pd.DataFrame:
    """Select the records with an empty reason, from `use_mirtarbase`, `use_ncdr` or `use_hmdd`."""
    return used[used["reason"] == ""]


def matrix(
    used: pd.DataFrame, ids: Sequence[str], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Make the association matrix of the used records.

    Args:
        used: from `use_mirtarbase`, `use_ncdr` or `use_hmdd`.
        ids: rows.
        columns: column order; None: order of first appearance in the records.

    Returns:
        int8 0/1, shape (n_ids, n_columns), index `ids`.

    Raises:
        InputError: a record whose partner is not among `columns`.
    """
    records = used_records(used)
    partners = records["partner_id"]
    names = list(dict.fromkeys(partners)) if columns is None else list(columns)
    row_of = pd.Index(ids).get_indexer(pd.Index(records["rna_id"]))
    column_of = pd.Index(names).get_indexer(pd.Index(partners))
    if (column_of < 0).any():
        raise InputError(
            "an association names an unknown partner",
            column="partner_id",
            found=partners.iloc[int(np.argmin(column_of))],
        )
    cells = np.zeros((len(ids), len(names)), dtype=np.int8)
    cells[row_of, column_of] = 1
    index = pd.Index(list(ids), name="rna_id", dtype=object)
    return pd.DataFrame(cells, index=index, columns=names)


def gene_order(used: pd.DataFrame, ids: Sequence[str]) -> list[str]:
    """Order genes as the columns of the benchmark's mRNA matrix: by id, then by record."""
    records = used_records(used)
    row_of = pd.Index(ids).get_indexer(pd.Index(records["rna_id"]))
    return list(dict.fromkeys(records["partner_id"].iloc[np.argsort(row_of, kind="stable")]))


def unused(used: pd.DataFrame, kind: str, source: str) -> pd.DataFrame:
    """List the records that are not used, as rows of `Dataset.left_out`.

    One row per reason and miRNA (or disease), with the number of records.
    """
    rest = used[used["reason"] != ""]
    if "mir" in rest.columns:
        is_disease = rest["reason"] == "disease is in no column"
        ids = rest["disease"].where(is_disease, rest["mir"])
    else:
        ids = rest["mirna"]
    counts = pd.DataFrame({"reason": rest["reason"], "id": ids}).value_counts(sort=False)
    rows = [
        (f"{kind} records", name, f"{reason}: {n} of {len(used)} records", source)
        for reason, name, n in counts.reset_index().itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)
