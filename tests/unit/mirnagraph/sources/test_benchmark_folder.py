"""Loader of the benchmark on a synthetic folder of the same layout: joins and damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mirnagraph.errors import InputError
from mirnagraph.sources import mirna1041

TARGET_HEADER = (
    "miRTarBase ID\tmiRNA\tSpecies (miRNA)\tTarget Gene\tTarget Gene (Entrez "
    "ID)\tSpecies (Target Gene)\tExperiments\tSupport Type\tReferences (PMID)"
)
FILES = {
    "mirna1041/miRNA_ID_1041.txt": "hsa-mir-1\nhsa-mir-2\nhsa-mir-9\n",
    "mirna1041/miRNA_localization.csv": "1,0,0,0,0,0,1\n0,0,0,0,0,0,0\n0,1,0,0,0,0,0\n",
    "mirna1041/miRNA_disease.csv": "1,0\n1,1\n0,0\n",
    "mirna1041/disease_names_640.tsv": "col0\tanchor_hmdd_disease\tother_merged_hmdd_names\n"
    "0\tFlu\tFlu, Bird|Flu, Swine\n1\tCold\t\n",
    "mirna1041/miRNA_drug.csv": "1\n0\n0\n",
    "mirna1041/drug_names_130.tsv": "col0\tdrug\n0\tX\n",
    "mirna1041/miRNA_mRNA_matrix.txt.gz": "1\t1\n0\t1\n0\t0\n",
    "mirna1041/mRNA_names_2836.tsv": "col0\tgene_symbol\tentrez_id\n0\tA\t10\n1\tB\t20\n",
    "mirna1041/mRNA_localization.txt": "1\t0\t0\t1\n0\t1\t0\t0\n",
    "mirbase/miFam_v21.dat": "AC   F1\nID   mir-1\nMI   MI0000001  hsa-mir-1\nMI   MI0000009  "
    "mmu-mir-1\n//\n",
    "mirbase/hsa_hairpin_v22.1.fa": ">hsa-mir-1 MI0000001 Homo sapiens\nACGT\n>hsa-mir-2 "
    "MI0000002 Homo sapiens\nCCCC\n",
    "mirbase/hsa_hairpin_mature_family_v22.1.tsv": "hairpin_acc\thairpin_id\tfamily_acc\t"
    "family_id\tmature_acc\tmature_id\tmature_evidence\tmature_seq\n"
    "MI0000001\thsa-mir-1\tF1\tmir-1\tMIMAT0000001\thsa-miR-1-3p\texperimental\tACG\n",
    "mirbase/hsa_aliases_v22.1.tsv": "MI0000001\thsa-mir-1\n",
    "mesh/mesh2017_tree_C_F03.tsv": "tree_number\tdescriptor_ui\tterm\nC01\tD1\tFlu\n",
    "hmdd/hmdd_v3.2_mir_disease_records.tsv": "record0\tmir\tdisease\n0\thsa-mir-1\tFlu\n"
    "1\thsa-mir-2\tCold\n2\thsa-mir-2\tFlu, Bird \n3\thsa-mir-4\tFlu\n",
    "hmdd/hmdd_v3.2_typed_TDRC_processed.tsv": "mir\tdisease\ttype\nhsa-mir-2\tFlu, "
    "Bird\tgenetics\n",
    "mirtarbase/mirtarbase_8.0_SE_WR_human.tsv": f"{TARGET_HEADER}\n"
    f"T1\thsa-miR-1-3p\thsa\tA\t10\thsa\tWestern blot\tFunctional MTI\t7\n",
    "ncdr/ncdr_curated_miRNA.tsv": "PMID\tmiRNA_ID\tDrug\tDrug_effect\n"
    "5\thsa-mir-1\tX\tResistant\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def test_everything_is_joined(folder: Path) -> None:
    dataset = mirna1041.load(folder)
    assert dataset.compartments == list(mirna1041.BENCHMARK_COMPARTMENTS)
    assert dataset.located.tolist() == [True, False, True]
    assert dataset.rnas["match_kind"].tolist() == ["exact_hairpin", "exact_hairpin", "unknown"]
    assert dataset.rnas.loc[
        "hsa-mir-1", ["sequence", "matures", "family_members", "family_species", "n_experimental"]
    ].tolist() == ["ACGU", "ACG", 2, 2, 1]
    assert dataset.association_matrix("disease").toarray().tolist() == [[1, 0], [1, 1], [0, 0]]
    flu = (
        dataset.associations["disease"]
        .set_index(["rna_id", "partner_id"])
        .loc[("hsa-mir-2", "Flu")]
    )
    assert flu[["n_records", "first_record", "n_genetics"]].tolist() == [1, 2, 1]
    assert dataset.partners["disease"]["descriptor_ids"].tolist() == ["D1", ""]
    assert dataset.partners["disease"]["merged_names"].tolist() == ["Flu, Bird;Flu, Swine", ""]
    assert dataset.partners["mRNA"].loc["B"].to_dict() == {
        "entrez_id": "20",
        "loc_1": 0,
        "loc_2": 1,
        "loc_3": 0,
        "loc_4": 0,
        "n": 2,
    }
    assert dataset.associations["mRNA"]["pmids"].tolist() == ["7", "", ""]
    left = set(dataset.left_out[["item", "id"]].itertuples(index=False, name=None))
    assert left == {
        ("sequence", "hsa-mir-9"),
        ("disease term", "Cold"),
        ("disease records", "hsa-mir-4"),
    }


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "mirna1041/miRNA_disease.csv",
            lambda t: t.replace("0,0\n", ""),
            r"miRNA_disease.csv, line 3: the matrix does not fit its names; found 2 lines, "
            r"expected 3 \(ids\)",
        ),
        (
            "mirna1041/miRNA_localization.csv",
            lambda t: t.replace(",1\n", "\n"),
            r"miRNA_localization.csv, line 1, column 7: .*found 6 cells, expected 7 "
            r"\(compartments\)",
        ),
        (
            "mirna1041/mRNA_localization.txt",
            lambda t: t + "0\t0\t0\t0\n",
            r"mRNA_localization.txt, line 3: .*found 3 lines, expected 2 \(mRNAs\)",
        ),
        (
            "mirna1041/miRNA_ID_1041.txt",
            lambda t: t.replace("hsa-mir-2", "hsa-mir-1"),
            r"a duplicate RNA id; found hsa-mir-1",
        ),
        (
            "mirna1041/mRNA_names_2836.tsv",
            lambda t: t.replace("B\t20", "A\t20"),
            r"is duplicated; found A|duplicate",
        ),
        (
            "mirna1041/disease_names_640.tsv",
            lambda t: t.replace("Cold\t", "Cold\tFlu, Bird"),
            r"disease_names_640.tsv, line 3.*a disease is part of two columns; found Flu, Bird",
        ),
        (
            "mirna1041/disease_names_640.tsv",
            lambda t: t.replace("anchor_hmdd_disease", "name"),
            r"line 1, column 'anchor_hmdd_disease': missing column",
        ),
        (
            "mirbase/hsa_hairpin_v22.1.fa",
            lambda t: t.replace("CCCC", "CC-C"),
            r"hsa_hairpin_v22.1.fa, line 4, column 3: invalid nucleotide",
        ),
        (
            "mirbase/hsa_hairpin_v22.1.fa",
            lambda t: t.replace(">hsa-mir-1 ", ">hsa-mir-7 "),
            r"a hairpin without a sequence; found hsa-mir-1",
        ),
    ],
)
def test_damage_is_named(
    folder: Path, file: str, change: Callable[[str], str], message: str
) -> None:
    before = (folder / file).read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    (folder / file).write_text(after, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        mirna1041.load(folder)


def test_missing_files_are_all_named(folder: Path) -> None:
    (folder / "mesh/mesh2017_tree_C_F03.tsv").unlink()
    (folder / "ncdr/ncdr_curated_miRNA.tsv").unlink()
    with pytest.raises(
        InputError, match=r"found no mesh/mesh2017_tree_C_F03.tsv, ncdr/ncdr_curated_miRNA.tsv"
    ):
        mirna1041.load(folder)
