"""The default preset on the public benchmark: better than counting how well studied a miRNA is,
and blind to test labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from fusion.config import ExperimentConfig, experiment_config
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare, resolve_tokens
from fusion.experiments.cross_validate import run_fold
from mirnagraph.evaluation.splits import Folds, make_folds
from mirnagraph.networks.build import build_networks
from mirnagraph.sources import load_dataset

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def work(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FusionData, ExperimentConfig, Folds]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRNAGRAPH_DATA", str(real_data))
        networks = build_networks(load_dataset("mirna1041"))
    config = resolve_tokens(networks, experiment_config("default", seed=77))
    data = prepare(networks, config, cache=str(tmp_path_factory.mktemp("embeddings")))
    return data, config, make_folds(networks.dataset, n_folds=10, seed=77)


def test_it_beats_counting_and_no_test_label_is_read(
    work: tuple[FusionData, ExperimentConfig, Folds],
) -> None:
    data, config, folds = work
    ours, counted = [], []
    for fold in (0, 1):
        train, test = folds.rows(data.index, fold)
        result = run_fold(data, folds, config, fold)
        degree = StandardScaler().fit_transform(data.tokens["degree"].values)
        for column in range(data.labels.shape[1]):
            truth = data.labels[test, column]
            ours.append(roc_auc_score(truth, result.probabilities[:, column]))
            model = LogisticRegression().fit(degree[train], data.labels[train, column])
            counted.append(roc_auc_score(truth, model.predict_proba(degree[test])[:, 1]))
        if fold == 0:
            shuffled = data.labels.copy()
            shuffled[test] = np.random.default_rng(0).permutation(1 - shuffled[test])
            again = run_fold(replace(data, labels=shuffled), folds, config, fold)
            np.testing.assert_array_equal(again.probabilities, result.probabilities)
    assert np.mean(ours) > 0.9
    assert np.mean(ours) > np.mean(counted) + 0.04


def test_no_token_is_read_off_a_name(
    real_data: Path, work: tuple[FusionData, ExperimentConfig, Folds]
) -> None:
    """Other names for the same RNAs give the same label-free tokens."""
    config = work[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRNAGRAPH_DATA", str(real_data))
        dataset = load_dataset("mirna1041")
    other = {name: f"x{number:04d}" for number, name in enumerate(dataset.index)}
    renamed = replace(
        dataset,
        rnas=dataset.rnas.rename(index=other),
        labels=dataset.labels.rename(index=other),
        associations={
            kind: table.assign(rna_id=table["rna_id"].map(other))
            for kind, table in dataset.associations.items()
        },
        measurements={
            name: replace(
                table,
                values=table.values.rename(index=other),
                arms={arm: values.rename(index=other) for arm, values in table.arms.items()},
            )
            for name, table in dataset.measurements.items()
        },
    )
    plain = replace(
        config.tokens,
        attention=tuple(n for n in config.tokens.trees if not n.startswith("neighbours")),
        trees=(),
    )
    free = replace(config, tokens=plain)
    for mine, theirs in zip(
        prepare(build_networks(dataset), free).tokens,
        prepare(build_networks(renamed), free).tokens,
        strict=True,
    ):
        np.testing.assert_array_equal(mine.values, theirs.values, err_msg=mine.name)
