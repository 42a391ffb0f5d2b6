"""Packed arrays: every bit, type and shape comes back; small files ask for little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hypothesis.extra.numpy as np_strategies
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mirnagraph.runs.arrays import PACKED, load_arrays, save_arrays


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


def round_trip(arrays: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    save_arrays(arrays, folder / "a.safetensors", {"more": "text"})
    return load_arrays(folder / "a.safetensors")


def test_every_bit_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    zeros = rng.normal(size=(300, 8)).astype(np.float32)
    zeros[rng.random(300) < 0.5] = 0
    negative = zeros.copy()
    negative[negative.any(axis=1)] = -0.0
    with_nan = np.where(rng.random((40, 40)) < 0.5, np.nan, 1.0)
    arrays = {
        "noise": rng.normal(size=(50, 40)),
        "again": rng.normal(size=(50, 40)).astype(np.float32),
        "bits": rng.integers(0, 2, (200, 30)).astype(np.float32),
        "zeros": zeros,
        "copy": zeros.copy(),
        "negative": negative,
        "nan": with_nan,
        "numbers": np.arange(-400, 400, dtype=np.int32),
        "large": np.arange(2**40, 2**40 + 300, dtype=np.int64),
        "scalar": np.float64(3.25),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "flags": rng.random(5000) < 0.5,
    }
    found = round_trip(arrays, tmp_path)
    assert list(found) == list(arrays) or set(found) == set(arrays)
    for name, values in arrays.items():
        assert same_bits(found[name], np.asarray(values)), name
    stored = load_file(tmp_path / "a.safetensors")
    assert stored["bits"].dtype == np.uint8
    assert stored["nan"].dtype == np.float16
    assert stored["numbers"].dtype == np.int16
    assert len(stored["zeros"]) == int(zeros.any(axis=1).sum())
    assert "copy" not in stored


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=np_strategies.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.int64]), (70, 8)
    )
)
def test_any_matrix_comes_back(tmp_path: Path, values: np.ndarray) -> None:
    found = round_trip({"one": values, "two": values.copy()}, tmp_path)
    assert same_bits(found["one"], values)
    assert same_bits(found["two"], values)


def test_equal_arrays_make_equal_files(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np; from pathlib import Path;"
        "from mirnagraph.runs.arrays import save_arrays;"
        "save_arrays({'b': np.ones((50, 50)), 'a': np.eye(50)}, Path(sys.argv[1]), {'x': 'y'})"
    )
    files = [tmp_path / f"{number}.safetensors" for number in range(4)]
    for file in files:
        subprocess.run([sys.executable, "-c", program, str(file)], check=True)
    assert len({file.read_bytes() for file in files}) == 1


def test_files_of_before_are_read_as_they_are(tmp_path: Path) -> None:
    values = np.ones((40, 40), dtype=np.float32)
    save_file({"a": values}, tmp_path / "old.safetensors")
    assert same_bits(load_arrays(tmp_path / "old.safetensors")["a"], values)


@pytest.mark.parametrize(
    "how",
    [
        {"a": {"rows": 10**12}},
        {"a": {"rows": 400}},
        {"a": {"rows": -1}},
        {"a": {"dtype": "object"}},
        {"a": {"dtype": "float32"}},
        {"b": {"same": "nothing"}},
        {"a": 3},
        [],
    ],
)
def test_a_damaged_description_is_named(tmp_path: Path, how: object) -> None:
    arrays = {"a": np.zeros((0, 2**20), dtype=np.float32), "a.rows": np.zeros(50, dtype=np.uint8)}
    arrays[PACKED] = np.frombuffer(json.dumps(how).encode(), dtype=np.uint8)
    save_file(arrays, tmp_path / "a.safetensors")
    with pytest.raises(SafetensorError, match="packed arrays"):
        load_arrays(tmp_path / "a.safetensors")
