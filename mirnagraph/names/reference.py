"""Reference RNAs as names and sequences find them: rows by id, hairpin, mature, sequence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from mirnagraph.names.mirbase import MATCH_KINDS, MirbaseNames, look_up
from mirnagraph.names.spelling import (
    family_stem,
    is_like_mirna,
    locus_stem,
    natural_key,
    normalise,
    species_of,
    stem,
)

FAMILY = "family_prefix"

_NO_SPECIES = re.compile(r"(?:mir|let|lin)-")

_HUMAN_SYMBOL = re.compile(r"MIR[A-Z0-9-]+")
"""A gene symbol of man: those of mice have small letters."""

OF_MATURES = ("exact_mature", "alias_mature", "mature_name")
"""Kinds of match by the name of a mature."""

MANY_MATURES = 3
"""More mature forms than this make an RNA a family where miRBase is not at hand to tell."""

OWN, SHARED, OF_FAMILY = range(3)
"""How specific a reference RNA is: of one hairpin or mature, of several, of a whole family."""


@dataclass(frozen=True)
class Entry:
    """What a name means in miRBase: cells of `look_up`, lists split."""

    kind: str
    hairpins: tuple[str, ...]
    hairpin_accs: tuple[str, ...]
    mature_ids: tuple[str, ...]
    mature_accs: tuple[str, ...]
    source: str


def entry_of(name: str, names: MirbaseNames) -> Entry:
    """Look up a name; the kind is ``unknown`` where miRBase has none."""
    kind, *cells = look_up(name, names)
    hairpins, hairpin_accs, _, mature_ids, mature_accs = (
        tuple(filter(None, cell.split(";"))) for cell in cells[:5]
    )
    return Entry(kind, hairpins, hairpin_accs, mature_ids, mature_accs, source=cells[7])


@dataclass(frozen=True, eq=False)
class ReferenceNames:
    """Tables of the reference RNAs, made when they are first needed.

    Attributes:
        ids: in row order.
        names: miRBase; None where it is not at hand.
        sequences: of the RNAs, None where unknown; empty where no sequence is asked for.
        matures: ``;``-separated mature sequences, as `sequences`.
        n_first: number of leading RNAs that come first where several hold a sequence; None for
            all.
    """

    ids: tuple[str, ...]
    names: MirbaseNames | None = None
    sequences: tuple[str | None, ...] = ()
    matures: tuple[str, ...] = ()
    n_first: int | None = None
    _entries: dict[int, Entry | None] = field(init=False, repr=False, default_factory=dict)

    @cached_property
    def row_of_id(self) -> dict[str, int]:
        """Row of every id as it is written."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Prefixes of the species of the ids, else of miRBase, else that of man."""
        found = dict.fromkeys(filter(None, map(species_of, self.ids)))
        if self.names is not None and (not found or len(self.names.prefixes) == 1):
            found |= dict.fromkeys(self.names.prefixes)
        return tuple(found) or ("hsa",)

    @cached_property
    def are_mirnas(self) -> bool:
        """Whether every id is a name of a miRNA."""
        return all(map(is_like_mirna, self.ids))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The normalised ids."""
        species = self.species[0] if len(self.species) == 1 else ""
        return tuple(normalise(name, species) for name in self.ids)

    @cached_property
    def rows_of_key(self) -> dict[str, tuple[int, ...]]:
        """Rows of every normalised id."""
        return _rows_by((key, row) for row, key in enumerate(self.keys))

    @cached_property
    def rows_of_stem(self) -> dict[str, tuple[int, ...]]:
        """Rows of every normalised id without its locus, and without the letter of a paralog."""
        pairs = []
        for row, key in enumerate(self.keys):
            pairs += [(start, row) for start in (locus_stem(key), family_stem(key)) if start]
        return _rows_by(pairs)

    def entry(self, row: int) -> Entry | None:
        """What an id means in miRBase; None where it means nothing or miRBase is not at hand."""
        if self.names is None:
            return None
        if row not in self._entries:
            entry = entry_of(self.ids[row], self.names)
            self._entries[row] = None if entry.kind == "unknown" else entry
        return self._entries[row]

    @cached_property
    def entries(self) -> tuple[Entry | None, ...]:
        """`entry` of every row."""
        return tuple(map(self.entry, range(len(self.ids))))

    @cached_property
    def rows_of_hairpin(self) -> dict[str, tuple[int, ...]]:
        """Rows that stand for a hairpin, by its id; families, which are guesses, are left out."""
        return _rows_by(
            (hairpin, row)
            for row, entry in enumerate(self.entries)
            if entry is not None and entry.kind != FAMILY
            for hairpin in entry.hairpins
        )

    @cached_property
    def rows_of_accession(self) -> dict[str, tuple[int, ...]]:
        """Rows with a mature, or a withdrawn hairpin, by its accession; families included."""
        pairs = []
        for row, entry in enumerate(self.entries):
            if entry is not None:
                pairs += [(accession, row) for accession in entry.mature_accs]
                if entry.kind.startswith("retired"):
                    pairs += [(accession, row) for accession in entry.hairpin_accs]
        return _rows_by(pairs)

    @cached_property
    def rows_of_sequence(self) -> dict[str, tuple[int, ...]]:
        """Rows by the sequence of the RNA."""
        pairs = [(text, row) for row, text in enumerate(self.sequences) if text]
        return _rows_by(pairs)

    @cached_property
    def rows_of_mature_sequence(self) -> dict[str, tuple[int, ...]]:
        """Rows by the sequences of their mature forms."""
        return _rows_by(
            (mature, row)
            for row, cell in enumerate(self.matures)
            for mature in cell.split(";")
            if mature
        )

    def keys_of(self, query: str) -> list[str]:
        """Normalised forms of a name: one per species where it has no prefix."""
        key = normalise(query, "")
        if _NO_SPECIES.match(key):
            return [f"{species}-{key}" for species in self.species]
        return [key]

    def lacks_species(self, query: str) -> bool:
        """Whether a name is of a miRNA of any species; a symbol such as MIR21 is of man."""
        is_human = _HUMAN_SYMBOL.fullmatch(query.strip()) and "hsa" in self.species
        return not is_human and _NO_SPECIES.match(normalise(query, "")) is not None

    def foreign(self, query: str) -> str:
        """A reason where a name is of a species that the RNAs are not of; else empty."""
        species = species_of(query)
        if not species or species in self.species:
            return ""
        own = ", ".join(self.species)
        return f"{query!r} is a name of another species ({species}; the reference RNAs: {own})"

    def own_rows(self, accession: str) -> list[int]:
        """Rows whose id is the name of a mature, with or without its arm."""
        assert self.names is not None
        mature = self.names.normalise(self.names.tables.mature_entries[accession][0])
        rows = self.rows_of_key
        return [*rows.get(mature, ()), *rows.get(stem(mature), ())]

    def n_matures(self, row: int) -> int:
        """Number of mature forms of an RNA."""
        entry = self.entry(row)
        if entry is not None:
            return len(entry.mature_accs)
        return len([text for text in self.matures[row].split(";") if text]) if self.matures else 0

    def breadth(self, row: int) -> int:
        """How specific an RNA is: `OWN`, `SHARED` or `OF_FAMILY`."""
        entry = self.entry(row)
        if entry is None:
            is_family = self.names is None and self.n_matures(row) > MANY_MATURES
            return OF_FAMILY if is_family else OWN
        if entry.kind == FAMILY:
            return OF_FAMILY
        return SHARED if len(entry.hairpins) > 1 else OWN

    def ranked(
        self, rows: Iterable[int], named: Iterable[int] = (), own: Iterable[int] = ()
    ) -> list[int]:
        """Sort rows by how specific they are, the most specific first.

        Of one hairpin or mature before shared ones, families last; then the rows named, then those
        whose id is that of the mature, then by kind of match, fewest matures, and natural order.
        RNAs of the networks come before all others.

        Args:
            rows: any.
            named: rows that the id of a query names.
            own: rows whose id is the name of a mature; they count as of one mature.
        """
        kinds = list(MATCH_KINDS)
        is_named = set(named)
        is_own = set(own)
        n_first = len(self.ids) if self.n_first is None else self.n_first

        def key(row: int) -> tuple[object, ...]:
            breadth = self.breadth(row)
            if row in is_own and breadth != OF_FAMILY:
                breadth = OWN
            entry = self.entry(row)
            return (
                row >= n_first,
                breadth,
                row not in is_named,
                row not in is_own,
                kinds.index(entry.kind) if entry is not None else len(kinds),
                self.n_matures(row),
                natural_key(self.ids[row]),
            )

        return sorted(dict.fromkeys(rows), key=key)


def _rows_by(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """Rows of every key, in order, each once."""
    rows: dict[str, tuple[int, ...]] = {}
    for key, row in pairs:
        earlier = rows.get(key, ())
        if row not in earlier[-1:]:
            rows[key] = (*earlier, row)
    return rows
