"""Gapped words and the support vector machine on them: hand-counted words, scikit-learn's answers, files, and what it adds to the trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.trees import TreesConfig
from seqtower.descriptor_trees import DescriptorConfig, DescriptorTrees, fit_beside
from seqtower.encoders.gapped_words import gapped_width, gapped_words
from seqtower.sequences import CLASS, FRACTIONS, MULTI_LABEL
from seqtower.word_svm import AT_A_TIME, SvmConfig, WordSvm, fit_word_svm

FEW = TreesConfig(n_trees=10, min_samples_leaf=5, rounds=10)
WITH_SVM = DescriptorConfig(weight=1.0, trees=FEW, fraction_trees=FEW, members=1, svm=SvmConfig(share=0.5))


def planted(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """RNAs of 22 letters of which half hold GA..C, wherever."""
    rng = np.random.default_rng(seed)
    sequences, labels = [], (np.arange(n) % 2).astype(float)
    for label in labels:
        letters = rng.choice(list("ACGU"), 22)
        if label:
            start = rng.integers(0, 17)
            letters[[start, start + 1, start + 4]] = list("GAC")
        sequences.append("".join(letters))
    return sequences, labels[:, None]


def test_words_counted_by_hand() -> None:
    found = gapped_words(["ACGUA", "AC", "ANGUA"], span=3, letters=2)
    assert found.shape == (3, gapped_width(3, 2)) == (3, 3 * 16 + 1)
    ways = found[0, :-1].reshape(3, 4, 4)  # first and second letter, first and third, second and third, of ACG, CGU and GUA
    assert {tuple(place) for place in np.argwhere(ways)} == {
        (0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 0, 2), (1, 1, 3), (1, 2, 0), (2, 1, 2), (2, 2, 3), (2, 3, 0)
    }  # fmt: skip
    np.testing.assert_allclose(ways[ways > 0], 1 / 3)
    assert found[:, -1] == pytest.approx(np.log([5, 2, 5]))
    assert not found[1, :-1].any()
    assert {tuple(place) for place in np.argwhere(found[2, :-1].reshape(3, 4, 4))} == {(0, 2, 3), (1, 0, 2), (1, 2, 0), (2, 2, 3), (2, 3, 0)}


def test_words_of_a_circle_go_on_over_its_junction() -> None:
    line, circle = gapped_words(["ACGUACCG", "ACGUACCG"], circular=[False, True])
    turned = gapped_words(["GUACCGAC"], circular=[True])[0]  # the same circle, begun elsewhere
    np.testing.assert_allclose(circle, turned)
    assert not np.allclose(line, circle)
    assert line[-1] == circle[-1] == pytest.approx(np.log(8))
    np.testing.assert_array_equal(gapped_words(["ACGUACCG"])[0], line)


@given(st.text("ACGUN", max_size=40))
def test_words_are_one_unit_long_or_none(sequence: str) -> None:
    found = gapped_words([sequence])
    assert found.dtype == np.float32
    assert np.linalg.norm(found[0, :-1]) == pytest.approx(1, abs=1e-5) or not found[0, :-1].any()


def test_sides_are_those_of_scikit_learn_and_files_give_them_back() -> None:
    sequences, labels = planted(90, 0)
    features = gapped_words(sequences)
    config = SvmConfig(share=1.0)
    fitted = fit_word_svm(features[:60], labels[:60], MULTI_LABEL, config, np.arange(60), 0)
    truth = SVC(gamma=config.gamma, C=config.c, class_weight="balanced").fit(features[:60].astype(float), labels[:60, 0])
    sides = fitted.offset + fitted.slope * truth.decision_function(features[60:].astype(float))
    np.testing.assert_allclose(fitted.predict(features[60:])[:, 0], 1 / (1 + np.exp(-sides)), rtol=1e-3)
    back = WordSvm.from_arrays(fitted.to_arrays(), MULTI_LABEL, 1, features.shape[1])
    np.testing.assert_array_equal(back.predict(features[60:]), fitted.predict(features[60:]))
    many = np.tile(features[60:], (150, 1))  # more than are held at a time
    assert len(many) > AT_A_TIME
    np.testing.assert_allclose(fitted.predict(many).reshape(150, 30), np.tile(fitted.predict(features[60:])[:, 0], (150, 1)), rtol=1e-9)
    assert fitted.predict(features[:0]).shape == (0, 1)
    with pytest.raises(CheckpointError, match="does not fit the compartments or the words"):
        WordSvm.from_arrays(fitted.to_arrays(), MULTI_LABEL, 2, features.shape[1])
    with pytest.raises(CheckpointError, match="does not fit the compartments or the words"):
        WordSvm.from_arrays({}, MULTI_LABEL, 1, features.shape[1])


def test_probabilities_are_calibrated_and_the_same_in_any_order() -> None:
    sequences, labels = planted(400, 1)
    features = gapped_words(sequences)
    fitted = fit_word_svm(features[:200], labels[:200], MULTI_LABEL, SvmConfig(), np.arange(200), 0)
    said = fitted.predict(features[200:])[:, 0]
    assert roc_auc_score(labels[200:, 0], said) > 0.8
    assert np.mean((said - labels[200:, 0]) ** 2) < 0.2  # .25 for one half whatever the RNA
    np.testing.assert_allclose(fitted.predict(features[200:][::-1])[::-1, 0], said, rtol=1e-9)


def test_unknown_labels_teach_nothing_and_rare_compartments_get_their_share() -> None:
    sequences, labels = planted(80, 2)
    both = np.hstack([labels, np.zeros((80, 1))])
    both[:3, 1] = 1
    other = both.copy()
    other[60:, 0] = np.nan
    features = gapped_words(sequences)
    fitted = fit_word_svm(features, other, MULTI_LABEL, SvmConfig(), np.arange(80), 0)
    alone = fit_word_svm(features[:60], both[:60], MULTI_LABEL, SvmConfig(), np.arange(60), 0)
    np.testing.assert_allclose(fitted.predict(features)[:, 0], alone.predict(features)[:, 0], rtol=1e-6)
    np.testing.assert_allclose(fitted.predict(features)[:, 1], 3.5 / 81)


@pytest.mark.parametrize("kind", [MULTI_LABEL, CLASS, FRACTIONS])
def test_the_machine_has_its_share_in_what_the_trees_say(kind: str) -> None:
    sequences, labels = planted(160, 3)
    labels = np.hstack([labels, 1 - labels])
    if kind == FRACTIONS:
        labels = 0.2 + 0.6 * labels
    features = WITH_SVM.features(sequences)
    assert features.shape[1] == WITH_SVM.words_width + DescriptorConfig().features(sequences[:1]).shape[1]
    fitted = fit_beside(features[:100], labels[:100], kind, WITH_SVM, 0, 0, np.arange(100))
    plain = fit_beside(
        features[:100, WITH_SVM.words_width :], labels[:100], kind, DescriptorConfig(trees=FEW, fraction_trees=FEW, members=1), 0, 0, np.arange(100)
    )
    said, trees = (one.predict(part)[:, 0] for one, part in ((fitted, features[100:]), (plain, features[100:, WITH_SVM.words_width :])))
    true = labels[100:, 0] > 0.5
    assert roc_auc_score(true, said) > max(0.75, roc_auc_score(true, trees) + 0.05)  # a word with a gap is nothing that descriptors count
    back = DescriptorTrees.from_arrays(fitted.to_arrays(), kind, 2, config=WITH_SVM)
    np.testing.assert_array_equal(back.predict(features[100:])[:, 0], said)
    if kind != MULTI_LABEL:
        np.testing.assert_allclose(fitted.predict(features[100:]).sum(axis=1), 1)


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"span": 3, "letters": 4}, {"gamma": 0.0}, {"c": -1.0}, {"length": -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SvmConfig(**wrong)  # type: ignore[arg-type]


def test_too_many_rnas_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 20,000 RNAs, and these are 20,001"):
        fit_word_svm(np.zeros((20_001, 2)), np.zeros((20_001, 1)), MULTI_LABEL, SvmConfig(), np.arange(20_001), 0)
