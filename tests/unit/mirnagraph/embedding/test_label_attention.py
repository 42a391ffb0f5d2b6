"""Graph tower on labels: attention over similar RNAs and shares of partners, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnagraph.embedding.label_attention import (
    RNA,
    TARGET,
    LabelAttention,
    LabelCounts,
    LabelGraphTower,
    Surroundings,
    TransformerLabels,
)
from mirnagraph.errors import ConfigError

NAN = float("nan")
PROFILE = torch.tensor([[1.0, 0], [0, 0], [1, 0], [0, 1]])
"""Partners of four reference RNAs: RNAs 0 and 2 have the first, RNA 3 the second."""


def attention(*strength: float) -> LabelAttention:
    layer = LabelAttention(len(strength))
    with torch.no_grad():
        layer.strength.copy_(torch.tensor(strength))
    return layer


def read(
    labels: list[list[float]], edges: list[list[int]], feature: list[float], n: int = 1
) -> np.ndarray:
    """Output of two heads of strengths 1 and 2."""
    values = torch.tensor(labels)
    is_visible = ~values.isnan()
    states = torch.cat([values.nan_to_num(0.0), is_visible.float()], dim=1)
    edge_index = torch.tensor(edges, dtype=torch.int64).view(2, -1)
    layer = attention(1.0, 2.0)
    found: Tensor = layer((states, torch.zeros(n, 0)), edge_index, torch.tensor(feature))
    return found.detach().numpy()


def partner_tower(
    kind: str = "disease", labels: tuple[float, ...] = (1, 0, 1, 0)
) -> LabelGraphTower:
    """Two partners of four reference RNAs, one head of strength 1, base rate (2 + 0.5) / 5."""
    tower = LabelGraphTower((), {kind: 2}, 4, 1, 1)
    tower.set_reference(torch.tensor(labels)[:, None], {kind: PROFILE})
    for layer in tower.read.modules():
        if isinstance(layer, LabelAttention):
            layer.strength.data.fill_(1.0)
    return tower


def test_weights_are_powers_of_the_relative_similarity() -> None:
    # similarities 0.8 and 0.2: relative 1 and 1/4; squared 1 and 1/16
    found = read([[1, 0], [0, 1]], [[0, 1], [0, 0]], [0.0, float(np.log(0.25))])
    assert found.shape == (1, 2, 2)
    np.testing.assert_allclose(found[0], [[0.8, 0.2], [16 / 17, 1 / 17]], rtol=1e-6)


def test_a_label_that_is_not_visible_takes_no_part() -> None:
    feature = [0.0, float(np.log(0.25)), float(np.log(0.25))]
    labels = [[NAN, NAN], [1, NAN], [0, NAN]]
    found = read(labels, [[0, 1, 2], [0, 0, 0]], feature)
    # both visible neighbours have the same weight; no second label is visible
    np.testing.assert_allclose(found[0], [[0.5, 0], [0.5, 0]], rtol=1e-6)


def test_an_rna_without_neighbours_reads_0() -> None:
    found = read([[1.0], [1.0]], [[0, 1], [1, 1]], [0.0, 0.0], n=3)
    np.testing.assert_allclose(found[:, :, 0], [[0, 0], [1, 1], [0, 0]])
    assert not read([[1.0]], [[], []], [], n=2).any()


def test_counts_are_sums_over_edges() -> None:
    states = torch.tensor([[1.0, 1], [0, 1], [1, 1]])
    edges = torch.tensor([[0, 1, 2, 2], [0, 0, 0, 1]])
    found = LabelCounts()((states, torch.zeros(3, 0)), edges)
    assert found.tolist() == [[2, 3], [1, 1], [0, 0]]


@pytest.mark.parametrize("kind", ["disease", "target", "rna"])
def test_shares_of_partners_by_hand(kind: str) -> None:
    tower = partner_tower(kind)
    found = tower(Surroundings({}, {kind: torch.tensor([[1.0, 1], [0, 1], [0, 0]])}))
    # shares (2 + 1.5) / (2 + 3) and (0 + 1.5) / (1 + 3), base rate 0.5; weights 1/3 and 1/2
    of_first = np.log(0.7 / 0.5)
    of_second = np.log(0.375 / 0.5)
    expected = [0.4 * of_first + 0.6 * of_second, of_second, 0]
    assert found.shape == (3, 1, 1, 1)
    np.testing.assert_allclose(found.detach().ravel(), expected, rtol=1e-5)


def test_a_hidden_rna_is_in_no_share() -> None:
    rnas = Surroundings({}, {"disease": torch.tensor([[1.0, 1]])})
    found = partner_tower()(rnas, torch.tensor([0]))
    # the first partner keeps RNA 2: (1 + 1.5) / (1 + 3); equal weights 1/2
    expected = 0.5 * np.log(0.625 / 0.5) + 0.5 * np.log(0.375 / 0.5)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_label_that_may_not_be_read_is_in_no_share() -> None:
    rnas = Surroundings({}, {"disease": torch.tensor([[1.0, 0]])})
    masked = partner_tower(labels=(NAN, 0, 1, 0))
    # base rate (1 + 0.5) / (3 + 1)
    assert masked.get_buffer("base").tolist() == [0.375]
    expected = np.log((1 + 3 * 0.375) / 4 / 0.375)
    assert float(masked(rnas).detach()) == pytest.approx(expected, rel=1e-5)


def test_base_rates_stay_inside_0_and_1() -> None:
    tower = LabelGraphTower((), {}, 2, 3, 1)
    tower.set_reference(torch.tensor([[1.0, 0, NAN], [1, 0, NAN]]), {})
    np.testing.assert_allclose(tower.get_buffer("base"), [2.5 / 3, 0.5 / 3, 0.5])
    many = LabelGraphTower((), {}, 2000, 2, 1)
    assert many.get_buffer("base").tolist() == [0.5, 0.5], "before labels are known"
    many.set_reference(torch.tensor([[1.0, 0]]).expand(2000, 2), {})
    np.testing.assert_allclose(many.get_buffer("base"), [0.999, 0.001], rtol=1e-6)


def test_a_partner_weighs_by_the_label_that_most_of_its_rnas_show() -> None:
    # of the first partner's RNAs 0 and 2, two show the first label and one the second;
    # of the second partner's RNA 3, both
    labels = torch.tensor([[1.0, 1], [0, 0], [1, NAN], [0, 1]])
    tower = LabelGraphTower((), {"disease": 2}, 4, 2, 1)
    tower.set_reference(labels, {"disease": PROFILE})
    for layer in tower.read.modules():
        if isinstance(layer, LabelAttention):
            layer.strength.data.fill_(1.0)
    found = tower(Surroundings({}, {"disease": torch.tensor([[1.0, 1]])})).detach()
    # base rates (2 + .5) / 5 and (2 + .5) / 4; weights 1 / (1 + 2) and 1 / (1 + 1)
    shares = [(2 + 3 * 0.5) / 5, (1 + 3 * 0.625) / 4], [(0 + 1.5) / 4, (1 + 3 * 0.625) / 4]
    ratios = np.log(np.array(shares) / [0.5, 0.625])
    np.testing.assert_allclose(found.ravel(), 0.4 * ratios[0] + 0.6 * ratios[1], rtol=1e-5)


def test_its_own_label_does_not_reach_a_hidden_rna_but_another_does() -> None:
    def output(labels: list[float]) -> Tensor:
        tower = partner_tower()
        tower.get_buffer("labels").copy_(torch.tensor(labels)[:, None])
        rnas = Surroundings({}, {"disease": PROFILE[:1]})
        found: Tensor = tower(rnas, torch.tensor([0])).detach()
        return found

    unchanged = output([1, 0, 1, 0])
    assert torch.equal(output([0, 0, 1, 0]), unchanged)
    assert not torch.equal(output([1, 0, 0, 0]), unchanged)


def test_graph_has_a_type_for_each_source() -> None:
    tower = LabelGraphTower(("nearest:sequence",), {"disease": 2}, 4, 1, 1)
    labels = torch.tensor([[1.0], [0], [NAN], [0]])
    tower.set_reference(labels, {"disease": PROFILE})
    nearest = (torch.tensor([[3, 1], [0, 0]]), torch.tensor([[0.8, 0.2], [0.0, 0.0]]))
    rnas = Surroundings(
        {"nearest:sequence": nearest}, {"disease": torch.tensor([[0.0, 1], [1, 1]])}
    )
    data = tower.graph(rnas, torch.tensor([0]))
    assert set(data.node_types) == {RNA, TARGET, "disease"}
    assert set(data.edge_types) == {
        (RNA, "nearest:sequence", TARGET),
        (RNA, "in", "disease"),
        ("disease", "of", TARGET),
    }
    assert data[RNA].x.tolist() == [[1, 1], [0, 1], [0, 0], [0, 1]]
    assert data[TARGET].x.shape == (2, 0)
    assert data["disease"].x.shape == (2, 0)
    edges = data[RNA, "nearest:sequence", TARGET]
    assert edges.edge_index.tolist() == [[3, 1], [0, 0]]
    np.testing.assert_allclose(edges.edge_attr, [0, np.log(0.25)], rtol=1e-6)
    # RNA 0 is hidden and no label of RNA 2 is visible
    assert data[RNA, "in", "disease"].edge_index.tolist() == [[3], [1]]
    assert data["disease", "of", TARGET].edge_index.tolist() == [[1, 0, 1], [0, 1, 1]]


def test_sources_are_stacked_in_the_order_of_their_names() -> None:
    tower = LabelGraphTower(("a", "b"), {"disease": 2}, 4, 1, 2)
    assert tower.names == ("a", "b", "disease")
    tower.set_reference(torch.tensor([[1.0], [0], [1], [0]]), {"disease": PROFILE})
    one = torch.ones(1, 1)
    nearest = {"a": (torch.tensor([[1]]), one), "b": (torch.tensor([[2]]), one)}
    found = tower(Surroundings(nearest, {"disease": torch.zeros(1, 2)})).detach()
    assert found.shape == (1, 3, 2, 1)
    assert found[0, :, :, 0].tolist() == [[0, 0], [1, 1], [0, 0]]


def test_transformer_conv_can_take_the_place_of_label_attention() -> None:
    layer = TransformerLabels(2, 3)
    x = (torch.rand(4, 6), torch.zeros(2, 0))
    edges = torch.tensor([[0, 1, 3], [0, 0, 1]])
    feature = torch.tensor([0.0, -1.0, 0.0])
    read = layer(x, edges, feature)
    assert read.shape == (2, 2, 3)
    # one edge alone has attention 1: its message is value plus edge feature
    value = layer.conv.lin_value(x[0][3]) + layer.conv.lin_edge(feature[2:])
    torch.testing.assert_close(read[1].flatten(), value)
    tower = LabelGraphTower(("a",), {}, 4, 3, 2, "transformer")
    assert isinstance(tower.read.convs[RNA, "a", TARGET], TransformerLabels)
    with pytest.raises(ConfigError, match="label layer"):
        LabelGraphTower(("a",), {}, 4, 3, 2, "transformers")
