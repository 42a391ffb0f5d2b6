"""Which reference RNA a sequence means: the most specific one that holds it."""

from __future__ import annotations

from collections.abc import Container, Sequence

from mirnagraph.names.match import MATURE_SEQUENCE, NEW, SEQUENCE, Match, listed
from mirnagraph.names.other_species import species_of_sequence
from mirnagraph.names.reference import OF_FAMILY, OF_MATURES, ReferenceNames, entry_of
from mirnagraph.names.spelling import natural_key, species_of, stem


def match_sequence(
    reference: ReferenceNames, name: str, sequence: str, rows: Container[int] | None = None
) -> Match:
    """Answer a sequence (see `NameResolver.match_sequence`)."""
    kind = SEQUENCE
    own: list[int] = []
    entries: Sequence[str] = ()
    if reference.names is not None:
        entries = reference.names.tables.by_sequence.get(sequence, ())
    holders = list(reference.rows_of_sequence.get(sequence, ()))
    for hairpin in entries:
        rows_of_hairpin = reference.rows_of_hairpin.get(hairpin, ())
        holders += [row for row in rows_of_hairpin if not _is_mature(reference, row)]
    holders = [row for row in holders if rows is None or row in rows]
    if not entries:
        entries = _mature_accessions(reference, sequence)
    if not holders:
        kind = MATURE_SEQUENCE
        entries = _mature_accessions(reference, sequence)
        holders = list(reference.rows_of_mature_sequence.get(sequence, ()))
        holders = [row for row in holders if rows is None or row in rows]
        own = [row for accession in entries for row in reference.own_rows(accession)]
    if not holders:
        return _new(reference, name, sequence)
    named = _named_rows(reference, name)
    first, *others = reference.ranked(holders, named, own)
    notes = []
    if reference.breadth(first) == OF_FAMILY:
        notes.append(f"{reference.ids[first]} stands for a family of miRNAs")
    shared = sorted((reference.ids[row] for row in others), key=natural_key)
    if shared:
        notes.append(f"the sequence is also in {listed(shared)}")
    note = reference.foreign(name)
    if not set(named) & set(holders):
        note = note or _other_sequence(reference, name, sequence, named)
    notes += filter(None, [note])
    return Match(
        name,
        reference.ids[first],
        _accession(reference, first, kind, name, entries),
        kind,
        tuple(shared),
        "; ".join(notes),
        first,
        is_doubtful=bool(notes),
    )


def _new(reference: ReferenceNames, name: str, sequence: str) -> Match:
    """A sequence of no reference RNA; the note says what miRBase knows of it."""
    note = reference.foreign(name) or _foreign_sequence(reference, sequence)
    if reference.names is None:
        note = note or _other_sequence(reference, name, sequence, _named_rows(reference, name))
        return Match(name, name, kind=NEW, note=note, is_doubtful=bool(note))
    tables = reference.names.tables
    hairpins = tables.by_sequence.get(sequence, ())
    matures = _mature_accessions(reference, sequence)
    ids = hairpins or [tables.mature_entries[accession][0] for accession in matures]
    accessions = [tables.entries[hairpin][0] for hairpin in hairpins] or matures
    if ids:
        species = {species_of(entry) for entry in ids}
        others = sorted(species - set(reference.species))
        note = f"the sequence of {listed(ids)}"
        if len(others) == len(species):
            note += f", of another species than the reference RNAs ({', '.join(others)})"
        elif not hairpins:
            note += ": by that name its hairpin is predicted"
    else:
        note = note or _other_sequence(reference, name, sequence, _named_rows(reference, name))
    return Match(name, name, ";".join(accessions), NEW, note=note, is_doubtful=bool(note))


def _other_sequence(
    reference: ReferenceNames, name: str, sequence: str, rows: Sequence[int]
) -> str:
    """A reason where the RNAs that a name means have other sequences; else empty.

    A part of a known sequence, or one that holds it or a mature of it, is no other one.

    Args:
        reference: the reference RNAs.
        name: of the sequence.
        sequence: that none of the RNAs has.
        rows: that the name means.
    """
    ids = []
    for row in dict.fromkeys(rows):
        known = reference.sequences[row] if reference.sequences else None
        matures = reference.matures[row].split(";") if reference.matures else []
        parts = [text for text in (known, *matures) if text]
        if not parts or any(text in sequence or sequence in text for text in parts):
            return ""
        ids.append(reference.ids[row])
    if not ids:
        return ""
    return f"{listed(ids)}, the RNA of that name, has another sequence"


def _foreign_sequence(reference: ReferenceNames, sequence: str) -> str:
    """A reason where miRBase has a sequence of other species than the RNAs are of; else empty."""
    if not (reference.are_mirnas or reference.names is not None):
        return ""
    species = species_of_sequence(sequence)
    if not species or set(species) & set(reference.species):
        return ""
    own = ", ".join(reference.species)
    return f"a sequence of another species ({listed(species)}; the reference RNAs: {own})"


def _mature_accessions(reference: ReferenceNames, sequence: str) -> Sequence[str]:
    """Accessions of the matures of a sequence."""
    if reference.names is None:
        return ()
    return reference.names.tables.by_mature_sequence.get(sequence, ())


def _is_mature(reference: ReferenceNames, row: int) -> bool:
    """Whether an RNA is a mature, which its hairpin's sequence is not of."""
    entry = reference.entry(row)
    return entry is not None and entry.kind == "exact_mature"


def _named_rows(reference: ReferenceNames, name: str) -> list[int]:
    """Rows that the id of a sequence names: itself or, of a mature, its precursor."""
    rows = reference.rows_of_key
    keys = reference.keys_of(name)
    named = [row for key in keys for row in (*rows.get(key, ()), *rows.get(stem(key), ()))]
    if named or reference.names is None:
        return named
    for key in keys:
        entry = entry_of(key, reference.names)
        for accession in entry.mature_accs if entry.kind in OF_MATURES else ():
            named += reference.own_rows(accession)
    return named


def _accession(
    reference: ReferenceNames, row: int, kind: str, name: str, entries: Sequence[str]
) -> str:
    """Accessions of the hairpins or matures of a sequence that are of a row.

    Args:
        reference: the reference RNAs.
        row: that holds the sequence.
        kind: of match.
        name: of the sequence; where it is that of one of the matures, only that one counts.
        entries: hairpins, or accessions of matures.
    """
    entry = reference.entry(row)
    if entry is None or reference.names is None:
        return ""
    tables = reference.names.tables
    if kind == SEQUENCE and any(name in tables.entries for name in entries):
        return ";".join(tables.entries[hairpin][0] for hairpin in entries)
    of_row = [accession for accession in entries if accession in entry.mature_accs]
    keys = reference.keys_of(name)
    named = []
    for accession in of_row:
        if reference.names.normalise(tables.mature_entries[accession][0]) in keys:
            named.append(accession)
    return ";".join(named or of_row)
