"""One schema: every cell of a dataset folder and of a label table is checked where it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.trainable import UntrainableWarning, require_trainable
from mirnagraph.folder.columns import RNA_COLUMNS
from mirnagraph.networks.build import build_networks
from mirnagraph.reading.schema import COUNT, ID, NUMBER, Column, check_table
from mirnagraph.reading.table import read_table, read_typed
from mirnagraph.sources import load_dataset
from mirnagraph.sources.hmdd import read_records
from mirnagraph.sources.organisms import read_organisms
from seqtower.data.labels import read_labels


@pytest.fixture
def folder(small_dataset: Dataset, tmp_path: Path) -> Path:
    out = small_dataset.save(tmp_path / "ds")
    path = out / "associations.disease.tsv"
    table = read_table(path, as_written=True)
    table["n_records"] = "2"
    table.to_csv(path, sep="\t", index=False)
    return out


def put(folder: Path, file: str, line: int, column: str, cell: str) -> None:
    path = folder / file
    lines = path.read_text(encoding="utf-8").split("\n")
    cells = lines[line - 1].split("\t")
    cells[lines[0].split("\t").index(column)] = cell
    lines[line - 1] = "\t".join(cells)
    path.write_text("\n".join(lines), encoding="utf-8")


def settings(folder: Path, **changes: object) -> None:
    path = folder / "dataset.toml"
    about = tomllib.loads(path.read_text(encoding="utf-8"))
    path.write_text(tomli_w.dumps({**about, **changes}), encoding="utf-8")


LOADERS = [Dataset.load, load_dataset]


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    "cell", ["-3", "NaN", "2.5", "1e308", "inf", "-inf", "1e400", "abc", "0x10", "1_000", "1,5",
             "", "NA", "1e13", " "]
)  # fmt: skip
def test_counts_of_evidence_are_whole_and_not_negative(
    folder: Path, cell: str, load: Callable[[Path], Dataset]
) -> None:
    put(folder, "associations.disease.tsv", 3, "n_records", cell)
    with pytest.raises(
        InputError,
        match=r"associations.disease.tsv, line 3, column 'n_records': (not a count|empty cell)",
    ):
        load(folder)


def test_counts_that_are_right(folder: Path) -> None:
    for line, cell in enumerate(["0", "3", "3.0", "1e3"], 2):
        put(folder, "associations.disease.tsv", line, "n_records", cell)
    counts = Dataset.load(folder).associations["disease"]["n_records"]
    assert counts.iloc[:4].tolist() == [0, 3, 3, 1000]


@pytest.mark.parametrize("value", [-1.0, np.nan, 2.5, np.inf, 1e308])
def test_counts_of_a_dataset_made_in_python(small_dataset: Dataset, value: float) -> None:
    associations = dict(small_dataset.associations)
    associations["disease"] = associations["disease"].assign(n_records=1.0)
    associations["disease"].loc[4, "n_records"] = value
    with pytest.raises(InputError, match=r"not a count of disease associations \(row 4\)"):
        Dataset(
            small_dataset.name,
            small_dataset.rnas,
            associations,
            small_dataset.partners,
            small_dataset.labels,
        )


@pytest.mark.parametrize("cell", ["inf", "1e31", "-1e400", "nan ", "1_0"])
def test_weights_are_finite(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"a\tweight\nx\t1.5\ny\t{cell}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"t.tsv, line 3, column 'weight': not a number"):
        check_table(read_table(path), [Column("weight", NUMBER)], path)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    ("file", "line", "column", "cell", "match"),
    [
        ("rnas.tsv", 5, "sequence", "NA", "line 5, column 'sequence': a sequence is not given"),
        ("rnas.tsv", 5, "sequence", "nan", "line 5, column 'sequence': a sequence is not given"),
        ("rnas.tsv", 2, "sequence", "ACGX", "line 2, .*invalid nucleotide .* position 4; found X"),
        ("rnas.tsv", 2, "matures", "UCAXU", "line 2, column 'matures': .*mature 1 of .*found X"),
        ("rnas.tsv", 2, "matures", "UCAU;;A", "line 2, column 'matures': .*mature 2 .*nothing"),
        ("rnas.tsv", 3, "rna_id", "", "line 3, column 'rna_id': empty id"),
        ("labels.tsv", 3, "rna_id", "who", "line 3, column 'rna_id': a label for an unknown RNA"),
        ("labels.tsv", 4, "Cytoplasm", "2", "line 4, column 'Cytoplasm': not a label; found 2"),
        ("labels.tsv", 4, "Cytoplasm", "", "line 4, column 'Cytoplasm': empty cell"),
        ("labels.tsv", 4, "Cytoplasm", "NA", "line 4, column 'Cytoplasm': not a label; found NA"),
        ("associations.drug.tsv", 2, "partner_id", "x", "line 2, .*unknown id; found x"),
    ],
)
def test_a_wrong_cell_is_named(
    folder: Path, file: str, line: int, column: str, cell: str, match: str,
    load: Callable[[Path], Dataset],
) -> None:  # fmt: skip
    put(folder, file, line, column, cell)
    with pytest.raises(InputError, match=rf"{file}, {match}"):
        load(folder)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("letter", ["\0", "\x1b", "\u202e"])
def test_a_control_character_in_an_id_is_refused(
    folder: Path, letter: str, load: Callable[[Path], Dataset]
) -> None:
    first = Dataset.load(folder).rnas.index[2]
    for path in folder.glob("*.tsv"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"{first}\t", f"{first}{letter}\t"), encoding="utf-8")
    column = len(first) + 1
    with pytest.raises(InputError, match=rf"rnas.tsv, line 4, column {column}: a control"):
        load(folder)


@pytest.mark.parametrize("load", LOADERS)
def test_matures_are_read_as_sequences_are(folder: Path, load: Callable[[Path], Dataset]) -> None:
    put(folder, "rnas.tsv", 2, "matures", "tcat;UCAT")
    assert load(folder).rnas["matures"].iloc[0] == "UCAU;UCAU"


@pytest.mark.parametrize("load", LOADERS)
def test_files_and_columns_that_nothing_lists_are_named(
    folder: Path, load: Callable[[Path], Dataset]
) -> None:
    path = folder / "labels.tsv"
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    path.write_text("\n".join([lines[0] + "\tGolgi", *(line + "\t1" for line in lines[1:])]) + "\n")
    (folder / "associations.lncRNA.tsv").write_text("rna_id\tpartner_id\n")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._rnas.tsv"):
        (folder / name).write_bytes(b"\0\1")
    assert load(folder).left_out["id"].tolist() == [
        "associations.lncRNA.tsv",
        "labels.tsv, column Golgi",
    ]


@pytest.mark.parametrize("load", LOADERS)
def test_a_tree_number_of_two_descriptors_is_refused(
    folder: Path, load: Callable[[Path], Dataset]
) -> None:
    path = folder / "ontology.tsv"
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    number = lines[2].split("\t")[0]
    path.write_text("\n".join([*lines, f"{number}\tOTHER\tother"]) + "\n", encoding="utf-8")
    what = "one tree number with two descriptors"
    with pytest.raises(InputError, match=rf"ontology.tsv, line {len(lines) + 1}, .*{what}"):
        load(folder)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("name", ["average", "Micro", "all compartments", "rna_id", "a\x1bb", " "])
def test_names_of_compartments_that_cannot_be(
    folder: Path, name: str, load: Callable[[Path], Dataset]
) -> None:
    first, *others = Dataset.load(folder).compartments
    settings(folder, compartments=[name, *others])
    path = folder / "labels.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace(first, name), encoding="utf-8")
    with pytest.raises(InputError, match=r"dataset.toml, column 'compartments': .*a compartment"):
        load(folder)


@pytest.mark.parametrize("twice", [str, str.upper])
def test_a_compartment_named_twice(folder: Path, twice: Callable[[str], str]) -> None:
    first, *others = Dataset.load(folder).compartments
    settings(folder, compartments=[first, twice(first), *others])
    with pytest.raises(InputError, match=r"dataset.toml, column 'compartments'"):
        Dataset.load(folder)


def test_a_column_of_text_that_nobody_listed_is_text(folder: Path) -> None:
    path = folder / "rnas.tsv"
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    notes = ["comment", *(["good", ""] * len(lines))][: len(lines)]
    both = [f"{line}\t{note}" for line, note in zip(lines, notes, strict=True)]
    path.write_text("\n".join(both) + "\n", encoding="utf-8")
    assert Dataset.load(folder).rnas["comment"].tolist()[:3] == ["good", "", "good"]


def test_a_folder_made_by_hand_is_read_as_people_write(folder: Path, tmp_path: Path) -> None:
    saved = Dataset.load(folder)
    path = folder / "dataset.toml"
    about = tomllib.loads(path.read_text(encoding="utf-8"))
    del about["text_columns"]
    path.write_text(tomli_w.dumps(about), encoding="utf-8")
    for file in folder.glob("*.tsv"):
        text = file.read_text(encoding="utf-8")
        rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
        printed = [[f'"{cell}"' if cell else "\u00a0" for cell in row] for row in rows]
        lines = ["\t".join(row).replace("syn-mir", "syn\u2011mir") for row in printed]
        file.write_text("\r\n".join(lines) + "\r\n\r\n", encoding="utf-8")
    again = Dataset.load(folder)
    assert again.index == saved.index
    assert (again.labels.to_numpy() == saved.labels.to_numpy()).all()
    assert again.rnas["sequence"].tolist() == saved.rnas["sequence"].tolist()
    for kind in saved.associations:
        assert (again.association_matrix(kind) != saved.association_matrix(kind)).nnz == 0


@pytest.mark.parametrize("value", [0, 1])
def test_labels_of_one_kind_are_refused_before_training(small_dataset: Dataset, value: int) -> None:
    labels = small_dataset.labels * 0 + value
    dataset = Dataset(
        small_dataset.name,
        small_dataset.rnas,
        small_dataset.associations,
        small_dataset.partners,
        labels,
    )
    with pytest.raises(InputError, match="trained on"):
        require_trainable(dataset)


def test_a_compartment_that_nobody_has_is_named_before_training(small_dataset: Dataset) -> None:
    labels = small_dataset.labels.copy()
    name = str(labels.columns[1])
    labels[name] = 0
    dataset = Dataset(
        small_dataset.name,
        small_dataset.rnas,
        small_dataset.associations,
        small_dataset.partners,
        labels,
    )
    with pytest.warns(UntrainableWarning, match=rf"none is outside of, {name}: such"):
        require_trainable(dataset)


LABELS = {
    "class": "id\tclass\na\tx\nb\ty\nc\t{}\n",
    "0/1": "id\tA\tB\na\t1\t0\nb\t0\t1\nc\t{}\t1\n",
}


def labels_of(tmp_path: Path, text: str) -> tuple[str, list[str], list[list[float]]]:
    path = tmp_path / "l.tsv"
    path.write_text(text, encoding="utf-8")
    read = read_labels(path)
    return read.kind, list(read.values.columns), read.values.to_numpy().tolist()


@pytest.mark.parametrize("cell", ["NA", "N/A", "NaN", "nan", "<NA>", "#N/A", "#NAME?", ""])
def test_na_is_no_class(tmp_path: Path, cell: str) -> None:
    kind, names, values = labels_of(tmp_path, LABELS["class"].format(cell))
    assert (kind, names) == ("class", ["x", "y"])
    assert np.isnan(values[2]).all()


@pytest.mark.parametrize("cell", ["1-Mar", "02-sep-2006", "Dec-01"])
def test_dates_of_spreadsheets_are_no_ids(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"gene\tfirst_seen\nMARCHF1\t1-Mar\n{cell}\tx\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 3, column 'gene': .* date; found") as error:
        check_table(read_table(path), [Column("gene", ID)], path)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize("cell", ["Y", "y ", "\u00a0y", '"y"', "y\u200b"])
def test_labels_that_differ_in_case_or_blanks_are_one(tmp_path: Path, cell: str) -> None:
    kind, names, values = labels_of(tmp_path, LABELS["class"].format(cell))
    assert (kind, names, values[2]) == ("class", ["x", "y"], [0, 1])


def test_several_compartments_in_one_cell(tmp_path: Path) -> None:
    kind, names, values = labels_of(tmp_path, LABELS["class"].format("x; y"))
    assert (kind, names, values[2]) == ("multi-label", ["x", "y"], [1, 1])
    again = labels_of(tmp_path, LABELS["class"].format("y;X"))
    assert (kind, names, values) == again
    for mark in ",|/+":
        with pytest.raises(InputError, match=r"l.tsv, line 4, column 'class': several .*x;y"):
            labels_of(tmp_path, LABELS["class"].format(f"x{mark}y"))


@pytest.mark.parametrize("cell", ["inf", "nan", "1e999", "2", "-1", "0.5"])
def test_labels_that_are_no_labels(tmp_path: Path, cell: str) -> None:
    with pytest.raises(InputError, match=r"l.tsv, line \d"):
        labels_of(tmp_path, LABELS["0/1"].format(cell))


@pytest.mark.parametrize("header", ["Nucleus\tnucleus", "average\tB", "A\tA"])
def test_columns_of_labels_that_cannot_be(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputError, match=r"l.tsv"):
        labels_of(tmp_path, LABELS["0/1"].format("0").replace("A\tB", header))


def test_tables_of_labels_with_commas_and_quotes(tmp_path: Path) -> None:
    expected = labels_of(tmp_path, LABELS["0/1"].format("0"))
    for mark in ",;":
        text = LABELS["0/1"].format("0").replace("\t", mark)
        assert labels_of(tmp_path, text) == expected
    quoted = '"id"\t"A"\t"B"\n"a"\t"1"\t"0"\n"b"\t"0"\t"1"\n"c"\t"0"\t"1"\n'
    assert labels_of(tmp_path, quoted) == expected


def test_problems_of_all_columns_come_by_line(tmp_path: Path) -> None:
    path = tmp_path / "rnas.tsv"
    path.write_text("rna_id\tsequence\tn_x\na\tACGX\t1\na\tACGU\t-1\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        check_table(read_table(path), RNA_COLUMNS, path)
    lines = str(error.value).split("\n")
    assert ["line 2" in lines[0], "line 3" in lines[1], "line 3" in lines[2]] == [True] * 3
    assert "duplicate id; found a" in lines[1]
    assert "not a count; found -1" in lines[2]


def test_own_tables_are_read_with_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\tc\nx \t0.1\t\ny\tnan\t\n", encoding="utf-8")
    table = read_typed(path)
    assert table["a"].tolist() == ["x ", "y"]
    assert table["b"].iloc[0] == 0.1
    assert np.isnan(table["b"].iloc[1])


def test_nothing_beyond_a_count_reaches_the_networks(small_dataset: Dataset) -> None:
    columns = [Column("n_*", COUNT)]
    table = pd.DataFrame({"n_a": ["1", "1e13"]}, index=[2, 3])
    with pytest.raises(InputError, match="line 3, column 'n_a'"):
        check_table(table, columns, "t")
    for network in build_networks(small_dataset).networks.values():
        assert np.isfinite(network.matrix.data).all()


@pytest.mark.parametrize("cell", ["99999999999999999999", "1e400", "-1", "1.5", "inf"])
def test_counts_of_sources_are_whole_numbers_that_can_be(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"prefix\tname\tn_hairpin\nhsa\tHomo sapiens\t{cell}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"t.tsv, line 2, column 'n_hairpin': not a number"):
        read_organisms(path)
    path.write_text(f"record0\tmir\tdisease\n{cell}\thsa-mir-21\tflu\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"t.tsv, line 2, column 'record0': not a record number"):
        read_records(path)


@pytest.mark.parametrize("cell", ["٣", "１", "1٣", "1e٣"])
def test_digits_of_other_scripts_are_no_number(folder: Path, cell: str) -> None:
    """Python takes them for digits; pandas, which converts them, does not."""
    put(folder, "associations.disease.tsv", 3, "n_records", cell)
    with pytest.raises(InputError, match=f"line 3, column 'n_records': not a count; found {cell}"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("synthetic", "false"),
        ("synthetic", 0),
        ("name", "  "),
        ("text_columns", {"rnas": ["sequence", 5]}),
        ("text_columns", {"rnas": "sequence"}),
        ("supporting", [5]),
    ],
)
def test_settings_of_another_type_are_refused(folder: Path, key: str, value: object) -> None:
    settings(folder, **{key: value})
    with pytest.raises(InputError, match=f"dataset.toml, column '{key}': missing or wrong setting"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asociations": []}, "'asociations': unknown setting; did you mean 'associations'"),
        ({"licence": "x"}, "'licence': unknown setting; known: associations, comp"),
        ({"text_columns": {"rna": []}}, "'text_columns.rna': unknown setting; did you mean 'rnas'"),
        ({"text_columns": {"rnas": ["famly"]}}, "rnas.tsv has no such column; found famly"),
        ({"names": {"specis": "hsa"}}, "'names.specis': unknown setting; did you mean 'species'"),
        ({"measurements": {"m": {"units": "x"}}}, "'measurements.m.units': .* mean 'unit'"),
        ({"measurements": {"m": {"arms": "x"}}}, "'measurements.m.arms': wrong entry; found 'x'"),
        ({"measurements": {"m": {"is_label_like": 1}}}, "expected true or false"),
        ({"description": 5}, "'description': wrong entry; found 5"),
    ],
)
def test_settings_that_nothing_reads_are_refused(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    settings(folder, **changes)
    with pytest.raises(InputError, match=message):
        Dataset.load(folder)


def test_a_missing_ontology_is_said_to_be_missing(folder: Path) -> None:
    (folder / "ontology.tsv").unlink()
    with pytest.raises(InputError, match=r"ontology.tsv: no such file, of which partners.disease"):
        load_dataset(folder)


def test_blanks_around_a_cell_are_seen_in_its_error(folder: Path) -> None:
    put(folder, "labels.tsv", 3, "Cytoplasm", " 1")
    with pytest.raises(InputError, match="not a label; found ' 1', expected 0 or 1"):
        load_dataset(folder)
