"""Solve Markov chains: stationary, transient and hitting quantities, rewards, random paths.

Small chains and chains with parameters are solved exactly, larger ones in floating point by scipy with
the residual or the truncation error reported.  Lump first, solve the quotient, carry the numbers back.
"""

from lumpability.markov.solve.classes import is_irreducible, recurrent_classes
from lumpability.markov.solve.hitting import expected_hitting_times, hitting_probabilities
from lumpability.markov.solve.rewards import (
    accumulated_reward,
    expected_reward_until,
    instantaneous_reward,
    long_run,
    long_run_reward,
)
from lumpability.markov.solve.simulate import Path, simulate
from lumpability.markov.solve.solution import Solution
from lumpability.markov.solve.stationary import stationary, stationary_distributions
from lumpability.markov.solve.transient import transient

__all__ = [
    "Path",
    "Solution",
    "accumulated_reward",
    "expected_hitting_times",
    "expected_reward_until",
    "hitting_probabilities",
    "instantaneous_reward",
    "is_irreducible",
    "long_run",
    "long_run_reward",
    "recurrent_classes",
    "simulate",
    "stationary",
    "stationary_distributions",
    "transient",
]
