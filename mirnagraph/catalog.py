"""Catalog of public files, pinned by hash, with resumable download."""

from __future__ import annotations

import hashlib
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
from mirnagraph.io import sha256_of
from mirnagraph.parallel import Progress, report

TIMEOUT = 30.0

CHUNK = 1 << 13  # bytes; less than a chunk is lost when a connection breaks


@dataclass(frozen=True)
class CatalogFile:
    """One public file.

    Attributes:
        path: relative to the dataset's folder.
        url: address, relative to the public host.
        sha256: of the final file; empty where only `git_blob` is known.
        git_blob: git object id (SHA-1 of a blob) of the file as fetched; empty if not pinned by it.
        bytes: size of the download, 0 where unknown.
        convert: name of the step in `CONVERSIONS` between download and file; empty without one.
    """

    path: str
    url: str
    sha256: str = ""
    git_blob: str = ""
    bytes: int = 0
    convert: str = ""

    def __post_init__(self) -> None:
        if not (self.sha256 or self.git_blob):
            raise ConfigError(
                f"catalog: {self.path} is pinned by nothing; expected sha256 or git_blob"
            )
        if self.convert and self.convert not in CONVERSIONS:
            known = ", ".join(CONVERSIONS)
            raise ConfigError(
                f"catalog: unknown conversion {self.convert!r} of {self.path}; known: {known}"
            )


@dataclass(frozen=True)
class CatalogEntry:
    """One named dataset.

    Attributes:
        name: name in the catalog.
        files: files to fetch.
        licence: of the files.
        note: what a fetch provides.
        loadable: whether `sources.load_dataset` opens it by name.
    """

    name: str
    files: tuple[CatalogFile, ...]
    licence: str
    note: str
    loadable: bool = False


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

    An interrupted download leaves a ``.part`` file and resumes from it the next time. A file is
    moved into place only when its hash is right.

    Args:
        name: name in the catalog, or an entry.
        cache: folder of datasets; None: the user's cache.
        progress: called with the file's name, bytes so far, and total bytes (0 where unknown).
        base_url: mirror in place of the public address.
        timeout: seconds without a response before giving up.

    Returns:
        The dataset's folder.

    Raises:
        ConfigError: no such dataset.
        FetchError: no network, not found, truncated, altered, or the disk is full: names address
            and file.
    """
    dataset = entry(name) if isinstance(name, str) else name
    folder = (Path(cache) if cache is not None else cache_folder()) / dataset.name
    host = (base_url or _catalog()[0]).rstrip("/")
    for file in dataset.files:
        target = folder / file.path
        if _is_complete(target, file):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            download(f"{host}/{file.url}", target, file, progress, timeout)
        except OSError as error:
            raise FetchError(
                f"could not be written: {error.strerror or error}",
                file=target,
                hint="no incomplete file was left in its place",
            ) from error
    return folder


def _is_complete(target: Path, file: CatalogFile) -> bool:
    if file.sha256:
        return target.is_file() and sha256_of(target) == file.sha256
    return target.is_file() and git_blob_id(target) == file.git_blob


def find(name: str) -> Path:
    """Find the folder of a named dataset: in ``$MIRNAGRAPH_DATA``, else in the user's cache.

    Raises:
        ConfigError: it is in neither; names the folders searched and the command to fetch it.
    """
    data = os.environ.get("MIRNAGRAPH_DATA")
    folders = [Path(data), Path(data) / name] if data else []
    folders.append(cache_folder() / name)
    first = entry(name).files[0].path
    for folder in folders:
        if (folder / first).is_file():
            return folder
    searched = ", ".join(str(folder) for folder in folders)
    unset = "" if data else " ($MIRNAGRAPH_DATA is not set)"
    raise ConfigError(
        f"dataset {name!r} was not found; looked for {first} in {searched}{unset}; "
        f"get it with: mirnagraph fetch {name}"
    )


def git_blob_id(path: str | Path) -> str:
    """Compute git's object id of a file: SHA-1 over ``blob``, its size and its bytes."""
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def download(
    url: str, target: Path, file: CatalogFile, progress: Progress | None, timeout: float
) -> None:
    """Fetch `url` to `target`, whose folder exists.

    An interrupted download leaves a ``.part`` file, from which the next one resumes. Where a
    resumed download has the wrong hash, it is repeated once from the start.

    Args:
        url: full address.
        target: the final file.
        file: its expected hashes and size, and its conversion.
        progress: see `fetch`.
        timeout: seconds without a response before giving up.

    Raises:
        FetchError: no network, not found, truncated or altered.
    """
    part = target.with_name(f".{target.name}.part")
    is_resumed = True
    while is_resumed:
        is_resumed = _complete(part, url, file.bytes, progress, timeout)
        content, altered = _converted(part, file)
        if altered is None:
            part.write_bytes(content)
            part.replace(target)
            return
        part.unlink()
    expected = f"sha256 {file.sha256}" if file.sha256 else f"git object {file.git_blob}"
    raise FetchError(
        f"the file at {url} does not have the pinned hash (altered)",
        file=target,
        found=altered,
        expected=expected,
    )


def _converted(part: Path, file: CatalogFile) -> tuple[bytes, str | None]:
    """Content of the final file; and what was found where it is not the pinned one."""
    content = part.read_bytes()
    blob = git_blob_id(part)
    if file.git_blob and blob != file.git_blob:
        return content, f"git object {blob}"
    if file.convert:
        try:
            content = CONVERSIONS[file.convert](content.decode("utf-8")).encode("utf-8")
        except UnicodeDecodeError:
            return content, "bytes that are not UTF-8"
    sha256 = hashlib.sha256(content).hexdigest()
    if file.sha256 and sha256 != file.sha256:
        return content, f"sha256 {sha256}"
    return content, None


def _complete(part: Path, url: str, size: int, progress: Progress | None, timeout: float) -> bool:
    """Fetch what a part lacks; whether bytes of an earlier attempt were used."""
    import requests

    try:
        return _append(part, url, size, progress, timeout)
    except requests.exceptions.ChunkedEncodingError:
        raise _truncated(part, url, size) from None
    except (requests.ConnectionError, requests.Timeout):
        hint = "try again later"
        if _n_bytes(part):
            hint += f"; the next attempt resumes after {_n_bytes(part)} bytes"
        what = f"could not reach {url} (no network, or the server does not respond)"
        raise FetchError(what, file=part.parent, hint=hint) from None
    except requests.RequestException as error:
        raise FetchError(f"could not fetch {url}", file=part.parent, found=str(error)) from None


def _append(part: Path, url: str, size: int, progress: Progress | None, timeout: float) -> bool:
    """Write the response to the part, after the bytes that it holds (see `_complete`)."""
    import requests

    start = _n_bytes(part)
    # Compressed, a response has another length than the file, and no range of it can be asked.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416 and start:
            return True  # nothing is left to fetch: the part is complete, or wrong
        _check_response(response, url, part, start)
        is_resumed = start > 0 and response.status_code == 206
        done = start if is_resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else size
        with open(part, "ab" if is_resumed else "wb") as stream:
            for chunk in response.iter_content(CHUNK):
                stream.write(chunk)
                done += len(chunk)
                report(progress, part.name[1 : -len(".part")], done, max(done, total))
    if total and done < total:
        raise _truncated(part, url, total)
    return is_resumed


def _check_response(response: Any, url: str, part: Path, start: int) -> None:
    """Refuse a response other than the file or its bytes from `start`."""
    status = response.status_code
    refused = partial(FetchError, file=part.parent)
    if status not in (200, 206):
        what = "was not found" if status in (404, 410) else "could not be fetched"
        raise refused(f"{url} {what}", found=f"HTTP status {status}", expected="200")
    content_range = response.headers.get("Content-Range", "")
    expected = f"bytes {start}-"
    if status == 206 and not content_range.startswith(expected):
        what = f"{url} sent other bytes than requested"
        raise refused(what, found=content_range, expected=expected)


def _n_bytes(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _truncated(part: Path, url: str, total: int) -> FetchError:
    return FetchError(
        f"the download of {url} was interrupted (truncated)",
        file=part,
        found=f"{_n_bytes(part)} bytes",
        expected=f"{total} bytes" if total else "the whole file",
        hint="run it again to resume",
    )
