"""The earnings of rewards per unit of time.

A reward earns rho(s) = state(s) + action(s) r(s) per unit of time in state s of a CTMC, where r(s) is the
total rate of transitions out of s, self-loops included; per step of a DTMC, state(s) + action(s).
Every expectation of a reward depends on rho alone, so a lumping of the generator can preserve rho.  The
quotient forgets the jumps inside blocks, and with them how often an action reward is earned; so an action
reward must first be replaced by the state reward rho.
"""

from __future__ import annotations

from copy import copy
from fractions import Fraction

from lumpability.errors import InvalidChain
from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray


def earning_rates(chain: MarkovChain, reward: str | Reward) -> ExactArray:
    """Return what a reward earns per unit of time (or step) in every state, shape (n,).

    Raises `InvalidChain` if there is no reward of that name.

    - reward: the name of a reward of the chain, or a reward

    >>> chain = CTMC([[0, 3], [2, 0]])
    >>> cost = Reward(ExactArray.read([1, 0])[0], action=ExactArray.read([0, 5])[0])
    >>> earning_rates(chain, cost)
    ExactArray([1, 10])
    """
    if isinstance(reward, str):
        if reward not in chain.rewards:
            known = ", ".join(chain.rewards) or "none"
            raise InvalidChain(
                f"there is no reward {reward!r}; the chain has {known}", reward=reward
            )
        reward = chain.rewards[reward]
    held = reward.state
    if held is None:
        held = ExactArray.constant(Fraction(0), chain.n)
    if reward.action is None:
        return held
    earned = reward.action
    if isinstance(chain, CTMC):
        earned = earned.combine(chain.matrix.row_sums(), lambda amount, rate: amount * rate)
    return held.combine(earned, lambda x, y: x + y)


def with_held_rewards(chain: MarkovChain) -> MarkovChain:
    """Return the chain with every action reward turned into the state reward that earns the same."""
    if all(reward.action is None for reward in chain.rewards.values()):
        return chain
    changed = copy(chain)
    changed.rewards = {
        name: reward if reward.action is None else Reward(state=earning_rates(chain, reward))
        for name, reward in chain.rewards.items()
    }
    return changed


def with_respected_rewards(chain: MarkovChain, *, keeps_jumps: bool) -> MarkovChain:
    """Return the chain with its rewards as a lumping respects them.

    A quotient without the jumps inside blocks preserves only what rewards earn per unit of time.

    >>> cost = Reward(action=ExactArray.read([0, 5])[0])
    >>> chain = CTMC([[0, 3], [2, 0]], rewards={"cost": cost})
    >>> with_respected_rewards(chain, keeps_jumps=True) is chain
    True
    """
    return with_held_rewards(chain) if isinstance(chain, CTMC) and not keeps_jumps else chain
