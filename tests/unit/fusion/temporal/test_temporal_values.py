"""Ranking score and temporal metrics by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusion.config import RankingSettings
from fusion.temporal.evaluate import Pairs, cell, evaluate
from fusion.temporal.report import verdict
from fusion.temporal.score import mean_ranks, molecule_share, ranking_scores, with_base_rates
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError

IDS = ["a", "b", "c", "d"]


def dataset(matures: list[str]) -> Dataset:
    """RNAs a, b, c, d have 0, 3, 1 and 2 partners: popularity 1, 4, 2, 3."""
    links = [("b", "x"), ("b", "y"), ("b", "z"), ("c", "x"), ("d", "x"), ("d", "y")]
    index = pd.Index(IDS, name="rna_id")
    return Dataset(
        name="tiny",
        rnas=pd.DataFrame({"sequence": "ACGU", "matures": matures}, index=index, dtype=object),
        associations={"drug": pd.DataFrame(links, columns=["rna_id", "partner_id"])},
        partners={"drug": pd.DataFrame(index=pd.Index(["x", "y", "z"]))},
        labels=pd.DataFrame({"Nucleus": 0, "Outside": 0}, index=index, dtype=np.int8),
    )


def test_ranks_are_shares_and_ties_share_their_mean() -> None:
    assert mean_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [0.625, 0.25, 0.625, 1.0]
    columns = mean_ranks(np.array([[2.0, 7.0], [1.0, 8.0], [np.nan, 9.0]]))
    assert columns[:2, 0].tolist() == [1.0, 0.5]
    assert np.isnan(columns[2, 0])
    assert columns[:, 1].tolist() == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_the_share_of_a_molecule_is_relative_to_its_most_popular_id() -> None:
    # a (1) shares a mature with b (4); c (2) with d (3)
    made = dataset(["AA", "AA;CC", "GG", "GG"])
    assert molecule_share(made).tolist() == pytest.approx([1 / 4, 1.0, 2 / 3, 1.0])
    assert molecule_share(dataset(["", "", "", ""])).tolist() == [1.0] * 4


def test_the_score_is_the_rank_of_a_weighted_mean_times_the_base_rate() -> None:
    made = dataset(["AA", "AA;CC", "GG", "GG"])
    labels = np.array([[1, 0], [1, 0], [0, 0], [1, 0]])  # base rates 4 / 6 and 1 / 6
    probabilities = np.array([[0.9, 0.1], [0.2, 0.2], [np.nan, np.nan], [0.5, 0.3]])

    def ranks(*weights: float) -> list[list[float]]:
        scores = ranking_scores(probabilities, labels, made, RankingSettings(*weights))
        assert np.isnan(scores[2]).all()
        return (scores[[0, 1, 3]] / [4 / 6, 1 / 6] * 3).round(9).T.tolist()

    # ranks among the three tested: Nucleus 3, 1, 2 of 3; Outside 1, 2, 3; popularity 1, 3, 2;
    # share 1/4, 1, 1. Nucleus: 2 + 1/3 + 1/4, 2/3 + 1 + 1 and 4/3 + 2/3 + 1 = 2.58, 2.67, 3.00
    assert ranks(2, 1, 1) == [[1, 2, 3], [1, 2, 3]]
    assert ranks(1, 0, 0) == [[3, 1, 2], [1, 2, 3]]
    assert ranks(0, 1, 0) == [[1, 3, 2], [1, 3, 2]]
    assert ranks(0, 0, 1) == [[1, 2.5, 2.5], [1, 2.5, 2.5]]
    # Nucleus: 3 + .25 against 1 + 1 and 2 + 1, in thirds and quarters: 1.25, 1.33 and 1.67
    assert ranks(1, 0, 1)[0] == [1, 2, 3]
    assert ranks(3, 0, 1)[0] == [3, 1, 2]


def test_a_number_is_weighted_by_the_labels_of_each_compartment() -> None:
    labels = np.array([[1, 0], [1, 0], [0, 0], [1, 0]])
    # ranks 3, 1.5, 1.5, 4 of 4; (3 + 1) / (4 + 2) and (0 + 1) / (4 + 2)
    made = with_base_rates(np.array([7.0, 2.0, 2.0, 9.0]), labels)
    assert made[:, 0].tolist() == pytest.approx([0.5, 0.25, 0.25, 2 / 3])
    assert made[:, 1].tolist() == pytest.approx([0.125, 0.0625, 0.0625, 1 / 6])


def test_weights_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="'popularity' is -1"):
        RankingSettings(popularity=-1)
    with pytest.raises(ConfigError, match="one weight above 0"):
        RankingSettings(0, 0, 0)


def pairs() -> Pairs:
    """Five RNAs; Nucleus is open for four of them, Outside for the first three."""
    is_open = np.array([[1, 1], [1, 1], [1, 1], [1, 0], [0, 0]], dtype=bool)
    later = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]])
    return Pairs(("Nucleus", "Outside"), is_open, later)


def test_auc_counts_open_pairs_alone() -> None:
    score = np.array([[0.9, 0.3], [0.5, 0.1], [0.4, 0.2], [0.1, 0.9], [0.0, 0.0]])
    popularity = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    table = evaluate(pairs(), {"score": score, "popularity": popularity}, n_resamples=300)
    # Nucleus: found later 0.9 and 0.4, not 0.5 and 0.1: 3 of 4 pairs in order; Outside: 0 of 2
    assert cell(table, "score", "Nucleus", "AUC", "value") == pytest.approx(3 / 4)
    assert cell(table, "score", "Outside", "AUC", "value") == 0.0
    assert cell(table, "score", "average", "AUC", "value") == pytest.approx(3 / 8)
    # popularity: Nucleus 1 and 3 against 2 and 4: 1 of 4; Outside 2 against 1 and 3: 1 of 2
    assert cell(table, "popularity", "average", "AUC", "value") == pytest.approx(3 / 8)
    assert cell(table, "score", "Nucleus", "AUC", "difference") == pytest.approx(1 / 2)
    assert cell(table, "score", "Nucleus", "AUC", "n_pairs") == 4
    assert cell(table, "score", "Nucleus", "AUC", "n_later") == 2
    assert np.isnan(cell(table, "popularity", "Nucleus", "AUC", "difference"))
    low, high = (cell(table, "score", "Nucleus", "AUC", name) for name in ("low", "high"))
    assert 0 <= low <= 3 / 4 <= high <= 1


def test_precision_at_k_takes_the_highest_pairs_of_all_compartments() -> None:
    n = 20
    later = np.zeros((n, 1))
    later[[0, 1, 2, 12]] = 1
    made = Pairs(("Nucleus",), np.ones((n, 1), dtype=bool), later)
    falling = -np.arange(n, dtype=float)
    table = evaluate(made, {"score": falling, "popularity": np.zeros(n)}, n_resamples=100)
    assert cell(table, "score", "all", "precision at 10", "value") == pytest.approx(3 / 10)
    # fewer than 50 pairs: all of them are taken
    assert cell(table, "score", "all", "precision at 50", "value") == pytest.approx(4 / 20)
    # all equal: the mean over the tied pairs
    assert cell(table, "popularity", "all", "precision at 10", "value") == pytest.approx(4 / 20)


def test_precision_of_each_compartment_and_of_all_together() -> None:
    n = 20
    later = np.zeros((n, 2))
    later[:4, 0] = 1
    later[-6:, 1] = 1
    falling = -np.arange(n, dtype=float)
    made = Pairs(("Nucleus", "Outside"), np.ones((n, 2), dtype=bool), later)
    score = np.column_stack([falling, falling - 100])
    table = evaluate(made, {"score": score, "popularity": falling}, n_resamples=100)
    metric = "precision at 10"
    assert cell(table, "score", "Nucleus", metric, "value") == pytest.approx(4 / 10)
    assert cell(table, "score", "Outside", metric, "value") == 0
    assert cell(table, "score", "average", metric, "value") == pytest.approx(2 / 10)
    # together the ten highest are all of Nucleus; by popularity five of each
    assert cell(table, "score", "all", metric, "value") == pytest.approx(4 / 10)
    assert cell(table, "popularity", "all", metric, "value") == pytest.approx(4 / 10)
    assert cell(table, "score", "Nucleus", metric, "n_later") == 4
    assert cell(table, "score", "all", metric, "n_pairs") == 40


def test_equal_rankings_do_not_differ_and_clear_ones_do() -> None:
    rng = np.random.default_rng(0)
    later = (rng.random((200, 2)) < 0.4).astype(int)
    made = Pairs(("Nucleus", "Outside"), np.ones((200, 2), dtype=bool), later)
    noise = rng.random(200)
    score = later + rng.random((200, 2))
    rankings = {"score": score, "model": noise, "popularity": noise}
    table = evaluate(made, rankings, n_resamples=200)
    columns = ("difference", "difference_low", "difference_high")
    same = [cell(table, "model", "average", "AUC", column) for column in columns]
    assert same == [0.0, 0.0, 0.0]
    assert cell(table, "score", "average", "AUC", "difference_low") > 0
    lines = verdict(table)
    assert "`score` (" in lines[0]
    assert "is higher than that of popularity alone" in lines[0]
    assert "has no significant difference to" in lines[1]
    reverse = evaluate(made, {**rankings, "score": -score}, n_resamples=200)
    assert "is lower than" in verdict(reverse)[0]
    again = evaluate(made, rankings, n_resamples=200)
    pd.testing.assert_frame_equal(table, again)


def test_a_compartment_of_one_class_does_not_count() -> None:
    later = np.array([[1, 0], [0, 0], [1, 0]])
    made = Pairs(("Nucleus", "Outside"), np.ones((3, 2), dtype=bool), later)
    table = evaluate(
        made, {"score": np.array([3.0, 1.0, 2.0]), "popularity": np.ones(3)}, n_resamples=100
    )
    assert np.isnan(cell(table, "score", "Outside", "AUC", "value"))
    assert cell(table, "score", "average", "AUC", "value") == 1.0
