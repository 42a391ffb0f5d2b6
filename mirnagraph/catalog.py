"""Catalog of public files, pinned by hash, with resumable download."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache as memo
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from mirnagraph.errors import ConfigError, FetchError
from mirnagraph.parallel import Progress, report

TIMEOUT = 30.0

CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class CatalogFile:
    """One public file.

    Attributes:
        path: relative to the dataset's folder.
        url: address, relative to the public host.
        sha256: of the final file.
        bytes: size of the download, 0 where unknown.
        convert: name of the step in `CONVERSIONS` between download and file; empty without one.
    """

    path: str
    url: str
    sha256: str
    bytes: int = 0
    convert: str = ""


@dataclass(frozen=True)
class CatalogEntry:
    """One named dataset.

    Attributes:
        name: name in the catalog.
        files: files to fetch.
        licence: of the files.
        note: what a fetch provides.
        loadable: whether `sources.load_dataset` opens it by name.
        unfetchable: why `fetch` cannot provide the files, which then have no `url`; else empty.
    """

    name: str
    files: tuple[CatalogFile, ...]
    licence: str
    note: str
    loadable: bool = False
    unfetchable: str = ""


def human_lines(text: str) -> str:
    """Filter the lines that name a human entry."""
    return "".join(f"{line}\n" for line in text.splitlines() if "hsa-" in line)


def disease_branches(text: str) -> str:
    """Filter the tree numbers of branches C (diseases) and F03 (mental disorders); add a header."""
    lines = [line for line in text.splitlines()[1:] if line.startswith(("C", "F03"))]
    return "\n".join(["tree_number\tdescriptor_ui\tterm", *lines]) + "\n"


def numbered_records(text: str) -> str:
    """Turn lines ``miRNA;disease`` into a table with a record number."""
    lines = [line.replace(";", "\t", 1) for line in text.splitlines() if line]
    rows = [f"{number}\t{line}" for number, line in enumerate(lines)]
    return "\n".join(["record0\tmir\tdisease", *rows]) + "\n"


CONVERSIONS: Mapping[str, Callable[[str], str]] = {
    "human_lines": human_lines,
    "disease_branches": disease_branches,
    "numbered_records": numbered_records,
}


@memo
def _catalog() -> tuple[str, tuple[CatalogEntry, ...]]:
    """Public host and entries of ``catalog.toml``."""
    path = resources.files("mirnagraph").joinpath("catalog.toml")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    host = table.pop("public")
    known = []
    for name, about in table.items():
        about["files"] = tuple(CatalogFile(**file) for file in about["files"])
        known.append(CatalogEntry(name, **about))
    return host, tuple(known)


def entries() -> tuple[CatalogEntry, ...]:
    """List every dataset of the catalog."""
    return _catalog()[1]


def entry(name: str) -> CatalogEntry:
    """Find a dataset by name.

    Raises:
        ConfigError: an unknown name; lists the known ones.
    """
    by_name = {candidate.name: candidate for candidate in entries()}
    if name not in by_name:
        raise ConfigError(f"no public dataset is called {name!r}; known: {', '.join(by_name)}")
    return by_name[name]


def cache_folder() -> Path:
    """Locate the user's cache of datasets and results; ``MIRNAGRAPH_CACHE`` sets another folder."""
    import pooch

    return Path(os.environ.get("MIRNAGRAPH_CACHE") or pooch.os_cache("mirnagraph"))


def fetch(
    name: str | CatalogEntry,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    base_url: str | None = None,
    *,
    timeout: float = TIMEOUT,
) -> Path:
    """Fetch a public dataset into the cache, without the files that are complete there.

    A file is moved into place only when its hash is right.

    Args:
        name: name in the catalog, or an entry.
        cache: folder of datasets; None: the user's cache.
        progress: called with the file's name, bytes so far, and total bytes.
        base_url: mirror in place of the public address.
        timeout: seconds without a response before giving up.

    Returns:
        The dataset's folder.

    Raises:
        ConfigError: no such dataset, or one that cannot be fetched.
        FetchError: no network, not found, truncated, altered, or the disk is full: names address
            and file.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    dataset = entry(name) if isinstance(name, str) else name
    if dataset.unfetchable:
        first = dataset.files[0].path
        raise ConfigError(
            f"dataset {dataset.name!r} cannot be fetched: {dataset.unfetchable}; "
            f"put {first} and the other files into $MIRNAGRAPH_DATA"
        )
    folder = (Path(cache) if cache is not None else cache_folder()) / dataset.name
    host = (base_url or _catalog()[0]).rstrip("/")
    for file in dataset.files:
        target = folder / file.path
        url = f"{host}/{file.url}"
        pinned = f"sha256:{file.sha256}"
        downloader = partial(_download, file=file, progress=progress, timeout=timeout)
        try:
            pooch.retrieve(url, pinned, target.name, target.parent, downloader=downloader)
        except ValueError as error:
            raise FetchError(
                f"the file at {url} does not have the pinned hash (altered)",
                file=target,
                found=str(error),
                expected=f"sha256 {file.sha256}",
            ) from None
        except OSError as error:
            raise FetchError(
                f"could not be written: {error.strerror or error}",
                file=target,
                hint="no incomplete file was left in its place",
            ) from error
    return folder


def _download(
    url: str,
    output_file: str,
    _pooch: Any,
    *,
    file: CatalogFile,
    progress: Progress | None,
    timeout: float,
) -> None:
    """Download and convert a file; what pooch calls as a downloader."""
    import requests

    failed = partial(FetchError, file=file.path)
    content = bytearray()
    total = file.bytes
    # Compressed, a response has another length than the file.
    headers = {"Accept-Encoding": "identity"}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            status = response.status_code
            if status != 200:
                what = "was not found" if status in (404, 410) else "could not be fetched"
                raise failed(f"{url} {what}", found=f"HTTP status {status}", expected="200")
            total = int(response.headers.get("Content-Length", total))
            for chunk in response.iter_content(CHUNK):
                content += chunk
                report(progress, Path(file.path).name, len(content), max(len(content), total))
    except requests.exceptions.ChunkedEncodingError:
        pass  # incomplete, see below
    except (requests.ConnectionError, requests.Timeout):
        what = f"could not reach {url} (no network, or the server does not respond)"
        raise failed(what, hint="try again later") from None
    except requests.RequestException as error:
        raise failed(f"could not fetch {url}", found=str(error)) from None
    if len(content) < total:
        raise failed(
            f"the download of {url} was interrupted (truncated)",
            found=f"{len(content)} bytes",
            expected=f"{total} bytes",
            hint="run the command again",
        )
    if file.convert:
        content = bytearray(CONVERSIONS[file.convert](content.decode("utf-8")).encode("utf-8"))
    Path(output_file).write_bytes(content)


def find(name: str) -> Path:
    """Find the folder of a named dataset: in ``$MIRNAGRAPH_DATA``, else in the user's cache.

    Raises:
        ConfigError: it is in neither; names the folders searched and the command to fetch it.
    """
    data = os.environ.get("MIRNAGRAPH_DATA")
    folders = [Path(data), Path(data) / name] if data else []
    folders.append(cache_folder() / name)
    dataset = entry(name)
    first = dataset.files[0].path
    for folder in folders:
        if (folder / first).is_file():
            return folder
    searched = ", ".join(str(folder) for folder in folders)
    unset = "" if data else " ($MIRNAGRAPH_DATA is not set)"
    how = f"get it with: mirnagraph fetch {name}"
    if dataset.unfetchable:
        how = f"it cannot be fetched: {dataset.unfetchable}"
    raise ConfigError(
        f"dataset {name!r} was not found; looked for {first} in {searched}{unset}; {how}"
    )
