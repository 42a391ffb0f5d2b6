"""Similarities of a NetworkSet: dense, or the nearest RNAs of each; rows of them and their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy import sparse

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import write_file

Similarity: TypeAlias = np.ndarray | sparse.csr_array
"""Float32 in [0, 1], shape (n_rnas, n_rnas): dense and symmetric; or sparse, with the most similar
RNAs of each in its row, without itself."""

PARTS = ("pointers", "columns", "values")
"""Arrays of a sparse similarity in a file: int64, int32, float32."""


DENSE_BELOW = 4000
"""Default of `NetworkConfig.dense_below`."""

NEAREST = 100
"""Default of `NetworkConfig.nearest`."""


def nearest_kept(settings: Mapping[str, object], n_rnas: int) -> int | None:
    """How many nearest RNAs of each are kept of a similarity; None where all pairs are.

    Args:
        settings: of a NetworkSet; defaults stand for what it lacks.
        n_rnas: RNAs of its dataset.
    """
    dense_below = settings.get("dense_below", DENSE_BELOW)
    nearest = settings.get("nearest", NEAREST)
    assert isinstance(dense_below, int)
    assert isinstance(nearest, int)
    return nearest if n_rnas > dense_below else None


def both_ways(similarity: sparse.csr_array) -> sparse.csr_array:
    """Join each RNA with its nearest in either direction, with a diagonal of 1."""
    joined = sparse.csr_array(similarity.maximum(similarity.T))
    return sparse.csr_array(joined + sparse.eye_array(joined.shape[0], dtype=joined.dtype))


def similarity_row(similarity: Similarity, row: int) -> np.ndarray:
    """Similarity of one RNA to all: float32, shape (n_rnas,); 0 where it is not stored."""
    if isinstance(similarity, np.ndarray):
        return similarity[row]
    result = np.zeros(similarity.shape[1], dtype=similarity.dtype)
    first, last = similarity.indptr[[row, row + 1]]
    result[similarity.indices[first:last]] = similarity.data[first:last]
    result[row] = 1
    return result


def similarity_bytes(similarity: Similarity) -> bytes:
    """All numbers of a similarity, for a hash."""
    if isinstance(similarity, np.ndarray):
        return np.ascontiguousarray(similarity).tobytes()
    return b"".join(_parts(similarity)[part].tobytes() for part in PARTS)


def is_sparse(similarities: Mapping[str, Similarity]) -> list[str]:
    """Names of the sparse ones, sorted."""
    return sorted(name for name, array in similarities.items() if sparse.issparse(array))


def write_similarities(similarities: Mapping[str, Similarity], path: Path) -> None:
    """Write the similarities of a NetworkSet to a safetensors file."""
    from safetensors.numpy import save_file

    arrays = {}
    for name, similarity in similarities.items():
        if isinstance(similarity, np.ndarray):
            arrays[name] = np.ascontiguousarray(similarity, dtype=np.float32)
        else:
            arrays |= {f"{name}.{part}": array for part, array in _parts(similarity).items()}
    with write_file(path) as temporary:
        save_file(arrays, temporary)


def _parts(similarity: sparse.csr_array) -> dict[str, np.ndarray]:
    arrays = (
        similarity.indptr.astype(np.int64),
        similarity.indices.astype(np.int32),
        similarity.data.astype(np.float32),
    )
    return dict(zip(PARTS, arrays, strict=True))


def read_similarities(
    path: Path, names: Sequence[str], sparse_names: Sequence[str], n_rnas: int
) -> dict[str, Similarity]:
    """Read the similarities of a NetworkSet, in the order of `names`.

    Args:
        path: safetensors file.
        names: of all similarities.
        sparse_names: those of which the nearest RNAs are stored.
        n_rnas: RNAs of the dataset.

    Raises:
        InputError: the file is missing, damaged, or does not fit the names and the RNAs.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from mirnagraph.reading.tensors import check_tensors

    try:
        check_tensors(path)
        arrays: dict[str, np.ndarray] = load_file(path)
    except FileNotFoundError:
        raise InputError("no such file", file=path, expected="the dense similarities") from None
    except (SafetensorError, OSError) as error:
        raise InputError("damaged safetensors file", file=path, found=str(error)) from None
    dense = [name for name in names if name not in sparse_names]
    expected = sorted([*dense, *(f"{name}.{part}" for name in sparse_names for part in PARTS)])
    if sorted(arrays) != expected:
        raise CheckpointError(
            "other similarities than listed", file=path, found=sorted(arrays), expected=expected
        )
    result: dict[str, Similarity] = {}
    for name in names:
        if name in dense:
            _check_dense(arrays[name], name, path, n_rnas)
            result[name] = arrays[name]
        else:
            parts = [arrays[f"{name}.{part}"] for part in PARTS]
            result[name] = _sparse_of(parts, name, path, n_rnas)
    return result


def _check_dense(array: np.ndarray, name: str, path: Path, n_rnas: int) -> None:
    damaged = partial(CheckpointError, file=path)
    found = f"{array.shape} {array.dtype}"
    expected = f"{(n_rnas, n_rnas)} float32"
    if found != expected:
        what = f"the matrix {name!r} does not fit its names"
        raise damaged(what, found=found, expected=expected)
    if not ((array >= 0) & (array <= 1)).all():
        raise damaged(f"the matrix {name!r} holds values outside [0, 1]")


def _sparse_of(parts: list[np.ndarray], name: str, path: Path, n_rnas: int) -> sparse.csr_array:
    """Sparse similarity of its arrays, checked."""
    pointers, columns, values = parts
    damaged = partial(CheckpointError, file=path)
    n_stored = len(values)
    is_whole = (
        [part.dtype.name for part in parts] == ["int64", "int32", "float32"]
        and pointers.shape == (n_rnas + 1,)
        and columns.shape == values.shape == (n_stored,)
        and pointers[0] == 0
        and pointers[-1] == n_stored
        and (np.diff(pointers) >= 0).all()
    )
    if not is_whole:
        raise damaged(
            f"the nearest RNAs of {name!r} do not fit its names",
            found=", ".join(f"{part.shape} {part.dtype}" for part in parts),
            expected=f"{n_rnas + 1} pointers that grow, columns and values",
        )
    if not ((columns >= 0) & (columns < n_rnas)).all() or not ((values > 0) & (values <= 1)).all():
        raise damaged(f"the nearest RNAs of {name!r} hold numbers out of range")
    similarity = sparse.csr_array((values, columns, pointers), shape=(n_rnas, n_rnas))
    if not similarity.has_canonical_format:
        raise damaged(f"the nearest RNAs of {name!r} are not in row order, each once")
    return similarity
