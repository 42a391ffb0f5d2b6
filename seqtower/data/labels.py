"""Label tables of RNAs, and their join with sequences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.errors import ConfigError, InputError, raise_problems
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS, MULTI_LABEL
from mirnagraph.folder.columns import check_compartments
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.parquet import is_parquet, parquet_columns, read_parquet
from mirnagraph.reading.table import cell_problems as column_problems
from mirnagraph.reading.table import one_of_each_case, read_table, repeated_cells
from mirnagraph.reading.text import is_not_given, plain
from mirnagraph.sources.fasta import ID, SEQUENCE, read_fasta
from seqtower.data.sequences import LEFT_OUT_COLUMNS, RNA_TYPES, SequenceSet, rna_type

SUM_TOLERANCE = 0.01
"""Largest difference from 1 of the sum of the fractions of an RNA."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


SEVERAL = ";"
"""Between the classes of one cell."""

FIELD_END = "|"
"""Between the fields of an id of GENCODE or circBase."""


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Labels by RNA id.

    Attributes:
        values: index id, one float64 column per compartment, NaN where a cell is empty.
        kind: one of `mirnagraph.evaluation.metrics.KINDS`.
        groups: index id, text; None without a column of groups.
        types: index id, one of `seqtower.data.sequences.RNA_TYPES`; None without such a column.
        path: the file.
    """

    values: pd.DataFrame
    kind: str
    groups: pd.Series | None
    types: pd.Series | None = None
    path: str | Path = ""


@checked
def read_labels(
    path: str | Path,
    columns: Sequence[str] = (),
    group: str | None = None,
    rna_types: str | None = None,
) -> LabelTable:
    """Read labels: 0/1 per compartment, one column of class names, or fractions that sum to 1.

    In a column of classes ``NA`` is an empty cell, ``nucleus;cytoplasm`` two compartments, and
    ``Nucleus`` the same as ``nucleus``.

    Args:
        path: table with a header line, columns separated by tabs, else commas, else semicolons;
            ids in the first column, whatever its name. Or a Parquet file with the columns ``id``
            and of labels, whose column ``sequence`` is none.
        columns: label columns; empty for all but the first, `group` and `rna_types`.
        group: column of groups that stay in one fold.
        rna_types: column of RNA types, one of `seqtower.data.sequences.RNA_TYPES` in any capitals.

    Raises:
        InputError: the first 20 of: a duplicated or empty id, a cell that is no number, a negative
            one or one that is not 0/1 where the others are, fractions that do not sum to 1, an
            unknown type, a compartment or class that all RNAs share or none has.
        ConfigError: a missing column.
    """
    path = Path(path)
    given = [name for name in (*columns, group, rna_types) if name is not None]
    if is_parquet(path):
        table = _parquet_cells(path, given if columns else ())
    else:
        table = read_table(path, delimiter=None)
    names = [str(name) for name in table.columns]
    if len(names) < 2:
        raise InputError(
            "a label table needs an id and one label column or more",
            file=path,
            line=1,
            found=", ".join(names),
        )
    special = [name for name in (group, rna_types) if name is not None]
    for name in given:
        if name not in names[1:]:
            raise ConfigError(
                f"{path}: no column {name!r}; columns after the id: {', '.join(names[1:])}"
            )
    label_columns = list(columns) or [name for name in names[1:] if name not in special]
    check_compartments(label_columns, path)
    raise_problems(_id_problems(table, names[0], path))
    types = None if rna_types is None else _types(table[rna_types], path)
    cells = _given(table[label_columns])
    text = _first_text(cells)
    if text is None:
        values = cells.map(lambda cell: float(cell) if cell else np.nan)
        kind = _numeric_kind(values, path)
    elif len(label_columns) == 1:
        values, kind = _classes(cells[label_columns[0]], path)
    else:
        raise _not_a_number(cells, *text, path)
    ids = pd.Index(table[names[0]])
    return LabelTable(
        values.set_axis(ids),
        kind,
        None if group is None else table[group].set_axis(ids),
        None if types is None else types.set_axis(ids),
        path,
    )


def _not_a_number(cells: pd.DataFrame, line: int, column: str, path: Path) -> InputError:
    return InputError(
        "a label is not a number",
        file=path,
        line=line,
        column=column,
        found=cells.at[line, column],
        expected="0, 1 or a fraction",
        hint="name the label columns with --label; a single text column is read as classes",
    )


def _parquet_cells(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Cells of a Parquet file as the texts of a label table; its index holds the rows, from 1.

    Args:
        path: the file.
        columns: to read beside the ids; all others where empty, or where one is not there.
    """
    others = [name for name in parquet_columns(path) if name not in (ID, SEQUENCE)]
    if columns and set(columns) <= set(others):
        others = list(dict.fromkeys(columns))
    cells: dict[str, list[str]] = {name: [] for name in (ID, *others)}
    for part in read_parquet(path, list(cells)):
        for name, values in part.items():
            start = len(cells[name])
            for row, value in enumerate(values, start + 1):
                cells[name].append(_text_of(value, row, name, path))
    table = pd.DataFrame(cells, dtype=object)
    table.index = pd.RangeIndex(1, len(table) + 1, name="line")
    return table


def _text_of(value: Any, row: int, column: str, path: Path) -> str:
    """A cell of a Parquet file as text, empty where it holds nothing."""
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return plain(value).strip()
    if isinstance(value, bool | int | float):
        return str(int(value)) if isinstance(value, bool) else str(value)
    raise InputError(
        "neither a text nor a number",
        file=path,
        line=row,
        column=column,
        found=type(value).__name__,
        hint="name the label columns with --label",
    )


@checked
def join(fasta: str | Path, labels: LabelTable, *, iupac: str = "error") -> SequenceSet:
    """Return the sequences that have a label, in the order of the FASTA file.

    Sequences without a label and labels without a sequence are listed in `left_out`. Where no id is
    in both, ids of GENCODE and circBase (``ENST…|ENSG…|…``) are joined by the field, counted from
    the left, that is unique and in the labels; then that field is the id.

    Args:
        fasta: path of the sequences.
        labels: labels of the same ids.
        iupac: ``"error"`` to refuse ambiguity codes (R, Y, …), ``"n"`` to read them as N.

    Raises:
        InputError: see `mirnagraph.sources.fasta.read_fasta`; no id is in both files; a compartment
            whose labels are all the same where there is a sequence.
    """
    records = _by_field(read_fasta(fasta, iupac=iupac), labels)
    labelled_ids = set(labels.values.index)
    unlabelled = labels.values.index[labels.values.isna().all(axis=1)]
    records_used = records[records["id"].isin(labelled_ids - set(unlabelled))]
    if records_used.empty:
        found = "no record"
        if len(records) and labelled_ids:
            first_record = records["id"].iloc[0]
            first_label = labels.values.index[0]
            found = f"{first_record!r} in the sequences, {first_label!r} in the labels"
        raise InputError("no id is in both the sequences and the labels", file=fasta, found=found)
    sequence_ids = set(records["id"])
    first_cell = labels.values.index.name
    if first_cell in sequence_ids:
        raise InputError(
            "no header: its first line is an RNA with a sequence",
            file=labels.path,
            line=1,
            found=first_cell,
            expected="a line of column names, such as id and the compartments",
        )
    left_out = [(name, "no label") for name in records["id"] if name not in labelled_ids]
    left_out += [(str(name), "every label cell is empty") for name in unlabelled]
    left_out += [
        (str(name), "no sequence") for name in labels.values.index if name not in sequence_ids
    ]
    ids = records_used["id"]
    values = labels.values.loc[ids]
    raise_problems(constant_label_problems(values, labels.path, of="RNAs with a sequence"))
    return SequenceSet(
        NodeIndex.of(ids, "RNA"),
        tuple(records_used["sequence"]),
        values.to_numpy(dtype=np.float64),
        tuple(map(str, values.columns)),
        labels.kind,
        None if labels.groups is None else tuple(labels.groups.loc[ids]),
        pd.DataFrame(left_out, columns=LEFT_OUT_COLUMNS),
        None if labels.types is None else tuple(labels.types.loc[ids]),
    )


def _by_field(records: pd.DataFrame, labels: LabelTable) -> pd.DataFrame:
    """Records named by one field of their ids, where the labels have that field and no whole id."""
    ids = records["id"].astype(str)
    known = set(labels.values.index)
    if ids.isin(known).any() or not ids.str.contains(FIELD_END, regex=False).any():
        return records
    fields = ids.str.split(FIELD_END, expand=True)
    for column in fields.columns:
        field = fields[column].fillna("")
        if field.isin(known).any() and (field != "").all() and field.is_unique:
            return records.assign(id=field)
    return records


def constant_label_problems(
    values: pd.DataFrame, path: str | Path, *, of: str = "RNAs"
) -> list[InputError]:
    """List the compartments whose known labels are all equal: none can be trained or scored.

    Args:
        values: one column per compartment, NaN where unknown.
        path: the file, for the message.
        of: whose labels they are, for the message.
    """
    expected = f"labels that differ between {of} (leave the column out with --label)"
    problems = []
    for column in values.columns:
        different = values[column].dropna().unique()
        if len(different) > 1:
            continue
        found = f"only {different[0]:g}" if len(different) else "no label"
        problems.append(
            InputError(
                "a compartment with one kind of label",
                file=path,
                column=str(column),
                found=found,
                expected=expected,
            )
        )
    return problems


def _id_problems(table: pd.DataFrame, column: str, path: Path) -> list[InputError]:
    ids = table[column]
    empty = [
        InputError("an empty id", file=path, line=line, column=column)
        for line in table.index[ids == ""]
    ]
    duplicated = repeated_cells(
        table[ids != ""], column, "an id is duplicated", path, "each id once"
    )
    return sorted(empty + duplicated, key=lambda problem: problem.line or 0)


def _types(cells: pd.Series, path: Path) -> pd.Series:
    types = cells.map(rna_type)
    is_unknown = types.isna().to_numpy()[:, None]
    expected = f"one of {', '.join(RNA_TYPES)}"
    raise_problems(
        cell_problems("an unknown type of RNA", is_unknown, cells.to_frame(), path, expected)
    )
    return types


def _first_text(cells: pd.DataFrame) -> tuple[int, str] | None:
    """Line and column of the first cell that is neither empty nor a number, column by column."""
    for column in cells.columns:
        for line, cell in cells[column].items():
            if cell and not _NUMBER.fullmatch(cell):
                return int(str(line)), str(column)
    return None


def _given(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with ``NA`` as empty ones in a single column; among several it is an error."""
    return cells.mask(cells.map(is_not_given), "") if cells.shape[1] == 1 else cells


def _classes(cells: pd.Series, path: Path) -> tuple[pd.DataFrame, str]:
    """One 0/1 column per class, NaN where the cell is empty; and the kind of label.

    Where a cell holds several classes, ``nucleus;cytoplasm``, an RNA may be in several.
    """
    parts = [
        ["" if is_not_given(part) else part.strip() for part in cell.split(SEVERAL)]
        for cell in cells
    ]
    one_of = one_of_each_case(part for cell in parts for part in cell)
    classes_of = [{one_of[part] for part in cell} - {""} for cell in parts]
    raise_problems(_joined_classes(cells, set(one_of), path))
    names = sorted(set().union(*classes_of))
    if len(names) < 2:
        raise InputError(
            "every RNA has the same class",
            file=path,
            column=str(cells.name),
            found=names[0] if names else "no class",
            expected="two classes or more",
        )
    check_compartments(names, path)
    rows = [[float(name in classes) for name in names] for classes in classes_of]
    values = pd.DataFrame(rows, columns=names, index=cells.index)
    values[[not classes for classes in classes_of]] = np.nan
    is_several = any(len(classes) > 1 for classes in classes_of)
    return values, MULTI_LABEL if is_several else CLASS


def _joined_classes(cells: pd.Series, classes: set[str], path: Path) -> list[InputError]:
    """Cells that name a class of other cells and more behind a comma, a bar, a slash or a plus."""
    problems = []
    for line, cell in cells.items():
        parts = [part.strip() for part in re.split(r"[,|/+&]", cell)]
        if len(parts) > 1 and classes.intersection(parts):
            problems.append(
                InputError(
                    "several classes in one cell",
                    file=path,
                    line=int(str(line)),
                    column=str(cells.name),
                    found=cell,
                    expected=f"classes separated by {SEVERAL}, as in {SEVERAL.join(parts)}",
                )
            )
    return problems


def _numeric_kind(values: pd.DataFrame, path: Path) -> str:
    """Check numeric labels and return their kind; fractions are scaled in place to sum to 1."""
    is_empty = values.isna()
    if (values.isin([0, 1]) | is_empty).all(axis=None):
        is_gap = is_empty.mul(~is_empty.all(axis=1), axis=0).to_numpy()
        what = "an empty cell in a row with other labels"
        problems = cell_problems(what, is_gap, values, path, "0 or 1")
        raise_problems(problems + constant_label_problems(values, path))
        return MULTI_LABEL
    is_negative = (values < 0).to_numpy()
    problems = cell_problems("negative fraction", is_negative, values, path, "0 or more")
    sums = values.sum(axis=1, skipna=False)
    wrong_sums = sums[(sums - 1).abs() > SUM_TOLERANCE]
    raise_problems([*problems, *_odd_cells(values, wrong_sums.index, path)])
    problems = []
    for line, total in wrong_sums.items():
        problems.append(
            InputError(
                "labels do not sum to 1",
                file=path,
                line=int(str(line)),
                found=f"a sum of {total:.4g}",
                expected="0 and 1 in all columns, or fractions that sum to 1",
            )
        )
    raise_problems(problems)
    values[sums.isna()] = np.nan  # an incomplete distribution cannot be used
    values.update(values.div(values.sum(axis=1).where(sums.notna()), axis=0))
    return FRACTIONS


def _odd_cells(values: pd.DataFrame, lines: pd.Index, path: Path) -> list[InputError]:
    """Cells above 1; or those other than 0 and 1, where nearly all are 0 and 1.

    Args:
        values: numbers, NaN where empty.
        lines: of the rows that do not sum to 1.
        path: the file, for the message.
    """
    is_large = (values > 1 + SUM_TOLERANCE).to_numpy()
    is_share = (~values.isin([0, 1]) & values.notna()).to_numpy()
    is_plain = ~is_share.any(axis=1)
    n_plain = int((values.index.isin(lines) & is_plain).sum())
    expected = "0 and 1 in all columns, or fractions that sum to 1"
    if not is_large.any() and is_share.sum() >= n_plain:
        return []  # fractions, of which rows do not sum to 1
    is_odd = is_large if is_large.any() else is_share
    return cell_problems("a label that is neither 0 nor 1", is_odd, values, path, expected)


def cell_problems(
    what: str, is_wrong: np.ndarray, cells: pd.DataFrame, path: Path, expected: str
) -> list[InputError]:
    """List one error per wrong cell, column by column; an empty cell is not shown.

    Args:
        what: is wrong, for the message.
        is_wrong: shape of `cells`.
        cells: index: 1-based lines of the file.
        path: the file, for the message.
        expected: valid values, for the message.
    """
    problems = []
    shown = cells.astype(object).where(cells.notna(), None)
    for column, is_bad in zip(cells.columns, is_wrong.T, strict=True):
        problems += column_problems(shown, column, is_bad, what, path, expected)
    return problems
