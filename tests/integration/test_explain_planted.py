"""Explanations of a synthetic dataset: planted modalities change the predictions most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from fusion.config import experiment_config
from fusion.data.prepare import prepare, resolve_tokens
from fusion.explain.occlusion import model_for_row, occlude_modalities
from fusion.models.ensemble import fit_fusion_model
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from mirnagraph.networks.build import build_networks
from mirnagraph.seeds import child_seed
from mirnagraph.synthetic import DEMO_SEED, SyntheticConfig, make_synthetic

MODALITY_OF = {"family": "sequence", "disease": "disease", "mRNA": "mRNA", "drug": "drug"}


@pytest.mark.slow
def test_predictions_change_most_without_what_was_planted() -> None:
    dataset, truth = make_synthetic(SyntheticConfig(seed=DEMO_SEED))
    networks = build_networks(dataset)
    config = experiment_config("trees")
    training = replace(config.training, epochs=10, n_members=1, n_students=1)
    trees = replace(config.trees, n_trees=100, rounds=40)
    config = resolve_tokens(
        networks,
        replace(
            config, training=training, trees=trees, mix=replace(config.mix, calibration_part=0.0)
        ),
    )
    data = prepare(networks, config)
    fusion_model = fit_fusion_model(
        data, np.arange(len(data.index)), config, child_seed(config.seed, "final")
    )
    nothing, trained = (
        np.full(data.labels.shape, np.nan),
        np.ones(len(data.index), dtype=bool),
    )
    known = ReferenceRNAs(
        data.index,
        (None,) * len(trained),
        ("",) * len(trained),
        trained,
        data.labels,
        fusion_model.tokens,
        nothing,
        nothing,
        nothing,
    )
    model = SavedModel(
        config,
        data.compartments,
        dict(fusion_model.tokens.sources),
        fusion_model.attention,
        dict(fusion_model.trees),
        dict(fusion_model.weights),
        fusion_model.thresholds,
        fusion_model.temperature,
        {},
        {},
        known,
    )
    changes = []
    for row in range(len(trained)):
        asked, unseen = model_for_row(model, row)
        assert unseen
        groups, probabilities = occlude_modalities(asked)
        logits = logit(probabilities)
        changes.append(np.abs(logits[1:] - logits[0]))
    mean = dict(zip(groups, np.mean(changes, axis=0), strict=True))
    found = {}
    for column, name in enumerate(data.compartments):
        of = {planted: float(mean[MODALITY_OF[planted]][column]) for planted in MODALITY_OF}
        drivers = truth.drivers[name]
        found[name] = (
            np.mean([of[m] for m in drivers]),
            np.mean([of[m] for m in MODALITY_OF if m not in drivers]),
        )
    assert sum(planted > others for planted, others in found.values()) >= len(found) - 1, found
    assert np.mean([planted / others for planted, others in found.values()]) > 1.5, found
