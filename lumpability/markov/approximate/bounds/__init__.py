"""Proved intervals for quantities of a chain, from any partition of its states.

The theorems are those of `lumpability.certificate.bounds.proofs`.  Floating point only searches for vectors;
every end is computed from them in exact arithmetic, by the code that checks certificates.
"""

from lumpability.markov.approximate.bounds.face import Bounds, bounds
from lumpability.markov.approximate.bounds.interval import Interval
from lumpability.markov.approximate.bounds.questions import (
    Expected,
    Hitting,
    LongRun,
    Question,
    Stationary,
    TimeBounded,
    Transient,
)

__all__ = [
    "Bounds",
    "Expected",
    "Hitting",
    "Interval",
    "LongRun",
    "Question",
    "Stationary",
    "TimeBounded",
    "Transient",
    "bounds",
]
