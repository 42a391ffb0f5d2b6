"""`mirnagraph ablate`: which part of a model carries how much?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.common import (
    ConfigOption,
    FoldOption,
    NetworksOption,
    OverwriteOption,
    ProtocolOption,
    QuietOption,
    RnasOption,
    SeedOption,
    SplitOption,
    WorkersOption,
)

EPILOG = "Example: `mirnagraph ablate`, or on the benchmark `mirnagraph ablate --networks networks --preset default --only without-disease --only trees-alone`"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("ablate", epilog=EPILOG)(ablate)


def ablate(
    networks: NetworksOption = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Model to take apart; gtmaloc, since it is that paper's Fig. 4 and 5 that are done again."
        ),
    ] = "gtmaloc",
    config: ConfigOption = None,
    fold: FoldOption = None,
    split: SplitOption = None,
    protocol: ProtocolOption = None,
    rnas: RnasOption = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Seeds; more can be added later to the same folder.")
    ] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this variant beside the full model, e.g. without-disease; may be given several times."
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap resamples of the RNAs.")
    ] = 2000,
    seed: SeedOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder (default: runs/NAME-ablation, NAME as for train).")
    ] = None,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Leave out one part of a model at a time, over several seeds on the same folds: what does each part carry?

    Variants: without each network or kind of association (whatever reads it goes with it), without the graph transformer (node2vec alone),
    without attention, trees alone, attention alone, and 2, 4 and 8 heads. Those that do not apply to the model are named with the reason.
    Differences to the full model come with two intervals: over RNAs and over seeds. What is trained already is not trained again.
    """
    from cli.common import progress_bars, say, show_table
    from fusion.config import experiment_config
    from fusion.experiments.ablation import run_ablation
    from fusion.experiments.ablation_report import SHOWN, ablation_table, shown_rows, write_ablation
    from fusion.experiments.train import run_name
    from mirnagraph.networks.build import networks_or_demo

    settings = experiment_config(
        preset, config, n_folds=fold, split=split, protocol=protocol, rnas=rnas, seed=seed
    )
    loaded, folder = networks_or_demo(networks)
    dataset = loaded.dataset
    synthetic = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    say(
        f"Networks of {dataset.name}{synthetic}: {len(dataset.index)} RNAs; preset {settings.preset}, {repeats} seeds",
        quiet=quiet,
    )
    target = out or Path("runs") / f"{run_name(dataset.name, settings)}-ablation"
    cache = folder / "embeddings" if folder is not None else None
    seeds = [settings.seed + number for number in range(repeats)]
    with progress_bars(quiet=quiet) as progress:
        variants, run = run_ablation(
            loaded,
            settings,
            target,
            repeats=repeats,
            only=only or (),
            cache=cache,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
        table = ablation_table(
            run.path, variants, seeds, n_resamples=resamples, seed=settings.seed, progress=progress
        )
    write_ablation(run.path, table, variants, dataset, settings, seeds)
    show_table(
        SHOWN,
        shown_rows(table, variants),
        f"Ablation of preset {settings.preset}, mean ± SD over {repeats} seeds, differences with 95 % intervals",
    )
    say(
        f"Written to {run.path}: ablation.md, ablation.tsv, variants.tsv, ablation.png, variants/",
        quiet=quiet,
    )
