"""MeSH semantic similarity of diseases, and functional similarity of miRNAs through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.arguments import (
    ROUNDING,
    checked,
    finite_matrix,
    similarity_matrix,
    square_matrix,
)
from mirnagraph.similarity import Matrix
from mirnagraph.similarity.profile import GipRows

SEMANTIC_METHODS = ("wang", "gtmaloc")

FUNCTIONAL_METHODS = ("best_match", "gtmaloc")

ROWS_AT_ONCE = 4096  # association rows gathered at a time: 20 MB at 640 diseases


@checked
def disease_semantic_similarity(
    ontology: pd.DataFrame,
    descriptor_ids: pd.Series | Sequence[str | None],
    *,
    decay: float = 0.5,
    method: str = "wang",
) -> np.ndarray:
    """Compute the semantic similarity of diseases from their shared ancestors in MeSH.

    A descriptor has several tree numbers; its parents are the descriptors one step up at any of
    them (or at the nearest tree number that the table lists). DAG(A) is A with all its ancestors
    and D_A(t) the contribution of ancestor t to A:

    - ``"wang"``: D_A(A) = 1 and D_A(t) = max over children t' of t in DAG(A) of decay * D_A(t'),
      which is decay ** distance on the shortest way up.
    - ``"gtmaloc"``: Eq. 2 prints C(t, A) = a / Depth(t, A). At A itself Depth is 0 and the formula
      has no value: we read 1, as in Wang, so that a (here `decay`) weighs ancestors against the
      disease; Depth of an ancestor is read as the number of steps on the shortest way up. The paper
      leaves Sim(A, B) to "the overlap of their semantic values": we read Wang's formula below.

    With DV(A) the sum of D_A over DAG(A) (Eq. 3),
    S(A, B) = sum over common t of (D_A(t) + D_B(t)) / (DV(A) + DV(B)).

    A disease with several descriptors (merged names) has the union of their DAGs: each descriptor
    contributes 1, an ancestor what it contributes to the nearest of them. A disease without
    descriptor is similar only to itself.

    Args:
        ontology: columns ``tree_number`` (``C04.588.180``) and ``descriptor_id``.
        descriptor_ids: one cell per disease, ``;``-separated ids of `ontology`; empty or missing
            where unknown.
        decay: Wang's decay or Eq. 2's a, in (0, 1].
        method: ``"wang"`` or ``"gtmaloc"``.

    Returns:
        float64 array of shape (n, n) in the order of `descriptor_ids`: symmetric, in [0, 1],
        diagonal 1.

    Raises:
        InputError: a descriptor id that the ontology lacks, a missing column or cell, or a tree
            number of two descriptors.
        ConfigError: `decay` or `method` out of range.

    References:
        Wang et al. 2010, doi:10.1093/bioinformatics/btq241; GTMALoc,
        doi:10.3389/fgene.2025.1623008.

    >>> rows = [("C1", "root"), ("C1.1", "a"), ("C1.2", "b")]
    >>> tree = pd.DataFrame(rows, columns=["tree_number", "descriptor_id"])
    >>> disease_semantic_similarity(tree, pd.Series(["a", "b"])).round(4).tolist()
    [[1.0, 0.3333], [0.3333, 1.0]]
    """
    require(0 < decay <= 1, "decay", decay, "above 0, at most 1")
    require(method in SEMANTIC_METHODS, "method", method, " or ".join(SEMANTIC_METHODS))
    terms, parents = descriptor_graph(ontology)
    # 1 + steps to each member of the DAG
    shares = _steps_up(_descriptors_of(terms, descriptor_ids), parents)
    if method == "wang":
        shares.data = decay ** (shares.data - 1)
    else:
        shares.data = np.where(shares.data == 1, 1.0, decay / np.maximum(shares.data - 1, 1))
    members = shares.copy()
    members.data = np.ones_like(members.data)
    common = (shares @ members.T).toarray()  # sum of D_A(t) over the DAG that A and B share
    value = shares.sum(axis=1)
    scale = np.add.outer(value, value)
    result = np.divide(common + common.T, scale, out=np.zeros(common.shape), where=scale > 0)
    np.minimum(result, 1.0, out=result)
    np.fill_diagonal(result, 1.0)
    return result


@checked
def descriptor_graph(ontology: pd.DataFrame) -> tuple[pd.Index, sparse.csr_array]:
    """Turn an ontology into a graph of descriptors.

    Returns:
        The descriptors in order of first appearance, and a binary matrix of shape (n_descriptors,
        n_descriptors) with 1 at (child, parent).

    Raises:
        InputError: a missing column or cell, or a tree number of two descriptors.
    """
    missing = [name for name in ("tree_number", "descriptor_id") if name not in ontology.columns]
    if missing:
        raise InputError(
            "missing column", file="ontology", column=missing[0], found=list(ontology.columns)
        )
    descriptors = _cells(ontology, "descriptor_id")
    numbers = _cells(ontology, "tree_number").str.upper()
    _check_tree_numbers(numbers, descriptors)
    codes, terms = pd.factorize(descriptors)
    descriptor_of = dict(zip(numbers, codes.tolist(), strict=True))
    edges = set()
    for number, child in descriptor_of.items():
        above = number
        while "." in above:
            above = above.rpartition(".")[0]
            if above in descriptor_of:
                edges.add((child, descriptor_of[above]))
                break
    child_rows, parent_columns = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2).T
    places = (child_rows, parent_columns)
    shape = (len(terms), len(terms))
    return pd.Index(terms), sparse.csr_array((np.ones(len(edges)), places), shape=shape)


def _cells(ontology: pd.DataFrame, column: str) -> pd.Series:
    """Texts of a column without blanks around them; none may be missing."""
    cells = ontology[column].astype(object)
    texts = cells.where(cells.notna(), "").astype(str).str.strip()
    if (texts == "").any():
        row = int((texts == "").to_numpy().argmax())
        raise InputError(f"an empty cell (row {row})", file="ontology", column=column)
    return texts


def _check_tree_numbers(numbers: pd.Series, descriptors: pd.Series) -> None:
    """Refuse a tree number of two descriptors: one of them would lose its parents."""
    first: dict[str, str] = {}
    for number, descriptor in zip(numbers, descriptors, strict=True):
        if first.setdefault(number, descriptor) != descriptor:
            raise InputError(
                "one tree number with two descriptors",
                file="ontology",
                column="tree_number",
                found=f"{number} of {first[number]} and of {descriptor}",
                expected="one descriptor each",
            )


def _descriptors_of(
    terms: pd.Index, descriptor_ids: pd.Series | Sequence[str | None]
) -> sparse.csr_array:
    """Binary matrix of shape (n_diseases, n_descriptors): which descriptors a disease names."""
    rows: list[int] = []
    columns: list[int] = []
    problems = []
    position = {name: i for i, name in enumerate(terms)}
    for row, cell in enumerate(descriptor_ids):
        for name in _split(cell):
            if name in position:
                rows.append(row)
                columns.append(position[name])
            else:
                index = getattr(descriptor_ids, "index", None)
                disease = row if index is None or callable(index) else index[row]
                problems.append(
                    InputError(
                        f"disease {disease!r} names an unknown descriptor",
                        found=name,
                        expected="a descriptor_id of the ontology",
                    )
                )
    raise_problems(problems)
    shape = (len(descriptor_ids), len(terms))
    matrix = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    matrix.data[:] = 1
    return matrix


def _split(cell: object) -> Iterable[str]:
    if cell is None or cell is pd.NA or cell != cell:
        return []
    return sorted({part.strip() for part in str(cell).split(";")} - {""})


def _steps_up(descriptors: sparse.csr_array, parents: sparse.csr_array) -> sparse.csr_array:
    """1 + fewest steps from a disease's descriptors to each ancestor, (n_diseases, n_descriptors).

    0 where a descriptor is no ancestor.
    """
    steps = descriptors.copy()
    front = descriptors
    level = 1
    seen = descriptors.astype(bool)
    while front.nnz:
        level += 1
        reached = (front @ parents).astype(bool)
        new = reached > seen
        front = sparse.csr_array(new.astype(np.float64))
        front.eliminate_zeros()
        steps = steps + front * level
        seen = seen + front.astype(bool)
    result = sparse.csr_array(steps)
    result.sort_indices()
    return result


@checked
def functional_similarity(
    associations: Matrix, semantic: Matrix, *, method: str = "best_match"
) -> np.ndarray:
    r"""Compute the functional similarity of miRNAs from the similarity of their diseases.

    With D1 and D2 the diseases of two miRNAs and S the similarity of diseases:

    - ``"best_match"`` (Wang 2010): the average, over all diseases of both, of the similarity to the
      nearest disease of the other, (sum over D1 of max over D2 of S + sum over D2 of max over D1 of
      S) / (\|D1\| + \|D2\|).
    - ``"gtmaloc"``: Eq. 4 prints the average of Sim(d) over d in D1 ∩ D2. Sim has two arguments in
      the line before, and Sim(d, d) is always 1. We follow the sentence above the equation ("the
      average semantic similarity between diseases in m1 and those in m2") and read Sim(d) as the
      mean similarity of d to the diseases of m1 and to those of m2, half each. Without a common
      disease it is 0, which Eq. 5 compensates. The diagonal is 1.

    Args:
        associations: shape (n_mirnas, n_diseases); what is not 0 is an association.
        semantic: similarity of diseases, shape (n_diseases, n_diseases), symmetric, in [0, 1],
            diagonal 1.
        method: ``"best_match"`` or ``"gtmaloc"``.

    Returns:
        float64 array of shape (n_mirnas, n_mirnas): symmetric, in [0, 1], diagonal 1. A miRNA
        without diseases is 0 to every other one.

    Raises:
        InputError: the shapes do not fit, or `semantic` is no similarity.
        ConfigError: an unknown method.

    References:
        Wang et al. 2010, doi:10.1093/bioinformatics/btq241; GTMALoc,
        doi:10.3389/fgene.2025.1623008.

    >>> semantic = np.array([[1.0, 0.4], [0.4, 1.0]])
    >>> functional_similarity(np.array([[1, 0], [1, 1]]), semantic).round(3).tolist()
    [[1.0, 0.8], [0.8, 1.0]]
    """
    rows = functional_rows(associations, semantic, method=method)
    return rows.similarity(0, rows.n_rows)


@dataclass(frozen=True, eq=False)
class FunctionalRows:
    """Rows of `functional_similarity`, any at a time; made by `functional_rows`.

    Attributes:
        profiles: binary CSR, shape (n_mirnas, n_diseases).
        transposed: of `profiles`, CSR.
        counts: diseases of each miRNA, float64, shape (n_mirnas,).
        best: ``"best_match"``: similarity of each disease to the nearest one of each miRNA, shape
            (n_diseases, n_mirnas); otherwise None.
        weighted: ``"gtmaloc"``: `profiles` with the mean similarity of the disease to those of the
            miRNA, and transposed, both CSR; otherwise None.
    """

    profiles: sparse.csr_array
    transposed: sparse.csr_array
    counts: np.ndarray
    best: np.ndarray | None = None
    weighted: tuple[sparse.csr_array, sparse.csr_array] | None = None

    @property
    def n_rows(self) -> int:
        """Number of miRNAs."""
        return len(self.counts)

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`: float64, shape (stop - start, n_mirnas)."""
        part = self.profiles[start:stop]
        if self.best is not None:
            there = np.asarray(part @ self.best)
            back = there
            if stop - start < self.n_rows:
                back = np.asarray(self.profiles @ self.best[:, start:stop])
            total = there + back.T
            counts = self.counts[start:stop]
            scale = np.add.outer(counts, self.counts)
            scale[counts == 0] = 0.0
            scale[:, self.counts == 0] = 0.0
        else:
            assert self.weighted is not None
            weighted, transposed = self.weighted
            half = (weighted[start:stop] @ self.transposed).toarray()
            total = (half + (part @ transposed).toarray()) / 2
            scale = (part @ self.transposed).toarray()
        result = np.divide(total, scale, out=np.zeros(total.shape), where=scale > 0)
        np.clip(result, 0.0, 1.0, out=result)
        result[np.arange(stop - start), np.arange(start, stop)] = 1.0
        return result


@checked
def functional_rows(
    associations: Matrix, semantic: Matrix, *, method: str = "best_match"
) -> FunctionalRows:
    """Prepare `functional_similarity` for blocks of rows; arguments and errors as there.

    Takes 8 bytes for every pair of a miRNA and a disease with ``"best_match"``.
    """
    require(method in FUNCTIONAL_METHODS, "method", method, " or ".join(FUNCTIONAL_METHODS))
    profiles = binary(finite_matrix(associations, "associations"))
    semantic = _semantic(semantic)
    n_diseases = profiles.shape[1]
    if semantic.shape != (n_diseases, n_diseases):
        raise InputError(
            "the disease similarity does not fit the associations",
            found=semantic.shape,
            expected=(n_diseases, n_diseases),
        )
    counts = np.diff(profiles.indptr).astype(np.float64)
    transposed = sparse.csr_array(profiles.T)
    if method == "best_match":
        best = np.ascontiguousarray(_nearest(profiles, semantic).T)
        return FunctionalRows(profiles, transposed, counts, best=best)
    weighted = profiles.copy()
    for start in range(0, len(counts), ROWS_AT_ONCE):
        part = profiles[start : start + ROWS_AT_ONCE]
        count = np.maximum(counts[start : start + ROWS_AT_ONCE], 1)
        mean = np.asarray(part @ semantic) / count[:, None]
        rows = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
        first, last = profiles.indptr[[start, start + part.shape[0]]]
        weighted.data[first:last] = mean[rows, part.indices]
    return FunctionalRows(
        profiles, transposed, counts, weighted=(weighted, sparse.csr_array(weighted.T))
    )


def _semantic(values: Matrix) -> np.ndarray:
    """A similarity of diseases: square, symmetric, in [0, 1], 1 of a disease to itself."""
    square_matrix(values, "semantic")
    semantic = similarity_matrix(values, "semantic")
    for place in np.argwhere(np.abs(semantic - semantic.T) > ROUNDING)[:1].tolist():
        row, column = place
        raise InputError(
            f"semantic is not symmetric (row {row}, column {column})",
            found=f"{semantic[row, column]:g} and {semantic[column, row]:g}",
            expected="equal values",
        )
    is_other = np.abs(semantic.diagonal() - 1) > ROUNDING
    if is_other.any():
        row = int(is_other.argmax())
        found = float(semantic[row, row])
        raise InputError(f"a disease is not similar to itself (row {row})", found=found, expected=1)
    return semantic


def _nearest(profiles: sparse.csr_array, semantic: np.ndarray) -> np.ndarray:
    """Similarity of each disease to the nearest disease of each miRNA, (n_mirnas, n_diseases).

    0 for miRNAs without diseases.
    """
    best = np.zeros(profiles.shape)
    first = 0
    while first < profiles.shape[0]:
        end = profiles.indptr[first] + ROWS_AT_ONCE
        last = max(first + 1, int(np.searchsorted(profiles.indptr, end, side="right")) - 1)
        starts = profiles.indptr[first : last + 1]
        # reduceat would read the next group for an empty one
        filled = np.flatnonzero(np.diff(starts))
        if len(filled):
            rows = semantic[profiles.indices[starts[0] : starts[-1]]]
            best[first + filled] = np.maximum.reduceat(rows, starts[filled] - starts[0], axis=0)
        first = last
    return best


def binary(associations: sparse.sparray | np.ndarray) -> sparse.csr_array:
    """Binarise associations: CSR with 1 for all that is not 0, sorted indices, no stored zeros."""
    matrix = sparse.csr_array(associations, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    matrix.data[:] = 1
    return matrix


@checked
def blend(functional: Matrix, interaction: Matrix, *, lambda_: float = 0.5) -> np.ndarray:
    """Blend two similarities, lambda * FS + (1 - lambda) * GIP (GTMALoc Eq. 5), for every pair.

    Other papers take GIP only where FS is 0; Eq. 5 does not.

    Args:
        functional: FS, shape (n, n), in [0, 1].
        interaction: GIP, shape (n, n), in [0, 1].
        lambda_: weight of FS, in [0, 1].

    Returns:
        float64 array of shape (n, n), in [0, 1]; symmetric with diagonal 1 where both are.

    Raises:
        InputError: a number that is missing or outside [0, 1], or two shapes.
    """
    require(0 <= lambda_ <= 1, "lambda_", lambda_, "a number in [0, 1]")
    first = similarity_matrix(functional, "functional")
    second = similarity_matrix(interaction, "interaction")
    if first.shape != second.shape:
        raise InputError(
            "the two similarities differ in shape",
            found=second.shape,
            expected=first.shape,
        )
    result = _blended(first, second, lambda_)
    if result.shape[0] == result.shape[1]:
        # lambda + (1 - lambda) may round below 1
        both = (first.diagonal() == 1) & (second.diagonal() == 1)
        result[both, both] = 1.0
    return result


def _blended(first: np.ndarray, second: np.ndarray, lambda_: float) -> np.ndarray:
    result = lambda_ * first + (1.0 - lambda_) * second
    return np.minimum(result, 1.0, out=result)


@dataclass(frozen=True, eq=False)
class BlendedRows:
    """Rows of the similarities of a network of diseases, any at a time.

    Attributes:
        semantic: functional similarity through the similarity of diseases.
        gip: interaction profile kernel of the same miRNAs.
        lambda_: weight of the first in the blend (see `blend`).
    """

    semantic: FunctionalRows
    gip: GipRows
    lambda_: float = 0.5

    @property
    def n_rows(self) -> int:
        """Number of miRNAs."""
        return self.gip.n_rows

    def rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """``functional`` (the blend), ``semantic`` and ``gip``: float32, some rows of n columns."""
        semantic = self.semantic.similarity(start, stop)
        gip = self.gip.similarity(start, stop)
        functional = _blended(semantic, gip, self.lambda_)
        # lambda + (1 - lambda) may round below 1
        functional[np.arange(stop - start), np.arange(start, stop)] = 1.0
        arrays = {"functional": functional, "semantic": semantic, "gip": gip}
        return {name: array.astype(np.float32) for name, array in arrays.items()}
