"""Explanation, as text and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np

from fusion.explain.evidence import Neighbour, Partner
from fusion.explain.occlusion import Modality
from fusion.explain.sequence import SequenceReasons
from fusion.explain.tokens import PartSum, TokenShare

WIDTH = 120
MOST_TOKENS = 10
MAX_NUCLEOTIDES = 440

UNITS = {"attention": "logit", "extra_trees": "probability", "boosting": "logit"}


@dataclass(frozen=True)
class Compartment:
    """Why an RNA is, or is not, put into one compartment.

    Attributes:
        probability: of the model that is explained. out_of_fold: of the one that did not train on the RNA, which is what `predict` says; None where
            there is none.
        threshold, called: of the out-of-fold answer where there is one, else of the explained one.
        located: the annotation; None where the model did not learn from the RNA.
        base: share of the training RNAs that are annotated there.
        modalities, tokens, parts, partners, neighbours, sequence: the reasons, see their classes; `sequence` is None where there is no sequence or no
            model for sequences alone.
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


@dataclass(frozen=True)
class Explanation:
    """Why a model says what it says of one RNA.

    Attributes:
        rna_id: as it was asked for. known_as: its name in the model; empty for a new RNA.
        source: ``final model`` or ``sequence alone``: which model is explained.
        learned: whether that model learned from the RNA's own label. unseen_trees: whether the extra trees that drew it were left out.
        sequence: upper-case ACGUN, or None.
        notes: how to read it, and what is left out and why.
    """

    rna_id: str
    known_as: str
    source: str
    learned: bool
    unseen_trees: bool
    sequence: str | None
    compartments: tuple[Compartment, ...]
    notes: tuple[str, ...]

    def to_text(self) -> str:
        """The same in words and tables, as the command prints it."""

        return to_text(self)

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, as JSON takes them."""
        return asdict(self)


def to_text(explanation: Explanation) -> str:
    """Everything a person wants at a glance; every number stands in the JSON."""
    asked = explanation.rna_id
    own = explanation.known_as
    title = f"{asked}{f', known as {own}' if own not in ('', asked) else ''}: why {', '.join(one.compartment for one in explanation.compartments)}"
    lines = [title, "=" * len(title), ""]
    for one in explanation.compartments:
        lines += [*_compartment(one, explanation.sequence), ""]
    lines.append("How to read this")
    for note in explanation.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def ranked_tokens(tokens: Sequence[TokenShare]) -> list[TokenShare]:
    """Tokens in the order of the largest share that they have in any part of the model; absent ones are left out."""
    columns = [
        [abs(getattr(token, name) or 0.0) for token in tokens]
        for name in ("gradients", "extra_trees", "boosting")
    ]
    largest = np.max(
        [np.array(column) / max(max(column, default=0.0), 1e-12) for column in columns], axis=0
    )
    return [
        tokens[int(at)] for at in np.argsort(-largest, kind="stable") if tokens[int(at)].present
    ]


def _compartment(one: Compartment, sequence: str | None) -> list[str]:
    said = f"probability {one.probability:.3f}"
    if one.out_of_fold is not None:
        said += f", out-of-fold {one.out_of_fold:.3f}"
    known = (
        "" if one.located is None else f"; {'annotated' if one.located else 'not annotated'} there"
    )
    call = "called" if one.called else "not called"
    lines = [
        f"{one.compartment}: {said}, threshold {one.threshold:.3f}: {call}{known} ({100 * one.base:.0f} % of the training RNAs are)",
        "",
    ]
    rows = [
        [m.modality, f"{m.probability:.3f}", f"{m.change:+.3f}", f"{m.change_logit:+.2f}"]
        if m.present
        else [m.modality, "absent", "", ""]
        for m in one.modalities
    ]
    lines += _table(["without", "probability", "change", "of the logit"], rows)
    shown = ranked_tokens(one.tokens)
    rows = [
        [
            t.token,
            _number(t.attention, ".3f"),
            *(_number(v, "+.3f") for v in (t.gradients, t.extra_trees, t.boosting)),
        ]
        for t in shown[:MOST_TOKENS]
    ]
    lines += [
        "",
        *_table(
            ["token", "looked at", "attention (logit)", "extra trees (prob.)", "boosting (logit)"],
            rows,
        ),
    ]
    if len(shown) > MOST_TOKENS:
        lines.append(f"  … and {len(shown) - MOST_TOKENS} more tokens")
    for part in one.parts:
        name = part.part.replace("_", " ")
        unit = UNITS[part.part]
        lines.append(
            f"  {name}: probability {part.probability:.3f}, weight {part.weight:.2f}; its tokens lead from {part.start:+.3f} to {part.end:+.3f} ({unit}, "
            f"error {abs(part.error):.1g})"
        )
    if one.partners:
        lines += [
            "",
            f"  Partners, by how common {one.compartment} is among the training RNAs that share them",
        ]
        for kind, partners in groupby(one.partners, key=lambda partner: partner.kind):
            lines += textwrap.wrap(
                "; ".join(map(_partner, partners)),
                WIDTH,
                initial_indent=f"    {kind}: ",
                subsequent_indent="      ",
            )
    if one.neighbours:
        lines += ["", f"  Nearest training RNAs, + annotated in {one.compartment}, - not"]
        for network, near in groupby(one.neighbours, key=lambda neighbour: neighbour.network):
            lines.append(
                f"    {network}: "
                + ", ".join(f"{n.rna} {n.weight:.2f}{'+' if n.located else '-'}" for n in near)
            )
    if one.sequence is not None and sequence is not None:
        lines += ["", *_sequence(one.sequence, sequence)]
    return lines


def _partner(partner: Partner) -> str:
    more = [f"{partner.located} of {partner.sharing}", f"log odds {partner.log_odds:+.2f}"]
    if partner.n_records is not None:
        more.append(f"{partner.n_records:g} record{'s' if partner.n_records != 1 else ''}")
    if partner.pmids:
        more.append(f"PMID {', '.join(partner.pmids)}")
    return f"{partner.partner} ({', '.join(more)})"


def _sequence(reasons: SequenceReasons, sequence: str) -> list[str]:
    place = f"nt {reasons.start + 1}-{reasons.end} ({reasons.letters if len(reasons.letters) <= 30 else f'{len(reasons.letters)} nt'})"
    lines = [
        f"  The sequence alone says {reasons.probability:.3f}. With {reasons.window} nt at a time exchanged, its logit changes most around {place}:",
        f"  it speaks {'for' if reasons.change > 0 else 'against'} the compartment ({reasons.change:+.2f}). # and + speak for it, = and - against.",
    ]
    if len(sequence) > MAX_NUCLEOTIDES:
        width = -(-len(sequence) // (WIDTH - 10))
        means = [
            float(np.mean(reasons.support[start : start + width]))
            for start in range(0, len(sequence), width)
        ]
        return [
            *lines,
            f"  One sign stands for {width} nt, 5' to 3'; what every nucleotide says is in the JSON (--out or --format json).",
            f"         {support_marks(means)}",
        ]
    marks = support_marks(reasons.support)
    for start in range(0, len(sequence), WIDTH - 10):
        lines += [
            f"  {start + 1:>6} {sequence[start : start + WIDTH - 10]}",
            f"         {marks[start : start + WIDTH - 10]}",
        ]
    return lines


def support_marks(support: Sequence[float]) -> str:
    """One letter per nucleotide: ``#`` and ``+`` from two and one third of the largest size on where it speaks for it, ``=`` and ``-`` against, else a dot."""
    largest = max((abs(value) for value in support), default=0.0)
    if largest == 0:
        return "." * len(support)
    return "".join(
        "."
        if abs(v) < largest / 3
        else ("#" if v > 0 else "=")
        if abs(v) >= 2 * largest / 3
        else ("+" if v > 0 else "-")
        for v in support
    )


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, *rows]
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
