"""`mirnagraph build-dataset`: a dataset from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from cli.common import OverwriteOption, QuietOption, show_frame
from cli.messages import progress_bars, say
from mirnagraph.errors import counted

EPILOG = (
    "Example: `mirnagraph build-dataset mirna1041 --out benchmark`; for tables of your own, "
    "`mirnagraph build-dataset --new my.toml`, then `mirnagraph build-dataset my.toml --out my`"
)

RecipeArgument = Annotated[
    str | None,
    Argument(
        help="Recipe: a TOML file, or a shipped one: mirna1041 (1,041 human miRNAs), circloc "
        "(1,486 circRNAs), mouse (miRBase hairpins, labels of vesicles), rnalight, cldp or "
        "circrna (sequences and labels).",
        show_default=False,
    ),
]

OutOption = Annotated[
    Path | None,
    Option(
        "--out",
        help="Output folder; must be empty unless --overwrite.",
        show_default="the name of the dataset",
    ),
]

NewOption = Annotated[
    bool,
    Option("--new", help="Write a commented recipe to start from to RECIPE, or to stdout."),
]


def build_dataset(
    recipe: RecipeArgument = None,
    out: OutOption = None,
    new: NewOption = False,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build a dataset from sources and rules, such as your own RNAs, labels and tables.

    Needs a recipe, and the files that it names.
    """
    from mirnagraph.errors import ConfigError

    if new:
        if out is not None or overwrite:
            raise ConfigError("--new writes a recipe to RECIPE; omit --out and --overwrite")
        write_new(recipe)
        return
    if recipe is None:
        raise ConfigError(
            "no recipe; expected a TOML file or the name of a shipped recipe; write one to start "
            "from with: mirnagraph build-dataset --new recipe.toml"
        )
    from mirnagraph.evaluation.trainable import is_trainable
    from mirnagraph.recipes.build import build_dataset as build
    from mirnagraph.recipes.build import check_out, write_dataset
    from mirnagraph.recipes.provenance import provenance_table
    from mirnagraph.recipes.recipe import read_recipe
    from mirnagraph.writing.targets import folder_name

    settings = read_recipe(recipe)
    folder = Path(folder_name(settings.name)) if out is None else out
    check_out(settings, folder, overwrite=overwrite)
    with progress_bars() as progress:
        built = build(settings, progress)
    write_dataset(built, folder, overwrite=overwrite)
    show_frame(provenance_table(built.provenance.sources), "Sources")
    dataset = built.dataset
    n_rnas = counted(len(dataset.index), "RNA")
    n_compartments = counted(len(dataset.compartments), "compartment")
    n_located = int(dataset.located.sum())
    say(f"Dataset {dataset.name}: {n_rnas}, {n_compartments}, {n_located} with a compartment")
    for note in built.provenance.notes:
        say(f"Note: {note}")
    if is_trainable(dataset):
        what = "build-networks" if dataset.associations else "seq train"
    else:
        what = "predict" if settings.rnas.uses_mirbase else "seq predict"
    say(f"Written to {folder}. Next: mirnagraph {what} --data {folder}")


def write_new(path: str | None) -> None:
    """Write the commented recipe to a new file, or to stdout."""
    from mirnagraph.errors import InputError
    from mirnagraph.io import write_text
    from mirnagraph.recipes.recipe import TEMPLATE, shipped_text

    text = shipped_text(TEMPLATE)
    if path is None:
        typer.echo(text, nl=False)
        return
    if Path(path).exists():
        what = "a file or folder of that name is there"
        raise InputError(what, file=path, expected="a name of a new file")
    write_text(path, text)
    say(f"Written to {path}. Edit it, then: mirnagraph build-dataset {path} --out FOLDER")
