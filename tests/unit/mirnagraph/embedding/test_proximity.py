"""k-hop log-proximity: hand-worked values, a naive reference, order of nodes, isolated nodes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from mirnagraph.embedding import factorization as proximity
from mirnagraph.embedding.factorization import (
    ProximityConfig,
    fix_signs,
    log_proximity,
    proximity_embedding,
)
from mirnagraph.errors import ConfigError, InputError


def random_network(n_nodes: int, seed: int) -> sparse.csr_array:
    rng = np.random.default_rng(seed)
    dense = np.triu(rng.random((n_nodes, n_nodes)) * (rng.random((n_nodes, n_nodes)) < 0.2), 1)
    return sparse.csr_array(dense + dense.T)


def naive_log_proximity(dense: np.ndarray, hops: int) -> np.ndarray:
    """GraRep's Algorithm 1, entry by entry."""
    n = len(dense)
    transition = [
        [dense[i, j] / dense[i].sum() if dense[i].sum() else 0.0 for j in range(n)]
        for i in range(n)
    ]
    power = np.linalg.matrix_power(np.array(transition), hops)
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if power[i, j] > 0:
                result[i, j] = max(
                    0.0,
                    math.log(power[i, j] / sum(power[t, j] for t in range(n))) - math.log(1 / n),
                )
    return result


def test_path_of_three_worked_by_hand() -> None:
    """Path a - b - c: a->b 1, b->a 1/2, b->c 1/2, c->b 1; column sums 1/2, 2, 1/2.

    Log(3 * share): b->a log 3, a->b log 1.5.
    """
    path = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], float))
    one = log_proximity(np.array([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]]))
    log3, log15 = math.log(3), math.log(1.5)
    np.testing.assert_allclose(one, [[0, log15, 0], [log3, 0, log3], [0, log15, 0]])
    # Rows a and c are (0, x, 0): one direction of length x sqrt 2; row b is orthogonal to it, of
    # length log3 sqrt 2.
    embedding = proximity_embedding(path, ProximityConfig(dim=2, hops=1))
    first = math.sqrt(log3 * math.sqrt(2))
    second = math.sqrt(log15 * math.sqrt(2)) / math.sqrt(2)
    np.testing.assert_allclose(embedding, [[0, second], [first, 0], [0, second]], atol=1e-6)


def test_two_hops_of_the_path_worked_by_hand() -> None:
    """Two steps: a reaches a and c with 1/2 each, b itself; column a sums to 1, so 3 * 1/2."""
    path = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], float))
    embedding = proximity_embedding(path, ProximityConfig(dim=3, hops=2))[:, 3:]
    expected = [
        [math.log(1.5), 0, math.log(1.5)],
        [0, math.log(3), 0],
        [math.log(1.5), 0, math.log(1.5)],
    ]
    # Symmetric and positive semidefinite, so U sqrt(S) times its transpose is the matrix.
    np.testing.assert_allclose(embedding @ embedding.T, expected, atol=1e-6)


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_equals_a_naive_implementation(hops: int) -> None:
    network = random_network(25, hops)
    matrix = naive_log_proximity(network.toarray(), hops)
    left, strength, right = np.linalg.svd(matrix)
    embedding = proximity_embedding(network, ProximityConfig(dim=25, hops=hops))[:, -25:].astype(
        float
    )
    np.testing.assert_allclose(np.abs(embedding), np.abs(left * np.sqrt(strength)), atol=2e-5)
    rebuilt = (
        embedding
        @ np.diag(1 / np.sqrt(np.maximum(strength, 1e-12)))
        @ (np.sign((embedding * left).sum(0))[:, None] * np.diag(strength) @ right)
    )
    np.testing.assert_allclose(rebuilt, matrix, atol=1e-4)


def test_truncated_and_full_decomposition_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(120, 9)
    full = proximity_embedding(network, ProximityConfig(dim=10, hops=2))
    monkeypatch.setattr(proximity, "SMALL", 10)
    truncated = proximity_embedding(network, ProximityConfig(dim=10, hops=2))
    np.testing.assert_allclose(full, truncated, atol=1e-4)
    np.testing.assert_array_equal(
        truncated, proximity_embedding(network, ProximityConfig(dim=10, hops=2))
    )


def test_permuting_nodes_permutes_rows() -> None:
    network = random_network(40, 3)
    order = np.random.default_rng(0).permutation(40)
    config = ProximityConfig(dim=8, hops=3)
    np.testing.assert_allclose(
        proximity_embedding(network[order][:, order], config),
        proximity_embedding(network, config)[order],
        atol=1e-4,
    )


def test_isolated_nodes_are_zero_and_short_ranks_are_padded() -> None:
    dense = np.zeros((5, 5))
    dense[0, 1] = dense[1, 0] = 2.0
    embedding = proximity_embedding(sparse.csr_array(dense), ProximityConfig(dim=7, hops=2))
    assert embedding.shape == (5, 14)
    assert np.isfinite(embedding).all()
    assert not embedding[2:].any()
    assert embedding[0].any()
    assert not proximity_embedding(sparse.csr_array((3, 3)), ProximityConfig(dim=2, hops=2)).any()


def test_signs_do_not_depend_on_the_sign_given() -> None:
    columns = np.random.default_rng(1).normal(size=(9, 4))
    np.testing.assert_array_equal(fix_signs(columns), fix_signs(-columns))


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="row 0, column 1"):
        proximity_embedding(sparse.csr_array(np.array([[0, -2.0], [1, 0]])))
    with pytest.raises(ConfigError, match="'hops' is 0, expected 1 or more"):
        ProximityConfig(hops=0)


def test_path_of_three_in_blocks_worked_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proximity, "BLOCK", 3)  # one row at a time
    path = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], float))
    found = proximity_embedding(path, ProximityConfig(dim=2, hops=1, dense_up_to=2))
    first = math.sqrt(math.log(3) * math.sqrt(2))
    second = math.sqrt(math.log(1.5) * math.sqrt(2)) / math.sqrt(2)
    np.testing.assert_allclose(found, [[0, second], [first, 0], [0, second]], atol=1e-6)


@pytest.mark.parametrize("shift", [None, 150.0])
def test_blocks_of_rows_give_the_embedding_of_the_dense_matrix(
    shift: float | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(proximity, "BLOCK", 7 * 80)
    rng = np.random.default_rng(1)
    group = np.arange(80) % 4
    chance = np.where(group[:, None] == group[None, :], 0.5, 0.02)
    upper = np.triu(rng.random((80, 80)) < chance, 1).astype(float)
    network = sparse.csr_array(upper + upper.T)
    dense = proximity_embedding(network, ProximityConfig(dim=4, hops=2, shift=shift))
    blocks = ProximityConfig(dim=4, hops=2, shift=shift, dense_up_to=79)
    with caplog.at_level("INFO", logger="mirnagraph"):
        found = proximity_embedding(network, blocks)
    for columns in (slice(0, 4), slice(4, 8)):
        one = dense[:, columns].astype(float)
        other = found[:, columns].astype(float)
        np.testing.assert_allclose(other @ other.T, one @ one.T, atol=0.02)
        np.testing.assert_allclose((other**2).sum(axis=0), (one**2).sum(axis=0), rtol=2e-3)
    left_out = [record.args[1] for record in caplog.records]
    power = sparse.diags_array(1 / network.sum(axis=1)) @ network
    strength = np.linalg.svd(log_proximity(power.toarray(), shift), compute_uv=False)
    expected = 100 * (1 - (strength[:4] ** 2).sum() / (strength**2).sum())
    assert left_out[0] == pytest.approx(expected, abs=0.1)


def test_no_dense_matrix_is_made_above_the_setting() -> None:
    """Twenty thousand nodes in a line: the dense matrix would have 3.2 GB."""
    n_nodes = 20_000
    ring = sparse.csr_array(sparse.eye_array(n_nodes, k=1) + sparse.eye_array(n_nodes, k=-1))
    found = proximity_embedding(ring, ProximityConfig(dim=2, hops=2))
    assert found.shape == (n_nodes, 4)
    assert np.isfinite(found).all()
    assert not proximity_embedding(
        sparse.csr_array((20_000, 20_000)), ProximityConfig(dim=2, hops=1)
    ).any()
