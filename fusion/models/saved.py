"""A trained fusion model, its reference RNAs and its cold-start model, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fusion.config import FUSION, ExperimentConfig
from fusion.models.attention import TokenFusion
from fusion.models.ensemble import ATTENTION, EXTRA_TREES, KERNEL, FusionModel
from fusion.models.kernel import KernelModel
from fusion.models.kernel_features import KernelFeatures
from fusion.models.reference import ARRAYS, TABLE, ReferenceRNAs
from fusion.models.towers import TwoTowerFusion
from fusion.models.towers_training import TrainedFusion
from fusion.models.training import TrainedAttention, member_settings
from fusion.nn.encoding import PiecewiseLinear
from fusion.tokens.names import current_name, current_settings, single_tokens
from fusion.tokens.sequence_tower import FittedTowers
from fusion.tokens.table import TokenTable
from mirnagraph.config import from_dict, to_dict
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import sha256_of, write_folder
from mirnagraph.names.mirbase import MirbaseNames
from mirnagraph.names.store import FILES as NAME_FILES
from mirnagraph.names.store import load_names, save_names
from mirnagraph.runs.model_file import (
    HEADER,
    consistent_files,
    module_arrays,
    module_weights,
    read_model,
    write_model,
)
from mirnagraph.trees import TreeArrays
from mirnagraph.writing.contents import SAVED_MODEL
from seqtower.config import config_from
from seqtower.saved import encoding_header, restore_encoding, restore_tower

FORMAT = "fusion"
FORMAT_VERSION = 3

COLD_START = "newcomers"
"""Folder of the cold-start model inside a model folder."""

HAS_COLD_START = "has_cold_start"
"""Entry of ``model.json``; models of earlier versions lack it."""

NAMES = "names"
"""Entry of ``model.json``: species, release and sha256 of the names of miRBase."""

IN_BAG = "in_bag"
"""Array of `FusionModel.in_bag`, one bit each, eight trees to a byte; older models lack it."""

PREFIX = "tower."
START = "tower.start"


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A model read from disk.

    Attributes:
        config: settings of the run.
        compartments: names, in the order of the columns of the probabilities.
        widths: token name -> width, as in training.
        attention: its members; None for trees alone.
        trees: name -> trees, see `fusion.models.ensemble.FusionModel`.
        weights: weight of attention and of each kind of trees.
        thresholds: probability from which a compartment is called, shape (n_labels,).
        temperature: divides the logits; 1 for none.
        about: contents of ``model.json``.
        profiles: see `fusion.models.ensemble.FusionModel`.
        reference: RNAs of the training data; None for a cold-start model, which uses those of the
            model that it belongs to.
        cold_start: model for new RNAs of which only the sequence is known, for the leading
            compartments; None for none.
        towers: makes the token ``tower`` of any RNA, see
            `fusion.tokens.sequence_tower.FittedTowers.token`; None for a model without it.
        in_bag, kernel: see `fusion.models.ensemble.FusionModel`.
        folder: that it was read from.
    """

    config: ExperimentConfig
    compartments: tuple[str, ...]
    widths: dict[str, int]
    attention: TrainedAttention | TrainedFusion | None
    trees: dict[str, TreeArrays]
    weights: dict[str, float]
    thresholds: np.ndarray
    temperature: float
    about: dict[str, Any]
    profiles: dict[str, np.ndarray]
    reference: ReferenceRNAs | None = None
    cold_start: SavedModel | None = None
    towers: FittedTowers | None = None
    in_bag: np.ndarray | None = None
    kernel: KernelModel | None = None
    folder: Path | None = None

    def fusion_model(self, tokens: TokenTable) -> FusionModel:
        """Return the model on the tokens of any RNAs.

        Raises:
            CheckpointError: a token is missing or has another width than in training.
        """
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
        """Return the model on tokens without checks, for tokens that are still to be built."""
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
            kernel=self.kernel,
        )


def save_model(
    fusion_model: FusionModel,
    reference: ReferenceRNAs,
    compartments: tuple[str, ...],
    folder: str | Path,
    *,
    about: Mapping[str, Any],
    cold_start: FusionModel | None = None,
) -> None:
    """Write a model folder; replaces an existing one.

    ``model.safetensors`` and ``model.json`` are the model, ``known.tsv`` and ``known.safetensors``
    the reference RNAs, ``names.tsv`` and ``names_earlier.tsv`` names of miRBase where the dataset
    has them, and the folder ``newcomers`` the cold-start model.

    Args:
        fusion_model: the final model.
        reference: all RNAs in row order, with the tokens of `fusion_model`.
        compartments: names, in the order of the columns of the probabilities.
        folder: the model folder.
        about: further entries of ``model.json``: data, protocol, metrics.
        cold_start: model for new RNAs of which only the sequence is known; None for none.
    """
    checksum = reference.index.checksum
    with write_folder(folder, overwrite=True, content=SAVED_MODEL) as out:
        reference.save(out)
        reference_sha256 = {name: sha256_of(out / name) for name in (TABLE, ARRAYS)}
        entries = {
            "nodes_checksum": checksum,
            "known_sha256": reference_sha256,
            HAS_COLD_START: cold_start is not None,
            **about,
        }
        if reference.names is not None:
            of_names = save_names(reference.names, out)
            sha256 = {name: sha256_of(out / name) for name in NAME_FILES}
            entries[NAMES] = {**of_names, "sha256": sha256}
        _write_fusion_model(fusion_model, compartments, out, entries)
        if cold_start is not None:
            leading = compartments[: len(cold_start.thresholds)]
            (out / COLD_START).mkdir()
            _write_fusion_model(cold_start, leading, out / COLD_START, {"nodes_checksum": checksum})


def _write_fusion_model(
    fusion_model: FusionModel, compartments: tuple[str, ...], out: Path, about: Mapping[str, Any]
) -> None:
    arrays: dict[str, np.ndarray] = {
        "thresholds": np.asarray(fusion_model.thresholds, dtype=np.float64)
    }
    header: dict[str, Any] = {
        "compartments": list(compartments),
        "config": to_dict(fusion_model.config),
        "tokens": {token.name: token.width for token in fusion_model.tokens},
        "members": 0,
        "trees": list(fusion_model.trees),
        "profiles": list(fusion_model.profiles),
        "weights": dict(fusion_model.weights),
        "temperature": fusion_model.temperature,
    }
    neural = fusion_model.attention
    if isinstance(neural, TrainedFusion):
        header["members"] = neural.model.config.n_members
        header["components"] = [encoding.n_components for encoding in neural.model.encodings]
        if neural.features is not None:
            arrays |= neural.features.to_arrays()
            header["kernel_features"] = neural.features.widths
        header["reference"] = neural.model.n_reference
        arrays |= module_arrays(neural.model, f"{FUSION}.")
    elif neural is not None:
        header["members"] = len(neural.members)
        for number, member in enumerate(neural.members):
            arrays |= module_arrays(member, f"attention.{number}.")
    for name, trees in fusion_model.trees.items():
        arrays |= trees.to_arrays(f"trees.{name}")
    if fusion_model.in_bag is not None:
        arrays[IN_BAG] = np.packbits(fusion_model.in_bag, axis=0)
    if fusion_model.towers is not None:
        arrays |= tower_arrays(fusion_model.towers)
        header["tower"] = tower_header(fusion_model.towers)
    if fusion_model.kernel is not None:
        arrays |= fusion_model.kernel.to_arrays()
    for kind, profile in fusion_model.profiles.items():
        arrays[f"profiles.{kind}"] = profile
    write_model(out, FORMAT, FORMAT_VERSION, {**header, **about}, arrays)


def load_model(folder: str | Path) -> SavedModel:
    """Read a model folder.

    Raises:
        CheckpointError: no fusion model, unknown format version, damaged, or files that do not
            belong together.
    """
    folder = Path(folder)
    model = _read_fusion_model(folder)
    reference = _read_reference(folder, model)
    model.fusion_model(reference.tokens)  # checks the widths of the stored tokens
    cold_start = None
    has_cold_start = (folder / COLD_START).is_dir()
    if has_cold_start != model.about.get(HAS_COLD_START, has_cold_start):
        raise CheckpointError(
            f"the folder of the cold-start model is not as {HEADER} describes",
            file=folder / COLD_START,
            found="a folder" if has_cold_start else "no such folder",
        )
    if has_cold_start:
        cold_start = _read_fusion_model(folder / COLD_START)
        _check_cold_start(folder / COLD_START, cold_start, model, reference)
    return replace(model, reference=reference, cold_start=cold_start, folder=folder)


def _read_reference(folder: Path, model: SavedModel) -> ReferenceRNAs:
    what = f"the model's RNAs are not those that {HEADER} describes"
    entry = model.about.get("known_sha256")
    if not isinstance(entry, dict) or set(entry) != {TABLE, ARRAYS}:
        raise CheckpointError(
            "damaged entry", file=folder / HEADER, column="known_sha256", found=entry
        )
    _check_sha256(folder, entry, (TABLE, ARRAYS), what)
    names = _read_names(folder, model.about)
    n_labels = len(model.compartments)
    reference = ReferenceRNAs.load(folder, tuple(model.widths), n_labels, names)
    if reference.index.checksum != model.about.get("nodes_checksum"):
        raise CheckpointError(
            f"the model's RNAs are not in the order that {HEADER} describes", file=folder / TABLE
        )
    return reference


def _read_names(folder: Path, about: Mapping[str, Any]) -> MirbaseNames | None:
    """Names of miRBase; None where the model has none, as models of earlier releases."""
    if NAMES not in about:
        return None
    entry = about[NAMES]
    if not isinstance(entry, dict) or set(entry.get("sha256") or ()) != set(NAME_FILES):
        raise CheckpointError("damaged entry", file=folder / HEADER, column=NAMES, found=entry)
    what = f"the model's names of miRBase are not those that {HEADER} describes"
    _check_sha256(folder, entry["sha256"], NAME_FILES, what)
    try:
        return load_names(folder, entry)
    except InputError as error:
        found = str(error).splitlines()[0]
        raise CheckpointError("the model's names are damaged", file=folder, found=found) from None


def _check_sha256(
    folder: Path, expected_of: Mapping[str, str], allowed: Sequence[str], what: str
) -> None:
    """Raise CheckpointError for a file of the model that is missing, foreign or altered."""
    for name, expected in expected_of.items():
        found = "no such file"
        if name in allowed and (folder / name).is_file():
            found = sha256_of(folder / name)
        if found != expected:
            raise CheckpointError(what, file=folder / str(name), found=found, expected=expected)


def _check_cold_start(
    folder: Path, cold_start: SavedModel, model: SavedModel, reference: ReferenceRNAs
) -> None:
    compartments = model.compartments
    if reference.types is not None:
        compartments = compartments[: len(cold_start.compartments)]
    checksum = cold_start.about.get("nodes_checksum")
    if cold_start.compartments != compartments or checksum != reference.index.checksum:
        raise CheckpointError("the cold-start model belongs to another model", file=folder)
    for kind, profile in cold_start.profiles.items():
        if profile.ndim != 2 or len(profile) != reference.n_network_rnas:
            raise CheckpointError(
                "the cold-start model has profiles of other RNAs than the model's",
                file=folder,
                column=kind,
                found=f"shape {profile.shape}",
                expected=f"{reference.n_network_rnas} rows",
            )


def _read_fusion_model(folder: Path) -> SavedModel:
    file = read_model(folder, FORMAT, (FORMAT_VERSION,))
    header = file.header
    arrays = file.arrays
    n_labels = len(file.compartments)
    with consistent_files(folder):
        config = from_dict(ExperimentConfig, header["config"], where=str(folder / HEADER))
        config = replace(config, tokens=current_settings(config.tokens))
        trees = {name: TreeArrays.from_arrays(arrays, f"trees.{name}") for name in header["trees"]}
        widths = {current_name(str(name)): int(width) for name, width in header["tokens"].items()}
        towers = None
        if "tower" in header:
            towers = read_towers(arrays, header["tower"], n_labels)
        model = SavedModel(
            config,
            file.compartments,
            widths,
            _read_neural(arrays, config, widths, n_labels, header),
            trees,
            {str(name): float(value) for name, value in header["weights"].items()},
            file.thresholds,
            float(header["temperature"]),
            header,
            {str(kind): arrays[f"profiles.{kind}"] for kind in header["profiles"]},
            towers=towers,
            in_bag=_read_in_bag(arrays, trees),
            kernel=_read_kernel(arrays, config, n_labels),
        )
        _check_numbers(model)
    return model


def _read_in_bag(
    arrays: Mapping[str, np.ndarray], trees: Mapping[str, TreeArrays]
) -> np.ndarray | None:
    """Bootstrap samples of the extra trees; ValueError for a shape that does not fit the trees."""
    if IN_BAG not in arrays:
        return None
    bits = arrays[IN_BAG]
    n_trees = len(trees[EXTRA_TREES].roots) if EXTRA_TREES in trees else 0
    if bits.dtype != np.uint8 or bits.ndim != 2 or len(bits) != -(-n_trees // 8):
        raise ValueError(f"bootstrap samples of shape {bits.shape} for {n_trees} trees")
    return np.unpackbits(bits, axis=0, count=n_trees).astype(bool)


def _check_numbers(model: SavedModel) -> None:
    """Raise ValueError for numbers that do not fit the header."""
    parts = list(model.trees) if model.attention is None else [ATTENTION, *model.trees]
    if model.kernel is not None:
        parts.append(KERNEL)
    if not (np.isfinite(model.temperature) and model.temperature > 0):
        raise ValueError(f"temperature {model.temperature}")
    if not parts or set(model.weights) != set(parts):
        weighted = ", ".join(model.weights) or "nothing"
        present = ", ".join(parts) or "nothing"
        raise ValueError(f"weights of {weighted} for {present}")
    n_labels = len(model.compartments)
    width = sum(model.widths[name] for name in single_tokens(model.config.tokens.trees))
    for name, trees in model.trees.items():
        if trees.value.shape[1] != n_labels or int(trees.feature.max(initial=-1)) >= width:
            raise ValueError(f"trees {name!r} for other tokens or compartments")


def _read_kernel(
    arrays: Mapping[str, np.ndarray], config: ExperimentConfig, n_labels: int
) -> KernelModel | None:
    """The kernel model; ValueError where it is of other compartments."""
    if not (config.kernel.blocks and config.mix.kernel > 0):
        return None
    kernel = KernelModel.from_arrays(arrays, config.kernel)
    if len(kernel.intercept) != n_labels:
        raise ValueError(f"a kernel model of {len(kernel.intercept)} compartments")
    return kernel


def _read_fusion(
    arrays: Mapping[str, np.ndarray],
    config: ExperimentConfig,
    widths: Mapping[str, int],
    n_labels: int,
    header: Mapping[str, Any],
) -> TrainedFusion:
    with torch.random.fork_rng(devices=[]):
        features = None
        if "kernel_features" in header:
            features = KernelFeatures.from_arrays(arrays, config.kernel)
            widths = {**features.widths, **widths}
        model = TwoTowerFusion(widths, n_labels, config.fusion, int(header["reference"]))
        others = model.dense[model.n_kernels :]
        encodings = [
            PiecewiseLinear(widths[name], int(n_components))
            for name, n_components in zip(others, header["components"], strict=True)
        ]
        model.set_encodings(encodings)
    model.load_state_dict(module_weights(arrays, f"{FUSION}."))
    return TrainedFusion(model.eval(), features)


def _read_neural(
    arrays: Mapping[str, np.ndarray],
    config: ExperimentConfig,
    widths: Mapping[str, int],
    n_labels: int,
    header: Mapping[str, Any],
) -> TrainedAttention | TrainedFusion | None:
    n_members = int(header["members"])
    if n_members == 0:
        return None
    token_widths = {
        name: sum(widths[part] for part in single_tokens([name]))
        for name in config.tokens.attention
    }
    if config.neural == FUSION:
        return _read_fusion(arrays, config, token_widths, n_labels, header)
    members = []
    for number in range(n_members):
        is_student = number >= config.training.n_members
        settings = member_settings(config.attention, config.training, student=is_student)
        with torch.random.fork_rng(devices=[]):
            member = TokenFusion(token_widths, n_labels, settings)
        member.load_state_dict(module_weights(arrays, f"attention.{number}."))
        members.append(member.eval())
    return TrainedAttention(members)


def tower_arrays(towers: FittedTowers) -> dict[str, np.ndarray]:
    """Return all numbers of the towers by name."""
    arrays = {**towers.encoding.to_arrays(PREFIX), START: towers.start}
    for number, tower in enumerate(towers.towers):
        arrays |= module_arrays(tower, f"{PREFIX}{number}.")
    return arrays


def tower_header(towers: FittedTowers) -> dict[str, Any]:
    """Return the entries of ``model.json`` that `read_towers` needs."""
    return {**encoding_header(towers.config, towers.encoding), "towers": len(towers.towers)}


def read_towers(
    arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], n_labels: int
) -> FittedTowers:
    """Rebuild the towers from `tower_arrays` and `tower_header`.

    Raises:
        KeyError, ValueError, RuntimeError, ConfigError: they do not fit each other.
    """
    config = config_from(header["config"], where="tower.config")
    encoding = restore_encoding(config, header, arrays, PREFIX)
    towers = [
        restore_tower(config, encoding.channels, n_labels, 0, arrays, f"{PREFIX}{number}.")
        for number in range(int(header["towers"]))
    ]
    start = arrays[START]
    if start.shape != (len(towers), n_labels):
        raise ValueError(f"base-rate logits of shape {start.shape} for {len(towers)} towers")
    return FittedTowers(config, encoding, tuple(towers), start)
