"""Process pool with equal numbers for any worker count; progress callback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, TypeVar

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``; `done` grows from 0 to `total`."""

Job = TypeVar("Job")

Answer = TypeVar("Answer")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# What a worker process works on, and whether it shall go on; set once when it starts.
_SHARED: Any = None

_STOP: Any = None


def report(progress: Progress | None, step: str, done: int, total: int) -> None:
    """Call `progress` where there is one."""
    if progress is not None:
        progress(step, done, total)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and the linear algebra libraries: sums in another order give other bits."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_thread_pool(
    workers: int, initializer: Any = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of fresh processes that each use one thread; None for a single worker, which needs no other process."""
    if workers <= 1:
        yield None
        return
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read by a child when it loads numpy
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(initializer, initargs),
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _end_with_parent() -> None:
    """For workers: end as soon as the process that started this one does, so that a killed run leaves no one behind who writes into its folder."""
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _begin(initializer: Any, initargs: tuple[Any, ...]) -> None:
    _end_with_parent()
    if initializer is not None:
        initializer(*initargs)


def map_parallel(
    function: Callable[[Any, Job], Answer], shared: Any, jobs: Sequence[Job], workers: int
) -> Iterator[Answer]:
    """``function(shared, job)`` of every job, as they end; in this process where one worker or one job makes another pointless.

    Args:
        function: of a module's top level, so that a fresh process finds it.
        shared: sent to every process once.
        workers: processes.
    """
    stop = get_context("spawn").Event()
    with one_thread_pool(min(workers, len(jobs)), _start, (shared, stop)) as pool:
        if pool is None:
            for job in jobs:
                yield function(shared, job)
            return
        try:
            for future in as_completed([pool.submit(_call, function, job) for job in jobs]):
                yield future.result()
        finally:
            stop.set()  # jobs that already wait in a worker's queue cannot be cancelled, but need not be begun


def _start(shared: Any, stop: Any) -> None:
    global _SHARED, _STOP
    _SHARED = shared
    _STOP = stop


def _call(function: Callable[[Any, Job], Answer], job: Job) -> Answer:
    if _STOP.is_set():
        raise RuntimeError("stopped before it began")
    return function(_SHARED, job)
