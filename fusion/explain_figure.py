"""An explanation as a picture: modalities, tokens and the sequence, one row per compartment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.explain import Compartment, Explanation
from fusion.explain_text import ranked_tokens

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TOKENS, HEIGHT, LETTERS_FIT = 12, 3.6, 120
FOR, AGAINST = "C0", "C3"


def draw_explanation(explanation: Explanation) -> Figure:
    """Per compartment: what changes without each modality, how tokens are looked at and what they add, and the sequence where there is one."""
    from matplotlib.figure import Figure

    shown = explanation.compartments
    wide = any(one.sequence is not None for one in shown)
    figure = Figure(figsize=(16 if wide else 11, HEIGHT * len(shown) + 0.5), layout="constrained")
    axes = figure.subplots(len(shown), 4 if wide else 3, squeeze=False, width_ratios=[1, 0.7, 1, 1.6] if wide else [1, 0.7, 1])
    figure.suptitle(f"{explanation.rna_id} ({explanation.source}); attention is not attribution", fontsize="medium")
    for row, one in zip(axes, shown, strict=True):
        _modalities(row[0], one)
        _tokens(row[1], row[2], one)
        if wide:
            _sequence(row[3], one, explanation.sequence or "")
    return figure


def _modalities(axis: Any, one: Compartment) -> None:
    names = [m.modality if m.present else f"{m.modality} (absent)" for m in one.modalities]
    changes = [m.change_logit for m in one.modalities]
    _bars(axis, names, changes)
    outside = "" if one.out_of_fold is None else f", out-of-fold {one.out_of_fold:.2f}"
    axis.set(title=f"{one.compartment}: {one.probability:.2f}{outside}", xlabel="change of the logit without it")


def _tokens(looked: Any, added: Any, one: Compartment) -> None:
    tokens = [token for token in ranked_tokens(one.tokens) if token.gradients is not None][:MOST_TOKENS]
    unit = "attention's logit"
    values = [token.gradients or 0.0 for token in tokens]
    if not tokens:
        tokens, unit = ranked_tokens(one.tokens)[:MOST_TOKENS], "the extra trees' probability"
        values = [token.extra_trees or 0.0 for token in tokens]
    names = [token.token for token in tokens]
    looked.barh(range(len(tokens)), [token.attention or 0.0 for token in tokens], color="0.6")
    looked.set(title="attention", xlabel="weight", yticks=range(len(names)), yticklabels=names)
    looked.invert_yaxis()
    looked.tick_params(axis="y", labelsize="small")
    _bars(added, [""] * len(tokens), values)
    added.set(title="what the tokens add", xlabel=f"to {unit}")


def _bars(axis: Any, names: list[str], values: list[float]) -> None:
    axis.barh(range(len(values)), values, color=[FOR if value > 0 else AGAINST for value in values])
    axis.axvline(0, color="0.6", linewidth=0.6)
    axis.set(yticks=range(len(names)), yticklabels=names)
    axis.tick_params(axis="y", labelsize="small")
    axis.invert_yaxis()


def _sequence(axis: Any, one: Compartment, sequence: str) -> None:
    if one.sequence is None:
        axis.set_axis_off()
        return
    support = np.array(one.sequence.support)
    axis.bar(np.arange(1, len(support) + 1), support, width=1.0, color=np.where(support > 0, FOR, AGAINST))
    axis.axvspan(one.sequence.start + 0.5, one.sequence.end + 0.5, color="0.9", zorder=0)
    axis.axhline(0, color="0.6", linewidth=0.6)
    axis.set(
        title=f"sequence alone: {one.sequence.probability:.2f}",
        xlabel="nucleotide, 5' to 3'",
        ylabel="loss of the logit when exchanged",
        xlim=(0.5, len(support) + 0.5),
    )
    if len(sequence) <= LETTERS_FIT:
        for place, letter in enumerate(sequence, 1):
            text = axis.text(place, 0.01, letter, transform=axis.get_xaxis_transform(), ha="center", va="bottom", fontsize=5, family="monospace")
            text.set_in_layout(False)  # it is inside, and to measure every letter takes seconds
