"""What a request asks for: names or sequences, read from JSON, typed text or an uploaded file."""

from __future__ import annotations

import codecs
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fusion.serve.limits import (
    BAD_REQUEST,
    Limits,
    RefusedError,
    check_length,
    check_name,
    check_number,
    check_upload,
    shortened,
)
from mirnagraph.errors import InputError
from mirnagraph.io import check_nucleotides, to_rna
from mirnagraph.reading.binary import text_blocks
from mirnagraph.sources.fasta import FastaRecord, stream_fasta
from mirnagraph.sources.name_list import read_name_list
from mirnagraph.writing.files import open_output

PASTED = "pasted text"
UPLOADED = "uploaded file"
"""Places of text as errors name them; the name that a browser gives a file is never used."""

BOMS_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

BLOCK = 2**16
"""Bytes that are unpacked at a time."""

PAGE_WORDS = {
    "--iupac n reads ambiguous nucleotides as N": "ambiguous nucleotides can be read as N "
    '(the box on the page; in the API "iupac": "n")',
    " Pass the sequence of a new RNA with --fasta": " Give the sequence of a new RNA instead",
    "pass one with --rna-type": "choose one",
    "--rna-type is for": "an RNA type is for",
    "; give --networks FOLDER": "; start `mirnagraph serve` with --networks FOLDER",
}
"""Hints that name an option of the command line -> the same for the page."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Question:
    """RNAs to predict: either names or sequences.

    Attributes:
        names: as typed, in order; None for sequences.
        records: sequences in order; None for names.
        rna_type: of new sequences, for a model of several RNA types.
    """

    names: tuple[str, ...] | None = None
    records: tuple[FastaRecord, ...] | None = None
    rna_type: str | None = None

    @property
    def n_rnas(self) -> int:
        """Number of RNAs."""
        return len(self.names or ()) + len(self.records or ())

    @property
    def n_nucleotides(self) -> int:
        """Number of nucleotides of all sequences."""
        return sum(len(record.sequence) for record in self.records or ())


def ask(
    limits: Limits,
    *,
    names: Sequence[str] | None = None,
    sequences: Mapping[str, str] | None = None,
    fasta: str | None = None,
    iupac: str = "error",
    rna_type: str | None = None,
) -> Question:
    """Make a question of the fields of a request.

    Args:
        limits: of the server.
        names: of RNAs.
        sequences: name -> sequence of ACGTUN.
        fasta: text of a FASTA file.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.
        rna_type: see `Question`.

    Raises:
        RefusedError: none of names, sequences and FASTA text, or several; above a limit.
        InputError: malformed text, or a letter that is no nucleotide.
    """
    given = [value for value in (names, sequences, fasta) if value is not None]
    if len(given) != 1:
        raise RefusedError(
            BAD_REQUEST, f"expected one of names, sequences and fasta, found {len(given)} of them"
        )
    if fasta is not None:
        records = _fasta(fasta.encode(), PASTED, iupac, limits)
        return Question(records=records, rna_type=rna_type)
    if sequences is not None:
        return Question(records=_sequences(sequences, limits), rna_type=rna_type)
    return Question(names=_checked_names(names or (), limits), rna_type=rna_type)


def ask_file(
    content: bytes, limits: Limits, *, iupac: str = "error", rna_type: str | None = None
) -> Question:
    """Make a question of an uploaded file: FASTA, or a table whose first column holds names.

    Args:
        content: of the file, plain or compressed.
        limits: of the server.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.
        rna_type: see `Question`.

    Raises:
        RefusedError: above a limit.
        InputError: empty, no text, a damaged compressed file, or malformed.
    """
    check_upload(len(content), limits, "the uploaded file")
    content = _unpacked(content, limits)
    if _first_letter(content) == ">":
        return Question(records=_fasta(content, UPLOADED, iupac, limits), rna_type=rna_type)
    names = _of_file(content, UPLOADED, read_name_list)
    return Question(names=_checked_names(names, limits), rna_type=rna_type)


def _first_letter(content: bytes) -> str:
    """First letter of a text in UTF-8 or UTF-16; empty for none."""
    encoding = "utf-16" if content.startswith(BOMS_UTF16) else "utf-8"
    return content[:BLOCK].decode(encoding, "replace").lstrip("\ufeff \t\r\n")[:1]


def page_words(message: str) -> str:
    """An error without the options of the command line that the page does not have."""
    for words, replacement in PAGE_WORDS.items():
        message = message.replace(words, replacement)
    return message


def _checked_names(names: Sequence[str], limits: Limits) -> tuple[str, ...]:
    if not names:
        raise RefusedError(BAD_REQUEST, "no name; expected at least one")
    check_number(len(names), limits.max_rnas, "names")
    for name in names:
        check_name(name, limits)
    return tuple(names)


def _sequences(sequences: Mapping[str, str], limits: Limits) -> tuple[FastaRecord, ...]:
    if not sequences:
        raise RefusedError(BAD_REQUEST, "no sequence; expected at least one")
    check_number(len(sequences), limits.max_rnas, "sequences")
    records = []
    for number, (name, text) in enumerate(sequences.items(), 1):
        check_name(name, limits)
        letters = checked_sequence(name, text, limits.max_length)
        records.append(FastaRecord(name, "", letters, number))
    return tuple(records)


def checked_sequence(name: str, text: str, limit: int, *, command: str = "predict") -> str:
    """A sequence as RNA.

    Args:
        name: of the RNA.
        text: of ACGTUN.
        limit: most nucleotides.
        command: that reads longer ones.

    Raises:
        RefusedError: longer than the limit.
        InputError: empty, or a letter that is no nucleotide.
    """
    check_length(name, len(text), limit, command=command)
    letters = to_rna(text)
    check_nucleotides(letters, rna_id=shortened(name))
    return letters


def _fasta(content: bytes, title: str, iupac: str, limits: Limits) -> tuple[FastaRecord, ...]:
    def read(path: Path) -> list[FastaRecord]:
        records: list[FastaRecord] = []
        for record in stream_fasta(path, iupac=iupac):
            check_length(record.id, len(record.sequence), limits.max_length)
            check_name(record.id, limits)
            records.append(record)
        return records

    records = _of_file(content, title, read)
    check_number(len(records), limits.max_rnas, "sequences")
    return tuple(records)


def _of_file(content: bytes, title: str, read: Callable[[Path], Result]) -> Result:
    """Read text by a reader of files; its errors name `title` as the file."""
    with tempfile.TemporaryDirectory(prefix="mirnagraph-") as folder:
        path = Path(folder) / "text"
        with open_output(path) as stream:
            stream.write(content)
        try:
            return read(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), title)) from None


def _unpacked(content: bytes, limits: Limits) -> bytes:
    """Unpack what is compressed as far as the limit; other bytes as they are."""
    parts = []
    n_bytes = 0
    for block in text_blocks(io.BytesIO(content), UPLOADED, BLOCK):
        n_bytes += len(block)
        check_upload(n_bytes, limits, "the unpacked file")
        parts.append(block)
    return b"".join(parts)
