"""Tables of databases whose column names and delimiters change between releases: read into one set of names."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.tables import read_table


def read_columns(
    path: str | Path,
    names: Mapping[str, Sequence[str]],
    required: Sequence[str],
    *,
    fallback: str | None = None,
) -> pd.DataFrame:
    """A table with a header as text columns of fixed names; tab or comma by its first line.

    Args:
        names: our name -> names the column has in some release, compared without case, blanks and underscores.
        required: our names that must be there; the others become empty text where absent.
        fallback: encoding of files that are not UTF-8.

    Returns:
        One column per key of `names`, cells stripped of blanks; index: 1-based line numbers, named ``line``.

    Raises:
        InputError: a missing column (with the names it may have), a line with another number of cells than the header.
    """
    delimiter = _delimiter(Path(path))
    table = read_table(path, delimiter=delimiter, quoted=delimiter == ",", fallback=fallback)
    there = {_plain(column): column for column in table.columns}
    result = {}
    for ours, theirs in names.items():
        column = next((there[_plain(name)] for name in theirs if _plain(name) in there), None)
        if column is None and ours in required:
            raise InputError("missing column", file=path, line=1, column=theirs[0], found=", ".join(table.columns), expected=" or ".join(theirs))
        result[ours] = table[column].str.strip() if column is not None else ""
    return pd.DataFrame(result, index=table.index, dtype=object)


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "", name.lower())


def _delimiter(path: Path) -> str:
    """Comma where the first line has one and no tab; what is wrong with the file is said by the reader that follows."""
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as stream:
            first = stream.readline()
    except (OSError, EOFError):
        return "\t"
    return "," if b"," in first and b"\t" not in first else "\t"
