"""A pre-trained encoder on disk, and the checks before a tower starts from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mirnagraph.config import to_dict
from mirnagraph.errors import CheckpointError
from mirnagraph.io import write_folder
from mirnagraph.runs.model_file import (
    HEADER,
    WEIGHTS,
    WEIGHTS_CHECKSUM,
    module_arrays,
    module_weights,
    read_model,
    write_model,
)
from seqtower.config import SeqConfig
from seqtower.data.kmers import LETTERS
from seqtower.encoders.base import ONE_HOT
from seqtower.towers.base import Tower

FORMAT = "seqtower-encoder"
FORMAT_VERSION = 1

FOLDER = "encoder"

ENCODER = "encoder."
HEAD = "head."


@dataclass(frozen=True, eq=False)
class Pretrained:
    """An encoder that fits a tower.

    Attributes:
        tensors: weights by their names in the tower.
        sha256: of the file of weights.
        about: contents of ``model.json``: tower, settings, tracks, metrics.
    """

    tensors: dict[str, torch.Tensor]
    sha256: str
    about: dict[str, Any]


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
    names = [f"{ENCODER}{name}" for name in _feature_shapes(tower)]
    arrays = {name: weights[name] for name in names} | module_arrays(head, HEAD)
    header = {
        "alphabet": LETTERS,
        "tower": config.tower.name,
        "settings": _settings(config, tower),
        "tracks": list(tracks),
        **about,
    }
    with write_folder(folder, overwrite=True) as out:
        write_model(out, FORMAT, FORMAT_VERSION, header, arrays)


def load_pretrained(config: SeqConfig) -> Pretrained:
    """Read the encoder of ``config.pretrained``: a folder of `mirnagraph seq pretrain`.

    Raises:
        CheckpointError: no such folder, damaged, another alphabet, tower or setting of the encoder,
            or weights of another shape.
    """
    folder = Path(config.pretrained)
    if (folder / FOLDER).is_dir():
        folder = folder / FOLDER
    file = read_model(
        folder,
        FORMAT,
        (FORMAT_VERSION,),
        hint="give the folder that `mirnagraph seq pretrain` wrote",
    )
    with torch.random.fork_rng():
        tower = config.make_tower(len(LETTERS), 1)
    _check_fit(file.header, config, tower, folder / HEADER)
    tensors = module_weights(file.arrays, ENCODER)
    expected = _feature_shapes(tower)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(set(expected) | set(shapes)):
        what = "weights of another shape"
        _require_equal(what, folder / WEIGHTS, name, shapes.get(name), expected.get(name))
    return Pretrained(tensors, file.header[WEIGHTS_CHECKSUM], file.header)


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


def _feature_shapes(tower: Tower) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that `Tower.features` reads, by name."""
    return {
        name: tuple(value.shape)
        for name, value in tower.state_dict().items()
        if name.split(".")[0] in tower.feature_parts
    }
