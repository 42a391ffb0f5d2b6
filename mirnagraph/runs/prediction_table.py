"""Rows of a table of predictions: names, probabilities, intervals, calls and remarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from mirnagraph.errors import ConfigError
from mirnagraph.names import suggest

QUERY = "query"
RNA_ID = "rna_id"
CALLED = "called"
WARNING = "warning"
LOW = "{} low"
HIGH = "{} high"

Z_95 = 1.96
"""Standard normal quantile of a 95 % interval."""

DIGITS = 6
"""Significant digits of numbers in text formats."""


def logit_interval(
    probabilities: np.ndarray, uncertainty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of probabilities from their spread over the members of an ensemble.

    By the delta method the SD of a logit is ``SD / (p (1 - p))``; the interval is symmetric on the
    logit scale and lies in (0, 1). It describes how far the members of the model disagree, not how
    often predictions of this kind are right.

    Args:
        probabilities: in [0, 1], any shape.
        uncertainty: SD of the probabilities over the members, same shape.

    Returns:
        Lower and upper ends, same shape; NaN where there is no spread (an SD of 0 or NaN) or the
        probability is 0 or 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    sd = np.asarray(uncertainty, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        has_spread = (sd > 0) & (p > 0) & (p < 1)
        sd_logit = np.where(has_spread, sd / (p * (1 - p)), np.nan)
        centre = logit(np.where(has_spread, p, np.nan))
    return expit(centre - Z_95 * sd_logit), expit(centre + Z_95 * sd_logit)


@dataclass(frozen=True, eq=False)
class PredictionRows:
    """Predictions of some RNAs, in the order of their queries.

    Attributes:
        ids: text columns ``query`` (as asked), ``rna_id`` (that answers, empty for none) and
            further names; index 0, 1, …
        compartments: names, in column order.
        probabilities: shape (n, n_compartments); NaN where there is none.
        uncertainty: SD over the members of the ensemble, same shape; NaN where there is none.
        called: bool, same shape; None for fractions, which have no calls.
        details: further columns, such as ``warning``; same index as `ids`.
    """

    ids: pd.DataFrame
    compartments: tuple[str, ...]
    probabilities: np.ndarray
    uncertainty: np.ndarray
    called: np.ndarray | None
    details: pd.DataFrame

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_unanswered(self) -> np.ndarray:
        """Whether no RNA answers the query: bool, shape (n,)."""
        return (self.ids[RNA_ID] == "").to_numpy(dtype=bool)

    def take(self, rows: np.ndarray) -> Self:
        """Rows by number, in the order given."""
        return replace(
            self,
            ids=self.ids.iloc[rows].reset_index(drop=True),
            probabilities=self.probabilities[rows],
            uncertainty=self.uncertainty[rows],
            called=None if self.called is None else self.called[rows],
            details=self.details.iloc[rows].reset_index(drop=True),
        )

    def select(self, compartments: Sequence[str]) -> Self:
        """Keep some compartments, in the order given.

        Raises:
            ConfigError: an unknown compartment, with those that there are.
        """
        columns = compartment_columns(compartments, self.compartments)
        return replace(
            self,
            compartments=tuple(self.compartments[column] for column in columns),
            probabilities=self.probabilities[:, columns],
            uncertainty=self.uncertainty[:, columns],
            called=None if self.called is None else self.called[:, columns],
        )

    def strength(self) -> np.ndarray:
        """Largest probability of each row: shape (n,); NaN where there is none."""
        values = np.where(np.isnan(self.probabilities), -np.inf, self.probabilities)
        largest = values.max(axis=1, initial=-np.inf)
        return np.where(np.isfinite(largest), largest, np.nan)

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval of every probability, see `logit_interval`."""
        return logit_interval(self.probabilities, self.uncertainty)

    def to_frame(self) -> pd.DataFrame:
        """One row per query.

        Columns: those of `ids`, the probability of each compartment, ``called`` (names separated
        by ``;``), ``COMPARTMENT low`` and ``COMPARTMENT high``, then those of `details`.
        """
        names = list(self.compartments)
        parts = [self.ids, pd.DataFrame(self.probabilities, columns=names)]
        if self.called is not None:
            labels = np.array(names, dtype=object)
            parts.append(pd.DataFrame({CALLED: [";".join(labels[row]) for row in self.called]}))
        low, high = self.interval()
        ends: dict[str, np.ndarray] = {}
        for column, name in enumerate(names):
            ends[LOW.format(name)] = low[:, column]
            ends[HIGH.format(name)] = high[:, column]
        return pd.concat([*parts, pd.DataFrame(ends), self.details], axis=1)

    def to_records(self) -> list[dict[str, Any]]:
        """One mapping per query, of plain values for JSON, numbers with `DIGITS` digits."""
        low, high = self.interval()
        is_known = ~np.isnan(self.probabilities)
        ids = self.ids.to_dict("records")
        details = self.details.to_dict("records")
        records = []
        for row in range(len(self)):
            compartments = {}
            for column, name in enumerate(self.compartments):
                cell = {
                    "probability": plain(self.probabilities[row, column]),
                    "low": plain(low[row, column]),
                    "high": plain(high[row, column]),
                    "uncertainty": plain(self.uncertainty[row, column]),
                }
                if self.called is not None:
                    is_called = bool(self.called[row, column])
                    cell[CALLED] = is_called if is_known[row, column] else None
                compartments[name] = cell
            record: dict[str, Any] = {str(key): plain(value) for key, value in ids[row].items()}
            record["compartments"] = compartments
            record |= {str(key): plain(value) for key, value in details[row].items()}
            records.append(record)
        return records


def compartment_columns(names: Sequence[str], compartments: Sequence[str]) -> list[int]:
    """Columns of some compartments, in the order given; compared without case.

    Raises:
        ConfigError: an unknown compartment, with the nearest ones.
    """
    column_of = {name.casefold(): column for column, name in enumerate(compartments)}
    columns = []
    for name in names:
        column = column_of.get(name.casefold())
        if column is None:
            near = suggest(name, list(compartments)) or list(compartments)
            raise ConfigError(f"no compartment {name!r} in the model; it has {', '.join(near)}")
        columns.append(column)
    return list(dict.fromkeys(columns))


def join_rows(parts: Sequence[PredictionRows]) -> PredictionRows:
    """Join rows of the same compartments and columns, in the order given; one part or more."""
    first = parts[0]
    called = None
    if first.called is not None:
        called = np.concatenate([part.called for part in parts if part.called is not None])
    return replace(
        first,
        ids=pd.concat([part.ids for part in parts], ignore_index=True),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        uncertainty=np.concatenate([part.uncertainty for part in parts]),
        called=called,
        details=pd.concat([part.details for part in parts], ignore_index=True),
    )


def strongest(parts: Sequence[PredictionRows], top: int) -> PredictionRows:
    """The rows of the largest probabilities, largest first; earlier rows first among equal ones.

    Rows without a probability are left out.

    Args:
        parts: one or more, see `join_rows`.
        top: largest number of rows.
    """
    rows = join_rows(parts)
    strength = rows.strength()
    order = np.argsort(-strength, kind="stable")
    order = order[np.isfinite(strength[order])]
    return rows.take(order[:top])


def plain(value: object) -> object:
    """A value as JSON has it: `DIGITS` significant digits, None for NaN."""
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.{DIGITS}g}") if np.isfinite(value) else None
    if isinstance(value, np.generic):
        return value.item()
    return value
