"""`mirnagraph tune`: settings chosen by inner folds, once on all RNAs, or honestly inside each fold's training part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import (
    ConfigOption,
    FoldOption,
    NetworksOption,
    OverwriteOption,
    ProtocolOption,
    QuietOption,
    ResumeOption,
    RnasOption,
    SeedOption,
    SplitOption,
    WorkersOption,
)

if TYPE_CHECKING:
    import pandas as pd

    from mirnagraph.networks.network import NetworkSet
    from mirnagraph.runs.folder import RunFolder
    from mirnagraph.runs.results import CrossValidationResult

EPILOG = (
    "Example: `mirnagraph tune --preset gtmaloc --trials 20`, then `mirnagraph train --config tune/NAME/best.toml`; "
    "for a figure that may be believed: `mirnagraph tune --preset gtmaloc --nested`"
)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("tune", epilog=EPILOG)(tune)


def tune(
    networks: NetworksOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Instead of networks: demo, mirna1041, or a dataset folder, whose networks are built first."
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Named settings to start from: default or gtmaloc.")
    ] = "default",
    config: ConfigOption = None,
    space: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with a table [space]: training.epochs = [20, 40], training.learning_rate = {low = 1e-4, high = 1e-2, log = true}, "
            '"networks.lambda" = [0.3, 0.7] … (default: the space of the preset).'
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            min=1, help="Settings to try; with more than before, a finished search is gone on with."
        ),
    ] = 20,
    inner_folds: Annotated[
        int, typer.Option(min=2, help="Inner folds that score a trial; families stay together.")
    ] = 3,
    metric: Annotated[
        str, typer.Option(help="What is to be high: AUC, AUPR, or AUC+AUPR (their mean).")
    ] = "AUC",
    no_pruning: Annotated[
        bool,
        typer.Option("--no-pruning", help="Run every inner fold of every trial, hopeless or not."),
    ] = False,
    nested: Annotated[
        bool,
        typer.Option(
            "--nested",
            help="Search inside the training part of every fold: an honest figure for settings and search.",
        ),
    ] = False,
    fold: FoldOption = None,
    split: SplitOption = None,
    protocol: ProtocolOption = None,
    rnas: RnasOption = None,
    seed: SeedOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write (default: tune/NAME made of dataset, preset, folds and seed)."
        ),
    ] = None,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
) -> None:
    """Choose settings by inner cross-validation (extra tune). A killed search resumes."""
    from cli.common import progress_bars, say, show_table
    from fusion.config import experiment_config
    from fusion.experiments.nested import run_nested, run_search
    from fusion.experiments.search_space import default_space, nested_space, read_space
    from fusion.experiments.study import best_of, require_optuna
    from fusion.experiments.train import run_name
    from fusion.experiments.tuning import TuneSettings
    from fusion.experiments.tuning_report import trials_table
    from mirnagraph.errors import ConfigError

    require_optuna()
    if nested_space(config) is not None:
        raise ConfigError(
            f"{config}: a table [nested] is for `mirnagraph train`; give the settings to search as a table [space] by --space"
        )
    settings = experiment_config(
        preset, config, n_folds=fold, split=split, protocol=protocol, rnas=rnas, seed=seed
    )
    wanted = TuneSettings(
        trials=trials, inner_folds=inner_folds, metric=metric, prune=not no_pruning
    )
    searched = read_space(space) if space is not None else default_space(settings)
    loaded, folder = _networks(networks, data, workers)
    dataset = loaded.dataset
    synthetic = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    say(
        f"Networks of {dataset.name}{synthetic}: {len(dataset.index)} RNAs; searching {', '.join(searched)}",
        quiet=quiet,
    )
    target = out or Path("tune") / (
        run_name(dataset.name, settings) + ("-nested" if nested else "")
    )
    cache = folder / "embeddings" if folder is not None else None
    if nested:
        with progress_bars(quiet=quiet) as progress:
            ended = run_nested(
                loaded,
                settings,
                searched,
                wanted,
                target,
                cache=cache,
                workers=workers,
                overwrite=overwrite,
                resume=resume,
                progress=progress,
            )
        show_nested(*ended, quiet=quiet)
        return
    with progress_bars(quiet=quiet) as progress:
        found, run = run_search(
            loaded,
            settings,
            searched,
            wanted,
            target,
            cache=cache,
            workers=workers,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if found is None:
        say(f"The search in {run.path} is finished and was kept.", quiet=quiet)
        return
    table = trials_table(found, searched).sort_values("score", ascending=False, kind="stable")
    columns = ["trial", "state", "score", *searched]
    rows = [
        [f"{v:.4f}" if isinstance(v, float) else str(v) for v in row]
        for row in table[columns].head(10).to_numpy(dtype=object).tolist()
    ]
    show_table([*columns[:2], metric, *searched], rows, f"The best of {len(found)} trials")
    say(
        f"Best: trial {best_of(found).number}. Written to {run.path}: best.toml, trials.tsv, tune.md",
        quiet=quiet,
    )
    say(
        f"Next: mirnagraph train --config {run.path / 'best.toml'}; its figures on these RNAs are optimistic, --nested gives an honest one",
        quiet=quiet,
    )


def _networks(
    networks: Path | None, data: str | None, workers: int
) -> tuple[NetworkSet, Path | None]:
    from mirnagraph.errors import ConfigError
    from mirnagraph.networks.build import build_networks, networks_or_demo
    from mirnagraph.sources import load_dataset

    if data is None:
        return networks_or_demo(networks)
    if networks is not None:
        raise ConfigError("found both --networks and --data, expected one of them")
    return build_networks(load_dataset(data), workers=workers), None


def show_nested(
    result: CrossValidationResult | None,
    versus: pd.DataFrame | None,
    run: RunFolder,
    *,
    quiet: bool,
) -> None:
    """Show what a nested run found: per fold against the untuned settings, and the verdict."""
    from cli.common import say, show_table
    from fusion.experiments.tuning_report import verdict
    from mirnagraph.runs.report import finite_or_dash

    if result is None or versus is None:
        say(f"The run in {run.path} is finished and was kept.", quiet=quiet)
        return
    rows = [
        [
            r["metric"],
            r["fold"],
            *(finite_or_dash(r[c]) for c in ("untuned", "nested", "difference")),
        ]
        for r in versus.to_dict("records")
    ]
    show_table(
        ["metric", "fold", "untuned", "chosen", "difference"],
        rows,
        f"{result.folds.n_folds} folds, settings chosen inside each",
    )
    for metric in ("AUC", "AUPR"):
        say(verdict(versus, metric), quiet=quiet)
    say(
        f"Written to {run.path}: predictions.tsv, metrics.tsv, choices.tsv, report.md, model/",
        quiet=quiet,
    )
