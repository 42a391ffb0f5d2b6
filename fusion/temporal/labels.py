"""Labels of an earlier release, and labels joined over the ids of one molecule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.tokens.builders import shared_sequence, texts
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.folder.columns import label_columns
from mirnagraph.reading.schema import check_table
from mirnagraph.reading.table import read_table

ID = "id"
MOLECULE = "molecule"

LABELS_BY = (ID, MOLECULE)


@dataclass(frozen=True, eq=False)
class EarlierLabels:
    """Labels of an earlier release for the RNAs of a dataset.

    Attributes:
        labels: int8 0/1, index and columns as those of the dataset's labels.
        n_absent: number of RNAs without a line in the table; their rows are zero.
    """

    labels: pd.DataFrame
    n_absent: int


def read_earlier(path: str | Path, dataset: Dataset) -> EarlierLabels:
    """Read a table of earlier labels: ``rna_id`` and the dataset's compartments, 0/1.

    Args:
        path: TSV, as of ``mirnagraph read-labels``.
        dataset: the RNAs and compartments; RNAs without a line are unlabelled.

    Raises:
        InputError: a missing or additional column, an unknown or duplicate id, a cell that is
            neither 0 nor 1, no label at all, or no pair without one that the dataset has labelled.
    """
    names = dataset.compartments
    table = read_table(path, ["rna_id", *names])
    more = [str(name) for name in table.columns if name not in ("rna_id", *names)]
    if more:
        raise InputError(
            "a column that is no compartment of the dataset",
            file=path,
            line=1,
            column=more[0],
            expected=", ".join(names),
        )
    columns = label_columns(names, "the dataset")
    table = check_table(table, columns, path, {"the dataset": dataset.rnas.index})
    listed = table.set_index("rna_id")[names]
    labels = listed.reindex(dataset.labels.index, fill_value=0).astype(np.int8)
    if not labels.to_numpy().any():
        raise InputError("no label in the table", file=path, expected="one cell with 1 or more")
    is_later = (labels.to_numpy() == 0) & (dataset.labels.to_numpy() == 1)
    if not is_later.any():
        raise InputError(
            "the dataset has no label that the table lacks",
            file=path,
            found="nothing to score",
            expected="labels of an earlier release",
        )
    return EarlierLabels(labels, len(dataset.index) - len(listed))


def with_labels(dataset: Dataset, labels: pd.DataFrame, labels_by: str = ID) -> Dataset:
    """Replace the labels of a dataset.

    Args:
        dataset: the RNAs.
        labels: index and columns as those of the dataset's labels.
        labels_by: ``"molecule"`` to join them (see `join_molecules`), ``"id"`` to take them as
            they are.

    Raises:
        ConfigError: another `labels_by`.
    """
    if labels_by not in LABELS_BY:
        expected = " or ".join(LABELS_BY)
        raise ConfigError(f"labels by {labels_by!r}; expected {expected}")
    if labels_by == MOLECULE:
        labels = join_molecules(labels, dataset)
    return replace(dataset, labels=labels)


def join_molecules(labels: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Give every id the labels of all ids that share a mature sequence with it.

    Sharing is not passed on: of ids a, b and c, where a and b share one mature and b and c another,
    a gets no label of c.

    Args:
        labels: 0/1, index and columns as those of the dataset's labels.
        dataset: its column ``matures``; ids without matures keep their labels.
    """
    is_shared = shared_sequence(texts(dataset, "matures"))
    values = labels.to_numpy(dtype=float)
    joined = (values + is_shared @ values > 0).astype(np.int8)
    return pd.DataFrame(joined, index=labels.index, columns=labels.columns)
