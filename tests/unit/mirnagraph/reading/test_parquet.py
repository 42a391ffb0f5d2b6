"""Parquet files of sequences and labels, in parts; each error one sentence with row and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.reading import parquet
from mirnagraph.reading.parquet import count_parquet, is_parquet, read_parquet
from mirnagraph.sources.fasta import count_fasta, read_fasta, stream_fasta
from seqtower.data.labels import read_labels
from seqtower.data.load import Source, training_data

RNAS = {"id": ["a", "b", "c", "d"], "sequence": ["ACGT", "acgun", "GGG", "UUU"]}


def written(path: Path, **columns: Any) -> Path:
    pd.DataFrame(columns).to_parquet(path, row_group_size=2)
    return path


def source(fasta: Path, **options: Any) -> Source:
    labels = options.pop("labels", None)
    columns = options.pop("columns", ())
    return Source(fasta, labels, None, None, columns, "none", "error", **options)


def test_rows_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.parquet", **RNAS, n=[1, 2, None, 4])
    monkeypatch.setattr(parquet, "ROWS", 3)
    parts = list(read_parquet(path, ["n", "id"]))
    assert len(parts) == 2
    assert max(len(part["id"]) for part in parts) <= 3
    assert [name for part in parts for name in part["id"]] == RNAS["id"]
    assert [value for part in parts for value in part["n"]] == [1, 2, None, 4]
    assert count_parquet(path) == 4
    assert is_parquet(path)
    assert not is_parquet(tmp_path)
    assert not is_parquet("-")


def test_sequences_are_read_as_those_of_fasta(tmp_path: Path) -> None:
    path = written(tmp_path / "x.other", **RNAS)
    fasta = tmp_path / "x.fa"
    fasta.write_text("".join(f">{n}\n{s}\n" for n, s in zip(*RNAS.values(), strict=True)))
    table = read_fasta(path)
    assert table["sequence"].tolist() == ["ACGU", "ACGUN", "GGG", "UUU"]
    assert table["line"].tolist() == [1, 2, 3, 4]
    columns = ["id", "description", "sequence"]
    pd.testing.assert_frame_equal(table[columns], read_fasta(fasta)[columns])
    assert count_fasta(path) == 4
    numbered = written(tmp_path / "n.parquet", id=[7, 8], sequence=["ACR", "A"])
    assert [(r.id, r.sequence) for r in stream_fasta(numbered, iupac="n")] == [
        ("7", "ACN"),
        ("8", "A"),
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"id": ["a"]}, "column 'sequence': a column is missing; found id$"),
        ({"id": ["a"], "sequence": [5]}, "line 1, column 'sequence': no text; found int, expec"),
        ({"id": ["a", None], "sequence": ["A", "C"]}, "line 2, column 'id': a row without an id"),
        ({"id": ["a", "b"], "sequence": ["A", None]}, "line 2.*empty sequence of b"),
        ({"id": ["a", "a"], "sequence": ["A", "A"]}, "line 2.*duplicate id.*first on line 1"),
        ({"id": ["a", "b"], "sequence": ["A", "AXA"]}, "line 2, column 2: invalid nucleotide"),
    ],
)
def test_a_wrong_cell_is_named(columns: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", **columns)
    with pytest.raises(InputError, match=sentence) as raised:
        read_fasta(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_cut_or_damaged_file_is_one_sentence(kept: float, tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", **RNAS)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(
        InputError, match=r"x\.parquet: a Parquet file that is cut or damaged"
    ) as cut:
        read_fasta(path)
    assert "\n" not in str(cut.value)
    middle = bytearray(content)
    middle[4:40] = bytes(36)
    path.write_bytes(bytes(middle))
    with pytest.raises(InputError, match=r"x\.parquet"):
        read_fasta(path)
    with pytest.raises(InputError, match="no such file"):
        count_parquet(tmp_path / "none.parquet")


def test_labels_are_columns_of_the_same_file(tmp_path: Path) -> None:
    labels = {"Nucleus": [1, 0, None, 1], "Cytosol": [False, True, None, True]}
    path = written(tmp_path / "set.parquet", **RNAS, **labels, gene=list("xxyz"))
    data, name, synthetic = training_data(source(path, columns=("Nucleus", "Cytosol")))
    assert (name, synthetic, data.kind) == ("set", False, "multi-label")
    assert data.index.ids == ("a", "b", "d"), "c has no label"
    np.testing.assert_array_equal(data.labels, [[1, 0], [0, 1], [1, 1]])
    assert data.sequences == ("ACGU", "ACGUN", "UUU")
    with pytest.raises(ConfigError, match="no column 'Golgi'; columns after the id: Nucleus, Cyt"):
        training_data(source(path, columns=("Golgi",)))
    classes = written(tmp_path / "c.parquet", **RNAS, place=["Nucleus", "NA", "Cytosol", "nucleus"])
    assert training_data(source(classes))[0].compartments == ("Cytosol", "Nucleus")
    typed = written(tmp_path / "t.parquet", **RNAS, place=list("nnmm"), kind=["lncRNA", "mRNA"] * 2)
    data = training_data(source(typed, type_column="kind"))[0]
    assert data.types == ("lncRNA", "mRNA", "lncRNA", "mRNA")
    fractions = written(tmp_path / "f.parquet", **RNAS, x=[0.25, 1, 0, 0.5], y=[0.75, 0, 1, 0.5])
    assert training_data(source(fractions))[0].kind == "fractions"
    other = tmp_path / "labels.tsv"
    other.write_text("name\tplace\na\tn\nb\tm\n")
    assert len(training_data(source(path, labels=other))[0]) == 2


def test_a_column_of_no_texts_or_numbers_is_no_label(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", **RNAS, place=[["a"], ["b"], ["c"], ["d"]])
    with pytest.raises(InputError, match="line 1, column 'place': neither a text nor a number"):
        read_labels(path)
    fasta = tmp_path / "x.fa"
    fasta.write_text(">a\nACGU\n")
    with pytest.raises(ConfigError, match="a Parquet file may hold them itself"):
        training_data(source(fasta))
