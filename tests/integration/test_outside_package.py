"""A package outside the tree adds one entry to each registry, and the commands run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

TRAIN = """
newcomers = ""
[embedding]
embedder = "spectral"
[embedding.options]
dim = 4
[embedding.graph_transformer]
encoder = "mean"
dim = 8
n_heads = 2
epochs = 2
[tokens]
trees = ["gc", "kmer"]
attention = ["gc", "node2vec:disease", "graph_transformer:disease"]
[attention]
dim = 8
[training]
epochs = 2
n_members = 1
n_students = 0
[trees]
n_trees = 5
rounds = 2
[mix]
calibration_part = 0.0
"""

GRAPH_TOWER = """
newcomers = ""
neural = "fusion"
[tokens]
trees = ["kmer"]
attention = ["nearest:sequence", "profile:disease"]
[fusion]
graph_layer = "mean_labels"
dim = 8
n_queries = 2
hidden = 8
n_members = 1
kernel_dim = 0
epochs = 2
[trees]
n_trees = 5
rounds = 2
[mix]
kernel = 0.0
calibration_part = 0.0
"""

SEQ_TRAIN = """
n_folds = 2
[tower]
name = "mean_pool"
[tower.settings]
units = 2
[encoder]
name = "purine"
[training]
epochs = 1
"""


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on the path that holds the package as pip would install it."""
    site = tmp_path_factory.mktemp("site")
    source = project / "tests" / "outside" / "mymirna"
    shutil.copy(source / "mymirna.py", site)
    about = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = site / f"{about['name']}-{about['version']}.dist-info"
    metadata.mkdir()
    header = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
    (metadata / "METADATA").write_text(header, encoding="utf-8")
    lines = []
    for group, entries in about["entry-points"].items():
        lines.append(f"[{group}]")
        lines += [f"{name} = {value}" for name, value in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return site


def run(project: Path, site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that sees the package."""
    path = os.pathsep.join([str(site), str(project)])
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; raise SystemExit(main())", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def test_the_documented_entries_are_those_of_the_package(project: Path) -> None:
    source = (project / "tests/outside/mymirna/mymirna.py").read_text(encoding="utf-8")
    start = source.index("def gc_token")
    entries = source[start : source.index("@dataclass", start)].rstrip()
    assert entries in (project / "docs/extending.md").read_text(encoding="utf-8")
    assert len(entries.splitlines()) < 30


@pytest.mark.slow
def test_train_runs_a_token_an_embedder_a_graph_encoder_and_a_baseline(
    project: Path, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(TRAIN, encoding="utf-8")
    options = ["--config", "mine.toml", "--fold", "2", "--out", "run", "--workers", "1"]
    done = run(project, site, tmp_path, "train", *options)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "run" / "baselines.tsv", sep="\t").set_index("model")
    assert 0.4 < table.at["nearest_mean", "AUC"] < 1
    assert table.at["nearest_mean", "what"] == "nearest class mean of partner counts"
    predicted = run(project, site, tmp_path, "predict", "--run", "run", "--rna", "syn-mir-0001")
    assert predicted.returncode == 0, predicted.stderr
    (tmp_path / "wrong.toml").write_text(TRAIN.replace('"spectral"', '"spectrum"'))
    wrong = run(project, site, tmp_path, "train", "--config", "wrong.toml", "--out", "other")
    assert wrong.returncode == 2
    assert "did you mean 'spectral'?" in wrong.stderr


@pytest.mark.slow
def test_train_and_predict_run_a_layer_of_the_graph_tower(
    project: Path, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(GRAPH_TOWER, encoding="utf-8")
    options = ["--config", "mine.toml", "--fold", "2", "--out", "run", "--workers", "1"]
    done = run(project, site, tmp_path, "train", *options, "--no-baselines")
    assert done.returncode == 0, done.stderr
    settings = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))
    assert settings["fusion"]["graph_layer"] == "mean_labels"
    predicted = run(project, site, tmp_path, "predict", "--run", "run", "--rna", "syn-mir-0001")
    assert predicted.returncode == 0, predicted.stderr
    wrong = GRAPH_TOWER.replace('"mean_labels"', '"mean_label"')
    (tmp_path / "wrong.toml").write_text(wrong, encoding="utf-8")
    failed = run(project, site, tmp_path, "train", "--config", "wrong.toml", "--out", "other")
    assert failed.returncode == 2
    assert "did you mean 'mean_labels'?" in failed.stderr


@pytest.mark.slow
def test_seq_train_runs_a_tower_and_an_encoder(project: Path, site: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SEQ_TRAIN, encoding="utf-8")
    options = ["--config", "mine.toml", "--out", "run", "--workers", "1", "--no-baselines"]
    done = run(project, site, tmp_path, "seq", "train", *options)
    assert done.returncode == 0, done.stderr
    assert "tower mean_pool" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    fasta = tmp_path / "mine.fa"
    fasta.write_text(">a\nACGUACGGA\n", encoding="utf-8")
    words = ["seq", "predict", "--run", "run", "--fasta", "mine.fa"]
    predicted = run(project, site, tmp_path, *words)
    assert predicted.returncode == 0, predicted.stderr
    assert predicted.stdout.splitlines()[1].startswith("a\t")
