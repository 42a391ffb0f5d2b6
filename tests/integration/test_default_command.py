"""The preset `default` by the commands: train, predict, explain, rank, export and load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

import mirnagraph
from fusion import config as fusion_config
from fusion.config import ExperimentConfig
from fusion.models.predict import OUT_OF_FOLD, SEQUENCE_ALONE
from fusion.models.saved import SavedModel
from fusion.models.towers_training import TrainedFusion
from mirnagraph.networks.network import NetworkSet

TINY: dict[str, Any] = {
    "fusion": {
        "dim": 8,
        "n_heads": 2,
        "n_queries": 4,
        "hidden": 8,
        "n_members": 1,
        "kernel_dim": 4,
        "epochs": 2,
    },
    "trees": {"n_trees": 10, "rounds": 2, "boosting_width": 20},
    "mix": {"calibration_part": 0.0},
}
NEW = "ACGUUAGCUAGGAUCCGAUUAGCGAUUCGAGGCUAUCGAUUUAGCGCGAUAUCGGCUAUAGCGGC"


def small_cold_start(preset: str = "default", *args: Any, **given: Any) -> ExperimentConfig:
    """Settings of the cold-start model with few trees and epochs; the others as they are."""
    config = fusion_config.experiment_config(preset, *args, **given)
    if preset != "cold":
        return config
    training = replace(config.training, epochs=2, n_members=1, n_students=1)
    trees = replace(config.trees, n_trees=10, rounds=2, boosting_width=20)
    return replace(config, training=training, trees=trees)


@pytest.mark.slow
def test_a_run_of_the_default_is_read_by_every_command(
    run, networks: NetworkSet, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks.save("networks")
    Path("tiny.toml").write_text(tomli_w.dumps(TINY))
    monkeypatch.setattr("fusion.data.prepare.experiment_config", small_cold_start)
    words = "--networks networks --fold 2 --config tiny.toml --workers 1 --no-baselines -q"
    trained = run("train", *words.split(), "--out", "run")
    assert trained.returncode == 0, trained.stderr
    for part in ("neural", "own_trees", "kernel"):
        assert Path(f"run/parts/{part}.tsv").is_file()

    model = mirnagraph.load("run")
    assert isinstance(model, SavedModel)
    assert isinstance(model.attention, TrainedFusion)
    assert model.attention.features is not None
    name = networks.dataset.index.ids[0]
    table = pd.read_csv("run/predictions.tsv", sep="\t").set_index("rna_id")
    known = run("predict", "--run", "run", "--rna", name, "--format", "json", "-q")
    (record,) = json.loads(known.stdout)
    assert record["source"] == OUT_OF_FOLD
    for compartment in model.compartments:
        probability = record["compartments"][compartment]["probability"]
        assert probability == pytest.approx(table.loc[name, compartment], abs=1e-5)
    Path("new.fa").write_text(f">mine\n{NEW}\n")
    new = run("predict", "--run", "run", "--fasta", "new.fa", "--format", "json", "-q")
    assert new.returncode == 0, new.stderr
    (record,) = json.loads(new.stdout)
    assert record["source"] == SEQUENCE_ALONE

    why = ("explain", "--run", "run", "--networks", "networks", "--format", "json", "-q")
    explained = run(*why, "--rna", name, "--compartment", model.compartments[0])
    assert explained.returncode == 0, explained.stderr
    (reasons,) = json.loads(explained.stdout)["compartments"]
    assert reasons["parts"][0]["part"] == "neural"
    assert {"kernel", "extra_trees"} <= {part["part"] for part in reasons["parts"]}
    assert any(token["token"].startswith("kernel_features:") for token in reasons["tokens"])
    assert run(*why, "--fasta", "new.fa").returncode == 0

    ranked = run("rank", "run", "--networks", "networks", "--top", "2", "-q")
    assert ranked.returncode == 0, ranked.stderr
    assert len(ranked.stdout.splitlines()) == 1 + 2 * len(model.compartments)

    exported = run("export", "run", "model", "-q")
    assert exported.returncode == 0, exported.stderr
    again = mirnagraph.load("model")
    for ask in ({}, {"sequences": {"mine": NEW}}):
        first, second = (mirnagraph.predict(one, **ask) for one in (model, again))
        np.testing.assert_array_equal(first.probabilities, second.probabilities)
