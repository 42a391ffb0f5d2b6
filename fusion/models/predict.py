"""Predictions of reference RNAs, by name or exact sequence, and of new RNAs, by sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fusion.models.ensemble import FusionModel
from fusion.models.new_rnas import (
    check_type,
    tokens_of_new_rnas,
    typed_tokens,
    typed_warnings,
    warnings_of,
)
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.tokens.kinds import modality_of
from fusion.tokens.table import TokenTable
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.io import to_rna
from mirnagraph.names import Match, unanswered
from mirnagraph.names.match import NEW, UNKNOWN
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.text import has_control
from seqtower.predict import calls
from seqtower.saved import SavedTower

OUT_OF_FOLD = "out-of-fold"
FINAL = "final model"
SEQUENCE_ALONE = "sequence alone"

QUERY_COLUMNS = ["query", "rna_id", "accession", "match"]
"""First columns of every table of predictions."""

TRAINED_ON = "the model was trained on this RNA's label"

NO_COLD_START = 'the model has no cold-start model for new RNAs; train it with `newcomers = "cold"`'


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for some RNAs.

    Attributes:
        compartments: names, in column order.
        probabilities: calibrated, in [0, 1], shape (n, n_labels); NaN for a compartment for which
            the RNA type has no labels.
        uncertainty: SD of the probabilities over the ensemble, same shape.
        called: bool, same shape: whether the probability reaches the threshold, which was chosen
            on training RNAs.
        about: one row per query, with it as the index; columns ``query`` (as asked), ``rna_id``
            (the RNA that is predicted, empty for none), ``accession`` (of what was asked),
            ``match`` (a key of `mirnagraph.names.QUERY_KINDS`), ``source`` (which model predicted:
            ``out-of-fold``, one that was not trained on the RNA; ``final model``, for an RNA that
            no fold tested; ``sequence alone``; empty for none), ``known_as`` (reference RNA),
            ``modalities`` (of the RNA's tokens), ``nearest`` and ``similarity`` (of the reference
            sequences), ``warning``.
    """

    compartments: tuple[str, ...]
    probabilities: np.ndarray
    uncertainty: np.ndarray
    called: np.ndarray
    about: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row per query.

        Columns ``query``, ``rna_id``, ``accession``, ``match``, one probability per compartment,
        ``called``, ``uncertainty of …`` per compartment, then the others of `about`.
        """
        about = self.about.reset_index(drop=True)
        table = pd.DataFrame(self.probabilities, columns=list(self.compartments))
        names = np.array(self.compartments, dtype=object)
        table["called"] = [";".join(names[is_called]) for is_called in self.called]
        for column, name in enumerate(self.compartments):
            table[f"uncertainty of {name}"] = self.uncertainty[:, column]
        return pd.concat([about[QUERY_COLUMNS], table, about.drop(columns=QUERY_COLUMNS)], axis=1)

    def to_dicts(self) -> list[dict[str, object]]:
        """One mapping per query, of plain values for JSON."""
        records = []
        for row, about in enumerate(self.about.to_dict("records")):
            compartments = {}
            for column, compartment in enumerate(self.compartments):
                compartments[compartment] = {
                    "probability": _plain(self.probabilities[row, column]),
                    "uncertainty": _plain(self.uncertainty[row, column]),
                    "called": bool(self.called[row, column]),
                }
            record: dict[str, object] = {name: about.pop(name) for name in QUERY_COLUMNS}
            record["compartments"] = compartments
            record |= {str(key): _plain(value) for key, value in about.items()}
            records.append(record)
        return records


def reference_of(model: SavedModel) -> ReferenceRNAs:
    """The reference RNAs of a model.

    Raises:
        CheckpointError: the model was saved without them.
    """
    if model.reference is None:
        raise CheckpointError("the model has no reference RNAs")
    return model.reference


def match_queries(
    model: SavedModel,
    names: Iterable[str],
    *,
    strict: bool = False,
    place: Callable[[list[str]], str] | None = None,
) -> list[Match]:
    """Answer names by the reference RNAs of a model and the names of miRBase that it carries.

    A hairpin that is no reference RNA has an answer where the model has a cold-start model.

    Args:
        model: with reference RNAs.
        names: of any kind (see `mirnagraph.names.NameResolver`).
        strict: raise for names without an answer, all of them at once.
        place: where some names are, for the error; None without a file.

    Raises:
        InputError: `strict`, and a name has no answer; or a name that no table can hold.
    """
    resolver = reference_of(model).resolver
    queries = [str(name) for name in names]
    for query in filter(has_control, queries):
        raise InputError("a control character in a name", found=query, expected="a line of text")
    matches = [resolver.match(query) for query in queries]
    if model.cold_start is None:
        matches = [_without_cold_start(match) for match in matches]
    if strict:
        require_answers(matches, place)
    return matches


def _without_cold_start(match: Match) -> Match:
    """The match of a model that cannot predict from a sequence."""
    if match.rna_id is None or match.row is not None:
        return match
    note = f"{match.query!r} ({match.rna_id}) is no reference RNA, and {NO_COLD_START}"
    return replace(match, rna_id=None, kind=UNKNOWN, note=note)


def require_answers(
    matches: Sequence[Match], place: Callable[[list[str]], str] | None = None
) -> None:
    """Raise InputError that names every query without an answer; do nothing without any.

    Args:
        matches: of all queries.
        place: where some queries are, such as ``"ids.txt, line 3"``; None without a file.
    """
    missing = [match.query for match in matches if match.rna_id is None]
    n_missing = len(missing)
    if not missing:
        return
    of = f"{n_missing} of {len(matches)} names have no answer: " if len(matches) > 1 else ""
    reasons = unanswered(matches)
    end = "" if reasons.endswith("?") else "."
    where = f"{place(missing)}: " if place is not None else ""
    raise InputError(f"{where}{of}{reasons}{end} Pass the sequence of a new RNA with --fasta")


def resolve_names(model: SavedModel, names: Sequence[str]) -> np.ndarray:
    """Row of each name among the reference RNAs: int64, shape (n,).

    Raises:
        InputError: names without an answer, all at once, or that are of no reference RNA.
    """
    matches = reference_of(model).resolver
    found = [_of_reference(matches.match(name)) for name in names]
    require_answers(found)
    return np.array([match.row for match in found], dtype=np.int64)


def _of_reference(match: Match) -> Match:
    """The match, without an answer where it is of no reference RNA."""
    if match.row is not None or match.rna_id is None:
        return match
    note = f"{match.query!r} is no reference RNA"
    return replace(match, rna_id=None, kind=UNKNOWN, note=note)


def predict_names(
    model: SavedModel, names: Sequence[str], *, strict: bool = False, workers: int = 1
) -> Predictions:
    """Predict RNAs by name, in the order of the names.

    A reference RNA is predicted as by `predict_reference`. A hairpin of miRBase that is none is
    predicted from its sequence by the cold-start model. A name without an answer is a row of NaN
    with the reason as its warning.

    Args:
        model: with reference RNAs.
        names: of any kind; the same RNA may be asked for under several names.
        strict: raise for names without an answer.
        workers: number of threads; predictions do not depend on it.

    Raises:
        InputError: `strict`, and a name has no answer.
    """
    matches = match_queries(model, names, strict=strict)
    rows = np.array([-1 if match.row is None else match.row for match in matches], dtype=np.int64)
    is_new = [bool(match.rna_id) and match.row is None for match in matches]
    known = np.flatnonzero(rows >= 0)
    new = np.flatnonzero(is_new)
    missing = np.flatnonzero([match.rna_id is None for match in matches])
    predictions = [_no_predictions(model, len(missing))]
    if len(known):
        predictions.append(_predict_rows(model, rows[known]))
    if len(new):
        sequence_of = {str(matches[place].rna_id): matches[place].sequence for place in new}
        ids = list(sequence_of)
        unique = _predict_new(model, ids, list(sequence_of.values()), workers)
        predictions.append(_rows(unique, [ids.index(str(matches[place].rna_id)) for place in new]))
    return _in_order(predictions, np.concatenate([missing, known, new]), matches)


def predict_reference(model: SavedModel, rows: np.ndarray) -> Predictions:
    """Predict reference RNAs, out-of-fold where available.

    No out-of-fold prediction uses the RNA's own label.

    Args:
        model: with reference RNAs.
        rows: of the reference RNAs.
    """
    rows = np.asarray(rows, dtype=np.int64)
    resolver = reference_of(model).resolver
    ids = reference_of(model).index.ids
    matches = [resolver.match(ids[row]) for row in rows]
    return _in_order([_predict_rows(model, rows)], np.arange(len(rows)), matches)


def _predict_rows(model: SavedModel, rows: np.ndarray) -> Predictions:
    """Predictions of reference RNAs, under their ids."""
    reference = reference_of(model)
    probabilities = reference.probabilities[rows].astype(np.float64)
    uncertainty = reference.uncertainty[rows].astype(np.float64)
    thresholds = reference.thresholds[rows].astype(np.float64)
    is_tested = np.isfinite(probabilities).all(axis=1)
    untested = np.flatnonzero(~is_tested)
    if len(untested):
        fusion_model = model.fusion_model(reference.tokens)
        probabilities[untested] = fusion_model.predict(rows[untested])
        uncertainty[untested] = fusion_model.uncertainty(rows[untested])
        thresholds[untested] = model.thresholds
    if reference.types is not None:
        labelled = [reference.labelled_for(reference.types[row]) for row in rows]
        is_unlabelled = ~np.array(labelled, dtype=bool).reshape(probabilities.shape)
        probabilities[is_unlabelled] = np.nan
        uncertainty[is_unlabelled] = np.nan
    names = [reference.index.ids[row] for row in rows]
    about = _about(
        names,
        source=np.where(is_tested, OUT_OF_FOLD, FINAL).astype(object),
        known_as=names,
        modalities=[";".join(modalities(reference.tokens, row)) for row in rows],
        nearest=names,
        similarity=1.0,
        warning=np.where(reference.trained[rows] & ~is_tested, TRAINED_ON, "").astype(object),
    )
    called = probabilities >= thresholds
    return Predictions(model.compartments, probabilities, uncertainty, called, about)


def predict_sequences(
    model: SavedModel,
    ids: Sequence[str],
    sequences: Sequence[str],
    *,
    rna_type: str | None = None,
    workers: int = 1,
) -> Predictions:
    """Predict sequences, in their order.

    The exact sequence of a reference RNA, or of one of its mature forms, is predicted as that RNA:
    the most specific one where several hold it (see `match_sequences`). Any other is predicted from
    its similarity to the reference RNAs, independently of the other queries.

    Args:
        model: with reference RNAs.
        ids: unique names.
        sequences: of ACGUTN, one nucleotide or more each.
        rna_type: of the new RNAs, for a model with additional RNA sets; None: the type of the
            networks' RNAs.
        workers: number of threads; predictions do not depend on it.

    Raises:
        ConfigError: no sequence; a new one without a cold-start model; a type without training
            RNAs.
    """
    reference = reference_of(model)
    rna_sequences = [to_rna(sequence) for sequence in sequences]
    if rna_type is not None:
        check_type(reference, rna_type)
    if not rna_sequences:
        raise ConfigError("no sequence to predict")
    matches = match_sequences(reference, ids, rna_sequences, rna_type)
    rows = np.array([-1 if match.row is None else match.row for match in matches], dtype=np.int64)
    matched = np.flatnonzero(rows >= 0)
    new = np.flatnonzero(rows < 0)
    predictions = []
    if len(matched):
        predictions.append(_predict_rows(model, rows[matched]))
    if len(new):
        new_ids = np.array(ids, dtype=object)[new].tolist()
        new_sequences = np.array(rna_sequences, dtype=object)[new].tolist()
        if rna_type is None:
            predictions.append(_predict_new(model, new_ids, new_sequences, workers))
        else:
            predictions.append(_predict_typed(model, new_ids, new_sequences, rna_type))
    return _in_order(predictions, np.concatenate([matched, new]), matches)


def predict_with_tower(
    tower: SavedTower, ids: Sequence[str], sequences: Sequence[str]
) -> Predictions:
    """Predict sequences by a sequence tower.

    A tower has one member, so that its uncertainty is NaN; for calls see `seqtower.predict.calls`.
    """
    probabilities = tower.predict([to_rna(sequence) for sequence in sequences])
    called = calls(probabilities, tower.kind, tower.thresholds)
    uncertainty = np.full(probabilities.shape, np.nan)
    return Predictions(
        tuple(tower.compartments), probabilities, uncertainty, called, _about(list(ids))
    )


def match_sequences(
    reference: ReferenceRNAs,
    ids: Sequence[str],
    sequences: Sequence[str],
    rna_type: str | None = None,
) -> list[Match]:
    """Answer sequences by the reference RNAs that hold them, as themselves or as a mature form.

    Where several do, the most specific one answers (see `mirnagraph.names.ReferenceNames.ranked`)
    and the others are named.

    Args:
        reference: the reference RNAs.
        ids: of the sequences.
        sequences: upper-case ACGUN.
        rna_type: additional RNAs of this type alone; None: all reference RNAs.
    """
    rows = None
    if rna_type is not None:
        rows = {row for row, name in enumerate(reference.types or ()) if name == rna_type}
    resolver = reference.resolver
    pairs = zip(ids, sequences, strict=True)
    return [resolver.match_sequence(str(name), sequence, rows) for name, sequence in pairs]


def modalities(tokens: TokenTable, row: int) -> list[str]:
    """Modalities of the tokens of one RNA, in token order: ``sequence``, kinds of association."""
    names = dict.fromkeys(modality_of(token.name) for token in tokens if token.present[row])
    return [name for name in names if name]


def _about(ids: list[str], **columns: object) -> pd.DataFrame:
    """The table `Predictions.about`; a single value holds for every RNA."""
    of_sequences = {
        "query": ids,
        "rna_id": ids,
        "accession": "",
        "match": NEW,
        "source": SEQUENCE_ALONE,
        "known_as": "",
        "modalities": "sequence",
        "nearest": "",
        "similarity": np.nan,
        "warning": "",
    }
    return pd.DataFrame(of_sequences | columns, index=pd.Index(ids, dtype=object))


def _predict_new(
    model: SavedModel, ids: list[str], sequences: list[str], workers: int
) -> Predictions:
    """Predict new RNAs of the type of the networks' RNAs by the cold-start model."""
    if model.cold_start is None:
        raise ConfigError(NO_COLD_START)
    reference = reference_of(model).of_networks()
    cold_start = model.cold_start.on(TokenTable(reference.index, ()))
    new, fusion_model = tokens_of_new_rnas(ids, sequences, reference, cold_start, workers=workers)
    nearest = new.similarity.argmax(axis=1)
    about = _about(
        ids,
        nearest=[reference.index.ids[row] for row in nearest],
        similarity=new.similarity.max(axis=1).astype(float).round(4),
        warning=warnings_of(new, reference),
    )
    is_labelled = np.arange(len(model.compartments)) < len(fusion_model.thresholds)
    return _predict_labelled(model, fusion_model, is_labelled, about)


def _predict_typed(
    model: SavedModel, ids: list[str], sequences: list[str], rna_type: str
) -> Predictions:
    """Predict new RNAs of a type of the additional RNA sets by the final model."""
    reference = reference_of(model)
    final = model.fusion_model(reference.tokens)
    tokens = typed_tokens(NodeIndex.of(ids, "miRNA"), sequences, rna_type, reference, final)
    about = _about(
        ids,
        modalities=f"sequence;{rna_type}",
        warning=typed_warnings(sequences, rna_type, reference),
    )
    is_labelled = reference.labelled_for(rna_type)
    return _predict_labelled(model, replace(final, tokens=tokens), is_labelled, about)


def _predict_labelled(
    model: SavedModel, fusion_model: FusionModel, is_labelled: np.ndarray, about: pd.DataFrame
) -> Predictions:
    """Predict the RNAs of a model's tokens; NaN for compartments that are not labelled.

    Args:
        model: names the compartments.
        fusion_model: on the tokens of the RNAs.
        is_labelled: bool, shape (n_labels,); those that `fusion_model` lacks come last.
        about: see `Predictions`.
    """
    rows = np.arange(len(about))
    thresholds = fusion_model.thresholds[None]
    values = (fusion_model.predict(rows), fusion_model.uncertainty(rows), thresholds)
    n_missing = len(is_labelled) - len(fusion_model.thresholds)
    probabilities, uncertainty, thresholds = (
        np.where(is_labelled, np.pad(array, ((0, 0), (0, n_missing))), np.nan) for array in values
    )
    called = probabilities >= thresholds
    return Predictions(model.compartments, probabilities, uncertainty, called, about)


def _no_predictions(model: SavedModel, n: int) -> Predictions:
    """Rows of NaN, for names without an answer."""
    values = np.full((n, len(model.compartments)), np.nan)
    about = _about([""] * n, source="", modalities="")
    called = np.zeros(values.shape, dtype=bool)
    return Predictions(model.compartments, values, values, called, about)


def _rows(predictions: Predictions, rows: Sequence[int]) -> Predictions:
    """Some rows of predictions, also repeated."""
    return replace(
        predictions,
        probabilities=predictions.probabilities[rows],
        uncertainty=predictions.uncertainty[rows],
        called=predictions.called[rows],
        about=predictions.about.iloc[list(rows)],
    )


def _in_order(
    predictions: list[Predictions], numbers: np.ndarray, matches: Sequence[Match]
) -> Predictions:
    """Join predictions, sort them by number, and say what was asked and how it was matched."""
    order = np.argsort(numbers)
    about = pd.concat([part.about for part in predictions]).iloc[order]
    about.index = pd.Index([match.query for match in matches], dtype=object)
    about["query"] = [match.query for match in matches]
    about["rna_id"] = [match.rna_id or "" for match in matches]
    about["accession"] = [match.accession for match in matches]
    about["match"] = [match.kind for match in matches]
    reasons = zip((match.warning for match in matches), about["warning"], strict=True)
    about["warning"] = ["; ".join(filter(None, both)) for both in reasons]
    probabilities, uncertainty, called = (
        np.concatenate([getattr(part, name) for part in predictions])[order]
        for name in ("probabilities", "uncertainty", "called")
    )
    return Predictions(predictions[0].compartments, probabilities, uncertainty, called, about)


def _plain(value: object) -> object:
    """A value as JSON has it, which has no NaN."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
