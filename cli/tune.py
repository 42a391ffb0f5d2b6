"""`mirnagraph tune`: settings selected by inner cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from cli.common import (
    ConfigOption,
    FoldOption,
    NetworksOption,
    OverwriteOption,
    PresetOption,
    ProtocolOption,
    QuietOption,
    ResumeOption,
    RnasOption,
    SchedulerOption,
    SeedOption,
    SplitOption,
    WorkersOption,
    announce,
    open_networks,
    show_frame,
)
from cli.limits import MOST_FOLDS
from cli.messages import progress_bars, say, say_kept
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from fusion.config import ExperimentConfig
    from fusion.experiments.search_space import Space
    from fusion.experiments.tuning import TuneSettings
    from mirnagraph.networks.network import NetworkSet

EPILOG = (
    "Example: `mirnagraph tune --preset gtmaloc --trials 20 --out tuned`, then "
    "`mirnagraph train --config tuned/best.toml`"
)

DataOption = Annotated[
    str | None,
    Option(
        help="Dataset whose networks are built first, instead of --networks: demo, mirna1041, or a "
        "dataset folder."
    ),
]

SpaceOption = Annotated[
    Path | None,
    Option(
        help="TOML file with a table [space]: training.epochs = [20, 40], training.learning_rate = "
        '{low = 1e-4, high = 1e-2, log = true}, "networks.lambda" = [0.3, 0.7] …',
        show_default="the space of the preset",
    ),
]

TrialsOption = Annotated[
    int,
    Option(
        min=1,
        max=100_000,
        help="Number of trials; a finished search resumes when this number is raised.",
    ),
]

InnerFoldsOption = Annotated[
    int,
    Option(min=2, max=MOST_FOLDS, help="Number of inner folds per trial; families stay together."),
]

MetricOption = Annotated[
    str, Option(help="Metric to maximise: AUC, AUPR, or AUC+AUPR (their mean).")
]

NoPruningOption = Annotated[
    bool, Option("--no-pruning", help="Run every inner fold of every trial.")
]

NestedOption = Annotated[
    bool,
    Option(
        "--nested",
        help="Search inside the training part of every fold: an unbiased estimate for settings "
        "and search together.",
    ),
]

OutOption = Annotated[
    Path | None,
    Option(
        help="Output folder; must be empty, or an unfinished search, unless --overwrite.",
        show_default="tune/NAME, NAME as of train",
    ),
]


def tune(
    networks: NetworksOption = None,
    data: DataOption = None,
    preset: PresetOption = "default",
    config: ConfigOption = None,
    space: SpaceOption = None,
    trials: TrialsOption = 20,
    inner_folds: InnerFoldsOption = 3,
    metric: MetricOption = "AUC",
    no_pruning: NoPruningOption = False,
    nested: NestedOption = False,
    fold: FoldOption = None,
    split: SplitOption = None,
    protocol: ProtocolOption = None,
    rnas: RnasOption = None,
    seed: SeedOption = None,
    out: OutOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
) -> None:
    """Select settings by inner cross-validation. A killed search resumes.

    Needs the extra `tune`; without --networks it uses ./networks, else the synthetic demo.
    """
    from fusion.config import experiment_config
    from fusion.experiments.search_space import default_space, nested_space, read_space
    from fusion.experiments.study import require_optuna
    from fusion.experiments.train import run_name
    from fusion.experiments.tuning import TuneSettings
    from mirnagraph.errors import ConfigError

    require_optuna()
    if nested_space(config) is not None:
        raise ConfigError(
            f"{config}: a table [nested] is for `mirnagraph train`; here it is a table [space] in "
            "the file of --space"
        )
    settings = experiment_config(
        preset, config, n_folds=fold, split=split, protocol=protocol, rnas=rnas, seed=seed
    )
    search = TuneSettings(
        trials=trials, inner_folds=inner_folds, metric=metric, prune=not no_pruning
    )
    searched = read_space(space) if space is not None else default_space(settings)
    loaded, cache = _networks(networks, data, workers)
    say(f"Settings searched: {', '.join(searched)}")
    name = run_name(loaded.dataset.name, settings) + ("-nested" if nested else "")
    target = out or Path("tune") / name
    how = {"cache": cache, "workers": workers, "overwrite": overwrite, "resume": resume}
    run = run_and_show_nested if nested else _search
    run(loaded, settings, searched, search, target, **how)


def _networks(
    networks: Path | None, data: str | None, workers: int
) -> tuple[NetworkSet, Path | None]:
    from mirnagraph.errors import ConfigError
    from mirnagraph.networks.build import build_networks
    from mirnagraph.recipes.opening import load_dataset

    if data is None:
        return open_networks(networks)
    if networks is not None:
        raise ConfigError("found both --networks and --data, expected one of them")
    built = build_networks(load_dataset(data), workers=workers)
    announce(built)
    return built, None


def _search(
    networks: NetworkSet,
    settings: ExperimentConfig,
    space: Space,
    search: TuneSettings,
    target: Path,
    **how: Any,
) -> None:
    from fusion.experiments.nested import run_search
    from fusion.experiments.study import best_of
    from fusion.experiments.tuning_report import trials_table

    with progress_bars() as progress:
        trials, run = run_search(
            networks, settings, space, search, target, progress=progress, **how
        )
    if trials is None:
        say_kept(run.path, what="search")
        return
    table = trials_table(trials, space).sort_values("score", ascending=False, kind="stable")
    shown = table[["trial", "state", "score", *space]].rename(columns={"score": search.metric})
    show_frame(shown.head(10), f"The best of {len(trials)} trials")
    best = best_of(trials)
    files = "best.toml, trials.tsv, tune.md"
    say(f"Best: trial {best.number}. Written to {run.path}: {files}")
    command = f"mirnagraph train --config {run.path / 'best.toml'}"
    bias = "its metrics on these RNAs are optimistic, use --nested for an unbiased estimate"
    say(f"Next: {command}; {bias}")


def run_and_show_nested(
    networks: NetworkSet,
    settings: ExperimentConfig,
    space: Space,
    search: TuneSettings,
    target: Path,
    **how: Any,
) -> None:
    """Run nested cross-validation and show it against the untuned settings, with the verdicts.

    Args:
        networks: of the dataset.
        settings: before the search.
        space: settings to search.
        search: settings of the searches.
        target: run folder.
        how: options of `fusion.experiments.nested.run_nested`.
    """
    from fusion.experiments.nested import run_nested
    from fusion.experiments.tuning_report import verdict
    from mirnagraph.runs.report import finite_or_dash

    with progress_bars() as progress:
        result, versus, run = run_nested(
            networks, settings, space, search, target, progress=progress, **how
        )
    if result is None or versus is None:
        say_kept(run.path)
        return
    n_folds = counted(result.folds.n_folds, "fold")
    title = f"{n_folds}, settings selected inside each"
    show_frame(
        versus[["metric", "fold", "untuned", "nested", "difference"]], title, number=finite_or_dash
    )
    for metric in ("AUC", "AUPR"):
        say(verdict(versus, metric))
    files = "predictions.tsv, metrics.tsv, choices.tsv, report.md, model/"
    say(f"Written to {run.path}: {files}")
