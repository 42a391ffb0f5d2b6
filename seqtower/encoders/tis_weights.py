"""Weights of the TIS Transformer: the file that ships, and files of users."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from mirnagraph.errors import CheckpointError
from mirnagraph.io import sha256_of
from seqtower.encoders.tis_network import TisTransformer, frequencies

SHIPPED = "tis_grch38_f0.safetensors"
"""File in the folder ``seqtower/weights``; its README says where it comes from."""

SHIPPED_SHA256 = "39b221b4483886b5d52dc15d8e10684d882bf3af5c1e6ba427c4fe6991d76e14"

REINSTALL = "install mirnagraph again"

_OF_A_LAYER = re.compile(r"transformer\.net\.layers\.(\d+)\.([01])\.(.+)")

_FREQUENCIES = "local_attn.rel_pos.inv_freq"
"""Frequencies of the local rotation: a constant of the network, checked and not loaded."""


def weights_file(weights: str) -> Path:
    """Path of the weights that a setting names; ``""`` for the file that ships."""
    if weights:
        return Path(weights).expanduser()
    return Path(str(files("seqtower").joinpath("weights", SHIPPED)))


def weights_sha256(weights: str) -> str:
    """Compute the sha256 of a file of weights, as hex.

    Args:
        weights: path; ``""`` for the file that ships.

    Raises:
        CheckpointError: the file is missing, or the shipped one was cut or changed.
    """
    file = weights_file(weights)
    try:
        status = file.stat()
        digest = _sha256(file, status.st_size, status.st_mtime_ns)
    except OSError:
        raise CheckpointError(
            "the weights of the TIS Transformer are missing",
            file=file,
            expected="a file of its weights as safetensors",
            hint=None if weights else REINSTALL,
        ) from None
    if not weights and digest != SHIPPED_SHA256:
        raise CheckpointError(
            "the weights of the TIS Transformer were changed or cut",
            file=file,
            column="sha256",
            found=digest,
            expected=SHIPPED_SHA256,
            hint=REINSTALL,
        )
    return digest


@lru_cache(maxsize=64)
def _sha256(file: Path, _size: int, _changed: int) -> str:
    return sha256_of(file)


def load_tis(weights: str = "", *, checkpoint: bool = False) -> TisTransformer:
    """Load a new TIS Transformer, in evaluation mode on the CPU; every parameter takes gradients.

    Args:
        weights: path of a file in the format of the shipped one; ``""`` for that one.
        checkpoint: see `TisTransformer`.

    Raises:
        CheckpointError: the file is missing, cut, changed, or that of another network.
    """
    file = weights_file(weights)
    weights_sha256(weights)
    network = TisTransformer(checkpoint=checkpoint)
    network.load_state_dict(_tensors(file, network))
    return network.eval()


def frozen_tis(weights: str = "") -> TisTransformer:
    """Return the TIS Transformer for inference, on a GPU where there is one.

    Loaded once per process and shared: copy it, or use `load_tis`, before training it.

    Raises:
        CheckpointError: see `load_tis`.
    """
    return _frozen(weights, weights_sha256(weights))


@lru_cache(maxsize=2)
def _frozen(weights: str, _sha256: str) -> TisTransformer:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return load_tis(weights).requires_grad_(False).to(device)


def _tensors(file: Path, network: TisTransformer) -> dict[str, Tensor]:
    """Tensors of a file by the names of the network, checked against it."""
    try:
        stored = load(file.read_bytes())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            "not a whole safetensors file",
            file=file,
            found=str(error),
            expected="weights of the TIS Transformer",
        ) from None
    tensors: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if name.endswith(_FREQUENCIES):
            _check(file, name, tensor, frequencies(tensor.numel() * 2))
            if not torch.allclose(tensor, frequencies(tensor.numel() * 2), rtol=1e-4, atol=0):
                raise CheckpointError(
                    "other frequencies of the local rotation than the TIS Transformer's",
                    file=file,
                    column=name,
                    found=tensor.tolist(),
                )
        else:
            tensors[network_name(name)] = tensor
    needed = network.state_dict()
    names = {network_name(name): name for name in stored}
    for name in sorted(tensors.keys() - needed.keys()):
        raise CheckpointError(
            "a tensor that the TIS Transformer does not have",
            file=file,
            column=names[name],
            expected=f"{len(needed)} tensors of known names",
        )
    for name, tensor in needed.items():
        if name not in tensors:
            raise CheckpointError(
                "a tensor of the TIS Transformer is missing", file=file, expected=name
            )
        _check(file, names[name], tensors[name], tensor)
    return tensors


def _check(file: Path, name: str, tensor: Tensor, like: Tensor) -> None:
    """Refuse a tensor of another shape or type than `like`, or one that is not finite."""
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise CheckpointError(
            "a tensor of another size than the TIS Transformer's",
            file=file,
            column=name,
            found=_size(tensor),
            expected=_size(like),
        )
    if not torch.isfinite(tensor).all():
        raise CheckpointError(
            "weights that are not finite", file=file, column=name, expected="finite numbers"
        )


def _size(tensor: Tensor) -> str:
    sizes = " x ".join(str(size) for size in tensor.shape)
    return f"{sizes} {str(tensor.dtype).removeprefix('torch.')}"


def network_name(name: str) -> str:
    """Name in `TisTransformer` of a tensor of the file, whose names are performer-pytorch's.

    >>> network_name("transformer.net.layers.3.0.fn.to_q.weight")
    'layers.3.to_q.weight'
    >>> network_name("transformer.net.layers.3.1.norm.bias")
    'layers.3.norm_2.bias'
    """
    match = _OF_A_LAYER.fullmatch(name)
    if match is None:
        return name
    layer, half, rest = match.groups()
    if rest.startswith("norm."):
        return f"layers.{layer}.norm_{int(half) + 1}.{rest.removeprefix('norm.')}"
    for wrapper in ("fn.", "fn.", "fast_attention."):
        rest = rest.removeprefix(wrapper)
    return f"layers.{layer}.{rest}"
