"""Shared options of the commands, and their messages, progress bars and tables."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from typer import BadParameter, Option

from cli import end, silence
from cli.limits import LARGEST_SEED, MOST_FOLDS, MOST_PROCESSES
from cli.outputs import check_paths, output_locked
from mirnagraph.errors import counted

if TYPE_CHECKING:
    import pandas as pd

    from mirnagraph.networks.network import NetworkSet

Progress = Callable[[str, int, int], None]

LOGGED = ("mirnagraph", "seqtower", "fusion", "cli")
"""Packages whose loggers --verbose shows."""

SECONDS_BETWEEN_LINES = 10
"""Longest time between two lines of progress where stderr is no terminal."""

_is_quiet = False
"""Set by --quiet of the command that runs."""


def preset_choices(package: str) -> str:
    """Names of a package's presets as a help text lists them: ``"a, b or c"``."""
    from mirnagraph.config import preset_names

    *others, last = preset_names(package)
    return f"{', '.join(others)} or {last}" if others else last


NetworksOption = Annotated[
    Path | None,
    Option(
        help="Networks folder, written by `build-networks`.",
        show_default="./networks if it exists, else the synthetic demo",
    ),
]

RunNetworksOption = Annotated[
    Path | None,
    Option(
        help="Networks folder of the run, checked by hash.",
        show_default="./networks if it exists, else the synthetic demo",
    ),
]

ConfigOption = Annotated[
    Path | None, Option(help="TOML file of settings that override the preset.")
]

FoldOption = Annotated[
    int | None,
    Option(
        min=2,
        max=MOST_FOLDS,
        help="Number of (outer) folds; ignored for a fold file, which has its own.",
        show_default="10",
    ),
]

SplitOption = Annotated[
    str | None,
    Option(
        help="Folds: random, family (miRNA families kept together), cluster (near-duplicate "
        "sequences kept together), a column of the RNA table with published folds, or a TSV file "
        "with the columns rna_id and fold (-1: training only).",
        show_default="random",
    ),
]

ProtocolOption = Annotated[str | None, Option(help="Protocol of a fold file that holds several.")]

RnasOption = Annotated[
    str | None,
    Option(
        help="RNAs: all (those without annotation count as negatives) or located (annotated ones).",
        show_default="all",
    ),
]

SeedOption = Annotated[
    int | None,
    Option(
        min=0,
        max=LARGEST_SEED,
        help="Seed of every random step; the first seed of several.",
        show_default="0",
    ),
]

WorkersOption = Annotated[
    int,
    Option(min=1, max=MOST_PROCESSES, help="Number of parallel processes; changes no result."),
]

SchedulerOption = Annotated[
    str | None,
    Option(
        help="Address of a Dask scheduler, tcp://HOST:PORT, whose workers do the jobs; they need "
        "this version of the package, and for ablate, seq train and tune --nested the output "
        "folder at the same path. Extra scale.",
        show_default="processes of this machine",
    ),
]

ThreadsOption = Annotated[
    int, Option(min=1, max=MOST_PROCESSES, help="Number of threads; results do not depend on it.")
]

ResamplesOption = Annotated[
    int, Option(min=100, max=1_000_000, help="Number of bootstrap resamples of RNAs.")
]

OverwriteOption = Annotated[
    bool, Option("--overwrite", help="Replace the content of the output folder.")
]

ResumeOption = Annotated[
    bool,
    Option("--resume", help="Keep a finished run. Unfinished runs always resume."),
]

TrainedRunOption = Annotated[
    Path | None,
    Option(
        help="Finished run of `train`, its model folder, or shipped.",
        show_default="the newest run under ./runs, else the model that ships",
    ),
]

FastaOption = Annotated[
    Path | None,
    Option(
        help="FASTA file of known or new RNAs, plain or gzip, T or U; - for the standard input."
    ),
]

IupacOption = Annotated[
    str,
    Option(help="Ambiguous nucleotides (R, Y …): error, or n to read them as N."),
]

LanguageModelOption = Annotated[
    str | None,
    Option(
        help="Language model of the sequence tower: folder, name, or RNA-FM weights file.",
        show_default="as in training",
    ),
]


def _set_quiet(value: bool) -> bool:
    global _is_quiet
    _is_quiet = value
    return value


QuietOption = Annotated[
    bool,
    Option(
        "--quiet",
        "-q",
        callback=_set_quiet,
        help="No progress and no messages, only the result.",
    ),
]


def _set_verbose(value: bool) -> bool:
    """Show the log of the library on stderr; `value` is that of --verbose."""
    for name in LOGGED:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO if value else logging.WARNING)
        logger.propagate = not value
        logger.handlers = []
        if value:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
            logger.addHandler(handler)
    return value


VerboseOption = Annotated[
    bool,
    Option(
        "--verbose",
        "-v",
        callback=_set_verbose,
        help="Log the steps and what is left out to stderr.",
    ),
]

COMMON_OPTIONS = {"quiet": QuietOption, "verbose": VerboseOption}
"""Options that every command has."""


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with those of `COMMON_OPTIONS` that it does not name itself.

    They act when the command line is read, so that a command has no use for their values; nor for
    that of `SchedulerOption`.
    """
    signature = inspect.signature(command)
    added = {
        name: option for name, option in COMMON_OPTIONS.items() if name not in signature.parameters
    }

    @functools.wraps(command)
    def run(**values: Any) -> None:
        check_paths(command.__name__, values)
        with (
            end.reader_may_leave(),
            silence.broken_by(say),
            output_locked(command.__name__, values),
            _on_scheduler(values.get("scheduler")),
        ):
            command(**{name: value for name, value in values.items() if name not in added})

    hints = get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in signature.parameters.items()
    ]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in added.items()
    ]
    run.__annotations__ = {**hints, **added}
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _on_scheduler(address: str | None) -> contextlib.AbstractContextManager[None]:
    """Let the workers of a scheduler do the jobs of a command, where one is given."""
    if address is None:
        return contextlib.nullcontext()
    from mirnagraph.runs.cluster import on_cluster

    return on_cluster(address)


def _set_device(value: str) -> str:
    """Hide GPUs from torch, which reads this variable when it first looks for them."""
    match = re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", value)
    if not match:
        raise BadParameter(f"{value!r}, expected auto, cpu, cuda or cuda:N")
    if value == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif match.group(1):
        os.environ["CUDA_VISIBLE_DEVICES"] = match.group(1)[1:]
    if value.startswith("cuda") and not _has_gpu():
        raise BadParameter(f"{value!r}: torch finds no such GPU; auto uses one if there is one")
    return value


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


DeviceOption = Annotated[
    str,
    Option(
        callback=_set_device,
        help="Where towers are trained and transformers read: auto (a GPU if there is one), cpu, "
        "cuda or cuda:N.",
    ),
]

OutputFolderOption = Annotated[
    Path, Option(help="Output folder; must be empty unless --overwrite.")
]

PresetOption = Annotated[str, Option(help=f"Preset: {preset_choices('fusion')}.")]

TableOption = Annotated[Path | None, Option("--out", help="Output table, TSV with every digit.")]


def dataset_title(name: str, *, synthetic: bool) -> str:
    """Dataset as messages name it, e.g. ``"Dataset demo (synthetic)"``."""
    return f"Dataset {name} (synthetic)" if synthetic else f"Dataset {name}"


def open_networks(folder: Path | None) -> tuple[NetworkSet, Path | None]:
    """Networks to train on, announced on stderr, and the folder that caches their embeddings.

    Args:
        folder: as of `NetworksOption`.

    Returns:
        The networks; and the cache, None for networks that have no folder.
    """
    from mirnagraph.networks.build import networks_or_demo

    networks, source = networks_or_demo(folder)
    announce(networks)
    return networks, None if source is None else source / "embeddings"


def announce(networks: NetworkSet) -> None:
    """Write name and size of the dataset of networks to stderr."""
    dataset = networks.dataset
    title = dataset_title(dataset.name, synthetic=dataset.synthetic)
    n_located = int(dataset.located.sum())
    n_rnas = counted(len(dataset.index), "RNA")
    say(f"{title}: {n_rnas}, {n_located} with a compartment")


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


def the_one(argument: Path | None, option: Path | None, name: str) -> Path | None:
    """Path given as an argument or by its option, not both.

    Raises:
        ConfigError: both are given.
    """
    from mirnagraph.errors import ConfigError

    if argument is not None and option is not None:
        raise ConfigError(f"two paths given, {argument} and --{name} {option}; expected one")
    return argument or option


def say(text: str) -> None:
    """Write one line to stderr, unless --quiet; control characters as escapes."""
    silence.has_spoken()
    if not _is_quiet:
        sys.stderr.write(end.printable(text) + "\n")
        sys.stderr.flush()


def say_kept(folder: Path, *, what: str = "run") -> None:
    """Report that `--resume` kept a finished run."""
    say(f"The {what} in {folder} is finished and was kept.")


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None
) -> None:
    """Write a table to stdout: drawn in a terminal, tab-separated when piped."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # names are shown letter by letter: brackets in them are no markup
    heading = None if title is None else Text(end.printable(title))
    table = Table(title=heading, title_justify="left")
    for number, name in enumerate(columns):
        column = Text(end.printable(name))
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*[Text(end.printable(cell)) for cell in row])
    Console().print(table)


def show_frame(
    table: pd.DataFrame,
    title: str | None = None,
    *,
    number: Callable[[float], str] = "{:.4f}".format,
) -> None:
    """Write a data frame without its index to stdout (see `show_table`).

    Args:
        table: to write.
        title: of the table in a terminal.
        number: text of a floating-point number.
    """
    rows = [
        [number(value) if isinstance(value, float) else str(value) for value in row]
        for row in table.to_numpy(dtype=object).tolist()
    ]
    show_table([str(name) for name in table.columns], rows, title)
