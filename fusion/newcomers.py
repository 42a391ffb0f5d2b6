"""RNAs that no network holds: joined to those that a model knows by their sequences, without training anything anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusion.known import KnownRNAs
from fusion.learner import EXTRA_TREES, Learner, trees_token
from fusion.modalities import kmer_frequencies
from fusion.neighbours import neighbour_tokens
from fusion.problem import NEIGHBOURS, SEQUENCE, TREES
from fusion.sequence_join import ALIKE, TRANSFER, alike_token, transfer_tokens
from fusion.settings import ExperimentConfig
from fusion.tokens import TokenTable, make_token, single_tokens
from mirnagraph.errors import CheckpointError
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.smith_waterman import smith_waterman_between

KMER = "kmer"
CHANCE, RELATED = 0.25, 0.3
"""Smith-Waterman similarities that hairpins reach by chance, and that hardly any two unrelated ones reach (see `SequenceNetworkConfig`)."""
UNUSUAL = 0.99
SOME = 500


@dataclass(frozen=True, eq=False)
class Newcomers:
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
    return all(_joinable(name) for name in single_tokens((*config.tokens.attention, *config.tokens.trees)))


def _joinable(token: str) -> bool:
    return token in (KMER, ALIKE, TREES, NEIGHBOURS + SEQUENCE) or token.startswith(TRANSFER)


def join_newcomers(ids: Sequence[str], sequences: Sequence[str], known: KnownRNAs, learner: Learner, *, workers: int = 1) -> tuple[Newcomers, Learner]:
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
    similarity = smith_waterman_between(sequences, known.sequences, workers=workers).astype(np.float32)
    tokens = sequence_tokens(index, sequences, similarity, known, learner)
    return Newcomers(tuple(sequences), similarity, tokens), replace(learner, tokens=tokens)


def sequence_tokens(index: NodeIndex, sequences: Sequence[str], similarity: np.ndarray, known: KnownRNAs, learner: Learner) -> TokenTable:
    """Everything that a model for newcomers reads of sequences.

    Args:
        similarity: to every known RNA, shape (n, n_known); a known RNA whose column holds 0 is as if it were not known.
        learner: the model for newcomers.

    Raises:
        CheckpointError: the model reads a token that a sequence alone cannot give.
    """
    train, settings = np.flatnonzero(known.trained), learner.config.tokens
    wanted = single_tokens((*settings.attention, *settings.trees))
    free = []
    for name in wanted:
        if name == KMER:
            free.append(make_token(name, kmer_frequencies(sequences)))
        elif name == ALIKE:
            free.append(alike_token(similarity, np.ones(len(index), dtype=bool), newcomers=True))
        elif not _joinable(name):
            raise CheckpointError(
                "the model for newcomers reads what a sequence alone cannot give", column=name, expected="kmer, alike, neighbours:sequence, …"
            )
    tokens = TokenTable(index, tuple(free))
    if NEIGHBOURS + SEQUENCE in wanted:
        tokens = tokens + neighbour_tokens(index, {SEQUENCE: similarity}, known.labels, train, settings.neighbours, newcomers=True)
    profiles = {kind: profile for kind, profile in learner.profiles.items() if TRANSFER + kind in wanted}
    tokens = tokens + transfer_tokens(index, similarity, profiles, train, settings.neighbours, newcomers=True)
    if TREES in wanted:
        tokens = tokens + trees_token(index, np.clip(learner.trees[EXTRA_TREES](tokens.flat(settings.trees)), 0, 1))
    return tokens


def warnings_of(new: Newcomers, known: KnownRNAs) -> list[str]:
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
            reasons.append(f"{len(sequence)} nt, learned from {lengths.min()} to {lengths.max()} nt")
        if near <= CHANCE:
            reasons.append(f"unlike every RNA learned from (nearest similarity {near:.2f}, by chance {CHANCE})")
        elif near <= RELATED:
            reasons.append(f"no known relative (nearest similarity {near:.2f})")
        if strange:
            reasons.append("made of unusual words")
        found.append("; ".join(reasons))
    return found


def unusual_words(sequences: Sequence[str], learned: np.ndarray) -> np.ndarray:
    """Whether the words of a sequence are further from those of any learned one than the words of 99 % of these are from each other: bool, shape (n,).

    Args:
        learned: of `fusion.modalities.kmer_frequencies`, shape (n_learned, width).
    """
    words, own = kmer_frequencies(sequences)[:, :-1], learned[:, :-1].astype(np.float64)
    return np.asarray(_nearest(words, own) > np.quantile(_nearest(own, own, itself=True), UNUSUAL))


def _nearest(queries: np.ndarray, rows: np.ndarray, *, itself: bool = False) -> np.ndarray:
    """Euclidean distance of each query to the nearest row (other than the row of the same number, with `itself`)."""
    lengths, found = (rows**2).sum(axis=1)[None], []
    for start in range(0, len(queries), SOME):  # all pairs of ten thousand RNAs at once would take gigabytes
        some = queries[start : start + SOME]
        squared = (some**2).sum(axis=1)[:, None] + lengths - 2 * some @ rows.T
        if itself:
            squared[np.arange(len(some)), np.arange(start, start + len(some))] = np.inf
        found.append(np.sqrt(np.maximum(squared.min(axis=1), 0)))
    return np.concatenate(found) if found else np.zeros(0)
