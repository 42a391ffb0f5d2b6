"""Occlusion of modalities: the whole model predicts one RNA again without each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from fusion.explain.tokens import some_trees
from fusion.explain.towers import without_own_label
from fusion.models.ensemble import EXTRA_TREES, FusionModel, trees_of_types, with_trees_token
from fusion.models.new_rnas import reads_sequence_alone
from fusion.models.predict import reference_of
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.models.typed_trees import TypedTraining, without_trees_of
from fusion.tokens.kinds import modality_of
from fusion.tokens.names import (
    KMER,
    N_SIMILAR,
    NEIGHBOUR_PROFILE,
    NEIGHBOURS,
    SEQUENCE,
    TREES,
    TYPE,
    TokenName,
)
from fusion.tokens.table import Token, TokenTable
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreeArrays, replay_in_bag

WELL_STUDIED = "how well studied"
"""Modality of the tokens that count partners and similar RNAs."""

TOLERANCE = 1e-3
"""Difference of logits up to which sums of the same trees in another order count as equal."""

SEQUENCE_MODALITIES = {
    KMER: "k-mers",
    N_SIMILAR: "number of similar RNAs",
    f"{NEIGHBOURS}:{SEQUENCE}": "compartments of similar RNAs",
}
"""Tokens of a model that reads the sequence alone -> their modalities."""


@dataclass(frozen=True)
class Modality:
    """Prediction of a compartment without one modality.

    Attributes:
        present: whether the RNA has a token of it; without, nothing changes.
        tokens: of the modality, that the model reads.
        probability: without it, in [0, 1].
        change: of the probability, without it minus with it.
        change_logit: of the logit, likewise.
    """

    modality: str
    present: bool
    tokens: tuple[str, ...]
    probability: float
    change: float
    change_logit: float


def one_row(tokens: TokenTable, row: int) -> TokenTable:
    """The tokens of a single RNA."""
    index = NodeIndex.of([tokens.index.ids[row]], tokens.index.kinds[0])
    return TokenTable(
        index, tuple(Token(t.name, t.values[[row]], t.present[[row]]) for t in tokens)
    )


def tokens_by_modality(
    fusion_model: FusionModel, names: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """Modality -> its tokens, in token order; `WELL_STUDIED` comes last.

    The token of the trees, which mixes all modalities, and the RNA type, without which no tree
    would read an RNA, are in none. Of a model that reads the sequence alone the modalities are
    `SEQUENCE_MODALITIES`.

    Args:
        fusion_model: that reads them.
        names: the tokens (see `TokenTable.sources`).
    """
    is_sequence_model = reads_sequence_alone(fusion_model.config)
    groups: dict[str, tuple[str, ...]] = {}
    for token in names:
        if token not in (TREES, TYPE):
            modality = modality_of(token) or WELL_STUDIED
            if is_sequence_model:
                modality = _sequence_modality(token)
            groups[modality] = (*groups.get(modality, ()), token)
    if WELL_STUDIED in groups:
        groups[WELL_STUDIED] = groups.pop(WELL_STUDIED)
    return groups


def _sequence_modality(token: str) -> str:
    name = TokenName.parse(token)
    if name.kind == NEIGHBOUR_PROFILE:
        return f"{name.target} of similar RNAs"
    return SEQUENCE_MODALITIES.get(token, token)


def model_for_row(model: SavedModel, row: int) -> tuple[FusionModel, bool]:
    """The final model on the tokens of one reference RNA, without the RNA's own label.

    Graph tower and kernel model do not read it (see `without_own_label`), and the extra trees are
    the out-of-bag ones.

    An extra tree with an RNA in its bootstrap sample holds the RNA's label in a leaf, and every
    feature on the path there would look like a reason. The samples are stored with the model, or
    reproduced from the seed for models saved without them. They are used only where the trees give
    the out-of-bag prediction that was stored when the model was fitted.

    Returns:
        The model, and whether its extra trees are the out-of-bag ones.
    """
    reference = reference_of(model)
    tokens = one_row(reference.tokens, row)
    fusion_model = replace(model.fusion_model(reference.tokens), tokens=tokens)
    if reference.trained[row]:
        fusion_model = without_own_label(fusion_model, reference.trained, row)
    is_trained = reference.trained[row] and EXTRA_TREES in fusion_model.trees
    if not is_trained or TREES not in tokens.sources:
        return fusion_model, False
    train = np.flatnonzero(reference.trained)
    seed = child_seed(fusion_model.config.seed, "final")
    out_of_bag = out_of_bag_model(fusion_model, reference, train, row, seed)
    if out_of_bag is not None:
        repredicted = _with_trees(out_of_bag, tokens)
        difference = repredicted.tokens[TREES].values - tokens[TREES].values
        if np.abs(difference).max() < TOLERANCE:
            return repredicted, True
    return _with_trees(fusion_model, tokens), False


def out_of_bag_model(
    fusion_model: FusionModel, reference: ReferenceRNAs, train: np.ndarray, row: int, seed: int
) -> FusionModel | None:
    """The model without the extra trees that have a training RNA in their bootstrap sample.

    Args:
        fusion_model: with extra trees.
        reference: the reference RNAs.
        train: rows that the model was trained on.
        row: one of them.
        seed: that the model was fitted with.

    Returns:
        None where every tree has the RNA in its sample, or the samples are of other trees.
    """
    forest = fusion_model.trees[EXTRA_TREES]
    config = fusion_model.config
    in_bag = fusion_model.in_bag
    trees: TreeArrays | None = None
    if reference.types is not None:
        network_types = reference.tokens[TYPE].values[: reference.n_network_rnas].argmax(axis=1)
        settings = trees_of_types(set(network_types), config)
        training = TypedTraining(
            reference.tokens, config.tokens.trees, reference.labels, train, settings, seed
        )
        trees = without_trees_of(forest, in_bag, training, row)
    else:
        if in_bag is None:
            in_bag = replay_in_bag(len(train), config.trees.n_trees, seed)
        if in_bag.shape == (len(forest.roots), len(train)):
            is_in_bag = in_bag[:, int(np.searchsorted(train, row))]
            trees = None if is_in_bag.all() else some_trees(forest, ~is_in_bag)
    if trees is None:
        return None
    return replace(fusion_model, trees={**fusion_model.trees, EXTRA_TREES: trees})


def occlude_modalities(
    fusion_model: FusionModel,
) -> tuple[dict[str, tuple[str, ...]], np.ndarray]:
    """Predict one RNA with all modalities, and without each of them.

    The tokens of a modality are made absent: masked in attention and zero for the trees, whose new
    prediction attention reads. Counts of partners and of similar RNAs are a modality of their own
    (`WELL_STUDIED`): they stay when a kind of association is masked.

    Args:
        fusion_model: on the tokens of one RNA (see `model_for_row`).

    Returns:
        Modality -> tokens; and probabilities, float64, shape (1 + n_modalities, n_labels), the
        first row with all modalities.
    """
    tokens = fusion_model.tokens
    groups = tokens_by_modality(fusion_model, tokens.sources)
    ids = ["everything", *(f"without {name}" for name in groups)]
    index = NodeIndex.of(ids, tokens.index.kinds[0])
    occluded = []
    for token in tokens:
        is_read = np.array([True, *(token.name not in group for group in groups.values())])
        present = is_read & token.present[0]
        values = np.where(present[:, None], token.values, 0).astype(np.float32)
        occluded.append(Token(token.name, values, present))
    occluded_model = _with_trees(fusion_model, TokenTable(index, tuple(occluded)))
    return groups, occluded_model.predict(np.arange(len(index)))


def modality_changes(
    groups: Mapping[str, tuple[str, ...]],
    tokens: TokenTable,
    probabilities: np.ndarray,
    column: int,
) -> tuple[Modality, ...]:
    """Changes of one compartment, the largest of the logit first, absent modalities last.

    Args:
        groups: of `occlude_modalities`.
        tokens: of the RNA.
        probabilities: of `occlude_modalities`.
        column: of the compartment.
    """
    of_column = probabilities[:, column]
    logits = logit(np.clip(of_column, 1e-12, 1 - 1e-12))
    values = np.stack([of_column, of_column - of_column[0], logits - logits[0]], axis=1).tolist()
    changes = []
    for number, (name, group) in enumerate(groups.items(), 1):
        present = any(bool(tokens[token].present[0]) for token in group)
        # an absent modality changes nothing, not even the last digit of a matrix product
        changes.append(Modality(name, present, group, *values[number if present else 0]))
    changes.sort(key=lambda modality: (not modality.present, -abs(modality.change_logit)))
    return tuple(changes)


def _with_trees(fusion_model: FusionModel, tokens: TokenTable) -> FusionModel:
    """The model on tokens whose ``trees`` are predicted anew from the others."""
    others = TokenTable(tokens.index, tuple(t for t in tokens if t.name != TREES))
    if EXTRA_TREES in fusion_model.trees:
        others = with_trees_token(others, fusion_model.trees[EXTRA_TREES], fusion_model.config)
    return replace(fusion_model, tokens=others)
