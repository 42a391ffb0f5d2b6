"""Networks of a Dataset."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.config import from_dict, require, to_dict
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.measurements import default_names
from mirnagraph.networks.inputs import (
    DISEASE,
    circular_rnas,
    disease_profiles,
    expression_profiles,
    is_filled,
    sequence_column,
    sequences_of,
    split_matures,
)
from mirnagraph.networks.large import (
    LargeNetwork,
    large_coexpression,
    large_functional,
    large_sequence,
)
from mirnagraph.networks.network import (
    COEXPRESSION,
    SIMILARITY_NETWORKS,
    Network,
    NetworkSet,
    Similarity,
)
from mirnagraph.networks.settings import (
    DEFAULT_CONFIG,
    KMER,
    CoexpressionNetworkConfig,
    FunctionalNetworkConfig,
    NetworkConfig,
    SequenceNetworkConfig,
    cutoff_of,
)
from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.parallel import Progress, report
from mirnagraph.reading.arguments import checked
from mirnagraph.runs.cluster import jobs_on
from mirnagraph.similarity.disease import blend, functional_similarity
from mirnagraph.similarity.kmer import KmerConfig, kmer_similarity
from mirnagraph.similarity.profile import correlation_similarity, gip_similarity
from mirnagraph.similarity.smith_waterman import mature_similarity, smith_waterman

RESERVED = (*SIMILARITY_NETWORKS, "miRNA")

logger = logging.getLogger(__name__)


@checked
def build_networks(
    dataset: Dataset,
    config: NetworkConfig = DEFAULT_CONFIG,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    store: str | Path | None = None,
) -> NetworkSet:
    """Build the similarity and association networks of a dataset.

    Similarities are stored as float32 and cut as stored, so that cutting a loaded NetworkSet again
    gives the same edges. With more RNAs than `NetworkConfig.dense_below` no array of all pairs is
    made: similarities are computed in blocks, and edges and the nearest RNAs of each are kept.

    Args:
        dataset: RNAs with sequences and associations. Functional similarity reads the association
            kind ``"disease"`` and the ``descriptor_ids`` of its partners; without that column a
            disease is similar only to itself.
        config: networks to build, and their settings.
        progress: called with (step, done, total).
        workers: threads, or processes for blocks; default all processors; the result does not
            depend on it.
        scheduler: address of a Dask scheduler whose workers compute the blocks.
        store: folder of finished blocks of alignments: a killed call resumes after the last one.
            Read where sequences are aligned in blocks.

    Returns:
        NetworkSet in the order sequence, functional, coexpression, association kinds. A network
        that the dataset has no data for is in `left_out` with the reason.

    Raises:
        ConfigError: a network is named that the dataset has no data for, or a scheduler that does
            not answer.
        InputError: an association kind has a reserved name, or a store of other sequences.
    """
    if workers is None:
        workers = os.cpu_count() or 1
    names, left_out = _choose(dataset, config)
    if "sequence" in names:
        config = replace(config, sequence=config.sequence.for_dataset(dataset))
    networks: dict[str, Network] = {}
    similarities: dict[str, Similarity] = {}
    notes: list[str] = []
    with jobs_on(scheduler):
        for name in names:
            partners = None
            if name not in SIMILARITY_NETWORKS:
                matrix = dataset.association_matrix(name)
                partners = dataset.partner_index(name)
            elif len(dataset.index) > config.dense_below:
                large = _large_network(dataset, name, config, workers, progress, store)
                matrix = large.matrix
                similarities.update(large.nearest)
                notes += large.notes
            else:
                dense = _dense_similarities(dataset, name, config, workers, progress)
                matrix = _cut(dense[name], getattr(config, name))
                similarities.update(dense)
            networks[name] = Network(name, dataset.index, partners, matrix)
            logger.info("network %s: %d links", name, matrix.nnz)
    for name, reason in left_out.items():
        logger.info("network %s is left out: %s", name, reason)
    return NetworkSet(dataset, networks, similarities, to_dict(config), left_out, tuple(notes))


def _large_network(
    dataset: Dataset,
    name: str,
    config: NetworkConfig,
    workers: int,
    progress: Progress | None,
    store: str | Path | None,
) -> LargeNetwork:
    """A similarity network without a dense similarity."""
    if name == "sequence":
        return large_sequence(dataset, config, workers, progress, store)
    if name == "functional":
        return large_functional(dataset, config, workers, progress)
    return large_coexpression(dataset, config, workers, progress)


def _dense_similarities(
    dataset: Dataset, name: str, config: NetworkConfig, workers: int, progress: Progress | None
) -> dict[str, np.ndarray]:
    """The dense similarity of a network, and those that it is made of."""
    if name == "sequence":
        return {name: _sequence_similarity(dataset, config.sequence, workers, progress)}
    if name == "functional":
        return _functional_similarities(dataset, config.functional, progress)
    report(progress, "co-expression", 0, 1)
    similarity = coexpression_similarity(dataset, config.coexpression)
    report(progress, "co-expression", 1, 1)
    return {name: similarity}


def _choose(dataset: Dataset, config: NetworkConfig) -> tuple[list[str], dict[str, str]]:
    """Names of the networks to build, and the reason for each that is left out."""
    for kind in dataset.associations:
        if kind.casefold() in {name.casefold() for name in RESERVED}:
            raise InputError(
                "an association kind has a reserved name",
                file=f"dataset {dataset.name!r}",
                found=kind,
                expected=f"none of {', '.join(RESERVED)}, in any capitals",
            )
    reasons = {}
    column = sequence_column(config.sequence)
    if column not in dataset.rnas.columns or not any(map(is_filled, dataset.rnas[column])):
        reasons["sequence"] = f"no RNA of the dataset has a value in the column {column!r}"
    if DISEASE not in dataset.associations or not len(dataset.associations[DISEASE]):
        reasons["functional"] = f"the dataset has no associations of the kind {DISEASE!r}"
    if not config.coexpression.measurement:
        reasons |= _no_coexpression(dataset, config.coexpression)
    known = [*SIMILARITY_NETWORKS, *dataset.associations]
    for name in config.networks:
        require(name in known, "networks", name, f"names among {', '.join(known)}")
        if name in reasons:
            raise ConfigError(f"network {name!r} cannot be built: {reasons[name]}")
    if config.networks:
        return [name for name in known if name in config.networks], {}
    optional = {*reasons, *dataset.supporting}
    if not dataset.measurements:
        reasons.pop(COEXPRESSION, None)  # most datasets have none: not worth a remark
    return [name for name in known if name not in optional], reasons


def _no_coexpression(dataset: Dataset, config: CoexpressionNetworkConfig) -> dict[str, str]:
    """Why no co-expression can be made of the dataset's first measurement; empty where it can."""
    names = default_names(dataset.measurements)
    if not names:
        return {COEXPRESSION: "the dataset has no measurement other than label-like ones"}
    is_used = dataset.measurements[names[0]].used(body_fluids=config.body_fluids)
    if is_used.sum() < 2:
        return {COEXPRESSION: f"measurement {names[0]!r} has {is_used.sum()} samples to be used"}
    return {}


def _sequence_similarity(
    dataset: Dataset, config: SequenceNetworkConfig, workers: int, progress: Progress | None
) -> np.ndarray:
    def report_rows(done: int, total: int) -> None:
        report(progress, "sequence similarity", done, total)

    sequences = sequences_of(dataset, config)
    if config.engine == KMER:
        return kmer_similarity(
            sequences, config.kmer, circular=circular_rnas(dataset), progress=report_rows
        ).astype(np.float32)
    how: dict[str, Any] = {"engine": config.engine, "workers": workers, "progress": report_rows}
    if config.which == "mature":
        similarity = mature_similarity(split_matures(sequences), config.scores, **how)
    else:
        similarity = smith_waterman(sequences, config.scores, **how)
    return similarity.astype(np.float32)


@dataclass(frozen=True)
class SequenceKmers:
    """k-mer similarity of the sequences of a dataset.

    Attributes:
        config: length of a k-mer and measure.
        circular: whether each RNA is circular.
    """

    config: KmerConfig
    circular: tuple[bool, ...]


def sequence_kmers(networks: NetworkSet) -> SequenceKmers | None:
    """How the sequence similarity was made, if of shared k-mers; None for alignments."""
    settings = networks.settings.get("sequence")
    if not isinstance(settings, Mapping) or settings.get("engine") != KMER:
        return None
    config = from_dict(KmerConfig, settings["kmer"], where="sequence.kmer")
    return SequenceKmers(config, tuple(circular_rnas(networks.dataset)))


def _functional_similarities(
    dataset: Dataset, config: FunctionalNetworkConfig, progress: Progress | None
) -> dict[str, np.ndarray]:
    """``functional`` (the blend), ``semantic`` and ``gip``, float32, shape (n_rnas, n_rnas)."""
    step = "functional similarity"
    report(progress, step, 0, 3)
    matrix, diseases = disease_profiles(dataset, config)
    report(progress, step, 1, 3)
    semantic = functional_similarity(matrix, diseases, method=config.method)
    report(progress, step, 2, 3)
    gip = gip_similarity(matrix, gamma=config.gamma)
    blended = blend(semantic, gip, lambda_=config.lambda_)
    report(progress, step, 3, 3)
    arrays = {"functional": blended, "semantic": semantic, "gip": gip}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def coexpression_similarity(dataset: Dataset, config: CoexpressionNetworkConfig) -> np.ndarray:
    """Compute the correlation of expression profiles (see `correlation_similarity`).

    Returns:
        float32, shape (n_rnas, n_rnas); 0 to all others for an RNA that was not measured.

    Raises:
        ConfigError: no such measurement, or it has fewer than two samples to be used.
    """
    profiles = expression_profiles(dataset, config)
    return correlation_similarity(profiles, method=config.method)


def coexpression_of(dataset: Dataset, config: NetworkConfig) -> Similarity:
    """Similarity of expression profiles as `build_networks` stores it."""
    if len(dataset.index) > config.dense_below:
        return large_coexpression(dataset, config, 1, None).nearest[COEXPRESSION]
    return coexpression_similarity(dataset, config.coexpression)


def coexpression_source(networks: NetworkSet) -> str:
    """Name of the measurement that the co-expression of some networks was made of; may be empty."""
    if COEXPRESSION not in networks.similarities:
        return ""
    settings = networks.settings.get(COEXPRESSION, {})
    named = settings.get("measurement", "") if isinstance(settings, dict) else ""
    known = default_names(networks.dataset.measurements)
    return str(named) or (known[0] if known else "")


def _cut(
    similarity: np.ndarray,
    config: SequenceNetworkConfig | FunctionalNetworkConfig | CoexpressionNetworkConfig,
) -> sparse.csr_array:
    if config.rule == "cutoff":
        return cut_off(similarity, cutoff_of(config), weighted=config.weighted)
    return top_k(similarity, config.top_k, weighted=config.weighted)


def networks_or_demo(folder: str | Path | None) -> tuple[NetworkSet, Path | None]:
    """Load networks of a folder, by default ``./networks``, else build those of the demo dataset.

    Returns:
        The networks, and their folder (None for the demo).
    """
    from mirnagraph.synthetic import demo_dataset

    path = Path(folder) if folder is not None else Path("networks")
    if folder is None and not (path / "networks.json").exists():
        return build_networks(demo_dataset()), None
    return NetworkSet.load(path), path
