"""Kinds of tokens on a dataset: accepted targets, expansion of names, and modalities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pandas as pd

from fusion.tokens.evidence import report_column
from fusion.tokens.names import (
    ANY,
    BY_SIMILARITY,
    CO_REPORTED,
    EXPRESSION,
    JOINT_GRAPH,
    MATURE,
    NEIGHBOURS,
    SEQUENCE,
    TokenName,
    join_names,
    parse_joined,
)
from fusion.tokens.partners import kinds_with_sequences
from fusion.tokens.table import TOKENS, Target, TokenKind, token_kind
from mirnagraph.errors import ConfigError
from mirnagraph.measurements import default_names
from mirnagraph.networks.build import DISEASE
from mirnagraph.networks.network import COEXPRESSION, NetworkSet

MODALITIES = {
    "functional": DISEASE,
    "semantic": DISEASE,
    "gip": DISEASE,
    COEXPRESSION: EXPRESSION,
    MATURE: SEQUENCE,
}
"""Similarity of RNAs -> modality of what it is made of."""

NEIGHBOURS_KIND = TokenKind(accepts=Target.SIMILARITY, is_from_sequence=True)
NEAREST_KIND = TokenKind(accepts=Target.SIMILARITY)
NEIGHBOUR_PROFILE_KIND = TokenKind(accepts=Target.ASSOCIATION_NETWORK, is_from_sequence=True)
PARTNER_LABELS_KIND = TokenKind(accepts=Target.ASSOCIATION)
SEQUENCE_KIND = TokenKind(modality=SEQUENCE)
TREES_KIND = TokenKind(modality="", is_from_sequence=True)

MEASURE_TARGETS = {"gip": Target.ASSOCIATION_NETWORK, CO_REPORTED: Target.REPORTED}
"""Targets of measures of ``neighbours`` that not every kind of association has."""


def binary_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold nothing but 0 and 1."""
    numeric = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c])]
    return [str(column) for column in numeric if table[column].isin([0, 1]).all()]


def check_name(name: TokenName) -> None:
    """Check the kind of a token name, and that it has a target where its kind needs one.

    Raises:
        ConfigError: an unknown kind (with the nearest name), a missing or a needless target.
    """
    TOKENS.check(name.kind)
    target = accepts(name)
    if target is Target.NOTHING and name.target:
        raise ConfigError(f"found token '{name}', expected {name.kind!r}, which has no target")
    if target is not Target.NOTHING and not name.target:
        raise ConfigError(
            f"found token '{name}', expected '{name.kind}:' followed by a {target.value}"
        )


def accepts(name: TokenName) -> Target:
    """What the target of a token may be."""
    if name.measure:
        return MEASURE_TARGETS.get(name.measure, Target.ASSOCIATION)
    return token_kind(name.kind).accepts


def accepted_targets(networks: NetworkSet, name: TokenName) -> list[str]:
    """Targets that ``*`` stands for, in the order of the dataset; supporting kinds too.

    Of networks those of associations only, also where a similarity network may be named; of
    measurements not the label-like ones, which have to be named.
    """
    dataset = networks.dataset
    target = accepts(name)
    if target is Target.NOTHING:
        return [""] if _has_target(networks, name) else []
    if target in (Target.NETWORK, Target.ASSOCIATION_NETWORK):
        return [n for n, network in networks.networks.items() if not network.is_similarity]
    if target is Target.REPORTED:
        return [kind for kind, table in dataset.associations.items() if report_column(table)]
    if target is Target.PARTNER_SEQUENCES:
        return kinds_with_sequences(dataset)
    if target is Target.MEASUREMENT and name.target == ANY:
        return default_names(dataset.measurements)
    if target is Target.PARTNER_COLUMNS:
        return [kind for kind, table in dataset.partners.items() if binary_columns(table)]
    return _nameable(networks, target)


def expand_tokens(networks: NetworkSet, names: Sequence[str]) -> tuple[str, ...]:
    """Expand ``*`` and ``?`` of token names for one dataset, and replace older names.

    In a joined token the ``*`` of all parts is one target: ``svd:*+evidence:*`` gives one token
    per kind of association, of the parts it has.

    Raises:
        ConfigError: not a token name, an unknown kind, or ``*`` in some parts of a token only.
    """
    expanded = [_expand(networks, text) for text in names]
    return tuple(dict.fromkeys(chain.from_iterable(expanded)))


def _expand(networks: NetworkSet, text: str) -> list[str]:
    parts = parse_joined(text)
    for part in parts:
        check_name(part)
    n_starred = sum(part.target == ANY for part in parts)
    if n_starred not in (0, len(parts)):
        raise ConfigError(f"token {text!r}: either all joined parts end in '*' or none")
    choices = [part.expand(accepted_targets(networks, part)) for part in parts]
    if n_starred == 0:
        is_complete = all(choices)
        return [join_names([choice[0] for choice in choices])] if is_complete else []
    joined = []
    dataset = networks.dataset
    targets = [*dataset.associations, *networks.similarities, *dataset.measurements]
    for target in dict.fromkeys(targets):
        same = [name for choice in choices for name in choice if name.target == target]
        if same:
            joined.append(join_names(same))
    return joined


def can_be_made(networks: NetworkSet, text: str) -> bool:
    """Whether the networks hold what a token reads."""
    return all(_has_target(networks, part) for part in parse_joined(text))


def _has_target(networks: NetworkSet, name: TokenName) -> bool:
    kind = token_kind(name.kind)
    if kind.needs_reads or str(name) == JOINT_GRAPH:
        return bool(kind.reads(networks, name))
    target = accepts(name)
    if target is Target.NOTHING:
        return True
    if name.kind in BY_SIMILARITY and name.similarity in _similarities(networks):
        return True
    return name.target in _nameable(networks, target)


def _nameable(networks: NetworkSet, target: Target) -> list[str]:
    """What a token may name as its target, whether or not it can be made."""
    if target is Target.SIMILARITY:
        return _similarities(networks)
    if target is Target.NETWORK:
        return list(networks.networks)
    if target is Target.MEASUREMENT:
        return list(networks.dataset.measurements)
    return list(networks.dataset.associations)


def _similarities(networks: NetworkSet) -> list[str]:
    """Stored similarities, and that of mature sequences where the dataset has any."""
    matures = networks.dataset.rnas.get("matures")
    has_matures = matures is not None and matures.fillna("").astype(bool).any()
    return [*networks.similarities, *([MATURE] if has_matures else [])]


def is_changed(networks: NetworkSet, reduced: NetworkSet, text: str) -> bool:
    """Whether a token reads something, other than its target, that the reduced networks lack."""
    for name in parse_joined(text):
        reads = token_kind(name.kind).reads
        if list(reads(networks, name)) != list(reads(reduced, name)):
            return True
    return False


def require_target(networks: NetworkSet, name: TokenName) -> None:
    """Check that the networks hold what a token reads.

    Raises:
        ConfigError: they do not, with the targets they have.
    """
    if _has_target(networks, name):
        return
    target = accepts(name)
    if target is Target.NOTHING:
        needs = token_kind(name.kind).needs
        raise ConfigError(f"token '{name}' needs {needs}; the dataset has none")
    kinds = (Target.NETWORK, Target.SIMILARITY, Target.MEASUREMENT)
    what = target.value if target in kinds else "associations of kind"
    available = ", ".join(_nameable(networks, target))
    raise ConfigError(f"token '{name}': no {what} {name.target!r}; available: {available}")


def modality_of(text: str) -> str:
    """Modality of a single token.

    Returns:
        ``"sequence"``, ``"disease"``, another kind of association, ``"networks"`` for an encoder
        of all networks, the modality that the entry of an outside kind states (its own name where
        it states none), or empty for a token that belongs to no modality.
    """
    name = TokenName.parse(text)
    if str(name) == JOINT_GRAPH:
        return "networks"
    modality = token_kind(name.kind).modality if name.kind in TOKENS else name.kind
    if modality is not None:
        return modality
    return MODALITIES.get(name.target, name.target)


def is_from_sequence(text: str) -> bool:
    """Whether a token can be made for a new RNA from its sequence and the reference RNAs."""
    name = TokenName.parse(text)
    if name.kind not in TOKENS or not token_kind(name.kind).is_from_sequence:
        return False
    return name.kind != NEIGHBOURS or name.similarity == SEQUENCE
