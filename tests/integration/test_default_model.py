"""Which model a command opens: the newest run, else the one that ships; names of the demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fusion.default_model import default_model
from fusion.export.load import SHIPPED, model_folder, shipped_folder
from mirnagraph.errors import InputError


def make_run(name: str, finished: str, *, synthetic: bool = False) -> Path:
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    about = {
        "format_version": 1,
        "status": "done",
        "finished": f"2026-01-{finished}T00:00:00+00:00",
        "synthetic": synthetic,
    }
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "predictions.tsv").write_text("rna_id\n")
    return folder


def test_the_newest_run_is_opened_and_without_one_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_model() == Path(SHIPPED)
    make_run("new", "02")
    make_run("old", "01")
    assert default_model() == Path("runs/new")
    assert default_model(["hsa-mir-21"]) == Path("runs/new")


def test_a_run_on_the_demo_answers_synthetic_names_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run("demo", "02", synthetic=True)
    assert default_model() == Path("runs/demo")
    assert default_model(["hsa-mir-21", "syn-mir-0001"]) == Path("runs/demo")
    assert default_model(["hsa-mir-21"]) == Path(SHIPPED)
    assert default_model(sequences=True) == Path(SHIPPED)
    assert default_model([]) == Path("runs/demo")


def test_a_damaged_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run("demo", "02")
    Path("runs/demo/run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json"):
        default_model()


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder(SHIPPED) == shipped_folder()
    Path(SHIPPED).mkdir()
    assert model_folder(SHIPPED) == Path(SHIPPED)
