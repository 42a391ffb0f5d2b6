"""The command `mirnagraph`: its commands, the options of all of them, and the exit codes."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import os
import re
import signal
import sys
import traceback
from itertools import pairwise
from typing import Annotated

import typer
from typer import Option

from cli import (
    ablate,
    atlas,
    audit,
    build_dataset,
    compare,
    data,
    end,
    enrich,
    explain,
    export,
    labels,
    predict,
    rank,
    report,
    seq,
    serve,
    train,
    tune,
)
from cli.common import with_common_options
from mirnagraph.errors import ConfigError, MirnagraphError

HELP = """
Prediction of the subcellular compartments of RNAs from association networks and sequences.

What each command needs:

- nothing (the synthetic demo by default): build-networks, train, tune, ablate, audit, seq train,
  seq pretrain
- nothing (without a run, a trained model of human miRNAs that ships): predict, explain,
  serve, atlas
- the same, and a list of names: enrich
- a finished run (by default the newest under ./runs): rank, report, export
- the same and a FASTA file: seq predict, seq explain
- two finished runs, or one (by default the newest) and --baseline: compare, seq compare
- a recipe, and the files it names: build-dataset
- a table of records: read-labels
- a name: fetch (dataset), pull (model on the Hugging Face hub)
"""

_FULL = re.compile("can't allocate memory|out of memory", re.IGNORECASE)

app = typer.Typer(
    name="mirnagraph",
    help=HELP,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from mirnagraph import __version__

        typer.echo(f"mirnagraph {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
]

DebugOption = Annotated[
    bool, Option("--debug", help="Print the traceback of errors.", envvar="MIRNAGRAPH_DEBUG")
]


@app.callback()
def _common(version: VersionOption = False, debug: DebugOption = False) -> None:
    if debug:
        os.environ["MIRNAGRAPH_DEBUG"] = "1"


for _name, _command, _epilog in (
    ("fetch", data.fetch, data.FETCH_EPILOG),
    ("build-dataset", build_dataset.build_dataset, build_dataset.EPILOG),
    ("build-networks", data.build_networks, data.BUILD_EPILOG),
    ("read-labels", labels.read_labels, labels.EPILOG),
    ("train", train.train, train.EPILOG),
    ("tune", tune.tune, tune.EPILOG),
    ("compare", compare.compare, compare.EPILOG),
    ("ablate", ablate.ablate, ablate.EPILOG),
    ("audit", audit.audit, audit.EPILOG),
    ("rank", rank.rank, rank.EPILOG),
    ("report", report.report, report.EPILOG),
    ("predict", predict.predict, predict.EPILOG),
    ("explain", explain.explain, explain.EPILOG),
    ("enrich", enrich.enrich, enrich.EPILOG),
    ("serve", serve.serve, serve.EPILOG),
    ("atlas", atlas.atlas, atlas.EPILOG),
    ("export", export.export, export.EXPORT_EPILOG),
    ("pull", export.pull, export.PULL_EPILOG),
):
    app.command(_name, epilog=_epilog)(with_common_options(_command))
app.add_typer(seq.app, name="seq")


def main() -> None:
    """Run a command and exit: the one place that decides exit codes, signals and streams.

    Exit codes: 0 done, 1 a bug of the program, 2 wrong use, 3 bad data or a disk that refuses, 129
    terminal closed, 130 interrupted, 143 terminated (see ``docs/errors.md``).
    """
    # Collections among imported objects took a fifth of a short command, most of it at exit.
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    end.prepare_streams()
    with end.catch_signals():
        try:
            code = _run()
            sys.stdout.flush()
        except BaseException as error:
            code = _explained(error)
        end.clean_up()
        end.leave_if_gone()
    sys.exit(code)


def _run() -> int:
    """Run the command of the command line: its exit code."""
    for word in sys.argv[1:]:
        if not end.is_text(word):
            shown = os.fsencode(word).decode("ascii", "backslashreplace")
            raise ConfigError(
                f"a name that is not UTF-8: {shown}; rename it, or set LC_ALL=C.UTF-8"
            )
    for option, value in pairwise([*sys.argv, "end"]):
        if re.fullmatch(r"--[\w-]+", option) and value == "":
            raise ConfigError(f"{option} is empty; expected a value")
        if re.fullmatch(r"--[\w-]+=", option):
            raise ConfigError(f"{option[:-1]} is empty; expected a value")
    code = app(standalone_mode=False)
    if code == 128 + signal.SIGINT:  # of typer for KeyboardInterrupt, which it catches
        raise KeyboardInterrupt
    return code if isinstance(code, int) else end.DONE


def _explained(error: BaseException) -> int:
    """Say what ended a command, and clean up: its exit code."""
    if isinstance(error, SystemExit):
        # click and rich end with 1 where the reader of a help text is gone
        is_gone = isinstance(error.__context__, BrokenPipeError)
        return end.DONE if is_gone else _code_of(error)
    if isinstance(error, end.Signalled | KeyboardInterrupt | EOFError):
        return _interrupted(error)
    if isinstance(error, end.ReaderGone | BrokenPipeError):
        end.leave_stream(sys.stdout)
        return end.DONE
    if isinstance(error, MirnagraphError):
        return _refused(str(error), error, error.exit_code)
    if isinstance(error, OSError):
        return _refused(_sentence_of_disk(error), error, end.BAD_DATA)
    if isinstance(error, MemoryError) or _is_full(error):
        what = "not enough memory; use fewer --workers, or a smaller input"
        return _refused(what, error, end.BAD_DATA)
    return _unexpected(error)


def _is_full(error: BaseException) -> bool:
    """Whether torch found no room for an array, on the CPU or a GPU."""
    return isinstance(error, RuntimeError) and bool(_FULL.search(str(error)))


def _code_of(error: SystemExit) -> int:
    return error.code if isinstance(error.code, int) else end.DONE


def _refused(text: str, error: BaseException, code: int) -> int:
    if os.environ.get("MIRNAGRAPH_DEBUG"):
        traceback.print_exception(error)
    with contextlib.suppress(OSError):  # of a standard error that is full
        typer.echo(f"Error: {end.printable(text)}", err=True)
    return code


def _sentence_of_disk(error: OSError) -> str:
    """What went wrong with a file that no reader or writer has put into a sentence."""
    from mirnagraph.writing.disk import OF_DISK, reason_of

    reason = reason_of(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: could not be read or written: {reason}"
    what = "a file or stream could not be read or written"
    if error.errno in OF_DISK | {errno.EBADF}:  # files name themselves, see mirnagraph.writing
        end.leave_stream(sys.stdout)
        what = "the standard output could not be written"
    return f"{what}: {reason}"


def _unexpected(error: BaseException) -> int:
    """Explain an error of typer, whose classes differ between versions, or a bug."""
    if type(error).__name__ == "Abort":
        return _interrupted(error)
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        return int(error.exit_code)
    traceback.print_exception(error)
    typer.echo(
        f"Error: a bug of mirnagraph ({type(error).__name__}: {end.printable(str(error))}); "
        "please report it with the lines above",
        err=True,
    )
    return end.BUG


def _interrupted(error: BaseException) -> int:
    signalled = error if isinstance(error, end.Signalled) else end.Signalled(signal.SIGINT)
    end.say_end(signalled)
    return signalled.exit_code


if __name__ == "__main__":
    main()
