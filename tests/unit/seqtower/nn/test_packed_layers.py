"""Layers of packed members against separate layers, and attention pooling by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mirnagraph.seeds import torch_scope
from seqtower.nn.packed import PackedAttentionPooling, PackedLinear


def packed(n_members: int, n_in: int, n_out: int) -> PackedLinear:
    with torch_scope(0, "test"):
        layer = PackedLinear(n_members, n_in, n_out)
        nn.init.normal_(layer.bias)
    return layer


def values_of(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape).astype(np.float32))


def identity_pooling() -> PackedAttentionPooling:
    """One member, head and query (1, 0); keys are the tokens, values the tokens twice."""
    pooling = PackedAttentionPooling(1, 2, 2, 1, 1)
    with torch.no_grad():
        pooling.query.copy_(torch.tensor([1.0, 0]).view(pooling.query.shape))
        pooling.kind.zero_()
        pooling.key.weight.copy_(torch.eye(2)[None])
        pooling.value.weight.copy_(2 * torch.eye(2)[None])
    return pooling


def test_packed_layers_are_separate_linear_layers() -> None:
    layer = packed(3, 4, 2)
    values = values_of(3, 5, 4)
    found = layer(values)
    for member in range(3):
        single = nn.Linear(4, 2)
        with torch.no_grad():
            single.weight.copy_(layer.weight[member].t())
            single.bias.copy_(layer.bias[member, 0])
        torch.testing.assert_close(found[member], single(values[member]))


def test_one_input_goes_to_all_members() -> None:
    layer = packed(3, 4, 2)
    values = values_of(1, 5, 4)
    torch.testing.assert_close(layer(values), layer(values.expand(3, -1, -1)))


def test_initial_weights_have_the_scale_over_the_root_of_the_inputs() -> None:
    with torch_scope(0, "test"):
        layer = PackedLinear(2, 400, 100, scale=0.3)
    assert float(layer.weight.detach().std()) == pytest.approx(0.3 / 20, rel=0.02)
    assert not layer.bias.any()
    assert PackedLinear(2, 0, 3)(torch.zeros(1, 4, 0)).shape == (2, 4, 3)


def test_pooling_by_hand() -> None:
    # scores (log 3, 0) / sqrt(2) * sqrt(2): weights 3/4 and 1/4
    first = [np.log(3) * np.sqrt(2), 5.0]
    tokens = torch.tensor([[[first, [0.0, 1.0]]]], dtype=torch.float32)
    pooled, weights = identity_pooling()(tokens, torch.ones(1, 2, dtype=torch.bool))
    np.testing.assert_allclose(weights.detach().ravel(), [0.75, 0.25], rtol=1e-6)
    expected = [2 * 0.75 * first[0], 2 * (0.75 * 5 + 0.25)]
    np.testing.assert_allclose(pooled.detach().ravel(), expected, rtol=1e-6)


def test_the_vector_of_a_kind_is_part_of_the_key_alone() -> None:
    pooling = identity_pooling()
    with torch.no_grad():
        pooling.kind[0, 0, 1, 0] = np.log(3) * np.sqrt(2)
    tokens = torch.tensor([[[[0.0, 5], [0, 1]]]])
    pooled, weights = pooling(tokens, torch.ones(1, 2, dtype=torch.bool))
    np.testing.assert_allclose(weights.detach().ravel(), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(pooled.detach().ravel(), [0, 2 * (0.25 * 5 + 0.75)], rtol=1e-6)


def test_weights_of_absent_tokens_are_0_and_the_rest_sums_to_1() -> None:
    with torch_scope(0, "test"):
        pooling = PackedAttentionPooling(2, 4, 6, 3, 5)
    tokens = values_of(2, 3, 4, 6)
    is_present = torch.tensor([[True] * 4, [True, False, True, False], [False] * 3 + [True]])
    pooled, weights = pooling(tokens, is_present)
    assert weights.shape == (2, 3, 3, 5, 4)
    assert pooled.shape == (2, 3, 30)
    assert not weights.permute(1, 4, 0, 2, 3)[~is_present].any()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 3, 5))
    assert (weights[:, 2, :, :, 3] == 1).all()
    changed = tokens.masked_fill(~is_present[None, :, :, None], 99.0)
    torch.testing.assert_close(pooling(changed, is_present)[0], pooled)


def test_heads_and_queries_by_loops() -> None:
    n_members, n_tokens, dim, n_heads, n_queries = 2, 3, 4, 2, 3
    with torch_scope(0, "test"):
        pooling = PackedAttentionPooling(n_members, n_tokens, dim, n_heads, n_queries)
    tokens = values_of(n_members, 1, n_tokens, dim)
    pooled, weights = pooling(tokens, torch.ones(1, n_tokens, dtype=torch.bool))
    for member in range(n_members):
        token = tokens[member, 0]
        key = token @ pooling.key.weight[member] + pooling.kind[member, 0]
        value = token @ pooling.value.weight[member]
        for head in range(n_heads):
            columns = slice(2 * head, 2 * head + 2)
            for query in range(n_queries):
                score = key[:, columns] @ pooling.query[member, 0, head, query] / np.sqrt(2)
                expected = score.softmax(dim=0)
                torch.testing.assert_close(weights[member, 0, head, query], expected)
                start = query * dim + 2 * head
                torch.testing.assert_close(
                    pooled[member, 0, start : start + 2], expected @ value[:, columns]
                )
