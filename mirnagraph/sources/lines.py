"""Lines of text files of any size, plain or gzip, and of the standard input."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mirnagraph.errors import InputError

GZIP = b"\x1f\x8b"
"""First bytes of a gzip file."""

WORKBOOK = b"PK\x03\x04"
"""First bytes of an Excel workbook (a zip archive)."""

STDIN = "-"
"""Path that stands for the standard input."""

BLOCK_BYTES = 1 << 20
"""Bytes that are read at a time."""


def file_title(path: str | Path) -> str | Path:
    """File as an error names it."""
    return "standard input" if str(path) == STDIN else Path(path)


def read_lines(path: str | Path) -> Iterator[str]:
    r"""Read the lines of a UTF-8 file of any size, plain or gzip (by its first bytes).

    Line ends ``\n``, ``\r\n`` and ``\r`` are removed, and so is a byte order mark. Memory holds
    one block (`BLOCK_BYTES`) and one line.

    Args:
        path: the file; ``"-"`` for the standard input.

    Yields:
        The lines; the last one is empty where the file ends with a line end.

    Raises:
        InputError: missing, a folder, empty, an Excel workbook, not UTF-8 (names line and column),
            or a truncated or damaged gzip; raised when that part of the file is reached.
    """
    file = file_title(path)
    is_empty = True
    with _open_bytes(path) as stream:
        for number, raw in enumerate(_raw_lines(stream, file), 1):
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    "not a UTF-8 file",
                    file=file,
                    line=number,
                    column=error.start + 1,
                    found=f"byte 0x{raw[error.start]:02x}",
                    expected="UTF-8 text",
                ) from None
            is_empty = is_empty and not line.strip()
            yield line
    if is_empty:
        raise InputError("the file is empty", file=file)


def _raw_lines(stream: IO[bytes], file: str | Path) -> Iterator[bytes]:
    """Lines of a stream without their ends; the last one may be empty."""
    rest = b""
    try:
        for block in _blocks(stream, file):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
    except EOFError:
        raise InputError(
            "truncated gzip file", file=file, expected="a complete gzip stream"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError("damaged gzip file", file=file, found=str(error)) from None
    yield rest


def _blocks(stream: IO[bytes], file: str | Path) -> Iterator[bytes]:
    r"""Blocks of a stream, unpacked where it is gzip, with ``\n`` as the only line end."""
    head = stream.read(len(WORKBOOK))
    if head == WORKBOOK:
        raise InputError(
            "an Excel workbook or zip archive",
            file=file,
            expected="text",
            hint="save the sheet as tab-separated text",
        )
    whole: Any = io.BufferedReader(_Rejoined(head, stream), BLOCK_BYTES)
    if head.startswith(GZIP):
        whole = gzip.GzipFile(fileobj=whole)
    while block := whole.read(BLOCK_BYTES):
        while block.endswith(b"\r") and (following := whole.read(1)):
            block += following
        yield block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class _Rejoined(io.RawIOBase):
    """A stream with the bytes that were read from its start."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self.head = head
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.head[: len(buffer)] or self.stream.read(len(buffer))
        self.head = self.head[len(block) :]
        buffer[: len(block)] = block
        return len(block)


@contextlib.contextmanager
def _open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file, or the standard input, for reading."""
    if str(path) == STDIN:
        yield sys.stdin.buffer
        return
    path = Path(path)
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("expected a file, found a folder", file=path) from None
    except PermissionError:
        raise InputError("the file cannot be read (permission denied)", file=path) from None
    with stream:
        yield stream
