"""Plans of batches: parts of nearly equal work, dealt to processes, every RNA once an epoch."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.errors import ConfigError
from mirnagraph.seeds import generator
from seqtower.data.batches import plan
from seqtower.nn.losses import loss_weights
from seqtower.training.plans import (
    LARGEST_WAIT,
    LATER,
    OwnSteps,
    Plan,
    count_parts,
    divide,
    place,
    plan_parts,
    wait,
)

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=60)


def in_place(monkeypatch: pytest.MonkeyPatch, own: int, together: int) -> None:
    monkeypatch.setattr("seqtower.training.plans.place", lambda: (own, together))


def divided(
    lengths: np.ndarray, tokens: int, most: int, n: int, seed: int | None = 3, parts: int = 0
) -> Plan:
    plan = Plan(np.arange(len(lengths)), lengths, tokens, most, seed)
    plan.n_processes = n
    plan.n_parts = parts or n
    return plan


def lengths_of(batches: list[list[np.ndarray]], lengths: np.ndarray) -> list[list[list[int]]]:
    return [[lengths[part].tolist() for part in parts] for parts in batches]


def test_a_batch_is_divided_so_that_the_largest_part_is_small() -> None:
    def parts(lengths: list[int], n: int) -> list[list[int]]:
        return [[lengths[at] for at in places] for places in divide(np.array(lengths), n)]

    assert parts([7, 7, 7, 7], 2) == [[7, 7], [7, 7]]
    assert parts([10, 30, 10, 10], 2) == [[30], [10, 10, 10]], "30 padded positions each"
    assert parts([20, 10, 10, 10, 10], 2) == [[20, 10], [10, 10, 10]], "40, not 60"
    assert parts([5, 9], 3) == [[9], [5], []]
    assert parts([7] * 9, 4) == [[7] * 3, [7] * 3, [7] * 2, [7]], "each has one or more"
    assert parts([0, 0], 2) == [[0], [0]]


@given(LENGTHS, st.integers(1, 6))
def test_no_division_by_counts_of_sorted_rnas_is_better(lengths: list[int], n: int) -> None:
    sizes = np.array(lengths)
    parts = divide(sizes, n)
    assert len(parts) == n
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(sizes)))
    most = max(len(part) * sizes[part].max() for part in parts if len(part))
    if len(sizes) > 9 or n > 3:
        assert most <= max(sizes.max(), 1) * -(-len(sizes) // n)
        return
    descending = np.sort(sizes)[::-1]
    best = min(
        max(len(part) * part.max() for part in np.split(descending, cuts) if len(part))
        for cuts in combinations_with_replacement(range(len(sizes) + 1), n - 1)
    )
    assert most == best


def test_parts_of_nearly_equal_work() -> None:
    lengths = np.array([20, 40, 10, 19, 20, 10, 10, 9, 10])
    assert lengths_of(plan_parts(lengths, 80, 100, 2), lengths) == [
        [[40], [20, 20]],  # 40 positions each: the next of 40 or less, not the next of 20
        [[19], [10, 10, 10]],  # 38 of [19, 10] and 30 of [10, 10, 10] are too different; 19 and 30
        [[10], [9]],  # what is left
    ]
    assert wait(lengths, [np.array([3]), np.array([2, 5, 6])]) == pytest.approx(1 - 19 / 30)
    near = np.array([50, 50, 48, 47, 46])
    assert lengths_of(plan_parts(near, 100, 9, 2), near) == [[[50], [50]], [[48], [47]], [[46], []]]
    assert lengths_of(plan_parts(near, 300, 2, 2), near)[0] == [[50], [50]], "two RNAs at most"
    assert lengths_of(plan_parts(near, 300, 1, 2), near)[0] == [[50], []], "fewer RNAs than parts"
    far = np.array([50, 40])
    assert lengths_of(plan_parts(far, 100, 9, 2), far) == [[[50], [40]]], "no way to be more even"


def test_a_long_rna_has_as_many_positions_in_each_part() -> None:
    lengths = np.array([100] + [10] * 19)
    first = lengths_of(plan_parts(lengths, 40, 30, 2), lengths)[0]
    assert first == [[100], [10] * 10], "100 positions each, more than 20"


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 20), st.integers(2, 5), st.booleans())
def test_every_rna_is_in_one_part(
    lengths: list[int], tokens: int, most: int, n_parts: int, shuffled: bool
) -> None:
    sizes = np.array(lengths)
    rng = np.random.default_rng(0) if shuffled else None
    batches = plan_parts(sizes, tokens, most, n_parts, rng)
    rows = [part for parts in batches for part in parts]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(lengths)))
    for parts in batches:
        assert len(parts) == n_parts
        assert 1 <= sum(map(len, parts)) <= most
        longest = max(sizes[part].max(initial=0) for part in parts)
        for part in parts:
            largest = max(tokens // n_parts, longest)
            assert len(part) * sizes[part].max(initial=0) <= LATER * largest


@given(
    st.lists(st.integers(460, 500), min_size=1, max_size=80),
    st.integers(1, 6000),
    st.integers(2, 30),
    st.integers(2, 6),
)
def test_only_the_last_batch_of_rnas_of_like_lengths_is_uneven(
    lengths: list[int], tokens: int, most: int, n_parts: int
) -> None:
    sizes = np.array(lengths)
    waits = [wait(sizes, parts) for parts in plan_parts(sizes, tokens, max(most, n_parts), n_parts)]
    assert max(waits[:-1], default=0) <= LARGEST_WAIT


@settings(max_examples=30)
@given(st.lists(st.integers(1, 100), max_size=8), st.integers(1, 400), st.integers(2, 5))
def test_many_short_rnas_make_any_batch_even(lengths: list[int], tokens: int, n_parts: int) -> None:
    sizes = np.array([*lengths, *[1] * 5000])
    n_needed = 2 * max(tokens, 100 * n_parts)
    n_left = len(sizes)
    for parts in plan_parts(sizes, tokens, 10_000, n_parts):
        if n_left > n_needed:
            assert wait(sizes, parts) <= LARGEST_WAIT
        n_left -= sum(map(len, parts))


@pytest.mark.parametrize("together", [1, 2, 3])
@pytest.mark.parametrize("seed", [3, None])
@pytest.mark.parametrize("n_parts", [0, 6])
def test_processes_divide_the_batches_of_one(
    together: int, seed: int | None, n_parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = np.random.default_rng(0).integers(20, 300, 50)
    in_place(monkeypatch, 0, 1)
    alone = divided(lengths, 1000, 8, 1, seed, n_parts or together)
    batches = [set(rows.tolist()) for rows in alone]
    assert sorted(np.concatenate(list(alone))) == list(range(50))
    read: list[set[int]] = [set() for _ in batches]
    weight = np.zeros(len(batches))
    n_read = 0
    for own in range(together):
        in_place(monkeypatch, own, together)
        plan = divided(lengths, 1000, 8, together, seed, n_parts)
        steps = plan.own_steps()
        assert len(steps) == len(plan) == len(OwnSteps(plan)) == len(batches)
        for number, step in enumerate(steps):
            assert step.n_rnas == len(batches[number])
            assert len(step.parts) == len(step.shares) >= 1
            for rows, share in zip(step.parts, step.shares, strict=True):
                assert len(rows) >= 1
                assert share == pytest.approx(len(rows) / step.n_rnas) or share == 0
                weight[number] += share
                if share:
                    read[number] |= set(rows.tolist())
                    n_read += len(rows)
    assert read == batches
    assert n_read == 50
    np.testing.assert_allclose(weight, 1)


def test_a_process_without_an_rna_takes_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    in_place(monkeypatch, 1, 2)
    plan = divided(np.array([9, 7]), 9, 1, 2, None)
    first, second = plan.own_steps()
    assert [rows.tolist() for rows in first.parts] == [[0]]
    assert first.shares == (0,), "the other process reads the RNA of 9 positions"
    assert second.shares == (1,), "and this one that of 7, as the parts change hands"


def test_a_part_counts_by_its_known_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    in_place(monkeypatch, 0, 2)
    plan = divided(np.array([9, 9, 9, 9]), 100, 4, 2, None)
    nan = np.nan
    labels = np.array([[1, 0], [nan, nan], [nan, 1], [nan, nan]])

    def share() -> tuple[float, ...]:
        (step,) = plan.own_steps()
        assert [rows.tolist() for rows in step.parts] == [[0, 1]]
        assert step.n_rnas == 4
        return step.shares

    plan.weights = loss_weights("multi-label", labels)
    assert plan.weights.tolist() == [2, 0, 1, 0]
    assert share() == (2 / 3,)
    plan.weights = loss_weights("class", labels)
    assert plan.weights.tolist() == [1, 0, 0, 0]
    assert share() == (1,)
    plan.weights = np.zeros(4)
    assert share() == (0.5,), "no label is known: the loss is 0 anyway"
    plan.n_processes = 1
    assert [step.shares for step in plan.own_steps()] == [(0.5, 0.5)], "one process reads both"


def test_the_time_that_a_process_waits() -> None:
    lengths = np.array([20, 40, 10, 19, 20, 10, 10, 9, 10])
    plan = divided(lengths, 80, 100, 2, None)
    assert plan.work().tolist() == [[40, 40], [30, 19], [10, 9]], "turned by one in step 1"
    np.testing.assert_allclose(plan.waits(), [0, 1 - 19 / 30, 0.1])
    assert plan.waiting() == pytest.approx(1 - 68 / 80)
    plan.n_processes = 1
    assert plan.work().tolist() == [[80], [49], [19]]
    assert plan.waiting() == 0
    none = divided(np.zeros(0, dtype=np.int64), 9, 9, 2)
    assert none.waiting() == 1
    assert none.waits().shape == (0,)


@pytest.mark.parametrize("together", [2, 4, 8])
def test_no_process_waits_for_more_than_a_tenth_of_a_step(together: int) -> None:
    rng = generator(0, "lengths")
    uniform = rng.integers(1000, 3001, 4000)
    long_tail = np.exp(rng.normal(np.log(1500), 0.8, 4000)).astype(int).clip(200, 30_000)
    hairpins = np.where(rng.random(4000) < 0.5, rng.integers(60, 111, 4000), long_tail)
    for lengths in (uniform, long_tail, hairpins):
        plan = divided(lengths, 32_768 * together, 64 * together, together)
        assert np.sort(plan.waits())[-2] <= LARGEST_WAIT, "but for the last of the RNAs"
        assert plan.waiting() < 0.05
        before = divided(lengths, 32_768 * together, 64 * together, together, parts=1)
        taken = plan.work().max(axis=1).sum() * together
        assert taken < 1.02 * before.work().sum(), "padding of parts is no price for it"


def test_parts_do_not_depend_on_the_number_of_processes() -> None:
    lengths = np.random.default_rng(1).integers(20, 300, 200)
    plans = [divided(lengths, 3000, 32, n, parts=4) for n in (1, 2, 4)]
    first, *others = [[rows.tolist() for rows in plan] for plan in plans]
    assert others == [first, first]
    for n, expected in ((1, 4), (2, 4), (4, 4), (3, 6)):
        assert count_parts(expected, n) == expected
    assert count_parts(0, 3) == 3
    with pytest.raises(ConfigError, match="'batch_parts' is 4, expected 0 or a multiple of the 3"):
        count_parts(4, 3)
    assert place() == (0, 1)


def test_one_process_has_the_batches_of_before() -> None:
    lengths = np.random.default_rng(1).integers(20, 300, 200)
    alone = Plan(np.arange(200), lengths, 3000, 32, 5)
    expected = plan(lengths, 3000, 32, generator(5, "batches", 0))
    assert [rows.tolist() for rows in alone] == [rows.tolist() for rows in expected]


def test_a_plan_is_other_in_every_epoch_and_the_same_however_often_it_is_asked() -> None:
    of_lengths = Plan(np.arange(40), np.arange(20, 60), 400, 4, seed=3)
    first, again = list(of_lengths), list(of_lengths)
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    of_lengths.epoch = 1
    then = list(of_lengths)
    assert [one.tolist() for one in then] != [one.tolist() for one in first]
    assert sorted(np.concatenate(then)) == list(range(40))
    of_lengths.epoch = 0
    assert [one.tolist() for one in of_lengths] == [one.tolist() for one in first]
