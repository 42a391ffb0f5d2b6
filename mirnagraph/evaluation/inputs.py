"""Checks of labels, predictions and thresholds before they are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, counted
from mirnagraph.reading.arrays import check_same_shape, finite_vector, number_array


def check_predictions(
    true: np.ndarray,
    probabilities: np.ndarray,
    fold: np.ndarray,
    thresholds: np.ndarray,
    names: Sequence[str],
    reserved: Sequence[str],
) -> None:
    """Refuse labels and predictions that cannot be scored.

    Args:
        true: 0/1, NaN where unknown, shape (n, n_labels).
        probabilities: same shape; read where an RNA was tested.
        fold: test fold of each RNA, shape (n,), below 0 where it was not tested.
        thresholds: shape (n_labels,) or (n, n_labels); read where an RNA was tested.
        names: of the compartments.
        reserved: names that none of them may have.

    Raises:
        InputError: in one sentence.
    """
    _check_shapes(true, probabilities, fold, "labels and probabilities")
    if thresholds.shape not in {(true.shape[1],), true.shape}:
        raise InputError(
            "thresholds do not fit the compartments",
            found=thresholds.shape,
            expected=f"{(true.shape[1],)} or {true.shape}",
        )
    is_unique = len(names) == true.shape[1] == len(set(names))
    if not is_unique or set(reserved) & set(names):
        others = " or ".join(map(repr, reserved))
        expected = f"{true.shape[1]} different names, none of them {others}"
        raise InputError("compartment names do not fit", found=", ".join(names), expected=expected)
    if not (np.isin(true, (0, 1)) | np.isnan(true.astype(float))).all():
        raise InputError("labels must be 0 or 1 (NaN where unknown)")
    is_tested = fold >= 0
    if not is_tested.any():
        raise InputError(
            "no RNA was tested",
            found=f"{len(true)} RNAs without a test fold",
            expected="folds 0, 1, …",
        )
    is_bad = ~((probabilities >= 0) & (probabilities <= 1)) & is_tested[:, None]
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise InputError(
            f"not a probability (row {row})",
            column=names[column],
            found=probabilities[row, column],
            expected="a number in [0, 1]",
        )
    tested = np.broadcast_to(thresholds, true.shape)[is_tested]
    if np.isnan(tested).any():
        row, column = np.argwhere(np.isnan(tested))[0]
        raise InputError(
            f"a threshold is missing (tested RNA {row})", column=names[column], expected="a number"
        )


def _check_shapes(true: np.ndarray, predicted: np.ndarray, fold: np.ndarray, what: str) -> None:
    if true.ndim != 2 or predicted.shape != true.shape:
        raise InputError(
            f"{what} do not fit each other",
            found=f"{true.shape} and {predicted.shape}",
            expected="(n, n_labels) twice",
        )
    if fold.shape != (len(true),):
        raise InputError("one fold per RNA is needed", found=fold.shape, expected=(len(true),))


def popularity_classes(decile: np.ndarray, n: int) -> np.ndarray:
    """Read the popularity class of each of n RNAs: float64, shape (n,).

    Raises:
        InputError: another number of classes, or one that is missing.
    """
    if np.shape(decile) != (n,):
        raise InputError(
            "one popularity class per RNA is needed", found=np.shape(decile), expected=(n,)
        )
    return finite_vector(decile, "decile")


def check_fractions(
    true: np.ndarray, predicted: np.ndarray, fold: np.ndarray, names: Sequence[str]
) -> None:
    """Refuse fractions that cannot be correlated.

    Args:
        true: measured, NaN where unknown, shape (n, n_labels).
        predicted: same shape; finite where an RNA was tested.
        fold: shape (n,), below 0 where an RNA was not tested.
        names: of the compartments.

    Raises:
        InputError: in one sentence.
    """
    _check_shapes(true, predicted, fold, "measured and predicted fractions")
    if not len(names) == true.shape[1] == len(set(names)):
        found = ", ".join(names)
        expected = f"{true.shape[1]} different names"
        raise InputError("compartment names do not fit", found=found, expected=expected)
    if not (fold >= 0).any():
        found = f"{len(true)} RNAs without a test fold"
        raise InputError("no RNA was tested", found=found, expected="folds 0, 1, …")
    is_bad = np.isinf(true) | (~np.isfinite(predicted) & (fold >= 0)[:, None])
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise InputError(
            f"a fraction is not finite (row {row})",
            column=names[column],
            found=f"{true[row, column]} and {predicted[row, column]}",
            expected="numbers; NaN where a measured one is unknown",
        )


def of_each_group(
    true: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    thresholds: Mapping[str, np.ndarray],
    groups: Sequence[str],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Predictions and thresholds of several models, of the shape of the labels.

    Args:
        true: labels, shape (n, n_labels).
        predictions: model name -> same shape.
        thresholds: model name -> same shape, or (n_labels,); 0.5 for models that are not given.
        groups: group of each RNA.

    Raises:
        InputError: other shapes, or thresholds of a model without predictions.
    """
    if true.ndim != 2 or len(groups) != len(true):
        found = f"{true.shape} and {len(groups)} groups"
        expected = "(n, n_labels) and one group per RNA"
        raise InputError("labels and groups do not fit each other", found=found, expected=expected)
    unknown = [name for name in thresholds if name not in predictions]
    if unknown:
        raise InputError("thresholds of a model without predictions", found=unknown[0])
    models = {}
    for name, values in predictions.items():
        numbers = number_array(values, f"predictions of {name}")
        check_same_shape(numbers, f"predictions of {name}", true, "true")
        cuts = number_array(thresholds.get(name, 0.5), f"thresholds of {name}")
        if cuts.shape not in {(), true.shape[1:], true.shape}:
            raise InputError(
                f"thresholds of {name} do not fit the labels",
                found=cuts.shape,
                expected=f"{true.shape[1:]} or {true.shape}",
            )
        models[name] = (numbers, np.broadcast_to(cuts, true.shape))
    return models


def by_rna(table: pd.DataFrame, names: list[str], which: str) -> pd.DataFrame:
    """Check a prediction table, and return it with the index ``rna_id``.

    Args:
        table: columns ``rna_id``, ``fold``, one per compartment.
        names: of the compartments.
        which: table it is, for the message.

    Raises:
        InputError: a missing column, no row, an RNA twice, or a value that is no number.
    """
    missing = [name for name in ["rna_id", "fold", *names] if name not in table.columns]
    if missing:
        raise InputError(
            f"the {which} predictions lack a column",
            column=missing[0],
            found=", ".join(map(str, table.columns)),
        )
    is_repeated = table["rna_id"].duplicated()
    if is_repeated.any():
        raise InputError(
            f"the {which} predictions hold an RNA twice",
            column="rna_id",
            found=str(table.loc[is_repeated, "rna_id"].iloc[0]),
            expected="each RNA once",
        )
    if table.empty:
        raise InputError(f"the {which} predictions are empty", expected="one row per RNA")
    is_bad = ~np.isfinite(number_array(table[names], f"{which} predictions"))
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise InputError(
            f"the {which} predictions lack a number for {table['rna_id'].iloc[row]}",
            column=names[column],
            expected="a probability",
        )
    return table.set_index("rna_id")


def check_same_rnas(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Raise InputError unless two tables with index ``rna_id`` hold the same RNAs."""
    for table, other, which in ((first, second, "second"), (second, first, "first")):
        absent = table.index.difference(other.index)
        if len(absent):
            n_absent = counted(len(absent), "RNA")
            raise InputError(
                f"the two models predict different RNAs: {n_absent} not in the {which}",
                found=str(absent[0]),
                expected="the same RNAs in both",
            )
