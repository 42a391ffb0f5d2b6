"""A Dask scheduler and workers on the loopback address, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Cluster(NamedTuple):
    """Address of a scheduler, its process, and those of its workers."""

    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


def spawn(place: Path, *words: str) -> subprocess.Popen:
    """A module of Python in a process of its own, working in a folder."""
    here = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), here])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def running_cluster(place: Path) -> Iterator[Cluster]:
    """A scheduler with two workers of one thread each, whose folder is `place`."""
    from distributed import Client

    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    at_port = ("--host", "127.0.0.1", "--port", str(port))
    scheduler = spawn(place, "distributed.cli.dask_scheduler", *at_port, "--no-dashboard")
    worker = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
    how = ("--no-nanny", "--local-directory", str(place))
    workers = [spawn(place, *worker, *how) for _ in range(2)]
    try:
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield Cluster(address, scheduler, workers)
    finally:
        for process in (scheduler, *workers):
            process.kill()
            process.wait()
