"""Attribution of predictions to nucleotides by one backward pass through tower and encoder."""

from __future__ import annotations

import numpy as np
import torch

from mirnagraph.parallel import Progress, report
from seqtower.data.kmers import one_hot
from seqtower.interpret.attribution import Attribution
from seqtower.saved import SavedTower

STEP = "gradients (compartments)"
"""Step of `gradient_attribution` in a progress bar."""


def gradient_attribution(
    model: SavedTower, sequence: str, *, progress: Progress | None = None
) -> Attribution:
    """Attribute every compartment's logit to nucleotides: gradient times input, relative to N.

    The value of a nucleotide is the slope of the logit from N to this letter, at the RNA as it is:
    the first order of what masking it does. A pretrained transformer in front of the tower is
    passed through, so that the value holds what the nucleotide changes around itself. Numbers of
    the whole RNA (see `seqtower.encoders.whole`) stay as they are.

    Args:
        model: the tower; its encoder has `has_gradient`.
        sequence: nucleotides A, C, G, U, N.
        progress: called after each compartment.

    Returns:
        Values of all nucleotides that the tower reads. Their completeness error is relative to the
        RNA with N at all of them, as in `seqtower.interpret.attribution.attribute`; slopes need not
        add up, so it may be large.

    Raises:
        ConfigError: no gradient passes through the encoder.
    """
    letters = _with_unknown(sequence).requires_grad_(True)
    encoder = model.encoding.encoder
    lengths = model.encoding.lengths
    numbers = model.whole_numbers([sequence])
    encoded = encoder.encode_letters(letters, lengths)
    leaf = encoded.detach().requires_grad_(True)
    logits = _logits(model, leaf, numbers)
    with torch.no_grad():
        of_nothing = encoder.encode_letters(_with_unknown("N" * len(sequence)), lengths)
        differences = logits.detach() - _logits(model, of_nothing, numbers)
    positions = lengths.positions(len(sequence))
    columns = []
    report(progress, STEP, 0, len(logits))
    for number, logit in enumerate(logits):
        (of_patches,) = torch.autograd.grad(logit, leaf, retain_graph=True)
        (slopes,) = torch.autograd.grad(encoded, letters, of_patches, retain_graph=True)
        values = ((slopes - slopes[:, -1:]) * letters.detach()).sum(dim=1)
        columns.append(values.double().numpy()[positions])
        report(progress, STEP, number + 1, len(logits))
    attributions = np.stack(columns, axis=1)
    gaps = np.abs(differences.double().numpy())
    error = (attributions.sum(axis=0) - differences.double().numpy()) / np.maximum(gaps, 1e-9)
    return Attribution(positions, attributions, error)


def _with_unknown(sequence: str) -> torch.Tensor:
    """One-hot A, C, G, U, N: float32, shape (length, 5)."""
    known = torch.from_numpy(one_hot(sequence).astype(np.float32))
    return torch.cat([known, 1 - known.sum(dim=1, keepdim=True)], dim=1)


def _logits(model: SavedTower, encoded: torch.Tensor, numbers: np.ndarray | None) -> torch.Tensor:
    """Logits of one RNA from its encoding, (positions, channels) -> (n_labels,)."""
    mask = torch.ones((1, len(encoded)), dtype=torch.bool)
    types = model.type_numbers()
    of_type = None if types is None else torch.as_tensor(types, dtype=torch.int64)
    whole = None if numbers is None else torch.as_tensor(numbers, dtype=torch.float32)
    logits: torch.Tensor = model.tower(encoded[None], mask, of_type, whole)[0]
    return logits
