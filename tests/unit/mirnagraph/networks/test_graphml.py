"""GraphML with attributes, as networkx and igraph read it back, and the styles for Cytoscape."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.networks.attributes import edge_attributes, partner_attributes, rna_attributes
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.cytoscape import STYLE
from mirnagraph.networks.export import to_described, write_graphml
from mirnagraph.networks.network import NetworkSet


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Three RNAs: one with all, one with a few things, one of which nothing is known."""
    index = pd.Index(["hsa-mir-1", "hsa-mir-2", "hsa-mir-3"], name="rna_id")
    rnas = pd.DataFrame(
        {"sequence": ["ACGUACGUACGU", "ACGUACGAACGU", None], "family": ["fam-1", None, ""]},
        index=index,
        dtype=object,
    )
    disease = pd.DataFrame(
        {
            "rna_id": ["hsa-mir-1", "hsa-mir-1", "hsa-mir-2"],
            "partner_id": ["flu & co", "gout", "gout"],
            "n_records": [3, 0, 1],
            "pmids": ["11;12", "", "12"],
        }
    )
    drug = pd.DataFrame({"rna_id": ["hsa-mir-1"], "partner_id": ["hsa-mir-2"]})
    return Dataset(
        name="small",
        rnas=rnas,
        associations={"disease": disease, "drug": drug},
        partners={
            "disease": pd.DataFrame(index=pd.Index(["flu & co", "gout"], name="partner_id")),
            "drug": pd.DataFrame(index=pd.Index(["hsa-mir-2"], name="partner_id")),
        },
        labels=pd.DataFrame(
            {"Nucleus": [1, 0, 0], "Extracellular vesicle": [1, 1, 0]}, index=index, dtype="int8"
        ),
    )


@pytest.fixture(scope="module")
def small(dataset: Dataset) -> NetworkSet:
    return build_networks(dataset)


@pytest.fixture(scope="module")
def predictions(dataset: Dataset) -> pd.DataFrame:
    table = {
        "Nucleus": [0.75, 0.25, np.nan],
        "Extracellular vesicle": [0.5, 0.125, np.nan],
        "called": ["Nucleus", "", ""],
    }
    return pd.DataFrame(table, index=pd.Index(dataset.index.ids, name="rna_id"))


def test_an_rna_has_what_is_known_of_it(dataset: Dataset) -> None:
    assert rna_attributes(dataset) == {
        "hsa-mir-1": {
            "family": "fam-1",
            "compartments": "Nucleus;Extracellular vesicle",
            "known_Nucleus": True,
            "known_Extracellular vesicle": True,
            "evidence": 4,  # 3 + 0 records of diseases, 1 for the drug: its records are not counted
            "n_pmids": 2,
        },
        "hsa-mir-2": {
            "compartments": "Extracellular vesicle",
            "known_Nucleus": False,
            "known_Extracellular vesicle": True,
            "evidence": 1,
            "n_pmids": 1,
        },
        "hsa-mir-3": {
            "known_Nucleus": False,
            "known_Extracellular vesicle": False,
            "evidence": 0,
            "n_pmids": 0,
        },
    }


def test_predictions_are_added_where_there_are_any(
    dataset: Dataset, predictions: pd.DataFrame
) -> None:
    described = rna_attributes(dataset, predictions)
    assert described["hsa-mir-1"]["probability_Nucleus"] == 0.75
    assert described["hsa-mir-1"]["probability_Extracellular vesicle"] == 0.5
    assert described["hsa-mir-1"]["called"] == "Nucleus"
    assert described["hsa-mir-2"]["probability_Nucleus"] == 0.25
    assert "called" not in described["hsa-mir-2"], "an empty text is left out"
    assert not [name for name in described["hsa-mir-3"] if name.startswith("probability")]


def test_partners_and_associations_have_their_records(dataset: Dataset) -> None:
    assert partner_attributes(dataset, "disease") == {
        "flu & co": {"evidence": 3, "n_pmids": 2},
        "gout": {"evidence": 1, "n_pmids": 1},
    }
    assert edge_attributes(dataset, "disease") == {
        ("hsa-mir-1", "flu & co"): {"evidence": 3, "pmids": "11;12"},
        ("hsa-mir-1", "gout"): {"evidence": 0},
        ("hsa-mir-2", "gout"): {"evidence": 1, "pmids": "12"},
    }


def test_pmids_are_counted_where_records_are_not(dataset: Dataset) -> None:
    table = dataset.associations["disease"].drop(columns="n_records")
    tables = {**dataset.associations, "disease": table}
    without = Dataset("small", dataset.rnas, tables, dataset.partners, dataset.labels)
    assert edge_attributes(without, "disease")["hsa-mir-1", "flu & co"]["evidence"] == 2


def test_accessions_come_from_the_names_of_the_dataset(dataset: Dataset) -> None:
    from mirnagraph.names.mirbase import MirbaseNames

    hairpins = pd.DataFrame({"id": ["hsa-mir-1"], "accession": ["MI1"], "sequence": ["ACGU"]})
    mature = {"mature_id": ["hsa-miR-1-5p"], "mature_acc": ["MIMAT1"], "mature_seq": ["ACGU"]}
    joined = pd.DataFrame(
        {"hairpin_id": ["hsa-mir-1"], "family_id": ["fam-1"], "mature_evidence": [""], **mature}
    )
    names = MirbaseNames.of(hairpins=hairpins, joined=joined)
    named = Dataset(
        "small", dataset.rnas, dataset.associations, dataset.partners, dataset.labels, names=names
    )
    described = rna_attributes(named)
    assert described["hsa-mir-1"]["accession"] == "MI1"
    assert "accession" not in described["hsa-mir-3"]


def test_degree_is_that_of_the_network(small: NetworkSet) -> None:
    graph = to_described(small["disease"], small.dataset)
    degrees = {node: values["degree"] for node, values in graph.nodes(data=True)}
    assert degrees == {"hsa-mir-1": 2, "hsa-mir-2": 1, "hsa-mir-3": 0, "flu & co": 1, "gout": 2}
    drugs = to_described(small["drug"], small.dataset)
    assert drugs.nodes["drug:hsa-mir-2"] == {
        "kind": "drug",
        "name": "hsa-mir-2",
        "degree": 1,
        "evidence": 1,
        "n_pmids": 0,
    }
    assert drugs.nodes["hsa-mir-2"]["kind"] == "miRNA"


def keys_of(path: Path) -> dict[tuple[str, str], str]:
    """(node or edge, attribute) -> type, as the file declares them."""
    keys = [key for key in ET.parse(path).getroot() if key.tag.endswith("key")]
    return {(key.get("for"), key.get("attr.name")): key.get("attr.type") for key in keys}


def test_a_file_declares_types_and_reads_back(
    tmp_path: Path, small: NetworkSet, predictions: pd.DataFrame
) -> None:
    paths = write_graphml(small, tmp_path, predictions)
    assert [path.stem for path in paths] == list(small.networks)
    assert keys_of(tmp_path / "disease.graphml") == {
        ("graph", "name"): "string",
        ("node", "kind"): "string",
        ("node", "name"): "string",
        ("node", "family"): "string",
        ("node", "compartments"): "string",
        ("node", "known_Nucleus"): "boolean",
        ("node", "known_Extracellular vesicle"): "boolean",
        ("node", "called"): "string",
        ("node", "probability_Nucleus"): "double",
        ("node", "probability_Extracellular vesicle"): "double",
        ("node", "degree"): "long",
        ("node", "evidence"): "long",
        ("node", "n_pmids"): "long",
        ("edge", "weight"): "double",
        ("edge", "network"): "string",
        ("edge", "evidence"): "long",
        ("edge", "pmids"): "string",
    }
    text = (tmp_path / "disease.graphml").read_text(encoding="utf-8")
    assert ">true</data>" in text
    assert ">True</data>" not in text
    for path, network in zip(paths, small.networks.values(), strict=True):
        again = nx.read_graphml(path)
        graph = to_described(network, small.dataset, predictions)
        assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
        assert nx.utils.edges_equal(again.edges(data=True), graph.edges(data=True))


def test_igraph_reads_the_same(
    tmp_path: Path, small: NetworkSet, predictions: pd.DataFrame
) -> None:
    igraph = pytest.importorskip("igraph", reason="python-igraph is not installed")
    write_graphml(small, tmp_path, predictions)
    graph = igraph.Graph.Read_GraphML(str(tmp_path / "disease.graphml"))
    rna = graph.vs.find(name="hsa-mir-1")
    assert (rna["kind"], rna["known_Nucleus"], rna["probability_Nucleus"]) == ("miRNA", True, 0.75)
    assert sorted(graph.es["pmids"]) == ["", "11;12", "12"]


@pytest.mark.parametrize("predicted", [False, True])
def test_styles_name_attributes_that_the_graphs_have(
    tmp_path: Path, small: NetworkSet, predictions: pd.DataFrame, predicted: bool
) -> None:
    write_graphml(small, tmp_path, predictions if predicted else None)
    root = ET.parse(tmp_path / STYLE).getroot()
    names = [style.get("name") for style in root.iter("visualStyle")]
    assert names == ["mirnagraph", "mirnagraph: Nucleus", "mirnagraph: Extracellular vesicle"]
    used = set()
    for part, end in (("node", "node"), ("edge", "edge")):
        for element in root.iter(part):
            mappings = [item for item in element.iter() if item.tag.endswith("Mapping")]
            used |= {(end, m.get("attributeName"), m.get("attributeType")) for m in mappings}
    declared = {
        (end, name, kind) for (end, name), kind in keys_of(tmp_path / "disease.graphml").items()
    }
    assert used <= declared
    assert (("node", "probability_Nucleus", "double") in used) is predicted


def test_a_text_that_xml_cannot_hold_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    from mirnagraph.errors import InputError

    rnas = dataset.rnas.assign(family=["x\x01y", None, None])
    odd = Dataset("odd", rnas, dataset.associations, dataset.partners, dataset.labels)
    with pytest.raises(InputError, match=r"GraphML cannot hold.*x\\x01y"):
        write_graphml(build_networks(odd), tmp_path)
