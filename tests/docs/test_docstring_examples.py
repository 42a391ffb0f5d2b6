"""Examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
from documented import ROOT

PACKAGES = ("mirnagraph", "seqtower", "fusion", "cli")

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]

NEED_A_RUN = {"fusion.api.cross_validate", "fusion.api.predict", "fusion.enrichment.enrich"}
"""Examples with a run of one's own; the notebooks and the tutorial do the same with the demo."""


def test_there_are_examples() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        if test.name not in NEED_A_RUN:
            runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
