"""Checks of outputs against inputs, before anything is read."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.writing.marker import EXPORT, MARKER, listed_files

_STDIN = "-"

_HINT = "choose another output"

NETWORKS = "networks.json"

DATASET = "dataset"
"""Folder of the dataset beside `NETWORKS`."""


_TABLES = (".tsv", ".txt", ".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".fa", ".fasta")

_SHEETS = (".xlsx", ".xls", ".ods", ".feather", ".arrow", ".h5", ".sqlite", ".npy", ".safetensors")

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")

_PAGES = (".html", ".htm", ".png", ".jpg", ".jpeg", ".pdf", ".svg")

SUFFIXES = frozenset((*_TABLES, *_SHEETS, *_PACKED, *_PAGES))
"""Suffixes that say a format."""


def check_suffix(path: Path, expected: Collection[str]) -> None:
    """Raise ConfigError for the suffix of another format, which the file would not hold.

    Args:
        path: of an output.
        expected: its suffixes; empty for any. One that says no format, or none, is fine too.
    """
    suffix = path.suffix.lower()
    if expected and suffix in SUFFIXES and suffix not in expected:
        valid = " or ".join(expected)
        raise ConfigError(
            f"{path}: not written as {suffix}; expected a name that ends with {valid}"
        )


def check_outputs(outputs: Mapping[str, str | Path], inputs: Mapping[str, str | Path]) -> None:
    """Refuse an output that is an input, or a folder that holds one.

    Args:
        outputs: name of each output, such as ``"--out"`` -> its path.
        inputs: name of each input -> its path; what does not exist is passed over.

    Raises:
        InputError: an output is an input, a folder above one, another output or inside it, or a
            file of a folder that mirnagraph wrote.
    """
    for name, path in outputs.items():
        _check_name(name, Path(path))
        _check_no_part(name, path)
        for other, source in inputs.items():
            if str(source) == _STDIN or not os.path.exists(source):
                continue
            if is_same(path, source):
                raise InputError(f"{name} and {other} are the same", file=path, hint=_HINT)
            if os.path.isdir(path) and _is_above(path, source):
                raise InputError(f"{name} is a folder that holds {other}", file=path, hint=_HINT)
    named = list(outputs.items())
    for place, (name, path) in enumerate(named):
        for other, twin in named[:place]:
            if is_same(path, twin):
                raise InputError(f"{other} and {name} are the same", file=path, hint=_HINT)
            for inner, below, outer, above in (
                (name, path, other, twin),
                (other, twin, name, path),
            ):
                if _is_above(above, below):
                    raise InputError(f"{inner} is inside {outer}", file=below, hint=_HINT)


def _check_name(name: str, path: Path) -> None:
    """Raise InputError for ``-``, and for a ``~`` that the shell was to replace and did not."""
    first = path.parts[0] if path.parts else ""
    if str(path) == _STDIN:
        hint = "/dev/stdout is the standard output"
        raise InputError(f"{name} is no file or folder", file=path, hint=hint)
    if first.startswith("~") and not os.path.lexists(first):
        hint = f"write a blank between {name} and its value, or $HOME in place of ~"
        raise InputError(f"{name} begins with {first}, which is no folder", file=path, hint=hint)


def _check_no_part(name: str, path: str | Path) -> None:
    """Raise InputError for an output that is a file of a run, of networks, or of a model.

    Nor is it a new file among those that are checked as a whole.
    """
    real = Path(os.path.realpath(path))
    for folder in real.parents:
        is_model = (folder / EXPORT).is_file()
        if is_model or ((folder.parent / NETWORKS).is_file() and folder.name == DATASET):
            whole = "an exported model" if is_model else "the dataset of networks"
            what = f"{name} is inside {whole}, which would not be opened with another file in it"
            raise InputError(what, file=path, hint=_HINT)
    if not os.path.isfile(path):
        return
    for folder in real.parents:
        file = real.relative_to(folder).as_posix()
        if file == MARKER or file in (listed_files(folder) or ()):
            what = f"{name} is a file of the folder {folder.name}, which mirnagraph wrote"
            raise InputError(what, file=path, hint=_HINT)


def is_same(path: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one file or folder, through links too."""
    try:
        if os.path.samefile(path, other):
            # a device or a pipe is no file that could be lost
            return os.path.isfile(path) or os.path.isdir(path)
        return False
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)


def _is_above(folder: str | Path, path: str | Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents


def folder_name(text: str) -> str:
    """Make one part of a path of a name that someone else chose: no separator, no leading dot.

    >>> folder_name("../../../escaped"), folder_name("mirna 1041")
    ('escaped', 'mirna 1041')
    """
    safe = "".join(char if char.isalnum() or char in "-_. +" else "_" for char in text)
    return safe.strip("._ ")[:100] or "unnamed"
