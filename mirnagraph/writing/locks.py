"""Locks of output folders: who is at work in one, and which files its list gains."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from mirnagraph.errors import InputError
from mirnagraph.writing.disk import explain_disk
from mirnagraph.writing.marker import LOCK, MARKER, files_in, header, lines_of, listed_files
from mirnagraph.writing.temporary import asked, is_alive, is_inside_temporary, sweep

try:
    import fcntl
except ImportError:  # Windows: the number of the process decides alone
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class _Held:
    """A lock of this process.

    Attributes:
        descriptor: of the open file; the system frees its lock when the process ends.
        made: folders that were made for it, the innermost first.
    """

    descriptor: int
    made: tuple[Path, ...]


_HELD: dict[Path, _Held] = {}

_was_listed = False

# Folder -> names that this process has added to its list.
_CLAIMED: dict[Path, set[str]] = {}


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the lock of a folder; within a lock that this process holds, do nothing.

    Raises:
        InputError: see `lock`.
    """
    is_new = lock(folder)
    try:
        yield
    finally:
        if is_new:
            unlock(folder)


def lock(folder: str | Path) -> bool:
    """Take the lock of a folder, which is made where it is not there.

    The lock of a process that ended is taken over. A folder inside another that is locked by this
    process, or by the one that started it, needs none of its own.

    Returns:
        Whether the lock is a new one of this process.

    Raises:
        InputError: another process holds it, or the folder cannot be written.
    """
    place = Path(folder)
    path = _real(place)
    if is_inside_temporary(path) or open_folder(path / LOCK) is not None:
        return False
    with explain_disk(place):
        made = tuple(_make_folders(path))
        try:
            _HELD[path] = _Held(_acquire(path / LOCK, place), made)
        except BaseException:
            _remove_empty(made)
            raise
    sweep(path, deep=True)
    return True


def unlock(folder: str | Path) -> None:
    """Give back the lock of a folder; nothing where this process does not hold it.

    Folders that were made for the lock and stayed empty are removed.
    """
    path = _real(Path(folder))
    held = _HELD.pop(path, None)
    _CLAIMED.pop(path, None)
    if held is None:
        return
    with contextlib.suppress(OSError):
        if _is_file_of(held.descriptor, path / LOCK):
            (path / LOCK).unlink()
    with contextlib.suppress(OSError):
        os.close(held.descriptor)
    _remove_empty(held.made)


def unlock_all() -> None:
    """Give back every lock of this process, and remove what killed workers left in the folders."""
    for path in list(_HELD):
        sweep(path, deep=True)
        unlock(path)


def was_listed() -> bool:
    """Whether this command has begun a folder with a list of its own, such as a run."""
    return _was_listed


def begin_command() -> None:
    """Forget what earlier commands of this process have begun."""
    global _was_listed
    _was_listed = False


def open_folder(path: Path) -> Path | None:
    """Folder above a path that this process, or the one that started it, has locked."""
    starter = parent_process()
    for folder in path.parents:
        if folder in _HELD:
            if _is_still_held(folder):
                return folder
            _HELD.pop(folder)
        elif starter is not None and (folder / LOCK).is_file():
            holder = _holder(folder / LOCK)
            if holder.get("pid") == starter.pid and holder.get("host") == platform.node():
                return folder
    return None


def is_outside(path: Path) -> bool:
    """Whether a path is part of no folder that is being written."""
    return not is_inside_temporary(path) and open_folder(path) is None


def start_list(folder: Path, fingerprint: str, content: str = "") -> None:
    """Write the list of a locked folder that has none, with the files of an earlier version.

    Args:
        folder: that is locked.
        fingerprint: of what is written.
        content: see `mirnagraph.writing.contents`.

    Raises:
        InputError: it cannot be written.
    """
    global _was_listed
    path = _real(folder)
    names = listed_files(path) or set()
    _was_listed = True
    if path not in _HELD or (path / MARKER).exists():
        return
    with explain_disk(folder), open(path / MARKER, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(header(fingerprint, content) + lines_of(sorted(names)))


def claim(path: Path) -> None:
    """Add a file, or all files of a folder, to the list of the open folder that it goes into.

    Called before it takes its place, so that no file of a killed process is foreign.

    Raises:
        InputError: the list cannot be written; names `path`.
    """
    real = _real(path)
    folder = open_folder(real)
    if folder is None or is_inside_temporary(real):
        return
    with explain_disk(path):
        add_to_list(folder, [real.relative_to(folder).as_posix()])


def adopt(path: Path) -> None:
    """Add a file to the list of the finished folder above it, such as a cache of networks.

    Raises:
        InputError: the list cannot be written.
    """
    real = _real(path)
    for folder in real.parents[:2]:
        if (folder / MARKER).is_file():
            with explain_disk(path):
                add_to_list(folder, [real.relative_to(folder).as_posix()])
            return


def add_to_list(folder: Path, names: list[str]) -> None:
    """Add names to the list of a folder that carries one.

    Raises:
        OSError: the list cannot be written.
    """
    marker = folder / MARKER
    known = _CLAIMED.setdefault(folder, set())
    new = [name for name in names if name not in known]
    if not new or not marker.is_file():
        return
    # one call, at the end of the file: lines of several processes do not mix
    descriptor = os.open(marker, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, lines_of(new).encode())
    finally:
        os.close(descriptor)
    known.update(new)


def claim_folder(part: Path, target: Path) -> bool:
    """Add the files of a finished temporary folder to the list that its target belongs to.

    Returns:
        Whether there is such a list; without one the folder carries its own.
    """
    if is_inside_temporary(target):
        return True
    folder = open_folder(target)
    if folder is None:
        return False
    place = target.relative_to(folder).as_posix()
    add_to_list(folder, [f"{place}/{name}" for name in files_in(part)])
    return True


def _acquire(path: Path, place: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _is_free(descriptor, path):
                raise _refused(place, _holder(path))
            if _is_file_of(descriptor, path):
                _write_holder(descriptor, path)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it in between


def _is_free(descriptor: int, path: Path) -> bool:
    """Whether no other process holds a lock; the system knows, or else the number in the file."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks
    holder = _holder(path)
    process = holder.get("pid")
    if not isinstance(process, int) or process == os.getpid():
        return True
    return holder.get("host") == platform.node() and not is_alive(process)


def _write_holder(descriptor: int, path: Path) -> None:
    """Say in a lock who holds it; where the disk refuses, there is no lock."""
    about = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": datetime.datetime.now().isoformat(sep=" ", timespec="seconds"),
        "command": " ".join(["mirnagraph", *sys.argv[1:]])[:200],
    }
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _holder(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _refused(place: Path, holder: dict[str, Any]) -> InputError:
    found = "its lock held"
    if holder:
        found = (
            f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')} "
            f"({holder.get('command')})"
        )
    return InputError(
        "another command is at work in this folder",
        file=asked(place),
        found=found,
        hint="wait for its end, or choose another folder",
    )


def _is_still_held(folder: Path) -> bool:
    return _is_file_of(_HELD[folder].descriptor, folder / LOCK)


def _is_file_of(descriptor: int, path: Path) -> bool:
    """Whether a path is the file that a descriptor is open on."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


def _make_folders(path: Path) -> Iterator[Path]:
    """Make a folder and its parents; yield those that were made, the innermost first."""
    missing = []
    current = path
    while not current.exists():
        missing.append(current)
        current = current.parent
    path.mkdir(parents=True, exist_ok=True)
    yield from missing


def _remove_empty(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
