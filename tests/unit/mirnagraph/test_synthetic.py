"""Synthetic datasets: repeatable, marked as synthetic, with the planted signal; the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import parasail
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.hairpins import with_motif
from mirnagraph.io import sha256_of_folder
from mirnagraph.synthetic import (
    DEMO,
    KINDS,
    MODALITIES,
    SyntheticConfig,
    demo_dataset,
    linked_partners,
    make_dataset,
    make_demo,
    make_synthetic,
)


def differences(one, other):
    """Attributes and tables in which two datasets differ; empty where they are equal."""
    found = [
        name
        for name in ("name", "description", "synthetic", "compartments")
        if getattr(one, name) != getattr(other, name)
    ]
    tables = [
        (name, getattr(one, name), getattr(other, name), {})
        for name in ("rnas", "labels", "ontology", "left_out")
    ]
    if list(one.associations) != list(other.associations):
        return [*found, f"associations: {list(one.associations)} and {list(other.associations)}"]
    for kind in one.associations:
        tables.append(
            (f"associations of {kind}", one.associations[kind], other.associations[kind], {})
        )
        tables.append(
            (
                f"partners of {kind}",
                one.partners[kind],
                other.partners[kind],
                {"check_column_type": False},
            )
        )
    for name, mine, theirs, how in tables:
        try:
            pd.testing.assert_frame_equal(mine, theirs, **how)
        except AssertionError as error:
            found.append(f"{name}: {error}")
    return found


def test_the_demo_folder_is_byte_for_byte_what_the_generator_makes(project, tmp_path):
    command = [sys.executable, "-m", "mirnagraph.synthetic", str(tmp_path / "demo")]
    subprocess.run(command, check=True, cwd=project)
    files = sorted(p.name for p in (project / "data" / "demo").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "demo").iterdir())
    for name in files:
        assert (project / "data" / "demo" / name).read_bytes() == (
            tmp_path / "demo" / name
        ).read_bytes(), name


def test_the_readme_of_the_data_names_the_checksum_of_the_demo(project):
    assert (
        sha256_of_folder(project / "data" / "demo") in (project / "data" / "README.md").read_text()
    )


def test_the_demo_read_equals_the_demo_made():
    assert not differences(demo_dataset(), make_demo())


def test_the_demo_is_plainly_synthetic():
    demo = make_demo()
    assert demo.synthetic
    assert demo.description.startswith("Synthetic")
    assert (len(demo.rnas), len(demo.compartments)) == (200, 5)
    assert all(name.startswith("syn-mir-") for name in demo.rnas.index)
    for kind in KINDS:
        assert demo.partners[kind].index.str.upper().str.startswith("SYN").all()
    assert demo.ontology["descriptor_id"].str.startswith("SYN").all()


def test_equal_seeds_give_equal_data_and_other_seeds_other_data(tmp_path):
    assert not differences(make_dataset(40, 3, seed=5), make_dataset(40, 3, seed=5))
    one, other = make_dataset(40, 3, seed=5), make_dataset(40, 3, seed=6)
    assert not one.labels.equals(other.labels)
    assert one.rnas["sequence"].tolist() != other.rnas["sequence"].tolist()
    one.save(tmp_path / "d")
    assert not differences(Dataset.load(tmp_path / "d"), one)


def test_some_rnas_lack_labels_sequence_or_associations():
    config = SyntheticConfig(
        n_rnas=100, without_sequence=0.1, without_associations=0.2, unlocated=0.3, seed=3
    )
    dataset, _ = make_synthetic(config)
    assert dataset.rnas["sequence"].isna().sum() == 10
    degree = sum(np.asarray(dataset.association_matrix(kind).sum(axis=1)) for kind in KINDS)
    assert (degree == 0).sum() == 20
    assert (~dataset.located).sum() >= 30


def test_sequences_of_a_family_are_more_alike_than_any_others(synthetic):
    dataset, truth = synthetic
    known = dataset.rnas["sequence"].dropna()
    family = truth.family[known.index].to_numpy()
    matrix = parasail.matrix_create("ACGU", 2, -1)
    n = len(known)
    score = np.array(
        [[parasail.sw_striped_16(a, b, 3, 1, matrix).score for b in known] for a in known]
    )
    alike = score / np.sqrt(np.outer(score.diagonal(), score.diagonal()))
    same = family[:, None] == family[None, :]
    off = ~np.eye(n, dtype=bool)
    assert alike[same & off].min() > alike[~same].max()


def test_matures_are_parts_of_their_precursor(small_dataset):
    known = small_dataset.rnas.dropna(subset="sequence")
    assert len(known) > 50
    for sequence, matures in zip(known["sequence"], known["matures"], strict=True):
        five, three = matures.split(";")
        assert len(five) == len(three) == 22
        assert sequence.find(five) < sequence.find(three)
        assert five in sequence


def test_links_keep_to_their_community(synthetic):
    dataset, truth = synthetic
    for kind in KINDS:
        of_partner = np.arange(len(dataset.partners[kind])) % 3
        table = dataset.associations[kind]
        own = truth.communities.loc[table["rna_id"], kind].to_numpy()
        theirs = of_partner[dataset.partner_index(kind).positions(table["partner_id"])]
        assert 0.55 < (own == theirs).mean() < 0.95


def test_the_ontology_is_a_dag_that_holds_every_term_and_parent(small_dataset):
    ontology = make_demo().ontology
    numbers = set(ontology["tree_number"])
    assert len(numbers) == len(ontology)
    assert all(number.rsplit(".", 1)[0] in numbers for number in numbers)
    assert ontology["descriptor_id"].duplicated().any()  # a term under two parents
    named = [
        one
        for cell in make_demo().partners["disease"]["descriptor_ids"]
        for one in cell.split(";")
        if one
    ]
    assert set(named) <= set(ontology["descriptor_id"])
    assert (make_demo().partners["disease"]["descriptor_ids"] == "").sum() == 4


def test_labels_follow_the_planted_drivers_and_nothing_else():
    _, truth = make_synthetic(
        SyntheticConfig(n_rnas=600, popularity=0.0, noise=0.0, unlocated=0.0, seed=11)
    )
    levels = pd.concat([truth.family, truth.communities], axis=1)
    for compartment, drivers in truth.drivers.items():
        assert len(set(drivers)) == 2
        assert set(drivers) <= set(MODALITIES)
        chance = truth.probabilities[compartment]
        assert chance.groupby([levels[m] for m in drivers]).nunique().max() == 1
        for modality in drivers:
            assert chance.groupby(levels[modality]).mean().std() > 0.1


def test_a_motif_and_a_community_drive_every_compartment_of_the_demo():
    _, truth = make_synthetic(replace(DEMO, popularity=0.0, noise=0.0, unlocated=0.0))
    levels = truth.communities.assign(motif=truth.has_motif.astype(int))
    for compartment, drivers in truth.drivers.items():
        assert len(drivers) == 2
        assert drivers[1] == "motif"
        chance = truth.probabilities[compartment]
        assert chance.groupby([levels[m] for m in drivers]).nunique().max() == 1
        for modality in drivers:
            assert np.ptp(chance.groupby(levels[modality]).mean()) > 0.3


def test_both_matures_have_the_motif_and_the_others_have_it_backwards():
    dataset, truth = make_synthetic(replace(DEMO, motif="RRRRRRYYYYYY"))
    forwards = re.compile("[AG]{6}[CU]{6}")
    backwards = re.compile("[CU]{6}[AG]{6}")
    known = dataset.rnas.dropna(subset="sequence")
    assert truth.has_motif.sum() == 100
    for rna, matures in known["matures"].items():
        wanted = forwards if truth.has_motif[rna] else backwards
        for mature in matures.split(";"):
            assert wanted.search(mature)
            assert mature in known["sequence"][rna]


def test_a_motif_is_written_letter_by_letter_at_a_random_place():
    rng = np.random.default_rng(0)
    hairpin = "A" * 60
    places = set()
    for _ in range(100):
        sequence, arms = with_motif(hairpin, "CSW", rng)
        assert len(sequence) == 60
        assert arms == (sequence[2:24], sequence[-24:-2])
        found = re.fullmatch("A*C([CG])([AU])A*", arms[0])
        assert found
        places.add(arms[0].index("C"))
        assert sequence[24:36] == "A" * 12
    assert min(places) == 0
    assert max(places) == 19


def test_purity_is_the_odds_of_a_link_within_the_community():
    def share(purity):
        rng = np.random.default_rng(3)
        community = np.arange(400) % 4
        of_partner = np.arange(400) % 4
        rows, columns = linked_partners("drug", community, of_partner, np.zeros(400), rng, purity)
        return (community[rows] == of_partner[columns]).mean()

    assert share(4.0) == pytest.approx(0.8, abs=0.03)
    assert share(20.0) == pytest.approx(20 / 21, abs=0.03)
    assert share(1.0) == pytest.approx(0.5, abs=0.04)


def test_popularity_can_be_switched_off_and_on():
    def link(popularity):
        dataset, truth = make_synthetic(
            SyntheticConfig(n_rnas=300, popularity=popularity, without_associations=0, seed=2)
        )
        degree = sum(np.asarray(dataset.association_matrix(kind).sum(axis=1)) for kind in KINDS)
        return np.corrcoef(truth.popularity, degree)[0, 1], np.corrcoef(
            truth.popularity, dataset.labels.sum(axis=1)
        )[0, 1]

    assert max(map(abs, link(0.0))) < 0.15
    assert link(0.8)[0] > 0.7
    assert link(0.8)[1] > 0.25


def test_a_model_on_the_planted_features_beats_popularity_and_label_frequencies():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    from mirnagraph.evaluation.scores import auc
    from mirnagraph.evaluation.splits import random_folds

    dataset, truth = make_synthetic(SyntheticConfig(seed=2025))
    planted = OneHotEncoder(sparse_output=False).fit_transform(
        np.column_stack([truth.family, truth.communities])
    )
    degree = np.column_stack(
        [np.log1p(np.asarray(dataset.association_matrix(kind).sum(axis=1))) for kind in KINDS]
    )
    fold = random_folds(dataset.labels, 5, seed=0).assigned.to_numpy()

    def reached(features):
        scores = []
        for name in dataset.compartments:
            label = dataset.labels[name].to_numpy()
            for number in range(5):
                test = fold == number
                model = LogisticRegression(max_iter=1000).fit(features[~test], label[~test])
                scores.append(auc(label[test], model.predict_proba(features[test])[:, 1]))
        return np.mean(scores)

    assert 0.55 < reached(degree) < 0.7
    assert 0.8 < reached(np.column_stack([planted, degree])) < 0.95


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"n_rnas": 5}, "'n_rnas' is 5, expected 20 or more"),
        ({"n_compartments": 8}, "'n_compartments' is 8, expected 1 to 7"),
        ({"mutation": 0.9}, "'mutation' is 0.9"),
        ({"n_partners": (2, 9, 9)}, "n_partners"),
        ({"signal": -1.0}, "'signal' is -1.0, expected 0 or more"),
        ({"motif": "RRX"}, "'motif' is 'RRX', expected at most 22 of ACGURYSWN"),
        ({"motif": "R" * 23}, "motif"),
        ({"purity": -1.0}, "purity"),
    ],
)
def test_settings_out_of_range_are_wrong_use(settings, match):
    with pytest.raises(ConfigError, match=match):
        SyntheticConfig(**settings)
