"""Nucleotides of a sequence: one spelling, and which letters are valid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mirnagraph.errors import InputError

RNA_NUCLEOTIDES = frozenset("ACGUN")


def to_rna(sequence: str) -> str:
    """Normalise a sequence: upper case, T as U, no surrounding blanks.

    >>> to_rna("acgT")
    'ACGU'
    """
    return sequence.strip().upper().replace("T", "U")


def rna_sequences(sequences: Sequence[str], what: str = "sequence") -> list[str]:
    """Normalise several sequences, and check the letters of each; an empty one stays empty.

    Args:
        sequences: of ACGTUN in any case.
        what: each is, for the message.

    Raises:
        InputError: an invalid nucleotide; names the row.

    >>> rna_sequences(["acgT", "NNA", ""])
    ['ACGU', 'NNA', '']
    """
    texts = [to_rna(sequence) for sequence in sequences]
    for row, text in enumerate(texts):
        if text:
            check_nucleotides(text, rna_id=f"{what} {row}")
    return texts


def check_nucleotides(
    sequence: str,
    *,
    rna_id: str,
    file: str | Path | None = None,
    line: int | None = None,
    column: int | str | None = None,
    letters: frozenset[str] = RNA_NUCLEOTIDES,
) -> None:
    """Raise InputError for an empty sequence or an invalid nucleotide.

    Args:
        sequence: to check.
        rna_id: for the message.
        file: for the message.
        line: for the message.
        column: for the message; None for the position in the sequence.
        letters: valid nucleotides, by default ACGUN in upper case.
    """
    if not sequence:
        raise InputError(
            f"empty sequence of {rna_id}",
            file=file,
            line=line,
            column=column,
            expected="one or more of ACGUN",
        )
    if letters.issuperset(sequence):
        return
    for position, letter in enumerate(sequence):
        if letter not in letters:
            raise InputError(
                f"invalid nucleotide in the sequence of {rna_id} at position {position + 1}",
                file=file,
                line=line,
                column=column if column is not None else position + 1,
                found=letter,
                expected="A, C, G, T, U or N",
            )
