"""Labels that a compartment lacks among all RNAs, or among the training RNAs of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import NOT_USED, Folds
from mirnagraph.nodes import NodeIndex

SAME = 1e-9
"""Largest difference of fractions that count as equal."""


@dataclass(frozen=True)
class Gap:
    """A compartment that cannot be learned in a fold.

    Attributes:
        fold: number of the fold.
        compartment: its name.
        label: the only label of the training RNAs; None where none is known.
    """

    fold: int
    compartment: str
    label: float | None


def check_labels(labels: np.ndarray, compartments: Sequence[str]) -> None:
    """Refuse labels of which no compartment can be learned.

    Args:
        labels: of all RNAs, NaN where unknown, shape (n, n_labels).
        compartments: names of the columns.

    Raises:
        InputError: in each compartment, all known labels are equal.
    """
    constant = constant_columns(labels)
    if len(constant) == len(compartments):
        raise InputError(
            "no compartment has labels that differ between RNAs",
            found=_found(constant, compartments),
            expected="RNAs with and without a compartment, or of two classes",
        )


def fold_gaps(
    labels: np.ndarray, compartments: Sequence[str], folds: Folds, index: NodeIndex
) -> list[Gap]:
    """List the compartments that cannot be learned from the training RNAs of a fold.

    Args:
        labels: of all RNAs, NaN where unknown, shape (n, n_labels).
        compartments: names of the columns.
        folds: of the RNAs.
        index: the RNAs, in the order of `labels`.

    Raises:
        InputError: a fold in which no compartment can be learned.
    """
    of_row = folds.of_rows(index)
    gaps = []
    for fold in range(folds.n_folds):
        constant = constant_columns(labels[(of_row != fold) & (of_row != NOT_USED)])
        if len(constant) == len(compartments):
            raise InputError(
                f"the training RNAs of fold {fold} have nothing to learn from",
                found=_found(constant, compartments),
                expected="labels that differ between them",
                hint="use other groups (--group) or another number of folds (--fold)",
            )
        gaps += [Gap(fold, compartments[column], label) for column, label in constant.items()]
    return gaps


def constant_columns(labels: np.ndarray) -> dict[int, float | None]:
    """Columns whose known labels are all equal -> that label; None where none is known.

    Args:
        labels: NaN where unknown, shape (n, n_labels).
    """
    constant: dict[int, float | None] = {}
    for column, values in enumerate(np.asarray(labels, dtype=float).T):
        known = values[~np.isnan(values)]
        if not len(known):
            constant[column] = None
        elif np.ptp(known) < SAME:
            constant[column] = float(known[0])
    return constant


def gap_sentences(gaps: Sequence[Gap]) -> list[str]:
    """One sentence per compartment and label on the folds in which it cannot be learned."""
    folds: dict[tuple[str, float | None], list[str]] = {}
    for gap in gaps:
        folds.setdefault((gap.compartment, gap.label), []).append(str(gap.fold))
    sentences = []
    for (compartment, label), numbers in folds.items():
        plural = "s" if len(numbers) > 1 else ""
        where = f"fold{plural} {', '.join(numbers)}"
        sentences.append(
            f"{compartment} cannot be learned in {where}, whose training RNAs have {_only(label)}: "
            "there its predictions carry no information."
        )
    return sentences


def _found(constant: dict[int, float | None], compartments: Sequence[str]) -> str:
    return ", ".join(f"{compartments[c]}: {_only(label)}" for c, label in constant.items())


def _only(label: float | None) -> str:
    return "no known label" if label is None else f"only the label {label:g}"
