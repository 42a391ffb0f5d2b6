"""Text cells that a spreadsheet would take for a formula, and back."""

from __future__ import annotations

import re

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet takes for a formula."""

_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guard_cell(cell: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula.

    A number and a single sign stay as they are. A text that begins so already gets one more, so
    that `plain_cell` gives back every text.

    >>> guard_cell("=1+1"), guard_cell("-0.5"), guard_cell("'=1"), guard_cell("+")
    ("'=1+1", '-0.5', "''=1", '+')
    """
    if not cell.startswith((*FORMULA, "'")):
        return cell
    if cell.startswith("'"):
        return f"'{cell}" if _GUARDED.match(cell) else cell
    return cell if len(cell) == 1 or _is_number(cell) else f"'{cell}"


def plain_cell(cell: str) -> str:
    """Take the apostrophe of `guard_cell` away.

    >>> plain_cell("'=1+1"), plain_cell("''=1"), plain_cell("'5")
    ('=1+1', "'=1", "'5")
    """
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell


def guard_table(table: pd.DataFrame) -> pd.DataFrame:
    """Guard the column names and the text cells of a table; numbers stay as they are."""
    columns = {}
    for place, name in enumerate(table.columns):
        columns[place] = _guard_column(table.iloc[:, place])
        columns[place].name = name
    guarded = pd.concat(columns.values(), axis=1) if columns else table.copy()
    guarded.columns = pd.Index([guard_cell(str(name)) for name in table.columns])
    return guarded


def _guard_column(column: pd.Series) -> pd.Series:
    if is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype):
        return column
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    return column.map(lambda cell: guard_cell(cell) if isinstance(cell, str) else cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
