"""Graph transformer: neighbours, order of nodes, isolated nodes, cost, learning, repeatability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import roc_auc_score
from torch.utils._python_dispatch import TorchDispatchMode

from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.graph_layers import EdgeAttention
from mirnagraph.embedding.graph_modules import GraphTransformer
from mirnagraph.embedding.graph_training import draw_non_edges, edges_of, reconstruction_loss
from mirnagraph.embedding.graph_transformer import fit_graph_transformer
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.seeds import torch_scope

SMALL = GraphTransformerConfig(dim=8, n_layers=2, n_heads=2, epochs=3)
ADDITIVE = GraphTransformerConfig(dim=8, n_layers=2, n_heads=2, epochs=3, attention="additive")
both = pytest.mark.parametrize("config", [SMALL, ADDITIVE], ids=["dot", "additive"])


def network(n_nodes: int = 20, seed: int = 0, weighted: bool = True) -> sparse.csr_array:
    """Random, symmetric; the last two nodes are isolated."""
    rng = np.random.default_rng(seed)
    dense = np.triu(
        (rng.random((n_nodes, n_nodes)) < 0.25)
        * (rng.random((n_nodes, n_nodes)) + 0.1 if weighted else 1.0),
        1,
    )
    dense[-2:], dense[:, -2:] = 0, 0
    return sparse.csr_array(dense + dense.T)


def made(config: GraphTransformerConfig, in_channels: int = 5) -> GraphTransformer:
    with torch_scope(0, "test"):
        return GraphTransformer(in_channels, config).eval()


def features(n_nodes: int = 20, columns: int = 5) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(1).normal(size=(n_nodes, columns)).astype(np.float32)
    )


@both
def test_attention_sums_to_one_over_neighbours(config: GraphTransformerConfig) -> None:
    edge_index, edge_weight = edges_of(network())
    out, attentions = made(config)(features(), edge_index, edge_weight, return_attention=True)
    assert len(attentions) == 2
    degree = np.diff(network().indptr)
    for attention in attentions:
        assert attention.shape == (edge_index.shape[1], 2)
        assert (attention > 0).all()
        total = torch.zeros(20, 2).index_add(0, edge_index[1], attention)
        torch.testing.assert_close(
            total,
            torch.from_numpy((degree > 0).astype(np.float32))[:, None].expand(20, 2),
            atol=1e-5,
            rtol=0,
        )
    torch.testing.assert_close(out, made(config).encode(features(), edge_index, edge_weight))


@both
def test_a_node_sees_its_neighbours_and_nobody_else(config: GraphTransformerConfig) -> None:
    edge_index, edge_weight = edges_of(network())
    single = made(GraphTransformerConfig(dim=8, n_layers=1, n_heads=2, attention=config.attention))
    before = single(features(), edge_index, edge_weight)
    changed = features()
    changed[3] += 1.0
    moved = (single(changed, edge_index, edge_weight) - before).abs().sum(1) > 1e-6
    expected = set(network().indices[network().indptr[3] : network().indptr[4]].tolist()) | {3}
    assert set(np.flatnonzero(moved.numpy()).tolist()) == expected


@both
def test_equals_dense_attention_with_a_mask(config: GraphTransformerConfig) -> None:
    """The same attention written with n x n matrices."""
    with torch_scope(0, "test"):
        layer = EdgeAttention(config)
    dense = torch.from_numpy(network().toarray().astype(np.float32))
    h = features(20, 8)
    mixed, _ = layer(h, *edges_of(network()))
    value = layer.value(h).view(20, 2, 4)
    expected = torch.zeros(20, 2, 4)
    for head in range(2):
        if config.attention == "dot":
            score = (
                layer.query(h).view(20, 2, 4)[:, head]
                @ layer.key(h).view(20, 2, 4)[:, head].T
                / 2.0
            )
        else:
            raw = (value[:, head] @ layer.receive[head])[:, None] + (
                value[:, head] @ layer.send[head]
            )[None, :]
            score = torch.where(raw > 0, raw, 0.2 * raw)
        weighted = dense * score.exp()
        expected[:, head] = (
            weighted / weighted.sum(1, keepdim=True).clamp_min(1e-20) @ value[:, head]
        )
    torch.testing.assert_close(mixed, layer.out(expected.flatten(1)), atol=1e-5, rtol=1e-5)


@both
def test_permuting_nodes_permutes_outputs(config: GraphTransformerConfig) -> None:
    order = np.random.default_rng(4).permutation(20)
    plain = made(config).encode(features(), *edges_of(network()))
    turned = made(config).encode(features()[order], *edges_of(network()[order][:, order]))
    torch.testing.assert_close(turned, plain[order], atol=1e-5, rtol=1e-4)


@both
def test_rows_have_norm_one_and_isolated_nodes_are_finite(config: GraphTransformerConfig) -> None:
    result = fit_graph_transformer(features().numpy(), network(), config, seed=0)
    assert result.embedding.shape == (20, 8)
    assert np.isfinite(result.embedding).all()
    np.testing.assert_allclose(np.linalg.norm(result.embedding, axis=1), 1, atol=1e-5)
    alone = fit_graph_transformer(features(3).numpy(), sparse.csr_array((3, 3)), config, seed=0)
    np.testing.assert_allclose(np.linalg.norm(alone.embedding, axis=1), 1, atol=1e-5)


@both
def test_gradient_reaches_every_parameter(config: GraphTransformerConfig) -> None:
    module = made(config)
    edge_index, edge_weight = edges_of(network())
    h, _ = module.hidden(features(), edge_index, edge_weight)
    reconstruction_loss(h, edge_index, torch.tensor([[0, 1], [18, 19]])).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        # A bias of keys shifts all scores of a node alike, so the softmax takes it away.
        assert name.endswith("key.bias") or parameter.grad.abs().sum() > 0, name


def test_reconstruction_loss_worked_by_hand() -> None:
    """Width 4, so products are halved: edge (0, 1) scores 1, non-edge (0, 2) scores -2."""
    h = torch.tensor([[1.0, 1, 0, 0], [2, 0, 0, 0], [-4, 0, 0, 0]])
    loss = reconstruction_loss(h, torch.tensor([[0], [1]]), torch.tensor([[0], [2]]))
    expected = -np.log(1 / (1 + np.exp(-1))) - np.log(1 - 1 / (1 + np.exp(2)))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert (
        reconstruction_loss(
            h, torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, 0, dtype=torch.long)
        ).item()
        == 0
    )


class Largest(TorchDispatchMode):
    """Largest tensor that any operation gives back."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@both
def test_cost_grows_with_edges(config: GraphTransformerConfig) -> None:
    n_nodes = 5000
    ring = sparse.eye_array(n_nodes, k=1) + sparse.eye_array(n_nodes, k=-1)
    edge_index, edge_weight = edges_of(ring.tocsr())
    with Largest() as watched:
        h, _ = made(config).hidden(features(n_nodes), edge_index, edge_weight)
        reconstruction_loss(h, edge_index, edge_index.flip(0)).backward()
    assert watched.numel <= 2 * n_nodes * 2 * config.dim
    assert watched.numel < n_nodes**2 / 100


def test_held_out_edges_are_found() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(150) % 5
    chance = np.where(group[:, None] == group[None, :], 0.35, 0.01)
    upper = np.argwhere(np.triu(rng.random((150, 150)) < chance, 1))
    held = rng.random(len(upper)) < 0.1
    full = np.zeros((150, 150))
    full[upper[:, 0], upper[:, 1]] = 1
    known = np.zeros_like(full)
    known[upper[~held, 0], upper[~held, 1]] = 1
    apart = rng.integers(0, 150, (600, 2))
    apart = apart[((full + full.T)[apart[:, 0], apart[:, 1]] == 0) & (apart[:, 0] != apart[:, 1])]
    config = GraphTransformerConfig(dim=32, epochs=60, learning_rate=0.01)
    unit = fit_graph_transformer(
        rng.normal(size=(150, 32)), sparse.csr_array(known + known.T), config, seed=0
    ).embedding
    degree = (known + known.T).sum(1)
    pairs, truth = np.vstack([upper[held], apart]), np.r_[np.ones(held.sum()), np.zeros(len(apart))]
    assert roc_auc_score(truth, (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)) > 0.8
    assert roc_auc_score(truth, degree[pairs[:, 0]] * degree[pairs[:, 1]]) < 0.7


@both
def test_equal_seeds_are_equal_bit_for_bit_and_global_state_is_left_alone(
    config: GraphTransformerConfig,
) -> None:
    state = torch.get_rng_state()
    one = fit_graph_transformer(features().numpy(), network(), config, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    two = fit_graph_transformer(features().numpy(), network(), config, seed=3)
    np.testing.assert_array_equal(one.embedding, two.embedding)
    np.testing.assert_array_equal(one.losses, two.losses)
    assert not np.array_equal(
        one.embedding,
        fit_graph_transformer(features().numpy(), network(), config, seed=4).embedding,
    )
    again = one.module.encode(features(), *edges_of(network())).numpy()
    np.testing.assert_array_equal(again, one.embedding)


def test_non_edges_are_no_edges_and_keep_the_kinds() -> None:
    rng = np.random.default_rng(0)
    cross = rng.random((12, 9)) < 0.4
    cross[0] = True  # linked with all others of the kind: no non-edge exists from here
    full = np.block([[np.zeros((12, 12)), cross], [cross.T, np.zeros((9, 9))]])
    pairs = np.argwhere(np.triu(full)).T
    known = np.sort(np.flatnonzero(full.ravel()))
    kinds = np.array([1] * 12 + [0] * 9)
    drawn = draw_non_edges(pairs, kinds, known, rng)
    assert (full[drawn[0], drawn[1]] == 0).all()
    assert (kinds[drawn[0]] != kinds[drawn[1]]).all()
    assert pairs.shape[1] > drawn.shape[1] > pairs.shape[1] * 0.7


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(19, 5\), expected \(20, 1 or more\)"):
        fit_graph_transformer(features(19).numpy(), network(), SMALL)
    broken = features().numpy()
    broken[2, 4] = np.nan
    with pytest.raises(InputError, match="nan in row 2, column 4"):
        fit_graph_transformer(broken, network(), SMALL)
    with pytest.raises(InputError, match="found 3 kinds, expected 20"):
        fit_graph_transformer(features().numpy(), network(), SMALL, kinds=["a", "b", "c"])
    with pytest.raises(ConfigError, match=r"'dim' is 10, expected a multiple of n_heads \(4\)"):
        GraphTransformerConfig(dim=10)
    with pytest.raises(ConfigError, match="one of dot, additive"):
        GraphTransformerConfig(attention="gat")
