"""k-mer similarity of sequences, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.similarity.kmer import KmerConfig, kmer_similarity, kmer_similarity_between

# 4-mers: ACGU CGUA GUAC UACG (ACGU repeats); ACGU CGUA; CGUA GUAA UAAA
SEQUENCES = ["ACGUACGU", "acgta", "CGUAAA"]


def test_cosine_of_sets_of_kmers() -> None:
    # 4, 2 and 3 different 4-mers; shared 2, 1, 1: 2 / sqrt(8), 1 / sqrt(12), 1 / sqrt(6)
    expected = [[1, 0.707107, 0.288675], [0.707107, 1, 0.408248], [0.288675, 0.408248, 1]]
    found = kmer_similarity(SEQUENCES, KmerConfig(k=4))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_jaccard_of_sets_of_kmers() -> None:
    # 2 of 4, 1 of 6, 1 of 4
    expected = [[1, 0.5, 0.166667], [0.5, 1, 0.25], [0.166667, 0.25, 1]]
    found = kmer_similarity(SEQUENCES, KmerConfig(k=4, measure="jaccard"))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_circular_rna_does_not_depend_on_where_it_is_cut() -> None:
    sequence = "ACGUUGCAAGCC"
    rotated = sequence[5:] + sequence[:5]
    config = KmerConfig(k=4)
    # linear: 9 4-mers each; those over the cut of the other are lost, 6 of 9 are shared
    linear = kmer_similarity([sequence, rotated], config)[0, 1]
    np.testing.assert_allclose(linear, 6 / 9, atol=1e-9)
    circular = kmer_similarity([sequence, rotated], config, circular=[True, True])[0, 1]
    np.testing.assert_allclose(circular, 1.0, atol=1e-9)
    # 9 linear 4-mers, all among the 12 of the circle: 9 / sqrt(9 x 12)
    mixed = kmer_similarity([sequence, rotated], config, circular=[False, True])[0, 1]
    np.testing.assert_allclose(mixed, 0.866025, atol=1e-6)


def test_kmers_with_an_n_are_skipped() -> None:
    # ACGUN: ACGU alone; ACGUA: ACGU, CGUA: 1 / sqrt(2)
    found = kmer_similarity(["ACGUN", "ACGUA", "NNNNNN"], KmerConfig(k=4))
    expected = [[1, 0.707107, 0], [0.707107, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_unknown_and_short_sequences_are_similar_to_none() -> None:
    found = kmer_similarity([None, "ACG", float("nan"), "ACGU"], KmerConfig(k=4))  # type: ignore[list-item]
    np.testing.assert_array_equal(found, np.eye(4))
    assert kmer_similarity([]).shape == (0, 0)


def test_between_equals_the_blocks_of_all_pairs() -> None:
    config = KmerConfig(k=4)
    circular = [True, False, True]
    every = kmer_similarity(SEQUENCES, config, circular=circular)
    between = kmer_similarity_between(
        SEQUENCES[:1], SEQUENCES[1:], config, circular=(circular[:1], circular[1:])
    )
    np.testing.assert_allclose(between, every[:1, 1:], atol=1e-12)
    with_itself = kmer_similarity_between(SEQUENCES, [SEQUENCES[0], None], config)
    np.testing.assert_allclose(with_itself[:, 0], [1, 0.707107, 0.288675], atol=1e-6)
    np.testing.assert_array_equal(with_itself[:, 1], 0)


def test_more_rows_than_a_block_and_progress() -> None:
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGU"), 30)) for _ in range(300)]
    steps = []
    found = kmer_similarity(
        sequences, KmerConfig(k=4), progress=lambda done, total: steps.append((done, total))
    )
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    np.testing.assert_allclose(
        found[290:, :5],
        kmer_similarity_between(sequences[290:], sequences[:5], KmerConfig(k=4)),
        atol=1e-12,
    )
    assert steps == [(256, 300), (300, 300)]


def test_bad_input() -> None:
    with pytest.raises(InputError, match="sequence 1 at position 2"):
        kmer_similarity(["ACGU", "AXGU"])
    with pytest.raises(InputError, match="empty sequence"):
        kmer_similarity([""])
    with pytest.raises(ConfigError, match="4 to 31"):
        KmerConfig(k=3)
    with pytest.raises(ConfigError, match="cosine or jaccard"):
        KmerConfig(measure="dice")
