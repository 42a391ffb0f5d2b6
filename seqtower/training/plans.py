"""Batches of each epoch, in parts of nearly equal work for the processes of a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import distributed
from torch.utils.data import Sampler

from mirnagraph.config import require
from mirnagraph.seeds import generator
from seqtower.data.batches import plan

LARGEST_WAIT = 0.1
"""Share of a step that a process may wait for another."""

JITTER = 0.1
"""Share by which lengths differ from themselves when RNAs are sorted for an epoch."""

LATER = (1 + JITTER) / (1 - JITTER)
"""How many times as long as an RNA a later one in that order may be."""

WINDOW = 1024
"""RNAs among which parts of equal work are looked for first."""


def plan_parts(
    lengths: np.ndarray,
    tokens: int,
    most: int,
    n_parts: int,
    rng: np.random.Generator | None = None,
) -> list[list[np.ndarray]]:
    """Split RNAs into batches whose parts take nearly the same time.

    The work of a part is its number of RNAs times its longest one. From the longest RNAs to the
    shortest, a batch gets a part for the first RNAs and others that have at least nine tenths of
    its work and no more: the next RNAs, or shorter ones where the next are too different. Where too
    few RNAs are left for that, a batch is divided as evenly as whole RNAs allow (see `divide`).

    Args:
        lengths: positions per RNA, shape (n,).
        tokens: positions of a batch, padding of each part included. A batch with an RNA of more
            than ``tokens / n_parts`` positions has as many in each part.
        most: largest number of RNAs of a batch.
        n_parts: parts of each batch.
        rng: jitters lengths before sorting and shuffles; None for a fixed order.

    Returns:
        Row numbers of each part of each batch; every row is in one part. Some parts are empty where
        fewer RNAs than parts are left, or `most` is smaller than `n_parts`.
    """
    require(tokens >= 1 and most >= 1, "tokens, most", (tokens, most), "1 or more")
    jitter = 1.0 if rng is None else rng.uniform(1 - JITTER, 1 + JITTER, len(lengths))
    order = np.argsort(-np.asarray(lengths) * jitter, kind="stable")
    sizes = np.maximum(lengths, 1)
    batches = []
    while len(order):
        parts = _equal_parts(sizes[order[: WINDOW + 2 * most]], tokens, most, n_parts)
        if not parts:
            parts = _equal_parts(sizes[order], tokens, most, n_parts)
        if not parts:
            parts = [_first(sizes[order].tolist(), tokens, most, n_parts)]
        places = np.concatenate(parts)
        batch = order[places]
        divided = [batch[part] for part in divide(sizes[batch], n_parts)]
        if len(parts) == n_parts and wait(sizes, divided) > LARGEST_WAIT:
            divided = [order[part] for part in parts]
        batches.append(divided)
        order = np.delete(order, places)
    if rng is None:
        return batches
    return [batches[number] for number in rng.permutation(len(batches))]


def wait(lengths: np.ndarray, parts: Sequence[np.ndarray]) -> float:
    """Share of the work of the largest part that the smallest one lacks.

    Args:
        lengths: positions per RNA, shape (n,).
        parts: row numbers of the RNAs of each part.

    >>> wait(np.array([30, 10, 10]), [np.array([0]), np.array([1, 2])])  # 30 and 20 positions
    0.33333333333333337
    """
    work = [len(part) * lengths[part].max(initial=0) for part in parts]
    return float(1 - min(work) / max(*work, 1))


def _equal_parts(lengths: np.ndarray, tokens: int, most: int, n_parts: int) -> list[list[int]]:
    """Choose the parts of a batch, the first RNA in the first; empty where that is impossible."""
    if most < n_parts:
        return []
    each = lengths.tolist()
    is_used = [False] * len(each)
    most_of_part = most // n_parts
    largest = max(tokens // n_parts, each[0])
    parts: list[list[int]] = []
    for start, length in enumerate(each):
        if most_of_part * length * LATER < (1 - LARGEST_WAIT) * largest and parts:
            break  # the RNAs that follow are too short
        if is_used[start] or length > largest:
            continue
        part = _fill(each, is_used, start, largest, most_of_part)
        work = len(part) * max(each[place] for place in part)
        if not parts:
            largest = work
        if work >= (1 - LARGEST_WAIT) * largest:
            parts.append(part)
            for place in part:
                is_used[place] = True
        if len(parts) == n_parts:
            return parts
    return []


def _first(lengths: list[int], tokens: int, most: int, n_parts: int) -> list[int]:
    """Choose a batch from the first RNA on, without regard to its parts."""
    of_part = max(tokens // n_parts, lengths[0])
    n_largest = min(most, n_parts * (of_part // lengths[0]))
    return _fill(lengths, [False] * len(lengths), 0, n_parts * of_part, n_largest)


def _fill(lengths: list[int], is_used: list[bool], start: int, tokens: int, most: int) -> list[int]:
    """Add RNAs to the one at `start` while all, padded to the longest, have at most `tokens`."""
    part = [start]
    longest = lengths[start]
    for place in range(start + 1, len(lengths)):
        n = len(part) + 1
        if n > most or n * longest > tokens:
            break
        longest_now = max(longest, lengths[place])
        if not is_used[place] and n * longest_now <= tokens:
            part.append(place)
            longest = longest_now
    return part


def divide(lengths: np.ndarray, n: int) -> list[np.ndarray]:
    """Divide the RNAs of a batch among processes, which then wait for the one with most to read.

    A process reads the positions of its RNAs padded to its longest one; the most that any of them
    reads is as small as possible with whole RNAs.

    Args:
        lengths: positions per RNA, shape (n_rnas,).
        n: number of processes.

    Returns:
        Places of the RNAs of each process, from the longest RNAs to the shortest; with fewer RNAs
        than processes the last have none.

    >>> [places.tolist() for places in divide(np.array([10, 30, 10, 10]), 2)]
    [[1], [0, 2, 3]]
    """
    order = np.argsort(-lengths, kind="stable")
    descending = np.maximum(lengths[order], 1).tolist()
    low = max(descending[0], -(-sum(descending) // n))
    high = descending[0] * -(-len(order) // n)
    while low < high:
        middle = (low + high) // 2
        if sum(_sizes_within(descending, n, middle)) == len(order):
            high = middle
        else:
            low = middle + 1
    ends = np.cumsum(_sizes_within(descending, n, low))
    return np.split(order, ends[:-1])


def _sizes_within(descending: list[int], n: int, most: int) -> list[int]:
    """Numbers of RNAs of each process that reads at most some positions, one or more if possible.

    Args:
        descending: positions per RNA, the largest first.
        n: number of processes.
        most: padded positions of a process.

    Returns:
        Sums to the number of RNAs where `most` is enough for all.
    """
    sizes = []
    at = 0
    for n_others in range(n - 1, -1, -1):
        n_left = len(descending) - at
        size = 0
        if n_left:
            size = min(most // descending[at], max(n_left - n_others, 1))
        sizes.append(size)
        at += size
    return sizes


@dataclass(frozen=True, eq=False)
class OwnStep:
    """What one process reads in a step.

    Attributes:
        parts: numbers of the RNAs that are read at once, one array for each part of the batch.
        shares: of each part in the loss of the batch; those of all processes sum to 1.
        n_rnas: number of RNAs of the batch.
    """

    parts: tuple[np.ndarray, ...]
    shares: tuple[float, ...]
    n_rnas: int


class Plan:
    """Batches of each epoch: new ones in every epoch with a seed, always the same without one.

    Attributes:
        n_processes: that divide each batch; every process takes every step.
        n_parts: of each batch (see `plan_parts`), dealt to the processes in turn. Batches depend on
            this number, not on that of the processes.
        weights: how much each RNA counts in the loss of a batch, shape (n_rnas,).
    """

    def __init__(
        self, rows: np.ndarray, lengths: np.ndarray, tokens: int, most: int, seed: int | None
    ) -> None:
        self.rows = rows
        self.lengths = lengths[rows]
        self.tokens = tokens
        self.most = most
        self.seed = seed
        self.epoch = 0
        self.n_processes = 1
        self.n_parts = 1
        self.weights = np.ones(len(rows))
        self._batches: list[list[np.ndarray]] = []
        self._made_for: tuple[int, int] | None = None

    def batches(self) -> list[list[np.ndarray]]:
        """Return the parts of the batches of this epoch, the same in all processes.

        Numbers of RNAs as places in `rows`.
        """
        made_for = (self.epoch, self.n_parts)
        if self._made_for != made_for:  # a trainer asks for those of an epoch repeatedly
            rng = None if self.seed is None else generator(self.seed, "batches", self.epoch)
            if self.n_parts == 1:
                whole = plan(self.lengths, self.tokens, self.most, rng)
                self._batches = [[batch] for batch in whole]
            else:
                self._batches = plan_parts(self.lengths, self.tokens, self.most, self.n_parts, rng)
            self._made_for = made_for
        return self._batches

    def own_steps(self) -> list[OwnStep]:
        """Return what this process reads; the process with the largest part changes with the step.

        A process without an RNA reads the shortest of the batch, with a share of 0.
        """
        number = place()[0] if self.n_processes > 1 else 0
        steps = []
        for step, parts in enumerate(self.batches()):
            batch = np.concatenate(parts)
            dealt = parts[(number + step) % self.n_processes :: self.n_processes]
            own = [part for part in dealt if len(part)]
            weights = self.weights if self.weights[batch].any() else np.ones(len(self.rows))
            total = weights[batch].sum()
            shares = tuple(float(weights[part].sum() / total) for part in own)
            if not own:
                own = [batch[[self.lengths[batch].argmin()]]]
                shares = (0.0,)
            steps.append(OwnStep(tuple(self.rows[part] for part in own), shares, len(batch)))
        return steps

    def work(self) -> np.ndarray:
        """Padded positions that each process reads: int64, shape (n_steps, n_processes)."""
        n_positions = np.zeros((len(self), self.n_processes), dtype=np.int64)
        for step, parts in enumerate(self.batches()):
            for number, part in enumerate(parts):
                process = (number - step) % self.n_processes
                n_positions[step, process] += len(part) * self.lengths[part].max(initial=0)
        return n_positions

    def waits(self) -> np.ndarray:
        """Share of each step that the process with least to read waits for others.

        By padded positions; time per batch and per process is left out. Shape (n_steps,).
        """
        work = self.work()
        return 1 - work.min(axis=1) / np.maximum(work.max(axis=1), 1)

    def waiting(self) -> float:
        """Share of an epoch that the process with least to read waits for others, as `waits`."""
        work = self.work()
        return float(1 - work.sum(axis=0).min() / max(work.max(axis=1).sum(), 1))

    def __iter__(self) -> Iterator[np.ndarray]:
        for parts in self.batches():
            yield self.rows[np.concatenate(parts)]

    def __len__(self) -> int:
        return len(self.batches())


class OwnSteps(Sampler[Sequence[np.ndarray]]):
    """The parts that this process reads in each step of a plan's epoch."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __iter__(self) -> Iterator[Sequence[np.ndarray]]:
        for step in self.plan.own_steps():
            yield step.parts

    def __len__(self) -> int:
        return len(self.plan)


def count_parts(setting: int, n_processes: int) -> int:
    """Return the number of parts of a batch.

    Args:
        setting: the number; 0 for one per process.
        n_processes: of the training.

    Raises:
        ConfigError: the processes cannot share the parts equally.
    """
    expected = f"0 or a multiple of the {n_processes} processes of the training"
    require(setting % n_processes == 0, "batch_parts", setting, expected)
    return setting or n_processes


def place() -> tuple[int, int]:
    """Return the number of this process in a distributed training and the number of processes.

    ``(0, 1)`` for a single process.
    """
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
