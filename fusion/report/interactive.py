"""Charts as figures of Plotly, for the page."""

from __future__ import annotations

import html
import json
from typing import Any

import numpy as np
import pandas as pd

from fusion.report.blocks import HEAT, LINES, POINTS, SCATTER, Chart
from fusion.report.style import (
    HOLLOW,
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

EXTRA = "report"
WHY = "`report`"

PANEL_HEIGHT = 270
ROW_HEIGHT = 26
SERIES_HEIGHT = 13
LINE_HEIGHT = 18

BETWEEN_ROWS = 90
"""Pixels between rows of panels, for the labels of one and the title of the next."""

MARGIN = {"l": 60, "r": 16, "t": 70, "b": 56}

Trace = dict[str, Any]


def plain(text: object) -> str:
    """Text that Plotly shows as it is: it would read tags in it otherwise."""
    return html.escape(str(text), quote=False)


def library() -> str:
    """Plotly's own JavaScript, to be embedded.

    Raises:
        MissingExtraError: Plotly is not installed.
    """
    return str(import_extra("plotly.offline", EXTRA, WHY).get_plotlyjs())


def check_extra() -> None:
    """Raise MissingExtraError where a package of the extra is missing, before any work is done."""
    for module in ("jinja2", "plotly.graph_objects"):
        import_extra(module, EXTRA, WHY)


def to_json(chart: Chart) -> str:
    """A chart as the JSON that `Plotly.newPlot` reads, safe inside a script element."""
    figure = draw(chart)
    entries = json.loads(figure.to_json())
    entries["layout"].pop("template", None)
    return script_json(entries)


def script_json(value: object) -> str:
    """JSON without the characters that could end a script element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, code)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def draw(chart: Chart) -> Any:
    """A chart as a figure of Plotly (``plotly.graph_objects.Figure``)."""
    subplots = import_extra("plotly.subplots", EXTRA, WHY)
    n_rows, n_columns = grid_of(chart)
    titles = [plain(name) for name in chart.panels]
    height = n_rows * _panel_height(chart) + MARGIN["t"] + MARGIN["b"]
    figure = subplots.make_subplots(
        rows=n_rows,
        cols=n_columns,
        subplot_titles=titles if any(titles) else None,
        horizontal_spacing=0.07,
        vertical_spacing=BETWEEN_ROWS / (n_rows * _panel_height(chart)) if n_rows > 1 else 0,
    )
    for number, panel in enumerate(chart.panels):
        place = {"row": number // n_columns + 1, "col": number % n_columns + 1}
        part = chart.data[chart.data["panel"] == panel]
        for trace in _traces(chart, part, is_first=number == 0):
            figure.add_trace(trace, **place)
        _axes(figure, chart, place)
    figure.update_layout(
        height=height,
        margin=MARGIN,
        font={"size": 13, "color": "#222", "family": "system-ui, sans-serif"},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hoverlabel={"namelength": -1},
        legend={"orientation": "h", "x": 0, "y": 1 + 34 / height, "yanchor": "bottom"},
        showlegend=chart.shape != HEAT and any(chart.series),
    )
    return figure


def _panel_height(chart: Chart) -> int:
    if chart.shape == POINTS:
        of_row = max(
            ROW_HEIGHT, SERIES_HEIGHT * len(chart.series), LINE_HEIGHT * lines_of_row(chart)
        )
        return max(160, of_row * len(categories_of(chart)) + 40)
    if chart.shape == HEAT:
        return max(240, 34 * chart.data["y"].nunique() + 60)
    return PANEL_HEIGHT


def _axes(figure: Any, chart: Chart, place: dict[str, int]) -> None:
    """Titles, ranges and reference lines of one panel."""
    common = {"showline": True, "linecolor": "#888", "gridcolor": "#eee", "zeroline": False}
    x_axis: Trace = {
        **common,
        "exponentformat": "e",
        "title": {"text": plain(chart.x_label), "standoff": 6},
    }
    y_axis: Trace = {**common, "automargin": True, "exponentformat": "e"}
    if place["col"] == 1:
        y_axis["title"] = {"text": plain(chart.y_label), "standoff": 6}
    if chart.unit:
        x_axis["range"] = [-0.01, 1.01]
        y_axis["range"] = [-0.01, 1.01]
    if chart.log:
        x_axis["type"] = "log"
        y_axis["type"] = "log"
    if chart.bare:
        x_axis["showticklabels"] = False
        y_axis["showticklabels"] = False
    if is_counted(chart):
        x_axis["dtick"] = 1
    if chart.shape == POINTS:
        names = wrapped_names(chart)
        y_axis |= {
            "showticklabels": place["col"] == 1,
            "tickvals": list(range(len(names))),
            "ticktext": [plain(name).replace("\n", "<br>") for name in names],
            "range": [len(names) - 0.4, -0.6],
        }
    if chart.shape == HEAT:
        x_axis["automargin"] = True
        y_axis["autorange"] = "reversed"
    figure.update_xaxes(**x_axis, **place)
    figure.update_yaxes(**y_axis, **place)
    grey = {"color": "#999", "width": 1, "dash": "dot"}
    if chart.diagonal:
        figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line=grey, **place)
    if chart.line_at is not None:
        figure.add_vline(x=chart.line_at, line=grey, **place)


def _traces(chart: Chart, part: pd.DataFrame, *, is_first: bool) -> list[Trace]:
    """Traces of one panel."""
    if chart.shape == HEAT:
        return [_heat(part)]
    traces = []
    for number, name in enumerate(chart.series):
        rows = part[part["series"] == name]
        if rows.empty:
            continue
        common: Trace = {
            "type": "scatter",
            "name": plain(name),
            "legendgroup": plain(name),
            "showlegend": is_first or name not in _first_series(chart),
        }
        if chart.shape == LINES:
            traces += _line(rows, common, number)
        elif chart.shape == SCATTER:
            traces.append(_points(rows, common, number))
        else:
            places = point_places(rows, categories_of(chart), number, len(chart.series))
            traces.append(_intervals(rows, common, number, places))
    return traces


def _first_series(chart: Chart) -> set[str]:
    """Names of the series of the first panel, which fill the legend."""
    first = chart.data[chart.data["panel"] == chart.panels[0]]
    return set(first["series"])


def _line(rows: pd.DataFrame, common: Trace, number: int) -> list[Trace]:
    colour, dash, marker = style_of(number)
    traces: list[Trace] = []
    has_band = rows["low"].notna().any()
    x = _numbers(rows["x"])
    if has_band:
        hidden = {**common, "x": x, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
        edge = {"width": 0, "color": colour}
        fill = {"fill": "tonexty", "fillcolor": _pale(colour)}
        traces.append({**hidden, "y": _numbers(rows["low"]), "line": edge})
        traces.append({**hidden, "y": _numbers(rows["high"]), "line": edge, **fill})
    is_short = len(rows) <= 12
    mode = "lines+markers" if is_short and has_band else "lines"
    line = {"color": colour, "dash": dash, "width": 2}
    trace = {**common, "x": x, "y": _numbers(rows["y"]), "mode": mode, "line": line}
    if mode != "lines":
        trace["marker"] = {"symbol": marker, "size": 6}
    if any(rows["label"]):
        trace["text"] = [plain(label) for label in rows["label"]]
        trace["hovertemplate"] = "%{x:.3f}, %{y:.3f}<br>%{text}"
    return [*traces, trace]


def _points(rows: pd.DataFrame, common: Trace, number: int) -> Trace:
    colour, _, symbol = style_of(number)
    is_pale = common["name"] == HOLLOW
    marker = {"color": PALE if is_pale else colour, "size": 4 if is_pale else 5, "symbol": symbol}
    labels = [plain(label) for label in rows["label"]]
    points = {"x": _numbers(rows["x"]), "y": _numbers(rows["y"]), "text": labels}
    return {**common, **points, "mode": "markers", "marker": marker, "hovertemplate": "%{text}"}


def _intervals(rows: pd.DataFrame, common: Trace, number: int, places: np.ndarray) -> Trace:
    colour, _, symbol = style_of(number)
    x = rows["x"].to_numpy(dtype=float)
    up = rows["high"].to_numpy(dtype=float) - x
    down = x - rows["low"].to_numpy(dtype=float)
    error = {
        "type": "data",
        "symmetric": False,
        "array": _numbers(up),
        "arrayminus": _numbers(down),
        "thickness": 1.6,
        "width": 4,
        "color": colour,
    }
    trace = {
        **common,
        "x": _numbers(x),
        "y": places.tolist(),
        "mode": "markers",
        "marker": {"color": colour, "symbol": symbol, "size": 8},
        "text": [plain(name) for name in rows["y"]],
        "hovertemplate": "%{text}: %{x}",
    }
    return {**trace, "error_x": error} if rows["low"].notna().any() else trace


def _heat(part: pd.DataFrame) -> Trace:
    columns = list(dict.fromkeys(part["x"]))
    names = list(dict.fromkeys(part["y"]))
    values = part["low"].to_numpy(dtype=float).reshape(len(names), len(columns))
    labels = part["label"].to_numpy().reshape(len(names), len(columns))
    return {
        "type": "heatmap",
        "x": [plain(name) for name in columns],
        "y": [plain(name) for name in names],
        "z": [_numbers(row) for row in values],
        "customdata": [[plain(cell) for cell in row] for row in labels],
        "texttemplate": "%{z:.2f}",
        "hovertemplate": "%{y}, %{x}: %{z:.2f} (%{customdata})<extra></extra>",
        "colorscale": "Cividis",
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
    }


def _numbers(values: pd.Series | np.ndarray) -> list[float | None]:
    """Numbers as JSON has them: null where not finite."""
    numbers = np.asarray(values, dtype=float).tolist()
    return [value if np.isfinite(value) else None for value in numbers]


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
