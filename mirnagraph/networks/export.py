"""Export of networks: networkx, PyG HeteroData, GraphML for Cytoscape, edge lists as TSV."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from scipy import sparse

from mirnagraph.errors import InputError
from mirnagraph.io import write_file, write_tsv
from mirnagraph.networks.network import Network, NetworkSet, edge_list, safe_name

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_networkx(network: Network) -> nx.Graph:
    """Export one network as an undirected graph.

    Nodes are in row order, isolated ones included. A node is its id, and has ``kind`` and ``name``
    (the id as text); a partner with the id of an RNA is ``"KIND:ID"``. Edges have ``weight``
    (float) and ``network`` (its name).
    """
    graph = nx.Graph(name=network.name)
    _add(graph, network, set(network.rnas.ids))
    return graph


def to_multigraph(networks: NetworkSet) -> nx.MultiGraph:
    """Export all networks as one graph, with an edge per network, whose key is the network.

    Nodes as in `to_networkx`, RNAs first; a partner with the id of another node is ``"KIND:ID"``.
    """
    graph = nx.MultiGraph(name=networks.dataset.name)
    rnas = networks.dataset.index
    counts = Counter(rnas)
    for network in networks.networks.values():
        counts.update(network.partners or ())
    taken = set(rnas) | {name for name, count in counts.items() if count > 1}
    graph.add_nodes_from((name, {"kind": "miRNA", "name": name}) for name in rnas)
    for network in networks.networks.values():
        _add(graph, network, taken, key=network.name)
    return graph


def _add(graph: nx.Graph, network: Network, taken: set[str], **attributes: str) -> None:
    """Add nodes and edges; a partner whose id is taken is prefixed by its kind."""
    for name, kind in zip(network.rnas.ids, network.rnas.kinds, strict=True):
        graph.add_node(name, kind=kind, name=name)
    node_of = {}
    if network.partners is not None:
        for name, kind in zip(network.partners.ids, network.partners.kinds, strict=True):
            node_of[name] = f"{kind}:{name}" if name in taken else name
            graph.add_node(node_of[name], kind=kind, name=name)
    attributes["network"] = network.name
    for source, target, weight in edge_list(network).itertuples(index=False, name=None):
        graph.add_edge(source, node_of.get(target, target), weight=weight, **attributes)


def to_pyg(networks: NetworkSet) -> HeteroData:
    """Export all networks as a PyG HeteroData (loads torch).

    Node type ``"miRNA"`` and one per association kind, each with ``num_nodes`` and ``node_id``
    (list of ids, row order); ``"miRNA"`` also has ``y``, float32 of shape (n_rnas, n_compartments).
    Edge types ``("miRNA", NAME, "miRNA")`` for similarities (both directions) and ``("miRNA",
    "associated_with", KIND)`` with its reverse ``(KIND, "rev_associated_with", "miRNA")``, each
    with ``edge_index`` (int64, shape (2, n_edges)) and ``edge_weight`` (float32).
    """
    import torch
    from torch_geometric.data import HeteroData

    data = HeteroData()
    dataset = networks.dataset
    data["miRNA"].node_id = list(dataset.index)
    data["miRNA"].num_nodes = len(dataset.index)
    data["miRNA"].y = torch.from_numpy(dataset.labels.to_numpy(dtype=np.float32, copy=True))
    data.compartments = dataset.compartments
    for name, network in networks.networks.items():
        edges = sparse.coo_array(network.matrix)
        index = torch.from_numpy(np.stack(edges.coords).astype(np.int64))
        weight = torch.from_numpy(edges.data.astype(np.float32))
        if network.partners is None:
            types = [(("miRNA", name, "miRNA"), index)]
        else:
            data[name].node_id = list(network.partners)
            data[name].num_nodes = len(network.partners)
            types = [
                (("miRNA", "associated_with", name), index),
                ((name, "rev_associated_with", "miRNA"), index.flip(0).contiguous()),
            ]
        for kind, ends in types:
            data[kind].edge_index = ends
            data[kind].edge_weight = weight
    return data


def write_graphml(networks: NetworkSet, folder: str | Path) -> list[Path]:
    """Write one ``NAME.graphml`` per network for Cytoscape, with typed attributes and ids as names.

    Raises:
        InputError: an id holds a character that XML cannot hold.
    """
    return [
        write_graphml_file(network, Path(folder) / f"{safe_name(name)}.graphml")
        for name, network in networks.networks.items()
    ]


def write_graphml_file(network: Network, path: str | Path) -> Path:
    """Write one network as GraphML.

    Node attributes are ``kind`` and ``name`` (string), edge attributes ``weight`` (double) and
    ``network`` (string).

    Raises:
        InputError: an id holds a character that XML cannot hold.
    """
    for name in (*network.rnas.ids, *(network.partners or ())):
        if NOT_XML.search(name):
            raise InputError(
                "an id holds a character that GraphML cannot hold",
                file=path,
                found=repr(name),
                expected="printable characters",
            )
    with write_file(path) as part:
        nx.write_graphml_xml(to_networkx(network), part)
    return Path(path)


def write_edges_tsv(network: Network, path: str | Path) -> Path:
    """Write the edges of `edge_list` as a TSV."""
    write_tsv(edge_list(network), path)
    return Path(path)
