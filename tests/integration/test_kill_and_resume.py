"""Killed commands resume with results that are equal bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def assert_equal_after(project: Path, name: str, *more: str) -> None:
    """Send two signals to a command at random moments, and resume it."""
    script = project / "benchmarks" / "kill_and_resume.py"
    words = [sys.executable, str(script), "--kills", "2", "--only", name, *more]
    env = os.environ | {"PYTHONPATH": str(project)}
    ended = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, "2 resumed equal" in ended.stdout) == (0, True), ended


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "seq train", "tune", "build-networks"])
def test_killed_commands_resume_equal(project: Path, name: str) -> None:
    """Two kills of each here; `make stress` has twenty."""
    assert_equal_after(project, name, "--signals", "KILL")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "tune"])
def test_interrupted_commands_resume_equal(project: Path, name: str) -> None:
    assert_equal_after(project, name, "--signals", "INT", "TERM")


@pytest.mark.slow
def test_the_earlier_run_is_whole_after_kills_of_one_that_replaces_it(project: Path) -> None:
    assert_equal_after(project, "tune", "--overwrite")
