"""Length-bucketed, masked batches, and how the processes of a training divide them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import distributed

from mirnagraph.config import require
from mirnagraph.seeds import generator


@dataclass(frozen=True, eq=False)
class Batch:
    """Encoded RNAs padded to one width.

    Attributes:
        inputs: float32, shape (n, width, channels); 0 at padding.
        mask: bool, shape (n, width); False at padding.
        rows: row number of each RNA: int64, shape (n,).
        types: position of each RNA's type in a model's vocabulary: int64, shape (n,); None for a
            tower that is not conditioned on the type.
        numbers: of the whole RNAs, float32, shape (n, width); None for a tower without.
    """

    inputs: torch.Tensor
    mask: torch.Tensor
    rows: np.ndarray
    types: torch.Tensor | None = None
    numbers: torch.Tensor | None = None

    @property
    def lengths(self) -> torch.Tensor:
        """Positions per RNA: int64, shape (n,)."""
        return self.mask.sum(dim=1)

    def to(self, device: torch.device) -> Self:
        """Return the batch with its tensors on another device."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


def collate(
    encoded: Sequence[np.ndarray],
    rows: Sequence[int] | np.ndarray,
    *,
    at_least: int = 1,
    types: np.ndarray | None = None,
    numbers: np.ndarray | None = None,
) -> Batch:
    """Pad encoded RNAs on the right to the length of the longest.

    Args:
        encoded: each of shape (positions, channels).
        rows: row number of each RNA.
        at_least: smallest width of the batch.
        types: position of each RNA's type in the vocabulary, shape (n,); None for none.
        numbers: of the whole RNAs, shape (n, width); None for none.
    """
    lengths = np.array([len(positions) for positions in encoded])
    width = max(at_least, int(lengths.max()))
    inputs = np.zeros((len(encoded), width, encoded[0].shape[1]), dtype=np.float32)
    for number, positions in enumerate(encoded):
        inputs[number, : len(positions)] = positions
    mask = np.arange(width) < lengths[:, None]
    return Batch(
        torch.from_numpy(inputs),
        torch.from_numpy(mask),
        np.asarray(rows, dtype=np.int64),
        None if types is None else torch.as_tensor(types, dtype=torch.int64),
        None if numbers is None else torch.as_tensor(numbers, dtype=torch.float32),
    )


def plan(
    lengths: np.ndarray, tokens: int, most: int, rng: np.random.Generator | None = None
) -> list[np.ndarray]:
    """Split RNAs into batches of at most `tokens` positions, padding included.

    RNAs are sorted by length to keep padding small. With `rng`, lengths are jittered before sorting
    and the batches are shuffled, so that every epoch differs.

    Args:
        lengths: positions per RNA, shape (n,). An RNA longer than `tokens` is a batch by itself.
        tokens: positions of a batch, which bound the memory of a training step.
        most: largest number of RNAs of a batch.
        rng: shuffles; None for a fixed order.

    Returns:
        Row numbers of each batch; every row is in one batch.
    """
    require(tokens >= 1 and most >= 1, "tokens, most", (tokens, most), "1 or more")
    jitter = 1.0 if rng is None else rng.uniform(0.9, 1.1, len(lengths))
    order = np.argsort(np.asarray(lengths) * jitter, kind="stable")
    batches: list[list[int]] = []
    longest = 0
    for row in order.tolist():
        longest_now = max(longest, int(lengths[row]))
        if batches and len(batches[-1]) < most and longest_now * (len(batches[-1]) + 1) <= tokens:
            batches[-1].append(row)
            longest = longest_now
        else:
            batches.append([row])
            longest = int(lengths[row])
    arrays = [np.array(batch, dtype=np.int64) for batch in batches]
    if rng is None:
        return arrays
    return [arrays[number] for number in rng.permutation(len(arrays))]


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


class Plan:
    """Batches of each epoch: new ones in every epoch with a seed, always the same without one.

    Attributes:
        is_divided: the processes of a training divide each batch (see `divide`): every process
            takes as many steps as one alone would, on a part of the same RNAs.
        weights: how much each RNA counts in the loss of a batch, shape (n_rows,).
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
        self.is_divided = False
        self.weights = np.ones(len(rows))
        self._batches: list[np.ndarray] = []
        self._batches_epoch = -1

    def batches(self) -> list[np.ndarray]:
        """Return the batches of this epoch, which all processes share: places in `rows`."""
        if self._batches_epoch != self.epoch:  # a trainer asks for those of an epoch repeatedly
            rng = None if self.seed is None else generator(self.seed, "batches", self.epoch)
            self._batches = plan(self.lengths, self.tokens, self.most, rng)
            self._batches_epoch = self.epoch
        return self._batches

    def own_parts(self) -> list[np.ndarray]:
        """Return the part of each batch that this process reads; empty where it has none.

        The process with the largest part changes from step to step.
        """
        process, n_processes = place()
        if not self.is_divided or n_processes == 1:
            return self.batches()
        parts = []
        for step, batch in enumerate(self.batches()):
            of_processes = divide(self.lengths[batch], n_processes)
            parts.append(batch[of_processes[(process + step) % n_processes]])
        return parts

    def shares(self) -> list[tuple[float, int]]:
        """Return the weight of this process in each step, and the number of RNAs of the batch.

        The weights of all processes sum to 1; 0 where a process has no RNA.
        """
        shares = []
        for part, batch in zip(self.own_parts(), self.batches(), strict=True):
            total = self.weights[batch].sum()
            of_part = self.weights[part].sum()
            if not total:
                total = len(batch)
                of_part = len(part)
            shares.append((float(of_part / total), len(batch)))
        return shares

    def waiting(self, n_processes: int) -> float:
        """Share of an epoch that the process with least to read waits for others.

        By the padded positions of the batches of this epoch; time per batch and per process is left
        out.

        Args:
            n_processes: that divide each batch.
        """
        n_positions = np.zeros((len(self), n_processes))
        for step, batch in enumerate(self.batches()):
            lengths = self.lengths[batch]
            for number, part in enumerate(divide(lengths, n_processes)):
                process = (number - step) % n_processes
                n_positions[step, process] = len(part) * lengths[part].max(initial=0)
        return float(1 - n_positions.sum(axis=0).min() / max(n_positions.max(axis=1).sum(), 1))

    def __iter__(self) -> Iterator[np.ndarray]:
        for part, batch in zip(self.own_parts(), self.batches(), strict=True):
            if not len(part):  # every process has to take the step; its weight is 0
                part = batch[[self.lengths[batch].argmin()]]
            yield self.rows[part]

    def __len__(self) -> int:
        return len(self.batches())


def split_long(sizes: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut RNAs of more than `limit` positions into windows that overlap by a tenth.

    Args:
        sizes: positions per RNA, shape (n,).
        limit: positions of a window.

    Returns:
        Of each piece the number of its RNA, its first position and the position behind its last:
        int64, shape (n_pieces,) each. RNAs that are not longer than `limit` are one piece.
    """
    pieces = []
    for row, size in enumerate(sizes.tolist()):
        pieces += [(row, start, end) for start, end in windows(size, limit, limit // 10)]
    owner, starts, ends = np.array(pieces, dtype=np.int64).reshape(-1, 3).T
    return owner, starts, ends


def windows(length: int, width: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of windows that cover a sequence.

    Args:
        length: positions to cover.
        width: largest length of a window.
        overlap: positions that neighbouring windows share at least.
    """
    require(0 <= overlap < width, "overlap", overlap, "0 to width - 1")
    if length <= width:
        yield 0, length
        return
    n = -(-(length - overlap) // (width - overlap))
    for start in np.linspace(0, length - width, n).round().astype(int).tolist():
        yield start, start + width


def centre_cuts(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Part of each window whose values are used; neighbours meet in the middle of their overlap.

    Args:
        places: start and end of the windows, ascending, each touching the next.

    Returns:
        Start and end per window; every position is in one of them.
    """
    inner = [(after[0] + before[1]) // 2 for before, after in pairwise(places)]
    bounds = [places[0][0], *inner, places[-1][1]]
    return list(pairwise(bounds))


def count_devices(setting: int) -> int:
    """Return the number of processes of a training.

    Args:
        setting: the number; 0 for one per GPU, or one without a GPU or in an interactive session,
            which cannot start processes.
    """
    if setting:
        return setting
    is_interactive = hasattr(sys, "ps1")
    return 1 if is_interactive else max(1, torch.cuda.device_count())


def place() -> tuple[int, int]:
    """Return the number of this process in a distributed training and the number of processes.

    ``(0, 1)`` for a single process.
    """
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
