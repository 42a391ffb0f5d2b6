"""Kernel principal components against scikit-learn, presence, round trip."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.decomposition import KernelPCA

from fusion.model_config import KernelSettings
from fusion.models import kernel_features
from fusion.models.kernel import landmarks
from fusion.models.kernel_features import KernelFeatures, fit_kernel_features
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.embedding.rank_kernel import Components
from mirnagraph.nodes import NodeIndex

N_RNAS = 12
TRAIN = np.arange(9)
SETTINGS = KernelSettings({"a": ("kmer",), "b": ("degree",)}, ("a*b",))


def table(change: float = 0.0) -> TokenTable:
    """Two tokens; RNA 2 lacks the second, the last RNA both; `change` is of tested RNAs."""
    random = np.random.default_rng(6)
    kmer = random.normal(size=(N_RNAS, 3))
    degree = random.normal(size=(N_RNAS, 2))
    kmer[len(TRAIN) :] += change
    degree[[2, -1]] = 0
    kmer[-1] = 0
    index = NodeIndex.of([f"rna-{number}" for number in range(N_RNAS)], "RNA")
    return TokenTable(index, (make_token("kmer", kmer), make_token("degree", degree)))


def kernel_of(n: int) -> np.ndarray:
    points = np.random.default_rng(7).normal(size=(n, 3))
    distances = np.abs(points[:, None] - points[None]).sum(axis=2)
    return np.exp(-distances / 3).astype(np.float32)


def test_components_are_those_of_scikit_learn_over_one_scale() -> None:
    kernel = kernel_of(15)
    train = kernel[:10, :10]
    components = Components.fit(train, 4)
    theirs = KernelPCA(4, kernel="precomputed").fit(train.astype(float))
    of_train = theirs.transform(train.astype(float))
    expected = theirs.transform(kernel[10:, :10].astype(float)) / np.sqrt((of_train**2).mean())
    found = components(kernel[10:, :10])
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    scaled = components(train)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert float((scaled**2).mean()) == pytest.approx(1, rel=1e-4)
    # leading components first, and the largest entry of each vector is positive
    assert (np.diff(scaled.std(axis=0)) < 0).all()
    vectors = components.projection
    assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(4)] > 0).all()


def test_two_rnas_by_hand() -> None:
    # centred: (1 - c) / 2 * [[1, -1], [-1, 1]] with c = 0.5: one component, equal and opposite
    components = Components.fit(np.array([[1, 0.5], [0.5, 1]], dtype=np.float32), 5)
    assert components.projection.shape == (2, 1)
    found = components(np.array([[1, 0.5], [0.5, 1], [0.75, 0.75]], dtype=np.float32))
    assert np.abs(found[:2, 0]).tolist() == pytest.approx([1, 1])
    assert found.sum() == pytest.approx(0, abs=1e-6)
    assert found[2, 0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_kernel_has_no_component(value: float) -> None:
    components = Components.fit(np.full((7, 7), value, dtype=np.float32), 3)
    assert components.projection.shape == (7, 0)
    assert components(np.ones((2, 7), dtype=np.float32)).shape == (2, 0)


def test_a_token_for_each_block_and_product() -> None:
    features = fit_kernel_features(table(), TRAIN, SETTINGS, 3)
    names = ["kernel_features:a", "kernel_features:b", "kernel_features:a-b"]
    assert features.widths == dict.fromkeys(names, 3)
    described = features.tokens(table(), np.array([1, 2, 11]))
    assert [present.tolist() for _, present in described.values()] == [
        [True, True, False],
        [True, False, False],
        [True, False, False],
    ]
    for values, present in described.values():
        assert values.shape == (3, 3)
        assert not values[~present].any()
        assert values[present].any(axis=1).all()


def test_nothing_is_read_of_rows_outside_training() -> None:
    expected = fit_kernel_features(table(), TRAIN, SETTINGS, 3).to_arrays()
    found = fit_kernel_features(table(change=5.0), TRAIN, SETTINGS, 3).to_arrays()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_of_too_many_training_rows_some_stand_for_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel_features, "MAX_ROWS", 8)
    monkeypatch.setattr(kernel_features, "N_LANDMARKS", 7)
    found = fit_kernel_features(table(), TRAIN, SETTINGS, 3)
    expected = fit_kernel_features(table(), landmarks(TRAIN, 7), SETTINGS, 3)
    for name, array in expected.to_arrays().items():
        assert (found.to_arrays()[name] == array).all(), name
    said = re.search(
        r"from 7 of 9 training RNAs \(Nyström\); relative error of a kernel "
        r"(\S+) to (\S+), median (\S+)$",
        caplog.messages[0],
    )
    assert said is not None
    least, largest, median = map(float, said.groups())
    assert 0 < least < median < largest < 1
    assert found.tokens(table(), TRAIN)["kernel_features:a"][0].shape == (9, 3)


def test_as_many_training_rows_as_the_kernel_takes_are_all_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel_features, "MAX_ROWS", len(TRAIN))
    monkeypatch.setattr(kernel_features, "N_LANDMARKS", 7)
    found = fit_kernel_features(table(), TRAIN, SETTINGS, 3)
    assert [len(block.values) for block in found.blocks.values()] == [len(TRAIN)] * 2
    assert not caplog.messages


def test_round_trip_and_arrays_that_do_not_fit() -> None:
    features = fit_kernel_features(table(), TRAIN, SETTINGS, 3)
    arrays = features.to_arrays()
    again = KernelFeatures.from_arrays(arrays, SETTINGS)
    rows = np.arange(N_RNAS)
    expected = features.tokens(table(), rows)
    for name, (values, present) in again.tokens(table(), rows).items():
        np.testing.assert_array_equal(values, expected[name][0])
        np.testing.assert_array_equal(present, expected[name][1])
    with pytest.raises(ValueError, match="for 9 training RNAs"):
        KernelFeatures.from_arrays(
            {**arrays, "kernel_features.term.0.mean": np.zeros(4, dtype=np.float32)}, SETTINGS
        )
    arrays.pop("kernel_features.term.2.projection")
    with pytest.raises(KeyError):
        KernelFeatures.from_arrays(arrays, SETTINGS)
