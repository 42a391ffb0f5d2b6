"""RNA language models."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirnagraph.config import require
from mirnagraph.errors import ConfigError, InputError, import_extra
from mirnagraph.io import sha256_of
from seqtower.data.batches import windows
from seqtower.data.kmers import letter_codes
from seqtower.encoders.cache import cached, content_key, encodings_folder

RNA_FM = "rna-fm"

RNA_FM_FILE = "RNA-FM_pretrained.pth"

RNA_FM_URL = f"https://proj.cse.cuhk.edu.hk/rnafm/api/download?filename={RNA_FM_FILE}"

RNA_FM_LIMIT = 1022

SUFFIXES = (".json", ".safetensors", ".txt", ".model")

UNKNOWN_LIMIT = 1022  # of models that state none: what most RNA language models were trained on

PROBE = "ACGUUGCAAGUC"

ENCODER = "the encoder 'language-model'"

UNUSED = (
    "pooler.",
    "contact_head.",
)  # parts beside the embedding, which checkpoints of masked models lack


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
        require(
            self.window == 0 or self.window >= 2,
            "window",
            self.window,
            "2 or more, or 0 for as many as the model can",
        )
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
    require(
        config.window <= model.limit,
        "window",
        config.window,
        f"at most {model.limit}, which is what {model.name!r} can read at a time",
    )
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
        return _read(sequence, model, config, width, overlap)

    found = cached(
        encodings_folder(config.cache, "language-model"),
        content_key(sequence, about),
        make,
        len(sequence),
    )
    return np.where(letter_codes(sequence)[:, None] >= 0, found, np.float32(0))


def centre_cuts(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The part of each window that is taken from it: neighbours meet in the middle of what they share, so every position is taken once.

    Args:
        places: start and end of the windows, ascending, each touching the next.
    """
    inner = [(after[0] + before[1]) // 2 for before, after in pairwise(places)]
    bounds = [places[0][0], *inner, places[-1][1]]
    return list(pairwise(bounds))


def _read(
    sequence: str, model: LanguageModel, config: LanguageModelConfig, width: int, overlap: int
) -> np.ndarray:
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


def load_language_model(config: LanguageModelConfig) -> LanguageModel:
    """The model that the settings name, frozen, in evaluation mode; loaded once per process.

    Raises:
        ConfigError: no model is named, or the model gives no vector per nucleotide.
        MissingExtraError: transformers is not installed. InputError: the model's files are not here, or are not those of a model.
    """
    if not config.model:
        raise ConfigError(
            "no language model is named; set encoder.language_model.model to the name of a checkpoint, to a folder that holds one, or to 'rna-fm', "
            "in the file that --config names"
        )
    if config.model == RNA_FM:
        return _rna_fm(config)
    if config.weights:
        raise ConfigError(
            f"setting 'weights' goes with the model {RNA_FM!r} alone; give the checkpoint's folder as 'model'"
        )
    folder = _folder(config)
    return _transformer(config.model, folder, _fingerprint(folder), config.letters)


def _folder(config: LanguageModelConfig) -> Path:
    """Where the checkpoint's files are."""
    hub = import_extra("huggingface_hub", "lm", ENCODER, package="transformers")
    errors = import_extra("huggingface_hub.errors", "lm", ENCODER, package="transformers")
    folder = Path(config.model).expanduser()
    if folder.is_dir():
        return folder
    try:
        patterns = [f"*{suffix}" for suffix in SUFFIXES]
        local = not config.download
        download = hub.snapshot_download
        return Path(download(config.model, local_files_only=local, allow_patterns=patterns))
    except errors.HFValidationError:
        raise InputError(
            "neither a folder nor the name of a checkpoint",
            found=config.model,
            expected="a folder, or a name as 'owner/model'",
        ) from None
    except (OSError, ValueError) as error:
        if not config.download:
            hint = "give the folder that holds it, or set encoder.language_model.download = true to fetch it"
            raise InputError(
                f"the language model {config.model!r} is not on this machine", hint=hint
            ) from None
        raise InputError(
            f"the language model {config.model!r} could not be fetched",
            found=str(error).splitlines()[0],
        ) from None


def _fingerprint(folder: Path) -> str:
    """sha256 over names and contents of the files that decide an embedding."""
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SUFFIXES and path.is_file() and path.name != "README.txt"
    )
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(
            "no weights of a language model as safetensors",
            file=folder,
            hint="pickled weights (.bin, .pt) are not read, since they may run code",
        )
    total = hashlib.sha256()
    for path in files:
        status = path.stat()
        total.update(f"{path.name}\0{_sha256(path, status.st_size, status.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    return sha256_of(path)


@lru_cache(maxsize=1)
def _transformer(name: str, folder: Path, fingerprint: str, letters: str) -> LanguageModel:
    transformers = import_extra("transformers", "lm", ENCODER)

    try:
        with (
            _quietly(),
            torch.random.fork_rng(devices=[]),
        ):  # parts that the checkpoint lacks are drawn, which must move no other draw
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model, loaded = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, output_loading_info=True
            )  # fmt: skip
    except Exception as error:
        # transformers raises errors of many kinds here, each about the files; none of them is ours
        raise InputError(
            "not a language model that transformers can read without code of its authors",
            file=folder,
            found=_first_line(error),
        ) from None
    missing = sorted(
        key for key in loaded["missing_keys"] if not any(part in key for part in UNUSED)
    )
    if missing or loaded["mismatched_keys"]:
        raise InputError(
            "the file of weights lacks some of the model's",
            file=folder,
            found=", ".join([*missing, *map(str, loaded["mismatched_keys"])]),
        )
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(
            f"the language model {name!r} is an encoder with a decoder; only encoders are read"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.eval().float().requires_grad_(False).to(device)
    tokens = _tokens(tokenizer, name, letters)
    special = int((~tokens([PROBE.replace("U", letters)])[1]).sum())

    def embed(texts: Sequence[str]) -> torch.Tensor:
        ids, kept = tokens(texts)
        with torch.inference_mode():
            hidden = model(
                input_ids=ids.to(device), attention_mask=torch.ones_like(ids).to(device)
            ).last_hidden_state.cpu()
        return hidden[kept].reshape(len(texts), len(texts[0]), -1).float()

    return LanguageModel(
        name,
        fingerprint,
        embed([PROBE.replace("U", letters)]).shape[-1],
        _limit(tokenizer, model.config, special),
        embed,
    )


def _tokens(
    tokenizer: Any, name: str, letters: str
) -> Callable[[Sequence[str]], tuple[torch.Tensor, torch.Tensor]]:
    """A function from texts of one length to token numbers and to which of them are letters, both of shape (n, tokens)."""
    probe = PROBE.replace("U", letters)

    def parts(text: str, between: str) -> tuple[list[int], list[int]]:
        found = tokenizer(
            between.join(text), add_special_tokens=True, return_special_tokens_mask=True
        )
        return list(found["input_ids"]), list(found["special_tokens_mask"])

    def letter_tokens(between: str) -> list[int]:
        return [
            number for number, special in zip(*parts(probe, between), strict=True) if not special
        ]

    # some tokenizers want letters apart, as words
    between = next((space for space in ("", " ") if len(letter_tokens(space)) == len(probe)), None)
    if between is None:
        found = len(letter_tokens(""))
        raise ConfigError(
            f"the language model {name!r} makes {found} tokens of {len(probe)} nucleotides (words of letters?); one per nucleotide is needed"
        )
    numbers = dict(zip(probe, letter_tokens(between), strict=True))
    if len(set(numbers.values())) < len(numbers) or tokenizer.unk_token_id in numbers.values():
        other = "U" if letters == "T" else "T"
        raise ConfigError(
            f"the language model {name!r} does not know all of the letters {', '.join(sorted(numbers))}; set encoder.language_model.letters = {other!r}"
        )

    def tokens(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [parts(text, between) for text in texts]
        for text, (_, special) in zip(texts, pairs, strict=True):
            if special.count(0) != len(text):
                raise ConfigError(
                    f"the language model {name!r} makes {special.count(0)} tokens of {len(text)} nucleotides; one per nucleotide is needed"
                )
        return torch.tensor([ids for ids, _ in pairs]), torch.tensor(
            [special for _, special in pairs]
        ) == 0

    return tokens


def _limit(tokenizer: Any, config: Any, special: int) -> int:
    """Nucleotides that fit beside the special tokens."""
    stated = [
        getattr(config, "max_position_embeddings", None),
        getattr(tokenizer, "model_max_length", None),
    ]
    known = [int(value) for value in stated if isinstance(value, int) and 0 < value < 10**6]
    # models in RoBERTa's way count positions from 2, which their stated length includes: two fewer are safe for all
    limit = min(known) - special - 2 if known else UNKNOWN_LIMIT
    if limit < 2:
        raise ConfigError(
            f"the language model reads {min(known)} tokens at a time, which leaves no room for nucleotides"
        )
    return limit


def _rna_fm(config: LanguageModelConfig) -> LanguageModel:
    """RNA-FM (Chen et al. 2022, arXiv:2204.00300): 12 layers, 640 numbers per nucleotide, 1,022 nucleotides at a time."""
    try:
        import fm
    except ImportError:
        raise ConfigError(
            "the language model 'rna-fm' needs the package 'rna-fm', which is not installed; install it with: pip install rna-fm"
        ) from None
    file = (
        Path(config.weights).expanduser()
        if config.weights
        else Path(torch.hub.get_dir()) / "checkpoints" / RNA_FM_FILE
    )
    if not file.is_file() and config.download and not config.weights:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(RNA_FM_URL, str(file), progress=False)
        except OSError as error:
            raise InputError(
                "the weights of RNA-FM could not be fetched", file=file, found=str(error)
            ) from None
    if not file.is_file():
        hint = f"give the file {RNA_FM_FILE} as encoder.language_model.weights, or set encoder.language_model.download = true to fetch it"
        raise InputError("the weights of RNA-FM are not on this machine", file=file, hint=hint)
    status = file.stat()
    return _rna_fm_from(fm, file, _sha256(file, status.st_size, status.st_mtime_ns), config.letters)


@lru_cache(maxsize=1)
def _rna_fm_from(fm: Any, file: Path, fingerprint: str, letters: str) -> LanguageModel:
    if letters != "U":
        raise ConfigError(
            "the language model 'rna-fm' knows the letters ACGU; set encoder.language_model.letters = 'U'"
        )
    import warnings

    try:
        # the file is a pickle: of it only tensors and a plain namespace of settings are accepted, so nothing in it is run
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            torch.random.fork_rng(devices=[]),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # about the head for contacts, which is not used
            stored = torch.load(file, map_location="cpu", weights_only=True)
            model, alphabet = fm.pretrained.load_model_and_alphabet_core(
                "RNA-FM", stored, None, "rna"
            )
    except Exception as error:
        raise InputError("not the weights of RNA-FM", file=file, found=_first_line(error)) from None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.eval().float().requires_grad_(False).to(device)

    def embed(texts: Sequence[str]) -> torch.Tensor:
        rows = [
            [alphabet.cls_idx, *(alphabet.get_idx(letter) for letter in text), alphabet.eos_idx]
            for text in texts
        ]
        with torch.inference_mode():
            found = model(torch.tensor(rows, device=device), repr_layers=[len(model.layers)])[
                "representations"
            ][len(model.layers)]
        return found[:, 1:-1].float().cpu()

    return LanguageModel(RNA_FM, fingerprint, embed([PROBE]).shape[-1], RNA_FM_LIMIT, embed)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' bars and reports on parts of a checkpoint; what matters of them is checked by us."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
