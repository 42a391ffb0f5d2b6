"""`mirnagraph fetch`: bring public files into the cache, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("fetch", epilog="Example: `mirnagraph fetch --list`, then `mirnagraph fetch mirna1041`")(fetch)


def fetch(
    name: Annotated[str | None, typer.Argument(help="Named dataset to bring; see --list.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show what can be fetched, with sizes and licences.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep files in (default: the user's cache).")] = None,
    base_url: Annotated[str | None, typer.Option(help="Fetch from this mirror in place of the public addresses.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Bring a public dataset from its public addresses; every file is checked against a pinned hash."""
    from cli.console import progress_bars, say, show_table
    from mirnagraph import catalog
    from mirnagraph.errors import ConfigError

    if list_ or name is None:
        rows = [[entry.name, str(len(entry.files)), entry.licence, entry.note] for entry in catalog.entries()]
        show_table(["name", "files", "licence", "note"], rows, "Public datasets")
        if name is None and not list_:
            raise ConfigError("no dataset was named; choose one of the list above")
        return
    with progress_bars(quiet=quiet) as progress:
        folder = catalog.fetch(name, cache=cache, base_url=base_url, progress=progress)
    say(f"{name} is in {folder}", quiet=quiet)
    typer.echo(str(folder))
