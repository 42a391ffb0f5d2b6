"""The towers of a fitted model on disk: their numbers among its arrays, their settings in its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from fusion.tower import FittedTowers
from mirnagraph.config import from_dict, to_dict
from seqtower.encoding import FittedEncoding
from seqtower.lengths import LengthPolicy
from seqtower.settings import LANGUAGE_MODEL, config_from
from seqtower.towers.make import make_tower

PREFIX, VECTORS, START = "tower.", "tower.vectors", "tower.start"


def tower_arrays(towers: FittedTowers) -> dict[str, np.ndarray]:
    """All numbers by name, for safetensors."""
    arrays = {VECTORS: towers.encoding.vectors, START: towers.start}
    for number, tower in enumerate(towers.towers):
        arrays.update({f"{PREFIX}{number}.{name}": value.numpy() for name, value in tower.state_dict().items()})
    return arrays


def about_towers(towers: FittedTowers) -> dict[str, Any]:
    """What a person may want to read, and what `read_towers` needs."""
    encoding = towers.encoding
    return {
        "config": to_dict(towers.config), "lengths": to_dict(encoding.lengths), "channels": encoding.channels,
        "encoder_fingerprint": encoding.fingerprint, "towers": len(towers.towers),
    }  # fmt: skip


def read_towers(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], n_labels: int) -> FittedTowers:
    """Back from both.

    Raises:
        KeyError, ValueError, RuntimeError, ConfigError: they do not fit each other.
    """
    config = config_from(about["config"], where="tower.config")
    width = int(about["channels"]) if config.encoder.kind == LANGUAGE_MODEL else 0
    encoding = FittedEncoding(config.encoder, from_dict(LengthPolicy, about["lengths"]), arrays[VECTORS], width, str(about["encoder_fingerprint"]))
    if encoding.channels != int(about["channels"]):
        raise ValueError(f"{encoding.channels} channels instead of {about['channels']}")
    towers = []
    for number in range(int(about["towers"])):
        with torch.random.fork_rng(devices=[]):
            tower = make_tower(config, encoding.channels, n_labels)
        prefix = f"{PREFIX}{number}."
        tower.load_state_dict({name.removeprefix(prefix): torch.from_numpy(value) for name, value in arrays.items() if name.startswith(prefix)})
        towers.append(tower.eval())
    if arrays[START].shape != (len(towers), n_labels):
        raise ValueError(f"starting logits of shape {arrays[START].shape} for {len(towers)} towers")
    return FittedTowers(config, encoding, tuple(towers), arrays[START])
