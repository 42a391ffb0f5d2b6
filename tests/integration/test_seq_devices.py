"""One tower trained in two processes: each batch divided between both, the result of one process,
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
from seqtower.nn.losses import loss_weights
from seqtower.predict import predict
from seqtower.towers.base import TowerConfig
from seqtower.towers.cnn import CnnConfig
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.lightning import train_tower


def in_place(monkeypatch: pytest.MonkeyPatch, own: int, together: int) -> None:
    monkeypatch.setattr("seqtower.data.batches.place", lambda: (own, together))


def divided(lengths: np.ndarray, tokens: int, most: int, seed: int | None = 3) -> Plan:
    plan = Plan(np.arange(len(lengths)), lengths, tokens, most, seed)
    plan.is_divided = True
    return plan


@pytest.mark.parametrize("together", [1, 2, 3])
@pytest.mark.parametrize("seed", [3, None])
def test_processes_divide_the_batches_of_one(
    together: int, seed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = np.random.default_rng(0).integers(20, 300, 50)
    alone = [set(rows.tolist()) for rows in divided(lengths, 1000, 8, seed)]
    assert min(map(len, alone)) < 4, "a batch with fewer RNAs than some have processes"
    read: list[set[int]] = [set() for _ in alone]
    weight = np.zeros(len(alone))
    for own in range(together):
        in_place(monkeypatch, own, together)
        plan = divided(lengths, 1000, 8, seed)
        parts, shares = list(plan), plan.shares()
        assert len(parts) == len(shares) == len(plan) == len(alone), "all take every step"
        for step, (rows, (share, n_rnas)) in enumerate(zip(parts, shares, strict=True)):
            assert n_rnas == len(alone[step])
            assert len(rows) >= 1
            assert share == pytest.approx(len(rows) / n_rnas) or share == 0
            weight[step] += share
            if share:
                assert read[step].isdisjoint(rows.tolist())
                read[step] |= set(rows.tolist())
    assert read == alone
    np.testing.assert_allclose(weight, 1)


def test_a_part_counts_by_its_known_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    in_place(monkeypatch, 0, 2)
    plan = divided(np.array([9, 9, 9, 9]), 100, 4, None)
    nan = np.nan
    labels = np.array([[1, 0], [nan, nan], [nan, 1], [nan, nan]])
    plan.weights = loss_weights("multi-label", labels)
    assert plan.weights.tolist() == [2, 0, 1, 0]
    assert plan.shares() == [(2 / 3, 4)], "rows 0 and 1"
    plan.weights = loss_weights("class", labels)
    assert plan.weights.tolist() == [1, 0, 0, 0]
    assert plan.shares() == [(1, 4)]
    plan.weights = np.zeros(4)
    assert plan.shares() == [(0.5, 4)], "no label is known: the loss is 0 anyway"
    assert Plan(np.arange(4), np.full(4, 9), 100, 4, None).shares() == [(1, 4)], "not divided"


def test_the_time_that_a_process_waits() -> None:
    plan = divided(np.array([10, 30, 10, 10, 20, 20]), 1000, 4, None)
    assert [sorted(plan.lengths[batch].tolist()) for batch in plan.batches()] == [
        [10, 10, 10, 20],
        [20, 30],
    ]
    # step 0: 20, and three of 10; step 1: 30 and 20, turned by one process
    assert plan.waiting(2) == pytest.approx(1 - 40 / 60)
    assert plan.waiting(1) == 0
    assert divided(np.zeros(0, dtype=np.int64), 9, 9).waiting(2) == 1


@pytest.mark.parametrize("together", [2, 4, 8])
def test_no_process_waits_for_a_tenth_of_an_epoch(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = generator(0, "lengths")
    uniform = rng.integers(1000, 3001, 4000)
    long_tail = np.exp(rng.normal(np.log(1500), 0.8, 4000)).astype(int).clip(200, 30_000)
    for lengths in (uniform, long_tail):
        plan = divided(lengths, 32_768 * together, 64 * together)
        assert 0 < plan.waiting(together) < 0.1
        work = []
        for own in range(together):
            in_place(monkeypatch, own, together)
            fresh = divided(lengths, 32_768 * together, 64 * together)
            parts = fresh.own_parts()
            work.append([len(part) * lengths[part].max(initial=0) for part in parts])
        waits = 1 - np.sum(work, axis=1) / np.max(work, axis=0).sum()
        assert waits.max() == pytest.approx(plan.waiting(together))


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
    settings = CnnConfig(filters=8, kernel=8, dropout=0.0)
    config = seq_config("rnatracker", tower=TowerConfig("cnn", settings))
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

    found = trained("whole", 9)
    assert [h[0] for h in found.history] == list(range(9))
    said = predict(found.tower, [encoded[row] for row in stop], "class", small(2, 9).training)
    assert (said.argmax(axis=1) == labels[stop].argmax(axis=1)).mean() > 0.9
    last = SafeCheckpointIO().load_checkpoint(tmp_path / "whole" / "last.ckpt")
    assert last["global_step"] == 9 * (last["epoch"] + 1), "as many steps as one process takes"
    trained("parts", 4)
    again = trained("parts", 9)
    assert again.history[-1][0] == 8
    np.testing.assert_allclose(
        again.history, found.history[-len(again.history) :], rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    encoded, labels = words(60)
    labels[::7, 0] = np.nan
    labels[3] = np.nan
    fit, stop = np.arange(44), np.arange(44, 60)
    config = small(1, 3)
    config = replace(config, training=replace(config.training, clip=0.5))
    towers = {}
    for devices in (1, 2):
        training = replace(config.training, devices=devices)
        given = replace(config, training=training)
        folder = tmp_path / str(devices)
        towers[devices] = train_tower(
            encoded, labels, "multi-label", fit, stop, given, 0, folder=folder
        )
    one, two = towers[1], towers[2]
    assert one.best_epoch == two.best_epoch
    np.testing.assert_allclose(one.history, two.history, rtol=1e-5)
    of_two = two.tower.state_dict()
    for name, weights in one.tower.state_dict().items():
        np.testing.assert_allclose(weights, of_two[name], rtol=1e-4, atol=1e-5)
