"""Nearest sequences in blocks: equal to the dense way, by hand, resumed, damaged, refused."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.runs import cluster
from mirnagraph.seeds import generator
from mirnagraph.similarity import nearest
from mirnagraph.similarity.best import Keep, join_nearest
from mirnagraph.similarity.nearest import nearest_sequences, sequence_neighbours
from mirnagraph.similarity.smith_waterman import smith_waterman, smith_waterman_network

TEXT = st.one_of(st.none(), st.text("ACGUN", min_size=1, max_size=12))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "BLOCK", 16)


def rnas(n: int, seed: int = 0) -> list[str | None]:
    """Sequences with repeats, N, DNA letters, lower case and unknown ones among them."""
    rng = generator(seed, "rnas")
    drawn = ["".join(rng.choice(list("ACGU"), rng.integers(5, 40))) for _ in range(n)]
    given_twice = [drawn[3], drawn[3].lower().replace("u", "t"), drawn[10], "NNN", None]
    mixed: list[str | None] = [*drawn, *given_twice]
    return [mixed[place] for place in rng.permutation(len(mixed))]


def assert_equal(found, expected) -> None:
    assert found.shape == expected.shape
    assert (found != expected).nnz == 0
    assert found.nnz == expected.nnz


def test_by_hand() -> None:
    """ACGU to ACG: 15 / sqrt(20 * 15); to CG: 10 / sqrt(200); ACG to CG: 10 / sqrt(150)."""
    found = nearest_sequences(["ACGU", "ACG", "CG", None], 1).toarray()
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 15 / np.sqrt(300)
    # the nearest of CG is ACG; that of ACG is ACGU
    expected[1, 2] = expected[2, 1] = 10 / np.sqrt(150)
    np.testing.assert_allclose(found, expected)


def test_of_equally_similar_ones_the_earlier_row_comes_first() -> None:
    """Row 0 is as similar to rows 1, 2 and 3, of which 1 and 3 are equal."""
    found = nearest_sequences(["CCAAAACC", "AAAA", "CCCC", "AAAA"], 1).toarray()
    # rows 1 and 3 have each other; row 2 is nearest to row 0, which takes row 1 before it
    assert sorted(map(tuple, np.argwhere(np.triu(found)).tolist())) == [(0, 1), (0, 2), (1, 3)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 3, 20, 500])
def test_equal_to_the_dense_way(k: int) -> None:
    sequences = rnas(60)
    assert_equal(nearest_sequences(sequences, k), top_k(smith_waterman(sequences), k))


@given(st.lists(TEXT, max_size=12), st.integers(1, 4))
def test_equal_to_the_dense_way_for_any_sequences(sequences: list[str | None], k: int) -> None:
    assert_equal(nearest_sequences(sequences, k), top_k(smith_waterman(sequences), k))


@pytest.mark.usefixtures("small_blocks")
def test_above_a_similarity() -> None:
    sequences = rnas(60)
    dense = smith_waterman(sequences)
    expected = top_k(dense, 3).multiply(cut_off(dense, 0.5, weighted=False))
    assert 0 < expected.nnz < top_k(dense, 3).nnz
    assert_equal(nearest_sequences(sequences, 3, min_score=0.5), expected)


@pytest.mark.usefixtures("small_blocks")
def test_a_killed_call_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = rnas(60)
    aligned: list[nearest.Block] = []
    align_block = nearest._align_block

    def counted(work, block):
        aligned.append(block)
        return align_block(work, block)

    def killed(work, block):
        if len(aligned) == 4:
            raise KeyboardInterrupt
        return counted(work, block)

    monkeypatch.setattr(nearest, "_align_block", killed)
    with pytest.raises(KeyboardInterrupt):
        nearest_sequences(sequences, 3, store=tmp_path / "store")
    monkeypatch.setattr(nearest, "_align_block", counted)
    steps: list[tuple[int, int]] = []
    found = nearest_sequences(
        sequences,
        3,
        store=tmp_path / "store",
        progress=lambda _, done, total: steps.append((done, total)),
    )
    assert_equal(found, top_k(smith_waterman(sequences), 3))
    n_blocks = 4 * 5 // 2  # 61 different sequences make four sides
    assert len(aligned) == len(set(aligned)) == n_blocks
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1]


@pytest.mark.usefixtures("small_blocks")
def test_a_cut_block_is_aligned_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sequences = rnas(60)
    nearest_sequences(sequences, 3, store=tmp_path)
    file = tmp_path / "block_16_32.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        found = nearest_sequences(sequences, 3, store=tmp_path)
    assert_equal(found, top_k(smith_waterman(sequences), 3))
    assert f"{file} is damaged; its block is computed again" in caplog.text


def test_a_store_of_other_sequences_is_refused(tmp_path: Path) -> None:
    nearest_sequences(["ACGU", "ACG"], 3, store=tmp_path / "store")
    for sequences, k in ((["ACGU", "ACC"], 3), (["ACGU", "ACG"], 4), (["ACG", "ACGU"], 3)):
        with pytest.raises(InputError, match="of other sequences or settings"):
            nearest_sequences(sequences, k, store=tmp_path / "store")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        nearest_sequences(["ACGU", "ACG"], 3, store=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_two_processes_find_the_same() -> None:
    sequences = rnas(60)
    assert_equal(nearest_sequences(sequences, 3, workers=2), nearest_sequences(sequences, 3))


def test_bad_settings_and_sequences() -> None:
    with pytest.raises(ConfigError, match="top_k"):
        nearest_sequences(["ACGU"], 0)
    with pytest.raises(ConfigError, match="min_score"):
        nearest_sequences(["ACGU"], 1, min_score=1.0)
    with pytest.raises(InputError, match="sequence 1"):
        nearest_sequences(["ACGU", "AC*U"], 1)
    assert nearest_sequences([], 3).shape == (0, 0)
    assert nearest_sequences([None, "NN"], 3).nnz == 0


@pytest.mark.usefixtures("small_blocks")
def test_all_pairs_above_a_similarity() -> None:
    sequences = rnas(60)
    dense = smith_waterman(sequences)
    found = sequence_neighbours(sequences, Keep(2, above=0.2)).above
    assert found is not None
    assert_equal(found, cut_off(dense, 0.2))
    assert found.nnz > 2 * top_k(dense, 2).nnz
    single = sequence_neighbours(sequences, Keep(2, above=0.2, single=True))
    assert single.above is not None
    assert_equal(single.above, cut_off(dense.astype(np.float32), 0.2))
    assert_equal(join_nearest(single.nearest, 2), top_k(dense.astype(np.float32), 2))


@pytest.mark.usefixtures("small_blocks")
def test_pairs_above_are_in_the_store_too(tmp_path: Path) -> None:
    sequences = rnas(60)
    first = sequence_neighbours(sequences, Keep(2, above=0.4), store=tmp_path)
    again = sequence_neighbours(sequences, Keep(2, above=0.4), store=tmp_path)
    assert_equal(first.above, again.above)
    assert_equal(first.nearest, again.nearest)
    with pytest.raises(InputError, match="of other sequences or settings"):
        sequence_neighbours(sequences, Keep(2, above=0.5), store=tmp_path)


@pytest.mark.usefixtures("small_blocks")
def test_an_altered_block_is_aligned_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sequences = rnas(60)
    nearest_sequences(sequences, 3, store=tmp_path)
    file = tmp_path / "block_16_32.safetensors"
    content = bytearray(file.read_bytes())
    content[-20] ^= 1  # a number, not the header
    file.write_bytes(bytes(content))
    with caplog.at_level(logging.WARNING):
        found = nearest_sequences(sequences, 3, store=tmp_path)
    assert_equal(found, top_k(smith_waterman(sequences), 3))
    assert f"{file} is damaged; its block is computed again" in caplog.text


@pytest.mark.usefixtures("small_blocks")
def test_a_full_disk_keeps_finished_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = rnas(60)
    written = 0
    write_bytes = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device") as caught:
        nearest_sequences(sequences, 3, store=tmp_path / "store")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert len(list((tmp_path / "store").glob("block_*.safetensors"))) == 3
    found = nearest_sequences(sequences, 3, store=tmp_path / "store")
    assert_equal(found, top_k(smith_waterman(sequences), 3))


def test_a_network_with_names() -> None:
    """As `test_by_hand`, of which the similarity 10 / sqrt(150) is not above 0.85."""
    network = smith_waterman_network(["ACGU", "ACG", "CG", None], 1, 0.85, ids=list("abcd"))
    assert (network.name, network.rnas.ids, network.is_similarity) == (
        "sequence",
        ("a", "b", "c", "d"),
        True,
    )
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 15 / np.sqrt(300)
    np.testing.assert_allclose(network.matrix.toarray(), expected)
    assert smith_waterman_network(["ACGU", "ACG"]).rnas.ids == ("0", "1")
    sequences = rnas(30)
    made = smith_waterman_network(sequences, 4).matrix
    assert_equal(made, top_k(smith_waterman(sequences), 4))


def test_a_network_of_bad_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="top_k"):
        smith_waterman_network(["ACGU"], 0)
    with pytest.raises(ConfigError, match="min_score"):
        smith_waterman_network(["ACGU"], 1, 1.0)
    with pytest.raises(InputError, match="does not fit its names"):
        smith_waterman_network(["ACGU", "ACG"], ids=["a"])
    pytest.importorskip("distributed", reason="the extra scale is not installed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:1'"):
        smith_waterman_network(["ACGU", "ACG"], scheduler="tcp://127.0.0.1:1")
