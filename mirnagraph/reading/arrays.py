"""Arrays of callers as plain arrays of numbers, read by place; nothing of them is dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from mirnagraph.errors import ArgumentError, InputError

_NO_NUMBERS = {
    "c": "complex numbers",
    "M": "dates",
    "m": "durations",
    "V": "records",
    "U": "texts",
    "S": "bytes",
}
"""Kind of a data type that numpy would turn into numbers, or lose a part of, without a word."""

LARGEST_EXACT = 2**53
"""From here on not every whole number is a float."""

NEVER = "cMmV"
"""Those that no function reads."""


def as_array(value: Any, refuse: Callable[[str], Exception]) -> Any:
    """Read an array, a list, a column or a table of numbers as a plain array.

    Args:
        value: of a caller; numbers of pandas that may be missing become NaN.
        refuse: makes the error for a reason.

    Returns:
        An array without labels, mask or rules of its own; `value` where it is none of numbers.

    Raises:
        Exception: of `refuse`: masked values, complex numbers, dates or records.
    """
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise refuse("has masked values; fill them, or pass NaN where that is allowed")
        value = value.data
    array: np.ndarray | None
    if isinstance(value, np.ndarray):
        array = np.asarray(value)
    elif isinstance(value, list | tuple) or hasattr(value, "to_numpy") or _is_array_like(value):
        array = _array_of(value)
        if array is None:
            return value
    else:
        return value
    if array.dtype.kind in NEVER:
        raise refuse(f"holds {_NO_NUMBERS[array.dtype.kind]}, expected numbers")
    return array


def _is_array_like(value: Any) -> bool:
    return hasattr(value, "__array__") and not isinstance(value, type | np.generic)


def _array_of(value: Any) -> np.ndarray | None:
    """Array of a collection; None for one that is none of numbers or texts."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths
        return None
    if array.dtype != object:
        return array
    if not hasattr(value, "to_numpy"):
        return None
    kinds = list(value.dtypes) if hasattr(value, "columns") else [value.dtype]
    if all(is_numeric_dtype(kind) or is_bool_dtype(kind) for kind in kinds):
        return np.asarray(value.to_numpy(dtype=np.float64, na_value=np.nan))
    return None


def number_array(values: Any, name: str) -> np.ndarray:
    """Read an array of numbers by place, of any shape; NaN and infinity are let through.

    Args:
        values: anything that numpy makes an array of numbers; of a table its cells.
        name: of the argument, for the message.

    Returns:
        float64.

    Raises:
        ArgumentError: texts, dates, complex numbers, masked values, or rows of different lengths.
    """
    array = as_array(values, lambda reason: ArgumentError(f"{name} {reason}"))
    kind = getattr(getattr(array, "dtype", None), "kind", "O")
    if kind in _NO_NUMBERS:
        raise ArgumentError(f"{name} holds {_NO_NUMBERS[kind]}, expected numbers")
    try:
        cells = np.asarray(array)
        if cells.dtype == object and any(isinstance(x, str | bytes) for x in cells.ravel()):
            raise ArgumentError(f"{name} holds texts, expected numbers")
        return np.asarray(cells, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{name} holds what is no number ({error})") from None


def finite_vector(values: Any, name: str) -> np.ndarray:
    """Read one dimension of finite numbers.

    Returns:
        float64, shape (n,).

    Raises:
        ArgumentError: see `number_array`.
        InputError: another number of dimensions, or a number that is missing or infinite.
    """
    numbers = number_array(values, name)
    if numbers.ndim != 1:
        raise InputError(f"{name} has another shape", found=numbers.shape, expected="(n,)")
    if not np.isfinite(numbers).all():
        found = float(numbers[~np.isfinite(numbers)][0])
        raise InputError(f"a number of {name} is not finite", found=found)
    return numbers


def whole_numbers(values: Any, name: str) -> np.ndarray:
    """Read an array of whole numbers, such as folds.

    Returns:
        int64.

    Raises:
        ArgumentError: see `number_array`.
        InputError: a number that is missing, not whole, or too large to be exact.
    """
    numbers = number_array(values, name)
    is_whole = (np.abs(numbers) < LARGEST_EXACT) & (numbers == np.floor(numbers))
    if not is_whole.all():
        found = float(numbers[~is_whole][0])
        raise InputError(f"a number of {name} is not whole", found=found)
    return numbers.astype(np.int64)


def row_numbers(values: Any, name: str, n: int) -> np.ndarray:
    """Read numbers of some of n rows, in their order; a mask of rows is none.

    Returns:
        int64, shape (m,), each in 0 … n - 1.

    Raises:
        ArgumentError: see `number_array`.
        InputError: a mask, or a number of no row.
    """
    if np.asarray(values).dtype == bool:
        found = "True and False"
        raise InputError(f"{name} are a mask", found=found, expected="row numbers")
    numbers = whole_numbers(values, name)
    is_outside = (numbers < 0) | (numbers >= n)
    if is_outside.any():
        found = str(numbers[is_outside][0])
        raise InputError(
            f"{name} name a row that is not there", found=found, expected=f"0 … {n - 1}"
        )
    return numbers


def zero_one(values: Any, name: str, ndim: int) -> np.ndarray:
    """Read an array of 0 and 1.

    Returns:
        bool, with `ndim` dimensions.

    Raises:
        ArgumentError: see `number_array`.
        InputError: another number of dimensions, or another value than 0 and 1.
    """
    numbers = number_array(values, name)
    if numbers.ndim != ndim:
        raise InputError(
            f"{name} has another shape", found=numbers.shape, expected=f"{ndim} dimensions"
        )
    is_wrong = (numbers != 0) & (numbers != 1)
    if is_wrong.any():
        raise InputError(f"{name} holds what is neither 0 nor 1", found=float(numbers[is_wrong][0]))
    return numbers == 1


def classes(values: Any, name: str) -> np.ndarray:
    """Read the class of each RNA: numbers or texts, none missing.

    Returns:
        Whole numbers that are equal where the classes are: int64, shape (n,); they have the order
        of the classes.

    Raises:
        ArgumentError: what is neither a number nor a text.
        InputError: another number of dimensions, or a class that is missing.
    """
    array = np.asarray(as_array(values, lambda reason: ArgumentError(f"{name} {reason}")))
    if array.dtype == object and all(isinstance(value, str) for value in array.ravel()):
        array = array.astype(str)
    if array.dtype.kind not in "US":
        array = number_array(array, name)
    is_missing = array != array
    if array.ndim != 1 or is_missing.any():
        found = "NaN" if is_missing.any() else array.shape
        raise InputError(f"{name} are no classes", found=found, expected="(n,), none missing")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def p_values(values: Any) -> np.ndarray:
    """Read p-values, of which some may be missing.

    Returns:
        float64, shape (n,).

    Raises:
        ArgumentError: see `number_array`.
        InputError: another number of dimensions, or a number outside [0, 1].
    """
    numbers = number_array(values, "p")
    is_wrong = (numbers < 0) | (numbers > 1)
    if numbers.ndim != 1 or is_wrong.any():
        found = float(numbers[is_wrong][0]) if is_wrong.any() else numbers.shape
        raise InputError("p are no p-values", found=found, expected="(n,) numbers in [0, 1]")
    return numbers


def check_same_shape(array: np.ndarray, name: str, other: np.ndarray, other_name: str) -> None:
    """Refuse two arrays that differ in shape, which numpy might stretch to fit.

    Raises:
        InputError: they do.
    """
    if array.shape != other.shape:
        raise InputError(
            f"{name} and {other_name} differ in shape", found=array.shape, expected=other.shape
        )
