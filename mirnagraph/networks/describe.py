"""Statistics of networks: size, isolated nodes, components, density, degree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from mirnagraph.networks.types import Network, NetworkSet

COLUMNS = ["network", "nodes", "rnas", "partners", "edges", "isolated", "isolated_rnas", "components", "largest_component", "density", "mean_degree"]


def describe(networks: NetworkSet) -> pd.DataFrame:
    """One row per network, in their order (see `describe_network`)."""
    return pd.DataFrame([describe_network(network) for network in networks.networks.values()], columns=COLUMNS)


def describe_network(network: Network) -> dict[str, str | int | float]:
    """Statistics of one network.

    Returns:
        ``nodes`` (``rnas`` and ``partners``), ``edges`` (each pair once), ``isolated`` (nodes without edge; of these
        ``isolated_rnas``), ``components`` (an isolated node is one), ``largest_component`` (its nodes), ``density``
        (edges over possible edges: RNA pairs, or RNAs times partners) and ``mean_degree`` (edge ends per node).
    """
    adjacency = network.adjacency
    n_nodes, n_rnas = adjacency.shape[0], len(network.rnas)
    degree = np.diff(adjacency.indptr)
    n_edges = int(degree.sum()) // 2
    possible = n_rnas * (n_rnas - 1) // 2 if network.partners is None else n_rnas * len(network.partners)
    n_components, member_of = connected_components(adjacency, directed=False) if n_nodes else (0, np.zeros(0, dtype=int))
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
