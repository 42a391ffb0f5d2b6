"""Integrated gradients (Sundararajan et al. 2017) through captum: how much each nucleotide adds to a compartment's logit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirnagraph.errors import import_extra
from seqtower.batches import collate
from seqtower.model_files import SavedTower
from seqtower.settings import WORDS

EXTRA = "interpret"


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


def attribute(model: SavedTower, sequence: str, *, steps: int = 64, batch_tokens: int | None = None) -> Attribution:
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
    found, errors = [], []
    for column in range(len(model.compartments)):
        values, delta = method.attribute(
            batch.inputs, baseline, target=column, additional_forward_args=(batch.mask, batch.types), n_steps=steps,
            internal_batch_size=max(1, tokens // width), return_convergence_delta=True,
        )  # fmt: skip
        found.append(values.sum(dim=-1)[0].double().numpy())
        span = float((model.tower(batch.inputs, batch.mask, batch.types) - model.tower(baseline, batch.mask, batch.types)).detach()[0, column])
        errors.append(float(delta[0]) / max(abs(span), 1e-9))
    per_step = np.stack(found, axis=1)
    kept = model.encoding.lengths.positions(len(sequence))
    if model.config.encoder.kind == WORDS:
        words = model.config.encoder.words
        spread = np.zeros((len(kept), per_step.shape[1]))
        for step, value in enumerate(per_step):
            place = slice(step * words.stride, min(step * words.stride + words.k, len(kept)))
            spread[place] += value / max(place.stop - place.start, 1)
        per_step = spread
    return Attribution(kept, per_step, np.array(errors))


def top_words(attributions: list[tuple[str, Attribution]], compartments: tuple[str, ...], k: int = 5, top: int = 5) -> list[tuple[str, str, float, int]]:
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
        ranked = sorted(best.items(), key=lambda item: (-len(item[1]) * float(np.mean(item[1])), item[0]))[:top]
        rows += [(name, word, float(np.mean(values)), len(values)) for word, values in ranked]
    return rows
