"""Trees as arrays: equal to scikit-learn's own predictions, safe against damaged files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier

from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreeArrays, TreesConfig, fit_boosting, fit_extra_trees, replay_in_bag

CONFIG = TreesConfig(
    n_trees=12, rounds=15, min_samples_leaf=2, max_features=0.5, boosting_features=0.5
)


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    features = random.normal(size=(120, 8)).astype(np.float32)
    labels = (features[:, :3] + 0.3 * random.normal(size=(120, 3)) > 0).astype(float)
    return features, labels


def test_extra_trees_equal_scikit_learn(table: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = table
    ours = fit_extra_trees(features[:80], labels[:80], CONFIG, seed=5)
    state = child_seed(5, "extra trees") % 2**32
    theirs = ExtraTreesRegressor(
        12, min_samples_leaf=2, max_features=0.5, bootstrap=True, oob_score=True, random_state=state
    ).fit(features[:80], labels[:80])
    np.testing.assert_allclose(ours.trees(features[80:]), theirs.predict(features[80:]), atol=1e-6)
    seen = theirs.oob_prediction_.any(axis=1)
    np.testing.assert_allclose(ours.out_of_bag[seen], theirs.oob_prediction_[seen], atol=1e-6)
    np.testing.assert_array_equal(ours.importance, theirs.feature_importances_)


def test_bootstrap_samples_are_those_of_scikit_learn_and_are_reproduced_from_the_seed(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = table
    state = child_seed(5, "extra trees") % 2**32
    forest = ExtraTreesRegressor(12, bootstrap=True, random_state=state).fit(
        features[:80], labels[:80]
    )
    in_bag = fit_extra_trees(features[:80], labels[:80], CONFIG, seed=5).in_bag
    assert in_bag.shape == (12, 80)
    for tree, sample in zip(in_bag, forest.estimators_samples_, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(tree), np.unique(sample))
    np.testing.assert_array_equal(replay_in_bag(80, CONFIG.n_trees, seed=5), in_bag)


def test_boosting_reads_only_the_most_important_features(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = table
    importance = np.array([0, 0.4, 0, 0, 0.6, 0, 0, 0])
    ours = fit_boosting(
        features, labels, replace(CONFIG, boosting_width=2), seed=0, importance=importance
    )
    assert set(ours.feature[ours.feature >= 0]) == {1, 4}
    moved = features.copy()
    moved[:, [0, 2, 3, 5, 6, 7]] += 10
    np.testing.assert_array_equal(ours(features), ours(moved))


def test_boosting_equals_scikit_learn_and_learns(table: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = table
    ours = fit_boosting(features[:80], labels[:80], CONFIG, seed=5)
    for column in range(3):
        theirs = HistGradientBoostingClassifier(
            max_iter=15,
            learning_rate=CONFIG.learning_rate,
            max_leaf_nodes=8,
            min_samples_leaf=10,
            l2_regularization=5.0,
            max_features=0.5,
            max_bins=32,
            early_stopping=False,
            random_state=child_seed(5, "boosting", column) % 2**32,
        ).fit(features[:80], labels[:80, column])
        np.testing.assert_allclose(
            ours(features[80:])[:, column], theirs.decision_function(features[80:]), atol=1e-5
        )
    right = (ours(features[80:]) > 0) == (labels[80:] > 0.5)
    always = max(labels[80:].mean(), 1 - labels[80:].mean())
    assert right.mean() > always + 0.1


def test_a_compartment_with_one_value_gets_its_frequency(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = table
    flat = labels.copy()
    flat[:, 1] = 0
    probability = 1 / (1 + np.exp(-fit_boosting(features, flat, CONFIG, seed=0)(features)[:, 1]))
    np.testing.assert_allclose(probability, 0.5 / 121)
    assert (fit_extra_trees(features, flat, CONFIG, seed=0).trees(features)[:, 1] == 0).all()
    nothing = fit_boosting(features, np.zeros_like(labels), CONFIG, seed=0)
    assert np.isfinite(nothing(features)).all()


def test_round_trip_and_same_seed_same_trees(table: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = table
    for fit in (lambda *given, seed: fit_extra_trees(*given, seed=seed).trees, fit_boosting):
        first, again, other = (fit(features, labels, CONFIG, seed=s) for s in (1, 1, 2))
        np.testing.assert_array_equal(first(features), again(features))
        assert not np.array_equal(first(features), other(features))
        back = TreeArrays.from_arrays(first.to_arrays("x"), "x")
        np.testing.assert_array_equal(first(features), back(features))


@pytest.mark.parametrize(
    ("name", "value"), [("left", 10**6), ("right", 0), ("roots", -3), ("roots", 10**6)]
)
def test_damaged_trees_are_refused_and_never_walked(
    table: tuple[np.ndarray, np.ndarray], name: str, value: int
) -> None:
    arrays = fit_extra_trees(*table, CONFIG, seed=0).trees.to_arrays("x")
    damaged = dict(arrays)
    damaged[f"x.{name}"] = arrays[f"x.{name}"].copy()
    damaged[f"x.{name}"][0] = value
    with pytest.raises(CheckpointError, match="damaged"):
        TreeArrays.from_arrays(damaged, "x")
    with pytest.raises(CheckpointError, match="lacks"):
        TreeArrays.from_arrays({k: v for k, v in arrays.items() if k != "x.value"}, "x")


def test_trees_that_read_beyond_the_features_are_never_walked(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = table
    trees = fit_extra_trees(features, labels, CONFIG, seed=0).trees
    with pytest.raises(
        CheckpointError, match="read more features than there are; found 8, expected at most 7"
    ):
        trees(features[:, :7])
    arrays = trees.to_arrays("x")
    for name, value in (
        ("feature", arrays["x.feature"].astype(float)),
        ("roots", arrays["x.roots"][:, None]),
        ("offset", np.zeros(2)),
    ):
        with pytest.raises(CheckpointError, match="damaged"):
            TreeArrays.from_arrays({**arrays, f"x.{name}": value}, "x")


def test_settings_out_of_range_are_refused() -> None:
    for wrong in (
        {"n_trees": -1},
        {"n_trees": 0},
        {"max_features": 0.0},
        {"boosting_features": 1.5},
        {"leaves": 1},
        {"learning_rate": 0.0},
    ):
        with pytest.raises(ConfigError):
            TreesConfig(**wrong)  # type: ignore[arg-type]
