"""Reader of the CircLoc benchmark on a synthetic folder of the same layout."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mirnagraph import catalog
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.sources import circloc, load_dataset

LABELS = (
    "row0\tcircRNA\tChromatin\tNucleoplasm\tNucleolus\tMembrane\tNucleus\tCytosol\tCytoplasm\t"
    "published_repeat73_fold\n"
    "0\thsa_circ_1\t1\t0\t0\t0\t1\t0\t0\t2\n"
    "1\thsa_circ_2\t0\t0\t0\t0\t0\t0\t1\t-1\n"
    "2\thsa_circ_3\t0\t1\t0\t0\t0\t0\t1\t1\n"
)
FASTA = ">hsa_circ_1\nACGTACGTAA\n>hsa_circ_2\nccgnta\n>hsa_circ_3\nGGGTTT\n"
FILES = {
    "localization_1486.tsv": LABELS,
    "circRNA_disease_columns.tsv": "col0\tdisease\tn_circRNA\n0\tFlu\t2\n1\tCold\t0\n",
    "circRNA_disease_edges.tsv": "row0\tcircRNA\tcol0\tdisease\n"
    "0\thsa_circ_1\t0\tFlu\n2\thsa_circ_3\t0\tFlu\n",
    "circRNA_miRNA_columns.tsv": "col0\tmiRNA\tn_circRNA\n0\thsa-miR-1\t1\n",
    "circRNA_miRNA_edges.tsv": "row0\tcircRNA\tcol0\tmiRNA\n1\thsa_circ_2\t0\thsa-miR-1\n",
    "circRNA_drug_columns.tsv": "col0\tdrug\tn_circRNA\n0\t7\t1\n1\t9\t1\n",
    "circRNA_drug_edges.tsv": "row0\tcircRNA\tcol0\tdrug\n"
    "0\thsa_circ_1\t1\t9\n1\thsa_circ_2\t0\t7\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "circloc").mkdir()
    for name, content in FILES.items():
        (tmp_path / "circloc" / name).write_text(content, encoding="utf-8")
    _write_fasta(tmp_path, FASTA)
    return tmp_path


def _write_fasta(folder: Path, text: str) -> None:
    with gzip.open(folder / "circloc" / "sequences_1486.fa.gz", "wt") as stream:
        stream.write(text)


def _replace(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / "circloc" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_rows_labels_sequences_and_networks(folder: Path) -> None:
    dataset = circloc.load(folder)
    assert dataset.name == "circloc"
    assert dataset.compartments == list(circloc.COMPARTMENTS)
    assert dataset.labels.to_numpy().tolist() == [
        [1, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 0, 1],
    ]
    assert dataset.rnas["sequence"].tolist() == ["ACGUACGUAA", "CCGNUA", "GGGUUU"]
    assert dataset.rnas["type"].tolist() == ["circRNA"] * 3
    assert dataset.rnas["published_fold"].tolist() == ["2", "-1", "1"]
    assert list(dataset.associations) == ["disease", "targeting_miRNA", "drug"]
    assert dataset.association_matrix("disease").toarray().tolist() == [[1, 0], [0, 0], [1, 0]]
    assert dataset.association_matrix("targeting_miRNA").toarray().tolist() == [[0], [1], [0]]
    assert dataset.association_matrix("drug").toarray().tolist() == [[0, 1], [1, 0], [0, 0]]
    assert dataset.partners["disease"]["n"].tolist() == [2, 0]
    assert dataset.left_out.empty


def test_a_saved_dataset_reads_back_with_its_folds_as_text(folder: Path, tmp_path: Path) -> None:
    saved = circloc.load(folder).save(tmp_path / "saved")
    loaded = Dataset.load(saved)
    assert loaded.rnas["published_fold"].tolist() == ["2", "-1", "1"]
    assert loaded.partners["drug"].index.tolist() == ["7", "9"]


def test_diseases_are_matched_where_mesh_is_there(folder: Path) -> None:
    (folder / "mesh").mkdir()
    tree = "tree_number\tdescriptor_ui\tterm\nC01\tD1\tFlu\n"
    (folder / "mesh" / "mesh2017_tree_C_F03.tsv").write_text(tree, encoding="utf-8")
    dataset = circloc.load(folder)
    assert dataset.partners["disease"]["descriptor_ids"].tolist() == ["D1", ""]
    assert dataset.left_out[["item", "id"]].to_numpy().tolist() == [["disease term", "Cold"]]


def test_a_sequence_of_a_full_cell_is_reported_as_cut(folder: Path) -> None:
    _write_fasta(folder, FASTA.replace("GGGTTT", "G" * 32_767))
    left_out = circloc.load(folder).left_out
    assert left_out[["item", "id"]].to_numpy().tolist() == [["end of a sequence", "hsa_circ_3"]]


@pytest.mark.parametrize(
    ("name", "old", "new", "parts"),
    [
        (
            "localization_1486.tsv",
            "1\t0\t0\t0\t1",
            "1\t0\t0\tx\t1",
            ["line 2", "Membrane", "found x"],
        ),
        ("localization_1486.tsv", "hsa_circ_2", "hsa_circ_1", ["line 3", "duplicate id"]),
        ("localization_1486.tsv", "1\thsa_circ_2", "2\thsa_circ_2", ["line 3", "row0"]),
        (
            "localization_1486.tsv",
            "\t-1\n",
            "\t0\n",
            ["line 3", "published_repeat73_fold", "found 0"],
        ),
        ("localization_1486.tsv", "Nucleus\t", "Nukleus\t", ["missing column", "Nucleus"]),
        ("circRNA_drug_columns.tsv", "9\t1", "7\t1", ["line 3", "duplicated"]),
        ("circRNA_drug_columns.tsv", "9\t1", "9\tone", ["line 3", "n_circRNA", "found one"]),
        ("circRNA_drug_columns.tsv", "1\t9", "3\t9", ["line 3", "col0", "found 3"]),
        ("circRNA_drug_edges.tsv", "1\t9", "0\t9", ["line 2", "col0", "found 0"]),
        ("circRNA_drug_edges.tsv", "1\thsa_circ_2\t0\t7", "1\thsa_circ_5\t0\t7", ["hsa_circ_5"]),
        ("circRNA_drug_edges.tsv", "1\thsa_circ_2\t0\t7\n", "", ["0 of 7", "circRNA_drug_columns"]),
        (
            "circRNA_drug_edges.tsv",
            "1\thsa_circ_2\t0\t7",
            "0\thsa_circ_1\t1\t9",
            ["line 3", "duplicate association", "hsa_circ_1 - 9"],
        ),
    ],
)
def test_a_wrong_file_is_one_sentence(
    folder: Path, name: str, old: str, new: str, parts: list[str]
) -> None:
    _replace(folder, name, old, new)
    with pytest.raises(InputError) as caught:
        circloc.load(folder)
    assert name in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_sequences_in_another_order_or_number(folder: Path) -> None:
    _write_fasta(folder, ">hsa_circ_1\nACGT\n>hsa_circ_3\nACGT\n>hsa_circ_2\nACGT\n")
    with pytest.raises(InputError, match=r"another order.*line 3|line 3.*another order") as caught:
        circloc.load(folder)
    assert "hsa_circ_2" in str(caught.value)
    _write_fasta(folder, ">hsa_circ_1\nACGT\n")
    with pytest.raises(InputError, match="1 sequences"):
        circloc.load(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "circloc" / "circRNA_drug_edges.tsv").unlink()
    with pytest.raises(InputError, match=r"circloc/circRNA_drug_edges\.tsv"):
        circloc.load(folder)


def test_by_name_from_the_data_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNAGRAPH_DATA", str(folder))
    assert load_dataset("circloc").name == "circloc"


def test_it_cannot_be_fetched_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIRNAGRAPH_DATA", str(tmp_path))
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match="spreadsheets") as caught:
        load_dataset("circloc")
    assert "get it with" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be fetched"):
        catalog.fetch("circloc", cache=tmp_path)
