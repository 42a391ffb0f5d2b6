"""Outputs of every command, checked and locked before it reads anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

OUTPUTS = {"out", "folder", "plot", "figures"}
"""Parameters of commands that are paths of outputs; every other path is an input."""

NAMES_OR_PATHS = {"data", "split", "run", "language_model", "recipe", "records"}
"""Parameters that are a name or the path of an input."""


WRITES_FOLDER = {
    "audit",
    "build_dataset",
    "build_networks",
    "explain",
    "export",
    "pull",
    "seq_explain",
}
"""Commands whose output is a folder that is written at their end; a run locks its own."""


@contextlib.contextmanager
def output_locked(command: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Hold the lock of the folder that a command writes, which must be free for it.

    Args:
        command: name of its function.
        values: of its parameters, by name.

    Raises:
        InputError: see `mirnagraph.writing.folders.check_output_folder`; or another command is at
            work in the folder.
    """
    folder = values.get("out") or values.get("folder")
    if command not in WRITES_FOLDER or not isinstance(folder, Path):
        yield
        return
    from mirnagraph.writing.folders import check_output_folder
    from mirnagraph.writing.locks import locked

    check_output_folder(folder, overwrite=bool(values.get("overwrite")))
    with locked(folder):
        yield


def check_paths(values: Mapping[str, Any]) -> None:
    """Refuse, before anything is read, a command whose output is one of its inputs.

    Args:
        values: of the command's parameters, by name.

    Raises:
        ConfigError: see `mirnagraph.writing.targets.check_outputs`.
    """
    from mirnagraph.writing.targets import check_outputs

    outputs = {}
    inputs = {}
    for name, value in values.items():
        shown = "--" + name.strip("_").replace("_", "-")
        several = value if isinstance(value, list | tuple) else [value]
        for one in several:
            if name in OUTPUTS and isinstance(one, Path):
                outputs[shown] = one
            elif isinstance(one, Path) or (name in NAMES_OR_PATHS and isinstance(one, str)):
                inputs[f"{shown} {one}"] = one
    check_outputs(outputs, inputs)
