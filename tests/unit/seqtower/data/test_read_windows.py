"""RNAs that are too long to be read at once, with and without patches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqtower.config import seq_config
from seqtower.encoders.tis import TisConfig
from seqtower.predict import longest_at_once, read_in_windows


@pytest.mark.parametrize(
    ("settings", "tokens", "longest"),
    [(None, 500, 500), (TisConfig(), 100, 6400), (TisConfig(window=3000), 100, 3000)],
)
def test_longest_rna_by_hand(settings: object, tokens: int, longest: int) -> None:
    assert longest_at_once(settings, tokens) == longest


def test_patches_count_as_their_nucleotides() -> None:
    config = seq_config("long")
    sequences = ["A" * 29_999, "A" * 30_001]
    assert read_in_windows(sequences, config) == 1
    few = replace(config, training=replace(config.training, batch_tokens=400))
    assert read_in_windows(sequences, few) == 2
