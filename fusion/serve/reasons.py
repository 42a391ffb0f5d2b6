"""What the short text of an explanation shows, as parts that a page can draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fusion.explain.evidence import Partner
from fusion.explain.notes import EFFECT_NOTE
from fusion.explain.occlusion import source_of_kind
from fusion.explain.result import (
    LIKE,
    SHARED,
    SIGNS,
    Compartment,
    Explanation,
    bar_scale,
    format_effect,
    format_probability,
    headline,
    shown_effects,
    verdict,
)
from fusion.explain.tables import support_marks
from fusion.serve.questions import page_words

MAX_ENRICHED = 6
MAX_DEPLETED = 2
"""Partners of a source; the JSON of an explanation has all."""

WITHOUT_OPTION = EFFECT_NOTE.removesuffix(" More: --full")


def reasons_of(explanation: Explanation) -> dict[str, Any]:
    """Parts of an explanation in words, as the short text of ``mirnagraph explain`` has them.

    Returns:
        ``compartments`` (see `compartment_reasons`), ``remarks`` on this RNA, ``notes`` on how to
        read everything, ``effect`` (what an effect is), ``shared`` and ``signs`` (how to read
        partners and similar RNAs).
    """
    compartments = [compartment_reasons(explanation, of) for of in explanation.compartments]
    return {
        "compartments": compartments,
        "remarks": [page_words(remark) for remark in explanation.remarks],
        "notes": [page_words(note) for note in explanation.notes],
        "effect": WITHOUT_OPTION,
        "shared": SHARED,
        "signs": SIGNS,
    }


def compartment_reasons(explanation: Explanation, reasons: Compartment) -> dict[str, Any]:
    """Parts of the reasons for one compartment.

    Returns:
        ``headline``, ``probability`` and ``verdict`` in words; ``effects`` with a bar: ``words``,
        ``effect``, ``text``, ``direction`` and ``share`` (length of the bar, in [0, 1]);
        ``smaller`` and ``unknown``: sources without a bar; ``partners`` by source and ``similar``
        RNAs by network; ``sequence``: nucleotides, one mark each, and a sentence, or None.
    """
    shown, others = shown_effects(reasons)
    scale = bar_scale(shown)
    effects = []
    for effect in shown:
        effects.append(
            {
                "words": effect.words,
                "effect": effect.effect,
                "text": format_effect(effect.effect).strip(),
                "direction": effect.direction,
                "share": min(1.0, abs(effect.effect) / scale),
            }
        )
    return {
        "compartment": reasons.compartment,
        "headline": headline(explanation, reasons),
        "probability": format_probability(reasons.answer),
        "verdict": verdict(reasons),
        "origin": _origin(reasons),
        "effects": effects,
        "smaller": [effect.words for effect in others],
        "unknown": [effect.words for effect in reasons.effects if not effect.present],
        "partners": _partners(reasons),
        "similar": _similar(reasons),
        "sequence": _sequence(explanation, reasons),
    }


def _origin(reasons: Compartment) -> str:
    """Which model the probability is of, where another one is explained."""
    if reasons.out_of_fold is None:
        return ""
    out_of_fold = format_probability(reasons.out_of_fold)
    explained = format_probability(reasons.probability)
    return f"{out_of_fold} is out-of-fold; the final model, explained here, gives {explained}."


def _partners(reasons: Compartment) -> list[dict[str, Any]]:
    by_source: dict[str, list[Partner]] = {}
    for partner in reasons.partners:
        by_source.setdefault(source_of_kind(partner.kind), []).append(partner)
    groups = []
    for source, partners in by_source.items():
        cells = [asdict(partner) | {"pmids": list(partner.pmids)} for partner in _shown(partners)]
        groups.append({"source": source, "partners": cells})
    return groups


def _shown(partners: Sequence[Partner]) -> list[Partner]:
    """Each partner once, of several kinds the most enriched: enriched ones, then depleted ones."""
    unique: dict[str, Partner] = {}
    for partner in sorted(partners, key=lambda partner: -partner.log_odds):
        unique.setdefault(partner.partner, partner)
    enriched = [partner for partner in unique.values() if partner.log_odds >= 0]
    depleted = [partner for partner in unique.values() if partner.log_odds < 0]
    return enriched[:MAX_ENRICHED] + depleted[-MAX_DEPLETED:]


def _similar(reasons: Compartment) -> list[dict[str, Any]]:
    by_network: dict[str, list[dict[str, Any]]] = {}
    for near in reasons.neighbours:
        cell = {"rna": near.rna, "similarity": near.weight, "annotated": near.located}
        by_network.setdefault(near.network, []).append(cell)
    return [
        {"network": LIKE.get(network, network), "rnas": cells}
        for network, cells in by_network.items()
    ]


def _sequence(explanation: Explanation, reasons: Compartment) -> dict[str, Any] | None:
    of_sequence = reasons.sequence
    if of_sequence is None or explanation.sequence is None:
        return None
    verb = "speak for" if of_sequence.change > 0 else "speak against"
    return {
        "nucleotides": explanation.sequence,
        "marks": support_marks(of_sequence.support),
        "text": f"Sequence alone: {format_probability(of_sequence.probability)}; nt "
        f"{of_sequence.start + 1}-{of_sequence.end} {verb} it most.",
    }
