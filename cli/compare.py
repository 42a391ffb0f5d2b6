"""`mirnagraph compare`: paired comparison of runs, compartment by compartment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cli.common import ResamplesOption, TableOption, show_frame
from cli.limits import LARGEST_SEED

EPILOG = "Example: `mirnagraph compare runs/mine runs/other --plot difference.png`"

RunsArgument = Annotated[
    list[Path] | None,
    Argument(
        help="Run folders on the same RNAs and folds; all are compared with the first. Runs with "
        "--sets are compared on the RNAs that all of them have.",
        show_default="with --baseline the newest run under ./runs",
    ),
]

BaselineOption = Annotated[
    list[str] | None,
    Option(
        help="Baseline or part of each run to compare it with, e.g. trees (see RUN/baselines.tsv); "
        "repeatable.",
        show_default="the first run",
    ),
]

PlotOption = Annotated[Path | None, Option(help="Output figure of the differences, PNG.")]

SeedOption = Annotated[int, Option(min=0, max=LARGEST_SEED, help="Seed of the resamples.")]


def compare(
    runs: RunsArgument = None,
    baseline: BaselineOption = None,
    out: TableOption = None,
    plot: PlotOption = None,
    resamples: ResamplesOption = 2000,
    seed: SeedOption = 0,
) -> None:
    """Compare runs by AUC and AUPR, pooled over folds, with 95 % intervals.

    Needs two finished runs of `train`, or one and --baseline.

    Tests: DeLong and paired bootstrap, Holm correction over compartments.
    """
    from fusion.models.saved import FORMAT

    compare_or_newest(runs, baseline, out, plot, resamples=resamples, seed=seed, model=FORMAT)


def compare_or_newest(
    runs: list[Path] | None,
    baselines: list[str] | None,
    out: Path | None,
    plot: Path | None,
    *,
    resamples: int,
    seed: int,
    model: str,
) -> None:
    """Compare runs; without any the newest run of a kind of model with its baselines.

    Raises:
        ConfigError: neither two runs nor a baseline.
        InputError: no finished run.
    """
    from fusion.explain.ranking import newest_run
    from mirnagraph.io import write_tsv
    from mirnagraph.runs.compare import compare_runs, draw_differences
    from mirnagraph.runs.markdown import save_figure

    if not runs and baselines:
        runs = [newest_run(model=model)]
    table = compare_runs(runs or (), baselines or (), n_resamples=resamples, seed=seed)
    if out is not None:
        write_tsv(table, out)
    if plot is not None:
        save_figure(draw_differences(table), plot)
    show_frame(table, "Run - reference")
