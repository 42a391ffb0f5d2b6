"""Encoder of the TIS Transformer: patches, cache, weights; values of the published network."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.io import sha256_of
from seqtower.config import seq_config
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders import tis, tis_weights
from seqtower.encoders.base import (
    EncoderConfig,
    check_encoder,
    fit_encoding,
    read_encoding,
    warm_up,
)
from seqtower.encoders.tis import Tis, TisConfig, embed, patch_letters, pool, rna_tokens
from seqtower.encoders.tis_weights import (
    SHIPPED,
    SHIPPED_SHA256,
    frozen_tis,
    load_tis,
    network_name,
    weights_file,
)
from seqtower.interpret.attribution import attribute
from seqtower.saved import SavedTower, load_tower, save_tower
from seqtower.towers.base import TowerConfig, make_tower
from seqtower.towers.rnatracker import RNATrackerConfig

UNIT = "AUGGCUUACGGAUCCNACGU"
PATCHED = EncoderConfig("tis", TisConfig(patch=8))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def n_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the RNAs that the network reads, in order."""
    lengths: list[int] = []
    embed_batch = tis._embed_batch

    def counted(rnas, network):
        lengths.extend(len(rna) for rna in rnas)
        return embed_batch(rnas, network)

    monkeypatch.setattr(tis, "_embed_batch", counted)
    return lengths


def hidden_values(rna: str, **settings) -> np.ndarray:
    ((_, hidden, _),) = embed([rna], frozen_tis(), TisConfig(**settings))
    return hidden


# --- the shipped weights -----------------------------------------------------------------------


def test_the_weights_that_ship_are_those_of_the_pinned_hash(project: Path) -> None:
    file = project / "seqtower" / "weights" / SHIPPED
    assert weights_file("") == file
    assert sha256_of(file) == SHIPPED_SHA256
    assert check_encoder(EncoderConfig("tis")) == SHIPPED_SHA256
    text = (file.parent / "LICENSE.tis").read_text()
    for words in ("TRISTAN-ORF/TRISTAN", "transcript-transformer 1.1.1", "Permission is hereby"):
        assert words in text
    assert SHIPPED_SHA256 in (file.parent / "README.md").read_text()


def test_the_weights_go_into_the_wheel(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["seqtower"]
    listed: set[Path] = set()
    for pattern in patterns:
        listed |= set((project / "seqtower").glob(pattern))
    names = {path.name for path in listed}
    assert {SHIPPED, "LICENSE.tis", "README.md"} <= names
    assert "seqtower/weights/LICENSE.tis" in settings["project"]["license-files"]


def test_published_check_values() -> None:
    ((_, hidden, logits),) = embed([UNIT * 30], frozen_tis(), TisConfig())
    assert hidden.shape == (600, 48)
    expected = [-33.1477, 36.3259, 313.6604, 21.1041]
    np.testing.assert_allclose(hidden.mean(axis=0)[:4], expected, atol=5e-4)
    scores = 1 / (1 + np.exp(-logits[[0, 300]]))
    np.testing.assert_allclose(scores, [0.573539, 0.004288], atol=2e-6)


def test_the_network_has_every_tensor_of_the_file() -> None:
    network = load_tis()
    assert sum(parameter.numel() for parameter in network.parameters()) == 356258
    assert not network.training
    stored = load_file(weights_file(""))
    matrix = stored["transformer.net.layers.5.0.fn.fast_attention.projection_matrix"]
    assert torch.equal(network.get_buffer("layers.5.projection_matrix"), matrix)
    norm = stored["transformer.net.layers.2.1.norm.weight"]
    assert torch.equal(network.get_parameter("layers.2.norm_2.weight"), norm)


def test_names_of_the_file() -> None:
    of_layer = "transformer.net.layers.7."
    assert network_name("nuc_emb.weight") == "nuc_emb.weight"
    assert network_name(of_layer + "0.norm.weight") == "layers.7.norm_1.weight"
    assert network_name(of_layer + "0.fn.to_out.bias") == "layers.7.to_out.bias"
    assert network_name(of_layer + "1.fn.fn.w2.bias") == "layers.7.w2.bias"


# --- files that cannot be used -----------------------------------------------------------------


def test_shipped_weights_that_are_missing_cut_or_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / SHIPPED
    whole = weights_file("").read_bytes()
    monkeypatch.setattr(tis_weights, "weights_file", lambda _weights: file)
    again = "install mirnagraph again"
    with pytest.raises(CheckpointError, match=f"{SHIPPED}: .* are missing; .*{again}"):
        load_tis()
    file.write_bytes(whole[:-4])
    with pytest.raises(CheckpointError, match=f"changed or cut; found [0-9a-f]{{64}}.*{again}"):
        load_tis()
    file.write_bytes(whole[:-4] + b"\0\0\0\1")
    with pytest.raises(CheckpointError, match=f"expected {SHIPPED_SHA256}"):
        load_tis()
    file.write_bytes(whole)
    load_tis()


def test_files_of_users_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: .* are missing"):
        fit_encoding(EncoderConfig("tis", {"weights": str(file)}), LengthPolicy(), [])
    with pytest.raises(CheckpointError, match="missing"):
        load_tis(str(tmp_path))
    file.write_bytes(weights_file("").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: not a whole safetensors file"):
        load_tis(str(file))
    stored = load_file(weights_file(""))
    name = "transformer.net.layers.1.0.fn.to_q.weight"
    save_file(stored | {name: torch.zeros(128, 32)}, file)
    message = f"column '{name}': .*found 128 x 32 float32, expected 128 x 48 float32"
    with pytest.raises(CheckpointError, match=message):
        load_tis(str(file))
    save_file({key: value for key, value in stored.items() if key != name}, file)
    with pytest.raises(CheckpointError, match=r"is missing; expected layers\.1\.to_q\.weight"):
        load_tis(str(file))
    save_file(stored | {"transformer.net.layers.8.0.norm.bias": torch.zeros(48)}, file)
    with pytest.raises(CheckpointError, match=r"'transformer\.net\.layers\.8\.0\.norm\.bias'"):
        load_tis(str(file))
    save_file(stored | {name: torch.full((128, 48), math.nan)}, file)
    with pytest.raises(CheckpointError, match=f"{name}.*not finite"):
        load_tis(str(file))
    frequencies = "transformer.net.layers.0.0.fn.local_attn.rel_pos.inv_freq"
    save_file(stored | {frequencies: stored[frequencies] * 2}, file)
    with pytest.raises(CheckpointError, match=f"{frequencies}.*other frequencies"):
        load_tis(str(file))


def test_a_users_file_has_its_own_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    stored = load_file(weights_file(""))
    stored["nuc_emb.weight"] = stored["nuc_emb.weight"] * 1.5
    save_file(stored, file)
    rna = UNIT * 2
    shipped = fit_encoding(PATCHED, LengthPolicy(), [rna])
    own_config = EncoderConfig("tis", TisConfig(patch=8, weights=str(file)))
    own = fit_encoding(own_config, LengthPolicy(), [rna])
    assert own.fingerprint == sha256_of(file) != shipped.fingerprint == SHIPPED_SHA256
    assert np.abs(own.encoder.to_arrays()["mean"] - shipped.encoder.to_arrays()["mean"]).max() > 1
    # the file is changed behind a fitted encoder
    stored["nuc_emb.weight"] = stored["nuc_emb.weight"] * 2
    save_file(stored, file)
    with pytest.raises(CheckpointError, match=r"not the weights .* was trained with"):
        own([rna])


def test_settings_out_of_range() -> None:
    for bad in ({"window": 30001}, {"window": 1}, {"patch": 0}, {"overlap": 0.6}):
        with pytest.raises(ConfigError, match=f"'{next(iter(bad))}' is"):
            EncoderConfig("tis", bad)


# --- tokens, patches, letters ------------------------------------------------------------------


def test_tokens() -> None:
    assert rna_tokens("ACGUTNX").tolist() == [5, 0, 2, 3, 1, 1, 4, 4, 6]
    assert rna_tokens("").tolist() == [5, 6]


def test_pooling_by_hand() -> None:
    hidden = np.zeros((5, 48), dtype=np.float32)
    hidden[:, 0] = [1, 3, 5, 9, -7]
    hidden[:, 47] = [-2, -2, 4, 4, 0]
    logits = np.array([-3, 2, -9, -4, -5], dtype=np.float32)
    pooled = pool(hidden, logits, 2)
    assert pooled.shape == (3, 97)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled[:, 0], [2, 7, -7])  # means
    np.testing.assert_allclose(pooled[:, 47], [-2, 4, 0])
    np.testing.assert_allclose(pooled[:, 48], [1, 2, 0])  # SDs over the nucleotides there are
    np.testing.assert_allclose(pooled[:, 95], [0, 0, 0])
    np.testing.assert_allclose(pooled[:, 96], [2, -4, -5])  # largest logits
    whole = pool(hidden, logits, 64)
    np.testing.assert_allclose(whole[0, [0, 96]], [2.2, 2])
    np.testing.assert_allclose(whole[0, 48], math.sqrt(165 / 5 - 2.2**2), rtol=1e-6)


def test_a_patch_of_one_nucleotide_has_no_sd() -> None:
    rna = UNIT * 2
    pooled = tis.pooled_patches([rna], LengthPolicy(), TisConfig(patch=1), SHIPPED_SHA256)[0]
    assert pooled.shape == (40, 49)
    np.testing.assert_array_equal(pooled[:, :48], hidden_values(rna))
    assert np.abs(pooled[:, 48]).max() <= 16


def test_letters_of_patches() -> None:
    letters = patch_letters("ACGNU", LengthPolicy(), 3)
    expected = np.zeros((2, 12))
    expected[0, [0, 5, 10]] = 1  # A, C, G
    expected[1, 7] = 1  # N has none, U, then the end
    np.testing.assert_array_equal(letters, expected)
    encoding = fit_encoding(
        EncoderConfig("tis", {"patch": 3, "letters": True}), LengthPolicy(), ["ACGNU"]
    )
    encoded = encoding(["ACGNU"])[0]
    assert encoded.shape == (2, 97 + 12)
    np.testing.assert_array_equal(encoded[:, 97:], expected)


def test_letters_do_not_change_what_is_cached(n_read: list[int]) -> None:
    fit_encoding(PATCHED, LengthPolicy(), [UNIT])
    lettered = EncoderConfig("tis", {"patch": 8, "letters": True})
    assert fit_encoding(lettered, LengthPolicy(), [UNIT])([UNIT])[0].shape == (3, 129)
    assert n_read == [20]


def test_t_and_lower_case_are_u(n_read: list[int]) -> None:
    encoding = fit_encoding(PATCHED, LengthPolicy(), [UNIT * 2])
    expected = encoding([UNIT])[0]
    for same in (UNIT.replace("U", "T"), UNIT.lower()):
        np.testing.assert_array_equal(encoding([same])[0], expected)
    assert n_read == [40, 20]


# --- the encoding ------------------------------------------------------------------------------


def test_training_patches_are_standardised() -> None:
    rng = np.random.default_rng(4)
    rnas = ["".join(rng.choice(list("ACGU"), size)) for size in (150, 400, 70)]
    encoding = fit_encoding(PATCHED, LengthPolicy(), rnas)
    assert encoding.channels == 97
    assert encoding.encoder.k == encoding.encoder.stride == 8
    encoded = encoding(rnas)
    assert [len(positions) for positions in encoded] == [19, 50, 9]
    assert all(positions.dtype == np.float32 for positions in encoded)
    together = np.concatenate(encoded)
    assert np.abs(together).max() <= 5
    pooled = np.concatenate(
        tis.pooled_patches(rnas, LengthPolicy(), PATCHED.settings, SHIPPED_SHA256)
    )
    standardised = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    np.testing.assert_allclose(together, standardised.clip(-5, 5), atol=1e-3)
    other = encoding(["A" * 300])[0]
    assert np.abs(other).max() == 5


def test_a_channel_that_does_not_vary_is_only_shifted() -> None:
    encoding = fit_encoding(PATCHED, LengthPolicy(), ["ACGUACGU"])
    assert encoding.encoder.to_arrays()["sd"].tolist() == [1] * 97
    np.testing.assert_allclose(encoding(["ACGUACGU"])[0], 0, atol=1e-4)


def test_a_fitted_encoder_is_restored_without_reading_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = fit_encoding(PATCHED, LengthPolicy(), [UNIT * 3])
    expected = fitted([UNIT])[0]
    arrays = fitted.to_arrays()
    with monkeypatch.context() as patch:
        patch.setattr(tis, "weights_sha256", None)
        again = read_encoding(PATCHED, LengthPolicy(), arrays, 97, fitted.fingerprint)
    np.testing.assert_array_equal(again([UNIT])[0], expected)
    with pytest.raises(ValueError, match=r"shape \(97,\) instead of \(49,\)"):
        read_encoding(EncoderConfig("tis", {"patch": 1}), LengthPolicy(), arrays, 49, "")


def test_no_rna_is_read_twice(n_read: list[int]) -> None:
    rnas = [UNIT, UNIT * 4, UNIT]
    for lengths in (LengthPolicy(), LengthPolicy("both-ends", 30)):
        encoding = fit_encoding(PATCHED, lengths, rnas)
        first = encoding(rnas)
        for one, other in zip(first, encoding(rnas), strict=True):
            np.testing.assert_array_equal(one, other)
    assert n_read == [20, 80, 80]  # the short one is kept whole by both policies


def test_the_whole_rna_is_read_and_patches_are_of_what_is_kept() -> None:
    rna = UNIT * 5
    both = LengthPolicy("both-ends", 30)
    settings = TisConfig(patch=10)
    pooled = tis.pooled_patches([rna], both, settings, SHIPPED_SHA256)[0]
    hidden = hidden_values(rna)
    starts = np.array([0, 10, 85, 95])
    ends = np.array([10, 15, 95, 100])
    assert pooled.shape == (4, 97)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        np.testing.assert_allclose(pooled[row, :48], hidden[start:end].mean(axis=0), rtol=1e-5)
    letters = patch_letters(rna, both, 10)
    assert letters.sum(axis=1).tolist() == [10, 5, 10, 4]  # nucleotide 95 is N


def test_an_rna_does_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(0)
    rna, longer = ("".join(rng.choice(list("ACGU"), size)) for size in (300, 1500))
    alone = hidden_values(rna)
    beside = dict.fromkeys(range(2))
    for number, hidden, _ in embed([longer, rna], frozen_tis(), TisConfig()):
        beside[number] = hidden
    np.testing.assert_allclose(beside[1], alone, atol=1e-5 * np.abs(alone).max())
    np.testing.assert_allclose(
        beside[0], hidden_values(longer), atol=1e-5 * np.abs(beside[0]).max()
    )


def test_long_rnas_are_read_in_windows() -> None:
    rna = UNIT * 5  # 100 nucleotides; windows of 40 that share 10: 0, 30, 60
    hidden = hidden_values(rna, window=40, overlap=0.25)
    first, second, third = (hidden_values(rna[start : start + 40]) for start in (0, 30, 60))
    np.testing.assert_array_equal(hidden[:35], first[:35])
    np.testing.assert_array_equal(hidden[35:65], second[5:35])
    np.testing.assert_array_equal(hidden[65:], third[5:])
    assert np.abs(hidden - hidden_values(rna)).max() > 1


def test_other_settings_have_other_cache_entries(n_read: list[int]) -> None:
    rna = UNIT * 3
    for settings in ({}, {"patch": 32}, {"window": 50}, {"window": 50, "overlap": 0.2}):
        fit_encoding(EncoderConfig("tis", settings), LengthPolicy(), [rna])
    assert n_read == [60, 60, 50, 50, 50, 50]


# --- filling the cache -------------------------------------------------------------------------


def test_warming_up_counts_nucleotides_and_goes_on(
    n_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tis, "chunk", 100)
    rnas = [UNIT * 3, UNIT, UNIT * 2, UNIT * 4]
    seen: list[tuple[int, int]] = []

    def stop(_step: str, done: int, total: int) -> None:
        seen.append((done, total))
        if done == 120 and len(seen) < 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warm_up(PATCHED, LengthPolicy(), rnas, stop)
    assert seen == [(0, 200), (60, 200), (120, 200)]
    assert n_read == [20, 40, 60]
    warm_up(PATCHED, LengthPolicy(), rnas, None)
    assert n_read == [20, 40, 60, 80]
    fit_encoding(PATCHED, LengthPolicy(), rnas)(rnas)
    assert len(n_read) == 4


def test_a_length_measured_in_each_fold_is_not_warmed_up(n_read: list[int]) -> None:
    warm_up(PATCHED, LengthPolicy("5-prime", measure="average"), [UNIT], None)
    assert not n_read
    warm_up(PATCHED, LengthPolicy("full", measure="average"), [UNIT], None)
    assert n_read == [20]


# --- a tower -----------------------------------------------------------------------------------


def test_a_tower_that_reads_patches_is_saved_and_explained(tmp_path: Path) -> None:
    pytest.importorskip("captum", reason="the extra 'interpret' is not installed")
    rna = UNIT * 3
    config = replace(
        seq_config("rnatracker"),
        encoder=PATCHED,
        tower=TowerConfig("rnatracker", RNATrackerConfig(filters=4, kernel=3, units=4)),
    )
    fitted = fit_encoding(config.encoder, config.lengths, [rna])
    torch.manual_seed(0)
    tower = make_tower(config.tower.name, config.tower.settings, fitted.channels, 2).eval()
    names = ("One", "Two")
    model = SavedTower(config, names, "multi-label", tower, fitted, np.array([0.5, 0.5]), {})
    predicted = model.predict([rna, UNIT])
    save_tower(model, tmp_path / "model")
    again = load_tower(tmp_path / "model")
    np.testing.assert_array_equal(again.predict([rna, UNIT]), predicted)
    found = attribute(again, rna, steps=32)
    assert found.values.shape == (60, 2)
    of_patches = np.split(found.values[:56], 7)
    assert all((patch == patch[0]).all() for patch in of_patches)
    assert np.abs(found.values).max() > 0
