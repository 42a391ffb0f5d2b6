"""Correlation of profiles and the co-expression network, worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.measurements import Measurement
from mirnagraph.networks.build import (
    CoexpressionNetworkConfig,
    NetworkConfig,
    build_networks,
    coexpression_similarity,
    coexpression_source,
)
from mirnagraph.networks.network import NetworkSet
from mirnagraph.similarity.profile import correlation_similarity


def test_pearson_by_hand() -> None:
    rows = np.array([[1.0, 2, 3], [2.0, 2, 5], [3.0, 2, 1]])
    # centred: (-1, 0, 1) and (-1, -1, 2): 3 / (sqrt 2 * sqrt 6)
    similarity = correlation_similarity(rows, method="pearson")
    assert similarity[0, 1] == pytest.approx(3 / np.sqrt(12))
    assert similarity[0, 2] == 0  # -1 is clipped
    assert similarity.dtype == np.float32
    assert (similarity == similarity.T).all()
    assert np.diagonal(similarity).tolist() == [1, 1, 1]


def test_spearman_reads_ranks_with_ties() -> None:
    rows = np.random.default_rng(3).integers(0, 4, (4, 9)).astype(float)
    expected = np.clip(spearmanr(rows, axis=1).statistic, 0, 1)
    assert correlation_similarity(rows) == pytest.approx(expected, abs=1e-6)


def test_rows_without_variation_or_values_are_like_none() -> None:
    rows = np.array([[0.1, 0.1, 0.1], [1, 2, 3], [np.nan] * 3, [2, 4, 8]])
    similarity = correlation_similarity(rows, method="pearson")
    assert similarity[0].tolist() == [1, 0, 0, 0]
    assert similarity[2].tolist() == [0, 0, 1, 0]
    assert similarity[1, 3] > 0.9


def test_what_was_not_measured_adds_nothing() -> None:
    rows = np.array([[1.0, 3, np.nan], [2, 4, 3]])
    # (-1, 1, 0) and (-1, 1, 0): the third sample is at the mean of the second row
    assert correlation_similarity(rows, method="pearson")[0, 1] == pytest.approx(1)
    rows[1, 2] = 9  # centred (-3, -1, 4): 2 / (sqrt 2 * sqrt 26)
    expected = 2 / np.sqrt(52)
    assert correlation_similarity(rows, method="pearson")[0, 1] == pytest.approx(expected)


def measured(kinds: list[str], **about: object) -> Measurement:
    values = pd.DataFrame(
        [[0.0, 1, 3, 0], [0.0, 3, 15, 9], [7.0, 1, 0, 100]],
        index=["a", "b", "c"],
        columns=["s1", "s2", "s3", "s4"],
    )
    samples = pd.DataFrame({"kind": kinds}, index=values.columns)
    return Measurement(values, samples, **about)  # type: ignore[arg-type]


def small_dataset(**measurements: Measurement) -> Dataset:
    ids = pd.Index(["a", "b", "c", "d"], name="rna_id")
    rnas = pd.DataFrame({"sequence": ["ACGU", "ACGG", "CCCC", "AAAA"]}, index=ids)
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=ids, dtype=np.int8)
    return Dataset("small", rnas, {}, {}, labels, measurements=measurements)


ORDINARY_AND_FRACTION = ["", "", "", "isolated fraction"]


def test_coexpression_reads_logarithms_of_used_samples() -> None:
    dataset = small_dataset(expression=measured(ORDINARY_AND_FRACTION))
    config = CoexpressionNetworkConfig(method="pearson")
    similarity = coexpression_similarity(dataset, config)
    # log2(1 + x): a (0, 1, 2), b (0, 2, 4): correlation 1 whatever the fraction holds
    assert similarity[0, 1] == pytest.approx(1)
    assert similarity[0, 2] == 0
    assert similarity[3].tolist() == [0, 0, 0, 1]


def test_body_fluids_only_where_wanted() -> None:
    dataset = small_dataset(expression=measured(["", "", "", "body fluid"]))
    without = coexpression_similarity(dataset, CoexpressionNetworkConfig())
    config = CoexpressionNetworkConfig(body_fluids=True)
    with_fluids = coexpression_similarity(dataset, config)
    assert without[0, 1] == 1
    assert with_fluids[0, 1] < 1


def test_the_network_is_built_where_expression_was_measured(tmp_path: Path) -> None:
    dataset = small_dataset(
        vesicles=measured([""] * 4, is_label_like=True), expression=measured(ORDINARY_AND_FRACTION)
    )
    networks = build_networks(dataset, workers=1)
    assert list(networks.networks) == ["sequence", "coexpression"]
    matrix = networks["coexpression"].matrix
    assert matrix.nnz == 2
    assert matrix[0, 1] == 1
    assert coexpression_source(networks) == "expression"
    networks.save(tmp_path / "n")
    again = NetworkSet.load(tmp_path / "n")
    assert again["coexpression"].is_similarity
    assert np.array_equal(again.similarities["coexpression"], networks.similarities["coexpression"])


def test_settings_of_coexpression_are_checked() -> None:
    with pytest.raises(ConfigError, match="'method' is 'kendall', expected spearman or pearson"):
        CoexpressionNetworkConfig(method="kendall")
    with pytest.raises(ConfigError, match="'top_k' is 0"):
        CoexpressionNetworkConfig(top_k=0)
    dataset = small_dataset(expression=measured(ORDINARY_AND_FRACTION))
    config = NetworkConfig(coexpression=CoexpressionNetworkConfig(measurement="proteins"))
    with pytest.raises(ConfigError, match=r"'coexpression.measurement' is 'proteins', expected ex"):
        build_networks(dataset, config)
    few = small_dataset(expression=measured(["", "body fluid", "body fluid", "body fluid"]))
    with pytest.raises(ConfigError, match="'coexpression' cannot be built: measurement 'expressi"):
        build_networks(few, NetworkConfig(networks=("coexpression",)))
    left_out = build_networks(few, workers=1).left_out
    assert left_out["coexpression"] == "measurement 'expression' has 1 samples to be used"
    named = CoexpressionNetworkConfig(measurement="expression")
    with pytest.raises(ConfigError, match="'expression' has 1 that are no isolated fraction"):
        build_networks(few, NetworkConfig(coexpression=named))
    with pytest.raises(ConfigError, match="'coexpression' cannot be built: the dataset has no mea"):
        build_networks(small_dataset(), NetworkConfig(networks=("coexpression",)))
