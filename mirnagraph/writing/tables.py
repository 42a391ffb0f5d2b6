"""The writer of tables: tab-separated text with every digit."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.writing.cells import guard_table
from mirnagraph.writing.files import write_file
from mirnagraph.writing.temporary import asked


def write_tsv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as TSV, as a whole; floats with every digit they need to read back equal.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which
    `mirnagraph.io.read_table` takes away (see `mirnagraph.writing.cells`).

    Raises:
        InputError: a cell or a column name holds a tab or a line end, which TSV cannot hold.
    """
    path = Path(path)
    bad_names = [str(name) for name in table.columns if set(str(name)) & set("\t\r\n")]
    if bad_names:
        raise InputError(
            "a column name holds a tab or line end", file=asked(path), line=1, found=bad_names[0]
        )
    for name, column in table.items():
        if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
            continue
        text = column.astype("string")
        is_bad = text.str.contains(r"[\t\r\n]", regex=True).fillna(False)
        if is_bad.any():
            raise InputError(
                "a cell holds a tab or line end",
                file=asked(path),
                column=str(name),
                found=repr(column[is_bad].iloc[0]),
            )
    guarded = guard_table(table)
    with write_file(path) as part:
        guarded.to_csv(part, sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)
