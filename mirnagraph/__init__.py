"""RNA compartments from miRNA networks and sequences; importing the package loads nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Names are imported when they are used. Types of all names: __init__.pyi.
_WHERE = {
    "CrossValidationResult": "mirnagraph.runs.results",
    "Dataset": "mirnagraph.dataset",
    "Explanation": "fusion.explain.result",
    "Network": "mirnagraph.nodes",
    "NetworkConfig": "mirnagraph.networks.settings",
    "NetworkSet": "mirnagraph.networks.network",
    "NodeIndex": "mirnagraph.nodes",
    "Predictions": "fusion.models.predict",
    "baselines": "fusion.api",
    "build_networks": "mirnagraph.networks.build",
    "cross_validate": "fusion.api",
    "demo_dataset": "mirnagraph.synthetic",
    "describe": "mirnagraph.networks.network",
    "enrich": "fusion.enrichment",
    "explain": "fusion.api",
    "export_run": "fusion.export.export",
    "fit": "fusion.api",
    "load": "fusion.export.load",
    "load_dataset": "mirnagraph.recipes.opening",
    "predict": "fusion.api",
    "summary": "fusion.api",
}

__all__ = sorted([*_WHERE, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'mirnagraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mirnagraph")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
