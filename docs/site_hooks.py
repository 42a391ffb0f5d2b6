"""Hooks of the documentation site: pages made of files outside docs/, and notebooks as pages."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "data/README.md": "reference/demo-data.md",
    "data/atlas/README.md": "reference/atlas.md",
    "fusion/shipped/README.md": "reference/model-card.md",
    "seqtower/weights/README.md": "reference/transcript-weights.md",
}
"""File of the source tree -> page of the site, for files that people read there too."""

NOTEBOOKS = "notebooks"

LINK = re.compile(r"(\]\()([^)\s#]+\.(?:md|ipynb))(#[^)\s]*)?(\))")

FENCE = re.compile(r"^(\s*```console)(?:[ ]+\w+)+$", re.MULTILINE)

EQUATION = re.compile(r'<pre class="equation">.*?</pre>', re.DOTALL)

TABLE = re.compile(r"<table[^>]*>(.*?)</table>", re.DOTALL)

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file of `OUTSIDE`, and one for each notebook."""
    from mkdocs.structure.files import File

    docs = Path(config.docs_dir)
    for source, target in OUTSIDE.items():
        path = docs.parent / source
        if path.is_file():
            text = FRONT_MATTER.sub("", path.read_text(encoding="utf-8"))
            text = relink(text, posixpath.dirname(source), posixpath.dirname(target))
            files.append(File.generated(config, target, content=text))
    for path in sorted((docs / NOTEBOOKS).glob("*.ipynb")):
        page = notebook_page(json.loads(path.read_text(encoding="utf-8")), path.name)
        target = f"{NOTEBOOKS}/{path.stem}.md"
        files.append(File.generated(config, target, content=page))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Send links out of docs/ to the pages made of those files; drop marks for the tests."""
    source = page.file.src_uri
    if page.file.generated_by is None:
        folder = posixpath.dirname(source)
        markdown = relink(markdown, posixpath.join("docs", folder), folder)
    return FENCE.sub(r"\1", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Lower and raise the indices of equations."""
    return EQUATION.sub(lambda match: indices(match.group(0)), html)


def indices(equation: str) -> str:
    """Write ``a_ij`` and ``x_(t+1)`` with a subscript, ``P^k`` with a superscript."""
    equation = re.sub(r"_(?:\(([^)]*)\)|([A-Za-z0-9]+))", r"<sub>\1\2</sub>", equation)
    return re.sub(r"\^([A-Za-z0-9]+)", r"<sup>\1</sup>", equation)


def relink(text: str, folder: str, page_folder: str) -> str:
    """Rewrite links to files of the source tree as links between pages of the site.

    Args:
        text: Markdown.
        folder: folder that links are relative to, from the root of the source tree.
        page_folder: folder of the page, from the root of the site.
    """

    def replace(match: re.Match[str]) -> str:
        start, link, anchor, end = match.groups()
        if "://" in link:
            return match.group(0)
        target = posixpath.normpath(posixpath.join(folder, link))
        target = OUTSIDE.get(target, target.removeprefix("docs/"))
        target = re.sub(r"\.ipynb$", ".md", target)
        relative = posixpath.relpath(target, page_folder or ".")
        return f"{start}{relative}{anchor or ''}{end}"

    return LINK.sub(replace, text)


def notebook_page(notebook: dict[str, Any], name: str) -> str:
    """Markdown of a notebook with the outputs that are stored in it."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [block for output in cell["outputs"] if (block := output_block(output))]
    title, *rest = parts
    download = f"[Download this notebook]({name}){{ download }}"
    return "\n\n".join([title, download, *rest]) + "\n"


def output_block(output: dict[str, Any]) -> str:
    """Markdown of one output: its table, its picture or its text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f"![Output](data:image/png;base64,{''.join(data['image/png']).strip()})"
    if "text/html" in data:
        html = TABLE.search("".join(data["text/html"]))
        lines = html.group(1).splitlines() if html else []
        return "\n".join(["<table>", *(line for line in lines if line.strip()), "</table>"])
    text = "".join(output.get("text", "") or data.get("text/plain", ""))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
