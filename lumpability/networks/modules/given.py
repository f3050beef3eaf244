"""What the functions of `torch_operators` are given of a node beside its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Given:
    """What a node says apart from its inputs.

    - version: of the operator set
    """

    op: str
    attributes: dict[str, Any]
    version: int
    outputs: int

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def axes(self, tensor: Any, name: str = "axes") -> list[int] | None:
        """Return numbers that are an attribute in old versions and an input in new ones."""
        if tensor is not None:
            return [int(n) for n in tensor.reshape(-1).tolist()]
        found = self.attributes.get(name)
        return None if found is None else list(found)


Function = Callable[..., Any]
