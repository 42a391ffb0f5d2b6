"""Cold start: data of a fold whose tested RNAs have a sequence and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion.config import ExperimentConfig
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare
from mirnagraph.config import from_dict
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import NetworkConfig, build_networks
from mirnagraph.networks.network import NetworkSet

UNMASKED = ("sequence", "family")
"""Columns of the RNA table that stay; the family only serves to make groups, no model reads it."""


def mask_all_but_sequence(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """Remove associations and measurements of some RNAs, and mask columns but `UNMASKED`.

    Args:
        dataset: the whole dataset.
        rows: row numbers of these RNAs.
    """
    masked = {dataset.index.ids[row] for row in rows}
    associations = {}
    for kind, table in dataset.associations.items():
        associations[kind] = table[~table["rna_id"].isin(masked)].reset_index(drop=True)
    rnas = dataset.rnas.copy()
    for column in rnas.columns.difference(list(UNMASKED)):
        rnas[column] = rnas[column].mask(rnas.index.isin(masked))
    measurements = {
        name: measurement.without_rnas(masked) for name, measurement in dataset.measurements.items()
    }
    return replace(dataset, rnas=rnas, associations=associations, measurements=measurements)


def cold_networks(networks: NetworkSet, rows: np.ndarray) -> NetworkSet:
    """Networks built again, with the same settings, without the edges of some RNAs."""
    config = from_dict(NetworkConfig, dict(networks.settings), where="settings of the networks")
    return build_networks(mask_all_but_sequence(networks.dataset, rows), config, workers=1)


def cold_start_data(data: FusionData, config: ExperimentConfig, test: np.ndarray) -> FusionData:
    """Data of one fold, from networks in which the tested RNAs have a sequence and nothing else.

    Raises:
        ConfigError: the data has no networks, or a token needs a network that the masked edges
            leave empty.
    """
    if data.networks is None:
        raise ConfigError(
            "a cold start builds the networks again in each fold: set FusionData.networks"
        )
    masked = prepare(cold_networks(data.networks, test), config)
    return replace(masked, popularity=data.popularity)
