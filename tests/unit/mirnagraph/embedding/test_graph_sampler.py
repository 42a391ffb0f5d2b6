"""Neighbour sampler: hand-worked samples, fan-out, hidden edges, node types, PyG's loader."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from torch_geometric.data import HeteroData
from torch_geometric.loader import NodeLoader
from torch_geometric.sampler import HeteroSamplerOutput, NodeSamplerInput, SamplerOutput

from mirnagraph.embedding.graph_sampled import graph_of
from mirnagraph.embedding.graph_sampler import NeighbourSampler, hetero_edges, network_edges
from mirnagraph.embedding.graph_training import NODE
from mirnagraph.walks.graph import walk_graph

FORWARD = ("miRNA", "targets", "gene")
REVERSE = ("gene", "rev_targets", "miRNA")
ALIKE = ("miRNA", "sequence", "miRNA")


def path_graph() -> sparse.csr_array:
    """0 - 1 - 2 - 3 with 4 linked to 1, and 5 alone."""
    ends = np.array([[0, 1, 2, 1], [1, 2, 3, 4]])
    half = sparse.csr_array((np.ones(4), ends), shape=(6, 6))
    return sparse.csr_array(half + half.T)


def star(n_leaves: int = 200) -> sparse.csr_array:
    half = sparse.csr_array(
        (np.ones(n_leaves), (np.zeros(n_leaves, int), np.arange(1, n_leaves + 1))),
        shape=(n_leaves + 1, n_leaves + 1),
    )
    return sparse.csr_array(half + half.T)


def random_network(n_nodes: int = 60) -> sparse.csr_array:
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((n_nodes, n_nodes)) < 0.2, 1).astype(float)
    return sparse.csr_array(upper + upper.T)


def sampler_of(network: sparse.csr_array, fan_out: Any, **settings: Any) -> NeighbourSampler:
    edges = network_edges(walk_graph(network))
    return NeighbourSampler({NODE: network.shape[0]}, edges, fan_out, **{"seed": 0, **settings})


def sample(sampler: NeighbourSampler, seeds: list[int], first: int = 0) -> SamplerOutput:
    inputs = NodeSamplerInput(torch.arange(first, first + len(seeds)), torch.tensor(seeds))
    return sampler.sample_from_nodes(inputs)


def pairs_of(out: SamplerOutput) -> list[tuple[int, int]]:
    """(source, target) of each sampled edge, as nodes of the graph."""
    return list(zip(out.node[out.row].tolist(), out.node[out.col].tolist(), strict=True))


def hetero() -> HeteroData:
    """miRNAs 0, 1, 2 and genes 0 to 3; gene 3 has no edge; edges out of order, with weights."""
    data = HeteroData()
    data["miRNA"].x = torch.arange(3.0)[:, None]
    data["gene"].num_nodes = 4
    linked = torch.tensor([[2, 0, 1, 0], [0, 1, 2, 0]])
    data[FORWARD].edge_index = linked
    data[FORWARD].edge_weight = torch.tensor([20.0, 1.0, 12.0, 0.5])
    data[REVERSE].edge_index = linked.flip(0)
    data[REVERSE].edge_weight = torch.tensor([20.0, 1.0, 12.0, 0.5])
    data[ALIKE].edge_index = torch.tensor([[0, 1], [1, 0]])
    return data


def hetero_sampler(data: HeteroData, fan_out: Any, **settings: Any) -> NeighbourSampler:
    n_nodes = {name: data[name].num_nodes for name in data.node_types}
    return NeighbourSampler(n_nodes, hetero_edges(data), fan_out, **{"seed": 0, **settings})


def test_a_sample_worked_by_hand() -> None:
    """From 0: its neighbour 1; from 1: 0 (known), 2 and 4; 3 is three steps away."""
    out = sample(sampler_of(path_graph(), (9, 9)), [0])
    assert out.node.tolist() == [0, 1, 2, 4]
    assert out.row.tolist() == [1, 0, 2, 3]
    assert out.col.tolist() == [0, 1, 1, 1]
    assert out.num_sampled_nodes == [1, 1, 2]
    assert out.num_sampled_edges == [1, 3]
    # rows of the matrix: 0: [1]; 1: [0, 2, 4]
    assert out.edge.tolist() == [0, 1, 2, 3]
    alone = sample(sampler_of(path_graph(), (9, 9)), [5])
    assert (alone.node.tolist(), len(alone.row)) == ([5], 0)
    assert alone.num_sampled_nodes == [1, 0, 0]


def test_a_seed_that_a_seed_reaches_is_no_new_node_and_seeds_keep_their_order() -> None:
    out = sample(sampler_of(path_graph(), (9,)), [2, 0, 1])
    assert out.node[:3].tolist() == [2, 0, 1]
    assert sorted(pairs_of(out)) == [(0, 1), (1, 0), (1, 2), (2, 1), (3, 2), (4, 1)]
    twice = sample(sampler_of(path_graph(), (9,)), [0, 0])
    assert twice.node.tolist() == [0, 0, 1]
    assert (twice.row.tolist(), twice.col.tolist()) == ([2, 2], [0, 1])


@pytest.mark.parametrize("fan_out", [1, 3, 7])
def test_fan_out_holds_without_replacement_and_edges_are_of_the_graph(fan_out: int) -> None:
    network = random_network()
    dense = network.toarray()
    degree = np.diff(network.indptr)
    edge_index = walk_graph(network).indices
    out = sample(sampler_of(network, (fan_out, fan_out)), list(range(0, 60, 5)))
    pairs = pairs_of(out)
    assert all(dense[source, target] for source, target in pairs)
    assert len(set(pairs)) == len(pairs)
    into = np.bincount(out.col, minlength=len(out.node))
    expanded = sum(out.num_sampled_nodes[:2])
    expected = np.minimum(degree[out.node[:expanded].numpy()], fan_out)
    np.testing.assert_array_equal(into[:expanded], expected)
    assert into[expanded:].sum() == 0
    assert len(set(out.node.tolist())) == len(out.node)
    np.testing.assert_array_equal(edge_index[out.edge.numpy()], out.node[out.row].numpy())


def test_the_seed_decides_with_the_batch_and_the_epoch() -> None:
    network = random_network()
    seeds = [3, 8, 20]
    one = sample(sampler_of(network, (3, 3)), seeds)
    assert pairs_of(one) == pairs_of(sample(sampler_of(network, (3, 3)), seeds))
    others = [
        sample(sampler_of(network, (3, 3), seed=1), seeds),
        sample(sampler_of(network, (3, 3)), seeds, first=5),
        sample(sampler_of(network, (3, 3)).at_epoch(1), seeds),
    ]
    assert all(pairs_of(one) != pairs_of(other) for other in others)


@pytest.mark.parametrize(("fan_out", "n_leaves"), [(3, 200), (3, 10)], ids=["drawn", "read"])
def test_every_neighbour_is_as_likely_as_another(fan_out: int, n_leaves: int) -> None:
    """Both ways: slots of a long row are drawn, a short one is read whole; half is hidden."""
    counts = np.zeros(n_leaves + 1)
    sampler = sampler_of(star(n_leaves), (fan_out,), hidden_edges=0.5)
    n_samples = 40 * n_leaves
    for epoch in range(n_samples):
        out = sample(sampler.at_epoch(epoch), [0])
        counts[out.node[1:].numpy()] += 1
    assert counts[0] == 0
    if n_leaves == 200:
        assert counts.sum() == fan_out * n_samples
    assert stats.chisquare(counts[1:]).pvalue > 1e-3


def visible_pairs(sampler: NeighbourSampler, network: sparse.csr_array) -> set[tuple[int, int]]:
    """Pairs of one epoch, from all edges around each node alone."""
    n_nodes = network.shape[0]
    return {pair for node in range(n_nodes) for pair in pairs_of(sample(sampler, [node]))}


def test_hidden_edges_are_hidden_in_both_directions_and_in_every_batch() -> None:
    network = random_network()
    sampler = sampler_of(network, (99,), hidden_edges=0.5)
    visible = visible_pairs(sampler, network)
    assert {(target, source) for source, target in visible} == visible
    assert len(visible) / network.nnz == pytest.approx(0.5, abs=0.06)
    for seeds in ([0, 1, 2], list(range(60))):
        for fan_out in ((2, 2), (99, 99)):
            some = sampler_of(network, fan_out, hidden_edges=0.5)
            assert set(pairs_of(sample(some, seeds))) <= visible
    next_epoch = visible_pairs(sampler.at_epoch(1), network)
    both = len(visible & next_epoch) / network.nnz
    assert both == pytest.approx(0.25, abs=0.06), "drawn anew, independently"
    assert visible_pairs(sampler_of(network, (99,)), network) == set(
        zip(*(ends.tolist() for ends in network.nonzero()), strict=True)
    )


def hetero_sample(sampler: NeighbourSampler, node_type: str, seeds: list[int]) -> Any:
    inputs = NodeSamplerInput(torch.arange(len(seeds)), torch.tensor(seeds), input_type=node_type)
    return sampler.sample_from_nodes(inputs)


def test_a_sample_of_several_types_worked_by_hand() -> None:
    """From gene 0: miRNAs 0 and 2, which target it; from these: genes 0 and 1, and miRNA 1."""
    out = hetero_sample(hetero_sampler(hetero(), (9, 9)), "gene", [0])
    assert isinstance(out, HeteroSamplerOutput)
    assert {name: nodes.tolist() for name, nodes in out.node.items()} == {
        "miRNA": [2, 0, 1],
        "gene": [0, 1],
    }
    assert out.num_sampled_nodes == {"miRNA": [0, 2, 1], "gene": [1, 0, 1]}
    assert out.num_sampled_edges == {FORWARD: [2, 0], REVERSE: [0, 3], ALIKE: [0, 1]}
    ends = {
        kind: sorted(zip(out.row[kind].tolist(), out.col[kind].tolist(), strict=True))
        for kind in out.row
    }
    assert ends == {
        FORWARD: [(0, 0), (1, 0)],
        REVERSE: [(0, 0), (0, 1), (1, 1)],
        ALIKE: [(2, 1)],
    }


def test_the_loader_hands_over_features_weights_and_numbers_of_edges() -> None:
    data = hetero()
    loader = NodeLoader(
        data,
        hetero_sampler(data, (9, 9)),
        input_nodes=("gene", torch.tensor([2, 0])),
        batch_size=1,
    )
    first, second = loader
    assert first["gene"].n_id.tolist() == [2]
    assert second["gene"].n_id.tolist() == [0, 1]
    assert second["miRNA"].x[:, 0].tolist() == [2.0, 0.0, 1.0]
    assert second["gene"].batch_size == 1
    for kind in (FORWARD, REVERSE):
        edges = second[kind]
        np.testing.assert_array_equal(edges.edge_weight, data[kind].edge_weight[edges.e_id])
        source, target = data[kind].edge_index[:, edges.e_id]
        assert second[kind[0]].n_id[edges.edge_index[0]].tolist() == source.tolist()
        assert second[kind[2]].n_id[edges.edge_index[1]].tolist() == target.tolist()


def test_a_pair_and_its_reverse_are_hidden_together() -> None:
    rng = np.random.default_rng(3)
    data = HeteroData()
    data["miRNA"].num_nodes = 30
    data["gene"].num_nodes = 40
    linked = torch.from_numpy(np.argwhere(rng.random((30, 40)) < 0.3).T)
    data[FORWARD].edge_index = linked
    data[REVERSE].edge_index = linked.flip(0)
    sampler = hetero_sampler(data, (99,), hidden_edges=0.4, seed=2)
    found = []
    for kind, n_nodes in ((FORWARD, 40), (REVERSE, 30)):
        out = hetero_sample(sampler, kind[2], list(range(n_nodes)))
        assert len(out.row[REVERSE if kind == FORWARD else FORWARD]) == 0
        source = out.node[kind[0]][out.row[kind]].tolist()
        target = out.node[kind[2]][out.col[kind]].tolist()
        found.append(set(zip(source, target, strict=True)))
    assert found[0] == {(source, target) for target, source in found[1]}
    assert len(found[0]) / linked.shape[1] == pytest.approx(0.6, abs=0.08)


@pytest.mark.slow
def test_workers_of_the_loader_do_not_change_the_samples() -> None:
    network = random_network()
    x = torch.arange(60.0)[:, None]
    samples = []
    for n_workers in (0, 2):
        loader = NodeLoader(
            graph_of(x),
            sampler_of(network, (3, 2), hidden_edges=0.3),
            input_nodes=torch.arange(0, 60, 2),
            batch_size=7,
            num_workers=n_workers,
        )
        samples.append([(batch.x[:, 0].tolist(), batch.edge_index.tolist()) for batch in loader])
    assert samples[0] == samples[1]
    assert len(samples[0]) == 5


def test_pairs_are_refused_with_the_way_on() -> None:
    with pytest.raises(NotImplementedError, match="takes seed nodes; use NodeLoader"):
        sampler_of(path_graph(), (2,)).sample_from_edges(None)
