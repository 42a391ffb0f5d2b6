"""Sets merged into one: compartments by name, unknown where a set does not speak of them,
learned and measured only where known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from mirnagraph.trees import TreesConfig, fit_boosting, fit_extra_trees, join_outputs
from seqtower.baselines.descriptor_trees import (
    DescriptorConfig,
    DescriptorTrees,
    feature_names,
    fit_descriptor_trees,
    fit_typed_trees,
)
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet
from seqtower.data.sets import merge_sets, read_sets

NOTHING = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
ONE = SequenceSet(
    NodeIndex.of(["a", "b"], "RNA"),
    ("ACGU", "GGCC"),
    np.array([[1.0, 0], [0, 1]]),
    ("Nucleus", "Exosome"),
    MULTI_LABEL,
    ("f", ""),
    NOTHING,
)
OTHER = SequenceSet(
    NodeIndex.of(["a", "c"], "RNA"),
    ("UUUU", "AAAA"),
    np.array([[1.0, 1], [0, 0]]),
    ("EV", "Cytosol"),
    MULTI_LABEL,
    None,
    NOTHING,
)
TREES = TreesConfig(n_trees=10, rounds=5, min_samples_leaf=1, boosting_leaf=2, boosting_width=8)


def test_worked_by_hand() -> None:
    whole = merge_sets(
        {"mi": ONE, "circ": OTHER}, {"mi": "mirna", "circ": "circRNA"}, {"circ": {"EV": "Exosome"}}
    )
    assert list(whole.index.ids) == ["mi|a", "mi|b", "circ|a", "circ|c"]
    assert whole.compartments == ("Nucleus", "Exosome", "Cytosol")
    nan = np.nan
    np.testing.assert_array_equal(
        whole.labels, [[1, 0, nan], [0, 1, nan], [nan, 1, 1], [nan, 0, 0]]
    )
    assert whole.types == ("miRNA", "miRNA", "circRNA", "circRNA")
    assert whole.sets == ("mi", "mi", "circ", "circ")
    assert whole.groups == ("mi|f", "", "circ|a", "circ|c")


@pytest.mark.parametrize(
    ("sets", "types", "rename", "message"),
    [
        ({"mi": ONE}, {"mi": "miRNA"}, {}, "two sets"),
        ({"mi": ONE, "x": OTHER}, {"mi": "miRNA"}, {}, "no RNA type"),
        ({"mi": ONE, "x": OTHER}, {"mi": "miRNA", "x": "tRNA"}, {}, "unknown type"),
        (
            {"mi": ONE, "x": OTHER},
            {"mi": "miRNA", "x": "mRNA"},
            {"x": {"Golgi": "Nucleus"}},
            "no compartment 'Golgi'",
        ),
        (
            {"mi": ONE, "x": OTHER},
            {"mi": "miRNA", "x": "mRNA"},
            {"x": {"EV": "Cytosol"}},
            "one name",
        ),
        ({"a\n": ONE, "x": OTHER}, {"a\n": "miRNA", "x": "mRNA"}, {}, "invalid name of a set"),
        ({"a|b": ONE, "x": OTHER}, {"a|b": "miRNA", "x": "mRNA"}, {}, "invalid name of a set"),
    ],
)
def test_sets_that_do_not_go_together(sets, types, rename, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        merge_sets(sets, types, rename)


@pytest.mark.parametrize(
    ("name", "words"), [("average", "need for themselves"), ("nucleus", "twice")]
)
def test_names_after_renaming_are_checked_as_those_of_tables(name: str, words: str) -> None:
    types = {"mi": "miRNA", "x": "mRNA"}
    with pytest.raises(InputError, match=words):
        merge_sets({"mi": ONE, "x": OTHER}, types, {"x": {"EV": name}})


def test_fractions_are_refused() -> None:
    fractions = SequenceSet(
        ONE.index, ONE.sequences, np.full((2, 2), 0.5), ONE.compartments, "fractions", None, NOTHING
    )
    with pytest.raises(InputError, match="fractions"):
        merge_sets({"a": ONE, "b": fractions}, {"a": "miRNA", "b": "mRNA"})


def test_trees_of_parts_of_the_outputs_add_up_to_each_part() -> None:
    random = np.random.default_rng(0)
    features = random.random((40, 6)).astype(np.float32)
    labels = (features[:, :3] > 0.5).astype(float)
    parts = [
        (fit_extra_trees(features, labels[:, [2, 0]], TREES, 1).trees, np.array([2, 0])),
        (fit_boosting(features, labels[:, [1]], TREES, 2), np.array([1])),
    ]
    said = join_outputs(parts, 3)(features)
    np.testing.assert_allclose(said[:, [2, 0]], parts[0][0](features), rtol=1e-6)
    np.testing.assert_allclose(said[:, [1]], parts[1][0](features), rtol=1e-6)


def test_unknown_labels_teach_nothing() -> None:
    """A compartment is learned as if the rows that it is unknown of were not there,
    and is not moved by compartments known elsewhere.
    """
    random = np.random.default_rng(1)
    features = random.random((60, 5)).astype(np.float32)
    labels = (random.random((60, 2)) < 0.5).astype(float)
    labels[:30, 0] = labels[30:, 1] = np.nan
    config = DescriptorConfig(trees=TREES)
    whole = fit_descriptor_trees(features, labels, MULTI_LABEL, config, 7).predict(features)
    alone = fit_descriptor_trees(features[30:], labels[30:, [0]], MULTI_LABEL, config, 7).predict(
        features
    )
    np.testing.assert_allclose(whole[:, 0], alone[:, 0], rtol=1e-6)


@pytest.mark.slow
def test_trees_of_a_type_count_half_for_its_rnas_and_nothing_for_others() -> None:
    random = np.random.default_rng(2)
    width = len(feature_names(("miRNA", "lncRNA")))
    features = random.random((240, width)).astype(np.float32)
    of = np.arange(240) % 2
    features[:, -2:] = np.eye(2)[of]
    labels = (random.random((240, 3)) < 0.4).astype(float)
    labels[of == 1, 2] = np.nan  # the second type does not speak of the third compartment
    labels[of == 1, 1] = 0.0  # and has none of the second
    config = DescriptorConfig(trees=TREES)
    fitted = fit_typed_trees(features, labels, MULTI_LABEL, config, 3, 2)
    shared = fit_descriptor_trees(features, labels, MULTI_LABEL, config, 3).predict(features)
    assert {number: columns.tolist() for number, (_, columns) in fitted.typed.items()} == {
        0: [0, 1, 2],
        1: [0],
    }
    said = fitted.predict(features)
    np.testing.assert_array_equal(said[of == 1][:, 1:], shared[of == 1][:, 1:])
    alone = fitted.typed[1][0].predict(features[of == 1])[:, 0]
    np.testing.assert_allclose(
        logit(said[of == 1, 0]), (logit(alone) + logit(shared[of == 1, 0])) / 2, rtol=1e-6
    )
    arrays = fitted.to_arrays()
    np.testing.assert_array_equal(
        DescriptorTrees.from_arrays(arrays, MULTI_LABEL, 3, ("miRNA", "lncRNA")).predict(features),
        said,
    )
    wrong = {**arrays, "descriptors.own.1.columns": np.array([3])}
    with pytest.raises(CheckpointError, match="without valid columns"):
        DescriptorTrees.from_arrays(wrong, MULTI_LABEL, 3, ("miRNA", "lncRNA"))
    assert fit_typed_trees(features, labels, MULTI_LABEL, config, 3, 1).typed == {}


def _files(folder: Path, kind: str = "miRNA") -> Path:
    (folder / "a.fa").write_text(">x\nACGU\n>y\nGGGG\n")
    (folder / "a.tsv").write_text("id\tNucleus\tfam\nx\t1\tf1\ny\t0\tf2\n")
    (folder / "b.fa").write_text(
        ">10,Gene_ID:1,Gene_Name:z\nACGU\n>01,Gene_ID:2,Gene_Name:w\nGGGG\n"
    )
    table = (
        '[sets.a]\nfasta = "a.fa"\nlabels = "a.tsv"\nlabel = ["Nucleus"]\n'
        f'group = "fam"\ntype = "{kind}"\n'
    )
    table += (
        '[sets.b]\nfasta = "b.fa"\nlabels_in_header = "Nucleus,EV"\ntype = "lncRNA"\n'
        '[sets.b.rename]\nEV = "Exosome"\n'
    )
    (folder / "sets.toml").write_text(table)
    return folder / "sets.toml"


def test_a_file_of_sets(tmp_path) -> None:
    whole = read_sets(_files(tmp_path))
    assert list(whole.index.ids) == ["a|x", "a|y", "b|z", "b|w"]
    assert whole.groups is not None
    assert whole.groups[:2] == ("a|f1", "a|f2")
    np.testing.assert_array_equal(whole.labels, [[1, np.nan], [0, np.nan], [1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('type = "miRNA"\n', "", "lacks 'type'"),
        ('fasta = "a.fa"\n', "", "lacks 'fasta'"),
        ('labels = "a.tsv"\n', "", "either as a table"),
        ("[sets.a]", "[other.a]", "nothing else"),
        ('label = ["Nucleus"]', 'colour = "red"', "colour"),
        ('fasta = "a.fa"', "fasta = 1", r"\[sets\.a\]\.fasta: found 1 \(int\)"),
        ('label = ["Nucleus"]', 'label = "Nucleus"', r"label: found 'Nucleus' .*expected a list"),
        ("[sets.a]\n", "[sets]\na = 1\n[sets.c]\n", "found sets.a = 1, expected a table"),
        ('EV = "Exosome"', "EV = 3", "not a table of names"),
        ('type = "miRNA"', 'type = "iRNA"', "unknown type of RNA 'iRNA'"),
        ('EV = "Exosome"', 'Golgi = "EV"', "the set 'b' has no compartment 'Golgi' to rename"),
        ('"Nucleus,EV"', '"Nuc\\tleus,EV"', "not a name for a compartment"),
        ('EV = "Exosome"', 'EV = "average"', "tables of results need"),
    ],
)
def test_a_wrong_file_of_sets(tmp_path, old: str, new: str, message: str) -> None:
    path = _files(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises((ConfigError, InputError), match=f"^{path}.*{message}"):
        read_sets(path)
