"""One tower trained in two processes: each batch divided between both, the result of one process,
checkpoints that both go on from, and a tower that has learned.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.plugins.environments import LightningEnvironment

from mirnagraph.errors import ConfigError
from mirnagraph.seeds import generator
from seqtower.config import SeqConfig, seq_config
from seqtower.data.kmers import one_hot
from seqtower.predict import predict
from seqtower.towers.base import TowerConfig
from seqtower.towers.cnn import CnnConfig
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.lightning import Together, train_tower
from seqtower.training.processes import count_devices


def test_how_many_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert count_devices(4) == 4
    with pytest.raises(ConfigError, match="'devices' is 99, expected at most 4, the cores of"):
        count_devices(99)
    for gpus, expected in ((0, 1), (1, 1), (4, 4)):
        monkeypatch.setattr("torch.cuda.device_count", lambda gpus=gpus: gpus)
        assert count_devices(0) == expected
    with pytest.raises(ConfigError, match="'devices' is 5, expected at most 4, the GPUs of this"):
        count_devices(5)
    monkeypatch.setenv("WORLD_SIZE", "12")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "6")
    monkeypatch.setattr("seqtower.training.processes.n_joined", lambda: 12)
    with pytest.raises(ConfigError, match="'devices' is 6, expected at most 4"):
        count_devices(0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 6)
    assert count_devices(0) == 12, "six on each of two machines"


def test_a_fresh_process_leaves_the_others(tmp_path: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", rank=0, world_size=1, init_method=f"file://{tmp_path}/store"
    )
    strategy = Together()
    strategy.cluster_environment = LightningEnvironment()
    strategy.accelerator = CPUAccelerator()
    strategy.teardown()
    assert not torch.distributed.is_initialized()
    strategy.teardown()


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
        training = replace(config.training, devices=devices, batch_parts=2)
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
