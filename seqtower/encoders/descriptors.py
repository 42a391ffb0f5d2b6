"""Descriptors of whole RNAs, and of the junctions of circRNAs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mirnagraph.config import require
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import to_rna
from seqtower.data.kmers import (
    LETTERS,
    check_flags,
    closed,
    kmer_counts,
    kmer_names,
    letter_codes,
    one_hot,
)

LONGEST_KMER = 4

ENDS = ((60, 2), (250, 3), (1000, 3))
"""Nucleotides of an end, and longest k counted in it: frequencies in a short end are too coarse for
long k-mers."""

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
"""Nucleotides of the longest match of `ELEMENTS` (the G-quadruplex)."""

_PATTERNS = {name: re.compile(f"(?={pattern})") for name, pattern in ELEMENTS.items()}

AT_A_TIME = 1000
"""RNAs that are described at a time, which bounds memory beside the descriptors."""

NEAR = 10
"""Nucleotides on either side with columns of their own: joined exons have preferred ends."""

SIDES = ((60, 2), (250, 3))
"""Nucleotides on either side, and longest k counted over both."""


def descriptor_names() -> list[str]:
    """Names of the columns of `descriptors`."""
    ends = [
        f"{kmer} in the {place} {end} nt"
        for end, k in ENDS
        for place in ("first", "last")
        for kmer in kmer_names(k)
    ]
    frames = [
        "longest open reading frame (log nt)",
        "longest open reading frame (share)",
        "open reading frames per nt",
        "poly(A) signal near the 3' end",
    ]
    extremes = [
        f"{kind} of {letter} along the RNA"
        for letter in (*LETTERS, "G or C")
        for kind in ("highest share", "lowest share", "SD")
    ]
    stretches = [
        f"longest stretch without a stop ({unit})"
        for unit in ("log nt", "share", "log nt, the frame where it is shortest")
    ]
    return [
        *kmer_names(LONGEST_KMER),
        "log length",
        *ends,
        *frames,
        *extremes,
        *ELEMENTS,
        "CpG, observed to expected",
        "skew of G over C",
        "skew of A over U",
        *stretches,
    ]


@checked
def descriptors(
    sequences: Sequence[str], *, window: int = 100, circular: Sequence[bool] | None = None
) -> np.ndarray:
    """Compute descriptors of RNAs, features for trees.

    - Frequencies of k-mers, k 1 to 4, and the log of the length.
    - Frequencies of k-mers in the first and the last nucleotides (`ENDS`; the whole of a shorter
      RNA), where zipcodes of many RNAs lie.
    - Length, share and number of open reading frames (AUG to a stop in frame, or to the end).
    - Per nucleotide, and for G or C, the highest and lowest share in a window and the SD.
    - Known elements per 1,000 nt (`ELEMENTS`).
    - CpG, observed to expected from C and G; the skews (G - C) / (G + C) and (A - U) / (A + U).
    - The longest stretch without a stop in a frame.

    A circle has no ends: its k-mers, windows and elements continue over the junction where the
    sequence closes, and its reading frames run around until they meet a stop. Its "first" and
    "last" nucleotides are those on both sides of the junction.

    Args:
        sequences: of ACGTUN in any case, 5' to 3'.
        window: nucleotides of a window; the whole of a shorter RNA.
        circular: per RNA, whether it is a circle; None for none.

    Returns:
        float32, shape (n, 758); columns as `descriptor_names`.
    """
    require(window >= 1, "window", window, "1 or more")
    check_flags(circular, len(sequences))
    sequences = [to_rna(sequence) for sequence in sequences]
    is_circle = [False] * len(sequences) if circular is None else list(circular)
    values = np.empty((len(sequences), len(descriptor_names())), dtype=np.float32)
    for start in range(0, len(sequences), AT_A_TIME):
        block = slice(start, start + AT_A_TIME)
        values[block] = _descriptors(sequences[block], window, is_circle[block])
    return values


def _descriptors(sequences: Sequence[str], window: int, is_circle: list[bool]) -> np.ndarray:
    """Descriptors of some RNAs, see `descriptors`."""
    blocks = [kmer_counts(sequences, LONGEST_KMER, circular=is_circle)]
    for end, k in ENDS:
        first = [sequence[:end] for sequence in sequences]
        last = [sequence[-end:] for sequence in sequences]
        blocks.append(kmer_counts(first, k, length=False))
        blocks.append(kmer_counts(last, k, length=False))
    pairs = zip(sequences, is_circle, strict=True)
    others = np.array([_others(sequence, window, circle) for sequence, circle in pairs])
    blocks.append(others.astype(np.float32).reshape(len(sequences), -1))
    return np.concatenate(blocks, axis=1)


def _others(sequence: str, window: int, circle: bool) -> list[float]:
    """Descriptors that are no k-mer frequencies."""
    near_end = sequence[-60:]
    frames = _codons(sequence, circle)
    longest, n_frames = _frames(frames)
    size = max(len(sequence), 1)
    extended = closed(sequence, window) if circle and len(sequence) > window else sequence
    return [
        float(np.log1p(longest)),
        longest / size,
        n_frames / size,
        float("AAUAAA" in near_end or "AUUAAA" in near_end),
        *_extremes(extended, window),
        *_elements(sequence, circle),
        *_skews(sequence, circle),
        *_stretches(frames, size),
    ]


def _codons(sequence: str, circle: bool) -> list[list[str]]:
    """Codons of each frame.

    There are three frames; of a circle whose length is no multiple of 3 one, which returns to its
    start after three turns. Frames of a circle start behind a stop (without a stop, at a start
    codon), so that no reading frame is cut in two.
    """
    if not circle or len(sequence) < 3:
        return [
            [sequence[at : at + 3] for at in range(frame, len(sequence) - 2, 3)]
            for frame in range(3)
        ]
    n_turns = 1 if len(sequence) % 3 == 0 else 3
    n_frames = 3 if n_turns == 1 else 1
    extended = closed(sequence * n_turns, 3)
    frames = []
    for frame in range(n_frames):
        codons = [extended[at : at + 3] for at in range(frame, len(sequence) * n_turns, 3)]
        start = _first_codon(codons)
        frames.append(codons[start:] + codons[:start])
    return frames


def _first_codon(codons: list[str]) -> int:
    """Place behind the first stop; without a stop, of the first start codon, else 0."""
    for at, codon in enumerate(codons):
        if codon in STOPS:
            return at + 1
    return codons.index("AUG") if "AUG" in codons else 0


def _frames(frames: list[list[str]]) -> tuple[int, int]:
    """Longest open reading frame (nt, without the stop), and how many end at a stop."""
    longest = 0
    n_stopped = 0
    for codons in frames:
        start = -1
        for at, codon in enumerate(codons):
            if codon == "AUG" and start < 0:
                start = at
            elif codon in STOPS:
                if start >= 0:
                    longest = max(longest, 3 * (at - start))
                    n_stopped += 1
                start = -1
        if start >= 0:
            longest = max(longest, 3 * (len(codons) - start))
    return longest, n_stopped


def _extremes(sequence: str, window: int) -> list[float]:
    """Highest and lowest share in a window and SD, per nucleotide and for G or C."""
    codes = letter_codes(sequence)
    masks = [codes == number for number in range(len(LETTERS))]
    masks.append(masks[LETTERS.index("G")] | masks[LETTERS.index("C")])
    values = []
    for mask in masks:
        if len(codes) > window:
            total = np.concatenate([[0], np.cumsum(mask)])
            shares = (total[window:] - total[:-window]) / window
        else:
            shares = np.array([mask.mean() if len(mask) else 0.0])
        values += [float(shares.max()), float(shares.min()), float(shares.std())]
    return values


def _elements(sequence: str, circle: bool) -> list[float]:
    """Matches of each element per 1,000 nt."""
    extended = closed(sequence, LONGEST_ELEMENT) if circle else sequence
    scale = 1000 / max(len(sequence), 1)
    values = []
    for pattern in _PATTERNS.values():
        starts = [match.start() for match in pattern.finditer(extended)]
        values.append(scale * sum(start < len(sequence) for start in starts))
    return values


def _skews(sequence: str, circle: bool) -> list[float]:
    """CpG, observed to expected, and the skews of G over C and A over U."""
    a, c, g, u = (sequence.count(letter) for letter in LETTERS)
    extended = closed(sequence, 2) if circle else sequence
    cpg = extended.count("CG") * len(sequence) / max(c * g, 1)
    return [cpg, (g - c) / max(g + c, 1), (a - u) / max(a + u, 1)]


def _stretches(frames: list[list[str]], size: int) -> list[float]:
    """Longest stretch without a stop.

    Of the frame where it is longest as log nt and as share of `size`, of the one where it is
    shortest as log nt.
    """
    longest = []
    for codons in frames:
        stops = [at for at, codon in enumerate(codons) if codon in STOPS]
        places = pairwise([-1, *stops, len(codons)])
        longest.append(3 * max(later - at - 1 for at, later in places))
    return [float(np.log1p(max(longest))), max(longest) / size, float(np.log1p(min(longest)))]


def junction_names() -> list[str]:
    """Names of the columns of `junction`."""
    letters = [
        f"{letter} at {place:+d} of the junction"
        for place in (*range(-NEAR, 0), *range(1, NEAR + 1))
        for letter in LETTERS
    ]
    kmers = [
        f"{kmer} in {side} nt on both sides of the junction"
        for side, k in SIDES
        for kmer in kmer_names(k)
    ]
    return [*letters, *kmers, "length is a multiple of 3"]


def junction(sequences: Sequence[str], circular: Sequence[bool]) -> np.ndarray:
    """Compute descriptors of the junction of circles.

    Nucleotides and k-mer frequencies around it, and whether a reading frame returns to itself after
    one turn.

    Args:
        sequences: of ACGTUN in any case, 5' to 3'; the junction joins end and start.
        circular: per RNA, whether it is a circle; all columns of others are 0.

    Returns:
        float32, shape (n, 185); columns as `junction_names`. A side is the whole of a shorter
        circle.
    """
    check_flags(circular, len(sequences))
    letters = np.zeros((len(sequences), 2 * NEAR, len(LETTERS)), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        before = one_hot(sequence[-NEAR:])
        after = one_hot(sequence[:NEAR])
        letters[row, NEAR - len(before) : NEAR] = before
        letters[row, NEAR : NEAR + len(after)] = after
    blocks = [letters.reshape(len(sequences), -1)]
    for side, k in SIDES:
        around = [sequence[-side:] + sequence[:side] for sequence in sequences]
        blocks.append(kmer_counts(around, k, length=False))
    is_multiple = [len(sequence) % 3 == 0 for sequence in sequences]
    blocks.append(np.array(is_multiple, dtype=np.float32).reshape(-1, 1))
    values = np.concatenate(blocks, axis=1)
    values[~np.asarray(circular, dtype=bool)] = 0
    return values
