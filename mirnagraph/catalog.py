"""Named public datasets: where each file is, pinned by content hash; fetching them, resumable and verified."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache as memo
from importlib import resources
from pathlib import Path

from mirnagraph.download import TIMEOUT, Pins, download, git_blob_id
from mirnagraph.errors import ConfigError, FetchError
from mirnagraph.files import sha256_of
from mirnagraph.progress import Progress


@dataclass(frozen=True)
class CatalogFile:
    """One public file.

    Attributes:
        path: where it goes below the dataset's folder.
        url: address, relative to the public host.
        sha256: of the file in its place; empty where only `git_blob` is known.
        git_blob: git object id (SHA-1 of a blob) of the file as fetched; empty where not pinned by it.
        bytes: size of the download, 0 where not known.
        convert: name of the step in `CONVERSIONS` between download and file; empty for a file taken as it is.
    """

    path: str
    url: str
    sha256: str = ""
    git_blob: str = ""
    bytes: int = 0
    convert: str = ""

    def __post_init__(self) -> None:
        if not (self.sha256 or self.git_blob):
            raise ConfigError(f"catalog: {self.path} is pinned by nothing; expected sha256 or git_blob")
        if self.convert and self.convert not in CONVERSIONS:
            raise ConfigError(f"catalog: unknown conversion {self.convert!r} of {self.path}; known: {', '.join(CONVERSIONS)}")


@dataclass(frozen=True)
class CatalogEntry:
    """One named dataset: its files, licence, a note on what a fetch gives, and whether `sources.load_dataset` opens it by name."""

    name: str
    files: tuple[CatalogFile, ...]
    licence: str
    note: str
    loadable: bool = False


def human_lines(text: str) -> str:
    """The lines that name a human entry."""
    return "".join(f"{line}\n" for line in text.splitlines() if "hsa-" in line)


def disease_branches(text: str) -> str:
    """The tree numbers of branches C (diseases) and F03 (mental disorders), with our header."""
    kept = [line for line in text.splitlines()[1:] if line.startswith(("C", "F03"))]
    return "\n".join(["tree_number\tdescriptor_ui\tterm", *kept]) + "\n"


def numbered_records(text: str) -> str:
    """Lines ``miRNA;disease`` as a table with a record number."""
    rows = ["\t".join((str(number), *line.split(";", 1))) for number, line in enumerate(line for line in text.splitlines() if line)]
    return "\n".join(["record0\tmir\tdisease", *rows]) + "\n"


CONVERSIONS: Mapping[str, Callable[[str], str]] = {
    "human_lines": human_lines,
    "disease_branches": disease_branches,
    "numbered_records": numbered_records,
}


@memo
def _catalog() -> tuple[str, tuple[CatalogEntry, ...]]:
    table = tomllib.loads(resources.files("mirnagraph").joinpath("catalog.toml").read_text(encoding="utf-8"))
    public = table.pop("public")
    return public, tuple(
        CatalogEntry(name, tuple(CatalogFile(**file) for file in about["files"]), about["licence"], about["note"], about.get("loadable", False))
        for name, about in table.items()
    )


def entries() -> tuple[CatalogEntry, ...]:
    """Every dataset of the catalog."""
    return _catalog()[1]


def entry(name: str) -> CatalogEntry:
    """One dataset by name; raises ConfigError for an unknown one, with the known names."""
    found = next((one for one in entries() if one.name == name), None)
    if found is None:
        raise ConfigError(f"no public dataset is called {name!r}; known: {', '.join(one.name for one in entries())}")
    return found


def cache_folder() -> Path:
    """The user's cache: fetched datasets, each in a folder of its name, and what else takes long; ``MIRNAGRAPH_CACHE`` names another folder."""
    import pooch

    return Path(os.environ.get("MIRNAGRAPH_CACHE") or pooch.os_cache("mirnagraph"))


def fetch(
    name: str | CatalogEntry, cache: str | Path | None = None, progress: Progress | None = None, base_url: str | None = None, *, timeout: float = TIMEOUT
) -> Path:
    """Bring a public dataset into the cache; files that are there and whole are not fetched again.

    A download that breaks off leaves a ``.part`` file and goes on from there the next time. A file takes its place only
    when its hash is right.

    Args:
        name: name in the catalog, or an entry of one's own.
        cache: folder to keep datasets in; None: the user's cache.
        progress: called with the file's name, bytes so far, and bytes in all (0 where the server does not say).
        base_url: mirror in place of the public address.
        timeout: seconds without an answer before giving up.

    Returns:
        The dataset's folder.

    Raises:
        ConfigError: no such dataset.
        FetchError: no network, not found, truncated, altered, or the disk is full: names address and file.
    """
    wanted = entry(name) if isinstance(name, str) else name
    folder = (Path(cache) if cache is not None else cache_folder()) / wanted.name
    host = (base_url or _catalog()[0]).rstrip("/")
    for file in wanted.files:
        target = folder / file.path
        if _is_whole(target, file):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            convert = CONVERSIONS[file.convert] if file.convert else None
            pins = Pins(sha256=file.sha256, git_blob=file.git_blob, size=file.bytes)
            download(f"{host}/{file.url}", target, pins, convert=convert, progress=progress, timeout=timeout)
        except OSError as error:
            raise FetchError(f"could not be written: {error.strerror or error}", file=target, hint="nothing was left half-written in its place") from error
    return folder


def _is_whole(target: Path, file: CatalogFile) -> bool:
    if not target.is_file():
        return False
    return sha256_of(target) == file.sha256 if file.sha256 else git_blob_id(target) == file.git_blob


def find(name: str) -> Path:
    """The folder of a named dataset: below ``$MIRNAGRAPH_DATA``, else in the user's cache.

    Raises:
        ConfigError: it is in neither place; says where was looked and how to get it.
    """
    wanted = entry(name)
    data = os.environ.get("MIRNAGRAPH_DATA")
    places = [Path(data), Path(data) / name] if data else []
    places.append(cache_folder() / name)
    first = wanted.files[0].path
    found = next((place for place in places if (place / first).is_file()), None)
    if found is None:
        looked = ", ".join(str(place) for place in places)
        unset = "" if data else " ($MIRNAGRAPH_DATA is not set)"
        raise ConfigError(f"dataset {name!r} was not found; looked for {first} in {looked}{unset}; get it with: mirnagraph fetch {name}")
    return found
