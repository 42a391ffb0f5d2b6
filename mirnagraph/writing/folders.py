"""Folders written as a whole, which replace what mirnagraph wrote and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mirnagraph.errors import InputError
from mirnagraph.writing.disk import explain_disk, finish_file, finish_folder, sync
from mirnagraph.writing.locks import claim_folder, is_outside, locked, open_folder
from mirnagraph.writing.marker import (
    EXPORT,
    LOCK,
    MARKER,
    files_in,
    foreign_files,
    header,
    lines_of,
    listed_files,
)
from mirnagraph.writing.temporary import (
    is_inside_temporary,
    is_leftover,
    new_temporary,
    remove_temporary,
    sweep,
)

SHOWN = 3
"""Most files in a message."""

UNFINISHED = ".unfinished"
"""Last letters of a folder whose content replaces that of another when it is whole."""


def check_output_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that is not empty, before any work is done.

    With `overwrite`, a folder is replaced that mirnagraph wrote and that holds nothing else.

    Raises:
        InputError: it is a file, the current folder or one above it; it is not empty and
            `overwrite` is not set; or it holds a file of someone else, which is named.
    """
    folder = Path(folder)
    with explain_disk(folder):
        try:
            folder.stat()  # unlike exists(), this tells links that lead to themselves
        except (FileNotFoundError, ValueError):  # a NUL in the name
            return
    if not folder.is_dir():
        raise InputError("the output folder is a file", file=folder)
    real = Path(os.path.realpath(folder))
    if is_inside_temporary(real):
        return
    here = Path.cwd()
    if real == here or real in here.parents:
        raise InputError(
            "the output folder is the current folder, or one above it",
            file=folder,
            hint="name a folder in it, such as ./results",
        )
    if is_empty(real):
        return
    if not overwrite:
        raise InputError(
            "the output folder exists and is not empty",
            file=folder,
            hint="choose another, or pass --overwrite to replace it",
        )
    check_ours(folder)


def check_ours(folder: str | Path) -> None:
    """Refuse a folder that holds a file that mirnagraph did not write.

    Raises:
        InputError: it does; the first of them are named.
    """
    folder = Path(folder)
    names = files_of(folder)
    if names is None:
        raise InputError(
            "the folder was not written by mirnagraph, so it is not replaced",
            file=folder,
            found=_shown(list(files_in(folder))),
            hint="choose another folder, or empty this one",
        )
    foreign = foreign_files(Path(os.path.realpath(folder)), names)
    if foreign:
        raise InputError(
            "the folder holds what mirnagraph did not write, so it is not replaced",
            file=folder,
            found=_shown(foreign),
            hint="move it elsewhere, or choose another folder",
        )


def files_of(folder: str | Path) -> set[str] | None:
    """Names of the files of a folder by its own list, or by that of the folder it is part of.

    Returns:
        Names with ``/``; None for a folder that mirnagraph did not write.
    """
    real = Path(os.path.realpath(folder))
    names = listed_files(real)
    parent = open_folder(real)
    if parent is not None:
        start = real.relative_to(parent).as_posix() + "/"
        above = listed_files(parent) or set()
        found = {name.removeprefix(start) for name in above if name.startswith(start)}
        names = found if names is None else names | found
    return names


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but a lock, and what a killed process left."""
    return not any(
        path.name not in (LOCK, MARKER) and not is_leftover(path) for path in folder.iterdir()
    )


def is_abandoned(folder: Path, names: set[str]) -> bool:
    """Whether a folder with our list holds no more than a killed process had begun with."""
    return (folder / MARKER).is_file() and set(files_in(folder)) <= names


@contextlib.contextmanager
def write_folder(folder: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder as a whole: yield a temporary folder that replaces `folder` after the block.

    Where the block raises, the temporary folder is removed and `folder` is left as it was. A link
    stays, and the folder behind it is replaced. The folder carries a list of its files
    (`mirnagraph.writing.marker`), unless it is part of one that does.

    Raises:
        InputError: see `check_output_folder`; another command is at work in it; or the disk
            refuses.
    """
    folder = Path(folder)
    target = Path(os.path.realpath(folder))
    check_output_folder(folder, overwrite=overwrite)
    with explain_disk(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        place = target if target.is_dir() and not _can_move(target) else target.parent
        if is_outside(target):
            sweep(place)
        part = new_temporary(place, folder, is_folder=True)
    try:
        with explain_disk(folder, part):
            yield part
        _put(part, target, folder, overwrite=overwrite)
    finally:
        remove_temporary(part)


def place_beside(folder: str | Path) -> Path | None:
    """Name the folder in which the content that replaces a folder is written until it is whole.

    Returns:
        ``x.unfinished`` for ``x``; None where a folder cannot give its place to another: a mount,
        a parent that cannot be written, a part of a folder that is being written.
    """
    folder = Path(folder)
    real = Path(os.path.realpath(folder))
    if not is_outside(real) or not _can_move(real):
        return None
    name = f"{real.name}{UNFINISHED}"
    if folder.name == real.name and os.path.realpath(folder.parent) == str(real.parent):
        return folder.with_name(name)
    return real.with_name(name)


def replace_folder(part: str | Path, folder: str | Path) -> None:
    """Give a whole folder the place of another, of which only the files of others stay.

    Args:
        part: see `place_beside`; locked by this process.
        folder: also locked by this process.

    Raises:
        InputError: the disk refuses. Both folders are then as they were, or `part` has its place.
    """
    target = Path(os.path.realpath(folder))
    with explain_disk(Path(folder)):
        _swap(Path(os.path.realpath(part)), target, files_of(target) or set())
        sync(target.parent)


def remove_folder(folder: str | Path) -> None:
    """Remove the files of a folder that mirnagraph wrote, and the folder where nothing is left.

    A file that mirnagraph did not write stays; folders without a file in them do not.

    Raises:
        InputError: a file cannot be removed.
    """
    folder = Path(folder)
    real = Path(os.path.realpath(folder))
    if not real.is_dir():
        return
    if is_inside_temporary(real):
        shutil.rmtree(real, ignore_errors=True)
        return
    with explain_disk(folder):
        _remove_files(real, files_of(real) or set())
        (real / MARKER).unlink(missing_ok=True)
        for place, _, _ in os.walk(real, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(place)


def empty_folder(folder: str | Path) -> None:
    """Remove the files that mirnagraph wrote from a folder, and its list; the folder stays.

    Raises:
        InputError: a file cannot be removed.
    """
    real = Path(os.path.realpath(folder))
    with explain_disk(Path(folder)):
        _remove_files(real, files_of(real) or set())
        (real / MARKER).unlink(missing_ok=True)


def _put(part: Path, target: Path, folder: Path, *, overwrite: bool) -> None:
    """Move a finished temporary folder into its place."""
    if is_inside_temporary(target):
        with explain_disk(folder):
            if target.exists():
                shutil.rmtree(target)
            os.replace(part, target)
        return
    with locked(folder), explain_disk(folder):
        check_output_folder(folder, overwrite=overwrite)  # again: time has passed
        finish_folder(part)
        if not claim_folder(part, target) and not (part / EXPORT).is_file():
            text = header(_fingerprint(part)) + lines_of(sorted(files_in(part)))
            (part / MARKER).write_text(text, encoding="utf-8", newline="\n")
            finish_file(part / MARKER)
        names = files_of(target) or set()
        if part.parent == target:
            _remove_files(target, names)
            for path in part.iterdir():
                os.replace(path, target / path.name)
        else:
            _swap(part, target, names)
        sync(target.parent)


def _swap(part: Path, target: Path, names: set[str]) -> None:
    """Put a folder in the place of another whose files are `names`; others stay in it."""
    if not target.exists():
        os.replace(part, target)
        return
    if is_empty(target):
        with _with_lock_of(target, part):
            (target / MARKER).unlink(missing_ok=True)
            sweep(target)
            os.replace(part, target)
        return
    old = new_temporary(target.parent, target, is_folder=True)
    try:
        os.replace(target, old)
        try:
            with _with_lock_of(old, part):
                os.replace(part, target)
        except BaseException:
            os.replace(old, target)
            raise
        _remove_files(old, names)
        (old / MARKER).unlink(missing_ok=True)
        for name in [*files_in(old)]:  # came while this command was at work
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(old / name, target / name)
    finally:
        remove_temporary(old)


@contextlib.contextmanager
def _with_lock_of(folder: Path, part: Path) -> Iterator[None]:
    """Move the lock of a folder into what takes its place, and back where that fails."""
    is_locked = (folder / LOCK).is_file()
    if is_locked:
        os.replace(folder / LOCK, part / LOCK)
    try:
        yield
    except BaseException:
        if is_locked:
            os.replace(part / LOCK, folder / LOCK)
        raise


def _fingerprint(folder: Path) -> str:
    """sha256 over names and contents of the files of a folder."""
    total = hashlib.sha256()
    for name in sorted(files_in(folder)):
        with open(folder / name, "rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{name}\0{checksum}\n".encode())
    return total.hexdigest()


def _remove_files(folder: Path, names: set[str]) -> None:
    """Remove the files of a folder that are among `names`, and folders that this leaves empty."""
    parents: set[Path] = set()
    for name in list(files_in(folder)):
        if name in names:
            (folder / name).unlink(missing_ok=True)
            parents.update((folder / name).parents)
    for parent in sorted(parents, key=lambda path: len(path.parts), reverse=True):
        if folder in parent.parents:
            with contextlib.suppress(OSError):
                parent.rmdir()


def _can_move(folder: Path) -> bool:
    """Whether a folder can give its place to another by a change of names."""
    return not os.path.ismount(folder) and os.access(folder.parent, os.W_OK)


def _shown(names: list[str]) -> str:
    first = ", ".join(names[:SHOWN])
    return first + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
