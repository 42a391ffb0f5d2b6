"""MeSH: tree numbers of disease terms, and descriptors of disease names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from mirnagraph.dataset import ONTOLOGY_COLUMNS
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.table import read_table
from mirnagraph.reading.text import plain, read_text

# Entry terms of MeSH (other names of a descriptor) that disease databases use; the tree files carry
# headings only.
ENTRY_TERMS = {
    "acute kidney failure": "Acute Kidney Injury",
    "aortic stenosis": "Aortic Valve Stenosis",
    "arrhythmia": "Arrhythmias, Cardiac",
    "behcet disease": "Behcet Syndrome",
    "dengue virus infection": "Dengue",
    "diabetes mellitus, gestational": "Diabetes, Gestational",
    "fatty liver, non-alcoholic": "Non-alcoholic Fatty Liver Disease",
    "hepatitis b virus infection": "Hepatitis B",
    "hepatitis c virus infection": "Hepatitis C",
    "human immunodeficiency virus infection": "HIV Infections",
    "hypoxic-ischemic encephalopathy": "Hypoxia-Ischemia, Brain",
    "leukemia, lymphoblastic": "Precursor Cell Lymphoblastic Leukemia-Lymphoma",
    "leukemia, lymphoblastic, acute": "Precursor Cell Lymphoblastic Leukemia-Lymphoma",
    "leukemia, myeloid, chronic": "Leukemia, Myelogenous, Chronic, BCR-ABL Positive",
    "lung fibrosis": "Pulmonary Fibrosis",
    "lymphoma, hodgkin": "Hodgkin Disease",
    "plasmodium vivax infection": "Malaria, Vivax",
    "polycystic ovarian syndrome": "Polycystic Ovary Syndrome",
    "preeclampsia": "Pre-Eclampsia",
    "premature ovarian failure": "Primary Ovarian Insufficiency",
    "primary biliary cirrhosis": "Liver Cirrhosis, Biliary",
}

_SITES = {
    "cancer": "neoplasm",
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "colon": "colonic",
    "prostate": "prostatic",
    "gastric": "stomach",
}

_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u00b4`]")
"""Apostrophes of print and keyboards, which MeSH writes as '."""

_TREE_NUMBER = re.compile(r"[A-Z]\d{2}(\.\d{3})*$")


def read_mesh(path: str | Path, branches: Iterable[str] = ("C", "F03")) -> pd.DataFrame:
    """Read tree numbers of diseases.

    Reads NLM's text file (``Term;C01.252``, one per line) or a table tree_number, descriptor_ui,
    term. The text file has no descriptor ids: the term, which is unique in MeSH, takes their place.

    Args:
        path: plain or gzip file.
        branches: tree numbers that start with one of these are used.

    Returns:
        Columns ``tree_number`` (unique), ``descriptor_id``, ``term``, in file order.

    Raises:
        InputError: a line that is neither, a wrong or repeated tree number, no tree number of the
            branches.
    """
    text = plain(read_text(path))
    if text.split("\n", 1)[0].split("\t")[0].strip() == "tree_number":
        table = read_table(path, ["tree_number", "descriptor_ui", "term"])
        table = table.rename(columns={"descriptor_ui": "descriptor_id"})[ONTOLOGY_COLUMNS]
    else:
        table = _read_tree_text(text, path)
    is_wrong = ~table["tree_number"].str.match(_TREE_NUMBER)
    is_repeated = table["tree_number"].duplicated()
    flagged = table[["tree_number"]].assign(is_wrong=is_wrong)[is_wrong | is_repeated]
    raise_problems(
        InputError(
            "not a tree number" if wrong else "a duplicate tree number",
            file=path,
            line=line,
            column="tree_number",
            found=found,
            expected="a letter, 2 digits, then groups of 3" if wrong else None,
        )
        for line, found, wrong in flagged.itertuples(name=None)
    )
    selected = table[table["tree_number"].str.startswith(tuple(branches))]
    if selected.empty:
        raise InputError(
            "no tree number of the given branches",
            file=path,
            found=f"{len(table)} others",
            expected=", ".join(branches),
        )
    return selected.reset_index(drop=True)


def _read_tree_text(text: str, path: str | Path) -> pd.DataFrame:
    """NLM's text file as a table, indexed by line number."""
    rows = []
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        term, semicolon, tree_number = line.strip().rpartition(";")
        if not semicolon or not term:
            raise InputError(
                "not a line of a MeSH tree file",
                file=path,
                line=number,
                column=1,
                found=line,
                expected="Term;C01.252",
            )
        rows.append((tree_number, term, term))
        lines.append(number)
    return pd.DataFrame(rows, columns=ONTOLOGY_COLUMNS, index=pd.Index(lines, name="line"))


def match_terms(names: Iterable[str], ontology: pd.DataFrame) -> pd.DataFrame:
    """Match disease names with MeSH descriptors.

    Tried in this order: ``exact`` term; ``case`` (letters, digits and commas equal without case);
    ``inverted`` (parts around commas reversed: "Breast Carcinoma, Familial" for "Familial Breast
    Carcinoma"); ``words`` (the same words in any order, plurals aside), ``entry_term``
    (`ENTRY_TERMS`), ``site`` (words again, with cancer and tumor as neoplasm and the sites as MeSH
    writes them: "Gastric Cancer" for "Stomach Neoplasms"). A name that matches several descriptors
    is not matched.

    Returns:
        Index ``name``; columns ``descriptor_ids`` (``;``-separated, empty where none) and ``how``.
    """
    terms = ontology.drop_duplicates(["descriptor_id", "term"])
    steps: dict[str, Callable[[str], str]] = {
        "exact": str,
        "case": _folded,
        "inverted": _inverted,
        "words": _words,
        "entry_term": _entry_term,
        "site": _site,
    }
    tables: dict[str, dict[str, set[str]]] = {how: {} for how in steps}
    for descriptor, term in terms[["descriptor_id", "term"]].itertuples(index=False):
        for how, key in steps.items():
            tables[how].setdefault(key(term), set()).add(descriptor)
    queries = list(names)
    rows = []
    for name in queries:
        plain = re.sub(r"\s*\[unspecific\]$", "", _APOSTROPHES.sub("'", name.strip()))
        row = ("", "")
        for how, key in steps.items():
            descriptors = tables[how].get(key(plain), set())
            if descriptors and (len(descriptors) == 1 or how == "exact"):
                row = (";".join(sorted(descriptors)), how)
                break
        rows.append(row)
    index = pd.Index(queries, name="name", dtype=object)
    return pd.DataFrame(rows, columns=["descriptor_ids", "how"], index=index, dtype=object)


@lru_cache(maxsize=65536)
def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9,]+", " ", name.lower().replace("'s", "")).strip()


def _inverted(name: str) -> str:
    return " ".join(" ".join(reversed(_folded(name).split(","))).split())


@lru_cache(maxsize=65536)
def _words(name: str) -> str:
    return " ".join(sorted(_singular(word) for word in _inverted(name).split()))


def _singular(word: str) -> str:
    if re.search(r"[a-z]{3}ies$", word):
        return f"{word[:-3]}y"
    return re.sub(r"(?<=[a-z]{3})s$", "", word)


def _entry_term(name: str) -> str:
    return ENTRY_TERMS.get(name.lower(), name)


def _site(name: str) -> str:
    return " ".join(sorted(_SITES.get(word, word) for word in _words(name).split()))
