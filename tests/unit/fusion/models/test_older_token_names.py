"""Models that were saved with older token names load with those of today."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fusion.config import ExperimentConfig, TokenSettings
from fusion.data.prepare import prepare
from fusion.model_config import TrainConfig
from fusion.models.ensemble import fit_fusion_model
from fusion.models.reference import ARRAYS, reference_rnas
from fusion.models.saved import load_model, save_model
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.io import sha256_of
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.arrays import load_arrays, save_arrays
from mirnagraph.runs.model_file import WEIGHTS, write_model
from mirnagraph.runs.results import empty_result
from mirnagraph.trees import TreesConfig

OLDER = {
    "n_similar": "alike",
    "same_sequence": "relatives",
    "profile:drug": "rows:drug",
    "neighbours:co_reported_drug": "neighbours:reports_drug",
}


def test_a_model_with_older_names_predicts_the_same(networks: NetworkSet, tmp_path: Path) -> None:
    tokens = TokenSettings(attention=("trees", "kmer"), trees=tuple(OLDER))
    config = ExperimentConfig(
        tokens,
        newcomers="",
        trees=TreesConfig(n_trees=3, rounds=0),
        training=TrainConfig(epochs=1),
    )
    data = prepare(networks, config)
    rows = np.arange(len(data.index))
    model = fit_fusion_model(data, rows, config, 0)
    folds = make_folds(networks.dataset, n_folds=3)
    result = empty_result(data.index, data.compartments, folds, data.labels)
    known = reference_rnas(data, model.tokens, rows, result)
    save_model(model, known, data.compartments, tmp_path / "model", about={})
    _rename(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.config.tokens == tokens
    assert set(loaded.widths) == {*OLDER, "kmer", "trees"}
    assert loaded.reference is not None
    again = loaded.fusion_model(loaded.reference.tokens)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))


def _rename(folder: Path) -> None:
    """Rewrite a model folder as it was written before the tokens were renamed."""
    arrays = {}
    for name, array in load_arrays(folder / ARRAYS).items():
        start, _, token = name.partition(".")
        arrays[f"{start}.{OLDER.get(token, token)}" if token else name] = array
    assert "token.alike" in arrays
    save_arrays(arrays, folder / ARRAYS)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    about["known_sha256"][ARRAYS] = sha256_of(folder / ARRAYS)
    about["tokens"] = {OLDER.get(name, name): width for name, width in about["tokens"].items()}
    settings = about["config"]["tokens"]
    settings["trees"] = [OLDER[name] for name in settings["trees"]]
    weights = load_arrays(folder / WEIGHTS)
    header = {key: about.pop(key) for key in ("format", "format_version")}
    write_model(folder, header["format"], header["format_version"], about, weights)
