"""As many numbers at once as a register of this CPU holds, kept there over a loop, as a compiler by itself does not keep the parts of an array."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import config
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.core.typing.templates import signature as typed
from numba.extending import intrinsic, lower_builtin, models, register_model


def _lanes() -> int:
    """Numbers of a register: 16 where numba makes code for AVX-512, else 8 (on CPUs of smaller registers two of them make one)."""
    settings: Any = config
    named = settings.CPU_NAME or settings.CPU_FEATURES  # a CPU that someone chose, of which we know nothing
    return 16 if not named and get_host_cpu_features().get("avx512f", False) else 8


LANES = _lanes()
_VECTOR, _WHOLE = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
_intrinsic: Any = intrinsic  # whose first argument a caller does not give
_CONTRACT = ("contract",)  # a product and a sum may be one step
_TEN = 10 * LANES
_MAGIC = 1.5 * 2**23
"""Added to a number it leaves no room for digits after the point: the last bits are those of the nearest whole number."""
_POWERS = (0.00138146, 0.00836872, 0.04166839, 0.16666521, 0.49999993)
"""Of x to the 6th down to the 2nd: e to the x is their sum, x and 1, to within 3e-9 of itself, for x up to half of ln 2 (our least largest error)."""


class _VectorType(types.Type):
    """`LANES` numbers, float32."""

    def __init__(self) -> None:
        super().__init__(name=f"{LANES} float32")


_vector = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _allow(operation: Any, instruction: str) -> None:
    """Let two vectors be joined by an operator."""

    class Joined(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments: Any, _keywords: Any) -> Any:
            return typed(_vector, _vector, _vector) if set(arguments) == {_vector} else None

    infer_global(operation)(Joined)
    lower_builtin(operation, _vector, _vector)(lambda _context, builder, _signature, both: getattr(builder, instruction)(*both, flags=_CONTRACT))


for _operation, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _allow(_operation, _instruction)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    nothing, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    return builder.shuffle_vector(builder.insert_element(nothing, number, first), nothing, ir.Constant(_WHOLE, [0] * LANES))


@_intrinsic
def load(typing, array, index):  # type: ignore[no-untyped-def]
    """`LANES` numbers of a float32 array of one dimension from an index on, which no one checks."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=4)

    return _vector(array, types.intp), generate


@_intrinsic
def store(typing, array, index, values):  # type: ignore[no-untyped-def]
    """Write `LANES` numbers from an index on, which no one checks."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store(arguments[2], _pointer(context, builder, signature.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), generate


@_intrinsic
def fetch(typing, array, index):  # type: ignore[no-untyped-def]
    """Ask for what stands at an index of a float32 array of one dimension, which may lie outside, to be brought near."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = builder.bitcast(_pointer(context, builder, signature.args[0], *arguments), ir.IntType(8).as_pointer())
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        builder.call(builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind), [place, *(whole(number) for number in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@_intrinsic
def spread(typing, number):  # type: ignore[no-untyped-def]
    """A number `LANES` times."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _spread(builder, arguments[0])

    return _vector(types.float32), generate


@_intrinsic
def spread_from(typing, array, index):  # type: ignore[no-untyped-def]
    """A number of a float32 array of one dimension `LANES` times; no one checks the index."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return _spread(builder, builder.load(builder.gep(data, [arguments[1]])))

    return _vector(array, types.intp), generate


@_intrinsic
def where_higher(typing, values, others, then, otherwise):  # type: ignore[no-untyped-def]
    """`then` where a value is above the other or no number, else `otherwise`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        values, others, then, otherwise = arguments
        higher = builder.or_(builder.fcmp_ordered(">", values, others), builder.fcmp_unordered("uno", values, values))
        return builder.select(higher, then, otherwise)

    return _vector(_vector, _vector, _vector, _vector), generate


@_intrinsic
def _clamped(typing, values):  # type: ignore[no-untyped-def]
    """Values not beyond 60 either way; what is no number stays none."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (values,) = arguments
        for comparison, limit in ((">", 60.0), ("<", -60.0)):
            limits = ir.Constant(_VECTOR, [limit] * LANES)
            values = builder.select(builder.fcmp_ordered(comparison, values, limits), limits, values)
        return values

    return _vector(_vector), generate


@_intrinsic
def _times_power_of_two(typing, values, shifted):  # type: ignore[no-untyped-def]
    """Values times 2 to the power of whole numbers, given with `_MAGIC` added, by their bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        values, shifted = (builder.bitcast(one, _WHOLE) for one in arguments)
        return builder.bitcast(builder.add(values, builder.shl(shifted, ir.Constant(_WHOLE, [23] * LANES))), _VECTOR)

    return _vector(_vector, _vector), generate


@njit(cache=True, nogil=True, error_model="numpy")
def _one_and_exp(x):  # type: ignore[no-untyped-def]
    """1 and e to the x, to within 2 units in the last place; x up to 60 either way stands for all beyond, and what is no number stays none."""
    x, one, magic = _clamped(x), spread(np.float32(1)), spread(np.float32(_MAGIC))
    shifted = x * spread(np.float32(1.4426950408889634)) + magic
    whole = shifted - magic
    rest = x - whole * spread(np.float32(0.693359375)) + whole * spread(np.float32(2.12194440e-4))  # ln 2 in two parts, of which the first has few digits
    power = rest * spread(np.float32(_POWERS[0])) + spread(np.float32(_POWERS[1]))
    power = power * rest + spread(np.float32(_POWERS[2]))
    power = power * rest + spread(np.float32(_POWERS[3]))
    power = power * rest + spread(np.float32(_POWERS[4]))
    power = (power * rest + one) * rest + one
    return _times_power_of_two(power, shifted) + one


@_intrinsic
def sum_of(typing, values):  # type: ignore[no-untyped-def]
    """The sum of `LANES` numbers."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (values,) = arguments
        half = LANES // 2
        while half:
            others = builder.shuffle_vector(values, values, ir.Constant(_WHOLE, [(i + half) % LANES for i in range(LANES)]))
            values, half = builder.fadd(values, others), half // 2
        return builder.extract_element(values, ir.Constant(ir.IntType(32), 0))

    return types.float32(_vector), generate


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
    done = 0
    for i in range(0, len(total) - _TEN + 1, _TEN):  # ten at once: fewer would wait for each other
        a, b, c, d, e = load(total, i), load(total, i + LANES), load(total, i + 2 * LANES), load(total, i + 3 * LANES), load(total, i + 4 * LANES)
        f, g, h, o, p = (
            load(total, i + 5 * LANES), load(total, i + 6 * LANES), load(total, i + 7 * LANES), load(total, i + 8 * LANES), load(total, i + 9 * LANES)
        )  # fmt: skip
        for k in range(count):
            gain, start = spread(gains[k]), starts[k] + i
            a = a + gain * load(values, start)
            b = b + gain * load(values, start + LANES)
            c = c + gain * load(values, start + 2 * LANES)
            d = d + gain * load(values, start + 3 * LANES)
            e = e + gain * load(values, start + 4 * LANES)
            f = f + gain * load(values, start + 5 * LANES)
            g = g + gain * load(values, start + 6 * LANES)
            h = h + gain * load(values, start + 7 * LANES)
            o = o + gain * load(values, start + 8 * LANES)
            p = p + gain * load(values, start + 9 * LANES)
        for j, sums in enumerate((a, b, c, d, e, f, g, h, o, p)):
            store(total, i + j * LANES, sums)
        done = i + _TEN
    for i in range(done, len(total) - LANES + 1, LANES):
        a = load(total, i)
        for k in range(count):
            a = a + spread(gains[k]) * load(values, starts[k] + i)
        store(total, i, a)
        done = i + LANES
    for k in range(count if done < len(total) else 0):
        gain, start = gains[k], starts[k]
        for i in range(done, len(total)):
            total[i] += gain * values[start + i]
