"""`mirnagraph seq …`: training, prediction, explanation and comparison of sequence towers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from cli import seq_predict, seq_pretrain
from cli.common import (
    ConfigOption,
    DeviceOption,
    IupacOption,
    LanguageModelOption,
    OutputFolderOption,
    OverwriteOption,
    QuietOption,
    ResamplesOption,
    ResumeOption,
    SchedulerOption,
    SeedOption,
    TableOption,
    WorkersOption,
    dataset_title,
    preset_choices,
    show_table,
    with_common_options,
)
from cli.compare import compare_or_newest
from cli.limits import LONGEST, MOST_FOLDS, MOST_PROCESSES
from cli.messages import progress_bars, say, say_kept
from cli.seq_predict import FastaOption, RnaTypeOption, RunOption, open_chosen_tower
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from mirnagraph.runs.results import CrossValidationResult
    from seqtower.config import SeqConfig
    from seqtower.data.sequences import SequenceSet
    from seqtower.interpret.attribution import MaskingConfig
    from seqtower.saved import SavedTower

TRAIN_EPILOG = (
    "Example: `mirnagraph seq train --fasta lncrna.fa --labels lncrna.tsv --label class "
    "--out runs/lncrna`"
)

EXPLAIN_EPILOG = (
    "Example: `mirnagraph seq explain --run runs/lncrna --fasta mine.fa --rna MALAT1 --out why`"
)

COMPARE_EPILOG = "Example: `mirnagraph seq compare runs/rnatracker runs/deeplocrna`"

TrainFastaOption = Annotated[
    Path | None,
    Option(
        help="FASTA file, plain or gzip, T or U; or a Parquet file with the columns id, sequence "
        "and, without --labels, the labels.",
        show_default="the RNAs of --data",
    ),
]

LabelsOption = Annotated[
    Path | None,
    Option(
        help="Labels: TSV with ids in the first column, then 0/1 per compartment, a column of "
        "classes, or fractions that sum to 1."
    ),
]

HeaderLabelsOption = Annotated[
    str | None,
    Option(
        help="Comma-separated compartments of the 0/1 digits that FASTA headers start with, as in "
        ">1101000,Gene_ID:…,Gene_Name:…; replaces --labels."
    ),
]

DataOption = Annotated[
    str | None,
    Option(
        help="Dataset used without --fasta: demo (synthetic, one planted motif per compartment), "
        "mirna1041, or a dataset folder.",
        show_default="demo",
    ),
]

SetsOption = Annotated[
    Path | None,
    Option(
        help="TOML file of several RNA sets for one model: tables [sets.NAME] with fasta, labels "
        "or labels_in_header, label, type, group, rename."
    ),
]

LabelOption = Annotated[
    list[str] | None,
    Option(help="Label column; repeatable.", show_default="all but the first"),
]

TypeColumnOption = Annotated[
    str | None,
    Option("--type", help="Column of --labels with RNA types to condition the tower on."),
]

TowerOption = Annotated[
    str | None,
    Option(
        help=f"Preset: {preset_choices('seqtower')}.",
        show_default="long; mirna where most RNAs have fewer than 200 nt",
    ),
]

PretrainedOption = Annotated[
    Path | None,
    Option(
        help="Folder of `seq pretrain`; every fold starts from its encoder or tower.",
        show_default="random start",
    ),
]

FoldOption = Annotated[
    int | None, Option(min=2, max=MOST_FOLDS, help="Number of folds.", show_default="5")
]

GroupOption = Annotated[
    str | None,
    Option(
        help="Groups kept together in folds: cluster (near-duplicates by sequence), none, or a "
        "column of the labels (family with --data or --labels-in-header).",
        show_default="cluster",
    ),
]

TrainOutOption = Annotated[
    Path | None,
    Option(
        help="Run folder; must be empty, or an unfinished run, unless --overwrite.",
        show_default="runs/DATA-TOWER-seedN",
    ),
]

NoBaselinesOption = Annotated[
    bool,
    Option(
        "--no-baselines",
        help="Leave out the baselines, which take minutes for thousands of RNAs.",
    ),
]

DevicesOption = Annotated[
    int | None,
    Option(
        min=1,
        max=MOST_PROCESSES,
        help="Processes that train one tower together, each on a part of every batch: one per GPU, "
        "or per core without a GPU.",
        show_default="all GPUs, or 1 process on the CPU",
    ),
]

RnaOption = Annotated[
    list[str] | None,
    Option(help="Id of an RNA to explain; repeatable.", show_default="all of the file"),
]

WindowOption = Annotated[
    int, Option(min=1, max=LONGEST, help="Length of the masked window in nucleotides.")
]

StrideOption = Annotated[
    int, Option(min=1, max=LONGEST, help="Distance between windows in nucleotides.")
]

MotifsOption = Annotated[
    Path | None,
    Option(help="Known motifs to compare the filters of the tower with, MEME format."),
]

MaskingOption = Annotated[
    bool | None,
    Option(
        "--masking/--no-masking",
        help="Mask windows and predict again: zipcodes. A tower reads the whole RNA again for each "
        "window, which takes minutes for a long RNA; how long is said first.",
        show_default="masking; none for a pretrained transformer or an RNA above 7,000 nt",
    ),
]

MethodOption = Annotated[
    str | None,
    Option(
        help="How nucleotides are attributed to: gradient (one backward pass through tower and "
        "encoder) or integrated (gradients on the way from N, through the tower alone).",
        show_default="gradient for a pretrained transformer, else integrated",
    ),
]

PlotsOption = Annotated[bool, Option("--plots/--no-plots", help="One figure per RNA.")]

RunsArgument = Annotated[
    list[Path] | None,
    Argument(
        help="Runs of `seq train` on the same RNAs and folds; all are compared with the first.",
        show_default="with --baseline the newest run of `seq train` under ./runs",
    ),
]

BaselineOption = Annotated[
    list[str] | None,
    Option(
        help="Baseline of each run to compare it with, e.g. kmer_boosting (folder RUN/baselines), "
        "or tower, its tower alone; repeatable.",
        show_default="the first run",
    ),
]

app = typer.Typer(
    help="Sequence towers for RNAs of any length: pretrain, train, predict, explain, compare.",
    no_args_is_help=True,
)


def train(
    fasta: TrainFastaOption = None,
    labels: LabelsOption = None,
    labels_in_header: HeaderLabelsOption = None,
    data: DataOption = None,
    sets: SetsOption = None,
    label: LabelOption = None,
    type_column: TypeColumnOption = None,
    rna_type: RnaTypeOption = None,
    tower: TowerOption = None,
    pretrained: PretrainedOption = None,
    fold: FoldOption = None,
    group: GroupOption = None,
    config: ConfigOption = None,
    iupac: IupacOption = "error",
    seed: SeedOption = None,
    out: TrainOutOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    no_baselines: NoBaselinesOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cross-validate a sequence tower and k-mer baselines, and fit a final model.

    Needs nothing: without --fasta it uses synthetic RNAs with planted motifs.

    Near-duplicates by sequence stay in one fold. Without --tower, and without a tower in --config,
    long RNAs are read by the tower long, short ones (median below 200 nt) by the preset mirna.
    """
    from seqtower.config import DEFAULT, names_tower, preset_for, seq_config
    from seqtower.data.load import Source, training_data

    _check_processes(devices, scheduler)
    start = None if pretrained is None else str(pretrained)
    given = {"seed": seed, "n_folds": fold, "group": group, "pretrained": start}
    settings = seq_config(tower or DEFAULT, config, **given)
    source = Source(
        fasta,
        labels,
        labels_in_header,
        data,
        tuple(label or ()),
        settings.group,
        iupac,
        type_column,
        rna_type,
        sets,
    )
    read = training_data(source)
    if tower is None and not names_tower(config):
        settings = seq_config(preset_for(read[0].lengths), config, **given)
    if devices is not None:
        settings = replace(settings, training=replace(settings.training, devices=devices))
    _train(
        read,
        settings,
        out,
        baselines=not no_baselines,
        workers=workers,
        overwrite=overwrite,
        resume=resume,
    )


def _check_processes(devices: int | None, scheduler: str | None) -> None:
    """Raise ConfigError for options that contradict the processes that torchrun started."""
    from mirnagraph.errors import ConfigError
    from seqtower.training.processes import was_launched

    if was_launched() and (devices is not None or scheduler is not None):
        option = "--devices" if devices is not None else "--scheduler"
        raise ConfigError(f"torchrun has started the processes of the training; omit {option}")


def _train(
    read: tuple[SequenceSet, str, bool], settings: SeqConfig, out: Path | None, **options: Any
) -> None:
    from mirnagraph.writing.targets import folder_name
    from seqtower.data.conflicts import find_conflicts
    from seqtower.pretraining.start import load_start, start_sentences
    from seqtower.run import run_seq

    data, name, synthetic = read
    lengths = data.lengths
    n_rnas = counted(len(data), "RNA")
    n_compartments = counted(len(data.compartments), "compartment")
    size = f"{n_rnas} of {lengths.min()} to {lengths.max()} nt"
    labels = f"{n_compartments} ({data.kind})"
    title = dataset_title(name, synthetic=synthetic)
    n_left_out = counted(len(data.left_out), "id")
    say(f"{title}: {size}, {labels}; {n_left_out} left out")
    if data.sets is not None:
        for sentence in find_conflicts(data).sentences():
            say(sentence)
    start = load_start(settings, data)
    if start is not None:
        for sentence in start_sentences(start, data, settings.pretrained):
            say(sentence)
    target = out or Path("runs") / f"{folder_name(name)}-{settings.preset}-seed{settings.seed}"
    with progress_bars() as progress:
        result, run = run_seq(
            data, settings, target, name=name, synthetic=synthetic, progress=progress, **options
        )
    if result is None:
        say_kept(run.path)
    else:
        _show_result(result, settings.tower.name, run.path)


def _show_result(result: CrossValidationResult, tower: str, folder: Path) -> None:
    from mirnagraph.runs.report import baseline_rows, few_folds, metric_rows, verdict
    from seqtower.run import (
        comparison_table,
        gap_notes,
        health_notes,
        model_notes,
        parts_of_model,
    )

    table = comparison_table(result)
    n_folds = counted(result.folds.n_folds, "fold")
    show_table(*metric_rows(result), f"{n_folds}, tower {tower}")
    show_table(*baseline_rows(table), "Model and baselines")
    lines = [few_folds(result), *verdict(table, parts_of_model(result)), *model_notes(result)]
    lines += [*gap_notes(result), *health_notes(result, folder)]
    for line in filter(None, lines):
        say(line)
    say(f"Written to {folder}: predictions.tsv, metrics.tsv, report.md, model/")


def explain(
    fasta: FastaOption,
    out: OutputFolderOption,
    run: RunOption = None,
    rna: RnaOption = None,
    window: WindowOption = 100,
    stride: StrideOption = 10,
    masking: MaskingOption = None,
    method: MethodOption = None,
    motifs: MotifsOption = None,
    rna_type: RnaTypeOption = None,
    iupac: IupacOption = "error",
    language_model: LanguageModelOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    plots: PlotsOption = True,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Explain a tower: zipcodes by masking, attributions by gradients, and motifs.

    Needs a finished run of `seq train`, sequences (--fasta) and an output folder (--out).
    """
    say(f"Explaining the RNAs of {fasta}")  # loading the model alone takes seconds
    from fusion.explain.ranking import newest_run
    from mirnagraph.sources.fasta import read_fasta
    from mirnagraph.writing.marker import files_in
    from seqtower.data.motifs import read_meme
    from seqtower.interpret.attribution import MaskingConfig, is_long_to_mask
    from seqtower.interpret.report import ExplainConfig, explain_to_folder
    from seqtower.saved import FORMAT

    model = open_chosen_tower(run or newest_run(model=FORMAT), rna_type, language_model)
    records = read_fasta(fasta, iupac=iupac)
    _check_ids(rna or (), list(records["id"]), fasta)
    selected = records[records["id"].isin(rna)] if rna else records
    windows = MaskingConfig(window=window, stride=stride)
    is_slow = model.encoding.encoder.is_cached or is_long_to_mask(selected["sequence"], windows)
    if masking is None:
        masking = not is_slow
        if is_slow:
            say("No windows are masked, which takes long for these RNAs; --masking does it")
    config = ExplainConfig(windows if masking else None, method or "", plots=plots)
    if masking and is_slow:
        _say_masking(model, list(selected["sequence"]), windows)
    with progress_bars() as progress:
        counts = explain_to_folder(
            model,
            selected,
            out,
            config=config,
            known=read_meme(motifs) if motifs is not None else [],
            background=list(records["sequence"]),
            seed=seed or 0,
            overwrite=overwrite,
            progress=progress,
        )
    if model.trees is not None:
        _say_trees(model, masking=masking)
    if masking:
        _say_window(selected["sequence"].str.len().tolist(), window)
    matched = f", {counts['matches']} matches to known motifs at q < .05" if motifs else ""
    n_zipcodes = counted(counts["zipcodes"], "zipcode") if masking else "not masked, no zipcodes"
    n_motifs = counted(counts["motifs"], "motif")
    n_rnas = counted(len(selected), "RNA")
    say(f"{n_rnas}: {n_zipcodes}, {n_motifs}{matched}")
    files = sorted(name for name in files_in(out) if not name.endswith(".png"))
    figures = ", a figure of each RNA" if plots else ""
    say(f"Written to {out}: {', '.join(files)}{figures}")


def _say_trees(model: SavedTower, *, masking: bool) -> None:
    share = f"Trees on descriptors have the weight {model.weight:g} in the model"
    whole = "masking explains the whole model; " if masking else ""
    say(f"{share}: {whole}attributions, k-mers and motifs explain its tower alone")


def _say_masking(model: SavedTower, sequences: list[str], windows: MaskingConfig) -> None:
    """Say how much masking reads, at once, and how long that takes, after one reading."""
    from seqtower.interpret.attribution import masked_nucleotides, seconds_of_masking

    n_read = masked_nucleotides([len(sequence) for sequence in sequences], windows)
    say(f"Masking reads {n_read:,} nt anew; a larger --stride, or --no-masking, is faster")
    if sequences:
        minutes = seconds_of_masking(model, sequences, windows) / 60
        say(f"It takes about {minutes:.3g} minutes on this machine")


def _check_ids(names: Sequence[str], ids: list[str], fasta: Path) -> None:
    """Raise ConfigError, with the nearest ids, for a name that is not in the FASTA file."""
    from mirnagraph.errors import ConfigError
    from mirnagraph.names import suggest

    for name in names:
        if name not in ids:
            near = suggest(name, ids)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ConfigError(f"no RNA {name!r} in {fasta}{hint}")


def _say_window(lengths: list[int], window: int) -> None:
    """Report RNAs that one masked window covers, with a smaller window that shows more."""
    n_covered = sum(length <= window for length in lengths)
    smaller = max(min(lengths) // 4, 1)
    if n_covered and smaller < window:
        verb = "is" if n_covered == 1 else "are"
        n_rnas = counted(len(lengths), "RNA")
        covered = f"{n_covered} of {n_rnas} {verb} not longer than the window of {window} nt"
        say(f"{covered}: use a smaller one, such as --window {smaller} --stride 1")


def compare(
    runs: RunsArgument = None,
    baseline: BaselineOption = None,
    out: TableOption = None,
    resamples: ResamplesOption = 2000,
    seed: SeedOption = None,
) -> None:
    """Compare runs by AUC and AUPR (Pearson for fractions), pooled over folds, with 95 % intervals.

    Needs two finished runs of `seq train`, or one and --baseline.
    """
    from seqtower.saved import FORMAT

    compare_or_newest(runs, baseline, out, None, resamples=resamples, seed=seed or 0, model=FORMAT)


for _name, _command, _epilog in (
    ("pretrain", seq_pretrain.pretrain, seq_pretrain.EPILOG),
    ("train", train, TRAIN_EPILOG),
    ("predict", seq_predict.predict, seq_predict.EPILOG),
    ("explain", explain, EXPLAIN_EPILOG),
    ("compare", compare, COMPARE_EPILOG),
):
    app.command(_name, epilog=_epilog)(with_common_options(_command, "seq"))
