"""Options that several commands share, said in the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NetworksOption = Annotated[Path | None, typer.Option(help="Folder of `build-networks` (default: ./networks where it exists, else the demo).")]
ConfigOption = Annotated[Path | None, typer.Option(help="TOML file with settings that override the defaults (or the preset).")]
FoldOption = Annotated[int | None, typer.Option(min=2, help="Number of (outer) folds; a fold file brings its own.", show_default="10")]
SplitOption = Annotated[
    str | None, typer.Option(help="random, family (relatives stay together), or a TSV file: rna_id, fold (-1: only trained on).", show_default="random")
]
ProtocolOption = Annotated[str | None, typer.Option(help="Which protocol of a fold file that holds several.")]
RnasOption = Annotated[str | None, typer.Option(help="all (RNAs without annotation count as negatives) or located.", show_default="all")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of every random step (of the first one, where there are several).", show_default="0")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes side by side; changes no number.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is in the output folder.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Keep a finished one as it is (an unfinished one is always gone on with).")]
IupacOption = Annotated[str, typer.Option(help="Letters of several bases (R, Y …): error, or n to read them as N.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
