"""Sequences of partners from a table or a FASTA file, averaged over the partners of an RNA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.config import TowerSettings
from fusion.tokens.builders import build_tokens
from fusion.tokens.kinds import expand_tokens
from fusion.tokens.partners import (
    kinds_with_sequences,
    partner_embedding,
    with_partner_sequences,
)
from fusion.tokens.table import BuildSettings
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.network import NetworkSet

SETTINGS = TowerSettings(dim=2)


def small(sequences: list[str | None] | None = None) -> NetworkSet:
    """Three RNAs; the first has the partners x and y, the second y and z, the third none."""
    rnas = pd.DataFrame({"sequence": ["ACGU"] * 3}, index=pd.Index(["a", "b", "c"], name="rna_id"))
    pairs = pd.DataFrame({"rna_id": ["a", "a", "b", "b"], "partner_id": ["x", "y", "y", "z"]})
    partners = pd.DataFrame(index=pd.Index(["x", "y", "z"], name="partner_id"))
    if sequences is not None:
        partners["sequence"] = pd.Series(sequences, index=partners.index, dtype=object)
    labels = pd.DataFrame({"Nucleus": [0, 1, 0]}, index=rnas.index)
    return NetworkSet(Dataset("small", rnas, {"mRNA": pairs}, {"mRNA": partners}, labels), {}, {})


def test_an_rna_sees_the_mean_over_its_partners_with_a_sequence() -> None:
    networks = small(["ACGUACGUAA", None, "GGGGCCCUAU"])
    token = build_tokens(networks, ["partner_sequences:mRNA"], BuildSettings(tower=SETTINGS))[
        "partner_sequences:mRNA"
    ]
    vectors = partner_embedding(["ACGUACGUAA", "GGGGCCCUAU"], SETTINGS)
    np.testing.assert_allclose(
        token.values[:2], vectors, atol=1e-5
    )  # of two partners each has one with a sequence
    assert token.present.tolist() == [True, True, False]
    networks = small(["ACGUACGUAA", "acgtt", "GGGGCCCUAU"])
    token = build_tokens(networks, ["partner_sequences:mRNA"], BuildSettings(tower=SETTINGS))[
        "partner_sequences:mRNA"
    ]
    vectors = partner_embedding(["ACGUACGUAA", "ACGUU", "GGGGCCCUAU"], SETTINGS)
    np.testing.assert_allclose(token.values[0], vectors[:2].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(token.values[1], vectors[1:].mean(axis=0), atol=1e-5)


def test_words_are_centred_and_have_as_many_components_as_asked_for() -> None:
    random = np.random.default_rng(0)
    sequences = ["".join(random.choice(list("ACGU"), 60)) for _ in range(12)]
    vectors = partner_embedding(sequences, TowerSettings(dim=3))
    assert vectors.shape == (12, 3)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-8)


def test_a_file_fills_what_is_missing_by_id_or_symbol_and_takes_the_longest(tmp_path: Path) -> None:
    file = tmp_path / "mrna.fa"
    file.write_text(
        ">T1 x\nACGT\n>T2 x more words\nACGTTT\n>z\nGGRG\n>T3 z\nGGGGGGGG\n>T4 nobody\nAC\n"
    )
    networks = with_partner_sequences(small([None, "UUUU", None]), file)
    assert networks.dataset.partners["mRNA"]["sequence"].tolist() == ["ACGUUU", "UUUU", "GGNG"]
    assert (
        with_partner_sequences(networks, file)
        .dataset.partners["mRNA"]
        .equals(networks.dataset.partners["mRNA"])
    )
    assert kinds_with_sequences(networks.dataset) == ["mRNA"]
    assert expand_tokens(networks, ("partner_sequences:*", "kmer")) == (
        "partner_sequences:mRNA",
        "kmer",
    )
    assert expand_tokens(small(), ("partner_sequences:*", "kmer", "partner_sequences:mRNA?")) == (
        "kmer",
    )
    unchanged = small()
    assert with_partner_sequences(unchanged, "") is unchanged


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    file = tmp_path / "mrna.fa"
    file.write_text(">nobody\nACGT\n")
    with pytest.raises(InputError, match="no sequence is of a partner"):
        with_partner_sequences(small(), file)
    for kind in ("mRNA", "drug"):
        with pytest.raises(ConfigError, match=f"partner_sequences:{kind}"):
            build_tokens(small(), [f"partner_sequences:{kind}"], BuildSettings(tower=SETTINGS))
    with pytest.raises(InputError, match="invalid nucleotide"):
        build_tokens(
            small(["ACX", None, None]), ["partner_sequences:mRNA"], BuildSettings(tower=SETTINGS)
        )


def test_sequences_of_partners_outlive_a_folder(tmp_path: Path) -> None:
    dataset = small(["ACGU", None, "GGG"]).dataset
    back = Dataset.load(dataset.save(tmp_path / "set"))
    assert kinds_with_sequences(back) == ["mRNA"]
    settings = replace(SETTINGS, dim=1)
    one, other = (
        build_tokens(
            NetworkSet(d, {}, {}), ["partner_sequences:mRNA"], BuildSettings(tower=settings)
        )["partner_sequences:mRNA"]
        for d in (dataset, back)
    )
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.present, other.present)
