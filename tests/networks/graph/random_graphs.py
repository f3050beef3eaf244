"""Random graphs of the operators that the library understands.

Weights are ternary, and units are often planted that are zero or multiples of others, some of them wrongly.  A graph
is of vectors, images or sequences, of fixed or of free sizes, for one of several operator sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from graph_steps import KINDS, Found, Steps

from lumpability.networks.graph.network import GraphNetwork

OPSETS = (11, 12, 13, 15, 17, 18, 20, 21)


def random_network(seed: int, steps: int = 8, kinds: Iterable[str] = KINDS) -> GraphNetwork:
    """Return a random graph of about so many steps."""
    random = np.random.default_rng(seed)
    kind, opset = (str(random.choice(list(kinds))), int(random.choice(OPSETS)))
    return Maker(random, kind, opset).network(steps)


class Maker(Steps):
    """Steps of images and sequences as well, and graphs of all of them."""

    # Images

    def step_pool(self, x: str, channels: int) -> Found:
        given: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [1, 1]}
        if self.chance(0.3):
            given = {"kernel_shape": [2, 1], "pads": [1, 0, 0, 0]}
        op = self.one_of("MaxPool", "AveragePool")
        if op == "AveragePool" and self.chance(0.5):
            given["count_include_pad"] = 1
        return self.add(op, x, **given), channels

    def step_depthwise(self, x: str, channels: int) -> Found:
        size = self.one_of((3, 3), (3, 1), (1, 3))
        kernels, bias = self.matrix(channels, 1, *size)
        if self.chance(0.4):
            kernels = kernels[:1] * self.random.choice([1, 2, -1, 0], (channels, 1, 1, 1))
        times = 2 if self.chance(0.15) else 1
        padded = (
            {"auto_pad": "SAME_UPPER"}
            if self.chance(0.3)
            else {"pads": [size[0] // 2, size[1] // 2] * 2}
        )
        stored = [self.const(np.repeat(kernels, times, axis=0)), self.const(np.repeat(bias, times))]
        return self.add(
            "Conv", x, *stored[: self.one_of(1, 2)], group=channels, **padded
        ), channels * times

    def step_resize(self, x: str, channels: int) -> Found:
        none = "" if self.opset >= 13 else self.const(np.zeros(0))
        wide = self.add(
            "Resize", x, none, self.const([1, 1, 2, 2]), mode=self.one_of("nearest", "linear")
        )
        op = self.one_of("AveragePool", "MaxPool")
        return self.add(op, wide, kernel_shape=[2, 2], strides=[2, 2]), channels

    def step_pad(self, x: str, channels: int) -> Found:
        mode, filled = self.one_of("constant", "reflect", "edge"), self.const(self.one_of(0.0, 1.0))
        if self.chance(0.4):
            y = self.add("Pad", x, self.ints(0, 1, 0, 0, 0, 1, 0, 0), filled, mode="constant")
            return y, channels + 2
        y = self.add("Pad", x, self.ints(0, 0, 1, 0, 0, 0, 0, 1), filled, mode=mode)
        return self.add(
            "Slice", y, self.ints(0, 1), self.ints(-1, 2**31), self.ints(2, 3)
        ), channels

    def step_turn(self, x: str, channels: int) -> Found:
        if self.kind == "images" and self.chance(0.5):
            return self.add("Transpose", x, perm=[0, 1, 3, 2]), channels
        axis = self.one_of(*self.positions())
        return self.add("Slice", x, *(self.ints(n) for n in (-1, -(2**31), axis, -1))), channels

    # Sequences

    def step_attention(self, x: str, channels: int) -> Found:
        heads, size, value = self.one_of(1, 2), self.one_of(1, 2, 3), self.one_of(1, 2, 3)
        parts = []
        for width, order in ((size, [0, 2, 1, 3]), (size, [0, 2, 3, 1]), (value, [0, 2, 1, 3])):
            y = self.layer(x, channels, heads * width)
            parts.append(
                self.add(
                    "Transpose", self.add("Reshape", y, self.ints(0, -1, heads, width)), perm=order
                )
            )
        scores = self.add("MatMul", parts[0], parts[1])
        if self.chance(0.5):
            scores = self.add("Div", scores, self.const(self.one_of(1.0, 2.0, 4.0)))
        if self.chance(0.8):
            scores = self.add("Softmax", scores, axis=-1)
        y = self.add("Transpose", self.add("MatMul", scores, parts[2]), perm=[0, 2, 1, 3])
        return self.add("Reshape", y, self.ints(0, -1, heads * value)), heads * value

    def step_joined_attention(self, x: str, channels: int) -> Found | None:
        """Attention as torch exports it, batch and heads on one axis."""
        if self.kind != "sequences":
            return None
        heads, size = self.one_of(2, 3), self.one_of(1, 2, 3)
        turned = self.add("Transpose", x, perm=[1, 0, 2])
        parts = []
        for _ in range(3):
            y = self.layer(turned, channels, heads * size)
            y = self.add("Reshape", y, self.ints(5, -1, size))
            parts.append(self.add("Transpose", y, perm=[1, 0, 2]))
        scores = self.add("MatMul", parts[0], self.add("Transpose", parts[1], perm=[0, 2, 1]))
        scores = self.add(self.one_of("Softmax", "Tanh"), scores)
        y = self.add("Transpose", self.add("MatMul", scores, parts[2]), perm=[1, 0, 2])
        y = self.add("Reshape", y, self.ints(5, -1, heads * size))
        return self.add("Transpose", y, perm=[1, 0, 2]), heads * size

    def step_recurrent(self, x: str, channels: int) -> Found:
        op, gates = self.one_of(("LSTM", 4), ("GRU", 3), ("RNN", 1))
        direction = self.one_of("forward", "reverse", "bidirectional")
        count, size = 2 if direction == "bidirectional" else 1, int(self.random.integers(2, 5))
        weights = [self.values(count, gates, size, n) for n in (channels, size)]
        bias = self.values(count, 2 * gates, size)
        if self.chance(0.7):  # unit 1 is unit 0, or nearly
            for array in weights:
                array[:, :, 1] = array[:, :, 0]
            bias[:, :, 1] = bias[:, :, 0]
            if self.chance(0.3):
                weights[1][0, 0, 1, 0] += 1
                weights[1][0, 0, 1, 1] -= self.one_of(1, 0)
        given = [w.reshape(count, gates * size, -1) for w in weights]
        if self.chance(0.7):
            given.append(bias.reshape(count, -1))
        more: dict[str, Any] = {"linear_before_reset": self.one_of(0, 1)} if op == "GRU" else {}
        if self.chance(0.2):
            more["clip"] = self.one_of(0.5, 3.0)
        if self.chance(0.2):
            names = {
                "LSTM": ["Sigmoid", "Tanh", "Relu"],
                "GRU": ["Sigmoid", "Relu"],
                "RNN": ["Relu"],
            }[op]
            more["activations"] = names * count
        turned = self.add("Transpose", x, perm=[1, 0, 2])
        stored = [turned, *map(self.const, given)]
        y, state = self.add(op, *stored, outputs=2, hidden_size=size, direction=direction, **more)
        if self.chance(0.3):
            self.outputs.append(self.reduced("ReduceSum", state, [0, 2], keep=False))
        y = self.add("Transpose", y, perm=[2, 0, 1, 3])
        return self.add("Reshape", y, self.ints(0, -1, count * size)), count * size

    def step_positions(self, x: str, channels: int) -> Found:
        if self.kind == "sequences" and self.chance(0.5):
            values = self.random.choice([0, 1, -1], (5, self.one_of(1, channels)))
            return self.add("Add", x, self.const(values)), channels
        return self.add("CumSum", x, self.const(1, np.int64)), channels

    # All of it

    def steps(self) -> list[Callable[[str, int], Found | None]]:
        common = (
            [self.step_layer] * 4
            + [self.step_activation] * 2
            + [self.step_join] * 3
            + [
                self.step_gate,
                self.step_concat,
                self.step_where,
                self.step_compare,
                self.step_scale,
            ]
            + [self.step_scale, self.step_batch_norm, self.step_norm, self.step_statistic]
            + [self.step_softmax, self.step_expand, self.step_gather, self.step_slice]
            + [self.step_split, self.step_shuffle]
        )
        if not self.tail:
            return [*common, self.step_blocks, self.step_outer, self.step_embedding]
        if self.last:
            return [
                *common,
                self.step_attention,
                self.step_joined_attention,
                *[self.step_recurrent] * 3,
                self.step_positions,
                self.step_turn,
            ]
        images = [
            self.step_pool,
            self.step_depthwise,
            self.step_resize,
            self.step_pad,
            self.step_turn,
        ]
        return [*common, *images, self.step_pool, self.step_depthwise]

    def head(self, x: str, channels: int) -> tuple[str, int]:
        """Return what an output layer reads of a tensor."""
        if not self.tail:
            return x, channels
        if self.last:
            op = self.one_of("ReduceMean", "ReduceMax", "ReduceSum")
            return self.reduced(op, x, [1], keep=False), channels
        if self.kind == "images" and self.chance(0.4):
            return self.add("Flatten", x), channels * 36
        return self.add(
            "Flatten", self.add(self.one_of("GlobalAveragePool", "GlobalMaxPool"), x)
        ), channels

    def network(self, steps: int) -> GraphNetwork:
        chosen = self.steps()
        for _ in range(steps):
            x, channels = self.pool[
                int(self.random.integers(max(0, len(self.pool) - 4), len(self.pool)))
            ]
            found = self.one_of(*chosen)(x, channels)
            if found is not None:
                self.pool.append(found)
        x, channels = self.head(*self.pool[-1])
        weights, bias = self.matrix(3, channels)
        self.outputs.append(self.add("Gemm", x, self.const(weights), self.const(bias), transB=1))
        if self.chance(0.2) and self.pool[-1][0] != "x":
            self.outputs.append(self.pool[-1][0])
        shape = ["N", *self.tail, self.start] if self.last else ["N", self.start, *self.tail]
        return self.model(self.outputs, opset=self.opset, x=shape)
