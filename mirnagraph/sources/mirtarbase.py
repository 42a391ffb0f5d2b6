"""miRTarBase: validated miRNA targets, releases 6 to 10 (2025), tab- or comma-separated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mirnagraph.sources.delimited import read_columns

_NAMES = {
    "mirtarbase_id": ("miRTarBase ID",),
    "mirna": ("miRNA",),
    "mirna_species": ("Species (miRNA)",),
    "gene": ("Target Gene", "Target Gene Symbol"),
    "entrez_id": ("Target Gene (Entrez ID)", "Target Gene (Entrez Gene ID)"),
    "gene_species": ("Species (Target Gene)",),
    "experiments": ("Experiments",),
    "support": ("Support Type",),
    "pmid": ("References (PMID)", "PMID"),
}

_SPECIES = {"hsa": "Homo sapiens", "mmu": "Mus musculus", "rno": "Rattus norvegicus"}

ASSAYS = {
    "reporter": re.compile("reporter assay|luciferase", re.IGNORECASE),
    "western": re.compile("western blot|immunoblot", re.IGNORECASE),
    "pcr": re.compile("pcr", re.IGNORECASE),
    "northern": re.compile("northern", re.IGNORECASE),
    "microarray": re.compile("microarray", re.IGNORECASE),
    "sequencing": re.compile("clip|sequencing|-seq", re.IGNORECASE),
}

STRONG = ("reporter", "western")


def read_mirtarbase(
    path: str | Path, columns: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """Read records in file order as text.

    Args:
        path: plain or gzip file.
        columns: name of the result -> column of this file, where it has another than miRTarBase's.

    Returns:
        Columns ``mirtarbase_id``, ``mirna``, ``mirna_species``, ``gene``, ``entrez_id``,
        ``gene_species`` (Latin names; hsa, mmu and rno are written out), ``experiments``
        (``//``-separated), ``support``, ``pmid``; one column ``n_ASSAY`` per assay of `ASSAYS`, 1
        where the record names it, and ``n_strong``: the number of strong assays (reporter assay,
        western blot) it names.

    Raises:
        InputError: a missing column, an empty miRNA or gene.
    """
    required = [name for name in _NAMES if name not in ("entrez_id", "pmid")]
    table = read_columns(path, _NAMES, required, filled=("mirna", "gene"), columns=columns)
    for column in ("mirna_species", "gene_species"):
        table[column] = table[column].replace(_SPECIES)
    for assay, pattern in ASSAYS.items():
        table[f"n_{assay}"] = table["experiments"].str.contains(pattern).astype(int)
    table["n_strong"] = table[[f"n_{assay}" for assay in STRONG]].sum(axis=1)
    return table.reset_index(drop=True)
