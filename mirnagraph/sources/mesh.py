"""MeSH: tree numbers of disease terms, and disease names of other databases matched to descriptors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import read_table, read_text

ONTOLOGY_COLUMNS = ["tree_number", "descriptor_id", "term"]

# Entry terms of MeSH (other names of a descriptor) that disease databases use; the tree files carry headings only.
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

_TREE_NUMBER = re.compile(r"[A-Z]\d{2}(\.\d{3})*$")


def read_mesh(path: str | Path, branches: Iterable[str] = ("C", "F03")) -> pd.DataFrame:
    """Tree numbers from NLM's text file (``Term;C01.252``, one per line) or a table tree_number, descriptor_ui, term.

    The text file has no descriptor ids: there the term stands for its descriptor, since a MeSH heading is unique.

    Args:
        branches: keep tree numbers that start with one of these.

    Returns:
        Columns ``tree_number`` (unique), ``descriptor_id``, ``term``, in file order.

    Raises:
        InputError: a line that is neither, a wrong or repeated tree number, no tree number of the branches.
    """
    text = read_text(path)
    if text.split("\n", 1)[0].split("\t")[0].strip() == "tree_number":
        table = read_table(path, ["tree_number", "descriptor_ui", "term"]).rename(
            columns={"descriptor_ui": "descriptor_id"}
        )[ONTOLOGY_COLUMNS]
    else:
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
        table = pd.DataFrame(rows, columns=ONTOLOGY_COLUMNS, index=pd.Index(lines, name="line"))
    wrong = ~table["tree_number"].str.match(_TREE_NUMBER)
    twice = table["tree_number"].duplicated()
    expected = "a letter, 2 digits, then groups of 3"
    raise_problems(
        InputError(
            "not a tree number" if wrong[line] else "a tree number stands twice",
            file=path,
            line=int(line),
            column="tree_number",
            found=table.at[line, "tree_number"],
            expected=expected if wrong[line] else None,
        )
        for line in table.index[wrong | twice]
    )
    kept = table[table["tree_number"].str.startswith(tuple(branches))]
    if kept.empty:
        raise InputError(
            "no tree number of the chosen branches",
            file=path,
            found=f"{len(table)} others",
            expected=", ".join(branches),
        )
    return kept.reset_index(drop=True)


def match_terms(names: Iterable[str], ontology: pd.DataFrame) -> pd.DataFrame:
    """Find the MeSH descriptors that disease names mean.

    Tried in this order: ``exact`` term; ``case`` (letters, digits and commas equal without case); ``inverted`` (parts around
    commas turned round: "Breast Carcinoma, Familial" for "Familial Breast Carcinoma"); ``words`` (the same words in any
    order, plurals aside), ``entry_term`` (`ENTRY_TERMS`), ``site`` (words again, with cancer and tumor as neoplasm and the
    sites as MeSH writes them: "Gastric Cancer" for "Stomach Neoplasms"). A name that could mean several descriptors is not
    matched.

    Returns:
        Index ``name``; columns ``descriptor_ids`` (``;``-separated, empty where none) and ``how``.
    """
    terms = ontology.drop_duplicates(["descriptor_id", "term"])
    steps: dict[str, Callable[[str], str]] = {
        "exact": str,
        "case": _folded,
        "inverted": _turned,
        "words": _words,
        "entry_term": _entry_term,
        "site": _site,
    }
    tables = {}
    for how, key in steps.items():
        table: dict[str, set[str]] = {}
        for descriptor, term in terms[["descriptor_id", "term"]].itertuples(index=False):
            table.setdefault(key(term), set()).add(descriptor)
        tables[how] = table
    rows = []
    for name in (asked := list(names)):
        plain = re.sub(r"\s*\[unspecific\]$", "", name.strip())
        row = ("", "")
        for how, key in steps.items():
            found = tables[how].get(key(plain), set())
            if found and (len(found) == 1 or how == "exact"):
                row = (";".join(sorted(found)), how)
                break
        rows.append(row)
    return pd.DataFrame(
        rows,
        columns=["descriptor_ids", "how"],
        index=pd.Index(asked, name="name", dtype=object),
        dtype=object,
    )


@lru_cache(maxsize=65536)
def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9,]+", " ", name.lower().replace("'s", "")).strip()


def _turned(name: str) -> str:
    return " ".join(" ".join(reversed(_folded(name).split(","))).split())


@lru_cache(maxsize=65536)
def _words(name: str) -> str:
    return " ".join(
        sorted(
            re.sub(r"(?<=[a-z]{3})(ies|s)$", lambda end: "y" if end.group() == "ies" else "", word)
            for word in _turned(name).split()
        )
    )


def _entry_term(name: str) -> str:
    return ENTRY_TERMS.get(name.lower(), name)


def _site(name: str) -> str:
    return " ".join(sorted(_SITES.get(word, word) for word in _words(name).split()))
