"""A fitted tower on disk: safetensors for numbers, JSON for everything a person may want to read; loading runs no code of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from mirnagraph.config import from_dict, to_dict
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.evaluation.metrics import KINDS
from mirnagraph.io import write_folder
from mirnagraph.runs.folder import package_versions
from mirnagraph.runs.model_file import (
    DESCRIPTION,
    check_description,
    read_description,
    read_weights,
    write_model,
)
from seqtower.baselines.descriptor_trees import DescriptorTrees, blend
from seqtower.config import SeqConfig, config_from
from seqtower.data.kmers import LETTERS
from seqtower.data.sequences import LengthPolicy, the_type, type_numbers
from seqtower.encoders.base import LANGUAGE_MODEL, FittedEncoding, read_encoding
from seqtower.predict import predict
from seqtower.towers.base import Tower, make_tower

FORMAT_VERSION = 1

KIND = "seqtower"

TOWER = "tower."

NUMBERS_AT_A_TIME = 2**26


@dataclass(frozen=True, eq=False)
class SavedTower:
    """A fitted tower with everything a prediction needs.

    Attributes:
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        thresholds: probability above which a compartment is called: shape (n_labels,).
        about: everything in ``model.json``; empty for one that was not read from disk.
        types: types of RNAs that the tower was trained on; empty for one that is told none.
        rna_type: what every RNA is taken to be (see `of_type`); empty for not said.
        trees: on descriptors, which have a share in the answer; None where the tower answers alone.
        weight: their share.
    """

    config: SeqConfig
    compartments: tuple[str, ...]
    kind: str
    tower: Tower
    encoding: FittedEncoding
    thresholds: np.ndarray
    about: dict[str, Any]
    types: tuple[str, ...] = ()
    rna_type: str = ""
    trees: DescriptorTrees | None = None
    weight: float = 0.0

    def of_type(self, name: str) -> Self:
        """The same model that takes every RNA to be of one type: predictions and explanations alike.

        Raises:
            ConfigError: an unknown type, one the model was not trained on, or a model that is told none.
        """
        self.type_numbers([the_type(name)])
        return replace(self, rna_type=the_type(name))

    def type_numbers(self, types: Sequence[str] | None = None, n: int = 1) -> np.ndarray | None:
        """What the tower takes as types: int64, shape (n,); None for a model that is told none.

        Args:
            types: one of `seqtower.data.sequences.RNA_TYPES` per RNA; None for the one type of `of_type`, for `n` RNAs.

        Raises:
            ConfigError: types for a model that is told none, no type for one that is, or a type it was not trained on.
        """
        if not self.types:
            if types is not None:
                raise ConfigError(
                    "the model was trained without types of RNAs and takes none (leave --rna-type out)"
                )
            return None
        if types is None and not self.rna_type:
            raise ConfigError(
                f"the model was trained with types of RNAs and needs to be told one (--rna-type); it knows {', '.join(self.types)}"
            )
        return type_numbers([self.rna_type] * n if types is None else types, self.types)

    def predict(self, sequences: Sequence[str], types: Sequence[str] | None = None) -> np.ndarray:
        """Probabilities or fractions of tower and trees together: float64, shape (n, n_labels).

        Args:
            types: type of each RNA, for a model that was trained with types; see `type_numbers`.
        """
        numbers = self.type_numbers(types, len(sequences))
        tower = np.concatenate(
            [self._predict(sequences, rows, numbers) for rows in self._parts(sequences)]
        )
        if self.trees is None or not len(sequences):
            return tower
        told = types if types is not None or not self.types else [self.rna_type] * len(sequences)
        described = self.config.descriptors.features(sequences, told, self.types)
        return blend(self.weight, self.trees.predict(described), tower, self.kind)

    def _parts(self, sequences: Sequence[str]) -> list[list[int]]:
        """Rows that are encoded at a time, so that their numbers fit in memory: with wide embeddings not all of them."""
        parts: list[list[int]] = [[]]
        held = 0
        for row, sequence in enumerate(sequences):
            size = len(sequence) * self.encoding.channels
            if parts[-1] and held + size > NUMBERS_AT_A_TIME:
                parts.append([])
                held = 0
            parts[-1].append(row)
            held += size
        return parts

    def _predict(
        self, sequences: Sequence[str], rows: Sequence[int], numbers: np.ndarray | None
    ) -> np.ndarray:
        encoded = self.encoding([sequences[row] for row in rows])
        return predict(
            self.tower,
            encoded,
            self.kind,
            self.config.training,
            None if numbers is None else numbers[list(rows)],
        )


def save_tower(model: SavedTower, folder: str | Path, **about: Any) -> None:
    """Write ``model.safetensors`` and ``model.json``; replaces what is there."""
    with write_folder(folder, overwrite=True) as out:
        tensors = {
            f"{TOWER}{name}": value.contiguous() for name, value in model.tower.state_dict().items()
        }
        trees = (
            {}
            if model.trees is None
            else {
                name: torch.from_numpy(values) for name, values in model.trees.to_arrays().items()
            }
        )
        encoding = model.encoding.to_arrays()
        arrays = (
            tensors | trees | {name: torch.from_numpy(values) for name, values in encoding.items()}
        )
        text = {
            "format": KIND, "format_version": FORMAT_VERSION, "alphabet": LETTERS, "compartments": list(model.compartments), "kind": model.kind,
            "config": to_dict(model.config), "lengths": to_dict(model.encoding.lengths), "channels": model.encoding.channels,
            "encoder_fingerprint": model.encoding.fingerprint,
            "types": list(model.types), "weight": model.weight,
            "thresholds": [float(t) for t in model.thresholds], "versions": package_versions(),
            **about,
        }  # fmt: skip
        write_model(out, text, lambda path, described: save_file(arrays, path, described))


def load_tower(
    folder: str | Path,
    compartments: Sequence[str] | None = None,
    *,
    language_model: str | None = None,
) -> SavedTower:
    """Read a model folder.

    Args:
        compartments: where given, the model's must be the same, in the same order.
        language_model: where the tower's language model is on this machine (see `LanguageModelConfig.at`); None for where training found it.
            It must be the very model of training, which is checked when something is encoded.

    Raises:
        CheckpointError: not a model of this kind, unknown format, damaged, another alphabet or other compartments.
        ConfigError: `language_model` for a tower that reads none.
    """
    folder = Path(folder)
    about = read_description(folder, {"format": KIND, "format_version": FORMAT_VERSION})
    if about.get("alphabet") != LETTERS:
        raise CheckpointError(
            "the model reads another alphabet",
            file=folder / "model.json",
            column="alphabet",
            found=about.get("alphabet"),
            expected=LETTERS,
        )
    if compartments is not None and list(compartments) != about.get("compartments"):
        found = ", ".join(map(str, about.get("compartments", [])))
        raise CheckpointError(
            "the model has other compartments",
            file=folder / "model.json",
            found=found,
            expected=", ".join(compartments),
        )
    tensors = read_weights(folder, about, load_file)
    config = _config_of(about, folder, language_model)
    try:
        names = tuple(str(name) for name in about["compartments"])
        types = tuple(the_type(str(name)) for name in about.get("types", ()))
        arrays = {name: value.numpy() for name, value in tensors.items()}
        encoding = read_encoding(
            config.encoder,
            from_dict(LengthPolicy, about["lengths"]),
            arrays,
            int(about["channels"]),
            str(about.get("encoder_fingerprint", "")),
        )
        with torch.random.fork_rng():
            tower = make_tower(
                config.tower.name,
                config.tower.settings,
                encoding.channels,
                len(names),
                len(types),
                type_width=config.type_width,
            )
        tower.load_state_dict(
            {
                name.removeprefix(TOWER): value
                for name, value in tensors.items()
                if name.startswith(TOWER)
            }
        )
        thresholds = np.array(about["thresholds"], dtype=np.float64)
        if (
            thresholds.shape != (len(names),)
            or not np.isfinite(thresholds).all()
            or about["kind"] not in KINDS
        ):
            raise ValueError("thresholds or kind of labels that do not fit")
        trees = (
            DescriptorTrees.from_arrays(arrays, about["kind"], len(names), types)
            if config.descriptors.is_used
            else None
        )
        model = SavedTower(
            config,
            names,
            about["kind"],
            tower.eval(),
            encoding,
            thresholds,
            about,
            types,
            trees=trees,
            weight=float(about.get("weight", 0.0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            "the model's files do not fit each other", file=folder, found=str(error).splitlines()[0]
        ) from None
    check_description(folder, about)
    return model


def _config_of(about: Mapping[str, Any], folder: Path, language_model: str | None) -> SeqConfig:
    """The settings, with the language model where it is now."""
    try:
        config = config_from(about["config"], where="config")
    except (KeyError, ConfigError) as error:
        raise CheckpointError(
            "the model's files do not fit each other",
            file=folder / DESCRIPTION,
            found=str(error).splitlines()[0],
        ) from None
    if language_model is None:
        return config
    if config.encoder.name != LANGUAGE_MODEL:
        raise ConfigError(f"the model in {folder} reads no language model, so none can be given")
    return replace(
        config,
        encoder=replace(config.encoder, settings=config.encoder.settings.at(language_model)),
    )
