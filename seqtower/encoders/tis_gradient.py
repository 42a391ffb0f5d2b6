"""The way of a gradient from patches of the TIS Transformer back to the letters of an RNA."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from seqtower.data.batches import centre_cuts
from seqtower.data.kmers import LETTERS
from seqtower.encoders.tis_network import (
    CODES,
    END,
    LARGEST_LOGIT,
    START,
    UNKNOWN,
    TisTransformer,
)

Stretch = tuple[int, int]
"""First nucleotide that the length policy keeps of a contiguous stretch, and the one behind it."""

SMALLEST_VARIANCE = 1e-12
"""Below it the SD of a patch counts as 0, where its slope is not defined."""


def hidden_of_letters(
    letters: torch.Tensor, network: TisTransformer, places: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute hidden values and start scores of an RNA from its one-hot letters.

    Args:
        letters: one-hot A, C, G, U, N: float32, shape (length, 5).
        network: the transformer.
        places: start and end of the windows that are read, each as a transcript of its own.

    Returns:
        Hidden values, shape (length, 48), and logits of the start score within `LARGEST_LOGIT`,
        shape (length,); those of the most central window for each nucleotide.
    """
    rows = [CODES[letter] for letter in LETTERS] + [UNKNOWN]
    table = network.nuc_emb.weight
    on_device = letters.to(table.device)
    ends = table[[START, END]].detach()
    hidden = []
    for (start, end), (low, high) in zip(places, centre_cuts(places), strict=True):
        embedded = torch.cat([ends[:1], on_device[start:end] @ table[rows].detach(), ends[1:]])
        size = torch.tensor([len(embedded)], device=table.device)
        of_window = network.hidden(embedded[None], size)[0, 1:-1]
        hidden.append(of_window[low - start : high - start])
    joined = torch.cat(hidden)
    logits = network.start_logits(joined).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return joined.to(letters.device), logits.to(letters.device)


def pool_tensor(
    hidden: torch.Tensor, logits: torch.Tensor, stretches: Sequence[Stretch], patch: int
) -> torch.Tensor:
    """Pool consecutive nucleotides as `seqtower.encoders.tis.pool` does: (patches, 97), or 49.

    Args:
        hidden: shape (length, 48).
        logits: of the start score, shape (length,).
        stretches: the nucleotides that are pooled.
        patch: nucleotides per patch; the last one of a stretch may have fewer.
    """
    parts = []
    for start, end in stretches:
        if patch == 1:
            parts.append(torch.cat([hidden[start:end], logits[start:end, None]], dim=1))
            continue
        n = -(-(end - start) // patch)
        padding = n * patch - (end - start)
        is_letter = (torch.arange(n * patch) < end - start).view(n, patch, 1)
        n_letters = is_letter.sum(dim=1)
        values = functional.pad(hidden[start:end], (0, 0, 0, padding)).view(n, patch, -1)
        mean = values.sum(dim=1) / n_letters
        squares = ((values - mean[:, None]) * is_letter).square().sum(dim=1) / n_letters
        varies = squares > SMALLEST_VARIANCE
        sd = torch.where(varies, squares, torch.ones_like(squares)).sqrt() * varies
        scores = functional.pad(logits[start:end], (0, padding), value=-LARGEST_LOGIT)
        parts.append(torch.cat([mean, sd, scores.view(n, patch).amax(dim=1, keepdim=True)], dim=1))
    return torch.cat(parts)


def letters_of_patches(
    letters: torch.Tensor, stretches: Sequence[Stretch], patch: int
) -> torch.Tensor:
    """One-hot nucleotides of each patch, as `seqtower.encoders.tis.patch_letters` lays them out.

    Args:
        letters: one-hot A, C, G, U, N: shape (length, 5); N has no column in a patch.
        stretches: the nucleotides that are encoded.
        patch: nucleotides per patch.

    Returns:
        Shape (patches, 4 * patch).
    """
    parts = []
    for start, end in stretches:
        n = -(-(end - start) // patch)
        padded = functional.pad(
            letters[start:end, : len(LETTERS)], (0, 0, 0, n * patch - (end - start))
        )
        parts.append(padded.reshape(n, patch * len(LETTERS)))
    return torch.cat(parts)
