"""Similarity networks of many RNAs: blocks of rows, of which edges and nearest RNAs are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.dataset import Dataset
from mirnagraph.networks.inputs import (
    circular_rnas,
    disease_profiles,
    expression_profiles,
    sequences_of,
    split_matures,
)
from mirnagraph.networks.settings import (
    KMER,
    CoexpressionNetworkConfig,
    FunctionalNetworkConfig,
    NetworkConfig,
    SequenceNetworkConfig,
    cutoff_of,
)
from mirnagraph.parallel import Progress
from mirnagraph.similarity.best import Keep, Neighbours, join_nearest
from mirnagraph.similarity.blocks import NamedRows, row_neighbours, rows_at_once
from mirnagraph.similarity.candidates import indexed_neighbours
from mirnagraph.similarity.disease import BlendedRows, functional_rows
from mirnagraph.similarity.kmer import kmer_rows
from mirnagraph.similarity.nearest import sequence_neighbours
from mirnagraph.similarity.profile import correlation_rows, gip_rows
from mirnagraph.similarity.smith_waterman import AlignedRows

AnyConfig = SequenceNetworkConfig | FunctionalNetworkConfig | CoexpressionNetworkConfig


@dataclass(frozen=True, eq=False)
class LargeNetwork:
    """A similarity network of which no dense similarity was made.

    Attributes:
        matrix: its edges, as `Network.matrix`.
        nearest: name of a similarity -> the most similar RNAs of each (see
            `NetworkSet.similarities`).
        notes: sentences on what is not exact.
    """

    matrix: sparse.csr_array
    nearest: Mapping[str, sparse.csr_array]
    notes: tuple[str, ...] = field(default=())


def large_sequence(
    dataset: Dataset,
    config: NetworkConfig,
    workers: int,
    progress: Progress | None,
    store: str | Path | None,
) -> LargeNetwork:
    """Build the sequence network in blocks; the edges are those of the dense way."""
    own = config.sequence
    cells = sequences_of(dataset, own)
    keep = _keep(own, config.nearest)
    notes: tuple[str, ...] = ()
    how: dict[str, Any] = {"workers": workers, "progress": progress}
    if own.engine == KMER or own.which == "mature" or own.engine == "parasail":
        rows = _sequence_rows(dataset, cells, own)
        step = "sequence similarity (rows)"
        found = row_neighbours(rows, {"sequence": keep}, step=step, **how)["sequence"]
    elif own.index.is_used(cells):
        given = own.index, own.scores
        found, recall = indexed_neighbours(cells, keep, *given, store=store, **how)
        notes = (str(recall),)
    else:
        found = sequence_neighbours(cells, keep, own.scores, store=store, **how)
    return LargeNetwork(_edges(found, own), {"sequence": _single(found)}, notes)


def _sequence_rows(
    dataset: Dataset, cells: list[str | None], config: SequenceNetworkConfig
) -> NamedRows:
    """Rows of the similarity of sequences where these are not aligned by pyopal, or are several."""
    if config.engine == KMER:
        rows = kmer_rows(cells, config.kmer, circular=circular_rnas(dataset))
        return NamedRows("sequence", rows)
    groups = split_matures(cells)
    if config.which == "hairpin":
        # one that is all N is 0 to every other one, also to its equal
        groups = [[cell] if cell and set(cell.upper()) != {"N"} else [] for cell in cells]
    return NamedRows("sequence", AlignedRows.of(groups, config.scores, config.engine))


def large_functional(
    dataset: Dataset, config: NetworkConfig, workers: int, progress: Progress | None
) -> LargeNetwork:
    """Build the functional network in blocks; the edges are those of the dense way."""
    own = config.functional
    matrix, diseases = disease_profiles(dataset, own)
    semantic = functional_rows(matrix, diseases, method=own.method)
    rows = BlendedRows(semantic, gip_rows(matrix, gamma=own.gamma), own.lambda_)
    others = Keep(config.nearest, single=True)
    keep = {"functional": _keep(own, config.nearest), "semantic": others, "gip": others}
    step = "functional similarity (rows)"
    found = row_neighbours(rows, keep, step=step, workers=workers, progress=progress)
    nearest = {name: _single(kept) for name, kept in found.items()}
    return LargeNetwork(_edges(found["functional"], own), nearest)


def large_coexpression(
    dataset: Dataset, config: NetworkConfig, workers: int, progress: Progress | None
) -> LargeNetwork:
    """Build the co-expression network in blocks; equal to the dense way but for rounding."""
    own = config.coexpression
    profiles = expression_profiles(dataset, own)
    rows = correlation_rows(profiles, method=own.method, side=rows_at_once(len(profiles)))
    keep = {"coexpression": _keep(own, config.nearest)}
    step = "co-expression (rows)"
    named = NamedRows("coexpression", rows)
    found = row_neighbours(named, keep, step=step, workers=workers, progress=progress)
    kept = found["coexpression"]
    return LargeNetwork(_edges(kept, own), {"coexpression": _single(kept)})


def _keep(config: AnyConfig, nearest: int) -> Keep:
    """The RNAs that are stored, and those that the rule of the network needs."""
    if config.rule == "cutoff":
        return Keep(nearest, above=cutoff_of(config), single=True)
    return Keep(max(nearest, config.top_k), single=True)


def _edges(found: Neighbours, config: AnyConfig) -> sparse.csr_array:
    """Edges of a network by its rule."""
    matrix = found.above
    if matrix is None:
        matrix = join_nearest(found.nearest, config.top_k)
    if not config.weighted:
        matrix = matrix.copy()
        matrix.data[:] = 1.0
    return matrix


def _single(found: Neighbours) -> sparse.csr_array:
    return sparse.csr_array(found.nearest, dtype=np.float32)
