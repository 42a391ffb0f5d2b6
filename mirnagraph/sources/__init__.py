"""Readers of public databases and formats, one module each; datasets by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.reading.arguments import checked

if TYPE_CHECKING:
    from mirnagraph.dataset import Dataset

LOADERS = ("mirna1041", "circloc")
"""Datasets that are read from their files without a recipe."""


@checked
def load_dataset(name_or_folder: str | Path) -> Dataset:
    """Open a dataset by name or folder.

    Args:
        name_or_folder: ``"demo"`` (synthetic, embedded); a name of the catalog (``"mirna1041"``,
            ``"circloc"``), searched in ``$MIRNAGRAPH_DATA`` and then in the user's cache; otherwise
            a folder written by `Dataset.save`. Write ``./demo`` for a folder with the name of a
            dataset.

    Raises:
        ConfigError: a named dataset was not found, or the name is of a table that is no dataset.
        InputError: no such folder, or not a dataset.
    """
    from mirnagraph import catalog
    from mirnagraph.dataset import Dataset

    name = str(name_or_folder)
    if name == "demo":
        from mirnagraph.synthetic import demo_dataset

        return demo_dataset()
    is_loadable = {entry.name: entry.loadable for entry in catalog.entries()}
    datasets = ", ".join(["demo", *(known for known in is_loadable if is_loadable[known])])
    if name in is_loadable:
        if not is_loadable[name]:
            raise ConfigError(
                f"{name!r} is a table to build a dataset with, no dataset by itself; "
                f"datasets: {datasets}, or a folder"
            )
        built = catalog.built_folder(name)
        if built is not None and not (name in LOADERS and catalog.is_in_data_folder(name)):
            return Dataset.load(built)
        folder = catalog.find(name)
        if name in LOADERS:
            from mirnagraph.sources import circloc, mirna1041

            loaders = {"mirna1041": mirna1041.load, "circloc": circloc.load}
            return loaders[name](folder)
        raise ConfigError(
            f"dataset {name!r} is not built of its files in {folder}; build it with: "
            f"mirnagraph build-dataset {name} --out {name}, and give that folder"
        )
    folder = Path(name_or_folder)
    if not folder.exists():
        raise InputError(
            "no such dataset",
            file=folder,
            found="neither a name nor a folder",
            expected=f"{datasets}, or a folder written by Dataset.save",
        )
    return Dataset.load(folder)
