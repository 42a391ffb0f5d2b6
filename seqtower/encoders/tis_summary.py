"""Summary of a transcript as the TIS Transformer reads it: one row of numbers per RNA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.tis import TisConfig, pooled_patches
from seqtower.encoders.tis_network import DIM
from seqtower.encoders.tis_weights import weights_sha256

FIRST = 14
"""Patches of the 5' end, about 900 nt."""

LAST = 19
"""Patches of the 3' end, about 1,200 nt."""

N_SCORES = 5

WIDTH = 5 * DIM + N_SCORES
"""Columns of a summary."""

STANDARD = TisConfig()
"""Size of patches in which summaries are counted."""


def transcript_summary(sequences: Sequence[str], config: TisConfig = STANDARD) -> np.ndarray:
    """Summarise RNAs: float32, shape (n, `WIDTH`); see `summarise_patches`.

    Args:
        sequences: whole RNAs.
        config: weights, windows and cache; patches always have the standard size.
    """
    settings = TisConfig(
        weights=config.weights,
        window=config.window,
        overlap=config.overlap,
        batch_tokens=config.batch_tokens,
        cache=config.cache,
    )
    fingerprint = weights_sha256(settings.weights)
    patches = pooled_patches(sequences, LengthPolicy(), settings, fingerprint)
    rows = [summarise_patches(of_rna) for of_rna in patches]
    return np.array(rows, dtype=np.float32).reshape(len(sequences), WIDTH)


def summarise_patches(patches: np.ndarray) -> np.ndarray:
    """Summarise the patches of one RNA.

    Args:
        patches: of `pooled_patches`, not standardised: 48 means of hidden values, their 48 SDs, the
            highest logit of a start of translation; shape (n_patches, 97).

    Returns:
        Shape (`WIDTH`,). Of the hidden values: mean and SD along the RNA, means of the `FIRST` and
        of the `LAST` patches, and mean SD within a patch, 48 numbers each. Of the start scores: the
        highest, the mean, the place of the highest (as a share of the RNA, and as log(1 + number of
        its patch)), and how many are above 0. Zeros for an RNA without a nucleotide.
    """
    if not len(patches):
        return np.zeros(WIDTH)
    means = patches[:, :DIM]
    scores = patches[:, -1]
    best = int(scores.argmax())
    starts = [
        scores.max(),
        scores.mean(),
        best / len(scores),
        np.log1p(best),
        (scores > 0).sum(),
    ]
    return np.concatenate(
        [
            means.mean(axis=0),
            means.std(axis=0),
            means[:FIRST].mean(axis=0),
            means[-LAST:].mean(axis=0),
            patches[:, DIM : 2 * DIM].mean(axis=0),
            starts,
        ]
    )
