"""Cache of slow encodings on disk, named by their content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from mirnagraph.catalog import cache_folder
from mirnagraph.errors import InputError
from mirnagraph.io import write_file

_WRITING: ContextVar[bool] = ContextVar("writing", default=True)

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def encodings_folder(setting: str, kind: str) -> Path:
    """Folder of cached encodings of one kind.

    Below the folder of the encoder's setting, else of ``MIRNAGRAPH_CACHE``, else the user's cache.
    """
    folder = Path(setting) if setting else cache_folder() / "encodings"
    return folder / kind


def content_key(sequence: str, about: Mapping[str, object]) -> str:
    """Compute the sha256, as hex, of a sequence and all else that its encoding depends on."""
    text = json.dumps({"sequence": sequence, **about}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def cached(folder: Path, key: str, make: Callable[[], np.ndarray], length: int) -> np.ndarray:
    """Read the array of a key; make and store it where it is missing.

    Args:
        folder: of `encodings_folder`.
        key: of `content_key`.
        make: computes the array.
        length: size of its first dimension.

    Raises:
        InputError: the folder cannot be written.
    """
    values = read_cached(folder, key, length)
    if values is None:
        values = make()
        write_cached(folder, key, values)
    return values


def read_cached(folder: Path, key: str, length: int) -> np.ndarray | None:
    """Read the array of a key, or None where it has to be made.

    A file that is damaged (zip has a checksum) or of another length counts as missing. Nothing is
    unpickled.

    Args:
        folder: of `encodings_folder`.
        key: of `content_key`.
        length: size of its first dimension.
    """
    with contextlib.suppress(*_UNREADABLE), np.load(_file(folder, key), allow_pickle=False) as file:
        values = np.asarray(file["values"])
        if len(values) == length:
            return values
    return None


def write_cached(folder: Path, key: str, values: np.ndarray) -> None:
    """Store the array of a key; replaces the file whole, so no process reads a half-written one.

    Raises:
        InputError: the folder cannot be written.
    """
    if not _WRITING.get():
        return
    path = _file(folder, key)
    try:
        with write_file(path) as part, open(part, "wb") as stream:
            np.savez(stream, values=values)
    except InputError as error:
        raise InputError(
            "the cache of encodings cannot be written",
            file=path,
            found=str(error),
            hint="set MIRNAGRAPH_CACHE, or the encoder's setting 'cache', to another folder",
        ) from None


def _file(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key}.npz"


@contextlib.contextmanager
def read_only_cache() -> Iterator[None]:
    """Read the cache without adding to it.

    For masked RNAs: there are thousands of them, and none is encoded again.
    """
    token = _WRITING.set(False)
    try:
        yield
    finally:
        _WRITING.reset(token)
