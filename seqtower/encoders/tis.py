"""Encoder of patches of a transcript by the TIS Transformer, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
import torch

from mirnagraph.config import Checked, Count, require
from mirnagraph.errors import CheckpointError
from seqtower.data.batches import centre_cuts, plan, windows
from seqtower.data.kmers import LETTERS, one_hot
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import Encoder
from seqtower.encoders.cache import content_key, encodings_folder, read_cached, write_cached
from seqtower.encoders.tis_gradient import (
    Stretch,
    hidden_of_letters,
    letters_of_patches,
    pool_tensor,
)
from seqtower.encoders.tis_network import (
    CODES,
    DIM,
    END,
    LARGEST_LOGIT,
    START,
    UNKNOWN,
    TisTransformer,
)
from seqtower.encoders.tis_weights import frozen_tis, weights_file, weights_sha256

LIMIT = 30000
"""Nucleotides of the longest transcripts that the network was trained on."""

LARGEST = 5.0
"""Standardised values are clipped to it."""

SMALLEST_SD = 1e-6

_TOKENS = np.full(256, UNKNOWN, dtype=np.int64)
_TOKENS[[ord(letter) for letter in CODES]] = list(CODES.values())


@dataclass(frozen=True)
class TisConfig(Checked):
    """How RNAs are read by the TIS Transformer, and how its hidden values are pooled.

    Attributes:
        weights: safetensors file of the same network; ``""`` for the one that ships.
        patch: nucleotides per position of the encoding. 1 for the hidden values themselves, without
            an SD.
        letters: append the nucleotides of a patch, one-hot, ``4 * patch`` channels.
        window: nucleotides that are read at a time, 2 to 30,000.
        overlap: share of a window that it has in common with the next, in [0, 0.5].
        batch_tokens: positions of a batch, padding included; a longer RNA is a batch by itself.
        cache: folder of cached patches; ``""`` for ``MIRNAGRAPH_CACHE`` or the user's cache.
    """

    weights: str = ""
    patch: Count = 64
    letters: bool = False
    window: int = LIMIT
    overlap: Annotated[float, "in [0, 0.5]"] = 0.1
    batch_tokens: Count = 8192
    cache: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(2 <= self.window <= LIMIT, "window", self.window, f"2 to {LIMIT}")

    @property
    def n_pooled(self) -> int:
        """Values per patch without its letters: mean, SD and highest start score."""
        return DIM + 1 if self.patch == 1 else 2 * DIM + 1

    @property
    def channels(self) -> int:
        """Values per patch."""
        return self.n_pooled + len(LETTERS) * self.patch * self.letters


class Tis(Encoder):
    """Patches of hidden values of the whole RNA, standardised on the training sequences.

    The network reads the whole RNA, as N reads the token of unknown letters. Of each contiguous
    stretch that the length policy keeps, every `patch` nucleotides are one position, the last of a
    stretch may have fewer: mean and population SD of the 48 hidden values over its nucleotides, and
    the largest logit of the start score, within ±16. Mean and SD of these channels over all patches
    of the training sequences standardise them; they are clipped to ±5.

    Attributes:
        mean: of each channel over the patches of the training sequences, float32, shape (97,), or
            (49,) for `patch` 1.
        sd: their standard deviation, 1 for a channel that does not vary.
    """

    Config = TisConfig
    is_cached = True
    reads_whole = True
    has_gradient = True
    caches_kept = True
    chunk = 2**16

    def __init__(
        self, settings: TisConfig, mean: np.ndarray, sd: np.ndarray, fingerprint: str
    ) -> None:
        self.settings = settings
        self.mean = mean
        self.sd = sd
        self.k = settings.patch
        self.stride = settings.patch
        self.channels = settings.channels
        self.letter_channels = settings.channels - settings.n_pooled
        self.fingerprint = fingerprint

    @classmethod
    def fit(cls, sequences: Sequence[str], settings: TisConfig) -> Self:
        """See `Encoder.fit`.

        Raises:
            CheckpointError: the weights are missing, cut, changed, or those of another network.
        """
        return cls.fit_whole(sequences, LengthPolicy(), settings)

    @classmethod
    def fit_whole(
        cls, sequences: Sequence[str], lengths: LengthPolicy, settings: TisConfig
    ) -> Self:
        """See `Encoder.fit_whole`; RNAs are embedded here and read from the cache afterwards."""
        fingerprint = weights_sha256(settings.weights)
        frozen_tis(settings.weights)  # fails here, not in the first fold
        n = 0
        total = np.zeros(settings.n_pooled)
        squares = np.zeros(settings.n_pooled)
        sizes = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        for rows in plan(sizes, cls.chunk, max(1, len(sizes))):
            chunk = [sequences[row] for row in rows.tolist()]
            for pooled in pooled_patches(chunk, lengths, settings, fingerprint):
                values = pooled.astype(np.float64)
                n += len(values)
                total += values.sum(axis=0)
                squares += np.square(values).sum(axis=0)
        mean = total / max(n, 1)
        sd = np.sqrt(np.maximum(squares / max(n, 1) - mean**2, 0))
        sd[sd < SMALLEST_SD] = 1.0
        return cls(settings, mean.astype(np.float32), sd.astype(np.float32), fingerprint)

    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        """See `Encoder.encode`.

        Raises:
            CheckpointError: the weights are missing, or not those that the tower was trained with.
        """
        self._check_weights()
        pooled = pooled_patches(sequences, lengths, self.settings, self.fingerprint)
        encoded = []
        for sequence, values in zip(sequences, pooled, strict=True):
            standardised = ((values - self.mean) / self.sd).clip(-LARGEST, LARGEST)
            if self.settings.letters:
                letters = patch_letters(sequence, lengths, self.settings.patch)
                standardised = np.hstack([standardised, letters])
            encoded.append(np.asarray(standardised, dtype=np.float32))
        return encoded

    def encode_letters(self, letters: torch.Tensor, lengths: LengthPolicy) -> torch.Tensor:
        """See `Encoder.encode_letters`; layers are computed again in the backward pass.

        Raises:
            CheckpointError: as `encode`.
        """
        self._check_weights()
        settings = self.settings
        network = frozen_tis(settings.weights)
        network.checkpoint = True
        places = list(windows(len(letters), settings.window, window_overlap(settings)))
        hidden, logits = hidden_of_letters(letters, network, places)
        stretches = kept_stretches(lengths, len(letters))
        pooled = pool_tensor(hidden, logits, stretches, settings.patch)
        scaled = (pooled - torch.from_numpy(self.mean)) / torch.from_numpy(self.sd)
        encoded = [scaled.clamp(-LARGEST, LARGEST)]
        if settings.letters:
            encoded.append(letters_of_patches(letters, stretches, settings.patch))
        return torch.cat(encoded, dim=1)

    def n_positions(self, length: int, lengths: LengthPolicy) -> int:
        """See `Encoder.n_positions`."""
        patch = self.settings.patch
        return sum(-(-(end - start) // patch) for start, end in kept_stretches(lengths, length))

    def n_windows(self, length: int) -> int:
        """See `Encoder.n_windows`."""
        return len(list(windows(length, self.settings.window, window_overlap(self.settings))))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """See `Encoder.to_arrays`."""
        return {"mean": self.mean, "sd": self.sd}

    @classmethod
    def from_arrays(
        cls, settings: Any, arrays: Mapping[str, np.ndarray], channels: int, fingerprint: str
    ) -> Self:
        """See `Encoder.from_arrays`; the weights are read when something is encoded."""
        for name in ("mean", "sd"):
            if arrays[name].shape != (settings.n_pooled,):
                shape = arrays[name].shape
                raise ValueError(f"{name} of shape {shape} instead of ({settings.n_pooled},)")
        return cls(settings, arrays["mean"], arrays["sd"], fingerprint)

    def _check_weights(self) -> None:
        digest = weights_sha256(self.settings.weights)
        if digest != self.fingerprint:
            raise CheckpointError(
                "not the weights of the TIS Transformer that the tower was trained with",
                file=weights_file(self.settings.weights),
                column="encoder_fingerprint",
                found=digest,
                expected=self.fingerprint,
            )


def pooled_patches(
    sequences: Sequence[str], lengths: LengthPolicy, settings: TisConfig, fingerprint: str
) -> list[np.ndarray]:
    """Compute the patches of RNAs, not standardised; cached by content.

    Args:
        sequences: whole RNAs.
        lengths: the nucleotides whose patches are returned.
        settings: of the encoder.
        fingerprint: sha256 of the weights.

    Returns:
        Per RNA float32, shape (patches, `TisConfig.n_pooled`).
    """
    folder = encodings_folder(settings.cache, "tis")
    overlap = window_overlap(settings)
    pooled: dict[str, np.ndarray] = {}
    missing: dict[str, tuple[str, list[Stretch]]] = {}
    keys = []
    for sequence in sequences:
        rna = sequence.upper().replace("T", "U")
        stretches = kept_stretches(lengths, len(rna))
        about = {
            "of": "patches",
            "weights": fingerprint,
            "patch": settings.patch,
            "window": settings.window,
            "overlap": overlap,
            "kept": stretches,
        }
        key = content_key(rna, about)
        keys.append(key)
        if key in pooled or key in missing:
            continue
        n_patches = sum(-(-(end - start) // settings.patch) for start, end in stretches)
        values = read_cached(folder, key, n_patches)
        if values is None:
            missing[key] = (rna, stretches)
        else:
            pooled[key] = values
    if missing:
        network = frozen_tis(settings.weights)
        wanted = list(missing)
        for number, hidden, logits in embed([missing[key][0] for key in wanted], network, settings):
            key = wanted[number]
            parts = [np.zeros((0, settings.n_pooled), dtype=np.float32)]
            for start, end in missing[key][1]:
                parts.append(pool(hidden[start:end], logits[start:end], settings.patch))
            pooled[key] = np.concatenate(parts)
            write_cached(folder, key, pooled[key])
    return [pooled[key] for key in keys]


def window_overlap(settings: TisConfig) -> int:
    """Nucleotides that neighbouring windows share."""
    return min(round(settings.overlap * settings.window), settings.window - 1)


def kept_stretches(lengths: LengthPolicy, length: int) -> list[Stretch]:
    """Contiguous stretches that a length policy keeps of an RNA of this length."""
    positions = lengths.positions(length)
    gaps = np.flatnonzero(np.diff(positions) > 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(positions, gaps) if len(part)]


def embed(
    rnas: Sequence[str], network: TisTransformer, settings: TisConfig
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Compute hidden values and start scores of whole RNAs, shortest first.

    RNAs of similar lengths are computed together; no value depends on that. An RNA longer than a
    window is read in overlapping windows, each as a transcript of its own, and a nucleotide takes
    its values from the window where it is most central.

    Yields:
        The number of the RNA; its hidden values, float32, shape (length, 48); its logits of the
        start score, float32, shape (length,).
    """
    sizes = np.array([len(rna) for rna in rnas], dtype=np.int64)
    short = np.flatnonzero(sizes <= settings.window)
    for rows in plan(sizes[short] + 2, settings.batch_tokens, max(1, len(short))):
        numbers = short[rows].tolist()
        embedded = _embed_batch([rnas[number] for number in numbers], network)
        for number, (hidden, logits) in zip(numbers, embedded, strict=True):
            yield number, hidden, logits
    for number in np.flatnonzero(sizes > settings.window).tolist():
        yield number, *_embed_windows(rnas[number], network, settings)


def _embed_windows(
    rna: str, network: TisTransformer, settings: TisConfig
) -> tuple[np.ndarray, np.ndarray]:
    places = list(windows(len(rna), settings.window, window_overlap(settings)))
    hidden = np.zeros((len(rna), DIM), dtype=np.float32)
    logits = np.zeros(len(rna), dtype=np.float32)
    for (start, end), (low, high) in zip(places, centre_cuts(places), strict=True):
        ((of_window, of_starts),) = _embed_batch([rna[start:end]], network)
        hidden[low:high] = of_window[low - start : high - start]
        logits[low:high] = of_starts[low - start : high - start]
    return hidden, logits


def _embed_batch(
    rnas: Sequence[str], network: TisTransformer
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hidden values and logits of the start score of each RNA of a batch."""
    tokens = [rna_tokens(rna) for rna in rnas]
    sizes = torch.tensor([len(row) for row in tokens])
    padded = torch.zeros((len(rnas), int(sizes.max())), dtype=torch.int64)
    for number, row in enumerate(tokens):
        padded[number, : len(row)] = torch.from_numpy(row)
    device = network.nuc_emb.weight.device
    with torch.inference_mode():
        hidden = network(padded.to(device), sizes.to(device))
        logits = network.start_logits(hidden).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    all_hidden = hidden.cpu().numpy()
    all_logits = logits.cpu().numpy()
    embedded = []
    for number, row in enumerate(tokens):
        letters = slice(1, len(row) - 1)
        embedded.append((all_hidden[number, letters], all_logits[number, letters]))
    return embedded


def rna_tokens(rna: str) -> np.ndarray:
    """Tokens of an RNA: start, letters, end; int64, shape (length + 2,).

    U and T are one token; N and all other letters are that of unknown ones.
    """
    letters = _TOKENS[np.frombuffer(rna.encode("ascii", "replace"), dtype=np.uint8)]
    return np.concatenate([[START], letters, [END]])


def pool(hidden: np.ndarray, logits: np.ndarray, patch: int) -> np.ndarray:
    """Pool consecutive nucleotides: mean and SD of hidden values, largest start score.

    Args:
        hidden: float32, shape (length, 48).
        logits: of the start score, float32, shape (length,).
        patch: nucleotides per patch; the last one may have fewer.

    Returns:
        float32, shape (ceil(length / patch), 97): means, population SDs, largest logit. For a patch
        of 1, whose SDs are 0, shape (length, 49).
    """
    if patch == 1:
        return np.hstack([hidden, logits[:, None]])
    length = len(hidden)
    n = -(-length // patch)
    padding = n * patch - length
    is_letter = np.arange(n * patch).reshape(n, patch) < length
    n_letters = is_letter.sum(axis=1).astype(np.float32)[:, None]
    values = np.pad(hidden, ((0, padding), (0, 0))).reshape(n, patch, hidden.shape[1])
    mean = values.sum(axis=1) / n_letters
    deviations = (values - mean[:, None]) * is_letter[:, :, None]
    sd = np.sqrt(np.square(deviations).sum(axis=1) / n_letters)
    scores = np.pad(logits, (0, padding), constant_values=-LARGEST_LOGIT).reshape(n, patch)
    return np.hstack([mean, sd, scores.max(axis=1, keepdims=True)]).astype(np.float32)


def patch_letters(sequence: str, lengths: LengthPolicy, patch: int) -> np.ndarray:
    """One-hot nucleotides of each patch: float32, shape (patches, 4 * patch).

    Column 4 * i + letter is nucleotide i of the patch; 0 for N and beyond the end of a stretch.
    """
    parts = [np.zeros((0, len(LETTERS) * patch), dtype=np.float32)]
    for start, end in kept_stretches(lengths, len(sequence)):
        letters = one_hot(sequence[start:end].upper().replace("T", "U"))
        n = -(-len(letters) // patch)
        padded = np.pad(letters, ((0, n * patch - len(letters)), (0, 0)))
        parts.append(padded.reshape(n, -1))
    return np.concatenate(parts)
