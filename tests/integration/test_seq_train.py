"""The sequence tower end to end: it learns what k-mers cannot say, resumes to the same bits,
and its model comes back from disk.
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
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs import cross_validation
from mirnagraph.runs.report import verdict
from mirnagraph.seeds import generator
from seqtower import experiment, retry, run
from seqtower.baselines.descriptor_trees import TREES, DescriptorConfig, blend
from seqtower.baselines.kmer import BOOSTING, DESCRIPTORS, LOGISTIC, TOWER
from seqtower.baselines.simple import BASE_RATE, LENGTH
from seqtower.config import SeqConfig, SeqTrainConfig, seq_config
from seqtower.data.batches import windows
from seqtower.data.kmers import one_hot
from seqtower.data.labels import read_labels
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet
from seqtower.nn.losses import make_loss, starting_logits
from seqtower.predict import predict
from seqtower.run import comparison_table, health_notes, model_notes, parts_of_model, run_seq
from seqtower.saved import load_tower
from seqtower.towers.base import TowerConfig
from seqtower.towers.rnatracker import RNATrackerConfig
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.health import DIVERGED, Health, model_warning
from seqtower.training.lightning import StepModule, TrainedTower, train_tower
from seqtower.training.optim import rates

MOTIF = "UGUAUAUA"
FEW_TREES = DescriptorConfig(
    members=1, trees=replace(TREES, n_trees=10, rounds=10, boosting_width=20)
)


def planted(n: int, seed: int = 0, low: int = 40, high: int = 70) -> SequenceSet:
    """The same word near the 5' end (class Five) or near the 3' end (class Three) of random RNAs:
    k-mers cannot tell which.
    """
    rng = generator(seed, "planted")
    sequences, labels = [], []
    for number in range(n):
        letters = "".join(rng.choice(list("ACGU"), rng.integers(low, high)))
        at = rng.integers(0, 8)
        three = number % 2
        cut = len(letters) - at if three else at
        sequences.append(letters[:cut] + MOTIF + letters[cut:])
        labels.append([1.0 - three, float(three)])
    index = NodeIndex.of([f"r{i}" for i in range(n)], "RNA")
    nothing = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    return SequenceSet(
        index, tuple(sequences), np.array(labels), ("Five", "Three"), "class", None, nothing
    )


@pytest.fixture(autouse=True)
def short_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines on words of up to three letters: their trees would take longer than the towers of
    these tests.
    """
    monkeypatch.setattr(experiment, "K", 3)


def small(**training: object) -> SeqConfig:
    config = seq_config("rnatracker", n_folds=2, group="none")
    settings = {
        "epochs": 30,
        "patience": 8,
        "batch_rnas": 16,
        "learning_rate": 0.01,
        "inner_fraction": 0.2,
        **training,
    }
    tower = RNATrackerConfig(filters=8, kernel=6, units=8, attention_units=8, dropout=0.0)
    return replace(
        config,
        tower=TowerConfig("rnatracker", tower),
        training=replace(config.training, **settings),
        descriptors=FEW_TREES,
    )


@pytest.mark.slow
def test_a_tower_learns_where_a_word_stands_and_kmers_do_not(tmp_path: Path) -> None:
    data = planted(200)
    result, _ = run_seq(data, small(), tmp_path / "run")
    assert result is not None

    def auc(name: str) -> float:
        table = result.metrics_of[name]
        return float(
            table.loc[
                (table["compartment"] == "average") & (table["metric"] == "AUC"), "mean"
            ].iloc[0]
        )

    assert auc("model") > 0.85
    assert max(auc(LOGISTIC), auc(BOOSTING)) < 0.65


def test_a_run_folder_holds_everything_and_the_model_comes_back(tmp_path: Path) -> None:
    data = planted(40)
    result, folder = run_seq(data, small(epochs=3), tmp_path / "run", name="planted")
    assert result is not None
    for name in (
        "config.toml",
        "run.json",
        "folds.tsv",
        "groups.tsv",
        "left_out.tsv",
        "predictions.tsv",
        "labels.tsv",
        "metrics.tsv",
        "report.md",
    ):
        assert (folder.path / name).is_file(), name
    assert (folder.path / "baselines" / BOOSTING / "predictions.tsv").is_file()
    assert not (folder.path / "checkpoints" / "fold_00").exists()
    assert not (folder.path / "checkpoints" / "final").exists()
    model = load_tower(folder.path / "model", ["Five", "Three"])
    said = model.predict(["ACGUACGUUUGA", data.sequences[0], "A"])
    assert said.shape == (3, 2)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model.predict([data.sequences[0]])[0], said[1], atol=1e-6)
    with pytest.raises(
        CheckpointError,
        match=(
            "other compartments, or another order of them; found Five, Three, expected Three, Five"
        ),
    ):
        load_tower(folder.path / "model", ["Three", "Five"])
    assert run_seq(data, small(epochs=3), tmp_path / "run", resume=True)[0] is None


def test_labels_of_one_class_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = planted(8)
    with pytest.raises(InputError, match="no compartment has labels that differ between RNAs"):
        run_seq(replace(data, labels=data.labels * 0), small(epochs=1), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_begin_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to learn from"):
        run_seq(planted(2), small(epochs=1), tmp_path / "run", baselines=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda about: about | {"alphabet": "ACGT"},
            "reads another alphabet; found ACGT, expected ACGU",
        ),
        (lambda about: about | {"format_version": 99}, "another format version; .*read"),
        (lambda about: about | {"thresholds": [0.5]}, "do not fit each other"),
        (
            lambda about: about | {"channels": 7},
            "model.json was changed after the model was saved",
        ),
        (
            lambda about: about | {"answered_by": "trees"},
            "model.json was changed after the model was saved",
        ),
        (
            lambda about: about | {"weights_sha256": "0"},
            "the weights are not those that model.json describes",
        ),
        (
            lambda about: about | {"compartments": ["Three", "Five"]},
            "model.json was changed after the model was saved",
        ),
        (
            lambda about: about | {"compartments": "ab"},
            "column 'compartments': wrong entry; found 'ab'",
        ),
        (
            lambda about: about | {"thresholds": [0.5, 0.4]},
            "model.json was changed after the model was saved",
        ),
        (lambda about: about | {"thresholds": [0.5, float("nan")]}, "do not fit each other"),
        (
            lambda about: about | {"lengths": {}},
            "model.json was changed after the model was saved",
        ),
        (
            lambda about: about | {"lengths": []},
            "column 'lengths': wrong entry; found",
        ),
        (
            lambda about: about | {"config": "x"},
            "column 'config': wrong entry; found 'x'",
        ),
        (
            lambda about: about | {"config": about["config"] | {"training": [1]}},
            "model.json was changed after the model was saved",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused(tmp_path_factory, change, words: str) -> None:
    folder = _model(tmp_path_factory)
    about = json.loads((folder / "model.json").read_text())
    broken = tmp_path_factory.mktemp("broken")
    (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (broken / "model.json").write_text(json.dumps(change(about)))
    with pytest.raises(CheckpointError, match=words):
        load_tower(broken)


def test_a_cut_off_file_of_weights_is_refused(tmp_path_factory) -> None:
    folder = _model(tmp_path_factory)
    broken = tmp_path_factory.mktemp("cut")
    (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100])
    (broken / "model.json").write_bytes((folder / "model.json").read_bytes())
    with pytest.raises(CheckpointError, match="damaged or missing weights"):
        load_tower(broken)


_MADE: list[Path] = []


def _model(factory: pytest.TempPathFactory) -> Path:
    if not _MADE:
        _MADE.append(
            run_seq(planted(24), small(epochs=1), factory.mktemp("model") / "run", baselines=False)[
                1
            ].path
            / "model"
        )
    return _MADE[0]


def test_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    data = planted(40)
    encoded = [one_hot(sequence) for sequence in data.sequences]
    fit, stop = np.arange(30), np.arange(30, 40)

    def trained(folder: Path, *epochs: int) -> np.ndarray:
        for n in epochs:
            config = small(epochs=n, patience=50)
            settings = replace(config.tower.settings, dropout=0.3)
            config = replace(config, tower=TowerConfig("rnatracker", settings))
            tower = train_tower(
                encoded, data.labels, data.kind, fit, stop, config, 3, folder=folder
            ).tower
        return predict(tower, encoded, data.kind, config.training)

    whole = trained(tmp_path / "whole", 6)
    np.testing.assert_array_equal(trained(tmp_path / "parts", 2, 4, 6), whole)
    last = tmp_path / "parts" / "last.ckpt"
    for name, text in (("checkpoint.json", b"[1]"), ("tensors.safetensors", b"nonsense")):
        (last / name).write_bytes(text)
        with pytest.raises(CheckpointError, match="damaged checkpoint"):
            SafeCheckpointIO().load_checkpoint(last)


@pytest.mark.slow
def test_a_killed_training_stops_where_the_whole_one_does(tmp_path: Path, monkeypatch) -> None:
    """Killed before each epoch, and after the last: equal losses, best epoch and end."""
    data = planted(40)
    encoded = [one_hot(sequence) for sequence in data.sequences]
    config = small(
        epochs=12, patience=2, learning_rate=0.1, schedule="constant", batch_rnas=4, least_steps=0
    )

    def trained(folder: Path) -> TrainedTower:
        rows = np.arange(30), np.arange(30, 40)
        return train_tower(encoded, data.labels, data.kind, *rows, config, 3, folder=folder)

    whole = trained(tmp_path / "whole")
    n_epochs = len(whole.history)
    assert whole.best_epoch < n_epochs - 1 < 11  # stopped by its patience
    begin = StepModule.on_train_epoch_start
    for killed_at in range(1, n_epochs + 1):
        folder = tmp_path / str(killed_at)

        def killed(module: StepModule, at: int = killed_at) -> None:
            if module.current_epoch == at:
                raise ConnectionAbortedError
            begin(module)

        with monkeypatch.context() as patch:
            patch.setattr(StepModule, "on_train_epoch_start", killed)
            if killed_at == n_epochs:
                trained(folder)  # killed after its end, before its fold was saved
            else:
                with pytest.raises(ConnectionAbortedError):
                    trained(folder)
        resumed = trained(folder)
        assert resumed.history == whole.history
        assert resumed.best_epoch == whole.best_epoch
        for name, value in whole.tower.state_dict().items():
            assert torch.equal(resumed.tower.state_dict()[name], value)


def test_the_rate_rises_falls_and_stays() -> None:
    config = SeqTrainConfig(learning_rate=0.01, warm_up=4, decay_steps=104, decay_epochs=2)
    rate = rates(config, 10)
    assert [rate(step) for step in (0, 3, 4)] == pytest.approx([0.002, 0.008, 0.01])
    assert rate(54) == pytest.approx(0.01 * 0.51)  # half way down, from all to a fiftieth
    assert rate(104) == rate(10_000) == pytest.approx(0.0002)
    assert rates(config, 100)(104) > 0.0049  # two epochs of a large set take longer than 104 steps
    assert rates(replace(config, schedule="constant"), 10)(7) == 0.01
    with pytest.raises(ConfigError, match="'schedule' is 'linear'"):
        SeqTrainConfig(schedule="linear")


def test_patience_waits_for_the_least_steps(tmp_path: Path) -> None:
    data = planted(24)
    encoded = [one_hot(sequence) for sequence in data.sequences]

    def epochs(least: int) -> int:
        config = small(
            epochs=9,
            patience=1,
            least_steps=least,
            learning_rate=1e-12,
            schedule="constant",
            batch_rnas=8,
        )
        return len(
            train_tower(
                encoded,
                data.labels,
                data.kind,
                np.arange(16),
                np.arange(16, 24),
                config,
                3,
                folder=tmp_path / str(least),
            ).history
        )

    assert epochs(0) < 9  # a rate of next to nothing lowers no loss
    assert epochs(12) >= 6  # two steps an epoch


def test_a_head_starts_at_the_log_odds_and_shares_of_the_labels() -> None:
    labels = np.array([[1.0, 0], [1, np.nan], [0, 0], [1, 0]])
    np.testing.assert_allclose(
        starting_logits("multi-label", labels), np.log([3.5 / 1.5, 0.5 / 3.5])
    )
    np.testing.assert_allclose(
        starting_logits("fractions", np.array([[0.2, 0.8]])), np.log([0.35, 0.65])
    )


@pytest.mark.slow
def test_a_killed_run_keeps_its_folds_and_has_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted(40)
    whole, _ = run_seq(data, small(epochs=2), tmp_path / "whole")
    save = cross_validation.save_fold
    saved: list[int] = []

    def stop_after_one(folder: Path, result: object) -> None:
        if saved:
            raise KeyboardInterrupt
        save(folder, result)
        saved.append(1)

    monkeypatch.setattr(cross_validation, "save_fold", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        run_seq(data, small(epochs=2), tmp_path / "killed")
    monkeypatch.undo()
    trained: list[int] = []
    once = experiment.train_checked
    monkeypatch.setattr(
        experiment, "train_checked", lambda *a, **k: (trained.append(1), once(*a, **k))[1]
    )
    again, _ = run_seq(data, small(epochs=2), tmp_path / "killed")
    assert len(trained) == 2  # the second fold and the final model
    assert whole is not None
    assert again is not None
    np.testing.assert_array_equal(again.predictions["model"], whole.predictions["model"])
    assert (tmp_path / "killed" / "predictions.tsv").read_bytes() == (
        tmp_path / "whole" / "predictions.tsv"
    ).read_bytes()


def test_labels_of_a_test_part_change_none_of_its_predictions(tmp_path: Path) -> None:
    data = planted(40)
    config = small(epochs=2)
    before, _ = run_seq(data, config, tmp_path / "one")
    assert before is not None
    test = before.results[0].rows
    labels = data.labels.copy()
    labels[test] = labels[test][::-1]
    work = run.prepare_work(replace(data, labels=labels), config, tmp_path / "two", np.arange(40))
    after = experiment.run_fold(replace(work, folds=before.folds), 0)
    for name, predicted in before.results[0].predictions.items():
        np.testing.assert_array_equal(after.predictions[name], predicted)
    np.testing.assert_array_equal(after.thresholds["model"], before.results[0].thresholds["model"])


def test_near_copies_are_never_on_both_sides(tmp_path: Path) -> None:
    data = planted(20, low=150, high=200)
    twice = replace(
        data,
        index=NodeIndex.of([f"r{i}" for i in range(40)], "RNA"),
        sequences=data.sequences * 2,
        labels=np.vstack([data.labels] * 2),
    )
    config = replace(small(epochs=1), group="cluster")
    groups = experiment.groups_of(twice, config)
    folds = experiment.make_seq_folds(twice, config, groups).of_rows(twice.index)
    np.testing.assert_array_equal(folds[:20], folds[20:])
    assert len(np.unique(groups)) == 20
    gene = replace(twice, groups=tuple("ab" * 20))
    assert len(np.unique(experiment.groups_of(gene, replace(config, group="gene")))) == 2
    with pytest.raises(InputError, match="read without their column 'gene'"):
        experiment.groups_of(twice, replace(config, group="gene"))


def test_losses_by_hand_and_what_does_not_fit(tmp_path: Path) -> None:
    logits, true = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, float("nan")]])
    assert float(
        make_loss("auto", "multi-label", np.eye(2), weighted=False)(logits, true)
    ) == pytest.approx(np.log(2))
    focal = make_loss("focal", "multi-label", np.eye(2), weighted=False, gamma=2.0)
    assert float(focal(logits, true)) == pytest.approx(0.25 * np.log(2))
    weighted = make_loss(
        "bce", "multi-label", np.array([[1.0, 0], [0, 1], [0, 1], [0, 1]]), weighted=True
    )
    assert float(weighted(logits, true)) == pytest.approx(3 * np.log(2))
    fractions = torch.tensor([[0.25, 0.75]])
    kl = make_loss("kl", "fractions", np.array([[0.25, 0.75]]), weighted=False)
    assert float(kl(torch.log(fractions), fractions)) == pytest.approx(0, abs=1e-6)
    assert float(kl(torch.zeros(1, 2), fractions)) == pytest.approx(
        0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    )
    for name, kind in (("kl", "multi-label"), ("bce", "fractions"), ("focal", "fractions")):
        with pytest.raises(ConfigError, match=f"the loss '{name}' needs"):
            make_loss(name, kind, np.eye(2), weighted=False)
    (tmp_path / "l.tsv").write_text("id\tN\na\t1\nb\t0\n")
    assert read_labels(tmp_path / "l.tsv").kind == "multi-label"


@pytest.mark.slow
def test_an_rna_beyond_the_budget_is_read_in_windows(tmp_path: Path) -> None:
    data = planted(24)
    config = small(epochs=1, batch_tokens=45)
    result, folder = run_seq(data, config, tmp_path / "run")
    assert result is not None
    text = (folder.path / "report.md").read_text()
    assert "RNAs are longer than 45 nt: they were read in windows." in text
    model = load_tower(folder.path / "model")
    long = "ACGUUGCAAC" * 9
    starts = [start for start, _ in windows(len(long), 45, 4)]
    assert len(starts) == 3
    expected = np.mean([model.predict([long[s : s + 45]])[0] for s in starts], axis=0)
    np.testing.assert_allclose(model.predict([long])[0], expected, atol=1e-6)


def test_a_blend_with_trees_answers_as_its_saved_model_does(tmp_path: Path) -> None:
    data = planted(60)
    config = replace(small(epochs=2), descriptors=replace(FEW_TREES, weights=(0.25, 0.75)))
    result, run = run_seq(data, config, tmp_path / "run", baselines=False)
    assert result is not None
    assert set(result.predictions) == {"model", "tower", "descriptor_trees"}
    for fold in result.results:
        expected = blend(
            fold.choices["weight"],
            fold.predictions["descriptor_trees"],
            fold.predictions["tower"],
            data.kind,
        )
        np.testing.assert_allclose(fold.probabilities, expected)
    model = load_tower(run.path / "model")
    assert model.weight in (0.25, 0.75)
    assert model.trees is not None
    alone = replace(model, trees=None).predict(data.sequences[:5])
    both = blend(
        model.weight,
        model.trees.predict(config.descriptors.features(data.sequences[:5])),
        alone,
        data.kind,
    )
    np.testing.assert_allclose(model.predict(data.sequences[:5]), both)


def test_trees_beside_a_tower_are_told_types_and_read_circrnas_as_circles(tmp_path: Path) -> None:
    data = planted(60)
    types = tuple(
        "circRNA" if row % 2 else "lncRNA" for row in range(len(data))
    )  # the type alone leads to the class
    config = replace(
        small(epochs=1),
        descriptors=DescriptorConfig(
            weight=1.0, trees=replace(TREES, n_trees=30, rounds=10, boosting_width=30)
        ),
    )
    result, run = run_seq(replace(data, types=types), config, tmp_path / "run", baselines=False)
    assert result is not None
    assert "weight of the trees is 1 in every fold" in model_notes(result)[0]
    table = comparison_table(result)
    assert verdict(table, parts_of_model(result)) == ["The baselines were left out of this run."]
    blended = tuple(replace(r, choices=r.choices | {"weight": 0.9}) for r in result.results)
    parts = parts_of_model(replace(result, results=blended))
    assert any("does not outperform `descriptor_trees`" in line for line in verdict(table, parts))
    three = data.labels[:, 1] == 1
    said = result.predictions["descriptor_trees"][:, 1]
    assert said[three].min() > said[~three].max()
    model = load_tower(run.path / "model")
    assert model.trees is not None
    features = config.descriptors.features(data.sequences[:6], types[:6], ("lncRNA", "circRNA"))
    np.testing.assert_allclose(
        model.predict(data.sequences[:6], types[:6]), model.trees.predict(features), atol=1e-3
    )
    circle, line = (
        model.of_type(name).predict(data.sequences[:6]) for name in ("circRNA", "lncRNA")
    )
    assert (circle[:, 1] > line[:, 1]).all()


@pytest.mark.slow
def test_mixed_precision_trains_to_about_the_same_place(tmp_path: Path) -> None:
    data = planted(40)
    full, mixed = (
        replace(small(epochs=2), training=replace(small(epochs=2).training, precision=name))
        for name in ("full", "mixed")
    )
    said = []
    for number, config in enumerate((full, mixed)):
        result, _ = run_seq(data, config, tmp_path / str(number), baselines=False)
        assert result is not None
        said.append(result.predictions["model"])
    np.testing.assert_allclose(said[0], said[1], atol=0.1)
    assert not np.array_equal(said[0], said[1])


def test_the_report_has_every_baseline_from_the_simplest_to_the_model(tmp_path: Path) -> None:
    data = planted(40)
    config = replace(small(epochs=2), descriptors=replace(FEW_TREES, weight=0.5))
    result, folder = run_seq(data, config, tmp_path / "run")
    assert result is not None
    simple = [BASE_RATE, LENGTH, LOGISTIC, BOOSTING, DESCRIPTORS, TOWER]
    table = comparison_table(result)
    assert table["model"].tolist() == [*simple, "this run"]
    assert table.set_index("model").loc[BASE_RATE, ["AUC", "AUC_sd"]].tolist() == [0.5, 0]
    report = (folder.path / "report.md").read_text()
    places = [report.index(f"\n| {name} |") for name in (*simple, "this run")]
    assert places == sorted(places)
    for name in simple:
        assert (folder.path / "baselines" / name / "metrics.tsv").is_file(), name
    for fold in result.results:
        rest = np.setdiff1d(np.arange(40), fold.rows)
        rates = data.labels[rest].mean(axis=0)
        np.testing.assert_allclose(fold.predictions[BASE_RATE], np.tile(rates, (len(fold.rows), 1)))


@pytest.mark.parametrize("rate", [1e-9, 1e30])
def test_a_training_that_dies_is_reported_retried_and_marked(tmp_path: Path, rate: float) -> None:
    """A rate of next to nothing leaves a tower as it began, a huge one leaves no finite number."""
    data = planted(40)
    config = small(epochs=3, learning_rate=rate, schedule="constant")
    result, folder = run_seq(data, config, tmp_path / "run", baselines=False)
    assert result is not None
    words = "do not vary" if rate < 1 else DIVERGED
    for fold in result.results:
        health = Health.from_dict(fold.choices["health"])
        assert health.has_failed
        assert health.retried
        assert words in health.reason
        assert np.isfinite(fold.probabilities).all()
        if rate > 1:
            np.testing.assert_allclose(fold.probabilities, 0.5, atol=0.05)
            assert np.ptp(fold.probabilities, axis=0).max() == 0
    notes = health_notes(result, folder.path)
    assert [note.split(",")[0] for note in notes] == [
        "FAILED: the tower of fold 0",
        "FAILED: the tower of fold 1",
        "FAILED: the tower of the final model",
        "The saved model carries this verdict; its parts: tower.",
    ]
    report = (folder.path / "report.md").read_text()
    assert all(f"- {note}\n" in report for note in notes)
    table = pd.read_csv(folder.path / "health.tsv", sep="\t")
    assert table["tower"].tolist() == ["fold 0", "fold 1", "final model"]
    assert table["status"].tolist() == ["failed"] * 3
    assert table["retried"].all()
    model = load_tower(folder.path / "model")
    assert model_warning(model.about).startswith("The tower of this model FAILED in training")
    assert np.isfinite(model.predict(data.sequences[:2])).all()


@pytest.mark.slow
def test_a_second_training_saves_a_tower_that_began_too_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates_seen = []
    once = retry.train_tower

    def fast_at_first(*args: object, **more: object) -> object:
        rates_seen.append(args[5].training.learning_rate)
        if len(rates_seen) % 2:
            config = args[5]
            broken = replace(config, training=replace(config.training, learning_rate=1e30))
            args = (*args[:5], broken, *args[6:])
        return once(*args, **more)

    monkeypatch.setattr(retry, "train_tower", fast_at_first)
    data = planted(200)
    encoded = [one_hot(sequence) for sequence in data.sequences]
    config = small(learning_rate=0.05)
    tower = retry.train_checked(
        encoded,
        data.labels,
        data.kind,
        np.arange(160),
        np.arange(160, 200),
        config,
        3,
        folder=tmp_path / "checkpoints",
    )
    assert rates_seen == pytest.approx([0.05, 0.01])
    health = tower.health
    assert not health.has_failed
    assert (health.retried, health.reason) == (True, DIVERGED)
    assert health.sd > 0.1
    assert health.score > 0.9
    assert tower.validation.shape == (40, 2)
    rows = [encoded[row] for row in range(160, 200)]
    said = predict(tower.trained.tower, rows, data.kind, config.training)
    np.testing.assert_array_equal(said, tower.validation)
