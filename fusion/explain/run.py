"""Explanations of several RNAs with the networks of their run, and the folder they go to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fusion.explain.explain import (
    explain_reference,
    explain_sequence,
    named_compartments,
    strongest_rna,
)
from fusion.explain.figure import save_explanation
from fusion.explain.ranking import networks_of_run
from fusion.explain.result import Explanation
from fusion.export.evidence import stored_networks
from fusion.export.load import kind_of, load, model_folder
from fusion.models.predict import (
    match_queries,
    match_sequences,
    reference_of,
    require_answers,
)
from fusion.models.saved import SavedModel
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.io import file_names, to_rna, write_folder, write_text
from mirnagraph.names import Match
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, one_thread, report
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.writing.contents import EXPLANATIONS
from seqtower.saved import FORMAT as TOWER

HINT = "give --networks FOLDER"


@dataclass(frozen=True)
class Query:
    """An RNA to explain.

    Attributes:
        name: as the user gave it.
        row: its row among the reference RNAs of the model; None for a new RNA.
        sequence: of a new RNA; may be empty for a reference RNA.
        note: what to know of the match of the name or sequence; empty for nothing.
        rna_id, accession, match: what the name means, as columns of `predict`; empty where nothing
            was matched.
    """

    name: str
    row: int | None
    sequence: str = ""
    note: str = ""
    rna_id: str = ""
    accession: str = ""
    match: str = ""

    @classmethod
    def of(cls, match: Match, sequence: str) -> Query:
        """The query of a match, with the sequence that is explained for a new RNA."""
        about = (match.rna_id or "", match.accession, match.kind)
        return cls(match.query, match.row, sequence, match.note, *about)


def open_fusion_model(folder: str | Path) -> SavedModel:
    """Load the model of a run of `mirnagraph train`.

    Raises:
        ConfigError: the run is one of `mirnagraph seq train`.
        CheckpointError: see `fusion.export.load.load`; a model without reference RNAs.
    """
    # The kind comes first: loading a sequence tower may need a language model.
    model = None if kind_of(model_folder(folder)) == TOWER else load(folder)
    if not isinstance(model, SavedModel):
        hint = f"use `mirnagraph seq explain --run {folder} --fasta FILE --out DIR`"
        raise ConfigError(f"{folder} is a run of `mirnagraph seq train`: {hint}")
    if model.reference is None:
        raise CheckpointError("the model has no reference RNAs", file=folder)
    return model


def find_queries(
    model: SavedModel,
    names: Sequence[str] = (),
    fasta: str | Path | None = None,
    *,
    iupac: str = "error",
    rna_type: str | None = None,
) -> list[Query]:
    """RNAs to explain: those of a FASTA file, else those named, else the one predicted most surely.

    Args:
        model: with reference RNAs; a sequence of the file that equals one of theirs is that RNA,
            the most specific one where several hold it.
        names: of reference RNAs, or of hairpins of miRBase, which are explained from their
            sequence.
        fasta: file of known or new RNAs.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.
        rna_type: of the new RNAs, for a model of several RNA types.

    Raises:
        InputError: names without an answer, all at once; see `mirnagraph.sources.fasta.read_fasta`.
    """
    reference = reference_of(model)
    if fasta is not None:
        records = read_fasta(fasta, iupac=iupac)
        return sequence_queries(model, records["id"], records["sequence"], rna_type)
    if not names:
        row = strongest_rna(model)
        return name_queries(model, [reference.index.ids[row]])
    return name_queries(model, names)


def name_queries(model: SavedModel, names: Sequence[str]) -> list[Query]:
    """RNAs to explain, by name (see `find_queries`)."""
    matches = match_queries(model, names, strict=True)
    return [Query.of(match, match.sequence) for match in matches]


def split_queries(
    model: SavedModel,
    names: Sequence[str] = (),
    fasta: str | Path | None = None,
    *,
    strict: bool = False,
    **options: Any,
) -> tuple[list[Query], list[Match]]:
    """RNAs to explain, and the names without an answer.

    Args:
        model: see `find_queries`.
        names: likewise.
        fasta: likewise.
        strict: raise where any name has no answer.
        **options: see `find_queries`.

    Raises:
        InputError: no name has an answer, or `strict` and one has none; see `find_queries`.
    """
    if not names:
        return find_queries(model, (), fasta, **options), []
    matches = match_queries(model, names, strict=strict)
    if all(match.rna_id is None for match in matches):
        require_answers(matches)
    queries = [Query.of(match, match.sequence) for match in matches if match.rna_id is not None]
    return queries, [match for match in matches if match.rna_id is None]


def sequence_queries(
    model: SavedModel,
    names: Iterable[str],
    sequences: Iterable[str],
    rna_type: str | None = None,
) -> list[Query]:
    """RNAs to explain, by sequence (see `find_queries`)."""
    letters = [to_rna(text) for text in sequences]
    ids = [str(name) for name in names]
    matches = match_sequences(reference_of(model), ids, letters, rna_type)
    pairs = zip(matches, letters, strict=True)
    return [Query.of(match, text) for match, text in pairs]


def find_networks(
    folder: str | Path, model: SavedModel, networks: str | Path | None = None
) -> tuple[NetworkSet | None, str]:
    """Networks that a model was trained on, as far as they can be found.

    Args:
        folder: run folder, or the model folder of one.
        model: the model in it.
        networks: their folder; None: ``./networks`` if it exists, else the demo.

    Returns:
        The networks and an empty text; or None and the reason why there are none.

    Raises:
        InputError, CheckpointError: `networks` is given, and does not hold the networks of the run.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        folder = folder.parent
    if not (folder / "run.json").is_file():
        if networks is None:
            return None, f"a model folder names no networks; {HINT}."
        loaded = NetworkSet.load(networks)
        if loaded.dataset.index.checksum != reference_of(model).of_networks().index.checksum:
            raise CheckpointError("the networks hold other RNAs than the model", file=networks)
        return loaded, ""
    has_default = Path("networks", "networks.json").is_file() or model.about.get("synthetic")
    if networks is None and not has_default:
        return None, f"the networks are not at hand; {HINT}."
    try:
        return networks_of_run(folder, networks), ""
    except InputError:
        if networks is not None:
            raise
        return None, f"the networks at hand are not those of the run; {HINT}."


def explain_query(
    model: SavedModel,
    query: Query,
    compartments: Sequence[str] = (),
    networks: NetworkSet | None = None,
    *,
    missing: str = "",
    rna_type: str | None = None,
    workers: int = 1,
) -> Explanation:
    """Explain the prediction of one RNA.

    Args:
        model: with reference RNAs.
        query: the RNA.
        compartments: names; empty for those called, or the most probable.
        networks: of the run, for partners and neighbours; None: the evidence that is stored with
            the model, which may be none.
        missing: why there are no networks, as a note of the explanation.
        rna_type: of a new RNA, for a model of several RNA types.
        workers: number of threads; results do not depend on it.

    Raises:
        ConfigError: an unknown compartment, or no model for new RNAs.
    """
    columns = named_compartments(model, list(compartments))
    networks = networks or stored_networks(model)
    if query.row is None:
        explanation = explain_sequence(
            model, query.name, query.sequence, columns, rna_type=rna_type, workers=workers
        )
    else:
        explanation = explain_reference(
            model, query.row, columns, networks, missing=missing, name=query.name, workers=workers
        )
    if query.rna_id:
        explanation = replace(
            explanation, rna_id=query.rna_id, accession=query.accession, match=query.match
        )
    if not query.note:
        return explanation
    note = f"Asked as {query.name}: {query.note}."
    return replace(
        explanation,
        notes=(note, *explanation.notes),
        remarks=(note, *explanation.remarks),
    )


def explain_run(
    folder: str | Path,
    model: SavedModel,
    queries: Sequence[Query],
    compartments: Sequence[str] = (),
    *,
    networks: str | Path | None = None,
    rna_type: str | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Explain RNAs by the model of a run, in their order.

    Args:
        folder: see `find_networks`.
        model: likewise.
        queries: see `find_queries`.
        compartments: see `explain_query`.
        networks: see `find_networks`.
        rna_type: see `explain_query`.
        workers: likewise.
        progress: called after each RNA.

    Raises:
        ConfigError: see `explain_query`.
        InputError, CheckpointError: see `find_networks`.
    """
    loaded = None
    missing = ""
    # The networks hold nothing about new RNAs.
    if networks is not None or any(query.row is not None for query in queries):
        loaded, missing = find_networks(folder, model, networks)
    explanations = []
    for number, query in enumerate(queries):
        with one_thread():  # one RNA is too little work for several threads
            explanation = explain_query(
                model,
                query,
                compartments,
                loaded,
                missing=missing,
                rna_type=rna_type,
                workers=workers,
            )
        explanations.append(explanation)
        report(progress, "explained", number + 1, len(queries))
    return explanations


def write_explanations(
    explanations: Sequence[Explanation],
    out: str | Path,
    *,
    overwrite: bool = False,
    full: bool = False,
) -> None:
    """Write ``explanation.txt``, ``.json`` and ``.png``, in a folder per RNA for several RNAs.

    Args:
        explanations: to write.
        out: folder.
        overwrite: replace what it holds.
        full: as of `Explanation.to_text`.

    Raises:
        InputError: `out` is not empty, and `overwrite` is false.
    """
    with write_folder(out, overwrite=overwrite, content=EXPLANATIONS) as folder:
        names = file_names(explanation.query for explanation in explanations)
        for name, explanation in zip(names, explanations, strict=True):
            target = folder
            if len(explanations) > 1:
                target = folder / name
                target.mkdir()
            values = json.dumps(explanation.to_dict(), indent=2)
            write_text(target / "explanation.txt", explanation.to_text(full=full))
            write_text(target / "explanation.json", f"{values}\n")
            save_explanation(explanation, target / "explanation.png")
