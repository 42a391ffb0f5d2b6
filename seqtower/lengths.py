"""Length policies: what of a long RNA a tower reads, and where those letters stand in the whole RNA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirnagraph.config import require

POLICIES = ("full", "3-prime", "5-prime", "both-ends")
MEASURES = ("max", "average", "min")


@dataclass(frozen=True)
class LengthPolicy:
    """How long RNAs are cut.

    Attributes:
        keep: ``"full"`` for every letter; ``"3-prime"`` for the last `length` (RNATracker), ``"5-prime"`` for the first `length`,
            ``"both-ends"`` for the first and the last `length` // 2 (DeepLocRNA).
        length: nucleotides that are kept; not used by ``"full"``.
        measure: ``""``, or one of ``"max"``, ``"average"``, ``"min"`` to take `length` from the training sequences instead (EL-RMLocNet).
    """

    keep: str = "full"
    length: int = 4000
    measure: str = ""

    def __post_init__(self) -> None:
        require(self.keep in POLICIES, "keep", self.keep, f"one of {', '.join(POLICIES)}")
        require(self.length >= 2, "length", self.length, "2 or more")
        require(self.measure in ("", *MEASURES), "measure", self.measure, f"one of {', '.join(MEASURES)}, or nothing")

    def fitted(self, lengths: np.ndarray) -> LengthPolicy:
        """The policy with a fixed length, measured on the training sequences: `lengths` is int, shape (n_train,)."""
        if not self.measure or self.keep == "full":
            return self
        found = lengths.max() if self.measure == "max" else lengths.min() if self.measure == "min" else lengths.mean()
        return LengthPolicy(self.keep, max(2, round(float(found))))

    def positions(self, length: int) -> np.ndarray:
        """0-based positions of the letters that are kept of an RNA of this length, ascending: int64."""
        if self.keep == "full" or length <= self.length:
            return np.arange(length)
        if self.keep == "3-prime":
            return np.arange(length - self.length, length)
        if self.keep == "5-prime":
            return np.arange(self.length)
        head = self.length // 2
        return np.concatenate([np.arange(head), np.arange(length - (self.length - head), length)])

    def cut(self, sequence: str) -> str:
        """The letters that are kept."""
        if self.keep == "full" or len(sequence) <= self.length:
            return sequence
        if self.keep == "3-prime":
            return sequence[-self.length :]
        if self.keep == "5-prime":
            return sequence[: self.length]
        head = self.length // 2
        return sequence[:head] + sequence[len(sequence) - (self.length - head) :]
