"""NodeIndex: the one row order that every matrix, network, embedding and file follows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mirnagraph.errors import InputError


@dataclass(frozen=True)
class NodeIndex:
    """Ids in a fixed order, with the kind of each.

    Args:
        ids: unique, non-empty names, in row order.
        kinds: kind of each id (``"miRNA"``, ``"disease"`` …), as long as `ids`.

    Raises:
        InputError: an id is empty or stands twice, or the lengths differ.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    _position: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.kinds):
            raise InputError(
                "a NodeIndex needs one kind per id",
                found=f"{len(self.kinds)} kinds",
                expected=f"{len(self.ids)}",
            )
        position = {name: row for row, name in enumerate(self.ids)}
        if len(position) != len(self.ids):
            twice = next(name for name, n in Counter(self.ids).items() if n > 1)
            raise InputError("an id stands more than once", found=twice, expected="unique ids")
        blank = next((name for name in self.ids if not name.strip()), None)
        if blank is not None:
            raise InputError("an id is empty", found=f"row {position[blank]}", expected="a name")
        object.__setattr__(self, "_position", position)

    @classmethod
    def of(cls, ids: Iterable[str], kind: str) -> NodeIndex:
        """An index of ids that are all of one kind.

        >>> len(NodeIndex.of(["hsa-mir-21", "hsa-let-7a-1"], "miRNA"))
        2
        """
        names = tuple(str(name) for name in ids)
        return cls(names, (kind,) * len(names))

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._position

    def __add__(self, other: NodeIndex) -> NodeIndex:
        """This index followed by another; their ids must not overlap."""
        return NodeIndex(self.ids + other.ids, self.kinds + other.kinds)

    def position(self, name: str) -> int:
        """Row of one id; raises InputError for an unknown one."""
        try:
            return self._position[name]
        except KeyError:
            raise InputError(
                "unknown id", found=name, expected=f"one of {len(self)} known ids"
            ) from None

    def positions(self, names: Sequence[str] | Iterable[str]) -> np.ndarray:
        """Rows of several ids, shape (n,), int64, in the order asked for."""
        wanted = list(names)
        try:
            return np.fromiter(
                map(self._position.__getitem__, wanted), dtype=np.int64, count=len(wanted)
            )
        except KeyError as error:
            return np.array(
                [self.position(error.args[0])]
            )  # raises what a single unknown id raises

    def require_same(self, other: NodeIndex, what: str = "rows") -> None:
        """Raise InputError naming the first row at which the two orders differ."""
        if self.ids == other.ids:
            return
        for row, (mine, theirs) in enumerate(zip(self.ids, other.ids, strict=False)):
            if mine != theirs:
                raise InputError(
                    f"{what} are in another order (row {row})", found=theirs, expected=mine
                )
        raise InputError(f"{what} differ in number", found=len(other), expected=len(self))

    @property
    def checksum(self) -> str:
        """sha256 over ids and kinds in order, as hex; saved beside every model."""
        text = "\n".join(f"{kind}\t{name}" for name, kind in zip(self.ids, self.kinds, strict=True))
        return hashlib.sha256(text.encode()).hexdigest()
