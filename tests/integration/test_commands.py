"""The commands in an empty folder: results, help texts, messages and exit codes."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pandas as pd
import pytest

from cli.common import preset_choices
from cli.main import app
from cli.seq import app as seq_app
from fusion.baselines.models import BaselineSettings
from mirnagraph.networks.network import NetworkSet
from mirnagraph.trees import TreesConfig


@pytest.fixture
def config(quick: Callable[..., Path]) -> str:
    """Path of quick settings of a model that mixes attention with trees."""
    tokens = {"attention": ["svd:disease", "degree"], "trees": ["svd:disease", "degree", "kmer"]}
    return str(quick(tokens=tokens, training={"inner_fraction": 0.0}))


def test_build_then_again(run) -> None:
    built = run("build-networks", "--graphml")
    assert built.returncode == 0, built.stderr
    assert built.stderr.startswith("Dataset demo (synthetic): ")
    assert [line.split("\t")[0] for line in built.stdout.splitlines()] == [
        "network",
        "sequence",
        "functional",
        "mRNA",
        "drug",
        "disease",
    ]
    assert Path("networks/disease.graphml").is_file()
    again = run("build-networks")
    assert again.returncode == 3
    assert "--overwrite" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert run("build-networks", "--overwrite", "-q").returncode == 0


@pytest.mark.slow
def test_train_then_again(
    run, networks: NetworkSet, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = BaselineSettings(
        trees=TreesConfig(n_trees=5, rounds=2, boosting_width=20), thresholds=False
    )
    monkeypatch.setattr("fusion.baselines.models.BaselineSettings", lambda: small)
    networks.save("networks")
    trained = run("train", "--fold", "2", "--config", config, "--out", "run", "--workers", "1")
    assert trained.returncode == 0, trained.stderr
    assert "AUC" in trained.stdout
    assert "popularity_and_name" in trained.stdout
    assert "Nearest baseline in AUC" in trained.stderr
    predictions = pd.read_csv("run/predictions.tsv", sep="\t")
    assert len(predictions) == 60
    assert sorted(predictions["fold"].unique()) == [0, 1]
    # the folder's own config.toml is a config: the same numbers come out again
    monkeypatch.setattr("fusion.experiments.train.write_report", lambda *_: None)
    copied = run(
        "train",
        "--config",
        "run/config.toml",
        "--out",
        "copy",
        "-q",
        "--workers",
        "1",
        "--no-baselines",
    )
    assert copied.returncode == 0, copied.stderr
    assert Path("copy/predictions.tsv").read_bytes() == Path("run/predictions.tsv").read_bytes()
    compared = run(
        "compare",
        "run",
        "copy",
        "--resamples",
        "100",
        "--out",
        "difference.tsv",
        "--plot",
        "difference.png",
    )
    assert compared.returncode == 0, compared.stderr
    assert (pd.read_csv("difference.tsv", sep="\t")["difference"] == 0).all()
    assert run("compare", "run").returncode == 2
    beside = run("compare", "run", "--baseline", "popularity", "--resamples", "100")
    assert beside.returncode == 0, beside.stderr
    assert beside.stdout.splitlines()[1].startswith("popularity\trun\t")
    assert run("compare", "copy", "--baseline", "popularity").returncode == 3
    assert run("compare", "run", "--baseline", "luck").returncode == 2
    finished = run("train", "--fold", "2", "--config", config, "--out", "run")
    assert finished.returncode == 3
    assert "finished" in finished.stderr
    assert (
        run("train", "--fold", "2", "--config", config, "--out", "run", "--resume").returncode == 0
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["train", "--fold", "1"], 2, "fold"),
        (["train", "--fold", "500"], 2, "500 folds"),
        (["train", "--rnas", "some"], 2, "rnas"),
        (["train", "--preset", "defualt"], 2, "did you mean 'default'"),
        (["train", "--no-such-option"], 2, "no-such-option"),
        (["train", "--networks", "nowhere"], 3, "nowhere"),
        (["train", "--split", "nowhere.tsv"], 3, "nowhere.tsv"),
        (["train", "--config", "nowhere.toml"], 3, "nowhere.toml"),
        (["build-networks", "--data", "nowhere"], 3, "nowhere"),
        (["build-networks", "--cutoff", "2"], 2, "cutoff"),
        (["nothing"], 2, "nothing"),
        (["fetch", "nothing"], 2, "nothing"),
    ],
)
def test_wrong_use_ends_in_a_sentence_and_its_exit_code(
    run, in_empty_folder: Path, words: list[str], code: int, says: str
) -> None:
    ended = run(*words)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(in_empty_folder.iterdir())


def test_a_wrong_setting_in_a_file_is_named(run, config: str) -> None:
    path, text = Path(config), Path(config).read_text()
    path.write_text(text.replace("dim = 8", "dimm = 8"))
    ended = run("train", "--config", config)
    assert ended.returncode == 2
    assert "'dimm'; did you mean 'dim'?" in ended.stderr
    path.write_text(text.replace("dim = 8", "dim = 'eight'"))
    assert run("train", "--config", config).returncode == 2
    path.write_text(text.replace("[tokens]", "[tokens"))
    assert run("train", "--config", config).returncode == 3


ALONE = ["ablate", "audit", "build-networks", "seq pretrain", "seq train", "train", "tune"]
WITH_A_RUN = ["compare", "enrich", "explain", "export", "predict", "rank"]
WITH_A_RUN += ["atlas", "report", "seq compare", "seq explain", "seq predict", "serve"]


def test_help_says_what_every_command_needs(run) -> None:
    groups = [*app.registered_commands, *seq_app.registered_commands]
    names = [str(command.name) for command in app.registered_commands]
    names += [f"seq {command.name}" for command in seq_app.registered_commands]
    assert sorted(names) == sorted(
        [*ALONE, *WITH_A_RUN, "read-labels", "build-dataset", "fetch", "pull"]
    )
    shown = run("--help").stdout
    assert not [name for name in names if name not in shown]
    for name, command in zip(names, groups, strict=True):
        text = inspect.getdoc(command.callback) or ""
        needs = text.split("\n\n")[1]
        assert needs.startswith("Needs "), name
        assert ("run" in needs) == (name in WITH_A_RUN), name
        shown = run(*name.split(), "--help").stdout
        assert needs.split("`")[0].split(";")[0][:40] in shown
        assert f"Example: mirnagraph {name} " in shown
    assert run("--version").stdout.startswith("mirnagraph ")


def test_help_that_no_terminal_shows_is_not_cut(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    shown = run("train", "--help").stdout
    assert "runs/DATASET-PRESET-SPLIT-Nfold-RNAS-seedN" in shown


def test_every_option_has_a_help_text(run) -> None:
    for command in [*app.registered_commands, *seq_app.registered_commands]:
        hints = get_type_hints(command.callback, include_extras=True)
        del hints["return"]
        lacking = [name for name, hint in hints.items() if not hint.__metadata__[0].help]
        assert lacking == []


def test_help_lists_the_presets_that_there_are(run) -> None:
    shown = " ".join(run("train", "--help").stdout.replace("│", " ").split())
    assert f"Preset: {preset_choices('fusion')}." in shown
    assert preset_choices("fusion").startswith("cold, default, ")
    shown = " ".join(run("seq", "train", "--help").stdout.replace("│", " ").split())
    assert f"Preset: {preset_choices('seqtower')}." in shown
    assert preset_choices("seqtower").endswith(" or rnatracker-structure")


def test_an_interrupted_command_says_how_to_resume(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mirnagraph.recipes.opening.load_dataset", interrupt)
    ended = run("build-networks")
    sentence = "Interrupted. Nothing was left half-written."
    assert (ended.returncode, ended.stderr.strip()) == (130, sentence)


@pytest.mark.slow
def test_a_new_process(tmp_path: Path, config: str) -> None:
    """Installed command, two worker processes, exit codes as a shell sees them."""
    command = [str(Path(sys.executable).with_name("mirnagraph"))]
    clean = {name: value for name, value in os.environ.items() if name != "MIRNAGRAPH_DATA"}

    def shell(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words],
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    assert shell("build-networks").returncode == 0
    two = shell("train", "--fold", "3", "--config", config, "--out", "two", "--workers", "2")
    assert two.returncode == 0, two.stderr
    assert len(pd.read_csv(tmp_path / "two" / "predictions.tsv", sep="\t")) == 200
    assert (
        shell(
            "train",
            "--fold",
            "3",
            "--config",
            config,
            "--out",
            "one",
            "--workers",
            "1",
            "--no-baselines",
        ).returncode
        == 0
    )
    assert (tmp_path / "one" / "predictions.tsv").read_bytes() == (
        tmp_path / "two" / "predictions.tsv"
    ).read_bytes()
    assert shell("train", "--networks", "nowhere").returncode == 3
    assert shell("train", "--nowhere").returncode == 2
