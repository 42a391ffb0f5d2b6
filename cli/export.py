"""`mirnagraph export` and `mirnagraph pull`: a trained model to hand on, to a folder or to the Hugging Face hub, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.common import OverwriteOption, QuietOption

EPILOG = "Example: `mirnagraph export runs/mine model`, or `mirnagraph export runs/mine --push me/where-mirnas-sit --private`"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("export", epilog=EPILOG)(export)
    app.command(
        "pull",
        epilog="Example: `mirnagraph pull me/where-mirnas-sit model` and then `mirnagraph predict --run model --fasta mine.fa`",
    )(pull)


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="A finished run of `train` or `seq train`; with --push also a folder that this command wrote."
        ),
    ],
    folder: Annotated[
        Path | None, typer.Argument(help="Folder to write; may be left out with --push.")
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Push to the Hugging Face hub, over a model and its card that are there; needs a token that may write.",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private, where it is made.")
    ] = False,
    license: Annotated[
        str | None,
        typer.Option(
            help="Licence for the card, as the hub names it (mit, cc-by-4.0 …).",
            show_default="left open",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a run's model as a folder to hand on: safetensors, JSON and a card in words, every file listed by its hash."""
    import tempfile

    from cli.common import say
    from fusion.export.export import export_run
    from fusion.export.files import CARD, EXPORT
    from fusion.export.hub import HubAddress
    from fusion.export.hub import push as push_folder
    from mirnagraph.errors import ConfigError

    if folder is None and push is None:
        raise ConfigError("where to? Give a folder to write, or --push OWNER/NAME")
    if private and push is None:
        raise ConfigError("--private is of a repository on the hub, and --push is not given")
    if push is not None:
        HubAddress(push)  # a place that cannot be is said before anything is written
    if (run / EXPORT).is_file():
        if push is None or folder is not None or license is not None:
            raise ConfigError(
                f"{run} is an exported model already: it can be pushed as it is (--push OWNER/NAME), or copied"
            )
        say(f"Pushed to {push_folder(run, push, private=private)}", quiet=quiet)
        return
    with tempfile.TemporaryDirectory(prefix="mirnagraph-") as place:
        written = export_run(
            run, folder or Path(place) / "model", license=license, overwrite=overwrite
        )
        if folder is not None:
            note = "" if license else f"; its licence is left to you (see the end of {CARD})"
            say(
                f"Written to {folder}: {CARD}, {EXPORT}, model.json and what belongs to it{note}",
                quiet=quiet,
            )
        if push is not None:
            say(f"Pushed to {push_folder(written, push, private=private)}", quiet=quiet)


def pull(
    repo: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Place on the Hugging Face hub.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit.", show_default="the newest")
    ] = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Bring a model from the Hugging Face hub, checked file by file; nothing in it is executed."""
    from cli.common import say
    from fusion.export.hub import pull as pull_folder

    written = pull_folder(repo, folder, revision=revision, overwrite=overwrite)
    say(
        f"Written to {written}. Next: mirnagraph predict --run {written} --fasta mine.fa",
        quiet=quiet,
    )
