"""One tower trained in two processes: every RNA once per epoch over both,
checkpoints that both go on from, and a tower that has learned.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.seeds import generator
from seqtower.config import SeqConfig, seq_config
from seqtower.data.batches import Plan, count_devices, place
from seqtower.data.kmers import one_hot
from seqtower.predict import predict
from seqtower.towers.base import TowerConfig
from seqtower.towers.rnatracker import RNATrackerConfig
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.lightning import train_tower


def in_place(monkeypatch: pytest.MonkeyPatch, own: int, together: int) -> None:
    for module in ("seqtower.data.batches", "seqtower.training.lightning"):
        monkeypatch.setattr(f"{module}.place", lambda: (own, together))


@pytest.mark.parametrize("together", [1, 2, 3])
def test_processes_share_an_epoch_out(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(20, 300, 50)
    seen, steps, shares = [], set(), []
    for own in range(together):
        in_place(monkeypatch, own, together)
        share_out, shared = (
            Plan(np.arange(50), lengths, 1000, 8, seed=3),
            Plan(np.arange(50), lengths, 1000, 8, seed=None),
        )
        batches = list(share_out)
        steps |= {len(share_out), len(batches), len(share_out.shares())}
        shares.append(share_out.shares())
        seen += [
            row
            for rows, share in zip(batches, share_out.shares(), strict=True)
            if share > 0
            for row in rows
        ]
        assert sorted(np.concatenate(list(shared)).tolist()) == list(
            range(50)
        )  # what says when to stop is read by all
        assert all(len(rows) == 1 or lengths[rows].max() * len(rows) <= 1000 for rows in batches)
    assert sorted(seen) == list(range(50))
    assert len(steps) == 1, "a process with more steps than another would wait for ever"
    np.testing.assert_allclose(np.mean(shares, axis=0), 1)
    if together == 1:
        assert shares == [[1.0] * len(batches)]


def test_how_many_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() == (0, 1)
    assert count_devices(3) == 3
    for gpus, expected in ((0, 1), (1, 1), (4, 4)):
        monkeypatch.setattr("torch.cuda.device_count", lambda gpus=gpus: gpus)
        assert count_devices(0) == expected


def words(n: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Random RNAs of which every other one has a word in it."""
    rng = generator(0, "devices")
    sequences = ["".join(rng.choice(list("ACGU"), rng.integers(40, 70))) for _ in range(n)]
    labels = np.array([[1.0 - row % 2, float(row % 2)] for row in range(n)])
    return [
        one_hot(text[:9] + "UGUAUAUA" * (row % 2) + text[9:]) for row, text in enumerate(sequences)
    ], labels


def small(devices: int, epochs: int) -> SeqConfig:
    settings = RNATrackerConfig(filters=8, kernel=8, units=6, attention_units=6)
    config = seq_config("rnatracker", tower=TowerConfig("rnatracker", settings))
    training = replace(
        config.training,
        devices=devices,
        epochs=epochs,
        patience=epochs,
        batch_rnas=8,
        learning_rate=0.01,
        warm_up=5,
    )
    return replace(config, training=training)


@pytest.mark.slow
def test_two_processes_learn_and_go_on(tmp_path: Path) -> None:
    encoded, labels = words(90)
    fit, stop = np.arange(66), np.arange(66, 90)

    def trained(folder: str, epochs: int):
        return train_tower(
            encoded, labels, "class", fit, stop, small(2, epochs), 0, folder=tmp_path / folder
        )

    found = trained("whole", 16)
    assert [h[0] for h in found.history] == list(range(16))
    said = predict(found.tower, [encoded[row] for row in stop], "class", small(2, 16).training)
    assert (said.argmax(axis=1) == labels[stop].argmax(axis=1)).mean() > 0.9
    last = SafeCheckpointIO().load_checkpoint(tmp_path / "whole" / "last.ckpt")
    assert last["global_step"] == 5 * (
        last["epoch"] + 1
    )  # 9 batches of 8 RNAs at most are 5 steps of two
    trained("parts", 4)
    again = trained("parts", 16)
    assert again.history[-1][0] == 15
    np.testing.assert_allclose(
        again.history, found.history[-len(again.history) :], rtol=1e-3, atol=1e-4
    )
