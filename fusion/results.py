"""Results of a cross-validation: out-of-fold predictions, metrics, and the files they are kept in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mirnagraph.evaluation.fold_files import FoldResult
from mirnagraph.evaluation.predictions import prediction_frame
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex

UNCERTAINTY = "uncertainty.tsv"


@dataclass(frozen=True, eq=False)
class CrossValidationResult:
    """All folds together.

    Attributes:
        index: all RNAs of the dataset.
        compartments: names, in column order.
        folds: which RNA was tested in which fold.
        labels: int8, shape (n_rnas, n_labels); float64 with NaN where there are labels that are not known.
        probabilities: float64, shape (n_rnas, n_labels); NaN in rows that no fold tested.
        thresholds: float64, shape (n_rnas, n_labels): probability above which a compartment is called, chosen in the
            training part of the fold that tested the RNA.
        results: one per fold, in fold order.
        metrics: table of `mirnagraph.evaluation.metrics.evaluate`.
    """

    index: NodeIndex
    compartments: tuple[str, ...]
    folds: Folds
    labels: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray
    results: tuple[FoldResult, ...]
    metrics: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Predictions as in ``predictions.tsv``: ``rna_id``, ``fold``, one probability per compartment, tested RNAs only."""
        return prediction_frame(self.index, self.compartments, self.folds, self.probabilities)

    def tested(self, column: int) -> np.ndarray:
        """Rows that a fold tested and whose label of a compartment is known: int64."""
        return np.flatnonzero((self.folds.of_rows(self.index) >= 0) & ~np.isnan(self.labels[:, column].astype(float)))

    @property
    def spread(self) -> np.ndarray:
        """SD of the probabilities over the ensemble of the fold that tested the RNA: shape (n_rnas, n_labels), NaN in rows that no fold tested."""
        found = np.full(self.probabilities.shape, np.nan)
        for result in self.results:
            if result.uncertainty is not None:
                found[result.rows] = result.uncertainty
        return found

    def uncertainty_frame(self) -> pd.DataFrame:
        """`spread` as a table; columns as in `to_frame`."""
        return prediction_frame(self.index, self.compartments, self.folds, self.spread)

    def labels_frame(self) -> pd.DataFrame:
        """True labels of the tested RNAs, rows as in `to_frame`: ``rna_id`` and one 0/1 column per compartment, empty where not known."""
        rows = np.flatnonzero(self.folds.of_rows(self.index) >= 0)
        table = pd.DataFrame(self.labels[rows], columns=list(self.compartments))
        if np.isnan(self.labels.astype(float)).any():
            table = table.astype("Int64")
        table.insert(0, "rna_id", [self.index.ids[row] for row in rows])
        return table
