"""Folders of networks, runs and models with a damaged, missing or foreign file: refused by name.

The time is that of the fuzz run, MIRNAGRAPH_FUZZ_SECONDS (default 20; 600 in `make stress`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fusion.explain.ranking import read_run
from fusion.export.export import export_run
from fusion.export.facts import read_facts
from fusion.export.load import load
from mirnagraph.errors import MirnagraphError
from mirnagraph.networks.network import NetworkSet, load_networks
from mirnagraph.runs.compare import read_labels
from mirnagraph.runs.results import load_fold, read_metrics

UNREAD = {"mirnagraph.jsonl", "report.md", "statistics.tsv", "README.md"}
"""Files for people, and pictures."""


def damage(path: Path, rng: np.random.Generator) -> None:
    """Remove a file, put a folder in its place, cut it, or change, insert or remove bytes."""
    content = path.read_bytes()
    kind = rng.choice(
        ["gone", "folder", "cut", "change", "insert", "remove"], p=[0.1] * 3 + [0.2, 0.25, 0.25]
    )
    path.unlink()
    if kind == "folder":
        path.mkdir()
    if kind in ("gone", "folder"):
        return
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(content) + 1))
        before, after = content[:at], content[at:]
        new = b"" if kind in ("cut", "remove") else rng.bytes(1)
        after = {"cut": b"", "insert": after}.get(str(kind), after[1:])
        content = before + new + after
    path.write_bytes(content)


def refusal(read: Callable[[Path], object], folder: Path) -> str | None:
    """What is said of a folder that is refused; None for one that is read."""
    try:
        read(folder)
    except MirnagraphError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_fuzz_of_folders(made: Path, networks: NetworkSet, tmp_path: Path) -> None:
    export_run(made / "run", tmp_path / "model")

    def run(folder: Path) -> None:
        read_run(folder, networks)
        read_facts(folder)
        read_labels(folder)
        read_metrics(folder)
        load(folder)
        for fold in range(3):
            load_fold(folder, fold)

    readers = {made / "nets": load_networks, made / "run": run, tmp_path / "model": load}
    rng = np.random.default_rng(int(os.environ.get("MIRNAGRAPH_FUZZ_SEED", "0")))
    end = time.monotonic() + float(os.environ.get("MIRNAGRAPH_FUZZ_SECONDS", "20"))
    counts = {"refused": 0, "read": 0}
    work = tmp_path / "work"
    while time.monotonic() < end:
        for folder, read in readers.items():
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(folder, work)
            files = sorted(path for path in work.rglob("*") if path.is_file())
            path = files[int(rng.integers(len(files)))]
            if path.name in UNREAD or path.suffix == ".png":
                continue
            original = path.read_bytes()
            damage(path, rng)
            said = refusal(read, work)
            assert said is None or str(work) in said, f"{path}: no place in {said}"
            counts["refused"] += said is not None
            counts["read"] += said is None and not (
                path.is_file() and path.read_bytes() == original
            )
    print(f"fuzz of folders: {counts}")  # noqa: T201  shown with -s
    assert counts["read"] < 0.05 * counts["refused"]
