"""The sequence tower in a cross-validated model:
blind to test labels, repeatable, saved and read back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.config import (
    ExperimentConfig,
    FoldSettings,
    TokenSettings,
    TowerSettings,
    experiment_config,
)
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare, resolve_tokens
from fusion.experiments.cross_validate import run_fold
from fusion.experiments.train import run_experiment
from fusion.model_config import AttentionConfig, MixSettings, TrainConfig
from fusion.models.ensemble import fit_fusion_model
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import load_model, save_model
from fusion.tokens.table import TokenTable
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.trees import TreesConfig

CONFIG = ExperimentConfig(
    tokens=TokenSettings(
        attention=("svd:disease", "kmer", "trees", "tower"),
        trees=("kmer", "degree", "tower"),
        svd_dim=4,
    ),
    preset="test",
    newcomers="",
    folds=FoldSettings(n_folds=3),
    attention=AttentionConfig(dim=8, n_heads=2, n_layers=0, residual=True, token_dropout=0.2),
    training=TrainConfig(epochs=2, n_members=1, n_students=1, inner_fraction=0.0),
    trees=TreesConfig(n_trees=8, rounds=3, min_samples_leaf=1, boosting_width=20),
    mix=MixSettings(calibration_part=0.25),
    tower=TowerSettings(epochs=1, parts=2),
)


def test_labels_of_test_rnas_change_no_bit(data: FusionData, folds) -> None:
    _, test = folds.rows(data.index, 0)
    shuffled = data.labels.copy()
    shuffled[test] = np.random.default_rng(0).permutation(1 - shuffled[test])
    first, again = (
        run_fold(replace(data, labels=labels), folds, CONFIG, 0)
        for labels in (data.labels, shuffled)
    )
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    np.testing.assert_array_equal(first.thresholds["model"], again.thresholds["model"])
    assert np.isfinite(first.probabilities).all()
    other = run_fold(data, folds, replace(CONFIG, seed=1), 0)
    assert not np.array_equal(first.probabilities, other.probabilities)


def test_a_saved_model_predicts_the_same_and_makes_the_token_of_new_rnas(
    data: FusionData, run_dir: Path
) -> None:
    train = np.arange(len(data.index) - 10)
    fusion_model = fit_fusion_model(data, train, CONFIG, 0)
    n, unsaid = len(data.index), np.full(data.labels.shape, np.nan)
    known = ReferenceRNAs(
        data.index,
        data.sequences,
        ("",) * n,
        np.arange(n) < len(train),
        data.labels,
        fusion_model.tokens,
        unsaid,
        unsaid,
        unsaid,
    )
    save_model(fusion_model, known, data.compartments, run_dir, about={})
    back = load_model(run_dir)
    rows = np.arange(len(data.index))
    np.testing.assert_array_equal(
        back.fusion_model(fusion_model.tokens).predict(rows), fusion_model.predict(rows)
    )
    assert back.towers is not None
    # the token of the rows that no tower learned from can be made again from the files alone,
    # whatever stands beside them
    anew = back.towers.token([*data.sequences[-10:], "ACGU" * 60])
    held = fusion_model.tokens["tower"]
    np.testing.assert_allclose(anew.values[:10], held.values[-10:], atol=1e-5)
    rest = [token for token in fusion_model.tokens if token.name != "tower"]
    new = TokenTable(data.index, (*rest, back.towers.token(data.sequences)))
    np.testing.assert_allclose(
        back.fusion_model(new).predict(rows[-10:]), fusion_model.predict(rows[-10:]), atol=1e-5
    )
    with pytest.raises(CheckpointError, match="does not fit these tokens"):
        back.fusion_model(TokenTable(data.index, tuple(rest)))


def test_rnas_without_a_sequence_are_predicted_without_a_tower(networks: NetworkSet) -> None:
    dataset = networks.dataset
    rnas = dataset.rnas.copy()
    rnas["sequence"] = pd.Series(
        [None, None, *rnas["sequence"].iloc[2:]], index=rnas.index, dtype=object
    )
    data = prepare(replace(networks, dataset=replace(dataset, rnas=rnas)), CONFIG)
    fusion_model = fit_fusion_model(data, np.arange(1, 50), CONFIG, 0)
    there = rnas["sequence"].notna().to_numpy()
    assert not there[:2].any()
    np.testing.assert_array_equal(fusion_model.tokens["tower"].present, there)
    assert fusion_model.attention is not None
    weights = fusion_model.attention.attention(
        fusion_model.tokens.select(CONFIG.tokens.attention), np.arange(60)
    )[:, :, 3]
    assert (weights[~there] == 0).all()
    assert (weights[there] > 0).all()
    assert np.isfinite(fusion_model.predict(np.arange(60))).all()
    none = replace(data, sequences=(None,) * 60)
    with pytest.raises(InputError, match="no training RNA has a sequence"):
        fit_fusion_model(none, np.arange(50), CONFIG, 0)


def test_a_run_reads_sequences_of_partners_from_a_file_and_counts_it_as_an_input(
    networks: NetworkSet, tmp_path: Path, unreported
) -> None:
    random = np.random.default_rng(0)
    names = list(networks.dataset.partners["mRNA"].index)[:8]

    def write(file: Path) -> ExperimentConfig:
        file.write_text(
            "".join(f">{name}\n{''.join(random.choice(list('ACGT'), 50))}\n" for name in names)
        )
        tokens = TokenSettings(trees=("kmer", "partner_sequences:*"))
        return ExperimentConfig(
            tokens,
            newcomers="",
            folds=FoldSettings(n_folds=3),
            trees=CONFIG.trees,
            tower=TowerSettings(dim=3, partner_fasta=str(file)),
        )

    config = write(tmp_path / "a.fa")
    assert resolve_tokens(networks, config).tokens.trees == ("kmer", "partner_sequences:mRNA")
    token = prepare(networks, resolve_tokens(networks, config)).tokens["partner_sequences:mRNA"]
    has = networks.dataset.associations["mRNA"]
    assert set(np.array(networks.dataset.index.ids)[token.present]) == set(
        has.loc[has["partner_id"].isin(names), "rna_id"]
    )
    _, run = run_experiment(networks, config, tmp_path / "a")
    _, other = run_experiment(networks, write(tmp_path / "b.fa"), tmp_path / "b")
    one, two = (part.read()["inputs"] for part in (run, other))
    assert one["partner_fasta"] != two["partner_fasta"]
    assert (one["networks"], one["folds"]) == (
        two["networks"],
        two["folds"],
    )  # by which other commands find the data of a run again


def test_partners_can_be_read_by_a_fitted_tower(networks: NetworkSet, tmp_path: Path) -> None:
    from fusion.tokens.partners import partner_embedding
    from seqtower.config import seq_config
    from seqtower.encoders.base import fit_encoding
    from seqtower.saved import SavedTower, save_tower
    from seqtower.training.quick import train_quick

    config = TowerSettings(epochs=1).config()
    sequences = ["ACGUACGUACGGA", "GGGCCCUUAGA", "AAUUCGCGAUAGCUAUU"]
    encoding = fit_encoding(config.encoder, config.lengths, sequences)
    tower = train_quick(encoding(sequences), np.array([[1.0], [0], [1]]), "multi-label", config, 0)
    save_tower(
        SavedTower(config, ("N",), "multi-label", tower, encoding, np.array([0.5]), {}),
        tmp_path / "run" / "model",
    )
    found = partner_embedding(sequences, TowerSettings(partners=str(tmp_path / "run")))
    assert found.shape == (3, tower.output_dim)
    np.testing.assert_array_equal(
        found, partner_embedding(sequences, TowerSettings(partners=str(tmp_path / "run" / "model")))
    )
    assert seq_config("hairpin").tower.name == "rnatracker"
    with pytest.raises(CheckpointError):
        partner_embedding(sequences, TowerSettings(partners=str(tmp_path)))


@pytest.mark.parametrize("preset", ["fused", "sequence-only"])
def test_presets_with_a_tower_fit_any_dataset(networks: NetworkSet, preset: str) -> None:
    config = resolve_tokens(networks, experiment_config(preset))
    assert "tower" in (*config.tokens.attention, *config.tokens.trees)
    assert not any(
        name.endswith(("*", "?")) for name in (*config.tokens.attention, *config.tokens.trees)
    )
