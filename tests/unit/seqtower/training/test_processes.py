"""Processes of torchrun: who is one, and what is said of one that is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from cli import together
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from seqtower.training import processes
from seqtower.training.lightning import EarlierSignals


def test_processes_of_torchrun_are_known_by_their_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert not processes.was_launched()
    assert processes.is_first()
    assert processes.n_machines() == 1
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert not processes.was_launched(), "a single process"
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "3")
    assert processes.was_launched()
    assert not processes.is_first()
    assert processes.n_machines() == 3
    assert processes.n_joined() == 0, "launched, but not joined"


def raised(text: str) -> ProcessRaisedException:
    """What torch raises for an error of a process that it started."""
    trace = f"\n\n-- Process 0 terminated with the following error:\nTraceback …\n{text}\n"
    return ProcessRaisedException(trace, 0, 7)


GLOO = "[/build/third_party/gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:7221"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError(GLOO), "another process of this training was ended from outside"),
        (raised(f"RuntimeError: {GLOO}"), "another process of this training was ended"),
        (ProcessExitedException("killed", 1, 7, -9, "SIGKILL"), "another process of this train"),
        (raised("mirnagraph.errors.CheckpointError: x: damaged; found y"), "^x: damaged; found y$"),
    ],
)
def test_a_lost_process_is_one_sentence(error: Exception, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence), processes.explain_loss():
        raise error


def test_a_taken_port_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_PORT", "29500")
    text = "torch.distributed.DistNetworkError: failed to listen. port: 29500, name: EADDRINUSE"
    sentence = "^the port 29500 is in use; unset MASTER_PORT"
    with pytest.raises(ConfigError, match=sentence), processes.explain_loss():
        raise raised(text)


def test_a_training_keeps_what_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Any] = ["of the command"]
    monkeypatch.setattr("signal.getsignal", lambda _: handlers[-1])
    monkeypatch.setattr("signal.signal", lambda _, handler: handlers.append(handler))
    kept = EarlierSignals()
    kept.on_fit_start(None, None)
    handlers.append("of Lightning")
    kept.on_train_start(None, None)
    assert handlers[-1] == "of the command"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shapes do not fit, all is closed"), raised("KeyError: 'x'"), ValueError()],
)
def test_other_errors_are_not_explained_away(error: Exception) -> None:
    with pytest.raises(type(error)) as found, processes.explain_loss():
        raise error
    assert found.value is error


def test_what_the_first_process_reads_or_raises_all_do(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(processes, "_broadcast", lambda value: sent.append(value) or value)
    assert processes.read_once(lambda: 5) == 5

    def fail() -> None:
        raise CheckpointError("damaged checkpoint")

    with pytest.raises(CheckpointError, match="damaged"):
        processes.read_once(fail)
    assert isinstance(sent[1], CheckpointError), "the others get the error"
    monkeypatch.setenv("RANK", "1")
    processes.read_once(fail)
    assert sent[2] is None, "another process reads nothing itself"


def following(monkeypatch: pytest.MonkeyPatch, *jobs: Any) -> int:
    """Exit code of a process that is sent some jobs."""
    waiting = list(jobs)
    for name in ("_join", "_leave"):
        monkeypatch.setattr(processes, name, lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(processes, "_broadcast", lambda _: waiting.pop(0))
    code = processes.follow()
    assert not waiting
    return code


class Job:
    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run


def failing(error: Exception) -> Job:
    def run() -> None:
        raise error

    return Job(run)


def test_processes_have_one_version_of_the_package() -> None:
    processes.check_versions(["0.1.0", "0.1.0"])
    with pytest.raises(ConfigError, match=r"versions of mirnagraph: 0\.1\.0, 0\.2\.0; install one"):
        processes.check_versions(["0.2.0", "0.1.0", "0.2.0"])


def test_an_error_of_joining_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def join() -> None:
        processes.check_versions(["0.2.0", "0.1.0"])

    monkeypatch.setattr(processes, "_join", join)
    monkeypatch.setattr(together, "was_launched", lambda: True)
    monkeypatch.setattr("sys.argv", ["mirnagraph", "seq", "train"])
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            together.main()
        assert ended.value.code == ConfigError("").exit_code
    assert capsys.readouterr().err.count("Error: ") == 1, "the first process says it"


def test_the_others_end_as_the_first_process_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[int] = []
    job = Job(lambda: done.append(1))
    assert following(monkeypatch, job, job, processes.End(3)) == 3
    assert done == [1, 1]
    assert following(monkeypatch, failing(InputError("bad"))) == 3
    assert following(monkeypatch, failing(RuntimeError(GLOO))) == 1
    assert capsys.readouterr().err == ""
    assert following(monkeypatch, failing(RuntimeError("out of memory"))) == 1
    assert capsys.readouterr().err.count("out of memory") == 1


@pytest.mark.parametrize(("left", "code"), [(0, 0), (3, 3), (None, 0), (KeyError("x"), 1)])
def test_the_end_of_the_command_is_sent(
    left: Any, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    for name in ("_join", "_leave"):
        monkeypatch.setattr(processes, name, lambda: None)
    monkeypatch.setattr(processes, "_broadcast", sent.append)

    def lead(error: BaseException) -> None:
        with processes.leading():
            raise error

    error = left if isinstance(left, KeyError) else SystemExit(left)
    with pytest.raises(type(error)):
        lead(error)
    assert sent == [processes.End(code)]
    monkeypatch.setattr(processes, "_is_training", True)
    with pytest.raises(SystemExit):
        lead(SystemExit(3))
    assert len(sent) == 1, "in a training the others end with the connection"
