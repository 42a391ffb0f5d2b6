"""What a machine runs out of, as it is said by the system and by libraries."""

from __future__ import annotations

import errno
import os
import tempfile

import pytest

from cli.shortage import FILES, MEMORY, PROCESSES, shortage_of


def of_system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "file")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), MEMORY),
        (of_system(errno.ENOMEM), MEMORY),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), MEMORY),
        (RuntimeError("[enforce fail at alloc] DefaultCPUAllocator: not enough memory"), MEMORY),
        (RuntimeError("std::bad_alloc"), MEMORY),
        (of_system(errno.EMFILE), FILES),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), FILES),
        (RuntimeError("can't start new thread"), PROCESSES),
        (of_system(errno.EAGAIN), PROCESSES),
        (BlockingIOError(errno.EAGAIN, "write could not complete without blocking"), None),
        (of_system(errno.ENOENT), None),
        (ImportError("No module named 'x'"), None),
        (RuntimeError("shapes do not fit"), None),
        (ValueError("not enough memory"), None),  # a text of ours, such as a cell of a table
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_shortage_is_one_sentence(error: BaseException, sentence: str | None) -> None:
    assert shortage_of(error) == sentence


def load_a_library() -> None:
    """Fail as numba does: of what its own library said, only the context is left."""
    try:
        raise OSError("libllvmlite.so: failed to map segment from shared object")
    except OSError:
        raise OSError("Could not find/load shared object file") from None


def test_a_shortage_behind_another_error_is_found() -> None:
    with pytest.raises(OSError, match="Could not find") as caught:
        load_a_library()
    assert shortage_of(caught.value) == MEMORY


def test_no_place_for_temporary_files_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere", "/no/where"])
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    expected = "no folder takes temporary files: /nowhere, /no/where; set TMPDIR to one that does"
    assert shortage_of(caught.value) == expected
