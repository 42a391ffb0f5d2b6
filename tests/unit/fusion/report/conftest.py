"""A small run folder with markup in its names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

EVIL = "<script>alert('x')</script>"
NAMES = ("Nucleus", f"Cytosol {EVIL}")


def make_run(folder: Path, names: tuple[str, ...] = NAMES, **about: object) -> Path:
    """A finished run of 40 RNAs in two folds with the part ``kernel`` and a baseline ``trees``."""
    from mirnagraph.evaluation.metrics import evaluate
    from mirnagraph.evaluation.splits import Folds
    from mirnagraph.io import write_tsv
    from mirnagraph.nodes import NodeIndex

    rng = np.random.default_rng(5)
    ids = [f"rna-{number}" for number in range(39)] + [f"{EVIL}&amp;$x$"]
    labels = rng.integers(0, 2, (40, len(names)))
    fold = np.arange(40) % 2
    index = NodeIndex.of(ids, "RNA")
    folds = Folds(pd.Series(fold, index=ids), "random")
    folder.mkdir(parents=True)
    for place, noise in (("", 0.3), ("kernel", 0.5), ("trees", 0.6)):
        probabilities = np.clip(
            0.25 + 0.5 * labels + rng.normal(0, noise, labels.shape), 0.01, 0.99
        )
        table = pd.DataFrame(probabilities, columns=list(names))
        table.insert(0, "rna_id", ids)
        table.insert(1, "fold", fold)
        thresholds = np.full(labels.shape, 0.5)
        metrics = evaluate(labels, probabilities, folds.of_rows(index), thresholds, names)
        if place == "trees":
            write_tsv(table, folder / "baselines" / place / "predictions.tsv")
            write_tsv(metrics, folder / "baselines" / place / "metrics.tsv")
        elif place:
            write_tsv(table, folder / "parts" / f"{place}.tsv")
            metrics.insert(0, "part", place)
            write_tsv(metrics, folder / "metrics_by_part.tsv")
        else:
            write_tsv(table, folder / "predictions.tsv")
            write_tsv(metrics, folder / "metrics.tsv")
    table = pd.DataFrame(labels, columns=list(names))
    table.insert(0, "rna_id", ids)
    write_tsv(table, folder / "labels.tsv")
    for number in range(2):
        path = folder / "folds" / f"fold_{number:02d}"
        path.mkdir(parents=True)
        entries = {"thresholds": {"model": [0.5] * len(names)}, "choices": {}, "seconds": 1.5}
        (path / "fold.json").write_text(json.dumps(entries))
    (folder / "config.toml").write_text(f'preset = "trees"\nseed = 3\nnote = "{EVIL}"\n')
    entries = {
        "format_version": 1,
        "status": "done",
        "seed": 3,
        "command": ["mirnagraph", "train", "--out", f"runs/{EVIL}"],
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:06:05+00:00",
        "seconds": 120.0,
        "dataset": f"set {EVIL}",
        "versions": {"mirnagraph": "0.1.0"},
        "inputs": {"networks": "ab" * 32},
        "fingerprint": "cd" * 32,
        **about,
    }
    (folder / "run.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `make_run`. Shared: do not change it."""
    return make_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """`make_run`: write a small run into a folder."""
    return make_run
