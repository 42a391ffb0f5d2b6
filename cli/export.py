"""`mirnagraph export` and `mirnagraph pull`: models as folders and on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cli.common import OverwriteOption, QuietOption, the_one
from cli.messages import say

EXPORT_EPILOG = (
    "Example: `mirnagraph export runs/mine model`, "
    "`mirnagraph export runs/mine --graphml graphs`, or "
    "`mirnagraph export runs/mine --push me/where-mirnas-sit --private`"
)

PULL_EPILOG = "Example: `mirnagraph pull me/where-mirnas-sit model`"

RunArgument = Annotated[
    Path | None,
    Argument(
        help="Finished run of `train` or `seq train`; with --push also an exported folder.",
        show_default="that of --run",
    ),
]

RunOption = Annotated[
    Path | None,
    Option("--run", help="The same as RUN.", show_default="the newest run under ./runs"),
]

OutOption = Annotated[Path | None, Option("--out", help="The same as FOLDER.")]

FolderArgument = Annotated[
    Path | None,
    Argument(help="Output folder; must be empty unless --overwrite. May be left out with --push."),
]

PushOption = Annotated[
    str | None,
    Option(
        metavar="OWNER/NAME",
        help="Repository on the Hugging Face hub to push to; replaces a model and card in it. "
        "Needs a token with write access.",
    ),
]

GraphmlOption = Annotated[
    Path | None,
    Option(
        metavar="FOLDER",
        help="Folder for the networks of the run as GraphML, with its out-of-fold predictions as "
        "attributes, and a style file for Cytoscape; must be empty unless --overwrite.",
    ),
]

PrivateOption = Annotated[
    bool, Option("--private", help="Make a new repository private (with --push).")
]

LicenceOption = Annotated[
    str | None,
    Option(
        help="Licence in the model card, as the hub names it (mit, cc-by-4.0 …).",
        show_default="none",
    ),
]

EvidenceOption = Annotated[
    Path | None,
    Option(
        "--networks",
        help="Networks that the run was made from: their partners and PMIDs are stored with the "
        "model, for `explain`; with --graphml they are written.",
        show_default="not stored; with --graphml ./networks if it exists, else the synthetic demo",
    ),
]

RepoArgument = Annotated[
    str, Argument(metavar="OWNER/NAME", help="Repository on the Hugging Face hub.")
]

TargetArgument = Annotated[
    Path | None,
    Argument(help="Output folder; must be empty unless --overwrite.", show_default=False),
]

RevisionOption = Annotated[
    str | None, Option(help="Branch, tag or commit.", show_default="the newest")
]


def export(
    run: RunArgument = None,
    folder: FolderArgument = None,
    run_option: RunOption = None,
    out: OutOption = None,
    push: PushOption = None,
    private: PrivateOption = False,
    license: LicenceOption = None,
    graphml: GraphmlOption = None,
    networks: EvidenceOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Export the model of a run: safetensors, JSON and a model card, with a hash of every file.

    Needs a finished run, and an output folder, --push or --graphml (or several of them).
    """
    import tempfile

    from fusion.explain.ranking import networks_of_run, newest_run
    from fusion.export.export import export_run
    from fusion.export.files import CARD, EXPORT
    from fusion.export.hub import HubAddress
    from mirnagraph.errors import ConfigError

    run = the_one(run, run_option, "run") or newest_run()
    folder = the_one(folder, out, "out")
    if folder is None and push is None and graphml is None:
        raise ConfigError(
            "no target: give an output folder, or --push OWNER/NAME, or --graphml FOLDER"
        )
    if private and push is None:
        raise ConfigError("--private needs --push OWNER/NAME")
    if push is not None:
        HubAddress(push)  # refuses a wrong address before anything is written
    if graphml is not None:
        _write_graphs(run, networks, graphml, overwrite=overwrite)
        if folder is None and push is None:
            return
    if (run / EXPORT).is_file():
        if push is None or folder is not None or license is not None or networks is not None:
            hint = "push it as it is (--push OWNER/NAME), or copy it"
            raise ConfigError(f"{run} is an exported model already: {hint}")
        _push(run, push, private=private)
        return
    with tempfile.TemporaryDirectory(prefix="mirnagraph-") as temporary:
        target = folder or Path(temporary) / "model"
        loaded = None if networks is None else networks_of_run(run, networks)
        written = export_run(run, target, license=license, networks=loaded, overwrite=overwrite)
        if folder is not None:
            note = "" if license else f"; no licence given (see the end of {CARD})"
            say(f"Written to {folder}: {CARD}, {EXPORT}, model.json, weights{note}")
        if push is not None:
            _push(written, push, private=private)


def _write_graphs(run: Path, folder: Path | None, out: Path, *, overwrite: bool) -> None:
    """Write the networks of a run with its predictions."""
    from fusion.explain.ranking import networks_of_run, prediction_table, read_run
    from mirnagraph.io import write_folder
    from mirnagraph.networks.cytoscape import STYLE
    from mirnagraph.networks.export import write_graphml
    from mirnagraph.writing.contents import GRAPHS

    networks = networks_of_run(run, folder)
    predictions = prediction_table(read_run(run, networks))
    with write_folder(out, overwrite=overwrite, content=GRAPHS) as part:
        paths = write_graphml(networks, part, predictions)
    names = ", ".join(path.name for path in paths)
    say(f"Written to {out}: {names}, {STYLE}")


def _push(folder: Path, address: str, *, private: bool) -> None:
    from fusion.export.hub import push

    pushed = push(folder, address, private=private)
    say(f"Pushed to {pushed}")


def pull(
    repo: RepoArgument,
    folder: TargetArgument = None,
    out: OutOption = None,
    revision: RevisionOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Download a model from the Hugging Face hub and check every file; nothing in it is executed.

    Needs the name of a repository and an output folder.
    """
    from fusion.export.hub import pull as pull_folder
    from mirnagraph.errors import ConfigError

    target = the_one(folder, out, "out")
    if target is None:
        raise ConfigError("no target: give an output folder")
    written = pull_folder(repo, target, revision=revision, overwrite=overwrite)
    say(f"Written to {written}. Next: mirnagraph predict --run {written} --fasta mine.fa")
