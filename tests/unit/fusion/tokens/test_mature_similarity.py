"""Similarity ``mature`` of tokens: best pair of matures, presence and expansion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusion.tokens.kinds import can_be_made, expand_tokens, modality_of
from fusion.tokens.neighbours import neighbour_similarity
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet


def with_matures(networks: NetworkSet, matures: list[str | None] | None) -> NetworkSet:
    rnas = networks.dataset.rnas.iloc[:4].assign(matures=matures or [None] * 4)
    dataset = replace(
        networks.dataset,
        rnas=rnas if matures else rnas.drop(columns="matures"),
        labels=networks.dataset.labels.loc[rnas.index],
        associations={},
        partners={},
        supporting=(),
    )
    return replace(networks, dataset=dataset)


def test_best_pair_of_matures_without_itself(networks: NetworkSet) -> None:
    given = with_matures(networks, ["ACGUACGU;GGGGGGGG", "GGGGGGGG", None, "AAAAAAAA"])
    found = neighbour_similarity(given, "mature")
    assert found.dtype == np.float32
    assert found.shape == (4, 4)
    # RNAs 0 and 1 share a mature; one without matures and the diagonal are 0
    assert found[0, 1] == found[1, 0] == 1
    assert not found[2].any()
    assert not found[:, 2].any()
    assert not found.diagonal().any()
    assert 0 <= found[0, 3] < 0.5
    np.testing.assert_array_equal(found, found.T)


def test_names_with_and_without_matures(networks: NetworkSet) -> None:
    given = with_matures(networks, ["ACGU", "", None, ""])
    assert expand_tokens(given, ["nearest:mature?"]) == ("nearest:mature",)
    assert can_be_made(given, "neighbours:mature")
    assert modality_of("nearest:mature") == "sequence"
    for matures in (["", "", None, ""], None):
        without = with_matures(networks, matures)  # type: ignore[arg-type]
        assert expand_tokens(without, ["nearest:mature?", "kmer"]) == ("kmer",)
        assert not can_be_made(without, "neighbours:mature")


def test_a_dataset_without_matures_is_one_sentence(networks: NetworkSet) -> None:
    with pytest.raises(ConfigError, match="no similarity 'mature'; available: sequence") as error:
        neighbour_similarity(with_matures(networks, None), "mature")
    assert "\n" not in str(error.value)
