"""Markdown of report pages, number cells and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mirnagraph.io import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_TAG = re.compile(r"<(?=[a-zA-Z/!?])")

# A target that is no name of a file or folder next to the page.
_OUTSIDE = re.compile(r"\]\((?![\w\-]+(?:[./][\w\-]+)*\))")


def join_blocks(*blocks: str) -> str:
    """Join blocks with an empty line between them; empty blocks are left out."""
    return "\n\n".join(block for block in blocks if block)


def page(title: str, *blocks: str, synthetic: bool = False) -> str:
    """A whole page.

    Args:
        title: without its mark.
        blocks: paragraphs, tables, lists and sections, without empty lines around them.
        synthetic: the data are synthetic, which is stated below the title.
    """
    note = ""
    if synthetic:
        note = (
            "**Synthetic data**: this page shows how the tool works. Its values say nothing about "
            "biology."
        )
    return harmless(join_blocks(f"# {title}", note, *blocks)) + "\n"


def harmless(text: str) -> str:
    r"""Markdown that runs and loads nothing, whatever names are in it.

    HTML shows as text; links and pictures lead to files next to the page alone.

    >>> harmless("a <b> [x](http://y) ![roc](roc.png)")
    'a &lt;b> [x]\\(http://y) ![roc](roc.png)'
    """
    return _OUTSIDE.sub(r"]\\(", _TAG.sub("&lt;", text))


def section(title: str, *blocks: str) -> str:
    """A section of a page; empty where all its blocks are."""
    text = join_blocks(*blocks)
    return join_blocks(f"## {title}", text) if text else ""


def bullets(lines: Iterable[str]) -> str:
    """A list with one entry a line."""
    return "\n".join(f"- {line}" for line in lines)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a vertical bar or a line end in a cell does not end it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").splitlines())


def finite_or_dash(value: float, digits: int = 3) -> str:
    """A number with a fixed number of decimals, a dash where it is undefined."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def mean_sd(mean: float, sd: float) -> str:
    """``mean ± SD`` with three decimals; the mean alone where the SD is undefined."""
    if not np.isfinite(mean) or not np.isfinite(sd):
        return finite_or_dash(mean)
    return f"{mean:.3f} ± {sd:.3f}"


def difference_cell(difference: float, low: float, high: float, *, digits: int = 4) -> str:
    """A signed difference with its interval, ``+0.01 [-0.02, +0.04]``; a dash if undefined."""
    if not np.isfinite(difference):
        return "-"
    if not np.isfinite(low):
        return f"{difference:+.{digits}f}"
    return f"{difference:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure."""
    with write_file(path) as part:
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
