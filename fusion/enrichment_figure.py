"""Bar chart of an enrichment: log odds ratios with intervals, by annotation and by prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fusion.enrichment import ALL, ANNOTATED, CALLED, MATCHED, SIGNIFICANT, Enrichment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {ALL: "#E69F00", MATCHED: "#0072B2"}
"""Orange and blue of Okabe and Ito, which colour-blind readers tell apart."""

HATCHES = {ALL: "///", MATCHED: ""}

HEIGHT = 0.38
"""Of a bar, where 1 is the distance of two compartments."""

LARGEST = 6.0
"""Largest |log2 odds ratio| drawn; an arrow shows a larger one."""

LABELS = {ANNOTATED: "by annotation", CALLED: "by prediction (called)"}


def draw_enrichment(result: Enrichment) -> Figure:
    """Draw the log2 odds ratio of every compartment with its 95 % interval.

    One panel by annotation, one by prediction; bars to the right are over-represented, a star marks
    q < .05, an arrow a ratio that is not finite or beyond the axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.6 + 0.5 * len(result.compartments)), layout="constrained")
    panels = figure.subplots(1, len(LABELS), sharex=True, sharey=True)
    for axis, (measure, label) in zip(panels, LABELS.items(), strict=True):
        for number, background in enumerate((MATCHED, ALL)):
            _bars(axis, result, measure, background, (number - 0.5) * HEIGHT)
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.set(title=label, xlabel="log2 odds ratio (95 % interval)")
    panels[0].set(yticks=np.arange(len(result.compartments)), yticklabels=result.compartments)
    panels[0].invert_yaxis()
    panels[0].set(xlim=(-LARGEST - 1, LARGEST + 1))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title="compared with")
    return figure


def _bars(axis: Axes, result: Enrichment, measure: str, background: str, shift: float) -> None:
    table = result.table
    is_part = (table["measure"] == measure) & (table["background"] == background)
    part = table[is_part].set_index("compartment").reindex(list(result.compartments))
    with np.errstate(divide="ignore"):
        ends = np.log2(part[["odds_ratio", "low", "high"]].to_numpy(dtype=float))
    centre, low, high = np.clip(ends, -LARGEST, LARGEST).T
    places = np.arange(len(part)) + shift
    axis.barh(
        places,
        np.nan_to_num(centre),
        height=HEIGHT,
        color=COLOURS[background],
        hatch=HATCHES[background],
        edgecolor="white",
        label=f"{background} RNAs",
    )
    errors = np.nan_to_num(np.abs(np.array([centre - low, high - centre])))
    axis.errorbar(
        np.nan_to_num(centre), places, xerr=errors, fmt="none", ecolor="0.2", capsize=2, linewidth=1
    )
    for place, value, q, row in zip(places, ends[:, 0], part["q"], range(len(part)), strict=True):
        mark = "*" if q < SIGNIFICANT else ""
        if abs(value) > LARGEST:
            mark = ("→" if value > 0 else "←") + mark
        if mark:
            outer = high[row] if value > 0 else low[row]
            at = centre[row] if np.isnan(outer) else outer
            side = "left" if value > 0 else "right"
            axis.annotate(f" {mark} ", (at, place), ha=side, va="center", fontsize="medium")
