"""RNA secondary structure by ViennaRNA: what element of it each nucleotide is in, alone or together with its letter (RNATracker, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mirnagraph.config import require
from mirnagraph.errors import import_extra
from seqtower.data.kmers import LETTERS, letter_codes, one_hot
from seqtower.encoders.cache import cached, content_key, encodings_folder

ELEMENTS = "FTIHMS"

JOINT = "joint"
SEPARATE = "separate"

SHORTEST = 5  # fewer letters cannot pair: a hairpin has three or more between its pair


@dataclass(frozen=True)
class StructureConfig:
    """How structure is foretold and encoded; the defaults are the paper's (Yan et al. 2019, sections 2.2 and 2.7).

    Attributes:
        encoding: ``"joint"`` for one channel per pair of letter and element (24), ``"separate"`` for letters beside elements (4 + 6).
        window: nucleotides that RNAplfold folds at a time, of whose pair probabilities the mean over windows is taken (paper: 150).
        span: most nucleotides from one partner of a pair to the other (paper: 100).
        cutoff: probability below which a pair is not made, in (0, 1]. The paper prints none; 0.01 is RNAplfold's own.
        unpaired: add a last channel, the probability in [0, 1] that the nucleotide is unpaired.
        cache: folder in which structures are kept; ``""`` for ``MIRNAGRAPH_CACHE`` or the user's cache.
    """

    encoding: str = JOINT
    window: int = 150
    span: int = 100
    cutoff: float = 0.01
    unpaired: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        require(
            self.encoding in (JOINT, SEPARATE),
            "encoding",
            self.encoding,
            f"{JOINT!r} or {SEPARATE!r}",
        )
        require(self.window >= SHORTEST, "window", self.window, f"{SHORTEST} or more")
        require(
            SHORTEST <= self.span <= self.window,
            "span",
            self.span,
            f"{SHORTEST} to the window's {self.window}",
        )
        require(0 < self.cutoff <= 1, "cutoff", self.cutoff, "in (0, 1]")

    @property
    def channels(self) -> int:
        """Numbers per nucleotide."""
        return (
            len(LETTERS) * len(ELEMENTS) if self.encoding == JOINT else len(LETTERS) + len(ELEMENTS)
        ) + self.unpaired


def vienna() -> Any:
    """The package ViennaRNA; raises MissingExtraError where it is not installed."""
    return import_extra("RNA", "structure", "the encoder 'structure'", package="ViennaRNA")


def encode_structure(sequence: str, config: StructureConfig) -> np.ndarray:
    """Letters and structure of an RNA, folded whole.

    An N pairs with nothing and is 0 in all channels, as in the other encoders: what is hidden is seen by no filter.

    Returns:
        float32, shape (length, channels). Joint: channel 6 * letter + element, letters as ACGU and elements as in `ELEMENTS`. Separate:
        four channels of letters, then six of elements. Then the probability to be unpaired, where it is asked for.

    Raises:
        MissingExtraError: ViennaRNA is not installed.
    """
    number = elements(sequence, config).astype(np.int64)
    letters = one_hot(sequence)
    element = np.eye(len(ELEMENTS), dtype=np.float32)[number]
    if config.encoding == JOINT:
        found = (letters[:, :, None] * element[:, None, :]).reshape(
            len(sequence), len(LETTERS) * len(ELEMENTS)
        )
    else:
        found = np.hstack([letters, element])
    if config.unpaired:
        found = np.hstack([found, unpaired_probabilities(sequence, config)[:, None]])
    return np.asarray(np.where(letter_codes(sequence)[:, None] >= 0, found, 0), dtype=np.float32)


def elements(sequence: str, config: StructureConfig) -> np.ndarray:
    """Number of each nucleotide's element in `ELEMENTS`: uint8, shape (length,); read from the cache where it was made before."""
    about = {
        "of": "elements",
        "version": vienna().__version__,
        "window": config.window,
        "span": config.span,
        "cutoff": config.cutoff,
    }

    def make() -> np.ndarray:
        return element_numbers(nested_pairs(pair_probabilities(sequence, config), len(sequence)))

    return cached(
        encodings_folder(config.cache, "structure"),
        content_key(sequence, about),
        make,
        len(sequence),
    )


def unpaired_probabilities(sequence: str, config: StructureConfig) -> np.ndarray:
    """Probability that a nucleotide is unpaired (RNAplfold -u 1): float32 in [0, 1], shape (length,); cached as `elements`."""
    about = {
        "of": "unpaired",
        "version": vienna().__version__,
        "window": config.window,
        "span": config.span,
    }

    def make() -> np.ndarray:
        if len(sequence) < SHORTEST:
            return np.ones(len(sequence), dtype=np.float32)
        window, span = _sizes(sequence, config)
        rows = vienna().pfl_fold_up(sequence, 1, window, span)
        return np.clip(np.array([row[1] for row in rows[1:]], dtype=np.float32), 0, 1)

    return cached(
        encodings_folder(config.cache, "structure"),
        content_key(sequence, about),
        make,
        len(sequence),
    )


def pair_probabilities(sequence: str, config: StructureConfig) -> list[tuple[int, int, float]]:
    """Pairs of 0-based nucleotides (the first the lower) and their probabilities, where these reach the cutoff.

    RNAplfold (Bernhart et al. 2006): every window is folded as an ensemble, and a pair's probability is the mean over the windows that hold
    it. The time grows with the length times the window, so 10,000 nucleotides take seconds, and no cut between windows is seen.
    """
    if len(sequence) < SHORTEST:
        return []
    return [
        (pair.i - 1, pair.j - 1, float(pair.p))
        for pair in vienna().pfl_fold(sequence, *_sizes(sequence, config), config.cutoff)
        if pair.i
    ]


def nested_pairs(pairs: list[tuple[int, int, float]], length: int) -> np.ndarray:
    """One structure of many possible pairs, as the paper makes it: the likeliest pair first, then every pair that is still free and crosses none.

    The paper says "greedily creating as many nested basepairs as possible"; that the order is by probability, and among equals from the 5' end,
    is our reading of it.

    Returns:
        Partner of each nucleotide, -1 where it has none: int64, shape (length,).
    """
    partner = np.full(length, -1, dtype=np.int64)
    for first, last, _ in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])):
        if partner[first] >= 0 or partner[last] >= 0:
            continue
        inside = partner[first + 1 : last]
        if ((inside < 0) | ((inside > first) & (inside < last))).all():
            partner[first], partner[last] = last, first
    return partner


def element_numbers(partner: np.ndarray) -> np.ndarray:
    """Element of each nucleotide, after forgi (Kerpedjiev et al. 2015).

    F: unpaired before the first pair, and all of an RNA without pairs; T: unpaired behind the last pair; S: paired; H: unpaired in a loop
    that one pair closes; I: in a loop of two pairs, bulges too; M: in a loop of three or more, and between two outermost stems, which forgi
    also counts as multiloop segments.

    Args:
        partner: of nested pairs (see `nested_pairs`), shape (length,).

    Returns:
        Numbers of `ELEMENTS`: uint8, shape (length,).
    """
    number = {letter: place for place, letter in enumerate(ELEMENTS)}
    paired = np.flatnonzero(partner >= 0)
    found = np.full(len(partner), number["F"], dtype=np.uint8)
    if not len(paired):
        return found
    found[paired] = number["S"]
    branches: dict[int, int] = {}
    around = np.full(
        len(partner), -1, dtype=np.int64
    )  # 5' nucleotide of the pair that closes the loop, -1 outside all
    open_pairs: list[int] = []
    for place, other in enumerate(partner.tolist()):
        if other > place:
            if open_pairs:
                branches[open_pairs[-1]] = branches.get(open_pairs[-1], 0) + 1
            open_pairs.append(place)
        elif other >= 0:
            open_pairs.pop()
        elif open_pairs:
            around[place] = open_pairs[-1]
    for place in np.flatnonzero(partner < 0).tolist():
        closing = int(around[place])
        if closing >= 0:
            found[place] = number["HIM"[min(branches.get(closing, 0), 2)]]
        elif place > paired[0]:
            found[place] = number["M" if place < paired[-1] else "T"]
    return found


def _sizes(sequence: str, config: StructureConfig) -> tuple[int, int]:
    """Window and span, no longer than the RNA."""
    window = min(config.window, len(sequence))
    return window, min(config.span, window)
