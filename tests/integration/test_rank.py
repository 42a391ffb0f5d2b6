"""Ranking of a finished run: order, evidence, confirmation by a table, and its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.explain.confirmation import mark, precision_at_k, read_confirmations
from fusion.explain.ranking import networks_of_run, newest_run, rank, read_run
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.networks.build import DEFAULT_CONFIG, build_networks
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.runs.run_file import FORMAT_VERSION

IDS = ["hsa-mir-1", "hsa-mir-2", "hsa-mir-3", "hsa-mir-4", "hsa-mir-5", "hsa-mir-6"]
NUCLEUS = [0.9, 0.2, 0.8, 0.8, 0.1, 0.99]
OUTSIDE = [0.3, 0.4, 0.5, 0.6, 0.7, 0.99]
FOLD = [0, 0, 1, 1, 2, -1]
SIMILAR = {
    (0, 1): 0.9,
    (0, 2): 0.5,
    (0, 3): 0.4,
    (0, 4): 0.3,
    (0, 5): 0.2,
    (2, 3): 0.7,
    (2, 4): 0.6,
}


@pytest.fixture(scope="module")
def networks() -> NetworkSet:
    """Six RNAs: Nucleus is known of 2, 4 and 5; RNA 6 is trained on and never tested."""
    drug = pd.DataFrame(
        [
            ["hsa-mir-1", "a", 1, "5;30"],
            ["hsa-mir-1", "b", 4, "7;5;100;9;8"],
            ["hsa-mir-2", "b", 2, ""],
        ],
        columns=["rna_id", "partner_id", "n_records", "pmids"],
    )
    site = pd.DataFrame([["hsa-mir-3", "x"]], columns=["rna_id", "partner_id"])
    dataset = Dataset(
        name="tiny",
        rnas=pd.DataFrame(
            {"sequence": "ACGU", "mature_ids": ["", "", "hsa-miR-33-5p;odd", "", "", ""]},
            index=pd.Index(IDS, name="rna_id"),
            dtype=object,
        ),
        associations={"drug": drug, "site of binding": site},
        partners={
            "drug": pd.DataFrame(index=pd.Index(["a", "b"])),
            "site of binding": pd.DataFrame(index=pd.Index(["x"])),
        },
        labels=pd.DataFrame(
            {"Nucleus": [0, 1, 0, 1, 1, 0], "Outside": [0, 0, 0, 0, 0, 1]},
            index=pd.Index(IDS, name="rna_id"),
            dtype=np.int8,
        ),
    )
    dense = np.zeros((6, 6), dtype=np.float32)
    for (one, other), weight in SIMILAR.items():
        dense[one, other] = dense[other, one] = weight
    return NetworkSet(dataset, {}, {"sequence": dense})


def make_run(
    folder: Path,
    networks: NetworkSet,
    *,
    finished: str = "2030-01-02T00:00:00+00:00",
    status: str = "done",
) -> Path:
    (folder / "folds").mkdir(parents=True)
    (folder / "config.toml").write_text("[ranking]\nmodel = 1\npopularity = 0\nmolecule = 0\n")
    about = {
        "format_version": FORMAT_VERSION,
        "status": status,
        "inputs": {"networks": networks_sha256(networks)},
        "dataset": networks.dataset.name,
    }
    (folder / "run.json").write_text(
        json.dumps({**about, "synthetic": networks.dataset.synthetic, "finished": finished})
    )
    pd.DataFrame({"rna_id": IDS, "fold": FOLD}).to_csv(folder / "folds.tsv", sep="\t", index=False)
    table = pd.DataFrame({"rna_id": IDS, "fold": FOLD, "Nucleus": NUCLEUS, "Outside": OUTSIDE})[:5]
    table[::-1].to_csv(folder / "predictions.tsv", sep="\t", index=False)
    for fold in range(3):
        (folder / "folds" / f"fold_{fold:02d}").mkdir()
        thresholds = [0.85 - 0.05 * fold, 0.5]
        saved: dict[str, object] = {"thresholds": {"model": thresholds, "own_trees": [0.1, 0.1]}}
        if fold == 1:  # as older versions wrote them
            saved = {"choices": {"thresholds": thresholds}}
        (folder / "folds" / f"fold_{fold:02d}" / "fold.json").write_text(json.dumps(saved))
    return folder


def test_new_predictions_by_hand(tmp_path: Path, networks: NetworkSet) -> None:
    run = read_run(make_run(tmp_path / "run", networks), networks)
    table = rank(run, ["nucleus"], top=5)
    assert table[
        ["rank", "rna_id", "compartment", "probability", "call", "known", "fold"]
    ].to_numpy().tolist() == [
        [1, "hsa-mir-1", "Nucleus", 0.9, 1, 0, 0],
        [2, "hsa-mir-3", "Nucleus", 0.8, 1, 0, 1],
    ]
    names = table[["query", "rna_id", "accession", "match"]]
    assert names.to_numpy().tolist()[0] == ["hsa-mir-1", "hsa-mir-1", "", "id"]
    assert table["threshold"].tolist() == pytest.approx([0.85, 0.80])
    first, second = table.iloc[0], table.iloc[1]
    assert (first["n_drug"], first["strongest_drug"]) == (2, "b (4); a (1)")
    assert (first["n_pmids"], first["pmids"]) == (6, "100;30;9;8;7")
    assert (
        second["n_site of binding"],
        second["strongest_site of binding"],
        second["n_drug"],
        second["n_pmids"],
    ) == (1, "x", 0, 0)
    # hsa-mir-2 is nearer, but in the same fold: the model of hsa-mir-1 was not trained on it
    assert first["neighbours_sequence"] == "hsa-mir-4 (0.400); hsa-mir-5 (0.300)"
    assert first["share_sequence"] == pytest.approx(2 / 4)
    assert second["neighbours_sequence"] == "hsa-mir-5 (0.600)"
    assert second["share_sequence"] == pytest.approx(1 / 2)
    assert "neighbours_functional" not in table.columns


def test_annotated_rnas_alone_or_with_the_others(tmp_path: Path, networks: NetworkSet) -> None:
    run = read_run(make_run(tmp_path / "run", networks), networks)
    known = rank(run, ["Nucleus"], known=True, novel=False)
    assert known["rna_id"].tolist() == ["hsa-mir-4", "hsa-mir-2", "hsa-mir-5"]
    assert known["known"].tolist() == [1, 1, 1]
    both = rank(run, known=True, top=3)
    assert both["rna_id"].tolist() == [
        "hsa-mir-1",
        "hsa-mir-3",
        "hsa-mir-4",
        "hsa-mir-5",
        "hsa-mir-4",
        "hsa-mir-3",
    ]
    assert both["known"].tolist() == [0, 0, 1, 0, 0, 0]
    scores = precision_at_k(
        run, networks.dataset.labels.to_numpy() > 0, ["Nucleus"], top=3, known=True
    ).set_index("compartment")
    nucleus = scores.loc["Nucleus"]
    assert nucleus[["n_candidates", "n_hits", "k", "hits_at_k"]].tolist() == [5, 3, 3, 1]
    # at least one of three hits among five taken three times: always
    assert nucleus[["precision_at_k", "chance", "p"]].tolist() == pytest.approx([1 / 3, 3 / 5, 1.0])
    # most studied: 1 (a and b), 2 (b), 3 (x): one of them is known
    assert nucleus["popularity_at_k"] == pytest.approx(1 / 3)
    with pytest.raises(ConfigError, match="nothing to rank"):
        rank(run, known=False, novel=False)
    with pytest.raises(
        ConfigError, match="unknown compartment 'Golgi'; available: Nucleus, Outside"
    ):
        rank(run, ["Golgi"])
    with pytest.raises(ConfigError, match="'top' is 0"):
        rank(run, top=0)


def test_a_table_confirms_predictions(tmp_path: Path, networks: NetworkSet) -> None:
    run, dataset = read_run(make_run(tmp_path / "run", networks), networks), networks.dataset
    path = tmp_path / "evidence.tsv"
    path.write_text(
        "rna_id\tcompartment\tpmid\tsource\tspecies\n"
        "hsa-miR-1-3p\tnucleus\t11\tRNALocate\tHomo sapiens\n"
        "HSA-MIR-1\tNucleus\t12\tRNALocate\tHomo sapiens\n"
        "odd\tOutside\t\tours\tHomo sapiens\n"
        "hsa-mir-3\tNucleus\t13\t\tMus musculus\n"
        "hsa-mir-3\tGolgi\t14\t\tHomo sapiens\n"
        "hsa-mir-9\tNucleus\t15\t\tHomo sapiens\n"
    )
    found = read_confirmations(path, dataset, species="homo sapiens")
    assert found.n_records == 6
    assert found.unused["reason"].tolist() == [
        "another species",
        "compartment is not in the dataset",
        "RNA is not in the dataset",
    ]
    marked = mark(rank(run), dataset, found)
    assert marked.loc[
        marked["compartment"] == "Nucleus", ["evidence", "evidence_source", "evidence_pmids"]
    ].to_numpy().tolist() == [
        ["confirmed", "RNALocate", "11;12"],
        ["listed elsewhere", "", ""],
    ]
    outside = marked[marked["compartment"] == "Outside"].set_index("rna_id")
    assert outside["evidence"].to_dict() == {
        "hsa-mir-5": "not listed",
        "hsa-mir-4": "not listed",
        "hsa-mir-3": "confirmed",
        "hsa-mir-2": "not listed",
        "hsa-mir-1": "listed elsewhere",
    }
    scores = precision_at_k(run, found.confirmed, dataset.compartments, top=1).set_index(
        "compartment"
    )
    # Nucleus: 2 candidates, 1 confirmed, on top; Outside: 5 candidates, 1 confirmed, not on top
    assert scores["precision_at_k"].tolist() == [1.0, 0.0, 0.5]
    assert scores["chance"].tolist() == pytest.approx([0.5, 0.2, 0.35])
    assert scores["p"].tolist()[:2] == pytest.approx([0.5, 1.0])
    everyone = read_confirmations(path, dataset)
    assert everyone.confirmed[2].tolist() == [True, True]
    path.write_text("rna_id\tcompartment\nhsa-mir-9\tNucleus\n")
    with pytest.raises(
        InputError,
        match=r"evidence\.tsv: no record has an RNA .*RNA is not in the dataset: 1",
    ):
        read_confirmations(path, dataset)
    path.write_text("rna_id\tcompartment\n")
    with pytest.raises(
        InputError, match=r"no record has an RNA .*; found nothing, expected e\.g\."
    ):
        read_confirmations(path, dataset)
    path.write_text("rna_id\tplace\nhsa-mir-9\tNucleus\n")
    with pytest.raises(InputError, match="missing column"):
        read_confirmations(path, dataset)


def test_labels_of_an_rna_do_not_move_its_own_place(tmp_path: Path, networks: NetworkSet) -> None:
    """Only who is a candidate depends on the label; probability and neighbours of an RNA do not."""
    other = replace(
        networks.dataset,
        labels=networks.dataset.labels.assign(Nucleus=[1, 1, 0, 1, 1, 0]).astype(np.int8),
    )
    flipped = replace(networks, dataset=other)
    one = rank(
        read_run(make_run(tmp_path / "one", networks), networks), ["Nucleus"], known=True
    ).set_index("rna_id")
    two = rank(
        read_run(make_run(tmp_path / "two", flipped), flipped), ["Nucleus"], known=True
    ).set_index("rna_id")
    same = ["rank", "probability", "neighbours_sequence", "share_sequence"]
    pd.testing.assert_series_equal(one.loc["hsa-mir-1", same], two.loc["hsa-mir-1", same])


def test_runs_that_do_not_fit_are_refused(tmp_path: Path, networks: NetworkSet) -> None:
    run = make_run(tmp_path / "runs" / "run", networks)
    with pytest.raises(CheckpointError, match="other networks"):
        read_run(run, replace(networks, similarities={}))
    running = make_run(
        tmp_path / "runs" / "running",
        networks,
        status="running",
        finished="2040-01-01T00:00:00+00:00",
    )
    with pytest.raises(InputError, match="not finished"):
        read_run(running, networks)
    old = make_run(tmp_path / "runs" / "old", networks, finished="2030-01-01T23:00:00+00:00")
    assert newest_run(tmp_path / "runs") == run
    with pytest.raises(InputError, match=r"no finished run.*mirnagraph train"):
        newest_run(tmp_path / "nowhere")
    (old / "folds" / "fold_01" / "fold.json").write_text('{"thresholds": {"model": [0.5]}}')
    with pytest.raises(
        InputError, match=r"fold\.json, column 'thresholds': a finished fold is damaged"
    ):
        read_run(old, networks)
    (old / "folds" / "fold_01" / "fold.json").unlink()
    with pytest.raises(InputError, match="a finished fold is damaged"):
        read_run(old, networks)
    text = (run / "predictions.tsv").read_text()
    (run / "predictions.tsv").write_text(text.replace("hsa-mir-5\t2", "hsa-mir-5\t1"))
    with pytest.raises(
        InputError, match=r"predictions\.tsv, column 'fold': the predictions do not fit"
    ):
        read_run(run, networks)


@pytest.mark.slow
def test_the_command_on_a_run_of_the_demo(run, quick) -> None:
    from mirnagraph.synthetic import demo_dataset

    assert "Example" in run("rank", "--help")[1]
    code, _, err = run("rank")
    assert (code, len(err.strip().splitlines())) == (3, 1)
    assert "mirnagraph train" in err
    config = quick(
        tokens={"attention": [], "trees": ["svd:disease", "degree", "neighbours:sequence"]},
        trees={"rounds": 0},
    )
    code, _, err = run("train", "--fold", "2", "--config", config.name, "--workers", "1", "-q")
    assert code == 0, err
    # a ./networks of something else does not hide that the run was made on the demo
    build_networks(demo_dataset(), replace(DEFAULT_CONFIG, networks=("drug",))).save("networks")
    code, out, err = run("rank", "--top", "2", "--out", "novel.tsv")
    assert code == 0, err
    assert "Dataset demo (synthetic)" in err
    lines = out.splitlines()
    assert lines[0].startswith("compartment\trank\trna_id\tscore\tprobability\tcall\tknown")
    assert len(lines) == 1 + 2 * 5
    table = pd.read_csv("novel.tsv", sep="\t")
    assert (table["known"] == 0).all()
    assert (
        table.groupby("compartment", sort=False)["score"]
        .apply(lambda p: p.is_monotonic_decreasing)
        .all()
    )
    Path("evidence.tsv").write_text(
        "rna_id\tcompartment\n"
        + "".join(f"{r}\t{c}\n" for r, c in table[["rna_id", "compartment"]].to_numpy())
    )
    code, out, err = run("rank", "--top", "2", "--evidence", "evidence.tsv", "-q")
    assert code == 0, err
    assert out.splitlines()[-1].split("\t")[4:6] == ["10", "1.000"]
    assert out.count("\tconfirmed\t") == 10
    code, out, _ = run("rank", "--known", "--novel", "--top", "3", "--compartment", "nucleus", "-q")
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        "compartment",
        *["Nucleus"] * 3,
        "compartment",
        "Nucleus",
        "all",
    ]
    newest = str(newest_run())
    by_option = run("rank", "--run", newest, "--top", "2", "-q")
    assert by_option[0] == 0
    assert by_option == run("rank", newest, "--top", "2", "-q")
    code, _, err = run("rank", newest, "--run", newest)
    assert code == 2
    assert f"two paths given, {newest} and --run {newest}; expected one" in err
    assert run("rank", "--networks", "networks")[0] == 3
    assert run("rank", "--compartment", "Golgi")[0] == 2
    assert run("rank", "--species", "x")[0] == 2
    with pytest.raises(CheckpointError, match="other networks"):
        networks_of_run(newest_run(), "networks")
