"""Whole-RNA descriptors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mirnagraph.config import require
from seqtower.data.kmers import LETTERS, closed, kmer_counts, kmer_names, letter_codes, one_hot

WORD = 4

ENDS = ((60, 2), (250, 3), (1000, 3))
"""Nucleotides of an end, and letters of the longest words counted in it: shares in a short end are too coarse for long words."""

STOPS = ("UAA", "UAG", "UGA")

ELEMENTS = {
    "poly(A) signal AAUAAA": "AAUAAA",
    "poly(A) signal AUUAAA": "AUUAAA",
    "5' splice site GURAGU": "GU[AG]AGU",
    "AU-rich AUUUA": "AUUUA",
    "AU-rich nonamer": "UUAUUUA[AU][AU]",
    "Pumilio UGUANAUA": "UGUA[ACGU]AUA",
    "C-rich RCCUCCC (SIRLOIN)": "[AG]CCUCCC",
    "GC box GGGCGG": "GGGCGG",
    "poly(U)": "UUUUUU",
    "poly(A)": "AAAAAA",
    "pyrimidine tract": "[CU]{10}",
    "CA repeat": "CACACA",
    "GU repeat": "GUGUGU",
    "purine GGAGGA": "GGAGGA",
    "G-quadruplex": "GG[ACGU]{1,7}GG[ACGU]{1,7}GG[ACGU]{1,7}GG",
    "CUG repeat": "CUGCUG",
}

LONGEST_ELEMENT = 29
"""Letters of the longest word that an element of `ELEMENTS` can be (the G-quadruplex)."""

_PATTERNS = {name: re.compile(f"(?={pattern})") for name, pattern in ELEMENTS.items()}

NEAR = 10
"""Letters on either side that are read one by one: exons that are joined end and begin in letters of their own."""

SIDES = ((60, 2), (250, 3))
"""Nucleotides on either side, and letters of the longest words counted over both."""


def descriptor_names() -> list[str]:
    """Names in the order of the columns of `descriptors`."""
    ends = [
        f"{word} in the {place} {end} nt"
        for end, k in ENDS
        for place in ("first", "last")
        for word in kmer_names(k)
    ]
    frame = [
        "longest open reading frame (log nt)",
        "longest open reading frame (share)",
        "open reading frames per nt",
        "poly(A) signal near the 3' end",
    ]
    along = [
        f"{kind} of {letter} along the RNA"
        for letter in (*LETTERS, "G or C")
        for kind in ("highest share", "lowest share", "SD")
    ]
    stretches = [
        f"longest stretch without a stop ({of})"
        for of in ("log nt", "share", "log nt, the frame where it is shortest")
    ]
    return [
        *kmer_names(WORD),
        "log length",
        *ends,
        *frame,
        *along,
        *ELEMENTS,
        "CpG, observed to expected",
        "skew of G over C",
        "skew of A over U",
        *stretches,
    ]


def descriptors(
    sequences: Sequence[str], *, window: int = 100, circular: Sequence[bool] | None = None
) -> np.ndarray:
    """Describe RNAs by numbers that trees can read.

    Shares of words of 1 to 4 letters and the log of the length; shares of words in the first and the last nucleotides (`ENDS`; an RNA that is
    shorter is its own end), where zipcodes of many RNAs lie; length, share and number of open reading frames (AUG to a stop in frame, or to the
    end); per letter, and for G or C, the highest and lowest share in a window and its SD; known elements per 1,000 nt (`ELEMENTS`); CpG beside what G and C
    lead to expect, the skews (G - C) / (G + C) and (A - U) / (A + U), and how long no stop stands in a frame.

    A circle has no ends: its words, windows and elements go on over the junction where the given sequence closes, and its reading frames run round until
    they meet a stop. Its "first" and "last" nucleotides are those on both sides of the junction.

    Args:
        window: nucleotides of a window; an RNA that is shorter is one.
        circular: per RNA, whether it is a circle; None for none.

    Returns:
        float32, shape (n, 758); columns as `descriptor_names`.
    """
    require(window >= 1, "window", window, "1 or more")
    circles = [False] * len(sequences) if circular is None else list(circular)
    ends = [
        kmer_counts(part, k, length=False)
        for end, k in ENDS
        for part in ([s[:end] for s in sequences], [s[-end:] for s in sequences])
    ]
    words = kmer_counts(sequences, WORD, circular=circles)
    rest = np.array(
        [_others(s, window, circle) for s, circle in zip(sequences, circles, strict=True)],
        dtype=np.float32,
    )
    return np.concatenate([words, *ends, rest.reshape(len(sequences), -1)], axis=1)


def _others(sequence: str, window: int, circle: bool) -> list[float]:
    near_end = sequence[-60:]
    frames = _codons(sequence, circle)
    longest, n = _frames(frames)
    size = max(len(sequence), 1)
    frame = [
        float(np.log1p(longest)),
        longest / size,
        n / size,
        float("AAUAAA" in near_end or "AUUAAA" in near_end),
    ]
    along = closed(sequence, window) if circle and len(sequence) > window else sequence
    return [
        *frame,
        *_extremes(along, window),
        *_elements(sequence, circle),
        *_skews(sequence, circle),
        *_stretches(frames, size),
    ]


def _codons(sequence: str, circle: bool) -> list[list[str]]:
    """Codons of the frames: three; of a circle whose length is no multiple of 3 one, which comes back to its start after three turns.

    Frames of a circle start behind a stop (without one at a start), so that none is cut in two.
    """
    if not circle or len(sequence) < 3:
        return [
            [sequence[at : at + 3] for at in range(frame, len(sequence) - 2, 3)]
            for frame in range(3)
        ]
    turns = 1 if len(sequence) % 3 == 0 else 3
    long = closed(sequence * turns, 3)
    found = []
    for frame in range(3 if turns == 1 else 1):
        codons = [long[at : at + 3] for at in range(frame, len(sequence) * turns, 3)]
        stop = next((at + 1 for at, codon in enumerate(codons) if codon in STOPS), None)
        start = (
            stop
            if stop is not None
            else next((at for at, codon in enumerate(codons) if codon == "AUG"), 0)
        )
        found.append(codons[start:] + codons[:start])
    return found


def _frames(frames: list[list[str]]) -> tuple[int, int]:
    """Longest open reading frame (nt, stop left out), and how many end at a stop."""
    longest = n = 0
    for codons in frames:
        start = -1
        for at, codon in enumerate(codons):
            if codon == "AUG" and start < 0:
                start = at
            elif codon in STOPS:
                if start >= 0:
                    longest = max(longest, 3 * (at - start))
                    n = n + 1
                start = -1
        if start >= 0:
            longest = max(longest, 3 * (len(codons) - start))
    return longest, n


def _extremes(sequence: str, window: int) -> list[float]:
    codes = letter_codes(sequence)
    is_letter = [codes == number for number in range(len(LETTERS))]
    found = []
    for where in (*is_letter, is_letter[LETTERS.index("G")] | is_letter[LETTERS.index("C")]):
        total = np.concatenate([[0], np.cumsum(where)])
        shares = (
            (total[window:] - total[:-window]) / window
            if len(codes) > window
            else np.array([where.mean() if len(where) else 0.0])
        )
        found += [float(shares.max()), float(shares.min()), float(shares.std())]
    return found


def _elements(sequence: str, circle: bool) -> list[float]:
    per = 1000 / max(len(sequence), 1)
    along = closed(sequence, LONGEST_ELEMENT) if circle else sequence
    return [
        per * sum(1 for found in pattern.finditer(along) if found.start() < len(sequence))
        for pattern in _PATTERNS.values()
    ]


def _skews(sequence: str, circle: bool) -> list[float]:
    a, c, g, u = (sequence.count(letter) for letter in LETTERS)
    cpg = (closed(sequence, 2) if circle else sequence).count("CG") * len(sequence) / max(c * g, 1)
    return [cpg, (g - c) / max(g + c, 1), (a - u) / max(a + u, 1)]


def _stretches(frames: list[list[str]], size: int) -> list[float]:
    """Longest stretch without a stop in the frame where it is longest (log nt, share of `size`) and in the one where it is shortest (log nt)."""
    stops = [
        [-1, *(at for at, codon in enumerate(codons) if codon in STOPS), len(codons)]
        for codons in frames
    ]
    longest = [3 * max(later - at - 1 for at, later in pairwise(places)) for places in stops]
    return [float(np.log1p(max(longest))), max(longest) / size, float(np.log1p(min(longest)))]


def junction_names() -> list[str]:
    """Names in the order of the columns of `junction`."""
    letters = [
        f"{letter} at {place:+d} of the junction"
        for place in (*range(-NEAR, 0), *range(1, NEAR + 1))
        for letter in LETTERS
    ]
    words = [
        f"{word} in {side} nt on both sides of the junction"
        for side, k in SIDES
        for word in kmer_names(k)
    ]
    return [*letters, *words, "length is a multiple of 3"]


def junction(sequences: Sequence[str], circular: Sequence[bool]) -> np.ndarray:
    """Letters and words around the junction, and whether a reading frame comes back to itself after one turn.

    Args:
        circular: per RNA, whether it is a circle; all columns of others are 0.

    Returns:
        float32, shape (n, 185); columns as `junction_names`. A circle shorter than a side is its own side.
    """
    letters = np.zeros((len(sequences), 2 * NEAR, len(LETTERS)), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        last = one_hot(sequence[-NEAR:])
        first = one_hot(sequence[:NEAR])
        letters[row, NEAR - len(last) : NEAR], letters[row, NEAR : NEAR + len(first)] = last, first
    words = [
        kmer_counts([s[-side:] + s[:side] for s in sequences], k, length=False) for side, k in SIDES
    ]
    thirds = np.array([[len(s) % 3 == 0] for s in sequences], dtype=np.float32).reshape(-1, 1)
    found = np.concatenate([letters.reshape(len(sequences), -1), *words, thirds], axis=1)
    found[~np.asarray(circular, dtype=bool)] = 0
    return found
