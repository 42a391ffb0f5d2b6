"""Supporting evidence, occlusion, ranking and confirmation of predictions, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusion.explain.confirmation import Confirmations, mark, precision_at_k
from fusion.explain.evidence import smoothed_log_odds
from fusion.explain.occlusion import modality_changes
from fusion.explain.ranking import FinishedRun, latest_pmids, nearest_rows, rank, rank_order
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.dataset import Dataset
from mirnagraph.networks.network import NetworkSet
from mirnagraph.nodes import NodeIndex


def test_enrichment_is_a_log_odds_ratio_after_two_average_rnas() -> None:
    # base 0.25: 3 of 4 becomes (3 + 0.5) / 6 = 0.583333, log odds 0.336472, less log(1 / 3) =
    # -1.098612: 1.435085 0 of 2: 0.5 / 4 = 0.125, log(1 / 7) = -1.945910, and 1.098612: -0.847298;
    # 1 of 1: 1.5 / 3 = 0.5: 1.098612
    found = smoothed_log_odds(np.array([3.0, 0, 1]), np.array([4.0, 2, 1]), 0.25)
    np.testing.assert_allclose(found, [1.435085, -0.847298, 1.098612], atol=1e-6)


def test_the_base_of_enrichment_stays_off_zero_and_one() -> None:
    # base 0 is taken as 0.001: (1 + 0.002) / 4 = 0.2505, log odds -1.095949, and log(999) =
    # 6.906755
    assert smoothed_log_odds(np.array([1.0]), np.array([2.0]), 0) == pytest.approx(
        5.810806, abs=1e-5
    )
    assert smoothed_log_odds(np.array([1.0]), np.array([2.0]), 1) == pytest.approx(
        -5.810806, abs=1e-5
    )


def test_the_largest_change_of_a_logit_comes_first_and_absent_modalities_last() -> None:
    index = NodeIndex.of(["a"], "miRNA")
    absent = np.array([False])
    names = {
        "sequence": ("kmer",),
        "drug": ("svd:drug",),
        "mRNA": ("svd:mRNA",),
        "disease": ("svd:disease",),
    }
    tokens = TokenTable(
        index,
        (
            make_token("kmer", np.array([[1.0]])),
            make_token("svd:drug", np.array([[1.0]]), absent),
            make_token("svd:mRNA", np.array([[1.0]])),
            make_token("svd:disease", np.array([[1.0]])),
        ),
    )
    # with everything 0.5; without the sequence 0.6, log 1.5 = 0.405465; without mRNA 0.2, -log 4 =
    # -1.386294; drug is absent: what was predicted without it is not read; without disease nothing
    # changes
    predicted = np.array([[0.9, 0.5], [0.9, 0.6], [0.9, 0.1], [0.9, 0.2], [0.9, 0.5]])
    found = modality_changes(names, tokens, predicted, 1)
    assert [one.modality for one in found] == ["mRNA", "sequence", "disease", "drug"]
    assert [one.present for one in found] == [True, True, True, False]
    assert [one.probability for one in found] == [0.2, 0.6, 0.5, 0.5]
    assert [one.change for one in found] == pytest.approx([-0.3, 0.1, 0, 0])
    assert [one.change_logit for one in found] == pytest.approx(
        [-1.386294, 0.405465, 0, 0], abs=1e-6
    )


def test_pmids_are_counted_once_latest_first() -> None:
    assert latest_pmids(["5;30;200", "", "7;30"]) == ["200", "30", "7", "5"]
    assert latest_pmids([100, "PMC7;99"]) == ["100", "99", "PMC7"]
    longest = "9" * 18
    assert latest_pmids(["7", longest, "9" * 5000, "٣", "²"])[:2] == [longest, "7"]
    assert latest_pmids([""]) == []


def test_nearest_training_rows_without_those_of_no_similarity() -> None:
    weights = np.array([0.3, 0.9, 0.0, 0.5, 0.3, 0.5])
    train = np.array([True, False, True, True, True, True])
    assert nearest_rows(weights, train).tolist() == [3, 5, 0, 4]


IDS = ["a", "b", "c", "d", "e", "f"]


def finished_run() -> FinishedRun:
    """Six RNAs, f trained on only; b, d and e are annotated Nucleus, f alone Cytosol."""
    index = pd.Index(IDS, name="rna_id", dtype=object)
    rnas = pd.DataFrame({"sequence": ["ACGU"] * 6}, index=index)
    pairs = pd.DataFrame(
        list(zip("bccddd", "xxyxyz", strict=True)), columns=["rna_id", "partner_id"]
    )
    partners = pd.DataFrame(index=pd.Index(["x", "y", "z"], name="partner_id", dtype=object))
    labels = pd.DataFrame(
        {"Nucleus": [0, 1, 0, 1, 1, 0], "Cytosol": [0, 0, 0, 0, 0, 1]}, index=index
    )
    dataset = Dataset("hand", rnas, {"drug": pairs}, {"drug": partners}, labels)
    similarity = np.zeros((6, 6))
    # of the RNA a: f 0.75, d 0.5, c 0.25, b 0.125
    similarity[0] = [1, 0.125, 0.25, 0.5, 0, 0.75]
    networks = NetworkSet(dataset, {}, {"sequence": similarity})
    nucleus = [0.9, 0.2, 0.8, 0.8, 0.1, np.nan]
    cytosol = [0.3, 0.4, 0.5, 0.6, 0.7, np.nan]
    probabilities = np.column_stack([nucleus, cytosol])
    thresholds = np.where(np.isnan(probabilities), np.nan, 0.8)
    return FinishedRun(networks, np.array([0, 0, 1, 1, 2, -1]), probabilities, thresholds)


def test_the_order_of_predictions_known_or_new() -> None:
    run = finished_run()
    assert rank_order(run, 0, known=False, novel=True).tolist() == [0, 2]
    assert rank_order(run, 0, known=True, novel=False).tolist() == [3, 1, 4]
    assert rank_order(run, 0, known=True, novel=True).tolist() == [0, 2, 3, 1, 4]


def test_a_ranked_prediction_is_called_at_its_threshold() -> None:
    table = rank(finished_run(), ["nucleus"], top=5)
    assert table["rna_id"].tolist() == ["a", "c"]
    # 0.9 and 0.8 reach the threshold 0.8
    assert table["call"].tolist() == [1, 1]
    table = rank(finished_run(), ["Cytosol"], top=1)
    assert table[["rna_id", "probability", "call"]].to_numpy().tolist() == [["e", 0.7, 0]]
    # of the training RNAs of a (c, d, e, f; b is in its fold) those in the nucleus: d alone of f, d
    # and c
    first = rank(finished_run(), ["Nucleus"], top=1).iloc[0]
    assert first["neighbours_sequence"] == "d (0.500)"
    assert first["share_sequence"] == pytest.approx(1 / 3)


def test_precision_against_chance_and_popularity() -> None:
    run = finished_run()
    hit = np.zeros((6, 2), dtype=bool)
    # in the nucleus the RNA a, in the cytosol the RNAs a and e
    hit[0] = True
    hit[4, 1] = True
    table = precision_at_k(run, hit, ["Nucleus", "Cytosol"], top=3).set_index("compartment")
    counts = table[["n_candidates", "n_hits", "k", "hits_at_k"]]
    # Nucleus: candidates a and c, both taken; Cytosol: a to e, taken e, d and c
    assert counts.to_numpy().tolist() == [[2, 1, 2, 1], [5, 2, 3, 1], [7, 3, 5, 2]]
    # 1 / 2 and 1 / 3; in all 2 / 5
    assert table["precision_at_k"].tolist() == pytest.approx([0.5, 0.333333, 0.4], abs=1e-6)
    # 1 / 2 and 2 / 5; over the five places (2 x 0.5 + 3 x 0.4) / 5 = 0.44
    assert table["chance"].tolist() == pytest.approx([0.5, 0.4, 0.44])
    # partners 0, 1, 2, 3, 0: the most studied of a and c are both, of all d, c and b, none of them
    # a hit: (2 x 0.5 + 3 x 0) / 5 = 0.2
    assert table["popularity_at_k"].tolist() == pytest.approx([0.5, 0, 0.2])
    # Nucleus: one of one, certain; Cytosol: 1 - C(3, 3) / C(5, 3) = 0.9
    assert table["p"].tolist()[:2] == pytest.approx([1, 0.9])
    assert np.isnan(table["p"].iloc[2])


def test_no_candidate_has_no_precision() -> None:
    run = finished_run()
    hit = np.zeros((6, 2), dtype=bool)
    table = precision_at_k(run, hit, ["Cytosol"], top=3, known=True, novel=False)
    assert table["k"].tolist() == [0, 0]
    assert table[["precision_at_k", "chance", "popularity_at_k", "p"]].isna().to_numpy().all()


def test_marks_of_predictions() -> None:
    dataset = finished_run().networks.dataset
    found = np.zeros((6, 2), dtype=bool)
    found[0, 0] = True
    listed = np.array([True, False, True, False, False, False])
    pair = (0, 0)
    confirmations = Confirmations(
        found, {pair: ("one", "two")}, {pair: ("7",)}, listed, pd.DataFrame(), 1
    )
    table = pd.DataFrame(
        {
            "rna_id": ["a", "a", "b", "c"],
            "compartment": ["Nucleus", "Cytosol", "Nucleus", "Nucleus"],
        }
    )
    marked = mark(table, dataset, confirmations)
    assert marked["evidence"].tolist() == [
        "confirmed",
        "listed elsewhere",
        "not listed",
        "listed elsewhere",
    ]
    assert marked["evidence_source"].tolist() == ["one;two", "", "", ""]
    assert marked["evidence_pmids"].tolist() == ["7", "", "", ""]
