"""TokenName: parse, join, expand * and ?, modality."""

from __future__ import annotations

from collections.abc import Sequence

JOIN = "+"

LEARNED = ("node2vec", "graph_transformer")

N_SIMILAR = "alike"
TRANSFER = "transfer:"

COLOCALIZED = "colocalized:"

PARTNER_SEQUENCES = "partner_sequences"

GRAPH = "graph_transformer"

ALL = "all"

JOINT_GRAPH = f"{GRAPH}:{ALL}"

TOWER = "tower"

NEIGHBOURS = "neighbours:"

TREES = "trees"

SEQUENCE = "sequence"

DESCRIPTORS = "descriptors"

KMER = "kmer"

TYPE = "type"

MEASURES = ("gip_", "cosine_", "weighted_", "reports_")

OF_SEQUENCE = ("kmer", "alike", "tower", "descriptors")

OF_DISEASES = ("functional", "gip", "semantic")


def single_tokens(names: Sequence[str]) -> list[str]:
    """The tokens that joined ones (``"a+b"``) are made of, each once, in order."""
    return list(dict.fromkeys(part for name in names for part in name.split(JOIN)))


def _start_and_kind(token: str) -> tuple[str, str]:
    """``"neighbours:cosine_drug"`` -> ``("neighbours:cosine_", "drug")``; ``"svd:drug"`` -> ``("svd:", "drug")``."""
    start, mark, kind = token.partition("_" if token.startswith("neighbours:") else ":")
    return start + mark, kind


def _joinable(token: str) -> bool:
    return token in (KMER, N_SIMILAR, TREES, NEIGHBOURS + SEQUENCE) or token.startswith(TRANSFER)


def modality_of(token: str) -> str:
    """Modality of a token: ``sequence``, ``disease``, another kind of association, ``networks`` for
    an encoder of all networks, or empty for a token that counts or that trees made."""
    if token == JOINT_GRAPH:
        return "networks"
    kind, _, of = token.partition(":")
    for measure in MEASURES:
        of = of.removeprefix(measure)
    return (
        "sequence"
        if kind in OF_SEQUENCE or of == "sequence"
        else "disease"
        if of in OF_DISEASES
        else of
    )
