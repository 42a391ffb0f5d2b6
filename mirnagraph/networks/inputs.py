"""What similarities read of a dataset: sequences, associations with diseases, expression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.measurements import default_names
from mirnagraph.networks.settings import (
    CoexpressionNetworkConfig,
    FunctionalNetworkConfig,
    SequenceNetworkConfig,
)
from mirnagraph.similarity.disease import disease_semantic_similarity

DISEASE = "disease"

CIRCULAR = "circRNA"


def sequence_column(config: SequenceNetworkConfig) -> str:
    """Column of the RNA table that the sequence network reads."""
    return "sequence" if config.which == "hairpin" else "matures"


def is_filled(cell: object) -> bool:
    """Whether a cell of a table holds a value."""
    return cell is not None and cell is not pd.NA and cell == cell and cell != ""


def sequences_of(dataset: Dataset, config: SequenceNetworkConfig) -> list[str | None]:
    """Cells of the column that the sequence network reads, None where empty."""
    cells = dataset.rnas[sequence_column(config)].astype(object)
    return list(cells.where(cells.map(is_filled), None).tolist())


def split_matures(cells: Sequence[str | None]) -> list[list[str]]:
    """Mature sequences of each RNA from cells that join them by ``;``."""
    return [list(filter(None, (cell or "").split(";"))) for cell in cells]


def circular_rnas(dataset: Dataset) -> list[bool]:
    """Whether each RNA is circular: column ``type`` of the RNA table is circRNA."""
    if "type" not in dataset.rnas.columns:
        return [False] * len(dataset.rnas)
    types = dataset.rnas["type"].astype(str).str.strip().str.lower()
    return [name == CIRCULAR.lower() for name in types]


def disease_profiles(
    dataset: Dataset, config: FunctionalNetworkConfig
) -> tuple[sparse.csr_array, np.ndarray]:
    """Associations of RNAs with diseases, and the semantic similarity of these.

    Returns:
        CSR of shape (n_rnas, n_diseases), and float64 of shape (n_diseases, n_diseases).
    """
    partners = dataset.partners[DISEASE]
    no_descriptors = pd.Series(None, index=partners.index, dtype=object)
    descriptors = partners.get("descriptor_ids", no_descriptors)
    diseases = disease_semantic_similarity(
        dataset.ontology, descriptors, decay=config.decay, method=config.semantic_method
    )
    return dataset.association_matrix(DISEASE), diseases


def expression_profiles(dataset: Dataset, config: CoexpressionNetworkConfig) -> np.ndarray:
    """Expression of every RNA in the samples used: log2(1 + value), shape (n_rnas, n_samples).

    Raises:
        ConfigError: no such measurement, or it has fewer than two samples to be used.
    """
    known = default_names(dataset.measurements)
    name = config.measurement or known[0]
    require(name in dataset.measurements, "coexpression.measurement", name, ", ".join(known))
    measurement = dataset.measurements[name]
    is_used = measurement.used(body_fluids=config.body_fluids)
    if is_used.sum() < 2:
        raise ConfigError(
            f"co-expression needs two samples or more: measurement {name!r} has {is_used.sum()} "
            "that are no isolated fraction or body fluid"
        )
    profiles = measurement.log_values().loc[:, is_used].reindex(dataset.rnas.index)
    return np.asarray(profiles.to_numpy())
