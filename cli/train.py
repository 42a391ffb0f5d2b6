"""`mirnagraph train`: networks in, a cross-validated run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.common import (
    FoldOption,
    IupacOption,
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

    from fusion.config import ExperimentConfig
    from fusion.data.rna_sets import RnaSets
    from fusion.experiments.search_space import Space
    from mirnagraph.dataset import Dataset
    from mirnagraph.networks.network import NetworkSet
    from mirnagraph.runs.results import CrossValidationResult

EPILOG = "Example: `mirnagraph train --fold 10`, or on the benchmark `mirnagraph train --networks networks --split family --rnas located`"

ColdStartOption = Annotated[
    bool,
    typer.Option(
        "--cold-start",
        help="Hide everything of the tested RNAs but their sequence, as if they were newly found; families apart unless --split says otherwise.",
    ),
]

PresetOption = Annotated[
    str | None,
    typer.Option(
        help="Named settings: default (best so far), fused (with the sequence tower), cold or sequence-only (of a sequence alone), "
        "unified (with --sets), or gtmaloc (published).",
        show_default="default; cold with --cold-start; unified with --sets",
    ),
]

SetsOption = Annotated[
    Path | None,
    typer.Option(
        help="TOML file that names labelled sets of other RNAs (lncRNA, mRNA …), which learn in one model with those of the networks: tables [sets.NAME] "
        "as for `seq train --sets`. They are tested by cluster of near-copies; an mRNA whose group is the name of a target is that node."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("train", epilog=EPILOG)(train)


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
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with settings that override the preset (see config.toml of a run); a table [nested] lists what each fold chooses."
        ),
    ] = None,
    seed: SeedOption = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            help="Seeds: the run's own and the next N - 1; mean and SD over them. Models of the first only.",
        ),
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder (default: runs/NAME made of dataset, preset, folds and seed)."
        ),
    ] = None,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Also fit simple models on the same folds (counts, names, trees …) and report them beside.",
        ),
    ] = True,
    quiet: QuietOption = False,
) -> None:
    """Cross-validate a model on networks: every RNA is predicted by the model that did not train on it."""
    from cli.common import progress_bars, say
    from fusion.config import experiment_config
    from fusion.data.prepare import check_settings
    from fusion.experiments.repeats import repeat_run, repeats_done
    from fusion.experiments.search_space import nested_space
    from fusion.experiments.train import run_experiment, run_name
    from mirnagraph.errors import ConfigError
    from mirnagraph.networks.build import networks_or_demo

    space = nested_space(config)
    if cold_start:
        split = split or "family"
    chosen = preset or ("cold" if cold_start else "unified" if sets else "default")
    if sets is not None and (repeats > 1 or space is not None):
        raise ConfigError(
            "--sets goes neither with --repeats nor with a table [nested] of settings"
        )
    settings = experiment_config(
        chosen,
        config,
        n_folds=fold,
        split=split,
        protocol=protocol,
        rnas=rnas,
        seed=seed,
        cold=cold_start or None,
    )
    check_settings(settings, sets=sets is not None)
    loaded, folder = networks_or_demo(networks)
    dataset = loaded.dataset
    synthetic = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    say(
        f"Networks of {dataset.name}{synthetic}: {len(dataset.index)} RNAs, {int(dataset.located.sum())} with a compartment",
        quiet=quiet,
    )
    target = out or Path("runs") / (
        run_name(dataset.name, settings) + ("" if space is None else "-nested")
    )
    cache = folder / "embeddings" if folder is not None else None
    if space is not None:
        _nested(
            loaded,
            settings,
            space,
            target,
            cache=cache,
            workers=workers,
            overwrite=overwrite,
            resume=resume,
            quiet=quiet,
        )
        return
    # a finished run whose repeats are not there yet is gone on with, as any unfinished run is
    resume = resume or (
        repeats > 1 and not overwrite and not repeats_done(target, settings.seed, repeats)
    )
    with progress_bars(quiet=quiet) as progress:
        rna_sets = None if sets is None else _rna_sets(sets, loaded.dataset, iupac, progress, quiet)
        result, run = run_experiment(
            loaded,
            settings,
            target,
            cache=cache,
            workers=workers,
            overwrite=overwrite,
            resume=resume,
            baselines=baselines,
            rna_sets=rna_sets,
            progress=progress,
        )
        repeated = (
            repeat_run(
                loaded, settings, run.path, repeats, cache=cache, workers=workers, progress=progress
            )
            if repeats > 1
            else None
        )
    _show(
        result,
        repeated,
        run.path,
        f"preset {settings.preset}",
        repeats,
        baselines and sets is None,
        quiet,
    )
    if result is not None and sets is not None:
        _show_sets(run.path)


def _rna_sets(sets: Path, dataset: Dataset, iupac: str, progress: Any, quiet: bool) -> RnaSets:
    from cli.common import say
    from fusion.data.rna_sets import read_rna_sets

    rna_sets = read_rna_sets(sets, dataset, iupac=iupac, progress=progress)
    of = ", ".join(f"{name} {about['n']}" for name, about in rna_sets.summary().items())
    say(
        f"Sets beside them: {of}; {len(set(rna_sets.groups))} groups of near-copies; {len(rna_sets.data.left_out)} RNAs left out",
        quiet=quiet,
    )
    return rna_sets


def _show_sets(folder: Path) -> None:
    import pandas as pd

    from cli.common import show_table
    from fusion.experiments.cross_validate import BY_SET

    table = pd.read_csv(folder / BY_SET, sep="\t")
    table = table[(table["compartment"] == "average") & (table["metric"] == "AUC")]
    rows = [
        [
            str(row["set"]),
            str(row["model"]),
            f"{row['mean']:.3f} ± {row['sd']:.3f}",
            str(row["n_labels"]),
        ]
        for row in table.to_dict("records")
    ]
    show_table(["set", "answer", "AUC", "compartments"], rows, "Within each set")


def _nested(
    networks: NetworkSet,
    settings: ExperimentConfig,
    space: Space,
    target: Path,
    *,
    quiet: bool,
    **how: Any,
) -> None:
    from cli.common import progress_bars
    from cli.tune import show_nested
    from fusion.experiments.nested import run_nested
    from fusion.experiments.tuning import TuneSettings

    with progress_bars(quiet=quiet) as progress:
        nested = run_nested(
            networks, settings, space, TuneSettings(grid=True), target, progress=progress, **how
        )
    show_nested(*nested, quiet=quiet)


def _show(
    result: CrossValidationResult | None,
    repeated: pd.DataFrame | None,
    folder: Path,
    preset: str,
    repeats: int,
    baselines: bool,
    quiet: bool,
) -> None:
    from cli.common import say, show_table
    from fusion.experiments.repeats import shown_rows
    from mirnagraph.runs.report import SHOWN, finite_or_dash, summary_table

    if result is None:
        say(f"The run in {folder} is finished and was kept.", quiet=quiet)
    elif repeated is None:
        table = summary_table(result.metrics, result.compartments)
        rows = [
            [
                row["compartment"],
                *(finite_or_dash(row[f"{m} {c}"]) for m in SHOWN for c in ("mean", "sd")),
            ]
            for row in table.to_dict("records")
        ]
        show_table(
            ["compartment", *(f"{m}{c}" for m in SHOWN for c in ("", " SD"))],
            rows,
            f"{result.folds.n_folds} folds, {preset}",
        )
    if repeated is not None:
        show_table(
            ["compartment", *SHOWN],
            shown_rows(repeated),
            f"Mean ± SD over {repeats} seeds, {preset}",
        )
    if result is not None and baselines:
        _show_baselines(folder, quiet)
    if result is not None or repeated is not None:
        more = ", repeats.tsv, repeats/" if repeated is not None else ""
        say(
            f"Written to {folder}: predictions.tsv, metrics.tsv, report.md, model/{more}",
            quiet=quiet,
        )


def _show_baselines(folder: Path, quiet: bool) -> None:
    import pandas as pd

    from cli.common import say, show_table
    from mirnagraph.runs.report import baseline_rows, verdict

    beside = pd.read_csv(folder / "baselines.tsv", sep="\t")
    show_table(*baseline_rows(beside), "Beside baselines")
    for line in verdict(beside):
        say(line, quiet=quiet)
