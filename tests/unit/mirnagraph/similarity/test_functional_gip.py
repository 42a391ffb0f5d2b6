"""Functional similarity, interaction profile kernel and their blend: values and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.similarity import disease as module
from mirnagraph.similarity.disease import blend, functional_similarity
from mirnagraph.similarity.profile import gip_similarity

S = np.array([[1.0, 0.2, 0.6], [0.2, 1.0, 0.0], [0.6, 0.0, 1.0]])


def plain_best_match(a: np.ndarray, s: np.ndarray) -> np.ndarray:
    sets = [np.flatnonzero(row) for row in a]
    result = np.eye(len(sets))
    for i, one in enumerate(sets):
        for j, two in enumerate(sets):
            if i != j and len(one) and len(two):
                total = sum(max(s[d, e] for e in two) for d in one) + sum(
                    max(s[d, e] for e in one) for d in two
                )
                result[i, j] = total / (len(one) + len(two))
    return result


def plain_common(a: np.ndarray, s: np.ndarray) -> np.ndarray:
    sets = [set(np.flatnonzero(row).tolist()) for row in a]
    result = np.eye(len(sets))
    for i, one in enumerate(sets):
        for j, two in enumerate(sets):
            if i != j and one & two:
                sims = [
                    (np.mean([s[d, e] for e in one]) + np.mean([s[d, e] for e in two])) / 2
                    for d in one & two
                ]
                result[i, j] = np.mean(sims)
    return result


PLAIN = {"best_match": plain_best_match, "gtmaloc": plain_common}


def test_best_match_worked_by_hand() -> None:
    result = functional_similarity(np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 1]]), S)
    assert result[0, 1] == pytest.approx((0.6 + 0.0 + 0.6) / 3)
    assert result[0, 3] == pytest.approx((1 + 0.2 + 1 + 0.6) / 4)
    assert result[1, 3] == pytest.approx((1 + 0.6 + 1) / 3)
    assert result[2].tolist() == [0, 0, 1, 0]


def test_gtmaloc_worked_by_hand() -> None:
    result = functional_similarity(np.array([[1, 1, 0], [1, 0, 1], [0, 0, 1]]), S, method="gtmaloc")
    # the common disease 0: mean to {0, 1} is .6, to {0, 2} is .8
    assert result[0, 1] == pytest.approx(0.7)
    assert result[0, 2] == 0
    assert result[1, 2] == pytest.approx((0.8 + 1) / 2)


@pytest.mark.parametrize("method", ["best_match", "gtmaloc"])
@pytest.mark.parametrize("rows_at_once", [1, 7, 4096])
def test_equals_plain_loops(
    method: str, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows_at_once)
    rng = np.random.default_rng(2)
    a = (rng.random((25, 12)) < 0.25).astype(float)
    a[[0, 9, 10, 24]] = 0
    s = rng.random((12, 12))
    s = np.maximum(s, s.T)
    np.fill_diagonal(s, 1)
    result = functional_similarity(sparse.csr_array(a), s, method=method)
    np.testing.assert_allclose(result, PLAIN[method](a, s), atol=1e-12)
    assert (result == result.T).all()


def test_functional_reads_weights_as_there_or_not() -> None:
    a = np.array([[1, 1, 0], [0, 1, 1]])
    assert functional_similarity(a * 3.5, S).tolist() == functional_similarity(a, S).tolist()
    with_zero = sparse.csr_array(
        (np.array([1.0, 0.0, 1.0]), (np.array([0, 0, 1]), np.array([0, 1, 2]))), shape=(2, 3)
    )
    assert functional_similarity(with_zero, S)[0, 1] == pytest.approx(0.6)


def test_empty_and_single() -> None:
    for method in PLAIN:
        assert functional_similarity(np.zeros((0, 3)), S, method=method).shape == (0, 0)
        assert functional_similarity(np.array([[0, 1, 0]]), S, method=method).tolist() == [[1.0]]
        assert (
            functional_similarity(np.zeros((2, 0)), np.zeros((0, 0)), method=method).tolist()
            == np.eye(2).tolist()
        )
    assert gip_similarity(np.zeros((0, 3))).shape == (0, 0)
    assert gip_similarity(np.array([[1, 0]])).tolist() == [[1.0]]
    assert gip_similarity(np.zeros((2, 3))).tolist() == np.eye(2).tolist()


def test_gip_worked_by_hand() -> None:
    # squared norms 1, 2, 0: mean 1; distance of the first two 1
    result = gip_similarity(np.array([[1, 0], [1, 1], [0, 0]]), gamma=0.5)
    assert result[0, 1] == pytest.approx(np.exp(-0.5))
    assert result[2].tolist() == [0, 0, 1]


def test_gip_equals_plain_loops() -> None:
    rng = np.random.default_rng(1)
    a = (rng.random((15, 9)) < 0.4) * rng.random((15, 9))
    a[3] = 0
    g = 2.0 / np.mean([(row**2).sum() for row in a])
    result = gip_similarity(sparse.csr_array(a), gamma=2.0)
    for i in range(15):
        for j in range(15):
            expected = (
                1.0 if i == j else 0.0 if 3 in (i, j) else np.exp(-g * ((a[i] - a[j]) ** 2).sum())
            )
            assert result[i, j] == pytest.approx(expected)
    assert (result == result.T).all()


def test_blend_is_linear_and_keeps_the_diagonal() -> None:
    fs, gip = np.array([[1, 0.0], [0.0, 1]]), np.array([[1, 0.8], [0.8, 1]])
    assert blend(fs, gip, lambda_=0.25).tolist() == [
        [1, pytest.approx(0.6)],
        [pytest.approx(0.6), 1],
    ]
    assert blend(fs, gip, lambda_=1.0).tolist() == fs.tolist()
    assert blend(fs, gip, lambda_=0.0).tolist() == gip.tolist()
    for weight in np.linspace(0, 1, 97):
        assert blend(fs, gip, lambda_=float(weight)).diagonal().tolist() == [1.0, 1.0]


def test_bad_input_is_named() -> None:
    with pytest.raises(
        InputError,
        match=r"the disease similarity does not fit the associations; found \(3, 3\), expected "
        r"\(2, 2\)",
    ):
        functional_similarity(np.eye(2), S)
    with pytest.raises(InputError, match=r"differ in shape; found \(2, 2\), expected \(3, 3\)"):
        blend(S, np.eye(2))
    for call in (
        lambda: functional_similarity(np.eye(3), S, method="max"),
        lambda: gip_similarity(S, gamma=0),
        lambda: blend(S, S, lambda_=1.5),
    ):
        with pytest.raises(ConfigError, match="setting"):
            call()
