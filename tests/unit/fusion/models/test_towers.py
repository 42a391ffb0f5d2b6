"""Fusion of two towers: its inputs, tokens, masks and members, without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fusion.model_config import FusionConfig
from fusion.models.towers import PRESENCE, TwoTowerFusion, kind_of
from fusion.models.towers_training import _hide_families, model_inputs
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.errors import ConfigError
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import torch_scope
from seqtower.towers.base import Tower

NEAR = "nearest:sequence"
DISEASE = "profile:disease"
LETTERS = "letters"
CONFIG = FusionConfig(
    dim=4, n_heads=2, n_queries=2, hidden=4, n_members=2, bins=2, graph_heads=1,
    sequence_settings={"filters": 2, "kernel": 3}, epochs=2, n_batches=2,
)  # fmt: skip
LABELS = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]])
ROWS = np.arange(4)
VALUES: dict[str, list[list[float]]] = {
    "kmer": [[1, 2], [3, 4], [5, 7], [0, 0]],
    NEAR: [[1, 2, 0.5, 0.25], [0, 0, 0.5, 0], [0, 0, 0.25, 0], [0, 0, 0, 0]],
    DISEASE: [[1, 0], [1, 1], [0, 1], [0, 0]],
    LETTERS: [[1, 7, 0], [2, 2, 2], [10, 5, 0], [0, 0, 0]],
}
"""Tokens of four RNAs; the last has none."""


def table(**changes: Any) -> TokenTable:
    index = NodeIndex.of(["a", "b", "c", "d"], "RNA")
    values: Mapping[str, Any] = {**VALUES, **changes}
    return TokenTable(index, tuple(make_token(name, np.array(v)) for name, v in values.items()))


def model_of(tokens: TokenTable, config: FusionConfig = CONFIG) -> TwoTowerFusion:
    with torch_scope(0, "test"):
        model = TwoTowerFusion(tokens.sources, 2, config, len(tokens.index))
        model.fit_inputs(tokens, ROWS, LABELS)
    return model.eval()


def logits_of(model: TwoTowerFusion, tokens: TokenTable, hidden: Tensor | None = None) -> Tensor:
    logits: Tensor = model(model_inputs(model, None, tokens, ROWS), hidden)[0].detach()
    return logits


def test_sources_are_ordered_by_tower() -> None:
    model = model_of(table(degree=[[1], [2], [3], [4]]))
    assert model.sources == ["kmer", "degree", NEAR, DISEASE, LETTERS, PRESENCE]
    assert kind_of(NEAR) == "nearest"
    assert kind_of("profile:disease+profile:drug") == ""


def test_inputs_are_those_of_the_tokens_that_are_present() -> None:
    tokens = table()
    model = model_of(tokens)
    inputs = model_inputs(model, None, tokens, np.array([0, 3]))
    assert inputs.present.tolist() == [[True] * 5, [False] * 4 + [True]]
    rows, similarities = inputs.rnas.nearest[NEAR]
    assert rows.tolist() == [[1, 2], [0, 0]]
    assert similarities.tolist() == [[0.5, 0.25], [0, 0]]
    assert inputs.rnas.profiles["disease"].tolist() == [[1, 0], [0, 0]]
    assert inputs.letters is not None
    assert inputs.letters.tolist() == [[1, 7, 0], [0, 0, 0]]
    # kmers of a to c: bins from 1 to 3 and 3 to 5, from 2 to 4 and 4 to 7; a is at their start
    expected = [-0.5, -1 / 3, -2 / 3, -1 / 3]
    expected[0] = -2 / 3
    np.testing.assert_allclose(inputs.dense[0][0], expected, atol=1e-6)
    assert not inputs.dense[0][1].any()


def test_rows_of_inputs_are_inputs_of_rows() -> None:
    tokens = table()
    model = model_of(tokens)
    some = model_inputs(model, None, tokens, ROWS).rows(torch.tensor([2, 0]))
    expected = model_inputs(model, None, tokens, np.array([2, 0]))
    torch.testing.assert_close(model(some), model(expected))
    assert torch.equal(some.present, expected.present)


def test_logits_start_at_the_base_rates() -> None:
    masked = LABELS.copy()
    masked[:, 1] = np.nan
    masked[2, 0] = np.nan
    model = model_of(table())
    model.fit_inputs(table(), ROWS, masked)
    # one of three; unknown
    expected = [[np.log(0.5), 0]] * 2
    np.testing.assert_allclose(model.head.bias.detach()[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "share"),
    [([1, 1, 1, 1], 0.99), ([0, 0, 0, 0], 0.01), ([np.nan, np.nan, np.nan, 1], 0.99)],
)
def test_base_rates_of_logits_stay_inside_0_and_1(column: list[float], share: float) -> None:
    labels = np.array([column, LABELS[:, 1]]).T
    model = model_of(table())
    model.fit_inputs(table(), ROWS, labels)
    found = model.head.bias.detach()[:, 0]
    np.testing.assert_allclose(found[:, 0], np.log(share / (1 - share)), rtol=1e-5)


def test_absent_tokens_get_no_attention_and_an_rna_without_any_reads_its_presence() -> None:
    tokens = table()
    _, weights = model_of(tokens)(model_inputs(model_of(tokens), None, tokens, ROWS))
    assert weights.shape == (2, 4, 2, 2, 5)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 4, 2, 2))
    assert (weights[:, :3] > 0).all()
    assert (weights[:, 3, :, :, :4] == 0).all()


@pytest.mark.parametrize("pooling", ["attention", "mean"])
def test_what_an_absent_token_holds_is_not_read(pooling: str) -> None:
    config = replace(CONFIG, pooling=pooling)
    tokens = table()
    model = model_of(tokens, config)
    filled = []
    for token in tokens:
        values = np.where(token.present[:, None], token.values, 1.0)
        filled.append(make_token(token.name, values, token.present))
    expected = logits_of(model, tokens)
    assert expected.isfinite().all()
    found = logits_of(model, TokenTable(tokens.index, tuple(filled)))
    assert torch.equal(found, expected)


def test_mean_pooling_shares_the_weight_evenly() -> None:
    tokens = table()
    model = model_of(tokens, replace(CONFIG, pooling="mean"))
    _, weights = model(model_inputs(model, None, tokens, ROWS))
    assert weights.shape == (1, 4, 1, 1, 5)
    expected = [[0.2] * 5, [0, 0, 0, 0, 1]]
    np.testing.assert_allclose(weights[0, [0, 3], 0, 0], expected, rtol=1e-6)
    assert not hasattr(model, "pool")


def test_members_do_not_depend_on_each_other() -> None:
    tokens = table()
    model = model_of(tokens)
    before = logits_of(model, tokens)
    assert not torch.equal(before[0], before[1])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith(("sequence.", "graph.")):
                parameter[1] += 1.0
        # heads of the graph tower: the first is of the first member
        for layer in model.graph.read.modules():  # type: ignore[union-attr]
            if hasattr(layer, "strength"):
                layer.strength[1] += 1.0
    after = logits_of(model, tokens)
    assert torch.equal(after[0], before[0])
    assert not torch.equal(after[1], before[1])


class Recorder(Tower):
    """Keeps what a sequence tower is given."""

    output_dim = 4

    def read(self, inputs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        self.given = (inputs, mask)
        return torch.zeros(len(inputs), 4), torch.zeros(0)


def test_nucleotides_are_one_hot_with_a_channel_for_matures() -> None:
    tokens = table()
    model = model_of(tokens)
    recorder = Recorder()
    model.sequence = recorder
    logits_of(model, tokens)
    channels, mask = recorder.given
    # A; C of a mature; padding
    assert channels[0].tolist() == [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1], [0] * 6]
    # N of a mature; N
    assert channels[2, :2].tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 0]]
    # an RNA without letters has one position of padding
    expected = [[True, True, False], [True] * 3, [True, True, False], [True, False, False]]
    assert mask.tolist() == expected
    assert not channels[3].any()


def test_a_tower_that_attends_over_positions_stays_finite_without_letters() -> None:
    settings = {"filters": 2, "kernel": 3, "window": 2, "units": 2, "attention_units": 2}
    config = replace(CONFIG, sequence_tower="rnatracker", sequence_settings=settings)
    tokens = table()
    assert logits_of(model_of(tokens, config), tokens).isfinite().all()


def test_a_relation_says_how_similar_its_rnas_are() -> None:
    tokens = table()
    model = model_of(tokens)
    given: list[Tensor] = []
    first: nn.Module = model.read_nearest[0][0]  # type: ignore[index]
    first.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    logits_of(model, tokens)
    (labels_and_facts,) = given
    assert labels_and_facts.shape == (2, 4, 4)
    expected = [[np.log(0.751) / 3, 0.5], [np.log(0.501) / 3, 0.5]]
    np.testing.assert_allclose(labels_and_facts[0, :2, 2:].detach(), expected, rtol=1e-5)
    # b and c read the label of a alone
    np.testing.assert_allclose(labels_and_facts[:, 1:3, :2].detach(), [[[1, 0]] * 2] * 2, rtol=1e-5)


def test_its_own_label_does_not_reach_an_rna_but_its_neighbours_do() -> None:
    tokens = table()
    model = model_of(tokens)
    hidden = torch.from_numpy(ROWS)
    labels = model.graph.get_buffer("labels")  # type: ignore[union-attr]
    for row in range(3):
        before = logits_of(model, tokens, hidden[row : row + 1])
        labels[row] = 1 - labels[row]
        after = logits_of(model, tokens, hidden[row : row + 1])
        labels[row] = 1 - labels[row]
        assert torch.equal(after[:, row], before[:, row])
        reads_it = {0: [1, 2], 1: [0], 2: [0]}[row]
        assert (after[:, reads_it] != before[:, reads_it]).any()


def test_relatives_are_hidden_from_a_share_of_the_rnas() -> None:
    tokens = table(**{NEAR: [[1, 2, 0.5, 0.25], [0, 2, 0.5, 0.1], [0, 1, 0.25, 0.1], [0] * 4]})
    inputs = model_inputs(model_of(tokens), None, tokens, ROWS)
    family = torch.tensor([7, 7, 8, 9])
    assert _hide_families(inputs, torch.from_numpy(ROWS), family, 0.0) is inputs
    hidden = _hide_families(inputs, torch.from_numpy(ROWS), family, 1.0)
    similarities = hidden.rnas.nearest[NEAR][1]
    expected = [[0, 0.25], [0, 0.1], [0.25, 0.1], [0, 0]]
    np.testing.assert_allclose(similarities, expected)
    some = _hide_families(inputs.rows(torch.tensor([1])), torch.tensor([1]), family, 1.0)
    np.testing.assert_allclose(some.rnas.nearest[NEAR][1], [[0, 0.1]])


def test_a_relation_without_edges_and_tokens_without_rnas_are_finite() -> None:
    empty = {name: np.zeros((4, len(rows[0]))) for name, rows in VALUES.items()}
    tokens = table(**empty)
    model = model_of(tokens)
    logits = logits_of(model, tokens)
    assert logits.isfinite().all()
    assert model.encodings[0].n_components == 0
    _, weights = model(model_inputs(model, None, tokens, ROWS))
    assert (weights[..., -1] == 1).all()


def test_no_tower_at_all() -> None:
    tokens = table().select(["kmer"])
    model = model_of(tokens)
    assert model.graph is None
    assert model.sequence is None
    assert logits_of(model, tokens).shape == (2, 4, 2)


def test_an_unknown_sequence_tower_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="cnnn") as error:
        model_of(table(), replace(CONFIG, sequence_tower="cnnn"))
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="filter"):
        model_of(table(), replace(CONFIG, sequence_settings={"filter": 3}))


def test_a_negative_number_of_components_is_refused() -> None:
    with pytest.raises(ConfigError, match="kernel_dim"):
        FusionConfig(kernel_dim=-1)
