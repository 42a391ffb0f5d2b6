"""Tokens: what is known of each RNA, one array per modality, from networks, embeddings, sequences and training labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fusion.tokens.names import JOIN, single_tokens
from mirnagraph.errors import ConfigError
from mirnagraph.nodes import NodeIndex


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
        if len(set(names)) != len(names):
            raise ConfigError(f"a token stands twice: {names}")
        for token in self.tokens:
            if (
                token.values.ndim != 2
                or len(token.values) != len(self.index)
                or token.present.shape != (len(self.index),)
            ):
                raise ConfigError(
                    f"token {token.name!r} has shape {token.values.shape}, expected ({len(self.index)}, width)"
                )
            if not np.isfinite(token.values).all():
                raise ConfigError(f"token {token.name!r} holds values that are not finite")

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, name: str) -> Token:
        for token in self.tokens:
            if token.name == name:
                return token
        raise ConfigError(f"no token {name!r}; there are {', '.join(t.name for t in self.tokens)}")

    def __add__(self, other: TokenTable) -> TokenTable:
        self.index.require_same(other.index, "token rows")
        return TokenTable(self.index, self.tokens + other.tokens)

    def select(self, names: Sequence[str]) -> TokenTable:
        """Only the named tokens, in the order asked for; ``"a+b"`` is one token made of `a` and `b`, present where either is."""
        return TokenTable(self.index, tuple(self._joined(name) for name in names))

    def _joined(self, name: str) -> Token:
        parts = [self[part] for part in name.split(JOIN)]
        if len(parts) == 1:
            return parts[0]
        values = np.concatenate(
            [np.where(part.present[:, None], part.values, 0) for part in parts], axis=1
        )
        return make_token(name, values, np.any([part.present for part in parts], axis=0))

    def flat(self, names: Sequence[str] | None = None) -> np.ndarray:
        """All (or the named) tokens side by side, absent ones as zeros: float32, shape (n_rnas, sum of widths)."""
        chosen = (
            self.tokens if names is None else tuple(self[name] for name in single_tokens(names))
        )
        return np.concatenate(
            [np.where(t.present[:, None], t.values, 0).astype(np.float32) for t in chosen], axis=1
        )

    @property
    def sources(self) -> Mapping[str, int]:
        """Name -> width."""
        return {token.name: token.width for token in self.tokens}


def make_token(name: str, values: np.ndarray, present: np.ndarray | None = None) -> Token:
    """A Token from any numeric array; present where a row is not all zero unless said otherwise."""
    array = np.ascontiguousarray(values, dtype=np.float32)
    there = np.asarray(array.any(axis=1) if present is None else present, dtype=bool)
    return Token(name, array, there)
