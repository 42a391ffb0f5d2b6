"""Resolved settings of every preset: equal to those in presets.json but for renamed tokens.

``source``, which describes a preset in words, is not compared. To change presets.json on purpose:
``python tests/golden/test_presets.py`` writes it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fusion.config import FusionConfig, experiment_config
from fusion.tokens.names import current_name, current_settings
from mirnagraph.config import preset_names, to_dict
from seqtower.config import config_from, seq_config
from seqtower.encoders.whole import WholeConfig

KEPT = Path(__file__).resolve().parent / "presets.json"

ADDED_SETTINGS = {
    "neural": "attention",
    "fusion": to_dict(FusionConfig()),
    "kernel": {"blocks": {}, "products": [], "penalty": 0.05, "bandwidth": 2.0},
}
"""Settings of a fusion run that older ones lack: a preset of before has no kernel model, and its
neural part is attention over tokens."""


def resolved() -> dict[str, dict[str, Any]]:
    """Every preset with all of its settings, the defaults among them."""
    found = {f"fusion/{name}": to_dict(experiment_config(name)) for name in preset_names("fusion")}
    return found | {
        f"seqtower/{name}": to_dict(seq_config(name)) for name in preset_names("seqtower")
    }


def as_text(presets: dict[str, dict[str, Any]]) -> str:
    """JSON with one line per table of settings, so that a difference can be read."""
    parts = []
    for name, tables in presets.items():
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in tables.items()]
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def test_every_preset_is_kept() -> None:
    assert set(json.loads(KEPT.read_text(encoding="utf-8"))) == set(resolved())


@pytest.mark.parametrize("name", json.loads(KEPT.read_text(encoding="utf-8")))
def test_settings_of_a_preset_are_as_they_were(name: str) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))[name]
    settings = json.loads(json.dumps(resolved()[name]))
    if name.startswith("fusion/"):
        for part in ("attention", "trees"):
            kept["tokens"][part] = [current_name(token) for token in kept["tokens"][part]]
        kept = ADDED_SETTINGS | kept
        kept["tokens"] = {"letters": 500} | kept["tokens"]
        kept["mix"] = {"kernel": 1.0, "least_gain": 0.0} | kept["mix"]
    else:
        kept = {"whole": to_dict(WholeConfig())} | kept
        kept["training"] = {"body_rate": 1.0, "batch_parts": 0} | kept["training"]
    kept = json.loads(json.dumps(with_choices(kept)))
    assert settings.pop("source")
    assert kept.pop("source")
    assert settings == kept


def test_no_preset_uses_an_older_token_name() -> None:
    for name in preset_names("fusion"):
        tokens = experiment_config(name).tokens
        assert current_settings(tokens) == tokens


@pytest.mark.parametrize("name", [name for name in preset_names("seqtower") if name != "long"])
def test_older_settings_are_read_as_those_of_today(name: str) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))[f"seqtower/{name}"]
    assert isinstance(kept["tower"], str)
    assert config_from(kept) == seq_config(name)


def with_choices(kept: dict[str, Any]) -> dict[str, Any]:
    """Settings with ``name`` and ``settings`` of tower and encoder.

    Older settings of a sequence run have the name of the tower, a table for each tower, and in
    ``encoder`` its kind and a table for each encoder.
    """
    if not isinstance(kept.get("tower"), str):
        return kept
    tables = ("rnatracker", "deeplocrna", "el_rmlocnet", "rnaloc_lm")
    tower = kept["tower"]
    encoder = kept["encoder"]
    table = {"geneticseq2vec": "words", "language-model": "language_model"}
    kind = encoder["kind"]
    settings = encoder.get(table.get(kind, kind), {})
    rest = {key: value for key, value in kept.items() if key not in tables}
    return rest | {
        "tower": {"name": tower, "settings": kept[tower.replace("-", "_")]},
        "encoder": {"name": kind, "settings": settings},
    }


if __name__ == "__main__":
    KEPT.write_text(as_text(resolved()), encoding="utf-8")
