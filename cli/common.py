"""Shared options of the commands, and their tables."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from typer import BadParameter, Option

from cli import end, silence
from cli.limits import LARGEST_SEED, MOST_FOLDS, MOST_PROCESSES
from cli.messages import say, set_quiet
from cli.outputs import check_paths, output_locked
from mirnagraph.errors import counted

if TYPE_CHECKING:
    import pandas as pd

    from mirnagraph.networks.network import NetworkSet

LOGGED = ("mirnagraph", "seqtower", "fusion", "cli")
"""Packages whose loggers --verbose shows."""


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


QuietOption = Annotated[
    bool,
    Option(
        "--quiet",
        "-q",
        callback=set_quiet,
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


def with_common_options(command: Callable[..., None], group: str = "") -> Callable[..., None]:
    """A command with those of `COMMON_OPTIONS` that it does not name itself.

    They act when the command line is read, so that a command has no use for their values; nor for
    that of `SchedulerOption`.

    Args:
        command: its function.
        group: of commands that it is in, such as ``"seq"``.
    """
    named = f"{group}_{command.__name__}" if group else command.__name__
    signature = inspect.signature(command)
    added = {
        name: option for name, option in COMMON_OPTIONS.items() if name not in signature.parameters
    }

    @functools.wraps(command)
    def run(**values: Any) -> None:
        check_paths(named, values)
        with (
            end.reader_may_leave(),
            silence.broken_by(say),
            output_locked(named, values),
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


def the_one(argument: Path | None, option: Path | None, name: str) -> Path | None:
    """Path given as an argument or by its option, not both.

    Raises:
        ConfigError: both are given.
    """
    from mirnagraph.errors import ConfigError

    if argument is not None and option is not None:
        raise ConfigError(f"two paths given, {argument} and --{name} {option}; expected one")
    return argument or option


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
