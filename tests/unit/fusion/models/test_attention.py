"""Attention fusion: masks, missing tokens, batch independence, and settings that do not fit."""

from __future__ import annotations

import pytest
import torch

from fusion.model_config import READOUTS, AttentionConfig
from fusion.models.attention import TokenFusion
from mirnagraph.errors import ConfigError
from mirnagraph.seeds import torch_scope

DIMS = {"a": 3, "b": 5, "c": 1}


def make(readout: str, n_layers: int = 1) -> TokenFusion:
    with torch_scope(0, "test"):
        return TokenFusion(
            DIMS, 4, AttentionConfig(dim=8, n_heads=2, n_layers=n_layers, readout=readout)
        ).eval()


def batch(n: int = 6) -> tuple[list[torch.Tensor], torch.Tensor]:
    source = torch.Generator().manual_seed(1)
    tokens = [torch.randn(n, width, generator=source) for width in DIMS.values()]
    present = torch.rand(n, len(DIMS), generator=source) > 0.4
    present[0], present[1] = False, True
    return tokens, present


@pytest.mark.parametrize("readout", READOUTS)
def test_attention_weights_sum_to_one_over_present_tokens_and_are_zero_for_absent_ones(
    readout: str,
) -> None:
    tokens, present = batch()
    _, _, weights = make(readout).encode(tokens, present)
    assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-6)
    hidden = torch.cat([~present, present.any(1, keepdim=True)], dim=1)
    assert weights.transpose(1, 2)[hidden].abs().max() == 0
    # the RNA without any token reads the learned "nothing known" token alone
    assert torch.allclose(weights[0, :, -1], torch.ones(()))


@pytest.mark.parametrize("readout", READOUTS)
def test_values_of_absent_tokens_change_nothing(readout: str) -> None:
    model, (tokens, present) = make(readout, n_layers=2), batch()
    before = model(tokens, present)
    changed = [
        torch.where(present[:, row : row + 1], values, values + 100.0)
        for row, values in enumerate(tokens)
    ]
    assert torch.equal(before, model(changed, present))


@pytest.mark.parametrize("readout", READOUTS)
def test_values_of_present_tokens_matter(readout: str) -> None:
    model, (tokens, present) = make(readout), batch()
    changed = [values + 1.0 for values in tokens]
    differs = (model(tokens, present) - model(changed, present)).abs().amax(dim=1) > 1e-4
    assert torch.equal(differs, present.any(dim=1))


@pytest.mark.parametrize("readout", READOUTS)
def test_a_prediction_does_not_depend_on_its_batch(readout: str) -> None:
    model, (tokens, present) = make(readout), batch()
    together = model(tokens, present)
    for row in range(len(present)):
        alone = model([values[row : row + 1] for values in tokens], present[row : row + 1])
        assert torch.allclose(together[row], alone[0], atol=1e-5)
    order = torch.tensor([5, 3, 1, 0, 2, 4])
    assert torch.allclose(
        together[order], model([values[order] for values in tokens], present[order]), atol=1e-5
    )


@pytest.mark.parametrize("readout", READOUTS)
def test_an_rna_without_tokens_gets_a_finite_prediction(readout: str) -> None:
    tokens, present = batch()
    logits = make(readout)(tokens, torch.zeros_like(present))
    assert torch.isfinite(logits).all()
    assert torch.equal(logits, logits[:1].expand_as(logits))


def test_hiding_tokens_in_training_leaves_evaluation_alone() -> None:
    tokens, present = batch()
    with torch_scope(0, "test"):
        model = TokenFusion(
            DIMS, 4, AttentionConfig(dim=8, n_heads=2, dropout=0.0, token_dropout=0.9)
        )
    quiet = model.eval()(tokens, present)
    assert torch.equal(quiet, model(tokens, present))
    with torch_scope(1, "dropout"):
        noisy = model.train()(tokens, present)
    assert not torch.equal(quiet, noisy)


def test_scaling_uses_only_rows_that_have_the_token() -> None:
    model, (tokens, present) = make("mean"), batch(40)
    model.set_scaling(tokens, present)
    known = tokens[1][present[:, 1]]
    assert torch.allclose(model.get_buffer("shift")[3:8], known.mean(0))
    assert torch.allclose(model.get_buffer("scale")[3:8], known.std(0))


def test_a_constant_column_is_not_divided_by_zero() -> None:
    model, (tokens, present) = make("mean"), batch()
    tokens[2] = torch.full_like(tokens[2], 7.0)
    model.set_scaling(tokens, torch.ones_like(present))
    assert torch.isfinite(model(tokens, present)).all()


def test_large_scores_stay_finite() -> None:
    model, (tokens, present) = make("queries"), batch()
    assert torch.isfinite(model([values * 1e6 for values in tokens], present)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"dim": 10, "n_heads": 4},
        {"dropout": 1.0},
        {"token_dropout": -0.1},
        {"readout": "sum"},
        {"n_layers": -1},
    ],
)
def test_settings_that_cannot_work_are_refused_when_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(reversed(wrong))):
        AttentionConfig(**wrong)  # type: ignore[arg-type]


def test_a_model_without_tokens_is_refused() -> None:
    with pytest.raises(ConfigError, match="tokens"):
        TokenFusion({}, 2, AttentionConfig())


def test_what_the_trees_say_is_never_hidden_in_training() -> None:
    source = torch.Generator().manual_seed(2)
    values = [torch.randn(40, 2, generator=source), torch.randn(40, 2, generator=source)]
    with torch_scope(0, "test"):
        model = TokenFusion(
            {"trees": 2, "b": 2},
            3,
            AttentionConfig(dim=8, n_heads=2, n_layers=1, dropout=0.0, token_dropout=0.9),
        ).train()
        _, _, weights = model.encode(values, torch.ones(40, 2, dtype=torch.bool))
    assert (weights[:, :, 0] > 0).all()
    assert (weights[:, :, 1] == 0).any()


def test_a_block_with_norm_first_keeps_masks_and_differs_from_norm_last() -> None:
    tokens, present = batch()
    found = []
    for norm_first in (False, True):
        with torch_scope(0, "test"):
            model = TokenFusion(
                DIMS, 4, AttentionConfig(dim=8, n_heads=2, n_layers=2, norm_first=norm_first)
            ).eval()
        before = model(tokens, present)
        changed = [
            torch.where(present[:, row : row + 1], values, values + 50.0)
            for row, values in enumerate(tokens)
        ]
        assert torch.allclose(model(changed, present), before, atol=1e-5)
        found.append(before)
    assert not torch.allclose(*found)


@pytest.mark.parametrize("readout", ["queries", "light_queries"])
def test_reading_by_queries_starts_from_the_given_probabilities(readout: str) -> None:
    model = make(readout)
    model.start_from(torch.tensor([0.2, 0.5, 0.9, 0.0]))
    assert torch.allclose(
        torch.sigmoid(model.label_bias), torch.tensor([0.2, 0.5, 0.9, 0.01]), atol=1e-6
    )
