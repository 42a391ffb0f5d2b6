"""The association matrices of the 1041-miRNA benchmark, made again from the raw tables of miRTarBase, ncDR and HMDD.

The rules are those by which the published matrices come out cell for cell; each function also says which records it did
not use and why, so that nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError

HUMAN = "Homo sapiens"


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
    reasons = [(records["mirna"] == "", "record without a miRNA"), (~records["mirna"].isin(set(ids)), "miRNA is not among the ids")]
    return _used(records, records["mirna"], records["drug"], reasons)


def use_hmdd(records: pd.DataFrame, ids: Sequence[str], column_of: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Which HMDD records count: those whose miRNA is, letter for letter, one of `ids`. Columns added as in `use_mirtarbase`.

    Args:
        column_of: disease as HMDD writes it -> name of the column it is part of (the benchmark merges some); None keeps the
            names as they are.
    """
    disease = records["disease"] if column_of is None else records["disease"].map(column_of)
    reasons = [(~records["mir"].isin(set(ids)), "miRNA is not among the ids"), (disease.isna(), "disease is in no column")]
    return _used(records, records["mir"], disease.fillna(""), reasons)


def _used(records: pd.DataFrame, rna: pd.Series, partner: pd.Series, reasons: list[tuple[pd.Series, str]]) -> pd.DataFrame:
    reason = np.select([np.asarray(mask, dtype=bool) for mask, _ in reasons], [text for _, text in reasons], default="")
    return records.assign(rna_id=rna.astype(object), partner_id=partner.astype(object), reason=reason.astype(object))


def pairs(used: pd.DataFrame) -> pd.DataFrame:
    """The records that are used: those of `use_mirtarbase` and its kin with an empty reason."""
    return used[used["reason"] == ""]


def matrix(used: pd.DataFrame, ids: Sequence[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
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
    rows, cols = pd.Index(ids).get_indexer(pd.Index(kept["rna_id"])), pd.Index(names).get_indexer(pd.Index(kept["partner_id"]))
    if (cols < 0).any():
        raise InputError("an association names an unknown partner", column="partner_id", found=kept["partner_id"].iloc[int(np.argmin(cols))])
    cells = np.zeros((len(ids), len(names)), dtype=np.int8)
    cells[rows, cols] = 1
    return pd.DataFrame(cells, index=pd.Index(list(ids), name="rna_id", dtype=object), columns=names)


def gene_order(used: pd.DataFrame, ids: Sequence[str]) -> list[str]:
    """Column order of the benchmark's mRNA matrix: the ids walked in order, and the records of each in file order."""
    kept = pairs(used)
    at = pd.Index(ids).get_indexer(pd.Index(kept["rna_id"]))
    return list(dict.fromkeys(kept["partner_id"].iloc[np.argsort(at, kind="stable")]))


def unused(used: pd.DataFrame, kind: str, source: str) -> pd.DataFrame:
    """The records that were not used, as rows of `Dataset.left_out`: one per reason and miRNA (or disease), with their number."""
    rest = used[used["reason"] != ""]
    original = rest["mir" if "mir" in rest.columns else "mirna"]
    named = rest["disease"].where(rest["reason"] == "disease is in no column", original) if "mir" in rest.columns else original
    counts = pd.DataFrame({"reason": rest["reason"], "id": named}).value_counts(sort=False).reset_index()
    rows = [(f"{kind} records", name, f"{reason}: {n} of {len(used)} records", source) for reason, name, n in counts.itertuples(index=False)]
    return pd.DataFrame(rows, columns=["item", "id", "reason", "source"], dtype=object)
