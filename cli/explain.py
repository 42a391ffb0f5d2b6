"""`mirnagraph explain`: why a model puts an RNA into a compartment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import IupacOption, OverwriteOption, QuietOption

if TYPE_CHECKING:
    from fusion.explain.result import Explanation
    from fusion.models.saved import SavedModel
    from mirnagraph.networks.network import NetworkSet

EPILOG = "Example: `mirnagraph explain --rna hsa-mir-21`, or `mirnagraph explain --run runs/mine --fasta new.fa --compartment Nucleus --out why`"

FORMATS = ("text", "json")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("explain", epilog=EPILOG)(explain)


def explain(
    run: Annotated[
        Path | None,
        typer.Option(
            help="A finished run of `mirnagraph train`, or its model folder (default: the newest run under ./runs)."
        ),
    ] = None,
    rna: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of an RNA that the model knows; may be given several times.",
            show_default="the one it is surest of",
        ),
    ] = None,
    fasta: Annotated[
        Path | None, typer.Option(help="Sequences instead, known or new; plain or gzip, T or U.")
    ] = None,
    compartment: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this compartment; may be given several times.",
            show_default="those called, else the most probable",
        ),
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(help="Networks the run was made from (default as in train); checked by hash."),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="text or json (an object, or a list of them where several RNAs are asked for).",
        ),
    ] = "text",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for explanation.txt, .json and .png, in a folder per RNA where there are several (default: the terminal)."
        ),
    ] = None,
    rna_type: Annotated[
        str | None, typer.Option(help="Type of all new RNAs, for a model of `train --sets`.")
    ] = None,
    iupac: IupacOption = "error",
    workers: Annotated[int, typer.Option(min=1, help="Threads; changes no number.")] = 2,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say why: what changes without each modality, what tokens add, which partners, neighbours and stretches of sequence carry the answer.

    The whole model is asked again without each modality; attention and integrated gradients show how its parts read their tokens.
    """
    import sys

    from cli.common import progress_bars, say
    from fusion.explain.ranking import newest_run
    from fusion.explain.result import to_text
    from mirnagraph.errors import ConfigError
    from mirnagraph.io import check_output_folder

    if fasta is not None and rna:
        raise ConfigError("--fasta and --rna exclude each other: give one of them")
    if format_ not in FORMATS:
        raise ConfigError(f"--format is {format_!r}, expected {' or '.join(FORMATS)}")
    if out is not None:
        check_output_folder(out, overwrite=overwrite)
    folder = run or newest_run()
    model = _open(folder)
    found = []
    with progress_bars(quiet=quiet or out is None) as progress:
        asked = _asked(model, rna or [], fasta, iupac, rna_type)
        # of a new RNA the networks hold nothing
        loaded, missing = (
            _networks(folder, model, networks)
            if networks is not None or any(row is not None for _, row, _ in asked)
            else (None, "")
        )
        for number, (name, row, sequence) in enumerate(asked):
            found.append(
                _explained(
                    model,
                    name,
                    row,
                    sequence,
                    compartment or [],
                    loaded,
                    missing,
                    rna_type,
                    workers,
                )
            )
            if progress is not None:
                progress("explained", number + 1, len(asked))
    if not rna and fasta is None:
        say(
            f"Model of {folder}: {asked[0][0]} is the RNA it is surest of, and is explained here (--rna names another)",
            quiet=quiet,
        )
    if out is not None:
        _write(found, out, overwrite)
        say(
            f"Written to {out}: explanation.txt, explanation.json, explanation.png{' per RNA' if len(found) > 1 else ''}",
            quiet=quiet,
        )
    elif format_ == "json":
        said = [one.to_dict() for one in found]
        sys.stdout.write(json.dumps(said[0] if len(said) == 1 else said, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(to_text(one) for one in found))


def _open(folder: Path) -> SavedModel:
    from fusion.export.load import kind_of, load, model_folder
    from fusion.models.saved import SavedModel
    from mirnagraph.errors import ConfigError
    from seqtower.saved import FORMAT

    # what kind it is is asked first: a tower may need a language model to be opened
    if kind_of(model_folder(folder)) == FORMAT:
        raise ConfigError(
            f"{folder} is a run of `mirnagraph seq train`: use `mirnagraph seq explain --run {folder} --fasta FILE --out DIR`"
        )
    model = load(folder)
    assert isinstance(model, SavedModel)
    return model


def _asked(
    model: SavedModel, names: list[str], fasta: Path | None, iupac: str, rna_type: str | None
) -> list[tuple[str, int | None, str]]:
    """Per RNA: its name, its row among the known ones (None for a new one), and its sequence where it is new."""
    from fusion.explain.explain import strongest_rna
    from fusion.models.predict import exact_matches, resolve_names
    from mirnagraph.errors import CheckpointError
    from mirnagraph.io import to_rna
    from mirnagraph.sources.fasta import read_fasta

    if model.reference is None:
        raise CheckpointError("the model does not say which RNAs it knows")
    if fasta is not None:
        records = read_fasta(fasta, iupac=iupac)
        same = exact_matches(model.reference, rna_type)
        return [
            (str(name), same.get(to_rna(text)), text)
            for name, text in zip(records["id"], records["sequence"], strict=True)
        ]
    rows = [int(row) for row in resolve_names(model, names)] if names else [strongest_rna(model)]
    return [
        (name, row, "")
        for name, row in zip(names or [model.reference.index.ids[rows[0]]], rows, strict=True)
    ]


def _explained(
    model: SavedModel,
    name: str,
    row: int | None,
    sequence: str,
    compartments: list[str],
    networks: NetworkSet | None,
    missing: str,
    rna_type: str | None,
    workers: int,
) -> Explanation:
    from fusion.explain.explain import explain_reference, explain_sequence, named_compartments
    from mirnagraph.parallel import one_thread

    columns = named_compartments(model, compartments)
    with one_thread():  # one RNA is too little work to share out
        if row is None:
            return explain_sequence(
                model, name, sequence, columns, rna_type=rna_type, workers=workers
            )
        return explain_reference(
            model, row, columns, networks, missing=missing, name=name, workers=workers
        )


def _networks(
    folder: Path, model: SavedModel, networks: Path | None
) -> tuple[NetworkSet | None, str]:
    """The networks of the run, or None and why there are none; only those that were named must fit."""
    from fusion.explain.ranking import networks_of_run
    from mirnagraph.errors import CheckpointError, InputError
    from mirnagraph.networks.network import NetworkSet

    assert model.reference is not None
    if not (folder / "run.json").is_file() and (folder.parent / "run.json").is_file():
        folder = folder.parent  # the model folder of a run
    hint = "name the folder of the networks the run was trained on (--networks FOLDER)"
    if not (folder / "run.json").is_file():
        if networks is None:
            return None, f"a model folder does not say which networks it was made from; {hint}."
        loaded = NetworkSet.load(networks)
        if loaded.dataset.index.checksum != model.reference.network_rows().index.checksum:
            raise CheckpointError(
                "these networks are of other RNAs than the model's", file=networks
            )
        return loaded, ""
    if (
        networks is None
        and not Path("networks", "networks.json").is_file()
        and not model.about.get("synthetic")
    ):
        return None, f"the networks are not at hand; {hint}."
    try:
        return networks_of_run(folder, networks), ""
    except InputError:
        if networks is not None:
            raise
        return None, f"the networks at hand are not those of the run; {hint}."


def _write(found: list[Explanation], out: Path, overwrite: bool) -> None:
    from fusion.explain.figure import save_explanation
    from fusion.explain.result import to_text
    from mirnagraph.io import write_folder

    with write_folder(out, overwrite=overwrite) as folder:
        taken: set[str] = set()
        for one in found:
            place = folder
            if len(found) > 1:
                place = folder / _file_name(one.rna_id, taken)
                place.mkdir()
            (place / "explanation.txt").write_text(to_text(one), encoding="utf-8", newline="\n")
            (place / "explanation.json").write_text(
                json.dumps(one.to_dict(), indent=2) + "\n", encoding="utf-8", newline="\n"
            )
            save_explanation(one, place / "explanation.png")


def _file_name(name: str, taken: set[str]) -> str:
    """A name that any file system takes, unlike those taken even without regard to case."""
    tidy = (
        "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip(
            "."
        )
        or "rna"
    )
    chosen = tidy
    number = 2
    while chosen.lower() in taken:
        chosen = f"{tidy}_{number}"
        number = number + 1
    taken.add(chosen.lower())
    return chosen
