"""Cross-validation end to end on synthetic data: no leakage, repeatable, resumable, learns."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusion.config import ExperimentConfig, FoldSettings, TokenSettings
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare
from fusion.experiments.cross_validate import cross_validate, run_fold
from fusion.experiments.train import run_experiment
from fusion.model_config import AttentionConfig, MixSettings, TrainConfig
from fusion.models.reference import reference_rnas
from fusion.models.saved import load_model
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet
from mirnagraph.trees import TreesConfig

TOKENS = TokenSettings(
    attention=("svd:disease+evidence:disease", "neighbours:sequence", "trees"),
    trees=(
        "svd:disease",
        "svd:drug",
        "svd:mRNA",
        "degree",
        "kmer",
        "neighbours:sequence",
        "neighbours:functional",
        "evidence:mRNA",
        "same_sequence",
        "covariates",
    ),
    svd_dim=6,
    neighbours=5,
)
CONFIG = ExperimentConfig(
    tokens=TOKENS,
    preset="test",
    newcomers="",
    folds=FoldSettings(n_folds=3),
    attention=AttentionConfig(dim=16, n_heads=2, residual=True),
    training=TrainConfig(epochs=6, n_members=1, n_students=1, patience=3),
    trees=TreesConfig(n_trees=20, rounds=8, min_samples_leaf=1, boosting_width=40),
    mix=MixSettings(calibration_part=0.25),
)


@pytest.fixture(scope="module")
def result(data: FusionData, folds):
    return cross_validate(data, folds, CONFIG, workers=1)


def test_labels_of_test_rnas_change_no_prediction(data: FusionData, folds, result) -> None:
    random = np.random.default_rng(0)
    for fold in range(folds.n_folds):
        _, test = folds.rows(data.index, fold)
        shuffled = data.labels.copy()
        shuffled[test] = random.permutation(1 - shuffled[test])
        assert not np.array_equal(shuffled, data.labels)
        again = run_fold(replace(data, labels=shuffled), folds, CONFIG, fold)
        np.testing.assert_array_equal(again.probabilities, result.probabilities[test])
        before = result.results[fold].thresholds["model"]
        np.testing.assert_array_equal(again.thresholds["model"], before)


def test_labels_of_training_rnas_do_change_predictions(data: FusionData, folds, result) -> None:
    train, test = folds.rows(data.index, 0)
    flipped = data.labels.copy()
    flipped[train] = 1 - flipped[train]
    assert not np.allclose(
        run_fold(replace(data, labels=flipped), folds, CONFIG, 0).probabilities,
        result.probabilities[test],
        atol=0.05,
    )


def test_inside_a_fold_the_labels_of_other_rnas_are_not_there(data: FusionData, folds) -> None:
    train, test = folds.rows(data.index, 0)
    hidden = data.masked_labels(train)
    assert np.isnan(hidden[test]).all()
    np.testing.assert_array_equal(hidden[train], data.labels[train])


def test_tokens_are_free_of_labels(networks: NetworkSet, data: FusionData) -> None:
    dataset = networks.dataset
    other = replace(dataset, labels=1 - dataset.labels)
    again = prepare(build_networks(other), CONFIG)
    for mine, theirs in zip(data.tokens, again.tokens, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values, err_msg=mine.name)
    for name, similarity in data.similarities.items():
        np.testing.assert_array_equal(similarity, again.similarities[name])


@pytest.mark.slow
def test_one_worker_and_two_give_the_same_bits(data: FusionData, folds, result) -> None:
    map_parallel = cross_validate(data, folds, CONFIG, workers=2)
    np.testing.assert_array_equal(map_parallel.probabilities, result.probabilities)
    pd.testing.assert_frame_equal(map_parallel.metrics, result.metrics)


def test_another_seed_gives_other_numbers(data: FusionData, folds, result) -> None:
    again = run_fold(data, folds, replace(CONFIG, seed=1), 0)
    assert not np.array_equal(again.probabilities, result.results[0].probabilities)


@pytest.mark.slow
def test_it_learns_what_is_planted_and_beats_popularity() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    from mirnagraph.synthetic import make_dataset

    dataset = make_dataset(200, 2, seed=11, n_families=10, popularity=0.0, noise=0.1)
    training = TrainConfig(epochs=20, learning_rate=3e-3, n_members=1, inner_fraction=0.0)
    config = replace(CONFIG, trees=TreesConfig(n_trees=60, rounds=20), training=training)
    data = prepare(build_networks(dataset), config)
    result = cross_validate(data, make_folds(dataset, n_folds=3), config, workers=1)
    ours = float(result.metrics.set_index(["compartment", "metric"])["pooled"][("average", "AUC")])
    degree = data.tokens["degree"].values
    counted = [
        roc_auc_score(
            data.labels[:, k],
            cross_val_predict(
                LogisticRegression(), degree, data.labels[:, k], cv=3, method="predict_proba"
            )[:, 1],
        )
        for k in range(data.labels.shape[1])
    ]
    assert ours > np.mean(counted) + 0.1, (ours, counted)
    assert ours > 0.65


def test_run_folder_is_complete_and_says_what_it_was_made_from(
    networks: NetworkSet, run_dir
) -> None:
    result, run = run_experiment(networks, CONFIG, run_dir, workers=1)
    assert result is not None
    about = run.read()
    assert about["status"] == "done"
    assert about["seed"] == 0
    assert set(about["inputs"]) == {"networks", "folds"}
    for name in (
        "config.toml",
        "folds.tsv",
        "predictions.tsv",
        "labels.tsv",
        "metrics.tsv",
        "summary.tsv",
        "report.md",
        "roc.png",
        "model/model.json",
    ):
        assert (run_dir / name).stat().st_size > 0, name
    table = pd.read_csv(run_dir / "predictions.tsv", sep="\t")
    assert list(table.columns) == ["rna_id", "fold", *networks.dataset.compartments]
    np.testing.assert_array_equal(
        table[networks.dataset.compartments].to_numpy(), result.probabilities
    )
    with pytest.raises(InputError, match="finished"):
        run_experiment(networks, CONFIG, run_dir, workers=1)
    with pytest.raises(InputError, match="other settings"):
        run_experiment(networks, replace(CONFIG, seed=3), run_dir, workers=1)
    kept, _ = run_experiment(networks, CONFIG, run_dir, workers=1, resume=True)
    assert kept is None


def test_a_killed_run_goes_on_where_it_was(
    networks: NetworkSet, run_dir, result, unreported, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fusion.experiments import cross_validate as experiment

    trained: list[int] = []
    honest = experiment.run_fold

    def dies_in_the_last(data: FusionData, folds, config: ExperimentConfig, fold: int):
        if fold == 2 and len(trained) == 2:
            trained.append(-1)
            raise KeyboardInterrupt
        trained.append(fold)
        return honest(data, folds, config, fold)

    monkeypatch.setattr(experiment, "run_fold", dies_in_the_last)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(networks, CONFIG, run_dir, workers=1)
    assert json.loads((run_dir / "run.json").read_text())["status"] == "running"
    assert not (run_dir / "predictions.tsv").exists()
    finished, _ = run_experiment(networks, CONFIG, run_dir, workers=1)
    assert trained == [0, 1, -1, 2]
    assert finished is not None
    np.testing.assert_array_equal(finished.probabilities, result.probabilities)


def test_a_saved_model_predicts_the_same_and_a_damaged_one_is_refused(
    networks: NetworkSet, data: FusionData, result, run_dir
) -> None:
    from fusion.models.ensemble import fit_fusion_model
    from fusion.models.saved import save_model

    train = np.arange(len(data.index))
    fusion_model = fit_fusion_model(data, train, CONFIG, 0)
    known = reference_rnas(data, fusion_model.tokens, train, result)
    save_model(fusion_model, known, data.compartments, run_dir, about={"dataset": "made up"})
    back = load_model(run_dir)
    assert back.reference is not None
    assert back.cold_start is None
    assert back.compartments == data.compartments
    rows = np.arange(10)
    np.testing.assert_array_equal(
        back.fusion_model(fusion_model.tokens).predict(rows), fusion_model.predict(rows)
    )
    np.testing.assert_array_equal(
        back.fusion_model(back.reference.tokens).predict(rows), fusion_model.predict(rows)
    )
    kept = run_dir / "known.safetensors"
    untouched = kept.read_bytes()
    kept.write_bytes(untouched[:-1] + bytes([untouched[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="RNAs are not those"):
        load_model(run_dir)
    kept.write_bytes(untouched)
    with pytest.raises(CheckpointError, match="does not fit these tokens"):
        back.fusion_model(fusion_model.tokens.select(["degree"]))
    weights = run_dir / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(run_dir)
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"not those that model\.json describes"):
        load_model(run_dir)
    (run_dir / "model.json").write_text('{"format": "fusion", "format_version": 99}')
    with pytest.raises(CheckpointError, match="a model of another format version"):
        load_model(run_dir)


@pytest.mark.parametrize(
    "token", ["svd:nothing", "unknown", "neighbours:nothing", "evidence:nothing", "trees"]
)
def test_tokens_that_cannot_be_made_are_refused(networks: NetworkSet, token: str) -> None:
    with pytest.raises(ConfigError):
        prepare(networks, replace(CONFIG, tokens=TokenSettings(attention=(token,))))


def test_a_star_stands_for_the_kinds_of_the_dataset(networks: NetworkSet) -> None:
    from fusion.tokens.kinds import expand_tokens

    assert expand_tokens(networks, ("svd:*", "kmer", "svd:drug", "neighbours:cosine_*")) == (
        "svd:mRNA", "svd:drug", "svd:disease", "kmer",
        "neighbours:cosine_mRNA", "neighbours:cosine_drug", "neighbours:cosine_disease",
    )  # fmt: skip
    supporting = replace(networks.dataset, supporting=("drug",))
    fewer = build_networks(supporting)
    assert expand_tokens(fewer, ("svd:*", "evidence:*")) == (
        "svd:mRNA",
        "svd:disease",
        "evidence:mRNA",
        "evidence:drug",
        "evidence:disease",
    )
    assert expand_tokens(networks, ("co_reported:*",)) == tuple(
        f"co_reported:{k}" for k, t in networks.dataset.associations.items() if "pmids" in t.columns
    )


def test_joined_tokens_take_the_parts_each_kind_has_and_question_marks_leave_out_what_is_not_there(
    networks: NetworkSet,
) -> None:
    from fusion.tokens.kinds import expand_tokens

    tables = {
        kind: table.drop(columns=["pmids", "reports"], errors="ignore")
        for kind, table in networks.dataset.associations.items()
    }
    tables["disease"] = tables["disease"].assign(pmids="7")
    fewer = build_networks(replace(networks.dataset, associations=tables))
    assert expand_tokens(fewer, ("svd:*+co_reported:*",)) == (
        "svd:mRNA",
        "svd:drug",
        "svd:disease+co_reported:disease",
    )
    optional = (
        "co_reported:drug?",
        "neighbours:co_reported_drug?",
        "weighted:drug?",
        "weighted:lncRNA?",
        "neighbours:cosine_drug?",
    )
    assert expand_tokens(fewer, optional) == ("weighted:drug", "neighbours:cosine_drug")
    with pytest.raises(ConfigError, match=r"either all joined parts end in '\*' or none"):
        expand_tokens(fewer, ("svd:*+kmer",))


def test_a_joined_token_is_there_where_a_part_is() -> None:
    from fusion.tokens.table import TokenTable, make_token
    from mirnagraph.nodes import NodeIndex

    one = make_token("one", np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]))
    other = make_token("other", np.array([[5.0], [6.0], [7.0]]), np.array([True, False, False]))
    table = TokenTable(NodeIndex.of(["x", "y", "z"], "RNA"), (one, other))
    both = table.select(["one+other"])["one+other"]
    assert both.present.tolist() == [True, True, False]
    assert both.values.tolist() == [[1, 2, 5], [3, 4, 0], [0, 0, 0]]
    np.testing.assert_array_equal(table.flat(["one+other"]), table.flat(["one", "other"]))


def test_the_temperature_is_chosen_in_the_training_part_and_keeps_ranks(
    data: FusionData, folds, result
) -> None:
    from fusion.models.ensemble import join
    from mirnagraph.evaluation.calibration import apply_temperature

    plain = run_fold(data, folds, replace(CONFIG, mix=MixSettings()), 0)
    first = result.results[0]
    assert plain.choices["temperature"] == 1.0
    assert first.choices["temperature"] != 1.0
    np.testing.assert_allclose(
        first.probabilities,
        apply_temperature(plain.probabilities, first.choices["temperature"]),
        atol=1e-12,
    )
    parts = {name: plain.predictions[name] for name in plain.choices["weights"]}
    np.testing.assert_array_equal(plain.probabilities, join(parts, plain.choices["weights"]))


def test_uncertainty_is_the_spread_of_the_ensemble(data: FusionData, folds, result) -> None:
    uncertainty = result.results[0].uncertainty
    assert uncertainty is not None
    assert uncertainty.shape == result.results[0].probabilities.shape
    assert (uncertainty >= 0).all()
    assert uncertainty.max() <= 0.5
    assert uncertainty.std() > 0
    alone = replace(
        CONFIG,
        tokens=replace(TOKENS, attention=()),
        trees=replace(CONFIG.trees, rounds=0),
        mix=MixSettings(),
    )
    single = run_fold(data, folds, alone, 0).uncertainty
    assert single is not None
    assert (single == 0).all()  # one model cannot disagree with itself
    table = result.uncertainty_frame()
    np.testing.assert_array_equal(table["rna_id"], result.to_frame()["rna_id"])


@pytest.mark.parametrize("preset", ["default", "gtmaloc"])
def test_every_preset_fits_any_dataset(networks: NetworkSet, preset: str) -> None:
    from fusion.config import experiment_config
    from fusion.data.prepare import resolve_tokens
    from mirnagraph.config import preset_names

    assert preset in preset_names("fusion")
    config = resolve_tokens(networks, experiment_config(preset))
    assert not any(name.endswith("*") for name in (*config.tokens.attention, *config.tokens.trees))
    plain = tuple(
        n
        for n in (*config.tokens.attention, *config.tokens.trees)
        if not n.startswith(("node2vec", "graph_transformer", "trees"))
    )
    if plain:
        prepare(networks, replace(config, tokens=replace(config.tokens, attention=plain, trees=())))
