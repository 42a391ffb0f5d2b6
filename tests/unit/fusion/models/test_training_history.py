"""Mean losses of members, as the report shows them, and predictions that are not finite."""

from __future__ import annotations

import json
from math import exp, nan

import pytest
import torch

from fusion.models.training import mean_history, probabilities_of
from mirnagraph.errors import ConfigError


def test_losses_are_means_over_the_members_that_are_still_trained() -> None:
    stopped_early = [(0, 1.0, 2.0), (1, 0.5, 1.0)]
    longer = [(0, 3.0, 4.0), (1, 1.5, 2.0), (2, 0.25, 0.75)]
    assert mean_history([stopped_early, longer]) == [[0, 2.0, 3.0], [1, 1.0, 1.5], [2, 0.25, 0.75]]


def test_a_loss_that_nobody_has_is_none_and_plain_json() -> None:
    found = mean_history([[(0, 1.0, nan), (1, 0.5, nan)]])
    assert found == [[0, 1.0, None], [1, 0.5, None]]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_members_without_validation_do_not_count_in_its_mean() -> None:
    assert mean_history([[(0, 1.0, nan)], [(0, 2.0, 0.5)]]) == [[0, 1.5, 0.5]]


def test_no_members_have_no_history() -> None:
    assert mean_history([]) == []


def test_a_training_that_diverged_is_one_sentence() -> None:
    logits = torch.tensor([[0.0, 2.0]])
    expected = [[0.5, 1 / (1 + exp(-2))]]
    assert probabilities_of(logits, "fusion").tolist() == [pytest.approx(row) for row in expected]
    with pytest.raises(ConfigError, match=r"diverged: .* not finite; lower fusion\.learning_rate"):
        probabilities_of(torch.tensor([[0.0, nan]]), "fusion")
