"""GeneticSeq2Vec: k-mers with equal neighbours are similar, only training sequences are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirnagraph.errors import ConfigError
from seqtower.config import seq_config
from seqtower.encoders.base import fit_encoding
from seqtower.encoders.geneticseq2vec import GeneticSeq2VecConfig, encode_kmers, fit_geneticseq2vec
from seqtower.towers.el_rmlocnet import DroppedLSTM


def test_kmers_with_equal_neighbours_are_similar() -> None:
    config = GeneticSeq2VecConfig(k=1, stride=1, dim=3, hops=2)
    vectors = fit_geneticseq2vec(
        ["ACACACAGACACAC", "UCUCUCUGUC"], config
    )  # A and U are next to C and G alone
    assert vectors.shape == (4, 6)
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    assert distance[0, 3] < min(distance[0, 1], distance[0, 2])
    present = vectors.std(axis=0) > 0
    np.testing.assert_allclose(vectors[:, present].std(axis=0), 1, rtol=1e-4)


def test_kmers_are_a_stride_apart_and_n_is_zero() -> None:
    config = GeneticSeq2VecConfig(k=2, stride=2, dim=4, hops=1)
    vectors = fit_geneticseq2vec(["AACCGGUUAACC"], config)
    encoded = encode_kmers("AACCNGG", vectors, config)
    assert encoded.shape == (3, 4)
    np.testing.assert_array_equal(encoded[0], vectors[0])
    np.testing.assert_array_equal(encoded[1], vectors[5])
    assert (encoded[2] == 0).all()
    assert encode_kmers("A", vectors, config).tolist() == [[0, 0, 0, 0]]
    unseen = vectors[4]  # CA never stands at a stride
    assert (unseen == 0).all()


def test_only_training_sequences_are_read() -> None:
    config = seq_config("el-rmlocnet")
    one = fit_encoding(config.encoder, config.lengths, ["ACGUACGUAACC", "ACGUUU"])
    assert one.lengths.length == 9  # the average of the training sequences
    assert one.channels == one.to_arrays()["encoding.vectors"].shape[1] == 200
    other = fit_encoding(config.encoder, config.lengths, ["ACGUACGUAACC", "ACGUUU"])
    np.testing.assert_array_equal(one(["ACGU"])[0], other(["ACGU"])[0])


def test_dropped_weights_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    layer = DroppedLSTM(3, 4, 1, 0.5)
    values, mask = torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
    first, second = layer(values, mask), layer(values, mask)
    assert not torch.allclose(first, second)
    first.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    layer.eval()
    torch.testing.assert_close(layer(values, mask), layer.inner.forwards[0](values)[0])


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": 7}, {"stride": 0}, {"dim": 0}, {"hops": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        GeneticSeq2VecConfig(**wrong)
