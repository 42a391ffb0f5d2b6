"""`seq train` in processes that torchrun started: the result of one process, one voice, and a run
that goes on after one of them was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

SETTINGS = """
[tower]
name = "cnn"
[tower.settings]
filters = 6
dropout = 0.0
[lengths]
keep = "full"
[training]
epochs = 8
patience = 8
least_steps = 0
batch_rnas = 16
batch_parts = 2
learning_rate = 0.01
"""

pytestmark = pytest.mark.slow


def started(folder: Path, *words: str, n: int = 2) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run: list[str] = []
    if n > 1:  # standalone: a free port
        run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
    return subprocess.Popen(
        [sys.executable, *run, "-m", "cli", *words],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train(out: str) -> list[str]:
    fixed = ["seq", "train", "--config", "settings.toml", "--fold", "2", "--no-baselines"]
    return [*fixed, "--workers", "1", "--out", out]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    text, messages = process.communicate(timeout=240)
    return process.returncode, text, messages


def errors_of(messages: str) -> list[str]:
    """Sentences of ours; torchrun adds a traceback of its own."""
    return [line for line in messages.splitlines() if line.startswith(("Error: ", "Terminated. "))]


def predictions(folder: Path) -> np.ndarray:
    table = pd.read_csv(folder / "predictions.tsv", sep="\t", index_col=0)
    return table.to_numpy()


def process_of_rank(parent: int, rank: int) -> int:
    """Number of the process of torchrun's group that has a rank."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                environment = (status.parent / "environ").read_bytes().split(b"\0")
                if f"RANK={rank}".encode() in environment:
                    return int(status.parent.name)
    raise LookupError(f"no process of rank {rank}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchrun")
    (path / "settings.toml").write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def uninterrupted(folder: Path) -> np.ndarray:
    code, text, messages = ended(started(folder, *train("whole")))
    assert code == 0, messages
    assert text.count("compartment\t") == 1, "one process prints"
    assert messages.count("folds: 2/2") == 1
    assert messages.count("Written to") == 1
    return predictions(folder / "whole")


def test_two_processes_give_the_predictions_of_one(folder: Path, uninterrupted: np.ndarray) -> None:
    code, _, messages = ended(started(folder, *train("alone"), n=1))
    assert code == 0, messages
    np.testing.assert_allclose(uninterrupted, predictions(folder / "alone"), atol=1e-4)
    names = {path.relative_to(folder / "alone") for path in (folder / "alone").rglob("*")}
    assert {path.relative_to(folder / "whole") for path in (folder / "whole").rglob("*")} == names


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all_and_the_same_command_goes_on(
    rank: int, folder: Path, uninterrupted: np.ndarray
) -> None:
    out = folder / f"killed{rank}"
    process = started(folder, *train(out.name))
    until = time.monotonic() + 120
    while not (out / "checkpoints" / "fold_00" / "last.ckpt").exists():
        assert time.monotonic() < until, "no checkpoint"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.kill(process_of_rank(process.pid, rank), signal.SIGKILL)
    code, _, messages = ended(process)
    assert code != 0
    errors = errors_of(messages)
    assert len(errors) == rank, "the first process says it, unless it was killed"
    for error in errors:  # torchrun may terminate a process before it sees that another is gone
        assert "another process of this training was ended" in error or "Terminated. " in error
        assert "same command" in error
    assert not (out / "predictions.tsv").exists()
    code, _, messages = ended(started(folder, *train(out.name)))
    assert code == 0, messages
    np.testing.assert_array_equal(predictions(out), uninterrupted)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict", "hsa-mir-21"], "only `seq train` divides its work"),
        (["seq", "train", "--fasta", "none.fa", "--labels", "none.tsv"], "none.tsv: no such file"),
        (["seq", "train", "--devices", "2"], "omit --devices"),
    ],
)
def test_an_error_is_said_once_and_ends_all(words: list[str], sentence: str, folder: Path) -> None:
    code, text, messages = ended(started(folder, *words))
    assert code != 0
    assert not text
    assert len(errors_of(messages)) == 1
    assert sentence in errors_of(messages)[0]
