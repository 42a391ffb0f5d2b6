"""Recovery of planted motifs by explanations of a tower trained on synthetic RNAs.

It prints the share of planted motifs that masking finds, the share that integrated gradients find,
and for each motif the lowest q-value of Tomtom over the filters of the first layer.

A motif of w nucleotides is found where more than .8 of its positions lie inside the highest-scoring
stretch of w nucleotides widened by 2 on either side. The score of a nucleotide by masking is the
mean drop of the compartment's probability over all windows that mask it, of the motif's length, one
nucleotide apart: the paper's windows of 100 nt, ten apart, cannot locate a motif of 10. By
integrated gradients it is the attribution to the compartment's logit. Every planted motif of every
test RNA counts, also those outside the tower's input. Labels have no errors; an RNA may have motifs
of all compartments.

usage: python benchmarks/planted_proof.py [--rnas 700] [--tested 40] [--seed 0]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.parallel import one_thread
from mirnagraph.seeds import child_seed, generator
from seqtower.config import seq_config
from seqtower.data.motifs import Motif
from seqtower.data.synthetic import PlantedSequences, planted_motifs, planted_sequences
from seqtower.encoders.base import fit_encoding
from seqtower.interpret.attribution import MaskingConfig, attribute, mask_scan
from seqtower.interpret.motifs import filter_motifs, match_motifs
from seqtower.saved import SavedTower
from seqtower.training.lightning import train_tower

TOLERANCE = 2
"""Nucleotides by which the highest-scoring stretch is widened on either side."""
FOUND = 0.8
"""Share of a word's positions that must be exceeded."""
SHORTEST, LONGEST = 60, 150


@dataclass(frozen=True)
class Proof:
    """What was found.

    Attributes:
        auc: mean over compartments, on the test RNAs.
        masking: share of planted motifs found by masking, in [0, 1].
        attribution: the same by integrated gradients.
        q_values: planted word's compartment -> lowest q-value of a filter of the first layer.
        words: how many planted words were looked for.
    """

    auc: float
    masking: float
    attribution: float
    q_values: dict[str, float]
    words: int


def overlap(scores: np.ndarray, start: int, end: int) -> float:
    """Share of `start` to `end` (excluded) in the highest-scoring stretch as long, in [0, 1].

    The stretch is widened by `TOLERANCE`.

    Args:
        scores: one per nucleotide, shape (length,).
    """
    width = end - start
    best = int(np.argmax(np.convolve(scores, np.ones(width), mode="valid")))
    inside = min(end, best + width + TOLERANCE) - max(start, best - TOLERANCE)
    return max(inside, 0) / width


def masking_scores(scan: pd.DataFrame, compartment: str, length: int) -> np.ndarray:
    """Mean drop of probability over the windows that mask each nucleotide: shape (length,)."""
    total, windows = np.zeros(length), np.zeros(length)
    for start, end, change in scan[["start", "end", compartment]].itertuples(index=False):
        total[int(start) : int(end)] -= change
        windows[int(start) : int(end)] += 1
    return np.asarray(total / np.maximum(windows, 1))


def trained(planted: PlantedSequences, seed: int) -> SavedTower:
    """Train the preset rnatracker as `mirnagraph seq train`, with a tenth for validation."""
    data, config = planted.data, seq_config("rnatracker", seed=seed)
    order = generator(seed, "planted proof").permutation(len(data))
    fit, stop = np.sort(order[len(data) // 10 :]), np.sort(order[: len(data) // 10])
    encoding = fit_encoding(config.encoder, config.lengths, [data.sequences[row] for row in fit])
    with tempfile.TemporaryDirectory() as folder, one_thread():
        tower = train_tower(
            encoding(data.sequences),
            data.labels,
            data.kind,
            fit,
            stop,
            config,
            seed,
            folder=Path(folder),
        ).tower
    return SavedTower(
        config,
        data.compartments,
        data.kind,
        tower,
        encoding,
        np.full(len(data.compartments), 0.5),
        {},
    )


def prove(rnas: int = 700, tested: int = 40, seed: int = 0) -> Proof:
    """Train on `rnas` RNAs, explain `tested` others.

    Args:
        seed: of the RNAs and the training; the test RNAs have one of their own.
    """
    learned = planted_sequences(rnas, seed=seed, shortest=SHORTEST, longest=LONGEST, noise=0.0)
    others = planted_sequences(
        tested, seed=child_seed(seed, "tested"), shortest=SHORTEST, longest=LONGEST, noise=0.0
    )
    model = trained(learned, seed)
    data = others.data
    probabilities = model.predict(data.sequences)
    fold = np.zeros(tested, dtype=int)
    thresholds = np.full_like(data.labels, 0.5)
    table = evaluate(data.labels, probabilities, fold, thresholds, data.compartments)
    auc = float(
        table.loc[(table["compartment"] == "average") & (table["metric"] == "AUC"), "mean"].iloc[0]
    )
    by_masking, by_gradients = [], []
    of_rna = dict(zip(others.data.index.ids, others.data.sequences, strict=True))
    with one_thread():
        for name, places in others.places.groupby("rna_id", sort=False):
            sequence = of_rna[str(name)]
            width = int((places["end"] - places["start"]).max())
            scan = mask_scan(model, sequence, MaskingConfig(window=width, stride=1, shuffles=0))
            values = attribute(model, sequence).values
            for place in places.itertuples():
                by_masking.append(
                    overlap(
                        masking_scores(scan, place.compartment, len(sequence)),
                        place.start,
                        place.end,
                    )
                )
                by_gradients.append(
                    overlap(
                        values[:, model.compartments.index(place.compartment)],
                        place.start,
                        place.end,
                    )
                )
        matches = match_motifs(
            filter_motifs(model, learned.data.sequences), [*planted_motifs(), *decoys(seed)]
        )
    lowest = {
        name: float(matches.loc[matches["known"] == name, "q_value"].min())
        for name in model.compartments
    }
    return Proof(
        auc,
        float(np.mean(np.array(by_masking) > FOUND)),
        float(np.mean(np.array(by_gradients) > FOUND)),
        lowest,
        len(by_masking),
    )


def decoys(seed: int, n: int = 97) -> list[Motif]:
    """Random motifs as further targets of Tomtom, whose p-values need many."""
    rng = generator(seed, "decoys")
    return [
        Motif(f"random {number}", 0.04 + 0.84 * np.eye(4)[rng.integers(0, 4, 10)], 20)
        for number in range(n)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rnas", type=int, default=700, help="RNAs to learn from")
    parser.add_argument("--tested", type=int, default=40, help="other RNAs to explain")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    found = prove(given.rnas, given.tested, given.seed)
    print(
        f"{given.rnas} training RNAs, {given.tested} others of {SHORTEST} to {LONGEST} nt "
        f"with {found.words} planted motifs: AUC {found.auc:.3f}"
    )
    print(f"masking, windows as long as the word: {100 * found.masking:.1f} % of words found")
    print(f"integrated gradients: {100 * found.attribution:.1f} % of words found")
    print(
        "filters of the first layer, lowest q of Tomtom: "
        + ", ".join(f"{name} {q:.2g}" for name, q in found.q_values.items())
    )
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
