"""`FusionData`: what it holds for folds, baselines and the final fit, and who reads networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.config import ExperimentConfig, TokenSettings, experiment_config
from fusion.data.prepare import prepare, resolve_tokens, with_baselines, with_cold_start
from fusion.data.rna_sets import prepare_all
from fusion.models.reference import reference_rnas
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.names import MirbaseNames
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.results import empty_result

CONFIG = ExperimentConfig(TokenSettings(trees=("degree", "kmer")))


def test_labels_outside_the_training_rows_are_masked(networks: NetworkSet) -> None:
    data = prepare(networks, CONFIG)
    train = np.array([0, 2, 5])
    masked = data.masked_labels(train)
    np.testing.assert_array_equal(masked[train], data.labels[train])
    assert np.isnan(np.delete(masked, train, axis=0)).all()
    assert not np.isnan(data.labels).any()


def test_facts_of_the_dataset_make_the_reference_rnas(networks: NetworkSet) -> None:
    data = prepare(networks, CONFIG)
    assert (data.dataset, data.synthetic) == (networks.dataset.name, True)
    folds = make_folds(networks.dataset, n_folds=3)
    result = empty_result(data.index, data.compartments, folds, data.labels)
    train = np.array([1, 4])
    known = reference_rnas(data, data.tokens, train, result)
    assert known.sequences == data.sequences
    rnas = networks.dataset.rnas
    assert list(known.matures) == list(rnas["matures"].fillna(""))
    assert [bool(text) for text in known.sequences] == list(rnas["sequence"].notna())
    assert np.flatnonzero(known.trained).tolist() == [1, 4]
    assert known.types is None
    assert known.names is None


def test_names_of_the_dataset_go_on_to_the_reference_rnas(networks: NetworkSet) -> None:
    hairpins = pd.DataFrame(
        [("syn-mir-0001", "MI0000001", "ACGU")], columns=["id", "accession", "sequence"]
    )
    columns = [
        "hairpin_id",
        "family_id",
        "mature_acc",
        "mature_id",
        "mature_evidence",
        "mature_seq",
    ]
    names = MirbaseNames.of(hairpins=hairpins, joined=pd.DataFrame(columns=columns), species="syn")
    named = replace(networks, dataset=replace(networks.dataset, names=names))
    data = prepare_all(named, CONFIG)
    result = empty_result(
        data.index, data.compartments, make_folds(named.dataset, n_folds=3), data.labels
    )
    known = reference_rnas(data, data.tokens, np.array([1]), result)
    assert known.names is names
    assert known.of_networks().names is names
    assert known.resolver.match("MI0000001").rna_id == "syn-mir-0001"


def test_the_cold_start_model_has_data_where_the_settings_name_it(networks: NetworkSet) -> None:
    data = prepare_all(networks, CONFIG)
    assert data.cold_start is not None
    inputs, settings = data.cold_start
    assert settings.preset == "cold"
    assert settings.tokens.attention[-1] == "neighbour_profile:disease"
    assert set(inputs.tokens.sources) == {"kmer", "n_similar"}
    assert set(inputs.associations) == {"mRNA", "drug", "disease"}
    assert prepare_all(networks, replace(CONFIG, newcomers="")).cold_start is None


def test_no_cold_start_model_without_a_sequence_or_for_sequences_alone(
    networks: NetworkSet,
) -> None:
    data = prepare(networks, CONFIG)
    no_sequence = replace(networks, similarities={})
    assert with_cold_start(data, no_sequence, CONFIG).cold_start is None
    alone = resolve_tokens(networks, replace(experiment_config("cold"), newcomers="cold"))
    assert with_cold_start(data, networks, alone).cold_start is None


def test_baselines_have_inputs_where_they_are_wanted(networks: NetworkSet) -> None:
    assert prepare_all(networks, CONFIG).baselines is None
    wanted = prepare_all(networks, CONFIG, baselines=True).baselines
    same = with_baselines(prepare(networks, CONFIG), networks).baselines
    assert wanted is not None
    assert same is not None
    np.testing.assert_array_equal(wanted.counts, same.counts)
    np.testing.assert_array_equal(wanted.tokens.flat(), same.tokens.flat())
    assert wanted.trees[0] == "profile:mRNA"


def test_the_token_trees_needs_other_tokens_of_trees(networks: NetworkSet) -> None:
    for attention, trees in (((), ("trees",)), (("trees",), ())):
        config = ExperimentConfig(TokenSettings(attention=attention, trees=trees))
        with pytest.raises(ConfigError, match="'trees' holds predictions of the trees"):
            prepare(networks, config)


def test_models_baselines_and_exports_read_no_networks(project: Path) -> None:
    readers = set()
    for room in ("models", "baselines", "export"):
        for path in (project / "fusion" / room).glob("*.py"):
            if "NetworkSet" in path.read_text(encoding="utf-8"):
                readers.add(f"{room}/{path.name}")
    # an export may keep what explanations show: partners, publications, similar RNAs
    assert readers == {"export/evidence.py", "export/export.py"}
