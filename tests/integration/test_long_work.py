"""Long work speaks from its first second on, and ends."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest


def cpu_seconds() -> float:
    """Time that ended children took: a busy machine makes no difference."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_a_long_rna_is_explained_in_a_minute_and_says_so(run, place: Path, new_process) -> None:
    Path("one.toml").write_text("[training]\nepochs = 1\n", encoding="utf-8")
    train = ("seq", "train", "--data", "ds", "--fold", "2", "--no-baselines", "--workers", "1")
    assert run(*train, "--config", "one.toml", "--out", "tower", "-q").returncode == 0
    letters = np.random.default_rng(0).choice(list("ACGU"), 20_000)
    Path("long.fa").write_text(f">long\n{''.join(letters)}\n", encoding="utf-8")
    before = cpu_seconds()
    begin = time.monotonic()
    process = new_process(
        *("seq", "explain", "--run", "tower", "--fasta", "long.fa", "--out", "why", "--no-plots"),
        env={"OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    seconds = time.monotonic() - begin
    said = process.stderr.read()
    assert process.wait(600) == 0, said
    assert first == "Explaining the RNAs of long.fa\n"
    assert seconds < 5  # a second, on a machine that is not busy
    assert "integrated gradients (steps): " in said
    assert cpu_seconds() - before < 60
