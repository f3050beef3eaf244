"""Reduce masked torch modules, beside Torch-Pruning: parameters that are left, and whether the function is the same.

    python tests/benchmarks/masked_modules.py [--write docs/guides/masked-modules-table.txt]

Needs `torch`, `onnxscript` and `torch-pruning`.  Half of the channels of every coupled group are zero: filters, biases
and batch norms, as structured pruning leaves them; in the last module they repeat the other half instead.
Torch-Pruning is told to remove half of every group by magnitude, so it has to find the couplings by itself, and the
zero channels are the smallest.  The last column is the largest difference of its outputs to those of the module, on
random inputs, divided by their largest entry; ours is compared in the same way.
"""

from __future__ import annotations

import argparse
import copy
import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any


def modules(nn: Any, torch: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Modules by name, with the shape of their inputs."""

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm = nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32)
            self.first, self.second = (nn.Conv2d(32, 32, 3, padding=1) for _ in range(2))
            self.inner, self.outer = (nn.BatchNorm2d(32) for _ in range(2))
            self.head = nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.norm(self.stem(x)))
            y = torch.relu(self.inner(self.first(x)))
            x = torch.relu(x + self.outer(self.second(y)))
            return self.head(x.mean((2, 3)))

    class Dense(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
            self.three, self.head = nn.Conv2d(32, 32, 3, padding=1), nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            one = torch.relu(self.one(x))
            both = torch.cat([one, torch.relu(self.two(one))], 1)
            return self.head(torch.relu(self.three(both)).mean((2, 3)))

    class Depthwise(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.deep = nn.Conv2d(3, 32, 1), nn.Conv2d(32, 32, 3, padding=1, groups=32)
            self.narrow, self.head = nn.Conv2d(32, 16, 1), nn.Linear(16, 10)

        def forward(self, x: Any) -> Any:
            x = nn.functional.relu6(self.deep(nn.functional.relu6(self.wide(x))))
            return self.head(self.narrow(x).mean((2, 3)))

    class Gated(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.up = nn.Linear(16, 64), nn.Linear(16, 64)
            self.head = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            return self.head(nn.functional.silu(self.gate(x)) * self.up(x))

    image = (3, 16, 16)
    return {
        "residual": (Residual(), image),
        "concatenation": (Dense(), image),
        "depthwise": (Depthwise(), image),
        "gated": (Gated(), (16,)),
        "residual, repeated": (Residual(), image),
    }


def prepared(torch: Any, module: Any, repeated: bool) -> Any:
    """Make half of the channels of each layer zero, or equal to the others; the head stays."""
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name.startswith("head") or not value.ndim:
                continue
            half = len(value) // 2
            value[half:] = value[:half] if repeated else 0.0
    return module.eval()


def difference(torch: Any, first: Any, second: Any, shape: tuple[int, ...]) -> float:
    """The largest difference of outputs, as a share of the largest output."""
    x = torch.randn(8, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = first(x), second(x)
    return float((wanted - found).abs().max() / wanted.abs().max())


def pruned(torch: Any, module: Any, example: Any) -> Any:
    """What Torch-Pruning leaves of a copy of a module."""
    import torch_pruning

    small = copy.deepcopy(module)
    torch_pruning.pruner.MagnitudePruner(
        small,
        example,
        importance=torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=[small.head],
    ).step()
    return small


def count(module: Any) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in module.parameters())


def main() -> None:
    """Print the table, or write it to a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    import torch

    from lumpability import lump

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torch-pruning"))
    columns = ("module", "parameters", "ours", "off by", "Torch-Pruning", "off by")
    lines = [versions, "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, (module, shape) in modules(torch.nn, torch).items():
        made = prepared(torch, module, "repeated" in name)
        example = torch.randn(2, *shape)
        ours, theirs = lump(made, example).to_torch(), pruned(torch, made, example)
        cells = [name, f"{count(made):,}"]
        for one in (ours, theirs):
            cells += [f"{count(one):,}", f"{difference(torch, made, one, shape):.0e}"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    if given.write is not None:
        given.write.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
