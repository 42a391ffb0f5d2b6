"""Start of the command `mirnagraph`: Ctrl-C ends it quietly before it is loaded, too."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

SENTENCE = "\nInterrupted. Nothing was left half-written.\n"


LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Environment variable of processes that torchrun started."""


def main() -> None:
    """Run `cli.main.main`; an interrupt while modules are loaded or unloaded has code 130.

    In processes that torchrun started, run `cli.together.main`.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored
        signal.signal(signal.SIGINT, _leave)
    if LAUNCHED in os.environ:
        from cli.together import main as run
    else:
        from cli.main import main as run

    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is written before the handlers of `cli.end` are set."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        os.write(sys.__stderr__.fileno(), SENTENCE.encode())  # type: ignore[union-attr]
    os._exit(128 + number)


if __name__ == "__main__":
    main()
