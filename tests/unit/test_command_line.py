"""What a shell hands to a command: words, streams, folders, terminals."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from cli import end, outputs, silence
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.reading.text import read_text

ROOT = Path(__file__).resolve().parent.parent.parent


def started(words: str, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    """Run ``mirnagraph`` as a shell starts it."""
    main = "import sys; from cli.main import main; sys.exit(main())"
    line = f'exec "{sys.executable}" -c "{main}" {words}'
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", line], capture_output=True, cwd=tmp_path, env=env)


def test_closed_streams_are_sentences_or_nothing(tmp_path: Path) -> None:
    told = started("--version >&-", tmp_path)
    sentence = b"Error: the standard output could not be written: Bad file descriptor\n"
    assert (told.returncode, told.stderr) == (3, sentence)
    silent = started("--version 2>&- <&-", tmp_path)
    assert (silent.returncode, silent.stdout[:11]) == (0, b"mirnagraph ")


def test_an_error_that_cannot_be_written_keeps_its_code(tmp_path: Path) -> None:
    for stream in ("/dev/full", "&-"):
        assert started(f"predict --rna= 2>{stream}", tmp_path).returncode == 2
    with open(os.devnull) as readable:
        main = "import sys; from cli.main import main; sys.exit(main())"
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", main, "predict", "--rna="]
        assert subprocess.run(words, stderr=readable, env=env, cwd=tmp_path).returncode == 2


def test_names_that_are_not_utf8_are_refused_before_anything(tmp_path: Path) -> None:
    ended = started("predict $'syn\\xff'", tmp_path)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"Error: a name that is not UTF-8: syn\\xff; rename it")


def test_a_closed_standard_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match=r"^standard input: closed$"):
        read_text("-")


@pytest.mark.parametrize(
    ("columns", "expected"), [("0", "160"), ("99999999", "160"), ("x", "160"), ("100", "100")]
)
def test_a_width_that_shows_nothing_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, columns: str, expected: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    end.prepare_streams()
    assert os.environ["COLUMNS"] == expected


def test_a_folder_that_is_gone_or_not_utf8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/data/\udcff")
    with pytest.raises(ConfigError, match=r"not UTF-8: /data/\\udcff"):
        outputs.check_paths("predict", {})

    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    with pytest.raises(ConfigError, match="the current folder was removed"):
        outputs.check_paths("predict", {})


def test_thresholds_are_no_input(tmp_path: Path) -> None:
    """`predict --ids o.tsv.thresholds.json --out o.tsv` would write over its input."""
    (tmp_path / "o.tsv.thresholds.json").write_text("syn-mir-0001\n")
    values = {"ids": tmp_path / "o.tsv.thresholds.json", "out": tmp_path / "o.tsv"}
    with pytest.raises(InputError, match=r"--out FILE.thresholds.json and --ids .* are the same"):
        outputs.check_paths("predict", values)
    outputs.check_paths("compare", values)  # writes none


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "speaks", "expected"),
    [(Terminal(), False, [silence.TEXT]), (Terminal(), True, []), (io.StringIO(), False, [])],
    ids=["silent", "speaking", "no terminal"],
)
def test_a_silent_command_says_on_a_terminal_that_it_works(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, speaks: bool, expected: list[str]
) -> None:
    monkeypatch.setattr(silence, "SECONDS", 0.02)
    monkeypatch.setattr(sys, "stderr", stream)
    said: list[str] = []
    with silence.broken_by(said.append):
        if speaks:
            silence.has_spoken()
        for _ in range(100):
            if said:
                break
            time.sleep(0.005)
    assert said == expected


@pytest.mark.parametrize(
    "text", ["[enforce fail] can't allocate memory: you tried to", "CUDA out of memory. Tried to"]
)
def test_an_array_without_room_is_one_sentence(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.main import _explained

    assert _explained(RuntimeError(text)) == end.BAD_DATA
    assert capsys.readouterr().err.startswith("Error: not enough memory; use fewer --workers")
    assert _explained(RuntimeError("another")) == end.BUG


def test_a_warning_is_one_line_without_a_place_in_the_program() -> None:
    end.prepare_streams()
    text = warnings.formatwarning("no\x1b[31m label", UserWarning, "/x/arguments.py", 47, "call()")
    assert text == "Warning: no\\x1b[31m label\n"


def test_a_name_with_control_characters_is_shown_as_escapes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cli import messages

    messages.set_quiet(False)
    messages.say("unknown: a\x1b[31mb")
    assert capsys.readouterr().err == "unknown: a\\x1b[31mb\n"
