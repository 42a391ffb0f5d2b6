"""A pre-trained encoder or tower on disk, and the checks before a tower starts from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirnagraph.config import to_dict
from mirnagraph.errors import CheckpointError
from mirnagraph.io import write_folder
from mirnagraph.reading.entries import EVERY, NEEDED, check_entries
from mirnagraph.runs.model_file import (
    ENTRIES,
    HEADER,
    WEIGHTS,
    WEIGHTS_CHECKSUM,
    consistent_files,
    module_arrays,
    module_weights,
    read_model,
    write_model,
)
from mirnagraph.writing.contents import SAVED_MODEL
from seqtower.config import SeqConfig, config_from
from seqtower.data.kmers import LETTERS
from seqtower.encoders.base import ENCODERS, ONE_HOT, FittedEncoding, check_encoder
from seqtower.encoders.whole import FittedWhole, read_whole
from seqtower.pretraining.target import DIGEST, GENE, NEAR, SAME
from seqtower.saved import encoding_header, restore_encoding
from seqtower.towers.base import Tower

FORMAT = "seqtower-encoder"
FORMAT_VERSION = 1

FOLDER = "encoder"

ENCODER = "encoder."
HEAD = "head."

TOWER_FORMAT = "seqtower-transfer"
TOWER_VERSION = 1

TOWER_FOLDER = "tower"

TOWER = "tower."
TARGET_RNAS = "target.sha256"
PRETRAINING_RNAS = "rnas.sha256"

TOWER_ENTRIES = {
    **ENTRIES,
    NEEDED: ("config", "described_types", "encoder_fingerprint", "genes_compared", "health",
             "n_cut", "n_fit", "n_stop", "score", "sets"),
    "n_cut": {NEEDED: (GENE, NEAR, SAME), EVERY: int},
}  # fmt: skip
"""Entries of the header of a tower that was pre-trained on labels."""

NOT_TAKEN = ("head", "tags")
"""Layers of a tower that belong to the labels and RNA types of the pre-training."""

PLACES = ("cache", "batch_tokens", "weights", "path")
"""Settings of an encoder that change no value, or name a file that its fingerprint stands for."""

HINT = "give the folder that `mirnagraph seq pretrain` wrote"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Weights that a tower starts from.

    Attributes:
        tensors: weights by their names in the tower.
        sha256: of the file of weights.
        about: contents of ``model.json``: tower, settings, tracks or outputs, metrics.
        encoding: of a tower that was pre-trained on labels, fitted on its training RNAs; None for
            an encoder.
        whole: the same for the numbers of whole RNAs.
        target: sha256 of each sequence of the set that the pre-training serves.
        rnas: sha256 of each sequence that the pre-training read.
    """

    tensors: dict[str, torch.Tensor]
    sha256: str
    about: dict[str, Any]
    encoding: FittedEncoding | None = None
    whole: FittedWhole | None = None
    target: frozenset[bytes] = frozenset()
    rnas: frozenset[bytes] = frozenset()


def save_pretrained(
    tower: Tower,
    head: torch.nn.Module,
    config: SeqConfig,
    tracks: Sequence[str],
    folder: str | Path,
    **about: Any,
) -> None:
    """Write the layers that `Tower.features` reads and the head; replaces an existing folder.

    Args:
        tower: the pre-trained tower, of which the layers of `Tower.feature_parts` are kept.
        head: predicts the tracks from the features.
        config: settings of the tower.
        tracks: outputs of the head, in order.
        folder: gets ``model.safetensors`` and ``model.json``.
        about: further entries of ``model.json``.
    """
    weights = module_arrays(tower, ENCODER)
    names = [f"{ENCODER}{name}" for name in _feature_weights(tower)]
    arrays = {name: weights[name] for name in names} | module_arrays(head, HEAD)
    header = {
        "alphabet": LETTERS,
        "tower": config.tower.name,
        "settings": _settings(config, tower),
        "tracks": list(tracks),
        **about,
    }
    with write_folder(folder, overwrite=True, content=SAVED_MODEL) as out:
        write_model(out, FORMAT, FORMAT_VERSION, header, arrays)


def load_pretrained(config: SeqConfig) -> Pretrained:
    """Read the weights of ``config.pretrained``: a folder of `mirnagraph seq pretrain`.

    Raises:
        CheckpointError: no such folder, damaged, another alphabet, tower or setting of the encoder,
            or weights of another shape.
    """
    folder = Path(config.pretrained)
    if (folder / TOWER_FOLDER).is_dir():
        return _load_tower(folder / TOWER_FOLDER, config)
    if (folder / FOLDER).is_dir():
        folder = folder / FOLDER
    file = read_model(folder, FORMAT, (FORMAT_VERSION,), hint=HINT)
    with torch.random.fork_rng():
        tower = config.make_tower(len(LETTERS), 1)
    _check_fit(file.header, config, tower, folder / HEADER)
    tensors = module_weights(file.arrays, ENCODER)
    _check_shapes(tensors, _feature_weights(tower), folder / WEIGHTS)
    return Pretrained(tensors, file.header[WEIGHTS_CHECKSUM], file.header)


def save_pretrained_tower(
    tower: Tower,
    encoding: FittedEncoding,
    whole: FittedWhole,
    config: SeqConfig,
    folder: str | Path,
    *,
    target: np.ndarray,
    rnas: np.ndarray,
    **about: Any,
) -> None:
    """Write a tower that was pre-trained on labels; replaces an existing folder.

    Args:
        tower: the pre-trained tower, its head among it.
        encoding: fitted on the training RNAs of the pre-training.
        whole: the same for the numbers of whole RNAs.
        config: settings of the tower.
        folder: gets ``model.safetensors`` and ``model.json``.
        target: sha256 of each target sequence, of `seqtower.pretraining.target.digests`.
        rnas: sha256 of each sequence of the pre-training.
        about: further entries of ``model.json``.
    """
    arrays = module_arrays(tower, TOWER) | encoding.to_arrays() | whole.to_arrays()
    arrays |= {TARGET_RNAS: target, PRETRAINING_RNAS: rnas}
    header = {
        "alphabet": LETTERS,
        "tower": config.tower.name,
        **encoding_header(config, encoding),
        **about,
    }
    with write_folder(folder, overwrite=True, content=SAVED_MODEL) as out:
        write_model(out, TOWER_FORMAT, TOWER_VERSION, header, arrays)


def _load_tower(folder: Path, config: SeqConfig) -> Pretrained:
    """Read what `save_pretrained_tower` wrote, for a tower of these settings."""
    file = read_model(folder, TOWER_FORMAT, (TOWER_VERSION,), alphabet=LETTERS, hint=HINT)
    path = folder / HEADER
    check_entries(file.header, TOWER_ENTRIES, path)
    with consistent_files(path):
        settings = config_from(file.header["config"], where="config")
        fingerprint = str(file.header["encoder_fingerprint"])
    for name, expected in _start_settings(config).items():
        what = "the pre-training has another setting"
        _require_equal(what, path, name, _start_settings(settings).get(name), expected)
    if ENCODERS[config.encoder.name].is_cached:
        what = "the pre-training read another network or package of its encoder"
        expected = check_encoder(config.encoder)
        _require_equal(what, path, "encoder_fingerprint", fingerprint, expected)
    with consistent_files(folder):
        encoding = restore_encoding(config, file.header, file.arrays)
        whole = read_whole(file.arrays, config.whole)
        target = _as_digests(file.arrays[TARGET_RNAS])
        rnas = _as_digests(file.arrays[PRETRAINING_RNAS])
    with torch.random.fork_rng():
        tower = config.make_tower(encoding.channels, 1, whole=whole.widths)
    tensors = _without_head(module_weights(file.arrays, TOWER))
    _check_shapes(tensors, _without_head(tower.state_dict()), folder / WEIGHTS)
    about = file.header
    return Pretrained(tensors, about[WEIGHTS_CHECKSUM], about, encoding, whole, target, rnas)


def _start_settings(config: SeqConfig) -> dict[str, Any]:
    """Settings that a tower shares with its pre-training, by dotted name, as JSON has them."""
    encoder = to_dict(config.encoder.settings)
    tables = {
        "tower": {"name": config.tower.name},
        "tower.settings": to_dict(config.tower.settings),
        "encoder": {"name": config.encoder.name},
        "encoder.settings": {key: encoder[key] for key in encoder if key not in PLACES},
        "lengths": to_dict(config.lengths),
        "whole": to_dict(config.whole),
    }
    names = {}
    for table, values in tables.items():
        for key, value in values.items():
            names[f"{table}.{key}"] = list(value) if isinstance(value, tuple) else value
    return names


def _as_digests(array: np.ndarray) -> frozenset[bytes]:
    if array.dtype != np.uint8 or array.shape[1:] != (DIGEST,):
        raise ValueError(f"hashes of sequences of shape {array.shape}")
    return frozenset(row.tobytes() for row in array)


def _without_head(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in weights.items() if name.split(".")[0] not in NOT_TAKEN}


def _check_shapes(
    tensors: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], path: Path
) -> None:
    """Raise CheckpointError unless both have the same names and shapes."""
    expected = {name: tuple(value.shape) for name, value in weights.items()}
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(set(expected) | set(shapes)):
        what = "weights of another shape"
        _require_equal(what, path, name, shapes.get(name), expected.get(name))


def _check_fit(header: Mapping[str, Any], config: SeqConfig, tower: Tower, path: Path) -> None:
    alphabet = f"{config.encoder.name} {header.get('alphabet')}"
    what = "the encoder reads another alphabet than the tower"
    _require_equal(what, path, "alphabet", alphabet, f"{ONE_HOT} {LETTERS}")
    what = "the encoder is of another tower"
    _require_equal(what, path, "tower", header.get("tower"), config.tower.name)
    settings = header.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    for name, expected in _settings(config, tower).items():
        what = "the encoder has another setting"
        _require_equal(what, path, name, settings.get(name), expected)


def _require_equal(what: str, path: Path, column: str, found: object, expected: object) -> None:
    if found != expected:
        raise CheckpointError(what, file=path, column=column, found=found, expected=expected)


def _settings(config: SeqConfig, tower: Tower) -> dict[str, Any]:
    """Settings that decide the encoder's shapes and dilations, as JSON has them."""
    settings = to_dict(config.tower.settings)
    return {name: settings[name] for name in tower.feature_settings}


def _feature_weights(tower: Tower) -> dict[str, torch.Tensor]:
    """Weights of the layers that `Tower.features` reads, by name."""
    return {
        name: value
        for name, value in tower.state_dict().items()
        if name.split(".")[0] in tower.feature_parts
    }
