"""Resolver of names: the reference RNA, or the entry of miRBase, that a name means."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from mirnagraph.errors import counted
from mirnagraph.names.match import (
    AMBIGUOUS,
    ARM,
    ID,
    UNKNOWN,
    WITHDRAWN,
    Match,
    listed,
)
from mirnagraph.names.mirbase import MirbaseNames
from mirnagraph.names.reference import (
    FAMILY,
    OF_FAMILY,
    OF_MATURES,
    Entry,
    ReferenceNames,
    entry_of,
)
from mirnagraph.names.sequences import match_sequence
from mirnagraph.names.spelling import (
    has_arm,
    is_host_gene,
    is_like_mirna,
    is_truncated,
    natural_key,
    stem,
)
from mirnagraph.names.suggest import suggest
from mirnagraph.reading.arguments import checked

_ACCESSION = re.compile(r"mi(mat)?\d{7}")

_SEQUENCE = re.compile(r"[acgtun]{12,}", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class NameResolver:
    """Answers names of any kind, and sequences, from reference RNAs and from miRBase.

    A name means the reference RNA of that id in any spelling, else the one of its hairpin or
    mature in miRBase (current and earlier names, accessions), else that entry of miRBase itself. A
    name that could mean several RNAs has no answer, but candidates.

    Attributes:
        reference: the reference RNAs; may be none.
    """

    reference: ReferenceNames

    @property
    def names(self) -> MirbaseNames | None:
        """Names of miRBase; None where they are not at hand."""
        return self.reference.names

    def match(self, query: str) -> Match:
        """Answer one name."""
        row = self.reference.row_of_id.get(query)
        if row is not None:
            return self._of_id(query, row)
        if is_truncated(query):
            return self._truncated(query)
        keys = self.reference.keys_of(query)
        steps = (self._by_id, self._by_arm, self._by_mirbase, self._by_similar_ids)
        for step in steps:
            match = step(query, keys)
            if match is not None:
                return self._of_named_species(match)
        return self._unknown(query)

    def _of_named_species(self, match: Match) -> Match:
        """The match, doubtful where its name is of no species: that of the RNAs is a guess."""
        if match.rna_id is None or not self.reference.lacks_species(match.query):
            return match
        species = self.reference.species[0]
        note = f"{match.query!r} names no species: read as {species}"
        notes = "; ".join(filter(None, [note, match.note]))
        return replace(match, note=notes, is_doubtful=True)

    def match_sequence(self, name: str, sequence: str, rows: Container[int] | None = None) -> Match:
        """Answer one sequence by the most specific reference RNA that holds it.

        Args:
            name: of the sequence; it decides between RNAs that are equally specific.
            sequence: upper-case ACGUN.
            rows: of the reference RNAs that may answer; None for all.

        Returns:
            The kind is ``sequence``, ``mature_sequence`` or ``new``.
        """
        return match_sequence(self.reference, name, sequence, rows)

    def _of_id(self, query: str, row: int) -> Match:
        """A match by id, which is doubtful where the id is of a family or withdrawn."""
        entry = self.reference.entry(row)
        rna_id = self.reference.ids[row]
        if entry is None:
            return Match(query, rna_id, kind=ID, row=row)
        if entry.kind == FAMILY:
            note = f"{rna_id} stands for a family: {listed(entry.hairpins)}"
            return Match(query, rna_id, "", ID, entry.hairpins, note, row, is_doubtful=True)
        accession = _accession(entry, rna_id)
        if entry.kind.startswith("retired"):
            note = f"miRBase has withdrawn {rna_id} ({entry.source or accession})"
            return Match(query, rna_id, accession, ID, (), note, row, is_doubtful=True)
        return Match(query, rna_id, accession, ID, row=row)

    def _by_id(self, query: str, keys: list[str]) -> Match | None:
        """The reference RNA of that id in another spelling."""
        rows = [row for key in keys for row in self.reference.rows_of_key.get(key, ())]
        return self._one_of(query, rows, ID)

    def _by_arm(self, query: str, keys: list[str]) -> Match | None:
        """The reference RNA of which the name is a mature form, unless miRBase knows better."""
        rows = []
        for key in keys:
            if not has_arm(key):
                continue
            accessions = set(self._mature_accessions(key))
            for row in self.reference.rows_of_key.get(stem(key), ()):
                entry = self.reference.entry(row)
                is_other = (
                    entry is not None and accessions and not accessions & set(entry.mature_accs)
                )
                if not is_other:
                    rows.append(row)
        match = self._one_of(query, rows, ARM)
        if match is None or match.row is None or self.names is None:
            return match
        entry = entry_of(query if len(keys) > 1 else keys[0], self.names)
        if entry.kind in OF_MATURES:
            return replace(match, kind=entry.kind, accession=_accession(entry, keys[0]))
        return replace(match, accession="") if match.kind == ARM else match

    def _mature_accessions(self, key: str) -> tuple[str, ...]:
        """Accessions of the matures of a name, current or old; empty where it is of none."""
        if self.names is None:
            return ()
        entry = entry_of(key, self.names)
        return entry.mature_accs if entry.kind in OF_MATURES else ()

    def _one_of(self, query: str, rows: Sequence[int], kind: str) -> Match | None:
        """A match of one row; ambiguous with several, None without any."""
        rows = list(dict.fromkeys(rows))
        if not rows:
            return None
        if len(rows) > 1:
            return self._ambiguous(query, [self.reference.ids[row] for row in rows])
        return replace(self._of_id(query, rows[0]), kind=kind)

    def _by_mirbase(self, query: str, keys: list[str]) -> Match | None:
        """What miRBase knows by that name."""
        if self.names is None:
            return None
        entries = [(key, entry_of(key, self.names)) for key in keys]
        known = [(key, entry) for key, entry in entries if entry.kind != UNKNOWN]
        if not known:
            return None
        if len(known) > 1:
            return self._ambiguous(query, [key for key, _ in known])
        key, entry = known[0]
        if entry.kind.startswith("retired"):
            return self._withdrawn(query, entry)
        if entry.kind == FAMILY and len(entry.hairpins) > 1:
            rows = [row for hairpin in entry.hairpins for row in self._rows(hairpin)]
            ids = dict.fromkeys(self.reference.ids[row] for row in rows)
            return self._ambiguous(query, list(ids) or list(entry.hairpins))
        return self._of_entry(query, key, entry)

    def _rows(self, hairpin: str) -> Sequence[int]:
        return self.reference.rows_of_hairpin.get(hairpin, ())

    def _of_entry(self, query: str, key: str, entry: Entry) -> Match:
        """The reference RNA of an entry of miRBase, or the entry itself."""
        reference = self.reference
        is_of_mature = entry.kind in OF_MATURES or self._is_mature(key)
        is_one_mature = is_of_mature and len(set(entry.mature_accs)) == 1
        own: list[int] = []
        if is_of_mature:
            rows, own = self._rows_of_matures(entry.mature_accs)
        else:
            rows = [row for hairpin in entry.hairpins for row in self._rows(hairpin)]
        accession = ";".join(entry.mature_accs) if is_one_mature else _accession(entry, key)
        if not rows:
            return self._of_hairpin(query, entry, accession)
        first, *others = reference.ranked(rows, own=own)
        if not is_of_mature and self._are_different_matures(rows):
            return self._ambiguous(query, [reference.ids[row] for row in (first, *others)])
        covers = set(entry.hairpins) <= set(_hairpins(reference.entry(first)))
        if others and not (is_one_mature or covers or len(entry.hairpins) == 1):
            return self._ambiguous(query, [reference.ids[row] for row in (first, *others)])
        others = [row for row in others if reference.breadth(row) <= reference.breadth(first)]
        candidates = sorted((reference.ids[row] for row in others), key=natural_key)
        notes = []
        if reference.breadth(first) == OF_FAMILY:
            notes.append(f"{reference.ids[first]} stands for a family of miRNAs")
        is_own = first in own or covers
        if candidates and not is_own:
            notes.append(f"{query!r} is also of {listed(candidates)}")
        elif not covers and entry.kind not in OF_MATURES:
            notes.append(f"{query!r} stands for {listed(entry.hairpins)}")
        is_doubtful = bool(notes)
        if entry.kind.startswith("alias") and not notes:
            current = entry.mature_ids if entry.kind == "alias_mature" else entry.hairpins
            notes.append(f"an earlier name of {listed(current)}")
        return Match(
            query,
            reference.ids[first],
            accession,
            entry.kind,
            tuple(candidates),
            "; ".join(notes),
            first,
            is_doubtful=is_doubtful,
        )

    def _rows_of_matures(self, accessions: Sequence[str]) -> tuple[list[int], list[int]]:
        """Rows of matures, and those whose id is a mature's name.

        Where there are none but families, RNAs with a mature of the same sequence count too.
        """
        assert self.names is not None
        tables = self.names.tables
        reference = self.reference
        rows = [row for name in accessions for row in reference.rows_of_accession.get(name, ())]
        if all(reference.breadth(row) == OF_FAMILY for row in rows):
            for accession in accessions:
                for same in tables.by_mature_sequence[tables.mature_entries[accession][1]]:
                    rows += reference.rows_of_accession.get(same, ())
        return rows, [row for accession in accessions for row in self.reference.own_rows(accession)]

    def _are_different_matures(self, rows: Iterable[int]) -> bool:
        """Whether RNAs of one hairpin are its matures, of which its name means none alone."""
        entries = [self.reference.entry(row) for row in rows]
        if any(entry is None or entry.kind != "exact_mature" for entry in entries):
            return False
        return len({entry.mature_accs for entry in entries if entry is not None}) > 1

    def _is_mature(self, key: str) -> bool:
        """Whether a name is the current one of a mature."""
        return self.names is not None and key in self.names.tables.mature

    def _of_hairpin(self, query: str, entry: Entry, accession: str) -> Match:
        """An entry of miRBase that is no reference RNA: its first hairpin."""
        assert self.names is not None
        first, *others = entry.hairpins
        note = f"no reference RNA, predicted from the sequence of {first}"
        if others:
            note += f"; other hairpins: {listed(others)}"
        sequence = self.names.tables.entries[first][2]
        return Match(
            query, first, accession, entry.kind, tuple(others), note, None, sequence, bool(others)
        )

    def _withdrawn(self, query: str, entry: Entry) -> Match:
        """A withdrawn entry: the reference RNA of the same entry, else none."""
        accessions = (*entry.hairpin_accs, *entry.mature_accs)
        rows = [
            row
            for accession in accessions
            for row in self.reference.rows_of_accession.get(accession, ())
        ]
        named = ";".join(entry.hairpin_accs or entry.mature_accs)
        match = self._one_of(query, rows, entry.kind)
        if match is not None and match.row is not None:
            note = match.note or f"miRBase has withdrawn {query!r} ({named})"
            return replace(match, accession=named, note=note, is_doubtful=True)
        release = entry.source.partition(" release ")[2]
        last = f", last in release {release}" if release else ""
        names = f" {entry.hairpins[0]}" if entry.hairpins else ""
        note = f"{query!r}: miRBase has withdrawn{names} {named}{last}"
        return Match(query, None, named, WITHDRAWN, (), note)

    def _by_similar_ids(self, query: str, keys: list[str]) -> Match | None:
        """Reference RNAs whose ids go on where the name ends: loci, or letters of a family."""
        rows = {row for key in keys for row in self.reference.rows_of_stem.get(key, ())}
        ids = [self.reference.ids[row] for row in rows]
        return self._ambiguous(query, ids) if len(ids) > 1 else None

    def _ambiguous(self, query: str, candidates: Iterable[str]) -> Match:
        several = tuple(sorted(dict.fromkeys(candidates), key=natural_key))
        note = f"{query!r} could be any of {listed(several)}"
        return Match(query, None, "", AMBIGUOUS, several, note)

    def _nearest(self, query: str) -> list[str]:
        """The nearest ids, else names of miRBase; none for a query that looks like none of them."""
        if not is_like_mirna(query) and self.reference.are_mirnas:
            return []  # a list of genes may be long, and comparing each with all ids takes time
        near = suggest(query, self.reference.ids)
        if near or self.names is None or not is_like_mirna(query):
            return near
        return suggest(query, self.names.tables.known)

    def _truncated(self, query: str) -> Match:
        """A name that ends before its number: the reference RNAs that begin with it."""
        starts = tuple(f"{key}-" for key in self.reference.keys_of(f"{query.strip(' -_')}-1"))
        starts = tuple(start.removesuffix("1-") for start in starts)
        ids = [
            name
            for name, key in zip(self.reference.ids, self.reference.keys, strict=True)
            if key.startswith(starts)
        ]
        shown = f": {counted(len(ids), 'reference RNA')}, such as {listed(ids, 3)}" if ids else ""
        return Match(query, None, "", AMBIGUOUS, tuple(ids), f"{query!r} is cut short{shown}")

    def _unknown(self, query: str) -> Match:
        """A name without an answer, with the reason and the nearest names."""
        n_ids = len(self.reference.ids)
        note = f"unknown RNA {query!r}"
        if n_ids:
            note += f" ({counted(n_ids, 'reference RNA')})"
        foreign = self.reference.foreign(query)
        if not query.strip():
            note = "an empty name"
        elif foreign:
            note = foreign
        elif _SEQUENCE.fullmatch(query.strip()):
            note = f"{query!r} is a sequence, not a name"
        elif is_host_gene(query):
            note = f"{query!r} is a host gene, not a miRNA"
        elif _ACCESSION.fullmatch(query.strip().lower()) and self.names is None:
            note += " (the model carries no names of miRBase to find an accession in)"
        else:
            near = self._nearest(query)
            if near:
                note += f"; did you mean {', '.join(near)}?"
            return Match(query, None, "", UNKNOWN, tuple(near), note)
        return Match(query, None, "", UNKNOWN, (), note)


@checked
def match_names(
    queries: Iterable[str], ids: Sequence[str] = (), names: MirbaseNames | None = None
) -> list[Match]:
    """Answer names from the ids of reference RNAs, from miRBase, or from both.

    Args:
        queries: names or accessions of any kind.
        ids: of the reference RNAs; without them every answer is an entry of miRBase.
        names: miRBase.

    Returns:
        One match per query, in their order.
    """
    resolver = NameResolver(ReferenceNames(tuple(ids), names))
    return [resolver.match(str(query)) for query in queries]


def _hairpins(entry: Entry | None) -> tuple[str, ...]:
    return entry.hairpins if entry is not None else ()


def _accession(entry: Entry, key: str) -> str:
    """Accession of what was named: of the mature of an arm, else of the hairpins."""
    if entry.kind == FAMILY:
        return ""
    is_of_mature = entry.kind == "exact_mature" or (entry.kind in OF_MATURES and has_arm(key))
    accessions = entry.mature_accs if is_of_mature else entry.hairpin_accs
    return ";".join(accessions or entry.mature_accs)
