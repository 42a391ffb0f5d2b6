"""One RNA as a model answers for it, and what the answer becomes without each modality: no approximation, the whole model is asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from fusion.explain_trees import some_trees
from fusion.known import KnownRNAs
from fusion.learner import EXTRA_TREES, Learner, trees_of_types, trees_token
from fusion.model_files import SavedModel
from fusion.newcomers import KMER, reads_sequence_alone
from fusion.predict import modality_of
from fusion.problem import NEIGHBOURS, SEQUENCE, TREES
from fusion.sequence_join import ALIKE, TRANSFER
from fusion.tokens import Token, TokenTable
from fusion.typed_trees import TYPE, without_trees_of
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import replay_in_bag

WELL_STUDIED = "how well studied"
CLOSE = 1e-3
"""Difference of logits up to which two sums of the same trees in another order count as equal."""
OF_THE_SEQUENCE = {KMER: "words", ALIKE: "number of relatives", NEIGHBOURS + SEQUENCE: "compartments of relatives"}


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


def grouped(learner: Learner, names: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Modality -> its tokens, in token order; what the trees say belongs to all modalities and to none.

    In a model for sequences alone, where everything is told by the sequence, the modalities are what is read off it.

    Args:
        names: the tokens (see `TokenTable.sources`).
    """
    name_of: Callable[[str], str] = _read_off_the_sequence if reads_sequence_alone(learner.config) else lambda token: modality_of(token) or WELL_STUDIED
    found: dict[str, list[str]] = {}
    for token in names:
        if token not in (TREES, TYPE):  # without its type an RNA would be read by no trees at all
            found.setdefault(name_of(token), []).append(token)
    last = found.pop(WELL_STUDIED, None)
    return {name: tuple(tokens) for name, tokens in found.items()} | ({WELL_STUDIED: tuple(last)} if last else {})


def answering(model: SavedModel, row: int) -> tuple[Learner, bool]:
    """The final model on the tokens of one known RNA, and whether its extra trees are those alone that did not draw this RNA.

    An extra tree that drew an RNA holds its label in a leaf of its own, and every feature on the way there would look like a reason. Which trees
    drew it is kept with the model (models saved without have it reproduced from the seed), and believed only where they say what was kept of the
    RNA out-of-bag when the model was fitted.
    """
    assert model.known is not None
    known = model.known
    learner = replace(model.learner(known.tokens), tokens=one_row(known.tokens, row))
    if not known.trained[row] or EXTRA_TREES not in learner.trees:
        return learner, False
    kept = learner.tokens[TREES].values if TREES in learner.tokens.sources else None
    unseen = without_own_trees(learner, known, np.flatnonzero(known.trained), row, child_seed(learner.config.seed, "final"))
    if kept is None:
        return learner, False
    if unseen is None:
        return _with_trees(learner, learner.tokens), False
    again = _with_trees(unseen, unseen.tokens)
    return (again, True) if np.abs(again.tokens[TREES].values - kept).max() < CLOSE else (_with_trees(learner, learner.tokens), False)


def without_own_trees(learner: Learner, known: KnownRNAs, train: np.ndarray, row: int, seed: int) -> Learner | None:
    """The same model with those extra trees alone that did not draw a training RNA; None where all did.

    Args:
        train: rows that it learned from. seed: that it was fitted with.
    """
    forest, config = learner.trees[EXTRA_TREES], learner.config
    if known.types is not None:
        types = known.tokens[TYPE].values
        settings = trees_of_types(set(types[: known.n_home].argmax(axis=1)), config)
        left = without_trees_of(forest, learner.in_bag, known.tokens, config.tokens.trees, known.labels, train, settings, seed, row)
        return None if left is None else replace(learner, trees={**learner.trees, EXTRA_TREES: left})
    in_bag = learner.in_bag
    if in_bag is None:
        in_bag = replay_in_bag(len(train), config.trees.n_trees, seed)
    if in_bag.shape != (len(forest.roots), len(train)):
        return None
    drawn = in_bag[:, int(np.searchsorted(train, row))]
    if drawn.all():
        return None
    return replace(learner, trees={**learner.trees, EXTRA_TREES: some_trees(forest, ~drawn)})


def without_each(learner: Learner) -> tuple[dict[str, tuple[str, ...]], np.ndarray]:
    """Answers for one RNA with everything, and without each modality.

    A modality is taken away by making its tokens absent: hidden from attention, zeros for the trees, and what the trees then say is what attention
    reads of them. Counts of partners, of relatives and the like are a modality of their own: they stay when a kind of association goes.

    Args:
        learner: with the tokens of one RNA (see `answering`).

    Returns:
        Modality -> tokens; and probabilities, float64, shape (1 + number of modalities, n_labels), the first row with everything.
    """
    tokens, groups = learner.tokens, grouped(learner, learner.tokens.sources)
    index = NodeIndex.of(["everything", *(f"without {name}" for name in groups)], tokens.index.kinds[0])
    parts = []
    for token in tokens:
        kept = np.array([True, *(token.name not in group for group in groups.values())])
        there = kept & token.present[0]
        parts.append(Token(token.name, np.where(there[:, None], token.values, 0).astype(np.float32), there))
    asked = _with_trees(learner, TokenTable(index, tuple(parts)))
    return groups, asked.predict(np.arange(len(index)))


def modality_changes(groups: Mapping[str, tuple[str, ...]], tokens: TokenTable, said: np.ndarray, column: int) -> tuple[Modality, ...]:
    """What `without_each` found for one compartment, the largest change of the logit first, absent modalities last."""
    logits = logit(np.clip(said[:, column], 1e-12, 1 - 1e-12))
    found = []
    for number, (name, group) in enumerate(groups.items(), 1):
        there = any(bool(tokens[token].present[0]) for token in group)
        row = number if there else 0  # what is not there changes nothing, not even a last digit by the row of a matrix product
        found.append(Modality(name, there, group, float(said[row, column]), float(said[row, column] - said[0, column]), float(logits[row] - logits[0])))
    return tuple(sorted(found, key=lambda one: (not one.present, -abs(one.change_logit))))


def _with_trees(learner: Learner, tokens: TokenTable) -> Learner:
    """The model on tokens whose ``trees`` are what its extra trees say of the others."""
    others = TokenTable(tokens.index, tuple(t for t in tokens if t.name != TREES))
    if EXTRA_TREES not in learner.trees:
        return replace(learner, tokens=others)
    said = np.clip(learner.trees[EXTRA_TREES](others.flat(learner.config.tokens.trees)), 0, 1)
    return replace(learner, tokens=others + trees_token(tokens.index, said))


def _read_off_the_sequence(token: str) -> str:
    if token.startswith(TRANSFER):
        return f"{token.removeprefix(TRANSFER)} of relatives"
    return OF_THE_SEQUENCE.get(token, token)
