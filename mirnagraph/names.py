"""miRNA names: normalisation, look-up in miRBase with the kind of match, family groups."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from mirnagraph.errors import InputError

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

LEAST_SIMILARITY = 0.8

_TIDY = re.compile(r"[a-z]{3,4}-(?:mir|let|lin)-[a-z0-9*]+(?:-[a-z0-9*]+)*")

_PREFIX = re.compile(r"^(?:([a-z]{3,4})-)?(?:mirna|microrna|mir|let|lin)(?=[-_ \d])", re.IGNORECASE)


def normalise(name: str, species: str = "hsa") -> str:
    """Normalise a name for look-up: lower case, with species prefix and single dashes.

    Lower case loses the difference between hairpin (mir) and mature (miR), which many databases do
    not make either.

    >>> normalise(" miR-21_5p ")
    'hsa-mir-21-5p'
    >>> normalise("microRNA 155")
    'hsa-mir-155'
    >>> normalise("let-7a")
    'hsa-let-7a'
    """
    lower = name.lower()
    if _TIDY.fullmatch(lower):
        return lower
    text = re.sub(r"[\s_‐-―]+|-+", "-", lower.strip()).strip("-")
    match = _PREFIX.match(text)
    if not match:
        return text
    kind = match.group()[-3:]
    if kind not in ("let", "lin"):
        kind = "mir"
    rest = text[match.end() :].lstrip("-")
    return f"{match.group(1) or species}-{kind}-{rest}"


def stem(name: str) -> str:
    """Normalise a mature name to its precursor part: without -5p, -3p or star.

    >>> stem("hsa-miR-20a-5p"), stem("hsa-miR-24-1*")
    ('hsa-mir-20a', 'hsa-mir-24-1')
    """
    return re.sub(r"(-[35]p|\*)+$", "", normalise(name))


def number(name: str) -> str | None:
    """Extract the number that paralogs share, with its kind; None without one.

    >>> number("hsa-mir-30c-2"), number("hsa-let-7a"), number("U6")
    ('mir-30', 'let-7', None)
    """
    match = re.match(r"[a-z]+-(mir|let|lin)-(\d+)", normalise(name))
    return "-".join(match.groups()) if match else None


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which hsa-mir-9 comes before hsa-mir-10, and -548a-2 before -548aa-1."""

    def key(part: str) -> tuple[int, str]:
        return (int(part), "") if part.isdigit() else (-1, part)

    return tuple(key(part) for part in re.split(r"(\d+)", name))


@dataclass(frozen=True, eq=False)
class MirbaseNames:
    """Names of one species in one release of miRBase; make it with `MirbaseNames.of`.

    Attributes:
        species: prefix of the ids, e.g. ``"hsa"``.
        hairpins: index ``hairpin_id``; columns ``accession``, ``family`` (empty where none),
            ``sequence``.
        matures: one row per hairpin and mature: ``hairpin_id``, ``mature_id``, ``accession``,
            ``sequence``, ``evidence``.
        aliases: ``accession``, ``name``: every name an entry has or had, withdrawn entries
            included.
        retired: hairpins of older releases: index accession; ``release``, ``names``, ``sequence``,
            ``matures``.
    """

    species: str
    hairpins: pd.DataFrame
    matures: pd.DataFrame
    aliases: pd.DataFrame
    retired: pd.DataFrame
    _look: dict[str, dict[str, list[str]]] = field(init=False, repr=False)
    _hairpin: dict[str, list[str]] = field(init=False, repr=False)
    _mature: dict[str, tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        look: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
        columns = self.hairpins[["accession", "family", "sequence"]]
        entries = {name: entry for name, *entry in columns.itertuples(name=None)}

        def add(table: str, key: str, value: str) -> None:
            values = look[table].setdefault(key, [])
            if value not in values:
                values.append(value)

        for name in sorted(entries, key=natural_key):
            key = normalise(name, self.species)
            accession = entries[name][0]
            add("hairpin", key, name)
            add("accession", accession.lower(), name)
            add("by_accession", accession, name)
            add("locus", re.sub(r"-\d+$", "", key), name)
            lettered = re.match(r"(.*\d)[a-z]+(-\d+)?$", key)
            if lettered:
                add("family", lettered.group(1), name)
        matures = self.matures[["hairpin_id", "mature_id", "accession", "sequence"]]
        mature_of: dict[str, tuple[str, str]] = {}
        for hairpin, mature, accession, sequence in matures.itertuples(index=False):
            mature_of[accession] = (mature, sequence)
            add("mature", normalise(mature, self.species), accession)
            add("mature", accession.lower(), accession)
            add("of_mature", accession, hairpin)
            add("of_hairpin", hairpin, accession)
        for accession, name in self.aliases[["accession", "name"]].itertuples(index=False):
            add("alias", normalise(name, self.species), accession)
        for accession, names in self.retired["names"].items():
            for name in names.split(";"):
                add("retired", normalise(name, self.species), str(accession))
        object.__setattr__(self, "_look", look)
        object.__setattr__(self, "_hairpin", entries)
        object.__setattr__(self, "_mature", mature_of)

    @classmethod
    def of(
        cls,
        *,
        hairpins: pd.DataFrame,
        joined: pd.DataFrame,
        aliases: pd.DataFrame | None = None,
        retired: pd.DataFrame | None = None,
        species: str = "hsa",
    ) -> MirbaseNames:
        """Join the miRBase tables by accession.

        Args:
            hairpins: ``id``, ``accession``, ``sequence`` (`sources.mirbase.read_mirbase_fasta`).
            joined: hairpin, mature and family (`sources.mirbase.read_joined`).
            aliases: `sources.mirbase.read_aliases`; without it old names are unknown.
            retired: `sources.mirbase.read_retired`.
            species: prefix of the ids.

        Raises:
            InputError: a mature that belongs to a hairpin without a sequence.
        """
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
            hairpins=table,
            matures=matures[["hairpin_id", "mature_id", "accession", "sequence", "evidence"]],
            aliases=aliases,
            retired=retired.set_index("hairpin_acc"),
        )

    def hairpins_of(self, mature_accession: str) -> list[str]:
        """Ids of the hairpins of a mature, in natural order."""
        return sorted(self._look["of_mature"].get(mature_accession, []), key=natural_key)

    def known_names(self) -> list[str]:
        """Every name that resolves to something, normalised, for `suggest`."""
        look = self._look
        loci = [name for name, hairpins in look["locus"].items() if len(hairpins) > 1]
        kinds = ("hairpin", "mature", "alias", "retired")
        return sorted(set(loci).union(*(look[kind] for kind in kinds)))


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
    queries = [str(name) for name in ids]
    return pd.DataFrame(
        [_resolve(name, names) for name in queries],
        columns=RESOLVED_COLUMNS,
        index=pd.Index(queries, name="rna_id", dtype=object),
        dtype=object,
    )


def _resolve(name: str, names: MirbaseNames) -> tuple[str, ...]:
    look = names._look
    key = normalise(name, names.species)
    hairpins = look["hairpin"].get(key) or look["accession"].get(key)
    if hairpins:
        return _current_entry("exact_hairpin", hairpins, None, names)
    matures = look["mature"].get(key)
    loci = look["locus"].get(key, [])
    if matures and not loci:
        return _current_entry("exact_mature", _parents(matures, names), matures, names)
    arms = _gather(look["mature"], (key, f"{key}-5p", f"{key}-3p"))
    if loci:
        return _current_entry("multilocus_stem", loci, arms or None, names)
    aliased = look["alias"].get(key, [])
    old_hairpins = _gather(look["by_accession"], aliased)
    if old_hairpins:
        return _current_entry("alias_hairpin", sorted(old_hairpins, key=natural_key), None, names)
    old_matures = [accession for accession in aliased if accession in names._mature]
    if old_matures:
        return _current_entry("alias_mature", _parents(old_matures, names), None, names)
    if arms:
        return _current_entry("mature_name", _parents(arms, names), arms, names)
    withdrawn = [accession for accession in aliased if accession in names.retired.index]
    retired = look["retired"].get(key) or withdrawn
    if retired:
        return _retired_entry(retired[0], names)
    if key[-1:].isdigit() and key in look["family"]:
        return _current_entry("family_prefix", look["family"][key], None, names)
    if aliased:
        hairpin_accs = ";".join(name for name in aliased if not name.startswith("MIMAT"))
        mature_accs = ";".join(name for name in aliased if name.startswith("MIMAT"))
        return ("retired_no_sequence", "", hairpin_accs, "", "", mature_accs, "", "", "")
    return ("unknown",) + ("",) * (len(RESOLVED_COLUMNS) - 1)


def _gather(table: dict[str, list[str]], keys: Iterable[str]) -> list[str]:
    """Values of all keys, in order; a key that is not in the table has none."""
    values: list[str] = []
    for key in keys:
        values += table.get(key, [])
    return values


def _parents(matures: list[str], names: MirbaseNames) -> list[str]:
    return sorted(set(_gather(names._look["of_mature"], matures)), key=natural_key)


def _current_entry(
    kind: str, hairpins: list[str], matures: list[str] | None, names: MirbaseNames
) -> tuple[str, ...]:
    if matures is None:
        matures = list(dict.fromkeys(_gather(names._look["of_hairpin"], hairpins)))
    accessions, families, sequences = zip(*(names._hairpin[name] for name in hairpins), strict=True)
    return (
        kind,
        ";".join(hairpins),
        ";".join(accessions),
        ";".join(filter(None, dict.fromkeys(families))),
        ";".join(names._mature[accession][0] for accession in matures),
        ";".join(matures),
        ";".join(names._mature[accession][1] for accession in matures),
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


def family_groups(resolved: pd.DataFrame) -> pd.Series:
    """Group related RNAs for family-grouped folds.

    Groups are connected components over miRBase family, mature sequence and number: hsa-mir-98
    joins the let-7 group through its family, hsa-let-7a-1 joins hsa-let-7a through the mature they
    share, an unknown hsa-mir-467d joins hsa-mir-467 through the number.

    Args:
        resolved: from `resolve`.

    Returns:
        Group of each RNA, named after its first member in alphabetical order; index as `resolved`.
    """
    rows = []
    columns: list[str] = []
    table = resolved[["family_ids", "mature_sequences"]]
    for row, (name, families, sequences) in enumerate(table.itertuples(name=None)):
        shared = [f"name {name}"]
        if number(name):
            shared.append(f"number {number(name)}")
        shared += [f"family {family}" for family in families.split(";") if family]
        shared += [f"mature {sequence}" for sequence in sequences.split(";") if sequence]
        rows += [row] * len(shared)
        columns += shared
    codes, values = pd.factorize(np.array(columns, dtype=object))
    shape = (len(resolved), len(values))
    has_value = sparse.csr_array((np.ones(len(rows)), (rows, codes)), shape=shape)
    component = connected_components(has_value @ has_value.T, directed=False)[1]
    names = pd.Series(resolved.index, index=resolved.index, dtype=object, name="family")
    return names.groupby(component).transform("min").astype(object)


def suggest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Suggest the nearest known names, best first, by matching stretches of the normalised name.

    Similarity is twice the number of matching characters over the number of both names' characters
    (difflib); names of equal similarity keep their order.

    Args:
        name: as a user typed it.
        known: names to choose from.
        n: most names to return.

    Returns:
        At most n names of a similarity of 0.8 or more.

    >>> suggest("hsa-mir-12b", ["hsa-mir-125b", "hsa-let-7a"])
    ['hsa-mir-125b']
    """
    matcher = SequenceMatcher(b=normalise(name), autojunk=False)
    nearest: list[tuple[float, str]] = []
    for candidate in known:
        matcher.set_seq1(candidate)
        # Upper bounds first, which are quicker.
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= LEAST_SIMILARITY:
            nearest.append((matcher.ratio(), candidate))
    nearest.sort(key=lambda pair: -pair[0])
    return [candidate for ratio, candidate in nearest[:n] if ratio >= LEAST_SIMILARITY]
