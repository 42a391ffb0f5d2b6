"""Arrays that took long to make, kept on disk by what they were made from: equal content is made once, by whichever process comes first."""

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


def encodings_folder(setting: str, kind: str) -> Path:
    """Where encodings of one kind are kept: below the folder of the settings, else of ``MIRNAGRAPH_CACHE``, else the user's cache."""
    return (Path(setting) if setting else cache_folder() / "encodings") / kind


def content_key(sequence: str, about: Mapping[str, object]) -> str:
    """sha256 of a sequence and of everything else that its numbers depend on, as hex."""
    return hashlib.sha256(
        json.dumps({"sequence": sequence, **about}, sort_keys=True).encode()
    ).hexdigest()


def cached(folder: Path, key: str, make: Callable[[], np.ndarray], length: int) -> np.ndarray:
    """The array of this key; made, and kept, where it is not there.

    Files are replaced whole, so two processes never see each other's half-written ones. A file that is damaged (zip keeps a checksum), or
    that is of another length, is made anew. Nothing is ever unpickled.

    Args:
        length: positions that the array must have in its first dimension.

    Raises:
        InputError: the folder may not be written.
    """
    path = folder / key[:2] / f"{key}.npz"
    with (
        contextlib.suppress(
            OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error
        ),
        np.load(path, allow_pickle=False) as stored,
    ):
        found = np.asarray(stored["values"])
        if len(found) == length:
            return found
    made = make()
    if _WRITING.get():
        try:
            with write_file(path) as part, open(part, "wb") as stream:
                np.savez(stream, values=made)
        except InputError as error:
            raise InputError(
                "the cache of encodings cannot be written",
                file=path,
                found=str(error),
                hint="set MIRNAGRAPH_CACHE, or the encoder's setting 'cache', to another folder",
            ) from None
    return made


@contextlib.contextmanager
def nothing_new() -> Iterator[None]:
    """Inside it what is kept is read and nothing is added: masked RNAs come by the thousand, and none of them comes again."""
    token = _WRITING.set(False)
    try:
        yield
    finally:
        _WRITING.reset(token)
