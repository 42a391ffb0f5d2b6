"""The commands as Python functions: results, and the errors of wrong use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mirnagraph
from fusion.api import read_names, settings_of, train_run
from fusion.config import experiment_config
from fusion.experiments.train import run_experiment
from fusion.models.predict import FINAL, OUT_OF_FOLD, SEQUENCE_ALONE
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.synthetic import make_dataset

QUICK: dict[str, Any] = {
    "n_folds": 3,
    "tokens": {
        "attention": ("svd:disease", "degree"),
        "trees": ("kmer", "n_similar", "neighbours:sequence"),
    },
    "fusion": {"dim": 8, "n_heads": 2, "n_members": 1, "epochs": 2, "kernel_dim": 4},
    "kernel": {"blocks": {"disease": ("svd:disease", "degree")}, "products": ()},
    "mix": {"calibration_part": 0.0},
    "trees": {"n_trees": 5, "rounds": 2, "boosting_width": 20},
    "newcomers": "",
}
COLD = {
    **QUICK,
    "tokens": {"attention": (), "trees": ("kmer", "n_similar", "neighbours:sequence")},
    "kernel": {"blocks": {}, "products": ()},
}


@pytest.fixture(scope="module")
def result(networks: NetworkSet) -> mirnagraph.CrossValidationResult:
    return mirnagraph.cross_validate(networks, **QUICK)


def test_cross_validation_is_that_of_the_command(
    networks: NetworkSet, result: mirnagraph.CrossValidationResult, tmp_path: Path, unreported
) -> None:
    assert isinstance(result, mirnagraph.CrossValidationResult)
    over = {name: value for name, value in QUICK.items() if name != "n_folds"}
    kept, _ = run_experiment(networks, experiment_config(over=over, n_folds=3), tmp_path / "run")
    assert kept is not None
    np.testing.assert_array_equal(kept.probabilities, result.probabilities)
    table = mirnagraph.summary(result)
    assert list(table["compartment"]) == [*networks.dataset.compartments, "average"]


def test_a_fitted_model_answers_for_known_and_new(
    networks: NetworkSet, result: mirnagraph.CrossValidationResult, tmp_path: Path
) -> None:
    model = mirnagraph.fit(networks, cross_validation=result, folder=tmp_path / "model", **COLD)
    name = networks.dataset.index.ids[0]
    said = mirnagraph.predict(model, name)
    assert isinstance(said, mirnagraph.Predictions)
    assert list(said.about["source"]) == [OUT_OF_FOLD]
    np.testing.assert_array_equal(said.probabilities[0], result.probabilities[0])
    assert len(mirnagraph.predict(model).about) == len(networks.dataset.index)
    (tmp_path / "new.fa").write_text(">mine\nACGUACGUACGUACGUUUGC\n")
    new = mirnagraph.predict(model, sequences={"mine": "acgtACGUACGUACGUUUGC"})
    assert list(new.about["source"]) == [SEQUENCE_ALONE]
    for again in (
        mirnagraph.predict(tmp_path / "model", fasta=tmp_path / "new.fa"),
        mirnagraph.predict(mirnagraph.load(tmp_path / "model"), fasta=tmp_path / "new.fa"),
    ):
        np.testing.assert_array_equal(again.probabilities, new.probabilities)
    with pytest.raises(InputError, match="exists and is not empty"):
        mirnagraph.fit(networks, folder=tmp_path / "model", **COLD)


def test_without_a_cross_validation_it_says_that_it_knows_the_labels(networks: NetworkSet) -> None:
    model = mirnagraph.fit(networks, **QUICK)
    said = mirnagraph.predict(model, [networks.dataset.index.ids[0]])
    assert list(said.about["source"]) == [FINAL]
    assert "trained on this RNA's label" in said.about["warning"].iloc[0]
    with pytest.raises(ConfigError, match="no cold-start model for new RNAs"):
        mirnagraph.predict(model, sequences={"mine": "ACGUACGU"})


def test_baselines_stand_beside(
    networks: NetworkSet, result: mirnagraph.CrossValidationResult
) -> None:
    table = mirnagraph.baselines(networks, result, names=["frequency", "popularity"])
    assert list(table["model"]) == [
        "this run", "neural", "own_trees", "kernel", "frequency", "popularity",
    ]  # fmt: skip
    assert table["AUC"][0] == pytest.approx(mirnagraph.summary(result)["AUC mean"].iloc[-1])
    with pytest.raises(ConfigError, match="unknown baseline 'guess'; known: frequency"):
        mirnagraph.baselines(networks, result, names=["guess"])


def test_settings_come_in_order(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seed = 3\n[trees]\nn_trees = 7\nrounds = 9\n")
    found = settings_of(
        "gtmaloc",
        tmp_path / "mine.toml",
        trees={"n_trees": 8},
        rnas="located",
        split=Path("folds.tsv"),
    )
    assert (
        found.preset,
        found.seed,
        found.trees.n_trees,
        found.trees.rounds,
        found.folds.rnas,
        found.folds.split,
    ) == (
        "gtmaloc",
        3,
        8,
        9,
        "located",
        "folds.tsv",
    )
    assert settings_of(found) is found
    for wrong, sentence in (
        ({"n_fold": 3}, "unknown setting 'n_fold'; did you mean 'n_folds'"),
        ({"trees": {"n_tree": 3}}, "unknown setting 'n_tree'; did you mean 'n_trees'"),
        ({"n_folds": 1}, "'n_folds' is 1, expected 2 or more"),
        ({"n_folds": "3"}, "expected a value of type int"),
        ({"preset": found, "seed": 1}, "`preset` is a complete configuration; do not pass"),
        ({"preset": "defalt"}, "did you mean 'default'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            settings_of(**wrong)  # type: ignore[arg-type]


def test_wrong_use_is_said(
    networks: NetworkSet, result: mirnagraph.CrossValidationResult, project: Path, tmp_path: Path
) -> None:
    kept, tower = (
        mirnagraph.load(project / "tests" / "golden" / name) for name in ("model_v3", "tower_v1")
    )
    for model, words, kind, sentence in (
        (kept, {"names": "syn-mir-0001", "fasta": "x.fa"}, ConfigError, "exclude each other"),
        (
            kept,
            {"names": "syn-mir-9", "strict": True},
            InputError,
            r"unknown RNA 'syn-mir-9' \(30 reference RNAs\)",
        ),
        (
            kept,
            {"sequences": {"mine": "ACGX"}},
            InputError,
            "invalid nucleotide in the sequence of mine at position 4",
        ),
        (kept, {"sequences": {"mine": ""}}, InputError, "empty sequence of mine"),
        (kept, {"sequences": {"mine": "ACGU"}, "rna_type": "mRNA"}, ConfigError, "--rna-type"),
        (tower, {"names": "mine"}, ConfigError, "a sequence tower has no reference RNAs"),
        (tmp_path, {}, InputError, "not a model folder"),
    ):
        with pytest.raises(kind, match=sentence):
            mirnagraph.predict(model, **words)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="has other folds than these settings give"):
        mirnagraph.fit(networks, cross_validation=result, **{**QUICK, "seed": 5})
    other = mirnagraph.build_networks(make_dataset(30, 3))
    with pytest.raises(ConfigError, match="of other RNAs or compartments"):
        mirnagraph.fit(other, cross_validation=result, **QUICK)


def test_an_answer_is_explained(project: Path) -> None:
    kept = mirnagraph.load(project / "tests" / "golden" / "model_v3")
    known = mirnagraph.explain(
        kept, "syn-mir-0002", "exosome", networks=mirnagraph.build_networks(make_dataset(30, 3))
    )
    assert isinstance(known, mirnagraph.Explanation)
    assert (known.known_as, [c.compartment for c in known.compartments]) == (
        "syn-mir-0002",
        ["Exosome"],
    )
    assert known.compartments[0].partners
    new = mirnagraph.explain(kept, "mine", ["Nucleolus", "Exosome"], sequence="acgTACGUACGUUUGGCA")
    assert (new.source, new.known_as, [c.compartment for c in new.compartments]) == (
        SEQUENCE_ALONE,
        "",
        ["Nucleolus", "Exosome"],
    )
    assert kept.reference is not None
    same = mirnagraph.explain(kept, "mine", sequence=str(kept.reference.sequences[1]))
    assert (same.query, same.known_as) == ("mine", "syn-mir-0002")
    said = mirnagraph.predict(kept, sequences={"mine": "ACGUACGUACGUUUGGCA"})
    assert new.compartments[0].probability == pytest.approx(said.probabilities[0, 2], abs=1e-6)
    for words, kind, sentence in (
        (("syn-mir-9",), InputError, "unknown RNA 'syn-mir-9'"),
        (("syn-mir-0002", "Golgi"), ConfigError, "unknown compartment 'Golgi'"),
    ):
        with pytest.raises(kind, match=sentence):
            mirnagraph.explain(kept, *words)
    with pytest.raises(InputError, match="invalid nucleotide in the sequence of mine"):
        mirnagraph.explain(kept, "mine", sequence="ACGX")
    with pytest.raises(CheckpointError, match="hold other RNAs than the model's"):
        mirnagraph.explain(
            kept, "syn-mir-0002", networks=mirnagraph.build_networks(make_dataset(20, 3))
        )
    with pytest.raises(ConfigError, match="mirnagraph seq explain"):
        mirnagraph.explain(project / "tests" / "golden" / "tower_v1", "mine", sequence="ACGU")


def test_names_are_read_from_a_list_or_a_table(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("b\n\n a \n")
    assert read_names(path) == ["b", "a"]
    path.write_text("rna_id\tscore\na\t1\nrna_id\t2\n")
    assert read_names(path) == ["a", "rna_id"]
    path.write_text("rna_id\n")
    with pytest.raises(InputError, match=r"names\.txt: no name in the file; expected one name"):
        read_names(path)


def test_a_run_is_trained_over_seeds(networks: NetworkSet, tmp_path: Path, unreported) -> None:
    over = {name: value for name, value in QUICK.items() if name != "n_folds"}
    config = experiment_config(over=over, n_folds=3)
    first = train_run(networks, config, tmp_path / "run", baselines=False)
    assert first.result is not None
    assert (first.over_seeds, first.baselines, first.n_seeds) == (None, None, 1)
    with pytest.raises(InputError, match="finished"):
        train_run(networks, config, tmp_path / "run", baselines=False)
    (tmp_path / "run" / "report.md").write_text("# Report\n")
    both = train_run(networks, config, tmp_path / "run", repeats=2, baselines=False)
    assert both.result is None  # the finished first seed was kept
    assert both.over_seeds is not None
    assert {"seed_0", "seed_1"} <= set(both.over_seeds.columns)


def test_a_tower_predicts_too(project: Path) -> None:
    said = mirnagraph.predict(
        project / "tests" / "golden" / "tower_v1", sequences={"one": "ACGUACGUUU", "two": "GGGCCC"}
    )
    assert list(said.about.index) == ["one", "two"]
    assert said.probabilities.shape == (2, 3)


def test_an_answer_is_explained_in_one_call(
    networks: NetworkSet, result: mirnagraph.CrossValidationResult, tmp_path: Path
) -> None:
    model = mirnagraph.fit(networks, cross_validation=result, folder=tmp_path / "model", **COLD)
    name, compartment = networks.dataset.index.ids[0], networks.dataset.compartments[0]
    why = mirnagraph.explain(model, name, compartment, networks=networks)
    assert [reason.compartment for reason in why.compartments] == [compartment]
    assert mirnagraph.explain(tmp_path / "model", name, compartment, networks=networks) == why
    new = mirnagraph.explain(model, "mine", sequence="acgtACGUACGUACGUUUGC")
    assert new.compartments
    with pytest.raises(InputError, match="did you mean"):
        mirnagraph.explain(model, name + "x")
    with pytest.raises(InputError, match="mine"):
        mirnagraph.explain(model, "mine", sequence="ACGX")
