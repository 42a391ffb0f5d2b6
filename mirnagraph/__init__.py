"""mirnagraph: miRNA networks, their embeddings, and honest evaluation; importing it loads nothing heavy."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("mirnagraph")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_WHERE = {
    "Dataset": "mirnagraph.dataset",
    "NodeIndex": "mirnagraph.nodes",
    "Network": "mirnagraph.networks.types",
    "NetworkSet": "mirnagraph.networks.types",
    "NetworkConfig": "mirnagraph.networks.build",
    "build_networks": "mirnagraph.networks.build",
}
__all__ = ["Dataset", "Network", "NetworkConfig", "NetworkSet", "NodeIndex", "__version__", "build_networks"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'mirnagraph' has no attribute {name!r}")
