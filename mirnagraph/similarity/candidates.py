"""Nearest sequences among those that share k-mers: fewer alignments, with measured recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.parallel import Progress, report
from mirnagraph.reading.arguments import checked
from mirnagraph.runs.cluster import jobs_on
from mirnagraph.seeds import generator
from mirnagraph.similarity.best import BestLists, Keep, Neighbours, insert_pairs
from mirnagraph.similarity.block_store import BlockStore, open_store, stored_blocks
from mirnagraph.similarity.blocks import NamedRows, row_neighbours, rows_at_once
from mirnagraph.similarity.kmer import KmerConfig, kmer_rows
from mirnagraph.similarity.nearest import (
    Pairs,
    Texts,
    different_texts,
    fingerprint,
    neighbours_of_rows,
    pairs_above,
)
from mirnagraph.similarity.scorer import DEFAULT_SCORES, AlignmentScores, pyopal_rows, pyopal_some

PROPOSE = "k-mer index (sequences)"

ALIGN = "alignments (proposed pairs)"

MEASURE = "recall (sampled sequences)"
"""Steps of `indexed_neighbours` in a progress bar."""

TEXTS_AT_ONCE = 512

N_RECALL = 10
"""Nearest sequences that recall is measured by."""

RELATED = 0.35
"""Similarity above which recall is measured apart: hardly two unrelated hairpins reach it."""


@dataclass(frozen=True)
class KmerIndex:
    """Settings of an index of k-mers that proposes the pairs to align.

    Attributes:
        above: different sequences above which the index is used; 0 for never, so that all pairs are
            aligned.
        k: nucleotides of a k-mer, 4 to 31.
        candidates: sequences proposed for each one, those with the most similar sets of k-mers; a
            pair is aligned where either proposes the other.
        sample: sequences that are also aligned with all others, to measure recall.
    """

    above: int = 0
    k: int = 5
    candidates: int = 400
    sample: int = 200

    def __post_init__(self) -> None:
        require(self.above >= 0, "above", self.above, "0 or more")
        require(4 <= self.k <= 31, "k", self.k, "4 to 31")
        require(self.candidates >= 1, "candidates", self.candidates, "1 or more")
        require(self.sample >= 1, "sample", self.sample, "1 or more")

    def is_used(self, sequences: Sequence[str | None]) -> bool:
        """Whether there are more different sequences than the size at which the index begins."""
        known = {text.upper().replace("T", "U") for text in sequences if isinstance(text, str)}
        return 0 < self.above < len(known)


NO_INDEX: KmerIndex = KmerIndex()


@dataclass(frozen=True)
class Recall:
    """What an index finds, measured on a sample of sequences.

    Attributes:
        n_sampled: different sequences that were aligned with all others.
        share: of their `N_RECALL` nearest, how many are found, or as similar ones in their place.
        share_related: the same of those with a similarity above `RELATED`; 1 without any.
        n_aligned: pairs that were aligned, of all sequences.
        n_pairs: pairs of different sequences.
    """

    n_sampled: int
    share: float
    share_related: float
    n_aligned: int
    n_pairs: int

    def __str__(self) -> str:
        aligned = self.n_aligned / max(self.n_pairs, 1)
        return (
            f"k-mer index: {self.share:.1%} of the {N_RECALL} nearest sequences are found, "
            f"{self.share_related:.1%} of those above {RELATED} "
            f"(sample of {self.n_sampled} aligned with all); "
            f"{aligned:.1%} of {self.n_pairs:,} pairs were aligned"
        )


@checked
def indexed_neighbours(
    sequences: Sequence[str | None],
    keep: Keep,
    index: KmerIndex,
    scores: AlignmentScores = DEFAULT_SCORES,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Neighbours, Recall]:
    """Align the pairs that an index of k-mers proposes, whatever the number of sequences.

    Args:
        sequences: n sequences of ACGTUN; None where unknown.
        keep: which pairs are kept.
        index: settings; `KmerIndex.above` is not read.
        scores: match, mismatch and gap scores.
        workers: processes; the result does not depend on it.
        scheduler: address of a Dask scheduler whose workers do the jobs in place of these.
        store: folder of finished blocks of proposals and of alignments, made where it is not there:
            a killed call resumes after the last one. None keeps them in memory.
        progress: called as ``progress(step, done, total)``.

    Returns:
        The pairs kept, whose similarities are exact, and what share of the nearest they are.

    Raises:
        InputError: as `smith_waterman`, or a store of other sequences or settings.
    """
    work, rows_of = different_texts(sequences, scores, keep)
    sizes = (TEXTS_AT_ONCE, rows_at_once(len(work.texts)))
    key = fingerprint(work, index.k, index.candidates, sizes)
    with jobs_on(scheduler), open_store(store, key) as opened:
        pairs = _proposed(work, index, opened, workers, progress)
        lists, found = _aligned(work, pairs, opened, workers, progress)
    recall = _recall(work, lists, pairs.nnz, index.sample, progress)
    return neighbours_of_rows(work, rows_of, lists, found, len(sequences)), recall


def _aligned(
    work: Texts,
    pairs: sparse.csr_array,
    store: BlockStore | None,
    workers: int,
    progress: Progress | None,
) -> tuple[BestLists, list[Pairs]]:
    """The best texts of each among the proposed pairs, and the pairs above the cut-off."""
    n = len(work.texts)
    keep = work.keep
    lists = BestLists(n, keep.nearest)
    found: list[Pairs] = []
    jobs = [(start, min(start + TEXTS_AT_ONCE, n)) for start in range(0, n, TEXTS_AT_ONCE)]
    done = 0
    report(progress, ALIGN, 0, pairs.nnz)
    aligned = stored_blocks(_align, (work, pairs), jobs, store, "aligned", workers)
    for (start, stop), arrays in aligned:
        similar = arrays["similar"]
        for text in range(start, stop):
            first, last = pairs.indptr[[text, text + 1]] - pairs.indptr[start]
            others = pairs.indices[pairs.indptr[text] : pairs.indptr[text + 1]]
            values = similar[first:last]
            ranks = work.first_rows
            own = (text, 0)
            insert_pairs(values, text, others, own, ranks, lists.scores, lists.places)
            found += pairs_above(values, text, others, keep)
        done += len(similar)
        report(progress, ALIGN, done, pairs.nnz)
    return lists, found


def _proposed(
    work: Texts,
    index: KmerIndex,
    store: BlockStore | None,
    workers: int,
    progress: Progress | None,
) -> sparse.csr_array:
    """Pairs to align, each once: CSR, shape (n_texts, n_texts), columns above rows."""
    rows = NamedRows("kmers", kmer_rows(list(work.texts), KmerConfig(k=index.k)))
    keep = {"kmers": Keep(index.candidates, single=True)}
    found = row_neighbours(
        rows, keep, step=PROPOSE, workers=workers, store=store, progress=progress
    )
    near = found["kmers"].nearest
    pairs = sparse.csr_array(sparse.triu(near.maximum(near.T), k=1))
    pairs.sort_indices()
    return pairs


def _align(
    shared: tuple[Texts, sparse.csr_array], job: tuple[int, int]
) -> tuple[tuple[int, int], dict[str, np.ndarray]]:
    """``similar``: similarities of the pairs whose first text is in a block, in their order."""
    work, pairs = shared
    start, stop = job
    score = pyopal_some(list(work.texts), work.scores)
    similar = [np.zeros(0)]
    for text in range(start, stop):
        others = pairs.indices[pairs.indptr[text] : pairs.indptr[text + 1]]
        if len(others):
            raw = score(work.texts[text], others)
            similar.append(work.similarities(text, others, raw))
    return job, {"similar": np.concatenate(similar)}


def _recall(
    work: Texts, lists: BestLists, n_aligned: int, sample: int, progress: Progress | None
) -> Recall:
    """Align a sample of the texts with all, and compare their nearest ones with those found."""
    n = len(work.texts)
    drawn = np.sort(generator(0, "recall").permutation(n)[:sample]).tolist()
    score = pyopal_rows(list(work.texts), work.scores)
    found = np.zeros(2)
    nearest = np.zeros(2)
    depth = min(N_RECALL, work.keep.nearest)
    report(progress, MEASURE, 0, len(drawn))
    for number, text in enumerate(drawn, 1):
        similar = work.similarities(text, slice(0, n), score(work.texts[text], 0))
        similar[text] = 0.0
        exact = np.sort(similar)[::-1][:depth]
        exact = exact[exact > 0]
        scores = lists.scores[text, : len(exact)]
        scores = scores[scores >= exact.min(initial=1.0)]
        nearest += len(exact), (exact > RELATED).sum()
        found += len(scores), (scores > RELATED).sum()
        report(progress, MEASURE, number, len(drawn))
    shares = np.divide(found, nearest, out=np.ones(2), where=nearest > 0)
    return Recall(len(drawn), float(shares[0]), float(shares[1]), n_aligned, n * (n - 1) // 2)
