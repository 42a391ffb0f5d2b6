"""`mirnagraph predict`: compartments of any RNA, known or new, by the model of a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import IupacOption, QuietOption

if TYPE_CHECKING:
    from fusion.models.predict import Predictions

EPILOG = "Example: `mirnagraph predict --run runs/mine --fasta new.fa --out new.tsv`, or `mirnagraph predict --rna hsa-mir-21`"

FORMATS = ("tsv", "json", "table")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("predict", epilog=EPILOG)(predict)


def predict(
    run: Annotated[
        Path | None,
        typer.Option(
            help="A finished run, a model folder, or hf://OWNER/NAME (default: the newest run under ./runs)."
        ),
    ] = None,
    fasta: Annotated[
        Path | None, typer.Option(help="Sequences, known or new; plain or gzip, T or U.")
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            help="Text file with one name per line (the first column of a table will do)."
        ),
    ] = None,
    rna: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of an RNA that the model knows; may be given several times.",
            show_default="all it knows",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write (default: the terminal).")] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="tsv, json or table.",
            show_default="json for a file that ends in .json, table in a terminal, else tsv",
        ),
    ] = None,
    rna_type: Annotated[
        str | None,
        typer.Option(
            help="Type of all new RNAs, for a model that was told types: of `seq train`, or of `train --sets`."
        ),
    ] = None,
    language_model: Annotated[
        str | None, typer.Option(help="Language model that a sequence tower needs: folder or name.")
    ] = None,
    iupac: IupacOption = "error",
    workers: Annotated[int, typer.Option(min=1, help="Threads; changes no number.")] = 2,
    quiet: QuietOption = False,
) -> None:
    """Say in which compartments RNAs sit: probability, uncertainty, call, what there was to read, and when to doubt it.

    An RNA of the networks is answered out-of-fold: by the model that did not train on it. A sequence that is new joins by its likeness to known ones.
    """
    from cli.common import say
    from fusion.api import predict as answer
    from fusion.explain.ranking import newest_run
    from fusion.export.load import load
    from mirnagraph.errors import ConfigError

    if sum(given is not None for given in (fasta, ids, rna or None)) > 1:
        raise ConfigError("--fasta, --ids and --rna exclude each other: give one of them")
    if format_ is not None and format_ not in FORMATS:
        raise ConfigError(f"--format is {format_!r}, expected {', '.join(FORMATS)}")
    folder = run or newest_run()
    model = load(folder, language_model=language_model)
    names = [*(rna or []), *(_names(ids) if ids else [])] or None
    found = answer(model, names, fasta=fasta, iupac=iupac, rna_type=rna_type, workers=workers)
    sources = found.about["source"].value_counts()
    doubted = int((found.about["warning"] != "").sum())
    counted = ", ".join(f"{n} {source}" for source, n in sources.items())
    say(
        f"Model of {folder}: {len(found.about)} RNAs ({counted}){f', {doubted} with a warning' if doubted else ''}",
        quiet=quiet,
    )
    _write(found, out, format_)
    if out is not None:
        say(f"Written to {out}", quiet=quiet)


def _names(path: Path) -> list[str]:
    from mirnagraph.errors import InputError
    from mirnagraph.io import read_text

    lines = [line.split("\t")[0].strip() for line in read_text(path).splitlines()]
    names = [
        name for number, name in enumerate(lines) if name and not (number == 0 and name == "rna_id")
    ]
    if not names:
        raise InputError("no name in the file", file=path, expected="one name per line")
    return names


def _write(found: Predictions, out: Path | None, format_: str | None) -> None:
    import sys

    from cli.common import show_table
    from mirnagraph.io import write_text, write_tsv

    chosen = format_ or (
        "json"
        if out is not None and out.suffix == ".json"
        else "tsv"
        if out is not None or not sys.stdout.isatty()
        else "table"
    )
    if chosen == "json":
        text = json.dumps(found.to_dicts(), indent=2) + "\n"
        if out is None:
            sys.stdout.write(text)
        else:
            write_text(out, text)
        return
    table = found.to_frame()
    if chosen == "tsv":
        if out is None:
            table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.6g")
        else:
            write_tsv(table, out)
        return
    header, rows = _short(found)
    if out is None:
        show_table(header, rows)
    else:
        write_text(out, "\n".join("  ".join(cells) for cells in (header, *rows)) + "\n")


def _short(found: Predictions) -> tuple[list[str], list[list[str]]]:
    """What fits a terminal: probability ± uncertainty with a mark where called, what was read, and the warning."""
    rows = []
    for number, (name, about) in enumerate(found.about.iterrows()):
        cells = []
        for column in range(len(found.compartments)):
            uncertainty = found.uncertainty[number, column]
            probability = found.probabilities[number, column]
            said = (
                "-"
                if probability != probability
                else f"{probability:.2f}"
                + (f"±{uncertainty:.2f}" if uncertainty == uncertainty else "")
            )
            cells.append(f"{said} *" if found.called[number, column] else said)
        rows.append(
            [
                str(name),
                *cells,
                str(about["source"]),
                str(about["modalities"]),
                str(about["warning"]),
            ]
        )
    return ["RNA", *found.compartments, "answered by", "read", "warning"], rows
