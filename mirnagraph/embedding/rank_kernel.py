"""Laplace kernels on ranks of numbers, and their principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

SMALLEST = 1e-6
"""Eigenvalues below this share of the largest one give no component."""


@dataclass(frozen=True, eq=False)
class RankBlock:
    """Laplace kernel on the ranks of one block among the training RNAs that have it.

    Attributes:
        values: of the training RNAs, float32, shape (n_train, width); zeros where absent.
        present: whether a training RNA has the block, bool, shape (n_train,).
        scale: distance at which the kernel is exp(-1), in ranks; float64, shape ().
    """

    values: np.ndarray
    present: np.ndarray
    scale: np.ndarray

    @cached_property
    def _sorted(self) -> np.ndarray:
        """Values that vary over the training RNAs with the block, each column sorted."""
        return np.sort(self.values[self.present][:, self._varies], axis=0)

    @cached_property
    def _varies(self) -> np.ndarray:
        rows = self.values[self.present]
        if len(rows) == 0:
            return np.zeros(rows.shape[1], dtype=bool)
        return np.asarray(rows.min(axis=0) < rows.max(axis=0))

    @cached_property
    def _train_ranks(self) -> np.ndarray:
        return self.ranks(self.values[self.present])

    def ranks(self, values: np.ndarray) -> np.ndarray:
        """Share of training RNAs below each value, plus half the share that is equal to it.

        Args:
            values: shape (n, width).

        Returns:
            float32, shape (n, number of columns that vary over the training RNAs).
        """
        reference = self._sorted
        n_reference, width = reference.shape
        ranks = np.zeros((len(values), width), dtype=np.float32)
        for number, column in enumerate(np.flatnonzero(self._varies)):
            queries = values[:, column]
            below = np.searchsorted(reference[:, number], queries, side="left")
            up_to = np.searchsorted(reference[:, number], queries, side="right")
            ranks[:, number] = (below + up_to) / (2 * n_reference)
        return ranks

    def distances(self, values: np.ndarray) -> np.ndarray:
        """Mean absolute difference of ranks to the training RNAs with the block: (n, n_present)."""
        ranks = self.ranks(values)
        if ranks.shape[1] == 0:
            return np.zeros((len(values), int(self.present.sum())))
        return np.asarray(cdist(ranks, self._train_ranks, "cityblock") / ranks.shape[1])

    def kernel(self, values: np.ndarray, present: np.ndarray) -> np.ndarray:
        """exp(-distance / scale) to all training RNAs, 0 where either RNA lacks the block.

        Args:
            values: shape (n, width).
            present: bool, shape (n,).

        Returns:
            float32, shape (n, n_train).
        """
        kernel = np.zeros((len(values), len(self.present)), dtype=np.float32)
        block = np.exp(-self.distances(values[present]) / self.scale)
        kernel[np.ix_(present, self.present)] = block
        return kernel


def fit_rank_block(values: np.ndarray, present: np.ndarray, bandwidth: float) -> RankBlock:
    """Fit the scale of a block: `bandwidth` mean distances between two training RNAs.

    Args:
        values: of the training RNAs, shape (n_train, width).
        present: bool, shape (n_train,).
        bandwidth: in mean distances.
    """
    rows = np.where(present[:, None], values, 0).astype(np.float32)
    block = RankBlock(rows, present, np.ones(()))
    n_present = int(present.sum())
    total = float(block.distances(rows[present]).sum())
    mean_distance = total / max(1, n_present * (n_present - 1))
    scale = bandwidth * mean_distance if mean_distance > 0 else 1.0
    return RankBlock(rows, present, np.asarray(scale))


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of one kernel (Schölkopf et al. 1998, doi:10.1162/089976698300017467).

    Attributes:
        projection: from a centred row of the kernel to components, float32, shape (n_train, dim).
        mean: column means of the kernel among training RNAs, float32, shape (n_train,).
        scale: SD of all components of all training RNAs; divides them. Leading components stay
            larger than later ones.
    """

    projection: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, kernel: np.ndarray, dim: int) -> Components:
        """Fit at most `dim` components of a kernel among training RNAs, shape (n, n)."""
        n = len(kernel)
        mean = kernel.mean(axis=0, dtype=np.float64)
        centred = kernel - mean[None] - mean[:, None] + mean.mean()
        first = max(0, n - dim)
        values, vectors = eigh(centred, subset_by_index=[first, n - 1])
        values, vectors = values[::-1], vectors[:, ::-1]
        is_used = values > SMALLEST * max(values[0], 1e-12)
        values, vectors = values[is_used], vectors[:, is_used]
        # the sign of an eigenvector is arbitrary: its largest entry is made positive
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
        vectors = vectors * np.where(largest < 0, -1.0, 1.0)
        total = float(values.sum()) / max(1, n * len(values))
        scale = np.sqrt(total) if total > 0 else 1.0
        projection = vectors / np.sqrt(values)
        scales = np.array([scale], dtype=np.float32)
        return cls(projection.astype(np.float32), mean.astype(np.float32), scales)

    def __call__(self, kernel: np.ndarray) -> np.ndarray:
        """Components of RNAs from their kernel to the training RNAs, shape (n, n_train).

        Returns:
            float32, shape (n, dim).
        """
        own_mean = kernel.mean(axis=1, keepdims=True)
        centred = kernel - own_mean - self.mean + self.mean.mean()
        return np.asarray(centred @ self.projection / self.scale, dtype=np.float32)


def write_blocks(blocks: Mapping[str, RankBlock], prefix: str) -> dict[str, np.ndarray]:
    """Name all arrays of blocks for safetensors; blocks by their number."""
    arrays = {}
    for number, block in enumerate(blocks.values()):
        arrays[f"{prefix}.{number}.values"] = block.values
        arrays[f"{prefix}.{number}.present"] = block.present.astype(np.uint8)
        arrays[f"{prefix}.{number}.scale"] = block.scale
    return arrays


def read_blocks(
    arrays: Mapping[str, np.ndarray], names: Sequence[str], prefix: str
) -> dict[str, RankBlock]:
    """Restore what `write_blocks` wrote of blocks with these names, in their order.

    Raises:
        KeyError: an array is missing.
    """
    blocks = {}
    for number, name in enumerate(names):
        blocks[name] = RankBlock(
            np.asarray(arrays[f"{prefix}.{number}.values"]),
            np.asarray(arrays[f"{prefix}.{number}.present"]).astype(bool),
            # one number, which a file stores as an array of shape (1,)
            np.asarray(arrays[f"{prefix}.{number}.scale"]).squeeze(),
        )
    return blocks


def block_damage(blocks: Mapping[str, RankBlock], n_train: int) -> str | None:
    """What is expected of blocks read from a file; None where they are sound."""
    for block in blocks.values():
        if block.values.ndim != 2 or block.present.shape != (n_train,):
            return f"{n_train} training RNAs in every block"
        if len(block.values) != n_train:
            return f"{n_train} training RNAs in every block"
        if block.scale.shape != () or not block.scale > 0:
            return "one scale above 0 for each block"
        for array in (block.values, block.scale):
            if array.dtype.kind != "f" or not np.isfinite(array).all():
                return "finite numbers"
    return None
