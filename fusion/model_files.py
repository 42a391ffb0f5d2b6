"""A fitted model on disk: safetensors for numbers, JSON for everything a person may want to read; loading runs no code of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from fusion.attention import TokenFusion
from fusion.known import ARRAYS, TABLE, KnownRNAs
from fusion.learner import EXTRA_TREES, Learner
from fusion.settings import ExperimentConfig
from fusion.tokens import TokenTable, single_tokens
from fusion.tower import FittedTowers
from fusion.tower_files import about_towers, read_towers, tower_arrays
from fusion.training import TrainedAttention, member_settings
from mirnagraph.config import from_dict, to_dict
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.files import sha256_of, write_folder
from mirnagraph.model_json import check_description, read_description, read_weights, write_model
from mirnagraph.runs import package_versions
from mirnagraph.trees import TreeArrays

FORMAT_VERSION = 3
KIND, NEWCOMERS = "fusion", "newcomers"
IN_BAG = "in_bag"
"""Array of `Learner.in_bag`, one bit each, eight trees to a byte; absent in models that were saved without it."""


def save_model(
    learner: Learner,
    known: KnownRNAs,
    compartments: tuple[str, ...],
    folder: str | Path,
    *,
    about: Mapping[str, Any],
    newcomers: Learner | None = None,
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
        kept = {"nodes_checksum": known.index.checksum, "known_sha256": {name: sha256_of(out / name) for name in (TABLE, ARRAYS)}}
        _write_learner(learner, compartments, out, {**kept, **about})
        if newcomers is not None:
            (out / NEWCOMERS).mkdir()
            _write_learner(newcomers, compartments[: len(newcomers.thresholds)], out / NEWCOMERS, {"nodes_checksum": known.index.checksum})


def _write_learner(learner: Learner, compartments: tuple[str, ...], out: Path, about: Mapping[str, Any]) -> None:
    arrays: dict[str, np.ndarray] = {"thresholds": np.asarray(learner.thresholds, dtype=np.float64)}
    if learner.attention is not None:
        for number, member in enumerate(learner.attention.members):
            arrays.update({f"attention.{number}.{name}": value.numpy() for name, value in member.state_dict().items()})
    for name, trees in learner.trees.items():
        arrays.update(trees.to_arrays(f"trees.{name}"))
    if learner.in_bag is not None:
        arrays[IN_BAG] = np.packbits(learner.in_bag, axis=0)
    if learner.towers is not None:
        arrays.update(tower_arrays(learner.towers))
        about = {"tower": about_towers(learner.towers), **about}
    arrays.update({f"profiles.{kind}": profile for kind, profile in learner.profiles.items()})
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    text = {
        "format_version": FORMAT_VERSION,
        "format": KIND,
        "compartments": list(compartments),
        "config": to_dict(learner.config),
        "tokens": {token.name: token.width for token in learner.tokens},
        "members": len(learner.attention.members) if learner.attention is not None else 0,
        "trees": list(learner.trees),
        "profiles": list(learner.profiles),
        "weights": dict(learner.weights),
        "temperature": learner.temperature,
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
        profiles: see `fusion.learner.Learner`.
        known: the RNAs it was made with; None for the model for newcomers, which reads those of the model it stands beside.
        newcomers: the model for RNAs of which the sequence alone is known, for the leading compartments; None where there is none.
        towers: what makes the token ``tower`` of any RNAs (`fusion.tower.FittedTowers.token`); None for a model without.
        in_bag: see `fusion.learner.Learner`.
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
    known: KnownRNAs | None = None
    newcomers: SavedModel | None = None
    towers: FittedTowers | None = None
    in_bag: np.ndarray | None = None

    def learner(self, tokens: TokenTable) -> Learner:
        """The model on the tokens of any RNAs; raises CheckpointError where a token is missing or has another width."""
        for name, width in self.widths.items():
            found = tokens.sources.get(name)
            if found != width:
                raise CheckpointError("the model does not fit these tokens", column=name, found=found or "nothing", expected=f"width {width}")
        return self.on(tokens)

    def on(self, tokens: TokenTable) -> Learner:
        """The same, with nothing checked: for tokens that are still to be made."""
        return Learner(
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
    model = _read_learner(folder)
    for name, expected in dict(model.about.get("known_sha256", {})).items():
        found = sha256_of(folder / name) if name in (TABLE, ARRAYS) and (folder / name).is_file() else "no such file"
        if found != expected:
            raise CheckpointError("the model's RNAs are not those that model.json describes", file=folder / str(name), found=found, expected=expected)
    known = KnownRNAs.load(folder, tuple(model.widths), len(model.compartments))
    if known.index.checksum != model.about.get("nodes_checksum"):
        raise CheckpointError("the model's RNAs are not in the order that model.json describes", file=folder / TABLE)
    model.learner(known.tokens)  # raises where what is kept of a token has another width
    newcomers = _read_learner(folder / NEWCOMERS) if (folder / NEWCOMERS).is_dir() else None
    own = model.compartments if newcomers is None or known.types is None else model.compartments[: len(newcomers.compartments)]
    if newcomers is not None and (newcomers.compartments, newcomers.about.get("nodes_checksum")) != (own, known.index.checksum):
        raise CheckpointError("the model for newcomers is not one of this model", file=folder / NEWCOMERS)
    wrong = [] if newcomers is None else [kind for kind, profile in newcomers.profiles.items() if profile.ndim != 2 or len(profile) != known.n_home]
    if wrong:
        raise CheckpointError("the model for newcomers carries over from other RNAs than the model's", file=folder / NEWCOMERS, column=wrong[0])
    return replace(model, known=known, newcomers=newcomers)


def _read_learner(folder: Path) -> SavedModel:
    about = read_description(folder, {"format_version": FORMAT_VERSION})
    arrays = read_weights(folder, about, load_file)
    try:
        config = from_dict(ExperimentConfig, about["config"], where=str(folder / "model.json"))
        compartments = tuple(str(name) for name in about["compartments"])
        trees = {name: TreeArrays.from_arrays(arrays, f"trees.{name}") for name in about["trees"]}
        widths = {str(name): int(width) for name, width in about["tokens"].items()}
        towers = read_towers(arrays, about["tower"], len(compartments)) if "tower" in about else None
        attention = _read_attention(arrays, config, widths, len(compartments), int(about["members"]))
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
        raise CheckpointError("the model's files do not fit each other", file=folder, found=str(error).splitlines()[0]) from None
    check_description(folder, about)
    return model


def _read_in_bag(arrays: Mapping[str, np.ndarray], trees: Mapping[str, TreeArrays]) -> np.ndarray | None:
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
        raise ValueError(f"thresholds of shape {model.thresholds.shape} for {n_labels} compartments")
    if not (np.isfinite(model.temperature) and model.temperature > 0):
        raise ValueError(f"temperature {model.temperature}")
    if not parts or set(model.weights) != set(parts):
        raise ValueError(f"weights of {', '.join(model.weights) or 'nothing'} for {', '.join(parts) or 'nothing'}")
    width = sum(model.widths[name] for name in single_tokens(model.config.tokens.trees))
    for name, trees in model.trees.items():
        if trees.value.shape[1] != n_labels or int(trees.feature.max(initial=-1)) >= width:
            raise ValueError(f"trees {name!r} for other tokens or compartments")


def _read_attention(
    arrays: dict[str, np.ndarray], config: ExperimentConfig, widths: dict[str, int], n_labels: int, members: int
) -> TrainedAttention | None:
    if members == 0:
        return None
    models = []
    for number in range(members):
        settings = member_settings(config.attention, config.training, student=number >= config.training.n_members)
        token_widths = {name: sum(widths[part] for part in single_tokens([name])) for name in config.tokens.attention}
        with torch.random.fork_rng(devices=[]):
            model = TokenFusion(token_widths, n_labels, settings)
        prefix = f"attention.{number}."
        model.load_state_dict({name.removeprefix(prefix): torch.from_numpy(value) for name, value in arrays.items() if name.startswith(prefix)})
        models.append(model.eval())
    return TrainedAttention(models)
