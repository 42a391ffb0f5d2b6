"""Networks of many RNAs, built in blocks: edges of the dense way, stored, loaded, damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from scipy import sparse

from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.measurements import Measurement
from mirnagraph.networks.build import build_networks, coexpression_of
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.networks.settings import (
    CoexpressionNetworkConfig,
    FunctionalNetworkConfig,
    NetworkConfig,
    SequenceNetworkConfig,
)
from mirnagraph.networks.similarities import (
    both_ways,
    nearest_kept,
    similarity_row,
)
from mirnagraph.seeds import generator
from mirnagraph.similarity import blocks, nearest
from mirnagraph.similarity.candidates import KmerIndex
from mirnagraph.synthetic import make_dataset

TOP_K = {
    "sequence": SequenceNetworkConfig(rule="top_k", top_k=4),
    "functional": FunctionalNetworkConfig(rule="top_k", top_k=3, method="gtmaloc", weighted=True),
}


def dataset(n: int = 60) -> Dataset:
    """Synthetic, with a measurement in which some RNAs have no value."""
    made = make_dataset(n, seed=3)
    rng = generator(3, "expression")
    values = pd.DataFrame(
        100 * rng.lognormal(size=(n, 12)),
        index=made.rnas.index,
        columns=[f"s{number}" for number in range(12)],
    )
    values.iloc[::9] = np.nan
    samples = pd.DataFrame({"kind": "", "overlap": ""}, index=values.columns)
    samples.index.name = "sample"
    measurement = Measurement(values=values, samples=samples, unit="TPM", source="synthetic")
    return replace(made, measurements={"array": measurement})


def both(config: NetworkConfig, data: Dataset) -> tuple[NetworkSet, NetworkSet]:
    dense = build_networks(data, config, workers=1)
    large = replace(config, dense_below=10, nearest=7)
    return dense, build_networks(data, large, workers=1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 1000)
    monkeypatch.setattr(nearest, "BLOCK", 16)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        TOP_K,
        {"sequence": SequenceNetworkConfig(engine="parasail", cutoff=0.3)},
        {"sequence": SequenceNetworkConfig(which="mature", cutoff=0.5, weighted=False)},
        {"sequence": SequenceNetworkConfig(engine="kmer", kmer_cutoff=0.1)},
        {"functional": FunctionalNetworkConfig(cutoff=0.4, gamma=0.5, lambda_=0.2)},
    ],
)
def test_edges_and_similarities_are_those_of_the_dense_way(changes: dict) -> None:
    config = NetworkConfig(("sequence", "functional"), **changes)
    dense, large = both(config, dataset())
    for name in ("sequence", "functional"):
        expected = dense[name].matrix
        found = large[name].matrix
        assert (found.nnz, (found != expected).nnz) == (expected.nnz, 0)
        assert found.has_sorted_indices
        assert found.dtype == np.float64
    assert list(large.similarities) == list(dense.similarities)
    for name, similarity in large.similarities.items():
        assert similarity.dtype == np.float32
        others = np.array(dense.similarities[name])
        np.fill_diagonal(others, 0.0)
        for row in range(len(others)):
            near = similarity[[row]].toarray()[0]
            order = np.argsort(-others[row], kind="stable")[:7]
            expected_row = np.zeros(len(others), dtype=np.float32)
            expected_row[order] = others[row][order]
            assert (near == expected_row).all()


def test_coexpression_is_that_of_the_dense_way() -> None:
    config = NetworkConfig(("coexpression",), coexpression=CoexpressionNetworkConfig(top_k=3))
    dense, large = both(config, dataset())
    expected = dense["coexpression"].matrix
    found = large["coexpression"].matrix
    assert found.nnz == expected.nnz > 0
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-6)
    again = coexpression_of(dataset(), replace(config, dense_below=10, nearest=7))
    assert (again != large.similarities["coexpression"]).nnz == 0
    assert (coexpression_of(dataset(), config) == dense.similarities["coexpression"]).all()


def test_as_many_rnas_as_dense_below_are_dense() -> None:
    data = dataset(40)
    config = NetworkConfig(("sequence",), dense_below=40)
    assert isinstance(build_networks(data, config).similarities["sequence"], np.ndarray)
    config = NetworkConfig(("sequence",), dense_below=39)
    assert sparse.issparse(build_networks(data, config).similarities["sequence"])
    assert nearest_kept({"dense_below": 39, "nearest": 7}, 40) == 7
    assert nearest_kept({"dense_below": 40, "nearest": 7}, 40) is None
    assert nearest_kept({}, 4000) is None
    assert nearest_kept({}, 4001) == 100


def test_loaded_as_saved(tmp_path: Path) -> None:
    index = KmerIndex(above=5, candidates=10)
    sequence = SequenceNetworkConfig(index=index)
    config = NetworkConfig(dense_below=10, nearest=7, sequence=sequence)
    networks = build_networks(dataset(), config, workers=1)
    assert len(networks.notes) == 1
    assert networks.notes[0].startswith("k-mer index: ")
    loaded = NetworkSet.load(networks.save(tmp_path / "networks"))
    assert loaded.notes == networks.notes
    assert networks_sha256(loaded) == networks_sha256(networks)
    assert list(loaded.similarities) == sorted(networks.similarities)
    for name, similarity in networks.similarities.items():
        assert (loaded.similarities[name] != similarity).nnz == 0
        assert loaded.similarities[name].dtype == np.float32
    changed = dict(networks.similarities)
    changed["gip"] = changed["gip"].copy()
    changed["gip"].data[0] /= 2
    assert networks_sha256(replace(networks, similarities=changed)) != networks_sha256(networks)
    about = json.loads((tmp_path / "networks" / "networks.json").read_text())
    assert about["format_version"] == 2
    assert about["nearest"] == sorted(networks.similarities)


def test_a_dense_set_is_stored_as_before(tmp_path: Path) -> None:
    folder = build_networks(dataset(), NetworkConfig(), workers=1).save(tmp_path / "networks")
    about = json.loads((folder / "networks.json").read_text())
    assert about["format_version"] == 1
    assert {"nearest", "notes"}.isdisjoint(about)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("values", lambda a: a * 2, "hold numbers out of range"),
        ("columns", lambda a: a + 59, "hold numbers out of range"),
        ("pointers", lambda a: a[:-1], "do not fit its names"),
        ("pointers", lambda a: np.flip(a).copy(), "do not fit its names"),
        ("values", lambda a: a.astype(np.float64), "do not fit its names"),
        ("columns", lambda a: a[::-1].copy(), "are not in row order, each once"),
        ("other", lambda a: a, "other similarities than listed"),
    ],
)
def test_damaged_similarities_are_one_sentence(
    tmp_path: Path, part: str, change, message: str
) -> None:
    config = NetworkConfig(("sequence",), dense_below=10, nearest=7)
    folder = build_networks(dataset(), config, workers=1).save(tmp_path / "networks")
    file = folder / "similarities.safetensors"
    arrays = load_file(file)
    arrays[f"sequence.{part}"] = change(arrays.get(f"sequence.{part}", np.zeros(1)))
    save_file(arrays, file)
    with pytest.raises(CheckpointError, match=message) as caught:
        NetworkSet.load(folder)
    assert "\n" not in str(caught.value)


def test_a_wrong_entry_is_one_sentence(tmp_path: Path) -> None:
    config = NetworkConfig(("sequence",), dense_below=10)
    folder = build_networks(dataset(), config, workers=1).save(tmp_path / "networks")
    about = json.loads((folder / "networks.json").read_text())
    (folder / "networks.json").write_text(json.dumps(about | {"nearest": "sequence"}))
    with pytest.raises(CheckpointError, match="wrong entry"):
        NetworkSet.load(folder)


def test_a_store_resumes(tmp_path: Path) -> None:
    config = NetworkConfig(("sequence",), dense_below=10)
    first = build_networks(dataset(), config, workers=1, store=tmp_path / "store")
    n_files = len(list((tmp_path / "store").iterdir()))
    assert n_files > 5
    again = build_networks(dataset(), config, workers=1, store=tmp_path / "store")
    assert (first["sequence"].matrix != again["sequence"].matrix).nnz == 0


def test_rows_of_a_similarity_by_hand() -> None:
    stored = sparse.csr_array(np.array([[0, 0.5, 0], [0, 0, 0.25], [0, 0, 0]], dtype=np.float32))
    assert similarity_row(stored, 1).tolist() == [0, 1, 0.25]
    dense = np.array([[1, 0.5], [0.5, 1]], dtype=np.float32)
    assert similarity_row(dense, 0).tolist() == [1, 0.5]
    assert both_ways(stored).toarray().tolist() == [[1, 0.5, 0], [0.5, 1, 0.25], [0, 0.25, 1]]


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="dense_below"):
        NetworkConfig(dense_below=-1)
    with pytest.raises(ConfigError, match="nearest"):
        NetworkConfig(nearest=0)
