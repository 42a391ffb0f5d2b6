"""Integrated gradients, occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mirnagraph.config import require
from mirnagraph.errors import import_extra
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.parallel import Progress, report
from mirnagraph.seeds import generator
from seqtower.data.batches import collate
from seqtower.encoders.cache import read_only_cache
from seqtower.saved import SavedTower

EXTRA = "interpret"

EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class Attribution:
    """Attributions of one RNA.

    Attributes:
        positions: 0-based nucleotides that the tower read, ascending: int64, shape (n,).
        values: what each adds to the logit of each compartment, compared with inputs of 0, which is an RNA of
            nothing but N: float64, shape (n, n_labels).
        error: completeness error per compartment: sum of the values minus the difference of the logits, as a share of that difference's size.
    """

    positions: np.ndarray
    values: np.ndarray
    error: np.ndarray


def attribute(
    model: SavedTower, sequence: str, *, steps: int = 64, batch_tokens: int | None = None
) -> Attribution:
    """Attribute every compartment's logit to nucleotides.

    A nucleotide's value is the sum over its channels. With structure or a language model it is what is foretold or embedded at that nucleotide
    that adds to the logit; that the letters around it made it so is not followed further. A position that stands for a word of several letters
    (see `seqtower.encoders.geneticseq2vec`) shares its value among them.

    Args:
        steps: points on the path from nothing to the RNA; more bring the completeness error down.
        batch_tokens: positions computed at a time; None for the training's own.

    Raises:
        MissingExtraError: captum is not installed.
    """
    batch = collate(model.encoding([sequence]), [0], types=model.type_numbers())
    width = batch.inputs.shape[1]
    tokens = batch_tokens or model.config.training.batch_tokens
    captum = import_extra("captum.attr", EXTRA, "attribution to nucleotides")
    method = captum.IntegratedGradients(model.tower)
    baseline = batch.inputs * 0
    found = []
    errors = []
    for column in range(len(model.compartments)):
        values, delta = method.attribute(
            batch.inputs, baseline, target=column, additional_forward_args=(batch.mask, batch.types), n_steps=steps,
            internal_batch_size=max(1, tokens // width), return_convergence_delta=True,
        )  # fmt: skip
        found.append(values.sum(dim=-1)[0].double().numpy())
        span = float(
            (
                model.tower(batch.inputs, batch.mask, batch.types)
                - model.tower(baseline, batch.mask, batch.types)
            ).detach()[0, column]
        )
        errors.append(float(delta[0]) / max(abs(span), 1e-9))
    per_step = np.stack(found, axis=1)
    kept = model.encoding.lengths.positions(len(sequence))
    words = model.encoding.encoder
    if words.k > 1 or words.stride > 1:
        spread = np.zeros((len(kept), per_step.shape[1]))
        for step, value in enumerate(per_step):
            place = slice(step * words.stride, min(step * words.stride + words.k, len(kept)))
            spread[place] += value / max(place.stop - place.start, 1)
        per_step = spread
    return Attribution(kept, per_step, np.array(errors))


def top_words(
    attributions: list[tuple[str, Attribution]],
    compartments: tuple[str, ...],
    k: int = 5,
    top: int = 5,
) -> list[tuple[str, str, float, int]]:
    """Words with the highest mean attribution per compartment (DeepLocRNA, section 2.5: in each RNA its best word counts).

    Args:
        attributions: pairs of sequence and attribution.

    Returns:
        ``(compartment, word, mean attribution of its best places, RNAs in which it is the best word)``, best first.
    """
    rows = []
    for column, name in enumerate(compartments):
        best: dict[str, list[float]] = {}
        for sequence, found in attributions:
            letters = "".join(sequence[i] for i in found.positions)
            if len(letters) < k:
                continue
            sums = np.convolve(found.values[:, column], np.ones(k), mode="valid")
            at = int(np.argmax(sums))
            best.setdefault(letters[at : at + k], []).append(float(sums[at]))
        ranked = sorted(
            best.items(), key=lambda item: (-len(item[1]) * float(np.mean(item[1])), item[0])
        )[:top]
        rows += [(name, word, float(np.mean(values)), len(values)) for word, values in ranked]
    return rows


@dataclass(frozen=True)
class MaskingConfig:
    """How an RNA is masked.

    Attributes:
        window: nucleotides that are hidden at a time (paper: 100).
        stride: nucleotides from one window to the next.
        shuffles: how many shuffled copies of the RNA say what a change by chance looks like.
        q_value: false discovery rate below which a window is a zipcode.
    """

    window: int = 100
    stride: int = 10
    shuffles: int = 3
    q_value: float = 0.05

    def __post_init__(self) -> None:
        require(
            self.window >= 1 and self.stride >= 1,
            "window, stride",
            (self.window, self.stride),
            "1 or more",
        )
        require(self.shuffles >= 0, "shuffles", self.shuffles, "0 or more")
        require(0 < self.q_value < 1, "q_value", self.q_value, "in (0, 1)")


def mask_scan(
    model: SavedTower,
    sequence: str,
    config: MaskingConfig | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Hide one stretch after the other and see what the model then says.

    Hidden letters become N, which a tower sees as nothing; encoders that look at neighbours encode each masked RNA anew, so that a hidden stretch
    pairs with nothing and tells a language model nothing. A window is significant where the Kullback-Leibler divergence between what
    the model says with and without it is higher than that of windows of the shuffled RNA (empirical p-values, Benjamini-Hochberg).

    Returns:
        One row per window: ``start``, ``end`` (0-based, end excluded), ``kl`` (nats, 0 or more; summed over compartments where they are
        independent), one column per compartment (probability with the window hidden minus without: below 0 where the window speaks for
        it), and ``q_value`` (NaN without shuffles).
    """
    config = config or MaskingConfig()
    report(progress, "masking", 0, 1 + config.shuffles)
    starts, whole, hidden = _scan(model, sequence, config)
    kl = _divergence(whole, hidden, model.kind)
    found = pd.DataFrame(
        {"start": starts, "end": np.minimum(starts + config.window, len(sequence)), "kl": kl}
    )
    for column, name in enumerate(model.compartments):
        found[name] = hidden[:, column] - whole[column]
    rng = generator(seed, "masking")
    null = []
    for number in range(config.shuffles):
        report(progress, "masking", 1 + number, 1 + config.shuffles)
        _, base, other = _scan(model, "".join(rng.permutation(list(sequence))), config)
        null.append(_divergence(base, other, model.kind))
    found["q_value"] = np.nan
    if null:
        chance = np.sort(np.concatenate(null))
        above = len(chance) - np.searchsorted(chance, kl, side="left")
        found["q_value"] = false_discovery_control((above + 1) / (len(chance) + 1))
    report(progress, "masking", 1 + config.shuffles, 1 + config.shuffles)
    return found


def zipcodes(
    scan: pd.DataFrame, compartments: tuple[str, ...], config: MaskingConfig | None = None
) -> pd.DataFrame:
    """Significant windows joined to regions.

    Returns:
        ``start``, ``end``, ``compartment`` (the one that changes most), ``change`` (of its probability, when the strongest window is
        hidden), ``kl`` and ``q_value`` of that window; strongest first.
    """
    config = config or MaskingConfig()
    regions: list[dict[str, object]] = []
    current: list[int] = []

    def close() -> None:
        if current:
            part = scan.iloc[current]
            best = part.iloc[int(np.argmax(part["kl"].to_numpy()))]
            changes = best[list(compartments)].astype(float)
            name = str(changes.abs().idxmax())
            regions.append(
                {"start": int(part["start"].min()), "end": int(part["end"].max()), "compartment": name, "change": float(changes[name]),
                 "kl": float(best["kl"]), "q_value": float(best["q_value"])}
            )  # fmt: skip

    for row in range(len(scan)):
        if scan["q_value"].iloc[row] <= config.q_value:
            if current and scan["start"].iloc[row] > scan["end"].iloc[current[-1]]:
                close()
                current = []
            current.append(row)
    close()
    table = pd.DataFrame(
        regions, columns=["start", "end", "compartment", "change", "kl", "q_value"]
    )
    return table.sort_values("kl", ascending=False, kind="stable", ignore_index=True)


def _scan(
    model: SavedTower, sequence: str, config: MaskingConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Window starts, what the model says of the whole RNA (n_labels,), and with each window hidden (n_windows, n_labels)."""
    last = max(len(sequence) - config.window, 0)
    starts = np.unique(np.append(np.arange(0, last + 1, config.stride), last))
    masked = [
        sequence[:s]
        + "N" * (min(s + config.window, len(sequence)) - s)
        + sequence[s + config.window :]
        for s in starts
    ]
    with read_only_cache():
        said = model.predict([sequence, *masked])
    return starts, said[0], said[1:]


def _divergence(whole: np.ndarray, hidden: np.ndarray, kind: str) -> np.ndarray:
    """Kullback-Leibler divergence of each row of `hidden` from `whole`, in nats: shape (n_windows,)."""
    p = np.clip(whole, EPSILON, 1 - EPSILON)
    q = np.clip(hidden, EPSILON, 1 - EPSILON)
    if kind == MULTI_LABEL:
        return np.asarray((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(axis=1))
    return np.asarray(np.maximum((p * np.log(p / q)).sum(axis=1), 0))
