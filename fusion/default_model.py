"""Which model a command opens where none is named: the newest run, or the one that ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusion.explain.ranking import finished_runs
from fusion.export.load import SHIPPED
from mirnagraph.runs.run_file import read_run_json

SYNTHETIC_NAME = "syn-"
"""Start of the names of synthetic RNAs."""


def default_model(
    names: Sequence[str] | None = None, *, sequences: bool = False, model: str | None = None
) -> Path:
    """Choose the newest finished run under ``./runs``, else the model that ships.

    A run on synthetic data, such as the demo, answers neither names of real RNAs nor sequences:
    these go to the model that ships.

    Args:
        names: that are asked; None for none.
        sequences: whether sequences are asked.
        model: see `fusion.explain.ranking.finished_runs`.

    Returns:
        A run folder, or `SHIPPED`.

    Raises:
        InputError: a ``run.json`` is damaged.
    """
    runs = finished_runs(model=model)
    if not runs:
        return Path(SHIPPED)
    is_synthetic = bool(read_run_json(runs[-1]).get("synthetic"))
    is_real = names is not None and not any(name.startswith(SYNTHETIC_NAME) for name in names)
    if is_synthetic and (sequences or (names and is_real)):
        return Path(SHIPPED)
    return runs[-1]
