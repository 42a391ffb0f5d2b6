"""Structure by ViennaRNA: a hairpin by hand, forgi's elements, encodings, cache, and a tower."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mirnagraph.config import dump_toml, from_dict, load_toml
from mirnagraph.errors import ConfigError, InputError, MissingExtraError
from mirnagraph.seeds import generator
from seqtower.config import SeqConfig, seq_config
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders import structure
from seqtower.encoders.base import EncoderConfig, fit_encoding, warm_up
from seqtower.encoders.cache import read_only_cache
from seqtower.encoders.structure import (
    ELEMENTS,
    StructureConfig,
    element_numbers,
    encode_structure,
    nested_pairs,
    pair_probabilities,
    unpaired_probabilities,
)
from seqtower.interpret.attribution import MaskingConfig, attribute, mask_scan
from seqtower.interpret.motifs import filter_motifs
from seqtower.saved import SavedTower, load_tower, save_tower
from seqtower.towers.base import TowerConfig, make_tower
from seqtower.towers.rnatracker import RNATrackerConfig

HAIRPIN = "AAGGGGCCGAAAGGCCCCAA"  # six pairs of G and C about GAAA, two A on each side
FOLDED = "..((((((....)))))).."
WHY = "the extra 'structure' (ViennaRNA) is not installed"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def partners(folded: str) -> np.ndarray:
    """Partner of each place of a structure in dots and brackets."""
    found, waiting = np.full(len(folded), -1, dtype=np.int64), []
    for place, sign in enumerate(folded):
        if sign == "(":
            waiting.append(place)
        elif sign == ")":
            found[place] = waiting.pop()
            found[found[place]] = place
    return found


def named(folded: str) -> str:
    return "".join(ELEMENTS[number] for number in element_numbers(partners(folded)))


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        (FOLDED, "FFSSSSSSHHHHSSSSSSTT"),
        ("......", "FFFFFF"),
        ("", ""),
        ("((...))", "SSHHHSS"),
        (".((..((...))..))", "FSSIISSHHHSSIISS"),
        ("((.((...))))", "SSISSHHHSSSS"),  # a bulge is an internal loop
        ("((.(...)..(...).))", "SSMSHHHSMMSHHHSMSS"),
        (".(...)..(...)..", "FSHHHSMMSHHHSTT"),  # between outermost stems, as forgi
        ("((.(...)(...)))...", "SSMSHHHSSHHHSSSTTT"),
    ],
)
def test_elements_by_hand(folded: str, expected: str) -> None:
    assert named(folded) == expected


def test_the_likeliest_pairs_come_first_and_none_crosses_another() -> None:
    pairs = [(0, 9, 0.5), (1, 8, 0.6), (5, 12, 0.9), (2, 7, 0.1), (6, 11, 0.2), (0, 4, 0.05)]
    found = nested_pairs(pairs, 14)
    assert found[5] == 12
    assert found[6] == 11
    assert found[0] == 4  # free and crossing nothing, though it is the least likely
    assert (found[[1, 2, 7, 8, 9]] == -1).all()
    assert nested_pairs([], 3).tolist() == [-1, -1, -1]


def test_a_hairpin_is_folded_as_by_hand() -> None:
    rna = pytest.importorskip("RNA", reason=WHY)
    assert (
        rna.fold(HAIRPIN)[0] == FOLDED
    )  # that it is the structure of least energy, and not only the likeliest
    config = StructureConfig(cutoff=0.5)
    assert np.array_equal(
        nested_pairs(pair_probabilities(HAIRPIN, config), len(HAIRPIN)), partners(FOLDED)
    )
    joint = encode_structure(HAIRPIN, config)
    assert joint.dtype == np.float32
    assert joint.shape == (20, 24)
    where = [
        6 * "ACGU".index(letter) + ELEMENTS.index(element)
        for letter, element in zip(HAIRPIN, "FFSSSSSSHHHHSSSSSSTT", strict=True)
    ]
    assert joint.argmax(axis=1).tolist() == where
    assert (joint.sum(axis=1) == 1).all()
    beside = encode_structure(HAIRPIN, replace(config, encoding="separate", unpaired=True))
    assert (
        beside.shape
        == (20, 11)
        == (20, replace(config, encoding="separate", unpaired=True).channels)
    )
    np.testing.assert_array_equal(
        beside[:, :4] @ np.arange(4), ["ACGU".index(letter) for letter in HAIRPIN]
    )
    np.testing.assert_array_equal(
        beside[:, 4:10] @ np.arange(6), [ELEMENTS.index(e) for e in "FFSSSSSSHHHHSSSSSSTT"]
    )
    np.testing.assert_array_equal(beside[:, 10], unpaired_probabilities(HAIRPIN, config))


def test_unpaired_probabilities_are_low_in_the_stem_and_high_in_the_loop() -> None:
    pytest.importorskip("RNA", reason=WHY)
    found = unpaired_probabilities(HAIRPIN, StructureConfig())
    assert found.shape == (20,)
    assert found.min() >= 0
    assert found.max() <= 1
    paired = partners(FOLDED) >= 0
    assert found[paired].max() < 0.2
    assert found[8:12].min() > 0.8
    assert unpaired_probabilities("ACG", StructureConfig()).tolist() == [1, 1, 1]


def test_n_is_nothing_and_pairs_with_nothing() -> None:
    pytest.importorskip("RNA", reason=WHY)
    hidden = HAIRPIN[:12] + "N" * 6 + HAIRPIN[18:]
    for encoding in ("joint", "separate"):
        found = encode_structure(hidden, StructureConfig(encoding=encoding, unpaired=True))
        assert (found[12:18] == 0).all()
        assert (found[:12, :-1].sum(axis=1) > 0).all()
    assert (
        encode_structure(hidden, StructureConfig(cutoff=0.5, encoding="separate"))[
            2:8, 4 + ELEMENTS.index("S")
        ].sum()
        == 0
    )
    assert (encode_structure("NNNNNNNN", StructureConfig()) == 0).all()
    assert encode_structure("A", StructureConfig()).argmax() == ELEMENTS.index("F")
    assert encode_structure("", StructureConfig()).shape == (0, 24)


def test_a_long_rna_is_folded_in_windows() -> None:
    pytest.importorskip("RNA", reason=WHY)
    letters = "".join(generator(0, "long").choice(list("ACGU"), 1200))
    long = letters[:600] + HAIRPIN + letters[600:]
    config = StructureConfig(window=60, span=40)
    pairs = pair_probabilities(long, config)
    assert max(last - first for first, last, _ in pairs) < 40
    assert all(0.01 <= probability <= 1 for *_, probability in pairs)
    found = nested_pairs(pairs, len(long))
    paired = np.flatnonzero(found >= 0)
    np.testing.assert_array_equal(found[found[paired]], paired)
    assert np.count_nonzero(found[602:618] >= 0) >= 12
    assert encode_structure(long, config).shape == (1220, 24)


def test_an_rna_is_folded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("RNA", reason=WHY)
    config = StructureConfig(unpaired=True)
    with read_only_cache():
        first = encode_structure(HAIRPIN, config)
    assert not cache.exists()
    np.testing.assert_array_equal(encode_structure(HAIRPIN, config), first)
    files = sorted(cache.rglob("*.npz"))
    assert len(files) == 2
    with monkeypatch.context() as patch:
        patch.setattr(structure, "pair_probabilities", None)  # whoever folds fails
        np.testing.assert_array_equal(encode_structure(HAIRPIN, config)[:, :-1], first[:, :-1])
        np.testing.assert_array_equal(
            encode_structure(HAIRPIN, replace(config, encoding="separate")).shape, (20, 11)
        )
        with pytest.raises(TypeError):
            encode_structure(HAIRPIN, replace(config, span=30))
    for damage in (
        b"",
        files[0].read_bytes()[:100],
        bytes(500),
        files[0].read_bytes().replace(b"\x05", b"\x04"),
    ):
        for file in files:
            file.write_bytes(damage)
        np.testing.assert_array_equal(encode_structure(HAIRPIN, config), first)
    for name in [*cache.rglob("*")]:
        assert name.suffix in ("", ".npz")
    elsewhere = cache.parent / "elsewhere"
    encode_structure(HAIRPIN, replace(config, cache=str(elsewhere)))
    assert len(list(elsewhere.rglob("*.npz"))) == 2


def test_a_cache_that_cannot_be_written_is_an_error(cache: Path) -> None:
    pytest.importorskip("RNA", reason=WHY)
    cache.write_text("a file")
    with pytest.raises(InputError, match=r"cache of encodings cannot be written.*MIRNAGRAPH_CACHE"):
        encode_structure(HAIRPIN, StructureConfig())


def test_without_the_package_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "RNA", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mirnagraph\[structure\]'"):
        fit_encoding(EncoderConfig("structure"), LengthPolicy(), ["ACGU"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoding": "both"},
        {"window": 4},
        {"span": 151},
        {"span": 2},
        {"cutoff": 0.0},
        {"cutoff": 1.5},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        StructureConfig(**wrong)  # type: ignore[arg-type]


def test_settings_come_back_from_toml(tmp_path: Path) -> None:
    config = replace(
        seq_config("rnatracker-structure"),
        encoder=EncoderConfig("structure", StructureConfig("separate", 80, 60, 0.1, True, "x")),
    )
    (tmp_path / "c.toml").write_text(dump_toml(config))
    assert from_dict(SeqConfig, load_toml(tmp_path / "c.toml")) == config
    assert seq_config("rnatracker-structure").encoder.settings == StructureConfig()


def saved(encoding: str, **lengths: object) -> SavedTower:
    structure = StructureConfig(encoding, unpaired=encoding == "separate")
    tower = RNATrackerConfig(filters=4, kernel=3, units=4, attention_units=4)
    config = replace(
        seq_config("rnatracker-structure"),
        encoder=EncoderConfig("structure", structure),
        tower=TowerConfig("rnatracker", tower),
        lengths=LengthPolicy(**lengths),
    )
    fitted = fit_encoding(config.encoder, config.lengths, [HAIRPIN])
    torch.manual_seed(0)
    return SavedTower(
        config,
        ("One", "Two"),
        "multi-label",
        make_tower(config.tower.name, config.tower.settings, fitted.channels, 2).eval(),
        fitted,
        np.array([0.5, 0.5]),
        {},
    )


@pytest.mark.parametrize("encoding", ["joint", "separate"])
def test_a_tower_that_reads_structure_is_saved_and_explained(
    encoding: str, tmp_path: Path, cache: Path
) -> None:
    pytest.importorskip("RNA", reason=WHY)
    model = saved(encoding)
    predicted = model.predict([HAIRPIN, "ACGU"])
    save_tower(model, tmp_path / "model")
    again = load_tower(tmp_path / "model")
    assert again.encoding.fingerprint.startswith("ViennaRNA ")
    np.testing.assert_array_equal(again.predict([HAIRPIN, "ACGU"]), predicted)
    with pytest.raises(ConfigError, match="reads no language model"):
        load_tower(tmp_path / "model", language_model="a/b")
    before = sorted(cache.rglob("*.npz"))
    scan = mask_scan(again, HAIRPIN, MaskingConfig(window=6, stride=3, shuffles=1))
    assert scan["kl"].max() > 0
    np.testing.assert_allclose(
        scan["One"].iloc[0],
        again.predict(["NNNNNN" + HAIRPIN[6:]])[0, 0] - predicted[0, 0],
        atol=1e-7,
    )
    added = len(sorted(cache.rglob("*.npz"))) - len(before)
    assert added == (
        1 if encoding == "joint" else 2
    )  # of the one RNA that was predicted, and not of any that was masked
    found = attribute(again, HAIRPIN, steps=64)
    assert found.values.shape == (20, 2)
    assert np.abs(found.error).max() < 0.05
    with pytest.raises(ConfigError, match=r"'structure'.*no filters over single nucleotides"):
        filter_motifs(again, [HAIRPIN])


def test_the_whole_rna_is_folded_and_then_cut() -> None:
    pytest.importorskip("RNA", reason=WHY)
    model = saved("joint", keep="3-prime", length=8)
    whole = encode_structure(HAIRPIN, model.config.encoder.settings)
    np.testing.assert_array_equal(model.encoding([HAIRPIN])[0], whole[-8:])


def test_warming_up_fills_the_cache(cache: Path) -> None:
    pytest.importorskip("RNA", reason=WHY)
    seen: list[tuple[int, int]] = []
    warm_up(
        EncoderConfig("structure"),
        LengthPolicy(),
        [HAIRPIN, "ACGUACGU"],
        lambda _step, done, total: seen.append((done, total)),
    )
    assert seen == [(0, 28), (8, 28), (28, 28)]  # nucleotides, the shorter RNA first
    assert len(list(cache.rglob("*.npz"))) == 2
    warm_up(EncoderConfig(), LengthPolicy(), [HAIRPIN], None)
