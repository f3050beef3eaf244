"""Plots of proved intervals, beside the exact curve where the chain is small enough to be solved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.certificate.bounds.question import absorbing
from lumpability.certificate.digest import ChainParts
from lumpability.errors import InvalidInput
from lumpability.markov.approximate.bounds import Interval
from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve import transient
from lumpability.show.plots import AFTER, BEFORE, legend, new_axes

_SOLVED_UP_TO = 100_000  # states


def intervals_over_time(
    intervals: Sequence[Interval], chain: MarkovChain | None = None, *, axes: Any = None
) -> Any:
    """Plot intervals of one question at several times as a band.

    Parameters
    ----------
    intervals : sequence of Interval
        As `Bounds.transient` and `Bounds.time_bounded` return them for several times.
    chain : CTMC or DTMC, optional
        The chain: also draw the curve that uniformization finds, if it has an initial distribution and at most
        100,000 states.
    axes : matplotlib axes, optional

    Raises
    ------
    InvalidInput
        If the intervals are about no time.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> from lumpability.markov.approximate.bounds import bounds
    >>> chain = CTMC([[0, 0, 1], [0, 0, "11/10"], [1, 1, 0]], labels={"up": [0, 1]}, initial=0)
    >>> found = bounds(chain, [0, 0, 1]).transient([0, 1, 2], of="up")
    >>> axes = intervals_over_time(found, chain)
    >>> len(axes.collections), len(axes.lines), axes.get_ylabel()
    (1, 1, 'up')
    """
    asked = [interval.certify().asked for interval in intervals]
    times = [question.time for question in asked]
    if not asked or None in times:
        raise InvalidInput("a band over time is drawn of intervals of questions about a time")
    drawn = new_axes(axes)
    places = [float(time) for time in times if time is not None]
    drawn.fill_between(
        places,
        [float(interval.lower) for interval in intervals],
        [float(interval.upper) for interval in intervals],
        color=BEFORE,
        label="proved interval",
    )
    if chain is not None and chain.n <= _SOLVED_UP_TO and asked[0].start is not None:
        parts = ChainParts.of(chain)
        if asked[0].kind == "time_bounded":
            discrete = chain.time == "discrete"
            stopped = absorbing(chain.matrix, asked[0].goal(parts), discrete=discrete)
            chain = chain.rebuilt(stopped, states=chain.states, validate=False)
        earned = asked[0].earning(parts).to_floats()
        found = transient(chain, places, initial=asked[0].start)
        drawn.plot(places, [np.dot(x.floats(), earned) for x in found], color=AFTER, label="exact")
    drawn.set(xlabel="time", ylabel=str(asked[0]).partition(" at ")[0].partition(" within ")[0])
    legend(drawn)
    return drawn
