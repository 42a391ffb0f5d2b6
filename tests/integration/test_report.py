"""The command `report`: one run with its networks, two runs, a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mirnagraph.runs.folder import rewriting

pytest.importorskip("plotly")

MEGABYTE = 1e6


@pytest.fixture
def networks_folder(networks, tmp_path: Path) -> Path:
    return networks.save(tmp_path / "networks")


@pytest.mark.slow
def test_a_run_with_its_networks(
    run: Callable, finished_run: Path, networks_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    figures = tmp_path / "figures"
    words = ["report", str(finished_run), "--networks", str(networks_folder)]
    words += ["--out", str(out), "--figures", str(figures)]
    ended = run(*words)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"Written to .*page.html: \d\.\d MB, 9 figures", ended.stderr)
    text = out.read_text(encoding="utf-8")
    from plotly.offline import get_plotlyjs

    library = len(get_plotlyjs().encode())
    assert out.stat().st_size < 6 * MEGABYTE
    assert out.stat().st_size - library < 3 * MEGABYTE
    for heading in ("Results", "Curves", "Baselines and parts", "Attention by source and head",
                    "New predictions", "Networks",
                    "Map of the RNAs", "How to reproduce", "How to cite"):  # fmt: skip
        assert f"<h3>{heading}</h3>" in text
    assert "No head reads a source 10 % or more unevenly" in text  # after three epochs
    rank = run("rank", str(finished_run), "--networks", str(networks_folder), "--top", "1")
    assert rank.returncode == 0, rank.stderr
    (first, *_) = [line.split("\t")[2] for line in rank.stdout.splitlines()[1:]]
    assert f"{first} first</summary>" in text
    metrics = pd.read_csv(finished_run / "metrics.tsv", sep="\t")
    is_average = (metrics["compartment"] == "average") & (metrics["metric"] == "AUC")
    value = metrics[is_average].iloc[0]
    assert f"{value['mean']:.3f} ± {value['sd']:.3f}" in text
    names = {path.stem for path in figures.glob("*.tsv")}
    assert names == {"roc", "precision_recall", "calibration", "co_occurrence", "compartments",
                     "differences", "degrees", "map", "training"}  # fmt: skip

    refused = run(*words)
    assert refused.returncode == 3
    assert "not empty" in refused.stderr
    assert run(*words, "--overwrite").returncode == 0


def test_networks_of_another_run_are_refused(
    run: Callable, finished_run: Path, tmp_path: Path
) -> None:
    from mirnagraph.networks.build import build_networks
    from mirnagraph.synthetic import SyntheticConfig, make_synthetic

    config = SyntheticConfig(
        n_rnas=30, n_compartments=3, n_families=6, n_communities=3, n_partners=(9, 9, 9)
    )
    other = build_networks(make_synthetic(config)[0]).save(tmp_path / "other")
    ended = run("report", str(finished_run), "--networks", str(other))
    assert ended.returncode == 3
    assert "belong to none of the runs" in ended.stderr
    assert not Path("report.html").exists()


@pytest.mark.slow
def test_two_runs_side_by_side(run: Callable, finished_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished_run, other)
    table = pd.read_csv(other / "predictions.tsv", sep="\t")
    names = table.columns[2:]
    table[names] = 0.5 * table[names] + 0.25 * (table.index.to_numpy()[:, None] % 3) / 2
    with rewriting(other, "predictions.tsv"):
        table.to_csv(other / "predictions.tsv", sep="\t", index=False)
    ended = run("report", str(finished_run), str(other), "--figures", "figures")
    assert ended.returncode == 0, ended.stderr
    text = Path("report.html").read_text(encoding="utf-8")
    assert "<h3>Results side by side</h3>" in text
    assert "All settings are the same." in text
    compared = run("compare", str(finished_run), str(other), "--resamples", "1000", "--seed", "0")
    header, *lines = [line.split("\t") for line in compared.stdout.splitlines()]
    expected = pd.DataFrame(lines, columns=header).set_index(["compartment", "metric"])
    shown = pd.read_csv("figures/run_differences.tsv", sep="\t")
    assert len(shown) == len(expected)
    for row in shown.itertuples():
        for column, value in (("difference", row.x), ("low", row.low), ("high", row.high)):
            assert value == pytest.approx(float(expected.loc[(row.y, row.panel), column]), abs=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on the PATH")
def test_in_a_browser(
    run: Callable, finished_run: Path, networks_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    words = ["report", str(finished_run), "--networks", str(networks_folder), "--out", str(out)]
    assert run(*words).returncode == 0
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1000,12000"]
    command += ["--virtual-time-budget=20000", "--dump-dom", out.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in shown.stderr  # no error, nothing refused by the policy of the page
    n_figures = shown.stdout.count('<figure class="figure"')
    assert n_figures == 9
    assert shown.stdout.count('<figure class="neighbourhood"') == 1
    drawn = re.findall(r'class="canvas js-plotly-plot"', shown.stdout)
    assert len(drawn) == n_figures + 1
