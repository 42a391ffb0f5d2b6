"""Gradient times input: by hand, against differences, and what an encoder gives beside `encode`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mirnagraph.errors import ConfigError
from mirnagraph.seeds import generator
from seqtower.config import seq_config
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import FittedEncoding, OneHot
from seqtower.encoders.geneticseq2vec import GeneticSeq2Vec
from seqtower.encoders.tis import Tis, TisConfig
from seqtower.interpret.gradient import _logits, _with_unknown, gradient_attribution
from seqtower.interpret.report import ExplainConfig, attribution_method
from seqtower.saved import SavedTower
from seqtower.towers.base import Tower

FULL = LengthPolicy()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path / "cache"))


class Squares(Tower):
    """Logits: half the squared sum of the first channel; three times the sum of the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.output_dim = 2
        self.head = nn.Identity()

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both numbers."""
        total = (inputs * mask.unsqueeze(-1)).sum(dim=1)
        logits = torch.stack([total[:, 0].square() / 2, 3 * total[:, -1]], dim=1)
        return logits, mask.unsqueeze(1).float()

    def forward(self, inputs, mask, types=None, numbers=None) -> torch.Tensor:
        """The numbers as logits."""
        return self.read(inputs, mask)[0]


def model_of(encoder, lengths: LengthPolicy = FULL) -> SavedTower:
    config = replace(seq_config("rnatracker"), lengths=lengths)
    encoding = FittedEncoding(encoder, lengths)
    half = np.array([0.5, 0.5])
    return SavedTower(config, ("One", "Two"), "multi-label", Squares(), encoding, half, {})


def rna(n: int, seed: int = 0) -> str:
    return "".join(
        generator(seed, "rna").choice(list("ACGUN"), n, p=[0.24, 0.24, 0.24, 0.24, 0.04])
    )


def test_letters_by_hand() -> None:
    """AANU: the slope of half the square of two As is 2 each; N and C have none; U counts 3."""
    found = gradient_attribution(model_of(OneHot()), "AANU")
    assert found.positions.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(found.values[:, 0], [2, 2, 0, 0])
    np.testing.assert_allclose(found.values[:, 1], [0, 0, 0, 3])
    # the logit falls by 2 where all is N, the slopes add up to 4; the second logit is linear
    np.testing.assert_allclose(found.error, [1.0, 0.0])


def test_only_what_the_tower_reads() -> None:
    """Two nucleotides of each end of AAGGAU are read: A, A, A and U."""
    kept = LengthPolicy(keep="both-ends", length=4)
    found = gradient_attribution(model_of(OneHot(), kept), "AAGGAU")
    assert found.positions.tolist() == [0, 1, 4, 5]
    np.testing.assert_allclose(found.values[:, 0], [3, 3, 3, 0])


@pytest.mark.parametrize("settings", [{}, {"letters": True}, {"patch": 1}, {"window": 300}])
@pytest.mark.parametrize("kept", [{}, {"keep": "both-ends", "length": 150}])
def test_encoding_of_letters_equals_that_of_the_sequence(settings: dict, kept: dict) -> None:
    lengths = LengthPolicy(**kept)
    sequence = rna(450)
    encoder = Tis.fit_whole([sequence, rna(300, 1)], lengths, TisConfig(**settings))
    (expected,) = encoder.encode([sequence], lengths)
    found = encoder.encode_letters(_with_unknown(sequence), lengths)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-4)


def test_a_patch_of_one_nucleotide_has_a_slope() -> None:
    """65 nt: the second patch is a single nucleotide, whose SD is 0 and has no slope of its own."""
    sequence = rna(65, 2)
    encoder = Tis.fit_whole([rna(300, 1)], FULL, TisConfig())
    found = gradient_attribution(model_of(encoder), sequence)
    assert np.isfinite(found.values).all()
    assert np.abs(found.values[:, 0]).max() > 0


def test_slope_through_the_transformer_equals_differences() -> None:
    """A step of every letter towards N changes the logit by the sum of the attributions."""
    sequence = rna(200, 3)
    encoder = Tis.fit_whole([sequence, rna(300, 1)], FULL, TisConfig(letters=True, patch=16))
    model = model_of(encoder)
    letters = _with_unknown(sequence)
    to_unknown = torch.zeros_like(letters)
    to_unknown[:, -1] = 1.0
    chosen = torch.zeros((len(sequence), 1))
    chosen[40:60] = 1.0  # nucleotides 40 to 59 alone
    step = 2e-2 * chosen * (letters - to_unknown)
    with torch.no_grad():
        above = _logits(model, encoder.encode_letters(letters + step, FULL), None)
        below = _logits(model, encoder.encode_letters(letters - step, FULL), None)
    expected = ((above - below) / 4e-2).numpy()
    found = gradient_attribution(model, sequence).values[40:60].sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.03)
    assert np.abs(expected).min() > 0.01


def test_an_encoder_without_gradients_says_so() -> None:
    settings = GeneticSeq2Vec.Config(k=2, stride=2, dim=3, hops=1)
    encoder = GeneticSeq2Vec.fit(["ACGUACGUAA", "GGCAUCGUCA"], settings)
    with pytest.raises(ConfigError, match=r"gradients do not pass through .* GeneticSeq2Vec"):
        gradient_attribution(model_of(encoder), "ACGUACGU")


def test_which_method_is_taken() -> None:
    tis = Tis.fit((), TisConfig())
    assert attribution_method(model_of(tis), ExplainConfig()) == "gradient"
    assert attribution_method(model_of(OneHot()), ExplainConfig()) == "integrated"
    assert attribution_method(model_of(tis), ExplainConfig(method="integrated")) == "integrated"
    with pytest.raises(ConfigError, match="method"):
        ExplainConfig(method="shap")
