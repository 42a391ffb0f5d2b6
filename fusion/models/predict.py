"""Predictions of reference RNAs, by name or exact sequence, and of new RNAs, by sequence."""

from __future__ import annotations

from collections.abc import Sequence
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
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.io import to_rna
from mirnagraph.names import natural_key, normalise, stem, suggest
from mirnagraph.nodes import NodeIndex
from seqtower.predict import calls
from seqtower.saved import SavedTower

OUT_OF_FOLD = "out-of-fold"
FINAL = "final model"
SEQUENCE_ALONE = "sequence alone"

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
        about: index ``rna_id``; columns ``source`` (which model predicted: ``out-of-fold``, one
            that was not trained on the RNA; ``final model``, for an RNA that no fold tested;
            ``sequence alone``), ``known_as`` (reference RNA), ``modalities`` (of the RNA's
            tokens), ``nearest`` and ``similarity`` (of the reference sequences), ``warning``.
    """

    compartments: tuple[str, ...]
    probabilities: np.ndarray
    uncertainty: np.ndarray
    called: np.ndarray
    about: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row per RNA.

        Columns ``rna_id``, one probability per compartment, ``called``, ``uncertainty of …`` per
        compartment, then those of `about`.
        """
        table = pd.DataFrame(
            self.probabilities, columns=list(self.compartments), index=self.about.index
        )
        names = np.array(self.compartments, dtype=object)
        table["called"] = [";".join(names[is_called]) for is_called in self.called]
        for column, name in enumerate(self.compartments):
            table[f"uncertainty of {name}"] = self.uncertainty[:, column]
        return pd.concat([table, self.about], axis=1).rename_axis("rna_id").reset_index()

    def to_dicts(self) -> list[dict[str, object]]:
        """One mapping per RNA, of plain values for JSON."""
        records = []
        for row, (name, about) in enumerate(self.about.to_dict("index").items()):
            compartments = {}
            for column, compartment in enumerate(self.compartments):
                compartments[compartment] = {
                    "probability": _plain(self.probabilities[row, column]),
                    "uncertainty": _plain(self.uncertainty[row, column]),
                    "called": bool(self.called[row, column]),
                }
            record: dict[str, object] = {"rna_id": name, "compartments": compartments}
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


def resolve_names(model: SavedModel, names: Sequence[str]) -> np.ndarray:
    """Row of each name among the reference RNAs: int64, shape (n,).

    Case and spelling of a miRNA name do not matter; a mature form (-5p, -3p) that is no reference
    RNA stands for its precursor.

    Raises:
        ConfigError: an unknown name, with those that are near.
    """
    ids = reference_of(model).index.ids
    row_of = {name: row for row, name in enumerate(ids)}
    row_of_normalised = {normalise(name): row for name, row in reversed(row_of.items())}
    rows = []
    for name in names:
        row = row_of.get(name)
        if row is None:
            row = row_of_normalised.get(normalise(name), row_of_normalised.get(stem(name)))
        if row is None:
            near = ", ".join(suggest(name, ids))
            hint = f"; did you mean {near}?" if near else "."
            raise ConfigError(
                f"unknown RNA {name!r} ({len(ids)} reference RNAs){hint} "
                "Pass the sequence of a new RNA with --fasta"
            )
        rows.append(row)
    return np.asarray(rows, dtype=np.int64)


def predict_reference(model: SavedModel, rows: np.ndarray) -> Predictions:
    """Predict reference RNAs, out-of-fold where available.

    No out-of-fold prediction uses the RNA's own label.

    Args:
        model: with reference RNAs.
        rows: of the reference RNAs.
    """
    reference = reference_of(model)
    rows = np.asarray(rows, dtype=np.int64)
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

    The exact sequence of a reference RNA, or of one of its mature forms, is predicted as that RNA.
    Any other is predicted from its similarity to the reference RNAs, independently of the other
    queries.

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
    matches = exact_matches(reference, rna_type)
    rows = np.array([matches.get(sequence, -1) for sequence in rna_sequences], dtype=np.int64)
    matched = np.flatnonzero(rows >= 0)
    new = np.flatnonzero(rows < 0)
    predictions = []
    if len(matched):
        predictions.append(predict_reference(model, rows[matched]))
    if len(new):
        new_ids = np.array(ids, dtype=object)[new].tolist()
        new_sequences = np.array(rna_sequences, dtype=object)[new].tolist()
        if rna_type is None:
            predictions.append(_predict_new(model, new_ids, new_sequences, workers))
        else:
            predictions.append(_predict_typed(model, new_ids, new_sequences, rna_type))
    return _in_order(predictions, np.concatenate([matched, new]), ids)


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


def exact_matches(reference: ReferenceRNAs, rna_type: str | None = None) -> dict[str, int]:
    """Row of the reference RNA with a sequence, or with a mature form of that sequence.

    Where several share it, the first by name counts, RNAs of the networks first.

    Args:
        reference: the reference RNAs.
        rna_type: additional RNAs of this type alone; None: all reference RNAs.
    """
    rows = list(range(len(reference.index)))
    if rna_type is not None:
        rows = [row for row, name in enumerate(reference.types or ()) if name == rna_type]
    n_network_rnas = reference.n_network_rnas
    rows.sort(key=lambda row: (row >= n_network_rnas, natural_key(reference.index.ids[row])))
    row_of: dict[str, int] = {}
    for row in rows:
        if reference.sequences[row]:
            row_of.setdefault(str(reference.sequences[row]), row)
    for row in rows:
        for mature in filter(None, reference.matures[row].split(";")):
            row_of.setdefault(mature, row)
    return row_of


def modalities(tokens: TokenTable, row: int) -> list[str]:
    """Modalities of the tokens of one RNA, in token order: ``sequence``, kinds of association."""
    names = dict.fromkeys(modality_of(token.name) for token in tokens if token.present[row])
    return [name for name in names if name]


def _about(ids: list[str], **columns: object) -> pd.DataFrame:
    """The table `Predictions.about`; a single value holds for every RNA."""
    of_sequences = {
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


def _in_order(
    predictions: list[Predictions], numbers: np.ndarray, ids: Sequence[str]
) -> Predictions:
    """Join predictions and sort them by number, under the names given."""
    order = np.argsort(numbers)
    about = pd.concat([part.about for part in predictions]).iloc[order]
    about.index = pd.Index(list(ids), dtype=object)
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
