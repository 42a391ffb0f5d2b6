"""Names of any species: the tables of all species, and species by prefix, Latin or common name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.names import match_names, resolve
from mirnagraph.sources.mirbase import read_names
from mirnagraph.sources.organisms import COMMON_NAMES, read_organisms, species_code

FILES = {
    "hairpin.fa.gz": (
        ">hsa-mir-21 MI0000077 Homo sapiens miR-21 stem-loop\nAAAACCCC\n"
        ">mmu-mir-21a MI0000569 Mus musculus miR-21a stem-loop\nGGGGCRCC\n"
        ">mmu-mir-344 MI0000630 Mus musculus miR-344 stem-loop\nUUUUCCCC\n"
    ),
    "hairpin_mature.tsv.gz": (
        "hairpin_id\thairpin_acc\tspecies\thairpin_len\tmature_id\tmature_acc\tstart\tend\tevidence\n"
        "hsa-mir-21\tMI0000077\thsa\t8\thsa-miR-21-5p\tMIMAT0000076\t1\t4\texperimental\n"
        "mmu-mir-21a\tMI0000569\tmmu\t8\tmmu-miR-21a-5p\tMIMAT0000530\t2\t6\texperimental\n"
        "mmu-mir-21a\tMI0000569\tmmu\t8\tmmu-miR-21a-3p\tMIMAT0004628\t5\t8\tnot experimental\n"
    ),
    "aliases.tsv.gz": (
        "MI0000569\tmmu-mir-21;mmu-mir-21a;\n"
        "MIMAT0000530\tmmu-miR-21;mmu-miR-21a-5p;\n"
        "MI0000077\thsa-mir-21;\n"
    ),
    "organisms.tsv": (
        "prefix\tname\ttree\tncbi_taxid\tn_hairpin\tn_mature\n"
        "hsa\tHomo sapiens\tx;\t9606\t1\t1\n"
        "mmu\tMus musculus\tx;\t10090\t2\t2\n"
        "mml\tMacaca mulatta\tx;\t9544\t0\t0\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        data = text.encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.mark.parametrize("species", ["mmu", "MMU", "mouse", "Mus musculus", "mus  Musculus"])
def test_one_species_by_any_of_its_names(folder: Path, species: str) -> None:
    names = read_names(folder, species)
    assert (names.species, names.release) == ("mmu", "22.1")
    assert list(names.hairpins.index) == ["mmu-mir-21a", "mmu-mir-344"]
    # an ambiguous nucleotide is read as N; matures are cut out by 1-based inclusive coordinates
    assert names.hairpins.at["mmu-mir-21a", "sequence"] == "GGGGCNCC"
    assert list(names.matures["sequence"]) == ["GGGCN", "CNCC"]
    assert list(names.matures["evidence"]) == ["experimental", "not experimental"]
    table = resolve(["miR-21", "mmu-mir-21", "Mir344", "hsa-mir-21"], names)
    assert list(table["match_kind"]) == [
        "alias_hairpin",
        "alias_hairpin",
        "exact_hairpin",
        "unknown",
    ]
    assert table["hairpin_ids"].iloc[0] == "mmu-mir-21a"


def test_all_species(folder: Path) -> None:
    names = read_names(folder, "all")
    assert names.prefixes == ("hsa", "mmu")
    kinds = [match.kind for match in match_names(["hsa-mir-21", "mmu-mir-21", "miR-21"], (), names)]
    assert kinds == ["exact_hairpin", "alias_hairpin", "ambiguous"]


def test_families_where_their_file_is_there(folder: Path) -> None:
    assert set(read_names(folder, "mmu").hairpins["family"]) == {""}
    text = "AC   MIPF0000060\nID   mir-21\nMI   MI0000569  mmu-mir-21a\n//\n"
    (folder / "miFam.dat").write_text(text)
    assert list(read_names(folder, "mmu").hairpins["family"]) == ["mir-21", ""]


@pytest.mark.parametrize(
    ("species", "sentence"),
    [
        ("mmx", r"unknown species; found mmx, expected such as mmu \(Mus musculus\)"),
        ("Mus muscullus", r"unknown species; found Mus muscullus, expected such as mmu"),
        ("Homo", r"unknown species; found Homo, expected such as hsa \(Homo sapiens\)"),
        ("house", "unknown species; found house, expected such as mmu"),
        ("zzzz", "expected one of 3 prefixes"),
        ("", "expected one of 3 prefixes"),
        ("mml", "a species without an entry in miRBase; found mml"),
    ],
)
def test_an_unknown_species_gets_near_ones(folder: Path, species: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_names(folder, species)


def test_a_folder_of_one_species_names_it(tmp_path: Path) -> None:
    (tmp_path / "hsa_hairpin_v22.1.fa").write_text(">hsa-mir-1 MI0000001\nACGU\n")
    with pytest.raises(InputError, match=r"no names of that species; found mmu, expected hsa; the"):
        read_names(tmp_path, "mmu")


def test_malformed_tables(folder: Path) -> None:
    pairs = FILES["hairpin_mature.tsv.gz"]
    for wrong in ("\t2\t9\t", "\t0\t6\t", "\t6\t2\t", "\tx\t6\t"):
        write(folder, {"hairpin_mature.tsv.gz": pairs.replace("\t2\t6\t", wrong)})
        found = "..".join(wrong.split("\t")[1:3])
        expected = rf"line 3: a mature outside its hairpin mmu-mir-21a; found {found}, expected"
        with pytest.raises(InputError, match=expected):
            read_names(folder, "mmu")
    write(folder, {"organisms.tsv": FILES["organisms.tsv"].replace("\t1\t1", "\tmany\t1")})
    with pytest.raises(
        InputError, match=r"organisms.tsv, line 2, column 'n_hairpin': not a number"
    ):
        read_organisms(folder / "organisms.tsv")


def test_common_names_are_of_species() -> None:
    index = pd.Index(sorted(set(COMMON_NAMES.values())), name="prefix")
    organisms = pd.DataFrame({"name": index, "n_hairpin": 1}, index=index)
    assert all(species_code(name, organisms) == code for name, code in COMMON_NAMES.items())
