"""Columns of Parquet files, read some rows at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirnagraph.errors import InputError
from mirnagraph.reading.text import explain_reading, open_bytes

if TYPE_CHECKING:
    import pandas as pd

PARQUET = b"PAR1"
"""First, and last, bytes of a Parquet file."""

ROWS = 1000
"""Rows that are read at a time."""


def is_parquet(path: str | Path) -> bool:
    """Whether a path is a Parquet file, by its first bytes; a stream is none."""
    path = Path(path)
    with contextlib.suppress(OSError, ValueError):
        if path.is_file():
            with open_bytes(path) as stream:
                return stream.read(len(PARQUET)) == PARQUET
    return False


def parquet_columns(path: str | Path) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises:
        InputError: it cannot be read, or is cut or damaged.
    """
    with _opened(path) as file:
        return [str(name) for name in file.schema_arrow.names]


def count_parquet(path: str | Path) -> int:
    """Return the number of rows of a Parquet file; errors are those of `parquet_columns`."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read_parquet(path: str | Path, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Read columns of a Parquet file, at most `ROWS` rows at a time.

    Memory holds what pyarrow decompresses of one row group, and these rows.

    Args:
        path: the file.
        columns: names.

    Yields:
        Name of a column -> values of the next rows; None where a cell is empty.

    Raises:
        InputError: see `parquet_columns`; or a column is missing or there twice.
    """
    with _opened(path) as file:
        names = [str(name) for name in file.schema_arrow.names]
        for name in columns:
            if names.count(name) != 1:
                what = "a column is missing" if name not in names else "a column is there twice"
                raise InputError(what, file=path, column=name, found=", ".join(names))
        for batch in file.iter_batches(batch_size=ROWS, columns=list(columns)):
            batch.validate(full=True)
            yield {name: batch.column(name).to_pylist() for name in columns}


def read_parquet_table(path: str | Path) -> pd.DataFrame:
    """Read all columns of a Parquet file; what pandas stores of their types is not believed.

    Raises:
        InputError: see `parquet_columns`.
    """
    with _opened(path) as file:
        table = file.read()
        table.validate(full=True)  # texts are decoded when they are used, which is too late
        return table.to_pandas(ignore_metadata=True)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """Open a Parquet file with pyarrow, whose errors become one sentence."""
    import pyarrow as pa
    from pyarrow import parquet

    with explain_reading(path), open_bytes(path) as stream:
        try:
            yield parquet.ParquetFile(stream)
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                "a Parquet file that is cut or damaged", file=path, found=_first_line(error)
            ) from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
