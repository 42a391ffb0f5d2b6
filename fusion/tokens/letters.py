"""Token ``letters``: nucleotides of every RNA as codes, for a sequence tower in the fusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fusion.tokens.names import SEQUENCE, TokenName
from fusion.tokens.table import BuildSettings, Token, TokenKind, make_token
from mirnagraph.io import to_rna
from mirnagraph.networks.network import NetworkSet

ALPHABET = "ACGUN"

IN_MATURE = len(ALPHABET)
"""Added to the code of a nucleotide that belongs to a mature miRNA."""


def letter_codes(sequence: str, matures: Sequence[str], width: int) -> np.ndarray:
    """Codes of the nucleotides of one RNA: 1 to 5 for A, C, G, U, N, 0 for padding.

    Of a sequence above `width` the first and the last half are read.

    Args:
        sequence: upper-case ACGUN, may be empty.
        matures: sequences, U or T, whose first place in it is marked by `IN_MATURE`.
        width: length of the result.
    """
    codes = np.array([ALPHABET.index(letter) + 1 for letter in sequence], dtype=np.float32)
    for mature in filter(None, map(to_rna, matures)):
        start = sequence.find(mature)
        if start >= 0:
            place = codes[start : start + len(mature)]
            place[place <= IN_MATURE] += IN_MATURE
    if len(codes) > width:
        codes = np.concatenate([codes[: width - width // 2], codes[len(codes) - width // 2 :]])
    return np.pad(codes, (0, width - len(codes)))


def _build(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    rnas = networks.dataset.rnas
    cells = rnas[SEQUENCE].fillna("").astype(str)
    matures = (
        rnas["matures"].fillna("").astype(str)
        if "matures" in rnas
        else pd.Series("", index=cells.index)
    )
    width = max(1, min(settings.letters, int(cells.str.len().max())))
    rows = [
        letter_codes(sequence, of_rna.split(";"), width)
        for sequence, of_rna in zip(cells, matures, strict=True)
    ]
    return make_token(str(name), np.stack(rows))


letters = TokenKind(_build, modality=SEQUENCE)
