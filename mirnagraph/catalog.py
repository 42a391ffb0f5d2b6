"""Catalog of public files, pinned by hash, with resumable download."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import shutil
import tomllib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache as memo
from functools import partial
from importlib import resources
from pathlib import Path

from mirnagraph.errors import ConfigError, FetchError, raise_problems
from mirnagraph.io import sha256_of, write_file
from mirnagraph.parallel import Progress, report
from mirnagraph.published.conversions import CONVERSIONS

TIMEOUT = 30.0

CHUNK = 1 << 16  # bytes

GZIP = b"\x1f\x8b"
"""First bytes of a packed file."""

BUILT = "dataset"
"""Folder of the dataset that ``mirnagraph fetch`` builds, in the folder of its files."""


@dataclass(frozen=True)
class CatalogFile:
    """One public file.

    Attributes:
        path: relative to the dataset's folder.
        url: address, relative to the public host.
        sha256: of the final file; of its content, where the path ends in .gz.
        bytes: size of the download, 0 where unknown.
        convert: name of the step in `CONVERSIONS` between download and file; empty without one.
        more: further addresses that the conversion joins.
        also: sha256 of other forms of the file that serve as well.
        where: where a person gets the file, should the public one have changed.
    """

    path: str
    url: str
    sha256: str
    bytes: int = 0
    convert: str = ""
    more: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class ByHand:
    """A file that cannot be fetched.

    Attributes:
        path: relative to the dataset's folder.
        sha256: of the file that the project uses.
        why: it cannot be fetched.
        where: a person gets it.
        optional: whether the dataset is built without it where it is not there.
    """

    path: str
    sha256: str
    why: str
    where: str
    optional: bool = False

    def sentence(self) -> str:
        """Name the file, why it cannot be fetched, and where it is."""
        return f"{self.path} ({self.why}): {self.where}"


@dataclass(frozen=True)
class CatalogEntry:
    """One named dataset.

    Attributes:
        name: name in the catalog.
        files: files to fetch.
        licence: of the files.
        note: what a fetch provides.
        loadable: whether `sources.load_dataset` opens it by name.
        recipe: name of the recipe that makes a dataset of the files; empty for none.
        by_hand: files that cannot be fetched.
    """

    name: str
    files: tuple[CatalogFile, ...]
    licence: str
    note: str
    loadable: bool = False
    recipe: str = ""
    by_hand: tuple[ByHand, ...] = ()

    @property
    def first_path(self) -> str:
        """Path of one of the files, by which a folder of them is known."""
        return self.needed_paths[0]

    @property
    def needed_paths(self) -> list[str]:
        """Paths of the files that the dataset is not built without."""
        by_hand = [file.path for file in self.by_hand if not file.optional]
        return [file.path for file in self.files] + by_hand


@memo
def _catalog() -> tuple[str, tuple[CatalogEntry, ...]]:
    """Public host and entries of ``catalog.toml``."""
    path = resources.files("mirnagraph").joinpath("catalog.toml")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    host = table.pop("public")
    known = []
    for name, about in table.items():
        files = about.pop("files", [])
        about["files"] = tuple(
            CatalogFile(**file | {name: tuple(file.get(name, ())) for name in ("more", "also")})
            for file in files
        )
        about["by_hand"] = tuple(ByHand(**file) for file in about.get("by_hand", ()))
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
    folders: Sequence[str | Path] = (),
    timeout: float = TIMEOUT,
) -> Path:
    """Fetch a public dataset into the cache, without the files that are complete there.

    A file is moved into place only when its hash is right. Of an interrupted download the part is
    kept, in the folder ``.downloads``, and continued by the next call. A file that is wrong or not
    found does not stop the others.

    Args:
        name: name in the catalog, or an entry.
        cache: folder of datasets; None: the user's cache.
        progress: called with the file's name, bytes so far, and total bytes.
        base_url: mirror in place of the public address.
        folders: in which files may lie already; one with the pinned hash is not fetched.
        timeout: seconds without a response before giving up.

    Returns:
        The dataset's folder.

    Raises:
        ConfigError: no such dataset, or none of its files can be fetched.
        FetchError: no network, not found, truncated, altered, or the disk is full: names address
            and file.
    """
    dataset = entry(name) if isinstance(name, str) else name
    if not dataset.files:
        raise ConfigError(
            f"dataset {dataset.name!r} cannot be fetched; put into $MIRNAGRAPH_DATA: "
            + "; ".join(file.sentence() for file in dataset.by_hand)
        )
    folder = (Path(cache) if cache is not None else cache_folder()) / dataset.name
    host = (base_url or _catalog()[0]).rstrip("/")
    problems: list[FetchError] = []
    for file in dataset.files:
        if any(is_complete(place, file) for place in (folder, *folders)):
            continue
        n_bytes = 0 if file.more else file.bytes
        how = partial(_download, expected=n_bytes, progress=progress, timeout=timeout)
        try:
            _fetch_file(folder, file, host, how)
        except _WrongFileError as error:
            problems.append(error)
    raise_problems(problems)
    shutil.rmtree(folder / ".downloads", ignore_errors=True)
    return folder


class _WrongFileError(FetchError):
    """A file that is not found or not the pinned one, which says nothing of the others."""


def is_complete(folder: str | Path, file: CatalogFile) -> bool:
    """Whether a file lies in a folder with the pinned hash."""
    path = Path(folder) / file.path
    return path.is_file() and _content_sha256(path) in (file.sha256, *file.also)


def missing_by_hand(name: str, folders: Sequence[str | Path]) -> list[ByHand]:
    """Files of a dataset that cannot be fetched and are in none of the folders.

    Args:
        name: in the catalog.
        folders: that are searched.
    """
    return [
        file
        for file in entry(name).by_hand
        if not any((Path(folder) / file.path).is_file() for folder in folders)
    ]


def altered_by_hand(name: str, folders: Sequence[str | Path]) -> list[Path]:
    """Files put by hand whose content is not the one that the project uses.

    Args:
        name: in the catalog.
        folders: that are searched; the first that holds a file counts.
    """
    altered = []
    for file in entry(name).by_hand:
        paths = [Path(folder) / file.path for folder in folders]
        present = next((path for path in paths if path.is_file()), None)
        # The hash of a .gz file is that of the packed one, which packing again changes.
        if present is not None and file.sha256 not in (
            sha256_of(present),
            _content_sha256(present),
        ):
            altered.append(present)
    return altered


def _content_sha256(path: Path) -> str:
    """sha256 of the content, unpacked where the name ends in .gz."""
    if path.suffix != ".gz":
        return sha256_of(path)
    try:
        return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    except (OSError, EOFError, zlib.error):
        return ""


def _fetch_file(
    folder: Path, file: CatalogFile, host: str, download: Callable[[str, Path], bool]
) -> None:
    """Download what a file is made of, convert it, check its hash, and move it into place."""
    target = folder / file.path
    urls = [f"{host}/{url}" for url in (file.url, *file.more)]
    try:
        parts = [
            folder / ".downloads" / hashlib.sha256(url.encode()).hexdigest()[:16] for url in urls
        ]
        for part in parts:
            part.parent.mkdir(parents=True, exist_ok=True)
        resumed = [download(url, part) for url, part in zip(urls, parts, strict=True)]
        content = _converted(file, parts)
        if hashlib.sha256(content).hexdigest() != file.sha256 and any(resumed):
            # What was kept may be of another version: once more from the start.
            _remove(parts)
            for url, part in zip(urls, parts, strict=True):
                download(url, part)
            content = _converted(file, parts)
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            _remove(parts)
            what = "what is made of it" if file.convert else "it"
            what += " does not have the pinned hash (altered)"
            raise _WrongFileError(
                f"the file at {urls[0]} has changed: {what}",
                file=target,
                found=f"sha256 {found}",
                expected=f"sha256 {file.sha256}",
                hint=f"get it by hand: {file.where}" if file.where else None,
            )
        with write_file(target) as path:
            path.write_bytes(gzip.compress(content, mtime=0) if target.suffix == ".gz" else content)
    except OSError as error:
        raise FetchError(
            f"could not be written: {error.strerror or error}",
            file=target,
            hint="no incomplete file was left in its place",
        ) from error


def _remove(parts: Sequence[Path]) -> None:
    """Remove downloads, and that they were complete."""
    for part in parts:
        part.unlink(missing_ok=True)
        part.with_suffix(".done").unlink(missing_ok=True)


def _converted(file: CatalogFile, parts: Sequence[Path]) -> bytes:
    """Content of a file from its downloads, before compression."""
    raw = [part.read_bytes() for part in parts]
    if not file.convert:
        return raw[0]
    try:
        unpacked = [gzip.decompress(part) if part[:2] == GZIP else part for part in raw]
        # Published tables hold single bytes of other encodings.
        texts = [part.decode("utf-8", errors="replace") for part in unpacked]
        return CONVERSIONS[file.convert](*texts).encode("utf-8")
    except (ValueError, KeyError, IndexError, OSError, EOFError, zlib.error, csv.Error):
        return b""  # of another layout than the pinned file: its hash is wrong


def _save(
    chunks: Iterable[bytes], part: Path, n_kept: int, report_bytes: Callable[[int], None]
) -> None:
    """Write what arrives after the bytes that are kept."""
    n_bytes = n_kept
    with part.open("ab" if n_kept else "wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
            n_bytes += len(chunk)
            report_bytes(n_bytes)


def _report(progress: Progress | None, url: str, total: int, n_bytes: int) -> None:
    report(progress, url.rsplit("/", 1)[-1], n_bytes, max(n_bytes, total))


def _download(
    url: str, part: Path, *, expected: int, progress: Progress | None, timeout: float
) -> bool:
    """Download an address to a file, from where an earlier download ended.

    Args:
        url: address.
        part: file, which keeps what has arrived.
        expected: bytes where the server does not say how many; 0: unknown.
        progress: see `fetch`.
        timeout: see `fetch`.

    Returns:
        Whether an earlier download was continued.
    """
    import requests

    done = part.with_suffix(".done")
    if done.is_file() and part.is_file():
        return True
    n_kept = part.stat().st_size if part.is_file() else 0
    failed = partial(FetchError, file=url.rsplit("/", 1)[-1])
    # Compressed, a response has another length than the file.
    headers = {"Accept-Encoding": "identity"}
    if n_kept:
        headers["Range"] = f"bytes={n_kept}-"
    total = 0
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            status = response.status_code
            if status == 416:
                part.unlink()
                return _download(url, part, expected=expected, progress=progress, timeout=timeout)
            if status not in (200, 206):
                is_absent = status in (404, 410)
                what = "was not found" if is_absent else "could not be fetched"
                error = _WrongFileError if is_absent else FetchError
                file = url.rsplit("/", 1)[-1]
                found = f"HTTP status {status}"
                raise error(f"{url} {what}", file=file, found=found, expected="200")
            if status == 200:
                n_kept = 0
            length = response.headers.get("Content-Length")
            total = expected if length is None else n_kept + int(length)
            _save(
                response.iter_content(CHUNK), part, n_kept, partial(_report, progress, url, total)
            )
    except requests.exceptions.ChunkedEncodingError:
        pass  # incomplete, see below
    except (requests.ConnectionError, requests.Timeout):
        what = f"could not reach {url} (no network, or the server does not respond)"
        raise failed(what, hint="try again later: the download resumes there") from None
    except requests.RequestException as error:
        raise failed(f"could not fetch {url}", found=str(error)) from None
    n_bytes = part.stat().st_size
    if n_bytes < total:
        raise failed(
            f"the download of {url} was interrupted (truncated)",
            found=f"{n_bytes} bytes",
            expected=f"{total} bytes",
            hint="run the command again: it resumes there",
        )
    done.touch()
    return n_kept > 0


def find(name: str) -> Path:
    """Find the folder of a named dataset: in ``$MIRNAGRAPH_DATA``, else in the user's cache.

    Raises:
        ConfigError: it is in neither; names the folders searched and the command to fetch it.
    """
    data = os.environ.get("MIRNAGRAPH_DATA")
    folders = [Path(data), Path(data) / name] if data else []
    folders.append(cache_folder() / name)
    dataset = entry(name)
    first = dataset.first_path
    for folder in folders:
        if (folder / first).is_file():
            return folder
    searched = ", ".join(str(folder) for folder in folders)
    unset = "" if data else " ($MIRNAGRAPH_DATA is not set)"
    how = f"get it with: mirnagraph fetch {name}"
    if not dataset.files:
        how = f"it cannot be fetched: {dataset.by_hand[0].why}; {dataset.by_hand[0].where}"
    raise ConfigError(
        f"dataset {name!r} was not found; looked for {first} in {searched}{unset}; {how}"
    )


def is_in_data_folder(name: str) -> bool:
    """Whether ``$MIRNAGRAPH_DATA`` holds every file that a named dataset needs."""
    data = os.environ.get("MIRNAGRAPH_DATA")
    needed = entry(name).needed_paths
    folders = [Path(data), Path(data) / name] if data else []
    return any(all((folder / path).is_file() for path in needed) for folder in folders)


def built_folder(name: str) -> Path | None:
    """Folder of the dataset that ``fetch`` built of its files; None where there is none."""
    folder = cache_folder() / name / BUILT
    return folder if (folder / "dataset.toml").is_file() else None
