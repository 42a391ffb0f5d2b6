"""Network of the TIS Transformer: its formulas by hand, gradients, and what of it is trained."""

from __future__ import annotations

import math

import pytest
import torch

from mirnagraph.errors import ConfigError
from seqtower.encoders.tis import rna_tokens
from seqtower.encoders.tis_network import (
    BLOCK,
    Adapted,
    Places,
    TisTransformer,
    rotation,
    sinusoid,
    trainable,
    turn_halves,
    turn_pairs,
)
from seqtower.encoders.tis_weights import load_tis

RNA = "AUGGCUUACGGAUCCNACGU"


def batch(*rnas: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and lengths of a batch."""
    rows = [torch.from_numpy(rna_tokens(rna)) for rna in rnas]
    lengths = torch.tensor([len(row) for row in rows])
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


# --- formulas by hand --------------------------------------------------------------------------


def test_sinusoid() -> None:
    # two frequencies: 1 and 10000 ** -.5 = .01; sines first
    expected = [
        [0, 0, 1, 1],
        [math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)],
        [math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02)],
    ]
    torch.testing.assert_close(sinusoid(3, 4), torch.tensor(expected), atol=1e-6, rtol=0)


def test_rotation() -> None:
    cos, sin = rotation(2)
    assert cos.shape == sin.shape == (2, 8)
    angles = torch.tensor([1, 10**-0.5, 0.1, 10**-1.5, 0.01, 10**-2.5, 0.001, 10**-3.5])
    torch.testing.assert_close(cos[1], angles.cos())
    torch.testing.assert_close(sin[1], angles.sin())
    assert cos[0].tolist() == [1] * 8


def test_a_quarter_turn() -> None:
    quarter = torch.zeros(1, 2), torch.ones(1, 2)
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    of_pairs = turn_pairs(values.view(1, 1, 1, 4), *quarter)
    assert of_pairs.flatten().tolist() == [-2, 1, -4, 3]  # (x, y) -> (-y, x) of neighbours
    of_halves = turn_halves(values.view(1, 1, 1, 4), *quarter)
    assert of_halves.flatten().tolist() == [-3, -4, 1, 2]  # of 1, 3 and of 2, 4


def test_a_rotated_product_depends_on_the_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 16)
    for turn, shape in ((turn_pairs, (1, 9, 1, 16)), (turn_halves, (1, 1, 9, 16))):
        turned_q = turn(q.expand(9, 16).reshape(shape), *rotation(9)).reshape(9, 16)
        turned_k = turn(k.expand(9, 16).reshape(shape), *rotation(9)).reshape(9, 16)
        products = turned_q @ turned_k.T
        torch.testing.assert_close(products[0, 3], products[5, 8], atol=1e-5, rtol=1e-5)
        assert abs(products[0, 3] - products[3, 0]) > 1e-3


def test_global_attention_by_hand() -> None:
    # One head, two positions without rotation, values along one axis: P has a row 2 e_1 and zeros.
    layer = TisTransformer().layers[0]
    layer.projection_matrix[0, 0] = 2.0
    places = Places(torch.arange(BLOCK)[None] < 2)
    places.global_turns = (torch.ones(BLOCK, 8), torch.zeros(BLOCK, 8))
    q, k, v = torch.zeros(3, 1, BLOCK, 1, 16)
    q[0, :3, 0, 0] = torch.tensor([1.0, -1.0, 5.0])
    k[0, :3, 0, 0] = torch.tensor([0.0, 1.0, 9.0])  # the last is padding
    v[0, :3, 0, 0] = torch.tensor([3.0, 7.0, 100.0])
    out = layer._global(q, k, v, places)[0, :2, 0, 0]
    # P u / 2: the first feature is u, the 79 others are 0; |u|^2 / 8
    floor = 1e-4
    weights = []
    for query in (1.0, -1.0):
        of_query = [math.exp(f - query**2 / 8 - max(query, 0)) + floor for f in (query, 0.0)]
        row = []
        for key in (0.0, 1.0):
            of_key = [math.exp(f - key**2 / 8 - 1.0) + floor for f in (key, 0.0)]
            row.append(of_query[0] * of_key[0] + 79 * of_query[1] * of_key[1])
        weights.append(row)
    expected = [(3 * a + 7 * b) / (a + b) for a, b in weights]
    torch.testing.assert_close(out, torch.tensor(expected), atol=1e-5, rtol=1e-5)
    assert expected[0] > expected[1]


def test_local_attention_by_hand() -> None:
    # Two blocks of which the second has one token; no rotation; a scale of 1 / 4.
    layer = TisTransformer().layers[0]
    is_token = torch.arange(2 * BLOCK)[None] <= BLOCK
    places = Places(is_token)
    places.local_query = (torch.ones(BLOCK, 8), torch.zeros(BLOCK, 8))
    places.local_key = (torch.ones(3 * BLOCK, 8), torch.zeros(3 * BLOCK, 8))
    q, k, v = torch.zeros(3, 1, 2 * BLOCK, 1, 16)
    q[..., 0] = 1.0
    k[0, BLOCK, 0, 0] = 4 * math.log(BLOCK)  # weighs as much as the 256 tokens before it
    k[0, BLOCK + 1 :, 0, 0] = 50.0  # padding
    v[0, BLOCK, 0, 0] = 8.0
    out = layer._local(q, k, v, places)[0, : BLOCK + 1, 0, 0]
    torch.testing.assert_close(out, torch.full((BLOCK + 1,), 4.0), atol=1e-4, rtol=0)


def test_blocks_reach_their_neighbours_alone() -> None:
    layer = TisTransformer().layers[0]
    places = Places(torch.ones(1, 4 * BLOCK, dtype=torch.bool))
    q, k, v = torch.zeros(3, 1, 4 * BLOCK, 1, 16)
    v[0, 0, 0, 0] = 512.0  # a value in the first block; equal weights
    out = layer._local(q, k, v, places)[0, :, 0, 0]
    torch.testing.assert_close(out[:BLOCK], torch.full((BLOCK,), 1.0))  # of two blocks
    torch.testing.assert_close(out[BLOCK : 2 * BLOCK], torch.full((BLOCK,), 2 / 3))  # of three
    assert out[2 * BLOCK :].abs().max() == 0


# --- batches and gradients ---------------------------------------------------------------------


def test_an_rna_does_not_depend_on_its_batch() -> None:
    network = load_tis()
    with torch.inference_mode():
        alone = network(*batch(RNA * 5))[0]
        beside = network(*batch(RNA * 5, RNA * 25))[0, : len(alone)]
    torch.testing.assert_close(beside, alone, atol=1e-5 * float(alone.abs().max()), rtol=0)


def test_start_scores_are_the_softmax_of_the_head() -> None:
    network = load_tis()
    with torch.inference_mode():
        hidden = network(*batch(RNA))
        head = network.ff_2(torch.relu(network.ff_1(hidden))).softmax(dim=-1)[..., 1]
        torch.testing.assert_close(network.start_scores(hidden), head)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_gradients_reach_the_letters(checkpoint: bool) -> None:
    network = load_tis(checkpoint=checkpoint).requires_grad_(False)
    tokens, lengths = batch(RNA, RNA * 2)
    embedded = network.nuc_emb(tokens).requires_grad_(True)
    hidden = network.hidden(embedded, lengths)
    with torch.no_grad():
        torch.testing.assert_close(hidden, network(tokens, lengths))
    score = network.start_logits(hidden[0, 1])
    (gradient,) = torch.autograd.grad(score, embedded)
    assert (gradient[0, :22].abs().sum(dim=1) > 0).all()
    assert gradient[0, 22:].abs().max() == 0  # padding
    assert gradient[1].abs().max() == 0  # another RNA
    # against a difference
    step = torch.zeros_like(embedded)
    step[0, 2, 7] = 1e-2
    with torch.no_grad():
        up = network.start_logits(network.hidden(embedded + step, lengths)[0, 1])
        down = network.start_logits(network.hidden(embedded - step, lengths)[0, 1])
    torch.testing.assert_close(gradient[0, 2, 7], (up - down) / 2e-2, rtol=0.05, atol=1e-3)


# --- what is trained ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "n_trained"),
    [
        ("none", 0),
        ("last", 2 * 43872),
        ("adapters", 8 * 4 * (4 * (48 + 128) + 2 * (48 + 192))),
        ("all", 356258),
    ],
)
def test_which_parameters_get_gradients(how: str, n_trained: int) -> None:
    # a layer: q, k, v; out; feed-forward network; two norms
    per_layer = 3 * (48 * 128 + 128) + 128 * 48 + 48 + 2 * 48 * 192 + 192 + 48 + 4 * 48
    assert per_layer == 43872
    network = load_tis()
    tokens, lengths = batch(RNA)
    with torch.no_grad():
        before = network(tokens, lengths)
    trained = trainable(network, how)
    assert sum(parameter.numel() for parameter in trained) == n_trained
    hidden = network(tokens, lengths)
    torch.testing.assert_close(hidden.detach(), before, atol=0, rtol=0)
    if how == "none":
        assert not hidden.requires_grad
        return
    (network.start_logits(hidden).sum() + hidden[0, 1:-1].square().mean()).backward()
    got = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    names = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert got == names
    if how == "last":
        assert {name.split(".")[1] for name in names} == {"6", "7"}
    if how == "adapters":
        assert {name.rsplit(".", 1)[1] for name in names} == {"down", "up"}
        assert isinstance(network.layers[0].to_out, Adapted)
        assert network.layers[3].w2.up.grad.abs().max() > 0
    if how == "all":
        assert "nuc_emb.weight" in names
    assert not any("projection_matrix" in name for name in names)


def test_an_adapter_adds_its_product() -> None:
    network = load_tis()
    plain = network.layers[2].w1
    trainable(network, "adapters", seed=3)
    adapted = network.layers[2].w1
    assert adapted.weight is plain.weight
    torch.nn.init.constant_(adapted.up, 0.5)
    values = torch.randn(2, 48)
    expected = plain(values) + 0.5 * (values @ adapted.down.T).sum(dim=1, keepdim=True)
    torch.testing.assert_close(adapted(values), expected)
    # called again: the same adapters, frozen or trained
    trainable(network, "none")
    assert not adapted.up.requires_grad
    trainable(network, "adapters")
    assert network.layers[2].w1 is adapted
    assert adapted.up.requires_grad
    again = load_tis()
    trainable(again, "adapters", seed=3)
    assert torch.equal(again.layers[2].w1.down, adapted.down)
    again.load_state_dict(network.state_dict())
    assert again.layers[2].w1.up.min() == 0.5
    other = load_tis()
    trainable(other, "adapters", seed=4)
    assert not torch.equal(other.layers[2].w1.down, adapted.down)


def test_an_unknown_way_to_train_is_refused() -> None:
    with pytest.raises(ConfigError, match="'trainable' is 'half', expected one of none, last"):
        trainable(TisTransformer(), "half")
