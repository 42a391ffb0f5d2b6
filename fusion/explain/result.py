"""Explanations of predictions, as text and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from fusion.explain.evidence import Neighbour, Partner
from fusion.explain.notes import EFFECT_NOTE
from fusion.explain.occlusion import FOR, NEITHER, Effect, Modality, source_of_kind
from fusion.explain.sequence import SequenceReasons
from fusion.explain.tables import (
    WIDTH,
    effect_table,
    kernel_lines,
    modality_table,
    neighbour_lines,
    part_line,
    partner_lines,
    relation_lines,
    sequence_lines,
    strength_lines,
    support_marks,
    token_lines,
)
from fusion.explain.tokens import PartSum, TokenShare
from fusion.explain.towers import VARIES, KernelReasons, Relation, SourceAttention
from fusion.models.predict import QUERY_COLUMNS

MAX_SOURCES = 7
MAX_KINDS = 3
MAX_NEIGHBOURS = 4
"""Lines of sources, of kinds of partners and of similarities; RNAs of a similarity."""

SHARED = "n of m training RNAs that share it are annotated there"
SIGNS = "+ annotated there, - not"
"""How to read partners and neighbours."""

SHORT_WIDTH = 110
"""Characters of a line of the short text."""

BAR_WIDTH = 18
"""Characters of the longest bar."""

SMALLEST_SCALE = 0.05
"""Effect of the longest bar at least: where no source matters, no bar is long."""

STRETCH = 90
"""Nucleotides of the sequence in the short text, around the window that matters most."""

LIKE = {"functional": "diseases", "semantic": "diseases", "coexpression": "expression"}
"""Similarity network -> what two RNAs are alike in, where the name does not tell."""


@dataclass(frozen=True)
class Compartment:
    """Reasons for the prediction of one compartment.

    Attributes:
        probability: of the model that is explained.
        out_of_fold: probability of the model that was not trained on the RNA, as `predict` reports
            it; None where there is none.
        threshold, called: of the out-of-fold prediction where there is one, else of the explained
            one.
        located: the annotation; None where the model was not trained on the RNA.
        base: share of the training RNAs that are annotated there.
        modalities, tokens, parts, partners, neighbours, effects: the reasons, see their classes.
        sequence: likewise; None without a sequence or a model that predicts from it alone.
        relations: what the graph tower passes on; empty without one.
        kernel: None without a kernel model.
    """

    compartment: str
    probability: float
    out_of_fold: float | None
    threshold: float
    called: bool
    located: bool | None
    base: float
    modalities: tuple[Modality, ...]
    tokens: tuple[TokenShare, ...]
    parts: tuple[PartSum, ...]
    partners: tuple[Partner, ...]
    neighbours: tuple[Neighbour, ...]
    sequence: SequenceReasons | None
    relations: tuple[Relation, ...] = ()
    kernel: KernelReasons | None = None
    effects: tuple[Effect, ...] = ()

    @property
    def answer(self) -> float:
        """Probability that `predict` reports: out-of-fold where there is one."""
        return self.probability if self.out_of_fold is None else self.out_of_fold


@dataclass(frozen=True)
class Explanation:
    """Reasons for the predictions of one RNA.

    Attributes:
        query: as asked.
        rna_id: the RNA that is explained, as of `predict`.
        known_as: name of the reference RNA; empty for a new RNA.
        source: ``final model`` or ``sequence alone``: the model that is explained.
        learned: whether that model was trained on the RNA's label.
        unseen_trees: whether the extra trees with the RNA in their bootstrap sample are left out.
        sequence: upper-case ACGUN, or None.
        notes: how to read it, and what is left out and why.
        remarks: those of the notes that are about this RNA, not about every explanation.
        attention: to the sources of a fusion of two towers, with its spread between RNAs; empty for
            another model.
        accession: of miRBase, of what was asked; empty where none is known.
        match: how the query was matched, a key of `mirnagraph.names.QUERY_KINDS`; empty where no
            name or sequence was asked.
    """

    query: str
    rna_id: str
    known_as: str
    source: str
    learned: bool
    unseen_trees: bool
    sequence: str | None
    compartments: tuple[Compartment, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    attention: tuple[SourceAttention, ...] = ()
    accession: str = ""
    match: str = ""

    def to_text(self, *, full: bool = False) -> str:
        """Text, as the command prints it; `full` adds tokens, kernel model and graph tower."""
        return full_text(self) if full else to_text(self)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON, the columns of `QUERY_COLUMNS` first."""
        values = asdict(self)
        return {name: values.pop(name) for name in QUERY_COLUMNS} | values


def to_text(explanation: Explanation) -> str:
    """Short text, below 25 lines per compartment: the answer first, then what speaks for it."""
    blocks = [answer_lines(explanation, reasons) for reasons in explanation.compartments]
    gap = [""] if len(blocks) > 1 else []
    lines = []
    for block in blocks:
        lines += [*block, *gap]
    differing = attention_line(explanation.attention)
    lines += [differing] if differing else []
    return "\n".join([*lines, *explanation.remarks, EFFECT_NOTE]) + "\n"


def full_text(explanation: Explanation) -> str:
    """Long text: every table, with rounded numbers; JSON has all of them."""
    lines = []
    for reasons in explanation.compartments:
        lines += [*_compartment_lines(explanation, reasons), ""]
    lines += strength_lines(explanation.compartments[0].relations)
    lines.append("How to read this")
    for note in explanation.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def answer_lines(explanation: Explanation, reasons: Compartment) -> list[str]:
    """Short text of one compartment."""
    lines = [headline(explanation, reasons)]
    if reasons.out_of_fold is not None:
        out_of_fold = format_probability(reasons.out_of_fold)
        explained = format_probability(reasons.probability)
        lines.append(
            f"  {out_of_fold} is out-of-fold, as `predict` reports; the final model, explained "
            f"here, gives {explained}."
        )
    lines += effect_lines(reasons)
    if reasons.partners or reasons.neighbours:
        how = [SHARED] if reasons.partners else []
        how += [SIGNS] if reasons.neighbours else []
        lines.append(f"  Evidence ({'; '.join(how)})")
        lines += [f"    {line}" for line in partner_summary(reasons, SHORT_WIDTH - 4)]
        lines += [f"    {line}" for line in neighbour_summary(reasons, SHORT_WIDTH - 4)]
    if reasons.sequence is not None and explanation.sequence is not None:
        lines += _stretch_lines(reasons.sequence, explanation.sequence)
    return lines


def headline(explanation: Explanation, reasons: Compartment) -> str:
    """The answer in words: RNA, compartment, probability, call, annotation and base rate."""
    rna = explanation.query
    if explanation.known_as not in ("", rna):
        rna += f", known as {explanation.known_as}"
    probability = format_probability(reasons.answer)
    return f"{rna}: {reasons.compartment}, probability {probability} ({verdict(reasons)})"


def verdict(reasons: Compartment) -> str:
    """Call, annotation and base rate in words."""
    call = "called" if reasons.called else "not called"
    base = f"{100 * reasons.base:.0f} % of the training RNAs are"
    if reasons.located is None:
        return f"{call}; {base} annotated there"
    annotation = "annotated" if reasons.located else "not annotated"
    return f"{call}; {annotation} there; {base}"


def format_probability(value: float) -> str:
    """Two decimals, three near 0 and 1."""
    return f"{value:.2f}" if 0.015 <= value <= 0.985 else f"{value:.3f}"


def format_effect(effect: float) -> str:
    """Signed, with three decimals; 0 without a sign."""
    text = f"{effect:+.3f}"
    return " 0.000" if float(text) == 0 else text


def shown_effects(reasons: Compartment) -> tuple[list[Effect], list[Effect]]:
    """Effects with a bar, and those of the other present sources."""
    present = [of for of in reasons.effects if of.present]
    shown = [of for of in present if of.direction != NEITHER][:MAX_SOURCES]
    return shown, [of for of in present if of not in shown]


def bar_scale(effects: Iterable[Effect]) -> float:
    """Size of the effect that the longest bar stands for."""
    return max([SMALLEST_SCALE, *(abs(of.effect) for of in effects)])


def effect_lines(reasons: Compartment) -> list[str]:
    """Signed bars of the effects: for to the right, against to the left."""
    shown, others = shown_effects(reasons)
    scale = bar_scale(shown)
    width = max((len(of.words) for of in shown), default=0)
    lines = []
    if shown:
        lines.append(f"  {'effect'.rjust(width + 8)}  {'against'.rjust(BAR_WIDTH)} | for")
    for of in shown:
        length = round(BAR_WIDTH * abs(of.effect) / scale)
        left = "" if of.direction == FOR else "=" * length
        right = "#" * length if of.direction == FOR else ""
        bar = f"{left.rjust(BAR_WIDTH)} | {right}".rstrip()
        lines.append(f"  {of.words.ljust(width)}  {format_effect(of.effect)}  {bar}")
    absent = [of.words for of in reasons.effects if not of.present]
    remainder = []
    if others:
        remainder.append(f"smaller or no effect: {_joined(of.words for of in others)}")
    if absent:
        remainder.append(f"unknown of this RNA: {_joined(absent)}")
    if remainder:
        lines.append(f"  {'; '.join(remainder)}")
    return lines


def partner_summary(reasons: Compartment, width: int) -> list[str]:
    """Line per source with the partners that say most, and their latest PMID.

    Args:
        reasons: of a compartment.
        width: characters of a line; what does not fit is left out.
    """
    by_source: dict[str, list[Partner]] = {}
    for partner in reasons.partners:
        by_source.setdefault(source_of_kind(partner.kind), []).append(partner)
    return [
        _fitting(f"{source}: ", "; ", _partner_cells(partners), width)
        for source, partners in list(by_source.items())[:MAX_KINDS]
    ]


def neighbour_summary(reasons: Compartment, width: int) -> list[str]:
    """Line per similarity with the nearest training RNAs; `width` as of `partner_summary`."""
    by_network: dict[str, list[str]] = {}
    for near in reasons.neighbours:
        sign = "+" if near.located else "-"
        by_network.setdefault(near.network, []).append(f"{near.rna} {near.weight:.2f}{sign}")
    lines = []
    for network, cells in list(by_network.items())[:MAX_KINDS]:
        label = f"similar in {LIKE.get(network, network)}: "
        lines.append(_fitting(label, ", ", cells[:MAX_NEIGHBOURS], width))
    return lines


def _partner_cells(partners: Sequence[Partner]) -> list[str]:
    """Each partner once, the two most enriched first, then the most depleted one."""
    ranked = sorted(partners, key=lambda partner: -partner.log_odds)
    unique = list({partner.partner: partner for partner in reversed(ranked)}.values())[::-1]
    if len(unique) > 2 and unique[-1].log_odds < 0:
        unique = [*unique[:2], unique[-1], *unique[2:-1]]
    cells = []
    for partner in unique:
        cell = f"{partner.partner} {partner.located} of {partner.sharing}"
        if partner.pmids:
            cell += f" (PMID {partner.pmids[0]})"
        cells.append(cell)
    return cells


def _fitting(label: str, separator: str, cells: Sequence[str], width: int) -> str:
    """A label and as many cells as fit, one at least."""
    line = label + cells[0]
    for cell in cells[1:]:
        if len(line) + len(separator) + len(cell) > width:
            break
        line += separator + cell
    return line


def _stretch_lines(reasons: SequenceReasons, sequence: str) -> list[str]:
    """The window that matters most, and the nucleotides around it."""
    verb = "speak for" if reasons.change > 0 else "speak against"
    middle = (reasons.start + reasons.end) // 2
    start = max(0, min(middle - STRETCH // 2, len(sequence) - STRETCH))
    end = start + STRETCH
    first = f"{start + 1:>6} "
    return [
        f"  Sequence alone: {format_probability(reasons.probability)}; nt {reasons.start + 1}-"
        f"{reasons.end} {verb} it most (# + for, = - against)",
        f"{first}{sequence[start:end]}",
        f"{' ' * len(first)}{support_marks(reasons.support)[start:end]}",
    ]


def differing_attention(attention: Sequence[SourceAttention]) -> list[SourceAttention]:
    """Sources whose attention differs between RNAs, the largest weight first."""
    differing = [of for of in attention if of.between_rnas >= VARIES]
    return sorted(differing, key=lambda of: -of.weight)


def attention_line(attention: Sequence[SourceAttention]) -> str:
    """Attention where it differs between RNAs, with its spread; empty where it does not."""
    cells = [
        f"{of.token} {of.weight:.3f} (SD {100 * of.between_rnas:.0f} %)"
        for of in differing_attention(attention)
    ]
    return _fitting("Attention, no reason in itself: ", ", ", cells, SHORT_WIDTH) if cells else ""


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)


def _compartment_lines(explanation: Explanation, reasons: Compartment) -> list[str]:
    lines = answer_lines(explanation, reasons)
    lines += ["", *effect_table(reasons.effects), ""]
    lines += [*modality_table(reasons.modalities, reasons.probability), ""]
    lines += token_lines(reasons.tokens)
    lines += [part_line(part) for part in reasons.parts]
    name = reasons.compartment
    if reasons.relations:
        lines += ["", *relation_lines(name, reasons.relations, reasons.tokens)]
    if reasons.kernel is not None:
        lines += ["", *kernel_lines(name, reasons.kernel)]
    if reasons.partners:
        lines += ["", *partner_lines(name, reasons.partners)]
    if reasons.neighbours:
        lines += ["", *neighbour_lines(name, reasons.neighbours)]
    if reasons.sequence is not None and explanation.sequence is not None:
        lines += ["", *sequence_lines(reasons.sequence, explanation.sequence)]
    return lines
