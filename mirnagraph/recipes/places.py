"""Where the files of a recipe lie, and the species that it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mirnagraph.catalog import cache_folder
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.sources.organisms import read_organisms, species_code

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
    """Find a species by its prefix, Latin or common name, in any letter case.

    Args:
        text: as in the recipe.
        places: where miRBase's table of organisms may lie.
        in_mirbase: whether it must be one of miRBase.

    Raises:
        InputError: an unknown species, with the nearest names.
    """
    path = places.find_or_none(ORGANISMS)
    if path is None:
        organisms = pd.DataFrame({"name": dict(COMMON), "n_hairpin": 1})
    else:
        organisms = read_organisms(path)
    try:
        code = species_code(text, organisms)
        return Species(code, str(organisms.at[code, "name"]))
    except InputError as error:
        words = text.split()
        if not in_mirbase and len(words) > 1 and words[0].istitle():
            return Species("", " ".join(words))
        hint = f"miRBase's table {ORGANISMS} of other species is not there"
        raise InputError(
            f"setting 'species' of the recipe: {error.what}",
            found=error.found,
            expected=error.expected,
            hint=hint if path is None else None,
        ) from None
