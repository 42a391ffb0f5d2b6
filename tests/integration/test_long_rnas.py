"""Long circular RNAs from networks to a model: k-mer engine, folds by cluster and by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

from fusion.config import experiment_config
from fusion.data.prepare import config_folds, prepare, resolve_tokens, sequence_clusters
from fusion.models.new_rnas import similarity_levels, similarity_of_sequences
from fusion.models.reference import ReferenceRNAs, reference_rnas
from fusion.tokens.table import TokenTable
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.evaluation.splits import Folds
from mirnagraph.networks.build import NetworkConfig, SequenceNetworkConfig, build_networks
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.results import CrossValidationResult
from mirnagraph.similarity.kmer import kmer_similarity

N_RNAS = 24
LENGTH = 700


def long_dataset(length: int = LENGTH) -> Dataset:
    """Circular RNAs in pairs: the second of each pair is the first one cut elsewhere."""
    rng = np.random.default_rng(3)
    sequences = []
    for _ in range(N_RNAS // 2):
        sequence = "".join(rng.choice(list("ACGU"), length))
        sequences += [sequence, sequence[length // 3 :] + sequence[: length // 3]]
    ids = pd.Index([f"circ{number}" for number in range(N_RNAS)], name="rna_id")
    folds = [str(number % 3) for number in range(N_RNAS)]
    rnas = pd.DataFrame(
        {"sequence": sequences, "type": "circRNA", "published_fold": folds}, index=ids, dtype=object
    )
    values = rng.integers(0, 2, (N_RNAS, 2))
    labels = pd.DataFrame(values, index=ids, columns=["Nucleus", "Cytosol"]).astype("int8")
    pairs = pd.DataFrame({"rna_id": ids[:12], "partner_id": ["a", "b"] * 6}, dtype=object)
    partners = pd.DataFrame(index=pd.Index(["a", "b"], name="partner_id", dtype=object))
    return Dataset("long", rnas, {"drug": pairs}, {"drug": partners}, labels)


@pytest.fixture(scope="module")
def networks() -> NetworkSet:
    return build_networks(long_dataset())


def test_long_sequences_are_compared_by_kmers_around_the_circle(networks: NetworkSet) -> None:
    settings = networks.settings["sequence"]
    assert isinstance(settings, dict)
    assert settings["engine"] == "kmer"
    expected = kmer_similarity(list(networks.dataset.rnas["sequence"]), circular=[True] * N_RNAS)
    found = networks.similarities["sequence"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # a pair is one circle: all k-mers are shared; cut open, those over both ends are not
    np.testing.assert_allclose(found[0, 1], 1.0, atol=1e-6)
    # an edge of each pair, and none by chance
    assert networks["sequence"].matrix.nnz == N_RNAS


def test_short_sequences_are_aligned_and_a_named_engine_stays() -> None:
    short = build_networks(long_dataset(60))
    settings = short.settings["sequence"]
    assert isinstance(settings, dict)
    assert settings["engine"] == "pyopal"
    sequence = SequenceNetworkConfig(engine="kmer", kmer_cutoff=0.999)
    named = build_networks(long_dataset(60), NetworkConfig(sequence=sequence))
    np.testing.assert_allclose(named.similarities["sequence"][0, 1], 1.0, atol=1e-6)
    assert named["sequence"].matrix.nnz == N_RNAS
    with pytest.raises(ConfigError, match="engine"):
        SequenceNetworkConfig(which="mature", engine="kmer")


def test_folds_by_cluster_and_by_a_published_column() -> None:
    dataset = long_dataset()
    clusters = sequence_clusters(dataset)
    assert clusters.iloc[0] == clusters.iloc[1] != clusters.iloc[2]
    config = experiment_config("default", split="cluster", n_folds=3, seed=5)
    fold = config_folds(dataset, config).assigned.to_numpy().reshape(-1, 2)
    assert (fold[:, 0] == fold[:, 1]).all()
    assert set(fold.ravel().tolist()) == {0, 1, 2}
    published = config_folds(dataset, experiment_config("default", split="published_fold"))
    assert published.assigned.tolist()[:4] == [-1, 0, 1, -1]


def test_clusters_of_missing_sequences_stand_alone() -> None:
    dataset = long_dataset()
    rnas = dataset.rnas.copy()
    rnas.loc[["circ0", "circ2"], "sequence"] = None
    clusters = sequence_clusters(replace(dataset, rnas=rnas))
    assert clusters.iloc[[0, 2]].tolist() == ["", ""]
    assert clusters.iloc[4] == clusters.iloc[5] != ""


def reference(networks: NetworkSet) -> ReferenceRNAs:
    """Reference RNAs as a final model would store them, without tokens."""
    config = experiment_config("default", over={"tokens": {"attention": ["kmer"], "trees": []}})
    data = prepare(networks, resolve_tokens(networks, config))
    shape = data.labels.shape
    folds = Folds(pd.Series([0, 1] * (N_RNAS // 2), index=list(data.index)))
    nothing = np.zeros(shape)
    result = CrossValidationResult(
        data.index,
        data.compartments,
        folds,
        data.labels,
        {"model": nothing},
        {"model": nothing},
        {},
        (),
        "multi-label",
    )
    return reference_rnas(data, TokenTable(data.index, ()), np.arange(N_RNAS), result)


def test_new_rnas_are_compared_as_the_networks_were(networks: NetworkSet, tmp_path: Path) -> None:
    known = reference(networks)
    known.save(tmp_path)
    loaded = ReferenceRNAs.load(tmp_path, (), 2)
    assert loaded.kmers == known.kmers
    sequence = str(networks.dataset.rnas["sequence"].iloc[4])
    rotated = sequence[100:] + sequence[:100]
    similarity = similarity_of_sequences(loaded, [rotated])
    np.testing.assert_allclose(similarity[0], networks.similarities["sequence"][4], atol=1e-6)
    assert similarity_levels(loaded) == (0.02, 0.05)
    assert similarity_levels(reference(build_networks(long_dataset(60)))) == (0.25, 0.3)


def test_damaged_settings_of_a_stored_similarity(networks: NetworkSet, tmp_path: Path) -> None:
    from mirnagraph.runs.arrays import load_arrays, save_arrays

    reference(networks).save(tmp_path)
    arrays = load_arrays(tmp_path / "known.safetensors")
    save_arrays(
        {**arrays, "kmer_similarity.settings": np.array([3, 0])}, tmp_path / "known.safetensors"
    )
    with pytest.raises(CheckpointError, match="k-mer similarity are damaged"):
        ReferenceRNAs.load(tmp_path, (), 2)
    save_arrays({**arrays, "kmer_similarity.circular": np.ones(3)}, tmp_path / "known.safetensors")
    with pytest.raises(CheckpointError, match="do not fit"):
        ReferenceRNAs.load(tmp_path, (), 2)


@pytest.mark.slow
def test_the_commands_say_the_engine_and_train_on_published_folds(
    run: Callable[..., Any], unreported: None
) -> None:
    dataset = long_dataset()
    dataset.save("long")
    built = run("build-networks", "--data", "./long", "--out", "n")
    assert built.returncode == 0, built.stderr
    output = built.stdout + built.stderr
    assert "shared 11-mers in place of alignments (mean length 700 nt)" in output
    settings = {
        "tokens": {"attention": ["kmer", "n_similar", "neighbours:sequence"], "trees": []},
        "attention": {"dim": 8, "n_heads": 2},
        "training": {"epochs": 2, "n_members": 1, "n_students": 0, "inner_fraction": 0.2},
    }
    Path("s.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
    words = ["--config", "s.toml", "--split", "published_fold", "--no-baselines"]
    trained = run("train", "--networks", "n", *words, "--out", "trained", "--workers", "1")
    assert trained.returncode == 0, trained.stderr
    folds = pd.read_csv("trained/folds.tsv", sep="\t")
    assert folds["fold"].tolist() == [-1, 0, 1] * (N_RNAS // 3)
    # a new RNA that is one of the dataset, cut elsewhere
    sequence = str(dataset.rnas["sequence"].iloc[0])
    Path("new.fa").write_text(f">new\n{sequence[50:]}{sequence[:50]}\n", encoding="utf-8")
    predicted = run("predict", "--run", "trained", "--fasta", "new.fa", "--out", "p.tsv")
    assert predicted.returncode == 0, predicted.stderr
    assert pd.read_csv("p.tsv", sep="\t")["similarity"].tolist() == [1.0]
