"""Token tables, worked by hand: presence, joined tokens, and tokens side by side."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.tokens.names import single_tokens
from fusion.tokens.table import Token, TokenTable, make_token
from mirnagraph.errors import ConfigError
from mirnagraph.nodes import NodeIndex


def table() -> TokenTable:
    """Two tokens of three RNAs; each holds numbers where it is absent."""
    one = make_token("one", np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([True, False, False]))
    other = make_token("other", np.array([[7.0], [8], [9]]), np.array([True, True, False]))
    return TokenTable(NodeIndex.of(["x", "y", "z"], "RNA"), (one, other))


def test_a_token_is_present_where_a_row_is_not_zero_unless_given() -> None:
    values = np.array([[0.0, 0], [0, -1], [2, 0]])
    assert make_token("one", values).present.tolist() == [False, True, True]
    assert make_token("one", values, np.array([1, 0, 0])).present.tolist() == [True, False, False]
    assert make_token("one", values).values.dtype == np.float32


def test_absent_values_are_zeros_side_by_side() -> None:
    assert table().flat().tolist() == [[1, 2, 7], [0, 0, 8], [0, 0, 0]]
    assert table().flat(["other", "one+other"]).tolist() == [[7, 1, 2], [8, 0, 0], [0, 0, 0]]
    assert single_tokens(["other", "one+other"]) == ["other", "one"]


def test_a_joined_token_has_zeros_for_an_absent_part() -> None:
    found = table().select(["other+one"])["other+one"]
    assert found.values.tolist() == [[7, 1, 2], [8, 0, 0], [0, 0, 0]]
    assert found.present.tolist() == [True, True, False]
    assert table().select(["other", "other+one"]).sources == {"other": 1, "other+one": 3}


def test_tables_of_numbers_that_are_not_finite_or_of_another_shape_are_refused() -> None:
    index = NodeIndex.of(["x", "y"], "RNA")
    for values in ([[1.0], [np.nan]], [[np.inf], [1.0]], [[1.0]], [1.0, 2.0]):
        array = np.array(values, dtype=np.float32)
        with pytest.raises(ConfigError, match="one"):
            TokenTable(index, (Token("one", array, np.ones(len(array), dtype=bool)),))


def test_two_tokens_of_one_name_are_refused() -> None:
    one, other = table().tokens
    with pytest.raises(ConfigError, match="'one' is duplicated among one, other, one"):
        TokenTable(table().index, (one, other, one))
