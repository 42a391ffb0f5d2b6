"""k-mer baselines: unknown labels are left out, and predictions come in blocks of rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mirnagraph.seeds import generator
from seqtower.baselines import kmer
from seqtower.baselines.kmer import BOOSTING, LOGISTIC, kmer_models


@pytest.fixture
def features() -> np.ndarray:
    values = generator(0, "features").random((60, 12), dtype=np.float32)
    values[:, 3] = 0.5  # a column without variance
    return values


@pytest.mark.parametrize("block", [7, 10_000])
def test_predictions_in_blocks_are_those_of_all_rows(
    block: int, features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kmer, "AT_A_TIME", block)
    monkeypatch.setitem(kmer.GROWTH, "max_iter", 3)
    rng = generator(1, "labels")
    labels = (features[:, :4] + rng.normal(0, 0.1, (60, 4)) > 0.5).astype(float)
    labels[::4, 0] = np.nan
    labels[:, 2] = np.nan
    labels[:, 3] = 1.0
    train, rows = np.arange(40), np.arange(59, 39, -1)
    before = features.copy()
    found = kmer_models(features, labels, "multi-label", train, rows, 5)
    np.testing.assert_array_equal(features, before)
    for values in found.values():
        assert (values[:, 2] == 0.5).all(), "no label is known"
        assert (values[:, 3] == 1.0).all(), "there is one label alone"
    known = train[~np.isnan(labels[train, 0])]
    of_train = features[train]
    scale = of_train.std(axis=0)
    scale[3] = 1
    scaled = (features - of_train.mean(axis=0)) / scale
    model = LogisticRegression(C=0.002, max_iter=500).fit(scaled[known], labels[known, 0])
    expected = model.predict_proba(scaled[rows])[:, 1]
    np.testing.assert_allclose(found[LOGISTIC][:, 0], expected, rtol=1e-5)
    assert np.ptp(found[BOOSTING][:, 1]) > 0.01
