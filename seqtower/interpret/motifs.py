"""Motifs of first-layer filters and their comparison with known motifs by Tomtom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control

from mirnagraph.errors import ConfigError, import_extra
from seqtower.data.batches import Batch, collate, plan
from seqtower.data.kmers import LETTERS
from seqtower.data.motifs import Motif
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import ONE_HOT
from seqtower.nn.layers import MaskedConv
from seqtower.saved import SavedTower

SITE_SHARE = 0.5
"""Share of a filter's highest activation above which a position is a site."""

FEWEST_SITES = 10
"""Sites below which a filter makes no motif."""

MATCH_COLUMNS = ["motif", "known", "p_value", "q_value", "offset", "overlap"]


def first_convolutions(model: SavedTower) -> list[MaskedConv]:
    """Return the convolutions that read one-hot nucleotides.

    Raises:
        ConfigError: a tower that reads another encoding.
    """
    channels = model.encoding.channels
    if model.config.encoder.name != ONE_HOT:
        raise ConfigError(
            f"the tower {model.config.tower.name!r} reads the encoding "
            f"{model.config.encoder.name!r}, and has no filters over single nucleotides"
        )
    return [
        layer
        for layer in model.tower.modules()
        if isinstance(layer, MaskedConv) and layer.conv.in_channels == channels
    ]


def filter_motifs(model: SavedTower, sequences: Sequence[str]) -> list[Motif]:
    """Make motifs of the first-layer filters (RNATracker, section 3.3).

    A motif holds the nucleotide frequencies at the sites where a filter exceeds `SITE_SHARE` of its
    highest activation. Filters with fewer than `FEWEST_SITES` sites are left out. Where the tower
    reads both ends of an RNA, a site lies in one of them.

    Args:
        model: the tower.
        sequences: RNAs in which sites are looked for.

    Raises:
        ConfigError: a tower without filters over single nucleotides.
    """
    layers = first_convolutions(model)
    if not layers:
        raise ConfigError(
            f"the first layer of the tower {model.config.tower.name!r} is no convolution over "
            "nucleotides"
        )
    encoded = model.encoding(sequences)
    lengths = np.array([len(positions) for positions in encoded])
    heads = np.array([_head(model.encoding.lengths, len(sequence)) for sequence in sequences])
    plans = plan(lengths, model.config.training.batch_tokens, 64)
    batches = [collate([encoded[row] for row in rows], rows) for rows in plans]
    motifs = []
    for number, layer in enumerate(layers):
        with torch.inference_mode():
            activations = [torch.relu(layer(batch.inputs, batch.mask)) for batch in batches]
        highest = torch.stack([values.amax(dim=(0, 1)) for values in activations]).amax(dim=0)
        prefix = "" if len(layers) == 1 else f"layer_{number}_"
        for index in range(layer.conv.out_channels):
            is_site = [values[..., index] > SITE_SHARE * highest[index] for values in activations]
            counts, n_sites = _count_sites(layer, batches, is_site, heads)
            if n_sites >= FEWEST_SITES:
                frequencies = (counts + 0.25) / (counts + 0.25).sum(axis=1, keepdims=True)
                motifs.append(Motif(f"{prefix}filter_{index}", frequencies, n_sites))
    return motifs


def _head(lengths: LengthPolicy, length: int) -> int:
    """Nucleotides that are read before the gap of an RNA of which both ends are; else all."""
    positions = lengths.positions(length)
    gaps = np.flatnonzero(np.diff(positions) > 1)
    return int(gaps[0]) + 1 if len(gaps) else len(positions)


def _count_sites(
    layer: MaskedConv,
    batches: Sequence[Batch],
    is_site: Sequence[torch.Tensor],
    heads: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Count nucleotides at the sites of a filter, shape (kernel, 4), and the sites within RNAs.

    Args:
        layer: of the filter.
        batches: RNAs.
        is_site: where the filter is active, of each batch.
        heads: of `_head`, by row number.
    """
    kernel = layer.conv.kernel_size[0]
    counts = np.zeros((kernel, len(LETTERS)))
    n_sites = 0
    for batch, mask in zip(batches, is_site, strict=True):
        rna, position = torch.nonzero(mask, as_tuple=True)
        first = position - layer.before
        head = torch.from_numpy(heads[batch.rows])[rna]
        is_inside = (first >= 0) & (first + kernel <= batch.lengths[rna])
        is_inside &= (first + kernel <= head) | (first >= head)
        rna = rna[is_inside]
        first = first[is_inside]
        for offset in range(kernel):
            counts[offset] += batch.inputs[rna, first + offset].sum(dim=0).double().numpy()
        n_sites += len(rna)
    return counts, n_sites


def match_motifs(motifs: Sequence[Motif], known: Sequence[Motif]) -> pd.DataFrame:
    """Compare motifs with known ones by Tomtom (Gupta et al. 2007), on one strand.

    Args:
        motifs: e.g. of `filter_motifs`.
        known: e.g. of `seqtower.data.motifs.read_meme`.

    Returns:
        One row per pair: ``motif``, ``known``, ``p_value``, ``q_value`` (Benjamini-Hochberg over
        all pairs), ``offset``, ``overlap``; lowest p-value first.

    Raises:
        MissingExtraError: memelite is not installed.
    """
    if not motifs or not known:
        return pd.DataFrame(columns=MATCH_COLUMNS)
    memelite = import_extra("memelite", "interpret", "the comparison with known motifs")
    p, _, offsets, overlaps, _ = memelite.tomtom(
        [motif.frequencies.T for motif in motifs],
        [motif.frequencies.T for motif in known],
        reverse_complement=False,
        n_jobs=1,
    )
    table = pd.DataFrame(
        {
            "motif": np.repeat([motif.name for motif in motifs], len(known)),
            "known": [motif.name for motif in known] * len(motifs),
            "p_value": np.ravel(p).astype(np.float64),
            "offset": np.ravel(offsets).astype(int),
            "overlap": np.ravel(overlaps).astype(int),
        }
    )
    table["q_value"] = false_discovery_control(np.clip(table["p_value"].to_numpy(), 0, 1))
    return table[MATCH_COLUMNS].sort_values("p_value", kind="stable", ignore_index=True)
