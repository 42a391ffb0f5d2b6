"""RNA language models: settings, checkpoints of transformers, and RNA-FM."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import torch

from mirnagraph.config import Checked, Count, require
from mirnagraph.errors import ConfigError, InputError, import_extra
from mirnagraph.io import sha256_of
from mirnagraph.writing.files import make_folder

RNA_FM = "rna-fm"

RNA_FM_FILE = "RNA-FM_pretrained.pth"

RNA_FM_URL = f"https://proj.cse.cuhk.edu.hk/rnafm/api/download?filename={RNA_FM_FILE}"

RNA_FM_LIMIT = 1022

SUFFIXES = (".json", ".safetensors", ".txt", ".model")
"""Files of a checkpoint that decide an embedding."""

UNKNOWN_LIMIT = 1022
"""Nucleotides of models that state no limit: what most RNA language models were trained on."""

PROBE = "ACGUUGCAAGUC"

ENCODER = "the encoder 'language-model'"

UNUSED = ("pooler.", "contact_head.")
"""Parts that compute no embedding, which checkpoints of masked models lack."""

NO_MODEL = (
    "no language model is named; set encoder.settings.model to the name of a checkpoint, to a "
    "folder that holds one, or to 'rna-fm', in the file of --config"
)


@dataclass(frozen=True)
class LanguageModelConfig(Checked):
    """Which language model is used, and how it reads RNAs.

    Attributes:
        model: name of a checkpoint on Hugging Face, a folder that holds one (config.json,
            model.safetensors, tokenizer), or ``"rna-fm"`` for RNA-FM by its own package. There is
            no default.
        weights: file of weights, with ``"rna-fm"`` only; ``""`` for where that package puts it.
        letters: ``"U"``, or ``"T"`` for models trained on RNA in the alphabet of DNA.
        window: nucleotides that the model reads at a time; 0 for as many as it can.
        overlap: share of a window that it has in common with the next, in [0, 0.5].
        batch: windows computed at a time; changes values by rounding alone.
        download: fetch a model that is not on this machine; without it nothing uses the network.
        cache: folder of cached embeddings; ``""`` for ``MIRNAGRAPH_CACHE`` or the user's cache.
    """

    model: str = ""
    weights: str = ""
    letters: str = "U"
    window: int = 0
    overlap: Annotated[float, "in [0, 0.5]"] = 0.25
    batch: Count = 8
    download: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        window = "2 or more, or 0 for as many as the model can"
        require(self.letters in ("U", "T"), "letters", self.letters, "'U' or 'T'")
        require(self.window == 0 or self.window >= 2, "window", self.window, window)

    def at(self, place: str) -> LanguageModelConfig:
        """The same settings with the model at another place.

        Args:
            place: folder or name of a checkpoint; for RNA-FM its file of weights.
        """
        return replace(self, weights=place) if self.model == RNA_FM else replace(self, model=place)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A frozen model, loaded.

    Attributes:
        name: as the user gave it.
        fingerprint: sha256 of its weights, settings and tokenizer, not of where the files are.
        width: values per nucleotide.
        limit: most nucleotides that it reads at a time, without special tokens.
        embed: windows of one length -> float32 of shape (n, length, width), without special tokens.
    """

    name: str
    fingerprint: str
    width: int
    limit: int
    embed: Callable[[Sequence[str]], torch.Tensor]


def load_language_model(config: LanguageModelConfig) -> LanguageModel:
    """Load the model of the settings, frozen, in evaluation mode; once per process.

    Raises:
        ConfigError: no model is named, or the model has no vector per nucleotide.
        MissingExtraError: transformers is not installed.
        InputError: the model's files are missing, or are not those of a model.
    """
    if not config.model:
        raise ConfigError(NO_MODEL)
    if config.model == RNA_FM:
        return _rna_fm(config)
    if config.weights:
        raise ConfigError(
            f"setting 'weights' is for the model {RNA_FM!r} alone; give the checkpoint's folder as "
            "'model'"
        )
    folder = _folder(config)
    return _transformer(config.model, folder, _fingerprint(folder), config.letters)


def _folder(config: LanguageModelConfig) -> Path:
    """Folder of the checkpoint's files."""
    hub = import_extra("huggingface_hub", "lm", ENCODER, package="transformers")
    errors = import_extra("huggingface_hub.errors", "lm", ENCODER, package="transformers")
    folder = Path(config.model).expanduser()
    if folder.is_dir():
        return folder
    patterns = [f"*{suffix}" for suffix in SUFFIXES]
    is_local = not config.download
    try:
        path = hub.snapshot_download(
            config.model, local_files_only=is_local, allow_patterns=patterns
        )
    except errors.HFValidationError:
        raise InputError(
            "neither a folder nor the name of a checkpoint",
            found=config.model,
            expected="a folder, or a name as 'owner/model'",
        ) from None
    except (OSError, ValueError) as error:
        if is_local:
            raise InputError(
                f"the language model {config.model!r} is not on this machine",
                hint="give the folder that holds it, or set encoder.settings.download = true "
                "to fetch it",
            ) from None
        message = f"the language model {config.model!r} could not be fetched"
        raise InputError(message, found=_first_line(error)) from None
    return Path(path)


def _fingerprint(folder: Path) -> str:
    """sha256 over names and contents of the files that decide an embedding."""
    files = [path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()]
    files = sorted(path for path in files if path.name != "README.txt")
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(
            "no weights of a language model as safetensors",
            file=folder,
            hint="pickled weights (.bin, .pt) are not read, since they may run code",
        )
    total = hashlib.sha256()
    for path in files:
        digest = _file_sha256(path)
        total.update(f"{path.name}\0{digest}\n".encode())
    return total.hexdigest()


def _file_sha256(path: Path) -> str:
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    return sha256_of(path)


@lru_cache(maxsize=1)
def _transformer(name: str, folder: Path, fingerprint: str, letters: str) -> LanguageModel:
    tokenizer, model = _load_transformer(name, folder)
    model, device = _frozen(model)
    tokens = _tokens(tokenizer, name, letters)
    probe = PROBE.replace("U", letters)
    n_special = int((~tokens([probe])[1]).sum())

    def embed(texts: Sequence[str]) -> torch.Tensor:
        ids, is_letter = tokens(texts)
        attention = torch.ones_like(ids).to(device)
        with torch.inference_mode():
            output = model(input_ids=ids.to(device), attention_mask=attention)
        hidden = output.last_hidden_state.cpu()
        return hidden[is_letter].reshape(len(texts), len(texts[0]), -1).float()

    limit = _limit(tokenizer, model.config, n_special)
    return LanguageModel(name, fingerprint, embed([probe]).shape[-1], limit, embed)


def _frozen(model: Any) -> tuple[Any, torch.device]:
    """The model in evaluation mode on a GPU where there is one, and its device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return model.eval().float().requires_grad_(False).to(device), device


def _load_transformer(name: str, folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model, loaded without code of the checkpoint's authors."""
    transformers = import_extra("transformers", "lm", ENCODER)
    how = {"local_files_only": True, "trust_remote_code": False}
    try:
        # Parts that the checkpoint lacks are drawn, which must not change later draws.
        with _quietly(), torch.random.fork_rng(devices=[]):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **how)
            model, loaded = transformers.AutoModel.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, **how
            )
    except Exception as error:
        # transformers raises errors of many types here, each about the files.
        raise InputError(
            "not a language model that transformers can read without code of its authors",
            file=folder,
            found=_first_line(error),
        ) from None
    missing = [key for key in loaded["missing_keys"] if not any(part in key for part in UNUSED)]
    mismatched = [str(key) for key in loaded["mismatched_keys"]]
    if missing or mismatched:
        names = ", ".join([*sorted(missing), *mismatched])
        raise InputError("the file of weights lacks some of the model's", file=folder, found=names)
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(
            f"the language model {name!r} is an encoder with a decoder; only encoders are read"
        )
    return tokenizer, model


def _tokens(
    tokenizer: Any, name: str, letters: str
) -> Callable[[Sequence[str]], tuple[torch.Tensor, torch.Tensor]]:
    """Function from texts of one length to token numbers and which of them are nucleotides.

    Both results have shape (n, tokens).
    """
    probe = PROBE.replace("U", letters)

    def parts(text: str, separator: str) -> tuple[list[int], list[int]]:
        spaced = separator.join(text)
        encoded = tokenizer(spaced, add_special_tokens=True, return_special_tokens_mask=True)
        return list(encoded["input_ids"]), list(encoded["special_tokens_mask"])

    def letter_tokens(separator: str) -> list[int]:
        pairs = zip(*parts(probe, separator), strict=True)
        return [number for number, is_special in pairs if not is_special]

    # Some tokenizers need spaces between nucleotides.
    fitting = [space for space in ("", " ") if len(letter_tokens(space)) == len(probe)]
    if not fitting:
        n_tokens = len(letter_tokens(""))
        raise ConfigError(
            f"the language model {name!r} makes {n_tokens} tokens of {len(probe)} nucleotides "
            "(k-mers?); one per nucleotide is needed"
        )
    separator = fitting[0]
    numbers = dict(zip(probe, letter_tokens(separator), strict=True))
    if len(set(numbers.values())) < len(numbers) or tokenizer.unk_token_id in numbers.values():
        other = "U" if letters == "T" else "T"
        known = ", ".join(sorted(numbers))
        raise ConfigError(
            f"the language model {name!r} does not know all of the letters {known}; "
            f"set encoder.settings.letters = {other!r}"
        )

    def tokens(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [parts(text, separator) for text in texts]
        for text, (_, special) in zip(texts, pairs, strict=True):
            n_tokens = special.count(0)
            if n_tokens != len(text):
                raise ConfigError(
                    f"the language model {name!r} makes {n_tokens} tokens of {len(text)} "
                    "nucleotides; one per nucleotide is needed"
                )
        ids = torch.tensor([ids for ids, _ in pairs])
        is_special = torch.tensor([special for _, special in pairs])
        return ids, is_special == 0

    return tokens


def _limit(tokenizer: Any, config: Any, n_special: int) -> int:
    """Most nucleotides that fit with the special tokens."""
    stated = [
        getattr(config, "max_position_embeddings", None),
        getattr(tokenizer, "model_max_length", None),
    ]
    known = [int(value) for value in stated if isinstance(value, int) and 0 < value < 10**6]
    if not known:
        return UNKNOWN_LIMIT
    # Models such as RoBERTa count positions from 2, and their stated length includes them:
    # two fewer are safe for all.
    limit = min(known) - n_special - 2
    if limit < 2:
        raise ConfigError(
            f"the language model reads {min(known)} tokens at a time, which leaves no room for "
            "nucleotides"
        )
    return limit


def _rna_fm(config: LanguageModelConfig) -> LanguageModel:
    """RNA-FM (Chen et al. 2022, arXiv:2204.00300).

    12 layers, 640 values per nucleotide, 1,022 nucleotides at a time.
    """
    try:
        import fm
    except ImportError:
        raise ConfigError(
            "the language model 'rna-fm' needs the package 'rna-fm', which is not installed; "
            "install it with: pip install rna-fm"
        ) from None
    file = Path(torch.hub.get_dir()) / "checkpoints" / RNA_FM_FILE
    if config.weights:
        file = Path(config.weights).expanduser()
    elif not file.is_file() and config.download:
        make_folder(file.parent)
        try:
            torch.hub.download_url_to_file(RNA_FM_URL, str(file), progress=False)
        except OSError as error:
            raise InputError(
                "the weights of RNA-FM could not be fetched", file=file, found=str(error)
            ) from None
    if not file.is_file():
        raise InputError(
            "the weights of RNA-FM are not on this machine",
            file=file,
            hint=f"give the file {RNA_FM_FILE} as encoder.settings.weights, or set "
            "encoder.settings.download = true to fetch it",
        )
    return _rna_fm_from(fm, file, _file_sha256(file), config.letters)


@lru_cache(maxsize=1)
def _rna_fm_from(fm: Any, file: Path, fingerprint: str, letters: str) -> LanguageModel:
    if letters != "U":
        raise ConfigError(
            "the language model 'rna-fm' knows the letters ACGU; set encoder.settings.letters = 'U'"
        )
    try:
        # The file is a pickle: only tensors and a plain namespace of settings are accepted from it,
        # so that no code in it is run.
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            torch.random.fork_rng(devices=[]),
            warnings.catch_warnings(),
        ):
            # About the head for contacts, which is not used.
            warnings.simplefilter("ignore")
            stored = torch.load(file, map_location="cpu", weights_only=True)
            load = fm.pretrained.load_model_and_alphabet_core
            model, alphabet = load("RNA-FM", stored, None, "rna")
    except Exception as error:
        raise InputError("not the weights of RNA-FM", file=file, found=_first_line(error)) from None
    model, device = _frozen(model)
    last = len(model.layers)

    def tokens(text: str) -> list[int]:
        return [alphabet.cls_idx, *(alphabet.get_idx(letter) for letter in text), alphabet.eos_idx]

    def embed(texts: Sequence[str]) -> torch.Tensor:
        ids = torch.tensor([tokens(text) for text in texts], device=device)
        with torch.inference_mode():
            output = model(ids, repr_layers=[last])
        return output["representations"][last][:, 1:-1].float().cpu()

    return LanguageModel(RNA_FM, fingerprint, embed([PROBE]).shape[-1], RNA_FM_LIMIT, embed)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence transformers' progress bars and reports; what matters of them is checked here."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    has_bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if has_bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
