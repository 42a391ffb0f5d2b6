"""From letters to what a tower reads, as the settings say: fitted on training sequences, kept with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mirnagraph.errors import CheckpointError
from mirnagraph.parallel import Progress, report
from seqtower.config import SeqConfig
from seqtower.data.kmers import LETTERS, one_hot
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import LANGUAGE_MODEL, STRUCTURE, WORDS, EncoderConfig
from seqtower.encoders.geneticseq2vec import encode_words, fit_geneticseq2vec
from seqtower.encoders.language_model import embed_sequence, load_language_model
from seqtower.encoders.structure import encode_structure, vienna


@dataclass(frozen=True, eq=False)
class FittedEncoding:
    """What was fitted on the training sequences.

    Attributes:
        encoder: what a position is.
        lengths: length policy with a fixed length.
        vectors: of words, shape (4**k, width), where the encoder is one of words; of width 0 otherwise.
        width: of a language model's embeddings; 0 for other encoders.
        fingerprint: of the language model the tower was trained with; for structure the version of ViennaRNA, for the record; else empty.
    """

    encoder: EncoderConfig
    lengths: LengthPolicy
    vectors: np.ndarray
    width: int = 0
    fingerprint: str = ""

    @property
    def channels(self) -> int:
        """Numbers per position."""
        if self.encoder.kind == LANGUAGE_MODEL:
            return self.width
        if self.encoder.kind == STRUCTURE:
            return self.encoder.structure.channels
        return self.vectors.shape[1] if self.encoder.kind == WORDS else len(LETTERS)

    def __call__(self, sequences: Sequence[str]) -> list[np.ndarray]:
        """float32 of shape (positions, channels) per sequence.

        Structure is that of the whole RNA, of which the length policy then keeps its part. A language model reads every kept stretch by itself.

        Raises:
            CheckpointError: the language model is not the one that the tower was trained with.
            ConfigError, InputError: what the encoder needs is not here (see `mirnagraph.errors.MissingExtraError`).
        """
        if self.encoder.kind == STRUCTURE:
            return [
                encode_structure(sequence, self.encoder.structure)[
                    self.lengths.positions(len(sequence))
                ]
                for sequence in sequences
            ]
        if self.encoder.kind == LANGUAGE_MODEL:
            return self._embed(sequences)
        cut = (self.lengths.cut(sequence) for sequence in sequences)
        if self.encoder.kind == WORDS:
            return [encode_words(sequence, self.vectors, self.encoder.words) for sequence in cut]
        return [one_hot(sequence) for sequence in cut]

    def _embed(self, sequences: Sequence[str]) -> list[np.ndarray]:
        settings = self.encoder.language_model
        model = load_language_model(settings)
        if model.fingerprint != self.fingerprint:
            what = f"the language model {settings.model!r} is not the one that the tower was trained with"
            raise CheckpointError(
                what,
                column="encoder_fingerprint",
                found=model.fingerprint,
                expected=self.fingerprint,
            )
        found = []
        for sequence in sequences:
            kept = self.lengths.positions(len(sequence))
            gaps = np.flatnonzero(np.diff(kept) > 1) + 1
            stretches = [
                sequence[part[0] : part[-1] + 1] for part in np.split(kept, gaps) if len(part)
            ]
            parts = [embed_sequence(stretch, model, settings) for stretch in stretches]
            found.append(
                np.concatenate(parts) if parts else np.zeros((0, model.width), dtype=np.float32)
            )
        return found


def fit_encoding(config: SeqConfig, sequences: Sequence[str]) -> FittedEncoding:
    """Fit on training sequences alone; what is pretrained or folded is not fitted, but loaded.

    Raises:
        ConfigError, InputError: what the encoder needs is not here.
    """
    lengths = config.lengths.fitted(np.array([len(sequence) for sequence in sequences]))
    vectors = np.zeros((0, 0), dtype=np.float32)
    width = 0
    fingerprint = ""
    if config.encoder.kind == WORDS:
        vectors = fit_geneticseq2vec(
            [lengths.cut(sequence) for sequence in sequences], config.encoder.words
        )
    elif config.encoder.kind == STRUCTURE:
        fingerprint = f"ViennaRNA {vienna().__version__}"
    elif config.encoder.kind == LANGUAGE_MODEL:
        model = load_language_model(config.encoder.language_model)
        width = model.width
        fingerprint = model.fingerprint
    return FittedEncoding(config.encoder, lengths, vectors, width, fingerprint)


def warm_up(config: SeqConfig, sequences: Sequence[str], progress: Progress | None = None) -> None:
    """Make and keep what folds and embeddings take long, before parts of the data are trained on side by side and each makes its own.

    Nothing happens for encoders that are quick, or where lengths are measured on each training part.
    """
    if config.encoder.kind not in (STRUCTURE, LANGUAGE_MODEL) or (
        config.encoder.kind == LANGUAGE_MODEL and config.lengths.measure
    ):
        return
    encoding = fit_encoding(config, sequences)
    for number, sequence in enumerate(sequences):
        report(progress, "encoding", number, len(sequences))
        encoding([sequence])
    report(progress, "encoding", len(sequences), len(sequences))
