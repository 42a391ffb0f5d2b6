"""Shared options, console."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

Progress = Callable[[str, int, int], None]

NetworksOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of `build-networks` (default: ./networks where it exists, else the demo)."
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(help="TOML file with settings that override the defaults (or the preset)."),
]

FoldOption = Annotated[
    int | None,
    typer.Option(
        min=2, help="Number of (outer) folds; a fold file brings its own.", show_default="10"
    ),
]

SplitOption = Annotated[
    str | None,
    typer.Option(
        help="random, family (relatives stay together), or a TSV file: rna_id, fold (-1: only trained on).",
        show_default="random",
    ),
]

ProtocolOption = Annotated[
    str | None, typer.Option(help="Which protocol of a fold file that holds several.")
]

RnasOption = Annotated[
    str | None,
    typer.Option(
        help="all (RNAs without annotation count as negatives) or located.", show_default="all"
    ),
]

SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Seed of every random step (of the first one, where there are several).",
        show_default="0",
    ),
]

WorkersOption = Annotated[
    int, typer.Option(min=1, help="Processes side by side; changes no number.")
]

OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is in the output folder.")
]

ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Keep a finished one as it is (an unfinished one is always gone on with)."
    ),
]

IupacOption = Annotated[
    str, typer.Option(help="Letters of several bases (R, Y …): error, or n to read them as N.")
]

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]


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
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
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
