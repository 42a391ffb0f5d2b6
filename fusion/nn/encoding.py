"""Piecewise-linear encoding of numbers, with bins from training rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

MARGIN = 0.5
"""How far a value beyond the outer bins may leave [0, 1]."""


class PiecewiseLinear(nn.Module):
    """Each number as its place within every bin (Gorishniy et al. 2022, arXiv:2203.05556).

    Bins of a column end at quantiles of the training rows. A component is 0 below its bin, 1 above
    it, and linear inside; the first bin is open below and the last one above, up to `MARGIN`. Then
    the training mean is subtracted. A column that is constant over the training rows has no
    component, nor has any column without training rows.

    Args:
        n_columns: numbers of a row.
        n_components: components, see `fit`; 0 before fitting.
    """

    def __init__(self, n_columns: int, n_components: int = 0) -> None:
        super().__init__()
        self.n_columns = n_columns
        self.register_buffer("column", torch.zeros(n_components, dtype=torch.int64))
        for name in ("start", "width", "low", "high", "mean"):
            self.register_buffer(name, torch.zeros(n_components))

    @property
    def n_components(self) -> int:
        """Columns of the encoding."""
        return len(self.get_buffer("column"))

    @classmethod
    def fit(cls, values: np.ndarray, n_bins: int) -> PiecewiseLinear:
        """Choose bins.

        Args:
            values: training rows, shape (n, n_columns), finite.
            n_bins: bins of a column; fewer where quantiles coincide.
        """
        column: list[np.ndarray] = []
        starts: list[np.ndarray] = []
        widths: list[np.ndarray] = []
        places = np.linspace(0, 1, n_bins + 1)
        for number in range(values.shape[1] if len(values) else 0):
            quantiles = np.quantile(values[:, number].astype(np.float64), places)
            # as the buffers: edges that differ in float64 alone would be a bin of width 0
            edges = np.unique(quantiles.astype(np.float32))
            starts.append(edges[:-1])
            widths.append(np.diff(edges))
            column.append(np.full(len(edges) - 1, number))
        numbers = np.concatenate([np.zeros(0, dtype=int), *column])
        encoding = cls(values.shape[1], len(numbers))
        is_first = np.diff(numbers, prepend=-1) != 0
        is_last = np.diff(numbers, append=values.shape[1]) != 0
        for name, array in {
            "column": numbers,
            "start": np.concatenate([np.zeros(0), *starts]),
            "width": np.concatenate([np.zeros(0), *widths]),
            "low": np.where(is_first, -MARGIN, 0.0),
            "high": np.where(is_last, 1 + MARGIN, 1.0),
        }.items():
            buffer = encoding.get_buffer(name)
            buffer.copy_(torch.from_numpy(array).to(buffer.dtype))
        if len(values):
            with torch.no_grad():
                encoded = encoding(torch.from_numpy(values.astype(np.float32)))
            encoding.get_buffer("mean").copy_(encoded.mean(dim=0))
        return encoding

    def forward(self, values: Tensor) -> Tensor:
        """Encode rows: (n, n_columns) -> (n, n_components)."""
        wide = values[:, self.get_buffer("column")]
        place = (wide - self.get_buffer("start")) / self.get_buffer("width")
        low, high = self.get_buffer("low"), self.get_buffer("high")
        return torch.minimum(torch.maximum(place, low), high) - self.get_buffer("mean")
