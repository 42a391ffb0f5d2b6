"""Effects of sources: sign and grouping by hand, and the same sign in figure, text and JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import Rectangle

from fusion.explain.evidence import Neighbour, Partner
from fusion.explain.figure import COLOURS, HATCHES, bars_of, draw_explanation
from fusion.explain.occlusion import (
    AGAINST,
    FOR,
    NEGLIGIBLE,
    NEITHER,
    WELL_STUDIED,
    Effect,
    direction_of,
    effect_of,
    source_effects,
    source_of,
    tokens_by_source,
)
from fusion.explain.result import Compartment, Explanation, to_text
from fusion.explain.sequence import SequenceReasons
from fusion.explain.towers import SourceAttention
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.nodes import NodeIndex

SEQUENCE = "ACGUACGUAC" * 7

GROUPS = {
    "targets": ("svd:mRNA", "svd:target"),
    "drugs": ("svd:drug",),
    "expression": ("expression:level",),
    "diseases": ("svd:disease",),
    "sequence": ("kmer",),
}

PREDICTED = np.array([[0.9, 0.8], [0.9, 0.5], [0.9, 0.9], [0.9, 0.1], [0.9, 0.8001], [0.9, 0.5]])
"""With all sources 0.8; then without each of `GROUPS`, of which expression is absent."""


def effects_by_hand() -> tuple[Effect, ...]:
    index = NodeIndex.of(["a"], "miRNA")
    tokens = []
    for name in (name for group in GROUPS.values() for name in group):
        present = np.array([name not in ("svd:target", "expression:level")])
        tokens.append(make_token(name, np.array([[1.0]]), present))
    return source_effects(GROUPS, TokenTable(index, tuple(tokens)), PREDICTED, 1)


def explanation_by_hand(length: int = 70) -> Explanation:
    support = tuple(0.5 if 30 <= place < 36 else -0.2 for place in range(length))
    sequence = SequenceReasons(6, 1, 0.6, support, 30, 36, 0.5, "ACGUAC")
    partners = tuple(
        Partner(kind, f"partner {kind} {number}", 1.0 - number, 5, 4, 1.0, ("123", "45"))
        for kind in ("mRNA", "drug", "disease", "target")
        for number in range(4)
    )
    neighbours = tuple(
        Neighbour(network, f"hsa-mir-{number}", 0.5, number == 1)
        for network in ("sequence", "functional", "gip", "coexpression")
        for number in range(5)
    )
    compartment = Compartment(
        compartment="Nucleus",
        probability=0.8,
        out_of_fold=0.7,
        threshold=0.4,
        called=True,
        located=True,
        base=0.32,
        modalities=(),
        tokens=(),
        parts=(),
        partners=partners,
        neighbours=neighbours,
        sequence=sequence,
        effects=effects_by_hand(),
    )
    letters = (SEQUENCE * 50)[:length]
    return Explanation(*["hsa-mir-1"] * 3, "final model", True, True, letters, (compartment,), ())


def test_a_source_whose_removal_lowers_the_probability_speaks_for_the_compartment() -> None:
    # with all sources 0.8, log 4 = 1.386294. Without targets 0.5, logit 0: +0.3, +1.386294.
    # Without drugs 0.9, log 9 = 2.197225: -0.1, -0.810930. Without the sequence as without targets,
    # without diseases 0.8001: -0.0001, which is neither. Expression is absent: the 0.1 is not read.
    effects = {of.source: of for of in effects_by_hand()}
    assert list(effects) == ["targets", "sequence", "drugs", "diseases", "expression"]
    assert effects["targets"].effect == pytest.approx(0.3)
    assert effects["targets"].effect_logit == pytest.approx(1.386294, abs=1e-6)
    assert effects["drugs"].effect == pytest.approx(-0.1)
    assert effects["drugs"].effect_logit == pytest.approx(-0.810930, abs=1e-6)
    assert effects["expression"].effect == 0
    assert [of.probability for of in effects.values()] == [0.5, 0.5, 0.9, 0.8001, 0.8]
    assert [of.direction for of in effects.values()] == [FOR, FOR, AGAINST, NEITHER, NEITHER]
    assert [of.present for of in effects.values()] == [True, True, True, True, False]


def test_effect_and_direction_by_hand() -> None:
    assert effect_of(0.97, 0.60) == pytest.approx(0.37)
    assert effect_of(0.20, 0.60) == pytest.approx(-0.40)
    assert [direction_of(of) for of in (0.37, -0.4, 0.0004, -0.0004, 0.0005)] == [
        FOR,
        AGAINST,
        NEITHER,
        NEITHER,
        FOR,
    ]


def test_tokens_are_grouped_by_what_a_reader_would_name() -> None:
    sources = {
        "svd:mRNA": "targets",
        "neighbours:cosine_target_2025": "targets",
        "nearest:functional": "diseases",
        "weighted:disease": "diseases",
        "svd:drug": "drugs",
        "neighbours:coexpression": "expression",
        "letters": "sequence",
        "kmer": "sequence",
        "neighbours:mature": "relatives",
        "nearest:sequence": "relatives",
        "neighbour_profile:disease": "relatives",
        "n_similar": WELL_STUDIED,
        "degree": WELL_STUDIED,
        "svd:lncRNA": "lncRNA",
    }
    assert {token: source_of(token) for token in sources} == sources
    groups = tokens_by_source(["degree", "svd:mRNA", "trees", "kmer", "evidence:target"])
    assert groups == {
        "targets": ("svd:mRNA", "evidence:target"),
        "sequence": ("kmer",),
        WELL_STUDIED: ("degree",),
    }


def signs_of_json(explanation: Explanation) -> dict[str, int]:
    values = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    effects = values["compartments"][0]["effects"]
    directions = {"for": 1, "against": -1, "neither": 0}
    for of in effects:
        if of["direction"] != "neither":
            assert directions[of["direction"]] == np.sign(of["effect"])
            assert np.sign(of["effect"]) == np.sign(of["effect_logit"])
    return {of["words"]: directions[of["direction"]] for of in effects if of["present"]}


def signs_of_text(explanation: Explanation) -> dict[str, int]:
    """Sides of the bars in the text, which have to agree with the numbers beside them."""
    signs = {}
    for line in to_text(explanation).splitlines():
        left, bar, right = line.partition(" |")
        if bar and "against" not in left and ":" not in line:
            *words, number = left.replace("=", "").split()
            signs[" ".join(words)] = ("#" in right) - ("=" in left)
            assert np.sign(float(number)) == signs[" ".join(words)]
        if line.startswith("  smaller or no effect: "):
            for word in line.partition(": ")[2].partition(";")[0].split(", "):
                signs[word] = 0
    return signs


def signs_of_picture(explanation: Explanation) -> dict[str, int]:
    """Sides of the drawn bars, which have to agree with colour, hatch and picture data."""
    axis = draw_explanation(explanation).axes[0]
    bars = bars_of(explanation.compartments[0])
    patches = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert len(patches) == len(names) == len(bars)
    left, right = axis.get_xlim()
    assert left < 0 < right
    signs = {}
    for name, patch, bar in zip(names, patches, bars, strict=True):
        edge = patch.get_x() + patch.get_width()
        sign = int(np.sign(edge)) if abs(edge) >= NEGLIGIBLE else 0
        direction = {1: FOR, -1: AGAINST, 0: NEITHER}[sign]
        assert bar.direction == direction
        assert same_color(patch.get_facecolor(), COLOURS[direction])
        assert (patch.get_hatch() or "") == HATCHES[direction]
        assert edge == pytest.approx(bar.length)
        if bar.is_present:
            signs[name] = sign
    return signs


def test_picture_text_and_json_have_the_same_signs() -> None:
    explanation = explanation_by_hand()
    by_hand = {"targets": 1, "sequence": 1, "drugs": -1, "diseases": 0}
    assert signs_of_json(explanation) == by_hand
    assert signs_of_text(explanation) == by_hand
    assert signs_of_picture(explanation) == by_hand


def test_the_legend_names_the_colours_of_the_bars() -> None:
    figure = draw_explanation(explanation_by_hand())
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    colours = {
        label: patch.get_facecolor()
        for label, patch in zip(labels, legend.get_patches(), strict=False)
    }
    # targets speak for the compartment, drugs against it
    patches = figure.axes[0].patches
    assert same_color(colours["speaks for it"], patches[0].get_facecolor())
    assert same_color(colours["speaks against it"], patches[2].get_facecolor())
    assert any("base rate" in label for label in labels)
    # the mark of the base rate, 0.32
    assert figure.axes[1].lines[0].get_xdata() == pytest.approx([0.32])


def test_the_first_line_is_the_answer() -> None:
    explanation = explanation_by_hand()
    assert to_text(explanation).splitlines()[0] == (
        "hsa-mir-1: Nucleus, probability 0.70 (called; annotated there; 32 % of the training RNAs "
        "are)"
    )
    compartment = replace(explanation.compartments[0], out_of_fold=None, located=None, called=False)
    new = replace(explanation, known_as="", compartments=(compartment,))
    assert to_text(new).splitlines()[0] == (
        "hsa-mir-1: Nucleus, probability 0.80 (not called; 32 % of the training RNAs are annotated "
        "there)"
    )


@pytest.mark.parametrize("length", [20, 70, 170, 3000])
def test_the_short_text_is_below_25_lines_and_fits_its_width(length: int) -> None:
    explanation = explanation_by_hand(length)
    compartment = explanation.compartments[0]
    effects = tuple(
        replace(compartment.effects[0], source=f"s{n}", words=f"source {n}") for n in range(12)
    )
    crowded = replace(
        explanation,
        compartments=(replace(compartment, effects=effects),),
        remarks=("A remark.",),
        attention=(SourceAttention("svd:drug", 0.2, 0.3, 0.1),),
    )
    lines = to_text(crowded).splitlines()
    assert len(lines) < 25
    assert max(map(len, lines)) <= 110
    assert "PMID 123" in "".join(lines)
    assert "More: --full" in lines[-1]
    twice = to_text(replace(crowded, compartments=crowded.compartments * 2)).splitlines()
    assert len(twice) < 50


def test_the_text_spells_the_stretch_that_matters() -> None:
    text = to_text(explanation_by_hand(3000))
    assert "nt 31-36 speak for it most" in text
    lines = text.splitlines()
    number = next(n for n, line in enumerate(lines) if "Sequence alone" in line)
    letters, marks = lines[number + 1 : number + 3]
    place = marks.index("#")
    assert marks.count("#") == 6
    assert letters[place : place + 6] == (SEQUENCE * 2)[30:36]


def test_attention_is_shown_only_where_it_differs_with_its_spread() -> None:
    explanation = explanation_by_hand()
    alike = SourceAttention("svd:mRNA", 0.3, 0.02, 0.5)
    differs = SourceAttention("svd:drug", 0.2, 0.25, 0.1)
    shown = replace(explanation, attention=(alike, differs))
    assert "svd:drug 0.200 (SD 25 %)" in to_text(shown)
    assert "svd:mRNA" not in to_text(shown)
    axis = draw_explanation(shown).axes[-1]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["svd:drug"]
    # 0.2 plus and minus 25 % of it
    (segment,) = axis.collections[0].get_segments()
    assert segment[:, 0].tolist() == pytest.approx([0.15, 0.25])
    n_axes = len(draw_explanation(explanation).axes)
    assert len(draw_explanation(replace(explanation, attention=(alike,))).axes) == n_axes
    assert json.loads(json.dumps(shown.to_dict()))["attention"][1]["between_rnas"] == 0.25
