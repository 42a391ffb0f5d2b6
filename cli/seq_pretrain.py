"""`mirnagraph seq pretrain`: an encoder from unlabelled sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from cli.common import (
    ConfigOption,
    IupacOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    progress_bars,
    say,
    say_kept,
    show_frame,
)
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from seqtower.pretraining.tracks import Tracks

EPILOG = "Example: `mirnagraph seq pretrain --fasta any.fa --motifs rbp.meme --out encoder`"

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

TowerOption = Annotated[
    str,
    Option(
        help="Preset of a tower with one position per nucleotide, e.g. deeplocrna or rnaloc-lm."
    ),
]

GroupOption = Annotated[
    str | None,
    Option(
        help="Groups kept on one side of the validation split: cluster (near-duplicates), or none "
        "(faster).",
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
    tower: TowerOption = "deeplocrna",
    group: GroupOption = None,
    config: ConfigOption = None,
    iupac: IupacOption = "error",
    seed: SeedOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
) -> None:
    """Pre-train the encoder of a tower without labels, for `seq train --pretrained`.

    Needs nothing: without --fasta it uses synthetic RNAs with planted motifs.

    RNAs that are tested later may be among the sequences; that run is then transductive for
    sequences. Labels are never read.
    """
    from seqtower.config import seq_config
    from seqtower.pretraining.load import read_records, read_signal
    from seqtower.pretraining.pretrain import MASKED, PretrainConfig
    from seqtower.pretraining.pretrain import pretrain as run_pretraining

    settings = PretrainConfig(objective, model=seq_config(tower, config, seed=seed, group=group))
    _check_targets(fasta, motifs, tracks, objective)
    records = read_records(fasta or (), iupac=iupac)
    if objective == MASKED:
        signal: Tracks | None = None
        sources: dict[str, str] = {}
        targets = "masked nucleotides"
    else:
        signal, sources = read_signal(records, motifs, tracks)
        n_tracks = counted(len(signal.names), "track")
        targets = f"{n_tracks} ({signal.kind})"
    synthetic = "" if fasta else " (synthetic)"
    n_rnas = counted(len(records), "RNA")
    say(f"{n_rnas}{synthetic}, {targets}; no labels are read")
    target = out or Path("runs") / f"pretrained-{tower}-seed{settings.model.seed}"
    with progress_bars() as progress:
        metrics, run = run_pretraining(
            records,
            signal,
            settings,
            target,
            sources=sources,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if metrics is None:
        say_kept(run.path)
        return
    names = {"held_out": "validation RNAs", "first_order": "dinucleotides alone"}
    shown = metrics[["track", "measure", *names]].rename(columns=names)
    show_frame(shown, "Validation of the encoder", number="{:.3f}".format)
    command = f"mirnagraph seq train --tower {tower} --pretrained {run.path}"
    say(f"Written to {run.path}: encoder/, figures.tsv. Next: {command}")


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
