"""Several labelled RNA sets merged for one model, and labels in FASTA headers."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.config import from_dict, load_toml
from mirnagraph.errors import ConfigError, InputError, raise_problems
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.folder.columns import check_compartments
from mirnagraph.io import repeated_cells
from mirnagraph.names import family_groups, number, stem
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.text import has_control
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.labels import constant_label_problems, join, read_labels
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet, the_type

MARK = "|"
"""Separates the name of a set from an id or a group."""

FAMILY = "family"

_FIELD = re.compile(r"(Gene_ID|Gene_Name):(.*)", re.IGNORECASE)


def merge_sets(
    sets: Mapping[str, SequenceSet],
    types: Mapping[str, str],
    rename: Mapping[str, Mapping[str, str]] | None = None,
    *,
    least: int = 2,
) -> SequenceSet:
    """Merge labelled sets into one for joint training.

    The id of an RNA becomes ``SET|id`` and its group ``SET|group``, so that no group spans two sets
    (use clusters by sequence for that). Compartments of the same name are merged; in a set without
    a compartment its labels are unknown (NaN), and neither trained on nor scored.

    Args:
        sets: name -> set with 0/1 labels, or classes, which become 0/1.
        types: name -> RNA type of the set (see `seqtower.data.sequences.RNA_TYPES`).
        rename: name -> {compartment of the set: its name in the merged set}.
        least: fewest sets.

    Raises:
        ConfigError: too few sets, a set without a type, or a renaming of an unknown compartment or
            of two compartments to one name.
        InputError: a set of fractions; or a compartment that tables need for themselves, or whose
            name differs from another by capitals alone.
    """
    if len(sets) < least:
        needed = "two sets" if least == 2 else "a set"
        found = ", ".join(sets) or "none"
        raise ConfigError(f"merging needs {needed} or more, found {found}")
    names: dict[str, tuple[str, ...]] = {}
    for name, data in sets.items():
        _check_set(name, data, types)
        names[name] = _renamed(name, data.compartments, (rename or {}).get(name, {}))
    every = tuple(dict.fromkeys(itertools.chain.from_iterable(names.values())))
    check_compartments(every, "the merged sets")
    parts = [
        _marked(name, data, names[name], every, the_type(types[name]))
        for name, data in sets.items()
    ]
    return SequenceSet(
        NodeIndex.of([rna_id for part in parts for rna_id in part.index.ids], "RNA"),
        tuple(sequence for part in parts for sequence in part.sequences),
        np.concatenate([part.labels for part in parts]),
        every,
        MULTI_LABEL,
        tuple(group for part in parts for group in part.groups or ()),
        pd.concat([part.left_out for part in parts], ignore_index=True)[LEFT_OUT_COLUMNS],
        tuple(rna_type for part in parts for rna_type in part.types or ()),
        tuple(name for part in parts for name in part.sets or ()),
    )


def _check_set(name: str, data: SequenceSet, types: Mapping[str, str]) -> None:
    if MARK in name or not name.strip() or has_control(name):
        raise ConfigError(f"invalid name of a set {name!r}: ids become NAME{MARK}id")
    if name not in types:
        raise ConfigError(f"the set {name!r} has no RNA type")
    known = data.labels[~np.isnan(data.labels)]
    if not np.isin(known, (0, 1)).all():
        raise InputError(
            f"the set {name!r} has fractions as labels",
            expected="0/1 per compartment, or one class per RNA",
        )


def _marked(
    name: str,
    data: SequenceSet,
    compartments: tuple[str, ...],
    every: tuple[str, ...],
    rna_type: str,
) -> SequenceSet:
    """One set with marked ids and groups and a column for every compartment of the merged set."""
    labels = np.full((len(data), len(every)), np.nan)
    labels[:, [every.index(compartment) for compartment in compartments]] = data.labels
    id_column = str(data.left_out.columns[0])
    left_out_ids = [f"{name}{MARK}{rna_id}" for rna_id in data.left_out[id_column]]
    groups = data.groups or data.index.ids
    return SequenceSet(
        NodeIndex.of([f"{name}{MARK}{rna_id}" for rna_id in data.index.ids], "RNA"),
        data.sequences,
        labels,
        every,
        MULTI_LABEL,
        tuple(f"{name}{MARK}{group}" if group else "" for group in groups),
        data.left_out.assign(**{id_column: left_out_ids}),
        (rna_type,) * len(data),
        (name,) * len(data),
    )


def _renamed(name: str, compartments: Sequence[str], rename: Mapping[str, str]) -> tuple[str, ...]:
    for old in rename:
        if old not in compartments:
            available = ", ".join(compartments)
            raise ConfigError(
                f"the set {name!r} has no compartment {old!r} to rename; it has {available}"
            )
    renamed = tuple(rename.get(compartment, compartment) for compartment in compartments)
    if len(set(renamed)) < len(renamed):
        raise ConfigError(
            f"two compartments of the set {name!r} would have one name: {', '.join(renamed)}"
        )
    return renamed


@dataclass(frozen=True)
class SetFile:
    """One table ``[sets.NAME]`` of a file of sets.

    Attributes:
        fasta: path relative to the file's folder; ``~`` and environment variables are expanded.
        type: RNA type, see `seqtower.data.sequences.RNA_TYPES`.
        labels: path of a label table.
        labels_in_header: instead of `labels`, the compartments of the digits at the start of each
            header, separated by commas.
        label: columns to use; empty for all.
        group: column of groups, or ``"family"`` for labels in headers; empty for none.
        rename: {compartment: its name in the merged set}.
    """

    fasta: str
    type: str
    labels: str = ""
    labels_in_header: str = ""
    label: tuple[str, ...] = ()
    group: str = ""
    rename: dict[str, str] = field(default_factory=dict)


def read_sets(path: str | Path, *, iupac: str = "error", least: int = 2) -> SequenceSet:
    """Read and merge the sets of a TOML file, one table ``[sets.NAME]`` each (see `SetFile`).

    Args:
        path: the TOML file.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.
        least: see `merge_sets`.

    Raises:
        InputError: the file is no TOML, or a set cannot be read.
        ConfigError: an unknown key, or see `merge_sets`.
    """
    path = Path(path)
    try:
        return _read_sets(path, iupac, least)
    except ConfigError as error:
        raise error if str(path) in str(error) else ConfigError(f"{path}: {error}") from None
    except InputError as error:
        if error.file is not None and Path(error.file).exists():
            raise
        raise InputError(str(error), file=path) from None


def _read_sets(path: Path, iupac: str, least: int) -> SequenceSet:
    tables = load_toml(path)
    if set(tables) != {"sets"} or not isinstance(tables["sets"], dict):
        found = ", ".join(tables) or "nothing"
        raise ConfigError(f"{path}: expected tables [sets.NAME] and nothing else, found {found}")
    files = {str(name): _set_file(path, str(name), table) for name, table in tables["sets"].items()}
    sets = {name: _read_set(path.parent, file, iupac) for name, file in files.items()}
    types = {name: file.type for name, file in files.items()}
    rename = {name: file.rename for name, file in files.items()}
    return merge_sets(sets, types, rename, least=least)


def _set_file(path: Path, name: str, table: Any) -> SetFile:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: found sets.{name} = {table!r}, expected a table")
    values = dict(table)
    rename = values.pop("rename", {})
    if not isinstance(rename, dict) or not all(isinstance(v, str) for v in rename.values()):
        raise ConfigError(f"{path}: [sets.{name}.rename] is not a table of names")
    for key in ("fasta", "type"):
        if key not in values:
            raise ConfigError(f"{path}: [sets.{name}] lacks {key!r}")
    return replace(from_dict(SetFile, values, where=f"{path} [sets.{name}]"), rename=dict(rename))


def _read_set(folder: Path, file: SetFile, iupac: str) -> SequenceSet:
    fasta = _expanded(folder, file.fasta)
    if bool(file.labels) == bool(file.labels_in_header):
        raise ConfigError(
            f"pass the labels of {fasta} either as a table (labels) or in the headers "
            "(labels_in_header)"
        )
    if file.labels_in_header:
        compartments = file.labels_in_header.split(",")
        return join_headers(fasta, compartments, columns=file.label, iupac=iupac)
    labels = read_labels(_expanded(folder, file.labels), file.label, file.group or None)
    return join(fasta, labels, iupac=iupac)


def _expanded(folder: Path, text: str) -> Path:
    return folder / Path(os.path.expandvars(text)).expanduser()


def join_headers(
    fasta: str | Path,
    compartments: Sequence[str],
    *,
    columns: Sequence[str] = (),
    iupac: str = "error",
) -> SequenceSet:
    """Read sequences with labels in their headers.

    A header is ``>1101000,Gene_ID:miRBase:MI0000060,Gene_Name:hsa-let-7a-1``. The id of an RNA is
    its Gene_Name; for a Gene_Name of several records, Gene_Name and Gene_ID with a comma between
    them; without a Gene_Name the rest of the header after the digits. Identical sequences under
    several names are all kept. Groups are miRNA families by name (see `families`).

    Args:
        fasta: path of the sequences.
        compartments: meaning of the digits from the left, one name per digit.
        columns: those of `compartments` that become labels; empty for all.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.

    Raises:
        InputError: the first 20 of: a header without one 0 or 1 per compartment, without a name, or
            with the name of another record; a compartment that all RNAs share or none has.
        ConfigError: a duplicated compartment, or an unknown column.

    Source: files of Wang et al. 2024 (DeepLocRNA), section 2.1.
    """
    names = [name.strip() for name in compartments]
    if not names or not all(names) or len(set(names)) < len(names):
        found = ", ".join(compartments) or "none"
        raise ConfigError(f"labels in headers need different compartment names, found {found}")
    for name in columns:
        if name not in names:
            raise ConfigError(
                f"no compartment {name!r} among those of the headers: {', '.join(names)}"
            )
    check_compartments(names, "labels in headers")
    records = read_fasta(fasta, iupac=iupac)
    headers = (records["id"] + " " + records["description"]).str.strip()
    lines = [int(line) for line in records["line"]]
    parts = [header.partition(",") for header in headers]
    raise_problems(_header_problems(parts, lines, names, fasta))
    genes = [_gene(rest) for _, _, rest in parts]
    ids = _unique_ids(genes, lines, fasta)
    digits = [[float(digit) for digit in digits] for digits, _, _ in parts]
    values = pd.DataFrame(digits, columns=names)[list(columns) or names]
    raise_problems(constant_label_problems(values, fasta))
    sequences = tuple(records["sequence"])
    return SequenceSet(
        NodeIndex.of(ids, "RNA"),
        sequences,
        values.to_numpy(dtype=np.float64),
        tuple(values.columns),
        MULTI_LABEL,
        families([name for name, _ in genes], sequences),
        pd.DataFrame(columns=LEFT_OUT_COLUMNS),
    )


def families(names: Sequence[str], sequences: Sequence[str]) -> tuple[str, ...]:
    """Name the miRNA family of each RNA, by `mirnagraph.names.family_groups` without miRBase.

    RNAs of one number (let-7a-1 and let-7b: let-7, of any species) and RNAs of identical sequence
    are one family, and so are families that share an RNA. Of several names
    (``C13orf25|hsa-mir-18a``) the first with a number counts. A name without a number (viral
    miRNAs, genes) is its own family, with its arms -5p and -3p.

    Args:
        names: one per RNA.
        sequences: of the same RNAs.

    Returns:
        One family name per RNA.
    """
    stems = []
    for name in names:
        numbers = [number(part) for part in name.split("|") if number(part)]
        stems.append(f"hsa-{numbers[0]}" if numbers else stem(name))
    table = pd.DataFrame(
        {"family_ids": "", "mature_sequences": list(sequences)}, index=pd.Index(stems, dtype=object)
    )
    return tuple(str(family).removeprefix("hsa-") for family in family_groups(table))


def _header_problems(
    parts: Sequence[tuple[str, str, str]],
    lines: Sequence[int],
    names: Sequence[str],
    fasta: str | Path,
) -> list[InputError]:
    digits_expected = (
        f"{len(names)} digits of 0 and 1, one per compartment ({', '.join(names)}), and a comma"
    )
    problems = []
    for line, (digits, _, rest) in zip(lines, parts, strict=True):
        if not re.fullmatch(f"[01]{{{len(names)}}}", digits):
            problems.append(
                InputError(
                    "the labels in a header do not fit the compartments",
                    file=fasta,
                    line=line,
                    column=2,
                    found=digits,
                    expected=digits_expected,
                )
            )
        elif not rest.strip():
            problems.append(
                InputError(
                    "a header without a name",
                    file=fasta,
                    line=line,
                    column=2 + len(digits),
                    expected="Gene_ID:…,Gene_Name:…",
                )
            )
    return problems


def _gene(rest: str) -> tuple[str, str]:
    """Gene_Name (or the whole text) and Gene_ID (or nothing) of a header after its digits."""
    fields = {}
    for part in rest.split(","):
        match = _FIELD.fullmatch(part.strip())
        if match:
            fields[match.group(1).lower()] = match.group(2).strip()
    return fields.get("gene_name") or rest.strip(), fields.get("gene_id", "")


def _unique_ids(
    genes: Sequence[tuple[str, str]], lines: Sequence[int], fasta: str | Path
) -> list[str]:
    n_records = Counter(name for name, _ in genes)
    ids = [f"{name},{gene}" if n_records[name] > 1 and gene else name for name, gene in genes]
    table = pd.DataFrame({"Gene_Name": ids}, index=list(lines))
    each = "each Gene_Name, or Gene_Name with Gene_ID, once"
    raise_problems(repeated_cells(table, "Gene_Name", "an RNA is duplicated", fasta, each))
    return ids
