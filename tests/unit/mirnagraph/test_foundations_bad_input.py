"""Bad input of the base modules: one sentence with file, line, column, found and expected."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.config import require
from mirnagraph.dataset import Dataset
from mirnagraph.errors import (
    ConfigError,
    InputError,
    MissingExtraError,
    counted,
    import_extra,
    raise_problems,
)
from mirnagraph.io import (
    check_output_folder,
    read_text,
    sha256_of_folder,
    write_file,
    write_folder,
    write_text,
    write_tsv,
)
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.table import read_rows, read_table


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 RNAs"), (1, "1 RNA"), (2, "2 RNAs"), (200, "200 RNAs")]
)
def test_a_count_of_one_has_a_singular_noun(n: int, text: str) -> None:
    assert counted(n, "RNA") == text


def small() -> Dataset:
    rnas = pd.DataFrame(
        {"sequence": ["ACGU", None, "GGGNA"], "family": ["1", "1", "b"]},
        index=pd.Index(["r1", "r2", "r3"], name="rna_id", dtype=object),
    )
    return Dataset(
        name="small",
        rnas=rnas,
        associations={
            "disease": pd.DataFrame(
                {
                    "rna_id": ["r1", "r3"],
                    "partner_id": ["flu", "flu"],
                    "n_records": [2, 1],
                    "pmids": ["11", "12"],
                }
            )
        },
        partners={
            "disease": pd.DataFrame(
                {"descriptor_ids": ["D1", ""]},
                index=pd.Index(["flu", "cold"], name="partner_id", dtype=object),
            )
        },
        labels=pd.DataFrame(
            [[1, 0], [0, 0], [1, 1]],
            index=rnas.index,
            columns=["Nucleus", "Cytoplasm"],
            dtype="int8",
        ),
        left_out=pd.DataFrame(
            [("sequence", "r2", "unknown", "made up")], columns=["item", "id", "reason", "source"]
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small().save(tmp_path / "data")


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


CASES = {
    "letters outside ACGTUN": (
        "rnas.tsv",
        lambda t: t.replace("GGGNA", "GGXNA"),
        r"rnas.tsv, line 4, column 'sequence': invalid nucleotide.*r3.*position 3; found X",
    ),
    "empty id": (
        "rnas.tsv",
        lambda t: t.replace("r2\t", "\t"),
        r"rnas.tsv, line 3, column 'rna_id': empty id",
    ),
    "duplicate id": (
        "rnas.tsv",
        lambda t: t.replace("r2\t", "r1\t"),
        r"rnas.tsv, line 3, column 'rna_id': duplicate id; found r1, expected .*first on line 2",
    ),
    "unknown RNA": (
        "associations.disease.tsv",
        lambda t: t.replace("r3\t", "r9\t"),
        r"associations.disease.tsv, line 3, column 'rna_id': an association names an unknown "
        r"id; found r9, expected an id of rnas.tsv",
    ),
    "unknown partner": (
        "associations.disease.tsv",
        lambda t: t.replace("r3\tflu", "r3\tpox"),
        r"line 3, column 'partner_id': an association names an unknown id; found pox, expected "
        r"an id of partners.disease.tsv",
    ),
    "association twice": (
        "associations.disease.tsv",
        lambda t: t.replace("r3\t", "r1\t"),
        r"line 3: a duplicate association; found r1 - flu",
    ),
    "label for an unknown RNA": (
        "labels.tsv",
        lambda t: t.replace("r3\t", "r9\t"),
        r"labels.tsv, line 4, column 'rna_id': a label for an unknown RNA; found r9",
    ),
    "no label line": (
        "labels.tsv",
        lambda t: t.replace("r3\t1\t1\n", ""),
        r"labels.tsv: RNAs without a line in the label table; found 1, the first r3",
    ),
    "not a label": (
        "labels.tsv",
        lambda t: t.replace("r3\t1", "r3\t2"),
        r"labels.tsv, line 4, column 'Nucleus': not a label; found 2, expected 0 or 1",
    ),
    "missing column": (
        "labels.tsv",
        lambda t: t.replace("Cytoplasm", "Cytosol"),
        r"labels.tsv, line 1, column 'Cytoplasm': missing column; found rna_id, Nucleus, Cytosol",
    ),
    "too few cells": (
        "rnas.tsv",
        lambda t: t.replace("\tb", ""),
        r"rnas.tsv, line 4, column 3: wrong number of cells; found 2, expected 3",
    ),
    "not a number": (
        "associations.disease.tsv",
        lambda t: t.replace("\t2\t", "\ttwo\t"),
        r"line 2, column 'n_records': not a count; found two",
    ),
    "format": (
        "dataset.toml",
        lambda t: t.replace("format_version = 1", "format_version = 9"),
        r"dataset.toml, column 'format_version': unknown dataset format; found 9, expected 1",
    ),
    "compartments": (
        "dataset.toml",
        lambda t: t.replace('"Nucleus"', "3"),
        r"dataset.toml, column 'compartments': missing or wrong setting",
    ),
    "kind outside": (
        "dataset.toml",
        lambda t: t.replace('"disease",', '"../disease",'),
        r"not a name for a kind of association; found ../disease",
    ),
    "not TOML": ("dataset.toml", lambda t: "name", r"dataset.toml: not a TOML file"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_dataset_folder_is_named_by_file_line_and_column(folder: Path, case: str) -> None:
    file, change, message = CASES[case]
    edit(folder / file, change)
    with pytest.raises(InputError, match=message) as caught:
        Dataset.load(folder)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_all_problems_are_told_together(folder: Path) -> None:
    edit(folder / "rnas.tsv", lambda t: t.replace("GGGNA", "GGXNA").replace("ACGU", "ACG!"))
    with pytest.raises(InputError) as caught:
        Dataset.load(folder)
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert "line 2" in lines[0]
    assert "line 4" in lines[1]


def test_folder_that_is_not_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a dataset folder; found no dataset.toml in it"):
        Dataset.load(tmp_path)
    with pytest.raises(InputError, match=r"not a dataset folder; found no such folder"):
        Dataset.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "file", ["rnas.tsv", "labels.tsv", "partners.disease.tsv", "associations.disease.tsv"]
)
def test_missing_empty_and_undecodable_files(folder: Path, file: str) -> None:
    path = folder / file
    content = path.read_bytes()
    for damage, message in (
        (content + b"\xff", r"not a UTF-8 file; found byte 0xff, expected UTF-8"),
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
    ):
        path.write_bytes(damage)
        with pytest.raises(InputError, match=f"{file}.*{message}"):
            Dataset.load(folder)
    path.unlink()
    with pytest.raises(InputError, match=f"{file}: no such file"):
        Dataset.load(folder)


def test_truncated_and_damaged_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(b"a\tb\n" * 1000)
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(packed)
    assert len(read_table(path, ["a"])) == 999
    path.write_bytes(packed[:-9])
    with pytest.raises(InputError, match=r"table.tsv.gz: truncated gzip file"):
        read_text(path)
    middle = len(packed) // 2
    path.write_bytes(packed[:middle] + b"\x00\xff\x00\xff" + packed[middle + 4 :])
    with pytest.raises(InputError, match=r"table.tsv.gz: (damaged|truncated) gzip file"):
        read_text(path)


def test_utf8_place_counts_lines_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"one\ntw\xe9\n")
    with pytest.raises(
        InputError, match=r"t.txt, line 2, column 3: not a UTF-8 file; found byte 0xe9"
    ):
        read_text(path)
    assert read_text(path, fallback="latin-1") == "one\ntwé\n"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert read_text(path) == "a\nb\nc"
    with pytest.raises(InputError, match="expected a file, found a folder"):
        read_text(tmp_path)


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"x,1",2\n', encoding="utf-8")
    table = read_table(path, ["a"], delimiter=",")
    assert table.to_dict("list") == {"a": ["x,1"], "b": ["2"]}
    assert list(table.index) == [2]
    path.write_text('a,b\n"x\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"t.csv, line 2: a quoted cell does not end on its line"):
        read_rows(path, delimiter=",")
    path.write_text("a,a\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1, column 'a': a column name is duplicated"):
        read_table(path, delimiter=",")
    for bad in ({"a": ["x\ty"]}, {"a": ["x\n"]}, {"a\tb": ["x"]}):
        with pytest.raises(InputError, match="tab or line end"):
            write_tsv(pd.DataFrame(bad), tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_output_folder_that_exists_is_refused_and_kept(folder: Path) -> None:
    before = sha256_of_folder(folder)
    with pytest.raises(
        InputError, match=r"data: the output folder exists and is not empty; .*--overwrite"
    ):
        small().save(folder)
    assert sha256_of_folder(folder) == before
    small().save(folder, overwrite=True)
    assert sha256_of_folder(folder) == before
    with pytest.raises(InputError, match="the output folder is a file"):
        check_output_folder(folder / "rnas.tsv")
    (folder.parent / "empty").mkdir()
    small().save(folder.parent / "empty")
    assert sha256_of_folder(folder.parent / "empty") == before


def full_disk(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("broken", ["replace", "to_csv"])
def test_full_disk_leaves_the_old_folder_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    before = sha256_of_folder(folder)
    monkeypatch.setattr(os, "replace", full_disk) if broken == "replace" else monkeypatch.setattr(
        pd.DataFrame, "to_csv", full_disk
    )
    for place in (folder, folder.parent / "new"):
        with pytest.raises(
            InputError,
            match="could not be written: No space left on device; nothing was left half-written",
        ):
            small().save(place, overwrite=True)
    monkeypatch.undo()
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    assert sha256_of_folder(folder) == before


def test_full_disk_at_the_last_step_brings_the_old_folder_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real, calls = sha256_of_folder(folder), os.replace, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            full_disk()
        real(source, target)

    def overwrite() -> None:
        with write_folder(folder, overwrite=True) as part:
            (part / "new").write_text("new", encoding="utf-8")
            monkeypatch.setattr(os, "replace", second_fails)

    with pytest.raises(InputError, match="No space left"):
        overwrite()
    monkeypatch.undo()
    assert sha256_of_folder(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_block_that_fails_leaves_files_and_folders_as_they_were(tmp_path: Path) -> None:
    def half_a_file() -> None:
        with write_file(tmp_path / "a.txt") as part:
            part.write_text("half", encoding="utf-8")
            raise RuntimeError("stop")

    def half_a_folder() -> None:
        with write_folder(tmp_path / "out") as folder:
            (folder / "x").write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="stop"):
        half_a_file()
    with pytest.raises(KeyboardInterrupt):
        half_a_folder()
    assert [(p.name, p.read_text(encoding="utf-8")) for p in tmp_path.iterdir()] == [
        ("a.txt", "old")
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_full(tmp_path: Path) -> None:
    def fill() -> None:
        with write_file(tmp_path / "out.txt"), open("/dev/full", "w", encoding="utf-8") as full:
            full.write("x" * 10)

    with pytest.raises(
        InputError, match=r"out\.txt: could not be written: No space left on device"
    ):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_dataset_made_in_memory_is_checked_too() -> None:
    good = small()

    def remade(**changes: object) -> Dataset:
        parts = {
            name: getattr(good, name)
            for name in ("name", "rnas", "associations", "partners", "labels")
        }
        return Dataset(**(parts | changes))

    pairs = good.associations["disease"]
    for changes, message in (
        ({"rnas": good.rnas.assign(sequence=["ACGU", "", "G"])}, "empty sequence of r2"),
        (
            {"rnas": good.rnas.assign(sequence=["ACGT", None, "G"])},
            "invalid nucleotide in the sequence of r1 at position 4; found T|found T",
        ),
        ({"rnas": good.rnas.drop(columns="sequence")}, "column 'sequence': missing column"),
        (
            {"labels": good.labels.rename(index={"r3": "r9"})},
            "a label for an unknown RNA; found r9",
        ),
        (
            {"labels": good.labels.iloc[[1, 0, 2]]},
            r"label rows are in another order \(row 0\); found r2, expected r1",
        ),
        ({"labels": good.labels.iloc[:2]}, "label rows differ in number; found 2, expected 3"),
        ({"labels": good.labels + 1}, "labels must be 0 or 1"),
        (
            {"associations": {"disease": pairs.assign(rna_id="r9")}},
            "a disease association names an unknown RNA; found r9|found r9",
        ),
        ({"associations": {"disease": pairs.assign(partner_id="pox")}}, "names an unknown disease"),
        (
            {"associations": {"disease": pairs.assign(rna_id="r1")}},
            "a disease association is duplicated; found r1 - flu",
        ),
        ({"associations": {"disease": pairs[["rna_id"]]}}, "lack a column"),
        ({"associations": {}}, "each association kind needs a partner table"),
        (
            {"associations": {"a/b": pairs}, "partners": {"a/b": good.partners["disease"]}},
            "not a name for a kind of association; found a/b",
        ),
        (
            {
                "associations": {**good.associations, "Disease": pairs},
                "partners": {**good.partners, "Disease": good.partners["disease"]},
            },
            "two kinds of association differ in capitals alone; found disease, Disease",
        ),
    ):
        with pytest.raises(InputError, match=message):
            remade(**changes)


def test_node_index() -> None:
    index = NodeIndex.of(["a", "b"], "miRNA")
    assert list(index.positions(["b", "a"])) == [1, 0]
    assert (index + NodeIndex.of(["c"], "drug")).kinds == ("miRNA", "miRNA", "drug")
    for build, message in (
        (lambda: NodeIndex.of(["a", "a"], "x"), "is duplicated; found a"),
        (lambda: NodeIndex.of(["a", " "], "x"), "an id is empty; found row 1"),
        (lambda: NodeIndex(("a",), ()), "one kind per id; found 0 kinds, expected 1"),
        (lambda: index + index, "is duplicated"),
        (lambda: index.position("z"), "unknown id; found z"),
        (
            lambda: index.require_same(NodeIndex.of(["b", "a"], "miRNA")),
            r"another order \(row 0\); found b, expected a",
        ),
        (
            lambda: index.require_same(NodeIndex.of(["a"], "miRNA")),
            "differ in number; found 1, expected 2",
        ),
    ):
        with pytest.raises(InputError, match=message):
            build()
    assert index.checksum != NodeIndex.of(["b", "a"], "miRNA").checksum
    assert index.checksum != NodeIndex.of(["a", "b"], "drug").checksum


def test_errors_say_where_what_and_what_else() -> None:
    error = InputError(
        "wrong", file="t.tsv", line=3, column="x", found="a\x00", expected="b" * 300, hint="do this"
    )
    assert (
        str(error) == f"t.tsv, line 3, column 'x': wrong; found a\\x00, expected {'b' * 200}… (300 "
        f"characters); do this"
    )
    assert str(InputError("wrong", expected=1)) == "wrong; expected 1"
    raise_problems([])
    with pytest.raises(InputError) as caught:
        raise_problems(InputError(f"p{n}", file=f"f{n}") for n in range(25))
    lines = str(caught.value).split("\n")
    assert lines[0] == "f0: p0"
    assert lines[19:] == ["f19: p19", "… and 5 more problems"]
    assert caught.value.file == "f0"
    assert (ConfigError("x").exit_code, InputError("x").exit_code) == (2, 3)
    assert "pip install 'mirnagraph[lm]'" in str(MissingExtraError("transformers", "lm", "this"))
    of_worker = pickle.loads(pickle.dumps(MissingExtraError("transformers", "lm", "this")))
    assert str(of_worker) == str(MissingExtraError("transformers", "lm", "this"))
    assert import_extra("json.decoder", "lm", "this") is json.decoder
    with pytest.raises(MissingExtraError) as missing:
        import_extra("no_such_package.part", "lm", "this")
    assert str(missing.value) == (
        "this needs the extra 'lm': pip install 'mirnagraph[lm]' "
        "(the package 'no_such_package' is not installed)"
    )


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    found = (np.float64("nan"), np.int8(-3), np.True_, np.str_("x"))
    assert str(InputError("wrong", found=found)) == "wrong; found (nan, -3, True, 'x')"
    assert str(InputError("wrong", found=np.float32(0.5))) == "wrong; found 0.5"
    with pytest.raises(ConfigError, match=r"setting .rate. is 2\.5, expected below 1"):
        require(False, "rate", np.float64(2.5), "below 1")
