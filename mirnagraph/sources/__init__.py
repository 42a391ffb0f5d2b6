"""Readers of public formats: one module per source, each ending in DataFrames with named columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mirnagraph.errors import ConfigError, InputError

if TYPE_CHECKING:
    from mirnagraph.dataset import Dataset


def load_dataset(name_or_folder: str | Path) -> Dataset:
    """Open a dataset by name or folder.

    Args:
        name_or_folder: ``"demo"`` (made-up, embedded); a name of the catalog (``"mirna1041"``), looked for under
            ``$MIRNAGRAPH_DATA`` and then in the user's cache; otherwise a folder that `Dataset.save` wrote. A folder of the
            same name as a dataset is meant by ``./demo``.

    Raises:
        ConfigError: a named dataset is nowhere, or the name is of a piece that is no dataset by itself.
        InputError: no such folder, or not a dataset.
    """
    from mirnagraph import catalog
    from mirnagraph.dataset import Dataset

    name = str(name_or_folder)
    if name == "demo":
        from mirnagraph.synthetic import demo_dataset

        return demo_dataset()
    known = {entry.name: entry for entry in catalog.entries()}
    if name in known:
        if not known[name].loadable:
            loadable = ", ".join(["demo", *(one.name for one in known.values() if one.loadable)])
            raise ConfigError(
                f"{name!r} is a table to build a dataset with, no dataset by itself; datasets: {loadable}, or a folder"
            )
        from mirnagraph.sources import mirna1041

        return {"mirna1041": mirna1041.load}[name](catalog.find(name))
    folder = Path(name_or_folder)
    if not folder.exists():
        names = ", ".join(["demo", *(one.name for one in known.values() if one.loadable)])
        raise InputError(
            "no such dataset",
            file=folder,
            found="neither a name nor a folder",
            expected=f"{names}, or a folder written by Dataset.save",
        )
    return Dataset.load(folder)
