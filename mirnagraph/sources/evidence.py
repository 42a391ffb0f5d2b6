"""Association pairs and evidence from database records.

The rules are those by which the published matrices come out cell for cell; each function also says which records it did
not use and why, so that nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.sources.hmdd import EVIDENCE_GROUPS
from mirnagraph.sources.mirtarbase import ASSAYS
from mirnagraph.sources.ncdr import EFFECTS

_KEY = ["rna_id", "partner_id"]

HUMAN = "Homo sapiens"


def mrna_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Pairs with ``n_records``, ``n_strong`` (reporter assays and western blots, over all records), the assays, and ``pmids``."""
    kept = pairs(used)
    return _joined(associations, kept, _assays(kept), pmid="pmid")


def target_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """As `mrna_evidence`, and how many records name the 5' and the 3' arm: ``n_5p``, ``n_3p``."""
    counts = _assays(used) | {
        "n_5p": used["mirna"].str.endswith("-5p"),
        "n_3p": used["mirna"].str.endswith("-3p"),
    }
    return _joined(associations, used, counts, pmid="pmid")


def _assays(used: pd.DataFrame) -> dict[str, pd.Series]:
    return {
        name: used[name]
        for name in ("n_strong", *(f"n_{assay}" for assay in ASSAYS))
        if name in used.columns
    }


def drug_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Pairs with ``n_records``, ``n_resistant``, ``n_sensitive``, ``n_associated``, ``n_up``, ``n_down`` (expression) and ``pmids``."""
    kept = pairs(used)
    counts = {f"n_{effect.lower()}": kept["effect"] == effect for effect in EFFECTS}
    counts |= {f"n_{way}": kept["expression"].str.lower() == way for way in ("up", "down")}
    return _joined(associations, kept, counts, pmid="pmid")


def disease_evidence(
    associations: pd.DataFrame,
    used: pd.DataFrame,
    typed: pd.DataFrame | None = None,
    column_of: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Pairs with ``n_records``, ``first_record`` (0-based, -1 where none), ``n_circulation`` … (one per evidence group), ``pmids``, ``reports``.

    HMDD 3.2 as it is passed on has no PMIDs. Its records stand in the order in which papers were read, so a run of records
    of one disease is taken for one report; ``reports`` holds the numbers of those runs (the PMIDs where there are any).

    Args:
        used: from `sources.rebuild.use_hmdd`.
        typed: pairs with the type of their evidence, for releases whose records have no category; each pair and type counts 1.
        column_of: disease as HMDD writes it -> partner, for `typed`.
    """
    kept = pairs(used)
    counts = {f"n_{group}": kept["group"] == group for group in EVIDENCE_GROUPS}
    result = _joined(associations, kept, counts, pmid="pmid")
    first = kept.groupby(_KEY, sort=False)["record"].min().rename("first_record").reset_index()
    merged = result.merge(first, on=_KEY, how="left")
    result.insert(3, "first_record", merged["first_record"].fillna(-1).astype(int))
    run = (used["disease"] != used["disease"].shift()).cumsum().astype(str)
    reports = used["pmid"] if (used["pmid"] != "").any() else run
    result["reports"] = _distinct(result, kept.assign(report=reports.loc[kept.index]), "report")
    if typed is not None:
        partner = typed["disease"] if column_of is None else typed["disease"].map(column_of)
        table = pd.DataFrame(
            {"rna_id": typed["mir"], "partner_id": partner, "type": typed["type"]}
        ).dropna()
        wide = (
            table.assign(one=1)
            .pivot_table(index=_KEY, columns="type", values="one", aggfunc="sum", fill_value=0)
            .reset_index()
        )
        merged = result[_KEY].merge(wide, on=_KEY, how="left")
        for group in EVIDENCE_GROUPS:
            if group in merged.columns:
                result[f"n_{group}"] += merged[group].fillna(0).astype(int)
    return result


def _joined(
    associations: pd.DataFrame, kept: pd.DataFrame, counts: Mapping[str, pd.Series], pmid: str
) -> pd.DataFrame:
    """`associations` with the number of records of each pair, the sums of `counts`, and the distinct PMIDs in file order."""
    table = kept[_KEY].assign(
        n_records=1, **{name: values.astype(int) for name, values in counts.items()}
    )
    sums = table.groupby(_KEY, sort=False).sum().reset_index()
    result = associations[_KEY].merge(sums, on=_KEY, how="left")
    numbers = ["n_records", *counts]
    result[numbers] = result[numbers].fillna(0).astype(int)
    result["pmids"] = _distinct(result, kept, pmid)
    return result


def _distinct(associations: pd.DataFrame, kept: pd.DataFrame, column: str) -> pd.Series:
    """Distinct texts of a column of the records per pair, in file order, ``;``-separated; empty where there is none."""
    cited: dict[tuple[str, str], dict[str, None]] = {}
    for rna, partner, source in kept.loc[kept[column] != "", [*_KEY, column]].itertuples(
        index=False
    ):
        cited.setdefault((rna, partner), {})[source] = None
    cells = [
        ";".join(cited.get(pair, ()))
        for pair in zip(associations["rna_id"], associations["partner_id"], strict=True)
    ]
    return pd.Series(cells, index=associations.index, dtype=object)


def use_mirtarbase(records: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Which miRTarBase records count as associations, and of which id.

    Kept: human miRNA, human target, support type without "(Weak)", and a miRNA whose name in lower case without a final
    -3p or -5p is exactly one of `ids`.

    Returns:
        `records` (`sources.mirtarbase.read_mirtarbase`) with ``rna_id``, ``partner_id`` (the gene symbol) and ``reason``: why a
        record is not used, empty where it is.
    """
    name = records["mirna"].str.lower().str.replace(r"-[35]p$", "", regex=True)
    reasons = [
        (records["mirna_species"] != HUMAN, "miRNA is not human"),
        (records["gene_species"] != HUMAN, "target is not human"),
        (records["support"].str.contains("(Weak)", regex=False), "support is weak"),
        (~name.isin(set(ids)), "miRNA is not among the ids"),
    ]
    return _used(records, name, records["gene"], reasons)


def use_ncdr(records: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Which ncDR records count: those whose miRNA is, letter for letter, one of `ids`. Columns added as in `use_mirtarbase`."""
    reasons = [
        (records["mirna"] == "", "record without a miRNA"),
        (~records["mirna"].isin(set(ids)), "miRNA is not among the ids"),
    ]
    return _used(records, records["mirna"], records["drug"], reasons)


def use_hmdd(
    records: pd.DataFrame, ids: Sequence[str], column_of: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Which HMDD records count: those whose miRNA is, letter for letter, one of `ids`. Columns added as in `use_mirtarbase`.

    Args:
        column_of: disease as HMDD writes it -> name of the column it is part of (the benchmark merges some); None keeps the
            names as they are.
    """
    disease = records["disease"] if column_of is None else records["disease"].map(column_of)
    reasons = [
        (~records["mir"].isin(set(ids)), "miRNA is not among the ids"),
        (disease.isna(), "disease is in no column"),
    ]
    return _used(records, records["mir"], disease.fillna(""), reasons)


def _used(
    records: pd.DataFrame, rna: pd.Series, partner: pd.Series, reasons: list[tuple[pd.Series, str]]
) -> pd.DataFrame:
    reason = np.select(
        [np.asarray(mask, dtype=bool) for mask, _ in reasons],
        [text for _, text in reasons],
        default="",
    )
    return records.assign(
        rna_id=rna.astype(object), partner_id=partner.astype(object), reason=reason.astype(object)
    )


def pairs(used: pd.DataFrame) -> pd.DataFrame:
    """The records that are used: those of `use_mirtarbase` and its kin with an empty reason."""
    return used[used["reason"] == ""]


def matrix(
    used: pd.DataFrame, ids: Sequence[str], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Association matrix of the used records.

    Args:
        used: from `use_mirtarbase`, `use_ncdr` or `use_hmdd`.
        ids: rows.
        columns: column order; None: order of first appearance in the records.

    Returns:
        int8 0/1, shape (n_ids, n_columns), index `ids`.

    Raises:
        InputError: a record whose partner is not among `columns`.
    """
    kept = pairs(used)
    names = list(dict.fromkeys(kept["partner_id"])) if columns is None else list(columns)
    rows = pd.Index(ids).get_indexer(pd.Index(kept["rna_id"]))
    cols = pd.Index(names).get_indexer(pd.Index(kept["partner_id"]))
    if (cols < 0).any():
        raise InputError(
            "an association names an unknown partner",
            column="partner_id",
            found=kept["partner_id"].iloc[int(np.argmin(cols))],
        )
    cells = np.zeros((len(ids), len(names)), dtype=np.int8)
    cells[rows, cols] = 1
    return pd.DataFrame(
        cells, index=pd.Index(list(ids), name="rna_id", dtype=object), columns=names
    )


def gene_order(used: pd.DataFrame, ids: Sequence[str]) -> list[str]:
    """Column order of the benchmark's mRNA matrix: the ids walked in order, and the records of each in file order."""
    kept = pairs(used)
    at = pd.Index(ids).get_indexer(pd.Index(kept["rna_id"]))
    return list(dict.fromkeys(kept["partner_id"].iloc[np.argsort(at, kind="stable")]))


def unused(used: pd.DataFrame, kind: str, source: str) -> pd.DataFrame:
    """The records that were not used, as rows of `Dataset.left_out`: one per reason and miRNA (or disease), with their number."""
    rest = used[used["reason"] != ""]
    original = rest["mir" if "mir" in rest.columns else "mirna"]
    named = (
        rest["disease"].where(rest["reason"] == "disease is in no column", original)
        if "mir" in rest.columns
        else original
    )
    counts = (
        pd.DataFrame({"reason": rest["reason"], "id": named}).value_counts(sort=False).reset_index()
    )
    rows = [
        (f"{kind} records", name, f"{reason}: {n} of {len(used)} records", source)
        for reason, name, n in counts.itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=["item", "id", "reason", "source"], dtype=object)
