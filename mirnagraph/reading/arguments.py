"""Arguments of public functions: types checked at the door, arrays and columns read by place."""

from __future__ import annotations

import inspect
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from mirnagraph.errors import ArgumentError, InputError, written

if TYPE_CHECKING:
    import numpy as np
    from scipy import sparse

Function = TypeVar("Function", bound=Callable[..., Any])


def checked(function: Function) -> Function:
    """Check the arguments of each call against the annotations of a function.

    What an annotation cannot say, or names of modules that are imported for types alone, is not
    checked. A text is no sequence of texts, True is no number.

    Raises:
        ArgumentError: in one sentence: ``predict: names is 5 (int), expected …``.
    """
    signature = inspect.signature(function)
    hints: dict[str, Any] = {}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not hints:
            hints.update(_hints(function))
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{function.__qualname__}: {error}") from None
        for name, value in bound.arguments.items():
            if name in hints and signature.parameters[name].kind not in _VARIADIC:
                value = _by_place(f"{function.__qualname__}: {name}", value, hints[name])
                _check(function.__qualname__, name, value, hints[name])
                bound.arguments[name] = value
        return function(*bound.args, **bound.kwargs)

    return call  # type: ignore[return-value]


_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def _by_place(name: str, value: Any, hint: Any) -> Any:
    """Columns of tables, and arrays, as a list or an array: element i is the i-th, by no label."""
    if hint is Any:
        return value
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    origins = [get_origin(kind) or kind for kind in kinds]
    names = [getattr(kind, "__name__", "") for kind in origins]
    is_of_kind = any(isinstance(kind, type) and isinstance(value, kind) for kind in origins)
    is_column = hasattr(value, "to_numpy") and not hasattr(value, "columns")
    if "ndarray" in names and (not is_of_kind or hasattr(value, "__array_finalize__")):
        from mirnagraph.reading.arrays import as_array

        return as_array(value, lambda reason: ArgumentError(f"{name} {reason}"))
    is_listed = is_column and Iterable in origins
    if not is_of_kind and Sequence in origins and not hasattr(value, "columns"):
        is_listed = hasattr(value, "__array__") and getattr(value, "ndim", 1) == 1
    if is_listed:
        value = list(value)
    if isinstance(value, list | tuple) and {Sequence, Iterable} & set(origins):
        # the missing text of a column is None in every library but pandas
        is_missing = [type(part).__name__ in _MISSING for part in value]
        if any(is_missing):
            value = [None if wrong else x for x, wrong in zip(value, is_missing, strict=True)]
    return value


_MISSING = ("NAType", "NaTType")


def check_fields(instance: Any, *names: str) -> None:
    """Check fields of a dataclass against their annotations; see `checked`.

    Args:
        instance: of the dataclass, called from its ``__post_init__``.
        names: of the fields; none for all of them.
    """
    kind = type(instance)
    hints = _hints(kind)
    for name in names or [name for name in hints if not name.startswith("_")]:
        _check(kind.__name__, name, getattr(instance, name), hints[name])


_CACHE: dict[Any, dict[str, Any]] = {}


def _hints(owner: Any) -> dict[str, Any]:
    """Annotations that can be resolved; the others are left out."""
    if owner not in _CACHE:
        module = inspect.getmodule(owner)
        # pandas and numpy where a module imports them for types alone
        names: dict[str, Any] = {"pd": sys.modules.get("pandas"), "np": sys.modules.get("numpy")}
        names |= {} if module is None else vars(module)
        result = {}
        for name, hint in getattr(owner, "__annotations__", {}).items():
            try:
                result[name] = eval(hint, names) if isinstance(hint, str) else hint
            except (NameError, AttributeError, TypeError):
                continue
        result.pop("return", None)
        _CACHE[owner] = result
    return _CACHE[owner]


ROUNDING = 1e-6
"""Largest error of a similarity by rounding."""

LONGEST_NAME = 255
"""Characters that a file system takes, at most, for the name of a file."""


def _check(function: str, name: str, value: Any, hint: Any) -> None:
    if Path in get_args(hint) and isinstance(value, str) and not _is_path(value):
        raise ArgumentError(
            f"{function}: {name} is {_shown(value)}, expected a path: no NUL, and no name of more "
            f"than {LONGEST_NAME} characters"
        )
    if not _fits(value, hint):
        raise ArgumentError(
            f"{function}: {name} is {_shown(value)} ({type(value).__name__}), "
            f"expected {_written(hint)}"
        )


def _is_path(text: str) -> bool:
    return "\0" not in text and all(len(part) <= LONGEST_NAME for part in text.split(os.sep))


def _shown(value: Any) -> str:
    text = written(value)
    return text if len(text) <= 60 and "\n" not in text else f"{text[:40].splitlines()[0]}…"


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; unknown types fit all."""
    origin = get_origin(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if origin is Annotated:
        return _fits(value, get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if hint is None or hint is type(None):
        return value is None
    if hint in (int, float):
        return _is_number(value, hint)
    if hint is str:
        return isinstance(value, str) and _is_whole(value)
    if origin is None:
        return _is_instance(value, hint)
    return _is_instance(value, origin) and _items_fit(value, origin, get_args(hint))


def _is_whole(text: str) -> bool:
    """Whether a text has no half of a character, which no file can hold."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: Any, hint: type) -> bool:
    import numpy as np

    kinds = (int, np.integer) if hint is int else (int, float, np.integer, np.floating)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    # a whole number of Python may be larger than any number of numpy
    return is_number and not (
        hint is float and isinstance(value, int) and abs(value) > sys.float_info.max
    )


def _is_instance(value: Any, kind: Any) -> bool:
    if not isinstance(kind, type):
        return True
    if kind in (Sequence, Iterable):
        if hasattr(value, "columns"):  # a table would give the names of its columns
            return False
        return not isinstance(value, str | bytes | Mapping | set | frozenset) and (
            isinstance(value, Iterable) and (kind is Iterable or hasattr(value, "__len__"))
        )
    if kind is tuple:
        return isinstance(value, tuple | list)
    if kind is bool:
        return type(value).__name__ in ("bool", "bool_")
    if getattr(kind, "_is_protocol", False):
        return True
    return isinstance(value, kind)


def _items_fit(value: Any, origin: Any, items: Sequence[Any]) -> bool:
    """Whether the items of a collection fit; iterators are not looked into."""
    if origin is Callable or not items or not hasattr(value, "__len__"):
        return True
    if issubclass(origin, Mapping):
        return all(_fits(key, items[0]) and _fits(part, items[1]) for key, part in value.items())
    if origin is tuple and items[-1] is not Ellipsis:
        return len(value) == len(items) and all(map(_fits, value, items))
    if origin in (Sequence, Iterable, list, tuple, set, frozenset):
        # a missing text of a table is NaN
        return all(_fits(part, items[0]) or _is_missing(part, items[0]) for part in value)
    return True


def _is_missing(value: Any, hint: Any) -> bool:
    is_optional = type(None) in get_args(hint)
    return is_optional and (value is None or isinstance(value, float | type(None)) or
                            type(value).__name__ in _MISSING)  # fmt: skip


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "True or False",
          type(None): "None", None: "None", Path: "a path"}  # fmt: skip


def _written(hint: Any) -> str:
    """A type in words."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _written(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_written(part) for part in get_args(hint)))
    if hint in _WORDS:
        return _WORDS[hint]
    items = get_args(hint)
    if origin in (Sequence, Iterable, list, tuple, set, frozenset) and items:
        return f"several, each {_written(items[0])}"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping of {_written(items[0])} to {_written(items[1])}"
    return getattr(hint, "__name__", str(hint))


def finite_matrix(values: Any, name: str) -> np.ndarray | sparse.csr_array:
    """Read a matrix by place, dense or sparse, and refuse what is not finite.

    Args:
        values: anything that numpy or scipy.sparse makes a matrix of numbers; of a table its cells.
        name: of the argument, for the message.

    Returns:
        float64, shape (n, m); CSR where `values` is sparse.

    Raises:
        InputError: not numbers, not two dimensions, or NaN or infinity; names row and column.
    """
    import numpy as np
    from scipy import sparse

    from mirnagraph.reading.arrays import number_array

    is_sparse = sparse.issparse(values)
    if is_sparse:
        try:
            # the numbers apart: scipy drops the imaginary part of complex ones
            number_array(values.tocoo().data, name)
            matrix = sparse.csr_array(values, dtype=np.float64, copy=True)
        except ArgumentError:
            raise
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"{name} is no matrix of numbers ({error})") from None
        numbers = matrix.data
    else:
        matrix = numbers = number_array(values, name)
    if matrix.ndim != 2:
        raise InputError(
            f"{name} is no matrix", found=f"shape {matrix.shape}", expected="two dimensions"
        )
    if not np.isfinite(numbers).all():
        place = np.argwhere(~np.isfinite(matrix.toarray() if is_sparse else matrix))[0]
        raise InputError(
            f"a number of {name} is not finite (row {place[0]}, column {place[1]})",
            found=float(matrix[place[0], place[1]]),
            expected="finite numbers; 0 where nothing was observed",
        )
    return matrix


def similarity_matrix(values: Any, name: str) -> np.ndarray:
    """Read a dense matrix of numbers in [0, 1]; see `finite_matrix`."""
    import numpy as np
    from scipy import sparse

    numbers: Any = finite_matrix(values, name)
    matrix = numbers.toarray() if sparse.issparse(numbers) else np.asarray(numbers)
    is_wrong = (matrix < -ROUNDING) | (matrix > 1 + ROUNDING)
    if is_wrong.any():
        row, column = np.argwhere(is_wrong)[0]
        raise InputError(
            f"a number of {name} is no similarity (row {row}, column {column})",
            found=float(matrix[row, column]),
            expected="a number in [0, 1]",
        )
    return matrix


def square_matrix(values: Any, name: str) -> np.ndarray:
    """Read a finite dense square matrix; see `finite_matrix`."""
    import numpy as np
    from scipy import sparse

    matrix: Any = finite_matrix(values, name)
    dense = matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
    if dense.shape[0] != dense.shape[1]:
        raise InputError(
            f"{name} is not square", found=dense.shape, expected="as many columns as rows"
        )
    return dense
