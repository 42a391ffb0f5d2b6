"""Networks made in Python: matrices of any kind, edges of one direction, wrong weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mirnagraph.errors import ArgumentError, InputError
from mirnagraph.measurements import Measurement
from mirnagraph.networks.export import to_networkx
from mirnagraph.networks.network import describe_network, edge_list
from mirnagraph.nodes import Network, NodeIndex

RNAS = NodeIndex.of(["a", "b", "c"], "miRNA")
WEIGHTS = np.array([[0, 0.5, 0], [0.5, 0, 0.25], [0, 0.25, 0]])
ROWS, COLUMNS = np.nonzero(WEIGHTS)
HALVES = np.tile(WEIGHTS[ROWS, COLUMNS] / 2, 2)


@pytest.mark.parametrize(
    "matrix",
    [
        sparse.csr_array(WEIGHTS),
        sparse.csc_matrix(WEIGHTS),
        sparse.csr_array(WEIGHTS.astype(np.float32)),
        sparse.coo_array((HALVES, (np.tile(ROWS, 2), np.tile(COLUMNS, 2))), shape=(3, 3)),
        sparse.csr_array(([0.5, 0, 0.5, 0.25, 0.25], [1, 2, 0, 2, 1], [0, 2, 4, 5])),
    ],
)
def test_a_network_of_any_sparse_matrix(matrix: Any) -> None:
    network = Network("n", RNAS, None, matrix)
    assert edge_list(network).to_numpy().tolist() == [["a", "b", 0.5], ["b", "c", 0.25]]
    assert describe_network(network)["edges"] == 2
    assert to_networkx(network)["b"]["c"]["weight"] == 0.25


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (sparse.csr_array(np.triu(WEIGHTS)), "is not symmetric; found another weight from a to b"),
        (sparse.csr_array(np.tril(WEIGHTS)), "network 'n' is not symmetric"),
        (sparse.csr_array(WEIGHTS + np.eye(3)), "network 'n' joins an RNA to itself; found a"),
        (sparse.csr_array(-WEIGHTS), "a wrong weight in network 'n'; found -0.5"),
        (sparse.csr_array(WEIGHTS * np.inf), "a wrong weight in network 'n'"),
    ],
)
def test_a_matrix_that_is_no_network(matrix: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network("n", RNAS, None, matrix)


def test_what_is_no_matrix_or_network() -> None:
    for matrix in (WEIGHTS, sparse.csr_array(WEIGHTS * 1j), None):
        with pytest.raises(ArgumentError, match="expected a sparse matrix of numbers"):
            Network("n", RNAS, None, matrix)  # type: ignore[arg-type]
    for function in (edge_list, to_networkx):
        with pytest.raises(ArgumentError, match="network is None"):
            function(None)  # type: ignore[arg-type]


def test_a_complex_number_is_no_measurement() -> None:
    samples = pd.DataFrame(index=["s"])
    with pytest.raises(InputError, match="values are no numbers"):
        Measurement(pd.DataFrame({"s": [1j, 2]}, index=["a", "b"]), samples)
