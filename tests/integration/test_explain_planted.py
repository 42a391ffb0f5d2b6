"""Explanations find what was planted: on the demo, what moves a compartment's labels is what its answers change without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from fusion.explain_answer import answering, without_each
from fusion.known import KnownRNAs
from fusion.learner import fit_learner
from fusion.model_files import SavedModel
from fusion.problem import prepare, resolve_tokens
from fusion.settings import experiment_config
from mirnagraph.networks.build import build_networks
from mirnagraph.seeds import child_seed
from mirnagraph.synthetic import DEMO_SEED, SyntheticConfig, make_synthetic

MODALITY_OF = {"family": "sequence", "disease": "disease", "mRNA": "mRNA", "drug": "drug"}


@pytest.mark.slow
def test_answers_change_most_without_what_was_planted() -> None:
    dataset, truth = make_synthetic(SyntheticConfig(seed=DEMO_SEED))
    networks = build_networks(dataset)
    config = experiment_config("default")
    training = replace(config.training, epochs=10, n_members=1, n_students=1)
    trees = replace(config.trees, n_trees=100, rounds=40)
    config = resolve_tokens(networks, replace(config, training=training, trees=trees, mix=replace(config.mix, calibration_part=0.0)))
    problem = prepare(networks, config)
    learner = fit_learner(problem, np.arange(len(problem.index)), config, child_seed(config.seed, "final"))
    nothing, trained = np.full(problem.labels.shape, np.nan), np.ones(len(problem.index), dtype=bool)
    known = KnownRNAs(problem.index, (None,) * len(trained), ("",) * len(trained), trained, problem.labels, learner.tokens, nothing, nothing, nothing)
    model = SavedModel(
        config, problem.compartments, dict(learner.tokens.sources), learner.attention, dict(learner.trees), dict(learner.weights), learner.thresholds,
        learner.temperature, {}, {}, known,
    )  # fmt: skip
    changes = []
    for row in range(len(trained)):
        asked, unseen = answering(model, row)
        assert unseen
        groups, said = without_each(asked)
        logits = logit(said)
        changes.append(np.abs(logits[1:] - logits[0]))
    mean = dict(zip(groups, np.mean(changes, axis=0), strict=True))
    found = {}
    for column, name in enumerate(problem.compartments):
        of = {planted: float(mean[MODALITY_OF[planted]][column]) for planted in MODALITY_OF}
        drivers = truth.drivers[name]
        found[name] = (np.mean([of[m] for m in drivers]), np.mean([of[m] for m in MODALITY_OF if m not in drivers]))
    assert sum(planted > others for planted, others in found.values()) >= len(found) - 1, found
    assert np.mean([planted / others for planted, others in found.values()]) > 1.5, found
