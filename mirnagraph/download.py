"""One file over HTTP: continued where an earlier attempt broke off, checked against its hash, put in its place whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirnagraph.errors import FetchError
from mirnagraph.progress import Progress, report

TIMEOUT = 30.0
CHUNK = 1 << 13  # what is lost when a connection breaks is less than one of these


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
                target.unlink(missing_ok=True)  # what lies there is not whole; without a known hash pooch would keep it
                pooch.retrieve(url, known_hash=known, fname=target.name, path=target.parent, downloader=bring)
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
    raise FetchError(f"the file at {url} is not the one that was pinned (altered)", file=target, found=found, expected=expected)


class _Altered(Exception):
    """The bytes are not those of the pinned git object, or not text that can be converted."""


class _Resumable:
    """A pooch downloader that keeps what it has in a ``.part`` file and asks the server for the rest.

    Attributes:
        resumed: whether bytes of an earlier attempt were used.
        sha256: of what was handed to pooch.
    """

    def __init__(self, part: Path, pins: Pins, convert: Callable[[str], str] | None, progress: Progress | None, timeout: float) -> None:
        self.part, self.pins, self.convert, self.progress, self.timeout = part, pins, convert, progress, timeout
        self.resumed, self.sha256 = False, ""

    def __call__(self, url: str, output_file: str, pooch_object: Any, check_only: bool = False) -> None:
        import requests

        try:
            self._bring(url)
        except requests.exceptions.ChunkedEncodingError:
            raise self._truncated(url, self.pins.size) from None
        except (requests.ConnectionError, requests.Timeout):
            kept = f"; {self._have()} bytes are kept, the next attempt goes on from there" if self._have() else ""
            what = f"could not reach {url} (no network, or the server does not answer)"
            raise FetchError(what, file=self.part.parent, hint=f"try again later{kept}") from None
        except requests.RequestException as error:
            raise FetchError(f"could not fetch {url}", file=self.part.parent, found=str(error)) from None
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
                what = "was not found" if answer.status_code in (404, 410) else "could not be fetched"
                raise FetchError(f"{url} {what}", file=self.part.parent, found=f"HTTP status {answer.status_code}", expected="200")
            self.resumed = answer.status_code == 206
            if self.resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise FetchError(f"{url} answered with another part than asked for", file=self.part.parent, found=answer.headers.get("Content-Range"))
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
        return FetchError(what, file=self.part, found=f"{self._have()} bytes", expected=expected, hint="run it again to go on from there")


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """pooch tells of every download on stderr; the library is silent."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
