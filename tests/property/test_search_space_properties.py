"""Properties of search spaces: draws are in the space, apply to settings and are read back."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.config import experiment_config
from fusion.experiments.search_space import (
    Range,
    apply,
    as_params,
    default_space,
    space_from,
    space_to_dict,
    start_values,
    suggest,
)
from mirnagraph.config import preset_names
from mirnagraph.networks.build import NetworkConfig

optuna.logging.set_verbosity(optuna.logging.ERROR)


def draw(space, seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    return suggest(trial, space), trial.params


@pytest.mark.parametrize("preset", preset_names("fusion"))
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_drawn_is_read_back_from_the_settings(preset: str, seed: int) -> None:
    config = experiment_config(preset)
    space = {
        **default_space(config),
        **space_from(
            {"networks.lambda": [0.3, 0.5], "networks.sequence.cutoff": {"low": 0.2, "high": 0.4}}
        ),
    }
    values, params = draw(space, seed)
    assert start_values(*apply(config, NetworkConfig(), values), space) == values
    assert as_params(space, values) == pytest.approx(params)


@settings(max_examples=25)
@given(
    low=st.integers(1, 50),
    steps=st.integers(1, 20),
    step=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_steps_are_kept(low: int, steps: int, step: int, seed: int) -> None:
    space = space_from({"training.epochs": {"low": low, "high": low + steps * step, "step": step}})
    value = draw(space, seed)[0]["training.epochs"]
    assert isinstance(value, int)
    assert low <= value <= low + steps * step
    assert (value - low) % step == 0


@settings(max_examples=25)
@given(
    low=st.floats(1e-6, 1e-2),
    factor=st.floats(1.5, 1e4),
    log=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_numbers_lie_between_the_ends_and_a_space_is_read_back(
    low: float, factor: float, log: bool, seed: int
) -> None:
    space = space_from({"training.learning_rate": {"low": low, "high": low * factor, "log": log}})
    assert (
        space_from(space_to_dict(space))
        == space
        == {"training.learning_rate": Range(low, low * factor, log)}
    )
    assert low <= draw(space, seed)[0]["training.learning_rate"] <= low * factor
