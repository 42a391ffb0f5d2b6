"""A tower and an encoder of another package; settings by name, and how those of files combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import nn

from mirnagraph import registry
from mirnagraph.config import dump_toml
from mirnagraph.errors import ConfigError
from seqtower.config import config_from, seq_config
from seqtower.data.sequences import LengthPolicy
from seqtower.data.synthetic import planted_sequences
from seqtower.encoders.base import (
    ENCODERS,
    Encoder,
    EncoderConfig,
    OneHotConfig,
    fit_encoding,
    read_encoding,
)
from seqtower.encoders.geneticseq2vec import GeneticSeq2VecConfig
from seqtower.run import run_seq
from seqtower.saved import load_tower
from seqtower.towers.base import TOWERS, Tower, TowerConfig, make_tower
from seqtower.towers.deeplocrna import DeepLocRNAConfig
from seqtower.towers.rnatracker import RNATracker, RNATrackerConfig


@dataclass(frozen=True)
class ToyTowerConfig:
    units: int = 3


class ToyTower(Tower):
    """Linear map of the mean of an RNA's positions."""

    Config = ToyTowerConfig

    def __init__(self, config: ToyTowerConfig, channels: int, n_labels: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, config.units)
        self.output_dim = config.units
        self.head = nn.Linear(config.units, n_labels)

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights = mask.unsqueeze(1) / mask.sum(dim=1)[:, None, None]
        return self.project((weights @ inputs)[:, 0]), weights


@dataclass(frozen=True)
class ToyEncoderConfig:
    scale: float = 1.0


class ToyEncoder(Encoder):
    """Share of G and C in the training sequences, subtracted from whether a nucleotide is one."""

    Config = ToyEncoderConfig
    channels = 1

    def __init__(self, settings: ToyEncoderConfig, share: float) -> None:
        self.settings = settings
        self.share = share

    @classmethod
    def fit(cls, sequences: Sequence[str], settings: ToyEncoderConfig) -> Self:
        return cls(settings, _is_gc("".join(sequences)).mean())

    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        cut = [_is_gc(lengths.cut(sequence)) for sequence in sequences]
        scale = self.settings.scale
        return [(scale * (values - self.share)).astype(np.float32)[:, None] for values in cut]

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"share": np.array([self.share])}

    @classmethod
    def from_arrays(cls, settings: Any, arrays: Any, channels: int, fingerprint: str) -> Self:
        return cls(settings, float(arrays["share"][0]))


def _is_gc(sequence: str) -> np.ndarray:
    return np.array([letter in "GC" for letter in sequence], dtype=np.float64)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy tower and encoder as entry points of an installed package."""
    points = {
        TOWERS.group: EntryPoint("toy", f"{__name__}:ToyTower", TOWERS.group),
        ENCODERS.group: EntryPoint("toy-gc", f"{__name__}:ToyEncoder", ENCODERS.group),
    }
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [points[group]])


TOML = """
n_folds = 2
group = "none"
[tower.settings]
units = 2
[encoder]
name = "toy-gc"
[encoder.settings]
scale = 2.0
[training]
epochs = 2
"""


def test_a_tower_and_an_encoder_of_another_package_are_trained_and_loaded(
    installed: None, tmp_path: Path
) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(TOML)
    config = seq_config("toy", file)
    assert config.preset == "toy"
    assert config.tower == TowerConfig("toy", ToyTowerConfig(2))
    assert config.encoder == EncoderConfig("toy-gc", ToyEncoderConfig(2.0))
    assert config.training.learning_rate == seq_config("rnatracker").training.learning_rate
    data = planted_sequences(24, longest=60).data
    result, run = run_seq(data, config, tmp_path / "run", baselines=False)
    assert result is not None
    assert np.isfinite(result.predictions["model"]).all()
    model = load_tower(run.path / "model")
    assert type(model.tower).__name__ == "ToyTower"
    assert model.config == config
    assert np.isfinite(model.predict(["GGCC", "A"])).all()
    share = model.encoding.to_arrays()["encoding.share"][0]
    assert 0 < share < 1
    np.testing.assert_allclose(model.encoding(["GA"])[0], [[2 - 2 * share], [-2 * share]], 1e-6)
    assert config_from(config_of(run.path)) == config


def config_of(folder: Path) -> dict[str, Any]:
    import tomllib

    return tomllib.loads((folder / "config.toml").read_text())


def test_a_name_without_a_package_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'toy'"):
        seq_config("toy")
    with pytest.raises(ConfigError, match=r"unknown tower 'rnatraker'; did you mean 'rnatracker'"):
        TowerConfig("rnatraker")
    with pytest.raises(ConfigError, match=r"unknown encoder 'onehot'; did you mean 'one-hot'"):
        EncoderConfig("onehot")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tower.settings]\nunit = 1", r"tower.settings: unknown setting 'unit'.*'units'"),
        ("[tower.settings]\nunits = 0", r"tower.settings: .*'units' is 0, expected 1 or more"),
        ("[rnatracker]\nunit = 1", r"tower.settings: unknown setting 'unit'.*'units'"),
        ("[deeplocrna]\nheds = 1", r"deeplocrna: unknown setting 'heds'.*'heads'"),
        ("[encoder.words]\nkk = 1", r"words: unknown setting 'kk'.*'k'"),
        ("[encoder.settings]\nk = 1", r"encoder.settings: unknown setting 'k'"),
        ("[encoder]\nnam = 'x'", r"unknown setting 'nam'.*'name'"),
        ("[tower]\nname = 'none'", "unknown tower 'none'"),
        ("tower = 'none'", "unknown tower 'none'"),
        ("rnatracker = 3", "rnatracker: found int, expected settings of type RNATrackerConfig"),
    ],
)
def test_mistyped_settings_are_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"wrong\.toml.*: {message}"):
        seq_config("rnatracker", file)


@pytest.mark.parametrize(
    ("preset", "text", "expected"),
    [
        ("hairpin", "[rnatracker]\nunits = 5", RNATrackerConfig(32, 8, 3, 5, 32, 0.2)),
        ("hairpin", "[tower.settings]\nunits = 5", RNATrackerConfig(32, 8, 3, 5, 32, 0.2)),
        ("hairpin", "tower = 'rnatracker'", RNATrackerConfig(32, 8, 3, 32, 32, 0.2)),
        ("hairpin", "tower = 'deeplocrna'", DeepLocRNAConfig()),
        ("hairpin", "[tower]\nname = 'deeplocrna'", DeepLocRNAConfig()),
        (
            "hairpin",
            "tower = 'deeplocrna'\n[deeplocrna]\nkernel = 4\n[rnatracker]\nkernel = 9",
            DeepLocRNAConfig(kernel=4),
        ),
    ],
)
def test_settings_of_a_file_change_those_of_the_presets_tower(
    preset: str, text: str, expected: object, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    assert seq_config(preset, file).tower.settings == expected


@pytest.mark.parametrize(
    ("preset", "text", "expected"),
    [
        ("el-rmlocnet", "[encoder.words]\nhops = 2", GeneticSeq2VecConfig(hops=2)),
        ("el-rmlocnet", "[encoder]\nkind = 'one-hot'", OneHotConfig()),
        ("rnatracker", "[encoder]\nkind = 'geneticseq2vec'", GeneticSeq2VecConfig()),
        (
            "rnatracker",
            "[encoder]\nkind = 'geneticseq2vec'\n[encoder.words]\nk = 3",
            GeneticSeq2VecConfig(k=3),
        ),
    ],
)
def test_settings_of_a_file_change_those_of_the_presets_encoder(
    preset: str, text: str, expected: object, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    assert seq_config(preset, file).encoder.settings == expected


def test_settings_are_of_the_entry_they_name() -> None:
    with pytest.raises(ConfigError, match=r"tower\.settings: found DeepLocRNAConfig, expected"):
        TowerConfig("rnatracker", DeepLocRNAConfig())
    assert TowerConfig("rnatracker", {"units": 4}).settings == RNATrackerConfig(units=4)


def test_written_settings_have_one_table_of_the_tower() -> None:
    text = dump_toml(replace(seq_config("rnatracker"), tower=TowerConfig("rnaloc-lm")))
    assert '[tower]\nname = "rnaloc-lm"\n\n[tower.settings]\ntoken_dim = 32\n' in text
    assert "deeplocrna" not in text


def test_a_tower_is_made_from_its_entry() -> None:
    tower = make_tower("rnatracker", RNATrackerConfig(units=3), 4, 2, 5, type_width=6)
    assert type(tower) is RNATracker
    assert tower.output_dim == 6
    assert tower.tags is not None
    assert tower.tags[0].weight.shape == (5, 6)


def test_kmer_vectors_are_saved_and_restored() -> None:
    encoder = EncoderConfig("geneticseq2vec", GeneticSeq2VecConfig(k=1, stride=1, dim=2, hops=1))
    fitted = fit_encoding(encoder, LengthPolicy(), ["ACGUACGUAACC", "ACGUUU"])
    arrays = fitted.to_arrays("tower.")
    assert list(arrays) == ["tower.vectors"]
    again = read_encoding(encoder, LengthPolicy(), arrays, 2, "", "tower.")
    np.testing.assert_array_equal(again(["ACGUN"])[0], fitted(["ACGUN"])[0])
    with pytest.raises(ValueError, match="2 channels instead of 3"):
        read_encoding(encoder, LengthPolicy(), arrays, 3, "", "tower.")
