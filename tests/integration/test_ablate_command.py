"""`mirnagraph ablate`: the full model equals that of `train`, folds are shared, runs resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusion.experiments import cross_validate as experiment
from mirnagraph.networks.network import NetworkSet


@pytest.fixture
def run(run: Callable[..., Any], networks: NetworkSet, quick: Callable[..., Path]):
    """Run a command with quick settings on a small dataset."""
    networks.save("networks")
    words = ("--preset", "gtmaloc", "--config", quick().name, "--fold", "3", "--workers", "1")
    return lambda command, *more: run(command, *words, *more)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Every fold that is trained: seed, fold, number of tokens; the eighth is interrupted."""
    honest, seen = experiment.run_fold, []

    def watched(data, folds, config, fold):
        seen.append((config.seed, fold, len(config.tokens.attention)))
        if len(seen) == 8:
            raise KeyboardInterrupt
        return honest(data, folds, config, fold)

    monkeypatch.setattr(experiment, "run_fold", watched)
    return seen


def table(path: str) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


@pytest.mark.slow
def test_two_seeds_then_a_kill_then_more_variants(run, trained: list[tuple[int, int, int]]) -> None:
    words = ("--resamples", "100", "--repeats", "2", "--out", "out", "--only", "without-drug")
    assert run("ablate", *words)[0] == 130
    assert not Path("out/ablation.tsv").exists()
    code, out, err = run("ablate", *words)
    assert code == 0, err
    # full and without-drug, two seeds, three folds; only the interrupted one is trained again
    assert len(trained) == 13
    assert sorted(set(trained)) == [
        (seed, fold, n) for seed in (0, 1) for fold in range(3) for n in (2, 3)
    ]
    assert "without-drug" in out
    assert "heads-4" not in out
    for seed in (0, 1):
        folds = [
            Path(f"out/variants/{name}/seed_{seed}/folds.tsv").read_bytes()
            for name in ("full", "without-drug")
        ]
        assert folds[0] == folds[1]
    assert (
        Path("out/variants/full/seed_0/folds.tsv").read_bytes()
        != Path("out/variants/full/seed_1/folds.tsv").read_bytes()
    )
    figures = table("out/ablation.tsv").set_index(["variant", "compartment", "metric"])
    row = figures.loc[("without-drug", "average", "AUC")]
    means = {
        name: [
            table(f"out/variants/{name}/seed_{s}/metrics.tsv")
            .set_index(["compartment", "metric"])
            .at[("average", "AUC"), "mean"]
            for s in (0, 1)
        ]
        for name in ("full", "without-drug")
    }
    assert row["mean"] == pytest.approx(np.mean(means["without-drug"]))
    assert row["seed_difference"] == pytest.approx(
        np.mean(means["without-drug"]) - np.mean(means["full"])
    )
    assert row["pooled_low"] <= row["pooled_difference"] <= row["pooled_high"]
    # within is counted among equally well studied RNAs of the whole data, whatever was taken out
    assert np.isfinite(figures.loc[("without-drug", "average", "within"), "mean"])

    assert run("train", "--out", "plain")[0] == 0
    assert (
        Path("plain/predictions.tsv").read_bytes()
        == Path("out/variants/full/seed_0/predictions.tsv").read_bytes()
    )
    before = len(trained)
    code, out, err = run(
        "ablate",
        "--resamples",
        "100",
        "--repeats",
        "2",
        "--out",
        "out",
        "--only",
        "heads-4",
        "--only",
        "heads-2",
        "--only",
        "trees-alone",
    )
    assert code == 0, err
    assert len(trained) == before + 6
    assert "without-drug" in out  # finished before, and still in the report
    words = Path("out/ablation.md").read_text()
    assert "Synthetic data" in words
    assert "trees-alone: not applicable, the model does not mix trees and attention" in words
    assert "heads-2: 2 heads: the full model; not trained again" in words
    assert "rebuilt without it: degree" in words
    assert (Path("out/ablation.png")).stat().st_size > 1000
    again = Path("out/ablation.tsv").read_bytes()
    assert (
        run(
            "ablate",
            "--resamples",
            "100",
            "--repeats",
            "2",
            "--out",
            "out",
            "--only",
            "heads-4",
            "--only",
            "heads-2",
            "--only",
            "trees-alone",
            "-q",
        )[0]
        == 0
    )
    assert len(trained) == before + 6
    assert Path("out/ablation.tsv").read_bytes() == again


def test_wrong_use(run, unreported) -> None:
    code, _, err = run("ablate", "--only", "without-drugs")
    assert code == 2
    assert "did you mean 'without-drug'" in err
    assert run("train", "--out", "plain", "--no-baselines")[0] == 0
    code, _, err = run("ablate", "--out", "plain", "--only", "heads-4")
    assert code == 3
    assert "other settings" in err
    assert run("ablate", "--fold", "500")[0] == 2
    assert not Path("runs").exists()


@pytest.mark.slow
def test_one_worker_and_two_give_the_same_bits(run) -> None:
    for workers in ("1", "2"):
        assert (
            run(
                "ablate",
                "--resamples",
                "100",
                "--repeats",
                "1",
                "--out",
                f"out{workers}",
                "--only",
                "without-drug",
                "--workers",
                workers,
                "-q",
            )[0]
            == 0
        )
    assert Path("out1/ablation.tsv").read_bytes() == Path("out2/ablation.tsv").read_bytes()
