"""Training on samples and embedding in blocks: equal to the whole graph where they must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import roc_auc_score
from torch_geometric.data import HeteroData
from torch_geometric.loader import NodeLoader

from mirnagraph.config import from_dict, to_dict
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.graph_modules import GraphTransformer, HeteroGraphTransformer
from mirnagraph.embedding.graph_sampled import (
    _steps,
    encode_hetero_in_blocks,
    encode_in_blocks,
    graph_of,
    hetero_seed_states_of,
    seed_states_of,
)
from mirnagraph.embedding.graph_sampler import NeighbourSampler, hetero_edges, network_edges
from mirnagraph.embedding.graph_training import (
    NODE,
    ONE_TYPE,
    edges_of,
    relation_from,
    relation_of_network,
    relations_of,
)
from mirnagraph.embedding.graph_transformer import fit_graph_transformer, fit_hetero
from mirnagraph.errors import ConfigError
from mirnagraph.seeds import torch_scope
from mirnagraph.walks.graph import store_walk_graph, walk_graph

ONE_NETWORK = ("gtmaloc", "additive", "transformer", "gat")
SEVERAL = ("transformer", "hgt")


def config_of(encoder: str, **settings: object) -> GraphTransformerConfig:
    attention = "additive" if encoder == "additive" else "dot"
    name = "gtmaloc" if encoder == "additive" else encoder
    small = GraphTransformerConfig(
        dim=8, n_layers=2, n_heads=2, epochs=3, encoder=name, attention=attention
    )
    return replace(small, **settings)


def network(weighted: bool = True, n_nodes: int = 40) -> sparse.csr_array:
    """Random, symmetric; the last two nodes are isolated."""
    rng = np.random.default_rng(0)
    is_edge = np.triu(rng.random((n_nodes, n_nodes)) < 0.15, 1)
    dense = is_edge * (rng.random((n_nodes, n_nodes)) + 0.1)
    dense[-2:] = 0
    dense[:, -2:] = 0
    both = dense + dense.T
    return sparse.csr_array(both if weighted else (both > 0).astype(float))


def features(n_nodes: int = 40, columns: int = 5) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n_nodes, columns)).astype(np.float32)


def several() -> HeteroData:
    """Weights on one relation; no edge points at a drug, and diseases have no features."""
    rng = np.random.default_rng(2)
    data = HeteroData()
    data["miRNA"].x = torch.from_numpy(rng.normal(size=(12, 5)).astype(np.float32))
    data["disease"].num_nodes = 9
    data["drug"].x = torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32))
    pairs = np.argwhere(rng.random((12, 9)) < 0.4).T
    linked = torch.from_numpy(rng.permutation(pairs, axis=1))
    weight = torch.rand(linked.shape[1], generator=torch.Generator().manual_seed(0)) + 0.1
    data["miRNA", "associated_with", "disease"].edge_index = linked
    data["miRNA", "associated_with", "disease"].edge_weight = weight
    data["disease", "rev_associated_with", "miRNA"].edge_index = linked.flip(0)
    data["disease", "rev_associated_with", "miRNA"].edge_weight = weight
    targets = torch.from_numpy(np.argwhere(rng.random((5, 12)) < 0.3).T)
    data["drug", "targets", "miRNA"].edge_index = targets
    return data


def made(encoder: str) -> tuple[GraphTransformer, torch.Tensor]:
    with torch_scope(0, "test"):
        return GraphTransformer(5, config_of(encoder)).eval(), torch.from_numpy(features())


@pytest.mark.parametrize("encoder", ONE_NETWORK)
@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "plain"])
@pytest.mark.parametrize("block_edges", [1, 30, 10**6])
def test_embedding_in_blocks_is_that_of_the_whole_graph(
    encoder: str, weighted: bool, block_edges: int
) -> None:
    module, x = made(encoder)
    edge_index, edge_weight = edges_of(network(weighted))
    assert (edge_weight is not None) == weighted
    edges = network_edges(walk_graph(network(weighted)))[ONE_TYPE]
    found = encode_in_blocks(module, x, edges, edge_weight, block_edges=block_edges)
    torch.testing.assert_close(
        found, module.encode(x, edge_index, edge_weight), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("encoder", SEVERAL)
@pytest.mark.parametrize("block_edges", [1, 10, 10**6])
def test_embedding_of_several_types_in_blocks_is_that_of_the_whole_graph(
    encoder: str, block_edges: int
) -> None:
    data = several()
    with torch_scope(0, "test"):
        module = HeteroGraphTransformer(data, config_of(encoder)).eval()
    found = encode_hetero_in_blocks(module, data, hetero_edges(data), block_edges=block_edges)
    whole = module.encode(data)
    assert list(found) == ["miRNA", "disease", "drug"]
    for name, states in whole.items():
        torch.testing.assert_close(found[name], states, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("encoder", ONE_NETWORK)
def test_states_of_seeds_with_all_neighbours_are_those_of_the_whole_graph(encoder: str) -> None:
    module, x = made(encoder)
    edge_index, edge_weight = edges_of(network())
    graph = walk_graph(network())
    sampler = NeighbourSampler({NODE: 40}, network_edges(graph), (99, 99), 0)
    seeds = torch.tensor([7, 3, 39, 20])
    loader = NodeLoader(graph_of(x), sampler, input_nodes=seeds, batch_size=4)
    (batch,) = loader
    assert batch.num_nodes > 10
    found = seed_states_of(module, edge_weight)(NODE, batch)
    whole = module.hidden(x, edge_index, edge_weight)[0]
    torch.testing.assert_close(found, whole[seeds], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("encoder", SEVERAL)
def test_states_of_seeds_of_one_type_are_those_of_the_whole_graph(encoder: str) -> None:
    data = several()
    with torch_scope(0, "test"):
        module = HeteroGraphTransformer(data, config_of(encoder)).eval()
    n_nodes = {name: data[name].num_nodes for name in data.node_types}
    sampler = NeighbourSampler(n_nodes, hetero_edges(data), (99, 99), 0)
    whole = module.hidden(data)[0]
    for name in data.node_types:
        seeds = torch.tensor([3, 0])
        (batch,) = NodeLoader(data, sampler, input_nodes=(name, seeds), batch_size=2)
        found = hetero_seed_states_of(module)(name, batch)
        torch.testing.assert_close(found, whole[name][seeds], atol=1e-5, rtol=1e-4)


def test_steps_of_an_epoch_hold_distinct_edges_and_no_edge_as_non_edge() -> None:
    dense = network().toarray() > 0
    edge_index, _ = edges_of(network())
    relation = relation_from({ONE_TYPE: edge_index.numpy()}, 40)
    n_pairs = relation.ends.shape[1]
    assert n_pairs > 40
    config = config_of("gtmaloc", batch_size=16, n_negatives=2)
    draw = np.random.default_rng(0)
    steps = _steps([relation], np.zeros(40, int), config, draw)
    assert [pairs[0][0].shape[1] for _, pairs in steps] == [14, 13, 13]
    edges = np.concatenate([nodes[pairs[0][0]] for nodes, pairs in steps], axis=1)
    non_edges = np.concatenate([nodes[pairs[0][1]] for nodes, pairs in steps], axis=1)
    assert edges.shape == (2, 40), "as many as nodes"
    assert len(set(zip(*edges.tolist(), strict=True))) == 40
    assert dense[edges[0], edges[1]].all()
    assert non_edges.shape == (2, 80)
    assert not dense[non_edges[0], non_edges[1]].any()
    for nodes, _ in steps:
        assert (np.diff(nodes) > 0).all()
    again = _steps([relation], np.zeros(40, int), config, draw)
    assert {*edges[0].tolist()} != {*again[0][0].tolist()}
    few = replace(relation, ends=relation.ends[:, :5])
    (only,) = _steps([few], np.zeros(40, int), config, draw)
    all_edges = only[0][only[1][0][0]]
    assert sorted(zip(*all_edges.tolist(), strict=True)) == sorted(
        zip(*few.ends.tolist(), strict=True)
    )


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_pairs_of_a_network_are_those_of_its_edges(is_symmetric: bool) -> None:
    matrix = network().tolil()
    matrix[4, 4] = 2.0  # a node linked with itself
    if not is_symmetric:
        matrix[0, 39] = 1.0
        matrix[38, 1] = 1.0
    graph = walk_graph(sparse.csr_array(matrix))
    expected = relation_from({ONE_TYPE: edges_of(graph)[0].numpy()}, 40)
    found = relation_of_network(graph)
    np.testing.assert_array_equal(found.ends, expected.ends)
    np.testing.assert_array_equal(found.known, expected.known)
    assert found.ends.dtype == found.known.dtype == np.int64


def test_relations_share_the_steps_of_an_epoch() -> None:
    data = several()
    relations = relations_of(data, is_numbered=False)
    assert [relation.pair_of_edge for relation in relations] == [{}, {}]
    groups = np.repeat([0, 1, 2], [12, 9, 5])
    steps = _steps(relations, groups, config_of("hgt", batch_size=10), np.random.default_rng(0))
    n_drawn = [min(relation.ends.shape[1], 26) for relation in relations]
    for number, n in enumerate(n_drawn):
        assert sum(pairs[number][0].shape[1] for _, pairs in steps) == n
    assert len(steps) == -(-max(n_drawn) // 10)


def test_above_the_setting_training_is_sampled_and_up_to_it_whole() -> None:
    matrix = network()
    n_edges = matrix.nnz // 2
    whole = fit_graph_transformer(features(), matrix, config_of("gtmaloc"), 0)
    at = config_of("gtmaloc", sampled_above=n_edges)
    np.testing.assert_array_equal(
        fit_graph_transformer(features(), matrix, at, 0).embedding, whole.embedding
    )
    above = config_of("gtmaloc", sampled_above=n_edges - 1)
    sampled = fit_graph_transformer(features(), matrix, above, 0)
    assert not np.array_equal(sampled.losses, whole.losses)
    assert sampled.losses.shape == (3,)
    np.testing.assert_allclose(np.linalg.norm(sampled.embedding, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("encoder", ["gtmaloc", "hgt"])
def test_equal_seeds_are_equal_bit_for_bit_from_memory_and_from_disk(
    encoder: str, tmp_path: Path
) -> None:
    config = config_of(encoder, sampled_above=0, batch_size=16)
    state = torch.get_rng_state()
    one = fit_graph_transformer(features(), network(), config, 3)
    assert torch.equal(torch.get_rng_state(), state)
    store_walk_graph(walk_graph(network()), tmp_path / "graph")
    two = fit_graph_transformer(features(), tmp_path / "graph", config, 3)
    np.testing.assert_array_equal(one.embedding, two.embedding)
    np.testing.assert_array_equal(one.losses, two.losses)
    other = fit_graph_transformer(features(), network(), config, 4)
    assert not np.array_equal(one.embedding, other.embedding)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["gtmaloc", "hgt"])
def test_the_result_does_not_depend_on_the_workers_of_the_loader(encoder: str) -> None:
    config = config_of(encoder, sampled_above=0, batch_size=16)
    one = fit_graph_transformer(features(), network(), config, 3)
    two = fit_graph_transformer(features(), network(), config, 3, loader_workers=2)
    np.testing.assert_array_equal(one.embedding, two.embedding)


@pytest.mark.parametrize("encoder", SEVERAL)
def test_several_types_are_trained_on_samples(encoder: str) -> None:
    config = config_of(encoder, sampled_above=0, batch_size=26, epochs=8, learning_rate=0.02)
    calls = []
    fitted = fit_hetero(several(), config, 0, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("graph transformer", 8, 8)
    assert fitted.losses[-2:].mean() < 0.9 * fitted.losses[:2].mean()
    assert {name: states.shape for name, states in fitted.embeddings.items()} == {
        "miRNA": (12, 8),
        "disease": (9, 8),
        "drug": (5, 8),
    }
    again = fit_hetero(several(), config, 0)
    for name, states in fitted.embeddings.items():
        np.testing.assert_array_equal(states, again.embeddings[name])


def test_held_out_edges_are_found_by_samples_too() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(150) % 5
    chance = np.where(group[:, None] == group[None, :], 0.35, 0.01)
    upper = np.argwhere(np.triu(rng.random((150, 150)) < chance, 1))
    is_held = rng.random(len(upper)) < 0.1
    known = np.zeros((150, 150))
    known[upper[~is_held, 0], upper[~is_held, 1]] = 1
    full = known.copy()
    full[upper[:, 0], upper[:, 1]] = 1
    apart = rng.integers(0, 150, (600, 2))
    apart = apart[((full + full.T)[apart[:, 0], apart[:, 1]] == 0) & (apart[:, 0] != apart[:, 1])]
    config = GraphTransformerConfig(
        dim=32, epochs=30, learning_rate=0.02, sampled_above=0, batch_size=75
    )
    x = rng.normal(size=(150, 32))
    found = fit_graph_transformer(x, sparse.csr_array(known + known.T), config, 0).embedding
    pairs = np.vstack([upper[is_held], apart])
    truth = np.arange(len(pairs)) < is_held.sum()
    assert roc_auc_score(truth, (found[pairs[:, 0]] * found[pairs[:, 1]]).sum(1)) > 0.8


def test_settings_are_read_from_toml_and_checked() -> None:
    config = from_dict(GraphTransformerConfig, {"n_neighbours": [4, 2], "sampled_above": 50})
    assert (config.n_neighbours, config.sampled_above) == ((4, 2), 50)
    assert from_dict(GraphTransformerConfig, to_dict(config)) == config
    assert replace(config, n_layers=4).neighbours_by_hop == (4, 2, 2, 2)
    assert replace(config, n_layers=1).neighbours_by_hop == (4,)
    for bad, message in [
        ({"n_neighbours": ()}, r"'n_neighbours' is \[\], expected numbers of 1 or more"),
        ({"n_neighbours": (5, 0)}, r"'n_neighbours' is \[5, 0\], expected numbers of 1 or more"),
        ({"batch_size": 0}, "'batch_size' is 0, expected 1 or more"),
        ({"sampled_above": -1}, "'sampled_above' is -1, expected 0 or more"),
    ]:
        with pytest.raises(ConfigError, match=message):
            GraphTransformerConfig(**bad)  # type: ignore[arg-type]
