"""`mirnagraph compare`: is one run better than another, compartment by compartment?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = "Example: `mirnagraph compare runs/mine runs/other --plot difference.png`, or `mirnagraph compare runs/mine --baseline trees`"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("compare", epilog=EPILOG)(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Two run folders or more, made on the same RNAs and folds (of runs with --sets the RNAs of the others count); all are compared with the first."
        ),
    ],
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare each run with this baseline of its own (see RUN/baselines.tsv), e.g. trees; may be given several times."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the table here, as TSV with every digit.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the differences here, as PNG.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap resamples of the RNAs.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
) -> None:
    """Differences of AUC and AUPR, pooled over folds, with 95 % intervals: DeLong and paired bootstrap, Holm over compartments."""
    from cli.common import show_table
    from mirnagraph.io import write_file, write_tsv
    from mirnagraph.runs.compare import compare_runs, draw_differences

    table = compare_runs(runs, baseline or (), n_resamples=resamples, seed=seed)
    if out is not None:
        write_tsv(table, out)
    if plot is not None:
        with write_file(plot) as part:
            draw_differences(table).savefig(
                part, format="png", dpi=110, metadata={"Software": None}
            )
    rows = [
        [f"{v:.4f}" if isinstance(v, float) else str(v) for v in row]
        for row in table.to_numpy().tolist()
    ]
    show_table([str(c) for c in table.columns], rows, "Run - reference")
