"""`mirnagraph explain`: evidence for the predictions of a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from cli.common import (
    FastaOption,
    IupacOption,
    OverwriteOption,
    QuietOption,
    RunNetworksOption,
    ThreadsOption,
    progress_bars,
    say,
)

if TYPE_CHECKING:
    from fusion.explain.result import Explanation

EPILOG = "Example: `mirnagraph explain --rna hsa-mir-21 --compartment Nucleus --out why`"

FORMATS = ("text", "json")

RunOption = Annotated[
    Path | None,
    Option(
        help="Finished run of `train`, or its model folder.",
        show_default="the newest run under ./runs",
    ),
]

RnaOption = Annotated[
    list[str] | None,
    Option(
        help="Name of an RNA, as of `predict`; repeatable.",
        show_default="the one predicted most surely",
    ),
]

CompartmentOption = Annotated[
    list[str] | None,
    Option(
        help="Compartment to explain; repeatable.",
        show_default="those called, else the most probable",
    ),
]

FormatOption = Annotated[
    str,
    Option("--format", help="text or json (one object, or a list of them for several RNAs)."),
]

OutOption = Annotated[
    Path | None,
    Option(
        help="Output folder of explanation.txt, .json and .png (in a folder per RNA for several "
        "RNAs); must be empty unless --overwrite.",
        show_default="the terminal",
    ),
]

RnaTypeOption = Annotated[
    str | None, Option(help="RNA type of all new RNAs, for a model of `train --sets`.")
]


def explain(
    run: RunOption = None,
    rna: RnaOption = None,
    fasta: FastaOption = None,
    compartment: CompartmentOption = None,
    networks: RunNetworksOption = None,
    format_: FormatOption = "text",
    out: OutOption = None,
    rna_type: RnaTypeOption = None,
    iupac: IupacOption = "error",
    workers: ThreadsOption = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Explain predictions: modalities, tokens, partners, neighbours and sequence windows.

    Needs a finished run of `train`, and its networks for partners and neighbours.

    The whole model predicts again without each modality. Attention and integrated gradients show
    how its parts read their tokens.
    """
    from fusion.explain.ranking import newest_run
    from fusion.explain.run import explain_run, find_queries, open_fusion_model, write_explanations
    from mirnagraph.errors import ConfigError
    from mirnagraph.io import check_output_folder

    if fasta is not None and rna:
        raise ConfigError("--fasta and --rna exclude each other: give one of them")
    if format_ not in FORMATS:
        raise ConfigError(f"--format is {format_!r}, expected {' or '.join(FORMATS)}")
    if out is not None:
        check_output_folder(out, overwrite=overwrite)
    folder = run or newest_run()
    model = open_fusion_model(folder)
    with progress_bars(shown=out is not None) as progress:
        queries = find_queries(model, rna or (), fasta, iupac=iupac, rna_type=rna_type)
        explanations = explain_run(
            folder,
            model,
            queries,
            compartment or (),
            networks=networks,
            rna_type=rna_type,
            workers=workers,
            progress=progress,
        )
    if not rna and fasta is None:
        name = queries[0].name
        say(f"Model of {folder}: {name} is the RNA predicted most surely (--rna)")
    if out is None:
        _print(explanations, format_)
        return
    write_explanations(explanations, out, overwrite=overwrite)
    where = " per RNA" if len(explanations) > 1 else ""
    files = f"explanation.txt, explanation.json, explanation.png{where}"
    say(f"Written to {out}: {files}")


def _print(explanations: list[Explanation], format_: str) -> None:
    if format_ == "text":
        texts = [explanation.to_text() for explanation in explanations]
        sys.stdout.write("\n".join(texts))
        return
    values = [explanation.to_dict() for explanation in explanations]
    shown = values[0] if len(values) == 1 else values
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")
