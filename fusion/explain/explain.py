"""Explanations of predictions for reference RNAs and new RNAs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fusion.explain.evidence import Partner, neighbours_of, partners_of
from fusion.explain.notes import (
    NO_PARTNERS,
    TYPE_NOTE,
    attention_notes,
    reading_notes,
    sequence_note,
    training_notes,
)
from fusion.explain.occlusion import (
    modality_changes,
    model_for_row,
    occlude,
    occlude_modalities,
    source_effects,
    tokens_by_source,
)
from fusion.explain.ranking import compartment_columns
from fusion.explain.result import Compartment, Explanation
from fusion.explain.sequence import (
    SequenceScan,
    background_tokens,
    model_on_sequences,
    scan_sequence,
    scan_typed,
    sequence_model,
    sequence_reasons,
    typed_model_on,
)
from fusion.explain.tokens import token_shares
from fusion.explain.towers import (
    VARIES,
    KernelReasons,
    Relation,
    SourceAttention,
    attention_to_sources,
    kernel_reasons,
    relations_of,
)
from fusion.models.ensemble import FusionModel
from fusion.models.kernel import kernel_rows
from fusion.models.new_rnas import (
    check_type,
    similarity_levels,
    similarity_of_sequences,
    typed_warnings,
)
from fusion.models.predict import FINAL, NO_COLD_START, SEQUENCE_ALONE, reference_of
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.models.towers_training import TrainedFusion
from mirnagraph.errors import ConfigError
from mirnagraph.io import to_rna
from mirnagraph.networks.network import SIMILARITY_NETWORKS, NetworkSet
from mirnagraph.networks.similarities import similarity_row

MAX_REMARKS = 2
"""Notes on a new RNA in the short text."""


@dataclass(frozen=True, eq=False)
class _Subject:
    """One RNA and what its explanation reads.

    Attributes:
        fusion_model: the explained model, on the tokens of the RNA.
        reference: RNAs among which partners and neighbours are counted.
        sequence: of the RNA, or None.
        is_labelled: compartments that its type has labels for, shape (n_labels,).
        base: share of the training RNAs of its type in each compartment, shape (n_labels,).
        background: flat tokens of training RNAs, which the trees read.
        thresholds: shape (n_labels,).
        row: of the RNA among the reference RNAs; None for a new RNA.
        out_of_fold: probabilities, shape (n_labels,); None where no fold tested the RNA.
        scan: of the sequence; None where there is no sequence or no model for it.
        similarities: name -> similarity to the reference RNAs.
        networks: for partners; None leaves them out.
        attention: to the sources of a fusion of two towers; empty for another model.
    """

    fusion_model: FusionModel
    reference: ReferenceRNAs
    sequence: str | None
    is_labelled: np.ndarray
    base: np.ndarray
    background: np.ndarray
    thresholds: np.ndarray
    row: int | None = None
    out_of_fold: np.ndarray | None = None
    scan: SequenceScan | None = None
    similarities: Mapping[str, np.ndarray] = field(default_factory=dict)
    networks: NetworkSet | None = None
    attention: tuple[SourceAttention, ...] = ()


def named_compartments(model: SavedModel, names: Sequence[str]) -> list[int]:
    """Columns of compartments, compared without case, each once.

    Raises:
        ConfigError: an unknown name.
    """
    return compartment_columns(names, model.compartments)


def strongest_rna(model: SavedModel) -> int:
    """Row of the reference RNA with the highest out-of-fold probability; the first of several."""
    reference = reference_of(model)
    is_shown = np.isfinite(reference.probabilities)
    if reference.types is not None:
        is_shown &= np.array([reference.labelled_for(name) for name in reference.types])
    best = np.where(is_shown, reference.probabilities, -1.0).max(axis=1)
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
    """Explain the final model's prediction of a reference RNA.

    Args:
        model: with reference RNAs.
        row: of the reference RNA.
        columns: compartments; empty: those called out-of-fold, else the most probable one.
        networks: those the model was made from; None leaves the partners out.
        missing: reason for None.
        name: of the RNA in the explanation; empty: that of the reference RNA.
        workers: number of threads.

    Raises:
        ConfigError: a compartment for which the RNA type has no labels.
    """
    reference = reference_of(model)
    rna_id = reference.index.ids[row]
    sequence = reference.sequences[row]
    fusion_model, is_out_of_bag = model_for_row(model, row)
    rna_type = reference.types[row] if reference.types else ""
    subject = _subject_of_type(model, fusion_model, sequence, rna_type)
    _check_columns(model, columns, subject, f"RNAs of the type of {rna_id}")
    is_network_rna = row < reference.n_network_rnas
    if is_network_rna:
        near = reference.of_networks()
        similarities = _similarities(near, row, sequence, networks)
        subject = replace(subject, reference=near, similarities=similarities, networks=networks)
    else:
        missing = "the networks hold no RNA of its type."
    is_tested = bool(np.isfinite(reference.probabilities[row]).all())
    if is_tested:
        subject = replace(
            subject,
            thresholds=reference.thresholds[row],
            out_of_fold=reference.probabilities[row],
        )
    scan = _scan_reference(model, fusion_model, row, workers)
    subject = replace(subject, row=row, scan=scan)
    if isinstance(fusion_model.attention, TrainedFusion):
        subject = replace(subject, attention=attention_to_sources(fusion_model, reference))
    compartments = _compartments(model, subject, columns)
    is_trained = bool(reference.trained[row])
    has_towers = isinstance(fusion_model.attention, TrainedFusion) or bool(fusion_model.kernel)
    notes = training_notes(is_trained, is_out_of_bag, is_tested, has_towers=has_towers)
    remarks = _remarks(subject, missing)
    if scan is not None:
        notes.append(sequence_note(sequence, scan, is_network_rna))
    notes += [*remarks, *_reading_notes(subject, compartments)]
    return Explanation(
        name or rna_id,
        rna_id,
        known_as=rna_id,
        source=FINAL,
        learned=is_trained,
        unseen_trees=is_out_of_bag,
        sequence=sequence,
        compartments=compartments,
        notes=tuple(notes),
        remarks=tuple(remarks),
        attention=subject.attention,
    )


def _reading_notes(subject: _Subject, compartments: Sequence[Compartment]) -> list[str]:
    has_partners = bool(compartments[0].partners)
    has_kmers = subject.reference.kmers is not None
    notes = reading_notes(subject.fusion_model, has_partners=has_partners, has_kmers=has_kmers)
    return notes + attention_notes(subject.attention)


def _remarks(subject: _Subject, missing: str) -> list[str]:
    """What an explanation of a reference RNA leaves out, and why."""
    remarks = []
    if subject.networks is None:
        remarks.append(f"{NO_PARTNERS}: {missing or 'no networks were given.'}")
    if subject.scan is None:
        remarks.append(sequence_note(subject.sequence, None, is_network_rna=True))
    return remarks


def explain_sequence(
    model: SavedModel,
    name: str,
    sequence: str,
    columns: Sequence[int] = (),
    *,
    rna_type: str | None = None,
    workers: int = 1,
) -> Explanation:
    """Explain the prediction of a new RNA.

    Explained is the cold-start model, or, with a type, the final model, which was trained on RNAs
    of that type.

    Args:
        model: with reference RNAs.
        name: of the new RNA.
        sequence: of ACGUTN, one nucleotide or more.
        columns: as in `explain_reference`.
        rna_type: as in `fusion.models.predict.predict_sequences`.
        workers: number of threads.

    Raises:
        ConfigError: no cold-start model, no training RNA of the type, or no training labels of a
            compartment for it.
    """
    nucleotides = to_rna(sequence)
    if rna_type is None:
        subject, notes = _new_rna(model, nucleotides, columns, workers)
    else:
        subject, notes = _new_rna_of_type(model, nucleotides, columns, rna_type)
    has_kmers = subject.reference.kmers is not None
    reading = reading_notes(subject.fusion_model, has_partners=False, has_kmers=has_kmers)
    return Explanation(
        query=name,
        rna_id=name,
        known_as="",
        source=SEQUENCE_ALONE,
        learned=False,
        unseen_trees=False,
        sequence=nucleotides,
        compartments=_compartments(model, subject, columns),
        notes=(*notes, *reading),
        remarks=tuple(notes[:MAX_REMARKS]),
    )


def _new_rna(
    model: SavedModel, sequence: str, columns: Sequence[int], workers: int
) -> tuple[_Subject, list[str]]:
    """A new RNA of the type of the networks' RNAs, and notes on it."""
    reference = reference_of(model).of_networks()
    cold_start = sequence_model(replace(model, reference=reference), None)
    if cold_start is None:
        raise ConfigError(NO_COLD_START)
    similarities = _similarities(reference, None, sequence, None)
    subject = _Subject(
        model_on_sequences(cold_start, reference, [sequence], workers=workers),
        reference,
        sequence,
        is_labelled=np.arange(len(model.compartments)) < len(cold_start.thresholds),
        base=base_rates(reference, reference.trained),
        background=background_tokens(cold_start, reference, workers=workers),
        thresholds=cold_start.thresholds,
        similarities=similarities,
        scan=scan_sequence(cold_start, reference, sequence, workers=workers),
    )
    _check_columns(model, columns, subject, "RNAs of the networks")
    notes = [
        "New RNA: only its sequence is known, and the cold-start model predicts it. "
        "It has no partners."
    ]
    nearest = float(similarities["sequence"].max(initial=0.0))
    if nearest <= similarity_levels(reference)[1]:
        notes.append(
            f"No reference RNA is related (nearest similarity {nearest:.2f}): the neighbours are "
            "weak evidence."
        )
    return subject, notes


def _new_rna_of_type(
    model: SavedModel, sequence: str, columns: Sequence[int], rna_type: str
) -> tuple[_Subject, list[str]]:
    """A new RNA of a type of the additional RNA sets, and notes on it."""
    reference = reference_of(model)
    check_type(reference, rna_type)
    final = model.fusion_model(reference.tokens)
    fusion_model = typed_model_on(final, reference, [sequence], rna_type)
    subject = _subject_of_type(model, fusion_model, sequence, rna_type)
    _check_columns(model, columns, subject, f"RNAs of type {rna_type}")
    subject = replace(subject, scan=scan_typed(fusion_model, reference, sequence, rna_type))
    warnings = typed_warnings([sequence], rna_type, reference)
    notes = [
        f"New RNA: only its sequence and its type, {rna_type}, are known. It has no partners.",
        *(f"Warning: {warning}." for warning in warnings if warning),
        TYPE_NOTE,
    ]
    return subject, notes


def _subject_of_type(
    model: SavedModel, fusion_model: FusionModel, sequence: str | None, rna_type: str
) -> _Subject:
    """A subject of a type (empty: the networks') among all reference RNAs, by the final model."""
    reference = reference_of(model)
    same_type = reference.trained
    if reference.types is not None:
        same_type = same_type & np.array([name == rna_type for name in reference.types])
    background = np.zeros((int(same_type.sum()), 0), dtype=np.float32)
    if fusion_model.trees:
        background = reference.tokens.flat(fusion_model.config.tokens.trees)[same_type]
    return _Subject(
        fusion_model,
        reference,
        sequence,
        is_labelled=reference.labelled_for(rna_type),
        base=base_rates(reference, same_type),
        background=background,
        thresholds=model.thresholds,
    )


def _compartments(
    model: SavedModel, subject: _Subject, columns: Sequence[int]
) -> tuple[Compartment, ...]:
    """Reasons per compartment: those given, else those called, else the most probable one."""
    fusion_model = subject.fusion_model
    groups, probabilities = occlude_modalities(fusion_model)
    sources = tokens_by_source(fusion_model.tokens.sources)
    of_sources = occlude(fusion_model, list(sources.values()))
    is_tested = subject.out_of_fold is not None
    decisive = probabilities[0] if subject.out_of_fold is None else subject.out_of_fold
    if not columns:
        shown = np.where(subject.is_labelled[: len(decisive)], decisive, -1.0)
        columns = called_columns(shown, subject.thresholds)
    varying = {of.token: of.weight for of in subject.attention if of.between_rnas >= VARIES}
    shares = token_shares(fusion_model, list(columns), subject.background, subject.base, varying)
    relations, kernels = _tower_reasons(model, subject, columns)
    reference = subject.reference
    row = subject.row
    compartments = []
    for number, ((tokens, parts), column) in enumerate(zip(shares, columns, strict=True)):
        located = None
        if row is not None and reference.trained[row]:
            located = bool(reference.labels[row, column] > 0)
        partners: tuple[Partner, ...] = ()
        if subject.networks is not None and row is not None:
            partners = partners_of(subject.networks.dataset, reference, row, column)
        sequence = None
        if subject.scan is not None and subject.sequence is not None:
            sequence = sequence_reasons(subject.scan, subject.sequence, column)
        compartments.append(
            Compartment(
                compartment=model.compartments[column],
                probability=float(probabilities[0, column]),
                out_of_fold=float(decisive[column]) if is_tested else None,
                threshold=float(subject.thresholds[column]),
                called=bool(decisive[column] >= subject.thresholds[column]),
                located=located,
                base=float(subject.base[column]),
                modalities=modality_changes(groups, fusion_model.tokens, probabilities, column),
                tokens=tokens,
                parts=parts,
                partners=partners,
                neighbours=neighbours_of(subject.similarities, reference, row, column),
                sequence=sequence,
                relations=relations[number],
                kernel=kernels[number],
                effects=source_effects(sources, fusion_model.tokens, of_sources, column),
            )
        )
    return tuple(compartments)


def _tower_reasons(
    model: SavedModel, subject: _Subject, columns: Sequence[int]
) -> tuple[Sequence[tuple[Relation, ...]], Sequence[KernelReasons | None]]:
    """Reasons of graph tower and kernel model per compartment; empty where there are none."""
    fusion_model = subject.fusion_model
    relations: Sequence[tuple[Relation, ...]] = [()] * len(columns)
    kernels: Sequence[KernelReasons | None] = [None] * len(columns)
    if isinstance(fusion_model.attention, TrainedFusion):
        relations = relations_of(fusion_model, reference_of(model), columns)
    if fusion_model.kernel is not None:
        trained_on = subject.reference
        n_read = len(kernel_rows(np.flatnonzero(trained_on.trained)))
        if n_read != len(fusion_model.kernel.dual):
            trained_on = reference_of(model)
        tokens = fusion_model.tokens
        kernels = kernel_reasons(fusion_model.kernel, tokens, trained_on, columns, subject.row)
    return relations, kernels


def _check_columns(model: SavedModel, columns: Sequence[int], subject: _Subject, rnas: str) -> None:
    for column in columns:
        if not subject.is_labelled[column]:
            raise ConfigError(f"no training labels of {model.compartments[column]} for {rnas}")


def _scan_reference(
    model: SavedModel, fusion_model: FusionModel, row: int, workers: int
) -> SequenceScan | None:
    """Scan of a reference RNA, by the cold-start model or, for an additional RNA, by its type."""
    reference = reference_of(model)
    sequence = reference.sequences[row]
    if reference.types is not None and row >= reference.n_network_rnas:
        return scan_typed(fusion_model, reference, str(sequence), reference.types[row])
    near = reference.of_networks()
    cold_start = sequence_model(replace(model, reference=near), row)
    if cold_start is None or sequence is None:
        return None
    return scan_sequence(cold_start, near, sequence, row, workers=workers)


def _similarities(
    reference: ReferenceRNAs, row: int | None, sequence: str | None, networks: NetworkSet | None
) -> dict[str, np.ndarray]:
    """Similarities to the reference RNAs; without networks that of the sequences alone."""
    if networks is not None and row is not None:
        return {
            name: similarity_row(networks.similarities[name], row)
            for name in SIMILARITY_NETWORKS
            if name in networks.similarities
        }
    if sequence is None:
        return {}
    return {"sequence": similarity_of_sequences(reference, [sequence])[0]}


def called_columns(probabilities: np.ndarray, thresholds: np.ndarray) -> list[int]:
    """Called compartments, the most probable first; where none is, the most probable one.

    Args:
        probabilities: shape (n_labels,).
        thresholds: likewise.
    """
    called = np.flatnonzero(probabilities >= thresholds)
    if not len(called):
        return [int(np.argmax(probabilities))]
    return called[np.argsort(-probabilities[called], kind="stable")].tolist()


def base_rates(reference: ReferenceRNAs, rows: np.ndarray) -> np.ndarray:
    """Share of some reference RNAs that are annotated in each compartment; 0.5 without labels.

    Args:
        reference: the reference RNAs.
        rows: bool, shape (n_reference,).
    """
    labels = reference.labels[rows]
    n = (~np.isnan(labels)).sum(axis=0)
    return np.where(n > 0, np.nansum(labels, axis=0) / np.maximum(n, 1), 0.5)
