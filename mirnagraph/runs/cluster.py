"""Jobs on a Dask cluster in place of local processes; needs the extra ``scale``."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakSet

from mirnagraph import __version__
from mirnagraph.errors import ConfigError, InputError, MirnagraphError, import_extra
from mirnagraph.parallel import (
    JOBS_AHEAD,
    one_thread,
    results_in_order,
    stop_where,
    use_mapper,
)
from mirnagraph.runs.folder import package_versions
from mirnagraph.writing.disk import explain_disk
from mirnagraph.writing.temporary import new_temporary, remove_temporary

EXTRA = "scale"

CONNECT_SECONDS = 10

PEERS = ("distributed", "dask", "cloudpickle")
"""Packages that carry jobs and results, beside those that results depend on."""

ELSEWHERE = "give a folder that all machines mount at the same path, or leave out the scheduler"

ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


def jobs_on(scheduler: str | None) -> AbstractContextManager[None]:
    """`on_cluster` where an address is given; otherwise nothing changes."""
    return nullcontext() if scheduler is None else on_cluster(scheduler)


@contextmanager
def on_cluster(address: str) -> Iterator[None]:
    """Run the jobs of `mirnagraph.parallel` inside on the workers of a Dask scheduler.

    Results are those of local processes, bit for bit.

    Args:
        address: such as ``tcp://HOST:8786``.

    Raises:
        MissingExtraError, ConfigError: see `connect`.
        InputError: a job lost its worker more often than the scheduler allows, or the scheduler
            ended.
    """
    distributed = import_extra("distributed", EXTRA, "a cluster of workers")
    lost = (distributed.client.FutureCancelledError, distributed.comm.CommClosedError)
    try:
        with connect(address) as client, use_mapper(ClusterMapper(client)):
            yield
    except distributed.KilledWorker as error:
        raise InputError(
            f"a job lost its worker {error.allowed_failures} times: {error}; finished ones are kept"
        ) from None
    except lost as error:
        # which would say so at length, with tracebacks, until it gives up
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        reason = getattr(error, "reason", "connection lost")
        raise InputError(
            f"the scheduler at {address!r} lost a job ({reason})",
            hint="finished ones are kept, and the same command resumes",
        ) from None


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Connect to a Dask scheduler whose workers have this version of the package.

    Args:
        address: such as ``tcp://HOST:8786``.

    Yields:
        A ``distributed.Client``.

    Raises:
        MissingExtraError: distributed is not installed.
        ConfigError: the address does not answer within `CONNECT_SECONDS`, has no worker, or has
            workers with another version of the package or without it.
            Other packages of other versions are named in a warning.
    """
    distributed = import_extra("distributed", EXTRA, "a cluster of workers")
    _check_scheduler(distributed, address)
    with warnings.catch_warnings():
        # versions are compared below
        warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    with client:
        _check_workers(client, address)
        _check_threads(client)
        yield client


def _check_scheduler(distributed: Any, address: str) -> None:
    """Raise ConfigError where no scheduler says in time that it is one."""

    async def ask() -> Any:
        given = distributed.Security().get_connection_args("client")
        peer = distributed.rpc(address, timeout=CONNECT_SECONDS, connection_args=given)
        async with peer:
            return await peer.identity()

    async def ask_in_time() -> Any:
        return await asyncio.wait_for(ask(), CONNECT_SECONDS)

    try:
        # in a thread, since a notebook has a loop of its own here
        with ThreadPoolExecutor(1) as thread:
            kind = thread.submit(asyncio.run, ask_in_time()).result()["type"]
    except Exception as error:  # whatever is there may send anything
        reason = str(error).split("\n")[0]
        if isinstance(error, TimeoutError) and not reason:
            reason = f"nothing came within {CONNECT_SECONDS} s"
        elif not isinstance(error, OSError | ValueError | TypeError):
            reason = f"what is there speaks otherwise: {type(error).__name__}"
        raise _unanswered(address, reason) from None
    if kind != "Scheduler":
        raise _unanswered(address, f"it is that of a {kind}")


def _unanswered(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"no Dask scheduler answers at {address!r} ({reason}); start one with `dask scheduler` "
        "and workers with `dask worker ADDRESS`"
    )


def _check_workers(client: Any, address: str) -> None:
    """Check that there are workers, with this version of the package.

    Other packages of other versions are named in a warning.

    Raises:
        ConfigError: no worker, or one with another version of the package or without it.
    """
    ours = _versions()
    answers = _ask(client, _versions)
    if not answers:
        raise ConfigError(f"the scheduler at {address!r} has no worker; `dask worker` starts one")
    others = {}
    for worker, theirs in answers.items():
        differing = [name for name in ours if theirs.get(name) != ours[name]]
        if "mirnagraph" in differing:
            raise ConfigError(
                f"the worker {worker} has mirnagraph {theirs.get('mirnagraph')}, this process "
                f"{ours['mirnagraph']}: install one version on all machines"
            )
        if differing:
            pairs = [f"{name} {theirs.get(name)} (here {ours[name]})" for name in differing]
            others[worker] = ", ".join(pairs)
    if others:
        worker = next(iter(others))
        more = f", and {len(others) - 1} more differ" if len(others) > 1 else ""
        logger.warning(
            "the worker %s has %s%s: results may differ from those of one process",
            worker,
            others[worker],
            more,
        )


def _check_threads(client: Any) -> None:
    """Warn of workers with several threads, of which the jobs use one."""
    idle = {worker: n for worker, n in client.nthreads().items() if n > 1}
    if idle:
        worker, n = next(iter(idle.items()))
        logger.warning(
            "the worker %s has %d threads, but does one job at a time: start it with "
            "--nthreads 1 --nworkers %d",
            worker,
            n,
            n,
        )


def _versions() -> dict[str, str]:
    """Versions of the packages that results depend on, and of `PEERS`; of Python two numbers."""
    found = package_versions() | {name: version(name) for name in PEERS}
    found["python"] = ".".join(found["python"].split(".")[:2])
    return found


def _ask(client: Any, question: Callable[..., ResultT], *args: Any) -> dict[str, ResultT]:
    """Call a function on every worker; return what it returns, by address and machine.

    Raises:
        ConfigError: a worker lacks the package, or cannot answer.
    """
    answers: dict[str, ResultT] = {}
    returned: Mapping[str, Any] = client.run(_answer, question, *args, on_error="return")
    for worker, answer in sorted(returned.items()):
        if isinstance(answer, BaseException):
            reason = str(answer).split("\n")[0]
            raise ConfigError(
                f"the worker {worker} has no mirnagraph, or another version of it, or is lost "
                f"({reason}): install one version on all machines"
            )
        machine, refusal, found = answer
        title = f"{worker} ({machine})"
        if refusal is not None:
            raise ConfigError(f"the worker {title} cannot do the jobs: {refusal}")
        answers[title] = found
    return answers


def _answer(question: Callable[..., ResultT], *args: Any) -> tuple[str, str | None, ResultT | None]:
    """Name of this machine, why a question has no answer, and the answer."""
    try:
        return platform.node(), None, question(*args)
    except MirnagraphError as error:
        return platform.node(), str(error), None


def _is_writable_file(path: str) -> bool:
    return os.path.isfile(path) and os.access(os.path.dirname(path), os.W_OK)


def _sizes(path: str) -> dict[str, int] | None:
    """Bytes of the files of a folder by name; None where there is no folder."""
    if not os.path.isdir(path):
        return None
    return {entry.name: entry.stat().st_size for entry in os.scandir(path) if entry.is_file()}


@dataclass(frozen=True)
class ClusterMapper:
    """Jobs on the workers of a cluster, each in one thread.

    The shared input of jobs is sent to every worker once. A job whose worker is lost starts again
    on another one.

    Attributes:
        client: of `connect`.
    """

    client: Any

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Begin one job; return its future."""
        return self.client.submit(_call, __version__, function, *args, pure=False)

    def as_finished(
        self, function: Callable[[Any, Any], ResultT], shared: Any, jobs: Sequence[Any]
    ) -> Iterator[ResultT]:
        """Yield results as jobs finish, see `mirnagraph.parallel.map_parallel`."""
        distributed = import_extra("distributed", EXTRA, "a cluster of workers")
        with self._submitting(function, shared) as submit:
            futures = [submit(job) for job in jobs]
            with self.client.as_current():
                finished = distributed.as_completed(futures)
            for future in finished:
                result = future.result()
                future.release()  # else the cluster keeps it until the last job ends
                yield result

    def in_order(
        self, function: Callable[[Any, Any], ResultT], shared: Any, jobs: Iterable[Any]
    ) -> Iterator[ResultT]:
        """Yield results in the order of the jobs, see `mirnagraph.parallel.map_in_order`."""
        n_workers = len(self.client.nthreads())
        with self._submitting(function, shared) as submit:
            yield from results_in_order(submit, jobs, JOBS_AHEAD * max(n_workers, 1))

    def folder(self, path: Path, *, is_written: bool = True) -> Path:
        """Absolute path of a folder, see `mirnagraph.parallel.job_folder`.

        Raises:
            ConfigError: a worker does not see the folder, or cannot write into it.
            InputError: the folder cannot be written here.
        """
        place = Path(os.path.abspath(path))
        if not is_written:
            return self._folder_to_read(place)
        parents = (parent for parent in (place, *place.parents) if parent.is_dir())
        with explain_disk(place):
            token = new_temporary(next(parents), place)  # the folder itself may be made later
        try:
            answers = _ask(self.client, _is_writable_file, str(token))
        finally:
            remove_temporary(token)
        for worker, is_shared in answers.items():
            if not is_shared:
                raise ConfigError(
                    f"the worker {worker} does not see the folder {place} of this machine, or "
                    f"cannot write into it: {ELSEWHERE}"
                )
        return place

    def _folder_to_read(self, place: Path) -> Path:
        ours = _sizes(str(place))
        for worker, theirs in _ask(self.client, _sizes, str(place)).items():
            if theirs != ours:
                raise ConfigError(
                    f"the worker {worker} does not see the files of the folder {place} of this "
                    f"machine: {ELSEWHERE}"
                )
        return place

    def check_answer(self, question: Callable[..., Any], *args: Any) -> None:
        """Compare what a question returns, see `mirnagraph.parallel.check_job_answer`.

        Raises:
            ConfigError: a worker answers otherwise, or cannot.
        """
        ours = question(*args)
        for worker, theirs in _ask(self.client, question, *args).items():
            if theirs != ours:
                raise ConfigError(
                    f"the worker {worker} has other files than this machine: {theirs} in place of "
                    f"{ours}; put the same files on all machines"
                )

    def _send(self, shared: Any) -> Any:
        """The shared input of jobs as the result of a job, which all workers ask for.

        Scattered data would be lost with the worker that holds it.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            # inside a function, since a tuple or dict would be taken apart
            return self.client.submit(lambda: shared, pure=False, key=f"shared-{uuid4()}")

    @contextmanager
    def _submitting(
        self, function: Callable[[Any, Any], ResultT], shared: Any
    ) -> Iterator[Callable[[Any], Any]]:
        """A function that begins a job; jobs that are left at the end are cancelled."""
        sent = self._send(shared)
        begun: WeakSet[Any] = WeakSet()

        def submit(job: Any) -> Any:
            future = self.submit(function, sent, job)
            begun.add(future)
            return future

        try:
            yield submit
        finally:
            with suppress(OSError):  # a scheduler that is gone has no jobs
                self.client.cancel(list(begun))


_ONE_JOB = Lock()
"""Held by the job of a worker process: seeds and numbers of threads are those of a process."""


def _call(ours: str, function: Callable[..., ResultT], *args: Any) -> ResultT:
    """Run a job; `ours` is the version of the process that sent it.

    Raises:
        ConfigError: this worker joined after `connect` and has another version.
    """
    if ours != __version__:
        raise ConfigError(
            f"a worker on {platform.node()} that joined late has mirnagraph {__version__}, the "
            f"command {ours}: install one version on all machines; the same command resumes"
        )
    with _ONE_JOB, one_thread(), stop_where(_cancelled_here()):
        return function(*args)


def _cancelled_here() -> Callable[[], bool]:
    """Whether nobody waits any longer for the job of this thread of a worker."""
    from distributed.worker import get_worker, thread_state

    worker = get_worker()
    key = thread_state.key

    def is_cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return is_cancelled
