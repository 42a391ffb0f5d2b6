"""Names of miRBase that a model carries: predictions, explanations and exports by any name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contents import write_header

import mirnagraph
from fusion.export.export import export_run
from fusion.models.predict import (
    OUT_OF_FOLD,
    QUERY_COLUMNS,
    SEQUENCE_ALONE,
    predict_names,
    predict_reference,
    predict_sequences,
    resolve_names,
)
from fusion.models.saved import SavedModel, load_model
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import sha256_of
from mirnagraph.names import MirbaseNames
from mirnagraph.names.store import FILES, save_names

NEW = "ACGUUAGCUAGGAUCCGAUUAGCGAUUCGAGGCUAUCGAUUUAGCGCGAUAUCGGCUAUAGCGGC"


@pytest.fixture(scope="module")
def names(small_dataset: Dataset) -> MirbaseNames:
    """A miRBase of the species `syn`: the dataset's RNAs, two others, an old and a withdrawn name.

    The first RNA with a sequence has two matures of its own; others have none.
    """
    rnas = small_dataset.rnas[small_dataset.rnas["sequence"].notna()]
    hairpins = [
        (name, f"MI{number:07d}", sequence)
        for number, (name, sequence) in enumerate(rnas["sequence"].items())
    ]
    hairpins += [("syn-mir-9999", "MI0009999", NEW), ("syn-mir-9998-1", "MI0009998", NEW[5:])]
    first = rnas.index[0]
    matures = rnas.at[first, "matures"].split(";")
    joined = [
        (first, "MIMAT0000001", f"{first.replace('mir', 'miR')}-5p", matures[0]),
        (first, "MIMAT0000002", f"{first.replace('mir', 'miR')}-3p", matures[-1]),
        ("syn-mir-9999", "MIMAT0009999", "syn-miR-9999-5p", NEW[:22]),
        ("syn-mir-9999", "MIMAT0009990", "syn-miR-9999-3p", NEW[-22:]),
    ]
    columns = ["hairpin_id", "mature_acc", "mature_id", "mature_seq"]
    aliases = [("MI0000000", "syn-mir-7777"), ("MI0006666", "syn-mir-6666")]
    return MirbaseNames.of(
        hairpins=pd.DataFrame(hairpins, columns=["id", "accession", "sequence"]),
        joined=pd.DataFrame(joined, columns=columns).assign(family_id="", mature_evidence=""),
        aliases=pd.DataFrame(aliases, columns=["accession", "name"]),
        species="syn",
        release="1",
    )


@pytest.fixture(scope="module")
def run_folder(
    finished_run: Path, names: MirbaseNames, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run whose model carries the names."""
    run = tmp_path_factory.mktemp("named") / "run"
    shutil.copytree(finished_run, run)
    model = run / "model"
    entry = save_names(names, model)
    header = json.loads((model / "model.json").read_text(encoding="utf-8"))
    header["names"] = {**entry, "sha256": {name: sha256_of(model / name) for name in FILES}}
    write_header(model, header)
    return run


@pytest.fixture(scope="module")
def model(run_folder: Path) -> SavedModel:
    return load_model(run_folder / "model")


@pytest.fixture(scope="module")
def first(small_dataset: Dataset) -> str:
    """The RNA with the accession MI0000000 and matures in miRBase."""
    return str(small_dataset.rnas.index[small_dataset.rnas["sequence"].notna()][0])


def test_names_of_all_kinds_in_one_list(model: SavedModel, first: str) -> None:
    queries = [
        f"{first}-5p",
        f"{first}*",
        "nothing-like-it",
        first.upper(),
        "MIMAT0009999",
        "MI0000000",
        "syn-mir-7777",
        "syn-mir-6666",
        "syn-mir-",
        "syn-mir-9999",
        f"{first}-5p",
    ]
    found = mirnagraph.predict(model, queries)
    about = found.about
    table = found.to_frame()
    assert list(table.columns[:4]) == QUERY_COLUMNS == ["query", "rna_id", "accession", "match"]
    assert list(table["query"]) == list(about.index) == queries
    answered = [first, first, "", first, "syn-mir-9999", first, first, "", "", "syn-mir-9999"]
    assert list(table["rna_id"]) == [*answered, first]
    assert list(table["match"]) == [
        "exact_mature",
        "arm",
        "unknown",
        "id",
        "exact_mature",
        "exact_hairpin",
        "alias_hairpin",
        "withdrawn",
        "ambiguous",
        "exact_hairpin",
        "exact_mature",
    ]
    assert list(table["accession"][:6]) == [
        "MIMAT0000001",
        "",
        "",
        "MI0000000",
        "MIMAT0009999",
        "MI0000000",
    ]
    of_first = predict_reference(model, resolve_names(model, [first])).probabilities[0]
    of_new = predict_sequences(model, ["x"], [NEW]).probabilities[0]
    for row, rna_id in enumerate(table["rna_id"]):
        expected = {first: of_first, "syn-mir-9999": of_new, "": np.full(len(of_new), np.nan)}
        np.testing.assert_allclose(found.probabilities[row], expected[rna_id], atol=1e-7)
    is_missing = table["rna_id"] == ""
    assert not found.called[is_missing].any()
    assert (table.loc[is_missing, "source"] == "").all()
    assert (table.loc[is_missing, "warning"] != "").all()
    assert about["source"].iloc[4] == about["source"].iloc[9] == SEQUENCE_ALONE
    assert about["known_as"].iloc[4] == ""
    assert about["source"].iloc[0] == OUT_OF_FOLD
    records = json.loads(json.dumps(found.to_dicts()))
    assert list(records[0])[:5] == [*QUERY_COLUMNS, "compartments"]
    assert [record["query"] for record in records] == queries
    assert records[2]["compartments"][model.compartments[0]]["probability"] is None


def test_strict_names_all_at_once(model: SavedModel, first: str) -> None:
    with pytest.raises(InputError) as caught:
        mirnagraph.predict(model, [first, "syn-mir-6666", "nothing"], strict=True)
    message = str(caught.value)
    assert message.startswith("2 of 3 names have no answer: 'syn-mir-6666'")
    assert "unknown RNA 'nothing'" in message
    assert message.endswith(". Pass the sequence of a new RNA with --fasta")
    assert len(mirnagraph.predict(model, [first, "syn-mir-9999"], strict=True).about) == 2
    with pytest.raises(InputError, match="'syn-mir-9999' is no reference RNA"):
        resolve_names(model, ["syn-mir-9999"])


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x1b[31mred"])
def test_a_name_that_no_table_can_hold_is_refused(model: SavedModel, name: str) -> None:
    with pytest.raises(InputError, match=r"a control character in a name; found .*expected a line"):
        mirnagraph.predict(model, [name])


def test_only_unknown_names(model: SavedModel) -> None:
    found = predict_names(model, ["nothing", "nothing"])
    assert np.isnan(found.probabilities).all()
    assert list(found.to_frame()["match"]) == ["unknown", "unknown"]


def test_a_new_name_without_a_cold_start_model_has_no_answer(model: SavedModel) -> None:
    found = predict_names(replace(model, cold_start=None), ["syn-mir-9999"])
    row = found.to_frame().iloc[0]
    assert (row["rna_id"], row["match"]) == ("", "unknown")
    assert "'syn-mir-9999' (syn-mir-9999) is no reference RNA, and the model has" in row["warning"]


def test_sequences_get_accessions(model: SavedModel, first: str, small_dataset: Dataset) -> None:
    sequence = small_dataset.rnas.at[first, "sequence"]
    found = mirnagraph.predict(model, sequences={"mine": sequence, "half": NEW[:22]}).to_frame()
    assert list(found["query"]) == ["mine", "half"]
    assert list(found["rna_id"]) == [first, "half"]
    assert found["accession"].tolist()[1] == "MIMAT0009999"
    assert "MI0000000" in found["accession"].iloc[0].split(";")
    assert list(found["match"]) == ["sequence", "new"]
    assert "the sequence of syn-miR-9999-5p" in found["warning"].iloc[1]


def test_explanations_by_name(model: SavedModel, first: str) -> None:
    old = mirnagraph.explain(model, "syn-mir-7777")
    assert (old.query, old.known_as) == ("syn-mir-7777", first)
    assert old.notes[0] == f"Asked as syn-mir-7777: an earlier name of {first}."
    new = mirnagraph.explain(model, "syn-miR-9999-3p")
    assert (new.query, new.known_as, new.source) == ("syn-miR-9999-3p", "", SEQUENCE_ALONE)
    assert new.sequence == NEW
    assert "predicted from the sequence of syn-mir-9999" in new.notes[0]
    with pytest.raises(InputError, match="has withdrawn MI0006666"):
        mirnagraph.explain(model, "syn-mir-6666")


def test_an_exported_model_carries_the_names(
    run_folder: Path, tmp_path: Path, model: SavedModel
) -> None:
    folder = export_run(run_folder, tmp_path / "model")
    listed = json.loads((folder / "export.json").read_text(encoding="utf-8"))["files"]
    assert set(FILES) <= set(listed)
    loaded = mirnagraph.load(folder)
    assert isinstance(loaded, SavedModel)
    found = mirnagraph.predict(loaded, ["syn-mir-7777", "syn-mir-9999"])
    expected = mirnagraph.predict(model, ["syn-mir-7777", "syn-mir-9999"])
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert list(found.about["match"]) == ["alias_hairpin", "exact_hairpin"]


def test_names_that_do_not_belong_to_the_model_are_refused(
    run_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(run_folder / "model", folder)
    text = (folder / FILES[0]).read_text(encoding="utf-8")
    (folder / FILES[0]).write_text(text.replace("MIMAT0009999", "MIMAT0009998"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"names of miRBase are not those that model\.json"):
        load_model(folder)
    (folder / FILES[0]).unlink()
    with pytest.raises(CheckpointError, match="found no such file"):
        load_model(folder)
    header = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    header["names"]["sha256"] = {"../names.tsv": "0"}
    write_header(folder, header)
    with pytest.raises(CheckpointError, match="damaged entry"):
        load_model(folder)
