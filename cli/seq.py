"""`mirnagraph seq …`: train a sequence tower on labelled RNAs, and predict with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import seq_pretrain
from cli.common import (
    ConfigOption,
    IupacOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    WorkersOption,
)

EPILOG = "Example: `mirnagraph seq train --fasta lncrna.fa --labels lncrna.tsv --label class --out runs/lncrna`"

RnaTypeOption = Annotated[
    str | None,
    typer.Option(
        help="Type of all RNAs: miRNA, precursor, lncRNA, mRNA, snoRNA, circRNA or other.",
        show_default="the tower is not told",
    ),
]

LanguageModelOption = Annotated[
    str | None,
    typer.Option(
        help="Where the language model of the tower is on this machine: a folder, a name, or RNA-FM's file.",
        show_default="as in training",
    ),
]

app = typer.Typer(
    help="Sequence towers: RNAs of any length to compartments, trained, compared and explained.",
    no_args_is_help=True,
)


app.command("pretrain", epilog=seq_pretrain.EPILOG)(seq_pretrain.pretrain)


def register(main: typer.Typer) -> None:
    """Add the commands to the app."""
    main.add_typer(app, name="seq")


@app.command("train", epilog=EPILOG)
def train(
    fasta: Annotated[
        Path | None,
        typer.Option(help="Sequences, plain or gzip; T or U. Without it: the RNAs of --data."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="TSV, ids in the first column: 0/1 per compartment, a column of classes, or fractions that sum to 1."
        ),
    ] = None,
    labels_in_header: Annotated[
        str | None,
        typer.Option(
            help="Instead of --labels: compartments of the 0/1 digits that headers start with, as in >1101000,Gene_ID:…,Gene_Name:…; with commas."
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="Without --fasta: demo (made up, a word of its own leads to each compartment), mirna1041, or a dataset folder."
        ),
    ] = "demo",
    sets: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with several sets for one model: tables [sets.NAME] with fasta, labels or labels_in_header, label, type, group, rename."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Label column; may be given several times.", show_default="all but the first"
        ),
    ] = None,
    type_column: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Column of --labels with the type of each RNA, which the tower is then told.",
        ),
    ] = None,
    rna_type: RnaTypeOption = None,
    tower: Annotated[
        str,
        typer.Option(
            help="Preset: rnatracker, rnatracker-structure, deeplocrna, el-rmlocnet, rnaloc-lm, rnaloc-lm-pretrained, hybrid or mirna."
        ),
    ] = "rnatracker",
    pretrained: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `mirnagraph seq pretrain`, whose encoder every fold starts from.",
            show_default="a random start",
        ),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(min=2, help="Number of folds.", show_default="5")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="What stays together in folds: cluster (near-copies by sequence), none, or a column of the labels (family with --data or --labels-in-header).",
            show_default="cluster",
        ),
    ] = None,
    config: ConfigOption = None,
    iupac: IupacOption = "error",
    seed: SeedOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder (default: runs/NAME made of data, tower and seed)."),
    ] = None,
    workers: WorkersOption = 2,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    no_baselines: Annotated[
        bool,
        typer.Option(
            "--no-baselines",
            help="Leave the baselines out (they take minutes on thousands of RNAs).",
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Cross-validate a tower beside k-mer baselines, near-copies kept together, and fit a final model."""
    from cli.common import progress_bars, say, show_table
    from seqtower.config import seq_config
    from seqtower.data.load import Source, training_data

    settings = seq_config(
        tower,
        config,
        seed=seed,
        n_folds=fold,
        group=group,
        pretrained=None if pretrained is None else str(pretrained),
    )
    known, name, synthetic = training_data(
        Source(
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
    )
    lengths = known.lengths
    what = f"{len(known)} RNAs of {lengths.min()} to {lengths.max()} nt, {len(known.compartments)} compartments ({known.kind})"
    say(
        f"{name}{' (made-up data that shows the way, not biology)' if synthetic else ''}: {what}; {len(known.left_out)} ids left out",
        quiet=quiet,
    )
    from mirnagraph.runs.report import baseline_rows, few_folds, metric_rows, verdict
    from seqtower.run import comparison_table, model_notes, parts_of_model, run_seq

    target = out or Path("runs") / f"{name}-{settings.preset}-seed{settings.seed}"
    with progress_bars(quiet=quiet) as progress:
        how: dict[str, Any] = {
            "baselines": not no_baselines,
            "workers": workers,
            "overwrite": overwrite,
            "resume": resume,
        }
        result, run = run_seq(
            known, settings, target, name=name, synthetic=synthetic, progress=progress, **how
        )
    if result is None:
        say(f"The run in {run.path} is finished and was kept.", quiet=quiet)
        return
    table = comparison_table(result)
    show_table(*metric_rows(result), f"{result.folds.n_folds} folds, tower {settings.tower}")
    show_table(*baseline_rows(table), "Compared with baselines")
    lines = [few_folds(result), *verdict(table, parts_of_model(result)), *model_notes(result)]
    for line in filter(None, lines):
        say(line, quiet=quiet)
    say(f"Written to {run.path}: predictions.tsv, metrics.tsv, report.md, model/", quiet=quiet)


@app.command(
    "predict",
    epilog="Example: `mirnagraph seq predict --run runs/lncrna --fasta mine.fa --out mine.tsv`",
)
def predict(
    run: Annotated[
        Path,
        typer.Option(help="Run folder of `mirnagraph seq train`, or an exported model of one."),
    ],
    fasta: Annotated[Path, typer.Option(help="Sequences, plain or gzip; T or U.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="TSV to write: id, one column per compartment, calls (default: the terminal)."
        ),
    ] = None,
    rna_type: RnaTypeOption = None,
    iupac: IupacOption = "error",
    language_model: LanguageModelOption = None,
    quiet: QuietOption = False,
) -> None:
    """Predict compartments of sequences with the final model of a run."""
    import pandas as pd

    from cli.common import say, show_table
    from fusion.export.load import open_tower
    from mirnagraph.evaluation.metrics import FRACTIONS
    from mirnagraph.io import write_tsv
    from mirnagraph.sources.fasta import read_fasta
    from seqtower.predict import remarks

    model = open_tower(run, language_model=language_model)
    model = model if rna_type is None else model.of_type(rna_type)
    records = read_fasta(fasta, iupac=iupac)
    said = model.predict(list(records["sequence"]))
    for remark in remarks(list(records["sequence"]), model.config):
        say(remark, quiet=quiet)
    table = pd.DataFrame(said, columns=list(model.compartments))
    table.insert(0, "id", list(records["id"]))
    if model.kind != FRACTIONS:
        table["called"] = [
            ";".join(c for c, yes in zip(model.compartments, row, strict=True) if yes)
            for row in said >= model.thresholds
        ]
    if out is not None:
        write_tsv(table, out)
        say(f"Written to {out}: {len(table)} RNAs", quiet=quiet)
        return
    show_table(
        [str(c) for c in table.columns],
        [
            [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row]
            for row in table.to_numpy(dtype=object).tolist()
        ],
    )


@app.command(
    "explain",
    epilog="Example: `mirnagraph seq explain --run runs/lncrna --fasta mine.fa --rna MALAT1 --out why`",
)
def explain(
    run: Annotated[
        Path,
        typer.Option(help="Run folder of `mirnagraph seq train`, or an exported model of one."),
    ],
    fasta: Annotated[Path, typer.Option(help="Sequences, plain or gzip; T or U.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder to write; refused when it holds something, unless --overwrite."),
    ],
    rna: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this RNA; may be given several times.", show_default="all of the file"
        ),
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, help="Nucleotides that are hidden at a time.")
    ] = 100,
    stride: Annotated[
        int, typer.Option(min=1, help="Nucleotides from one hidden window to the next.")
    ] = 10,
    motifs: Annotated[
        Path | None,
        typer.Option(help="Known motifs in MEME format, to compare the tower's filters with."),
    ] = None,
    rna_type: RnaTypeOption = None,
    iupac: IupacOption = "error",
    language_model: LanguageModelOption = None,
    seed: SeedOption = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="One picture per RNA.")] = True,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say why: zipcodes by masking, attributions by integrated gradients, and the motifs that the tower looks for."""
    from cli.common import progress_bars, say
    from fusion.export.load import open_tower
    from mirnagraph.errors import ConfigError
    from mirnagraph.io import check_output_folder
    from mirnagraph.names import suggest
    from mirnagraph.sources.fasta import read_fasta
    from seqtower.data.motifs import read_meme
    from seqtower.interpret.attribution import MaskingConfig
    from seqtower.interpret.report import ExplainConfig, explain_to_folder

    check_output_folder(out, overwrite=overwrite)
    model = open_tower(run, language_model=language_model)
    model = model if rna_type is None else model.of_type(rna_type)
    records = read_fasta(fasta, iupac=iupac)
    wanted = records if not rna else records[records["id"].isin(rna)]
    for name in rna or ():
        if name not in set(records["id"]):
            near = suggest(name, list(records["id"]))
            raise ConfigError(
                f"no RNA {name!r} in {fasta}"
                + (f"; did you mean {', '.join(near)}?" if near else "")
            )
    known = read_meme(motifs) if motifs is not None else []
    config = ExplainConfig(MaskingConfig(window=window, stride=stride), plots=plots)
    with progress_bars(quiet=quiet) as progress:
        found = explain_to_folder(
            model,
            wanted,
            out,
            config=config,
            known=known,
            background=list(records["sequence"]),
            seed=seed or 0,
            overwrite=overwrite,
            progress=progress,
        )
    if model.trees is not None:
        share = f"Trees on descriptors have a share of {model.weight:g} in this model's answer"
        say(
            f"{share}: masking says what moves the whole answer; attributions, words and motifs are the tower's alone",
            quiet=quiet,
        )
    lengths = wanted["sequence"].str.len()
    whole = int((lengths <= window).sum())
    less = max(int(lengths.min()) // 4, 1)
    if whole and less < window:
        hint = f"a smaller --window, such as {less}, and --stride 1 say more"
        say(
            f"{whole} of {len(wanted)} RNAs are no longer than the window of {window} nt, which hides all of each: {hint}",
            quiet=quiet,
        )
    matched = f", {found['matches']} pairs with known ones at q < .05" if known else ""
    say(
        f"{len(wanted)} RNAs: {found['zipcodes']} zipcodes, {found['motifs']} motifs{matched}",
        quiet=quiet,
    )
    pictures = ", a picture of each RNA" if plots else ""
    say(
        f"Written to {out}: {', '.join(sorted(path.name for path in out.iterdir() if path.suffix != '.png'))}{pictures}",
        quiet=quiet,
    )


@app.command(
    "compare",
    epilog="Example: `mirnagraph seq compare runs/rnatracker runs/deeplocrna`, or `mirnagraph seq compare runs/mine --baseline kmer_boosting`",
)
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders of `seq train` on the same RNAs and folds; all are compared with the first."
        ),
    ],
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare each run with this baseline of its own: kmer_logistic, kmer_boosting, descriptor_trees (or tower, its tower alone)."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the table here, as TSV with every digit.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap resamples of the RNAs.")
    ] = 2000,
    seed: SeedOption = None,
) -> None:
    """Differences of AUC and AUPR (Pearson for fractions), pooled over folds, with 95 % intervals."""
    from cli.common import show_table
    from mirnagraph.io import write_tsv
    from mirnagraph.runs.compare import compare_runs

    table = compare_runs(runs, baseline or (), n_resamples=resamples, seed=seed or 0)
    if out is not None:
        write_tsv(table, out)
    rows = [
        [f"{v:.4f}" if isinstance(v, float) else str(v) for v in row]
        for row in table.to_numpy(dtype=object).tolist()
    ]
    show_table([str(c) for c in table.columns], rows, "Run - reference")
