"""Jobs on a Dask scheduler with two workers on the loopback address, one of them killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from dask_processes import running_cluster
from scipy import sparse

from mirnagraph.embedding.node2vec import Node2VecConfig, node2vec
from mirnagraph.errors import InputError
from mirnagraph.parallel import map_parallel
from mirnagraph.runs.cluster import on_cluster
from mirnagraph.seeds import generator
from mirnagraph.similarity import nearest
from mirnagraph.similarity.candidates import KmerIndex
from mirnagraph.similarity.nearest import nearest_sequences
from mirnagraph.similarity.smith_waterman import smith_waterman_network
from mirnagraph.walks.graph import store_walk_graph, walk_graph
from mirnagraph.walks.rounds import map_rounds

pytest.importorskip("distributed", reason="the extra scale is not installed")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a scheduler with two workers of one thread each, in a folder of their own."""
    with running_cluster(tmp_path_factory.mktemp("dask")) as started:
        yield started.address


def rnas(n: int) -> list[str]:
    rng = generator(0, "rnas")
    return ["".join(rng.choice(list("ACGU"), rng.integers(30, 60))) for _ in range(n)]


def times(factor: int, job: int) -> int:
    return factor * job


def which_process(shared: str, job: int) -> int:
    """The process of a job; the first job kills its worker, once."""
    if job == 0 and not Path(shared).exists():
        Path(shared).write_text("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return os.getpid()


@pytest.mark.slow
def test_similarity_blocks_are_those_of_one_process(scheduler: str, monkeypatch) -> None:
    monkeypatch.setattr(nearest, "BLOCK", 50)
    sequences = rnas(200)
    alone = nearest_sequences(sequences, 5)
    with on_cluster(scheduler):
        together = nearest_sequences(sequences, 5)
    assert (alone != together).nnz == 0
    assert alone.nnz == together.nnz > 0


@pytest.mark.slow
def test_proposed_pairs_are_those_of_one_process(scheduler: str) -> None:
    sequences = rnas(60)
    index = KmerIndex(above=10, k=4, candidates=8)
    alone = smith_waterman_network(sequences, 5, index=index).matrix
    together = smith_waterman_network(sequences, 5, index=index, scheduler=scheduler).matrix
    assert (alone != together).nnz == 0
    assert alone.nnz == together.nnz > 0


@pytest.mark.slow
def test_networks_on_the_cluster_are_those_of_one_process(scheduler: str, run) -> None:
    Path("networks.toml").write_text("dense_below = 50\n")
    words = ("build-networks", "--config", "networks.toml", "-q")
    for place in (
        ("--workers", "1", "--out", "here"),
        ("--workers", "2", "--out", "two"),
        ("--scheduler", scheduler, "--out", "there"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    files = sorted(path.name for path in Path("here").iterdir() if path.is_file())
    assert "similarities.safetensors" in files
    for name in files:
        here = Path("here", name).read_bytes()
        if name != "mirnagraph.jsonl":
            assert here == Path("there", name).read_bytes() == Path("two", name).read_bytes(), name


@pytest.mark.slow
def test_walks_are_those_of_one_process(scheduler: str, tmp_path: Path) -> None:
    ring = sparse.csr_array(sparse.eye_array(40, k=1) + sparse.eye_array(40, k=-1))
    config = Node2VecConfig(dim=4, n_walks=3, walk_length=9, epochs=1, p=0.5)
    alone = node2vec(ring, config, 0)
    store_walk_graph(walk_graph(ring), tmp_path / "ring")
    with on_cluster(scheduler):
        for network in (ring, tmp_path / "ring"):
            assert (node2vec(network, config, 0) == alone).all()
        (tmp_path / "ring" / "indptr.npy").unlink()
        with pytest.raises(InputError, match=r"indptr\.npy: .* is missing; store the"):
            list(map_rounds(len, tmp_path / "ring", {"n_walks": 2}))


@pytest.mark.slow
def test_jobs_of_a_killed_worker_run_on_the_other(scheduler: str, tmp_path: Path) -> None:
    with on_cluster(scheduler):
        assert sorted(map_parallel(times, 3, [1, 2, 4], 1)) == [3, 6, 12]
        places = list(map_parallel(which_process, str(tmp_path / "killed"), list(range(8)), 1))
    assert (tmp_path / "killed").exists()
    assert len(places) == 8
    assert os.getpid() not in places
    assert list(map_parallel(times, 3, [2], 1)) == [6]  # here again


@pytest.mark.slow
def test_a_training_on_the_cluster_is_that_of_one_process(scheduler: str, run, quick) -> None:
    quick()
    words = ("train", "--config", "quick.toml", "--fold", "2", "--no-baselines", "-q")
    for place in (
        ("--workers", "1", "--out", "here"),
        ("--scheduler", scheduler, "--out", "there"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    here = Path("here/predictions.tsv").read_bytes()
    assert here == Path("there/predictions.tsv").read_bytes()
    assert len(here) > 1000


@pytest.mark.slow
def test_predictions_on_the_cluster_are_those_of_one_process(
    scheduler: str, run, finished_run: Path, monkeypatch
) -> None:
    monkeypatch.setattr("fusion.streaming.CHUNK_RNAS", 9)
    fasta = Path("several.fa")
    fasta.write_text("".join(f">r{n}\n{text}\n" for n, text in enumerate(rnas(40))))
    words = ("predict", "--run", str(finished_run), "--fasta", str(fasta))
    for place in (
        ("--workers", "1", "--out", "one.tsv"),
        ("--workers", "2", "--out", "two.tsv"),
        ("--scheduler", scheduler, "--out", "there.tsv"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    one = Path("one.tsv").read_bytes()
    assert one.count(b"\n") == 41
    assert one == Path("two.tsv").read_bytes() == Path("there.tsv").read_bytes()


@pytest.mark.slow
def test_predictions_of_a_tower_on_the_cluster_are_those_of_one_process(
    scheduler: str, run, project: Path, in_empty_folder: Path, monkeypatch
) -> None:
    monkeypatch.setattr("fusion.streaming.CHUNK_RNAS", 9)
    fasta = Path("several.fa")
    fasta.write_text("".join(f">r{n}\n{text}\n" for n, text in enumerate(rnas(40))))
    tower = project / "tests" / "golden" / "tower_v1"
    words = ("seq", "predict", "--run", str(tower), "--fasta", str(fasta))
    for place in (
        ("--workers", "1", "--out", "one.tsv"),
        ("--scheduler", scheduler, "--out", "there.tsv"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    assert Path("one.tsv").read_bytes() == Path("there.tsv").read_bytes()


@pytest.mark.slow
def test_a_search_on_the_cluster_is_that_of_one_process(scheduler: str, run, quick) -> None:
    pytest.importorskip("optuna")
    quick()
    Path("space.toml").write_text("[space]\nmix.extra_trees = [0.5, 1.0]\n")
    words = ("tune", "--config", "quick.toml", "--space", "space.toml", "--trials", "2", "-q")
    for place in (
        ("--workers", "1", "--out", "here"),
        ("--scheduler", scheduler, "--out", "there"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    tables = [pd.read_csv(Path(name, "trials.tsv"), sep="\t") for name in ("here", "there")]
    here, there = (table.drop(columns="seconds") for table in tables)
    assert len(here) == 2
    pd.testing.assert_frame_equal(here, there)


@pytest.mark.slow
def test_an_ablation_on_the_cluster_is_that_of_one_process(scheduler: str, run, quick) -> None:
    quick()
    words = ("ablate", "--config", "quick.toml", "--fold", "2", "--only", "attention-alone")
    words += ("--repeats", "1", "-q")
    for place in (
        ("--workers", "1", "--out", "here"),
        ("--scheduler", scheduler, "--out", "there"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    assert Path("here/ablation.tsv").read_bytes() == Path("there/ablation.tsv").read_bytes()
    full = Path("variants", "full", "seed_0", "predictions.tsv")
    assert Path("here", full).read_bytes() == Path("there", full).read_bytes()


@pytest.mark.slow
def test_an_audit_on_the_cluster_is_that_of_one_process(
    scheduler: str, run, networks, in_empty_folder: Path
) -> None:
    networks.save(in_empty_folder / "nets")
    words = ("audit", "--networks", "nets", "--fold", "2", "-q")
    for place in (
        ("--workers", "1", "--out", "here"),
        ("--scheduler", scheduler, "--out", "there"),
    ):
        done = run(*words, *place)
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in Path("here").iterdir() if path.suffix == ".tsv")
    assert names
    for name in names:
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes()
