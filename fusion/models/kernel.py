"""Kernel logistic regression on tokens: Laplace kernels on ranks, summed and multiplied."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from fusion.model_config import KernelSettings
from fusion.models.kernel_logistic import fit_kernel_logistic
from fusion.tokens.names import JOIN
from fusion.tokens.table import TokenTable
from mirnagraph.embedding.rank_kernel import (
    RankBlock,
    block_damage,
    fit_rank_block,
    read_blocks,
    write_blocks,
)
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.seeds import generator

MAX_ROWS = 5000
"""Training RNAs that a kernel has at most: time grows with their cube, memory with their square."""

N_LANDMARKS = 2000
"""Training RNAs that stand for all in components of a kernel where there are more than
`MAX_ROWS`."""

logger = logging.getLogger(__name__)

PREFIX = "kernel"


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
            blocks = read_blocks(arrays, list(settings.blocks), prefix)
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

    Ranks and scales are those of the training rows; nothing is random. Of more than `MAX_ROWS`
    training rows as many are drawn, always the same, and a warning says so.

    Args:
        tokens: of all RNAs, with at least the tokens of the settings.
        labels: 0/1 of all RNAs, shape (n_rnas, n_labels); a NaN is left out for that compartment.
        train: training rows.
        settings: blocks, products, penalty and bandwidth.

    Raises:
        ConfigError: no block, a token that is missing, or no training row.
    """
    if not settings.blocks:
        raise ConfigError("kernel logistic regression has no block of tokens, expected one or more")
    if len(train) > MAX_ROWS:
        logger.warning(
            "kernel logistic regression reads %d of %d training RNAs", MAX_ROWS, len(train)
        )
        train = kernel_rows(train)
    blocks = fit_blocks(tokens, train, settings)
    kernel = _mean_kernel(settings, blocks, tokens, train)
    dual, intercept = fit_kernel_logistic(kernel, labels[train], settings.penalty)
    return KernelModel(settings, blocks, dual.astype(np.float32), intercept.astype(np.float32))


def landmarks(train: np.ndarray, n: int) -> np.ndarray:
    """Draw n training rows, the same for the same rows; in order, without repeats."""
    drawn = generator(0, "landmarks").permutation(train)
    return np.sort(drawn[:n])


def kernel_rows(train: np.ndarray) -> np.ndarray:
    """Training rows that the kernel model reads: all, or `MAX_ROWS` of them.

    Args:
        train: training rows, ascending.
    """
    return train if len(train) <= MAX_ROWS else landmarks(train, MAX_ROWS)


def landmark_error(kernel: np.ndarray) -> float:
    """Relative error of a kernel that is known from landmarks alone, by Nyström's method.

    A quarter of the landmarks stand for other RNAs. With K the kernel among these, C that to the
    remaining landmarks and W that among them, ``|K - C W+ C^T| / |K|`` in the Frobenius norm
    (Williams and Seeger 2001); all landmarks together leave less.

    Args:
        kernel: among the landmarks, shape (n, n).
    """
    order = generator(0, "landmark error").permutation(len(kernel))
    others, rest = np.split(order, [len(order) // 4])
    known = kernel[np.ix_(others, rest)].astype(np.float64)
    among = kernel[np.ix_(rest, rest)].astype(np.float64)
    whole = kernel[np.ix_(others, others)].astype(np.float64)
    left = whole - known @ np.linalg.pinv(among, rcond=1e-8, hermitian=True) @ known.T
    return float(np.linalg.norm(left)) / max(float(np.linalg.norm(whole)), 1e-12)


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
