"""Predictions of any number of RNAs as rows of a table, one chunk after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from fusion import api
from fusion.export.load import Model
from fusion.models.predict import (
    OUT_OF_FOLD,
    QUERY_COLUMNS,
    SEQUENCE_ALONE,
    Predictions,
    match_queries,
)
from fusion.models.saved import SavedModel
from fusion.tokens.kinds import modality_of
from fusion.tokens.names import SEQUENCE, TokenName
from mirnagraph.errors import counted
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS
from mirnagraph.parallel import Progress, check_job_answer, map_in_order, report
from mirnagraph.runs.prediction_table import CALLED, QUERY, WARNING, PredictionRows
from mirnagraph.sources.fasta import FastaRecord
from seqtower.encoders.base import ENCODERS, check_encoder
from seqtower.predict import (
    ReadingCounts,
    reading_counts,
    reading_warnings,
    readings,
    remarks_of,
)
from seqtower.saved import SavedTower
from seqtower.training.health import model_warning

CHUNK_RNAS = 500
"""RNAs predicted at a time."""

CHUNK_NAMES = 2_000
"""Names predicted at a time."""

CHUNK_NUCLEOTIDES = 1_000_000
"""Nucleotides predicted at a time, unless one RNA is longer."""

STEP = "Predicting"

NO_PARTNERS = "no partners in the networks"

UNCERTAINTY_OF = "uncertainty of {}"

SYNTHETIC = "Warning: the model was trained on synthetic data and says nothing about real RNAs"

EXPRESSION = "expression"

logger = logging.getLogger(__name__)


@dataclass
class StreamCounts:
    """What was predicted so far.

    Attributes:
        sources: number of RNAs by the model that predicted them.
        n_warnings: RNAs with a warning.
        unanswered: queries without a prediction -> the reason.
        reading: how a sequence tower read the RNAs.
    """

    sources: dict[str, int] = field(default_factory=dict)
    n_warnings: int = 0
    unanswered: dict[str, str] = field(default_factory=dict)
    reading: ReadingCounts = field(default_factory=ReadingCounts)

    @property
    def n_rnas(self) -> int:
        """Number of queries."""
        return sum(self.sources.values()) + len(self.unanswered)

    def add(self, rows: PredictionRows) -> None:
        """Count some rows."""
        is_answered = ~rows.is_unanswered
        if "source" in rows.details:
            by_source = rows.details.loc[is_answered, "source"].value_counts()
            for source, n in by_source.items():
                self.sources[str(source)] = self.sources.get(str(source), 0) + int(n)
        self.n_warnings += int((rows.details.loc[is_answered, WARNING] != "").sum())
        queries = rows.ids.loc[~is_answered, QUERY]
        reasons = rows.details.loc[~is_answered, WARNING]
        self.unanswered |= dict(zip(queries, reasons, strict=True))


def counts_in_words(counts: StreamCounts) -> str:
    """RNAs by the model that predicted them: ``"3 RNAs (2 out-of-fold, 1 sequence alone)"``."""
    sources = ", ".join(f"{n} {source}" for source, n in counts.sources.items()) or "none answered"
    warnings = f", {counts.n_warnings} with a warning" if counts.n_warnings else ""
    n_rnas = counted(counts.n_rnas, "RNA")
    return f"{n_rnas} ({sources}){warnings}"


def model_remarks(model: Model, counts: StreamCounts) -> list[str]:
    """Sentences on a model and on how it read the RNAs that were counted."""
    remarks = []
    if isinstance(model, SavedTower):
        warning = model_warning(model.about)
        if warning:
            remarks.append(f"Warning: {warning}")
        settings = model.config.training
        has_trees = model.trees is not None
        remarks += remarks_of(counts.reading, model.encoding, settings, has_trees=has_trees)
    if model.about.get("synthetic"):
        remarks.append(SYNTHETIC)
    return remarks


@dataclass(frozen=True)
class _Work:
    """What the prediction of every chunk reads: the model, and options of `fusion.api.predict`."""

    model: Model
    options: Mapping[str, Any]


def _predict_records(
    work: _Work, records: Sequence[FastaRecord]
) -> tuple[PredictionRows, ReadingCounts]:
    sequences = {record.id: record.sequence for record in records}
    rows = prediction_rows(work.model, api.predict(work.model, sequences=sequences, **work.options))
    if isinstance(work.model, SavedTower):
        return _with_readings(rows, work.model, list(sequences.values()))
    return rows, ReadingCounts()


def _processes(workers: int) -> int:
    """One process where there is a GPU, which several would have to share."""
    return 1 if torch.cuda.is_available() else workers


def _predict_names(work: _Work, names: Sequence[str] | None) -> PredictionRows:
    return prediction_rows(work.model, api.predict(work.model, names, **work.options))


def stream_predictions(
    model: Model,
    records: Iterable[FastaRecord],
    counts: StreamCounts,
    *,
    rna_type: str | None = None,
    workers: int = 1,
    chunk_rnas: int = CHUNK_RNAS,
    n_records: int = 0,
    progress: Progress | None = None,
) -> Iterator[PredictionRows]:
    """Predict sequences chunk by chunk, in their order.

    A prediction does not depend on the other queries, so that the size of a chunk changes nothing
    but the last digits of floating-point sums.

    Args:
        model: opened.
        records: of `mirnagraph.sources.fasta.stream_fasta`.
        counts: is added to.
        rna_type: see `fusion.api.predict`.
        workers: processes, on a GPU one; results do not depend on it.
        chunk_rnas: largest number of RNAs of a chunk.
        n_records: number of records for `progress`; 0 where unknown.
        progress: called after each chunk.

    Raises:
        ConfigError, InputError: see `fusion.api.predict` and `stream_fasta`.
    """
    if isinstance(model, SavedTower) and ENCODERS[model.config.encoder.name].is_cached:
        check_job_answer(check_encoder, model.config.encoder)
    work = _Work(model, {"rna_type": rna_type})
    n_done = 0
    chunks = _chunks(records, chunk_rnas)
    for rows, reading in map_in_order(_predict_records, work, chunks, _processes(workers)):
        counts.add(rows)
        counts.reading += reading
        n_done += len(rows)
        logger.info("%d RNAs predicted", n_done)
        if progress is not None:
            progress(STEP, n_done, n_records)
        yield rows
    report(progress, STEP, n_done, n_done)


def stream_names(
    model: Model,
    names: Sequence[str] | None,
    counts: StreamCounts,
    *,
    strict: bool = False,
    place: Callable[[list[str]], str] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **options: Any,
) -> Iterator[PredictionRows]:
    """Predict RNAs by name, chunk by chunk, in the order of the names.

    Args:
        model: opened.
        names: None for all reference RNAs.
        counts: is added to.
        strict: raise for names without an answer, before anything is predicted.
        place: where some names are, for that error; None without a file.
        workers: processes, on a GPU one; results do not depend on it.
        progress: called after each chunk of several.
        **options: see `fusion.api.predict`.

    Raises:
        ConfigError, InputError: see `fusion.api.predict`.
    """
    if names is None:
        chunks: list[Sequence[str] | None] = [None]
    else:
        chunks = [names[start : start + CHUNK_NAMES] for start in range(0, len(names), CHUNK_NAMES)]
        if strict and isinstance(model, SavedModel):
            match_queries(model, names, strict=True, place=place)
    work = _Work(model, options)
    n_done = 0
    for rows in map_in_order(_predict_names, work, chunks, _processes(workers)):
        counts.add(rows)
        n_done += len(rows)
        if names is not None and len(chunks) > 1:
            report(progress, STEP, n_done, len(names))
        yield rows


def prediction_rows(model: Model, predictions: Predictions) -> PredictionRows:
    """Rows of a table of predictions.

    Args:
        model: that predicted.
        predictions: of `fusion.api.predict`.
    """
    table = predictions.to_frame()
    names = list(predictions.compartments)
    others = {*QUERY_COLUMNS, *names, CALLED, *(UNCERTAINTY_OF.format(name) for name in names)}
    details = table[[name for name in table.columns if name not in others]].copy()
    is_fractions = isinstance(model, SavedTower) and model.kind == FRACTIONS
    if isinstance(model, SavedModel):
        details[WARNING] = _with_partners_warning(model, details)
    return PredictionRows(
        table[QUERY_COLUMNS],
        tuple(names),
        np.asarray(predictions.probabilities, dtype=np.float64),
        np.asarray(predictions.uncertainty, dtype=np.float64),
        None if is_fractions else predictions.called,
        details,
    )


def thresholds_of(model: Model, compartments: Sequence[str]) -> dict[str, Any]:
    """What a table of predictions needs to be read: thresholds, and what an interval is.

    Args:
        model: that predicts.
        compartments: of the table.
    """
    columns = [model.compartments.index(name) for name in compartments]
    about: dict[str, Any] = {
        "compartments": list(compartments),
        "interval": "95 %, of the spread of the ensemble's members (delta method on the logit)",
    }
    if isinstance(model, SavedTower) and model.kind == FRACTIONS:
        return about | {"called": "no calls: the model predicts fractions"}
    if isinstance(model, SavedTower) and model.kind == CLASS:
        return about | {"called": "the class of the largest probability"}
    about["called"] = "probability >= threshold, by the column source"
    final = np.asarray(model.thresholds, dtype=float)[columns]
    if isinstance(model, SavedTower):
        return about | {"thresholds": {SEQUENCE_ALONE: _by_name(compartments, final)}}
    thresholds: dict[str, Any] = {"final model": _by_name(compartments, final)}
    if model.cold_start is not None:
        cold = np.asarray(model.cold_start.thresholds, dtype=float)
        padded = np.concatenate([cold, np.full(len(model.compartments) - len(cold), np.nan)])
        thresholds[SEQUENCE_ALONE] = _by_name(compartments, padded[columns])
    if model.reference is not None:
        thresholds[OUT_OF_FOLD] = _by_fold(compartments, model.reference.thresholds[:, columns])
    return about | {"thresholds": thresholds}


def _by_name(compartments: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in zip(compartments, values, strict=True)
    }


def _by_fold(compartments: Sequence[str], thresholds: np.ndarray) -> dict[str, Any]:
    """Smallest and largest threshold of the folds, by compartment."""
    ends = {}
    for name, values in zip(compartments, thresholds.T, strict=True):
        known = values[np.isfinite(values)]
        if len(known):
            ends[name] = {"smallest": float(known.min()), "largest": float(known.max())}
    return ends


def _chunks(records: Iterable[FastaRecord], chunk_rnas: int) -> Iterator[list[FastaRecord]]:
    chunk: list[FastaRecord] = []
    n_nucleotides = 0
    for record in records:
        n_nucleotides += len(record.sequence)
        if chunk and (len(chunk) == chunk_rnas or n_nucleotides > CHUNK_NUCLEOTIDES):
            yield chunk
            chunk = []
            n_nucleotides = len(record.sequence)
        chunk.append(record)
    if chunk:
        yield chunk


def _with_readings(
    rows: PredictionRows, tower: SavedTower, sequences: list[str]
) -> tuple[PredictionRows, ReadingCounts]:
    """Append what the tower read of each RNA, and a warning where that is not all at once."""
    table = readings(sequences, tower.encoding, tower.config.training)
    reasons = reading_warnings(table, sequences, tower.encoding)
    warnings = [
        "; ".join(filter(None, pair)) for pair in zip(rows.details[WARNING], reasons, strict=True)
    ]
    details = pd.concat([rows.details.assign(**{WARNING: warnings}), table], axis=1)
    read = PredictionRows(
        rows.ids, rows.compartments, rows.probabilities, rows.uncertainty, rows.called, details
    )
    return read, reading_counts(table, sequences)


def _with_partners_warning(model: SavedModel, details: pd.DataFrame) -> list[str]:
    """Warnings, with `NO_PARTNERS` for an RNA of the networks that has no association."""
    kinds = partner_modalities(model)
    warnings = [str(text) for text in details[WARNING]]
    reference = model.reference
    if not kinds or reference is None:
        return warnings
    is_of_networks = ~details["source"].isin(["", SEQUENCE_ALONE]).to_numpy()
    if reference.types is not None:
        of_networks = reference.index.ids[: reference.n_network_rnas]
        is_of_networks &= details["known_as"].isin(of_networks).to_numpy()
    modalities = details["modalities"].tolist()
    for row in np.flatnonzero(is_of_networks):
        if not kinds & set(str(modalities[row]).split(";")):
            warnings[row] = "; ".join(filter(None, [warnings[row], NO_PARTNERS]))
    return warnings


def partner_modalities(model: SavedModel) -> set[str]:
    """Modalities of a model's tokens that come from associations."""
    if model.reference is None:
        return set()
    names = [token.name for token in model.reference.tokens]
    is_other = {
        name: TokenName.parse(name).kind.startswith(EXPRESSION) for name in names if "+" not in name
    }
    modalities = {modality_of(name) for name, other in is_other.items() if not other}
    measured = {modality_of(name) for name, other in is_other.items() if other}
    return modalities - measured - {"", SEQUENCE, "networks"}
