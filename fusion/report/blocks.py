"""What a report is made of: paragraphs, tables, charts and sections, without markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mirnagraph.reading.text import is_pmid

COLUMNS = ("panel", "series", "x", "y", "low", "high", "label")
"""Columns of the data of a chart."""

LINES = "lines"
POINTS = "points"
SCATTER = "scatter"
HEAT = "heat"
LOGO = "logo"

DIGITS = 5
"""Significant digits of the data of a chart."""


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: plain text.
    """

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Listing:
    """Lines shown as they are: a command, settings.

    Attributes:
        text: plain text.
        title: summary of a folded listing; empty: not folded.
    """

    kind: ClassVar[str] = "listing"
    text: str
    title: str = ""


@dataclass(frozen=True)
class Pmids:
    """A table cell of publications.

    Attributes:
        numbers: PMIDs, shown as links where they are whole numbers.
    """

    numbers: tuple[str, ...]

    @property
    def links(self) -> list[tuple[str, str]]:
        """(text, address) of each; the address of something that is no PMID is empty."""
        found = []
        for number in self.numbers:
            address = f"https://pubmed.ncbi.nlm.nih.gov/{number}/" if is_pmid(number) else ""
            found.append((number, address))
        return found


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        header: names of the columns.
        rows: cells: text, or `Pmids`.
        caption: a sentence on it; empty for none.
        title: summary of a folded table; empty: not folded.
    """

    kind: ClassVar[str] = "table"
    header: tuple[str, ...]
    rows: tuple[tuple[str | Pmids, ...], ...]
    caption: str = ""
    title: str = ""


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure and the data behind it.

    Attributes:
        name: file name without suffix.
        title: of the figure.
        shape: `LINES`, `POINTS` (one row a ``y``, with the interval ``low`` to ``high`` of ``x``),
            `SCATTER`, `HEAT` (``low`` is the value of a cell; row by row, none left out) or `LOGO`
            (a panel a motif: nucleotide ``series`` at position ``x`` is ``y`` high), which is drawn
            by matplotlib on the page too.
        data: columns `COLUMNS`, see `chart_data`. ``low`` and ``high`` are bounds of ``y`` for
            lines, of ``x`` for points.
        x_label, y_label: of the axes, with unit.
        caption: what is shown, and how it was computed.
        unit: both axes go from 0 to 1.
        diagonal: draw the line x = y.
        log: both axes are logarithmic.
        line_at: x of a line to compare with; None for no line.
        bare: no ticks: the axes have no unit.
        n_columns: most panels side by side; 0 for the usual number.
    """

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    shape: str
    data: pd.DataFrame
    x_label: str
    y_label: str
    caption: str = ""
    unit: bool = False
    diagonal: bool = False
    log: bool = False
    line_at: float | None = None
    bare: bool = False
    n_columns: int = 0

    @property
    def panels(self) -> list[str]:
        """Titles of the panels in order."""
        return [str(name) for name in self.data["panel"].unique()]

    @property
    def series(self) -> list[str]:
        """Names of the series in order; each has one colour in every panel."""
        return [str(name) for name in self.data["series"].unique()]


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The nearest RNAs and strongest partners of every RNA, for a picture of a chosen one.

    Attributes:
        start: RNA that is shown first.
        kinds: names of the networks.
        names: names of all nodes, the RNAs first.
        n_rnas: number of RNAs.
        edges: per RNA a flat list: kind, node, weight, kind, node, weight, …
    """

    kind: ClassVar[str] = "neighbourhoods"
    start: str
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    n_rnas: int
    edges: tuple[tuple[float, ...], ...]


Block = Text | Listing | Table | Chart | Neighbourhoods


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        title: its heading.
        blocks: its contents.
    """

    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)


def chart_data(rows: Iterable[dict[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """Rows of the data of a chart as a table with all of `COLUMNS`, numbers rounded.

    Figures and TSV files are both made from this table, so that they hold the same numbers.

    Args:
        rows: with any of `COLUMNS`; what lacks is empty text, or NaN for a number.
    """
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    table = table.reindex(columns=list(COLUMNS))
    for name in ("panel", "series", "label"):
        table[name] = table[name].astype(object).where(table[name].notna(), "")
    for name in ("x", "y", "low", "high"):
        if pd.api.types.is_numeric_dtype(table[name]):
            table[name] = rounded(table[name].to_numpy(dtype=float))
    return table.reset_index(drop=True)


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers with `DIGITS` significant digits; what is not finite stays."""
    values = np.asarray(values, dtype=float)
    rounded_values = values.copy()
    is_rounded = np.isfinite(values) & (values != 0)
    size = np.floor(np.log10(np.abs(values[is_rounded]))).astype(int)
    places = DIGITS - 1 - size
    pairs = zip(values[is_rounded], places, strict=True)
    rounded_values[is_rounded] = [round(float(value), int(n)) for value, n in pairs]
    return rounded_values


def make_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    caption: str = "",
    *,
    title: str = "",
) -> Table:
    """A `Table` of cells of any kind, which become text unless they are `Pmids`."""
    cells = []
    for row in rows:
        cells.append(tuple(cell if isinstance(cell, Pmids) else str(cell) for cell in row))
    return Table(tuple(header), tuple(cells), caption, title)
