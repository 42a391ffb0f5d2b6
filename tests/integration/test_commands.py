"""The commands as a person types them: in a new process, in an empty folder, with right and wrong words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

QUICK = """
[tokens]
attention = ["svd:disease", "degree"]
trees = ["svd:disease", "degree", "kmer"]
[attention]
dim = 8
n_heads = 2
[training]
epochs = 2
n_members = 1
[trees]
n_trees = 5
rounds = 2
"""


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "MIRNAGRAPH_DATA"}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words], cwd=cwd, env={**clean, "COLUMNS": "200", **env}, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


def test_build_then_train_then_again(tmp_path: Path, quick: Path) -> None:
    built = run("build-networks", "--graphml", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert "made-up" in built.stderr
    assert [line.split("\t")[0] for line in built.stdout.splitlines()] == ["network", "sequence", "functional", "mRNA", "drug", "disease"]
    assert (tmp_path / "networks" / "disease.graphml").is_file()
    again = run("build-networks", cwd=tmp_path)
    assert again.returncode == 3
    assert "--overwrite" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert run("build-networks", "--overwrite", "-q", cwd=tmp_path).returncode == 0

    trained = run("train", "--fold", "3", "--config", str(quick), "--out", "run", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "AUC" in trained.stdout
    predictions = pd.read_csv(tmp_path / "run" / "predictions.tsv", sep="\t")
    assert len(predictions) == 200
    assert sorted(predictions["fold"].unique()) == [0, 1, 2]
    # the folder's own config.toml is a config: the same numbers come out again
    copied = run("train", "--config", "run/config.toml", "--out", "copy", "-q", cwd=tmp_path)
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "copy" / "predictions.tsv").read_bytes() == (tmp_path / "run" / "predictions.tsv").read_bytes()
    finished = run("train", "--fold", "3", "--config", str(quick), "--out", "run", cwd=tmp_path)
    assert finished.returncode == 3
    assert "finished" in finished.stderr
    assert run("train", "--fold", "3", "--config", str(quick), "--out", "run", "--resume", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["train", "--fold", "1"], 2, "fold"),
        (["train", "--fold", "500"], 2, "500 folds"),
        (["train", "--rnas", "some"], 2, "rnas"),
        (["train", "--preset", "defualt"], 2, "did you mean 'default'"),
        (["train", "--no-such-option"], 2, "no-such-option"),
        (["train", "--networks", "nowhere"], 3, "nowhere"),
        (["train", "--split", "nowhere.tsv"], 3, "nowhere.tsv"),
        (["train", "--config", "nowhere.toml"], 3, "nowhere.toml"),
        (["build-networks", "--data", "nowhere"], 3, "nowhere"),
        (["build-networks", "--cutoff", "2"], 2, "cutoff"),
        (["nothing"], 2, "nothing"),
        (["fetch", "nothing"], 2, "nothing"),
    ],
)
def test_wrong_use_ends_in_a_sentence_and_its_exit_code(tmp_path: Path, words: list[str], code: int, says: str) -> None:
    ended = run(*words, cwd=tmp_path)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_wrong_setting_in_a_file_is_named(tmp_path: Path, quick: Path) -> None:
    quick.write_text(QUICK.replace("dim = 8", "dimm = 8"))
    ended = run("train", "--config", str(quick), cwd=tmp_path)
    assert ended.returncode == 2
    assert "'dimm'; did you mean 'dim'?" in ended.stderr
    quick.write_text(QUICK.replace("dim = 8", "dim = 'eight'"))
    assert run("train", "--config", str(quick), cwd=tmp_path).returncode == 2
    quick.write_text(QUICK.replace("[tokens]", "[tokens"))
    assert run("train", "--config", str(quick), cwd=tmp_path).returncode == 3


def test_help_teaches(tmp_path: Path) -> None:
    for words in (["--help"], ["build-networks", "--help"], ["train", "--help"], ["fetch", "--help"]):
        shown = run(*words, cwd=tmp_path)
        assert shown.returncode == 0
        assert "Usage" in shown.stdout
    assert "Example" in run("train", "--help", cwd=tmp_path).stdout
    assert run("--version", cwd=tmp_path).stdout.startswith("mirnagraph ")
