"""Error classes, each with the exit code of the command line, and counts in messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from os import PathLike
from typing import Any

MAX_PROBLEMS = 20


def counted(n: int, noun: str) -> str:
    """Write a count with its noun: ``"1 RNA"``, ``"200 RNAs"``, ``"0 folds"``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


class MirnagraphError(Exception):
    """Base of every error raised on purpose; any other error at the command line is a bug.

    Attributes:
        exit_code: of the command line: 1 bug, 2 wrong use, 3 bad data.
    """

    exit_code = 1


class ConfigError(MirnagraphError):
    """Wrong use: an invalid option or setting, or a combination that cannot work (exit code 2)."""

    exit_code = 2


class ArgumentError(ConfigError, TypeError):
    """An argument of a Python function of another type than it takes."""


class MissingExtraError(ConfigError):
    """An optional dependency is not installed; the message names the extra to install.

    Args:
        package: name of the package.
        extra: extra of this package that installs it.
        why: what needs it, as the subject of a sentence.
    """

    def __init__(self, package: str, extra: str, why: str) -> None:
        super().__init__(
            f"{why} needs the extra {extra!r}: pip install 'mirnagraph[{extra}]' "
            f"(the package {package!r} is not installed)"
        )
        self._given = (package, extra, why)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process raise it here."""
        return type(self), self._given


def import_extra(module: str, extra: str, why: str, *, package: str | None = None) -> Any:
    """Import a module of an optional dependency.

    Args:
        module: full name, such as ``"captum.attr"``.
        extra: extra that installs it, as in ``pip install 'mirnagraph[EXTRA]'``.
        why: what needs it, as the subject of a sentence.
        package: name of the package to show where it differs from the first part of `module`.

    Raises:
        MissingExtraError: the module cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(package or module.split(".")[0], extra, why) from None


class InputError(MirnagraphError):
    """Bad data: one sentence with place, found and expected value (exit code 3).

    Args:
        what: the problem in a few words, e.g. ``"invalid nucleotide"``.
        file: path of the file, if any.
        line: 1-based line in the file.
        column: 1-based column number or the name of a table column.
        found: value at that place.
        expected: valid values.
        hint: what to do about it.
    """

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        file: str | PathLike[str] | None = None,
        line: int | None = None,
        column: int | str | None = None,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        place = [str(file)] if file is not None else []
        if line is not None:
            place.append(f"line {line}")
        if column is not None:
            place.append(f"column {column!r}" if isinstance(column, str) else f"column {column}")
        text = f"{', '.join(place)}: {what}" if place else what
        if found is not None:
            text += f"; found {_shorten(found)}"
        if expected is not None:
            text += f"{',' if found is not None else ';'} expected {_shorten(expected)}"
        if hint is not None:
            text += f"; {hint}"
        super().__init__(text)
        self.what = what
        self.file = file
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected


class CheckpointError(InputError):
    """A saved model or run that cannot be used: unknown format, other labels or order, damage."""


class FetchError(InputError):
    """A public file could not be fetched: no network, not found, truncated, or altered."""


def written(value: object) -> str:
    """A value as Python writes it, and numbers of numpy as those of Python.

    >>> import numpy as np
    >>> written((np.float64(0.5), np.True_, "a"))
    "(0.5, True, 'a')"
    """
    text = re.sub(r"np\.\w+\(([^()]*)\)", r"\1", repr(value))
    return re.sub(r"np\.(True|False)_", r"\1", text)


def _shorten(value: object, limit: int = 200) -> str:
    text = value if isinstance(value, str) else written(value)
    if not text:
        return "nothing"
    if not text.isprintable():
        text = repr(text)[1:-1]
    if len(text) == 1 and not text.isascii():  # looks like another, such as a Greek A
        text = f"{text} (U+{ord(text):04X})"
    if text != text.strip():  # blanks at an end would not be seen
        text = f"'{text}'"
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def raise_problems(problems: Iterable[InputError], *, by_line: bool = False) -> None:
    """Raise the collected problems as one error; do nothing without any.

    A single problem is raised as it is. Several are joined, one per line, the first 20 in full and
    the rest as a count; the place of the joined error is that of the first.

    Args:
        problems: in the order of the message.
        by_line: order them by their lines in the file.
    """
    errors = list(problems)
    if by_line:
        errors.sort(key=lambda error: error.line or 0)
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    lines = [str(error) for error in errors[:MAX_PROBLEMS]]
    if len(errors) > MAX_PROBLEMS:
        lines.append(f"… and {len(errors) - MAX_PROBLEMS} more problems")
    joined = InputError("\n".join(lines))
    joined.file = errors[0].file
    joined.line = errors[0].line
    joined.column = errors[0].column
    raise joined
