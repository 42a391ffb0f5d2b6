"""Cold start: only the sequence of a tested RNA is read, and the model outperforms its k-mers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cli.main import app
from fusion.config import experiment_config
from fusion.data.cold_start import cold_networks, mask_all_but_sequence
from fusion.data.prepare import prepare, resolve_tokens
from fusion.experiments.cross_validate import run_fold
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.networks.build import build_networks


@pytest.fixture(scope="module")
def config(networks):
    quick = experiment_config("cold", split="family", n_folds=3, cold=True)
    training = replace(quick.training, epochs=2, n_members=1, n_students=1)
    quick = replace(
        quick,
        training=training,
        trees=replace(quick.trees, n_trees=20, rounds=5, boosting_width=40),
        mix=replace(quick.mix, calibration_part=0.0),
    )
    return resolve_tokens(networks, quick)


def _fold(networks, folds, config):
    data = replace(prepare(networks, config), networks=networks)
    return run_fold(data, folds, config, 0)


def _otherwise(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset with other associations, attributes and labels of the given RNAs."""
    ids = [dataset.index.ids[row] for row in rows]
    associations = {}
    for kind, table in dataset.associations.items():
        every = [str(p) for p in dataset.partners[kind].index]
        added = pd.DataFrame(
            [(name, partner) for name in ids for partner in every[::3]],
            columns=["rna_id", "partner_id"],
        )
        associations[kind] = pd.concat(
            [table[~table["rna_id"].isin(ids)], added], ignore_index=True
        )
    labels, rnas = dataset.labels.copy(), dataset.rnas.copy()
    labels.loc[ids] = 1 - labels.loc[ids]
    rnas.loc[ids, "matures"] = "ACGUACGUACGUACGUACGU"
    return replace(dataset, associations=associations, labels=labels, rnas=rnas)


@pytest.mark.parametrize("preset", ["cold", "default"])
def test_nothing_of_a_tested_rna_but_its_sequence_is_read(
    small_dataset, networks, config, preset: str
) -> None:
    folds = make_folds(small_dataset, "family", n_folds=3, seed=0)
    if preset == "default":
        tokens = replace(
            config.tokens,
            trees=("svd:disease", "degree", "same_sequence", "covariates", "neighbours:functional"),
            attention=("trees",),
        )
        config = replace(config, tokens=tokens)
    _, test = folds.rows(small_dataset.index, 0)
    first = _fold(networks, folds, config)
    again = _fold(build_networks(_otherwise(small_dataset, test)), folds, config)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_what_is_known_of_training_rnas_is_read(small_dataset, networks, config) -> None:
    folds = make_folds(small_dataset, "family", n_folds=3, seed=0)
    train, _ = folds.rows(small_dataset.index, 0)
    changed = build_networks(_otherwise(small_dataset, train[:20]))
    assert not np.array_equal(
        _fold(networks, folds, config).probabilities, _fold(changed, folds, config).probabilities
    )


def test_hidden_rnas_keep_sequence_and_family(small_dataset, networks) -> None:
    hidden = mask_all_but_sequence(small_dataset, np.array([0, 3]))
    ids = [small_dataset.index.ids[row] for row in (0, 3)]
    assert hidden.rnas.loc[ids, "matures"].isna().all()
    assert not hidden.rnas.drop(index=ids)["matures"].isna().all()
    pd.testing.assert_series_equal(hidden.rnas["sequence"], small_dataset.rnas["sequence"])
    pd.testing.assert_series_equal(hidden.rnas["family"], small_dataset.rnas["family"])
    for kind, table in hidden.associations.items():
        before = small_dataset.associations[kind]
        assert len(table) == int((~before["rna_id"].isin(ids)).sum()) < len(before)
    again = cold_networks(networks, np.array([], dtype=int))
    np.testing.assert_array_equal(
        again["disease"].matrix.toarray(), networks["disease"].matrix.toarray()
    )


@pytest.mark.slow
def test_the_command_on_the_demo_beats_words_and_chance(tmp_path) -> None:
    """Random folds leave relatives in training; the labels of the demo depend on families."""
    out = tmp_path / "cold"
    done = CliRunner().invoke(
        app,
        [
            "train",
            "--cold-start",
            "--split",
            "random",
            "--fold",
            "4",
            "--out",
            str(out),
            "--workers",
            "2",
            "-q",
        ],
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out / "baselines.tsv", sep="\t").set_index("model")
    assert list(table.index) == [
        "this run",
        "neural",
        "own_trees",
        "frequency",
        "words",
        "neighbour_transfer",
        "sequence",
    ]
    assert table.loc["this run", "AUC"] > table.loc["words", "AUC"]
    assert table.loc["this run", "AUC"] > table.loc["frequency", "AUC"] + 0.05
    assert "cold" in (out / "config.toml").read_text()
