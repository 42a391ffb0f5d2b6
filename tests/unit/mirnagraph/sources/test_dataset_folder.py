"""Dataset folders made by hand: files that nothing lists, ontologies, matures."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirnagraph.errors import InputError
from mirnagraph.folder.read import UNLISTED
from mirnagraph.sources import load_dataset

FILES = {
    "dataset.toml": 'format_version = 1\nname = "hand"\ncompartments = ["Nucleus", "Cytosol"]\n'
    'associations = ["disease"]\n',
    "rnas.tsv": "rna_id\tsequence\tmatures\na\tACGU\ttcat; acg\nb\tGGGG\t\n",
    "labels.tsv": "rna_id\tNucleus\tCytosol\na\t1\t0\nb\t0\t1\n",
    "associations.disease.tsv": "rna_id\tpartner_id\na\tFlu\nb\tGout\n",
    "partners.disease.tsv": "partner_id\tdescriptor_ids\nFlu\tD2\nGout\tD9\n",
    "ontology.tsv": "tree_number\tdescriptor_id\tterm\nC1\tD1\troot\nC1.1\tD2\tFlu\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def unlisted(folder: Path) -> list[tuple[str, str]]:
    table = load_dataset(folder).left_out
    rows = table.loc[table["item"] == UNLISTED, ["id", "reason"]]
    return [(name, why) for name, why in rows.to_numpy()]


def test_matures_are_read_as_sequences_are(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert dataset.rnas["matures"].tolist() == ["UCAU;ACG", ""]
    assert unlisted(folder) == []


def test_a_mature_with_another_letter_is_refused_with_its_line(folder: Path) -> None:
    text = FILES["rnas.tsv"].replace("GGGG\t", "GGGG\tACGU;AXGU")
    (folder / "rnas.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(
        InputError,
        match=r"rnas.tsv, line 3, column 'matures': invalid nucleotide in mature 2 of b at "
        r"position 2; found X, expected A, C, G, T, U or N",
    ):
        load_dataset(folder)


def test_na_is_no_sequence(folder: Path) -> None:
    (folder / "rnas.tsv").write_text("rna_id\tsequence\na\tACGU\nb\tNA\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"rnas.tsv, line 3, column 'sequence': a sequence is not given; found NA"
    ):
        load_dataset(folder)


def test_files_and_compartments_that_nothing_lists_are_named(folder: Path) -> None:
    (folder / "associations.drug.tsv").write_text("rna_id\tpartner_id\n", encoding="utf-8")
    (folder / "measurements.liver.tsv").write_text("id\ts\n", encoding="utf-8")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / ".DS_Store").write_text("x", encoding="utf-8")
    (folder / "figures").mkdir()
    labels = "rna_id\tNucleus\tCytosol\tGolgi\na\t1\t0\t1\nb\t0\t1\t0\n"
    (folder / "labels.tsv").write_text(labels, encoding="utf-8")
    assert unlisted(folder) == [
        ("associations.drug.tsv", "'drug' is not in 'associations' of dataset.toml"),
        ("measurements.liver.tsv", "dataset.toml has no table [measurements.liver]"),
        ("notes.txt", "not a file of a dataset"),
        ("labels.tsv, column Golgi", "not in 'compartments' of dataset.toml"),
    ]


def test_one_tree_number_with_two_descriptors_is_refused(folder: Path) -> None:
    text = FILES["ontology.tsv"] + "C1.1\tD3\tb\n"
    (folder / "ontology.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(
        InputError,
        match=r"ontology.tsv, line 4, column 'tree_number': one tree number with two descriptors; "
        r"found C1.1 of D3, expected a number not seen before \(line 3: D2\)",
    ):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("partners", "found"),
    [
        ("partner_id\nFlu\nGout\n", "0 of 2 diseases, no such column"),
        ("partner_id\tdescriptor_ids\nFlu\t\nGout\tD7\n", "0 of 2 diseases"),
    ],
)
def test_an_ontology_that_matches_no_disease_is_an_error(
    folder: Path, partners: str, found: str
) -> None:
    (folder / "partners.disease.tsv").write_text(partners, encoding="utf-8")
    with pytest.raises(
        InputError, match=rf"'descriptor_ids': no disease has a descriptor of .*; found {found}, "
    ):
        load_dataset(folder)


def test_an_ontology_is_needed_where_a_disease_has_a_descriptor(folder: Path) -> None:
    (folder / "ontology.tsv").unlink()
    diseases = folder / "partners.disease.tsv"
    diseases.write_text("partner_id\tdescriptor_ids\nFlu\t\nGout\t\n", encoding="utf-8")
    assert load_dataset(folder).ontology.empty
    diseases.write_text("partner_id\tdescriptor_ids\nFlu\t\nGout\tD7\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"ontology\.tsv: no such file, of which .*descriptors"):
        load_dataset(folder)
