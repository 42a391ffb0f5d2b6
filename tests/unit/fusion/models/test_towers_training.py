"""Training of the fusion of two towers: leakage, determinism, unknown labels, small sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion.model_config import FusionConfig, KernelSettings
from fusion.models import towers_training
from fusion.models.kernel_features import fit_kernel_features
from fusion.models.towers import PRESENCE, TwoTowerFusion
from fusion.models.towers_training import TrainedFusion, fit_fusion, model_inputs
from fusion.models.training import masked_loss
from fusion.tokens.nearest import nearest_tokens
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import torch_scope

CONFIG = FusionConfig(
    dim=4, n_heads=2, n_queries=2, hidden=4, n_members=2, bins=2, graph_heads=1,
    kernel_dim=3, sequence_settings={"filters": 2, "kernel": 3}, epochs=2, n_batches=2,
)  # fmt: skip
KERNELS = KernelSettings({"kmer": ("kmer",), "disease": ("profile:disease",)}, ("kmer*disease",))
N_RNAS = 14
TRAIN = np.arange(10)
ROWS = np.arange(N_RNAS)
GROUPS = np.arange(N_RNAS) // 2
INDEX = NodeIndex.of([f"rna-{number}" for number in ROWS], "RNA")


def tokens_for(train: np.ndarray = TRAIN, *, is_related: bool = True) -> TokenTable:
    """Numbers, similar RNAs, partners and nucleotides; the last RNA has none of them."""
    random = np.random.default_rng(3)
    similarity = random.random((N_RNAS, N_RNAS)) * (random.random((N_RNAS, N_RNAS)) < 0.6)
    similarity = np.maximum(similarity, similarity.T) * is_related
    numbers = random.normal(size=(N_RNAS, 3))
    partners = (random.random((N_RNAS, 4)) < 0.4).astype(float)
    letters = random.integers(0, 11, size=(N_RNAS, 5))
    for array in (similarity, similarity.T, numbers, partners, letters):
        array[-1] = 0
    table = TokenTable(
        INDEX,
        (
            make_token("kmer", numbers),
            make_token("profile:disease", partners),
            make_token(
                "letters", np.sort(letters > 0, axis=1)[:, ::-1] * letters.max(axis=1)[:, None]
            ),
        ),
    )
    return table + nearest_tokens(INDEX, {"sequence": similarity}, train, 3)


def labels_of() -> np.ndarray:
    labels = (np.random.default_rng(5).random((N_RNAS, 3)) < 0.4).astype(float)
    labels[:4] = [[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 1]]
    return labels


def fit(
    labels: np.ndarray,
    config: FusionConfig = CONFIG,
    seed: int = 0,
    train: np.ndarray = TRAIN,
    tokens: TokenTable | None = None,
) -> TrainedFusion:
    tokens = tokens if tokens is not None else tokens_for(train)
    names = tuple(tokens.sources)
    return fit_fusion(tokens, names, labels, train, GROUPS, config, KERNELS, seed)


@pytest.fixture(scope="module")
def trained() -> TrainedFusion:
    return fit(labels_of())


def test_labels_outside_training_reach_nothing(trained: TrainedFusion) -> None:
    expected = trained.probabilities(tokens_for(), ROWS)
    assert expected.shape == (2, N_RNAS, 3)
    assert expected.dtype == np.float64
    for value in (np.nan, 0.0, 1.0):
        labels = labels_of()
        labels[~np.isin(ROWS, TRAIN)] = value
        found = fit(labels).probabilities(tokens_for(), ROWS)
        np.testing.assert_array_equal(found, expected)


def test_tokens_outside_training_reach_no_weight(trained: TrainedFusion) -> None:
    changed = []
    for token in tokens_for():
        values = token.values.copy()
        values[len(TRAIN) :] = values[:1]
        changed.append(make_token(token.name, values))
    again = fit(labels_of(), tokens=TokenTable(INDEX, tuple(changed)))
    expected = trained.probabilities(tokens_for(), ROWS)
    graph = again.model.graph
    assert graph is not None
    # the profiles of all RNAs are stored, but shares are of RNAs with visible labels
    np.testing.assert_array_equal(again.probabilities(tokens_for(), ROWS), expected)


def test_its_own_label_does_not_reach_its_logit_in_the_step_that_trains_on_it(
    trained: TrainedFusion,
) -> None:
    model = trained.model
    assert model.graph is not None
    labels = model.graph.get_buffer("labels")
    inputs = trained.inputs(tokens_for(), TRAIN)
    reached = []
    for row in TRAIN:
        hidden = torch.tensor([row])
        with torch.no_grad():
            before = model(inputs, hidden)[0]
            labels[row] = 1 - labels[row]
            after = model(inputs, hidden)[0]
            labels[row] = 1 - labels[row]
        assert torch.equal(after[:, row], before[:, row])
        reached += (after != before).any(dim=2).any(dim=0).nonzero()[:, 0].tolist()
    assert set(reached) == set(TRAIN)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(trained: TrainedFusion) -> None:
    state = torch.get_rng_state()
    again = fit(labels_of())
    assert torch.equal(torch.get_rng_state(), state)
    expected = trained.probabilities(tokens_for(), ROWS)
    np.testing.assert_array_equal(again.probabilities(tokens_for(), ROWS), expected)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    np.testing.assert_array_equal(fit(labels_of()).probabilities(tokens_for(), ROWS), expected)
    other = fit(labels_of(), seed=1).probabilities(tokens_for(), ROWS)
    assert (other != expected).all()


def test_unknown_labels_are_trained_around() -> None:
    labels = labels_of()
    labels[2:6, 0] = np.nan
    labels[3] = np.nan
    fitted = fit(labels)
    assert np.isfinite(fitted.probabilities(tokens_for(), ROWS)).all()
    ((first, _), (second, _)) = [entry[1:] for entry in fitted.history[0]]
    assert np.isfinite([first, second]).all()
    assert [entry[0] for entry in fitted.history[0]] == [0, 1]


def test_compartments_with_one_positive_with_none_and_without_labels() -> None:
    labels = np.zeros((N_RNAS, 3))
    labels[2, 0] = 1
    labels[:, 2] = np.nan
    probabilities = fit(labels).probabilities(tokens_for(), ROWS)
    assert np.isfinite(probabilities).all()
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_an_rna_without_tokens_and_relations_without_edges() -> None:
    tokens = tokens_for(is_related=False)
    assert not tokens["nearest:sequence"].present.any()
    fitted = fit(labels_of(), tokens=tokens)
    assert np.isfinite(fitted.probabilities(tokens, ROWS)).all()
    attention = fitted.attention(tokens, ROWS)
    assert attention.shape == (N_RNAS, 2, 8)
    assert fitted.model.sources[-1] == PRESENCE
    assert attention[-1].tolist() == [[0] * 7 + [1]] * 2
    assert not attention[:, :, fitted.model.sources.index("nearest:sequence")].any()
    assert attention[0, 0, fitted.model.sources.index("kernel_features:kmer")] > 0


@pytest.mark.parametrize(
    ("n_train", "epochs", "n_batches"), [(3, 2, 8), (1, 1, 4), (10, 5, 1), (10, 1, 5)]
)
def test_few_rows_and_few_steps(n_train: int, epochs: int, n_batches: int) -> None:
    config = replace(CONFIG, epochs=epochs, n_batches=n_batches)
    train = TRAIN[:n_train]
    fitted = fit(labels_of(), config, train=train)
    assert np.isfinite(fitted.probabilities(tokens_for(train), ROWS)).all()
    assert len(fitted.history[0]) == epochs


@pytest.mark.parametrize(
    ("n_batches", "largest", "expected"), [(1, 4, 3), (1, 5, 2), (4, 5, 4), (99, 5, 10)]
)
def test_batches_of_an_epoch_are_at_most_so_large_and_no_more_than_rnas(
    monkeypatch: pytest.MonkeyPatch, n_batches: int, largest: int, expected: int
) -> None:
    monkeypatch.setattr(towers_training, "MAX_BATCH", largest)
    n_steps: list[int] = []
    made = towers_training._optimizer
    monkeypatch.setattr(
        towers_training, "_optimizer", lambda *given: n_steps.append(given[2]) or made(*given)
    )
    fit(labels_of(), replace(CONFIG, n_batches=n_batches, epochs=1))
    assert n_steps == [expected]


def test_the_learning_rate_rises_for_a_fifth_of_the_steps_or_two() -> None:
    model = TwoTowerFusion({"kmer": 3}, 3, replace(CONFIG, learning_rate=0.5), N_RNAS)
    for n_steps, highest in ((100, 19), (4, 1)):
        config = replace(CONFIG, learning_rate=0.5)
        optimizer, schedule = towers_training._optimizer(model, config, n_steps)
        rates = []
        for _ in range(n_steps):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        assert int(np.argmax(rates)) == highest
        assert max(rates) == pytest.approx(0.5)


def test_attention_is_one_row_per_query_and_a_share_of_each_source(trained: TrainedFusion) -> None:
    weights = trained.attention(tokens_for(), ROWS)
    assert weights.shape == (N_RNAS, CONFIG.n_queries, len(trained.model.sources))
    np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-5)


def test_loss_of_the_first_step_is_that_of_smoothed_labels_without_its_own() -> None:
    config = replace(
        CONFIG, epochs=1, n_batches=1, label_smoothing=0.1, input_dropout=0.0, dropout=0.0,
        graph_dropout=0.0, family_dropout=0.0,
        sequence_settings={"filters": 2, "kernel": 3, "dropout": 0.0},
    )  # fmt: skip
    tokens = tokens_for()
    labels = labels_of()
    labels[~np.isin(ROWS, TRAIN)] = np.nan
    ((_, loss, validation),) = fit(labels, config).history[0]
    features = fit_kernel_features(tokens, TRAIN, KERNELS, config.kernel_dim)
    with torch_scope(0, "weights and dropout"):
        model = TwoTowerFusion({**features.widths, **tokens.sources}, 3, config, N_RNAS)
        model.fit_inputs(tokens, TRAIN, labels)
    rows = torch.from_numpy(TRAIN)
    logits, _ = model(model_inputs(model, features, tokens, TRAIN), rows)
    # 1 becomes 0.95 and 0 becomes 0.05
    target = torch.from_numpy(np.where(labels[TRAIN] == 1, 0.95, 0.05)).float()
    expected = masked_loss(logits, target.expand_as(logits))
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    assert np.isnan(validation)


def test_training_lowers_the_loss() -> None:
    config = replace(
        CONFIG, epochs=15, n_batches=1, learning_rate=0.1, dim=8, hidden=8, input_dropout=0.0,
        dropout=0.0, graph_dropout=0.0, family_dropout=0.0,
    )  # fmt: skip
    history = fit(labels_of(), config).history[0]
    assert history[-1][1] < 0.9 * history[0][1]


def test_probabilities_are_those_of_averaged_weights() -> None:
    slow = fit(labels_of(), replace(CONFIG, averaging=0.999, learning_rate=0.05))
    fast = fit(labels_of(), replace(CONFIG, averaging=0.0, learning_rate=0.05))
    start = fit(labels_of(), replace(CONFIG, epochs=1, n_batches=1, learning_rate=1e-9))

    def distance(one: TrainedFusion, other: TrainedFusion) -> float:
        pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
        return float(sum((a - b).detach().abs().sum() for a, b in pairs))

    assert distance(slow, start) < distance(fast, start)
    assert not slow.model.training
