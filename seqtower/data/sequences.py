"""Labelled RNA sequences, RNA types and the length policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import pandas as pd

from mirnagraph.config import AtLeastTwo, Checked, require
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.metrics import FRACTIONS, KINDS, MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.arrays import row_numbers

RNA_TYPES = ("miRNA", "precursor", "lncRNA", "mRNA", "snoRNA", "circRNA", "other")
CIRCLE = "circRNA"

_MEASURES: dict[str, Callable[[np.ndarray], Any]] = {
    "max": np.max,
    "average": np.mean,
    "min": np.min,
}

LEFT_OUT_COLUMNS = ["id", "reason"]

_TYPE_BY_LOWER_CASE = {name.lower(): name for name in RNA_TYPES}


@dataclass(frozen=True)
class LengthPolicy(Checked):
    """How long RNAs are cut.

    Attributes:
        keep: ``"full"`` for every nucleotide; ``"3-prime"`` for the last `length` (RNATracker),
            ``"5-prime"`` for the first `length`, ``"both-ends"`` for the first and the last
            `length` // 2 (DeepLocRNA).
        length: nucleotides that are kept; not used by ``"full"``.
        measure: ``"max"``, ``"average"`` or ``"min"`` to take `length` from the training sequences
            (EL-RMLocNet); empty to take it as given.
    """

    keep: Annotated[str, ("full", "3-prime", "5-prime", "both-ends")] = "full"
    length: AtLeastTwo = 4000
    measure: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.measure in ("", *_MEASURES),
            "measure",
            self.measure,
            f"one of {', '.join(_MEASURES)}, or nothing",
        )

    def fitted(self, lengths: np.ndarray) -> LengthPolicy:
        """Return the policy with `length` measured on the training sequences.

        Args:
            lengths: nucleotides per training sequence, int, shape (n_train,).
        """
        if not self.measure or self.keep == "full":
            return self
        length = float(_MEASURES[self.measure](lengths))
        return LengthPolicy(self.keep, max(2, round(length)))

    def positions(self, length: int) -> np.ndarray:
        """Return the 0-based positions that are kept of an RNA of this length, ascending: int64."""
        head, tail = self._ends(length)
        return np.concatenate([np.arange(head), np.arange(length - tail, length)])

    def cut(self, sequence: str) -> str:
        """Return the nucleotides that are kept."""
        head, tail = self._ends(len(sequence))
        return sequence[:head] + sequence[len(sequence) - tail :]

    def n_kept(self, length: int) -> int:
        """Return the number of nucleotides that are kept of an RNA of this length."""
        return sum(self._ends(length))

    def _ends(self, length: int) -> tuple[int, int]:
        """Numbers of nucleotides that are kept at the 5' end and at the 3' end."""
        if self.keep == "full" or length <= self.length:
            return length, 0
        head = {"3-prime": 0, "5-prime": self.length}.get(self.keep, self.length // 2)
        return head, self.length - head


def rna_type(text: str) -> str | None:
    """Return the RNA type in its usual capitals, or None for a text that names none.

    >>> rna_type("LNCRNA"), rna_type("tRNA")
    ('lncRNA', None)
    """
    return _TYPE_BY_LOWER_CASE.get(text.strip().lower())


@checked
def the_type(text: str) -> str:
    """Return the RNA type as `rna_type` does; raises ConfigError for an unknown one."""
    name = rna_type(text)
    if name is None:
        raise ConfigError(f"unknown type of RNA {text!r}, expected one of {', '.join(RNA_TYPES)}")
    return name


@checked
def vocabulary(types: Sequence[str] | None) -> tuple[str, ...]:
    """Return the types that occur, in the order of `RNA_TYPES`; empty for None."""
    present = set(types or ())
    return tuple(name for name in RNA_TYPES if name in present)


@checked
def type_numbers(types: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Return the position of each type in a model's vocabulary: int64, shape (n,).

    Raises:
        ConfigError: a type that is not in the vocabulary.
    """
    position = {name: number for number, name in enumerate(known)}
    for name in types:
        if name not in position:
            raise ConfigError(
                f"no training RNA of type {name!r}; available types: {', '.join(known)}"
            )
    return np.array([position[name] for name in types], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class SequenceSet:
    """RNA sequences with their labels, in one row order.

    Attributes:
        index: ids, in the order of the FASTA file.
        sequences: nucleotides A, C, G, U, N, 5' to 3'; one per id.
        labels: float64, shape (n, n_labels), NaN where unknown. 0/1 for `kind`
            ``"multi-label"``, one 1 per row for ``"class"``, numbers that sum to 1 for
            ``"fractions"``.
        compartments: names of the columns of `labels`.
        kind: one of `mirnagraph.evaluation.metrics.KINDS`.
        groups: group of each row that stays in one fold (a gene, a cluster); None for none.
        left_out: sequences and label rows that are not used: ``id``, ``reason``.
        types: one of `RNA_TYPES` per row, on which towers are conditioned; None for none.
        sets: name of the set of each row (see `seqtower.data.sets`); None for a single set.

    Raises:
        InputError: parts of different lengths, or labels other than 0, 1 and NaN.
        ConfigError: an unknown kind or type.
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

    def __post_init__(self) -> None:
        n = len(self.index)
        for name in ("sequences", "groups", "types", "sets"):
            values = getattr(self, name)
            if values is not None and len(values) != n:
                raise InputError(f"{name} do not fit the ids", found=len(values), expected=n)
        shape = (n, len(self.compartments))
        if np.shape(self.labels) != shape:
            raise InputError(
                "labels do not fit the ids", found=np.shape(self.labels), expected=shape
            )
        require(self.kind in KINDS, "kind", self.kind, " or ".join(KINDS))
        unknown = [name for name in self.types or () if name not in RNA_TYPES]
        require(not unknown, "types", unknown[:1], ", ".join(RNA_TYPES))
        if (
            self.kind != FRACTIONS
            and not (np.isin(self.labels, (0, 1)) | np.isnan(self.labels)).all()
        ):
            raise InputError("labels must be 0 or 1 (NaN where unknown)")

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> np.ndarray:
        """Nucleotides per sequence: int64, shape (n,)."""
        return np.array([len(sequence) for sequence in self.sequences], dtype=np.int64)

    def rows(self, numbers: np.ndarray) -> SequenceSet:
        """Return the RNAs with these row numbers, in their order."""
        numbers = row_numbers(numbers, "rows", len(self))
        rows = numbers.tolist()
        ids = tuple(self.index.ids[row] for row in rows)
        kinds = tuple(self.index.kinds[row] for row in rows)
        columns: dict[str, Any] = {}
        for name in ("sequences", "groups", "types", "sets"):
            values = getattr(self, name)
            columns[name] = None if values is None else tuple(values[row] for row in rows)
        return replace(self, index=NodeIndex(ids, kinds), labels=self.labels[numbers], **columns)

    def binary(self) -> pd.DataFrame:
        """Return labels as 0/1 by id, over which folds are balanced.

        Of fractions, the largest of a row is 1.
        """
        values = self.labels
        if self.kind == FRACTIONS:
            values = (values == np.nanmax(values, axis=1, keepdims=True)).astype(float)
        return pd.DataFrame(
            np.nan_to_num(values).astype(np.int8),
            index=pd.Index(self.index.ids, dtype=object, name="rna_id"),
            columns=list(self.compartments),
        )


def sequences_sha256(data: SequenceSet) -> str:
    """Return the sha256 over ids, sequences, labels, groups, types and sets, in row order."""
    total = hashlib.sha256()
    for row, (name, sequence) in enumerate(zip(data.index.ids, data.sequences, strict=True)):
        line = f"{name}\t{sequence}"
        total.update((f"\n{line}" if row else line).encode())
    total.update("\t".join([data.kind, *data.compartments, *(data.groups or ())]).encode())
    total.update(np.ascontiguousarray(data.labels).tobytes())
    total.update("\t".join([*(data.types or ()), *(data.sets or ())]).encode())
    return total.hexdigest()


@checked
def of_dataset(dataset: Dataset) -> SequenceSet:
    """Return the RNAs of a dataset that have a sequence.

    Compartments of the dataset become labels, families become groups.

    Args:
        dataset: RNAs with sequences and labels.

    Raises:
        InputError: no RNA has a sequence.
    """
    table = dataset.rnas
    has_sequence = table["sequence"].notna()
    rows = np.flatnonzero(has_sequence)
    if not len(rows):
        raise InputError(f"no RNA of dataset {dataset.name!r} has a sequence")
    left_out = [(name, "no sequence") for name in table.index[~has_sequence]]
    groups = None
    if "family" in table.columns:
        groups = tuple(table["family"].iloc[rows].fillna(""))
    return SequenceSet(
        NodeIndex.of([dataset.index.ids[row] for row in rows], "RNA"),
        tuple(table["sequence"].iloc[rows]),
        dataset.labels.to_numpy(dtype=np.float64)[rows],
        tuple(str(name) for name in dataset.compartments),
        MULTI_LABEL,
        groups,
        pd.DataFrame(left_out, columns=LEFT_OUT_COLUMNS),
    )
