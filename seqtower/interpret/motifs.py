"""Motifs: what the first layer's filters look for, written as MEME and compared with known RBP motifs by Tomtom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control

from mirnagraph.errors import ConfigError, import_extra
from seqtower.data.batches import collate, plan
from seqtower.data.kmers import LETTERS
from seqtower.data.motifs import Motif
from seqtower.encoders.base import ONE_HOT
from seqtower.nn.layers import MaskedConv
from seqtower.saved import SavedTower

FEWEST_SITES = 10


def first_convolutions(model: SavedTower) -> list[MaskedConv]:
    """The layers that read letters; raises ConfigError for a tower that reads no letters by filters."""
    channels = model.encoding.channels
    if model.config.encoder.name != ONE_HOT:
        raise ConfigError(
            f"the tower {model.config.tower.name!r} reads the encoding {model.config.encoder.name!r}, and has no filters over letters alone"
        )
    return [
        m
        for m in model.tower.modules()
        if isinstance(m, MaskedConv) and m.conv.in_channels == channels
    ]


def filter_motifs(
    model: SavedTower, sequences: Sequence[str], *, share: float = 0.5
) -> list[Motif]:
    """Frequencies of the letters where each first-layer filter is more than `share` of its highest activation (RNATracker, section 3.3).

    Filters with fewer than 10 such places are left out.
    """
    layers = first_convolutions(model)
    if not layers:
        raise ConfigError(
            f"the first layer of the tower {model.config.tower.name!r} is no convolution over letters"
        )
    encoded = model.encoding(sequences)
    lengths = np.array([len(one) for one in encoded])
    found = []
    for number, layer in enumerate(layers):
        batches = [
            collate([encoded[row] for row in rows], rows)
            for rows in plan(lengths, model.config.training.batch_tokens, 64)
        ]
        with torch.inference_mode():
            heights = [torch.relu(layer(batch.inputs, batch.mask)) for batch in batches]
        top = torch.stack([height.amax(dim=(0, 1)) for height in heights]).amax(dim=0)
        kernel = layer.conv.kernel_size[0]
        for index in range(layer.conv.out_channels):
            counts = np.zeros((kernel, len(LETTERS)))
            sites = 0
            for batch, height in zip(batches, heights, strict=True):
                rna, place = torch.nonzero(height[..., index] > share * top[index], as_tuple=True)
                first = place - layer.before
                inside = (first >= 0) & (first + kernel <= batch.lengths[rna])
                for offset in range(kernel):
                    counts[offset] += (
                        batch.inputs[rna[inside], first[inside] + offset]
                        .sum(dim=0)
                        .double()
                        .numpy()
                    )
                sites += int(inside.sum())
            if sites >= FEWEST_SITES:
                name = f"filter_{index}" if len(layers) == 1 else f"layer_{number}_filter_{index}"
                found.append(
                    Motif(name, (counts + 0.25) / (counts + 0.25).sum(axis=1, keepdims=True), sites)
                )
    return found


def match_motifs(motifs: Sequence[Motif], known: Sequence[Motif]) -> pd.DataFrame:
    """Compare motifs with known ones by Tomtom (Gupta et al. 2007), on the strand as it is.

    Returns:
        One row per pair: ``motif``, ``known``, ``p_value``, ``q_value`` (Benjamini-Hochberg over all pairs), ``offset``, ``overlap``;
        lowest p-value first.

    Raises:
        MissingExtraError: memelite is not installed.
    """
    columns = ["motif", "known", "p_value", "q_value", "offset", "overlap"]
    if not motifs:
        return pd.DataFrame(columns=columns)
    memelite = import_extra("memelite", "interpret", "the comparison with known motifs")
    p, _, offsets, overlaps, _ = memelite.tomtom(
        [m.frequencies.T for m in motifs],
        [k.frequencies.T for k in known],
        reverse_complement=False,
        n_jobs=1,
    )
    pairs = [(i, j) for i in range(len(motifs)) for j in range(len(known))]
    table = pd.DataFrame(
        {
            "motif": [motifs[i].name for i, _ in pairs],
            "known": [known[j].name for _, j in pairs],
            "p_value": [float(p[i, j]) for i, j in pairs],
            "offset": [int(offsets[i, j]) for i, j in pairs],
            "overlap": [int(overlaps[i, j]) for i, j in pairs],
        }
    )
    table["q_value"] = false_discovery_control(np.clip(table["p_value"].to_numpy(), 0, 1))
    return table[columns].sort_values("p_value", kind="stable", ignore_index=True)
