"""The list of files that a folder of mirnagraph carries, and what such folders held before it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

MARKER = "mirnagraph.jsonl"
"""File of the list: a header with format and fingerprint, then a name in each line."""

LOCK = "mirnagraph.lock"
"""File of the command that is at work in a folder."""

EXPORT = "export.json"
"""File of an exported model that lists its files itself."""

FORMAT = "mirnagraph folder"

FORMAT_VERSION = 1

MAX_BYTES = 1 << 26
"""Largest list or JSON file that is read to tell whose a folder is."""

DROPPED = frozenset(
    {".ds_store", "thumbs.db", "desktop.ini", ".localized", "ehthumbs.db", ".directory"}
)
"""Files that operating systems drop into folders that someone looks at, in lower case."""


def is_dropping(name: str) -> bool:
    """Whether a file of this name is left by an operating system in folders that it showed.

    >>> is_dropping(".DS_Store"), is_dropping("._rnas.tsv"), is_dropping("rnas.tsv")
    (True, True, False)
    """
    return name.casefold() in DROPPED or name.startswith("._")


def is_unhashed(name: str) -> bool:
    """Whether a file of this name does not belong to the content of a folder."""
    return name in (MARKER, LOCK) or is_dropping(name)


_MODEL = (
    "known.tsv",
    "known.safetensors",
    "model.json",
    "model.safetensors",
    "names.tsv",
    "names_earlier.tsv",
    "newcomers/*",
    "cold_start/*",
)

_RUN = (
    "ablation.md",
    "ablation.png",
    "ablation.tsv",
    "ablation_neural.tsv",
    "attention.png",
    "baselines.tsv",
    "baselines/*",
    "best.toml",
    "checkpoints/*",
    "choices.tsv",
    "config.toml",
    "conflicts.tsv",
    "cut.tsv",
    "earlier.tsv",
    "embeddings/*",
    "encoder/*",
    "figures.tsv",
    "folds.tsv",
    "folds/*",
    "groups.tsv",
    "health.tsv",
    "labels.tsv",
    "left_out.tsv",
    "metrics.tsv",
    "metrics_by_part.tsv",
    "metrics_by_set.tsv",
    "model/*",
    "networks.toml",
    "parts/*",
    "predictions.tsv",
    "reliability.png",
    "repeats.tsv",
    "repeats/*",
    "report.md",
    "rnas.tsv",
    "roc.png",
    "run.json",
    "scores.tsv",
    "search.sqlite",
    "search.toml",
    "searches/*",
    "summary.tsv",
    "temporal.tsv",
    "tower/*",
    "trials.png",
    "trials.tsv",
    "tune.md",
    "uncertainty.tsv",
    "variants.tsv",
    "variants/*",
    "versus_untuned.tsv",
)

_NETWORKS = (
    "networks.json",
    "edges.*.parquet",
    "similarities.safetensors",
    "statistics.tsv",
    "dataset/*",
    "embeddings/*",
    "*.graphml",
)

_DATASET = (
    "dataset.toml",
    "rnas.tsv",
    "labels.tsv",
    "ontology.tsv",
    "left_out.tsv",
    "associations.*.tsv",
    "partners.*.tsv",
    "measurements.*.tsv",
    "samples.*.tsv",
    "names.tsv",
    "names_earlier.tsv",
    "organisms.tsv",
    "provenance.json",
)

# File that tells a folder of an earlier version -> entries that it has, and names of its files.
_EARLIER: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "run.json": (frozenset({"format_version", "fingerprint", "inputs", "status"}), _RUN),
    "networks.json": (
        frozenset({"format_version", "dataset_sha256", "rnas_checksum"}),
        _NETWORKS,
    ),
    "model.json": (frozenset({"format", "format_version", "weights_sha256"}), _MODEL),
}


def header(fingerprint: str = "", content: str = "") -> str:
    """First line of a list.

    Args:
        fingerprint: of the files.
        content: what the folder holds, see `mirnagraph.writing.contents`.
    """
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, "fingerprint": fingerprint}
    if content:
        about["content"] = content
    return json.dumps(about) + "\n"


def lines_of(names: Iterable[str]) -> str:
    """Lines of a list."""
    return "".join(f"{json.dumps(name)}\n" for name in names)


def listed_files(folder: Path) -> set[str] | None:
    """Names of the files that mirnagraph wrote into a folder.

    A folder of an earlier version has no list; its file of settings tells it, and its files are
    told by their names.

    Returns:
        Names with ``/``; None for a folder that mirnagraph did not write.
    """
    names = _listed(folder / MARKER)
    if names is not None:
        return names | _listed_by_export(folder)
    if exported := _listed_by_export(folder):
        return exported
    for name, (entries, patterns) in _EARLIER.items():
        about = _json(folder / name)
        if isinstance(about, dict) and entries <= set(about):
            return _matching(folder, patterns)
    return _earlier_dataset(folder)


def foreign_files(folder: Path, names: set[str]) -> list[str]:
    """Files in a folder that are not among `names`, in order."""
    return sorted(file for file in files_in(folder) if file not in names)


def files_in(folder: Path) -> Iterator[str]:
    """Names of the files below a folder with ``/``, without its list, its lock and droppings.

    A link is a file, wherever it leads.
    """
    for place, folders, names in os.walk(folder):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links)
        for name in sorted([*names, *links]):
            if is_dropping(name) or (here == folder and name in (MARKER, LOCK)):
                continue
            yield (here / name).relative_to(folder).as_posix()


def content_in_list(folder: Path) -> str:
    """What a folder holds, as its list says it; empty where it has none, or one without it."""
    about, _ = _list_of(folder / MARKER)
    content = (about or {}).get("content")
    return content if isinstance(content, str) else ""


def _list_of(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Header and lines of a list; no header where it is none of ours."""
    first, *lines = (_text(path) or "").split("\n")
    about = _parsed(first)
    is_ours = isinstance(about, dict) and about.get("format") == FORMAT
    return (about if is_ours else None), lines


def _listed(path: Path) -> set[str] | None:
    about, lines = _list_of(path)
    if about is None:
        return None
    names = (_parsed(line) for line in lines)  # the last line of a killed process may be cut
    return {name for name in names if isinstance(name, str)}


def _listed_by_export(folder: Path) -> set[str]:
    about = _json(folder / EXPORT)
    files = about.get("files") if isinstance(about, dict) else None
    if not isinstance(files, dict) or "format_version" not in about:
        return set()
    return {*map(str, files), EXPORT, "README.md"}


def _earlier_dataset(folder: Path) -> set[str] | None:
    text = _text(folder / "dataset.toml")
    if text is None or "format_version" not in text or "compartments" not in text:
        return None
    return _matching(folder, _DATASET)


def _matching(folder: Path, patterns: tuple[str, ...]) -> set[str]:
    names = files_in(folder)
    return {name for name in names if any(fnmatchcase(name, each) for each in patterns)}


def _json(path: Path) -> Any:
    text = _text(path)
    return None if text is None else _parsed(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
