"""Popularity and its deciles by hand: ties, supporting kinds, row order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.scores import popularity, popularity_deciles


def dataset(degrees: dict[str, list[int]], supporting: tuple[str, ...] = ()) -> Dataset:
    """RNA i has `degrees[kind][i]` partners of that kind."""
    n_rnas = len(next(iter(degrees.values())))
    ids = [f"r{row}" for row in range(n_rnas)]
    associations = {}
    partners = {}
    for kind, counts in degrees.items():
        names = [f"{kind}{column}" for column in range(max(counts) + 1)]
        links = [(ids[row], name) for row in range(n_rnas) for name in names[: counts[row]]]
        associations[kind] = pd.DataFrame(links, columns=["rna_id", "partner_id"])
        partners[kind] = pd.DataFrame(index=pd.Index(names, name="partner_id"))
    index = pd.Index(ids, name="rna_id")
    return Dataset(
        name="tiny",
        rnas=pd.DataFrame({"sequence": "ACGU"}, index=index),
        associations=associations,
        partners=partners,
        labels=pd.DataFrame({"c": 0}, index=index),
        supporting=supporting,
    )


def test_popularity_is_the_sum_of_mean_ranks() -> None:
    made = dataset({"drug": [0, 2, 2, 5], "mRNA": [3, 1, 0, 0]})
    # drug: ranks 1, 2.5, 2.5, 4; mRNA: ranks 4, 3, 1.5, 1.5
    assert popularity(made).tolist() == [5, 5.5, 4, 5.5]


def test_supporting_kinds_do_not_count() -> None:
    made = dataset({"drug": [0, 2, 2, 5], "mRNA": [3, 1, 0, 0]}, supporting=("mRNA",))
    assert popularity(made).tolist() == [1, 2.5, 2.5, 4]


def test_equally_popular_rnas_share_the_decile_of_their_mean_rank() -> None:
    # sorted: 0 0 0 1 2 2 3 4 5 6 7 7 7 7 8 9 9 9 9 9; 20 RNAs, so a decile is two ranks wide
    counts = [7, 0, 9, 2, 9, 0, 7, 4, 9, 1, 6, 7, 2, 3, 9, 0, 8, 7, 5, 9]
    # mean ranks: 0 -> 2, 1 -> 4, 2 -> 5.5, 3 -> 7, 4 -> 8, 5 -> 9, 6 -> 10, 7 -> 12.5, 8 -> 15, 9
    # -> 18 decile floor((rank - 0.5) / 2)
    decile = {0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 4, 7: 6, 8: 7, 9: 8}
    expected = [decile[count] for count in counts]
    assert popularity_deciles(dataset({"drug": counts})).tolist() == expected


def test_all_equal_are_in_the_middle() -> None:
    # mean rank (1 + 7) / 2 = 4: (4 - 0.5) x 10 / 7 = 5
    assert popularity_deciles(dataset({"drug": [3] * 7})).tolist() == [5] * 7


def test_deciles_follow_the_rnas_when_rows_are_reordered() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 6, 33)
    order = rng.permutation(33)
    before = popularity_deciles(dataset({"drug": counts.tolist()}))
    after = popularity_deciles(dataset({"drug": counts[order].tolist()}))
    assert after.tolist() == before[order].tolist()
    assert before.dtype == np.int64
