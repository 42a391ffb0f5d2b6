"""Tokens and warnings of new RNAs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusion.config import ExperimentConfig
from fusion.data.rna_sets import rna_set_descriptors
from fusion.models.ensemble import EXTRA_TREES, FusionModel, trees_token
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
from mirnagraph.similarity.smith_waterman import smith_waterman_between

CHANCE = 0.25
RELATED = 0.3
"""Smith-Waterman similarities that hairpins reach by chance, and that hardly any two unrelated ones reach (see `SequenceNetworkConfig`)."""

UNUSUAL = 0.99

SOME = 500


@dataclass(frozen=True, eq=False)
class NewRNAs:
    """New RNAs beside those a model knows.

    Attributes:
        sequences: upper-case ACGUN.
        similarity: Smith-Waterman to every known RNA: float32, shape (n, n_known).
        tokens: everything that the model for newcomers reads.
    """

    sequences: tuple[str, ...]
    similarity: np.ndarray
    tokens: TokenTable


def reads_sequence_alone(config: ExperimentConfig) -> bool:
    """Whether every token of these settings can be made of a sequence and the known RNAs."""
    return all(is_from_sequence(name) for name in single_tokens(config.tokens.names))


def tokens_of_new_rnas(
    ids: Sequence[str],
    sequences: Sequence[str],
    known: ReferenceRNAs,
    fusion_model: FusionModel,
    *,
    workers: int = 1,
) -> tuple[NewRNAs, FusionModel]:
    """Make the tokens of new RNAs; each sees the known RNAs only, so that no answer depends on which others were asked for.

    Args:
        ids: unique. sequences: of the same length.
        learner: the model for newcomers, as loaded.

    Returns:
        The newcomers, and the model on their tokens: ``learner.predict(rows)`` answers for them.

    Raises:
        CheckpointError: the model reads a token that a sequence alone cannot give.
    """
    index = NodeIndex.of(ids, "miRNA")
    similarity = smith_waterman_between(sequences, known.sequences, workers=workers).astype(
        np.float32
    )
    tokens = sequence_tokens(index, sequences, similarity, known, fusion_model)
    return NewRNAs(tuple(sequences), similarity, tokens), replace(fusion_model, tokens=tokens)


def sequence_tokens(
    index: NodeIndex,
    sequences: Sequence[str],
    similarity: np.ndarray,
    known: ReferenceRNAs,
    fusion_model: FusionModel,
) -> TokenTable:
    """Everything that a model for newcomers reads of sequences.

    Args:
        similarity: to every known RNA, shape (n, n_known); a known RNA whose column holds 0 is as if it were not known.
        learner: the model for newcomers.

    Raises:
        CheckpointError: the model reads a token that a sequence alone cannot give.
    """
    train = np.flatnonzero(known.trained)
    settings = fusion_model.config.tokens
    wanted = single_tokens((*settings.attention, *settings.trees))
    free = []
    for name in wanted:
        if name == KMER:
            free.append(make_token(name, kmer_frequencies(sequences)))
        elif name == N_SIMILAR:
            free.append(n_similar_token(similarity, np.ones(len(index), dtype=bool), is_new=True))
        elif not is_from_sequence(name):
            raise CheckpointError(
                "the model for newcomers reads what a sequence alone cannot give",
                column=name,
                expected="kmer, n_similar, neighbours:sequence, …",
            )
    tokens = TokenTable(index, tuple(free))
    if f"{NEIGHBOURS}:{SEQUENCE}" in wanted:
        tokens = tokens + neighbour_tokens(
            index, {SEQUENCE: similarity}, known.labels, train, settings.neighbours, is_new=True
        )
    profiles = {
        kind: profile
        for kind, profile in fusion_model.profiles.items()
        if f"{NEIGHBOUR_PROFILE}:{kind}" in wanted
    }
    tokens = tokens + neighbour_profile_tokens(
        index, similarity, profiles, train, settings.neighbours, is_new=True
    )
    if TREES in wanted:
        tokens = tokens + trees_token(
            index, np.clip(fusion_model.trees[EXTRA_TREES](tokens.flat(settings.trees)), 0, 1)
        )
    return tokens


def warnings_of(new: NewRNAs, known: ReferenceRNAs) -> list[str]:
    """Per new RNA why its answer should be doubted, empty where nothing speaks against it.

    It is longer or shorter than every RNA that was learned from; its nearest known sequence is no nearer than chance, or not related; its words are
    further from those of any known RNA than the words of 99 % of the known ones are from each other.
    """
    learned = [s for s, there in zip(known.sequences, known.trained, strict=True) if s and there]
    lengths = np.array([len(s) for s in learned])
    unusual = unusual_words(new.sequences, kmer_frequencies(learned))
    nearest = new.similarity[:, known.trained].max(axis=1, initial=0.0)
    found = []
    for sequence, near, strange in zip(new.sequences, nearest, unusual, strict=True):
        reasons = []
        if not lengths.min() <= len(sequence) <= lengths.max():
            reasons.append(
                f"{len(sequence)} nt, learned from {lengths.min()} to {lengths.max()} nt"
            )
        if near <= CHANCE:
            reasons.append(
                f"unlike every RNA learned from (nearest similarity {near:.2f}, by chance {CHANCE})"
            )
        elif near <= RELATED:
            reasons.append(f"no known relative (nearest similarity {near:.2f})")
        if strange:
            reasons.append("made of unusual words")
        found.append("; ".join(reasons))
    return found


def unusual_words(sequences: Sequence[str], learned: np.ndarray) -> np.ndarray:
    """Whether the words of a sequence are further from those of any learned one than the words of 99 % of these are from each other: bool, shape (n,).

    Args:
        learned: of `fusion.tokens.builders.kmer_frequencies`, shape (n_learned, width).
    """
    words = kmer_frequencies(sequences)[:, :-1]
    own = learned[:, :-1].astype(np.float64)
    return np.asarray(_nearest(words, own) > np.quantile(_nearest(own, own, itself=True), UNUSUAL))


def _nearest(queries: np.ndarray, rows: np.ndarray, *, itself: bool = False) -> np.ndarray:
    """Euclidean distance of each query to the nearest row (other than the row of the same number, with `itself`)."""
    lengths = (rows**2).sum(axis=1)[None]
    found = []
    for start in range(
        0, len(queries), SOME
    ):  # all pairs of ten thousand RNAs at once would take gigabytes
        some = queries[start : start + SOME]
        squared = (some**2).sum(axis=1)[:, None] + lengths - 2 * some @ rows.T
        if itself:
            squared[np.arange(len(some)), np.arange(start, start + len(some))] = np.inf
        found.append(np.sqrt(np.maximum(squared.min(axis=1), 0)))
    return np.concatenate(found) if found else np.zeros(0)


def check_type(known: ReferenceRNAs, rna_type: str) -> None:
    """Raise ConfigError for a type that no RNA of another set than the networks' had."""
    learned = sorted(set(known.types or ()) - {""})
    if rna_type not in learned:
        of = f"RNAs of type {', '.join(learned)}" if learned else "the networks' RNAs alone"
        hint = "; RNAs such as the networks hold need no --rna-type"
        raise ConfigError(
            f"the model learned of no RNA of type {rna_type!r} beside the networks': it knows {of}{hint}"
        )


def typed_tokens(
    index: NodeIndex,
    sequences: Sequence[str],
    rna_type: str,
    known: ReferenceRNAs,
    fusion_model: FusionModel,
) -> TokenTable:
    """Everything that a model of several sets reads of new RNAs of one type.

    Args:
        sequences: upper-case ACGUN.
        learner: the model, of any tokens.
    """
    types = (rna_type,) * len(sequences)
    made = {TYPE: type_codes(types), KMER: kmer_frequencies(sequences)}
    found: list[Token] = []
    for token in known.tokens:
        if token.name == DESCRIPTORS:
            found.append(make_token(token.name, rna_set_descriptors(tuple(sequences), types)))
        elif token.name in made:
            found.append(
                make_token(token.name, made[token.name], np.ones(len(sequences), dtype=bool))
            )
        elif token.name == TOWER and fusion_model.towers is not None:
            found.append(fusion_model.towers.token(sequences))
        elif token.name != TREES:
            found.append(
                Token(
                    token.name,
                    np.zeros((len(sequences), token.width), dtype=np.float32),
                    np.zeros(len(sequences), dtype=bool),
                )
            )
    tokens = TokenTable(index, tuple(found))
    if TREES not in known.tokens.sources:
        return tokens
    said = np.clip(
        fusion_model.trees[EXTRA_TREES](tokens.flat(fusion_model.config.tokens.trees)), 0, 1
    )
    return TokenTable(index, (*tokens.tokens, *trees_token(index, said).tokens)).select(
        [token.name for token in known.tokens]
    )


def typed_warnings(sequences: Sequence[str], rna_type: str, known: ReferenceRNAs) -> list[str]:
    """Per new RNA why its answer should be doubted: longer or shorter than all of its type that were learned from, or made of unusual words."""
    rows = [
        row for row, name in enumerate(known.types or ()) if name == rna_type and known.trained[row]
    ]
    lengths = [len(str(known.sequences[row])) for row in rows]
    kept = (
        known.tokens[KMER].values[rows]
        if KMER in known.tokens.sources
        else kmer_frequencies([known.sequences[row] for row in rows])
    )
    found = []
    for sequence, unusual in zip(sequences, unusual_words(sequences, kept), strict=True):
        reasons = (
            []
            if min(lengths) <= len(sequence) <= max(lengths)
            else [f"{len(sequence)} nt, learned from {min(lengths)} to {max(lengths)} nt"]
        )
        found.append("; ".join([*reasons, *(["made of unusual words"] if unusual else [])]))
    return found
