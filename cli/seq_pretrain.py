"""`mirnagraph seq pretrain`: an encoder without labels, or a tower from labelled sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from cli.common import (
    ConfigOption,
    DeviceOption,
    IupacOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    preset_choices,
    show_frame,
)
from cli.messages import progress_bars, say, say_kept
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from seqtower.pretraining.tracks import Tracks

EPILOG = (
    "Example: `mirnagraph seq pretrain --fasta any.fa --motifs rbp.meme --out encoder`, "
    "or `mirnagraph seq pretrain --sets large.toml --target small.fa --out start`"
)

ENCODER_TOWER = "deeplocrna"
LABELS_TOWER = "long"

FastaOption = Annotated[
    list[Path] | None,
    Option(
        help="FASTA file of unlabelled sequences, plain or gzip; repeatable.",
        show_default="synthetic RNAs with planted motifs",
    ),
]

MotifsOption = Annotated[
    Path | None, Option(help="Motifs whose binding sites are the targets, MEME format.")
]

TracksOption = Annotated[
    Path | None,
    Option(
        help="Measured signals as targets: TSV with rna_id, start, end (nucleotides, 0-based, end "
        "excluded) and one column of numbers per protein."
    ),
]

ObjectiveOption = Annotated[
    str, Option(help="Targets: tracks (of --motifs or --tracks), or masked nucleotides.")
]

SetsOption = Annotated[
    Path | None,
    Option(
        help="Pre-train a whole tower on the labels of these sets: TOML file as of `seq train "
        "--sets`, one set or more, with `group` for the column of genes. Needs --target."
    ),
]

TargetOption = Annotated[
    Path | None,
    Option(
        help="FASTA file of the set that `seq train` trains later. With --sets its RNAs, their "
        "near-copies and transcripts of their genes are cut from the pre-training."
    ),
]

TargetLabelsOption = Annotated[
    Path | None,
    Option(help="TSV with the target's ids in the first column and --gene; no label is read."),
]

GeneOption = Annotated[
    list[str] | None,
    Option(
        help="Column of --target-labels with genes, compared with the groups of --sets; repeatable."
    ),
]

RnaTypeOption = Annotated[
    str | None,
    Option(
        help="RNA type of the target, e.g. circRNA, if `seq train` gets one too: RNAs of all sets "
        "are then described with their types.",
        show_default="no RNA types",
    ),
]

TowerOption = Annotated[
    str | None,
    Option(
        help="Preset. With --sets any: "
        f"{preset_choices('seqtower')}; else one with a position per nucleotide, e.g. deeplocrna "
        "or rnaloc-lm.",
        show_default=f"{ENCODER_TOWER}, {LABELS_TOWER} with --sets",
    ),
]

GroupOption = Annotated[
    str | None,
    Option(
        help="Groups kept on one side of the validation split: cluster (near-duplicates), or none "
        "(faster). Genes of --sets are kept on one side anyway.",
        show_default="cluster",
    ),
]

OutOption = Annotated[
    Path | None,
    Option(
        help="Run folder; must be empty, or an unfinished run, unless --overwrite.",
        show_default="runs/pretrained-TOWER-seedN",
    ),
]


def pretrain(
    fasta: FastaOption = None,
    motifs: MotifsOption = None,
    tracks: TracksOption = None,
    objective: ObjectiveOption = "tracks",
    sets: SetsOption = None,
    target: TargetOption = None,
    target_labels: TargetLabelsOption = None,
    gene: GeneOption = None,
    rna_type: RnaTypeOption = None,
    tower: TowerOption = None,
    group: GroupOption = None,
    config: ConfigOption = None,
    iupac: IupacOption = "error",
    seed: SeedOption = None,
    out: OutOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
) -> None:
    """Pre-train for `seq train --pretrained`: an encoder without labels, or a tower with --sets.

    Needs nothing: without --fasta it uses synthetic RNAs with planted motifs.

    Without --sets no label is read, and RNAs that are tested later may be among the sequences; that
    run is then transductive for sequences.

    With --sets one tower learns all labelled sets at once, each with outputs of its own. Nothing of
    the target is read: see --target. Labels are 0/1 per compartment or one class per RNA; fractions
    are not supported.
    """
    folder_options = {"overwrite": overwrite, "resume": resume}
    settings = {"file": config, "seed": seed, "group": group}
    if sets is not None:
        _check_alone(fasta, motifs, tracks, objective)
        labelled = Labelled(sets, target, target_labels, tuple(gene or ()), rna_type, iupac)
        _pretrain_tower(labelled, tower or LABELS_TOWER, settings, out, folder_options)
        return
    _check_no_target(target, target_labels, gene, rna_type)
    _check_targets(fasta, motifs, tracks, objective)
    unlabelled = Unlabelled(fasta or [], motifs, tracks, objective, iupac)
    _pretrain_encoder(unlabelled, tower or ENCODER_TOWER, settings, out, folder_options)


def _folder(out: Path | None, tower: str, seed: int) -> Path:
    return out or Path("runs") / f"pretrained-{tower}-seed{seed}"


@dataclass(frozen=True)
class Unlabelled:
    """Options that name the data of a pre-training without labels."""

    fasta: list[Path]
    motifs: Path | None
    tracks: Path | None
    objective: str
    iupac: str


def _pretrain_encoder(
    options: Unlabelled,
    tower: str,
    settings: dict[str, Any],
    out: Path | None,
    folder_options: dict[str, bool],
) -> None:
    """Pre-train an encoder without labels and print how well it predicts."""
    from seqtower.config import seq_config
    from seqtower.pretraining.load import read_records, read_signal
    from seqtower.pretraining.pretrain import MASKED, PretrainConfig, pretrain

    config = PretrainConfig(options.objective, model=seq_config(tower, **settings))
    records = read_records(options.fasta, iupac=options.iupac)
    if options.objective == MASKED:
        signal: Tracks | None = None
        sources: dict[str, str] = {}
        targets = "masked nucleotides"
    else:
        signal, sources = read_signal(records, options.motifs, options.tracks)
        targets = f"{counted(len(signal.names), 'track')} ({signal.kind})"
    synthetic = "" if options.fasta else " (synthetic)"
    say(f"{counted(len(records), 'RNA')}{synthetic}, {targets}; no labels are read")
    folder = _folder(out, tower, config.model.seed)
    with progress_bars() as progress:
        metrics, run = pretrain(
            records, signal, config, folder, sources=sources, progress=progress, **folder_options
        )
    if metrics is None:
        say_kept(run.path)
        return
    names = {"held_out": "validation RNAs", "first_order": "dinucleotides alone"}
    shown = metrics[["track", "measure", *names]].rename(columns=names)
    show_frame(shown, "Validation of the encoder", number="{:.3f}".format)
    command = f"mirnagraph seq train --tower {tower} --pretrained {run.path}"
    say(f"Written to {run.path}: encoder/, figures.tsv. Next: {command}")


@dataclass(frozen=True)
class Labelled:
    """Options that name the data of a pre-training on labels."""

    sets: Path
    target: Path | None
    target_labels: Path | None
    gene: tuple[str, ...]
    rna_type: str | None
    iupac: str


def _pretrain_tower(
    options: Labelled,
    tower: str,
    settings: dict[str, Any],
    out: Path | None,
    folder_options: dict[str, bool],
) -> None:
    """Pre-train a tower on labelled sets and print what was cut and how well it predicts."""
    from mirnagraph.errors import ConfigError
    from mirnagraph.runs.run_file import read_run_json
    from seqtower.config import seq_config
    from seqtower.data.sequences import the_type
    from seqtower.data.sets import read_sets
    from seqtower.pretraining.target import cut_target, read_target
    from seqtower.pretraining.transfer import TransferConfig, mean_auc, pretrain_tower

    if options.target is None:
        raise ConfigError("--sets needs --target: the FASTA file of the set that is trained later")
    if options.rna_type is not None:
        the_type(options.rna_type)
    config = TransferConfig(options.rna_type is not None, seq_config(tower, **settings))
    iupac = options.iupac
    target = read_target(options.target, options.target_labels, options.gene, iupac=iupac)
    data = read_sets(options.sets, iupac=iupac, least=1)
    folder = _folder(out, tower, config.model.seed)
    with progress_bars() as progress:
        cut = cut_target(data, target, progress)
        say(f"{cut.sentence()}. {counted(len(cut.kept), 'RNA')} left.")
        metrics, run = pretrain_tower(
            data, target, cut, config, folder, progress=progress, **folder_options
        )
    if metrics is None:
        say_kept(run.path)
        return
    for note in read_run_json(run.path)["notes"]:
        say(note)
    show_frame(metrics, "Validation of the outputs", number="{:.3f}".format)
    score = mean_auc(metrics)
    if score is not None:
        say(f"Mean AUC of the outputs on the validation split, which chose the epoch: {score:.3f}")
    command = f"mirnagraph seq train --tower {tower} --pretrained {run.path}"
    say(f"Written to {run.path}: tower/, cut.tsv, rnas.tsv, figures.tsv. Next: {command}")


def _check_alone(
    fasta: list[Path] | None, motifs: Path | None, tracks: Path | None, objective: str
) -> None:
    """Raise ConfigError where --sets comes with options of the pre-training without labels."""
    from mirnagraph.errors import ConfigError

    if fasta or motifs is not None or tracks is not None or objective != "tracks":
        raise ConfigError(
            "--sets trains on labels; omit --fasta, --motifs, --tracks and --objective"
        )


def _check_no_target(*options: object) -> None:
    """Raise ConfigError where an option of the pre-training on labels comes without --sets."""
    from mirnagraph.errors import ConfigError

    if any(options):
        raise ConfigError("--target, --target-labels, --gene and --rna-type belong to --sets")


def _check_targets(
    fasta: list[Path] | None, motifs: Path | None, tracks: Path | None, objective: str
) -> None:
    """Raise ConfigError unless the options name one kind of targets."""
    from mirnagraph.errors import ConfigError
    from seqtower.pretraining.pretrain import MASKED

    n_targets = (motifs is not None) + (tracks is not None) + (objective == MASKED)
    if n_targets > 1:
        raise ConfigError(
            "--motifs, --tracks and --objective masked exclude each other: give one of them"
        )
    if fasta and n_targets == 0:
        raise ConfigError(
            "no targets for --fasta: give --motifs FILE, --tracks FILE or --objective masked"
        )
    if tracks is not None and not fasta:
        raise ConfigError("--tracks needs the sequences of its RNAs: --fasta FILE")
