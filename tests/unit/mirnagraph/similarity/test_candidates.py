"""Nearest sequences by an index of k-mers: exact with all pairs, recall, edges, bad settings."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.hairpins import hairpin_family
from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.seeds import generator
from mirnagraph.similarity import candidates
from mirnagraph.similarity.best import Keep, join_nearest
from mirnagraph.similarity.candidates import KmerIndex, Recall, indexed_neighbours
from mirnagraph.similarity.smith_waterman import smith_waterman, smith_waterman_network


def families(n_families: int = 12, n_members: int = 8) -> list[str]:
    """Hairpins of families: mutated copies of one each."""
    texts = []
    for number in range(n_families):
        rng = generator(0, "family", number)
        texts += [hairpin for hairpin, _ in hairpin_family(n_members, 0.08, rng)]
    return texts


def test_all_proposed_pairs_give_the_exact_network() -> None:
    texts: list[str | None] = [*families(4, 5), "NNNN", None]
    texts += [texts[3], texts[7], "NNNN"]
    index = KmerIndex(k=4, candidates=len(texts), sample=5)
    # pairs without a common k-mer are not proposed: only those are missing
    shared = [
        [
            a is not None
            and b is not None
            and bool({a[i : i + 4] for i in range(len(a) - 3)} & set(_words(b)))
            and "N" not in a
            for b in texts
        ]
        for a in texts
    ]
    dense = smith_waterman(texts)
    expected = np.where(np.array(shared) | np.eye(len(texts), dtype=bool), dense, 0)
    found, recall = indexed_neighbours(texts, Keep(3, above=0.2), index)
    assert (join_nearest(found.nearest, 3) != top_k(expected, 3)).nnz == 0
    assert found.above is not None
    assert (found.above != cut_off(expected, 0.2)).nnz == 0
    assert recall.n_sampled == 5


def _words(text: str) -> list[str]:
    return [text[i : i + 4] for i in range(len(text) - 3)]


def test_relatives_are_found() -> None:
    """With 8 members a family, the 7 nearest are the family; 20 of 96 are proposed."""
    texts = families()
    index = KmerIndex(candidates=20, sample=40)
    found, recall = indexed_neighbours(texts, Keep(7), index)
    exact = top_k(smith_waterman(texts), 7)
    both = join_nearest(found.nearest, 7)
    assert both.multiply(exact > 0).nnz >= 0.99 * exact.nnz
    assert recall.share >= 0.99
    assert recall.n_pairs == 96 * 95 // 2
    assert 96 * 7 / 2 <= recall.n_aligned < 0.4 * recall.n_pairs


def test_recall_by_hand() -> None:
    """AAAACC and AAAAGG share AAAA, 20 / 30; to CCCCGG no 4-mer, but 10 / 30: 2 of 6 are found."""
    texts = ["AAAACC", "AAAAGG", "CCCCGG"]
    found, recall = indexed_neighbours(texts, Keep(2), KmerIndex(k=4, candidates=2))
    assert found.nearest.nnz == 2
    assert recall == Recall(3, 2 / 6, 1.0, 1, 3)
    sentence = (
        "k-mer index: 33.3% of the 10 nearest sequences are found, 100.0% of those above 0.35 "
        "(sample of 3 aligned with all); 33.3% of 3 pairs were aligned"
    )
    assert str(recall) == sentence


def test_an_equally_similar_one_counts_as_found() -> None:
    """Rows 1 and 2 are as similar to row 0; one neighbour is kept."""
    texts = ["AAAACCCC", "AAAAG", "GCCCC"]
    _, recall = indexed_neighbours(texts, Keep(1), KmerIndex(k=4, candidates=1, sample=3))
    assert recall.share == 1


def test_a_missed_nearest_one_does_not_count_twice() -> None:
    """Row 0 has two nearer rows without a common 4-mer; of its four nearest two are found."""
    texts = ["ACGUACCAGU", "ACGAACGAGU", "ACGUUUUUUU", "GGGGACCAGG", "ACGUCCCCCC"]
    dense = smith_waterman(texts)
    found, recall = indexed_neighbours(texts, Keep(4), KmerIndex(k=5, candidates=4, sample=5))
    pairs = [(0, 3)]
    assert np.argwhere(np.triu(found.nearest.toarray())).tolist() == [list(pair) for pair in pairs]
    assert (dense > 0).all()
    # two directions of one pair, of five rows with four others
    assert recall.share == 2 / 20
    n_related = (dense > 0.35).sum() - 5
    assert recall.share_related == 2 / n_related
    assert dense[0, 3] < dense[0].max(where=np.arange(5) > 0, initial=0)


def test_the_network_uses_the_index_above_its_size(caplog: pytest.LogCaptureFixture) -> None:
    texts = families(4, 5)
    exact = smith_waterman_network(texts, 6).matrix
    same = smith_waterman_network(texts, 6, index=KmerIndex(above=20)).matrix
    assert (exact != same).nnz == 0
    few = KmerIndex(above=19, candidates=1)
    assert not caplog.messages
    assert smith_waterman_network(texts, 6, index=few).matrix.nnz < exact.nnz
    assert [text.split(":")[0] for text in caplog.messages] == ["k-mer index"]
    assert KmerIndex(above=19).is_used([*texts, None])
    assert not KmerIndex(above=20).is_used([*texts, texts[0].replace("U", "T").lower()])
    assert not KmerIndex().is_used(texts)


@pytest.mark.slow
def test_two_processes_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "TEXTS_AT_ONCE", 10)
    index = KmerIndex(candidates=10, sample=3)
    one, _ = indexed_neighbours(families(), Keep(5), index)
    two, _ = indexed_neighbours(families(), Keep(5), index, workers=2)
    assert (one.nearest != two.nearest).nnz == 0


def test_bad_settings_and_sequences() -> None:
    for name, value in (("above", -1), ("k", 3), ("k", 32), ("candidates", 0), ("sample", 0)):
        with pytest.raises(ConfigError, match=name):
            KmerIndex(**{name: value})
    with pytest.raises(InputError, match="sequence 1"):
        indexed_neighbours(["ACGU", "AC*U"], Keep(1), KmerIndex())
    found, recall = indexed_neighbours([None, "NN"], Keep(1), KmerIndex())
    assert (found.nearest.nnz, recall.share) == (0, 1.0)
