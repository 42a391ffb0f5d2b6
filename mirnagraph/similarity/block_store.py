"""Folder of finished blocks of a long computation: a killed one resumes after the last."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mirnagraph.errors import InputError
from mirnagraph.io import write_file, write_text
from mirnagraph.parallel import map_parallel
from mirnagraph.reading.entries import read_entries
from mirnagraph.reading.text import explain_reading, read_bytes
from mirnagraph.writing.files import make_folder
from mirnagraph.writing.folders import is_empty
from mirnagraph.writing.locks import locked

Rows = tuple[int, int]
"""First and last row of a block, the end excluded."""

Arrays = dict[str, np.ndarray]

MANIFEST = "blocks.json"

DIGEST = "sha256"
"""Array of a block file: sha256 of the others, of the block's name and of the computation."""

logger = logging.getLogger(__name__)


@contextmanager
def open_store(folder: str | Path | None, fingerprint: str) -> Iterator[BlockStore | None]:
    """Hold a block store alone until the computation ends; None without a folder.

    Args:
        folder: see `BlockStore`.
        fingerprint: likewise.

    Raises:
        InputError: another process is at work in the folder; or see `BlockStore`.
    """
    if folder is None:
        yield None
        return
    with locked(folder):
        yield BlockStore(folder, fingerprint)


def stored_blocks(
    function: Callable[[Any, Rows], tuple[Rows, Arrays]],
    shared: Any,
    jobs: Sequence[Rows],
    store: BlockStore | None,
    prefix: str,
    workers: int,
) -> Iterator[tuple[Rows, Arrays]]:
    """Yield the blocks of a store, then compute the others in parallel and store them.

    Args:
        function: see `mirnagraph.parallel.map_parallel`; returns its job and the arrays.
        shared: likewise.
        jobs: first and last row of each block.
        store: None keeps nothing.
        prefix: of the names of these blocks; their first row follows.
        workers: processes.
    """
    waiting = []
    for job in jobs:
        arrays = None if store is None else store.read(f"{prefix}_{job[0]}")
        if arrays is None:
            waiting.append(job)
        else:
            yield job, arrays
    for job, arrays in map_parallel(function, shared, waiting, workers):
        if store is not None:
            store.write(f"{prefix}_{job[0]}", arrays)
        yield job, arrays


class BlockStore:
    """Blocks of one computation in a folder, made where it is not there.

    Args:
        folder: of the blocks.
        fingerprint: of all that the blocks depend on, as hex.

    Raises:
        InputError: the folder holds blocks of another computation, or other files; or the disk is
            full.
    """

    def __init__(self, folder: str | Path, fingerprint: str) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint
        manifest = self.folder / MANIFEST
        with explain_reading(self.folder):
            is_begun = manifest.exists()
            is_new = not self.folder.exists() or (self.folder.is_dir() and is_empty(self.folder))
        if is_begun:
            try:
                found = read_entries(manifest, {}).get("fingerprint")
            except InputError:
                found = "no JSON with a fingerprint"
            if found != fingerprint:
                raise InputError(
                    "the block store is of other sequences or settings; name another folder",
                    file=manifest,
                    found=found,
                    expected=fingerprint,
                )
            return
        if not is_new:
            raise InputError(
                "the folder of the block store holds other files; name an empty one",
                file=self.folder,
            )
        make_folder(self.folder)
        write_text(manifest, json.dumps({"fingerprint": fingerprint}) + "\n")

    def read(self, name: str) -> Arrays | None:
        """Read the arrays of a block; None where it is to be made, anew if its file is damaged."""
        path = self._file(name)
        if not path.exists():
            return None
        try:
            arrays: Arrays = load(read_bytes(path))
        except (SafetensorError, OSError, InputError, KeyError, TypeError, ValueError):
            arrays = {}
        digest = arrays.pop(DIGEST, None)
        if digest is None or digest.tobytes() != self._digest(name, arrays):
            logger.warning("%s is damaged; its block is computed again", path)
            return None
        return arrays

    def write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays of a block, whole or not at all.

        Raises:
            InputError: the disk is full, or the folder cannot be written; earlier blocks stay.
        """
        digest = np.frombuffer(self._digest(name, arrays), dtype=np.uint8)
        with write_file(self._file(name)) as temporary:
            temporary.write_bytes(save({**arrays, DIGEST: digest}))

    def _file(self, name: str) -> Path:
        return self.folder / f"block_{name}.safetensors"

    def _digest(self, block: str, arrays: Mapping[str, np.ndarray]) -> bytes:
        digest = hashlib.sha256(f"{self.fingerprint} {block}\n".encode())
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.digest()
