"""Kernel logistic regression: hand-worked kernels, scikit-learn's solution, masks, round trip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fusion.model_config import KernelSettings
from fusion.models import kernel as kernel_module
from fusion.models.kernel import KernelModel, fit_kernel
from fusion.models.kernel_logistic import fit_kernel_logistic
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.config import dump_toml, from_dict, to_dict
from mirnagraph.embedding.rank_kernel import RankBlock, fit_rank_block
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.nodes import NodeIndex

SETTINGS = KernelSettings(
    blocks={"expression": ("level", "profile"), "sequence": ("kmer",)},
    products=("expression*sequence",),
    penalty=0.1,
    bandwidth=1.5,
)
N_RNAS = 60
TRAIN = np.arange(45)
TEST = np.arange(45, N_RNAS)


def table(**values: np.ndarray) -> TokenTable:
    n_rnas = len(next(iter(values.values())))
    index = NodeIndex.of([f"rna-{number}" for number in range(n_rnas)], "RNA")
    return TokenTable(index, tuple(make_token(name, array) for name, array in values.items()))


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    widths = {"level": 3, "profile": 4, "kmer": 5}
    values = {name: random.normal(size=(N_RNAS, width)) for name, width in widths.items()}
    values["profile"][::7] = 0
    values["level"][::14] = 0
    return values


@pytest.fixture(scope="module")
def labels(arrays: dict[str, np.ndarray]) -> np.ndarray:
    random = np.random.default_rng(5)
    signal = arrays["level"][:, :2] + arrays["kmer"][:, :2]
    return (signal + random.normal(size=signal.shape) > 0).astype(float)


@pytest.fixture(scope="module")
def model(arrays: dict[str, np.ndarray], labels: np.ndarray) -> KernelModel:
    return fit_kernel(table(**arrays), labels, TRAIN, SETTINGS)


def test_ranks_are_the_share_below_and_half_the_share_equal() -> None:
    values = np.array([[1.0], [2.0], [2.0], [4.0]], dtype=np.float32)
    block = RankBlock(values, np.ones(4, dtype=bool), np.ones(()))
    ranks = block.ranks(np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [9.0]]))
    np.testing.assert_allclose(ranks[:, 0], [0, 1 / 8, 1 / 2, 3 / 4, 7 / 8, 1])


def test_a_column_that_is_constant_in_training_is_not_read() -> None:
    values = np.array([[1.0, 5.0], [2.0, 5.0]], dtype=np.float32)
    block = RankBlock(values, np.ones(2, dtype=bool), np.ones(()))
    assert block.ranks(np.array([[2.0, 7.0]])).tolist() == [[0.75]]


def test_kernel_by_hand() -> None:
    values = np.array([[10.0, 1.0], [20.0, 1.0], [30.0, 3.0]])
    block = fit_rank_block(values, np.ones(3, dtype=bool), bandwidth=2.0)
    # ranks: (1/6, 1/3), (1/2, 1/3), (5/6, 5/6); distances: (1/3 + 0) / 2 = 1/6,
    # (2/3 + 1/2) / 2 = 7/12 and (1/3 + 1/2) / 2 = 5/12, of mean 7/18
    assert float(block.scale) == pytest.approx(2 * 7 / 18)
    kernel = block.kernel(values, np.ones(3, dtype=bool))
    expected = np.exp(
        -np.array([[0, 1 / 6, 7 / 12], [1 / 6, 0, 5 / 12], [7 / 12, 5 / 12, 0]]) * 9 / 7
    )
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)


def test_kernel_is_0_where_either_rna_lacks_the_block() -> None:
    values = np.array([[1.0], [2.0], [99.0], [4.0]])
    present = np.array([True, True, False, True])
    block = fit_rank_block(values, present, bandwidth=1.0)
    kernel = block.kernel(np.array([[2.0], [2.0]]), np.array([True, False]))
    np.testing.assert_array_equal(kernel[1], 0)
    assert kernel[0, 2] == 0
    # ranks 1/6, 1/2, 5/6: the absent 99 is no reference; mean distance 4/9
    np.testing.assert_allclose(kernel[0, [0, 1, 3]], np.exp([-3 / 4, 0, -3 / 4]), rtol=1e-6)


def test_terms_are_averaged_and_products_multiplied() -> None:
    first = np.array([[1.0], [2.0], [3.0]])
    second = np.array([[5.0], [5.0], [9.0]])
    settings = KernelSettings({"a": ("one",), "b": ("two",)}, ("a*b",), bandwidth=1.0)
    labels = np.array([[0.0], [1.0], [1.0]])
    model = fit_kernel(table(one=first, two=second), labels, np.arange(3), settings)
    weights = np.array([[1.0], [0.0], [0.0]], dtype=np.float32)
    tokens = table(one=first, two=second)
    only_first = replace(model, dual=weights, intercept=np.full(1, 0.25, dtype=np.float32))
    # a: distances 1/3, 2/3 and 1/3, of mean 4/9; b: 0, 1/2 and 1/2, of mean 1/3
    of_a = np.exp([0, -3 / 4, -3 / 2])
    of_b = np.exp([0, 0, -3 / 2])
    expected = 0.25 + (of_a + of_b + of_a * of_b) / 3
    logits = only_first.logits(tokens, np.arange(3))[:, 0]
    np.testing.assert_allclose(logits, expected, rtol=1e-6)
    probabilities = only_first.probabilities(tokens, np.array([2]))
    np.testing.assert_allclose(probabilities, expit(logits[2:, None]))


def test_solution_is_that_of_scikit_learn_with_a_linear_kernel() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(80, 5))
    labels = (features[:, :2] + random.normal(size=(80, 2)) > 0.4).astype(float)
    penalty = 0.7
    dual, intercept = fit_kernel_logistic(features @ features.T, labels, penalty)
    for column in range(2):
        theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
        theirs.fit(features, labels[:, column])
        np.testing.assert_allclose(features.T @ dual[:, column], theirs.coef_[0], atol=1e-3)
        np.testing.assert_allclose(intercept[column], theirs.intercept_[0], atol=1e-3)


def test_damped_steps_reach_the_optimum_where_full_newton_steps_do_not() -> None:
    random = np.random.default_rng(8)
    points = random.normal(size=(120, 1))
    kernel = np.exp(-np.abs(points - points.T) / 3)
    labels = (random.random((120, 1)) < 0.03).astype(float)
    assert 0 < labels.sum() < 10
    penalty = 1e-3
    dual, intercept = fit_kernel_logistic(kernel, labels, penalty)
    residual = labels - expit(kernel @ dual + intercept)
    # at the optimum penalty * a equals the residual, and the residuals sum to 0
    np.testing.assert_allclose(penalty * dual, residual, atol=2e-3)
    assert abs(residual.sum()) < 1e-2


def test_unknown_labels_are_left_out() -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(50, 4))
    kernel = features @ features.T
    labels = (features[:, :2] + random.normal(size=(50, 2)) > 0).astype(float)
    masked = labels.copy()
    masked[30:, 1] = np.nan
    dual, intercept = fit_kernel_logistic(kernel, masked, 0.5)
    of_all, intercept_of_all = fit_kernel_logistic(kernel, labels, 0.5)
    of_known, intercept_of_known = fit_kernel_logistic(kernel[:30, :30], labels[:30], 0.5)
    np.testing.assert_array_equal(dual[:, 0], of_all[:, 0])
    np.testing.assert_array_equal(dual[:30, 1], of_known[:, 1])
    np.testing.assert_array_equal(dual[30:, 1], 0)
    assert intercept.tolist() == [intercept_of_all[0], intercept_of_known[1]]


def test_a_label_with_a_single_value_or_none_gets_its_smoothed_frequency() -> None:
    labels = np.array([[1.0, 0.0, np.nan], [1.0, np.nan, np.nan], [1.0, 0.0, np.nan]])
    dual, intercept = fit_kernel_logistic(np.eye(3), labels, 1.0)
    np.testing.assert_array_equal(dual, 0)
    np.testing.assert_allclose(intercept, [np.log(3.5 / 0.5), np.log(0.5 / 2.5), 0])


def test_any_increasing_transformation_leaves_predictions_unchanged(
    arrays: dict[str, np.ndarray], labels: np.ndarray, model: KernelModel
) -> None:
    changed = {**arrays, "kmer": np.exp(3 * arrays["kmer"]) + 1}
    tokens = table(**changed)
    again = fit_kernel(tokens, labels, TRAIN, SETTINGS)
    np.testing.assert_array_equal(
        again.probabilities(tokens, TEST), model.probabilities(table(**arrays), TEST)
    )


def test_nothing_is_read_of_rows_outside_training(
    arrays: dict[str, np.ndarray], labels: np.ndarray, model: KernelModel
) -> None:
    changed = {name: values.copy() for name, values in arrays.items()}
    for values in changed.values():
        values[TEST] *= -5
    masked = labels.copy()
    masked[TEST] = np.nan
    again = fit_kernel(table(**changed), masked, TRAIN, SETTINGS)
    np.testing.assert_array_equal(again.dual, model.dual)
    tokens = table(**arrays)
    expected = model.probabilities(tokens, TEST)
    np.testing.assert_array_equal(again.probabilities(tokens, TEST), expected)


def test_each_row_is_predicted_alone_and_an_rna_without_tokens_by_the_intercept(
    arrays: dict[str, np.ndarray], model: KernelModel
) -> None:
    together = model.probabilities(table(**arrays), TEST)
    alone = {name: values[TEST[3:5]] for name, values in arrays.items()}
    for values in alone.values():
        values[1] = 0
    probabilities = model.probabilities(table(**alone), np.arange(2))
    np.testing.assert_allclose(probabilities[0], together[3], rtol=1e-6)
    np.testing.assert_allclose(probabilities[1], expit(model.intercept.astype(float)))


def test_a_better_fit_with_a_lower_penalty(
    arrays: dict[str, np.ndarray], labels: np.ndarray, model: KernelModel
) -> None:
    tokens = table(**arrays)
    strong = fit_kernel(tokens, labels, TRAIN, replace(SETTINGS, penalty=10.0))

    def loss(fitted: KernelModel) -> float:
        return float(np.abs(labels[TRAIN] - fitted.probabilities(tokens, TRAIN)).mean())

    assert loss(model) < loss(strong) < 0.5
    spread = strong.probabilities(tokens, TEST).std(axis=0)
    assert (spread < model.probabilities(tokens, TEST).std(axis=0)).all()


def test_a_block_that_no_training_rna_has_adds_nothing(
    arrays: dict[str, np.ndarray], labels: np.ndarray
) -> None:
    empty = np.zeros((N_RNAS, 2))
    empty[TEST] = 1.5
    tokens = table(**arrays, rare=empty)
    settings = replace(SETTINGS, blocks={**SETTINGS.blocks, "rare": ("rare",)})
    model = fit_kernel(tokens, labels, TRAIN, settings)
    absent = table(**arrays, rare=np.zeros((N_RNAS, 2)))
    expected = model.probabilities(absent, TEST)
    np.testing.assert_array_equal(model.probabilities(tokens, TEST), expected)


def test_arrays_round_trip(arrays: dict[str, np.ndarray], model: KernelModel) -> None:
    stored = model.to_arrays()
    assert stored["kernel.dual"].dtype == np.float32
    assert stored["kernel.0.values"].shape == (len(TRAIN), 7)
    restored = KernelModel.from_arrays(stored, SETTINGS)
    tokens = table(**arrays)
    expected = model.probabilities(tokens, TEST)
    np.testing.assert_array_equal(restored.probabilities(tokens, TEST), expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.dual", np.zeros(45, dtype=np.float32)),
        ("kernel.dual", np.zeros((44, 2), dtype=np.float32)),
        ("kernel.dual", np.full((45, 2), np.nan, dtype=np.float32)),
        ("kernel.intercept", np.zeros(3, dtype=np.float32)),
        ("kernel.0.values", np.zeros((45, 7), dtype=np.int64)),
        ("kernel.0.values", np.zeros((44, 7), dtype=np.float32)),
        ("kernel.1.values", np.full((45, 5), np.inf, dtype=np.float32)),
        ("kernel.1.present", np.ones(44, dtype=np.uint8)),
        ("kernel.1.scale", np.zeros(())),
        ("kernel.1.scale", np.ones(2)),
    ],
)
def test_damaged_arrays(model: KernelModel, name: str, value: np.ndarray) -> None:
    arrays = {**model.to_arrays(), name: value}
    with pytest.raises(CheckpointError, match=r"the kernel model is damaged; expected"):
        KernelModel.from_arrays(arrays, SETTINGS)


def test_missing_array(model: KernelModel) -> None:
    arrays = model.to_arrays()
    del arrays["kernel.1.values"]
    with pytest.raises(CheckpointError, match=r"lacks an array; found 'kernel\.1\.values'"):
        KernelModel.from_arrays(arrays, SETTINGS)


def test_tokens_of_another_width(arrays: dict[str, np.ndarray], model: KernelModel) -> None:
    tokens = table(**{**arrays, "kmer": arrays["kmer"][:, :3]})
    with pytest.raises(CheckpointError, match=r"'sequence'.*found width 3, expected width 5"):
        model.probabilities(tokens, TEST)
    tokens = table(level=arrays["level"], kmer=arrays["kmer"])
    with pytest.raises(ConfigError, match="no token 'profile'; available: level, kmer"):
        model.probabilities(tokens, TEST)


def test_settings_from_plain_values_and_back() -> None:
    assert from_dict(KernelSettings, to_dict(SETTINGS)) == SETTINGS
    assert 'products = [\n    "expression*sequence",\n]' in dump_toml(SETTINGS)
    assert SETTINGS.tokens == ("level", "profile", "kmer")
    assert SETTINGS.terms == (("expression",), ("sequence",), ("expression", "sequence"))
    assert KernelSettings().blocks == {}


def test_a_block_without_tokens_is_left_out_with_its_products() -> None:
    def without_expression(names: tuple[str, ...]) -> list[str]:
        return [f"{name}:x" for name in names if name == "kmer"]

    resolved = SETTINGS.with_tokens(without_expression)
    expected = KernelSettings({"sequence": ("kmer:x",)}, (), penalty=0.1, bandwidth=1.5)
    assert resolved == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"penalty": 0.0}, "setting 'penalty' is 0.0, expected above 0"),
        ({"bandwidth": -1.0}, "setting 'bandwidth' is -1.0, expected above 0"),
        ({"products": ("expression*protein",)}, "available: expression, sequence"),
        ({"products": ("expression",)}, r"'expression', expected blocks joined by '\*'"),
        ({"blocks": {"a": ()}, "products": ()}, r"'blocks\.a' is \(\), expected at least one"),
        ({"blocks": {"a*b": ("kmer",)}, "products": ()}, r"'a\*b', expected names without"),
    ],
)
def test_bad_settings(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SETTINGS, **changes)


def test_bad_training_rows(
    arrays: dict[str, np.ndarray], labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = table(**arrays)
    with pytest.raises(ConfigError, match="no block of tokens"):
        fit_kernel(tokens, labels, TRAIN, KernelSettings())
    with pytest.raises(ConfigError, match="have 0 training RNAs, expected 1 to 5000"):
        fit_kernel(tokens, labels, TRAIN[:0], SETTINGS)


def test_of_too_many_training_rows_some_are_read(
    arrays: dict[str, np.ndarray],
    labels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(kernel_module, "MAX_ROWS", 30)
    tokens = table(**arrays)
    model = fit_kernel(tokens, labels, TRAIN, SETTINGS)
    assert "reads 30 of 45 training RNAs" in caplog.text
    rows = kernel_module.kernel_rows(TRAIN)
    assert len(rows) == len(set(rows)) == len(model.dual) == 30
    assert set(rows) < set(TRAIN)
    assert (np.diff(rows) > 0).all()
    same = fit_kernel(tokens, labels, rows, SETTINGS)
    assert (model.dual == same.dual).all()
    assert (kernel_module.kernel_rows(TRAIN[:30]) == TRAIN[:30]).all()


def test_error_of_landmarks_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank one: nothing is left. Unit matrix: a row says nothing of another, all is left."""
    values = np.arange(1.0, 9)
    assert kernel_module.landmark_error(np.outer(values, values)) < 1e-12
    assert kernel_module.landmark_error(np.eye(8)) == pytest.approx(1)
    pair = np.array([[2.0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    monkeypatch.setattr(
        kernel_module,
        "generator",
        lambda *_: type("", (), {"permutation": lambda _, n: np.arange(n)})(),
    )
    # one other, of norm 2, through one row with 1: 2 - 1 * (1 / 2) * 1 = 1.5
    assert kernel_module.landmark_error(pair) == pytest.approx(1.5 / 2)
