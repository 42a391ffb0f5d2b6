"""Clusters that cannot do the jobs: no scheduler, other workers, a folder out of sight, an end."""

from __future__ import annotations

import http.server
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from dask_processes import Cluster, free_port, running_cluster
from scipy import sparse

from mirnagraph import __version__
from mirnagraph.embedding.node2vec import Node2VecConfig, node2vec
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.parallel import (
    check_job_answer,
    job_folder,
    map_in_order,
    map_parallel,
    report,
)
from mirnagraph.runs import cluster
from mirnagraph.runs.cluster import connect, on_cluster
from mirnagraph.runs.folder import package_versions
from mirnagraph.seeds import generator
from mirnagraph.similarity import nearest
from mirnagraph.similarity.nearest import nearest_sequences
from mirnagraph.walks.graph import store_walk_graph, walk_graph

pytest.importorskip("distributed", reason="the extra scale is not installed")

OUT_OF_SIGHT = Path("/proc/self/cwd")
"""A path of this process, which leads a worker to its own folder."""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, of which no test of the module ends one."""
    with running_cluster(tmp_path_factory.mktemp("dask")) as processes:
        yield processes


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def answered(host: str, value: object) -> tuple[str, str | None, object]:
    return host, None, value


def workers(**answers: object) -> SimpleNamespace:
    """A client of workers that answer so."""
    return SimpleNamespace(run=lambda *_args, **_how: answers)


def rnas(n: int) -> list[str]:
    rng = generator(0, "rnas")
    return ["".join(rng.choice(list("ACGU"), rng.integers(30, 60))) for _ in range(n)]


def count_up(shared: str, job: int) -> int:
    """Write a number that grows, with a report of progress after each."""
    for number in range(600):
        Path(shared, str(job)).write_text(str(number))
        time.sleep(0.02)
        report(None, "steps", number, 600)
    return job


def end_the_first(shared: str, job: int) -> int:
    """The first job ends its worker, once, when it is the last one; all return their number."""
    marker = Path(shared, "ended")
    if job == 0 and not marker.exists():
        marker.touch()
        time.sleep(4)  # Dask lets go of copies that nobody waits for every 2 s
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def refuse(shared: str, job: int) -> int:
    with Path(shared).open("a") as stream:
        stream.write(f"{job}\n")
    raise InputError("a job that cannot be done", found=job)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1", "missing port"),
        ("127.0.0.1:1", r"Timed out|nothing came"),
        ("tcp://127.0.0.1:0", r"Timed out|nothing came"),
        ("tcp://127.0.0.1:99999", r"Timed out|nothing came"),
        ("tcp://127.0.0.1:port", "invalid literal"),
        ("http://127.0.0.1:1", "unknown address scheme"),
        ("tls://127.0.0.1:1", "TLS configuration"),
        ("tcp://[::1]:1", r"Timed out|nothing came"),
        ("tcp://::1:1", "ipv6 needs brackets"),
        ("tcp://a\nb:1", r"Timed out|nothing came"),
    ],
)
def test_an_address_without_a_scheduler_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    with (
        pytest.raises(
            ConfigError, match=rf"no Dask scheduler answers at .* \(.*(?:{reason})"
        ) as error,
        connect(address),
    ):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["silent", "talking", "web"])
def test_a_port_of_something_else_is_one_sentence_in_time(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    handler = http.server.BaseHTTPRequestHandler
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web,
    ):
        port = web.server_port if kind == "web" else listening.getsockname()[1]
        if kind == "web":
            threading.Thread(target=web.serve_forever, daemon=True).start()
        if kind == "talking":
            threading.Thread(target=_greet, args=[listening], daemon=True).start()
        begun = time.monotonic()
        with (
            pytest.raises(ConfigError, match="no Dask scheduler answers at"),
            on_cluster(f"tcp://127.0.0.1:{port}"),
        ):
            pass
        assert time.monotonic() - begun < 10
        if kind == "web":
            web.shutdown()


def _greet(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"SSH-2.0-OpenSSH_9.0\r\n" * 9)
        time.sleep(1)


def test_workers_of_other_versions_are_named(caplog: pytest.LogCaptureFixture) -> None:
    ours = cluster._versions()
    answers = {"a:1": answered("n1", ours), "b:2": answered("n2", ours | old("mirnagraph"))}
    with pytest.raises(ConfigError, match=r"worker b:2 \(n2\) has mirnagraph 0\.0\.9, this"):
        cluster._check_workers(workers(**answers), "tcp://s:0")
    assert not caplog.messages
    answers["b:2"] = answered("n2", ours | old("numpy"))
    cluster._check_workers(workers(**answers), "tcp://s:0")
    numpy = package_versions()["numpy"]
    assert caplog.messages == [
        f"the worker b:2 (n2) has numpy 0.0.9 (here {numpy}): results may differ from those of "
        "one process"
    ]


def old(package: str) -> dict[str, str]:
    return {package: "0.0.9"}


def test_a_cluster_without_workers_or_package_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="has no worker"):
        cluster._check_workers(workers(), "tcp://s:0")
    lacking = ModuleNotFoundError("No module named 'mirnagraph'\nmore")
    with pytest.raises(ConfigError, match=r"a:1 has no mirnagraph, .* \(No .*'\): install one"):
        cluster._check_workers(workers(**{"a:1": lacking}), "tcp://s:0")


def test_a_worker_with_several_threads_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    cluster._check_threads(SimpleNamespace(nthreads=lambda: {"a:1": 1, "b:2": 8}))
    assert len(caplog.messages) == 1
    assert "b:2 has 8 threads, but does one job at a time" in caplog.messages[0]


def test_threads_of_a_worker_do_one_job_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_cancelled_here", lambda: lambda: False)
    now: list[int] = []
    most: list[int] = []

    def job() -> None:
        now.append(1)
        most.append(len(now))
        time.sleep(0.05)
        now.pop()

    threads = [threading.Thread(target=cluster._call, args=[__version__, job]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_a_worker_of_another_version_that_joins_late_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"joined late has mirnagraph .*, the command 0\.0\.9: "):
        cluster._call("0.0.9", list)


def test_a_job_that_lost_its_workers_is_one_sentence(monkeypatch) -> None:
    from distributed import KilledWorker

    monkeypatch.setattr(cluster, "connect", nullcontext)
    lost = KilledWorker("fold-3", SimpleNamespace(address="tcp://w:1"), 3)
    sentence = r"a job lost its worker 3 times: .*fold-3"
    with pytest.raises(InputError, match=sentence), on_cluster("tcp://s:0"):
        raise lost


@pytest.mark.slow
def test_a_command_says_that_no_scheduler_answers(run, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    for words in (("train", "--out", "r"), ("build-networks", "--out", "r")):
        done = run(*words, "--scheduler", address, "-q")
        assert done.returncode == 2
        assert f"no Dask scheduler answers at '{address}'" in done.stderr
        assert "Traceback" not in done.stderr
        assert not Path("r").exists()


@pytest.mark.slow
def test_the_address_of_a_worker_is_no_scheduler(started: Cluster) -> None:
    with connect(started.address) as client:
        worker = next(iter(client.nthreads()))
    with pytest.raises(ConfigError, match="it is that of a Worker"), connect(worker):
        pass


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("ablate", "--config", "quick.toml", "--fold", "2", "--repeats", "1"),
        ("tune", "--nested", "--config", "quick.toml", "--fold", "2", "--space", "space.toml"),
        ("seq", "train", "--tower", "rnatracker", "--fold", "2", "--no-baselines"),
    ],
)
def test_a_folder_that_a_worker_does_not_see_is_one_sentence(
    started: Cluster, run, quick, words: tuple[str, ...]
) -> None:
    quick()
    Path("space.toml").write_text("[space]\nmix.extra_trees = [0.5, 1.0]\n")
    before = sorted(path.name for path in Path().iterdir())
    out = str(OUT_OF_SIGHT / "there")
    done = run(*words, "--out", out, "--scheduler", started.address, "-q")
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("Error: the worker tcp://127.0.0.1:") == 1
    assert f"does not see the folder {out} of this machine" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in Path().iterdir()) == before


@needs_proc
@pytest.mark.slow
def test_files_that_a_worker_does_not_see_are_one_sentence(
    started: Cluster, in_empty_folder: Path
) -> None:
    ring = sparse.csr_array(sparse.eye_array(9, k=1) + sparse.eye_array(9, k=-1))
    store_walk_graph(walk_graph(ring), "ring")
    config = Node2VecConfig(dim=4, n_walks=2, walk_length=5, epochs=1)
    alone = node2vec("ring", config, 0)
    with on_cluster(started.address):
        assert job_folder("ring", is_written=False) == in_empty_folder / "ring"
        assert job_folder("new/there") == in_empty_folder / "new" / "there"
        assert not Path("new").exists()
        np.testing.assert_array_equal(node2vec("ring", config, 0), alone)
        with pytest.raises(ConfigError, match=r"the worker .* does not see the files of the fol"):
            node2vec(OUT_OF_SIGHT / "ring", config, 0)
        check_job_answer(package_versions)
        with pytest.raises(ConfigError, match=r"the worker .* has other files than this machine"):
            check_job_answer(os.getpid)
    assert job_folder("ring") == Path("ring")


@pytest.mark.slow
def test_jobs_of_a_command_that_ends_are_stopped(
    started: Cluster, tmp_path: Path, interruptible: None
) -> None:
    from distributed import Client

    with on_cluster(started.address):
        results = map_in_order(count_up, str(tmp_path), iter(range(8)), 1)
        threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            next(results)
    deadline = time.monotonic() + 20
    with Client(started.address, set_as_default=False) as client:
        while any(client.processing().values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0
    time.sleep(0.5)
    numbers = [path.read_text() for path in sorted(tmp_path.iterdir())]
    assert 0 < len(numbers) < 8
    time.sleep(0.5)
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == numbers
    assert max(map(int, numbers)) < 599


@pytest.mark.slow
def test_what_jobs_share_outlives_a_worker(tmp_path: Path) -> None:
    with running_cluster(tmp_path) as processes, on_cluster(processes.address):
        results = list(map_in_order(end_the_first, str(tmp_path), iter(range(6)), 1))
    assert results == list(range(6))
    assert (tmp_path / "ended").exists()


@pytest.mark.slow
def test_a_job_that_cannot_be_done_is_begun_once(started: Cluster, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with on_cluster(started.address), pytest.raises(InputError, match="found 7"):
        list(map_parallel(refuse, str(begun), [7], 1))
    assert begun.read_text() == "7\n"


@pytest.mark.slow
def test_a_lost_scheduler_loses_no_finished_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nearest, "BLOCK", 20)
    sequences = rnas(160)
    alone = nearest_sequences(sequences, 5)
    with running_cluster(tmp_path) as lost:

        def end(_step: str, done: int, _total: int) -> None:
            if done > 0:
                lost.scheduler.kill()

        how = {"scheduler": lost.address, "store": tmp_path / "blocks", "progress": end}
        with pytest.raises(InputError) as error:
            nearest_sequences(sequences, 5, **how)
    assert re.search(r"lost a job \(.*connection.*\); finished ones are kept", str(error.value))
    assert capfd.readouterr().err == ""
    finished = len(list((tmp_path / "blocks").glob("*.safetensors")))
    assert 0 < finished < 36
    resumed: list[int] = []
    result = nearest_sequences(
        sequences,
        5,
        store=tmp_path / "blocks",
        progress=lambda _step, done, _total: resumed.append(done),
    )
    assert (result != alone).nnz == 0
    assert len(resumed) == 36 - finished + 1
