"""Calibration section of a run's report: reliability, Brier score, uncertainty against errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.evaluation.calibration import (
    N_BINS,
    brier_parts,
    calibration_error_by_chance,
    equal_count_bins,
    expected_calibration_error,
    reliability_curve,
)
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.io import cell_problems, read_table
from mirnagraph.runs.markdown import finite_or_dash, save_figure, section
from mirnagraph.runs.markdown import table as markdown_table
from mirnagraph.runs.results import UNCERTAINTY, CrossValidationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT = "reliability.png"

THIRDS = ("lowest", "middle", "highest")

CALIBRATED = 0.02
"""Largest absolute log of a mean temperature at which a model counts as calibrated."""


def write_calibration(folder: Path, result: CrossValidationResult, seed: int = 0) -> str:
    """Draw ``reliability.png`` into a run folder; return the section on calibration.

    Args:
        folder: of the run; ``uncertainty.tsv`` in it is read where there is one.
        result: of the run.
        seed: of the labels drawn for the calibration error by chance.
    """
    save_figure(draw_reliability(result), folder / PLOT)
    table = calibration_table(result, seed)
    header = list(table.rename(columns={"brier": "Brier", "within_bins": "within bins"}).columns)
    rows = [[name, *map(finite_or_dash, values)] for name, *values in table.itertuples(index=False)]
    is_off = (table["ECE"] > table["by chance"]) & (table["compartment"] != AVERAGE)
    names = ", ".join(table.loc[is_off, "compartment"])
    about = (
        "predicted: mean probability; observed: share annotated. ECE: mean distance of the two "
        f"over {N_BINS} bins of equal count, pooled over the folds.\n"
        "by chance: 95th percentile of the ECE of a perfectly calibrated model with the same "
        "probabilities.\n"
        "Brier = reliability - resolution + uncertainty + within bins (variation inside bins)."
    )
    if names:
        judged = f"Calibration error above chance: {names}."
    else:
        judged = "No compartment has a calibration error above chance."
    blocks = [
        markdown_table(header, rows),
        about,
        f"{judged}\n{_temperatures(result)}",
        f"![Reliability]({PLOT})",
    ]
    if (folder / UNCERTAINTY).is_file():
        uncertainty = read_uncertainty(folder / UNCERTAINTY, result)
        blocks += _uncertainty_blocks(uncertainty, result)
    return section("Calibration and uncertainty", *blocks)


def calibration_table(result: CrossValidationResult, seed: int = 0) -> pd.DataFrame:
    """Calibration of the pooled out-of-fold probabilities, per compartment and on average.

    Returns:
        ``compartment``, ``predicted`` (mean probability), ``observed`` (share annotated), ``ECE``,
        ``by chance`` (95th percentile of the ECE of a perfectly calibrated model), and the parts of
        the Brier score (see `brier_parts`).
    """
    rows: list[dict[str, object]] = []
    for name, _, true, probability in result.pooled():
        by_chance = calibration_error_by_chance(probability, seed=seed)
        row = {
            "compartment": name,
            "predicted": probability.mean(),
            "observed": true.mean(),
            "ECE": expected_calibration_error(true, probability),
            "by chance": np.quantile(by_chance, 0.95),
        }
        rows.append(row | brier_parts(true, probability))
    means = pd.DataFrame(rows).mean(numeric_only=True)
    return pd.DataFrame([*rows, {"compartment": AVERAGE, **means}])


def _temperatures(result: CrossValidationResult) -> str:
    by_fold = {
        fold.fold: float(fold.choices["temperature"])
        for fold in result.results
        if "temperature" in fold.choices
    }
    if not by_fold:
        return "No temperature was fitted; the probabilities are those of the model."
    mean = float(np.mean(list(by_fold.values())))
    if abs(np.log(mean)) < CALIBRATED:
        judged = "calibrated"
    elif mean > 1:
        judged = "over-confident"
    else:
        judged = "under-confident"
    each = ", ".join(f"{fold}: {value:.3f}" for fold, value in by_fold.items())
    return (
        f"Temperature chosen in each training part, by fold: {each}. Mean {mean:.3f}: without it "
        f"the model is {judged}."
    )


def draw_reliability(result: CrossValidationResult) -> Figure:
    """Reliability curves and histograms of the pooled probabilities, one line per compartment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    bins = np.linspace(0, 1, 21).tolist()
    for name, _, true, probability in result.pooled():
        curve = reliability_curve(true, probability)
        label = f"{name} {expected_calibration_error(true, probability):.3f}"
        left.plot(curve["predicted"], curve["observed"], marker="o", markersize=3, label=label)
        right.hist(probability, bins=bins, histtype="step", label=name)
    left.set(
        title=f"Reliability, pooled, {N_BINS} bins of equal count (ECE)",
        ylabel="share annotated",
        ylim=(-0.01, 1.01),
    )
    right.set(title="Distribution of the probabilities", ylabel="RNAs")
    for axis in (left, right):
        axis.set(xlabel="predicted probability", xlim=(-0.01, 1.01))
        axis.legend(fontsize="small")
    return figure


def read_uncertainty(path: str | Path, result: CrossValidationResult) -> np.ndarray:
    """Read ``uncertainty.tsv`` of a run folder: SD of the probabilities over the ensemble.

    Returns:
        float64, shape (n_rnas, n_labels), 0 or more; NaN in rows that were not tested.

    Raises:
        InputError: a missing column, an unknown, repeated or absent RNA, or a cell that is no
            number of 0 or more; names file, line and column.
    """
    table = read_table(path, ["rna_id", "fold", *result.compartments])
    uncertainty = np.full(result.probabilities.shape, np.nan)
    ids = table["rna_id"]
    is_wrong = ~ids.isin(result.index.ids) | ids.duplicated()
    what = "unknown or repeated RNA"
    raise_problems(cell_problems(table, "rna_id", is_wrong, what, path, "each tested RNA once"))
    rows = result.index.positions(ids)
    for column, name in enumerate(result.compartments):
        numbers = pd.to_numeric(table[name], errors="coerce")
        is_wrong = ~(np.isfinite(numbers) & (numbers >= 0))
        what = "not a standard deviation"
        raise_problems(cell_problems(table, name, is_wrong, what, path, "a number of 0 or more"))
        uncertainty[rows, column] = numbers
    tested = result.of_row >= 0
    if not np.array_equal(np.isfinite(uncertainty[:, 0]), tested):
        raise InputError(
            "the RNAs are not those that were tested",
            file=path,
            found=len(rows),
            expected=int(tested.sum()),
        )
    return uncertainty


def error_by_uncertainty(result: CrossValidationResult, uncertainty: np.ndarray) -> pd.DataFrame:
    """Errors in thirds of uncertainty, made within each compartment so that all count alike.

    Args:
        result: of the run.
        uncertainty: SD of each probability, shape (n_rnas, n_labels), finite where tested.

    Returns:
        Rows lowest, middle, highest: ``third``, ``n`` (pairs of RNA and compartment), and means
        over the compartments: ``sd``, ``absolute error`` |p - y|, ``Brier``, and ``expected
        Brier`` p (1 - p), the Brier score of perfectly calibrated probabilities. Equal
        uncertainties share a third.
    """
    tables: list[pd.DataFrame] = []
    for (_, rows, true, p), sds in zip(result.pooled(), uncertainty.T, strict=True):
        pairs = pd.DataFrame(
            {
                "sd": sds[rows],
                "absolute error": np.abs(p - true),
                "Brier": (p - true) ** 2,
                "expected Brier": p * (1 - p),
            }
        )
        by_part = pairs.groupby(equal_count_bins(sds[rows], len(THIRDS)))
        tables.append(by_part.mean().assign(n=by_part.size()))
    by_part = pd.concat(tables).groupby(level=0)
    table = by_part.mean().assign(n=by_part["n"].sum())
    table.insert(0, "n", table.pop("n"))
    table.insert(0, "third", [THIRDS[part] for part in table.index])
    return table.reset_index(drop=True)


def _uncertainty_blocks(uncertainty: np.ndarray, result: CrossValidationResult) -> list[str]:
    """Table of errors by thirds of uncertainty, and what it shows."""
    from scipy.stats import spearmanr

    table = error_by_uncertainty(result, uncertainty)
    tested = result.of_row >= 0
    error = np.abs(result.probabilities - result.labels)[tested]
    correlations = []
    for sds, errors in zip(uncertainty[tested].T, error.T, strict=True):
        if len(np.unique(sds)) > 1 and len(np.unique(errors)) > 1:
            correlations.append(float(spearmanr(sds, errors).statistic))
    rows = [
        [f"{third} third", n, *map(finite_or_dash, values)]
        for third, n, *values in table.itertuples(index=False)
    ]
    header = [
        "uncertainty",
        "pairs",
        "SD over the ensemble",
        "mean absolute error",
        "Brier",
        "Brier if calibrated",
    ]
    return [markdown_table(header, rows), _verdict(table, correlations)]


def _verdict(table: pd.DataFrame, correlations: list[float]) -> str:
    """State whether larger uncertainty goes with larger errors, with the values."""
    if len(table) < 2 or not correlations:
        return "The uncertainty is the same for all RNAs and not informative about errors."
    first = table.iloc[0]
    last = table.iloc[-1]
    mean = float(np.mean(correlations))
    is_informative = bool(last["absolute error"] > first["absolute error"]) and mean > 0
    goes = "goes" if is_informative else "does not go"
    excess = [row["Brier"] - row["expected Brier"] for row in (first, last)]
    return (
        f"Larger uncertainty {goes} with larger errors. From the {first['third']} to the "
        f"{last['third']} third the mean absolute error changes from "
        f"{first['absolute error']:.3f} to {last['absolute error']:.3f} and the Brier score from "
        f"{first['Brier']:.3f} to {last['Brier']:.3f}.\n"
        "Rank correlation of SD and error, mean over compartments "
        f"(n = {len(correlations)}): {mean:.2f}.\n"
        "Part of this follows from the probabilities, which are nearer to 0.5 where the members "
        "differ: Brier score minus that of calibrated probabilities "
        f"{excess[0]:+.3f} in the {first['third']} and {excess[1]:+.3f} in the {last['third']} "
        "third."
    )
