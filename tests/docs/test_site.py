"""The documentation site: built without a warning, nothing from outside, no path of a machine."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from documented import ROOT

pytest.importorskip("mkdocs")
pytest.importorskip("material")
pytest.importorskip("mkdocstrings")

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""Elements whose attribute a browser loads."""

MACHINE = re.compile(r"(?<![\w.*-])/(home|root|tmp|work|Users)/")


class Loads(HTMLParser):
    """Addresses outside the site that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address and re.match(r"(https?:)?//", address):
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as by `make docs`."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_it_loads_nothing_from_outside(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        parser = Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.found == [], page.relative_to(site)
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(['\"]?https?:", text), style.name


@pytest.mark.slow
def test_equations_outputs_and_docstrings_are_shown(site: Path) -> None:
    graph = (site / "methods/graph.html").read_text(encoding="utf-8")
    assert '<pre class="equation">' in graph
    assert "a<sub>ij</sub> = w<sub>ij</sub> exp(e<sub>ij</sub>)" in graph
    names = (site / "names.html").read_text(encoding="utf-8")
    assert "```" not in names
    api = (site / "api/similarity.html").read_text(encoding="utf-8")
    assert "disease_semantic_similarity" in api
    assert "<table>" in (site / "notebooks/graph_tower.html").read_text(encoding="utf-8")
    assert (site / "reference/model-card.html").is_file()


def test_every_page_of_the_menu_exists() -> None:
    """In `mkdocs.yml` a missing one is no warning, since SECURITY.md and others may come later."""
    menu = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    made = {"changelog.md", "reference/model-card.md", "reference/atlas.md"}
    made |= {"reference/demo-data.md", "reference/transcript-weights.md"}
    made |= {f"notebooks/{path.stem}.md" for path in (ROOT / "docs/notebooks").glob("*.ipynb")}
    later = {"serve.md", "errors.md", "security.md"}
    assert len(menu) > 40
    missing = {page for page in menu if not (ROOT / "docs" / page).is_file()} - made - later
    assert missing == set()


def test_nothing_names_a_machine() -> None:
    files = [ROOT / "README.md", ROOT / "mkdocs.yml"]
    files += [
        path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".ipynb", ".toml")
    ]
    for path in files:
        assert not MACHINE.search(path.read_text(encoding="utf-8")), path.relative_to(ROOT)


def test_the_readme_is_one_screen_with_a_picture_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) < 7000
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
    assert any(link.endswith(".png") for link in links)


def test_figures_of_the_readme_are_those_of_the_results() -> None:
    """Rounded to three digits, AUC / AUPR and within of the whole, its neural part and trees."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    home = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    results = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for start in ("**`default`, whole**", "part `neural`", "baseline `trees`"):
        row = next(line for line in results.splitlines() if line.startswith(f"| {start}"))
        exact = [float(number) for number in re.findall(r"\.\d{4}", row)]
        assert len(exact) == 12
        shown = next(line for line in readme.splitlines() if line.startswith(f"| {start}"))
        rounded = [float(number) for number in re.findall(r"\.\d{3}", shown)]
        assert rounded == pytest.approx(exact, abs=0.00051)
        cells = shown.replace("*", "").split("|")[2:-1]
        assert all(cell.strip() in home for cell in cells), "the first page has the same figures"
