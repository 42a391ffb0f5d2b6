"""Jobs on a Dask cluster in place of local processes; needs the extra ``scale``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar
from weakref import WeakSet

from mirnagraph.errors import ConfigError, InputError, import_extra
from mirnagraph.parallel import JOBS_AHEAD, one_thread, results_in_order, use_mapper

EXTRA = "scale"

CONNECT_SECONDS = 10

RETRIES = 3
"""How often a job is started again whose worker was lost."""

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
        InputError: a job lost its worker more than `RETRIES` times.
    """
    distributed = import_extra("distributed", EXTRA, "a cluster of workers")
    with connect(address) as client, use_mapper(ClusterMapper(client)):
        try:
            yield
        except distributed.KilledWorker as error:
            raise InputError(
                f"a job lost its worker {RETRIES} times: {error}; finished ones are kept"
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
        ConfigError: the address does not answer, has no worker, or has workers with another
            version of the package or without it.
    """
    distributed = import_extra("distributed", EXTRA, "a cluster of workers")
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler` "
            "and workers with `dask worker ADDRESS`"
        ) from None
    with client:
        _check_workers(client, address)
        yield client


def _check_workers(client: Any, address: str) -> None:
    """Raise ConfigError where there is no worker, or one with another version of the package."""
    ours = version("mirnagraph")
    try:
        found = client.run(_package_version)
    except ImportError as error:
        raise ConfigError(f"a worker of {address!r} lacks the package: {error}") from None
    if not found:
        raise ConfigError(f"the scheduler at {address!r} has no worker; `dask worker` starts one")
    for worker, theirs in sorted(found.items()):
        if theirs != ours:
            raise ConfigError(
                f"the worker {worker} has mirnagraph {theirs}, this process {ours}: install one "
                "version on all machines"
            )


def _package_version() -> str:
    """Version of the package where this is called."""
    return version("mirnagraph")


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
        return self.client.submit(_call, function, *args, pure=False, retries=RETRIES)

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
                yield future.result()

    def in_order(
        self, function: Callable[[Any, Any], ResultT], shared: Any, jobs: Iterable[Any]
    ) -> Iterator[ResultT]:
        """Yield results in the order of the jobs, see `mirnagraph.parallel.map_in_order`."""
        n_threads = sum(self.client.nthreads().values())
        with self._submitting(function, shared) as submit:
            yield from results_in_order(submit, jobs, JOBS_AHEAD * max(n_threads, 1))

    @contextmanager
    def _submitting(
        self, function: Callable[[Any, Any], ResultT], shared: Any
    ) -> Iterator[Callable[[Any], Any]]:
        """A function that begins a job; jobs that are left at the end are cancelled."""
        # a list, since a scattered tuple or dict would be taken apart
        sent = self.client.scatter([shared], broadcast=True, hash=False)[0]
        begun: WeakSet[Any] = WeakSet()

        def submit(job: Any) -> Any:
            future = self.submit(function, sent, job)
            begun.add(future)
            return future

        try:
            yield submit
        finally:
            self.client.cancel(list(begun))


def _call(function: Callable[..., ResultT], *args: Any) -> ResultT:
    with one_thread():
        return function(*args)
