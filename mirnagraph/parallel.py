"""Process pool with results that do not depend on the number of workers; progress callback."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, TypeVar

from mirnagraph.errors import InputError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``; `done` grows from 0 to `total`."""

JobT = TypeVar("JobT")

ResultT = TypeVar("ResultT")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

SECONDS_TO_END = 2
"""Longest wait for the end of a worker."""

TO_END = {
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}
"""Signals that ask a process to end."""

# Input of all jobs of a worker process, and the event that stops it; set once at its start.
_SHARED: Any = None

_STOP: Any = None

Mapper = Callable[[Callable[[Any, Any], Any], Any, Sequence[Any]], Iterator[Any]]

_MAPPER: ContextVar[Mapper | None] = ContextVar("mapper", default=None)

logger = logging.getLogger(__name__)


def report(progress: Progress | None, step: str, done: int, total: int) -> None:
    """Call `progress` where there is one; a step without work is not reported.

    Start and end of a step are logged.
    """
    if total and done in (0, total):
        logger.info("%s: %s", step, "done" if done else "started")
    if progress is not None and total:
        progress(step, done, total)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and the linear algebra libraries in one thread, so that sums keep their order."""
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
    """Start a pool of fresh processes that each use one thread.

    Args:
        workers: processes.
        initializer: called once in each process.
        initargs: arguments of `initializer`.

    Yields:
        The pool; None for a single worker, which needs no other process.
    """
    if workers <= 1:
        yield None
        return
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read by a child when it loads numpy
    pool = _Pool(
        workers,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(initializer, initargs),
    )
    try:
        yield pool
    except (Exception, GeneratorExit):
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    except BaseException:  # a signal: what the workers are at is not waited for
        end_workers()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        pool.shutdown(wait=True)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def end_workers() -> None:
    """End the processes that this one started."""
    children = active_children()
    for child in children:
        child.kill()  # they take no other signal; what they were writing is removed with the locks
    for child in children:
        child.join(SECONDS_TO_END)


class _Pool(ProcessPoolExecutor):
    """A pool whose processes leave signals to the process that started them."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a job; processes that this starts are born with signals blocked."""
        with _signals_held():
            return super().submit(*args, **kwargs)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals wait, so that they reach this process afterwards, and its new children never.

    Ctrl-C reaches every process of a terminal; without this, a worker that is still importing
    would answer with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TO_END)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _begin(initializer: Any, initargs: tuple[Any, ...]) -> None:
    # A worker ends with its parent, so that none of a killed run writes into its folder.
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


@contextmanager
def use_mapper(mapper: Mapper) -> Iterator[None]:
    """Let `map_parallel` run its jobs elsewhere, such as on a cluster (`mirnagraph.runs.cluster`).

    Args:
        mapper: called as ``mapper(function, shared, jobs)``; yields results as jobs finish.
    """
    before = _MAPPER.set(mapper)
    try:
        yield
    finally:
        _MAPPER.reset(before)


def map_parallel(
    function: Callable[[Any, JobT], ResultT], shared: Any, jobs: Sequence[JobT], workers: int
) -> Iterator[ResultT]:
    """Call ``function(shared, job)`` for every job; in this process for one worker or one job.

    Inside `use_mapper` all jobs run where that says, whatever `workers` is.

    Args:
        function: of a module's top level, so that a fresh process can import it.
        shared: input of all jobs, sent to every process once.
        jobs: one argument each.
        workers: processes.

    Yields:
        Results in the order in which jobs finish.
    """
    mapper = _MAPPER.get()
    if mapper is not None:
        yield from mapper(function, shared, jobs)
        return
    with _signals_held():
        stop = get_context("spawn").Event()  # starts the process that counts semaphores
    with one_thread_pool(min(workers, len(jobs)), _start, (shared, stop)) as pool:
        if pool is None:
            for job in jobs:
                yield function(shared, job)
            return
        try:
            futures = [pool.submit(_call, function, job) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise InputError(
                "a worker process was ended from outside, often for lack of memory",
                hint="use fewer --workers; finished folds are saved, and the same command resumes",
            ) from None
        finally:
            # jobs in a worker's queue cannot be cancelled, but need not start
            stop.set()


def _start(shared: Any, stop: Any) -> None:
    global _SHARED, _STOP
    _SHARED = shared
    _STOP = stop


def _call(function: Callable[[Any, JobT], ResultT], job: JobT) -> ResultT:
    if _STOP.is_set():
        raise RuntimeError("stopped before its start")
    return function(_SHARED, job)
