"""What a folder of mirnagraph holds, so that a command replaces its own kind alone."""

from __future__ import annotations

import os
from pathlib import Path

from mirnagraph.errors import InputError
from mirnagraph.writing.disk import explain_disk
from mirnagraph.writing.marker import EXPORT, content_in_list

DATASET = "a dataset"

NETWORKS = "networks"

MODEL = "an exported model"

SAVED_MODEL = "a saved model"

WALK_GRAPH = "a stored network of walks"

GRAPHS = "graphs for Cytoscape"

FIGURES = "figures of a report"

AUDIT = "an audit"

EXPLANATIONS = "explanations"

SEQ_EXPLANATIONS = "explanations of sequences"

RUN = "a run"
"""A run of an earlier version, whose list does not say of which command."""

TRAIN_RUN = "a run of train"

TUNE_RUN = "a run of tune"

ABLATE_RUN = "a run of ablate"

SEQ_TRAIN_RUN = "a run of seq train"

SEQ_PRETRAIN_RUN = "a run of seq pretrain"

_TELLING = {
    "run.json": RUN,
    "networks.json": NETWORKS,
    "dataset.toml": DATASET,
    EXPORT: MODEL,
    "model.json": SAVED_MODEL,
}
"""File that tells what a folder of an earlier version holds, whose list does not say it."""


def content_of(folder: Path) -> str:
    """What a folder holds, by its list or by the file that tells it; empty where nothing does."""
    content = content_in_list(folder)
    if content:
        return content
    for name, told in _TELLING.items():
        if (folder / name).is_file():
            return told
    return ""


def what_is_at(folder: Path, missing: str) -> str:
    """What stands where a folder with a certain file is expected, as `found` of an error.

    Args:
        folder: that was named.
        missing: name of the file that tells the expected kind of folder.
    """
    with explain_disk(folder):
        if not os.path.lexists(folder):
            return "no such folder"
        if not folder.is_dir():
            return "a file"
        return content_of(folder) or f"no {missing} in it"


def check_content(folder: Path, content: str) -> None:
    """Refuse to replace a folder by something of another kind.

    Args:
        folder: that mirnagraph wrote.
        content: what is to be written, one of this module; empty for a part of a folder.

    Raises:
        InputError: the folder holds something else, which is named.
    """
    found = content_of(folder)
    if not content or not found or found == content:
        return
    if found == RUN and content.startswith(RUN):
        return
    raise InputError(
        f"the folder holds {found}, and is not replaced by {content}",
        file=folder,
        hint="choose another folder, or remove this one yourself",
    )
