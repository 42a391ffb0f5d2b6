"""What the terminal shows: progress bars and tables on stderr and stdout, silent when asked to be."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

Progress = Callable[[str, int, int], None]


@contextlib.contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Progress | None]:
    """A callback ``(step, done, total)`` that draws one bar per step on stderr; None when quiet.

    Where stderr is no terminal, one line is written when a step ends.
    """
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _line_when_done()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Bars(*columns, console=Console(stderr=True)) as bars:
            tasks: dict[str, Any] = {}

            def draw(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bars.add_task(step, total=total)
                bars.update(tasks[step], completed=done, total=total)

            yield draw


def _line_when_done() -> Progress:
    finished = set()

    def write(step: str, done: int, total: int) -> None:
        if done >= total and step not in finished:
            finished.add(step)
            sys.stderr.write(f"{step}: {done}/{total}\n")
            sys.stderr.flush()

    return write


def say(text: str = "", *, quiet: bool = False) -> None:
    """One line of news on stderr."""
    if not quiet:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def show_table(columns: list[str], rows: list[list[str]], title: str | None = None) -> None:
    """A table on stdout: drawn in a terminal, tab-separated when piped."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
