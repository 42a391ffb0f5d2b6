"""Reading text files that may be damaged, and writing so that nothing is ever left half-written."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from mirnagraph.errors import InputError


def read_text(path: str | Path, *, fallback: str | None = None) -> str:
    """Whole text of a UTF-8 file, plain or gzip (by its first bytes), line ends as ``\\n``, byte order mark removed.

    Args:
        fallback: encoding of files that are not UTF-8, for databases known to use one (``"latin-1"``); None refuses them.

    Raises:
        InputError: missing, a folder, empty, not UTF-8 (names line and column), or a truncated or damaged gzip.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("a folder stands where a file is expected", file=path) from None
    except PermissionError:
        raise InputError("the file may not be read (permission denied)", file=path) from None
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except EOFError:
            raise InputError("truncated gzip file", file=path, found=f"{len(raw)} bytes", expected="a complete gzip stream") from None
        except (OSError, zlib.error) as error:
            raise InputError("damaged gzip file", file=path, found=str(error)) from None
    if not raw.strip():
        raise InputError("the file is empty", file=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if fallback is not None:
            return raw.decode(fallback).replace("\r\n", "\n").replace("\r", "\n")
        before = raw[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        byte = f"byte 0x{raw[error.start]:02x}"
        raise InputError("not a UTF-8 file", file=path, line=before.count(b"\n") + 1, column=column, found=byte, expected="UTF-8 text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sha256_of(path: str | Path) -> str:
    """sha256 of a file's bytes, as hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_folder(folder: str | Path) -> str:
    """One sha256 over names and contents of all files below a folder, in name order."""
    folder, total = Path(folder), hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()


@contextlib.contextmanager
def write_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and vanishes when it does not."""
    path = Path(path)
    with _explain_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    part = Path(name)
    try:
        with _explain_disk(path):
            yield part
            with open(part, "rb+") as stream:
                os.fsync(stream.fileno())
            part.chmod(0o666 & ~_umask())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, all or nothing."""
    with write_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def check_output_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that holds something, before any work is done.

    Raises:
        InputError: it is a file, or is not empty and `overwrite` is not set.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError("a file stands where the output folder goes", file=folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError("the output folder exists and is not empty", file=folder, hint="choose another, or pass --overwrite to replace it")


@contextlib.contextmanager
def write_folder(folder: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the block ends well, and vanishes when it does not.

    Raises:
        InputError: the folder holds something and `overwrite` is not set, or the disk is full.
    """
    folder = Path(folder)
    check_output_folder(folder, overwrite=overwrite)
    with _explain_disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with _explain_disk(folder):
            yield part
            part.chmod(0o777 & ~_umask())
            if folder.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
                os.replace(folder, old / "was")
                try:
                    os.replace(part, folder)
                except BaseException:
                    os.replace(old / "was", folder)
                    raise
                finally:
                    shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _explain_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InputError(f"could not be written: {error.strerror or error}", file=path, hint="nothing was left half-written") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
