"""HMDD: experimentally supported miRNA-disease records, as released (v3, v4), as a plain table, or by type of evidence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.sources.delimited import read_columns

EVIDENCE_GROUPS = ("circulation", "epigenetics", "genetics", "target", "tissue_expression", "other")


def read_records(path: str | Path) -> pd.DataFrame:
    """Records in database order.

    Reads the download of HMDD v3 and v4 (columns category, mir, disease, pmid, description, tab-separated; letters outside
    UTF-8 are read as Latin-1, which these files are written in) and plain tables with the columns mir and disease.

    Returns:
        Columns ``record`` (0-based, the column record0 where there is one), ``mir``, ``disease``, ``category``, ``group``
        (one of `EVIDENCE_GROUPS`, empty where no category is given), ``pmid``.

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
    table = read_columns(path, names, ("mir", "disease"), fallback="latin-1")
    _not_empty(table, ("mir", "disease"), path)
    numbers = pd.to_numeric(table["record"], errors="coerce")
    bad = numbers.isna() & (table["record"] != "")
    if bad.any():
        raise InputError(
            "not a record number",
            file=path,
            line=int(table.index[bad][0]),
            column="record0",
            found=table.loc[bad, "record"].iloc[0],
        )
    table["record"] = (
        numbers if not numbers.isna().any() else pd.Series(range(len(table)), index=table.index)
    ).astype(int)
    known = {category: evidence_group(category) for category in table["category"].unique()}
    table["group"] = table["category"].map(known)
    return table.reset_index(drop=True)


def evidence_group(category: str) -> str:
    """The group of one HMDD category.

    >>> evidence_group("circulation_biomarker_diagnosis_up"), evidence_group("target gene"), evidence_group("")
    ('circulation', 'target', '')
    """
    plain = category.strip().lower().replace(" ", "_")
    if not plain:
        return ""
    return next(
        (group for group in EVIDENCE_GROUPS if plain.startswith(group)),
        "tissue_expression" if plain.startswith("tissue") else "other",
    )


def read_typed(path: str | Path) -> pd.DataFrame:
    """A table of pairs with the type of their evidence: columns ``mir``, ``disease``, ``type``, in file order.

    Raises:
        InputError: a missing column or an empty cell.
    """
    table = read_columns(
        path, {name: (name,) for name in ("mir", "disease", "type")}, ("mir", "disease", "type")
    )
    _not_empty(table, ("mir", "disease", "type"), path)
    return table.reset_index(drop=True)


def _not_empty(table: pd.DataFrame, columns: tuple[str, ...], path: str | Path) -> None:
    raise_problems(
        InputError("empty cell", file=path, line=int(line), column=column)
        for column in columns
        for line in table.index[table[column] == ""]
    )
