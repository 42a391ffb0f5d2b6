"""`mirnagraph audit`: what a dataset's accuracy is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from cli.common import (
    NetworksOption,
    OutputFolderOption,
    OverwriteOption,
    QuietOption,
    SchedulerOption,
    WorkersOption,
    open_networks,
    show_table,
)
from cli.limits import LARGEST_SEED, MOST_FOLDS
from cli.messages import progress_bars, say

EPILOG = "Example: `mirnagraph audit --networks networks --out audit`"

FoldOption = Annotated[int, Option(min=2, max=MOST_FOLDS, help="Number of folds of each split.")]

SeedOption = Annotated[
    int,
    Option(min=0, max=LARGEST_SEED, help="Seed of folds, models and the label permutation."),
]


def audit(
    networks: NetworksOption = None,
    out: OutputFolderOption = Path("audit"),
    seed: SeedOption = 0,
    fold: FoldOption = 10,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure what a score on a dataset is made of: counts, names, families, duplicates, labels.

    Needs nothing: without --networks it uses ./networks, else the synthetic demo.

    Includes RNAs without annotation, and a permutation of the labels, whose AUC must be at chance.
    """
    from fusion.experiments.audit import audit as run_audit
    from fusion.experiments.audit_report import conclusions, source_rows, write_audit

    loaded, _ = open_networks(networks)
    with progress_bars() as progress:
        result = run_audit(loaded, seed=seed, n_folds=fold, workers=workers, progress=progress)
    write_audit(result, out, overwrite=overwrite)
    show_table(*source_rows(result), "AUC of each source alone")
    for line in conclusions(result):
        say(f"- {line}")
    say(f"Written to {out}: audit.md, audit.tsv, audit.png")
