"""One RNA as a model answers for it, and what the answer becomes without each modality: no approximation, the whole model is asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from fusion.explain.tokens import some_trees
from fusion.models.ensemble import EXTRA_TREES, FusionModel, trees_of_types, trees_token
from fusion.models.new_rnas import reads_sequence_alone
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from fusion.models.typed_trees import without_trees_of
from fusion.tokens.names import (
    KMER,
    N_SIMILAR,
    NEIGHBOURS,
    SEQUENCE,
    TRANSFER,
    TREES,
    TYPE,
    modality_of,
)
from fusion.tokens.table import Token, TokenTable
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import replay_in_bag

WELL_STUDIED = "how well studied"

CLOSE = 1e-3
"""Difference of logits up to which two sums of the same trees in another order count as equal."""

OF_THE_SEQUENCE = {
    KMER: "words",
    N_SIMILAR: "number of relatives",
    NEIGHBOURS + SEQUENCE: "compartments of relatives",
}


@dataclass(frozen=True)
class Modality:
    """What a compartment's answer becomes without one modality.

    Attributes:
        present: whether there is anything of it to read; without, nothing changes.
        tokens: what the model reads of it.
        probability: without it, in [0, 1]. change, change_logit: the answer without it minus the answer with it.
    """

    modality: str
    present: bool
    tokens: tuple[str, ...]
    probability: float
    change: float
    change_logit: float


def one_row(tokens: TokenTable, row: int) -> TokenTable:
    """The tokens of a single RNA."""
    chosen = tuple(Token(t.name, t.values[[row]], t.present[[row]]) for t in tokens)
    return TokenTable(NodeIndex.of([tokens.index.ids[row]], tokens.index.kinds[0]), chosen)


def grouped(fusion_model: FusionModel, names: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Modality -> its tokens, in token order; what the trees say belongs to all modalities and to none.

    In a model for sequences alone, where everything is told by the sequence, the modalities are what is read off it.

    Args:
        names: the tokens (see `TokenTable.sources`).
    """
    name_of: Callable[[str], str] = (
        _read_off_the_sequence
        if reads_sequence_alone(fusion_model.config)
        else lambda token: modality_of(token) or WELL_STUDIED
    )
    found: dict[str, list[str]] = {}
    for token in names:
        if token not in (TREES, TYPE):  # without its type an RNA would be read by no trees at all
            found.setdefault(name_of(token), []).append(token)
    last = found.pop(WELL_STUDIED, None)
    return {name: tuple(tokens) for name, tokens in found.items()} | (
        {WELL_STUDIED: tuple(last)} if last else {}
    )


def answering(model: SavedModel, row: int) -> tuple[FusionModel, bool]:
    """The final model on the tokens of one known RNA, and whether its extra trees are those alone that did not draw this RNA.

    An extra tree that drew an RNA holds its label in a leaf of its own, and every feature on the way there would look like a reason. Which trees
    drew it is kept with the model (models saved without have it reproduced from the seed), and believed only where they say what was kept of the
    RNA out-of-bag when the model was fitted.
    """
    assert model.reference is not None
    known = model.reference
    fusion_model = replace(model.fusion_model(known.tokens), tokens=one_row(known.tokens, row))
    if not known.trained[row] or EXTRA_TREES not in fusion_model.trees:
        return fusion_model, False
    kept = fusion_model.tokens[TREES].values if TREES in fusion_model.tokens.sources else None
    unseen = without_own_trees(
        fusion_model,
        known,
        np.flatnonzero(known.trained),
        row,
        child_seed(fusion_model.config.seed, "final"),
    )
    if kept is None:
        return fusion_model, False
    if unseen is None:
        return _with_trees(fusion_model, fusion_model.tokens), False
    again = _with_trees(unseen, unseen.tokens)
    return (
        (again, True)
        if np.abs(again.tokens[TREES].values - kept).max() < CLOSE
        else (_with_trees(fusion_model, fusion_model.tokens), False)
    )


def without_own_trees(
    fusion_model: FusionModel, known: ReferenceRNAs, train: np.ndarray, row: int, seed: int
) -> FusionModel | None:
    """The same model with those extra trees alone that did not draw a training RNA; None where all did.

    Args:
        train: rows that it learned from. seed: that it was fitted with.
    """
    forest = fusion_model.trees[EXTRA_TREES]
    config = fusion_model.config
    if known.types is not None:
        types = known.tokens[TYPE].values
        settings = trees_of_types(set(types[: known.n_network_rnas].argmax(axis=1)), config)
        left = without_trees_of(
            forest,
            fusion_model.in_bag,
            known.tokens,
            config.tokens.trees,
            known.labels,
            train,
            settings,
            seed,
            row,
        )
        return (
            None
            if left is None
            else replace(fusion_model, trees={**fusion_model.trees, EXTRA_TREES: left})
        )
    in_bag = fusion_model.in_bag
    if in_bag is None:
        in_bag = replay_in_bag(len(train), config.trees.n_trees, seed)
    if in_bag.shape != (len(forest.roots), len(train)):
        return None
    drawn = in_bag[:, int(np.searchsorted(train, row))]
    if drawn.all():
        return None
    return replace(
        fusion_model, trees={**fusion_model.trees, EXTRA_TREES: some_trees(forest, ~drawn)}
    )


def without_each(fusion_model: FusionModel) -> tuple[dict[str, tuple[str, ...]], np.ndarray]:
    """Answers for one RNA with everything, and without each modality.

    A modality is taken away by making its tokens absent: hidden from attention, zeros for the trees, and what the trees then say is what attention
    reads of them. Counts of partners, of relatives and the like are a modality of their own: they stay when a kind of association goes.

    Args:
        learner: with the tokens of one RNA (see `answering`).

    Returns:
        Modality -> tokens; and probabilities, float64, shape (1 + number of modalities, n_labels), the first row with everything.
    """
    tokens = fusion_model.tokens
    groups = grouped(fusion_model, fusion_model.tokens.sources)
    index = NodeIndex.of(
        ["everything", *(f"without {name}" for name in groups)], tokens.index.kinds[0]
    )
    parts = []
    for token in tokens:
        kept = np.array([True, *(token.name not in group for group in groups.values())])
        there = kept & token.present[0]
        parts.append(
            Token(token.name, np.where(there[:, None], token.values, 0).astype(np.float32), there)
        )
    asked = _with_trees(fusion_model, TokenTable(index, tuple(parts)))
    return groups, asked.predict(np.arange(len(index)))


def modality_changes(
    groups: Mapping[str, tuple[str, ...]], tokens: TokenTable, said: np.ndarray, column: int
) -> tuple[Modality, ...]:
    """What `without_each` found for one compartment, the largest change of the logit first, absent modalities last."""
    logits = logit(np.clip(said[:, column], 1e-12, 1 - 1e-12))
    found = []
    for number, (name, group) in enumerate(groups.items(), 1):
        there = any(bool(tokens[token].present[0]) for token in group)
        row = (
            number if there else 0
        )  # what is not there changes nothing, not even a last digit by the row of a matrix product
        found.append(
            Modality(
                name,
                there,
                group,
                float(said[row, column]),
                float(said[row, column] - said[0, column]),
                float(logits[row] - logits[0]),
            )
        )
    return tuple(sorted(found, key=lambda one: (not one.present, -abs(one.change_logit))))


def _with_trees(fusion_model: FusionModel, tokens: TokenTable) -> FusionModel:
    """The model on tokens whose ``trees`` are what its extra trees say of the others."""
    others = TokenTable(tokens.index, tuple(t for t in tokens if t.name != TREES))
    if EXTRA_TREES not in fusion_model.trees:
        return replace(fusion_model, tokens=others)
    said = np.clip(
        fusion_model.trees[EXTRA_TREES](others.flat(fusion_model.config.tokens.trees)), 0, 1
    )
    return replace(fusion_model, tokens=others + trees_token(tokens.index, said))


def _read_off_the_sequence(token: str) -> str:
    if token.startswith(TRANSFER):
        return f"{token.removeprefix(TRANSFER)} of relatives"
    return OF_THE_SEQUENCE.get(token, token)
