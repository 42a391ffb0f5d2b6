"""Colours, dashes and grids that the figures of the page and those for print share."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pandas as pd

from fusion.report.blocks import LINES, Chart

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
"""Okabe and Ito's colours without the yellow, which is too light for lines on white."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
"""Line styles as Plotly names them, one a colour, so that no line depends on its colour."""

MATPLOTLIB_DASHES: dict[str, str | tuple[int, tuple[int, ...]]] = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 1, 3)),
}

MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")
MATPLOTLIB_MARKERS = dict(zip(MARKERS, "osD^xP*", strict=True))

LETTER_COLOURS = {"A": COLOURS[2], "C": COLOURS[0], "G": COLOURS[4], "U": COLOURS[1]}
"""Nucleotide -> colour in logos."""

HOLLOW = "not annotated"
"""Series of the map that is drawn pale, below the others."""

PALE = "#BBBBBB"

WIDEST_NAME = 36
"""Letters of a line in the name of a row."""

N_COLUMNS = 3
"""Most panels side by side."""


def style_of(number: int) -> tuple[str, str, str]:
    """Colour, dash and marker of the series of a number."""
    place = number % len(COLOURS)
    return COLOURS[place], DASHES[place], MARKERS[place]


def grid_of(chart: Chart) -> tuple[int, int]:
    """Rows and columns of panels."""
    n_panels = max(len(chart.panels), 1)
    n_columns = min(chart.n_columns or N_COLUMNS, n_panels)
    return math.ceil(n_panels / n_columns), n_columns


def categories_of(chart: Chart) -> list[str]:
    """Names of the rows of a chart of points, the topmost first; the same in every panel."""
    return [str(name) for name in chart.data["y"].unique()]


def wrapped_names(chart: Chart) -> list[str]:
    """`categories_of` in lines of at most `WIDEST_NAME` letters."""
    return ["\n".join(textwrap.wrap(name, WIDEST_NAME)) or name for name in categories_of(chart)]


def lines_of_row(chart: Chart) -> int:
    """Lines that a row of a chart of points needs; one wrapped name alone fits between others."""
    n_lines = sorted(name.count("\n") + 1 for name in wrapped_names(chart))
    return n_lines[-2] if len(n_lines) > 1 else 1


def is_counted(chart: Chart) -> bool:
    """Whether x of a chart of lines counts something up to ten, with ticks at whole numbers."""
    if chart.shape != LINES or chart.data.empty:
        return False
    x = chart.data["x"].to_numpy(dtype=float)
    return bool((x == np.round(x)).all() and 1 < x.max() - x.min() <= 10)


def point_places(part: pd.DataFrame, categories: list[str], number: int, n: int) -> np.ndarray:
    """Heights of the points of one series: one unit a category, series next to each other.

    Args:
        part: rows of the series.
        categories: of the chart, the topmost first.
        number: of the series.
        n: number of series.
    """
    place_of = {name: place for place, name in enumerate(categories)}
    shift = (number - (n - 1) / 2) * min(0.7 / n, 0.25)
    return np.array([place_of[str(name)] + shift for name in part["y"]], dtype=float)
