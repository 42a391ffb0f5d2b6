"""Supporting evidence of a prediction: counts and log odds by hand, without the RNA itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusion.explain.evidence import PSEUDOCOUNT, neighbours_of, partners_of, smoothed_log_odds
from fusion.explain.sequence import WINDOW, SequenceScan, sequence_reasons, windows_of
from fusion.explain.tables import support_marks
from fusion.models.reference import ReferenceRNAs
from fusion.tokens.table import TokenTable
from mirnagraph.dataset import Dataset

IDS = ["hsa-mir-1", "hsa-mir-2", "hsa-mir-3", "hsa-mir-4", "hsa-mir-5"]
LABELS = np.array([[1.0], [1.0], [1.0], [0.0], [np.nan]])


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    drug = [
        ["hsa-mir-1", "a", 1, "5;30;200;7"],
        ["hsa-mir-1", "b", 4, None],
        ["hsa-mir-2", "a", 2, ""],
        ["hsa-mir-3", "a", 2, "9"],
        ["hsa-mir-4", "b", 2, ""],
    ]
    return Dataset(
        name="tiny",
        rnas=pd.DataFrame({"sequence": "ACGU"}, index=pd.Index(IDS, name="rna_id"), dtype=object),
        associations={
            "drug": pd.DataFrame(
                [*drug, ["hsa-mir-5", "b", 1, ""]],
                columns=["rna_id", "partner_id", "n_records", "pmids"],
            ),
            "site": pd.DataFrame([["hsa-mir-3", "x"]], columns=["rna_id", "partner_id"]),
        },
        partners={
            "drug": pd.DataFrame(index=pd.Index(["a", "b"])),
            "site": pd.DataFrame(index=pd.Index(["x"])),
        },
        labels=pd.DataFrame(
            {"Nucleus": [1, 1, 1, 0, 1]}, index=pd.Index(IDS, name="rna_id"), dtype=np.int8
        ),
    )


@pytest.fixture(scope="module")
def known(dataset: Dataset) -> ReferenceRNAs:
    nothing = np.full((5, 1), np.nan)
    trained = np.array([True, True, True, True, False])
    return ReferenceRNAs(
        dataset.index,
        ("ACGU",) * 5,
        ("",) * 5,
        trained,
        LABELS,
        TokenTable(dataset.index, ()),
        nothing,
        nothing,
        nothing,
    )


def test_partners_by_hand(dataset: Dataset, known: ReferenceRNAs) -> None:
    first, second = partners_of(dataset, known, 0, 0, min_sharing=1)
    # two of the three other training RNAs are in the nucleus: both that share a, and not the one
    # that shares b (the fifth is no training RNA)
    base = 2 / 3
    assert (
        first.kind,
        first.partner,
        first.sharing,
        first.located,
        first.n_records,
        first.pmids,
    ) == ("drug", "a", 2, 2, 1.0, ("200", "30", "7"))
    share = (2 + PSEUDOCOUNT * base) / (2 + PSEUDOCOUNT)
    assert first.log_odds == pytest.approx(np.log(share / (1 - share)) - np.log(2))
    assert (second.partner, second.sharing, second.located, second.pmids) == ("b", 1, 0, ())
    assert second.log_odds < 0
    only = partners_of(dataset, known, 2, 0, min_sharing=0)
    assert [(one.kind, one.partner, one.sharing) for one in only] == [
        ("drug", "a", 2)
    ]  # nobody shares x, which says nothing
    assert partners_of(dataset, known, 0, 0) == ()


def test_nobody_who_shares_a_partner_is_no_evidence() -> None:
    np.testing.assert_allclose(
        smoothed_log_odds(np.array([0.0, 1.0]), np.array([0.0, 4.0]), 0.25), [0, 0], atol=1e-12
    )
    assert np.isfinite(smoothed_log_odds(np.array([3.0]), np.array([3.0]), 1.0)).all()


def test_neighbours_are_training_rnas_and_not_the_rna_itself(known: ReferenceRNAs) -> None:
    found = neighbours_of({"sequence": np.array([1.0, 0.3, 0.5, 0.4, 0.9])}, known, 0, 0)
    assert [(one.rna, one.weight, one.located) for one in found] == [
        ("hsa-mir-3", 0.5, True),
        ("hsa-mir-4", 0.4, False),
        ("hsa-mir-2", 0.3, True),
    ]
    assert [
        one.rna
        for one in neighbours_of({"sequence": np.array([0, 0.3, 0, 0, 0.9])}, known, None, 0)
    ] == ["hsa-mir-2"]


@pytest.mark.parametrize("length", [1, 2, 3, 6, 7, 60, 126, 127, 500, 20_000])
def test_windows_cover_every_nucleotide(length: int) -> None:
    starts, window, stride = windows_of(length)
    covered = np.zeros(length, dtype=int)
    for start in starts:
        covered[start : start + window] += 1
    assert covered.min() >= 1
    assert 1 <= window <= length
    assert starts[-1] + window == length
    assert len(starts) <= 122
    if 7 <= length <= 126:
        assert (window, stride) == (WINDOW, 1)


def test_the_strongest_stretch_by_hand() -> None:
    support = np.array([[0.0], [0.1], [-0.6], [-0.8], [0.3], [0.2]])
    found = sequence_reasons(SequenceScan(2, 1, np.array([0.7]), support), "ACGUAC", 0)
    assert (found.start, found.end, found.letters, found.probability) == (2, 4, "GU", 0.7)
    assert found.change == pytest.approx(-0.7)
    assert support_marks(found.support) == "..==+."
    assert support_marks((0.0, 0.0)) == ".."
