"""The default preset on datasets without sequences, measurements or associations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusion.config import ExperimentConfig, experiment_config
from fusion.data.prepare import prepare, resolve_tokens
from fusion.models.ensemble import fit_fusion_model
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import build_networks

SMALL = {
    "newcomers": "",
    "trees": {"n_trees": 3, "rounds": 2, "boosting_width": 10},
    "fusion": {
        "dim": 4, "kernel_dim": 3, "n_queries": 2, "hidden": 4, "n_members": 1, "bins": 2,
        "graph_heads": 1, "epochs": 1, "n_batches": 1,
        "sequence_settings": {"filters": 2, "kernel": 3},
    },
    "mix": {"calibration_part": 0.0},
    "tokens": {"letters": 10, "svd_dim": 3, "neighbours": 3},
}  # fmt: skip


def reduced(dataset: Dataset, without: str) -> Dataset:
    rnas = dataset.rnas.iloc[:30]
    labels = dataset.labels.loc[rnas.index]
    associations = {
        kind: table[table["rna_id"].isin(rnas.index)].reset_index(drop=True)
        for kind, table in dataset.associations.items()
    }
    small = replace(dataset, rnas=rnas, labels=labels, associations=associations, measurements={})
    if without == "sequences":
        dropped = [name for name in ("matures", "family") if name in rnas]
        return replace(small, rnas=rnas.assign(sequence=None).drop(columns=dropped))
    return small


@pytest.mark.parametrize("without", ["sequences", "measurements"])
def test_default_without_a_source(small_dataset: Dataset, without: str) -> None:
    networks = build_networks(reduced(small_dataset, without), workers=1)
    config: ExperimentConfig = resolve_tokens(networks, experiment_config("default", over=SMALL))
    assert not any(name.startswith("expression") for name in config.token_names)
    data = prepare(networks, config)
    model = fit_fusion_model(data, np.arange(20), config, 0)
    probabilities = model.predict(np.arange(30))
    assert np.isfinite(probabilities).all()
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_default_without_associations_is_one_sentence(small_dataset: Dataset) -> None:
    dataset = replace(reduced(small_dataset, ""), associations={}, partners={}, supporting=())
    networks = build_networks(dataset, workers=1)
    config = resolve_tokens(networks, experiment_config("default", over=SMALL))
    with pytest.raises(ConfigError, match="needs a network of associations; the") as error:
        prepare(networks, config)
    assert "\n" not in str(error.value)
