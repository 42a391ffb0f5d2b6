"""`mirnagraph train`: cross-validation of a model on networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from cli.common import (
    DeviceOption,
    FoldOption,
    IupacOption,
    NetworksOption,
    OverwriteOption,
    ProtocolOption,
    ResumeOption,
    RnasOption,
    SchedulerOption,
    SeedOption,
    SplitOption,
    WorkersOption,
    open_networks,
    preset_choices,
    show_frame,
    show_table,
)
from cli.limits import MOST_SEEDS
from cli.messages import progress_bars, say, say_kept
from mirnagraph.errors import counted

if TYPE_CHECKING:
    import pandas as pd

    from fusion.api import TrainedRun
    from fusion.config import ExperimentConfig
    from fusion.data.rna_sets import RnaSets
    from fusion.temporal.run import TemporalRun
    from mirnagraph.networks.network import NetworkSet
    from mirnagraph.runs.results import CrossValidationResult

EPILOG = "Example: `mirnagraph train --networks networks --split family --rnas located`"

ColdStartOption = Annotated[
    bool,
    Option(
        "--cold-start",
        help="Mask everything about tested RNAs but their sequence, as for new RNAs; implies "
        "--split family unless another split is given.",
    ),
]

PresetOption = Annotated[
    str | None,
    Option(
        help=f"Preset: {preset_choices('fusion')}.",
        show_default="default; cold with --cold-start; unified with --sets",
    ),
]

SetsOption = Annotated[
    Path | None,
    Option(
        help="TOML file of labelled sets of other RNAs (lncRNA, mRNA …) for joint training: tables "
        "[sets.NAME] as for `seq train --sets`. Clusters of near-duplicates stay in one fold; an "
        "mRNA whose group is the name of a target is that node."
    ),
]

ConfigOption = Annotated[
    Path | None,
    Option(
        help="TOML file of settings that override the preset (see config.toml of a run); a table "
        "[nested] lists settings that each fold selects for itself."
    ),
]

RepeatsOption = Annotated[
    int,
    Option(
        min=1,
        max=MOST_SEEDS,
        help="Number of seeds for mean and SD; only the first seed's models are kept.",
    ),
]

OutOption = Annotated[
    Path | None,
    Option(
        help="Run folder; must be empty, or an unfinished run, unless --overwrite.",
        show_default="runs/DATASET-PRESET-SPLIT-Nfold-RNAS-seedN",
    ),
]

BaselinesOption = Annotated[
    bool,
    Option(
        "--baselines/--no-baselines",
        help="Also fit and report simpler models on the same folds (counts, names, trees …).",
    ),
]

TemporalOption = Annotated[
    Path | None,
    Option(
        help="Table of earlier labels (rna_id and the dataset's compartments, 0/1; see "
        "`read-labels`): train on them, and score the ranking of unlabelled pairs by the dataset's "
        "labels."
    ),
]

LabelsByOption = Annotated[
    str | None,
    Option(
        help="Training labels of --temporal: id, or molecule to join the labels of ids that share "
        "a mature sequence.",
        show_default="id",
    ),
]


def train(
    networks: NetworksOption = None,
    fold: FoldOption = None,
    split: SplitOption = None,
    protocol: ProtocolOption = None,
    rnas: RnasOption = None,
    cold_start: ColdStartOption = False,
    preset: PresetOption = None,
    sets: SetsOption = None,
    iupac: IupacOption = "error",
    config: ConfigOption = None,
    seed: SeedOption = None,
    repeats: RepeatsOption = 1,
    out: OutOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    baselines: BaselinesOption = True,
    temporal: TemporalOption = None,
    labels_by: LabelsByOption = None,
) -> None:
    """Cross-validate a model on networks, and fit a final model.

    Needs nothing: without --networks it uses ./networks, else the synthetic demo.

    Every RNA gets an out-of-fold prediction: from a model that did not train on it.
    """
    from fusion.config import experiment_config
    from fusion.data.prepare import check_settings
    from fusion.experiments.search_space import nested_space
    from fusion.experiments.train import run_name
    from mirnagraph.errors import ConfigError

    space = nested_space(config)
    if sets is not None and (repeats > 1 or space is not None):
        raise ConfigError("--sets goes neither with --repeats nor with a table [nested]")
    _check_temporal(temporal, labels_by, sets=sets, repeats=repeats, is_nested=space is not None)
    settings = experiment_config(
        preset or _default_preset(cold_start, sets),
        config,
        n_folds=fold,
        split=split or ("family" if cold_start else None),
        protocol=protocol,
        rnas=rnas,
        seed=seed,
        cold=cold_start or None,
    )
    check_settings(settings, sets=sets is not None)
    loaded, cache = open_networks(networks)
    name = run_name(loaded.dataset.name, settings) + ("" if temporal is None else "-temporal")
    target = out or Path("runs") / name
    how: dict[str, Any] = {"cache": cache, "workers": workers}
    how |= {"overwrite": overwrite, "resume": resume}
    if space is not None:
        from cli.tune import run_and_show_nested
        from fusion.experiments.tuning import TuneSettings

        nested = out or target.with_name(f"{target.name}-nested")
        run_and_show_nested(loaded, settings, space, TuneSettings(grid=True), nested, **how)
        return
    if temporal is not None:
        _train_temporal(loaded, settings, temporal, labels_by or "id", target, **how)
        return
    how |= {"repeats": repeats, "baselines": baselines}
    _train(loaded, settings, target, sets, iupac, **how)


def _check_temporal(
    temporal: Path | None,
    labels_by: str | None,
    *,
    sets: Path | None,
    repeats: int,
    is_nested: bool,
) -> None:
    """Raise ConfigError for options that do not go with --temporal, or go with it alone."""
    from mirnagraph.errors import ConfigError

    if temporal is None and labels_by is not None:
        raise ConfigError("--labels-by needs --temporal")
    if temporal is not None and (sets is not None or repeats > 1 or is_nested):
        raise ConfigError("--temporal goes with none of --sets, --repeats and a table [nested]")


def _train_temporal(
    networks: NetworkSet,
    settings: ExperimentConfig,
    earlier: Path,
    labels_by: str,
    target: Path,
    **options: Any,
) -> None:
    from fusion.temporal.labels import read_earlier
    from fusion.temporal.run import run_temporal

    labels = read_earlier(earlier, networks.dataset)
    with progress_bars() as progress:
        run = run_temporal(
            networks, settings, labels, target, labels_by=labels_by, progress=progress, **options
        )
    if run.result is None:
        say_kept(run.folder)
    _show_temporal(run)


def _show_temporal(run: TemporalRun) -> None:
    from fusion.temporal.report import auc_rows, precision_rows, verdict

    show_table(*auc_rows(run.table), "AUC over the pairs without an earlier label")
    show_table(*precision_rows(run.table), "Share of the highest pairs that were found later")
    for line in verdict(run.table):
        say(line)
    say(f"Written to {run.folder}: temporal.tsv, predictions.tsv, scores.tsv, report.md")


def _default_preset(cold_start: bool, sets: Path | None) -> str:
    if cold_start:
        return "cold"
    return "default" if sets is None else "unified"


def _train(
    networks: NetworkSet,
    settings: ExperimentConfig,
    target: Path,
    sets: Path | None,
    iupac: str,
    **options: Any,
) -> None:
    from fusion.api import train_run
    from fusion.data.rna_sets import read_rna_sets

    rna_sets = None
    with progress_bars() as progress:
        if sets is not None:
            rna_sets = read_rna_sets(sets, networks.dataset, iupac=iupac, progress=progress)
            say(f"Additional RNA sets: {_sizes(rna_sets)}")
        trained = train_run(
            networks, settings, target, rna_sets=rna_sets, progress=progress, **options
        )
    _show(trained, settings.preset)
    if trained.result is not None and sets is not None:
        _show_by_set(trained.folder)


def _sizes(rna_sets: RnaSets) -> str:
    sizes = ", ".join(f"{name} {about['n']}" for name, about in rna_sets.summary().items())
    n_clusters = counted(len(set(rna_sets.groups)), "cluster")
    n_left_out = counted(len(rna_sets.data.left_out), "RNA")
    return f"{sizes} RNAs; {n_clusters} of near-duplicates; {n_left_out} left out"


def _show(trained: TrainedRun, preset: str) -> None:
    from fusion.experiments.repeats import shown_rows
    from mirnagraph.runs.report import SHOWN

    result = trained.result
    if result is None:
        say_kept(trained.folder)
    if trained.over_seeds is not None:
        title = f"Mean ± SD over {trained.n_seeds} seeds, preset {preset}"
        show_table(["compartment", *SHOWN], shown_rows(trained.over_seeds), title)
    elif result is not None:
        _show_metrics(result, preset)
    if trained.baselines is not None:
        _show_baselines(trained.baselines)
    elif result is not None:
        _show_parts(result)
    if result is not None or trained.over_seeds is not None:
        more = ", repeats.tsv, repeats/" if trained.over_seeds is not None else ""
        files = f"predictions.tsv, metrics.tsv, report.md, model/{more}"
        say(f"Written to {trained.folder}: {files}")


def _show_metrics(result: CrossValidationResult, preset: str) -> None:
    from mirnagraph.runs.report import SHOWN, finite_or_dash, summary_table

    table = summary_table(result.metrics, result.compartments)
    columns = [f"{metric} {part}" for metric in SHOWN for part in ("mean", "sd")]
    names = {column: column.replace(" mean", "").replace(" sd", " SD") for column in columns}
    shown = table[["compartment", *columns]].rename(columns=names)
    n_folds = counted(result.folds.n_folds, "fold")
    title = f"{n_folds}, preset {preset}"
    show_frame(shown, title, number=finite_or_dash)


def _show_baselines(baselines: pd.DataFrame) -> None:
    from mirnagraph.runs.report import baseline_rows, verdict

    show_table(*baseline_rows(baselines), "Model and baselines")
    for line in verdict(baselines):
        say(line)


def _show_parts(result: CrossValidationResult) -> None:
    import pandas as pd

    from mirnagraph.runs.report import baseline_rows, part_names, part_rows

    if part_names(result):
        show_table(*baseline_rows(pd.DataFrame(part_rows(result))), "Model and its parts")


def _show_by_set(folder: Path) -> None:
    from fusion.experiments.cross_validate import BY_SET
    from mirnagraph.reading.table import read_typed
    from mirnagraph.runs.report import set_rows

    table = read_typed(folder / BY_SET)
    show_table(*set_rows(table), "Within each set")
