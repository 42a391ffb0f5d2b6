"""Occlusion: the whole model predicts one RNA again without each source or modality.

`effect_of` and `direction_of` are the only places that set the sign of an effect: text, figure and
JSON read `Effect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    NEAREST,
    NEIGHBOUR_PROFILE,
    NEIGHBOURS,
    SEQUENCE,
    TREES,
    TYPE,
    TokenName,
)
from fusion.tokens.table import Token, TokenTable
from mirnagraph.networks.build import DISEASE
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreeArrays, replay_in_bag

WELL_STUDIED = "how well studied"
"""Modality of the tokens that count partners and similar RNAs."""

TOLERANCE = 1e-3
"""Difference of logits up to which sums of the same trees in another order count as equal."""

FOR = "for"
AGAINST = "against"
NEITHER = "neither"

NEGLIGIBLE = 0.0005
"""Effect on the probability below which a source speaks for neither."""

TARGETS = "targets"
DISEASES = "diseases"
DRUGS = "drugs"
RELATIVES = "relatives"

SOURCES = {"mRNA": TARGETS, "target": TARGETS, DISEASE: DISEASES, "drug": DRUGS}
"""Modality, without what follows an underscore -> source; other modalities are their own."""

WORDS = {RELATIVES: "relatives (like in sequence)", "rbp": "RNA-binding proteins"}
"""Source -> plain words, where they differ."""

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
        change: of the probability, without it minus with it: below 0 it speaks for the compartment
            (the opposite sign of `Effect.effect`).
        change_logit: of the logit, likewise.
    """

    modality: str
    present: bool
    tokens: tuple[str, ...]
    probability: float
    change: float
    change_logit: float


@dataclass(frozen=True)
class Effect:
    """What one source adds to the prediction of a compartment.

    Attributes:
        source: name, such as `TARGETS`; several modalities may make one source.
        words: the source in plain words.
        present: whether the RNA has a token of it; without, the effect is 0.
        tokens: of the source, that the model reads.
        probability: without the source, in [0, 1].
        effect: probability with all sources minus that without this one: above 0 it speaks for the
            compartment, below 0 against it.
        effect_logit: of the logit, likewise.
        direction: `FOR`, `AGAINST` or, for a negligible effect, `NEITHER`.
    """

    source: str
    words: str
    present: bool
    tokens: tuple[str, ...]
    probability: float
    effect: float
    effect_logit: float
    direction: str


def effect_of(with_all: float, without: float) -> float:
    """Effect of a source: the prediction with it minus the one without it; above 0 it supports."""
    return with_all - without


def direction_of(effect: float) -> str:
    """`FOR`, `AGAINST` or `NEITHER`, of an effect on the probability."""
    if abs(effect) < NEGLIGIBLE:
        return NEITHER
    return FOR if effect > 0 else AGAINST


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


def tokens_by_source(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Source -> its tokens, in token order; `WELL_STUDIED` comes last.

    A source is what a reader would name: all kinds of targets together, all of diseases; labels and
    partners of RNAs with a similar sequence are `RELATIVES`, not the sequence. Redundant modalities
    that are masked one by one each look dispensable, and together do not.

    Args:
        names: the tokens; that of the trees and the RNA type are left out (see
            `tokens_by_modality`).
    """
    groups: dict[str, tuple[str, ...]] = {}
    for token in names:
        if token not in (TREES, TYPE):
            source = source_of(token)
            groups[source] = (*groups.get(source, ()), token)
    if WELL_STUDIED in groups:
        groups[WELL_STUDIED] = groups.pop(WELL_STUDIED)
    return groups


def source_of(token: str) -> str:
    """Source of a single token (see `tokens_by_source`)."""
    name = TokenName.parse(token)
    if name.kind == N_SIMILAR:
        return WELL_STUDIED
    modality = modality_of(token) or WELL_STUDIED
    is_label = name.kind in (NEIGHBOURS, NEAREST) and modality == SEQUENCE
    if is_label or name.kind == NEIGHBOUR_PROFILE:
        return RELATIVES
    return source_of_kind(modality)


def source_of_kind(modality: str) -> str:
    """Source of a modality or a kind of association."""
    return SOURCES.get(modality.partition("_")[0], modality)


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
    """Predict one RNA with all modalities, and without each of them (see `occlude`).

    Returns:
        Modality -> tokens; and the probabilities.
    """
    groups = tokens_by_modality(fusion_model, fusion_model.tokens.sources)
    return groups, occlude(fusion_model, list(groups.values()))


def occlude(fusion_model: FusionModel, groups: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Predict one RNA with all tokens, and without each group of them.

    The tokens of a group are made absent: masked in attention and zero for the trees, whose new
    prediction attention reads. Counts of partners and of similar RNAs are a group of their own
    (`WELL_STUDIED`): they stay when a kind of association is masked.

    Args:
        fusion_model: on the tokens of one RNA (see `model_for_row`).
        groups: names of tokens; a token may be in several groups.

    Returns:
        Probabilities, float64, shape (1 + n_groups, n_labels), the first row with all tokens.
    """
    tokens = fusion_model.tokens
    ids = ["everything", *(f"without {number}" for number in range(len(groups)))]
    index = NodeIndex.of(ids, tokens.index.kinds[0])
    occluded = []
    for token in tokens:
        is_read = np.array([True, *(token.name not in group for group in groups)])
        present = is_read & token.present[0]
        values = np.where(present[:, None], token.values, 0).astype(np.float32)
        occluded.append(Token(token.name, values, present))
    occluded_model = _with_trees(fusion_model, TokenTable(index, tuple(occluded)))
    return occluded_model.predict(np.arange(len(index)))


def source_effects(
    groups: Mapping[str, tuple[str, ...]],
    tokens: TokenTable,
    probabilities: np.ndarray,
    column: int,
) -> tuple[Effect, ...]:
    """Effects on one compartment, the largest first, absent sources last.

    Args:
        groups: of `tokens_by_source`.
        tokens: of the RNA.
        probabilities: of `occlude`, with the groups in the same order.
        column: of the compartment.
    """
    of_column = probabilities[:, column]
    logits = logit(np.clip(of_column, 1e-12, 1 - 1e-12))
    effects = []
    for number, (source, group) in enumerate(groups.items(), 1):
        present = any(bool(tokens[token].present[0]) for token in group)
        # an absent source changes nothing, not even the last digit of a matrix product
        without = number if present else 0
        effect = effect_of(float(of_column[0]), float(of_column[without]))
        effect_logit = effect_of(float(logits[0]), float(logits[without]))
        effects.append(
            Effect(
                source,
                WORDS.get(source, source.replace("_", " ")),
                present,
                group,
                float(of_column[without]),
                effect,
                effect_logit,
                direction_of(effect),
            )
        )
    effects.sort(key=lambda of: (not of.present, -abs(of.effect)))
    return tuple(effects)


def modality_changes(
    groups: Mapping[str, tuple[str, ...]],
    tokens: TokenTable,
    probabilities: np.ndarray,
    column: int,
) -> tuple[Modality, ...]:
    """Changes without each modality, the largest of the logit first, absent modalities last.

    Args:
        groups: of `occlude_modalities`.
        tokens: as in `source_effects`.
        probabilities: likewise.
        column: likewise.
    """
    effects = source_effects(groups, tokens, probabilities, column)
    ranked = sorted(effects, key=lambda of: (not of.present, -abs(of.effect_logit)))
    changes = []
    for of in ranked:
        change = 0.0 - of.effect
        change_logit = 0.0 - of.effect_logit
        changes.append(
            Modality(of.source, of.present, of.tokens, of.probability, change, change_logit)
        )
    return tuple(changes)


def _with_trees(fusion_model: FusionModel, tokens: TokenTable) -> FusionModel:
    """The model on tokens whose ``trees`` are predicted anew from the others."""
    others = TokenTable(tokens.index, tuple(t for t in tokens if t.name != TREES))
    if EXTRA_TREES in fusion_model.trees:
        others = with_trees_token(others, fusion_model.trees[EXTRA_TREES], fusion_model.config)
    return replace(fusion_model, tokens=others)
