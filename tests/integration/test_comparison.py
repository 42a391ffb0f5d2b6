"""Comparison of runs: one equals itself, a worse one is lower, runs that do not fit are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.runs.compare import compare_runs, draw_differences
from mirnagraph.runs.run_file import FORMAT_VERSION

COMPARTMENTS = ["Cytoplasm", "Nucleus"]


def make_run(
    folder: Path, noise: float, *, n: int = 120, status: str = "done", fold_of: int = 3
) -> Path:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, (n, 2))
    signal = random.normal(size=(n, 2))
    logits = (
        1.5 * (labels - 0.5)
        + 0.5 * signal
        + noise * np.random.default_rng(int(noise * 10)).normal(size=(n, 2))
    )
    folder.mkdir()
    (folder / "run.json").write_text(
        json.dumps({"format_version": FORMAT_VERSION, "status": status})
    )
    ids = [f"r{number}" for number in range(n)]
    table = pd.DataFrame(1 / (1 + np.exp(-logits)), columns=COMPARTMENTS)
    table.insert(0, "rna_id", ids)
    table.insert(1, "fold", np.arange(n) % fold_of)
    table.to_csv(folder / "predictions.tsv", sep="\t", index=False)
    truth = pd.DataFrame(labels, columns=COMPARTMENTS)
    truth.insert(0, "rna_id", ids)
    truth.to_csv(folder / "labels.tsv", sep="\t", index=False)
    return folder


def test_a_run_equals_itself_and_a_noisier_one_is_worse(tmp_path: Path) -> None:
    good, same, bad = (
        make_run(tmp_path / "good", 0.0),
        make_run(tmp_path / "same", 0.0),
        make_run(tmp_path / "bad", 3.0),
    )
    table = compare_runs([good, same, bad], n_resamples=200)
    equal, worse = table[table["run"] == "same"], table[table["run"] == "bad"]
    assert (equal["difference"] == 0).all()
    average = worse[(worse["compartment"] == "average") & (worse["metric"] == "AUC")].iloc[0]
    assert average["difference"] < 0
    assert average["high"] < 0
    assert set(table["reference"]) == {"good"}
    figure = draw_differences(table)
    assert [axis.get_title() for axis in figure.axes] == ["AUC", "AUPR"]


def test_a_run_with_other_sets_is_compared_on_the_rnas_of_the_smaller_one(tmp_path: Path) -> None:
    alone, both = make_run(tmp_path / "alone", 1.0), make_run(tmp_path / "both", 0.0)
    expected = compare_runs([alone, both], n_resamples=200)
    for name, cells in (
        ("predictions.tsv", "long|1\t0\t0.5\t0.5\t0.25\n"),
        ("labels.tsv", "long|1\t\t1\t0\n"),
    ):
        lines = (both / name).read_text().splitlines()
        wider = [
            f"{lines[0]}\tGranule",
            *(f"{line}\t{'0.5' if name == 'predictions.tsv' else ''}" for line in lines[1:]),
        ]
        (both / name).write_text("\n".join(wider) + "\n" + cells)
    with pytest.raises(InputError, match="other RNAs"):
        compare_runs([alone, both])
    about = json.loads((both / "run.json").read_text())
    (both / "run.json").write_text(
        json.dumps({**about, "sets": {"long": {"type": "lncRNA", "n": 1}}})
    )
    pd.testing.assert_frame_equal(compare_runs([alone, both], n_resamples=200), expected)
    (alone / "labels.tsv").write_text(
        (alone / "labels.tsv").read_text().replace("r0\t1", "r0\t0").replace("r0\t0\t0", "r0\t0\t1")
    )
    with pytest.raises(InputError, match="other RNAs or labels"):
        compare_runs([alone, both])


def test_runs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    good = make_run(tmp_path / "good", 0.0)
    with pytest.raises(ConfigError, match="two runs"):
        compare_runs([good])
    with pytest.raises(InputError, match="other RNAs"):
        compare_runs([good, make_run(tmp_path / "fewer", 0.0, n=100)])
    with pytest.raises(InputError, match="fold"):
        compare_runs([good, make_run(tmp_path / "folds", 0.0, fold_of=4)])
    with pytest.raises(InputError, match="not finished"):
        compare_runs([good, make_run(tmp_path / "running", 0.0, status="running")])
    with pytest.raises(InputError, match="not a run folder"):
        compare_runs([good, tmp_path])
    broken = make_run(tmp_path / "broken", 0.0)
    (broken / "labels.tsv").write_text(
        (broken / "labels.tsv").read_text().replace("r1\t", "r1\t7", 1)
    )
    with pytest.raises(InputError, match=r"labels\.tsv, line 3.*expected 0 or 1"):
        compare_runs([good, broken])
