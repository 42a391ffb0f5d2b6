"""Which preset `seq train` takes where none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from seqtower.config import names_tower, preset_for, seq_config


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([199, 199, 5000], "mirna"), ([200, 200, 20], "long"), ([22], "mirna"), ([100, 300], "long")],
)
def test_the_median_decides(lengths: list[int], expected: str) -> None:
    assert preset_for(np.array(lengths)) == expected


def test_a_file_that_names_a_tower_or_preset(tmp_path: Path) -> None:
    assert not names_tower(None)
    path = tmp_path / "a.toml"
    for text, expected in (
        ("[training]\nepochs = 2\n", False),
        ('[tower]\nname = "cnn"\n', True),
        ('preset = "hybrid"\n', True),
    ):
        path.write_text(text)
        assert names_tower(path) is expected
    with pytest.raises(InputError):
        names_tower(tmp_path / "missing.toml")


def test_preset_long_reads_patches_letters_and_numbers_of_the_whole() -> None:
    config = seq_config("long")
    assert config.encoder.name == "tis"
    assert config.encoder.settings.patch == config.tower.settings.letters
    assert config.whole.blocks == ("length", "words", "descriptors", "transcript")
    assert config.descriptors.weight == 0.5
    assert seq_config("rnatracker").whole.blocks == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[encoder.settings]\npatch = 128\n", "is 64, expected 128"),
        ("[encoder.settings]\nletters = false\n", "is 64, expected 0"),
        ("[tower.settings]\nletters = 0\n", "is 0, expected 64"),
    ],
)
def test_letters_of_tower_and_encoder_agree(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"'tower.settings.letters' {expected}"):
        seq_config("long", path)


def test_numbers_of_whole_rnas_need_a_tower_that_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[whole]\nblocks = ["length"]\n')
    with pytest.raises(ConfigError, match="'rnatracker' reads no numbers of whole RNAs"):
        seq_config("rnatracker", path)
