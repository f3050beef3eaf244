"""Torch modules become networks and back, with masks applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lumpability import lump
from lumpability.errors import InvalidNetwork
from lumpability.formats.torch import from_torch, to_torch

torch: Any = pytest.importorskip("torch")
prune: Any = pytest.importorskip("torch.nn.utils.prune")


def test_a_convolutional_module_evaluates_alike_and_comes_back() -> None:
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5)),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(4 * 9, 5),
        nn.LeakyReLU(0.125),
        nn.Linear(5, 2, bias=False),
        nn.Softmax(dim=1),
    ).eval()
    network = from_torch(module, input_shape=(None, 1, 8, 8))
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        np.testing.assert_allclose(network(x.numpy()), module(x).numpy(), rtol=1e-4, atol=1e-6)


def test_every_activation_with_a_module_comes_back_the_same() -> None:
    nn = torch.nn
    functions = [
        nn.ReLU(),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.Softplus(),
        nn.ELU(0.5),
        nn.GELU(),
        nn.SiLU(),
    ]
    functions += [nn.Softsign(), nn.ReLU6(), nn.GELU(approximate="tanh"), nn.Identity()]
    module = nn.Sequential(nn.Linear(3, 3), *functions).double()
    network = from_torch(module)
    x = torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(network(x.numpy()), module(x).numpy(), rtol=1e-9)
        np.testing.assert_allclose(to_torch(network)(x).numpy(), module(x).numpy(), rtol=1e-12)


def test_masked_neurons_disappear_and_the_function_stays() -> None:
    nn = torch.nn
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2)
    )
    prune.ln_structured(module[0], "weight", amount=8, n=2, dim=0)
    prune.ln_structured(module[2], "weight", amount=4, n=2, dim=1)
    network = from_torch(module)
    lumping = lump(network)
    assert lumping.table[0].constant == 8
    assert lumping.quotient.hidden_neurons < network.hidden_neurons - 8
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_allclose(lumping.quotient(x), network(x), rtol=1e-4, atol=1e-6)


def test_a_sequence_that_layers_do_not_describe_is_read_as_a_graph() -> None:
    nn, shared = torch.nn, torch.nn.ReLU()
    torch.manual_seed(2)
    again = nn.Sequential(nn.Linear(3, 4), shared, nn.Linear(4, 4), shared, nn.Linear(4, 2))
    norm = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    slopes = nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Hardswish(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    for module in (again, slopes, nn.Sequential(norm, nn.Dropout1d(), nn.Tanh()).eval()):
        network = from_torch(module)
        with torch.no_grad():
            np.testing.assert_allclose(network(x.numpy()), module(x).numpy(), rtol=1e-4, atol=1e-6)
    pool = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.randn(2, 1, 6, 6)
    with torch.no_grad():
        found = from_torch(pool, input_shape=(None, 1, 6, 6))(x.numpy())
        np.testing.assert_allclose(found, pool(x).numpy(), rtol=1e-4, atol=1e-6)


def test_modules_that_do_not_run_are_refused_with_the_reason() -> None:
    with pytest.raises(InvalidNetwork, match="Bilinear"):
        from_torch(torch.nn.Sequential(torch.nn.Bilinear(1, 1, 1)), input_shape=(None, 1))
    with pytest.raises(InvalidNetwork, match="input_shape"):
        from_torch(torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1)))
