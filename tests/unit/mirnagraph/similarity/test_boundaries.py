"""Bounds of settings, ties, empty and unknown sequences, and progress of similarities."""

from __future__ import annotations

import logging
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.seeds import generator
from mirnagraph.similarity import blocks, candidates, nearest, smith_waterman
from mirnagraph.similarity.best import BestLists, Keep, insert, insert_pairs
from mirnagraph.similarity.block_store import BlockStore
from mirnagraph.similarity.blocks import NamedRows, row_neighbours
from mirnagraph.similarity.candidates import KmerIndex, Recall, indexed_neighbours
from mirnagraph.similarity.kmer import KmerConfig, kmer_rows, kmer_similarity_between
from mirnagraph.similarity.nearest import Texts, nearest_sequences, sequence_neighbours
from mirnagraph.similarity.profile import correlation_similarity, gip_rows
from mirnagraph.similarity.scorer import AlignmentScores
from mirnagraph.similarity.smith_waterman import smith_waterman_network

ONES = AlignmentScores(match=1, mismatch=-1, gap_open=1, gap_extend=1)


def test_a_cut_off_is_below_1() -> None:
    assert Keep(1, above=0.0).cutoff == 0
    with pytest.raises(ConfigError, match="above"):
        Keep(1, above=1.0)


def test_best_texts_do_not_depend_on_the_order_in_which_they_come() -> None:
    scores = np.array([2.0, 2, 2, 1, 3])
    ranks = np.array([7, 4, 5, 0, 9])
    # 3 first, then the three of score 2 by rank: texts 1, 2 and 0
    for order in permutations(range(5)):
        lists = BestLists(1, 3)
        assert lists.places.tolist() == [[-1, -1, -1]]
        for text in order:
            insert(scores[text], text, ranks, lists.scores[0], lists.places[0])
        assert lists.places.tolist() == [[4, 1, 2]]
        assert lists.scores.tolist() == [[3, 2, 2]]


def test_a_similarity_of_0_is_no_neighbour() -> None:
    lists = BestLists(3, 2)
    others = np.array([1, 2])
    ranks = np.arange(3)
    insert_pairs(np.array([0.0, 0.5]), 0, others, (0, 0), ranks, lists.scores, lists.places)
    assert lists.places.tolist() == [[2, -1], [-1, -1], [0, -1]]


def test_blocks_are_read_as_they_were_written(tmp_path: Path) -> None:
    store = BlockStore(tmp_path / "store", "abc")
    assert store.read("0_0") is None
    store.write("0_0", {"scores": np.array([0.5, 0.25])})
    again = BlockStore(tmp_path / "store", "abc").read("0_0")
    assert again is not None
    assert again["scores"].tolist() == [0.5, 0.25]
    with pytest.raises(InputError, match="of other sequences or settings"):
        BlockStore(tmp_path / "store", "abd")


def test_progress_of_rows_ends_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_ROWS", 2)
    steps: list[tuple[str, int, int]] = []
    rows = NamedRows("k", kmer_rows(["ACGU"] * 3, KmerConfig(k=4)))
    found = row_neighbours(rows, {"k": Keep(1)}, progress=lambda *step: steps.append(step))
    assert found["k"].nearest.nnz == 3
    assert steps == [("similarity (rows)", done, 3) for done in (0, 2, 3)]


def test_an_index_begins_above_its_number_of_different_sequences() -> None:
    assert KmerIndex(above=1).is_used(["ACGU", "ACG"])
    assert not KmerIndex(above=2).is_used(["ACGU", "ACG", "acgt", None])
    assert not KmerIndex(above=0).is_used(["ACGU", "ACG"])


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [("k", 4, 3), ("k", 31, 32), ("sample", 1, 0), ("candidates", 1, 0), ("above", 0, -1)],
)
def test_bounds_of_an_index(name: str, inside: int, outside: int) -> None:
    assert getattr(KmerIndex(**{name: inside}), name) == inside
    with pytest.raises(ConfigError, match=name):
        KmerIndex(**{name: outside})


def test_documented_settings() -> None:
    assert KmerIndex() == KmerIndex(above=0, k=5, candidates=400, sample=200)
    assert KmerConfig() == KmerConfig(k=11, measure="cosine")


def test_share_of_one_pair() -> None:
    assert str(Recall(2, 1.0, 1.0, 1, 1)).endswith("100.0% of 1 pairs were aligned")
    assert str(Recall(1, 1.0, 1.0, 0, 0)).endswith("0.0% of 0 pairs were aligned")


def test_blocks_of_proposed_pairs_and_their_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four sequences with AAAA in common: six pairs, three of which start at the first."""
    texts = ["AAAACC", "AAAAGG", "AAAAUUU", "AAAACGCG"]
    index = KmerIndex(k=4, candidates=4, sample=2)
    expected, _ = indexed_neighbours(texts, Keep(3), index)
    monkeypatch.setattr(candidates, "TEXTS_AT_ONCE", 1)
    steps: list[tuple[str, int, int]] = []
    found, _ = indexed_neighbours(texts, Keep(3), index, progress=lambda *step: steps.append(step))
    np.testing.assert_array_equal(found.nearest.toarray(), expected.nearest.toarray())
    assert found.nearest.nnz == 12
    aligned = [(done, total) for step, done, total in steps if step == candidates.ALIGN]
    assert aligned == [(0, 6), (3, 6), (5, 6), (6, 6), (6, 6)]
    measured = [(done, total) for step, done, total in steps if step == candidates.MEASURE]
    assert measured == [(0, 2), (1, 2), (2, 2)]


# 7 of 20 nucleotides match, 35 / 100: exactly the bound of related sequences
AT_BOUND = ["A" * 7 + "C" * 13, "A" * 7 + "G" * 13]
# no 4-mer in common, but 9 matches and 2 mismatches, 37 / 60
MISSED = ["UUUGUUUGUUUG", "UUUCUUUCUUUC"]


@pytest.mark.parametrize(
    ("texts", "sample", "expected"),
    [
        (AT_BOUND, 9, Recall(2, 1.0, 1.0, 1, 1)),
        (AT_BOUND + MISSED, 9, Recall(4, 0.5, 0.0, 1, 6)),
        (MISSED, 1, Recall(1, 0.0, 0.0, 0, 1)),
        # 10 / 30 is missed; UUUU, which nothing is similar to, has no nearest
        (["AAAACC", "CCCCGG", "UUUU"], 9, Recall(3, 0.0, 1.0, 0, 3)),
        # the seed of the sample is 0, which draws CCCCGG; the others have one of two found
        (["AAAACC", "AAAAGG", "CCCCGG"], 1, Recall(1, 0.0, 1.0, 1, 3)),
    ],
)
def test_recall_at_its_bounds(texts: list[str], sample: int, expected: Recall) -> None:
    index = KmerIndex(k=4, candidates=9, sample=sample)
    keep = Keep(2 if len(texts) == 3 else 1)
    assert indexed_neighbours(texts, keep, index)[1] == expected


@pytest.mark.parametrize(("inside", "outside"), [(4, 3), (31, 32)])
def test_bounds_of_k(inside: int, outside: int) -> None:
    assert KmerConfig(k=inside).k == inside
    with pytest.raises(ConfigError, match="k"):
        KmerConfig(k=outside)


def test_long_kmers_differ_by_their_first_nucleotide() -> None:
    tail = "A" * 29 + "U"
    found = kmer_similarity_between(["A" + tail], ["C" + tail, "A" + tail], KmerConfig(k=31))
    assert found.tolist() == [[0, 1]]


def test_one_kmer_each_and_one_list_circular() -> None:
    """GUAC has AC|GU over its junction: ACGU is one of its four 4-mers."""
    config = KmerConfig(k=4)
    found = kmer_similarity_between(["GUAC"], ["ACGU"], config, circular=([True], None))
    assert found.tolist() == [[0.5]]
    assert kmer_similarity_between(["GUAC"], ["ACGU", "GUAC"], config).tolist() == [[0, 1]]


def texts_of(self_scores: list[int]) -> Texts:
    texts = tuple("A" * score or "N" for score in self_scores)
    own = np.array(self_scores)
    return Texts(texts, np.arange(len(own)), own, ONES, Keep(1))


def test_similarity_of_texts_with_the_least_scores() -> None:
    """Self-scores 0 (all N) and 1 (one nucleotide) divide as all others do."""
    work = texts_of([0, 1, 1, 4])
    raw = np.array([0, 1, 0, 1])
    assert work.similarities(1, slice(0, 4), raw).tolist() == [0, 1, 0, 0.5]
    assert work.similarities(0, slice(0, 4), np.zeros(4)).tolist() == [0, 0, 0, 0]


def test_equal_rows_of_one_nucleotide_and_of_n() -> None:
    found = sequence_neighbours(["NN", "A", "NN", "A"], Keep(2, above=0.2), ONES)
    assert found.above is not None
    for matrix in (found.nearest, found.above):
        assert sorted(map(tuple, np.argwhere(matrix.toarray() == 1).tolist())) == [(1, 3), (3, 1)]
        assert matrix.nnz == 2


def long_texts() -> list[str]:
    """Four sequences of 1,000 nucleotides: a pair is a million cells."""
    rng = generator(0, "long texts")
    return ["".join(rng.choice(list("ACGU"), 1000)) for _ in range(4)]


def test_progress_in_million_cells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Blocks of two: 2,000 x 2,000 / 2, then 2,000 x 2,000, then half of it again."""
    monkeypatch.setattr(nearest, "BLOCK", 2)
    steps: list[tuple[str, int, int]] = []
    for _ in range(2):  # the second reads all blocks from the store
        nearest_sequences(
            long_texts(), 1, store=tmp_path / "store", progress=lambda *step: steps.append(step)
        )
    assert steps == [(nearest.STEP, done, 8) for done in (0, 2, 6, 8, 8)]


def test_a_block_has_a_list_for_each_of_its_texts() -> None:
    work = texts_of([1, 2, 3, 4, 5, 6])
    for block in ((2, 4, 2, 4), (2, 4, 4, 6)):
        arrays = nearest._align_block(work, block)[1]
        assert arrays["scores"].shape == arrays["places"].shape == (4, 1)


def test_twenty_neighbours_unless_told_otherwise() -> None:
    texts = ["A" * length for length in range(1, 43)]
    expected = nearest_sequences(texts, 20)
    assert expected.nnz < nearest_sequences(texts, 21).nnz
    for found in (nearest_sequences(texts), smith_waterman_network(texts).matrix):
        np.testing.assert_array_equal(found.toarray(), expected.toarray())


@pytest.mark.parametrize(("share", "level"), [(0.99, logging.INFO), (0.98, logging.WARNING)])
def test_a_low_recall_is_a_warning(
    share: float, level: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = sequence_neighbours(["ACGU", "ACG"], Keep(1))
    recall = Recall(2, share, 1.0, 1, 1)
    monkeypatch.setattr(smith_waterman, "indexed_neighbours", lambda *_, **__: (kept, recall))
    with caplog.at_level(logging.INFO):
        smith_waterman_network(["ACGU", "ACG"], 1, index=KmerIndex(above=1))
    assert [record.levelno for record in caplog.records] == [level]


def test_more_profiles_than_a_block_and_than_columns() -> None:
    profiles = np.ones((300, 2))
    assert gip_rows(profiles).norms.tolist() == [2] * 300


def test_the_least_variation_of_a_profile() -> None:
    """Centred, the first row has the length 1.41e-9, above 1e-9; the second 0.71e-9."""
    rows = np.array([[0, 2e-9], [0, 1e-9], [0, 1]])
    found = correlation_similarity(rows, method="pearson")
    np.testing.assert_allclose(found[2], [1, 0, 1])


def test_an_infinite_number_keeps_its_sign_in_the_message() -> None:
    with pytest.raises(InputError, match="-inf"):
        correlation_similarity(np.array([[0.0, -np.inf], [1, 2]]))
