"""Tokens of new RNAs from their similarity to the reference RNAs, and warnings about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusion.config import ExperimentConfig
from fusion.data.rna_sets import rna_set_descriptors
from fusion.models.ensemble import EXTRA_TREES, FusionModel, with_trees_token
from fusion.models.reference import ReferenceRNAs
from fusion.tokens.builders import kmer_frequencies, n_similar_token, type_codes
from fusion.tokens.kinds import is_from_sequence
from fusion.tokens.names import (
    DESCRIPTORS,
    KMER,
    N_SIMILAR,
    NEIGHBOUR_PROFILE,
    NEIGHBOURS,
    SEQUENCE,
    TOWER,
    TREES,
    TYPE,
    single_tokens,
)
from fusion.tokens.neighbours import neighbour_profile_tokens, neighbour_tokens
from fusion.tokens.table import Token, TokenTable, make_token
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.kmer import kmer_similarity_between
from mirnagraph.similarity.smith_waterman import smith_waterman_between

CHANCE = 0.25
"""Smith-Waterman similarity that unrelated hairpins reach by chance (`SequenceNetworkConfig`)."""

RELATED = 0.3
"""Smith-Waterman similarity that hardly any two unrelated hairpins reach."""

KMER_CHANCE = 0.02
"""The same for shared 11-mers of long RNAs (`SequenceNetworkConfig.kmer_cutoff`)."""

KMER_RELATED = 0.05
"""Shared 11-mers: one of 1.1 million pairs of random sequences with the dinucleotides of the
circRNAs of CircLoc exceeds it."""

UNUSUAL = 0.99
"""Quantile of the distances between training RNAs above which k-mers are unusual."""

BLOCK = 500
"""Queries compared at a time: all pairs of ten thousand RNAs at once would take gigabytes."""


@dataclass(frozen=True, eq=False)
class NewRNAs:
    """New RNAs of a cold-start model.

    Attributes:
        sequences: upper-case ACGUN.
        similarity: Smith-Waterman to every reference RNA: float32, shape (n, n_reference).
        tokens: every token that the cold-start model reads.
    """

    sequences: tuple[str, ...]
    similarity: np.ndarray
    tokens: TokenTable


def reads_sequence_alone(config: ExperimentConfig) -> bool:
    """Whether every token of these settings can be made from a sequence and the reference RNAs."""
    return all(is_from_sequence(name) for name in single_tokens(config.token_names))


def tokens_of_new_rnas(
    ids: Sequence[str],
    sequences: Sequence[str],
    reference: ReferenceRNAs,
    fusion_model: FusionModel,
    *,
    workers: int = 1,
) -> tuple[NewRNAs, FusionModel]:
    """Make the tokens of new RNAs; those of one RNA do not depend on the others.

    Args:
        ids: unique.
        sequences: one per id.
        reference: the reference RNAs of the model.
        fusion_model: the cold-start model, as loaded.
        workers: number of threads.

    Returns:
        The new RNAs, and the model on their tokens: ``fusion_model.predict(rows)`` predicts them.

    Raises:
        CheckpointError: the model reads a token that a sequence alone cannot give.
    """
    similarity = similarity_to(reference, sequences, workers=workers)
    index = NodeIndex.of(ids, "miRNA")
    tokens = sequence_tokens(index, sequences, similarity, reference, fusion_model)
    return NewRNAs(tuple(sequences), similarity, tokens), replace(fusion_model, tokens=tokens)


def similarity_to(
    reference: ReferenceRNAs, sequences: Sequence[str], *, workers: int = 1
) -> np.ndarray:
    """Sequence similarity to the reference RNAs (see `similarity_of_sequences`), float32."""
    return similarity_of_sequences(reference, sequences, workers=workers).astype(np.float32)


def similarity_of_sequences(
    reference: ReferenceRNAs, sequences: Sequence[str], *, workers: int = 1
) -> np.ndarray:
    """Sequence similarity by the engine that the model's networks were built with.

    Smith-Waterman, or shared k-mers (long sequences); by k-mers the new RNAs are circular where
    all reference RNAs are.

    Returns:
        float64, shape (n, n_reference).
    """
    if reference.kmers is None:
        return smith_waterman_between(sequences, reference.sequences, workers=workers)
    circular = reference.kmers.circular
    is_new_circular = [all(circular)] * len(sequences)
    return kmer_similarity_between(
        sequences,
        reference.sequences,
        reference.kmers.config,
        circular=(is_new_circular, circular),
    )


def similarity_levels(reference: ReferenceRNAs) -> tuple[float, float]:
    """Similarity that unrelated RNAs reach by chance, and one that hardly any two reach."""
    if reference.kmers is None:
        return CHANCE, RELATED
    return KMER_CHANCE, KMER_RELATED


def sequence_tokens(
    index: NodeIndex,
    sequences: Sequence[str],
    similarity: np.ndarray,
    reference: ReferenceRNAs,
    fusion_model: FusionModel,
) -> TokenTable:
    """Every token that a cold-start model reads, of some sequences.

    Args:
        index: names of the RNAs.
        sequences: upper-case ACGUN.
        similarity: to every reference RNA, shape (n, n_reference); 0 masks a reference RNA.
        reference: the reference RNAs of the model.
        fusion_model: the cold-start model.

    Raises:
        CheckpointError: the model reads a token that a sequence alone cannot give.
    """
    train = np.flatnonzero(reference.trained)
    settings = fusion_model.config.tokens
    names = single_tokens((*settings.attention, *settings.trees))
    label_free = []
    for name in names:
        if name == KMER:
            label_free.append(make_token(name, kmer_frequencies(sequences)))
        elif name == N_SIMILAR:
            present = np.ones(len(index), dtype=bool)
            label_free.append(n_similar_token(similarity, present, is_new=True))
        elif not is_from_sequence(name):
            raise CheckpointError(
                "the cold-start model reads a token that a sequence alone cannot give",
                column=name,
                expected="kmer, n_similar, neighbours:sequence, …",
            )
    tokens = TokenTable(index, tuple(label_free))
    k = settings.neighbours
    if f"{NEIGHBOURS}:{SEQUENCE}" in names:
        tokens = tokens + neighbour_tokens(
            index, {SEQUENCE: similarity}, reference.labels, train, k, is_new=True
        )
    profiles = {
        kind: profile
        for kind, profile in fusion_model.profiles.items()
        if f"{NEIGHBOUR_PROFILE}:{kind}" in names
    }
    tokens = tokens + neighbour_profile_tokens(index, similarity, profiles, train, k, is_new=True)
    if TREES in names:
        forest = fusion_model.trees[EXTRA_TREES]
        tokens = with_trees_token(tokens, forest, fusion_model.config)
    return tokens


def warnings_of(new: NewRNAs, reference: ReferenceRNAs) -> list[str]:
    """Reasons to doubt the prediction of each new RNA; empty where there is none.

    A length outside that of the training RNAs; no training RNA with a similarity above that of
    unrelated RNAs; unusual k-mers (see `unusual_kmers`).
    """
    training = [
        sequence
        for sequence, is_trained in zip(reference.sequences, reference.trained, strict=True)
        if sequence and is_trained
    ]
    nearest = new.similarity[:, reference.trained].max(axis=1, initial=0.0)
    levels = similarity_levels(reference)
    return _warnings(new.sequences, training, kmer_frequencies(training), nearest, levels)


def _warnings(
    sequences: Sequence[str],
    training: Sequence[str | None],
    kmers: np.ndarray,
    nearest: np.ndarray,
    levels: tuple[float, float] = (CHANCE, RELATED),
) -> list[str]:
    """Reasons to doubt each prediction.

    Args:
        sequences: of the new RNAs.
        training: sequences of the training RNAs.
        kmers: their `kmer_frequencies`.
        nearest: similarity to the nearest training RNA, shape (n_sequences,); 1 where it was not
            computed.
        levels: see `similarity_levels`.
    """
    chance, related = levels
    lengths = [len(str(sequence)) for sequence in training]
    unusual = unusual_kmers(sequences, kmers)
    warnings = []
    for sequence, near, is_unusual in zip(sequences, nearest, unusual, strict=True):
        reasons = []
        if not min(lengths) <= len(sequence) <= max(lengths):
            expected = f"training RNAs have {min(lengths)} to {max(lengths)} nt"
            reasons.append(f"{len(sequence)} nt, {expected}")
        if near <= chance:
            reasons.append(
                f"no similar training RNA (nearest similarity {near:.2f}, by chance {chance})"
            )
        elif near <= related:
            reasons.append(f"no related training RNA (nearest similarity {near:.2f})")
        if is_unusual:
            reasons.append("unusual k-mer composition")
        warnings.append("; ".join(reasons))
    return warnings


def unusual_kmers(sequences: Sequence[str], training: np.ndarray) -> np.ndarray:
    """Whether the k-mers of a sequence are further from any training RNA than usual.

    That is further than 99 % of the training RNAs are from their nearest one.

    Args:
        sequences: of the new RNAs.
        training: `fusion.tokens.builders.kmer_frequencies`, shape (n_training, width); the last
            column, the length, is not read.

    Returns:
        bool, shape (n_sequences,).
    """
    queries = kmer_frequencies(sequences)[:, :-1]
    rows = training[:, :-1].astype(np.float64)
    limit = np.quantile(_nearest_distances(rows, rows, itself=True), UNUSUAL)
    return np.asarray(_nearest_distances(queries, rows) > limit)


def _nearest_distances(
    queries: np.ndarray, rows: np.ndarray, *, itself: bool = False
) -> np.ndarray:
    """Euclidean distance of each query to the nearest row, other than itself with `itself`."""
    squares = (rows**2).sum(axis=1)
    distances = [np.zeros(0)]
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        squared = (block**2).sum(axis=1, keepdims=True) + squares - 2 * block @ rows.T
        if itself:
            np.fill_diagonal(squared[:, start:], np.inf)
        distances.append(np.sqrt(np.maximum(squared.min(axis=1), 0)))
    return np.concatenate(distances)


def check_type(reference: ReferenceRNAs, rna_type: str) -> None:
    """Raise ConfigError for a type of which there is no additional RNA."""
    types = sorted(set(reference.types or ()) - {""})
    if rna_type not in types:
        available = ", ".join(types) or "none, the model has no additional RNA sets"
        raise ConfigError(
            f"no training RNA of type {rna_type!r}; available types: {available}. "
            "RNAs of the type of the networks need no --rna-type"
        )


def typed_tokens(
    index: NodeIndex,
    sequences: Sequence[str],
    rna_type: str,
    reference: ReferenceRNAs,
    fusion_model: FusionModel,
) -> TokenTable:
    """Every token that a model of several RNA types reads, of new RNAs of one type.

    Args:
        index: names of the RNAs.
        sequences: upper-case ACGUN.
        rna_type: type of all of them.
        reference: the reference RNAs of the model.
        fusion_model: the final model.
    """
    types = (rna_type,) * len(sequences)
    is_present = np.ones(len(sequences), dtype=bool)
    tokens: list[Token] = []
    for token in reference.tokens:
        if token.name == DESCRIPTORS:
            tokens.append(make_token(DESCRIPTORS, rna_set_descriptors(tuple(sequences), types)))
        elif token.name == TYPE:
            tokens.append(make_token(TYPE, type_codes(types), is_present))
        elif token.name == KMER:
            tokens.append(make_token(KMER, kmer_frequencies(sequences), is_present))
        elif token.name == TOWER and fusion_model.towers is not None:
            tokens.append(fusion_model.towers.token(sequences))
        elif token.name != TREES:
            values = np.zeros((len(sequences), token.width), dtype=np.float32)
            tokens.append(Token(token.name, values, ~is_present))
    table = TokenTable(index, tuple(tokens))
    if TREES not in reference.tokens.sources:
        return table
    table = with_trees_token(table, fusion_model.trees[EXTRA_TREES], fusion_model.config)
    return table.select([token.name for token in reference.tokens])


def typed_warnings(sequences: Sequence[str], rna_type: str, reference: ReferenceRNAs) -> list[str]:
    """Reasons to doubt the prediction of each new RNA of a type: its length, unusual k-mers."""
    is_of_type = np.array([name == rna_type for name in reference.types or ()])
    rows = np.flatnonzero(is_of_type & reference.trained)
    training = [reference.sequences[row] for row in rows]
    if KMER in reference.tokens.sources:
        kmers = reference.tokens[KMER].values[rows]
    else:
        kmers = kmer_frequencies(training)
    not_compared = np.ones(len(sequences))
    return _warnings(sequences, training, kmers, not_compared)
