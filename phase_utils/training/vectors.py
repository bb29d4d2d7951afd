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
# rows and columns of a product that are summed at a time, in registers; columns of a last row
TALL, BROAD, LONG = 4, 2, 4
FUSED = ("contract",)  # a product and a sum may be rounded once; nothing else is free
# references to arrays are not counted, which took a fifth of the time of small networks' gradients;
# hence no function may return an array to Python
called = functools.partial(kept, fastmath=set(FUSED), no_cfunc_wrapper=True, _nrt=False)
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


class Matrix(NamedTuple):
    """A matrix of every network in a flat array: entry (i, j) is vector at + i stride + j."""

    flat: Any
    at: int
    stride: int
    rows: int
    columns: int


class Turned(NamedTuple):
    """The transpose of such a one: entry (i, j) is vector at + i + j stride."""

    flat: Any
    at: int
    stride: int
    rows: int
    columns: int


@of_lanes
def matrix(flat: Any, at: int, rows: int, columns: int) -> Any:
    """That from vector `at` on, row by row."""
    return Matrix(flat, at, columns, rows, columns)


@of_lanes
def turned(m: Any) -> Any:
    """The transpose."""
    return Turned(m.flat, m.at, m.stride, m.columns, m.rows)


class How(NamedTuple):
    """What becomes of a product."""

    add: bool  # to what is there
    symmetric: bool  # of which the lower half is found, and copied


SET, ADD, SET_HALF = How(False, False), How(True, False), How(False, True)


class Entries:
    """The entries of a matrix, counted from (i, j) on; or those of its transpose.

    Which of the two strides is 1 is known when this is compiled: addresses need few registers.
    """

    def __init__(
        self,
        context: Any,
        builder: Any,
        kind: Any,
        m: Any,
        i: Any,
        j: Any,
        transposed: bool = False,
    ) -> None:
        self.builder, self.kind = builder, kind[0]
        flat, at, stride = (builder.extract_value(m, field) for field in range(3))
        one, by_rows = ir.Constant(stride.type, 1), kind.instance_class is Matrix
        self.down, self.aside = (one, stride) if by_rows is transposed else (stride, one)
        at = builder.add(at, self.beyond(i, j))
        self.first = place(context, builder, self.kind, flat, at)

    def beyond(self, i: Any, j: Any) -> Any:
        """How many vectors entry (i, j) is from the first."""
        i, j = (ir.Constant(self.down.type, n) if isinstance(n, int) else n for n in (i, j))
        return self.builder.add(self.builder.mul(i, self.down), self.builder.mul(j, self.aside))

    def at(self, i: Any, j: Any) -> Any:
        """Pointer to entry (i, j)."""
        return self.builder.gep(self.first, [self.beyond(i, j)])

    def read(self, i: Any, j: Any) -> Any:
        """The vector of entry (i, j)."""
        return fetched(self.builder, self.kind, self.at(i, j))

    def write(self, i: Any, j: Any, vector: Any) -> None:
        """Write it."""
        written(self.builder, self.kind, self.at(i, j), vector)


def tile(rows: int, columns: int) -> Any:
    """What finds so many rows and columns of left @ right from (i, j) on, in registers."""
    entries = [(r, c) for r in range(rows) for c in range(columns)]

    @intrinsic  # type: ignore[untyped-decorator]
    def summed(_: Any, out: Any, left: Any, right: Any, i: Any, j: Any, how: Any) -> Any:
        def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kinds, (out, left, right, i, j, how) = signature.args, given
            target = Entries(context, builder, kinds[0], out, i, j)
            mirror = Entries(context, builder, kinds[0], out, i, j, transposed=True)
            ones = Entries(context, builder, kinds[1], left, i, 0)
            others = Entries(context, builder, kinds[2], right, 0, j)
            zero = ir.Constant(in_register(target.kind.dtype), None)
            sums = {entry: cgutils.alloca_once_value(builder, zero) for entry in entries}
            with builder.if_then(builder.extract_value(how, How._fields.index("add"))):
                for entry, total in sums.items():
                    builder.store(target.read(*entry), total)
            inner = builder.extract_value(left, Matrix._fields.index("columns"))
            with cgutils.for_range(builder, inner) as loop:
                a = [ones.read(r, loop.index) for r in range(rows)]
                b = [others.read(loop.index, c) for c in range(columns)]
                for (r, c), total in sums.items():
                    product = builder.fmul(a[r], b[c], flags=FUSED)
                    more = builder.fadd(builder.load(total), product, flags=FUSED)
                    builder.store(more, total)
            for entry, total in sums.items():
                target.write(*entry, builder.load(total))
            with builder.if_then(builder.extract_value(how, How._fields.index("symmetric"))):
                for entry, total in sums.items():  # of two mirror images in one tile the later
                    target.write(*entry, builder.load(total))
                    mirror.write(*entry, builder.load(total))
            return context.get_dummy_value()

        return types.void(out, left, right, i, j, how), made

    return summed


both, tall, along, single = tile(TALL, BROAD), tile(TALL, 1), tile(1, LONG), tile(1, 1)


@of_lanes
def product(out: Any, left: Any, right: Any, how: How) -> None:
    """Write left @ right; out must not be a transpose."""
    i, rows = 0, out.rows
    while i < rows:
        high = TALL if i + TALL <= rows else 1
        j, last = 0, min(i + high, out.columns) if how.symmetric else out.columns
        if high == TALL:
            while j + BROAD <= last:
                both(out, left, right, i, j, how)
                j += BROAD
            while j < last:
                tall(out, left, right, i, j, how)
                j += 1
        else:
            while j + LONG <= last:
                along(out, left, right, i, j, how)
                j += LONG
            while j < last:
                single(out, left, right, i, j, how)
                j += 1
        i += high
