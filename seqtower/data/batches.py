"""Length-bucketed masked batches, device count."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import distributed

from mirnagraph.config import require
from mirnagraph.seeds import generator


@dataclass(frozen=True, eq=False)
class Batch:
    """Encoded RNAs side by side.

    Attributes:
        inputs: float32, shape (n, width, channels); 0 where there is padding.
        mask: bool, shape (n, width); True where there is a position.
        rows: which RNAs: int64, shape (n,).
        types: number of the type of each RNA in a model's vocabulary: int64, shape (n,); None where a tower is not told.
    """

    inputs: torch.Tensor
    mask: torch.Tensor
    rows: np.ndarray
    types: torch.Tensor | None = None

    @property
    def lengths(self) -> torch.Tensor:
        """Positions per RNA: int64, shape (n,)."""
        return self.mask.sum(dim=1)

    def to(self, device: torch.device) -> Self:
        """The same batch with its tensors on another device."""
        held: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in held.items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


def collate(
    encoded: Sequence[np.ndarray],
    rows: Sequence[int] | np.ndarray,
    *,
    at_least: int = 1,
    types: np.ndarray | None = None,
) -> Batch:
    """Pad encoded RNAs, each of shape (positions, channels), on the right to the longest (and `at_least` so many positions).

    Args:
        types: number of each RNA's type, shape (n,); None where there is none.
    """
    lengths = np.array([len(one) for one in encoded])
    inputs = np.zeros(
        (len(encoded), max(at_least, int(lengths.max())), encoded[0].shape[1]), dtype=np.float32
    )
    for row, one in enumerate(encoded):
        inputs[row, : len(one)] = one
    mask = np.arange(inputs.shape[1]) < lengths[:, None]
    return Batch(
        torch.from_numpy(inputs),
        torch.from_numpy(mask),
        np.asarray(rows, dtype=np.int64),
        None if types is None else torch.from_numpy(np.asarray(types, dtype=np.int64)),
    )


def plan(
    lengths: np.ndarray, tokens: int, most: int, rng: np.random.Generator | None = None
) -> list[np.ndarray]:
    """Part RNAs into batches such that no batch, padding included, holds more than `tokens` positions.

    RNAs are sorted by length, so that padding is little. With `rng`, lengths are jittered before sorting and the batches come in
    random order, so that an epoch is never the same twice.

    Args:
        lengths: positions per RNA, shape (n,). An RNA longer than `tokens` makes a batch of its own.
        tokens: token budget of a batch, which bounds the memory of a training step.
        most: most RNAs of a batch.

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
    found = [np.array(batch, dtype=np.int64) for batch in batches]
    return found if rng is None else [found[k] for k in rng.permutation(len(found))]


class Plan:
    """Batches of one epoch after the other: other ones in every epoch where there is a seed, the same for ever where there is none.

    With a seed, processes that train together (see `seqtower.data.batches`) share the batches out: a step takes the next batch of each. Without one,
    each of them reads all.
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
        self._made: tuple[int, list[list[np.ndarray]]] | None = None

    def steps(self) -> list[list[np.ndarray]]:
        """Batches of this epoch, those of one step together; the last step may lack some."""
        if (
            self._made is None or self._made[0] != self.epoch
        ):  # a trainer asks for their number again and again
            self._made = self.epoch, self._make()
        return self._made[1]

    def _make(self) -> list[list[np.ndarray]]:
        rng = None if self.seed is None else generator(self.seed, "batches", self.epoch)
        batches = plan(self.lengths, self.tokens, self.most, rng)
        together = 1 if self.seed is None else place()[1]
        return [batches[start : start + together] for start in range(0, len(batches), together)]

    def shares(self) -> list[float]:
        """Per step, how much this process's batch counts beside the mean of the step's batches: as its RNAs, 0 where it has none of its own."""
        own, together = place()
        return [
            len(step[own]) * together / sum(map(len, step)) if own < len(step) else 0.0
            for step in self.steps()
        ]

    def __iter__(self) -> Iterator[np.ndarray]:
        own = 0 if self.seed is None else place()[0]
        for step in self.steps():
            yield self.rows[
                step[own if own < len(step) else 0]
            ]  # all must take a step, though one counts for nothing

    def __len__(self) -> int:
        return len(self.steps())


def split_long(encoded: Sequence[np.ndarray], limit: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Cut RNAs of more than `limit` positions into windows of that many, which share a tenth with their neighbours.

    Returns:
        The pieces, and the number of the RNA that each is of: int64, shape (n_pieces,). Without long RNAs these are the RNAs themselves.
    """
    pieces = []
    owner = []
    for row, one in enumerate(encoded):
        for start, end in windows(len(one), limit, limit // 10):
            pieces.append(one[start:end])
            owner.append(row)
    return pieces, np.array(owner, dtype=np.int64)


def windows(length: int, width: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Start and end of windows that cover `length` positions, each `width` long at most, neighbours sharing `overlap` or more."""
    require(0 <= overlap < width, "overlap", overlap, "0 to width - 1")
    if length <= width:
        yield 0, length
        return
    n = -(-(length - overlap) // (width - overlap))
    for start in np.linspace(0, length - width, n).round().astype(int).tolist():
        yield start, start + width


def count_devices(setting: int) -> int:
    """Processes that one training takes: as many as are asked for; for 0 one per GPU, or one where there is none.

    An interactive session, which cannot start other processes, takes one for 0.
    """
    if setting:
        return setting
    return 1 if hasattr(sys, "ps1") else max(1, torch.cuda.device_count())


def place() -> tuple[int, int]:
    """Number of this process among those that train together, and how many they are: ``(0, 1)`` where it is alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
