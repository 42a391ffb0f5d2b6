"""Eight numbers at once in kernels for the CPU, kept in registers over a loop, as a compiler by itself does not keep the parts of an array."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.core.typing.templates import signature as typed
from numba.extending import intrinsic, lower_builtin, models, register_model

_VECTOR, _WHOLE = ir.VectorType(ir.FloatType(), 8), ir.VectorType(ir.IntType(32), 8)
_intrinsic: Any = intrinsic  # whose first argument a caller does not give
_CONTRACT = ("contract",)  # a product and a sum may be one step


class _EightType(types.Type):
    """Eight float32."""

    def __init__(self) -> None:
        super().__init__(name="eight float32")


_eight = _EightType()


@register_model(_EightType)
class _EightModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _allow(operation: Any, instruction: str) -> None:
    """Let two eights be joined by an operator."""

    class Joined(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments: Any, _keywords: Any) -> Any:
            return typed(_eight, _eight, _eight) if set(arguments) == {_eight} else None

    infer_global(operation)(Joined)
    lower_builtin(operation, _eight, _eight)(lambda _context, builder, _signature, both: getattr(builder, instruction)(*both, flags=_CONTRACT))


for _operation, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _allow(_operation, _instruction)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    nothing, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    return builder.shuffle_vector(builder.insert_element(nothing, number, first), nothing, ir.Constant(_WHOLE, [0] * 8))


@_intrinsic
def load(typing, array, index):  # type: ignore[no-untyped-def]
    """Eight numbers of a float32 array of one dimension from an index on, which no one checks."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=4)

    return _eight(array, types.intp), generate


@_intrinsic
def store(typing, array, index, values):  # type: ignore[no-untyped-def]
    """Write eight numbers from an index on, which no one checks."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store(arguments[2], _pointer(context, builder, signature.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _eight), generate


@_intrinsic
def spread(typing, number):  # type: ignore[no-untyped-def]
    """A number eight times."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _spread(builder, arguments[0])

    return _eight(types.float32), generate


@_intrinsic
def spread_from(typing, array, index):  # type: ignore[no-untyped-def]
    """A number of a float32 array of one dimension eight times; no one checks the index."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return _spread(builder, builder.load(builder.gep(data, [arguments[1]])))

    return _eight(array, types.intp), generate


@_intrinsic
def where_higher(typing, values, others, then, otherwise):  # type: ignore[no-untyped-def]
    """`then` where a value is above the other or no number, else `otherwise`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        values, others, then, otherwise = arguments
        higher = builder.or_(builder.fcmp_ordered(">", values, others), builder.fcmp_unordered("uno", values, values))
        return builder.select(higher, then, otherwise)

    return _eight(_eight, _eight, _eight, _eight), generate


@_intrinsic
def _clamped(typing, values):  # type: ignore[no-untyped-def]
    """Values not beyond 60 either way; what is no number stays none."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (values,) = arguments
        for comparison, limit in ((">", 60.0), ("<", -60.0)):
            limits = ir.Constant(_VECTOR, [limit] * 8)
            values = builder.select(builder.fcmp_ordered(comparison, values, limits), limits, values)
        return values

    return _eight(_eight), generate


@_intrinsic
def _power_of_two(typing, whole):  # type: ignore[no-untyped-def]
    """2 to the power of whole numbers, by its bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        exponent = builder.add(builder.fptosi(arguments[0], _WHOLE), ir.Constant(_WHOLE, [127] * 8))
        return builder.bitcast(builder.shl(exponent, ir.Constant(_WHOLE, [23] * 8)), _VECTOR)

    return _eight(_eight), generate


@njit(cache=True, nogil=True, error_model="numpy")
def _one_and_exp(x):  # type: ignore[no-untyped-def]
    """1 and e to the x, to within 2 units in the last place; x up to 60 either way stands for all beyond, and what is no number stays none."""
    x, one, magic = _clamped(x), spread(np.float32(1)), spread(np.float32(1.5 * 2**23))  # a number with no room for digits after the point
    whole = x * spread(np.float32(1.4426950408889634)) + magic - magic
    rest = x - whole * spread(np.float32(0.693359375)) + whole * spread(np.float32(2.12194440e-4))  # ln 2 in two parts, of which the first has few digits
    series = rest * spread(np.float32(1 / 7)) + one
    series = series * (rest * spread(np.float32(1 / 6))) + one
    series = series * (rest * spread(np.float32(1 / 5))) + one
    series = series * (rest * spread(np.float32(1 / 4))) + one
    series = series * (rest * spread(np.float32(1 / 3))) + one
    series = series * (rest * spread(np.float32(1 / 2))) + one
    return (series * rest + one) * _power_of_two(whole) + one


@_intrinsic
def sum_of(typing, values):  # type: ignore[no-untyped-def]
    """The sum of eight numbers."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (values,) = arguments
        for half in (4, 2, 1):
            others = builder.shuffle_vector(values, values, ir.Constant(_WHOLE, [(i + half) % 8 for i in range(8)]))
            values = builder.fadd(values, others)
        return builder.extract_element(values, ir.Constant(ir.IntType(32), 0))

    return types.float32(_eight), generate


@njit(cache=True, nogil=True, error_model="numpy")
def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e to the - x)."""
    return spread(np.float32(1)) / _one_and_exp(spread(np.float32(0)) - x)


@njit(cache=True, nogil=True, error_model="numpy")
def tanh(x):  # type: ignore[no-untyped-def]
    """1 - 2 / (1 + e to the 2 x)."""
    return spread(np.float32(1)) - spread(np.float32(2)) / _one_and_exp(x + x)


@njit(cache=True, nogil=True)
def add_rows(total, gains, starts, count, values):  # type: ignore[no-untyped-def]
    """Add weighted stretches of `values` to a total as long as each: the first `count` of those that begin at `starts`."""
    whole = len(total) - len(total) % 64
    for i in range(0, whole, 64):
        a, b, c, d = load(total, i), load(total, i + 8), load(total, i + 16), load(total, i + 24)
        e, f, g, h = load(total, i + 32), load(total, i + 40), load(total, i + 48), load(total, i + 56)
        for k in range(count):
            gain, start = spread(gains[k]), starts[k] + i
            a = a + gain * load(values, start)
            b = b + gain * load(values, start + 8)
            c = c + gain * load(values, start + 16)
            d = d + gain * load(values, start + 24)
            e = e + gain * load(values, start + 32)
            f = f + gain * load(values, start + 40)
            g = g + gain * load(values, start + 48)
            h = h + gain * load(values, start + 56)
        store(total, i, a)
        store(total, i + 8, b)
        store(total, i + 16, c)
        store(total, i + 24, d)
        store(total, i + 32, e)
        store(total, i + 40, f)
        store(total, i + 48, g)
        store(total, i + 56, h)
    for k in range(count if whole < len(total) else 0):
        gain, start = gains[k], starts[k]
        for i in range(whole, len(total)):
            total[i] += gain * values[start + i]
