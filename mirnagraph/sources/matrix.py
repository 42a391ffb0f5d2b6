"""0/1 matrices without names, as published beside benchmark data: checked against the names they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.files import read_text


def read_binary(path: str | Path, n_rows: int, n_columns: int, *, delimiter: str = ",", rows_are: str = "ids", columns_are: str = "names") -> np.ndarray:
    """A matrix of 0 and 1, one line per row.

    Args:
        n_rows, n_columns: how many names there are; the file must have as many lines and cells.
        rows_are, columns_are: what the names are, for the message.

    Returns:
        int8, shape (n_rows, n_columns).

    Raises:
        InputError: another number of lines or cells than names, or a cell that is neither 0 nor 1: names line and column.
    """
    lines = read_text(path).rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) != 2 * n_columns - 1:
            found = len(line.split(delimiter))
            if found != n_columns:
                what, expected = "the matrix does not fit its names", f"{n_columns} ({columns_are})"
                raise InputError(
                    what, file=path, line=number, column=min(found, n_columns) + 1, found=f"{found} cells", expected=f"{n_columns} ({columns_are})"
                )
            _raise_bad_cell(path, number, line, delimiter)
    if len(lines) != n_rows:
        what, expected = "the matrix does not fit its names", f"{n_rows} ({rows_are})"
        raise InputError(what, file=path, line=min(len(lines), n_rows) + 1, found=f"{len(lines)} lines", expected=expected)
    letters = np.frombuffer("".join(line + delimiter for line in lines).encode("utf-8", "replace"), dtype=np.uint8)
    good = len(letters) == 2 * n_rows * n_columns
    cells = letters.reshape(n_rows, n_columns, 2) if good else np.empty((0, 0, 2), dtype=np.uint8)
    if not good or not (np.isin(cells[:, :, 0], (48, 49)).all() and (cells[:, :, 1] == ord(delimiter)).all()):
        for number, line in enumerate(lines, 1):
            _raise_bad_cell(path, number, line, delimiter)
    return (cells[:, :, 0] - 48).astype(np.int8)


def _raise_bad_cell(path: str | Path, number: int, line: str, delimiter: str) -> None:
    for column, cell in enumerate(line.split(delimiter), 1):
        if cell not in ("0", "1"):
            raise InputError("not a cell of a 0/1 matrix", file=path, line=number, column=column, found=cell, expected="0 or 1")
