"""Messages of the commands on stderr: lines, progress bars, and neither with --quiet."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cli import end, silence

Progress = Callable[[str, int, int], None]

SECONDS_BETWEEN_LINES = 10
"""Longest time between two lines of progress where stderr is no terminal."""

_is_quiet = False
"""Set by --quiet of the command that runs."""


def set_quiet(value: bool) -> bool:
    """Write nothing to stderr from now on, if so: the callback of --quiet."""
    global _is_quiet
    _is_quiet = value
    return value


@contextlib.contextmanager
def progress_bars(*, shown: bool = True) -> Iterator[Progress | None]:
    """Yield a callback ``(step, done, total)`` that draws one bar per step on stderr.

    A total of 0 is unknown. Where stderr is no terminal it writes a line at the end of each step,
    and every ten seconds in between, with the time that is left; it is None when quiet or not
    shown.
    """
    if _is_quiet or not shown:
        yield None
    elif not sys.stderr.isatty():
        with _progress_lines() as progress:
            yield progress
    else:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        with Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,
        ) as bars:
            tasks: dict[str, Any] = {}

            def draw(step: str, done: int, total: int) -> None:
                silence.has_spoken()
                if step not in tasks:
                    tasks[step] = bars.add_task(step, total=total or None)
                bars.update(tasks[step], completed=done, total=total or None)

            yield draw


@contextlib.contextmanager
def _progress_lines() -> Iterator[Progress]:
    """Yield a callback that writes lines, and write the last state again where none comes."""
    finished: set[str] = set()
    begun: dict[str, tuple[float, int]] = {}
    text = "Working"
    start = written = time.monotonic()
    is_over = threading.Event()

    def line(suffix: str = "") -> None:
        nonlocal written
        written = time.monotonic()
        say(text + suffix)

    def write(step: str, done: int, total: int) -> None:
        nonlocal text
        if step in finished:
            return
        begin, first = begun.setdefault(step, (time.monotonic(), done))
        text = f"{step}: {done}/{total}" if total else f"{step}: {done}"
        if total and first < done < total:
            seconds = (time.monotonic() - begin) / (done - first) * (total - done)
            text += f", about {_short_time(seconds)} left"
        if total and done >= total:
            finished.add(step)
            line()
        elif time.monotonic() - written >= SECONDS_BETWEEN_LINES:
            line()

    def watch() -> None:
        while not is_over.wait(SECONDS_BETWEEN_LINES / 10):
            now = time.monotonic()
            if now - written >= SECONDS_BETWEEN_LINES:
                line(f" ({now - start:.0f} s)")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield write
    finally:
        is_over.set()
        watcher.join()


def _short_time(seconds: float) -> str:
    """Time of one unit.

    >>> _short_time(0.4), _short_time(89), _short_time(91), _short_time(5000)
    ('1 s', '89 s', '2 min', '83 min')
    """
    if seconds <= 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{round(minutes)} min" if minutes <= 90 else f"{minutes / 60:.1f} h"


def is_bar_shown(out: Path | None) -> bool:
    """Whether a progress bar on stderr does not run into rows on the same terminal."""
    return out is not None or not sys.stdout.isatty()


def say(text: str) -> None:
    """Write one line to stderr, unless --quiet; control characters as escapes."""
    silence.has_spoken()
    if not _is_quiet:
        sys.stderr.write(end.printable(text) + "\n")
        sys.stderr.flush()


def say_kept(folder: Path, *, what: str = "run") -> None:
    """Report that `--resume` kept a finished run."""
    say(f"The {what} in {folder} is finished and was kept.")
