"""`train --repeats`: every seed has its own run, folds are drawn anew or not, runs resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fusion.experiments import cross_validate as experiment
from mirnagraph.networks.network import NetworkSet


@pytest.fixture
def train(run: Callable[..., Any], networks: NetworkSet, quick: Callable[..., Path]):
    """Run ``mirnagraph train`` with quick settings on a small dataset."""
    networks.save("networks")
    return partial(run, "train", "--config", quick().name, "--workers", "1")


def table(path: str) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


@pytest.mark.slow
def test_seeds_are_runs_of_their_own(train) -> None:
    code, out, err = train("--fold", "3", "--repeats", "3", "--seed", "5", "--out", "run")
    assert code == 0, err
    assert "±" in out
    repeats = table("run/repeats.tsv")
    assert [c for c in repeats.columns if c.startswith("seed_")] == ["seed_5", "seed_6", "seed_7"]
    average = repeats[
        (repeats["compartment"] == "average")
        & (repeats["metric"] == "AUC")
        & (repeats["over"] == "mean over folds")
    ].iloc[0]
    ordinary = table("run/metrics.tsv").set_index(["compartment", "metric"])
    assert average["seed_5"] == ordinary.at[("average", "AUC"), "mean"]
    # the second seed's run is what `train --seed 6` gives
    assert train("--fold", "3", "--seed", "6", "--out", "six")[0] == 0
    for name in ("predictions.tsv", "metrics.tsv", "folds.tsv", "labels.tsv", "config.toml"):
        assert (Path("six") / name).read_bytes() == (
            Path("run/repeats/seed_6") / name
        ).read_bytes(), name
    assert not table("run/folds.tsv")["fold"].equals(table("run/repeats/seed_6/folds.tsv")["fold"])
    assert not Path("run/repeats/seed_6/model").exists()
    assert Path("run/model").is_dir()
    text = Path("run/report.md").read_text()
    assert text.count("## Over seeds") == 1
    assert "drawn anew" in text
    # the same command finds everything done, as without repeats; more seeds are added to it
    assert train("--fold", "3", "--repeats", "3", "--seed", "5", "--out", "run")[0] == 3
    before = (Path("run/repeats/seed_6/run.json")).read_bytes()
    assert train("--fold", "3", "--repeats", "4", "--seed", "5", "--out", "run", "-q")[0] == 0
    assert table("run/repeats.tsv")["n"].max() == 4
    assert Path("run/repeats/seed_6/run.json").read_bytes() == before
    assert Path("run/report.md").read_text().count("## Over seeds") == 1


@pytest.mark.slow
def test_a_fold_file_keeps_its_folds_and_the_model_is_drawn_anew(train) -> None:
    assert train("--fold", "3", "--out", "first")[0] == 0
    assert train("--split", "first/folds.tsv", "--repeats", "2", "--out", "run")[0] == 0
    assert Path("run/folds.tsv").read_bytes() == Path("run/repeats/seed_1/folds.tsv").read_bytes()
    assert (
        Path("run/predictions.tsv").read_bytes()
        != Path("run/repeats/seed_1/predictions.tsv").read_bytes()
    )
    assert "only the model's randomness changes" in Path("run/report.md").read_text()


@pytest.mark.slow
def test_a_killed_command_goes_on(train, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, trained = experiment.run_fold, []

    def dies(data, folds, config, fold):
        if len(trained) == 4:
            trained.append(None)
            raise KeyboardInterrupt
        trained.append((config.seed, fold))
        return honest(data, folds, config, fold)

    monkeypatch.setattr(experiment, "run_fold", dies)
    assert train("--fold", "3", "--repeats", "2", "--out", "run")[0] == 130
    assert json.loads(Path("run/repeats/seed_1/run.json").read_text())["status"] == "running"
    assert not Path("run/repeats.tsv").exists()
    assert train("--fold", "3", "--repeats", "2", "--out", "run")[0] == 0
    assert trained == [(0, 0), (0, 1), (0, 2), (1, 0), None, (1, 1), (1, 2)]
    assert Path("run/repeats.tsv").exists()
