"""All settings dataclasses of a fusion run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mirnagraph.config import from_dict, load_settings, preset_names, require, require_range
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

READOUTS = ("concat", "mean", "queries", "light_queries")

CROSSFIT = "crossfit"

TIMES = "*"
"""Joins the names of blocks whose kernels are multiplied."""

FUSION = "fusion"

POOLINGS = ("attention", "mean")

NEURAL = ("attention", FUSION)
"""Neural parts: `fusion.models.attention.TokenFusion`, `fusion.models.towers.TwoTowerFusion`."""


@dataclass(frozen=True)
class FoldSettings:
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
    n_folds: int = 10
    rnas: str = "all"
    protocol: str = ""
    cold: bool = False

    def __post_init__(self) -> None:
        require_range(self, "2 or more", "n_folds")
        require(self.rnas in ("all", "located"), "rnas", self.rnas, "'all' or 'located'")


@dataclass(frozen=True)
class EmbeddingSettings:
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

    similarity_dim: int = 64
    association_dim: int = 128
    node2vec: Node2VecConfig = field(default_factory=Node2VecConfig)
    graph_transformer: GraphTransformerConfig = field(default_factory=GraphTransformerConfig)
    embedder: str = NODE2VEC
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_range(self, "1 or more", "similarity_dim", "association_dim")
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
    svd_dim: int = 32
    neighbours: int = 20
    letters: int = 200
    body_fluids: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Tokens of attention, then those of the trees; may repeat."""
        return (*self.attention, *self.trees)

    def __post_init__(self) -> None:
        require(len(self.names) > 0, "tokens", self.attention, "at least one token")
        require_range(self, "1 or more", "svd_dim", "neighbours", "letters")


@dataclass(frozen=True)
class MixSettings:
    """Weights of the components in the mean of logits, thresholds and calibration.

    Weights are scaled to sum to 1 over the components of a model.

    Attributes:
        attention, extra_trees, boosting, kernel: weights, above 0.
        calibration_part: share of the training rows, families whole, that a second model (same
            settings, one member of each kind) is not trained on; a temperature is chosen on its
            predictions of them (Guo et al. 2017). 0 for no calibration; in [0, 0.5].
        thresholds: ``"half"``, or ``"mcc"`` for the best Matthews correlation on training rows
            that a component was not trained on.
    """

    attention: float = 1.0
    extra_trees: float = 1.0
    boosting: float = 1.0
    kernel: float = 1.0
    thresholds: str = "mcc"
    calibration_part: float = 0.0

    def __post_init__(self) -> None:
        require_range(self, "above 0", "attention", "extra_trees", "boosting", "kernel")
        require_range(self, "in [0, 0.5]", "calibration_part")
        is_rule = self.thresholds in ("half", "mcc")
        require(is_rule, "thresholds", self.thresholds, "'half' or 'mcc'")


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
    config = load_settings(ExperimentConfig, "fusion", preset, file, over, skip=(NESTED,))
    given = {key: value for key, value in folds_and_seed.items() if value is not None}
    seed = given.pop("seed", config.seed)
    return replace(config, seed=seed, folds=replace(config.folds, **given))


@dataclass(frozen=True)
class AttentionConfig:
    """Settings of `fusion.models.attention.TokenFusion`.

    Attributes:
        dim: width of every token after projection.
        n_heads: heads of each attention; divides `dim`.
        n_layers: transformer blocks over the tokens (GTMALoc: 1).
        hidden_factor: feed-forward width as a multiple of `dim`.
        dropout: rate after attention and feed-forward, in [0, 1).
        input_dropout: rate at which single columns of a token are masked in training, in [0, 1).
        token_dropout: rate at which a whole token of an RNA is masked in training (modality
            dropout), in [0, 1). The token ``trees`` is never masked.
        block_dropout: rate inside the transformer blocks, below 1; below 0 for `dropout`.
        norm_first: LayerNorm before attention and feed-forward in the transformer blocks (Xiong et
            al. 2020, doi:10.48550/arXiv.2002.04745), which trains in fewer steps, instead of after
            them as in GTMALoc.
        readout: ``"concat"`` joins all tokens (GTMALoc), ``"mean"`` averages the present ones,
            ``"queries"`` lets one learned query per compartment attend over them by an
            `AttentionBlock`, ``"light_queries"`` by a `QueryReader`.
        residual: add the output to the logits of the trees, times a learned factor per compartment
            that starts at 1, so that attention learns a correction.
    """

    dim: int = 128
    n_heads: int = 4
    n_layers: int = 1
    hidden_factor: float = 2.0
    dropout: float = 0.3
    input_dropout: float = 0.0
    token_dropout: float = 0.0
    readout: str = "queries"
    residual: bool = False
    block_dropout: float = -1.0
    norm_first: bool = False

    def __post_init__(self) -> None:
        require_range(self, "1 or more", "dim")
        is_divisor = self.n_heads >= 1 and self.dim % self.n_heads == 0
        require(is_divisor, "n_heads", self.n_heads, f"a divisor of dim = {self.dim}")
        require_range(self, "0 or more", "n_layers")
        require_range(self, "above 0", "hidden_factor")
        require_range(self, "in [0, 1)", "dropout", "input_dropout", "token_dropout")
        require_range(self, "below 1", "block_dropout")
        require(self.readout in READOUTS, "readout", self.readout, " or ".join(READOUTS))


@dataclass(frozen=True)
class FusionConfig:
    """Settings of `fusion.models.towers.TwoTowerFusion` and of its training.

    Attributes:
        dim: width of a token.
        n_heads: heads of the attention over tokens; divides `dim`.
        n_queries: learned queries that attend over the tokens.
        pooling: ``"attention"``, or ``"mean"`` of the present tokens, for comparison.
        hidden: width of the hidden layer after attention.
        n_members: models whose logits are averaged; they are trained side by side.
        bins: bins of the piecewise-linear encoding of numbers.
        graph_heads: heads of each relation, for each member.
        sequence_tower: entry of `seqtower.towers.base.TOWERS`.
        sequence_settings: settings of the tower, as plain values.
        epochs: passes over the training rows.
        n_batches: steps of a pass; more where a step would have more than 256 RNAs.
        learning_rate: highest of AdamW, in one cycle.
        weight_decay: of AdamW.
        averaging: decay of the exponential moving average of the weights, which predicts.
        label_smoothing: share of 0.5 in every target, in [0, 1).
        input_dropout: rate at which numbers are masked in training, in [0, 1).
        dropout: rate after attention and in hidden layers, in [0, 1).
        graph_dropout: rate on the labels that the graph tower passes, in [0, 1).
        family_dropout: share of the training RNAs in a step that do not see their own family in
            the relations, in [0, 1].
    """

    dim: int = 32
    n_heads: int = 2
    n_queries: int = 32
    pooling: str = "attention"
    hidden: int = 64
    n_members: int = 4
    bins: int = 6
    graph_heads: int = 2
    sequence_tower: str = "cnn"
    sequence_settings: dict[str, Any] = field(default_factory=dict)
    epochs: int = 30
    n_batches: int = 4
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    averaging: float = 0.97
    label_smoothing: float = 0.02
    input_dropout: float = 0.3
    dropout: float = 0.15
    graph_dropout: float = 0.1
    family_dropout: float = 0.5

    def __post_init__(self) -> None:
        require_range(
            self, "1 or more", "dim", "n_queries", "hidden", "n_members", "bins", "graph_heads",
            "epochs", "n_batches",
        )  # fmt: skip
        is_divisor = self.n_heads >= 1 and self.dim % self.n_heads == 0
        require(is_divisor, "n_heads", self.n_heads, f"a divisor of dim = {self.dim}")
        require_range(self, "above 0", "learning_rate")
        require_range(self, "0 or more", "weight_decay")
        rates = ("averaging", "label_smoothing", "input_dropout", "dropout", "graph_dropout")
        require_range(self, "in [0, 1)", *rates)
        require_range(self, "in [0, 1]", "family_dropout")
        require(self.pooling in POOLINGS, "pooling", self.pooling, " or ".join(POOLINGS))


@dataclass(frozen=True)
class KernelSettings:
    """Settings of kernel logistic regression.

    Attributes:
        blocks: name of a block -> its tokens; empty for no kernel part. An RNA has a block where it
            has any of its tokens.
        products: names of blocks joined by ``*``; their kernels are multiplied. The kernel is the
            mean of the kernels of all blocks and of all products.
        penalty: of the squared norm of the function, L2.
        bandwidth: distance at which the kernel of a block is exp(-1), in mean distances between
            training RNAs.
    """

    blocks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    penalty: float = 0.05
    bandwidth: float = 2.0

    def __post_init__(self) -> None:
        require(self.penalty > 0, "penalty", self.penalty, "above 0")
        require(self.bandwidth > 0, "bandwidth", self.bandwidth, "above 0")
        for name, tokens in self.blocks.items():
            require(TIMES not in name, "blocks", name, f"names without {TIMES!r}")
            require(len(tokens) > 0, f"blocks.{name}", tokens, "at least one token")
        for product in self.products:
            factors = product.split(TIMES)
            is_valid = len(factors) > 1 and set(factors) <= set(self.blocks)
            available = ", ".join(self.blocks) or "none"
            expected = f"blocks joined by {TIMES!r}; available: {available}"
            require(is_valid, "products", product, expected)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Names of all tokens; may repeat."""
        return tuple(name for tokens in self.blocks.values() for name in tokens)

    @property
    def terms(self) -> tuple[tuple[str, ...], ...]:
        """Names of the blocks that are multiplied, for every term of the kernel."""
        single = [(name,) for name in self.blocks]
        return (*single, *(tuple(product.split(TIMES)) for product in self.products))

    def with_tokens(self, expand: Callable[[Sequence[str]], Sequence[str]]) -> KernelSettings:
        """Expand token names; a block without tokens, and its products, are left out.

        Args:
            expand: names of tokens to those that the dataset has, see
                `fusion.tokens.kinds.expand_tokens`.
        """
        expanded = {name: tuple(expand(tokens)) for name, tokens in self.blocks.items()}
        blocks = {name: tokens for name, tokens in expanded.items() if tokens}
        products = [p for p in self.products if set(p.split(TIMES)) <= set(blocks)]
        return KernelSettings(blocks, tuple(products), self.penalty, self.bandwidth)


@dataclass(frozen=True)
class TrainConfig:
    """Training of `fusion.models.attention.TokenFusion`.

    Attributes:
        epochs: maximal passes over the training rows.
        batch_size: RNAs per step.
        learning_rate: highest of AdamW; rises over the first 15 % of the steps and falls to about
            0 along a cosine.
        weight_decay: of AdamW (the paper's L2 regularization).
        patience: epochs without a lower validation loss before training stops.
        inner_fraction: share of the training rows in the validation split, in [0, 0.5]. With 0
            every member trains for all `epochs`.
        n_members: models whose probabilities are averaged.
        n_students: further models, trained on a mixture of labels and the trees' out-of-bag
            probabilities (knowledge distillation, Hinton et al. 2015,
            doi:10.48550/arXiv.1503.02531), without the logits of the trees as a start. They need
            trees.
        student_layers: transformer blocks of a student.
        distillation: weight of the trees' probability in a student's target, in [0, 1].
    """

    epochs: int = 120
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    patience: int = 15
    inner_fraction: float = 0.1
    n_members: int = 1
    n_students: int = 0
    student_layers: int = 1
    distillation: float = 0.6

    def __post_init__(self) -> None:
        require_range(self, "1 or more", "epochs", "batch_size", "patience")
        require_range(self, "above 0", "learning_rate")
        require_range(self, "in [0, 0.5]", "inner_fraction")
        numbers = (self.n_members, self.n_students)
        require(min(numbers) >= 0, "n_members, n_students", numbers, "0 or more")
        require(sum(numbers) >= 1, "n_members + n_students", 0, "1 or more")
        require_range(self, "0 or more", "weight_decay", "student_layers")
        require_range(self, "in [0, 1]", "distillation")


@dataclass(frozen=True)
class TowerSettings:
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
    epochs: int = 0
    parts: int = 3
    families: bool = True
    dim: int = 16
    partners: str = ""
    partner_fasta: str = ""

    def __post_init__(self) -> None:
        presets = preset_names("seqtower")
        expected = f"one of {', '.join(presets)}"
        require(self.preset in presets, "preset", self.preset, expected)
        if self.mode == "joint":
            raise ConfigError(
                "setting 'mode' of the tower is 'joint', but towers trained inside attention were "
                f"removed; use {CROSSFIT!r}"
            )
        require(self.mode == CROSSFIT, "mode", self.mode, repr(CROSSFIT))
        require_range(self, "0 or more", "epochs")
        require_range(self, "2 or more", "parts")
        require_range(self, "1 or more", "dim")

    def config(self) -> SeqConfig:
        """Settings of the tower; the learning rate decays over `epochs`."""
        config = seq_config(self.preset)
        if not self.epochs:
            return config
        n_epochs = self.epochs
        training = replace(config.training, epochs=n_epochs, decay_epochs=n_epochs, decay_steps=0)
        return replace(config, training=training)


@dataclass(frozen=True)
class RankingSettings:
    """Score by which `rank` and `train --temporal` rank unlabelled pairs of RNA and compartment.

    Weights of a mean that orders the RNAs of a compartment (see `fusion.temporal.score`).

    Attributes:
        model: weight of the rank of the model's probability.
        popularity: weight of the rank of the popularity (numbers of associations).
        molecule: weight of the popularity of an id relative to the most popular id with the same
            mature sequence.
    """

    model: float = 1.0
    popularity: float = 1.0
    molecule: float = 1.0

    def __post_init__(self) -> None:
        require_range(self, "0 or more", "model", "popularity", "molecule")
        weights = (self.model, self.popularity, self.molecule)
        require(sum(weights) > 0, "ranking", weights, "one weight above 0")


@dataclass(frozen=True)
class ExperimentConfig:
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
    seed: int = 0
    neural: str = "attention"
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

    def __post_init__(self) -> None:
        require_range(self, "0 or more", "seed")
        require(self.neural in NEURAL, "neural", self.neural, " or ".join(NEURAL))
