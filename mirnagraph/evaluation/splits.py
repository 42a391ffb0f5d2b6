"""Folds: random, grouped, from a file or column; inner splits of rows."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype

from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError, counted, raise_problems
from mirnagraph.evaluation.balance import balanced_subsets
from mirnagraph.evaluation.trainable import labelled_rows
from mirnagraph.io import cell_problems, read_table, repeated_cells, write_tsv
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.arguments import check_fields, checked
from mirnagraph.reading.arrays import classes, number_array, row_numbers, whole_numbers, zero_one
from mirnagraph.reading.schema import LARGEST_COUNT
from mirnagraph.seeds import child_seed, generator

TRAIN_ONLY = -1

NOT_USED = -2

CLUSTER = "cluster"

DRAWN = ("random", "family", CLUSTER)
"""Splits that are drawn with the seed of a run."""


@dataclass(frozen=True, eq=False)
class Folds:
    """A partition of RNAs into test folds.

    Attributes:
        assigned: index ``rna_id`` (unique), int64 values: 0 … n_folds - 1 is the fold an RNA is
            tested in, -1 is trained on in every fold and never tested. An RNA that is not listed is
            neither trained on nor tested: the protocols on located RNAs list those alone.
        name: how the folds were made, e.g. ``"random"``, ``"family"`` or the name of a protocol.

    Raises:
        InputError: a duplicate RNA, a number below -1, an empty fold between 0 and the highest, no
            tested RNA, or a fold that leaves nothing to train on.
    """

    assigned: pd.Series
    name: str = "folds"

    def __post_init__(self) -> None:
        check_fields(self)
        if not is_integer_dtype(self.assigned.dtype):
            found = str(self.assigned.dtype)
            raise InputError("fold numbers must be whole", found=found, expected="integers")
        values = whole_numbers(self.assigned, "fold")
        index = NodeIndex.of(self.assigned.index, "miRNA")
        ids = pd.Index(index.ids, dtype=object, name="rna_id")
        series = pd.Series(values.astype(np.int64), index=ids, name="fold")
        object.__setattr__(self, "assigned", series)
        if (values < TRAIN_ONLY).any():
            raise InputError(
                "a fold number is below -1",
                found=int(values.min()),
                expected="-1 (trained on, never tested), 0, 1, …",
            )
        present = np.unique(values[values >= 0])
        if not len(present):
            raise InputError(
                "no RNA is tested",
                found=f"{len(values)} RNAs, all with fold -1",
                expected="folds 0, 1, …",
            )
        if len(present) != present[-1] + 1:
            empty = np.setdiff1d(np.arange(len(values) + 1), present)[0]
            raise InputError(
                "a fold has no RNA",
                found=f"no RNA in fold {empty}",
                expected=f"one or more in each of 0 … {present[-1]}",
            )
        if len(present) == 1 and (values >= 0).all():
            raise InputError(
                "a single fold leaves nothing to train on",
                found="every RNA in fold 0",
                expected="a second fold, or RNAs with fold -1",
            )

    @property
    def n_folds(self) -> int:
        """Number of test folds."""
        return int(self.assigned.max()) + 1

    def of_rows(self, index: NodeIndex) -> np.ndarray:
        """Fold of each row of `index`: int64, shape (n_rnas,); -1 trained on only, -2 not used.

        Raises:
            InputError: the folds list an RNA that `index` does not hold.
        """
        fold = np.full(len(index), NOT_USED, dtype=np.int64)
        fold[index.positions(self.assigned.index)] = self.assigned.to_numpy()
        return fold

    @checked
    def rows(self, index: NodeIndex, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Training and test rows of one fold: two sorted int64 arrays that share no row."""
        if not 0 <= fold < self.n_folds:
            raise ConfigError(f"no fold {fold}: there are folds 0 to {self.n_folds - 1}")
        of_row = self.of_rows(index)
        train_rows = np.flatnonzero((of_row != fold) & (of_row != NOT_USED))
        return train_rows, np.flatnonzero(of_row == fold)

    def to_frame(self) -> pd.DataFrame:
        """Columns ``rna_id``, ``fold``, as in a fold file."""
        return self.assigned.reset_index()


@checked
def used_rnas(labels: pd.DataFrame, rnas: str = "all") -> np.ndarray:
    """Mark the RNAs to use: bool, shape (n_rnas,).

    Args:
        labels: 0/1, one row per RNA.
        rnas: ``"all"``, or ``"located"`` for those with at least one compartment.

    Raises:
        ConfigError: `rnas` is something else.
    """
    if rnas not in {"all", "located"}:
        raise ConfigError(f"unknown choice of RNAs {rnas!r}, expected 'all' or 'located'")
    return np.asarray(labels.any(axis=1) | (rnas == "all"))


@checked
def random_folds(labels: pd.DataFrame, n_folds: int, seed: int) -> Folds:
    """Make random folds, stratified by compartment and by having none (iterative stratification).

    The result depends on ids, labels and seed, not on the order of the rows. A compartment with
    fewer RNAs than folds puts at most one into each fold; metrics are undefined in the others.
    Sizes of folds may differ by a few RNAs.

    Args:
        labels: 0/1, index rna_id, one column per compartment, shape (n, n_labels).
        n_folds: 2 … n.
        seed: the run's seed.

    Raises:
        ConfigError: `n_folds` is out of range.
        InputError: a label that is neither 0 nor 1.

    References:
        Sechidis, Tsoumakas, Vlahavas 2011, doi:10.1007/978-3-642-23808-6_10, as implemented in the
        package iterative-stratification.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    check_n_folds(n_folds, len(labels), "RNAs")
    ordered = _by_id(labels)
    state = child_seed(seed, "folds", "random", n_folds) % 2**32
    splitter = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=state)
    # The added column stratifies RNAs without annotation, and lets the package take a single
    # compartment.
    values = _with_unlabelled(ordered)
    fold = np.full(len(ordered), NOT_USED, dtype=np.int64)
    for number, (_, test) in enumerate(splitter.split(values, values)):
        fold[test] = number
    # Stratification may leave a fold empty when there are about as many folds as RNAs.
    if len(np.unique(fold)) < n_folds:
        rng = generator(seed, "folds", "random", n_folds)
        shares = np.full(n_folds, 1 / n_folds)
        fold = balanced_subsets(values, np.arange(len(values)), shares, rng)
    return Folds(pd.Series(fold, index=ordered.index).loc[labels.index], name="random")


@checked
def grouped_folds(labels: pd.DataFrame, groups: pd.Series, n_folds: int, seed: int) -> Folds:
    """Make folds of whole groups, with RNAs and compartments as balanced as groups allow.

    Args:
        labels: 0/1, index rna_id, one column per compartment.
        groups: group of each RNA by rna_id (a family, a sequence cluster); an RNA whose group is
            missing or ``""`` is a group of its own.
        n_folds: 2 … number of groups.
        seed: the run's seed.

    Raises:
        ConfigError: `n_folds` is below 2 or there are fewer groups than folds.
        InputError: an RNA is not in `groups`, or twice; a label that is neither 0 nor 1.
    """
    ordered = _by_id(labels)
    absent = ordered.index.difference(groups.index)
    if len(absent):
        raise InputError(
            "RNAs without a group",
            found=f"{len(absent)}, the first {absent[0]}",
            expected="one group per RNA",
        )
    of_rnas = groups[groups.index.isin(ordered.index)]
    if len(of_rnas) > len(ordered):
        repeated = of_rnas.index[of_rnas.index.duplicated()][0]
        raise InputError(
            "an RNA with two groups", found=str(repeated), expected="one group per RNA"
        )
    codes = group_codes(of_rnas.loc[ordered.index])
    check_n_folds(n_folds, int(codes.max()) + 1 if len(codes) else 0, "groups")
    fold = balanced_subsets(
        _with_unlabelled(ordered),
        codes,
        np.full(n_folds, 1 / n_folds),
        generator(seed, "folds", "grouped", n_folds),
    )
    return Folds(pd.Series(fold, index=ordered.index).loc[labels.index], name="grouped")


@checked
def group_codes(groups: pd.Series) -> np.ndarray:
    """Number groups 0, 1, … in order of first appearance; each missing or blank one apart.

    Returns:
        int64, shape (n,).
    """
    numbers: dict[Hashable, int] = {}
    codes = []
    is_unknown = groups.isna().to_numpy(dtype=bool)
    for row, group in enumerate(groups):
        is_missing = is_unknown[row] or (isinstance(group, str) and not group.strip())
        key: Hashable = ("alone", row) if is_missing else ("group", group)
        codes.append(numbers.setdefault(key, len(numbers)))
    return np.asarray(codes, dtype=np.int64)


@checked
def inner_split(
    train_rows: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | Sequence[str] | None,
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Split the training rows of one fold into rows to fit and validation rows.

    Args:
        train_rows: unique row numbers, shape (n_train,); their order does not matter.
        labels: 0/1 of all RNAs, or NaN where unknown, shape (n_rnas, n_labels); only training rows
            are read.
        groups: group of all RNAs, numbers or texts, shape (n_rnas,), kept whole; None for single
            RNAs.
        fraction: share of validation rows, in (0, 1).
        seed: seed of this fold's step.

    Returns:
        (fit rows, validation rows): sorted, disjoint, none empty, together the training rows;
        labels are balanced.

    Raises:
        ConfigError: `fraction` is out of range.
        InputError: fewer than two rows or groups to split; rows that are no numbers of RNAs.
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"the fraction for early stopping is {fraction!r}, expected a number between 0 and 1"
        )
    values = number_array(labels, "labels")
    rows = np.unique(row_numbers(train_rows, "train_rows", len(values)))
    codes = np.arange(len(rows))
    if groups is not None:
        of_rnas = classes(groups, "groups")
        if len(of_rnas) != len(values):
            found = f"{len(of_rnas)} groups, {len(values)} rows of labels"
            raise InputError("groups and labels do not fit each other", found=found)
        codes = np.unique(of_rnas[rows], return_inverse=True)[1]
    n_groups = len(np.unique(codes))
    if n_groups < 2:
        what = "rows" if groups is None else "groups"
        raise InputError(
            f"too few training {what} to set some aside for early stopping",
            found=n_groups,
            expected="2 or more",
        )
    subset = balanced_subsets(
        _with_unlabelled(pd.DataFrame(np.nan_to_num(values[rows]))),
        codes,
        np.array([1 - fraction, fraction]),
        generator(seed, "inner split"),
    )
    return rows[subset == 0], rows[subset == 1]


@checked
def read_folds(path: str | Path, index: NodeIndex, protocol: str | None = None) -> Folds:
    """Read a fold file.

    A TSV with the columns ``rna_id``, ``fold`` and, where it holds several protocols, ``protocol``.

    Args:
        path: the file.
        index: the RNAs of the dataset; every id of the protocol must be among them.
        protocol: which of the file's protocols; may be left out where there is only one.

    Raises:
        InputError: unknown or repeated id, or a fold that is not an integer of -1 or more:
            names file, line and column.
        ConfigError: the file holds several protocols and none is named, or not the named one.
    """
    table = read_table(path, ["rna_id", "fold"])
    names = list(dict.fromkeys(table["protocol"])) if "protocol" in table.columns else []
    if protocol is not None and protocol not in names:
        known = ", ".join(names) or "no column protocol"
        raise ConfigError(f"{path} has no protocol {protocol!r}; it holds {known}")
    if protocol is None and len(names) > 1:
        raise ConfigError(f"{path} holds several protocols, name one of them: {', '.join(names)}")
    name = Path(path).stem
    if names:
        name = protocol or names[0]
        table = table[table["protocol"] == name]
    raise_problems(_fold_problems(table, index, path), by_line=True)
    fold = table["fold"].astype(np.int64).to_numpy()
    try:
        return Folds(pd.Series(fold, index=list(table["rna_id"])), name=name)
    except InputError as error:
        raise InputError(
            error.what, file=path, column="fold", found=error.found, expected=error.expected
        ) from None


def _fold_problems(table: pd.DataFrame, index: NodeIndex, path: str | Path) -> list[InputError]:
    is_unknown = ~table["rna_id"].isin(index.ids) & ~table["rna_id"].duplicated()
    is_wrong = ~table["fold"].str.strip().str.fullmatch("-1|[0-9]{1,9}")
    twice = "an RNA is in more than one fold"
    return [
        *repeated_cells(table, "rna_id", twice, path, "each RNA once"),
        *cell_problems(table, "rna_id", is_unknown, "unknown RNA", path, "an id of the dataset"),
        *cell_problems(table, "fold", is_wrong, "not a fold number", path, "-1, 0, 1, 2, …"),
    ]


@checked
def column_folds(dataset: Dataset, column: str) -> Folds:
    """Read folds from a column of the RNA table, such as those of a publication.

    Args:
        dataset: with the column.
        column: holds a whole number for every RNA: 1 or more for the fold it is tested in, below 1
            for an RNA that is trained on in every fold and never tested. Folds are numbered from 0
            in ascending order.

    Raises:
        ConfigError: the dataset lacks the column.
        InputError: a cell that is not a whole number, or fewer than two folds.
    """
    if column not in dataset.rnas.columns:
        raise ConfigError(
            f"dataset {dataset.name!r} has no column {column!r} with folds; columns: "
            f"{', '.join(map(str, dataset.rnas.columns))}"
        )
    cells = dataset.rnas[column]
    numbers = pd.to_numeric(cells, errors="coerce")
    is_wrong = (numbers.isna() | (numbers % 1 != 0) | (numbers.abs() > LARGEST_COUNT)).to_numpy()
    where = f"dataset {dataset.name!r}"
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise InputError(
            f"not a fold number of {dataset.index.ids[row]}",
            file=where,
            column=column,
            found=str(cells.iloc[row])[:40],
            expected="1, 2, … for a fold, below 1 for training only",
        )
    published = numbers.to_numpy(dtype=np.int64)
    present = np.unique(published[published >= 1])
    if len(present) < 2:
        raise InputError(
            "too few folds", file=where, column=column, found=len(present), expected="2 or more"
        )
    fold = np.where(published >= 1, np.searchsorted(present, published), TRAIN_ONLY)
    return Folds(pd.Series(fold, index=dataset.rnas.index), name=column)


@checked
def write_folds(folds: Folds, path: str | Path) -> None:
    """Write a fold file that `read_folds` reads back equal, atomically."""
    write_tsv(folds.to_frame(), path)


@checked
def make_folds(
    dataset: Dataset,
    split: str = "random",
    *,
    n_folds: int = 10,
    seed: int = 0,
    rnas: str = "all",
    protocol: str | None = None,
    clusters: pd.Series | None = None,
) -> Folds:
    """Make folds as named on the command line.

    Args:
        dataset: RNAs, labels and, for ``"family"``, families.
        split: ``"random"``, ``"family"`` (column ``family`` of the RNA table), ``"cluster"``,
            another column of the RNA table with folds (see `column_folds`), or the path of a fold
            file.
        n_folds: number of folds; not read with a fold file.
        seed: the run's seed; not read with a fold file.
        rnas: ``"all"`` or ``"located"``; with a file, ``"located"`` leaves out its RNAs without
            compartment, unless they are known to be in none (`trainable.labelled_rows`).
        protocol: name of a protocol in the file.
        clusters: cluster of near-duplicate sequences of each RNA by rna_id, for ``"cluster"``.

    Raises:
        ConfigError: an unknown choice, ``"family"`` for a dataset without that column, or
            ``"cluster"`` without `clusters`.
        InputError: no such file; see `read_folds` and `column_folds`.
    """
    is_used = used_rnas(dataset.labels, rnas) | labelled_rows(dataset)
    is_column = names_column(dataset, split)
    if split not in DRAWN and not is_column:
        _check_is_file(split, dataset)
        folds = read_folds(split, dataset.index, protocol)
        rows = dataset.index.positions(folds.assigned.index)
        return Folds(folds.assigned[is_used[rows]], name=folds.name)
    if protocol is not None:
        raise ConfigError(
            f"a protocol ({protocol!r}) needs a fold file; it cannot be named with split {split!r}"
        )
    if is_column:
        folds = column_folds(dataset, split)
        return Folds(folds.assigned[is_used], name=folds.name)
    labels = dataset.labels[is_used]
    if split == "random":
        return random_folds(labels, n_folds, seed)
    if split == CLUSTER:
        if clusters is None:
            raise ConfigError("the split 'cluster' needs clusters of the sequences")
        folds = grouped_folds(labels, clusters, n_folds, seed)
        return Folds(folds.assigned, name=CLUSTER)
    if "family" not in dataset.rnas.columns:
        raise ConfigError(
            f"dataset {dataset.name!r} has no column 'family', which the split 'family' needs; "
            "use 'random' or a fold file"
        )
    folds = grouped_folds(labels, dataset.rnas["family"], n_folds, seed)
    return Folds(folds.assigned, name="family")


def _check_is_file(split: str, dataset: Dataset) -> None:
    """Raise InputError for a split that is no file, with the choice that is nearest to it."""
    if os.path.lexists(split):
        return
    near = get_close_matches(split, [*DRAWN, *dataset.rnas.columns], n=1)
    choices = f"{', '.join(DRAWN)}, a column of the RNA table, or a fold file"
    hint = f"did you mean {near[0]!r}?" if near else None
    raise InputError("no such file", file=split, expected=choices, hint=hint)


@checked
def names_column(dataset: Dataset, split: str) -> bool:
    """Whether a split is the name of a column of the RNA table, and of no file."""
    if split in DRAWN or split not in dataset.rnas.columns:
        return False
    return not Path(split).is_file()


def _by_id(labels: pd.DataFrame) -> pd.DataFrame:
    NodeIndex.of(labels.index, "miRNA")
    return labels.sort_index()


def _with_unlabelled(labels: pd.DataFrame) -> np.ndarray:
    """Labels 0/1, checked, and whether an RNA has none: int64, shape (n, n_labels + 1)."""
    values = zero_one(labels, "labels", 2)
    return np.column_stack([values, ~values.any(axis=1)]).astype(np.int64)


def check_n_folds(n_folds: int, most: int, what: str) -> None:
    """Raise ConfigError unless folds can be made from this number of RNAs or groups.

    Args:
        n_folds: number of folds.
        most: largest number of folds.
        what: is put into folds, for the message.
    """
    if not 2 <= n_folds <= most:
        asked = counted(n_folds, "fold")
        raise ConfigError(f"{asked} cannot be made from {most} {what}, expected 2 to {most} folds")
