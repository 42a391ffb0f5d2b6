"""Numbers of whole RNAs that a tower reads beside its positions, as kernel components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mirnagraph.config import Checked, Count, require
from mirnagraph.embedding.rank_kernel import (
    Components,
    RankBlock,
    block_damage,
    fit_rank_block,
    read_blocks,
    write_blocks,
)
from mirnagraph.seeds import generator
from seqtower.data.kmers import kmer_counts
from seqtower.data.sequences import CIRCLE
from seqtower.encoders.descriptors import descriptors, junction
from seqtower.encoders.tis import TisConfig
from seqtower.encoders.tis_summary import transcript_summary

LENGTH = "length"
WORDS = "words"
DESCRIPTORS = "descriptors"
TRANSCRIPT = "transcript"
BLOCKS = (LENGTH, WORDS, DESCRIPTORS, TRANSCRIPT)

LONGEST_WORD = 4

PREFIX = "whole"


@dataclass(frozen=True)
class WholeConfig(Checked):
    """Which numbers of whole RNAs a tower reads, and how.

    Attributes:
        blocks: of ``"length"`` (its logarithm), ``"words"`` (frequencies of 1- to 4-mers),
            ``"descriptors"`` (see `seqtower.encoders.descriptors`), ``"transcript"`` (hidden values
            of the TIS Transformer over the whole RNA and its ends); none for a tower that reads
            positions alone.
        components: kernel principal components of each block.
        landmarks: training RNAs from which ranks, kernels and components are fitted; all where
            there are fewer.
        bandwidth: of the kernels, in mean distances between two training RNAs.
    """

    blocks: tuple[str, ...] = ()
    components: Count = 48
    landmarks: Count = 1200
    bandwidth: Annotated[float, "above 0"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.blocks:
            require(name in BLOCKS, "blocks", name, f"one of {', '.join(BLOCKS)}")
        is_once = len(set(self.blocks)) == len(self.blocks)
        require(is_once, "blocks", list(self.blocks), "each block once")


def whole_numbers(
    sequences: Sequence[str],
    config: WholeConfig,
    *,
    types: Sequence[str] | None = None,
    tis: TisConfig | None = None,
) -> dict[str, np.ndarray]:
    """Compute the numbers of each block; no label is read.

    Args:
        sequences: whole RNAs, A, C, G, U, N.
        config: the blocks.
        types: type of each RNA, see `seqtower.data.sequences.RNA_TYPES`; circRNAs are described as
            circles. None where no type is known.
        tis: how the TIS Transformer reads, for ``"transcript"``; its defaults where None.

    Returns:
        Name of a block -> float32, shape (n, width).
    """
    numbers: dict[str, np.ndarray] = {}
    for name in config.blocks:
        if name == LENGTH:
            lengths = [max(1, len(sequence)) for sequence in sequences]
            values = np.log(np.array(lengths, dtype=np.float64))[:, None]
        elif name == WORDS:
            values = kmer_counts(sequences, LONGEST_WORD, length=False)
        elif name == DESCRIPTORS:
            values = _descriptors(sequences, types)
        else:
            values = transcript_summary(sequences, tis or TisConfig())
        numbers[name] = np.asarray(values, dtype=np.float32)
    return numbers


def _descriptors(sequences: Sequence[str], types: Sequence[str] | None) -> np.ndarray:
    """Descriptors, and those of the junctions where there are types: shape (n, width)."""
    if types is None:
        return descriptors(sequences)
    is_circle = [name == CIRCLE for name in types]
    of_rnas = descriptors(sequences, circular=is_circle)
    return np.hstack([of_rnas, junction(sequences, is_circle)])


@dataclass(frozen=True, eq=False)
class FittedWhole:
    """Kernel components of each block, fitted on training RNAs.

    Attributes:
        config: blocks and sizes.
        kernels: name of a block -> its kernel to the landmarks.
        components: name of a block -> its components.
    """

    config: WholeConfig
    kernels: Mapping[str, RankBlock]
    components: Mapping[str, Components]

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns of each block, in the order of the settings."""
        return tuple(self.components[name].projection.shape[1] for name in self.config.blocks)

    def __call__(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Components of some RNAs: float32, shape (n, sum of `widths`); None without a block.

        Args:
            numbers: of `whole_numbers`.
        """
        if not self.config.blocks:
            return None
        columns = []
        for name in self.config.blocks:
            values = numbers[name]
            kernel = self.kernels[name].kernel(values, np.ones(len(values), dtype=bool))
            columns.append(self.components[name](kernel))
        return np.concatenate(columns, axis=1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Fitted arrays by name, for a model file."""
        arrays = write_blocks(self.kernels, PREFIX)
        for number, name in enumerate(self.config.blocks):
            for part in ("projection", "mean", "scale"):
                arrays[f"{PREFIX}.{number}.{part}_of_components"] = getattr(
                    self.components[name], part
                )
        return arrays


def fit_whole(
    numbers: Mapping[str, np.ndarray], rows: np.ndarray, config: WholeConfig, seed: int
) -> FittedWhole:
    """Fit the kernels and components on training rows.

    Args:
        numbers: of all RNAs, of `whole_numbers`.
        rows: of the training RNAs; at most `WholeConfig.landmarks` of them are read, drawn by
            `seed`.
        config: blocks and sizes.
        seed: of the landmarks.
    """
    rng = generator(seed, "landmarks")
    landmarks = np.sort(rng.permutation(rows)[: config.landmarks])
    kernels = {}
    components = {}
    for name in config.blocks:
        values = numbers[name][landmarks]
        present = np.ones(len(values), dtype=bool)
        kernels[name] = fit_rank_block(values, present, config.bandwidth)
        among = kernels[name].kernel(values, present)
        components[name] = Components.fit(among, config.components)
    return FittedWhole(config, kernels, components)


def read_whole(arrays: Mapping[str, np.ndarray], config: WholeConfig) -> FittedWhole:
    """Restore what `FittedWhole.to_arrays` named.

    Raises:
        KeyError, ValueError: an array is missing or does not fit the others.
    """
    kernels = read_blocks(arrays, config.blocks, PREFIX)
    components = {}
    for number, name in enumerate(config.blocks):
        parts = [
            np.asarray(arrays[f"{PREFIX}.{number}.{part}_of_components"])
            for part in ("projection", "mean", "scale")
        ]
        components[name] = Components(*parts)
        n_landmarks = len(kernels[name].values)
        expected = block_damage({name: kernels[name]}, n_landmarks)
        shapes = (parts[0].shape[:1], parts[1].shape, parts[2].shape)
        if expected is not None or shapes != ((n_landmarks,), (n_landmarks,), (1,)):
            raise ValueError(f"the numbers of whole RNAs are damaged in the block {name!r}")
    return FittedWhole(config, kernels, components)
