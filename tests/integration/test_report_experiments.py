"""The command `report` on what `ablate`, `audit`, `tune`, `train --temporal` and `seq explain`
write.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.baselines.models import BaselineSettings
from fusion.experiments.audit import audit
from mirnagraph.networks.network import NetworkSet
from mirnagraph.trees import TreesConfig

pytest.importorskip("plotly")

SMALL = BaselineSettings(
    trees=TreesConfig(n_trees=10, rounds=2, boosting_width=20), thresholds=False
)

QUICK = ("--config", "quick.toml", "--fold", "3", "--workers", "1", "--preset", "gtmaloc")


@pytest.fixture
def make(run: Callable, quick: Callable, networks: NetworkSet) -> Callable[..., None]:
    """Run a command on the small networks with quick settings."""
    networks.save("networks")
    quick()

    def call(command: str, *words: str) -> None:
        ended = run(command, "--networks", "networks", *words)
        assert ended.returncode == 0, ended.stderr

    return call


@pytest.fixture
def page(run: Callable) -> Callable[..., str]:
    """Run `report` with its figures in the folder ``figures``: the page."""

    def call(*words: str) -> str:
        ended = run("report", *words, "--figures", "figures", "--overwrite")
        assert ended.returncode == 0, ended.stderr
        return Path("report.html").read_text(encoding="utf-8")

    return call


def figure(name: str) -> pd.DataFrame:
    return pd.read_csv(f"figures/{name}.tsv", sep="\t")


@pytest.mark.slow
def test_experiments_are_shown_as_their_commands_write_them(
    make: Callable, page: Callable, networks: NetworkSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    make("train", *QUICK, "--no-baselines", "--out", "mine")
    make("ablate", *QUICK, "--resamples", "100", "--only", "without-drug", "--out", "ablation")
    make("tune", *QUICK, "--trials", "2", "--inner-folds", "2", "--out", "tuned")
    labels = networks.dataset.labels.copy()
    labels[np.random.default_rng(0).random(labels.shape) < 0.5] = 0
    labels.rename_axis("rna_id").reset_index().to_csv("earlier.tsv", sep="\t", index=False)
    make("train", *QUICK, "--temporal", "earlier.tsv", "--out", "temporal")
    monkeypatch.setattr(
        "fusion.experiments.audit.audit",
        lambda networks, **given: audit(networks, **{**given, "settings": SMALL, "workers": 1}),
    )
    make("audit", "--fold", "3", "--out", "audit")
    folders = ("ablation", "tuned", "temporal", "audit")
    text = page("mine", *[word for name in folders for word in ("--include", name)])
    for heading in ("What each source is worth (ablation)", "Tuning", "Ranking by later labels",
                    "Audit", "Attention by source and head"):  # fmt: skip
        assert f"<h3>{heading}</h3>" in text
    assert figure("attention")["panel"].str.contains("head").all()
    table = pd.read_csv("ablation/ablation.tsv", sep="\t")
    is_shown = (table["variant"] == "without-drug") & (table["compartment"] == "average")
    expected = table[is_shown].set_index("metric")["pooled_difference"]
    for row in figure("ablation").itertuples():
        assert row.x == pytest.approx(expected[row.panel], rel=1e-4)
    trials = pd.read_csv("tuned/trials.tsv", sep="\t")
    best = figure("tuning")
    best = best[best["series"] == "best so far"]
    np.testing.assert_allclose(best["y"], np.maximum.accumulate(trials["score"]), rtol=1e-4)
    later = pd.read_csv("temporal/temporal.tsv", sep="\t")
    is_shown = (later["ranking"] == "score") & (later["metric"] == "AUC")
    expected = later[is_shown].set_index("compartment")["value"]
    shown = figure("temporal")
    shown = shown[shown["series"] == "score"].set_index("y")["x"]
    pd.testing.assert_series_equal(
        shown, expected.dropna(), check_names=False, rtol=1e-4, check_index_type=False
    )
    lines = Path("audit/audit.md").read_text(encoding="utf-8").splitlines()
    first = lines[lines.index("## Conclusions") + 2].removeprefix("- ")
    assert first.startswith("With permuted labels")
    assert f"<p>{first}</p>" in text
    assert (figure("audit")["series"] == "permuted labels").any()


@pytest.mark.slow
def test_logos_of_a_sequence_run(run: Callable, page: Callable) -> None:
    for package in ("captum", "memelite", "logomaker"):
        pytest.importorskip(package)
    Path("small.toml").write_text("[training]\nepochs = 1\n")
    letters = np.random.default_rng(1).choice(list("ACGU"), (4, 120))
    fasta = "".join(f">r{number}\n{''.join(row)}\n" for number, row in enumerate(letters))
    Path("mine.fa").write_text(fasta)
    words = ("--data", "demo", "--tower", "rnatracker", "--config", "small.toml", "--fold", "2")
    ended = run("seq", "train", *words, "--no-baselines", "--out", "mine", "--workers", "1")
    assert ended.returncode == 0, ended.stderr
    words = ("--run", "mine", "--fasta", "mine.fa", "--no-masking", "--no-plots", "--out", "why")
    ended = run("seq", "explain", *words)
    assert ended.returncode == 0, ended.stderr
    text = page("mine", "--include", "why")
    assert text.count('src="data:image/svg+xml;base64,') == 1
    assert "No zipcode" in text
    table = figure("logos")
    names = {line.split()[1] for line in Path("why/motifs.meme").read_text().splitlines()
             if line.startswith("MOTIF")}  # fmt: skip
    assert {panel.split(" (")[0] for panel in table["panel"]} <= names
    assert table["y"].between(0, 2).all()
    assert Path("figures/logos.svg").stat().st_size
    assert Path("figures/logos.pdf").stat().st_size
