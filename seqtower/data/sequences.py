"""SequenceSet, labels, RNA types, length policy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError, raise_problems
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS, MULTI_LABEL
from mirnagraph.evaluation.splits import used_rnas
from mirnagraph.io import read_table
from mirnagraph.nodes import NodeIndex
from mirnagraph.sources.fasta import read_fasta

POLICIES = ("full", "3-prime", "5-prime", "both-ends")

MEASURES = ("max", "average", "min")

SUM_TOLERANCE = 0.01

LEFT_OUT_COLUMNS = ["id", "reason"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

RNA_TYPES = ("miRNA", "precursor", "lncRNA", "mRNA", "snoRNA", "circRNA", "other")

CIRCLE = "circRNA"

_KNOWN = {name.lower(): name for name in RNA_TYPES}


@dataclass(frozen=True)
class LengthPolicy:
    """How long RNAs are cut.

    Attributes:
        keep: ``"full"`` for every letter; ``"3-prime"`` for the last `length` (RNATracker), ``"5-prime"`` for the first `length`,
            ``"both-ends"`` for the first and the last `length` // 2 (DeepLocRNA).
        length: nucleotides that are kept; not used by ``"full"``.
        measure: ``""``, or one of ``"max"``, ``"average"``, ``"min"`` to take `length` from the training sequences instead (EL-RMLocNet).
    """

    keep: str = "full"
    length: int = 4000
    measure: str = ""

    def __post_init__(self) -> None:
        require(self.keep in POLICIES, "keep", self.keep, f"one of {', '.join(POLICIES)}")
        require(self.length >= 2, "length", self.length, "2 or more")
        require(
            self.measure in ("", *MEASURES),
            "measure",
            self.measure,
            f"one of {', '.join(MEASURES)}, or nothing",
        )

    def fitted(self, lengths: np.ndarray) -> LengthPolicy:
        """The policy with a fixed length, measured on the training sequences: `lengths` is int, shape (n_train,)."""
        if not self.measure or self.keep == "full":
            return self
        found = (
            lengths.max()
            if self.measure == "max"
            else lengths.min()
            if self.measure == "min"
            else lengths.mean()
        )
        return LengthPolicy(self.keep, max(2, round(float(found))))

    def positions(self, length: int) -> np.ndarray:
        """0-based positions of the letters that are kept of an RNA of this length, ascending: int64."""
        if self.keep == "full" or length <= self.length:
            return np.arange(length)
        if self.keep == "3-prime":
            return np.arange(length - self.length, length)
        if self.keep == "5-prime":
            return np.arange(self.length)
        head = self.length // 2
        return np.concatenate([np.arange(head), np.arange(length - (self.length - head), length)])

    def cut(self, sequence: str) -> str:
        """The letters that are kept."""
        if self.keep == "full" or len(sequence) <= self.length:
            return sequence
        if self.keep == "3-prime":
            return sequence[-self.length :]
        if self.keep == "5-prime":
            return sequence[: self.length]
        head = self.length // 2
        return sequence[:head] + sequence[len(sequence) - (self.length - head) :]


@dataclass(frozen=True, eq=False)
class SequenceSet:
    """Sequences with what is known of them, in one row order.

    Attributes:
        index: ids, in the order of the FASTA file.
        sequences: RNA of A, C, G, U, N, 5' to 3'; one per id.
        labels: float64, shape (n, n_labels); NaN where a compartment is not known. 0/1 for `kind` ``"multi-label"``, one 1 per row for
            ``"class"``, numbers that sum to 1 for ``"fractions"``.
        compartments: names of the columns of `labels`.
        kind: one of `KINDS`.
        groups: what has to stay together in folds (a gene, a cluster), by row; None for nothing.
        left_out: sequences and label rows that are not used: ``id``, ``reason``.
        types: one of `seqtower.data.sequences.RNA_TYPES` per row, which towers are told; None for not told.
        sets: name of the set that each row comes from (see `seqtower.data.sets`); None for a single set.
    """

    index: NodeIndex
    sequences: tuple[str, ...]
    labels: np.ndarray
    compartments: tuple[str, ...]
    kind: str
    groups: tuple[str, ...] | None
    left_out: pd.DataFrame
    types: tuple[str, ...] | None = None
    sets: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> np.ndarray:
        """Nucleotides per sequence: int64, shape (n,)."""
        return np.array([len(sequence) for sequence in self.sequences], dtype=np.int64)

    def rows(self, chosen: np.ndarray) -> SequenceSet:
        """Some of the RNAs, in the order of their row numbers `chosen`."""
        some = chosen.tolist()
        index = NodeIndex(
            tuple(self.index.ids[row] for row in some), tuple(self.index.kinds[row] for row in some)
        )
        told: dict[str, Any] = {}
        for name in ("groups", "types", "sets"):
            values = getattr(self, name)
            told[name] = None if values is None else tuple(values[row] for row in some)
        return replace(
            self,
            index=index,
            sequences=tuple(self.sequences[row] for row in some),
            labels=self.labels[chosen],
            **told,
        )

    def binary(self) -> pd.DataFrame:
        """Labels as 0/1 by id, which folds are balanced over: a fraction counts where it is the largest of its row."""
        values = self.labels
        if self.kind == FRACTIONS:
            values = (values == np.nanmax(values, axis=1, keepdims=True)).astype(float)
        return pd.DataFrame(
            np.nan_to_num(values).astype(np.int8),
            index=pd.Index(self.index.ids, dtype=object, name="rna_id"),
            columns=list(self.compartments),
        )


def sequences_sha256(data: SequenceSet) -> str:
    """sha256 over everything a run reads from its data: ids, sequences, labels, groups and types where there are any, in row order."""
    total = hashlib.sha256(
        "\n".join(
            f"{name}\t{sequence}"
            for name, sequence in zip(data.index.ids, data.sequences, strict=True)
        ).encode()
    )
    total.update("\t".join([data.kind, *data.compartments, *(data.groups or ())]).encode())
    total.update(np.ascontiguousarray(data.labels).tobytes())
    total.update("\t".join([*(data.types or ()), *(data.sets or ())]).encode())
    return total.hexdigest()


@dataclass(frozen=True, eq=False)
class LabelTable:
    """A table of labels by id, before it meets sequences.

    Attributes:
        values: index id, one float64 column per compartment, NaN where a cell is empty.
        kind: one of `KINDS`.
        groups: index id, text; None where no column of groups was asked for.
        types: index id, one of `seqtower.data.sequences.RNA_TYPES`; None where no column of types was asked for.
        path: the file.
    """

    values: pd.DataFrame
    kind: str
    groups: pd.Series | None
    types: pd.Series | None = None
    path: str | Path = ""


def read_labels(
    path: str | Path,
    columns: Sequence[str] = (),
    group: str | None = None,
    rna_types: str | None = None,
) -> LabelTable:
    """Read labels: 0/1 per compartment, one column of class names, or fractions that sum to 1.

    Args:
        path: TSV with a header line; ids in the first column, whatever it is called.
        columns: label columns; without them all columns but the first (and `group` and `rna_types`) are labels.
        group: column that says what stays together in folds.
        rna_types: column with the type of each RNA, one of `seqtower.data.sequences.RNA_TYPES` in any capitals.

    Raises:
        InputError: the first 20 of: an id twice, a cell that is no number, negative or not 0/1 where the others are, fractions that do not
            sum to 1, an unknown type, a compartment or class that all RNAs share or none has.
        ConfigError: a column that is not there, or columns that are neither numbers nor a single column of classes.
    """
    path = Path(path)
    table = read_table(path, [])
    names = [str(c) for c in table.columns]
    if len(names) < 2:
        raise InputError(
            "a label table needs an id and one label column or more",
            file=path,
            line=1,
            found=", ".join(names),
        )
    for name in [*columns, *filter(None, (group, rna_types))]:
        if name not in names[1:]:
            raise ConfigError(
                f"{path}: no column {name!r} beside the id; found {', '.join(names[1:])}"
            )
    chosen = list(columns) or [name for name in names[1:] if name not in (group, rna_types)]
    raise_problems(_id_problems(table, names[0], path))
    lines = {name: int(line) for line, name in zip(table.index, table[names[0]], strict=True)}
    table = table.set_index(names[0])
    groups = table[group] if group else None
    types = _types(table[rna_types], lines, path) if rna_types else None
    text = [
        (line, name, cell)
        for name in chosen
        for line, cell in zip(lines.values(), table[name], strict=True)
        if cell and not _NUMBER.fullmatch(cell)
    ]
    if text and len(chosen) == 1:
        return LabelTable(_classes(table[chosen[0]], path), CLASS, groups, types, path)
    if text:
        line, name, cell = text[0]
        hint = "name the label columns with --label; a single text column is read as classes"
        raise InputError(
            "a label is not a number",
            file=path,
            line=line,
            column=name,
            found=cell,
            expected="0, 1 or a fraction",
            hint=hint,
        )
    values = pd.DataFrame(
        {name: [np.nan if not cell else float(cell) for cell in table[name]] for name in chosen},
        index=table.index,
    )
    return LabelTable(values, _numeric_kind(values, lines, path), groups, types, path)


def join(fasta: str | Path, labels: LabelTable, *, iupac: str = "error") -> SequenceSet:
    """Sequences that have a label, in the order of the FASTA file; what lacks either is listed in `left_out`.

    Args:
        iupac: what to do with letters of several bases (R, Y, …): ``"error"``, or ``"n"`` to read them as N.

    Raises:
        InputError: see `mirnagraph.sources.fasta.read_fasta`; no id stands in both; a compartment whose labels are all the same where there is a sequence.
    """
    records = read_fasta(fasta, iupac=iupac)
    ids = list(records["id"])
    known = set(labels.values.index)
    unlabelled = labels.values.index[labels.values.isna().all(axis=1)]
    usable = known - set(unlabelled)
    keep = records[records["id"].isin(usable)]
    if keep.empty:
        found = (
            f"{ids[0]!r} in the sequences, {labels.values.index[0]!r} in the labels"
            if ids and len(known)
            else "no record"
        )
        raise InputError(
            "no id stands both in the sequences and in the labels", file=fasta, found=found
        )
    left = [(name, "no label") for name in ids if name not in known]
    left += [(str(name), "every label cell is empty") for name in unlabelled]
    left += [(str(name), "no sequence") for name in labels.values.index if name not in set(ids)]
    values = labels.values.loc[keep["id"]]
    raise_problems(one_kind_problems(values, labels.path, of="RNAs with a sequence"))
    groups, types = (
        None if column is None else tuple(column.loc[keep["id"]])
        for column in (labels.groups, labels.types)
    )
    return SequenceSet(
        NodeIndex.of(keep["id"], "RNA"), tuple(keep["sequence"]), values.to_numpy(dtype=np.float64), tuple(map(str, values.columns)), labels.kind, groups,
        pd.DataFrame(left, columns=LEFT_OUT_COLUMNS), types,
    )  # fmt: skip


def of_dataset(dataset: Dataset, *, rnas: str = "all") -> SequenceSet:
    """The RNAs of a `Dataset` that have a sequence, with its compartments as labels and its families as groups.

    Args:
        rnas: ``"all"`` (RNAs without annotation count as negatives) or ``"located"``.
    """
    table = dataset.rnas
    has = table["sequence"].notna().to_numpy()
    used = used_rnas(dataset.labels, rnas)
    rows = np.flatnonzero(has & used)
    if not len(rows):
        raise InputError(f"no RNA of dataset {dataset.name!r} has a sequence")
    left = [
        (name, "no sequence" if known else "no compartment")
        for name, known, row in zip(table.index, used, has & used, strict=True)
        if not row
    ]
    groups = tuple(table["family"].iloc[rows].fillna("")) if "family" in table.columns else None
    labels = dataset.labels.to_numpy(dtype=np.float64)[rows]
    names = tuple(str(name) for name in dataset.compartments)
    index = NodeIndex.of([dataset.index.ids[row] for row in rows], "RNA")
    sequences = tuple(table["sequence"].iloc[rows])
    return SequenceSet(
        index,
        sequences,
        labels,
        names,
        MULTI_LABEL,
        groups,
        pd.DataFrame(left, columns=LEFT_OUT_COLUMNS),
    )


def one_kind_problems(
    values: pd.DataFrame, path: str | Path, *, of: str = "RNAs"
) -> list[InputError]:
    """One error per compartment (column of labels, NaN where unknown) with the same label for all: it can be neither learned nor scored."""
    problems = []
    for column in values.columns:
        found = values[column].dropna().unique()
        if len(found) < 2:
            expected = f"labels that differ between {of} (leave the column out with --label)"
            same = f"only {found[0]:g}" if len(found) else "no label"
            problems.append(
                InputError(
                    "a compartment with one kind of label",
                    file=path,
                    column=str(column),
                    found=same,
                    expected=expected,
                )
            )
    return problems


def _id_problems(table: pd.DataFrame, column: str, path: Path) -> list[InputError]:
    problems = []
    first = dict[str, int]()
    for line, name in zip(table.index, table[column], strict=True):
        if not name:
            problems.append(InputError("an empty id", file=path, line=int(line), column=column))
        elif name in first:
            expected = f"each id once (first on line {first[name]})"
            problems.append(
                InputError(
                    "an id stands twice",
                    file=path,
                    line=int(line),
                    column=column,
                    found=name,
                    expected=expected,
                )
            )
        first.setdefault(name, int(line))
    return problems


def _types(cells: pd.Series, lines: dict[str, int], path: Path) -> pd.Series:
    known = [rna_type(cell) for cell in cells]
    expected = f"one of {', '.join(RNA_TYPES)}"
    raise_problems(
        InputError(
            "an unknown type of RNA",
            file=path,
            line=lines[str(name)],
            column=str(cells.name),
            found=cell,
            expected=expected,
        )
        for name, cell, found in zip(cells.index, cells, known, strict=True)
        if found is None
    )
    return pd.Series(known, index=cells.index)


def _classes(cells: pd.Series, path: Path) -> pd.DataFrame:
    names = [name for name in dict.fromkeys(cells) if name]
    if len(names) < 2:
        raise InputError(
            "every RNA has the same class",
            file=path,
            column=str(cells.name),
            found=names[0] if names else "no class",
            expected="two classes or more",
        )
    values = pd.DataFrame(
        {name: (cells == name).astype(float) for name in sorted(names)}, index=cells.index
    )
    values[cells == ""] = np.nan
    return values


def _numeric_kind(values: pd.DataFrame, lines: dict[str, int], path: Path) -> str:
    known = values.to_numpy()
    known = known[~np.isnan(known)]
    if np.isin(known, (0, 1)).all():
        problems = [
            InputError(
                "an empty cell beside others that are not",
                file=path,
                line=lines[str(name)],
                column=str(column),
                expected="0 or 1",
            )
            for column in values.columns
            for name in values.index[values[column].isna() & ~values.isna().all(axis=1)]
        ]
        raise_problems(problems + one_kind_problems(values, path))
        return MULTI_LABEL
    sums = values.sum(axis=1, skipna=False)
    problems = [
        InputError(
            "negative fraction",
            file=path,
            line=lines[name],
            column=str(column),
            found=values.at[name, column],
            expected="0 or more",
        )
        for column in values.columns
        for name in values.index[values[column] < 0]
    ]
    expected = "0 and 1 in all columns, or fractions that sum to 1"
    problems += [
        InputError(
            "labels do not sum to 1",
            file=path,
            line=lines[str(name)],
            found=f"a sum of {total:.4g}",
            expected=expected,
        )
        for name, total in sums.dropna().items()
        if abs(total - 1) > SUM_TOLERANCE
    ]
    raise_problems(problems)
    values[sums.isna()] = np.nan  # part of a distribution is none
    values.update(values.div(values.sum(axis=1).where(sums.notna()), axis=0))
    return FRACTIONS


def rna_type(text: str) -> str | None:
    """The type that is meant, whatever its capitals; None where it is none of `RNA_TYPES`.

    >>> rna_type("LNCRNA"), rna_type("tRNA")
    ('lncRNA', None)
    """
    return _KNOWN.get(text.strip().lower())


def the_type(text: str) -> str:
    """As `rna_type`; raises ConfigError for what is none."""
    found = rna_type(text)
    if found is None:
        raise ConfigError(f"unknown type of RNA {text!r}, expected one of {', '.join(RNA_TYPES)}")
    return found


def vocabulary(types: Sequence[str] | None) -> tuple[str, ...]:
    """The types that occur, in the order of `RNA_TYPES`; none where no types are given."""
    return tuple(name for name in RNA_TYPES if name in set(types or ()))


def type_numbers(types: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Place of each type in a model's vocabulary: int64, shape (n,); raises ConfigError for one the model was not trained on."""
    place = {name: number for number, name in enumerate(known)}
    for name in types:
        if name not in place:
            raise ConfigError(
                f"the model was trained on no RNA of type {name!r}; it knows {', '.join(known)}"
            )
    return np.array([place[name] for name in types], dtype=np.int64)
