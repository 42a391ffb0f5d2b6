"""Outputs of every command, checked and locked before it reads anything."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.end import is_text
from mirnagraph.errors import ConfigError

OUTPUTS = {"out", "folder", "plot", "figures", "graphml"}
"""Parameters of commands that are paths of outputs; every other path is an input."""

NAMES_OR_PATHS = {"data", "split", "run", "language_model", "recipe", "records"}
"""Parameters that are a name or the path of an input."""


WRITES_FOLDER = {
    "audit": "AUDIT",
    "build_dataset": "DATASET",
    "build_networks": "NETWORKS",
    "explain": "EXPLANATIONS",
    "export": "MODEL",
    "pull": "MODEL",
    "seq_explain": "SEQ_EXPLANATIONS",
}
"""Commands whose output is a folder that is written at their end, and what it holds by its name in
`mirnagraph.writing.contents`; a run locks its own.
"""


SUFFIXES = {
    ("rank", "out"): (".tsv", ".txt"),
    ("compare", "out"): (".tsv", ".txt"),
    ("seq_compare", "out"): (".tsv", ".txt"),
    ("read_labels", "out"): (".tsv", ".txt"),
    ("report", "out"): (".html", ".htm"),
    ("compare", "plot"): (".png",),
    ("enrich", "plot"): (".png",),
}
"""Command and parameter of outputs of one format -> its suffixes."""

THRESHOLDS = ".thresholds.json"
"""What commands of predictions write next to their output, see `mirnagraph.runs.table_file`."""

WRITES_THRESHOLDS = {"predict", "seq_predict", "atlas"}


@contextlib.contextmanager
def output_locked(command: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Hold the lock of the folder that a command writes, which must be free for it.

    Args:
        command: name of its function, after that of its group.
        values: of its parameters, by name.

    Raises:
        InputError: see `mirnagraph.writing.folders.check_output_folder`; or another command is at
            work in the folder.
    """
    folder = values.get("out") or values.get("folder")
    if command not in WRITES_FOLDER or not isinstance(folder, Path):
        yield
        return
    from mirnagraph.writing import contents
    from mirnagraph.writing.folders import check_output_folder
    from mirnagraph.writing.locks import locked

    content = getattr(contents, WRITES_FOLDER[command])
    check_output_folder(folder, overwrite=bool(values.get("overwrite")), content=content)
    with locked(folder):
        yield


def check_paths(command: str, values: Mapping[str, Any]) -> None:
    """Refuse, before anything is read, a command whose output is one of its inputs.

    Args:
        command: name of its function, after that of its group.
        values: of the command's parameters, by name.

    Raises:
        ConfigError: the current folder is gone.
        ConfigError: the suffix of an output is that of another format.
        InputError: see `mirnagraph.writing.targets.check_outputs`.
    """
    from mirnagraph.writing.targets import check_outputs, check_suffix

    _check_current_folder()
    outputs = {}
    inputs = {}
    for name, value in values.items():
        shown = "--" + name.strip("_").replace("_", "-")
        several = value if isinstance(value, list | tuple) else [value]
        for one in several:
            if name in OUTPUTS and isinstance(one, Path):
                outputs[shown] = one
                check_suffix(one, SUFFIXES.get((command, name), ()))
                if name == "out" and command in WRITES_THRESHOLDS:
                    outputs[f"{shown} FILE{THRESHOLDS}"] = Path(f"{one}{THRESHOLDS}")
            elif isinstance(one, Path) or (name in NAMES_OR_PATHS and isinstance(one, str)):
                inputs[f"{shown} {one}"] = one
    check_outputs(outputs, inputs)


def _check_current_folder() -> None:
    """Raise ConfigError unless the current folder is there, and has a name that can be written."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise ConfigError("the current folder was removed; go to another one") from None
    if not is_text(here):
        shown = here.encode("utf-8", "backslashreplace").decode()
        raise ConfigError(f"the name of the current folder is not UTF-8: {shown}; rename it")
