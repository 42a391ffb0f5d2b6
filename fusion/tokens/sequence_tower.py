"""The sequence tower as a token: what towers trained in a fold say of RNAs they did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusion.config import TowerSettings
from fusion.tokens.names import TOWER
from fusion.tokens.table import Token, make_token
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.evaluation.splits import balanced_subsets
from mirnagraph.seeds import child_seed, generator
from seqtower.config import SeqConfig
from seqtower.encoders.base import FittedEncoding, fit_encoding
from seqtower.nn.losses import starting_logits
from seqtower.predict import read_sequences
from seqtower.towers.base import Tower
from seqtower.training.quick import train_quick


@dataclass(frozen=True, eq=False)
class FittedTowers:
    """What was fitted for the token ``tower`` on training rows.

    Attributes:
        encoding: fitted on the training rows' sequences.
        towers: frozen, in evaluation mode.
        start: float64, shape (n_towers, n_labels): log odds of the rows that each tower learned from, which its logits are counted from. A part
            rich in a compartment leaves the rows outside it poor in it; without this, that alone would tell something of a row's own label.
    """

    config: SeqConfig
    encoding: FittedEncoding
    towers: tuple[Tower, ...]
    start: np.ndarray

    def token(self, sequences: Sequence[str | None], part: np.ndarray | None = None) -> Token:
        """The token of any RNAs, logits of each compartment; absent for those without a sequence.

        Args:
            part: number of the tower that did not learn from an RNA, -1 for an RNA that none learned from, of which it is the mean
                of all: int64, shape (n,). None: all RNAs are such.
        """
        encoded = encode(self.encoding, sequences)
        there = np.array([len(one) > 0 for one in encoded], dtype=bool)
        said = (
            np.stack(
                [read_sequences(tower, encoded, self.config.training)[1] for tower in self.towers]
            )
            - self.start[:, None, :]
        )
        number = np.full(len(encoded), -1) if part is None else part
        values = np.where(
            (number >= 0)[:, None],
            said[np.maximum(number, 0), np.arange(len(encoded))],
            said.mean(axis=0),
        )
        return make_token(TOWER, np.where(there[:, None], values, 0), there)


def encode(encoding: FittedEncoding, sequences: Sequence[str | None]) -> list[np.ndarray]:
    """Each float32 of shape (positions, channels); without a position for an RNA that has no sequence."""
    known = [row for row, sequence in enumerate(sequences) if sequence]
    found = [np.zeros((0, encoding.channels), dtype=np.float32)] * len(sequences)
    for row, one in zip(known, encoding([str(sequences[row]) for row in known]), strict=True):
        found[row] = one
    return found


def inner_parts(rows: np.ndarray, groups: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """Part rows into parts of about equal size that part no group; no label is read, so a row's part says nothing of its label.

    Args:
        rows: row numbers, shape (n,).
        groups: of all RNAs, shape (n_rnas,).

    Returns:
        Part of each of `rows`, below the smaller of `n_parts` and the number of groups: int64, shape (n,).

    Raises:
        InputError: fewer than two groups.
    """
    codes = np.unique(groups[rows], return_inverse=True)[1]
    n_groups = len(np.unique(codes))
    if n_groups < 2:
        raise InputError(
            "too few training RNAs with a sequence to fit towers across",
            found=n_groups,
            expected="2 families or more",
        )
    n = min(n_parts, n_groups)
    return balanced_subsets(
        np.ones((len(rows), 1)), codes, np.full(n, 1 / n), generator(seed, "tower", "parts")
    )


def fit_towers(
    sequences: Sequence[str | None],
    labels: np.ndarray,
    groups: np.ndarray,
    train: np.ndarray,
    settings: TowerSettings,
    seed: int,
) -> tuple[FittedTowers, Token]:
    """Fit on the training rows, and make the token of all rows.

    A frozen tower's token holds, of a training row, what the one tower says that did not learn from it; of every other row the mean of all.

    Args:
        sequences: of all RNAs; None where there is none.
        labels: shape (n_rnas, n_labels); only training rows are read.
        groups: family number of every RNA, shape (n_rnas,).
        seed: of this fold.

    Raises:
        InputError: see `inner_parts`.
    """
    config = settings.config()
    rows = np.array([row for row in train if sequences[row]], dtype=np.int64)
    if not len(rows):
        raise InputError(
            "no training RNA has a sequence, which the token 'tower' needs",
            found=0,
            expected="2 or more",
        )
    known = [str(sequences[row]) for row in rows]
    encoding = fit_encoding(config.encoder, config.lengths, known)
    encoded = encode(encoding, sequences)
    rows = np.array([row for row in rows if len(encoded[row])], dtype=np.int64)
    part = inner_parts(
        rows, groups if settings.families else np.arange(len(groups)), settings.parts, seed
    )
    towers = []
    start = []
    for number in range(int(part.max()) + 1):
        learn = rows[part != number]
        towers.append(
            train_quick(
                [encoded[row] for row in learn],
                labels[learn],
                MULTI_LABEL,
                config,
                child_seed(seed, "tower", number),
            )
        )
        start.append(starting_logits(MULTI_LABEL, labels[learn]))
    fitted = FittedTowers(config, encoding, tuple(towers), np.array(start))
    of_row = np.full(len(sequences), -1, dtype=np.int64)
    of_row[rows] = part
    return fitted, fitted.token(sequences, of_row)
