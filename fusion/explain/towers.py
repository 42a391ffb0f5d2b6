"""Reasons of the fusion of two towers and of the kernel model: numbers, attention, neighbours."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fusion.models.ensemble import EPSILON, FusionModel
from fusion.models.kernel import KernelModel, kernel_rows
from fusion.models.reference import ReferenceRNAs
from fusion.models.towers import PRESENCE, Inputs, TwoTowerFusion
from fusion.models.towers_training import TrainedFusion, token_tensors
from fusion.tokens.names import NEAREST, TokenName
from fusion.tokens.table import TokenTable

N_CARRIERS = 4
N_NEAREST = 5
N_SUPPORTING = 4
N_OPPOSING = 3

VARIES = 0.1
"""SD between RNAs of an attention weight, relative to its mean, from which it is shown."""

MAX_BACKGROUND = 200
"""Training RNAs, about, with which the attention of an RNA is compared."""


@dataclass(frozen=True)
class Carrier:
    """A training RNA whose label the graph tower passes on.

    Attributes:
        similarity: to the explained RNA, in the relation.
        weight: of its label, mean over heads; the weights of a relation sum to 1.
        located: whether it is annotated in the compartment.
    """

    rna: str
    similarity: float
    weight: float
    located: bool


@dataclass(frozen=True)
class Relation:
    """What one relation or kind of partner passes to the RNA.

    Attributes:
        token: name, such as ``nearest:sequence`` or ``profile:disease``.
        strengths: of each head (those of a member stand together): exponent of the similarity (for
            partners: of 1 / (1 + number of training RNAs)). 0 is the plain mean; a larger one reads
            fewer, nearer RNAs (rarer partners).
        value: mean over heads: share of the passed labels that are of the compartment; for
            partners the mean log ratio of the partners' share to the base rate.
        carriers: the RNAs with the largest weights; none for partners.
    """

    token: str
    strengths: tuple[float, ...]
    value: float
    carriers: tuple[Carrier, ...]

    @property
    def is_similarity(self) -> bool:
        """Whether labels come from similar RNAs, and not from partners."""
        return TokenName.parse(self.token).kind == NEAREST


@dataclass(frozen=True)
class Support:
    """Contribution of a training RNA to the logit of the kernel model.

    Attributes:
        kernel: likeness to the explained RNA, in [0, 1].
        contribution: the RNA's fitted weight times its likeness above the mean of all training
            RNAs.
        located: whether it is annotated in the compartment.
    """

    rna: str
    kernel: float
    contribution: float
    located: bool


@dataclass(frozen=True)
class KernelReasons:
    """Logit of the kernel model as a sum over training RNAs.

    Attributes:
        start: logit if all training RNAs were equally like, at their mean likeness.
        supporting, opposing: sums of the positive and of the negative contributions of RNAs that
            are more like than the mean.
        unlike: sum over those that are less like.
        nearest: the RNAs most like the explained one.
        rnas: among those more like than the mean, the largest contributions, then the most negative
            ones.
    """

    start: float
    supporting: float
    opposing: float
    unlike: float
    nearest: tuple[Support, ...]
    rnas: tuple[Support, ...]

    @property
    def logit(self) -> float:
        """Of the kernel model."""
        return self.start + self.supporting + self.opposing + self.unlike


@dataclass(frozen=True)
class SourceAttention:
    """Attention to one source, over members, heads and queries.

    Attributes:
        token: source.
        weight: of the explained RNA.
        between_rnas: SD between training RNAs that have the source, relative to the mean; weights
            are first multiplied by the number of sources that an RNA has.
        between_queries: SD between the queries of a member, relative to the mean.
    """

    token: str
    weight: float
    between_rnas: float
    between_queries: float


def without_own_label(fusion_model: FusionModel, trained: np.ndarray, row: int) -> FusionModel:
    """The model without a training RNA's own label in graph tower and kernel model.

    Nothing is fitted again: the weights of the models still come from all training RNAs.

    Args:
        fusion_model: the final model.
        trained: bool, shape (n_reference,): which RNAs it was trained on.
        row: one of them.
    """
    neural = fusion_model.attention
    if isinstance(neural, TrainedFusion) and neural.model.graph is not None:
        model = copy.deepcopy(neural.model)
        assert model.graph is not None
        for name in ("labels", "visible"):
            model.graph.get_buffer(name)[row] = 0.0
        neural = replace(neural, model=model)
    kernel = fusion_model.kernel
    if kernel is not None:
        dual = kernel.dual.copy()
        dual[kernel_rows(np.flatnonzero(trained)) == row] = 0.0
        kernel = replace(kernel, dual=dual)
    return replace(fusion_model, attention=neural, kernel=kernel)


def _trained(fusion_model: FusionModel) -> TrainedFusion:
    neural = fusion_model.attention
    if not isinstance(neural, TrainedFusion):
        raise TypeError("the model has no fusion of two towers")
    return neural


def _inputs(fusion_model: FusionModel, tokens: TokenTable, rows: np.ndarray) -> Inputs:
    return _trained(fusion_model).inputs(tokens, rows)


def _logit(model: TwoTowerFusion, inputs: Inputs) -> Tensor:
    """Logit of the members' mean probability, see `safe_logit`: shape (n, n_labels)."""
    mean = torch.sigmoid(model(inputs)[0].double()).mean(dim=0)
    return torch.logit((mean + EPSILON) / (1 + 2 * EPSILON))


def number_gradients(
    fusion_model: FusionModel, columns: Sequence[int], *, steps: int
) -> tuple[dict[str, np.ndarray], list[tuple[float, float, float]]]:
    """Integrated gradients of the neural part's logit over the encoded numbers.

    The path leads from the average training RNA with the same tokens; relations, partners,
    nucleotides and which tokens are present stay as they are.

    Args:
        fusion_model: on the tokens of one RNA.
        columns: compartments.
        steps: Gauss-Legendre points of the path.

    Returns:
        Token of numbers -> contributions, shape (len(columns),); and per compartment the logit at
        the start, at the end, and the error of the sum.
    """
    model = _trained(fusion_model).model
    one = _inputs(fusion_model, fusion_model.tokens, np.arange(1))
    widths = [values.shape[1] for values in one.dense]
    end = torch.cat([*one.dense, torch.zeros(1, 0)], dim=1)
    places, quadrature = np.polynomial.legendre.leggauss(steps)
    path = torch.from_numpy((places + 1) / 2).float()[:, None]

    def logits_at(points: Tensor) -> Tensor:
        repeated = one.rows(torch.zeros(len(points), dtype=torch.int64))
        return _logit(model, replace(repeated, dense=tuple(points.split(widths, dim=1))))

    points = (path * end).requires_grad_()
    logits = logits_at(points)
    contributions = []
    sums = []
    with torch.no_grad():
        first, last = logits_at(torch.cat([torch.zeros_like(end), end]))
    for column in columns:
        values = np.zeros(end.shape[1])
        if widths:
            (slopes,) = torch.autograd.grad(logits[:, column].sum(), points, retain_graph=True)
            values = (quadrature / 2) @ slopes.double().numpy() * end[0].double().numpy()
        contributions.append([piece.sum() for piece in np.split(values, np.cumsum(widths)[:-1])])
        error = float(values.sum() - (last[column] - first[column]))
        sums.append((float(first[column]), float(last[column]), error))
    by_token = np.array(contributions).T
    return dict(zip(model.dense, by_token, strict=False)), sums


def masked_changes(fusion_model: FusionModel, columns: Sequence[int]) -> dict[str, np.ndarray]:
    """What each token adds to the neural part's logit: with it minus without it.

    Args:
        fusion_model: on the tokens of one RNA.
        columns: compartments.

    Returns:
        Token -> shape (len(columns),); 0 for a token that the RNA does not have.
    """
    trained = _trained(fusion_model)
    model = trained.model
    own_values, own_present = token_tensors(
        model, trained.features, fusion_model.tokens, np.arange(1)
    )
    n_rows = len(model.names) + 1
    values = {}
    present = {}
    for number, name in enumerate(model.names, 1):
        values[name] = own_values[name].expand(n_rows, -1)
        present[name] = own_present[name].repeat(n_rows)
        present[name][number] = False
    with torch.no_grad():
        logits = _logit(model, model.inputs(values, present)).numpy()
    changes = {}
    for number, name in enumerate(model.names, 1):
        difference = logits[0, list(columns)] - logits[number, list(columns)]
        changes[name] = difference if own_present[name][0] else np.zeros(len(columns))
    return changes


def present_tokens(fusion_model: FusionModel) -> dict[str, bool]:
    """Whether one RNA has each token of the neural part, kernel components among them."""
    trained = _trained(fusion_model)
    _, present = token_tensors(trained.model, trained.features, fusion_model.tokens, np.arange(1))
    return {name: bool(values[0]) for name, values in present.items()}


def attention_to_sources(
    fusion_model: FusionModel, reference: ReferenceRNAs
) -> tuple[SourceAttention, ...]:
    """Attention of one RNA to its sources, and how far it differs between RNAs and queries.

    Args:
        fusion_model: on the tokens of one RNA.
        reference: training RNAs with the tokens of the model.
    """
    model = _trained(fusion_model).model
    rows = np.flatnonzero(reference.trained)
    rows = rows[:: max(1, -(-len(rows) // MAX_BACKGROUND))]
    others = _inputs(fusion_model, reference.tokens, rows)
    own = _inputs(fusion_model, fusion_model.tokens, np.arange(1))
    with torch.no_grad():
        of_others = model(others)[1].double()
        of_own = model(own)[1].double().mean(dim=(0, 2, 3))[0]
    by_rna = of_others.mean(dim=(0, 2, 3)) * others.present.sum(dim=1, keepdim=True)
    # queries of different members have nothing in common
    by_query = of_others.mean(dim=1).flatten(1, 2)
    sources = []
    for number, name in enumerate(model.sources):
        is_here = others.present[:, number]
        if name == PRESENCE or not bool(own.present[0, number]) or int(is_here.sum()) < 2:
            continue
        weights = by_rna[is_here, number]
        queries = by_query[:, :, number]
        between_rnas = float(weights.std(correction=0) / weights.mean())
        between_queries = float(queries.std(dim=1, correction=0).mean() / queries.mean())
        sources.append(SourceAttention(name, float(of_own[number]), between_rnas, between_queries))
    return tuple(sources)


def relations_of(
    fusion_model: FusionModel, reference: ReferenceRNAs, columns: Sequence[int]
) -> list[tuple[Relation, ...]]:
    """What the graph tower passes to one RNA, for each of some compartments.

    Relations and kinds of partner that the RNA does not have are left out.

    Args:
        fusion_model: on the tokens of one RNA.
        reference: names of the RNAs whose labels are passed.
        columns: compartments.
    """
    model = _trained(fusion_model).model
    graph = model.graph
    if graph is None:
        return [() for _ in columns]
    one = _inputs(fusion_model, fusion_model.tokens, np.arange(1))
    with torch.no_grad():
        passed = graph(one.rnas)[0].mean(dim=1).numpy()
    tokens = [*model.nearest, *model.profiles]
    layers = list(graph.read.convs.values())
    is_here = dict(zip(model.sources, one.present[0].tolist(), strict=True))
    relations = []
    for column in columns:
        of_column = []
        for number, (token, layer) in enumerate(zip(tokens, layers, strict=True)):
            if not is_here[token]:
                continue
            strengths = getattr(layer, "strength", torch.zeros(1)).detach()
            carriers: tuple[Carrier, ...] = ()
            if token in model.nearest:
                rows, similarity = one.rnas.nearest[token]
                carriers = _carriers(model, reference, rows[0], similarity[0], strengths, column)
            value = float(passed[number, column])
            of_column.append(Relation(token, tuple(strengths.tolist()), value, carriers))
        relations.append(tuple(of_column))
    return relations


def _carriers(
    model: TwoTowerFusion,
    reference: ReferenceRNAs,
    rows: Tensor,
    similarity: Tensor,
    strengths: Tensor,
    column: int,
) -> tuple[Carrier, ...]:
    """RNAs whose labels weigh most, as `LabelAttention` weighs them."""
    assert model.graph is not None
    is_visible = model.graph.get_buffer("visible")[rows, column] > 0
    is_edge = (similarity > 0) & is_visible
    near = rows[is_edge]
    if not len(near):
        return ()
    feature = (similarity[is_edge] / similarity.amax()).log()
    weights = (feature[:, None] * strengths).softmax(dim=0).mean(dim=1)
    labels = model.graph.get_buffer("labels")[near, column]
    carriers = []
    for place in torch.argsort(-weights, stable=True)[:N_CARRIERS].tolist():
        carriers.append(
            Carrier(
                reference.index.ids[int(near[place])],
                float(similarity[is_edge][place]),
                float(weights[place]),
                bool(labels[place] > 0),
            )
        )
    return tuple(carriers)


def kernel_reasons(
    kernel: KernelModel,
    tokens: TokenTable,
    reference: ReferenceRNAs,
    columns: Sequence[int],
    row: int | None = None,
) -> list[KernelReasons]:
    """The training RNAs that the kernel model's logit of one RNA is made of.

    Args:
        kernel: fitted on the RNAs of `reference` that were trained on.
        tokens: of the RNA, one row.
        reference: names and labels of the training RNAs.
        columns: compartments.
        row: of the RNA itself, which is not named, where it is a reference RNA.
    """
    train = kernel_rows(np.flatnonzero(reference.trained))
    likeness = kernel.kernel(tokens, np.arange(1))[0].astype(np.float64)
    centred = likeness - likeness.mean()
    nearest = np.argsort(-likeness, kind="stable")
    nearest = nearest[train[nearest] != (-1 if row is None else row)][:N_NEAREST]
    starts = kernel_starts(kernel, likeness)
    reasons = []
    for column in columns:
        contributions = centred * kernel.dual[:, column].astype(np.float64)
        order = np.argsort(-contributions, kind="stable")
        order = order[centred[order] > 0]
        supporting = order[contributions[order] > 0]
        opposing = order[contributions[order] < 0][::-1]

        def support(
            place: int, column: int = column, values: np.ndarray = contributions
        ) -> Support:
            row = train[place]
            is_located = bool(reference.labels[row, column] > 0)
            name = reference.index.ids[row]
            return Support(name, float(likeness[place]), float(values[place]), is_located)

        reasons.append(
            KernelReasons(
                float(starts[column]),
                float(contributions[supporting].sum()),
                float(contributions[opposing].sum()),
                float(contributions[centred <= 0].sum()),
                tuple(support(place) for place in nearest),
                tuple(support(place) for place in shown_of(supporting, opposing)),
            )
        )
    return reasons


def shown_of(supporting: np.ndarray, opposing: np.ndarray) -> list[int]:
    """The first of both."""
    return [*supporting[:N_SUPPORTING].tolist(), *opposing[:N_OPPOSING].tolist()]


def kernel_starts(kernel: KernelModel, likeness: np.ndarray) -> np.ndarray:
    """Logits of an RNA that is equally like to all training RNAs: float64, shape (n_labels,).

    Args:
        kernel: fitted.
        likeness: of the RNA to the training RNAs, whose mean is taken, shape (n_train,).
    """
    total = kernel.dual.astype(np.float64).sum(axis=0)
    return np.asarray(kernel.intercept + likeness.mean() * total)
