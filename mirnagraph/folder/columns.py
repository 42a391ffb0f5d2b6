"""Columns of the tables of a dataset, names of its parts, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mirnagraph.errors import InputError
from mirnagraph.reading.schema import BINARY, COUNT, ID, SEQUENCE, SEQUENCES, Column, exactly
from mirnagraph.reading.table import one_of_each_case
from mirnagraph.reading.text import has_control

ONTOLOGY_COLUMNS = ["tree_number", "descriptor_id", "term"]

LEFT_OUT_COLUMNS = ["item", "id", "reason", "source"]

PAIR = ["rna_id", "partner_id"]

RNAS = "rnas.tsv"

LABELS = "labels.tsv"

COUNTS = Column("n_*", COUNT)
"""Counts of any table: of records, hairpins, matures …"""

RNA_COLUMNS = (
    Column("rna_id", ID, is_unique=True, may_be_empty=False),
    Column("sequence", SEQUENCE),
    Column("matures", SEQUENCES),
    COUNTS,
)

PARTNER_COLUMNS = (Column("partner_id", ID, is_unique=True, may_be_empty=False), COUNTS)

RESERVED = frozenset(
    ("average", "micro", "all compartments", "rna_id", "fold", "query", "called", "warning")
)
"""Names that tables of results need for rows and columns of their own."""


def association_columns(kind: str) -> tuple[Column, ...]:
    """Columns of the table of one kind of association."""
    unknown = "an association names an unknown id"
    return (
        Column("rna_id", ID, reference=RNAS, what=unknown, may_be_empty=False),
        Column(
            "partner_id", ID, reference=f"partners.{kind}.tsv", what=unknown, may_be_empty=False
        ),
        Column("n_*", COUNT, may_be_empty=False),
    )


def label_columns(compartments: Sequence[str], reference: str = RNAS) -> tuple[Column, ...]:
    """Columns of a table of labels.

    Args:
        compartments: names of its columns.
        reference: name of the ids of the RNAs (see `mirnagraph.reading.schema.check_table`).
    """
    ids = Column(
        "rna_id",
        ID,
        is_unique=True,
        may_be_empty=False,
        reference=reference,
        what="a label for an unknown RNA",
    )
    names = [exactly(name) for name in compartments]
    return (ids, *(Column(name, BINARY, may_be_empty=False) for name in names))


def check_compartments(compartments: Sequence[str], where: str | Path) -> None:
    """Raise InputError unless names of compartments differ, and no table needs them for itself."""
    column = "compartments"
    for name in compartments:
        if not name.strip() or has_control(name):
            what = "not a name for a compartment"
            raise InputError(what, file=where, column=column, found=name, expected="letters")
        if name.casefold() in RESERVED:
            raise InputError(
                "a name of a compartment that tables of results need for themselves",
                file=where,
                column=column,
                found=name,
                expected=f"another name than {', '.join(sorted(RESERVED))}",
            )
    for name, first in one_of_each_case(compartments).items():
        if name != first or list(compartments).count(name) > 1:
            raise InputError(
                "a compartment is named twice (capitals make no difference)",
                file=where,
                column=column,
                found=name,
                expected=f"names that differ, like none before {first!r}" if name != first else
                "each name once",
            )  # fmt: skip


def check_kind(kind: str, where: str | Path) -> None:
    """Raise InputError unless an association kind can be part of a file name."""
    check_file_part(kind, where, "kind of association", "associations")


def check_kinds(kinds: Sequence[str], where: str | Path) -> None:
    """Raise InputError unless kinds can be parts of file names, and differ in more than capitals.

    Some file systems make no difference between those.
    """
    for kind, first in one_of_each_case(kinds).items():
        check_kind(kind, where)
        if kind != first:
            raise InputError(
                "two kinds of association differ in capitals alone",
                file=where,
                column="associations",
                found=f"{first}, {kind}",
                expected="names that differ in their letters",
            )


def check_file_part(name: str, where: str | Path, what: str, column: str) -> None:
    """Raise InputError unless a name can be part of a file name.

    Args:
        name: to check.
        where: file, for the message.
        what: the name is of, for the message.
        column: setting, for the message.
    """
    if not re.fullmatch(r"\w[\w -]*", name):
        raise InputError(
            f"not a name for a {what}",
            file=where,
            column=column,
            found=name,
            expected="letters, digits, _, - and blanks",
        )
