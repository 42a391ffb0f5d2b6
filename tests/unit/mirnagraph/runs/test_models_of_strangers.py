"""Models and names of strangers: whom they ask, where they write, what they show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import CheckpointError
from mirnagraph.runs.markdown import harmless, page, table
from mirnagraph.runs.model_file import HEADER, read_model, without_places, write_model


def saved(folder: Path, **config: object) -> Path:
    folder.mkdir()
    header = {"compartments": ["a"], "thresholds": [0.5], "config": config}
    write_model(folder, "toy", 1, header, {"w": np.ones(3)})
    return folder


def edit(folder: Path, **config: object) -> None:
    about = json.loads((folder / HEADER).read_text())
    about["config"] |= config
    (folder / HEADER).write_text(json.dumps(about))


def test_a_model_asks_nobody_and_writes_nowhere(tmp_path: Path) -> None:
    encoder = {"model": "me/beacon", "download": True, "cache": "/victim", "window": 3}
    folder = saved(tmp_path / "m", encoder=encoder, list=[{"download": True}])
    config = read_model(folder, "toy", (1,)).header["config"]
    assert config == {
        "encoder": {"model": "me/beacon", "download": False, "cache": "", "window": 3},
        "list": [{"download": False}],
    }


def test_settings_are_sealed_and_an_export_may_shorten_their_places(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", window=3, split="/data/folds.tsv")
    about = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps(without_places(about)))
    assert read_model(folder, "toy", (1,)).header["config"]["split"] == "folds.tsv"
    edit(folder, window=2)
    with pytest.raises(CheckpointError, match="changed after the model was saved"):
        read_model(folder, "toy", (1,))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("![x](http://spy/a.png)", "![x]\\(http://spy/a.png)"),
        ("[x](javascript:alert(1))", "[x]\\(javascript:alert(1))"),
        ("[x](//spy)", "[x]\\(//spy)"),
        ("![roc](roc.png) and [sub](folds/a.tsv)", "![roc](roc.png) and [sub](folds/a.tsv)"),
        ("p < 0.05, 0.5 [0.4, 0.6] (n)", "p < 0.05, 0.5 [0.4, 0.6] (n)"),
    ],
)
def test_names_show_as_text_in_pages(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert shown in page("title", text)


def test_a_cell_does_not_end_a_table() -> None:
    assert table(["a|b"], [["c\nd"]]) == "| a\\|b |\n| --- |\n| c d |"
