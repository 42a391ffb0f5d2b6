"""Every command: the same options by the same names, quiet, verbose, progress lines, completion."""

from __future__ import annotations

import inspect
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from cli import messages
from cli.main import app
from cli.seq import app as seq_app

ROOT = Path(__file__).resolve().parent.parent.parent

OPTIONS = {
    "data": "--data",
    "networks": "--networks",
    "run": "--run",
    "out": "--out",
    "overwrite": "--overwrite",
    "seed": "--seed",
    "workers": "--workers",
    "format_": "--format",
    "quiet": "--quiet",
    "verbose": "--verbose",
    "device": "--device",
    "fasta": "--fasta",
    "compartment": "--compartment",
    "plot": "--plot",
    "config": "--config",
    "resume": "--resume",
}
"""Name of a parameter -> the one spelling of its option."""

FOREIGN = {
    "--output", "-o", "--threads", "--jobs", "--n-jobs", "--force", "--model", "--random-state",
    "--dataset", "--network", "--folder", "--silent", "--debug-log", "--json", "--csv", "--gpu",
    "--cpu", "--input", "--figure",
}  # fmt: skip
"""Other spellings of the same things."""


def commands() -> dict[str, typer.core.TyperCommand]:
    group = typer.main.get_command(app)
    found = dict(group.commands)
    seq = found.pop("seq")
    return found | {f"seq {name}": command for name, command in seq.commands.items()}


COMMANDS = commands()

READ_A_RUN = [
    "rank", "export", "report", "compare", "seq predict", "seq explain", "seq compare",
]  # fmt: skip

READ_WHAT_SHIPS = ["predict", "explain", "enrich"]


def options_of(name: str) -> dict[str, list[str]]:
    """Parameter -> spellings of its option."""
    parameters = COMMANDS[name].params
    return {
        p.name: [*p.opts, *p.secondary_opts] for p in parameters if p.param_type_name == "option"
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_thing_has_the_same_name(name: str) -> None:
    options = options_of(name)
    for parameter, spellings in options.items():
        expected = OPTIONS.get(parameter.removesuffix("_option"))
        assert expected is None or expected in spellings, parameter
        assert not FOREIGN & set(spellings)
    by_spelling = {spelling: p for p, all_ in options.items() for spelling in all_}
    for parameter, spelling in OPTIONS.items():
        if spelling in by_spelling:
            assert by_spelling[spelling].removesuffix("_option") == parameter
    assert {"--quiet", "-q"} <= set(options["quiet"])
    assert {"--verbose", "-v"} <= set(options["verbose"])


@pytest.mark.parametrize("name", COMMANDS)
def test_numbers_have_a_largest(name: str) -> None:
    """An absurd number is refused before work begins, not after an hour of it."""
    for parameter in COMMANDS[name].params:
        if getattr(parameter, "min", None) is not None:
            assert getattr(parameter, "max", None) is not None, parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_what_is_needed_and_every_option(name: str) -> None:
    command = COMMANDS[name]
    assert "\nNeeds " in inspect.cleandoc(command.help or "")
    assert f"mirnagraph {name} " in (command.epilog or "")
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_writes_a_folder_can_replace_it(name: str) -> None:
    options = options_of(name)
    out = next((p for p in COMMANDS[name].params if p.name == "out"), None)
    if out is not None and "must be empty" in str(getattr(out, "help", "")):
        assert "overwrite" in options


@pytest.mark.parametrize("name", READ_A_RUN)
def test_the_newest_run_is_read_where_none_is_named(run, name: str) -> None:
    arguments = {p.name for p in COMMANDS[name].params if p.param_type_name == "argument"}
    assert any("--run" in s for s in options_of(name).values()) or "runs" in arguments
    words = {
        "compare": ["--baseline", "trees"],
        "seq compare": ["--baseline", "kmer"],
        "export": ["--out", "model"],
        "seq predict": ["--fasta", "x.fa"],
        "seq explain": ["--fasta", "x.fa", "--out", "why"],
    }
    Path("x.fa").write_text(">a\nACGU\n")
    ended = run(*name.split(), *words.get(name, []))
    assert ended.returncode == 3
    assert "runs: no finished run in this folder" in ended.stderr


def test_the_newest_run_is_compared_with_its_baselines(run, finished_run: Path) -> None:
    Path("runs").mkdir()
    Path("runs/mine").symlink_to(finished_run)
    words = ("--baseline", "own_trees", "--resamples", "100")
    newest = run("compare", *words)
    assert newest.returncode == 0, newest.stderr
    assert newest.stdout == run("compare", "runs/mine", *words).stdout
    alone = run("compare")
    assert (alone.returncode, "needs two runs or more, or a baseline" in alone.stderr) == (2, True)


@pytest.mark.parametrize("name", READ_WHAT_SHIPS)
def test_without_a_run_the_model_that_ships_answers(run, name: str) -> None:
    Path("list.txt").write_text("hsa-mir-21\nhsa-mir-155\n")
    words = {"enrich": ["list.txt"], "predict": ["hsa-miR-21-5p"], "explain": ["hsa-miR-21-5p"]}
    ended = run(name, *words[name])
    assert ended.returncode == 0, ended.stderr
    assert "Exosome" in ended.stdout
    assert "synthetic" not in ended.stderr


def test_verbose_shows_the_log_of_the_library(run) -> None:
    quiet = run("build-networks", "--out", "a")
    loud = run("build-networks", "--out", "b", "--verbose")
    assert quiet.returncode == loud.returncode == 0
    lines = [line for line in loud.stderr.splitlines() if " mirnagraph.networks.build: " in line]
    assert any("network sequence" in line for line in lines)
    assert " mirnagraph.networks.build: " not in quiet.stderr
    assert run("build-networks", "--out", "c", "-q").stderr == ""
    assert logging.getLogger("mirnagraph").handlers == []


def test_a_piped_command_writes_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(messages, "SECONDS_BETWEEN_LINES", 0.2)
    monkeypatch.setattr(messages, "_is_quiet", False)
    with messages.progress_bars() as progress:
        progress("Reading", 1, 5)
        time.sleep(0.5)
        progress("Reading", 2, 5)
        time.sleep(0.5)
        progress("Counting", 7, 0)
        time.sleep(0.5)
        progress("Reading", 5, 5)
        progress("Reading", 5, 5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Reading: 1/5 (0 s)")
    # one of five took half a second or a little more; three are left
    assert any(re.match(r"Reading: 2/5, about [2-4] s left", line) for line in lines)
    assert any(line.startswith("Counting: 7 (") for line in lines)
    assert lines[-1] == "Reading: 5/5"
    assert lines.count("Reading: 5/5") == 1
    with messages.progress_bars(shown=False) as none:
        assert none is None


def test_the_shell_completes_commands_and_options() -> None:
    code = "import sys; sys.argv[0] = 'mirnagraph'; from cli.main import main; main()"
    for words, expected in (
        ("mirnagraph enr", "enrich"),
        ("mirnagraph predict --comp", "--compartment"),
    ):
        environment = {
            **os.environ,
            "_MIRNAGRAPH_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            check=False,
        )
        assert expected in done.stdout.split(), done.stderr


def test_a_device_is_checked_and_hides_the_gpus(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("cli.common._has_gpu", lambda: os.environ["CUDA_VISIBLE_DEVICES"] != "9")
    wrong = run("seq", "predict", "--fasta", "x.fa", "--device", "tpu")
    assert wrong.returncode == 2
    assert "expected auto, cpu, cuda or cuda:N" in " ".join(wrong.stderr.split())
    for device, visible in (("auto", "0"), ("cuda", "0"), ("cuda:1", "1"), ("cpu", "")):
        run("seq", "predict", "--fasta", "x.fa", "--device", device)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    absent = run("seq", "predict", "--fasta", "x.fa", "--device", "cuda:9")
    assert (absent.returncode, "no such GPU" in " ".join(absent.stderr.split())) == (2, True)


def test_options_shared_by_commands_are_added_once() -> None:
    assert {command.name for command in seq_app.registered_commands} == {
        name.removeprefix("seq ") for name in COMMANDS if name.startswith("seq ")
    }
    for command in COMMANDS.values():
        names = [parameter.name for parameter in command.params]
        assert len(names) == len(set(names))


def test_every_output_is_checked_against_the_inputs() -> None:
    """A path whose help says that it is written is among the outputs of `cli.outputs`."""
    from cli.main import app
    from cli.outputs import OUTPUTS

    written = r"Output|Run folder; must|Folder for every figure|The same as FOLDER|Recipe|Dataset"
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    outputs = set()
    for command in (command for group in groups for command in group.registered_commands):
        assert command.callback is not None
        for name, hint in command.callback.__annotations__.items():
            option = getattr(hint, "__metadata__", (None,))[0]
            is_path = "pathlib.Path" in str(hint)
            if is_path and name not in OUTPUTS:
                assert not re.match(written, option.help or ""), (command.name, name)
            elif is_path:
                outputs.add(name)
    assert outputs == OUTPUTS
