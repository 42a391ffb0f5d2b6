"""A line on the terminal where a command says nothing for its first seconds."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

from cli import end

SECONDS = 1.5
"""Time after which a command that has said nothing says that it is at work."""

TEXT = "Working …"

_has_spoken = threading.Event()


def has_spoken() -> None:
    """Note that the command has said something, or has begun to show its progress."""
    _has_spoken.set()


@contextlib.contextmanager
def broken_by(say: Callable[[str], None]) -> Iterator[None]:
    """Say `TEXT` when nothing was said after `SECONDS`, as while torch and a model are loaded.

    Only where stderr is a terminal: what is written to files and pipes does not depend on the
    speed of a machine.
    """
    _has_spoken.clear()
    if not end.is_terminal(sys.stderr):
        yield
        return

    def break_it() -> None:
        if not _has_spoken.is_set():
            say(TEXT)

    timer = threading.Timer(SECONDS, break_it)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
