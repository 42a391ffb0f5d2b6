"""Model files: what is written is read back, and each kind of damage has its own message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mirnagraph.errors import CheckpointError
from mirnagraph.io import sha256_of
from mirnagraph.runs.arrays import load_arrays, save_arrays
from mirnagraph.runs.model_file import (
    HEADER,
    HEADER_CHECKSUM,
    WEIGHTS,
    _header_checksum,
    consistent_files,
    module_arrays,
    module_weights,
    read_model,
    write_model,
)

TYPES = ("miRNA", "mRNA")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    header = {
        "alphabet": "ACGU",
        "compartments": ("Nucleus", "Cytosol"),
        "thresholds": [0.25, 0.5],
        "types": ["mRNA"],
        "note": "a",
    }
    write_model(tmp_path, "toy", 2, header, {"weights": np.arange(6.0).reshape(2, 3).T})
    return tmp_path


def change(folder: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    header = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps({**header, **edit(header)}))


def test_header_and_tensors_are_read_back(folder: Path) -> None:
    model = read_model(
        folder,
        "toy",
        (1, 2),
        alphabet="ACGU",
        compartments=("Nucleus", "Cytosol"),
        rna_types=TYPES,
    )
    assert model.compartments == ("Nucleus", "Cytosol")
    np.testing.assert_array_equal(model.thresholds, [0.25, 0.5])
    np.testing.assert_array_equal(model.arrays["weights"], [[0, 3], [1, 4], [2, 5]])
    assert model.header["versions"]["numpy"] == np.__version__


def test_every_entry_is_sealed_but_for_the_folders_of_paths(folder: Path) -> None:
    change(folder, lambda _: {"note": "/data/a"})
    assert read_model(folder, "toy", (2,), rna_types=TYPES).header["note"] == "/data/a"
    change(folder, lambda _: {"note": "b"})
    with pytest.raises(CheckpointError, match="was changed after the model was saved"):
        read_model(folder, "toy", (2,), rna_types=TYPES)


def test_models_of_earlier_releases_seal_some_entries(folder: Path) -> None:
    header = json.loads((folder / HEADER).read_text())
    arrays = load_arrays(folder / WEIGHTS)
    save_arrays(arrays, folder / WEIGHTS, {HEADER_CHECKSUM: _header_checksum(header)})
    change(folder, lambda _: {"note": "b", "weights_sha256": sha256_of(folder / WEIGHTS)})
    assert read_model(folder, "toy", (2,), rna_types=TYPES).header["note"] == "b"
    change(folder, lambda _: {"thresholds": [0.5, 0.5]})
    with pytest.raises(CheckpointError, match="was changed after the model was saved"):
        read_model(folder, "toy", (2,), rna_types=TYPES)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"format": "other"}, r"another kind of model; found other, expected toy"),
        (
            {"format_version": 3},
            r"found format_version 3, expected format_version 1, 2; mirnagraph .* reads it$",
        ),
        ({"format_version": 3, "versions": {}}, "use the mirnagraph release that wrote it$"),
        ({"alphabet": "ACGT"}, "another alphabet; found ACGT, expected ACGU"),
        ({"compartments": ["A", "B"]}, "was changed after the model was saved"),
        ({"compartments": ["A"]}, "do not fit each other; found thresholds .* for 1 compartments"),
        ({"thresholds": [0.25, None]}, "'thresholds': wrong entry; .* expected a list, each a num"),
        ({"thresholds": [0.5, 0.25]}, "was changed after the model was saved"),
        ({"types": ["tRNA"]}, "do not fit each other; found unknown type of RNA 'tRNA'"),
        ({"weights_sha256": "0"}, r"the weights are not those that model\.json describes"),
    ],
)
def test_a_changed_header_is_refused(folder: Path, edit: dict[str, Any], message: str) -> None:
    change(folder, lambda _: edit)
    with pytest.raises(CheckpointError, match=message):
        read_model(folder, "toy", (1, 2), alphabet="ACGU", rna_types=TYPES)


def test_other_compartments_or_another_order_are_refused(folder: Path) -> None:
    message = "another order of them; found Nucleus, Cytosol, expected Cytosol, Nucleus"
    with pytest.raises(CheckpointError, match=message):
        read_model(folder, "toy", (2,), compartments=["Cytosol", "Nucleus"], rna_types=TYPES)


def test_missing_and_damaged_files_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"\(no model\.json\); found no such folder; try this"
    ):
        read_model(tmp_path / "none", "toy", (2,), hint="try this")
    weights = folder / WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:20])
    with pytest.raises(CheckpointError, match="damaged or missing weights"):
        read_model(folder, "toy", (2,), rna_types=TYPES)
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="the weights are not those"):
        read_model(folder, "toy", (2,), rna_types=TYPES)
    (folder / HEADER).write_text("{")
    with pytest.raises(CheckpointError, match=r"damaged model\.json"):
        read_model(folder, "toy", (2,))


def test_weights_of_a_module_keep_their_names() -> None:
    module = torch.nn.Linear(2, 1)
    arrays = module_arrays(module, "a.") | module_arrays(torch.nn.Linear(1, 1), "b.")
    assert set(arrays) == {"a.weight", "a.bias", "b.weight", "b.bias"}
    fresh = torch.nn.Linear(2, 1)
    fresh.load_state_dict(module_weights(arrays, "a."))
    torch.testing.assert_close(fresh.weight, module.weight, rtol=0, atol=0)


def test_an_error_without_a_place_gets_that_of_the_model(tmp_path: Path) -> None:
    message = f"^{tmp_path}: lacks an array; found x$"
    with pytest.raises(CheckpointError, match=message), consistent_files(tmp_path):
        raise CheckpointError("lacks an array", found="x")
    with pytest.raises(CheckpointError, match=r"^other: lacks"), consistent_files(tmp_path):
        raise CheckpointError("lacks", file="other")


def test_what_does_not_fit_is_one_error(tmp_path: Path) -> None:
    message = "do not fit each other; found 'trees'"
    with pytest.raises(CheckpointError, match=message), consistent_files(tmp_path):
        raise KeyError("trees")
