"""Which RNA a name or a sequence means: reference RNAs, a made-up miRBase, or both."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pandas as pd
import pytest

from mirnagraph.names import (
    QUERY_KINDS,
    Match,
    MirbaseNames,
    NameResolver,
    ReferenceNames,
    hgnc_symbol,
    is_truncated,
    match_names,
    normalise,
    resolve,
    species_of,
    unanswered,
)
from mirnagraph.names.match import listed
from mirnagraph.names.spelling import is_host_gene, is_like_mirna

HAIRPINS = [
    ("hsa-mir-21", "MI0000077", "AAAACCCC"),
    ("hsa-let-7a-1", "MI0000060", "GGAAGGCC"),
    ("hsa-let-7a-2", "MI0000061", "GGAAGGUU"),
    ("hsa-let-7b", "MI0000063", "GGCCGGCC"),
    ("hsa-mir-7-1", "MI0000263", "UUUUAAAA"),
    ("hsa-mir-7-2", "MI0000264", "UUUUGGGG"),
    ("hsa-mir-151a", "MI0000809", "CCCCUUUU"),
    ("hsa-mir-99", "MI0000101", "CCAACCAA"),
    ("hsa-mir-5-1", "MI0000501", "GUGUGUGU"),
    ("hsa-mir-5-2", "MI0000502", "GUGUGUCC"),
]
MATURES = [
    ("hsa-mir-21", "MIMAT0000076", "hsa-miR-21-5p", "AAAA"),
    ("hsa-mir-21", "MIMAT0004494", "hsa-miR-21-3p", "CCCC"),
    ("hsa-let-7a-1", "MIMAT0000062", "hsa-let-7a-5p", "GGAA"),
    ("hsa-let-7a-1", "MIMAT0004481", "hsa-let-7a-3p", "GGCC"),
    ("hsa-let-7a-2", "MIMAT0000062", "hsa-let-7a-5p", "GGAA"),
    ("hsa-let-7b", "MIMAT0000063", "hsa-let-7b-5p", "GGCU"),
    ("hsa-mir-7-1", "MIMAT0000252", "hsa-miR-7-5p", "UUUU"),
    ("hsa-mir-7-2", "MIMAT0000252", "hsa-miR-7-5p", "UUUU"),
    ("hsa-mir-151a", "MIMAT0004697", "hsa-miR-151a-5p", "CCUU"),
    ("hsa-mir-151a", "MIMAT0000757", "hsa-miR-151a-3p", "CUUU"),
    ("hsa-mir-99", "MIMAT0000097", "hsa-miR-99-5p", "CCAA"),
    ("hsa-mir-5-1", "MIMAT0000501", "hsa-miR-5", "GUGU"),
    ("hsa-mir-5-2", "MIMAT0000501", "hsa-miR-5", "GUGU"),
]
ALIASES = [
    ("MIMAT0004494", "hsa-miR-21*"),
    ("MIMAT0004494", "hsa-miR-21-3p"),
    ("MIMAT0000757", "hsa-miR-151-3p"),
    ("MIMAT0000757", "hsa-miR-151"),
    ("MI0000809", "hsa-mir-151"),
    ("MI0000090", "hsa-mir-90"),
    ("MI0000091", "hsa-mir-91"),
]
RETIRED = [("MI0000090", "15.0", "hsa-mir-90", "ACGUACGU", "hsa-miR-90:MIMAT0000090:ACGU")]
IDS = ("hsa-let-7", "hsa-let-7a", "hsa-let-7b", "hsa-mir-21", "hsa-mir-7-1", "hsa-mir-7-2")
MATURES_OF = ("GGAA;GGCC;GGCU", "GGAA;GGCC", "GGCU", "AAAA;CCCC", "UUUU", "UUUU")
SEQUENCES = ("GGAAGGCC", "GGAAGGCC", "GGCCGGCC", "AAAACCCC", "UUUUAAAA", "UUUUGGGG")


def mirbase(
    hairpins: list[tuple[str, str, str]] = HAIRPINS,
    matures: list[tuple[str, str, str, str]] = MATURES,
    species: str = "hsa",
) -> MirbaseNames:
    columns = ["hairpin_id", "mature_acc", "mature_id", "mature_seq"]
    joined = pd.DataFrame(matures, columns=columns)
    return MirbaseNames.of(
        hairpins=pd.DataFrame(hairpins, columns=["id", "accession", "sequence"]),
        joined=joined.assign(family_id="", mature_evidence="experimental"),
        aliases=pd.DataFrame(ALIASES, columns=["accession", "name"]),
        retired=pd.DataFrame(
            RETIRED, columns=["hairpin_acc", "release", "names", "sequence", "matures"]
        ),
        species=species,
        release="22.1",
    )


@pytest.fixture(scope="module")
def names() -> MirbaseNames:
    return mirbase()


@pytest.fixture(scope="module")
def resolver(names: MirbaseNames) -> NameResolver:
    return NameResolver(ReferenceNames(IDS, names, SEQUENCES, MATURES_OF))


@pytest.fixture(scope="module")
def without_mirbase() -> NameResolver:
    return NameResolver(ReferenceNames(IDS, None, SEQUENCES, MATURES_OF))


@pytest.mark.parametrize(
    ("query", "rna_id", "kind", "accession"),
    [
        ("hsa-mir-21", "hsa-mir-21", "id", "MI0000077"),
        ("HSA-miR-21", "hsa-mir-21", "id", "MI0000077"),
        ("hsa−miR−21", "hsa-mir-21", "id", "MI0000077"),
        ("miR-21", "hsa-mir-21", "id", "MI0000077"),
        ("MIR21", "hsa-mir-21", "id", "MI0000077"),
        ("hsa.miR.21.5p", "hsa-mir-21", "exact_mature", "MIMAT0000076"),
        ("hsa-miR-21-5p", "hsa-mir-21", "exact_mature", "MIMAT0000076"),
        ("hsa-miR-21-3p", "hsa-mir-21", "exact_mature", "MIMAT0004494"),
        ("hsa-miR-21*", "hsa-mir-21", "alias_mature", "MIMAT0004494"),
        ("hsa-miR-21-star", "hsa-mir-21", "alias_mature", "MIMAT0004494"),
        ("MIMAT0000076", "hsa-mir-21", "exact_mature", "MIMAT0000076"),
        ("mi0000077", "hsa-mir-21", "exact_hairpin", "MI0000077"),
        ("hsa-let-7a-5p", "hsa-let-7a", "exact_mature", "MIMAT0000062"),
        ("hsa-let-7a-2", "hsa-let-7a", "exact_hairpin", "MI0000061"),
        ("MIRLET7A2", "hsa-let-7a", "exact_hairpin", "MI0000061"),
        ("hsa-let-7b-5p", "hsa-let-7b", "exact_mature", "MIMAT0000063"),
        ("hsa-miR-7-5p", "hsa-mir-7-1", "exact_mature", "MIMAT0000252"),
        ("hsa-mir-99", "hsa-mir-99", "exact_hairpin", "MI0000101"),
        ("MIMAT0000097", "hsa-mir-99", "exact_mature", "MIMAT0000097"),
        ("hsa-mir-151", "hsa-mir-151a", "alias_hairpin", "MI0000809"),
        ("hsa-miR-151-3p", "hsa-mir-151a", "alias_mature", "MIMAT0000757"),
        ("hsa-miR-5", "hsa-mir-5-1", "multilocus_stem", "MIMAT0000501"),
    ],
)
def test_names_with_an_answer(
    resolver: NameResolver, query: str, rna_id: str, kind: str, accession: str
) -> None:
    match = resolver.match(query)
    assert (match.query, match.rna_id, match.kind, match.accession) == (
        query,
        rna_id,
        kind,
        accession,
    )
    assert kind in QUERY_KINDS
    if rna_id in IDS:
        assert (match.row, match.sequence) == (IDS.index(rna_id), "")
    else:
        hairpin = next(sequence for name, _, sequence in HAIRPINS if name == rna_id)
        assert (match.row, match.sequence) == (None, hairpin)


@pytest.mark.parametrize(
    ("query", "kind", "candidates", "note"),
    [
        ("hsa-miR-", "ambiguous", ("hsa-mir-21", "hsa-mir-7-1", "hsa-mir-7-2"), "is cut short: 3"),
        ("hsa-let", "ambiguous", ("hsa-let-7", "hsa-let-7a", "hsa-let-7b"), "is cut short"),
        ("hsa-mir-7", "ambiguous", ("hsa-mir-7-1", "hsa-mir-7-2"), "could be any of hsa-mir-7-1"),
        ("hsa-mir-90", "withdrawn", (), "has withdrawn hsa-mir-90 MI0000090, last in release 15"),
        ("hsa-mir-91", "withdrawn", (), "has withdrawn MI0000091"),
        ("MI0000091", "withdrawn", (), "has withdrawn MI0000091"),
        ("mmu-miR-21a-5p", "unknown", (), "another species (mmu; the reference RNAs: hsa)"),
        ("MIR7-3HG", "unknown", (), "is a host gene, not a miRNA"),
        ("hsa-mir-22", "unknown", ("hsa-mir-21",), "unknown RNA 'hsa-mir-22' (6 reference RNAs)"),
        ("TP53", "unknown", (), "unknown RNA 'TP53' (6 reference RNAs)"),
        (" ", "unknown", (), "an empty name"),
    ],
)
def test_names_without_an_answer_say_why(
    resolver: NameResolver, query: str, kind: str, candidates: tuple[str, ...], note: str
) -> None:
    match = resolver.match(query)
    assert (match.rna_id, match.row, match.kind) == (None, None, kind)
    if kind == "unknown":
        assert match.candidates[: len(candidates)] == candidates
    else:
        assert match.candidates == candidates
    assert note in match.note
    assert not match.note.endswith(".")
    assert match.warning == match.note


def test_a_family_is_answered_with_a_warning_where_it_is_an_id_and_lists_members_else(
    names: MirbaseNames, resolver: NameResolver
) -> None:
    match = resolver.match("let-7")
    assert (match.rna_id, match.kind) == ("hsa-let-7", "id")
    assert match.candidates == ("hsa-let-7a-1", "hsa-let-7a-2", "hsa-let-7b")
    assert "stands for a family" in match.warning
    others = NameResolver(ReferenceNames(IDS[1:], names)).match("hsa-let-7")
    assert (others.rna_id, others.kind) == (None, "ambiguous")
    assert others.candidates == ("hsa-let-7a", "hsa-let-7b")


def test_a_bare_name_of_several_species_lists_them() -> None:
    several = (*HAIRPINS, ("mmu-mir-21a", "MI0000569", "ACAC"), ("mmu-mir-99", "MI0000999", "ACCA"))
    names = mirbase(list(several), species="all")
    assert names.prefixes == ("hsa", "mmu")
    alone = match_names(["miR-99", "mmu-mir-99", "hsa-mir-99", "mir-21a"], names=names)
    assert [match.kind for match in alone] == [
        "ambiguous",
        "exact_hairpin",
        "exact_hairpin",
        "exact_hairpin",
    ]
    assert alone[0].candidates == ("hsa-mir-99", "mmu-mir-99")
    # Among reference RNAs of one species a bare name is of that species.
    of_man = match_names(["miR-99", "miR-21"], IDS, names)
    assert [match.rna_id for match in of_man] == ["hsa-mir-99", "hsa-mir-21"]
    of_both = match_names(["miR-21"], ("hsa-mir-21", "mmu-mir-21"))
    assert (of_both[0].kind, of_both[0].candidates) == ("ambiguous", ("hsa-mir-21", "mmu-mir-21"))
    of_mice = match_names(["miR-21-5p", "Mir21"], ("mmu-mir-21", "mmu-mir-22"))
    assert [match.rna_id for match in of_mice] == ["mmu-mir-21"] * 2


def test_without_mirbase_ids_arms_loci_and_families_are_known(
    without_mirbase: NameResolver,
) -> None:
    def answer(query: str) -> tuple[str | None, str]:
        match = without_mirbase.match(query)
        return match.rna_id, match.kind

    assert answer("hsa-miR-21*") == ("hsa-mir-21", "arm")
    assert answer("MIR7-2") == ("hsa-mir-7-2", "id")
    assert answer("hsa-mir-7") == (None, "ambiguous")
    assert answer("hsa-mir-99") == (None, "unknown")
    assert "names of miRBase" in without_mirbase.match("MIMAT0000076").note
    other = NameResolver(ReferenceNames(("hsa-mir-30a", "hsa-mir-30b-1", "circ-1")))
    assert other.match("hsa-mir-30").candidates == ("hsa-mir-30a", "hsa-mir-30b-1")
    assert other.match("CIRC_1").rna_id == "circ-1"


@pytest.mark.parametrize(
    ("name", "sequence", "rna_id", "kind", "others", "accession"),
    [
        ("hsa-let-7b-5p", "GGCU", "hsa-let-7b", "mature_sequence", ("hsa-let-7",), "MIMAT0000063"),
        ("hsa-let-7", "GGCU", "hsa-let-7b", "mature_sequence", ("hsa-let-7",), "MIMAT0000063"),
        ("x", "GGAA", "hsa-let-7a", "mature_sequence", ("hsa-let-7",), "MIMAT0000062"),
        ("x", "AAAA", "hsa-mir-21", "mature_sequence", (), "MIMAT0000076"),
        ("x", "AAAACCCC", "hsa-mir-21", "sequence", (), "MI0000077"),
        ("x", "GGAAGGCC", "hsa-let-7a", "sequence", ("hsa-let-7",), "MI0000060"),
        ("x", "GGAAGGUU", "hsa-let-7a", "sequence", (), "MI0000061"),
        ("x", "UUUU", "hsa-mir-7-1", "mature_sequence", ("hsa-mir-7-2",), "MIMAT0000252"),
        ("hsa-mir-7-2", "UUUU", "hsa-mir-7-2", "mature_sequence", ("hsa-mir-7-1",), "MIMAT0000252"),
        ("x", "ACGU", "x", "new", (), ""),
    ],
)
def test_a_sequence_is_answered_by_its_most_specific_entry(
    resolver: NameResolver,
    name: str,
    sequence: str,
    rna_id: str,
    kind: str,
    others: tuple[str, ...],
    accession: str,
) -> None:
    match = resolver.match_sequence(name, sequence)
    assert (match.rna_id, match.kind, match.candidates, match.accession) == (
        rna_id,
        kind,
        others,
        accession,
    )
    assert all(other in match.warning for other in others)
    assert bool(match.warning) == bool(others)


def test_a_sequence_without_mirbase(without_mirbase: NameResolver) -> None:
    # A family has more mature forms than an RNA of its own.
    assert without_mirbase.match_sequence("hsa-let-7b-5p", "GGCU").rna_id == "hsa-let-7b"
    assert without_mirbase.match_sequence("hsa-mir-7-2", "UUUU").rna_id == "hsa-mir-7-2"
    assert without_mirbase.match_sequence("x", "UUUU").rna_id == "hsa-mir-7-1"
    assert without_mirbase.match_sequence("x", "GGAAGGUU").kind == "new"
    four = ReferenceNames(("hsa-mir-1a", "hsa-mir-1"), None, (None, None), ("AA;CC", "AA;CC;G;U"))
    assert NameResolver(four).match_sequence("hsa-mir-1", "AA").rna_id == "hsa-mir-1a"


def test_rows_that_may_answer_and_rnas_of_the_networks_first() -> None:
    ids = ("lnc-1", "hsa-mir-1")
    reference = ReferenceNames(ids, None, ("ACGU", "ACGU"), ("", ""), 1)
    resolver = NameResolver(reference)
    assert resolver.match_sequence("x", "ACGU").rna_id == "lnc-1"
    assert resolver.match_sequence("x", "ACGU", {1}).rna_id == "hsa-mir-1"
    assert resolver.match_sequence("x", "ACGU", set()).kind == "new"
    backwards = NameResolver(replace(reference, n_first=None))
    assert backwards.match_sequence("x", "ACGU").rna_id == "hsa-mir-1"


def test_a_sequence_of_another_species_is_said_to_be_one(resolver: NameResolver) -> None:
    match = resolver.match_sequence("mmu-miR-21a-5p", "AAAA")
    assert match.rna_id == "hsa-mir-21"
    assert "name of another species (mmu" in match.warning
    several = [*HAIRPINS, ("mmu-mir-344", "MI0000344", "ACACAC")]
    matures = [*MATURES, ("mmu-mir-344", "MIMAT0000344", "mmu-miR-344-3p", "ACAC")]
    names = mirbase(several, matures, "all")
    of_all = NameResolver(ReferenceNames(IDS, names, SEQUENCES, MATURES_OF))
    match = of_all.match_sequence("x", "ACAC")
    assert (match.kind, match.accession) == ("new", "MIMAT0000344")
    assert match.warning == (
        "the sequence of mmu-miR-344-3p, of another species than the reference RNAs (mmu)"
    )
    assert "by that name its hairpin is predicted" in of_all.match_sequence("x", "CCAA").warning


@pytest.mark.parametrize(
    ("name", "sequence", "rna_id", "warning"),
    [
        # the sequence of another RNA, which answers
        ("hsa-let-7b", "AAAACCCC", "hsa-mir-21", "hsa-let-7b, the RNA of that name, has another"),
        ("hsa-let-7b-5p", "AAAA", "hsa-mir-21", "hsa-let-7b, the RNA of that name, has another"),
        # of no RNA at all
        ("hsa-mir-21", "GAGAGAGA", "hsa-mir-21", "hsa-mir-21, the RNA of that name, has another"),
        # a part of the hairpin; the hairpin and more; a mature and more
        ("hsa-mir-21", "AAAACC", "hsa-mir-21", ""),
        ("hsa-mir-21", "GAAAACCCCG", "hsa-mir-21", ""),
        ("hsa-miR-21-3p", "GGCCCCGG", "hsa-miR-21-3p", ""),
        # the RNA of that name holds it too
        ("hsa-let-7a", "GGAA", "hsa-let-7a", ""),
        ("novel", "GAGAGAGA", "novel", ""),
    ],
)
@pytest.mark.parametrize("with_mirbase", [True, False])
def test_a_sequence_that_the_rna_of_its_name_does_not_have(
    resolver: NameResolver,
    without_mirbase: NameResolver,
    with_mirbase: bool,
    name: str,
    sequence: str,
    rna_id: str,
    warning: str,
) -> None:
    match = (resolver if with_mirbase else without_mirbase).match_sequence(name, sequence)
    assert match.rna_id == rna_id
    assert match.warning.startswith(warning) if warning else "another" not in match.warning


def test_a_sequence_among_names_is_said_to_be_one(resolver: NameResolver) -> None:
    match = resolver.match("UAGCUUAUCAGACUGAUGUUGA")
    assert (match.rna_id, match.kind) == (None, "unknown")
    assert match.warning == "'UAGCUUAUCAGACUGAUGUUGA' is a sequence, not a name"


def test_reference_rnas_that_are_matures(names: MirbaseNames) -> None:
    ids = ("hsa-miR-21-5p", "hsa-miR-21-3p", "hsa-let-7a-5p")
    resolver = NameResolver(ReferenceNames(ids, names, ("AAAA", "CCCC", "GGAA"), ("", "", "")))
    assert resolver.match("hsa-miR-21*").rna_id == "hsa-miR-21-3p"
    assert resolver.match("MIMAT0000076").rna_id == "hsa-miR-21-5p"
    hairpin = resolver.match("hsa-mir-21")
    assert (hairpin.kind, hairpin.candidates) == ("ambiguous", ("hsa-miR-21-3p", "hsa-miR-21-5p"))
    match = resolver.match_sequence("x", "CCCC")
    assert (match.rna_id, match.kind, match.accession) == (
        "hsa-miR-21-3p",
        "sequence",
        "MIMAT0004494",
    )
    # The sequence of the hairpin is not that of its matures.
    assert resolver.match_sequence("x", "AAAACCCC").kind == "new"


def test_an_id_that_mirbase_withdrew_says_so(names: MirbaseNames) -> None:
    match = NameResolver(ReferenceNames(("hsa-mir-90",), names)).match("hsa-mir-90")
    assert match.rna_id == "hsa-mir-90"
    assert "has withdrawn hsa-mir-90 (MI0000090 release 15.0)" in match.warning


def test_old_names_of_an_arm_keep_their_arm(names: MirbaseNames) -> None:
    table = resolve(["hsa-miR-21*", "hsa-miR-151-3p", "hsa-miR-21-3p", "hsa-mir-151"], names)
    assert list(table["mature_ids"]) == [
        "hsa-miR-21-3p",
        "hsa-miR-151a-3p",
        "hsa-miR-21-3p",
        "hsa-miR-151a-5p;hsa-miR-151a-3p",
    ]
    assert list(table["match_kind"])[:2] == ["alias_mature"] * 2


def test_names_travel_between_processes(names: MirbaseNames) -> None:
    assert names.tables.hairpin["hsa-mir-21"] == ("hsa-mir-21",)
    again = pickle.loads(pickle.dumps(names))
    assert "tables" not in again.__dict__
    assert again.tables.hairpin == names.tables.hairpin
    assert (again.species, again.release) == ("hsa", "22.1")


def test_reasons_are_listed_once() -> None:
    matches = [Match("a", None, note="no a"), Match("b", "b"), Match("a", None, note="no a")]
    assert unanswered(matches) == "no a"
    assert unanswered(matches[1:2]) == ""
    assert listed([]) == ""
    assert listed("abcdef") == "a, b, c, d, e and 1 more"
    assert Match("b", "b", note="fine").warning == ""
    assert Match("b", "b", note="fine", is_doubtful=True).warning == "fine"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("MIR125B1", "hsa-mir-125b-1"),
        ("MIR16-1", "hsa-mir-16-1"),
        ("MIR151A", "hsa-mir-151a"),
        ("MIR548AA1", "hsa-mir-548aa-1"),
        ("MIR1302-2", "hsa-mir-1302-2"),
        ("MIRLET7A1", "hsa-let-7a-1"),
        ("MIRLET7D", "hsa-let-7d"),
        ("Mirlet7a-1", "hsa-let-7a-1"),
        ("MIR17HG", "mir17hg"),
        ("MIR7-3HG", "mir7-3hg"),
        ("MIR1-1HG-AS1", "mir1-1hg-as1"),
        ("hsa−miR−21−5p", "hsa-mir-21-5p"),
        ("hsa‐miR‑21–5p", "hsa-mir-21-5p"),
        ("hsa-miR-21\u00a0", "hsa-mir-21"),
        ("hsa\u00admiR\u200b21", "hsa-mir-21"),
        ("pre-miR-21", "hsa-mir-21"),
        ("hsa.miR.21.3p", "hsa-mir-21-3p"),
        ("hsa-miR-21-star", "hsa-mir-21*"),
        ("ath-MIR156a", "ath-mir-156a"),
        ("cel-lin-4", "cel-lin-4"),
        ("hsv1-mir-H1", "hsv1-mir-h1"),
        ("XIST", "xist"),
    ],
)
def test_spellings(name: str, plain: str) -> None:
    assert normalise(name) == plain
    assert normalise(plain) == plain


def test_facts_of_a_spelling() -> None:
    assert normalise("miR-21", "") == "mir-21"
    assert normalise("miR-21", "mmu") == "mmu-mir-21"
    assert [
        hgnc_symbol(name) for name in ("hsa-let-7a-1", "hsa-mir-1302-2", "hsa-mir-548aa-1")
    ] == [
        "MIRLET7A1",
        "MIR1302-2",
        "MIR548AA1",
    ]
    assert [species_of(name) for name in ("hsa_miR-21", "ath-MIR156a", "TP53", "dme-bantam")] == [
        "hsa",
        "ath",
        "",
        "dme",
    ]
    assert [is_truncated(name) for name in ("hsa-mir", "miR-", "let", "hsa", "let-7", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert [is_host_gene(name) for name in ("MIR99AHG", "MIRLET7BHG", "MIR99A")] == [
        True,
        True,
        False,
    ]
    assert [is_like_mirna(name) for name in ("hsa-mri-21", "mi-R21", "LET7", "TP53", "LIN28A")] == [
        True,
        True,
        True,
        False,
        True,
    ]


def test_a_name_without_species_is_not_resolved_silently(resolver: NameResolver) -> None:
    """miR-21 could be of any species; MIR21 is the symbol of the human gene."""
    for query in ("miR-21", "mir-21", "miR-21-5p"):
        match = resolver.match(query)
        assert match.rna_id == "hsa-mir-21"
        assert match.warning == f"{query!r} names no species: read as hsa"
    for query in ("hsa-miR-21", "MIR21", "MIMAT0000076"):
        assert resolver.match(query).warning == ""
    assert "names no species" not in resolver.match("miR-nonsense").note
