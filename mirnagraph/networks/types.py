"""Network and NetworkSet: sparse networks over one row order, saved to and loaded from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import sparse

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.nodes import NodeIndex

SIMILARITY_NETWORKS = ("sequence", "functional")


@dataclass(frozen=True, eq=False)
class Network:
    """One network: RNA-RNA similarity, or associations of RNAs with partners of another kind.

    Attributes:
        name: ``"sequence"``, ``"functional"``, or the association kind.
        rnas: the RNAs, in row order.
        partners: nodes of the other kind in column order; None for a similarity network.
        matrix: CSR, float64, no stored zeros. Similarity: shape (n_rnas, n_rnas), symmetric, empty diagonal, weights in
            (0, 1]. Association: shape (n_rnas, n_partners), weights above 0.
    """

    name: str
    rnas: NodeIndex
    partners: NodeIndex | None
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        shape = (len(self.rnas), len(self.rnas if self.partners is None else self.partners))
        if self.matrix.shape != shape:
            raise InputError(f"the matrix of network {self.name!r} does not fit its names", found=self.matrix.shape, expected=shape)

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
        full = sparse.block_array([[None, self.matrix], [self.matrix.T, None]], format="csr")
        result = sparse.csr_array(full)
        result.sort_indices()
        return result


@dataclass(frozen=True, eq=False)
class NetworkSet:
    """All networks of one Dataset, with the dense similarities they were cut from.

    Attributes:
        dataset: where they come from; carries labels and row order.
        networks: name -> Network, similarity networks first.
        similarities: name -> dense float32 array in [0, 1]; ``"sequence"``, ``"functional"`` (the blend), ``"gip"``,
            ``"semantic"`` of shape (n_rnas, n_rnas). RNAs without a sequence or disease have zeros off the diagonal.
        settings: the NetworkConfig as plain values.
        left_out: networks that the dataset has nothing to build from -> why.
    """

    dataset: Dataset
    networks: Mapping[str, Network]
    similarities: Mapping[str, np.ndarray]
    settings: Mapping[str, object] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Network:
        try:
            return self.networks[name]
        except KeyError:
            raise InputError("no such network", found=name, expected=", ".join(self.networks)) from None

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write everything to a folder, all or nothing: dataset, settings, edge lists, similarities, statistics.

        Raises:
            InputError: the folder exists and is not empty, and `overwrite` is not set; or the disk is full.
        """
        from mirnagraph.networks.files import save_networks

        return save_networks(self, Path(folder), overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> NetworkSet:
        """Read a folder written by `save`; equal to what was saved.

        Raises:
            InputError: the folder is not a networks folder, or a file in it is damaged or does not fit the others.
        """
        from mirnagraph.networks.files import load_networks

        return load_networks(Path(folder))
