"""Networks side by side: equal with any number of workers, kept by content, wrong use refused."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from mirnagraph import registry
from mirnagraph.embedding import embed as base
from mirnagraph.embedding.embed import embed_networks
from mirnagraph.embedding.factorization import ProximityConfig, proximity_embedding
from mirnagraph.embedding.node2vec import Node2VecConfig, node2vec
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.network import Network
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.walks.graph import store_walk_graph, walk_graph

WALKS = Node2VecConfig(dim=8, n_walks=2, walk_length=10, epochs=1)
CONFIGS = {
    "ring": WALKS,
    "chords": Node2VecConfig(dim=4, n_walks=2, walk_length=10),
    "paths": ProximityConfig(dim=3, hops=2),
}


def networks() -> dict[str, sparse.csr_array]:
    ring = np.roll(np.eye(20), 1, axis=1)
    chords = np.roll(np.eye(16), 5, axis=1) + np.roll(np.eye(16), 1, axis=1)
    return {
        "ring": sparse.csr_array(ring + ring.T),
        "chords": sparse.csr_array(chords + chords.T),
        "paths": sparse.csr_array(ring + ring.T),
    }


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seeds: list[int] = []
    original = base._compute

    def counted(shared: None, job: tuple[str, base.EmbeddingTask]) -> tuple[str, np.ndarray]:
        seeds.append(job[1].arguments[2])
        return original(shared, job)

    monkeypatch.setattr(base, "_compute", counted)
    return seeds


@pytest.mark.slow
def test_each_network_is_embedded_by_its_settings_and_child_seed() -> None:
    found = embed_networks(networks(), CONFIGS, 3)
    assert list(found) == list(CONFIGS)
    np.testing.assert_array_equal(
        found["ring"], node2vec(networks()["ring"], WALKS, child_seed(3, "embedding", "ring"))
    )
    np.testing.assert_array_equal(
        found["paths"], proximity_embedding(networks()["paths"], CONFIGS["paths"])
    )
    np.testing.assert_array_equal(
        found["ring"], embed_networks(networks(), {"ring": WALKS}, 3)["ring"]
    )


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one() -> None:
    one, two = (embed_networks(networks(), CONFIGS, 3, workers=workers) for workers in (1, 2))
    for name in CONFIGS:
        np.testing.assert_array_equal(one[name], two[name])


def test_a_network_object_is_embedded_over_all_its_nodes() -> None:
    matrix = sparse.csr_array(np.array([[1.0, 0, 1], [0, 1, 1]]))
    network = Network(
        "disease",
        NodeIndex.of(["a", "b"], "miRNA"),
        NodeIndex.of(["x", "y", "z"], "disease"),
        matrix,
    )
    assert embed_networks({"disease": network}, {"disease": WALKS}, 0)["disease"].shape == (5, 8)


def test_finished_networks_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = count_calls(monkeypatch)
    first = embed_networks(networks(), CONFIGS, 3, cache=tmp_path)
    assert len(seeds) == 3
    assert len(list(tmp_path.iterdir())) == 3
    told: list[tuple[str, int, int]] = []
    again = embed_networks(
        networks(), CONFIGS, 3, cache=tmp_path, progress=lambda *x: told.append(x)
    )
    assert len(seeds) == 3, "nothing was computed again"
    assert told == [("embeddings", 3, 3)]
    for name in CONFIGS:
        np.testing.assert_array_equal(first[name], again[name])


def test_any_change_of_matrix_settings_or_seed_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = count_calls(monkeypatch)
    ring = networks()["ring"]
    heavier = ring.copy()
    heavier.data[0] = 2.0
    embed_networks({"ring": ring}, {"ring": WALKS}, 3, cache=tmp_path)
    embed_networks({"ring": heavier}, {"ring": WALKS}, 3, cache=tmp_path)
    embed_networks(
        {"ring": ring},
        {"ring": Node2VecConfig(dim=8, n_walks=3, walk_length=10, epochs=1)},
        3,
        cache=tmp_path,
    )
    embed_networks({"ring": ring}, {"ring": WALKS}, 4, cache=tmp_path)
    assert len(seeds) == 4


def test_a_damaged_file_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_networks(networks(), {"ring": WALKS}, 3, cache=tmp_path)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    seeds = count_calls(monkeypatch)
    np.testing.assert_array_equal(
        embed_networks(networks(), {"ring": WALKS}, 3, cache=tmp_path)["ring"], first["ring"]
    )
    assert len(seeds) == 1
    embed_networks(networks(), {"ring": WALKS}, 3, cache=tmp_path)
    assert len(seeds) == 1


def test_a_stored_network_is_embedded_as_its_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = networks()["ring"]
    store_walk_graph(walk_graph(ring), tmp_path / "ring")
    given = {"ring": tmp_path / "ring", "paths": ring}
    configs = {name: CONFIGS[name] for name in given}
    seeds = count_calls(monkeypatch)
    found = embed_networks(given, configs, 3, cache=tmp_path / "cache")
    whole = embed_networks({"ring": ring}, {"ring": WALKS}, 3)
    np.testing.assert_array_equal(found["ring"], whole["ring"])
    again = embed_networks(given, configs, 3, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again["ring"], whole["ring"])
    assert len(seeds) == 3  # two of the first call, one of the matrix alone
    chords = walk_graph(networks()["chords"])
    store_walk_graph(chords, tmp_path / "ring", overwrite=True)
    other = embed_networks(given, configs, 3, cache=tmp_path / "cache")
    assert other["ring"].shape == (16, WALKS.dim)
    with pytest.raises(ConfigError, match="network 'ring' is a stored one, which settings Prox"):
        embed_networks(given, {"ring": ProximityConfig(dim=3)}, 3)
    (tmp_path / "ring" / "indices.npy").unlink()
    with pytest.raises(InputError, match=r"indices\.npy: a file of the stored network is missing"):
        embed_networks(given, configs, 3)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'rign'; known: ring, chords, paths"):
        embed_networks(networks(), {"rign": WALKS}, 0)
    with pytest.raises(ConfigError, match="'workers' is 0"):
        embed_networks(networks(), CONFIGS, 0, workers=0)
    with pytest.raises(
        ConfigError, match="no network embedder has settings dict; known: node2vec, "
    ):
        embed_networks(networks(), {"ring": {"dim": 3}}, 0)


@dataclass(frozen=True)
class DegreeConfig:
    """Settings of a toy embedder of another package."""

    dim: int = 2


class DegreeEmbedder:
    """The degree of each node, as often as there are columns."""

    Config = DegreeConfig

    @staticmethod
    def embed(adjacency: sparse.csr_array, config: DegreeConfig, seed: int) -> np.ndarray:
        degree = np.diff(adjacency.indptr).astype(np.float32)
        return np.repeat(degree[:, None], config.dim, axis=1)


def test_an_embedder_of_an_installed_package_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("degree", f"{__name__}:DegreeEmbedder", base.EMBEDDERS.group)
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [point])
    assert base.EMBEDDERS.names() == ["node2vec", "proximity", "degree"]
    config = base.EMBEDDERS["degree"].Config(dim=3)
    for _ in range(2):
        found = embed_networks(networks(), {"chords": config}, 0, cache=tmp_path)
        np.testing.assert_array_equal(found["chords"], np.full((16, 3), 4.0))
    assert len(list(tmp_path.iterdir())) == 1
