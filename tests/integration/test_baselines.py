"""Baselines end to end: blind to test labels, the same whatever the workers, resumable, comparable with their run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.baselines import run as baselines
from fusion.baselines.models import BASELINES, BaselineSettings, baseline_inputs
from fusion.baselines.run import baseline_table, fold_jobs, run_baselines, run_jobs, score_baseline
from fusion.config import ExperimentConfig, FoldSettings, TokenSettings
from fusion.data.problem import FusionData
from fusion.experiments.train import run_experiment
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.compare import compare_with_baselines, draw_differences
from mirnagraph.runs.report import THIS_RUN
from mirnagraph.trees import TreesConfig

CONFIG = ExperimentConfig(
    tokens=TokenSettings(trees=("degree",)), preset="test", newcomers="", folds=FoldSettings(n_folds=3), trees=TreesConfig(n_trees=5, rounds=0)
)  # fmt: skip
SMALL = BaselineSettings(trees=TreesConfig(n_trees=10, rounds=3, boosting_width=20))


@pytest.fixture(scope="module")
def result(networks: NetworkSet, data: FusionData, folds):
    return run_baselines(networks, data, folds, 0, settings=SMALL)


def test_labels_of_test_rnas_change_no_baseline(
    networks: NetworkSet, data: FusionData, folds, result
) -> None:
    inputs = baseline_inputs(networks, data.groups)
    _, test = folds.rows(data.index, 1)
    other = data.labels.copy()
    other[test] = 1 - other[test]
    names = [*BASELINES, "names", "sequence"]
    honest = dict(run_jobs(inputs, fold_jobs(data, folds, [1], names, 0, SMALL), 1))["", 1]
    shuffled = dict(
        run_jobs(inputs, fold_jobs(replace(data, labels=other), folds, [1], names, 0, SMALL), 1)
    )["", 1]
    for name in names:
        np.testing.assert_array_equal(
            honest[name].probabilities, shuffled[name].probabilities, err_msg=name
        )
        np.testing.assert_array_equal(
            honest[name].thresholds, shuffled[name].thresholds, err_msg=name
        )
    job = fold_jobs(data, folds, [1], names, 0, SMALL)[0]
    assert np.isnan(job.labels[test]).all()


def test_labels_of_training_rnas_do(networks: NetworkSet, data: FusionData, folds, result) -> None:
    train, test = folds.rows(data.index, 0)
    flipped = data.labels.copy()
    flipped[train] = 1 - flipped[train]
    again = dict(
        run_jobs(
            baseline_inputs(networks, data.groups),
            fold_jobs(replace(data, labels=flipped), folds, [0], tuple(BASELINES), 0, SMALL),
            1,
        )
    )
    for name, prediction in again["", 0].items():
        mine = (
            result.predictions[name]
            .set_index("rna_id")
            .loc[[data.index.ids[row] for row in test]]
            .drop(columns="fold")
            .to_numpy()
        )
        assert np.abs(prediction.probabilities - mine).max() > 0.05, name


@pytest.mark.slow
def test_one_worker_and_two_give_the_same_bits(
    networks: NetworkSet, data: FusionData, folds, result
) -> None:
    again = run_baselines(networks, data, folds, 0, settings=SMALL, workers=2)
    for name in BASELINES:
        pd.testing.assert_frame_equal(again.predictions[name], result.predictions[name])
        np.testing.assert_array_equal(again.thresholds[name], result.thresholds[name])


def test_finished_folds_are_not_fitted_again(
    networks: NetworkSet,
    data: FusionData,
    folds,
    result,
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted: list[int] = []
    honest = baselines._fit

    def dies_in_the_last(inputs, job):
        if job.key[1] == 2 and -1 not in fitted:
            fitted.append(-1)
            raise KeyboardInterrupt
        fitted.append(job.key[1])
        return honest(inputs, job)

    monkeypatch.setattr(baselines, "_fit", dies_in_the_last)
    with pytest.raises(KeyboardInterrupt):
        run_baselines(networks, data, folds, 0, folder=run_dir, settings=SMALL)
    assert not list((run_dir / "baselines").glob("*.tsv"))
    done = run_baselines(networks, data, folds, 0, folder=run_dir, settings=SMALL)
    assert fitted == [0, 1, -1, 2]
    for name in BASELINES:
        pd.testing.assert_frame_equal(done.predictions[name], result.predictions[name])
        read = pd.read_csv(run_dir / "baselines" / f"{name}.tsv", sep="\t")
        np.testing.assert_array_equal(
            read.iloc[:, 2:].to_numpy(), result.predictions[name].iloc[:, 2:].to_numpy()
        )
    kept = run_dir / "baselines" / "folds" / "fold_01.json"
    whole = json.loads(kept.read_text())
    kept.write_text(kept.read_text()[:100])
    with pytest.raises(InputError, match=r"fold_01\.json.*damaged.*delete it"):
        run_baselines(networks, data, folds, 0, folder=run_dir, settings=SMALL)
    whole["trees"]["probabilities"].pop()
    kept.write_text(json.dumps(whole))
    with pytest.raises(InputError, match="does not fit these folds"):
        run_baselines(networks, data, folds, 0, folder=run_dir, settings=SMALL)


@pytest.mark.slow
def test_the_table_has_the_evaluators_figures(data: FusionData, folds, result) -> None:
    table = baseline_table(data, result)
    assert list(table["model"]) == list(BASELINES)
    metrics = score_baseline(data, result.predictions["trees"], result.thresholds["trees"])
    row = table.set_index("model").loc["trees"]
    of = metrics[metrics["compartment"] == "average"].set_index("metric")
    assert (row["AUC"], row["MCC_sd"], row["within"]) == (
        of.at["AUC", "mean"],
        of.at["MCC", "sd"],
        of.at["within", "pooled"],
    )
    assert table.set_index("model").at["frequency", "AUC"] == pytest.approx(0.5)


@pytest.mark.slow
def test_a_run_with_baselines_reports_and_compares_them(
    networks: NetworkSet, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "BaselineSettings", lambda: SMALL)
    run_experiment(networks, CONFIG, run_dir, baselines=True)
    table = pd.read_csv(run_dir / "baselines.tsv", sep="\t")
    assert list(table["model"]) == [THIS_RUN, *BASELINES]
    text = (run_dir / "report.md").read_text()
    assert "## Beside baselines" in text
    assert "Nearest in AUC comes" in text
    compared = compare_with_baselines([run_dir], ["trees", "frequency"], n_resamples=100)
    assert list(dict.fromkeys(zip(compared["reference"], compared["run"], strict=True))) == [
        ("trees", "test"),
        ("frequency", "test"),
    ]
    average = compared[
        (compared["reference"] == "frequency")
        & (compared["compartment"] == "average")
        & (compared["metric"] == "AUC")
    ].iloc[0]
    assert average["difference"] == pytest.approx(average["second"] - average["first"])
    labels = [
        text.get_text() for text in draw_differences(compared).axes[1].get_legend().get_texts()
    ]
    assert labels == ["test - trees", "test - frequency"]
    with pytest.raises(ConfigError, match="did you mean 'trees'"):
        compare_with_baselines([run_dir], ["treees"])
    with pytest.raises(ConfigError, match="needs a run"):
        compare_with_baselines([run_dir], [])


def test_a_run_without_baselines_says_so(networks: NetworkSet, run_dir: Path) -> None:
    run_experiment(networks, CONFIG, run_dir)
    assert not (run_dir / "baselines.tsv").exists()
    assert "baselines were left out" in (run_dir / "report.md").read_text()
    with pytest.raises(InputError, match=r"no baselines.*--no-baselines"):
        compare_with_baselines([run_dir], ["trees"])
