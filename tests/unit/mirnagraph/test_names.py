"""miRNA names on a made-up miRBase: every kind of match, groups, suggestions."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.names import (
    MATCH_KINDS,
    MirbaseNames,
    family_groups,
    natural_key,
    normalise,
    number,
    resolve,
    stem,
    suggest,
)
from mirnagraph.sources.assemble import rna_table


@pytest.fixture(scope="module")
def names() -> MirbaseNames:
    hairpins = pd.DataFrame(
        [
            ("hsa-mir-1-1", "MI0000001", "AAAACCCC"),
            ("hsa-mir-1-2", "MI0000002", "AAAAGGGG"),
            ("hsa-mir-22", "MI0000003", "CCCCAAAA"),
            ("hsa-mir-30a", "MI0000004", "GGGGAAAA"),
            ("hsa-mir-30b", "MI0000005", "GGGGCCCC"),
            ("hsa-mir-30b-2", "MI0000006", "GGGGUUUU"),
            ("hsa-mir-10b", "MI0000007", "UUUUAAAA"),
            ("hsa-mir-17a", "MI0000008", "UUUUCCCC"),
            ("hsa-mir-17b", "MI0000009", "UUUUGGGG"),
        ],
        columns=["id", "accession", "sequence"],
    )
    joined = pd.DataFrame(
        [
            ("hsa-mir-1-1", "mir-1", "MIMAT0000001", "hsa-miR-1-3p", "experimental", "AAAA"),
            ("hsa-mir-1-1", "mir-1", "MIMAT0000002", "hsa-miR-1-1-5p", "not experimental", "AACC"),
            ("hsa-mir-1-2", "mir-1", "MIMAT0000001", "hsa-miR-1-3p", "experimental", "AAAA"),
            ("hsa-mir-22", "", "MIMAT0000003", "hsa-miR-22-5p", "experimental", "CCCC"),
            ("hsa-mir-30a", "mir-30", "MIMAT0000004", "hsa-miR-30a-5p", "experimental", "GGGG"),
            ("hsa-mir-30b", "mir-30", "MIMAT0000005", "hsa-miR-30b-5p", "experimental", "GGCC"),
            ("hsa-mir-30b-2", "mir-30", "MIMAT0000006", "hsa-miR-30b-2-5p", "experimental", "GGUU"),
            ("hsa-mir-10b", "mir-10", "MIMAT0000007", "hsa-miR-10b", "experimental", "UUAA"),
            ("hsa-mir-17a", "", "MIMAT0000008", "hsa-miR-17-3p", "experimental", "UUCC"),
            ("hsa-mir-17b", "", "MIMAT0000008", "hsa-miR-17-3p", "experimental", "UUCC"),
        ],
        columns=[
            "hairpin_id",
            "family_id",
            "mature_acc",
            "mature_id",
            "mature_evidence",
            "mature_seq",
        ],
    )
    aliases = pd.DataFrame(
        [
            ("MI0000003", "hsa-mir-22a"),
            ("MIMAT0000007", "hsa-miR-10"),
            ("MIMAT0000003", "hsa-miR-22*"),
            ("MI0000090", "hsa-mir-90"),
            ("MI0000091", "hsa-mir-91"),
            ("MIMAT0000091", "hsa-miR-91"),
            ("MI0000090", "hsa-mir-90x"),
        ],
        columns=["accession", "name"],
    )
    retired = pd.DataFrame(
        [
            (
                "MI0000090",
                "15.0",
                "hsa-mir-30;hsa-mir-90a",
                "ACGUACGU",
                "hsa-miR-90:MIMAT0000090:ACGU",
            )
        ],
        columns=["hairpin_acc", "release", "names", "sequence", "matures"],
    )
    return MirbaseNames.of(hairpins=hairpins, joined=joined, aliases=aliases, retired=retired)


@pytest.mark.parametrize(
    ("rna_id", "kind", "hairpins", "matures", "sequence"),
    [
        ("hsa-mir-22", "exact_hairpin", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("HSA-MIR-22", "exact_hairpin", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("miR-22", "exact_hairpin", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("MI0000003", "exact_hairpin", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("hsa-miR-22-5p", "exact_mature", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("MIMAT0000001", "exact_mature", "hsa-mir-1-1;hsa-mir-1-2", "hsa-miR-1-3p", "AAAACCCC"),
        ("hsa-mir-1", "multilocus_stem", "hsa-mir-1-1;hsa-mir-1-2", "hsa-miR-1-3p", "AAAACCCC"),
        ("hsa-mir-22a", "alias_hairpin", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("hsa-mir-10", "alias_mature", "hsa-mir-10b", "hsa-miR-10b", "UUUUAAAA"),
        ("hsa-mir-22*", "alias_mature", "hsa-mir-22", "hsa-miR-22-5p", "CCCCAAAA"),
        ("hsa-mir-17", "mature_name", "hsa-mir-17a;hsa-mir-17b", "hsa-miR-17-3p", "UUUUCCCC"),
        ("hsa-mir-90a", "retired", "hsa-mir-90a", "hsa-miR-90", "ACGUACGU"),
        ("hsa-mir-90x", "retired", "hsa-mir-90a", "hsa-miR-90", "ACGUACGU"),
        ("hsa-mir-30", "retired", "hsa-mir-90a", "hsa-miR-90", "ACGUACGU"),
        ("hsa-mir-91", "retired_no_sequence", "", "", ""),
        ("hsa-mir-3", "unknown", "", "", ""),
        ("hsa-mir-30c", "unknown", "", "", ""),
        ("U6", "unknown", "", "", ""),
    ],
)
def test_each_kind_of_match(
    names: MirbaseNames, rna_id: str, kind: str, hairpins: str, matures: str, sequence: str
) -> None:
    row = resolve([rna_id], names).loc[rna_id]
    assert kind in MATCH_KINDS
    assert (row["match_kind"], row["hairpin_ids"], row["mature_ids"], row["sequence"]) == (
        kind,
        hairpins,
        matures,
        sequence,
    )


def test_family_prefix_is_the_last_guess(names: MirbaseNames) -> None:
    without = MirbaseNames.of(
        hairpins=names.hairpins.reset_index().rename(columns={"hairpin_id": "id"}),
        joined=names.matures.rename(
            columns={
                "accession": "mature_acc",
                "sequence": "mature_seq",
                "evidence": "mature_evidence",
            }
        ).assign(family_id="mir-30"),
    )
    row = resolve(["hsa-mir-30"], without).loc["hsa-mir-30"]
    assert row["match_kind"] == "family_prefix"
    assert row["hairpin_ids"] == "hsa-mir-30a;hsa-mir-30b;hsa-mir-30b-2"
    assert row["family_ids"] == "mir-30"
    assert row["mature_sequences"] == "GGGG;GGCC;GGUU"
    assert row["sequence_source"] == "hsa-mir-30a"
    assert resolve(["hsa-mir-22a"], without)["match_kind"].iloc[0] == "unknown"


def test_a_name_cut_off_before_its_number_is_unknown(names: MirbaseNames) -> None:
    found = resolve(["hsa-mir-", "hsa-miR", "hsa-", "mir", "hsa-let-"], names)
    assert found["match_kind"].tolist() == ["unknown"] * 5
    assert (found["hairpin_ids"] == "").all()


def test_accessions_go_with_names(names: MirbaseNames) -> None:
    table = resolve(["hsa-mir-1", "hsa-mir-90a", "hsa-mir-91"], names)
    assert list(table.index) == ["hsa-mir-1", "hsa-mir-90a", "hsa-mir-91"]
    assert list(table["hairpin_accs"]) == ["MI0000001;MI0000002", "MI0000090", "MI0000091"]
    assert list(table["mature_accs"]) == ["MIMAT0000001", "MIMAT0000090", "MIMAT0000091"]
    assert list(table["sequence_source"]) == ["hsa-mir-1-1", "MI0000090 release 15.0", ""]
    assert names.hairpins_of("MIMAT0000001") == ["hsa-mir-1-1", "hsa-mir-1-2"]
    assert names.hairpins_of("MIMAT9999999") == []


def test_groups_join_over_family_mature_and_number(names: MirbaseNames) -> None:
    ids = [
        "hsa-mir-30b",
        "hsa-mir-30z",
        "hsa-mir-30a",
        "hsa-mir-17b",
        "hsa-mir-17a",
        "hsa-mir-22",
        "hsa-mir-1-2",
        "hsa-mir-1",
        "other",
    ]
    groups = family_groups(resolve(ids, names))
    assert groups.to_dict() == {
        "hsa-mir-30b": "hsa-mir-30a",
        "hsa-mir-30z": "hsa-mir-30a",
        "hsa-mir-30a": "hsa-mir-30a",
        "hsa-mir-17b": "hsa-mir-17a",
        "hsa-mir-17a": "hsa-mir-17a",
        "hsa-mir-22": "hsa-mir-22",
        "hsa-mir-1-2": "hsa-mir-1",
        "hsa-mir-1": "hsa-mir-1",
        "other": "other",
    }
    shared = pd.DataFrame(
        {"family_ids": ["f", "f;g", "g", ""], "mature_sequences": ["", "", "AA", "CC;AA"]},
        index=["w", "x", "y", "z"],
    )
    assert set(family_groups(shared)) == {"w"}


def test_rna_table(names: MirbaseNames) -> None:
    families = pd.DataFrame(
        {
            "family_id": ["mir-1", "mir-1", "mir-1", "mir-30"],
            "species": ["hsa", "mmu", "mmu", "hsa"],
        }
    )
    rnas, left_out = rna_table(
        ["hsa-mir-1", "hsa-mir-22", "hsa-mir-91", "hsa-mir-33"], names, families
    )
    assert rnas.loc[
        "hsa-mir-1", ["n_experimental", "family_members", "family_species"]
    ].tolist() == [1, 3, 2]
    assert rnas.loc[
        "hsa-mir-22", ["n_experimental", "family_members", "family_species"]
    ].tolist() == [1, 0, 0]
    assert rnas["sequence"].tolist() == ["AAAACCCC", "CCCCAAAA", None, None]
    assert left_out["id"].tolist() == ["hsa-mir-91", "hsa-mir-33"]
    assert "withdrawn" in left_out["reason"].iloc[0]
    assert "nearest names" in left_out["reason"].iloc[1]
    with pytest.raises(InputError, match="a duplicate RNA id; found hsa-mir-1"):
        rna_table(["hsa-mir-1", "hsa-mir-1"], names)


def test_tables_that_do_not_fit(names: MirbaseNames) -> None:
    hairpins = names.hairpins.reset_index().rename(columns={"hairpin_id": "id"})
    joined = pd.DataFrame(
        {
            "hairpin_id": ["hsa-mir-99"],
            "family_id": "",
            "mature_acc": "",
            "mature_id": "",
            "mature_evidence": "",
            "mature_seq": "",
        }
    )
    with pytest.raises(InputError, match="a hairpin without a sequence; found hsa-mir-99"):
        MirbaseNames.of(hairpins=hairpins, joined=joined)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("hsa-miR-21-5p", "hsa-mir-21-5p"),
        ("hsa_mir_21", "hsa-mir-21"),
        ("hsa–miR–21", "hsa-mir-21"),
        (" MIR-21 ", "hsa-mir-21"),
        ("microRNA 21", "hsa-mir-21"),
        ("miRNA-21", "hsa-mir-21"),
        ("let-7a", "hsa-let-7a"),
        ("mir21", "hsa-mir-21"),
        ("mmu-miR-21", "mmu-mir-21"),
        ("hsa-mir-24-1*", "hsa-mir-24-1*"),
        ("MIMAT0000001", "mimat0000001"),
        ("", ""),
    ],
)
def test_normalise(name: str, plain: str) -> None:
    assert normalise(name) == plain
    assert normalise(plain) == plain


def test_small_helpers() -> None:
    assert [
        stem(name) for name in ("hsa-miR-20a-5p", "hsa-miR-24-1*", "hsa-mir-20a", "hsa-miR-9-3p")
    ] == [
        "hsa-mir-20a",
        "hsa-mir-24-1",
        "hsa-mir-20a",
        "hsa-mir-9",
    ]
    assert [
        number(name) for name in ("hsa-mir-548aa-1", "hsa-let-7", "hsa-mir-7", "hsa-mir-", "x")
    ] == ["mir-548", "let-7", "mir-7", None, None]
    wanted = ["hsa-mir-9", "hsa-mir-10a", "hsa-mir-548a-1", "hsa-mir-548a-10", "hsa-mir-548aa-1"]
    assert sorted(["hsa-mir-548aa-1", *wanted[:4][::-1]], key=natural_key) == wanted
    odd = ["mir-²", "mir-٣", "mir-" + "1" * 5000]  # digits that `int` refuses
    assert sorted(odd, key=natural_key)[0] == odd[2]


def test_suggest(names: MirbaseNames) -> None:
    assert suggest("hsa-mir-30z", ["hsa-mir-30a", "hsa-let-7"]) == ["hsa-mir-30a"]
    assert suggest("U6", ["hsa-mir-30a"]) == []
    assert len(suggest("hsa-mir-30", names.known_names(), n=2)) == 2
    assert {"hsa-mir-22", "hsa-mir-1", "hsa-mir-22a", "hsa-mir-90a", "hsa-mir-1-3p"} <= set(
        names.known_names()
    )
    assert suggest("hsa-mir-21", []) == suggest("", ["hsa-mir-21"]) == []
    assert suggest("Nucleolu", ["Nucleus", "nucleolus", "Cytosol"]) == ["nucleolus"]
    # of equal likeness (20 of 22 characters match), in the order given
    assert suggest("hsa-mir-30z", ["hsa-mir-30d", "hsa-mir-30a", "hsa-mir-30b", "hsa-mir-30c"]) == [
        "hsa-mir-30d",
        "hsa-mir-30a",
        "hsa-mir-30b",
    ]


def test_suggest_is_the_same_as_matching_every_name() -> None:
    random = np.random.default_rng(0)
    known = [
        f"hsa-mir-{number}{letter}{arm}"
        for number in range(1, 200)
        for letter in ("", "a", "b")
        for arm in ("", "-3p")
    ]
    for typed in random.choice(known, 20):
        cut = int(random.integers(len(typed)))
        asked = normalise(str(typed[:cut] + typed[cut + 1 :]))
        likeness = [SequenceMatcher(a=name, b=asked, autojunk=False).ratio() for name in known]
        best = np.argsort(-np.array(likeness), kind="stable")[:3]
        assert suggest(asked, known) == [known[i] for i in best if likeness[i] >= 0.8]
