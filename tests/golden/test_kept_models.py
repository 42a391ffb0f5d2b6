"""Golden models of every format version load and predict as they did when they were made.

A new FORMAT_VERSION gets its own model: ``python tests/golden/make_model.py`` makes missing ones.
The old ones stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from make_model import HERE, expected

from fusion.export.files import CARD, EXPORT
from fusion.export.load import load
from fusion.models.saved import FORMAT_VERSION
from mirnagraph.errors import ConfigError
from seqtower.saved import FORMAT_VERSION as TOWER_VERSION

KEPT = sorted(path for path in HERE.iterdir() if (path / EXPORT).is_file())


def test_there_is_one_of_each_present_format() -> None:
    assert {f"model_v{FORMAT_VERSION}", f"tower_v{TOWER_VERSION}"} <= {
        path.name for path in KEPT
    }, "run python tests/golden/make_model.py"


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: path.name)
def test_a_kept_model_predicts_what_it_did(folder: Path) -> None:
    recorded, found = (
        json.loads((HERE / f"{folder.name}.expected.json").read_text(encoding="utf-8")),
        expected(folder),
    )
    assert set(found) == set(recorded)
    for part, rows in recorded.items():
        assert list(found[part]) == list(rows)
        np.testing.assert_allclose(
            list(found[part].values()), list(rows.values()), atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: path.name)
def test_a_kept_model_says_what_it_is(folder: Path) -> None:
    about, model = json.loads((folder / EXPORT).read_text(encoding="utf-8")), load(folder)
    assert about["compartments"] == list(model.compartments)
    assert about["training_set"]["inputs"]
    assert about["versions"]["mirnagraph"]
    card = (folder / CARD).read_text(encoding="utf-8")
    assert card.startswith("---\n# license: choose one")
    for section in (
        "## Use",
        "## Data",
        "## Protocol",
        "## Figures, out-of-fold",
        "## Limits",
        "## Licence",
    ):
        assert f"\n{section}\n" in card
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 300_000


@pytest.mark.parametrize("name", [f"model_v{FORMAT_VERSION}", f"tower_v{TOWER_VERSION}"])
def test_a_language_model_is_refused_where_none_is_read(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} reads no language model, so none can be given"):
        load(HERE / name, language_model="any")
