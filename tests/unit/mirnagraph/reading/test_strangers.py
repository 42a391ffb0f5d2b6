"""Models and datasets of strangers: sizes bounded, names no paths, no question to a network."""

from __future__ import annotations

import errno
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from fusion.config import experiment_config
from fusion.experiments.train import run_name
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import sha256_of_folder
from mirnagraph.reading.tensors import check_tensors
from mirnagraph.runs.arrays import load_arrays
from mirnagraph.runs.model_file import HEADER, WEIGHTS, read_model, write_model
from seqtower.config import seq_config
from seqtower.encoders.pretrained import LanguageModelConfig
from seqtower.saved import without_download


@pytest.mark.parametrize(
    "name", ["../../../escaped", "/etc/x", "a/b", "..", "C:\\x\\y", ".hidden", "a\x00b", "~/x", ""]
)
def test_a_name_of_a_dataset_is_no_path(name: str) -> None:
    folder = run_name(name, experiment_config("default"))
    assert Path("runs", folder).resolve().parent == Path("runs").resolve()
    assert not set(folder) & set('/\\:\0"<>|?*')
    assert not folder.startswith(".")


def test_a_name_with_control_characters_is_refused(small_dataset: Dataset, tmp_path: Path) -> None:
    folder = replace(small_dataset, name="x\x1b[2J").save(tmp_path / "ds")
    with pytest.raises(InputError, match=r"dataset.toml, column 'name'"):
        Dataset.load(folder)


def write(path: Path, header: object, n_bytes: int, n_header: int | None = None) -> None:
    text = json.dumps(header).encode()
    size = len(text) if n_header is None else n_header
    path.write_bytes(struct.pack("<Q", size) + text + bytes(n_bytes))


def tensor(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "n_bytes", "n_header"),
    [
        ({"a": tensor([2], 0, 8)}, 8, 2**60),
        ({"a": tensor([2], 0, 8)}, 8, 0),
        ({"a": tensor([2**40], 0, 2**42)}, 8, None),
        ({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, 12, None),
        ({"a": tensor([2], 0, 8)}, 16, None),
        ({"a": tensor([3], 0, 8)}, 8, None),
        ({"a": tensor([-2, -1], 0, 8)}, 8, None),
        ({"a": tensor([2], 0, 8, "F99")}, 8, None),
        ([], 8, None),
        ({"a": 5}, 8, None),
    ],
)
def test_tensors_that_cannot_be_are_refused_unread(
    tmp_path: Path, header: object, n_bytes: int, n_header: int | None
) -> None:
    path = tmp_path / "x.safetensors"
    write(path, header, n_bytes, n_header)
    with pytest.raises(SafetensorError):
        check_tensors(path)
    with pytest.raises(SafetensorError):
        load_arrays(path)


def test_right_tensors_go_through(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    arrays = {"a": np.zeros((3, 2)), "b": np.arange(4), "c": np.zeros((0, 5)), "d": np.ones(())}
    save_file(arrays, path, {"k": "v"})
    check_tensors(path)
    assert {name: value.shape for name, value in load_arrays(path).items()} == {
        name: value.shape for name, value in arrays.items()
    }


def test_settings_of_a_model_are_sealed(tmp_path: Path) -> None:
    header = {"config": {"window": 3, "split": "/data/mine/folds.tsv"}, "tower": {"config": {}}}
    write_model(tmp_path, "m", 1, header, {"a": np.ones(3)})
    path = tmp_path / HEADER
    written = json.loads(path.read_text(encoding="utf-8"))
    read_model(tmp_path, "m", (1,))
    # an export leaves folders out
    written["config"]["split"] = "folds.tsv"
    path.write_text(json.dumps(written), encoding="utf-8")
    read_model(tmp_path, "m", (1,))
    for key, value in (("config", {"window": 2, "split": "folds.tsv"}), ("tower", {"x": 1})):
        path.write_text(json.dumps({**written, key: value}), encoding="utf-8")
        with pytest.raises(CheckpointError, match="was changed after the model was saved"):
            read_model(tmp_path, "m", (1,))


@pytest.mark.parametrize("text", ["[", "[]", "5", '{"format": "m"}', "\x00", "{" * 10_000])
def test_a_header_that_is_none(tmp_path: Path, text: str) -> None:
    write_model(tmp_path, "m", 1, {}, {"a": np.ones(3)})
    (tmp_path / HEADER).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"model\.json"):
        read_model(tmp_path, "m", (1,))
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / HEADER).unlink()
    with pytest.raises(CheckpointError, match="not a model folder"):
        read_model(tmp_path, "m", (1,))


def test_weights_that_may_not_be_read_are_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, "m", 1, {}, {"a": np.ones(3)})

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("mirnagraph.runs.model_file.load_arrays", refuse)
    with pytest.raises(CheckpointError, match=r"cannot be read \(permission denied\)"):
        read_model(tmp_path, "m", (1,))


def test_a_saved_model_asks_no_network() -> None:
    config = seq_config("rnatracker")
    asking = LanguageModelConfig(model="me/beacon", download=True)
    encoder = replace(config.encoder, name="language-model", settings=asking)
    offline = without_download(replace(config, encoder=encoder))
    assert offline.encoder.settings == replace(asking, download=False)
    assert without_download(config) == config


def test_what_systems_leave_changes_no_checksum(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("a")
    before = sha256_of_folder(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / "sub" / name).write_bytes(b"x")
    assert sha256_of_folder(tmp_path) == before
    (tmp_path / "b").write_text("b")
    assert sha256_of_folder(tmp_path) != before
