"""Tables of the long text of an explanation: tokens, parts, towers, partners, sequence."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from fusion.explain.evidence import Neighbour, Partner
from fusion.explain.occlusion import Effect, Modality, effect_of
from fusion.explain.sequence import SequenceReasons
from fusion.explain.tokens import PartSum, TokenShare
from fusion.explain.towers import Carrier, KernelReasons, Relation, Support

WIDTH = 120
MAX_TOKENS = 10
MAX_RELATIONS = 6

NUCLEOTIDES_PER_LINE = WIDTH - 10
MAX_NUCLEOTIDES = 440
"""Length up to which every nucleotide is printed."""

MAX_LETTERS = 30
"""Length up to which a window of the sequence is spelled out."""

UNITS = {
    "attention": "logit",
    "neural": "logit",
    "extra_trees": "probability",
    "boosting": "logit",
    "kernel": "logit",
}

TOKEN_COLUMNS = {
    "attention": ("weight", ".3f"),
    "masked": ("with it (neural logit)", "+.3f"),
    "gradients": ("numbers (neural logit)", "+.3f"),
    "extra_trees": ("extra trees (prob.)", "+.3f"),
    "boosting": ("boosting (logit)", "+.3f"),
}
"""Attribute of `TokenShare` -> its column in the text, and the form of its numbers."""


def ranked_tokens(tokens: Sequence[TokenShare]) -> list[TokenShare]:
    """Present tokens by their largest share in any part of the model, the largest first."""
    relative = []
    for part in ("masked", "gradients", "extra_trees", "boosting"):
        sizes = [abs(getattr(token, part) or 0.0) for token in tokens]
        relative.append(np.array(sizes) / max(max(sizes, default=0.0), 1e-12))
    order = np.argsort(-np.max(relative, axis=0), kind="stable")
    return [tokens[int(number)] for number in order if tokens[int(number)].present]


def effect_table(effects: Sequence[Effect]) -> list[str]:
    """Effect of each source on the prediction, and the prediction without it."""
    rows = []
    for of in effects:
        cells = ["absent", "", "", ""]
        if of.present:
            effect = f"{of.effect:+.3f}"
            cells = [f"{of.probability:.3f}", effect, f"{of.effect_logit:+.2f}", of.direction]
        rows.append([of.words, *cells])
    return _table(["source", "without it", "effect", "on the logit", "speaks"], rows)


def modality_table(modalities: Sequence[Modality], probability: float) -> list[str]:
    """Prediction without each modality, of which several may make one source."""
    rows = []
    for of in modalities:
        cells = ["absent", ""]
        if of.present:
            effect = effect_of(probability, of.probability)
            cells = [f"{of.probability:.3f}", f"{effect:+.3f}"]
        rows.append([of.modality, *cells])
    return _table(["modality", "without it", "effect"], rows)


def token_lines(tokens: Sequence[TokenShare]) -> list[str]:
    """Table of the tokens with the largest shares."""
    tokens = ranked_tokens(tokens)
    columns = _token_columns(tokens)
    rows = []
    for token in tokens[:MAX_TOKENS]:
        cells = [_number(getattr(token, key), form) for key, (_, form) in columns.items()]
        rows.append([token.token, *cells])
    lines = _table(["token", *(name for name, _ in columns.values())], rows)
    n_more = len(tokens) - MAX_TOKENS
    if n_more > 0:
        lines.append(f"  … and {n_more} more tokens")
    return lines


def _token_columns(tokens: Sequence[TokenShare]) -> dict[str, tuple[str, str]]:
    """Columns of the table of tokens; for a fusion of two towers those with a number."""
    if all(token.masked is None for token in tokens):
        columns = {key: column for key, column in TOKEN_COLUMNS.items() if key != "masked"}
        return {**columns, "gradients": ("attention (logit)", "+.3f")}
    shown = tokens[:MAX_TOKENS]
    return {
        key: column
        for key, column in TOKEN_COLUMNS.items()
        if any(getattr(token, key) is not None for token in shown)
    }


def part_line(part: PartSum) -> str:
    """One part of the model and the sum of its tokens."""
    name = part.part.replace("_", " ")
    unit = UNITS[part.part]
    error = f"{abs(part.error):.1g}"
    return (
        f"  {name}: probability {part.probability:.3f}, weight {part.weight:.2f}; its {part.terms} "
        f"lead from {part.start:+.3f} to {part.end:+.3f} ({unit}, error {error})"
    )


def relation_lines(
    name: str, relations: Sequence[Relation], tokens: Sequence[TokenShare]
) -> list[str]:
    """Labels that the graph tower passes along each relation, the largest change first."""
    lines = [
        f"  Graph tower: labels passed along similarities (+ annotated in {name}, - not; % of the "
        "attention) and through partners"
    ]
    adds = {token.token: token.masked or 0.0 for token in tokens}
    ranked = sorted(relations, key=lambda relation: -abs(adds[relation.token]))
    for relation in ranked[:MAX_RELATIONS]:
        token = relation.token.partition(":")[2]
        if relation.is_similarity:
            carriers = [_carrier(carrier) for carrier in relation.carriers]
            text = f"{token}: share {relation.value:.2f}"
            tail = f"; {', '.join(carriers)}"
        else:
            text = f"partners {token}: log ratio {relation.value:+.2f}"
            tail = ""
        text += f", with it {adds[relation.token]:+.2f}{tail}"
        lines += textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ")
    n_more = len(ranked) - MAX_RELATIONS
    if n_more > 0:
        lines.append(f"    … and {n_more} more")
    return lines


def strength_lines(relations: Sequence[Relation]) -> list[str]:
    """Strengths of the heads of the graph tower, which are the same for every compartment."""
    if not relations:
        return []
    rows = []
    for relation in relations:
        token = relation.token.partition(":")[2]
        name = token if relation.is_similarity else f"partners {token}"
        rows.append([name, *(f"{strength:.1f}" for strength in relation.strengths)])
    heads = [str(number + 1) for number in range(len(relations[0].strengths))]
    return ["Graph tower: strength of each head", *_table(["relation", *heads], rows), ""]


def _carrier(carrier: Carrier) -> str:
    return f"{carrier.rna} {100 * carrier.weight:.0f}%{_sign(carrier.located)}"


def kernel_lines(name: str, kernel: KernelReasons) -> list[str]:
    """Training RNAs that support or oppose the compartment `name` in the kernel model."""
    sums = (
        f"start {kernel.start:+.2f}, like RNAs {kernel.supporting:+.2f} and "
        f"{kernel.opposing:+.2f}, unlike ones {kernel.unlike:+.2f}, logit {kernel.logit:+.2f}"
    )
    lines = [f"  Kernel model: {sums} (+ annotated in {name}, - not)"]
    nearest = [f"{rna.rna} {rna.kernel:.2f}{_sign(rna.located)}" for rna in kernel.nearest]
    texts = {"most like": ", ".join(nearest)}
    for what, is_positive in (("supporting", True), ("opposing", False)):
        rnas = [rna for rna in kernel.rnas if (rna.contribution > 0) == is_positive]
        texts[what] = ", ".join(_support(rna) for rna in rnas)
    for what, text in texts.items():
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"    {what}: ", subsequent_indent="      "
        )
    return lines


def _sign(is_located: bool) -> str:
    return "+" if is_located else "-"


def _support(rna: Support) -> str:
    return f"{rna.rna}{_sign(rna.located)} {rna.contribution:+.2f} (likeness {rna.kernel:.2f})"


def partner_lines(name: str, partners: Sequence[Partner]) -> list[str]:
    """Partners per kind of association, with counts, records and PMIDs."""
    lines = [f"  Partners, by how common {name} is among the training RNAs that share them"]
    for kind, of_kind in groupby(partners, key=lambda partner: partner.kind):
        text = "; ".join(_partner(partner) for partner in of_kind)
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"    {kind}: ", subsequent_indent="      "
        )
    return lines


def _partner(partner: Partner) -> str:
    details = [f"{partner.located} of {partner.sharing}", f"log odds {partner.log_odds:+.2f}"]
    if partner.n_records is not None:
        plural = "" if partner.n_records == 1 else "s"
        details.append(f"{partner.n_records:g} record{plural}")
    if partner.pmids:
        pmids = ", ".join(partner.pmids)
        details.append(f"PMID {pmids}")
    joined = ", ".join(details)
    return f"{partner.partner} ({joined})"


def neighbour_lines(name: str, neighbours: Sequence[Neighbour]) -> list[str]:
    """Nearest training RNAs per similarity."""
    lines = [f"  Nearest training RNAs, + annotated in {name}, - not"]
    for network, of_network in groupby(neighbours, key=lambda near: near.network):
        cells = []
        for near in of_network:
            sign = "+" if near.located else "-"
            cells.append(f"{near.rna} {near.weight:.2f}{sign}")
        joined = ", ".join(cells)
        lines.append(f"    {network}: {joined}")
    return lines


def sequence_lines(reasons: SequenceReasons, sequence: str) -> list[str]:
    """Window that matters most, and the whole sequence with a sign per nucleotide."""
    letters = reasons.letters
    if len(letters) > MAX_LETTERS:
        letters = f"{len(letters)} nt"
    sign = "supports" if reasons.change > 0 else "opposes"
    lines = [
        f"  The sequence alone predicts {reasons.probability:.3f}. With {reasons.window} nt at a "
        "time exchanged, the logit changes most around",
        f"  nt {reasons.start + 1}-{reasons.end} ({letters}), which {sign} the compartment "
        f"({reasons.change:+.2f}). Signs: # and + support it, = and - oppose it.",
    ]
    if len(sequence) > MAX_NUCLEOTIDES:
        width = -(-len(sequence) // NUCLEOTIDES_PER_LINE)
        starts = range(0, len(sequence), width)
        means = [float(np.mean(reasons.support[start : start + width])) for start in starts]
        return [
            *lines,
            f"  One sign stands for {width} nt, 5' to 3'; the JSON has every nucleotide "
            "(--out or --format json).",
            f"         {support_marks(means)}",
        ]
    marks = support_marks(reasons.support)
    for start in range(0, len(sequence), NUCLEOTIDES_PER_LINE):
        end = start + NUCLEOTIDES_PER_LINE
        lines += [f"  {start + 1:>6} {sequence[start:end]}", f"         {marks[start:end]}"]
    return lines


def support_marks(support: Sequence[float]) -> str:
    """One sign per nucleotide by its support, relative to the largest size.

    ``#`` and ``+`` from two thirds and one third on where it supports the compartment, ``=`` and
    ``-`` where it opposes it, else a dot.
    """
    largest = max((abs(value) for value in support), default=0.0)
    if largest == 0:
        return "." * len(support)

    def mark(value: float) -> str:
        size = abs(value)
        if size < largest / 3:
            return "."
        if size < 2 * largest / 3:
            return "+" if value > 0 else "-"
        return "#" if value > 0 else "="

    return "".join(mark(value) for value in support)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for name, *values in (header, *rows):
        cells = [name.ljust(widths[0])]
        cells += [value.rjust(width) for value, width in zip(values, widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells))
    return lines


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
