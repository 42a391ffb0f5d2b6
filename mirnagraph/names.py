"""miRNA identifiers: normalise, alias, precursor <-> mature, family, with the kind of match reported per id."""

from __future__ import annotations

import re
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError

MATCH_KINDS = {
    "exact_hairpin": "the current name, or the accession, of a hairpin",
    "exact_mature": "the current name, or the accession, of a mature miRNA",
    "multilocus_stem": "the name that several hairpins share up to a final -1, -2 … (hsa-let-7a: hsa-let-7a-1, -2, -3)",
    "alias_hairpin": "an older name of a hairpin (hsa-mir-122a: hsa-mir-122)",
    "alias_mature": "an older name of a mature miRNA (hsa-mir-92: hsa-miR-92a-3p)",
    "mature_name": "the current name of a mature miRNA without its arm, -5p or -3p (hsa-mir-517: hsa-miR-517-5p)",
    "retired": "a name of a hairpin that the current release no longer has; sequence from an older release",
    "family_prefix": "a number that several hairpins share up to a letter (hsa-mir-200: hsa-mir-200a, -200b, -200c): a guess",
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

LEAST_LIKENESS = 0.8

_TIDY = re.compile(r"[a-z]{3,4}-(?:mir|let|lin)-[a-z0-9*]+(?:-[a-z0-9*]+)*")

_PREFIX = re.compile(r"^(?:([a-z]{3,4})-)?(?:mirna|microrna|mir|let|lin)(?=[-_ \d])", re.IGNORECASE)


def normalise(name: str, species: str = "hsa") -> str:
    """A name as the tables are searched for it: lower case, with species prefix and single dashes.

    Lower case loses the difference between hairpin (mir) and mature (miR) that miRBase makes by one capital; databases
    that write everything in one case have lost it before us.

    >>> normalise(" miR-21_5p ")
    'hsa-mir-21-5p'
    >>> normalise("microRNA 155")
    'hsa-mir-155'
    >>> normalise("let-7a")
    'hsa-let-7a'
    """
    if _TIDY.fullmatch(lower := name.lower()):
        return lower
    text = re.sub(r"[\s_‐-―]+|-+", "-", lower.strip()).strip("-")
    found = _PREFIX.match(text)
    if not found:
        return text
    kind = (
        "let"
        if text[: found.end()].endswith("let")
        else "lin"
        if text[: found.end()].endswith("lin")
        else "mir"
    )
    return f"{found.group(1) or species}-{kind}-{text[found.end() :].lstrip('-')}"


def stem(name: str) -> str:
    """The precursor part of a mature name: without -5p, -3p or star, normalised.

    >>> stem("hsa-miR-20a-5p"), stem("hsa-miR-24-1*")
    ('hsa-mir-20a', 'hsa-mir-24-1')
    """
    return re.sub(r"(-[35]p|\*)+$", "", normalise(name))


def number(name: str) -> str | None:
    """What stands between prefix and letters: the number by which paralogs are called, with its kind; None without one.

    >>> number("hsa-mir-30c-2"), number("hsa-let-7a"), number("U6")
    ('mir-30', 'let-7', None)
    """
    found = re.match(r"[a-z]+-(mir|let|lin)-(\d+)", normalise(name))
    return f"{found.group(1)}-{found.group(2)}" if found else None


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which hsa-mir-9 comes before hsa-mir-10, and -548a-2 before -548aa-1."""
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    )


@dataclass(frozen=True, eq=False)
class MirbaseNames:
    """The names of one species in one release of miRBase; make it with `MirbaseNames.of`.

    Attributes:
        species: prefix of the ids, e.g. ``"hsa"``.
        hairpins: index ``hairpin_id``; columns ``accession``, ``family`` (empty where none), ``sequence``.
        matures: one row per hairpin and mature: ``hairpin_id``, ``mature_id``, ``accession``, ``sequence``, ``evidence``.
        aliases: ``accession``, ``name``: every name an entry has or had, withdrawn entries included.
        retired: hairpins of older releases: index accession; ``release``, ``names``, ``sequence``, ``matures``.
    """

    species: str
    hairpins: pd.DataFrame
    matures: pd.DataFrame
    aliases: pd.DataFrame
    retired: pd.DataFrame
    _look: dict[str, dict[str, list[str]]] = field(init=False, repr=False)
    _hairpin: dict[str, tuple[str, str, str]] = field(init=False, repr=False)
    _mature: dict[str, tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kinds = (
            "hairpin",
            "accession",
            "by_accession",
            "mature",
            "alias",
            "retired",
            "locus",
            "family",
            "of_mature",
            "of_hairpin",
        )
        look: dict[str, dict[str, list[str]]] = {kind: {} for kind in kinds}
        columns = (self.hairpins[column] for column in ("accession", "family", "sequence"))
        entries = dict(zip(self.hairpins.index, zip(*columns, strict=True), strict=True))

        def add(table: str, key: str, value: str) -> None:
            values = look[table].setdefault(key, [])
            if value not in values:
                values.append(value)

        for name in sorted(self.hairpins.index, key=natural_key):
            key = normalise(name, self.species)
            add("hairpin", key, name)
            add("accession", entries[name][0].lower(), name)
            add("by_accession", entries[name][0], name)
            add("locus", re.sub(r"-\d+$", "", key), name)
            lettered = re.match(r"(.*\d)[a-z]+(-\d+)?$", key)
            if lettered:
                add("family", lettered.group(1), name)
        for hairpin, mature, accession in self.matures[
            ["hairpin_id", "mature_id", "accession"]
        ].itertuples(index=False):
            add("mature", normalise(mature, self.species), accession)
            add("mature", accession.lower(), accession)
            add("of_mature", accession, hairpin)
            add("of_hairpin", hairpin, accession)
        for accession, name in self.aliases[["accession", "name"]].itertuples(index=False):
            add("alias", normalise(name, self.species), accession)
        for accession, names in self.retired["names"].items():
            for name in names.split(";"):
                add("retired", normalise(name, self.species), str(accession))
        matures = zip(
            self.matures["accession"],
            self.matures["mature_id"],
            self.matures["sequence"],
            strict=True,
        )
        object.__setattr__(self, "_look", look)
        object.__setattr__(self, "_hairpin", entries)
        object.__setattr__(
            self, "_mature", {accession: (name, sequence) for accession, name, sequence in matures}
        )

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
            aliases: `sources.mirbase.read_aliases`; without it no old name is known.
            retired: `sources.mirbase.read_retired`.

        Raises:
            InputError: a mature that belongs to a hairpin without a sequence.
        """
        table = hairpins.set_index("id")[["accession", "sequence"]].rename_axis("hairpin_id")
        strange = joined.loc[~joined["hairpin_id"].isin(table.index), "hairpin_id"]
        if len(strange):
            raise InputError(
                "the joined table names a hairpin without a sequence",
                column="hairpin_id",
                found=strange.iloc[0],
                expected="an id of the FASTA file",
            )
        table["family"] = (
            joined.drop_duplicates("hairpin_id")
            .set_index("hairpin_id")["family_id"]
            .reindex(table.index)
            .fillna("")
        )
        matures = joined.rename(
            columns={
                "mature_acc": "accession",
                "mature_seq": "sequence",
                "mature_evidence": "evidence",
            }
        )
        old = (
            retired
            if retired is not None
            else pd.DataFrame(columns=["hairpin_acc", "release", "names", "sequence", "matures"])
        )
        return cls(
            species=species,
            hairpins=table,
            matures=matures[["hairpin_id", "mature_id", "accession", "sequence", "evidence"]],
            aliases=aliases if aliases is not None else pd.DataFrame(columns=["accession", "name"]),
            retired=old.set_index("hairpin_acc"),
        )

    def hairpins_of(self, mature_accession: str) -> list[str]:
        """Ids of the hairpins a mature is cut from, in natural order."""
        return sorted(self._look["of_mature"].get(mature_accession, []), key=natural_key)

    def matures_of(self, hairpin_id: str) -> list[str]:
        """Accessions of the matures of a hairpin, 5p first."""
        return list(self._look["of_hairpin"].get(hairpin_id, []))

    def known_names(self) -> list[str]:
        """Every name that resolves to something, normalised; what `suggest` chooses from."""
        look = self._look
        return sorted(
            {
                *look["hairpin"],
                *look["mature"],
                *look["alias"],
                *look["retired"],
                *(k for k, v in look["locus"].items() if len(v) > 1),
            }
        )


def resolve(ids: Sequence[str] | Iterable[str], names: MirbaseNames) -> pd.DataFrame:
    """Look every id up in miRBase, by the strongest evidence there is.

    The order is that of `MATCH_KINDS`: a current name beats an old one, an old name of a living entry beats a withdrawn
    entry, and a withdrawn entry of exactly that name beats the guess by family prefix.

    Returns:
        Index ``rna_id`` in the order asked for, and text columns, lists joined by ``;``: ``match_kind`` (a key of
        `MATCH_KINDS`), ``hairpin_ids``, ``hairpin_accs``, ``family_ids``, ``mature_ids``, ``mature_accs``,
        ``mature_sequences`` (as long as the accessions), ``sequence`` (of the first hairpin in natural order; empty
        where none is known), ``sequence_source``.
    """
    asked = [str(name) for name in ids]
    rows = [_resolve_one(name, names) for name in asked]
    return pd.DataFrame(
        rows,
        columns=RESOLVED_COLUMNS,
        index=pd.Index(asked, name="rna_id", dtype=object),
        dtype=object,
    )


def _resolve_one(name: str, names: MirbaseNames) -> tuple[str, ...]:
    look = names._look
    key = normalise(name, names.species)
    hairpins = look["hairpin"].get(key) or look["accession"].get(key)
    if hairpins:
        return _living("exact_hairpin", hairpins, None, names)
    matures = look["mature"].get(key)
    loci = look["locus"].get(key, [])
    if matures and not loci:
        return _living("exact_mature", _parents(matures, names), matures, names)
    arms = [
        accession for end in ("", "-5p", "-3p") for accession in look["mature"].get(key + end, [])
    ]
    if loci:
        return _living("multilocus_stem", loci, arms or None, names)
    called = look["alias"].get(key, [])
    old_hairpins = [
        name for accession in called for name in look["by_accession"].get(accession, [])
    ]
    if old_hairpins:
        return _living("alias_hairpin", sorted(old_hairpins, key=natural_key), None, names)
    old_matures = [accession for accession in called if accession in names._mature]
    if old_matures:
        return _living("alias_mature", _parents(old_matures, names), None, names)
    if arms:
        return _living("mature_name", _parents(arms, names), arms, names)
    gone = look["retired"].get(key) or [
        accession for accession in called if accession in names.retired.index
    ]
    if gone:
        return _retired(gone[0], names)
    if key[-1:].isdigit() and key in look["family"]:
        return _living("family_prefix", look["family"][key], None, names)
    if called:
        dead = [
            ";".join(a for a in called if a.startswith("MIMAT") == is_mature)
            for is_mature in (False, True)
        ]
        return ("retired_no_sequence", "", dead[0], "", "", dead[1], "", "", "")
    return ("unknown",) + ("",) * (len(RESOLVED_COLUMNS) - 1)


def _parents(matures: list[str], names: MirbaseNames) -> list[str]:
    return sorted(
        {hairpin for accession in matures for hairpin in names.hairpins_of(accession)},
        key=natural_key,
    )


def _living(
    kind: str, hairpins: list[str], matures: list[str] | None, names: MirbaseNames
) -> tuple[str, ...]:
    accessions = (
        matures
        if matures is not None
        else list(dict.fromkeys(a for hairpin in hairpins for a in names.matures_of(hairpin)))
    )
    families = dict.fromkeys(
        names._hairpin[hairpin][1] for hairpin in hairpins if names._hairpin[hairpin][1]
    )
    return (
        kind,
        ";".join(hairpins),
        ";".join(names._hairpin[hairpin][0] for hairpin in hairpins),
        ";".join(families),
        ";".join(names._mature[accession][0] for accession in accessions),
        ";".join(accessions),
        ";".join(names._mature[accession][1] for accession in accessions),
        names._hairpin[hairpins[0]][2],
        hairpins[0],
    )


def _retired(accession: str, names: MirbaseNames) -> tuple[str, ...]:
    row = names.retired.loc[accession]
    parts = [mature.split(":") for mature in str(row["matures"]).split(";") if mature]
    columns = [";".join(part[i] for part in parts) for i in range(3)]
    last = str(row["names"]).split(";")[-1]
    return (
        "retired",
        last,
        accession,
        "",
        *columns,
        str(row["sequence"]),
        f"{accession} release {row['release']}",
    )


def family_groups(resolved: pd.DataFrame) -> pd.Series:
    """Groups for folds in which relatives stay together: RNAs of one miRBase family, mature sequence, or number.

    Connected components over the three: hsa-mir-98 joins the let-7 group through its family, hsa-let-7a-1 joins hsa-let-7a
    through the mature they share, an unknown hsa-mir-467d joins hsa-mir-467 through the number.

    Args:
        resolved: from `resolve`.

    Returns:
        Group of each RNA, named after its first member in alphabetical order; index as `resolved`.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for name, families, sequences in zip(
        resolved.index, resolved["family_ids"], resolved["mature_sequences"], strict=True
    ):
        marks = [f"family {part}" for part in families.split(";") if part] + [
            f"mature {part}" for part in sequences.split(";") if part
        ]
        marks += [f"number {number(name)}"] if number(name) else []
        for mark in marks:
            parent[root(mark)] = root(f"rna {name}")
    first: dict[str, str] = {}
    for name in sorted(resolved.index):
        first.setdefault(root(f"rna {name}"), name)
    return pd.Series(
        [first[root(f"rna {name}")] for name in resolved.index],
        index=resolved.index,
        name="family",
        dtype=object,
    )


def suggest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The nearest known names, best first, by matching stretches of the normalised name.

    Likeness is twice the number of matching characters over the number of both names' characters
    (difflib); names of equal likeness keep their order.

    Args:
        name: as a person typed it.
        known: names to choose from.
        n: most names to return.

    Returns:
        At most n names of a likeness of 0.8 or more.

    >>> suggest("hsa-mir-12b", ["hsa-mir-125b", "hsa-let-7a"])
    ['hsa-mir-125b']
    """
    wanted = normalise(name)
    names = list(known)
    bounds = _likeness_bounds(wanted, names)
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    found: list[tuple[float, int]] = []
    for position in np.argsort(-bounds, kind="stable").tolist():
        needed = -found[n - 1][0] if len(found) >= n else LEAST_LIKENESS
        if bounds[position] < needed:
            break
        matcher.set_seq1(names[position])
        likeness = matcher.ratio()
        if likeness >= LEAST_LIKENESS:
            insort(found, (-likeness, position))
    return [names[position] for _, position in found[:n]]


def _likeness_bounds(wanted: str, names: Sequence[str]) -> np.ndarray:
    """Largest likeness that each name can have by the characters it shares, shape (n_names,).

    Matching stretches is far slower: with 50,000 names this leaves a few hundred to match.
    """
    lengths = np.array([len(name) for name in names], dtype=np.int64)
    text = "".join(names).encode("utf-32-le", "surrogatepass")
    characters = np.frombuffer(text, dtype=np.uint32)
    rows = np.repeat(np.arange(len(names)), lengths)
    shared = np.zeros(len(names))
    for character, count in Counter(wanted).items():
        counts = np.bincount(rows[characters == ord(character)], minlength=len(names))
        shared += np.minimum(counts, count)
    return 2.0 * shared / np.maximum(lengths + len(wanted), 1)
