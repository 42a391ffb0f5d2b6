"""Tokens of expression: level, breadth, profile, presence, what a star stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusion.data.baseline_inputs import flat_tokens
from fusion.data.cold_start import mask_all_but_sequence
from fusion.data.reduced import reduced_networks
from fusion.tokens.builders import build_tokens
from fusion.tokens.expression import group_means, leading_components, level_columns
from fusion.tokens.kinds import expand_tokens, is_from_sequence, modality_of
from fusion.tokens.table import BuildSettings
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.measurements import Measurement
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet

SAMPLES = pd.DataFrame(
    {
        "study": ["A", "A", "B", "B"],
        "tissue": ["liver", "", "brain", "plasma"],
        "kind": ["", "", "isolated fraction", "body fluid"],
    },
    index=["s1", "s2", "s3", "s4"],
)


def measured(**about: object) -> Measurement:
    values = pd.DataFrame(
        [[0.0, 3, 1e6, 15], [1.0, 1023, 0, 0], [7.0, 7, 1e6, 127]],
        index=["a", "b", "c"],
        columns=SAMPLES.index,
    )
    arms = {"5p": values.iloc[1:2]}
    fields = {"samples": SAMPLES, "arms": arms, **about}
    return Measurement(values, **fields)  # type: ignore[arg-type]


@pytest.fixture
def networks() -> NetworkSet:
    ids = pd.Index(["a", "b", "c", "d"], name="rna_id")
    rnas = pd.DataFrame({"sequence": ["ACGU", "ACGG", "CCCC", "AAAA"]}, index=ids)
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=ids, dtype=np.int8)
    measurements = {
        "expression": measured(),
        "vesicles": measured(is_label_like=True, arms={}),
    }
    return build_networks(
        Dataset("small", rnas, {}, {}, labels, measurements=measurements), workers=1
    )


def test_level_columns_by_hand() -> None:
    values = np.array([[0.0, 1, 3, 15, 1023], [np.nan] * 5, [np.nan, 7, 7, 7, 7]])
    columns = level_columns(values, np.log2(1 + values))
    # log2(1 + x): 0, 1, 2, 4, 10
    assert columns[0, :2].tolist() == pytest.approx([17 / 5, 10])
    assert columns[0, 2:7].tolist() == pytest.approx([0.4, 1, 2, 4, 7.6])
    # above 0, 1, 10, 100, 1000
    assert columns[0, 7:].tolist() == pytest.approx([4 / 5, 3 / 5, 2 / 5, 1 / 5, 1 / 5])
    assert not columns[1].any()
    assert columns[2].tolist() == pytest.approx([3] * 7 + [1, 1, 0, 0, 0])


def test_shares_of_samples_above_each_threshold_by_hand() -> None:
    values = np.array([[1.5, np.nan], [150.0, 10.0]])
    columns = level_columns(values, np.log2(1 + values))
    # above 0, 1, 10, 100, 1000; of one measured sample, and of two
    assert columns[:, 7:].tolist() == [[1, 1, 0, 0, 0], [1, 1, 0.5, 0.5, 0]]


def test_level_token_reads_ordinary_samples_and_arms(networks: NetworkSet) -> None:
    token = build_tokens(networks, ["expression:expression"])["expression:expression"]
    assert token.present.tolist() == [True, True, True, False]
    assert token.width == 12 + 13
    # a: 0 and 3, so log2 0 and 2; the fraction with 1e6 is not read
    assert token.values[0, :2].tolist() == [1.0, 2.0]
    assert token.values[0, 7:12].tolist() == [0.5, 0.5, 0, 0, 0]
    # b, best mature and 5p: 1 and 10
    assert token.values[1, [0, 1, 12, 13, 24]].tolist() == pytest.approx([5.5, 10, 5.5, 10, 1])
    assert not token.values[0, 12:].any()
    assert not token.values[3].any()


def test_body_fluids_are_a_setting(networks: NetworkSet) -> None:
    settings = BuildSettings(body_fluids=True)
    token = build_tokens(networks, ["expression:expression"], settings).tokens[0]
    assert token.values[0, :2].tolist() == [2.0, 4.0]  # log2 of 1 + 0, 3 and 15


def test_group_means_by_hand() -> None:
    logs = pd.DataFrame([[1.0, 3, 5], [np.nan, 2, np.nan]], columns=["x", "y", "z"])
    groups = pd.Series(["liver", "", "brain"], index=["x", "y", "z"])
    assert group_means(logs, groups).tolist() == [[5, 1], [0, 0]]
    same = pd.Series(["liver"] * 3, index=["x", "y", "z"])
    assert group_means(logs, same).tolist() == [[3], [2]]
    assert group_means(logs, pd.Series([""] * 3)).shape == (2, 0)


def test_leading_component_is_centred_over_rnas() -> None:
    logs = pd.DataFrame([[10.0, 1, 5], [12.0, 1, 5], [14.0, 1, np.nan]])
    component = leading_components(logs, 1)
    assert np.abs(component).ravel().tolist() == pytest.approx([2, 0, 2])
    assert component[0, 0] == pytest.approx(-component[2, 0])


def test_profile_token_has_tissues_studies_and_components(networks: NetworkSet) -> None:
    name = "expression_profile:expression"
    token = build_tokens(networks, [name], BuildSettings(svd_dim=1))[name]
    assert token.present.tolist() == [True, True, True, False]
    # liver: s1; study A: s1 and s2; one component
    assert token.values[:3, :2].tolist() == [[0, 1], [1, 5.5], [3, 3]]
    assert token.width == 3
    assert token.values[:3, 2].sum() == pytest.approx(0, abs=1e-5)


def test_a_star_leaves_out_what_is_label_like(networks: NetworkSet) -> None:
    names = expand_tokens(
        networks,
        [
            "expression:*",
            "expression_profile:*",
            "neighbours:coexpression?",
            "expression:absent?",
            "expression:vesicles",
        ],
    )
    assert names == (
        "expression:expression",
        "expression_profile:expression",
        "neighbours:coexpression",
        "expression:vesicles",
    )
    joined = expand_tokens(networks, ["expression:*+expression_profile:*"])
    assert joined == ("expression:expression+expression_profile:expression",)
    bare = replace(networks, dataset=replace(networks.dataset, measurements={}), similarities={})
    assert expand_tokens(bare, ["expression:*", "kmer", "neighbours:coexpression?"]) == ("kmer",)


def test_unknown_measurements_and_unread_ones_are_named(networks: NetworkSet) -> None:
    message = "no measurement 'proteins'; available: expression, vesicles"
    with pytest.raises(ConfigError, match=message):
        build_tokens(networks, ["expression:proteins"])
    with pytest.raises(ConfigError, match="expected 'expression:' followed by a measurement"):
        build_tokens(networks, ["expression"])
    samples = SAMPLES.assign(kind="body fluid")
    fluids = {"expression": measured(samples=samples)}
    other = replace(networks, dataset=replace(networks.dataset, measurements=fluids))
    with pytest.raises(ConfigError, match="none of the 4 samples of 'expression' may be read"):
        build_tokens(other, ["expression:expression"])


def test_modality_and_new_rnas() -> None:
    for name in (
        "expression:expression",
        "expression_profile:x",
        "neighbours:coexpression",
        "svd_similarity:coexpression",
    ):
        assert modality_of(name) == "expression"
        assert not is_from_sequence(name)


def test_an_ablation_takes_the_measurement_with_its_network(networks: NetworkSet) -> None:
    reduced = reduced_networks(networks, "expression")
    assert list(reduced.dataset.measurements) == ["vesicles"]
    assert "coexpression" not in reduced.similarities
    assert "coexpression" not in reduced.networks
    other = reduced_networks(networks, "vesicles")
    assert list(other.dataset.measurements) == ["expression"]
    assert "coexpression" in other.similarities
    alone = reduced_networks(networks, "coexpression")
    assert "expression" in alone.dataset.measurements
    assert "coexpression" not in alone.similarities


def test_a_cold_start_masks_measurements(networks: NetworkSet) -> None:
    masked = mask_all_but_sequence(networks.dataset, np.array([0, 1]))
    assert masked.measurements["expression"].values.index.tolist() == ["c"]
    assert masked.measurements["expression"].arms["5p"].empty
    again = build_networks(masked, workers=1)
    token = build_tokens(again, ["expression:expression", "expression_profile:expression"])
    assert [part.present.tolist() for part in token] == [[False, False, True, False]] * 2
    assert not again["coexpression"].matrix.nnz


def test_baselines_read_the_same_expression(networks: NetworkSet) -> None:
    _, trees = flat_tokens(networks)
    assert {"expression:expression", "expression_profile:expression"} < set(trees)
    assert not any("vesicles" in name for name in trees)


def test_samples_token_holds_each_sample_that_is_read(networks: NetworkSet) -> None:
    name = "expression_samples:expression"
    token = build_tokens(networks, [name])[name]
    # log2(1 + x) of s1 and s2; no isolated fraction, no body fluid
    assert token.values.tolist() == [[0, 2], [1, 10], [3, 3], [0, 0]]
    assert token.present.tolist() == [True, True, True, False]
    fluids = build_tokens(networks, [name], BuildSettings(body_fluids=True))[name]
    assert fluids.values[0].tolist() == [0, 2, 4]
    assert modality_of(name) == "expression"


def test_a_sample_that_was_not_measured_is_0(networks: NetworkSet) -> None:
    values = pd.DataFrame(
        [[np.nan, 3, 1, 1], [7, np.nan, 1, 1]], index=["a", "b"], columns=SAMPLES.index
    )
    expression = Measurement(values, samples=SAMPLES, arms={})
    dataset = replace(networks.dataset, measurements={"expression": expression})
    token = build_tokens(replace(networks, dataset=dataset), ["expression_samples:expression"])
    assert token.tokens[0].values.tolist() == [[0, 2], [3, 0], [0, 0], [0, 0]]
