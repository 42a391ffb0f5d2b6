"""Finished folds of a run: kept as each ends, so that a killed run trains none of them again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.files import write_folder


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One fold.

    Attributes:
        fold: its number.
        rows: rows that were tested: int64, shape (n_test,).
        probabilities: shape (n_test, n_labels), in [0, 1].
        parts: name of each part of the model (``"attention"``, ``"extra_trees"`` …) -> its own probabilities, same shape.
        uncertainty: SD of the probabilities over the ensemble, same shape; None where it was not asked for.
        choices: what was chosen inside the training part (weights, epochs, thresholds), as plain values.
        seconds: wall-clock time.
    """

    fold: int
    rows: np.ndarray
    probabilities: np.ndarray
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    uncertainty: np.ndarray | None = None
    choices: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def _fold_path(folder: Path, fold: int) -> Path:
    return folder / "folds" / f"fold_{fold:02d}"


def saved_folds(folder: Path, n_folds: int) -> list[int]:
    """Numbers of the finished folds in a run folder."""
    return [fold for fold in range(n_folds) if _fold_path(folder, fold).is_dir()]


def save_fold(folder: Path, result: FoldResult) -> None:
    """Keep a finished fold in a run folder, all or nothing."""
    with write_folder(_fold_path(folder, result.fold)) as out:
        about = {"fold": result.fold, "rows": result.rows.tolist(), "choices": result.choices, "seconds": result.seconds, "parts": list(result.parts)}
        (out / "fold.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
        table = {"model": result.probabilities, **result.parts}
        if result.uncertainty is not None:
            table["uncertainty"] = result.uncertainty
        for name, values in table.items():
            pd.DataFrame(values).rename(columns=str).to_parquet(out / f"{name}.parquet")


def load_fold(folder: Path, fold: int) -> FoldResult:
    """Read a fold that `save_fold` kept; raises InputError where it is damaged."""
    path = _fold_path(folder, fold)
    try:
        about = json.loads((path / "fold.json").read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(path / f"{name}.parquet").to_numpy() for name in ("model", *about["parts"])}
        spread = pd.read_parquet(path / "uncertainty.parquet").to_numpy() if (path / "uncertainty.parquet").is_file() else None
        return FoldResult(fold, np.asarray(about["rows"], dtype=np.int64), tables.pop("model"), tables, spread, about["choices"], about["seconds"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError("a finished fold is damaged", file=path, found=str(error), hint="delete its folder and run the command again") from None
