"""Settings of an experiment, and the named presets they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fusion.attention import AttentionConfig
from fusion.tower import TowerSettings
from fusion.training import TrainConfig
from mirnagraph.config import from_dict, load_settings, require
from mirnagraph.embedding.base import EMBEDDERS
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.node2vec import Node2VecConfig
from mirnagraph.trees import TreesConfig
from seqtower.descriptor_trees import TREES

NODE2VEC = "node2vec"

NESTED = "nested"
"""Table of a settings file that lists what is chosen inside each fold (see `fusion.search.nested_space`)."""


@dataclass(frozen=True)
class FoldSettings:
    """Which RNAs, which folds: the protocol.

    Attributes:
        split: ``"random"``, ``"family"``, or the path of a fold file.
        n_folds: number of folds; a file brings its own.
        rnas: ``"all"`` (RNAs without annotation count as negatives) or ``"located"``.
        protocol: name of a protocol in a fold file that holds several; empty for none.
        cold: hide everything of the tested RNAs but their sequence: no association, no attribute (see `fusion.cold_start`).
    """

    split: str = "random"
    n_folds: int = 10
    rnas: str = "all"
    protocol: str = ""
    cold: bool = False

    def __post_init__(self) -> None:
        require(self.n_folds >= 2, "n_folds", self.n_folds, "2 or more")
        require(self.rnas in ("all", "located"), "rnas", self.rnas, "'all' or 'located'")


@dataclass(frozen=True)
class EmbeddingSettings:
    """How networks are embedded before any label is read.

    Attributes:
        similarity_dim: width of vectors of similarity networks (GTMALoc: 64).
        association_dim: width of vectors of association networks (GTMALoc: 128).
        node2vec: settings of node2vec; its own ``dim`` is not used.
        graph_transformer: graph encoder of the tokens ``graph_transformer:N``, and its training.
        embedder: name in `mirnagraph.embedding.base.EMBEDDERS`; what makes the vectors of the
            tokens ``node2vec:N`` and the features that graph encoders read.
        options: settings of an embedder other than node2vec, without ``dim``, as plain values.
    """

    similarity_dim: int = 64
    association_dim: int = 128
    node2vec: Node2VecConfig = field(default_factory=Node2VecConfig)
    graph_transformer: GraphTransformerConfig = field(default_factory=GraphTransformerConfig)
    embedder: str = NODE2VEC
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.similarity_dim >= 1, "similarity_dim", self.similarity_dim, "1 or more")
        require(self.association_dim >= 1, "association_dim", self.association_dim, "1 or more")
        if self.embedder == NODE2VEC:
            expected = "none for embedder 'node2vec', which reads the table 'node2vec'"
            require(not self.options, "options", self.options, expected)
        self.network_config(self.association_dim)

    def network_config(self, dim: int) -> Any:
        """Settings of the embedder for vectors of `dim` columns (proximity: for each hop)."""
        if self.embedder == NODE2VEC:
            return replace(self.node2vec, dim=dim)
        kind = EMBEDDERS[self.embedder].Config
        given = {"dim": dim} if "dim" in {item.name for item in fields(kind)} else {}
        return from_dict(kind, {**self.options, **given}, where="embedding.options")


@dataclass(frozen=True)
class TokenSettings:
    """Which tokens there are.

    Attributes:
        attention: tokens that attention reads (see `fusion.modalities.build_tokens`); ``neighbours:S`` are label averages
            over training neighbours, ``trees`` is what the trees say (out-of-bag for training rows), ``tower`` is the sequence tower
            (see `fusion.tower`), ``partner_sequences:KIND`` what sequences partners have (see `fusion.partners`).
            ``descriptors``, ``type`` and ``colocalized:KIND`` are for several sets of RNAs in one model (see `fusion.guests`).
            ``a+b`` is one token made of several; ``*`` stands for every kind of association.
        trees: tokens that the trees read; empty for no trees.
        svd_dim: components of each truncated SVD.
        neighbours: training neighbours averaged in a ``neighbours:`` token.
    """

    attention: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    svd_dim: int = 32
    neighbours: int = 20

    def __post_init__(self) -> None:
        require(len(self.attention) + len(self.trees) > 0, "tokens", self.attention, "at least one token")
        require(self.svd_dim >= 1, "svd_dim", self.svd_dim, "1 or more")
        require(self.neighbours >= 1, "neighbours", self.neighbours, "1 or more")


@dataclass(frozen=True)
class MixSettings:
    """How the parts of a model are joined: weights in the mean of logits, scaled to sum to 1 over the parts there are.

    Attributes:
        calibration_part: part of the training rows, families whole, that a second model (same settings, one member of a kind) does not learn from; on what
            it says of them a temperature is chosen (Guo et al. 2017). 0: probabilities are left as they are. In [0, 0.5].
        thresholds: ``"half"``, or ``"mcc"`` for the best Matthews correlation on training rows that a part did not learn from.
    """

    attention: float = 1.0
    extra_trees: float = 1.0
    boosting: float = 1.0
    thresholds: str = "mcc"
    calibration_part: float = 0.0

    def __post_init__(self) -> None:
        for name in ("attention", "extra_trees", "boosting"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(0 <= self.calibration_part <= 0.5, "calibration_part", self.calibration_part, "in [0, 0.5]")
        require(self.thresholds in ("half", "mcc"), "thresholds", self.thresholds, "'half' or 'mcc'")


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that decides the numbers of a run, beside the data.

    Attributes:
        preset: name the settings started from.
        source: where the settings come from, in words.
        seed: of the whole run.
        newcomers: preset of the model for RNAs of which the sequence alone is known, fitted beside the final model; empty for none.
        guest_trees: trees of each type of RNA that the networks do not hold, in one model with them (see `fusion.guests`).
    """

    tokens: TokenSettings
    preset: str = "default"
    source: str = ""
    seed: int = 0
    newcomers: str = "cold"
    folds: FoldSettings = field(default_factory=FoldSettings)
    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    trees: TreesConfig = field(default_factory=TreesConfig)
    guest_trees: TreesConfig = field(default_factory=lambda: TREES)
    mix: MixSettings = field(default_factory=MixSettings)
    tower: TowerSettings = field(default_factory=TowerSettings)

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "0 or more")


def experiment_config(
    preset: str = "default", file: str | Path | None = None, *, over: Mapping[str, Any] | None = None, **folds_and_seed: Any
) -> ExperimentConfig:
    """Settings in the order default < preset < file < `over` < arguments.

    Args:
        file: TOML with any of the settings; may name another preset by ``preset = "…"``.
        over: the same as nested plain values.
        folds_and_seed: ``seed`` and any field of `FoldSettings`; None leaves the setting as it is.
    """
    config = load_settings(ExperimentConfig, "fusion", preset, file, over, skip=(NESTED,))
    given = {key: value for key, value in folds_and_seed.items() if value is not None}
    seed = given.pop("seed", config.seed)
    return replace(config, seed=seed, folds=replace(config.folds, **given))
