"""Several sets of labelled RNAs as one: compartments by name, types of RNAs told, and a label is unknown where its set does not speak of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.config import from_dict, load_toml
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.nodes import NodeIndex
from seqtower.headers import join_headers
from seqtower.rna_types import the_type
from seqtower.sequences import LEFT_OUT_COLUMNS, MULTI_LABEL, SequenceSet, join, read_labels

MARK = "|"


def merge_sets(
    sets: Mapping[str, SequenceSet], types: Mapping[str, str], rename: Mapping[str, Mapping[str, str]] | None = None, *, least: int = 2
) -> SequenceSet:
    """Join sets into one that a single model can learn from.

    The id of an RNA becomes ``SET|id``; its group ``SET|group``, so that a group never reaches over sets (use clusters by sequence where it should).
    Compartments of the same name are one; a set that does not have a compartment leaves it unknown (NaN), and nothing is learned or measured there.

    Args:
        sets: name -> set with 0/1 labels, or classes, which become 0/1.
        types: name -> type of all RNAs of that set (see `seqtower.rna_types.RNA_TYPES`).
        rename: name -> {compartment of the set: its name in the whole}.
        least: how many sets there have to be.

    Raises:
        ConfigError: too few sets, a set without a type, or a renaming that names no compartment or makes two into one.
        InputError: a set of fractions.
    """
    if len(sets) < least:
        raise ConfigError(f"a merger needs {'two sets' if least == 2 else 'a set'} or more, found {', '.join(sets) or 'none'}")
    names: dict[str, tuple[str, ...]] = {}
    for name, data in sets.items():
        if MARK in name or not name:
            raise ConfigError(f"a set cannot be called {name!r}: its name stands before {MARK!r} in the ids")
        if name not in types:
            raise ConfigError(f"the set {name!r} has no type of RNAs")
        if not np.isin(data.labels[~np.isnan(data.labels)], (0, 1)).all():
            raise InputError(f"the set {name!r} has fractions for labels", expected="0/1 per compartment, or one class per RNA")
        names[name] = _renamed(name, data.compartments, (rename or {}).get(name, {}))
    every = tuple(dict.fromkeys(c for mine in names.values() for c in mine))
    ids, sequences, labels, groups, told, left = [], [], [], [], [], []
    for name, data in sets.items():
        part = np.full((len(data), len(every)), np.nan)
        part[:, [every.index(c) for c in names[name]]] = data.labels
        ids += [f"{name}{MARK}{i}" for i in data.index.ids]
        sequences += list(data.sequences)
        labels.append(part)
        groups += [f"{name}{MARK}{g}" if g else "" for g in data.groups or data.index.ids]
        told += [the_type(types[name])] * len(data)
        left.append(data.left_out.assign(**{str(data.left_out.columns[0]): [f"{name}{MARK}{i}" for i in data.left_out.iloc[:, 0]]}))
    together = pd.concat(left, ignore_index=True)[LEFT_OUT_COLUMNS]
    of = tuple(name for name, data in sets.items() for _ in data.sequences)
    index, values = NodeIndex.of(ids, "RNA"), np.concatenate(labels)
    return SequenceSet(index, tuple(sequences), values, every, MULTI_LABEL, tuple(groups), together, tuple(told), of)


@dataclass(frozen=True)
class SetFile:
    """One set of a file of sets.

    Attributes:
        fasta: path, from the file's folder on; ``~`` and environment variables are filled in.
        labels: path of a label table. labels_in_header: in its place, compartments of the digits that headers start with, with commas.
        label: columns to use; all where empty.
        type: of its RNAs, see `seqtower.rna_types.RNA_TYPES`.
        group: column of groups, or ``"family"`` for labels in headers; empty for none.
        rename: {compartment: its name in the whole}.
    """

    fasta: str
    type: str
    labels: str = ""
    labels_in_header: str = ""
    label: tuple[str, ...] = ()
    group: str = ""
    rename: dict[str, str] = field(default_factory=dict)


def read_sets(path: str | Path, *, iupac: str = "error", least: int = 2) -> SequenceSet:
    """Read and merge the sets that a TOML file names, one table ``[sets.NAME]`` each (see `SetFile`).

    Args:
        iupac: see `mirnagraph.sources.fasta.read_fasta`. least: see `merge_sets`.

    Raises:
        InputError: the file is no TOML, or a set cannot be read. ConfigError: an unknown key, or see `merge_sets`.
    """
    path = Path(path)
    tables = load_toml(path)
    if set(tables) != {"sets"} or not isinstance(tables["sets"], dict):
        raise ConfigError(f"{path}: expected tables [sets.NAME] and nothing else, found {', '.join(tables) or 'nothing'}")
    files = {str(name): _set_file(path, str(name), table) for name, table in tables["sets"].items()}
    sets = {name: _read_set(path.parent, about, iupac) for name, about in files.items()}
    return merge_sets(sets, {name: about.type for name, about in files.items()}, {name: about.rename for name, about in files.items()}, least=least)


def _set_file(path: Path, name: str, table: Any) -> SetFile:
    values = dict(table) if isinstance(table, dict) else {}
    rename = values.pop("rename", {})
    if not isinstance(rename, dict) or not all(isinstance(v, str) for v in rename.values()):
        raise ConfigError(f"{path}: [sets.{name}.rename] is not a table of names")
    lacking = next((key for key in ("fasta", "type") if not isinstance(values.get(key), str)), None)
    if lacking is not None:
        raise ConfigError(f"{path}: [sets.{name}] lacks {lacking!r}")
    return replace(from_dict(SetFile, values, where=f"{path} [sets.{name}]"), rename=dict(rename))


def _read_set(folder: Path, about: SetFile, iupac: str) -> SequenceSet:
    fasta = _place(folder, about.fasta)
    if bool(about.labels) == bool(about.labels_in_header):
        raise ConfigError(f"labels of {fasta} stand either in a table (labels) or in the headers (labels_in_header)")
    if about.labels_in_header:
        return join_headers(fasta, about.labels_in_header.split(","), columns=about.label, iupac=iupac)
    return join(fasta, read_labels(_place(folder, about.labels), about.label, about.group or None), iupac=iupac)


def _place(folder: Path, text: str) -> Path:
    return folder / Path(os.path.expandvars(text)).expanduser()


def _renamed(name: str, compartments: Sequence[str], new: Mapping[str, str]) -> tuple[str, ...]:
    for old in new:
        if old not in compartments:
            raise ConfigError(f"the set {name!r} has no compartment {old!r} to rename; it has {', '.join(compartments)}")
    found = tuple(new.get(c, c) for c in compartments)
    if len(set(found)) < len(found):
        raise ConfigError(f"two compartments of the set {name!r} would have one name: {', '.join(found)}")
    return found
