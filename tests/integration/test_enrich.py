"""`enrich`: a planted list is found, popularity alone is not, and names are counted."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.enrichment import (
    ALL,
    ANNOTATED,
    CALLED,
    MATCHED,
    MEAN,
    enrich,
    enrichment_table,
    find_names,
    popularity_of,
    popularity_of_run,
)
from fusion.models.saved import SavedModel, load_model
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.evaluation.scores import deciles, popularity
from mirnagraph.networks.build import build_networks
from mirnagraph.synthetic import demo_dataset

COMPARTMENTS = ("Planted", "Popular", "Random")


@pytest.fixture(scope="module")
def model(finished_run: Path) -> SavedModel:
    return load_model(finished_run / "model")


def of(table: pd.DataFrame, compartment: str, measure: str, background: str) -> pd.Series:
    is_row = table["compartment"] == compartment
    is_row &= (table["measure"] == measure) & (table["background"] == background)
    (row,) = table[is_row].to_dict("records")
    return pd.Series(row)


@pytest.fixture(scope="module")
def planted() -> pd.DataFrame:
    """400 RNAs; the list is drawn among well studied ones, half of it with the planted label."""
    rng = np.random.default_rng(0)
    studied = rng.permutation(400)
    is_member = np.zeros(400, dtype=bool)
    is_member[rng.choice(np.flatnonzero(studied >= 280), size=40, replace=False)] = True
    by_studied = rng.random(400) < studied / 500
    planted = np.where(is_member, rng.random(400) < 0.6, rng.random(400) < 0.15)
    labels = np.column_stack([planted, by_studied, rng.random(400) < 0.3]).astype(float)
    probabilities = 0.1 + 0.8 * labels
    measures = {ANNOTATED: labels, CALLED: labels, MEAN: probabilities}
    return enrichment_table(measures, is_member, deciles(studied), COMPARTMENTS, 999, rng)


def test_a_planted_compartment_is_found_against_both_backgrounds(planted: pd.DataFrame) -> None:
    for background in (ALL, MATCHED):
        for measure in (ANNOTATED, CALLED):
            row = of(planted, "Planted", measure, background)
            assert row["q"] < 0.01
            assert row["odds_ratio"] > row["low"] > 2
        assert of(planted, "Planted", MEAN, background)["q"] < 0.01
        assert of(planted, "Random", ANNOTATED, background)["q"] > 0.05


def test_what_popularity_explains_goes_away_among_equally_studied_ones(
    planted: pd.DataFrame,
) -> None:
    everyone = of(planted, "Popular", ANNOTATED, ALL)
    equals = of(planted, "Popular", ANNOTATED, MATCHED)
    assert everyone["q"] < 0.01
    assert equals["q"] > 0.05
    assert equals["low"] < 1 < equals["high"]
    assert abs(equals["in_list"] - equals["expected"]) < everyone["in_list"] - everyone["expected"]


def test_counts_and_expectation_of_all_rnas_by_hand() -> None:
    """Two of three with the label, 3 of 6 in the background: 1.5 expected; odds 2 * 2 / (1 * 1)."""
    labels = np.array([[1.0], [1.0], [0.0], [1.0], [0.0], [0.0], [np.nan]])
    member = np.array([True, True, True, False, False, False, True])
    rng = np.random.default_rng(0)
    table = enrichment_table({ANNOTATED: labels}, member, np.zeros(7), ["A"], 99, rng)
    row = of(table, "A", ANNOTATED, ALL)
    counts = [row[name] for name in ("n_list", "in_list", "n_background", "in_background")]
    assert counts == [3, 2, 6, 3]
    assert row["expected"] == 1.5
    assert row["p"] == row["q"] == pytest.approx(1)
    assert of(table, "A", ANNOTATED, MATCHED)["odds_ratio"] == pytest.approx(4)


def test_popularity_of_a_model_is_that_of_its_networks(model: SavedModel, small_dataset) -> None:
    found = popularity_of(model.reference)
    np.testing.assert_allclose(found, popularity(small_dataset))


def test_popularity_of_other_networks_is_refused(
    model: SavedModel, finished_run: Path, in_empty_folder: Path
) -> None:
    build_networks(demo_dataset()).save("networks")
    with pytest.raises(CheckpointError, match="other networks"):
        popularity_of_run(model, finished_run, "networks")


def test_the_list_of_a_compartment_is_rich_in_it(model: SavedModel) -> None:
    reference = model.reference
    names = [reference.index.ids[row] for row in np.flatnonzero(reference.labels[:, 0] == 1)]
    result = enrich(model, [*names, names[0], "hsa-mir-9999"], n_permutations=99)
    row = of(result.table, model.compartments[0], ANNOTATED, ALL)
    assert row["in_list"] == row["n_list"] == row["in_background"] == len(names)
    assert row["odds_ratio"] == np.inf
    assert row["q"] < 0.001
    assert result.members.n_names == len(names) + 1
    assert list(result.members.not_found) == ["hsa-mir-9999"]
    assert "1 name not found and left out: hsa-mir-9999" in result.sentences()
    again = enrich(model, names, n_permutations=99)
    pd.testing.assert_frame_equal(again.table, result.table)


def test_a_background_of_ones_own(model: SavedModel) -> None:
    ids = model.reference.index.ids
    result = enrich(model, [*ids[:5], ids[50]], ids[:30], n_permutations=99)
    assert set(result.table["n_background"]) == {30}
    assert set(result.table["n_list"]) == {5}
    assert "1 RNA of the list not in the background and left out" in result.sentences()
    with pytest.raises(InputError, match="the list is the whole background"):
        enrich(model, ids[:5], ids[:5])
    with pytest.raises(InputError, match="no RNA of the list is in the background"):
        enrich(model, ids[:5], ids[5:9])
    with pytest.raises(InputError, match="no name of the list is an RNA of the model"):
        enrich(model, ["x"])


def test_names_that_stand_for_one_rna_are_one_rna(model: SavedModel) -> None:
    name = model.reference.index.ids[4]
    found = find_names(model, [name, f"{name}-5p", name.upper(), "nothing"])
    assert found.rows.tolist() == [4]
    assert found.n_names == 4
    assert list(found.not_found) == ["nothing"]


def test_the_command(run, finished_run: Path, model: SavedModel) -> None:
    ids = list(model.reference.index.ids)
    Path("list.csv").write_text("miRNA,x\n" + "".join(f"{name},1\n" for name in ids[:8]))
    words = ("enrich", "list.csv", "--run", str(finished_run), "--permutations", "99")
    done = run(*words, "--plot", "bars.png")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("8 RNAs, by annotation, against equally studied RNAs (q < .05): ")
    assert Path("bars.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(io.StringIO(done.stdout), sep="\t")
    assert len(table) == 6 * len(model.compartments)
    assert run(*words, "--seed", "0", "-q").stdout == done.stdout
    assert run(*words, "--seed", "1", "-q").stdout != done.stdout
    assert run(*words, "--out", "t.jsonl", "-q").returncode == 0
    records = list(map(json.loads, Path("t.jsonl").read_text().splitlines()))
    assert [record["p"] for record in records] == pytest.approx(table["p"].tolist())


def test_strict_names_what_is_not_found(run, finished_run: Path, model: SavedModel) -> None:
    known = model.reference.index.ids[0]
    Path("list.txt").write_text(f"{known}\nnothing\n")
    words = ("enrich", "list.txt", "--run", str(finished_run), "--out", "t.tsv")
    strict = run(*words, "--strict")
    assert strict.returncode == 3
    assert "list.txt, line 2: 1 of 2 names not found: unknown RNA 'nothing'" in strict.stderr
    assert not Path("t.tsv").exists()
    loud = run(*words, "--permutations", "99", "--verbose")
    assert loud.returncode == 0
    assert "left out: nothing (unknown RNA 'nothing'" in loud.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "the file is empty"),
        ("rna_id\n", "no name in the file"),
        ("nothing\n", "list.txt, line 1: 1 of 1 name not found: unknown RNA 'nothing'"),
        (">a\nACGU\n", "list.txt, lines 1, 2: 2 of 2 names not found: unknown RNA '>a'"),
    ],
)
def test_lists_that_cannot_be_compared(
    run, finished_run: Path, content: str, sentence: str
) -> None:
    Path("list.txt").write_text(content)
    done = run("enrich", "list.txt", "--run", str(finished_run), "--out", "t.tsv")
    assert (done.returncode, sentence in done.stderr) == (3, True)
    assert not Path("t.tsv").exists()
