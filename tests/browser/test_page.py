"""The page of `mirnagraph serve` in a headless Chromium, by mouse and by keyboard."""

from __future__ import annotations

import gzip
import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import expect

from mirnagraph.seeds import generator

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 740}

FASTA = """>known
UAGCUUAUCAGACUGAUGUUGA
>new
UGCAGGUAGCUUAUCAGACUAAUGUUGACGGUUCAAUCUCAUGGCAACUCCAGUCGAUGGGCUGUCUGACA
"""

NAMES = "hsa-miR-21-5p, miR-155, nonsense, hsa-let-7, hsa-mir-375"

ROWS = "#table tbody tr"

expect.set_options(timeout=60_000)


def predict_names(page: Any, text: str = NAMES) -> None:
    page.fill("#names", text)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#answer")).to_be_visible()


PASTE = """(field, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    const options = {clipboardData, bubbles: true, cancelable: true};
    field.select();
    if (field.dispatchEvent(new ClipboardEvent("paste", options))) field.setRangeText(text);
}"""
"""A paste by the user; typing, as `fill` does, is slow for long texts."""


def paste(page: Any, text: str) -> None:
    page.get_by_label("sequence (FASTA)").check()
    page.locator("#fasta").evaluate(PASTE, text)
    page.get_by_role("button", name="Predict", exact=True).click()


def queries(page: Any) -> list[str]:
    """RNAs of the rows as they were asked, from top to bottom."""
    return page.locator(f"{ROWS} > th > :first-child").all_inner_texts()


def column(page: Any, title: str) -> list[str]:
    """Texts of a column, from top to bottom, as the table shows them."""
    titles = [text.strip(" ▲▼") for text in page.locator("#table thead th").all_inner_texts()]
    number = titles.index(title) + 1
    return page.locator(f"{ROWS} > :nth-child({number})").all_inner_texts()


def numbers(page: Any, title: str) -> list[float]:
    """Probabilities of a column; those of rows without one are left out."""
    found = [re.search(r"\d\.\d+", text) for text in column(page, title)]
    return [float(match[0]) for match in found if match]


def asked(address: str, path: str, body: dict[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_names_are_suggested_and_predicted(page: Any, address: str) -> None:
    page.locator("#names").press_sequentially("mir-21")
    options = page.get_by_role("option")
    expect(options.first).to_contain_text("hsa-mir-21")
    options.nth(2).click()
    expect(page.locator("#names")).to_have_value("hsa-miR-21-5p, ")
    page.locator("#names").press_sequentially("nonsense")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator("#summary")).to_have_text(
        "2 RNAs (1 out-of-fold); 1 name without a prediction."
    )
    answer = asked(address, "/api/predict", {"names": ["hsa-miR-21-5p", "nonsense"]})
    first, second = answer["predictions"]
    for name in answer["compartments"]:
        cell = first["compartments"][name]
        shown, missing = column(page, name)
        assert ("●" in shown) == cell["called"]
        assert abs(float(re.search(r"\d\.\d+", shown)[0]) - cell["probability"]) < 0.006
        low, high = re.search(r"\[(.*), (.*)\]", shown).groups()
        assert abs(float(low) - cell["low"]) < 0.006
        assert abs(float(high) - cell["high"]) < 0.006
        assert missing == "-"
    assert column(page, "warning") == ["", second["warning"]]
    assert column(page, "predicted by") == ["out-of-fold", ""]


def test_pasted_sequences_are_predicted(page: Any) -> None:
    paste(page, FASTA)
    expect(page.locator(ROWS)).to_have_count(2)
    assert column(page, "predicted by") == ["out-of-fold", "sequence alone"]
    assert queries(page) == ["known", "new"]
    expect(page.locator(ROWS).first).to_contain_text("hsa-mir-21")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_file_is_uploaded(page: Any, tmp_path: Path, is_packed: bool) -> None:
    path = tmp_path / "mine.fa.gz"
    path.write_bytes(gzip.compress(FASTA.encode()) if is_packed else FASTA.encode())
    page.get_by_label("file", exact=True).check()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("choose a file")
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_file_that_is_too_large_is_not_sent(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.fa"
    path.write_bytes(b">a\n" + b"A" * 5_000_001)
    page.get_by_label("file", exact=True).check()
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(
        "the file has 5.0 MB; this page takes at most 5 MB"
    )


def test_bad_fasta_is_named_by_line_and_column(page: Any) -> None:
    paste(page, ">a\nACGX\n>b\nACGU\n>b\nACGU\n")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("pasted text, line 2, column 4: invalid nucleotide")
    expect(alert).to_contain_text("pasted text, line 5, column 2: duplicate id")
    expect(page.locator("#answer")).to_be_hidden()
    paste(page, ">a\nACGRACGUUAGC\n")
    expect(alert).to_contain_text("can be read as N")
    page.get_by_label("read ambiguous nucleotides").check()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(alert).to_be_hidden()


def test_a_name_with_markup_is_a_text(page: Any) -> None:
    markup = "<img/src=x/onerror=alert(1)>"
    predict_names(page, markup)
    expect(page.locator(ROWS)).to_contain_text(markup)
    paste(page, f">{markup}<script>alert(2)</script>\nACGUUAGCUAGGAUCCGAUU\n")
    name = page.locator(f"{ROWS} button")
    expect(name).to_have_text(f"{markup}<script>alert(2)</script>")
    name.click()
    expect(page.locator("dialog .reasons").first).to_be_visible()
    expect(page.locator("dialog h2")).to_have_text(f"{markup}<script>alert(2)</script>")
    assert page.locator("img, body script").count() == 0


def test_a_thousand_sequences(page: Any) -> None:
    rng = generator(0, "browser")
    records = []
    for number in range(1_000):
        records.append(f">s{number}\n{''.join(rng.choice(list('ACGU'), 70))}\n")
    paste(page, "".join(records))
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#working-text")).to_contain_text("of 1000 RNAs")
    expect(page.locator("#shown")).to_have_text("1000 rows, the first 250 below")
    expect(page.locator(ROWS)).to_have_count(250)
    page.get_by_role("button", name="Nucleus", exact=True).click()
    values = numbers(page, "Nucleus")
    assert values == sorted(values, reverse=True)
    page.get_by_role("button", name="Show 250 more rows").click()
    expect(page.locator(ROWS)).to_have_count(500)
    page.fill("#filter", "s99")
    expect(page.locator("#shown")).to_have_text("11 of 1000 rows")
    expect(page.get_by_role("button", name="more rows")).to_be_hidden()


def test_a_batch_is_stopped(page: Any) -> None:
    paste(page, "".join(f">s{number}\n{'ACGUUAGCUA' * 40}\n" for number in range(3_000)))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.locator("#working")).to_be_hidden()
    expect(page.get_by_role("button", name="Predict", exact=True)).to_be_enabled()
    expect(page.locator("#answer")).to_be_hidden()


def test_columns_are_sorted(page: Any) -> None:
    predict_names(page)
    names = ["hsa-miR-21-5p", "miR-155", "nonsense", "hsa-let-7", "hsa-mir-375"]
    assert queries(page) == names
    button = page.get_by_role("button", name="Cytoplasm")
    header = page.locator("th", has=button)
    for order in ("descending", "ascending"):
        button.click()
        expect(header).to_have_attribute("aria-sort", order)
        values = numbers(page, "Cytoplasm")
        assert len(values) == 4
        assert values == sorted(values, reverse=order == "descending")
        assert column(page, "Cytoplasm")[-1] == "-"
    button.click()
    assert queries(page) == names
    page.get_by_role("button", name="RNA", exact=True).click()
    assert queries(page) == ["hsa-let-7", "hsa-miR-21-5p", "hsa-mir-375", "miR-155", "nonsense"]


def test_rows_are_filtered(page: Any, address: str) -> None:
    predict_names(page)
    answer = asked(address, "/api/predict", {"names": NAMES.split(", ")})
    warned = [of["query"] for of in answer["predictions"] if of["warning"]]
    assert 0 < len(warned) < 5
    page.get_by_label("Called in").select_option("Nucleolus")
    expect(page.locator("#shown")).to_have_text("1 of 5 rows")
    assert queries(page) == ["hsa-miR-21-5p"]
    page.get_by_label("Called in").select_option("")
    page.get_by_label("with a warning only").check()
    expect(page.locator("#shown")).to_have_text(f"{len(warned)} of 5 rows")
    assert queries(page) == warned
    page.get_by_label("with a warning only").uncheck()
    page.get_by_label("Filter").fill("hsa-mir-155")
    expect(page.locator("#shown")).to_have_text("1 of 5 rows")
    page.get_by_label("Filter").fill("no such row")
    expect(page.locator("#shown")).to_have_text("0 of 5 rows")
    expect(page.get_by_role("button", name="Download rows shown")).to_be_disabled()


def test_rows_shown_are_downloaded(page: Any, address: str) -> None:
    predict_names(page)
    page.get_by_role("button", name="Cytoplasm").click()
    page.get_by_label("Filter").fill("hsa")
    expect(page.locator("#shown")).to_have_text("4 of 5 rows")
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download rows shown").click()
    assert begun.value.suggested_filename == "predictions.tsv"
    header, *rows = Path(begun.value.path()).read_text(encoding="utf-8").splitlines()
    cells = [dict(zip(header.split("\t"), row.split("\t"), strict=True)) for row in rows]
    assert [of["query"] for of in cells] == queries(page)
    answer = asked(address, "/api/predict", {"names": [of["query"] for of in cells]})
    for of, record in zip(cells, answer["predictions"], strict=True):
        assert float(of["Cytoplasm"]) == record["compartments"]["Cytoplasm"]["probability"]
    page.get_by_label("Format").select_option("JSON")
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download rows shown").click()
    assert json.loads(Path(begun.value.path()).read_text()) == answer["predictions"]


def test_a_click_opens_the_reasons(page: Any, address: str) -> None:
    predict_names(page)
    page.get_by_role("button", name="hsa-mir-375").click()
    sections = page.locator("dialog .reasons")
    expect(sections.first).to_be_visible()
    explained = asked(address, "/api/explain", {"name": "hsa-mir-375"})["reasons"]
    titles = page.locator("dialog h3").all_inner_texts()
    assert titles == [
        f"{of['compartment']}: probability {of['probability']}" for of in explained["compartments"]
    ]
    page.get_by_label("Compartments").select_option("Nucleolus")
    expect(page.locator("dialog h3")).to_contain_text(["Nucleolus: probability"])
    body = {"name": "hsa-mir-375", "compartments": ["Nucleolus"]}
    (of,) = asked(address, "/api/explain", body)["reasons"]["compartments"]
    rows = sections.locator(".effects tbody tr")
    expect(rows).to_have_count(len(of["effects"]))
    middle = sections.locator("td.for").first.bounding_box()["x"]
    for row, effect in zip(rows.all(), of["effects"], strict=True):
        bar = row.locator(".effect").bounding_box()
        is_right = bar["x"] + bar["width"] / 2 > middle
        assert is_right == (effect["effect"] > 0), effect
        assert effect["text"] in row.inner_text()
    widths = [row.locator(".effect").bounding_box()["width"] for row in rows.all()]
    assert widths == sorted(widths, reverse=True)
    letters = page.locator("dialog .track").inner_text().replace(" ", "").replace("\n", "")
    assert letters == of["sequence"]["nucleotides"]
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download JSON").click()
    explanation = json.loads(Path(begun.value.path()).read_text(encoding="utf-8"))
    assert explanation["compartments"][0]["compartment"] == "Nucleolus"
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="hsa-mir-375")).to_be_focused()


def test_everything_is_done_by_keyboard(page: Any) -> None:
    keyboard = page.keyboard

    def tab_to(selector: str) -> None:
        for _ in range(40):
            if page.locator(f"{selector}:focus").count():
                return
            keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by Tab")

    tab_to("#names")
    keyboard.type("hsa-mir-37")
    expect(page.get_by_role("option").first).to_be_visible()
    keyboard.press("ArrowDown")
    expect(page.locator("#suggestions [aria-selected=true]")).to_have_count(1)
    keyboard.press("Enter")
    expect(page.get_by_role("option")).to_have_count(0)
    keyboard.type("hsa-mir-21")
    expect(page.get_by_role("option").first).to_be_visible()
    keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    tab_to("button.main")
    keyboard.press("Enter")
    expect(page.locator("#answer-title")).to_be_focused()
    tab_to("#table thead th:nth-child(2) button")
    keyboard.press("Enter")
    expect(page.locator("#table thead th:nth-child(2)")).to_have_attribute(
        "aria-sort", "descending"
    )
    tab_to("#table tbody tr:nth-child(2) button")
    keyboard.press("Enter")
    expect(page.locator("dialog .reasons").first).to_be_visible()
    keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator("#table tbody tr:nth-child(2) button")).to_be_focused()


def test_it_fits_a_narrow_screen(open_page: Callable[..., Any], screenshots: Path) -> None:
    page = open_page(NARROW)
    page.get_by_role("button", name="Example").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator(ROWS)).to_have_count(5)
    page.screenshot(path=screenshots / "narrow_table.png", full_page=True)
    page.locator(f"{ROWS} button").first.click()
    expect(page.locator("dialog .reasons").first).to_be_visible()
    for width in ("document.documentElement.scrollWidth", "document.body.scrollWidth"):
        assert page.evaluate(width) <= NARROW["width"]
    inside = "(() => {const d = document.querySelector('dialog');"
    inside += "return d.scrollWidth <= d.clientWidth})()"
    assert page.evaluate(inside)
    box = page.locator("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW["width"]
    page.goto(f"{page.url}api")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
