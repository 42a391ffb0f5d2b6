"""The report of an ablation: which part of a model carries how much, in words, as a table, and as a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fusion.ablation import FULL, Variant
from fusion.ablation_table import TESTED, average_row, averages
from fusion.repeats import DRAWN
from fusion.report import finite_or_dash
from fusion.settings import ExperimentConfig
from mirnagraph.dataset import Dataset
from mirnagraph.files import write_file, write_text
from mirnagraph.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What Fig. 5 of the paper prints beside its curve: AUC .9108 with 4 heads, .0005 more than with 2 and .0006 more than with 8.
PAPER = (
    "GTMALoc (2025, Fig. 4 and 5) reports, on its own folds and without intervals, that each part adds to its AUC of .9108, most of all the graph",
    "transformer and the attention, and that 4 heads are better by .0005 than 2 and by .0006 than 8.",
)


def write_ablation(out: str | Path, table: pd.DataFrame, variants: Sequence[Variant], dataset: Dataset, config: ExperimentConfig, seeds: Sequence[int]) -> None:
    """Write ``ablation.tsv``, ``variants.tsv``, ``ablation.md`` and ``ablation.png`` into an ablation's folder."""
    out = Path(out)
    write_tsv(table, out / "ablation.tsv")
    write_tsv(variants_frame(variants), out / "variants.tsv")
    with write_file(out / "ablation.png") as part:
        draw_forest(table).savefig(part, format="png", dpi=110, metadata={"Software": None})
    write_text(out / "ablation.md", "\n".join(report_lines(table, variants, dataset, config, seeds)) + "\n")


def variants_frame(variants: Sequence[Variant]) -> pd.DataFrame:
    """What each variant is: name, what was done, whether it was trained and why not, tokens left out, tokens made anew."""
    rows = [(v.name, v.what, status(v), v.reason, " ".join(v.left_out), " ".join(v.rebuilt)) for v in variants]
    return pd.DataFrame(rows, columns=["variant", "what", "status", "reason", "left_out", "rebuilt"])


def status(variant: Variant) -> str:
    """``"trained"``, ``"the full model"`` or ``"not applicable"``."""
    return "not applicable" if variant.config is None else "the full model" if variant.is_full else "trained"


def shown_rows(table: pd.DataFrame, variants: Sequence[Variant]) -> list[list[str]]:
    """Per variant, as text: name; AUC, AUPR and within as mean ± SD over seeds; AUC difference with its interval over RNAs, and over seeds."""
    rows = []
    for variant in variants:
        if variant.config is None:
            rows.append([variant.name, "not applicable", "", "", variant.reason, ""])
            continue
        shown = [average_row(table, variant.name, metric) for metric in ("AUC", "AUPR", "within")]
        figures = [f"{finite_or_dash(row['mean'])} ± {finite_or_dash(row['sd'])}" for row in shown]
        rows.append([variant.name, *figures, interval(shown[0], "pooled"), interval(shown[0], "seed")])
    return rows


SHOWN = ["variant", "AUC", "AUPR", "within", "AUC - full [RNAs]", "AUC - full [seeds]"]


def interval(row: pd.Series, which: str) -> str:
    """A difference with its 95 % interval as text, ``which`` being ``"pooled"`` (over RNAs) or ``"seed"``; a dash where there is none."""
    difference, low, high = (float(row[f"{which}_{part}"]) for part in ("difference", "low", "high"))
    if not np.isfinite(difference):
        return "-"
    return f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]" if np.isfinite(low) else f"{difference:+.4f}"


def verdict(row: pd.Series, metric: str) -> str:
    """One sentence about a variant's difference to the full model: what the intervals allow to say, and no more."""
    low, high = float(row["pooled_low"]), float(row["pooled_high"])
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


def report_lines(table: pd.DataFrame, variants: Sequence[Variant], dataset: Dataset, config: ExperimentConfig, seeds: Sequence[int]) -> list[str]:
    """Lines of ``ablation.md``."""
    full = average_row(table, FULL, "AUC")
    drawn = "folds drawn anew with each seed" if config.folds.split in DRAWN else "the folds of the file with every seed"
    lines = [f"# What preset {config.preset} is made of: ablation on {dataset.name}", ""]
    if dataset.synthetic:
        lines += ["**Made-up data**: this shows how the tool works. Its figures say nothing about biology.", ""]
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
    for variant in sorted(tried, key=lambda v: float(average_row(table, v.name, "AUC")["pooled_difference"])):
        lines.append(f"- **{variant.name}** ({variant.what}): " + " ".join(verdict(average_row(table, variant.name, m), m) for m in TESTED))
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
            gone = f"tokens left out or replaced: {', '.join(variant.left_out)}" if variant.left_out else "no token left out"
            anew = f"; made anew without it: {', '.join(variant.rebuilt)}" if variant.rebuilt else ""
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

    names = [name for name in dict.fromkeys(table["variant"]) if np.isfinite(average_row(table, name, "AUC")["pooled_difference"])]
    figure = Figure(figsize=(11, 1.6 + 0.38 * max(1, len(names))), layout="constrained")
    axes = figure.subplots(1, len(TESTED), sharey=True)
    for axis, metric in zip(axes, TESTED, strict=True):
        part = averages(table, metric).reindex(names)
        for which, shift, color, label in (("pooled", -0.13, "C0", "other RNAs (paired bootstrap)"), ("seed", 0.13, "C1", "other seeds (t, paired)")):
            middle = part[f"{which}_difference"].to_numpy(dtype=float)
            spread = np.abs(part[[f"{which}_low", f"{which}_high"]].to_numpy(dtype=float).T - middle)
            axis.errorbar(middle, np.arange(len(names)) + shift, xerr=np.nan_to_num(spread), fmt="o", markersize=4, capsize=2, color=color, label=label)
        axis.axvline(0, color="0.6", linestyle=":")
        axis.set(title=f"{metric}, average over compartments", xlabel="variant - full", yticks=range(len(names)), yticklabels=names)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    return figure
