"""From letters to what a tower reads, as the settings say: fitted on training sequences, kept with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqtower.encoders.geneticseq2vec import encode_words, fit_geneticseq2vec
from seqtower.encoders.one_hot import LETTERS, one_hot
from seqtower.lengths import LengthPolicy
from seqtower.settings import WORDS, EncoderConfig, SeqConfig


@dataclass(frozen=True, eq=False)
class FittedEncoding:
    """What was fitted on the training sequences.

    Attributes:
        encoder: what a position is.
        lengths: length policy with a fixed length.
        vectors: of words, shape (4**k, width), where the encoder is one of words; of width 0 otherwise.
    """

    encoder: EncoderConfig
    lengths: LengthPolicy
    vectors: np.ndarray

    @property
    def channels(self) -> int:
        """Numbers per position."""
        return self.vectors.shape[1] if self.encoder.kind == WORDS else len(LETTERS)

    def __call__(self, sequences: Sequence[str]) -> list[np.ndarray]:
        """float32 of shape (positions, channels) per sequence."""
        cut = (self.lengths.cut(sequence) for sequence in sequences)
        if self.encoder.kind == WORDS:
            return [encode_words(sequence, self.vectors, self.encoder.words) for sequence in cut]
        return [one_hot(sequence) for sequence in cut]


def fit_encoding(config: SeqConfig, sequences: Sequence[str]) -> FittedEncoding:
    """Fit on training sequences alone."""
    lengths = config.lengths.fitted(np.array([len(sequence) for sequence in sequences]))
    vectors = np.zeros((0, 0), dtype=np.float32)
    if config.encoder.kind == WORDS:
        vectors = fit_geneticseq2vec([lengths.cut(sequence) for sequence in sequences], config.encoder.words)
    return FittedEncoding(config.encoder, lengths, vectors)
