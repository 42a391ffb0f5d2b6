r"""Text files of any size: compression, encoding, line ends, control characters, plain letters."""

from __future__ import annotations

import codecs
import contextlib
import errno
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mirnagraph.errors import InputError
from mirnagraph.reading.binary import text_blocks

STDIN = "-"
"""Path that stands for the standard input."""

BLOCK_BYTES = 1 << 20
"""Bytes that are read at a time."""

_OF_EXCEL = ("#N/A", "#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!")

NOT_GIVEN = frozenset(("NA", "N/A", "NaN", "nan", "<NA>", *_OF_EXCEL))
"""Cells that stand for no value, as R, Excel and pandas write them."""

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"

_DATE = re.compile(rf"[0-9]{{1,2}}-{_MONTH}(?:-[0-9]{{2,4}})?|{_MONTH}-[0-9]{{2,4}}", re.IGNORECASE)

_NOT_GIVEN = frozenset(("", *(text.lower() for text in NOT_GIVEN)))


def is_not_given(cell: str) -> bool:
    """Whether a cell is empty or one of `NOT_GIVEN` in any capitals.

    >>> is_not_given(" na "), is_not_given("nucleus")
    (True, False)
    """
    return cell.strip().lower() in _NOT_GIVEN


def is_spreadsheet_date(cell: str) -> bool:
    """Whether a cell is a date as spreadsheets make them of names: 1-Mar of MARCH1 or MARC1.

    >>> is_spreadsheet_date("1-Mar"), is_spreadsheet_date("Sep-02"), is_spreadsheet_date("MARCHF1")
    (True, True, False)
    """
    return _DATE.fullmatch(cell) is not None


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""What no text holds: control characters but the tab and line ends, and marks that turn around
the direction of writing."""

_CONTROL_OF_DATABASES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Control characters of a text in an encoding of one byte, in which 128 to 159 may be letters."""

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

_DASHES = "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d\x96\x97"

_APOSTROPHES = "\u2018\u2019\u201b\u00b4\u02b9\u02bc\u2032\uff07\x91\x92"

_BLANKS = (
    "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)

_QUOTES = "\u201c\u201d\x93\x94"

_PLAIN = {
    **dict.fromkeys(map(ord, _DASHES), "-"),
    **dict.fromkeys(map(ord, _APOSTROPHES), "'"),
    **dict.fromkeys(map(ord, _BLANKS), " "),
    **dict.fromkeys(map(ord, _QUOTES), '"'),
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"), None),
}


def plain(text: str) -> str:
    """Write the blanks, dashes, apostrophes and quotes of print as those of a keyboard.

    Letters without width are removed; all others stay as they are.

    >>> plain("hsa\u2212miR\u201121"), plain("Crohn\u2019s\u00a0disease")
    ('hsa-miR-21', "Crohn's disease")
    """
    return text if text.isascii() else text.translate(_PLAIN)


def is_pmid(text: str) -> bool:
    """Whether a text is a number of PubMed: digits of ASCII, no more than 64 bits hold."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


def has_control(text: str) -> bool:
    """Whether a text holds a control character, the tab and line ends included."""
    return _CONTROL.search(text) is not None or not {"\t", "\n", "\r"}.isdisjoint(text)


def file_title(path: str | Path) -> str | Path:
    """File as an error names it."""
    return "standard input" if str(path) == STDIN else Path(path)


def read_lines(path: str | Path) -> Iterator[str]:
    r"""Read the lines of a UTF-8 file of any size, plain or compressed (by its first bytes).

    Line ends ``\n``, ``\r\n`` and ``\r`` are removed, and so is a byte order mark; with that of
    UTF-16 the file is read as such. Memory holds one block (`BLOCK_BYTES`) and one line.

    Args:
        path: the file; ``"-"`` for the standard input.

    Yields:
        The lines; the last one is empty where the file ends with a line end.

    Raises:
        InputError: missing, a folder, empty, not readable; no text but a workbook, a PDF …; not
            UTF-8 or with a control character (names line and column); a truncated or damaged
            compressed file; raised when that part of the file is reached.
    """
    file = file_title(path)
    is_empty = True
    with open_bytes(path) as stream:
        for number, raw in enumerate(_raw_lines(stream, file), 1):
            line = _decoded(raw, number, file)
            is_empty = is_empty and not line.strip()
            yield line
    if is_empty:
        raise InputError("the file is empty", file=file)


def read_text(path: str | Path, *, fallback: str | None = None) -> str:
    r"""Read a whole text file as `read_lines` does, with ``\n`` as its line end.

    Args:
        path: the file.
        fallback: encoding of files that are not UTF-8, for databases known to use one
            (``"latin-1"``); None refuses them.

    Raises:
        InputError: see `read_lines`.
    """
    file = file_title(path)
    with open_bytes(path) as stream:
        raw = b"".join(_blocks_of_text(stream, file, is_checked=fallback is None))
    control = _CONTROL
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if fallback is None:
            before = raw[: error.start]
            place = error.start - before.rfind(b"\n")
            raise _not_utf8(raw, error, file, before.count(b"\n") + 1, place) from None
        text = raw.decode(fallback)
        control = _CONTROL_OF_DATABASES
    if not text.strip():  # of the letters: a blank of Latin-1 is none of the bytes
        raise InputError("the file is empty", file=file)
    match = control.search(text)
    while match and match.group() in _PRINTED:
        match = control.search(text, match.end())
    if match:
        start = match.start()
        column = start - text.rfind("\n", 0, start)
        raise _control_error(match.group(), file, text.count("\n", 0, start) + 1, column)
    return text


def _blocks_of_text(stream: IO[bytes], file: str | Path, *, is_checked: bool) -> Iterator[bytes]:
    """Blocks, checked: up to the first that is not UTF-8, so that no device is read for ever."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for block in _blocks(stream, file):
        yield block
        if is_checked:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return


_PRINTED = "\x91\x92\x93\x94\x96\x97"
"""Quotes and dashes of Windows in a text that was taken for Latin-1; `plain` writes them."""


def _decoded(raw: bytes, number: int, file: str | Path) -> str:
    """One line as text."""
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw, error, file, number, error.start + 1) from None
    if line.isprintable():  # most lines, and quickly told
        return line
    for match in _CONTROL.finditer(line):
        if match.group() not in _PRINTED:
            raise _control_error(match.group(), file, number, match.start() + 1)
    return line


def _not_utf8(
    raw: bytes, error: UnicodeDecodeError, file: str | Path, line: int, column: int
) -> InputError:
    found = f"byte 0x{raw[error.start]:02x}"
    return InputError(
        "not a UTF-8 file", file=file, line=line, column=column, found=found, expected="UTF-8 text"
    )


def _control_error(letter: str, file: str | Path, line: int, column: int) -> InputError:
    return InputError(
        "a control character",
        file=file,
        line=line,
        column=column,
        found=f"U+{ord(letter):04X}",
        expected="text",
    )


def _raw_lines(stream: IO[bytes], file: str | Path) -> Iterator[bytes]:
    """Lines of a stream without their ends; the last one may be empty."""
    rest = b""
    for block in _blocks(stream, file):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def _blocks(stream: IO[bytes], file: str | Path) -> Iterator[bytes]:
    r"""Blocks of UTF-8 with ``\n`` as the only line end, without a byte order mark."""
    held = b""
    for block in _utf8(text_blocks(stream, file, BLOCK_BYTES), file):
        block = held + block
        # the second half of \r\n may be in the next block
        held = b"\r" if block.endswith(b"\r") else b""
        block = block[: len(block) - len(held)]
        yield block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\0" in block:  # refused by who reads it; a device of zeros has no end
            return
    if held:
        yield b"\n"


def _utf8(blocks: Iterator[bytes], file: str | Path) -> Iterator[bytes]:
    """Blocks without a byte order mark; those of UTF-16 as UTF-8."""
    first = next(blocks, b"")
    while len(first) < 3 and (more := next(blocks, b"")):
        first += more
    encoding = _UTF16.get(first[:2])
    if encoding is None:
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    try:
        for block in itertools.chain([first[2:]], blocks):
            text = decoder.decode(block)
            line += text.count("\n")
            yield text.encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        line += error.object[: error.start].decode(encoding, "replace").count("\n")
        found = "half a letter" if "truncated" in error.reason else error.reason
        raise InputError("damaged UTF-16 text", file=file, line=line, found=found) from None


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file, or the standard input, for reading; InputError where it cannot be read."""
    file = file_title(path)
    if str(path) == STDIN:
        if sys.stdin is None:
            raise InputError("closed", file=file)
        with explain_reading(file):
            yield sys.stdin.buffer
        return
    with explain_reading(file):
        try:
            stream = open(path, "rb")  # noqa: SIM115  closed below
        except ValueError as error:  # a NUL in a path
            raise InputError(
                "not a name of a file", file=repr(str(file)), found=str(error)
            ) from None
        with stream:
            yield stream


@contextlib.contextmanager
def explain_reading(file: str | Path) -> Iterator[None]:
    """Say what an error of opening or reading a file means, as one InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError("no such file", file=file) from None
    except IsADirectoryError:
        raise InputError("expected a file, found a folder", file=file) from None
    except PermissionError:
        raise InputError("the file cannot be read (permission denied)", file=file) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError("a link that leads to itself", file=file) from None
        reason = error.strerror or str(error)
        raise InputError(f"the file cannot be read: {reason}", file=file) from None


def read_bytes(path: str | Path, *, largest: int | None = None) -> bytes:
    """Read the bytes of a file as they are.

    Args:
        path: the file.
        largest: bytes of the largest file that is read; None for any.

    Raises:
        InputError: it cannot be read, or is larger.
    """
    with open_bytes(path) as stream, explain_reading(path):
        content = stream.read() if largest is None else stream.read(largest + 1)
    if largest is not None and len(content) > largest:
        raise InputError("the file is too large", file=path, expected=f"at most {largest:,} bytes")
    return content
