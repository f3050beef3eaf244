"""One question about a chain, answered on the quotient that keeps apart only what the question needs.

A label splits the states into two sets, a target does so too, and a reward into sets of equal earnings.  The coarsest
ordinary lumping that respects these determines the answer: block probabilities of the chain are those of the quotient,
and hitting times, probabilities and rewards are constant on blocks (`lumpability.markov.preserved`).  A chain with
parameters is lumped once, for all of their values; each point of a sweep then substitutes in the quotient.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.answer import Answer, AnswerRow
from lumpability.markov.attributes import block_name
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.earned_rewards import earning_rates
from lumpability.markov.lump import lump_chain
from lumpability.markov.lumping import Lumping
from lumpability.markov.solve.hitting import expected_hitting_times, hitting_probabilities
from lumpability.markov.solve.rewards import accumulated, expected_reward_until, long_run
from lumpability.markov.solve.solution import Method, Solution
from lumpability.markov.solve.transient import transient
from lumpability.markov.solve.vectors import initial_of, target_of
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.parameters import to_expression
from lumpability.numbers.rationals import read_number
from lumpability.partition import Partition
from lumpability.vocabulary import unknown_word

Quantity = Literal[
    "stationary",
    "transient",
    "hitting-probability",
    "hitting-time",
    "reward",
    "instantaneous-reward",
    "accumulated-reward",
    "reward-until",
]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

_TIMED = ("transient", "instantaneous-reward", "accumulated-reward")
_TARGETED = ("hitting-probability", "hitting-time", "reward-until")
_REWARDED = ("reward", "instantaneous-reward", "accumulated-reward", "reward-until")
_LABELLED = ("stationary", "transient")
KINDS = ("ordinary", "bisimulation", "strict", "exact")
_UNIT = 2.0**-53
_FORMULAS = 40


@dataclass(frozen=True)
class _Question:
    quantity: str
    target: Any
    times: tuple[Any, ...]
    label: str | None
    reward: str | None
    initial: Any
    method: Method
    epsilon: float
    states: bool
    avoid: Any


def ask(
    chain: MarkovChain,
    quantity: Quantity = "stationary",
    *,
    target: Any = None,
    avoid: Any = None,
    times: Any = None,
    label: str | None = None,
    reward: str | None = None,
    initial: Any = None,
    values: Mapping[Any, Any] | None = None,
    sweep: Mapping[Any, Iterable[Any]] | None = None,
    states: bool = False,
    kind: str = "ordinary",
    method: Method = "auto",
    epsilon: float = 1e-10,
) -> Answer:
    """Lump a chain for one question, and answer it on the quotient.

    Parameters
    ----------
    chain : CTMC or DTMC
    quantity : str
        "stationary" (fractions of time in the long run), "transient" (probabilities at `times`),
        "hitting-probability" and "hitting-time" (of `target`), "reward" (per unit of time in the long run),
        "instantaneous-reward" and "accumulated-reward" (at and up to `times`), "reward-until" (`target`).
    target : label name, states, boolean array or predicate
    avoid : label name, states, boolean array or predicate, optional
        Of "hitting-probability": states that must not be visited before the target.
    times : number or sequence of numbers
    label : str, optional
        Only the probability of this label; without it, that of every block.
    reward : str
        A reward of the chain.
    initial : state or mapping, optional
        The chain's own initial distribution by default.  Until a target, the answer is by block, or with
        `initial` the one number from there.
    values : mapping from parameter to number or expression, optional
    sweep : mapping from parameter to numbers, optional
        Answer for each number; of several parameters for each combination.
    states : bool
        Carry the answer back to the states, one row for each.  For distributions this needs kind "exact" or "strict".
    kind : {"ordinary", "bisimulation", "strict", "exact"}
        "exact" only for distributions of states.
    method : {"auto", "exact", "direct", "iterative"}
        As for `stationary`.
    epsilon : float
        As for `transient`.

    Raises
    ------
    InvalidInput
        If the quantity needs something that is not given, or has no use for something that is.
    NotJustified
        If probabilities of single states do not follow from the quotient.

    Examples
    --------
    >>> from lumpability.markov.examples import machine_repair
    >>> chain = machine_repair(6, repairers=2)
    >>> answer = ask(chain, label="operational")
    >>> answer.lumping.quotient.n, round(float(answer.value), 6)
    (7, 1.0)
    >>> from lumpability import CTMC
    >>> line = CTMC.from_rates({("up", "down"): "x", ("down", "up"): 2}, labels={"ok": ["up"]})
    >>> for row in ask(line, label="ok", sweep={"x": [1, 2]}).rows:
    ...     print(row.point, row.value)
    {'x': Fraction(1, 1)} 2/3
    {'x': Fraction(2, 1)} 1/2
    """
    if not isinstance(chain, MarkovChain):
        raise InvalidInput(
            f"ask takes a CTMC or a DTMC, not a {type(chain).__name__}: read(...) a file first"
        )
    wanted = () if times is None else tuple(times) if _several(times) else (times,)
    question = _Question(
        quantity, target, wanted, label, reward, initial, method, epsilon, states, avoid
    )
    _check(question, chain, kind)
    if initial is not None:
        start = initial_of(chain, initial)
        chain = _with_initial(chain, start)
    lumping = _lumped(chain, question, kind)
    quotient = lumping.quotient if values is None else lumping.quotient.subs(values)
    rows = []
    for point in _points(sweep):
        solved = quotient.subs(point) if point else quotient
        if quantity in _TIMED and isinstance(solved, CTMC) and solved.parameters:
            left = ", ".join(map(str, solved.parameters))
            raise InvalidInput(
                f"{quantity} of a CTMC needs numbers for {left}: give values=... or sweep=...",
                option="values",
            )
        if method == "auto" and solved.parameters and solved.n > _FORMULAS:
            left = ", ".join(map(str, solved.parameters))
            raise InvalidInput(
                f"a formula in {left} for {solved.n} blocks takes long: give values=... or sweep=..., or method='exact' "
                "to wait for it",
                option="values",
            )
        rows += list(_rows(question, lumping, solved, point))
    names = tuple(str(name) for name in sweep or ())
    return Answer(quantity, lumping, names, tuple(rows))


def _several(times: Any) -> bool:
    return isinstance(times, Sequence | np.ndarray) and not isinstance(times, str)


def _check(question: _Question, chain: MarkovChain, kind: str) -> None:
    """Refuse what is missing or superfluous."""
    quantity = question.quantity
    if quantity not in QUANTITIES:
        raise unknown_word("quantity", quantity, QUANTITIES)
    for what, word, known in (
        ("label", question.label, chain.labels),
        ("reward", question.reward, chain.rewards),
    ):
        if word is not None and word not in known:
            if not known:
                raise InvalidInput(f"the chain has no {what}s, so it has no {what} {word!r}")
            raise unknown_word(what, word, known)
    if kind not in KINDS or (kind == "exact" and not question.states):
        more = " with states=True" if kind == "exact" else ""
        raise InvalidInput(
            f"kind={kind!r} is not for this question: choose one of {', '.join(KINDS)}{more}",
            option="kind",
        )
    if kind == "exact" and quantity not in _LABELLED:
        raise InvalidInput(
            f"kind='exact' does not determine the {quantity}: use kind='ordinary'", option="kind"
        )
    for name, given, users in (
        ("target", question.target is not None, _TARGETED),
        ("times", bool(question.times), _TIMED),
        ("reward", question.reward is not None, _REWARDED),
    ):
        if given and quantity not in users:
            raise InvalidInput(
                f"{name}=... is not for {quantity}, but for {', '.join(users)}", option=name
            )
        if not given and quantity in users:
            raise InvalidInput(f"{quantity} needs {name}=...: give it", option=name)
    if question.avoid is not None and quantity != "hitting-probability":
        raise InvalidInput("avoid=... is for hitting-probability", option="avoid")
    if question.initial is not None and question.states and quantity in _TARGETED:
        raise InvalidInput(
            f"the {quantity} of every state does not depend on initial=...: leave out one of the two",
            option="initial",
        )
    if question.label is not None and (quantity not in _LABELLED or question.states):
        raise InvalidInput(
            f"label=... is for {' and '.join(_LABELLED)}, without states=True", option="label"
        )


def _with_initial(chain: MarkovChain, start: ExactArray) -> MarkovChain:
    return chain.rebuilt(
        chain.matrix, states=chain.states, labels=chain.labels, rewards=chain.rewards, initial=start
    )


def _lumped(chain: MarkovChain, question: _Question, kind: str) -> Lumping:
    """Lump, keeping apart only what the question needs."""
    respect: list[str] | None = []
    if question.label is not None:
        respect = [f"label:{question.label}"]
    elif question.reward is not None:
        respect = [f"reward:{question.reward}"]
    elif question.target is None:
        respect = None  # blocks are to be told apart by all that the kind respects
    within = None
    if question.target is not None:
        within = Partition(target_of(chain, question.target).astype(np.int64))
        if question.avoid is not None:
            avoided = target_of(chain, question.avoid, "avoid").astype(np.int64)
            within = Partition(within.labels * 2 + avoided)
    elif question.states and question.quantity == "transient":
        respect = ["initial", *(respect or ["labels", "rewards"])]
    return lump_chain(
        chain, kind=kind, respect=respect, ignore=(), within=within, engine="auto", progress=None
    )


def _points(sweep: Mapping[Any, Iterable[Any]] | None) -> Iterator[dict[str, Fraction]]:
    names = [str(name) for name in sweep or ()]
    lists = [[read_number(x) for x in numbers] for numbers in (sweep or {}).values()]
    for numbers in itertools.product(*lists):
        yield dict(zip(names, numbers, strict=True))


def _rows(
    question: _Question, lumping: Lumping, quotient: MarkovChain, point: dict[str, Fraction]
) -> Iterator[AnswerRow]:
    """Answer for one chain."""
    if question.quantity in _TARGETED:
        yield from _by_state(question, lumping, quotient, point)
    elif question.quantity == "accumulated-reward":
        for time in question.times:
            value, error = accumulated(
                quotient, question.reward or "", time, epsilon=question.epsilon
            )
            yield AnswerRow(point, time, question.reward, lumping.chain.n, _plain(value), error)
    else:
        for time, solution in _distributions(question, quotient):
            for row in _of_distribution(question, lumping, quotient, solution):
                yield AnswerRow(point, time, *row)


def _distributions(question: _Question, quotient: MarkovChain) -> Iterator[tuple[Any, Solution]]:
    if question.quantity in _TIMED:
        found = transient(quotient, list(question.times), epsilon=question.epsilon)
        yield from zip(question.times, found, strict=True)
    else:
        yield None, long_run(quotient, method=question.method)


def _of_distribution(
    question: _Question, lumping: Lumping, quotient: MarkovChain, solution: Solution
) -> Iterator[tuple[Any, int, Any, float | None]]:
    """Yield name, states, value and error of every number that is asked for."""
    whole = lumping.chain.n
    if question.reward is not None:
        earning = earning_rates(quotient, question.reward)
        yield question.reward, whole, *_weighted(solution, earning)
    elif question.label is not None:
        codes = quotient.labels[question.label].astype(np.int64)
        carried = ExactArray.of_values(codes, [Fraction(0), Fraction(1)])
        yield question.label, whole, *_weighted(solution, carried)
    elif question.states:
        lift = lumping.lift if question.times else lumping.lift_stationary
        lifted = lift(solution.values)
        numbers = lifted if solution.is_exact else lifted.to_floats()
        for state, value in zip(lumping.chain.states, numbers, strict=True):
            yield state, 1, _plain(value), _error(solution, value)
    else:
        sizes = lumping.partition.blocks.sizes.tolist()
        for block, value in enumerate(solution.values):
            yield _block(lumping, block), sizes[block], _plain(value), _error(solution, value)


def _block(lumping: Lumping, block: int) -> Any:
    """Return the name of a block; where states have none, its members, or the number of its only one."""
    states, partition = lumping.chain.states, lumping.partition
    if states.named:
        return lumping.quotient.states[block]
    members = partition.blocks[block]
    return int(members[0]) if len(members) == 1 else block_name(states, partition, block)


def _by_state(
    question: _Question, lumping: Lumping, quotient: MarkovChain, point: dict[str, Fraction]
) -> Iterator[AnswerRow]:
    """Yield times, probabilities or rewards until a target, by block or by state."""
    goal = target_of(lumping.chain, question.target)[lumping.partition.representatives]
    if question.quantity == "hitting-time":
        solution = expected_hitting_times(quotient, goal, method=question.method)
    elif question.quantity == "hitting-probability":
        avoided = question.avoid
        if avoided is not None:
            avoided = target_of(lumping.chain, avoided, "avoid")[lumping.partition.representatives]
        solution = hitting_probabilities(quotient, goal, avoid=avoided, method=question.method)
    else:
        solution = expected_reward_until(
            quotient, question.reward or "", goal, method=question.method
        )
    found = list(solution)
    if question.initial is not None:
        yield AnswerRow(point, None, "start", lumping.chain.n, *_from_start(quotient, solution))
        return
    sizes = lumping.partition.blocks.sizes.tolist()
    if question.states:
        for state, block in zip(
            lumping.chain.states, lumping.partition.labels.tolist(), strict=True
        ):
            value = found[block]
            yield AnswerRow(point, None, state, 1, _plain(value), _error(solution, value))
        return
    for block, value in enumerate(found):
        name = _block(lumping, block)
        yield AnswerRow(point, None, name, sizes[block], _plain(value), _error(solution, value))


def _from_start(quotient: MarkovChain, solution: Solution) -> tuple[Any, float | None]:
    """Return the mean over the initial distribution, and a bound on its error."""
    start = quotient.initial
    assert start is not None
    if solution.infinite is not None and solution.infinite[start.support()].any():
        return np.inf, 0.0
    return _weighted(solution, start, per_entry=True)


def _error(solution: Solution, value: Any) -> float | None:
    """Return a bound on the error of one number of a solution."""
    if solution.is_exact:
        return 0.0
    if solution.relative_error is not None:
        number = float(value)
        return solution.relative_error * number if np.isfinite(number) else 0.0
    return solution.error_bound


def _weighted(
    solution: Solution, weights: ExactArray, *, per_entry: bool = False
) -> tuple[Any, float | None]:
    """Return a sum over a distribution, and a bound on its error.

    The solution is the distribution; with `per_entry` the weights are, and its error bound holds for every entry.
    """
    values = solution.finite
    if isinstance(values, ExactArray):
        total = sum(x * w for x, w in zip(values, weights, strict=True))
        return _plain(total), 0.0
    floats = weights.to_floats()
    total, size = float(values @ floats), float(np.abs(values) @ np.abs(floats))
    rounding = (len(floats) + 2) * _UNIT * size
    if solution.relative_error is not None:
        return total, solution.relative_error * size + rounding
    if solution.error_bound is None:
        return total, None
    largest = 1.0 if per_entry else float(np.abs(floats).max(initial=0.0))
    return total, solution.error_bound * largest + rounding


def _plain(value: Any) -> Any:
    return to_expression(value) if hasattr(value, "as_expr") else value
