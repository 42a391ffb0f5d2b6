"""Errors of the toolkit: one small tree, each with the exit code the command line ends with."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from os import PathLike
from typing import Any

MAX_PROBLEMS = 20


class MirnagraphError(Exception):
    """Base of every error raised on purpose; anything else that reaches the command line is our bug.

    Attributes:
        exit_code: what the command line exits with (1 our bug, 2 wrong use, 3 bad data).
    """

    exit_code = 1


class ConfigError(MirnagraphError):
    """Wrong use: an option, setting or combination of them that cannot work (exit code 2)."""

    exit_code = 2


class MissingExtraError(ConfigError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, why: str) -> None:
        super().__init__(
            f"{why} needs the extra {extra!r}: pip install 'mirnagraph[{extra}]' "
            f"(the package {package!r} is not installed)"
        )


def import_extra(module: str, extra: str, why: str, *, package: str | None = None) -> Any:
    """Import a module of an optional dependency.

    Args:
        module: full name, such as ``"captum.attr"``.
        extra: extra of this package that brings it, as in ``pip install 'mirnagraph[EXTRA]'``.
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
    """Bad data: one sentence that says where, what was found and what was expected (exit code 3).

    Args:
        what: the problem in a few words, e.g. ``"letter outside ACGTUN"``.
        file: path of the file, where there is one.
        line: 1-based line in the file.
        column: 1-based column number or the name of a table column.
        found: what stands there.
        expected: what should stand there.
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
    """A saved model or run that does not fit: unknown format, other labels, other order, damaged file."""


class FetchError(InputError):
    """A public file could not be brought: no network, not found, truncated, or altered."""


def _shorten(value: object, limit: int = 200) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def raise_problems(problems: Iterable[InputError]) -> None:
    """Raise the collected problems as one error; nothing happens where there are none.

    A single problem is raised as it is. Several are joined, one per line, the first 20 in full and the rest as a count.
    """
    found = list(problems)
    if not found:
        return
    if len(found) == 1:
        raise found[0]
    shown = [str(p) for p in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        shown.append(f"… and {len(found) - MAX_PROBLEMS} more problems")
    error = InputError("\n".join(shown), file=None)
    error.file = found[0].file
    raise error
