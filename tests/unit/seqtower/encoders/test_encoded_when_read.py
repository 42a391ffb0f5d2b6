"""Encodings of a large set, made when they are read: sizes known before, values the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnagraph.seeds import generator
from seqtower.config import seq_config
from seqtower.data.sequences import LengthPolicy, SequenceSet, sequences_sha256
from seqtower.data.synthetic import planted_sequences
from seqtower.encoders import base, descriptors
from seqtower.encoders.base import (
    EncodedWhenRead,
    EncoderConfig,
    encoded_rows,
    encoded_sizes,
    fit_encoding,
)
from seqtower.predict import predict
from seqtower.towers.cnn import Cnn, CnnConfig
from seqtower.training.pieces import EncodedPieces

RNAS = ["ACGUACGUACGUAAC", "", "A", "ACG", "GGGGGCCCCCUUUUUAAAAANNNNN" * 3]


@given(
    st.sampled_from(["full", "3-prime", "5-prime", "both-ends"]),
    st.integers(2, 60),
    st.integers(0, 100),
)
def test_kept_nucleotides_are_counted_without_cutting(keep: str, length: int, size: int) -> None:
    policy = LengthPolicy(keep, length)
    assert policy.n_kept(size) == len(policy.positions(size)) == len(policy.cut("A" * size))


@pytest.mark.parametrize("lengths", [LengthPolicy(), LengthPolicy("both-ends", 7)])
@pytest.mark.parametrize(
    "encoder",
    [
        EncoderConfig(),
        EncoderConfig("geneticseq2vec", {"k": 2, "stride": 2, "dim": 3, "hops": 1}),
        EncoderConfig("geneticseq2vec", {"k": 3, "stride": 1, "dim": 3, "hops": 1}),
        EncoderConfig("tis", {"patch": 4}),
    ],
)
def test_positions_are_known_before_an_rna_is_encoded(
    encoder: EncoderConfig,
    lengths: LengthPolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path))
    encoding = fit_encoding(encoder, lengths, RNAS)
    at_once = encoding(RNAS)
    assert isinstance(encoding.when_read(RNAS), list)
    monkeypatch.setattr(base, "MOST_KEPT", 10)
    later = encoding.when_read(RNAS)
    assert isinstance(later, EncodedWhenRead)
    assert len(later) == len(RNAS)
    assert encoded_sizes(later).tolist() == encoded_sizes(at_once).tolist()
    for one, other in zip(later, at_once, strict=True):
        np.testing.assert_array_equal(one, other)
    some = np.array([4, 0])
    for one, other in zip(encoded_rows(later, some), encoded_rows(at_once, some), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_encoder_that_does_not_know_its_sizes_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "MOST_KEPT", 0)
    monkeypatch.setattr(base.OneHot, "n_positions", base.Encoder.n_positions)
    assert isinstance(fit_encoding(EncoderConfig(), LengthPolicy(), []).when_read(RNAS), list)


def test_predictions_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = fit_encoding(EncoderConfig(), LengthPolicy(), [])
    tower = Cnn(CnnConfig(filters=3), 4, 2).eval()
    config = seq_config(training=seq_config().training.__class__(batch_tokens=20)).training
    at_once = predict(tower, encoding(RNAS), "multi-label", config)
    monkeypatch.setattr(base, "MOST_KEPT", 0)
    later = encoding.when_read(RNAS)
    data = EncodedPieces(later, 20)
    assert data.owner.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4]
    np.testing.assert_array_equal(predict(tower, later, "multi-label", config), at_once)


def test_descriptors_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = generator(1, "descriptors")
    rnas = ["".join(rng.choice(list("ACGU"), size)) for size in (30, 200, 90, 400, 5)]
    circular = [False, True, False, True, False]
    whole = descriptors.descriptors(rnas, circular=circular)
    monkeypatch.setattr(descriptors, "AT_A_TIME", 2)
    np.testing.assert_array_equal(descriptors.descriptors(rnas, circular=circular), whole)
    assert descriptors.descriptors([]).shape == (0, whole.shape[1])


def test_the_checksum_of_a_set_is_that_of_its_lines() -> None:
    import hashlib

    data: SequenceSet = planted_sequences(4).data
    lines = "\n".join(f"{n}\t{s}" for n, s in zip(data.index.ids, data.sequences, strict=True))
    expected = hashlib.sha256(lines.encode())
    expected.update("\t".join([data.kind, *data.compartments]).encode())
    expected.update(data.labels.tobytes())
    expected.update(b"")
    assert sequences_sha256(data) == expected.hexdigest()
