"""`mirnagraph seq pretrain` as a person types it, and `seq train --pretrained` after it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from seqtower import experiment
from seqtower.data import synthetic
from seqtower.data.motifs import write_meme
from seqtower.data.synthetic import planted_motifs, planted_sequences

TOML = """
[deeplocrna]
filters = 6
first_kernel = 8
blocks = 1
attention_units = 4
heads = 1
[training]
epochs = 2
batch_rnas = 8
inner_fraction = 0.2
"""


@pytest.fixture
def files(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sequences in two files, labels, motifs and quick settings in the empty folder that the
    command runs in.
    """
    monkeypatch.setattr(experiment, "K", 2)
    data = planted_sequences(30, longest=100).data
    records = [f">{name}\n{s}\n" for name, s in zip(data.index.ids, data.sequences, strict=True)]
    (in_empty_folder / "rna.fa").write_text("".join(records))
    (in_empty_folder / "more.fa").write_text(records[0] + ">other\nACGUACGUUAGC\n")
    table = pd.DataFrame(data.labels.astype(int), columns=list(data.compartments))
    table.insert(0, "id", list(data.index.ids))
    table.to_csv(in_empty_folder / "rna.tsv", sep="\t", index=False)
    write_meme(planted_motifs(), in_empty_folder / "m.meme")
    (in_empty_folder / "quick.toml").write_text(TOML)
    return in_empty_folder


QUICK = ("--config", "quick.toml", "--out")
PRETRAIN = ("seq", "pretrain", "--fasta", "rna.fa", "--fasta", "more.fa", *QUICK)
TRAIN = (
    "seq",
    "train",
    "--tower",
    "deeplocrna",
    "--fasta",
    "rna.fa",
    "--labels",
    "rna.tsv",
    "--fold",
    "2",
    "--workers",
    "1",
    *QUICK,
)


@pytest.mark.slow
def test_pretrain_on_motifs_then_train_from_it(run, files: Path) -> None:
    done = run(*PRETRAIN, "enc", "--motifs", "m.meme")
    assert done.returncode == 0, done.stderr
    assert "31 RNAs, 3 tracks (bounded); no labels are read" in done.stderr
    assert done.stdout.splitlines()[0].split("\t") == [
        "track",
        "measure",
        "validation RNAs",
        "dinucleotides alone",
    ]
    about = json.loads((files / "enc" / "encoder" / "model.json").read_text())
    assert (about["tower"], about["alphabet"], about["tracks"]) == (
        "deeplocrna",
        "ACGU",
        ["Nucleus", "Cytoplasm", "Exosome"],
    )
    trained = run(*TRAIN, "mine", "--pretrained", "enc")
    assert trained.returncode == 0, trained.stderr
    assert (
        json.loads((files / "mine" / "run.json").read_text())["inputs"]["pretrained"]
        == about["weights_sha256"]
    )
    assert (
        run("seq", "predict", "--run", "mine", "--fasta", "more.fa", "--out", "said.tsv").returncode
        == 0
    )
    again = run(*PRETRAIN, "enc", "--objective", "masked", "--overwrite", "--group", "none")
    assert again.returncode == 0, again.stderr
    ended = run(*TRAIN, "mine", "--pretrained", "enc")
    assert (ended.returncode, "a run with other settings, data or versions" in ended.stderr) == (
        3,
        True,
    ), ended.stderr


def test_it_works_with_no_arguments(run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planted_sequences(20, longest=80)
    monkeypatch.setattr(synthetic, "planted_sequences", lambda *_, **__: made)
    done = run("seq", "pretrain", "--config", "quick.toml")
    assert done.returncode == 0, done.stderr
    assert "20 RNAs (synthetic), 3 tracks (bounded)" in done.stderr
    assert (
        files / "runs" / "pretrained-deeplocrna-seed0" / "encoder" / "model.safetensors"
    ).is_file()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            (*PRETRAIN, "enc"),
            2,
            "no targets for --fasta: give --motifs FILE, --tracks FILE or --objective masked",
        ),
        (
            (*PRETRAIN, "enc", "--motifs", "m.meme", "--objective", "masked"),
            2,
            "--motifs, --tracks and --objective masked exclude each other",
        ),
        (("seq", "pretrain", "--tracks", "t.tsv"), 2, "--tracks needs the sequences of its RNAs"),
        ((*PRETRAIN, "enc", "--tracks", "rna.tsv"), 3, "rna_id"),
        (
            ("seq", "pretrain", "--tower", "rnatracker", "--objective", "masked"),
            2,
            "has no values per nucleotide to pre-train",
        ),
        ((*TRAIN, "mine", "--pretrained", "nowhere"), 3, "not a model folder (no model.json)"),
    ],
)
def test_wrong_use_ends_in_one_sentence(
    run, files: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    ended = run(*words)
    assert (ended.returncode, sentence in ended.stderr) == (code, True), ended.stderr
    assert not (files / "enc").exists()
    assert not (files / "mine").exists()


def test_one_id_with_two_sequences_is_refused(run, files: Path) -> None:
    (files / "more.fa").write_text(">other\nAC\n>made-up-2\nACGU\n")
    ended = run(*PRETRAIN, "enc", "--objective", "masked")
    assert (
        ended.returncode,
        "more.fa, line 3, column 2: same id with two sequences; found made-up-2" in ended.stderr,
    ) == (3, True), ended.stderr
