"""Parallel jobs: equal results with one and two processes, errors, environment restored."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from mirnagraph.parallel import (
    THREADS,
    StoppedJob,
    check_job_answer,
    job_folder,
    map_in_order,
    map_parallel,
    report,
    results_in_order,
    stop_where,
)


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
    assert list(map_parallel(_times, 3, [1, 2, 3, 4], 1)) == [3, 6, 9, 12]
    assert sorted(map_parallel(_times, 3, [1, 2, 3, 4], 2)) == [3, 6, 9, 12]
    assert {name: os.environ.get(name) for name in THREADS} == before


def test_after_an_error_no_further_job_begins(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first job fails"):
        list(map_parallel(_fails_first, str(tmp_path), list(range(40)), 2))
    assert len(list(tmp_path.iterdir())) < 20


def _slow_at_first(factor: int, job: int) -> tuple[int, int]:
    time.sleep(0.5 if job == 0 else 0)
    return factor * job, os.getpid()


def test_a_stream_of_jobs_keeps_its_order_in_other_processes() -> None:
    here = list(map_in_order(_slow_at_first, 3, iter(range(6)), 1))
    assert here == [(3 * job, os.getpid()) for job in range(6)]
    there = list(map_in_order(_slow_at_first, 3, iter(range(6)), 2))
    assert [result for result, _ in there] == [result for result, _ in here]
    assert os.getpid() not in {process for _, process in there}
    assert list(map_in_order(_slow_at_first, 3, iter([2]), 2)) == [(6, os.getpid())]
    assert list(map_in_order(_slow_at_first, 3, iter([]), 2)) == []


def test_a_stream_is_read_only_a_few_jobs_ahead() -> None:
    read: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(100):
            read.append(job)
            yield job

    def submit(job: int) -> Future[int]:
        future: Future[int] = Future()
        future.set_result(10 * job)
        return future

    results = results_in_order(submit, jobs(), 4)
    assert [next(results), len(read)] == [0, 4]
    assert [next(results), len(read)] == [10, 5]
    assert list(results) == [10 * job for job in range(2, 100)]


RUN = """
import os, sys, time
from pathlib import Path
from mirnagraph.parallel import map_parallel

def write_and_wait(folder, job):
    (Path(folder) / f"{os.getpid()}.pid").touch()
    time.sleep(600)

if __name__ == "__main__":
    list(map_parallel(write_and_wait, sys.argv[1], [1, 2], 2))
"""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not (
        state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z"
    )  # ended, but no one asked


def test_workers_end_when_the_run_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    run = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    workers: list[int] = []
    for _ in range(600):
        if len(workers := [int(path.stem) for path in tmp_path.glob("*.pid")]) == 2:
            break
        time.sleep(0.1)
    assert len(workers) == 2
    assert all(_alive(process) for process in workers)
    run.kill()
    run.wait()
    for _ in range(100):
        if not any(_alive(process) for process in workers):
            break
        time.sleep(0.1)
    assert not any(_alive(process) for process in workers)


def test_a_step_without_work_is_not_reported() -> None:
    steps: list[tuple[str, int, int]] = []
    for total in (0, 2):
        report(lambda *step: steps.append(step), "graph transformers", 0, total)
    report(None, "no callback", 0, 1)
    assert steps == [("graph transformers", 0, 2)]


def test_a_job_that_nobody_waits_for_ends_at_its_next_report() -> None:
    asked: list[str] = []
    with stop_where(lambda: len(asked) == 1):
        report(None, "first", 0, 2)
        asked.append("stop")
        with pytest.raises(StoppedJob, match="second"):
            report(None, "second", 1, 2)
    report(None, "third", 2, 2)


def test_jobs_of_this_machine_open_folders_as_they_are_named() -> None:
    assert job_folder("runs/a") == Path("runs/a")
    check_job_answer(os.getpid)  # asks nobody
