"""Datasets by name or folder, built of their files where that has not been done."""

from __future__ import annotations

from pathlib import Path

from mirnagraph import catalog
from mirnagraph.dataset import Dataset
from mirnagraph.recipes.build import build_dataset
from mirnagraph.recipes.places import Places
from mirnagraph.recipes.recipe import read_recipe
from mirnagraph.sources import LOADERS
from mirnagraph.sources import load_dataset as load_built


def load_dataset(name_or_folder: str | Path) -> Dataset:
    """Open a dataset by name or folder; one whose files are there is built of them.

    Args:
        name_or_folder: see `mirnagraph.sources.load_dataset`.

    Raises:
        ConfigError, InputError: see `mirnagraph.sources.load_dataset`; a missing or wrong file.
    """
    name = str(name_or_folder)
    entry = next((known for known in catalog.entries() if known.name == name), None)
    is_of_recipe = entry is not None and entry.recipe and name not in LOADERS
    if not is_of_recipe or catalog.built_folder(name) is not None:
        return load_built(name_or_folder)
    folders = (catalog.find(name), *Places.of(name, None).folders)
    return build_dataset(read_recipe(name), places=Places(folders)).dataset
