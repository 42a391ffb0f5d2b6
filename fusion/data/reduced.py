"""Networks and settings of a model without some of their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from fusion.config import ExperimentConfig
from fusion.tokens.kinds import MODALITIES
from fusion.tokens.names import TREES
from mirnagraph.networks.build import DISEASE, coexpression_source
from mirnagraph.networks.network import COEXPRESSION, NetworkSet

Value = TypeVar("Value")


def reduced_networks(networks: NetworkSet, name: str) -> NetworkSet:
    """Remove one network, kind of association or measurement; nothing for the empty name.

    A kind of association is removed with its tables, its network, and, for diseases, with the
    similarities derived from them (``functional``, ``semantic``, ``gip``). A similarity network is
    removed with the dense similarity of its name. A measurement is removed with the co-expression
    that was made of it.
    """
    if not name:
        return networks
    dataset = networks.dataset
    removed = {name}
    if name in dataset.associations:
        dataset = replace(
            dataset,
            associations=_without(dataset.associations, removed),
            partners=_without(dataset.partners, removed),
            supporting=tuple(kind for kind in dataset.supporting if kind != name),
        )
        if name == DISEASE:
            removed |= {other for other, source in MODALITIES.items() if source == DISEASE}
    if name in dataset.measurements:
        if name == coexpression_source(networks):
            removed.add(COEXPRESSION)
        dataset = replace(dataset, measurements=_without(dataset.measurements, removed))
    return replace(
        networks,
        dataset=dataset,
        networks=_without(networks.networks, removed),
        similarities=_without(networks.similarities, removed),
    )


def _without(table: Mapping[str, Value], names: set[str]) -> dict[str, Value]:
    return {name: value for name, value in table.items() if name not in names}


def all_tokens(config: ExperimentConfig) -> tuple[str, ...]:
    """Tokens that attention, trees and the kernel model read, each once."""
    names = (*config.tokens.attention, *config.tokens.trees, *config.kernel.tokens)
    return tuple(dict.fromkeys(names))


def without_tokens(config: ExperimentConfig, left_out: Sequence[str]) -> ExperimentConfig | None:
    """Settings without some tokens, in all parts; None where none is left."""
    attention = [token for token in config.tokens.attention if token not in left_out]
    trees = [token for token in config.tokens.trees if token not in left_out]
    kernel = config.kernel.with_tokens(lambda names: [n for n in names if n not in left_out])
    return with_tokens(replace(config, kernel=kernel), attention, trees)


def with_tokens(
    config: ExperimentConfig, attention: Sequence[str], trees: Sequence[str]
) -> ExperimentConfig | None:
    """Settings with other tokens; None where no token is left.

    Without trees the token `trees` and the residual connection are dropped.
    """
    attention = tuple(dict.fromkeys(token for token in attention if trees or token != TREES))
    if not attention and not trees and not config.kernel.blocks:
        return None
    tokens = replace(config.tokens, attention=attention, trees=tuple(dict.fromkeys(trees)))
    has_residual = config.attention.residual and bool(trees)
    return replace(
        config, tokens=tokens, attention=replace(config.attention, residual=has_residual)
    )
