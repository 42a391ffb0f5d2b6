"""Limits of the page, and the error of a request that it refuses."""

from __future__ import annotations

from dataclasses import dataclass

BAD_REQUEST = 400
FORBIDDEN = 403
NOT_FOUND = 404
TOO_SLOW = 408
CONFLICT = 409
TOO_LARGE = 413
INVALID = 422
TOO_MANY = 429
"""Status codes of refused requests."""

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may ask for.

    Attributes:
        max_upload_bytes: of the body of a request; of a gzip file also when unpacked.
        max_rnas: names or sequences of a job.
        max_rnas_at_once: of a request that waits for its answer.
        max_length: nucleotides of a sequence.
        max_explained_length: nucleotides of a sequence that is explained, which predicts it again
            for every window.
        max_name: characters of a name.
        max_jobs: jobs that run at a time; as many short questions run next to them.
        max_waiting: jobs and questions that wait.
        max_kept_bytes: of the finished jobs that are kept for their page, about.
        max_kept: number of these jobs.
    """

    max_upload_bytes: int = 5 * MEGABYTE
    max_rnas: int = 10_000
    max_rnas_at_once: int = 1_000
    max_length: int = 50_000
    max_explained_length: int = 3_000
    max_name: int = 200
    max_jobs: int = 2
    max_waiting: int = 100
    max_kept_bytes: int = 100 * MEGABYTE
    max_kept: int = 200


class RefusedError(Exception):
    """A request that is refused, in one sentence.

    Args:
        status: HTTP status code, below 500.
        message: what is wrong, what was found, what was expected.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check_upload(n_bytes: int, limits: Limits, what: str = "the upload") -> None:
    """Refuse more bytes than `Limits.max_upload_bytes`.

    Raises:
        RefusedError: too many.
    """
    if n_bytes > limits.max_upload_bytes:
        most = in_megabytes(limits.max_upload_bytes)
        raise RefusedError(
            TOO_LARGE,
            f"{what} is larger than {most}, the limit of this page; "
            "`mirnagraph predict` reads files of any size",
        )


def check_number(n_rnas: int, limit: int, what: str = "RNAs") -> None:
    """Refuse more RNAs than a limit.

    Raises:
        RefusedError: too many.
    """
    if n_rnas > limit:
        raise RefusedError(
            TOO_LARGE,
            f"{n_rnas:,} {what}; this request takes at most {limit:,}; "
            "`mirnagraph predict` reads any number",
        )


def check_length(name: str, length: int, limit: int, *, command: str = "predict") -> None:
    """Refuse a sequence that is longer than a limit.

    Raises:
        RefusedError: too long.
    """
    if length > limit:
        raise RefusedError(
            TOO_LARGE,
            f"{shortened(name)} has {length:,} nucleotides; this page takes at most {limit:,}; "
            f"`mirnagraph {command} --fasta FILE` reads longer ones",
        )


def check_name(name: str, limits: Limits) -> None:
    """Refuse a name of more characters than `Limits.max_name`.

    Raises:
        RefusedError: too long.
    """
    if len(name) > limits.max_name:
        raise RefusedError(
            BAD_REQUEST,
            f"the name {shortened(name)} has {len(name):,} characters, expected at most "
            f"{limits.max_name}",
        )


def shortened(name: str, n: int = 40) -> str:
    """The first characters of a name, for a message."""
    return name if len(name) <= n else f"{name[:n]}…"


def in_megabytes(n_bytes: int) -> str:
    """Bytes in words, such as ``"5 MB"``."""
    return f"{n_bytes / MEGABYTE:g} MB"
