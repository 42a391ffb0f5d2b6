"""RNA secondary structure by ViennaRNA, alone or with nucleotides (RNATracker, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mirnagraph.config import Checked, Share, require
from mirnagraph.errors import import_extra
from seqtower.data.kmers import LETTERS, letter_codes, one_hot
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import Encoder
from seqtower.encoders.cache import cached, content_key, encodings_folder

ELEMENTS = "FTIHMS"

JOINT = "joint"
SEPARATE = "separate"

SHORTEST = 5
"""Fewer nucleotides cannot pair: a hairpin has three or more between the two of its pair."""


@dataclass(frozen=True)
class StructureConfig(Checked):
    """Settings of secondary structure; defaults of the paper (Yan et al. 2019, 2.2 and 2.7).

    Attributes:
        encoding: ``"joint"`` for one channel per pair of nucleotide and element (24),
            ``"separate"`` for channels of nucleotides and of elements (4 + 6).
        window: nucleotides that RNAplfold folds at a time; pair probabilities are means over
            windows (paper: 150).
        span: most nucleotides from one partner of a pair to the other (paper: 100).
        cutoff: probability below which a pair is ignored, in (0, 1]. The paper prints none; 0.01 is
            RNAplfold's default.
        unpaired: add a last channel, the probability in [0, 1] that the nucleotide is unpaired.
        cache: folder of cached structures; ``""`` for ``MIRNAGRAPH_CACHE`` or the user's cache.
    """

    encoding: str = JOINT
    window: int = 150
    span: int = 100
    cutoff: Share = 0.01
    unpaired: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        encodings = f"{JOINT!r} or {SEPARATE!r}"
        spans = f"{SHORTEST} to the window's {self.window}"
        require(self.encoding in (JOINT, SEPARATE), "encoding", self.encoding, encodings)
        require(self.window >= SHORTEST, "window", self.window, f"{SHORTEST} or more")
        require(SHORTEST <= self.span <= self.window, "span", self.span, spans)

    @property
    def channels(self) -> int:
        """Values per nucleotide."""
        separate = len(LETTERS) + len(ELEMENTS)
        n = len(LETTERS) * len(ELEMENTS) if self.encoding == JOINT else separate
        return n + self.unpaired


class Structure(Encoder):
    """Nucleotides and structure of the whole RNA, of which the length policy keeps a part."""

    Config = StructureConfig
    is_cached = True
    reads_whole = True

    def __init__(self, settings: StructureConfig, fingerprint: str) -> None:
        self.settings = settings
        self.channels = settings.channels
        self.fingerprint = fingerprint

    @classmethod
    def fit(cls, sequences: Sequence[str], settings: StructureConfig) -> Self:
        """See `Encoder.fit`; nothing is fitted, but ViennaRNA has to be installed."""
        return cls(settings, f"ViennaRNA {vienna().__version__}")

    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        """See `Encoder.encode`."""
        encoded = []
        for sequence in sequences:
            whole = encode_structure(sequence, self.settings)
            encoded.append(whole[lengths.positions(len(sequence))])
        return encoded

    def n_positions(self, length: int, lengths: LengthPolicy) -> int:
        """See `Encoder.n_positions`."""
        return lengths.n_kept(length)

    @classmethod
    def from_arrays(
        cls, settings: Any, arrays: Mapping[str, np.ndarray], channels: int, fingerprint: str
    ) -> Self:
        """See `Encoder.from_arrays`."""
        return cls(settings, fingerprint)


def vienna() -> Any:
    """Import ViennaRNA; raises MissingExtraError where it is not installed."""
    return import_extra("RNA", "structure", "the encoder 'structure'", package="ViennaRNA")


def encode_structure(sequence: str, config: StructureConfig) -> np.ndarray:
    """Encode nucleotides and structure of an RNA, folded whole.

    An N pairs with nothing and is 0 in all channels, as in the other encoders, so that no filter
    responds to a masked nucleotide.

    Returns:
        float32, shape (length, channels). Joint: channel 6 * nucleotide + element, nucleotides as
        ACGU and elements as in `ELEMENTS`. Separate: four channels of nucleotides, then six of
        elements. Then the probability to be unpaired, where the settings ask for it.

    Raises:
        MissingExtraError: ViennaRNA is not installed.
    """
    number = elements(sequence, config).astype(np.int64)
    letters = one_hot(sequence)
    element = np.eye(len(ELEMENTS), dtype=np.float32)[number]
    if config.encoding == JOINT:
        pairs = letters[:, :, None] * element[:, None, :]
        encoded = pairs.reshape(len(sequence), len(LETTERS) * len(ELEMENTS))
    else:
        encoded = np.hstack([letters, element])
    if config.unpaired:
        encoded = np.hstack([encoded, unpaired_probabilities(sequence, config)[:, None]])
    is_letter = letter_codes(sequence)[:, None] >= 0
    return np.asarray(np.where(is_letter, encoded, 0), dtype=np.float32)


def elements(sequence: str, config: StructureConfig) -> np.ndarray:
    """Number of each nucleotide's element in `ELEMENTS`: uint8, shape (length,); cached."""

    def make() -> np.ndarray:
        return element_numbers(nested_pairs(pair_probabilities(sequence, config), len(sequence)))

    return _cached(sequence, config, make, of="elements", cutoff=config.cutoff)


def unpaired_probabilities(sequence: str, config: StructureConfig) -> np.ndarray:
    """Probability that a nucleotide is unpaired (RNAplfold -u 1): shape (length,); cached.

    Returns:
        float32 in [0, 1].
    """

    def make() -> np.ndarray:
        if len(sequence) < SHORTEST:
            return np.ones(len(sequence), dtype=np.float32)
        window, span = _sizes(sequence, config)
        rows = vienna().pfl_fold_up(sequence, 1, window, span)
        return np.clip(np.array([row[1] for row in rows[1:]], dtype=np.float32), 0, 1)

    return _cached(sequence, config, make, of="unpaired")


def _cached(
    sequence: str, config: StructureConfig, make: Callable[[], np.ndarray], **about: object
) -> np.ndarray:
    """Array of a sequence from the cache, made where it is missing."""
    about |= {"version": vienna().__version__, "window": config.window, "span": config.span}
    folder = encodings_folder(config.cache, "structure")
    return cached(folder, content_key(sequence, about), make, len(sequence))


def pair_probabilities(sequence: str, config: StructureConfig) -> list[tuple[int, int, float]]:
    """Pairs of 0-based nucleotides, the first the lower, with probabilities of `cutoff` or more.

    RNAplfold (Bernhart et al. 2006): every window is folded as an ensemble, and a pair's
    probability is the mean over the windows that hold it. The time grows with the length times the
    window: 10,000 nucleotides take seconds, and there is no artefact at the ends of windows.
    """
    if len(sequence) < SHORTEST:
        return []
    pairs = vienna().pfl_fold(sequence, *_sizes(sequence, config), config.cutoff)
    return [(pair.i - 1, pair.j - 1, float(pair.p)) for pair in pairs if pair.i]


def nested_pairs(pairs: list[tuple[int, int, float]], length: int) -> np.ndarray:
    """Choose one structure of many possible pairs, greedily.

    The most probable pair comes first, then every pair whose nucleotides are free and that crosses
    no chosen one. The paper says "greedily creating as many nested basepairs as possible"; that the
    order is by probability, and among equals from the 5' end, is our reading of it.

    Returns:
        Partner of each nucleotide, -1 where it has none: int64, shape (length,).
    """
    partner = np.full(length, -1, dtype=np.int64)
    for first, last, _ in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])):
        if partner[first] >= 0 or partner[last] >= 0:
            continue
        inside = partner[first + 1 : last]
        if ((inside < 0) | ((inside > first) & (inside < last))).all():
            partner[first] = last
            partner[last] = first
    return partner


def element_numbers(partner: np.ndarray) -> np.ndarray:
    """Structural element of each nucleotide, after forgi (Kerpedjiev et al. 2015).

    F: unpaired before the first pair, and all of an RNA without pairs; T: unpaired behind the last
    pair; S: paired; H: unpaired in a loop that one pair closes; I: in a loop of two pairs, bulges
    too; M: in a loop of three or more, and between two outermost stems, which forgi also counts as
    multiloop segments.

    Args:
        partner: of nested pairs (see `nested_pairs`), shape (length,).

    Returns:
        Numbers of `ELEMENTS`: uint8, shape (length,).
    """
    number = {letter: place for place, letter in enumerate(ELEMENTS)}
    paired = np.flatnonzero(partner >= 0)
    element = np.full(len(partner), number["F"], dtype=np.uint8)
    if not len(paired):
        return element
    element[paired] = number["S"]
    n_branches, closing = _loops(partner)
    for place in np.flatnonzero(partner < 0).tolist():
        opening = int(closing[place])
        if opening >= 0:
            element[place] = number["HIM"[min(n_branches.get(opening, 0), 2)]]
        elif place > paired[0]:
            element[place] = number["M" if place < paired[-1] else "T"]
    return element


def _loops(partner: np.ndarray) -> tuple[dict[int, int], np.ndarray]:
    """Number of pairs that branch off the loop of each pair, and the pair that closes each loop.

    A pair is named by its 5' nucleotide; -1 for nucleotides outside all pairs.
    """
    n_branches: dict[int, int] = {}
    closing = np.full(len(partner), -1, dtype=np.int64)
    open_pairs: list[int] = []
    for place, other in enumerate(partner.tolist()):
        if other > place:
            if open_pairs:
                n_branches[open_pairs[-1]] = n_branches.get(open_pairs[-1], 0) + 1
            open_pairs.append(place)
        elif other >= 0:
            open_pairs.pop()
        elif open_pairs:
            closing[place] = open_pairs[-1]
    return n_branches, closing


def _sizes(sequence: str, config: StructureConfig) -> tuple[int, int]:
    """Window and span, no longer than the RNA."""
    window = min(config.window, len(sequence))
    return window, min(config.span, window)
