"""The model that ships: kept answers, offline, small, and equal to the atlas beside it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mirnagraph
from fusion.atlas import atlas_names
from fusion.explain.run import explain_query, find_queries
from fusion.export.load import SHIPPED, load, shipped_folder
from fusion.models.saved import SavedModel

KEPT = Path(__file__).resolve().parent / "shipped.expected.json"

QUERIES = {
    "by name": ["hsa-miR-21-5p", "MIMAT0000062", "MI0000077", "hsa-miR-21*", "MIR125B1"],
    "not in the benchmark": ["hsa-mir-4635", "hsa-miR-4753-3p"],
}

NEW = {"new": "UGGGAUGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCCUA"}

MEGABYTES = 25


@pytest.fixture(scope="module")
def model() -> SavedModel:
    found = load(SHIPPED)
    assert isinstance(found, SavedModel)
    return found


def answers(model: SavedModel) -> dict[str, dict[str, object]]:
    """Answers of the kept queries, as plain values."""
    tables = [mirnagraph.predict(model, names).to_frame() for names in QUERIES.values()]
    tables.append(mirnagraph.predict(model, sequences=NEW).to_frame())
    table = pd.concat(tables).set_index("query")
    columns = ["rna_id", "match", "source", "called", *model.compartments]
    return table[columns].to_dict("index")


def test_answers_are_those_that_were_kept(
    model: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("the model asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    found = answers(model)
    assert list(found) == list(kept)
    for query, expected in kept.items():
        for name, value in expected.items():
            if isinstance(value, float):
                assert found[query][name] == pytest.approx(value, abs=1e-5), (query, name)
            else:
                assert found[query][name] == value, (query, name)


def test_it_is_small_and_has_a_card() -> None:
    files = [path for path in shipped_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MEGABYTES * 1e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md", ".tsv"}
    card = (shipped_folder() / "README.md").read_text(encoding="utf-8")
    for source in ("RNALocate", "miRTarBase 8.0", "2025", "ncDR", "HMDD", "MeSH", "miRmine"):
        assert source in card, source
    assert "Metrics, out-of-fold" in card


def test_it_explains_without_networks(model: SavedModel) -> None:
    (query,) = find_queries(model, ["hsa-miR-21-5p"])
    explanation = explain_query(model, query, ["Nucleus"])
    assert (explanation.query, explanation.rna_id, explanation.accession, explanation.match) == (
        "hsa-miR-21-5p",
        "hsa-mir-21",
        "MIMAT0000076",
        "exact_mature",
    )
    (reasons,) = explanation.compartments
    assert reasons.probability > reasons.base
    assert any(modality.modality == "sequence" for modality in reasons.modalities)
    partners = {(partner.kind, partner.partner): partner for partner in reasons.partners}
    assert partners["drug", "Erlotinib"].pmids[0] == "23963283"
    assert partners["target_2025", "RASA1"].pmids
    assert {near.network for near in reasons.neighbours} == {
        "sequence",
        "functional",
        "coexpression",
    }


def test_the_atlas_is_what_the_model_answers(model: SavedModel, project: Path) -> None:
    atlas = pd.read_csv(
        project / "data" / "atlas" / "atlas.tsv.gz", sep="\t", keep_default_na=False
    )
    assert list(atlas["query"]) == atlas_names(model)
    assert len(atlas) == 1_917 + 2_656
    assert set(atlas["source"]) == {"out-of-fold", "final model", "sequence alone"}
    sample = atlas.iloc[::400]
    found = mirnagraph.predict(model, list(sample["query"])).to_frame()
    assert list(found["rna_id"]) == list(sample["rna_id"])
    for name in model.compartments:
        kept = sample[name].astype(float).to_numpy()
        np.testing.assert_allclose(found[name].to_numpy(), kept, atol=1e-5)
