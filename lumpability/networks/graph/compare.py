"""Two models run side by side in onnxruntime, the bytes as they are, at several sizes of every free dimension.

The proof of a reduction is about real numbers; runtimes add in an order of their own choice.  This measures the
difference at random points.  It is never the proof.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, require
from lumpability.numbers.float_arrays import Array

_SIZES = (
    *((1, 1, 0), (1, 8, 1), (2, 16, 1), (1, 8, 0), (2, 16, 0)),
    *((3, 9, 0), (1, 32, 0), (2, 64, 0), (1, 224, 0)),
)
"""Sizes for free dimensions: of axis 0, of the others, and whether these differ from each other."""


@dataclass(frozen=True)
class Comparison:
    """Outputs of two networks at random points.

    Attributes
    ----------
    points : int
    bitwise_equal : int
        Points at which all outputs agree in every bit.
    largest_difference : float
        Largest absolute difference of an output.
    """

    points: int
    bitwise_equal: int
    largest_difference: float

    def __str__(self) -> str:
        return (
            f"onnxruntime: outputs bitwise equal at {self.bitwise_equal} of {self.points} random points, "
            f"largest difference {self.largest_difference:.3g}"
        )


@dataclass(frozen=True)
class Latency:
    """How long one run of two networks takes in onnxruntime, as it optimises them.

    Attributes
    ----------
    before, after : float
        Median seconds of a run.
    runs : int
        Of each, one after the other.
    """

    before: float
    after: float
    runs: int

    def __str__(self) -> str:
        return (
            f"onnxruntime: {1000 * self.before:.3g} ms before, {1000 * self.after:.3g} ms after "
            f"(medians of {self.runs} runs in turn)"
        )


def session(model: bytes, *, optimised: bool = False) -> Any:
    """Load a model in onnxruntime, or raise `InvalidInput`."""
    runtime = require("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own
        raise InvalidInput(f"onnxruntime cannot run the network: {error}") from error


def compare_models(
    first: bytes,
    second: bytes,
    points: int = 1000,
    *,
    scale: float = 1.0,
    seed: int = 0,
    ends: tuple[Array, Array] | None = None,
) -> Comparison:
    """Run two models at random points.

    - first, second: ONNX files with the same inputs and outputs, but for the width of floats
    - points: the sizes of free dimensions take turns; those at which the first model fails are left out
    - scale: standard deviation of the normally distributed inputs
    - ends: for models with one input: its lowest and highest numbers, flat; inputs are then uniform between
      them

    Inputs are numbers of the narrower type, so that both models are given the same.  Raises `InvalidInput` if `points` is not positive, the inputs differ, or onnxruntime cannot run a model.
    Raises `MissingDependency` without the package ``onnxruntime``.
    """
    if points < 1:
        raise InvalidInput("comparing needs at least one point")
    sessions = [session(model) for model in (first, second)]
    kinds = _narrower(*sessions)
    ends_of = [(item.name, item.shape) for item in sessions[0].get_inputs()]
    random = np.random.default_rng(seed)
    sizes, done, equal, largest = list(_SIZES), 0, 0, 0.0
    while done < points and sizes:
        size = sizes[done % len(sizes)]
        shapes = _shapes(ends_of, *size)
        feeds = {name: _random(random, kind, shapes[name], scale) for name, kind in kinds.items()}
        if ends is not None:
            ((name, values),) = feeds.items()
            feeds[name] = _between(random, ends, values)
        try:
            wanted = sessions[0].run(None, _cast(feeds, sessions[0]))
        except Exception as error:  # onnxruntime raises classes of its own
            sizes.remove(size)
            if not sizes:
                raise InvalidInput(f"onnxruntime cannot run the network: {error}") from error
            continue
        try:
            found = sessions[1].run(None, _cast(feeds, sessions[1]))
        except Exception as error:
            raise InvalidInput(f"onnxruntime cannot run the reduced network: {error}") from error
        pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(wanted, found, strict=True)]
        equal += all(a.tobytes() == b.tobytes() for a, b in pairs)
        largest = max([largest, *(_difference(a, b) for a, b in pairs)])
        done += 1
    return Comparison(done, equal, largest)


def latency(first: bytes, second: bytes, *, runs: int = 25) -> Latency:
    """Measure how long two models take, in turn, at the first sizes of free dimensions that they run at.

    Raises `InvalidInput` if onnxruntime cannot run them.  Raises `MissingDependency` without the package
    ``onnxruntime``.
    """
    sessions = [session(model, optimised=True) for model in (first, second)]
    ends = [(item.name, item.shape) for item in sessions[0].get_inputs()]
    kinds = _narrower(*sessions)
    random = np.random.default_rng(0)
    for size in _SIZES:
        shapes = _shapes(ends, *size)
        drawn = {name: _random(random, kind, shapes[name], 1.0) for name, kind in kinds.items()}
        feeds = [_cast(drawn, one) for one in sessions]
        try:
            for one, given in zip(sessions, feeds, strict=True):
                one.run(None, given)
        except Exception:  # noqa: BLE001, S112  # onnxruntime raises classes of its own; other sizes are tried
            continue
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs):
            for one, given, mine in zip(sessions, feeds, times, strict=True):
                started = time.perf_counter()
                one.run(None, given)
                mine.append(time.perf_counter() - started)
        return Latency(statistics.median(times[0]), statistics.median(times[1]), runs)
    raise InvalidInput("onnxruntime runs the networks at none of the sizes that were tried")


def _shapes(
    inputs: list[tuple[str, list[Any]]], first: int, other: int, apart: int
) -> dict[str, list[int]]:
    """Return shapes with a size for each free dimension; one that is named has the same size everywhere."""
    free: dict[str, int] = {}
    for name, shape in inputs:
        for axis, n in enumerate(shape):
            if not isinstance(n, int):
                free.setdefault(n or f"{name}:{axis}", axis)
    late = [name for name, axis in free.items() if axis]
    sizes = dict.fromkeys(free, first)
    sizes.update({name: other * (1 + apart * k) for k, name in enumerate(late)})
    return {
        name: [
            n if isinstance(n, int) else sizes[n or f"{name}:{axis}"]
            for axis, n in enumerate(shape)
        ]
        for name, shape in inputs
    }


def _types(one: Any) -> dict[str, Any]:
    """Return the type of each input of a session."""
    names, found = {"float": "float32", "double": "float64"}, {}
    for item in one.get_inputs():
        inner = item.type.removeprefix("tensor(").removesuffix(")")
        try:
            found[item.name] = np.dtype(names.get(inner, inner))
        except TypeError:
            raise InvalidInput(f"no random inputs are made of the type {inner}") from None
    return found


def _narrower(*sessions: Any) -> dict[str, Any]:
    """Return the type of each input; where two sessions have floats of different widths, the narrower one."""
    first, second = map(_types, sessions)
    pairs = list(zip(first.values(), second.values(), strict=False))
    alike = all(a == b or (a.kind, b.kind) == ("f", "f") for a, b in pairs)
    if list(first) != list(second) or not alike:
        told = [
            ", ".join(f"{name} ({kind})" for name, kind in one.items()) for one in (first, second)
        ]
        raise InvalidInput(
            f"comparing needs two networks with the same inputs, not {told[0]} and {told[1]}"
        )
    return {
        name: min(pair, key=lambda kind: kind.itemsize)
        for name, pair in zip(first, pairs, strict=True)
    }


def _cast(feeds: dict[str, Array], one: Any) -> dict[str, Array]:
    """Return inputs in the types that a session takes."""
    return {name: feeds[name].astype(kind, copy=False) for name, kind in _types(one).items()}


def _random(random: np.random.Generator, dtype: Any, shape: list[int], scale: float) -> Array:
    drawn = scale * random.normal(size=shape) if dtype.kind == "f" else random.integers(0, 2, shape)
    return np.asarray(drawn, dtype=dtype)  # of a single number numpy draws no array


def _between(random: np.random.Generator, ends: tuple[Array, Array], like: Array) -> Array:
    """Return random numbers between ends, which are repeated for every member of the batch."""
    low, high = (np.resize(end, like.size).reshape(like.shape).astype(like.dtype) for end in ends)
    found: Array = (low + random.random(like.shape) * (high - low)).astype(like.dtype)
    return np.clip(found, low, high)


def _difference(a: Array, b: Array) -> float:
    """Return the largest difference of two outputs; infinite if their shapes differ."""
    if a.shape != b.shape or (a.dtype != b.dtype and (a.dtype.kind, b.dtype.kind) != ("f", "f")):
        return float("inf")
    if a.dtype.kind not in "fiub":
        return 0.0 if a.tolist() == b.tolist() else float("inf")
    wide = [x.astype(np.float64) for x in (a, b)]
    same = (wide[0] == wide[1]) | (np.isnan(wide[0]) & np.isnan(wide[1]))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0.0, np.abs(wide[0] - wide[1]))
    return float(np.nan_to_num(off, nan=np.inf).max(initial=0.0))
