"""An explanation as a picture: modalities, tokens and the sequence, one row per compartment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.explain.result import Compartment, Explanation, ranked_tokens

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TOKENS = 12
LETTERS_FIT = 120
DPI = 110

HEIGHT = 3.6
ABOVE = 0.35
BELOW = 0.55
LETTER = 0.067
"""Inches: a row, its title, what is below its axes, and a letter of a small label."""

FOR = "C0"
AGAINST = "C3"


def draw_explanation(explanation: Explanation) -> Figure:
    """Per compartment: what changes without each modality, how tokens are looked at and what they add, and the sequence where there is one."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = explanation.compartments
    wide = any(one.sequence is not None for one in shown)
    names = (
        [_labels(one) for one in shown],
        [[token.token for token in one.tokens] for one in shown],
    )
    left = [0.3 + LETTER * max(len(name) for row in of for name in row) for of in names] + [
        0.2,
        0.8,
    ]
    widths = [2.6, 1.8, 2.6, 4.2][: 4 if wide else 3]
    # places by hand, of titles and labels too: what is placed by measuring is drawn twice, which takes longer than all the rest
    across = sum(left[: len(widths)]) + sum(widths) + 0.1
    high = HEIGHT * len(shown) + 0.3
    figure = Figure(figsize=(across, high), dpi=DPI)
    figure.text(
        0.5,
        1 - 0.1 / high,
        f"{explanation.rna_id} ({explanation.source}); attention is not attribution",
        ha="center",
        va="top",
    )
    for number, one in enumerate(shown):
        starts = np.cumsum(left[: len(widths)]) + np.cumsum([0.0, *widths[:-1]])
        bottom = (HEIGHT * (len(shown) - 1 - number) + BELOW) / high
        row = [
            figure.add_axes(
                (start / across, bottom, width / across, (HEIGHT - BELOW - ABOVE) / high)
            )
            for start, width in zip(starts, widths, strict=True)
        ]
        with rc_context({"axes.titley": 1.0}):
            _modalities(row[0], one)
            _tokens(row[1], row[2], one)
            if wide:
                _sequence(row[3], one, explanation.sequence or "")
        for axis in row:
            axis.xaxis.set_label_coords(0.5, -0.34 / (HEIGHT - BELOW - ABOVE))
    return figure


def save_explanation(explanation: Explanation, path: Path) -> None:
    """Write `draw_explanation` as PNG. Drawn once and packed lightly: ``savefig`` draws a first time to measure, and packs for half a second."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(draw_explanation(explanation)).print_png(
        path, metadata={"Software": None}, pil_kwargs={"compress_level": 1}
    )


def _labels(one: Compartment) -> list[str]:
    return [m.modality if m.present else f"{m.modality} (absent)" for m in one.modalities]


def _modalities(axis: Any, one: Compartment) -> None:
    _bars(axis, _labels(one), [m.change_logit for m in one.modalities])
    outside = "" if one.out_of_fold is None else f", out-of-fold {one.out_of_fold:.2f}"
    axis.set(
        title=f"{one.compartment}: {one.probability:.2f}{outside}",
        xlabel="change of the logit without it",
    )


def _tokens(looked: Any, added: Any, one: Compartment) -> None:
    tokens = [token for token in ranked_tokens(one.tokens) if token.gradients is not None][
        :MOST_TOKENS
    ]
    unit = "attention's logit"
    values = [token.gradients or 0.0 for token in tokens]
    if not tokens:
        tokens = ranked_tokens(one.tokens)[:MOST_TOKENS]
        unit = "the extra trees' probability"
        values = [token.extra_trees or 0.0 for token in tokens]
    _bars(
        looked,
        [token.token for token in tokens],
        [token.attention or 0.0 for token in tokens],
        ["0.6"] * len(tokens),
    )
    looked.set(title="attention", xlabel="weight")
    _bars(added, [""] * len(tokens), values)
    added.set(title="what the tokens add", xlabel=f"to {unit}")


def _bars(
    axis: Any, names: list[str], values: list[float], colours: list[str] | None = None
) -> None:
    """Horizontal bars, the first on top. One collection and plain texts: a patch per bar and a tick per name take three times as long."""
    high = 72 * (HEIGHT - ABOVE - BELOW) / max(len(values), 1)
    axis.hlines(
        range(len(values)),
        0,
        values,
        colors=colours or [FOR if value > 0 else AGAINST for value in values],
        linewidth=0.8 * high,
    )
    axis.axvline(0, color="0.6", linewidth=0.6)
    for place, name in enumerate(names):
        axis.text(
            -0.02,
            place,
            name,
            transform=axis.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize="small",
        )
    axis.set(yticks=[], ylim=(len(values) - 0.5, -0.5))
    axis.locator_params(axis="x", nbins=4)


def _sequence(axis: Any, one: Compartment, sequence: str) -> None:
    if one.sequence is None:
        axis.set_axis_off()
        return
    support = np.array(one.sequence.support)
    edges = np.arange(len(support) + 1) + 0.5
    axis.use_sticky_edges = False  # room for the letters below
    for part, colour in ((np.maximum(support, 0), FOR), (np.minimum(support, 0), AGAINST)):
        axis.stairs(
            part, edges, fill=True, color=colour
        )  # one outline: a bar per nucleotide takes long to measure
    axis.axvspan(one.sequence.start + 0.5, one.sequence.end + 0.5, color="0.9", zorder=0)
    axis.axhline(0, color="0.6", linewidth=0.6)
    axis.set(
        title=f"sequence alone: {one.sequence.probability:.2f}",
        xlabel="nucleotide, 5' to 3'",
        ylabel="loss of the logit when exchanged",
        xlim=(0.5, len(support) + 0.5),
    )
    if len(sequence) <= LETTERS_FIT:
        letters = np.array(list(sequence))
        for letter in np.unique(
            letters
        ):  # a marker per kind of letter: a text per nucleotide takes longer to draw than the rest of the row
            places = np.flatnonzero(letters == letter) + 1
            style = {
                "linestyle": "none",
                "marker": f"$\\mathrm{{{letter}}}$",
                "markersize": 4,
                "color": "black",
                "markeredgewidth": 0,
            }
            axis.plot(
                places, np.full(len(places), 0.025), transform=axis.get_xaxis_transform(), **style
            )
