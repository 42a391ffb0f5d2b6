"""Token ``letters``: codes of nucleotides, matures, and long sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusion.tokens.builders import build_tokens
from fusion.tokens.letters import letter_codes
from fusion.tokens.table import BuildSettings
from mirnagraph.networks.network import NetworkSet


def codes(sequence: str, matures: tuple[str, ...] = (), width: int = 8) -> list[float]:
    found: list[float] = letter_codes(sequence, matures, width).tolist()
    return found


def test_codes_are_padded() -> None:
    assert codes("ACGUN") == [1, 2, 3, 4, 5, 0, 0, 0]
    assert codes("") == [0] * 8


def test_nucleotides_of_a_mature_have_codes_of_their_own() -> None:
    assert codes("AACGUA", ("ACG",)) == [1, 6, 7, 8, 4, 1, 0, 0]
    # the first place alone; T as U; what is not there marks nothing
    assert codes("GUAGUA", ("gt",)) == [8, 9, 1, 3, 4, 1, 0, 0]
    assert codes("ACGU", ("GG", "")) == [1, 2, 3, 4, 0, 0, 0, 0]
    # N is the last letter
    assert codes("ANA", ("AN",)) == [6, 10, 1, 0, 0, 0, 0, 0]
    # two that overlap count once
    assert codes("ACGUA", ("ACG", "CGU")) == [6, 7, 8, 9, 1, 0, 0, 0]


def test_of_a_long_sequence_both_ends_are_read() -> None:
    assert codes("AAAACCCCGGGG", width=4) == [1, 1, 3, 3]
    assert codes("AAAACCCCGGGU", width=5) == [1, 1, 1, 3, 4]
    assert codes("ACGU", width=4) == [1, 2, 3, 4]
    assert codes("ACGU", width=1) == [1]
    assert codes("ACGUACGU", ("GUAC",), width=6) == [1, 2, 8, 7, 3, 4]


@pytest.fixture
def with_matures(networks: NetworkSet) -> NetworkSet:
    rnas = networks.dataset.rnas.iloc[:3].assign(
        sequence=["ACGUA", None, "CCC"], matures=["CG;UA", "", None]
    )
    return replace(networks, dataset=_dataset(networks, rnas))


def _dataset(networks: NetworkSet, rnas: pd.DataFrame) -> object:
    labels = networks.dataset.labels.loc[rnas.index]
    return replace(
        networks.dataset, rnas=rnas, labels=labels, associations={}, partners={}, supporting=()
    )


def test_token_of_a_dataset(with_matures: NetworkSet) -> None:
    token = build_tokens(with_matures, ["letters"])["letters"]
    assert token.values.tolist() == [[1, 7, 8, 9, 6], [0] * 5, [2, 2, 2, 0, 0]]
    assert token.present.tolist() == [True, False, True]
    short = build_tokens(with_matures, ["letters"], BuildSettings(letters=2))["letters"]
    assert short.values.tolist() == [[1, 6], [0, 0], [2, 2]]


def test_without_any_sequence_or_matures(with_matures: NetworkSet) -> None:
    rnas = with_matures.dataset.rnas.assign(sequence=None).drop(columns="matures")
    networks = replace(with_matures, dataset=_dataset(with_matures, rnas))
    token = build_tokens(networks, ["letters"])["letters"]
    assert token.values.tolist() == [[0]] * 3
    assert not token.present.any()
    np.testing.assert_array_equal(token.present, False)
