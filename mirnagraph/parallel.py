"""Process pool with results that do not depend on the number of workers; progress callback."""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain, islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any, Protocol, TypeVar

from mirnagraph.errors import InputError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``; `done` grows from 0 to `total`."""

JobT = TypeVar("JobT")

ResultT = TypeVar("ResultT")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

JOBS_AHEAD = 2
"""Jobs of a stream that are begun at a time, for each worker."""

SECONDS_TO_END = 2
"""Longest wait for the end of a worker."""

TO_END = {
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}
"""Signals that ask a process to end."""

# Input of all jobs of a worker process, and the event that stops it; set once at its start.
_SHARED: Any = None

_STOP: Any = None


class Mapper(Protocol):
    """Where jobs run in place of processes of this machine."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Begin one job in one thread; return its future."""
        ...

    def as_finished(
        self, function: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any]
    ) -> Iterator[Any]:
        """Yield results as jobs finish, see `map_parallel`."""
        ...

    def in_order(
        self, function: Callable[[Any, Any], Any], shared: Any, jobs: Iterable[Any]
    ) -> Iterator[Any]:
        """Yield results in the order of the jobs, see `map_in_order`."""
        ...

    def folder(self, path: Path, *, is_written: bool = True) -> Path:
        """Path of a folder that jobs can open, see `job_folder`."""
        ...

    def check_answer(self, question: Callable[..., Any], *args: Any) -> None:
        """Raise where jobs would get another answer, see `check_job_answer`."""
        ...


class StoppedJob(RuntimeError):
    """A job ends early, since nobody waits for its result."""


_MAPPER: ContextVar[Mapper | None] = ContextVar("mapper", default=None)

_IS_STOPPED: ContextVar[Callable[[], bool] | None] = ContextVar("is_stopped", default=None)

logger = logging.getLogger(__name__)


def report(progress: Progress | None, step: str, done: int, total: int) -> None:
    """Call `progress` where there is one; a step without work is not reported.

    Start and end of a step are logged.

    Raises:
        StoppedJob: see `stop_where`.
    """
    is_stopped = _IS_STOPPED.get()
    if is_stopped is not None and is_stopped():
        raise StoppedJob(step)
    if total and done in (0, total):
        logger.info("%s: %s", step, "done" if done else "started")
    if progress is not None and total:
        progress(step, done, total)


@contextmanager
def stop_where(is_stopped: Callable[[], bool]) -> Iterator[None]:
    """Let the code inside end at its next `report` of progress once `is_stopped` says so."""
    before = _IS_STOPPED.set(is_stopped)
    try:
        yield
    finally:
        _IS_STOPPED.reset(before)


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
) -> Iterator[ProcessPoolExecutor | Mapper | None]:
    """Start a pool of fresh processes that each use one thread.

    Args:
        workers: processes.
        initializer: called once in each process.
        initargs: arguments of `initializer`.

    Yields:
        The pool, whose ``submit`` begins a job; None for a single worker, which needs no other
        process. Inside `use_mapper` that mapper, unless there is an initializer.
    """
    mapper = _MAPPER.get()
    if mapper is not None and initializer is None:
        yield mapper
        return
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
    """Let `map_parallel` and `map_in_order` run their jobs elsewhere, such as on a cluster.

    Args:
        mapper: such as that of `mirnagraph.runs.cluster`.
    """
    before = _MAPPER.set(mapper)
    try:
        yield
    finally:
        _MAPPER.reset(before)


def job_folder(path: str | Path, *, is_written: bool = True) -> Path:
    """Name a folder as jobs can open it, before the first of them begins.

    In processes of this machine that is the path as it is; inside `use_mapper` the absolute path,
    once every place where jobs run sees the folder.

    Args:
        path: of the folder, which need not be there where it is written.
        is_written: whether jobs write into it.

    Raises:
        ConfigError: a machine does not see the folder.
    """
    mapper = _MAPPER.get()
    return Path(path) if mapper is None else mapper.folder(Path(path), is_written=is_written)


def check_job_answer(question: Callable[..., Any], *args: Any) -> None:
    """Check that a function returns the same where jobs run as here, before the first begins.

    Args:
        question: of a module's top level, such as one that returns the sha256 of a file.
        *args: of `question`.

    Raises:
        ConfigError: a machine returns something else, or cannot.
    """
    mapper = _MAPPER.get()
    if mapper is not None:
        mapper.check_answer(question, *args)


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
        yield from mapper.as_finished(function, shared, jobs)
        return
    with _shared_pool(shared, min(workers, len(jobs))) as pool:
        if pool is None:
            for job in jobs:
                yield function(shared, job)
            return
        futures = [pool.submit(_call, function, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()


def map_in_order(
    function: Callable[[Any, JobT], ResultT], shared: Any, jobs: Iterable[JobT], workers: int
) -> Iterator[ResultT]:
    """Call ``function(shared, job)`` for a stream of jobs, each in one thread.

    Few jobs are read ahead, so that memory does not grow with their number. A stream of one job
    is done in this process. Inside `use_mapper` all jobs run where that says.

    Args:
        function: of a module's top level, so that a fresh process can import it.
        shared: input of all jobs, sent to every process once.
        jobs: one argument each.
        workers: processes.

    Yields:
        Results in the order of the jobs.
    """
    mapper = _MAPPER.get()
    if mapper is not None:
        yield from mapper.in_order(function, shared, jobs)
        return
    stream = iter(jobs)
    first = list(islice(stream, 2)) if workers > 1 else []
    with _shared_pool(shared, min(workers, len(first))) as pool:
        if pool is None:
            for job in chain(first, stream):
                with one_thread():
                    result = function(shared, job)
                yield result
            return

        def submit(job: JobT) -> Any:
            return pool.submit(_call, function, job)

        yield from results_in_order(submit, chain(first, stream), JOBS_AHEAD * workers)


def results_in_order(
    submit: Callable[[Any], Any], jobs: Iterable[Any], n_ahead: int
) -> Iterator[Any]:
    """Results of jobs in their order, with at most `n_ahead` of them begun and not yet taken.

    Args:
        submit: begins a job and returns its future.
        jobs: one argument each.
        n_ahead: 1 or more.
    """
    begun: deque[Any] = deque()
    for job in jobs:
        begun.append(submit(job))
        if len(begun) == n_ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


@contextmanager
def _shared_pool(shared: Any, workers: int) -> Iterator[ProcessPoolExecutor | Mapper | None]:
    """A pool whose processes hold an input of all jobs, for `_call`; None for one worker.

    Raises:
        InputError: one of its processes was ended from outside.
    """
    if workers <= 1:
        yield None
        return
    with _signals_held():
        stop = get_context("spawn").Event()  # starts the process that counts semaphores
    with one_thread_pool(workers, _start, (shared, stop)) as pool:
        try:
            yield pool
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
