"""RNALocate: in which compartments RNAs were found; record tables of any release, and labels made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.sources.delimited import read_columns

_NAMES = {
    "rna": ("RNA Symbol", "Gene_Symbol", "Gene Symbol", "Symbol", "mirna", "name", "rna_id"),
    "species": ("Species", "Organism"),
    "category": ("RNA Category", "RNA_Type"),
    "compartment": ("Subcellular Localization", "Localization", "Location", "Compartment"),
    "pmid": ("PMID", "PubMed_ID"),
    "source": ("Source", "Database"),
}


def read_rnalocate(path: str | Path) -> pd.DataFrame:
    """Records in file order as text: ``rna``, ``species``, ``category``, ``compartment``, ``pmid``, ``source`` (empty where not given).

    Raises:
        InputError: no column for the RNA or the compartment, or an empty cell in one of them.
    """
    table = read_columns(path, _NAMES, ("rna", "compartment"))
    raise_problems(
        InputError("empty cell", file=path, line=int(line), column=_NAMES[c][0])
        for c in ("rna", "compartment")
        for line in table.index[table[c] == ""]
    )
    return table.reset_index(drop=True)


def labels(
    records: pd.DataFrame,
    rna_of: Mapping[str, Sequence[str]],
    rna_ids: Sequence[str],
    compartments: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Label table of chosen RNAs and compartments.

    Args:
        records: columns ``rna``, ``compartment`` (`read_rnalocate`).
        rna_of: symbol in the records -> ids it stands for; symbols that are not in it are left out.
        rna_ids: rows of the result.
        compartments: columns of the result, compared without case.

    Returns:
        ``(labels, unused)``: int8 0/1, shape (n_rnas, n_compartments), index ``rna_id``; and the records that were not used,
        with a column ``reason``.
    """
    rows = {name: i for i, name in enumerate(rna_ids)}
    columns = {name.lower(): i for i, name in enumerate(compartments)}
    matrix = np.zeros((len(rows), len(columns)), dtype=np.int8)
    reasons = []
    for rna, compartment in records[["rna", "compartment"]].itertuples(index=False):
        targets = [name for name in rna_of.get(rna, ()) if name in rows]
        column = columns.get(compartment.lower())
        reasons.append(
            "RNA is not among the chosen"
            if not targets
            else "compartment is not among the chosen"
            if column is None
            else ""
        )
        if column is not None:
            matrix[[rows[name] for name in targets], column] = 1
    table = pd.DataFrame(
        matrix,
        index=pd.Index(list(rna_ids), name="rna_id", dtype=object),
        columns=list(compartments),
    )
    unused = records.assign(reason=reasons)
    return table, unused[unused["reason"] != ""].reset_index(drop=True)
