"""Logos of motifs on the page: values worked by hand, and what is said where there are none."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import numpy as np
import pytest

from fusion.report.blocks import LOGO, Chart, Table, Text
from fusion.report.page import Chapter, picture_address, render
from fusion.report.sequence import (
    N_LOGOS,
    attribution_sections,
    by_chance,
    information,
    logo_data,
    motif_sections,
)
from seqtower.data.motifs import Motif, write_meme

CERTAIN = [1.0, 0, 0, 0]
HALF = [0, 0.5, 0.5, 0]
EVEN = [0.25] * 4


def motif(name: str, *rows: list[float], sites: int = 100) -> Motif:
    return Motif(name, np.array(rows), sites)


def test_height_is_frequency_times_information() -> None:
    """Certain: 2 bits of A. Two alike: 1 bit, half each. Even: nothing. 3/4 and 1/4: .8113 off."""
    heights = information(np.array([CERTAIN, HALF, EVEN, [0.75, 0.25, 0, 0]]))
    entropy = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert entropy == pytest.approx(0.811278)
    bits = 2 - entropy
    expected = [[2, 0, 0, 0], [0, 0.5, 0.5, 0], [0] * 4, [0.75 * bits, 0.25 * bits, 0, 0]]
    np.testing.assert_allclose(heights, expected)


def test_few_sites_have_information_by_chance() -> None:
    """(4 - 1) / (2 ln 2 n), Schneider et al. 1986: .2164 bits of ten sites."""
    assert by_chance(10) == pytest.approx(3 / (20 * 0.6931472))


def test_motifs_are_ordered_by_information_beyond_chance() -> None:
    """`few` has 2 - .72 bits of three sites, `many` 1 + 1 - 2 x .0216: the latter comes first."""
    table = logo_data([motif("few", CERTAIN, sites=3), motif("many", HALF, HALF)], {"many": "HuR"})
    panels = list(dict.fromkeys(table["panel"]))
    assert panels == ["many (100 sites), like HuR", "few (3 sites)"]
    first = table[table["panel"] == panels[0]]
    assert first["series"].tolist() == [letter for letter in "ACGU" for _ in range(2)]
    assert first["x"].tolist() == [1, 2] * 4
    assert first["y"].tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0]


def test_some_of_many_motifs_are_drawn() -> None:
    many = [motif(f"filter_{number}", HALF) for number in range(N_LOGOS + 3)]
    assert logo_data(many, {})["panel"].nunique() == N_LOGOS


def test_logos_are_on_the_page_as_pictures(tmp_path: Path) -> None:
    pytest.importorskip("logomaker")
    write_meme([motif("filter_<b>", CERTAIN, HALF), motif("filter_2", EVEN, HALF)],
               tmp_path / "motifs.meme")  # fmt: skip
    (tmp_path / "motif_matches.tsv").write_text(
        "motif\tknown\tp_value\tq_value\toffset\toverlap\n"
        "filter_2\tHuR\t0.001\t0.012\t0\t2\nfilter_2\tPUM2\t0.02\t0.2\t0\t2\n"
    )
    (section,) = motif_sections([tmp_path])
    chart, table = section.blocks
    assert isinstance(chart, Chart)
    assert chart.shape == LOGO
    assert chart.panels == ["filter_<b> (100 sites)", "filter_2 (100 sites), like HuR"]
    assert isinstance(table, Table)
    assert table.rows == (("filter_2", "HuR", "0.001", "0.012"),)
    address = picture_address(chart)
    drawn = base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")).decode()
    assert drawn.count("<svg") == 1
    assert "filter_2 (100 sites), like HuR" in drawn
    assert address == picture_address(chart)
    pytest.importorskip("plotly")
    page = render([Chapter("Motifs", (section,))], [])
    assert f'src="{address}"' in page
    assert "filter_&lt;b&gt;" in page
    assert "filter_<b>" not in page


def test_without_logomaker_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_meme([motif("filter_1", HALF)], tmp_path / "motifs.meme")
    monkeypatch.setitem(sys.modules, "logomaker", None)
    (section,) = motif_sections([tmp_path])
    text, compared = section.blocks
    assert isinstance(text, Text)
    assert "pip install 'mirnagraph[interpret]'" in text.text
    assert isinstance(compared, Text)
    assert "--motifs" in compared.text


def test_nothing_found_is_no_error(tmp_path: Path) -> None:
    """`seq explain` writes files without motifs and without zipcodes too."""
    assert motif_sections([tmp_path]) == []
    write_meme([], tmp_path / "motifs.meme")
    (section,) = motif_sections([tmp_path])
    assert section.blocks == (Text("No filter has enough sites for a motif."),)
    (tmp_path / "attribution.tsv").write_text("rna_id\tposition\tletter\tNucleus\nr\t0\tA\t0.5\n")
    (tmp_path / "zipcodes.bed").write_text("\n")
    (section,) = attribution_sections([tmp_path])
    assert "No zipcode" in section.blocks[1].text
