"""No module opens text around `mirnagraph.reading`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

OPENS = {"open", "read_text", "read_bytes", "loadtxt", "genfromtxt", "fromfile", "ParquetFile"}
"""Methods that open a file, whatever they belong to."""

PANDAS = {"read_csv", "read_table", "read_fwf", "read_excel", "read_json", "read_parquet"}

ALLOWED = {
    "mirnagraph.reading.text": "the reader",
    "mirnagraph.reading.parquet": "the reader",
    "mirnagraph.reading.tensors": "the first bytes of a safetensors file, no text",
    "mirnagraph.io": "checksums and fsync of bytes",
    "mirnagraph.catalog": "bytes of downloads, and the catalogue of the package",
    "mirnagraph.config": "presets of the package",
    "mirnagraph.recipes.recipe": "recipes of the package",
    "fusion.experiments.search_space": "search spaces of the package",
    "mirnagraph.measurements": "pyarrow reads from memory what the reader read",
    "mirnagraph.writing.disk": "the writer",
    "mirnagraph.writing.files": "the writer",
    "mirnagraph.writing.folders": "the writer",
    "mirnagraph.writing.locks": "the lock of a folder",
    "mirnagraph.writing.marker": "the list of a folder, bounded",
    "mirnagraph.writing.temporary": "the writer",
    "cli.end": "no stream any more",
    "fusion.serve.service": "bytes of a table that it wrote",
    "seqtower.encoders.cache": "arrays of its own cache",
    "seqtower.encoders.tis_weights": "weights of the package",
}
"""Module -> why it may."""


def openings(tree: ast.AST) -> list[int]:
    """Lines of calls that open a file for reading."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            lines.append(node.lineno)
        elif isinstance(function, ast.Attribute):
            owner = getattr(function.value, "id", "")
            is_pandas = function.attr in PANDAS and owner in ("pd", "pandas", "csv")
            if function.attr in OPENS or is_pandas:
                lines.append(node.lineno)
    return lines


def test_no_module_opens_text_around_the_reader() -> None:
    code = "open('a'); p.read_text(); pd.read_csv(p); read_text(p); tables.read_table(p); "
    assert len(openings(ast.parse(code + "parquet.ParquetFile(p)"))) == 4
    found = {}
    for floor in ("mirnagraph", "seqtower", "fusion", "cli"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            lines = openings(ast.parse(path.read_text(encoding="utf-8")))
            if lines:
                found[name] = lines
    assert {name: lines for name, lines in found.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) - set(found) == set(), "an entry of ALLOWED that opens nothing"
