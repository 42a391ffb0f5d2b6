"""`mirnagraph seq pretrain`: fit the encoder of a tower to signals or hidden letters of sequences that need no labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import (
    ConfigOption,
    IupacOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
)

if TYPE_CHECKING:
    import pandas as pd

    from seqtower.pretraining.tracks import Tracks

EPILOG = "Example: `mirnagraph seq pretrain --fasta any.fa --motifs rbp.meme --out enc`, then `mirnagraph seq train --tower deeplocrna --pretrained enc …`"


def pretrain(
    fasta: Annotated[
        list[Path] | None,
        typer.Option(
            help="Sequences, plain or gzip, no labels; may be given several times. Without it: made-up RNAs with planted words.",
            show_default="demo",
        ),
    ] = None,
    motifs: Annotated[
        Path | None, typer.Option(help="Learn where motifs could be bound: a file in MEME format.")
    ] = None,
    tracks: Annotated[
        Path | None,
        typer.Option(
            help="Learn measured signals: TSV with rna_id, start, end (0-based, end excluded) and one column of numbers per protein."
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="tracks (of --motifs or --tracks), or masked to learn letters that are hidden."
        ),
    ] = "tracks",
    tower: Annotated[
        str,
        typer.Option(
            help="Preset: deeplocrna; rnaloc-lm too. The others pool too early or read words."
        ),
    ] = "deeplocrna",
    group: Annotated[
        str | None,
        typer.Option(
            help="cluster keeps near-copies on one side of what is held out; none does not, and is faster.",
            show_default="cluster",
        ),
    ] = None,
    config: ConfigOption = None,
    iupac: IupacOption = "error",
    seed: SeedOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder (default: runs/pretrained-TOWER-seedN).")
    ] = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
) -> None:
    """Pre-train a tower's encoder without labels, for `seq train --pretrained`.

    Sequences of RNAs that are tested later may be among these; that run is then transductive for sequences. Labels are never read.
    """
    from cli.common import progress_bars, say, show_table
    from mirnagraph.errors import ConfigError
    from seqtower.config import seq_config
    from seqtower.pretraining.pretrain import MASKED, TRACKS, PretrainConfig
    from seqtower.pretraining.pretrain import pretrain as run_pretraining

    settings = PretrainConfig(objective, model=seq_config(tower, config, seed=seed, group=group))
    if (motifs is not None) + (tracks is not None) + (objective == MASKED) > 1:
        raise ConfigError(
            "one thing is learned at a time: --motifs, --tracks or --objective masked"
        )
    if objective == TRACKS and fasta and motifs is None and tracks is None:
        raise ConfigError(
            "say what is to be learned: --motifs FILE, --tracks FILE or --objective masked"
        )
    if tracks is not None and not fasta:
        raise ConfigError("--tracks needs the sequences of its RNAs: --fasta FILE")
    records = _records(fasta or [], iupac)
    signal, sources = (None, {}) if objective == MASKED else _signal(records, motifs, tracks)
    target = out or Path("runs") / f"pretrained-{tower}-seed{settings.model.seed}"
    synthetic = "" if fasta else " (made-up data that shows the way, not biology)"
    what = "hidden letters" if signal is None else f"{len(signal.names)} tracks ({signal.kind})"
    say(f"{len(records)} RNAs{synthetic}, {what}; no labels are read", quiet=quiet)
    with progress_bars(quiet=quiet) as progress:
        figures, run = run_pretraining(
            records,
            signal,
            settings,
            target,
            sources=sources,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if figures is None:
        say(f"The run in {run.path} is finished and was kept.", quiet=quiet)
        return
    rows = [
        [str(row.track), str(row.measure), f"{row.held_out:.3f}", f"{row.first_order:.3f}"]
        for row in figures.itertuples()
    ]
    show_table(
        ["track", "measure", "held-out RNAs", "two letters alone"], rows, "What the encoder learned"
    )
    say(
        f"Written to {run.path}: encoder/, figures.tsv; start from it with `mirnagraph seq train --tower {tower} --pretrained {run.path}`",
        quiet=quiet,
    )


def _records(files: list[Path], iupac: str) -> pd.DataFrame:
    """Records of all files in one table; one that stands in two files counts once."""
    import pandas as pd

    from mirnagraph.errors import InputError
    from mirnagraph.sources.fasta import read_fasta
    from seqtower.data.synthetic import planted_sequences

    if not files:
        data = planted_sequences(150, longest=300).data
        return pd.DataFrame({"id": list(data.index.ids), "sequence": list(data.sequences)})
    records = pd.concat(
        [read_fasta(path, iupac=iupac).assign(file=str(path)) for path in files], ignore_index=True
    )
    records = records.drop_duplicates(["id", "sequence"], ignore_index=True)
    twice = records[records["id"].duplicated()]
    if len(twice):
        one = twice.iloc[0]
        raise InputError(
            "same id with two sequences",
            file=one["file"],
            line=int(one["line"]),
            column=2,
            found=one["id"],
            expected="an id of no other file",
        )
    return records[["id", "sequence"]]


def _signal(
    records: pd.DataFrame, motifs: Path | None, tracks: Path | None
) -> tuple[Tracks, dict[str, str]]:
    """Tracks and the sha256 of what they were made from."""
    from mirnagraph.io import sha256_of
    from seqtower.data.motifs import read_meme
    from seqtower.data.synthetic import planted_motifs
    from seqtower.pretraining.tracks import motif_tracks, read_tracks

    sequences = list(records["sequence"])
    if tracks is not None:
        return read_tracks(tracks, list(records["id"]), sequences), {"tracks": sha256_of(tracks)}
    if motifs is not None:
        return motif_tracks(read_meme(motifs), sequences), {"motifs": sha256_of(motifs)}
    return motif_tracks(planted_motifs(), sequences), {}
