"""Comparison of predicted fractions: weighted correlation against numpy, a better model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.evaluation.compare import compare_fractions, weighted_pearson
from mirnagraph.seeds import generator


def test_weights_count_rnas_and_unknown_ones_do_not() -> None:
    rng = generator(0, "fractions")
    x, y = rng.random(20), rng.random(20)
    weights = rng.integers(0, 4, (5, 20)).astype(float)
    x[3] = np.nan
    found = weighted_pearson(x, y, weights)
    for row, weight in enumerate(weights.astype(int)):
        weight = np.where(np.arange(20) == 3, 0, weight)
        assert found[row] == pytest.approx(
            np.corrcoef(np.repeat(x, weight), np.repeat(y, weight))[0, 1]
        )
    assert np.isnan(weighted_pearson(x, np.ones(20), weights)).all()


def test_the_better_model_is_found_better() -> None:
    rng = generator(1, "fractions")
    true = rng.dirichlet(np.ones(2), 300)
    ids = [f"r{i}" for i in range(300)]

    def table(noise: float) -> pd.DataFrame:
        said = true + rng.normal(0, noise, true.shape)
        return pd.DataFrame(
            {"rna_id": ids, "fold": np.arange(300) % 3, "in": said[:, 0], "out": said[:, 1]}
        )

    labels = pd.DataFrame(true, index=ids, columns=["in", "out"])
    worse, better = table(0.5), table(0.1)
    found = compare_fractions(
        worse, better.sample(frac=1, random_state=0), labels, n_resamples=200
    ).set_index("compartment")
    assert (found["difference"] > 0).all()
    assert (found["low"] > 0).all()
    assert found.loc["in", "second"] == pytest.approx(np.corrcoef(better["in"], true[:, 0])[0, 1])
    assert found.loc["average", "first"] == pytest.approx(found.loc[["in", "out"], "first"].mean())
    same = compare_fractions(worse, worse, labels, n_resamples=200)
    assert (same["difference"] == 0).all()
    with pytest.raises(InputError, match="predict different RNAs"):
        compare_fractions(worse, better.iloc[1:], labels, n_resamples=200)
