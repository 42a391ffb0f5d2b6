"""Searches end to end: blind to test labels, the same trials when resumed, a usable choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusion.config import ExperimentConfig, FoldSettings, TokenSettings, experiment_config
from fusion.experiments import cross_validate, tuning
from fusion.experiments.nested import NestedJob, choose_and_fit, run_nested, run_search
from fusion.experiments.search_space import (
    apply,
    combinations,
    nested_space,
    read_space,
    space_from,
)
from fusion.experiments.study import best_of
from fusion.experiments.tuning import Bench, TuneSettings, tune
from fusion.model_config import AttentionConfig, TrainConfig
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.results import FoldResult
from mirnagraph.trees import TreesConfig

CONFIG = ExperimentConfig(
    tokens=TokenSettings(
        attention=("svd:disease", "neighbours:functional", "trees"),
        trees=("degree", "neighbours:sequence"),
        svd_dim=4,
        neighbours=5,
    ),
    folds=FoldSettings(n_folds=3),
    attention=AttentionConfig(dim=8, n_heads=2),
    training=TrainConfig(epochs=2, n_members=1, inner_fraction=0.0),
    trees=TreesConfig(n_trees=5, rounds=0),
)
SPACE = space_from(
    {
        "attention.n_heads": [2, 4],
        "training.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        "networks.lambda": [0.2, 0.5],
        "mix.attention": {"low": 0.5, "high": 2.0, "step": 0.5},
    }
)
FEW = TuneSettings(trials=4, inner_folds=2)


def without_time(trials) -> list[Any]:
    return [replace(trial, seconds=0.0) for trial in trials]


def with_labels(networks: NetworkSet, change: Callable[[np.ndarray], None]) -> NetworkSet:
    labels = networks.dataset.labels.copy()
    values = labels.to_numpy().copy()
    change(values)
    labels[:] = values
    return replace(networks, dataset=replace(networks.dataset, labels=labels))


def test_labels_of_test_rnas_change_no_trial_no_choice_and_no_prediction(
    networks: NetworkSet, folds, tmp_path: Path
) -> None:
    train, test = folds.rows(networks.dataset.index, 0)
    random = np.random.default_rng(0)

    def shuffle(values: np.ndarray) -> None:
        values[test] = random.permutation(1 - values[test])

    def flip(values: np.ndarray) -> None:
        values[train] = 1 - values[train]

    def fold_of(some: NetworkSet, name: str):
        job = NestedJob(Bench(some), folds, CONFIG, SPACE, replace(FEW, trials=3), tmp_path / name)
        found = choose_and_fit(job, 0)
        trials = pd.read_csv(tmp_path / name / "searches" / "fold_00.tsv", sep="\t").drop(
            columns="seconds"
        )
        return found, trials

    honest, trials = fold_of(networks, "honest")
    other, theirs = fold_of(with_labels(networks, shuffle), "shuffled")
    assert other.choices == honest.choices
    pd.testing.assert_frame_equal(theirs, trials)
    np.testing.assert_array_equal(other.probabilities, honest.probabilities)
    # and the test can fail: labels of training RNAs do change the scores
    assert not fold_of(with_labels(networks, flip), "flipped")[1]["score"].equals(trials["score"])


def test_a_search_sees_no_label_outside_its_rows(
    networks: NetworkSet, folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = folds.rows(networks.dataset.index, 1)
    seen = []

    def look(data, inner, config, fold):
        assert np.isnan(data.labels[test]).all()
        inner_train, inner_test = inner.rows(data.index, fold)
        assert set(inner_train) | set(inner_test) == set(train)
        seen.append(fold)
        return cross_validate.run_fold(data, inner, config, fold)

    monkeypatch.setattr(tuning, "run_fold", look)
    tune(Bench(networks), CONFIG, SPACE, train, replace(FEW, trials=1), tmp_path / "s.sqlite")
    assert seen == [0, 1]


@pytest.mark.slow
def test_a_search_that_is_stopped_in_a_trial_goes_on_with_the_same_trials(
    networks: NetworkSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, honest, calls = replace(FEW, trials=6), tuning.run_fold, []
    whole, _ = run_search(networks, CONFIG, SPACE, settings, tmp_path / "whole")

    def dies_once(*given):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return honest(*given)

    monkeypatch.setattr(tuning, "run_fold", dies_once)
    with pytest.raises(KeyboardInterrupt):
        run_search(networks, CONFIG, SPACE, settings, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "best.toml").exists()
    before = len(calls)
    again, run = run_search(networks, CONFIG, SPACE, settings, tmp_path / "stopped")
    assert whole is not None
    assert again is not None
    assert without_time(again) == without_time(whole)
    assert len(calls) - before == sum(
        len(trial.fold_scores) for trial in whole[2:] if "same values" not in trial.note
    )
    assert (tmp_path / "stopped" / "best.toml").read_bytes() == (
        tmp_path / "whole" / "best.toml"
    ).read_bytes()
    assert run.read()["status"] == "done"


@pytest.mark.slow
def test_more_trials_go_on_with_a_finished_search_and_another_space_does_not(
    networks: NetworkSet, tmp_path: Path
) -> None:
    short, _ = run_search(networks, CONFIG, SPACE, replace(FEW, trials=2), tmp_path / "s")
    longer, run = run_search(networks, CONFIG, SPACE, replace(FEW, trials=3), tmp_path / "s")
    assert short is not None
    assert longer is not None
    assert longer[:2] == short
    assert len(longer) == run.read()["trials"] == 3
    with pytest.raises(InputError, match="finished"):
        run_search(networks, CONFIG, SPACE, replace(FEW, trials=3), tmp_path / "s")
    assert (
        run_search(networks, CONFIG, SPACE, replace(FEW, trials=2), tmp_path / "s", resume=True)[0]
        is None
    )
    for other in (
        (SPACE, replace(FEW, inner_folds=3)),
        (space_from({"attention.n_heads": [2, 4]}), FEW),
    ):
        with pytest.raises(InputError, match="other settings"):
            run_search(networks, CONFIG, *other, tmp_path / "s")
    assert run.read()["status"] == "done"


def test_the_choice_can_be_used(networks: NetworkSet, tmp_path: Path) -> None:
    trials, run = run_search(networks, CONFIG, SPACE, FEW, tmp_path / "s")
    assert trials is not None
    best = best_of(trials)
    assert trials[0].values == {
        "attention.n_heads": 2,
        "training.learning_rate": 1e-3,
        "networks.lambda": 0.5,
        "mix.attention": 1.0,
    }
    chosen, below = apply(CONFIG, Bench(networks).network_config, best.values)
    assert experiment_config(file=run.path / "best.toml") == chosen
    from mirnagraph.networks.settings import network_config

    assert network_config(run.path / "networks.toml") == below
    assert dict(read_space(run.path / "search.toml")) == dict(SPACE)
    text = (run.path / "best.toml").read_text()
    assert "optimistic" in text
    assert "networks.toml" in text
    page = (run.path / "tune.md").read_text()
    assert "Synthetic data" in page
    assert f"**{best.score:.4f}**" in page
    assert (run.path / "trials.png").read_bytes()[:4] == b"\x89PNG"
    table = pd.read_csv(run.path / "trials.tsv", sep="\t")
    assert table["score"].tolist() == [trial.score for trial in trials]
    assert table["networks.lambda"].tolist() == [
        trial.values["networks.lambda"] for trial in trials
    ]


def test_values_that_do_not_go_together_are_drawn_anew_or_refused(
    networks: NetworkSet, tmp_path: Path
) -> None:
    rows = np.arange(len(networks.dataset.index))
    mostly = space_from(
        {"attention.n_heads": [2, 3, 5, 7, 9], "training.epochs": {"low": 1, "high": 3}}
    )
    found = tune(Bench(networks), CONFIG, mostly, rows, FEW, tmp_path / "a.sqlite")
    assert {trial.values["attention.n_heads"] for trial in found} == {2}
    assert any("passed over" in trial.note and "divisor" in trial.note for trial in found)
    wrong = space_from({"attention.n_heads": [3, 2]})
    grid = tune(
        Bench(networks), CONFIG, wrong, rows, replace(FEW, grid=True), tmp_path / "b.sqlite"
    )
    assert [trial.state for trial in grid] == ["refused", "done"]
    with pytest.raises(ConfigError, match="none of the 1 trials could be run"):
        tune(
            Bench(networks),
            CONFIG,
            space_from({"attention.n_heads": [3]}),
            rows,
            replace(FEW, grid=True),
            tmp_path / "c.sqlite",
        )


@pytest.mark.slow
def test_hopeless_trials_are_stopped_early_and_never_chosen(
    networks: NetworkSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synthetic(data, inner, config, fold):
        """Right answers with noise that grows with dropout."""
        _, test = inner.rows(data.index, fold)
        noise = np.random.default_rng([fold, int(config.attention.dropout * 1000)]).uniform(
            size=(len(test), data.labels.shape[1])
        )
        said = (1 - config.attention.dropout) * data.labels[test] + config.attention.dropout * noise
        return FoldResult(fold, test, {"model": said})

    monkeypatch.setattr(tuning, "run_fold", synthetic)
    space = space_from({"attention.dropout": {"low": 0.4, "high": 0.9}})
    settings = TuneSettings(trials=30, inner_folds=3)
    found = tune(
        Bench(networks),
        CONFIG,
        space,
        np.arange(len(networks.dataset.index)),
        settings,
        tmp_path / "a.sqlite",
    )
    stopped = [trial for trial in found if trial.state == "pruned"]
    assert stopped
    assert all(len(trial.fold_scores) < 3 for trial in stopped)
    assert all(trial.number >= 5 for trial in stopped)
    assert best_of(found).values["attention.dropout"] < 0.55
    everything = tune(
        Bench(networks),
        CONFIG,
        space,
        np.arange(len(networks.dataset.index)),
        replace(settings, prune=False),
        tmp_path / "b.sqlite",
    )
    assert {trial.state for trial in everything} == {"done"}


@pytest.mark.slow
def test_nested_choices_of_a_grid_stop_resume_and_are_reported(
    networks: NetworkSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, settings = (
        space_from({"networks.lambda": [0.2, 0.8], "training.epochs": [1, 2]}),
        TuneSettings(inner_folds=2, grid=True),
    )
    result, versus, whole = run_nested(networks, CONFIG, space, settings, tmp_path / "whole")
    assert result is not None
    assert versus is not None
    honest, calls = tuning.run_fold, []

    def dies_once(*given):
        calls.append(1)
        if len(calls) == 13:  # in the third trial of the second fold
            raise KeyboardInterrupt
        return honest(*given)

    monkeypatch.setattr(tuning, "run_fold", dies_once)
    with pytest.raises(KeyboardInterrupt):
        run_nested(networks, CONFIG, space, settings, tmp_path / "stopped")
    assert len(list((tmp_path / "stopped" / "folds").iterdir())) == 1
    before = len(calls)
    again, _, run = run_nested(networks, CONFIG, space, settings, tmp_path / "stopped")
    assert again is not None
    assert len(calls) - before == 2 * (
        2 + 4 + 4
    )  # two trials of the second fold, all of the third and of the last search
    for name in (
        "predictions.tsv",
        "metrics.tsv",
        "choices.tsv",
        "versus_untuned.tsv",
        "config.toml",
        "best.toml",
        "report.md",
        "networks.toml",
    ):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    choices = pd.read_csv(run.path / "choices.tsv", sep="\t")
    assert list(choices.columns) == ["fold", "setting", "value", "inner_score"]
    assert choices["setting"].tolist() == ["networks.lambda", "training.epochs"] * 3
    for fold in range(3):
        kept = json.loads((run.path / "folds" / f"fold_{fold:02d}" / "fold.json").read_text())[
            "choices"
        ]["search"]
        part = choices[choices["fold"] == fold]
        assert dict(zip(part["setting"], part["value"], strict=True)) == {
            k: float(v) for k, v in kept["values"].items()
        }
        trials = pd.read_csv(run.path / "searches" / f"fold_{fold:02d}.tsv", sep="\t")
        assert len(trials) == len(combinations(space))
        assert trials["score"].max() == kept["score"]
    assert {"mean", "pooled", "0", "1", "2"} == set(versus["fold"])
    assert "## Settings selected inside each fold" in (run.path / "report.md").read_text()
    assert nested_space(run.path / "config.toml") == dict(space)
    assert (run.path / "model" / "model.json").is_file()
    # what the untuned run is: the same settings on the same folds, a run like any other
    from mirnagraph.runs.compare import compare_runs

    table = compare_runs([run.path / "untuned", run.path], n_resamples=100)
    average = table[table["compartment"] == "average"].set_index("metric")["difference"]
    pooled = versus[versus["fold"] == "pooled"].set_index("metric")["difference"]
    np.testing.assert_allclose(average.loc[["AUC", "AUPR"]], pooled.loc[["AUC", "AUPR"]])
    untuned = pd.read_csv(run.path / "untuned" / "metrics.tsv", sep="\t").set_index(
        ["compartment", "metric"]
    )["mean"]
    mean = versus[versus["fold"] == "mean"].set_index("metric")["untuned"]
    assert mean["AUC"] == pytest.approx(untuned["average", "AUC"])


@pytest.mark.slow
def test_one_worker_and_two_give_the_same_bits(networks: NetworkSet, tmp_path: Path) -> None:
    rows = np.arange(len(networks.dataset.index))
    one, two = (
        tune(Bench(networks), CONFIG, SPACE, rows, FEW, tmp_path / f"{n}.sqlite", workers=n)
        for n in (1, 2)
    )
    assert without_time(one) == without_time(two)
    for n in (1, 2):
        run_nested(
            networks,
            CONFIG,
            space_from({"training.epochs": [1, 2]}),
            replace(FEW, grid=True),
            tmp_path / f"run{n}",
            workers=n,
        )
    for name in ("predictions.tsv", "choices.tsv", "versus_untuned.tsv", "best.toml"):
        assert (tmp_path / "run1" / name).read_bytes() == (tmp_path / "run2" / name).read_bytes(), (
            name
        )
