"""Attention layer of the gtmaloc encoder: golden values of the layer and of a short training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.graph_layers import EdgeAttention
from mirnagraph.embedding.graph_training import edges_of
from mirnagraph.embedding.graph_transformer import fit_graph_transformer
from mirnagraph.seeds import torch_scope

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "gtmaloc_attention.json"
CONFIGS = {
    name: GraphTransformerConfig(dim=8, n_layers=2, n_heads=2, epochs=5, attention=name)
    for name in ("dot", "additive")
}
KINDS = ["a"] * 5 + ["b"] * 4


def graph() -> sparse.csr_array:
    """Nine nodes with weighted edges; the last one is isolated."""
    edges = [(0, 5, 1.0), (0, 6, 0.5), (1, 5, 2.0), (1, 7, 0.25), (2, 6, 1.5), (3, 7, 1.0)]
    edges += [(4, 5, 0.75), (4, 6, 3.0), (4, 7, 1.0)]
    dense = np.zeros((9, 9))
    for source, target, weight in edges:
        dense[source, target] = weight
    return sparse.csr_array(dense + dense.T)


def node_states() -> np.ndarray:
    """Fixed features, shape (9, 8), without a random generator."""
    return np.sin(np.arange(72, dtype=np.float32) * 1.7).reshape(9, 8).astype(np.float32)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def layer_of(config: GraphTransformerConfig) -> EdgeAttention:
    with torch_scope(0, "test"):
        return EdgeAttention(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_layer_gives_the_values_it_gave(name: str, golden: dict[str, Any]) -> None:
    layer, expected = layer_of(CONFIGS[name]), golden[name]
    weights = {key: list(value.shape) for key, value in layer.state_dict().items()}
    assert weights == expected["weights"]
    assert list(weights) == list(expected["weights"]), "another order draws other weights"
    first = layer.value.weight.detach().numpy()[0]
    np.testing.assert_allclose(first, expected["value_row"], atol=1e-7)
    edge_index, edge_weight = edges_of(graph())
    states = torch.from_numpy(node_states())
    with torch.no_grad():
        mixed, attention = layer(states, edge_index, edge_weight)
        unweighted, _ = layer(states, edge_index, None)
    np.testing.assert_allclose(mixed.numpy(), expected["mixed"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(unweighted.numpy(), expected["mixed_unweighted"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(attention.numpy(), expected["attention"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_gives_the_values_it_gave(name: str, golden: dict[str, Any]) -> None:
    fitted = fit_graph_transformer(node_states(), graph(), CONFIGS[name], seed=3, kinds=KINDS)
    np.testing.assert_allclose(fitted.losses, golden[name]["losses"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(fitted.embedding, golden[name]["embedding"], atol=1e-4, rtol=0)
