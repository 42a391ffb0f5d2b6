"""Several labelled sets, labels in headers."""

from __future__ import annotations

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
from mirnagraph.names import family_groups, number, stem
from mirnagraph.nodes import NodeIndex
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.sequences import (
    LEFT_OUT_COLUMNS,
    SequenceSet,
    join,
    one_kind_problems,
    read_labels,
    the_type,
)

MARK = "|"

FAMILY = "family"

_FIELD = re.compile(r"(Gene_ID|Gene_Name):(.*)", re.IGNORECASE)


def merge_sets(
    sets: Mapping[str, SequenceSet],
    types: Mapping[str, str],
    rename: Mapping[str, Mapping[str, str]] | None = None,
    *,
    least: int = 2,
) -> SequenceSet:
    """Join sets into one that a single model can learn from.

    The id of an RNA becomes ``SET|id``; its group ``SET|group``, so that a group never reaches over sets (use clusters by sequence where it should).
    Compartments of the same name are one; a set that does not have a compartment leaves it unknown (NaN), and nothing is learned or measured there.

    Args:
        sets: name -> set with 0/1 labels, or classes, which become 0/1.
        types: name -> type of all RNAs of that set (see `seqtower.data.sequences.RNA_TYPES`).
        rename: name -> {compartment of the set: its name in the whole}.
        least: how many sets there have to be.

    Raises:
        ConfigError: too few sets, a set without a type, or a renaming that names no compartment or makes two into one.
        InputError: a set of fractions.
    """
    if len(sets) < least:
        raise ConfigError(
            f"a merger needs {'two sets' if least == 2 else 'a set'} or more, found {', '.join(sets) or 'none'}"
        )
    names: dict[str, tuple[str, ...]] = {}
    for name, data in sets.items():
        if MARK in name or not name:
            raise ConfigError(
                f"a set cannot be called {name!r}: its name stands before {MARK!r} in the ids"
            )
        if name not in types:
            raise ConfigError(f"the set {name!r} has no type of RNAs")
        if not np.isin(data.labels[~np.isnan(data.labels)], (0, 1)).all():
            raise InputError(
                f"the set {name!r} has fractions for labels",
                expected="0/1 per compartment, or one class per RNA",
            )
        names[name] = _renamed(name, data.compartments, (rename or {}).get(name, {}))
    every = tuple(dict.fromkeys(c for mine in names.values() for c in mine))
    ids = []
    sequences = []
    labels = []
    groups = []
    told = []
    left = []
    for name, data in sets.items():
        part = np.full((len(data), len(every)), np.nan)
        part[:, [every.index(c) for c in names[name]]] = data.labels
        ids += [f"{name}{MARK}{i}" for i in data.index.ids]
        sequences += list(data.sequences)
        labels.append(part)
        groups += [f"{name}{MARK}{g}" if g else "" for g in data.groups or data.index.ids]
        told += [the_type(types[name])] * len(data)
        left.append(
            data.left_out.assign(
                **{
                    str(data.left_out.columns[0]): [
                        f"{name}{MARK}{i}" for i in data.left_out.iloc[:, 0]
                    ]
                }
            )
        )
    together = pd.concat(left, ignore_index=True)[LEFT_OUT_COLUMNS]
    of = tuple(name for name, data in sets.items() for _ in data.sequences)
    index = NodeIndex.of(ids, "RNA")
    values = np.concatenate(labels)
    return SequenceSet(
        index,
        tuple(sequences),
        values,
        every,
        MULTI_LABEL,
        tuple(groups),
        together,
        tuple(told),
        of,
    )


@dataclass(frozen=True)
class SetFile:
    """One set of a file of sets.

    Attributes:
        fasta: path, from the file's folder on; ``~`` and environment variables are filled in.
        labels: path of a label table. labels_in_header: in its place, compartments of the digits that headers start with, with commas.
        label: columns to use; all where empty.
        type: of its RNAs, see `seqtower.data.sequences.RNA_TYPES`.
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
        raise ConfigError(
            f"{path}: expected tables [sets.NAME] and nothing else, found {', '.join(tables) or 'nothing'}"
        )
    files = {str(name): _set_file(path, str(name), table) for name, table in tables["sets"].items()}
    sets = {name: _read_set(path.parent, about, iupac) for name, about in files.items()}
    return merge_sets(
        sets,
        {name: about.type for name, about in files.items()},
        {name: about.rename for name, about in files.items()},
        least=least,
    )


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
        raise ConfigError(
            f"labels of {fasta} stand either in a table (labels) or in the headers (labels_in_header)"
        )
    if about.labels_in_header:
        return join_headers(
            fasta, about.labels_in_header.split(","), columns=about.label, iupac=iupac
        )
    return join(
        fasta,
        read_labels(_place(folder, about.labels), about.label, about.group or None),
        iupac=iupac,
    )


def _place(folder: Path, text: str) -> Path:
    return folder / Path(os.path.expandvars(text)).expanduser()


def _renamed(name: str, compartments: Sequence[str], new: Mapping[str, str]) -> tuple[str, ...]:
    for old in new:
        if old not in compartments:
            raise ConfigError(
                f"the set {name!r} has no compartment {old!r} to rename; it has {', '.join(compartments)}"
            )
    found = tuple(new.get(c, c) for c in compartments)
    if len(set(found)) < len(found):
        raise ConfigError(
            f"two compartments of the set {name!r} would have one name: {', '.join(found)}"
        )
    return found


def join_headers(
    fasta: str | Path,
    compartments: Sequence[str],
    *,
    columns: Sequence[str] = (),
    iupac: str = "error",
) -> SequenceSet:
    """Sequences whose headers bring their labels: ``>1101000,Gene_ID:miRBase:MI0000060,Gene_Name:hsa-let-7a-1``.

    The id of an RNA is its Gene_Name; where a name stands several times, Gene_Name and Gene_ID with a comma between them; the whole rest of the
    header where it has no Gene_Name. Identical sequences under several names are all kept.

    Groups are miRNA families by name (see `families`).

    Args:
        compartments: what the digits stand for, from the left; one name per digit.
        columns: those of `compartments` that become labels; all of them where empty.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.

    Raises:
        InputError: the first 20 of: a header that does not start with as many 0 or 1 as there are compartments, that has nothing behind them, or
            that names an RNA seen before (with line and column); a compartment that all RNAs share or none has.
        ConfigError: a compartment named twice, or a column that is none of them.

    Source: files of Wang et al. 2024 (DeepLocRNA), section 2.1.
    """
    names = [name.strip() for name in compartments]
    if not names or not all(names) or len(set(names)) < len(names):
        raise ConfigError(
            f"the labels in a header need one name each, none twice; found {', '.join(compartments) or 'none'}"
        )
    for name in columns:
        if name not in names:
            raise ConfigError(
                f"no compartment {name!r} among those of the headers: {', '.join(names)}"
            )
    records = read_fasta(fasta, iupac=iupac)
    headers = [
        f"{name} {more}".strip()
        for name, more in zip(records["id"], records["description"], strict=True)
    ]
    lines = [int(line) for line in records["line"]]
    parts = [header.split(",", 1) for header in headers]
    problems = []
    for line, (digits, *rest) in zip(lines, parts, strict=True):
        if not re.fullmatch(f"[01]{{{len(names)}}}", digits):
            expected = f"{len(names)} digits of 0 and 1, one per compartment ({', '.join(names)}), and a comma"
            problems.append(
                InputError(
                    "the labels in a header do not fit the compartments",
                    file=fasta,
                    line=line,
                    column=2,
                    found=digits,
                    expected=expected,
                )
            )
        elif not rest or not rest[0].strip():
            problems.append(
                InputError(
                    "a header without a name",
                    file=fasta,
                    line=line,
                    column=2 + len(digits),
                    expected="Gene_ID:…,Gene_Name:…",
                )
            )
    raise_problems(problems)
    called = [_called(rest) for _, rest in parts]
    ids = _unique(called, lines, fasta)
    values = pd.DataFrame(
        [[float(digit) for digit in digits] for digits, _ in parts], columns=names
    )[list(columns) or names]
    raise_problems(one_kind_problems(values, fasta))
    sequences = tuple(records["sequence"])
    groups = families([name for name, _ in called], sequences)
    nothing = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    return SequenceSet(
        NodeIndex.of(ids, "RNA"),
        sequences,
        values.to_numpy(dtype=np.float64),
        tuple(values.columns),
        MULTI_LABEL,
        groups,
        nothing,
    )


def families(names: Sequence[str], sequences: Sequence[str]) -> tuple[str, ...]:
    """miRNA family of each RNA by its name, as `mirnagraph.names.family_groups` makes them without miRBase's tables.

    RNAs with one number (let-7a-1 and let-7b: let-7, in whatever species), and RNAs with one and the same sequence, are relatives, and so are the
    relatives of relatives. Of several names (``C13orf25|hsa-mir-18a``) the first that has a number counts. A name without a number
    (viral miRNAs, genes) is a family of its own, its arms -5p and -3p together.

    Returns:
        A name per family, one per RNA.
    """
    known = []
    for name in names:
        numbered = [number(part) for part in name.split("|") if number(part)]
        known.append(f"hsa-{numbered[0]}" if numbered else stem(name))
    table = pd.DataFrame(
        {"family_ids": "", "mature_sequences": list(sequences)}, index=pd.Index(known, dtype=object)
    )
    return tuple(str(family).removeprefix("hsa-") for family in family_groups(table))


def _called(rest: str) -> tuple[str, str]:
    """Gene_Name (or everything) and Gene_ID (or nothing) of a header behind its digits."""
    found = {}
    for part in rest.split(","):
        field = _FIELD.fullmatch(part.strip())
        if field:
            found[field.group(1).lower()] = field.group(2).strip()
    return found.get("gene_name") or rest.strip(), found.get("gene_id", "")


def _unique(called: list[tuple[str, str]], lines: list[int], fasta: str | Path) -> list[str]:
    often = Counter(name for name, _ in called)
    ids = [f"{name},{gene}" if often[name] > 1 and gene else name for name, gene in called]
    first: dict[str, int] = {}
    problems = []
    for name, line in zip(ids, lines, strict=True):
        if name in first:
            expected = (
                f"each Gene_Name, or Gene_Name with Gene_ID, once (first on line {first[name]})"
            )
            problems.append(
                InputError(
                    "an RNA stands twice", file=fasta, line=line, found=name, expected=expected
                )
            )
        first.setdefault(name, line)
    raise_problems(problems)
    return ids
