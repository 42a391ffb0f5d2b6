"""Kernel principal components of each source, the numbers that the fusion reads."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fusion.model_config import KernelSettings
from fusion.models.kernel import (
    MAX_ROWS,
    N_LANDMARKS,
    fit_blocks,
    landmark_error,
    landmarks,
    term_kernels,
)
from fusion.tokens.names import KERNEL_FEATURES
from fusion.tokens.table import TokenTable
from mirnagraph.embedding.rank_kernel import Components, RankBlock, read_blocks, write_blocks

PREFIX = "kernel_features"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class KernelFeatures:
    """Components of the kernel of every block and product of `KernelSettings`.

    Attributes:
        settings: blocks and products.
        blocks: name -> its kernel, over the training RNAs.
        components: of each term of the settings, in their order.
    """

    settings: KernelSettings
    blocks: Mapping[str, RankBlock]
    components: tuple[Components, ...]

    @property
    def widths(self) -> dict[str, int]:
        """Name of each token, ``kernel_features:TERM``, and its columns."""
        names = [f"{KERNEL_FEATURES}:{'-'.join(term)}" for term in self.settings.terms]
        widths = [components.projection.shape[1] for components in self.components]
        return dict(zip(names, widths, strict=True))

    def tokens(
        self, tokens: TokenTable, rows: np.ndarray
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Token -> components, float32, shape (len(rows), width), and presence, bool.

        An RNA has the token of a term where it has all blocks of it; otherwise the row is 0.

        Args:
            tokens: of any RNAs, with at least the tokens of the settings.
            rows: of the RNAs to describe.
        """
        kernels = term_kernels(self.settings, self.blocks, tokens, rows)
        described = {}
        for name, components, (kernel, present) in zip(
            self.widths, self.components, kernels, strict=True
        ):
            described[name] = (components(kernel) * present[:, None], present)
        return described

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Name all arrays for safetensors; terms by their number."""
        arrays = write_blocks(self.blocks, PREFIX)
        for number, components in enumerate(self.components):
            place = f"{PREFIX}.term.{number}"
            arrays[f"{place}.projection"] = components.projection
            arrays[f"{place}.mean"] = components.mean
            arrays[f"{place}.scale"] = components.scale
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], settings: KernelSettings
    ) -> KernelFeatures:
        """Restore from `to_arrays`.

        Raises:
            KeyError, ValueError: an array is missing or does not fit the others.
            CheckpointError: a block is damaged.
        """
        blocks = read_blocks(arrays, list(settings.blocks), PREFIX)
        n_train = len(next(iter(blocks.values())).values)
        components = []
        for number in range(len(settings.terms)):
            place = f"{PREFIX}.term.{number}"
            named = (arrays[f"{place}.{name}"] for name in ("projection", "mean", "scale"))
            read = Components(*named)
            shapes = (read.projection.shape[:1], read.mean.shape, read.scale.shape)
            if shapes != ((n_train,), (n_train,), (1,)):
                raise ValueError(f"components of shapes {shapes} for {n_train} training RNAs")
            components.append(read)
        return cls(settings, blocks, tuple(components))


def fit_kernel_features(
    tokens: TokenTable, train: np.ndarray, settings: KernelSettings, dim: int
) -> KernelFeatures:
    """Fit components of every block and product; no label is read.

    Args:
        tokens: of all RNAs, with at least the tokens of the settings.
        train: training rows; ranks, scales and components are theirs. Of more than `MAX_ROWS`,
            `N_LANDMARKS` stand for all, and a warning gives the error of this.
        settings: blocks and products.
        dim: components of each.
    """
    n_train = len(train)
    if n_train > MAX_ROWS:
        train = landmarks(train, N_LANDMARKS)
    blocks = fit_blocks(tokens, train, settings)
    components = []
    errors = []
    for kernel, _ in term_kernels(settings, blocks, tokens, train):
        components.append(Components.fit(kernel, dim))
        if n_train > MAX_ROWS:
            errors.append(landmark_error(kernel))
    if errors:
        logger.warning(
            "kernel components from %d of %d training RNAs (Nyström); relative error of a kernel "
            "%.3f to %.3f, median %.3f",
            len(train),
            n_train,
            min(errors),
            max(errors),
            np.median(errors),
        )
    return KernelFeatures(settings, blocks, tuple(components))
