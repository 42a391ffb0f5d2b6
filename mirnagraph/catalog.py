"""Catalog of public files, pinned by hash, with resumable download."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache as memo
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
        ConfigError: no such dataset, or one that cannot be fetched.
        FetchError: no network, not found, truncated, altered, or the disk is full: names address
            and file.
    """
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
        if _is_complete(target, file):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            convert = CONVERSIONS[file.convert] if file.convert else None
            pins = Pins(sha256=file.sha256, git_blob=file.git_blob, size=file.bytes)
            download(
                f"{host}/{file.url}",
                target,
                pins,
                convert=convert,
                progress=progress,
                timeout=timeout,
            )
        except OSError as error:
            raise FetchError(
                f"could not be written: {error.strerror or error}",
                file=target,
                hint="no incomplete file was left in its place",
            ) from error
    return folder


def _is_complete(target: Path, file: CatalogFile) -> bool:
    if not target.is_file():
        return False
    if file.sha256:
        return sha256_of(target) == file.sha256
    return git_blob_id(target) == file.git_blob


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


@dataclass(frozen=True)
class Pins:
    """Expected hashes and size of a file.

    Attributes:
        sha256: of the final file; empty where unknown.
        git_blob: git object id of the file as fetched; empty where unknown.
        size: bytes as fetched; 0 where unknown.
    """

    sha256: str = ""
    git_blob: str = ""
    size: int = 0


def git_blob_id(path: str | Path) -> str:
    """Compute git's object id of a file: SHA-1 over ``blob``, its size and its bytes."""
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def download(
    url: str,
    target: Path,
    pins: Pins,
    *,
    convert: Callable[[str], str] | None = None,
    progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Fetch `url` to `target`, whose folder exists.

    pooch checks the hash and moves the file into place; `_Resumable` downloads. Where a resumed
    download has the wrong hash, it is repeated once from the start.

    Args:
        url: full address.
        target: the final file.
        pins: expected hashes and size.
        convert: step from the fetched to the final text, which `pins.sha256` is of.
        progress: see `fetch`.
        timeout: seconds without a response before giving up.

    Raises:
        FetchError: no network, not found, truncated or altered.
    """
    import pooch

    part = target.with_name(f".{target.name}.part")
    known = f"sha256:{pins.sha256}" if pins.sha256 else None
    for _ in range(2):
        downloader = _Resumable(part, pins, convert, progress, timeout)
        try:
            with _quiet(pooch.get_logger()):
                # an incomplete file, which pooch would keep without a known hash
                target.unlink(missing_ok=True)
                pooch.retrieve(
                    url,
                    known_hash=known,
                    fname=target.name,
                    path=target.parent,
                    downloader=downloader,
                )
        except _Altered as error:
            found = str(error)
        except ValueError:  # pooch: the hash is not the known one
            found = f"sha256 {downloader.sha256}"
        else:
            part.unlink(missing_ok=True)
            return
        part.unlink(missing_ok=True)
        if not downloader.resumed:
            break
    expected = f"sha256 {pins.sha256}" if pins.sha256 else f"git object {pins.git_blob}"
    raise FetchError(
        f"the file at {url} does not have the pinned hash (altered)",
        file=target,
        found=found,
        expected=expected,
    )


class _Altered(Exception):
    """The file is not the pinned git object, or is no UTF-8 text to convert."""


class _Resumable:
    """A pooch downloader that resumes from a ``.part`` file.

    Attributes:
        resumed: whether bytes of an earlier attempt were used.
        sha256: of the file given to pooch.
    """

    def __init__(
        self,
        part: Path,
        pins: Pins,
        convert: Callable[[str], str] | None,
        progress: Progress | None,
        timeout: float,
    ) -> None:
        self.part = part
        self.pins = pins
        self.convert = convert
        self.progress = progress
        self.timeout = timeout
        self.resumed = False
        self.sha256 = ""

    def __call__(
        self, url: str, output_file: str, pooch_object: Any, check_only: bool = False
    ) -> None:
        import requests

        try:
            self._download(url)
        except requests.exceptions.ChunkedEncodingError:
            raise self._truncated(url, self.pins.size) from None
        except (requests.ConnectionError, requests.Timeout):
            hint = "try again later"
            if self._n_bytes():
                hint += f"; the next attempt resumes after {self._n_bytes()} bytes"
            what = f"could not reach {url} (no network, or the server does not respond)"
            raise FetchError(what, file=self.part.parent, hint=hint) from None
        except requests.RequestException as error:
            raise FetchError(
                f"could not fetch {url}", file=self.part.parent, found=str(error)
            ) from None
        if self.pins.git_blob:
            blob = git_blob_id(self.part)
            if blob != self.pins.git_blob:
                raise _Altered(f"git object {blob}")
        content = self.part.read_bytes()
        if self.convert is not None:
            try:
                content = self.convert(content.decode("utf-8")).encode("utf-8")
            except UnicodeDecodeError:
                raise _Altered("bytes that are not UTF-8") from None
        self.sha256 = hashlib.sha256(content).hexdigest()
        Path(output_file).write_bytes(content)

    def _n_bytes(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _download(self, url: str) -> None:
        """Write the response to the part, after the bytes that it holds."""
        import requests

        start = self._n_bytes()
        # Compressed, a response has another length than the file, and no range of it can be asked.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            if response.status_code == 416 and start:
                # nothing is left to fetch: the part is complete, or wrong, which the hash shows
                self.resumed = True
                return
            self._check_response(response, url, start)
            done = start if self.resumed else 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length else self.pins.size
            with open(self.part, "ab" if self.resumed else "wb") as stream:
                for chunk in response.iter_content(CHUNK):
                    stream.write(chunk)
                    done += len(chunk)
                    report(self.progress, self.part.name[1 : -len(".part")], done, max(done, total))
        if total and done < total:
            raise self._truncated(url, total)

    def _check_response(self, response: Any, url: str, start: int) -> None:
        """Refuse a response other than the file or its bytes from `start`; set `resumed`."""
        status = response.status_code
        if status not in (200, 206):
            what = "was not found" if status in (404, 410) else "could not be fetched"
            raise FetchError(
                f"{url} {what}",
                file=self.part.parent,
                found=f"HTTP status {status}",
                expected="200",
            )
        self.resumed = status == 206
        content_range = response.headers.get("Content-Range")
        if self.resumed and not (content_range or "").startswith(f"bytes {start}-"):
            raise FetchError(
                f"{url} sent other bytes than requested",
                file=self.part.parent,
                found=content_range,
                expected=f"bytes {start}-",
            )

    def _truncated(self, url: str, total: int) -> FetchError:
        return FetchError(
            f"the download of {url} was interrupted (truncated)",
            file=self.part,
            found=f"{self._n_bytes()} bytes",
            expected=f"{total} bytes" if total else "the whole file",
            hint="run it again to resume",
        )


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Silence pooch, which logs every download on stderr."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
