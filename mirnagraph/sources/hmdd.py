"""HMDD: miRNA-disease records as released (v3, v4), as a plain table, or by type of evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.reading.schema import is_count
from mirnagraph.sources.delimited import read_columns

EVIDENCE_GROUPS = ("circulation", "epigenetics", "genetics", "target", "tissue_expression", "other")


def read_records(
    path: str | Path, columns: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """Read records in database order.

    Reads the download of HMDD v3 and v4 (columns category, mir, disease, pmid, description,
    tab-separated, in Latin-1) and plain tables with the columns mir and disease.

    Args:
        path: plain or gzip file.
        columns: name of the result -> column of this file, where it has another than HMDD's.

    Returns:
        Columns ``record`` (0-based, from the column record0 if present), ``mir``, ``disease``,
        ``category``, ``group`` (one of `EVIDENCE_GROUPS`, empty without a category), ``pmid``.

    Raises:
        InputError: a missing column, an empty miRNA or disease.
    """
    names = {
        "record": ("record0",),
        "mir": ("mir", "miRNA"),
        "disease": ("disease",),
        "category": ("category",),
        "pmid": ("pmid",),
    }
    needed = ("mir", "disease")
    table = read_columns(path, names, needed, filled=needed, fallback="latin-1", columns=columns)
    numbers = pd.to_numeric(table["record"].where(is_count(table["record"])))
    wrong = table.loc[numbers.isna() & (table["record"] != ""), "record"]
    if len(wrong):
        raise InputError(
            "not a record number",
            file=path,
            line=int(wrong.index[0]),
            column="record0",
            found=wrong.iloc[0],
        )
    if numbers.isna().any():
        numbers = pd.Series(range(len(table)), index=table.index)
    table["record"] = numbers.astype(int)
    table["group"] = table["category"].map(evidence_group)
    return table.reset_index(drop=True)


def evidence_group(category: str) -> str:
    """Map an HMDD category to its group, one of `EVIDENCE_GROUPS`.

    >>> evidence_group("circulation_biomarker_diagnosis_up"), evidence_group("target gene")
    ('circulation', 'target')
    """
    plain = category.strip().lower().replace(" ", "_")
    if not plain:
        return ""
    if plain.startswith("tissue"):
        return "tissue_expression"
    return next((group for group in EVIDENCE_GROUPS if plain.startswith(group)), "other")


def read_typed(path: str | Path) -> pd.DataFrame:
    """Read pairs with the type of their evidence.

    Returns:
        Columns ``mir``, ``disease``, ``type``, in file order.

    Raises:
        InputError: a missing column or an empty cell.
    """
    columns = ("mir", "disease", "type")
    table = read_columns(path, {name: (name,) for name in columns}, columns, filled=columns)
    return table.reset_index(drop=True)
