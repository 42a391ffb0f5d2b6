"""Reasons of the fusion of two towers and of the kernel model, with values by hand."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion.config import (
    ExperimentConfig,
    FusionConfig,
    KernelSettings,
    MixSettings,
    TokenSettings,
)
from fusion.explain.notes import attention_notes
from fusion.explain.occlusion import occlude_modalities, one_row
from fusion.explain.result import Compartment, Explanation
from fusion.explain.tokens import token_shares
from fusion.explain.towers import (
    SourceAttention,
    attention_to_sources,
    kernel_reasons,
    masked_changes,
    number_gradients,
    relations_of,
    without_own_label,
)
from fusion.models.ensemble import FusionModel, safe_logit
from fusion.models.kernel import KernelModel, fit_kernel
from fusion.models.reference import ReferenceRNAs
from fusion.models.towers_training import TrainedFusion, fit_fusion
from fusion.tokens.nearest import nearest_tokens
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.embedding.rank_kernel import RankBlock
from mirnagraph.nodes import NodeIndex

N = 24
CONFIG = ExperimentConfig(
    tokens=TokenSettings(
        attention=("kmer", "evidence:disease", "letters", "nearest:sequence", "profile:disease")
    ),
    neural="fusion",
    fusion=FusionConfig(
        dim=8,
        n_heads=2,
        n_queries=3,
        hidden=8,
        n_members=2,
        kernel_dim=0,
        epochs=4,
        learning_rate=0.02,
    ),
    kernel=KernelSettings({"numbers": ("kmer", "evidence:disease")}, penalty=0.5),
    mix=MixSettings(),
)


@pytest.fixture(scope="module")
def parts() -> tuple[FusionModel, ReferenceRNAs]:
    """A small fusion with a kernel model, trained on all but the last RNA."""
    random = np.random.default_rng(5)
    index = NodeIndex.of([f"rna{number}" for number in range(N)], "miRNA")
    train = np.arange(N - 1)
    labels = (random.random((N, 2)) < 0.5).astype(float)
    is_present = np.arange(N) % 5 != 0
    similarity = random.random((N, N))
    similarity = (similarity + similarity.T) / 2
    tokens = TokenTable(
        index,
        (
            make_token("kmer", random.normal(size=(N, 4))),
            make_token("evidence:disease", random.normal(size=(N, 3)), is_present),
            make_token("letters", random.integers(1, 11, size=(N, 12))),
            make_token("profile:disease", random.random((N, 6)) < 0.4),
        ),
    ) + nearest_tokens(index, {"sequence": similarity}, train, 5)
    trained = np.arange(N) < N - 1
    neural = fit_fusion(
        tokens,
        CONFIG.tokens.attention,
        labels,
        train,
        np.arange(N),
        CONFIG.fusion,
        CONFIG.kernel,
        3,
    )
    kernel = fit_kernel(tokens, labels, train, CONFIG.kernel)
    model = FusionModel(
        CONFIG,
        tokens,
        neural,
        {},
        {"attention": 1.0, "kernel": 1.0},
        np.full(2, 0.5),
        kernel=kernel,
    )
    nothing = np.full((N, 2), np.nan)
    reference = ReferenceRNAs(
        index,
        (None,) * N,
        ("",) * N,
        trained,
        np.where(trained[:, None], labels, np.nan),
        tokens,
        nothing,
        nothing,
        nothing,
    )
    return model, reference


def of_row(model: FusionModel, row: int) -> FusionModel:
    return replace(model, tokens=one_row(model.tokens, row))


def neural_logit(model: FusionModel) -> np.ndarray:
    return safe_logit(model.parts(np.arange(1))["attention"])[0]


def test_numbers_sum_to_the_change_of_the_logit(parts: tuple[FusionModel, ReferenceRNAs]) -> None:
    model = of_row(parts[0], 3)
    values, sums = number_gradients(model, [1, 0], steps=64)
    assert list(values) == ["kmer", "evidence:disease"]
    for place, column in enumerate((1, 0)):
        start, end, error = sums[place]
        assert end == pytest.approx(neural_logit(model)[column], abs=1e-5)
        total = sum(float(of_token[place]) for of_token in values.values())
        assert total - (end - start) == pytest.approx(error, abs=1e-12)
        assert abs(error) < 1e-4
        assert abs(end - start) > 1e-3
    # an absent token of numbers adds nothing
    absent, _ = number_gradients(of_row(parts[0], 5), [0], steps=8)
    assert absent["evidence:disease"][0] == 0
    assert absent["kmer"][0] != 0


def test_with_a_token_minus_without_it(parts: tuple[FusionModel, ReferenceRNAs]) -> None:
    model = of_row(parts[0], 3)
    changes = masked_changes(model, [1])
    assert list(changes) == list(CONFIG.tokens.attention)
    for name in CONFIG.tokens.attention:
        gone = [
            make_token(t.name, t.values * 0, t.present & False) if t.name == name else t
            for t in model.tokens
        ]
        without = replace(model, tokens=TokenTable(model.tokens.index, tuple(gone)))
        by_hand = neural_logit(model)[1] - neural_logit(without)[1]
        assert changes[name][0] == pytest.approx(by_hand, abs=1e-5)
        assert by_hand != 0
    assert masked_changes(of_row(parts[0], 5), [0])["evidence:disease"][0] == 0


def test_relations_give_what_the_graph_tower_passes(
    parts: tuple[FusionModel, ReferenceRNAs],
) -> None:
    model, reference = parts
    ((relation, partners),) = relations_of(of_row(model, 4), reference, [0])
    neural = model.attention
    assert isinstance(neural, TrainedFusion)
    graph = neural.model.graph
    assert graph is not None
    strengths = next(iter(graph.read.convs.values())).strength.detach().numpy()
    np.testing.assert_allclose(relation.strengths, strengths)
    token = model.tokens["nearest:sequence"].values[4]
    rows = token[:5].astype(int)
    similarity = token[5:]
    # by hand: weights are similarity to the power of the strength, per head
    powers = (similarity / similarity.max())[:, None] ** strengths
    weights = (powers / powers.sum(axis=0)).mean(axis=1)
    assert relation.value == pytest.approx(float(weights @ reference.labels[rows, 0]), abs=1e-5)
    assert [carrier.rna for carrier in relation.carriers] == [
        f"rna{rows[place]}" for place in np.argsort(-weights, kind="stable")[:4]
    ]
    assert relation.carriers[0].weight == pytest.approx(weights.max(), abs=1e-6)
    assert relation.carriers[0].located == (reference.labels[rows[np.argmax(weights)], 0] > 0)
    assert relation.is_similarity
    assert not partners.is_similarity
    assert partners.carriers == ()
    assert len(partners.strengths) == 4


def test_an_own_label_reaches_neither_graph_tower_nor_kernel(
    parts: tuple[FusionModel, ReferenceRNAs],
) -> None:
    model, reference = parts
    masked = without_own_label(model, reference.trained, 7)
    neural = model.attention
    assert isinstance(neural, TrainedFusion)
    flipped = replace(neural, model=copy.deepcopy(neural.model))
    assert flipped.model.graph is not None
    flipped.model.graph.get_buffer("labels")[7] = 1 - flipped.model.graph.get_buffer("labels")[7]
    other = without_own_label(replace(model, attention=flipped), reference.trained, 7)
    rows = np.array([7])
    np.testing.assert_array_equal(masked.predict(rows), other.predict(rows))
    assert np.abs(masked.predict(rows) - model.predict(rows)).max() > 1e-6
    assert model.kernel is not None
    assert masked.kernel is not None
    assert (masked.kernel.dual[7] == 0).all()
    assert model.kernel.dual[7].any(), "the model itself is left as it is"


def test_kernel_reasons_by_hand() -> None:
    """Three training RNAs on one number; ranks 1/6, 3/6, 5/6; scale 1/3."""
    block = RankBlock(
        np.array([[1.0], [2.0], [3.0]], np.float32), np.ones(3, bool), np.array(1 / 3)
    )
    kernel = KernelModel(
        KernelSettings({"x": ("kmer",)}),
        {"x": block},
        np.array([[2.0], [-1.0], [-1.0]], np.float32),
        np.array([0.25], np.float32),
    )
    index = NodeIndex.of(["a", "left out", "b", "c"], "miRNA")
    trained = np.array([True, False, True, True])
    labels = np.array([[1.0], [np.nan], [0.0], [0.0]])
    nothing = np.full((4, 1), np.nan)
    reference = ReferenceRNAs(
        index, (None,) * 4, ("",) * 4, trained, labels, TokenTable(index, ()), *[nothing] * 3
    )
    token = make_token("kmer", np.array([[1.0]]))
    table = TokenTable(NodeIndex.of(["query"], "miRNA"), (token,))
    (reasons,) = kernel_reasons(kernel, table, reference, [0])
    likeness = np.exp([0.0, -1.0, -2.0])
    mean = likeness.mean()
    assert reasons.start == pytest.approx(0.25)  # the weights sum to 0
    assert reasons.supporting == pytest.approx(2 * (1 - mean), rel=1e-5)
    assert reasons.opposing == 0
    assert reasons.unlike == pytest.approx(2 * mean - likeness[1] - likeness[2], rel=1e-5)
    assert reasons.logit == pytest.approx(float(kernel.logits(table, np.arange(1))[0, 0]))
    assert [(near.rna, near.located) for near in reasons.nearest] == [
        ("a", True), ("b", False), ("c", False),
    ]  # fmt: skip
    assert [rna.rna for rna in reasons.rnas] == ["a"]
    (own,) = kernel_reasons(kernel, table, reference, [0], row=0)
    assert [near.rna for near in own.nearest] == ["b", "c"]


def test_attention_is_shown_only_where_it_differs(
    parts: tuple[FusionModel, ReferenceRNAs],
) -> None:
    model, reference = parts
    sources = attention_to_sources(of_row(model, 5), reference)
    assert [of.token for of in sources] == [
        "kmer",
        "nearest:sequence",
        "profile:disease",
        "letters",
    ]
    neural = model.attention
    assert isinstance(neural, TrainedFusion)
    weights = neural.attention(model.tokens.select(CONFIG.tokens.attention), np.array([5]))[0]
    np.testing.assert_allclose(sources[0].weight, weights[:, 0].mean(), rtol=1e-5)
    assert all(of.between_queries > of.between_rnas > 0 for of in sources)
    # equal queries differ in nothing
    pool = neural.model.pool
    with torch.no_grad():
        kept = pool.query.clone()
        pool.query.copy_(pool.query[:, :, :1, :1].expand_as(pool.query) * 0)
        flat = attention_to_sources(of_row(model, 5), reference)
        pool.query.copy_(kept)
    assert all(of.between_queries < 1e-6 and of.between_rnas < 1e-6 for of in flat)
    (note,) = attention_notes(flat)
    assert "between training RNAs 0 to 0 %" in note
    assert "no weight is shown" in note
    (note,) = attention_notes([SourceAttention("kmer", 0.5, 0.25, 0.5), sources[1]])
    assert "shown for 1 of 2 sources" in note
    assert attention_notes(()) == []


def test_shares_name_kernel_components(parts: tuple[FusionModel, ReferenceRNAs]) -> None:
    model, reference = parts
    tokens = replace(CONFIG.tokens, attention=("letters",))
    config = replace(CONFIG, tokens=tokens, fusion=replace(CONFIG.fusion, kernel_dim=2))
    families = np.arange(N)
    train = np.arange(N - 1)
    neural = fit_fusion(
        model.tokens,
        ("letters",),
        reference.labels,
        train,
        families,
        config.fusion,
        config.kernel,
        3,
    )
    one = of_row(replace(model, config=config, attention=neural), 3)
    nothing = np.zeros((0, 0), np.float32)
    ((shares, _),) = token_shares(one, [0], nothing, np.array([0.5, 0.5]))
    (share,) = (share for share in shares if share.token == "kernel_features:numbers")
    assert share.present
    assert share.masked != 0
    assert share.gradients is not None


def test_shares_and_text_name_every_part(parts: tuple[FusionModel, ReferenceRNAs]) -> None:
    model, reference = parts
    one = of_row(model, 3)
    nothing = np.zeros((0, 0), np.float32)
    ((tokens, sums),) = token_shares(one, [0], nothing, np.array([0.5, 0.5]), {"kmer": 0.25})
    assert [part.part for part in sums] == ["neural", "kernel"]
    assert [part.terms for part in sums] == ["numbers", "training RNAs"]
    assert [part.weight for part in sums] == [0.5, 0.5]
    shares = {token.token: token for token in tokens}
    assert shares["kmer"].attention == 0.25
    assert shares["letters"].attention is None
    assert shares["letters"].gradients is None
    assert shares["letters"].masked != 0
    groups, predicted = occlude_modalities(one)
    assert set(groups) == {"sequence", "disease"}
    assert len(predicted) == 3
    assert model.kernel is not None
    (kernel,) = kernel_reasons(model.kernel, one.tokens, reference, [0])
    (relations,) = relations_of(one, reference, [0])
    compartment = Compartment(
        "Nucleus",
        0.5,
        None,
        0.5,
        True,
        True,
        0.5,
        (),
        tokens,
        sums,
        (),
        (),
        None,
        relations,
        kernel,
    )
    explanation = Explanation(
        "rna3", "rna3", "", "final model", True, False, None, (compartment,), ()
    )
    text = explanation.to_text(full=True)
    assert "with it (neural logit)" in text
    assert "extra trees" not in text
    assert "neural: probability" in text
    assert "its numbers lead from" in text
    assert "kernel: probability" in text
    assert "its training RNAs lead from" in text
    assert "Graph tower: labels passed along similarities" in text
    assert "Kernel model: start" in text
    assert "most like: " in text
    head = text[text.index("strength of each head") :].splitlines()
    assert head[1].split() == ["relation", "1", "2", "3", "4"]
    assert head[3].split()[:2] == ["partners", "disease"]
    values = explanation.to_dict()
    assert values["compartments"][0]["kernel"]["nearest"]  # type: ignore[index]
