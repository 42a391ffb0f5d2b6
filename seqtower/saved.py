"""A fitted sequence tower with its encoding, thresholds and settings, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from mirnagraph.config import from_dict, to_dict
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.metrics import KINDS
from mirnagraph.io import write_folder
from mirnagraph.reading.nucleotides import rna_sequences
from mirnagraph.runs.model_file import (
    HEADER,
    ModelFile,
    consistent_files,
    module_arrays,
    module_weights,
    read_model,
    write_model,
)
from mirnagraph.writing.contents import SAVED_MODEL
from seqtower.baselines.descriptor_trees import DescriptorTrees, blend
from seqtower.config import SeqConfig, config_from
from seqtower.data.kmers import LETTERS
from seqtower.data.sequences import RNA_TYPES, LengthPolicy, the_type, type_numbers
from seqtower.encoders.base import ARRAYS, LANGUAGE_MODEL, FittedEncoding, read_encoding
from seqtower.encoders.whole import FittedWhole, WholeConfig, read_whole, whole_numbers
from seqtower.predict import predict
from seqtower.towers.base import Tower

FORMAT = "seqtower"
FORMAT_VERSION = 1

TOWER = "tower."

MAX_ENCODED_VALUES = 2**26
"""Values (positions times channels) that are encoded at a time, which bounds memory."""


@dataclass(frozen=True, eq=False)
class SavedTower:
    """A fitted tower with everything a prediction needs.

    Attributes:
        config: settings of the run.
        compartments: names, in the order of the columns of a prediction.
        kind: kind of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        tower: the network in evaluation mode.
        encoding: fitted on the training sequences.
        thresholds: probability from which a compartment is called, shape (n_labels,).
        about: contents of ``model.json``; empty for a model that was not read from disk.
        types: RNA types that the tower is conditioned on; empty for none.
        rna_type: type assumed for every RNA, see `of_type`; empty for none.
        whole: kernel components of the numbers of whole RNAs.
        trees: trees on descriptors blended with the tower; None for the tower alone.
        weight: weight of the trees in the blend, in [0, 1].
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
    whole: FittedWhole = field(default_factory=lambda: FittedWhole(WholeConfig(), {}, {}))
    trees: DescriptorTrees | None = None
    weight: float = 0.0

    def of_type(self, name: str) -> Self:
        """Return the model with one RNA type assumed for every RNA it predicts or explains.

        Raises:
            ConfigError: an unknown type, a type without training RNAs, or a model that is not
                conditioned on the type.
        """
        rna_type = the_type(name)
        self.type_numbers([rna_type])
        return replace(self, rna_type=rna_type)

    def type_numbers(self, types: Sequence[str] | None = None, n: int = 1) -> np.ndarray | None:
        """Return the position of each RNA's type in `types`, int64, shape (n,).

        Args:
            types: one of `seqtower.data.sequences.RNA_TYPES` per RNA; None for the type of
                `of_type`.
            n: number of RNAs where `types` is None.

        Returns:
            None for a model that is not conditioned on the type.

        Raises:
            ConfigError: types for a model that takes none, no type for a model that needs one, or
                a type without training RNAs.
        """
        if not self.types and types is None:
            return None
        if not self.types:
            raise ConfigError(
                "the model was trained without RNA types and takes none (omit --rna-type)"
            )
        if types is None and not self.rna_type:
            raise ConfigError(
                "the model is conditioned on the RNA type: pass one with --rna-type; "
                f"available types: {', '.join(self.types)}"
            )
        return type_numbers([self.rna_type] * n if types is None else types, self.types)

    def predict(self, sequences: Sequence[str], types: Sequence[str] | None = None) -> np.ndarray:
        """Predict probabilities or fractions by tower and trees: float64, shape (n, n_labels).

        Args:
            sequences: of ACGTUN in any case, 5' to 3'.
            types: type of each RNA, for a model conditioned on the type; see `type_numbers`.

        Raises:
            InputError: an invalid nucleotide.
        """
        sequences = rna_sequences(sequences)
        numbers = self.type_numbers(types, len(sequences))
        if types is None and self.types:
            types = [self.rna_type] * len(sequences)
        predicted = []
        for rows in self._chunks(sequences):
            encoded = self.encoding(sequences[rows])
            of_rows = None if numbers is None else numbers[rows]
            whole = self.whole_numbers(sequences[rows], None if types is None else types[rows])
            settings = self.config.training
            predicted.append(predict(self.tower, encoded, self.kind, settings, of_rows, whole))
        by_tower = np.concatenate(predicted)
        if self.trees is None or not len(sequences):
            return by_tower
        descriptors = self.config.descriptors.features(sequences, types, self.types)
        return blend(self.weight, self.trees.predict(descriptors), by_tower, self.kind)

    def whole_numbers(
        self, sequences: Sequence[str], types: Sequence[str] | None = None
    ) -> np.ndarray | None:
        """Compute the numbers of whole RNAs that the tower reads; None where it reads none.

        Args:
            sequences: whole RNAs.
            types: type of each RNA; None for the type of `of_type`, if the model has types.

        Returns:
            float32, shape (n, sum of the widths of `FittedWhole`).
        """
        if types is None and self.types:
            types = [self.rna_type] * len(sequences)
        config = self.config
        return self.whole(whole_numbers(sequences, config.whole, types=types, tis=config.tis))

    def _chunks(self, sequences: Sequence[str]) -> list[slice]:
        """Split rows into chunks of at most `MAX_ENCODED_VALUES` encoded values."""
        chunks = []
        start = 0
        n_values = 0
        for row, sequence in enumerate(sequences):
            size = len(sequence) * self.encoding.channels
            if row > start and n_values + size > MAX_ENCODED_VALUES:
                chunks.append(slice(start, row))
                start = row
                n_values = 0
            n_values += size
        return [*chunks, slice(start, len(sequences))]


def save_tower(model: SavedTower, folder: str | Path, **about: Any) -> None:
    """Write a model folder; replaces an existing one.

    Args:
        model: the fitted tower.
        folder: gets ``model.safetensors`` and ``model.json``.
        about: further entries of ``model.json``.
    """
    arrays = module_arrays(model.tower, TOWER)
    if model.trees is not None:
        arrays |= model.trees.to_arrays()
    arrays |= model.encoding.to_arrays() | model.whole.to_arrays()
    header = {
        "alphabet": LETTERS,
        "compartments": list(model.compartments),
        "kind": model.kind,
        **encoding_header(model.config, model.encoding),
        "types": list(model.types),
        "weight": model.weight,
        "thresholds": [float(threshold) for threshold in model.thresholds],
        **about,
    }
    with write_folder(folder, overwrite=True, content=SAVED_MODEL) as out:
        write_model(out, FORMAT, FORMAT_VERSION, header, arrays)


def load_tower(
    folder: str | Path,
    compartments: Sequence[str] | None = None,
    *,
    language_model: str | None = None,
) -> SavedTower:
    """Read a model folder.

    Args:
        folder: written by `save_tower`.
        compartments: expected compartments in order; None for any.
        language_model: where the tower's language model is on this machine (see
            `LanguageModelConfig.at`); None for the place recorded in training. It has to be the
            model of training, which is checked when the first RNA is encoded.

    Raises:
        CheckpointError: not a sequence tower, unknown format version, damaged, or another alphabet
            or other compartments.
        ConfigError: `language_model` for a tower that reads none.
    """
    folder = Path(folder)
    file = read_model(
        folder,
        FORMAT,
        (FORMAT_VERSION,),
        alphabet=LETTERS,
        compartments=compartments,
        rna_types=RNA_TYPES,
    )
    with consistent_files(folder / HEADER):
        config = without_download(config_from(file.header["config"], where="config"))
    if language_model is not None:
        config = _with_language_model(config, language_model, folder)
    with consistent_files(folder):
        return _rebuild(file, config)


def encoding_header(config: SeqConfig, encoding: FittedEncoding) -> dict[str, Any]:
    """Return the entries of ``model.json`` that `restore_encoding` and `config_from` need."""
    return {
        "config": to_dict(config),
        "lengths": to_dict(encoding.lengths),
        "channels": encoding.channels,
        "encoder_fingerprint": encoding.fingerprint,
    }


def restore_encoding(
    config: SeqConfig,
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    prefix: str = ARRAYS,
) -> FittedEncoding:
    """Rebuild a fitted encoding.

    A language model is loaded, and compared with its fingerprint, only when an RNA is encoded.

    Args:
        config: settings of the tower.
        header: entries of `encoding_header`.
        arrays: of `FittedEncoding.to_arrays`; others are ignored.
        prefix: start of the names of the encoding's arrays.

    Raises:
        KeyError, ValueError, ConfigError: the header does not fit the settings or the arrays.
    """
    channels = int(header["channels"])
    lengths = from_dict(LengthPolicy, header["lengths"])
    fingerprint = str(header.get("encoder_fingerprint", ""))
    config = without_download(config)
    return read_encoding(config.encoder, lengths, arrays, channels, fingerprint, prefix)


def restore_tower(
    config: SeqConfig,
    channels: int,
    n_labels: int,
    n_types: int,
    arrays: Mapping[str, np.ndarray],
    prefix: str,
    whole: Sequence[int] = (),
) -> Tower:
    """Rebuild a tower in evaluation mode from the arrays whose names start with `prefix`.

    Raises:
        RuntimeError: weights are missing, unknown or of another shape.
    """
    with torch.random.fork_rng(devices=[]):
        tower = config.make_tower(channels, n_labels, n_types, whole)
    tower.load_state_dict(module_weights(arrays, prefix))
    return tower.eval()


def _rebuild(file: ModelFile, config: SeqConfig) -> SavedTower:
    header = file.header
    compartments = file.compartments
    n_labels = len(compartments)
    kind = header["kind"]
    if kind not in KINDS:
        raise ValueError(f"kind of labels {kind!r}")
    types = tuple(header.get("types", ()))
    encoding = restore_encoding(config, header, file.arrays)
    whole = read_whole(file.arrays, config.whole)
    channels = encoding.channels
    tower = restore_tower(config, channels, n_labels, len(types), file.arrays, TOWER, whole.widths)
    trees = None
    if config.descriptors.is_used:
        trees = DescriptorTrees.from_arrays(file.arrays, kind, n_labels, types)
    return SavedTower(
        config,
        compartments,
        kind,
        tower,
        encoding,
        file.thresholds,
        header,
        types,
        whole=whole,
        trees=trees,
        weight=float(header.get("weight", 0.0)),
    )


def without_download(config: SeqConfig) -> SeqConfig:
    """Settings of a saved model that ask no network: whoever opens it has not asked for that."""
    settings = config.encoder.settings
    if config.encoder.name != LANGUAGE_MODEL or not getattr(settings, "download", False):
        return config
    offline = replace(settings, download=False)
    return replace(config, encoder=replace(config.encoder, settings=offline))


def _with_language_model(config: SeqConfig, place: str, folder: Path) -> SeqConfig:
    if config.encoder.name != LANGUAGE_MODEL:
        raise ConfigError(f"the model in {folder} reads no language model, so none can be given")
    settings = config.encoder.settings.at(place)
    return replace(config, encoder=replace(config.encoder, settings=settings))
