"""`read-labels`, `train --temporal` and the ranking of its run, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.dataset import Dataset


@pytest.fixture
def folder(networks, run, quick) -> Path:
    """Networks, quick settings and earlier labels: half of the labels, and no line for one RNA."""
    networks.save("networks")
    labels = networks.dataset.labels.copy()
    is_later = np.random.default_rng(0).random(labels.shape) < 0.5
    labels[is_later] = 0
    labels.rename_axis("rna_id").reset_index()[1:].to_csv("earlier.tsv", sep="\t", index=False)
    quick()
    return Path()


TRAIN = ("train", "--networks", "networks", "--config", "quick.toml", "--fold", "3")


def test_a_temporal_run_and_its_ranking(folder: Path, run, small_dataset: Dataset) -> None:
    words = (*TRAIN, "--temporal", "earlier.tsv", "--workers", "1", "--out", "temporal")
    code, out, err = run(*words)
    assert code == 0, err
    assert out.startswith("compartment\topen pairs\tfound later\tscore\tmodel\tpopularity\t")
    assert "precision at 10, each compartment, mean\t" in out
    earlier = pd.read_csv("earlier.tsv", sep="\t").set_index("rna_id")
    earlier = earlier.reindex(small_dataset.rnas.index, fill_value=0)
    is_open = earlier.to_numpy() == 0
    table = pd.read_csv("temporal/temporal.tsv", sep="\t")
    average = table[(table["ranking"] == "score") & (table["compartment"] == "average")].iloc[0]
    assert average["n_pairs"] == is_open.sum()
    assert average["n_later"] == (is_open & (small_dataset.labels.to_numpy() == 1)).sum()
    report = Path("temporal/report.md").read_text()
    assert "hence of today" in report
    assert "1 RNAs have no line in the earlier table" in report
    # the same folds and labels give the same predictions without a model of later labels
    labels = pd.read_csv("temporal/labels.tsv", sep="\t").set_index("rna_id")
    assert (
        labels.equals(earlier.astype(labels.dtypes.iloc[0]))
        or (labels.to_numpy() == earlier.to_numpy()).all()
    )
    code, _, err = run(*words)
    assert code == 3
    assert "--resume" in err
    assert run(*words, "--resume", "-q")[1] == out

    code, out, err = run("rank", "temporal", "--networks", "networks", "--top", "3")
    assert code == 0, err
    assert "Precision of this ranking, measured by the temporal run in temporal" in err
    assert out.splitlines()[0].split("\t")[:7] == [
        "compartment",
        "rank",
        "rna_id",
        "score",
        "probability",
        "call",
        "known",
    ]
    assert "compartment\tmetric\tscore\tlow\thigh\tpopularity" in out
    scores = pd.read_csv("temporal/scores.tsv", sep="\t").set_index("rna_id")
    first = out.splitlines()[1].split("\t")
    open_scores = scores[first[0]].where(earlier[first[0]] == 0)
    assert first[2] == open_scores.idxmax()
    assert first[7] == str(small_dataset.labels.loc[first[2], first[0]])


@pytest.mark.slow
def test_labels_of_a_later_time_move_no_prediction(folder: Path, run, networks) -> None:
    """The model is trained on the earlier labels alone."""
    from dataclasses import replace

    labels = networks.dataset.labels
    other = replace(networks, dataset=replace(networks.dataset, labels=1 - labels))
    other.save("other")
    options = ("--temporal", "earlier.tsv", "--workers", "1", "-q")
    assert run(*TRAIN, *options, "--out", "one")[0] == 0
    words = [word.replace("networks", "other") for word in TRAIN]
    words[1] = "--networks"
    assert run(*words, *options, "--out", "two")[0] == 0
    assert Path("one/predictions.tsv").read_bytes() == Path("two/predictions.tsv").read_bytes()
    assert Path("one/temporal.tsv").read_bytes() != Path("two/temporal.tsv").read_bytes()


def test_options_that_do_not_go_together(folder: Path, run) -> None:
    code, _, err = run(*TRAIN, "--labels-by", "molecule")
    assert (code, "--labels-by needs --temporal" in err) == (2, True)
    code, _, err = run(*TRAIN, "--temporal", "earlier.tsv", "--repeats", "2")
    assert (code, "--repeats" in err) == (2, True)
    code, _, err = run(*TRAIN, "--temporal", "earlier.tsv", "--cold-start")
    assert (code, "no cold start" in err) == (2, True)
    code, _, err = run(*TRAIN, "--temporal", "earlier.tsv", "--labels-by", "family")
    assert (code, "labels by 'family'" in err) == (2, True)
    code, _, err = run(*TRAIN, "--temporal", "none.tsv")
    assert (code, "no such file" in err) == (3, True)


def test_read_labels_as_typed(run, networks) -> None:
    networks.dataset.save("data")
    Path("mirbase").mkdir()
    Path("mirbase/hsa_hairpin_v22.1.fa").write_text(">hsa-mir-1 MI0000001 Homo sapiens\nACGU\n")
    columns = (
        "hairpin_acc\thairpin_id\tfamily_acc\tfamily_id\tmature_acc\tmature_id\t"
        "mature_evidence\tmature_seq\n"
    )
    Path("mirbase/hsa_hairpin_mature_family_v22.1.tsv").write_text(
        columns + "MI0000001\thsa-mir-1\t\t\tMIMAT0000001\thsa-miR-1-3p\texperimental\tACGU\n"
    )
    Path("mirbase/hsa_aliases_v22.1.tsv").write_text("MI0000001\thsa-mir-1;\n")
    rna = networks.dataset.index.ids[3]
    compartment = networks.dataset.compartments[1]
    Path("records.tsv").write_text(
        f"mirna\tlocation\n{rna}\t{compartment}\n{rna}\tGolgi\nhsa-miR-99\t{compartment}\n"
    )
    words = ("read-labels", "records.tsv", "--data", "data", "--mirbase", "mirbase")
    code, out, err = run(*words, "--out", "made.tsv")
    assert code == 0, err
    assert "1 of 3 records used" in err
    assert f"{compartment}\t1" in out
    table = pd.read_csv("made.tsv", sep="\t").set_index("rna_id")
    assert table.to_numpy().sum() == 1
    assert table.loc[rna, compartment] == 1
    left_out = pd.read_csv("made_left_out.tsv", sep="\t")
    assert left_out["rna"].tolist() == [rna, "hsa-miR-99"]
    assert run(*words, "--out", "made.tsv")[0] == 3
    assert run(*words, "--out", "made.tsv", "--overwrite")[0] == 0
    Path("other_left_out.tsv").write_text("mine")
    code, _, err = run(*words, "--out", "other.tsv")
    assert (code, Path("other_left_out.tsv").read_text()) == (3, "mine")
    assert "other_left_out.tsv: the output table exists; name another, or pass --over" in err
    Path("records.tsv").write_text("mirna\tlocation\nhsa-miR-99\tGolgi\n")
    code, _, err = run(*words, "--out", "none.tsv")
    assert (code, "no record has an RNA and a compartment" in err) == (3, True)
    assert not Path("none.tsv").exists()


def test_a_temporal_run_is_not_the_newest_run_to_rank(tmp_path: Path) -> None:
    from fusion.explain.ranking import newest_run
    from mirnagraph.runs.run_file import FORMAT_VERSION

    for number, name in enumerate(("plain", "temporal")):
        made = tmp_path / name
        made.mkdir()
        about = {
            "format_version": FORMAT_VERSION,
            "status": "done",
            "finished": f"2030-01-0{number + 1}T00:00:00+00:00",
        }
        if name == "temporal":
            about["temporal"] = {"labels_by": "id"}
        (made / "run.json").write_text(json.dumps(about))
        (made / "predictions.tsv").write_text("rna_id\n")
    assert newest_run(tmp_path) == tmp_path / "plain"
