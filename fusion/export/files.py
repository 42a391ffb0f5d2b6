"""Files of an exported model: their list in ``export.json`` and its check."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import check_output_folder, sha256_of
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.seals import check_seal
from mirnagraph.writing.contents import MODEL
from mirnagraph.writing.folders import is_empty
from mirnagraph.writing.marker import is_unhashed

EXPORT = "export.json"
CARD = "README.md"

FORMAT = "mirnagraph-export"
FORMAT_VERSION = 1

ALLOWED = (".json", ".tsv", ".md", ".txt", ".safetensors")
"""Endings of files in an exported model: numbers and text, no code."""

HUB_OWN = (".git", ".gitattributes", ".cache")
"""Written by git and huggingface_hub at the top of a folder; neither read nor copied."""

_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]*(/[A-Za-z0-9_][\w.\-]*)*", re.ASCII)

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Check before any work that an exported model can be written to a folder.

    Args:
        folder: the output folder.
        overwrite: allow a folder with an exported model; other content is never replaced.

    Raises:
        InputError: it is a file, holds something else, or holds a model and `overwrite` is not set.
    """
    check_output_folder(folder, overwrite=overwrite, content=MODEL)
    if folder.is_dir() and not is_empty(folder) and not (folder / EXPORT).is_file():
        raise InputError(
            "the folder is not empty and holds no exported model, so it is not replaced",
            file=folder,
            hint="choose another folder",
        )


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """List ``sha256`` and ``bytes`` of every file below a folder by name.

    The list itself and the card, which its owner may edit, are not listed.

    Raises:
        CheckpointError: a file that may not be in an exported model.
    """
    names = sorted(name for name in _files(folder) if name not in (EXPORT, CARD))
    return {
        name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size}
        for name in names
    }


def read_export(folder: Path) -> dict[str, Any]:
    """Read ``export.json`` and check the names in its list of files.

    Raises:
        CheckpointError: missing, damaged, of an unknown format, or a name that leads out of the
            folder or has another ending than `ALLOWED`.
    """
    path = folder / EXPORT
    _refuse_link(path)
    try:
        about = read_json(path)
    except InputError as error:
        if path.exists():
            raise CheckpointError(f"damaged {EXPORT}", file=path, found=str(error)) from None
        raise CheckpointError(
            f"not an exported model (no {EXPORT})",
            file=folder,
            hint="make one with `mirnagraph export`",
        ) from None
    found = about
    if isinstance(about, dict):
        found = {"format": about.get("format"), "format_version": about.get("format_version")}
    if found != {"format": FORMAT, "format_version": FORMAT_VERSION}:
        raise CheckpointError(
            "unknown format of an exported model",
            file=path,
            found=found,
            expected=f"{FORMAT}, version {FORMAT_VERSION}",
        )
    check_seal(about, path, "it was changed after the model was exported", "export the run again")
    files = about.get("files")
    if not isinstance(files, dict) or not all(map(_has_checksum, files.values())):
        raise CheckpointError("no list of files with their sha256", file=path, column="files")
    for name in files:
        if not _NAME.fullmatch(name) or not name.endswith(ALLOWED):
            raise CheckpointError(
                "a name that may not be in an exported model",
                file=path,
                column="files",
                found=name,
                expected=f"one of {', '.join(ALLOWED)}",
            )
    return dict(about)


def check_folder(folder: Path) -> dict[str, Any]:
    """Compare an exported folder with its list of files; returns its ``export.json``.

    The list shows that nothing was lost or changed in transfer, not who made the model.

    Raises:
        CheckpointError: see `read_export`; a file that is missing, differs, is not in the list or
            not of an allowed kind, or a link.
    """
    about = read_export(folder)
    listed = about["files"]
    present = set(_files(folder))
    for name in sorted(present - set(listed) - {EXPORT, CARD}):
        raise CheckpointError(
            f"a file that {EXPORT} does not list",
            file=folder / name,
            hint="take it out, or export the run again",
        )
    for name, entry in listed.items():
        if name not in present:
            raise CheckpointError(f"a file that {EXPORT} lists is missing", file=folder / name)
        checksum = sha256_of(folder / name)
        if checksum != entry["sha256"]:
            raise CheckpointError(
                f"the file is not the one that {EXPORT} lists",
                file=folder / name,
                found=checksum,
                expected=entry["sha256"],
            )
    return about


def _has_checksum(entry: object) -> bool:
    return isinstance(entry, dict) and bool(_SHA256.fullmatch(str(entry.get("sha256"))))


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise CheckpointError("a link in an exported model", file=path, expected="a plain file")


def _files(folder: Path) -> Iterator[str]:
    """Names of all files below a folder, with ``/``; CheckpointError for a link or another kind."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here == folder:
            folders[:] = [name for name in folders if name not in HUB_OWN]
            files = [name for name in files if name not in HUB_OWN]
        files = [name for name in files if not is_unhashed(name)]
        for name in sorted([*folders, *files]):
            path = here / name
            _refuse_link(path)
            if name in files and not (path.is_file() and name.endswith(ALLOWED)):
                raise CheckpointError(
                    "not a file of an exported model",
                    file=path,
                    expected=f"one of {', '.join(ALLOWED)}",
                )
        yield from ((here / name).relative_to(folder).as_posix() for name in files)
