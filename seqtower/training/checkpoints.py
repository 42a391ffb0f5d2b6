"""Training checkpoints for Lightning without pickle: safetensors and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.tensors import check_tensors
from mirnagraph.writing.folders import remove_folder, write_folder

WEIGHTS = "tensors.safetensors"
TREE = "checkpoint.json"


_DAMAGES = (
    OSError,
    SafetensorError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    InputError,
)
"""Errors of reading what is no checkpoint."""


class SafeCheckpointIO(CheckpointIO):
    """Writes a checkpoint as a folder of two files; reading it runs no code of the folder.

    Args:
        folder: of all checkpoints as it was asked for, which Lightning turns into an absolute path;
            None for paths as they are.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def _place(self, path: Any) -> Path:
        return Path(path) if self.folder is None else self.folder / Path(path).name

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write all or nothing."""
        tensors: dict[str, torch.Tensor] = {}
        tree = _to_json(checkpoint, tensors)
        with write_folder(self._place(path), overwrite=True) as out:
            save_file(tensors, out / WEIGHTS)
            (out / TREE).write_text(json.dumps(tree) + "\n", encoding="utf-8")

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; raises CheckpointError where it is damaged."""
        folder = self._place(path)
        try:
            check_tensors(folder / WEIGHTS)
            tensors = load_file(folder / WEIGHTS)
            tree = read_json(folder / TREE)
            checkpoint = dict(_from_json(tree, tensors))
        except _DAMAGES as error:
            raise CheckpointError(
                "damaged checkpoint",
                file=folder,
                found=str(error).splitlines()[0],
                hint="delete the folder to train from the start",
            ) from None
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint's folder."""
        remove_folder(self._place(path))


def _to_json(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The value as JSON with tagged containers; its tensors are added to `tensors`."""
    if isinstance(value, torch.Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        pairs = [[_to_json(key, tensors), _to_json(item, tensors)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        tag = "tuple" if type(value) is tuple else "list"
        return {tag: [_to_json(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)  # e.g. paths of checkpoints


def _from_json(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((tag, content),) = tree.items()
    if tag == "tensor":
        return tensors[content]
    if tag == "dict":
        return {_from_json(key, tensors): _from_json(item, tensors) for key, item in content}
    items = [_from_json(item, tensors) for item in content]
    return tuple(items) if tag == "tuple" else items
