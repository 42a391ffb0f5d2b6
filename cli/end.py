"""How a command ends: exit codes, signals, streams, and the letters that a terminal can print."""

from __future__ import annotations

import codecs
import contextlib
import faulthandler
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType

DONE = 0

BUG = 1

WRONG_USE = 2

BAD_DATA = 3

LOCKS = "mirnagraph.writing.locks"
"""Module of locks, which a command that writes nothing does not load."""

NARROWEST = 20
"""Fewest columns of help texts and tables."""

WIDTH_OF_FILES = "160"
"""Columns of help texts and tables that no terminal shows: nothing in them is cut."""

SECONDS_TO_UNWIND = 10
"""Longest wait for the clean-up after a signal, before the process ends itself."""

WORDS = {"SIGINT": "Interrupted", "SIGTERM": "Terminated", "SIGHUP": "The terminal was closed"}

ASCII = str.maketrans(
    {
        "…": "...",
        "–": "-",
        "—": "-",
        "−": "-",
        "×": "x",
        "±": "+/-",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "•": "*",
        "│": "|",
        "─": "-",
        "╭": "+",
        "╮": "+",
        "╰": "+",
        "╯": "+",
    }
)

_is_ending = False

_is_said = False

_watcher: threading.Timer | None = None


class Signalled(BaseException):
    """A signal that asks the command to end; no handler of errors takes it for one.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell reports of a command that a signal ended."""
        return 128 + self.number


class ReaderGone(BaseException):
    """The reader of the standard output, such as ``head``, has ended."""


@contextlib.contextmanager
def catch_signals() -> Iterator[None]:
    """Raise `Signalled` for the signals that ask to end; one that is ignored stays so (nohup)."""
    global _is_ending, _is_said, _watcher
    if LOCKS in sys.modules:  # an earlier command of this process
        sys.modules[LOCKS].begin_command()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in WORDS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if _watcher is not None:
            _watcher.cancel()
        _watcher = None
        _is_ending = False
        _is_said = False


def _raise(number: int, frame: FrameType | None) -> None:
    global _is_ending, _watcher
    if _is_ending:  # asked twice
        end_now(number)
    _is_ending = True
    _watcher = threading.Timer(SECONDS_TO_UNWIND, end_now, (number,))
    _watcher.daemon = True
    _watcher.start()
    raise Signalled(number)


def end_now(number: int) -> None:
    """End the process after a signal, with its children and temporary files, whatever it is at."""
    if os.environ.get("MIRNAGRAPH_DEBUG"):
        faulthandler.dump_traceback(all_threads=True)
    say_end(Signalled(number))
    clean_up()
    os._exit(128 + number)


def say_end(error: Signalled) -> None:
    """Say once that a signal ended the command, and what is kept."""
    global _is_said
    if _is_said:
        return
    _is_said = True
    locks = sys.modules.get(LOCKS)
    is_run = locks is not None and locks.was_listed()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"\n{sentence_of(error, is_run=is_run)}\n")
        sys.stderr.flush()


def clean_up() -> None:
    """End the processes that this one started; remove temporary files, and give back locks."""
    if "mirnagraph.writing" not in sys.modules:
        return  # nothing was written
    from mirnagraph.parallel import end_workers
    from mirnagraph.writing.locks import unlock_all
    from mirnagraph.writing.temporary import remove_temporaries

    end_workers()
    remove_temporaries()
    unlock_all()


def sentence_of(error: Signalled, *, is_run: bool) -> str:
    """What is said of a command that a signal ended.

    Args:
        error: the signal.
        is_run: whether a run folder was being written.
    """
    word = WORDS[signal.Signals(error.number).name]
    if is_run:
        return f"{word}. Finished folds are saved; run the same command to resume."
    return f"{word}. Nothing was left half-written."


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Raise `ReaderGone` for a closed pipe, which click would end with code 1."""
    try:
        yield
    except BrokenPipeError:
        raise ReaderGone from None


def prepare_streams() -> None:
    """Write a replacement for what the encoding of a stream cannot hold, never a traceback."""
    codecs.register_error("mirnagraph", _replacement)
    fill_streams()
    warnings.formatwarning = _warning
    if not is_terminal(sys.stdout):
        os.environ.setdefault("COLUMNS", WIDTH_OF_FILES)
    if not is_width(os.environ.get("COLUMNS", WIDTH_OF_FILES)):
        os.environ["COLUMNS"] = WIDTH_OF_FILES
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="mirnagraph")  # type: ignore[union-attr]


def _warning(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as one line, without the place in the program that it comes from."""
    return f"Warning: {printable(str(message))}\n"


def fill_streams() -> None:
    """Put something into the place of streams that were closed before the start (``>&-``).

    No file that is opened later takes their numbers, into which libraries and other processes
    would write. Reading standard input, or writing standard output, fails as the system says it;
    what goes to standard error is dropped.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, flags)  # takes the lowest number that is free
    try:
        os.write(2, b"")
    except OSError:  # open for reading alone
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)


def is_width(text: str) -> bool:
    """Whether a text is a number of columns in which help texts and tables can be read.

    >>> is_width("80"), is_width("0"), is_width("abc"), is_width("99999999")
    (True, False, False, False)
    """
    return re.fullmatch("[0-9]{2,3}", text) is not None and int(text) >= NARROWEST


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal; one that was closed is none."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def leave_stream(stream: object) -> None:
    """Send what a stream still holds to nowhere, so that the end of Python says nothing."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]
        os.close(nowhere)


def leave_if_gone() -> None:
    """Drop what cannot be written any more, so that the end of Python says nothing of it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            leave_stream(stream)


def printable(text: str) -> str:
    r"""Text for a terminal: control characters as escapes, line ends as they are.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text
    )


def is_text(word: str) -> bool:
    r"""Whether a word of the command line is UTF-8, as tables, reports and libraries need it.

    >>> is_text("hsa-mir-21"), is_text("\udcff")
    (True, False)
    """
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
