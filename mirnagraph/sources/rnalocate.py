"""RNALocate: subcellular localisation records of any release, and labels made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

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
    """Read records in file order as text.

    Returns:
        Columns ``rna``, ``species``, ``category``, ``compartment``, ``pmid``, ``source`` (empty
        where not given).

    Raises:
        InputError: no column for the RNA or the compartment, or an empty cell in one of them.
    """
    required = ("rna", "compartment")
    return read_columns(path, _NAMES, required, filled=required).reset_index(drop=True)


def labels(
    records: pd.DataFrame,
    rna_of: Mapping[str, Sequence[str]],
    rna_ids: Sequence[str],
    compartments: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the label table of some RNAs and compartments.

    Args:
        records: columns ``rna``, ``compartment`` (`read_rnalocate`).
        rna_of: symbol in the records -> ids of the RNAs; other symbols are left out.
        rna_ids: rows of the result.
        compartments: columns of the result, compared without case.

    Returns:
        ``(labels, unused)``: int8 0/1, shape (n_rnas, n_compartments), index ``rna_id``; and the
        unused records, with a column ``reason``.
    """
    rows = {name: i for i, name in enumerate(rna_ids)}
    columns = {name.lower(): i for i, name in enumerate(compartments)}
    matrix = np.zeros((len(rows), len(columns)), dtype=np.int8)
    reasons = []
    for rna, compartment in records[["rna", "compartment"]].itertuples(index=False):
        row_numbers = [rows[name] for name in rna_of.get(rna, ()) if name in rows]
        column = columns.get(compartment.lower())
        if not row_numbers:
            reasons.append("RNA is not in the dataset")
        elif column is None:
            reasons.append("compartment is not in the dataset")
        else:
            reasons.append("")
            matrix[row_numbers, column] = 1
    index = pd.Index(list(rna_ids), name="rna_id", dtype=object)
    table = pd.DataFrame(matrix, index=index, columns=list(compartments))
    unused = records.assign(reason=reasons)
    return table, unused[unused["reason"] != ""].reset_index(drop=True)
