"""Files of results, written part by part: TSV, CSV, JSON Lines, JSON and Parquet."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype, is_integer_dtype

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.reading.documents import read_json
from mirnagraph.runs.prediction_table import DIGITS, plain
from mirnagraph.writing.cells import guard_table
from mirnagraph.writing.files import file_behind, open_output
from mirnagraph.writing.targets import check_suffix

FORMATS = ("tsv", "csv", "jsonl", "parquet", "json")

SUFFIXES = {
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
}
"""Suffix of a file -> its format; files with another suffix are TSV."""

THRESHOLDS = ".thresholds.json"
"""What the name of a file is followed by in the name of its thresholds."""

PARQUET_KEY = b"mirnagraph"
"""Key of the thresholds in the metadata of a Parquet file."""


class Rows(Protocol):
    """Rows of a table, such as `mirnagraph.runs.prediction_table.PredictionRows`."""

    def to_frame(self) -> pd.DataFrame:
        """Rows as a data frame; every part of a file has the same columns."""

    def to_records(self) -> list[dict[str, Any]]:
        """Rows as plain values for JSON."""


@dataclass(frozen=True, eq=False)
class FrameRows:
    """Rows of a data frame."""

    frame: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """The frame."""
        return self.frame

    def to_records(self) -> list[dict[str, Any]]:
        """One mapping per row, of plain values."""
        records = self.frame.to_dict("records")
        return [{str(name): plain(value) for name, value in row.items()} for row in records]


Write = Callable[[Rows], None]


def format_of(out: Path | None) -> str:
    """Format of a file by its suffix, without ``.gz``; TSV for others and the standard output.

    Raises:
        ConfigError: the suffix of a format in which no table is written.
    """
    if out is None:
        return "tsv"
    name = Path(out.stem) if is_packed(out) else out
    check_suffix(name, SUFFIXES)
    return SUFFIXES.get(name.suffix.lower(), "tsv")


def is_packed(out: Path) -> bool:
    """Whether a text file is written as gzip, by its name."""
    return out.suffix.lower() == ".gz"


@contextlib.contextmanager
def table_file(
    out: Path | None, format_: str, about: Mapping[str, Any] | None = None
) -> Iterator[Write]:
    """Open a file of a table: yield a function that appends rows.

    A file replaces an earlier one only when the block ends without an error, so that none is left
    half-written. Numbers have six significant digits (Parquet: every digit); an empty cell stands
    for no value. A text file whose name ends with ``.gz`` is written as gzip. In TSV and CSV a text
    that a spreadsheet would take for a formula gets an apostrophe in front (see
    `mirnagraph.writing.cells`); other formats hold every text as it is.

    Args:
        out: file; None for the standard output.
        format_: one of `FORMATS`.
        about: thresholds and what they mean, written next to a text file as
            ``NAME.thresholds.json``, or into the metadata of a Parquet file; None or the standard
            output: nothing is written.

    Raises:
        ConfigError: an unknown format, or Parquet for a terminal.
        InputError: the file is a folder or cannot be written; or something else than thresholds is
            where these go.
    """
    if format_ not in FORMATS:
        raise ConfigError(f"--format is {format_!r}, expected {', '.join(FORMATS)}")
    if out is None:
        yield from _to_stdout(format_, about)
        return
    beside = None
    if about is not None and format_ != "parquet" and file_behind(out) is not None:
        beside = {_free_thresholds_file(out): json.dumps(about, indent=2) + "\n"}
    with open_output(out, beside=beside) as stream:
        if format_ == "parquet":
            yield from _parquet(stream, about)
        else:
            with _as_text(stream, packed=is_packed(out)) as text:
                yield from _text(text, format_)


@contextlib.contextmanager
def _as_text(stream: BinaryIO, *, packed: bool) -> Iterator[IO[str]]:
    """Write text to a stream of bytes; packed, the same bytes for the same text."""
    with contextlib.ExitStack() as stack:
        target: Any = stream
        if packed:
            target = stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0))
        text = io.TextIOWrapper(target, encoding="utf-8", newline="\n")
        yield text
        text.flush()
        text.detach()


def thresholds_file(out: Path) -> Path:
    """File of the thresholds of a file of predictions."""
    return out.with_name(out.name + THRESHOLDS)


def _free_thresholds_file(out: Path) -> Path:
    """File of the thresholds; InputError where it is something else than thresholds."""
    path = thresholds_file(out)
    if os.path.lexists(path):
        with contextlib.suppress(InputError):
            about = read_json(path) if path.is_file() else None
            if isinstance(about, dict) and "thresholds" in about:
                return path
        raise InputError(
            "a file of someone else is where the thresholds of the predictions go",
            file=path,
            hint="move it, or choose another --out",
        )
    return path


def _to_stdout(format_: str, about: Mapping[str, Any] | None) -> Iterator[Write]:
    if format_ != "parquet":
        yield from _text(sys.stdout, format_)
    elif sys.stdout.isatty():
        raise ConfigError("Parquet is not for a terminal: name a file with --out")
    else:
        yield from _parquet(sys.stdout.buffer, about)
    sys.stdout.flush()


def _text(stream: IO[str], format_: str) -> Iterator[Write]:
    if format_ in ("tsv", "csv"):
        yield _delimited(stream, is_csv=format_ == "csv")
    elif format_ == "jsonl":
        yield lambda rows: stream.writelines(f"{json.dumps(r)}\n" for r in rows.to_records())
    else:
        yield from _json(stream)


def _delimited(stream: IO[str], *, is_csv: bool) -> Write:
    """Append rows as lines; cells with a tab, a quote or a line end are quoted."""
    is_first = True

    def write(rows: Rows) -> None:
        nonlocal is_first
        table = rows.to_frame()
        guard_table(table).to_csv(
            stream,
            sep="," if is_csv else "\t",
            index=False,
            header=is_first,
            float_format=f"%.{DIGITS}g",
            lineterminator="\n",
            quoting=csv.QUOTE_MINIMAL,
        )
        is_first = False

    return write


def _json(stream: IO[str]) -> Iterator[Write]:
    """One JSON list of records, indented by two."""
    separator = "[\n"

    def write(rows: Rows) -> None:
        nonlocal separator
        for record in rows.to_records():
            text = json.dumps(record, indent=2).replace("\n", "\n  ")
            stream.write(f"{separator}  {text}")
            separator = ",\n"

    yield write
    stream.write("[]\n" if separator.startswith("[") else "\n]\n")


def _parquet(stream: IO[bytes], about: Mapping[str, Any] | None) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    writer: Any = None

    def write(rows: Rows) -> None:
        nonlocal writer
        table = rows.to_frame()
        if writer is None:
            fields = [(str(name), _arrow_type(pa, column)) for name, column in table.items()]
            metadata = None if about is None else {PARQUET_KEY: json.dumps(about).encode()}
            schema = pa.schema(fields, metadata=metadata)
            writer = parquet.ParquetWriter(stream, schema)
        arrays = [
            pa.array(_arrow_values(table[field.name], field.type), field.type)
            for field in writer.schema
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))

    yield write
    if writer is not None:
        writer.close()


def _arrow_type(pa: Any, column: pd.Series) -> Any:
    if is_float_dtype(column):
        return pa.float64()
    return pa.int64() if is_integer_dtype(column) else pa.string()


def _arrow_values(column: pd.Series, type_: Any) -> list[Any] | np.ndarray:
    """Values with None for NaN in text columns."""
    if str(type_) != "string":
        return column.to_numpy()
    return [None if pd.isna(cell) else str(cell) for cell in column]
