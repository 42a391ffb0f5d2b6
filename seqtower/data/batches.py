"""Length-bucketed, masked batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch

from mirnagraph.config import require


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
