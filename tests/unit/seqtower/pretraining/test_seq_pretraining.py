"""Pre-training: tracks by hand, encoders that learn them, towers that start from them,
and what does not fit.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mirnagraph.errors import CheckpointError, ConfigError, InputError
from seqtower import experiment
from seqtower.config import SeqConfig, seq_config
from seqtower.data.batches import collate
from seqtower.data.kmers import one_hot
from seqtower.data.motifs import Motif
from seqtower.data.synthetic import WORDS, planted_motifs, planted_sequences
from seqtower.encoders.base import EncoderConfig
from seqtower.pretraining import pretrain as pretraining
from seqtower.pretraining.checkpoint import load_pretrained
from seqtower.pretraining.pretrain import PretrainConfig, pretrain
from seqtower.pretraining.tracks import BOUNDED, COUNTS, Tracks, motif_tracks, read_tracks
from seqtower.run import run_seq
from seqtower.towers.base import TowerConfig, make_tower
from seqtower.towers.deeplocrna import DeepLocRNAConfig
from seqtower.towers.rnaloc_lm import RNALocLMConfig

TABLE = "rna_id\tstart\tend\tP\tQ\n"


def small(tower: str = "deeplocrna", **training: object) -> SeqConfig:
    config = seq_config(tower, n_folds=2, group="none")
    # a few dozen steps, which a warm-up would eat
    settings = {
        "epochs": 12,
        "patience": 12,
        "learning_rate": 0.01,
        "batch_rnas": 8,
        "inner_fraction": 0.15,
        "weight_decay": 0.0,
        "schedule": "constant",
        **training,
    }
    deep = DeepLocRNAConfig(
        filters=12, first_kernel=10, kernel=3, blocks=1, heads=2, attention_units=4, dropout=0.0
    )
    language = RNALocLMConfig(
        token_dim=8, filters=8, widths=(3, 5), units=4, heads=2, attention_units=4, dropout=0.0
    )
    towers = {"deeplocrna": deep, "rnaloc-lm": language}
    name = config.tower.name
    return replace(
        config,
        tower=TowerConfig(name, towers.get(name)),
        training=replace(config.training, **settings),
    )


def synthetic(n: int = 80) -> pd.DataFrame:
    data = planted_sequences(n, longest=110).data
    return pd.DataFrame({"id": list(data.index.ids), "sequence": list(data.sequences)})


def test_sites_of_a_motif_by_hand() -> None:
    eye = np.eye(4)
    motif = Motif("GA", np.array([eye[2], eye[0]]), 20)
    sequences = ["CGAC", "N", "GNAU" + "ACGU" * 2000]
    tracks = motif_tracks([motif, Motif("U", eye[[3]], 20)], sequences, prior=0.01)
    assert (tracks.names, tracks.kind, tracks.rows.tolist()) == (("GA", "U"), BOUNDED, [0, 1, 2])
    letters = "".join(sequences)
    share = {
        letter: (letters.count(letter) + 1) / (len(letters.replace("N", "")) + 4)
        for letter in "ACGU"
    }

    def probability(*pairs: tuple[str, str]) -> float:
        odds = (
            0.01
            / 0.99
            * np.prod(
                [
                    (0.99 * (want == found) + 0.01 * share[found]) / share[found]
                    for want, found in pairs
                    if found != "N"
                ]
            )
        )
        return float(odds / (1 + odds))

    found = tracks.of(0)
    np.testing.assert_allclose(found[1:3, 0], probability(("G", "G"), ("A", "A")), rtol=1e-4)
    np.testing.assert_allclose(found[0, 0], probability(("G", "C"), ("A", "G")), rtol=1e-4)
    np.testing.assert_allclose(tracks.of(2)[:2, 0], probability(("G", "G"), ("A", "N")), rtol=1e-4)
    assert tracks.of(1)[0, 0] == 0, "shorter than the motif"
    assert tracks.of(1)[0, 1] == pytest.approx(0.01), "an N says nothing"
    assert found.shape == (4, 2)


def test_a_table_of_tracks_is_read_as_stretches(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(
        TABLE + "b\t0\t2\t0.5\t1\nb\t3\t4\t1\t0\nelsewhere\t0\t9\tx\t\na\t1\t3\t0\t0.25\n"
    )
    tracks = read_tracks(path, ["a", "none", "b"], ["ACG", "AC", "ACGU"])
    assert (tracks.names, tracks.kind, tracks.rows.tolist()) == (("P", "Q"), BOUNDED, [0, 2])
    np.testing.assert_array_equal(tracks.of(2), [[0.5, 1], [0.5, 1], [0, 0], [1, 0]])
    np.testing.assert_array_equal(tracks.of(0), [[0, 0], [0, 0.25], [0, 0.25]])
    path.write_text(TABLE + "a\t0\t2\t7\t1\n")
    assert read_tracks(path, ["a"], ["ACG"]).kind == COUNTS


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "a\t0\t2\tx\t1\n",
            "line 2, column 'P': not a signal; found x, expected a number of 0 or more",
        ),
        ("a\t0\t2\t1\t-1\n", "line 2, column 'Q': not a signal; found -1"),
        ("a\t0\t2\t1\t\n", "line 2, column 'Q': not a signal"),
        (
            "a\t0.5\t2\t1\t1\n",
            "line 2, column 'start': not a position; found 0.5, expected a whole number",
        ),
        (
            "a\t1\t5\t1\t1\n",
            (
                "line 2, column 'end': an interval outside its RNA; "
                "found 1 to 5, expected 0 <= start < end <= 4"
            ),
        ),
        ("a\t2\t2\t1\t1\n", "an interval outside its RNA; found 2 to 2"),
        (
            "a\t2\t4\t1\t1\nb\t0\t1\t1\t1\na\t0\t3\t1\t1\n",
            (
                "line 2, column 'start': intervals of one RNA overlap; "
                "found 2, expected 3 or more (line 4)"
            ),
        ),
        ("z\t0\t2\t1\t1\n", "no RNA of the table is among the sequences"),
        ("a\t0\t2\t1\t0\n", "column 'Q': a track with one value throughout; found 0"),
    ],
)
def test_wrong_tracks_are_refused_where_they_stand(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(TABLE + lines)
    with pytest.raises(InputError) as caught:
        read_tracks(path, ["a", "b"], ["ACGU", "ACGU"])
    assert words in str(caught.value)
    path.write_text("rna_id\tstart\tend\na\t0\t1\n")
    with pytest.raises(InputError, match="no column of a protein"):
        read_tracks(path, ["a", "b"], ["ACGU", "ACGU"])


@pytest.mark.parametrize("preset", ["deeplocrna", "rnaloc-lm"])
def test_features_are_per_nucleotide_and_the_same_in_every_batch(preset: str) -> None:
    torch.manual_seed(0)
    config = seq_config(preset).tower
    tower = make_tower(config.name, config.settings, 4, 2).eval()
    both, alone = (
        collate([one_hot("ACGUUGCANNACGUACGG"), one_hot("GGACU")], [0, 1]),
        collate([one_hot("GGACU")], [1]),
    )
    together = tower.features(both.inputs, both.mask)
    assert together.shape == (2, 18, tower.feature_dim)
    torch.testing.assert_close(
        together[1, :5], tower.features(alone.inputs, alone.mask)[0], atol=1e-6, rtol=1e-5
    )


@pytest.mark.slow
def test_an_encoder_learns_sites_and_a_tower_starts_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "K", 1)
    records = synthetic()
    tracks = motif_tracks(planted_motifs(), list(records["sequence"]))
    figures, run = pretrain(records, tracks, PretrainConfig(model=small()), tmp_path / "enc")
    assert figures is not None
    assert figures["track"].tolist() == list(WORDS)
    assert figures["held_out"].mean() > figures["first_order"].mean() + 0.2
    assert not (run.path / "checkpoints").exists()
    assert (
        pretrain(records, tracks, PretrainConfig(model=small()), tmp_path / "enc", resume=True)[0]
        is None
    )

    config = replace(small(epochs=1, learning_rate=1e-9), pretrained=str(tmp_path / "enc"))
    found = load_pretrained(config)
    assert found.about["tracks"] == list(WORDS)
    assert {name.split(".")[0] for name in found.tensors} == {"first", "blocks", "norms"}
    data = planted_sequences(20, longest=80).data
    work = experiment.prepare_work(data, config, tmp_path / "run", np.arange(20))
    tower = experiment.fit_rows(work, np.arange(20), 0, tmp_path / "c").trained.tower
    weights = tower.state_dict()
    for name, value in found.tensors.items():
        torch.testing.assert_close(weights[name], value, atol=1e-6, rtol=0)
    _, folder = run_seq(data, config, tmp_path / "run")
    assert folder.read()["inputs"]["pretrained"] == found.sha256
    assert (
        "Every fold started from the pre-trained encoder" in (folder.path / "report.md").read_text()
    )
    other = pretrain(
        records, tracks, PretrainConfig(model=small(epochs=1)), tmp_path / "enc", overwrite=True
    )[1]
    assert other.finished is False
    with pytest.raises(InputError, match="a run with other settings, data or versions"):
        run_seq(data, config, tmp_path / "run")
    _refusals(tmp_path / "enc" / "encoder", config)


def with_settings(config: SeqConfig, **settings: object) -> SeqConfig:
    tower = TowerConfig(config.tower.name, replace(config.tower.settings, **settings))
    return replace(config, tower=tower)


def _refusals(encoder: Path, config: SeqConfig) -> None:
    for other, words in (
        (replace(config, pretrained="nowhere"), "not a model folder (no model.json)"),
        (
            replace(config, tower=TowerConfig("rnaloc-lm")),
            "column 'tower': the encoder is of another tower; found deeplocrna, expected rnaloc-lm",
        ),
        (
            with_settings(config, filters=13),
            "column 'filters': the encoder has another setting; found 12, expected 13",
        ),
        (
            replace(config, encoder=EncoderConfig("geneticseq2vec")),
            "reads another alphabet than the tower",
        ),
    ):
        with pytest.raises(CheckpointError) as caught:
            load_pretrained(other)
        assert words in str(caught.value)
    load_pretrained(with_settings(config, heads=3, dropout=0.5))  # the encoder has neither
    text = (encoder / "model.json").read_text()
    about = json.loads(text)
    for change, words in (
        ({"alphabet": "ACGT"}, "changed after the model was saved"),
        ({"format_version": 9}, "another format version"),
        ({"weights_sha256": "0"}, "are not those"),
    ):
        (encoder / "model.json").write_text(json.dumps(about | change))
        with pytest.raises(CheckpointError, match=words):
            load_pretrained(config)
    (encoder / "model.json").write_text(text)
    (encoder / "model.safetensors").write_bytes((encoder / "model.safetensors").read_bytes()[:80])
    with pytest.raises(CheckpointError, match="damaged or missing weights"):
        load_pretrained(config)


@pytest.mark.slow
def test_counts_are_learned_by_their_shape(tmp_path: Path) -> None:
    records = synthetic()
    sites = motif_tracks(planted_motifs()[:1], list(records["sequence"]))
    depth = np.random.default_rng(0).integers(1, 500, len(records))
    counts = Tracks(
        sites.names, COUNTS, sites.rows, lambda row: np.round(depth[row] * (sites.of(row) + 0.01))
    )
    figures, _ = pretrain(records, counts, PretrainConfig(model=small()), tmp_path / "enc")
    assert figures is not None
    assert figures["held_out"][0] > figures["first_order"][0] + 0.1


@pytest.mark.parametrize("tower", ["deeplocrna", "rnaloc-lm"])
def test_hidden_letters_are_learned_from_their_neighbours(tower: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rnas = [
        "".join(letter * 3 for letter in rng.choice(list("ACGU"), rng.integers(10, 25)))
        for _ in range(60)
    ]
    records = pd.DataFrame({"id": [f"r{i}" for i in range(60)], "sequence": rnas})
    figures, _ = pretrain(
        records, None, PretrainConfig("masked", model=small(tower)), tmp_path / "enc"
    )
    assert figures is not None
    table = figures.set_index("measure")
    assert table.loc["cross-entropy", "held_out"] < table.loc["cross-entropy", "first_order"]
    assert table.loc["accuracy", "held_out"] > 0.5


def test_pre_training_that_was_killed_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = synthetic(24)
    config = PretrainConfig("masked", model=small(epochs=3))
    whole, one = pretrain(records, None, config, tmp_path / "whole")
    report, calls = pretraining.Pretraining.on_train_epoch_start, []

    def stop(self: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("killed")
        report(self)  # type: ignore[arg-type]

    monkeypatch.setattr(pretraining.Pretraining, "on_train_epoch_start", stop)
    with pytest.raises(RuntimeError, match="killed"):
        pretrain(records, None, config, tmp_path / "parts")
    monkeypatch.undo()
    again, two = pretrain(records, None, config, tmp_path / "parts")
    assert whole is not None
    pd.testing.assert_frame_equal(whole, again)
    assert (one.path / "encoder" / "model.safetensors").read_bytes() == (
        two.path / "encoder" / "model.safetensors"
    ).read_bytes()


def test_what_cannot_be_pre_trained_is_refused(tmp_path: Path) -> None:
    records = synthetic(8)
    with pytest.raises(
        ConfigError, match="the tower RNATracker has no values per nucleotide to pre-train"
    ):
        pretrain(
            records, None, PretrainConfig("masked", model=small("rnatracker")), tmp_path / "enc"
        )
    with pytest.raises(ConfigError, match="pre-training reads single nucleotides"):
        PretrainConfig(model=small("el-rmlocnet"))
    with pytest.raises(
        ConfigError, match="tracks with the objective 'tracks', and none with 'masked'"
    ):
        pretrain(records, None, PretrainConfig(model=small()), tmp_path / "enc")
    with pytest.raises(
        InputError, match="too few RNAs for training, early stopping and metrics; found 2"
    ):
        pretrain(records[:2], None, PretrainConfig("masked", model=small()), tmp_path / "few")
    assert not (tmp_path / "few").exists()
