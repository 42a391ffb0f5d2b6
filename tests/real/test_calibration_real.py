"""On the public benchmark: calibration of a finished run against its files,
temperature across halves, and its ranking with RNALocate 1 as evidence.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from fusion.config import ExperimentConfig, FoldSettings, TokenSettings
from fusion.experiments.train import run_experiment
from fusion.explain.confirmation import mark, precision_at_k, read_confirmations
from fusion.explain.ranking import FinishedRun, rank, read_run
from mirnagraph.evaluation.calibration import apply_temperature, fit_temperature, log_loss
from mirnagraph.networks.build import build_networks
from mirnagraph.sources import load_dataset
from mirnagraph.trees import TreesConfig

pytestmark = [pytest.mark.real, pytest.mark.slow]
CONFIG = ExperimentConfig(
    preset="test",
    tokens=TokenSettings(
        attention=(), trees=("svd:disease", "svd:drug", "svd:mRNA", "degree", "neighbours:sequence")
    ),
    folds=FoldSettings(n_folds=3),
    trees=TreesConfig(n_trees=40, rounds=0),
)


@pytest.fixture(scope="module")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FinishedRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRNAGRAPH_DATA", str(real_data))
        networks = build_networks(load_dataset("mirna1041"))
    folder = tmp_path_factory.mktemp("runs") / "quick"
    run_experiment(networks, CONFIG, folder, workers=1)
    return folder, read_run(folder, networks)


def files_of(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    labels = pd.read_csv(folder / "labels.tsv", sep="\t").set_index("rna_id")
    predictions = (
        pd.read_csv(folder / "predictions.tsv", sep="\t").set_index("rna_id").loc[labels.index]
    )
    names = [str(c) for c in labels.columns]
    return names, labels.to_numpy(), predictions[names].to_numpy()


def plain_error(true: np.ndarray, probability: np.ndarray) -> float:
    """Ten bins by the mean of an RNA's first and last place among the sorted probabilities;
    from the definition, with dictionaries.
    """
    ordered = sorted(probability.tolist())
    first = {p: k for k, p in reversed(list(enumerate(ordered)))}
    last = {p: k + 1 for k, p in enumerate(ordered)}
    off: dict[int, float] = {}
    for t, p in zip(true.tolist(), probability.tolist(), strict=True):
        place = int((first[p] + last[p]) / 2 / len(ordered) * 10)
        off[place] = off.get(place, 0.0) + p - t
    return sum(abs(value) for value in off.values()) / len(ordered)


def test_the_error_of_a_finished_run_is_that_of_its_files(run: tuple[Path, FinishedRun]) -> None:
    folder, _ = run
    names, true, probability = files_of(folder)
    metrics = pd.read_csv(folder / "metrics.tsv", sep="\t")
    pooled = metrics[metrics["metric"] == "ECE"].set_index("compartment")["pooled"]
    expected = [plain_error(true[:, k], probability[:, k]) for k in range(len(names))]
    np.testing.assert_allclose(pooled[names], expected, atol=1e-9)
    assert pooled["average"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert "## Calibration and uncertainty" in (folder / "report.md").read_text()


def test_a_temperature_of_one_half_heals_over_confidence_of_the_other(
    run: tuple[Path, FinishedRun],
) -> None:
    names, true, probability = files_of(run[0])
    loud = expit(3 * logit(np.clip(probability, 1e-3, 1 - 1e-3)))
    half = np.random.default_rng(0).permutation(len(true)) < len(true) // 2
    for one, other in ((half, ~half), (~half, half)):
        fitted = fit_temperature(true[one], loud[one])
        assert fitted > 1.5
        assert (
            log_loss(true[other], apply_temperature(loud[other], fitted))
            < log_loss(true[other], loud[other]) - 0.01
        )
    assert len(names) == 7


def test_a_ranking_is_far_above_chance_on_what_was_known_and_counts_what_a_table_confirms(
    real_data: Path, run: tuple[Path, FinishedRun]
) -> None:
    path = real_data / "rnalocate" / "rnalocate1_loc_mirna_pairs.tsv"
    if not path.is_file():
        pytest.skip(f"no evidence table at {path}")
    _, finished = run
    dataset = finished.networks.dataset
    evidence = read_confirmations(path, dataset)
    table = mark(rank(finished), dataset, evidence)
    assert len(table) == 70
    assert (table["known"] == 0).all()
    # release 1 is older than the labels and holds little that they do not: how much of it comes out
    # on top is reported, not promised
    novel = precision_at_k(finished, evidence.confirmed, dataset.compartments, top=10).set_index(
        "compartment"
    )
    confirmed = (
        table[table["evidence"] == "confirmed"]
        .groupby("compartment")
        .size()
        .reindex(dataset.compartments, fill_value=0)
    )
    assert novel.loc[dataset.compartments, "hits_at_k"].tolist() == confirmed.tolist()
    unknown = dataset.labels.to_numpy() == 0
    np.testing.assert_allclose(
        novel.loc[dataset.compartments, "chance"],
        (evidence.confirmed & unknown).sum(axis=0) / unknown.sum(axis=0),
    )
    assert len(evidence.unused) == 434  # arms written -star are read as their hairpin
    everything = (
        precision_at_k(
            finished, dataset.labels.to_numpy() > 0, dataset.compartments, top=10, known=True
        )
        .set_index("compartment")
        .loc["all"]
    )
    assert everything["precision_at_k"] > everything["chance"] + 0.3
    shuffled = replace(
        finished, probabilities=np.random.default_rng(0).permutation(finished.probabilities)
    )
    by_luck = (
        precision_at_k(
            shuffled, dataset.labels.to_numpy() > 0, dataset.compartments, top=50, known=True
        )
        .set_index("compartment")
        .loc["all"]
    )
    assert by_luck["precision_at_k"] == pytest.approx(by_luck["chance"], abs=0.1)
