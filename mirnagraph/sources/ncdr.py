"""ncDR: curated miRNA-drug resistance records; and headerless pairs of the NoncoRNA kind."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import read_rows
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


def read_ncdr(path: str | Path) -> pd.DataFrame:
    """Records in file order as text: ``pmid``, ``mirna``, ``accession``, ``drug``, ``cid``, ``expression``, ``effect``, ``disease``.

    ``effect`` is one of `EFFECTS` or empty where the database gives none; some records of ncDR have no miRNA id, and keep
    an empty one.

    Raises:
        InputError: a missing column, an empty drug, an unknown effect.
    """
    table = read_columns(path, _NAMES, ("mirna", "drug", "effect"))
    problems = [
        InputError("empty cell", file=path, line=int(line), column="Drug")
        for line in table.index[table["drug"] == ""]
    ]
    strange = ~table["effect"].isin([*EFFECTS, ""])
    for line in table.index[strange]:
        found = table.at[line, "effect"]
        problems.append(
            InputError(
                "unknown effect",
                file=path,
                line=int(line),
                column="Drug_effect",
                found=found,
                expected=", ".join(EFFECTS),
            )
        )
    raise_problems(problems)
    return table.reset_index(drop=True)


def read_pairs(path: str | Path) -> pd.DataFrame:
    """Two comma-separated columns without a header, ncRNA and drug: columns ``rna``, ``drug``, in file order.

    Raises:
        InputError: a line without exactly two filled cells.
    """
    rows = read_rows(path, delimiter=",", quoted=True)
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
        if len(row) != 2 or not row[0].strip() or not row[1].strip()
    )
    return pd.DataFrame(
        [(rna.strip(), drug.strip()) for rna, drug in rows], columns=["rna", "drug"]
    )
