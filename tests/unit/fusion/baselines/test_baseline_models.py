"""Baselines one by one: hand-worked predictions, one-class compartments, registered entries."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pandas as pd
import pytest

from fusion.baselines.models import (
    AUDIT_BASELINES,
    BASELINES,
    COLD_BASELINES,
    RUN_BASELINES,
    BaselineSettings,
    baseline_names,
    describe,
    logistic_regression,
    nearest,
    predict_fold,
)
from fusion.data.baseline_inputs import (
    BaselineInputs,
    baseline_inputs,
    flat_tokens,
    name_features,
    partner_counts,
)
from fusion.tokens.table import TokenTable
from mirnagraph import registry
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import build_networks
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.report import MEASURES, THIS_RUN, baseline_section, verdict

IDS = ("a-let-7", "a-let-7a-2", "a-mir-21", "a-mir-1000", "nothing")


def inputs_of(**given: object) -> BaselineInputs:
    index = NodeIndex.of(IDS, "miRNA")
    plain = {
        "counts": np.zeros((5, 0)),
        "kinds": (),
        "names": np.zeros((5, 0)),
        "tokens": TokenTable(index, ()),
        "logistic": (),
        "trees": (),
        "similarities": {},
    }
    return BaselineInputs(**{**plain, "groups": np.arange(5), **given})  # type: ignore[arg-type]


def test_names_give_the_first_number_and_the_common_prefixes() -> None:
    features = name_features(IDS)
    np.testing.assert_allclose(features[:, 0], np.log1p([7, 7, 21, 1000, 0]))
    np.testing.assert_array_equal(features[:, 1], [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(features[:, 2:], [[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]])
    assert name_features(["ENSG00000000001", "ENSG00000000002"]).shape == (2, 2)


def test_few_counts_read_the_named_kinds_alone() -> None:
    counts = np.column_stack([[0.0, 1, 2, 3, 9], [5.0, 5, 5, 5, 5], [3.0, 0, 2, 1, 9]])
    labels = np.array([[0.0], [0], [1], [1], [np.nan]])
    train, rows = np.arange(4), np.array([4])
    names = ["counts:disease", "counts:drug", "counts:disease+mRNA"]
    found = predict_fold(
        inputs_of(counts=counts, kinds=("disease", "drug", "mRNA")),
        labels,
        train,
        rows,
        names,
        0,
        BaselineSettings(thresholds=False),
    )
    one, two = (
        logistic_regression(counts[:, columns], labels, train, rows, 1.0)
        for columns in ([0], [0, 2])
    )
    np.testing.assert_allclose(found["counts:disease"].probabilities, one)
    np.testing.assert_allclose(found["counts:disease+mRNA"].probabilities, two)
    np.testing.assert_allclose(
        found["counts:drug"].probabilities, [[0.5]]
    )  # a count that never varies says nothing


def test_frequency_is_the_share_among_training_rows_alone() -> None:
    labels = np.array([[1, 0], [1, 0], [0, 1], [np.nan, np.nan], [1, 1]])
    found = predict_fold(
        inputs_of(),
        labels,
        np.array([0, 1, 2, 4]),
        np.array([3]),
        ["frequency"],
        0,
        BaselineSettings(thresholds=False),
    )
    np.testing.assert_allclose(found["frequency"].probabilities, [[0.75, 0.5]])


def test_nearest_averages_over_the_similarities_in_which_there_is_a_neighbour() -> None:
    one, two = np.zeros((5, 5)), np.zeros((5, 5))
    one[3, :3] = [3, 1, 0]  # (3 x 1 + 1 x 0) / 4
    two[3, 2] = 0.5  # label of row 2
    labels = np.array([[1.0], [0.0], [1.0], [np.nan], [0.0]])
    train = np.array([0, 1, 2, 4])
    found = nearest(
        inputs_of(similarities={"one": one, "two": two, "none": np.zeros((5, 5))}),
        labels,
        train,
        np.array([3, 0]),
        0,
    )
    np.testing.assert_allclose(
        found[:, 0], [(0.75 + 1) / 2, 0.5]
    )  # row 0 has no neighbour at all: the training mean


def test_logistic_regression_falls_back_to_the_training_frequency() -> None:
    features = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    labels = np.array([[0, 1], [0, 1], [0, 1], [1, 1], [1, 1], [np.nan, np.nan]])
    found = logistic_regression(features, labels, np.arange(5), np.array([5, 0]), 1.0)
    assert found[0, 0] > 0.8
    assert found[1, 0] < 0.3
    np.testing.assert_array_equal(found[:, 1], 1.0)
    np.testing.assert_allclose(
        logistic_regression(np.ones((6, 1)), labels, np.arange(5), np.array([5]), 1.0)[0, 0], 0.4
    )
    # scale and origin of a feature change nothing: it is standardised on the training rows
    np.testing.assert_allclose(
        logistic_regression(1000 * features - 7, labels, np.arange(5), np.array([5, 0]), 1.0),
        found,
        atol=1e-6,
    )


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown baseline 'luck'; known: frequency"):
        predict_fold(
            inputs_of(),
            np.ones((5, 1)),
            np.arange(4),
            np.array([4]),
            ["luck"],
            0,
            BaselineSettings(),
        )


def test_every_builtin_baseline_is_registered_and_described() -> None:
    assert set(BASELINES.names()) == {*RUN_BASELINES, *COLD_BASELINES}
    for name in BASELINES.names():
        assert callable(BASELINES[name])
        assert len(describe(name)) > 20
    assert describe("frequency") == "label frequency of the training rows, the same for every RNA"
    assert describe("nobody") == "nobody"
    assert not set(AUDIT_BASELINES) & set(BASELINES.names())


class Outside:
    """GC content, as a class; further lines are not shown.

    No more.
    """

    reads_sequence_alone = True

    def fit_predict(
        self,
        _inputs: BaselineInputs,
        labels: np.ndarray,
        _train: np.ndarray,
        test: np.ndarray,
        _seed: int,
    ) -> np.ndarray:
        """One quarter for every RNA."""
        return np.full((len(test), labels.shape[1]), 0.25)


def outside_function(
    _inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Half of everything."""
    return np.full((len(test), labels.shape[1]), 0.5)


def install(monkeypatch: pytest.MonkeyPatch, **entries: str) -> None:
    """Install entry points of the group of the baselines."""
    module = __name__
    points = [
        EntryPoint(name, f"{module}:{value}", "mirnagraph.baselines")
        for name, value in entries.items()
    ]
    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: points if "base" in group else []
    )


def predict_one(name: str) -> np.ndarray:
    labels = np.array([[1, 0], [1, 0], [0, 1], [np.nan, np.nan], [1, 1]])
    train = np.array([0, 1, 2, 4])
    settings = BaselineSettings(thresholds=False)
    found = predict_fold(inputs_of(), labels, train, np.array([3]), [name], 0, settings)
    return found[name].probabilities


def test_baselines_of_other_packages_are_part_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, gc="Outside", half="outside_function")
    assert baseline_names() == (*RUN_BASELINES, "gc", "half")
    # with cold folds only those that say they read nothing but the sequence
    assert baseline_names(cold=True) == (*COLD_BASELINES, "gc")
    assert describe("gc") == "GC content, as a class; further lines are not shown"
    assert describe("half") == "half of everything"
    assert predict_one("gc").tolist() == [[0.25, 0.25]]
    assert predict_one("half").tolist() == [[0.5, 0.5]]


def test_what_an_outside_baseline_returns_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, flat="flat_vector", high="too_high", number="NUMBER")
    with pytest.raises(ConfigError, match=r"'flat' returned shape \(1,\); expected \(1, 2\)"):
        predict_one("flat")
    with pytest.raises(ConfigError, match=r"'high' returned values outside \[0, 1\]"):
        predict_one("high")
    with pytest.raises(ConfigError, match="'number' is neither a function nor a class"):
        predict_one("number")


def flat_vector(*_given: object) -> np.ndarray:
    return np.zeros(1)


def too_high(*_given: object) -> np.ndarray:
    return np.array([[0.5, 1.5]])


NUMBER = 3


def test_an_unknown_kind_of_counts_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown kind 'colour' in a baseline counts:"):
        predict_one("counts:colour")


def test_trees_alone_follow_the_contract_of_an_entry(small_dataset) -> None:
    inputs = baseline_inputs(build_networks(small_dataset), np.arange(len(small_dataset.index)))
    labels = small_dataset.labels.to_numpy(float)
    rows = np.arange(len(labels))
    names = ("extra_trees", "boosting", "trees")
    forest, boosted, both = (
        BASELINES[name](inputs, labels, rows[:40], rows[40:], 3) for name in names
    )
    assert forest.shape == (20, 3)
    np.testing.assert_array_equal(both, (forest + boosted) / 2)


def test_supporting_kinds_are_not_popularity(small_dataset) -> None:
    assert list(partner_counts(small_dataset).columns) == ["mRNA", "drug", "disease"]
    assert list(partner_counts(replace(small_dataset, supporting=("drug",))).columns) == [
        "mRNA",
        "disease",
    ]
    expected = (
        small_dataset.associations["drug"]["rna_id"]
        .value_counts()
        .reindex(small_dataset.rnas.index)
        .fillna(0)
    )
    np.testing.assert_array_equal(partner_counts(small_dataset)["drug"], expected)


def test_raw_rows_only_where_there_are_no_more_partners_than_rnas(small_dataset) -> None:
    networks = build_networks(small_dataset)
    logistic, trees = flat_tokens(networks)
    assert [name for name in trees if name.startswith("profile:")] == [
        "profile:mRNA",
        "profile:drug",
        "profile:disease",
    ]
    assert not [name for name in logistic if name.startswith(("profile:", "neighbours:"))]
    partners = dict(small_dataset.partners)
    partners["drug"] = pd.concat(
        [
            partners["drug"],
            pd.DataFrame(index=pd.Index([f"more{i}" for i in range(60)], dtype=object)),
        ]
    )
    assert (
        "profile:drug"
        not in flat_tokens(build_networks(replace(small_dataset, partners=partners)))[1]
    )


def test_a_dataset_without_any_association_has_baselines_too(small_dataset) -> None:
    bare = replace(small_dataset, associations={}, partners={})
    inputs = baseline_inputs(build_networks(bare), np.arange(len(bare.index)))
    rows = np.arange(len(bare.index))
    small = BaselineSettings(trees=replace(BaselineSettings().trees, n_trees=5, rounds=2))
    found = predict_fold(
        inputs, bare.labels.to_numpy(float), rows[:40], rows[40:], list(RUN_BASELINES), 0, small
    )
    assert all(
        np.isfinite(p.probabilities).all() and p.probabilities.shape == (20, 3)
        for p in found.values()
    )
    np.testing.assert_allclose(found["popularity"].probabilities, found["frequency"].probabilities)


def table_of(**figures: tuple[float, float, float]) -> pd.DataFrame:
    rows = [
        {
            "model": n,
            **dict.fromkeys(MEASURES, 0.5),
            "AUC": f[0],
            "AUPR": f[1],
            "within": f[2],
            "what": f"it is {n}",
        }
        for n, f in figures.items()
    ]
    return pd.DataFrame(rows).replace({"model": {"mine": THIS_RUN}})


def test_the_verdict_is_read_from_the_values() -> None:
    ahead = verdict(table_of(mine=(0.9, 0.8, 0.7), low=(0.6, 0.5, 0.5), near=(0.88, 0.7, 0.6)))
    assert ahead[0].startswith(
        "Nearest baseline in AUC: `near` (it is near), model vs baseline AUC 0.900 vs 0.880"
    )
    assert ahead[1:] == ["No baseline reaches the model in AUC, AUPR or within."]
    beaten = verdict(table_of(mine=(0.9, 0.8, 0.7), low=(0.6, 0.5, 0.75), near=(0.91, 0.7, 0.6)))
    assert beaten[1:] == [
        "The model does not outperform `low`: within 0.700 vs 0.750.",
        "The model does not outperform `near`: AUC 0.900 vs 0.910.",
    ]
    nothing = verdict(table_of(mine=(np.nan, 0.8, 0.7), low=(0.6, 0.5, 0.5)))
    assert nothing == [
        "No baseline can be compared with the model: AUC is undefined on these folds."
    ]
    assert "left out" in baseline_section(None)
    assert "| this run | 0.900 | 0.800 | 0.700 | 0.500 | 0.500 |" in baseline_section(
        table_of(mine=(0.9, 0.8, 0.7), low=(0.6, 0.5, 0.5))
    )
