"""Variants of the fusion of two towers, and its neural part scored alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.config import (
    ExperimentConfig,
    FoldSettings,
    FusionConfig,
    KernelSettings,
    MixSettings,
    TokenSettings,
    experiment_config,
)
from fusion.data.prepare import prepare
from fusion.data.reduced import reduced_networks
from fusion.experiments.ablation import Variant, run_ablation, variants_of
from fusion.experiments.ablation_report import (
    ablation_table,
    has_part,
    part_variants,
    write_ablation,
)
from fusion.experiments.search_space import default_space, start_values
from fusion.models.towers import kind_of
from mirnagraph.evaluation.compare import compare
from mirnagraph.networks.build import NetworkConfig
from mirnagraph.networks.network import NetworkSet
from mirnagraph.trees import TreesConfig

SMALL = ExperimentConfig(
    tokens=TokenSettings(
        attention=("kmer", "letters", "nearest:sequence", "nearest:gip_drug", "profile:drug"),
        trees=("degree",),
    ),
    preset="test",
    newcomers="",
    neural="fusion",
    folds=FoldSettings(n_folds=2),
    fusion=FusionConfig(
        dim=4, n_heads=2, n_queries=2, hidden=4, n_members=1, epochs=1, n_batches=1
    ),
    kernel=KernelSettings({"sequence": ("kmer",), "drug": ("evidence:drug",)}, ("sequence*drug",)),
    trees=TreesConfig(n_trees=5, rounds=0),
    mix=MixSettings(calibration_part=0.0),
)


@pytest.fixture(scope="module")
def variants(networks: NetworkSet) -> dict[str, Variant]:
    return {variant.name: variant for variant in variants_of(networks, SMALL)}


def config_of(variant: Variant) -> ExperimentConfig:
    assert variant.config is not None, variant.reason
    return variant.config


def test_variants_take_away_one_part_and_nothing_else(variants: dict[str, Variant]) -> None:
    graph = config_of(variants["without-graph-tower"])
    assert graph.tokens.attention == ("kmer", "letters")
    assert graph.tokens.trees == SMALL.tokens.trees
    assert graph.kernel == SMALL.kernel
    assert "letters" not in config_of(variants["without-sequence-tower"]).tokens.attention
    relation = config_of(variants["without-relation-gip_drug"])
    assert relation.tokens.attention == ("kmer", "letters", "nearest:sequence", "profile:drug")
    partners = variants["without-partners-drug"]
    assert partners.left_out == ("profile:drug",)
    sequence = config_of(variants["without-sequence-tokens"])
    assert sequence.tokens.attention == ("nearest:gip_drug", "profile:drug")
    assert list(sequence.kernel.blocks) == ["drug"]
    assert sequence.kernel.products == ()
    assert "no token of expression" in variants["without-expression-tokens"].reason
    mean = config_of(variants["without-attention"])
    assert mean == replace(SMALL, fusion=replace(SMALL.fusion, pooling="mean"))
    assert config_of(variants["without-kernel"]).mix.kernel == 0
    assert config_of(variants["without-trees"]).tokens.trees == ()
    assert config_of(variants["without-neural"]).tokens.attention == ()
    assert config_of(variants["without-neural"]).kernel == SMALL.kernel
    assert "parts/" in variants["attention-alone"].reason
    assert variants["heads-2"].is_full
    assert config_of(variants["heads-4"]).fusion.n_heads == 4
    assert "8 heads cannot share a width of 4" in variants["heads-8"].reason


def test_removed_data_reach_no_part(networks: NetworkSet, variants: dict[str, Variant]) -> None:
    drug = variants["without-drug"]
    without = config_of(drug)
    assert set(drug.left_out) == {"nearest:gip_drug", "profile:drug", "evidence:drug"}
    assert list(without.kernel.blocks) == ["sequence"]
    data = prepare(reduced_networks(networks, "drug"), without)
    assert not [token.name for token in data.tokens if "drug" in token.name]


def test_every_variant_of_the_default_preset_can_be_prepared(networks: NetworkSet) -> None:
    found = {v.name: v for v in variants_of(networks, experiment_config("default"))}
    for name in ("without-graph-tower", "without-sequence-tower", "without-attention"):
        assert found[name].is_trained
    kinds = {kind_of(token) for token in config_of(found["without-graph-tower"]).tokens.attention}
    assert not kinds & {"nearest", "profile"}
    for variant in found.values():
        if variant.without in ("drug", "disease"):
            names = config_of(variant).token_names
            assert not [name for name in names if variant.without in name]


@pytest.mark.slow
def test_the_neural_part_is_scored_alone(networks: NetworkSet, tmp_path: Path) -> None:
    names = ["without-graph-tower", "without-kernel", "without-neural"]
    ablation = run_ablation(networks, SMALL, tmp_path / "ablation", repeats=1, only=names)
    assert [v.name for v in ablation.variants] == ["full", *names]
    given = (ablation.folder, ablation.variants, ablation.seeds)
    assert has_part(ablation.folder, ablation.variants[0], ablation.seeds, "neural")
    whole = ablation_table(*given, n_resamples=100)
    neural = ablation_table(*given, part="neural", n_resamples=100)
    scored = [v.name for v in part_variants(neural, ablation.variants)]
    assert scored == ["full", "without-graph-tower", "without-kernel"]

    def row(table: pd.DataFrame, variant: str) -> pd.Series:
        is_row = (table["compartment"] == "average") & (table["metric"] == "AUC")
        return table[is_row].set_index("variant").loc[variant]

    # the kernel model is no part of the neural one, whose graph tower is
    assert row(neural, "without-kernel")["pooled_difference"] == 0
    assert row(whole, "without-kernel")["pooled_difference"] != 0
    files = [
        ablation.folder / "variants" / name / "seed_0" for name in ("full", "without-graph-tower")
    ]
    first, second = (pd.read_csv(file / "parts" / "neural.tsv", sep="\t") for file in files)
    labels = pd.read_csv(files[0] / "labels.tsv", sep="\t").set_index("rna_id")
    by_hand = compare(first, second, labels, n_resamples=100, seed=0)
    is_auc = (by_hand["compartment"] == "average") & (by_hand["metric"] == "AUC")
    expected = by_hand[is_auc].iloc[0]
    found = row(neural, "without-graph-tower")
    np.testing.assert_allclose(
        found[["pooled_difference", "pooled_low", "pooled_high"]].astype(float),
        expected[["difference", "low", "high"]].astype(float),
    )
    parts = pd.read_csv(files[0] / "metrics_by_part.tsv", sep="\t")
    assert list(parts["part"].unique()) == ["neural", "own_trees", "kernel"]
    write_ablation(ablation, whole, neural)
    page = (ablation.folder / "ablation.md").read_text()
    assert "## Neural part alone" in page
    assert (ablation.folder / "ablation_neural.tsv").is_file()


def test_the_search_space_of_the_fusion(networks: NetworkSet) -> None:
    config = experiment_config("default")
    space = default_space(config)
    assert {"fusion.dropout", "kernel.penalty", "mix.attention", "mix.kernel"} <= set(space)
    assert not [name for name in space if name.startswith(("attention.", "training."))]
    assert list(start_values(config, NetworkConfig(), space)) == list(space)
    without = replace(config, kernel=KernelSettings())
    assert not [name for name in default_space(without) if "kernel" in name]
    neural = replace(without, tokens=replace(config.tokens, trees=()))
    assert not [name for name in default_space(neural) if name.startswith("mix.")]
    trees = default_space(replace(config, neural="attention"))
    assert list(trees) == [
        name for name in default_space(experiment_config("trees")) if name in trees
    ]
