"""What every partition of a chain with a quotient offers: block numbers, a table of blocks, vectors on blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

from lumpability.markov.attributes import read_vector
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import project, pull_back


class BlockReport(NamedTuple):
    """One row of `Blocked.table`; `labels` are those that all members carry."""

    block: int
    name: Any
    size: int
    members: tuple[Any, ...]
    labels: tuple[str, ...]


class Blocked:
    """The base of lumpings: a chain, a partition of its states, and the chain on blocks.

    Attributes
    ----------
    chain : CTMC or DTMC
    partition : Partition
        Block numbers are the states of the quotient, in order.
    quotient : CTMC or DTMC

    Examples
    --------
    >>> from lumpability import Lumping
    >>> issubclass(Lumping, Blocked)
    True
    """

    chain: MarkovChain
    partition: Partition
    quotient: MarkovChain

    def block_of(self, state: Any) -> int:
        """Return the number of the block that holds a state.

        Raises `InvalidChain` if there is no such state.

        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
        >>> lump(chain).block_of("b")
        0
        """
        return int(self.partition.labels[self.chain.states.index(state)])

    def table(self) -> list[BlockReport]:
        """Return a row for every block; ``pandas.DataFrame(lumping.table())`` is a table of them.

        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
        >>> for row in lump(chain).table():
        ...     print(row)
        BlockReport(block=0, name='{a, b}', size=2, members=('a', 'b'), labels=())
        BlockReport(block=1, name='c', size=1, members=('c',), labels=('goal',))
        """
        states, rows = self.chain.states, []
        for block, members in enumerate(self.partition.blocks):
            labels = tuple(x for x, mask in self.chain.labels.items() if mask[members].all())
            names = tuple(states[state] for state in members.tolist())
            rows.append(BlockReport(block, self.quotient.states[block], len(names), names, labels))
        return rows

    def project(self, vector: Any) -> ExactArray:
        """Sum a vector on states over blocks (a distribution becomes the block distribution).

        Parameters
        ----------
        vector : array_like or mapping from states, shape (n,)

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> lumping = lump(CTMC.from_rates({("a", "b"): 1, ("b", "a"): 1}, labels={"a": ["a"]}))
        >>> lumping.project({"a": "1/3", "b": "2/3"})
        ExactArray([1/3, 2/3])
        """
        return project(self._read(vector, self.chain), self.partition)

    def pull_back(self, function: Any) -> ExactArray:
        """Give every state the value of its block, shape (n,).

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
        >>> lump(chain).pull_back([5, 7])
        ExactArray([5, 7, 7])
        """
        return pull_back(self._read(function, self.quotient), self.partition)

    @staticmethod
    def _read(vector: Any, model: MarkovChain) -> ExactArray:
        return read_vector("the vector", vector, model.states, 0)[0]
