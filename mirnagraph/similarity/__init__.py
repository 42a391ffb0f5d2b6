"""Similarity measures: one pure function per measure, each returning a square array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

Matrix: TypeAlias = (
    np.ndarray | sparse.sparray | sparse.spmatrix | pd.DataFrame | Sequence[Sequence[float]]
)
"""What is read as a matrix of numbers, by place (`mirnagraph.reading.arguments.finite_matrix`)."""
