"""Names of localization records matched with ids: arms, stars, old names, several ids."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mirnagraph.names import MirbaseNames
from mirnagraph.sources.assemble import match_names
from mirnagraph.sources.rnalocate import (
    label_table,
    labels,
    match_molecules,
    read_rnalocate,
    star,
)

IDS = [
    "hsa-mir-24",
    "hsa-mir-24-1",
    "hsa-mir-24-2",
    "hsa-mir-22",
    "hsa-mir-22a",
    "hsa-mir-30",
    "hsa-mir-30a",
    "hsa-mir-463",
]


@pytest.fixture(scope="module")
def names() -> MirbaseNames:
    """24 has two loci, 22 was called 22a, 30 names a family of 30a and 30b, 463 is no entry."""
    hairpins = ["hsa-mir-24-1", "hsa-mir-24-2", "hsa-mir-22", "hsa-mir-30a", "hsa-mir-30b"]
    matures = {
        "hsa-mir-24-1": [("hsa-miR-24-3p", "MIMAT0000001"), ("hsa-miR-24-1-5p", "MIMAT0000002")],
        "hsa-mir-24-2": [("hsa-miR-24-3p", "MIMAT0000001")],
        "hsa-mir-22": [("hsa-miR-22-3p", "MIMAT0000003"), ("hsa-miR-22-5p", "MIMAT0000004")],
        "hsa-mir-30a": [("hsa-miR-30a-5p", "MIMAT0000005")],
        "hsa-mir-30b": [("hsa-miR-30b-5p", "MIMAT0000006")],
    }
    rows = []
    for hairpin, of_hairpin in matures.items():
        for mature, accession in of_hairpin:
            rows.append((hairpin, "", accession, mature, "experimental", "ACGU"))
    return MirbaseNames.of(
        hairpins=pd.DataFrame(
            [(name, f"MI{row:07d}", "ACGU") for row, name in enumerate(hairpins)],
            columns=["id", "accession", "sequence"],
        ),
        joined=pd.DataFrame(
            rows,
            columns=[
                "hairpin_id",
                "family_id",
                "mature_acc",
                "mature_id",
                "mature_evidence",
                "mature_seq",
            ],
        ),
        aliases=pd.DataFrame(
            [
                ("MI0000002", "hsa-mir-22a"),
                ("MIMAT0000004", "hsa-miR-22*"),
                ("MIMAT0000002", "hsa-miR-24-1*"),
            ],
            columns=["accession", "name"],
        ),
    )


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("hsa-miR-24-3p", ["hsa-mir-24", "hsa-mir-24-1", "hsa-mir-24-2"]),  # an arm of both loci
        ("hsa-miR-24", ["hsa-mir-24", "hsa-mir-24-1", "hsa-mir-24-2"]),
        ("hsa-miR-24-1-star", ["hsa-mir-24", "hsa-mir-24-1"]),  # the minor arm of one locus
        ("hsa-miR-24-1*", ["hsa-mir-24", "hsa-mir-24-1"]),
        ("hsa-miR-22-star", ["hsa-mir-22", "hsa-mir-22a"]),  # both ids name one hairpin
        ("hsa-mir-22a", ["hsa-mir-22", "hsa-mir-22a"]),  # an old name
        ("hsa-miR-30a-5p", ["hsa-mir-30a"]),  # hsa-mir-30 names a family, no molecule
        ("hsa-mir-30", ["hsa-mir-30"]),  # and is matched by name alone
        ("hsa-mir-463", ["hsa-mir-463"]),  # no entry of miRBase
    ],
)
def test_a_name_belongs_to_every_id_of_its_molecule(
    name: str, ids: list[str], names: MirbaseNames
) -> None:
    assert match_molecules([name], IDS, names) == {name: ids}


def test_a_molecule_that_is_not_in_the_dataset_matches_nothing(names: MirbaseNames) -> None:
    assert match_molecules(["hsa-miR-30b-5p", "hsa-miR-99"], IDS, names) == {}


def test_names_without_a_species_are_of_that_of_mirbase() -> None:
    columns = ["hairpin_id", "family_id", "mature_acc", "mature_id", "mature_evidence"]
    mouse = MirbaseNames.of(
        hairpins=pd.DataFrame(
            [("mmu-mir-21a", "MI0000569", "ACGU")], columns=["id", "accession", "sequence"]
        ),
        joined=pd.DataFrame(
            [("mmu-mir-21a", "", "MIMAT0000530", "mmu-miR-21a-5p", "experimental", "ACGU")],
            columns=[*columns, "mature_seq"],
        ),
        aliases=pd.DataFrame([], columns=["accession", "name"]),
        species="mmu",
    )
    ids = ["mmu-mir-21a", "miR-999"]  # miRBase has no 999
    for match in (match_molecules, match_names):
        assert match(["miR-21a-5p", "mmu-miR-999-3p", "miR-999-3p"], ids, mouse) == {
            "miR-21a-5p": ["mmu-mir-21a"],
            "mmu-miR-999-3p": ["miR-999"],
            "miR-999-3p": ["miR-999"],
        }
        assert match(["hsa-miR-999-3p", "hsa-miR-21a-5p"], ids, mouse) == {}


def test_star_is_written_as_mirbase_did() -> None:
    assert star("hsa-miR-21-star") == "hsa-miR-21*"
    assert star(" hsa-miR-21-STAR ") == "hsa-miR-21*"
    assert star("hsa-miR-21") == "hsa-miR-21"
    assert star("hsa-miR-21-star-5p") == "hsa-miR-21-star-5p"


def test_label_table_counts_what_it_leaves_out(tmp_path: Path, names: MirbaseNames) -> None:
    path = tmp_path / "records.tsv"
    path.write_text(
        "location\tmirna\tspecies\n"
        "nucleus\thsa-miR-22-star\t\n"
        "Nucleus\thsa-mir-22a\tHomo sapiens\n"
        "Circulating\thsa-miR-22\t\n"
        "Exosome\thsa-miR-99\t\n"
        "Exosome\thsa-miR-30a-5p\tMus musculus\n"
        "Exosome\thsa-miR-24-3p\t\n"
    )
    table, unused = label_table(read_rnalocate(path), IDS, ["Nucleus", "Exosome"], names)
    assert list(table.index) == IDS
    assert table["Nucleus"].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert table["Exosome"].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert unused[["rna", "reason"]].to_numpy().tolist() == [
        ["hsa-miR-22", "compartment is not in the dataset"],
        ["hsa-miR-99", "RNA is not in the dataset"],
        ["hsa-miR-30a-5p", "another species"],
    ]


def test_compartments_that_differ_in_capitals_are_one(tmp_path: Path) -> None:
    path = tmp_path / "records.tsv"
    path.write_text("mirna\tlocation\na\tCytoplasm\nb\tcytoplasm\nb\tNucleus\nc\tNUCLEUS\n")
    records = read_rnalocate(path)
    molecules = {name: [name] for name in "abc"}
    table, unused = labels(records, molecules, list("abc"), records["compartment"])
    assert list(table.columns) == ["Cytoplasm", "Nucleus"]
    assert table.to_numpy().tolist() == [[1, 0], [1, 1], [0, 1]]
    assert unused.empty
