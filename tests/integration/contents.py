"""What is in a folder before and after a command; headers of models; small disks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirnagraph.runs.arrays import load_arrays
from mirnagraph.runs.model_file import WEIGHTS, write_model


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_header(folder: Path, header: dict[str, Any]) -> None:
    """Write the header of a model with the seals of a model that was saved so."""
    given = {name: header[name] for name in header if name not in ("format", "format_version")}
    arrays = load_arrays(folder / WEIGHTS)
    write_model(folder, header["format"], header["format_version"], given, arrays)


def hidden(folder: Path) -> list[str]:
    """What a command must not leave behind."""
    return [
        path.name
        for path in folder.rglob("*")
        if path.name.startswith(".") or path.name == "mirnagraph.lock"
    ]


@contextmanager
def small_disk(place: Path) -> Iterator[Callable[[str], Path]]:
    """Yield a function that mounts a small disk of the given options below a folder.

    It skips the test, with a word, where none can be mounted.
    """
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = place / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no small disk can be mounted here")
        mounted.append(folder)
        return Path(folder.name)

    try:
        yield mount
    finally:
        for folder in mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
