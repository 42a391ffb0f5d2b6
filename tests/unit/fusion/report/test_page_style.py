"""Rows, ticks and lines that figures of the page and those for print share."""

from __future__ import annotations

import pytest

from fusion.report import interactive
from fusion.report.blocks import LINES, POINTS, Chart, chart_data
from fusion.report.style import is_counted, lines_of_row, wrapped_names

pytest.importorskip("plotly")


def test_long_names_of_rows_are_wrapped_and_rows_are_high_enough() -> None:
    """One wrapped name fits between others; two make every row two lines high."""
    long = "kernel of expression x evidence x same sequence x covariates"
    wrapped = "kernel of expression x evidence x\nsame sequence x covariates"

    def chart(*names: str) -> Chart:
        data = chart_data([{"x": 1.0, "y": name} for name in names])
        return Chart("rows", "Rows", POINTS, data, "x", "")

    one = chart(long, "kernel of sequence", "drugs")
    assert wrapped_names(one) == [wrapped, "kernel of sequence", "drugs"]
    assert lines_of_row(one) == 1
    assert lines_of_row(chart(long, f"{long} 2", "drugs")) == 2
    assert lines_of_row(chart(long)) == 1
    axis = interactive.draw(one).layout.yaxis
    assert axis.ticktext[0] == wrapped.replace("\n", "<br>")


def test_ticks_of_a_few_epochs_or_trials_are_whole() -> None:
    def chart(*x: float) -> Chart:
        data = chart_data([{"x": value, "y": 0.5} for value in x])
        return Chart("lines", "Lines", LINES, data, "trial", "")

    assert is_counted(chart(0, 1, 2))
    assert not is_counted(chart(0, 1))
    assert not is_counted(chart(0, 0.5, 2))
    assert not is_counted(chart(0, 11))
    assert interactive.draw(chart(0, 1, 2)).layout.xaxis.dtick == 1
    assert interactive.draw(chart(0, 0.5, 2)).layout.xaxis.dtick is None
