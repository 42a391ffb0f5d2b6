"""Temporary files and folders beside what is written, and the places they stand for."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".mirnagraph-"
"""First characters of every temporary name, followed by process, machine and number."""

_NAME = re.compile(re.escape(PREFIX) + r"(\d+)-([0-9a-f]{6})-\d+")

_NUMBERS = itertools.count()

# Temporary path -> place that its user asked for.
_PLACES: dict[Path, Path] = {}


@functools.cache
def machine() -> str:
    """Six letters for this machine, so that process numbers of others are not taken for ours."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def new_temporary(folder: Path, place: Path, *, is_folder: bool = False) -> Path:
    """Make an empty temporary file or folder.

    Args:
        folder: that it is made in, on the file system of the target.
        place: path that messages name in its stead.
        is_folder: make a folder.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        path = folder / f"{PREFIX}{os.getpid()}-{machine()}-{next(_NUMBERS)}"
        _PLACES[path] = place
        try:
            if is_folder:
                path.mkdir(mode=0o700)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            _PLACES.pop(path)
        except BaseException:
            _PLACES.pop(path)
            raise
        else:
            return path


def remove_temporary(path: Path) -> None:
    """Remove a temporary file or folder, if it is still there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    _PLACES.pop(path, None)


def remove_temporaries() -> None:
    """Remove every temporary of this process, as before an end that runs no clean-up."""
    for path in list(_PLACES):
        remove_temporary(path)


def asked(path: Path) -> Path:
    """Place that was asked for: a path in a temporary folder as a path in what it becomes."""
    for _ in range(len(_PLACES) + 1):
        # the innermost first
        for temporary, place in sorted(_PLACES.items(), key=lambda pair: -len(pair[0].parts)):
            if path == temporary or temporary in path.parents:
                path = place / path.relative_to(temporary)
                break
        else:
            return path
    return path


def is_inside_temporary(path: Path) -> bool:
    """Whether a path is, or lies in, a temporary folder of this process."""
    return any(place in _PLACES for place in (path, *path.parents))


def is_temporary(path: Path, folder: Path) -> bool:
    """Whether a path below a folder lies in a temporary of this process, or of one that is gone."""
    inside = [parent for parent in (path, *path.parents) if folder in parent.parents]
    return any(parent in _PLACES or is_leftover(parent) for parent in inside)


def is_leftover(path: Path) -> bool:
    """Whether a path is a temporary whose process is gone, such as one that was killed."""
    match = _NAME.fullmatch(path.name)
    if match is None or match.group(2) != machine() or path in _PLACES:
        return False
    return not is_alive(int(match.group(1))) or int(match.group(1)) == os.getpid()


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs; where that cannot be asked, it is taken to run."""
    if os.name == "nt":  # there, os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def leftovers(folder: Path, *, deep: bool = False) -> Iterator[Path]:
    """Temporaries of processes that are gone, directly in a folder or at any depth."""
    names = folder.rglob(f"{PREFIX}*") if deep else folder.glob(f"{PREFIX}*")
    with contextlib.suppress(OSError):
        for path in list(names):
            if is_leftover(path):
                yield path


def sweep(folder: Path, *, deep: bool = False) -> None:
    """Remove what processes that are gone left behind in a folder."""
    for path in leftovers(folder, deep=deep):
        remove_temporary(path)
