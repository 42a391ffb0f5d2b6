"""Export of networks: networkx, PyG HeteroData, GraphML with attributes, edge lists as TSV."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.io import write_file, write_tsv
from mirnagraph.networks.attributes import edge_attributes, partner_attributes, rna_attributes
from mirnagraph.networks.cytoscape import STYLE, write_style
from mirnagraph.networks.network import Network, NetworkSet, edge_list, safe_name
from mirnagraph.reading.arguments import checked

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

GRAPHML = "http://graphml.graphdrawing.org/xmlns"
"""Namespace of the elements of a GraphML file."""

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@checked
def to_networkx(network: Network) -> nx.Graph:
    """Export one network as an undirected graph.

    Nodes are in row order, isolated ones included. A node is its id, and has ``kind`` and ``name``
    (the id as text); a partner with the id of an RNA is ``"KIND:ID"``. Edges have ``weight``
    (float) and ``network`` (its name).
    """
    graph = nx.Graph(name=network.name)
    _add(graph, network, set(network.rnas.ids))
    return graph


@checked
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


@checked
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


@checked
def to_described(
    network: Network, dataset: Dataset, predictions: pd.DataFrame | None = None
) -> nx.Graph:
    """Export one network with all that is known of its nodes and edges.

    Nodes and edges as in `to_networkx`; nodes also have ``degree`` (edges in this network) and the
    attributes of `rna_attributes` and `partner_attributes`, edges of associations those of
    `edge_attributes`. What is not known is left out.

    Args:
        network: of the dataset.
        dataset: what the network was built from.
        predictions: as of `rna_attributes`.
    """
    return _described(network, dataset, rna_attributes(dataset, predictions))


def _described(
    network: Network, dataset: Dataset, rnas: Mapping[str, dict[str, object]]
) -> nx.Graph:
    """Add what is known of the RNAs, the partners and the associations."""
    graph = to_networkx(network)
    partners: dict[str, dict[str, object]] = {}
    edges: dict[tuple[str, str], dict[str, object]] = {}
    if network.partners is not None:
        partners = partner_attributes(dataset, network.name)
        edges = edge_attributes(dataset, network.name)
    n_rnas = len(network.rnas)
    for number, (node, values) in enumerate(graph.nodes(data=True)):
        details = rnas if number < n_rnas else partners
        values["degree"] = int(graph.degree[node])
        values.update(details.get(values["name"], {}))
    for rna, node, values in graph.edges(data=True):
        values.update(edges.get((rna, graph.nodes[node]["name"]), {}))
    return graph


@checked
def write_graphml(
    networks: NetworkSet, folder: str | Path, predictions: pd.DataFrame | None = None
) -> list[Path]:
    """Write one ``NAME.graphml`` per network, and a style file for Cytoscape beside them.

    Args:
        networks: with their dataset.
        folder: of the files.
        predictions: as of `mirnagraph.networks.attributes.rna_attributes`.

    Returns:
        The GraphML files.

    Raises:
        InputError: an id or another text holds a character that XML cannot hold.
    """
    dataset = networks.dataset
    rnas = rna_attributes(dataset, predictions)
    paths = []
    for name, network in networks.networks.items():
        path = Path(folder) / f"{safe_name(name)}.graphml"
        paths.append(_write_graph(_described(network, dataset, rnas), path))
    write_style(Path(folder) / STYLE, dataset.compartments, predicted=predictions is not None)
    return paths


@checked
def write_graphml_file(network: Network, path: str | Path) -> Path:
    """Write one network as GraphML, without a dataset.

    Node attributes are ``kind`` and ``name`` (string), edge attributes ``weight`` (double) and
    ``network`` (string).

    Raises:
        InputError: an id holds a character that XML cannot hold.
    """
    return _write_graph(to_networkx(network), path)


def _write_graph(graph: nx.Graph, path: str | Path) -> Path:
    """Write a graph; types follow from the values: string, long, double and boolean."""
    for text in _texts(graph):
        if NOT_XML.search(text):
            raise InputError(
                "an id holds a character that GraphML cannot hold",
                file=path,
                found=repr(text),
                expected="printable characters",
            )
    root = ET.fromstring("\n".join(nx.generate_graphml(graph)))
    keys = root.iter(f"{{{GRAPHML}}}key")
    booleans = {key.get("id") for key in keys if key.get("attr.type") == "boolean"}
    for data in root.iter(f"{{{GRAPHML}}}data"):
        if data.get("key") in booleans:
            data.text = str(data.text).lower()  # networkx writes True, the standard is true
    ET.indent(root)
    ET.register_namespace("", GRAPHML)
    with write_file(path) as part:
        ET.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)
    return Path(path)


def _texts(graph: nx.Graph) -> Iterator[str]:
    """Every text of a graph: ids, and attributes of nodes and edges."""
    yield from graph.nodes
    for _, values in graph.nodes(data=True):
        yield from (value for value in values.values() if isinstance(value, str))
    for _, _, values in graph.edges(data=True):
        yield from (value for value in values.values() if isinstance(value, str))


@checked
def write_edges_tsv(network: Network, path: str | Path) -> Path:
    """Write the edges of `edge_list` as a TSV."""
    write_tsv(edge_list(network), path)
    return Path(path)
