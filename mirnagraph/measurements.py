"""Numbers measured per RNA and sample, such as expression: table, samples, checks, log scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import write_tsv
from mirnagraph.reading.table import cell_problems, read_table, repeated_cells
from mirnagraph.reading.text import read_text

ORDINARY = ""
ISOLATED_FRACTION = "isolated fraction"
BODY_FLUID = "body fluid"

SAMPLE_KINDS = (ORDINARY, ISOLATED_FRACTION, BODY_FLUID)
"""Kinds of samples. Isolated fractions are never used; body fluids are used only where asked for:
both are near the labels, since what is found in them is annotated as localized there."""

SAMPLE_COLUMNS = ("study", "pmid", "tissue", "kind", "overlap")
"""Columns of `Measurement.samples`, all text."""

COUNT_UNITS = ("RPM", "CPM", "TPM", "count")
"""Units of 0 or more, which are read as log2(1 + value); other units are read as they are."""

PER_MILLION = ("RPM", "CPM", "TPM")

LARGEST_LOGARITHM = 32.0
"""log2 of a value per million is below 20: a table without a larger value than this holds
logarithms."""

ARMS = ("5p", "3p")


@dataclass(frozen=True, eq=False)
class Measurement:
    """One table of numbers measured per RNA and sample.

    Attributes:
        values: index ``rna_id``, one column per sample, float64; NaN where not measured. The RNAs
            are a subset of those of the dataset. Of several matures of an RNA the largest value.
        samples: index ``sample``, in the column order of `values`; text columns `SAMPLE_COLUMNS`
            (added empty where they are missing). ``kind`` is one of `SAMPLE_KINDS`; ``overlap``
            says why the sample may be a source of the labels, empty where it is not known to be.
        unit: e.g. ``"RPM"``; those of `COUNT_UNITS` are 0 or more.
        is_label_like: whether the numbers are nearly the labels (such as abundance in vesicles):
            no ``*`` of a token name and no network stands for it, it is only read where named.
        source: database, or file name.
        arms: ``"5p"`` and ``"3p"`` -> values of the matures of that arm, columns as `values`; may
            be empty.
    """

    values: pd.DataFrame
    samples: pd.DataFrame
    unit: str = "RPM"
    is_label_like: bool = False
    source: str = ""
    arms: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"measurement of {self.source}" if self.source else "measurement"
        object.__setattr__(self, "samples", _checked_samples(self.samples, where))
        object.__setattr__(self, "values", _checked_values(self.values, self, where))
        arms = {}
        for arm, table in self.arms.items():
            if arm not in ARMS:
                what = "unknown arm"
                raise InputError(what, file=where, found=arm, expected=" or ".join(ARMS))
            arms[arm] = _checked_values(table, self, f"{where}, arm {arm}")
            unknown = table.index.difference(self.values.index)
            if len(unknown):
                raise InputError(
                    f"arm {arm} names an RNA that the whole table lacks",
                    file=where,
                    found=unknown[0],
                )
        object.__setattr__(self, "arms", arms)

    def used(self, *, body_fluids: bool = False) -> np.ndarray:
        """Mask of the samples that tokens and networks read: bool, shape (n_samples,).

        Args:
            body_fluids: whether samples of body fluids are read. Isolated fractions never are.
        """
        kinds = [ORDINARY, BODY_FLUID] if body_fluids else [ORDINARY]
        return self.samples["kind"].isin(kinds).to_numpy()

    def select(self, is_selected: np.ndarray) -> Measurement:
        """The measurement with some of its samples: bool, shape (n_samples,)."""
        return replace(
            self,
            values=self.values.loc[:, is_selected],
            samples=self.samples[is_selected],
            arms={arm: table.loc[:, is_selected] for arm, table in self.arms.items()},
        )

    def without_rnas(self, ids: set[str]) -> Measurement:
        """The measurement without the rows of some RNAs."""
        return replace(
            self,
            values=self.values[~self.values.index.isin(ids)],
            arms={arm: table[~table.index.isin(ids)] for arm, table in self.arms.items()},
        )

    def log_values(self, table: pd.DataFrame | None = None) -> pd.DataFrame:
        """Values of a table (default `values`) on a log scale.

        log2(1 + value) for `COUNT_UNITS`; other units are returned as they are.
        """
        values = self.values if table is None else table
        if self.unit not in COUNT_UNITS:
            return values
        logarithms = np.log2(1 + values.to_numpy())
        return pd.DataFrame(logarithms, index=values.index, columns=values.columns)


def _checked_samples(samples: pd.DataFrame, where: str) -> pd.DataFrame:
    """Samples with all of `SAMPLE_COLUMNS`, as text."""
    repeated = samples.index[samples.index.duplicated()]
    if len(repeated):
        raise InputError("a duplicate sample", file=where, found=repeated[0])
    table = samples.reindex(columns=list(SAMPLE_COLUMNS)).astype(object)
    table = table.where(table.notna(), "").astype(str).astype(object)
    is_unknown = ~table["kind"].isin(SAMPLE_KINDS)
    if is_unknown.any():
        raise InputError(
            f"unknown kind of sample {table.index[is_unknown][0]}",
            file=where,
            column="kind",
            found=table.loc[is_unknown, "kind"].iloc[0],
            expected="; ".join(SAMPLE_KINDS[1:]) + "; or empty",
        )
    table.index = pd.Index(samples.index.astype(str), name="sample", dtype=object)
    return table


def _checked_values(values: pd.DataFrame, about: Measurement, where: str) -> pd.DataFrame:
    """Values as float64; InputError for other samples, text, infinite or negative values."""
    if list(values.columns.astype(str)) != list(about.samples.index):
        raise InputError(
            "the samples do not match the columns of the values",
            file=where,
            found=f"{len(values.columns)} columns",
            expected=f"the {len(about.samples)} samples, in their order",
        )
    repeated = values.index[values.index.duplicated()]
    if len(repeated):
        raise InputError("a duplicate RNA", file=where, found=repeated[0])
    types = pd.api.types
    is_number = [
        types.is_numeric_dtype(kind) and not types.is_complex_dtype(kind) for kind in values.dtypes
    ]
    if not all(is_number):
        column = values.columns[is_number.index(False)]
        raise InputError("values are no numbers", file=where, column=str(column))
    array = values.to_numpy(dtype=np.float64)
    is_bad = np.isinf(array)
    expected = "finite numbers"
    if about.unit in COUNT_UNITS:
        is_bad |= array < 0
        expected = f"0 or more, in {about.unit}"
    for row, place in np.argwhere(is_bad).tolist():
        raise InputError(
            f"value of {values.index[row]} out of range",
            file=where,
            column=str(values.columns[place]),
            found=float(array[row, place]),
            expected=expected,
        )
    index = pd.Index(values.index.astype(str), name="rna_id", dtype=object)
    columns = pd.Index(about.samples.index, name=None, dtype=object)
    return pd.DataFrame(array, index=index, columns=columns)


def read_values(
    path: str | Path, unit: str, id_column: str = "", *, as_written: bool = False
) -> pd.DataFrame:
    """Read a TSV of numbers, one row per RNA and one column per sample.

    Args:
        path: plain or gzip file. The first line names the samples. ``NA`` stands for a value that
            was not measured.
        unit: see `Measurement`; decides which numbers are valid.
        id_column: name of the column of the ids; empty for the first.
        as_written: leave ids and names of samples as they are, as in files of `write_measurement`.

    Returns:
        float64; index ``rna_id`` as in the file.

    Raises:
        InputError: a duplicate id or sample, a blank cell, text, a number out of range, or
            logarithms where the unit is per million: names file, line and column.
    """
    values = _read_valid(path, unit, id_column, as_written)
    if values is None:
        values = _read_checked(path, unit, id_column, as_written)
    largest = float(np.nanmax(values.to_numpy(), initial=0.0))
    if unit in PER_MILLION and largest <= LARGEST_LOGARITHM:
        raise InputError(
            "the values look like logarithms or shares",
            file=path,
            found=f"no value above {largest:g}",
            expected=f"{unit}, which has values above {LARGEST_LOGARITHM:g}",
            hint="convert them, or name their unit",
        )
    return values


def _read_valid(
    path: str | Path, unit: str, id_column: str, as_written: bool
) -> pd.DataFrame | None:
    """Values of a complete and valid table; None where `_read_checked` has to look at the cells."""
    import pyarrow as pa
    from pyarrow import csv

    text = read_text(path)
    if not as_written and (not text.isascii() or '"' in text or " \t" in text or "\t " in text):
        return None  # cells to clean
    content = text.encode()
    names = content.split(b"\n", 1)[0].decode().split("\t")
    id_column = id_column or names[0]
    types = {name: pa.float64() for name in names if name != id_column}
    convert = csv.ConvertOptions(
        column_types={**types, id_column: pa.string()}, strings_can_be_null=False, null_values=[]
    )
    parse = csv.ParseOptions(delimiter="\t", quote_char=False)
    try:
        table = csv.read_csv(pa.BufferReader(content), None, parse, convert).to_pandas()
    except pa.ArrowException:
        return None
    if not types or not len(table) or len(set(names)) < len(names):
        return None
    ids = table[id_column]
    values = table.drop(columns=id_column)
    array = values.to_numpy()
    is_valid = np.isfinite(array).all() and (unit not in COUNT_UNITS or array.min() >= 0)
    is_clean = as_written or (ids.str.strip() == ids).all()
    if not is_valid or not is_clean or ids.duplicated().any() or (ids == "").any():
        return None
    values.index = pd.Index(ids.astype(object), name="rna_id", dtype=object)
    return values


def _read_checked(path: str | Path, unit: str, id_column: str, as_written: bool) -> pd.DataFrame:
    """Values of a table cell by cell; InputError for the first 20 bad ones."""
    delimiter = "\t" if as_written else None
    required = [id_column] if id_column else ()
    table = read_table(path, required, delimiter=delimiter, as_written=as_written)
    name = id_column or str(table.columns[0])
    samples = [str(column) for column in table.columns if column != name]
    if not samples or not len(table):
        found = f"{len(table)} rows, {len(samples)} samples"
        raise InputError("no values in the table", file=path, found=found, expected="1 or more")
    empty = cell_problems(table, name, table[name] == "", "empty id", path)
    repeated = repeated_cells(table, name, "duplicate id", path, "an id not seen before")
    raise_problems([*empty, *repeated], by_line=True)
    problems: list[InputError] = []
    columns = {}
    for sample in samples:
        columns[sample], of_column = _numbers(table, sample, unit, path)
        problems += of_column
    raise_problems(problems, by_line=True)
    return pd.DataFrame(columns, index=pd.Index(table[name], name="rna_id", dtype=object))


def _numbers(
    table: pd.DataFrame, column: str, unit: str, path: str | Path
) -> tuple[np.ndarray, list[InputError]]:
    """Numbers of one column, and its bad cells."""
    cells = table[column].str.strip()
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    is_missing = cells.str.lower().isin(["na", "nan"])
    is_blank = cells == ""
    is_text = pd.Series(~np.isfinite(numbers), index=table.index) & ~is_missing & ~is_blank
    problems = cell_problems(table, column, is_blank, "blank cell", path, "a number, or NA")
    problems += cell_problems(table, column, is_text, "not a number", path, "a number, or NA")
    if unit in COUNT_UNITS:
        is_negative = pd.Series(numbers < 0, index=table.index)
        expected = f"0 or more, in {unit} (logarithms need another unit)"
        what = "a negative value"
        problems += cell_problems(table, column, is_negative, what, path, expected)
    return numbers, problems


def read_samples(
    path: str | Path, samples: Sequence[str], id_column: str = "", *, as_written: bool = False
) -> pd.DataFrame:
    """Read the sample table that goes with a table of values.

    Args:
        path: plain or gzip TSV with any of `SAMPLE_COLUMNS`; other columns are ignored.
        samples: columns of the values.
        id_column: name of the column of the sample ids; empty for the first.
        as_written: see `read_values`.

    Returns:
        Index ``sample``, in the order of `samples`.

    Raises:
        InputError: a duplicate sample, or other samples than those of the values.
    """
    delimiter = "\t" if as_written else None
    required = [id_column] if id_column else ()
    table = read_table(path, required, delimiter=delimiter, as_written=as_written)
    name = id_column or str(table.columns[0])
    raise_problems(repeated_cells(table, name, "duplicate sample", path, "one row per sample"))
    unknown = ~table[name].isin(list(samples))
    expected = "a column of the table of values"
    raise_problems(cell_problems(table, name, unknown, "a sample without values", path, expected))
    absent = [sample for sample in samples if sample not in set(table[name])]
    if absent:
        raise InputError(
            "a column of the values has no row in the table of samples",
            file=path,
            found=f"{len(absent)}, the first {absent[0]}",
            expected=f"{len(samples)} samples",
        )
    columns = [column for column in SAMPLE_COLUMNS if column in table.columns]
    return table.set_index(name)[columns].reindex(list(samples)).rename_axis("sample")


def write_measurement(measurement: Measurement, folder: Path, name: str) -> None:
    """Write ``measurements.NAME.tsv``, one more per arm, and ``samples.NAME.tsv``."""
    tables = {name: measurement.values}
    for arm, table in measurement.arms.items():
        tables[f"{name}.{arm}"] = table
    for part, table in tables.items():
        is_measured = table.notna()
        cells = table
        if not is_measured.to_numpy().all():
            cells = table.astype(object).where(is_measured, "NA")
        write_tsv(cells.reset_index(), folder / f"measurements.{part}.tsv")
    write_tsv(measurement.samples.reset_index(), folder / f"samples.{name}.tsv")


def load_measurement(
    folder: Path, name: str, about: Mapping[str, object], *, as_written: bool = False
) -> Measurement:
    """Read what `write_measurement` wrote, or files of the same form.

    Args:
        folder: of the dataset.
        name: of the measurement.
        about: its entry in ``dataset.toml``: ``unit``, ``is_label_like``, ``source``, ``arms``,
            all optional. Without ``samples.NAME.tsv`` all samples are ordinary.
        as_written: see `read_values`.
    """
    unit = str(about.get("unit", "RPM"))
    values = read_values(folder / f"measurements.{name}.tsv", unit, as_written=as_written)
    path = folder / f"samples.{name}.tsv"
    samples = pd.DataFrame(index=values.columns)
    if path.is_file():
        samples = read_samples(path, list(values.columns), as_written=as_written)
    named = about.get("arms", [])
    arms = {}
    for arm in named if isinstance(named, list) else []:
        path = folder / f"measurements.{name}.{arm}.tsv"
        arms[str(arm)] = read_values(path, unit, as_written=as_written)
    return Measurement(
        values,
        samples,
        unit,
        bool(about.get("is_label_like", False)),
        str(about.get("source", "")),
        arms,
    )


def coverage(measurement: Measurement, n_rnas: int) -> str:
    """Say how many RNAs have a row and how many samples are used.

    Args:
        measurement: of the dataset.
        n_rnas: number of RNAs of the dataset.
    """
    n_samples = len(measurement.samples)
    text = f"{len(measurement.values)} of {n_rnas} RNAs measured, "
    if measurement.is_label_like:
        return f"{text}{n_samples} samples; nearly the labels: read only where a token names it"
    n_used = int(measurement.used().sum())
    dropped = measurement.samples["kind"].value_counts()
    parts = [f"{dropped[kind]} of {kind}" for kind in SAMPLE_KINDS[1:] if kind in dropped]
    text += f"{n_used} of {n_samples} samples used"
    return f"{text} ({', '.join(parts)} left out)" if parts else text


def default_names(measurements: Mapping[str, Measurement]) -> list[str]:
    """Names that ``*`` stands for: those of measurements that are not label-like."""
    return [name for name, item in measurements.items() if not item.is_label_like]
