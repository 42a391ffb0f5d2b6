"""Baselines end to end: blind to test labels, equal for any workers, resumable, compared."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.baselines import run as baseline_run
from fusion.baselines.models import RUN_BASELINES, BaselineSettings
from fusion.baselines.run import BaselineWork, baseline_table, fit_fold, run_baselines
from fusion.config import ExperimentConfig, FoldSettings, TokenSettings
from fusion.data.baseline_inputs import baseline_inputs
from fusion.data.inputs import FusionData
from fusion.data.prepare import with_baselines
from fusion.experiments.train import run_experiment
from mirnagraph import registry
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.networks.network import NetworkSet
from mirnagraph.reading.seals import sealed
from mirnagraph.runs.compare import compare_runs, draw_differences
from mirnagraph.runs.report import THIS_RUN
from mirnagraph.trees import TreesConfig

CONFIG = ExperimentConfig(
    tokens=TokenSettings(trees=("degree",)),
    preset="test",
    newcomers="",
    folds=FoldSettings(n_folds=3),
    trees=TreesConfig(n_trees=5, rounds=0),
)
SMALL = BaselineSettings(trees=TreesConfig(n_trees=10, rounds=3, boosting_width=20))


@pytest.fixture(scope="module")
def result(networks: NetworkSet, data: FusionData, folds):
    return run_baselines(with_baselines(data, networks), folds, 0, settings=SMALL)


def test_labels_of_test_rnas_change_no_baseline(
    networks: NetworkSet, data: FusionData, folds, result
) -> None:
    inputs = baseline_inputs(networks, data.groups)
    _, test = folds.rows(data.index, 1)
    other = data.labels.copy()
    other[test] = 1 - other[test]
    names = (*RUN_BASELINES, "sequence", "names")
    work = BaselineWork(inputs, data, folds, names, 0, SMALL)
    honest = fit_fold(work, 1)
    shuffled = fit_fold(replace(work, data=replace(data, labels=other)), 1)
    for name in names:
        np.testing.assert_array_equal(
            honest.predictions[name], shuffled.predictions[name], err_msg=name
        )
        np.testing.assert_array_equal(
            honest.thresholds[name], shuffled.thresholds[name], err_msg=name
        )


def test_labels_of_training_rnas_do(networks: NetworkSet, data: FusionData, folds, result) -> None:
    train, test = folds.rows(data.index, 0)
    flipped = data.labels.copy()
    flipped[train] = 1 - flipped[train]
    inputs = baseline_inputs(networks, data.groups)
    work = BaselineWork(inputs, replace(data, labels=flipped), folds, RUN_BASELINES, 0, SMALL)
    again = fit_fold(work, 0)
    for name, probabilities in again.predictions.items():
        before = result.predictions[name][test]
        assert np.abs(probabilities - before).max() > 0.05, name


@pytest.mark.slow
def test_one_worker_and_two_give_the_same_bits(
    networks: NetworkSet, data: FusionData, folds, result
) -> None:
    again = run_baselines(with_baselines(data, networks), folds, 0, settings=SMALL, workers=2)
    for name in RUN_BASELINES:
        np.testing.assert_array_equal(again.predictions[name], result.predictions[name])
        np.testing.assert_array_equal(again.thresholds_of[name], result.thresholds_of[name])


def test_finished_folds_are_not_fitted_again(
    networks: NetworkSet,
    data: FusionData,
    folds,
    result,
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted: list[int] = []
    honest = baseline_run.fit_fold

    def dies_in_the_last(work, fold):
        if fold == 2 and -1 not in fitted:
            fitted.append(-1)
            raise KeyboardInterrupt
        fitted.append(fold)
        return honest(work, fold)

    monkeypatch.setattr(baseline_run, "fit_fold", dies_in_the_last)
    with pytest.raises(KeyboardInterrupt):
        run_baselines(with_baselines(data, networks), folds, 0, folder=run_dir, settings=SMALL)
    assert not list((run_dir / "baselines").glob("*/predictions.tsv"))
    done = run_baselines(with_baselines(data, networks), folds, 0, folder=run_dir, settings=SMALL)
    assert fitted == [0, 1, -1, 2]
    for name in RUN_BASELINES:
        np.testing.assert_array_equal(done.predictions[name], result.predictions[name])
        read = pd.read_csv(run_dir / "baselines" / name / "predictions.tsv", sep="\t")
        written = result.to_frame(name)
        np.testing.assert_array_equal(read.iloc[:, 2:].to_numpy(), written.iloc[:, 2:].to_numpy())
    kept = run_dir / "baselines" / "folds" / "fold_01" / "fold.json"
    whole = kept.read_text()
    kept.write_text(whole[:100])
    with pytest.raises(InputError, match=r"fold_01.*damaged.*delete its folder"):
        run_baselines(with_baselines(data, networks), folds, 0, folder=run_dir, settings=SMALL)
    about = json.loads(whole)
    about["rows"].pop()
    kept.write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"fold_01: a finished fold is damaged; .*was changed af"):
        run_baselines(with_baselines(data, networks), folds, 0, folder=run_dir, settings=SMALL)
    kept.write_text(json.dumps(sealed(about)))
    with pytest.raises(InputError, match="fold 1 was saved for other test RNAs"):
        run_baselines(with_baselines(data, networks), folds, 0, folder=run_dir, settings=SMALL)


@pytest.mark.slow
def test_the_table_has_the_evaluators_figures(data: FusionData, folds, result) -> None:
    table = baseline_table(result)
    assert list(table["model"]) == list(RUN_BASELINES)
    rows = np.flatnonzero(result.of_row >= 0)
    metrics = evaluate(
        data.labels[rows],
        result.predictions["trees"][rows],
        result.of_row[rows],
        result.thresholds_of["trees"][rows],
        data.compartments,
        data.popularity[rows],
    )
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
    monkeypatch.setattr(baseline_run, "BaselineSettings", lambda: SMALL)
    run_experiment(networks, CONFIG, run_dir, baselines=True)
    table = pd.read_csv(run_dir / "baselines.tsv", sep="\t")
    assert list(table["model"]) == [THIS_RUN, *RUN_BASELINES]
    text = (run_dir / "report.md").read_text()
    assert "## Baselines" in text
    assert "Nearest baseline in AUC" in text
    compared = compare_runs([run_dir], ["trees", "frequency"], n_resamples=100)
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
        compare_runs([run_dir], ["treees"])
    with pytest.raises(ConfigError, match="needs two runs"):
        compare_runs([run_dir])


def test_a_run_without_baselines_says_so(networks: NetworkSet, run_dir: Path) -> None:
    run_experiment(networks, CONFIG, run_dir)
    assert not (run_dir / "baselines.tsv").exists()
    assert "baselines were left out" in (run_dir / "report.md").read_text()
    with pytest.raises(InputError, match=r"no baselines.*--no-baselines"):
        compare_runs([run_dir], ["trees"])


@pytest.mark.slow
def test_a_registered_baseline_is_fitted_next_to_the_builtin_ones(
    networks: NetworkSet, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("by_length", f"{__name__}:ByLength", "mirnagraph.baselines")
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [point])
    monkeypatch.setattr(baseline_run, "BaselineSettings", lambda: SMALL)
    run_experiment(networks, CONFIG, run_dir, baselines=True)
    table = pd.read_csv(run_dir / "baselines.tsv", sep="\t").set_index("model")
    assert list(table.index) == [THIS_RUN, *RUN_BASELINES, "by_length"]
    assert table.at["by_length", "what"] == "training frequency, halved"
    assert (run_dir / "baselines" / "by_length" / "predictions.tsv").is_file()
    assert "by_length" in (run_dir / "report.md").read_text()


class ByLength:
    """Training frequency, halved."""

    def fit_predict(self, _inputs, labels, train, test, _seed):
        """Half of the frequency of each label."""
        return np.tile(labels[train].mean(axis=0) / 2, (len(test), 1))
