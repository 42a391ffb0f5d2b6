"""`mirnagraph export --graphml`: networks of a run with its predictions."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from mirnagraph.networks.network import NetworkSet


@pytest.fixture
def saved(networks: NetworkSet, in_empty_folder: Path) -> Path:
    """The networks of `finished_run`, in ./networks."""
    return networks.save(in_empty_folder / "networks")


def test_nodes_have_the_predictions_of_the_run(
    run: Callable, finished_run: Path, networks: NetworkSet, saved: Path
) -> None:
    ended = run("export", str(finished_run), "--graphml", "graphs")
    assert ended.returncode == 0, ended.stderr
    assert "Written to graphs: sequence.graphml, " in ended.stderr
    predicted = pd.read_csv(finished_run / "predictions.tsv", sep="\t", index_col="rna_id")
    graph = nx.read_graphml("graphs/disease.graphml")
    for name in networks.dataset.compartments:
        shown = {rna: graph.nodes[rna][f"probability_{name}"] for rna in predicted.index}
        assert np.allclose(list(shown.values()), predicted[name], rtol=1e-9)
    called = [graph.nodes[rna].get("called", "") for rna in predicted.index]
    assert any(called)
    assert not all(called)
    styles = ET.parse("graphs/cytoscape-style.xml").iter("visualStyle")
    names = [style.get("name") for style in styles]
    assert names[1:] == [f"mirnagraph: {name}" for name in networks.dataset.compartments]


def test_a_folder_with_files_is_not_replaced(
    run: Callable, finished_run: Path, saved: Path
) -> None:
    Path("graphs").mkdir()
    Path("graphs/mine.txt").write_text("keep me")
    ended = run("export", str(finished_run), "--graphml", "graphs")
    assert ended.returncode == 3
    assert [path.name for path in Path("graphs").iterdir()] == ["mine.txt"]
    words = ("export", str(finished_run), "--graphml", "again")
    assert [run(*words).returncode, run(*words).returncode] == [0, 3]
    assert run(*words, "--overwrite").returncode == 0


def test_networks_of_another_run_are_refused(
    run: Callable, finished_run: Path, tmp_path: Path
) -> None:
    from mirnagraph.networks.build import build_networks
    from mirnagraph.synthetic import SyntheticConfig, make_synthetic

    config = SyntheticConfig(n_rnas=20, n_families=5, n_partners=(10, 8, 9), seed=1)
    other = build_networks(make_synthetic(config)[0]).save(tmp_path / "other")
    ended = run("export", str(finished_run), "--graphml", "graphs", "--networks", str(other))
    assert ended.returncode == 3
    assert "networks" in ended.stderr
    assert not Path("graphs").exists()


def test_something_to_write_must_be_named(run: Callable, finished_run: Path) -> None:
    ended = run("export", str(finished_run))
    assert ended.returncode == 2
    assert "--graphml" in ended.stderr
