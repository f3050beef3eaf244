"""A torch module as a graph, by torch's own ONNX exporter.

The module is copied in evaluation mode; masks (`torch.nn.utils.prune`) and parametrisations are applied in the copy, so
that its parameters are what the network computes with.  The exporter names constants after parameters.  With the
package ``onnxscript`` it follows the code of the module symbolically (`torch.export`); otherwise it records one run, and
a module whose code takes a branch by the values of a tensor is refused.  What the graph computes is compared with what
the module computes, at two sizes of the first axis where that is free.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import signature
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, InvalidNetwork, require
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.modules.sequences import without_sequences
from lumpability.numbers.float_arrays import Array

_TOLERANCE = 1e-3
_UNREADABLE = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True, eq=False)
class Exported:
    """A module and its graph.

    - module: a copy in evaluation mode, with masks and parametrisations applied
    - inputs: the example, in the order of the graph's inputs
    - keywords: names of the last inputs, where the example names them
    """

    module: Any
    graph: GraphNetwork
    inputs: tuple[Any, ...]
    keywords: tuple[str, ...] = ()


def export(module: Any, example: Any) -> Exported:
    """Return the graph of a module.

    Parameters
    ----------
    module : torch.nn.Module
        It is not changed.
    example : Tensor, tuple of Tensor, or mapping of str to Tensor
        What the module is called with: one argument, several, or named ones.  The first axis of the first input
        is the batch; it is free in the graph if the exporter allows that, all other sizes are those of the example.

    Raises
    ------
    InvalidNetwork
        If the exporter cannot follow the module, or the graph computes something else.
    MissingDependency
        Without the packages ``torch``, ``onnx`` and ``onnxruntime``.
    """
    torch = require("torch", extra="torch")
    require("onnx", extra="torch")
    keywords = tuple(example) if isinstance(example, Mapping) else ()
    values = example.values() if keywords else example if isinstance(example, tuple) else (example,)
    inputs = tuple(values)
    if not inputs or not all(isinstance(item, torch.Tensor) for item in inputs):
        raise InvalidInput("give example=...: a tensor that the module takes, or a tuple of them")
    ready = evaluated_copy(module)
    for tensor in (*inputs, *ready.parameters(), *ready.buffers()):
        name = str(tensor.dtype).removeprefix("torch.")
        if name in _UNREADABLE:
            raise InvalidNetwork(
                f"the module holds {name}, which runtimes do not compute with: call module.float() "
                "first, every such number is a float32"
            )
    kind = type(module).__name__
    try:
        _run(ready, inputs, keywords)
    except Exception as error:  # the code of the module may raise anything
        raise InvalidNetwork(
            f"this {kind} does not run on the example: {_first_cause(error)}", module=kind
        ) from error
    reasons = []
    for free in (True, False):
        try:
            model = _exported(torch, ready, inputs, keywords, free=free)
            found = Exported(ready, GraphNetwork(model), inputs, keywords)
            _refuse_difference(torch, found, free=free)
        except Exception as error:  # noqa: BLE001  # the exporter raises classes of its own
            reasons.append(error)
        else:
            return found
    raise InvalidNetwork(
        f"torch's exporter does not make a graph of this {kind}: {_first_cause(reasons[-1])}",
        module=kind,
    ) from reasons[-1]


def _first_cause(error: BaseException) -> str:
    """Return the first line of the error that others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__


def evaluated_copy(module: Any) -> Any:
    """Return a copy of a module in evaluation mode, with masks and parametrisations applied."""
    torch = require("torch", extra="torch")
    parametrize, prune = (
        require(f"torch.nn.utils.{name}", extra="torch") for name in ("parametrize", "prune")
    )
    if not isinstance(module, torch.nn.Module):
        raise InvalidInput(f"give a torch.nn.Module, not a {type(module).__name__}")
    with torch.no_grad():
        for part in (
            module.modules()
        ):  # what is computed from parameters is no parameter, and is not copied
            for hook in part._forward_pre_hooks.values():
                if isinstance(hook, prune.BasePruningMethod):
                    hook(part, None)
    try:
        ready = copy.deepcopy(module).eval()
    except RuntimeError as error:
        raise InvalidNetwork(
            f"the module cannot be copied: {str(error).partition('.')[0]}; remove hooks that compute "
            "parameters, such as torch.nn.utils.weight_norm (its parametrisation can be copied)"
        ) from error
    for part in list(ready.modules()):
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod):
                prune.remove(part, hook._tensor_name)
        if parametrize.is_parametrized(
            part
        ):  # torch's own removal would change the class, which the copy shares
            values = {name: getattr(part, name).detach() for name in part.parametrizations}
            del part._modules["parametrizations"]
            part.__class__ = type(part).__bases__[0]
            for name, value in values.items():
                part.register_parameter(name, torch.nn.Parameter(value))
    return ready


def _exported(
    torch: Any, module: Any, inputs: tuple[Any, ...], keywords: tuple[str, ...], *, free: bool
) -> Any:
    """Return the model that torch's exporter makes."""
    if free:  # a size of one would be taken for a constant
        inputs = _of_batch(inputs, 2)
    plain = len(inputs) - len(keywords)
    named = dict(zip(keywords, inputs[plain:], strict=True))
    with _quietly():
        unrolled = any(type(part).__name__ == "RNN" for part in module.modules())
        if unrolled or find_spec("onnxscript") is None:
            return _traced(torch, module, (*inputs[:plain], named) if named else inputs, free=free)
        sizes: Any = [{0: torch.export.Dim.AUTO} if free and item.ndim else {} for item in inputs]
        if named:
            names = [*list(signature(module.forward).parameters)[:plain], *keywords]
            sizes = dict(zip(names, sizes, strict=True))
        program = torch.onnx.export(
            module,
            inputs[:plain],
            kwargs=named or None,
            dynamo=True,
            optimize=False,  # constants keep the names of the parameters
            verbose=False,
            dynamic_shapes=sizes if named else tuple(sizes),
        )
    return without_sequences(program.model_proto)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Let nothing be printed, logged or warned."""
    before, none = logging.root.manager.disable, io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(none),
        contextlib.redirect_stderr(none),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def _traced(torch: Any, module: Any, arguments: tuple[Any, ...], *, free: bool) -> Any:
    """Return the model of one run, as torch's older exporter records it."""
    count = len(arguments) + (len(arguments[-1]) - 1 if isinstance(arguments[-1], dict) else 0)
    names = [f"input_{k}" for k in range(count)]
    file = io.BytesIO()
    # Only with this message a branch may depend on the values of a tensor; torch's own branches check shapes.
    user = r"(?!torch\.)"
    warnings.filterwarnings("error", ".*to a Python boolean.*", module=user)
    torch.onnx.export(
        module,
        arguments,
        file,
        dynamo=False,
        input_names=names,
        dynamic_axes={name: {0: "batch"} for name in names} if free else None,
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )
    model = require("onnx", extra="torch").ModelProto()
    model.ParseFromString(file.getvalue())
    return model


def _refuse_difference(torch: Any, found: Exported, *, free: bool) -> None:
    """Run module and graph on the example and on random numbers of its shape."""
    random = torch.Generator().manual_seed(0)
    trials = [found.inputs, tuple(_like(torch, item, random) for item in found.inputs)]
    if free:
        trials.append(_of_batch(trials[1], 3))
    for inputs in trials:
        if differs(found, found.module, inputs):
            raise InvalidNetwork("the graph computes something else than the module")


def differs(found: Exported, module: Any, inputs: tuple[Any, ...], graph: Any = None) -> bool:
    """Whether a module and a graph, that of `found` by default, compute different numbers."""
    graph = found.graph if graph is None else graph
    wanted = _run(module, inputs, found.keywords)
    given = graph(*(_array(item) for item in inputs))
    given = given if isinstance(given, list) else [given]
    if [a.shape for a in wanted] != [b.shape for b in given]:
        return True
    return not all(
        np.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE * float(np.abs(a).max(initial=0.0)))
        for a, b in zip(wanted, given, strict=True)
    )


def _run(module: Any, inputs: tuple[Any, ...], keywords: tuple[str, ...]) -> list[Array]:
    """Return what a module makes of some inputs, the last of them named."""
    plain = len(inputs) - len(keywords)
    named = dict(zip(keywords, inputs[plain:], strict=True))
    with require("torch", extra="torch").no_grad():
        return [_array(tensor) for tensor in _leaves(module(*inputs[:plain], **named))]


def _of_batch(inputs: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    """Return inputs with the first one's batch brought to a size, and the others' where they have the same."""
    before = next((item.shape[0] for item in inputs if item.ndim), 1)
    if before == size:
        return inputs
    return tuple(
        item[[k % before for k in range(size)]] if item.ndim and item.shape[0] == before else item
        for item in inputs
    )


def _like(torch: Any, tensor: Any, random: Any) -> Any:
    """Return random numbers of a shape and type; integers are those of the example in another order."""
    if tensor.is_floating_point():
        return torch.randn(tensor.shape, generator=random).to(tensor.dtype)
    order = torch.randperm(tensor.numel(), generator=random)
    return tensor.flatten()[order].reshape(tensor.shape)


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy())


def _leaves(value: Any) -> list[Any]:
    """Return the tensors of what a module returns, in order."""
    if isinstance(value, Mapping):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [] if value is None else [value]
