"""`mirnagraph audit`: what is an accuracy on these data made of?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.common import NetworksOption, OverwriteOption, QuietOption, WorkersOption

EPILOG = "Example: `mirnagraph audit --networks networks --out audit`, then read audit/audit.md"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("audit", epilog=EPILOG)(audit)


def audit(
    networks: NetworksOption = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder to write audit.md, audit.tsv and audit.png to; refused when it holds something."
        ),
    ] = Path("audit"),
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of folds, models and the label permutation.")
    ] = 0,
    fold: Annotated[int, typer.Option(min=2, help="Number of folds of each split.")] = 10,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """One page on what a score on these data is made of: counts, names, relatives, duplicates, unannotated RNAs; and whether it falls to chance."""
    from cli.common import progress_bars, say, show_table
    from fusion.experiments.audit import audit as run_audit
    from fusion.experiments.audit_report import conclusions, source_rows, write_audit
    from mirnagraph.io import check_output_folder
    from mirnagraph.networks.build import networks_or_demo

    check_output_folder(out, overwrite=overwrite)
    loaded, _ = networks_or_demo(networks)
    dataset = loaded.dataset
    synthetic = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    say(
        f"Networks of {dataset.name}{synthetic}: {len(dataset.index)} RNAs, {int(dataset.located.sum())} with a compartment",
        quiet=quiet,
    )
    with progress_bars(quiet=quiet) as progress:
        found = run_audit(loaded, seed=seed, n_folds=fold, workers=workers, progress=progress)
    write_audit(found, out, overwrite=overwrite)
    show_table(*source_rows(found), "What each source alone reaches: AUC")
    for line in conclusions(found):
        say(f"- {line}", quiet=quiet)
    say(f"Written to {out}: audit.md, audit.tsv, audit.png", quiet=quiet)
