"""Networks: cut-offs, statistics, settings, construction and export; values by hand, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.io import read_table
from mirnagraph.networks.build import (
    FunctionalNetworkConfig,
    NetworkConfig,
    SequenceNetworkConfig,
    build_networks,
)
from mirnagraph.networks.export import (
    to_multigraph,
    to_networkx,
    to_pyg,
    write_edges_tsv,
    write_graphml,
)
from mirnagraph.networks.network import Network, describe, describe_network
from mirnagraph.networks.settings import network_config
from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.smith_waterman import AlignmentScores, mature_similarity

FOUR = np.array(
    [[1.0, 0.9, 0.5, 0.5], [0.9, 1.0, 0.0, 0.6], [0.5, 0.0, 1.0, 0.0], [0.5, 0.6, 0.0, 1.0]]
)


def small_dataset(**changes: object) -> Dataset:
    rnas = pd.DataFrame(
        {
            "sequence": ["ACGUACGUACGU", "ACGUACGAACGU", "GGGGCCCCAAAA", None],
            "matures": ["ACGUACGU", "ACGUACGA;GGGG", "", ""],
        },
        index=pd.Index(["m1", "m2", "m3", "m4"], name="rna_id"),
        dtype=object,
    )
    parts: dict = {
        "name": "small",
        "rnas": rnas,
        "associations": {
            "disease": pd.DataFrame(
                {
                    "rna_id": ["m1", "m1", "m2", "m3"],
                    "partner_id": ["flu", "cold", "cold", "gout & co"],
                }
            ),
            "drug": pd.DataFrame({"rna_id": ["m1"], "partner_id": ["flu"]}),
        },
        "partners": {
            "disease": pd.DataFrame(
                {"descriptor_ids": ["D1", "D2", "D3"]},
                index=pd.Index(["flu", "cold", "gout & co"], name="partner_id"),
            ),
            "drug": pd.DataFrame(index=pd.Index(["flu", "aspirin"], name="partner_id")),
        },
        "labels": pd.DataFrame(
            np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.int8),
            index=rnas.index,
            columns=["Nucleus", "Exosome"],
        ),
        "ontology": pd.DataFrame(
            [
                ("C1", "D0", "any"),
                ("C1.1", "D1", "flu"),
                ("C1.2", "D2", "cold"),
                ("C9", "D3", "gout"),
            ]
        ),
    }
    parts["ontology"].columns = ["tree_number", "descriptor_id", "term"]
    return Dataset(**{**parts, **changes})


def test_cut_off_is_strict_and_weighted_or_not() -> None:
    assert cut_off(FOUR, 0.5).toarray().tolist() == [
        [0, 0.9, 0, 0],
        [0.9, 0, 0, 0.6],
        [0, 0, 0, 0],
        [0, 0.6, 0, 0],
    ]
    assert cut_off(FOUR, 0.6, weighted=False).toarray().tolist() == [
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert (
        cut_off(FOUR.astype(np.float32), 0.6).nnz == 2
    )  # 0.6 as float32 is above 0.6: compared in its own precision
    assert cut_off(FOUR, 0).nnz == 8


def test_top_k_is_a_union_with_ties_to_the_earlier_row() -> None:
    one = top_k(FOUR, 1).toarray()
    # 0 and 1 choose each other, 2 chooses 0, 3 chooses 1
    assert np.argwhere(np.triu(one)).tolist() == [[0, 1], [0, 2], [1, 3]]
    # 0 chooses 1 and of the equally similar 2 and 3 the first; 3 chooses 1 and 0; 2 chooses 0 and
    # never what is 0
    assert np.argwhere(np.triu(top_k(FOUR, 2).toarray())).tolist() == [
        [0, 1],
        [0, 2],
        [0, 3],
        [1, 3],
    ]
    ties = np.full((4, 4), 0.5) + np.eye(4) / 2
    assert np.argwhere(np.triu(top_k(ties, 1).toarray())).tolist() == [[0, 1], [0, 2], [0, 3]]
    assert top_k(FOUR, 100, weighted=False).nnz == 8


@pytest.mark.parametrize(
    ("similarity", "message"),
    [
        (np.ones((2, 3)), r"square array; found \(2, 3\)"),
        (
            np.array([[1, 1.5], [1.5, 1]]),
            r"out of range at row 0, column 1; found 1.5, expected a number in \[0, 1\]",
        ),
        (np.array([[1, np.nan], [np.nan, 1]]), r"row 0, column 1; found nan"),
        (np.array([[1, 0.2], [0.3, 1]]), r"not symmetric at row 0, column 1; found 0.2 and 0.3"),
    ],
)
def test_no_similarity(similarity: np.ndarray, message: str) -> None:
    for call in (lambda: cut_off(similarity, 0.5), lambda: top_k(similarity, 1)):
        with pytest.raises(InputError, match=message):
            call()


def test_statistics_worked_by_hand() -> None:
    rnas = NodeIndex.of(["a", "b", "c", "d"], "miRNA")
    found = describe_network(Network("sequence", rnas, None, cut_off(FOUR, 0.55)))
    assert (
        found["nodes"],
        found["edges"],
        found["isolated"],
        found["components"],
        found["largest_component"],
    ) == (4, 2, 1, 2, 3)
    assert (found["density"], found["mean_degree"]) == (2 / 6, 1.0)
    matrix = sparse.csr_array(np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]]))
    found = describe_network(Network("drug", rnas, NodeIndex.of(["x", "y", "z"], "drug"), matrix))
    assert (
        found["nodes"],
        found["rnas"],
        found["partners"],
        found["edges"],
        found["isolated"],
        found["isolated_rnas"],
    ) == (7, 4, 3, 3, 2, 1)
    assert (
        found["components"],
        found["largest_component"],
        found["density"],
        found["mean_degree"],
    ) == (4, 3, 0.25, 6 / 7)


def test_statistics_of_nothing() -> None:
    none = NodeIndex.of([], "miRNA")
    found = describe_network(Network("sequence", none, None, sparse.csr_array((0, 0))))
    assert (found["nodes"], found["components"], found["density"], found["mean_degree"]) == (
        0,
        0,
        0.0,
        0.0,
    )


def test_build_worked_by_hand() -> None:
    networks = build_networks(small_dataset())
    assert list(networks.networks) == ["sequence", "functional", "disease", "drug"]
    assert not networks.left_out
    # m1 and m2: eleven matches and one mismatch, 55 - 4, of 60
    assert networks["sequence"].matrix.toarray()[0, 1] == pytest.approx(51 / 60)
    # flu and cold share the root: (.5 + .5) / 3 = 1/3; m1 {flu, cold}, m2 {cold}: (1/3 + 1 + 1) / 3
    fs, gip = (
        (1 / 3 + 1 + 1) / 3,
        np.exp(-1 / 1),
    )  # squared norms 2, 1, 1, 0: mean 1; distance of m1 and m2 is 1
    assert networks.similarities["semantic"][0, 1] == pytest.approx(fs)
    assert networks.similarities["gip"][0, 1] == pytest.approx(gip)
    assert networks.similarities["functional"][0, 1] == pytest.approx((fs + gip) / 2)
    assert networks["functional"].matrix.nnz == 0  # .573 is not above .6
    lower = build_networks(small_dataset(), network_config(functional_cutoff=0.5))
    assert lower["functional"].matrix.toarray()[:2, :2].tolist() == [[0, 1], [1, 0]]
    for array in networks.similarities.values():
        assert array.dtype == np.float32
        assert array[3].tolist() == [0, 0, 0, 1]


def test_build_by_matures_and_top_k() -> None:
    config = NetworkConfig(
        networks=("sequence",),
        sequence=SequenceNetworkConfig(which="mature", rule="top_k", top_k=1),
    )
    networks = build_networks(small_dataset(), config)
    assert list(networks.networks) == ["sequence"]
    assert networks.similarities["sequence"][0, 1] == np.float32(
        mature_similarity([["ACGUACGU"], ["ACGUACGA", "GGGG"]])[0, 1]
    )
    assert networks["sequence"].matrix.nnz == 2


def test_what_a_dataset_cannot_give_is_said() -> None:
    bare = small_dataset(associations={}, partners={})
    networks = build_networks(bare)
    assert list(networks.networks) == ["sequence"]
    assert networks.left_out == {
        "functional": "the dataset has no associations of the kind 'disease'"
    }
    with pytest.raises(
        ConfigError, match="network 'functional' cannot be built: the dataset has no associations"
    ):
        build_networks(bare, NetworkConfig(networks=("functional",)))
    with pytest.raises(
        ConfigError,
        match="'networks' is 'protein', expected names among sequence, functional, "
        "coexpression, disease, drug",
    ):
        build_networks(small_dataset(), NetworkConfig(networks=("protein",)))
    wanted = NetworkConfig(networks=("sequence",), sequence=SequenceNetworkConfig(which="mature"))
    without = small_dataset(rnas=bare.rnas[["sequence"]])
    with pytest.raises(
        ConfigError, match="no RNA of the dataset has a value in the column 'matures'"
    ):
        build_networks(without, wanted)


@pytest.mark.parametrize("kind", ["sequence", "Functional", "mirna"])
def test_reserved_names(kind: str) -> None:
    whole = small_dataset()
    clash = small_dataset(
        associations={kind: whole.associations["drug"]}, partners={kind: whole.partners["drug"]}
    )
    with pytest.raises(InputError, match=f"an association kind has a reserved name; found {kind}"):
        build_networks(clash)


def test_workers_and_engine_change_nothing() -> None:
    one = build_networks(small_dataset(), workers=1)
    two = build_networks(
        small_dataset(), NetworkConfig(sequence=SequenceNetworkConfig(engine="parasail")), workers=3
    )
    for name, array in one.similarities.items():
        assert array.tobytes() == two.similarities[name].tobytes()


def test_progress_ends_at_its_total() -> None:
    seen: list[tuple[str, int, int]] = []
    build_networks(small_dataset(), progress=lambda *step: seen.append(step))
    assert ("sequence similarity", 3, 3) in seen
    assert seen[-1] == ("functional similarity", 3, 3)


def test_settings_read_back_and_are_checked(tmp_path: Path) -> None:
    config = NetworkConfig(
        networks=("sequence", "drug"),
        sequence=SequenceNetworkConfig(
            which="mature", rule="top_k", top_k=3, scores=AlignmentScores(2, -3, 7, 2)
        ),
        functional=FunctionalNetworkConfig(method="gtmaloc", lambda_=0.3, weighted=True),
    )
    path = tmp_path / "networks.toml"
    path.write_text(dump_toml(config))
    assert network_config(path) == config
    assert network_config(path, lambda_=0.7).functional == FunctionalNetworkConfig(
        method="gtmaloc", lambda_=0.7, weighted=True
    )
    path.write_text("[sequence]\ncut_off = 0.3\n")
    with pytest.raises(ConfigError, match="unknown setting 'cut_off'; did you mean 'cutoff'"):
        network_config(path)
    path.write_text('[functional]\nmethod = "max"\n')
    with pytest.raises(
        ConfigError,
        match=r"networks.toml.functional: setting .method. is 'max', expected best_match or",
    ):
        network_config(path)
    for wrong in (
        {"cutoff": 1.0},
        {"cutoff": -0.1},
        {"top_k": 0},
        {"rule": "all"},
        {"which": "stem"},
        {"engine": "blast"},
    ):
        with pytest.raises(ConfigError, match=f"setting '{next(iter(wrong))}'"):
            SequenceNetworkConfig(**wrong)
    for wrong in (
        {"lambda_": 1.1},
        {"decay": 0.0},
        {"gamma": 0.0},
        {"method": "max"},
        {"semantic_method": "lin"},
    ):
        with pytest.raises(ConfigError, match=f"setting '{next(iter(wrong))}'"):
            FunctionalNetworkConfig(**wrong)


def test_networkx_keeps_kinds_names_and_weights() -> None:
    networks = build_networks(small_dataset())
    graph = to_networkx(networks["drug"])
    assert dict(graph.nodes(data=True))["flu"] == {"kind": "drug", "name": "flu"}
    assert list(graph.edges(data=True)) == [("m1", "flu", {"weight": 1.0, "network": "drug"})]
    assert graph.number_of_nodes() == 4 + 2
    several = to_multigraph(networks)
    assert several.nodes["disease:flu"]["name"] == several.nodes["drug:flu"]["name"] == "flu"
    assert several.nodes["cold"]["kind"] == "disease"
    assert several["m1"]["m2"]["sequence"]["weight"] == pytest.approx(51 / 60)
    assert several.number_of_edges() == describe(networks)["edges"].sum()
    assert several.number_of_nodes() == 4 + 3 + 2


def test_pyg_has_both_directions() -> None:
    networks = build_networks(small_dataset())
    data = to_pyg(networks)
    assert data.validate()
    assert set(data.node_types) == {"miRNA", "disease", "drug"}
    assert data["disease"].node_id == ["flu", "cold", "gout & co"]
    ahead, back = (
        data["miRNA", "associated_with", "disease"],
        data["disease", "rev_associated_with", "miRNA"],
    )
    assert ahead.edge_index.tolist() == [[0, 0, 1, 2], [0, 1, 1, 2]]
    assert back.edge_index.tolist() == [[0, 1, 1, 2], [0, 0, 1, 2]]
    assert ahead.edge_weight.tolist() == back.edge_weight.tolist() == [1, 1, 1, 1]
    assert data["miRNA", "sequence", "miRNA"].edge_index.shape == (
        2,
        networks["sequence"].matrix.nnz,
    )
    assert data["miRNA"].y.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]
    assert data.num_nodes == 4 + 3 + 2


def test_graphml_refuses_letters_xml_cannot_carry(tmp_path: Path) -> None:
    network = Network(
        "drug",
        NodeIndex.of(["m1"], "miRNA"),
        NodeIndex.of(["x\x01y"], "drug"),
        sparse.csr_array(np.ones((1, 1))),
    )
    whole = build_networks(small_dataset())
    broken = type(whole)(whole.dataset, {"drug": network}, {})
    with pytest.raises(InputError, match="an id holds a character that GraphML cannot hold"):
        write_graphml(broken, tmp_path)
    assert not list(tmp_path.iterdir())


def test_edge_table(tmp_path: Path) -> None:
    networks = build_networks(small_dataset())
    table = read_table(
        write_edges_tsv(networks["sequence"], tmp_path / "edges.tsv"),
        ["source", "target", "weight"],
    )
    assert len(table) == networks["sequence"].matrix.nnz / 2
    assert float(table["weight"].iloc[0]) == networks["sequence"].matrix.toarray()[0, 1]
    assert table.iloc[0, :2].tolist() == ["m1", "m2"]
