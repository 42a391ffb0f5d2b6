"""Occlusion of sequence windows: the model predicts again with one window exchanged at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import logit

from fusion.explain.occlusion import out_of_bag_model
from fusion.models.ensemble import FusionModel
from fusion.models.new_rnas import (
    reads_sequence_alone,
    sequence_tokens,
    similarity_to,
    typed_tokens,
)
from fusion.models.predict import reference_of
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.tokens.table import TokenTable
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed

WINDOW = 6
MAX_WINDOWS = 120

MAX_BACKGROUND = 150
"""RNAs over which the trees of a cold-start model are averaged."""

COMPLEMENT = str.maketrans("ACGU", "UGCA")


@dataclass(frozen=True, eq=False)
class SequenceScan:
    """Effect of exchanging windows on the prediction by the sequence alone.

    Attributes:
        window: nucleotides exchanged at a time.
        stride: nucleotides from one window to the next.
        probabilities: with the whole sequence, shape (n_labels,).
        support: mean loss of the logit over all windows that hold a nucleotide, shape (length,
            n_labels); above 0 where it supports the compartment.
    """

    window: int
    stride: int
    probabilities: np.ndarray
    support: np.ndarray


@dataclass(frozen=True)
class SequenceReasons:
    """Scan of one compartment; positions count from 0.

    Attributes:
        probability: by the sequence alone, whole.
        support: per nucleotide (see `SequenceScan`).
        start, end: window of the largest mean change in either direction, end excluded.
        change: mean support of that window.
        letters: its nucleotides.
    """

    window: int
    stride: int
    probability: float
    support: tuple[float, ...]
    start: int
    end: int
    change: float
    letters: str


def windows_of(length: int, window: int = WINDOW) -> tuple[list[int], int, int]:
    """Starts of the windows, their length and their stride.

    Windows of a hairpin start at every nucleotide; longer sequences have about `MAX_WINDOWS`.
    """
    window = min(max(window, -(-length // MAX_WINDOWS)), length)
    last = length - window
    stride = min(max(1, -(-last // MAX_WINDOWS)), window)
    return [*range(0, last, stride), last], window, stride


def scan_sequence(
    fusion_model: FusionModel,
    reference: ReferenceRNAs,
    sequence: str,
    masked_row: int | None = None,
    *,
    window: int = WINDOW,
    workers: int = 1,
) -> SequenceScan:
    """Exchange one window after the other, and predict by a cold-start model.

    Every nucleotide is replaced by its complement (A and U, C and G): the length and the GC content
    stay, which a deletion would change in every window alike, and no nucleotide is unknown as with
    N, which k-mers and alignments treat differently.

    Args:
        fusion_model: a cold-start model.
        reference: the reference RNAs.
        sequence: ACGUN, one nucleotide or more.
        masked_row: reference RNA that is masked: the RNA itself.
        window: nucleotides exchanged at a time.
        workers: number of threads.
    """
    model_on = partial(
        model_on_sequences, fusion_model, reference, masked_row=masked_row, workers=workers
    )
    return _scan(sequence, model_on, window)


def scan_typed(
    fusion_model: FusionModel, reference: ReferenceRNAs, sequence: str, rna_type: str
) -> SequenceScan:
    """Likewise by a model of several RNA types, which reads the sequence and the type."""
    return _scan(sequence, partial(typed_model_on, fusion_model, reference, rna_type=rna_type))


def _scan(
    sequence: str, model_on: Callable[[list[str]], FusionModel], window: int = WINDOW
) -> SequenceScan:
    starts, window, stride = windows_of(len(sequence), window)
    sequences = [sequence]
    for start in starts:
        end = start + window
        exchanged = sequence[start:end].translate(COMPLEMENT)
        sequences.append(sequence[:start] + exchanged + sequence[end:])
    probabilities = model_on(sequences).predict(np.arange(len(sequences)))
    logits = logit(np.clip(probabilities, 1e-12, 1 - 1e-12))
    total = np.zeros((len(sequence), probabilities.shape[1]))
    counts = np.zeros(len(sequence))
    for number, start in enumerate(starts, 1):
        total[start : start + window] += logits[0] - logits[number]
        counts[start : start + window] += 1
    support = total / np.maximum(counts, 1)[:, None]
    return SequenceScan(window, stride, probabilities[0], support)


def typed_model_on(
    fusion_model: FusionModel, reference: ReferenceRNAs, sequences: list[str], rna_type: str
) -> FusionModel:
    """A model of several RNA types on the tokens of some sequences of one type."""
    index = _sequence_index(len(sequences))
    tokens = typed_tokens(index, sequences, rna_type, reference, fusion_model)
    return replace(fusion_model, tokens=tokens)


def model_on_sequences(
    fusion_model: FusionModel,
    reference: ReferenceRNAs,
    sequences: list[str],
    masked_row: int | None = None,
    *,
    workers: int = 1,
) -> FusionModel:
    """A cold-start model on the tokens of some sequences; `masked_row` as in `scan_sequence`."""
    similarity = similarity_to(reference, sequences, workers=workers)
    if masked_row is not None:
        similarity[:, masked_row] = 0.0
    index = _sequence_index(len(sequences))
    tokens = sequence_tokens(index, sequences, similarity, reference, fusion_model)
    return replace(fusion_model, tokens=tokens)


def _sequence_index(n: int) -> NodeIndex:
    return NodeIndex.of([f"sequence {number}" for number in range(n)], "miRNA")


def sequence_model(model: SavedModel, row: int | None) -> FusionModel | None:
    """The cold-start model, with the out-of-bag extra trees of a reference RNA.

    Returns:
        None for a model without it; all trees where the RNA was not trained on, or no tree is
        out-of-bag.
    """
    if model.cold_start is None:
        return None
    reference = reference_of(model)
    fusion_model = model.cold_start.on(TokenTable(reference.index, ()))
    if row is None or not reference.trained[row]:
        return fusion_model
    seed_name = "final" if reads_sequence_alone(model.config) else "newcomers"
    seed = child_seed(model.config.seed, seed_name)
    train = np.flatnonzero(reference.trained)
    return out_of_bag_model(fusion_model, reference, train, row, seed) or fusion_model


def background_tokens(
    fusion_model: FusionModel, reference: ReferenceRNAs, *, workers: int = 1
) -> np.ndarray:
    """Flat tokens that the trees of a cold-start model read of training RNAs.

    Each RNA is masked among the reference RNAs for itself.

    Returns:
        Shape (n, width), n at most about `MAX_BACKGROUND`; no row for a model without trees.
    """
    if not fusion_model.trees:
        return np.zeros((0, 0), dtype=np.float32)
    rows = np.flatnonzero(reference.trained & np.array([bool(s) for s in reference.sequences]))
    rows = rows[:: max(1, -(-len(rows) // MAX_BACKGROUND))]
    sequences = [str(reference.sequences[row]) for row in rows]
    similarity = similarity_to(reference, sequences, workers=workers)
    similarity[np.arange(len(rows)), rows] = 0.0
    index = NodeIndex.of([reference.index.ids[row] for row in rows], "miRNA")
    tokens = sequence_tokens(index, sequences, similarity, reference, fusion_model)
    return tokens.flat(fusion_model.config.tokens.trees)


def sequence_reasons(scan: SequenceScan, sequence: str, column: int) -> SequenceReasons:
    """Scan of one compartment, with the window that changes it most."""
    support = scan.support[:, column]
    means = np.convolve(support, np.full(scan.window, 1 / scan.window), mode="valid")
    start = int(np.argmax(np.abs(means)))
    end = start + scan.window
    return SequenceReasons(
        window=scan.window,
        stride=scan.stride,
        probability=float(scan.probabilities[column]),
        support=tuple(support.tolist()),
        start=start,
        end=end,
        change=float(means[start]),
        letters=sequence[start:end],
    )
