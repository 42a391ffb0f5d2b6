"""A networks folder: how a NetworkSet is written, and read back with every piece checked against the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.files import read_text, sha256_of_folder, write_folder
from mirnagraph.networks.describe import describe
from mirnagraph.networks.types import SIMILARITY_NETWORKS, Network, NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.tables import write_tsv

FORMAT_VERSION = 1
ABOUT = "networks.json"
DENSE = "similarities.safetensors"
EDGE_COLUMNS = ["source", "target", "weight"]


def save_networks(networks: NetworkSet, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a NetworkSet (see `NetworkSet.save`).

    The folder holds ``dataset/``, ``networks.json`` (format, settings, checksums), ``edges.NAME.parquet`` per network
    (``source``, ``target``, ``weight``; each pair of a similarity network once), ``similarities.safetensors`` and
    ``statistics.tsv``.
    """
    from safetensors.numpy import save_file

    with write_folder(folder, overwrite=overwrite) as out:
        networks.dataset.save(out / "dataset")
        about = {
            "format_version": FORMAT_VERSION,
            "dataset": networks.dataset.name,
            "dataset_sha256": sha256_of_folder(out / "dataset"),
            "rnas_checksum": networks.dataset.index.checksum,
            "networks": {name: {"n_edges": len(edge_list(network))} for name, network in networks.networks.items()},
            "similarities": sorted(networks.similarities),
            "left_out": dict(networks.left_out),
            "settings": networks.settings,
        }
        (out / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for name, network in networks.networks.items():
            edge_list(network).to_parquet(out / f"edges.{safe_name(name)}.parquet", index=False)
        dense = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in networks.similarities.items()}
        save_file(dense, out / DENSE)
        write_tsv(describe(networks), out / "statistics.tsv")
    return folder


def load_networks(folder: Path) -> NetworkSet:
    """Read a networks folder (see `NetworkSet.load`); other files in it are left alone."""
    about = _read_about(folder)
    dataset = Dataset.load(folder / "dataset")
    if sha256_of_folder(folder / "dataset") != about["dataset_sha256"]:
        raise CheckpointError("the dataset was changed after the networks were built", file=folder / "dataset", hint="build the networks again")
    if dataset.index.checksum != about["rnas_checksum"]:
        found = f"checksum {dataset.index.checksum[:12]}"
        raise CheckpointError("the RNAs are not those the networks were built from", file=folder / ABOUT, found=found, expected=about["rnas_checksum"][:12])
    networks = {}
    for name, entry in about["networks"].items():
        if name not in SIMILARITY_NETWORKS and name not in dataset.associations:
            raise CheckpointError("a network that the dataset does not know", file=folder / ABOUT, column="networks", found=name)
        partners = None if name in SIMILARITY_NETWORKS else dataset.partner_index(name)
        networks[name] = _read_network(folder / f"edges.{safe_name(name)}.parquet", name, dataset.index, partners, entry)
    similarities = _read_similarities(folder / DENSE, about["similarities"], len(dataset.index))
    return NetworkSet(dataset, networks, similarities, about["settings"], about["left_out"])


def edge_list(network: Network) -> pd.DataFrame:
    """Edges as columns ``source``, ``target`` (ids), ``weight``, in row order; pairs of a similarity network once."""
    matrix = sparse.triu(network.matrix, k=1) if network.is_similarity else network.matrix
    edges = sparse.coo_array(matrix)
    rows, columns = (edges.coords[0], edges.coords[1])
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
    """The name of a network as part of a file name; raises InputError where it cannot be one."""
    if not name or name.startswith(".") or any(letter in name for letter in '/\\:\0"<>|?*'):
        raise InputError("a network name cannot be a file name", found=name, expected="letters, digits, spaces, dashes")
    return name


def _read_about(folder: Path) -> dict[str, Any]:
    if not (folder / ABOUT).is_file():
        found = "no such folder" if not folder.exists() else f"no {ABOUT} in it"
        raise InputError("not a networks folder", file=folder, found=found, expected=f"what `mirnagraph build-networks` writes: {ABOUT}, dataset/, edges.*")
    try:
        about = json.loads(read_text(folder / ABOUT))
    except json.JSONDecodeError as error:
        raise InputError("not a JSON file", file=folder / ABOUT, line=error.lineno, column=error.colno, found=error.msg) from None
    version = about.get("format_version") if isinstance(about, dict) else None
    if version != FORMAT_VERSION:
        hint = "build the networks again with this version"
        raise CheckpointError("unknown format of a networks folder", file=folder / ABOUT, column="format_version", found=version, expected=1, hint=hint)
    kinds = {"dataset_sha256": str, "rnas_checksum": str, "networks": dict, "similarities": list, "left_out": dict, "settings": dict}
    for key, kind in kinds.items():
        if not isinstance(about.get(key), kind):
            raise CheckpointError("missing or wrong entry", file=folder / ABOUT, column=key, found=about.get(key), expected=kind.__name__)
    result: dict[str, Any] = about
    return result


def _read_network(path: Path, name: str, rnas: NodeIndex, partners: NodeIndex | None, entry: object) -> Network:
    table = _read_edges(path)
    expected = entry.get("n_edges") if isinstance(entry, dict) else None
    if len(table) != expected:
        raise CheckpointError("wrong number of edges", file=path, found=len(table), expected=expected)
    targets = rnas if partners is None else partners
    for column, known in (("source", rnas), ("target", targets)):
        unknown = ~table[column].isin(known.ids)
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise CheckpointError("an edge names an unknown id", file=path, line=row + 1, column=column, found=str(table[column].iloc[row]))
    rows, columns = rnas.positions(table["source"].tolist()), targets.positions(table["target"].tolist())
    weights = table["weight"].to_numpy(dtype=np.float64)
    wrong = ~((weights > 0) & np.isfinite(weights)) | ((rows >= columns) if partners is None else False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        found = f"{table['source'].iloc[row]} - {table['target'].iloc[row]}, weight {weights[row]}"
        raise CheckpointError("not an edge of this network", file=path, line=row + 1, found=found, expected="a weight above 0, source before target")
    if table.duplicated(["source", "target"]).any():
        raise CheckpointError("an edge stands twice", file=path, line=int(np.flatnonzero(table.duplicated(["source", "target"]))[0]) + 1)
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
        raise InputError("damaged Parquet file", file=path, found=str(error).splitlines()[0]) from None
    if list(table.columns) != EDGE_COLUMNS or not pd.api.types.is_float_dtype(table["weight"]):
        found = ", ".join(f"{name} ({table[name].dtype})" for name in table.columns)
        raise CheckpointError("wrong columns", file=path, found=found, expected=", ".join(EDGE_COLUMNS))
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
        raise CheckpointError("other similarities than listed", file=path, found=sorted(arrays), expected=sorted(names))
    for name, array in arrays.items():
        if array.shape != (n_rnas, n_rnas) or array.dtype != np.float32:
            expected = f"{(n_rnas, n_rnas)} float32"
            raise CheckpointError(f"the matrix {name!r} does not fit its names", file=path, found=f"{array.shape} {array.dtype}", expected=expected)
        if not ((array >= 0) & (array <= 1)).all():
            raise CheckpointError(f"the matrix {name!r} holds values outside [0, 1]", file=path)
    return {name: arrays[name] for name in names}
