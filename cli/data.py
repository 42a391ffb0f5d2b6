"""Build-networks, fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.common import ConfigOption, OverwriteOption, QuietOption, WorkersOption

EPILOG = "Example: `mirnagraph build-networks --out networks` and then `mirnagraph train --fold 10`"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("build-networks", epilog=EPILOG)(build_networks)


def build_networks(
    data: Annotated[
        str,
        typer.Option(
            help="demo (made up, embedded), mirna1041 (public benchmark, from $MIRNAGRAPH_DATA or the cache), or a dataset folder."
        ),
    ] = "demo",
    out: Annotated[
        Path,
        typer.Option(help="Folder to write; refused when it holds something, unless --overwrite."),
    ] = Path("networks"),
    config: ConfigOption = None,
    cutoff: Annotated[
        float | None,
        typer.Option(
            help="Similarity T above which two RNAs are joined in the functional network, 0 to 1 (paper: 0.6)."
        ),
    ] = None,
    lambda_: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            help="Weight of disease-based similarity against the GIP kernel, 0 to 1 (paper: 0.5).",
        ),
    ] = None,
    graphml: Annotated[
        bool,
        typer.Option("--graphml", help="Also write one GraphML file per network, for Cytoscape."),
    ] = False,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build the networks of a dataset: sequence similarity, functional similarity, and one per kind of association."""
    from cli.common import progress_bars, say, show_table
    from mirnagraph.io import check_output_folder
    from mirnagraph.networks.build import build_networks as build
    from mirnagraph.networks.build import network_config
    from mirnagraph.networks.export import write_graphml
    from mirnagraph.networks.network import describe
    from mirnagraph.sources import load_dataset

    settings = network_config(config, functional_cutoff=cutoff, lambda_=lambda_)
    check_output_folder(out, overwrite=overwrite)
    dataset = load_dataset(data)
    synthetic = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    say(
        f"Dataset {dataset.name}{synthetic}: {len(dataset.index)} RNAs, {len(dataset.compartments)} compartments, {len(dataset.left_out)} things left out",
        quiet=quiet,
    )
    with progress_bars(quiet=quiet) as progress:
        networks = build(dataset, settings, progress=progress, workers=workers)
    networks.save(out, overwrite=overwrite)
    if graphml:
        write_graphml(networks, out)
    table = describe(networks)
    show_table(
        [str(c) for c in table.columns],
        [
            [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]
            for row in table.to_numpy().tolist()
        ],
        "Networks",
    )
    say(f"Written to {out}. Next: mirnagraph train --networks {out} --fold 10", quiet=quiet)


def register_fetch(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        "fetch", epilog="Example: `mirnagraph fetch --list`, then `mirnagraph fetch mirna1041`"
    )(fetch)


def fetch(
    name: Annotated[str | None, typer.Argument(help="Named dataset to bring; see --list.")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show what can be fetched, with sizes and licences.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep files in (default: the user's cache).")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Fetch from this mirror in place of the public addresses.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Bring a public dataset from its public addresses; every file is checked against a pinned hash."""
    from cli.common import progress_bars, say, show_table
    from mirnagraph import catalog
    from mirnagraph.errors import ConfigError

    if list_ or name is None:
        rows = [
            [entry.name, str(len(entry.files)), entry.licence, entry.note]
            for entry in catalog.entries()
        ]
        show_table(["name", "files", "licence", "note"], rows, "Public datasets")
        if name is None and not list_:
            raise ConfigError("no dataset was named; choose one of the list above")
        return
    with progress_bars(quiet=quiet) as progress:
        folder = catalog.fetch(name, cache=cache, base_url=base_url, progress=progress)
    say(f"{name} is in {folder}", quiet=quiet)
    typer.echo(str(folder))
