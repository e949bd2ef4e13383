"""The recurrence of `ops/reference.py` and its adjoint for one vector of neurons, as LLVM instructions.

Numba's loops call these two intrinsics for `lanes` neighbouring neurons at a time, with the time steps unrolled, so
that the membrane stays in registers and nothing hangs on what LLVM would vectorise by itself. Every operation
stands in the order of the reference and is rounded by itself: the spikes are the reference's to the last bit.

An element is at `at + t * stride`; its channel's constants are at `channel`, as vectors where the lanes are
channels. `drive` holds leak and the gain of each branch, [1 + branches, T, C]; `steady` holds decay, reset gate,
subtracted reset and threshold, [4, T or 1, C].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from glifcli.ops.cpu.vectors import Lanes, Memory, Sums


def _bump(surrogate: str) -> Callable[[Lanes], Lanes]:
    """The surrogate of that name, as `ops/surrogate.py` has it."""

    def rectangle(z: Lanes) -> Lanes:
        return z.constant(0.5).above(z.size())

    def triangle(z: Lanes) -> Lanes:
        return (z.constant(1.0) - z.size()).or_zero()

    def arctan(z: Lanes) -> Lanes:
        scaled = z * z.constant(math.pi)
        return z.constant(1.0) / (z.constant(1.0) + scaled * scaled)

    def sigmoid(z: Lanes) -> Lanes:
        one = z.constant(1.0)
        value = one / (one + (z * z.constant(-4.0)).exponential())
        return z.constant(4.0) * value * (one - value)

    return {"rectangle": rectangle, "triangle": triangle, "arctan": arctan, "sigmoid": sigmoid}[surrogate]


@dataclass(frozen=True)
class Form:
    """What a kernel is compiled for.

    lanes: neurons in a vector. steps: time steps. branches: 1 or 2 inputs. over_channels: lanes are channels, else
    positions in space. timed: steady constants change with time. repeats: one input for all steps. carried: the
    state before and after is in memory, else the sequence begins at rest and its end is not kept.
    """

    lanes: int
    steps: int
    branches: int
    over_channels: bool
    timed: bool
    repeats: bool
    carried: bool

    @classmethod
    def of(cls, literals: Any) -> "Form":
        """The form given by Numba literals, in the order of the fields."""
        lanes, steps, branches, *flags = (literal.literal_value for literal in literals)
        return cls(lanes, steps, branches, *map(bool, flags))


class Neurons:
    """What a vector of neurons reads at each of its time steps."""

    def __init__(self, context: Any, builder: Any, types_: Any, values: Any, form: Form) -> None:
        self.builder, self.form = builder, form
        named = dict(zip(FIELDS, zip(types_, values, strict=True), strict=True))
        self.at, self.stride, self.channel, self.channels = (
            named[name][1] for name in ("at", "stride", "channel", "channels")
        )

        def memory(name: str) -> Memory:
            return Memory.of(context, builder, *named[name], form.lanes)

        self.y = [memory(name) for name in ("y1", "y2")[: form.branches]]
        self.steady, self.drive = memory("steady"), memory("drive")
        self.membrane, self.last = memory("membrane"), memory("last")
        self.memory = memory

    def element(self, step: int) -> Any:
        """Where the neurons' element of that step is."""
        return self.builder.add(self.at, self.builder.mul(self.stride, self._number(step)))

    def input(self, step: int) -> Any:
        """Where their input of that step is: one for all where it repeats."""
        return self.at if self.form.repeats else self.element(step)

    def constant(self, memory: Memory, row: int) -> Lanes:
        """The neurons' constants in that row of an array [rows, C]."""
        index = self.builder.add(self.channel, self.builder.mul(self.channels, self._number(row)))
        return memory.load(index) if self.form.over_channels else memory.load_one(index)

    def steadies(self, step: int) -> list[Lanes]:
        """decay, reset gate, subtracted reset and threshold of that step."""
        rows = self.form.steps if self.form.timed else 1
        return [self.constant(self.steady, n * rows + (step if self.form.timed else 0)) for n in range(4)]

    def gain(self, branch: int, step: int) -> Lanes:
        """The gain of that branch at that step."""
        return self.constant(self.drive, (1 + branch) * self.form.steps + step)

    def start(self) -> tuple[Lanes, Lanes]:
        """Membrane and last spike before the first step."""
        if self.form.carried:
            return self.membrane.load(self.at), self.last.load(self.at)
        zero = self.gain(0, 0).constant(0.0)
        return zero, zero

    def step(self, step: int, membrane: Lanes, spike: Lanes) -> tuple[Lanes, Lanes]:
        """(membrane, spike) after that step."""
        decay, reset_gate, reset_sub, threshold = self.steadies(step)
        current = self.gain(0, step) * self.y[0].load(self.input(step))
        if self.form.branches == 2:
            current = current + self.gain(1, step) * self.y[1].load(self.input(step))
        kept = decay * membrane * (spike.constant(1.0) - reset_gate * spike)
        membrane = kept - self.constant(self.drive, step) + current - reset_sub * spike
        return membrane, membrane.above(threshold)

    def _number(self, number: int) -> Any:
        return ir.Constant(self.at.type, number)


FORM = 7
FIELDS = ("y1", "y2", "steady", "drive", "membrane", "last", "at", "stride", "channel", "channels")


@intrinsic(prefer_literal=True)
def forward_lanes(
    typing, lanes, steps, branches, over_channels, timed, repeats, carried,
    y1, y2, steady, drive, membrane, last, at, stride, channel, channels, spikes,
):  # fmt: skip
    """Writes the spikes of `lanes` neurons at every step, and where they are `carried` their state."""
    signature = types.void(
        lanes, steps, branches, over_channels, timed, repeats, carried,
        y1, y2, steady, drive, membrane, last, at, stride, channel, channels, spikes,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        form = Form.of(signature.args[:FORM])
        neurons = Neurons(context, builder, signature.args[FORM:-1], values[FORM:-1], form)
        out = Memory.of(context, builder, signature.args[-1], values[-1], form.lanes)
        u, s = neurons.start()
        for t in range(form.steps):
            u, s = neurons.step(t, u, s)
            out.store(s, neurons.element(t))
        if form.carried:
            neurons.membrane.store(u, neurons.at)
            neurons.last.store(s, neurons.at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def backward_lanes(
    typing, lanes, steps, branches, over_channels, timed, repeats, carried, surrogate,
    y1, y2, steady, drive, membrane, last, at, stride, channel, channels,
    grad_spikes, grad_y1, grad_y2, grad_membrane, grad_last, sums, lane, width,
):  # fmt: skip
    """Writes the gradients of the inputs of `lanes` neurons and adds to those of their constants.

    The steps are run again first. `sums` is [rows, width], filled from `lane` on. With G the gradient of the
    membrane after a step, u and s the membrane and the spike before it and D the gradient of u - threshold, its
    rows are the sums of G, step by step, of G times each input, and of G u, G u s, G s and D, over all steps where
    the steady constants do not change. grad_membrane and grad_last hold the gradients of the state after, and get
    those of the state before.
    """
    signature = types.void(
        lanes, steps, branches, over_channels, timed, repeats, carried, surrogate,
        y1, y2, steady, drive, membrane, last, at, stride, channel, channels,
        grad_spikes, grad_y1, grad_y2, grad_membrane, grad_last, sums, lane, width,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        form = Form.of(signature.args[:FORM])
        bump = _bump(signature.args[FORM].literal_value)
        first = FORM + 1 + len(FIELDS)
        neurons = Neurons(context, builder, signature.args[FORM + 1 : first], values[FORM + 1 : first], form)
        named = dict(zip(OUTPUTS, zip(signature.args[first:], values[first:], strict=True), strict=True))
        memory = {name: Memory.of(context, builder, *named[name], form.lanes) for name in OUTPUTS if name not in PLACES}
        grad_y = [memory["grad_y1"], memory["grad_y2"]][: form.branches]
        (_, lane), (_, width) = (named[name] for name in PLACES)

        sums = Sums(memory["sums"], lane, width)
        states = [neurons.start()]
        for t in range(form.steps):
            states.append(neurons.step(t, *states[-1]))
        zero, one = states[0][0].constant(0.0), states[0][0].constant(1.0)
        if form.carried:
            grad_u, grad_s = memory["grad_membrane"].load(neurons.at), memory["grad_last"].load(neurons.at)
        else:
            grad_u, grad_s = zero, zero
        grad_x = [zero] * form.branches
        steady = [zero] * 4
        drives = (1 + form.branches) * form.steps
        for t in reversed(range(form.steps)):
            decay, reset_gate, reset_sub, threshold = neurons.steadies(t)
            (before, s), (u, _) = states[t], states[t + 1]
            grad_distance = (grad_s + memory["grad_spikes"].load(neurons.element(t))) * bump(u - threshold)
            grad_u = grad_u + grad_distance
            sums.add(t, grad_u)
            for branch in range(form.branches):
                sums.add_product((1 + branch) * form.steps + t, grad_u, neurons.y[branch].load(neurons.input(t)))
                gain = neurons.gain(branch, t)
                if form.repeats:
                    grad_x[branch] = grad_u.times_plus(gain, grad_x[branch])
                else:
                    grad_y[branch].store(grad_u * gain, neurons.element(t))
            held = grad_u * before
            if form.timed:
                steady = [zero] * 4
            steady = [
                steady[0] + held,
                held.times_plus(s, steady[1]),
                grad_u.times_plus(s, steady[2]),
                steady[3] + grad_distance,
            ]
            if form.timed:
                for n, total in enumerate(steady):
                    sums.add(drives + n * form.steps + t, total)
            grad_s = zero - grad_u * (decay * reset_gate).times_plus(before, reset_sub)
            grad_u = grad_u * (decay * (one - reset_gate * s))
        if not form.timed:
            for n, total in enumerate(steady):
                sums.add(drives + n, total)
        if form.repeats:
            for branch in range(form.branches):
                grad_y[branch].store(grad_x[branch], neurons.at)
        if form.carried:
            memory["grad_membrane"].store(grad_u, neurons.at)
            memory["grad_last"].store(grad_s, neurons.at)
        return context.get_dummy_value()

    return signature, generate


PLACES = ("lane", "width")
OUTPUTS = ("grad_spikes", "grad_y1", "grad_y2", "grad_membrane", "grad_last", "sums", *PLACES)


@intrinsic(prefer_literal=True)
def moment_lanes(typing, lanes, over_channels, y, pivot, at, channel, sums, lane, width):
    """Adds the distances of `lanes` elements from their channels' pivots, and those squared, to sums [2, width]."""
    signature = types.void(lanes, over_channels, y, pivot, at, channel, sums, lane, width)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        count, over_channels = signature.args[0].literal_value, signature.args[1].literal_value
        y, pivot, sums = (Memory.of(context, builder, signature.args[n], values[n], count) for n in (2, 3, 6))
        at, channel, lane, width = (values[n] for n in (4, 5, 7, 8))
        distance = y.load(at) - (pivot.load(channel) if over_channels else pivot.load_one(channel))
        Sums(sums, lane, width).add(0, distance)
        Sums(sums, lane, width).add_product(1, distance, distance)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def affine_lanes(typing, lanes, over_channels, grad, y, scale, shift, at, channel):
    """Adds y times its channel's scale plus shift to the gradient, for `lanes` elements."""
    signature = types.void(lanes, over_channels, grad, y, scale, shift, at, channel)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        count, over_channels = signature.args[0].literal_value, signature.args[1].literal_value
        grad, y, scale, shift = (Memory.of(context, builder, signature.args[n], values[n], count) for n in range(2, 6))
        at, channel = values[6:]
        a, b = ((m.load if over_channels else m.load_one)(channel) for m in (scale, shift))
        grad.store(grad.load(at) + y.load(at).times_plus(a, b), at)
        return context.get_dummy_value()

    return signature, generate
