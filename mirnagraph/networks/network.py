"""Networks of a dataset, their statistics and folder format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import check_sha256, sha256_of, sha256_of_folder, write_folder, write_tsv
from mirnagraph.networks.similarities import (
    Similarity,
    is_sparse,
    read_similarities,
    similarity_bytes,
    write_similarities,
)
from mirnagraph.nodes import Network, NodeIndex
from mirnagraph.reading.arguments import check_fields, checked
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.parquet import read_parquet_table
from mirnagraph.reading.seals import check_seal, sealed
from mirnagraph.writing.contents import NETWORKS, what_is_at

COEXPRESSION = "coexpression"

SIMILARITY_NETWORKS = ("sequence", "functional", COEXPRESSION)

COLUMNS = [
    "network",
    "nodes",
    "rnas",
    "partners",
    "edges",
    "isolated",
    "isolated_rnas",
    "components",
    "largest_component",
    "density",
    "mean_degree",
]

FORMAT_VERSION = 1

SPARSE_VERSION = 2
"""Version of a folder in which a similarity is stored as the nearest RNAs of each."""

ABOUT = "networks.json"

DENSE = "similarities.safetensors"

SHA256 = "sha256"
"""Entry of each network: sha256 of its file."""

DENSE_SHA256 = "similarities_sha256"

REBUILD = "build the networks again"

EDGE_COLUMNS = ["source", "target", "weight"]


ENTRIES = {
    "dataset_sha256": str,
    "rnas_checksum": str,
    "networks": dict,
    "left_out": dict,
    "settings": dict,
}
"""Checked entries of ``networks.json`` and their types."""

LISTS = ("similarities", "nearest", "notes")
"""Entries that are lists of texts; but for the first they may be absent."""


@dataclass(frozen=True, eq=False)
class NetworkSet:
    """All networks of one Dataset, with the similarities they were cut from.

    Attributes:
        dataset: where they come from; carries labels and row order.
        networks: name -> Network, similarity networks first.
        similarities: name -> dense float32 array in [0, 1]; ``"sequence"``, ``"functional"`` (the
            blend), ``"gip"``, ``"semantic"``, ``"coexpression"`` of shape (n_rnas, n_rnas). RNAs
            without a sequence, disease or measured expression have zeros off the diagonal. With
            more RNAs than `NetworkConfig.dense_below` a CSR array of the same shape with the
            `NetworkConfig.nearest` most similar RNAs of each in its row, without itself.
        settings: the NetworkConfig as plain values.
        left_out: networks that the dataset has nothing to build from -> why.
        notes: sentences on what is not exact in them, such as the recall of a k-mer index.
    """

    dataset: Dataset
    networks: Mapping[str, Network]
    similarities: Mapping[str, Similarity]
    settings: Mapping[str, object] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "networks", "similarities")

    def __getitem__(self, name: str) -> Network:
        try:
            return self.networks[name]
        except KeyError:
            raise InputError(
                "no such network", found=name, expected=", ".join(self.networks)
            ) from None

    @checked
    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write dataset, settings, edge lists, similarities and statistics to a folder, atomically.

        Raises:
            InputError: the folder exists and is not empty, and `overwrite` is not set; or the disk
                is full.
        """
        return save_networks(self, Path(folder), overwrite=overwrite)

    @classmethod
    @checked
    def load(cls, folder: str | Path) -> NetworkSet:
        """Read a folder written by `save`; equal to what was saved.

        Raises:
            InputError: the folder is not a networks folder, or a file in it is damaged or does not
                fit the others.
        """
        return load_networks(Path(folder))


@checked
def describe(networks: NetworkSet) -> pd.DataFrame:
    """Describe each network in a row (see `describe_network`)."""
    rows = [describe_network(network) for network in networks.networks.values()]
    return pd.DataFrame(rows, columns=COLUMNS)


@checked
def describe_network(network: Network) -> dict[str, str | int | float]:
    """Compute the statistics of one network.

    Returns:
        ``nodes`` (``rnas`` and ``partners``), ``edges`` (each pair once), ``isolated`` (nodes
        without edge; of these ``isolated_rnas``), ``components`` (an isolated node is one),
        ``largest_component`` (its nodes), ``density`` (edges over possible edges: RNA pairs, or
        RNAs times partners) and ``mean_degree`` (edge ends per node).
    """
    adjacency = network.adjacency
    n_nodes = adjacency.shape[0]
    n_rnas = len(network.rnas)
    degree = np.diff(adjacency.indptr)
    n_edges = int(degree.sum()) // 2
    n_pairs = n_rnas * len(network.targets)
    if network.is_similarity:
        n_pairs = n_rnas * (n_rnas - 1) // 2
    sizes = np.zeros(0, dtype=int)
    if n_nodes:
        sizes = np.bincount(connected_components(adjacency, directed=False)[1])
    return {
        "network": network.name,
        "nodes": n_nodes,
        "rnas": n_rnas,
        "partners": n_nodes - n_rnas,
        "edges": n_edges,
        "isolated": int((degree == 0).sum()),
        "isolated_rnas": int((degree[:n_rnas] == 0).sum()),
        "components": len(sizes),
        "largest_component": int(sizes.max(initial=0)),
        "density": n_edges / n_pairs if n_pairs else 0.0,
        "mean_degree": 2 * n_edges / n_nodes if n_nodes else 0.0,
    }


@checked
def save_networks(networks: NetworkSet, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a NetworkSet (see `NetworkSet.save`).

    The folder holds ``dataset/``, ``networks.json`` (format, settings, checksums),
    ``edges.NAME.parquet`` per network (``source``, ``target``, ``weight``; each pair of a
    similarity network once), ``similarities.safetensors`` and ``statistics.tsv``.
    """
    edges = {name: edge_list(network) for name, network in networks.networks.items()}
    sparse_names = is_sparse(networks.similarities)
    with write_folder(folder, overwrite=overwrite, content=NETWORKS) as out:
        networks.dataset.save(out / "dataset")
        about: dict[str, Any] = {
            "format_version": SPARSE_VERSION if sparse_names else FORMAT_VERSION,
            "dataset": networks.dataset.name,
            "dataset_sha256": sha256_of_folder(out / "dataset"),
            "rnas_checksum": networks.dataset.index.checksum,
            "networks": {name: {"n_edges": len(table)} for name, table in edges.items()},
            "similarities": sorted(networks.similarities),
            "left_out": dict(networks.left_out),
            "settings": networks.settings,
        }
        if sparse_names:
            about["nearest"] = sparse_names
        if networks.notes:
            about["notes"] = list(networks.notes)
        for name, table in edges.items():
            path = _edge_path(out, name)
            table.to_parquet(path, index=False)
            about["networks"][name][SHA256] = sha256_of(path)
        write_similarities(networks.similarities, out / DENSE)
        about[DENSE_SHA256] = sha256_of(out / DENSE)
        text = json.dumps(sealed(about), indent=2, ensure_ascii=False) + "\n"
        (out / ABOUT).write_text(text, encoding="utf-8")
        write_tsv(describe(networks), out / "statistics.tsv")
    return folder


def _edge_path(folder: Path, network: str) -> Path:
    return folder / f"edges.{safe_name(network)}.parquet"


@checked
def load_networks(folder: Path) -> NetworkSet:
    """Read a networks folder (see `NetworkSet.load`); other files in it are ignored."""
    about = _read_about(folder)
    dataset = Dataset.load(folder / "dataset")
    if sha256_of_folder(folder / "dataset") != about["dataset_sha256"]:
        raise CheckpointError(
            "the dataset was changed after the networks were built",
            file=folder / "dataset",
            hint=REBUILD,
        )
    damaged = partial(CheckpointError, file=folder / ABOUT)
    if dataset.index.checksum != about["rnas_checksum"]:
        raise damaged(
            "the RNAs are not those the networks were built from",
            found=f"checksum {dataset.index.checksum[:12]}",
            expected=about["rnas_checksum"][:12],
        )
    networks = {}
    for name, entry in about["networks"].items():
        partners = None
        if name not in SIMILARITY_NETWORKS:
            if name not in dataset.associations:
                what = "a network of no kind of the dataset"
                raise damaged(what, column="networks", found=name)
            partners = dataset.partner_index(name)
        n_edges = entry.get("n_edges") if isinstance(entry, dict) else None
        path = _edge_path(folder, name)
        networks[name] = _read_network(path, name, dataset.index, partners, n_edges)
    similarities = read_similarities(
        folder / DENSE, about["similarities"], about.get("nearest", []), len(dataset.index)
    )
    _check_files(folder, about)  # last: the sentences above say more of a damaged file
    settings = about["settings"]
    notes = tuple(about.get("notes", []))
    return NetworkSet(dataset, networks, similarities, settings, about["left_out"], notes)


def _check_files(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuse files that were changed after they were written, and networks that nothing lists.

    Folders of earlier versions list no sha256.
    """
    check_seal(about, folder / ABOUT, "it was changed after the networks were built", REBUILD)
    known = set()
    for name, entry in about["networks"].items():
        path = _edge_path(folder, name)
        known.add(path.name)
        if isinstance(entry, dict) and SHA256 in entry:
            check_sha256(path, entry[SHA256], f"not the network that {ABOUT} lists", REBUILD)
    if DENSE_SHA256 in about:
        what = f"not the similarities that {ABOUT} lists"
        check_sha256(folder / DENSE, about[DENSE_SHA256], what, REBUILD)
    for path in sorted(folder.glob("edges.*.parquet")):
        if path.name not in known:
            what = f"a network that {ABOUT} does not list"
            raise CheckpointError(what, file=path, expected=", ".join(sorted(known)), hint=REBUILD)


@checked
def edge_list(network: Network) -> pd.DataFrame:
    """List the edges: columns ``source``, ``target`` (ids), ``weight``, in row order.

    Pairs of a similarity network are listed once.
    """
    matrix = sparse.triu(network.matrix, k=1) if network.is_similarity else network.matrix
    edges = sparse.coo_array(matrix)
    rows, columns = edges.coords
    order = np.lexsort((columns, rows))
    sources = np.array(network.rnas.ids, dtype=object)
    targets = np.array(network.targets.ids, dtype=object)
    return pd.DataFrame(
        {
            "source": pd.Series(sources[rows[order]], dtype="str"),
            "target": pd.Series(targets[columns[order]], dtype="str"),
            "weight": edges.data[order].astype(np.float64),
        }
    )


def safe_name(name: str) -> str:
    """Check that the name of a network can be part of a file name, and return it.

    Raises:
        InputError: it cannot.
    """
    if not name or name.startswith(".") or set(name) & set('/\\:\0"<>|?*'):
        raise InputError(
            "a network name cannot be a file name",
            found=name,
            expected="letters, digits, spaces, dashes",
        )
    return name


def _read_about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    if not path.is_file():
        raise InputError(
            "not a networks folder",
            file=folder,
            found=what_is_at(folder, ABOUT),
            expected=f"what `mirnagraph build-networks` writes: {ABOUT}, dataset/, edges.*",
        )
    about: dict[str, Any] = read_json(path)
    version = about.get("format_version") if isinstance(about, dict) else None
    damaged = partial(CheckpointError, file=path)
    if version not in (FORMAT_VERSION, SPARSE_VERSION):
        raise damaged(
            "unknown format of a networks folder",
            column="format_version",
            found=version,
            expected=FORMAT_VERSION,
            hint="build the networks again with this version",
        )
    for key, kind in ENTRIES.items():
        value = about.get(key)
        if not isinstance(value, kind):
            what = "missing or wrong entry"
            raise damaged(what, column=key, found=value, expected=kind.__name__)
    for key in LISTS:
        value = about.get(key, None if key == LISTS[0] else [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise damaged("wrong entry", column=key, found=value, expected="a list of texts")
    return about


def _read_network(
    path: Path, name: str, rnas: NodeIndex, partners: NodeIndex | None, n_edges: int | None
) -> Network:
    table = _read_edges(path)
    damaged = partial(CheckpointError, file=path)
    if len(table) != n_edges:
        raise damaged("wrong number of edges", found=len(table), expected=n_edges)
    targets = rnas if partners is None else partners
    table.index += 1
    for column, known in (("source", rnas), ("target", targets)):
        unknown = table.loc[~table[column].isin(known.ids), column]
        for line, cell in zip(unknown.index.tolist(), unknown, strict=True):
            raise damaged("an edge names an unknown id", line=line, column=column, found=cell)
    rows = rnas.positions(table["source"])
    columns = targets.positions(table["target"])
    weights = table["weight"].to_numpy(dtype=np.float64)
    is_wrong = ~((weights > 0) & np.isfinite(weights))
    if partners is None:
        is_wrong |= rows >= columns
    for line, source, target, weight in table[is_wrong].itertuples(name=None):
        raise damaged(
            "not an edge of this network",
            line=line,
            found=f"{source} - {target}, weight {weight}",
            expected="a weight above 0, source before target",
        )
    for line in table.index[table.duplicated(["source", "target"])]:
        raise damaged("a duplicate edge", line=line)
    matrix = sparse.csr_array((weights, (rows, columns)), shape=(len(rnas), len(targets)))
    if partners is None:
        matrix = sparse.csr_array(matrix + matrix.T)
    matrix.sort_indices()
    return Network(name, rnas, partners, matrix)


def _read_edges(path: Path) -> pd.DataFrame:
    table = read_parquet_table(path)
    if list(table.columns) != EDGE_COLUMNS or not pd.api.types.is_float_dtype(table["weight"]):
        found = ", ".join(f"{name} ({table[name].dtype})" for name in table.columns)
        raise CheckpointError(
            "wrong columns", file=path, found=found, expected=", ".join(EDGE_COLUMNS)
        )
    return table


def networks_sha256(networks: NetworkSet) -> str:
    """Compute the sha256 over all that a run reads from its networks.

    These are row order, sequences, evidence, labels, measurements, matrices and similarities.
    """
    total = hashlib.sha256()
    dataset = networks.dataset
    tables = [dataset.rnas, dataset.labels]
    for kind in sorted(dataset.associations):
        tables += [dataset.associations[kind], dataset.partners[kind]]
    for name, measurement in sorted(dataset.measurements.items()):
        total.update(f"{name}\0{measurement.unit}\0{measurement.is_label_like}".encode())
        tables += [measurement.values, *measurement.arms.values(), measurement.samples]
    for table in tables:
        total.update(table.to_csv().encode())
    for name, network in sorted(networks.networks.items()):
        total.update(f"{name}\0{network.nodes.checksum}".encode())
        matrix = network.matrix
        for pointers in (matrix.indptr, matrix.indices):
            total.update(pointers.astype(np.int64).tobytes())
        total.update(matrix.data.tobytes())
    for name, similarity in sorted(networks.similarities.items()):
        total.update(name.encode() + similarity_bytes(similarity))
    return total.hexdigest()
