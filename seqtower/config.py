"""Settings of a sequence run, and the named presets they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mirnagraph.config import (
    AtLeastTwo,
    Checked,
    Count,
    CountOrZero,
    Positive,
    PositiveOrZero,
    Share,
    from_dict,
    lay_over,
    load_settings,
    load_toml,
    preset_names,
    require,
    settings_from,
)
from mirnagraph.errors import ConfigError
from mirnagraph.registry import Registry
from seqtower.baselines.descriptor_trees import DescriptorConfig
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import (
    ENCODERS,
    GENETICSEQ2VEC,
    LANGUAGE_MODEL,
    ONE_HOT,
    STRUCTURE,
    EncoderConfig,
)
from seqtower.encoders.tis import TisConfig
from seqtower.encoders.whole import WholeConfig
from seqtower.towers.base import TOWERS, Tower, TowerConfig, make_tower

DEFAULT = "rnatracker"
"""Preset, and tower, of settings that name none."""

LONG = "long"
SHORT = "mirna"

SHORTEST_LONG = 200
"""Nucleotides from which an RNA is long."""

Optimizer = Annotated[str, ("adam", "nadam", "adamw")]

Precision = Annotated[str, ("auto", "full", "mixed")]

LossName = Annotated[str, ("auto", "bce", "kl", "focal")]

Schedule = Annotated[str, ("cosine", "constant")]

TOWER_TABLES = {
    "rnatracker": "rnatracker",
    "deeplocrna": "deeplocrna",
    "el_rmlocnet": "el-rmlocnet",
    "rnaloc_lm": "rnaloc-lm",
}
"""Tables of older settings -> the tower whose settings they hold."""

ENCODER_TABLES = {"words": GENETICSEQ2VEC, "structure": STRUCTURE, "language_model": LANGUAGE_MODEL}
"""Tables of ``encoder`` in older settings -> the encoder whose settings they hold."""


@dataclass(frozen=True)
class SeqTrainConfig(Checked):
    """Training of a tower.

    Attributes:
        epochs: most passes over the training RNAs.
        patience: epochs without a lower validation loss before training stops.
        least_steps: steps (batches) before which training does not stop early: on a small set an
            epoch is a few steps, after which a tower predicts base rates.
        inner_fraction: share of the training RNAs in the validation split, groups kept whole: in
            (0, 0.5].
        optimizer: one of ``"adam"``, ``"nadam"``, ``"adamw"``.
        learning_rate: of the optimizer; the highest of the schedule.
        body_rate: learning rate of weights that come from a pre-training, as a share of
            `learning_rate`; without effect on a random start.
        schedule: ``"cosine"`` for a rate that rises linearly over `warm_up` steps, falls by a half
            cosine, and stays at its lowest; ``"constant"`` for one rate throughout.
        warm_up: steps in which the rate of ``"cosine"`` rises.
        decay_steps: step at which the rate of ``"cosine"`` is at its lowest, a fiftieth of the
            highest.
        decay_epochs: the same in epochs; the later of the two holds, so that neither a small nor a
            large set stops learning too soon.
        weight_decay: of the optimizer.
        clip: largest norm of a gradient; 0 for no limit.
        batch_tokens: positions of a batch, padding included, which bound the memory of a step.
        batch_rnas: most RNAs of a batch.
        batch_parts: parts of each batch that take nearly the same time, for as many processes; 0
            for the number of processes. Results depend on it, not on the number of processes, which
            has to divide it.
        precision: ``"full"`` or ``"mixed"`` (bfloat16 where that is safe); ``"auto"`` is mixed on a
            GPU that has bfloat16, full otherwise.
        devices: GPUs (or, without GPUs, processes on the CPU) that train one tower together, each
            on a part of every batch; 0 for all GPUs, or one process on the CPU. Not read where
            torchrun started the processes.
        loss: ``"bce"``, ``"kl"``, ``"focal"``; ``"auto"`` is kl for fractions, cross-entropy for
            classes, bce for 0/1.
        focal_gamma: exponent of the focal loss, by which a well predicted label counts less (Lin et
            al. 2017); with ``"focal"`` only.
        class_weights: weight positives of a compartment by how rare they are.
    """

    epochs: Count = 100
    patience: Count = 10
    least_steps: CountOrZero = 600
    inner_fraction: Annotated[float, "in (0, 0.5]"] = 0.1
    optimizer: Optimizer = "adam"
    learning_rate: Positive = 1e-3
    body_rate: Share = 1.0
    schedule: Schedule = "cosine"
    warm_up: CountOrZero = 50
    decay_steps: CountOrZero = 900
    decay_epochs: CountOrZero = 10
    weight_decay: PositiveOrZero = 0.0
    clip: PositiveOrZero = 0.0
    batch_tokens: Count = 65_536
    batch_rnas: Count = 64
    batch_parts: CountOrZero = 0
    precision: Precision = "auto"
    devices: CountOrZero = 0
    loss: LossName = "auto"
    focal_gamma: PositiveOrZero = 2.0
    class_weights: bool = False


@dataclass(frozen=True)
class SeqConfig(Checked):
    """Everything that decides the numbers of a run, apart from the data.

    Attributes:
        preset: name the settings started from.
        source: where the settings come from, in words.
        seed: of the whole run.
        n_folds: number of folds.
        group: RNAs that stay together in folds: ``"cluster"`` for near-duplicates by sequence,
            ``"none"``, or a column of the label table.
        type_width: width of the learned vector of an RNA type (DeepLocRNA: four dimensions), where
            types are given.
        pretrained: folder of `mirnagraph seq pretrain` whose encoder or tower every fold starts
            from; empty for a random start.
        tower: tower and its settings.
        lengths: part of an RNA that is read.
        encoder: encoder and its settings.
        whole: numbers of whole RNAs that the tower reads beside the encoded positions.
        training: training of the tower.
        descriptors: trees on descriptors and their weight in the prediction.
    """

    preset: str = "rnatracker"
    source: str = ""
    seed: CountOrZero = 0
    n_folds: AtLeastTwo = 5
    group: str = "cluster"
    type_width: Count = 4
    pretrained: str = ""
    tower: TowerConfig = field(default_factory=TowerConfig)
    lengths: LengthPolicy = field(default_factory=LengthPolicy)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    whole: WholeConfig = field(default_factory=WholeConfig)
    training: SeqTrainConfig = field(default_factory=SeqTrainConfig)
    descriptors: DescriptorConfig = field(default_factory=DescriptorConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.tower.name
        if self.whole.blocks and not TOWERS[name].reads_whole:
            raise ConfigError(
                f"the tower {name!r} reads no numbers of whole RNAs; omit 'whole.blocks'"
            )
        patches = self.encoder.settings
        if isinstance(patches, TisConfig) and name == LONG:
            n_letters = patches.patch if patches.letters else 0
            found = self.tower.settings.letters
            expected = f"{n_letters}, the letters of a patch of the encoder"
            require(found == n_letters, "tower.settings.letters", found, expected)

    @property
    def tis(self) -> TisConfig:
        """How the TIS Transformer reads, for the numbers of whole RNAs."""
        settings = self.encoder.settings
        return settings if isinstance(settings, TisConfig) else TisConfig()

    def make_tower(
        self, channels: int, n_labels: int, n_types: int = 0, whole: Sequence[int] = ()
    ) -> Tower:
        """Build an untrained tower of these settings, see `seqtower.towers.base.make_tower`."""
        name = self.tower.name
        settings = self.tower.settings
        width = self.type_width
        return make_tower(
            name, settings, channels, n_labels, n_types, type_width=width, whole=whole
        )


def config_from(values: dict[str, Any], where: str = "settings") -> SeqConfig:
    """Build the settings from nested plain values, of this version or an older one.

    In older settings the tower is a name, its settings are a table of that name, and the encoder is
    named by ``encoder.kind``; the settings of towers and encoders that are not used are checked and
    left out, as is a table ``descriptors.svm`` with a share of 0.

    Args:
        values: nested plain values.
        where: file or table the values come from, for errors.

    Raises:
        ConfigError: a share of the support vector machine that was removed, or see `from_dict`.
    """
    if not isinstance(values, dict):
        return from_dict(SeqConfig, values, where=where)
    values = _without_svm(upgrade_names(values), where)
    tower = values.get("tower", {})
    encoder = values.get("encoder", {})
    try:
        if isinstance(tower, Mapping):
            tables = {table: values.pop(table) for table in TOWER_TABLES if table in values}
            values["tower"] = _with_tables(tower, tables, DEFAULT, TOWER_TABLES, TOWERS)
        if isinstance(encoder, Mapping):
            tables = {table: encoder[table] for table in ENCODER_TABLES if table in encoder}
            values["encoder"] = _with_tables(encoder, tables, ONE_HOT, ENCODER_TABLES, ENCODERS)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return from_dict(SeqConfig, values, where=where)


def upgrade_names(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the names of tower and encoder in older settings into those of today."""
    upgraded = dict(values)
    if isinstance(values.get("tower"), str):
        upgraded["tower"] = {"name": values["tower"]}
    encoder = values.get("encoder")
    if isinstance(encoder, Mapping) and "kind" in encoder:
        rest = {key: value for key, value in encoder.items() if key != "kind"}
        upgraded["encoder"] = {"name": encoder["kind"], **rest}
    return upgraded


def _with_tables(
    choice: Mapping[str, Any],
    tables: Mapping[str, Any],
    default: str,
    entry_of: Mapping[str, str],
    registry: Registry[Any],
) -> dict[str, Any]:
    """Name and settings of a tower or encoder, those of a table of older settings among them.

    Args:
        choice: ``name`` and ``settings`` of today.
        tables: of older settings.
        default: name where `choice` has none.
        entry_of: table -> entry whose settings it holds.
        registry: of the entries.
    """
    name = choice.get("name", default)
    merged = {key: value for key, value in choice.items() if key not in tables}
    for table, settings in tables.items():
        if entry_of[table] == name and isinstance(settings, Mapping):
            merged["settings"] = lay_over(merged.get("settings", {}), settings)
        else:
            # Not used, but a mistyped setting is an error all the same.
            settings_from(registry[entry_of[table]].Config, settings, table)
    return merged


def _without_svm(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Settings without the table ``descriptors.svm`` of older versions."""
    descriptors = values.get("descriptors")
    if not isinstance(descriptors, dict) or not isinstance(descriptors.get("svm"), dict):
        return values
    share = descriptors["svm"].get("share", 0)
    if share != 0:
        raise ConfigError(
            f"{where}: setting 'descriptors.svm.share' is {share!r}, but the support vector "
            "machine on gapped words was removed; train without the table 'descriptors.svm'"
        )
    remaining = {name: value for name, value in descriptors.items() if name != "svm"}
    return {**values, "descriptors": remaining}


def preset_for(lengths: np.ndarray) -> str:
    """Preset of a training that names none, for the lengths of its RNAs, shape (n,).

    `LONG`, and `SHORT` where most RNAs have fewer than `SHORTEST_LONG` nucleotides: the best
    presets for such RNAs on the public sets (docs/results.md).
    """
    return LONG if np.median(lengths) >= SHORTEST_LONG else SHORT


def names_tower(file: str | Path | None) -> bool:
    """Whether a settings file names a tower or a preset.

    Raises:
        InputError: the file is missing or not TOML.
    """
    return file is not None and not {"preset", "tower"}.isdisjoint(load_toml(file))


def seq_config(preset: str = DEFAULT, file: str | Path | None = None, **given: Any) -> SeqConfig:
    """Settings in the order default < preset < file < arguments.

    Args:
        preset: name of a preset; or of a tower of another package, for its default settings with
            everything else as in the preset `DEFAULT`.
        file: TOML with any of the settings, of this version or an older one.
        given: fields of `SeqConfig`; None leaves a setting as it is.

    Raises:
        InputError: the file is missing or not TOML.
        ConfigError: an unknown preset or setting, a value of the wrong type or out of range.
    """
    upgrade = upgrade_names
    if preset not in preset_names("seqtower") and preset in TOWERS:
        upgrade = partial(_with_tower, preset)
        preset = DEFAULT
    config = load_settings(SeqConfig, "seqtower", preset, file, build=config_from, upgrade=upgrade)
    return replace(config, **{key: value for key, value in given.items() if value is not None})


def _with_tower(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Values of a settings file laid over a tower of another package."""
    source = f"tower {name} of another package; other settings of the preset {DEFAULT}"
    base = {"preset": name, "source": source, "tower": {"name": name}}
    return lay_over(base, upgrade_names(values))
