"""FASTA files one record at a time, lines of any file, and lists of names as people have them."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from mirnagraph.errors import InputError
from mirnagraph.reading import text as lines_module
from mirnagraph.reading.text import read_lines
from mirnagraph.sources.fasta import count_fasta, read_fasta, stream_fasta
from mirnagraph.sources.name_list import place_of_names, read_name_lines, read_name_list

FASTA = ">a first one\nACGT\nacgu\n\n>b\r\nNN\r\n>c\rGG"


class Stdin:
    """The standard input, in bits as a pipe hands them on."""

    def __init__(self, content: bytes, size: int = 3) -> None:
        self.rest = content
        self.size = size
        self.buffer = self

    def read(self, n: int = -1) -> bytes:
        n = len(self.rest) if n < 0 else min(n, self.size)
        block, self.rest = self.rest[:n], self.rest[n:]
        return block


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_records_do_not_depend_on_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, packed: bool
) -> None:
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", block)
    content = FASTA.encode()
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(content) if packed else content)
    records = [(record.id, record.sequence, record.line) for record in stream_fasta(path)]
    assert records == [("a", "ACGUACGU", 1), ("b", "NN", 5), ("c", "GG", 7)]
    assert count_fasta(path) == 3
    monkeypatch.setattr(sys, "stdin", Stdin(path.read_bytes()))
    assert read_fasta("-")["id"].tolist() == ["a", "b", "c"]


def test_a_stream_yields_what_comes_before_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">a\nAC\n>b\nAX\n>c\nGG\n>a\nAC\n")
    stream = stream_fasta(path)
    assert next(stream).id == "a"
    with pytest.raises(InputError) as caught:
        next(stream)
    text = str(caught.value)
    assert "line 4, column 2: invalid nucleotide in the sequence of b; found X" in text
    assert "line 7, column 2: duplicate id; found a" in text


def test_a_second_sequence_of_an_id(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">a\nAC\n>a\nACC\n")
    with pytest.raises(InputError, match=r"line 3.*same id with two sequences.*first on line 1"):
        list(stream_fasta(path))


def test_a_stream_that_ends_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(
        (">a\nACGU\n" + "".join(f">{n}\nACG{'U' * n}\n" for n in range(99))).encode()
    )
    path = tmp_path / "x.fa.gz"
    path.write_bytes(packed[:-20])
    with pytest.raises(InputError, match=r"x\.fa\.gz: truncated gzip file"):
        list(stream_fasta(path))
    monkeypatch.setattr(sys, "stdin", Stdin(packed[:-20], 50))
    with pytest.raises(InputError, match="standard input: truncated gzip file"):
        list(stream_fasta("-"))
    path.write_bytes(packed[:30] + b"\0\0\0" + packed[33:])
    with pytest.raises(InputError, match="damaged gzip file"):
        list(stream_fasta(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"ACGU\n", "line 1, column 1: not a FASTA file"),
        (b">a\nAC\n>b\xff\nAC\n", "line 3, column 3: not a UTF-8 file; found byte 0xff"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b">\nAC\n", "a header without an id"),
        (b">a\n", "empty sequence of a"),
    ],
)
def test_what_is_no_fasta_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(stream_fasta(path))


def test_lines_of_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_lines(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="found a folder"):
        list(read_lines(tmp_path))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hsa-miR-21-5p\nhsa-let-7a\n", ["hsa-miR-21-5p", "hsa-let-7a"]),
        (
            '\ufeff"miRNA","log2FC"\r\n"hsa-miR-21-5p",1.2\r\n"mir-9",NA\r\n',
            ["hsa-miR-21-5p", "mir-9"],
        ),
        ('"log2FC"\t"p"\n"hsa-miR-21"\t1\t2\n', ["hsa-miR-21"]),
        ('""\t"x"\n"hsa-miR-21"\t1\n', ["hsa-miR-21"]),
        ("what,fold\nhsa-miR-21,1\nhsa-miR-22,2,5\n", ["hsa-miR-21", "hsa-miR-22"]),
        ("hsa-miR-21;up\nhsa-miR-22;down\n", ["hsa-miR-21", "hsa-miR-22"]),
        ("# note\nmiRNA name\nMIMAT0000076\n\n", ["MIMAT0000076"]),
        ("hsa-let-7a\nhsa-let-7a\n", ["hsa-let-7a", "hsa-let-7a"]),
        ("hsa-miR-21, hsa-miR-155\n", ["hsa-miR-21", "hsa-miR-155"]),
        ("mir-21,x\nmir-22,7\n", ["mir-21", "mir-22"]),
        ("one\ntwo\n", ["one", "two"]),
    ],
)
def test_lists_of_names(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "names"
    path.write_bytes(text.encode())
    assert read_name_list(path) == names


def test_names_have_the_lines_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("# note\nrna_id\nmir-21\n\nNA\nmir-22\nmir-21\n")
    lines = read_name_lines(path)
    assert lines == [(3, "mir-21"), (6, "mir-22"), (7, "mir-21")]
    assert place_of_names(["mir-22"], lines, "names") == "names, line 6"
    assert place_of_names(["mir-21"], lines, "names") == "names, lines 3, 7"
    many = [(number, "x") for number in range(1, 13)]
    assert place_of_names(["x"], many, "-") == "-, lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"
    path.write_text("\nhsa-miR-21, hsa-miR-155\n")
    assert read_name_lines(path) == [(2, "hsa-miR-21"), (2, "hsa-miR-155")]


def test_a_list_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"rna_id\nhsa-mir-21\n"))
    assert read_name_list("-") == ["hsa-mir-21"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rna_id\n", "no name in the file"),
        ("\n", "the file is empty"),
        ('"a\nb\n', "line 1: a quoted"),
    ],
)
def test_lists_without_names(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_name_list(path)


@pytest.mark.parametrize("blanks", [" ", "  ", "\t ", "\u00a0\u2003"])
def test_blanks_inside_a_sequence_are_refused_at_the_first(tmp_path: Path, blanks: str) -> None:
    file = tmp_path / "rnas.fa"
    file.write_text(f">a\nUA{blanks}UAUCAG\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2, column 3: invalid nucleotide in the seq"):
        read_fasta(file)
    file.write_text(f">a\n{blanks}UAUCAG{blanks}\n", encoding="utf-8")
    assert read_fasta(file)["sequence"].tolist() == ["UAUCAG"]
