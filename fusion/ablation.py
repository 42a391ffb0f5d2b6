"""Variants of a model with one part taken out: what is left of its settings and of its data (GTMALoc 2025, Fig. 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fusion.embeddings import JOINT_GRAPH
from fusion.problem import NEIGHBOURS, TREES, resolve_tokens
from fusion.settings import ExperimentConfig
from mirnagraph.networks.build import DISEASE
from mirnagraph.networks.types import NetworkSet

FULL = "full"
HEADS = (2, 4, 8)
GRAPH, NODE2VEC = "graph_transformer:", "node2vec:"  # starts of token names
OF_DISEASES = ("functional", "semantic", "gip")
PARTS = ("graph-transformer", "attention")


@dataclass(frozen=True)
class Variant:
    """One variant of a model.

    Attributes:
        name: also that of its folder, e.g. ``"without-disease"``.
        what: what was done to the full model, in words.
        config: its settings; None where the variant does not apply.
        without: network or kind of association that is taken out of the data, or empty.
        left_out: tokens of the full model that are gone.
        rebuilt: tokens that are made anew without what was taken out.
        reason: why it does not apply, or empty.
        is_full: the full model is this variant already, so that nothing is trained.
    """

    name: str
    what: str
    config: ExperimentConfig | None = None
    without: str = ""
    left_out: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    reason: str = ""
    is_full: bool = False


def variants_of(networks: NetworkSet, config: ExperimentConfig) -> tuple[Variant, ...]:
    """All variants of a model, the full one first; those that do not apply to it say why.

    Args:
        config: any settings; wildcards of tokens are resolved here.
    """
    config = resolve_tokens(networks, config)
    names = list(dict.fromkeys((*networks.networks, *networks.dataset.associations)))
    found = [Variant(FULL, f"preset {config.preset} as it is", config)]
    found += [_without_network(networks, config, name) for name in names]
    found += [_without_graph_transformer(networks, config), _without_attention(config), _trees_alone(config), _attention_alone(config)]
    return (*found, *(_heads(config, n) for n in HEADS))


def reduced_networks(networks: NetworkSet, name: str) -> NetworkSet:
    """The networks as if the named one had never been there; nothing for the empty name.

    A kind of association goes with its tables, its network, and, for diseases, with the similarities made of them (``functional``, ``semantic``,
    ``gip``). A similarity network goes with the dense similarity of its name.
    """
    if not name:
        return networks
    dataset, gone = networks.dataset, {name}
    if name in dataset.associations:
        dataset = replace(
            dataset,
            associations={kind: table for kind, table in dataset.associations.items() if kind != name},
            partners={kind: table for kind, table in dataset.partners.items() if kind != name},
            supporting=tuple(kind for kind in dataset.supporting if kind != name),
        )
        gone |= set(OF_DISEASES) if name == DISEASE else set()
    return replace(
        networks,
        dataset=dataset,
        networks={n: network for n, network in networks.networks.items() if n not in gone},
        similarities={n: array for n, array in networks.similarities.items() if n not in gone},
    )


def can_be_made(networks: NetworkSet, token: str) -> bool:
    """Whether what a token reads is there (see `fusion.modalities.build_tokens` and `fusion.neighbours.neighbour_similarity`)."""
    kind, _, of = token.partition(":")
    if f"{kind}:" == NEIGHBOURS:
        return of in networks.similarities or of.partition("_")[2] in networks.dataset.associations
    if kind == "svd_similarity":
        return of in networks.similarities
    if kind == "degree":
        return any(not network.is_similarity for network in networks.networks.values())
    if token == JOINT_GRAPH:
        return bool(networks.networks)
    if not of:
        return True
    return of in (networks.dataset.associations if kind in ("evidence", "reports", "weighted", "partners", "partner_sequences") else networks.networks)


def _is_rebuilt(networks: NetworkSet, fewer: NetworkSet, name: str, token: str) -> bool:
    """Whether a token that is still there reads several things, one of which was taken out."""
    if token == "degree":
        return name in networks.networks and not networks[name].is_similarity
    if token == "relatives":
        return name in networks.dataset.associations
    if token == JOINT_GRAPH:
        return list(fewer.networks) != list(networks.networks)
    return token.startswith(GRAPH) and ("functional" in networks.similarities) and "functional" not in fewer.similarities


def _without_network(networks: NetworkSet, config: ExperimentConfig, name: str) -> Variant:
    called = f"without-network-{name}" if name in PARTS else f"without-{name}"
    fewer, tokens = reduced_networks(networks, name), _all_tokens(config)
    left_out = tuple(token for token in tokens if not can_be_made(fewer, token))
    rebuilt = tuple(token for token in tokens if token not in left_out and _is_rebuilt(networks, fewer, name, token))
    what = f"the data hold no {name}" + (" and no similarity made of it" if name == DISEASE else "")
    if not left_out and not rebuilt:
        return Variant(called, what, reason="no token reads it")
    kept = _with_tokens(config, *([t for t in part if t not in left_out] for part in (config.tokens.attention, config.tokens.trees)))
    if kept is None:
        return Variant(called, what, reason="no token is left without it")
    return Variant(called, what, kept, name, left_out, rebuilt)


def _all_tokens(config: ExperimentConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*config.tokens.attention, *config.tokens.trees)))


def _with_tokens(config: ExperimentConfig, attention: Sequence[str], trees: Sequence[str]) -> ExperimentConfig | None:
    """Settings with other tokens. Without trees there is nothing they say, and nothing for attention to start from; None where no token is left."""
    heard = tuple(dict.fromkeys(t for t in attention if trees or t != TREES))
    if not heard and not trees:
        return None
    tokens = replace(config.tokens, attention=heard, trees=tuple(dict.fromkeys(trees)))
    return replace(config, tokens=tokens, attention=replace(config.attention, residual=config.attention.residual and bool(trees)))


def _without_graph_transformer(networks: NetworkSet, config: ExperimentConfig) -> Variant:
    what = "each graph transformer token is replaced by node2vec of the same network"
    gone = tuple(token for token in _all_tokens(config) if token.startswith(GRAPH))
    if not gone:
        return Variant("without-graph-transformer", what, reason="the model has no graph transformer")

    def plain(names: Sequence[str]) -> list[str]:
        found: list[str] = []
        for token in names:
            if token == JOINT_GRAPH:
                found += [NODE2VEC + network for network in networks.networks]
            elif token in gone:
                found.append(NODE2VEC + token.removeprefix(GRAPH))
            else:
                found.append(token)
        return found

    return Variant("without-graph-transformer", what, _with_tokens(config, plain(config.tokens.attention), plain(config.tokens.trees)), left_out=gone)


def _attends(config: ExperimentConfig) -> bool:
    return bool(config.tokens.attention) and (config.attention.n_layers > 0 or config.attention.readout == "queries")


def _without_attention(config: ExperimentConfig) -> Variant:
    what = "the projected tokens are joined and read by one linear layer; nothing attends"
    if not _attends(config):
        return Variant("without-attention", what, reason="the model does not attend")
    return Variant("without-attention", what, replace(config, attention=replace(config.attention, n_layers=0, readout="concat")))


def _trees_alone(config: ExperimentConfig) -> Variant:
    what = "the trees without the attention part"
    if not (config.tokens.trees and config.tokens.attention):
        return Variant("trees-alone", what, reason="the model does not mix trees and attention")
    gone = tuple(token for token in config.tokens.attention if token not in config.tokens.trees)
    return Variant("trees-alone", what, _with_tokens(config, (), config.tokens.trees), left_out=gone)


def _attention_alone(config: ExperimentConfig) -> Variant:
    what = "the attention part without trees: neither in the mean nor as what it starts from"
    alone = _with_tokens(config, config.tokens.attention, ())
    if not (config.tokens.trees and config.tokens.attention):
        return Variant("attention-alone", what, reason="the model does not mix trees and attention")
    if alone is None:
        return Variant("attention-alone", what, reason="attention reads nothing but the trees")
    gone = tuple(token for token in _all_tokens(config) if token not in alone.tokens.attention)
    return Variant("attention-alone", what, alone, left_out=gone)


def _heads(config: ExperimentConfig, n: int) -> Variant:
    name, what = f"heads-{n}", f"{n} heads of attention where the model has {config.attention.n_heads}"
    if not _attends(config):
        return Variant(name, what, reason="the model does not attend")
    if config.attention.dim % n:
        return Variant(name, what, reason=f"{n} heads cannot share a width of {config.attention.dim}")
    if n == config.attention.n_heads:
        return Variant(name, f"{n} heads: the full model", config, is_full=True)
    return Variant(name, what, replace(config, attention=replace(config.attention, n_heads=n)))
