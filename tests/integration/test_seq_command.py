"""`mirnagraph seq …` as a person types it: train, predict, explain,
and the sentences on bad input.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqtower import experiment
from seqtower.data.synthetic import planted_sequences

TOML = """
[rnatracker]
filters = 6
units = 6
attention_units = 6
[training]
epochs = 2
batch_rnas = 8
[descriptors]
members = 1
[descriptors.trees]
n_trees = 10
rounds = 10
boosting_width = 20
"""


@pytest.fixture
def files(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FASTA file, a label table and quick settings in the empty folder that the command
    runs in.
    """
    monkeypatch.setattr(experiment, "K", 2)
    data = planted_sequences(24, longest=120).data
    (in_empty_folder / "rna.fa").write_text(
        "".join(
            f">{name} made up\n{s}\n"
            for name, s in zip(data.index.ids, data.sequences, strict=True)
        )
    )
    table = pd.DataFrame(data.labels.astype(int), columns=list(data.compartments))
    table.insert(0, "id", list(data.index.ids))
    table.to_csv(in_empty_folder / "rna.tsv", sep="\t", index=False)
    (in_empty_folder / "quick.toml").write_text(TOML)
    return in_empty_folder


TRAIN = (
    "seq",
    "train",
    "--fasta",
    "rna.fa",
    "--labels",
    "rna.tsv",
    "--fold",
    "2",
    "--config",
    "quick.toml",
    "--workers",
    "1",
    "--out",
    "mine",
)


def test_a_parquet_file_is_trained_on_and_predicted_as_the_fasta_file(run, files: Path) -> None:
    data = planted_sequences(24, longest=120).data
    table = pd.DataFrame(data.labels.astype(int), columns=list(data.compartments))
    table.insert(0, "sequence", list(data.sequences))
    table.insert(0, "id", list(data.index.ids))
    table.to_parquet(files / "rna.parquet", row_group_size=5)
    options = ("--fold", "2", "--config", "quick.toml", "--workers", "1", "--no-baselines")
    trained = run("seq", "train", "--fasta", "rna.parquet", *options, "--out", "mine")
    assert trained.returncode == 0, trained.stderr
    assert "24 RNAs of" in trained.stderr
    labels = pd.read_csv(files / "mine" / "labels.tsv", sep="\t").iloc[:, 1:]
    np.testing.assert_array_equal(labels, data.labels)
    for name in ("fa", "parquet"):
        given = ("--run", "mine", "--fasta", f"rna.{name}", "--out", f"{name}.tsv")
        predicted = run("seq", "predict", *given)
        assert predicted.returncode == 0, predicted.stderr
    assert (files / "fa.tsv").read_text() == (files / "parquet.tsv").read_text()
    (files / "rna.parquet").write_bytes((files / "rna.parquet").read_bytes()[:-40])
    cut = run("seq", "train", "--fasta", "rna.parquet", *options, "--out", "other")
    assert cut.returncode == 3
    assert cut.stderr.startswith("Error: rna.parquet: a Parquet file that is cut or damaged")
    assert cut.stderr.count("\n") == 1


@pytest.mark.slow
def test_train_predict_and_explain(run, files: Path) -> None:
    trained = run(*TRAIN)
    assert trained.returncode == 0, trained.stderr
    assert "24 RNAs of" in trained.stderr
    assert "kmer_boosting" in trained.stdout
    predictions = pd.read_csv(files / "mine" / "predictions.tsv", sep="\t")
    assert list(predictions.columns) == ["rna_id", "fold", "Nucleus", "Cytoplasm", "Exosome"]
    assert sorted(predictions["fold"].unique()) == [0, 1]

    said = run("seq", "predict", "--run", "mine", "--fasta", "rna.fa", "--out", "said.tsv")
    assert said.returncode == 0, said.stderr
    table = pd.read_csv(files / "said.tsv", sep="\t")
    columns = ["query", "rna_id", "Nucleus", "Cytoplasm", "Exosome", "called"]
    assert [name for name in table.columns if name in columns] == columns
    assert list(table.columns)[-3:] == ["length", "read", "windows"]
    lengths = [len(sequence) for sequence in planted_sequences(24, longest=120).data.sequences]
    assert table["length"].tolist() == table["read"].tolist() == lengths
    assert (table["windows"] == 1).all()
    assert table["query"].tolist() == predictions["rna_id"].tolist()
    shown = run("seq", "predict", "--run", "mine", "--fasta", "rna.fa")
    first_row = dict(
        zip(*[line.split("\t") for line in shown.stdout.splitlines()[:2]], strict=True)
    )
    assert first_row["query"] == "made-up-1"
    assert first_row["Nucleus"] == f"{table['Nucleus'][0]:.6g}"
    anywhere = run(
        "predict", "--run", "mine", "--fasta", "rna.fa", "--format", "json"
    )  # the one command for models of both kinds
    assert anywhere.returncode == 0, anywhere.stderr
    first = json.loads(anywhere.stdout)[0]["compartments"]["Nucleus"]
    assert first["probability"] == pytest.approx(table["Nucleus"][0], rel=1e-5)
    assert first["uncertainty"] is None
    by_name = run("predict", "--run", "mine", "--rna", "made-up-1")
    assert (by_name.returncode, "pass sequences with --fasta" in by_name.stderr) == (2, True)

    why = run(
        "seq",
        "explain",
        "--run",
        "mine",
        "--fasta",
        "rna.fa",
        "--rna",
        "made-up-3",
        "--out",
        "why",
        "--window",
        "30",
        "--no-plots",
    )
    assert why.returncode == 0, why.stderr
    assert "1 RNA:" in why.stderr
    files_of_why = sorted(path.name for path in (files / "why").glob("*.[!j]*"))
    assert f"Written to why: {', '.join(files_of_why)}\n" in why.stderr
    assert set(pd.read_csv(files / "why" / "masking.tsv", sep="\t")["rna_id"]) == {"made-up-3"}
    assert "not longer than the window" not in why.stderr
    words = ("seq", "explain", "--run", "mine", "--fasta", "rna.fa", "--rna", "made-up-3")
    slopes = run(*words, "--out", "slopes", "--method", "gradient", "--no-masking", "--no-plots")
    assert slopes.returncode == 0, slopes.stderr
    assert "1 RNA: not masked, no zipcodes" in slopes.stderr
    by_method = [
        pd.read_csv(files / folder / "attribution.tsv", sep="\t") for folder in ("why", "slopes")
    ]
    assert by_method[0]["letter"].equals(by_method[1]["letter"])
    assert not np.allclose(by_method[0]["Nucleus"], by_method[1]["Nucleus"])
    bad = run(*words, "--out", "bad", "--method", "shap")
    assert (bad.returncode, "method" in bad.stderr, "gradient" in bad.stderr) == (2, True, True)
    hidden = run(
        "seq",
        "explain",
        "--run",
        "mine",
        "--fasta",
        "rna.fa",
        "--rna",
        "made-up-3",
        "--out",
        "all",
        "--window",
        "5000",
        "--no-plots",
    )
    assert (
        "1 of 1 RNA is not longer than the window of 5000 nt: "
        "use a smaller one, such as --window " in hidden.stderr
    )
    unknown = run(
        "seq",
        "explain",
        "--run",
        "mine",
        "--fasta",
        "rna.fa",
        "--rna",
        "made-up-33",
        "--out",
        "unknown",
    )
    assert unknown.returncode == 2
    assert "no RNA 'made-up-33' in rna.fa; did you mean" in unknown.stderr
    assert not (files / "unknown").exists()
    beside = run("seq", "compare", "mine", "--baseline", "kmer_boosting", "--resamples", "100")
    assert beside.returncode == 0, beside.stderr
    assert beside.stdout.splitlines()[1].split("\t")[:4] == [
        "kmer_boosting",
        "mine",
        "Nucleus",
        "AUC",
    ]
    assert run("seq", "compare", "mine").returncode == 2
    again = run(*TRAIN)
    assert again.returncode == 3
    assert "holds this run, finished" in again.stderr


def test_a_run_on_the_demo_says_that_its_data_are_made_up(
    run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = planted_sequences(24, longest=120)
    monkeypatch.setattr("seqtower.data.synthetic.planted_sequences", lambda: small)
    done = run(
        "seq",
        "train",
        "--fold",
        "2",
        "--config",
        "quick.toml",
        "--workers",
        "1",
        "--no-baselines",
        "--out",
        "demo",
    )
    assert done.returncode == 0, done.stderr
    assert "Dataset seq-demo (synthetic)" in done.stderr
    assert json.loads((files / "demo" / "run.json").read_text())["synthetic"] is True
    assert "**Synthetic data**" in (files / "demo" / "report.md").read_text()
    assert run("export", "demo", "model").returncode == 0
    assert "**Synthetic data**" in (files / "model" / "README.md").read_text()


def test_a_tower_that_died_is_never_silent(run, files: Path) -> None:
    dead = TOML.replace("[training]", '[training]\nlearning_rate = 1e-9\nschedule = "constant"')
    (files / "quick.toml").write_text(dead)
    trained = run(*TRAIN, "--tower", "rnatracker", "--no-baselines")
    assert trained.returncode == 0, trained.stderr
    for where in ("fold 0", "fold 1", "the final model"):
        retried = f"FAILED: the tower of {where}, also when trained again with 0.2 of"
        assert retried in trained.stderr
    warning = "The tower of this model FAILED in training, its predictions are not usable: "
    said = run("seq", "predict", "--run", "mine", "--fasta", "rna.fa", "--out", "said.tsv")
    assert said.returncode == 0, said.stderr
    assert f"Warning: {warning}" in said.stderr
    about = json.loads((files / "mine" / "model" / "model.json").read_text())
    assert about["health"]["status"] == "failed"
    assert about["health"]["retried"] is True
    assert about["answered_by"] == "tower"
    assert run("export", "mine", "model").returncode == 0
    card = (files / "model" / "README.md").read_text()
    assert f"**{warning}" in card
    assert "No baseline was run" in card
    again = run("seq", "predict", "--run", "model", "--fasta", "rna.fa", "--out", "again.tsv")
    assert f"Warning: {warning}" in again.stderr


@pytest.mark.slow
def test_what_the_tower_read_of_each_rna(run, files: Path) -> None:
    cut = TOML.replace("[training]", '[lengths]\nkeep = "both-ends"\nlength = 80\n[training]')
    cut = cut.replace("batch_rnas = 8", "batch_tokens = 60")
    (files / "quick.toml").write_text(cut)
    assert run(*TRAIN, "--no-baselines").returncode == 0
    lengths = [len(sequence) for sequence in planted_sequences(24, longest=120).data.sequences]
    read = [min(length, 80) for length in lengths]
    n_cut = sum(length > 80 for length in lengths)
    report = (files / "mine" / "report.md").read_text()
    share = f"{sum(read) / sum(lengths):.0%}"
    assert (
        "Of a longer RNA the tower reads the first 40 and the last 40 nt (`lengths`): "
        f"{n_cut} of 24 are cut, {share} of all nt read." in report
    )
    said = run("seq", "predict", "--run", "mine", "--fasta", "rna.fa", "--out", "said.tsv")
    assert f"{n_cut} of 24 RNAs were cut: the tower read the first 40 and" in said.stderr
    table = pd.read_csv(files / "said.tsv", sep="\t")
    assert table["length"].tolist() == lengths
    assert table["read"].tolist() == read
    assert table["windows"].tolist() == [1 + (n > 60) for n in read]


def test_groups_that_leave_a_fold_without_a_class(run, files: Path) -> None:
    """All RNAs with B are of one gene: the fold that tests them has none to train on."""
    table = pd.read_csv(files / "rna.tsv", sep="\t")
    in_gene = table.index < 8
    table["gene"] = [f"g{row}" for row in table.index]
    table.loc[in_gene, "gene"] = "g"
    table["B"] = in_gene.astype(int)
    table.to_csv(files / "rna.tsv", sep="\t", index=False)
    words = (*TRAIN, "--group", "gene", "--no-baselines", "--label", "B")
    refused = run(*words)
    assert refused.returncode == 3
    assert "have nothing to learn from; found B: only the label 0, expected" in refused.stderr
    assert not (files / "mine").exists()
    stated = run(*words, "--label", "Nucleus")
    assert stated.returncode == 0, stated.stderr
    folds = pd.read_csv(files / "mine" / "folds.tsv", sep="\t")
    tested = folds.loc[in_gene, "fold"].iloc[0]
    sentence = f"B cannot be learned in fold {tested}, whose training RNAs have only the label 0"
    assert sentence in stated.stderr
    assert f"- {sentence}" in (files / "mine" / "report.md").read_text()


def test_a_set_of_one_class_is_refused_with_its_file(run, files: Path) -> None:
    table = pd.read_csv(files / "rna.tsv", sep="\t")
    table.assign(Nucleus=1)[["id", "Nucleus"]].to_csv(files / "one.tsv", sep="\t", index=False)
    (files / "sets.toml").write_text(
        '[sets.one]\nfasta = "rna.fa"\nlabels = "rna.tsv"\ntype = "lncRNA"\n'
        '[sets.two]\nfasta = "rna.fa"\nlabels = "one.tsv"\ntype = "mRNA"\n'
    )
    refused = run("seq", "train", "--sets", "sets.toml", "--out", "mine")
    assert refused.returncode == 3
    sentence = "one.tsv, column 'Nucleus': a compartment with one kind of label; found only 1"
    assert sentence in refused.stderr
    assert not (files / "mine").exists()


def test_a_model_of_trees_alone_says_so(run, files: Path) -> None:
    (files / "quick.toml").write_text(TOML.replace("[descriptors]", "[descriptors]\nweight = 1.0"))
    trained = run(*TRAIN, "--no-baselines")
    assert trained.returncode == 0, trained.stderr
    about = json.loads((files / "mine" / "model" / "model.json").read_text())
    assert about["answered_by"] == "trees"
    said = run("seq", "predict", "--run", "mine", "--fasta", "rna.fa", "--out", "said.tsv")
    assert "trees on descriptors predict" in said.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("train", "--fasta", "rna.fa"), 2, "--fasta needs --labels"),
        (
            ("train", "--fasta", "rna.fa", "--labels", "rna.tsv", "--label", "Nucleolus"),
            2,
            "no column 'Nucleolus'",
        ),
        (("train", "--tower", "rnatraker"), 2, "did you mean 'rnatracker'?"),
        (
            ("train", "--fasta", "rna.fa", "--labels", "rna.tsv", "--group", "gene"),
            2,
            "no column 'gene'",
        ),
        (
            ("train", "--fasta", "rna.fa", "--labels", "rna.tsv", "--labels-in-header", "A,B"),
            2,
            "either in a table (--labels) or in the headers",
        ),
        (
            ("train", "--fasta", "rna.fa", "--labels-in-header", "A,B", "--group", "gene"),
            2,
            "no groups 'gene' with labels in headers",
        ),
        (
            ("train", "--fasta", "rna.fa", "--labels-in-header", "A,B"),
            3,
            "line 1, column 2: the labels in a header do not fit the compartments",
        ),
        (("predict", "--run", "nowhere", "--fasta", "rna.fa"), 3, "not a model folder"),
    ],
)
def test_wrong_use_ends_in_one_sentence(
    run, files: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    ended = run("seq", *words)
    assert (ended.returncode, sentence in ended.stderr) == (code, True), ended.stderr
    assert not (files / "runs").exists()


def test_labels_in_headers_and_a_type_which_the_model_then_asks_for(run, files: Path) -> None:
    data = planted_sequences(24, longest=120).data
    digits = ["".join(str(int(value)) for value in row) for row in data.labels]
    records = zip(digits, data.index.ids, data.sequences, strict=True)
    (files / "head.fa").write_text(
        "".join(
            f">{bits},Gene_ID:{name},Gene_Name:hsa-mir-{name[8:]}\n{s}\n"
            for bits, name, s in records
        )
    )
    words = (
        "--labels-in-header",
        "Nucleus,Cytosol,Exosome",
        "--label",
        "Nucleus",
        "--group",
        "family",
        "--rna-type",
        "precursor",
    )
    trained = run(
        "seq",
        "train",
        "--fasta",
        "head.fa",
        *words,
        "--fold",
        "2",
        "--config",
        "quick.toml",
        "--workers",
        "1",
        "--out",
        "mine",
    )
    assert trained.returncode == 0, trained.stderr
    assert "types of RNAs: 24 precursor" in (files / "mine" / "report.md").read_text()
    predict = ("seq", "predict", "--run", "mine", "--fasta", "rna.fa", "--out", "said.tsv")
    assert run(*predict, "--rna-type", "precursor").returncode == 0
    for more, sentence in (
        ((), "pass one with --rna-type"),
        (("--rna-type", "mRNA"), "no training RNA of type 'mRNA'; available types: precursor"),
    ):
        ended = run(*predict, *more)
        assert (ended.returncode, sentence in ended.stderr) == (2, True), ended.stderr
    ended = run(*TRAIN, "--type", "kind", "--rna-type", "mRNA")
    assert "--type names a column of --labels" in ended.stderr


@pytest.mark.slow
def test_several_sets_make_one_model(run, files: Path) -> None:
    """A second set of other compartments: unknown where a set does not speak of them,
    and each set stands in the report by itself.
    """
    table = pd.read_csv(files / "rna.tsv", sep="\t")
    second = table[["id", "Nucleus"]].copy()
    second.loc[[0, 1, 2], "Nucleus"] = 1 - second.loc[[0, 1, 2], "Nucleus"]
    second.to_csv(files / "second.tsv", sep="\t", index=False)
    sets = (
        '[sets.one]\nfasta = "rna.fa"\nlabels = "rna.tsv"\ntype = "lncRNA"\n'
        '[sets.two]\nfasta = "rna.fa"\nlabels = "second.tsv"\ntype = "mRNA"\n'
    )
    (files / "sets.toml").write_text(sets)
    (files / "both.toml").write_text(TOML.replace("[descriptors]", "[descriptors]\nweight = 0.5"))
    words = ("--fold", "2", "--config", "both.toml", "--workers", "1", "--no-baselines")
    trained = run("seq", "train", "--sets", "sets.toml", *words, "--out", "mine")
    assert trained.returncode == 0, trained.stderr
    sentence = "Conflicting labels of the RNAs shared by one and two: Nucleus 3 of 24."
    assert sentence in trained.stderr
    assert f"- {sentence}" in (files / "mine" / "report.md").read_text()
    conflicts = pd.read_csv(files / "mine" / "conflicts.tsv", sep="\t")
    assert conflicts["rna_1"].tolist() == [f"one|{name}" for name in table["id"][:3]]
    assert conflicts["rna_2"].tolist() == [f"two|{name}" for name in table["id"][:3]]
    assert (conflicts["label_1"] == table["Nucleus"][:3]).all()
    assert (conflicts["label_2"] == 1 - table["Nucleus"][:3]).all()
    found = pd.read_csv(files / "mine" / "metrics_by_set.tsv", sep="\t")
    assert set(found["set"]) == {"one", "two"}
    assert set(found["model"]) == {"model", "tower", "descriptor_trees", "own_set"}
    assert set(found.loc[found["set"] == "two", "compartment"]) >= {"Nucleus", "average"}
    assert "Exosome" not in set(found.loc[found["set"] == "two", "compartment"])
    labels = pd.read_csv(files / "mine" / "labels.tsv", sep="\t").set_index("rna_id")
    assert labels.filter(like="two|", axis=0)["Exosome"].isna().all()
    assert "## Within each set" in (files / "mine" / "report.md").read_text()
    folds = pd.read_csv(files / "mine" / "folds.tsv", sep="\t").set_index("rna_id")["fold"]
    assert (
        folds["one|made-up-1"] == folds["two|made-up-1"]
    )  # copies stay together, whatever set they are of
    beside = run("seq", "compare", "mine", "--baseline", "own_set", "--resamples", "100")
    assert beside.returncode == 0, beside.stderr
    assert (
        run(
            "predict", "--run", "mine", "--fasta", "rna.fa", "--rna-type", "mRNA", "--out", "p.tsv"
        ).returncode
        == 0
    )
    ended = run("seq", "train", "--sets", "sets.toml", "--rna-type", "mRNA")
    assert (ended.returncode, "--sets names sequences" in ended.stderr) == (2, True)
