"""Jobs side by side: the same answers with one process and with two, an error ends them, and the environment is as before."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mirnagraph.side_by_side import THREADS, side_by_side


def _times(shared: int, job: int) -> int:
    return shared * job


def _fails_first(shared: str, job: int) -> int:
    (Path(shared) / str(job)).touch()
    if job == 0:
        raise ValueError("the first job fails")
    time.sleep(0.3)
    return job


def test_one_process_and_two_give_the_same() -> None:
    before = {name: os.environ.get(name) for name in THREADS}
    assert list(side_by_side(_times, 3, [1, 2, 3, 4], 1)) == [3, 6, 9, 12]
    assert sorted(side_by_side(_times, 3, [1, 2, 3, 4], 2)) == [3, 6, 9, 12]
    assert {name: os.environ.get(name) for name in THREADS} == before


def test_after_an_error_no_further_job_begins(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first job fails"):
        list(side_by_side(_fails_first, str(tmp_path), list(range(40)), 2))
    assert len(list(tmp_path.iterdir())) < 20
