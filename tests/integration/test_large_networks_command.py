"""`build-networks` above `dense_below` RNAs: the same edges, what it says, stores, training."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

LARGE = "dense_below = 50\nnearest = 30\n"


def build(run, out: str, settings: str = LARGE, *words: str):
    Path("networks.toml").write_text(settings)
    return run(
        "build-networks", "--config", "networks.toml", "--workers", "1", "--out", out, *words
    )


@pytest.mark.slow
def test_edges_are_those_of_the_dense_way(run) -> None:
    done = build(run, "large", LARGE, "--graphml")
    assert done.returncode == 0, done.stderr
    names = "functional, gip, semantic, sequence"
    said = f"More than 50 RNAs: of {names} the 30 most similar RNAs of each are stored"
    assert said in done.stderr
    assert run("build-networks", "--workers", "1", "--out", "dense", "--graphml").returncode == 0
    for path in Path("dense").glob("edges.*.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(f"large/{path.name}"))
    for path in Path("dense").glob("*.graphml"):
        assert path.read_bytes() == Path("large", path.name).read_bytes()
    assert Path("dense/statistics.tsv").read_bytes() == Path("large/statistics.tsv").read_bytes()


def test_the_recall_of_an_index_is_said_and_kept(run) -> None:
    settings = LARGE + "[sequence.index]\nabove = 100\ncandidates = 40\n"
    done = build(run, "large", settings)
    assert done.returncode == 0, done.stderr
    assert "Note: k-mer index: " in done.stderr
    assert "of the 10 nearest sequences are found" in Path("large/networks.json").read_text()


def test_a_store_of_other_sequences_is_one_sentence(run) -> None:
    assert build(run, "one", LARGE, "--store", "blocks", "-q").returncode == 0
    assert len(list(Path("blocks").glob("block_*.safetensors"))) == 1
    assert build(run, "two", LARGE, "--store", "blocks", "-q").returncode == 0
    done = build(run, "three", LARGE + "[sequence]\ncutoff = 0.3\n", "--store", "blocks", "-q")
    assert done.returncode == 3
    assert "the block store is of other sequences or settings; name another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("three").exists()


@pytest.mark.slow
def test_a_model_trains_on_the_nearest_rnas(run) -> None:
    assert build(run, "large", LARGE, "-q").returncode == 0
    quick = (
        '[tokens]\nattention = ["nearest:sequence", "neighbours:gip", "n_similar", '
        '"svd_similarity:functional"]\ntrees = ["neighbours:cosine_drug"]\n'
        "[fusion]\ndim = 8\nn_heads = 2\nn_members = 1\nepochs = 2\nkernel_dim = 4\n"
        "[trees]\nn_trees = 5\nrounds = 2\nboosting_width = 20\n"
    )
    Path("quick.toml").write_text(quick)
    words = ("--networks", "large", "--config", "quick.toml", "--fold", "2", "--workers", "1")
    done = run("train", *words, "--out", "run", "-q")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv("run/predictions.tsv", sep="\t", comment="#")) == 200
    said = run("explain", "--run", "run", "--networks", "large", "syn-mir-0003")
    assert said.returncode == 0, said.stderr
    assert "similar in sequence" in said.stdout
    ranked = run("rank", "--run", "run", "--networks", "large", "--top", "3")
    assert ranked.returncode == 0, ranked.stderr
    assert "neighbours_sequence" in ranked.stdout
    exported = run("export", "--run", "run", "--networks", "large", "--out", "model")
    assert exported.returncode == 0, exported.stderr
