"""Table, picture and page of an ablation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t as student

from fusion.config import FUSION
from fusion.experiments.ablation import FULL, Ablation, Variant, run_folder
from fusion.experiments.cross_validate import BY_PART
from fusion.experiments.repeats import mean_and_sd
from mirnagraph.errors import InputError
from mirnagraph.evaluation.compare import compare, holm
from mirnagraph.evaluation.metrics import AVERAGE, MICRO
from mirnagraph.evaluation.splits import DRAWN
from mirnagraph.io import write_text, write_tsv
from mirnagraph.nodes import NodeIndex
from mirnagraph.parallel import Progress, report
from mirnagraph.reading.table import read_typed
from mirnagraph.runs.compare import read_labels
from mirnagraph.runs.folder import rewriting
from mirnagraph.runs.markdown import bullets, difference_cell, page, save_figure, section
from mirnagraph.runs.markdown import finite_or_dash as cell
from mirnagraph.runs.markdown import table as markdown_table
from mirnagraph.runs.results import PARTS, PREDICTIONS, read_metrics, read_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("AUC", "AUPR", "F1", "MCC", "within")

TESTED = ("AUC", "AUPR")

NEURAL = "neural"
"""Part of a fusion of two towers that is scored alone too (see `mirnagraph.runs.report.PARTS`)."""

SEED_COLUMNS = ["mean", "sd", "n_seeds", "seed_difference", "seed_low", "seed_high"]
POOLED_COLUMNS = ["pooled_difference", "pooled_low", "pooled_high", "p"]
COLUMNS = ["variant", "compartment", "metric", *SEED_COLUMNS, *POOLED_COLUMNS, "p_holm", "test"]

PAPER = (
    "GTMALoc (2025, Fig. 4 and 5) reports, on its own folds and without intervals, that each part "
    "adds to its AUC of 0.9108, most of all the graph transformer and the attention, and that 4 "
    "heads are better than 2 by 0.0005 and than 8 by 0.0006."
)

SHOWN = ["variant", "AUC", "AUPR", "within", "AUC - full [RNAs]", "AUC - full [seeds]"]

INTERVALS = (
    "Differences are variant - full, with 95 % intervals.\n"
    "[RNAs]: probabilities are averaged over the seeds, all folds are scored together, and RNAs "
    "are resampled, the same ones for both models (paired bootstrap). It covers other RNAs.\n"
    "[seeds]: mean over folds as of `train`, paired by seed, Student's t. It covers other seeds on "
    "the same RNAs.\n"
    "Neither interval covers what the other does."
)

REDUNDANCY = (
    "A difference shows what a part adds to the others: two redundant parts may each show none. "
    "The sequence network compares sequences; tokens such as `kmer` and `relatives` read them."
)


def ablation_tables(
    ablation: Ablation, *, n_resamples: int = 2000, progress: Progress | None = None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Metrics of an ablation and, for a fusion of two towers, of its neural part alone.

    Writes the files of `write_ablation` into the folder of the ablation.

    Args:
        ablation: finished.
        n_resamples: of the paired bootstrap.
        progress: callback.

    Returns:
        Tables of `ablation_table`; the second is None where the full model has no neural part.
    """
    config = ablation.config
    folder = ablation.folder
    variants = ablation.variants
    seeds = ablation.seeds
    table = ablation_table(
        folder, variants, seeds, n_resamples=n_resamples, seed=config.seed, progress=progress
    )
    neural = None
    if config.neural == FUSION and has_part(folder, variants[0], seeds, NEURAL):
        neural = ablation_table(
            folder,
            variants,
            seeds,
            part=NEURAL,
            n_resamples=n_resamples,
            seed=config.seed,
            progress=progress,
        )
    write_ablation(ablation, table, neural)
    return table, neural


def ablation_table(
    out: str | Path,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    part: str = "",
    n_resamples: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Metrics of the finished variants of an ablation, with two intervals for variant - full.

    - ``seed_difference``, ``seed_low``, ``seed_high``: difference of the metrics as of `train`
      (mean over folds), paired by seed, Student's t over the seeds. It covers other seeds on these
      RNAs. NaN with one seed.
    - ``pooled_difference``, ``pooled_low``, ``pooled_high``: difference of the metrics of the
      seed-averaged out-of-fold probabilities, all folds together; paired bootstrap over RNAs, or
      DeLong for the AUC of one compartment (column ``test``); for other RNAs. AUC and AUPR.

    Args:
        out: the ablation's folder.
        variants: of `fusion.experiments.ablation.run_ablation`, the full model among them.
        seeds: seeds that every variant was trained with.
        part: part of each model to score alone, such as ``neural``, in variants that have it; empty
            for the whole.
        n_resamples: of the bootstrap.
        seed: of the bootstrap.
        progress: callback.

    Returns:
        One row per variant, compartment (and ``average``) and metric: ``mean`` and ``sd`` over
        ``n_seeds`` seeds of the mean over folds (of the pooled value for ``within``), the
        differences, ``p`` of the pooled difference, and ``p_holm`` after Holm's correction over the
        variants.

    Raises:
        InputError: runs on other RNAs or labels than the full model, or damaged ones.
    """
    _, labels = read_labels(run_folder(out, FULL, seeds[0]))
    full_metrics, full = _read_runs(out, FULL, seeds, labels, part)
    applicable = [v for v in variants if v.config and (not part or has_part(out, v, seeds, part))]
    parts = []
    for number, variant in enumerate(applicable, 1):
        if variant.is_full or variant.name == FULL:
            rows = seed_differences(full_metrics, full_metrics)
            rows[SEED_COLUMNS[3:]] = np.nan
            pooled = None
        else:
            metrics, predictions = _read_runs(out, variant.name, seeds, labels, part)
            rows = seed_differences(metrics, full_metrics)
            pooled = compare(full, predictions, labels, n_resamples=n_resamples, seed=seed)
        parts.append(_with_pooled(rows, pooled).assign(variant=variant.name))
        report(progress, "comparisons", number, len(applicable))
    table = pd.concat(parts, ignore_index=True)
    of_metric = table.groupby(["compartment", "metric"])["p"]
    table["p_holm"] = of_metric.transform(lambda p: pd.Series(holm(p.tolist()), p.index))
    return table[COLUMNS]


def has_part(out: str | Path, variant: Variant, seeds: Sequence[int], part: str) -> bool:
    """Whether the runs of a variant, with all seeds, have the predictions of a part."""
    name = FULL if variant.is_full else variant.name
    folders = [run_folder(out, name, seed) for seed in seeds]
    files = [folder / PARTS / f"{part}.tsv" for folder in folders]
    files += [folder / BY_PART for folder in folders]
    return variant.config is not None and all(file.is_file() for file in files)


def _read_runs(
    out: str | Path, variant: str, seeds: Sequence[int], labels: pd.DataFrame, part: str = ""
) -> tuple[list[pd.Series], pd.DataFrame]:
    """Metrics of a variant by seed, and its predictions averaged over the seeds."""
    folders = [run_folder(out, variant, seed) for seed in seeds]
    for folder in folders:
        _, other = read_labels(folder)
        if not other.sort_index().equals(labels.sort_index()):
            raise InputError(
                "the runs of an ablation were made on other RNAs or labels", file=folder
            )
    return [_metrics(folder, part) for folder in folders], averaged(folders, labels, part)


def _metrics(folder: Path, part: str = "") -> pd.Series:
    """Mean over folds (pooled for ``within``) by compartment and metric."""
    table = read_typed(folder / BY_PART) if part else read_metrics(folder)
    if part:
        table = table[table["part"] == part]
    table = table[table["metric"].isin(METRICS) & (table["compartment"] != MICRO)]
    values = table["mean"].where(table["metric"] != "within", table["pooled"])
    index = pd.MultiIndex.from_frame(table[["compartment", "metric"]])
    return pd.Series(values.to_numpy(dtype=float), index=index)


def averaged(folders: Sequence[Path], labels: pd.DataFrame, part: str = "") -> pd.DataFrame:
    """Mean of the out-of-fold probabilities over runs, in the order of `labels`.

    Args:
        folders: of the runs; ``fold`` is that of the first.
        labels: index of tested RNAs, one column per compartment.
        part: see `ablation_table`.

    Raises:
        InputError: a run predicts other RNAs, or its file is damaged.
    """
    index = NodeIndex.of(labels.index, "miRNA")
    names = [str(name) for name in labels.columns]
    tables = []
    for folder in folders:
        path = folder / PARTS / f"{part}.tsv" if part else folder / PREDICTIONS
        table = read_predictions(path, index, tuple(names)).set_index("rna_id")
        if len(table) != len(labels):
            raise InputError(
                "predictions do not cover the tested RNAs",
                file=path,
                found=len(table),
                expected=len(labels),
            )
        tables.append(table.loc[list(labels.index)])
    result = tables[0].reset_index()
    result[names] = np.mean([table[names].to_numpy(dtype=float) for table in tables], axis=0)
    return result[["rna_id", "fold", *names]]


def seed_differences(variant: Sequence[pd.Series], full: Sequence[pd.Series]) -> pd.DataFrame:
    """Mean and SD over seeds, and the difference to the full model paired by seed.

    Args:
        variant: per seed the metrics, index (compartment, metric).
        full: those of the full model, the same seeds in the same order.

    Returns:
        Index (compartment, metric); columns ``mean``, ``sd``, ``n_seeds``, ``seed_difference``,
        ``seed_low``, ``seed_high``. Seeds in which a metric is undefined are left out; the interval
        needs two seeds.
    """
    index = full[0].index
    values = np.array([metrics[index] for metrics in variant])
    differences = values - np.array([metrics[index] for metrics in full])
    rows = []
    for column, difference in zip(values.T, differences.T, strict=True):
        interval = t_interval(difference[np.isfinite(difference)])
        rows.append((*mean_and_sd(column), np.isfinite(column).sum(), *interval))
    return pd.DataFrame(rows, index=index, columns=SEED_COLUMNS)


def t_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % interval by Student's t with n - 1 degrees.

    The bounds are NaN for fewer than two.

    >>> [round(x, 3) for x in t_interval(np.array([0.01, 0.02, 0.03]))]
    [0.02, -0.005, 0.045]
    """
    n = len(differences)
    mean, sd = mean_and_sd(differences)
    half = np.nan
    if n > 1:
        half = float(student.ppf(0.975, n - 1)) * sd / n**0.5
    return mean, mean - half, mean + half


def _with_pooled(part: pd.DataFrame, pooled: pd.DataFrame | None) -> pd.DataFrame:
    """Add the columns of a pooled comparison; NaN where it has no row."""
    part = part.rename_axis(["compartment", "metric"]).reset_index()
    if pooled is None:
        return part.assign(**dict.fromkeys(POOLED_COLUMNS, np.nan), test="")
    names = dict(zip(("difference", "low", "high"), POOLED_COLUMNS, strict=False))
    columns = ["compartment", "metric", *POOLED_COLUMNS, "test"]
    joined = part.merge(
        pooled.rename(columns=names)[columns], how="left", on=["compartment", "metric"]
    )
    return joined.fillna({"test": ""})


def averages(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows of one metric's average over compartments, index ``variant``, in table order."""
    is_row = (table["compartment"] == AVERAGE) & (table["metric"] == metric)
    return table[is_row].set_index("variant")


def average_row(table: pd.DataFrame, variant: str, metric: str) -> pd.Series:
    """One variant's row of one metric's average over compartments."""
    return averages(table, metric).T[variant]


def write_ablation(
    ablation: Ablation, table: pd.DataFrame, neural: pd.DataFrame | None = None
) -> None:
    """Write ``ablation.tsv``, ``variants.tsv``, ``ablation.md`` and ``ablation.png``.

    Args:
        ablation: finished.
        table: of `ablation_table`.
        neural: `ablation_table` of the neural part alone; None for a model of one part.
    """
    folder = ablation.folder
    with rewriting(folder, "ablation_neural.tsv", "ablation.tsv", "variants.tsv"):
        if neural is not None:
            write_tsv(neural, folder / "ablation_neural.tsv")
        write_tsv(table, folder / "ablation.tsv")
        write_tsv(variants_frame(ablation.variants), folder / "variants.tsv")
    save_figure(draw_forest(table), folder / "ablation.png")
    write_text(folder / "ablation.md", ablation_page(ablation, table, neural))


def variants_frame(variants: Sequence[Variant]) -> pd.DataFrame:
    """Name, change, status, reason, and tokens left out and rebuilt of each variant."""
    rows = [
        (v.name, v.what, status(v), v.reason, " ".join(v.left_out), " ".join(v.rebuilt))
        for v in variants
    ]
    return pd.DataFrame(
        rows, columns=["variant", "what", "status", "reason", "left_out", "rebuilt"]
    )


def status(variant: Variant) -> str:
    """``"trained"``, ``"the full model"`` or ``"not applicable"``."""
    if variant.config is None:
        return "not applicable"
    return "the full model" if variant.is_full else "trained"


def shown_rows(table: pd.DataFrame, variants: Sequence[Variant]) -> list[list[str]]:
    """Cells of the columns `SHOWN`, one row per variant."""
    rows = []
    for variant in variants:
        if variant.config is None:
            rows.append([variant.name, "not applicable", "", "", variant.reason, ""])
            continue
        shown = [average_row(table, variant.name, metric) for metric in ("AUC", "AUPR", "within")]
        values = [f"{cell(row['mean'])} ± {cell(row['sd'])}" for row in shown]
        auc = shown[0]
        rows.append([variant.name, *values, interval(auc, "pooled"), interval(auc, "seed")])
    return rows


def interval(row: pd.Series, which: str) -> str:
    """A difference with its interval as text, or a dash.

    Args:
        row: of `ablation_table`.
        which: ``"pooled"`` (over RNAs) or ``"seed"``.
    """
    values = [row[f"{which}_{part}"] for part in ("difference", "low", "high")]
    return difference_cell(*values)


def verdict(row: pd.Series, metric: str) -> str:
    """State a variant's difference to the full model as far as the intervals allow.

    Args:
        row: of `ablation_table`, an average over compartments.
        metric: its name.
    """
    low = row["pooled_low"]
    high = row["pooled_high"]
    if not np.isfinite(low):
        return f"{metric} is undefined in every compartment."
    value = f"{metric} {interval(row, 'pooled')}"
    if high < 0:
        words = f"lower than the full model: {value}"
    elif low > 0:
        words = f"higher than the full model: {value}"
    else:
        words = (
            f"no significant difference to the full model: {value} (at most {-low:.4f} lower or "
            f"{high:.4f} higher)"
        )
    if not np.isfinite(row["seed_low"]):
        return f"{words}. One seed: no interval over seeds."
    place = "includes 0"
    if row["seed_high"] < 0:
        place = "below 0"
    elif row["seed_low"] > 0:
        place = "above 0"
    return f"{words}. Over seeds {interval(row, 'seed')}: {place}."


def ablation_page(
    ablation: Ablation, table: pd.DataFrame, neural: pd.DataFrame | None = None
) -> str:
    """``ablation.md`` (arguments as of `write_ablation`)."""
    config = ablation.config
    variants = ablation.variants
    drawn = "the folds of the file with every seed"
    if config.folds.split in DRAWN:
        drawn = "new folds with each seed"
    protocol = config.folds.protocol or config.folds.split
    auc = average_row(table, FULL, "AUC")["mean"]
    about = (
        f"The full model has AUC {auc:.3f} (mean over folds, compartments and seeds; number of "
        f"seeds: {len(ablation.seeds)}). Each variant leaves out or changes one part.\n"
        f"All were trained on the same folds (protocol {protocol}, RNAs: {config.folds.rnas}; "
        f"{drawn})."
    )
    compared = [v for v in variants if v.is_trained and v.name != FULL]
    lines = _verdict_lines(table, compared)
    many = (
        f"With {len(compared)} variants some interval may exclude 0 by chance: `p_holm` in "
        "`ablation.tsv` is corrected for their number."
    )
    changes = [_change(variant) for variant in variants if variant.name != FULL]
    return page(
        f"Ablation of preset {config.preset} on {ablation.dataset.name}",
        about,
        markdown_table(SHOWN, shown_rows(table, variants)),
        "![differences to the full model](ablation.png)",
        section("Differences", bullets(lines), PAPER if config.preset == "gtmaloc" else ""),
        _neural_section(neural, variants),
        section("Changes", bullets(changes)),
        section("Intervals", INTERVALS, many, REDUNDANCY),
        synthetic=ablation.dataset.synthetic,
    )


def _verdict_lines(table: pd.DataFrame, variants: Sequence[Variant]) -> list[str]:
    """A line per variant, the largest loss of AUC first."""
    order = averages(table, "AUC")["pooled_difference"]
    lines = []
    for variant in sorted(variants, key=lambda v: order[v.name]):
        verdicts = [verdict(average_row(table, variant.name, m), m) for m in TESTED]
        lines.append(f"**{variant.name}** ({variant.what}): {' '.join(verdicts)}")
    return lines


def _neural_section(neural: pd.DataFrame | None, variants: Sequence[Variant]) -> str:
    """The section on the neural part alone; empty without one."""
    if neural is None:
        return ""
    scored = part_variants(neural, variants)
    compared = [v for v in scored if v.is_trained and v.name != FULL]
    about = "The same runs, with the predictions of the neural part alone (`parts/neural.tsv`)."
    lines = bullets(_verdict_lines(neural, compared))
    cells = markdown_table(SHOWN, shown_rows(neural, scored))
    return section("Neural part alone", about, cells, lines)


def part_variants(table: pd.DataFrame, variants: Sequence[Variant]) -> list[Variant]:
    """Variants that a table of `ablation_table` has."""
    names = set(table["variant"])
    return [variant for variant in variants if variant.name in names]


def _change(variant: Variant) -> str:
    """What a variant changes, in one line."""
    if variant.config is None:
        return f"{variant.name}: not applicable, {variant.reason}"
    if variant.is_full:
        return f"{variant.name}: {variant.what}; not trained again"
    if not (variant.left_out or variant.rebuilt):
        return f"{variant.name}: {variant.what}"
    removed = "no token left out"
    if variant.left_out:
        removed = f"tokens left out or replaced: {', '.join(variant.left_out)}"
    if variant.rebuilt:
        removed += f"; rebuilt without it: {', '.join(variant.rebuilt)}"
    return f"{variant.name}: {removed}"


def draw_forest(table: pd.DataFrame) -> Figure:
    """Differences of the average to the full model with both intervals, one panel per metric."""
    from matplotlib.figure import Figure

    differences = averages(table, "AUC")["pooled_difference"]
    names = list(differences.index[np.isfinite(differences)])
    places = np.arange(len(names))
    figure = Figure(figsize=(11, 1.6 + 0.38 * max(1, len(names))), layout="constrained")
    axes = figure.subplots(1, len(TESTED), sharey=True)
    series = (
        ("pooled", -0.13, "C0", "other RNAs (paired bootstrap)"),
        ("seed", 0.13, "C1", "other seeds (t, paired)"),
    )
    for axis, metric in zip(axes, TESTED, strict=True):
        part = averages(table, metric).reindex(names)
        for which, shift, color, label in series:
            middle = part[f"{which}_difference"].to_numpy(dtype=float)
            bounds = part[[f"{which}_low", f"{which}_high"]].to_numpy(dtype=float).T
            axis.errorbar(
                middle,
                places + shift,
                xerr=np.nan_to_num(np.abs(bounds - middle)),
                fmt="o",
                markersize=4,
                capsize=2,
                color=color,
                label=label,
            )
        axis.axvline(0, color="0.6", linestyle=":")
        axis.set(title=f"{metric}, average over compartments", xlabel="variant - full")
        axis.set(yticks=places, yticklabels=names)
    axes[0].invert_yaxis()
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, fontsize="small")
    return figure
