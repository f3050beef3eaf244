"""Queues whose servers or stations are modelled one by one, and their lumpings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC
from lumpability.markov.examples.building import assemble, bits_of, need_at_least, read_rates
from lumpability.numbers.exact_array import ExactArray

__all__ = ["polling", "queue_at_changing_speed", "queue_with_servers", "tandem"]


def queue_with_servers(
    servers: int, capacity: int, *, arrival: Any = 1, service: Any = "1/2"
) -> CTMC:
    """Return the queue M/M/c/K with every server modelled by itself.

    A customer who finds idle servers takes one of them at random; one who finds the system full is
    lost.

    Parameters
    ----------
    servers : int
        c, at least 1.
    capacity : int
        K >= c, the customers in service included.
    arrival, service : number
        Rates (1/time), of arrivals and of each busy server.

    Returns
    -------
    CTMC
        States 0 .. 2^c - 1 have the busy servers as binary digits and nobody waiting; state
        2^c - 1 + w has w customers waiting.  The label ``full`` marks the last state.

    Notes
    -----
    Kendall's M/M/c/K (Kleinrock, *Queueing Systems* I, 1975, section 3.8).  Coarsest ordinary lumping:
    by the number of customers, K + 1 blocks.

    Examples
    --------
    >>> from lumpability import lump
    >>> len(lump(queue_with_servers(3, 5)).partition)
    6
    """
    need_at_least(1, servers=servers)
    need_at_least(servers, capacity=capacity)
    entering, leaving = read_rates(arrival=arrival, service=service)
    busy = bits_of(servers)
    state, server = np.nonzero(~busy)
    idle = servers - busy.sum(axis=1)
    shares = ExactArray.of_values(idle[state] - 1, [entering / i for i in range(1, servers + 1)])
    done_state, done_server = np.nonzero(busy)
    last = (1 << servers) - 1
    waiting = np.arange(last, last + capacity - servers)
    return assemble(
        CTMC,
        last + 1 + capacity - servers,
        [
            (state, state | (1 << server), shares),
            (done_state, done_state ^ (1 << done_server), leaving),
            (waiting, waiting + 1, entering),
            (waiting + 1, waiting, servers * leaving),
        ],
        labels={"full": [last + capacity - servers]},
        initial=0,
    )


def tandem(
    first: int, second: int, *, arrival: Any = 1, first_service: Any = 2, second_service: Any = 3
) -> CTMC:
    """Return two queues in series with losses; the first does not depend on the second.

    Parameters
    ----------
    first, second : int
        Capacities, at least 1.  A customer who finds a queue full is lost.
    arrival, first_service, second_service : number
        Rates (1/time).

    Returns
    -------
    CTMC
        State i (second + 1) + j has i customers in the first queue and j in the second.  Labels
        ``first full`` and ``second empty``.

    Notes
    -----
    After Jackson 1957.  Respecting only ``first full``, the coarsest ordinary lumping is by i: the
    first queue alone is a Markov chain, M/M/1/K with first + 1 states.  Respecting
    ``second empty`` as well leaves every state by itself.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = tandem(4, 3)
    >>> len(lump(chain, respect="first full").partition), len(lump(chain).partition)
    (5, 20)
    """
    need_at_least(1, first=first, second=second)
    rates = read_rates(arrival=arrival, first=first_service, second=second_service)
    state = np.arange((first + 1) * (second + 1))
    i, j = state // (second + 1), state % (second + 1)
    passing, lost = state[(i > 0) & (j < second)], state[(i > 0) & (j == second)]
    return assemble(
        CTMC,
        len(state),
        [
            (state[i < first], state[i < first] + second + 1, rates[0]),
            (passing, passing - second, rates[1]),
            (lost, lost - second - 1, rates[1]),
            (state[j > 0], state[j > 0] - 1, rates[2]),
        ],
        labels={"first full": i == first, "second empty": j == 0},
        initial=0,
    )


def polling(stations: int, *, arrival: Any = "1/2", service: Any = 1, switching: Any = 200) -> CTMC:
    """Return a cyclic polling system with equal stations that hold one customer each.

    The server visits the stations in a circle.  At each visit it first looks (rate `switching`).  If a
    customer waits there, it serves the customer (rate `service`) and then goes on; else it goes on at once.

    Parameters
    ----------
    stations : int
        At least 1; the chain has 3 stations 2^(stations - 1) states.
    arrival, service, switching : number
        Rates (1/time).

    Returns
    -------
    CTMC
        State s 2^k + bits looks at station s, state (k + s) 2^k + bits serves it (numbered without
        gaps); the bits say where somebody waits.  The label ``serving`` marks service.

    Notes
    -----
    Ibe and Trivedi 1990.  Coarsest ordinary lumping: states that are rotations of one another share
    a block, 3 * 2^(stations - 1) blocks.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = polling(4)
    >>> chain.n, len(lump(chain).partition)
    (96, 24)
    """
    need_at_least(1, stations=stations)
    arriving, serving, looking = read_rates(arrival=arrival, service=service, switching=switching)
    waits = bits_of(stations)
    place, bits = np.divmod(np.arange(stations << stations), 1 << stations)
    here = waits[bits, place]
    # Looking states are numbered place 2^k + bits; serving ones follow in the same order.
    busy = np.flatnonzero(here)
    number = np.full(len(place), -1)
    number[busy] = len(place) + np.arange(len(busy))
    following = (place + 1) % stations << stations
    looks = np.arange(len(place))
    moves = [
        (looks[here], number[here], looking),
        (looks[~here], (following + bits)[~here], looking),
        (number[busy], (following + (bits ^ (1 << place)))[busy], serving),
    ]
    for station in range(stations):
        free = ~waits[bits, station]
        moves.append((looks[free], looks[free] + (1 << station), arriving))
        free_busy = busy[free[busy]]
        moves.append((number[free_busy], number[free_busy + (1 << station)], arriving))
    n = len(place) + len(busy)
    return assemble(CTMC, n, moves, labels={"serving": np.arange(n) >= len(place)}, initial=0)


def queue_at_changing_speed(
    capacity: int,
    speeds: Sequence[Any] = (1, 2, 5),
    *,
    arrival: Any = 1,
    service: Any = 2,
    switching: Any = "1/3",
) -> CTMC:
    """Return a queue in an environment that changes all its rates: proportional, not ordinary.

    Parameters
    ----------
    capacity : int
        At least 1.
    speeds : sequence of number
        One for each phase of the environment, which changes from each phase to the next.
    arrival, service, switching : number
        Rates (1/time) at speed 1; `switching` does not depend on the speed.

    Returns
    -------
    CTMC
        State i m + phase has i customers, for m phases.  The label ``full`` marks i = capacity.

    Notes
    -----
    After Marin, Piazza and Rossi 2019.  Coarsest proportional lumping: by the number of
    customers, capacity + 1 blocks, with kappa the speed relative to the first phase.  If all
    speeds differ, the coarsest ordinary lumping leaves every state by itself.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = queue_at_changing_speed(3, (1, 2))
    >>> lumping = lump(chain, kind="proportional")
    >>> lumping.partition
    Partition([[0, 1], [2, 3], [4, 5], [6, 7]])
    >>> lumping.factors
    ExactArray([1, 2, 1, 2, 1, 2, 1, 2])
    >>> len(lump(chain).partition)
    8
    """
    need_at_least(1, capacity=capacity, phases=len(speeds))
    names = {f"speed {phase}": speed for phase, speed in enumerate(speeds)}
    entering, leaving, turning, *factors = read_rates(
        arrival=arrival, service=service, switching=switching, **names
    )
    phases = len(factors)
    state = np.arange((capacity + 1) * phases)
    customers, phase = np.divmod(state, phases)
    faster_in = ExactArray.of_values(phase, [entering * factor for factor in factors])
    faster_out = ExactArray.of_values(phase, [leaving * factor for factor in factors])
    below, above = customers < capacity, customers > 0
    moves = [
        (state[below], state[below] + phases, faster_in.take(below)),
        (state[above], state[above] - phases, faster_out.take(above)),
    ]
    if phases > 1:
        moves.append((state, customers * phases + (phase + 1) % phases, turning))
    return assemble(CTMC, len(state), moves, labels={"full": customers == capacity}, initial=0)
