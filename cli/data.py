"""`mirnagraph fetch` and `mirnagraph build-networks`: public datasets and their networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from cli.common import (
    ConfigOption,
    OutputFolderOption,
    OverwriteOption,
    QuietOption,
    SchedulerOption,
    WorkersOption,
    dataset_title,
    show_frame,
    show_table,
)
from cli.messages import progress_bars, say
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from mirnagraph.catalog import ByHand, CatalogEntry
    from mirnagraph.networks.network import NetworkSet

BUILD_EPILOG = "Example: `mirnagraph build-networks --data mirna1041 --out networks`"

FETCH_EPILOG = "Example: `mirnagraph fetch mirna1041`"

DataOption = Annotated[
    str,
    Option(
        help="Dataset: demo (synthetic), mirna1041 (public benchmark, from $MIRNAGRAPH_DATA or the "
        "cache of `fetch`), circloc (circRNAs, from $MIRNAGRAPH_DATA), another name that `fetch` "
        "builds, or a dataset folder."
    ),
]

CutoffOption = Annotated[
    float | None,
    Option(
        help="Similarity above which two RNAs are linked in the functional network, 0 to 1.",
        show_default="0.6",
    ),
]

LambdaOption = Annotated[
    float | None,
    Option(
        "--lambda",
        help="Weight of disease-based similarity against the GIP kernel, 0 to 1.",
        show_default="0.5",
    ),
]

GraphmlOption = Annotated[
    bool,
    Option(
        "--graphml",
        help="Also write one GraphML file per network with a style file, for Cytoscape, igraph, "
        "networkx and Gephi.",
    ),
]

StoreOption = Annotated[
    Path | None,
    Option(
        help="Folder of finished blocks of alignments, for datasets above `dense_below` RNAs: a "
        "killed command resumes after the last one.",
        show_default="none",
    ),
]

NameArgument = Annotated[str | None, Argument(help="Name of a public dataset (see --list).")]

ListOption = Annotated[bool, Option("--list", help="List the public datasets with their licences.")]

CacheOption = Annotated[
    Path | None,
    Option(help="Folder of downloaded files.", show_default="the cache folder of the user"),
]

MirrorOption = Annotated[
    str | None,
    Option(help="URL of a mirror to download from instead of the public addresses."),
]


def build_networks(
    data: DataOption = "demo",
    out: OutputFolderOption = Path("networks"),
    config: ConfigOption = None,
    cutoff: CutoffOption = None,
    lambda_: LambdaOption = None,
    graphml: GraphmlOption = False,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    store: StoreOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build the similarity and association networks of a dataset.

    Needs nothing: without --data it uses the synthetic demo.

    Networks: sequence similarity, functional similarity, co-expression where the dataset has
    measured expression, and one per kind of association.
    """
    from mirnagraph.folder.read import UNLISTED
    from mirnagraph.measurements import coverage
    from mirnagraph.networks.build import build_networks as build
    from mirnagraph.networks.export import write_graphml
    from mirnagraph.networks.network import describe
    from mirnagraph.networks.settings import network_config
    from mirnagraph.recipes.opening import load_dataset

    settings = network_config(config, functional_cutoff=cutoff, lambda_=lambda_)

    dataset = load_dataset(data)
    title = dataset_title(dataset.name, synthetic=dataset.synthetic)
    n_rnas = counted(len(dataset.index), "RNA")
    n_compartments = counted(len(dataset.compartments), "compartment")
    n_left_out = counted(len(dataset.left_out), "record")
    say(f"{title}: {n_rnas}, {n_compartments}, {n_left_out} left out")
    is_unlisted = dataset.left_out["item"] == UNLISTED
    for name, why in dataset.left_out.loc[is_unlisted, ["id", "reason"]].to_numpy():
        say(f"Warning: {name} of {data} is not read: {why}")
    for name, measurement in dataset.measurements.items():
        covered = coverage(measurement, len(dataset.index))
        say(f"Measurement {name} ({measurement.source}): {covered}")
    with progress_bars() as progress:
        networks = build(dataset, settings, progress=progress, workers=workers, store=store)
    say_engine(networks)
    say_nearest(networks)
    networks.save(out, overwrite=overwrite)
    if graphml:
        write_graphml(networks, out)
    show_frame(describe(networks), "Networks", number="{:.4g}".format)
    say(f"Written to {out}. Next: mirnagraph train --networks {out} --fold 10")


def say_engine(networks: NetworkSet) -> None:
    """Say where sequences were compared by their k-mers in place of alignments."""
    from mirnagraph.networks.settings import KMER, mean_length

    settings: Any = networks.settings.get("sequence", {})
    if "sequence" in networks.networks and settings.get("engine") == KMER:
        say(
            f"Sequence similarity: shared {settings['kmer']['k']}-mers in place of alignments "
            f"(mean length {mean_length(networks.dataset):.0f} nt)"
        )


def say_nearest(networks: NetworkSet) -> None:
    """Say where the nearest RNAs of each are stored in place of all similarities."""
    from mirnagraph.networks.similarities import is_sparse

    names = is_sparse(networks.similarities)
    if names:
        settings: Any = networks.settings
        say(
            f"More than {settings['dense_below']} RNAs: of {', '.join(names)} the "
            f"{settings['nearest']} most similar RNAs of each are stored"
        )
    for note in networks.notes:
        say(f"Note: {note}")


def fetch(
    name: NameArgument = None,
    list_: ListOption = False,
    cache: CacheOption = None,
    base_url: MirrorOption = None,
    quiet: QuietOption = False,
) -> None:
    """Download a public dataset and build it; every file is checked against a pinned hash.

    Needs the name of a dataset, or --list.

    What cannot be fetched is named first, with where to get it. An interrupted download resumes
    from where it ended.
    """
    from mirnagraph import catalog
    from mirnagraph.errors import ConfigError

    if list_ or name is None:
        rows = [
            [entry.name, str(len(entry.files)), str(len(entry.by_hand)), entry.licence, entry.note]
            for entry in catalog.entries()
        ]
        show_table(["name", "files", "by hand", "licence", "note"], rows, "Public datasets")
        if not list_:
            raise ConfigError("no dataset named; expected a name of the list above")
        return
    entry = catalog.entry(name)
    root = catalog.cache_folder() if cache is None else cache
    folder = root / name
    folders = _data_folders(folder)
    say(f"Licence of {name}: {entry.licence}")
    absent = catalog.missing_by_hand(name, folders)
    _say_absent(name, folder, absent)
    for path in catalog.altered_by_hand(name, folders):
        say(f"Warning: {path} has another content than the file that results were made with")
    needed = [file for file in absent if not file.optional]
    with progress_bars() as progress:
        if entry.files:
            _fetch_files(entry, root, folders, base_url, progress)
            say(f"The files of {name} that can be fetched are in {' or '.join(map(str, folders))}")
        if needed:
            raise ConfigError(
                f"--data {name} does not open yet: {counted(len(needed), 'file')} cannot be "
                f"fetched; put {', '.join(file.path for file in needed)} into {folder} or "
                f"$MIRNAGRAPH_DATA, then: mirnagraph fetch {name}"
            )
        if entry.recipe:
            _build(name, folder, progress)
    typer.echo(str(folder))


def _say_absent(name: str, folder: Path, absent: list[ByHand]) -> None:
    """Name the files that cannot be fetched, and where to get them."""
    for is_optional, what in ((False, "needs"), (True, "can do without")):
        files = [file for file in absent if file.optional == is_optional]
        if files:
            n_files = counted(len(files), "file")
            say(f"{n_files} that {name} {what} cannot be fetched, and can be put into {folder}:")
        for file in files:
            say(f"- {file.sentence()}")


def _fetch_files(
    entry: CatalogEntry, root: Path, folders: list[Path], base_url: str | None, progress: Any
) -> None:
    """Fetch what is in no folder; say what the dataset lacks where that fails."""
    from mirnagraph import catalog
    from mirnagraph.errors import InputError

    try:
        catalog.fetch(entry, cache=root, base_url=base_url, progress=progress, folders=folders[1:])
    except InputError:
        missing = [
            file.path
            for file in entry.files
            if not any(catalog.is_complete(place, file) for place in folders)
        ]
        opens = f"--data {entry.name} does not open yet" if entry.recipe else "Not complete"
        say(f"{opens}; missing: {', '.join(missing)}")
        raise


def _data_folders(cache: Path) -> list[Path]:
    """Folders in which files may lie: the cache, then $MIRNAGRAPH_DATA."""
    import os

    data = os.environ.get("MIRNAGRAPH_DATA")
    return [cache, Path(data)] if data else [cache]


def _build(name: str, folder: Path, progress: Any) -> None:
    """Build the dataset of a recipe into the folder of its files."""
    from mirnagraph.catalog import BUILT, cache_folder
    from mirnagraph.recipes.build import build_dataset, write_dataset
    from mirnagraph.recipes.places import Places
    from mirnagraph.recipes.recipe import read_recipe

    recipe = read_recipe(name)
    built = build_dataset(recipe, progress, Places((folder, *_data_folders(folder)[1:])))
    write_dataset(built, folder / BUILT, overwrite=True)
    n_rnas = counted(len(built.dataset.index), "RNA")
    say(f"Dataset {name}: {n_rnas}, built in {folder / BUILT}")
    for note in built.provenance.notes:
        say(f"Note: {note}")
    if folder.parent != cache_folder():
        say(f"Next: mirnagraph build-networks --data {folder / BUILT}")
        return
    opens = f"--data {name} opens now"
    if built.dataset.associations:
        say(f"{opens}. Next: mirnagraph build-networks --data {name}")
    elif built.dataset.compartments:
        say(f"{opens}. Next: mirnagraph seq train --data {name}")
    else:
        say(opens)
