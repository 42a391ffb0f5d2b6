"""Properties of walks over made-up networks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from mirnagraph.walks.graph import walk_graph
from mirnagraph.walks.rounds import walk_rounds


@settings(max_examples=40, deadline=None)
@given(
    n_nodes=st.integers(1, 12),
    density=st.floats(0, 1),
    seed=st.integers(0, 2**31),
    p=st.floats(0.01, 100),
    q=st.floats(0.01, 100),
    weighted=st.booleans(),
    directed=st.booleans(),
)
def test_every_step_is_an_edge_and_padding_stays_at_the_end(
    n_nodes: int, density: float, seed: int, p: float, q: float, weighted: bool, directed: bool
) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.random((n_nodes, n_nodes)) < density) * (
        rng.random((n_nodes, n_nodes)) + 0.01 if weighted else 1.0
    )
    if not directed:
        dense = np.triu(dense) + np.triu(dense, 1).T
    graph = walk_graph(sparse.csr_array(dense))
    walks = np.concatenate(list(walk_rounds(graph, n_walks=2, walk_length=8, p=p, q=q, seed=seed)))
    assert walks.shape == (2 * n_nodes, 8)
    assert (walks[:, 0] >= 0).all()
    for walk in walks:
        length = int((walk >= 0).sum())
        assert (walk[:length] >= 0).all()
        assert (dense[walk[: length - 1], walk[1:length]] > 0).all()
        if length < 8:
            assert not dense[walk[length - 1]].any(), (
                "a walk ends early only where there is no way out"
            )
