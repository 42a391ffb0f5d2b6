"""Explanations against towers whose reasons are known:
masking, integrated gradients, words, filters and Tomtom.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mirnagraph.errors import InputError, MissingExtraError
from mirnagraph.seeds import generator
from seqtower.config import seq_config
from seqtower.data.motifs import Motif, read_meme, write_meme
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import fit_encoding
from seqtower.interpret.attribution import (
    MOST_MASKED,
    MaskingConfig,
    attribute,
    is_long_to_mask,
    mask_scan,
    masked_nucleotides,
    top_kmers,
    zipcodes,
)
from seqtower.interpret.motifs import filter_motifs, match_motifs
from seqtower.interpret.report import ExplainConfig, explain_to_folder
from seqtower.saved import SavedTower
from seqtower.towers.base import Tower, make_tower

WORD = "UGUAUAUA"


class Weighed(Tower):
    """Logit of each compartment: a weight per letter, summed over the RNA."""

    def __init__(self) -> None:
        super().__init__()
        self.output_dim = 4
        self.head = nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 0.0, 3.0, 0.5]]))

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of letters; even attention."""
        return (inputs * mask.unsqueeze(-1)).sum(dim=1), mask.unsqueeze(1) / mask.sum(dim=1)[
            :, None, None
        ]


def saved(tower: Tower, **lengths: object) -> SavedTower:
    config = (
        replace(seq_config("rnatracker"), lengths=LengthPolicy(**lengths))
        if lengths
        else seq_config("rnatracker")
    )
    return SavedTower(
        config,
        ("One", "Two"),
        "multi-label",
        tower.eval(),
        fit_encoding(config.encoder, config.lengths, ["ACGU"]),
        np.array([0.5, 0.5]),
        {},
    )


def finder(kind: str = "multi-label") -> SimpleNamespace:
    """A model that is sure of One where the word stands in the RNA, and never of Two."""

    def predict(sequences: list[str]) -> np.ndarray:
        one = np.array([0.95 if WORD in s else 0.05 for s in sequences])
        return np.column_stack([one, 1 - one if kind == "class" else np.full(len(one), 0.3)])

    return SimpleNamespace(predict=predict, kind=kind, compartments=("One", "Two"))


@pytest.mark.parametrize("kind", ["multi-label", "class"])
def test_masking_finds_the_word_and_nothing_else(kind: str) -> None:
    letters = "".join(generator(0, "masking test").choice(list("ACG"), 400))
    sequence = letters[:213] + WORD + letters[213:]
    config = MaskingConfig(window=20, stride=5, shuffles=5)
    scan = mask_scan(finder(kind), sequence, config)  # type: ignore[arg-type]
    assert scan["start"].iloc[-1] + 20 == len(sequence)
    hidden = (scan["start"] < 221) & (scan["end"] > 213)
    np.testing.assert_allclose(scan.loc[hidden, "One"], -0.9)
    assert (scan.loc[~hidden, "kl"] == 0).all()
    found = zipcodes(scan, ("One", "Two"), config)
    assert len(found) == 1
    region = found.iloc[0]
    assert (region["start"], region["end"], region["compartment"]) == (195, 240, "One")
    assert region["change"] == pytest.approx(-0.9)
    p, q = 0.95, 0.05
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert region["kl"] == pytest.approx(expected, rel=1e-4)


def test_rnas_that_are_long_to_mask() -> None:
    # 1 + 3 shuffles, each read whole and with 691 windows (starts 0, 10 … 6,900)
    assert masked_nucleotides([7000], MaskingConfig()) == 4 * 692 * 7000 < MOST_MASKED
    assert not is_long_to_mask(["A" * 7000, "A"], MaskingConfig())
    assert is_long_to_mask(["A", "A" * 7200], MaskingConfig())
    assert not is_long_to_mask(["A" * 7200], MaskingConfig(stride=20))


def test_an_rna_shorter_than_the_window_is_hidden_whole() -> None:
    scan = mask_scan(finder(), "ACGUACGU", MaskingConfig(window=100, shuffles=0))  # type: ignore[arg-type]
    assert scan[["start", "end"]].to_numpy().tolist() == [[0, 8]]
    assert scan["q_value"].isna().all()
    assert zipcodes(scan, ("One", "Two")).empty


def test_integrated_gradients_of_a_sum_are_its_terms() -> None:
    found = attribute(saved(Weighed()), "ACGUN", steps=8)
    np.testing.assert_allclose(found.values, [[1, 0], [2, 0], [0, 3], [-1, 0.5], [0, 0]], atol=1e-5)
    np.testing.assert_allclose(found.error, 0, atol=1e-5)
    cut = attribute(saved(Weighed(), keep="3-prime", length=2), "ACGUC", steps=8)
    assert cut.positions.tolist() == [3, 4]
    np.testing.assert_allclose(cut.values, [[-1, 0.5], [2, 0]], atol=1e-5)


def test_attributions_of_words_are_shared_by_their_letters() -> None:
    config = seq_config("el-rmlocnet")
    encoding = fit_encoding(config.encoder, config.lengths, ["ACGUACGUUGCA" * 3])
    torch.manual_seed(0)
    tower = make_tower(config.tower.name, config.tower.settings, encoding.channels, 2)
    model = SavedTower(
        config, ("One", "Two"), "multi-label", tower.eval(), encoding, np.array([0.5, 0.5]), {}
    )
    found = attribute(model, "ACGUACGUUGCA", steps=128)
    assert found.values.shape == (12, 2)
    np.testing.assert_allclose(found.values[0], found.values[1])  # one word of two letters
    assert np.abs(found.error).max() < 0.05


def test_top_kmers_are_those_with_the_highest_sums() -> None:
    model = saved(Weighed())
    pairs = [(s, attribute(model, s, steps=4)) for s in ("AAUCCCCCAA", "GGGGGAUAUAU")]
    words = top_kmers(pairs, ("One", "Two"), k=5, top=2)
    assert words[0][:2] == ("One", "CCCCC")
    assert words[0][2] == pytest.approx(10, abs=1e-4)
    assert ("Two", "GGGGG") in [w[:2] for w in words]


def planted_filter() -> SavedTower:
    """A fresh RNATracker whose first filter was set to the word."""
    config = seq_config("rnatracker")
    torch.manual_seed(0)
    tower = make_tower(config.tower.name, config.tower.settings, 4, 2)
    with torch.no_grad():
        layer = tower.convolutions[0].conv
        layer.weight.zero_()
        layer.bias.zero_()
        for offset, letter in enumerate(WORD):
            layer.weight[0, "ACGU".index(letter), offset + 1] = 1.0
        layer.bias[0] = -3.0
    return saved(tower)


def test_a_filter_becomes_the_motif_it_looks_for_and_tomtom_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqtower.interpret.motifs.SITE_SHARE", 0.9)
    rng = generator(1, "filters")
    sequences = []
    for _ in range(60):
        letters = "".join(rng.choice(list("ACGU"), 80))
        at = rng.integers(10, 60)
        sequences.append(letters[:at] + WORD + letters[at:])
    motifs = filter_motifs(planted_filter(), sequences)
    assert [m.name for m in motifs] == ["filter_0"]
    assert motifs[0].sites >= 60
    assert "".join("ACGU"[i] for i in motifs[0].frequencies[1:9].argmax(axis=1)) == WORD
    write_meme(motifs, tmp_path / "m.meme")
    again = read_meme(tmp_path / "m.meme")
    assert again[0].sites == motifs[0].sites
    np.testing.assert_allclose(again[0].frequencies, motifs[0].frequencies, atol=1e-5)
    known = [Motif(f"random {k}", rng.dirichlet(np.full(4, 0.3), 7), 20) for k in range(40)]
    exact = np.full((8, 4), 0.02) + 0.92 * np.eye(4)[["ACGU".index(letter) for letter in WORD]]
    matches = match_motifs(motifs, [*known, Motif("the word", exact, 20)])
    assert matches["known"].iloc[0] == "the word"
    assert matches["q_value"].iloc[0] < 0.05
    assert (matches["q_value"].iloc[1:] > 0.05).all()


MATRIX = "letter-probability matrix: alength= 4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\n", "line 2: another alphabet"),
        (
            "MOTIF a\nletter-probability matrix: alength= 4 w= 1\n 0.5 0.5 0.5 0.5\n",
            "line 3: not four frequencies that sum to 1",
        ),
        (
            "MOTIF a\nletter-probability matrix: alength= 4 w= 1\n 0.5 0.5 x 0\n",
            "line 3: not four frequencies",
        ),
        (f"MOTIF a\n{MATRIX} w= 1\n nan 0.5 0.5 0\n", "line 3: not four frequencies"),
        (
            f"MOTIF a\n{MATRIX} w= 2\n 0.5 0.5 0 0\nMOTIF b\n{MATRIX} w= 1\n 1 0 0 0\n",
            "line 4: the matrix of a is not as wide as it states; found 1 lines .* expected w= 2",
        ),
        (f"MOTIF a\n{MATRIX} w= x\n 1 0 0 0\n", "line 2: not a number of w; found x"),
        (f"MOTIF a\n{MATRIX} w= 1 nsites=\n 1 0 0 0\n", "line 2: not a number of nsites; found"),
        (f"MOTIF a\n{MATRIX} nsites= nan\n 1 0 0 0\n", "not a number of nsites; found nan"),
        (f"MOTIF a\nMOTIF b\n{MATRIX}\n 1 0 0 0\n", "line 2: the motif a has no matrix"),
        ("nothing\n", "no motif in MEME format"),
    ],
)
def test_wrong_motif_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.meme").write_text(text)
    with pytest.raises(InputError, match=words):
        read_meme(tmp_path / "x.meme")


def test_everything_is_written_or_nothing(tmp_path: Path) -> None:
    model = planted_filter()
    records = pd.DataFrame({"id": ["a/b", "c"], "sequence": ["ACGU" * 8, "GGCAU" * 6]})
    found = explain_to_folder(model, records, tmp_path / "why")
    names = {path.name for path in (tmp_path / "why").iterdir()}
    assert {
        "masking.tsv",
        "zipcodes.bed",
        "attribution.tsv",
        "attribution.bedgraph",
        "completeness.tsv",
        "words.tsv",
        "motifs.meme",
        "a_b.png",
        "c.png",
    } <= names
    table = pd.read_csv(tmp_path / "why" / "attribution.tsv", sep="\t")
    assert table.groupby("rna_id").size().to_dict() == {"a/b": 32, "c": 30}
    track = (tmp_path / "why" / "attribution.bedgraph").read_text().splitlines()
    assert len(track) == 2 * (1 + 62)
    assert track[1].split("\t")[:3] == ["a/b", "0", "1"]
    assert found["matches"] == 0
    with pytest.raises(InputError, match="no RNA to explain"):
        explain_to_folder(model, records.iloc[:0], tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_each_rna_has_a_picture_of_its_own(tmp_path: Path) -> None:
    long = "x" * 300
    records = pd.DataFrame(
        {"id": ["a/b", "a_b", "A_B", "..", long, long + "y"], "sequence": ["ACGU" * 3] * 6}
    )
    explain_to_folder(
        planted_filter(),
        records,
        tmp_path / "why",
        config=ExplainConfig(masking=MaskingConfig(shuffles=0)),
    )
    names = {path.name for path in (tmp_path / "why").glob("*.png")}
    assert names == {
        "a_b.png",
        "a_b_2.png",
        "A_B_3.png",
        "rna.png",
        f"{'x' * 100}.png",
        f"{'x' * 100}_2.png",
    }


@pytest.mark.filterwarnings("error")
def test_an_rna_without_a_letter_has_a_picture(tmp_path: Path) -> None:
    records = pd.DataFrame({"id": ["none"], "sequence": ["N" * 40]})
    explain_to_folder(
        planted_filter(),
        records,
        tmp_path / "why",
        config=ExplainConfig(masking=MaskingConfig(shuffles=0)),
    )
    assert (tmp_path / "why" / "none.png").is_file()


def test_without_the_extra_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = planted_filter()
    records = pd.DataFrame({"id": ["a"], "sequence": ["ACGU" * 8]})
    install = r"needs the extra 'interpret': pip install 'mirnagraph\[interpret\]'"
    for module in ("captum.attr", "memelite", "logomaker"):
        with monkeypatch.context() as blocked:
            blocked.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtraError, match=f"^`seq explain` {install}"):
                explain_to_folder(model, records, tmp_path / "why")
            assert not (tmp_path / "why").exists()
    motif = Motif("m", np.full((4, 4), 0.25), 20)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    monkeypatch.setitem(sys.modules, "memelite", None)
    with pytest.raises(MissingExtraError, match=install):
        attribute(model, "ACGU")
    with pytest.raises(MissingExtraError, match=install):
        match_motifs([motif], [motif])


@pytest.mark.slow
def test_all_commands_load_without_the_extra() -> None:
    blocked = "sys.modules.update(dict.fromkeys(['captum', 'memelite', 'logomaker']))"
    modules = "cli.seq, cli.seq_pretrain, seqtower.interpret.report, fusion.explain.sequence"
    code = f"import sys; {blocked}; import {modules}; import seqtower.pretraining.pretrain"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
