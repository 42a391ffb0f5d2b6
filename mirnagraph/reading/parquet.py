"""Parquet files of strangers: read as columns, whatever else they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mirnagraph.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path) -> pd.DataFrame:
    """Read the columns of a Parquet file; what pandas stores of their types is not believed.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path, partitioning=None)
        table.validate(full=True)  # texts are decoded when they are used, which is too late
        return table.to_pandas(ignore_metadata=True)
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError("damaged Parquet file", file=path, found=reason) from None
