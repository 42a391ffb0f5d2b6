"""Embedding tokens: which embedder and which graph encoder make them, and what they are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusion.config import EmbeddingSettings, ExperimentConfig, TokenSettings
from fusion.experiments.ablation import can_be_made, variants_of
from fusion.tokens.builders import build_tokens
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.kinds import modality_of
from fusion.tokens.names import JOINT_GRAPH
from fusion.tokens.table import BuildSettings
from mirnagraph.config import dump_toml, from_dict, read_settings, to_dict
from mirnagraph.embedding.embed import embed_networks
from mirnagraph.embedding.factorization import ProximityConfig, proximity_embedding
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.graph_transformer import fit_graph_transformer
from mirnagraph.embedding.node2vec import Node2VecConfig
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.seeds import child_seed

WALKS = Node2VecConfig(n_walks=1, walk_length=8, epochs=1)


def settings_of(encoder: str) -> EmbeddingSettings:
    graph = GraphTransformerConfig(dim=8, n_layers=1, n_heads=2, epochs=2, encoder=encoder)
    return EmbeddingSettings(4, 6, WALKS, graph)


def test_settings_choose_the_embedder(networks: NetworkSet) -> None:
    settings = EmbeddingSettings(3, 5, embedder="proximity", options={"hops": 2})
    assert settings.network_config(7) == ProximityConfig(dim=7, hops=2)
    names = ["node2vec:sequence", "node2vec:drug"]
    found = learned_embeddings(networks, names, settings, 0)
    for name, dim in (("sequence", 3), ("drug", 5)):
        config = ProximityConfig(dim=dim, hops=2)
        expected = proximity_embedding(networks[name].adjacency, config)
        np.testing.assert_array_equal(found[f"node2vec:{name}"], expected)


def test_node2vec_is_the_default_and_settings_of_before_are_read(networks: NetworkSet) -> None:
    old = {"similarity_dim": 4, "association_dim": 6, "node2vec": to_dict(WALKS)}
    settings = from_dict(EmbeddingSettings, old)
    assert settings.embedder == "node2vec"
    found = learned_embeddings(networks, ["node2vec:drug"], settings, 0)
    config = replace(WALKS, dim=6)
    expected = embed_networks({"drug": networks["drug"]}, {"drug": config}, 0)["drug"]
    np.testing.assert_array_equal(found["node2vec:drug"], expected)


def test_settings_are_written_and_read_back(tmp_path: Path) -> None:
    settings = EmbeddingSettings(embedder="proximity", options={"hops": 2, "shift": 1.5})
    for each in (settings, settings_of("hgt")):
        (tmp_path / "settings.toml").write_text(dump_toml(each))
        assert read_settings(EmbeddingSettings, tmp_path / "settings.toml") == each


def test_wrong_embedders_are_refused() -> None:
    expected = r"unknown network embedder 'proximty'; did you mean 'proximity'\?"
    with pytest.raises(ConfigError, match=expected):
        EmbeddingSettings(embedder="proximty")
    with pytest.raises(ConfigError, match=r"'options' is .* expected none for embedder 'node2vec'"):
        EmbeddingSettings(options={"hops": 2})
    with pytest.raises(ConfigError, match=r"embedding.options: unknown setting 'hop'.* 'hops'"):
        EmbeddingSettings(embedder="proximity", options={"hop": 2})


def test_a_graph_token_is_trained_on_its_network_alone(networks: NetworkSet) -> None:
    settings = settings_of("gat")
    name = "graph_transformer:drug"
    found = learned_embeddings(networks, [name, "node2vec:drug"], settings, 0)
    shared = np.linalg.norm(found[name], axis=1)
    assert found[name].shape == (len(networks["drug"].nodes), 8)
    np.testing.assert_allclose(shared, 1, atol=1e-5)
    again = learned_embeddings(networks, [name, JOINT_GRAPH], settings_of("hgt"), 0)
    only = replace(networks, networks={"drug": networks["drug"]})
    alone = learned_embeddings(only, [name], settings_of("hgt"), 0)
    np.testing.assert_array_equal(again[name], alone[name])


@pytest.mark.parametrize("encoder", ["transformer", "hgt"])
def test_the_joint_token_reads_all_networks(
    networks: NetworkSet, tmp_path: Path, encoder: str
) -> None:
    settings = settings_of(encoder)
    found = learned_embeddings(networks, [JOINT_GRAPH], settings, 0, cache=str(tmp_path))
    assert list(found) == [JOINT_GRAPH]
    n_rnas = len(networks.dataset.index)
    partners = [n.partners for n in networks.networks.values() if n.partners is not None]
    n_nodes = n_rnas + sum(len(index) for index in partners)
    assert found[JOINT_GRAPH].shape == (n_nodes, 8)
    n_files = len(list(tmp_path.iterdir()))
    again = learned_embeddings(networks, [JOINT_GRAPH], settings, 0, cache=str(tmp_path))
    np.testing.assert_array_equal(found[JOINT_GRAPH], again[JOINT_GRAPH])
    assert len(list(tmp_path.iterdir())) == n_files
    for left_out in ("drug", "sequence"):
        rest = {name: n for name, n in networks.networks.items() if name != left_out}
        fewer = replace(networks, networks=rest)
        changed = learned_embeddings(fewer, [JOINT_GRAPH], settings, 0)[JOINT_GRAPH]
        assert np.abs(changed[:n_rnas] - found[JOINT_GRAPH][:n_rnas]).max() > 1e-3


def test_the_joint_token_is_built_of_the_rows_of_rnas(networks: NetworkSet) -> None:
    n_rnas = len(networks.dataset.index)
    values = np.arange((n_rnas + 5) * 2, dtype=np.float32).reshape(-1, 2)
    [token] = build_tokens(networks, [JOINT_GRAPH], BuildSettings(embeddings={JOINT_GRAPH: values}))
    has_edges = np.zeros(n_rnas, dtype=bool)
    for network in networks.networks.values():
        has_edges |= np.diff(network.matrix.indptr) > 0
    np.testing.assert_array_equal(token.present, has_edges)
    np.testing.assert_array_equal(token.values[has_edges], values[:n_rnas][has_edges])
    assert modality_of(JOINT_GRAPH) == "networks"
    assert modality_of("graph_transformer:drug") == "drug"


def test_the_joint_token_needs_an_encoder_of_several_networks(networks: NetworkSet) -> None:
    expected = "'graph_transformer:all' needs a graph encoder .* 'transformer' or 'hgt', not 'gat'"
    with pytest.raises(ConfigError, match=expected):
        learned_embeddings(networks, [JOINT_GRAPH], settings_of("gat"), 0)


def test_ablation_of_the_joint_token(networks: NetworkSet) -> None:
    tokens = TokenSettings(attention=(JOINT_GRAPH, "degree"))
    config = ExperimentConfig(tokens, embedding=settings_of("hgt"))
    found = {variant.name: variant for variant in variants_of(networks, config)}
    assert JOINT_GRAPH in found["without-sequence"].rebuilt
    assert JOINT_GRAPH in found["without-drug"].rebuilt
    plain = found["without-graph-transformer"].config
    assert plain is not None
    expected = (*(f"node2vec:{name}" for name in networks.networks), "degree")
    assert plain.tokens.attention == expected
    assert not can_be_made(replace(networks, networks={}), JOINT_GRAPH)


def test_the_similarity_and_the_vectors_are_what_an_encoder_reads(networks: NetworkSet) -> None:
    """Without a functional similarity the features are the vectors of the network alone."""
    bare = replace(networks, similarities={})
    settings = settings_of("gtmaloc")
    names = ["node2vec:drug", "graph_transformer:drug"]
    found = learned_embeddings(bare, names, settings, 5)
    expected = fit_graph_transformer(
        found["node2vec:drug"],
        networks["drug"].adjacency,
        settings.graph_transformer,
        child_seed(5, "graph transformer", "drug"),
        kinds=networks["drug"].nodes.kinds,
    )
    np.testing.assert_array_equal(found["graph_transformer:drug"], expected.embedding)
    full = learned_embeddings(networks, names, settings, 5)
    assert np.abs(full["graph_transformer:drug"] - expected.embedding).max() > 1e-3
