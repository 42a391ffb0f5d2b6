"""Networks for other tools: networkx, PyG HeteroData, GraphML for Cytoscape, edge lists as TSV."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.errors import InputError
from mirnagraph.io import write_file, write_tsv
from mirnagraph.networks.network import Network, NetworkSet, edge_list, safe_name

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_networkx(network: Network) -> nx.Graph:
    """One network as an undirected graph.

    Nodes are in row order, isolated ones included. A node is its id, and has ``kind`` and ``name`` (the id as text); a
    partner with the id of an RNA is ``"KIND:ID"``. Edges have ``weight`` (float) and ``network`` (its name).
    """
    graph = nx.Graph(name=network.name)
    taken = set(network.rnas.ids)
    _add(graph, network, taken, None)
    return graph


def to_multigraph(networks: NetworkSet) -> nx.MultiGraph:
    """All networks in one graph; two RNAs may be joined by several edges, the key of an edge is its network.

    Nodes as in `to_networkx`, RNAs first; a partner whose id other nodes have too is ``"KIND:ID"``.
    """
    graph = nx.MultiGraph(name=networks.dataset.name)
    kinds = [
        network.partners for network in networks.networks.values() if network.partners is not None
    ]
    count = pd.Series(
        [name for index in [networks.dataset.index, *kinds] for name in index], dtype=object
    ).value_counts()
    taken = set(networks.dataset.index.ids) | set(count.index[count > 1])
    graph.add_nodes_from((name, {"kind": "miRNA", "name": name}) for name in networks.dataset.index)
    for network in networks.networks.values():
        _add(graph, network, taken, network.name)
    return graph


def _add(graph: nx.Graph, network: Network, taken: set[str], key: str | None) -> None:
    sources = {name: name for name in network.rnas}
    graph.add_nodes_from(
        (name, {"kind": kind, "name": name})
        for name, kind in zip(network.rnas.ids, network.rnas.kinds, strict=True)
    )
    targets = sources
    if network.partners is not None:
        pairs = zip(network.partners.ids, network.partners.kinds, strict=True)
        targets = {name: f"{kind}:{name}" if name in taken else name for name, kind in pairs}
        kinds = zip(targets.items(), network.partners.kinds, strict=True)
        graph.add_nodes_from((node, {"kind": kind, "name": name}) for (name, node), kind in kinds)
    edges = edge_list(network)
    for source, target, weight in zip(
        edges["source"], edges["target"], edges["weight"].tolist(), strict=True
    ):
        where = {} if key is None else {"key": key}
        graph.add_edge(
            sources[source], targets[target], **where, weight=weight, network=network.name
        )


def to_pyg(networks: NetworkSet) -> HeteroData:
    """All networks as a PyG HeteroData (loads torch).

    Node type ``"miRNA"`` and one per association kind, each with ``num_nodes`` and ``node_id`` (list of ids, row order);
    ``"miRNA"`` also has ``y``, float32 of shape (n_rnas, n_compartments). Edge types ``("miRNA", NAME, "miRNA")`` for
    similarities (both directions) and ``("miRNA", "associated_with", KIND)`` with its reverse
    ``(KIND, "rev_associated_with", "miRNA")``, each with ``edge_index`` (int64, shape (2, n_edges)) and ``edge_weight``
    (float32).
    """
    import torch
    from torch_geometric.data import HeteroData

    data = HeteroData()
    data["miRNA"].node_id = list(networks.dataset.index)
    data["miRNA"].num_nodes = len(networks.dataset.index)
    data["miRNA"].y = torch.from_numpy(
        networks.dataset.labels.to_numpy(dtype=np.float32, copy=True)
    )
    data.compartments = networks.dataset.compartments
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
    """One ``NAME.graphml`` per network into a folder, as Cytoscape opens it: attributes typed, ids as names.

    Raises:
        InputError: an id holds a letter that XML cannot carry.
    """
    return [
        write_graphml_file(network, Path(folder) / f"{safe_name(name)}.graphml")
        for name, network in networks.networks.items()
    ]


def write_graphml_file(network: Network, path: str | Path) -> Path:
    """One network as GraphML: node attributes ``kind`` and ``name`` (string), edge attributes ``weight`` (double) and
    ``network`` (string)."""
    for name in (*network.rnas.ids, *(network.partners or ())):
        if NOT_XML.search(name):
            raise InputError(
                "an id holds a letter that GraphML cannot carry",
                file=path,
                found=repr(name),
                expected="printable letters",
            )
    with write_file(path) as part:
        nx.write_graphml_xml(to_networkx(network), part)
    return Path(path)


def write_edges_tsv(network: Network, path: str | Path) -> Path:
    """Edges as a TSV with the columns ``source``, ``target``, ``weight``; pairs of a similarity network once."""
    write_tsv(edge_list(network), path)
    return Path(path)
