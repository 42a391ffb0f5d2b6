"""The page of a report: nothing from outside, names escaped, figures equal to their data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.report import interactive, print_figures
from fusion.report.blocks import LINES, POINTS, Chart, Neighbourhoods, Pmids, Section, chart_data
from fusion.report.page import Chapter, make_chapters, open_runs, render, write_report
from fusion.report.run_data import open_run
from fusion.report.sections import headline
from mirnagraph.errors import InputError, MissingExtraError
from mirnagraph.evaluation.metrics import AVERAGE

pytest.importorskip("plotly")

EVIL = "<script>alert('x')</script>"
"""Part of names of the run of `small_run`."""

MakeRun = Callable[..., Path]

LOADING = ("src", "href", "data", "poster", "srcset", "action", "formaction", "xlink:href")


class Page(HTMLParser):
    """Elements, their attributes, the text of the scripts and all other text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        self.in_script = tag == "script"
        if self.in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_script = False

    def handle_data(self, data: str) -> None:
        if self.in_script:
            self.scripts[-1] += data
        else:
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


@pytest.fixture(scope="module")
def chapters(small_run: Path) -> list[Chapter]:
    return make_chapters(open_runs([small_run]), None, [])


@pytest.fixture(scope="module")
def page(small_run: Path, chapters: list[Chapter]) -> Page:
    edges = ((0.0, 1.0, 0.5), ())
    block = Neighbourhoods(EVIL, ("sequence",), (EVIL, "</datalist><img src=x>"), 2, edges)
    links = Section("links", (block,))
    return Page(render([*chapters, Chapter(EVIL, (links,))], open_runs([small_run])))


def test_no_name_becomes_markup(page: Page) -> None:
    n_figures = sum(attrs.get("class") == "figure" for _, attrs in page.elements)
    assert n_figures == 6
    assert page.count("script") == n_figures + 1 + 2  # data, the library, our own script
    assert page.count("img") == 0
    assert page.text.count(EVIL) >= 6  # command, data set, settings, tables, heading
    for data in page.scripts[: n_figures + 1]:
        assert "<" not in data
        json.loads(data)
    assert "&lt;script&gt;" in json.dumps(json.loads(page.scripts[1]))


def test_nothing_is_loaded_from_outside(page: Page) -> None:
    for tag, attrs in page.elements:
        for name in LOADING:
            address = attrs.get(name) or ""
            is_citation = tag == "a" and name == "href"
            assert is_citation or not re.match(r"\s*(https?:)?//", address), (tag, attrs)
        assert not any(name.startswith("on") for name in attrs)
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
    (policy,) = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert "'unsafe-eval'" not in policy
    for script in page.scripts[-2:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_pmids_are_the_only_links_outside() -> None:
    cell = Pmids(("123", "javascript:alert(1)", "12<b>", "٣"))
    assert cell.links == [
        ("123", "https://pubmed.ncbi.nlm.nih.gov/123/"),
        ("javascript:alert(1)", ""),
        ("12<b>", ""),
        ("٣", ""),
    ]


def test_headline_values_are_those_of_the_metrics_file(small_run: Path) -> None:
    stored = pd.read_csv(small_run / "metrics.tsv", sep="\t").set_index(["compartment", "metric"])
    section = headline(open_run(small_run))
    rows = {str(row[0]): row for row in section.blocks[0].rows}
    for metric in ("AUC", "AUPR", "F1", "MCC", "Brier"):
        value = stored.loc[(AVERAGE, metric)]
        assert rows[metric][1] == f"{value['mean']:.3f} ± {value['sd']:.3f}"
        assert rows[metric][2] == f"{value['pooled']:.3f}"
    compartments = {str(row[0]): row for row in section.blocks[1].rows}
    value = stored.loc[("Nucleus", "AUC")]
    assert compartments["Nucleus"][2] == f"{value['mean']:.3f} ± {value['sd']:.3f}"
    points = section.blocks[2].data.set_index(["y", "panel"])["x"]
    for place, value in points.items():
        assert value == pytest.approx(stored.loc[place, "pooled"], rel=1e-4)


def test_data_files_equal_both_figures(chapters: list[Chapter], tmp_path: Path) -> None:
    charts = [b for c in chapters for s in c.sections for b in s.blocks if isinstance(b, Chart)]
    print_figures.write_figures(charts, tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").glob("*.??*") if path.suffix != ".jsonl"}
    assert names == {f"{c.name}.{end}" for c in charts for end in ("svg", "pdf", "tsv")}
    (roc,) = [chart for chart in charts if chart.name == "roc"]
    stored = pd.read_csv(tmp_path / "figures" / "roc.tsv", sep="\t")
    part = stored[(stored["panel"] == "Nucleus") & (stored["series"] == "all folds together")]
    shown = json.loads(interactive.to_json(roc))["data"]
    (trace,) = [t for t in shown if t["name"] == "all folds together" and t.get("xaxis") == "x"]
    assert trace["x"] == part["x"].tolist()
    assert trace["y"] == part["y"].tolist()
    (line,) = [
        each
        for each in print_figures.draw(roc).axes[0].get_lines()
        if each.get_label() == "all folds together"
    ]
    np.testing.assert_array_equal(line.get_ydata(), part["y"])
    svg = (tmp_path / "figures" / "co_occurrence.svg").read_text()
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_names_with_dollars_are_no_formulas() -> None:
    data = chart_data(
        [{"panel": "$x$", "series": "a$b", "x": 1, "y": "$\\frac$", "low": 0, "high": 2}]
    )
    chart = Chart("dollar", "t", POINTS, data, "x", "y")
    import matplotlib as mpl

    with mpl.rc_context(print_figures.STYLE):
        figure = print_figures.draw(chart)
        figure.canvas.draw()
        assert figure.axes[0].get_title() == "$x$"


def test_logarithmic_axes_have_plain_numbers() -> None:
    rows = [{"panel": "p", "x": 10.0**k, "y": 10.0**-k} for k in range(4)]
    chart = Chart("log", "t", LINES, chart_data(rows), "x", "y", log=True)
    import matplotlib as mpl

    with mpl.rc_context(print_figures.STYLE):
        figure = print_figures.draw(chart)
        figure.canvas.draw()
        labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "100" in labels
    assert not any("$" in label for label in labels)


def test_lines_differ_without_colour() -> None:
    rows = [{"series": name, "x": x, "y": x} for name in "abcdef" for x in range(20)]
    chart = Chart("grey", "t", LINES, chart_data(rows), "x", "y")
    traces = json.loads(interactive.to_json(chart))["data"]
    assert len({trace["line"]["dash"] for trace in traces}) == 6
    assert len({trace["line"]["color"] for trace in traces}) == 6
    drawn = {str(line._linestyle) + str(line._unscaled_dash_pattern)
             for line in print_figures.draw(chart).axes[0].get_lines()}  # fmt: skip
    assert len(drawn) == 6


def test_without_plotly_one_sentence_says_what_to_install(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mirnagraph\[report\]'"):
        write_report([small_run], tmp_path / "out.html")
    assert not (tmp_path / "out.html").exists()


def test_runs_of_one_name_are_told_apart(
    small_run: Path, tmp_path: Path, write_run: MakeRun
) -> None:
    other = write_run(tmp_path / "elsewhere" / "small")
    names = [run.name for run in open_runs([small_run, other])]
    assert names == [str(small_run), str(other)]
    assert [run.name for run in open_runs([small_run])] == ["small"]


def test_damaged_runs_end_in_a_sentence(tmp_path: Path, write_run: MakeRun) -> None:
    with pytest.raises(InputError, match=r"not a run folder"):
        open_run(tmp_path)
    unfinished = write_run(tmp_path / "unfinished", status="running")
    with pytest.raises(InputError, match="not finished"):
        open_run(unfinished)
    temporal = write_run(tmp_path / "temporal", temporal={"labels": "earlier.tsv"})
    with pytest.raises(InputError, match=r"temporal run .*--include"):
        open_run(temporal)
    run = write_run(tmp_path / "damaged")
    (run / "folds" / "fold_00" / "fold.json").write_text("{")
    with pytest.raises(InputError, match="fold is damaged"):
        open_run(run)


def test_an_included_folder_must_hold_something(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to include"):
        make_chapters(open_runs([small_run]), None, [tmp_path])
