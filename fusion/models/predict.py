"""Predictions for any RNA: one that a model knows, by name or by its exact sequence, or one newly found, by its sequence alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fusion.models.new_rnas import (
    check_type,
    tokens_of_new_rnas,
    typed_tokens,
    typed_warnings,
    warnings_of,
)
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.tokens.names import modality_of
from fusion.tokens.table import TokenTable
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.evaluation.metrics import FRACTIONS
from mirnagraph.io import to_rna
from mirnagraph.names import natural_key, normalise, stem, suggest
from mirnagraph.nodes import NodeIndex
from seqtower.saved import SavedTower

OUT_OF_FOLD = "out-of-fold"
FINAL = "final model"
SEQUENCE_ALONE = "sequence alone"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers for some RNAs.

    Attributes:
        compartments: names, in column order.
        probabilities: calibrated, in [0, 1], shape (n, n_labels); NaN for a compartment that the model did not learn of for RNAs of this type.
        spread: how far the members of the model disagree, as an SD of probabilities, same shape.
        called: bool, same shape: whether the probability reaches the threshold chosen on training RNAs.
        about: index ``rna_id``; columns ``source`` (which model answers: ``out-of-fold``, one that did not train on this RNA; ``final model``,
            for an RNA without labels that the networks hold; ``sequence alone``), ``known_as``, ``modalities`` (what there was to read),
            ``nearest`` and ``similarity`` (of the known sequences), ``warning``.
    """

    compartments: tuple[str, ...]
    probabilities: np.ndarray
    uncertainty: np.ndarray
    called: np.ndarray
    about: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row per RNA: ``rna_id``, one probability per compartment, ``called``, ``uncertainty of …`` per compartment, then `about`."""
        table = pd.DataFrame(
            self.probabilities, columns=list(self.compartments), index=self.about.index
        )
        table["called"] = [
            ";".join(c for c, yes in zip(self.compartments, row, strict=True) if yes)
            for row in self.called
        ]
        for column, name in enumerate(self.compartments):
            table[f"uncertainty of {name}"] = self.uncertainty[:, column]
        return pd.concat([table, self.about], axis=1).rename_axis("rna_id").reset_index()

    def to_dicts(self) -> list[dict[str, object]]:
        """The same, one mapping per RNA, as JSON takes it."""
        found = []
        for row, (name, about) in enumerate(self.about.to_dict("index").items()):
            answers = {
                c: {
                    "probability": _plain(self.probabilities[row, i]),
                    "uncertainty": _plain(self.uncertainty[row, i]),
                    "called": bool(self.called[row, i]),
                }
                for i, c in enumerate(self.compartments)
            }
            found.append(
                {
                    "rna_id": name,
                    "compartments": answers,
                    **{str(key): _plain(value) for key, value in about.items()},
                }
            )
        return found


def resolve_names(model: SavedModel, names: Sequence[str]) -> np.ndarray:
    """Row of each name among the model's RNAs: int64, shape (n,). Case and writing of a miRNA's name do not matter;
    a mature form (-5p, -3p) that is none of the RNAs stands for its precursor.

    Raises:
        ConfigError: a name that is not known; says which are near.
    """
    known = _known(model)
    rows = {name: row for row, name in enumerate(known.index.ids)}
    loose = {normalise(name): row for name, row in reversed(rows.items())}
    found = []
    for name in names:
        row = rows.get(name, loose.get(normalise(name), loose.get(stem(name))))
        if row is None:
            near = suggest(name, known.index.ids)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ConfigError(
                f"no RNA {name!r} among the {len(known.index)} that the model knows{hint} A new RNA needs its sequence (--fasta)"
            )
        found.append(row)
    return np.asarray(found, dtype=np.int64)


def predict_reference(model: SavedModel, rows: np.ndarray) -> Predictions:
    """Answers for RNAs that the model knows: out-of-fold where there is one, so that no RNA is told from its own label."""
    known = _known(model)
    rows = np.asarray(rows, dtype=np.int64)
    probabilities, uncertainty, called = (
        np.zeros((len(rows), len(model.compartments))) for _ in range(3)
    )
    outside = np.isfinite(known.probabilities[rows]).all(axis=1)
    inside = np.flatnonzero(~outside)
    if len(inside):
        fusion_model = model.fusion_model(known.tokens)
        probabilities[inside], uncertainty[inside] = (
            fusion_model.predict(rows[inside]),
            fusion_model.uncertainty(rows[inside]),
        )
        called[inside] = probabilities[inside] >= model.thresholds
    probabilities[outside], uncertainty[outside] = (
        known.probabilities[rows[outside]],
        known.uncertainty[rows[outside]],
    )
    called[outside] = known.probabilities[rows[outside]] >= known.thresholds[rows[outside]]
    if known.types is not None:
        labelled = np.array(
            [known.labelled(known.types[int(row)]) for row in rows], dtype=bool
        ).reshape(probabilities.shape)
        probabilities = np.where(labelled, probabilities, np.nan)
        uncertainty = np.where(labelled, uncertainty, np.nan)
        called = np.where(labelled, called, 0)
    warned = [
        "" if yes or not known.trained[row] else "the model learned from this RNA's own label"
        for row, yes in zip(rows, outside, strict=True)
    ]
    names = [known.index.ids[int(row)] for row in rows]
    about = pd.DataFrame(
        {
            "source": [OUT_OF_FOLD if yes else FINAL for yes in outside],
            "known_as": names,
            "modalities": [";".join(modalities(known.tokens, int(row))) for row in rows],
            "nearest": names,
            "similarity": 1.0,
            "warning": warned,
        },
        index=pd.Index(names, dtype=object),
    )
    return Predictions(model.compartments, probabilities, uncertainty, called.astype(bool), about)


def predict_sequences(
    model: SavedModel,
    ids: Sequence[str],
    sequences: Sequence[str],
    *,
    rna_type: str | None = None,
    workers: int = 1,
) -> Predictions:
    """Answers for sequences, in their order.

    A sequence that is exactly that of a known RNA, or of one of its mature forms, is answered as that RNA, with all that the networks hold of it.
    Any other joins the known ones by its similarity to them; its answer does not depend on which others are asked for.

    Args:
        ids: unique names. sequences: of ACGUTN, one or more letters each.
        rna_type: of the new ones, for a model that learned of sets of other RNAs beside those of its networks; None: RNAs such as the networks hold.

    Raises:
        ConfigError: the model has no part for newcomers, and a sequence is new; it learned of no RNA of the type.
    """
    known = _known(model)
    letters = [to_rna(s) for s in sequences]
    if rna_type is not None:
        check_type(known, rna_type)
    same = exact_matches(known, rna_type)
    rows = np.array([same.get(text, -1) for text in letters], dtype=np.int64)
    parts = []
    order = []
    for chosen, is_known in ((np.flatnonzero(rows >= 0), True), (np.flatnonzero(rows < 0), False)):
        if len(chosen):
            said = (
                predict_reference(model, rows[chosen])
                if is_known
                else _predict_new(
                    model,
                    [ids[int(i)] for i in chosen],
                    [letters[int(i)] for i in chosen],
                    rna_type,
                    workers,
                )
            )
            parts.append(said)
            order.append(chosen)
    return _together(model, parts, order, ids)


def predict_with_tower(
    tower: SavedTower, ids: Sequence[str], sequences: Sequence[str]
) -> Predictions:
    """The same for a model of the sequence tower, whose members do not disagree: it has one, and its spread is NaN.

    A model of fractions calls nothing.
    """
    letters = [to_rna(s) for s in sequences]
    said = tower.predict(letters)
    columns = {
        "source": SEQUENCE_ALONE,
        "known_as": "",
        "modalities": "sequence",
        "nearest": "",
        "similarity": np.nan,
        "warning": "",
    }
    about = pd.DataFrame(columns, index=pd.Index(list(ids), dtype=object))
    called = (
        np.zeros(said.shape, dtype=bool) if tower.kind == FRACTIONS else said >= tower.thresholds
    )
    return Predictions(tuple(tower.compartments), said, np.full(said.shape, np.nan), called, about)


def exact_matches(known: ReferenceRNAs, rna_type: str | None = None) -> dict[str, int]:
    """Sequence -> row of the RNA whose sequence it is, or one of whose mature forms it is; the first by name where several share it.

    Args:
        rna_type: only RNAs of this type among those of other sets than the networks'; None: all, the networks' first.
    """
    found: dict[str, int] = {}
    rows = [
        row
        for row in range(len(known.index))
        if rna_type is None or (known.types is not None and known.types[row] == rna_type)
    ]
    by_name = sorted(
        rows, key=lambda row: (row >= known.n_network_rnas, natural_key(known.index.ids[row]))
    )
    for row in by_name:
        if known.sequences[row]:
            found.setdefault(str(known.sequences[row]), row)
    for row in by_name:
        for mature in filter(None, known.matures[row].split(";")):
            found.setdefault(mature, row)
    return found


def modalities(tokens: TokenTable, row: int) -> list[str]:
    """What there is to read of one RNA: ``sequence`` and the kinds of association, in token order."""
    found = {modality_of(token.name): True for token in tokens if token.present[row]}
    return [name for name in found if name]


def _predict_new(
    model: SavedModel, ids: list[str], sequences: list[str], rna_type: str | None, workers: int
) -> Predictions:
    if rna_type is not None:
        return _predict_typed(model, ids, sequences, rna_type)
    if model.cold_start is None:
        raise ConfigError(
            'the model has no part for RNAs of which the sequence alone is known; train it with `newcomers = "cold"`'
        )
    known = _known(model).network_rows()
    new, fusion_model = tokens_of_new_rnas(
        ids, sequences, known, model.cold_start.on(TokenTable(known.index, ())), workers=workers
    )
    rows = np.arange(len(ids))
    probabilities, uncertainty = (
        _widened(said, len(model.compartments))
        for said in (fusion_model.predict(rows), fusion_model.uncertainty(rows))
    )
    nearest = new.similarity.argmax(axis=1)
    about = pd.DataFrame(
        {
            "source": SEQUENCE_ALONE,
            "known_as": "",
            "modalities": "sequence",
            "nearest": [known.index.ids[int(row)] for row in nearest],
            "similarity": new.similarity[rows, nearest].astype(float).round(4),
            "warning": warnings_of(new, known),
        },
        index=pd.Index(ids, dtype=object),
    )
    return Predictions(
        model.compartments,
        probabilities,
        uncertainty,
        probabilities >= _widened(model.cold_start.thresholds[None], len(model.compartments)),
        about,
    )


def _widened(said: np.ndarray, n_labels: int) -> np.ndarray:
    """NaN for the compartments that the networks' RNAs are not labelled for, which stand last."""
    return np.pad(said, ((0, 0), (0, n_labels - said.shape[1])), constant_values=np.nan)


def _predict_typed(
    model: SavedModel, ids: list[str], sequences: list[str], rna_type: str
) -> Predictions:
    known = _known(model)
    rows = np.arange(len(ids))
    fusion_model = model.fusion_model(known.tokens)
    fusion_model = replace(
        fusion_model,
        tokens=typed_tokens(NodeIndex.of(ids, "miRNA"), sequences, rna_type, known, fusion_model),
    )
    labelled = known.labelled(rna_type)
    probabilities, uncertainty = (
        np.where(labelled, said, np.nan)
        for said in (fusion_model.predict(rows), fusion_model.uncertainty(rows))
    )
    columns = {
        "source": SEQUENCE_ALONE,
        "known_as": "",
        "modalities": f"sequence;{rna_type}",
        "nearest": "",
        "similarity": np.nan,
    }
    about = pd.DataFrame(
        {**columns, "warning": typed_warnings(sequences, rna_type, known)},
        index=pd.Index(ids, dtype=object),
    )
    return Predictions(
        model.compartments, probabilities, uncertainty, probabilities >= model.thresholds, about
    )


def _together(
    model: SavedModel, parts: list[Predictions], order: list[np.ndarray], ids: Sequence[str]
) -> Predictions:
    if not parts:
        raise ConfigError("no sequence to predict")
    back = np.argsort(np.concatenate(order), kind="stable")
    about = pd.concat([part.about for part in parts]).iloc[back]
    about.index = pd.Index(list(ids), dtype=object)
    probabilities, uncertainty, called = (
        np.concatenate([getattr(part, name) for part in parts])[back]
        for name in ("probabilities", "uncertainty", "called")
    )
    return Predictions(model.compartments, probabilities, uncertainty, called, about)


def _known(model: SavedModel) -> ReferenceRNAs:
    if model.reference is None:
        raise CheckpointError("the model does not say which RNAs it knows")
    return model.reference


def _plain(value: object) -> object:
    """A value as JSON has it, which knows no NaN."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
