"""Figure of an explanation: signed bars of the sources, evidence, and the sequence as a track."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.explain.occlusion import AGAINST, FOR, NEITHER
from fusion.explain.result import (
    SHARED,
    SIGNS,
    Compartment,
    Explanation,
    bar_scale,
    differing_attention,
    format_effect,
    format_probability,
    neighbour_summary,
    partner_summary,
    verdict,
)
from fusion.explain.sequence import SequenceReasons
from fusion.explain.towers import SourceAttention
from mirnagraph.writing.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
WIDTH = 8.0
"""Inches: at 800 pixels a point of a font is 1.4 pixels."""

TITLE_SIZE = 9.0
FONT_SIZE = 8.0
SMALL_SIZE = 7.5
"""Points."""

HEADER_HEIGHT = 0.62
TITLE_HEIGHT = 0.36
BAR_HEIGHT = 0.21
AXIS_HEIGHT = 0.44
LINE_HEIGHT = 0.126
TRACK_HEIGHT = 0.72
TRACK_TITLE_HEIGHT = 0.24
TRACK_AXIS_HEIGHT = 0.3
GAP = 0.16
MARGIN = 0.12
BARS_LEFT = 1.85
BARS_WIDTH = 1.95
EVIDENCE_LEFT = 4.05
STRIP_HEIGHT = 0.13
"""Inches, of the parts from top to bottom and from left to right."""

EVIDENCE_LETTERS = 64
EVIDENCE_LINES = 2
"""Letters of a line beside the bars, and lines of one kind of evidence."""

TRACK_NUCLEOTIDES = 90
MAX_LETTERS = 180
"""Nucleotides of one track, and of a sequence up to which every letter is drawn."""

ROOM = 0.3
LITTLE_ROOM = 0.1
"""Of the width of all bars: room for values beside them, and on a side without bars."""

COLOURS = {FOR: "#0072B2", AGAINST: "#E69F00", NEITHER: "0.6"}
HATCHES = {FOR: "", AGAINST: "////", NEITHER: ""}
"""Direction -> colour (Okabe and Ito) and hatch: dark, and light with lines, in grey too."""


@dataclass(frozen=True)
class Bar:
    """One bar of the chart.

    Attributes:
        words: the source in plain words.
        length: the effect on the probability: above 0 to the right.
        direction: of the effect, which sets colour and hatch.
        is_present: whether the RNA has the source.
    """

    words: str
    length: float
    direction: str
    is_present: bool


def bars_of(reasons: Compartment) -> tuple[Bar, ...]:
    """Bars of a compartment, from top to bottom."""
    return tuple(Bar(of.words, of.effect, of.direction, of.present) for of in reasons.effects)


def draw_explanation(explanation: Explanation) -> Figure:
    """Draw what speaks for each compartment and against it, the evidence, and the sequence."""
    from matplotlib.figure import Figure

    attention = differing_attention(explanation.attention)
    heights = [_block_height(explanation, reasons) for reasons in explanation.compartments]
    height = HEADER_HEIGHT + sum(heights)
    if attention:
        height += TITLE_HEIGHT + BAR_HEIGHT * len(attention) + AXIS_HEIGHT
    # Positions are set by hand: a layout that measures draws everything twice.
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    _draw_header(figure, explanation)
    top = HEADER_HEIGHT
    for reasons, block_height in zip(explanation.compartments, heights, strict=True):
        _draw_compartment(figure, explanation, reasons, top)
        top += block_height
    if attention:
        _draw_attention(figure, attention, top)
    return figure


def save_explanation(explanation: Explanation, path: Path) -> None:
    """Write `draw_explanation` as PNG.

    Drawn once and packed lightly: ``savefig`` draws a first time to measure, and packs for half a
    second.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(draw_explanation(explanation))
    with write_file(path) as part:
        canvas.print_png(part, metadata={"Software": None}, pil_kwargs={"compress_level": 1})


def _evidence(reasons: Compartment) -> list[str]:
    """Lines beside the bars."""
    width = EVIDENCE_LINES * EVIDENCE_LETTERS - 12
    lines = []
    if reasons.partners:
        lines.append(f"Partners: {SHARED}")
        lines += _wrapped(partner_summary(reasons, width))
    if reasons.neighbours:
        lines.append(f"Most similar training RNAs: {SIGNS}")
        lines += _wrapped(neighbour_summary(reasons, width))
    return lines


def _wrapped(lines: Sequence[str]) -> list[str]:
    wrapped = []
    for line in lines:
        # a number stays with its word
        kept = line.replace("PMID ", "PMID\u00a0").replace(" of ", "\u00a0of\u00a0")
        wrapped += textwrap.wrap(
            kept,
            EVIDENCE_LETTERS,
            initial_indent="  ",
            subsequent_indent="      ",
            break_on_hyphens=False,
        )
    return wrapped


def _tracks(explanation: Explanation, reasons: Compartment) -> list[tuple[int, int]]:
    """Start and end of each track of the sequence; long sequences have one, without letters."""
    if reasons.sequence is None or explanation.sequence is None:
        return []
    length = len(explanation.sequence)
    if length > MAX_LETTERS:
        return [(0, length)]
    n_tracks = -(-length // TRACK_NUCLEOTIDES)
    width = -(-length // n_tracks)
    return [(start, min(start + width, length)) for start in range(0, length, width)]


def _body_height(reasons: Compartment) -> float:
    bars = BAR_HEIGHT * max(len(reasons.effects), 1) + AXIS_HEIGHT
    evidence = STRIP_HEIGHT + 0.34 + LINE_HEIGHT * len(_evidence(reasons))
    return max(bars, evidence)


def _block_height(explanation: Explanation, reasons: Compartment) -> float:
    height = TITLE_HEIGHT + _body_height(reasons)
    tracks = _tracks(explanation, reasons)
    if tracks:
        height += TRACK_TITLE_HEIGHT + len(tracks) * (TRACK_HEIGHT + TRACK_AXIS_HEIGHT)
    return height + GAP


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Axes at a place in inches from the left and from the top."""
    page = figure.get_figheight()
    place = (left / WIDTH, 1 - (top + height) / page, width / WIDTH, height / page)
    axis = figure.add_axes(place)
    axis.tick_params(labelsize=SMALL_SIZE, length=2, pad=2)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    return axis


def _text(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Text whose top left corner is at a place in inches."""
    page = figure.get_figheight()
    style = {"fontsize": FONT_SIZE, **style}
    figure.text(left / WIDTH, 1 - top / page, text, ha="left", va="top", **style)


def _draw_header(figure: Figure, explanation: Explanation) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    title = explanation.query
    if explanation.known_as not in ("", explanation.query):
        title += f", known as {explanation.known_as}"
    text = f"{title}: what speaks for and against each compartment ({explanation.source})"
    _text(figure, MARGIN, 0.1, text, fontsize=TITLE_SIZE + 1, fontweight="bold")
    marker: dict[str, Any] = {"linestyle": "none", "color": "black", "markersize": 5}
    handles = [
        Patch(facecolor=COLOURS[FOR], label="speaks for it"),
        Patch(
            facecolor=COLOURS[AGAINST],
            edgecolor="black",
            hatch=HATCHES[AGAINST],
            linewidth=0,
            label="speaks against it",
        ),
        Line2D([], [], marker="v", label="base rate: share of the training RNAs", **marker),
        Line2D([], [], marker="|", markeredgewidth=1.5, label="threshold of a call", **marker),
    ]
    page = figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(MARGIN / WIDTH, 1 - 0.29 / page),
        ncols=len(handles),
        fontsize=FONT_SIZE,
        frameon=False,
        borderpad=0.2,
        borderaxespad=0,
        columnspacing=1.4,
    )


def _draw_compartment(
    figure: Figure, explanation: Explanation, reasons: Compartment, top: float
) -> None:
    name = reasons.compartment
    title = f"{name}: probability {format_probability(reasons.answer)} ({verdict(reasons)})"
    _text(figure, MARGIN, top + 0.06, title, fontsize=TITLE_SIZE, fontweight="bold")
    top += TITLE_HEIGHT
    if reasons.effects:
        height = BAR_HEIGHT * len(reasons.effects)
        _draw_bars(_axes(figure, BARS_LEFT, top, BARS_WIDTH, height), reasons)
    right = WIDTH - EVIDENCE_LEFT - MARGIN
    _draw_strip(_axes(figure, EVIDENCE_LEFT, top + 0.1, right, STRIP_HEIGHT), reasons)
    lines = "\n".join(_evidence(reasons))
    place = top + STRIP_HEIGHT + 0.34
    _text(figure, EVIDENCE_LEFT, place, lines, fontsize=SMALL_SIZE, linespacing=1.1)
    top += _body_height(reasons)
    tracks = _tracks(explanation, reasons)
    if reasons.sequence is None or explanation.sequence is None:
        return
    _text(figure, MARGIN, top + 0.05, _track_title(reasons.sequence))
    top += TRACK_TITLE_HEIGHT
    longest = max(end - start for start, end in tracks)
    for start, end in tracks:
        width = (WIDTH - 0.62 - MARGIN) * (end - start) / longest
        axis = _axes(figure, 0.62, top, width, TRACK_HEIGHT)
        _draw_track(axis, reasons.sequence, explanation.sequence, start, end)
        top += TRACK_HEIGHT + TRACK_AXIS_HEIGHT


def _draw_bars(axis: Any, reasons: Compartment) -> None:
    """Signed bars, the first on top: for to the right, against to the left, with their values."""
    bars = bars_of(reasons)
    scale = bar_scale(reasons.effects)
    for place, bar in enumerate(bars):
        axis.barh(
            place,
            bar.length,
            height=0.72,
            color=COLOURS[bar.direction],
            hatch=HATCHES[bar.direction],
            edgecolor="black",
            linewidth=0,
        )
        is_left = bar.direction == AGAINST
        gap = -0.03 * scale if is_left else 0.03 * scale
        value = format_effect(bar.length) if bar.is_present else "unknown"
        axis.text(
            bar.length + gap,
            place,
            value,
            ha="right" if is_left else "left",
            va="center",
            fontsize=SMALL_SIZE,
        )
    axis.axvline(0, color="black", linewidth=0.8)
    has_left = any(bar.direction == AGAINST for bar in bars)
    low = min(0.0, *(bar.length for bar in bars))
    high = max(0.0, *(bar.length for bar in bars))
    width = max(high - low, scale)
    left = low - width * (ROOM if has_left else LITTLE_ROOM)
    axis.set(ylim=(len(bars) - 0.5, -0.5), xlim=(left, max(high, width + low) + ROOM * width))
    axis.set_yticks(range(len(bars)), [bar.words for bar in bars], fontsize=FONT_SIZE)
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=4)
    axis.set_xlabel("probability: all sources − without it", fontsize=SMALL_SIZE, labelpad=1)


def _draw_strip(axis: Any, reasons: Compartment) -> None:
    """Probability from 0 to 1 with base rate and threshold."""
    axis.barh(0.5, reasons.answer, height=1, color="0.75")
    axis.plot([reasons.base], [1.25], marker="v", color="black", markersize=5, clip_on=False)
    axis.plot([reasons.threshold] * 2, [0, 1], color="black", linewidth=1.5)
    axis.set(xlim=(0, 1), ylim=(0, 1), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    axis.set_xticklabels(["0", "0.25", "probability", "0.75", "1"])
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(True)
    for spine in axis.spines.values():
        spine.set_linewidth(0.6)


def _track_title(reasons: SequenceReasons) -> str:
    direction = "for" if reasons.change > 0 else "against"
    probability = format_probability(reasons.probability)
    window = f"nt {reasons.start + 1}-{reasons.end}"
    return (
        f"Sequence alone: probability {probability}; {window} (grey) speak most, {direction} it. "
        f"Bars: loss of the logit when {reasons.window} nt are exchanged"
    )


def _draw_track(axis: Any, reasons: SequenceReasons, sequence: str, start: int, end: int) -> None:
    """Support of each nucleotide, above the line for and below it against, and its letter."""
    support = np.array(reasons.support)
    shown = support[start:end]
    edges = np.arange(start, end + 1) + 0.5
    style: dict[str, Any] = {"fill": True, "linewidth": 0}
    axis.stairs(np.maximum(shown, 0), edges, color=COLOURS[FOR], **style)
    axis.stairs(
        np.minimum(shown, 0),
        edges,
        facecolor=COLOURS[AGAINST],
        edgecolor="black",
        hatch=HATCHES[AGAINST],
        **style,
    )
    window = (max(reasons.start, start) + 0.5, min(reasons.end, end) + 0.5)
    if window[0] < window[1]:
        axis.axvspan(*window, color="0.88", zorder=0)
    axis.axhline(0, color="black", linewidth=0.6)
    low = min(float(support.min()), 0.0)
    high = max(float(support.max()), 1e-3)
    room = 0.25 * (high - low)
    axis.set(xlim=(start + 0.5, end + 0.5), ylim=(low - room, high))
    axis.locator_params(axis="y", nbins=3)
    axis.spines["left"].set_visible(True)
    if len(sequence) <= MAX_LETTERS:
        ticks = [place for place in range(10, end + 1, 10) if place > start]
        axis.set_xticks([start + 1, *ticks])
        _draw_letters(axis, sequence, start, end)


def _draw_letters(axis: Any, sequence: str, start: int, end: int) -> None:
    """Nucleotides below the bars, one marker per kind: a text each takes longer than the row."""
    letters = np.array(list(sequence[start:end]))
    for letter in np.unique(letters):
        places = np.flatnonzero(letters == letter) + start + 1
        axis.plot(
            places,
            np.full(len(places), 0.09),
            transform=axis.get_xaxis_transform(),
            linestyle="none",
            marker=f"$\\mathrm{{{letter}}}$",
            markersize=5,
            color="black",
            markeredgewidth=0.2,
        )


def _draw_attention(figure: Figure, attention: Sequence[SourceAttention], top: float) -> None:
    """Attention to the sources where it differs between RNAs, with its SD between them."""
    title = "Attention, where it differs between RNAs (no reason in itself)"
    _text(figure, MARGIN, top + 0.06, title, fontsize=TITLE_SIZE, fontweight="bold")
    height = BAR_HEIGHT * len(attention)
    axis = _axes(figure, BARS_LEFT, top + TITLE_HEIGHT, BARS_WIDTH, height)
    weights = [of.weight for of in attention]
    spreads = [of.weight * of.between_rnas for of in attention]
    places = np.arange(len(attention))
    axis.errorbar(weights, places, xerr=spreads, fmt="o", color="black", markersize=4, capsize=2)
    axis.set(ylim=(len(attention) - 0.5, -0.5))
    axis.set_yticks(places, [of.token for of in attention], fontsize=SMALL_SIZE)
    axis.locator_params(axis="x", nbins=4)
    axis.set_xlabel("weight, and its SD between training RNAs", fontsize=SMALL_SIZE, labelpad=1)
