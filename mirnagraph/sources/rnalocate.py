"""RNALocate: subcellular localisation records of any release, and labels made from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from mirnagraph.names import MirbaseNames, normalise, resolve, stem
from mirnagraph.sources.delimited import read_columns

_NAMES = {
    "rna": ("RNA Symbol", "Gene_Symbol", "Gene Symbol", "Symbol", "mirna", "name", "rna_id"),
    "species": ("Species", "Organism"),
    "category": ("RNA Category", "RNA_Type"),
    "compartment": ("Subcellular Localization", "Localization", "Location", "Compartment"),
    "pmid": ("PMID", "PubMed_ID"),
    "source": ("Source", "Database"),
}


def read_rnalocate(
    path: str | Path, columns: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """Read records in file order as text.

    Args:
        path: plain or gzip file.
        columns: name of the result -> column of this file, where it has another than RNALocate's.

    Returns:
        Columns ``rna``, ``species``, ``category``, ``compartment``, ``pmid``, ``source`` (empty
        where not given).

    Raises:
        InputError: no column for the RNA or the compartment, or an empty cell in one of them.
    """
    required = ("rna", "compartment")
    table = read_columns(path, _NAMES, required, filled=required, columns=columns)
    return table.reset_index(drop=True)


def distinct_compartments(names: Iterable[str]) -> list[str]:
    """Compartments in order of first appearance; those that differ in capitals only are one.

    >>> distinct_compartments(["Cytoplasm", "Nucleus", "cytoplasm"])
    ['Cytoplasm', 'Nucleus']
    """
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.lower(), name)
    return list(first.values())


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
        compartments: columns of the result, compared without case; those that differ in capitals
            only are one column, with the first spelling.

    Returns:
        ``(labels, unused)``: int8 0/1, shape (n_rnas, n_compartments), index ``rna_id``; and the
        unused records, with a column ``reason``.
    """
    rows = {name: i for i, name in enumerate(rna_ids)}
    compartments = distinct_compartments(compartments)
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


def star(name: str) -> str:
    """Write the minor arm of a hairpin as miRBase did, with ``*`` in place of ``-star``.

    >>> star("hsa-miR-21-star")
    'hsa-miR-21*'
    """
    return re.sub(r"-star$", "*", name.strip(), flags=re.IGNORECASE)


def match_molecules(
    queries: Iterable[str], ids: Sequence[str], names: MirbaseNames
) -> dict[str, list[str]]:
    """Match names of records with every id of the molecule they name.

    A name belongs to the id of the same name, to that of its hairpin (arms ``-5p``, ``-3p`` and
    ``*`` or ``-star`` removed), and to all ids with a hairpin that it names today, through aliases
    where it is an old name: ``hsa-miR-24`` belongs to hsa-mir-24, hsa-mir-24-1 and hsa-mir-24-2.
    An id that names a whole family (``hsa-let-7``) is no molecule and is matched by name alone.

    Args:
        queries: names in records.
        ids: ids of the RNAs.
        names: miRBase.

    Returns:
        Name as in the records -> ids in row order, without names that match none.
    """
    distinct = list(dict.fromkeys(queries))
    by_name: dict[str, list[int]] = {}
    by_hairpin: dict[str, list[int]] = {}
    resolved_ids = resolve(ids, names)[["match_kind", "hairpin_ids"]]
    for row, (rna_id, kind, hairpins) in enumerate(resolved_ids.itertuples(name=None)):
        by_name.setdefault(normalise(rna_id, names.species), []).append(row)
        if kind != "family_prefix":
            for hairpin in filter(None, hairpins.split(";")):
                by_hairpin.setdefault(hairpin, []).append(row)
    resolved = resolve([star(name) for name in distinct], names)
    columns = (distinct, resolved["match_kind"], resolved["hairpin_ids"])
    result = {}
    for name, kind, hairpins in zip(*columns, strict=True):
        rows = set(by_name.get(normalise(name, names.species), ()))
        rows.update(by_name.get(stem(star(name), names.species), ()))
        if kind != "family_prefix":
            for hairpin in filter(None, hairpins.split(";")):
                rows.update(by_hairpin.get(hairpin, ()))
        if rows:
            result[name] = [ids[row] for row in sorted(rows)]
    return result


def label_table(
    records: pd.DataFrame,
    rna_ids: Sequence[str],
    compartments: Sequence[str],
    names: MirbaseNames,
    species: str = "Homo sapiens",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a label table from the records of any release, such as an earlier one.

    Args:
        records: of `read_rnalocate`.
        rna_ids: rows of the result.
        compartments: columns of the result; records of other locations are left out.
        names: miRBase, which matches arms, star names and old names (see `match_molecules`).
        species: Latin name; records that name another are left out.

    Returns:
        ``(labels, unused)`` as of `labels`.
    """
    is_used = records["species"].isin(["", species])
    used = records[is_used]
    rna_of = match_molecules(used["rna"], rna_ids, names)
    table, unused = labels(used, rna_of, rna_ids, compartments)
    foreign = records[~is_used].assign(reason="another species")
    return table, pd.concat([unused, foreign], ignore_index=True)
