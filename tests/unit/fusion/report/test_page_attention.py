"""Attention by source and head: values worked by hand, and heads of small models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion.model_config import AttentionConfig, FusionConfig, KernelSettings
from fusion.models.attention import TokenFusion
from fusion.models.towers_training import fit_fusion
from fusion.models.training import TrainedAttention, as_tensors
from fusion.report.attention import (
    NOT_IMPORTANCE,
    Readings,
    attention_blocks,
    attention_data,
    attention_section,
    head_weights,
    member_attention,
    over_rnas,
    plain_words,
    relative_attention,
    token_words,
    tower_attention,
    unevenness,
)
from fusion.report.blocks import Chart, Table, Text
from fusion.report.run_data import open_run
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.nodes import NodeIndex


@pytest.fixture
def three_rnas() -> np.ndarray:
    """Two heads, two sources: the third RNA lacks the second source; the second head is even."""
    weights = np.array(
        [
            [[0.75, 0.25], [0.5, 0.5]],
            [[0.95, 0.05], [0.5, 0.5]],
            [[1.0, 0.0], [1.0, 0.0]],
        ]
    )
    return relative_attention(weights, np.array([[1, 1], [1, 1], [1, 0]], dtype=bool))


def test_weights_are_relative_to_even_attention(three_rnas: np.ndarray) -> None:
    """0.75 of two sources is 1.5 of the even 0.5; all of one source is even."""
    expected = [
        [[1.5, 0.5], [1, 1]],
        [[1.9, 0.1], [1, 1]],
        [[1, np.nan], [1, np.nan]],
    ]
    np.testing.assert_allclose(three_rnas, expected)


def test_mean_and_spread_are_over_the_rnas_that_have_the_source(three_rnas: np.ndarray) -> None:
    """(1.5 + 1.9 + 1) / 3 = 22/15, variance (.1/3)^2 + (1.3/3)^2 + (1.4/3)^2 over 3; .5 and .1."""
    mean, sd, n_rnas = over_rnas(three_rnas)
    np.testing.assert_allclose(mean, [[22 / 15, 0.3], [1, 1]])
    first = np.sqrt(((0.1 / 3) ** 2 + (1.3 / 3) ** 2 + (1.4 / 3) ** 2) / 3)
    np.testing.assert_allclose(sd, [[first, 0.2], [0, 0]], atol=1e-12)
    assert n_rnas.tolist() == [[3, 2], [3, 2]]


def test_the_figure_shows_the_mean_and_uneven_heads_alone(three_rnas: np.ndarray) -> None:
    """Mean of the heads, second source: (.5 + 1) / 2 = .75 and .55, so .65 ± .1."""
    readings = Readings(("svd:drug", "kmer"), ("head 1", "head 2"), three_rnas)
    table = attention_data(readings, ("drugs", "k-mers"))
    assert table["panel"].tolist() == ["mean of 2 heads"] * 2 + ["head 1"] * 2
    assert table["y"].tolist() == ["drugs", "k-mers"] * 2
    row = table.iloc[1]
    np.testing.assert_allclose([row["x"], row["low"], row["high"]], [0.65, 0.55, 0.75])
    row = table.iloc[3]
    np.testing.assert_allclose([row["x"], row["low"], row["high"]], [0.3, 0.1, 0.5])
    assert row["label"] == "2 RNAs"


def test_sources_that_every_shown_head_reads_evenly_are_left_out(three_rnas: np.ndarray) -> None:
    even = np.ones((3, 2, 1))
    relative = np.concatenate([three_rnas, even], axis=2)
    readings = Readings(("svd:drug", "kmer", "degree"), ("head 1", "head 2"), relative)
    chart, table = attention_blocks(readings)[1:]
    assert isinstance(chart, Chart)
    assert chart.line_at == 1
    assert "number of partners" not in set(chart.data["y"])
    assert isinstance(table, Table)  # all sources; by the mean of all heads
    assert [row[:2] for row in table.rows] == [
        ("drugs (svd)", "svd:drug"),
        ("number of partners", "degree"),
        ("k-mers", "kmer"),
    ]
    assert table.rows[-1][2:] == ("2", "0.65 ± 0.10", "0.30", "1.00")


def test_even_heads_are_a_sentence_and_no_figure() -> None:
    relative = np.full((4, 2, 3), 1.05)
    blocks = attention_blocks(Readings(("svd:drug", "kmer", "degree"), ("a", "b"), relative))
    assert isinstance(blocks[0], Text)
    assert blocks[0].text == NOT_IMPORTANCE
    assert isinstance(blocks[1], Text)
    assert "No head reads a source 10 % or more unevenly" in blocks[1].text
    assert not any(isinstance(block, Chart) for block in blocks)


@pytest.mark.parametrize("readout", ["queries", "light_queries", "concat", "mean"])
def test_heads_average_to_the_attention_of_the_model(readout: str) -> None:
    """The model itself averages over heads; tokens as queries count where they are present."""
    torch.manual_seed(0)
    config = replace(AttentionConfig(), dim=8, n_heads=2, n_layers=1, readout=readout)
    member = TokenFusion({"a": 3, "b": 2, "c": 1}, 4, config).eval()
    values = [torch.randn(5, width) for width in (3, 2, 1)]
    present = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1]], dtype=bool)
    weights = head_weights(member, values, present)
    assert weights is not None
    assert weights.shape == (5, 2, 4 if "queries" in readout else 1, 3)
    with torch.no_grad():
        of_model = member.encode(values, present)[2][..., :3]
    if "queries" not in readout:
        of_model = torch.stack(
            [
                table[:3][is_here].mean(dim=0, keepdim=True)
                for table, is_here in zip(of_model, present, strict=True)
            ]
        )
    torch.testing.assert_close(weights.mean(dim=1), of_model)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
    assert not weights[3, :, :, 1:].any()  # the fourth RNA has the first token alone
    assert len(member._forward_hooks) == 0


def test_unevenness_is_the_distance_from_even_attention(three_rnas: np.ndarray) -> None:
    """First source of the first head: .5, .9 and 0 from 1."""
    expected = [[np.sqrt((0.25 + 0.81) / 3), np.sqrt((0.25 + 0.81) / 2)], [0, 0]]
    np.testing.assert_allclose(unevenness(three_rnas), expected, atol=1e-12)


def test_one_uneven_source_makes_a_head_uneven() -> None:
    """A head with nine even sources of ten, and one at 1.2, is shown with that source alone."""
    relative = np.ones((4, 1, 10))
    relative[:, :, 3] = 1.2
    sources = tuple("abcdefghij")
    table = attention_data(Readings(sources, ("head 1",), relative), sources)
    assert table[["panel", "y", "x"]].to_numpy().tolist() == [["head 1", "d", 1.2]]


@pytest.fixture
def tokens() -> TokenTable:
    """Three tokens of eight RNAs: the first RNA has no `evidence`, the last one no token."""
    rng = np.random.default_rng(0)
    index = NodeIndex.of([f"r{number}" for number in range(8)], "RNA")
    here = np.arange(8) < 7
    table = [
        make_token("kmer", rng.normal(size=(8, 4)), here),
        make_token("evidence:drug", rng.normal(size=(8, 3)), here & (np.arange(8) > 0)),
        make_token("degree", rng.normal(size=(8, 2)), here),
    ]
    return TokenTable(index, tuple(table))


def test_heads_of_a_fusion_of_two_towers_are_named_in_their_order(tokens: TokenTable) -> None:
    config = FusionConfig(
        dim=8, n_heads=2, n_queries=3, n_members=2, epochs=1, kernel_dim=0, hidden=4
    )
    labels = np.arange(16).reshape(8, 2) % 3 == 0
    train = np.arange(8)
    names = [token.name for token in tokens]
    trained = fit_fusion(
        tokens, names, labels.astype(float), train, train, config, KernelSettings(), 0
    )
    measured = tower_attention(trained, tokens, train)
    assert measured is not None
    sources, heads, weights, is_present = measured
    assert sources == (*names, "presence")
    assert is_present[[0, 7]].tolist() == [[True, False, True, True], [False, False, False, True]]
    with torch.no_grad():
        of_model = trained.model(trained.inputs(tokens, train))[1].numpy()
    for name, member, head, query in (
        ("member 1, head 2, query 1", 0, 1, 0),
        ("member 2, head 1, query 3", 1, 0, 2),
    ):
        np.testing.assert_array_equal(
            weights[:, heads.index(name)], of_model[member, :, head, query]
        )
    assert len(heads) == len(set(heads)) == 12
    mean = replace(trained.model.config, pooling="mean")
    trained.model.config = mean
    assert tower_attention(trained, tokens, train) is None


@pytest.mark.parametrize("readout", ["queries", "concat"])
def test_heads_of_members_are_named_in_their_order(tokens: TokenTable, readout: str) -> None:
    torch.manual_seed(1)
    config = replace(AttentionConfig(), dim=8, n_heads=2, n_layers=1, readout=readout)
    widths = {token.name: token.values.shape[1] for token in tokens}
    members = [TokenFusion(widths, 2, config).eval() for _ in range(2)]
    measured = member_attention(
        TrainedAttention(members), tokens, np.arange(8), ("Nucleus", "Cytosol")
    )
    assert measured is not None
    sources, heads, weights, is_present = measured
    assert sources == ("kmer", "evidence:drug", "degree")
    assert weights.shape[0] == len(is_present) == 7  # the last RNA has no token
    with_queries = "member 2, head 1: Cytosol"
    name = with_queries if readout == "queries" else "member 2, head 1"
    values, present = as_tensors(tokens, np.arange(7))
    of_member = head_weights(members[1], values, present)
    assert of_member is not None
    expected = of_member[:, 0, 1 if readout == "queries" else 0].numpy()
    np.testing.assert_allclose(weights[:, heads.index(name)], expected, rtol=1e-6)
    assert len(heads) == len(set(heads)) == (8 if readout == "queries" else 4)


def test_a_member_without_attention_has_none() -> None:
    config = replace(AttentionConfig(), dim=8, n_heads=2, n_layers=0, readout="concat")
    member = TokenFusion({"a": 1}, 2, config).eval()
    assert head_weights(member, [torch.zeros(1, 1)], torch.ones(1, 1, dtype=bool)) is None


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("svd:disease", "diseases (svd)"),
        ("profile:drug", "drugs (profile)"),
        ("nearest:sequence", "near by sequence"),
        ("nearest:mature", "near by sequence (mature)"),
        ("neighbours:functional", "near by diseases (functional)"),
        ("nearest:cosine_mRNA", "near by targets (cosine)"),
        ("nearest:coexpression", "near by expression (coexpression)"),
        ("kernel_features:evidence-same_sequence", "kernel of evidence x same sequence"),
        ("svd:drug+neighbours:gip_drug", "drugs (svd) + near by drugs (gip)"),
        ("trees", "prediction of the trees"),
        ("letters", "nucleotides (sequence tower)"),
        ("presence", "which sources the RNA has"),
        ("degree", "number of partners"),
    ],
)
def test_tokens_have_plain_words(token: str, words: str) -> None:
    assert token_words(token) == words


def test_words_that_two_tokens_share_name_what_differs() -> None:
    words = plain_words(("nearest:cosine_mRNA", "nearest:cosine_target_2025", "svd:drug"))
    assert words == (
        "near by targets (cosine): mRNA",
        "near by targets (cosine): target_2025",
        "drugs (svd)",
    )
    words = plain_words(("nearest:sequence", "neighbours:sequence"))
    assert words == (
        "near by sequence: sequence [nearest:sequence]",
        "near by sequence: sequence [neighbours:sequence]",
    )


def test_a_run_without_a_model_says_so(small_run: Path) -> None:
    (block,) = attention_section(open_run(small_run)).blocks
    assert block == Text("No model in this run folder.")
