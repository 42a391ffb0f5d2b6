"""FusionData: inputs of every fold; cold start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from fusion.config import ExperimentConfig
from fusion.tokens.builders import build_tokens, expand_tokens
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.names import (
    COLOCALIZED,
    DESCRIPTORS,
    NEIGHBOURS,
    PARTNER_SEQUENCES,
    SEQUENCE,
    TOWER,
    TRANSFER,
    TREES,
    TYPE,
    single_tokens,
)
from fusion.tokens.neighbours import neighbour_similarity
from fusion.tokens.partners import partner_tokens, with_partner_sequences
from fusion.tokens.table import TokenTable
from mirnagraph.config import from_dict
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import Folds, group_codes, make_folds
from mirnagraph.networks.build import NetworkConfig, build_networks
from mirnagraph.networks.network import NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.parallel import Progress

KEPT = ("sequence", "family")
"""Columns of the RNA table that stay: the family only serves to keep relatives together, and no model reads it."""


@dataclass(frozen=True, eq=False)
class ExtraRnas:
    """What a problem knows of RNAs of other sets, which stand behind those of the networks (see `fusion.data.rna_sets`).

    Attributes:
        n_home: RNAs of the networks, which stand first. n_labels: their compartments, which stand first too.
        types: type of every RNA, of the networks' too, shape (n_rnas,).
        sets: name of the set of every RNA, shape (n_rnas,).
        associations: kind -> of the networks' RNAs with partners, for the kinds that a ``colocalized:`` token names.
        links: kind -> number of the partner that each of the other RNAs is, -1 for none: int64, shape (n_rnas - n_home,).
    """

    n_network_rnas: int
    n_labels: int
    types: tuple[str, ...]
    sets: tuple[str, ...]
    associations: Mapping[str, sparse.csr_array]
    links: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class FusionData:
    """RNAs with their label-free tokens, their labels, and the similarities in which label neighbours are looked for.

    Attributes:
        labels: float64, shape (n_rnas, n_labels). Inside a fold every row that may not be read is NaN (see `masked_labels`).
        groups: family number of every RNA, shape (n_rnas,); an RNA without a family has a number of its own.
        tokens: all label-free tokens that the settings name.
        similarities: only those that a ``neighbours:`` token names.
        popularity: decile of every RNA by its number of associations, for the metric ``within``.
        associations: binary matrices of the kinds that a ``transfer:`` token names.
        networks: where all this comes from; only in a cold start, whose folds hide edges and make their own problem.
        sequences: of every RNA, None where it has none; for the token ``tower``, which is made anew in every fold.
        joined: RNAs of other sets behind those of the networks; None for the networks' alone.
    """

    index: NodeIndex
    compartments: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    tokens: TokenTable
    similarities: Mapping[str, np.ndarray]
    popularity: np.ndarray
    associations: Mapping[str, sparse.csr_array] = field(default_factory=dict)
    networks: NetworkSet | None = None
    sequences: tuple[str | None, ...] = ()
    extra_rnas: ExtraRnas | None = None

    @property
    def n_network_rnas(self) -> int:
        """RNAs of the networks, which stand first."""
        return len(self.index) if self.extra_rnas is None else self.extra_rnas.n_network_rnas

    def masked_labels(self, train: np.ndarray) -> np.ndarray:
        """Labels with NaN in every row outside `train`: what a fold gets, so that reading a test label cannot go unseen."""
        known = np.full_like(self.labels, np.nan)
        known[train] = self.labels[train]
        return known


def check_settings(config: ExperimentConfig, *, sets: bool) -> None:
    """Raise ConfigError where the settings and the presence of sets of other RNAs do not go together."""
    every = single_tokens((*config.tokens.attention, *config.tokens.trees))
    if not sets:
        needs = [name for name in every if name == DESCRIPTORS or name.startswith(COLOCALIZED)]
        if needs:
            raise ConfigError(
                f"the token {needs[0]!r} is for several sets of RNAs in one model: name them with --sets FILE"
            )
        return
    if config.folds.cold:
        raise ConfigError(
            "a cold start hides edges of the networks' RNAs, which --sets does not go together with"
        )
    if not all(
        TYPE in single_tokens(names)
        for names in (config.tokens.attention, config.tokens.trees)
        if names
    ):
        raise ConfigError(
            f"several types of RNAs need the token {TYPE!r} for attention and for trees, as the preset 'unified' has it"
        )
    if config.tokens.trees and bool(config.trees.rounds) != bool(config.guest_trees.rounds):
        raise ConfigError(
            "boosting (rounds above 0) is for the trees of all types or of none: trees.rounds and guest_trees.rounds differ in that"
        )


def resolve_tokens(
    networks: NetworkSet, config: ExperimentConfig, *, sets: bool = False
) -> ExperimentConfig:
    """Settings whose tokens name this dataset's own kinds of association (see `fusion.tokens.builders.expand_tokens`).

    Args:
        sets: RNAs of other sets learn beside those of the networks.

    Raises:
        ConfigError: see `check_settings`.
    """
    check_settings(config, sets=sets)
    tokens = config.tokens
    networks = with_partner_sequences(networks, config.tower.partner_fasta)
    chosen = replace(
        tokens,
        attention=expand_tokens(networks, tokens.attention),
        trees=expand_tokens(networks, tokens.trees),
    )
    return replace(config, tokens=chosen)


def prepare(
    networks: NetworkSet,
    config: ExperimentConfig,
    *,
    cache: str | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> FusionData:
    """Embed the networks and build every token that the settings name.

    Args:
        config: its tokens name kinds that the dataset has (see `resolve_tokens`).
        cache: folder where embeddings are kept by content, so that another run need not compute them again.
        workers: processes for embeddings; changes no number.

    Raises:
        ConfigError: a token or similarity that the networks do not have.
    """
    wanted = single_tokens((*config.tokens.attention, *config.tokens.trees))
    if TREES in config.tokens.trees or (TREES in wanted and not config.tokens.trees):
        raise ConfigError(
            f"the token {TREES!r} is what the trees say: it needs tokens for the trees, and is none of them"
        )
    networks = with_partner_sequences(networks, config.tower.partner_fasta)
    partners = [name for name in wanted if name.partition(":")[0] == PARTNER_SEQUENCES]
    later = (NEIGHBOURS, TRANSFER, COLOCALIZED)
    free = [
        name
        for name in wanted
        if not name.startswith(later) and name not in (TREES, TOWER, DESCRIPTORS, *partners)
    ]
    embeddings = learned_embeddings(
        networks,
        free,
        config.embedding,
        config.seed,
        cache=cache,
        workers=workers,
        progress=progress,
    )
    dataset = networks.dataset
    of = [name.removeprefix(NEIGHBOURS) for name in wanted if name.startswith(NEIGHBOURS)]
    kinds = [name.removeprefix(TRANSFER) for name in wanted if name.startswith(TRANSFER)]
    for kind in kinds:
        if kind not in dataset.associations:
            raise ConfigError(
                f"token '{TRANSFER}{kind}': no associations of kind {kind!r}; there are {', '.join(dataset.associations)}"
            )
    similarities = {
        name: neighbour_similarity(networks, name)
        for name in dict.fromkeys([*of, *([SEQUENCE] if kinds else [])])
    }
    families = (
        dataset.rnas["family"] if "family" in dataset.rnas.columns else dataset.rnas["sequence"]
    )
    return FusionData(
        index=dataset.index,
        compartments=tuple(dataset.compartments),
        labels=dataset.labels.to_numpy(dtype=np.float64),
        groups=group_codes(families),
        tokens=build_tokens(networks, free, embeddings, svd_dim=config.tokens.svd_dim)
        + partner_tokens(networks, partners, config.tower),
        similarities=similarities,
        popularity=popularity_deciles(dataset),
        associations={kind: dataset.association_matrix(kind) for kind in kinds},
        sequences=tuple(s if isinstance(s, str) and s else None for s in dataset.rnas["sequence"]),
    )


def config_folds(dataset: Dataset, config: ExperimentConfig) -> Folds:
    """Folds of the settings' protocol: drawn with the settings' seed, or those of a fold file, which no seed changes."""
    protocol = config.folds
    return make_folds(
        dataset,
        protocol.split,
        n_folds=protocol.n_folds,
        seed=config.seed,
        rnas=protocol.rnas,
        protocol=protocol.protocol or None,
    )


def folds_sha256(folds: Folds) -> str:
    """sha256 of which RNA is in which fold, as runs keep it."""
    return hashlib.sha256(folds.to_frame().to_csv().encode()).hexdigest()


def mask_all_but_sequence(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset as it would be if these RNAs had just been found: without their associations and without all columns but `KEPT`.

    Args:
        rows: row numbers of the RNAs to hide.
    """
    hidden = {dataset.index.ids[row] for row in rows}
    associations = {
        kind: table[~table["rna_id"].isin(hidden)].reset_index(drop=True)
        for kind, table in dataset.associations.items()
    }
    rnas = dataset.rnas.copy()
    for column in rnas.columns.difference(list(KEPT)):
        rnas[column] = rnas[column].mask(rnas.index.isin(hidden))
    return replace(dataset, rnas=rnas, associations=associations)


def cold_networks(networks: NetworkSet, rows: np.ndarray) -> NetworkSet:
    """The networks built anew, with the same settings, from what `mask_all_but_sequence` leaves."""
    config = from_dict(NetworkConfig, dict(networks.settings), where="settings of the networks")
    return build_networks(mask_all_but_sequence(networks.dataset, rows), config, workers=1)


def cold_start_data(data: FusionData, config: ExperimentConfig, test: np.ndarray) -> FusionData:
    """The problem of one fold, from networks in which the tested RNAs have a sequence and nothing else.

    Raises:
        ConfigError: the problem does not carry its networks, or a token needs one that is not there when the edges are hidden.
    """
    if data.networks is None:
        raise ConfigError(
            "a cold start needs the networks, to build them again without the tested RNAs' edges"
        )
    hidden = prepare(cold_networks(data.networks, test), config)
    return replace(hidden, popularity=data.popularity)
