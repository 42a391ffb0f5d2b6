"""Measurements: checks, folder format, samples that are used, bad tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.measurements import (
    Measurement,
    coverage,
    default_names,
    read_samples,
    read_values,
)
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet, networks_sha256

SAMPLES = pd.DataFrame(
    {"pmid": ["1", "2", "3"], "kind": ["", "isolated fraction", "body fluid"]},
    index=["s1", "s2", "s3"],
)


def measurement(**changes: object) -> Measurement:
    values = pd.DataFrame(
        [[3.0, 0.1, 100.0], [0.0, np.nan, 7.5]], index=["b", "a"], columns=["s1", "s2", "s3"]
    )
    arms = {"5p": values.iloc[:1]}
    fields = {"values": values, "samples": SAMPLES, "source": "test", "arms": arms, **changes}
    return Measurement(**fields)  # type: ignore[arg-type]


def small_dataset(**measurements: Measurement) -> Dataset:
    rnas = pd.DataFrame(
        {"sequence": ["ACGU", "ACGG", "CCCC"]}, index=pd.Index(["a", "b", "c"], name="rna_id")
    )
    labels = pd.DataFrame({"Nucleus": [1, 0, 1]}, index=rnas.index, dtype=np.int8)
    return Dataset("small", rnas, {}, {}, labels, measurements=measurements)


def test_isolated_fractions_are_never_used_and_body_fluids_only_where_wanted() -> None:
    assert measurement().used().tolist() == [True, False, False]
    assert measurement().used(body_fluids=True).tolist() == [True, False, True]


def test_missing_columns_of_samples_are_added_empty() -> None:
    samples = measurement().samples
    assert list(samples.columns) == ["study", "pmid", "tissue", "kind", "overlap"]
    assert samples.loc["s2"].tolist() == ["", "2", "", "isolated fraction", ""]


def test_logarithm_of_counts_alone() -> None:
    logs = measurement().log_values().to_numpy()
    assert logs[0].tolist() == pytest.approx([2.0, 0.13750352, 6.65821148])
    assert np.isnan(logs[1, 1])
    other = measurement(unit="log ratio")
    assert other.log_values().loc["b", "s1"] == 3.0


def test_samples_and_rnas_are_selected_in_all_tables() -> None:
    part = measurement().select(np.array([True, False, True]))
    assert part.values.columns.tolist() == ["s1", "s3"]
    assert part.arms["5p"].loc["b"].tolist() == [3.0, 100.0]
    assert part.samples["pmid"].tolist() == ["1", "3"]
    rest = measurement().without_rnas({"b"})
    assert rest.values.index.tolist() == ["a"]
    assert rest.arms["5p"].empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"values": pd.DataFrame({"s1": [1.0]}, index=["a"]), "arms": {}},
            r"samples do not match the columns of the values; found 1 columns, expected the 3",
        ),
        (
            {"values": pd.DataFrame([[1.0, -2.0, 3.0]], index=["a"], columns=SAMPLES.index)},
            r"measurement of test, column 's2': value of a out of range; found -2.0, expected 0 or",
        ),
        (
            {"values": pd.DataFrame([[1.0, np.inf, 3]], index=["a"], columns=SAMPLES.index)},
            r"value of a out of range; found inf",
        ),
        (
            {"values": pd.DataFrame([[1.0, "x", 3]], index=["a"], columns=SAMPLES.index)},
            r"column 's2': values are no numbers",
        ),
        (
            {"values": pd.DataFrame(np.ones((2, 3)), index=["a", "a"], columns=SAMPLES.index)},
            r"a duplicate RNA; found a",
        ),
        ({"samples": SAMPLES.assign(kind="plasma")}, r"unknown kind of sample s1; found plasma"),
        ({"samples": SAMPLES.set_axis(["s", "s", "t"])}, r"a duplicate sample; found s"),
        (
            {"arms": {"7p": pd.DataFrame(columns=SAMPLES.index)}},
            r"unknown arm; found 7p, expected 5p",
        ),
        (
            {"arms": {"3p": pd.DataFrame(np.ones((1, 3)), index=["c"], columns=SAMPLES.index)}},
            r"arm 3p names an RNA that the whole table lacks; found c",
        ),
    ],
)
def test_bad_measurements_are_refused(changes: dict[str, object], message: str) -> None:
    changes = {"arms": {}, **changes}
    with pytest.raises(InputError, match=message):
        measurement(**changes)


def test_a_negative_value_is_allowed_in_another_unit() -> None:
    values = pd.DataFrame([[1.0, -2.0, 3.0]], index=["a"], columns=SAMPLES.index)
    other = measurement(values=values, arms={}, unit="log ratio")
    assert other.values.loc["a", "s2"] == -2.0


def test_dataset_folder_keeps_measurements_and_arms(tmp_path: Path) -> None:
    dataset = small_dataset(
        expression=measurement(), vesicles=measurement(arms={}, is_label_like=True, unit="CPM")
    )
    dataset.save(tmp_path / "d")
    assert (tmp_path / "d/measurements.expression.tsv").read_text().splitlines() == [
        "rna_id\ts1\ts2\ts3",
        "b\t3.0\t0.1\t100.0",
        "a\t0.0\tNA\t7.5",
    ]
    again = Dataset.load(tmp_path / "d")
    assert list(again.measurements) == ["expression", "vesicles"]
    for name, kept in dataset.measurements.items():
        read = again.measurements[name]
        pd.testing.assert_frame_equal(read.values, kept.values)
        pd.testing.assert_frame_equal(read.samples, kept.samples)
        assert (read.unit, read.is_label_like, read.source) == (
            kept.unit,
            kept.is_label_like,
            kept.source,
        )
    pd.testing.assert_frame_equal(
        again.measurements["expression"].arms["5p"], dataset.measurements["expression"].arms["5p"]
    )


def test_a_folder_without_measurements_is_as_before(tmp_path: Path) -> None:
    small_dataset().save(tmp_path / "d")
    assert "measurements" not in (tmp_path / "d/dataset.toml").read_text()
    assert not list((tmp_path / "d").glob("measurements*"))
    assert Dataset.load(tmp_path / "d").measurements == {}


def test_a_folder_made_by_hand_needs_no_table_of_samples(tmp_path: Path) -> None:
    small_dataset().save(tmp_path / "d")
    about = (tmp_path / "d/dataset.toml").read_text()
    (tmp_path / "d/dataset.toml").write_text(f"{about}\n[measurements.hand]\n")
    (tmp_path / "d/measurements.hand.tsv").write_text("id\tx\ty\na\t1\t500\n")
    hand = Dataset.load(tmp_path / "d").measurements["hand"]
    assert hand.unit == "RPM"
    assert hand.used().tolist() == [True, True]
    assert hand.values.loc["a"].tolist() == [1.0, 500.0]


def test_a_folder_that_measures_an_unknown_rna_is_refused(tmp_path: Path) -> None:
    small_dataset(expression=measurement()).save(tmp_path / "d")
    path = tmp_path / "d/measurements.expression.tsv"
    path.write_text(path.read_text().replace("a\t0.0", "z\t0.0"))
    message = r"measurements.expression.tsv, column 'rna_id': a measurement of an unknown RNA; "
    with pytest.raises(InputError, match=message + r"found 1, the first z"):
        Dataset.load(tmp_path / "d")


def test_a_dataset_refuses_measurements_of_unknown_rnas_and_odd_names() -> None:
    values = pd.DataFrame(np.ones((1, 3)), index=["z"], columns=SAMPLES.index)
    with pytest.raises(InputError, match="'expression' names an unknown RNA; found z"):
        small_dataset(expression=measurement(values=values, arms={}))
    with pytest.raises(InputError, match="not a name for a measurement; found a/b"):
        small_dataset(**{"a/b": measurement()})


def test_networks_folder_and_checksum_hold_measurements(tmp_path: Path) -> None:
    dataset = small_dataset(expression=measurement().select(np.array([True, True, True])))
    networks = build_networks(
        replace(dataset, measurements={"v": measurement(is_label_like=True)}), workers=1
    )
    assert networks.left_out["coexpression"] == (
        "the dataset has no measurement other than label-like ones"
    )
    networks.save(tmp_path / "n")
    again = NetworkSet.load(tmp_path / "n")
    assert networks_sha256(again) == networks_sha256(networks)
    other = measurement(is_label_like=True, samples=SAMPLES.assign(pmid="9"))
    changed = replace(networks, dataset=replace(dataset, measurements={"v": other}))
    assert networks_sha256(changed) != networks_sha256(networks)
    bare = replace(networks, dataset=replace(dataset, measurements={}))
    assert networks_sha256(bare) != networks_sha256(networks)


def test_coverage_is_said_with_the_samples_left_out() -> None:
    assert coverage(measurement(), 3) == (
        "2 of 3 RNAs measured, 1 of 3 samples used "
        "(1 of isolated fraction, 1 of body fluid left out)"
    )
    assert coverage(measurement(is_label_like=True), 3) == (
        "2 of 3 RNAs measured, 3 samples; nearly the labels: read only where a token names it"
    )


def test_a_star_stands_for_what_is_not_label_like() -> None:
    both = {"x": measurement(is_label_like=True), "y": measurement()}
    assert default_names(both) == ["y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id\ts1\ts2\na\t1\t\n",
            r"t.tsv, line 2, column 's2': blank cell; found nothing, expected a num",
        ),
        ("id\ts1\ts2\na\t1\tmany\n", r"line 2, column 's2': not a number; found many"),
        ("id\ts1\ts2\na\t1\tinf\n", r"line 2, column 's2': not a number; found inf"),
        (
            "id\ts1\ts2\na\t100\t1\nb\t-1.5\t2\n",
            r"line 3, column 's1': a negative value; found -1.5, expected 0 or more, in RPM",
        ),
        ("id\ts1\ts2\na\t100\t1\na\t2\t2\n", r"line 3, column 'id': duplicate id; found a"),
        ("id\ts1\ts1\na\t100\t1\n", r"line 1, column 's1': a column name is duplicated"),
        ("id\ts1\ts2\n\t100\t1\n", r"line 2, column 'id': empty id"),
        ("id\ts1\ts2\na\t100\n", r"line 2, column 3: wrong number of cells; found 2, expected 3"),
        ("id\ts1\ts2\na\t100\t1\t5\n", r"wrong number of cells; found 4, expected 3"),
        ("id\ns\n", r"no values in the table; found 1 rows, 0 samples"),
        ("id\ts1\n", r"no values in the table; found 0 rows, 1 samples"),
        (
            "id\ts1\ts2\na\t3.5\t12\n",
            r"look like logarithms or shares; found no value above 12, expected RPM.*above 32; c",
        ),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_values(tmp_path / "t.tsv", "RPM")


def test_a_table_may_say_that_a_value_was_not_measured(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("id\ts1\ts2\nx\t100.5\tNA\ny\t0\t2e1\n")
    values = read_values(tmp_path / "t.tsv", "RPM")
    assert values.index.tolist() == ["x", "y"]
    assert values.loc["y"].tolist() == [0.0, 20.0]
    assert np.isnan(values.loc["x", "s2"])


def test_the_fast_reader_gives_what_the_careful_one_gives(tmp_path: Path) -> None:
    (tmp_path / "fast.tsv").write_text("id\ts1\ts2\nx\t100.1\t0.30000000000000004\n")
    (tmp_path / "slow.tsv").write_text("id\ts1\ts2\nx\t100.1\t0.30000000000000004\ny\tNA\t1\n")
    fast = read_values(tmp_path / "fast.tsv", "RPM")
    slow = read_values(tmp_path / "slow.tsv", "RPM")
    pd.testing.assert_frame_equal(fast, slow.iloc[:1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run\tpmid\ns1\t1\ns1\t2\ns2\t3\n", r"duplicate sample; found s1"),
        ("run\tpmid\ns1\t1\ns3\t2\n", r"line 3, column 'run': a sample without values; found s3"),
        ("run\tpmid\ns1\t1\n", r"has no row in the table of samples; found 1, the first s2"),
    ],
)
def test_samples_that_do_not_match_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_samples(tmp_path / "t.tsv", ["s1", "s2"])


def test_samples_come_in_the_order_of_the_values(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("run\tother\tpmid\ns2\tx\t2\ns1\ty\t1\n")
    table = read_samples(tmp_path / "t.tsv", ["s1", "s2"])
    assert table["pmid"].tolist() == ["1", "2"]
    assert list(table.columns) == ["pmid"]
