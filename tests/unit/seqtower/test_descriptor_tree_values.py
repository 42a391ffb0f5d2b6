"""Trees on descriptors by hand: settings, blends, chosen weights, members, trees of a type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS, MULTI_LABEL
from mirnagraph.seeds import child_seed
from mirnagraph.trees import fit_boosting, fit_extra_trees
from seqtower.baselines.descriptor_trees import (
    FRACTION_TREES,
    TREES,
    DescriptorConfig,
    DescriptorTrees,
    blend,
    choose_weight,
    feature_names,
    fit_descriptor_trees,
    fit_typed_trees,
)

FEW = replace(TREES, n_trees=5, rounds=5)
SMALL = DescriptorConfig(
    trees=FEW, fraction_trees=replace(FRACTION_TREES, n_trees=5, rounds=5), members=1
)


def test_settings_of_the_trees() -> None:
    assert (TREES.n_trees, TREES.min_samples_leaf) == (200, 5)
    assert (TREES.rounds, TREES.learning_rate, TREES.leaves) == (80, 0.05, 6)
    assert (TREES.boosting_leaf, TREES.boosting_features, TREES.boosting_width) == (10, 0.3, 150)
    assert (FRACTION_TREES.n_trees, FRACTION_TREES.min_samples_leaf) == (200, 3)
    assert (FRACTION_TREES.rounds, FRACTION_TREES.learning_rate) == (150, 0.05)
    assert (FRACTION_TREES.leaves, FRACTION_TREES.boosting_leaf) == (8, 20)
    config = DescriptorConfig()
    assert (config.weight, config.weights, config.window, config.members) == (0, (), 100, 2)


def test_bounds_of_the_settings() -> None:
    assert not DescriptorConfig(weight=0).is_used
    assert DescriptorConfig(weight=1).is_used
    assert DescriptorConfig(weights=(0.0,)).is_used
    assert DescriptorConfig(trees=replace(TREES, n_trees=1, rounds=1), members=1).members == 1
    for wrong in ({"weight": -0.1}, {"weights": (0.5, 1.1)}, {"members": 0}):
        with pytest.raises(ConfigError, match=r"weight|members"):
            DescriptorConfig(**wrong)
    with pytest.raises(ConfigError, match="fraction_trees"):
        DescriptorConfig(fraction_trees=replace(FRACTION_TREES, rounds=0))
    with pytest.raises(ConfigError, match="n_trees"):
        replace(FRACTION_TREES, n_trees=0)


def test_a_quarter_of_one_and_the_rest_of_another() -> None:
    one = np.array([[0.9, 0.1], [0.5, 0.5]])
    other = np.array([[0.5, 0.5], [0.2, 0.8]])
    # odds 9^(1/4) = sqrt(3), and (1/4)^(3/4) = 1 / sqrt(8)
    first, second = np.sqrt(3) / (1 + np.sqrt(3)), 1 / (1 + np.sqrt(8))
    expected = [[first, 1 - first], [second, 1 - second]]
    np.testing.assert_allclose(blend(0.25, one, other, MULTI_LABEL), expected)
    np.testing.assert_allclose(blend(0.25, one, other, CLASS), expected)
    np.testing.assert_allclose(blend(0.25, one, other, FRACTIONS), [[0.6, 0.4], [0.275, 0.725]])


def test_shares_that_do_not_sum_to_one_are_made_to() -> None:
    # .25 x .2 + .75 x .4 = .35 of both
    np.testing.assert_allclose(
        blend(0.25, np.array([[0.2, 0.2]]), np.array([[0.4, 0.4]]), FRACTIONS), [[0.5, 0.5]]
    )


def test_certain_predictions_stay_a_ten_thousandth_away() -> None:
    ends = np.array([[0.0, 1.0]])
    np.testing.assert_allclose(blend(1.0, ends, ends, MULTI_LABEL), [[1e-4, 1 - 1e-4]], rtol=1e-10)
    np.testing.assert_allclose(blend(1.0, ends, ends, FRACTIONS), [[1e-4, 1 - 1e-4]], rtol=1e-10)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0.9, 0.1, 0.5), (0.6, 0.1, 1.0), (0.9, 0.4, 0.0)]
)
def test_the_share_of_least_squared_error(first: float, second: float, expected: float) -> None:
    # the truth is a half: .9 and .1 meet there at one half each; .6 and .4 are nearer alone
    config = DescriptorConfig(weights=(0.0, 0.5, 1.0))
    truth = np.array([[0.5, 0.5], [np.nan, np.nan]])
    trees = np.array([[first, 1 - first], [0.1, 0.9]])
    tower = np.array([[second, 1 - second], [0.9, 0.1]])
    assert choose_weight(config, trees, tower, truth, FRACTIONS) == expected


def test_squared_error_is_of_the_truth_less_the_answer() -> None:
    # .9 is .15 away from .75, .1 is .65 away, the mean of both .25
    config = DescriptorConfig(weights=(0.0, 0.5, 1.0))
    trees = np.array([[0.9, 0.1]])
    assert choose_weight(config, trees, 1 - trees, np.array([[0.75, 0.25]]), FRACTIONS) == 1
    assert choose_weight(config, trees, 1 - trees, np.array([[0.25, 0.75]]), FRACTIONS) == 0


def test_the_share_of_least_log_loss() -> None:
    config = DescriptorConfig(weights=(0.0, 0.5, 1.0))
    high = np.array([[0.9], [0.9]])
    low = np.array([[0.1], [0.1]])
    # one of two is annotated: ln 2 at one half each, -(ln .9 + ln .1) / 2 = 1.2 at either end
    assert choose_weight(config, high, low, np.array([[1.0], [0.0]]), MULTI_LABEL) == 0.5
    assert choose_weight(config, high, low, np.array([[1.0], [1.0]]), MULTI_LABEL) == 1
    assert choose_weight(config, high, low, np.array([[0.0], [0.0]]), MULTI_LABEL) == 0
    # all nine of ten annotated: log loss is least at .9, squared error of the mean is not asked
    often = np.r_[np.ones(9), 0][:, None]
    assert (
        choose_weight(config, np.full((10, 1), 0.9), np.full((10, 1), 0.99), often, MULTI_LABEL)
        == 1
    )
    assert (
        choose_weight(config, np.full((10, 1), 0.5), np.full((10, 1), 0.9), often, MULTI_LABEL) == 0
    )


def made(n: int, n_features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    features = rng.random((n, n_features)).astype(np.float32)
    labels = np.column_stack([features[:, 0] > 0.5, features[:, 1] > 0.4]).astype(float)
    return features, labels


@pytest.mark.parametrize("kind", [MULTI_LABEL, FRACTIONS])
def test_members_are_averaged(kind: str) -> None:
    features, labels = made(60)
    if kind == FRACTIONS:
        labels = 0.2 + 0.6 * labels
    config = replace(SMALL, members=2)
    fitted = fit_descriptor_trees(features, labels, kind, config, 7)
    settings = config.fraction_trees if kind == FRACTIONS else config.trees
    forests, boosted = [], []
    for member in range(2):
        own = child_seed(7, "member", member)
        forest = fit_extra_trees(features, labels, settings, child_seed(own, "forest"))
        seed = child_seed(own, "boosting")
        boosting = fit_boosting(
            features, labels, settings, seed, forest.importance, fractions=kind == FRACTIONS
        )
        forests.append(forest.trees(features))
        boosted.append(boosting(features))
    forest, boosting = np.mean(forests, axis=0), np.mean(boosted, axis=0)
    np.testing.assert_allclose(fitted.forest(features), forest, rtol=1e-6)
    np.testing.assert_allclose(fitted.boosted(features), boosting, rtol=1e-5, atol=1e-6)
    if kind == MULTI_LABEL:
        # the mean of both logits
        expected = expit((logit(np.clip(forest, 1e-4, 1 - 1e-4)) + boosting) / 2)
    else:
        mean = (np.clip(forest, 1e-4, 1 - 1e-4) + np.clip(boosting, 1e-4, 1 - 1e-4)) / 2
        expected = mean / mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict(features), expected, rtol=1e-5)


def typed(n_first: int, n_second: int) -> tuple[np.ndarray, np.ndarray]:
    features, labels = made(n_first + n_second)
    is_first = np.arange(len(features)) < n_first
    return np.column_stack([features, is_first, ~is_first]).astype(np.float32), labels


def test_a_type_of_fifty_rnas_has_trees_of_its_own() -> None:
    features, labels = typed(50, 49)
    fitted = fit_typed_trees(features, labels, MULTI_LABEL, SMALL, 3, 2)
    assert list(fitted.typed) == [0]
    assert fitted.n_types == 2
    trees, columns = fitted.typed[0]
    assert columns.tolist() == [0, 1]
    alone = fit_descriptor_trees(
        features[:50], labels[:50], MULTI_LABEL, SMALL, child_seed(3, "own type", 0)
    )
    shared = fit_descriptor_trees(features, labels, MULTI_LABEL, SMALL, 3)
    np.testing.assert_array_equal(trees.predict(features), alone.predict(features))
    predicted = fitted.predict(features)
    np.testing.assert_array_equal(predicted[50:], shared.predict(features)[50:])
    # the mean of both logits for RNAs of the type
    expected = expit(
        (logit(alone.predict(features[:50])) + logit(shared.predict(features)[:50])) / 2
    )
    np.testing.assert_allclose(predicted[:50], expected, rtol=1e-10)


def test_compartments_of_one_class_are_left_to_the_shared_trees() -> None:
    features, labels = typed(50, 50)
    labels[:50, 0] = 1
    labels[:50, 1][:3] = np.nan
    fitted = fit_typed_trees(features, labels, MULTI_LABEL, SMALL, 3, 2)
    assert [columns.tolist() for _, columns in fitted.typed.values()] == [[1], [0, 1]]


def test_one_type_and_other_kinds_share_all_trees() -> None:
    features, labels = typed(50, 50)
    assert not fit_typed_trees(features[:, :-1], labels, MULTI_LABEL, SMALL, 3, 1).typed
    fractions = fit_typed_trees(features, 0.2 + 0.3 * labels, FRACTIONS, SMALL, 3, 2)
    assert (dict(fractions.typed), fractions.n_types) == ({}, 0)


def test_trees_of_types_come_back_from_their_arrays() -> None:
    types = ("lncRNA", "mRNA")
    features, labels = typed(50, 50)
    fitted = fit_typed_trees(features, labels, MULTI_LABEL, SMALL, 3, 2)
    arrays = fitted.to_arrays()
    again = DescriptorTrees.from_arrays(arrays, MULTI_LABEL, 2, types)
    assert list(again.typed) == [0, 1]
    np.testing.assert_array_equal(again.predict(features), fitted.predict(features))
    name = next(
        name for name in arrays if name.startswith("descriptors.own.1.") and "columns" in name
    )
    without = {key: array for key, array in arrays.items() if key != name}
    wrong = [
        without,
        *(arrays | {name: np.array(columns)} for columns in ([0, 0], [0, 2], [[0, 1]], [])),
    ]
    for tables in wrong:
        with pytest.raises(CheckpointError, match="without valid columns"):
            DescriptorTrees.from_arrays(tables, MULTI_LABEL, 2, types)


def test_trees_that_read_one_column_too_many_are_refused() -> None:
    features, labels = made(60)
    width = len(feature_names())
    for n_columns in (width, width + 1):
        wide = np.zeros((60, n_columns), dtype=np.float32)
        wide[:, -2:] = features[:, :2]
        arrays = fit_descriptor_trees(wide, labels, MULTI_LABEL, SMALL, 0).to_arrays()
        if n_columns == width:
            assert DescriptorTrees.from_arrays(arrays, MULTI_LABEL, 2).predict(wide).shape == (
                60,
                2,
            )
            continue
        with pytest.raises(CheckpointError, match="do not fit"):
            DescriptorTrees.from_arrays(arrays, MULTI_LABEL, 2)
