"""Attention, integrated gradients, tree paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numba import njit
from torch import Tensor

from fusion.models.attention import TokenFusion
from fusion.models.ensemble import EPSILON, EXTRA_TREES, FusionModel, safe_logit
from fusion.models.training import as_tensors
from fusion.tokens.names import TREES, single_tokens
from mirnagraph.trees import TreeArrays

STEPS = 64


@dataclass(frozen=True)
class TokenShare:
    """What one token says of one compartment; None where the part of the model does not read it.

    Attributes:
        present: whether the RNA has the token.
        attention: weight, averaged over members and heads; the tokens' weights sum to 1. It says where was looked, not what was made of it.
        gradients: what the token adds to the logit of the attention part (integrated gradients).
        extra_trees: what it adds to the probability of the extra trees. boosting: to the logit of boosting.
    """

    token: str
    present: bool
    attention: float | None
    gradients: float | None
    extra_trees: float | None
    boosting: float | None


@dataclass(frozen=True)
class PartSum:
    """One part of the model, and how its tokens add up to what it says.

    Attributes:
        part: ``attention`` (in logits), ``extra_trees`` (in probabilities) or ``boosting`` (in logits).
        probability: what the part says by itself. weight: its share in the mean of logits.
        start: what it says where nothing of the RNA is read: attention, of the average training RNA; trees, the mean over training RNAs.
        end: what it says of the RNA.
        error: of the sum of its tokens, against end - start.
    """

    part: str
    probability: float
    weight: float
    start: float
    end: float
    error: float


def attention_weights(fusion_model: FusionModel, n_labels: int) -> np.ndarray | None:
    """Attention of one RNA, averaged over members and heads: shape (n_labels, n_tokens); None where the model has no attention.

    A read-out without a query per compartment has one answer for all: the mean over the tokens that look.
    """
    if fusion_model.attention is None:
        return None
    tokens = fusion_model.tokens.select(fusion_model.config.tokens.attention)
    weights = fusion_model.attention.attention(tokens, np.arange(1))[0]
    if not weights.any():
        return None
    if "queries" not in fusion_model.config.attention.readout:
        looking = np.array([*(bool(token.present[0]) for token in tokens), False])
        weights = np.repeat(
            weights[looking if looking.any() else ~looking].mean(axis=0, keepdims=True),
            n_labels,
            axis=0,
        )
    return np.asarray(weights[:, :-1], dtype=float)


def integrated_gradients(
    fusion_model: FusionModel, columns: list[int], prior: np.ndarray, *, steps: int = STEPS
) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
    """What each token adds to the attention part's logit (Sundararajan et al. 2017), on the way from the average training RNA that has the same tokens.

    The trees' logits, which the members may start from, move along with the token ``trees`` and count as it. By Gauss-Legendre points, as
    captum does, but one pass of the model for all compartments.

    Args:
        learner: with the tokens of one RNA.
        columns: compartments.
        prior: logits that the trees' own start from, where their token is not read: shape (n_labels,).
        steps: points on the way; more bring the error down.

    Returns:
        shape (n_tokens, len(columns)); and per compartment the logit at the start, at the end, and the sum's error.
    """
    names = list(fusion_model.config.tokens.attention)
    answer, inputs, baseline, widths = _attention_logit(fusion_model, prior)
    places, shares = np.polynomial.legendre.leggauss(steps)
    way = torch.from_numpy((places + 1) / 2).float()[:, None]
    points = (baseline + way * (inputs - baseline)).requires_grad_()
    said = answer(points)
    found = []
    sums = []
    with torch.no_grad():
        start = answer(baseline)[0]
        end = answer(inputs)[0]
    for column in columns:
        (slopes,) = torch.autograd.grad(said[:, column].sum(), points, retain_graph=True)
        values = (shares / 2) @ slopes.double().numpy() * (inputs - baseline)[0].double().numpy()
        per_token = [float(part.sum()) for part in np.split(values, np.cumsum(widths)[:-1])]
        rest = per_token.pop() if len(per_token) > len(names) else 0.0
        if TREES in names:
            per_token[names.index(TREES)] += rest
            rest = 0.0
        found.append(per_token)
        sums.append(
            (
                float(start[column]),
                float(end[column]),
                float(sum(per_token) + rest - (end[column] - start[column])),
            )
        )
    return np.array(found).T.reshape(len(names), len(columns)), sums


def _attention_logit(
    fusion_model: FusionModel, prior: np.ndarray
) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor, list[int]]:
    """The attention part's logits as a function of all its numbers in one row, that row, the one to start from, and the widths of its parts.

    The last part is the trees' logits, where there are trees.
    """
    assert fusion_model.attention is not None
    members = list(fusion_model.attention.members)
    values, present = as_tensors(
        fusion_model.tokens.select(fusion_model.config.tokens.attention), np.arange(1)
    )
    widths = [value.shape[1] for value in values]
    # an absent token is not read, wherever the way leads
    parts = [
        torch.where(there, mean, value[0])
        for there, mean, value in zip(present[0], _starts(members[0]), values, strict=True)
    ]
    has_trees = TREES in fusion_model.tokens.sources
    if has_trees:
        said = torch.from_numpy(fusion_model.tokens[TREES].values.astype(np.float32))
        names = list(fusion_model.config.tokens.attention)
        start = (
            parts[names.index(TREES)]
            if TREES in names
            else torch.from_numpy(prior.astype(np.float32))
        )
        values = [*values, said]
        parts = [*parts, start]

    def answer(row: Tensor) -> Tensor:
        pieces = list(row.split([*widths, *([said.shape[1]] if has_trees else [])], dim=1))
        before = pieces.pop() if has_trees else None
        there = present.expand(len(row), -1)
        mean = torch.stack(
            [torch.sigmoid(member(pieces, there, before).double()) for member in members]
        ).mean(dim=0)
        return torch.logit((mean + EPSILON) / (1 + 2 * EPSILON))

    return (
        answer,
        torch.cat(values, dim=1),
        torch.cat(parts)[None],
        [part.shape[0] for part in parts],
    )


def _starts(member: TokenFusion) -> list[Tensor]:
    """Where the way of each token starts: the mean of the training RNAs."""
    means = member.get_buffer("shift").detach().clone()
    return list(means.split(member.widths))


def token_shares(
    fusion_model: FusionModel, columns: list[int], background: np.ndarray, base: np.ndarray
) -> list[tuple[tuple[TokenShare, ...], tuple[PartSum, ...]]]:
    """Everything above, per compartment: its tokens, those of attention first, and the parts of the model.

    Args:
        learner: with the tokens of one RNA.
        background: what the trees read of training RNAs: shape (n, width); see `fusion.explain.tokens.tree_contributions`.
        base: share of training RNAs in each compartment, shape (n_labels,).
    """
    settings = fusion_model.config.tokens
    parts = fusion_model.parts(np.arange(1))
    total = sum(fusion_model.weights[name] for name in parts)
    weights = attention_weights(fusion_model, len(base))
    gradients, sums = (
        integrated_gradients(fusion_model, columns, safe_logit(base))
        if fusion_model.attention is not None
        else (None, [])
    )
    added = {
        name: tree_contributions(model, fusion_model.tokens.flat(settings.trees)[0], background)
        for name, model in fusion_model.trees.items()
    }
    widths = [fusion_model.tokens.sources[name] for name in single_tokens(settings.trees)]
    per_token = {
        name: np.add.reduceat(c.values, np.cumsum([0, *widths[:-1]]), axis=0)
        for name, c in added.items()
    }
    found = []
    for place, column in enumerate(columns):
        of_attention = (
            {}
            if gradients is None
            else dict(zip(settings.attention, gradients[:, place].tolist(), strict=True))
        )
        looked = (
            {}
            if weights is None
            else dict(zip(settings.attention, weights[column].tolist(), strict=True))
        )
        of_trees = {
            name: dict(zip(single_tokens(settings.trees), values[:, column].tolist(), strict=True))
            for name, values in per_token.items()
        }
        names = list(
            dict.fromkeys([*of_attention, *(single_tokens(settings.trees) if added else [])])
        )
        shares = tuple(_share(fusion_model, name, looked, of_attention, of_trees) for name in names)
        about = []
        for part, said in parts.items():
            if part == "attention":
                start, end, error = sums[place]
            else:
                model = fusion_model.trees[part]
                start = float(added[part].bias[column])
                end = float(model(fusion_model.tokens.flat(settings.trees))[0, column])
                error = float(start + added[part].values[:, column].sum() - end)
            about.append(
                PartSum(
                    part,
                    float(said[0, column]),
                    fusion_model.weights[part] / total,
                    start,
                    end,
                    error,
                )
            )
        found.append((shares, tuple(about)))
    return found


def _share(
    fusion_model: FusionModel,
    name: str,
    looked: Mapping[str, float],
    gradients: Mapping[str, float],
    of_trees: Mapping[str, Mapping[str, float]],
) -> TokenShare:
    there = any(bool(fusion_model.tokens[part].present[0]) for part in single_tokens([name]))
    added = [of_trees.get(part, {}).get(name) for part in (EXTRA_TREES, "boosting")]
    return TokenShare(name, there, looked.get(name), gradients.get(name), *added)


@dataclass(frozen=True, eq=False)
class TreeContributions:
    """What trees say of one row, taken apart (Saabas 2014, as in the package treeinterpreter).

    At every split the mean answer of the training rows below changes from a node to its child; the change is put down to the feature that is compared
    there. Nothing is averaged over orders of features as in SHAP: what is split at first counts for the rows that it parts.

    Attributes:
        values: what each feature adds: float64, shape (width, n_outputs).
        bias: mean answer over the background rows: float64, shape (n_outputs,). The values and the bias sum to what the trees say.
    """

    values: np.ndarray
    bias: np.ndarray


def tree_contributions(
    trees: TreeArrays, row: np.ndarray, background: np.ndarray
) -> TreeContributions:
    """Take apart what trees say of a row.

    Args:
        row: features, shape (width,).
        background: rows over which the answer of a node is averaged, those that were learned from: shape (n, width).
    """
    rows = np.ascontiguousarray(background, dtype=np.float32)
    counts = _count_leaves(
        rows, trees.feature, trees.threshold, trees.left, trees.right, trees.roots
    )
    means = _node_means(counts, trees.feature, trees.left, trees.right, trees.value)
    features = np.ascontiguousarray(row, dtype=np.float32)
    values = _along_paths(
        features, means, trees.feature, trees.threshold, trees.left, trees.right, trees.roots
    )
    return TreeContributions(values, trees.offset + means[trees.roots].sum(axis=0))


def some_trees(trees: TreeArrays, chosen: np.ndarray) -> TreeArrays:
    """The mean of some trees of a forest, whose trees each hold their share of a mean over all.

    Args:
        chosen: bool, shape (n_trees,), True for one or more.
    """
    return replace(
        trees, roots=trees.roots[chosen], value=trees.value * np.float32(len(chosen) / chosen.sum())
    )


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _count_leaves(rows, feature, threshold, left, right, roots):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How many rows end in each leaf: int64, shape (n_nodes,)."""
    counts = np.zeros(len(feature), dtype=np.int64)
    for i in range(rows.shape[0]):
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if rows[i, feature[node]] <= threshold[node] else right[node]
            counts[node] += 1
    return counts


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _node_means(counts, feature, left, right, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mean leaf value of the rows below each node: float64, shape (n_nodes, n_outputs); of both children alike where no row passes."""
    means = value.astype(np.float64)
    below = counts.copy()
    # children stand after their parent
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] >= 0:
            one = left[node]
            other = right[node]
            below[node] = below[one] + below[other]
            share = below[one] / below[node] if below[node] > 0 else 0.5
            for j in range(value.shape[1]):
                means[node, j] = share * means[one, j] + (1 - share) * means[other, j]
    return means


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _along_paths(row, means, feature, threshold, left, right, roots):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = np.zeros((len(row), means.shape[1]))
    for root in roots:
        node = root
        while feature[node] >= 0:
            child = left[node] if row[feature[node]] <= threshold[node] else right[node]
            for j in range(means.shape[1]):
                total[feature[node], j] += means[child, j] - means[node, j]
            node = child
    return total
