"""Processes that torchrun started: the first runs the command, the others train with it.

The first process alone reads the data, writes files and prints. The others wait for a training and
get module and data from it, so that their machines need neither the files nor the run folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from mirnagraph import __version__
from mirnagraph.config import require
from mirnagraph.errors import ConfigError, InputError, MirnagraphError

LEAST_PROCESSES = 2
"""Processes that train together on a machine of any size."""

LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Environment variable that torchrun sets, as in Lightning's ``TorchElasticEnvironment``."""

LONGEST_WAIT = timedelta(days=30)
"""Longest time between two trainings, in which the first process fits baselines or trees."""

LOST = 1
"""Exit code of a process whose first process is gone; torchrun reports that one."""

PORT = "MASTER_PORT"
"""Environment variable of the port where processes meet; without it a free one is chosen."""

PORT_TAKEN = "EADDRINUSE"
"""In torch's error."""

_group: Any = None
_is_training = False


class Job(Protocol):
    """What all processes run together."""

    def run(self) -> None:
        """Run it in this process."""


@dataclass(frozen=True)
class End:
    """The end of the command.

    Attributes:
        code: its exit code.
    """

    code: int


def was_launched() -> bool:
    """Whether this process is one of several that torchrun started."""
    return LAUNCHED in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this process is the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def n_joined() -> int:
    """Return the number of processes that train together here; 0 outside `leading` and `follow`."""
    if _group is None:
        return 0
    from torch import distributed

    return int(distributed.get_world_size())


def count_devices(setting: int) -> int:
    """Return the number of processes of a training: those that torchrun started, if there are.

    Args:
        setting: the number of fresh processes; 0 for one per GPU, or one without a GPU or in an
            interactive session, which cannot start processes.

    Raises:
        ConfigError: more processes than GPUs on this machine; or than cores, where it has no GPU.
    """
    import torch

    n_gpus = torch.cuda.device_count()
    n_joined_here = n_joined() // n_machines()
    n_here = n_joined_here or setting
    if n_gpus and n_here:
        expected = f"at most {n_gpus}, the GPUs of this machine (none with --device cpu)"
        require(n_here <= n_gpus, "devices", n_here, expected)
    if not n_gpus:
        most = max(LEAST_PROCESSES, os.cpu_count() or 1)
        require(setting <= most, "devices", setting, f"at most {most}, the cores of this machine")
    is_interactive = hasattr(sys, "ps1")
    return n_joined() or setting or (1 if is_interactive else max(1, n_gpus))


def n_machines() -> int:
    """Return the number of machines of the processes that torchrun started."""
    n_local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, int(os.environ.get("WORLD_SIZE", "1")) // n_local)


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """Run a command as the first process: the others train with it until the block ends.

    Raises:
        ConfigError: the processes have different versions of the package.
    """
    _join()
    code = LOST
    try:
        yield
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
        raise
    finally:
        if not _is_training:  # else the others are not listening, and end with the connection
            with contextlib.suppress(RuntimeError):
                _broadcast(End(code))
        _leave()


def follow() -> int:
    """Train with the first process until its command ends: its exit code.

    Says nothing: the first process does.
    """
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(1)
    try:
        _join()
        while True:
            job = _broadcast(None)
            if isinstance(job, End):
                _leave()
                return job.code
            job.run()
    except MirnagraphError as error:
        return error.exit_code  # of a step that the first process took, too
    except RuntimeError as error:
        if not is_lost(error):
            rank = os.environ.get("RANK")
            sys.stderr.write(f"Error: process {rank} of the training: {error}\n")
        return LOST


@contextlib.contextmanager
def sent(job: Job) -> Iterator[None]:
    """Let the other processes run a job that this one, the first, runs in the block.

    Raises:
        InputError: see `explain_loss`.
    """
    global _is_training
    with explain_loss():
        _broadcast(job)
        _is_training = True
        yield
        _is_training = False


def read_once(read: Callable[[], Any]) -> Any:
    """Return, or raise, in every process what `read` does in the first one."""
    found: Any = None
    if is_first():
        try:
            found = read()
        except MirnagraphError as error:
            found = error
    found = _broadcast(found)
    if isinstance(found, MirnagraphError):
        raise found
    return found


@contextlib.contextmanager
def explain_loss() -> Iterator[None]:
    """Say in one sentence that another process of a training ended.

    An error of ours in a process that this one started is raised here.

    Raises:
        InputError: one did.
        ConfigError: the port where the processes would meet is taken.
    """
    from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

    try:
        yield
    except (ProcessException, RuntimeError) as error:
        ours = _OURS.search(str(error))
        if ours:
            raise InputError(ours.group(1).strip()) from None
        if PORT_TAKEN in str(error):
            port = os.environ.get(PORT, "")
            raise ConfigError(
                f"the port {port} is in use; unset {PORT} to get a free one"
            ) from None
        if not isinstance(error, ProcessExitedException) and not is_lost(error):
            raise
        raise InputError(
            "another process of this training was ended from outside, often for lack of memory",
            hint="the same command resumes with the last finished epoch",
        ) from None


_OURS = re.compile(rf"^{InputError.__module__}\.\w+: (.*)", re.MULTILINE | re.DOTALL)
"""Last line of a traceback that another process sent."""


def is_lost(error: BaseException) -> bool:
    """Whether an error of torch says that the connection to another process is gone."""
    text = str(error).lower()
    is_network = "gloo" in text or "nccl" in text or "socket" in text
    return is_network and any(word in text for word in ("clos", "reset", "refused", "timed out"))


def _join() -> None:
    """Meet the other processes at the address that torchrun gave to all."""
    global _group
    import torch
    from torch import distributed

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend)
    # training has the usual time limit; between trainings there is no news for hours
    _group = distributed.new_group(backend="gloo", timeout=LONGEST_WAIT)
    versions = [""] * distributed.get_world_size()
    distributed.all_gather_object(versions, __version__, group=_group)
    check_versions(versions)


def check_versions(versions: Sequence[str]) -> None:
    """Raise ConfigError, in every process, unless all have one version of the package.

    Args:
        versions: of each process.
    """
    if len(set(versions)) > 1:
        raise ConfigError(
            "processes of this training have different versions of mirnagraph: "
            f"{', '.join(sorted(set(versions)))}; install one version on all machines"
        )


def _leave() -> None:
    global _group
    from torch import distributed

    _group = None
    if not _is_training:
        with contextlib.suppress(RuntimeError, ValueError):
            distributed.destroy_process_group()


def _broadcast(value: Any) -> Any:
    """Return the value of the first process."""
    from torch import distributed

    values = [value]
    distributed.broadcast_object_list(values, src=0, group=_group)
    return values[0]
