"""Estimates in nanoseconds of what kinds of rounds cost: they decide about time, never about the answer.

Measured on a 2-core machine; only ratios matter.  Both kinds of rounds cost something for states that move
and for blocks that are new.  Beyond that a sweep looks at all states, which can be shared among threads;
following costs something for every transition that enters a state that moved, and for every state touched,
which is more if states do not fit the cache.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "NEAR_LABELS",
    "begins_to_pay",
    "cost_of_following",
    "cost_of_looking",
    "cost_of_settling",
    "cost_of_splitting",
]

_SUM_COST = 0.85  # of a transition in a sweep
_SCATTERED = 3  # times that, where rows are summed one by one, as most states are alone
_STATE_COST = 2.5  # of a state in a sweep
_GROUP_COST = 8  # of a state that moves in a sweep
_BLOCK_COST = 20  # of a block that is new after it
_HAND_OUT_COST = 60_000  # of each thread in a sweep: most often they have to be woken
_FETCH_COST = 1  # of a state that another thread had in its cache
_MOVE_COST = 4  # of a state with a new name
_NAME_COST = 25  # of a name that is new
_FOLLOW_COST = 2.5  # of an incoming transition followed
_TOUCH_COST = 8  # of a state that is touched, with what comes of it
NEAR_LABELS = 200_000  # states, whose labels are in the cache
_FAR = 1.5  # times as much costs following beyond that
_SETTLE_COST = 5  # of a state, where sweeps follow and are followed
_TRANSPOSE_COST = 3  # of a transition transposed
_EAGER = 0.75  # of a transition transposed, if that looks promising
_PATIENCE = 1.5  # by how much less likely many more rounds are after each sweep
_FIRST_SWEEPS = 30  # of which that is said; floats end after some hundreds more


def cost_of_looking(
    states: int, sharing: int, transitions: int, threads: int
) -> tuple[float, float]:
    """What it costs to find the states that differ, by one thread and by all, where so many share a block."""
    active = transitions * sharing // states
    alone = _STATE_COST * states + _SUM_COST * min(_SCATTERED * active, transitions)
    if threads == 1:
        return alone, alone
    return alone, alone / threads + _HAND_OUT_COST * threads + _FETCH_COST * sharing


def cost_of_splitting(moved: Any, names: Any, sharing: Any) -> Any:
    """What else a sweep costs, if as many states move and blocks come as in the round before."""
    return _GROUP_COST * min(moved, sharing) + _BLOCK_COST * min(names, sharing)


def cost_of_following(
    moved: Any, names: Any, ratio: Any, degree: Any, sharing: Any, states: Any
) -> Any:
    """What it costs to follow states that moved, of a degree, with new names, if `ratio` times as many are touched."""
    followed = moved * degree
    touched = min(followed, moved * ratio, sharing)
    near = _MOVE_COST * moved + _FOLLOW_COST * followed + _TOUCH_COST * touched
    return _NAME_COST * names + (near if states <= NEAR_LABELS else _FAR * near)


def begins_to_pay(saved: float, sweeps: int, active: float) -> bool:
    """Whether to transpose the rows, if following would have saved so much so far (renting until the rent is the price).

    Where few states move in the first rounds, many more rounds will come.
    """
    eager = _EAGER * _PATIENCE ** min(sweeps - 1, _FIRST_SWEEPS)
    return saved > min(eager, _TRANSPOSE_COST) * active


def cost_of_settling(states: int) -> float:
    """What it costs to sweep after following, and to follow again."""
    return _SETTLE_COST * states
