"""Tokens: one array per modality of every RNA, their table, and the registry of their kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from fusion.config import TowerSettings
from fusion.tokens.names import JOIN, TokenName, single_tokens
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.registry import Registry


@dataclass(frozen=True, eq=False)
class Token:
    """One modality of every RNA.

    Attributes:
        name: unique name, e.g. ``"node2vec:disease"``.
        values: float32, shape (n_rnas, width), finite everywhere.
        present: bool, shape (n_rnas,): whether the RNA has this modality at all.
    """

    name: str
    values: np.ndarray
    present: np.ndarray

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Tokens over one row order."""

    index: NodeIndex
    tokens: tuple[Token, ...]

    def __post_init__(self) -> None:
        names = [token.name for token in self.tokens]
        duplicates = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if duplicates:
            raise ConfigError(f"token {duplicates[0]!r} is duplicated among {', '.join(names)}")
        n_rnas = len(self.index)
        for token in self.tokens:
            shape = token.values.shape
            fits = len(shape) == 2 and shape[0] == n_rnas and token.present.shape == (n_rnas,)
            if not fits:
                raise ConfigError(
                    f"token {token.name!r} has shape {shape}, expected ({n_rnas}, width)"
                )
            if not np.isfinite(token.values).all():
                raise ConfigError(f"token {token.name!r} has values that are not finite")

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, name: str) -> Token:
        for token in self.tokens:
            if token.name == name:
                return token
        raise ConfigError(f"no token {name!r}; available: {', '.join(self.sources)}")

    def __add__(self, other: TokenTable) -> TokenTable:
        self.index.require_same(other.index, "token rows")
        return TokenTable(self.index, self.tokens + other.tokens)

    def select(self, names: Sequence[str]) -> TokenTable:
        """Only the named tokens, in that order.

        ``"a+b"`` is one token made of `a` and `b`, present where either is.
        """
        return TokenTable(self.index, tuple(self._joined(name) for name in names))

    def _joined(self, name: str) -> Token:
        parts = [self[part] for part in name.split(JOIN)]
        if len(parts) == 1:
            return parts[0]
        values = [np.where(part.present[:, None], part.values, 0) for part in parts]
        present = np.any([part.present for part in parts], axis=0)
        return make_token(name, np.concatenate(values, axis=1), present)

    def flat(self, names: Sequence[str] | None = None) -> np.ndarray:
        """Concatenate all (or the named) tokens, absent ones as zeros.

        Returns:
            float32, shape (n_rnas, sum of widths).
        """
        tokens = self.tokens
        if names is not None:
            tokens = tuple(self[name] for name in single_tokens(names))
        values = [np.where(t.present[:, None], t.values, 0).astype(np.float32) for t in tokens]
        return np.concatenate(values, axis=1)

    @property
    def sources(self) -> Mapping[str, int]:
        """Name -> width."""
        return {token.name: token.width for token in self.tokens}


def make_token(name: str, values: np.ndarray, present: np.ndarray | None = None) -> Token:
    """A token from any numeric array; present where a row is not all zero unless given."""
    array = np.ascontiguousarray(values, dtype=np.float32)
    is_present = array.any(axis=1) if present is None else present
    return Token(name, array, np.asarray(is_present, dtype=bool))


class Target(Enum):
    """What may follow the colon of a token name, and what ``*`` stands for."""

    NOTHING = "no target"
    NETWORK = "network"
    ASSOCIATION_NETWORK = "association network"
    ASSOCIATION = "kind of association"
    REPORTED = "kind of association with reports"
    PARTNER_COLUMNS = "kind of association with 0/1 columns of partners"
    PARTNER_SEQUENCES = "kind of association with sequences of partners"
    SIMILARITY = "similarity"
    MEASUREMENT = "measurement"


@dataclass(frozen=True)
class BuildSettings:
    """Inputs of a token builder other than the networks.

    Attributes:
        svd_dim: components of each truncated SVD.
        letters: nucleotides of the token ``letters``.
        tower: settings of the embedding of partner sequences.
        embeddings: token name -> float32, shape (n_nodes, dim), RNAs first.
        body_fluids: whether tokens of expression read samples of body fluids.
    """

    svd_dim: int = 32
    letters: int = 500
    tower: TowerSettings = field(default_factory=TowerSettings)
    embeddings: Mapping[str, np.ndarray] = field(default_factory=dict)
    body_fluids: bool = False


Builder = Callable[[NetworkSet, TokenName, BuildSettings], Token]


def _reads_nothing(_networks: NetworkSet, _name: TokenName) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class TokenKind:
    """One kind of token: an entry of `TOKENS`, called as ``kind(networks, name, settings)``.

    A plain function is an entry too; its attributes `accepts`, `modality` and `reads` are read
    where it has them.

    Attributes:
        build: makes the token of the networks; None for a kind that reads labels or other RNAs
            and is made later, in each fold.
        accepts: what the target may be.
        modality: modality that it belongs to in ``ablate``, ``explain`` and ``predict``; empty for
            none, None for that of the target.
        reads: names of what it is made from in addition to its target, for ``ablate``.
        needs_reads: whether it cannot be made where `reads` names nothing.
        needs: what that is, for the error.
        is_embedding: whether `BuildSettings.embeddings` has to hold its vectors.
        is_from_sequence: whether it can be made for a new RNA from its sequence and the reference
            RNAs (of ``neighbours`` only ``neighbours:sequence``).
    """

    build: Builder | None = None
    accepts: Target = Target.NOTHING
    modality: str | None = None
    reads: Callable[[NetworkSet, TokenName], Sequence[str]] = _reads_nothing
    needs_reads: bool = False
    needs: str = "a network of associations"
    is_embedding: bool = False
    is_from_sequence: bool = False

    def __call__(self, networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
        """Build the token.

        Raises:
            ConfigError: a kind that is made in each fold, or a target that the networks lack.
        """
        if self.build is None:
            raise ConfigError(f"token '{name}' is made in each fold, not from networks alone")
        return self.build(networks, name, settings)


_BUILDERS = (
    "node2vec", "graph_transformer", "svd", "svd_similarity", "profile", "kmer", "n_similar",
    "degree", "evidence", "co_reported", "weighted", "partners", "covariates", "same_sequence",
)  # fmt: skip
_KINDS = "fusion.tokens.kinds"

TOKENS: Registry[Any] = Registry(
    "token kind",
    "mirnagraph.tokens",
    {name: f"fusion.tokens.builders:{name}" for name in _BUILDERS}
    | {
        "type": "fusion.tokens.builders:rna_type",
        "expression": "fusion.tokens.expression:expression",
        "expression_profile": "fusion.tokens.expression:expression_profile",
        "partner_sequences": "fusion.tokens.partners:partner_sequences",
        "expression_samples": "fusion.tokens.expression:expression_samples",
        "letters": "fusion.tokens.letters:letters",
        "transcript": "fusion.tokens.transcript:transcript",
        "neighbours": f"{_KINDS}:NEIGHBOURS_KIND",
        "nearest": f"{_KINDS}:NEAREST_KIND",
        "neighbour_profile": f"{_KINDS}:NEIGHBOUR_PROFILE_KIND",
        "partner_labels": f"{_KINDS}:PARTNER_LABELS_KIND",
        "tower": f"{_KINDS}:SEQUENCE_KIND",
        "descriptors": f"{_KINDS}:SEQUENCE_KIND",
        "trees": f"{_KINDS}:TREES_KIND",
    },
)
"""Kinds of token: a `TokenKind`, or a function ``(networks, name, settings) -> Token``."""


def token_kind(kind: str) -> TokenKind:
    """The entry of a kind.

    Raises:
        ConfigError: unknown kind, with the nearest name.
    """
    entry = TOKENS[kind]
    if isinstance(entry, TokenKind):
        return entry
    return TokenKind(
        build=entry,
        accepts=getattr(entry, "accepts", Target.NOTHING),
        modality=getattr(entry, "modality", kind),
        reads=getattr(entry, "reads", _reads_nothing),
    )
