"""Which stretch of a sequence carries the answer: short windows are exchanged, and the model for sequences alone is asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from fusion.explain.occlusion import without_own_trees
from fusion.models.ensemble import FusionModel
from fusion.models.new_rnas import reads_sequence_alone, sequence_tokens, typed_tokens
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.tokens.table import TokenTable
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.similarity.smith_waterman import smith_waterman_between

WINDOW = 6
MOST_WINDOWS = 120

EXCHANGE = str.maketrans("ACGU", "UGCA")


@dataclass(frozen=True, eq=False)
class SequenceScan:
    """What exchanging windows does to the answer by the sequence alone.

    Attributes:
        window: nucleotides exchanged at a time. stride: from one window to the next.
        probabilities: with the whole sequence, shape (n_labels,).
        support: per nucleotide the mean loss of the logit over all windows that hold it: shape (length, n_labels); above 0 where it speaks for
            the compartment.
    """

    window: int
    stride: int
    probabilities: np.ndarray
    support: np.ndarray


@dataclass(frozen=True)
class SequenceReasons:
    """The same for one compartment; positions count from 0.

    Attributes:
        probability: by the sequence alone, whole.
        support: per nucleotide (see `SequenceScan`).
        start, end: the window of the largest mean change in either direction, end excluded. change: its mean support.
        letters: what stands there.
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
    """Starts of the windows, their length and their stride: all places of a hairpin, so many that a long RNA takes no longer."""
    window = min(max(window, -(-length // MOST_WINDOWS)), length)
    stride = max(1, -(-(length - window) // MOST_WINDOWS))
    stride = min(stride, window)
    starts = list(range(0, length - window + 1, stride))
    if starts[-1] != length - window:
        starts.append(length - window)
    return starts, window, stride


def scan_sequence(
    fusion_model: FusionModel,
    known: ReferenceRNAs,
    sequence: str,
    hidden: int | None = None,
    *,
    window: int = WINDOW,
    workers: int = 1,
) -> SequenceScan:
    """Exchange one window after the other, and ask a model for sequences alone.

    Every letter gives way to its complement (A and U, C and G). Length and share of GC stay, which cutting out would change in every window alike, and no
    letter is unknown, as with N, which words and alignments read each in a way of their own.

    Args:
        learner: a model for sequences alone.
        sequence: ACGUN, one letter or more.
        hidden: row of a known RNA that is to be as if it were not known: the RNA itself.
    """
    return _scan(
        sequence,
        lambda asked: model_on(fusion_model, known, asked, hidden, workers=workers),
        window,
    )


def scan_typed(
    fusion_model: FusionModel, known: ReferenceRNAs, sequence: str, rna_type: str
) -> SequenceScan:
    """The same of a model of several sets, which reads the sequence and the type of an RNA (see `fusion.models.new_rnas`)."""
    return _scan(sequence, lambda asked: typed_on(fusion_model, known, asked, rna_type))


def _scan(
    sequence: str, on: Callable[[list[str]], FusionModel], window: int = WINDOW
) -> SequenceScan:
    starts, window, stride = windows_of(len(sequence), window)
    asked = [
        sequence,
        *(
            sequence[:at] + sequence[at : at + window].translate(EXCHANGE) + sequence[at + window :]
            for at in starts
        ),
    ]
    said = on(asked).predict(np.arange(len(asked)))
    logits = logit(np.clip(said, 1e-12, 1 - 1e-12))
    total = np.zeros((len(sequence), said.shape[1]))
    counts = np.zeros(len(sequence))
    for number, at in enumerate(starts, 1):
        total[at : at + window] += logits[0] - logits[number]
        counts[at : at + window] += 1
    return SequenceScan(window, stride, said[0], total / np.maximum(counts, 1)[:, None])


def typed_on(
    fusion_model: FusionModel, known: ReferenceRNAs, sequences: list[str], rna_type: str
) -> FusionModel:
    """A model of several sets on some sequences of one type."""
    index = NodeIndex.of([f"sequence {number}" for number in range(len(sequences))], "miRNA")
    return replace(
        fusion_model, tokens=typed_tokens(index, sequences, rna_type, known, fusion_model)
    )


def model_on(
    fusion_model: FusionModel,
    known: ReferenceRNAs,
    sequences: list[str],
    hidden: int | None = None,
    *,
    workers: int = 1,
) -> FusionModel:
    """A model for sequences alone on some sequences; `hidden` as in `scan_sequence`."""
    similarity = smith_waterman_between(sequences, known.sequences, workers=workers).astype(
        np.float32
    )
    if hidden is not None:
        similarity[:, hidden] = 0.0
    index = NodeIndex.of([f"sequence {number}" for number in range(len(sequences))], "miRNA")
    return replace(
        fusion_model, tokens=sequence_tokens(index, sequences, similarity, known, fusion_model)
    )


def sequence_model(model: SavedModel, row: int | None) -> FusionModel | None:
    """The model for sequences alone; for an RNA that it learned from, with those extra trees that did not draw it. None where there is none."""
    if model.cold_start is None or model.reference is None:
        return None
    fusion_model = model.cold_start.on(TokenTable(model.reference.index, ()))
    if row is None or not model.reference.trained[row]:
        return fusion_model
    seed = child_seed(
        model.config.seed, "final" if reads_sequence_alone(model.config) else "newcomers"
    )
    return (
        without_own_trees(
            fusion_model, model.reference, np.flatnonzero(model.reference.trained), row, seed
        )
        or fusion_model
    )


def background_tokens(
    fusion_model: FusionModel, known: ReferenceRNAs, *, most: int = 150, workers: int = 1
) -> np.ndarray:
    """What the trees of a model for sequences alone read of known RNAs, each as if it were not known: shape (n, width), n at most `most`."""
    rows = np.flatnonzero(known.trained & np.array([bool(s) for s in known.sequences]))
    rows = rows[:: max(1, -(-len(rows) // most))]
    sequences = [str(known.sequences[row]) for row in rows]
    similarity = smith_waterman_between(sequences, known.sequences, workers=workers).astype(
        np.float32
    )
    similarity[np.arange(len(rows)), rows] = 0.0
    tokens = sequence_tokens(
        NodeIndex.of([known.index.ids[row] for row in rows], "miRNA"),
        sequences,
        similarity,
        known,
        fusion_model,
    )
    return tokens.flat(fusion_model.config.tokens.trees)


def sequence_reasons(scan: SequenceScan, sequence: str, column: int) -> SequenceReasons:
    """What a scan says of one compartment."""
    support = scan.support[:, column]
    means = np.convolve(support, np.full(scan.window, 1 / scan.window), mode="valid")
    start = int(np.argmax(np.abs(means)))
    end = start + scan.window
    return SequenceReasons(
        scan.window, scan.stride, float(scan.probabilities[column]), tuple(float(value) for value in support), start, end, float(means[start]),
        sequence[start:end],
    )  # fmt: skip
