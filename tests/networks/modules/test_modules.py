"""Torch modules are reduced as the graphs that torch's exporter makes, and come back as smaller modules."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest

from lumpability import lump
from lumpability.errors import InvalidInput, InvalidNetwork, NotJustified
from lumpability.networks.modules.runner import graph_module

torch: Any = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
nn = torch.nn


class Residual(nn.Module):
    """Two convolutions with a join, batch normalisation, a head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.first(x))
        x = torch.relu(x + self.norm(self.second(x)))
        return self.head(x.mean((2, 3)))


class Recurrent(nn.Module):
    """An LSTM whose last output is read."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(3, 6, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.cell(x)[0][:, -1])


class Sliced(nn.Module):
    """The code counts on eight units."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.last(torch.relu(self.first(x)).view(-1, 8))


class Gated(nn.Module):
    """Two chunks of a layer are multiplied; the second half of each chunk repeats the first."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.Linear(3, 16), nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        first, second = self.cell(x).chunk(2, -1)
        return self.last((first * torch.sigmoid(second)).view(-1, 8))


def doubled(module: Any) -> Any:
    """Let the second half of all rows be the first, those of the head excluded."""
    with torch.no_grad():
        for name, value in module.named_parameters():
            if "head" not in name and "last" not in name:
                gates = {Gated: 2, Recurrent: 4}.get(type(module), 1)
                for part in value.chunk(gates):
                    half = len(part) // 2
                    part[half:] = part[:half]
    return module.eval()


@pytest.mark.parametrize(
    ("make", "shape"), [(Residual, (1, 3, 6, 6)), (Recurrent, (1, 4, 3))], ids=["cnn", "lstm"]
)
def test_a_module_comes_back_smaller_and_computes_the_same(
    make: Any, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    module = doubled(make())
    lumping = lump(module, torch.randn(shape))
    small, x = lumping.to_torch(), torch.randn(5, *shape[1:])
    assert type(small) is type(module)
    count = [sum(p.numel() for p in one.parameters()) for one in (module, small)]
    assert count[1] < count[0] / 2
    with torch.no_grad():
        np.testing.assert_allclose(small(x), module(x), rtol=1e-4, atol=1e-6)


def test_a_state_dict_with_the_rows_that_stay_fits_the_same_class_with_smaller_widths() -> None:
    torch.manual_seed(1)
    module = doubled(Residual(8))
    lumping = lump(module, torch.randn(1, 3, 6, 6))
    small = Residual(4)
    small.load_state_dict(lumping.state_dict())
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        np.testing.assert_allclose(small.eval()(x), module(x), rtol=1e-4, atol=1e-6)
    rows, columns = lumping.remainders["second.weight"].rows[:2]
    assert len(rows) == len(columns) == 4


def test_masks_are_applied_although_the_module_was_not_run_since_they_were_loaded() -> None:
    prune = pytest.importorskip("torch.nn.utils.prune")

    def made(seed: int) -> Any:
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        prune.ln_structured(module[0], "weight", amount=4, n=2, dim=0)
        return module

    module = made(0)
    module.load_state_dict(made(1).state_dict())
    lumping = lump(module, torch.randn(1, 3))
    x = torch.randn(4, 3)
    with torch.no_grad():
        np.testing.assert_allclose(lumping.to_torch()(x), module(x), rtol=1e-4, atol=1e-6)


def test_what_cannot_be_exported_or_made_smaller_is_refused_with_the_reason() -> None:
    class Branching(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(InvalidNetwork, match="data-dependent"):
        lump(Branching(), torch.randn(2, 3))
    with pytest.raises(InvalidInput, match="example"):
        lump(nn.Linear(1, 1))
    with pytest.raises(InvalidNetwork, match=r"module\.float\(\)"):
        lump(nn.Linear(1, 1).bfloat16(), torch.randn(1, 1))
    with pytest.raises(InvalidNetwork, match="does not run on the example"):
        lump(nn.Linear(3, 1), torch.randn(1, 2))


@pytest.mark.parametrize("make", [Sliced, Gated])
def test_a_module_whose_code_counts_on_its_widths_becomes_one_that_runs_the_graph(
    make: Any,
) -> None:
    torch.manual_seed(2)
    module = doubled(make())
    lumping = lump(module, torch.randn(1, 3))
    small, x = lumping.to_torch(), torch.randn(5, 3)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in module.parameters())
    with torch.no_grad():
        np.testing.assert_allclose(small(x), module(x), rtol=1e-4, atol=1e-6)
    small(x).sum().backward()
    assert all(p.grad is not None for p in small.parameters())
    assert "depends on its widths" in small.reason
    assert copy.deepcopy(small).reason == small.reason
    again = lump(small, torch.randn(1, 3))
    assert again.quotient.parameter_count == lumping.quotient.parameter_count


def test_a_parameter_that_would_need_two_values_is_refused() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return self.last(torch.relu(self.layer(torch.relu(self.layer(x)))))

    lumping = lump(doubled(Tied()), torch.randn(1, 4))
    assert lumping.quotient.hidden_neurons < lumping.network.hidden_neurons
    with pytest.raises(NotJustified, match="two values"):
        lumping.state_dict()


def test_a_module_of_a_graph_is_trained_copied_and_stored() -> None:
    """Running means are buffers: torch differentiates by none of them."""
    module = Residual().eval()
    with torch.no_grad():
        module.first.weight[4:], module.first.bias[4:] = (
            module.first.weight[:4],
            module.first.bias[:4],
        )
    x = torch.randn(2, 3, 8, 8)
    small = graph_module(lump(module, x).quotient)
    assert {"norm_running_mean", "norm_running_var"} <= {name for name, _ in small.named_buffers()}
    assert "norm_weight" in {name for name, _ in small.named_parameters()}
    small(x).sum().backward()
    stored = io.BytesIO()
    torch.save(small, stored)
    stored.seek(0)
    for other in (copy.deepcopy(small), torch.load(stored, weights_only=False)):
        assert torch.equal(other(x), small(x))


def test_a_layer_without_a_bias_that_would_need_one_is_named() -> None:
    first, last = nn.Linear(3, 4), nn.Conv1d(4, 2, 1, bias=False)

    class Channels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = first, last

        def forward(self, x: Any) -> Any:
            return self.last(torch.relu(self.first(x))[:, :, None])

    with torch.no_grad():
        first.weight[2:] = 0
        first.bias[2:] = 1
    lumping = lump(Channels(), torch.randn(1, 3))
    small, x = lumping.to_torch(), torch.randn(5, 3)
    assert "a bias, for which Channels has no parameter" in small.reason
    np.testing.assert_allclose(small(x).detach(), Channels()(x).detach(), rtol=1e-4, atol=1e-6)
    names = {item.name for item in lumping.quotient.model.graph.initializer}
    assert "last.weight" in names
    assert not any(name.startswith("last.weight_") for name in names)
