"""New RNAs of a type that a model of several sets learned, e.g. a long RNA: all tokens of networks are absent, and the same model answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion.guests import KMER, guest_descriptors
from fusion.known import KnownRNAs
from fusion.learner import EXTRA_TREES, Learner, trees_token
from fusion.modalities import kmer_frequencies, type_codes
from fusion.newcomers import unusual_words
from fusion.problem import DESCRIPTORS, TREES
from fusion.tokens import Token, TokenTable, make_token
from fusion.tower import TOWER
from fusion.typed_trees import TYPE
from mirnagraph.errors import ConfigError
from mirnagraph.nodes import NodeIndex


def check_type(known: KnownRNAs, rna_type: str) -> None:
    """Raise ConfigError for a type that no RNA of another set than the networks' had."""
    learned = sorted(set(known.types or ()) - {""})
    if rna_type not in learned:
        of = f"RNAs of type {', '.join(learned)}" if learned else "the networks' RNAs alone"
        hint = "; RNAs such as the networks hold need no --rna-type"
        raise ConfigError(f"the model learned of no RNA of type {rna_type!r} beside the networks': it knows {of}{hint}")


def typed_tokens(index: NodeIndex, sequences: Sequence[str], rna_type: str, known: KnownRNAs, learner: Learner) -> TokenTable:
    """Everything that a model of several sets reads of new RNAs of one type.

    Args:
        sequences: upper-case ACGUN.
        learner: the model, of any tokens.
    """
    types = (rna_type,) * len(sequences)
    made = {TYPE: type_codes(types), KMER: kmer_frequencies(sequences)}
    found: list[Token] = []
    for token in known.tokens:
        if token.name == DESCRIPTORS:
            found.append(make_token(token.name, guest_descriptors(tuple(sequences), types)))
        elif token.name in made:
            found.append(make_token(token.name, made[token.name], np.ones(len(sequences), dtype=bool)))
        elif token.name == TOWER and learner.towers is not None:
            found.append(learner.towers.token(sequences))
        elif token.name != TREES:
            found.append(Token(token.name, np.zeros((len(sequences), token.width), dtype=np.float32), np.zeros(len(sequences), dtype=bool)))
    tokens = TokenTable(index, tuple(found))
    if TREES not in known.tokens.sources:
        return tokens
    said = np.clip(learner.trees[EXTRA_TREES](tokens.flat(learner.config.tokens.trees)), 0, 1)
    return TokenTable(index, (*tokens.tokens, *trees_token(index, said).tokens)).select([token.name for token in known.tokens])


def typed_warnings(sequences: Sequence[str], rna_type: str, known: KnownRNAs) -> list[str]:
    """Per new RNA why its answer should be doubted: longer or shorter than all of its type that were learned from, or made of unusual words."""
    rows = [row for row, name in enumerate(known.types or ()) if name == rna_type and known.trained[row]]
    lengths = [len(str(known.sequences[row])) for row in rows]
    kept = known.tokens[KMER].values[rows] if KMER in known.tokens.sources else kmer_frequencies([known.sequences[row] for row in rows])
    found = []
    for sequence, unusual in zip(sequences, unusual_words(sequences, kept), strict=True):
        reasons = [] if min(lengths) <= len(sequence) <= max(lengths) else [f"{len(sequence)} nt, learned from {min(lengths)} to {max(lengths)} nt"]
        found.append("; ".join([*reasons, *(["made of unusual words"] if unusual else [])]))
    return found
