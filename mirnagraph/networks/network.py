"""Networks of a dataset, their statistics and folder format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import read_text, sha256_of_folder, write_folder, write_tsv
from mirnagraph.nodes import NodeIndex

SIMILARITY_NETWORKS = ("sequence", "functional")

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

ABOUT = "networks.json"

DENSE = "similarities.safetensors"

EDGE_COLUMNS = ["source", "target", "weight"]


@dataclass(frozen=True, eq=False)
class Network:
    """One network: RNA-RNA similarity, or associations of RNAs with partners of another kind.

    Attributes:
        name: ``"sequence"``, ``"functional"``, or the association kind.
        rnas: the RNAs, in row order.
        partners: nodes of the other kind in column order; None for a similarity network.
        matrix: CSR, float64, no stored zeros. Similarity: shape (n_rnas, n_rnas), symmetric, empty
            diagonal, weights in (0, 1]. Association: shape (n_rnas, n_partners), weights above 0.
    """

    name: str
    rnas: NodeIndex
    partners: NodeIndex | None
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        shape = (len(self.rnas), len(self.rnas if self.partners is None else self.partners))
        if self.matrix.shape != shape:
            raise InputError(
                f"the matrix of network {self.name!r} does not fit its names",
                found=self.matrix.shape,
                expected=shape,
            )

    @property
    def is_similarity(self) -> bool:
        """Whether the network joins RNAs with RNAs."""
        return self.partners is None

    @property
    def nodes(self) -> NodeIndex:
        """All nodes: the RNAs first, then the partners; the row order of `adjacency`."""
        return self.rnas if self.partners is None else self.rnas + self.partners

    @property
    def adjacency(self) -> sparse.csr_array:
        """Symmetric square matrix over `nodes`: CSR, float64, sorted indices, no stored zeros."""
        if self.partners is None:
            return self.matrix
        full = sparse.block_array([[None, self.matrix], [self.matrix.T, None]], format="csr")
        result = sparse.csr_array(full)
        result.sort_indices()
        return result


@dataclass(frozen=True, eq=False)
class NetworkSet:
    """All networks of one Dataset, with the dense similarities they were cut from.

    Attributes:
        dataset: where they come from; carries labels and row order.
        networks: name -> Network, similarity networks first.
        similarities: name -> dense float32 array in [0, 1]; ``"sequence"``, ``"functional"`` (the
            blend), ``"gip"``, ``"semantic"`` of shape (n_rnas, n_rnas). RNAs without a sequence or
            disease have zeros off the diagonal.
        settings: the NetworkConfig as plain values.
        left_out: networks that the dataset has nothing to build from -> why.
    """

    dataset: Dataset
    networks: Mapping[str, Network]
    similarities: Mapping[str, np.ndarray]
    settings: Mapping[str, object] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Network:
        try:
            return self.networks[name]
        except KeyError:
            raise InputError(
                "no such network", found=name, expected=", ".join(self.networks)
            ) from None

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write dataset, settings, edge lists, similarities and statistics to a folder, atomically.

        Raises:
            InputError: the folder exists and is not empty, and `overwrite` is not set; or the disk
                is full.
        """
        return save_networks(self, Path(folder), overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> NetworkSet:
        """Read a folder written by `save`; equal to what was saved.

        Raises:
            InputError: the folder is not a networks folder, or a file in it is damaged or does not
                fit the others.
        """
        return load_networks(Path(folder))


def describe(networks: NetworkSet) -> pd.DataFrame:
    """Describe each network in a row (see `describe_network`)."""
    rows = [describe_network(network) for network in networks.networks.values()]
    return pd.DataFrame(rows, columns=COLUMNS)


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
    possible = (
        n_rnas * (n_rnas - 1) // 2 if network.partners is None else n_rnas * len(network.partners)
    )
    n_components, member_of = (
        connected_components(adjacency, directed=False) if n_nodes else (0, np.zeros(0, dtype=int))
    )
    return {
        "network": network.name,
        "nodes": n_nodes,
        "rnas": n_rnas,
        "partners": n_nodes - n_rnas,
        "edges": n_edges,
        "isolated": int((degree == 0).sum()),
        "isolated_rnas": int((degree[:n_rnas] == 0).sum()),
        "components": int(n_components),
        "largest_component": int(np.bincount(member_of).max()) if n_nodes else 0,
        "density": n_edges / possible if possible else 0.0,
        "mean_degree": 2 * n_edges / n_nodes if n_nodes else 0.0,
    }


def save_networks(networks: NetworkSet, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a NetworkSet (see `NetworkSet.save`).

    The folder holds ``dataset/``, ``networks.json`` (format, settings, checksums),
    ``edges.NAME.parquet`` per network (``source``, ``target``, ``weight``; each pair of a
    similarity network once), ``similarities.safetensors`` and ``statistics.tsv``.
    """
    from safetensors.numpy import save_file

    with write_folder(folder, overwrite=overwrite) as out:
        networks.dataset.save(out / "dataset")
        about = {
            "format_version": FORMAT_VERSION,
            "dataset": networks.dataset.name,
            "dataset_sha256": sha256_of_folder(out / "dataset"),
            "rnas_checksum": networks.dataset.index.checksum,
            "networks": {
                name: {"n_edges": len(edge_list(network))}
                for name, network in networks.networks.items()
            },
            "similarities": sorted(networks.similarities),
            "left_out": dict(networks.left_out),
            "settings": networks.settings,
        }
        (out / ABOUT).write_text(
            json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        for name, network in networks.networks.items():
            edge_list(network).to_parquet(out / f"edges.{safe_name(name)}.parquet", index=False)
        dense = {
            name: np.ascontiguousarray(array, dtype=np.float32)
            for name, array in networks.similarities.items()
        }
        save_file(dense, out / DENSE)
        write_tsv(describe(networks), out / "statistics.tsv")
    return folder


def load_networks(folder: Path) -> NetworkSet:
    """Read a networks folder (see `NetworkSet.load`); other files in it are ignored."""
    about = _read_about(folder)
    dataset = Dataset.load(folder / "dataset")
    if sha256_of_folder(folder / "dataset") != about["dataset_sha256"]:
        raise CheckpointError(
            "the dataset was changed after the networks were built",
            file=folder / "dataset",
            hint="build the networks again",
        )
    if dataset.index.checksum != about["rnas_checksum"]:
        found = f"checksum {dataset.index.checksum[:12]}"
        raise CheckpointError(
            "the RNAs are not those the networks were built from",
            file=folder / ABOUT,
            found=found,
            expected=about["rnas_checksum"][:12],
        )
    networks = {}
    for name, entry in about["networks"].items():
        if name not in SIMILARITY_NETWORKS and name not in dataset.associations:
            raise CheckpointError(
                "a network of no kind of the dataset",
                file=folder / ABOUT,
                column="networks",
                found=name,
            )
        partners = None if name in SIMILARITY_NETWORKS else dataset.partner_index(name)
        networks[name] = _read_network(
            folder / f"edges.{safe_name(name)}.parquet", name, dataset.index, partners, entry
        )
    similarities = _read_similarities(folder / DENSE, about["similarities"], len(dataset.index))
    return NetworkSet(dataset, networks, similarities, about["settings"], about["left_out"])


def edge_list(network: Network) -> pd.DataFrame:
    """List the edges: columns ``source``, ``target`` (ids), ``weight``, in row order.

    Pairs of a similarity network are listed once.
    """
    matrix = sparse.triu(network.matrix, k=1) if network.is_similarity else network.matrix
    edges = sparse.coo_array(matrix)
    rows = edges.coords[0]
    columns = edges.coords[1]
    order = np.lexsort((columns, rows))
    sources = np.array(network.rnas.ids, dtype=object)
    targets = sources if network.partners is None else np.array(network.partners.ids, dtype=object)
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
    if not (folder / ABOUT).is_file():
        found = "no such folder" if not folder.exists() else f"no {ABOUT} in it"
        raise InputError(
            "not a networks folder",
            file=folder,
            found=found,
            expected=f"what `mirnagraph build-networks` writes: {ABOUT}, dataset/, edges.*",
        )
    try:
        about = json.loads(read_text(folder / ABOUT))
    except json.JSONDecodeError as error:
        raise InputError(
            "not a JSON file",
            file=folder / ABOUT,
            line=error.lineno,
            column=error.colno,
            found=error.msg,
        ) from None
    version = about.get("format_version") if isinstance(about, dict) else None
    if version != FORMAT_VERSION:
        hint = "build the networks again with this version"
        raise CheckpointError(
            "unknown format of a networks folder",
            file=folder / ABOUT,
            column="format_version",
            found=version,
            expected=1,
            hint=hint,
        )
    kinds = {
        "dataset_sha256": str,
        "rnas_checksum": str,
        "networks": dict,
        "similarities": list,
        "left_out": dict,
        "settings": dict,
    }
    for key, kind in kinds.items():
        if not isinstance(about.get(key), kind):
            raise CheckpointError(
                "missing or wrong entry",
                file=folder / ABOUT,
                column=key,
                found=about.get(key),
                expected=kind.__name__,
            )
    result: dict[str, Any] = about
    return result


def _read_network(
    path: Path, name: str, rnas: NodeIndex, partners: NodeIndex | None, entry: object
) -> Network:
    table = _read_edges(path)
    expected = entry.get("n_edges") if isinstance(entry, dict) else None
    if len(table) != expected:
        raise CheckpointError(
            "wrong number of edges", file=path, found=len(table), expected=expected
        )
    targets = rnas if partners is None else partners
    for column, known in (("source", rnas), ("target", targets)):
        unknown = ~table[column].isin(known.ids)
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise CheckpointError(
                "an edge names an unknown id",
                file=path,
                line=row + 1,
                column=column,
                found=str(table[column].iloc[row]),
            )
    rows = rnas.positions(table["source"].tolist())
    columns = targets.positions(table["target"].tolist())
    weights = table["weight"].to_numpy(dtype=np.float64)
    is_wrong = ~((weights > 0) & np.isfinite(weights))
    if partners is None:
        is_wrong |= rows >= columns
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        found = f"{table['source'].iloc[row]} - {table['target'].iloc[row]}, weight {weights[row]}"
        raise CheckpointError(
            "not an edge of this network",
            file=path,
            line=row + 1,
            found=found,
            expected="a weight above 0, source before target",
        )
    is_repeated = table.duplicated(["source", "target"])
    if is_repeated.any():
        raise CheckpointError(
            "a duplicate edge", file=path, line=int(np.flatnonzero(is_repeated)[0]) + 1
        )
    matrix = sparse.csr_array((weights, (rows, columns)), shape=(len(rnas), len(targets)))
    matrix = sparse.csr_array(matrix + matrix.T) if partners is None else matrix
    matrix.sort_indices()
    return Network(name, rnas, partners, matrix)


def _read_edges(path: Path) -> pd.DataFrame:
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError("no such file", file=path, expected="the edges of a network") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            "damaged Parquet file", file=path, found=str(error).splitlines()[0]
        ) from None
    if list(table.columns) != EDGE_COLUMNS or not pd.api.types.is_float_dtype(table["weight"]):
        found = ", ".join(f"{name} ({table[name].dtype})" for name in table.columns)
        raise CheckpointError(
            "wrong columns", file=path, found=found, expected=", ".join(EDGE_COLUMNS)
        )
    return table


def _read_similarities(path: Path, names: list[str], n_rnas: int) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except FileNotFoundError:
        raise InputError("no such file", file=path, expected="the dense similarities") from None
    except (SafetensorError, OSError) as error:
        raise InputError("damaged safetensors file", file=path, found=str(error)) from None
    if sorted(arrays) != sorted(names):
        raise CheckpointError(
            "other similarities than listed",
            file=path,
            found=sorted(arrays),
            expected=sorted(names),
        )
    for name, array in arrays.items():
        if array.shape != (n_rnas, n_rnas) or array.dtype != np.float32:
            expected = f"{(n_rnas, n_rnas)} float32"
            raise CheckpointError(
                f"the matrix {name!r} does not fit its names",
                file=path,
                found=f"{array.shape} {array.dtype}",
                expected=expected,
            )
        if not ((array >= 0) & (array <= 1)).all():
            raise CheckpointError(f"the matrix {name!r} holds values outside [0, 1]", file=path)
    return {name: arrays[name] for name in names}


def networks_sha256(networks: NetworkSet) -> str:
    """Compute the sha256 over all that a run reads from its networks.

    These are row order, sequences, evidence, labels, matrices and similarities.
    """
    total = hashlib.sha256()
    dataset = networks.dataset
    tables = [dataset.rnas, dataset.labels]
    for kind in sorted(dataset.associations):
        tables += [dataset.associations[kind], dataset.partners[kind]]
    for table in tables:
        total.update(table.to_csv().encode())
    for name, network in sorted(networks.networks.items()):
        total.update(f"{name}\0{network.nodes.checksum}".encode())
        for part in (
            network.matrix.indptr.astype(np.int64),
            network.matrix.indices.astype(np.int64),
            network.matrix.data,
        ):
            total.update(np.ascontiguousarray(part).tobytes())
    for name, similarity in sorted(networks.similarities.items()):
        total.update(name.encode() + np.ascontiguousarray(similarity).tobytes())
    return total.hexdigest()
