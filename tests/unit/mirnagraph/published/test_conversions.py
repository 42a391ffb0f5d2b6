"""Conversions of published files, by hand."""

from __future__ import annotations

import pytest

from mirnagraph.published import conversions as published

EMBL = """ID   cel-let-7         standard; RNA; CEL; 5 BP.
AC   MI0000001;
DE   Caenorhabditis elegans let-7 stem-loop
FT   miRNA           1..2
FT                   /accession="MIMAT0000001"
FT                   /product="cel-let-7-5p"
SQ   Sequence 5 BP;
     uacac                                                                     5
//
ID   hsa-mir-9         standard; RNA; HSA; 12 BP.
AC   MI0000009;
DE   Homo sapiens miR-9 stem-loop
FT   miRNA           2..4
FT                   /accession="MIMAT0000009"
FT                   /product="hsa-miR-9-5p"
FT                   /evidence=not_experimental
FT   miRNA           10..12
FT                   /accession="MIMAT0000010"
FT                   /product="hsa-miR-9-3p"
FT                   /evidence=experimental
FT                   /experiment="cloned [1]"
SQ   Sequence 12 BP; 4 A; 4 C; 4 G; 0 T; 0 other;
     acgtacguac gu                                                            12
//
"""

FAMILIES = "AC   MIPF0000033\nID   mir-9\nMI   MI0000009  hsa-mir-9\n//\n"


def test_human_entries_of_mirna_dat() -> None:
    expected = ">hsa-mir-9 MI0000009 Homo sapiens miR-9 stem-loop\nACGUACGUACGU\n"
    assert published.mirbase_hairpins(EMBL) == expected
    rows = [line.split("\t") for line in published.mirbase_joined(EMBL, FAMILIES).splitlines()]
    hairpin = ["MI0000009", "hsa-mir-9", "MIPF0000033", "mir-9", "12"]
    assert rows == [
        list(published.JOINED_COLUMNS),
        [*hairpin, "MIMAT0000009", "hsa-miR-9-5p", "2", "4", "not_experimental", "CGU"],
        [*hairpin, "MIMAT0000010", "hsa-miR-9-3p", "10", "12", "experimental", "CGU"],
    ]
    with pytest.raises(ValueError, match="not a record"):
        published.mirbase_hairpins("ID   hsa-mir-1 x\n//\n")


def test_tables_with_commas_in_quotes() -> None:
    ncdr = 'PMID,Drug,SMILES,Disease\n1,"5,6-X",C1=C,"Cancer, Lung"\n2,Y,,\n'
    expected = "PMID\tDrug\tDisease\n1\t5,6-X\tCancer, Lung\n2\tY\t\n"
    assert published.ncdr_table(ncdr) == expected
    targets = (
        "ID,Species (miRNA),Gene,Species (Target Gene)\n1,Homo sapiens,A,Homo sapiens\n"
        "2,Mus musculus,A,Homo sapiens\n3,Homo sapiens,A,Mus musculus\n4,Homo sapiens,A\n"
        '5,Homo sapiens,"A, B",Homo sapiens\n'
    )
    kept = published.mirtarbase_human(targets).splitlines()
    assert kept[1:] == ["1\tHomo sapiens\tA\tHomo sapiens", "5\tHomo sapiens\tA, B\tHomo sapiens"]


def test_columns_of_diseases_are_named_by_their_mirnas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flu and Cold have the same miRNA: the order tells them apart. Gout was merged with Ache."""
    monkeypatch.setattr(published, "MERGED", {"Gout": "Ache|Absent"})
    records = "a;Flu\nb;Gout\nc;Ache\na; Cold \nz;Flu\na;Fever\n"
    matrix = "1,0,1\n0,1,0\n0,1,0\n"
    assert published.disease_names(matrix, "a\nb\nc\n", records) == (
        "anchor_hmdd_disease\tother_merged_hmdd_names\nFlu\t\nGout\tAche|Absent\nCold\t\n"
    )
    with pytest.raises(ValueError, match="no disease"):
        published.disease_names("0\n0\n1\n", "a\nb\nc\n", "a;Flu\n")


def test_cell_lines_are_joined_by_gene() -> None:
    header = (
        "Exosome,Nucleus,Cytosol,Membrane,Cytoplasm,Gene_ID,Refseq_ID,Species,Sequence,Gene_Name"
    )
    first = f"{header}\n1,0,0,0,1,NCBI:2,NR_2.1,Homo sapiens,ACG,B\n"
    second = f"{first}0,1,0,0,0,NCBI:10,NR_10.1,Homo sapiens,TTT,A\n"
    assert published.cldp_fasta(first, second) == ">NR_10.1 NCBI:10\nTTT\n>NR_2.1 NCBI:2\nACG\n"
    rows = [line.split("\t") for line in published.cldp_labels(first, second).splitlines()]
    assert rows[1:] == [
        ["NR_10.1", "NCBI:10", "A", "Homo sapiens", "0", "1", "0", "0", "0"],
        ["NR_2.1", "NCBI:2", "B", "Homo sapiens", "1", "0", "0", "0", "1"],
    ]
