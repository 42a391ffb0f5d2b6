"""The example of docs/howto/python.md: a network from two small tables, with mirnagraph alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "python.md"
BLOCKS = GUIDE.read_text(encoding="utf-8").split("```python\n")[1:]
EXAMPLE = next(block for block in BLOCKS if "smith_waterman" in block).split("```")[0]


def test_the_example_runs_and_joins_each_family() -> None:
    names: dict = {}
    exec(EXAMPLE, names)
    joined = {(0, 1), (1, 0), (2, 3), (3, 2)}
    for matrix in (names["by_sequence"], names["by_disease"]):
        assert set(zip(*(part.tolist() for part in matrix.nonzero()), strict=True)) == joined
    assert names["by_disease"].toarray()[2, 3] == 1.0
    assert names["vectors"].shape == (4, 16)
    assert 0.5 < names["by_disease"].toarray()[0, 1] < 1


@pytest.mark.slow
def test_the_example_loads_neither_torch_nor_the_other_rooms(tmp_path: Path) -> None:
    code = (
        EXAMPLE + "\nimport sys\n"
        "print(sorted({'torch', 'seqtower', 'fusion', 'cli', 'typer'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
