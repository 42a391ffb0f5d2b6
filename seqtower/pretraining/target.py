"""The set that a pre-training serves, and the RNAs that are cut from the pre-training for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import ConfigError, InputError, raise_problems
from mirnagraph.parallel import Progress
from mirnagraph.reading.table import read_table, repeated_cells
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.clusters import near_copies
from seqtower.data.sequences import SequenceSet
from seqtower.data.sets import MARK

SAME = "same sequence"
NEAR = "near-copy"
GENE = "gene"
REASONS = (SAME, NEAR, GENE)

CUT_COLUMNS = ["rna_id", "reason", "target_id"]

DIGEST = 32
"""Bytes of a sha256."""

_VERSION = re.compile(r"(ENS[A-Z]*\d+)\.\d+")


@dataclass(frozen=True, eq=False)
class Target:
    """RNAs that are trained and tested later, of which no label is read.

    Attributes:
        ids: of the RNAs.
        sequences: nucleotides A, C, G, U, N, one per id.
        genes: names of the gene of each RNA; empty where none is known.
    """

    ids: tuple[str, ...]
    sequences: tuple[str, ...]
    genes: tuple[frozenset[str], ...]

    @property
    def has_genes(self) -> bool:
        """Whether the gene of any RNA is known."""
        return any(self.genes)


def read_target(
    fasta: str | Path,
    table: str | Path | None = None,
    gene: Sequence[str] = (),
    *,
    iupac: str = "error",
) -> Target:
    """Read the sequences of the target set and the genes of a table.

    Args:
        fasta: sequences.
        table: TSV with ids in the first column; its labels are not read.
        gene: columns of `table` with names of genes, such as symbol and Ensembl id.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.

    Raises:
        ConfigError: columns without a table, a table without columns, or a missing column.
        InputError: a file that cannot be read, an id twice in the table, or a table without an id
            of the sequences.
    """
    if (table is not None) != bool(gene):
        raise ConfigError("--target-labels and --gene belong together: pass both or neither")
    records = read_fasta(fasta, iupac=iupac)
    ids = tuple(records["id"])
    genes = [frozenset[str]()] * len(ids)
    if table is not None:
        of_id = _genes_of(Path(table), gene)
        genes = [of_id.get(rna_id, frozenset()) for rna_id in ids]
        if not set(ids) & set(of_id):
            raise InputError(
                "no id of the target's sequences is in its table",
                file=table,
                column=1,
                found=next(iter(of_id), "no row"),
                expected=f"ids of {fasta}, such as {ids[0]}" if ids else f"ids of {fasta}",
            )
    return Target(ids, tuple(records["sequence"]), tuple(genes))


def _genes_of(path: Path, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """Names of the gene of each id of a table."""
    table = read_table(path)
    names = [str(name) for name in table.columns]
    for column in columns:
        if column not in names[1:]:
            raise ConfigError(
                f"{path}: no column {column!r}; columns after the id: {', '.join(names[1:])}"
            )
    raise_problems(repeated_cells(table, names[0], "an id is duplicated", path, "each id once"))
    cells = table[list(columns)].itertuples(index=False)
    return {
        str(rna_id): gene_names(row) for rna_id, row in zip(table[names[0]], cells, strict=True)
    }


def gene_names(cells: Iterable[str]) -> frozenset[str]:
    """Return names of a gene in one writing: lower case, Ensembl ids without their version.

    >>> sorted(gene_names(["GCLC", "ENSG00000001084.11", ""]))
    ['ensg00000001084', 'gclc']
    """
    names = [_VERSION.sub(r"\1", cell.strip()).lower() for cell in cells]
    return frozenset(name for name in names if name)


def source_genes(data: SequenceSet) -> list[frozenset[str]]:
    """Names of the gene of each RNA of merged sets: its group, or its id in a set without groups.

    Args:
        data: of `seqtower.data.sets.merge_sets`, whose ids and groups begin with their set.
    """
    groups = data.groups or data.index.ids
    return [gene_names([group.partition(MARK)[2]]) for group in groups]


@dataclass(frozen=True, eq=False)
class Cut:
    """RNAs that are left out of a pre-training.

    Attributes:
        table: one row per RNA: ``rna_id``, ``reason`` (the first that holds of `REASONS`) and
            ``target_id``, an RNA of the target that it equals or resembles, or whose gene it has.
        kept: row numbers of the RNAs that are left: int64, ascending.
        has_genes: whether genes were compared.
    """

    table: pd.DataFrame
    kept: np.ndarray
    has_genes: bool

    def counts(self) -> dict[str, int]:
        """Return the number of RNAs that were cut for each reason."""
        return {reason: int((self.table["reason"] == reason).sum()) for reason in REASONS}

    def sentence(self) -> str:
        """Say how many RNAs were cut, and why."""
        counts = self.counts()
        total = len(self.table) + len(self.kept)
        genes = f"{counts[GENE]} more of the same gene"
        if not self.has_genes:
            genes = "genes were not compared"
        return (
            f"{len(self.table)} of {total} RNAs were cut for the target: {counts[SAME]} of the "
            f"same sequence, {counts[NEAR]} near-copies, {genes}"
        )


def cut_target(data: SequenceSet, target: Target, progress: Progress | None = None) -> Cut:
    """Find RNAs of merged sets that are, resemble, or share a gene with an RNA of the target.

    No label is read. All of the target is cut at once, so that one pre-training serves every fold
    of it.

    Args:
        data: of `seqtower.data.sets.read_sets`.
        target: the RNAs to keep out.
        progress: of the search for near-duplicates.
    """
    first = {sequence: row for row, sequence in reversed(list(enumerate(target.sequences)))}
    first_of_gene: dict[str, int] = {}
    for row, names in enumerate(target.genes):
        for name in names:
            first_of_gene.setdefault(name, row)
    copies = near_copies(data.sequences, target.sequences, progress)
    genes = source_genes(data)
    rows = []
    kept = []
    for row, (rna_id, sequence) in enumerate(zip(data.index.ids, data.sequences, strict=True)):
        of_gene = [first_of_gene[name] for name in sorted(genes[row]) if name in first_of_gene]
        if sequence in first:
            rows.append((rna_id, SAME, target.ids[first[sequence]]))
        elif copies[row] >= 0:
            rows.append((rna_id, NEAR, target.ids[copies[row]]))
        elif of_gene:
            rows.append((rna_id, GENE, target.ids[of_gene[0]]))
        else:
            kept.append(row)
    table = pd.DataFrame(rows, columns=CUT_COLUMNS)
    return Cut(table, np.array(kept, dtype=np.int64), target.has_genes)


def digests(sequences: Iterable[str]) -> np.ndarray:
    """Return the sha256 of each different sequence, sorted: uint8, shape (n, `DIGEST`)."""
    each = sorted({hashlib.sha256(sequence.encode()).digest() for sequence in sequences})
    return np.frombuffer(b"".join(each), dtype=np.uint8).reshape(len(each), DIGEST)


def set_fingerprint(of_sequences: np.ndarray) -> str:
    """Return the sha256, as hex, over what `digests` returned."""
    return hashlib.sha256(of_sequences.tobytes()).hexdigest()
