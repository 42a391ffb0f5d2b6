"""ncDR: curated miRNA-drug resistance records; NoncoRNA: ncRNA-drug pairs without a header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.table import read_rows
from mirnagraph.sources.delimited import read_columns

_NAMES = {
    "pmid": ("PMID",),
    "mirna": ("miRNA_ID", "miRNA"),
    "accession": ("miRBase_acc",),
    "drug": ("Drug", "Drug_name"),
    "cid": ("CID",),
    "expression": ("miRNA_expression",),
    "effect": ("Drug_effect", "Effect"),
    "disease": ("Disease",),
}

EFFECTS = ("Resistant", "Sensitive", "Associated")


def read_ncdr(path: str | Path, columns: Mapping[str, str] = MappingProxyType({})) -> pd.DataFrame:
    """Read records in file order as text.

    Some records of ncDR have no miRNA id; it is empty there.

    Args:
        path: plain or gzip file.
        columns: name of the result -> column of this file, where it has another than ncDR's.

    Returns:
        Columns ``pmid``, ``mirna``, ``accession``, ``drug``, ``cid``, ``expression``, ``effect``
        (one of `EFFECTS` or empty), ``disease``.

    Raises:
        InputError: a missing column, an empty drug, an unknown effect.
    """
    required = ("mirna", "drug", "effect")
    values = {"effect": EFFECTS}
    table = read_columns(path, _NAMES, required, filled=("drug",), values=values, columns=columns)
    return table.reset_index(drop=True)


def read_pairs(path: str | Path) -> pd.DataFrame:
    """Read two comma-separated columns without a header, ncRNA and drug.

    Returns:
        Columns ``rna``, ``drug``, in file order.

    Raises:
        InputError: a line without exactly two filled cells.
    """
    rows = read_rows(path, delimiter=",")
    raise_problems(
        InputError(
            "not a pair",
            file=path,
            line=number,
            column=min(len(row), 2) + 1,
            found=",".join(row),
            expected="ncRNA,drug",
        )
        for number, row in enumerate(rows, 1)
        if len(row) != 2 or not all(row)
    )
    return pd.DataFrame(rows, columns=["rna", "drug"])
