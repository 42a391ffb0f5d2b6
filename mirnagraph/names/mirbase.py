"""Names of miRBase, current, earlier and withdrawn, and look-up with the kind of match."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mirnagraph.errors import InputError
from mirnagraph.names.spelling import (
    family_stem,
    has_arm,
    is_truncated,
    locus_stem,
    natural_key,
    normalise,
)
from mirnagraph.reading.arguments import checked

if TYPE_CHECKING:
    import pandas as pd

ALL_SPECIES = "all"
"""Value of `MirbaseNames.species` for names of several species."""

MATCH_KINDS = {
    "exact_hairpin": "the current name, or the accession, of a hairpin",
    "exact_mature": "the current name, or the accession, of a mature miRNA",
    "multilocus_stem": "the name that several hairpins share up to a final -1, -2 … "
    "(hsa-let-7a: hsa-let-7a-1, -2, -3)",
    "alias_hairpin": "an older name of a hairpin (hsa-mir-122a: hsa-mir-122)",
    "alias_mature": "an older name of a mature miRNA (hsa-mir-92: hsa-miR-92a-3p)",
    "mature_name": "the current name of a mature miRNA without its arm, -5p or -3p "
    "(hsa-mir-517: hsa-miR-517-5p)",
    "retired": "a name of a hairpin that the current release no longer has; "
    "sequence from an older release",
    "family_prefix": "a number that several hairpins share up to a letter "
    "(hsa-mir-200: hsa-mir-200a, -200b, -200c): a guess",
    "retired_no_sequence": "a name of a withdrawn entry of which no sequence is at hand",
    "unknown": "no entry of that name",
}

RESOLVED_COLUMNS = [
    "match_kind",
    "hairpin_ids",
    "hairpin_accs",
    "family_ids",
    "mature_ids",
    "mature_accs",
    "mature_sequences",
    "sequence",
    "sequence_source",
]


@dataclass(frozen=True, eq=False)
class MirbaseNames:
    """Names of one release of miRBase; make it with `MirbaseNames.of`.

    Attributes:
        species: prefix of the ids, e.g. ``"hsa"``; `ALL_SPECIES` for names of several species,
            where a name without a prefix is unknown.
        hairpins: index ``hairpin_id``; columns ``accession``, ``family`` (empty where none),
            ``sequence``.
        matures: one row per hairpin and mature: ``hairpin_id``, ``mature_id``, ``accession``,
            ``sequence``, ``evidence``.
        aliases: ``accession``, ``name``: every name an entry has or had, withdrawn entries
            included.
        retired: hairpins of older releases: index accession; ``release``, ``names``, ``sequence``,
            ``matures``.
        release: of miRBase, for messages; empty where it is not known.
    """

    species: str
    hairpins: pd.DataFrame
    matures: pd.DataFrame
    aliases: pd.DataFrame
    retired: pd.DataFrame
    release: str = ""

    def __getstate__(self) -> dict[str, object]:
        """The fields alone: tables for look-up are made again where they are needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def normalise(self, name: str) -> str:
        """Normalise a name; one without a prefix is of this species."""
        return normalise(name, "" if self.species == ALL_SPECIES else self.species)

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """Prefixes of the species, in order of appearance."""
        if self.species != ALL_SPECIES:
            return (self.species,)
        return tuple(dict.fromkeys(str(name).split("-", 1)[0] for name in self.hairpins.index))

    @cached_property
    def tables(self) -> NameTables:
        """Tables for look-up."""
        return name_tables(self)

    @classmethod
    def of(
        cls,
        *,
        hairpins: pd.DataFrame,
        joined: pd.DataFrame,
        aliases: pd.DataFrame | None = None,
        retired: pd.DataFrame | None = None,
        species: str = "hsa",
        release: str = "",
    ) -> MirbaseNames:
        """Join the miRBase tables by accession.

        Args:
            hairpins: ``id``, ``accession``, ``sequence`` (`sources.mirbase.read_mirbase_fasta`).
            joined: hairpin, mature and family (`sources.mirbase.read_joined`).
            aliases: `sources.mirbase.read_aliases`; without it old names are unknown.
            retired: `sources.mirbase.read_retired`.
            species: prefix of the ids, or `ALL_SPECIES`.
            release: of miRBase.

        Raises:
            InputError: a mature that belongs to a hairpin without a sequence.
        """
        import pandas as pd

        table = hairpins.set_index("id")[["accession", "sequence"]].rename_axis("hairpin_id")
        unknown = joined.loc[~joined["hairpin_id"].isin(table.index), "hairpin_id"]
        if len(unknown):
            raise InputError(
                "the joined table names a hairpin without a sequence",
                column="hairpin_id",
                found=unknown.iloc[0],
                expected="an id of the FASTA file",
            )
        family_of = joined.drop_duplicates("hairpin_id").set_index("hairpin_id")["family_id"]
        table["family"] = family_of.reindex(table.index).fillna("")
        columns = {"mature_acc": "accession", "mature_seq": "sequence"}
        matures = joined.rename(columns=columns | {"mature_evidence": "evidence"})
        if aliases is None:
            aliases = pd.DataFrame(columns=["accession", "name"])
        if retired is None:
            retired = pd.DataFrame(columns=["hairpin_acc", "names"])
        return cls(
            species=species,
            hairpins=table[["accession", "family", "sequence"]],
            matures=matures[["hairpin_id", "mature_id", "accession", "sequence", "evidence"]],
            aliases=aliases,
            retired=retired.set_index("hairpin_acc"),
            release=release,
        )

    def hairpins_of(self, mature_accession: str) -> list[str]:
        """Ids of the hairpins of a mature, in natural order."""
        return sorted(self.tables.of_mature.get(mature_accession, ()), key=natural_key)

    def known_names(self) -> list[str]:
        """Every name that resolves to something, normalised, for `suggest`."""
        return self.tables.known


@dataclass(frozen=True, eq=False)
class NameTables:
    """Tables for look-up by normalised name or accession in lower case.

    Attributes:
        hairpin: name -> hairpins. locus: name without -1, -2 … -> hairpins. family: name without a
            paralog's letter -> hairpins.
        accession: accession of a hairpin, in lower case and as it is -> hairpins.
        mature: name or accession -> accessions of matures.
        alias: every name -> accessions, withdrawn ones too. retired: name -> accessions.
        of_mature: accession of a mature -> hairpins. of_hairpin: hairpin -> accessions of matures.
        entries: hairpin -> accession, family, sequence.
        mature_entries: accession -> id and sequence of a mature.
        by_sequence: sequence -> hairpins. by_mature_sequence: sequence -> accessions of matures.
    """

    hairpin: dict[str, tuple[str, ...]]
    locus: dict[str, tuple[str, ...]]
    family: dict[str, tuple[str, ...]]
    accession: dict[str, tuple[str, ...]]
    mature: dict[str, tuple[str, ...]]
    alias: dict[str, tuple[str, ...]]
    retired: dict[str, tuple[str, ...]]
    of_mature: dict[str, tuple[str, ...]]
    of_hairpin: dict[str, tuple[str, ...]]
    entries: dict[str, tuple[str, str, str]]
    mature_entries: dict[str, tuple[str, str]]
    by_sequence: dict[str, tuple[str, ...]]
    by_mature_sequence: dict[str, tuple[str, ...]]

    @cached_property
    def known(self) -> list[str]:
        """See `MirbaseNames.known_names`."""
        loci = [name for name, hairpins in self.locus.items() if len(hairpins) > 1]
        return sorted({*loci, *self.hairpin, *self.mature, *self.alias, *self.retired})


def name_tables(names: MirbaseNames) -> NameTables:
    """Make the tables for look-up; hairpins of one name stand in natural order."""
    kinds = [name for name in NameTables.__dataclass_fields__ if not name.endswith("entries")]
    tables = NameTables(entries={}, mature_entries={}, **{kind: {} for kind in kinds})
    columns = names.hairpins[["accession", "family", "sequence"]]
    cells = zip(*(columns[name].tolist() for name in columns), strict=True)
    tables.entries.update(zip(names.hairpins.index.tolist(), cells, strict=True))
    for name in sorted(tables.entries, key=natural_key):
        key = names.normalise(name)
        accession, _, sequence = tables.entries[name]
        _add(tables.hairpin, key, name)
        _add(tables.accession, accession.lower(), name)
        _add(tables.accession, accession, name)
        _add(tables.locus, locus_stem(key), name)
        _add(tables.by_sequence, sequence, name)
        family = family_stem(key)
        if family is not None:
            _add(tables.family, family, name)
    columns = names.matures[["hairpin_id", "mature_id", "accession", "sequence"]]
    rows = zip(*(columns[name].tolist() for name in columns), strict=True)
    for hairpin, mature, accession, sequence in rows:
        _add(tables.of_mature, accession, hairpin)
        _add(tables.of_hairpin, hairpin, accession)
        if accession not in tables.mature_entries:
            tables.mature_entries[accession] = (mature, sequence)
            _add(tables.mature, names.normalise(mature), accession)
            _add(tables.mature, accession.lower(), accession)
            _add(tables.by_mature_sequence, sequence, accession)
    _add_earlier(tables, names)
    return tables


def _add_earlier(tables: NameTables, names: MirbaseNames) -> None:
    """Add names of earlier releases and withdrawn entries."""
    current = {*tables.entries, *(name for name, _ in tables.mature_entries.values())}
    aliases = names.aliases
    for accession, name in zip(
        aliases["accession"].tolist(), aliases["name"].tolist(), strict=True
    ):
        if name not in current:
            key = names.normalise(name)
            if key not in tables.hairpin and key not in tables.mature:  # these go first
                _add(tables.alias, key, accession)
        if accession not in tables.mature_entries and accession not in tables.accession:
            _add(tables.alias, accession.lower(), accession)
    for accession, old_names in names.retired["names"].items():
        _add(tables.retired, str(accession).lower(), str(accession))
        for name in old_names.split(";"):
            _add(tables.retired, names.normalise(name), str(accession))


def _add(table: dict[str, tuple[str, ...]], key: str, value: str) -> None:
    """Add a value to those of a key, once."""
    values = table.get(key, ())
    if value not in values:
        # Tuples of texts cost the garbage collector nothing, tens of thousands of lists a lot.
        table[key] = (*values, value)


@checked
def resolve(ids: Sequence[str] | Iterable[str], names: MirbaseNames) -> pd.DataFrame:
    """Look up every id in miRBase, by the strongest match.

    The order is that of `MATCH_KINDS`: a current name comes before an old one, an old name of a
    current entry before a withdrawn entry, and a withdrawn entry of exactly that name before the
    guess by family prefix.

    Args:
        ids: names or accessions of any kind.
        names: one species in one release of miRBase.

    Returns:
        Index ``rna_id`` in the order of `ids`, and text columns, lists joined by ``;``:
        ``match_kind`` (a key of `MATCH_KINDS`), ``hairpin_ids``, ``hairpin_accs``, ``family_ids``,
        ``mature_ids``, ``mature_accs``, ``mature_sequences`` (as long as the accessions),
        ``sequence`` (of the first hairpin in natural order; empty where unknown),
        ``sequence_source``.
    """
    import pandas as pd

    queries = [str(name) for name in ids]
    return pd.DataFrame(
        [look_up(name, names) for name in queries],
        columns=RESOLVED_COLUMNS,
        index=pd.Index(queries, name="rna_id", dtype=object),
        dtype=object,
    )


_UNKNOWN = ("unknown",) + ("",) * (len(RESOLVED_COLUMNS) - 1)
"""The row of a name that nothing matches."""


def look_up(name: str, names: MirbaseNames) -> tuple[str, ...]:
    """The row of `resolve` for one name: the cells of `RESOLVED_COLUMNS`."""
    tables = names.tables
    key = names.normalise(name)
    hairpins = tables.hairpin.get(key) or tables.accession.get(key)
    if hairpins:
        return _current_entry("exact_hairpin", hairpins, None, names)
    if is_truncated(key):  # hsa-mir- is the start of every name, and the name of none
        return _UNKNOWN
    matures = tables.mature.get(key)
    loci = tables.locus.get(key, ())
    if matures and not loci:
        return _current_entry("exact_mature", _parents(matures, names), matures, names)
    arms = _gather(tables.mature, (key, f"{key}-5p", f"{key}-3p"))
    if loci:
        return _current_entry("multilocus_stem", loci, arms or None, names)
    aliased = tables.alias.get(key, ())
    old_hairpins = _gather(tables.accession, aliased)
    if old_hairpins:
        return _current_entry("alias_hairpin", sorted(old_hairpins, key=natural_key), None, names)
    old_matures = [accession for accession in aliased if accession in tables.mature_entries]
    if old_matures:
        # An old name without an arm is one of the hairpin; one of an arm keeps its arm.
        of_arm = old_matures if has_arm(key) else None
        return _current_entry("alias_mature", _parents(old_matures, names), of_arm, names)
    if arms:
        return _current_entry("mature_name", _parents(arms, names), arms, names)
    withdrawn = [accession for accession in aliased if accession in names.retired.index]
    retired = tables.retired.get(key) or withdrawn
    if retired:
        return _retired_entry(retired[0], names)
    if key[-1:].isdigit() and key in tables.family:
        return _current_entry("family_prefix", tables.family[key], None, names)
    if aliased:
        hairpin_accs = ";".join(name for name in aliased if not name.startswith("MIMAT"))
        mature_accs = ";".join(name for name in aliased if name.startswith("MIMAT"))
        return ("retired_no_sequence", "", hairpin_accs, "", "", mature_accs, "", "", "")
    return _UNKNOWN


def _gather(table: dict[str, tuple[str, ...]], keys: Iterable[str]) -> list[str]:
    """Values of all keys, in order; a key that is not in the table has none."""
    values: list[str] = []
    for key in keys:
        values += table.get(key, ())
    return values


def _parents(matures: Sequence[str], names: MirbaseNames) -> list[str]:
    return sorted(set(_gather(names.tables.of_mature, matures)), key=natural_key)


def _current_entry(
    kind: str, hairpins: Sequence[str], matures: Sequence[str] | None, names: MirbaseNames
) -> tuple[str, ...]:
    if matures is None:
        matures = list(dict.fromkeys(_gather(names.tables.of_hairpin, hairpins)))
    entries = [names.tables.entries[name] for name in hairpins]
    accessions, families, sequences = zip(*entries, strict=True)
    mature_entries = [names.tables.mature_entries[accession] for accession in matures]
    return (
        kind,
        ";".join(hairpins),
        ";".join(accessions),
        ";".join(filter(None, dict.fromkeys(families))),
        ";".join(name for name, _ in mature_entries),
        ";".join(matures),
        ";".join(sequence for _, sequence in mature_entries),
        sequences[0],
        hairpins[0],
    )


def _retired_entry(accession: str, names: MirbaseNames) -> tuple[str, ...]:
    row = names.retired.loc[accession]
    matures = [mature.split(":") for mature in str(row["matures"]).split(";") if mature]
    columns = [";".join(mature[column] for mature in matures) for column in range(3)]
    last_name = str(row["names"]).split(";")[-1]
    source = f"{accession} release {row['release']}"
    return ("retired", last_name, accession, "", *columns, str(row["sequence"]), source)
