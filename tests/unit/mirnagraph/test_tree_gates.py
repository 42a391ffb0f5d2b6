"""Gates: trees of several types as one set, each for its rows, columns and outputs."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.models.typed_trees import fit_typed_trees
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.errors import ConfigError
from mirnagraph.nodes import NodeIndex
from mirnagraph.trees import (
    TreeArrays,
    TreesConfig,
    constant,
    fit_boosting,
    fit_extra_trees,
    gated,
    join_outputs,
)

CONFIG = TreesConfig(n_trees=12, rounds=6, min_samples_leaf=1)


def fitted(seed: int, width: int, n_labels: int) -> tuple[np.ndarray, TreeArrays, TreeArrays]:
    rng = np.random.default_rng(seed)
    read = rng.normal(size=(50, width)).astype(np.float32)
    true = (read[:, :n_labels] > 0).astype(float)
    return (
        read,
        fit_extra_trees(read, true, CONFIG, seed).trees,
        fit_boosting(read, true, CONFIG, seed),
    )


def test_each_row_is_answered_by_the_trees_of_its_type_alone() -> None:
    one, forest, boosted = fitted(0, 3, 2)
    other, forest2, boosted2 = fitted(1, 2, 1)
    # columns: is one, is other, three of the first (in reverse), two of the second
    table = np.zeros((100, 7), dtype=np.float32)
    table[:50, 0], table[50:, 1] = 1, 1
    table[:50, [4, 3, 2]], table[50:, 5:] = one, other
    for first, second in ((forest, forest2), (boosted, boosted2)):
        parts = [
            (gated(first, 0, np.array([4, 3, 2])), np.array([0, 1])),
            (gated(second, 1, np.array([5, 6])), np.array([2])),
        ]
        parts.append((gated(constant(np.array([0.25])), 0), np.array([2])))
        said = join_outputs(parts, 3)(table)
        np.testing.assert_allclose(said[:50, :2], first(one), atol=1e-6)
        np.testing.assert_allclose(said[:50, 2], 0.25)
        np.testing.assert_allclose(said[50:, 2], second(other)[:, 0], atol=1e-6)
        assert (said[50:, :2] == 0).all()


def test_gated_trees_are_saved_and_read_back() -> None:
    read, forest, _ = fitted(0, 3, 2)
    trees = gated(forest, 0, np.array([1, 2, 3]))
    again = TreeArrays.from_arrays(trees.to_arrays("t"), "t")
    table = np.hstack([np.ones((50, 1), dtype=np.float32), read])
    np.testing.assert_array_equal(again(table), trees(table))
    np.testing.assert_allclose(again(table), forest(read), atol=1e-6)


def tokens_of_two_types() -> tuple[TokenTable, np.ndarray]:
    """Thirty RNAs of each of two types, with token a or b.

    Each type is labelled for one compartment, and both for the last.
    """
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(60, 2)).astype(np.float32), rng.normal(size=(60, 3)).astype(np.float32)
    first = np.arange(60) < 30
    labels = np.column_stack(
        [a[:, 0] > 0, b[:, 0] > 0, np.where(first, a[:, 1], b[:, 1]) > 0]
    ).astype(float)
    labels[~first, 0], labels[first, 1] = np.nan, np.nan
    kinds = np.eye(3, dtype=np.float32)[np.where(first, 0, 1)]
    found = (
        make_token("a", np.where(first[:, None], a, 0)),
        make_token("b", np.where(first[:, None], 0, b)),
        make_token("type", kinds),
    )
    return TokenTable(NodeIndex.of([f"r{i}" for i in range(60)], "RNA"), found), labels


def test_types_learn_apart_and_what_a_type_does_not_speak_of_is_the_share_of_the_others() -> None:
    tokens, labels = tokens_of_two_types()
    train = np.arange(60)
    found = fit_typed_trees(tokens, ("a", "b", "type"), labels, train, [CONFIG] * 3, 0)
    flat = tokens.flat(("a", "b", "type"))
    said = found.forest(flat)
    assert (said[:30, 0][labels[:30, 0] == 1] > 0.5).all()
    assert (said[30:, 1][labels[30:, 1] == 1] > 0.5).all()
    share = (np.nansum(labels, axis=0) + 0.5) / ((~np.isnan(labels)).sum(axis=0) + 1)
    np.testing.assert_allclose(said[30:, 0], share[0], rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-found.boosted(flat)[:30, 1])), share[1], rtol=1e-5)
    np.testing.assert_allclose(found.out_of_bag[30:, 0], share[0])
    # an RNA of a type that none was trained of is answered by the shares
    stranger = flat[:1].copy()
    stranger[0, -3:] = [0, 0, 1]
    np.testing.assert_allclose(found.forest(stranger)[0], share, rtol=1e-5)


def test_the_labels_of_one_type_do_not_move_the_trees_of_another() -> None:
    tokens, labels = tokens_of_two_types()
    other = labels.copy()
    other[30:, 2] = 1 - other[30:, 2]
    said = [
        fit_typed_trees(tokens, ("a", "b", "type"), y, np.arange(60), [CONFIG] * 3, 0).forest(
            tokens.flat(("a", "b", "type"))
        )
        for y in (labels, other)
    ]
    np.testing.assert_array_equal(said[0][:30], said[1][:30])
    assert not np.array_equal(said[0][30:], said[1][30:])


def test_the_type_has_to_be_read() -> None:
    tokens, labels = tokens_of_two_types()
    with pytest.raises(ConfigError, match="'type'"):
        fit_typed_trees(tokens, ("a", "b"), labels, np.arange(60), [CONFIG] * 3, 0)


def test_what_another_set_of_the_type_speaks_of_is_answered_alike_in_training_and_after() -> None:
    """Half of the first type's RNAs are of a set that does not speak of the last compartment."""
    tokens, labels = tokens_of_two_types()
    labels[:15, 2] = np.nan
    found = fit_typed_trees(tokens, ("a", "b", "type"), labels, np.arange(60), [CONFIG] * 3, 0)
    said = found.forest(tokens.flat(("a", "b", "type")))
    np.testing.assert_allclose(found.out_of_bag[:15, 2], said[:15, 2], atol=1e-6)
    assert said[:15, 2].std() > 0.1


def test_a_type_whose_rnas_have_no_token_of_the_trees_gets_the_shares() -> None:
    tokens, labels = tokens_of_two_types()
    found = fit_typed_trees(tokens, ("a", "type"), labels, np.arange(60), [CONFIG] * 3, 0)
    share = (np.nansum(labels, axis=0) + 0.5) / ((~np.isnan(labels)).sum(axis=0) + 1)
    np.testing.assert_allclose(
        found.forest(tokens.flat(("a", "type")))[30:], np.tile(share, (30, 1)), rtol=1e-5
    )
