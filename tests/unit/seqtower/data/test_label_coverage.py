"""Compartments that all RNAs, or the training RNAs of a fold, cannot teach: by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from seqtower.baselines.descriptor_trees import DescriptorConfig, fit_descriptor_trees
from seqtower.baselines.kmer import kmer_models
from seqtower.data.coverage import Gap, check_labels, constant_columns, fold_gaps, gap_sentences

NAN = np.nan
NAMES = ("A", "B", "C", "D")
INDEX = NodeIndex.of(list("uvwxyz"), "RNA")
FOLDS = Folds(pd.Series([0, 0, 1, 1, 2, 2], index=list("uvwxyz")))
LABELS = np.array(
    [
        # A is taught by every fold, B not without fold 0, C is known in fold 1 alone
        [1, 1, NAN, 1],
        [0, 1, NAN, 1],
        [1, 0, 1, 1],
        [0, 0, 0, 1],
        [1, 0, NAN, 1],
        [0, NAN, NAN, 1],
    ]
)


def test_constant_columns() -> None:
    assert constant_columns(LABELS) == {3: 1.0}
    assert constant_columns(LABELS[:2]) == {1: 1.0, 2: None, 3: 1.0}
    assert constant_columns(np.array([[0.2, 0.3], [0.2 + 1e-12, 0.4]])) == {0: 0.2}


def test_gaps_by_hand() -> None:
    gaps = fold_gaps(LABELS, NAMES, FOLDS, INDEX)
    assert gaps == [
        Gap(0, "B", 0.0),
        Gap(0, "D", 1.0),
        Gap(1, "C", None),
        Gap(1, "D", 1.0),
        Gap(2, "D", 1.0),
    ]
    end = "there its predictions carry no information."
    assert gap_sentences(gaps) == [
        f"B cannot be learned in fold 0, whose training RNAs have only the label 0: {end}",
        f"D cannot be learned in folds 0, 1, 2, whose training RNAs have only the label 1: {end}",
        f"C cannot be learned in fold 1, whose training RNAs have no known label: {end}",
    ]
    assert gap_sentences([]) == []


def test_what_teaches_nothing_is_refused() -> None:
    check_labels(LABELS, NAMES)
    with pytest.raises(InputError) as refused:
        check_labels(LABELS[:, 3:], NAMES[3:])
    assert str(refused.value) == (
        "no compartment has labels that differ between RNAs; found D: only the label 1, expected "
        "RNAs with and without a compartment, or of two classes"
    )
    with pytest.raises(InputError) as refused:
        fold_gaps(LABELS[:, [1, 3]], ("B", "D"), FOLDS, INDEX)
    assert str(refused.value) == (
        "the training RNAs of fold 0 have nothing to learn from; found B: only the label 0, D: "
        "only the label 1, expected labels that differ between them; use other groups (--group) "
        "or another number of folds (--fold)"
    )


def test_a_compartment_that_no_training_rna_has_a_label_for() -> None:
    random = np.random.default_rng(0)
    features = random.random((30, 4)).astype(np.float32)
    labels = np.column_stack([features[:, 0] > 0.5, np.full(30, NAN)]).astype(float)
    rows = np.arange(30)
    by_kmers = kmer_models(features, labels, MULTI_LABEL, rows, rows, 0)
    trees = fit_descriptor_trees(features, labels, MULTI_LABEL, DescriptorConfig(members=1), 0)
    for predicted in (*by_kmers.values(), trees.predict(features)):
        np.testing.assert_allclose(predicted[:, 1], 0.5)
