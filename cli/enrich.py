"""`mirnagraph enrich`: compartments over-represented in a list of RNAs."""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from cli.common import QuietOption, RunNetworksOption, TrainedRunOption, show_table
from cli.limits import LARGEST_SEED
from cli.messages import progress_bars, say
from cli.predict import TABLE, StrictOption, check_format

if TYPE_CHECKING:
    import pandas as pd

EPILOG = "Example: `mirnagraph enrich regulated.txt --background measured.txt --plot bars.png`"

ListArgument = Annotated[
    Path,
    Argument(
        metavar="LIST",
        help="Table whose first column names RNAs: TSV or CSV, header or none; - for the standard "
        "input.",
        show_default=False,
    ),
]

BackgroundOption = Annotated[
    Path | None,
    Option(
        help="Table of the RNAs to compare with, such as all that were measured.",
        show_default="all RNAs of the model's networks",
    ),
]

PlotOption = Annotated[Path | None, Option(help="Output figure of the log odds ratios, PNG.")]

OutOption = Annotated[Path | None, Option(help="Output table.", show_default="the terminal")]

FormatOption = Annotated[
    str | None,
    Option(
        "--format",
        help="tsv, csv, jsonl, json, parquet, or table (for a terminal).",
        show_default="by the suffix of --out; tsv when piped, table in a terminal",
    ),
]

PermutationsOption = Annotated[int, Option(min=99, max=10_000_000, help="Number of permutations.")]

SeedOption = Annotated[int, Option(min=0, max=LARGEST_SEED, help="Seed of the permutations.")]


def enrich(
    names: ListArgument,
    background: BackgroundOption = None,
    run: TrainedRunOption = None,
    networks: RunNetworksOption = None,
    permutations: PermutationsOption = 9_999,
    plot: PlotOption = None,
    out: OutOption = None,
    format_: FormatOption = None,
    strict: StrictOption = False,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Find the compartments over-represented in a list of RNAs, by annotation and by prediction.

    Needs a list of names; without a run, the model that ships answers for human miRNAs.

    Compared with all RNAs (Fisher's exact test), and with equally well studied ones (permutations
    within deciles of popularity). q: Benjamini-Hochberg over compartments.
    """
    from fusion.default_model import default_model
    from fusion.enrichment import enrich as enrich_names
    from fusion.enrichment import find_names, popularity_of_run, require_found
    from fusion.enrichment_figure import draw_enrichment
    from fusion.explain.run import open_fusion_model
    from fusion.models.saved import FORMAT
    from mirnagraph.errors import ConfigError
    from mirnagraph.reading.text import STDIN, file_title
    from mirnagraph.runs.markdown import save_figure
    from mirnagraph.runs.table_file import FrameRows, table_file
    from mirnagraph.sources.name_list import place_of_names, read_name_lines, read_name_list

    format_ = check_format(format_, out)
    if str(names) == STDIN == str(background):
        raise ConfigError("the list and --background cannot both be the standard input")
    lines = read_name_lines(names)
    members = [name for _, name in lines]
    others = None if background is None else read_name_list(background)
    folder = run or default_model(members, model=FORMAT)
    model = open_fusion_model(folder)
    matched = find_names(model, members)
    if strict or not len(matched.rows):
        require_found(matched, partial(place_of_names, lines=lines, file=file_title(names)))
    studied = popularity_of_run(model, folder, networks)
    with progress_bars():
        result = enrich_names(
            model, members, others, studied=studied, n_permutations=permutations, seed=seed
        )
    for sentence in result.sentences():
        say(sentence)
    if format_ == TABLE:
        show_table(*_short(result.table), f"Model of {folder}")
    else:
        with table_file(out, format_) as write:
            write(FrameRows(result.table))
    if plot is not None:
        save_figure(draw_enrichment(result), plot)
        say(f"Figure: {plot}")
    if out is not None:
        say(f"Written to {out}")
    sys.stdout.flush()


def _short(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells for a terminal."""
    rows = []
    for row in table.to_dict("records"):
        digits = 1 if row["measure"] == "mean probability" else 0
        ratio = "-"
        if not math.isnan(row["odds_ratio"]):
            ratio = f"{row['odds_ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        rows.append(
            [
                str(row["compartment"]),
                str(row["measure"]),
                str(row["background"]),
                f"{row['in_list']:.{digits}f} of {row['n_list']}",
                f"{row['expected']:.1f}",
                ratio,
                f"{row['p']:.2g}",
                f"{row['q']:.2g}",
            ]
        )
    header = ["compartment", "measure", "against", "list", "expected", "odds ratio", "p", "q"]
    return header, rows
