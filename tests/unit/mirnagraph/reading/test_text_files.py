"""One reader of text: compression, encodings, control characters, plain letters."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mirnagraph.config import load_toml
from mirnagraph.errors import InputError
from mirnagraph.measurements import read_values
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.table import read_rows
from mirnagraph.reading.text import plain, read_lines, read_text
from mirnagraph.sources.delimited import read_columns
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.mesh import read_mesh
from mirnagraph.sources.name_list import read_name_list
from seqtower.data.labels import read_labels

FASTA = b">hsa-mir-21 x\nUAGCUUAUCAGACUGAUGUUGACU\n>b\nACGUACGU\n"
NAMES = b"hsa-mir-21\nhsa-let-7a-1\n"
LABELS = b"id\tNucleus\tCytoplasm\na\t1\t0\nb\t0\t1\nc\t1\t1\n"
VALUES = b"rna\ts1\ts2\na\t100\t0\nb\t7\t1\n"
MESH = b"Neoplasms;C04\nLung Neoplasms;C04.588\n"
TABLE = b"mirna\tdisease\nhsa-mir-21\tflu\n"


def columns_of(path: Path) -> list[list[str]]:
    names = {"mirna": ("mirna",), "disease": ("disease",)}
    return read_columns(path, names, list(names)).to_numpy().tolist()


READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "FASTA": (FASTA, lambda path: read_fasta(path)[["id", "sequence"]].to_numpy().tolist()),
    "list": (NAMES, read_name_list),
    "labels": (LABELS, lambda path: read_labels(path).values.to_numpy().tolist()),
    "values": (VALUES, lambda path: read_values(path, "RPM").to_numpy().tolist()),
    "tree": (MESH, lambda path: read_mesh(path).to_numpy().tolist()),
    "source": (TABLE, columns_of),
}

every_reader = pytest.mark.parametrize("name", list(READERS))


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


PACKED = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


def refused(path: Path, name: str, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        READERS[name][1](path)
    return str(error.value)


@every_reader
@pytest.mark.parametrize("how", list(PACKED))
def test_compressed_files_are_read_by_their_first_bytes(
    tmp_path: Path, name: str, how: str
) -> None:
    content, read = READERS[name]
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    expected = read(path)
    packed = PACKED[how](content)
    path.write_bytes(packed)
    assert read(path) == expected
    assert f"truncated {how} file" in refused(path, name, packed[:-6])
    twice = f"not a text file; found {how} within {how}"
    assert twice in refused(path, name, PACKED[how](packed))


@pytest.mark.parametrize("how", list(PACKED))
def test_packed_files_behind_each_other_are_all_read_or_refused(tmp_path: Path, how: str) -> None:
    """bz2 and lzma take what they cannot unpack behind the first stream for padding."""
    first = PACKED[how](b"a\n")
    second = PACKED[how](b"b\n" * 99)
    path = tmp_path / "x"
    path.write_bytes(first + PACKED[how](b"") + second)
    assert list(read_lines(path)) == ["a", *["b"] * 99, ""]
    path.write_bytes(first + b"hello")
    with pytest.raises(InputError, match=f"x: damaged {how} file"):
        list(read_lines(path))
    path.write_bytes(first + second[:-5])
    with pytest.raises(InputError, match=f"x: (truncated|damaged) {how} file"):
        list(read_lines(path))
    if how != "zstd":  # zeros up to the end of a tape or block
        path.write_bytes(first + bytes(5000))
        assert list(read_lines(path)) == ["a", ""]


@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz"])  # pyarrow writes zstd without checksums
def test_damaged_compressed_files_are_said_to_be_damaged(tmp_path: Path, how: str) -> None:
    noise = np.random.default_rng(0).integers(32, 126, 4000, dtype=np.uint8).tobytes()
    packed = bytearray(PACKED[how](noise + b"\n"))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "x"
    path.write_bytes(bytes(packed))
    with pytest.raises(InputError, match=rf"x: (damaged|truncated) {how} file"):
        list(read_lines(path))


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return stream.getvalue()


BINARY = {
    "an Excel workbook, .*save the sheet as tab-separated text": archive("xl/workbook.xml"),
    "an Excel workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "a Word document, .*save it as plain text": archive("word/document.xml"),
    "a zip archive, .*unpack it first": archive("a.fa"),
    "a PDF": b"%PDF-1.7\n",
    "a PNG picture": b"\x89PNG\r\n\x1a\n\x00",
    "a Parquet file": b"PAR1\x15\x00\x15",
    "an SQLite database": b"SQLite format 3\x00",
    "a program": b"\x7fELF\x02",
    "an RTF document": b"{\\rtf1\\ansi",
}


READ_PARQUET = ("FASTA", "labels")
"""Readers that take a Parquet file too; here it is cut off."""


@every_reader
@pytest.mark.parametrize("what", list(BINARY))
def test_binary_files_are_named_in_a_sentence(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(BINARY[what])
    sentence = f"not a text file; found {what}"
    if what == "a Parquet file" and name in READ_PARQUET:
        sentence = "a Parquet file that is cut or damaged; found"
    with pytest.raises(InputError, match=f"x.txt: {sentence}"):
        READERS[name][1](path)


@every_reader
@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: text + b"\n\n  \n",
        lambda text: text.rstrip(b"\n"),
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be"),
        lambda text: text.replace(b"\n", b" \n"),
        lambda text: text.replace(b"\n", "\u00a0\n".encode()),
        lambda text: text.replace(b"\n", "\u200b\n".encode()),
    ],
)
def test_encodings_line_ends_and_trailing_blanks_make_no_difference(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    content, read = READERS[name]
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    expected = read(path)
    path.write_bytes(change(content))
    assert read(path) == expected


@every_reader
@pytest.mark.parametrize(
    ("letter", "code"), [("\0", "0000"), ("\x1b", "001B"), ("\x07", "0007"), ("\x7f", "007F"),
                         ("\x9b", "009B"), ("\u202e", "202E")]
)  # fmt: skip
def test_control_characters_are_refused_by_line_and_column(
    tmp_path: Path, name: str, letter: str, code: str
) -> None:
    lines = READERS[name][0].decode().split("\n")
    lines[1] = lines[1][:2] + letter + lines[1][2:]
    said = refused(tmp_path / "x.txt", name, "\n".join(lines).encode())
    assert f"x.txt, line 2, column 3: a control character; found U+{code}" in said


@every_reader
def test_other_encodings_are_refused_by_line_and_column(tmp_path: Path, name: str) -> None:
    content = READERS[name][0].replace(b"\n", b"\n\xe9", 1)
    said = refused(tmp_path / "x.txt", name, content)
    assert "x.txt, line 2, column 1: not a UTF-8 file; found byte 0xe9" in said


@every_reader
def test_errors_of_the_disk_are_sentences(tmp_path: Path, name: str) -> None:
    read = READERS[name][1]
    loop = tmp_path / "loop"
    os.symlink(loop, loop)
    (tmp_path / "file").write_bytes(b"x")
    for path, what in (
        (loop, "loop: a link that leads to itself"),
        (tmp_path, "expected a file, found a folder"),
        (tmp_path / "no", "no: no such file"),
        (tmp_path / "file" / "x", "x: the file cannot be read: Not a directory"),
    ):
        with pytest.raises(InputError, match=what):
            read(path)
    assert "the file is empty" in refused(tmp_path / "e", name, b"")
    assert "the file is empty" in refused(tmp_path / "e", name, b" \n\n")
    assert "the file is empty" in refused(tmp_path / "e", name, "\u00a0\n\u2003\n".encode())


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_not_said_to_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FASTA)
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read_fasta(path)


def test_letters_of_print_become_those_of_a_keyboard() -> None:
    for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212":
        assert plain(f"hsa{dash}miR{dash}21") == "hsa-miR-21"
    for apostrophe in "\u2019\u00b4\u02bc\u2018\x92":
        assert plain(f"Crohn{apostrophe}s Disease") == "Crohn's Disease"
    assert plain("a\u00a0b\u2009c\u200bd") == "a b cd"
    assert plain("Sj\u00f6gren \u03b2") == "Sj\u00f6gren \u03b2"


def test_names_as_print_has_them(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(">hsa\u2011mir\u221221\u00a0human\nACGU\n", encoding="utf-8")
    assert read_fasta(path)["id"].tolist() == ["hsa-mir-21"]
    path.write_text("hsa\u2011mir\u221221\nNA\n\u201cx\u201d\n", encoding="utf-8")
    assert read_name_list(path) == ["hsa-mir-21", "x"]
    path.write_text("mirna\tdisease\nhsa\u2010mir\u20101\tCrohn\u2019s\n", encoding="utf-8")
    assert columns_of(path) == [["hsa-mir-1", "Crohn's"]]


def test_a_long_line_end_over_two_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirnagraph.reading.text.BLOCK_BYTES", 3)
    path = tmp_path / "x"
    path.write_bytes(b"ab\r\ncd\r\r\n\ne\r")
    assert list(read_lines(path)) == ["ab", "cd", "", "", "e", ""]
    assert read_text(path) == "ab\ncd\n\n\ne\n"


@pytest.mark.parametrize("what", list(BINARY))
def test_a_document_that_is_binary_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(BINARY[what])
    for read in (load_toml, read_json):
        with pytest.raises(InputError, match=rf"s.toml: not a text file; found {what}"):
            read(path)


def test_a_document_that_is_compressed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(gzip.compress(b"a = 1"))
    with pytest.raises(InputError, match=r"s.toml: not a text file; found a gzip file; unpack it"):
        load_toml(path)


def test_settings_and_json(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert load_toml(path) == {"a": 1}
    with pytest.raises(InputError, match="expected a file, found a folder"):
        load_toml(tmp_path)
    path.write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(InputError, match=r"s.toml, line 2, column 6: not a UTF-8 file"):
        load_toml(path)
    path.write_bytes(b"a = [" + b"[" * 50_000)
    with pytest.raises(InputError, match="not a TOML file"):
        load_toml(path)
    path.write_text('{"a":\n 1,}')
    with pytest.raises(InputError, match=r"s.toml, line 2, column \d: not a JSON file"):
        read_json(path)
    path.write_text("[" * 200_000)
    with pytest.raises(InputError, match="not a JSON file"):
        read_json(path)
    with pytest.raises(InputError, match=r"s.toml: the file is too large; expected at most 9 byt"):
        read_json(path, largest=9)


@pytest.mark.parametrize("content", [b"\x85", b"\xa0\n", b"\x85\xa0 \n"])
def test_blanks_of_a_database_alone_are_an_empty_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match="the file is empty"):
        read_rows(file, delimiter=None, fallback="latin-1")


@pytest.mark.parametrize("read", [read_text, lambda path: list(read_lines(path))])
@pytest.mark.parametrize(
    ("device", "message"),
    [("zero", "1, column 1: a control character"), ("urandom", "not a UTF-8 file|control")],
)
def test_a_device_without_end_is_not_read_for_ever(read, device: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^/dev/{device}, line .*{message}"):
        read(f"/dev/{device}")


@pytest.mark.parametrize(
    ("end", "message"),
    [(b"\0", "line 4: .*found half a letter"), (b"\0\xd8a\0", "line 4: .*found illegal UTF-16")],
)
def test_damaged_utf16_is_named_by_line(tmp_path: Path, end: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe" + "a\nb\nc\n".encode("utf-16-le") + end)
    with pytest.raises(InputError, match=f"^{path}, {message}"):
        read_text(path)
