"""Every kind of bad input and every report of a wrong result that was ever listed has its test."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

N_LINES = 114
"""92 kinds of bad input, 22 reports on wrong results."""


def lines() -> list[list[str]]:
    """Id, what it is, and its test as ``file::function``."""
    text = (Path(__file__).parent / "lines.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_line_has_a_test() -> None:
    without = []
    for line, _, test in lines():
        file, _, function = test.partition("::")
        if function not in functions(ROOT / file):
            without.append(line)
    assert without == []


def test_no_line_is_missing() -> None:
    ids = [line[0] for line in lines()]
    assert len(set(ids)) == len(ids) == N_LINES
