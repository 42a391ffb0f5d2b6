"""Types of RNAs: read and refused by line and column, told to every tower, kept with the model,
passed on by the explanations.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mirnagraph.config import preset_names
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.seeds import generator
from seqtower import experiment
from seqtower.config import seq_config
from seqtower.data.batches import collate
from seqtower.data.kmers import one_hot
from seqtower.data.labels import join, read_labels
from seqtower.data.sequences import (
    RNA_TYPES,
    SequenceSet,
    sequences_sha256,
    type_numbers,
    vocabulary,
)
from seqtower.data.synthetic import planted_sequences
from seqtower.interpret.attribution import MaskingConfig, attribute, mask_scan
from seqtower.run import run_seq
from seqtower.saved import load_tower
from seqtower.towers.base import TowerConfig, make_tower
from seqtower.towers.rnatracker import RNATrackerConfig

LONG, SHORT = "ACGUUGCANNACGUACGGAUUCGAUCGA", "GGACUUACG"


def typed(n: int = 60) -> SequenceSet:
    """Made-up RNAs whose type alone leads to the first compartment."""
    data = planted_sequences(n, longest=80).data
    rng = generator(0, "types of the test")
    lnc = rng.random(n) < 0.5
    labels = np.column_stack([lnc, rng.random((n, 2)) < 0.5]).astype(float)
    return replace(data, labels=labels, types=tuple("lncRNA" if yes else "miRNA" for yes in lnc))


def small() -> object:
    config = seq_config("rnatracker", n_folds=2, group="none")
    settings = RNATrackerConfig(filters=4, kernel=4, units=4, attention_units=4, dropout=0.0)
    training = replace(config.training, epochs=25, patience=25, learning_rate=0.02, batch_rnas=16)
    return replace(
        config,
        tower=TowerConfig("rnatracker", settings),
        training=training,
    )


def test_types_are_read_and_refused_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "s.fa").write_text(">a\nACGU\n>b\nGGGU\n>c\nGG\n")
    table = tmp_path / "l.tsv"
    table.write_text("id\tN\tkind\na\t1\tLNCRNA\nb\t0\tmirna\n")
    labels = read_labels(table, rna_types="kind")
    assert list(labels.values.columns) == ["N"]
    found = join(tmp_path / "s.fa", labels)
    assert found.types == ("lncRNA", "miRNA")
    assert vocabulary(found.types) == ("miRNA", "lncRNA")
    assert type_numbers(found.types or (), vocabulary(found.types)).tolist() == [1, 0]
    assert sequences_sha256(found) != sequences_sha256(replace(found, types=("miRNA", "miRNA")))
    assert join(tmp_path / "s.fa", read_labels(table, ["N"])).types is None
    table.write_text("id\tN\tkind\na\t1\tlncRNA\nb\t0\ttRNA\n")
    with pytest.raises(
        InputError,
        match=(
            "line 3, column 'kind': an unknown type of RNA; "
            f"found tRNA, expected one of {', '.join(RNA_TYPES)}"
        ),
    ):
        read_labels(table, rna_types="kind")
    with pytest.raises(ConfigError, match="no column 'species'"):
        read_labels(table, rna_types="species")


@pytest.mark.parametrize("preset", preset_names("seqtower"))
def test_every_tower_is_told_and_no_batch_changes_an_answer(preset: str) -> None:
    config = seq_config(preset).tower
    settings = config.settings
    if preset == "long":  # one-hot letters in place of patches
        settings = replace(settings, letters=0)
    torch.manual_seed(0)
    plain = make_tower(config.name, settings, 4, 3).eval()
    torch.manual_seed(0)
    tower = make_tower(config.name, settings, 4, 3, n_types=2).eval()
    both = collate([one_hot(LONG), one_hot(SHORT)], [0, 1], types=np.array([0, 1]))
    torch.testing.assert_close(
        tower(both.inputs, both.mask, both.types), plain(both.inputs, both.mask)
    )  # tags start at 0
    assert tower.tags is not None
    torch.nn.init.normal_(tower.tags[0].weight)
    together = tower(both.inputs, both.mask, both.types)
    alone = collate([one_hot(SHORT)], [1], types=np.array([1]))
    torch.testing.assert_close(
        tower(alone.inputs, alone.mask, alone.types)[0], together[1], atol=1e-6, rtol=1e-5
    )
    other = tower(both.inputs, both.mask, torch.tensor([0, 0]))
    torch.testing.assert_close(other[0], together[0])
    assert not torch.allclose(other[1], together[1])
    with pytest.raises(ConfigError, match="was trained with RNA types and needs them"):
        tower(both.inputs, both.mask)
    with pytest.raises(ConfigError, match="not conditioned on RNA types"):
        plain(both.inputs, both.mask, both.types)


@pytest.mark.slow
def test_a_model_learns_from_types_keeps_them_and_asks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "K", 1)
    data = typed()
    result, folder = run_seq(data, small(), tmp_path / "run")  # type: ignore[arg-type]
    assert result is not None
    table = result.metrics_of["model"].set_index(["compartment", "metric"])["mean"]
    assert table[data.compartments[0], "AUC"] > 0.9
    kmers = result.metrics_of["kmer_logistic"].set_index(["compartment", "metric"])["mean"]
    assert kmers[data.compartments[0], "AUC"] > 0.9, "baselines are told the types as well"
    assert f"{data.types.count('lncRNA')} lncRNA" in (folder.path / "report.md").read_text()  # type: ignore[union-attr]

    model = load_tower(folder.path / "model")
    assert model.types == ("miRNA", "lncRNA")
    lnc, mi = (model.of_type(name) for name in ("lncrna", "miRNA"))
    assert lnc.predict([SHORT])[0, 0] > mi.predict([SHORT])[0, 0]
    np.testing.assert_allclose(
        model.predict([SHORT, SHORT], ["miRNA", "lncRNA"]),
        [mi.predict([SHORT])[0], lnc.predict([SHORT])[0]],
        atol=1e-6,
    )
    for name, sentence in (
        ("tRNA", "unknown type of RNA 'tRNA'"),
        ("mRNA", "no training RNA of type 'mRNA'; available types: miRNA, lncRNA"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            model.of_type(name)
    with pytest.raises(
        ConfigError, match=r"pass one with --rna-type; available types: miRNA, lncRNA"
    ):
        model.predict([SHORT])
    with pytest.raises(ConfigError, match="trained without RNA types and takes none"):
        replace(model, types=()).of_type("miRNA")

    found = attribute(lnc, SHORT, steps=64)
    assert np.abs(found.error).max() < 0.1
    assert not np.array_equal(attribute(mi, SHORT * 3, steps=8).values, np.zeros((27, 3)))
    assert len(mask_scan(mi, LONG, MaskingConfig(window=10, shuffles=0))) == 3
    about = folder.path / "model" / "model.json"
    about.write_text(about.read_text().replace('"miRNA"', '"tRNA"'))
    with pytest.raises(
        CheckpointError, match="do not fit each other; found unknown type of RNA 'tRNA'"
    ):
        load_tower(folder.path / "model")
