"""Descriptors of a whole RNA for tree models: words, what its two ends are made of, its longest open reading frame, extremes along it, known elements."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mirnagraph.config import require
from seqtower.encoders.kmer import kmer_counts, kmer_names
from seqtower.encoders.one_hot import LETTERS, letter_codes

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
_PATTERNS = {name: re.compile(f"(?={pattern})") for name, pattern in ELEMENTS.items()}


def descriptor_names() -> list[str]:
    """Names in the order of the columns of `descriptors`."""
    ends = [f"{word} in the {place} {end} nt" for end, k in ENDS for place in ("first", "last") for word in kmer_names(k)]
    frame = ["longest open reading frame (log nt)", "longest open reading frame (share)", "open reading frames per nt", "poly(A) signal near the 3' end"]
    along = [f"{kind} of {letter} along the RNA" for letter in (*LETTERS, "G or C") for kind in ("highest share", "lowest share", "SD")]
    return [*kmer_names(WORD), "log length", *ends, *frame, *along, *ELEMENTS]


def descriptors(sequences: Sequence[str], *, window: int = 100) -> np.ndarray:
    """Describe RNAs by numbers that trees can read.

    Shares of words of 1 to 4 letters and the log of the length; shares of words in the first and the last nucleotides (`ENDS`; an RNA that is
    shorter is its own end), where zipcodes of many RNAs lie; length, share and number of open reading frames (AUG to a stop in frame, or to the
    end); per letter, and for G or C, the highest and lowest share in a window and its SD; known elements per 1,000 nt (`ELEMENTS`).

    Args:
        window: nucleotides of a window; an RNA that is shorter is one.

    Returns:
        float32, shape (n, 752); columns as `descriptor_names`.
    """
    require(window >= 1, "window", window, "1 or more")
    ends = [kmer_counts(part, k, length=False) for end, k in ENDS for part in ([s[:end] for s in sequences], [s[-end:] for s in sequences])]
    rest = np.array([[*_frames(s), *_extremes(s, window), *_elements(s)] for s in sequences], dtype=np.float32)
    return np.concatenate([kmer_counts(sequences, WORD), *ends, rest.reshape(len(sequences), -1)], axis=1)


def _frames(sequence: str) -> list[float]:
    """Longest open reading frame (log nt, share), open reading frames per nt, whether a poly(A) signal stands in the last 60 nt."""
    longest = n = 0
    for frame in range(3):
        start = -1
        codons = range(frame, len(sequence) - 2, 3)
        for at in codons:
            codon = sequence[at : at + 3]
            if codon == "AUG" and start < 0:
                start = at
            elif codon in STOPS:
                if start >= 0:
                    longest, n = max(longest, at - start), n + 1
                start = -1
        if start >= 0:
            longest = max(longest, codons[-1] + 3 - start)
    near_end = sequence[-60:]
    return [float(np.log1p(longest)), longest / max(len(sequence), 1), n / max(len(sequence), 1), float("AAUAAA" in near_end or "AUUAAA" in near_end)]


def _extremes(sequence: str, window: int) -> list[float]:
    codes = letter_codes(sequence)
    is_letter = [codes == number for number in range(len(LETTERS))]
    found = []
    for where in (*is_letter, is_letter[LETTERS.index("G")] | is_letter[LETTERS.index("C")]):
        total = np.concatenate([[0], np.cumsum(where)])
        shares = (total[window:] - total[:-window]) / window if len(codes) > window else np.array([where.mean() if len(where) else 0.0])
        found += [float(shares.max()), float(shares.min()), float(shares.std())]
    return found


def _elements(sequence: str) -> list[float]:
    per = 1000 / max(len(sequence), 1)
    return [per * sum(1 for _ in pattern.finditer(sequence)) for pattern in _PATTERNS.values()]
