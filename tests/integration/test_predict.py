"""Predictions of reference and new RNAs, alone and together, and the errors of `predict`."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cli.main import app
from fusion.export.load import load, model_folder
from fusion.models.predict import (
    OUT_OF_FOLD,
    SEQUENCE_ALONE,
    predict_reference,
    predict_sequences,
    resolve_names,
)
from fusion.models.saved import SavedModel, load_model
from mirnagraph.errors import CheckpointError, ConfigError, InputError, MirnagraphError

NEW = {
    "stranger": "ACGUUAGCUAGGAUCCGAUUAGCGAUUCGAGGCUAUCGAUUUAGCGCGAUAUCGGCUAUAGCGGC",
    "short": "ACGUACGU",
}


@pytest.fixture(scope="module")
def run(finished_run):
    return finished_run


@pytest.fixture(scope="module")
def model(run) -> SavedModel:
    return load_model(run / "model")


def test_reference_rnas_get_their_out_of_fold_prediction(run, model: SavedModel) -> None:
    output = pd.read_csv(run / "predictions.tsv", sep="\t", index_col="rna_id")
    found = predict_reference(model, np.arange(len(model.reference.index)))
    np.testing.assert_allclose(
        found.probabilities,
        output.loc[list(model.reference.index.ids), list(model.compartments)],
        rtol=1e-6,
    )
    assert set(found.about["source"]) == {OUT_OF_FOLD}
    final = model.fusion_model(model.reference.tokens).predict(np.arange(5))
    assert not np.allclose(found.probabilities[:5], final)


def test_an_rna_that_no_fold_tested_is_predicted_by_the_final_model(model: SavedModel) -> None:
    known = replace(
        model.reference,
        probabilities=np.full_like(model.reference.probabilities, np.nan),
        trained=np.zeros(len(model.reference.trained), dtype=bool),
    )
    found = predict_reference(replace(model, reference=known), np.array([3]))
    np.testing.assert_array_equal(
        found.probabilities, model.fusion_model(model.reference.tokens).predict(np.array([3]))
    )
    assert list(found.about["source"]) == ["final model"]
    seen = replace(known, trained=np.ones(len(known.trained), dtype=bool))
    assert (
        "trained on this RNA's label"
        in predict_reference(replace(model, reference=seen), np.array([3])).about["warning"].iloc[0]
    )


def test_modalities_are_those_that_the_networks_hold(model: SavedModel, small_dataset) -> None:
    found = predict_reference(model, np.arange(len(model.reference.index)))
    for name, output in found.about["modalities"].items():
        expected = {
            kind
            for kind, table in small_dataset.associations.items()
            if name in set(table["rna_id"])
        }
        if isinstance(small_dataset.rnas.loc[name, "sequence"], str):
            expected.add("sequence")
        assert set(filter(None, output.split(";"))) == expected


def test_a_reference_sequence_is_the_reference_rna_and_a_new_one_is_not(
    model: SavedModel, small_dataset
) -> None:
    name = next(
        i
        for i in small_dataset.rnas.index
        if isinstance(small_dataset.rnas.loc[i, "sequence"], str)
    )
    sequence = str(small_dataset.rnas.loc[name, "sequence"])
    mature = str(small_dataset.rnas.loc[name, "matures"]).split(";")[0]
    asked = {
        "same": sequence.replace("U", "T").lower(),
        **NEW,
        "form": mature,
        "nearly": sequence[1:],
    }
    found = predict_sequences(model, list(asked), list(asked.values()))
    about = found.about
    assert list(about.index) == list(asked)
    assert about.loc["same", "known_as"] == name
    assert about.loc["form", "known_as"] != ""
    assert about.loc["same", "source"] == OUT_OF_FOLD
    assert list(about.loc[["stranger", "short", "nearly"], "source"]) == [SEQUENCE_ALONE] * 3
    assert about.loc["nearly", "nearest"] == name
    assert about.loc["nearly", "similarity"] > 0.9
    assert about.loc["nearly", "warning"] == ""
    assert "8 nt" in about.loc["short", "warning"]
    row = list(asked).index("same")
    np.testing.assert_array_equal(
        found.probabilities[row],
        predict_reference(model, resolve_names(model, [name])).probabilities[0],
    )


def test_a_prediction_does_not_depend_on_other_queries_or_their_order(model: SavedModel) -> None:
    together = predict_sequences(model, list(NEW), list(NEW.values()))
    turned = predict_sequences(model, list(NEW)[::-1], list(NEW.values())[::-1])
    alone = predict_sequences(model, ["stranger"], [NEW["stranger"]])
    np.testing.assert_allclose(together.probabilities, turned.probabilities[::-1], atol=1e-7)
    np.testing.assert_allclose(together.probabilities[:1], alone.probabilities, atol=1e-7)
    pd.testing.assert_frame_equal(together.about.iloc[:1], alone.about)


def test_names_are_found_however_they_are_written_and_unknown_ones_get_suggestions(
    model: SavedModel,
) -> None:
    name = model.reference.index.ids[4]
    np.testing.assert_array_equal(
        resolve_names(model, [name, name.upper(), name + "-5p"]), [4, 4, 4]
    )
    with pytest.raises(InputError, match=f"did you mean .*{model.reference.index.ids[0][:7]}"):
        resolve_names(model, [name + "9"])
    with pytest.raises(InputError, match=r"RNAs\)\. Pass the sequence of a new RNA"):
        resolve_names(model, ["nothing like it"])


def test_without_a_cold_start_model_a_new_sequence_is_refused(model: SavedModel) -> None:
    with pytest.raises(ConfigError, match="no cold-start model"):
        predict_sequences(replace(model, cold_start=None), ["stranger"], [NEW["stranger"]])


def test_the_command_as_a_person_types_it(run, model: SavedModel, tmp_path) -> None:
    fasta = tmp_path / "new.fa"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in NEW.items()))
    names = tmp_path / "names.tsv"
    names.write_text(
        "rna_id\tx\n" + "\n".join(f"{name}\t1" for name in model.reference.index.ids[:3]) + "\n"
    )
    runner = CliRunner()
    done = runner.invoke(
        app, ["predict", "--run", str(run), "--fasta", str(fasta), "--out", str(tmp_path / "p.tsv")]
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "p.tsv", sep="\t", keep_default_na=False)
    assert list(table.columns[: len(model.compartments) + 5]) == [
        "query",
        "rna_id",
        "accession",
        "match",
        *model.compartments,
        "called",
    ]
    assert list(table["query"]) == list(table["rna_id"]) == list(NEW)
    assert set(table["match"]) == {"new"}
    done = runner.invoke(
        app, ["predict", "--run", str(run), "--ids", str(names), "--format", "json", "-q"]
    )
    output = json.loads(done.stdout)
    assert [record["rna_id"] for record in output] == list(model.reference.index.ids[:3])
    assert 0 <= output[0]["compartments"][model.compartments[0]]["probability"] <= 1
    whole = runner.invoke(app, ["predict", "--run", str(run / "model"), "-q"])
    assert len(whole.stdout.splitlines()) == len(model.reference.index) + 1
    table = runner.invoke(
        app,
        [
            "predict",
            "--run",
            str(run),
            "--rna",
            model.reference.index.ids[0],
            "--format",
            "table",
            "-q",
        ],
    )
    assert "out-of-fold" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rna", "a", "--fasta", "b"], "exclude each other"),
        (["--rna", "a", "--format", "xml"], "--format"),
        (["--rna", "a", "--rna-type", "lncRNA"], "--rna-type"),
    ],
)
def test_wrong_use_is_refused(run, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["predict", "--run", str(run), *arguments])
    assert isinstance(done.exception, MirnagraphError)
    assert message in str(done.exception)


def test_only_models_are_opened(tmp_path, run) -> None:
    assert model_folder(run) == run / "model"
    with pytest.raises(CheckpointError, match=r"no model\.json"):
        load(tmp_path)
    (tmp_path / "model.json").write_text('{"format": "pickle"}')
    with pytest.raises(CheckpointError, match="not a model of this program"):
        load(tmp_path)
