"""Queues and machines whose servers, stations or parts are modelled one by one, and their lumpings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.errors import InvalidValue, SizeLimit
from lumpability.markov.chains import CTMC
from lumpability.markov.examples import families
from lumpability.markov.examples.building import assemble, bits_of, need_at_least, read_rates
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import read_number
from lumpability.structure import WeightedStructure

_MOST_MACHINES = 20


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
    services = {"first_service": first_service, "second_service": second_service}
    return families.tandem(first, second, arrival=arrival, **services).chain()


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


def machine_repair(
    machines: int,
    *,
    repairers: int = 2,
    failure: Any = "1/100",
    repair: Any = 1,
    needed: int | None = None,
) -> CTMC:
    """Return identical machines that share a repair crew; every machine has its own place.

    Each working machine fails with rate `failure`.  With d machines down, min(d, repairers) people
    work with rate `repair` each and share their time equally among all that are down, so every one
    of these returns with rate repair min(d, repairers) / d.

    Parameters
    ----------
    machines : int
        1 to 20; the chain has 2^machines states and machines 2^machines transitions.
    repairers : int
        At least 1.
    failure, repair : number
        Positive rates (1/time) of one machine and of one repairer, read exactly.
    needed : int, optional
        The label ``operational`` marks the states in which at least so many machines work; half of
        them, rounded up, by default.

    Returns
    -------
    CTMC
        A state is named by one letter for each machine: ``u`` up, ``d`` down.  The initial state has
        all machines up.

    Raises
    ------
    InvalidValue
        For a parameter out of its range.
    SizeLimit
        For more than 20 machines.

    Notes
    -----
    The machine repair or machine interference problem (Feller, *An Introduction to Probability Theory
    and Its Applications* I, 1968, XVII.7).  The coarsest ordinary lumping that respects the label has
    machines + 1 blocks: states with equally many machines down share one.  Its quotient is
    the birth-death chain with rates (machines - d) failure up and min(d, repairers) repair down.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = machine_repair(3, repairers=2)
    >>> chain, chain.states[4], chain.matrix.row(7)
    (CTMC(8 states, 24 transitions), 'duu', [(3, Fraction(2, 3)), (5, Fraction(2, 3)), (6, Fraction(2, 3))])
    >>> quotient = lump(chain).quotient
    >>> [quotient.matrix.row(block) for block in range(2)]
    [[(1, Fraction(3, 100))], [(0, Fraction(1, 1)), (2, Fraction(1, 50))]]
    """
    if machines > _MOST_MACHINES:
        raise SizeLimit(
            f"{machines} machines have 2^{machines} states: at most {_MOST_MACHINES} machines",
            machines=machines,
        )
    needed = (machines + 1) // 2 if needed is None else needed
    failure, repair = read_number(failure), read_number(repair)
    given = {"machines": machines, "repairers": repairers, "failure": failure, "repair": repair}
    for name, value in given.items():
        if value <= 0:
            raise InvalidValue(f"{name} must be positive, not {value}", value=value)
    states = np.arange(1 << machines)
    bits = 1 << np.arange(machines)
    is_down = states[:, None] & bits != 0
    down = is_down.sum(axis=1)
    # The distinct rates: 0 for a failure, d for the repair of one of d machines that are down.
    shares = [repair * min(d, repairers) / d for d in range(1, machines + 1)]
    codes = np.where(is_down, down[:, None], 0)
    structure = WeightedStructure.from_edges(
        len(states),
        np.repeat(states, machines),
        (states[:, None] ^ bits).ravel(),
        ExactArray.of_values(codes.ravel(), [failure, *shares]),
    )
    letters = str.maketrans("01", "ud")
    names = [f"{state:0{machines}b}".translate(letters) for state in range(len(states))]
    return CTMC(
        structure,
        states=names,
        labels={"operational": machines - down >= needed},
        initial={names[0]: 1},
    )
