"""Pre-training on labelled sets: outputs, cut, split, start of a training, leakage, gain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.evaluation.metrics import CLASS, MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.model_file import HEADER
from mirnagraph.runs.results import MODEL
from mirnagraph.runs.run_file import read_run_json
from seqtower.baselines.kmer import TOWER
from seqtower.config import SeqConfig, seq_config
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet
from seqtower.data.sets import merge_sets
from seqtower.data.synthetic import planted_sequences
from seqtower.encoders.base import EncoderConfig, OneHotConfig
from seqtower.encoders.whole import WholeConfig
from seqtower.experiment import groups_of, prepare_work, run_fold
from seqtower.pretraining.checkpoint import load_pretrained
from seqtower.pretraining.start import load_start, start_sentences
from seqtower.pretraining.target import Target, cut_target, set_fingerprint
from seqtower.pretraining.transfer import (
    TransferConfig,
    own_outputs,
    pretrain_tower,
    split_groups,
)
from seqtower.towers.base import TowerConfig
from seqtower.towers.long import LongConfig
from seqtower.training.health import RETRY_SHARE
from seqtower.training.lightning import _TowerModule
from seqtower.training.optim import SHARE, initial_tower, rate_groups

NO_GENE: frozenset[str] = frozenset()
MUTE = pd.DataFrame(columns=LEFT_OUT_COLUMNS)


def small(**training: object) -> SeqConfig:
    """The tower `long` over nucleotides and two blocks of whole-RNA numbers: seconds to train."""
    config = seq_config("long", n_folds=2, group="none")
    settings = {"epochs": 3, "patience": 3, "least_steps": 0, "warm_up": 2, "decay_steps": 60}
    settings |= {"batch_rnas": 16, "inner_fraction": 0.2, **training}
    tower = LongConfig(letters=1, letter_filters=8, dim=8, heads=2, queries=2, hidden=8, members=2)
    return replace(
        config,
        tower=TowerConfig("long", tower),
        encoder=EncoderConfig("one-hot", OneHotConfig()),
        whole=WholeConfig(("length", "words"), components=6, landmarks=40),
        training=replace(config.training, **settings),
    )


def planted(n: int, seed: int) -> SequenceSet:
    return planted_sequences(n, seed=seed, longest=90, noise=0.0).data


def as_target(data: SequenceSet, genes: tuple[frozenset[str], ...] | None = None) -> Target:
    return Target(data.index.ids, data.sequences, genes or (NO_GENE,) * len(data))


def with_groups(data: SequenceSet, prefix: str = "g") -> SequenceSet:
    return replace(data, groups=tuple(f"{prefix}{row}" for row in range(len(data))))


def one_set(data: SequenceSet) -> SequenceSet:
    return merge_sets({"big": data}, {"big": "mRNA"}, least=1)


def pretrain(data: SequenceSet, target: Target, folder: Path, config: SeqConfig, **options):
    settings = TransferConfig(model=config, types=options.pop("types", False))
    return pretrain_tower(data, target, cut_target(data, target), settings, folder, **options)


def rows_of(labels: list[list[float]], kind: str, names: tuple[str, ...]) -> SequenceSet:
    n = len(labels)
    index = NodeIndex.of([f"r{row}" for row in range(n)], "RNA")
    sequences = tuple("ACGU" * (row + 2) for row in range(n))
    return SequenceSet(index, sequences, np.array(labels), names, kind, None, MUTE)


def test_each_set_has_outputs_of_its_own() -> None:
    nan = np.nan
    first = rows_of([[1, 0], [0, 0], [nan, nan]], MULTI_LABEL, ("Nucleus", "Cytosol"))
    second = rows_of([[1, 0], [0, 1]], CLASS, ("Nucleus", "Exosome"))
    data = merge_sets({"a": first, "b": second}, {"a": "mRNA", "b": "lncRNA"})
    joined, notes = own_outputs(data)
    assert joined.compartments == ("a:Nucleus", "b:Nucleus", "b:Exosome")
    assert joined.index.ids == ("a|r0", "a|r1", "b|r0", "b|r1")
    expected = [[1, nan, nan], [0, nan, nan], [nan, 1, 0], [nan, 0, 1]]
    np.testing.assert_array_equal(joined.labels, expected)
    assert notes == ["a:Cytosol is left out: all of its RNAs have the same label."]
    with pytest.raises(InputError, match="no labelled set is left to pre-train on; found 1 RNAs"):
        own_outputs(data.rows(np.array([0])))
    with pytest.raises(InputError, match="no labelled set is left"):
        own_outputs(data.rows(np.array([], dtype=np.int64)))


def test_genes_and_near_copies_are_one_group() -> None:
    base = planted(6, 3)
    sequences = (*base.sequences[:4], base.sequences[0], base.sequences[5])
    data = replace(base, sequences=sequences, groups=("x", "y", "", "Y", "z", ""))
    groups = split_groups(one_set(data), by_sequence=True)
    assert groups[0] == groups[4], "the same sequence"
    assert groups[1] == groups[3], "the same gene"
    assert len(set(groups.tolist())) == 4
    by_gene = split_groups(one_set(data), by_sequence=False)
    assert by_gene[1] == by_gene[3]
    assert len(set(by_gene.tolist())) == 5


def test_the_folder_and_the_start(tmp_path: Path) -> None:
    target_set = planted(24, 1)
    big = planted(80, 2)
    big = replace(big, sequences=(*target_set.sequences[:3], *big.sequences[3:]))
    data = one_set(big)
    target = as_target(target_set)
    metrics, run = pretrain(data, target, tmp_path / "start", small())
    assert metrics is not None
    names = {path.name for path in run.path.iterdir()}
    assert names == {"config.toml", "run.json", "cut.tsv", "rnas.tsv", "figures.tsv", "tower"} | {
        "mirnagraph.jsonl"
    }
    cut = pd.read_csv(run.path / "cut.tsv", sep="\t")
    assert cut["reason"].tolist() == ["same sequence"] * 3
    rnas = pd.read_csv(run.path / "rnas.tsv", sep="\t")
    assert set(rnas["rna_id"]) == set(data.index.ids[3:])
    assert rnas["subset"].value_counts().to_dict() == {"train": 62, "validation": 15}
    assert metrics["output"].tolist() == ["big:Nucleus", "big:Cytoplasm", "big:Exosome"]
    assert (metrics["n_train"] == 62).all()

    config = replace(small(), pretrained=str(run.path))
    start = load_start(config, target_set)
    assert start is not None
    assert start.encoding is not None
    assert start.whole is not None
    assert start.whole.widths == (start.whole.widths[0], 6)
    assert not any(name.startswith(("head.", "tags.")) for name in start.tensors)
    assert {name.split(".")[0] for name in start.tensors} >= {"first", "pool", "hidden", "numbers"}
    assert start.about["target_fingerprint"] == read_run_json(run.path)["inputs"]["target"]
    assert start.about["n_cut"] == {"same sequence": 3, "near-copy": 0, "gene": 0}
    assert start.about["score"] == pytest.approx(metrics["auc"].mean())
    words = " ".join(start_sentences(start, target_set, "F"))
    assert "from the tower in `F`, pre-trained on the labels of 77 RNAs of the sets big" in words
    assert "3 RNAs of the same sequence, 0 near-copies, genes were not compared" in words
    assert "are not of the pre-training's target" not in words

    work = prepare_work(target_set, config, tmp_path, groups_of(target_set, config))
    assert work.pretrained is not None
    frozen = replace(config, training=replace(config.training, learning_rate=1e-12))
    fold = run_fold(replace(work, config=frozen, baselines=False), 0)
    assert fold.predictions[MODEL].shape == (12, 3)


def test_body_weights_have_a_rate_of_their_own() -> None:
    config = small(body_rate=0.25, schedule="constant", learning_rate=0.01)
    labels = np.array([[0.0], [1.0]])
    tower, _ = initial_tower(config, 4, labels, MULTI_LABEL, 0, whole=(1, 6))
    body = [name for name, _ in tower.named_parameters() if not name.startswith("head.")]
    rest, pretrained = rate_groups(tower, body, 0.25)
    assert (rest[SHARE], pretrained[SHARE]) == (1.0, 0.25)
    assert [len(group["params"]) for group in (rest, pretrained)] == [2, len(body)]
    for names, share in (((), 0.25), (body, 1.0)):
        (group,) = rate_groups(tower, names, share)
        assert (len(group["params"]), group[SHARE]) == (len(body) + 2, 1.0)


@pytest.mark.slow
def test_steps_follow_the_rate_of_their_group(tmp_path: Path, monkeypatch) -> None:
    rates = set()
    start = _TowerModule.on_train_batch_start

    def watched(module, batch, number):
        start(module, batch, number)
        groups = module.trainer.optimizers[0].param_groups
        rates.add(tuple(round(group["lr"], 9) for group in groups))

    monkeypatch.setattr(_TowerModule, "on_train_batch_start", watched)
    pretrain(one_set(planted(60, 2)), as_target(planted(20, 1)), tmp_path / "s", small(epochs=1))
    rates.clear()
    constant = {"epochs": 1, "schedule": "constant", "learning_rate": 0.01}
    for share, expected in ((0.25, {(0.01, 0.0025)}), (1.0, {(0.01,)})):
        config = replace(small(body_rate=share, **constant), pretrained=str(tmp_path / "s"))
        data = planted(20, 1)
        work = prepare_work(data, config, tmp_path, groups_of(data, config), baselines=False)
        run_fold(replace(work, folder=tmp_path / f"w{share}"), 0)
        slower = {tuple(round(rate * RETRY_SHARE, 9) for rate in found) for found in expected}
        assert expected <= rates <= expected | slower, "a tower that failed is trained once more"
        rates.clear()


@pytest.mark.slow
def test_labels_of_cut_rnas_change_nothing(tmp_path: Path) -> None:
    """A target RNA, a near-copy and a same-gene transcript in the large set are cut."""
    target_set = planted(24, 1)
    genes = tuple(frozenset([f"t{row}"]) for row in range(24))
    target = as_target(target_set, genes)
    big = with_groups(planted(80, 2))
    near = target_set.sequences[1][:20] + "ACGU" + target_set.sequences[1][20:]
    sequences = (target_set.sequences[0], near, *big.sequences[2:])
    groups = ("g0", "g1", "T5", *(big.groups or ())[3:])
    big = replace(big, sequences=sequences, groups=groups)
    predictions = []
    tensors = []
    for number, flip in enumerate((False, True)):
        labels = big.labels.copy()
        if flip:
            labels[:3] = 1 - labels[:3]
        data = one_set(replace(big, labels=labels))
        cut = cut_target(data, target)
        assert cut.table["reason"].tolist() == ["same sequence", "near-copy", "gene"]
        assert cut.table["rna_id"].tolist() == list(data.index.ids[:3])
        folder = tmp_path / f"start{number}"
        pretrain(data, target, folder, small())
        config = replace(small(), pretrained=str(folder))
        tensors.append(load_pretrained(config).tensors)
        work = prepare_work(
            target_set, config, tmp_path / f"{number}", groups_of(target_set, config)
        )
        predictions.append(run_fold(replace(work, baselines=False), 0).predictions[MODEL])
    for name, values in tensors[0].items():
        torch.testing.assert_close(values, tensors[1][name], rtol=0, atol=0)
    np.testing.assert_array_equal(*predictions)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SequenceSet, SequenceSet]:
    """Folder of a quick pre-training, its set and its target."""
    folder = tmp_path_factory.mktemp("transfer") / "start"
    target = planted(20, 1)
    big = planted(50, 2)
    pretrain(one_set(big), as_target(target), folder, small(epochs=1))
    return folder, big, target


def test_another_set_is_refused_where_it_overlaps(started) -> None:
    folder, big, target = started
    config = replace(small(), pretrained=str(folder))
    assert load_start(replace(config, pretrained=""), target) is None
    overlapping = replace(
        planted(20, 5), sequences=(*planted(20, 5).sequences[:19], big.sequences[7])
    )
    with pytest.raises(CheckpointError) as refused:
        load_start(config, overlapping)
    for words in ("served another target", "found 1 of 20 sequences", "pre-train with --target"):
        assert words in str(refused.value)
    other = planted(20, 5)
    start = load_start(config, other)
    assert start is not None
    words = start_sentences(start, other, "F")[2]
    assert words.startswith("20 of 20 RNAs are not of the pre-training's target. None has")
    part = target.rows(np.arange(7))
    assert "not of the pre-training's target" not in " ".join(start_sentences(start, part, "F"))
    assert (
        set_fingerprint(np.array([list(h) for h in sorted(start.target)], dtype=np.uint8))
        == (start.about["target_fingerprint"])
    )


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (
            {"tower": TowerConfig("long", LongConfig(letters=1, dim=12))},
            "tower.settings.letter_filters",
        ),
        ({"tower": TowerConfig("rnatracker"), "whole": WholeConfig()}, "tower.name"),
        ({"encoder": EncoderConfig("geneticseq2vec")}, "encoder.name"),
        ({"whole": WholeConfig(("length",), components=6, landmarks=40)}, "whole.blocks"),
    ],
)
def test_another_tower_or_encoder_is_refused(started, change, column: str) -> None:
    folder, _, target = started
    config = replace(small(), pretrained=str(folder), **change)
    with pytest.raises(CheckpointError, match="the pre-training has another setting") as refused:
        load_start(config, target)
    assert f"column '{column}'" in str(refused.value)


def test_types_are_in_both_or_in_neither(started, tmp_path: Path) -> None:
    folder, big, target = started
    typed = replace(target, types=("circRNA",) * len(target))
    with pytest.raises(
        ConfigError, match=r"this one is with \(to `seq pretrain`, add --rna-type\)"
    ):
        load_start(replace(small(), pretrained=str(folder)), typed)
    pretrain(one_set(big), as_target(target), tmp_path / "s", small(epochs=1), types=True)
    config = replace(small(), pretrained=str(tmp_path / "s"))
    assert load_start(config, typed) is not None
    with pytest.raises(ConfigError, match=r"this one is without \(to `seq pretrain`, omit"):
        load_start(config, target)


def test_another_network_of_the_encoder_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path / "cache"))
    config = replace(
        small(epochs=1),
        tower=TowerConfig("long", LongConfig(letters=64, filters=6, letter_filters=4, dim=8)),
        encoder=seq_config("long").encoder,
    )
    target = planted(16, 1)
    _, run = pretrain(one_set(planted(30, 2)), as_target(target), tmp_path / "s", config)
    config = replace(config, pretrained=str(run.path))
    start = load_start(config, target)
    assert start is not None
    arrays = start.encoding.to_arrays()  # type: ignore[union-attr]
    assert {name: array.shape for name, array in arrays.items()} == {
        "encoding.mean": (97,),
        "encoding.sd": (97,),
    }
    monkeypatch.setattr("seqtower.pretraining.checkpoint.check_encoder", lambda _: "other")
    with pytest.raises(CheckpointError, match="read another network or package of its encoder"):
        load_start(config, target)


def test_a_damaged_or_unfinished_folder_is_refused(started, tmp_path: Path) -> None:
    folder, _, target = started
    config = replace(small(), pretrained=str(tmp_path))
    with pytest.raises(CheckpointError, match="not a model folder"):
        load_start(config, target)
    damaged = tmp_path / "tower"
    damaged.mkdir()
    for file in (folder / "tower").iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    text = (damaged / HEADER).read_text()
    (damaged / HEADER).write_text(text.replace('"channels": 4', '"channels": 5'))
    with pytest.raises(CheckpointError, match="was changed after the model was saved"):
        load_start(config, target)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, monkeypatch) -> None:
    data = one_set(planted(60, 2))
    target = as_target(planted(20, 1))
    pretrain(data, target, tmp_path / "whole", small())
    epochs = []
    end = _TowerModule.on_train_epoch_start

    def killed(module):
        epochs.append(module.current_epoch)
        if epochs == [0, 1]:
            raise KeyboardInterrupt
        end(module)

    monkeypatch.setattr(_TowerModule, "on_train_epoch_start", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain(data, target, tmp_path / "cut", small())
    assert (tmp_path / "cut" / "checkpoints" / "last.ckpt").exists()
    metrics, _ = pretrain(data, target, tmp_path / "cut", small())
    assert metrics is not None
    assert epochs[2] == 1, "epoch 0 is not trained again"
    whole, cut = (
        load_pretrained(replace(small(), pretrained=str(tmp_path / name))).tensors
        for name in ("whole", "cut")
    )
    for name, values in whole.items():
        torch.testing.assert_close(values, cut[name], rtol=0, atol=0)
    kept, _ = pretrain(data, target, tmp_path / "cut", small(), resume=True)
    assert kept is None
    with pytest.raises(InputError, match="other settings, data or versions"):
        pretrain(data, as_target(planted(20, 9)), tmp_path / "cut", small())


def test_settings_of_a_pre_training() -> None:
    with pytest.raises(ConfigError, match="'group' is 'gene', expected 'cluster' or 'none'"):
        TransferConfig(model=replace(small(), group="gene"))
    with pytest.raises(ConfigError, match="pre-training starts from random weights"):
        TransferConfig(model=replace(small(), pretrained="x"))


@pytest.mark.slow
def test_a_large_set_helps_a_small_one(tmp_path: Path) -> None:
    settings = {"epochs": 40, "patience": 12, "decay_steps": 400, "learning_rate": 0.01}
    config = small(**settings)
    big = planted(500, 2)
    target_set = planted(60, 1)
    pretrain(one_set(big), as_target(target_set), tmp_path / "start", config)
    from mirnagraph.evaluation.scores import auc

    scores = []
    for name, pretrained in (("without", ""), ("with", str(tmp_path / "start"))):
        used = replace(config, pretrained=pretrained)
        groups = groups_of(target_set, used)
        work = prepare_work(target_set, used, tmp_path / name, groups, baselines=False)
        of_folds = []
        for number in range(2):
            fold = run_fold(work, number)
            true = target_set.labels[fold.rows]
            predicted = fold.predictions[TOWER]
            of_folds += [auc(true[:, column], predicted[:, column]) for column in range(3)]
        scores.append(float(np.mean(of_folds)))
    assert scores[1] > scores[0] + 0.1, scores
    assert scores[1] > 0.8
