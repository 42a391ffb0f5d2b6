"""Saved models on disk: header ``model.json`` and tensors ``model.safetensors``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.io import sha256_of
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.entries import EVERY, NEEDED, check_entries
from mirnagraph.runs.arrays import load_arrays, save_arrays
from mirnagraph.runs.folder import package_versions
from mirnagraph.writing.contents import what_is_at
from mirnagraph.writing.files import write_text

if TYPE_CHECKING:
    import torch

HEADER = "model.json"
WEIGHTS = "model.safetensors"

WEIGHTS_CHECKSUM = "weights_sha256"
"""Entry of the header: sha256 of the file of tensors."""

ENTRIES_CHECKSUM = "entries_sha256"
"""Entry of the tensors' metadata: sha256 of all entries of the header."""

HEADER_CHECKSUM = "sealed_sha256"
"""The same of earlier releases: of the sealed entries and the settings."""

EARLIER_CHECKSUM = "description_sha256"
"""The same of the first releases: of the sealed entries alone."""

SEALED = (
    "alphabet",
    "compartments",
    "kind",
    "lengths",
    "temperature",
    "thresholds",
    "tokens",
    "tracks",
    "types",
    "weight",
    "weights",
)
"""Entries that give the tensors their meaning, but cannot be checked against their shapes."""

SETTINGS = ("config", "tower")
"""Entries of settings, sealed but for the folders in them, which an export leaves out."""

NUMBER_OR_NONE = (float, None)

HEALTH_ENTRIES = {
    NEEDED: ("status", "reason", "sd", "score", "best_epoch"),
    "status": frozenset({"healthy", "failed"}),
    "reason": str,
    "sd": NUMBER_OR_NONE,
    "score": NUMBER_OR_NONE,
    "best_epoch": int,
    "retried": bool,
}
"""Entry ``health`` of a header and of a fold's choices, see `seqtower.training.health.Health`."""

ENTRIES: dict[str, Any] = {
    "alphabet": str,
    "answered_by": str,
    "channels": int,
    "compartments": [str],
    "components": [int],
    "config": dict,
    "dataset": str,
    "described_types": bool,
    "encoder_fingerprint": str,
    "genes_compared": bool,
    "has_cold_start": bool,
    "health": HEALTH_ENTRIES,
    "kernel_features": dict,
    "kind": str,
    "known_sha256": {EVERY: str},
    "lengths": dict,
    "members": int,
    "n_cut": {EVERY: int},
    "n_fit": int,
    "n_rnas": int,
    "n_stop": int,
    "names": {"sha256": {EVERY: str}},
    "nodes_checksum": str,
    "out_of_fold": {EVERY: {EVERY: NUMBER_OR_NONE}},
    "profiles": [str],
    "protocol": str,
    "reference": int,
    "score": NUMBER_OR_NONE,
    "sets": [str],
    "settings": dict,
    "synthetic": bool,
    "temperature": float,
    "thresholds": [float],
    "tokens": {EVERY: int},
    "tracks": [str],
    "trees": [str],
    "types": [str],
    "versions": {EVERY: str},
    "weight": float,
    "weights": {EVERY: float},
    "weights_sha256": str,
}
"""Entries of a header that are read, and their kinds (see `mirnagraph.reading.entries`)."""

OF_USER = {"download": False, "cache": ""}
"""Settings that only the user of a model gives, never the model: whom we ask, where we write."""


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model read from disk.

    Attributes:
        header: contents of ``model.json``.
        arrays: tensors by name.
    """

    header: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def compartments(self) -> tuple[str, ...]:
        """Names of the compartments in the order of the model's outputs."""
        return tuple(str(name) for name in self.header["compartments"])

    @property
    def thresholds(self) -> np.ndarray:
        """Decision thresholds: float64, shape (n_labels,)."""
        values = self.header.get("thresholds", self.arrays.get("thresholds"))
        return np.asarray(values, dtype=np.float64)


def write_model(
    folder: Path,
    model_format: str,
    version: int,
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write ``model.json`` and ``model.safetensors`` into an existing folder.

    Args:
        folder: where both files go.
        model_format: kind of model, which `read_model` compares.
        version: number of the layout of header and tensors.
        header: further entries, as JSON has them; package versions and checksums are added.
        arrays: tensors by name.
    """
    entries = {
        "format": model_format,
        "format_version": version,
        "versions": package_versions(),
        **header,
    }
    entries = json.loads(json.dumps(entries))  # as it will be read, e.g. tuples as lists
    # one entry alone: safetensors writes several in another order each time
    save_arrays(arrays, folder / WEIGHTS, {ENTRIES_CHECKSUM: _entries_checksum(entries)})
    entries[WEIGHTS_CHECKSUM] = sha256_of(folder / WEIGHTS)
    text = json.dumps(entries, indent=2) + "\n"
    write_text(folder / HEADER, text)


def read_model(
    folder: Path,
    model_format: str,
    versions: Sequence[int],
    *,
    alphabet: str | None = None,
    compartments: Sequence[str] | None = None,
    rna_types: Sequence[str] = (),
    hint: str | None = None,
) -> ModelFile:
    """Read and check the two files of a model.

    Args:
        folder: holds ``model.json`` and ``model.safetensors``.
        model_format: expected kind of model.
        versions: format versions that the caller can read.
        alphabet: expected nucleotides of the model's input; None for models that have none.
        compartments: expected compartments in order; None for any.
        rna_types: RNA types that the model may have been trained on.
        hint: what to do where the folder holds no model.

    Raises:
        CheckpointError: no model, a damaged one, another format or version, other compartments or
            another alphabet, or a header and tensors that do not belong together.
    """
    header = read_header(folder, model_format, versions, hint=hint)
    _check_equal(folder, header, "alphabet", alphabet, "the model reads another alphabet")
    if compartments is not None:
        message = "the model has other compartments, or another order of them"
        _check_equal(folder, header, "compartments", list(compartments), message)
    arrays = _read_arrays(folder, header)
    model = ModelFile(header, arrays)
    with consistent_files(folder):
        _check_values(model, rna_types)
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        metadata = file.metadata() or {}
    if ENTRIES_CHECKSUM in metadata:
        expected = _entries_checksum(header)
    else:
        expected = _header_checksum(header, with_settings=HEADER_CHECKSUM in metadata)
    known = (ENTRIES_CHECKSUM, HEADER_CHECKSUM, EARLIER_CHECKSUM)
    # models of the first releases carry no checksum of the header
    checksum = next((metadata[name] for name in known if name in metadata), expected)
    if checksum != expected:
        raise CheckpointError(
            f"{HEADER} was changed after the model was saved",
            file=folder / HEADER,
            expected="the file as it was written",
        )
    for name in SETTINGS:
        if name in header:
            header[name] = without_requests(header[name])
    return model


def without_requests(settings: Any) -> Any:
    """Settings of a model without those of `OF_USER`, at any depth.

    >>> without_requests({"encoder": {"download": True, "window": 3}})
    {'encoder': {'download': False, 'window': 3}}
    """
    if isinstance(settings, dict):
        return {
            name: OF_USER.get(name, without_requests(value)) for name, value in settings.items()
        }
    if isinstance(settings, list):
        return [without_requests(value) for value in settings]
    return settings


def without_places(value: Any) -> Any:
    """Replace absolute paths in plain values by file names.

    An exported model should not reveal where files were on the training machine.

    >>> without_places({"split": "/data/mine/folds.tsv", "n": 3})
    {'split': 'folds.tsv', 'n': 3}
    """
    return _with_texts(value, _file_name)


def _file_name(text: str) -> str:
    """Return the name of a file given by its whole path; another text as it is."""
    if PureWindowsPath(text).is_absolute():
        return PureWindowsPath(text).name
    if PurePosixPath(text).is_absolute() or text.startswith(("./", "../", "~")):
        return PurePosixPath(text).name
    return text


def _last_part(text: str) -> str:
    """Return the last part of a path, or of a text like one."""
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1]


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain values with every text changed, at any depth."""
    if isinstance(value, dict):
        return {key: _with_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_texts(item, change) for item in value]
    if isinstance(value, str):
        return change(value)
    return value


def read_header(
    folder: Path, model_format: str, versions: Sequence[int], *, hint: str | None = None
) -> dict[str, Any]:
    """Read ``model.json`` and check its format and version.

    Args:
        folder: holds ``model.json``.
        model_format: expected kind of model.
        versions: format versions that the caller can read.
        hint: what to do where the folder holds no model.

    Raises:
        CheckpointError: no such file, damaged, or of another format or version.
    """
    path = folder / HEADER
    try:
        header = read_json(path)
    except InputError as error:
        if path.exists():
            raise CheckpointError(f"damaged {HEADER}", file=path, found=str(error)) from None
        raise CheckpointError(
            f"not a model folder (no {HEADER})",
            file=folder,
            found=what_is_at(folder, HEADER),
            hint=hint,
        ) from None
    if not isinstance(header, dict) or header.get("format") != model_format:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise CheckpointError(
            "another kind of model", file=path, column="format", found=found, expected=model_format
        )
    if header.get("format_version") not in versions:
        raise CheckpointError(
            "a model of another format version",
            file=path,
            found=f"format_version {header.get('format_version')}",
            expected=f"format_version {', '.join(map(str, versions))}",
            hint=_reader_of(header),
        )
    check_entries(header, ENTRIES, path)
    if WEIGHTS_CHECKSUM not in header:
        raise CheckpointError(f"damaged {HEADER}", file=path, expected=f"entry {WEIGHTS_CHECKSUM}")
    return header


@contextlib.contextmanager
def consistent_files(folder: Path) -> Iterator[None]:
    """Report what does not fit while a model is rebuilt from its files as one CheckpointError."""
    try:
        yield
    except CheckpointError as error:
        if error.file is not None:
            raise
        raise CheckpointError(str(error), file=folder) from None
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        reason = str(error) or type(error).__name__
        raise CheckpointError(
            "the model's files do not fit each other", file=folder, found=reason.splitlines()[0]
        ) from None


def module_arrays(module: torch.nn.Module, prefix: str) -> dict[str, np.ndarray]:
    """Return the weights of a torch module as arrays, names starting with `prefix`."""
    return {f"{prefix}{name}": value.numpy() for name, value in module.state_dict().items()}


def module_weights(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    """Return the arrays whose names start with `prefix` as torch weights without the prefix."""
    import torch  # slow to import, and most readers of run folders need no tensors

    return {
        name.removeprefix(prefix): torch.from_numpy(values)
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def _read_arrays(folder: Path, header: Mapping[str, Any]) -> dict[str, np.ndarray]:
    path = folder / WEIGHTS
    try:
        arrays = load_arrays(path)
    except PermissionError:
        raise CheckpointError("the weights cannot be read (permission denied)", file=path) from None
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError("damaged or missing weights", file=path, found=reason) from None
    checksum = sha256_of(path)
    if checksum != header[WEIGHTS_CHECKSUM]:
        raise CheckpointError(
            f"the weights are not those that {HEADER} describes",
            file=path,
            found=checksum,
            expected=header[WEIGHTS_CHECKSUM],
        )
    return arrays


def _check_equal(
    folder: Path, header: Mapping[str, Any], entry: str, expected: object, message: str
) -> None:
    value = header.get(entry)
    if expected is None or value == expected:
        return
    raise CheckpointError(
        message,
        file=folder / HEADER,
        column=entry,
        found=_listed(value),
        expected=_listed(expected),
    )


def _check_values(model: ModelFile, rna_types: Sequence[str]) -> None:
    """Raise ValueError or TypeError for compartments, thresholds or RNA types that cannot be."""
    for name in model.header.get("types", ()):
        if name not in rna_types:
            raise ValueError(f"unknown type of RNA {name!r}")
    if "compartments" not in model.header:  # a pre-trained encoder
        return
    n_labels = len(model.compartments)
    thresholds = model.thresholds
    if thresholds.shape != (n_labels,) or not np.isfinite(thresholds).all():
        raise ValueError(f"thresholds {thresholds.tolist()} for {n_labels} compartments")


def _entries_checksum(header: Mapping[str, Any]) -> str:
    """sha256 of a header but for its checksum of the tensors, with names in place of paths."""
    entries = {name: value for name, value in header.items() if name != WEIGHTS_CHECKSUM}
    text = json.dumps(_with_texts(entries, _last_part), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _header_checksum(header: Mapping[str, Any], *, with_settings: bool = True) -> str:
    sealed = {name: header[name] for name in SEALED if name in header}
    if with_settings:
        settings = {name: header[name] for name in SETTINGS if name in header}
        sealed |= {name: _with_texts(value, _last_part) for name, value in settings.items()}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()


def _reader_of(header: Mapping[str, Any]) -> str:
    """Say which release reads a model of another format version."""
    versions = header.get("versions")
    release = versions.get("mirnagraph") if isinstance(versions, Mapping) else None
    if release is None:
        return "use the mirnagraph release that wrote it"
    return f"mirnagraph {release} wrote it and reads it"


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
