"""Folders written as a whole, which replace what mirnagraph wrote and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mirnagraph.errors import InputError
from mirnagraph.writing.contents import check_content
from mirnagraph.writing.disk import explain_disk, finish_file, finish_folder, sync
from mirnagraph.writing.locks import add_to_list, claim_folder, is_outside, locked, open_folder
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
    is_temporary,
    new_temporary,
    remove_temporary,
    sweep,
)

SHOWN = 3
"""Most files in a message."""

UNFINISHED = ".unfinished"
"""Last letters of a folder whose content replaces that of another when it is whole."""


def check_output_folder(folder: str | Path, *, overwrite: bool = False, content: str = "") -> None:
    """Refuse an output folder that is not empty, before any work is done.

    With `overwrite`, a folder is replaced that mirnagraph wrote, that holds nothing else, and that
    holds what is to be written again.

    Args:
        folder: the output folder.
        overwrite: replace it.
        content: what is to be written, see `mirnagraph.writing.contents`; empty for a part of a
            folder.

    Raises:
        InputError: it is a file, the current folder or one above it; it is not empty and
            `overwrite` is not set; it holds a file of someone else, which is named; or it holds
            another kind of results.
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
    check_content(folder, content)


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
    real = Path(os.path.realpath(folder))
    foreign = [name for name in foreign_files(real, names) if not is_temporary(real / name, real)]
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
    """Whether a folder holds nothing but a lock, a list, and temporaries: ours, or of the dead."""
    return not any(
        path.name not in (LOCK, MARKER) and not is_temporary(path, folder)
        for path in folder.iterdir()
    )


def is_abandoned(folder: Path, names: set[str]) -> bool:
    """Whether a folder of ours holds no more than a killed process had begun with."""
    return files_of(folder) is not None and set(files_in(folder)) <= names


@contextlib.contextmanager
def write_folder(
    folder: str | Path, *, overwrite: bool = False, content: str = ""
) -> Iterator[Path]:
    """Write a folder as a whole: yield a temporary folder that replaces `folder` after the block.

    Where the block raises, the temporary folder is removed and `folder` is left as it was. A link
    stays, and the folder behind it is replaced. The folder carries a list of its files
    (`mirnagraph.writing.marker`), unless it is part of one that does.

    Args:
        folder: to write.
        overwrite: replace it.
        content: see `check_output_folder`.

    Raises:
        InputError: see `check_output_folder`; another command is at work in it; or the disk
            refuses.
    """
    folder = Path(folder)
    target = Path(os.path.realpath(folder))
    check_output_folder(folder, overwrite=overwrite, content=content)
    with explain_disk(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        place = target if target.is_dir() and not _can_move(target) else target.parent
        if is_outside(target):
            sweep(place)
        part = new_temporary(place, folder, is_folder=True)
    try:
        with explain_disk(folder, part):
            yield part
        _put(part, target, folder, overwrite=overwrite, content=content)
    finally:
        remove_temporary(part)


def place_beside(folder: str | Path) -> Path | None:
    """Name the folder in which the content that replaces a folder is written until it is whole.

    Returns:
        ``x.unfinished`` for ``x``; ``x/unfinished`` where a folder cannot give its place to
        another, such as a mount, or in a parent that cannot be written; None for a part of a folder
        that is being written.
    """
    folder = Path(folder)
    real = Path(os.path.realpath(folder))
    if not is_outside(real):
        return None
    if not _can_move(real):
        return folder / UNFINISHED.removeprefix(".")
    name = f"{real.name}{UNFINISHED}"
    if folder.name == real.name and os.path.realpath(folder.parent) == str(real.parent):
        return folder.with_name(name)
    return real.with_name(name)


def replace_folder(part: str | Path, folder: str | Path, list_header: str) -> None:
    """Give a whole folder the place of another, of which only the files of others stay.

    Args:
        part: see `place_beside`; locked by this process.
        folder: also locked by this process.
        list_header: first line of the list of `part`, which has none inside of `folder`.

    Raises:
        InputError: the disk refuses. Both folders are then as they were, or `part` has its place.
    """
    source = Path(os.path.realpath(part))
    target = Path(os.path.realpath(folder))
    with explain_disk(Path(folder)):
        names = files_of(target) or set()
        if target in source.parents:
            add_to_list(target, [(source / MARKER).relative_to(target).as_posix()])
            _write_list(source, list_header)
            _exchange(source, target, names)
        else:
            _swap(source, target, names)
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


def _put(part: Path, target: Path, folder: Path, *, overwrite: bool, content: str) -> None:
    """Move a finished temporary folder into its place."""
    if is_inside_temporary(target):
        with explain_disk(folder):
            if target.exists():
                shutil.rmtree(target)
            os.replace(part, target)
        return
    with locked(folder), explain_disk(folder):
        # again: time has passed
        check_output_folder(folder, overwrite=overwrite, content=content)
        finish_folder(part)
        if not claim_folder(part, target) and not (part / EXPORT).is_file():
            _write_list(part, header(_fingerprint(part), content))
        names = files_of(target) or set()
        if part.parent == target:
            _exchange(part, target, names)
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


def _write_list(folder: Path, first: str) -> None:
    """Write the list of the files that a folder holds, after its header."""
    text = first + lines_of(sorted(files_in(folder)))
    (folder / MARKER).write_text(text, encoding="utf-8", newline="\n")
    finish_file(folder / MARKER)


def _exchange(part: Path, target: Path, names: set[str]) -> None:
    """Put the files of a folder in the place of files of the one around it; others stay.

    Where that fails, both folders are as they were.

    Args:
        part: a folder in `target`.
        target: that keeps its place.
        names: of the files of `target` that are replaced.
    """
    start = part.relative_to(target).as_posix() + "/"
    earlier = [name for name in files_in(target) if name in names and not name.startswith(start)]
    new = list(files_in(part))
    if (target / MARKER).is_file():
        earlier.append(MARKER)
        add_to_list(target, new)  # none is foreign where this command is killed
    if (part / MARKER).is_file():
        new.append(MARKER)
    old = new_temporary(target, target, is_folder=True)
    moves = [(target / name, old / name) for name in earlier]
    moves += [(part / name, target / name) for name in new]
    try:
        _move_all(moves)
        for folder in (old, part):
            shutil.rmtree(folder, ignore_errors=True)
        _remove_empty_parents(target, earlier)
    finally:
        remove_temporary(old)


def _move_all(moves: list[tuple[Path, Path]]) -> None:
    """Move files within a file system; where one cannot be moved, all go back."""
    begun = []
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            begun.append((source, target))
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(begun):
            if not os.path.lexists(source):
                source.parent.mkdir(parents=True, exist_ok=True)
                os.replace(target, source)
        raise


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
    removed = [name for name in files_in(folder) if name in names]
    for name in removed:
        (folder / name).unlink(missing_ok=True)
    _remove_empty_parents(folder, removed)


def _remove_empty_parents(folder: Path, names: list[str]) -> None:
    """Remove the folders that files of these names were in, where nothing is left in them."""
    parents = {parent for name in names for parent in (folder / name).parents}
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
