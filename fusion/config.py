"""Settings of a fusion run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from fusion.model_config import (
    AttentionConfig,
    FusionConfig,
    KernelSettings,
    MixSettings,
    TrainConfig,
)
from mirnagraph.config import (
    AtLeastTwo,
    Checked,
    Count,
    CountOrZero,
    PositiveOrZero,
    from_dict,
    load_settings,
    preset_names,
    require,
)
from mirnagraph.embedding.embed import EMBEDDERS
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.node2vec import Node2VecConfig
from mirnagraph.errors import ConfigError
from mirnagraph.trees import TreesConfig
from seqtower.baselines.descriptor_trees import TREES
from seqtower.config import SeqConfig, seq_config

NODE2VEC = "node2vec"

NESTED = "nested"
"""Table of a settings file with the settings that each fold chooses by itself (see
`fusion.experiments.search_space.nested_space`)."""

BLOCKS = ("kernel", "blocks")
"""Table and key of the kernel's blocks; a file that names them names them all."""

CROSSFIT = "crossfit"

FUSION = "fusion"

NEURAL = ("attention", FUSION)
"""Neural parts: `fusion.models.attention.TokenFusion`, `fusion.models.towers.TwoTowerFusion`."""


@dataclass(frozen=True)
class FoldSettings(Checked):
    """Protocol: which RNAs, and which folds.

    Attributes:
        split: ``"random"``, ``"family"``, ``"cluster"``, a column of the RNA table with folds, or
            the path of a fold file (see `mirnagraph.evaluation.splits.make_folds`).
        n_folds: number of folds; a fold file has its own.
        rnas: ``"all"`` (RNAs without annotation count as negatives) or ``"located"``.
        protocol: name of a protocol in a fold file with several; empty for none.
        cold: mask everything of the tested RNAs but their sequence: associations and columns of
            the RNA table (see `fusion.data.cold_start`).
    """

    split: str = "random"
    n_folds: AtLeastTwo = 10
    rnas: Annotated[str, ("all", "located")] = "all"
    protocol: str = ""
    cold: bool = False


@dataclass(frozen=True)
class EmbeddingSettings(Checked):
    """Embedding of networks; no label is read.

    Attributes:
        similarity_dim: width of vectors of similarity networks (GTMALoc: 64).
        association_dim: width of vectors of association networks (GTMALoc: 128).
        node2vec: settings of node2vec; its own ``dim`` is not used.
        graph_transformer: graph encoder of the tokens ``graph_transformer:N``, and its training.
        embedder: name in `mirnagraph.embedding.embed.EMBEDDERS`; what makes the vectors of the
            tokens ``node2vec:N`` and the features that graph encoders read.
        options: settings of an embedder other than node2vec, without ``dim``, as plain values.
    """

    similarity_dim: Count = 64
    association_dim: Count = 128
    node2vec: Node2VecConfig = field(default_factory=Node2VecConfig)
    graph_transformer: GraphTransformerConfig = field(default_factory=GraphTransformerConfig)
    embedder: str = NODE2VEC
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
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
class TokenSettings(Checked):
    """Names of the tokens that attention and the trees read.

    The grammar of names is in `fusion.tokens.names`, kinds are in `fusion.tokens.table.TOKENS`:
    ``a+b`` is one token made of several, ``*`` stands for every kind of association, and a final
    ``?`` drops a token where the dataset lacks its kind.

    Attributes:
        attention: tokens of attention; ``trees`` is the prediction of the trees (out-of-bag for
            training rows), ``tower`` that of sequence towers. ``descriptors``, ``type`` and
            ``partner_labels:KIND`` are for several RNA sets in one model (see
            `fusion.data.rna_sets`).
        trees: tokens of the trees; empty for no trees.
        svd_dim: components of each truncated SVD.
        neighbours: training neighbours that tokens ``neighbours:NAME``, ``nearest:NAME`` and
            ``neighbour_profile:KIND`` are made of.
        letters: nucleotides of the token ``letters``; of a longer sequence one half from each end.
        body_fluids: tokens of expression also read samples of body fluids (plasma, serum, saliva,
            semen), which are extracellular and therefore near the labels of vesicles.
    """

    attention: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    svd_dim: Count = 32
    neighbours: Count = 20
    letters: Count = 500
    body_fluids: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Tokens of attention, then those of the trees; may repeat."""
        return (*self.attention, *self.trees)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.names) > 0, "tokens", self.attention, "at least one token")


@dataclass(frozen=True)
class TowerSettings(Checked):
    """Sequence tower of the tokens ``tower`` and ``partner_sequences:KIND``.

    Attributes:
        preset: preset of `seqtower` (see `seqtower.config.seq_config`): tower, encoder, lengths
            and training. Its trees on descriptors are left out.
        mode: ``"crossfit"``: several frozen towers, each trained without one subset of the
            training rows; the token holds logits.
        epochs: passes over the training rows; 0 for those of the preset.
        parts: number of subsets, and of towers.
        families: keep families whole in these subsets.
        dim: components of the k-mer frequencies of partners (see `fusion.tokens.partners`).
        partners: run or model folder of `mirnagraph seq train` whose tower embeds the partners;
            empty for k-mer frequencies.
        partner_fasta: sequences of partners by id, or by the first word of the description (such
            as a gene symbol), for partners whose table has none.
    """

    preset: str = "hairpin"
    mode: str = CROSSFIT
    epochs: CountOrZero = 0
    parts: AtLeastTwo = 3
    families: bool = True
    dim: Count = 16
    partners: str = ""
    partner_fasta: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        presets = preset_names("seqtower")
        expected = f"one of {', '.join(presets)}"
        require(self.preset in presets, "preset", self.preset, expected)
        if self.mode == "joint":
            raise ConfigError(
                "setting 'mode' of the tower is 'joint', but towers trained inside attention were "
                f"removed; use {CROSSFIT!r}"
            )
        require(self.mode == CROSSFIT, "mode", self.mode, repr(CROSSFIT))

    def config(self) -> SeqConfig:
        """Settings of the tower; the learning rate decays over `epochs`."""
        config = seq_config(self.preset)
        if not self.epochs:
            return config
        n_epochs = self.epochs
        training = replace(config.training, epochs=n_epochs, decay_epochs=n_epochs, decay_steps=0)
        return replace(config, training=training)


@dataclass(frozen=True)
class RankingSettings(Checked):
    """Score by which `rank` and `train --temporal` rank unlabelled pairs of RNA and compartment.

    Weights of a mean that orders the RNAs of a compartment (see `fusion.temporal.score`).

    Attributes:
        model: weight of the rank of the model's probability.
        popularity: weight of the rank of the popularity (numbers of associations).
        molecule: weight of the popularity of an id relative to the most popular id with the same
            mature sequence.
    """

    model: PositiveOrZero = 1.0
    popularity: PositiveOrZero = 1.0
    molecule: PositiveOrZero = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = (self.model, self.popularity, self.molecule)
        require(sum(weights) > 0, "ranking", weights, "one weight above 0")


@dataclass(frozen=True)
class ExperimentConfig(Checked):
    """All settings of a run; with the data they decide every number.

    Attributes:
        tokens: tokens of attention and trees.
        preset: name of the preset that the settings started from.
        source: description of the settings.
        seed: of the whole run.
        neural: which model reads `tokens.attention`: ``"fusion"`` (settings `fusion`) or
            ``"attention"`` (settings `attention` and `training`).
        newcomers: preset of the cold-start model, for RNAs of which only the sequence is known; it
            is fitted with the final model. Empty for none.
        folds, embedding, attention, training, fusion, trees, kernel, mix, tower, ranking: see their
            classes.
        guest_trees: trees of each RNA type that the networks do not have (see
            `fusion.data.rna_sets`).
    """

    tokens: TokenSettings
    preset: str = "default"
    source: str = ""
    seed: CountOrZero = 0
    neural: Annotated[str, NEURAL] = "attention"
    newcomers: str = "cold"
    folds: FoldSettings = field(default_factory=FoldSettings)
    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    kernel: KernelSettings = field(default_factory=KernelSettings)
    trees: TreesConfig = field(default_factory=TreesConfig)
    guest_trees: TreesConfig = field(default_factory=lambda: TREES)
    mix: MixSettings = field(default_factory=MixSettings)
    tower: TowerSettings = field(default_factory=TowerSettings)
    ranking: RankingSettings = field(default_factory=RankingSettings)

    @property
    def token_names(self) -> tuple[str, ...]:
        """Tokens of all parts of the model; may repeat."""
        return (*self.tokens.names, *self.kernel.tokens)


def experiment_config(
    preset: str = "default",
    file: str | Path | None = None,
    *,
    over: Mapping[str, Any] | None = None,
    **folds_and_seed: Any,
) -> ExperimentConfig:
    """Settings in the order default < preset < file < `over` < arguments.

    Args:
        preset: name of the preset to start from.
        file: TOML with any of the settings; may name another preset by ``preset = "…"``.
        over: the same as nested plain values.
        folds_and_seed: ``seed`` and any field of `FoldSettings`; None leaves the setting as it is.

    Raises:
        InputError, ConfigError: see `mirnagraph.config.load_settings`.
    """
    config = load_settings(
        ExperimentConfig, "fusion", preset, file, over, skip=(NESTED,), whole=(BLOCKS,)
    )
    given = {key: value for key, value in folds_and_seed.items() if value is not None}
    seed = given.pop("seed", config.seed)
    return replace(config, seed=seed, folds=replace(config.folds, **given))
