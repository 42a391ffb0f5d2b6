"""Large FASTA files are read in memory that does not grow with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_large_fasta_is_read_in_constant_memory(project: Path) -> None:
    """60 MB here; `make stress` reads 2 GB."""
    script = project / "benchmarks" / "large_fasta.py"
    words = [sys.executable, str(script), "--megabytes", "60", "--most", "30"]
    env = os.environ | {"PYTHONPATH": str(project)}
    ended = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
