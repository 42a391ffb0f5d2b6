"""Tokens of measured numbers per RNA: level and breadth, tissue profile and leading components."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusion.tokens.names import EXPRESSION, TokenName
from fusion.tokens.table import BuildSettings, Target, Token, TokenKind, make_token
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError
from mirnagraph.measurements import ARMS, Measurement
from mirnagraph.networks.network import NetworkSet

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

THRESHOLDS = (0.0, 1.0, 10.0, 100.0, 1000.0)
"""Values, e.g. in RPM, above which a sample counts as expressing an RNA."""

GROUPED_BY = ("tissue", "study")


def level_columns(values: np.ndarray, log_values: np.ndarray) -> np.ndarray:
    """Summarise the values of each RNA over samples.

    Args:
        values: shape (n, n_samples), NaN where not measured.
        log_values: the same on a log scale (see `Measurement.log_values`).

    Returns:
        Shape (n, 12): mean, largest value and `QUANTILES` of `log_values`, then the share of the
        measured samples above each of `THRESHOLDS`. Zeros where nothing was measured.
    """
    is_measured = ~np.isnan(values)
    n_measured = np.maximum(1, is_measured.sum(axis=1))[:, None]
    columns = np.zeros((len(values), 2 + len(QUANTILES)))
    has_value = is_measured.any(axis=1)
    if has_value.any():
        measured = log_values[has_value]
        columns[has_value, 0] = np.nanmean(measured, axis=1)
        columns[has_value, 1] = np.nanmax(measured, axis=1)
        columns[has_value, 2:] = np.nanquantile(measured, QUANTILES, axis=1).T
    shares = [(values > threshold).sum(axis=1, keepdims=True) for threshold in THRESHOLDS]
    return np.hstack([columns, np.hstack(shares) / n_measured])


def group_means(log_values: pd.DataFrame, groups: pd.Series) -> np.ndarray:
    """Means of the samples of each group, e.g. tissue.

    Args:
        log_values: shape (n, n_samples), NaN where not measured.
        groups: group of each sample, empty for none.

    Returns:
        Shape (n, n_groups), groups in alphabetical order; 0 where nothing was measured.
    """
    names = sorted(set(groups) - {""})
    means = [log_values.loc[:, (groups == name).to_numpy()].mean(axis=1) for name in names]
    if not means:
        return np.zeros((len(log_values), 0))
    return pd.concat(means, axis=1).fillna(0.0).to_numpy()


def leading_components(log_values: pd.DataFrame, dim: int) -> np.ndarray:
    """Truncated SVD of RNAs x samples, each sample centred over the measured RNAs.

    A value that was not measured counts as the mean of its sample.

    Returns:
        Shape (n, at most dim).
    """
    centred = (log_values - log_values.mean()).fillna(0.0)
    return svd_scores(centred.to_numpy(), dim)


def _used(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Measurement:
    """Measurement of a token with the samples that it reads."""
    measurement = networks.dataset.measurements[name.target]
    is_used = measurement.used(body_fluids=settings.body_fluids)
    if not is_used.any():
        raise ConfigError(
            f"token '{name}': none of the {len(is_used)} samples of {name.target!r} may be read; "
            "all are isolated fractions or body fluids"
        )
    return measurement.select(is_used)


def _token(networks: NetworkSet, name: TokenName, table: pd.DataFrame) -> Token:
    """Token of the rows of a table; absent for an RNA without a row."""
    ids = networks.dataset.rnas.index
    is_present = np.asarray(ids.isin(table.index))
    return make_token(str(name), table.reindex(ids, fill_value=0.0).to_numpy(), is_present)


def _level(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """Level and breadth: `level_columns` of the best mature, and of each arm with its presence."""
    measurement = _used(networks, name, settings)
    index = measurement.values.index
    blocks = [_level_table(measurement, measurement.values)]
    for arm in ARMS:
        if arm not in measurement.arms:
            continue
        of_arm = _level_table(measurement, measurement.arms[arm])
        has_arm = pd.DataFrame({"present": 1.0}, index=of_arm.index)
        blocks.append(pd.concat([of_arm, has_arm], axis=1).reindex(index, fill_value=0.0))
    return _token(networks, name, pd.concat(blocks, axis=1))


def _level_table(measurement: Measurement, values: pd.DataFrame) -> pd.DataFrame:
    log_values = measurement.log_values(values).to_numpy()
    return pd.DataFrame(level_columns(values.to_numpy(), log_values), index=values.index)


def _profile(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """Means per tissue and per study, and leading components of log2(1 + value)."""
    measurement = _used(networks, name, settings)
    log_values = measurement.log_values()
    blocks = [group_means(log_values, measurement.samples[column]) for column in GROUPED_BY]
    blocks.append(leading_components(log_values, settings.svd_dim))
    return _token(networks, name, pd.DataFrame(np.hstack(blocks), index=log_values.index))


def _samples(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """log2(1 + value) in every sample; 0 where it was not measured."""
    log_values = _used(networks, name, settings).log_values()
    return _token(networks, name, log_values.fillna(0.0))


expression = TokenKind(_level, Target.MEASUREMENT, modality=EXPRESSION)
expression_profile = TokenKind(_profile, Target.MEASUREMENT, modality=EXPRESSION)
expression_samples = TokenKind(_samples, Target.MEASUREMENT, modality=EXPRESSION)
