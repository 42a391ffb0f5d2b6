"""Attribution of predictions to nucleotides: integrated gradients and masking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control

from mirnagraph.config import Checked, Count, CountOrZero
from mirnagraph.errors import import_extra
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.parallel import Progress, report
from mirnagraph.reading.nucleotides import rna_sequences
from mirnagraph.seeds import generator
from seqtower.data.batches import collate
from seqtower.data.kmers import LETTERS
from seqtower.encoders.cache import read_only_cache
from seqtower.saved import SavedTower

EXTRA = "interpret"

EPSILON = 1e-6
"""Probabilities are at least this far from 0 and 1 in a divergence."""

REGION_COLUMNS = ["start", "end", "compartment", "change", "kl", "q_value"]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Attributions of one RNA.

    Attributes:
        positions: 0-based nucleotides that the tower read, ascending: int64, shape (n,).
        values: contribution to the logit of each compartment, relative to an RNA of N alone:
            float64, shape (n, n_labels).
        error: completeness error per compartment: sum of the values minus the difference of the
            logits, as a share of the size of that difference.
    """

    positions: np.ndarray
    values: np.ndarray
    error: np.ndarray


STEP = "integrated gradients (steps)"
"""Step of `attribute` in a progress bar."""


def attribute(
    model: SavedTower, sequence: str, *, steps: int = 64, progress: Progress | None = None
) -> Attribution:
    """Attribute every compartment's logit to nucleotides by integrated gradients.

    The value of a nucleotide is the sum over its channels. With structure or a language model it is
    the contribution of the structure or embedding at that nucleotide, without its dependence on
    the nucleotides around it. The value of a k-mer (see `seqtower.encoders.geneticseq2vec`) or a
    patch is divided equally among its nucleotides; letters of a patch have values of their own.
    Numbers of the whole RNA (see `seqtower.encoders.whole`) stay as they are: what they contribute
    has no place in the RNA.

    Args:
        model: the tower.
        sequence: nucleotides A, C, G, U, N.
        steps: points on the path from the baseline to the RNA; more lower the completeness error.
        progress: called after each batch of points.

    Raises:
        MissingExtraError: captum is not installed.
    """
    sequence = rna_sequences([sequence])[0]
    whole = model.whole_numbers([sequence])
    batch = collate(model.encoding([sequence]), [0], types=model.type_numbers(), numbers=whole)
    fixed = (batch.mask, batch.types, batch.numbers)
    width = batch.inputs.shape[1]
    tokens = model.config.training.batch_tokens
    captum = import_extra("captum.attr", EXTRA, "attribution to nucleotides")
    n_steps = steps * len(model.compartments)
    n_done = 0

    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        nonlocal n_done
        n_done = min(n_done + len(inputs[0]), n_steps - 1)
        report(progress, STEP, n_done, n_steps)
        logits: torch.Tensor = model.tower(*inputs)
        return logits

    method = captum.IntegratedGradients(forward)
    baseline = batch.inputs * 0
    with torch.no_grad():
        logits = model.tower(batch.inputs, *fixed)
        baseline_logits = model.tower(baseline, *fixed)
    columns = []
    errors = []
    report(progress, STEP, 0, n_steps)
    for column, difference in enumerate((logits - baseline_logits)[0].tolist()):
        values, delta = method.attribute(
            batch.inputs,
            baseline,
            target=column,
            additional_forward_args=fixed,
            n_steps=steps,
            internal_batch_size=max(1, tokens // width),
            return_convergence_delta=True,
        )
        columns.append(values[0].double().numpy())
        errors.append(float(delta[0]) / max(abs(difference), 1e-9))
    report(progress, STEP, n_steps, n_steps)
    positions = model.encoding.lengths.positions(len(sequence))
    encoder = model.encoding.encoder
    by_channel = np.stack(columns, axis=1)
    n_letters = encoder.letter_channels
    shared = by_channel[:, :, : by_channel.shape[2] - n_letters].sum(axis=2)
    attributions = shared
    if encoder.k > 1 or encoder.stride > 1:
        attributions = _divide_kmers(shared, len(positions), encoder.k, encoder.stride)
    if n_letters:
        attributions = attributions + _of_letters(by_channel[:, :, -n_letters:], len(positions))
    return Attribution(positions, attributions, np.array(errors))


def _divide_kmers(values: np.ndarray, n_positions: int, k: int, stride: int) -> np.ndarray:
    """Divide the values of k-mers, shape (n_kmers, n_labels), equally among their nucleotides."""
    divided = np.zeros((n_positions, values.shape[1]))
    for number, value in enumerate(values):
        start = number * stride
        end = min(start + k, n_positions)
        divided[start:end] += value / max(end - start, 1)
    return divided


def _of_letters(values: np.ndarray, n_positions: int) -> np.ndarray:
    """Values of the letters of patches, (n_patches, n_labels, patch * 4), by nucleotide."""
    n_patches, n_labels, _ = values.shape
    by_letter = values.reshape(n_patches, n_labels, -1, len(LETTERS)).sum(axis=3)
    return by_letter.transpose(0, 2, 1).reshape(-1, n_labels)[:n_positions]


def top_kmers(
    attributions: list[tuple[str, Attribution]],
    compartments: tuple[str, ...],
    k: int = 5,
    top: int = 5,
) -> list[tuple[str, str, float, int]]:
    """Return the k-mers with the highest attribution per compartment (DeepLocRNA, section 2.5).

    Each RNA counts with its best k-mer; k-mers are ranked by the sum of their attributions. Where
    the tower reads both ends of an RNA, no k-mer runs from one end into the other.

    Args:
        attributions: pairs of sequence and attribution.
        compartments: names, in the order of the columns of the attributions.
        k: nucleotides of a k-mer.
        top: k-mers per compartment.

    Returns:
        ``(compartment, k-mer, its mean attribution where it is the best, RNAs in which it is the
        best)``, best first.
    """
    rows = []
    for column, name in enumerate(compartments):
        best: dict[str, list[float]] = {}
        for sequence, attribution in attributions:
            sums = _window_sums(attribution.positions, attribution.values[:, column], k)
            if not np.isfinite(sums).any():
                continue
            start = int(np.argmax(sums))
            place = int(attribution.positions[start])
            best.setdefault(sequence[place : place + k], []).append(float(sums[start]))
        ranked = sorted(
            best.items(), key=lambda item: (-len(item[1]) * float(np.mean(item[1])), item[0])
        )[:top]
        rows += [(name, kmer, float(np.mean(values)), len(values)) for kmer, values in ranked]
    return rows


def _window_sums(positions: np.ndarray, values: np.ndarray, k: int) -> np.ndarray:
    """Sum of every k values in a row; minus infinity where their positions are not neighbours."""
    if len(positions) < k:
        return np.zeros(0)
    sums = np.convolve(values, np.ones(k), mode="valid")
    is_whole = positions[k - 1 :] - positions[: len(positions) - k + 1] == k - 1
    return np.where(is_whole, sums, -np.inf)


MOST_MASKED = 20_000_000
"""Nucleotides that a tower reads to mask one RNA, above which masking has to be asked for."""


@dataclass(frozen=True)
class MaskingConfig(Checked):
    """How an RNA is masked.

    Attributes:
        window: nucleotides masked at a time (paper: 100).
        stride: nucleotides from one window to the next.
        shuffles: shuffled copies of the RNA for the null distribution.
        q_value: false discovery rate up to which a window is a zipcode.
    """

    window: Count = 100
    stride: Count = 10
    shuffles: CountOrZero = 3
    q_value: Annotated[float, "in (0, 1)"] = 0.05


def mask_scan(
    model: SavedTower,
    sequence: str,
    config: MaskingConfig | None = None,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Mask one window after the other and predict again.

    Masked nucleotides become N, and the masked RNA is encoded anew, with its own structure or
    embedding. A window is significant where the Kullback-Leibler divergence between the predictions
    with and without it is higher than that of windows of shuffled RNAs (empirical p-values,
    Benjamini-Hochberg).

    Args:
        model: the tower.
        sequence: nucleotides A, C, G, U, N.
        config: windows and shuffles; None for the defaults.
        seed: of the shuffles.

    Returns:
        One row per window: ``start``, ``end`` (0-based, end excluded), ``kl`` (nats, 0 or more;
        summed over independent compartments), one column per compartment (probability with the
        window masked minus without; below 0 where the window supports the compartment), and
        ``q_value`` (NaN without shuffles).
    """
    config = config or MaskingConfig()
    starts, whole, masked = _scan(model, sequence, config)
    kl = _divergence(whole, masked, model.kind)
    ends = np.minimum(starts + config.window, len(sequence))
    scan = pd.DataFrame({"start": starts, "end": ends, "kl": kl})
    for column, name in enumerate(model.compartments):
        scan[name] = masked[:, column] - whole[column]
    rng = generator(seed, "masking")
    null = []
    for _ in range(config.shuffles):
        shuffled = "".join(rng.permutation(list(sequence)))
        _, shuffled_whole, shuffled_masked = _scan(model, shuffled, config)
        null.append(_divergence(shuffled_whole, shuffled_masked, model.kind))
    scan["q_value"] = np.nan
    if null:
        chance = np.sort(np.concatenate(null))
        n_as_high = len(chance) - np.searchsorted(chance, kl, side="left")
        scan["q_value"] = false_discovery_control((n_as_high + 1) / (len(chance) + 1))
    return scan


def no_windows(compartments: Sequence[str]) -> pd.DataFrame:
    """Table of `mask_scan` without a window."""
    columns = ["start", "end", "kl", *compartments, "q_value"]
    return pd.DataFrame({name: np.zeros(0) for name in columns})


def masked_nucleotides(lengths: Sequence[int], config: MaskingConfig) -> int:
    """Nucleotides that a tower reads anew to mask RNAs of these lengths."""
    total = 0
    for length in lengths:
        n_windows = len(_starts(length, config))
        total += (1 + config.shuffles) * (n_windows + 1) * length
    return total


def is_long_to_mask(sequences: Iterable[str], config: MaskingConfig) -> bool:
    """Whether an RNA makes a tower read more than `MOST_MASKED` nucleotides.

    >>> is_long_to_mask(["A" * 7000, "A"], MaskingConfig())
    False
    >>> is_long_to_mask(["A" * 7200], MaskingConfig())
    True
    """
    return any(masked_nucleotides([len(one)], config) > MOST_MASKED for one in sequences)


def seconds_of_masking(model: SavedTower, sequences: Sequence[str], config: MaskingConfig) -> float:
    """Estimate how long `mask_scan` of these RNAs takes, from one masked reading of the shortest.

    Args:
        model: the tower.
        sequences: RNAs, one or more.
        config: windows and shuffles.
    """
    shortest = min(sequences, key=len)
    start = time.perf_counter()
    with read_only_cache():
        model.predict(["N" + shortest[1:]])
    seconds = time.perf_counter() - start
    lengths = [len(sequence) for sequence in sequences]
    return seconds * masked_nucleotides(lengths, config) / max(len(shortest), 1)


def zipcodes(
    scan: pd.DataFrame, compartments: tuple[str, ...], config: MaskingConfig | None = None
) -> pd.DataFrame:
    """Merge overlapping significant windows into regions.

    Args:
        scan: table of `mask_scan`.
        compartments: names of its columns.
        config: false discovery rate; None for the default.

    Returns:
        ``start``, ``end``, ``compartment`` (the one that changes most), ``change`` (of its
        probability when the strongest window is masked), ``kl`` and ``q_value`` of that window;
        strongest first.
    """
    config = config or MaskingConfig()
    significant = scan[scan["q_value"] <= config.q_value]
    reach = significant["end"].shift(fill_value=-1)
    number = (significant["start"] > reach).cumsum()
    regions = []
    for _, windows in significant.groupby(number, sort=False):
        strongest = windows.iloc[int(np.argmax(windows["kl"].to_numpy()))]
        changes = strongest[list(compartments)].astype(float)
        compartment = str(changes.abs().idxmax())
        regions.append(
            {
                "start": int(windows["start"].min()),
                "end": int(windows["end"].max()),
                "compartment": compartment,
                "change": float(changes[compartment]),
                "kl": float(strongest["kl"]),
                "q_value": float(strongest["q_value"]),
            }
        )
    table = pd.DataFrame(regions, columns=REGION_COLUMNS)
    return table.sort_values("kl", ascending=False, kind="stable", ignore_index=True)


def _starts(length: int, config: MaskingConfig) -> np.ndarray:
    """Starts of the windows of an RNA, ascending."""
    last = max(length - config.window, 0)
    return np.unique(np.append(np.arange(0, last + 1, config.stride), last))


def _scan(
    model: SavedTower, sequence: str, config: MaskingConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask each window of an RNA.

    Returns:
        Window starts, the prediction for the RNA, shape (n_labels,), and with each window masked,
        shape (n_windows, n_labels).
    """
    starts = _starts(len(sequence), config)
    masked = []
    for start in starts.tolist():
        end = min(start + config.window, len(sequence))
        masked.append(sequence[:start] + "N" * (end - start) + sequence[end:])
    with read_only_cache():
        predicted = model.predict([sequence, *masked])
    return starts, predicted[0], predicted[1:]


def _divergence(whole: np.ndarray, masked: np.ndarray, kind: str) -> np.ndarray:
    """Kullback-Leibler divergence of each row of `masked` from `whole` in nats: (n_windows,)."""
    p = np.clip(whole, EPSILON, 1 - EPSILON)
    q = np.clip(masked, EPSILON, 1 - EPSILON)
    if kind == MULTI_LABEL:
        return (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(axis=1)
    return np.maximum((p * np.log(p / q)).sum(axis=1), 0)
