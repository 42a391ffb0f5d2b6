"""What a machine runs out of: memory, open files, processes, a place for temporary files."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

MEMORY = "not enough memory; use fewer --workers, or a smaller input"

FILES = "too many open files; use fewer --workers, or raise the limit (`ulimit -n`)"

PROCESSES = "no further thread or process can be started; use fewer --workers"

NO_TEMPORARY = "No usable temporary directory found in"
"""What Python says where it finds no folder for temporary files."""

_NUMBERS = {
    errno.ENOMEM: MEMORY,
    errno.EMFILE: FILES,
    errno.ENFILE: FILES,
}

# What libraries say of it, as errors of import, of their own, or of no number.
_WORDS = (
    (re.compile("too many open files", re.IGNORECASE), FILES),
    (
        # the system of a new process; a stream that would block has other words
        re.compile("can't start new thread|resource temporarily unavailable", re.IGNORECASE),
        PROCESSES,
    ),
    (
        re.compile(
            r"(not|n't) (enough|allocate) (memory|block)|out of memory|bad_alloc|"
            r"failed to map segment|unable to allocate",
            re.IGNORECASE,
        ),
        MEMORY,
    ),
)


def shortage_of(error: BaseException) -> str | None:
    """Sentence on what the machine ran out of; None for another error.

    Args:
        error: that ended the command; it may come from one of a shortage.
    """
    for each in _chain(error):
        if isinstance(each, MemoryError):
            return MEMORY
        if isinstance(each, OSError):
            text = each.strerror or ""
            if text.startswith(NO_TEMPORARY):
                places = text.removeprefix(NO_TEMPORARY).strip(" []").replace("'", "")
                return f"no folder takes temporary files: {places}; set TMPDIR to one that does"
            if each.errno in _NUMBERS:
                return _NUMBERS[each.errno]
        if isinstance(each, OSError | ImportError | RuntimeError):
            for words, sentence in _WORDS:
                if words.search(str(each)):
                    return sentence
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
