"""The token ``tower``: logits of sequence towers that are trained in each fold, cross-fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusion.config import TowerSettings
from fusion.tokens.names import TOWER
from fusion.tokens.table import Token, make_token
from mirnagraph.errors import InputError
from mirnagraph.evaluation.balance import balanced_subsets
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.seeds import child_seed, generator
from seqtower.config import SeqConfig
from seqtower.encoders.base import FittedEncoding, fit_encoding
from seqtower.nn.losses import starting_logits
from seqtower.predict import read_sequences
from seqtower.towers.base import Tower
from seqtower.training.quick import train_quick


@dataclass(frozen=True, eq=False)
class FittedTowers:
    """Towers and encoding fitted on training rows, for the token ``tower``.

    Attributes:
        encoding: fitted on the sequences of the training rows.
        towers: frozen, in evaluation mode.
        start: base-rate logits of each tower's training rows, subtracted from its predictions:
            float64, shape (n_towers, n_labels). A subset rich in a compartment leaves the other
            rows poor in it; without the subtraction this would reveal a row's own label.
    """

    config: SeqConfig
    encoding: FittedEncoding
    towers: tuple[Tower, ...]
    start: np.ndarray

    def token(self, sequences: Sequence[str | None], subset: np.ndarray | None = None) -> Token:
        """The token of any RNAs: logits per compartment, absent without a sequence.

        Args:
            sequences: None for an RNA without one.
            subset: number of the tower that was not trained on the RNA, -1 for an RNA that no
                tower was trained on (mean of all towers): int64, shape (n,). None: -1 for all.
        """
        encoded = encode(self.encoding, sequences)
        has_sequence = np.array([len(array) > 0 for array in encoded], dtype=bool)
        training = self.config.training
        logits = [read_sequences(tower, encoded, training)[1] for tower in self.towers]
        centred = np.stack(logits) - self.start[:, None, :]
        number = np.full(len(encoded), -1) if subset is None else subset
        of_number = centred[np.maximum(number, 0), np.arange(len(encoded))]
        values = np.where((number >= 0)[:, None], of_number, centred.mean(axis=0))
        return make_token(TOWER, np.where(has_sequence[:, None], values, 0), has_sequence)


def encode(encoding: FittedEncoding, sequences: Sequence[str | None]) -> list[np.ndarray]:
    """Encode sequences.

    Returns:
        float32, shape (positions, channels) each; no position for an RNA without a sequence.
    """
    encoded = iter(encoding([sequence for sequence in sequences if sequence]))
    nothing = np.zeros((0, encoding.channels), dtype=np.float32)
    return [next(encoded) if sequence else nothing for sequence in sequences]


def split_rows(rows: np.ndarray, groups: np.ndarray, n_subsets: int, seed: int) -> np.ndarray:
    """Split rows into subsets of about equal size that keep groups whole.

    No label is read, so that a row's subset does not depend on its label.

    Args:
        rows: row numbers, shape (n,).
        groups: group number of every RNA, shape (n_rnas,).
        n_subsets: at most; the number of groups where there are fewer.
        seed: of this fold.

    Returns:
        Subset of each of `rows`: int64, shape (n,).

    Raises:
        InputError: fewer than two groups.
    """
    families, codes = np.unique(groups[rows], return_inverse=True)
    n_groups = len(families)
    if n_groups < 2:
        raise InputError(
            "too few training RNAs with a sequence to cross-fit towers",
            found=n_groups,
            expected="2 families or more",
        )
    n = min(n_subsets, n_groups)
    random = generator(seed, "tower", "parts")
    return balanced_subsets(np.ones((len(rows), 1)), codes, np.full(n, 1 / n), random)


def fit_towers(
    sequences: Sequence[str | None],
    labels: np.ndarray,
    groups: np.ndarray,
    train: np.ndarray,
    settings: TowerSettings,
    seed: int,
) -> tuple[FittedTowers, Token]:
    """Cross-fit towers on the training rows, and make the token of all rows.

    The token of a training row is that of the one tower that was not trained on it; of any other
    row it is the mean of all towers.

    Args:
        sequences: of all RNAs, None where there is none.
        labels: shape (n_rnas, n_labels); only training rows are read.
        groups: family number of every RNA, shape (n_rnas,).
        train: training rows.
        settings: of the towers.
        seed: of this fold.

    Raises:
        InputError: no training RNA has a sequence, or see `split_rows`.
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
    families = groups if settings.families else np.arange(len(groups))
    subset = split_rows(rows, families, settings.parts, seed)
    towers = []
    start = []
    for number in range(int(subset.max()) + 1):
        train_rows = rows[subset != number]
        arrays = [encoded[row] for row in train_rows]
        tower_seed = child_seed(seed, "tower", number)
        tower = train_quick(arrays, labels[train_rows], MULTI_LABEL, config, tower_seed)
        towers.append(tower)
        start.append(starting_logits(MULTI_LABEL, labels[train_rows]))
    fitted = FittedTowers(config, encoding, tuple(towers), np.array(start))
    subset_of_row = np.full(len(sequences), -1, dtype=np.int64)
    subset_of_row[rows] = subset
    return fitted, fitted.token(sequences, subset_of_row)
