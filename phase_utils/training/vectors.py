"""Vectors of numbers, one of each network of a block, and products of matrices of them, for numba.

What belongs to one weight of the networks lies side by side, (weights, LANES), and every operation
acts on a whole vector register: on as many networks as it has room for.
"""

import functools
import operator
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, overload, register_model

from phase_utils.training.compiling import kept

FEATURES = cpu_target.target_context.codegen().magic_tuple()[2]  # of the processor
BYTES = 64 if "+avx512f" in FEATURES else 32  # of a vector register, or of two
TALL, BROAD = 4, 2  # rows and columns of a product that are summed at a time, in registers
FUSED = ("contract",)  # a product and a sum may be rounded once; nothing else is free
called = functools.partial(kept, fastmath=set(FUSED), no_cfunc_wrapper=True)
# called from kernels alone, which takes less time to compile
of_lanes = functools.partial(called, no_cpython_wrapper=True)


class Vector(types.Type):  # type: ignore[misc]
    """One number of every lane, in a register."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


def in_register(dtype: Any) -> ir.VectorType:
    """What LLVM calls it."""
    number = ir.DoubleType() if dtype is types.float64 else ir.FloatType()
    return ir.VectorType(number, BYTES * 8 // dtype.bitwidth)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """Tells numba."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, in_register(kind.dtype))


def place(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    """Pointer to vector i of an array (count, LANES), or to number i of one (count,)."""
    data = context.make_array(kind)(context, builder, array).data
    if kind.ndim == 2:
        data = builder.bitcast(data, in_register(kind.dtype).as_pointer())
    return builder.gep(data, [i])


def spread(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    """A number in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, nothing, lanes)


def fetched(builder: Any, kind: Any, pointer: Any) -> Any:
    """The vector there; the number there in every lane, where all networks share it."""
    found = builder.load(pointer)
    found.align = kind.dtype.bitwidth // 8
    return found if kind.ndim == 2 else spread(builder, found, in_register(kind.dtype))


def written(builder: Any, kind: Any, pointer: Any, vector: Any) -> None:
    """Write a vector there."""
    builder.store(vector, pointer).align = kind.dtype.bitwidth // 8


@intrinsic  # type: ignore[untyped-decorator]
def load(_: Any, array: Any, i: Any) -> Any:
    """Vector i of an array."""

    def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = signature.args[0]
        return fetched(builder, kind, place(context, builder, kind, *given))

    return Vector(array.dtype)(array, i), made


@intrinsic  # type: ignore[untyped-decorator]
def store(_: Any, array: Any, i: Any, vector: Any) -> Any:
    """Write vector i of an array."""

    def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = signature.args[0]
        written(builder, kind, place(context, builder, kind, *given[:2]), given[2])
        return context.get_dummy_value()

    return types.void(array, i, vector), made


@intrinsic  # type: ignore[untyped-decorator]
def alike(_: Any, array: Any, number: Any) -> Any:
    """A number in every lane, in the precision of an array."""

    def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        dtype = signature.args[0].dtype
        number = context.cast(builder, given[1], signature.args[1], dtype)
        return spread(builder, number, in_register(dtype))

    return Vector(array.dtype)(array, number), made


@intrinsic  # type: ignore[untyped-decorator]
def root(_: Any, vector: Any) -> Any:
    """Square roots."""

    def made(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        kind = given[0].type
        name = f"llvm.sqrt.v{kind.count}{kind.element.intrinsic_name}"
        roots = builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, [kind]))
        return builder.call(roots, given)

    return vector(vector), made


def arithmetic(operation: Any, name: str) -> None:
    """Teach numba what + - * / of vectors are."""

    @intrinsic  # type: ignore[untyped-decorator]
    def both(_: Any, a: Any, b: Any) -> Any:
        def made(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            return getattr(builder, name)(*given, flags=FUSED)

        return a(a, b), made

    @overload(operation, strict=False)  # type: ignore[untyped-decorator]
    def found(a: Any, b: Any) -> Any:
        if isinstance(a, Vector) and isinstance(b, Vector):
            return lambda a, b: both(a, b)
        return None


for operation, name in {
    operator.add: "fadd",
    operator.iadd: "fadd",
    operator.sub: "fsub",
    operator.mul: "fmul",
    operator.imul: "fmul",
    operator.truediv: "fdiv",
}.items():
    arithmetic(operation, name)


def tile(rows: int, columns: int) -> Any:
    """What finds so many rows and columns of left @ right from (i, j) on, in registers."""

    @intrinsic  # type: ignore[untyped-decorator]
    def summed(_: Any, out: Any, left: Any, right: Any, i: Any, j: Any, add: Any) -> Any:
        def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            matrices, (i, j, add) = given[:3], given[3:]
            kinds = [matrix[0] for matrix in signature.args[:3]]

            def entry(which: int, row: Any, column: Any) -> Any:
                flat, at, *strides = (builder.extract_value(matrices[which], n) for n in range(4))
                for index, stride in zip((row, column), strides, strict=True):
                    at = builder.add(at, builder.mul(index, stride))
                return place(context, builder, kinds[which], flat, at)

            def beyond(index: Any, count: int) -> list[Any]:
                return [builder.add(index, ir.Constant(index.type, n)) for n in range(count)]

            zero = ir.Constant(in_register(kinds[0].dtype), None)
            down, along = beyond(i, rows), beyond(j, columns)
            sums = {
                (r, c): (cgutils.alloca_once_value(builder, zero), entry(0, r, c))
                for r in down
                for c in along
            }
            with builder.if_then(add):
                for total, target in sums.values():
                    builder.store(fetched(builder, kinds[0], target), total)
            with cgutils.for_range(builder, builder.extract_value(given[1], 5)) as loop:
                k = loop.index
                ones = {r: fetched(builder, kinds[1], entry(1, r, k)) for r in down}
                others = {c: fetched(builder, kinds[2], entry(2, k, c)) for c in along}
                for (r, c), (total, _) in sums.items():
                    product = builder.fmul(ones[r], others[c], flags=FUSED)
                    more = builder.fadd(builder.load(total), product, flags=FUSED)
                    builder.store(more, total)
            for total, target in sums.values():
                written(builder, kinds[0], target, builder.load(total))
            return context.get_dummy_value()

        return types.void(out, left, right, i, j, add), made

    return summed


both, tall, broad, single = tile(TALL, BROAD), tile(TALL, 1), tile(1, BROAD), tile(1, 1)


class Matrix(NamedTuple):
    """A matrix of every network in a flat array: entry (i, j) is vector at + i down + j aside."""

    flat: Any
    at: int
    down: int
    aside: int
    rows: int
    columns: int


@of_lanes
def matrix(flat: Any, at: int, rows: int, columns: int) -> Any:
    """That from vector `at` on, row by row."""
    return Matrix(flat, at, columns, 1, rows, columns)


@of_lanes
def turned(m: Any) -> Any:
    """The transpose."""
    return Matrix(m.flat, m.at, m.aside, m.down, m.columns, m.rows)


class How(NamedTuple):
    """What becomes of a product."""

    add: bool  # to what is there
    symmetric: bool  # of which the lower half is found, and copied


SET, ADD = How(False, False), How(True, False)
SET_HALF, ADD_HALF = How(False, True), How(True, True)


@of_lanes
def product(out: Any, left: Any, right: Any, how: How) -> None:
    """Write left @ right."""
    rows, columns, add, symmetric = out.rows, out.columns, how.add, how.symmetric
    i = 0
    while i < rows:
        high = TALL if rows - i >= TALL else 1
        last = min(i + high, columns) if symmetric else columns
        j = 0
        while j < last:
            wide = BROAD if columns - j >= BROAD else 1
            if high > 1:
                if wide > 1:
                    both(out, left, right, i, j, add)
                else:
                    tall(out, left, right, i, j, add)
            elif wide > 1:
                broad(out, left, right, i, j, add)
            else:
                single(out, left, right, i, j, add)
            j += wide
        i += high
    if symmetric:
        for i in range(rows):
            for j in range(i + 1, columns):
                lower = load(out.flat, out.at + j * out.down + i * out.aside)
                store(out.flat, out.at + i * out.down + j * out.aside, lower)
