"""The part of a run's report on calibration and uncertainty: can the probabilities be taken at their word, and does the run know when it errs?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.evaluation.calibration import (
    N_BINS,
    brier_parts,
    calibration_error_by_chance,
    equal_count_bins,
    expected_calibration_error,
    reliability_curve,
)
from mirnagraph.io import read_table, write_file
from mirnagraph.runs.results import CrossValidationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNCERTAINTY = "uncertainty.tsv"
PLOT = "reliability.png"

THIRDS = ("lowest", "middle", "highest")


def write_calibration(folder: Path, result: CrossValidationResult, seed: int = 0) -> list[str]:
    """Draw ``reliability.png`` into a run folder and return the lines of the section "Calibration and uncertainty".

    Args:
        folder: of the run; ``uncertainty.tsv`` in it is read where there is one.
        seed: of the labels drawn to see what chance alone does to the calibration error.
    """
    with write_file(folder / PLOT) as part:
        draw_reliability(result).savefig(part, format="png", dpi=110, metadata={"Software": None})
    table = calibration_table(result, seed)
    lines = [
        "## Calibration and uncertainty",
        "",
        "| compartment | predicted | observed | ECE | by chance | Brier | reliability | resolution | uncertainty |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        cells = [
            f"{row[c]:.3f}"
            for c in (
                "predicted",
                "observed",
                "ECE",
                "by chance",
                "brier",
                "reliability",
                "resolution",
                "uncertainty",
            )
        ]
        lines.append(f"| {row['compartment']} | " + " | ".join(cells) + " |")
    above = [
        str(row["compartment"])
        for row in table.to_dict("records")
        if row["ECE"] > row["by chance"] and row["compartment"] != "average"
    ]
    lines += [
        "",
        "Predicted is the mean probability, observed the share annotated. ECE is their mean distance over ten bins of equally many RNAs, pooled over",
        "the folds; *by chance* is what 95 of 100 perfectly calibrated models with the same probabilities stay below. Brier = reliability - resolution +",
        "uncertainty, up to what the bins hide.",
        f"Calibration is off by more than chance explains in: {', '.join(above)}."
        if above
        else "No compartment is off by more than chance explains.",
        _temperatures(result),
        "",
        f"![Reliability]({PLOT})",
        "",
    ]
    if (folder / UNCERTAINTY).is_file():
        lines += _uncertainty_lines(read_uncertainty(folder / UNCERTAINTY, result), result)
    return lines


def calibration_table(result: CrossValidationResult, seed: int = 0) -> pd.DataFrame:
    """Calibration of the pooled out-of-fold probabilities, one row per compartment and one for the mean over them.

    Returns:
        ``compartment``, ``predicted`` (mean probability), ``observed`` (share annotated), ``ECE``, ``by chance`` (95th percentile of
        the ECE of a perfectly calibrated model), and the parts of the Brier score (see `brier_parts`).
    """
    rows: list[dict[str, object]] = []
    for column, name in enumerate(result.compartments):
        tested = result.tested(column)
        true = result.labels[tested, column]
        probability = result.probabilities[tested, column]
        chance = float(np.quantile(calibration_error_by_chance(probability, seed=seed), 0.95))
        rows.append({
            "compartment": name, "predicted": float(probability.mean()), "observed": float(true.mean()),
            "ECE": expected_calibration_error(true, probability), "by chance": chance, **brier_parts(true, probability),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    average = {"compartment": "average", **table.drop(columns="compartment").mean().to_dict()}
    return pd.concat([table, pd.DataFrame([average])], ignore_index=True)


def _temperatures(result: CrossValidationResult) -> str:
    chosen = {
        one.fold: float(one.choices["temperature"])
        for one in result.results
        if "temperature" in one.choices
    }
    if not chosen:
        return "No temperature was chosen: the probabilities are as the model gives them."
    values = np.array(list(chosen.values()))
    each = ", ".join(f"{fold}: {value:.3f}" for fold, value in chosen.items())
    side = (
        "about right"
        if abs(np.log(values.mean())) < 0.02
        else "over-confident"
        if values.mean() > 1
        else "timid"
    )
    return f"Temperatures chosen inside the training parts, by fold: {each}. Their mean is {values.mean():.3f}: by itself the model is {side}."


def draw_reliability(result: CrossValidationResult) -> Figure:
    """Reliability curves of the pooled out-of-fold probabilities, and how often each probability is given, one line per compartment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for column, name in enumerate(result.compartments):
        tested = result.tested(column)
        true = result.labels[tested, column]
        probability = result.probabilities[tested, column]
        curve = reliability_curve(true, probability)
        left.plot(
            curve["predicted"],
            curve["observed"],
            marker="o",
            markersize=3,
            label=f"{name} {expected_calibration_error(true, probability):.3f}",
        )
        right.hist(probability, bins=np.linspace(0, 1, 21).tolist(), histtype="step", label=name)
    title = f"Reliability, pooled, {N_BINS} bins of equal count (ECE)"
    left.set(
        title=title,
        xlabel="predicted probability",
        ylabel="share annotated",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
    )
    right.set(
        title="How often each probability is given",
        xlabel="predicted probability",
        ylabel="RNAs",
        xlim=(-0.01, 1.01),
    )
    for axis in (left, right):
        axis.legend(fontsize="small")
    return figure


def read_uncertainty(path: str | Path, result: CrossValidationResult) -> np.ndarray:
    """SD of the probability over the ensemble, as a run folder keeps it: columns ``rna_id``, ``fold``, one per compartment.

    Returns:
        float64, shape (n_rnas, n_labels), 0 or more; NaN in rows that were not tested.

    Raises:
        InputError: a missing column, an unknown, repeated or absent RNA, or a cell that is no number of 0 or more: names file, line, column.
    """
    table = read_table(path, ["rna_id", "fold", *result.compartments])
    found = np.full(result.probabilities.shape, np.nan)
    rows = []
    seen = set()
    for line, name in zip(table.index, table["rna_id"], strict=True):
        if name not in result.index or name in seen:
            raise InputError(
                "unknown or repeated RNA",
                file=path,
                line=int(line),
                column="rna_id",
                found=name,
                expected="each tested RNA once",
            )
        seen.add(name)
        rows.append(result.index.position(name))
    for column, name in enumerate(result.compartments):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = ~(np.isfinite(numbers) & (numbers >= 0))
        if wrong.any():
            line = int(table.index[wrong][0])
            raise InputError(
                "not a standard deviation",
                file=path,
                line=line,
                column=name,
                found=table.at[line, name],
                expected="a number of 0 or more",
            )
        found[rows, column] = numbers.to_numpy(dtype=float)
    tested = result.folds.of_rows(result.index) >= 0
    if not np.array_equal(np.isfinite(found[:, 0]), tested):
        raise InputError(
            "the RNAs are not those that were tested",
            file=path,
            found=len(rows),
            expected=int(tested.sum()),
        )
    return found


def error_by_uncertainty(result: CrossValidationResult, uncertainty: np.ndarray) -> pd.DataFrame:
    """Errors in thirds of uncertainty, made within each compartment so that rare and common ones count alike.

    Args:
        uncertainty: SD of each probability, shape (n_rnas, n_labels), finite where tested.

    Returns:
        Rows lowest, middle, highest: ``third``, ``n`` (pairs of RNA and compartment), and means over the compartments: ``sd``,
        ``absolute error`` |p - y|, ``Brier``, and ``expected Brier`` p (1 - p), the Brier score that the probabilities themselves announce.
        Equal uncertainties share a third.
    """
    rows: list[pd.DataFrame] = []
    for column in range(len(result.compartments)):
        tested = result.tested(column)
        true = result.labels[tested, column]
        p = result.probabilities[tested, column]
        sd = uncertainty[tested, column]
        of = equal_count_bins(sd, 3)
        parts = pd.DataFrame(
            {
                "part": of,
                "sd": sd,
                "absolute error": np.abs(p - true),
                "Brier": (p - true) ** 2,
                "expected Brier": p * (1 - p),
            }
        )
        means = parts.groupby("part").mean().assign(n=parts.groupby("part").size())
        rows.append(means.reset_index())
    grouped = pd.concat(rows, ignore_index=True).groupby("part")
    columns = ["sd", "absolute error", "Brier", "expected Brier"]
    found = grouped[columns].mean().assign(n=grouped["n"].sum().astype(int)).reset_index()
    found.insert(0, "third", [THIRDS[int(part)] for part in found.pop("part")])
    return found[["third", "n", *columns]]


def _uncertainty_lines(uncertainty: np.ndarray, result: CrossValidationResult) -> list[str]:
    from scipy.stats import spearmanr

    table = error_by_uncertainty(result, uncertainty)
    tested = result.folds.of_rows(result.index) >= 0
    error = np.abs(result.probabilities - result.labels)[tested]
    correlations = []
    for column in range(len(result.compartments)):
        if len(np.unique(uncertainty[tested, column])) > 1 and len(np.unique(error[:, column])) > 1:
            correlations.append(
                float(spearmanr(uncertainty[tested, column], error[:, column]).statistic)
            )
    lines = [
        "| uncertainty | pairs | SD over the ensemble | mean absolute error | Brier | Brier announced by the probabilities |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        cells = [f"{row[c]:.3f}" for c in ("sd", "absolute error", "Brier", "expected Brier")]
        lines.append(f"| {row['third']} third | {row['n']} | " + " | ".join(cells) + " |")
    return [*lines, "", _verdict(table, correlations), ""]


def _verdict(table: pd.DataFrame, correlations: list[float]) -> str:
    """Whether higher uncertainty goes with larger error, in one statement with its figures."""
    if len(table) < 2 or not correlations:
        return "The uncertainty is the same for all RNAs, so it says nothing about errors."
    first = table.iloc[0]
    last = table.iloc[-1]
    rising = bool(last["absolute error"] > first["absolute error"])
    mean = float(np.mean(correlations))
    figures = (
        f"from the {first['third']} to the {last['third']} third of uncertainty the mean absolute error goes from {first['absolute error']:.3f} to "
        f"{last['absolute error']:.3f} and the Brier score from {first['Brier']:.3f} to {last['Brier']:.3f} (rank correlation of SD and error, mean over "
        f"{len(correlations)} compartments: {mean:.2f})"
    )
    goes = (
        "Higher uncertainty goes with larger error"
        if rising and mean > 0
        else "Higher uncertainty does not go with larger error"
    )
    excess = [float(row["Brier"] - row["expected Brier"]) for row in (first, last)]
    return (
        f"{goes}: {figures}. Part of that is told by the probabilities alone, which lie nearer to 0.5 where the members differ: beyond what they announce, "
        f"the Brier score is {excess[0]:+.3f} in the {first['third']} and {excess[1]:+.3f} in the {last['third']} third (0: they tell all)."
    )
