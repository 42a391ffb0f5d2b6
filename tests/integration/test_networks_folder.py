"""Dataset -> build -> save -> load: equal again, and every damage to the folder is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.io import read_table, sha256_of_folder
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.export import to_multigraph, to_pyg, write_graphml
from mirnagraph.networks.network import NetworkSet, describe
from mirnagraph.networks.settings import network_config
from mirnagraph.networks.sparsify import cut_off


def synthetic(n: int = 24, seed: int = 4) -> Dataset:
    rng = np.random.default_rng(seed)
    ids = pd.Index([f"rna-{i}" for i in range(n)], name="rna_id")
    stems = ["".join(rng.choice(list("ACGU"), size=40)) for _ in range(4)]
    texts = [
        stems[i % 4][: 30 + i % 7] + "".join(rng.choice(list("ACGU"), size=8)) for i in range(n)
    ]
    rnas = pd.DataFrame(
        {"sequence": [None if i == 5 else text for i, text in enumerate(texts)]},
        index=ids,
        dtype=object,
    )
    associations, partners = {}, {}
    for kind, n_partners in (("mRNA", 15), ("disease", 9)):
        names = [f"{kind} {j}" for j in range(n_partners)]
        pairs = np.argwhere(rng.random((n - 1, n_partners)) < 0.3)
        associations[kind] = pd.DataFrame(
            {"rna_id": ids[pairs[:, 0]], "partner_id": [names[j] for j in pairs[:, 1]]}
        )
        partners[kind] = pd.DataFrame(index=pd.Index(names, name="partner_id"))
    partners["disease"]["descriptor_ids"] = ["", "D1;D2", *(f"D{j}" for j in range(1, 8))]
    numbers = ["C1", "C1.1", "C1.2", "C1.1.1", "C2", "C2.1", "C2.1.1"]
    ontology = pd.DataFrame(
        {
            "tree_number": numbers,
            "descriptor_id": [f"D{j}" for j in range(1, 8)],
            "term": [f"term {j}" for j in range(7)],
        }
    )
    labels = pd.DataFrame(
        rng.integers(0, 2, (n, 3)).astype(np.int8),
        index=ids,
        columns=["Nucleus", "Cytoplasm", "Exosome"],
    )
    return Dataset("made-up", rnas, associations, partners, labels, ontology, synthetic=True)


@pytest.fixture(scope="module")
def networks() -> NetworkSet:
    return build_networks(synthetic(), network_config(functional_cutoff=0.4))


@pytest.fixture
def folder(networks: NetworkSet, tmp_path: Path) -> Path:
    return networks.save(tmp_path / "networks")


def test_save_then_load_is_equal(networks: NetworkSet, folder: Path) -> None:
    again = NetworkSet.load(folder)
    assert again.dataset.index == networks.dataset.index
    assert again.dataset.labels.equals(networks.dataset.labels)
    assert (
        list(again.networks)
        == list(networks.networks)
        == ["sequence", "functional", "mRNA", "disease"]
    )
    for name, network in networks.networks.items():
        assert network.matrix.nnz > 0
        assert (again[name].rnas, again[name].partners) == (network.rnas, network.partners)
        for part in ("data", "indices", "indptr"):
            assert (
                getattr(again[name].matrix, part).tolist() == getattr(network.matrix, part).tolist()
            )
    assert set(again.similarities) == {"sequence", "functional", "semantic", "gip"}
    for name, array in networks.similarities.items():
        assert again.similarities[name].tobytes() == array.tobytes()
    assert again.settings == json.loads(json.dumps(networks.settings))
    assert again.left_out == networks.left_out
    assert describe(again).equals(describe(networks))
    assert (
        read_table(folder / "statistics.tsv")["edges"].astype(int).tolist()
        == describe(networks)["edges"].tolist()
    )


def test_cutting_a_loaded_similarity_gives_the_same_edges(
    networks: NetworkSet, folder: Path
) -> None:
    again = NetworkSet.load(folder)
    matrix = cut_off(again.similarities["functional"], 0.4, weighted=False)
    assert (matrix != networks["functional"].matrix).nnz == 0


def test_the_same_dataset_gives_the_same_bytes(
    networks: NetworkSet, folder: Path, tmp_path: Path
) -> None:
    other = build_networks(synthetic(), network_config(functional_cutoff=0.4), workers=1).save(
        tmp_path / "other"
    )
    assert sha256_of_folder(folder) == sha256_of_folder(other)


def test_exports_of_a_loaded_set(folder: Path) -> None:
    again = NetworkSet.load(folder)
    n_edges = describe(again).set_index("network")["edges"]
    assert to_multigraph(again).number_of_edges() == n_edges.sum()
    data = to_pyg(again)
    assert data.validate()
    assert data["miRNA", "functional", "miRNA"].num_edges == 2 * n_edges["functional"]
    write_graphml(again, folder)
    assert (
        NetworkSet.load(folder)["mRNA"].matrix.nnz == n_edges["mRNA"]
    )  # other files in the folder are left alone


def test_a_folder_is_not_replaced_unasked(networks: NetworkSet, folder: Path) -> None:
    before = sha256_of_folder(folder)
    with pytest.raises(InputError, match="the output folder exists and is not empty"):
        networks.save(folder)
    assert sha256_of_folder(folder) == before
    networks.save(folder, overwrite=True)
    assert sha256_of_folder(folder) == before


def test_no_networks_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: not a networks folder; found no such folder"):
        NetworkSet.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not a networks folder; found no networks.json in it"):
        NetworkSet.load(tmp_path)


def _change(folder: Path, **entries: object) -> None:
    about = json.loads((folder / "networks.json").read_text())
    (folder / "networks.json").write_text(json.dumps({**about, **entries}))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"format_version": 99},
            (
                r"networks.json, column 'format_version': unknown format of a networks folder; "
                r"found 99, expected 1"
            ),
        ),
        ({"networks": []}, r"column 'networks': missing or wrong entry; found \[\], expected dict"),
        (
            {"networks": {"../x": {"n_edges": 1}}},
            r"a network of no kind of the dataset; found ../x",
        ),
        (
            {"networks": {"sequence": {"n_edges": 1}}},
            r"edges.sequence.parquet: wrong number of edges; found \d+, expected 1",
        ),
        ({"rnas_checksum": "0" * 64}, r"the RNAs are not those the networks were built from"),
        ({"similarities": ["gip", None]}, r"column 'similarities': wrong entry; found .*a list of"),
        ({"similarities": ["gip"]}, r"similarities.safetensors: other similarities than listed"),
    ],
)
def test_a_wrong_entry_is_named(folder: Path, entries: dict[str, object], message: str) -> None:
    _change(folder, **entries)
    with pytest.raises(CheckpointError, match=message):
        NetworkSet.load(folder)


def _without(folder: Path, *entries: str) -> None:
    """Networks as an earlier version lists them: without sha256."""
    about = json.loads((folder / "networks.json").read_text())
    for entry in entries:
        del about[entry]
    (folder / "networks.json").write_text(json.dumps(about))


def test_a_removed_network_is_noticed(folder: Path) -> None:
    about = json.loads((folder / "networks.json").read_text())
    networks = {name: entry for name, entry in about["networks"].items() if name != "mRNA"}
    _change(folder, networks=networks)
    (folder / "edges.mRNA.parquet").unlink()
    with pytest.raises(CheckpointError, match=r"networks\.json: it was changed after the networks"):
        NetworkSet.load(folder)


def test_a_network_that_nothing_lists_is_named(folder: Path) -> None:
    about = json.loads((folder / "networks.json").read_text())
    _change(folder, networks={n: e for n, e in about["networks"].items() if n != "mRNA"})
    _without(folder, "sealed_sha256")
    with pytest.raises(CheckpointError, match=r"mRNA\.parquet: a network that networks\.json"):
        NetworkSet.load(folder)


def test_a_changed_weight_is_noticed(folder: Path) -> None:
    path = folder / "edges.mRNA.parquet"
    table = pd.read_parquet(path)
    table.loc[0, "weight"] /= 2
    table.to_parquet(path, index=False)
    with pytest.raises(CheckpointError, match=r"mRNA\.parquet: not the network .* found sha"):
        NetworkSet.load(folder)


def test_a_changed_similarity_is_noticed(folder: Path) -> None:
    arrays = load_file(folder / "similarities.safetensors")
    arrays["gip"][0, 1] /= 2
    save_file(arrays, folder / "similarities.safetensors")
    with pytest.raises(CheckpointError, match="not the similarities that networks"):
        NetworkSet.load(folder)


def test_a_changed_dataset_is_noticed(folder: Path) -> None:
    path = folder / "dataset" / "labels.tsv"
    lines = path.read_text().split("\n")
    lines[1] = "rna-0\t" + "\t".join(
        "1" if cell == "0" else "0" for cell in lines[1].split("\t")[1:]
    )
    path.write_text("\n".join(lines))
    with pytest.raises(
        CheckpointError, match="the dataset was changed after the networks were built"
    ):
        NetworkSet.load(folder)


def test_damaged_files_are_named(folder: Path) -> None:
    edges, dense, about = (
        folder / "edges.mRNA.parquet",
        folder / "similarities.safetensors",
        folder / "networks.json",
    )
    for path, message in (
        (edges, "a Parquet file that is cut or damaged"),
        (dense, "damaged safetensors file"),
        (about, "networks.json, line 1, column 2: not a JSON file"),
    ):
        whole = path.read_bytes()
        path.write_bytes(
            b"{}nonsense"[: 3 if path == dense else 10] if path != about else b"{nonsense"
        )
        with pytest.raises(InputError, match=message):
            NetworkSet.load(folder)
        path.unlink()
        with pytest.raises(
            InputError, match="no such file" if path != about else "not a networks folder"
        ):
            NetworkSet.load(folder)
        path.write_bytes(whole)
    assert NetworkSet.load(folder).networks
    shutil.rmtree(folder / "dataset")
    with pytest.raises(InputError, match="not a dataset folder"):
        NetworkSet.load(folder)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("source", "rna-99", r"line 1, column 'source': an edge names an unknown id; found rna-99"),
        ("target", "rna-0", r"line 1: not an edge of this network; found rna-0 - rna-0"),
        (
            "weight",
            -1.0,
            r"line 1: not an edge of this network; found .* weight -1.0, expected a weight above 0",
        ),
        ("weight", float("nan"), r"not an edge of this network"),
    ],
)
def test_a_wrong_edge_is_named(folder: Path, column: str, value: object, message: str) -> None:
    path = folder / "edges.sequence.parquet"
    table = pd.read_parquet(path)
    table.loc[0, column] = value
    table.to_parquet(path, index=False)
    with pytest.raises(CheckpointError, match=message):
        NetworkSet.load(folder)


def test_a_repeated_edge_and_wrong_columns_are_named(folder: Path) -> None:
    path = folder / "edges.disease.parquet"
    table = pd.read_parquet(path)
    pd.concat([table.iloc[:-1], table.iloc[:1]]).to_parquet(path, index=False)
    with pytest.raises(CheckpointError, match=f"line {len(table)}: a duplicate edge"):
        NetworkSet.load(folder)
    table.rename(columns={"weight": "score"}).to_parquet(path, index=False)
    with pytest.raises(
        CheckpointError, match=r"wrong columns; found .*score.*expected source, target, weight"
    ):
        NetworkSet.load(folder)


@pytest.mark.parametrize("wrong", ["shape", "range"])
def test_a_wrong_similarity_is_named(folder: Path, wrong: str) -> None:
    path = folder / "similarities.safetensors"
    arrays = load_file(path)
    arrays["gip"] = (
        np.ascontiguousarray(arrays["gip"][:, :-1]) if wrong == "shape" else arrays["gip"] * 2
    )
    save_file(arrays, path)
    message = (
        r"'gip' does not fit its names; found \(24, 23\) float32, expected \(24, 24\)"
        if wrong == "shape"
        else r"'gip' holds values outside"
    )
    with pytest.raises(CheckpointError, match=message):
        NetworkSet.load(folder)
