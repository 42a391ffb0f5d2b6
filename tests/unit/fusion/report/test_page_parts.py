"""Networks, map, experiments and tracks of a report: values worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fusion.experiments.ablation_report import COLUMNS as ABLATION_COLUMNS
from fusion.report.blocks import Chart, Table
from fusion.report.experiments import (
    audit_conclusions,
    audit_data,
    experiment_sections,
    short_number,
    temporal_data,
)
from fusion.report.networks import (
    degree_data,
    embedding_of,
    neighbourhoods,
    two_dimensions,
)
from fusion.report.sequence import N_BINS, attribution_data, attribution_sections
from mirnagraph.networks.network import Network, NetworkSet
from mirnagraph.nodes import NodeIndex


@pytest.fixture(scope="module")
def three(small_dataset) -> NetworkSet:
    """RNAs a, b, c: a-b .5, a-c .9; a has the diseases x (2) and y (7), b has y (1)."""
    rnas = NodeIndex.of(["a", "b", "c"], "RNA")
    partners = NodeIndex.of(["x", "y"], "disease")
    similar = sparse.csr_array(np.array([[0, 0.5, 0.9], [0.5, 0, 0], [0.9, 0, 0]]))
    diseases = sparse.csr_array(np.array([[2.0, 7.0], [0, 1.0], [0, 0]]))

    class Tiny:
        index = rnas

    networks = {
        "sequence": Network("sequence", rnas, None, similar),
        "disease": Network("disease", rnas, partners, diseases),
    }
    return NetworkSet(Tiny(), networks, {})  # type: ignore[arg-type]


def test_degrees_are_cumulative(three: NetworkSet) -> None:
    """Degrees 2, 1, 1 by sequence; 2, 1, 0 by disease: c counts among the RNAs."""
    table = degree_data(three)
    values = table[["panel", "x", "y"]].to_numpy().tolist()
    assert values == [
        ["sequence", 1.0, 1.0],
        ["sequence", 2.0, 0.33333],
        ["disease", 1.0, 0.66667],
        ["disease", 2.0, 0.33333],
    ]


def test_neighbourhoods_list_the_strongest_first(three: NetworkSet) -> None:
    block = neighbourhoods(three)
    assert block.start == "a"
    assert block.n_rnas == 3
    names = block.names
    shown = [
        [(block.kinds[int(e[i])], names[int(e[i + 1])], e[i + 2]) for i in range(0, len(e), 3)]
        for e in block.edges
    ]
    assert shown[0] == [
        ("sequence", "c", 0.9),
        ("sequence", "b", 0.5),
        ("disease", "y", 7.0),
        ("disease", "x", 2.0),
    ]
    assert shown[1] == [("sequence", "a", 0.5), ("disease", "y", 1.0)]
    assert shown[2] == [("sequence", "a", 0.9)]


def test_the_map_reads_no_token_of_labels() -> None:
    """Tokens of neighbours and trees read labels; columns are standardised, tokens weigh alike."""
    arrays = {
        "token.neighbours:sequence": np.array([[9.0], [0.0]]),
        "token.trees": np.array([[9.0], [0.0]]),
        "token.same_sequence": np.array([[9.0], [0.0]]),
        "labels": np.array([[1.0], [0.0]]),
        "token.svd:drug": np.array([[1.0, 5.0], [3.0, 5.0]]),
    }
    values, used = embedding_of(arrays)
    assert used == ["svd:drug"]
    np.testing.assert_allclose(values, [[-1 / np.sqrt(2), 0], [1 / np.sqrt(2), 0]])
    assert embedding_of({"token.trees": arrays["token.trees"]})[1] == []


def test_the_map_is_seeded_and_keeps_groups_together() -> None:
    rng = np.random.default_rng(0)
    values = np.r_[rng.normal(0, 0.1, (15, 4)), rng.normal(5, 0.1, (15, 4))]
    first, method = two_dimensions(values, 1)
    assert method == "t-SNE"
    np.testing.assert_array_equal(first, two_dimensions(values, 1)[0])
    within = np.linalg.norm(first[:15] - first[:15].mean(axis=0), axis=1).max()
    between = np.linalg.norm(first[:15].mean(axis=0) - first[15:].mean(axis=0))
    assert between > within


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_experiments_in_a_run_folder_are_shown(tmp_path: Path) -> None:
    header = "variant compartment metric mean sd n_seeds pooled_difference pooled_low pooled_high"
    rows = [
        header,
        "full average AUC 0.9 0.01 2 0 0 0",
        "no_drug average AUC 0.88 0.01 2 -0.02 -0.03 -0.01",
        "no_drug Nucleus AUC 0.8 0.01 2 -0.1 -0.2 0",
    ]
    assert set(header.split()) <= set(ABLATION_COLUMNS)
    write(tmp_path / "ablation" / "ablation.tsv", "\n".join(rows).replace(" ", "\t") + "\n")
    write(
        tmp_path / "audit.tsv",
        "section\tsubject\tsplit\trnas\tcompartment\tmeasure\tvalue\n"
        "sources\tnames\trandom\tall\taverage\tAUC\t0.61234567\n",
    )
    write(
        tmp_path / "trials.tsv",
        "trial\tstate\tscore\tinner fold 0\tdim\tseconds\tnote\n"
        "0\tdone\t0.8\t0.8\t8.000049\t1\t\n1\tpruned\t\t0.7\t16\t1\t\n2\tdone\t0.9\t0.9\t32\t1\t\n"
        "3\tdone\t0.85\t0.9\t64\t1\t\n",
    )
    sections = {s.title: s for s in experiment_sections([tmp_path])}
    assert list(sections) == ["What each source is worth (ablation)", "Audit", "Tuning"]
    chart, table = sections["What each source is worth (ablation)"].blocks
    assert isinstance(chart, Chart)
    assert chart.data[["y", "x", "low", "high"]].to_numpy().tolist() == [
        ["no_drug", -0.02, -0.03, -0.01]
    ]
    assert isinstance(table, Table)
    assert table.rows[1] == ("no_drug", "0.880", "-0.020 [-0.030, -0.010]", "-", "-")
    chart, audit = sections["Audit"].blocks
    assert chart.data[["series", "x", "y"]].to_numpy().tolist() == [
        ["random folds", 0.61235, "names"]
    ]
    assert chart.line_at == 0.5
    assert audit.rows == (("names", "random", "all", "average", "AUC", "0.6123"),)
    chart, best = sections["Tuning"].blocks
    best_so_far = chart.data[chart.data["series"] == "best so far"]
    assert best_so_far["y"].tolist() == [0.8, 0.9, 0.9]
    assert [row[:3] for row in best.rows[:2]] == [("2", "done", "0.9000"), ("3", "done", "0.8500")]
    assert best.rows[2] == ("0", "done", "0.8000", "8", "1")
    assert best.header == ("trial", "state", "score", "dim", "seconds")


def test_the_audit_shows_sources_on_all_rnas_and_permuted_labels() -> None:
    columns = ["section", "subject", "split", "rnas", "compartment", "measure", "value"]
    rows = [
        ("sources", "popularity", "random", "all", "average", "AUC", "0.5"),
        ("sources", "trees", "family", "all", "average", "AUC", "0.75"),
        ("sources", "trees", "family", "located", "average", "AUC", "0.7"),
        ("sources", "trees", "family", "all", "Nucleus", "AUC", "0.6"),
        ("sources", "trees", "family", "all", "average", "AUPR", "0.4"),
        ("permutation", "trees", "permuted", "all", "average", "AUC", "0.48"),
        ("counts", "mRNA", "", "all", "average", "AUC", "0.1"),
        ("sources", "matching", "random", "all", "average", "AUC", ""),
    ]
    table = audit_data(pd.DataFrame(rows, columns=columns))
    assert table[["series", "x", "y"]].to_numpy().tolist() == [
        ["random folds", 0.5, "counts"],
        ["family folds", 0.75, "full model (trees)"],
        ["permuted labels", 0.48, "full model (trees)"],
    ]


def test_conclusions_are_the_lines_under_their_heading(tmp_path: Path) -> None:
    page = tmp_path / "audit.md"
    assert audit_conclusions(page) == []
    page.write_text("# Audit\n- before\n\n## Conclusions\n\n- The `trees` **win**.\n- No.\n\n"
                    "![x](x.png)\n\n## Tables\n\n- after\n")  # fmt: skip
    assert audit_conclusions(page) == ["The trees win.", "No."]


def test_settings_of_trials_are_short() -> None:
    cells = ("0.0099610911", "123456", "-7", "sgd", "", "2.0", "1e-07")
    shown = ["0.009961", "123456", "-7", "sgd", "", "2", "1e-07"]
    assert [short_number(cell) for cell in cells] == shown


def test_a_nested_search_shows_its_choices_and_gain(tmp_path: Path) -> None:
    write(
        tmp_path / "choices.tsv",
        "fold\tsetting\tvalue\tinner_score\n0\tdim\t8\t0.7\n0\trate\t0.00123456\t0.7\n"
        "1\tdim\t16\t0.81239\n",
    )
    write(
        tmp_path / "versus_untuned.tsv",
        "metric\tfold\tuntuned\tnested\tdifference\tlow\thigh\n"
        "AUC\t0\t0.5\t0.6\t0.1\t\t\nAUC\tmean\t0.5\t0.55\t0.05\t\t\n"
        "AUC\tpooled\t0.5\t0.54\t0.04\t-0.01\t0.09\n",
    )
    section, lacking = experiment_sections([tmp_path])
    assert "mirnagraph tune" not in lacking.blocks[0].text
    choices, gains = section.blocks
    assert choices.header == ("setting", "fold 0", "fold 1")
    assert choices.rows == (
        ("dim", "8", "16"),
        ("rate", "0.001235", "-"),
        ("score in the inner folds", "0.7", "0.8124"),
    )
    assert gains.rows == (
        ("AUC", "mean", "0.500", "0.550", "+0.050"),
        ("AUC", "pooled", "0.500", "0.540", "+0.040 [-0.010, +0.090]"),
    )


def test_rankings_by_later_labels_are_shown_by_compartment() -> None:
    columns = ["ranking", "compartment", "metric", "value", "low", "high"]
    rows = [
        ("score", "Nucleus", "AUC", 0.7, 0.6, 0.8),
        ("score", "Nucleus", "precision at 10", 0.3, 0.1, 0.5),
        ("popularity", "Nucleus", "AUC", 0.55, 0.5, 0.6),
        ("popularity", "Exosome", "AUC", np.nan, np.nan, np.nan),
    ]
    table = temporal_data(pd.DataFrame(rows, columns=columns))
    assert table[["series", "x", "low", "high", "y"]].to_numpy().tolist() == [
        ["score", 0.7, 0.6, 0.8, "Nucleus"],
        ["popularity", 0.55, 0.5, 0.6, "Nucleus"],
    ]


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    (section,) = experiment_sections([tmp_path])
    assert "mirnagraph ablate" in section.blocks[0].text
    assert experiment_sections([tmp_path], is_run=False) == []
    (section,) = attribution_sections([tmp_path])
    assert "seq explain" in section.blocks[0].text


def test_long_tracks_keep_the_strongest_nucleotide_of_a_stretch() -> None:
    n = 2 * N_BINS
    values = np.zeros(n)
    values[[5, 700]] = [-2.0, 1.0]
    table = pd.DataFrame(
        {"rna_id": "r", "position": np.arange(n), "letter": "A", "Nucleus": values}
    )
    track = attribution_data(table, ["r"], ["Nucleus"])
    assert len(track) == N_BINS
    strongest = track[track["y"] != 0]
    assert strongest[["x", "y"]].to_numpy().tolist() == [[6, -2], [701, 1]]


def test_attributions_of_a_folder(tmp_path: Path) -> None:
    write(
        tmp_path / "attribution.tsv",
        "rna_id\tposition\tletter\tNucleus\nr\t0\tA\t0.5\nr\t1\tC\t-0.25\n",
    )
    write(tmp_path / "zipcodes.bed", "r\t0\t2\tNucleus\t0.1\t.\t-0.3\t0.01\n")
    (section,) = attribution_sections([tmp_path])
    chart, zipcodes = section.blocks
    assert chart.data[["x", "y"]].to_numpy().tolist() == [[1, 0.5], [2, -0.25]]
    assert zipcodes.rows == (("r", "1", "2", "Nucleus", "-0.3", "0.01"),)
