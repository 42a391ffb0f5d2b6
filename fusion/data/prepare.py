"""From networks and settings to `FusionData` and folds; resolution of token names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.config import FUSION, ExperimentConfig, experiment_config
from fusion.data.baseline_inputs import baseline_inputs
from fusion.data.inputs import FusionData
from fusion.tokens.builders import build_tokens, texts
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.kinds import expand_tokens, is_from_sequence, require_target
from fusion.tokens.names import (
    BY_SIMILARITY,
    DESCRIPTORS,
    JOIN,
    LETTERS,
    NEAREST,
    NEIGHBOUR_PROFILE,
    PARTNER_LABELS,
    SEQUENCE,
    TREES,
    TYPE,
    TokenName,
    single_tokens,
    tokens_of_kind,
)
from fusion.tokens.neighbours import neighbour_similarity
from fusion.tokens.partners import with_partner_sequences
from fusion.tokens.table import BuildSettings, token_kind
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import CLUSTER, Folds, group_codes, make_folds
from mirnagraph.evaluation.trainable import require_trainable
from mirnagraph.networks.build import sequence_kmers
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress
from seqtower.data.clusters import cluster


def check_settings(config: ExperimentConfig, *, sets: bool) -> None:
    """Check that the settings fit a run with (`sets`) or without additional RNA sets.

    Raises:
        ConfigError: they do not, or a token for a tower of the fusion is read by another part.
    """
    _check_tower_tokens(config)
    if not sets:
        for kind in (DESCRIPTORS, PARTNER_LABELS):
            needing = tokens_of_kind(config.token_names, kind)
            if needing:
                raise ConfigError(
                    f"token '{needing[0]}' needs additional RNA sets: name them with --sets FILE"
                )
        return
    if config.folds.cold:
        raise ConfigError("a cold start (folds.cold) cannot be combined with --sets")
    for names in (config.tokens.attention, config.tokens.trees):
        if names and TYPE not in single_tokens(names):
            raise ConfigError(
                f"several RNA types need the token {TYPE!r} for attention and for trees, as in "
                "the preset 'unified'"
            )
    if config.tokens.trees and bool(config.trees.rounds) != bool(config.guest_trees.rounds):
        raise ConfigError(
            f"found trees.rounds = {config.trees.rounds} and guest_trees.rounds = "
            f"{config.guest_trees.rounds}, expected both 0 or both above 0"
        )


def _check_tower_tokens(config: ExperimentConfig) -> None:
    """Row numbers and codes of nucleotides are no numbers to calculate with."""
    readers = [*config.tokens.trees, *config.kernel.tokens]
    readers += [name for name in config.tokens.attention if JOIN in name or config.neural != FUSION]
    for kind in (NEAREST, LETTERS):
        for name in tokens_of_kind(readers, kind):
            raise ConfigError(
                f"token '{name}' is for a tower: expected among tokens.attention, not joined, with "
                f"neural = {FUSION!r}"
            )


def resolve_tokens(
    networks: NetworkSet, config: ExperimentConfig, *, sets: bool = False
) -> ExperimentConfig:
    """Settings whose tokens name this dataset's kinds of association, by the names of today.

    Args:
        networks: with the dataset.
        config: settings as given.
        sets: whether additional RNA sets are trained on.

    Raises:
        ConfigError: see `check_settings` and `fusion.tokens.kinds.expand_tokens`.
        InputError: without `sets`, labels of which nothing can be learned
            (`mirnagraph.evaluation.trainable`).
    """
    if not sets:
        require_trainable(networks.dataset)
    networks = with_partner_sequences(networks, config.tower.partner_fasta)
    attention = expand_tokens(networks, config.tokens.attention)
    trees = expand_tokens(networks, config.tokens.trees)
    tokens = replace(config.tokens, attention=attention, trees=trees)
    kernel = config.kernel.with_tokens(partial(expand_tokens, networks))
    resolved = replace(config, tokens=tokens, kernel=kernel)
    check_settings(resolved, sets=sets)
    return resolved


def prepare(
    networks: NetworkSet,
    config: ExperimentConfig,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> FusionData:
    """Embed the networks and build every token that the settings name.

    Args:
        networks: with the dataset.
        progress: called as ``progress(step, done, total)``.
        config: its tokens name kinds that the dataset has (see `resolve_tokens`).
        cache: folder where embeddings are stored by content, for other runs.
        workers: processes for embeddings; changes no number.

    Raises:
        ConfigError: a token or similarity that the networks do not have.
    """
    names = single_tokens(config.token_names)
    if TREES in names and (TREES in config.tokens.trees or not config.tokens.trees):
        raise ConfigError(
            f"token {TREES!r} holds predictions of the trees: it needs other tokens in "
            "tokens.trees and cannot be one of them"
        )
    networks = with_partner_sequences(networks, config.tower.partner_fasta)
    dataset = networks.dataset
    free = [name for name in names if token_kind(TokenName.parse(name).kind).build is not None]
    embeddings = learned_embeddings(
        networks,
        free,
        config.embedding,
        config.seed,
        cache=cache,
        workers=workers,
        progress=progress,
    )
    settings = BuildSettings(
        config.tokens.svd_dim,
        config.tokens.letters,
        config.tower,
        embeddings,
        config.tokens.body_fluids,
    )
    profiles = tokens_of_kind(names, NEIGHBOUR_PROFILE)
    for name in profiles:
        require_target(networks, name)
    needed = [name.similarity for kind in BY_SIMILARITY for name in tokens_of_kind(names, kind)]
    if profiles:
        needed.append(SEQUENCE)
    return FusionData(
        index=dataset.index,
        compartments=tuple(dataset.compartments),
        labels=dataset.labels.to_numpy(dtype=np.float64),
        groups=group_codes(_groups(dataset)),
        tokens=build_tokens(networks, free, settings),
        similarities={name: neighbour_similarity(networks, name) for name in dict.fromkeys(needed)},
        popularity=popularity_deciles(dataset),
        associations={name.target: dataset.association_matrix(name.target) for name in profiles},
        sequences=tuple(cell or None for cell in texts(dataset, "sequence")),
        dataset=dataset.name,
        synthetic=dataset.synthetic,
        matures=texts(dataset, "matures"),
        kmers=sequence_kmers(networks),
        names=dataset.names,
    )


def _groups(dataset: Dataset) -> pd.Series:
    """Families, or clusters of near-duplicate sequences where the dataset names none."""
    if "family" in dataset.rnas.columns:
        return dataset.rnas["family"]
    return sequence_clusters(dataset)


def with_cold_start(data: FusionData, networks: NetworkSet, config: ExperimentConfig) -> FusionData:
    """Add the data of the cold-start model, for RNAs of which only the sequence is known.

    Nothing is added where the settings name no preset for it, where the model itself needs no
    more than sequences, or where the dataset has no similarity of sequences.
    """
    names = single_tokens(config.token_names)
    if not config.newcomers or SEQUENCE not in networks.similarities:
        return data
    if all(is_from_sequence(name) for name in names):
        return data
    settings = experiment_config(config.newcomers, seed=config.seed)
    settings = resolve_tokens(networks, settings)
    return replace(data, cold_start=(prepare(networks, settings), settings))


def with_baselines(data: FusionData, networks: NetworkSet) -> FusionData:
    """Add the inputs of the baselines, which are the same whatever tokens the model reads."""
    return replace(data, baselines=baseline_inputs(networks, data.groups))


def sequence_clusters(dataset: Dataset) -> pd.Series:
    """Cluster of near-duplicates of every RNA (see `seqtower.data.clusters.cluster`).

    Returns:
        Index rna_id; a text, empty for an RNA without a sequence.
    """
    sequences = texts(dataset, "sequence")
    is_known = np.array([sequence != "" for sequence in sequences], dtype=bool)
    names = np.full(len(sequences), "", dtype=object)
    numbers = _clusters(tuple(sequence for sequence in sequences if sequence))
    names[is_known] = [f"cluster {number}" for number in numbers]
    return pd.Series(names, index=dataset.rnas.index, name=CLUSTER)


@lru_cache(maxsize=2)
def _clusters(sequences: tuple[str, ...]) -> tuple[int, ...]:
    """Clusters, which folds and tokens of one run both read."""
    return tuple(int(number) for number in cluster(sequences))


def config_folds(dataset: Dataset, config: ExperimentConfig) -> Folds:
    """Folds of the settings' protocol, drawn with their seed or read from a file or column."""
    protocol = config.folds
    clusters = sequence_clusters(dataset) if protocol.split == CLUSTER else None
    return make_folds(
        dataset,
        protocol.split,
        n_folds=protocol.n_folds,
        seed=config.seed,
        rnas=protocol.rnas,
        protocol=protocol.protocol or None,
        clusters=clusters,
    )


def folds_sha256(folds: Folds) -> str:
    """sha256 of the fold of every RNA, as runs record it."""
    return hashlib.sha256(folds.to_frame().to_csv().encode()).hexdigest()
