"""Whether a model can be trained on the labels of a dataset."""

from __future__ import annotations

import numpy as np

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError, counted

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


def require_trainable(dataset: Dataset) -> None:
    """Refuse a dataset without labels, or whose labelled RNAs are all of one class.

    An RNA without any label is unknown, not negative: a dataset of positives only, such as miRNAs
    seen in vesicles, has nothing to tell them from. Of one compartment, RNAs known not to be there
    are those that `labelled_rows` marks.

    Raises:
        InputError: in one sentence, with the compartment.
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
    if ((n_positive > 0) & (n_positive < len(located))).any():
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
