"""Numbers of whole RNAs: blocks, training rows alone, round trip, settings."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError
from seqtower.encoders.whole import (
    FittedWhole,
    WholeConfig,
    fit_whole,
    read_whole,
    whole_numbers,
)

SEQUENCES = ["ACGU" * n + "A" * (n % 5) for n in range(10, 40)]
CONFIG = WholeConfig(("length", "words"), components=4, landmarks=20)


def test_blocks_by_hand() -> None:
    numbers = whole_numbers(["AACC", "G"], WholeConfig(("words", "length")))
    assert list(numbers) == ["words", "length"]
    np.testing.assert_allclose(numbers["length"][:, 0], [np.log(4), 0], rtol=1e-6)
    assert numbers["words"].shape == (2, 4 + 16 + 64 + 256)
    np.testing.assert_allclose(numbers["words"][0, :4], [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(numbers["words"][1, :4], [0, 0, 1, 0])


def test_circles_have_junctions() -> None:
    sequences = ["ACGUACGUACGUACGUACGUACGU"] * 2
    config = WholeConfig(("descriptors",))
    circles = whole_numbers(sequences, config, types=["circRNA"] * 2)["descriptors"]
    lines = whole_numbers(sequences, config)["descriptors"]
    assert circles.shape[1] > lines.shape[1]


def test_components_are_fitted_on_training_rows_alone() -> None:
    numbers = whole_numbers(SEQUENCES, CONFIG)
    rows = np.arange(25)
    fitted = fit_whole(numbers, rows, CONFIG, seed=3)
    changed = {name: values.copy() for name, values in numbers.items()}
    for values in changed.values():
        values[25:] += 5
    again = fit_whole(changed, rows, CONFIG, seed=3)
    first, second = fitted(numbers), again(numbers)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first, second)
    assert first.shape == (30, sum(fitted.widths))
    assert all(len(kernel.values) == 20 for kernel in fitted.kernels.values())
    other = fit_whole(numbers, rows, CONFIG, seed=4)(numbers)
    assert other is not None
    assert not np.array_equal(first, other)


def test_leading_component_of_length_follows_length() -> None:
    config = WholeConfig(("length",), components=1)
    numbers = whole_numbers(SEQUENCES, config)
    found = fit_whole(numbers, np.arange(len(SEQUENCES)), config, seed=0)(numbers)
    assert found is not None
    assert abs(np.corrcoef(found[:, 0], numbers["length"][:, 0])[0, 1]) > 0.9


def test_round_trip_and_damage() -> None:
    numbers = whole_numbers(SEQUENCES, CONFIG)
    fitted = fit_whole(numbers, np.arange(30), CONFIG, seed=0)
    arrays = fitted.to_arrays()
    restored = read_whole(arrays, CONFIG)
    first, second = fitted(numbers), restored(numbers)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first, second)
    for name in arrays:
        with pytest.raises((KeyError, ValueError)):
            read_whole({key: value for key, value in arrays.items() if key != name}, CONFIG)
    cut = dict(arrays)
    cut["whole.1.mean_of_components"] = cut["whole.1.mean_of_components"][:-1]
    with pytest.raises(ValueError, match="damaged in the block 'words'"):
        read_whole(cut, CONFIG)


def test_without_a_block_there_is_nothing_to_read() -> None:
    fitted = FittedWhole(WholeConfig(), {}, {})
    assert fitted({}) is None
    assert fitted.widths == ()


@pytest.mark.parametrize("blocks", [("kmers",), ("words", "words")])
def test_unknown_or_repeated_blocks_are_refused(blocks: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="blocks"):
        WholeConfig(blocks)
