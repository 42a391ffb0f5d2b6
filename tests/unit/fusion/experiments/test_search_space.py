"""Search spaces: read from TOML by name and type, malformed ones refused, applied to settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import FixedTrial

from fusion.config import ExperimentConfig, TokenSettings, experiment_config
from fusion.experiments.search_space import (
    Choices,
    Range,
    apply,
    combinations,
    default_space,
    known_settings,
    nested_space,
    read_space,
    space_from,
    start_values,
    suggest,
)
from mirnagraph.config import preset_names
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.build import NetworkConfig

CONFIG = ExperimentConfig(tokens=TokenSettings(attention=("degree",)))
NETWORKS = NetworkConfig()

TOML = """
[space]
attention.n_heads = [2, 4]
training.learning_rate = { low = 1e-4, high = 1, log = true }
training.epochs = { low = 10, high = 30, step = 10 }
tokens.attention = [["degree"], ["degree", "kmer"]]
"networks.lambda" = [0.3, 1]
[space.embedding.node2vec]
p = [0.5, 1.0]
"""


def test_a_space_is_read_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(TOML)
    assert dict(read_space(path)) == {
        "attention.n_heads": Choices((2, 4)),
        "training.learning_rate": Range(1e-4, 1, log=True),
        "training.epochs": Range(10, 30, step=10, integer=True),
        "tokens.attention": Choices((["degree"], ["degree", "kmer"])),
        "networks.lambda": Choices((0.3, 1.0)),
        "embedding.node2vec.p": Choices((0.5, 1.0)),
    }


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"training.learning_rat": [1.0]}, "did you mean 'training.learning_rate'"),
        ({"attention": {"n_head": [2]}}, "did you mean 'attention.n_heads'"),
        ({"networks.lambd": [0.1]}, "did you mean 'networks.lambda'"),
        ({"nothing at all": [1]}, "expected a name as in config.toml"),
        ({"seed": [1, 2]}, "unknown setting 'seed'"),
        ({"folds.n_folds": [5]}, "unknown setting 'folds.n_folds'"),
        ({"attention.n_heads": [2.5]}, "found 2.5, expected a value of type int"),
        ({"attention.n_heads": [True]}, "expected a value of type int"),
        ({"attention.readout": [1]}, "expected a value of type str"),
        ({"tokens.attention": ["degree"]}, "found 'degree'"),
        ({"attention.n_heads": []}, "one or more different values"),
        ({"attention.n_heads": [2, 2]}, "one or more different values"),
        ({"attention.n_heads": 2}, "expected a list of choices or"),
        ({"attention.readout": {"low": 1, "high": 2}}, "its values are no numbers"),
        ({"training.learning_rate": {"low": 1.0}}, "expected low, high"),
        ({"training.learning_rate": {"low": 1.0, "high": 2.0, "lgo": True}}, "expected low, high"),
        ({"training.learning_rate": {"low": 2.0, "high": 1.0}}, "expected low below high"),
        ({"training.learning_rate": {"low": 0.0, "high": 1.0, "log": True}}, "above 0, since log"),
        (
            {"training.learning_rate": {"low": 0.1, "high": 1.0, "log": True, "step": 0.1}},
            "and no log",
        ),
        ({"training.epochs": {"low": 10, "high": 25, "step": 10}}, "in whole steps"),
        ({"training.epochs": {"low": 10, "high": 20.5}}, "expected a value of type int"),
        ({"training.epochs": {"low": 10, "high": 20, "int": False}}, "whole numbers are needed"),
        ({"networks.lambda": [0.1], "networks.functional.lambda_": [0.2]}, "named twice"),
        ({"training.epochs": [-2, 2]}, "'training.epochs': found -2, expected 1 or more"),
        ({"mix.kernel": {"low": -1.0, "high": 1.0}}, "found -1.0, expected 0 or more"),
        ({"attention.readout": ["mean", "mode"]}, "found 'mode', expected"),
        ({"training.learning_rate": [1e-3, 1e31]}, "found 1e+31, expected 1e+30 at most"),
        ({"trees.n_trees": [5, 0]}, "'trees.n_trees': found 0, expected 1 or more"),
        (
            {"trees.n_trees": {"low": 1, "high": 10**10}},
            "found 10000000000, expected 1,000,0",
        ),
        ({"networks.cutoff": {"low": 0.5, "high": 2.0}}, "found 2.0, expected in [0, 1)"),
        ({"networks.lambda": [1.5]}, "found 1.5, expected in [0, 1]"),
        ({}, "found no setting"),
    ],
)
def test_wrong_spaces_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        space_from(values, where="my.toml")
    assert says in str(error.value)
    assert str(error.value).startswith("my.toml: ")
    assert "\n" not in str(error.value)


def test_a_file_without_the_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text("attention.n_heads = [2]\n")
    with pytest.raises(ConfigError, match=r"expected one table \[space\]"):
        read_space(path)
    with pytest.raises(InputError, match="no such file"):
        read_space(tmp_path / "nowhere.toml")


def test_values_are_laid_over_settings() -> None:
    values = {
        "attention.n_heads": 8,
        "tokens.attention": ["degree", "kmer"],
        "networks.lambda": 0.3,
        "embedding.node2vec.p": 0.5,
    }
    config, networks = apply(CONFIG, NETWORKS, values)
    assert config.attention.n_heads == 8
    assert config.tokens.attention == ("degree", "kmer")
    assert config.embedding.node2vec.p == 0.5
    assert config.training == CONFIG.training
    assert networks.functional.lambda_ == 0.3
    assert networks.sequence == NETWORKS.sequence


def test_a_cut_off_sets_the_rule_it_belongs_to() -> None:
    top, _ = NetworkConfig(), None
    by_rank = apply(CONFIG, top, {"networks.functional.rule": "top_k"})[1]
    assert by_rank.functional.rule == "top_k"
    for name in ("networks.T", "networks.cutoff"):
        cut = apply(CONFIG, by_rank, {name: 0.7})[1].functional
        assert (cut.rule, cut.cutoff) == ("cutoff", 0.7)


def test_values_that_do_not_go_together_are_refused() -> None:
    assert (
        apply(CONFIG, NETWORKS, {"attention.dim": 12, "attention.n_heads": 3})[0].attention.n_heads
        == 3
    )
    with pytest.raises(ConfigError, match="divisor of dim = 128"):
        apply(CONFIG, NETWORKS, {"attention.n_heads": 3})


def test_start_values_are_those_that_lie_in_the_space() -> None:
    space = space_from(
        {
            "attention.n_heads": [2, 4],
            "attention.dim": [32, 64],
            "training.epochs": {"low": 100, "high": 140, "step": 20},
            "training.patience": {"low": 10, "high": 20, "step": 2},
            "networks.lambda": [0.5, 0.7],
            "training.learning_rate": {"low": 1e-4, "high": 1e-2},
        }
    )
    assert start_values(CONFIG, NETWORKS, space) == {
        "attention.n_heads": 4,
        "training.epochs": 120,
        "networks.lambda": 0.5,
        "training.learning_rate": 1e-3,
    }


def test_a_trial_draws_plain_values() -> None:
    space = space_from(
        {
            "tokens.attention": [["degree"], ["degree", "kmer"]],
            "attention.dropout": {"low": 0.1, "high": 0.5, "step": 0.1},
        }
    )
    trial = FixedTrial(
        {"tokens.attention": '["degree", "kmer"]', "attention.dropout": 0.1 + 2 * 0.1}
    )
    assert suggest(trial, space) == {
        "tokens.attention": ["degree", "kmer"],
        "attention.dropout": 0.3,
    }


def test_all_combinations() -> None:
    space = space_from({"networks.lambda": [0.3, 0.5], "attention.n_heads": [2, 4]})
    assert [tuple(values.values()) for values in combinations(space)] == [
        (0.3, 2),
        (0.3, 4),
        (0.5, 2),
        (0.5, 4),
    ]
    with pytest.raises(ConfigError, match="found 4 combinations of settings, expected at most 3"):
        combinations(space, most=3)
    with pytest.raises(ConfigError, match="expected a list of choices"):
        combinations(space_from({"attention.dropout": {"low": 0.1, "high": 0.5}}))


def test_choices_of_a_run_stand_in_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[training]\nepochs = 3\n[nested]\n"networks.lambda" = [0.3, 0.5]\n')
    assert nested_space(path) == {"networks.lambda": Choices((0.3, 0.5))}
    assert experiment_config("gtmaloc", path).training.epochs == 3
    path.write_text("[training]\nepochs = 3\n")
    assert nested_space(path) is None
    path.write_text("nested = 3\n")
    with pytest.raises(ConfigError, match="expected a table"):
        nested_space(path)


@pytest.mark.parametrize("preset", preset_names("fusion"))
def test_every_preset_has_a_space_of_known_settings_that_have_an_effect(preset: str) -> None:
    config = experiment_config(preset)
    space = default_space(config)
    assert set(space) <= set(known_settings())
    assert not any(name.startswith("trees.") for name in space) or config.tokens.trees
    assert (
        not any(name.startswith(("attention.", "training.")) for name in space)
        or config.tokens.attention
    )
    # the search begins with the preset itself
    assert set(start_values(config, NETWORKS, space)) == set(space)
