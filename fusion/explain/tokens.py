"""Contributions of tokens: attention weights, integrated gradients and tree paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numba import njit
from torch import Tensor

from fusion.explain.towers import (
    kernel_starts,
    masked_changes,
    number_gradients,
    present_tokens,
)
from fusion.models.ensemble import (
    ATTENTION,
    BOOSTING,
    EPSILON,
    EXTRA_TREES,
    KERNEL,
    FusionModel,
    safe_logit,
)
from fusion.models.kernel import KernelModel
from fusion.models.towers_training import TrainedFusion
from fusion.models.training import TrainedAttention, as_tensors
from fusion.tokens.names import TREES, single_tokens
from mirnagraph.trees import TreeArrays

STEPS = 64
"""Points of the integral of the gradients."""

NEURAL = "neural"
"""Shown name of the part `ATTENTION` where it is a fusion of two towers."""

SHARES = {ATTENTION: "gradients", EXTRA_TREES: "extra_trees", BOOSTING: "boosting"}
"""Part of the model -> its attribute of `TokenShare`."""


@dataclass(frozen=True)
class TokenShare:
    """Contribution of one token to one compartment; None where a part does not read it.

    Attributes:
        present: whether the RNA has the token.
        attention: weight, averaged over members and heads; the weights of the tokens sum to 1. It
            is no attribution. Of a fusion of two towers also averaged over queries, and None where
            it hardly differs between RNAs.
        gradients: added to the logit of the attention part (integrated gradients); None for a
            token that is no numbers in a fusion of two towers.
        extra_trees: added to the probability of the extra trees.
        boosting: added to the logit of boosting.
        masked: change of the neural part's logit, with the token minus without it, in a fusion of
            two towers.
    """

    token: str
    present: bool
    attention: float | None = None
    gradients: float | None = None
    extra_trees: float | None = None
    boosting: float | None = None
    masked: float | None = None


@dataclass(frozen=True)
class PartSum:
    """One part of the model, and the sum of its tokens.

    Attributes:
        part: ``attention`` or, for a fusion of two towers, ``neural`` (in logits),
            ``extra_trees`` (in probabilities), ``boosting`` or ``kernel`` (in logits).
        probability: of the part alone.
        weight: in the mean of logits.
        start: prediction without the RNA: attention, for the average training RNA; trees, the mean
            over training RNAs; kernel, with all training RNAs equally like.
        end: prediction for the RNA.
        error: sum of the tokens, minus (end - start).
        terms: what is summed.
    """

    part: str
    probability: float
    weight: float
    start: float
    end: float
    error: float
    terms: str = "tokens"


@dataclass(frozen=True, eq=False)
class _Attribution:
    """Contributions of tokens to one part of the model.

    Attributes:
        values: token -> contributions, shape (n_columns,).
        start, end, error: see `PartSum`; shape (n_columns,).
        terms: likewise.
    """

    values: dict[str, np.ndarray]
    start: np.ndarray
    end: np.ndarray
    error: np.ndarray
    terms: str = "tokens"


def attention_weights(fusion_model: FusionModel, n_labels: int) -> dict[str, np.ndarray]:
    """Attention weights of one RNA, averaged over members and heads.

    Returns:
        Token -> weights, shape (n_labels,); empty for a model without attention, or for a fusion of
        two towers (see `fusion.explain.towers.attention_to_sources`). A read-out without
        a query per compartment has the same weights for all: the mean over the present tokens as
        queries.
    """
    if not isinstance(fusion_model.attention, TrainedAttention):
        return {}
    tokens = fusion_model.tokens.select(fusion_model.config.tokens.attention)
    weights = fusion_model.attention.attention(tokens, np.arange(1))[0]
    if not weights.any():
        return {}
    if "queries" not in fusion_model.config.attention.readout:
        is_query = np.array([*(token.present[0] for token in tokens), False])
        if not is_query.any():
            is_query = ~is_query
        mean = weights[is_query].mean(axis=0, keepdims=True)
        weights = np.repeat(mean, n_labels, axis=0)
    return {token.name: weights[:, n].astype(float) for n, token in enumerate(tokens)}


def integrated_gradients(
    fusion_model: FusionModel, columns: list[int], prior: np.ndarray, *, steps: int = STEPS
) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
    """Integrated gradients of the attention part's logit (Sundararajan et al. 2017).

    The path starts at the average training RNA that has the same tokens. The trees' logits, which
    members may start from, move along with the token ``trees`` and count as it. Gauss-Legendre
    points as in captum, with one pass of the model for all compartments.

    Args:
        fusion_model: on the tokens of one RNA.
        columns: compartments.
        prior: start of the trees' logits where their token is not read, shape (n_labels,).
        steps: points of the path; more lower the error.

    Returns:
        Shape (n_tokens, len(columns)); and per compartment the logit at the start, at the end, and
        the error of the sum.
    """
    names = list(fusion_model.config.tokens.attention)
    attention_logit, inputs, baseline, widths = _attention_logit(fusion_model, prior)
    places, quadrature = np.polynomial.legendre.leggauss(steps)
    path = torch.from_numpy((places + 1) / 2).float()[:, None]
    points = (baseline + path * (inputs - baseline)).requires_grad_()
    logits = attention_logit(points)
    difference = (inputs - baseline)[0].double().numpy()
    contributions = []
    sums = []
    with torch.no_grad():
        start = attention_logit(baseline)[0]
        end = attention_logit(inputs)[0]
    for column in columns:
        (slopes,) = torch.autograd.grad(logits[:, column].sum(), points, retain_graph=True)
        values = (quadrature / 2) @ slopes.double().numpy() * difference
        per_token = [float(piece.sum()) for piece in np.split(values, np.cumsum(widths)[:-1])]
        of_prior = per_token.pop() if len(per_token) > len(names) else 0.0
        if TREES in names:
            per_token[names.index(TREES)] += of_prior
            of_prior = 0.0
        contributions.append(per_token)
        error = float(sum(per_token) + of_prior - (end[column] - start[column]))
        sums.append((float(start[column]), float(end[column]), error))
    return np.array(contributions).T.reshape(len(names), len(columns)), sums


def _attention_logit(
    fusion_model: FusionModel, prior: np.ndarray
) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor, list[int]]:
    """The attention part as a function of one row of numbers.

    Returns:
        Function from rows to logits, the row of the RNA, the row to start from, and the widths of
        the tokens in it; the last piece is the trees' logits, where there are trees.
    """
    assert isinstance(fusion_model.attention, TrainedAttention)
    members = list(fusion_model.attention.members)
    names = list(fusion_model.config.tokens.attention)
    values, present = as_tensors(fusion_model.tokens.select(names), np.arange(1))
    means = members[0].get_buffer("shift").detach().clone().split(members[0].widths)
    # an absent token is not read, wherever the path leads
    start = [
        torch.where(is_present, mean, value[0])
        for is_present, mean, value in zip(present[0], means, values, strict=True)
    ]
    has_trees = TREES in fusion_model.tokens.sources
    if has_trees:
        values.append(torch.from_numpy(fusion_model.tokens[TREES].values.astype(np.float32)))
        if TREES in names:
            start.append(start[names.index(TREES)])
        else:
            start.append(torch.from_numpy(prior.astype(np.float32)))
    widths = [value.shape[1] for value in values]

    def attention_logit(rows: Tensor) -> Tensor:
        pieces = list(rows.split(widths, dim=1))
        row_prior = pieces.pop() if has_trees else None
        row_present = present.expand(len(rows), -1)
        per_member = [
            torch.sigmoid(member(pieces, row_present, row_prior).double()) for member in members
        ]
        mean = torch.stack(per_member).mean(dim=0)
        return torch.logit((mean + EPSILON) / (1 + 2 * EPSILON))

    return attention_logit, torch.cat(values, dim=1), torch.cat(start)[None], widths


def token_shares(
    fusion_model: FusionModel,
    columns: list[int],
    background: np.ndarray,
    base: np.ndarray,
    varying: Mapping[str, float] | None = None,
) -> list[tuple[tuple[TokenShare, ...], tuple[PartSum, ...]]]:
    """Contributions of tokens, those of attention first, and sums of parts, per compartment.

    Args:
        fusion_model: on the tokens of one RNA.
        columns: compartments.
        background: what the trees read of training RNAs, shape (n, width) (see
            `tree_contributions`).
        base: share of training RNAs in each compartment, shape (n_labels,).
        varying: of a fusion of two towers, token -> attention weight where it is to be shown.
    """
    probabilities = fusion_model.parts(np.arange(1))
    total = sum(fusion_model.weights[name] for name in probabilities)
    weights = attention_weights(fusion_model, len(base))
    weights |= {name: np.full(len(base), weight) for name, weight in (varying or {}).items()}
    attributions = {}
    masked: dict[str, np.ndarray] = {}
    is_present: dict[str, bool] = {}
    if isinstance(fusion_model.attention, TrainedFusion):
        is_present = present_tokens(fusion_model)
        masked = masked_changes(fusion_model, columns)
        gradients, of_columns = number_gradients(fusion_model, columns, steps=STEPS)
        start, end, error = np.array(of_columns).T
        attributions[ATTENTION] = _Attribution(gradients, start, end, error, "numbers")
    elif fusion_model.attention is not None:
        attributions[ATTENTION] = _attention_attribution(fusion_model, columns, base)
    for name, trees in fusion_model.trees.items():
        attributions[name] = _tree_attribution(fusion_model, trees, columns, background)
    if fusion_model.kernel is not None:
        attributions[KERNEL] = _kernel_attribution(fusion_model.kernel, fusion_model, columns)
    for values in (masked, *(attribution.values for attribution in attributions.values())):
        for name in [name for name in values if name not in is_present]:
            parts = [fusion_model.tokens[part].present[0] for part in single_tokens([name])]
            is_present[name] = any(map(bool, parts))
    shares = []
    for number, column in enumerate(columns):
        tokens = []
        for name, present in is_present.items():
            added = {
                SHARES[part]: float(attribution.values[name][number])
                for part, attribution in attributions.items()
                if name in attribution.values
            }
            if name in masked:
                added["masked"] = float(masked[name][number])
            if name in weights:
                added["attention"] = float(weights[name][column])
            tokens.append(TokenShare(name, present, **added))
        sums = tuple(
            PartSum(
                NEURAL if attribution.terms == "numbers" else part,
                float(probabilities[part][0, column]),
                fusion_model.weights[part] / total,
                float(attribution.start[number]),
                float(attribution.end[number]),
                float(attribution.error[number]),
                attribution.terms,
            )
            for part, attribution in attributions.items()
        )
        shares.append((tuple(tokens), sums))
    return shares


def _attention_attribution(
    fusion_model: FusionModel, columns: list[int], base: np.ndarray
) -> _Attribution:
    gradients, sums = integrated_gradients(fusion_model, columns, safe_logit(base))
    names = fusion_model.config.tokens.attention
    return _Attribution(dict(zip(names, gradients, strict=True)), *np.array(sums).T)


def _tree_attribution(
    fusion_model: FusionModel, trees: TreeArrays, columns: Sequence[int], background: np.ndarray
) -> _Attribution:
    names = fusion_model.config.tokens.trees
    flat = fusion_model.tokens.flat(names)
    contributions = tree_contributions(trees, flat[0], background)
    tokens = single_tokens(names)
    starts = np.cumsum([0, *(fusion_model.tokens[name].width for name in tokens[:-1])])
    per_token = np.add.reduceat(contributions.values, starts)[:, columns]
    start = contributions.bias[columns]
    end = trees(flat)[0, columns].astype(np.float64)
    sums = np.array([contributions.values[:, column].sum() for column in columns])
    return _Attribution(dict(zip(tokens, per_token, strict=True)), start, end, start + sums - end)


def _kernel_attribution(
    kernel: KernelModel, fusion_model: FusionModel, columns: Sequence[int]
) -> _Attribution:
    likeness = kernel.kernel(fusion_model.tokens, np.arange(1))[0].astype(np.float64)
    start = kernel_starts(kernel, likeness)[columns]
    end = kernel.logits(fusion_model.tokens, np.arange(1))[0, columns]
    return _Attribution({}, start, end, np.zeros(len(columns)), "training RNAs")


@dataclass(frozen=True, eq=False)
class TreeContributions:
    """Prediction of trees for one row, decomposed along their paths (Saabas 2014).

    At every split the mean prediction of the background rows changes from a node to its child; the
    change counts for the feature that is compared there, as in the package treeinterpreter. Nothing
    is averaged over orders of features as in SHAP, so that early splits get more.

    Attributes:
        values: contribution of each feature: float64, shape (width, n_outputs).
        bias: mean prediction over the background rows: float64, shape (n_outputs,). The values and
            the bias sum to the prediction.
    """

    values: np.ndarray
    bias: np.ndarray


def tree_contributions(
    trees: TreeArrays, row: np.ndarray, background: np.ndarray
) -> TreeContributions:
    """Decompose the prediction of trees for a row.

    Args:
        trees: fitted trees.
        row: features, shape (width,).
        background: training rows over which a node's prediction is averaged, shape (n, width).
    """
    rows = np.ascontiguousarray(background, dtype=np.float32)
    nodes = (trees.feature, trees.threshold, trees.left, trees.right)
    counts = _count_leaves(rows, *nodes, trees.roots)
    means = _node_means(counts, trees.feature, trees.left, trees.right, trees.value)
    features = np.ascontiguousarray(row, dtype=np.float32)
    values = _along_paths(features, means, *nodes, trees.roots)
    return TreeContributions(values, trees.offset + means[trees.roots].sum(axis=0))


def some_trees(trees: TreeArrays, is_used: np.ndarray) -> TreeArrays:
    """The mean of some trees of a forest, whose leaves hold shares of the mean over all.

    Args:
        trees: the forest.
        is_used: bool, shape (n_trees,), True for one or more.
    """
    scale = np.float32(len(is_used) / is_used.sum())
    return replace(trees, roots=trees.roots[is_used], value=trees.value * scale)


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _count_leaves(  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, feature, threshold, left, right, roots
):
    """Number of rows in each leaf: int64, shape (n_nodes,)."""
    counts = np.zeros(len(feature), dtype=np.int64)
    for row in rows:
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if row[feature[node]] <= threshold[node] else right[node]
            counts[node] += 1
    return counts


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _node_means(  # type: ignore[no-untyped-def]  # pragma: no cover
    counts, feature, left, right, value
):
    """Mean leaf value of the rows below each node: float64, shape (n_nodes, n_outputs).

    A node that no row reaches is the mean of its children.
    """
    means = value.astype(np.float64)
    below = counts.copy()
    # children come after their parent
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] >= 0:
            first = left[node]
            second = right[node]
            below[node] = below[first] + below[second]
            share = below[first] / below[node] if below[node] > 0 else 0.5
            means[node] = share * means[first] + (1 - share) * means[second]
    return means


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _along_paths(  # type: ignore[no-untyped-def]  # pragma: no cover
    row, means, feature, threshold, left, right, roots
):
    total = np.zeros((len(row), means.shape[1]))
    for root in roots:
        node = root
        while feature[node] >= 0:
            child = left[node] if row[feature[node]] <= threshold[node] else right[node]
            total[feature[node]] += means[child] - means[node]
            node = child
    return total
