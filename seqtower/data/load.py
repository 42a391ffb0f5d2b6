"""Labelled RNAs for `mirnagraph seq train`: a table, FASTA headers, several sets or a dataset."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mirnagraph.errors import ConfigError
from mirnagraph.reading.parquet import is_parquet

if TYPE_CHECKING:
    from seqtower.data.sequences import SequenceSet

DEMO = "demo"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Options of `mirnagraph seq train` that name its data."""

    fasta: Path | None
    labels: Path | None
    in_header: str | None
    data: str | None
    columns: tuple[str, ...]
    group: str
    iupac: str
    type_column: str | None = None
    rna_type: str | None = None
    sets: Path | None = None


def training_data(source: Source) -> tuple[SequenceSet, str, bool]:
    """Return the RNAs, their name, and whether they are synthetic.

    Raises:
        ConfigError: options that exclude each other.
        InputError: a file that cannot be read.
    """
    from seqtower.data.sequences import the_type

    has_table = source.labels is not None or _holds_labels(source)
    if source.type_column is not None and (source.rna_type is not None or not has_table):
        raise ConfigError(
            "--type names a column of --labels; pass --rna-type for one type of all RNAs"
        )
    if source.data and (source.fasta or source.sets) is not None:
        raise ConfigError("--data names the RNAs in place of --fasta and --sets; omit the other")
    if source.sets is not None:
        return _read_sets(source, source.sets)
    _check_labels(source)
    if source.fasta is not None:
        data = _read_fasta(source, source.fasta)
        name = source.fasta.name.split(".")[0]
        synthetic = False
    else:
        data, name, synthetic = _read_dataset(source.data or DEMO)
    if source.rna_type is not None:
        data = replace(data, types=(the_type(source.rna_type),) * len(data))
    logger.info("%s: %d RNAs, %d ids left out", name, len(data), len(data.left_out))
    return data, name, synthetic


def _read_sets(source: Source, path: Path) -> tuple[SequenceSet, str, bool]:
    from seqtower.data.sets import read_sets

    others = (source.fasta, source.labels, source.in_header, source.type_column, source.rna_type)
    if source.columns or any(option is not None for option in others):
        raise ConfigError(
            "--sets names sequences, labels, label columns and types in its file; omit the options "
            "for these"
        )
    return read_sets(path, iupac=source.iupac), path.stem, False


def _holds_labels(source: Source) -> bool:
    """Whether the labels are columns of a Parquet file of sequences."""
    if source.fasta is None or source.labels is not None or source.in_header is not None:
        return False
    return is_parquet(source.fasta)


def _check_labels(source: Source) -> None:
    if source.labels is not None and source.in_header is not None:
        raise ConfigError(
            "pass labels either in a table (--labels) or in the headers (--labels-in-header), "
            "not both"
        )
    has_labels = source.labels is not None or source.in_header is not None
    has_labels = has_labels or _holds_labels(source)
    if has_labels != (source.fasta is not None):
        raise ConfigError(
            "--fasta needs --labels or --labels-in-header (a Parquet file may hold them itself), "
            "and they need --fasta; without them the RNAs of --data are used"
        )
    if source.columns and not has_labels:
        raise ConfigError("--label names a column of --labels; omit it with --data")


def _read_fasta(source: Source, fasta: Path) -> SequenceSet:
    from seqtower.data.labels import join, read_labels
    from seqtower.data.sets import FAMILY, join_headers

    group = None if source.group in ("cluster", "none") else source.group
    table = fasta if _holds_labels(source) else source.labels
    if table is not None:
        labels = read_labels(table, source.columns, group, source.type_column)
        return join(fasta, labels, iupac=source.iupac)
    if group not in (None, FAMILY):
        raise ConfigError(
            f"no groups {group!r} with labels in headers; use cluster, {FAMILY} or none"
        )
    compartments = (source.in_header or "").split(",")
    return join_headers(fasta, compartments, columns=source.columns, iupac=source.iupac)


def _read_dataset(data: str) -> tuple[SequenceSet, str, bool]:
    from mirnagraph.evaluation.trainable import require_trainable
    from mirnagraph.recipes.opening import load_dataset
    from seqtower.data.sequences import of_dataset
    from seqtower.data.synthetic import planted_sequences

    if data == DEMO:
        return planted_sequences().data, "seq-demo", True
    dataset = load_dataset(data)
    require_trainable(dataset)
    return of_dataset(dataset), dataset.name, dataset.synthetic
