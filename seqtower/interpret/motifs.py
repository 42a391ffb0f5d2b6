"""Motifs: what the first layer's filters look for, written as MEME and compared with known RBP motifs by Tomtom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control

from mirnagraph.errors import ConfigError, InputError, import_extra
from mirnagraph.files import read_text, write_text
from seqtower.batches import collate, plan
from seqtower.encoders.one_hot import LETTERS
from seqtower.layers import MaskedConv
from seqtower.model_files import SavedTower
from seqtower.settings import ONE_HOT

FEWEST_SITES = 10


@dataclass(frozen=True, eq=False)
class Motif:
    """Letter frequencies of one motif.

    Attributes:
        name: of the filter, or of the known motif.
        frequencies: shape (width, 4), rows sum to 1, letters in the order A, C, G, U.
        sites: how many places it was made from.
    """

    name: str
    frequencies: np.ndarray
    sites: int


def first_convolutions(model: SavedTower) -> list[MaskedConv]:
    """The layers that read letters; raises ConfigError for a tower that reads no letters by filters."""
    channels = model.encoding.channels
    if model.config.encoder.kind != ONE_HOT:
        raise ConfigError(f"the tower {model.config.tower!r} reads the encoding {model.config.encoder.kind!r}, and has no filters over letters alone")
    return [m for m in model.tower.modules() if isinstance(m, MaskedConv) and m.conv.in_channels == channels]


def filter_motifs(model: SavedTower, sequences: Sequence[str], *, share: float = 0.5) -> list[Motif]:
    """Frequencies of the letters where each first-layer filter is more than `share` of its highest activation (RNATracker, section 3.3).

    Filters with fewer than 10 such places are left out.
    """
    layers = first_convolutions(model)
    if not layers:
        raise ConfigError(f"the first layer of the tower {model.config.tower!r} is no convolution over letters")
    encoded = model.encoding(sequences)
    lengths = np.array([len(one) for one in encoded])
    found = []
    for number, layer in enumerate(layers):
        batches = [collate([encoded[row] for row in rows], rows) for rows in plan(lengths, model.config.training.batch_tokens, 64)]
        with torch.inference_mode():
            heights = [torch.relu(layer(batch.inputs, batch.mask)) for batch in batches]
        top = torch.stack([height.amax(dim=(0, 1)) for height in heights]).amax(dim=0)
        kernel = layer.conv.kernel_size[0]
        for index in range(layer.conv.out_channels):
            counts, sites = np.zeros((kernel, len(LETTERS))), 0
            for batch, height in zip(batches, heights, strict=True):
                rna, place = torch.nonzero(height[..., index] > share * top[index], as_tuple=True)
                first = place - layer.before
                inside = (first >= 0) & (first + kernel <= batch.lengths[rna])
                for offset in range(kernel):
                    counts[offset] += batch.inputs[rna[inside], first[inside] + offset].sum(dim=0).double().numpy()
                sites += int(inside.sum())
            if sites >= FEWEST_SITES:
                name = f"filter_{index}" if len(layers) == 1 else f"layer_{number}_filter_{index}"
                found.append(Motif(name, (counts + 0.25) / (counts + 0.25).sum(axis=1, keepdims=True), sites))
    return found


def write_meme(motifs: Sequence[Motif], path: str | Path) -> None:
    """Write motifs in MEME's minimal format, version 4, alphabet ACGU."""
    lines = ["MEME version 4", "", f"ALPHABET= {LETTERS}", "", "Background letter frequencies", "A 0.25 C 0.25 G 0.25 U 0.25", ""]
    for motif in motifs:
        lines += [f"MOTIF {motif.name}", f"letter-probability matrix: alength= 4 w= {len(motif.frequencies)} nsites= {motif.sites} E= 0"]
        lines += ["  " + "  ".join(f"{value:.6f}" for value in row) for row in motif.frequencies] + [""]
    write_text(path, "\n".join(lines))


def read_meme(path: str | Path) -> list[Motif]:
    """Read motifs in MEME's minimal format; the name is everything behind ``MOTIF``.

    Raises:
        InputError: another alphabet than ACGU or ACGT, a row that is not four frequencies, or no motif: names file and line.
    """
    motifs: list[Motif] = []
    name, rows, sites = "", list[list[float]](), 20
    lines = read_text(path).split("\n")

    def close() -> None:
        if name and rows:
            motifs.append(Motif(name, np.array(rows) / np.sum(rows, axis=1, keepdims=True), sites))

    inside = False
    for number, line in enumerate([*lines, "MOTIF "], 1):
        if line.startswith("ALPHABET=") and line.split("=", 1)[1].strip() not in ("ACGU", "ACGT"):
            raise InputError("another alphabet", file=path, line=number, found=line.split("=", 1)[1].strip(), expected="ACGU")
        if line.startswith("MOTIF"):
            close()
            name, rows, inside = line[5:].strip(), [], False
        elif line.startswith("letter-probability matrix"):
            inside = True
            fields = line.replace("=", " ").split()
            sites = int(float(fields[fields.index("nsites") + 1])) if "nsites" in fields else 20
        elif inside and line.strip() and not line.startswith("URL"):
            try:
                row = [float(cell) for cell in line.split()]
            except ValueError:
                row = []
            if len(row) != len(LETTERS) or min(row) < 0 or abs(sum(row) - 1) > 0.05:
                raise InputError("not four frequencies that sum to 1", file=path, line=number, found=line.strip())
            rows.append(row)
        elif not line.strip() and rows:
            inside = False
    if not motifs:
        raise InputError("no motif in MEME format", file=path, expected="MOTIF and letter-probability matrix")
    return motifs


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
    p, _, offsets, overlaps, _ = memelite.tomtom([m.frequencies.T for m in motifs], [k.frequencies.T for k in known], reverse_complement=False, n_jobs=1)
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
