"""Embeddings of a pretrained RNA language model, one vector per nucleotide (RNALoc-LM's input), kept on disk once they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from mirnagraph.config import require
from seqtower.batches import windows
from seqtower.encoders.cache import cached, content_key, encodings_folder
from seqtower.encoders.one_hot import letter_codes

RNA_FM = "rna-fm"


@dataclass(frozen=True)
class LanguageModelConfig:
    """Which language model, and how it reads.

    Attributes:
        model: name of a checkpoint on Hugging Face, a folder that holds one (config.json, model.safetensors, tokenizer), or ``"rna-fm"``
            for RNA-FM by its own package. No model is the default: the user names it.
        weights: file of weights, with ``"rna-fm"`` only; ``""`` for where that package puts it.
        letters: ``"U"``, or ``"T"`` for models that learned RNA in the letters of DNA.
        window: nucleotides that the model reads at a time; 0 for as many as it can.
        overlap: share of a window that it has in common with the next, in [0, 0.5].
        batch: windows computed at a time; changes no number beyond rounding.
        download: fetch a model that is not on this machine; without it nothing asks the network.
        cache: folder in which embeddings are kept; ``""`` for ``MIRNAGRAPH_CACHE`` or the user's cache.
    """

    model: str = ""
    weights: str = ""
    letters: str = "U"
    window: int = 0
    overlap: float = 0.25
    batch: int = 8
    download: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        require(self.letters in ("U", "T"), "letters", self.letters, "'U' or 'T'")
        require(self.window == 0 or self.window >= 2, "window", self.window, "2 or more, or 0 for as many as the model can")
        require(0 <= self.overlap <= 0.5, "overlap", self.overlap, "in [0, 0.5]")
        require(self.batch >= 1, "batch", self.batch, "1 or more")

    def at(self, place: str) -> LanguageModelConfig:
        """The same settings with the model in another place: a folder or name, or for RNA-FM its file of weights."""
        return replace(self, weights=place) if self.model == RNA_FM else replace(self, model=place)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A frozen model, loaded.

    Attributes:
        name: as the user gave it.
        fingerprint: sha256 of its weights, settings and tokenizer; the same wherever the files lie.
        width: numbers per nucleotide.
        limit: most nucleotides that it reads at a time, special tokens not counted.
        embed: from windows of one length to float32 of shape (n, length, width), special tokens dropped.
    """

    name: str
    fingerprint: str
    width: int
    limit: int
    embed: Callable[[Sequence[str]], torch.Tensor]


def embed_sequence(sequence: str, model: LanguageModel, config: LanguageModelConfig) -> np.ndarray:
    """Embedding of every nucleotide; read from the cache where it was made before.

    An RNA that is longer than a window is read in windows of equal length that overlap, and each nucleotide takes its vector from the
    window in whose middle it lies most: an average over windows would be a vector that the model never gave. An N is 0 in all channels, as
    in the other encoders; the model is shown it as N.

    Returns:
        float32, shape (length, width).

    Raises:
        ConfigError: a window longer than the model can read, or a tokenizer that joins letters.
    """
    require(config.window <= model.limit, "window", config.window, f"at most {model.limit}, which is what {model.name!r} can read at a time")
    width = config.window or model.limit
    overlap = min(round(config.overlap * width), width - 1)
    about = {"of": "embedding", "model": model.fingerprint, "letters": config.letters, "window": width, "overlap": overlap}

    def make() -> np.ndarray:
        return _read(sequence, model, config, width, overlap)

    found = cached(encodings_folder(config.cache, "language-model"), content_key(sequence, about), make, len(sequence))
    return np.where(letter_codes(sequence)[:, None] >= 0, found, np.float32(0))


def centre_cuts(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The part of each window that is taken from it: neighbours meet in the middle of what they share, so every position is taken once.

    Args:
        places: start and end of the windows, ascending, each touching the next.
    """
    inner = [(after[0] + before[1]) // 2 for before, after in pairwise(places)]
    bounds = [places[0][0], *inner, places[-1][1]]
    return list(pairwise(bounds))


def _read(sequence: str, model: LanguageModel, config: LanguageModelConfig, width: int, overlap: int) -> np.ndarray:
    found = np.zeros((len(sequence), model.width), dtype=np.float32)
    if not sequence:
        return found
    text = sequence.replace("U", "T") if config.letters == "T" else sequence
    places = list(windows(len(text), width, overlap))
    cuts = centre_cuts(places)
    for first in range(0, len(places), config.batch):
        part = range(first, min(first + config.batch, len(places)))
        # all windows of an RNA are equally long, so that no padding takes part in any sum
        vectors = model.embed([text[slice(*places[number])] for number in part]).numpy()
        for row, number in enumerate(part):
            start, (low, high) = places[number][0], cuts[number]
            found[low:high] = vectors[row, low - start : high - start]
    return found
