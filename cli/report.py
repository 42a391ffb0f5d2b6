"""`mirnagraph report`: one HTML file on finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cli.common import OverwriteOption, QuietOption, RunNetworksOption
from cli.messages import progress_bars, say

EPILOG = "Example: `mirnagraph report runs/mine --figures figures`"

RunsArgument = Annotated[
    list[Path] | None,
    Argument(
        help="Run folders of `train` or `seq train`; several are compared.",
        show_default="the newest run under ./runs",
    ),
]

OutOption = Annotated[Path, Option(help="Output page, HTML.")]

IncludeOption = Annotated[
    list[Path] | None,
    Option(
        help="Folder of `ablate`, `audit`, `tune`, `train --temporal` or `seq explain` to show; "
        "repeatable. Those inside a run folder are shown anyway."
    ),
]

FiguresOption = Annotated[
    Path | None,
    Option(
        help="Folder for every figure as SVG and PDF, and its data as TSV; must be empty unless "
        "--overwrite."
    ),
]


def report(
    runs: RunsArgument = None,
    out: OutOption = Path("report.html"),
    networks: RunNetworksOption = None,
    include: IncludeOption = None,
    figures: FiguresOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a page on finished runs: results, curves, calibration, baselines, networks.

    Needs a finished run, and the extra `report`. The page is one file that loads nothing from
    outside.
    """
    from fusion.explain.ranking import newest_run
    from fusion.report.page import write_report

    with progress_bars() as progress:
        charts = write_report(
            runs or [newest_run()],
            out,
            networks=networks,
            include=include or (),
            figures=figures,
            overwrite=overwrite,
            progress=progress,
        )
    say(f"Written to {out}: {out.stat().st_size / 1e6:.1f} MB, {len(charts)} figures")
    if figures is not None:
        say(f"Written to {figures}: each figure as SVG and PDF, its data as TSV")
