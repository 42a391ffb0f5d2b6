"""What the end-to-end tests share: folds and a problem of the small dataset,
and commands run in this process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tomli_w

# Settings with which training takes a second: few tokens, and no model for newcomers.
QUICK: dict[str, dict[str, Any]] = {
    "tokens": {"attention": ["svd:disease", "svd:drug", "degree"], "trees": []},
    "attention": {"dim": 8, "n_heads": 2},
    "fusion": {"dim": 8, "n_heads": 2, "n_members": 1, "epochs": 2, "kernel_dim": 4},
    "training": {"epochs": 2, "n_members": 1, "inner_fraction": 0.2},
    "trees": {"n_trees": 5, "rounds": 2, "boosting_width": 20},
}

MAIN = "import sys; from cli.main import main; sys.exit(main())"


class Ended(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def terminal_signals() -> Callable[[], None]:
    """For ``preexec_fn``: signals act as in a terminal, also where tests run in the background."""

    def restore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return restore


@pytest.fixture(scope="session")
def folds(networks):
    """Three folds of `networks`."""
    from mirnagraph.evaluation.splits import make_folds

    return make_folds(networks.dataset, n_folds=3)


@pytest.fixture(scope="module")
def data(networks, request: pytest.FixtureRequest):
    """The problem that the CONFIG of the test's module makes of `networks`."""
    from fusion.data.prepare import prepare

    return prepare(networks, request.module.CONFIG)


@pytest.fixture(scope="session")
def finished_run(networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small run with a model for newcomers. Shared by all tests of a session:
    do not change it.
    """
    from fusion.config import ExperimentConfig, experiment_config
    from fusion.experiments.train import run_experiment

    def small(config: ExperimentConfig) -> ExperimentConfig:
        training = replace(config.training, epochs=3, n_members=1, n_students=1)
        return replace(
            config,
            training=training,
            trees=replace(config.trees, n_trees=20, rounds=5, boosting_width=40),
        )

    reads = (
        "svd:*",
        "evidence:*",
        "kmer",
        "degree",
        "neighbours:sequence",
        "neighbours:functional",
    )
    config = small(experiment_config("trees", n_folds=3))
    tokens = replace(
        config.tokens, attention=("trees", "svd:drug+neighbours:gip_drug", *reads[1:]), trees=reads
    )
    folder = tmp_path_factory.mktemp("finished") / "run"
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # the model for newcomers is fitted by its preset, whose trees take longer than all the rest
        patch.setattr(
            "fusion.data.prepare.experiment_config",
            lambda preset, **given: small(experiment_config(preset, **given)),
        )
        run_experiment(
            networks,
            replace(config, tokens=tokens, mix=replace(config.mix, calibration_part=0.0)),
            folder,
        )
    return folder


@pytest.fixture
def run(
    in_empty_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """Run ``mirnagraph`` with these words in this process, which spares the imports,
    in an empty folder: exit code, stdout, stderr.
    """
    from cli.main import main

    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

    def call(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["mirnagraph", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without a report, whose pictures take longer to draw than a small model to train:
    for tests that read its numbers alone.
    """
    monkeypatch.setattr("fusion.experiments.train.write_report", lambda *_: None)


@pytest.fixture
def quick(in_empty_folder: Path) -> Callable[..., Path]:
    """Write ``quick.toml`` into the folder the test works in, with changes to sections of `QUICK`:
    its path.
    """

    def write(**changes: dict[str, Any]) -> Path:
        assert set(changes) <= set(QUICK), changes
        path = in_empty_folder / "quick.toml"
        path.write_text(
            tomli_w.dumps(
                {"newcomers": ""}
                | {
                    section: {**values, **changes.get(section, {})}
                    for section, values in QUICK.items()
                }
            )
        )
        return path

    return write


@pytest.fixture(scope="session")
def made(networks, small_dataset, finished_run: Path, tmp_path_factory) -> Path:
    """A folder with a dataset, networks, a run, and sequences. Do not change it."""
    folder = tmp_path_factory.mktemp("made")
    small_dataset.save(folder / "ds")
    networks.save(folder / "nets")
    shutil.copytree(finished_run, folder / "run")
    rows = small_dataset.rnas["sequence"].iloc[:2]
    text = "".join(f">new{i}\n{sequence}\n" for i, sequence in enumerate(rows))
    (folder / "mini.fa").write_text(text)
    return folder


@pytest.fixture
def place(made: Path, in_empty_folder: Path) -> Path:
    """The current folder, with the inputs of `made` and a folder of someone else."""
    for name in ("ds", "nets", "run"):
        shutil.copytree(made / name, in_empty_folder / name)
    shutil.copyfile(made / "mini.fa", in_empty_folder / "mini.fa")
    thesis = in_empty_folder / "thesis" / "data"
    thesis.mkdir(parents=True)
    (thesis / "raw.csv").write_text("a\n1\n")
    (thesis.parent / "chapter1.tex").write_text("Introduction")
    return in_empty_folder


@pytest.fixture
def new_process(terminal_signals) -> Callable[..., subprocess.Popen[str]]:
    """Start ``mirnagraph`` with these words in a new process."""

    def start(*words: str, **options: Any) -> subprocess.Popen[str]:
        root = Path(__file__).resolve().parent.parent.parent
        env = os.environ | {"PYTHONPATH": str(root)} | options.pop("env", {})
        env.pop("MIRNAGRAPH_DATA", None)
        command = [sys.executable, "-c", MAIN, *words]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        options = {"preexec_fn": terminal_signals} | options
        return subprocess.Popen(command, env=env, text=True, **options)

    return start
