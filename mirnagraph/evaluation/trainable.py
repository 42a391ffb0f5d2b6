"""Whether a model can be trained on the labels of a dataset, and of the RNAs of a fold."""

from __future__ import annotations

import warnings

import numpy as np

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError, counted
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.arrays import number_array, whole_numbers

LABELS_KNOWN = "labels_known"
"""Column of the RNA table: ``yes`` where the labels of an RNA are known, also where all are 0."""

YES = "yes"


def labelled_rows(dataset: Dataset) -> np.ndarray:
    """Mark the RNAs whose labels are known: bool, shape (n_rnas,).

    These are the RNAs of at least one compartment, and those with ``yes`` in `LABELS_KNOWN`.
    """
    located = dataset.located
    if LABELS_KNOWN not in dataset.rnas.columns:
        return located
    return located | (dataset.rnas[LABELS_KNOWN] == YES).to_numpy()


class UntrainableWarning(UserWarning):
    """A compartment has one label among all labelled RNAs."""


def is_trainable(dataset: Dataset) -> bool:
    """Whether some compartment has RNAs in it and RNAs known to be outside."""
    labels = dataset.labels[labelled_rows(dataset)]
    n_positive = labels.sum()
    return bool(((n_positive > 0) & (n_positive < len(labels))).any())


def require_trainable(dataset: Dataset) -> None:
    """Refuse a dataset without labels, or whose labelled RNAs are all of one class.

    An RNA without any label is unknown, not negative: a dataset of positives only, such as miRNAs
    seen in vesicles, has nothing to tell them from. Of one compartment, RNAs known not to be there
    are those that `labelled_rows` marks.

    Raises:
        InputError: in one sentence, with the compartment.

    Warns:
        UntrainableWarning: some compartments, but not all, have one label only.
    """
    where = f"dataset {dataset.name!r}"
    located = dataset.labels[labelled_rows(dataset)]
    if not len(dataset.compartments) or not dataset.located.any():
        raise InputError(
            "no RNA has a label, so it can be predicted on, not trained on",
            file=where,
            found=counted(len(dataset.compartments), "compartment"),
            expected="labels of two compartments or more",
        )
    n_positive = located.sum()
    is_trainable = (n_positive > 0) & (n_positive < len(located))
    if is_trainable.any():
        if not is_trainable.all():
            names = ", ".join(map(str, n_positive.index[~is_trainable]))
            warnings.warn(
                f"{where}: no labelled RNA is in, or none is outside of, {names}: such a "
                "compartment is neither trained nor scored",
                UntrainableWarning,
                stacklevel=2,
            )
        return
    name = str(n_positive.idxmax())
    raise InputError(
        f"compartment {name!r} has one class: every RNA with a label is in it, so the dataset "
        "can be predicted on, not trained on",
        file=where,
        found=f"{n_positive[name]} of {len(located)} labelled RNAs",
        expected="RNAs that are known to be elsewhere: by a label of another compartment, or by "
        f"{YES} in a column {LABELS_KNOWN} of rnas.tsv",
    )


@checked
def is_trained(true: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Whether a compartment had both labels among the training RNAs of the fold that tests an RNA.

    Without both a model learns nothing of the compartment, and its scores there are chance.

    Args:
        true: 0/1, NaN where unknown, shape (n, n_labels), of all RNAs of the cross-validation.
        fold: test fold of each RNA, shape (n,); RNAs of fold -1 are trained on in all folds, those
            of lower numbers in none.

    Returns:
        bool, shape (n, n_labels). All True where no fold has any training RNA in `true`.

    Raises:
        InputError: shapes that do not fit, or a fold that is no whole number.
    """
    labels = number_array(true, "true")
    fold = whole_numbers(fold, "fold")
    if labels.ndim != 2 or fold.shape != labels.shape[:1]:
        raise InputError(
            "labels and folds do not fit each other",
            found=f"{labels.shape} and {fold.shape}",
            expected="(n, n_labels) and (n,)",
        )
    result = np.ones(labels.shape, dtype=bool)
    for number in np.unique(fold[fold >= 0]):
        training = labels[(fold != number) & (fold >= -1)]
        if len(training):
            result[fold == number] = (training == 1).any(axis=0) & (training == 0).any(axis=0)
    return result
