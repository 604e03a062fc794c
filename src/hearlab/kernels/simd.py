"""Four float64 or eight float32 at once in numba functions.

Recursive filters are bound by the latency of one multiplication after the other, and numba does not by itself keep the
state of several filters in a vector register (26 ms for a filterbank pass that takes 4 ms so). A `Quad` (four float64)
or an `Octet` (eight float32) is such a register: in compiled functions it can be added, subtracted, multiplied and
divided, and passed to the functions below. The compiler serves machines with narrower registers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import lower_builtin, models, register_model

intrinsic: Any = numba_intrinsic  # what it gives is called without the first argument that is written

_INDEX = ir.IntType(32)
_DOUBLES = ir.VectorType(ir.DoubleType(), 4)
_SINGLES = ir.VectorType(ir.FloatType(), 4)


class Register(types.Type):
    """The numba type of a vector register."""

    def __init__(self, name: str, scalar: types.Float, element: ir.Type, lanes: int, mantissa: int) -> None:
        self.scalar = scalar
        self.lanes = lanes
        self.vector = ir.VectorType(element, lanes)
        self.integers = ir.VectorType(ir.IntType(scalar.bitwidth), lanes)
        self.suffix = f"v{lanes}f{scalar.bitwidth}"
        self.mantissa = mantissa  # bits
        # Adding this rounds smaller numbers to integers, which then stand in the lowest bits.
        self.rounding = 1.5 * 2.0**mantissa
        super().__init__(name=name)

    def bits(self, value: float) -> int:
        """The bits of a number."""
        return int(np.array(value, f"f{self.scalar.bitwidth // 8}").view(f"i{self.scalar.bitwidth // 8}"))


quad = Register("Quad", types.float64, ir.DoubleType(), 4, 52)
octet = Register("Octet", types.float32, ir.FloatType(), 8, 23)


@register_model(Register)
class _RegisterModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Register) -> None:
        super().__init__(manager, kind, kind.vector)


def _define_operator(symbol: Any, instruction: str) -> None:
    @infer_global(symbol)
    class _Template(AbstractTemplate):
        def generic(self, args: Sequence[types.Type], kws: Any) -> Any:
            same = len(args) == 2 and args[0] == args[1] and isinstance(args[0], Register)
            return signature(args[0], *args) if same else None

    @lower_builtin(symbol, Register, Register)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv")


def _function(operands: int, emit: Callable[..., Any], result: Callable[[Register], types.Type] | None = None) -> Any:
    """An intrinsic of so many equal registers; `emit(kind, builder, *values)` writes its instructions."""

    def typed(*kinds: Register) -> Any:
        kind = kinds[0]

        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            values = emit(kind, builder, *args)
            return context.make_tuple(builder, sig.return_type, values) if isinstance(values, tuple) else values

        return signature(result(kind) if result else kind, *kinds), code

    return intrinsic(
        {
            1: lambda typing, a: typed(a),
            2: lambda typing, a, b: typed(a, b),
            3: lambda typing, a, b, c: typed(a, b, c),
            4: lambda typing, a, b, c, d: typed(a, b, c, d),
            8: lambda typing, a, b, c, d, e, f, g, h: typed(a, b, c, d, e, f, g, h),
        }[operands]
    )


def _constant(kind: ir.VectorType, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _llvm(kind: Register, builder: Any, name: str, *values: Any) -> Any:
    function = ir.FunctionType(kind.vector, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{kind.suffix}"), values)


def _shuffle(builder: Any, one: Any, two: Any, *lanes: int) -> Any:
    """Lanes of two registers, counted from the first lane of the first to the last of the second."""
    return builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(_INDEX, len(lanes)), list(lanes)))


def _transpose(kind: Register, builder: Any, *rows: Any) -> tuple[Any, ...]:
    def pairs_of(rows: Sequence[Any], apart: int, low: Sequence[int], high: Sequence[int]) -> list[Any]:
        """The rows so far apart mixed, the low and the high mixture of a pair side by side."""
        first = [row for row in range(len(rows)) if not row & apart]
        return [_shuffle(builder, rows[row], rows[row + apart], *mask) for row in first for mask in (low, high)]

    if kind.lanes == 4:
        one, two, three, four = pairs_of(rows, 1, (0, 4, 2, 6), (1, 5, 3, 7))
        one, three, two, four = pairs_of((one, two, three, four), 2, (0, 1, 4, 5), (2, 3, 6, 7))
        return one, two, three, four
    # Single lanes, pairs and halves are mixed in the ways that machines with 256 bits have instructions for.
    mixed = pairs_of(rows, 1, (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
    mixed = pairs_of(mixed, 2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
    mixed = pairs_of(mixed, 4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
    return tuple(mixed[0::2] + mixed[1::2])


def _split_exponent(kind: Register, builder: Any, value: Any) -> tuple[Any, Any]:
    bits = builder.bitcast(value, kind.integers)
    mantissa_bits = _constant(kind.integers, kind.mantissa)
    one = kind.bits(1.0)
    # The exponent field as that of value / sqrt(1/2): that of 1 for the mantissas wanted.
    shifted = builder.add(bits, _constant(kind.integers, one - kind.bits(0.5**0.5)))
    field = builder.sub(builder.lshr(shifted, mantissa_bits), _constant(kind.integers, one >> kind.mantissa))
    mantissa = builder.sub(bits, builder.shl(field, mantissa_bits))
    # There is no vector instruction from 64-bit integers to float64 before AVX-512.
    field = builder.add(field, _constant(kind.integers, kind.bits(kind.rounding)))
    exponent = builder.fsub(builder.bitcast(field, kind.vector), _constant(kind.vector, kind.rounding))
    return exponent, builder.bitcast(mantissa, kind.vector)


def _round_to_integer(kind: Register, builder: Any, value: Any) -> Any:
    rounding = _constant(kind.vector, kind.rounding)
    return builder.fsub(builder.fadd(value, rounding), rounding)


def _ldexp(kind: Register, builder: Any, value: Any, exponent: Any) -> Any:
    integers = builder.bitcast(builder.fadd(exponent, _constant(kind.vector, kind.rounding)), kind.integers)
    moved = builder.shl(integers, _constant(kind.integers, kind.mantissa))
    return builder.bitcast(builder.add(builder.bitcast(value, kind.integers), moved), kind.vector)


def _flush_tiny(kind: Register, builder: Any, value: Any) -> Any:
    small = builder.fcmp_ordered("<", _llvm(kind, builder, "fabs", value), _constant(kind.vector, 1e-150))
    return builder.select(small, _constant(kind.vector, 0.0), value)


def _in_unit_interval(kind: Register, builder: Any, value: Any) -> Any:
    zero, one = _constant(kind.vector, 0.0), _constant(kind.vector, 1.0)
    both = builder.and_(builder.fcmp_ordered(">", value, zero), builder.fcmp_ordered("<", value, one))
    return builder.select(both, one, zero)


def _reduce_add(kind: Register, builder: Any, value: Any) -> Any:
    lanes = [builder.extract_element(value, ir.Constant(_INDEX, lane)) for lane in range(kind.lanes)]
    while len(lanes) > 1:
        lanes = [builder.fadd(one, two) for one, two in zip(lanes[::2], lanes[1::2], strict=True)]
    return lanes[0]


def _select(sign: str) -> Any:
    return _function(2, lambda kind, builder, a, b: builder.select(builder.fcmp_ordered(sign, a, b), a, b))


def _shift_in(count: int) -> Any:
    return _function(
        2, lambda kind, builder, a, b: _shuffle(builder, a, b, *range(kind.lanes - count, 2 * kind.lanes - count))
    )


# For quads and octets.
# a * b + c, rounded once: where the processor has no such instruction (before 2013), the C library computes it, slowly.
fma = _function(3, lambda kind, builder, a, b, c: _llvm(kind, builder, "fma", a, b, c))
sqrt = _function(1, lambda kind, builder, a: _llvm(kind, builder, "sqrt", a))
maximum, minimum = _select(">"), _select("<")
reduce_add = _function(1, _reduce_add, lambda kind: kind.scalar)  # the sum of all lanes, neighbours first
# Positive, normal a = mantissa * 2**exponent with the mantissa between sqrt(1/2) and sqrt(2): (exponent, mantissa).
split_exponent = _function(1, _split_exponent, lambda kind: types.UniTuple(kind, 2))
ldexp = _function(2, _ldexp)  # a * 2**b for whole b, as long as the result is normal
round_to_integer = _function(1, _round_to_integer)  # magnitudes below 2**51 (quads) or 2**22 (octets)
# The last one, two or four lanes of a, then the first ones of b.
shift_in_one, shift_in_two, shift_in_four = _shift_in(1), _shift_in(2), _shift_in(4)
broadcast_last = _function(1, lambda kind, builder, a: _shuffle(builder, a, a, *[kind.lanes - 1] * kind.lanes))
reverse = _function(1, lambda kind, builder, a: _shuffle(builder, a, a, *reversed(range(kind.lanes))))

# For quads.
pairwise_add = _function(
    2,
    lambda kind, builder, a, b: builder.fadd(_shuffle(builder, a, b, 0, 4, 2, 6), _shuffle(builder, a, b, 1, 5, 3, 7)),
)  # [a0 + a1, b0 + b1, a2 + a3, b2 + b3]
swap_pairs = _function(1, lambda kind, builder, a: _shuffle(builder, a, a, 1, 0, 3, 2))
# Magnitudes below 1e-150, of a filter's state, become 0: a decay must not end in denormal numbers, which are slow.
flush_tiny = _function(1, _flush_tiny)
in_unit_interval = _function(1, _in_unit_interval)  # 1 where 0 < a < 1, else 0

# Rows of a square of registers: its columns.
transpose_quads = _function(4, _transpose, lambda kind: types.UniTuple(kind, 4))
transpose_octets = _function(8, _transpose, lambda kind: types.UniTuple(kind, 8))


def _fill(kind: Register, builder: Any, *values: Any) -> Any:
    """The first half of the lanes with the first value, the second half with the last one."""
    one, two = (
        builder.insert_element(ir.Constant(kind.vector, ir.Undefined), value, ir.Constant(_INDEX, 0))
        for value in (values[0], values[-1])
    )
    half = kind.lanes // 2
    return _shuffle(builder, one, two, *[0] * half, *[kind.lanes] * half)


@intrinsic
def broadcast(typing: Any, value: Any) -> Any:
    """A quad with a number in all lanes."""
    return quad(types.float64), lambda context, builder, sig, args: _fill(quad, builder, *args)


@intrinsic
def broadcast_octet(typing: Any, value: Any) -> Any:
    """An octet with a number in all lanes."""
    return octet(types.float32), lambda context, builder, sig, args: _fill(octet, builder, *args)


@intrinsic
def broadcast_pairs(typing: Any, one: Any, two: Any) -> Any:
    """The quad [one, one, two, two]."""
    return quad(types.float64, types.float64), lambda context, builder, sig, args: _fill(quad, builder, *args)


@intrinsic
def widen(typing: Any, value: Any) -> Any:
    """An octet as two quads."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        quads = [
            builder.fpext(_shuffle(builder, args[0], args[0], *lanes), _DOUBLES) for lanes in (range(4), range(4, 8))
        ]
        return context.make_tuple(builder, sig.return_type, quads)

    return types.UniTuple(quad, 2)(octet), code


@intrinsic
def narrow(typing: Any, one: Any, two: Any) -> Any:
    """Two quads as an octet."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _shuffle(builder, *(builder.fptrunc(value, _SINGLES) for value in args), *range(8))

    return octet(quad, quad), code


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, vector: ir.Type) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Four values of a contiguous array (float32 or float64, one axis) from `index` on, which nothing checks."""
    single = array.dtype == types.float32

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(_pointer(context, builder, array, args[0], args[1], _SINGLES if single else _DOUBLES))
        value.align = 4 if single else 8
        return builder.fpext(value, _DOUBLES) if single else value

    return quad(array, types.intp), code


@intrinsic
def load_octet(typing: Any, array: Any, index: Any) -> Any:
    """Eight values of a contiguous array of float32 from `index` on, which nothing checks."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(_pointer(context, builder, array, args[0], args[1], octet.vector))
        value.align = 4
        return value

    return octet(array, types.intp), code


@intrinsic
def load_columns(typing: Any, array: Any, index: Any) -> Any:
    """Eight rows of four float32, the first one from `index` on, as their four columns: four octets."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        step = ir.Constant(args[1].type, 4)
        rows, place = [], args[1]
        for _ in range(8):
            row = builder.load(_pointer(context, builder, array, args[0], place, _SINGLES))
            row.align = 4
            rows.append(row)
            place = builder.add(place, step)
        joined = [_shuffle(builder, rows[row], rows[row + 4], *range(8)) for row in range(4)]
        mixed = [
            _shuffle(builder, joined[row], joined[row + 1], *mask)
            for row in (0, 2)
            for mask in ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
        ]
        columns = [
            _shuffle(builder, mixed[pair], mixed[pair + 2], *mask)
            for pair in (0, 1)
            for mask in ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
        ]
        return context.make_tuple(builder, sig.return_type, columns)

    return types.UniTuple(octet, 4)(array, types.intp), code


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a quad (or an octet) into a contiguous array from `index` on; quads may go into float32, too."""
    rounds = value == quad and array.dtype == types.float32

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        register = builder.fptrunc(args[2], _SINGLES) if rounds else args[2]
        pointer = _pointer(context, builder, array, args[0], args[1], register.type)
        builder.store(register, pointer).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), code
