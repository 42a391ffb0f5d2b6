"""Sequences of an RNA's partners, e.g. of the mRNAs that a miRNA targets: a label-free token, and the way back from RNAs to partners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from fusion.config import TowerSettings
from fusion.tokens.table import Token, TokenTable, make_token
from mirnagraph.dataset import Dataset
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.io import check_nucleotides, sha256_of, to_rna
from mirnagraph.networks.network import NetworkSet
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.kmers import kmer_counts

SEQUENCE = "sequence"

LONGEST_WORD = 4

WEIGHTS = "model.safetensors"


def with_partner_sequences(networks: NetworkSet, fasta: str | Path) -> NetworkSet:
    """Networks whose partner tables have the column ``sequence``, filled from a FASTA file where a partner has none yet.

    A record is of the partner that its id names, or else the first word of its description (``>ENST00000229416 GCLC``); of several
    records of one partner the longest counts. Kinds of which no partner is found stay as they are.

    Args:
        fasta: nothing happens where it is empty.

    Raises:
        InputError: see `mirnagraph.sources.fasta.read_fasta`; no record is of any partner.
    """
    if not str(fasta):
        return networks
    records = read_fasta(fasta, iupac="n")
    known: dict[str, str] = {}
    for by in (
        records["description"].str.split().str[0],
        records["id"],
    ):  # ids last, so that they count before descriptions
        longest = (
            records.assign(name=by)
            .dropna(subset="name")
            .sort_values("sequence", key=lambda s: s.str.len(), kind="stable")
        )
        known |= dict(zip(longest["name"], longest["sequence"], strict=True))
    dataset = networks.dataset
    tables = {kind: _filled(table, known) for kind, table in dataset.partners.items()}
    if not any(SEQUENCE in table.columns for table in tables.values()):
        found = f"{records['id'].iloc[0]!r} in the file" if len(records) else "no record"
        raise InputError(
            "no sequence is of a partner of the dataset",
            file=fasta,
            found=found,
            expected="ids (or first words of descriptions) of partners",
        )
    return replace(networks, dataset=replace(dataset, partners=tables))


def partner_inputs(settings: TowerSettings) -> dict[str, str]:
    """sha256 of the files that the settings name, for the record of a run's inputs; empty where they name none.

    Raises:
        InputError: a file that is not there.
    """
    files = {"partner_fasta": Path(settings.partner_fasta)} if settings.partner_fasta else {}
    files |= {"partner_tower": _model_folder(settings) / WEIGHTS} if settings.partners else {}
    for name, path in files.items():
        if not path.is_file():
            raise InputError(f"no such file, which the settings name for {name}", file=path)
    return {name: sha256_of(path) for name, path in files.items()}


def _model_folder(settings: TowerSettings) -> Path:
    """A run folder holds the model's."""
    folder = Path(settings.partners)
    return folder / "model" if (folder / "model").is_dir() else folder


def _filled(table: pd.DataFrame, known: dict[str, str]) -> pd.DataFrame:
    given = _cells(table)
    cells = [cell or known.get(str(name)) for name, cell in zip(table.index, given, strict=True)]
    return (
        table
        if cells == given
        else table.assign(**{SEQUENCE: pd.Series(cells, index=table.index, dtype=object)})
    )


def _cells(table: pd.DataFrame) -> list[str | None]:
    if SEQUENCE not in table.columns:
        return [None] * len(table)
    return [to_rna(cell) if isinstance(cell, str) and cell else None for cell in table[SEQUENCE]]


def kinds_with_sequences(dataset: Dataset) -> list[str]:
    """Kinds of association of whose partners at least one has a sequence, in the dataset's order."""
    return [kind for kind, table in dataset.partners.items() if any(_cells(table))]


def partner_embedding(sequences: Sequence[str], settings: TowerSettings) -> np.ndarray:
    """Embedding of sequences that reads no label of this dataset: float64, shape (n, width).

    Either the leading components of the frequencies of words of 1 to 4 letters (and the log length), each column centred and scaled to
    unit variance over these sequences; or what the final tower of a run makes of them.

    Raises:
        CheckpointError: `TowerSettings.partners` names no fitted tower.
        ConfigError, InputError: that tower reads what is not here, such as a language model.
    """
    if settings.partners:
        # Loads Lightning, which only those who ask for it shall wait for.
        from seqtower.predict import read_sequences
        from seqtower.saved import load_tower

        model = load_tower(_model_folder(settings))
        return read_sequences(model.tower, model.encoding(sequences), model.config.training)[0]
    words = kmer_counts(sequences, LONGEST_WORD).astype(np.float64)
    uncertainty = words.std(axis=0)
    return svd_scores(
        (words - words.mean(axis=0)) / np.where(uncertainty > 1e-9, uncertainty, 1), settings.dim
    )


def partner_tokens(
    networks: NetworkSet, names: Sequence[str], settings: TowerSettings
) -> TokenTable:
    """Tokens ``partner_sequences:KIND``: the mean embedding of those partners of a kind that have a sequence, present where there is one.

    Raises:
        ConfigError: no such kind of association, or no partner of it has a sequence. InputError: a letter outside ACGUN.
    """
    return TokenTable(
        networks.dataset.index, tuple(_token(networks.dataset, name, settings) for name in names)
    )


def _token(dataset: Dataset, name: str, settings: TowerSettings) -> Token:
    kind = name.partition(":")[2]
    if kind not in dataset.associations:
        raise ConfigError(
            f"token {name!r}: no associations of kind {kind!r}; there are {', '.join(dataset.associations)}"
        )
    cells = _cells(dataset.partners[kind])
    known = np.array([row for row, cell in enumerate(cells) if cell], dtype=np.int64)
    if not len(known):
        raise ConfigError(
            f"token {name!r}: no partner of kind {kind!r} has a sequence (column 'sequence' of its table, or setting tower.partner_fasta)"
        )
    for row in known:
        check_nucleotides(
            str(cells[row]),
            rna_id=str(dataset.partners[kind].index[row]),
            file=f"dataset {dataset.name!r}, partners of kind {kind!r}",
        )
    vectors = partner_embedding([str(cells[row]) for row in known], settings)
    mean, n = partner_means(
        sparse.csr_array(dataset.association_matrix(kind)[:, known].T),
        vectors,
        np.arange(len(known)),
    )
    return make_token(name, mean, n > 0)


def partner_means(
    matrix: sparse.csr_array, values: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of values over the rows that a column is associated with: what RNAs say of their partners, for instance.

    Safe for labels: with `rows` the training rows, no other row of `values` is read, which may be NaN.

    Args:
        matrix: associations, 0 where there is none, shape (n_rows, n_columns): of RNAs with partners for a view of partners, its
            transpose for one of RNAs.
        values: shape (n_rows, width): labels, or an embedding.
        rows: rows that may be read.

    Returns:
        Means, float64, shape (n_columns, width), 0 for a column without such a row; and from how many rows, int64, shape (n_columns,).
    """
    linked = sparse.csr_array(matrix[rows] != 0).astype(np.float64)
    n = np.asarray(linked.sum(axis=0)).ravel().astype(np.int64)
    return np.asarray(linked.T @ values[rows]) / np.maximum(n, 1)[:, None], n
