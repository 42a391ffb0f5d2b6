"""Leakage section and selections of expression samples, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusion.data.expression_samples import (
    ALL_SAMPLES,
    NO_OVERLAP,
    ORDINARY,
    WITH_FLUIDS,
    WITH_FRACTIONS,
    WITHOUT,
    expression_inputs,
    networks_of_samples,
    selections_of,
)
from fusion.data.leakage import leakage_section, measurement_lines
from fusion.experiments.audit import COLUMNS, EXPRESSION, Audit
from fusion.experiments.audit_report import expression_values, page
from fusion.tokens.builders import build_tokens
from mirnagraph.dataset import Dataset
from mirnagraph.measurements import Measurement
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet

SAMPLES = pd.DataFrame(
    {
        "pmid": ["5", "", "24183674", "6", "7"],
        "kind": ["", "", "isolated fraction", "body fluid", ""],
        "overlap": ["", "", "mitochondria", "", "in Vesiclepedia"],
    },
    index=["s1", "s2", "s3", "s4", "s5"],
)


def measured(**about: object) -> Measurement:
    values = pd.DataFrame(
        [[0.0, 3, 1, 7, 15], [1.0, 0, 0, 0, 63], [7.0, 9, 3, 3, 1]],
        index=["a", "b", "c"],
        columns=SAMPLES.index,
    )
    return Measurement(values, SAMPLES, source="miRmine", **about)  # type: ignore[arg-type]


@pytest.fixture
def networks() -> NetworkSet:
    ids = pd.Index(["a", "b", "c", "d"], name="rna_id")
    rnas = pd.DataFrame({"sequence": ["ACGU", "ACGG", "CCCC", "AAAA"]}, index=ids)
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=ids, dtype=np.int8)
    measurements = {"expression": measured(), "vesicles": measured(is_label_like=True)}
    dataset = Dataset("small", rnas, {}, {}, labels, measurements=measurements)
    return build_networks(dataset, workers=1)


def test_lines_of_a_measurement() -> None:
    assert measurement_lines("expression", measured(), 4) == [
        "`expression` (miRmine, RPM): 3 of 4 RNAs measured, 3 of 5 samples used "
        "(1 of isolated fraction, 1 of body fluid left out).",
        "Samples left out as isolated fraction: 1 of PMID 24183674 (mitochondria).",
        "Samples left out as body fluid: 1 of PMID 6.",
        "Samples used whose publication may be a source of labels (cited by RNALocate for a "
        "fraction, or in Vesiclepedia): 1: 1 of PMID 7 (in Vesiclepedia).",
        "1 of the samples used name no PMID, so this was not checked.",
    ]


def test_body_fluids_that_are_read_are_said() -> None:
    lines = measurement_lines("expression", measured(), 4, body_fluids=True)
    assert "1 samples of body fluids are read (tokens.body_fluids)." in lines
    assert not any("left out as body fluid" in line for line in lines)


def test_label_like_measurements_are_said_to_be_so() -> None:
    lines = measurement_lines("v", measured(is_label_like=True), 4)
    assert lines == [
        "`v` (miRmine, RPM): 3 of 4 RNAs measured, 5 samples; nearly the labels: read only where a "
        "token names it."
    ]


def test_many_publications_are_counted() -> None:
    samples = pd.DataFrame({"pmid": list("1234567"), "kind": "body fluid"}, index=list("abcdefg"))
    values = pd.DataFrame(np.full((1, 7), 9.0), index=["r"], columns=samples.index)
    lines = measurement_lines("e", Measurement(values, samples), 1)
    assert lines[1] == (
        "Samples left out as body fluid: 1 of PMID 1, 1 of PMID 2, 1 of PMID 3, 1 of PMID 4, 1 of "
        "PMID 5, others of 2 more publications."
    )


def test_section_names_the_tokens_that_read_measurements(networks: NetworkSet) -> None:
    dataset = networks.dataset
    tokens = ["trees", "expression:expression+kmer", "neighbours:coexpression"]
    text = leakage_section(dataset, tokens)
    assert text.startswith("## Leakage\n\n- Tokens that read a measurement: "
                           "`expression:expression`, `neighbours:coexpression`.")  # fmt: skip
    assert "Label-like measurements are read" not in text
    text = leakage_section(dataset, ["expression:vesicles"])
    assert "**Label-like measurements are read (`vesicles`)" in text
    assert "No token of this model reads a measurement" in leakage_section(dataset, ["kmer"])
    assert leakage_section(replace(dataset, measurements={}), ["kmer"]) == ""


def test_selections_are_those_that_differ(networks: NetworkSet) -> None:
    assert selections_of(networks) == [NO_OVERLAP, WITH_FLUIDS, WITH_FRACTIONS, ALL_SAMPLES]
    plain = measured().select(np.array([True, True, False, False, False]))
    dataset = replace(networks.dataset, measurements={"expression": plain})
    assert selections_of(replace(networks, dataset=dataset)) == []


@pytest.mark.parametrize(
    ("selection", "samples"),
    [
        (ORDINARY, [0, 1, 4]),
        (NO_OVERLAP, [0, 1]),
        (WITH_FLUIDS, [0, 1, 3, 4]),
        (WITH_FRACTIONS, [0, 1, 2, 4]),
        (ALL_SAMPLES, [0, 1, 2, 3, 4]),
    ],
)
def test_networks_of_a_selection_read_its_samples(
    networks: NetworkSet, selection: str, samples: list[int]
) -> None:
    selected = networks_of_samples(networks, selection)
    measurement = selected.dataset.measurements["expression"]
    assert measurement.values.columns.tolist() == [SAMPLES.index[sample] for sample in samples]
    assert measurement.used().all()
    token = build_tokens(selected, ["expression:expression"]).tokens[0]
    expected = np.log2(1 + measured().values.iloc[:, samples]).mean(axis=1)
    assert token.values[:3, 0] == pytest.approx(expected.to_numpy())
    is_same = np.array_equal(
        selected.similarities["coexpression"], networks.similarities["coexpression"]
    )
    assert is_same == (selection == ORDINARY)


def test_without_expression_nothing_of_it_is_left(networks: NetworkSet) -> None:
    bare = networks_of_samples(networks, WITHOUT)
    assert list(bare.dataset.measurements) == ["vesicles"]
    assert "coexpression" not in bare.similarities


def test_inputs_of_the_audit_by_selection(networks: NetworkSet) -> None:
    inputs = expression_inputs(networks, np.arange(4))
    assert list(inputs) == [WITHOUT, NO_OVERLAP, WITH_FLUIDS, WITH_FRACTIONS, ALL_SAMPLES]
    assert not any("expression" in name for name in inputs[WITHOUT].trees)
    assert "expression:expression" in inputs[WITH_FLUIDS].trees
    assert "coexpression" in inputs[WITH_FLUIDS].similarities
    dataset = replace(networks.dataset, measurements={})
    assert expression_inputs(replace(networks, dataset=dataset), np.arange(4)) == {}


def test_audit_page_shows_the_model_by_samples() -> None:
    rows = [
        ("sources", "trees", "random", "all", "average", "AUC", 0.95),
        (EXPRESSION, WITHOUT, "random", "all", "average", "AUC", 0.93),
        (EXPRESSION, WITH_FLUIDS, "random", "all", "average", "AUC", 0.955),
        (EXPRESSION, ALL_SAMPLES, "random", "all", "average", "AUC", 0.97),
    ]
    found = Audit("small", False, 4, 2, pd.DataFrame(rows, columns=COLUMNS), (), "## Leakage\n\nx")
    assert expression_values(found, "AUC") == {
        WITHOUT: 0.93,
        ORDINARY: 0.95,
        WITH_FLUIDS: 0.955,
        ALL_SAMPLES: 0.97,
    }
    text = page(found)
    assert "Expression changes the AUC of the full model from 0.930 to 0.950" in text
    assert "all samples 0.970: the samples near the labels matter: keep them out" in text
    assert "## Leakage\n\nx\n\nThe full model" in text
    near = found.values.assign(value=found.values["value"].replace(0.97, 0.951))
    assert "samples near the labels make little difference" in page(replace(found, values=near))
