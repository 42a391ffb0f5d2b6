"""Figure of an explanation: modalities, tokens and the sequence, one row per compartment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.explain.result import Compartment, Explanation, ranked_tokens

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_TOKENS = 12
MAX_LETTERS = 120
"""Length up to which every nucleotide is drawn."""

DPI = 110

ROW_HEIGHT = 3.6
TITLE_HEIGHT = 0.35
AXIS_HEIGHT = 0.55
LETTER_WIDTH = 0.067
"""Inches: a row, the title above its axes, the labels below them, a letter of a small label."""

PANEL_HEIGHT = ROW_HEIGHT - AXIS_HEIGHT - TITLE_HEIGHT

PANEL_WIDTHS = (2.6, 1.8, 2.6, 4.2)
"""Inches: modalities, attention, token shares, sequence."""

SUPPORTS = "C0"
OPPOSES = "C3"


def draw_explanation(explanation: Explanation) -> Figure:
    """Draw changes without each modality, weights and shares of tokens, and the sequence."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = explanation.compartments
    has_sequence = any(reasons.sequence is not None for reasons in rows)
    modality_names = [name for reasons in rows for name in _modality_names(reasons)]
    token_names = [token.token for reasons in rows for token in reasons.tokens]
    margins = [_label_width(modality_names), _label_width(token_names), 0.2, 0.8]
    n_panels = 4 if has_sequence else 3
    margins = margins[:n_panels]
    widths = PANEL_WIDTHS[:n_panels]
    # Positions are set by hand, of titles and labels too: a layout that measures draws everything
    # twice, which takes longer than all the rest.
    width = sum(margins) + sum(widths) + 0.1
    height = ROW_HEIGHT * len(rows) + 0.3
    figure = Figure(figsize=(width, height), dpi=DPI)
    title = f"{explanation.rna_id} ({explanation.source}); attention is not attribution"
    figure.text(0.5, 1 - 0.1 / height, title, ha="center", va="top")
    starts = np.cumsum(margins) + np.cumsum([0.0, *widths[:-1]])
    for number, reasons in enumerate(rows):
        bottom = ROW_HEIGHT * (len(rows) - 1 - number) + AXIS_HEIGHT
        axes = []
        for start, panel_width in zip(starts, widths, strict=True):
            place = (
                start / width,
                bottom / height,
                panel_width / width,
                PANEL_HEIGHT / height,
            )
            axes.append(figure.add_axes(place))
        with rc_context({"axes.titley": 1.0}):
            _draw_modalities(axes[0], reasons)
            _draw_tokens(axes[1], axes[2], reasons)
            if has_sequence:
                _draw_sequence(axes[3], reasons, explanation.sequence or "")
        for axis in axes:
            axis.xaxis.set_label_coords(0.5, -0.34 / PANEL_HEIGHT)
    return figure


def save_explanation(explanation: Explanation, path: Path) -> None:
    """Write `draw_explanation` as PNG.

    Drawn once and packed lightly: ``savefig`` draws a first time to measure, and packs for half a
    second.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(draw_explanation(explanation))
    canvas.print_png(path, metadata={"Software": None}, pil_kwargs={"compress_level": 1})


def _label_width(names: list[str]) -> float:
    return 0.3 + LETTER_WIDTH * max(len(name) for name in names)


def _modality_names(reasons: Compartment) -> list[str]:
    return [m.modality if m.present else f"{m.modality} (absent)" for m in reasons.modalities]


def _draw_modalities(axis: Any, reasons: Compartment) -> None:
    changes = [modality.change_logit for modality in reasons.modalities]
    _draw_bars(axis, _modality_names(reasons), changes)
    title = f"{reasons.compartment}: {reasons.probability:.2f}"
    if reasons.out_of_fold is not None:
        title += f", out-of-fold {reasons.out_of_fold:.2f}"
    axis.set(title=title, xlabel="change of the logit without it")


def _draw_tokens(weight_axis: Any, share_axis: Any, reasons: Compartment) -> None:
    ranked = ranked_tokens(reasons.tokens)
    tokens = [token for token in ranked if token.masked is not None][:MAX_TOKENS]
    unit = "the neural part's logit"
    shares = [token.masked or 0.0 for token in tokens]
    if not tokens:
        tokens = [token for token in ranked if token.gradients is not None][:MAX_TOKENS]
        unit = "attention's logit"
        shares = [token.gradients or 0.0 for token in tokens]
    if not tokens:
        tokens = ranked[:MAX_TOKENS]
        unit = "the extra trees' probability"
        shares = [token.extra_trees or 0.0 for token in tokens]
    names = [token.token for token in tokens]
    weights = [token.attention or 0.0 for token in tokens]
    _draw_bars(weight_axis, names, weights, ["0.6"] * len(tokens))
    weight_axis.set(title="attention", xlabel="weight")
    _draw_bars(share_axis, [""] * len(tokens), shares)
    share_axis.set(title="what the tokens add", xlabel=f"to {unit}")


def _draw_bars(
    axis: Any, names: list[str], values: list[float], colours: list[str] | None = None
) -> None:
    """Horizontal bars, the first on top.

    One collection and plain texts: a patch per bar and a tick per name take three times as long.
    """
    points_per_bar = 72 * PANEL_HEIGHT / max(len(values), 1)
    if colours is None:
        colours = [SUPPORTS if value > 0 else OPPOSES for value in values]
    axis.hlines(range(len(values)), 0, values, colors=colours, linewidth=0.8 * points_per_bar)
    axis.axvline(0, color="0.6", linewidth=0.6)
    style = {"ha": "right", "va": "center", "fontsize": "small"}
    for place, name in enumerate(names):
        axis.text(-0.02, place, name, transform=axis.get_yaxis_transform(), **style)
    axis.set(yticks=[], ylim=(len(values) - 0.5, -0.5))
    axis.locator_params(axis="x", nbins=4)


def _draw_sequence(axis: Any, reasons: Compartment, sequence: str) -> None:
    if reasons.sequence is None:
        axis.set_axis_off()
        return
    support = np.array(reasons.sequence.support)
    edges = np.arange(len(support) + 1) + 0.5
    axis.use_sticky_edges = False  # room for the letters below
    # one outline: a bar per nucleotide takes long to measure
    axis.stairs(np.maximum(support, 0), edges, fill=True, color=SUPPORTS)
    axis.stairs(np.minimum(support, 0), edges, fill=True, color=OPPOSES)
    window = (reasons.sequence.start + 0.5, reasons.sequence.end + 0.5)
    axis.axvspan(*window, color="0.9", zorder=0)
    axis.axhline(0, color="0.6", linewidth=0.6)
    axis.set(
        title=f"sequence alone: {reasons.sequence.probability:.2f}",
        xlabel="nucleotide, 5' to 3'",
        ylabel="loss of the logit when exchanged",
        xlim=(0.5, len(support) + 0.5),
    )
    if len(sequence) <= MAX_LETTERS:
        _draw_letters(axis, sequence)


def _draw_letters(axis: Any, sequence: str) -> None:
    """Nucleotides below the axis, one marker per kind: a text each takes longer than the row."""
    letters = np.array(list(sequence))
    for letter in np.unique(letters):
        places = np.flatnonzero(letters == letter) + 1
        axis.plot(
            places,
            np.full(len(places), 0.025),
            transform=axis.get_xaxis_transform(),
            linestyle="none",
            marker=f"$\\mathrm{{{letter}}}$",
            markersize=4,
            color="black",
            markeredgewidth=0,
        )
