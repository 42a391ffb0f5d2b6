"""SavedModel on runs.model_file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from fusion.config import ExperimentConfig
from fusion.models.attention import TokenFusion
from fusion.models.ensemble import EXTRA_TREES, FusionModel
from fusion.models.reference import ARRAYS, TABLE, ReferenceRNAs
from fusion.models.training import TrainedAttention, member_settings
from fusion.tokens.names import current_name, current_settings, single_tokens
from fusion.tokens.sequence_tower import FittedTowers
from fusion.tokens.table import TokenTable
from mirnagraph.config import from_dict, to_dict
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.io import sha256_of, write_folder
from mirnagraph.runs.folder import package_versions
from mirnagraph.runs.model_file import (
    check_description,
    read_description,
    read_weights,
    write_model,
)
from mirnagraph.trees import TreeArrays
from seqtower.config import config_from
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import read_encoding
from seqtower.towers.base import make_tower

FORMAT_VERSION = 3

KIND = "fusion"
NEWCOMERS = "newcomers"

IN_BAG = "in_bag"
"""Array of `FusionModel.in_bag`, one bit each, eight trees to a byte; absent in models that were saved without it."""

PREFIX = "tower."
START = "tower.start"


def save_model(
    fusion_model: FusionModel,
    known: ReferenceRNAs,
    compartments: tuple[str, ...],
    folder: str | Path,
    *,
    about: Mapping[str, Any],
    newcomers: FusionModel | None = None,
) -> None:
    """Write a model folder; replaces what is there.

    ``model.safetensors`` and ``model.json`` are the model, ``known.tsv`` and ``known.safetensors`` the RNAs it was made with, and the folder
    ``newcomers`` the model for RNAs of which the sequence alone is known.

    Args:
        known: all RNAs, in row order, with the learner's tokens.
        about: more to keep in ``model.json``: data, protocol, figures.
    """
    with write_folder(folder, overwrite=True) as out:
        known.save(out)
        kept = {
            "nodes_checksum": known.index.checksum,
            "known_sha256": {name: sha256_of(out / name) for name in (TABLE, ARRAYS)},
        }
        _write_fusion_model(fusion_model, compartments, out, {**kept, **about})
        if newcomers is not None:
            (out / NEWCOMERS).mkdir()
            _write_fusion_model(
                newcomers,
                compartments[: len(newcomers.thresholds)],
                out / NEWCOMERS,
                {"nodes_checksum": known.index.checksum},
            )


def _write_fusion_model(
    fusion_model: FusionModel, compartments: tuple[str, ...], out: Path, about: Mapping[str, Any]
) -> None:
    arrays: dict[str, np.ndarray] = {
        "thresholds": np.asarray(fusion_model.thresholds, dtype=np.float64)
    }
    if fusion_model.attention is not None:
        for number, member in enumerate(fusion_model.attention.members):
            arrays.update(
                {
                    f"attention.{number}.{name}": value.numpy()
                    for name, value in member.state_dict().items()
                }
            )
    for name, trees in fusion_model.trees.items():
        arrays.update(trees.to_arrays(f"trees.{name}"))
    if fusion_model.in_bag is not None:
        arrays[IN_BAG] = np.packbits(fusion_model.in_bag, axis=0)
    if fusion_model.towers is not None:
        arrays.update(tower_arrays(fusion_model.towers))
        about = {"tower": about_towers(fusion_model.towers), **about}
    arrays.update({f"profiles.{kind}": profile for kind, profile in fusion_model.profiles.items()})
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    text = {
        "format_version": FORMAT_VERSION,
        "format": KIND,
        "compartments": list(compartments),
        "config": to_dict(fusion_model.config),
        "tokens": {token.name: token.width for token in fusion_model.tokens},
        "members": len(fusion_model.attention.members) if fusion_model.attention is not None else 0,
        "trees": list(fusion_model.trees),
        "profiles": list(fusion_model.profiles),
        "weights": dict(fusion_model.weights),
        "temperature": fusion_model.temperature,
        "versions": package_versions(),
        **about,
    }
    write_model(out, text, lambda path, described: save_file(arrays, path, described))


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A model read back.

    Attributes:
        compartments: names, in the order of the probabilities' columns.
        widths: token name -> width, as it was trained.
        about: everything in ``model.json``.
        profiles: see `fusion.models.ensemble.FusionModel`.
        known: the RNAs it was made with; None for the model for newcomers, which reads those of the model it stands beside.
        newcomers: the model for RNAs of which the sequence alone is known, for the leading compartments; None where there is none.
        towers: what makes the token ``tower`` of any RNAs (`fusion.tokens.sequence_tower.FittedTowers.token`); None for a model without.
        in_bag: see `fusion.models.ensemble.FusionModel`.
    """

    config: ExperimentConfig
    compartments: tuple[str, ...]
    widths: dict[str, int]
    attention: TrainedAttention | None
    trees: dict[str, TreeArrays]
    weights: dict[str, float]
    thresholds: np.ndarray
    temperature: float
    about: dict[str, Any]
    profiles: dict[str, np.ndarray]
    known: ReferenceRNAs | None = None
    newcomers: SavedModel | None = None
    towers: FittedTowers | None = None
    in_bag: np.ndarray | None = None

    def fusion_model(self, tokens: TokenTable) -> FusionModel:
        """The model on the tokens of any RNAs; raises CheckpointError where a token is missing or has another width."""
        for name, width in self.widths.items():
            found = tokens.sources.get(name)
            if found != width:
                raise CheckpointError(
                    "the model does not fit these tokens",
                    column=name,
                    found=found or "nothing",
                    expected=f"width {width}",
                )
        return self.on(tokens)

    def on(self, tokens: TokenTable) -> FusionModel:
        """The same, with nothing checked: for tokens that are still to be made."""
        return FusionModel(
            self.config,
            tokens,
            self.attention,
            self.trees,
            self.weights,
            self.thresholds,
            self.temperature,
            profiles=self.profiles,
            towers=self.towers,
            in_bag=self.in_bag,
        )


def load_model(folder: str | Path) -> SavedModel:
    """Read a model folder.

    Raises:
        CheckpointError: not a model, unknown format, damaged, or numbers that do not fit the description.
    """
    folder = Path(folder)
    model = _read_fusion_model(folder)
    for name, expected in dict(model.about.get("known_sha256", {})).items():
        found = (
            sha256_of(folder / name)
            if name in (TABLE, ARRAYS) and (folder / name).is_file()
            else "no such file"
        )
        if found != expected:
            raise CheckpointError(
                "the model's RNAs are not those that model.json describes",
                file=folder / str(name),
                found=found,
                expected=expected,
            )
    known = ReferenceRNAs.load(folder, tuple(model.widths), len(model.compartments))
    if known.index.checksum != model.about.get("nodes_checksum"):
        raise CheckpointError(
            "the model's RNAs are not in the order that model.json describes", file=folder / TABLE
        )
    model.fusion_model(known.tokens)  # raises where what is kept of a token has another width
    newcomers = _read_fusion_model(folder / NEWCOMERS) if (folder / NEWCOMERS).is_dir() else None
    own = (
        model.compartments
        if newcomers is None or known.types is None
        else model.compartments[: len(newcomers.compartments)]
    )
    if newcomers is not None and (
        newcomers.compartments,
        newcomers.about.get("nodes_checksum"),
    ) != (own, known.index.checksum):
        raise CheckpointError(
            "the model for newcomers is not one of this model", file=folder / NEWCOMERS
        )
    wrong = (
        []
        if newcomers is None
        else [
            kind
            for kind, profile in newcomers.profiles.items()
            if profile.ndim != 2 or len(profile) != known.n_network_rnas
        ]
    )
    if wrong:
        raise CheckpointError(
            "the model for newcomers carries over from other RNAs than the model's",
            file=folder / NEWCOMERS,
            column=wrong[0],
        )
    return replace(model, known=known, newcomers=newcomers)


def _read_fusion_model(folder: Path) -> SavedModel:
    about = read_description(folder, {"format_version": FORMAT_VERSION})
    arrays = read_weights(folder, about, load_file)
    try:
        config = from_dict(ExperimentConfig, about["config"], where=str(folder / "model.json"))
        config = replace(config, tokens=current_settings(config.tokens))
        compartments = tuple(str(name) for name in about["compartments"])
        trees = {name: TreeArrays.from_arrays(arrays, f"trees.{name}") for name in about["trees"]}
        widths = {current_name(str(name)): int(width) for name, width in about["tokens"].items()}
        towers = (
            read_towers(arrays, about["tower"], len(compartments)) if "tower" in about else None
        )
        attention = _read_attention(
            arrays, config, widths, len(compartments), int(about["members"])
        )
        weights = {str(name): float(value) for name, value in about["weights"].items()}
        profiles = {str(kind): arrays[f"profiles.{kind}"] for kind in about["profiles"]}
        model = SavedModel(
            config,
            compartments,
            widths,
            attention,
            trees,
            weights,
            arrays["thresholds"],
            float(about["temperature"]),
            about,
            profiles,
            towers=towers,
            in_bag=_read_in_bag(arrays, trees),
        )
        _check_numbers(model)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            "the model's files do not fit each other", file=folder, found=str(error).splitlines()[0]
        ) from None
    check_description(folder, about)
    return model


def _read_in_bag(
    arrays: Mapping[str, np.ndarray], trees: Mapping[str, TreeArrays]
) -> np.ndarray | None:
    """Bootstrap samples of the extra trees; raises ValueError where they are not those of the trees."""
    if IN_BAG not in arrays:
        return None
    bits = arrays[IN_BAG]
    n_trees = len(trees[EXTRA_TREES].roots) if EXTRA_TREES in trees else 0
    if bits.dtype != np.uint8 or bits.ndim != 2 or len(bits) != -(-n_trees // 8):
        raise ValueError(f"bootstrap samples of shape {bits.shape} for {n_trees} trees")
    return np.unpackbits(bits, axis=0, count=n_trees).astype(bool)


def _check_numbers(model: SavedModel) -> None:
    """Raises ValueError where numbers do not fit the description: loading should say so, not the first prediction."""
    n_labels = len(model.compartments)
    parts = (["attention"] if model.attention is not None else []) + list(model.trees)
    if model.thresholds.shape != (n_labels,) or not np.isfinite(model.thresholds).all():
        raise ValueError(
            f"thresholds of shape {model.thresholds.shape} for {n_labels} compartments"
        )
    if not (np.isfinite(model.temperature) and model.temperature > 0):
        raise ValueError(f"temperature {model.temperature}")
    if not parts or set(model.weights) != set(parts):
        raise ValueError(
            f"weights of {', '.join(model.weights) or 'nothing'} for {', '.join(parts) or 'nothing'}"
        )
    width = sum(model.widths[name] for name in single_tokens(model.config.tokens.trees))
    for name, trees in model.trees.items():
        if trees.value.shape[1] != n_labels or int(trees.feature.max(initial=-1)) >= width:
            raise ValueError(f"trees {name!r} for other tokens or compartments")


def _read_attention(
    arrays: dict[str, np.ndarray],
    config: ExperimentConfig,
    widths: dict[str, int],
    n_labels: int,
    members: int,
) -> TrainedAttention | None:
    if members == 0:
        return None
    models = []
    for number in range(members):
        settings = member_settings(
            config.attention, config.training, student=number >= config.training.n_members
        )
        token_widths = {
            name: sum(widths[part] for part in single_tokens([name]))
            for name in config.tokens.attention
        }
        with torch.random.fork_rng(devices=[]):
            model = TokenFusion(token_widths, n_labels, settings)
        prefix = f"attention.{number}."
        model.load_state_dict(
            {
                name.removeprefix(prefix): torch.from_numpy(value)
                for name, value in arrays.items()
                if name.startswith(prefix)
            }
        )
        models.append(model.eval())
    return TrainedAttention(models)


def tower_arrays(towers: FittedTowers) -> dict[str, np.ndarray]:
    """All numbers by name, for safetensors."""
    arrays = {**towers.encoding.to_arrays(PREFIX), START: towers.start}
    for number, tower in enumerate(towers.towers):
        arrays.update(
            {
                f"{PREFIX}{number}.{name}": value.numpy()
                for name, value in tower.state_dict().items()
            }
        )
    return arrays


def about_towers(towers: FittedTowers) -> dict[str, Any]:
    """What a person may want to read, and what `read_towers` needs."""
    encoding = towers.encoding
    return {
        "config": to_dict(towers.config), "lengths": to_dict(encoding.lengths), "channels": encoding.channels,
        "encoder_fingerprint": encoding.fingerprint, "towers": len(towers.towers),
    }  # fmt: skip


def read_towers(
    arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], n_labels: int
) -> FittedTowers:
    """Back from both.

    Raises:
        KeyError, ValueError, RuntimeError, ConfigError: they do not fit each other.
    """
    config = config_from(about["config"], where="tower.config")
    encoding = read_encoding(
        config.encoder,
        from_dict(LengthPolicy, about["lengths"]),
        arrays,
        int(about["channels"]),
        str(about["encoder_fingerprint"]),
        PREFIX,
    )
    towers = []
    for number in range(int(about["towers"])):
        with torch.random.fork_rng(devices=[]):
            tower = make_tower(
                config.tower.name, config.tower.settings, encoding.channels, n_labels
            )
        prefix = f"{PREFIX}{number}."
        tower.load_state_dict(
            {
                name.removeprefix(prefix): torch.from_numpy(value)
                for name, value in arrays.items()
                if name.startswith(prefix)
            }
        )
        towers.append(tower.eval())
    if arrays[START].shape != (len(towers), n_labels):
        raise ValueError(f"starting logits of shape {arrays[START].shape} for {len(towers)} towers")
    return FittedTowers(config, encoding, tuple(towers), arrays[START])
