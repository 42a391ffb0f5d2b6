"""Sequences of an RNA's partners, e.g. of the mRNAs that a miRNA targets, as a label-free token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from fusion.config import TowerSettings
from fusion.tokens.names import SEQUENCE, TokenName
from fusion.tokens.table import BuildSettings, Target, Token, TokenKind, make_token
from mirnagraph.dataset import Dataset
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.io import check_nucleotides, sha256_of, to_rna
from mirnagraph.networks.network import NetworkSet
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.kmers import kmer_counts

LONGEST_KMER = 4

WEIGHTS = "model.safetensors"


def with_partner_sequences(networks: NetworkSet, fasta: str | Path) -> NetworkSet:
    """Fill the column ``sequence`` of partner tables from a FASTA file.

    A record belongs to the partner that its id names, else to the first word of its description
    (``>ENST00000229416 GCLC``); of several records of one partner the longest counts. Sequences
    that a table has already are not replaced.

    Args:
        networks: with the partner tables.
        fasta: path; the networks are returned as they are where it is empty.

    Raises:
        InputError: see `mirnagraph.sources.fasta.read_fasta`; no record belongs to a partner.
    """
    if not str(fasta):
        return networks
    records = read_fasta(fasta, iupac="n")
    sequence_of: dict[str, str] = {}
    # ids come last, so that they override descriptions
    for names in (records["description"].str.split().str[0], records["id"]):
        table = records.assign(name=names).dropna(subset="name")
        longest = table.sort_values("sequence", key=lambda s: s.str.len(), kind="stable")
        sequence_of |= dict(zip(longest["name"], longest["sequence"], strict=True))
    dataset = networks.dataset
    tables = {kind: _filled(table, sequence_of) for kind, table in dataset.partners.items()}
    if not any(SEQUENCE in table.columns for table in tables.values()):
        first = f"{records['id'].iloc[0]!r} in the file" if len(records) else "no record"
        raise InputError(
            "no sequence is of a partner of the dataset",
            file=fasta,
            found=first,
            expected="ids (or first words of descriptions) of partners",
        )
    return replace(networks, dataset=replace(dataset, partners=tables))


def partner_inputs(settings: TowerSettings) -> dict[str, str]:
    """sha256 of the files that the settings name, for the inputs of a run; may be empty.

    Raises:
        InputError: a missing file.
    """
    files = {}
    if settings.partner_fasta:
        files["partner_fasta"] = Path(settings.partner_fasta)
    if settings.partners:
        files["partner_tower"] = _model_folder(settings) / WEIGHTS
    for name, path in files.items():
        if not path.is_file():
            raise InputError(f"no such file, which the settings name for {name}", file=path)
    return {name: sha256_of(path) for name, path in files.items()}


def _model_folder(settings: TowerSettings) -> Path:
    """Folder of the model, also where the settings name its run folder."""
    folder = Path(settings.partners)
    return folder / "model" if (folder / "model").is_dir() else folder


def _filled(table: pd.DataFrame, sequence_of: dict[str, str]) -> pd.DataFrame:
    before = _cells(table)
    pairs = zip(table.index, before, strict=True)
    cells = [cell or sequence_of.get(str(name)) for name, cell in pairs]
    if cells == before:
        return table
    return table.assign(**{SEQUENCE: pd.Series(cells, index=table.index, dtype=object)})


def _cells(table: pd.DataFrame) -> list[str | None]:
    if SEQUENCE not in table.columns:
        return [None] * len(table)
    return [_sequence(cell) for cell in table[SEQUENCE]]


def _sequence(cell: object) -> str | None:
    return to_rna(cell) if isinstance(cell, str) and cell else None


def kinds_with_sequences(dataset: Dataset) -> list[str]:
    """Kinds of association with a sequence of one partner or more, in the dataset's order."""
    return [kind for kind, table in dataset.partners.items() if any(_cells(table))]


def partner_embedding(sequences: Sequence[str], settings: TowerSettings) -> np.ndarray:
    """Embed sequences without any label of this dataset.

    Without `TowerSettings.partners`: leading components of the 1- to 4-mer frequencies and the log
    length, each column centred and scaled to unit variance over these sequences. Otherwise the
    representation of the final tower of that run.

    Returns:
        float64, shape (n, width).

    Raises:
        CheckpointError: `TowerSettings.partners` names no fitted tower.
        ConfigError, InputError: that tower reads another input, such as a language model.
    """
    if settings.partners:
        # Imports Lightning, which is slow and needed by this setting alone.
        from seqtower.predict import read_sequences
        from seqtower.saved import load_tower

        model = load_tower(_model_folder(settings))
        return read_sequences(model.tower, model.encoding(sequences), model.config.training)[0]
    counts = kmer_counts(sequences, LONGEST_KMER).astype(np.float64)
    deviation = counts.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, 1)
    return svd_scores((counts - counts.mean(axis=0)) / scale, settings.dim)


def _partner_sequences(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """Mean embedding of the partners that have a sequence, present where there is one.

    Raises:
        ConfigError: no partner of the kind has a sequence.
        InputError: a nucleotide outside ACGUN.
    """
    dataset = networks.dataset
    kind = name.target
    table = dataset.partners[kind]
    cells = _cells(table)
    rows = np.array([row for row, cell in enumerate(cells) if cell], dtype=np.int64)
    if not len(rows):
        raise ConfigError(
            f"token '{name}': no partner of kind {kind!r} has a sequence (column 'sequence' of "
            "its table, or setting tower.partner_fasta)"
        )
    place = f"dataset {dataset.name!r}, partners of kind {kind!r}"
    for row in rows:
        check_nucleotides(str(cells[row]), rna_id=str(table.index[row]), file=place)
    vectors = partner_embedding([str(cells[row]) for row in rows], settings.tower)
    partners = sparse.csr_array(dataset.association_matrix(kind)[:, rows].T)
    mean, n_partners = partner_means(partners, vectors, np.arange(len(rows)))
    return make_token(str(name), mean, n_partners > 0)


partner_sequences = TokenKind(_partner_sequences, Target.PARTNER_SEQUENCES)


def partner_means(
    matrix: sparse.csr_array, values: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of values over the rows that a column is associated with.

    Safe for labels: with `rows` the training rows, no other row of `values` is read, which may be
    NaN.

    Args:
        matrix: associations, 0 where there is none, shape (n_rows, n_columns): RNAs x partners for
            means per partner, its transpose for means per RNA.
        values: labels or an embedding, shape (n_rows, width).
        rows: rows that may be read.

    Returns:
        Means, float64, shape (n_columns, width), 0 for a column without such a row; and the number
        of rows averaged, int64, shape (n_columns,).
    """
    linked = sparse.csr_array(matrix[rows] != 0).astype(np.float64)
    n_rows = linked.sum(axis=0).astype(np.int64)
    return (linked.T @ values[rows]) / np.maximum(n_rows, 1)[:, None], n_rows
