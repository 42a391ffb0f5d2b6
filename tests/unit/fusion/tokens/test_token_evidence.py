"""Evidence of associations (reports, records, numeric columns), worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusion.tokens.evidence import (
    numeric_evidence,
    report_matrix,
    report_times,
    shared_reports,
    weighted_matrix,
)
from mirnagraph.dataset import Dataset

RNAS = ["a", "b", "c", "d"]


def dataset_of(pairs: dict[str, list[object]]) -> Dataset:
    """Four RNAs and associations with the partners x, y and z, in this order."""
    index = pd.Index(RNAS, name="rna_id", dtype=object)
    rnas = pd.DataFrame({"sequence": ["ACGU"] * 4}, index=index)
    partners = pd.DataFrame(index=pd.Index(["x", "y", "z"], name="partner_id", dtype=object))
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=index)
    return Dataset("hand", rnas, {"drug": pd.DataFrame(pairs)}, {"drug": partners}, labels)


def reported() -> Dataset:
    """RNA a is named in the reports 9, 10 and 100, b in 10, c in 10 and 20, d in none."""
    return dataset_of(
        {
            "rna_id": ["a", "a", "b", "c"],
            "partner_id": ["x", "y", "x", "y"],
            "reports": ["9;10", "10;100", "10", "20;10;no number;"],
            "pmids": ["1", "2", "3", "4"],
        }
    )


def test_reports_are_columns_in_the_order_of_their_numbers() -> None:
    matrix, numbers = report_matrix(reported(), "drug")
    assert numbers.tolist() == [9, 10, 20, 100]
    # a is named twice in report 10, by two associations: once in the matrix
    expected = [[1, 1, 0, 1], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert matrix.toarray().tolist() == expected


def test_pmids_are_read_where_there_are_no_reports() -> None:
    pairs = {"rna_id": ["a", "b"], "partner_id": ["x", "x"]}
    matrix, numbers = report_matrix(dataset_of({**pairs, "pmids": ["7", "5;7"]}), "drug")
    assert numbers.tolist() == [5, 7]
    assert matrix.toarray().tolist() == [[0, 1], [1, 1], [0, 0], [0, 0]]
    matrix, numbers = report_matrix(dataset_of(pairs), "drug")
    assert matrix.shape == (4, 0)
    assert len(numbers) == 0


def test_shared_reports_name_two_rnas_or_more() -> None:
    dataset = dataset_of(
        {
            "rna_id": ["a", "b", "c"],
            "partner_id": ["x", "x", "x"],
            "reports": ["1;2;3", "2;3", "3;4"],
        }
    )
    # report 1 names a alone and 4 names c alone; of four RNAs, 2 names two and 3 names three:
    # log(5 / 3) = 0.510826, log(5 / 4) = 0.223144
    expected = [[0.510826, 0.223144], [0.510826, 0.223144], [0, 0.223144], [0, 0]]
    np.testing.assert_allclose(shared_reports(dataset, "drug").toarray(), expected, atol=1e-6)


def test_associations_are_weighted_by_the_log_of_their_records() -> None:
    pairs = {"rna_id": ["c", "a", "a"], "partner_id": ["z", "y", "x"]}
    # log(1 + 7) = 2.079442, log(1 + 3) = 1.386294, log(1 + 1) = 0.693147
    found = weighted_matrix(dataset_of({**pairs, "n_records": [7, 3, 1]}), "drug").toarray()
    expected = [[0.693147, 1.386294, 0], [0, 0, 0], [0, 0, 2.079442], [0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # without numbers of records each association counts as one record
    found = weighted_matrix(dataset_of(pairs), "drug").toarray()
    expected = [[0.693147, 0.693147, 0], [0, 0, 0], [0, 0, 0.693147], [0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_times_of_reports_are_quantiles_of_their_ranks() -> None:
    times = report_times(reported(), "drug")[:, :5]
    # of four reports a is named in those of rank 0, 1 and 3: quartiles 0, 0.5, 1, 2, 3, divided by
    # 4
    np.testing.assert_allclose(times[0], [0, 0.125, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(times[1], [0.25] * 5)
    # c: ranks 1 and 2
    np.testing.assert_allclose(times[2], [0.25, 0.3125, 0.375, 0.4375, 0.5])
    # d was never reported
    np.testing.assert_allclose(times[3], [1] * 5)


def test_sizes_and_number_of_reports_on_a_log_scale() -> None:
    found = report_times(reported(), "drug")[:, 5:9]
    # the reports name 1, 3, 1 and 1 RNAs; log 2 = 0.693147, log 3 = 1.098612, log 4 = 1.386294
    # a: sizes 1, 1, 3 of three reports
    np.testing.assert_allclose(found[0], [0.693147, 0.693147, 1.386294, 1.386294], atol=1e-6)
    # b: size 3 of one report
    np.testing.assert_allclose(found[1], [1.386294, 1.386294, 1.386294, 0.693147], atol=1e-6)
    # c: sizes 1 and 3, median 2, of two reports
    np.testing.assert_allclose(found[2], [0.693147, 1.098612, 1.386294, 1.098612], atol=1e-6)
    # d: none
    np.testing.assert_allclose(found[3], [0, 0, 0, 0])


def test_counts_over_time_are_in_eight_bins_on_a_log_scale() -> None:
    bins = report_times(reported(), "drug")[:, 9:]
    # rank x 8 / 4: the four reports fall into the bins 0, 2, 4 and 6; log(1 + 1) = 0.693147
    expected = np.zeros((4, 8))
    expected[0, [0, 2, 6]] = 0.693147
    expected[1, 2] = 0.693147
    expected[2, [2, 4]] = 0.693147
    np.testing.assert_allclose(bins, expected, atol=1e-6)
    many = ";".join(str(number) for number in range(1, 17))
    dataset = dataset_of({"rna_id": ["a"], "partner_id": ["x"], "reports": [many]})
    # sixteen reports, two a bin: log(1 + 2) = 1.098612
    found = report_times(dataset, "drug")
    np.testing.assert_allclose(found[0, 9:], [1.098612] * 8, atol=1e-6)
    # quartiles of the ranks 0 to 15: 0, 3.75, 7.5, 11.25, 15, divided by 16
    np.testing.assert_allclose(found[0, :5], [0, 0.234375, 0.46875, 0.703125, 0.9375])


def test_without_reports_all_times_are_those_of_an_rna_never_reported() -> None:
    found = report_times(dataset_of({"rna_id": ["a"], "partner_id": ["x"]}), "drug")
    assert found.shape == (4, 17)
    assert found.tolist() == [[1] * 5 + [0] * 12] * 4


def test_numeric_evidence_has_the_log_of_the_sum_and_the_mean() -> None:
    found = numeric_evidence(
        dataset_of(
            {
                "rna_id": ["c", "a", "a", "a"],
                "partner_id": ["x", "x", "y", "z"],
                "n_records": [7, 1, 1, 4],
                "score": [0.5, -2.0, 0.5, 0.75],
                "method": ["p", "q", "r", "s"],
                "pmids": [11, 12, 13, 14],
            }
        ),
        "drug",
    )
    assert list(found.columns) == ["sum_n_records", "sum_score", "mean_n_records", "mean_score"]
    assert list(found.index) == RNAS
    # a: log(1 + 6) = 1.945910; the sum -0.75 is cut at 0; means 2 and -0.25
    np.testing.assert_allclose(found.loc["a"], [1.945910, 0, 2, -0.25], atol=1e-6)
    # c: log(1 + 7) = 2.079442, log(1 + 0.5) = 0.405465
    np.testing.assert_allclose(found.loc["c"], [2.079442, 0.405465, 7, 0.5], atol=1e-6)
    assert found.loc["b"].tolist() == [0, 0, 0, 0]
    assert found.loc["d"].tolist() == [0, 0, 0, 0]


def test_no_numeric_column_is_no_evidence() -> None:
    found = numeric_evidence(dataset_of({"rna_id": ["a"], "partner_id": ["x"]}), "drug")
    assert found.shape == (4, 0)
