"""What torch's own tools do to a network of digits is explained, and the difference is certified."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import Box, Network, explain_pruning, read
from lumpability.networks.difference import affine_layers

torch = pytest.importorskip("torch")
prune = pytest.importorskip("torch.nn.utils.prune")


def _module(network: Network) -> Any:
    """Return the network as a module."""
    parts: list[Any] = []
    for layer in affine_layers(network).layers:
        linear = torch.nn.Linear(*layer.weight.shape, dtype=torch.float64)
        linear.weight.data = torch.tensor(layer.weight.T.copy())
        linear.bias.data = torch.tensor(layer.bias)
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def _network(module: Any) -> Network:
    """Return a module as a network."""
    arrays = [
        (layer.weight.detach().numpy().T, layer.bias.detach().numpy())
        for layer in module
        if isinstance(layer, torch.nn.Linear)
    ]
    acts = ["relu"] * (len(arrays) - 1) + [None]
    return Network.dense([(w, b, act) for (w, b), act in zip(arrays, acts, strict=True)])


def _magnitude(module: Any) -> None:
    prune.l1_unstructured(module[2], "weight", amount=0.2)


def _neurons(module: Any) -> None:
    prune.ln_structured(module[0], "weight", amount=3, n=2, dim=0)
    module[0].bias.data[(module[0].weight == 0).all(dim=1)] = 0


def _similar(module: Any) -> None:
    """Let one of the two most similar neurons stand for both."""
    rows = torch.nn.functional.normalize(module[0].weight.data)
    kept, gone = divmod(int((rows @ rows.T).fill_diagonal_(-1).argmax()), len(rows))
    left = [unit for unit in range(len(rows)) if unit != gone]
    norms = module[0].weight.data.norm(dim=1)
    module[2].weight.data[:, kept] += norms[gone] / norms[kept] * module[2].weight.data[:, gone]
    module[0].weight.data, module[0].bias.data = (
        module[0].weight.data[left],
        module[0].bias.data[left],
    )
    module[2].weight.data = module[2].weight.data[:, left]


def _quantised(module: Any) -> None:
    for layer in (module[0], module[2]):
        weight = layer.weight.data
        step = float(weight.abs().max()) / 127
        layer.weight.data = torch.fake_quantize_per_tensor_affine(weight, step, 0, -128, 127)


def _low_rank(module: Any) -> None:
    u, s, v = torch.linalg.svd(module[2].weight.data, full_matrices=False)
    module[2].weight.data = (u[:, :24] * s[:24]) @ v[:24]


@pytest.mark.parametrize(
    ("change", "place", "told"),
    [
        (_magnitude, 1, "weights set to zero"),
        (_neurons, 0, "neurons dropped"),
        (_similar, 0, "neurons merged"),
        (_quantised, 0, "weights quantised to"),
        (_low_rank, 1, "weights of rank 24"),
    ],
)
def test_what_torch_did_is_told_and_certified(
    shared_file: Callable[[str], Path], change: Any, place: int, told: str
) -> None:
    name = "digits_widened_drift1e-4" if change is _similar else "digits"
    full = read(shared_file(f"cases/relaxed/{name}.onnx"))
    assert isinstance(full, Network)
    module = _module(full)
    changed = deepcopy(module)
    change(changed)
    random = np.random.default_rng(0)
    image = np.round(random.uniform(size=64), 2)
    found = explain_pruning(
        _network(module), _network(changed), region=Box.around(image, "0.02", clip=(0, 1))
    )
    assert told in found.layers[place].method
    assert found.certificate.verify()
    points = torch.tensor(np.clip(image + random.uniform(-0.02, 0.02, size=(1000, 64)), 0, 1))
    gap = float((module(points) - changed(points)).detach().abs().max())
    assert gap <= float(found.bound)
