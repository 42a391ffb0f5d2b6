"""A model with the fusion of towers, trees and kernel, saved and loaded; damaged files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusion.config import ExperimentConfig, TokenSettings
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare
from fusion.model_config import FusionConfig, KernelSettings
from fusion.models.ensemble import ATTENTION, KERNEL, FusionModel, fit_fusion_model
from fusion.models.reference import reference_rnas
from fusion.models.saved import load_model, save_model
from fusion.models.towers_training import TrainedFusion
from mirnagraph.errors import CheckpointError
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.names import MirbaseNames
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.arrays import load_arrays
from mirnagraph.runs.model_file import WEIGHTS, write_model
from mirnagraph.runs.results import empty_result
from mirnagraph.trees import TreesConfig

Arrays = dict[str, np.ndarray]

CONFIG = ExperimentConfig(
    TokenSettings(
        attention=("kmer", "degree", "letters", "nearest:sequence", "profile:disease"),
        trees=("kmer", "degree"),
        letters=12,
        neighbours=3,
    ),
    neural="fusion",
    newcomers="",
    trees=TreesConfig(n_trees=3, rounds=2, boosting_width=10),
    kernel=KernelSettings({"kmer": ("kmer",), "degree": ("degree",)}, ("kmer*degree",)),
    fusion=FusionConfig(
        dim=4, n_heads=2, n_queries=2, hidden=4, n_members=2, bins=2, graph_heads=1, epochs=1,
        n_batches=1, kernel_dim=3, sequence_settings={"filters": 2, "kernel": 3},
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(networks: NetworkSet) -> FusionData:
    return prepare(networks, CONFIG)


@pytest.fixture(scope="module")
def train(data: FusionData) -> np.ndarray:
    return np.arange(0, len(data.index), 2)


@pytest.fixture(scope="module")
def model(data: FusionData, train: np.ndarray) -> FusionModel:
    return fit_fusion_model(data, train, CONFIG, 0)


@pytest.fixture(scope="module")
def saved(
    networks: NetworkSet,
    data: FusionData,
    train: np.ndarray,
    model: FusionModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    folds = make_folds(networks.dataset, n_folds=3)
    result = empty_result(data.index, data.compartments, folds, data.labels)
    reference = reference_rnas(data, model.tokens, train, result)
    save_model(model, reference, data.compartments, folder, about={})
    return folder


def rows_of(model: FusionModel) -> np.ndarray:
    return np.arange(len(model.tokens.index))


def changed(saved: Path, tmp_path: Path, change: Callable[[dict[str, Any], Arrays], None]) -> Path:
    """A copy whose header and arrays are changed, with checksums that fit."""
    folder = tmp_path / "changed"
    shutil.copytree(saved, folder)
    header = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    arrays = load_arrays(folder / WEIGHTS)
    change(header, arrays)
    name = header.pop("format")
    version = header.pop("format_version")
    write_model(folder, name, version, header, arrays)
    return folder


def test_parts_and_weights(model: FusionModel) -> None:
    assert set(model.weights) == {ATTENTION, "extra_trees", "boosting", KERNEL}
    assert isinstance(model.attention, TrainedFusion)
    assert set(model.parts(rows_of(model))) == set(model.weights)
    # 2 members, 2 tree models and a kernel
    members = model._members(rows_of(model))
    assert [len(members[name]) for name in (ATTENTION, KERNEL)] == [2, 1]
    stacked = np.concatenate([members[name] for name in members])
    expected = stacked.std(axis=0)
    np.testing.assert_allclose(model.uncertainty(rows_of(model)), expected, atol=1e-12)


def test_masked_labels_reach_no_prediction(
    data: FusionData, train: np.ndarray, model: FusionModel
) -> None:
    masked = replace(data, labels=data.masked_labels(train))
    again = fit_fusion_model(masked, train, CONFIG, 0)
    rows = rows_of(model)
    for name, part in model.parts(rows).items():
        np.testing.assert_array_equal(again.parts(rows)[name], part)


def test_names_of_mirbase_are_saved_with_their_sha256(
    networks: NetworkSet, data: FusionData, train: np.ndarray, model: FusionModel, tmp_path: Path
) -> None:
    hairpins = [("syn-mir-0002", "MI0000002", "ACGUACGU"), ("syn-mir-77", "MI0000077", "AC")]
    columns = [
        "hairpin_id",
        "family_id",
        "mature_acc",
        "mature_id",
        "mature_evidence",
        "mature_seq",
    ]
    names = MirbaseNames.of(
        hairpins=pd.DataFrame(hairpins, columns=["id", "accession", "sequence"]),
        joined=pd.DataFrame(
            [("syn-mir-77", "", "MIMAT0000077", "syn-miR-77", "", "AC")], columns=columns
        ),
        species="syn",
        release="3",
    )
    folds = make_folds(networks.dataset, n_folds=3)
    result = empty_result(data.index, data.compartments, folds, data.labels)
    reference = replace(reference_rnas(data, model.tokens, train, result), names=names)
    save_model(model, reference, data.compartments, tmp_path / "model", about={})
    loaded = load_model(tmp_path / "model")
    assert loaded.about["names"]["species"] == "syn"
    assert set(loaded.about["names"]["sha256"]) == {"names.tsv", "names_earlier.tsv"}
    assert loaded.reference is not None
    assert loaded.reference.names is not None
    assert loaded.reference.names.release == "3"
    match = loaded.reference.resolver.match("MIMAT0000077")
    assert (match.rna_id, match.row, match.sequence) == ("syn-mir-77", None, "AC")


def test_a_loaded_model_predicts_the_same_bits(saved: Path, model: FusionModel) -> None:
    loaded = load_model(saved)
    assert loaded.reference is not None
    again = loaded.fusion_model(loaded.reference.tokens)
    rows = rows_of(model)
    assert loaded.config == CONFIG
    assert isinstance(again.attention, TrainedFusion)
    assert again.attention.model.n_reference == len(rows)
    for name, part in model.parts(rows).items():
        np.testing.assert_array_equal(again.parts(rows)[name], part)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(again.uncertainty(rows), model.uncertainty(rows))
    tokens = loaded.reference.tokens.select(CONFIG.tokens.attention)
    assert isinstance(model.attention, TrainedFusion)
    np.testing.assert_array_equal(
        again.attention.attention(tokens, rows), model.attention.attention(tokens, rows)
    )


def _without_array(name: str) -> Callable[[dict[str, Any], Arrays], None]:
    def change(_header: dict[str, Any], arrays: Arrays) -> None:
        del arrays[name]

    return change


def _with_array(name: str, array: np.ndarray) -> Callable[[dict[str, Any], Arrays], None]:
    return lambda header, arrays: arrays.update({name: array})


def _with_entry(name: str, value: object) -> Callable[[dict[str, Any], Arrays], None]:
    return lambda header, arrays: header.update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        _without_array("fusion.hidden.weight"),
        _without_array("fusion.graph.labels"),
        _without_array("kernel.dual"),
        _without_array("kernel_features.term.1.mean"),
        _with_array("kernel_features.term.0.scale", np.ones(2, dtype=np.float32)),
        _with_array("kernel_features.term.2.projection", np.ones((3, 3), dtype=np.float32)),
        _with_array("fusion.head.bias", np.zeros((2, 1, 9), dtype=np.float32)),
        _with_array("kernel.intercept", np.zeros(9, dtype=np.float32)),
        _with_entry("components", [1]),
        _with_entry("components", None),
        _with_entry("components", [1, 1]),
        _with_entry("reference", 3),
        _with_entry("reference", "all"),
        _with_entry("members", "two"),
        _with_entry("weights", {"attention": 1.0}),
    ],
)
def test_files_that_do_not_fit_each_other(
    saved: Path, tmp_path: Path, change: Callable[[dict[str, Any], Arrays], None]
) -> None:
    folder = changed(saved, tmp_path, change)
    with pytest.raises(CheckpointError) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_a_cold_start_model_that_was_removed(saved: Path, tmp_path: Path) -> None:
    folder = changed(saved, tmp_path, lambda header, arrays: header.update(has_cold_start=True))
    with pytest.raises(CheckpointError, match="newcomers: the folder of the cold-start model"):
        load_model(folder)
    shutil.rmtree(folder)
    folder = changed(saved, tmp_path, lambda header, arrays: header.pop("has_cold_start"))
    assert load_model(folder).cold_start is None, "a model of an earlier version"


def test_a_file_that_is_cut_short_or_of_another_model(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(saved, folder)
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged or missing weights"):
        load_model(folder)
    other = changed(saved, tmp_path, lambda header, arrays: None)
    header = json.loads((other / "model.json").read_text(encoding="utf-8"))
    assert set(header["components"]) != {0}
    (other / "model.json").write_text(json.dumps({**header, "format": "seqtower"}))
    with pytest.raises(CheckpointError, match="another kind of model"):
        load_model(other)
