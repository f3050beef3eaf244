"""Operators that are not understood: free functions of their inputs, carried as they are, their inputs held."""

from __future__ import annotations

from typing import Any

from lumpability.networks.tensors.call import Call

__all__: list[str] = []


def apply(call: Call) -> None:
    """Hold all inputs; outputs are new values."""
    for name in filter(None, call.node.input):
        call.work.hold(name, f"{call.where} {call.why}")
    for name in filter(None, call.node.output):
        call.work.source(name)


def edit(call: Call, edit: Any) -> None:
    """Nothing changes."""
