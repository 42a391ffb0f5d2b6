"""Commands of README and documentation: their options exist, they run, and outputs are as shown.

Blocks that begin with ```console hold commands after ``$`` and what they write. They are run, page
by page, in an empty folder; a block with a title is a file of that folder. The words ``slow`` and
``real`` after ``console`` mark blocks that take longer, or need the public data.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from documented import FILES, PAGES, ROOT, TIERS, Block, agree, blocks, differences, mentioned

from cli.main import app

SHELL = ("cut", "head", "ls")
"""Other commands that a page may run."""

PAST = ("docs/experiments.md", "docs/decisions.md")
"""Pages of what was done once: options may have been removed since."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [p for p in PAGES if name(p) not in PAST], ids=name)
def test_every_command_exists_with_its_options(page: Path) -> None:
    wrong = []
    for line, words in mentioned(page):
        problem = misspelt(words)
        if problem:
            wrong.append(f"{name(page)}:{line}: mirnagraph {' '.join(words)}: {problem}")
    assert not wrong, "\n".join(wrong)


def misspelt(words: list[str]) -> str:
    """What is wrong with a command and its options; empty where nothing is."""
    command = typer.main.get_command(app)
    path = ["mirnagraph"]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0].isupper():
            return ""  # stands for any command
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        path.append(words[0])
        command = command.commands[words[0]]
        words = words[1:]
    known = {"--help", "-h", "--install-completion", "--show-completion"}
    for parameter in command.params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    options = [word.split("=")[0] for word in words if word.startswith("-") and word != "-"]
    unknown = [option for option in options if option not in known and not is_number(option)]
    return f"no option {', '.join(unknown)}" if unknown else ""


def is_number(word: str) -> bool:
    return word.lstrip("-").replace(".", "").isdigit()


def pages_of(tier: str) -> list[Path]:
    """Pages with a block of a tier."""
    has_tier = {
        page: {block.tier for block in blocks(page) if block.language == "console"}
        for page in PAGES
    }
    return [page for page in PAGES if tier in has_tier[page]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a line of a page in an empty folder: exit code, stdout and stderr."""
    from cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))

    def run(line: str) -> tuple[int, str, str]:
        if not line.startswith("mirnagraph "):
            assert line.split()[0] in SHELL, line
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
            )
            return done.returncode, done.stdout, done.stderr
        import shlex

        monkeypatch.setattr(sys, "argv", shlex.split(line))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def run_page(page: Path, tier: str, call: Callable[[str], tuple[int, str, str]]) -> int:
    """Run the blocks of a page up to a tier, in order, and compare what they write: commands."""
    n_commands = 0
    wanted = TIERS[: TIERS.index(tier) + 1]
    for folder in FILES.findall(page.read_text(encoding="utf-8")):
        shutil.copytree(ROOT / folder, Path.cwd(), dirs_exist_ok=True)
    for block in blocks(page):
        if block.language == "console" and block.tier in wanted:
            n_commands += run_block(block, call)
        elif block.title:
            Path(block.title).write_text(block.text + "\n", encoding="utf-8")
    return n_commands


def run_block(block: Block, call: Callable[[str], tuple[int, str, str]]) -> int:
    for line, shown in block.steps:
        code, stdout, stderr = call(line)
        where = f"{name(block.page)}:{block.line}: {line}"
        assert code == 0, f"{where}\nexit code {code}\n{stderr}"
        wrong = differences(shown, stdout, stderr)
        assert not wrong, f"{where}\n{wrong}"
    return len(block.steps)


@pytest.mark.parametrize("page", pages_of("fast"), ids=name)
def test_a_page_runs(page: Path, call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    assert run_page(page, "fast", call) > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_of("slow"), ids=name)
def test_a_page_that_takes_longer_runs(page: Path, call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    assert run_page(page, "slow", call) > 0


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("page", pages_of("real"), ids=name)
def test_a_page_on_the_public_data_runs(
    page: Path, call, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNAGRAPH_DATA", str(real_data))
    assert run_page(page, "real", call) > 0


def test_lines_agree_up_to_blanks_elisions_and_the_last_digits() -> None:
    assert agree("a  b\tc", "a b c")
    assert agree("AUC 0.780 ± 0.023", "AUC 0.785 ± 0.020")
    assert not agree("AUC 0.780", "AUC 0.810")
    assert not agree("200 RNAs", "201 RNAs")
    assert agree("a … d", "a b c d")
    assert not agree("a … d", "a b c")
    assert agree("rnas.fa … sequences", "rnas.fa 78 sequences")
    assert not agree("a b", "a b c")


def test_what_is_written_must_be_shown_or_elided() -> None:
    assert differences(["a", "…"], "a\nb\n", "") == ""
    assert differences(["a"], "a\nb\n", "") != "", "b is not shown"
    assert differences(["a", "c"], "a\nb\n", "") != "", "c is not written"
    assert differences(["…", "b"], "a\nb\n", "") == ""
    assert differences(["done", "a"], "a\n", "working\ndone\n") == "", "messages may be left out"
    assert differences(["a"], "a\n", "done\n") == ""


def test_an_option_that_does_not_exist_is_found() -> None:
    assert misspelt(["predict", "--ids", "list.txt"]) == ""
    assert misspelt(["predict", "--idz", "list.txt"]) == "no option --idz"
    assert misspelt(["seq", "train", "--tower", "long"]) == ""
    assert misspelt(["seq", "predikt"]) == "no command predikt"


def test_the_walk_throughs_have_three_and_four_commands() -> None:
    """What the pages promise in their titles."""

    def calls(page: str) -> list[str]:
        steps = [step for block in blocks(ROOT / page) for step, _ in block.steps]
        return [line.split()[1] for line in steps if line.startswith("mirnagraph ")]

    assert calls("docs/names.md") == ["predict", "explain", "enrich"]
    assert calls("docs/own-tables.md") == ["build-dataset", "build-networks", "train", "predict"]
