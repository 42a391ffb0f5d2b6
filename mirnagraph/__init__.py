"""mirnagraph: miRNA networks, their embeddings, and honest evaluation; importing it loads nothing heavy."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("mirnagraph")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

# Names are looked up when they are used: the towers stand above this package, and are reached from here in no other way.
_WHERE = {
    "Dataset": "mirnagraph.dataset",
    "NodeIndex": "mirnagraph.nodes",
    "Network": "mirnagraph.networks.network",
    "NetworkSet": "mirnagraph.networks.network",
    "NetworkConfig": "mirnagraph.networks.build",
    "build_networks": "mirnagraph.networks.build",
    "describe": "mirnagraph.networks.network",
    "demo_dataset": "mirnagraph.synthetic",
    "load_dataset": "mirnagraph.sources",
    "CrossValidationResult": "mirnagraph.runs.results",
    "Explanation": "fusion.explain.result",
    "Predictions": "fusion.models.predict",
    "baselines": "fusion.api",
    "cross_validate": "fusion.api",
    "explain": "fusion.api",
    "export_run": "fusion.export.export",
    "fit": "fusion.api",
    "load": "fusion.export.load",
    "predict": "fusion.api",
    "summary": "fusion.api",
}
__all__ = [
    "CrossValidationResult",
    "Dataset",
    "Explanation",
    "Network",
    "NetworkConfig",
    "NetworkSet",
    "NodeIndex",
    "Predictions",
    "__version__",
    "baselines",
    "build_networks",
    "cross_validate",
    "demo_dataset",
    "describe",
    "explain",
    "export_run",
    "fit",
    "load",
    "load_dataset",
    "predict",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'mirnagraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
