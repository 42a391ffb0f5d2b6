"""Folder of finished blocks of a long computation: a killed one resumes after the last."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mirnagraph.errors import InputError
from mirnagraph.io import write_file, write_text
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.text import read_bytes
from mirnagraph.writing.files import make_folder

MANIFEST = "blocks.json"

DIGEST = "sha256"
"""Array of a block file: sha256 of the others."""

logger = logging.getLogger(__name__)


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
        manifest = self.folder / MANIFEST
        if manifest.exists():
            try:
                found = read_json(manifest).get("fingerprint")
            except (InputError, AttributeError):
                found = "no JSON with a fingerprint"
            if found != fingerprint:
                raise InputError(
                    "the block store is of other sequences or settings; name another folder",
                    file=manifest,
                    found=found,
                    expected=fingerprint,
                )
            return
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise InputError(
                "the folder of the block store holds other files; name an empty one",
                file=self.folder,
            )
        make_folder(self.folder)
        write_text(manifest, json.dumps({"fingerprint": fingerprint}) + "\n")

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """Read the arrays of a block; None where it is to be made, anew if its file is damaged."""
        path = self._file(name)
        if not path.exists():
            return None
        try:
            arrays: dict[str, np.ndarray] = load(read_bytes(path))
        except (SafetensorError, OSError, InputError):
            arrays = {}
        digest = arrays.pop(DIGEST, None)
        if digest is None or digest.tobytes() != _digest(arrays):
            logger.warning("%s is damaged; its block is aligned again", path)
            return None
        return arrays

    def write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays of a block, whole or not at all.

        Raises:
            InputError: the disk is full, or the folder cannot be written; earlier blocks stay.
        """
        digest = np.frombuffer(_digest(arrays), dtype=np.uint8)
        with write_file(self._file(name)) as temporary:
            temporary.write_bytes(save({**arrays, DIGEST: digest}))

    def _file(self, name: str) -> Path:
        return self.folder / f"block_{name}.safetensors"


def _digest(arrays: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.digest()
