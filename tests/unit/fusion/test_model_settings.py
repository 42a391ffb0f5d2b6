"""Settings of the parts of a model: each wrong value in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusion.config import experiment_config
from fusion.data.prepare import check_settings
from fusion.model_config import FusionConfig
from mirnagraph.config import dump_toml
from mirnagraph.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "max"}, "setting 'pooling' is 'max', expected one of attention, mean"),
        ({"n_heads": 3}, "setting 'n_heads' is 3, expected a divisor of dim = 32"),
        ({"n_heads": 0}, "setting 'n_heads' is 0, expected a divisor of dim = 32"),
        ({"bins": 0}, "setting 'bins' is 0, expected 1 or more"),
        ({"graph_heads": 0}, "setting 'graph_heads' is 0, expected 1 or more"),
        ({"learning_rate": 0.0}, r"setting 'learning_rate' is 0\.0, expected above 0"),
        ({"weight_decay": -1.0}, r"setting 'weight_decay' is -1\.0, expected 0 or more"),
        ({"averaging": 1.0}, r"setting 'averaging' is 1\.0, expected in \[0, 1\)"),
        ({"label_smoothing": 1.0}, r"setting 'label_smoothing' is 1\.0, expected in \[0, 1\)"),
        ({"input_dropout": 1.0}, r"setting 'input_dropout' is 1\.0, expected in \[0, 1\)"),
        ({"graph_dropout": -0.1}, r"setting 'graph_dropout' is -0\.1, expected in \[0, 1\)"),
        ({"family_dropout": 1.1}, r"setting 'family_dropout' is 1\.1, expected in \[0, 1\]"),
    ],
)
def test_bad_settings_of_the_fusion(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        FusionConfig(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neural": "graph"}, "setting 'neural' is 'graph', expected one of attention, fusion"),
        ({"fusion": {"n_heads": 5}}, "'n_heads' is 5, expected a divisor of dim = 32"),
        ({"fusion": {"pool": "mean"}}, "pool"),
        ({"mix": {"kernel": -1.0}}, r"'kernel' is -1\.0, expected 0 or more"),
        ({"kernel": {"blocks": {"x": []}, "products": []}}, r"'blocks\.x' is .*one token"),
        ({"kernel": {"products": ["covariates*x"]}}, "blocks joined by"),
    ],
)
def test_bad_settings_of_a_run(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        experiment_config("default", over=settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"tokens": {"trees": ["nearest:sequence", "kmer"]}},
        {"tokens": {"trees": ["letters"]}},
        {"tokens": {"attention": ["nearest:sequence+nearest:mature"], "trees": []}},
        {"tokens": {"attention": ["kmer+letters"], "trees": []}},
        {"tokens": {"attention": ["letters"], "trees": []}, "neural": "attention"},
        {"kernel": {"blocks": {"x": ["letters"]}, "products": []}},
    ],
)
def test_tokens_of_the_towers_are_read_by_nothing_else(settings: dict[str, Any]) -> None:
    config = experiment_config("default", over=settings)
    with pytest.raises(ConfigError, match="is for a tower: expected among tokens"):
        check_settings(config, sets=False)


def test_tokens_of_the_towers_in_the_fusion() -> None:
    check_settings(experiment_config("default"), sets=False)


@pytest.mark.parametrize("blocks", [{}, {"numbers": ["kmer", "degree"]}])
def test_blocks_of_a_file_replace_those_of_the_preset(
    tmp_path: Path, blocks: dict[str, Any]
) -> None:
    default = experiment_config("default")
    assert "expression" in default.kernel.blocks
    settings = {"kernel": {"blocks": blocks, "products": [], "penalty": 0.5}}
    config = experiment_config("default", over=settings)
    assert {name: list(tokens) for name, tokens in config.kernel.blocks.items()} == blocks
    assert config.kernel.bandwidth == default.kernel.bandwidth
    path = tmp_path / "mine.toml"
    path.write_text(dump_toml(config))
    assert experiment_config(file=path) == config
    # a file without blocks keeps those of the preset
    kept = experiment_config("default", over={"kernel": {"penalty": 0.5}})
    assert kept.kernel.blocks == default.kernel.blocks
