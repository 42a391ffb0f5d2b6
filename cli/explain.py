"""`mirnagraph explain`: evidence for the predictions of a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from cli.common import (
    FastaOption,
    IupacOption,
    OverwriteOption,
    QuietOption,
    RunNetworksOption,
    ThreadsOption,
    TrainedRunOption,
)
from cli.messages import is_bar_shown, progress_bars, say
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from fusion.explain.result import Explanation
    from mirnagraph.names import Match

EPILOG = "Example: `mirnagraph explain hsa-mir-21 --compartment Nucleus --out why`"

FORMATS = ("text", "json")

NamesArgument = Annotated[
    list[str] | None,
    Argument(
        metavar="NAME",
        help="Names of RNAs to explain, as of `predict`.",
        show_default="the one predicted most surely",
    ),
]

RnaOption = Annotated[
    list[str] | None, Option(help="Name of an RNA; repeatable; the same as NAME.")
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

FullOption = Annotated[
    bool,
    Option(
        "--full",
        help="Text with every table: modalities, tokens, kernel model, graph tower. JSON has them "
        "always.",
    ),
]

StrictOption = Annotated[
    bool,
    Option("--strict", help="End with exit code 3 where a name is unknown, and write nothing."),
]

RnaTypeOption = Annotated[
    str | None, Option(help="RNA type of all new RNAs, for a model of `train --sets`.")
]


def explain(
    names: NamesArgument = None,
    run: TrainedRunOption = None,
    rna: RnaOption = None,
    fasta: FastaOption = None,
    compartment: CompartmentOption = None,
    networks: RunNetworksOption = None,
    format_: FormatOption = "text",
    full: FullOption = False,
    strict: StrictOption = False,
    out: OutOption = None,
    rna_type: RnaTypeOption = None,
    iupac: IupacOption = "error",
    workers: ThreadsOption = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Explain predictions: what speaks for a compartment, and what against it.

    Needs nothing: without a run, the model that ships explains human miRNAs, with their partners
    and neighbours. Those of another run need its networks, unless they were exported with it.

    The whole model predicts again without each source (targets, diseases, drugs, relatives,
    expression, sequence, how well studied): where the probability falls, the source speaks for the
    compartment. Partners and neighbours come with PMIDs, the sequence with a sign per nucleotide.
    """
    from fusion.default_model import default_model
    from fusion.explain.run import explain_run, open_fusion_model, split_queries, write_explanations
    from fusion.models.saved import FORMAT
    from mirnagraph.errors import ConfigError

    rna = [*(names or ()), *(rna or ())]
    if fasta is not None and rna:
        raise ConfigError("--fasta and --rna exclude each other: give one of them")
    if format_ not in FORMATS:
        raise ConfigError(f"--format is {format_!r}, expected {' or '.join(FORMATS)}")
    folder = run or default_model(rna, sequences=fasta is not None, model=FORMAT)
    model = open_fusion_model(folder)
    with progress_bars(shown=is_bar_shown(out)) as progress:
        queries, unanswered = split_queries(
            model, rna, fasta, strict=strict, iupac=iupac, rna_type=rna_type
        )
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
    _say_unanswered(unanswered)
    if out is None:
        _print(explanations, unanswered, format_, full=full)
        return
    write_explanations(explanations, out, overwrite=overwrite, full=full)
    where = " per RNA" if len(explanations) > 1 else ""
    files = f"explanation.txt, explanation.json, explanation.png{where}"
    say(f"Written to {out}: {files}")


def _say_unanswered(unanswered: list[Match]) -> None:
    if unanswered:
        names = ", ".join(match.query for match in unanswered)
        say(f"{counted(len(unanswered), 'name')} without an explanation: {names}")


def _print(
    explanations: list[Explanation], unanswered: list[Match], format_: str, *, full: bool
) -> None:
    """Print explanations, then the names without one and why."""
    from fusion.models.predict import QUERY_COLUMNS

    if format_ == "text":
        texts = [explanation.to_text(full=full) for explanation in explanations]
        texts += [f"{match.query}: {match.note}\n" for match in unanswered]
        sys.stdout.write("\n".join(texts))
        return
    values = [explanation.to_dict() for explanation in explanations]
    for match in unanswered:
        names = (match.query, "", match.accession, match.kind)
        reason: dict[str, object] = {"reason": match.note}
        values.append(dict(zip(QUERY_COLUMNS, names, strict=True)) | reason)
    shown = values[0] if len(values) == 1 else values
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")
