"""A hint to the processor, for compiled code: this element of an array will be read soon.

A read of memory that is in no cache takes as long as some hundred instructions. Compiled code that
knows its next reads asks for all of them first and reads afterwards, so that they wait together.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

READ, KEEP, DATA = 0, 3, 1
"""Arguments of LLVM's ``llvm.prefetch``: to read, into all caches, data and no instructions."""


def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for element `index` of a one-dimensional array, without waiting and without a fault.

    Only for functions compiled by numba. Nothing is read or changed, so results never depend on it.

    Args:
        typing_context: given by numba.
        array: contiguous, one-dimensional.
        index: of the element; one outside the array asks in vain.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(cgutils.gep(builder, values.data, arguments[1]), byte)
        flag = ir.IntType(32)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", (byte,), ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        )
        builder.call(hint, [place, flag(READ), flag(KEEP), flag(DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch: Any = intrinsic(_prefetch)
"""`_prefetch` as compiled code calls it, with array and index."""
