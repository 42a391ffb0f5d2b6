"""``run.json`` of a run: its entries, and the sha256 of tables and settings once it is finished."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.evaluation.metrics import KINDS
from mirnagraph.io import check_sha256, sha256_of
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.entries import EVERY, check_entries
from mirnagraph.reading.seals import check_seal
from mirnagraph.writing.contents import RUN, content_of, what_is_at
from mirnagraph.writing.folders import files_of
from mirnagraph.writing.marker import files_in

FORMAT_VERSION = 1

REPLACES = "replaces"
"""Entry of ``run.json`` while a run is written: name of the folder whose place it will take."""

ENTRIES: dict[str, Any] = {
    "command": [str],
    "dataset": str,
    "description": str,
    "finished": str,
    "fingerprint": str,
    "inputs": {EVERY: str},
    "kind": str,
    "labels": frozenset(KINDS),
    "n_rnas": int,
    "n_tested": int,
    "notes": [str],
    "protocol": str,
    "repeats": int,
    REPLACES: str,
    "seconds": float,
    "seed": int,
    "sets": {EVERY: {"type": str, "n": int}},
    "started": str,
    "status": str,
    "synthetic": bool,
    "temporal": dict,
    "tower": str,
    "trials": int,
    "versions": {EVERY: str},
    "_resumed_at": float,
}
"""Entries of ``run.json`` that are read, and their kinds (see `mirnagraph.reading.entries`)."""

FILES = "files"
"""Entry of ``run.json``: name of each file that commands read, with ``/`` -> sha256."""

READ = (".tsv", ".toml", ".json", ".parquet")
"""Endings of the files that commands read; pages, pictures and stores of trials are left out."""

SEARCHED = ("baselines/", "parts/")
"""Folders of a run in which commands read every table that they find."""

OWN_LIST = ("run.json", "model.json", "mirnagraph.jsonl")
"""Files of a folder inside a run whose content is checked by itself."""

CHANGING = ("embeddings", "checkpoints", "repeats")
"""Folders of a run that later commands add to."""

HINT = "run its command again with --overwrite, or restore the file"


class UncheckedRunWarning(UserWarning):
    """A run of an earlier version, whose files have no sha256."""


def hash_files(folder: str | Path) -> dict[str, str]:
    """Compute the sha256 of the files of a run that mirnagraph wrote and commands read.

    Files of others in the folder do not count, nor those of models and runs inside it.
    """
    folder = Path(folder)
    names = files_of(folder) or set()
    listed = [name for name in files_in(folder) if name in names and _is_read(folder, name)]
    return {name: sha256_of(folder / name) for name in listed}


def _is_read(folder: Path, name: str) -> bool:
    parts = PurePosixPath(name).parts
    if not name.endswith(READ) or name == "run.json" or parts[0] in CHANGING:
        return False
    inside = [folder.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    return not any((place / own).is_file() for place in inside for own in OWN_LIST)


def check_files(folder: str | Path, about: Mapping[str, Any]) -> None:
    """Refuse a run of which a file was cut, edited or removed after it was finished.

    Args:
        folder: of the run.
        about: contents of its ``run.json``. Without `FILES`, as in runs of earlier versions, a
            warning says that nothing is checked.

    Raises:
        CheckpointError: names the first such file; or `FILES` is damaged.
    """
    folder = Path(folder)
    if FILES not in about:
        warnings.warn(
            f"{folder}: a run of an earlier version: whether its files were changed is not checked",
            UncheckedRunWarning,
            stacklevel=2,  # one place, so that it is said once
        )
        return
    files = about[FILES]
    if not isinstance(files, dict) or not all(map(_is_inside, files)):
        raise CheckpointError(
            "damaged entry",
            file=folder / "run.json",
            column=FILES,
            found=files,
            expected="names of files in the folder, each with its sha256",
        )
    for name, sha256 in files.items():
        check_sha256(folder / name, sha256, "not the file that the run wrote", HINT)
    for name in files_in(folder):
        if name.startswith(SEARCHED) and name.endswith(READ) and name not in files:
            what = "a table that the run did not write"
            raise CheckpointError(what, file=folder / name, hint="move it out of the run")
    check_seal(about, folder / "run.json", "it was changed after the run was finished", HINT)


def check_written(folder: str | Path) -> None:
    """Check the files of a folder that a report reads, where it is a finished run.

    Raises:
        CheckpointError: see `check_files`.
    """
    path = Path(folder) / "run.json"
    about = read_json(path) if path.is_file() else None
    if isinstance(about, dict) and about.get("status") == "done":
        check_files(folder, about)


def _is_inside(name: str) -> bool:
    return bool(name) and not PurePosixPath(name).is_absolute() and ".." not in name.split("/")


def read_run_json(folder: str | Path) -> dict[str, Any]:
    """Return the contents of a folder's ``run.json``.

    Raises:
        InputError: no such file, damaged, or of an unknown format.
    """
    path = Path(folder) / "run.json"
    try:
        about = read_json(path)
    except InputError as error:
        if path.exists():
            raise InputError("damaged run.json", file=path, found=str(error)) from None
        raise InputError(
            "not a run folder (no run.json)",
            file=folder,
            found=what_is_at(Path(folder), "run.json"),
            hint="give the folder that `mirnagraph train --out` wrote",
        ) from None
    if not isinstance(about, dict) or about.get("format_version") != FORMAT_VERSION:
        found = about.get("format_version") if isinstance(about, dict) else type(about).__name__
        raise InputError(
            "unknown format of run.json",
            file=path,
            column="format_version",
            found=found,
            expected=FORMAT_VERSION,
        )
    check_entries(about, ENTRIES, path)
    return about


def read_finished_run(folder: str | Path, needs: str = "") -> dict[str, Any]:
    """Read ``run.json`` of a finished run.

    Args:
        folder: of the run.
        needs: name of a file that runs of some commands alone write, such as ``labels.tsv``.

    Raises:
        InputError: see `read_run_json`; the run is not finished; a file of it was changed
            afterwards; or it is of a command that does not write the file.
    """
    about = read_run_json(folder)
    if about.get("status") != "done":
        raise InputError(
            "the run is not finished",
            file=folder,
            found=about.get("status"),
            expected="done",
            hint="run its command again to resume it",
        )
    check_files(folder, about)
    if needs and not (Path(folder) / needs).is_file():
        raise InputError(
            f"the run has no {needs}",
            file=folder,
            found=content_of(Path(folder)) or RUN,
            expected="a run of `mirnagraph train` or `mirnagraph seq train`",
        )
    return about
