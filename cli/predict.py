"""`mirnagraph predict`: compartments of reference and new RNAs."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from cli.common import (
    FastaOption,
    IupacOption,
    LanguageModelOption,
    QuietOption,
    ThreadsOption,
    say,
    show_table,
)
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from fusion.models.predict import Predictions

EPILOG = "Example: `mirnagraph predict --run runs/mine --fasta new.fa --out new.tsv`"

FORMATS = ("tsv", "json", "table")

RunOption = Annotated[
    Path | None,
    Option(
        help="Finished run of `train` or `seq train`, model folder, or hf://OWNER/NAME.",
        show_default="the newest run under ./runs",
    ),
]

IdsOption = Annotated[
    Path | None,
    Option(help="File of names of reference RNAs, one a line (or first column of a TSV)."),
]

RnaOption = Annotated[
    list[str] | None,
    Option(help="Name of a reference RNA; repeatable.", show_default="all reference RNAs"),
]

OutOption = Annotated[Path | None, Option(help="Output file.", show_default="the terminal")]

FormatOption = Annotated[
    str | None,
    Option(
        "--format",
        help="tsv, json or table.",
        show_default="json for a file .json, tsv for other files, table in a terminal",
    ),
]

RnaTypeOption = Annotated[
    str | None,
    Option(
        help="RNA type of all new RNAs, for a model of several types (`seq train` or "
        "`train --sets`)."
    ),
]


def predict(
    run: RunOption = None,
    fasta: FastaOption = None,
    ids: IdsOption = None,
    rna: RnaOption = None,
    out: OutOption = None,
    format_: FormatOption = None,
    rna_type: RnaTypeOption = None,
    language_model: LanguageModelOption = None,
    iupac: IupacOption = "error",
    workers: ThreadsOption = 2,
    quiet: QuietOption = False,
) -> None:
    """Predict the compartments of RNAs: probability, uncertainty, call, evidence, warning.

    Needs a finished run or a model; a model of `seq train` also needs --fasta.

    RNAs of the networks get their out-of-fold prediction. A new sequence is predicted from its
    similarity to the reference RNAs.
    """
    from fusion.api import predict as predict_rnas
    from fusion.api import read_names
    from fusion.explain.ranking import newest_run
    from fusion.export.load import load
    from mirnagraph.errors import ConfigError

    if sum(given is not None for given in (fasta, ids, rna or None)) > 1:
        raise ConfigError("--fasta, --ids and --rna exclude each other: give one of them")
    if format_ is not None and format_ not in FORMATS:
        raise ConfigError(f"--format is {format_!r}, expected {', '.join(FORMATS)}")
    folder = run or newest_run()
    model = load(folder, language_model=language_model)
    names = rna or (read_names(ids) if ids is not None else None)
    predictions = predict_rnas(
        model, names, fasta=fasta, iupac=iupac, rna_type=rna_type, workers=workers
    )
    say(f"Model of {folder}: {_counts(predictions)}")
    _write(predictions, out, format_ or _default_format(out))
    if out is not None:
        say(f"Written to {out}")


def _counts(predictions: Predictions) -> str:
    """Numbers of RNAs by the model that predicted them, and of warnings."""
    about = predictions.about
    by_source = about["source"].value_counts()
    sources = ", ".join(f"{n} {source}" for source, n in by_source.items())
    n_warnings = int((about["warning"] != "").sum())
    warnings = f", {n_warnings} with a warning" if n_warnings else ""
    n_rnas = counted(len(about), "RNA")
    return f"{n_rnas} ({sources}){warnings}"


def _default_format(out: Path | None) -> str:
    if out is not None:
        return "json" if out.suffix == ".json" else "tsv"
    return "table" if sys.stdout.isatty() else "tsv"


def _write(predictions: Predictions, out: Path | None, format_: str) -> None:
    from mirnagraph.io import write_text, write_tsv

    if format_ == "tsv":
        table = predictions.to_frame()
        if out is not None:
            write_tsv(table, out)
        else:
            table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.6g")
        return
    if format_ == "table" and out is None:
        show_table(*_short(predictions))
        return
    if format_ == "json":
        text = json.dumps(predictions.to_dicts(), indent=2) + "\n"
    else:
        header, rows = _short(predictions)
        lines = ["  ".join(cells) for cells in (header, *rows)]
        text = "\n".join(lines) + "\n"
    if out is not None:
        write_text(out, text)
    else:
        sys.stdout.write(text)


def _short(predictions: Predictions) -> tuple[list[str], list[list[str]]]:
    """Header and cells for a terminal: probability ± uncertainty, marked where called."""
    rows = []
    for number, (name, about) in enumerate(predictions.about.iterrows()):
        values = zip(
            predictions.probabilities[number],
            predictions.uncertainty[number],
            predictions.called[number],
            strict=True,
        )
        cells = [_cell(*value) for value in values]
        details = [str(about[column]) for column in ("source", "modalities", "warning")]
        rows.append([str(name), *cells, *details])
    return ["RNA", *predictions.compartments, "predicted by", "modalities", "warning"], rows


def _cell(probability: float, uncertainty: float, is_called: bool) -> str:
    if math.isnan(probability):
        return "-"
    text = f"{probability:.2f}"
    if not math.isnan(uncertainty):
        text += f"±{uncertainty:.2f}"
    return f"{text} *" if is_called else text
