"""`predict` on names, lists and FASTA files of any size: chunks, formats, order, bad streams."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.export.load import load
from fusion.models.saved import SavedModel, load_model
from fusion.streaming import StreamCounts, stream_names, stream_predictions
from mirnagraph.errors import InputError
from mirnagraph.runs.prediction_table import PredictionRows, join_rows
from mirnagraph.sources.fasta import FastaRecord


@pytest.fixture(scope="module")
def model(finished_run: Path) -> SavedModel:
    return load_model(finished_run / "model")


@pytest.fixture(scope="module")
def records(small_dataset) -> list[FastaRecord]:
    """Known RNAs among 30 random ones."""
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGU"), size=n)) for n in rng.integers(50, 120, size=30)]
    known = [text for text in small_dataset.rnas["sequence"] if isinstance(text, str)][:5]
    sequences[3:3] = known
    return [FastaRecord(f"q{n}", "", text, n) for n, text in enumerate(sequences)]


def fasta_of(records: list[FastaRecord]) -> str:
    return "".join(f">{record.id}\n{record.sequence}\n" for record in records)


def streamed(model: SavedModel, records: list[FastaRecord], size: int) -> PredictionRows:
    return join_rows(list(stream_predictions(model, records, StreamCounts(), chunk_rnas=size)))


def test_the_size_of_a_chunk_changes_nothing(model: SavedModel, records) -> None:
    """Up to the last digits: sums over a batch of another size are taken in another order."""
    whole = streamed(model, records, 1000)
    assert whole.ids["query"].tolist() == [record.id for record in records]
    for size in (1, 7, 34):
        parts = streamed(model, records, size)
        np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)
        np.testing.assert_allclose(parts.uncertainty, whole.uncertainty, atol=1e-6)
        pd.testing.assert_frame_equal(parts.details, whole.details)
        np.testing.assert_array_equal(parts.called, whole.called)


def test_no_more_than_a_chunk_is_held(model: SavedModel, records) -> None:
    """The next chunk is read only when the rows of the last one were taken."""
    n_read = 0

    def counted() -> Iterator[FastaRecord]:
        nonlocal n_read
        for record in records:
            n_read += 1
            yield record

    seen: list[tuple[str, int, int]] = []
    parts = stream_predictions(
        model,
        counted(),
        StreamCounts(),
        chunk_rnas=10,
        progress=lambda *state: seen.append(state),
    )
    assert len(next(parts)) == 10
    assert n_read == 11
    assert len(next(parts)) == 10
    assert n_read == 21
    assert [len(part) for part in parts] == [10, 5]
    assert seen == [("Predicting", n, 0) for n in (10, 20, 30, 35)] + [("Predicting", 35, 35)]


def test_chunks_of_a_tower_and_what_it_read(project: Path) -> None:
    tower = load(project / "tests" / "golden" / "tower_v1")
    lengths = [30, 500, 12, 90, 3]
    records = [FastaRecord(f"r{n}", "", "ACGUUGCA" * n, 1) for n in lengths]
    records.append(FastaRecord("n", "", "NNNN", 1))
    counts = StreamCounts()
    whole = join_rows(list(stream_predictions(tower, records, counts)))
    parts = list(stream_predictions(tower, records, StreamCounts(), chunk_rnas=2))
    np.testing.assert_allclose(join_rows(parts).probabilities, whole.probabilities, atol=1e-6)
    assert whole.details["length"].tolist() == [*(8 * n for n in lengths), 4]
    assert whole.details["warning"].tolist()[-1].endswith("no nucleotide but N")
    assert counts.reading.n_rnas == 6
    assert counts.reading.n_empty == 1
    assert np.isnan(whole.interval()).all()


def test_a_long_sequence_is_a_chunk_of_its_own(model: SavedModel, monkeypatch) -> None:
    monkeypatch.setattr("fusion.streaming.CHUNK_NUCLEOTIDES", 100)
    records = [
        FastaRecord(name, "", "ACGU" * n, 1)
        for name, n in zip("abcd", [10, 10, 10, 40], strict=True)
    ]
    parts = list(stream_predictions(model, records, StreamCounts()))
    assert [part.ids["query"].tolist() for part in parts] == [["a", "b"], ["c"], ["d"]]


def test_chunks_of_names_are_all_of_them(model: SavedModel, monkeypatch) -> None:
    names = [*model.reference.index.ids[:5], "nothing"]
    whole = join_rows(list(stream_names(model, names, StreamCounts())))
    monkeypatch.setattr("fusion.streaming.CHUNK_NAMES", 4)
    seen: list[tuple[str, int, int]] = []
    counts = StreamCounts()
    parts = stream_names(model, names, counts, progress=lambda *state: seen.append(state))
    pd.testing.assert_frame_equal(join_rows(list(parts)).to_frame(), whole.to_frame())
    assert seen == [("Predicting", 4, 6), ("Predicting", 6, 6)]
    assert (counts.n_rnas, list(counts.unanswered)) == (6, ["nothing"])
    strict = stream_names(model, names, StreamCounts(), strict=True)
    with pytest.raises(InputError, match="nothing"):
        next(strict)


def test_names_as_arguments(run, finished_run: Path, model: SavedModel) -> None:
    names = model.reference.index.ids[:2]
    done = run("predict", *names, "--run", str(finished_run))
    assert done.returncode == 0, done.stderr
    assert "trained on synthetic data" in done.stderr
    table = pd.read_csv(io.StringIO(done.stdout), sep="\t", keep_default_na=False)
    assert table["query"].tolist() == list(names)
    first = model.compartments[0]
    assert table[first][0] == pytest.approx(model.reference.probabilities[0, 0], rel=1e-5)
    assert (table[f"{first} low"] < table[first]).all()
    assert (table[first] < table[f"{first} high"]).all()
    alias = run("predict", "--rna", names[0], "--rna", names[1], "--run", str(finished_run))
    assert alias.stdout == done.stdout
    both = run("predict", names[0], "--ids", "x.txt", "--run", str(finished_run))
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)


def test_the_rnas_of_a_dataset(run, project: Path, finished_run: Path, small_dataset) -> None:
    """By their sequences, in the order of the dataset, by either kind of model."""
    small_dataset.save(Path("own"))
    sequences = small_dataset.rnas["sequence"].dropna()
    done = run("predict", "--data", "own", "--run", str(finished_run))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(io.StringIO(done.stdout), sep="\t")
    assert table["query"].tolist() == list(sequences.index)
    fasta = "".join(f">{name}\n{text}\n" for name, text in sequences.items())
    Path("x.fa").write_text(fasta)
    assert run("predict", "--fasta", "x.fa", "--run", str(finished_run)).stdout == done.stdout
    tower = ("seq", "predict", "--run", str(project / "tests" / "golden" / "tower_v1"))
    by_tower = run(*tower, "--data", "own")
    assert by_tower.returncode == 0, by_tower.stderr
    assert run(*tower, "--fasta", "x.fa").stdout == by_tower.stdout
    both = run(*tower, "--data", "own", "--fasta", "x.fa")
    assert (both.returncode, run(*tower).returncode) == (2, 2)
    assert "expected --fasta FILE or --data DATASET, one of them" in both.stderr


def test_a_dataset_without_a_sequence(run, finished_run: Path, small_dataset) -> None:
    rnas = small_dataset.rnas.assign(sequence=None)
    replace(small_dataset, rnas=rnas).save(Path("none"))
    ended = run("predict", "--data", "none", "--run", str(finished_run), "--out", "p.tsv")
    assert ended.returncode == 3
    assert "none: no RNA of the dataset has a sequence" in ended.stderr
    assert not Path("p.tsv").exists()
    rnas.iloc[:2, rnas.columns.get_loc("sequence")] = "ACGUACGUACGUACGU"
    replace(small_dataset, rnas=rnas).save(Path("two"))
    ended = run("predict", "--data", "two", "--run", str(finished_run))
    n_left_out = len(rnas) - 2
    assert f"{n_left_out} RNAs of two without a sequence left out" in ended.stderr
    assert len(ended.stdout.splitlines()) == 3


def test_a_table_of_names_and_the_standard_input(
    run, finished_run: Path, model: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(model.reference.index.ids[:3])
    text = '"miRNA","log2FC"\n' + "".join(f'"{name}",1.5\n' for name in names)
    Path("names.csv").write_text(text)
    words = ("predict", "--run", str(finished_run), "--ids")
    by_file = run(*words, "names.csv")
    assert by_file.returncode == 0, by_file.stderr
    assert [line.split("\t")[0] for line in by_file.stdout.splitlines()[1:]] == names
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run(*words, "-").stdout == by_file.stdout


def test_unknown_names_of_a_table_are_told_with_their_lines(
    run, finished_run: Path, model: SavedModel
) -> None:
    first = model.reference.index.ids[0]
    Path("names.txt").write_text(f"rna_id\n{first}\nbogus-1\n{first}\nbogus-2\n")
    words = ("predict", "--run", str(finished_run), "--ids", "names.txt")
    done = run(*words)
    where = "names.txt, lines 3, 5"
    assert f"2 names without a prediction: bogus-1, bogus-2 ({where})\n" in done.stderr
    strict = run(*words, "--strict")
    assert strict.returncode == 3
    assert strict.stderr.startswith(f"Error: {where}: 2 of 4 names have no answer: ")


def test_every_format_holds_the_same_rows(run, finished_run: Path, records) -> None:
    Path("q.fa.gz").write_bytes(gzip.compress(fasta_of(records).encode()))
    words = ("predict", "--run", str(finished_run), "--fasta", "q.fa.gz", "-q", "--out")
    for name in ("p.tsv", "p.csv", "p.jsonl", "p.parquet", "p.json"):
        done = run(*words, name)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
    tsv = pd.read_csv("p.tsv", sep="\t")
    pd.testing.assert_frame_equal(pd.read_csv("p.csv"), tsv)
    by_column = pd.read_parquet("p.parquet")
    assert list(by_column.columns) == list(tsv.columns)
    np.testing.assert_allclose(by_column["similarity"], tsv["similarity"], rtol=1e-5)
    lines = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert lines == json.loads(Path("p.json").read_text())
    assert [line["query"] for line in lines] == [record.id for record in records]
    about = json.loads(Path("p.tsv.thresholds.json").read_text())
    name = next(iter(lines[0]["compartments"]))
    assert about["thresholds"]["sequence alone"][name] > 0
    is_alone = tsv["source"] == "sequence alone"
    called = tsv["called"].fillna("").str.split(";").map(lambda names: name in names)
    threshold = about["thresholds"]["sequence alone"][name]
    assert (called[is_alone] == (tsv[name] >= threshold)[is_alone]).all()


def test_the_strongest_by_one_compartment(run, finished_run: Path, model: SavedModel) -> None:
    name = model.compartments[1]
    words = ("predict", "--run", str(finished_run), "--compartment", name.lower(), "-q")
    best = pd.read_csv(io.StringIO(run(*words, "--top", "4").stdout), sep="\t")
    every = pd.read_csv(io.StringIO(run(*words).stdout), sep="\t")
    assert len(best) == 4
    expected = every.sort_values(name, ascending=False, kind="stable").head(4)
    assert best["query"].tolist() == expected["query"].tolist()
    assert not set(model.compartments) - {name} & set(best.columns)
    wrong = run(*words[:3], "--compartment", "Golgi")
    assert (wrong.returncode, "no compartment 'Golgi'" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(b">a\nACGU\n>b\nACGUACGU\n" * 30, mtime=0)[:-12], "truncated gzip file"),
        (b">a\nACGU\n>b\n", "empty sequence of b"),
        (b">a\nACGU\n>a\nACGU\n", "duplicate id"),
        (b"", "the file is empty"),
        (b">a\nACGU\n>b\nAC*U\n", "invalid nucleotide in the sequence of b"),
    ],
)
def test_a_bad_file_leaves_nothing_half_written(
    run, finished_run: Path, monkeypatch, content: bytes, sentence: str, piped: bool
) -> None:
    Path("q.fa").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    source = "-" if piped else "q.fa"
    done = run("predict", "--run", str(finished_run), "--fasta", source, "--out", "p.tsv", "-q")
    assert done.returncode == 3
    assert sentence in done.stderr
    assert done.stderr.startswith("Error: standard input" if piped else "Error: q.fa")
    assert [path.name for path in Path().iterdir()] == ["q.fa"]
    shown = run("predict", "--run", str(finished_run), "--fasta", "q.fa", "-q")
    assert (shown.returncode, shown.stdout) == (3, ""), "a file is checked before the first row"


def test_an_rna_without_associations_says_so(model: SavedModel) -> None:
    from dataclasses import replace

    from fusion.models.predict import predict_reference
    from fusion.streaming import NO_PARTNERS, prediction_rows

    predictions = predict_reference(model, np.arange(2))
    about = predictions.about.assign(modalities=["sequence", "sequence;disease"])
    rows = prediction_rows(model, replace(predictions, about=about))
    assert rows.details["warning"].tolist() == [NO_PARTNERS, ""]


def test_unknown_names_are_rows_and_strict_refuses_them(
    run, finished_run: Path, model: SavedModel
) -> None:
    words = ("predict", model.reference.index.ids[0], "hsa-mir-9999", "--run", str(finished_run))
    done = run(*words)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(io.StringIO(done.stdout), sep="\t", keep_default_na=False)
    assert table["match"].tolist() == ["id", "unknown"]
    assert table["query"].tolist() == list(words[1:3])
    assert "hsa-mir-9999" in table["warning"][1]
    assert table[model.compartments[0]][1] == table["rna_id"][1] == ""
    assert "1 name without a prediction: hsa-mir-9999" in done.stderr
    strict = run(*words, "--strict", "--out", "p.tsv")
    assert (strict.returncode, strict.stdout) == (3, "")
    assert "hsa-mir-9999" in strict.stderr
    assert not Path("p.tsv").exists()
