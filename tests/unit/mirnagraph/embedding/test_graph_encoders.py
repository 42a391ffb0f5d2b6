"""Graph encoders: every entry of the registry on one network, and those that read a HeteroData."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mirnagraph import registry
from mirnagraph.config import from_dict
from mirnagraph.embedding.graph_encoders import GRAPH_ENCODERS, GraphTransformerConfig
from mirnagraph.embedding.graph_modules import GraphTransformer, HeteroGraphTransformer
from mirnagraph.embedding.graph_training import edges_of, relations_of
from mirnagraph.embedding.graph_transformer import fit_graph_transformer, fit_hetero, relation_of
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.export import to_pyg
from mirnagraph.networks.network import NetworkSet
from mirnagraph.seeds import torch_scope

ONE_NETWORK = ("gtmaloc", "transformer", "gat")
SEVERAL = ("transformer", "hgt")
MIRNA_DISEASE = ("miRNA", "associated_with", "disease")


def config_of(encoder: str) -> GraphTransformerConfig:
    return GraphTransformerConfig(dim=8, n_layers=2, n_heads=2, epochs=4, encoder=encoder)


def network(n_nodes: int = 16) -> sparse.csr_array:
    """Random and weighted, symmetric; the last node is isolated."""
    rng = np.random.default_rng(0)
    dense = (rng.random((n_nodes, n_nodes)) < 0.3) * (rng.random((n_nodes, n_nodes)) + 0.1)
    dense = np.triu(dense, 1)
    dense[-1] = 0
    dense[:, -1] = 0
    return sparse.csr_array(dense + dense.T)


def features(n_nodes: int = 16) -> Tensor:
    values = np.random.default_rng(1).normal(size=(n_nodes, 5))
    return torch.from_numpy(values.astype(np.float32))


def module_of(encoder: str) -> GraphTransformer:
    with torch_scope(0, "test"):
        return GraphTransformer(5, config_of(encoder)).eval()


def small_data(weight_of_first: float = 1.0) -> HeteroData:
    """Six miRNAs, four diseases, three drugs; no edge points at a drug."""
    rng = np.random.default_rng(2)
    data = HeteroData()
    for name, n_nodes in (("miRNA", 6), ("disease", 4), ("drug", 3)):
        data[name].x = torch.from_numpy(rng.normal(size=(n_nodes, 5)).astype(np.float32))
    linked = torch.tensor([[0, 0, 1, 2, 3, 4, 5], [0, 1, 1, 2, 3, 3, 0]])
    weight = torch.tensor([weight_of_first, 0.5, 2.0, 1.0, 1.0, 0.3, 1.0])
    data[MIRNA_DISEASE].edge_index = linked
    data[MIRNA_DISEASE].edge_weight = weight
    data["disease", "rev_associated_with", "miRNA"].edge_index = linked.flip(0)
    data["disease", "rev_associated_with", "miRNA"].edge_weight = weight
    alike = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    data["miRNA", "sequence", "miRNA"].edge_index = alike
    data["drug", "targets", "miRNA"].edge_index = torch.tensor([[0, 1, 2], [5, 4, 0]])
    return data


def hetero_module(encoder: str, data: HeteroData) -> HeteroGraphTransformer:
    with torch_scope(0, "test"):
        return HeteroGraphTransformer(data, config_of(encoder)).eval()


@pytest.fixture(scope="module")
def exported(networks: NetworkSet) -> HeteroData:
    return to_pyg(networks)


@pytest.mark.parametrize("encoder", ONE_NETWORK)
def test_permuting_nodes_permutes_embeddings(encoder: str) -> None:
    order = np.random.default_rng(4).permutation(16)
    plain = module_of(encoder).encode(features(), *edges_of(network()))
    turned = module_of(encoder).encode(features()[order], *edges_of(network()[order][:, order]))
    torch.testing.assert_close(turned, plain[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("encoder", ONE_NETWORK)
def test_permuting_edges_permutes_attention(encoder: str) -> None:
    edge_index, edge_weight = edges_of(network())
    assert edge_weight is not None
    order = torch.from_numpy(np.random.default_rng(5).permutation(edge_index.shape[1]))
    module = module_of(encoder)
    plain, attention = module(features(), edge_index, edge_weight, return_attention=True)
    turned, permuted = module(
        features(), edge_index[:, order], edge_weight[order], return_attention=True
    )
    torch.testing.assert_close(turned, plain, atol=1e-5, rtol=1e-4)
    for before, after in zip(attention, permuted, strict=True):
        assert before.std() > 0
        torch.testing.assert_close(after, before[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("encoder", ONE_NETWORK)
def test_attention_sums_to_one_over_the_edges_into_a_node(encoder: str) -> None:
    edge_index, edge_weight = edges_of(network())
    _, attentions = module_of(encoder)(features(), edge_index, edge_weight, return_attention=True)
    assert [attention.shape for attention in attentions] == [(edge_index.shape[1], 2)] * 2
    has_edges = torch.from_numpy((np.diff(network().indptr) > 0).astype(np.float32))
    for attention in attentions:
        total = torch.zeros(16, 2).index_add(0, edge_index[1], attention)
        torch.testing.assert_close(total, has_edges[:, None].expand(16, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoder", ONE_NETWORK)
def test_edge_weights_are_read_and_absent_ones_are_one(encoder: str) -> None:
    edge_index, edge_weight = edges_of(network())
    assert edge_weight is not None
    module = module_of(encoder)
    weighted = module.encode(features(), edge_index, edge_weight)
    plain = module.encode(features(), edge_index, None)
    assert (weighted - plain).abs().max() > 1e-3
    ones = module.encode(features(), edge_index, torch.ones_like(edge_weight))
    torch.testing.assert_close(plain, ones, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("encoder", SEVERAL)
def test_permuting_one_node_type_permutes_its_embeddings(encoder: str) -> None:
    data = small_data()
    turned = small_data()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    place = torch.argsort(order)
    turned["miRNA"].x = data["miRNA"].x[order]
    for edge_type in turned.edge_types:
        ends = turned[edge_type].edge_index.clone()
        for row, name in ((0, edge_type[0]), (1, edge_type[2])):
            if name == "miRNA":
                ends[row] = place[ends[row]]
        turned[edge_type].edge_index = ends
    module = hetero_module(encoder, data)
    plain = module.encode(data)
    found = module.encode(turned)
    torch.testing.assert_close(found["miRNA"], plain["miRNA"][order], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["disease"], plain["disease"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("encoder", SEVERAL)
def test_attention_by_edge_type(encoder: str) -> None:
    data = small_data()
    _, attentions = hetero_module(encoder, data)(data, return_attention=True)
    assert len(attentions) == 2
    for attention in attentions:
        assert set(attention) == set(data.edge_types)
        total = torch.zeros(6, 2)
        for edge_type, value in attention.items():
            target = data[edge_type].edge_index[1]
            assert value.shape == (len(target), 2)
            if edge_type[2] == "miRNA":
                total = total.index_add(0, target, value)
        n_types = torch.tensor([3.0, 2, 2, 2, 2, 2])[:, None].expand(6, 2)
        expected = torch.ones(6, 2) if encoder == "hgt" else n_types
        torch.testing.assert_close(total, expected, atol=1e-5, rtol=0)


def test_transformer_reads_weights_of_a_hetero_data_and_hgt_does_not() -> None:
    for encoder, is_read in (("transformer", True), ("hgt", False)):
        module = hetero_module(encoder, small_data())
        change = module.encode(small_data())["miRNA"] - module.encode(small_data(9.0))["miRNA"]
        assert (change.abs().max() > 1e-3) == is_read


@pytest.mark.parametrize("encoder", SEVERAL)
def test_a_node_reads_its_neighbours_of_every_type(encoder: str) -> None:
    """Two layers: drug 0 -> miRNA 5 -> disease 0; miRNA 2 is not reached."""
    data = small_data()
    module = hetero_module(encoder, data)
    before = module.encode(data)
    changed = small_data()
    changed["drug"].x[0] += 1.0
    after = module.encode(changed)
    moved = {name: (after[name] - before[name]).abs().amax(1) > 1e-6 for name in before}
    assert moved["drug"].tolist() == [True, False, False]
    assert moved["miRNA"].tolist() == [False, False, False, False, False, True]
    assert moved["disease"].tolist() == [True, False, False, False]


def test_hgt_is_the_convolution_of_pyg() -> None:
    """Edge types in another order than the convolution numbers its weights by."""
    data = small_data()
    layer = hetero_module("hgt", data).blocks[0].attention
    states = {name: torch.randn(data[name].num_nodes, 8) for name in data.node_types}
    edge_index = {name: data[name].edge_index for name in data.edge_types}
    weights = dict.fromkeys(data.edge_types)
    expected = layer.conv(states, edge_index)
    found, _ = layer(states, dict(reversed(edge_index.items())), weights)
    assert set(found) == {"miRNA", "disease"}
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])


def test_an_edge_type_and_its_reverse_are_one_relation() -> None:
    relations = relations_of(small_data())
    assert [list(relation.pair_of_edge) for relation in relations] == [
        [MIRNA_DISEASE, ("disease", "rev_associated_with", "miRNA")],
        [("miRNA", "sequence", "miRNA")],
        [("drug", "targets", "miRNA")],
    ]
    first = relations[0]
    assert first.ends.tolist() == [[0, 0, 1, 2, 3, 4, 5], [6, 7, 7, 8, 9, 9, 6]]
    forward, backward = first.pair_of_edge.values()
    np.testing.assert_array_equal(forward, backward)
    assert relations[1].ends.tolist() == [[0, 2], [1, 3]]
    assert relations[1].pair_of_edge["miRNA", "sequence", "miRNA"].tolist() == [0, 0, 1, 1]
    assert relations[2].ends.tolist() == [[0, 4, 5], [12, 11, 10]]


@pytest.mark.parametrize("encoder", SEVERAL)
def test_exported_networks_are_read_as_they_are(encoder: str, exported: HeteroData) -> None:
    fitted = fit_hetero(exported, config_of(encoder), seed=1)
    assert set(fitted.embeddings) == set(exported.node_types)
    for name, values in fitted.embeddings.items():
        assert values.shape == (exported[name].num_nodes, 8)
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
    again = fit_hetero(exported, config_of(encoder), seed=1)
    np.testing.assert_array_equal(fitted.embeddings["miRNA"], again.embeddings["miRNA"])
    np.testing.assert_array_equal(fitted.losses, again.losses)
    without_labels = exported.clone()
    del without_labels["miRNA"].y
    blind = fit_hetero(without_labels, config_of(encoder), seed=1)
    np.testing.assert_array_equal(fitted.embeddings["miRNA"], blind.embeddings["miRNA"])


@pytest.mark.parametrize("encoder", SEVERAL)
def test_epochs_in_which_a_relation_is_hidden_wholly_are_trained(encoder: str) -> None:
    config = replace(config_of(encoder), hidden_edges=0.9, epochs=10)
    fitted = fit_hetero(small_data(), config, seed=0)
    assert np.isfinite(fitted.losses).all()
    assert fitted.losses.shape == (10,)


def communities() -> tuple[sparse.csr_array, np.ndarray, list[str]]:
    """40 miRNAs and 30 diseases in 3 communities; links within are 15 times as frequent."""
    rng = np.random.default_rng(3)
    group = np.concatenate([np.arange(40) % 3, np.arange(30) % 3])
    chance = np.where(group[:40, None] == group[None, 40:], 0.45, 0.03)
    matrix = sparse.csr_array((rng.random((40, 30)) < chance).astype(float))
    full = sparse.block_array([[None, matrix], [matrix.T, None]], format="csr")
    return sparse.csr_array(full), group, ["miRNA"] * 40 + ["disease"] * 30


@pytest.mark.parametrize("encoder", [*ONE_NETWORK, "hgt"])
def test_planted_communities_are_learned(encoder: str) -> None:
    adjacency, group, kinds = communities()
    config = replace(config_of(encoder), dim=16, epochs=60, learning_rate=0.01)
    start = np.random.default_rng(0).normal(size=(70, 16))
    fitted = fit_graph_transformer(start, adjacency, config, seed=0, kinds=kinds)
    assert fitted.losses[-5:].mean() < 0.8 * fitted.losses[:3].mean()
    cosine = fitted.embedding[:40] @ fitted.embedding[40:].T
    is_same = group[:40, None] == group[None, 40:]
    assert cosine[is_same].mean() > cosine[~is_same].mean() + 0.4


def test_hgt_on_one_network_keeps_the_order_of_rows() -> None:
    """Kinds in mixed order: the result belongs to the rows as they were given."""
    adjacency, _, kinds = communities()
    start = np.random.default_rng(0).normal(size=(70, 5))
    untrained = replace(config_of("hgt"), epochs=0)
    plain = fit_graph_transformer(start, adjacency, untrained, seed=0, kinds=kinds).embedding
    order = np.random.default_rng(6).permutation(70)
    mixed = fit_graph_transformer(
        start[order],
        adjacency[order][:, order],
        untrained,
        seed=0,
        kinds=[kinds[row] for row in order],
    ).embedding
    np.testing.assert_allclose(mixed, plain[order], atol=1e-5)


def test_relation_of_gives_one_relation_to_the_others(exported: HeteroData) -> None:
    adjacency, kinds = relation_of(small_data(), MIRNA_DISEASE)
    assert kinds == ["miRNA"] * 6 + ["disease"] * 4
    assert adjacency.shape == (10, 10)
    assert adjacency[0, 7] == adjacency[7, 0] == 0.5
    assert adjacency.nnz == 14
    alike, kinds = relation_of(small_data(), ("miRNA", "sequence", "miRNA"))
    assert alike.toarray().sum() == 4
    assert kinds == ["miRNA"] * 6
    matrix, kinds = relation_of(exported, MIRNA_DISEASE)
    start = np.random.default_rng(0).normal(size=(len(kinds), 5))
    fitted = fit_graph_transformer(start, matrix, config_of("gat"), seed=0, kinds=kinds)
    assert fitted.embedding.shape == (len(kinds), 8)
    with pytest.raises(InputError, match=r"no such edge type; found \('miRNA', 'x', 'drug'\)"):
        relation_of(exported, ("miRNA", "x", "drug"))


def test_wrong_encoders_and_graphs_are_refused() -> None:
    expected = r"unknown graph encoder 'gatt'; did you mean 'gat'\? known: gtmaloc, transformer, "
    with pytest.raises(ConfigError, match=expected):
        GraphTransformerConfig(encoder="gatt")
    with pytest.raises(ConfigError, match=r"'gtmaloc' reads one network; .*relation_of"):
        fit_hetero(small_data(), config_of("gtmaloc"))
    with pytest.raises(ConfigError, match="'hgt' reads node types"):
        GraphTransformer(5, config_of("hgt"))
    with pytest.raises(InputError, match="nothing to train on"):
        fit_hetero(HeteroData(), config_of("hgt"))
    with pytest.raises(InputError, match=r"weight of edge type .* found -1.0"):
        fit_hetero(small_data(-1.0), config_of("hgt"))


def test_settings_without_an_encoder_are_read_and_load_no_torch() -> None:
    assert from_dict(GraphTransformerConfig, {"dim": 64}).encoder == "gtmaloc"
    code = (
        "import sys\n"
        "from mirnagraph.embedding.graph_encoders import GraphTransformerConfig\n"
        "GraphTransformerConfig(encoder='hgt')\n"
        "assert not {'torch', 'torch_geometric', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class MeanLayer(nn.Module):
    """Toy encoder of another package: mean of the neighbours."""

    def __init__(self, config: GraphTransformerConfig) -> None:
        super().__init__()
        self.out = nn.Linear(config.dim, config.dim)

    def forward(
        self, h: Tensor, edge_index: Tensor, edge_weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        degree = torch.zeros(len(h)).index_add(0, edge_index[1], torch.ones(edge_index.shape[1]))
        share = 1 / degree[edge_index[1]]
        mixed = torch.zeros_like(h).index_add(0, edge_index[1], h[edge_index[0]] * share[:, None])
        return self.out(mixed), share[:, None]


def test_an_encoder_of_an_installed_package_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mean", f"{__name__}:MeanLayer", GRAPH_ENCODERS.group)
    with pytest.raises(ConfigError, match="unknown graph encoder 'mean'"):
        config_of("mean")
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [point])
    fitted = fit_graph_transformer(features().numpy(), network(), config_of("mean"), seed=0)
    assert isinstance(fitted.module, GraphTransformer)
    layer = fitted.module.blocks[0].attention
    assert type(layer).__name__ == "MeanLayer"
    np.testing.assert_allclose(np.linalg.norm(fitted.embedding, axis=1), 1, atol=1e-5)
