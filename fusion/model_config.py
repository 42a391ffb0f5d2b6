"""Settings of the parts of a fusion model: attention, fusion of towers, kernel, their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from mirnagraph.config import (
    Checked,
    Count,
    CountOrZero,
    Positive,
    PositiveOrZero,
    Rate,
    require,
)

READOUTS = ("concat", "mean", "queries", "light_queries")

POOLINGS = ("attention", "mean")

TIMES = "*"
"""Joins the names of blocks whose kernels are multiplied."""


@dataclass(frozen=True)
class AttentionConfig(Checked):
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

    dim: Count = 128
    n_heads: int = 4
    n_layers: CountOrZero = 1
    hidden_factor: Positive = 2.0
    dropout: Rate = 0.3
    input_dropout: Rate = 0.0
    token_dropout: Rate = 0.0
    readout: Annotated[str, READOUTS] = "queries"
    residual: bool = False
    block_dropout: Annotated[float, "below 1"] = -1.0
    norm_first: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        is_divisor = self.n_heads >= 1 and self.dim % self.n_heads == 0
        require(is_divisor, "n_heads", self.n_heads, f"a divisor of dim = {self.dim}")


@dataclass(frozen=True)
class FusionConfig(Checked):
    """Settings of `fusion.models.towers.TwoTowerFusion` and of its training.

    Attributes:
        dim: width of a token.
        n_heads: heads of the attention over tokens; divides `dim`.
        n_queries: learned queries that attend over the tokens.
        pooling: ``"attention"``, or ``"mean"`` of the present tokens, for comparison.
        hidden: width of the hidden layer after attention.
        n_members: models whose logits are averaged; they are trained side by side.
        kernel_dim: principal components of the kernel of every block and product of
            `KernelSettings`, which stand for the tokens of its blocks; 0 to read no kernels.
        bins: bins of the piecewise-linear encoding of the numbers of other tokens.
        graph_layer: entry of `mirnagraph.embedding.label_attention.LABEL_LAYERS`: ``"labels"``, or
            ``"transformer"`` for PyG's `TransformerConv`, which overfits the benchmark.
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

    dim: Count = 32
    n_heads: int = 2
    n_queries: Count = 32
    pooling: Annotated[str, POOLINGS] = "attention"
    hidden: Count = 64
    n_members: Count = 4
    kernel_dim: CountOrZero = 48
    bins: Count = 6
    graph_layer: str = "labels"
    graph_heads: Count = 2
    sequence_tower: str = "cnn"
    sequence_settings: dict[str, Any] = field(default_factory=dict)
    epochs: Count = 30
    n_batches: Count = 4
    learning_rate: Positive = 3e-3
    weight_decay: PositiveOrZero = 0.1
    averaging: Rate = 0.97
    label_smoothing: Rate = 0.02
    input_dropout: Rate = 0.3
    dropout: Rate = 0.15
    graph_dropout: Rate = 0.1
    family_dropout: Annotated[float, "in [0, 1]"] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        is_divisor = self.n_heads >= 1 and self.dim % self.n_heads == 0
        require(is_divisor, "n_heads", self.n_heads, f"a divisor of dim = {self.dim}")


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
            is_plain = not {TIMES, "-"} & set(name)
            require(is_plain, "blocks", name, f"names without {TIMES!r} and '-'")
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
class TrainConfig(Checked):
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

    epochs: Count = 120
    batch_size: Count = 64
    learning_rate: Positive = 1e-3
    weight_decay: PositiveOrZero = 1e-2
    patience: Count = 15
    inner_fraction: Annotated[float, "in [0, 0.5]"] = 0.1
    n_members: CountOrZero = 1
    n_students: CountOrZero = 0
    student_layers: CountOrZero = 1
    distillation: Annotated[float, "in [0, 1]"] = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        n_models = self.n_members + self.n_students
        require(n_models >= 1, "n_members + n_students", n_models, "1 or more")


@dataclass(frozen=True)
class MixSettings(Checked):
    """Weights of the components in the mean of logits, thresholds and calibration.

    Weights are scaled to sum to 1 over the components of a model.

    Attributes:
        attention, extra_trees, boosting: weights, above 0.
        kernel: weight, 0 or more; 0 for no such part.
        calibration_part: share of the training rows, families whole, that a second model (same
            settings, one member of each kind) is not trained on; a temperature is chosen on its
            predictions of them (Guo et al. 2017). 0 for no calibration; in [0, 0.5].
        least_gain: the trees, or the kernel model, are left out of the mean where that lowers the
            log loss of these rows by more (nats per label), and by more than two standard errors. 0
            keeps every part.
        thresholds: ``"half"``, or ``"mcc"`` for the best Matthews correlation on training rows
            that a component was not trained on.
    """

    attention: Positive = 1.0
    extra_trees: Positive = 1.0
    boosting: Positive = 1.0
    kernel: PositiveOrZero = 1.0
    thresholds: Annotated[str, ("half", "mcc")] = "mcc"
    calibration_part: Annotated[float, "in [0, 0.5]"] = 0.0
    least_gain: PositiveOrZero = 0.0
