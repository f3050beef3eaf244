"""Steps of random graphs: layers, activations, joins, norms and movements of tensors with equally many positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from graph_builder import Graph

from lumpability.numbers.float_arrays import Array

KINDS: dict[str, list[Any]] = {
    "vectors": [],
    "images": [6, 6],
    "free images": ["H", "W"],
    "sequences": [5],
    "free sequences": ["T"],
}
"""Axes beside batch and channels."""
_UNITS = 24
"""The most channels of a tensor."""
Found = tuple[str, int]


class Steps(Graph):
    """Steps that make a tensor of another one with as many positions; channels are last in sequences."""

    def __init__(self, random: np.random.Generator, kind: str, opset: int) -> None:
        super().__init__()
        self.random, self.kind, self.opset = random, kind, opset
        self.tail = KINDS[kind]
        self.last = "sequences" in kind
        self.axis = 2 if self.last else 1
        self.start = int(random.integers(2, 5))
        self.pool: list[Found] = [("x", self.start)]
        self.outputs: list[str] = []

    # Numbers

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def values(self, *shape: int) -> Array:
        kind = self.one_of("ternary", "ternary", "small", "dyadic", "any")
        if kind == "ternary":
            full = self.random.random(shape) < self.one_of(0.3, 0.6, 0.9)
            return self.random.integers(-1, 2, shape) * full
        if kind == "small":
            return self.random.integers(-3, 4, shape)
        if kind == "dyadic":
            return self.random.choice([0, 0, 0.5, -0.25, 1.5, 0.1], shape)
        return self.random.normal(size=shape)

    def matrix(self, units: int, *rest: int) -> tuple[Array, Array]:
        """Return weights, rows of which are often multiples of others, and a bias that is often one as well."""
        values, factors = self.values(units, *rest), np.ones(units)
        which = np.arange(units)
        if self.chance(0.5):
            which = self.random.integers(0, units, units)
            factors = self.random.choice([1, 1, 2, -1, 0.5, 3, 0], units)
            values = values[which] * factors.reshape(-1, *(1 for _ in rest))
        if rest[0] > 1 and self.chance(0.2):
            values[:, int(self.random.integers(rest[0]))] = 0
        bias = self.values(units)
        if self.chance(0.6):
            bias = bias[which] * factors
        return values, bias * self.chance(0.7)

    def channelwise(self, values: Array) -> str:
        wide = () if self.last or not self.tail else (1,) * len(self.tail)
        return self.const(values.reshape(-1, *wide))

    def numbers(self, channels: int, *choices: float) -> str:
        return self.channelwise(self.random.choice(choices, channels))

    # Operators whose parameters moved from attributes to inputs

    def reduced(self, op: str, x: str, axes: list[int], *, keep: bool = True) -> str:
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.add(op, x, self.ints(*axes), keepdims=int(keep))
        return self.add(op, x, axes=axes, keepdims=int(keep))

    def parts(self, x: str, *sizes: int) -> list[str]:
        if self.opset >= 13:
            return self.add("Split", x, self.ints(*sizes), outputs=len(sizes), axis=self.axis)
        return self.add("Split", x, outputs=len(sizes), axis=self.axis, split=list(sizes))

    def positions(self) -> list[int]:
        return [1] if self.last else list(range(2, 2 + len(self.tail)))

    def view(self, x: str, *shape: int) -> str:
        """Return a tensor of another shape, given without the axes of images."""
        return self.add("Reshape", x, self.ints(*shape, *([] if self.last else self.tail)))

    # Layers and activations

    def layer(self, x: str, channels: int, units: int) -> str:
        if self.tail and not self.last:
            return self.convolution(x, channels, units)
        weights, bias = self.matrix(units, channels)
        if not self.tail and self.chance(0.4):
            turned = int(self.chance(0.5))
            more = {"alpha": self.one_of(0.5, 2.0, -1.0), "beta": self.one_of(1.0, 0.5)}
            given = (weights if turned else weights.T, bias)
            return self.add(
                "Gemm",
                x,
                *map(self.const, given),
                transB=turned,
                **(more if self.chance(0.3) else {}),
            )
        y = self.add("MatMul", x, self.const(weights.T))
        return self.add("Add", y, self.const(bias)) if self.chance(0.7) else y

    def convolution(self, x: str, channels: int, units: int) -> str:
        size = self.one_of((1, 1), (1, 1), (3, 3), (3, 3), (3, 1), (1, 3))
        groups = 2 if channels % 2 == units % 2 == 0 and self.chance(0.3) else 1
        pads = [size[0] // 2, size[1] // 2] * 2
        if self.chance(0.15):
            pads = [size[0] - 1, size[1] - 1, 0, 0]
        given: dict[str, Any] = {"group": groups, "pads": pads}
        if size == (3, 3) and self.chance(0.15):
            given.update(pads=[2] * 4, dilations=[2, 2])
        if self.chance(0.15):
            weights, _ = self.matrix(channels, units // groups, *size)
            return self.add(
                "ConvTranspose", x, self.const(weights), self.const(self.values(units)), **given
            )
        if self.chance(0.1):
            given = {"group": groups, "auto_pad": self.one_of("SAME_UPPER", "SAME_LOWER")}
        weights, bias = self.matrix(units, channels // groups, *size)
        stored = [self.const(weights), *([self.const(bias)] if self.chance(0.7) else [])]
        return self.add("Conv", x, *stored, **given)

    def step_layer(self, x: str, channels: int) -> Found:
        units = int(self.random.integers(2, 9))
        y = self.layer(x, channels, units)
        if self.chance(0.75):
            y, _ = self.step_activation(y, units)
        return (
            (self.add("Add", y, x), units) if units == channels and self.chance(0.3) else (y, units)
        )

    def step_activation(self, x: str, channels: int) -> Found:
        plain = "Relu Relu Relu Tanh Sigmoid Abs Neg Elu Erf Softsign Sign Floor Softplus Identity Cos Sin Selu Round"
        special: list[Callable[[], str]] = [
            lambda: self.add("LeakyRelu", x, alpha=self.one_of(0.1, -0.5, -1.0, 0.0, 1.0, 2.0)),
            lambda: self.clipped(
                x, *self.one_of((0, 6), (0, None), (None, 0), (-1, 1), (1, -1), (2, None))
            ),
            lambda: self.add(
                self.one_of("Max", "Min"), x, self.const(self.one_of(0.0, 0.0, 1.0, -1.0))
            ),
            lambda: self.add(self.one_of("Max", "Min"), x, self.numbers(channels, 0, 0, 1, -1)),
            lambda: self.add("PRelu", x, self.numbers(channels, 0, 0.5, -1, 2, 1)),
            lambda: self.add("Pow", x, self.const(self.one_of(1.0, 2.0, 3.0))),
            lambda: self.add("Sqrt", self.add("Abs", x)),
            lambda: self.add("Exp", self.clipped(x, -3, 3)),
            lambda: self.add(
                "Cast", self.add("Cast", self.clipped(x, -1e6, 1e6), to=self.one_of(6, 7)), to=1
            ),
            lambda: self.add("Mul", x, x),
            lambda: self.add("Div", x, self.add("Add", self.add("Abs", x), self.const(1.0))),
            lambda: self.add("Mod", x, self.const(self.one_of(1.0, 2.0)), fmod=1),
        ]
        if self.chance(0.6):
            return self.add(self.one_of(*plain.split()), x), channels
        return self.one_of(*special)(), channels

    def clipped(self, x: str, low: float | None, high: float | None) -> str:
        return self.add(
            "Clip", x, *("" if end is None else self.const(float(end)) for end in (low, high))
        )

    # Several tensors

    def other(self, x: str, channels: int) -> str:
        same = [name for name, count in self.pool if count == channels and name != x]
        return self.one_of(*same) if same else self.layer(x, channels, channels)

    def step_join(self, x: str, channels: int) -> Found:
        y, op = (
            self.other(x, channels),
            self.one_of("Add", "Add", "Sub", "Max", "Min", "Sum", "Mul", "Mean", "Div"),
        )
        if op == "Div":
            y = self.add("Add", self.add("Abs", y), self.const(1.0))
        more = [self.numbers(channels, -1, 0, 1)] if op == "Sum" and self.chance(0.5) else []
        return self.add(op, x, y, *more), channels

    def step_gate(self, x: str, channels: int) -> Found:
        y = self.layer(x, channels, channels)
        if self.tail and self.chance(0.7):
            y = (
                self.reduced("ReduceMean", y, self.positions())
                if self.last
                else self.add("GlobalAveragePool", y)
            )
        return self.add("Mul", x, self.add("Sigmoid", y)), channels

    def step_concat(self, x: str, channels: int) -> Found | None:
        more = [self.one_of(*self.pool) for _ in range(self.one_of(1, 1, 2))]
        total = channels + sum(count for _, count in more)
        names = [x, *(name for name, _ in more)]
        return (self.add("Concat", *names, axis=self.axis), total) if total <= _UNITS else None

    def step_where(self, x: str, channels: int) -> Found:
        test = self.add("Greater", x, self.const(self.one_of(0.0, 1.0)))
        if self.chance(0.3):
            test = self.add("Cast", self.numbers(channels, 0, 1), to=9)
        rest = (
            self.other(x, channels),
            self.const(self.one_of(0.0, 1.0)),
            self.numbers(channels, 0, 1, -1),
        )
        both = [x, self.one_of(*rest)]
        return self.add("Where", test, *both[:: self.one_of(1, -1)]), channels

    def step_compare(self, x: str, channels: int) -> Found:
        op = self.one_of(
            "Greater", "Less", "Equal", *(["GreaterOrEqual"] if self.opset >= 12 else [])
        )
        y = self.const(0.0) if self.chance(0.5) else self.other(x, channels)
        return self.add("Cast", self.add(op, x, y), to=1), channels

    # Constants, norms and statistics

    def step_scale(self, x: str, channels: int) -> Found:
        op = self.one_of("Mul", "Add", "Div", "Sub")
        choices = (1, 2, -1, 0.5, 3, *((0, 0) if op == "Mul" else ()))
        constant = (
            self.const(self.one_of(*choices))
            if self.chance(0.2)
            else self.numbers(channels, *choices)
        )
        turned = op != "Div" and self.chance(0.2)
        return self.add(op, *((constant, x) if turned else (x, constant))), channels

    def step_batch_norm(self, x: str, channels: int) -> Found | None:
        if self.last:
            return None
        given = [self.random.choice([0, 1, -1, 2, 0.3], channels) for _ in range(3)]
        given.append(self.random.choice([1, 0.25, 3, 1e-8], channels))
        epsilon = self.one_of(0.0, 1e-5, 1e-3, 0.75)
        return self.add("BatchNormalization", x, *map(self.const, given), epsilon=epsilon), channels

    def step_norm(self, x: str, channels: int) -> Found:
        given = [self.const(self.random.choice(c, channels)) for c in ([0, 1, 2], [0, 1])]
        if self.last and self.opset >= 17:
            return self.add("LayerNormalization", x, *given, axis=-1), channels
        if self.tail and not self.last:
            groups = [k for k in range(1, channels + 1) if channels % k == 0]
            if self.opset >= 21 and self.chance(0.6):
                return self.add(
                    "GroupNormalization", x, *given, num_groups=self.one_of(*groups)
                ), channels
            return self.add("InstanceNormalization", x, *given), channels
        length = self.add("Add", self.reduced("ReduceL2", x, [self.axis]), self.const(1.0))
        return self.add("Div", x, length), channels

    def step_statistic(self, x: str, channels: int) -> Found:
        axes = self.one_of([self.axis], *([self.positions()] if self.tail else []))
        op = self.one_of(
            "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"
        )
        return self.add(self.one_of("Sub", "Add", "Mul"), x, self.reduced(op, x, axes)), channels

    def step_softmax(self, x: str, channels: int) -> Found:
        axis = self.one_of(1, -1) if self.tail else 1
        return self.add(self.one_of("Softmax", "LogSoftmax"), x, axis=axis), channels

    def step_expand(self, x: str, channels: int) -> Found:
        shape = (1, 1, channels) if self.last else (1, channels, *(1 for _ in self.tail))
        values = self.const(self.random.choice([0, 1, -1], shape))
        return self.add("Add", x, self.add("Expand", values, self.add("Shape", x))), channels

    # Movements

    def step_gather(self, x: str, channels: int) -> Found:
        chosen = self.random.integers(
            -channels, channels, int(self.random.integers(1, channels + 3))
        )
        return self.add("Gather", x, self.ints(*chosen), axis=self.axis), len(chosen)

    def step_slice(self, x: str, channels: int) -> Found | None:
        low, high = sorted(self.random.choice(channels + 1, 2, replace=False).tolist())
        step = self.one_of(1, 1, 2, -1)
        ends = (low, high) if step > 0 else (high - 1, low - 1 if low else -1000)
        axis = self.one_of(self.axis, self.axis - 2 - len(self.tail))
        count = len(range(low, high, abs(step)))
        return self.add("Slice", x, *(self.ints(n) for n in (*ends, axis, step))), count

    def step_split(self, x: str, channels: int) -> Found | None:
        if channels < 2:
            return None
        cut = int(self.random.integers(1, channels))
        first, second = self.parts(x, cut, channels - cut)
        self.pool.append((first, cut))
        return second, channels - cut

    def step_shuffle(self, x: str, channels: int) -> Found | None:
        groups = next((g for g in (2, 3) if channels % g == 0), 0)
        if not groups or "free" in self.kind:
            return None
        lead = (0, 0) if self.last else (0,)
        wide = self.view(x, *lead, groups, channels // groups)
        order = list(range(3 + len(self.tail)))
        order[self.axis], order[self.axis + 1] = order[self.axis + 1], order[self.axis]
        return self.view(self.add("Transpose", wide, perm=order), *lead, channels), channels

    def step_blocks(self, x: str, channels: int) -> Found | None:
        if self.tail or channels % 2:
            return None
        wide = self.add("Reshape", x, self.ints(-1, 2, channels // 2))
        y = self.add(
            "Relu", self.add("MatMul", wide, self.const(self.matrix(3, channels // 2)[0].T))
        )
        return self.add("Reshape", y, self.ints(-1, 6)), 6

    def step_outer(self, x: str, channels: int) -> Found | None:
        if self.tail or channels > 4:
            return None
        both = [
            self.add("Reshape", x, self.ints(-1, *shape))
            for shape in ((channels, 1), (1, channels))
        ]
        return self.add("Reshape", self.add("Mul", *both), self.ints(-1, channels**2)), channels**2

    def step_embedding(self, x: str, channels: int) -> Found | None:
        if self.tail:
            return None
        total = self.clipped(self.reduced("ReduceSum", x, [1], keep=False), 0, 3)
        table = self.const(self.matrix(5, 4)[0].T)
        return self.add("Gather", table, self.add("Cast", total, to=7), axis=0), 5
