"""The command `mirnagraph`: the app, its options for every command, and the exit codes."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from typing import Annotated

import typer

from mirnagraph.errors import MirnagraphError

app = typer.Typer(
    name="mirnagraph",
    help="In which compartments of the cell does this RNA sit, and why?\n\nEvery command works without arguments on an embedded, made-up demo dataset.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from mirnagraph import __version__

        typer.echo(f"mirnagraph {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error.", envvar="MIRNAGRAPH_DEBUG"),
    ] = False,
) -> None:
    if debug:
        os.environ["MIRNAGRAPH_DEBUG"] = "1"


def _register() -> None:
    from cli.ablate import register as ablate
    from cli.audit import register as audit
    from cli.compare import register as compare
    from cli.data import register as networks
    from cli.data import register_fetch as data
    from cli.explain import register as explain
    from cli.export import register as export
    from cli.predict import register as predict
    from cli.rank import register as rank
    from cli.seq import register as seq
    from cli.train import register as train
    from cli.tune import register as tune

    for add in (
        networks,
        train,
        tune,
        compare,
        ablate,
        audit,
        rank,
        predict,
        explain,
        export,
        seq,
        data,
    ):
        add(app)


_register()


def main() -> None:
    """Run the app and leave with 0 (done), 1 (our bug), 2 (wrong use), 3 (bad data) or 130 (interrupted)."""
    # a fifth of a short command went into collections among what imports had made, most of it when all is over
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    try:
        code = app(standalone_mode=False)
    except MirnagraphError as error:
        _debug()
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, EOFError):
        _interrupted()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        # typer's own errors differ in class between versions (click, or its vendored copy), not in what they carry
        if type(error).__name__ == "Abort":
            _interrupted()
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            sys.exit(error.exit_code)
        traceback.print_exc()
        typer.echo(
            f"Error: this is a bug of mirnagraph ({type(error).__name__}: {error}); please report it with the lines above",
            err=True,
        )
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _debug() -> None:
    if os.environ.get("MIRNAGRAPH_DEBUG"):
        traceback.print_exc()


def _interrupted() -> None:
    typer.echo(
        "\nInterrupted. What was finished is kept: the same command goes on from there.", err=True
    )
    sys.exit(130)


if __name__ == "__main__":
    main()
