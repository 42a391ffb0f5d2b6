"""Cold start: how well a model does on RNAs of which nothing is known but the sequence, with everything else of them hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion.problem import Problem, prepare
from fusion.settings import ExperimentConfig
from mirnagraph.config import from_dict
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import NetworkConfig, build_networks
from mirnagraph.networks.types import NetworkSet

KEPT = ("sequence", "family")
"""Columns of the RNA table that stay: the family only serves to keep relatives together, and no model reads it."""


def hide_all_but_sequence(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset as it would be if these RNAs had just been found: without their associations and without all columns but `KEPT`.

    Args:
        rows: row numbers of the RNAs to hide.
    """
    hidden = {dataset.index.ids[row] for row in rows}
    associations = {kind: table[~table["rna_id"].isin(hidden)].reset_index(drop=True) for kind, table in dataset.associations.items()}
    rnas = dataset.rnas.copy()
    for column in rnas.columns.difference(list(KEPT)):
        rnas[column] = rnas[column].mask(rnas.index.isin(hidden))
    return replace(dataset, rnas=rnas, associations=associations)


def cold_networks(networks: NetworkSet, rows: np.ndarray) -> NetworkSet:
    """The networks built anew, with the same settings, from what `hide_all_but_sequence` leaves."""
    config = from_dict(NetworkConfig, dict(networks.settings), where="settings of the networks")
    return build_networks(hide_all_but_sequence(networks.dataset, rows), config, workers=1)


def cold_problem(problem: Problem, config: ExperimentConfig, test: np.ndarray) -> Problem:
    """The problem of one fold, from networks in which the tested RNAs have a sequence and nothing else.

    Raises:
        ConfigError: the problem does not carry its networks, or a token needs one that is not there when the edges are hidden.
    """
    if problem.networks is None:
        raise ConfigError("a cold start needs the networks, to build them again without the tested RNAs' edges")
    hidden = prepare(cold_networks(problem.networks, test), config)
    return replace(hidden, popularity=problem.popularity)
