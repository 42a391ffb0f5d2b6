"""What a disk refuses, in one sentence; bytes and modes of finished files."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mirnagraph.errors import InputError
from mirnagraph.writing.temporary import asked

WHOLE = "nothing was left half-written"

OF_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO})
"""Errors of a disk, which come without the name of a file."""

_OF_RUST = re.compile(r"\bos error (\d+)\b|\bcode: (\d+)\b")
"""Number of an error of the system in what safetensors says, whose words differ by version."""


@contextlib.contextmanager
def explain_disk(place: Path, *within: Path, hint: str | None = WHOLE) -> Iterator[None]:
    """Turn what a disk refuses into one sentence that names the place that was asked for.

    Args:
        place: that is written.
        within: paths whose errors are meant; others pass, as those of a file that is read in the
            block. Without any, every OSError is meant.
        hint: what is left of the output.

    Raises:
        InputError: a full or read-only disk, a right that is missing, …
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if within and not _is_within(error, within):
            raise
        raise _unwritable(place, reason_of(error), hint) from error
    except Exception as error:
        # safetensors does not raise OSError; it is not imported here
        message = _OF_RUST.search(str(error))
        if type(error).__name__ != "SafetensorError" or message is None:
            raise
        number = int(message.group(1) or message.group(2))
        raise _unwritable(place, os.strerror(number), hint) from error


def reason_of(error: OSError) -> str:
    """What the system says of an error, without what a library puts around it."""
    return os.strerror(error.errno) if error.errno else error.strerror or str(error)


def _is_within(error: OSError, within: tuple[Path, ...]) -> bool:
    if error.filename is None:
        return error.errno in OF_DISK
    path = Path(os.fsdecode(error.filename))
    return any(path == place or place in path.parents for place in within)


def _unwritable(place: Path, reason: str, hint: str | None) -> InputError:
    return InputError(f"could not be written: {reason}", file=asked(place), hint=hint)


def finish_file(path: Path) -> None:
    """Give a file the mode of the umask, and its bytes to the disk.

    Raises:
        OSError: the file cannot be changed.
    """
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())
    path.chmod(0o666 & ~_umask())


def finish_folder(folder: Path) -> None:
    """Give every file and folder of a folder the modes of the umask, and their bytes to the disk.

    Raises:
        OSError: a file cannot be changed.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                finish_file(path)
        sync(Path(place))
        Path(place).chmod(0o777 & ~_umask())


def sync(folder: Path) -> None:
    """Give the names in a folder to the disk, where its file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
