"""Where the files of a recipe lie, and the species that it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mirnagraph.catalog import cache_folder
from mirnagraph.config import nearest
from mirnagraph.errors import ConfigError, InputError, raise_problems
from mirnagraph.io import read_table

ORGANISMS = "mirbase_all/organisms.tsv"

COMMON: Mapping[str, str] = MappingProxyType(
    {"hsa": "Homo sapiens", "mmu": "Mus musculus", "rno": "Rattus norvegicus"}
)
"""Prefix -> Latin name of the species that need no table of miRBase's organisms."""


@dataclass(frozen=True)
class Places:
    """Folders in which the files of a recipe are looked for, in order.

    Attributes:
        folders: folder of the recipe, ``$MIRNAGRAPH_DATA``, and the cache of `catalog.fetch`.
    """

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, name: str, folder: Path | None) -> Places:
        """The places of a recipe.

        Args:
            name: of the recipe, which names its folder in the cache.
            folder: of the recipe; None for a shipped one.
        """
        data = os.environ.get("MIRNAGRAPH_DATA")
        folders = [folder, Path(data) if data else None, cache_folder() / name]
        return cls(tuple(place for place in folders if place is not None))

    def find(self, path: str, where: str) -> Path:
        """Find a file or folder.

        Args:
            path: as in the recipe.
            where: the setting, for errors.

        Raises:
            InputError: it is in no folder; names all of them.
        """
        found = self.find_or_none(path)
        if found is None:
            raise self._absent(path, where)
        return found

    def check(self, files: Iterable[tuple[str, str]]) -> None:
        """Raise InputError for all of the files, as path and setting, that are in no folder."""
        raise_problems(
            self._absent(path, where)
            for path, where in dict(files).items()
            if self.find_or_none(path) is None
        )

    def _absent(self, path: str, where: str) -> InputError:
        searched = ", ".join(str(folder) for folder in self.folders)
        return InputError(
            f"no such file or folder, named by {where} of the recipe",
            file=path,
            expected=f"in one of {searched}",
            hint=None if os.environ.get("MIRNAGRAPH_DATA") else "$MIRNAGRAPH_DATA is not set",
        )

    def find_or_none(self, path: str) -> Path | None:
        """Find a file or folder; None where it is in no folder."""
        candidates = (folder / path for folder in self.folders)
        return next((candidate for candidate in candidates if candidate.exists()), None)


@dataclass(frozen=True)
class Species:
    """A species.

    Attributes:
        prefix: of miRBase ids, such as ``"hsa"``; empty where miRBase has none.
        latin: name, such as ``"Homo sapiens"``.
    """

    prefix: str
    latin: str


def species_of(text: str, places: Places, *, in_mirbase: bool) -> Species:
    """Find a species by its prefix or Latin name, in any letter case.

    Args:
        text: as in the recipe.
        places: where miRBase's table of organisms may lie.
        in_mirbase: whether it must be one of miRBase.

    Raises:
        ConfigError: an unknown species, with the nearest name.
    """
    known = dict(COMMON)
    path = places.find_or_none(ORGANISMS)
    if path is not None:
        table = read_table(path, ["prefix", "name"])
        known |= dict(zip(table["prefix"], table["name"], strict=True))
    plain = " ".join(text.split()).lower()
    for prefix, latin in known.items():
        if plain in (prefix.lower(), latin.lower()):
            return Species(prefix, latin)
    words = text.split()
    if not in_mirbase and len(words) > 1 and words[0].istitle():
        return Species("", " ".join(words))
    names = {name.lower(): name for pair in known.items() for name in pair}
    near = nearest(plain, list(names))
    if "did you mean" in near:
        near = f"; did you mean {names[near.split(chr(39))[1]]!r}?"
    else:
        near = f"; known: {len(known)} prefixes and Latin names, such as hsa or Mus musculus"
    if path is None:
        near += f" (other species need miRBase's table {ORGANISMS}, which is not there)"
    raise ConfigError(f"unknown species {text!r}{near}")
