"""Progress: how long steps tell whoever watches how far they are; the library itself prints nothing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``; `done` grows from 0 to `total`."""


def report(progress: Progress | None, step: str, done: int, total: int) -> None:
    """Call `progress` where there is one."""
    if progress is not None:
        progress(step, done, total)
