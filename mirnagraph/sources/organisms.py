"""Species of miRBase: prefixes, Latin and common names."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.schema import is_count
from mirnagraph.reading.table import cell_problems, read_table

COMMON_NAMES = {
    "arabidopsis": "ath",
    "barley": "hvu",
    "cat": "fca",
    "cattle": "bta",
    "chicken": "gga",
    "chimpanzee": "ptr",
    "cow": "bta",
    "dog": "cfa",
    "fruit fly": "dme",
    "goat": "chi",
    "gorilla": "ggo",
    "grape": "vvi",
    "honey bee": "ame",
    "horse": "eca",
    "human": "hsa",
    "macaque": "mml",
    "maize": "zma",
    "man": "hsa",
    "mouse": "mmu",
    "nematode": "cel",
    "orangutan": "ppy",
    "pig": "ssc",
    "rabbit": "ocu",
    "rat": "rno",
    "rhesus macaque": "mml",
    "rice": "osa",
    "sheep": "oar",
    "silkworm": "bmo",
    "soybean": "gma",
    "tomato": "sly",
    "wheat": "tae",
    "xenopus": "xtr",
    "zebrafish": "dre",
}
"""Common names of species -> their prefix in miRBase."""


def read_organisms(path: str | Path) -> pd.DataFrame:
    """Read the table of species.

    Returns:
        Index ``prefix``; columns ``name`` (Latin) and ``n_hairpin``.

    Raises:
        InputError: a missing column, or a number of hairpins that is none.
    """
    table = read_table(path, ["prefix", "name", "n_hairpin"])
    is_wrong = ~is_count(table["n_hairpin"])
    raise_problems(cell_problems(table, "n_hairpin", is_wrong, "not a number", path, "a count"))
    table["n_hairpin"] = pd.to_numeric(table["n_hairpin"]).astype(int)
    return table.set_index("prefix")[["name", "n_hairpin"]]


def species_code(species: str, organisms: pd.DataFrame) -> str:
    """Find the prefix of a species.

    Args:
        species: prefix, Latin name or common name, without case.
        organisms: of `read_organisms`.

    Raises:
        InputError: unknown, or without any hairpin; with the nearest prefixes and names.
    """
    text = " ".join(species.split()).lower()
    text = COMMON_NAMES.get(text, text)
    latin = {str(name).lower(): str(code) for code, name in organisms["name"].items()}
    code = latin.get(text, text)
    if code in organisms.index and organisms.at[code, "n_hairpin"]:
        return code
    choices = {str(prefix): str(prefix) for prefix in organisms.index} | latin
    choices |= {name: prefix for name, prefix in COMMON_NAMES.items() if prefix in choices}
    similar = [name for name in choices if text and text in name.split()]
    similar += get_close_matches(text, choices, 6, 0.6)
    near = dict.fromkeys(choices[name] for name in similar)
    latin_of = organisms["name"].to_dict()
    named = [f"{prefix} ({latin_of[prefix]})" for prefix in list(near)[:4]]
    what = "a species without an entry in miRBase" if code in organisms.index else "unknown species"
    if named:
        expected = f"such as {', '.join(named)}"
    else:
        expected = f"one of {len(organisms)} prefixes, such as hsa, mmu, rno"
    raise InputError(what, found=species, expected=expected)
