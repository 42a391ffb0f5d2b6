"""Two Dask workers beside one: blocks of alignments, and folds of a training.

`python benchmarks/dask_workers.py [--sequences 6000] [--folds 4]`; workers are processes of this
machine with one thread each, started before the clock. Needs the extra ``scale``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distributed import LocalCluster

from fusion.config import experiment_config
from fusion.data.prepare import resolve_tokens
from fusion.data.rna_sets import folds_of, prepare_all
from fusion.experiments.cross_validate import cross_validate
from mirnagraph.networks.build import build_networks
from mirnagraph.parallel import map_parallel
from mirnagraph.runs.cluster import on_cluster
from mirnagraph.seeds import generator
from mirnagraph.similarity.nearest import nearest_sequences
from mirnagraph.synthetic import demo_dataset


def _load(_shared: None, _job: int) -> None:
    """Import what the jobs need, so that the clock does not count it."""
    time.sleep(1)  # a job for each worker


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Send jobs to local workers, which have loaded the package."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as started,
        on_cluster(started.scheduler_address),
    ):
        list(map_parallel(_load, None, list(range(4 * workers)), 1))
        yield


def seconds_of(work: Callable[[], Any], workers: int) -> float:
    """Wall time of some work on so many workers."""
    with cluster(workers):
        work()  # workers import what it needs
        start = time.perf_counter()
        work()
        return time.perf_counter() - start


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=6000)
    parser.add_argument("--folds", type=int, default=4)
    given = parser.parse_args()
    rng = generator(0, "sequences")
    lengths = rng.integers(60, 120, given.sequences)
    texts = ["".join(rng.choice(list("ACGU"), length)) for length in lengths]
    networks = build_networks(demo_dataset())
    config = resolve_tokens(networks, experiment_config("default", None, n_folds=given.folds))
    data = prepare_all(networks, config)
    folds = folds_of(networks.dataset, config)
    for name, work in (
        (f"blocks of {given.sequences} sequences", lambda: nearest_sequences(texts, 20)),
        (f"{given.folds} folds of the demo", lambda: cross_validate(data, folds, config)),
    ):
        one, two = (seconds_of(work, workers) for workers in (1, 2))
        print(f"{name}: one worker {one:.1f} s, two {two:.1f} s, ratio {one / two:.2f}", flush=True)


if __name__ == "__main__":
    main()
