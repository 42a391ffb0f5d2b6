"""Names of tokens: one grammar, and the older names that are still read.

    token  = part *("+" part) ["?"]           joined parts; "?" drops what the dataset lacks
    part   = kind [":" [measure "_"] target]  svd:disease, neighbours:cosine_drug, kmer
    target = name | "*"                       "*" stands for every target that the kind accepts

What a kind accepts and which modality it reads is stated by its entry in the registry
`fusion.tokens.table.TOKENS`; functions that need both are in `fusion.tokens.kinds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fusion.config import TokenSettings
from mirnagraph.errors import ConfigError

JOIN = "+"
OPTIONAL = "?"
ANY = "*"
ALL = "all"
MARKS = {JOIN, OPTIONAL, ANY, ":"}

SEQUENCE = "sequence"

NODE2VEC = "node2vec"
GRAPH_TRANSFORMER = "graph_transformer"
NEIGHBOURS = "neighbours"
NEAREST = "nearest"
NEIGHBOUR_PROFILE = "neighbour_profile"
PARTNER_LABELS = "partner_labels"
SAME_SEQUENCE = "same_sequence"
N_SIMILAR = "n_similar"
COVARIATES = "covariates"
PROFILE = "profile"
CO_REPORTED = "co_reported"
DESCRIPTORS = "descriptors"
EXPRESSION = "expression"
EXPRESSION_PROFILE = "expression_profile"
EXPRESSION_SAMPLES = "expression_samples"
KERNEL_FEATURES = "kernel_features"
KMER = "kmer"
LETTERS = "letters"
MATURE = "mature"
TOWER = "tower"
TREES = "trees"
TYPE = "type"

JOINT_GRAPH = f"{GRAPH_TRANSFORMER}:{ALL}"
"""Token of one graph encoder over all networks."""

MEASURES = ("gip", "cosine", "weighted", CO_REPORTED)
"""Similarities of RNAs by one kind of association, for the kinds of `BY_SIMILARITY`."""

BY_SIMILARITY = (NEIGHBOURS, NEAREST)
"""Kinds of token that name a similarity of RNAs, stored or by a measure."""

ALIASES = {
    "alike": N_SIMILAR,
    "relatives": SAME_SEQUENCE,
    "attributes": COVARIATES,
    "rows": PROFILE,
    "reports": CO_REPORTED,
    "transfer": NEIGHBOUR_PROFILE,
    "colocalized": PARTNER_LABELS,
}
"""Older name of a kind or measure -> name of today; older settings and models are still read."""


@dataclass(frozen=True)
class TokenName:
    """Name of one token, or of one part of a joined token.

    Attributes:
        kind: entry of `fusion.tokens.table.TOKENS`, e.g. ``"svd"``.
        measure: one of `MEASURES` for a token ``neighbours:MEASURE_KIND`` or
            ``nearest:MEASURE_KIND``, else empty.
        target: network, similarity or kind of association, ``"*"`` for all, empty for none.
        optional: whether the token is left out where the dataset does not have its target.
    """

    kind: str
    measure: str = ""
    target: str = ""
    optional: bool = False

    @classmethod
    def parse(cls, text: str) -> TokenName:
        """Read one part of a token name; older names give those of today.

        Raises:
            ConfigError: not of the form ``kind``, ``kind:target`` or ``kind:measure_target``.
        """
        optional = text.endswith(OPTIONAL)
        kind, colon, target = text.removesuffix(OPTIONAL).partition(":")
        kind = ALIASES.get(kind, kind)
        measure = ""
        if kind in BY_SIMILARITY:
            measure, target = _measure_and_target(target)
        is_complete = bool(kind) and bool(target) == bool(colon)
        is_plain = not MARKS & set(kind) and (target == ANY or not MARKS & set(target))
        if not (is_complete and is_plain):
            raise ConfigError(
                f"found token {text!r}, expected 'kind', 'kind:target' or "
                "'neighbours:measure_target', where '*' stands for every target"
            )
        return cls(kind, measure, target, optional)

    def __str__(self) -> str:
        text = f"{self.kind}:{self.similarity}" if self.target else self.kind
        return f"{text}{OPTIONAL}" if self.optional else text

    @property
    def similarity(self) -> str:
        """What follows the colon, e.g. ``"cosine_drug"``: the name of a similarity of RNAs."""
        return f"{self.measure}_{self.target}" if self.measure else self.target

    def expand(self, targets: Iterable[str]) -> list[TokenName]:
        """One name for each target where the target is ``"*"``.

        An optional name is left out where its target is not among them; otherwise the name itself
        is returned.

        Args:
            targets: those the dataset has for this kind and measure (see
                `fusion.tokens.kinds.accepted_targets`).
        """
        if self.target == ANY:
            return [replace(self, target=target, optional=False) for target in targets]
        if self.optional and self.target not in targets:
            return []
        return [replace(self, optional=False)]


def _measure_and_target(text: str) -> tuple[str, str]:
    """Split ``"cosine_drug"``; the measure is empty where the text names a stored similarity."""
    for measure in (*MEASURES, *ALIASES):
        current = ALIASES.get(measure, measure)
        if current in MEASURES and text.startswith(f"{measure}_"):
            return current, text.removeprefix(f"{measure}_")
    return "", text


def parse_joined(text: str) -> tuple[TokenName, ...]:
    """Names of the parts of a token, one where it is not joined; all optional where it is.

    Raises:
        ConfigError: see `TokenName.parse`.
    """
    optional = text.endswith(OPTIONAL)
    parts = text.removesuffix(OPTIONAL).split(JOIN)
    return tuple(replace(TokenName.parse(part), optional=optional) for part in parts)


def join_names(parts: Sequence[TokenName]) -> str:
    """Name of the token made of several."""
    return JOIN.join(str(part) for part in parts)


def single_tokens(names: Iterable[str]) -> list[str]:
    """The tokens that joined ones (``"a+b"``) are made of, each once, in order."""
    return list(dict.fromkeys(part for name in names for part in name.split(JOIN)))


def tokens_of_kind(names: Iterable[str], kind: str) -> list[TokenName]:
    """Parsed single tokens of one kind, each once, in order."""
    parsed = [TokenName.parse(name) for name in single_tokens(names)]
    return [name for name in dict.fromkeys(parsed) if name.kind == kind]


def current_name(text: str) -> str:
    """Name of today of a token that may have an older one (see `ALIASES`)."""
    parts = parse_joined(text)
    plain = join_names([replace(part, optional=False) for part in parts])
    return f"{plain}{OPTIONAL}" if parts[0].optional else plain


def current_settings(settings: TokenSettings) -> TokenSettings:
    """Settings with the names of today (see `ALIASES`)."""
    attention = tuple(current_name(name) for name in settings.attention)
    trees = tuple(current_name(name) for name in settings.trees)
    return replace(settings, attention=attention, trees=trees)
