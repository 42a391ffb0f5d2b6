"""`mirnagraph rank`: the strongest new predictions of a run, with the evidence behind each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

EPILOG = "Example: `mirnagraph rank --top 5`, or `mirnagraph rank runs/mine --compartment Nucleus --evidence rnalocate3.tsv --out novel.tsv`"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("rank", epilog=EPILOG)(rank)


def rank(
    run: Annotated[
        Path | None,
        typer.Argument(help="A finished run folder (default: the newest under ./runs)."),
    ] = None,
    compartment: Annotated[
        list[str] | None,
        typer.Option(help="Only this compartment; may be given several times.", show_default="all"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many RNAs per compartment.")] = 10,
    known: Annotated[
        bool,
        typer.Option(
            "--known",
            help="Rank the RNAs annotated in the compartment; with --novel, all RNAs in one ranking.",
        ),
    ] = False,
    novel: Annotated[
        bool,
        typer.Option(
            "--novel",
            help="Rank the RNAs not annotated in the compartment: new predictions (the default).",
        ),
    ] = False,
    networks: Annotated[
        Path | None,
        typer.Option(help="Networks the run was made from (default as in train); checked by hash."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            help="Table that may confirm predictions: rna_id, compartment, and pmid, source, species where there are any."
        ),
    ] = None,
    species: Annotated[
        str | None,
        typer.Option(help="Of the evidence, only records of this species, e.g. 'Homo sapiens'."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the whole table here, as TSV: partners, PMIDs, neighbours, evidence."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the table.")] = False,
) -> None:
    """Rank RNAs per compartment by out-of-fold probability: what is predicted, whether it was known, and what speaks for it."""
    from cli.common import say, show_table
    from fusion.explain.confirmation import mark, precision_at_k, read_confirmations
    from fusion.explain.ranking import networks_of_run, newest_run, read_run
    from fusion.explain.ranking import rank as rank_run
    from mirnagraph.errors import ConfigError
    from mirnagraph.io import write_tsv

    if species is not None and evidence is None:
        raise ConfigError("--species chooses records of an --evidence table, and none is given")
    folder = run or newest_run()
    finished = read_run(folder, networks_of_run(folder, networks))
    dataset = finished.networks.dataset
    novel = novel or not known
    table = rank_run(finished, compartment, top=top, known=known, novel=novel)
    names = list(dict.fromkeys(table["compartment"]))
    synthetic = " (made-up data that shows the way, not biology)" if dataset.synthetic else ""
    whose = (
        "all RNAs"
        if known and novel
        else "annotated RNAs"
        if known
        else "RNAs without the annotation"
    )
    say(
        f"Run {folder} on {dataset.name}{synthetic}: {int((finished.fold >= 0).sum())} RNAs were tested; ranked are {whose}",
        quiet=quiet,
    )
    confirmed = None
    if evidence is not None:
        found = read_confirmations(evidence, dataset, species=species)
        table = mark(table, dataset, found)
        confirmed = found.confirmed
        reasons = "; ".join(
            f"{reason}: {n}" for reason, n in found.unused["reason"].value_counts().items()
        )
        say(
            f"{evidence}: {found.n_records} records, {len(found.unused)} not used{f' ({reasons})' if reasons else ''}",
            quiet=quiet,
        )
    if out is not None:
        write_tsv(table, out)
    show_table(*_short(table, list(dataset.associations)), f"Top {top} per compartment")
    if confirmed is not None:
        scores = precision_at_k(finished, confirmed, names, top=top, known=known, novel=novel)
        show_table([str(c) for c in scores.columns], _cells(scores), f"Confirmed by {evidence}")
    if known and novel:
        scores = precision_at_k(
            finished, dataset.labels.to_numpy() > 0, names, top=top, known=True, novel=True
        )
        show_table(
            [str(c) for c in scores.columns],
            _cells(scores),
            "Known: annotated in the dataset, unseen by the model that ranked them",
        )
    if out is not None:
        say(f"Written to {out}: every column, {len(table)} rows", quiet=quiet)


def _short(table: pd.DataFrame, kinds: list[str]) -> tuple[list[str], list[list[str]]]:
    """The columns that fit a terminal."""
    near = [c for c in table.columns if c.startswith("neighbours_")]
    columns = [
        "compartment",
        "rank",
        "rna_id",
        "probability",
        "call",
        "known",
        *(f"n_{kind}" for kind in kinds),
        "n_pmids",
        *near,
    ]
    shown = table[
        columns + [c for c in ("evidence", "evidence_pmids") if c in table.columns]
    ].copy()
    for column in near:
        shown[column] = shown[column].str.split("; ").str[0]
    return [str(c) for c in shown.columns], _cells(shown)


def _cells(table: pd.DataFrame) -> list[list[str]]:
    def text(value: Any) -> str:
        if isinstance(value, float):
            return (
                "-"
                if value != value
                else f"{value:.2e}"
                if 0 < abs(value) < 5e-4
                else f"{value:.3f}"
            )
        return str(value) or "-"

    return [[text(value) for value in row] for row in table.to_numpy(dtype=object).tolist()]
