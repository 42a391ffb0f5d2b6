"""Files known by their first bytes: compressed ones, which are unpacked, and those of no text."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from mirnagraph.errors import InputError

GZIP = b"\x1f\x8b"

COMPRESSED = {
    GZIP: "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""First bytes -> compression that is read."""

_ZIP = b"PK\x03\x04"

_SAVE_SHEET = "save the sheet as tab-separated text"

_UNPACK = "unpack it first"

_BINARY = (
    (_ZIP, "a zip archive", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", _SAVE_SHEET),
    (b"%PDF-", "a PDF", "copy its table into tab-separated text"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\x1f\x9d", "a compress (.Z) file", _UNPACK),
    (b"\x04\x22\x4d\x18", "an lz4 file", _UNPACK),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
    (b"\x89PNG", "a PNG picture", None),
    (b"\xff\xd8\xff", "a JPEG picture", None),
    (b"\x89HDF", "an HDF5 file", "save its table as tab-separated text"),
    (b"PAR1", "a Parquet file", "save its table as tab-separated text"),
    (b"ARROW1", "an Arrow file", "save its table as tab-separated text"),
    (b"SQLite format 3\x00", "an SQLite database", "save its table as tab-separated text"),
    (b"\x93NUMPY", "a NumPy file", "save its numbers as tab-separated text"),
    (b"RDX", "an R data file", "write it with write.table(sep = '\\t')"),
    (b"\x7fELF", "a program", None),
    (b"BAM\x01", "a BAM file", "write its sequences as FASTA, e.g. with samtools fasta"),
)
"""First bytes of files that people give as text: what they are, and what to do."""

HEAD = 4096
"""Bytes that are looked at to tell what a file is."""

_READ = "text, plain or compressed by gzip, bzip2, xz or zstd"


class Rejoined(io.RawIOBase):
    """A stream with the bytes that were read from its start."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self.head = head
        self.stream = stream

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        block = self.head[: len(buffer)] or self.stream.read(len(buffer))
        self.head = self.head[len(block) :]
        buffer[: len(block)] = block
        return len(block)


def text_blocks(stream: IO[bytes], file: str | Path, size: int) -> Iterator[bytes]:
    """Read the bytes of a text in blocks, unpacked where the file is compressed.

    Args:
        stream: of bytes.
        file: for messages.
        size: bytes of a block.

    Raises:
        InputError: a truncated or damaged compressed file; a file that is no text.
    """
    head = _first(stream)
    how = _compression(head)
    _refuse_binary(head, file)
    whole: Any = io.BufferedReader(Rejoined(head, stream), size)
    if how is None:
        yield from iter(lambda: whole.read(size), b"")
        return
    whole_stream = f"a complete {how} stream"
    try:
        unpacked = _unpacking(how, whole)
        head = _first(unpacked)
        inner = _compression(head)
        if inner is not None:
            found = f"{inner} within {how}"
            raise InputError(
                "not a text file", file=file, found=found, expected=_READ, hint=_UNPACK
            )
        _refuse_binary(head, file)
        yield head
        while block := unpacked.read(size):
            yield bytes(block)
    except EOFError:
        raise InputError(f"truncated {how} file", file=file, expected=whole_stream) from None
    except _damages() as error:
        if "truncated" in str(error).lower():
            raise InputError(f"truncated {how} file", file=file, expected=whole_stream) from None
        raise InputError(f"damaged {how} file", file=file, found=str(error)) from None


def _first(stream: Any) -> bytes:
    """First `HEAD` bytes of a stream, less at its end."""
    head = b""
    while len(head) < HEAD and (block := stream.read(HEAD - len(head))):
        head += bytes(block)
    return head


def _compression(head: bytes) -> str | None:
    for start, how in COMPRESSED.items():
        # letters alone could be a text, such as an id BZhU
        if head.startswith(start) and (how != "bzip2" or head[4:10] in _AFTER_BZIP2):
            return how
    return None


_AFTER_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
"""Start of the first block of a bzip2 file, or of its end where it holds nothing."""


def _refuse_binary(head: bytes, file: str | Path) -> None:
    for start, what, hint in _BINARY:
        if not head.startswith(start):
            continue
        # text in which letters alone are the mark goes on with letters
        if start.isalnum() and not any(byte < 9 for byte in head[:64]):
            continue
        if start == _ZIP and b"word/" in head:
            what = "a Word document"
            hint = "save it as plain text"
        elif start == _ZIP and (b"xl/" in head or b"[Content_Types].xml" in head):
            what = "an Excel workbook"
            hint = _SAVE_SHEET
        raise InputError("not a text file", file=file, found=what, expected=_READ, hint=hint)


def refuse_packed(head: bytes, file: str | Path) -> None:
    """Raise InputError for a file that is binary or compressed.

    Args:
        head: first `HEAD` bytes of the file.
        file: for messages.
    """
    _refuse_binary(head, file)
    how = _compression(head)
    if how is not None:
        what = f"a {how} file"
        raise InputError("not a text file", file=file, found=what, hint="unpack it first")


def _unpacking(how: str, stream: Any) -> Any:
    """A stream of the unpacked bytes."""
    if how == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=stream)
    if how == "bzip2":
        import bz2

        return _Members(stream, bz2.BZ2Decompressor)
    if how == "xz":
        import lzma

        return _Members(stream, lzma.LZMADecompressor)
    import pyarrow as pa

    return pa.input_stream(_Counted(stream), compression="zstd")


class _Members(io.RawIOBase):
    """Unpacked bytes of streams one behind the other, each of which has to be whole.

    The readers of Python take what cannot be unpacked behind the first stream for padding, and
    leave it out without a word.
    """

    def __init__(self, stream: Any, new: Callable[[], Any]) -> None:
        self.stream = stream
        self.new = new
        self.member = new()

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, none at the end.

        Raises:
            EOFError: the last stream is cut.
            OSError, LZMAError: bytes that cannot be unpacked.
        """
        while True:
            packed = b""
            if self.member.eof:
                packed = self._behind()
                if not packed:
                    return b""
                self.member = self.new()
            elif self.member.needs_input:
                packed = self.stream.read(HEAD)
                if not packed:
                    raise EOFError
            if block := self.member.decompress(packed, size):
                return bytes(block)

    def _behind(self) -> bytes:
        """Packed bytes behind the end of a stream, without the zeros that may pad it."""
        packed = self.member.unused_data.lstrip(b"\0")
        while not packed and (block := self.stream.read(HEAD)):
            packed = block.lstrip(b"\0")
        return bytes(packed)


class _Counted(io.RawIOBase):
    """Stream for pyarrow, which asks for a readable object with a position."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return bytes(self.stream.read(size))


def _damages() -> tuple[type[Exception], ...]:
    """Errors of unpacking."""
    import lzma

    return (OSError, zlib.error, lzma.LZMAError, ValueError)
