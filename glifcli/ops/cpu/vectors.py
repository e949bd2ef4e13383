"""Vectors of floats in registers and arrays in memory, for writing LLVM instructions as arithmetic."""

from dataclasses import dataclass
from typing import Any, Self

from llvmlite import ir
from numba import types

FLOAT, INT = ir.FloatType(), ir.IntType(32)


@dataclass(frozen=True)
class Lanes:
    """A vector of floats in a register, with arithmetic that rounds after every operation."""

    builder: Any
    value: Any

    def __add__(self, other: Self) -> Self:
        return type(self)(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other: Self) -> Self:
        return type(self)(self.builder, self.builder.fmul(self.value, other.value))

    def __truediv__(self, other: Self) -> Self:
        return type(self)(self.builder, self.builder.fdiv(self.value, other.value))

    def times_plus(self, factor: Self, term: Self) -> Self:
        """This times `factor` plus `term`, rounded once where the processor can."""
        return self._call("llvm.fmuladd", factor, term)

    def above(self, other: Self) -> Self:
        """1 where this is greater, else 0."""
        return self._where(self.builder.fcmp_ordered(">", self.value, other.value), 1.0)

    def or_zero(self) -> Self:
        """This where it is positive, else 0."""
        positive = self.builder.fcmp_ordered(">", self.value, _constant(self.value.type, 0.0))
        return type(self)(self.builder, self.builder.select(positive, self.value, _constant(self.value.type, 0.0)))

    def size(self) -> Self:
        """The absolute value."""
        return self._call("llvm.fabs")

    def exponential(self) -> Self:
        """e to the power of this."""
        return self._call("llvm.exp")

    def constant(self, number: float) -> Self:
        """That number in every lane."""
        return type(self)(self.builder, _constant(self.value.type, number))

    def _where(self, condition: Any, number: float) -> Self:
        kind = self.value.type
        return type(self)(self.builder, self.builder.select(condition, _constant(kind, number), _constant(kind, 0.0)))

    def _call(self, name: str, *others: Self) -> Self:
        kind, module = self.value.type, self.builder.module
        name += f".v{kind.count}f32" if isinstance(kind, ir.VectorType) else ".f32"
        function = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(kind, [kind] * (1 + len(others))), name
        )
        return type(self)(self.builder, self.builder.call(function, [self.value, *(x.value for x in others)]))


def _constant(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


@dataclass(frozen=True)
class Memory:
    """An array in memory, float32, or bfloat16 as uint16, that is read and written `lanes` elements at a time."""

    context: Any
    builder: Any
    data: Any
    lanes: int
    narrow: bool

    @classmethod
    def of(cls, context: Any, builder: Any, kind: Any, array: Any, lanes: int) -> "Memory":
        """The memory of a Numba array."""
        data = context.make_array(kind)(context, builder, array).data
        return cls(context, builder, data, lanes, kind.dtype == types.uint16)

    def load(self, index: Any) -> Lanes:
        """The elements from `index` on."""
        builder = self.builder
        value = builder.load(self._pointer(index, self.lanes))
        value.align = 2 if self.narrow else 4
        if self.narrow:
            wide = self._kind(INT)
            sixteen = ir.Constant(wide, [16] * self.lanes if self.lanes > 1 else 16)
            value = builder.bitcast(builder.shl(builder.zext(value, wide), sixteen), self._kind(FLOAT))
        return Lanes(builder, value)

    def load_one(self, index: Any) -> Lanes:
        """The float32 at `index` in every lane."""
        builder = self.builder
        value = builder.load(self._pointer(index, 1))
        if self.lanes > 1:
            empty = ir.Constant(self._kind(FLOAT), ir.Undefined)
            first = builder.insert_element(empty, value, ir.Constant(INT, 0))
            everywhere = ir.Constant(ir.VectorType(INT, self.lanes), [0] * self.lanes)
            value = builder.shuffle_vector(first, empty, everywhere)
        return Lanes(builder, value)

    def store(self, lanes: Lanes, index: Any) -> None:
        """Writes the lanes from `index` on, rounded to the nearest, ties to even, where the array is bfloat16."""
        builder, value = self.builder, lanes.value
        if self.narrow:
            wide = self._kind(INT)

            def number(n: int) -> Any:
                return ir.Constant(wide, [n] * self.lanes if self.lanes > 1 else n)

            bits = builder.bitcast(value, wide)
            odd = builder.and_(builder.lshr(bits, number(16)), number(1))
            rounded = builder.add(bits, builder.add(odd, number(0x7FFF)))
            # Rounded up, a NaN could become an infinity; it is cut off instead, its quiet bit set.
            cut = builder.or_(bits, number(0x400000))
            rounded = builder.select(builder.fcmp_unordered("uno", value, value), cut, rounded)
            value = builder.trunc(builder.lshr(rounded, number(16)), self._kind(ir.IntType(16)))
        builder.store(value, self._pointer(index, self.lanes)).align = 2 if self.narrow else 4

    def _kind(self, element: Any) -> Any:
        return ir.VectorType(element, self.lanes) if self.lanes > 1 else element

    def _pointer(self, index: Any, lanes: int) -> Any:
        element = ir.IntType(16) if self.narrow else FLOAT
        kind = ir.VectorType(element, lanes) if lanes > 1 else element
        return self.builder.bitcast(self.builder.gep(self.data, [index]), kind.as_pointer())


@dataclass(frozen=True)
class Sums:
    """Sums over neurons, [rows, width]; the lanes stand in each row from `lane` on."""

    memory: Memory
    lane: Any
    width: Any

    def add(self, row: int, lanes: Lanes) -> None:
        """Adds the lanes to that row."""
        place = self._place(row)
        self.memory.store(self.memory.load(place) + lanes, place)

    def add_product(self, row: int, left: Lanes, right: Lanes) -> None:
        """Adds the lanes' product to that row."""
        place = self._place(row)
        self.memory.store(left.times_plus(right, self.memory.load(place)), place)

    def _place(self, row: int) -> Any:
        builder = self.memory.builder
        return builder.add(self.lane, builder.mul(self.width, ir.Constant(self.lane.type, row)))
