"""Length policies and batches: what is kept, how it is padded, and that a token budget is kept."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirnagraph.errors import ConfigError
from mirnagraph.seeds import child_seed, seed_torch
from seqtower.data.batches import collate, plan, split_long, windows
from seqtower.data.sequences import LengthPolicy

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=60)


def test_policies_keep_the_ends_they_name() -> None:
    whole = "AACCGGUUAC"
    for keep, expected in (
        ("full", whole),
        ("3-prime", "UUAC"),
        ("5-prime", "AACC"),
        ("both-ends", "AAAC"),
    ):
        policy = LengthPolicy(keep, 4)
        assert policy.cut(whole) == expected
        assert "".join(whole[i] for i in policy.positions(len(whole))) == expected
        assert policy.cut("ACG") == "ACG"
    assert LengthPolicy("both-ends", 5).cut(whole) == "AAUAC"


def test_a_measured_length_comes_from_the_training_sequences() -> None:
    lengths = np.array([10, 20, 90])
    assert [
        LengthPolicy("5-prime", measure=m).fitted(lengths).length for m in ("max", "average", "min")
    ] == [90, 40, 10]
    assert LengthPolicy("full", measure="max").fitted(lengths) == LengthPolicy(
        "full", measure="max"
    )
    with pytest.raises(ConfigError, match="'keep' is 'middle'"):
        LengthPolicy("middle")


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 20), st.booleans())
def test_batches_hold_every_row_once_within_the_budget(
    lengths: list[int], tokens: int, most: int, shuffled: bool
) -> None:
    sizes = np.array(lengths)
    batches = plan(sizes, tokens, most, np.random.default_rng(0) if shuffled else None)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) <= most
        assert len(rows) == 1 or sizes[rows].max() * len(rows) <= tokens


def test_padding_is_zero_and_masked() -> None:
    batch = collate([np.ones((2, 4)), np.full((3, 4), 2.0)], [7, 9])
    assert batch.inputs.shape == (2, 3, 4)
    assert batch.inputs[0, 2].tolist() == [0, 0, 0, 0]
    assert batch.mask.tolist() == [[True, True, False], [True, True, True]]
    assert batch.lengths.tolist() == [2, 3]
    assert batch.rows.tolist() == [7, 9]
    assert collate([np.ones((2, 4))], [0], at_least=6).inputs.shape == (1, 6, 4)
    assert batch.inputs.dtype == torch.float32


@given(st.integers(1, 400), st.integers(1, 100), st.integers(0, 99))
def test_windows_cover_everything_with_the_overlap(length: int, width: int, overlap: int) -> None:
    if overlap >= width:
        with pytest.raises(ConfigError):
            list(windows(length, width, overlap))
        return
    found = list(windows(length, width, overlap))
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start <= width for start, end in found)
    assert all(
        right[0] > left[0] and left[1] - right[0] >= overlap for left, right in pairwise(found)
    )


def test_long_rnas_are_cut_and_short_ones_are_not() -> None:
    owner, starts, ends = split_long(np.array([5, 23, 0]), 10)
    assert owner.tolist() == [0, 1, 1, 1, 2]
    assert (ends - starts).tolist() == [5, 10, 10, 10, 0]
    assert starts.tolist() == [0, 0, 6, 13, 0]
    assert [len(values) for values in split_long(np.zeros(0, dtype=np.int64), 10)] == [0, 0, 0]


def test_torch_draws_the_same_for_a_named_step_of_a_seed() -> None:
    cpu = torch.device("cpu")
    drawn = []
    for names in (("step", 1), ("step", 2), ("step", 1)):
        seed_torch(cpu, 5, *names)
        drawn.append(torch.rand(8))
    assert (drawn[0] == drawn[2]).all()
    assert (drawn[0] != drawn[1]).any()
    torch.manual_seed(child_seed(5, "step", 1))
    assert (torch.rand(8) == drawn[0]).all()
