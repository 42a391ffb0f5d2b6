"""Why a model puts a new RNA into a compartment, of which nothing is known but its sequence, and perhaps its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusion.explain import ITS_TYPE_NOTE, base_rates, called_columns, how_to_read, known_of, of_type, similarities_to
from fusion.explain_answer import modality_changes, without_each
from fusion.explain_carriers import neighbours_of
from fusion.explain_sequence import SequenceScan, background_tokens, learner_on, scan_sequence, scan_typed, sequence_learner, sequence_reasons, typed_on
from fusion.explain_tokens import token_shares
from fusion.explanation import Compartment, Explanation
from fusion.known import KnownRNAs
from fusion.learner import Learner
from fusion.model_files import SavedModel
from fusion.newcomers import RELATED
from fusion.predict import SEQUENCE_ALONE
from fusion.typed_newcomers import check_type, typed_warnings
from mirnagraph.errors import ConfigError
from mirnagraph.tables import to_rna


def explain_sequence(model: SavedModel, name: str, sequence: str, columns: Sequence[int] = (), *, rna_type: str | None = None, workers: int = 1) -> Explanation:
    """Explain the answer for a new RNA: by the model for sequences alone, or, where its type is told, by the final model, which learned RNAs of the type.

    Args:
        columns: as in `explain_known`. sequence: of ACGUTN, one letter or more.
        rna_type: as in `fusion.predict.predict_sequences`.

    Raises:
        ConfigError: the model has no part for newcomers, or learned of no RNA of the type, or of no such compartment for it.
    """
    letters = to_rna(sequence)
    return _of_type(model, name, letters, columns, rna_type) if rna_type is not None else _of_networks(model, name, letters, columns, workers)


def _of_networks(model: SavedModel, name: str, letters: str, columns: Sequence[int], workers: int) -> Explanation:
    """One such as the networks hold."""
    known = known_of(model).home()
    model = replace(model, known=known)
    learner = sequence_learner(model, None)
    if learner is None or model.newcomers is None:
        raise ConfigError('the model has no part for RNAs of which the sequence alone is known; train it with `newcomers = "cold"`')
    for column in columns:
        if column >= len(model.newcomers.thresholds):
            raise ConfigError(f"the model for new RNAs such as the networks hold did not learn of {model.compartments[column]}")
    asked = learner_on(learner, known, [letters], workers=workers)
    background = background_tokens(learner, known, workers=workers) if learner.trees else np.zeros((0, 0), dtype=np.float32)
    similar = similarities_to(known, None, letters, None)
    scan = scan_sequence(learner, known, letters, workers=workers)
    near = max((float(said.max(initial=0.0)) for said in similar.values()), default=0.0)
    doubt = () if near > RELATED else (f"No known RNA is a relative of it (nearest similarity {near:.2f}): the neighbours mean little.",)
    first = "This RNA is new: nothing is known of it but its sequence, and the model for sequences alone answers. It has no partners to name."
    every = np.ones(len(model.newcomers.thresholds), dtype=bool)
    found = _compartments(model, asked, known, columns, model.newcomers.thresholds, every, known.trained, background, scan, letters, similar)
    return Explanation(name, "", SEQUENCE_ALONE, False, False, letters, found, (first, *doubt, *how_to_read(asked, False)))


def _of_type(model: SavedModel, name: str, letters: str, columns: Sequence[int], rna_type: str) -> Explanation:
    """One of a type that came with a set beside the networks, such as a long RNA."""
    known = known_of(model)
    check_type(known, rna_type)
    spoken, kin = of_type(known, rna_type)
    for column in columns:
        if not spoken[column]:
            raise ConfigError(f"the model did not learn of {model.compartments[column]} for RNAs of type {rna_type}")
    asked = typed_on(model.learner(known.tokens), known, [letters], rna_type)
    background = known.tokens.flat(asked.config.tokens.trees)[kin] if asked.trees else np.zeros((0, 0), dtype=np.float32)
    first = f"This RNA is new: nothing is known of it but its sequence and that it is of type {rna_type}. It has no partners to name."
    doubt = [f"To be doubted: {warning}." for warning in typed_warnings([letters], rna_type, known) if warning]
    scan = scan_typed(asked, known, letters, rna_type)
    found = _compartments(model, asked, known, columns, model.thresholds, spoken, kin, background, scan, letters, {})
    return Explanation(name, "", SEQUENCE_ALONE, False, False, letters, found, (first, *doubt, ITS_TYPE_NOTE, *how_to_read(asked, False)))


def _compartments(
    model: SavedModel,
    asked: Learner,
    known: KnownRNAs,
    columns: Sequence[int],
    thresholds: np.ndarray,
    spoken: np.ndarray,
    kin: np.ndarray,
    background: np.ndarray,
    scan: SequenceScan,
    letters: str,
    similar: dict[str, np.ndarray],
) -> tuple[Compartment, ...]:
    """The reasons per compartment: those asked for, else those called, else the most probable one.

    Args:
        asked: the model on the tokens of the new RNA. spoken: compartments it learned of. kin: rows it learned from, and `background` what its trees read
            of them.
    """
    groups, said = without_each(asked)
    chosen = list(columns) or called_columns(np.where(spoken, said[0], -1.0), thresholds)
    base = base_rates(known, kin)
    return tuple(
        Compartment(
            compartment=model.compartments[column],
            probability=float(said[0, column]),
            out_of_fold=None,
            threshold=float(thresholds[column]),
            called=bool(said[0, column] >= thresholds[column]),
            located=None,
            base=float(base[column]),
            modalities=modality_changes(groups, asked.tokens, said, column),
            tokens=tokens,
            parts=parts,
            partners=(),
            neighbours=neighbours_of(similar, known, None, column),
            sequence=sequence_reasons(scan, letters, column),
        )
        for (tokens, parts), column in zip(token_shares(asked, chosen, background, base), chosen, strict=True)
    )
