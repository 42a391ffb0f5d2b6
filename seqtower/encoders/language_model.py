"""Encoder of embeddings by a frozen RNA language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from mirnagraph.config import require
from mirnagraph.errors import CheckpointError
from seqtower.data.batches import centre_cuts, windows
from seqtower.data.kmers import letter_codes
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import Encoder
from seqtower.encoders.cache import cached, content_key, encodings_folder
from seqtower.encoders.pretrained import LanguageModel, LanguageModelConfig, load_language_model


class LanguageModelEncoder(Encoder):
    """Embeddings of a frozen language model, which reads each contiguous part of an RNA alone."""

    Config = LanguageModelConfig
    is_cached = True

    def __init__(self, settings: LanguageModelConfig, channels: int, fingerprint: str) -> None:
        self.settings = settings
        self.channels = channels
        self.fingerprint = fingerprint

    @classmethod
    def fit(cls, sequences: Sequence[str], settings: LanguageModelConfig) -> Self:
        """See `Encoder.fit`; nothing is fitted, but the model is loaded."""
        model = load_language_model(settings)
        return cls(settings, model.width, model.fingerprint)

    @classmethod
    def from_arrays(
        cls, settings: Any, arrays: Mapping[str, np.ndarray], channels: int, fingerprint: str
    ) -> Self:
        """See `Encoder.from_arrays`; the model is loaded when something is encoded."""
        return cls(settings, channels, fingerprint)

    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        """See `Encoder.encode`.

        Raises:
            CheckpointError: the language model is not the one that the tower was trained with.
        """
        model = load_language_model(self.settings)
        if model.fingerprint != self.fingerprint:
            name = self.settings.model
            raise CheckpointError(
                f"the language model {name!r} is not the one that the tower was trained with",
                column="encoder_fingerprint",
                found=model.fingerprint,
                expected=self.fingerprint,
            )
        return [self._encode(sequence, lengths, model) for sequence in sequences]

    def n_positions(self, length: int, lengths: LengthPolicy) -> int:
        """See `Encoder.n_positions`."""
        return lengths.n_kept(length)

    def _encode(self, sequence: str, lengths: LengthPolicy, model: LanguageModel) -> np.ndarray:
        positions = lengths.positions(len(sequence))
        gaps = np.flatnonzero(np.diff(positions) > 1) + 1
        parts = [part for part in np.split(positions, gaps) if len(part)]
        if not parts:
            return np.zeros((0, model.width), dtype=np.float32)
        stretches = [sequence[part[0] : part[-1] + 1] for part in parts]
        vectors = [embed_sequence(stretch, model, self.settings) for stretch in stretches]
        return np.concatenate(vectors)


def embed_sequence(sequence: str, model: LanguageModel, config: LanguageModelConfig) -> np.ndarray:
    """Embed every nucleotide; cached.

    An RNA longer than a window is read in overlapping windows of equal length, and each nucleotide
    takes its vector from the window with the most central position of it: an average over windows
    would be a vector that the model never computed. An N is 0 in all channels, as in the other
    encoders; the model reads it as N.

    Returns:
        float32, shape (length, width).

    Raises:
        ConfigError: a window longer than the model can read, or a tokenizer that joins nucleotides.
    """
    limit = f"at most {model.limit}, which is what {model.name!r} can read at a time"
    require(config.window <= model.limit, "window", config.window, limit)
    width = config.window or model.limit
    overlap = min(round(config.overlap * width), width - 1)
    about = {
        "of": "embedding",
        "model": model.fingerprint,
        "letters": config.letters,
        "window": width,
        "overlap": overlap,
    }

    def make() -> np.ndarray:
        return _embed_windows(sequence, model, config, width, overlap)

    folder = encodings_folder(config.cache, "language-model")
    vectors = cached(folder, content_key(sequence, about), make, len(sequence))
    return np.where(letter_codes(sequence)[:, None] >= 0, vectors, np.float32(0))


def _embed_windows(
    sequence: str, model: LanguageModel, config: LanguageModelConfig, width: int, overlap: int
) -> np.ndarray:
    vectors = np.zeros((len(sequence), model.width), dtype=np.float32)
    if not sequence:
        return vectors
    text = sequence.replace("U", "T") if config.letters == "T" else sequence
    places = list(windows(len(text), width, overlap))
    cuts = centre_cuts(places)
    for first in range(0, len(places), config.batch):
        numbers = range(first, min(first + config.batch, len(places)))
        # All windows of an RNA have one length, so that no padding takes part in any sum.
        embedded = model.embed([text[slice(*places[number])] for number in numbers]).numpy()
        for row, number in enumerate(numbers):
            start = places[number][0]
            low, high = cuts[number]
            vectors[low:high] = embedded[row, low - start : high - start]
    return vectors
