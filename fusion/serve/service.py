"""A model with its networks, as the page asks it: facts, predictions, explanations, tables."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import mirnagraph
from fusion.explain.result import Explanation
from fusion.explain.run import (
    Query,
    explain_query,
    find_networks,
    name_queries,
    sequence_queries,
)
from fusion.export.evidence import stored_networks
from fusion.export.load import SHIPPED, Model, load, shipped_folder
from fusion.models.saved import SavedModel
from fusion.serve.jobs import Job, Jobs
from fusion.serve.limits import BAD_REQUEST, Limits, RefusedError, check_length, check_name
from fusion.serve.questions import Question, checked_sequence
from fusion.serve.reasons import reasons_of
from fusion.serve.suggestions import Suggestions
from fusion.streaming import StreamCounts, counts_in_words, model_remarks, thresholds_of
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import one_thread
from mirnagraph.runs.prediction_table import PredictionRows
from mirnagraph.runs.table_file import table_file
from mirnagraph.sources.fasta import FastaRecord

EXAMPLE_NAMES = ("hsa-miR-21-5p", "miR-155", "hsa-let-7a", "MIMAT0000440", "hsa-mir-375")
"""Names of an example; those of the reference RNAs where the model does not know them."""

EXAMPLE_SEQUENCE = "UGCAGGUAGCUUAUCAGACUAAUGUUGACGGUUCAAUCUCAUGGCAACUCCAGUCGAUGGGCUGUCUGACA"
"""A hairpin like that of miR-21, with some nucleotides changed."""

TABLE_FORMATS = ("tsv", "csv", "json", "jsonl")

NO_EXPLANATION = "a sequence tower is explained by `mirnagraph seq explain`"


@dataclass(eq=False)
class Service:
    """What the page asks.

    Attributes:
        model: opened once; a request cannot choose another.
        title: of the model.
        limits: of the server.
        networks: those the model was trained on, for partners and neighbours; None without any.
        missing: why there are none.
    """

    model: Model
    title: str
    limits: Limits = field(default_factory=Limits)
    networks: NetworkSet | None = None
    missing: str = ""

    @cached_property
    def jobs(self) -> Jobs:
        """Jobs of the model."""
        return Jobs(self.model, self.limits)

    @cached_property
    def suggestions(self) -> Suggestions:
        """Names that the model answers."""
        return Suggestions.of(self.model)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The model and the limits, as ``GET /api/model`` gives them."""
        model = self.model
        is_named = isinstance(model, SavedModel) and model.reference is not None
        limits = self.limits
        return {
            "title": self.title,
            "version": mirnagraph.__version__,
            "compartments": list(model.compartments),
            "thresholds": thresholds_of(model, model.compartments),
            "answers_names": is_named,
            "explains": is_named,
            "n_reference": self._n_reference(),
            "rna_types": rna_types(model),
            "remarks": model_remarks(model, StreamCounts()),
            "examples": self._examples(),
            "limits": {
                "upload_bytes": limits.max_upload_bytes,
                "rnas": limits.max_rnas,
                "rnas_at_once": limits.max_rnas_at_once,
                "length": limits.max_length,
                "explained_length": limits.max_explained_length,
                "name": limits.max_name,
                "jobs": limits.max_jobs,
            },
        }

    def warm(self) -> None:
        """Load what the first question would wait for: tables of names, and every kind of model."""
        self.suggestions.like("mir")
        records = [FastaRecord("new", "", EXAMPLE_SEQUENCE, 1)]
        questions = [Question(records=tuple(records))]
        names = self.facts["examples"]["names"]
        if isinstance(self.model, SavedModel) and self.model.reference is not None:
            reference = self.model.reference
            untested = np.flatnonzero(np.isnan(reference.probabilities).any(axis=1))
            names = [*names, *(reference.index.ids[row] for row in untested[:1])]
        if names:
            questions.append(Question(names=tuple(names)))
        for question in questions:
            self.jobs.predict(question)[1].result()
        if names:  # takes longer, and is asked for later
            self.jobs.run(lambda: self.explain_name(names[0]))

    def status(self, job: Job) -> dict[str, Any]:
        """Progress of a job, in numbers and words."""
        counts = job.counts
        return {
            "job": job.id,
            "status": job.status,
            "done": job.n_done,
            "total": job.question.n_rnas,
            "summary": counts_in_words(counts) if counts.n_rnas else "",
            "n_unanswered": len(counts.unanswered),
            "remarks": model_remarks(self.model, counts),
            "error": job.error or None,
        }

    def explain_name(
        self,
        name: str,
        sequence: str | None = None,
        compartments: Sequence[str] = (),
        rna_type: str | None = None,
    ) -> dict[str, Any]:
        """Explain one RNA, as ``mirnagraph explain`` does.

        Args:
            name: of a reference RNA or a hairpin of miRBase; any name with `sequence`.
            sequence: of a new RNA.
            compartments: names; empty for those called, or the most probable.
            rna_type: of a new RNA, for a model of several RNA types.

        Returns:
            ``explanation`` (the JSON of the command), ``text`` (its text) and ``reasons`` (see
            `fusion.serve.reasons`).

        Raises:
            RefusedError: a sequence tower, or a name or sequence that is too long.
            InputError: an unknown name, or a letter that is no nucleotide.
            ConfigError: an unknown compartment.
        """
        model = self._explained()
        check_name(name, self.limits)
        if sequence is None:
            (query,) = name_queries(model, [name])
        else:
            limit = self.limits.max_explained_length
            letters = checked_sequence(name, sequence, limit, command="explain")
            (query,) = sequence_queries(model, [name], [letters], rna_type)
        return self._explain(model, query, compartments, rna_type)

    def explain_row(self, job: Job, row: int, compartments: Sequence[str] = ()) -> dict[str, Any]:
        """Explain one RNA of a job; see `explain_name`.

        Raises:
            RefusedError: likewise, or no such row.
        """
        question = job.question
        if not 0 <= row < question.n_rnas:
            raise RefusedError(
                BAD_REQUEST, f"row {row}; expected one of 0 to {question.n_rnas - 1}"
            )
        if question.names is not None:
            return self.explain_name(question.names[row], None, compartments)
        assert question.records is not None
        record = question.records[row]
        rna_type = question.rna_type
        return self.explain_name(record.id, record.sequence, compartments, rna_type)

    def table(self, rows: PredictionRows, format_: str) -> bytes:
        """A file of predictions, as ``mirnagraph predict --out`` writes it.

        Args:
            rows: to write.
            format_: one of `TABLE_FORMATS`.
        """
        with tempfile.TemporaryDirectory(prefix="mirnagraph-") as folder:
            path = Path(folder) / "table"
            with table_file(path, format_) as write:
                write(rows)
            return path.read_bytes()

    def _explained(self) -> SavedModel:
        if not isinstance(self.model, SavedModel) or self.model.reference is None:
            raise RefusedError(BAD_REQUEST, NO_EXPLANATION)
        return self.model

    def _explain(
        self, model: SavedModel, query: Query, compartments: Sequence[str], rna_type: str | None
    ) -> dict[str, Any]:
        if query.row is None:
            limit = self.limits.max_explained_length
            check_length(query.name, len(query.sequence), limit, command="explain")
        with one_thread():
            explanation = explain_query(
                model,
                query,
                compartments,
                self.networks,
                missing=self.missing,
                rna_type=rna_type,
            )
        return self._shown(explanation)

    def _shown(self, explanation: Explanation) -> dict[str, Any]:
        return {
            "explanation": without_nan(explanation.to_dict()),
            "text": explanation.to_text(),
            "reasons": reasons_of(explanation),
        }

    def _n_reference(self) -> int | None:
        if not isinstance(self.model, SavedModel) or self.model.reference is None:
            return None
        return len(self.model.reference.index)

    def _examples(self) -> dict[str, Any]:
        """Names and a FASTA text to try."""
        names: list[str] = []
        known = ""
        if isinstance(self.model, SavedModel) and self.model.reference is not None:
            reference = self.model.reference
            resolver = reference.resolver
            ids = reference.index.ids
            is_human = all(resolver.match(name).rna_id for name in EXAMPLE_NAMES)
            names = list(EXAMPLE_NAMES) if is_human else list(ids[:: max(1, len(ids) // 5)][:5])
            row = resolver.match(names[0]).row or 0
            if reference.sequences[row]:
                known = f">{ids[row]}\n{reference.sequences[row]}\n"
        return {"names": names, "fasta": f"{known}>new\n{EXAMPLE_SEQUENCE}\n"}


def open_service(
    folder: str | Path, *, networks: str | Path | None = None, limits: Limits | None = None
) -> Service:
    """Open a model and, where they can be found, its networks.

    Args:
        folder: run or model folder, hf://OWNER/NAME or `SHIPPED`.
        networks: as of `fusion.explain.run.find_networks`.
        limits: of the server.

    Raises:
        CheckpointError, InputError: see `fusion.export.load.load` and `find_networks`.
    """
    model = load(folder)
    loaded = None
    missing = ""
    if isinstance(model, SavedModel) and model.reference is not None:
        loaded, missing = find_networks(folder, model, networks)
        # Read once: an explanation without networks reads the stored evidence every time.
        loaded = loaded or stored_networks(model)
    is_shipped = str(folder) == SHIPPED and not Path(folder).exists()
    is_shipped = is_shipped or Path(folder).resolve() == shipped_folder().resolve()
    title = "model that ships: human miRNAs" if is_shipped else f"model of {_name(folder)}"
    return Service(model, title, limits or Limits(), loaded, missing)


def rna_types(model: Model) -> list[str]:
    """RNA types that a new sequence may have; empty for a model of one type."""
    if not isinstance(model, SavedModel):
        return list(model.types)
    types = None if model.reference is None else model.reference.types
    return sorted({name for name in types or () if name})


def without_nan(value: Any) -> Any:
    """A value with None for NaN and infinity, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def as_json(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")


def _name(folder: str | Path) -> str:
    """Last part of a path, so that the page tells nothing of the machine."""
    path = Path(folder)
    return path.name or path.resolve().name
