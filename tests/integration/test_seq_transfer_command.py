"""`mirnagraph seq pretrain --sets` as a person types it, and `seq train --pretrained` after it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqtower import experiment
from seqtower.data.synthetic import planted_sequences

TOML = """
[tower.settings]
letters = 1
letter_filters = 4
dim = 8
heads = 2
queries = 2
hidden = 8
members = 2
[encoder]
name = "one-hot"
settings = {}
[whole]
blocks = ["length"]
components = 4
[training]
epochs = 2
least_steps = 0
batch_rnas = 8
inner_fraction = 0.2
"""

SETS = """
[sets.large]
fasta = "large.fa"
labels = "large.tsv"
label = ["Nucleus", "Cytoplasm"]
group = "gene"
type = "mRNA"
[sets.classes]
fasta = "classes.fa"
labels = "classes.tsv"
type = "lncRNA"
"""

PRETRAIN = ("seq", "pretrain", "--sets", "sets.toml", "--config", "quick.toml", "--out", "start")
TARGET = ("--target", "small.fa")
GENES = ("--target-labels", "small.tsv", "--gene", "gene")
TRAIN = (
    *("seq", "train", "--tower", "long", "--config", "quick.toml", "--out", "mine"),
    *("--fasta", "small.fa", "--labels", "small.tsv", "--label", "Nucleus", "--label", "Exosome"),
    *("--group", "gene", "--fold", "2", "--workers", "1", "--no-baselines"),
)


def write_set(folder: Path, name: str, seed: int, n: int, genes: list[str], first: list[str]):
    """FASTA file and labels of planted RNAs, the first with other sequences."""
    data = planted_sequences(n, seed=seed, longest=80).data
    sequences = [*first, *data.sequences[len(first) :]]
    ids = [f"{name}{row}" for row in range(n)]
    records = [f">{rna}\n{s}\n" for rna, s in zip(ids, sequences, strict=True)]
    (folder / f"{name}.fa").write_text("".join(records))
    table = pd.DataFrame(data.labels.astype(int), columns=list(data.compartments))
    table.insert(0, "id", ids)
    table["gene"] = genes
    table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    return sequences


@pytest.fixture
def files(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A large set, a set of classes and a small target in the folder that the command runs in."""
    monkeypatch.setattr(experiment, "K", 2)
    folder = in_empty_folder
    small = write_set(folder, "small", 1, 20, [f"T{row}" for row in range(20)], [])
    genes = [f"G{row}" for row in range(40)]
    near = small[1][:20] + "ACGU" + small[1][20:]
    write_set(folder, "large", 2, 40, [*genes[:2], "t7", *genes[3:]], [small[0], near])
    write_set(folder, "classes", 3, 30, genes[:30], [small[4]])
    table = pd.read_csv(folder / "classes.tsv", sep="\t")
    table = table.assign(place=np.where(table["Nucleus"] == 1, "nuclear", "other"))
    table[["id", "place"]].to_csv(folder / "classes.tsv", sep="\t", index=False)
    (folder / "sets.toml").write_text(SETS)
    (folder / "quick.toml").write_text(TOML)
    return folder


@pytest.mark.slow
def test_pretrain_on_sets_then_train_from_it(run, files: Path) -> None:
    done = run(*PRETRAIN, *TARGET, *GENES)
    assert done.returncode == 0, done.stderr
    assert (
        "4 of 70 RNAs were cut for the target: 2 of the same sequence, 1 near-copies, 1 more of "
        "the same gene. 66 RNAs left."
    ) in " ".join(done.stderr.split())
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == ["output", "n_train", "n_validation", "n_positive", "auc", "aupr"]
    outputs = ["large:Nucleus", "large:Cytoplasm", "classes:nuclear", "classes:other"]
    assert [line[0] for line in lines[1:]] == outputs
    cut = pd.read_csv(files / "start" / "cut.tsv", sep="\t")
    assert cut.to_numpy().tolist() == [
        ["large|large0", "same sequence", "small0"],
        ["large|large1", "near-copy", "small1"],
        ["large|large2", "gene", "small7"],
        ["classes|classes0", "same sequence", "small4"],
    ]
    trained = run(*TRAIN, "--pretrained", "start")
    assert trained.returncode == 0, trained.stderr
    words = "pre-trained on the labels of 66 RNAs of the sets large, classes"
    assert words in " ".join(trained.stderr.split())
    report = (files / "mine" / "report.md").read_text()
    assert words in report
    assert "2 RNAs of the same sequence, 1 near-copies, 1 more of the same gene" in report
    about = json.loads((files / "start" / "tower" / "model.json").read_text())
    inputs = json.loads((files / "mine" / "run.json").read_text())["inputs"]
    assert inputs["pretrained"] == about["weights_sha256"]
    predicted = run("seq", "predict", "--run", "mine", "--fasta", "large.fa", "--out", "p.tsv")
    assert predicted.returncode == 0, predicted.stderr
    kept = run(*PRETRAIN, *TARGET, *GENES, "--resume")
    assert (kept.returncode, kept.stdout) == (0, "")


def test_a_set_that_the_pre_training_read_is_refused(run, files: Path) -> None:
    done = run(*PRETRAIN, *TARGET, "--group", "none")
    assert done.returncode == 0, done.stderr
    assert "genes were not compared" in done.stderr
    words = [word.replace("small", "large") for word in TRAIN]
    ended = run(*words, "--pretrained", "start")
    assert ended.returncode == 3
    assert "the pre-training served another target and read RNAs of this set" in ended.stderr
    assert "found 38 of 40 sequences among its RNAs" in ended.stderr
    assert not (files / "mine").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (PRETRAIN, 2, "--sets needs --target: the FASTA file of the set that is trained later"),
        ((*PRETRAIN, *TARGET, "--fasta", "small.fa"), 2, "--sets trains on labels; omit --fasta"),
        ((*PRETRAIN, *TARGET, "--gene", "gene"), 2, "--target-labels and --gene belong together"),
        ((*PRETRAIN, *TARGET, "--group", "gene"), 2, "expected 'cluster' or 'none'"),
        (
            ("seq", "pretrain", *TARGET),
            2,
            "--target, --target-labels, --gene and --rna-type belong",
        ),
        ((*PRETRAIN, "--target", "none.fa"), 3, "none.fa"),
        ((*PRETRAIN, *TARGET, "--rna-type", "x"), 2, "unknown type of RNA 'x'"),
        (
            ("seq", "pretrain", "--sets", "one.toml", "--target", "large.fa", "--out", "start"),
            3,
            "no labelled set is left to pre-train on; found 0 RNAs that are not of the target",
        ),
        (
            ("seq", "pretrain", "--sets", "shares.toml", *TARGET, "--out", "start"),
            3,
            "the set 'large' has fractions as labels",
        ),
    ],
)
def test_wrong_use_ends_in_one_sentence(
    run, files: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    one = SETS.split("[sets.classes]")[0]
    (files / "one.toml").write_text(one)
    (files / "shares.toml").write_text(one.replace("large.tsv", "shares.tsv"))
    table = pd.read_csv(files / "large.tsv", sep="\t")
    shares = np.where(table["Nucleus"] == 1, 0.25, 0.5)
    table = table.assign(Nucleus=shares, Cytoplasm=1 - shares)
    table.to_csv(files / "shares.tsv", sep="\t", index=False)
    ended = run(*words)
    assert (ended.returncode, sentence in ended.stderr) == (code, True), ended.stderr
    assert not (files / "start").exists()
