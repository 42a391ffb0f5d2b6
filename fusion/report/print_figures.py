"""Charts for print: SVG and PDF by matplotlib, and the data behind each as TSV."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.report.blocks import HEAT, LINES, LOGO, POINTS, SCATTER, Chart
from fusion.report.style import (
    HOLLOW,
    LETTER_COLOURS,
    MATPLOTLIB_DASHES,
    MATPLOTLIB_MARKERS,
    PALE,
    categories_of,
    grid_of,
    is_counted,
    lines_of_row,
    point_places,
    style_of,
    wrapped_names,
)
from mirnagraph.errors import import_extra
from mirnagraph.io import write_folder, write_tsv
from mirnagraph.parallel import Progress, report
from mirnagraph.writing.contents import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = {
    "text.parse_math": False,  # a $ in a name is a $
    "svg.fonttype": "none",
    "svg.hashsalt": "mirnagraph",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

PANEL_WIDTH = 3.1
"""Inches; three panels fill a page of 9.3 inches."""

MOST_BITS = 2.0
"""Information of a nucleotide that never varies."""


def write_figures(
    charts: Sequence[Chart],
    folder: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write each chart as ``NAME.svg``, ``NAME.pdf`` and ``NAME.tsv``, all or nothing.

    Args:
        charts: to write.
        folder: output folder.
        overwrite: replace its content.
        progress: called after each chart.

    Raises:
        InputError: the folder is not empty, and `overwrite` is not set.
    """
    import matplotlib as mpl

    with write_folder(folder, overwrite=overwrite, content=FIGURES) as out, mpl.rc_context(STYLE):  # type: ignore[arg-type]
        for number, chart in enumerate(charts):
            report(progress, "figures", number, len(charts))
            write_tsv(chart.data, out / f"{chart.name}.tsv")
            figure = draw(chart)
            figure.savefig(out / f"{chart.name}.svg", metadata={"Date": None})
            figure.savefig(out / f"{chart.name}.pdf", metadata={"CreationDate": None})
        report(progress, "figures", len(charts), len(charts))


def svg(chart: Chart) -> str:
    """A chart as the text of an SVG file; the same for the same data."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        FigureCanvasSVG(draw(chart)).print_svg(text, metadata={"Date": None})
    return text.getvalue()


def draw(chart: Chart) -> Figure:
    """A chart as a figure of matplotlib.

    Raises:
        MissingExtraError: logomaker is not installed, for a chart of logos.
    """
    from matplotlib.figure import Figure

    n_rows, n_columns = grid_of(chart)
    size = _size(chart, n_rows, n_columns)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for number, axis in enumerate(grid.flat):
        if number >= len(chart.panels):
            axis.set_axis_off()
            continue
        panel = chart.panels[number]
        _panel(axis, chart, chart.data[chart.data["panel"] == panel])
        axis.set_title(panel, fontsize=9)
        axis.set_xlabel(chart.x_label)
        if number % n_columns == 0:
            axis.set_ylabel(chart.y_label)
        elif chart.shape == POINTS:
            axis.set_yticklabels([])
    if chart.shape not in (HEAT, LOGO) and any(chart.series):
        handles: dict[str, Any] = {}
        for axis in grid.flat:
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        keys = [name for name in chart.series if name in handles]
        columns = min(len(keys), 4)
        drawn = [handles[key] for key in keys]
        figure.legend(drawn, keys, loc="outside upper left", ncols=columns, frameon=False)
    return figure


def _size(chart: Chart, n_rows: int, n_columns: int) -> tuple[float, float]:
    """Width and height in inches."""
    if chart.shape == POINTS:
        most = len(categories_of(chart))
        of_row = max(0.26, 0.13 * len(chart.series), 0.17 * lines_of_row(chart))
        return (1.8 + PANEL_WIDTH * max(n_columns, 1.6), 1.1 + n_rows * (0.7 + of_row * most))
    if chart.shape == HEAT:
        n = chart.data["y"].nunique()
        return (2.6 + 0.62 * n, 1.6 + 0.45 * n)
    if chart.shape == LOGO:
        return (max(PANEL_WIDTH * n_columns, 5.0), 0.3 + 1.5 * n_rows)
    return (max(PANEL_WIDTH * n_columns, 5.0), 0.6 + 2.7 * n_rows)


def _panel(axis: Any, chart: Chart, part: pd.DataFrame) -> None:
    """Draw one panel."""
    if chart.diagonal:
        axis.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=0.8)
    if chart.line_at is not None:
        axis.axvline(chart.line_at, color="0.6", linestyle=":", linewidth=0.8)
    if chart.shape == HEAT:
        _heat(axis, part)
        return
    if chart.shape == LOGO:
        _logo(axis, part)
        return
    for number, name in enumerate(chart.series):
        rows = part[part["series"] == name]
        if rows.empty:
            continue
        if chart.shape == LINES:
            _line(axis, rows, name, number)
        elif chart.shape == SCATTER:
            _scatter(axis, rows, name, number)
        else:
            places = point_places(rows, categories_of(chart), number, len(chart.series))
            _intervals(axis, rows, places, name, number)
    _scale(axis, chart)


def _scale(axis: Any, chart: Chart) -> None:
    """Ticks and ranges of one panel."""
    from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter, StrMethodFormatter

    if chart.shape == POINTS:
        categories = categories_of(chart)
        axis.set_yticks(range(len(categories)), wrapped_names(chart))
        axis.set_ylim(len(categories) - 0.4, -0.6)
    if is_counted(chart):
        axis.xaxis.set_major_locator(MultipleLocator(1))
    if chart.unit:
        axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    if chart.log:
        axis.set(xscale="log", yscale="log")
        for one in (axis.xaxis, axis.yaxis):  # powers of ten would need formulas
            one.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
            one.set_major_formatter(StrMethodFormatter("{x:g}"))
            one.set_minor_formatter(NullFormatter())
    if chart.bare:
        axis.set(xticks=[], yticks=[])


def _line(axis: Any, rows: pd.DataFrame, name: str, number: int) -> None:
    colour, dash, marker = style_of(number)
    has_band = rows["low"].notna().any()
    if has_band:
        axis.fill_between(
            rows["x"], rows["low"], rows["high"], color=colour, alpha=0.18, linewidth=0
        )
    is_short = len(rows) <= 12
    axis.plot(
        rows["x"],
        rows["y"],
        color=colour,
        linestyle=MATPLOTLIB_DASHES[dash],
        linewidth=1.5,
        marker=MATPLOTLIB_MARKERS[marker] if is_short and has_band else None,
        markersize=3.5,
        label=name,
    )


def _scatter(axis: Any, rows: pd.DataFrame, name: str, number: int) -> None:
    colour, _, marker = style_of(number)
    is_pale = name == HOLLOW
    axis.scatter(
        rows["x"],
        rows["y"],
        s=5 if is_pale else 9,
        color=PALE if is_pale else colour,
        marker=MATPLOTLIB_MARKERS[marker],
        linewidths=0,
        label=name,
    )


def _intervals(axis: Any, rows: pd.DataFrame, places: np.ndarray, name: str, number: int) -> None:
    colour, _, marker = style_of(number)
    x = rows["x"].to_numpy(dtype=float)
    bounds = None
    if rows["low"].notna().any():
        low = x - rows["low"].to_numpy(dtype=float)
        high = rows["high"].to_numpy(dtype=float) - x
        bounds = np.abs(np.stack([low, high]))
    axis.errorbar(
        x,
        places,
        xerr=bounds,
        fmt=MATPLOTLIB_MARKERS[marker],
        color=colour,
        markersize=4.5,
        capsize=2.5,
        linewidth=1.2,
        label=name,
    )


def _heat(axis: Any, part: pd.DataFrame) -> None:
    columns = list(dict.fromkeys(part["x"]))
    names = list(dict.fromkeys(part["y"]))
    shares = part["low"].to_numpy(dtype=float).reshape(len(names), len(columns))
    axis.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axis.set_yticks(range(len(names)), names)
    for row, column in np.ndindex(*shares.shape):
        share = shares[row, column]
        if np.isfinite(share):
            colour = "white" if share < 0.55 else "black"
            axis.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour)


def _logo(axis: Any, part: pd.DataFrame) -> None:
    logomaker = import_extra("logomaker", "interpret", "the logos of motifs")
    heights = part.pivot_table(index="x", columns="series", values="y")
    heights.columns.name = None
    logomaker.Logo(heights, ax=axis, color_scheme=LETTER_COLOURS, show_spines=False)
    axis.spines[["left", "bottom"]].set_visible(True)
    axis.set(ylim=(0, MOST_BITS), yticks=[0, 1, 2], xticks=list(heights.index))
