"""Token ``transcript``: long RNAs alone, left out where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusion.tokens.builders import build_tokens
from fusion.tokens.kinds import expand_tokens, modality_of
from fusion.tokens.transcript import LEAST
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet
from mirnagraph.synthetic import SyntheticConfig, make_synthetic
from seqtower.encoders.tis_summary import transcript_summary

SHORTER = "A" * (LEAST - 1)
LONG = "ACGUAUGGCC" * (LEAST // 10)


@pytest.fixture(scope="module")
def networks() -> NetworkSet:
    dataset, _ = make_synthetic(SyntheticConfig(n_rnas=20, n_families=4))
    return build_networks(dataset)


def with_sequences(networks: NetworkSet, *sequences: str) -> NetworkSet:
    """The networks with the sequences of the first RNAs replaced."""
    rnas = networks.dataset.rnas.copy()
    for number, sequence in enumerate(sequences):
        rnas.iloc[number, rnas.columns.get_loc("sequence")] = sequence
    return replace(networks, dataset=replace(networks.dataset, rnas=rnas))


def test_long_rnas_have_their_summary_and_others_nothing(
    networks: NetworkSet, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path))
    changed = with_sequences(networks, SHORTER, LONG)
    (token,) = build_tokens(changed, ["transcript"])
    assert np.flatnonzero(token.present).tolist() == [1]
    np.testing.assert_array_equal(token.values[1], transcript_summary([LONG])[0])
    assert not token.values[[0, *range(2, 20)]].any()


def test_a_dataset_of_hairpins_has_no_such_token(networks: NetworkSet) -> None:
    assert expand_tokens(networks, ["kmer", "transcript?"]) == ("kmer",)
    assert expand_tokens(with_sequences(networks, LONG), ["transcript?"]) == ("transcript",)
    with pytest.raises(ConfigError, match="needs RNAs of 200 nt or more; the dataset has none"):
        build_tokens(networks, ["transcript"])
    assert modality_of("transcript") == "sequence"
