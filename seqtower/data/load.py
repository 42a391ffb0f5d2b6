"""Where `mirnagraph seq train` takes its labelled RNAs from: a table, FASTA headers, a dataset, or the demo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqtower.data.sequences import SequenceSet


@dataclass(frozen=True)
class Source:
    """What was asked for on the command line; see the options of `mirnagraph seq train`."""

    fasta: Path | None
    labels: Path | None
    in_header: str | None
    data: str
    columns: tuple[str, ...]
    group: str
    iupac: str
    type_column: str | None = None
    rna_type: str | None = None
    sets: Path | None = None


def training_data(source: Source) -> tuple[SequenceSet, str, bool]:
    """The RNAs, their name, and whether they are made up; raises ConfigError for options that do not go together."""
    from mirnagraph.errors import ConfigError
    from seqtower.data.sequences import the_type

    if source.type_column is not None and (source.rna_type is not None or source.labels is None):
        raise ConfigError(
            "--type names a column of --labels; without it, or for one type throughout, there is --rna-type"
        )
    if source.sets is not None:
        return _merged(source)
    data, name, synthetic = _read(source)
    if source.rna_type is not None:
        data = replace(data, types=(the_type(source.rna_type),) * len(data))
    return data, name, synthetic


def _merged(source: Source) -> tuple[SequenceSet, str, bool]:
    from mirnagraph.errors import ConfigError
    from seqtower.data.sets import read_sets

    alone = (source.fasta, source.labels, source.in_header, source.type_column, source.rna_type)
    if source.sets is None or any(given is not None for given in alone) or source.columns:
        raise ConfigError(
            "--sets names everything in its file: sequences, labels, label columns and types; leave these options out"
        )
    return read_sets(source.sets, iupac=source.iupac), source.sets.stem, False


def _read(source: Source) -> tuple[SequenceSet, str, bool]:
    from mirnagraph.errors import ConfigError
    from mirnagraph.sources import load_dataset
    from seqtower.data.sequences import join, of_dataset, read_labels
    from seqtower.data.sets import FAMILY, join_headers
    from seqtower.data.synthetic import planted_sequences

    column = source.group if source.group not in ("cluster", "none") else None
    if source.labels is not None and source.in_header is not None:
        raise ConfigError(
            "labels stand either in a table (--labels) or in the headers (--labels-in-header), not in both"
        )
    if (source.fasta is None) != (source.labels is None and source.in_header is None):
        raise ConfigError(
            "--fasta and --labels go together (or --labels-in-header); without both the RNAs of --data are taken"
        )
    if source.fasta is not None:
        name = source.fasta.name.split(".")[0]
        if source.labels is not None:
            return (
                join(
                    source.fasta,
                    read_labels(source.labels, source.columns, column, source.type_column),
                    iupac=source.iupac,
                ),
                name,
                False,
            )
        if column not in (None, FAMILY):
            raise ConfigError(
                f"no groups {column!r} with labels in headers, which name no more than the gene; use cluster, {FAMILY} or none"
            )
        return (
            join_headers(
                source.fasta,
                (source.in_header or "").split(","),
                columns=source.columns,
                iupac=source.iupac,
            ),
            name,
            False,
        )
    if source.data == "demo":
        return planted_sequences().data, "seq-demo", True
    dataset = load_dataset(source.data)
    return of_dataset(dataset), dataset.name, dataset.synthetic
