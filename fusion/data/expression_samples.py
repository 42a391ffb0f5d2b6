"""Selections of expression samples, with and without those near the labels; model inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fusion.data.baseline_inputs import BaselineInputs, baseline_inputs
from mirnagraph.config import from_dict
from mirnagraph.measurements import BODY_FLUID, ISOLATED_FRACTION, Measurement, default_names
from mirnagraph.networks.build import NetworkConfig, coexpression_of
from mirnagraph.networks.network import COEXPRESSION, NetworkSet

WITHOUT = "without expression"
ORDINARY = "ordinary samples"
NO_OVERLAP = "ordinary samples without label sources"
WITH_FLUIDS = "ordinary samples and body fluids"
WITH_FRACTIONS = "ordinary samples and isolated fractions"
ALL_SAMPLES = "all samples"

SELECTIONS: dict[str, Callable[[Measurement], np.ndarray]] = {
    ORDINARY: lambda measurement: measurement.used(),
    NO_OVERLAP: lambda measurement: measurement.used() & _has_no_overlap(measurement),
    WITH_FLUIDS: lambda measurement: measurement.used(body_fluids=True),
    WITH_FRACTIONS: lambda measurement: measurement.used() | _is_fraction(measurement),
    ALL_SAMPLES: lambda measurement: np.ones(len(measurement.samples), dtype=bool),
}
"""Selection of samples by name: mask of the samples of a measurement."""


def _has_no_overlap(measurement: Measurement) -> np.ndarray:
    return (measurement.samples["overlap"] == "").to_numpy()


def _is_fraction(measurement: Measurement) -> np.ndarray:
    return (measurement.samples["kind"] == ISOLATED_FRACTION).to_numpy()


def selections_of(networks: NetworkSet) -> list[str]:
    """Selections that differ from the ordinary samples, for the measurements that models read."""
    measurements = networks.dataset.measurements
    names = default_names(measurements)
    if not names:
        return []
    kinds = {kind for name in names for kind in measurements[name].samples["kind"]}
    selections = []
    if any((~_has_no_overlap(measurements[n]) & measurements[n].used()).any() for n in names):
        selections.append(NO_OVERLAP)
    if BODY_FLUID in kinds:
        selections.append(WITH_FLUIDS)
    if ISOLATED_FRACTION in kinds:
        selections.append(WITH_FRACTIONS)
    if len(kinds) > 2:
        selections.append(ALL_SAMPLES)
    return selections


def networks_of_samples(networks: NetworkSet, selection: str) -> NetworkSet:
    """Networks whose models read exactly the samples of a selection.

    The samples become ordinary ones, and the co-expression is made of them again. Its network stays
    as it is: the models of an audit do not read it.

    Args:
        networks: with a measurement that is not label-like.
        selection: of `SELECTIONS`, or `WITHOUT`.
    """
    dataset = networks.dataset
    measurements = dict(dataset.measurements)
    similarities = dict(networks.similarities)
    read = default_names(measurements)
    if selection == WITHOUT:
        for name in read:
            del measurements[name]
        similarities.pop(COEXPRESSION, None)
        dataset = replace(dataset, measurements=measurements)
        return replace(networks, dataset=dataset, similarities=similarities)
    for name in read:
        selected = measurements[name].select(SELECTIONS[selection](measurements[name]))
        measurements[name] = replace(selected, samples=selected.samples.assign(kind=""))
    dataset = replace(dataset, measurements=measurements)
    if COEXPRESSION in similarities:
        config = from_dict(NetworkConfig, dict(networks.settings), where="settings of the networks")
        similarities[COEXPRESSION] = coexpression_of(dataset, config)
    return replace(networks, dataset=dataset, similarities=similarities)


def expression_inputs(networks: NetworkSet, groups: np.ndarray) -> dict[str, BaselineInputs]:
    """Inputs of the full model by selection of samples, first without expression.

    Args:
        networks: of the dataset.
        groups: family number of every RNA, shape (n_rnas,).

    Returns:
        Empty without a measurement that models read. The model on ordinary samples is the source
        ``trees`` of an audit.
    """
    if not default_names(networks.dataset.measurements):
        return {}
    names = [WITHOUT, *selections_of(networks)]
    return {name: baseline_inputs(networks_of_samples(networks, name), groups) for name in names}
