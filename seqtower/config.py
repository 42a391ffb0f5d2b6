"""Settings of the sequence tower, and the named presets they come from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mirnagraph.config import from_dict, load_settings, require
from mirnagraph.errors import ConfigError
from seqtower.baselines.descriptor_trees import DescriptorConfig
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import EncoderConfig
from seqtower.towers.deeplocrna import DeepLocRNAConfig
from seqtower.towers.el_rmlocnet import ELRMLocNetConfig
from seqtower.towers.rnaloc_lm import RNALocLMConfig
from seqtower.towers.rnatracker import RNATrackerConfig

TOWERS = ("rnatracker", "deeplocrna", "el-rmlocnet", "rnaloc-lm")

OPTIMIZERS = ("adam", "nadam", "adamw")

PRECISIONS = ("auto", "full", "mixed")

LOSSES = ("auto", "bce", "kl", "focal")

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class SeqTrainConfig:
    """How a tower is trained.

    Attributes:
        epochs: most passes over the training RNAs.
        patience: epochs without a lower loss of the inner part before training stops.
        least_steps: steps (batches learned from) before which patience stops nothing: on a small set an epoch is a few steps, in which a tower
            has learned nothing yet.
        inner_fraction: part of the training RNAs held out for stopping, groups kept whole: in (0, 0.5].
        optimizer: one of ``"adam"``, ``"nadam"``, ``"adamw"``.
        learning_rate: of the optimizer; the highest of the schedule.
        schedule: ``"cosine"`` for a rate that rises in a line over `warm_up` steps, falls by a half cosine, and stays at its lowest;
            ``"constant"`` for one rate throughout.
        warm_up: steps in which the rate of ``"cosine"`` rises.
        decay_steps: step at which the rate of ``"cosine"`` is at its lowest, a fiftieth of the highest.
        decay_epochs: the same in epochs; the later of the two holds, so that neither a small nor a large set stops learning too soon.
        weight_decay: of the optimizer.
        clip: largest norm of a gradient; 0 for no limit.
        batch_tokens: positions of a batch, padding included: what bounds the memory of a step.
        batch_rnas: most RNAs of a batch.
        precision: ``"full"`` or ``"mixed"`` (bfloat16 where that is safe); ``"auto"`` is mixed on a GPU that has bfloat16, full otherwise.
        devices: GPUs (or, where there are none, processes on the CPU) that train one tower together, each step a batch of each; 0 for every GPU
            there is, or one process on the CPU.
        loss: ``"bce"``, ``"kl"``, ``"focal"``; ``"auto"`` is kl for fractions, cross-entropy for classes, bce for 0/1.
        focal_gamma: how much less a well predicted label counts (Lin et al. 2017); with ``"focal"`` only.
        class_weights: weigh a compartment's positives by how rare they are.
    """

    epochs: int = 100
    patience: int = 10
    least_steps: int = 600
    inner_fraction: float = 0.1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warm_up: int = 50
    decay_steps: int = 900
    decay_epochs: int = 10
    weight_decay: float = 0.0
    clip: float = 0.0
    batch_tokens: int = 65_536
    batch_rnas: int = 64
    precision: str = "auto"
    devices: int = 0
    loss: str = "auto"
    focal_gamma: float = 2.0
    class_weights: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_tokens", "batch_rnas"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(
            0 < self.inner_fraction <= 0.5, "inner_fraction", self.inner_fraction, "in (0, 0.5]"
        )
        require(
            self.optimizer in OPTIMIZERS,
            "optimizer",
            self.optimizer,
            f"one of {', '.join(OPTIMIZERS)}",
        )
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(
            self.weight_decay >= 0 and self.clip >= 0 and self.focal_gamma >= 0,
            "weight_decay, clip, focal_gamma",
            "a negative number",
            "0 or more",
        )
        require(
            self.schedule in SCHEDULES, "schedule", self.schedule, f"one of {', '.join(SCHEDULES)}"
        )
        for name in ("least_steps", "warm_up", "decay_steps", "decay_epochs", "devices"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(
            self.precision in PRECISIONS,
            "precision",
            self.precision,
            f"one of {', '.join(PRECISIONS)}",
        )
        require(self.loss in LOSSES, "loss", self.loss, f"one of {', '.join(LOSSES)}")


@dataclass(frozen=True)
class SeqConfig:
    """Everything that decides the numbers of a run, beside the data.

    Attributes:
        preset: name the settings started from.
        source: where the settings come from, in words.
        tower: one of `TOWERS`; its settings stand in the table of the same name, with ``_`` for ``-``.
        seed: of the whole run.
        n_folds: number of folds.
        group: what stays together in folds: ``"cluster"`` for near-copies by sequence, ``"none"``, or a column of the label table.
        type_width: numbers of the tag of an RNA's type (DeepLocRNA: four dimensions), where types are given.
        pretrained: folder of `mirnagraph seq pretrain` whose encoder every fold starts from; empty for a random start.
    """

    preset: str = "rnatracker"
    source: str = ""
    tower: str = "rnatracker"
    seed: int = 0
    n_folds: int = 5
    group: str = "cluster"
    type_width: int = 4
    pretrained: str = ""
    lengths: LengthPolicy = field(default_factory=LengthPolicy)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    rnatracker: RNATrackerConfig = field(default_factory=RNATrackerConfig)
    deeplocrna: DeepLocRNAConfig = field(default_factory=DeepLocRNAConfig)
    el_rmlocnet: ELRMLocNetConfig = field(default_factory=ELRMLocNetConfig)
    rnaloc_lm: RNALocLMConfig = field(default_factory=RNALocLMConfig)
    training: SeqTrainConfig = field(default_factory=SeqTrainConfig)
    descriptors: DescriptorConfig = field(default_factory=DescriptorConfig)

    def __post_init__(self) -> None:
        require(self.tower in TOWERS, "tower", self.tower, f"one of {', '.join(TOWERS)}")
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        require(self.n_folds >= 2, "n_folds", self.n_folds, "2 or more")
        require(self.type_width >= 1, "type_width", self.type_width, "1 or more")


def config_from(values: dict[str, Any], where: str = "settings") -> SeqConfig:
    """Build the settings from nested plain values, of this version or an older one.

    Args:
        values: a table ``descriptors.svm`` of an older version is left out if its share is 0.
        where: file or table the values come from, for errors.

    Raises:
        ConfigError: a share of the support vector machine that was removed, or see `from_dict`.
    """
    descriptors = values.get("descriptors") if isinstance(values, dict) else None
    svm = descriptors.get("svm") if isinstance(descriptors, dict) else None
    if descriptors is None or not isinstance(svm, dict):
        return from_dict(SeqConfig, values, where=where)
    share = svm.get("share", 0)
    if share != 0:
        raise ConfigError(
            f"{where}: setting 'descriptors.svm.share' is {share!r}, but the support vector "
            "machine on gapped words was removed; train without the table 'descriptors.svm'"
        )
    remaining = {name: value for name, value in descriptors.items() if name != "svm"}
    return from_dict(SeqConfig, {**values, "descriptors": remaining}, where=where)


def seq_config(
    preset: str = "rnatracker", file: str | Path | None = None, **given: Any
) -> SeqConfig:
    """Settings in the order default < preset < file < arguments; None leaves a setting as it is."""
    config = load_settings(SeqConfig, "seqtower", preset, file, build=config_from)
    return replace(config, **{key: value for key, value in given.items() if value is not None})
