"""Known and new RNAs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusion.explain.evidence import neighbours_of, partners_of
from fusion.explain.occlusion import answering, modality_changes, without_each
from fusion.explain.result import Compartment, Explanation
from fusion.explain.sequence import (
    SequenceScan,
    background_tokens,
    model_on,
    scan_sequence,
    scan_typed,
    sequence_model,
    sequence_reasons,
    typed_on,
)
from fusion.explain.tokens import token_shares
from fusion.models.ensemble import FusionModel
from fusion.models.new_rnas import CHANCE, RELATED, check_type, reads_sequence_alone, typed_warnings
from fusion.models.predict import FINAL, SEQUENCE_ALONE
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.io import to_rna
from mirnagraph.names import suggest
from mirnagraph.networks.network import SIMILARITY_NETWORKS, NetworkSet
from mirnagraph.similarity.smith_waterman import smith_waterman_between

ATTENTION_NOTE = (
    "Attention says where the model looked, not what it made of it: a token may be looked at and change nothing. Attention is not attribution; "
    "the gradients and the changes without each modality are."
)

GRADIENTS_NOTE = (
    "Integrated gradients start from the average training RNA that has the same tokens (a sequence read letter by letter, from unknown letters) and sum to "
    "the change of the attention part's logit; the token 'trees' is what the extra trees say. What the trees read is told apart along their paths (Saabas), "
    "which sums to their answer exactly."
)

WITHOUT_NOTE = (
    "Without a modality: its tokens are taken from trees and attention alike and the whole model is asked again. Two modalities that say the same each look "
    "dispensable."
)

STUDIED_NOTE = "Numbers of partners and of relatives are a modality of their own, 'how well studied': they stay when the partners themselves go."

NEAR_NOTE = f"Of two unrelated hairpins the sequences reach a similarity of {CHANCE} by chance, and hardly any two of them {RELATED}."

ALONE_NOTE = "The sequence part is what the model for sequences alone reads, which knows nothing of partners; the RNA itself is hidden from it."

ITS_TYPE_NOTE = "The sequence part is the same model's answer for the sequence and its type alone, without anything that networks hold."

PARTNERS_NOTE = (
    "Partners are counted among training RNAs, and say what goes together, not what causes it. RNAs that share a partner are better studied than most "
    "and have more annotations of every kind."
)


def named_compartments(model: SavedModel, names: Sequence[str]) -> list[int]:
    """Columns of compartments, compared without case, each once.

    Raises:
        ConfigError: one that the model does not know.
    """
    columns = {name.lower(): column for column, name in enumerate(model.compartments)}
    for name in names:
        if name.strip().lower() not in columns:
            near = suggest(name, model.compartments)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ConfigError(
                f"no compartment {name!r}; there are {', '.join(model.compartments)}{hint}"
            )
    return list(dict.fromkeys(columns[name.strip().lower()] for name in names))


def strongest_rna(model: SavedModel) -> int:
    """Row of the known RNA with the highest out-of-fold probability anywhere; the first where several have it."""
    known = known_of(model)
    labelled = (
        np.array([known.labelled(name) for name in known.types])
        if known.types is not None
        else True
    )
    best = np.where(np.isfinite(known.probabilities) & labelled, known.probabilities, -1.0).max(
        axis=1
    )
    return int(np.argmax(best))


def explain_reference(
    model: SavedModel,
    row: int,
    columns: Sequence[int] = (),
    networks: NetworkSet | None = None,
    *,
    missing: str = "",
    name: str = "",
    workers: int = 1,
) -> Explanation:
    """Explain the final model's answer for an RNA that it knows.

    Args:
        columns: compartments; none: those called out-of-fold, else the most probable one.
        networks: those the model was made from; None leaves the partners out.
        missing: why there are none.
        name: that the RNA was asked for by; its own where empty.
    """
    known = known_of(model)
    fusion_model, unseen = answering(model, row)
    rna_type = "" if known.types is None else known.types[row]
    labelled, same_type = of_type(known, rna_type)
    if row >= known.n_network_rnas:
        networks = None
        missing = "the networks hold no RNA of its type."
    for column in columns:
        if not labelled[column]:
            raise ConfigError(
                f"the model did not learn of {model.compartments[column]} for RNAs of the type of {known.index.ids[row]}"
            )
    groups, said = without_each(fusion_model)
    tested = bool(np.isfinite(known.probabilities[row]).all())
    outside = known.probabilities[row] if tested else said[0]
    thresholds = known.thresholds[row] if tested else model.thresholds
    chosen = list(columns) or called_columns(np.where(labelled, outside, -1.0), thresholds)
    flat = (
        known.tokens.flat(fusion_model.config.tokens.trees)
        if fusion_model.trees
        else np.zeros((len(known.index), 0), dtype=np.float32)
    )
    base = base_rates(known, same_type)
    shares = token_shares(fusion_model, chosen, flat[same_type], base)
    sequence = known.sequences[row]
    of_networks = row < known.n_network_rnas
    near = known.network_rows() if of_networks else known
    scan = (
        _scan(replace(model, reference=near), sequence, row, workers)
        if of_networks
        else scan_typed(fusion_model, known, str(sequence), rna_type)
    )
    similar = similarities_to(near, row, sequence, networks) if of_networks else {}
    found = []
    for (tokens, parts), column in zip(shares, chosen, strict=True):
        found.append(
            Compartment(
                compartment=model.compartments[column],
                probability=float(said[0, column]),
                out_of_fold=float(outside[column]) if tested else None,
                threshold=float(thresholds[column]),
                called=bool(outside[column] >= thresholds[column]),
                located=bool(known.labels[row, column] > 0) if known.trained[row] else None,
                base=float(base[column]),
                modalities=modality_changes(groups, fusion_model.tokens, said, column),
                tokens=tokens,
                parts=parts,
                partners=()
                if networks is None
                else partners_of(networks.dataset, near, row, column),
                neighbours=neighbours_of(similar, near, row, column),
                sequence=None
                if scan is None or sequence is None
                else sequence_reasons(scan, sequence, column),
            )
        )
    learned = bool(known.trained[row])
    own = known.index.ids[row]
    reads = "" if scan is None else ALONE_NOTE if of_networks else ITS_TYPE_NOTE
    notes = (
        *_notes_of_known(
            learned, unseen, tested, sequence, reads, missing if networks is None else ""
        ),
        *how_to_read(fusion_model, bool(found[0].partners)),
    )
    return Explanation(name or own, own, FINAL, learned, unseen, sequence, tuple(found), notes)


def _scan(model: SavedModel, sequence: str | None, row: int, workers: int) -> SequenceScan | None:
    fusion_model = sequence_model(model, row)
    if fusion_model is None or sequence is None:
        return None
    return scan_sequence(fusion_model, known_of(model), sequence, row, workers=workers)


def similarities_to(
    known: ReferenceRNAs, row: int | None, sequence: str | None, networks: NetworkSet | None
) -> dict[str, np.ndarray]:
    """Similarities of the RNA to the known ones; without networks that of the sequences, made anew."""
    if networks is not None and row is not None:
        return {
            name: networks.similarities[name][row]
            for name in SIMILARITY_NETWORKS
            if name in networks.similarities
        }
    return (
        {}
        if sequence is None
        else {"sequence": smith_waterman_between([sequence], known.sequences)[0]}
    )


def called_columns(probabilities: np.ndarray, thresholds: np.ndarray) -> list[int]:
    """Compartments that are called, the most probable first; where none is, the most probable one. Both of shape (n_labels,)."""
    called = np.flatnonzero(probabilities >= thresholds)
    return [
        int(column) for column in called[np.argsort(-probabilities[called], kind="stable")]
    ] or [int(np.argmax(probabilities))]


def of_type(known: ReferenceRNAs, rna_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Compartments that the model learned of for RNAs of a type (empty: the networks'), and which RNAs of that type it learned from: bool arrays."""
    if known.types is None:
        return np.ones(known.labels.shape[1], dtype=bool), known.trained
    return known.labelled(rna_type), known.trained & np.array(
        [name == rna_type for name in known.types]
    )


def base_rates(known: ReferenceRNAs, rows: np.ndarray) -> np.ndarray:
    """Share of the rows that are annotated in each compartment; one half where nothing is known."""
    labels = known.labels[rows]
    n = (~np.isnan(labels)).sum(axis=0)
    return np.asarray(np.where(n > 0, np.nansum(labels, axis=0) / np.maximum(n, 1), 0.5))


def _notes_of_known(
    learned: bool, unseen: bool, tested: bool, sequence: str | None, reads: str, missing: str
) -> list[str]:
    found = []
    if learned:
        own = (
            "without those of its extra trees that drew this RNA"
            if unseen
            else "with all of its trees"
        )
        found.append(
            f"Explained is the final model, {own}: it learned from this RNA's own label, so its probability is not what is to be trusted."
        )
    if learned and tested:
        found.append(
            "The out-of-fold probability is that of a model that did not learn from this RNA, and is what `mirnagraph predict` says."
        )
    if missing:
        found.append(f"Partners are left out: {missing}")
    if sequence is None:
        found.append("The sequence of this RNA is not known.")
    else:
        found.append(
            reads
            or "The model has no part for sequences alone: what the sequence carries is left out."
        )
    return found


def how_to_read(fusion_model: FusionModel, partners: bool) -> list[str]:
    """Notes on the parts of an explanation that a model has."""
    found = (
        [WITHOUT_NOTE]
        if reads_sequence_alone(fusion_model.config)
        else [WITHOUT_NOTE, STUDIED_NOTE]
    )
    if fusion_model.attention is not None:
        found += [ATTENTION_NOTE, GRADIENTS_NOTE]
    return [*found, *([PARTNERS_NOTE] if partners else []), NEAR_NOTE]


def known_of(model: SavedModel) -> ReferenceRNAs:
    """The RNAs that a model knows; raises CheckpointError where it does not say."""
    if model.reference is None:
        raise CheckpointError("the model does not say which RNAs it knows")
    return model.reference


def explain_sequence(
    model: SavedModel,
    name: str,
    sequence: str,
    columns: Sequence[int] = (),
    *,
    rna_type: str | None = None,
    workers: int = 1,
) -> Explanation:
    """Explain the answer for a new RNA: by the model for sequences alone, or, where its type is told, by the final model, which learned RNAs of the type.

    Args:
        columns: as in `explain_reference`. sequence: of ACGUTN, one letter or more.
        rna_type: as in `fusion.models.predict.predict_sequences`.

    Raises:
        ConfigError: the model has no part for newcomers, or learned of no RNA of the type, or of no such compartment for it.
    """
    letters = to_rna(sequence)
    return (
        _of_type(model, name, letters, columns, rna_type)
        if rna_type is not None
        else _of_networks(model, name, letters, columns, workers)
    )


def _of_networks(
    model: SavedModel, name: str, letters: str, columns: Sequence[int], workers: int
) -> Explanation:
    """One such as the networks hold."""
    known = known_of(model).network_rows()
    model = replace(model, reference=known)
    fusion_model = sequence_model(model, None)
    if fusion_model is None or model.cold_start is None:
        raise ConfigError(
            'the model has no part for RNAs of which the sequence alone is known; train it with `newcomers = "cold"`'
        )
    for column in columns:
        if column >= len(model.cold_start.thresholds):
            raise ConfigError(
                f"the model for new RNAs such as the networks hold did not learn of {model.compartments[column]}"
            )
    asked = model_on(fusion_model, known, [letters], workers=workers)
    background = (
        background_tokens(fusion_model, known, workers=workers)
        if fusion_model.trees
        else np.zeros((0, 0), dtype=np.float32)
    )
    similar = similarities_to(known, None, letters, None)
    scan = scan_sequence(fusion_model, known, letters, workers=workers)
    near = max((float(said.max(initial=0.0)) for said in similar.values()), default=0.0)
    doubt = (
        ()
        if near > RELATED
        else (
            f"No known RNA is a relative of it (nearest similarity {near:.2f}): the neighbours mean little.",
        )
    )
    first = "This RNA is new: nothing is known of it but its sequence, and the model for sequences alone answers. It has no partners to name."
    every = np.ones(len(model.cold_start.thresholds), dtype=bool)
    found = _compartments(
        model,
        asked,
        known,
        columns,
        model.cold_start.thresholds,
        every,
        known.trained,
        background,
        scan,
        letters,
        similar,
    )
    return Explanation(
        name,
        "",
        SEQUENCE_ALONE,
        False,
        False,
        letters,
        found,
        (first, *doubt, *how_to_read(asked, False)),
    )


def _of_type(
    model: SavedModel, name: str, letters: str, columns: Sequence[int], rna_type: str
) -> Explanation:
    """One of a type that came with a set beside the networks, such as a long RNA."""
    known = known_of(model)
    check_type(known, rna_type)
    labelled, same_type = of_type(known, rna_type)
    for column in columns:
        if not labelled[column]:
            raise ConfigError(
                f"the model did not learn of {model.compartments[column]} for RNAs of type {rna_type}"
            )
    asked = typed_on(model.fusion_model(known.tokens), known, [letters], rna_type)
    background = (
        known.tokens.flat(asked.config.tokens.trees)[same_type]
        if asked.trees
        else np.zeros((0, 0), dtype=np.float32)
    )
    first = f"This RNA is new: nothing is known of it but its sequence and that it is of type {rna_type}. It has no partners to name."
    doubt = [
        f"To be doubted: {warning}."
        for warning in typed_warnings([letters], rna_type, known)
        if warning
    ]
    scan = scan_typed(asked, known, letters, rna_type)
    found = _compartments(
        model,
        asked,
        known,
        columns,
        model.thresholds,
        labelled,
        same_type,
        background,
        scan,
        letters,
        {},
    )
    return Explanation(
        name,
        "",
        SEQUENCE_ALONE,
        False,
        False,
        letters,
        found,
        (first, *doubt, ITS_TYPE_NOTE, *how_to_read(asked, False)),
    )


def _compartments(
    model: SavedModel,
    asked: FusionModel,
    known: ReferenceRNAs,
    columns: Sequence[int],
    thresholds: np.ndarray,
    labelled: np.ndarray,
    same_type: np.ndarray,
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
    chosen = list(columns) or called_columns(np.where(labelled, said[0], -1.0), thresholds)
    base = base_rates(known, same_type)
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
        for (tokens, parts), column in zip(
            token_shares(asked, chosen, background, base), chosen, strict=True
        )
    )
