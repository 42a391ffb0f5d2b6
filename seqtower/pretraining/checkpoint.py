"""A pre-trained encoder on disk, and what has to fit before a tower may start from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mirnagraph.config import to_dict
from mirnagraph.errors import CheckpointError
from mirnagraph.io import write_folder
from mirnagraph.runs.folder import package_versions
from mirnagraph.runs.model_file import (
    DESCRIPTION,
    WEIGHTS,
    check_description,
    read_description,
    read_weights,
    write_model,
)
from seqtower.config import SeqConfig
from seqtower.data.kmers import LETTERS
from seqtower.encoders.base import ONE_HOT
from seqtower.towers.base import Tower, make_tower

FORMAT_VERSION = 1

KIND = "seqtower-encoder"

FOLDER = "encoder"

ENCODER = "encoder."
HEAD = "head."


@dataclass(frozen=True, eq=False)
class Pretrained:
    """An encoder that fits a tower.

    Attributes:
        tensors: weights by their names in the tower.
        sha256: of the file of weights.
        about: everything in ``model.json``: tower, settings, tracks, figures.
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
    """Write the layers that `Tower.features` reads and the head over them; replaces what is there.

    Args:
        tracks: what the head predicts, in its order.
    """
    with write_folder(folder, overwrite=True) as out:
        tensors = {f"{HEAD}{name}": value.contiguous() for name, value in head.state_dict().items()}
        tensors |= {
            f"{ENCODER}{name}": value.contiguous() for name, value in _features_of(tower).items()
        }
        text = {
            "format": KIND, "format_version": FORMAT_VERSION, "alphabet": LETTERS, "tower": config.tower.name, "settings": _settings(config, tower),
            "tracks": list(tracks), "versions": package_versions(), **about,
        }  # fmt: skip
        write_model(out, text, lambda path, described: save_file(tensors, path, described))


def load_pretrained(config: SeqConfig) -> Pretrained:
    """Read the encoder that ``config.pretrained`` names: the folder of `mirnagraph seq pretrain`, or ``encoder`` in it.

    Raises:
        CheckpointError: no such folder, damaged, another alphabet, tower, or setting of the encoder, or weights of another shape.
    """
    folder = Path(config.pretrained)
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    hint = "give the folder that `mirnagraph seq pretrain` wrote"
    about = read_description(folder, {"format": KIND, "format_version": FORMAT_VERSION}, hint=hint)
    with torch.random.fork_rng():
        tower = make_tower(config.tower.name, config.tower.settings, len(LETTERS), 1)
    _check_fit(about, config, tower, folder / DESCRIPTION)
    tensors = read_weights(folder, about, load_file)
    check_description(folder, about)
    kept = {
        name.removeprefix(ENCODER): value
        for name, value in tensors.items()
        if name.startswith(ENCODER)
    }
    expected = {name: tuple(value.shape) for name, value in _features_of(tower).items()}
    shapes = {name: tuple(value.shape) for name, value in kept.items()}
    for name in sorted(set(expected) | set(shapes)):
        if expected.get(name) != shapes.get(name):
            raise CheckpointError(
                "weights of another shape",
                file=folder / WEIGHTS,
                column=name,
                found=shapes.get(name),
                expected=expected.get(name),
            )
    return Pretrained(kept, about["weights_sha256"], about)


def _check_fit(about: Mapping[str, Any], config: SeqConfig, tower: Tower, path: Path) -> None:
    if about.get("alphabet") != LETTERS or config.encoder.name != ONE_HOT:
        found = about.get("alphabet") if config.encoder.name == ONE_HOT else config.encoder.name
        raise CheckpointError(
            "the encoder reads another alphabet than the tower",
            file=path,
            column="alphabet",
            found=found,
            expected=f"one-hot {LETTERS}",
        )
    if about.get("tower") != config.tower.name:
        raise CheckpointError(
            "the encoder is of another tower",
            file=path,
            column="tower",
            found=about.get("tower"),
            expected=config.tower.name,
        )
    given = about.get("settings")
    for name, value in _settings(config, tower).items():
        held = given.get(name) if isinstance(given, Mapping) else None
        if held != value:
            raise CheckpointError(
                "the encoder has another setting",
                file=path,
                column=name,
                found=held,
                expected=value,
            )


def _settings(config: SeqConfig, tower: Tower) -> dict[str, Any]:
    """Settings that the encoder's shapes and dilations come from, as JSON has them."""
    own = to_dict(config.tower.settings)
    return {name: own[name] for name in tower.feature_settings}


def _features_of(tower: Tower) -> dict[str, torch.Tensor]:
    return {
        name: value
        for name, value in tower.state_dict().items()
        if name.split(".")[0] in tower.feature_parts
    }
