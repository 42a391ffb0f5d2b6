"""Jobs side by side in processes of one thread each, which get what they share once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# What a worker process works on, and whether it shall go on; set once when it starts.
_SHARED: Any = None
_STOP: Any = None


def side_by_side(function: Callable[[Any, Job], Answer], shared: Any, jobs: Sequence[Job], workers: int) -> Iterator[Answer]:
    """``function(shared, job)`` of every job, as they end; in this process where one worker or one job makes another pointless.

    Args:
        function: of a module's top level, so that a fresh process finds it.
        shared: sent to every process once.
        workers: processes.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield function(shared, job)
        return
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_start, initargs=(shared, stop))
    try:
        for future in as_completed([pool.submit(_call, function, job) for job in jobs]):
            yield future.result()
    finally:
        stop.set()  # jobs that already wait in a worker's queue cannot be cancelled, but need not be begun
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _start(shared: Any, stop: Any) -> None:
    global _SHARED, _STOP
    _SHARED, _STOP = shared, stop


def _call(function: Callable[[Any, Job], Answer], job: Job) -> Answer:
    if _STOP.is_set():
        raise RuntimeError("stopped before it began")
    return function(_SHARED, job)
