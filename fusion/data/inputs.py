"""`FusionData`: everything that the folds, the baselines and the final fit of a run read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from fusion.config import ExperimentConfig
from fusion.data.baseline_inputs import BaselineInputs
from fusion.tokens.table import TokenTable
from mirnagraph.names.mirbase import MirbaseNames
from mirnagraph.networks.build import SequenceKmers
from mirnagraph.networks.network import NetworkSet
from mirnagraph.networks.similarities import Similarity
from mirnagraph.nodes import NodeIndex


@dataclass(frozen=True, eq=False)
class ExtraRnas:
    """Facts about additional RNAs, which follow those of the networks (see `fusion.data.rna_sets`).

    Attributes:
        n_network_rnas: number of RNAs of the networks, which come first.
        n_labels: number of their compartments, which come first too.
        types: RNA type of every RNA, of the networks' too, shape (n_rnas,).
        sets: name of the set of every RNA, shape (n_rnas,).
        associations: kind -> of the networks' RNAs with partners, for the kinds that a token
            ``partner_labels:KIND`` names.
        links: kind -> number of the partner that each additional RNA is, -1 for none: int64, shape
            (n_rnas - n_network_rnas,).
    """

    n_network_rnas: int
    n_labels: int
    types: tuple[str, ...]
    sets: tuple[str, ...]
    associations: Mapping[str, sparse.csr_array]
    links: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class FusionData:
    """RNAs with their label-free tokens, labels, and the similarities of label neighbours.

    Attributes:
        index: row order; RNAs of the networks first.
        compartments: names of the labels.
        labels: float64, shape (n_rnas, n_labels). Inside a fold, rows that may not be read are NaN
            (see `masked_labels`).
        groups: family number of every RNA, shape (n_rnas,); an RNA without a family has its own.
        tokens: all label-free tokens that the settings name.
        similarities: those that a token ``neighbours:NAME`` names: float32, shape (n_rnas, n_rnas);
            see `neighbour_similarity`.
        popularity: decile of every RNA by its number of associations, for the metric ``within``.
        associations: binary matrices of the kinds that a token ``neighbour_profile:KIND`` names.
        networks: only in a cold start, whose folds mask edges and make their own data.
        sequences: of every RNA, None where it has none; for the token ``tower``, which is made
            anew in every fold, and for the reference RNAs of the final model.
        extra_rnas: additional RNA sets; None without.
        dataset: name of the dataset.
        synthetic: whether the dataset is synthetic.
        matures: ``;``-separated mature sequences of every RNA of the networks, may be empty.
        cold_start: data and settings of the cold-start model; None where the settings name none.
        baselines: inputs of the baselines; None where they are not fitted.
        kmers: settings of the sequence similarity where it is of shared k-mers; None for
            alignments.
        names: names of miRBase of the dataset, for the reference RNAs of the final model.
    """

    index: NodeIndex
    compartments: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    tokens: TokenTable
    similarities: Mapping[str, Similarity]
    popularity: np.ndarray
    associations: Mapping[str, sparse.csr_array] = field(default_factory=dict)
    networks: NetworkSet | None = None
    sequences: tuple[str | None, ...] = ()
    extra_rnas: ExtraRnas | None = None
    dataset: str = ""
    synthetic: bool = False
    matures: tuple[str, ...] = ()
    cold_start: tuple[FusionData, ExperimentConfig] | None = None
    baselines: BaselineInputs | None = None
    kmers: SequenceKmers | None = None
    names: MirbaseNames | None = None

    @property
    def n_network_rnas(self) -> int:
        """Number of RNAs of the networks, which come first."""
        return len(self.index) if self.extra_rnas is None else self.extra_rnas.n_network_rnas

    def masked_labels(self, train: np.ndarray) -> np.ndarray:
        """Labels with NaN in every row outside `train`, so that a model that reads one shows it."""
        masked = np.full_like(self.labels, np.nan)
        masked[train] = self.labels[train]
        return masked
