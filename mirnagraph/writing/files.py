"""Files written as a whole; devices, pipes and descriptors written in place."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from mirnagraph.errors import InputError
from mirnagraph.writing.disk import explain_disk, finish_file, sync
from mirnagraph.writing.locks import claim, is_outside
from mirnagraph.writing.temporary import (
    is_inside_temporary,
    new_temporary,
    remove_temporary,
    sweep,
)

MAX_LINKS = 40

_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/(?:self|thread-self|\d+)/fd)/(\d+)")


@contextlib.contextmanager
def write_file(path: str | Path, *, beside: Mapping[Path, str] | None = None) -> Iterator[Path]:
    """Write a file as a whole: yield a temporary path that replaces `path` after the block.

    Where the block raises, the temporary file is removed and `path` is left as it was. A link
    stays, and the file behind it is replaced. A device, a pipe or a descriptor (``/dev/stdout``)
    is written in place, after the block.

    Args:
        path: the file.
        beside: texts of files that take their places with it: all are on the disk before the
            first does. None of them goes beside what is no plain file.

    Raises:
        InputError: `path` is a folder, or the disk refuses; names `path`.
    """
    path = Path(path)
    target = file_behind(path)
    if target is None:
        with _staged(path) as part:
            yield part
        return
    with contextlib.ExitStack() as stack:
        part = stack.enter_context(_temporary_of(path, target))
        with explain_disk(path, part):
            yield part
        parts = [(path, part, target)]
        for other, text in (beside or {}).items():
            with explain_disk(other):
                place = Path(os.path.realpath(other))
                twin = stack.enter_context(_temporary_of(other, place))
                twin.write_text(text, encoding="utf-8", newline="\n")
            parts.append((other, twin, place))
        _put(parts)


@contextlib.contextmanager
def _temporary_of(path: Path, target: Path) -> Iterator[Path]:
    """Make a temporary file beside a target, and remove what is left of it after the block."""
    with explain_disk(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_outside(target):
            sweep(target.parent)
        part = new_temporary(target.parent, path)
    try:
        yield part
    finally:
        remove_temporary(part)


def _put(parts: list[tuple[Path, Path, Path]]) -> None:
    """Give finished files to the disk, then put them into their places, the first one last.

    Args:
        parts: path that was asked for, temporary file, and target.
    """
    for path, part, target in parts:
        if not is_inside_temporary(target):  # there, finished with its folder
            with explain_disk(path):
                finish_file(part)
            claim(path)
    kept: dict[Path, Path | None] = {}
    path, part, target = parts[0]
    try:
        for other, twin, place in parts[1:]:
            with explain_disk(other):
                kept[place] = _copy_of(place, other)
                os.replace(twin, place)
        with explain_disk(path):
            os.replace(part, target)
    except BaseException:
        for place, copy in kept.items():
            _put_back(copy, place)
        raise
    finally:
        for copy in kept.values():
            if copy is not None:
                remove_temporary(copy)
    if not is_inside_temporary(target):
        sync(target.parent)


def _copy_of(target: Path, path: Path) -> Path | None:
    """A temporary copy of a file, until another one is in its place; None where it is not there."""
    if not target.exists():
        return None
    copy = new_temporary(target.parent, path)
    try:
        shutil.copy2(target, copy)
    except BaseException:
        remove_temporary(copy)
        raise
    return copy


def _put_back(copy: Path | None, target: Path) -> None:
    if copy is None:
        target.unlink(missing_ok=True)
    else:
        os.replace(copy, target)


@contextlib.contextmanager
def open_output(
    path: str | Path, *, beside: Mapping[Path, str] | None = None
) -> Iterator[BinaryIO]:
    """Open a file for writing bytes: as `write_file`, but what is no plain file gets them at once.

    Raises:
        InputError: see `write_file`.
    """
    path = Path(path)
    if file_behind(path) is None:
        with explain_disk(path, hint=None), _open_in_place(path) as stream:
            yield stream
        return
    with write_file(path, beside=beside) as part, open(part, "wb") as stream:
        yield stream


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text as a whole (see `write_file`)."""
    with write_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def copy_file(source: str | Path, path: str | Path) -> None:
    """Copy the content of a file (see `write_file`)."""
    with open(source, "rb") as stream, open_output(path) as out:
        while block := stream.read(1 << 20):
            out.write(block)


def make_folder(path: str | Path) -> Path:
    """Make a folder with its parents, where it is not there.

    Raises:
        InputError: it cannot be made, or is a file.
    """
    path = Path(path)
    with explain_disk(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def remove_file(path: str | Path) -> None:
    """Remove a file that mirnagraph wrote; nothing where it is not there.

    Raises:
        InputError: it cannot be removed.
    """
    path = Path(path)
    with explain_disk(path):
        path.unlink(missing_ok=True)


def file_behind(path: Path) -> Path | None:
    """Return the plain file that a path stands for, which need not exist; None for another kind.

    Raises:
        InputError: it is a folder, or links that lead nowhere.
    """
    if descriptor_of(path) is not None:
        return None
    with explain_disk(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return Path(os.path.realpath(path))
    if stat.S_ISDIR(mode):
        raise InputError("the output file is a folder", file=path)
    return Path(os.path.realpath(path)) if stat.S_ISREG(mode) else None


def descriptor_of(path: Path) -> int | None:
    """Number of the open file that a path such as ``/dev/stdout`` names, through links."""
    name = os.path.abspath(path)
    for _ in range(MAX_LINKS):
        match = _DESCRIPTOR.fullmatch(name)
        if match is not None:
            return int(match.group(1))
        if not os.path.islink(name):
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))
    return None


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """Yield a temporary file whose content goes to a device, pipe or descriptor afterwards."""
    with explain_disk(path):
        part = new_temporary(Path(tempfile.gettempdir()), path)
    try:
        with explain_disk(path, part):
            yield part
        with (
            open(part, "rb") as content,
            explain_disk(path, hint=None),
            _open_in_place(path) as stream,
        ):
            while block := content.read(1 << 20):
                stream.write(block)
    finally:
        remove_temporary(part)


@contextlib.contextmanager
def _open_in_place(path: Path) -> Iterator[BinaryIO]:
    descriptor = descriptor_of(path)
    if descriptor is None:
        with open(path, "wb") as stream:
            yield stream
        return
    # opened again by name, a file behind it would be cut to nothing
    for own in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            own.flush()
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        yield stream
