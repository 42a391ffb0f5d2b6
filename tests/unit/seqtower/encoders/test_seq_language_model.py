"""Embeddings of a small random language model: windows, tokens, cache, refusals, and a tower."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mirnagraph.config import dump_toml, from_dict, load_toml
from mirnagraph.errors import CheckpointError, ConfigError, InputError, MissingExtraError
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import generator
from seqtower import experiment, run
from seqtower.config import SeqConfig, seq_config
from seqtower.data.batches import centre_cuts, windows
from seqtower.data.sequences import LEFT_OUT_COLUMNS, LengthPolicy, SequenceSet
from seqtower.encoders import pretrained
from seqtower.encoders.base import EncoderConfig, fit_encoding
from seqtower.encoders.language_model import embed_sequence
from seqtower.encoders.pretrained import LanguageModelConfig, load_language_model
from seqtower.interpret.attribution import MaskingConfig, attribute, mask_scan
from seqtower.saved import load_tower
from seqtower.towers.base import TowerConfig
from seqtower.towers.rnaloc_lm import RNALocLMConfig

SHORT = "ACGUUGCAAGUCACGU"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_model(
    folder: Path, *, seed: int = 0, letters: str = "ACGUN", pattern: str = ".", words: bool = False
) -> Path:
    """A random BERT of one layer that reads 32 tokens at a time.

    Its tokenizer makes a token of every match of the pattern, or of every word.
    """
    transformers = pytest.importorskip(
        "transformers", reason="the extra 'lm' (transformers) is not installed"
    )
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    tokenizer = Tokenizer(
        models.WordLevel({token: number for number, token in enumerate(known)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Whitespace() if words else pre_tokenizers.Split(Regex(pattern), "isolated")
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(
        folder
    )
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformers.BertForMaskedLM(
            transformers.BertConfig(vocab_size=len(known), **sizes)
        ).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def directly(folder: Path, sequence: str) -> np.ndarray:
    """What transformers itself makes of a sequence."""
    from transformers import BertModel

    ids = [2, *("ACGUN".index(letter) + 5 for letter in sequence), 3]
    with torch.inference_mode():
        return (
            BertModel.from_pretrained(folder, add_pooling_layer=False)
            .eval()(torch.tensor([ids]))
            .last_hidden_state[0, 1:-1]
            .numpy()
        )


def embedded(sequence: str, config: LanguageModelConfig) -> np.ndarray:
    return embed_sequence(sequence, load_language_model(config), config)


def test_an_embedding_is_the_models_without_special_tokens(folder: Path) -> None:
    config = LanguageModelConfig(model=str(folder))
    state = torch.get_rng_state()
    model = load_language_model(config)
    assert torch.equal(
        torch.get_rng_state(), state
    )  # the pooler that the file lacks is drawn, and must move no other draw
    assert (model.width, model.limit) == (16, 32 - 2 - 2)
    found = embedded(SHORT, config)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, directly(folder, SHORT), atol=1e-6)
    np.testing.assert_array_equal(
        embedded(SHORT, replace(config, cache=str(folder / "other"))), found
    )
    assert embedded("", config).shape == (0, 16)
    assert embedded("A", config).shape == (1, 16)


def test_short_rnas_do_not_depend_on_the_window(folder: Path) -> None:
    config = LanguageModelConfig(model=str(folder))
    np.testing.assert_array_equal(
        embedded(SHORT, config), embedded(SHORT, replace(config, window=16, overlap=0.5))
    )


def test_long_rnas_take_every_position_from_the_middle_of_a_window(folder: Path) -> None:
    config = LanguageModelConfig(model=str(folder), window=20, overlap=0.5, batch=2)
    sequence = "".join(generator(0, "long").choice(list("ACGU"), 47))
    found = embedded(sequence, config)
    assert np.abs(found).min(axis=1).max() > 0
    places = list(windows(47, 20, 10))
    cuts = centre_cuts(places)
    assert [place for low, high in cuts for place in range(low, high)] == list(range(47))
    for (start, end), (low, high) in zip(places, cuts, strict=True):
        assert start == 0 or low - start >= 5
        np.testing.assert_allclose(
            found[low:high],
            directly(folder, sequence[start:end])[low - start : high - start],
            atol=1e-6,
        )
    np.testing.assert_allclose(
        embedded(sequence, replace(config, batch=8, cache=str(folder / "other"))), found, atol=1e-6
    )


def test_n_is_shown_to_the_model_and_is_nothing_to_the_tower(folder: Path) -> None:
    found = embedded("ACNNGU", LanguageModelConfig(model=str(folder)))
    assert (found[2:4] == 0).all()
    np.testing.assert_allclose(
        found[[0, 1, 4, 5]], directly(folder, "ACNNGU")[[0, 1, 4, 5]], atol=1e-6
    )


def test_the_cache_knows_weights_and_settings(folder: Path, cache: Path, tmp_path: Path) -> None:
    config = LanguageModelConfig(model=str(folder), window=20)
    first, model = embedded(SHORT, config), load_language_model(config)
    assert len(list(cache.rglob("*.npz"))) == 1
    never = replace(model, embed=None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(embed_sequence(SHORT, never, config), first)
    for file in cache.rglob("*.npz"):
        file.write_bytes(b"damaged")
    np.testing.assert_array_equal(embedded(SHORT, config), first)
    make_model(folder, seed=1)
    other = load_language_model(config)
    assert other.fingerprint != model.fingerprint
    assert np.abs(embedded(SHORT, config) - first).max() > 0.01
    assert (
        load_language_model(
            LanguageModelConfig(model=str(make_model(tmp_path / "moved")))
        ).fingerprint
        == model.fingerprint
    )
    embedded(SHORT, replace(config, window=10))
    assert len(list(cache.rglob("*.npz"))) == 3


def test_models_of_the_alphabet_of_dna(tmp_path: Path) -> None:
    config = LanguageModelConfig(model=str(make_model(tmp_path / "dna", letters="ACGTN")))
    with pytest.raises(
        ConfigError,
        match=r"does not know all of the letters A, C, G, U; set encoder.settings.letters = 'T'",
    ):
        load_language_model(config)
    found = embedded(SHORT, replace(config, letters="T"))
    np.testing.assert_allclose(
        found, directly(tmp_path / "dna", SHORT), atol=1e-6
    )  # T has the number that U has in the other model


def test_tokenizers_that_separate_or_join_nucleotides(tmp_path: Path) -> None:
    apart = LanguageModelConfig(model=str(make_model(tmp_path / "apart", words=True)))
    np.testing.assert_allclose(
        embedded(SHORT, apart), directly(tmp_path / "apart", SHORT), atol=1e-6
    )
    joined = LanguageModelConfig(model=str(make_model(tmp_path / "joined", pattern="...")))
    with pytest.raises(ConfigError, match="makes 4 tokens of 12 nucleotides"):
        load_language_model(joined)


def test_what_is_missing_is_named(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigError, match=r"no language model is named; set encoder.settings.model"
    ):
        fit_encoding(EncoderConfig("language-model"), LengthPolicy(), [SHORT])
    with pytest.raises(
        InputError, match=r"'nobody/nothing' is not on this machine; .*download = true"
    ):
        load_language_model(LanguageModelConfig(model="nobody/nothing"))
    with pytest.raises(InputError, match="neither a folder nor the name of a checkpoint"):
        load_language_model(LanguageModelConfig(model=str(tmp_path / "no" / "such" / "folder")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no weights of a language model as safetensors"):
        load_language_model(LanguageModelConfig(model=str(tmp_path / "empty")))
    with pytest.raises(ConfigError, match="at most 28"):
        embedded(SHORT, LanguageModelConfig(model=str(folder), window=29))
    with pytest.raises(ConfigError, match="is for the model 'rna-fm' alone"):
        load_language_model(LanguageModelConfig(model=str(folder), weights="x"))
    monkeypatch.setitem(sys.modules, "fm", None)
    with pytest.raises(ConfigError, match="pip install rna-fm"):
        load_language_model(LanguageModelConfig(model="rna-fm"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mirnagraph\[lm\]'"):
        load_language_model(LanguageModelConfig(model=str(folder)))


def test_a_checkpoint_that_lacks_weights_or_brings_code_is_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if "attention.self.query" not in name},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(InputError, match=r"lacks some of the model's.*query"):
        load_language_model(LanguageModelConfig(model=str(folder)))
    about = json.loads((folder / "config.json").read_text())
    about |= {
        "model_type": "made-up",
        "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"},
    }
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "code.py").write_text("raise SystemExit('code of a stranger was run')\n")
    with pytest.raises(InputError, match="without code of its authors"):
        load_language_model(LanguageModelConfig(model=str(folder)))


def test_rna_fm_by_its_own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fm = pytest.importorskip("fm", reason="the package rna-fm is not installed")
    from argparse import Namespace

    alphabet = fm.Alphabet.from_architecture("roberta_large", "rna")
    sizes = {
        "embed_dim": 20,
        "layers": 2,
        "attention_heads": 20,
        "ffn_embed_dim": 16,
        "max_positions": 1024,
        "token_dropout": True,
    }
    plain = fm.BioBertModel(
        Namespace(arch="roberta_large", emb_layer_norm_before=True, **sizes), alphabet
    )
    stored = {
        name if "lm_head" in name else f"encoder.sentence_encoder.{name}": value
        for name, value in plain.state_dict().items()
    }
    stored = {
        name.replace("lm_head", "encoder.lm_head"): value
        for name, value in stored.items()
        if "contact_head" not in name
    }
    file = tmp_path / "RNA-FM_pretrained.pth"
    settings = Namespace(
        arch="roberta_large",
        **{
            f"encoder_{name}" if name in ("layers", "embed_dim") else name: value
            for name, value in sizes.items()
        },
    )
    with pytest.raises(InputError, match="weights of RNA-FM are not on this machine"):
        load_language_model(LanguageModelConfig(model="rna-fm", weights=str(file)))
    torch.save({"args": settings, "model": stored}, file)
    found = embedded(SHORT, LanguageModelConfig(model="rna-fm", weights=str(file)))
    assert found.shape == (16, 20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"letters": "X"},
        {"window": 1},
        {"window": -1},
        {"overlap": 0.6},
        {"overlap": -0.1},
        {"batch": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        LanguageModelConfig(**wrong)  # type: ignore[arg-type]


def test_settings_come_back_from_toml(tmp_path: Path) -> None:
    chosen = LanguageModelConfig("a/b", "w", "T", 100, 0.1, 4, True, "c")
    config = replace(
        seq_config("rnaloc-lm-pretrained"),
        encoder=EncoderConfig("language-model", chosen),
    )
    (tmp_path / "c.toml").write_text(dump_toml(config))
    assert from_dict(SeqConfig, load_toml(tmp_path / "c.toml")) == config
    (tmp_path / "d.toml").write_text(
        'preset = "rnaloc-lm-pretrained"\n[encoder.language_model]\nmodel = "a/b"\n'
    )
    assert seq_config(file=tmp_path / "d.toml").encoder.settings.model == "a/b"


def test_both_ends_are_read_alone(folder: Path) -> None:
    encoder = EncoderConfig("language-model", LanguageModelConfig(model=str(folder)))
    encoding = fit_encoding(encoder, LengthPolicy("both-ends", 10), [SHORT])
    assert encoding.channels == 16
    np.testing.assert_allclose(
        encoding([SHORT])[0],
        np.vstack([directly(folder, SHORT[:5]), directly(folder, SHORT[-5:])]),
        atol=1e-6,
    )
    assert encoding([""])[0].shape == (0, 16)


@pytest.mark.slow
def test_a_tower_is_trained_on_embeddings_and_comes_back_with_its_model_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "K", 2)
    rng = generator(0, "tower")
    sequences = tuple(
        "".join(rng.choice(list("ACGU" if number % 2 else "AACG"), 36)) for number in range(16)
    )
    labels = np.array([[number % 2, 1 - number % 2] for number in range(16)], dtype=float)
    index = NodeIndex.of([f"r{i}" for i in range(16)], "RNA")
    left_out = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    data = SequenceSet(index, sequences, labels, ("U", "None"), "multi-label", None, left_out)
    config = seq_config("rnaloc-lm-pretrained", n_folds=2, group="none")
    config = replace(
        config, encoder=EncoderConfig("language-model", LanguageModelConfig(model=str(folder))),
        tower=TowerConfig("rnaloc-lm", RNALocLMConfig(8, 4, (3,), 2, 4, 1, 4, 0.0)),
        training=replace(config.training, epochs=2, inner_fraction=0.25),
    )  # fmt: skip
    result, where = run.run_seq(data, config, tmp_path / "run")
    assert result is not None
    model = load_tower(where.path / "model", ("U", "None"))
    assert model.about["channels"] == 16
    predicted = model.predict(list(sequences))
    scan = mask_scan(model, sequences[0], MaskingConfig(window=9, stride=9, shuffles=0))
    assert scan["kl"].max() > 0
    assert attribute(model, sequences[0], steps=16).values.shape == (36, 2)
    make_model(folder, seed=1)
    with pytest.raises(CheckpointError, match="is not the one that the tower was trained with"):
        model.predict(list(sequences))
    pretrained._transformer.cache_clear()
    elsewhere = make_model(tmp_path / "elsewhere")
    np.testing.assert_array_equal(
        load_tower(where.path / "model", language_model=str(elsewhere)).predict(list(sequences)),
        predicted,
    )
