"""Descriptors by name, and trees on them: fitted, blended, saved and restored."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS, MULTI_LABEL
from mirnagraph.trees import fit_boosting
from seqtower.baselines.descriptor_trees import (
    FRACTION_TREES,
    TREES,
    DescriptorConfig,
    DescriptorTrees,
    blend,
    choose_weight,
    feature_names,
    fit_descriptor_trees,
)
from seqtower.config import config_from, seq_config
from seqtower.data.kmers import closed, kmer_counts
from seqtower.encoders.descriptors import (
    ELEMENTS,
    descriptor_names,
    descriptors,
    junction,
    junction_names,
)
from seqtower.saved import load_tower

GOLDEN = Path(__file__).parents[3] / "golden" / "tower_v1"

SMALL = DescriptorConfig(
    trees=replace(TREES, n_trees=20, rounds=20),
    fraction_trees=replace(FRACTION_TREES, n_trees=20, rounds=20),
)


def _row(sequence: str, *, circle: bool = False) -> dict[str, float]:
    return dict(
        zip(descriptor_names(), descriptors([sequence], circular=[circle])[0].tolist(), strict=True)
    )


def test_hand_worked_values() -> None:
    row = _row(
        "CC" + "AUG" + "AAA" * 3 + "UAA" + "G"
    )  # a frame of 12 nt from its start to the stop
    assert row["longest open reading frame (log nt)"] == pytest.approx(np.log1p(12))
    assert row["longest open reading frame (share)"] == pytest.approx(12 / 18)
    assert row["open reading frames per nt"] == pytest.approx(1 / 18)
    assert row["A"] == pytest.approx(12 / 18)
    assert row["highest share of A along the RNA"] == pytest.approx(
        12 / 18
    )  # shorter than a window: one value
    assert row["SD of A along the RNA"] == 0


def test_ends_and_elements() -> None:
    row = _row("A" * 300 + "C" * 400 + "AAUAAA" + "G" * 30)
    assert row["A in the first 250 nt"] == 1
    assert row["A in the last 250 nt"] == pytest.approx(5 / 250)
    assert row["poly(A) signal near the 3' end"] == 1
    assert row["poly(A) signal AAUAAA"] == pytest.approx(1000 / 736)
    assert row["highest share of C along the RNA"] == 1
    assert row["lowest share of C along the RNA"] == 0


def test_kmers_and_elements_of_a_circle_continue_over_the_junction() -> None:
    line, circle = (
        _row("UAAACCCCAA", circle=yes) for yes in (False, True)
    )  # AAUAAA and AAAUAA stand over the junction alone
    assert line["poly(A) signal AAUAAA"] == 0
    assert circle["poly(A) signal AAUAAA"] == pytest.approx(1000 / 10)
    assert line["AAUA"] == 0
    assert circle["AAUA"] == pytest.approx(1 / 10)  # one word of four letters starts at each letter
    assert circle["A"] == line["A"] == pytest.approx(5 / 10)
    assert circle["log length"] == pytest.approx(np.log(10))
    assert circle["A in the last 60 nt"] == line["A in the last 60 nt"]
    assert closed("ACGU", 1) == "ACGU"
    assert kmer_counts(["AC", "AC"], 2, frequencies=False, circular=[False, True])[
        :, [1, 4 + 1, 4 + 4]
    ].tolist() == [[1, 1, 0], [1, 1, 1]]  # C, AC, CA


def test_windows_of_a_circle_lie_over_the_junction_too() -> None:
    sequence = (
        "G" * 60 + "A" * 80 + "G" * 60
    )  # 120 G side by side, but only 60 of them read as a line
    assert _row(sequence)["highest share of G along the RNA"] == pytest.approx(0.6)
    assert _row(sequence, circle=True)["highest share of G along the RNA"] == 1
    assert _row(sequence, circle=True)["lowest share of G along the RNA"] == pytest.approx(0.2)
    with_itself = "G" * 30 + "A" * 20
    assert (
        _row(with_itself, circle=True)["SD of G along the RNA"] == 0
    )  # shorter than a window: still one value


@pytest.mark.parametrize(
    ("sequence", "longest", "n"),
    [
        ("GCC" + "UAA" + "CCC" + "AUG" + "CCC", 9, 1),  # AUG CCC, over the junction GCC, to UAA
        ("CCA" + "UGC" + "CCC", 9, 0),  # a start and no stop: once round and no end
        ("CC" + "AUG" + "CC", 21, 0),  # no multiple of 3: every letter is read three times
        (
            "C" + "UAA" + "AUG" + "CCC",
            27,
            1,
        ),  # AUG CCC CUA AAU GCC CCU AAA UGC CCC UAA: three turns
        ("CCC" * 4, 0, 0),
    ],
)
def test_reading_frames_of_a_circle_run_round(sequence: str, longest: int, n: int) -> None:
    row = _row(sequence, circle=True)
    assert row["longest open reading frame (log nt)"] == pytest.approx(np.log1p(longest))
    assert row["longest open reading frame (share)"] == pytest.approx(longest / len(sequence))
    assert row["open reading frames per nt"] == pytest.approx(n / len(sequence))


def test_skews_and_stretches() -> None:
    row = _row("CGCG" + "GGA")
    assert row["CpG, observed to expected"] == pytest.approx(2 * 7 / (2 * 4))
    assert row["skew of G over C"] == pytest.approx((4 - 2) / 6)
    assert row["skew of A over U"] == 1
    assert _row("GAAAC")["CpG, observed to expected"] == 0
    assert _row("GAAAC", circle=True)["CpG, observed to expected"] == 5  # over the junction
    row = _row("CCCUAACCCCCC" + "C")  # frames: CCC UAA CCC CCC, CCU AAC CCC CCC, CUA ACC CCC
    assert row["longest stretch without a stop (log nt)"] == pytest.approx(np.log1p(12))
    assert row["longest stretch without a stop (share)"] == pytest.approx(12 / 13)
    assert row[
        "longest stretch without a stop (log nt, the frame where it is shortest)"
    ] == pytest.approx(np.log1p(6))
    assert _row("CCCUAACCCCCC", circle=True)[
        "longest stretch without a stop (log nt, the frame where it is shortest)"
    ] == pytest.approx(np.log1p(9))


def test_nucleotides_and_kmers_around_the_junction() -> None:
    found = dict(
        zip(junction_names(), junction(["G" * 100 + "ACU"], [True])[0].tolist(), strict=True)
    )
    assert [
        found[f"{letter} at {place} of the junction"]
        for letter, place in zip("GACUG", ("-4", "-3", "-2", "-1", "+1"), strict=True)
    ] == [1] * 5
    assert (
        sum(value for name, value in found.items() if " at " in name) == 20
    )  # one letter at each of 20 places
    assert found["C in 60 nt on both sides of the junction"] == pytest.approx(1 / 120)
    assert found["UG in 60 nt on both sides of the junction"] == pytest.approx(1 / 119)
    assert found["A in 250 nt on both sides of the junction"] == pytest.approx(
        2 / 206
    )  # shorter than a side: all of it on both
    assert found["length is a multiple of 3"] == 0
    short = dict(zip(junction_names(), junction(["ACU"], [True])[0].tolist(), strict=True))
    assert (
        short["A at -3 of the junction"],
        short["U at +3 of the junction"],
        short["length is a multiple of 3"],
    ) == (1, 1, 1)
    assert sum(value for name, value in short.items() if " at " in name) == 6
    assert not junction(["ACGU"], [False]).any()
    assert len(set(junction_names())) == len(junction_names()) == 185


def test_where_a_circle_is_opened_changes_no_more_than_its_ends() -> None:
    rng = np.random.default_rng(3)
    for length in (299, 300, 301):
        sequence = "".join(rng.choice(list("ACGU"), length))
        one, other = _row(sequence, circle=True), _row(sequence[137:] + sequence[:137], circle=True)
        changed = {name for name in one if one[name] != pytest.approx(other[name], abs=1e-6)}
        assert all(
            "in the first" in name
            or "in the last" in name
            or name == "poly(A) signal near the 3' end"
            for name in changed
        )


def test_types_are_columns_behind_the_descriptors_and_say_what_is_a_circle() -> None:
    sequences = ["UAAACCCCAA", "UAAACCCCAA", "GGCAUCGUAG"]
    known, width = ("lncRNA", "circRNA"), len(descriptor_names())
    typed = SMALL.features(sequences, ("lncRNA", "circRNA", "lncRNA"), known)
    assert feature_names(known) == [*descriptor_names(), *junction_names(), *known]
    assert typed.shape == (3, len(feature_names(known)))
    assert typed[:, -2:].tolist() == [[1, 0], [0, 1], [1, 0]]
    np.testing.assert_array_equal(typed[[0, 2], :width], SMALL.features(sequences)[[0, 2]])
    assert not typed[[0, 2], width:-2].any()
    np.testing.assert_array_equal(typed[1, :width], descriptors(sequences[:1], circular=[True])[0])
    np.testing.assert_array_equal(typed[1, width:-2], junction(sequences[:1], [True])[0])
    assert not np.array_equal(typed[1, :width], typed[0, :width])
    assert SMALL.features(sequences, ("lncRNA",) * 3, ("lncRNA",)).shape == (
        3,
        width + 1,
    )  # no circles, no junction
    with pytest.raises(
        ConfigError, match="no training RNA of type 'mRNA'; available types: lncRNA, circRNA"
    ):
        SMALL.features(sequences[:1], ("mRNA",), ("lncRNA", "circRNA"))


def test_trees_read_types_and_are_refused_without_them() -> None:
    rng = np.random.default_rng(4)
    types = tuple(rng.choice(["lncRNA", "circRNA"], 120))
    sequences = ["".join(rng.choice(list("ACGU"), 40)) for _ in types]
    labels = np.column_stack([np.array(types) == "lncRNA", rng.random(120) < 0.5]).astype(float)
    known = ("lncRNA", "circRNA")
    features = SMALL.features(sequences, types, known) * (
        np.arange(len(feature_names(known))) >= len(feature_names(known)) - 2
    )  # types alone
    fitted = fit_descriptor_trees(features, labels, MULTI_LABEL, SMALL, 0)
    predicted = fitted.predict(features)[:, 0]
    assert predicted[labels[:, 0] == 1].min() > predicted[labels[:, 0] == 0].max()
    np.testing.assert_array_equal(
        DescriptorTrees.from_arrays(fitted.to_arrays(), MULTI_LABEL, 2, known).predict(features)[
            :, 0
        ],
        predicted,
    )
    with pytest.raises(CheckpointError, match="do not fit"):
        DescriptorTrees.from_arrays(fitted.to_arrays(), MULTI_LABEL, 2)


@pytest.mark.parametrize("circle", [False, True])
@pytest.mark.parametrize("sequence", ["A", "NNNN", "ACGU" * 3, "GG" * 100])
def test_any_rna_gives_finite_numbers(sequence: str, circle: bool) -> None:
    found = descriptors([sequence], circular=[circle])
    assert found.shape == (1, len(descriptor_names()))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert len(set(descriptor_names())) == found.shape[1]
    assert len(ELEMENTS) == 16


@pytest.mark.parametrize("kind", [MULTI_LABEL, CLASS, FRACTIONS])
def test_trees_learn_and_come_back_from_their_arrays(kind: str) -> None:
    rng = np.random.default_rng(0)
    rich = rng.random(160) < 0.5
    sequences = [
        "".join(rng.choice(list("ACGU"), 120, p=[0.4, 0.1, 0.1, 0.4] if r else [0.25] * 4))
        for r in rich
    ]
    labels = np.column_stack([rich, ~rich]).astype(float)
    if kind == FRACTIONS:
        labels = 0.2 + 0.6 * labels
    features = SMALL.features(sequences)
    fitted = fit_descriptor_trees(features[:100], labels[:100], kind, SMALL, 0)
    predicted = fitted.predict(features[100:])
    assert np.corrcoef(predicted[:, 0], rich[100:])[0, 1] > 0.8
    if kind != MULTI_LABEL:
        np.testing.assert_allclose(predicted.sum(axis=1), 1)
    back = DescriptorTrees.from_arrays(fitted.to_arrays(), kind, 2)
    np.testing.assert_array_equal(back.predict(features[100:]), predicted)
    with pytest.raises(CheckpointError, match="do not fit"):
        DescriptorTrees.from_arrays(fitted.to_arrays(), kind, 3)


def test_an_unknown_label_leaves_its_row_out_of_that_compartment_alone() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(80, 5)).astype(np.float32)
    labels = (features[:, :2] > 0).astype(float)
    holes = labels.copy()
    holes[:20, 0] = np.nan
    some, fewer = (
        fit_boosting(features, holes, TREES, 0),
        fit_boosting(features[20:], labels[20:], TREES, 0),
    )
    np.testing.assert_allclose(some(features)[:, 0], fewer(features)[:, 0])
    np.testing.assert_allclose(
        some(features)[:, 1], fit_boosting(features, labels, TREES, 0)(features)[:, 1]
    )


def test_a_blend_lies_between_its_parts() -> None:
    one, other = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    np.testing.assert_allclose(
        blend(0.5, one, other, MULTI_LABEL), [[0.75, 0.25]]
    )  # the logit of .9 is log 9, half of it log 3
    np.testing.assert_allclose(blend(0.5, one, other, CLASS), [[0.75, 0.25]])
    np.testing.assert_allclose(blend(0.5, one, other, FRACTIONS), [[0.7, 0.3]])
    np.testing.assert_allclose(blend(1.0, one, other, CLASS), one)


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="weight"):
        DescriptorConfig(weight=1.5)


def test_the_weight_goes_to_whoever_is_right() -> None:
    truth = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, np.nan]])
    good, bad = np.clip(np.nan_to_num(truth, nan=0.5), 0.1, 0.9), np.full(truth.shape, 0.5)
    config = DescriptorConfig(weights=(0.0, 0.5, 1.0))
    assert choose_weight(config, good, bad, truth, MULTI_LABEL) == 1
    assert choose_weight(config, bad, good, truth, MULTI_LABEL) == 0
    assert choose_weight(DescriptorConfig(weight=0.3), bad, good, truth, MULTI_LABEL) == 0.3


@pytest.mark.parametrize(("share", "refused"), [(0.5, True), (0.0, False), (0, False)])
def test_the_removed_support_vector_machine_is_refused_unless_it_had_no_share(
    share: float, refused: bool, tmp_path: Path
) -> None:
    svm = {"share": share, "span": 5, "letters": 3, "gamma": 3.0, "length": 1.0, "c": 3.0}
    file = tmp_path / "seq.toml"
    file.write_text(f"[descriptors]\nweight = 0.3\n[descriptors.svm]\nshare = {share}\nspan = 5\n")
    model = tmp_path / "model"
    shutil.copytree(GOLDEN, model)
    about = json.loads((model / "model.json").read_text())
    about["config"]["descriptors"]["svm"] = svm
    if not refused:
        assert seq_config("rnatracker", file).descriptors.weight == 0.3
        assert config_from(about["config"]) == load_tower(GOLDEN).config
        return
    (model / "model.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match=r"svm\.share' is 0\.5, but .* was removed"):
        seq_config("rnatracker", file)
    with pytest.raises(CheckpointError, match="gapped words was removed"):
        load_tower(model)
