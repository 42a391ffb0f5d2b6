"""Readers of the public formats on hand-written files: values, and errors by line and column."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.sources import fasta, hmdd, mesh, mirbase, mirtarbase, ncdr, rnalocate
from mirnagraph.sources.delimited import read_binary


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def put(content: str | bytes) -> Path:
        path = tmp_path / "file.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return put


Write = Callable[[str | bytes], Path]


def misfits(read: Callable[[Path], object], path: Path, *messages: str) -> list[str]:
    """Expected messages that the error lacks: one line each, the path first."""
    with pytest.raises(InputError) as caught:
        read(path)
    pairs = zip_longest(str(caught.value).split("\n"), messages)
    return [
        f"found {line!r}, expected {message!r}"
        for line, message in pairs
        if line is None or message is None or not line.startswith(str(path)) or message not in line
    ]


FASTA = ">a first one\nACGT\nacgu\n\n>b\r\nNNN\r\n>c x\nU"


def test_fasta_plain_gzip_many_lines_any_line_ends(write: Write) -> None:
    for content in (
        FASTA.encode(),
        FASTA.replace("\n", "\r\n").encode(),
        gzip.compress(FASTA.encode()),
        b"\xef\xbb\xbf" + FASTA.encode(),
    ):
        table = fasta.read_fasta(write(content))
        assert table["id"].tolist() == ["a", "b", "c"]
        assert table["description"].tolist() == ["first one", "", "x"]
        assert table["sequence"].tolist() == ["ACGUACGU", "NNN", "U"]
    assert fasta.read_fasta(write(FASTA))["line"].tolist() == [1, 5, 7]


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (
            ">a\nACG\nACXT\n",
            [
                ", line 3, column 3: invalid nucleotide in the sequence of a; found X, "
                "expected A, C, G, T, U or N"
            ],
        ),
        (">a\nAC GT\n", [", line 2, column 3: invalid nucleotide in the sequence of a"]),
        (
            ">a\nA-CG\n>b\nA\n>b\nA\n",
            [
                ", line 2, column 2: invalid nucleotide",
                ", line 5, column 2: duplicate id; found b, expected an id not seen before "
                "(first on line 3)",
            ],
        ),
        (
            ">a\nA\n>a\nC\n",
            [
                ", line 3, column 2: same id with two sequences; found a, expected an id not "
                "seen before (first on line 1)"
            ],
        ),
        (">a\nAU\n>a again\nat\n", [", line 3, column 2: duplicate id; found a"]),
        (
            ">a\n>b\nA\n",
            [", line 1, column 1: empty sequence of a; expected one or more of ACGTUN"],
        ),
        (">a\nA\n>b\n \n", [", line 3, column 1: empty sequence of b"]),
        (">\nA\n", [", line 1, column 2: a header without an id"]),
        (
            "\nACGT\n>a\nA\n",
            [
                ", line 2, column 1: not a FASTA file; found ACGT, expected a header that "
                "starts with >"
            ],
        ),
        ("\n\n", [": the file is empty"]),
        (b">a\nAC\xe9\n", [", line 2, column 3: not a UTF-8 file; found byte 0xe9"]),
        (gzip.compress(b">a\nACGU\n" * 50, mtime=0)[:-5], [": truncated gzip file"]),
    ],
)
def test_fasta_refuses(write: Write, content: str | bytes, messages: list[str]) -> None:
    assert not misfits(fasta.read_fasta, write(content), *messages)


def test_mirbase_fasta_and_aliases(write: Write) -> None:
    table = mirbase.read_mirbase_fasta(
        write(">hsa-let-7 MI0000060 Homo sapiens let-7 stem-loop\nACGT\n")
    )
    assert table.iloc[0].tolist() == ["hsa-let-7", "MI0000060", "Homo sapiens", "ACGU", 1]
    assert not misfits(
        mirbase.read_mirbase_fasta,
        write(">hsa-let-7 MX60\nA\n"),
        ", line 1, column 12: not a miRBase accession; found MX60",
    )
    aliases = mirbase.read_aliases(
        write(
            "MI0000060\thsa-let-7a-1L;hsa-let-7a-1;\nMI0000061\tmmu-let-7\n"
            "MIMAT0000062\thsa-let-7a\n"
        ),
        "hsa",
    )
    assert aliases.to_numpy().tolist() == [
        ["MI0000060", "hsa-let-7a-1L"],
        ["MI0000060", "hsa-let-7a-1"],
        ["MIMAT0000062", "hsa-let-7a"],
    ]
    assert len(mirbase.read_aliases(write("MI0000061\tmmu-let-7\n"))) == 1
    assert not misfits(
        mirbase.read_aliases,
        write("MI0000060\ta\textra\nMI0000061\nabc\tx\n"),
        ", line 1, column 3: wrong number of cells; found 3, expected 2",
        ", line 2, column 2: wrong number of cells; found 1, expected 2",
        ", line 3, column 1: not a miRBase accession; found abc",
    )


def test_mirbase_families(write: Write) -> None:
    table = mirbase.read_families(
        write(
            "AC   MIPF0000001\nID   mir-17\nMI   MI0000071  hsa-mir-17\nMI   MI0000406  "
            "mmu-mir-106a\n//\n"
            "AC   MIPF0000002\nID   let-7\nMI   MI1  hsa-let-7\n//\n"
        )
    )
    assert table["family_id"].tolist() == ["mir-17", "mir-17", "let-7"]
    assert table["species"].tolist() == ["hsa", "mmu", "hsa"]
    assert not misfits(
        mirbase.read_families,
        write("AC   MIPF0000001\nMI   MI0000071  hsa-mir-17\n"),
        ", line 2, column 1: not a line of miFam.dat",
    )
    assert not misfits(
        mirbase.read_families,
        write("AC   M1\nID   x\n//\nMI   MI1  hsa\n"),
        ", line 4, column 1: not a line of miFam.dat",
    )


def test_mirbase_joined_and_retired(write: Write) -> None:
    header = "\t".join(mirbase.JOINED_COLUMNS)
    assert mirbase.read_joined(write(f"{header}\nMI1\th\tF\tf\tM\tm\texperimental\tACGU\n"))[
        "mature_seq"
    ].tolist() == ["ACGU"]
    assert not misfits(
        mirbase.read_joined,
        write(f"{header}\nMI1\th\tF\tf\tM\tm\te\tACGX\n"),
        ", line 2, column 'mature_seq': invalid nucleotide in the sequence of m at position 4; "
        "found X",
    )
    assert not misfits(
        mirbase.read_joined,
        write("a\tb\n"),
        ", line 1, column 'hairpin_acc': missing column; found a, b",
    )
    header = "\t".join(mirbase.RETIRED_COLUMNS)
    table = mirbase.read_retired(write(f"{header}\nMI1\t9.0\ta;b\tACGU\tm:M:AC\n"))
    assert table.iloc[0].tolist() == ["MI1", "9.0", "a;b", "ACGU", "m:M:AC"]
    assert not misfits(
        mirbase.read_retired,
        write(f"{header}\nMI1\t9.0\ta\t\t\n"),
        ", line 2, column 'sequence': empty sequence of MI1",
    )


EMBL = """ID   cel-let-7         standard; RNA; CEL; 12 BP.
XX
AC   MI0000001;
XX
FH   Key             Location/Qualifiers
FT   miRNA           2..5
FT                   /accession="MIMAT0000001"
FT                   /product="cel-let-7-5p"
FT                   /evidence=experimental
FT   miRNA           7..10
FT                   /accession="MIMAT0015091"
FT                   /product="cel-let-7-3p"
FT                   /evidence=not_experimental
XX
SQ   Sequence 12 BP; 3 A; 3 C; 3 G; 0 T; 3 other;
     acgtacguac gu                                                            12
//
ID   hsa-mir-1         standard; RNA; HSA; 4 BP.
AC   MI0000002;
SQ   Sequence 4 BP;
     gggg                                                                      4
//
"""


def test_mirbase_embl(write: Write) -> None:
    hairpins, matures = mirbase.read_embl(write(EMBL))
    assert hairpins.to_numpy().tolist() == [
        ["MI0000001", "cel-let-7", "ACGUACGUACGU"],
        ["MI0000002", "hsa-mir-1", "GGGG"],
    ]
    assert matures["mature_seq"].tolist() == ["CGUA", "GUAC"]
    assert matures["mature_evidence"].tolist() == ["experimental", "not experimental"]
    assert matures["mature_acc"].tolist() == ["MIMAT0000001", "MIMAT0015091"]
    only, none = mirbase.read_embl(write(EMBL), "hsa")
    assert only["hairpin_id"].tolist() == ["hsa-mir-1"]
    assert len(none) == 0
    assert not misfits(
        mirbase.read_embl,
        write(EMBL.replace("7..10", "7..13")),
        ", line 1: a mature outside its hairpin cel-let-7; found 7..13, expected within 1..12",
    )
    assert not misfits(
        mirbase.read_embl,
        write(EMBL.replace("7..10", "<7..10")),
        ", line 1: a mature outside its hairpin cel-let-7; found <7..10, expected within 1..12",
    )
    assert not misfits(
        mirbase.read_embl,
        write(EMBL.replace('/accession="MIMAT0000001"', "/note")),
        ", line 1: a mature of cel-let-7 without its accession",
    )
    assert not misfits(
        mirbase.read_embl,
        write(EMBL.replace("AC   MI0000002;\n", "")),
        ", line 18: not a record of miRNA.dat",
    )
    assert not misfits(
        mirbase.read_embl,
        write(EMBL.replace("gggg", "ggxg")),
        ", line 18, column 'SQ': invalid nucleotide",
    )


def test_mesh_text_and_table_say_the_same(write: Write) -> None:
    text = mesh.read_mesh(
        write("Body Regions;A01\nInfections;C01\nFlu; Bird;C01.252\nMood;F03.100\n")
    )
    table = mesh.read_mesh(
        write(
            "tree_number\tdescriptor_ui\tterm\nA01\tD0\tBody Regions\nC01\tD1\tInfections\n"
            "C01.252\tD2\tFlu; Bird\nF03.100\tD3\tMood\n"
        )
    )
    assert (
        text["tree_number"].tolist()
        == table["tree_number"].tolist()
        == ["C01", "C01.252", "F03.100"]
    )
    assert text["term"].tolist() == table["term"].tolist() == text["descriptor_id"].tolist()
    assert table["descriptor_id"].tolist() == ["D1", "D2", "D3"]
    assert mesh.read_mesh(write("Body Regions;A01\n"), branches=["A"])["term"].tolist() == [
        "Body Regions"
    ]
    assert not misfits(
        mesh.read_mesh,
        write("Infections;C01\nFlu C01.252\n"),
        ", line 2, column 1: not a line of a MeSH tree file; found Flu C01.252",
    )
    assert not misfits(
        mesh.read_mesh,
        write("Infections;C01\n\nFlu;C01.25\n"),
        ", line 3, column 'tree_number': not a tree number; found C01.25",
    )
    assert not misfits(
        mesh.read_mesh,
        write("Infections;C01\nFlu;C01\n"),
        ", line 2, column 'tree_number': a duplicate tree number; found C01",
    )
    assert not misfits(
        mesh.read_mesh,
        write("Body;A01\n"),
        ": no tree number of the given branches; found 1 others, expected C, F03",
    )
    assert not misfits(
        mesh.read_mesh,
        write("tree_number\tterm\nC01\tx\n"),
        ", line 1, column 'descriptor_ui': missing column",
    )


@pytest.mark.parametrize(
    ("name", "ids", "how"),
    [
        ("Breast Neoplasms", "D1", "exact"),
        ("breast neoplasms ", "D1", "case"),
        ("Hodgkin's Sarcoma", "D6", "case"),
        ("Systemic Lupus", "D2", "inverted"),
        ("Lung Small Carcinoma", "D3", "words"),
        ("Breast Neoplasm", "D1", "words"),
        ("Breast Cancer", "D1", "site"),
        ("Gastric Tumor", "D4", "site"),
        ("Arrhythmia", "D5", "entry_term"),
        ("Breast Neoplasms [unspecific]", "D1", "exact"),
        ("Twin Disease", "D7", "inverted"),
        ("Diseases Twin", "", ""),
        ("Nothing", "", ""),
    ],
)
def test_disease_names_find_their_descriptors(name: str, ids: str, how: str) -> None:
    terms = {
        "Breast Neoplasms": "D1",
        "Lupus, Systemic": "D2",
        "Small Lung Carcinoma": "D3",
        "Stomach Neoplasms": "D4",
        "Arrhythmias, Cardiac": "D5",
        "Hodgkin Sarcoma": "D6",
        "Disease, Twin": "D7",
        "Disease Twins": "D8",
    }
    ontology = pd.DataFrame(
        [(f"C{i:02d}", d, t) for i, (t, d) in enumerate(terms.items())],
        columns=mesh.ONTOLOGY_COLUMNS,
    )
    assert mesh.match_terms([name], ontology).loc[name].tolist() == [ids, how]


@pytest.mark.parametrize("apostrophe", "'\u2019\u2018\u02bc\u00b4`")
def test_typographic_apostrophes_are_apostrophes(apostrophe: str) -> None:
    ontology = pd.DataFrame(
        [("C01", "D1", "Crohn Disease"), ("C02", "D2", "Raynaud's Phenomenon")],
        columns=mesh.ONTOLOGY_COLUMNS,
    )
    names = [f"Crohn{apostrophe}s Disease", f"Raynaud{apostrophe}s Phenomenon"]
    matched = mesh.match_terms(names, ontology)
    assert matched["descriptor_ids"].tolist() == ["D1", "D2"]
    assert matched["how"].tolist() == ["case", "exact"]


def test_a_name_of_two_descriptors_is_not_matched() -> None:
    ontology = pd.DataFrame(
        [("C01", "D1", "Heart Valve Diseases"), ("C02", "D2", "Valve Heart Disease")],
        columns=mesh.ONTOLOGY_COLUMNS,
    )
    assert mesh.match_terms(["Diseases of"], ontology)["how"].tolist() == [""]
    assert mesh.match_terms(["Disease Heart Valves"], ontology)["descriptor_ids"].tolist() == [""]


def test_hmdd_download_and_tables(write: Write) -> None:
    native = (
        "category\tmir\tdisease\tpmid\tdescription\ncirculation_biomarker\thsa-mir-1\tFlu "
        "\t11\tna\xefve\ntarget gene\thsa-mir-2\tFlu\t12\tx\n"
    )
    for content in (native.encode("latin-1"), native.encode("utf-8")):
        table = hmdd.read_records(write(content))
        assert table["record"].tolist() == [0, 1]
        assert table["disease"].tolist() == ["Flu", "Flu"]
        assert table["group"].tolist() == ["circulation", "target"]
        assert table["pmid"].tolist() == ["11", "12"]
    plain = hmdd.read_records(
        write("record0\tmir\tdisease\n7\thsa-mir-1\tFlu\n9\thsa-mir-2\tFlu\n")
    )
    assert plain["record"].tolist() == [7, 9]
    assert plain["group"].tolist() == ["", ""]
    assert [
        hmdd.evidence_group(c)
        for c in (
            "genetics_GWAS",
            "epigenetics",
            "tissue_expression_up",
            "tissue expression",
            "therapeutic target",
            "",
        )
    ] == [
        "genetics",
        "epigenetics",
        "tissue_expression",
        "tissue_expression",
        "other",
        "",
    ]
    assert hmdd.read_typed(write("mir\tdisease\ttype\na\tb\tgenetics\n")).iloc[0].tolist() == [
        "a",
        "b",
        "genetics",
    ]
    assert not misfits(
        hmdd.read_records,
        write("mir\tdisease\na\t\n\tb\n"),
        ", line 3, column 'mir': empty cell",
        ", line 2, column 'disease': empty cell",
    )
    assert not misfits(
        hmdd.read_records,
        write("mir\tillness\na\tb\n"),
        ", line 1, column 'disease': missing column; found mir, illness",
    )
    assert not misfits(
        hmdd.read_records,
        write("record0\tmir\tdisease\nx\ta\tb\n"),
        ", line 2, column 'record0': not a record number; found x",
    )


TARGETS = (
    "miRTarBase ID\tmiRNA\tSpecies (miRNA)\tTarget Gene\tTarget Gene (Entrez ID)\tSpecies "
    "(Target Gene)\tExperiments\tSupport Type\tReferences (PMID)\n"
    "MIRT1\thsa-miR-1-3p\thsa\tABC\t1\tHomo sapiens\tLuciferase reporter assay//Western "
    "blot\tFunctional MTI\t11\n"
    "MIRT2\thsa-miR-2\thsa\tDEF\t2\thsa\tqRT-PCR\tFunctional MTI (Weak)\t12\n"
)


def test_mirtarbase_tsv_csv_and_renamed_columns(write: Write) -> None:
    table = mirtarbase.read_mirtarbase(write(TARGETS))
    assert table["n_strong"].tolist() == [2, 0]
    assert set(table["mirna_species"]) == {"Homo sapiens"} == set(table["gene_species"])
    csv = (
        TARGETS.replace("Luciferase reporter assay//", '"Luciferase reporter assay, dual//')
        .replace("Western blot", 'Western blot"')
        .replace("\t", ",")
    )
    again = mirtarbase.read_mirtarbase(write(csv.replace("Entrez ID", "Entrez Gene ID")))
    assert again["experiments"].iloc[0] == "Luciferase reporter assay, dual//Western blot"
    pd.testing.assert_frame_equal(
        again.drop(columns="experiments"), table.drop(columns="experiments")
    )
    assert not misfits(
        mirtarbase.read_mirtarbase,
        write(TARGETS.replace("\tABC", "\t")),
        ", line 2, column 'Target Gene': empty cell",
    )
    assert not misfits(
        mirtarbase.read_mirtarbase,
        write(TARGETS.replace("\tABC", "\t1-Mar").replace("DEF", "Sep-02")),
        ", line 2, column 'Target Gene': a name that a spreadsheet turned into a date; found 1-Mar",
        ", line 3, column 'Target Gene': a name that a spreadsheet turned into a date; found Sep-",
    )
    assert not misfits(
        mirtarbase.read_mirtarbase,
        write(TARGETS.replace("Support Type", "Kind")),
        ", line 1, column 'Support Type': missing column",
    )
    assert not misfits(
        mirtarbase.read_mirtarbase,
        write(TARGETS.replace("\t12\n", "\n")),
        ", line 3, column 9: wrong number of cells; found 8, expected 9",
    )


def test_ncdr(write: Write) -> None:
    table = ncdr.read_ncdr(
        write("PMID\tmiRNA_ID\tDrug\tDrug_effect\n1\thsa-mir-1\t Cisplatin \tResistant\n2\t\tX\t\n")
    )
    assert table["drug"].tolist() == ["Cisplatin", "X"]
    assert table["mirna"].tolist() == ["hsa-mir-1", ""]
    assert table["disease"].tolist() == ["", ""]
    assert not misfits(
        ncdr.read_ncdr,
        write("miRNA_ID\tDrug\tDrug_effect\na\tX\tresists\nb\t\tSensitive\n"),
        ", line 3, column 'Drug': empty cell",
        ", line 2, column 'Drug_effect': unknown effect; found resists, expected Resistant, "
        "Sensitive, Associated",
    )
    assert ncdr.read_pairs(write('circ1,"Drug, a"\nb, c\n')).to_numpy().tolist() == [
        ["circ1", "Drug, a"],
        ["b", "c"],
    ]
    assert not misfits(
        ncdr.read_pairs,
        write("a,b\nc\n,d\n"),
        ", line 2, column 2: not a pair; found c",
        ", line 3, column 3: not a pair; found ,d",
    )


def test_rnalocate_and_labels(write: Write) -> None:
    table = rnalocate.read_rnalocate(
        write(
            "RNALocate ID\tRNA Symbol\tSpecies\tSubcellular Localization\tPubMed_ID\n"
            "R1\tm1\tHomo sapiens\tNucleus\t5\nR2\tm2\tHomo sapiens\tcytoplasm\t6\n"
        )
    )
    assert table["pmid"].tolist() == ["5", "6"]
    assert rnalocate.read_rnalocate(write("location\tmirna\nNucleus\tx\n")).iloc[0].tolist() == [
        "x",
        "",
        "",
        "Nucleus",
        "",
        "",
    ]
    records = pd.concat(
        [table, table.assign(rna=["m9", "m1"], compartment=["Nucleus", "Ribosome"])],
        ignore_index=True,
    )
    labels, unused = rnalocate.labels(
        records, {"m1": ["a", "b"], "m2": ["b"]}, ["b", "a", "c"], ["Cytoplasm", "Nucleus"]
    )
    assert labels.to_numpy().tolist() == [[1, 1], [0, 1], [0, 0]]
    assert labels.to_numpy().dtype == np.int8
    assert unused["reason"].tolist() == [
        "RNA is not in the dataset",
        "compartment is not in the dataset",
    ]
    assert not misfits(
        rnalocate.read_rnalocate,
        write("location\tmirna\n\tx\n"),
        ", line 2, column 'Subcellular Localization': empty cell",
    )
    assert not misfits(
        rnalocate.read_rnalocate,
        write("place\tmirna\nx\ty\n"),
        ", line 1, column 'Subcellular Localization': missing column",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "1,0,1\n0,1\n",
            ", line 2, column 3: the matrix does not fit its names; found 2 cells, expected 3 "
            "(genes)",
        ),
        (
            "1,0,1,1\n0,1,0,0\n",
            ", line 1, column 4: the matrix does not fit its names; found 4 cells, expected 3 "
            "(genes)",
        ),
        ("1,0,1\n", ", line 2: the matrix does not fit its names; found 1 lines, expected 2 (ids)"),
        (
            "1,0,1\n0,0,0\n1,1,1\n",
            ", line 3: the matrix does not fit its names; found 3 lines, expected 2 (ids)",
        ),
        (
            "1,0,1\n0,2,0\n",
            ", line 2, column 2: not a cell of a 0/1 matrix; found 2, expected 0 or 1",
        ),
        ("1,0,1\n0,0.5,0\n", ", line 2, column 2: not a cell of a 0/1 matrix; found 0.5"),
        ("1;0;1\n0;0;0\n", ", line 1, column 1: not a cell of a 0/1 matrix"),
        ("1,0,é\n0,0,0\n", ", line 1, column 3: not a cell of a 0/1 matrix; found é"),
    ],
)
def test_matrix_that_does_not_fit(write: Write, content: str, message: str) -> None:
    assert not misfits(
        lambda path: read_binary(path, 2, 3, columns_are="genes"), write(content), message
    )


def test_matrix(write: Write) -> None:
    cells = read_binary(write("1\t0\t1\r\n0\t0\t1\r\n"), 2, 3, delimiter="\t")
    assert cells.tolist() == [[1, 0, 1], [0, 0, 1]]
    assert cells.dtype == np.int8
