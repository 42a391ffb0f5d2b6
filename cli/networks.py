"""`mirnagraph build-networks`: public tables or a dataset folder in, five networks out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import ConfigOption, OverwriteOption, QuietOption, WorkersOption

EPILOG = "Example: `mirnagraph build-networks --out networks` and then `mirnagraph train --fold 10`"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("build-networks", epilog=EPILOG)(build_networks)


def build_networks(
    data: Annotated[
        str,
        typer.Option(help="demo (made up, embedded), mirna1041 (public benchmark, from $MIRNAGRAPH_DATA or the cache), or a dataset folder."),
    ] = "demo",
    out: Annotated[Path, typer.Option(help="Folder to write; refused when it holds something, unless --overwrite.")] = Path("networks"),
    config: ConfigOption = None,
    cutoff: Annotated[float | None, typer.Option(help="Similarity T above which two RNAs are joined in the functional network, 0 to 1 (paper: 0.6).")] = None,
    lambda_: Annotated[float | None, typer.Option("--lambda", help="Weight of disease-based similarity against the GIP kernel, 0 to 1 (paper: 0.5).")] = None,
    graphml: Annotated[bool, typer.Option("--graphml", help="Also write one GraphML file per network, for Cytoscape.")] = False,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build the networks of a dataset: sequence similarity, functional similarity, and one per kind of association."""
    from cli.console import progress_bars, say, show_table
    from mirnagraph.files import check_output_folder
    from mirnagraph.networks.build import build_networks as build
    from mirnagraph.networks.build import network_config
    from mirnagraph.networks.describe import describe
    from mirnagraph.networks.export import write_graphml
    from mirnagraph.sources import load_dataset

    settings = network_config(config, functional_cutoff=cutoff, lambda_=lambda_)
    check_output_folder(out, overwrite=overwrite)
    dataset = load_dataset(data)
    made_up = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    say(
        f"Dataset {dataset.name}{made_up}: {len(dataset.index)} RNAs, {len(dataset.compartments)} compartments, {len(dataset.left_out)} things left out",
        quiet=quiet,
    )
    with progress_bars(quiet=quiet) as progress:
        networks = build(dataset, settings, progress=progress, workers=workers)
    networks.save(out, overwrite=overwrite)
    if graphml:
        write_graphml(networks, out)
    table = describe(networks)
    show_table(
        [str(c) for c in table.columns], [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row] for row in table.to_numpy().tolist()], "Networks"
    )
    say(f"Written to {out}. Next: mirnagraph train --networks {out} --fold 10", quiet=quiet)
