"""Public files, pinned by hash, resumable download."""

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

CHUNK = 1 << 13  # what is lost when a connection breaks is less than one of these


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
            raise ConfigError(
                f"catalog: {self.path} is pinned by nothing; expected sha256 or git_blob"
            )
        if self.convert and self.convert not in CONVERSIONS:
            raise ConfigError(
                f"catalog: unknown conversion {self.convert!r} of {self.path}; known: {', '.join(CONVERSIONS)}"
            )


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
    rows = [
        "\t".join((str(number), *line.split(";", 1)))
        for number, line in enumerate(line for line in text.splitlines() if line)
    ]
    return "\n".join(["record0\tmir\tdisease", *rows]) + "\n"


CONVERSIONS: Mapping[str, Callable[[str], str]] = {
    "human_lines": human_lines,
    "disease_branches": disease_branches,
    "numbered_records": numbered_records,
}


@memo
def _catalog() -> tuple[str, tuple[CatalogEntry, ...]]:
    table = tomllib.loads(
        resources.files("mirnagraph").joinpath("catalog.toml").read_text(encoding="utf-8")
    )
    public = table.pop("public")
    return public, tuple(
        CatalogEntry(
            name,
            tuple(CatalogFile(**file) for file in about["files"]),
            about["licence"],
            about["note"],
            about.get("loadable", False),
        )
        for name, about in table.items()
    )


def entries() -> tuple[CatalogEntry, ...]:
    """Every dataset of the catalog."""
    return _catalog()[1]


def entry(name: str) -> CatalogEntry:
    """One dataset by name; raises ConfigError for an unknown one, with the known names."""
    found = next((one for one in entries() if one.name == name), None)
    if found is None:
        raise ConfigError(
            f"no public dataset is called {name!r}; known: {', '.join(one.name for one in entries())}"
        )
    return found


def cache_folder() -> Path:
    """The user's cache: fetched datasets, each in a folder of its name, and what else takes long; ``MIRNAGRAPH_CACHE`` names another folder."""
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
                hint="nothing was left half-written in its place",
            ) from error
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
        raise ConfigError(
            f"dataset {name!r} was not found; looked for {first} in {looked}{unset}; get it with: mirnagraph fetch {name}"
        )
    return found


@dataclass(frozen=True)
class Pins:
    """What a file must be: `sha256` in its place, `git_blob` as fetched (either may be empty), `size` in bytes as fetched (0: not known)."""

    sha256: str = ""
    git_blob: str = ""
    size: int = 0


def git_blob_id(path: str | Path) -> str:
    """git's object id of a file: SHA-1 over ``blob``, its size and its bytes."""
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

    pooch checks the hash and puts the file in its place; `_Resumable` brings the bytes. Bytes that were continued and turn
    out wrong may be the fault of the old part: then once more from the start.

    Args:
        convert: step from the text as fetched to the text in its place, to which `pins.sha256` then belongs.

    Raises:
        FetchError: no network, not found, truncated or altered.
    """
    import pooch

    part = target.with_name(f".{target.name}.part")
    known = f"sha256:{pins.sha256}" if pins.sha256 else None
    for _ in range(2):
        bring = _Resumable(part, pins, convert, progress, timeout)
        try:
            with _quiet(pooch.get_logger()):
                target.unlink(
                    missing_ok=True
                )  # what lies there is not whole; without a known hash pooch would keep it
                pooch.retrieve(
                    url, known_hash=known, fname=target.name, path=target.parent, downloader=bring
                )
        except _Altered as error:
            found = str(error)
        except ValueError:  # pooch: the hash is not the known one
            found = f"sha256 {bring.sha256}"
        else:
            part.unlink(missing_ok=True)
            return
        part.unlink(missing_ok=True)
        if not bring.resumed:
            break
    expected = f"sha256 {pins.sha256}" if pins.sha256 else f"git object {pins.git_blob}"
    raise FetchError(
        f"the file at {url} is not the one that was pinned (altered)",
        file=target,
        found=found,
        expected=expected,
    )


class _Altered(Exception):
    """The bytes are not those of the pinned git object, or not text that can be converted."""


class _Resumable:
    """A pooch downloader that keeps what it has in a ``.part`` file and asks the server for the rest.

    Attributes:
        resumed: whether bytes of an earlier attempt were used.
        sha256: of what was handed to pooch.
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
            self._bring(url)
        except requests.exceptions.ChunkedEncodingError:
            raise self._truncated(url, self.pins.size) from None
        except (requests.ConnectionError, requests.Timeout):
            kept = (
                f"; {self._have()} bytes are kept, the next attempt goes on from there"
                if self._have()
                else ""
            )
            what = f"could not reach {url} (no network, or the server does not answer)"
            raise FetchError(what, file=self.part.parent, hint=f"try again later{kept}") from None
        except requests.RequestException as error:
            raise FetchError(
                f"could not fetch {url}", file=self.part.parent, found=str(error)
            ) from None
        if self.pins.git_blob and (blob := git_blob_id(self.part)) != self.pins.git_blob:
            raise _Altered(f"git object {blob}")
        content = self.part.read_bytes()
        if self.convert is not None:
            try:
                content = self.convert(content.decode("utf-8")).encode("utf-8")
            except UnicodeDecodeError:
                raise _Altered("bytes that are not UTF-8") from None
        self.sha256 = hashlib.sha256(content).hexdigest()
        Path(output_file).write_bytes(content)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _bring(self, url: str) -> None:
        import requests

        have = self._have()
        # Without identity the length of a compressed answer is not that of the file, and a range of it means nothing.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if answer.status_code == 416 and have:
                self.resumed = True  # nothing is left to fetch: the part is whole, or wrong, which the hash tells
                return
            if answer.status_code not in (200, 206):
                what = (
                    "was not found" if answer.status_code in (404, 410) else "could not be fetched"
                )
                raise FetchError(
                    f"{url} {what}",
                    file=self.part.parent,
                    found=f"HTTP status {answer.status_code}",
                    expected="200",
                )
            self.resumed = answer.status_code == 206
            if self.resumed and not answer.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            ):
                raise FetchError(
                    f"{url} answered with another part than asked for",
                    file=self.part.parent,
                    found=answer.headers.get("Content-Range"),
                )
            done = have if self.resumed else 0
            length = answer.headers.get("Content-Length")
            total = done + int(length) if length else self.pins.size
            with open(self.part, "ab" if self.resumed else "wb") as stream:
                for chunk in answer.iter_content(CHUNK):
                    stream.write(chunk)
                    done += len(chunk)
                    report(self.progress, self.part.name[1 : -len(".part")], done, max(done, total))
        if total and done < total:
            raise self._truncated(url, total)

    def _truncated(self, url: str, total: int) -> FetchError:
        expected = f"{total} bytes" if total else "the whole file"
        what = f"the download of {url} broke off (truncated)"
        return FetchError(
            what,
            file=self.part,
            found=f"{self._have()} bytes",
            expected=expected,
            hint="run it again to go on from there",
        )


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """pooch tells of every download on stderr; the library is silent."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
