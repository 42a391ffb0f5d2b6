"""node2vec: repeatable, row order, isolated nodes, planted communities, defects of the package."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from mirnagraph.config import from_dict
from mirnagraph.embedding.node2vec import Node2VecConfig, node2vec, train_skip_gram
from mirnagraph.errors import ConfigError

SMALL = Node2VecConfig(dim=8, n_walks=2, walk_length=10, epochs=1, window=2)


def communities(n_nodes: int = 120, n_groups: int = 4) -> tuple[sparse.csr_array, np.ndarray]:
    rng = np.random.default_rng(0)
    group = np.arange(n_nodes) % n_groups
    chance = np.where(group[:, None] == group[None, :], 0.25, 0.02)
    half = np.triu(rng.random((n_nodes, n_nodes)) < chance, 1)
    return sparse.csr_array((half | half.T).astype(float)), group


def test_planted_communities_are_found_and_random_vectors_find_none() -> None:
    network, group = communities()
    vectors = node2vec(
        network, Node2VecConfig(dim=16, n_walks=10, walk_length=20, epochs=3), seed=1
    )
    probe = LogisticRegression(max_iter=500)
    noise = np.random.default_rng(2).normal(size=vectors.shape)
    assert cross_val_score(probe, vectors / vectors.std(), group, cv=4).mean() > 0.9
    assert cross_val_score(probe, noise, group, cv=4).mean() < 0.5


def test_seed_decides() -> None:
    network, _ = communities(30)
    config = Node2VecConfig(dim=8, n_walks=2, walk_length=10, epochs=2, p=0.5, q=2.0)
    vectors = node2vec(network, config, seed=7)
    assert vectors.dtype == np.float32
    assert vectors.shape == (30, 8)
    np.testing.assert_array_equal(vectors, node2vec(network, config, seed=7))
    assert not np.array_equal(vectors, node2vec(network, config, seed=8))


@pytest.mark.slow
def test_equal_in_processes_with_different_hash_seeds() -> None:
    code = (
        "import hashlib, numpy as np; from scipy import sparse; from "
        "mirnagraph.embedding.node2vec import *;"
        "ring = sparse.csr_array(np.roll(np.eye(9), 1, 1) + np.roll(np.eye(9), -1, 1));"
        "vectors = node2vec(ring, Node2VecConfig(dim=4, n_walks=2, walk_length=6), 3);"
        "print(hashlib.sha256(vectors.tobytes()).hexdigest())"
    )
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(code, {})
    other = {
        **os.environ,
        "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1",
    }
    there = subprocess.run(
        [sys.executable, "-c", code], env=other, capture_output=True, text=True, check=True
    ).stdout
    assert len(here.getvalue().strip()) == 64
    assert here.getvalue() == there


def test_isolated_nodes_get_zeros_and_rows_keep_their_order() -> None:
    ring = np.roll(np.eye(30), 1, axis=1)
    network = sparse.csr_array(ring + ring.T)
    padded = sparse.csr_array(
        sparse.block_diag(
            [sparse.csr_array((2, 2)), network, sparse.csr_array((1, 1))], format="csr"
        )
    )
    vectors = node2vec(padded, Node2VecConfig(dim=8, n_walks=2, walk_length=10), seed=0)
    assert np.isfinite(vectors).all()
    assert not vectors[[0, 1, 32]].any()
    assert (np.linalg.norm(vectors[2:32], axis=1) > 0).all()
    assert not node2vec(sparse.csr_array((3, 3)), SMALL, 0).any()


def test_settings_of_the_paper_and_ranges() -> None:
    paper = Node2VecConfig.paper(dim=64)
    assert (paper.dim, paper.n_walks, paper.walk_length, paper.p, paper.q) == (
        64,
        200,
        150,
        1.0,
        1.0,
    )
    bad: dict[str, Any]
    for bad, told in [
        ({"dim": 0}, "'dim' is 0, expected 1 or more"),
        ({"p": 0.0}, "'p' is 0.0"),
        ({"q": float("nan")}, "'q' is nan"),
        ({"skipgram": "torch"}, "'skipgram' is 'torch', expected 'gensim'"),
        ({"engine": "pecanpy"}, "expected one of numba"),
        ({"walk_length": 1}, "2 or more"),
        ({"subsample": 1.5}, r"in \[0, 1\]"),
    ]:
        with pytest.raises(ConfigError, match=told):
            Node2VecConfig(**bad)


def test_the_trainer_that_was_removed_is_refused_in_one_sentence() -> None:
    message = (
        r"^networks\.toml: setting 'skipgram' is 'numba', expected 'gensim', the only "
        r"trainer left \('numba' was removed\)$"
    )
    with pytest.raises(ConfigError, match=message):
        from_dict(Node2VecConfig, {"skipgram": "numba"}, where="networks.toml")
    assert from_dict(Node2VecConfig, {"skipgram": "gensim"}) == Node2VecConfig()


@pytest.mark.parametrize("negative", [1, 5, 6, 13])
def test_any_number_of_noise_nodes_works(negative: int) -> None:
    network, group = communities(60)
    config = Node2VecConfig(
        dim=13, n_walks=10, walk_length=20, epochs=2, negative=negative, learning_rate=0.1
    )
    vectors = node2vec(network, config, seed=2)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same = group[:, None] == group[None, :]
    alike = unit @ unit.T
    assert alike[same & ~np.eye(60, dtype=bool)].mean() > alike[~same].mean() + 0.1


def test_subsampling_passes_over_the_nodes_that_stand_everywhere() -> None:
    """Node 0 has half of all visits: subsampled to about a hundredth, its vector moves far less."""
    star = np.zeros((41, 41))
    star[0, 1:] = star[1:, 0] = 1
    network = sparse.csr_array(star)
    # a low rate, at which vectors are still on their way: at a high one few steps already lead to
    # the end
    config = Node2VecConfig(dim=8, n_walks=5, walk_length=40, epochs=1, learning_rate=0.01)
    start = node2vec(network, replace(config, learning_rate=1e-9), seed=0)[0]
    every_visit = node2vec(network, config, seed=0)[0]
    few_visits = node2vec(network, replace(config, subsample=5e-5), seed=0)[0]
    assert np.linalg.norm(every_visit - start) > 1
    assert np.linalg.norm(few_visits - start) < 0.1


def test_subsampling_keeps_communities() -> None:
    network, group = communities()
    config = Node2VecConfig(dim=16, n_walks=20, walk_length=20, epochs=5, subsample=0.005)
    vectors = node2vec(network, config, seed=1)
    assert (
        cross_val_score(
            LogisticRegression(max_iter=500), vectors / vectors.std(), group, cv=4
        ).mean()
        > 0.9
    )


def test_gensim_reads_walks_only_as_far_as_they_go() -> None:
    walks = np.array([[0, 1, -1], [1, -1, -1], [2, 0, 1]], np.int32)
    config = Node2VecConfig(dim=4, window=2, epochs=2)
    vectors = train_skip_gram(lambda: iter([walks]), np.array([2, 3, 1, 0]), 3, config, seed=0)
    assert vectors.shape == (4, 4)
    assert not vectors[3].any()
    assert vectors[:3].any(axis=1).all()
