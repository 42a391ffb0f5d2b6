"""Jobs on a Dask cluster in place of local processes; needs the extra ``scale``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

from mirnagraph.errors import ConfigError, InputError, import_extra
from mirnagraph.parallel import one_thread, use_mapper

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
    """Run every `mirnagraph.parallel.map_parallel` inside on the workers of a Dask scheduler.

    Results are those of local processes, bit for bit.

    Args:
        address: such as ``tcp://HOST:8786``.

    Raises:
        MissingExtraError, ConfigError: see `connect`.
    """
    with connect(address) as client, use_mapper(partial(map_on_cluster, client=client)):
        yield


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


def map_on_cluster(
    function: Callable[[Any, Any], ResultT], shared: Any, jobs: Sequence[Any], client: Any
) -> Iterator[ResultT]:
    """Call ``function(shared, job)`` for every job on the workers of a cluster.

    `shared` is sent to every worker once. A job whose worker is lost starts again on another one.

    Args:
        function: of a module's top level.
        shared: input of all jobs.
        jobs: one argument each.
        client: of `connect`.

    Yields:
        Results in the order in which jobs finish.

    Raises:
        InputError: a job lost its worker more than `RETRIES` times.
    """
    distributed = import_extra("distributed", EXTRA, "a cluster of workers")
    # a list, since a scattered tuple or dict would be taken apart
    sent = client.scatter([shared], broadcast=True, hash=False)[0]
    call = partial(_call, function)
    futures = [client.submit(call, sent, job, pure=False, retries=RETRIES) for job in jobs]
    try:
        with client.as_current():
            finished = distributed.as_completed(futures)
        for future in finished:
            try:
                yield future.result()
            except distributed.KilledWorker as error:
                raise InputError(
                    f"a job lost its worker {RETRIES} times: {error}; finished ones are kept"
                ) from None
    finally:
        client.cancel(futures)


def _call(function: Callable[[Any, Any], ResultT], shared: Any, job: Any) -> ResultT:
    with one_thread():
        return function(shared, job)
