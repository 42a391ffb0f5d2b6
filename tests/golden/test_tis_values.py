"""Values of the stock implementation of the TIS Transformer: performer-pytorch 1.1.4.

Made by the class `Stock` of ``benchmarks/tis_speed.py`` with local-attention 1.4.4 and the weights
that ship, float32, one sequence at a time without padding. Values alone are kept here.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqtower.encoders.tis import rna_tokens
from seqtower.encoders.tis_weights import frozen_tis

LARGEST_DIFFERENCE = 1e-5
"""Of the largest hidden value."""

CHANNELS = (0, 13, 47)

REPEATED = "AUGGCUUACGGAUCCNACGU" * 30


def pseudo_random(length: int) -> str:
    """Fixed letters: the two highest bits of a linear congruential generator."""
    state = 1
    letters = []
    for _ in range(length):
        state = (state * 1103515245 + 12345) % 2**31
        letters.append("ACGU"[state >> 29])
    return "".join(letters)


CASES = {
    "600 nucleotides": (
        REPEATED,
        468.211,
        (-33.1477, 36.3259, 313.6604, 21.1041),
        {
            0: (0.361, 37.451, -17.586),
            300: (7.059, 23.107, -89.273),
            599: (-22.984, 17.270, -35.246),
        },
    ),
    "3,000 nucleotides": (
        pseudo_random(3000),
        587.253,
        (-42.1522, 5.3143, 323.8422, 36.8239),
        {
            0: (0.888, 14.884, -152.824),
            1: (-41.632, -4.800, -11.464),
            255: (-23.552, -45.744, -32.708),
            256: (-12.354, -3.841, -54.366),
            511: (-17.814, 26.936, -32.861),
            512: (-36.481, -39.743, -42.455),
            1500: (-70.769, -13.717, -11.628),
            2999: (-46.385, -58.432, -40.458),
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_hidden_values_are_those_of_the_stock_implementation(name: str) -> None:
    rna, largest, means, values = CASES[name]
    network = frozen_tis()
    tokens = torch.from_numpy(rna_tokens(rna))[None]
    device = network.nuc_emb.weight.device
    with torch.inference_mode():
        hidden = network(tokens.to(device), torch.tensor([tokens.shape[1]], device=device))
    letters = hidden[0, 1:-1].cpu().numpy()
    tolerance = LARGEST_DIFFERENCE * largest
    np.testing.assert_allclose(np.abs(letters).max(), largest, atol=tolerance)
    np.testing.assert_allclose(letters.mean(axis=0)[:4], means, atol=tolerance)
    for position, expected in values.items():
        np.testing.assert_allclose(letters[position, list(CHANNELS)], expected, atol=tolerance)


def test_start_scores_are_those_of_the_stock_implementation() -> None:
    network = frozen_tis()
    tokens = torch.from_numpy(rna_tokens(REPEATED))[None]
    device = network.nuc_emb.weight.device
    with torch.inference_mode():
        hidden = network(tokens.to(device), torch.tensor([tokens.shape[1]], device=device))
        scores = network.start_scores(hidden)[0, 1:-1].cpu().numpy()
    np.testing.assert_allclose(scores[[0, 300]], [0.573539, 0.004288], atol=2e-6)
