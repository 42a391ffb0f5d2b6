"""Dependencies: each hard one is imported, each imported package is declared,
development has all extras.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("mirnagraph", "seqtower", "fusion", "cli")
MODULE_OF = {
    "scikit-learn": "sklearn",
    "iterative-stratification": "iterstrat",
    "ViennaRNA": "RNA",
}
UNDECLARED = {"fm"}
"""RNA-FM's own package, which is not on the index; the error that asks for it says where it is."""
BROUGHT = {
    "requests": "pooch",
    "scoring_matrices": "pyopal",
    "pydantic": "fastapi",
    "starlette": "fastapi",
}
"""Modules whose types belong to the interface of a declared package, which brings them."""


@cache
def project() -> dict:
    """The table [project] of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]


def names_of(requirements: list[str]) -> set[str]:
    """Distribution names of requirements."""
    return {re.split(r"[<>=!~\[ ;]", requirement)[0] for requirement in requirements}


def module_of(distribution: str) -> str:
    """Module that a distribution is imported as."""
    return MODULE_OF.get(distribution, distribution.replace("-", "_"))


@cache
def imported_modules() -> set[str]:
    """Top-level modules imported anywhere in our packages, other than ours and Python's own."""
    found = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
    return found - set(OURS) - set(sys.stdlib_module_names)


def test_every_hard_dependency_is_imported() -> None:
    hard = names_of(project()["dependencies"])
    assert "numpy" in hard
    assert len(hard) <= 23  # llvmlite comes with numba
    assert {name for name in hard if module_of(name) not in imported_modules()} == set()


def test_every_imported_package_is_declared() -> None:
    declared = names_of(project()["dependencies"])
    for requirements in project()["optional-dependencies"].values():
        declared |= names_of(requirements)
    allowed = {module_of(name) for name in declared} | UNDECLARED | set(BROUGHT)
    assert set(BROUGHT.values()) <= declared
    assert imported_modules() - allowed == set()


def test_development_has_every_extra_that_is_imported() -> None:
    extras = project()["optional-dependencies"]
    dev = names_of(extras["dev"])
    lacking = set()
    for extra, requirements in extras.items():
        if extra != "dev":
            needed = {
                name for name in names_of(requirements) if module_of(name) in imported_modules()
            }
            lacking |= needed - dev
    assert lacking == set()


def test_the_private_fields_of_scikit_learn_are_bounded_by_version() -> None:
    (requirement,) = [one for one in project()["dependencies"] if one.startswith("scikit-learn")]
    assert re.search(r",<\d+\.\d+", requirement), requirement
    readers = []
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "._predictors" in text or "._baseline_prediction" in text:
                readers.append(path.relative_to(ROOT).as_posix())
    assert readers == ["mirnagraph/trees.py"]
