"""Table, plot, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t as student

from fusion.config import ExperimentConfig
from fusion.experiments.ablation import FULL, Variant, run_folder
from fusion.experiments.repeats import DRAWN
from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.compare import compare, holm
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.io import write_file, write_text, write_tsv
from mirnagraph.nodes import NodeIndex
from mirnagraph.parallel import Progress, report
from mirnagraph.runs.compare import read_labels
from mirnagraph.runs.report import finite_or_dash
from mirnagraph.runs.results import read_metrics, read_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("AUC", "AUPR", "F1", "MCC", "within")

TESTED = ("AUC", "AUPR")

COLUMNS = [
    "variant", "compartment", "metric", "mean", "sd", "n_seeds", "seed_difference", "seed_low", "seed_high",
    "pooled_difference", "pooled_low", "pooled_high", "p", "p_holm", "test",
]  # fmt: skip

# What Fig. 5 of the paper prints beside its curve: AUC .9108 with 4 heads, .0005 more than with 2 and .0006 more than with 8.
PAPER = (
    "GTMALoc (2025, Fig. 4 and 5) reports, on its own folds and without intervals, that each part adds to its AUC of .9108, most of all the graph",
    "transformer and the attention, and that 4 heads are better by .0005 than 2 and by .0006 than 8.",
)

SHOWN = ["variant", "AUC", "AUPR", "within", "AUC - full [RNAs]", "AUC - full [seeds]"]


def ablation_table(
    out: str | Path,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Figures of the finished variants of an ablation.

    Two questions, two intervals, both of 95 % and both for variant - full:

    - ``seed_difference`` with ``seed_low``, ``seed_high``: the difference of the figures as `train` gives them (mean over folds), paired by seed;
      Student's t over the seeds. Would another seed say the same, on these RNAs? NaN with one seed.
    - ``pooled_difference`` with ``pooled_low``, ``pooled_high``: the difference of the figures of the seed-averaged out-of-fold probabilities, all
      folds together; paired bootstrap over RNAs, or DeLong for the AUC of one compartment (column ``test``). Would other RNAs say the same?
      AUC and AUPR only.

    Args:
        out: the ablation's folder.
        variants: as `fusion.experiments.ablation.run_ablation` returned them; the full model must be among them.
        seeds: seeds that every variant was trained with.
        n_resamples, seed: of the bootstrap.

    Returns:
        One row per variant, compartment (and ``average``) and metric: ``mean`` and ``sd`` over ``n_seeds`` seeds of the figure (mean over folds;
        ``within`` is pooled), the differences, ``p`` of the pooled difference, and ``p_holm`` after Holm's correction over the variants.
    """
    trained = [v for v in variants if v.config and not v.is_full]
    metrics = {v.name: [_metrics(run_folder(out, v.name, s)) for s in seeds] for v in trained}
    _, labels = read_labels(run_folder(out, FULL, seeds[0]))
    for variant in trained:
        for number in seeds:
            if (
                not read_labels(run_folder(out, variant.name, number))[1]
                .sort_index()
                .equals(labels.sort_index())
            ):
                raise InputError(
                    "the runs of an ablation were made on other RNAs or labels",
                    file=run_folder(out, variant.name, number),
                )
    full = averaged([run_folder(out, FULL, s) for s in seeds], labels)
    parts = []
    for number, variant in enumerate(v for v in variants if v.config):
        name = FULL if variant.is_full else variant.name
        part = seed_differences(metrics[name], metrics[FULL])
        if name == FULL:
            part[["seed_difference", "seed_low", "seed_high"]] = np.nan
            pooled = None
        else:
            pooled = compare(
                full,
                averaged([run_folder(out, name, s) for s in seeds], labels),
                labels,
                n_resamples=n_resamples,
                seed=seed,
            )
        parts.append(_with_pooled(part, pooled).assign(variant=variant.name))
        report(progress, "comparisons", number + 1, sum(v.config is not None for v in variants))
    table = pd.concat(parts, ignore_index=True)
    table["p_holm"] = np.nan
    for _, rows in table.groupby(["compartment", "metric"], sort=False):
        table.loc[rows.index, "p_holm"] = holm([float(p) for p in rows["p"]])
    return table[COLUMNS]


def _metrics(folder: Path) -> pd.Series:
    """Compartment, metric -> mean over folds; pooled for ``within``."""
    table = read_metrics(folder)
    table = table[table["metric"].isin(METRICS) & (table["compartment"] != "micro")]
    values = table["mean"].where(table["metric"] != "within", table["pooled"])
    return pd.Series(
        values.to_numpy(dtype=float),
        index=pd.MultiIndex.from_frame(table[["compartment", "metric"]]),
    )


def averaged(folders: Sequence[Path], labels: pd.DataFrame) -> pd.DataFrame:
    """Mean over runs of every RNA's out-of-fold probabilities, in the order of `labels`; ``fold`` is that of the first run.

    Raises:
        InputError: a run predicts other RNAs, or its file is damaged.
    """
    index = NodeIndex.of(labels.index, "miRNA")
    names = tuple(str(c) for c in labels.columns)
    tables = []
    for folder in folders:
        table = read_predictions(folder / "predictions.tsv", index, names).set_index("rna_id")
        if len(table) != len(labels):
            raise InputError(
                "predictions do not cover the tested RNAs",
                file=folder / "predictions.tsv",
                found=len(table),
                expected=len(labels),
            )
        tables.append(table.loc[list(labels.index)])
    mean = np.mean([table[list(names)].to_numpy(dtype=float) for table in tables], axis=0)
    result = pd.DataFrame(mean, columns=list(names))
    result.insert(0, "rna_id", list(labels.index))
    result.insert(1, "fold", tables[0]["fold"].to_numpy())
    return result


def seed_differences(variant: Sequence[pd.Series], full: Sequence[pd.Series]) -> pd.DataFrame:
    """Mean and SD over seeds, and the difference to the full model paired by seed with its t interval.

    Args:
        variant, full: per seed the figures, index (compartment, metric); the same seeds in the same order.

    Returns:
        Index (compartment, metric); columns ``mean``, ``sd``, ``n_seeds``, ``seed_difference``, ``seed_low``, ``seed_high``. Seeds in which a
        figure is undefined are left out of it; the interval needs two seeds.
    """
    rows = {}
    for key in full[0].index:
        ours = np.array([float(figures[key]) for figures in variant])
        known = ours[np.isfinite(ours)]
        difference = ours - np.array([float(figures[key]) for figures in full])
        rows[key] = (*_mean_sd(known), len(known), *t_interval(difference[np.isfinite(difference)]))
    columns = ["mean", "sd", "n_seeds", "seed_difference", "seed_low", "seed_high"]
    return pd.DataFrame(list(rows.values()), index=full[0].index, columns=columns)


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()) if len(values) else float("nan"), float(values.std(ddof=1)) if len(
        values
    ) > 1 else float("nan")


def t_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % interval by Student's t with n - 1 degrees; NaN bounds for fewer than two.

    >>> [round(x, 3) for x in t_interval(np.array([0.01, 0.02, 0.03]))]
    [0.02, -0.005, 0.045]
    """
    mean, sd = _mean_sd(differences)
    half = (
        float(student.ppf(0.975, len(differences) - 1)) * sd / len(differences) ** 0.5
        if len(differences) > 1
        else float("nan")
    )
    return mean, mean - half, mean + half


def _with_pooled(part: pd.DataFrame, pooled: pd.DataFrame | None) -> pd.DataFrame:
    part = (
        part.rename_axis(["compartment", "metric"])
        .reset_index()
        .assign(pooled_difference=np.nan, pooled_low=np.nan, pooled_high=np.nan, p=np.nan, test="")
    )
    if pooled is None:
        return part
    found: Mapping[tuple[str, str], pd.Series] = {
        (str(row["compartment"]), str(row["metric"])): row for _, row in pooled.iterrows()
    }
    for place, key in zip(
        part.index, zip(part["compartment"], part["metric"], strict=True), strict=True
    ):
        if key in found:
            row = found[key]
            part.loc[place, ["pooled_difference", "pooled_low", "pooled_high", "p"]] = [
                float(row[c]) for c in ("difference", "low", "high", "p")
            ]
            part.loc[place, "test"] = str(row["test"])
    return part


def averages(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows of the average over compartments for one metric, index ``variant``, in the order of the table."""
    return table[(table["compartment"] == AVERAGE) & (table["metric"] == metric)].set_index(
        "variant"
    )


def average_row(table: pd.DataFrame, variant: str, metric: str) -> pd.Series:
    """One variant's row of the average over compartments for one metric."""
    return table[
        (table["compartment"] == AVERAGE)
        & (table["metric"] == metric)
        & (table["variant"] == variant)
    ].iloc[0]


def write_ablation(
    out: str | Path,
    table: pd.DataFrame,
    variants: Sequence[Variant],
    dataset: Dataset,
    config: ExperimentConfig,
    seeds: Sequence[int],
) -> None:
    """Write ``ablation.tsv``, ``variants.tsv``, ``ablation.md`` and ``ablation.png`` into an ablation's folder."""
    out = Path(out)
    write_tsv(table, out / "ablation.tsv")
    write_tsv(variants_frame(variants), out / "variants.tsv")
    with write_file(out / "ablation.png") as part:
        draw_forest(table).savefig(part, format="png", dpi=110, metadata={"Software": None})
    write_text(
        out / "ablation.md", "\n".join(report_lines(table, variants, dataset, config, seeds)) + "\n"
    )


def variants_frame(variants: Sequence[Variant]) -> pd.DataFrame:
    """What each variant is: name, what was done, whether it was trained and why not, tokens left out, tokens made anew."""
    rows = [
        (v.name, v.what, status(v), v.reason, " ".join(v.left_out), " ".join(v.rebuilt))
        for v in variants
    ]
    return pd.DataFrame(
        rows, columns=["variant", "what", "status", "reason", "left_out", "rebuilt"]
    )


def status(variant: Variant) -> str:
    """``"trained"``, ``"the full model"`` or ``"not applicable"``."""
    return (
        "not applicable"
        if variant.config is None
        else "the full model"
        if variant.is_full
        else "trained"
    )


def shown_rows(table: pd.DataFrame, variants: Sequence[Variant]) -> list[list[str]]:
    """Per variant, as text: name; AUC, AUPR and within as mean ± SD over seeds; AUC difference with its interval over RNAs, and over seeds."""
    rows = []
    for variant in variants:
        if variant.config is None:
            rows.append([variant.name, "not applicable", "", "", variant.reason, ""])
            continue
        shown = [average_row(table, variant.name, metric) for metric in ("AUC", "AUPR", "within")]
        figures = [f"{finite_or_dash(row['mean'])} ± {finite_or_dash(row['sd'])}" for row in shown]
        rows.append(
            [variant.name, *figures, interval(shown[0], "pooled"), interval(shown[0], "seed")]
        )
    return rows


def interval(row: pd.Series, which: str) -> str:
    """A difference with its 95 % interval as text, ``which`` being ``"pooled"`` (over RNAs) or ``"seed"``; a dash where there is none."""
    difference, low, high = (
        float(row[f"{which}_{part}"]) for part in ("difference", "low", "high")
    )
    if not np.isfinite(difference):
        return "-"
    return (
        f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]" if np.isfinite(low) else f"{difference:+.4f}"
    )


def verdict(row: pd.Series, metric: str) -> str:
    """One sentence about a variant's difference to the full model: what the intervals allow to say, and no more."""
    low = float(row["pooled_low"])
    high = float(row["pooled_high"])
    if not np.isfinite(low):
        return f"{metric}: no answer, since no compartment could be scored."
    said = f"{metric} {interval(row, 'pooled')}"
    if high < 0:
        words = f"worse than the full model: {said}"
    elif low > 0:
        words = f"better than the full model, so that what was changed is no help here: {said}"
    else:
        words = f"no difference to the full model shown: {said}; at most {-low:.4f} below the full model and at most {high:.4f} above"
    if not np.isfinite(row["seed_low"]):
        return f"{words}. With one seed nothing is known about the luck of the seed."
    same = (float(row["seed_high"]) < 0, float(row["seed_low"]) > 0)
    seeds = "all below 0" if same[0] else "all above 0" if same[1] else "with 0 inside"
    return f"{words}. Over seeds {interval(row, 'seed')}, {seeds}."


def report_lines(
    table: pd.DataFrame,
    variants: Sequence[Variant],
    dataset: Dataset,
    config: ExperimentConfig,
    seeds: Sequence[int],
) -> list[str]:
    """Lines of ``ablation.md``."""
    full = average_row(table, FULL, "AUC")
    drawn = (
        "folds drawn anew with each seed"
        if config.folds.split in DRAWN
        else "the folds of the file with every seed"
    )
    lines = [f"# What preset {config.preset} is made of: ablation on {dataset.name}", ""]
    if dataset.synthetic:
        lines += [
            "**Made-up data**: this shows how the tool works. Its figures say nothing about biology.",
            "",
        ]
    over = f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    protocol = config.folds.protocol or config.folds.split
    lines += [
        f"The full model reaches an AUC of {full['mean']:.3f} (mean over folds and compartments, over {over}). Each variant leaves out or changes one part;",
        f"all were trained on the same folds ({protocol}, RNAs: {config.folds.rnas}; {drawn}).",
        "",
        "| " + " | ".join(SHOWN) + " |",
        "|---|" + "---|" * (len(SHOWN) - 1),
        *("| " + " | ".join(row) + " |" for row in shown_rows(table, variants)),
        "",
        "![differences to the full model](ablation.png)",
        "",
        "## In words",
        "",
    ]
    tried = [v for v in variants if v.config and not v.is_full and v.name != FULL]
    for variant in sorted(
        tried, key=lambda v: float(average_row(table, v.name, "AUC")["pooled_difference"])
    ):
        lines.append(
            f"- **{variant.name}** ({variant.what}): "
            + " ".join(verdict(average_row(table, variant.name, m), m) for m in TESTED)
        )
    lines += ["", *PAPER, ""] if config.preset == "gtmaloc" else [""]
    return lines + _what_was_done(variants) + _how_to_read(len(tried))


def _what_was_done(variants: Sequence[Variant]) -> list[str]:
    lines = ["## What was taken out", ""]
    for variant in variants:
        if variant.config is None:
            lines.append(f"- {variant.name}: not applicable, {variant.reason}")
        elif variant.is_full:
            lines.append(f"- {variant.name}: {variant.what}; not trained again")
        elif variant.left_out or variant.rebuilt:
            gone = (
                f"tokens left out or replaced: {', '.join(variant.left_out)}"
                if variant.left_out
                else "no token left out"
            )
            anew = (
                f"; made anew without it: {', '.join(variant.rebuilt)}" if variant.rebuilt else ""
            )
            lines.append(f"- {variant.name}: {gone}{anew}")
        elif variant.name != FULL:
            lines.append(f"- {variant.name}: {variant.what}")
    return [*lines, ""]


def _how_to_read(n: int) -> list[str]:
    return [
        "## How to read the intervals",
        "",
        "Differences are variant - full. **[RNAs]**: probabilities are averaged over the seeds, all folds are scored together, and RNAs are drawn",
        "with replacement, the same ones for both models (paired bootstrap): would other RNAs say the same? **[seeds]**: the figures as `train` gives them,",
        "paired by seed, Student's t: would another seed say the same, on these RNAs? Both are 95 % intervals, and neither covers what the other does.",
        f"With {n} variants some interval may leave 0 out by chance; `p_holm` in `ablation.tsv` is corrected for their number. Leaving a part out shows",
        "what it adds to the others: two parts that know the same may each look useless. The sequence network is the similarity of sequences;",
        "tokens such as `kmer` and `relatives` still read the sequences themselves.",
    ]


def draw_forest(table: pd.DataFrame) -> Figure:
    """Differences of the average to the full model, one panel per metric: interval over RNAs, and below it that over seeds."""
    from matplotlib.figure import Figure

    names = [
        name
        for name in dict.fromkeys(table["variant"])
        if np.isfinite(average_row(table, name, "AUC")["pooled_difference"])
    ]
    figure = Figure(figsize=(11, 1.6 + 0.38 * max(1, len(names))), layout="constrained")
    axes = figure.subplots(1, len(TESTED), sharey=True)
    for axis, metric in zip(axes, TESTED, strict=True):
        part = averages(table, metric).reindex(names)
        for which, shift, color, label in (
            ("pooled", -0.13, "C0", "other RNAs (paired bootstrap)"),
            ("seed", 0.13, "C1", "other seeds (t, paired)"),
        ):
            middle = part[f"{which}_difference"].to_numpy(dtype=float)
            uncertainty = np.abs(
                part[[f"{which}_low", f"{which}_high"]].to_numpy(dtype=float).T - middle
            )
            axis.errorbar(
                middle,
                np.arange(len(names)) + shift,
                xerr=np.nan_to_num(uncertainty),
                fmt="o",
                markersize=4,
                capsize=2,
                color=color,
                label=label,
            )
        axis.axvline(0, color="0.6", linestyle=":")
        axis.set(
            title=f"{metric}, average over compartments",
            xlabel="variant - full",
            yticks=range(len(names)),
            yticklabels=names,
        )
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small"
    )
    return figure
