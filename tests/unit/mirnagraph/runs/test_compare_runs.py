"""Comparison of run folders: layouts of baselines, kinds of labels, runs that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.runs.compare import compare_runs, draw_differences, read_labels
from mirnagraph.runs.results import baseline_files
from mirnagraph.runs.run_file import FORMAT_VERSION

N = 40
IDS = [f"r{number}" for number in range(N)]
LABELS = np.array([[number % 2, number // 2 % 2] for number in range(N)], dtype=float)
GOOD = LABELS * 0.8 + 0.1
# above and below 0.5 in turn whatever the label: AUC 0.5
POOR = np.array([[0.4 + 0.2 * (number // 4 % 2)] * 2 for number in range(N)])


def write_table(path: Path, values: np.ndarray, columns: tuple[str, ...] = ("P", "Q")) -> None:
    table = pd.DataFrame(values, columns=list(columns))
    table.insert(0, "rna_id", IDS)
    table.insert(1, "fold", np.arange(N) % 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False)


def make_run(folder: Path, values: np.ndarray, true: np.ndarray = LABELS, **about: str) -> Path:
    folder.mkdir()
    plain = {"format_version": FORMAT_VERSION, "status": "done", **about}
    (folder / "run.json").write_text(json.dumps(plain))
    write_table(folder / "predictions.tsv", values)
    table = pd.DataFrame(true, columns=["P", "Q"])
    if "labels" not in about:
        table = table.astype("Int64")
    table.insert(0, "rna_id", IDS)
    table.to_csv(folder / "labels.tsv", sep="\t", index=False)
    return folder


def average(table: pd.DataFrame, metric: str) -> pd.Series:
    return table[(table["compartment"] == "average") & (table["metric"] == metric)].iloc[0]


@pytest.mark.parametrize(
    "path", ["baselines/trees/predictions.tsv", "baselines/trees.tsv", "parts/trees.tsv"]
)
def test_a_baseline_is_found_in_every_layout(tmp_path: Path, path: str) -> None:
    run = make_run(tmp_path / "run", GOOD)
    (run / "baselines").mkdir()
    write_table(run / path, POOR)
    assert list(baseline_files(run)) == ["trees"]
    table = compare_runs([run], ["trees"], n_resamples=100)
    assert set(zip(table["reference"], table["run"], strict=True)) == {("trees", "run")}
    row = average(table, "AUC")
    # the good one ranks every pair, the poor one none better than chance
    assert (row["first"], row["second"]) == (pytest.approx(0.5), 1.0)
    assert row["low"] > 0


def test_the_folder_layout_is_read_where_two_hold_the_same_name(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GOOD)
    write_table(run / "baselines" / "trees.tsv", POOR)
    write_table(run / "baselines" / "trees" / "predictions.tsv", GOOD)
    assert baseline_files(run)["trees"].name == "predictions.tsv"
    assert average(compare_runs([run], ["trees"], n_resamples=100), "AUC")["difference"] == 0


def test_every_run_is_compared_with_its_own_baseline(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, GOOD) for name in ("one", "two")]
    for run, values in zip(runs, (POOR, GOOD), strict=True):
        write_table(run / "baselines" / "trees" / "predictions.tsv", values)
        write_table(run / "baselines" / "names" / "predictions.tsv", POOR)
    table = compare_runs(runs, ["trees", "names"], n_resamples=100)
    auc = table[(table["compartment"] == "average") & (table["metric"] == "AUC")]
    assert auc[["reference", "run"]].to_numpy().tolist() == [
        ["trees", "one"], ["names", "one"], ["trees", "two"], ["names", "two"],
    ]  # fmt: skip
    assert auc["difference"].tolist() == pytest.approx([0.5, 0.5, 0.0, 0.5])
    axes = draw_differences(table).axes
    assert [axis.get_xlabel() for axis in axes] == ["difference to the baseline"] * 2
    labels = [text.get_text() for text in axes[-1].get_legend().get_texts()]
    assert labels == ["one - trees", "one - names", "two - trees", "two - names"]
    assert all(axis.yaxis_inverted() for axis in axes)


def test_a_missing_baseline_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GOOD)
    with pytest.raises(InputError, match=r"no baselines.*--no-baselines"):
        compare_runs([run], ["trees"])
    write_table(run / "baselines" / "trees" / "predictions.tsv", POOR)
    with pytest.raises(ConfigError, match="no baseline 'treees'; did you mean 'trees'"):
        compare_runs([run], ["treees"])
    with pytest.raises(ConfigError, match="no baseline 'x'; it has trees"):
        compare_runs([run], ["x"])


def test_fractions_are_compared_by_correlation(tmp_path: Path) -> None:
    fractions = np.column_stack([np.arange(N) / N, 1 - np.arange(N) / N])
    noise = np.random.default_rng(0).uniform(size=(N, 2))
    good = make_run(tmp_path / "good", fractions, fractions, labels="fractions")
    poor = make_run(tmp_path / "poor", noise, fractions, labels="fractions")
    assert read_labels(good)[0] == "fractions"
    table = compare_runs([good, poor], n_resamples=100)
    assert set(table["metric"]) == {"Pearson"}
    row = average(table, "Pearson")
    assert row["first"] == pytest.approx(1)
    assert row["high"] < 0
    plain = make_run(tmp_path / "plain", GOOD)
    with pytest.raises(InputError, match="other RNAs or labels"):
        compare_runs([good, plain])


def test_unknown_labels_are_read_as_nan(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[3, 1] = np.nan
    table = pd.DataFrame(labels, columns=["P", "Q"]).astype("Int64")
    run = make_run(tmp_path / "run", GOOD, table.to_numpy(dtype=float, na_value=np.nan))
    kind, read = read_labels(run)
    assert kind == "multi-label"
    assert np.isnan(read.loc["r3", "Q"])
    assert read["Q"].notna().sum() == N - 1
    same = make_run(tmp_path / "same", GOOD, table.to_numpy(dtype=float, na_value=np.nan))
    assert average(compare_runs([run, same], n_resamples=100), "AUC")["difference"] == 0


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    good = make_run(tmp_path / "good", GOOD)
    other = make_run(tmp_path / "other", GOOD, status="running")
    with pytest.raises(InputError, match="not finished; found running, expected done"):
        compare_runs([good, other])
    with pytest.raises(InputError, match="not finished"):
        compare_runs([other], ["trees"])


@pytest.mark.parametrize(("folders", "found"), [([], "none"), (["one"], "1 and no baseline")])
def test_nothing_to_compare_with_is_refused(folders: list[str], found: str) -> None:
    with pytest.raises(ConfigError, match=f"two runs or more.*found {found}"):
        compare_runs(folders)
