"""Rows of predictions: interval by hand, order, selection, and every format read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.io import read_table
from mirnagraph.runs.prediction_table import (
    PredictionRows,
    join_rows,
    logit_interval,
    strongest,
)
from mirnagraph.runs.table_file import (
    PARQUET_KEY,
    Write,
    format_of,
    table_file,
    thresholds_file,
)

NAN = float("nan")


def rows_of(names: list[str], probabilities: list[list[float]]) -> PredictionRows:
    values = np.array(probabilities)
    return PredictionRows(
        pd.DataFrame({"query": names, "rna_id": names}),
        ("Nucleus", "Cytosol"),
        values,
        np.where(np.isnan(values), NAN, 0.04),
        values >= 0.5,
        pd.DataFrame({"warning": [""] * len(names), "similarity": np.linspace(0, 1, len(names))}),
    )


ROWS = rows_of(["=1+1", "b", "c", "d"], [[0.8, 0.1], [0.123456789, 0.9], [0.7, 0.9], [NAN, NAN]])


def test_the_interval_by_hand() -> None:
    """p .5, SD .1: .1 / .25 on the logit scale, 1 / (1 + exp(.784)); p .8, SD .04: .25, odds 4."""
    low, high = logit_interval(np.array([0.5, 0.8]), np.array([0.1, 0.04]))
    np.testing.assert_allclose(low, [0.3134585, 0.7101880], atol=1e-6)
    np.testing.assert_allclose(high, [0.6865415, 0.8671844], atol=1e-6)


@pytest.mark.parametrize(("p", "sd"), [(0.5, NAN), (NAN, 0.1), (0.5, 0.0), (1.0, 0.1), (0.0, 0.1)])
def test_no_spread_no_interval(p: float, sd: float) -> None:
    ends = logit_interval(np.array([p]), np.array([sd]))
    assert np.isnan(ends).all()


def test_the_columns_of_the_table() -> None:
    table = ROWS.to_frame()
    assert list(table.columns) == [
        *["query", "rna_id", "Nucleus", "Cytosol", "called"],
        *["Nucleus low", "Nucleus high", "Cytosol low", "Cytosol high", "warning", "similarity"],
    ]
    assert table["called"].tolist() == ["Nucleus", "Cytosol", "Nucleus;Cytosol", ""]
    assert table["Nucleus low"][0] == pytest.approx(0.710188, abs=1e-6)
    assert table["Cytosol high"][3] is not None
    assert np.isnan(table["Cytosol high"][3])


def test_one_compartment_alone() -> None:
    table = ROWS.select(["cytosol"]).to_frame()
    assert "Nucleus" not in table
    assert table["called"].tolist() == ["", "Cytosol", "Cytosol", ""]
    with pytest.raises(ConfigError, match="no compartment 'Golgi' in the model; it has Nucleus"):
        ROWS.select(["Golgi"])


def test_the_strongest_in_order_and_equal_ones_by_place() -> None:
    best = strongest([ROWS], 9)
    assert best.ids["query"].tolist() == ["b", "c", "=1+1"]
    by_nucleus = strongest([ROWS.select(["Nucleus"])], 2)
    assert by_nucleus.ids["query"].tolist() == ["=1+1", "c"]
    parts = [ROWS.take(np.array([row])) for row in range(4)]
    best_so_far: list[PredictionRows] = []
    for part in parts:
        best_so_far = [strongest([*best_so_far, part], 2)]
    assert best_so_far[0].ids["query"].tolist() == ["b", "c"]


def write_both(write: Write, *parts: PredictionRows) -> None:
    for part in parts:
        write(part)


def written(path: Path, **about: object) -> Path:
    with table_file(path, format_of(path), about or None) as write:
        write(ROWS.take(np.array([0, 1])))
        write(ROWS.take(np.array([2, 3])))
    return path


def test_tsv_reads_back_with_six_digits(tmp_path: Path) -> None:
    path = written(tmp_path / "p.tsv", thresholds={"Nucleus": 0.5})
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    assert table["query"].tolist() == ["'=1+1", "b", "c", "d"]
    assert read_table(path)["query"].tolist() == ["=1+1", "b", "c", "d"]
    assert "\t0.123457\t" in path.read_text()
    assert table["Nucleus"][3] == ""
    about = json.loads(thresholds_file(path).read_text())
    assert about == {"thresholds": {"Nucleus": 0.5}}
    assert thresholds_file(path).name == "p.tsv.thresholds.json"


def test_text_tables_hold_no_formula_and_other_formats_every_name(tmp_path: Path) -> None:
    table = pd.read_csv(written(tmp_path / "p.csv"))
    assert table["query"].tolist() == ["'=1+1", "b", "c", "d"]
    assert table["Nucleus"][0] == 0.8
    assert not thresholds_file(tmp_path / "p.csv").exists()
    for name in ("p.jsonl", "p.json"):
        text = written(tmp_path / name).read_text()
        records = json.loads(text) if name == "p.json" else list(map(json.loads, text.splitlines()))
        assert [record["query"] for record in records] == ["=1+1", "b", "c", "d"]
        assert records[1]["compartments"]["Nucleus"] == {
            "probability": 0.123457,
            "low": pytest.approx(0.06389, abs=1e-5),
            "high": pytest.approx(0.22520, abs=1e-5),
            "uncertainty": 0.04,
            "called": False,
        }
        assert records[3]["compartments"]["Nucleus"]["probability"] is None
        assert records[3]["compartments"]["Nucleus"]["called"] is None


def test_parquet_holds_every_digit_and_the_thresholds(tmp_path: Path) -> None:
    path = written(tmp_path / "p.parquet", thresholds={"Nucleus": 0.5})
    table = parquet.read_table(path)
    assert json.loads(table.schema.metadata[PARQUET_KEY]) == {"thresholds": {"Nucleus": 0.5}}
    frame = table.to_pandas()
    assert frame["Nucleus"][1] == 0.123456789
    assert frame["query"].tolist() == ["=1+1", "b", "c", "d"]
    assert not thresholds_file(path).exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("old")
    broken = replace(ROWS, ids=ROWS.ids.iloc[:1], probabilities=np.zeros((2, 3)))
    with pytest.raises(ValueError), table_file(path, "tsv", {"a": 1}) as write:
        write_both(write, ROWS, broken)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.tsv"]
    assert path.read_text() == "old"


def test_names_with_tabs_and_quotes_read_back(tmp_path: Path) -> None:
    names = ["a\tb", 'say "c"', "line\nend"]
    with table_file(tmp_path / "p.tsv", "tsv") as write:
        write(rows_of(names, [[0.1, 0.2]] * 3))
    assert pd.read_csv(tmp_path / "p.tsv", sep="\t")["query"].tolist() == names


def test_a_packed_file_and_a_folder(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv.gz")
    first = path.read_bytes()
    assert first.startswith(b"\x1f\x8b")
    assert pd.read_csv(path)["query"].tolist() == ["'=1+1", "b", "c", "d"]
    assert written(path).read_bytes() == first
    with pytest.raises(InputError, match="the output file is a folder"):
        written(tmp_path)


def test_joined_rows_are_the_parts() -> None:
    parts = [ROWS.take(np.array([0])), ROWS.take(np.array([1, 2, 3]))]
    pd.testing.assert_frame_equal(join_rows(parts).to_frame(), ROWS.to_frame())


def test_formats_by_suffix() -> None:
    assert format_of(None) == "tsv"
    names = ["a.TSV", "a.csv.gz", "a.ndjson", "a.pq", "a.json", "a", "a.gz"]
    assert [format_of(Path(name)) for name in names] == [
        *["tsv", "csv", "jsonl", "parquet", "json", "tsv", "tsv"]
    ]


@pytest.mark.parametrize("content", ["my notes", '{"name": "x"}', None])
def test_thresholds_replace_thresholds_alone(tmp_path: Path, content: str | None) -> None:
    """Nobody names this file on the command line; a link to someone's table counts as one."""
    path = tmp_path / "p.tsv"
    other = thresholds_file(path)
    if content is None:
        (tmp_path / "labels.tsv").write_text("rna_id\n")
        other.symlink_to("labels.tsv")
    else:
        other.write_text(content)
    with (
        pytest.raises(InputError, match=r"p.tsv.thresholds.json: a file of someone else"),
        table_file(path, "tsv", {"thresholds": {}}),
    ):
        pass
    assert (path.exists(), other.read_text()) == (False, content or "rna_id\n")
    other.unlink()
    for value in (0.5, 0.6):
        with table_file(path, "tsv", {"thresholds": value}):
            pass
        assert json.loads(other.read_text()) == {"thresholds": value}
