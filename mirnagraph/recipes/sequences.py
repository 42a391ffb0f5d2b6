"""Sequences of a recipe's RNAs: those of several sources, refused where two disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.nucleotides import check_nucleotides, to_rna
from mirnagraph.reading.text import NOT_GIVEN
from mirnagraph.recipes.recipe import SEQUENCE
from mirnagraph.sources.delimited import read_columns
from mirnagraph.sources.fasta import read_fasta

MIRBASE = "mirbase"

SHOWN = 40
"""Nucleotides of a long sequence in a message."""


@dataclass(frozen=True, eq=False)
class SequenceFile:
    """Sequences of one file.

    Attributes:
        kind: ``fasta`` or ``table``.
        path: of the file.
        sequences: index: 1-based lines; columns ``id`` and ``sequence`` (of A, C, G, U, N).
        column: of a table; None of a FASTA file.
    """

    kind: str
    path: Path
    sequences: pd.DataFrame
    column: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return "the FASTA file" if self.kind == "fasta" else "the table"

    @property
    def sequence_of(self) -> dict[str, str]:
        """Sequence of every id."""
        return dict(zip(self.sequences["id"], self.sequences["sequence"], strict=True))


def fasta_sequences(path: Path, iupac: str) -> SequenceFile:
    """Read the sequences of a FASTA file.

    Raises:
        InputError: no record, or what `read_fasta` raises.
    """
    records = read_fasta(path, iupac=iupac)
    if records.empty:
        raise InputError("a FASTA file with no record", file=path, expected="one or more")
    return SequenceFile("fasta", path, records.set_index("line")[["id", "sequence"]])


def table_sequences(path: Path, columns: Mapping[str, str]) -> SequenceFile:
    """Read the sequences of a column of a table; empty cells and NA are none.

    Args:
        path: of the table.
        columns: ``rna`` and ``sequence`` -> column of the table.

    Raises:
        InputError: an invalid nucleotide, with its line and column.
    """
    names = ["rna", SEQUENCE]
    mapped = {name: columns[name] for name in names}
    cells = read_columns(path, dict.fromkeys(names, ()), names, columns=mapped)
    cells = cells[~cells[SEQUENCE].isin(["", *NOT_GIVEN])]
    column = columns[SEQUENCE]
    table = pd.DataFrame({"id": cells["rna"], "sequence": cells[SEQUENCE].map(to_rna)})
    problems = []
    for line, rna_id, sequence in table.itertuples(name=None):
        try:
            check_nucleotides(sequence, rna_id=rna_id, file=path, line=line, column=column)
        except InputError as problem:
            problems.append(problem)
    raise_problems(problems)
    return SequenceFile("table", path, table, column)


def join_sequences(of_mirbase: pd.Series, files: Sequence[SequenceFile], prefer: str) -> pd.Series:
    """Lay the sequences of files over those of miRBase.

    Args:
        of_mirbase: index: ids; None where miRBase has no sequence.
        files: of the recipe.
        prefer: ``mirbase`` or the kind of a file: whose sequence counts where a file and miRBase
            disagree; empty: refused. Two files that disagree are always refused.

    Returns:
        Sequences or None, indexed as `of_mirbase`.

    Raises:
        InputError: two sources disagree on a sequence.
    """
    joined: dict[str, str] = {}
    for number, file in enumerate(files):
        for earlier in files[:number]:
            _check_agree(file, earlier.sequence_of, earlier.path.name, None)
        joined = file.sequence_of | joined
    known = {str(name): text for name, text in of_mirbase.items() if text is not None}
    if not prefer:
        for file in files:
            hint = f'say whose counts with prefer = "{file.kind}" or "{MIRBASE}" in [rnas]'
            _check_agree(file, known, "miRBase", hint)
    joined = joined | known if prefer == MIRBASE else known | joined
    cells = [joined.get(str(name)) for name in of_mirbase.index]
    return pd.Series(cells, index=of_mirbase.index, dtype=object)


def _check_agree(
    file: SequenceFile, others: Mapping[str, str], name_of_others: str, hint: str | None
) -> None:
    """Raise InputError for the first sequence of a file that another source has otherwise."""
    table = file.sequences
    expected = table["id"].map(others)
    is_other = expected.notna() & (expected != table["sequence"])
    if not is_other.any():
        return
    line = int(table.index[is_other][0])
    n_more = int(is_other.sum()) - 1
    rest = f" and {n_more} others" if n_more else ""
    name = str(table.loc[line, "id"])
    found, wanted = _around_difference(str(table.loc[line, "sequence"]), str(expected[line]))
    raise InputError(
        f"{file.title} and {name_of_others} disagree on the sequence of {name}{rest}",
        file=file.path,
        line=line,
        column=file.column,
        found=found,
        expected=wanted,
        hint=hint,
    )


def _around_difference(first: str, second: str) -> tuple[str, str]:
    """Two sequences as a message shows them: long ones from just before they differ."""
    if max(len(first), len(second)) <= 2 * SHOWN:
        return first, second
    pairs = enumerate(zip(first, second, strict=False))
    shorter = min(len(first), len(second))
    place = next((place for place, (one, other) in pairs if one != other), shorter)
    start = max(0, place - SHOWN // 2)
    texts = []
    for text in (first, second):
        texts.append(f"{text[start : start + SHOWN]} at {start + 1} of {len(text)} nt")
    return texts[0], texts[1]
