"""`mirnagraph rank`: the strongest predictions of a run, with their evidence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from cli.common import (
    QuietOption,
    RunNetworksOption,
    TableOption,
    dataset_title,
    show_frame,
    the_one,
)
from cli.limits import LONGEST
from cli.messages import say
from mirnagraph.errors import counted

if TYPE_CHECKING:
    import pandas as pd

    from fusion.explain.confirmation import Confirmations
    from fusion.explain.ranking import FinishedRun

EPILOG = "Example: `mirnagraph rank --run runs/mine --compartment Nucleus --top 5 --out novel.tsv`"

RunArgument = Annotated[
    Path | None,
    Argument(help="Finished run of `train`; the same as --run.", show_default="that of --run"),
]

RunOption = Annotated[
    Path | None,
    Option("--run", help="Finished run of `train`.", show_default="the newest run under ./runs"),
]

CompartmentOption = Annotated[
    list[str] | None, Option(help="Compartment to rank; repeatable.", show_default="all")
]

TopOption = Annotated[int, Option(min=1, max=LONGEST, help="Number of RNAs per compartment.")]

KnownOption = Annotated[
    bool,
    Option(
        "--known",
        help="Rank RNAs annotated in the compartment; with --novel all RNAs in one ranking.",
    ),
]

NovelOption = Annotated[
    bool,
    Option("--novel", help="Rank RNAs not annotated in the compartment (the default)."),
]

EvidenceOption = Annotated[
    Path | None,
    Option(
        help="Table that may confirm predictions, TSV with the columns rna_id and compartment, and "
        "optionally pmid, source, species."
    ),
]

SpeciesOption = Annotated[
    str | None,
    Option(
        help="Species of the records used from --evidence, e.g. 'Homo sapiens'.", show_default="all"
    ),
]


def rank(
    run: RunArgument = None,
    run_option: RunOption = None,
    compartment: CompartmentOption = None,
    top: TopOption = 10,
    known: KnownOption = False,
    novel: NovelOption = False,
    networks: RunNetworksOption = None,
    evidence: EvidenceOption = None,
    species: SpeciesOption = None,
    out: TableOption = None,
    quiet: QuietOption = False,
) -> None:
    """Rank RNAs per compartment, with partners, PMIDs and neighbours.

    Needs a finished run of `train`, and the networks it was trained on.

    RNAs not annotated there are ranked by the score of the run, made of out-of-fold
    probability and popularity (settings [ranking]). With --known the probability ranks.
    """
    from fusion.explain.confirmation import mark, precision_at_k, read_confirmations
    from fusion.explain.ranking import networks_of_run, newest_run, read_run, temporal_precision
    from fusion.explain.ranking import rank as rank_run
    from fusion.models.saved import FORMAT
    from mirnagraph.errors import ConfigError
    from mirnagraph.io import write_tsv

    if species is not None and evidence is None:
        raise ConfigError("--species needs an --evidence table")
    folder = the_one(run, run_option, "run") or newest_run(model=FORMAT)
    loaded = networks_of_run(folder, networks)
    dataset = loaded.dataset
    finished = read_run(folder, loaded)
    candidates: dict[str, Any] = {"known": known, "novel": novel or not known}
    table = rank_run(finished, compartment, top=top, **candidates)
    names = list(dict.fromkeys(table["compartment"]))
    say(_candidates(folder, finished, **candidates))
    scores: dict[str, pd.DataFrame] = {}
    if evidence is not None:
        confirmations = read_confirmations(evidence, dataset, species=species)
        table = mark(table, dataset, confirmations)
        say(f"{evidence}: {_used(confirmations)}")
        hits = confirmations.confirmed
        title = f"Confirmed by {evidence}"
        scores[title] = precision_at_k(finished, hits, names, top=top, **candidates)
    if all(candidates.values()):
        hits = dataset.labels.to_numpy() > 0
        title = "Annotated in the dataset, not seen by the model that ranked them"
        scores[title] = precision_at_k(finished, hits, names, top=top, **candidates)
    if out is not None:
        write_tsv(table, out)
    measured = None if known else temporal_precision(folder)
    if measured is not None:
        title = f"Precision of this ranking, measured by the temporal run in {measured[0]}"
        say(title)
        scores[title] = measured[1]
    shown = _short(table, list(dataset.associations))
    show_frame(shown, f"Top {top} per compartment", number=_number)
    for title, score in scores.items():
        show_frame(score, title, number=_number)
    if out is not None:
        n_rows = counted(len(table), "row")
        say(f"Written to {out}: every column, {n_rows}")


def _candidates(folder: Path, finished: FinishedRun, *, known: bool, novel: bool) -> str:
    dataset = finished.networks.dataset
    title = dataset_title(dataset.name, synthetic=dataset.synthetic)
    n_tested = int((finished.fold >= 0).sum())
    ranked = "RNAs without the annotation"
    if known:
        ranked = "all RNAs" if novel else "annotated RNAs"
    tested = counted(n_tested, "RNA")
    return f"{title}, run {folder}: {tested} tested; ranked: {ranked}"


def _used(confirmations: Confirmations) -> str:
    by_reason = confirmations.unused["reason"].value_counts()
    reasons = "; ".join(f"{reason}: {n}" for reason, n in by_reason.items())
    details = f" ({reasons})" if reasons else ""
    n_records = counted(confirmations.n_records, "record")
    return f"{n_records}, {len(confirmations.unused)} not used{details}"


def _short(table: pd.DataFrame, kinds: list[str]) -> pd.DataFrame:
    """Columns of a ranking that fit a terminal, with the nearest neighbour alone."""
    neighbours = [name for name in table.columns if name.startswith("neighbours_")]
    counts = [f"n_{kind}" for kind in kinds]
    first = ["compartment", "rank", "rna_id", "score", "probability", "call", "known"]
    first += [name for name in ("later",) if name in table.columns]
    last = [name for name in ("evidence", "evidence_pmids") if name in table.columns]
    shown = table[[*first, *counts, "n_pmids", *neighbours, *last]].copy()
    for name in neighbours:
        shown[name] = shown[name].str.split("; ").str[0]
    return shown.replace("", "-")


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"
