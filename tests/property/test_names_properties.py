"""Properties of names: normalising twice changes nothing, and spelling does not matter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirnagraph.names import NameResolver, ReferenceNames, hgnc_symbol, normalise

DASHES = "-_ \u00a0\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
WORDS = "hsa mmu mir miR MIR let 7 21 a B 1 5p 3p * star HG . pre MIMAT0000076 \u200b İ ß"
pieces = st.sampled_from([*DASHES, *WORDS.split(" ")])
texts = st.one_of(st.text(max_size=20), st.lists(pieces, max_size=8).map("".join))
letters = st.text("abcdefij", max_size=2)  # a symbol that ends in HG is of a host gene


@given(texts, st.sampled_from(["hsa", "mmu", ""]))
def test_normalise_is_idempotent(text: str, species: str) -> None:
    once = normalise(text, species)
    assert normalise(once, species) == once
    assert once == once.lower()


@given(st.integers(1, 9999), letters, st.integers(0, 30), st.sampled_from(["", "-5p", "-3p", "*"]))
def test_a_symbol_is_read_back(number: int, letter: str, locus: int, arm: str) -> None:
    tail = f"-{locus}" if locus else ""
    hairpin = f"hsa-mir-{number}{letter}{tail}"
    assert normalise(hgnc_symbol(hairpin)) == hairpin
    assert normalise(f"{hgnc_symbol(hairpin)}{arm}") == f"{hairpin}{arm}"


@given(
    st.integers(1, 9999),
    letters,
    st.sampled_from(["", "-5p", "-3p"]),
    st.lists(st.sampled_from(DASHES), min_size=3, max_size=3),
    st.booleans(),
)
def test_dashes_and_case_do_not_matter(
    number: int, letter: str, arm: str, dashes: list[str], is_upper: bool
) -> None:
    plain = f"hsa-mir-{number}{letter}{arm}"
    first, second, third = dashes
    asked = f"hsa{first}miR{second}{number}{letter}{arm.replace('-', third)}"
    if is_upper:
        asked = asked.upper()
    assert normalise(asked) == plain


@given(st.lists(texts, max_size=6), texts)
def test_every_query_is_answered_or_has_a_reason(ids: list[str], query: str) -> None:
    known = tuple(dict.fromkeys(name for name in ids if name.strip()))
    match = NameResolver(ReferenceNames(known)).match(query)
    assert match.query == query
    if match.rna_id is None:
        assert match.note
        assert match.row is None
    else:
        assert match.row is not None
        assert known[match.row] == match.rna_id
