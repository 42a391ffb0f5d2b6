"""Kernel logistic regression on tokens: Laplace kernels on ranks, summed and multiplied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import expit

from fusion.model_config import KernelSettings
from fusion.models.kernel_logistic import fit_kernel_logistic
from fusion.tokens.names import JOIN
from fusion.tokens.table import TokenTable
from mirnagraph.errors import CheckpointError, ConfigError

MAX_ROWS = 5000
"""Most training RNAs: time grows with their cube, memory with their square."""

PREFIX = "kernel"


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
class KernelModel:
    """Fitted kernel logistic regression with what new RNAs are compared with.

    Attributes:
        settings: blocks and products.
        blocks: name -> its kernel, over the training RNAs.
        dual: weight of every training RNA, float32, shape (n_train, n_labels).
        intercept: float32, shape (n_labels,).
    """

    settings: KernelSettings
    blocks: Mapping[str, RankBlock]
    dual: np.ndarray
    intercept: np.ndarray

    def logits(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Logits: float64, shape (len(rows), n_labels).

        Args:
            tokens: of any RNAs, with at least the tokens of the settings.
            rows: of the RNAs to predict.

        Raises:
            ConfigError: a token is missing.
            CheckpointError: a block has another width than in training.
        """
        kernel = self.kernel(tokens, rows).astype(np.float64)
        return np.asarray(kernel @ self.dual.astype(np.float64) + self.intercept)

    def kernel(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Mean of the kernels to the training RNAs: float32 in [0, 1], shape (len(rows), n_train).

        Arguments and errors as of `logits`.
        """
        return _mean_kernel(self.settings, self.blocks, tokens, rows)

    def probabilities(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Probabilities: float64, shape (len(rows), n_labels); see `logits`."""
        return np.asarray(expit(self.logits(tokens, rows)))

    def to_arrays(self, prefix: str = PREFIX) -> dict[str, np.ndarray]:
        """Name all arrays for safetensors; blocks by their number, in the order of the settings."""
        arrays = {f"{prefix}.dual": self.dual, f"{prefix}.intercept": self.intercept}
        return arrays | write_blocks(self.blocks, prefix)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], settings: KernelSettings, prefix: str = PREFIX
    ) -> KernelModel:
        """Restore a model from `to_arrays`, checked, since the file may not be trusted.

        Raises:
            CheckpointError: an array is missing or damaged.
        """
        try:
            blocks = read_blocks(arrays, settings, prefix)
            dual = np.asarray(arrays[f"{prefix}.dual"])
            intercept = np.asarray(arrays[f"{prefix}.intercept"])
        except KeyError as error:
            raise CheckpointError("the model lacks an array", found=str(error)) from None
        model = cls(settings, blocks, dual, intercept)
        expected = model._damage()
        if expected is not None:
            raise CheckpointError("the kernel model is damaged", expected=expected)
        return model

    def _damage(self) -> str | None:
        """What is expected of arrays that do not fit each other; None where they do."""
        if self.dual.ndim != 2 or self.intercept.shape != self.dual.shape[1:]:
            return "a weight per training RNA and compartment, and an intercept per compartment"
        numbers = [self.dual, self.intercept]
        expected = block_damage(self.blocks, len(self.dual))
        if expected is not None:
            return expected
        if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in numbers):
            return "finite numbers"
        return None


def fit_kernel(
    tokens: TokenTable, labels: np.ndarray, train: np.ndarray, settings: KernelSettings
) -> KernelModel:
    """Fit kernel logistic regression, one function per compartment over the same kernel.

    Ranks and scales are those of the training rows; nothing is random.

    Args:
        tokens: of all RNAs, with at least the tokens of the settings.
        labels: 0/1 of all RNAs, shape (n_rnas, n_labels); a NaN is left out for that compartment.
        train: training rows.
        settings: blocks, products, penalty and bandwidth.

    Raises:
        ConfigError: no block, a token that is missing, no training row or more than `MAX_ROWS`.
    """
    if not settings.blocks:
        raise ConfigError("kernel logistic regression has no block of tokens, expected one or more")
    blocks = fit_blocks(tokens, train, settings)
    kernel = _mean_kernel(settings, blocks, tokens, train)
    dual, intercept = fit_kernel_logistic(kernel, labels[train], settings.penalty)
    return KernelModel(settings, blocks, dual.astype(np.float32), intercept.astype(np.float32))


def _block_of(tokens: TokenTable, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Values of a block, absent tokens as zeros, and which RNAs have any of its tokens."""
    (joined,) = tokens.select([JOIN.join(names)])
    return joined.values, joined.present


def fit_blocks(
    tokens: TokenTable, train: np.ndarray, settings: KernelSettings
) -> dict[str, RankBlock]:
    """Fit the kernel of every block on training rows; see `fit_rank_block`.

    Raises:
        ConfigError: no training row, or more than `MAX_ROWS`.
    """
    if not 0 < len(train) <= MAX_ROWS:
        raise ConfigError(
            f"kernels of blocks have {len(train)} training RNAs, expected 1 to {MAX_ROWS}"
        )
    blocks = {}
    for name, names in settings.blocks.items():
        values, present = _block_of(tokens, names)
        blocks[name] = fit_rank_block(values[train], present[train], settings.bandwidth)
    return blocks


def term_kernels(
    settings: KernelSettings,
    blocks: Mapping[str, RankBlock],
    tokens: TokenTable,
    rows: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Kernel of every block and product of the settings, in the order of their terms.

    Yields:
        The kernel to the training RNAs, float32, shape (len(rows), n_train), and which rows have
        all blocks of the term, bool, shape (len(rows),).

    Raises:
        CheckpointError: a block has another width than in training.
    """
    kernels = {}
    is_present = {}
    for name, block in blocks.items():
        values, present = _block_of(tokens, settings.blocks[name])
        if values.shape[1] != block.values.shape[1]:
            raise CheckpointError(
                "the model does not fit these tokens",
                column=name,
                found=f"width {values.shape[1]}",
                expected=f"width {block.values.shape[1]}",
            )
        is_present[name] = present[rows]
        kernels[name] = block.kernel(values[rows], present[rows])
    for term in settings.terms:
        product = np.prod([kernels[name] for name in term], axis=0)
        yield product, np.all([is_present[name] for name in term], axis=0)


def _mean_kernel(
    settings: KernelSettings,
    blocks: Mapping[str, RankBlock],
    tokens: TokenTable,
    rows: np.ndarray,
) -> np.ndarray:
    """Mean of the kernels of blocks and products: float32, shape (len(rows), n_train)."""
    n_train = len(next(iter(blocks.values())).present)
    total = np.zeros((len(rows), n_train), dtype=np.float32)
    for kernel, _ in term_kernels(settings, blocks, tokens, rows):
        total += kernel
    return total / np.float32(len(settings.terms))


def write_blocks(blocks: Mapping[str, RankBlock], prefix: str) -> dict[str, np.ndarray]:
    """Name all arrays of blocks for safetensors; blocks by their number."""
    arrays = {}
    for number, block in enumerate(blocks.values()):
        arrays[f"{prefix}.{number}.values"] = block.values
        arrays[f"{prefix}.{number}.present"] = block.present.astype(np.uint8)
        arrays[f"{prefix}.{number}.scale"] = block.scale
    return arrays


def read_blocks(
    arrays: Mapping[str, np.ndarray], settings: KernelSettings, prefix: str
) -> dict[str, RankBlock]:
    """Restore what `write_blocks` wrote; KeyError where an array is missing."""
    blocks = {}
    for number, name in enumerate(settings.blocks):
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
