"""`build-dataset` and `fetch` as typed: own tables to a trained model, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.io import write_tsv
from mirnagraph.recipes.recipe import shipped_text
from mirnagraph.sources import load_dataset

RECIPE = """name = "own"
species = "Homo sapiens"
[rnas]
from = "list"
file = "ids.txt"
sequences = "rnas.fa"
[labels]
format = "table"
file = "labels.tsv"
columns = { rna = "Name" }
[[associations]]
kind = "disease"
format = "table"
file = "diseases.csv"
columns = { rna = "who", partner = "what" }
match = "exact"
"""


@pytest.fixture
def tables(small_dataset: Dataset, tmp_path: Path) -> Dataset:
    """Tables of one's own in the current folder, made of the small dataset."""
    (tmp_path / "ids.txt").write_text("\n".join(small_dataset.index) + "\n", encoding="utf-8")
    sequences = small_dataset.rnas["sequence"].dropna()
    records = "".join(f">{name} x\n{sequence}\n" for name, sequence in sequences.items())
    (tmp_path / "rnas.fa").write_text(records, encoding="utf-8")
    write_tsv(small_dataset.labels.rename_axis("Name").reset_index(), tmp_path / "labels.tsv")
    pairs = small_dataset.associations["disease"][["rna_id", "partner_id"]]
    lines = [f'"{rna}","{partner}"' for rna, partner in pairs.to_numpy()]
    (tmp_path / "diseases.csv").write_text("\n".join(["who,what", *lines]) + "\n", encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return small_dataset


def test_a_new_recipe_is_written_once(run) -> None:
    assert run("build-dataset", "--new", "my.toml").returncode == 0
    assert Path("my.toml").read_text(encoding="utf-8") == shipped_text("new")
    again = run("build-dataset", "--new", "my.toml")
    assert again.returncode == 3
    assert again.stderr.startswith("Error: my.toml: a file or folder of that name is there")
    assert run("build-dataset", "--new").stdout == shipped_text("new")
    both = run("build-dataset", "--new", "other.toml", "--out", "d")
    assert (both.returncode, Path("other.toml").exists()) == (2, False)
    assert "--new writes a recipe to RECIPE; omit --out and --overwrite" in both.stderr
    without = run("build-dataset", "my.toml", "--out", "d")
    assert without.returncode == 3
    assert "my_rnas.txt: no such file or folder, named by rnas.file of the recipe" in without.stderr
    assert not Path("d").exists()


def test_own_tables_become_the_dataset_they_were_made_of(run, tables: Dataset) -> None:
    built = run("build-dataset", "recipe.toml", "--out", "own")
    assert built.returncode == 0, built.stderr
    rows = [line.split("\t")[:5] for line in built.stdout.splitlines()]
    n_sequences = str(int(tables.rnas["sequence"].notna().sum()))
    n_pairs = str(len(tables.associations["disease"]))
    n_located = str(int(tables.located.sum()))
    n_unlocated = int((~tables.located).sum())
    left = f"no compartment, or not known: {n_unlocated}" if n_unlocated else ""
    assert rows == [
        ["source", "for", "read", "used", "left out"],
        ["ids.txt", "RNAs", "60", "60", ""],
        ["rnas.fa", "sequences", n_sequences, n_sequences, ""],
        ["labels.tsv", "labels", "60", n_located, left],
        ["diseases.csv", "disease", n_pairs, n_pairs, ""],
    ]
    dataset = load_dataset("own")
    assert list(dataset.index) == list(tables.index)
    assert dataset.rnas["sequence"].equals(tables.rnas["sequence"])
    assert dataset.labels.equals(tables.labels)
    made = dataset.association_matrix("disease").toarray()
    columns = tables.partner_index("disease").positions(list(dataset.partner_index("disease")))
    assert (made == tables.association_matrix("disease").toarray()[:, columns]).all()
    about = json.loads(Path("own/provenance.json").read_text(encoding="utf-8"))
    assert about["recipe"] == RECIPE
    assert [source["path"] for source in about["sources"]] == [row[0] for row in rows[1:]]


@pytest.mark.slow
def test_from_own_tables_to_a_trained_model(run, tables: Dataset, quick: Callable) -> None:
    del tables
    tokens = {"attention": ["svd:disease", "degree"], "trees": ["degree", "kmer"]}
    config = str(quick(tokens=tokens))
    assert run("build-dataset", "recipe.toml", "--out", "own").returncode == 0
    assert run("build-networks", "--data", "own", "--workers", "1").returncode == 0
    trained = run(
        "train", "--fold", "2", "--config", config, "--no-baselines", "--workers", "1", "--out", "r"
    )
    assert trained.returncode == 0, trained.stderr
    assert Path("r/report.md").is_file()


def test_files_that_nothing_lists_are_named_by_build_networks(run, tables: Dataset) -> None:
    del tables
    run("build-dataset", "recipe.toml", "--out", "own")
    Path("own/associations.drug.tsv").write_text("rna_id\tpartner_id\n", encoding="utf-8")
    built = run("build-networks", "--data", "own", "--workers", "1")
    assert built.returncode == 0
    assert (
        "Warning: associations.drug.tsv of own is not read: 'drug' is not in 'associations' of "
        "dataset.toml" in built.stderr
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('[labels]\nformat = "table"\nfile = "labels.tsv"\ncolumns = { rna = "Name" }\n', "", "no"),
        ('file = "labels.tsv"', 'file = "positives.tsv"\ncompartments = ["Cytoplasm"]', "one"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_a_sentence(
    run, tables: Dataset, old: str, new: str, message: str
) -> None:
    positives = tables.labels.loc[tables.labels["Cytoplasm"] == 1, ["Cytoplasm"]]
    write_tsv(positives.rename_axis("Name").reset_index(), Path("positives.tsv"))
    Path("recipe.toml").write_text(RECIPE.replace(old, new), encoding="utf-8")
    built = run("build-dataset", "recipe.toml", "--out", "own")
    assert built.returncode == 0, built.stderr
    notes = {"no": "no labels", "one": "labels of one class alone"}
    assert f"Note: {notes[message]}: it can be predicted on, not trained on" in built.stderr
    assert built.stderr.endswith("Next: mirnagraph seq predict --data own\n")
    assert run("build-networks", "--data", "own", "--workers", "1").returncode == 0
    for command in (("train", "--out", "r"), ("seq", "train", "--data", "own", "--out", "r")):
        refused = run(*command, "-q")
        assert refused.returncode == 3
        assert len(refused.stderr.strip().splitlines()) == 1
        words = {"no": "no RNA has a label", "one": "compartment 'Cytoplasm' has one class"}
        assert words[message] in refused.stderr
        assert "can be predicted on, not trained on" in refused.stderr
        assert not Path("r").exists()


def test_errors_are_one_sentence_and_leave_nothing(run, tables: Dataset) -> None:
    del tables
    Path("typo.toml").write_text(RECIPE.replace("kind", "knid"), encoding="utf-8")
    typo = run("build-dataset", "typo.toml", "--out", "own")
    assert typo.returncode == 2
    assert "unknown setting 'knid'; did you mean 'kind'?" in typo.stderr
    Path("labels.tsv").write_text("Name\tNucleus\nnobody\t1\n", encoding="utf-8")
    nobody = run("build-dataset", "recipe.toml", "--out", "own")
    assert nobody.returncode == 3
    assert "labels.tsv: no name of the labels is an RNA of the dataset" in nobody.stderr
    none = run("build-dataset")
    assert none.returncode == 2
    assert "no recipe; expected a TOML file or the name of a shipped recipe" in none.stderr
    for ended in (typo, nobody, none):
        errors = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1
    assert not Path("own").exists()
    assert [path.name for path in Path().iterdir() if path.name.startswith(".own")] == []


FROM_FASTA = 'name = "own"\nspecies = "hsa"\n[rnas]\nfrom = "fasta"\nfile = "rnas.fa"\n'

FROM_LIST = 'name = "own"\nspecies = "hsa"\n[rnas]\nfrom = "list"\nfile = "ids.txt"\n'

EXPRESSION = '[[expression]]\nformat = "table"\nfile = "e.tsv"\n'


@pytest.mark.parametrize(
    ("recipe", "files", "code", "sentence"),
    [
        (FROM_FASTA.replace("hsa", "Elvish"), {}, 3, "unknown species; found Elvish, expected one"),
        (FROM_FASTA + "taxa = 1\n", {}, 2, "recipe.toml, [rnas]: unknown setting 'taxa'"),
        (
            FROM_FASTA + 'sequences = "t.fa"\n',
            {"rnas.fa": ">a\nACGU\n", "t.fa": ">a\nACGG\n"},
            3,
            "t.fa, line 1: the FASTA file and rnas.fa disagree on the sequence of a; found ACGG",
        ),
        (
            FROM_FASTA + EXPRESSION,
            {"rnas.fa": ">a\nACGU\n", "e.tsv": "id\ts1\ts2\na\t100\tlow\n"},
            3,
            "e.tsv, line 2, column 's2': not a number; found low, expected a number, or NA",
        ),
        (FROM_LIST + 'sequences = "rnas.fa"\n', {"ids.txt": "\n"}, 3, "ids.txt: the file is empty"),
        (FROM_FASTA, {"rnas.fa": "\n"}, 3, "rnas.fa: the file is empty"),
    ],
)
def test_each_bad_source_ends_in_one_sentence(
    run, tables: Dataset, recipe: str, files: dict[str, str], code: int, sentence: str
) -> None:
    del tables
    for name, text in (files | {"recipe.toml": recipe}).items():
        Path(name).write_text(text, encoding="utf-8")
    before = sorted(path.name for path in Path().iterdir())
    ended = run("build-dataset", "recipe.toml", "--out", "own", "-q")
    assert (ended.returncode, ended.stdout) == (code, "")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert sentence in ended.stderr
    assert sorted(path.name for path in Path().iterdir()) == before


def test_overwrite_replaces_a_dataset_and_nothing_else(run, tables: Dataset) -> None:
    del tables
    assert run("build-dataset", "recipe.toml").returncode == 0  # into the folder of its name
    assert run("build-dataset", "recipe.toml").returncode == 3
    assert run("build-dataset", "recipe.toml", "--overwrite").returncode == 0
    refused = run("build-dataset", "recipe.toml", "--overwrite", "--out", ".")
    assert refused.returncode == 3
    assert "--out is a folder that holds --recipe recipe.toml" in refused.stderr
    assert Path("rnas.fa").is_file()


def test_fetch_names_what_cannot_be_fetched_before_it_downloads(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    hopeless = run("fetch", "circloc", "--cache", "cache")
    assert hopeless.returncode == 2
    assert "--data circloc does not open yet: 8 files cannot be fetched" in hopeless.stderr
    assert "circloc/sequences_1486.fa.gz (published as spreadsheets" in hopeless.stderr
    assert "https://github.com/CNHanFei/CircLoc" in hopeless.stderr
    nobody = "http://127.0.0.1:9"  # discard: nothing listens
    ended = run("fetch", "mirna1041", "--cache", "cache", "--base-url", nobody)
    assert ended.returncode == 3
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("Licence of mirna1041: ")
    assert "miRTarBase, HMDD, ncDR: academic use" in lines[0]
    assert lines[1].startswith("2 files that mirna1041 can do without cannot be fetched, and can ")
    assert any(line.startswith("- hmdd/hmdd_v3.2_typed") for line in lines)
    assert lines[-2].startswith("--data mirna1041 does not open yet; missing: mirna1041/miRNA_ID")
    assert lines[-1].startswith("Error: ")
    assert "could not reach" in lines[-1]


ONE = RECIPE.replace('rna = "Name" }', 'rna = "Name" }\ncompartments = ["Cytoplasm"]')


@pytest.mark.slow
def test_one_compartment_with_zeros_is_trained_on(
    run, tables: Dataset, quick: Callable, tmp_path: Path
) -> None:
    """A 0 of the only compartment is an answer, NA is none."""
    cells = tables.labels["Cytoplasm"].astype(str)
    cells.iloc[0] = "NA"
    table = cells.rename_axis("Name").reset_index()
    write_tsv(table, tmp_path / "labels.tsv")
    (tmp_path / "recipe.toml").write_text(ONE, encoding="utf-8")
    built = run("build-dataset", "recipe.toml", "--out", "own")
    assert built.returncode == 0, built.stderr
    (labels,) = [line for line in built.stdout.splitlines() if line.startswith("labels.tsv")]
    assert labels.split("\t")[2:5] == ["60", "59", "no compartment, or not known: 1"]
    dataset = load_dataset("own")
    assert (dataset.rnas["labels_known"] == "yes").tolist() == [False] + [True] * 59
    assert run("build-networks", "--data", "own", "--workers", "1").returncode == 0
    config = str(quick(tokens={"attention": ["svd:disease"], "trees": ["degree", "kmer"]}))
    trained = run(
        *("train", "--fold", "2", "--rnas", "located", "--config", config, "--no-baselines"),
        *("--workers", "1", "--out", "r"),
    )
    assert trained.returncode == 0, trained.stderr
    predictions = Path("r/predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert len(predictions) == 1 + 59
