"""Variants of an ablation: removed data reach no token; differences and intervals by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.config import ExperimentConfig, TokenSettings, experiment_config
from fusion.data.prepare import prepare, resolve_tokens
from fusion.data.reduced import reduced_networks
from fusion.experiments.ablation import Variant, can_be_made, choose, variants_of
from fusion.experiments.ablation_report import (
    COLUMNS,
    draw_forest,
    interval,
    seed_differences,
    shown_rows,
    t_interval,
    verdict,
)
from fusion.model_config import AttentionConfig
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet, networks_sha256


def by_name(networks: NetworkSet, config: ExperimentConfig) -> dict[str, Variant]:
    return {variant.name: variant for variant in variants_of(networks, config)}


def config_of(variant: Variant) -> ExperimentConfig:
    assert variant.config is not None, variant.reason
    return variant.config


def test_variants_of_gtmaloc(networks: NetworkSet) -> None:
    found = by_name(networks, experiment_config("gtmaloc"))
    assert list(found) == [
        "full", "without-sequence", "without-functional", "without-mRNA", "without-drug",
        "without-disease", "without-graph-transformer",
        "without-attention", "trees-alone", "attention-alone", "heads-2", "heads-4", "heads-8",
    ]  # fmt: skip
    drug = found["without-drug"]
    assert config_of(drug).tokens.attention == (
        "node2vec:sequence",
        "graph_transformer:mRNA",
        "graph_transformer:disease",
    )
    assert drug.left_out == ("graph_transformer:drug",)
    assert drug.rebuilt == ()
    # the graph transformers read functional similarity, which is made of diseases
    disease = found["without-disease"]
    assert disease.left_out == ("graph_transformer:disease",)
    assert disease.rebuilt == ("graph_transformer:drug", "graph_transformer:mRNA")
    assert found["without-functional"].left_out == ()
    assert len(found["without-functional"].rebuilt) == 3
    plain = config_of(found["without-graph-transformer"])
    assert plain.tokens.attention == (
        "node2vec:sequence",
        "node2vec:drug",
        "node2vec:mRNA",
        "node2vec:disease",
    )
    extra_rnas = config_of(found["without-attention"]).attention
    assert (extra_rnas.n_layers, extra_rnas.readout) == (0, "concat")
    assert found["heads-4"].is_full
    assert config_of(found["heads-8"]).attention == replace(
        experiment_config("gtmaloc").attention, n_heads=8
    )
    assert found["trees-alone"].config is None
    assert "does not mix" in found["attention-alone"].reason


def test_variants_of_the_preset_trees(networks: NetworkSet) -> None:
    full = resolve_tokens(networks, experiment_config("trees"))
    found = by_name(networks, experiment_config("trees"))
    assert found["without-graph-transformer"].reason == "the model has no graph transformer"
    assert found["heads-2"].is_full
    assert config_of(found["trees-alone"]).tokens == replace(full.tokens, attention=())
    assert (
        not config_of(found["trees-alone"]).attention.residual
        or config_of(found["trees-alone"]).tokens.trees
    )
    alone = config_of(found["attention-alone"])
    assert alone.tokens.trees == ()
    assert "trees" not in alone.tokens.attention
    assert not alone.attention.residual
    disease = found["without-disease"]
    gone = {
        "svd:disease",
        "svd_similarity:functional",
        "svd_similarity:gip",
        "neighbours:functional",
        "neighbours:gip_disease",
    }
    assert gone <= set(disease.left_out)
    assert set(disease.rebuilt) == {"degree", "same_sequence"}
    assert not [
        t
        for t in (*config_of(disease).tokens.attention, *config_of(disease).tokens.trees)
        if "disease" in t or "functional" in t
    ]


@pytest.mark.parametrize("kind", ["mRNA", "drug", "disease"])
def test_nothing_of_what_is_taken_out_is_left_to_read(
    networks: NetworkSet, small_dataset: Dataset, kind: str
) -> None:
    """With other associations of that kind the reduced data are equal, so predictions are too."""
    random = np.random.default_rng(3)
    table = small_dataset.associations[kind]
    other_rnas = random.permutation(small_dataset.rnas.index.to_numpy())[: len(table)]
    changed = table.iloc[: len(other_rnas)].assign(rna_id=other_rnas[: len(table)])
    other = build_networks(
        replace(small_dataset, associations={**small_dataset.associations, kind: changed})
    )
    assert networks_sha256(other) != networks_sha256(networks)
    assert networks_sha256(reduced_networks(other, kind)) == networks_sha256(
        reduced_networks(networks, kind)
    )


def test_every_kept_token_can_be_made_and_every_gone_one_cannot(networks: NetworkSet) -> None:
    config = experiment_config("trees")
    for variant in variants_of(networks, config):
        if not variant.without:
            continue
        fewer, chosen = reduced_networks(networks, variant.without), config_of(variant)
        kept = dict.fromkeys(
            t
            for t in (*chosen.tokens.attention, *chosen.tokens.trees)
            if not t.startswith("node2vec") and t != "trees"
        )
        data = prepare(
            fewer, replace(chosen, tokens=replace(chosen.tokens, attention=(), trees=tuple(kept)))
        )
        assert len(data.tokens) + len(data.similarities) == len(kept)
        for token in variant.left_out:
            with pytest.raises(ConfigError):
                prepare(fewer, replace(chosen, tokens=TokenSettings(attention=(token,))))


def test_any_kinds_of_association_and_names_that_are_taken(small_dataset: Dataset) -> None:
    new = {"mRNA": "attention", "drug": "extra cell"}
    renamed = replace(
        small_dataset,
        associations={new[k]: t for k, t in small_dataset.associations.items() if k in new},
        partners={new[k]: t for k, t in small_dataset.partners.items() if k in new},
        supporting=("extra cell",),
    )
    networks = build_networks(renamed)
    config = ExperimentConfig(
        tokens=TokenSettings(attention=("svd:*", "evidence:*", "degree")),
        attention=AttentionConfig(dim=12, n_heads=2),
    )
    found = by_name(networks, config)
    assert found["without-network-attention"].left_out == (
        "svd:attention",
        "evidence:attention",
        "degree",
    )
    assert config_of(found["without-network-attention"]).tokens.attention == (
        "evidence:extra cell",
    )
    assert found["without-extra cell"].left_out == ("evidence:extra cell",)
    assert (
        found["without-extra cell"].rebuilt == ()
    )  # it is a supporting kind: no network of it, and no degree
    assert found["without-sequence"].reason == "no token reads it"
    assert "8 heads cannot share a width of 12" in found["heads-8"].reason
    assert config_of(found["without-attention"]).attention.readout == "concat"
    only = by_name(networks, replace(config, tokens=TokenSettings(attention=("svd:attention",))))
    assert only["without-network-attention"].reason == "no token is left without it"


def test_a_token_that_trees_alone_read_goes_with_what_they_say(networks: NetworkSet) -> None:
    config = ExperimentConfig(
        tokens=TokenSettings(attention=("trees", "kmer"), trees=("svd:drug",)),
        attention=AttentionConfig(dim=8, n_heads=2, residual=True),
    )
    kept = config_of(by_name(networks, config)["without-drug"])
    assert kept.tokens.attention == ("kmer",)
    assert kept.tokens.trees == ()
    assert not kept.attention.residual
    assert not can_be_made(reduced_networks(networks, "disease"), "neighbours:gip")
    assert can_be_made(reduced_networks(networks, "disease"), "neighbours:gip_drug")


def test_choosing_variants(networks: NetworkSet) -> None:
    variants = variants_of(networks, experiment_config("gtmaloc"))
    assert [v.name for v in choose(variants, ["heads-8", "without-drug"])] == [
        "full",
        "without-drug",
        "heads-8",
    ]
    assert choose(variants, []) == list(variants)
    with pytest.raises(ConfigError, match="did you mean 'without-disease'"):
        choose(variants, ["without-diseases"])


def figures(auc: float, within: float) -> pd.Series:
    return pd.Series(
        [auc, within], index=pd.MultiIndex.from_tuples([("average", "AUC"), ("average", "within")])
    )


def test_differences_over_seeds_by_hand() -> None:
    table = seed_differences(
        [figures(0.6, 0.5), figures(0.8, np.nan)], [figures(0.7, 0.6), figures(0.7, 0.6)]
    )
    auc = table.loc[("average", "AUC")]
    assert auc["mean"] == pytest.approx(0.7)
    assert auc["sd"] == pytest.approx(np.sqrt(0.02))
    assert auc["seed_difference"] == pytest.approx(0.0)
    assert auc["seed_high"] == pytest.approx(
        12.7062 * 0.1, rel=1e-4
    )  # t with 1 degree: 12.7062; sd .1414 / sqrt(2)
    within = table.loc[("average", "within")]
    assert within["n_seeds"] == 1
    assert within["seed_difference"] == pytest.approx(-0.1)
    assert np.isnan(within["seed_low"])


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(-1, 1))
def test_the_t_interval_moves_with_its_data_and_holds_the_mean(
    values: list[float], shift: float
) -> None:
    mean, low, high = t_interval(np.array(values))
    assert low - 1e-12 <= mean <= high + 1e-12
    np.testing.assert_allclose(
        t_interval(np.array(values) + shift), np.array([mean, low, high]) + shift, atol=1e-9
    )
    np.testing.assert_allclose(t_interval(-np.array(values)), [-mean, -high, -low], atol=1e-9)


def row(low: float, high: float, seed_low: float = np.nan, seed_high: float = np.nan) -> pd.Series:
    return pd.Series({
        "pooled_difference": (low + high) / 2, "pooled_low": low, "pooled_high": high,
        "seed_difference": (low + high) / 2, "seed_low": seed_low, "seed_high": seed_high,
    })  # fmt: skip


def test_words_say_no_more_than_the_intervals() -> None:
    assert verdict(row(-0.03, -0.01), "AUC").startswith(
        "lower than the full model: AUC -0.0200 [-0.0300, -0.0100]. One seed"
    )
    assert verdict(row(0.01, 0.03, 0.005, 0.02), "AUC").startswith("higher than the full model")
    assert verdict(row(0.01, 0.03, 0.005, 0.02), "AUC").endswith("above 0.")
    unsure = verdict(row(-0.01, 0.02, -0.1, 0.1), "AUPR")
    assert unsure.startswith("no significant difference to the full model: AUPR")
    assert "at most 0.0100 lower or 0.0200 higher" in unsure
    assert unsure.endswith("includes 0.")
    assert "undefined" in verdict(row(np.nan, np.nan), "AUC")
    assert interval(row(np.nan, np.nan), "pooled") == "-"


def test_what_does_not_apply_is_shown_with_its_reason_and_the_forest_leaves_it_out() -> None:
    lines = []
    for name, difference in (("full", np.nan), ("heads-2", -0.02)):
        for metric in ("AUC", "AUPR", "within"):
            pooled = difference if metric != "within" else np.nan
            lines.append(
                [
                    name,
                    "average",
                    metric,
                    0.8,
                    0.01,
                    3,
                    difference,
                    difference - 0.01,
                    difference + 0.01,
                    pooled,
                    pooled - 0.02,
                    pooled + 0.02,
                    0.1,
                    0.1,
                    "b",
                ]
            )
    table = pd.DataFrame(lines, columns=COLUMNS)
    config = experiment_config("gtmaloc")
    variants = [
        Variant("full", "", config),
        Variant("heads-2", "", config),
        Variant("trees-alone", "", reason="no trees"),
    ]
    shown = shown_rows(table, variants)
    assert shown[0] == ["full", "0.800 ± 0.010", "0.800 ± 0.010", "0.800 ± 0.010", "-", "-"]
    assert shown[1][4] == "-0.0200 [-0.0400, +0.0000]"
    assert shown[2][:2] == ["trees-alone", "not applicable"]
    assert "no trees" in shown[2]
    assert [label.get_text() for label in draw_forest(table).axes[0].get_yticklabels()] == [
        "heads-2"
    ]
