"""The command `mirnagraph`: its commands, the options of all of them, and the exit codes."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
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
from mirnagraph.errors import MirnagraphError

HELP = """
Prediction of the subcellular compartments of RNAs from association networks and sequences.

What each command needs:

- nothing (the synthetic demo by default): build-networks, train, tune, ablate, audit, seq train,
  seq pretrain
- nothing (without a run, a trained model of human miRNAs that ships): predict, explain,
  serve, atlas
- the same, and a list of names: enrich
- a finished run (by default the newest under ./runs): rank
- run folders: report, compare, seq compare, export
- a run and a FASTA file: seq predict, seq explain
- a recipe, and the files it names: build-dataset
- a table of records: read-labels
- a name: fetch (dataset), pull (model on the Hugging Face hub)
"""

INTERRUPTED = 130
"""Exit code of a command that was stopped by Ctrl-C."""

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
    """Run a command and exit.

    Exit codes: 0 done, 1 a bug of the program, 2 wrong use, 3 bad data, 130 interrupted.
    """
    # Collections among imported objects took a fifth of a short command, most of it at exit.
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    try:
        code = app(standalone_mode=False)
    except MirnagraphError as error:
        if os.environ.get("MIRNAGRAPH_DEBUG"):
            traceback.print_exc()
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, EOFError):
        _interrupted()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        _unexpected(error)
    if code == INTERRUPTED:  # typer returns it for Ctrl-C, and raises nothing
        _interrupted()
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> None:
    """Exit after an error of typer, whose classes differ between versions, or after a bug."""
    if type(error).__name__ == "Abort":
        _interrupted()
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        sys.exit(error.exit_code)
    traceback.print_exc()
    typer.echo(
        f"Error: a bug of mirnagraph ({type(error).__name__}: {error}); "
        "please report it with the lines above",
        err=True,
    )
    sys.exit(1)


def _interrupted() -> None:
    typer.echo("\nInterrupted. Finished folds are saved; run the same command to resume.", err=True)
    sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
