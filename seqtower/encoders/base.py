"""Encoders of sequences: their interface, registry and settings, and the fitted encoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch

from mirnagraph.config import settings_from
from mirnagraph.errors import ConfigError
from mirnagraph.parallel import Progress, report
from mirnagraph.registry import Registry
from seqtower.data.batches import plan
from seqtower.data.kmers import LETTERS, one_hot
from seqtower.data.sequences import LengthPolicy

ONE_HOT = "one-hot"
GENETICSEQ2VEC = "geneticseq2vec"
STRUCTURE = "structure"
LANGUAGE_MODEL = "language-model"
TIS = "tis"

STEP = "encoding (nucleotides)"
"""Step of `warm_up` in a progress bar."""

MOST_KEPT = 2**26
"""Most values (positions times channels) of encoded RNAs that are kept in memory together."""

ARRAYS = "encoding."
"""Start of the names of an encoder's arrays in a model file."""


class Encoder(ABC):
    """Encoder fitted on training sequences; an entry of `ENCODERS` is a subclass.

    Attributes:
        Config: frozen dataclass of its settings.
        is_cached: encodings take long and are kept on disk, so they are made before the folds run.
        reads_whole: a position's values depend on the whole RNA, whatever part of it is encoded.
        has_gradient: `encode_letters` is there, so that a gradient reaches the nucleotides.
        caches_kept: the cache holds values of the nucleotides that the length policy keeps, so it
            is of no use to another policy.
        chunk: nucleotides, padding included, that are encoded at a time to fill the cache; 1 for
            one RNA at a time.
        k: nucleotides that a position stands for.
        stride: nucleotides from one position to the next.
        channels: values per position.
        letter_channels: how many of the last channels are one-hot letters of the nucleotides of a
            position, in their order; 0 for none.
        fingerprint: of what the values depend on beside settings and arrays, such as the sha256 of
            weights or the version of a package; empty for nothing.
    """

    Config: ClassVar[type[Any]]
    is_cached: ClassVar[bool] = False
    reads_whole: ClassVar[bool] = False
    has_gradient: ClassVar[bool] = False
    caches_kept: ClassVar[bool] = False
    chunk: ClassVar[int] = 1
    k: int = 1
    stride: int = 1
    channels: int
    letter_channels: int = 0
    fingerprint: str = ""

    @classmethod
    @abstractmethod
    def fit(cls, sequences: Sequence[str], settings: Any) -> Self:
        """Fit on training sequences, cut by the length policy.

        Raises:
            ConfigError, InputError: a package or file that the encoder needs is missing.
        """

    @classmethod
    def fit_whole(cls, sequences: Sequence[str], lengths: LengthPolicy, settings: Any) -> Self:
        """Fit on whole training sequences of which a length policy keeps a part.

        By default on what it keeps, with `fit`.

        Raises:
            ConfigError, InputError: a package or file that the encoder needs is missing.
        """
        return cls.fit([lengths.cut(sequence) for sequence in sequences], settings)

    @abstractmethod
    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        """Encode whole sequences: float32, shape (positions, channels) each.

        Args:
            sequences: RNA, not cut.
            lengths: the nucleotides that are encoded.
        """

    def encode_letters(self, letters: torch.Tensor, lengths: LengthPolicy) -> torch.Tensor:
        """Encode one whole RNA so that gradients reach its letters: (positions, channels).

        The values are those of `encode`, up to rounding.

        Args:
            letters: one-hot A, C, G, U, N: float32, shape (length, 5).
            lengths: the nucleotides that are encoded.

        Raises:
            ConfigError: the encoder has none, see `has_gradient`.
        """
        raise ConfigError(
            f"gradients do not pass through an encoder of the kind {type(self).__name__}; "
            "integrated gradients over its values do"
        )

    def n_positions(self, _length: int, _lengths: LengthPolicy) -> int | None:
        """Return the positions of an encoded RNA of this length, without encoding it.

        None for an encoder that has to encode to know: all its encodings are kept in memory, in
        place of encoding RNAs anew for each batch (see `FittedEncoding.when_read`).
        """
        return None

    def n_windows(self, _length: int) -> int:
        """Windows in which a pretrained network reads an RNA; 1 where it reads the whole."""
        return 1

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Fitted arrays by name, for a model file."""
        return {}

    @classmethod
    def from_arrays(
        cls, settings: Any, arrays: Mapping[str, np.ndarray], channels: int, fingerprint: str
    ) -> Self:
        """Restore a fitted encoder of a model file.

        Args:
            settings: of the type `Config`.
            arrays: of `to_arrays`.
            channels: values per position of the saved encoder.
            fingerprint: of the saved encoder; loading more than that can wait until something is
                encoded.
        """
        return cls.fit((), settings)


ENCODERS: Registry[type[Encoder]] = Registry(
    "encoder",
    "mirnagraph.encoders",
    {
        ONE_HOT: "seqtower.encoders.base:OneHot",
        GENETICSEQ2VEC: "seqtower.encoders.geneticseq2vec:GeneticSeq2Vec",
        STRUCTURE: "seqtower.encoders.structure:Structure",
        LANGUAGE_MODEL: "seqtower.encoders.language_model:LanguageModelEncoder",
        TIS: "seqtower.encoders.tis:Tis",
    },
)


@dataclass(frozen=True)
class EncoderConfig:
    """An encoder with its settings.

    Attributes:
        name: entry of `ENCODERS`: ``"one-hot"`` for nucleotides, ``"geneticseq2vec"`` for k-mer
            vectors, ``"structure"`` for nucleotides and secondary structure (needs the extra
            ``structure``), ``"language-model"`` for embeddings of a pretrained model (needs the
            extra ``lm``), ``"tis"`` for patches of the TIS Transformer, whose weights ship.
        settings: of the type `Config` of the entry; also given as plain values or None (defaults).
    """

    name: str = ONE_HOT
    settings: Any = None

    def __post_init__(self) -> None:
        kind = ENCODERS[self.name].Config
        settings = settings_from(kind, self.settings, "encoder.settings")
        object.__setattr__(self, "settings", settings)


@dataclass(frozen=True)
class OneHotConfig:
    """One-hot encoding has no settings."""


class OneHot(Encoder):
    """Nucleotides A, C, G, U as four channels; N is 0 in all."""

    Config = OneHotConfig
    has_gradient = True
    channels = len(LETTERS)

    @classmethod
    def fit(cls, sequences: Sequence[str], settings: Any) -> Self:
        """See `Encoder.fit`; nothing is fitted."""
        return cls()

    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        """See `Encoder.encode`."""
        return [one_hot(lengths.cut(sequence)) for sequence in sequences]

    def n_positions(self, length: int, lengths: LengthPolicy) -> int:
        """See `Encoder.n_positions`."""
        return lengths.n_kept(length)

    def encode_letters(self, letters: torch.Tensor, lengths: LengthPolicy) -> torch.Tensor:
        """See `Encoder.encode_letters`."""
        return letters[lengths.positions(len(letters)), : len(LETTERS)]


@dataclass(frozen=True, eq=False)
class FittedEncoding:
    """An encoder and a length policy fitted on training sequences.

    Attributes:
        encoder: fitted encoder.
        lengths: length policy with a fixed length.
    """

    encoder: Encoder
    lengths: LengthPolicy

    @property
    def channels(self) -> int:
        """Values per position."""
        return self.encoder.channels

    @property
    def fingerprint(self) -> str:
        """See `Encoder`."""
        return self.encoder.fingerprint

    def __call__(self, sequences: Sequence[str]) -> list[np.ndarray]:
        """Encode sequences: float32, shape (positions, channels) each.

        Raises:
            CheckpointError: the language model is not the one that the tower was trained with.
            ConfigError, InputError: a package or file that the encoder needs is missing.
        """
        return self.encoder.encode(sequences, self.lengths)

    def when_read(self, sequences: Sequence[str]) -> Encoded:
        """Encode sequences at once, or each when it is read where all together are too large.

        The values are the same; above `MOST_KEPT` values memory holds the sequences alone.

        Raises:
            CheckpointError, ConfigError, InputError: as of a call, in part when an RNA is read.
        """
        sizes = [self.encoder.n_positions(len(sequence), self.lengths) for sequence in sequences]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes) or sum(known) * self.channels <= MOST_KEPT:
            return self(sequences)
        return EncodedWhenRead(self, sequences, np.array(known, dtype=np.int64))

    def to_arrays(self, prefix: str = ARRAYS) -> dict[str, np.ndarray]:
        """Fitted arrays by name, for a model file; names start with `prefix`."""
        return {f"{prefix}{name}": array for name, array in self.encoder.to_arrays().items()}


class EncodedWhenRead(Sequence[np.ndarray]):
    """Encoded RNAs of which each is encoded anew whenever it is read.

    Attributes:
        sizes: positions of each RNA: int64, shape (n,).
    """

    def __init__(
        self, encoding: FittedEncoding, sequences: Sequence[str], sizes: np.ndarray
    ) -> None:
        self.encoding = encoding
        self.sequences = sequences
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, row: Any) -> Any:
        """Return one encoded RNA: float32, shape (positions, channels)."""
        return self.encoding([self.sequences[row]])[0]

    def rows(self, rows: np.ndarray) -> EncodedWhenRead:
        """Return the RNAs with these row numbers, not yet encoded."""
        sequences = [self.sequences[row] for row in rows.tolist()]
        return EncodedWhenRead(self.encoding, sequences, self.sizes[rows])


Encoded = Sequence[np.ndarray]
"""Encoded RNAs, each float32 of shape (positions, channels): a list, or `EncodedWhenRead`."""


def encoded_sizes(encoded: Encoded) -> np.ndarray:
    """Positions of encoded RNAs: int64, shape (n,)."""
    if isinstance(encoded, EncodedWhenRead):
        return encoded.sizes
    return np.array([len(positions) for positions in encoded], dtype=np.int64)


def encoded_rows(encoded: Encoded, rows: np.ndarray) -> Encoded:
    """Return the encoded RNAs with these row numbers."""
    if isinstance(encoded, EncodedWhenRead):
        return encoded.rows(rows)
    return [encoded[row] for row in rows.tolist()]


def without_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names start with `prefix`, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def fit_encoding(
    encoder: EncoderConfig, lengths: LengthPolicy, sequences: Sequence[str]
) -> FittedEncoding:
    """Fit length policy and encoder on training sequences alone.

    Raises:
        ConfigError, InputError: a package or file that the encoder needs is missing.
    """
    lengths = lengths.fitted(np.array([len(sequence) for sequence in sequences]))
    entry = ENCODERS[encoder.name]
    return FittedEncoding(entry.fit_whole(sequences, lengths, encoder.settings), lengths)


def read_encoding(
    encoder: EncoderConfig,
    lengths: LengthPolicy,
    arrays: Mapping[str, np.ndarray],
    channels: int,
    fingerprint: str,
    prefix: str = ARRAYS,
) -> FittedEncoding:
    """Restore the encoding of a model file.

    Args:
        encoder: settings.
        lengths: length policy with a fixed length.
        arrays: of `FittedEncoding.to_arrays`; others are ignored.
        channels: values per position of the saved encoding.
        fingerprint: of the saved encoding.
        prefix: start of the names of its arrays.

    Raises:
        KeyError, ValueError: the parts do not fit each other.
    """
    entry = ENCODERS[encoder.name]
    of_encoder = without_prefix(arrays, prefix)
    restored = entry.from_arrays(encoder.settings, of_encoder, channels, fingerprint)
    if restored.channels != channels:
        raise ValueError(f"{restored.channels} channels instead of {channels}")
    return FittedEncoding(restored, lengths)


def check_encoder(encoder: EncoderConfig) -> str:
    """Return the fingerprint of an encoder, fitted on nothing.

    Raises:
        ConfigError, InputError: a package or file that the encoder needs is missing.
    """
    return ENCODERS[encoder.name].fit((), encoder.settings).fingerprint


def warm_up(
    encoder: EncoderConfig,
    lengths: LengthPolicy,
    sequences: Sequence[str],
    progress: Progress | None = None,
) -> None:
    """Fill the cache of a slow encoder before folds that run in parallel each encode the same RNAs.

    RNAs are encoded by length, shortest first, and each is stored when it is made: a killed run
    goes on behind the last. Progress counts nucleotides, which the time grows with. Nothing happens
    for encoders without a cache, or where encodings depend on a length that is measured on the
    training rows of each fold.
    """
    entry = ENCODERS[encoder.name]
    is_measured = bool(lengths.measure) and lengths.keep != "full"
    if not entry.is_cached or (is_measured and (entry.caches_kept or not entry.reads_whole)):
        return
    sizes = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    unfitted = FittedEncoding(entry.fit((), encoder.settings), lengths.fitted(sizes))
    total = int(sizes.sum())
    done = 0
    for rows in plan(sizes, entry.chunk, max(1, len(sequences))):
        report(progress, STEP, done, total)
        unfitted([sequences[row] for row in rows.tolist()])
        done += int(sizes[rows].sum())
    report(progress, STEP, total, total)
