"""Training checkpoints without pickle: tensors in safetensors, everything else in JSON; what Lightning resumes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mirnagraph.errors import CheckpointError
from mirnagraph.io import write_folder

WEIGHTS = "tensors.safetensors"
TREE = "checkpoint.json"


class SafeCheckpointIO(CheckpointIO):
    """Writes a checkpoint as a folder of two files and reads it back; a damaged one is refused, and nothing in it is executed."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write all or nothing."""
        tensors: dict[str, torch.Tensor] = {}
        tree = _take_apart(checkpoint, tensors)
        with write_folder(Path(path), overwrite=True) as out:
            save_file(tensors, out / WEIGHTS)
            (out / TREE).write_text(json.dumps(tree) + "\n", encoding="utf-8")

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; raises CheckpointError where it is damaged."""
        folder = Path(path)
        try:
            tensors = load_file(folder / WEIGHTS)
            tree = json.loads((folder / TREE).read_text(encoding="utf-8"))
            found = dict(_put_together(tree, tensors))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                "damaged checkpoint",
                file=folder,
                found=str(error).splitlines()[0],
                hint="delete the folder to train from the start",
            ) from None
        return found

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint's folder."""
        for name in (WEIGHTS, TREE):
            (Path(path) / name).unlink(missing_ok=True)
        if Path(path).is_dir():
            Path(path).rmdir()


def _take_apart(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The value as JSON, each container tagged so that it comes back as what it was; tensors go to `tensors`."""
    if isinstance(value, torch.Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {
            "dict": [
                [_take_apart(key, tensors), _take_apart(item, tensors)]
                for key, item in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        return {
            type(value).__name__ if type(value) in (list, tuple) else "list": [
                _take_apart(item, tensors) for item in value
            ]
        }
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)  # paths of checkpoints and the like


def _put_together(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_put_together(key, tensors): _put_together(item, tensors) for key, item in content}
    items = [_put_together(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
