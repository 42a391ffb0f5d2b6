"""RNAs in pieces that fit into a batch: the data of training and prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from seqtower.config import SeqTrainConfig
from seqtower.data.batches import Batch, collate, split_long
from seqtower.encoders.base import Encoded, encoded_sizes
from seqtower.training.plans import Plan


class PieceData(Dataset[Batch]):
    """Pieces of RNAs; an item is the padded batch of some pieces.

    Attributes:
        owner: row number of the RNA of each piece: int64, shape (n_pieces,).
        lengths: positions of each piece: int64, shape (n_pieces,).
    """

    owner: np.ndarray
    lengths: np.ndarray

    def plan(self, rows: np.ndarray, config: SeqTrainConfig, seed: int | None = None) -> Plan:
        """Plan batches of the pieces of some RNAs, see `Plan`."""
        numbers = np.flatnonzero(np.isin(self.owner, rows))
        return Plan(numbers, self.lengths, config.batch_tokens, config.batch_rnas, seed)


class PartData(Dataset[list[Batch]]):
    """Parts of a batch, each of them padded by itself."""

    def __init__(self, data: PieceData) -> None:
        self.data = data

    def __getitem__(self, parts: Sequence[np.ndarray]) -> list[Batch]:
        return [self.data[numbers] for numbers in parts]


class EncodedPieces(PieceData):
    """Encoded RNAs, those of more than `limit` positions in windows (see `split_long`).

    Attributes:
        n_rnas: number of RNAs.
    """

    def __init__(
        self,
        encoded: Encoded,
        limit: int,
        types: np.ndarray | None = None,
        numbers: np.ndarray | None = None,
    ) -> None:
        self.n_rnas = len(encoded)
        self.encoded = encoded
        self.owner, self.starts, ends = split_long(encoded_sizes(encoded), limit)
        self.lengths = ends - self.starts
        self.types = None if types is None else types[self.owner]
        self.numbers = numbers

    def __getitem__(self, numbers: np.ndarray) -> Batch:
        types = None if self.types is None else self.types[numbers]
        of_rnas = None if self.numbers is None else self.numbers[self.owner[numbers]]
        pieces = []
        for number in numbers.tolist():
            start = self.starts[number]
            end = start + self.lengths[number]
            pieces.append(self.encoded[self.owner[number]][start:end])
        return collate(pieces, numbers, types=types, numbers=of_rnas)
