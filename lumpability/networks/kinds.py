"""The two kinds of lumping of networks.

For "proportional", units of one class may differ by a factor that the activation passes; for "exact"
they must be equal.
"""

from __future__ import annotations

__all__ = ["KINDS", "admits_factors"]

KINDS = ("proportional", "exact")
"""The kinds by name."""


def admits_factors(kind: str) -> bool:
    """Whether units of one class may differ by a factor.

    Examples
    --------
    >>> [admits_factors(kind) for kind in KINDS]
    [True, False]
    """
    return kind == "proportional"
