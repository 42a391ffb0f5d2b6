"""Mean of logits over the parts of a model, temperature and uncertainty, worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion.config import ExperimentConfig, TokenSettings
from fusion.models.ensemble import FusionModel, join, parts_left_out, safe_logit, trees_token
from fusion.models.training import masked_loss
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.nodes import NodeIndex

INDEX = NodeIndex.of(["a", "b"], "miRNA")


def test_logits_are_pulled_away_from_certainty() -> None:
    # log((p + 0.005) / (1.005 - p)): log(1.005 / 0.005) = 5.303305, log(0.905 / 0.105) = 2.153975
    found = safe_logit(np.array([0, 0.1, 0.5, 0.9, 1]))
    expected = [-5.303305, -2.153975, 0, 2.153975, 5.303305]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_parts_are_joined_as_a_weighted_mean_of_logits() -> None:
    parts = {"attention": np.array([[0.9, 1.0]]), "boosting": np.array([[0.2, 0.5]])}
    # weights 1 and 3 of 4, that of a part that is not there counts for nothing; logits 2.153975 and
    # -1.367832: 0.25 x 2.153975 - 0.75 x 1.367832 = -0.487380, 1 / (1 + e^0.487380) = 0.380511 0.25
    # x 5.303305 = 1.325826, 1 / (1 + e^-1.325826) = 0.790149
    found = join(parts, {"attention": 1.0, "boosting": 3.0, "extra_trees": 9.0})
    np.testing.assert_allclose(found, [[0.380511, 0.790149]], atol=1e-6)


def test_one_part_alone_stays_within_its_bounds() -> None:
    # one part of any weight: (p + 0.005) / 1.01
    found = join({"extra_trees": np.array([[0, 0.5, 1]])}, {"extra_trees": 0.2})
    np.testing.assert_allclose(found, [[0.004950, 0.5, 0.995050]], atol=1e-6)


def test_the_token_of_the_trees_holds_their_logits() -> None:
    token = trees_token(INDEX, np.array([[0, 0.9], [0.5, 0.5]]))["trees"]
    np.testing.assert_allclose(token.values, [[-5.303305, 2.153975], [0, 0]], atol=1e-6)
    assert token.present.tolist() == [True, True]


class Members:
    """Two members of attention that predict 0.2 and 0.4 for every RNA."""

    def probabilities(
        self, tokens: TokenTable, rows: np.ndarray, prior: np.ndarray | None
    ) -> np.ndarray:
        return np.stack([np.full((len(rows), 1), 0.2), np.full((len(rows), 1), 0.4)])


def constant(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Trees that give one number."""
    return lambda flat: np.full((len(flat), 1), value)


def fusion_model(temperature: float = 1.0, extra_trees: float = 0.6) -> FusionModel:
    """Members at 0.2 and 0.4, extra trees at 0.6, boosting at the logit of 0.8, 1.386294."""
    tokens = TokenTable(INDEX, (make_token("degree", np.array([[1.0], [2.0]])),))
    config = ExperimentConfig(TokenSettings(attention=("degree",), trees=("degree",)))
    trees = {"extra_trees": constant(extra_trees), "boosting": constant(1.386294)}
    weights = {"attention": 0.5, "extra_trees": 0.25, "boosting": 0.25}
    thresholds = np.array([0.5])
    return FusionModel(config, tokens, Members(), trees, weights, thresholds, temperature)


def test_extra_trees_give_probabilities_and_boosting_logits() -> None:
    parts = fusion_model().parts(np.array([1]))
    assert {name: float(part[0, 0]) for name, part in parts.items()} == pytest.approx(
        {"attention": 0.3, "extra_trees": 0.6, "boosting": 0.8}, abs=1e-6
    )
    # a sum over trees may pass 1 by rounding
    assert fusion_model(extra_trees=1.000001).parts(np.array([0]))["extra_trees"].tolist() == [[1]]
    assert fusion_model(extra_trees=-0.000001).parts(np.array([0]))["extra_trees"].tolist() == [[0]]


def test_predictions_are_divided_by_the_temperature() -> None:
    # logits of 0.3, 0.6 and 0.8: log(0.305 / 0.705) = -0.837886, log(0.605 / 0.405) = 0.401341,
    # log(0.805 / 0.205) = 1.367832; weighted -0.418943 + 0.100335 + 0.341958 = 0.023350;
    # probability 0.505837
    rows = np.array([0, 1])
    np.testing.assert_allclose(fusion_model().predict(rows), [[0.505837]] * 2, atol=1e-6)
    # 0.023350 / 0.05 = 0.467; 1 / (1 + e^-0.467) = 0.614674
    np.testing.assert_allclose(fusion_model(0.05).predict(rows), [[0.614674]] * 2, atol=2e-5)


def test_uncertainty_is_the_deviation_over_members_and_trees() -> None:
    # 0.2, 0.4, 0.6 and 0.8: mean 0.5, squares 0.09, 0.01, 0.01, 0.09, sqrt(0.2 / 4) = 0.223607
    np.testing.assert_allclose(fusion_model().uncertainty(np.array([0])), [[0.223607]], atol=1e-6)


def test_a_part_that_is_left_out_counts_for_nothing() -> None:
    weights = {"attention": 0.5, "extra_trees": 0.25, "boosting": 0.0}
    model = replace(fusion_model(), weights=weights)
    # logits of 0.3 and 0.6, weights 2 and 1 of 3: (-2 x 0.837886 + 0.401341) / 3 = -0.424810;
    # 1 / (1 + e^0.424810) = 0.395366
    np.testing.assert_allclose(model.predict(np.array([0])), [[0.395366]], atol=1e-6)
    # 0.2, 0.4 and 0.6: sqrt(0.08 / 3) = 0.163299
    np.testing.assert_allclose(model.uncertainty(np.array([0])), [[0.163299]], atol=1e-6)


def test_trees_are_left_out_together() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (200, 2)).astype(float)
    good = np.where(labels == 1, 0.8, 0.2)
    noise = rng.random((200, 2))
    parts = {"extra_trees": noise, "boosting": good * 0 + noise, "attention": good, "kernel": good}
    weights = {"attention": 1.0, "extra_trees": 0.5, "boosting": 0.5, "kernel": 1.0}
    assert parts_left_out(labels, parts, weights, 0.01) == ["extra_trees", "boosting"]
    assert parts_left_out(labels, {"kernel": noise}, weights, 0.01) == []
    parts = {"extra_trees": good, "boosting": good, "attention": noise, "kernel": noise}
    assert parts_left_out(labels, parts, weights, 0.01) == ["kernel"]
    parts = {"extra_trees": noise, "boosting": noise, "attention": good, "kernel": noise}
    found = parts_left_out(labels, parts, weights, 0.01)
    assert sorted(found) == ["boosting", "extra_trees", "kernel"]


def test_the_loss_is_a_mean_over_known_labels() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, -1.0]])
    target = torch.tensor([[1.0, float("nan")], [float("nan"), 0.25]])
    # log(1 + e^0) - 0 = 0.693147; log(1 + e^-1) + 0.25 = 0.563262; mean 0.628204
    assert float(masked_loss(logits, target)) == pytest.approx(0.628204, abs=1e-6)
    # all known: also log(1 + e^2) - 2 = 0.126928 and log(1 + e^1) = 1.313262; sum 2.696599, mean
    # 0.674150
    target = torch.tensor([[1.0, 1.0], [0.0, 0.25]])
    assert float(masked_loss(logits, target)) == pytest.approx(0.674150, abs=1e-6)
    unknown = torch.full((2, 2), float("nan"))
    assert float(masked_loss(logits, unknown)) == 0
