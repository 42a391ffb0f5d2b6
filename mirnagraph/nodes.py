"""Row order of nodes, shared by matrices, networks, embeddings and files; one network of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.errors import ArgumentError, InputError
from mirnagraph.reading.arguments import check_fields


@dataclass(frozen=True)
class NodeIndex:
    """Ids in a fixed order, with the kind of each.

    Args:
        ids: unique, non-empty names, in row order.
        kinds: kind of each id (``"miRNA"``, ``"disease"`` …), as long as `ids`.

    Raises:
        InputError: an empty or duplicate id, or lengths that differ.
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
            repeated = next(name for name, n in Counter(self.ids).items() if n > 1)
            raise InputError("an id is duplicated", found=repeated, expected="unique ids")
        blank = next((name for name in self.ids if not name.strip()), None)
        if blank is not None:
            raise InputError("an id is empty", found=f"row {position[blank]}", expected="a name")
        object.__setattr__(self, "_position", position)

    @classmethod
    def of(cls, ids: Iterable[str], kind: str) -> NodeIndex:
        """Make an index of ids that are all of one kind.

        >>> len(NodeIndex.of(["hsa-mir-21", "hsa-let-7a-1"], "miRNA"))
        2
        """
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise ArgumentError(f"NodeIndex.of: ids is {ids!r}, expected several names")
        names = tuple(ids)
        for row, name in enumerate(names):
            if not isinstance(name, str | int | np.integer) or isinstance(name, bool):
                found = f"{name!r} ({type(name).__name__})"
                raise ArgumentError(f"NodeIndex.of: id {row} is {found}, expected a name")
        texts = tuple(str(name) for name in names)
        return cls(texts, (kind,) * len(texts))

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, name: object) -> bool:
        return _text_id(name) in self._position

    def __add__(self, other: NodeIndex) -> NodeIndex:
        """Append another index; their ids must not overlap."""
        return NodeIndex(self.ids + other.ids, self.kinds + other.kinds)

    def position(self, name: str) -> int:
        """Row of one id.

        Raises:
            InputError: an unknown id.
        """
        try:
            return self._position[_text_id(name)]
        except (KeyError, TypeError):
            raise InputError(
                "unknown id", found=name, expected=f"one of {len(self)} known ids"
            ) from None

    def positions(self, names: Sequence[str] | Iterable[str]) -> np.ndarray:
        """Rows of several ids, int64, shape (n,), in the order of `names`.

        Raises:
            InputError: an unknown id.
            ArgumentError: one text in place of several.
        """
        if isinstance(names, str):
            raise ArgumentError(f"NodeIndex.positions: names is {names!r}, expected several names")
        return np.array([self.position(name) for name in names], dtype=np.int64)

    def require_same(self, other: NodeIndex, what: str = "rows") -> None:
        """Raise InputError naming the first row at which the two orders differ."""
        if self.ids == other.ids:
            return
        for row, (expected, found) in enumerate(zip(self.ids, other.ids, strict=False)):
            if found != expected:
                what = f"{what} are in another order (row {row})"
                raise InputError(what, found=found, expected=expected)
        raise InputError(f"{what} differ in number", found=len(other), expected=len(self))

    @property
    def checksum(self) -> str:
        """sha256 over ids and kinds in order, as hex; saved with every model."""
        text = "\n".join(f"{kind}\t{name}" for name, kind in zip(self.ids, self.kinds, strict=True))
        return hashlib.sha256(text.encode()).hexdigest()


def _text_id(name: Any) -> Any:
    """An id as `NodeIndex.of` has it: a whole number as its digits."""
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return str(name)
    return name


def _weights(matrix: Any, name: str) -> sparse.csr_array:
    """Weights of a network as `Network.matrix` has them; itself where it is so already."""
    if not sparse.issparse(matrix) or matrix.dtype.kind not in "biuf":
        found = str(getattr(matrix, "dtype", type(matrix).__name__))
        raise ArgumentError(
            f"the matrix of network {name!r} is {type(matrix).__name__} of {found}, "
            "expected a sparse matrix of numbers"
        )
    result = matrix
    if not isinstance(matrix, sparse.csr_array) or matrix.dtype != np.float64:
        result = sparse.csr_array(matrix, dtype=np.float64)
    is_bad = ~(np.isfinite(result.data) & (result.data >= 0))
    if is_bad.any():
        raise InputError(
            f"a wrong weight in network {name!r}",
            found=float(result.data[is_bad][0]),
            expected="finite numbers of 0 or more",
        )
    if not result.has_canonical_format or not result.data.all():
        result = result.copy()
        result.sum_duplicates()
        result.eliminate_zeros()
    return result


@dataclass(frozen=True, eq=False)
class Network:
    """One network: RNA-RNA similarity, or associations of RNAs with partners of another kind.

    Attributes:
        name: ``"sequence"``, ``"functional"``, ``"coexpression"``, or the association kind.
        rnas: the RNAs, in row order.
        partners: nodes of the other kind in column order; None for a similarity network.
        matrix: CSR, float64, no stored zeros. Similarity: shape (n_rnas, n_rnas), symmetric, empty
            diagonal, weights in (0, 1]. Association: shape (n_rnas, n_partners), weights above 0.

    Raises:
        InputError: a matrix of another shape, a weight that is negative or not finite, or a
            similarity that is not symmetric or joins an RNA to itself.
        ArgumentError: a matrix that is not sparse, or of no numbers.
    """

    name: str
    rnas: NodeIndex
    partners: NodeIndex | None
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        check_fields(self, "name", "rnas", "partners")
        object.__setattr__(self, "matrix", _weights(self.matrix, self.name))
        shape = (len(self.rnas), len(self.targets))
        if self.matrix.shape != shape:
            raise InputError(
                f"the matrix of network {self.name!r} does not fit its names",
                found=self.matrix.shape,
                expected=shape,
            )
        if self.is_similarity:
            self._check_symmetric()

    def _check_symmetric(self) -> None:
        """Refuse edges of one direction, of which lists of edges would show half, and loops."""
        loops = np.flatnonzero(self.matrix.diagonal())
        if len(loops):
            raise InputError(
                f"network {self.name!r} joins an RNA to itself", found=self.rnas.ids[int(loops[0])]
            )
        # both sorted and without duplicates: equal arrays are equal matrices, at one copy of memory
        back = sparse.csr_array(self.matrix.T)
        parts = ("indptr", "indices", "data")
        if not all(np.array_equal(getattr(self.matrix, x), getattr(back, x)) for x in parts):
            rows, columns = (self.matrix != back).tocoo().coords
            source = self.rnas.ids[int(rows[0])]
            target = self.rnas.ids[int(columns[0])]
            raise InputError(
                f"network {self.name!r} is not symmetric",
                found=f"another weight from {source} to {target} than back",
                expected="equal weights in both directions",
            )

    @property
    def targets(self) -> NodeIndex:
        """Nodes of the matrix's columns: the partners, or the RNAs of a similarity network."""
        return self.rnas if self.partners is None else self.partners

    @property
    def is_similarity(self) -> bool:
        """Whether the network joins RNAs with RNAs."""
        return self.partners is None

    @property
    def nodes(self) -> NodeIndex:
        """All nodes: the RNAs first, then the partners; the row order of `adjacency`."""
        return self.rnas if self.partners is None else self.rnas + self.partners

    @property
    def adjacency(self) -> sparse.csr_array:
        """Symmetric square matrix over `nodes`: CSR, float64, sorted indices, no stored zeros."""
        if self.partners is None:
            return self.matrix
        blocks = [[None, self.matrix], [self.matrix.T, None]]
        result = sparse.csr_array(sparse.block_array(blocks))
        result.sort_indices()
        return result
