"""A disk that is full from a certain write on: calls that make or change a file are counted."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("open", "write", "pwrite", "ftruncate", "fsync", "mkdir", "replace", "rename")
"""Functions of `os` that need room on a disk, or may say later that there was none."""

ONCE = ("replace", "rename")
"""Changes of names, which a full disk does not refuse again and again."""

MAKING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kind_of(step: str) -> str:
    """A write without digits and names of temporaries: those of all folds are of one kind."""
    return re.sub(r"\d+", "#", re.sub(r"\.mirnagraph-[^/]*", "TEMPORARY", step))


class FullDisk:
    """Counts the writes of this process below a folder, and refuses those from one on.

    Args:
        folder: whose files are meant.
        first: number of the first write that is refused, or its kind; 0 for none.
        code: why, a number of `errno`.

    Attributes:
        seen: the writes until now, as name and path.
        is_full: whether one was refused.
        refused: the first that was.
    """

    def __init__(self, folder: Path, first: int | str, code: int) -> None:
        self.folder = folder
        self.first = first
        self.code = code
        self.seen: list[str] = []
        self.is_full = False
        self.refused = ""

    def step(self, name: str, place: Any, target: Any = None) -> None:
        """Count a write of a place, or refuse it; of a change of names, the new one is kept."""
        path = self.path_of(place if target is None else target)
        if path is None:
            return
        step = f"{name} {path}"
        self.seen.append(step)
        if (self.is_full and name not in ONCE) or (not self.is_full and self.is_first(step)):
            self.refused = self.refused or step
            self.is_full = True
            name_of = None if isinstance(place, int) else os.fsdecode(place)
            raise OSError(self.code, os.strerror(self.code), name_of)

    def is_first(self, step: str) -> bool:
        if isinstance(self.first, str):
            return kind_of(step) == self.first
        return len(self.seen) == self.first

    def path_of(self, place: Any) -> str | None:
        """Path below the folder; None for what is elsewhere."""
        if isinstance(place, int):
            try:
                place = os.readlink(f"/proc/self/fd/{place}")
            except OSError:
                return None
            if not place.startswith(os.sep):  # a pipe
                return None
        path = os.path.abspath(os.fsdecode(place))
        start = f"{self.folder}{os.sep}"
        return path[len(start) :] if path.startswith(start) else None


@contextmanager
def full_disk(folder: Path, first: int | str = 0, code: int = errno.ENOSPC) -> Iterator[FullDisk]:
    """Count the writes below a folder in the block, or refuse them from one on."""
    disk = FullDisk(folder.resolve(), first, code)
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.setattr(os, name, refusing(disk, name, getattr(os, name)))
        opened = refusing_open(disk, builtins.open)
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield disk


def refusing(disk: FullDisk, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(place: Any, *args: Any, **kwargs: Any) -> Any:
        if name != "open" or args[0] & MAKING:
            disk.step(name, place, args[0] if name in ONCE else None)
        return function(place, *args, **kwargs)

    return call


def refusing_open(disk: FullDisk, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if set(mode) & set("wax+"):
            disk.step("open", file)
        return function(file, mode, *args, **kwargs)

    return call
